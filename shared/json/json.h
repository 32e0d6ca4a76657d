/*
 * JSON: yyjson under this project's rules. This is the one header that
 * includes yyjson.h; its names are used directly by whoever includes this.
 *
 * json_parse reads strictly (RFC 8259, valid UTF-8) with numbers kept raw,
 * so that a document's numbers survive byte for byte, and refuses nesting
 * deeper than `depth_max`, which yyjson itself does not bound.
 * json_parse_typed is for our own records, where numbers are numbers.
 */
#ifndef MILLRACE_JSON_JSON_H
#define MILLRACE_JSON_JSON_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"
#include "shared/base/slice.h"

#include <yyjson.h>

#define JSON_DEPTH_MAX 128

/* Caller frees with yyjson_doc_free. ERROR_FORMAT (not JSON) or ERROR_LIMIT
 * (too deep), both REJECT; the text names the byte position. */
int json_parse(struct slice text, size_t depth_max, yyjson_doc **doc, struct error *error);
int json_parse_typed(struct slice text, yyjson_doc **doc, struct error *error);

/* The value as borrowed bytes; an empty slice with NULL ptr if not a string. */
struct slice json_string(yyjson_val *value);
/* Raw text of a number read by json_parse; NULL ptr if it is not one. */
struct slice json_raw_number(yyjson_val *value);

/* Member of a record of ours, with type check; false if absent or of another type. */
bool json_get_string(yyjson_val *object, const char *key, struct slice *out);
bool json_get_i64(yyjson_val *object, const char *key, int64_t *out);
bool json_get_bool(yyjson_val *object, const char *key, bool *out);

/* Appends `text` as a JSON string, quoted and escaped. */
void json_append_string(struct buffer *buffer, struct slice text);
/* Appends the value compactly, raw numbers as they were. */
int json_append_value(struct buffer *buffer, yyjson_val *value, struct error *error);

#endif
