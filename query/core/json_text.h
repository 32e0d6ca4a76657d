/*
 * JSON text: walking valid JSON without copying it, so that a document's
 * bytes can be handed on exactly as its producer wrote them.
 *
 * Only for text that json_parse has accepted: these functions check bounds
 * but not grammar. Keys are compared as they are written; a key spelled with
 * escapes is decoded by json_text_key_is. Pure core; nothing is owned.
 */
#ifndef MILLRACE_QUERY_CORE_JSON_TEXT_H
#define MILLRACE_QUERY_CORE_JSON_TEXT_H

#include "shared/base/slice.h"

/* A walk over the members of an object or the items of an array. */
struct json_walk {
	const uint8_t *at;
	const uint8_t *end;
	bool object;
};

/* False if `value` is neither an object nor an array. */
bool json_walk_begin(struct json_walk *walk, struct slice value);
/* The next member or item; false after the last. `key` keeps its quotes; empty in an array. */
bool json_walk_next(struct json_walk *walk, struct slice *key, struct slice *value);
/* The first member called `name` (plain ASCII); false if there is none or `object` is no object. */
bool json_text_member(struct slice object, const char *name, struct slice *value);
/* The same of several names, in one walk: texts are long, and what is not there is looked for to their ends. `values` by
 * place of the name; empty where there is none. */
void json_text_members(struct slice object, const char *const *names, size_t len, struct slice *values);
/* True if a quoted key, escapes decoded, is `name`. */
bool json_text_key_is(struct slice key, struct slice name);
/* A whole number in range; false for anything else. */
bool json_text_i64(struct slice value, int64_t *number);
/* What a string without escapes holds; false if it has some or is no string. */
bool json_text_plain(struct slice value, struct slice *text);

#endif
