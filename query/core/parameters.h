/*
 * Parameters: what a request may say, as a table, read from a JSON body or
 * from URL arguments by the same rows.
 *
 * Each row is a parameter: its name, kind, where it may stand, the code of
 * the error that a wrong type gets, and the values that say no more than
 * leaving it out. The messages are
 * Meilisearch 1.50's, made the way it makes them, so that its clients' tests
 * find what they expect:
 *
 *   body  Unknown field `x`: expected one of `q`, `offset`, …
 *         Invalid value type at `.limit`: expected a positive integer, but found a string: `"a"`
 *   URL   Unknown parameter `x`: expected one of …
 *         Invalid value in parameter `limit`: could not parse `a` as a positive integer
 *
 * `null` in a body is the same as absent, unless the row says otherwise. The
 * first error in the order of the request wins; a parameter of which this
 * version only knows the name is refused when everything else is valid.
 *
 * Values are copied into the caller's arena and valid as long as it is.
 * Strings are valid UTF-8: what is not, in a URL, becomes U+FFFD. Bounds: the
 * body's size is the server's; nesting JSON_DEPTH_MAX; echoed values are cut
 * at PARAMETER_ECHO_BYTES_MAX. Pure core.
 */
#ifndef MILLRACE_QUERY_CORE_PARAMETERS_H
#define MILLRACE_QUERY_CORE_PARAMETERS_H

#include "query/core/error_answer.h"
#include "shared/base/arena.h"
#include "shared/json/json.h"

#define PARAMETERS_MAX 40
#define PARAMETER_ECHO_BYTES_MAX 512
#define PARAMETER_STRINGS_MAX 1000 /* of one list; a node takes no more */

enum parameter_kind {
	PARAMETER_KIND_STRING = 1,
	PARAMETER_KIND_COUNT, /* an integer from 0 to 2^64-1 */
	PARAMETER_KIND_BOOLEAN,
	PARAMETER_KIND_STRINGS,  /* an array; CSV in a URL */
	PARAMETER_KIND_NUMBERS,  /* an array; CSV of floats in a URL */
	PARAMETER_KIND_ARRAY,    /* of anything; CSV of strings in a URL; its `json` counts */
	PARAMETER_KIND_RATIO,    /* a number from 0 to 1 */
	PARAMETER_KIND_WEIGHT,   /* a number that is not negative; bodies only */
	PARAMETER_KIND_STRATEGY, /* last, all, frequency */
	PARAMETER_KIND_OBJECT,
	PARAMETER_KIND_ANY /* in a URL JSON, or else a string */
};

enum parameter_place {
	PARAMETER_PLACE_BODY = 1,
	PARAMETER_PLACE_URL = 2,
	PARAMETER_PLACE_BOTH = 3
};

#define PARAMETER_UNAVAILABLE 1U /* every value that is not idle is refused */
#define PARAMETER_NOT_NULL 2U    /* `null` is a wrong type */
#define PARAMETER_REQUIRED 4U    /* of `members`; the refusal has the code of what it is missing in */

struct parameter_table;

struct parameter {
	const char *name;
	enum parameter_kind kind;
	enum parameter_place place;
	const char *code; /* of an error in it */
	/* Values, as canonical JSON separated by spaces, that are as good as none; NULL: each says something. */
	const char *idle;
	unsigned flags;
	const struct parameter_table *members; /* OBJECT: what it may have; NULL: anything */
};

struct parameter_table {
	const struct parameter *rows;
	size_t len;
};

struct parameter_value {
	bool given;         /* and not idle: only then the rest counts */
	struct slice json;  /* canonical: the same for what means the same, from a body or a URL */
	struct slice text;  /* STRING, STRATEGY; STRINGS as sent in a URL */
	struct slice *list; /* STRINGS */
	size_t list_len;
	uint64_t count;                  /* COUNT */
	bool flag;                       /* BOOLEAN */
	double ratio;                    /* RATIO, WEIGHT */
	struct parameter_value *members; /* OBJECT: one a row of the parameter's `members` */
};

struct argument {
	const char *name;
	const char *value;
};

/* An object of a body with its place there, as in `.queries[0]`; "" for the body itself. */
struct parameter_object {
	yyjson_val *value; /* of json_parse */
	const char *place;
	bool open; /* names that the table lacks are passed over */
};

/* `values` has one entry a row, in the order of the rows. 0, or negative after filling `refusal`. */
int parameters_from_body(const struct parameter_table *table, struct slice body, struct arena *arena,
                         struct parameter_value *values, struct error_answer *refusal);
int parameters_from_object(const struct parameter_table *table, const struct parameter_object *object,
                           struct arena *arena, struct parameter_value *values, struct error_answer *refusal);
/* One value by a row that is in no table; `object` has its value, and the place of what is around it. */
int parameters_from_value(const struct parameter *row, const struct parameter_object *object,
                          struct arena *arena, struct parameter_value *value, struct error_answer *refusal);
/* What parameters_from_body parses first; yyjson_doc_free. */
int parameters_parse_body(struct slice body, yyjson_doc **doc, struct error_answer *refusal);
int parameters_from_url(const struct parameter_table *table, const struct argument *arguments,
                        struct arena *arena, struct parameter_value *values, struct error_answer *refusal);
/* Checks the Content-Type of a JSON body; NULL if there is none. */
int parameters_check_content_type(const char *content_type, struct error_answer *refusal);

#endif
