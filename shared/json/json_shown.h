/*
 * JSON shown: what a refusal says of the value that it found, as Meilisearch's
 * JSON writer (serde_json) prints it: compactly, with numbers not as they were
 * sent but as they were read. An integer within 64 bits stands as it is; every
 * other number is a double, the shortest text that reads back as it: with a
 * point below 1e16 and from 1e-5 on, else with an exponent and its sign.
 *
 *   1.50 is 1.5; 1e2 is 100.0; 100000000000000000000 is 1e+20; -0 is -0.0
 *
 * For values of json_parse and of json_parse_typed. A number that no double
 * holds, or longer than JSON_SHOWN_NUMBER_BYTES_MAX, is shown as it was sent.
 * Pure core.
 */
#ifndef MILLRACE_JSON_JSON_SHOWN_H
#define MILLRACE_JSON_JSON_SHOWN_H

#include "shared/json/json.h"

#define JSON_SHOWN_NUMBER_BYTES_MAX 512

enum json_number {
	JSON_NUMBER_POSITIVE, /* an integer from 0 to 2^64-1 */
	JSON_NUMBER_NEGATIVE, /* from -2^63 to -1 */
	JSON_NUMBER_FLOAT     /* any other */
};

/* Of a number's text; `count` is written for POSITIVE alone. */
enum json_number json_number_kind(struct slice raw, uint64_t *count);
/* "a positive integer", "an array", …; "null" has no article. */
const char *json_shown_kind(yyjson_val *value);
void json_append_shown(struct buffer *text, yyjson_val *value);

#endif
