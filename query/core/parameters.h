/*
 * Parameters: what a request may say, as a table, read from a JSON body or
 * from URL arguments by the same rows.
 *
 * Each row is a parameter: its name, kind, where it may stand, the code of
 * the error that a wrong type gets, and, for parameters that this version
 * only recognises, the values that change nothing. The messages are
 * Meilisearch 1.50's, made the way it makes them, so that its clients' tests
 * find what they expect:
 *
 *   body  Unknown field `x`: expected one of `q`, `offset`, …
 *         Invalid value type at `.limit`: expected a positive integer, but found a string: `"a"`
 *   URL   Unknown parameter `x`: expected one of …
 *         Invalid value in parameter `limit`: could not parse `a` as a positive integer
 *
 * `null` in a body is the same as absent, for every parameter. The first
 * error in the order of the request wins; a recognised parameter that asks
 * for something not available is refused only when everything else is valid.
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

enum parameter_kind {
	PARAMETER_KIND_STRING = 1,
	PARAMETER_KIND_COUNT, /* an integer from 0 to 2^64-1 */
	PARAMETER_KIND_BOOLEAN,
	PARAMETER_KIND_STRINGS,  /* an array; CSV in a URL */
	PARAMETER_KIND_NUMBERS,  /* an array; CSV in a URL */
	PARAMETER_KIND_RATIO,    /* a number from 0 to 1 */
	PARAMETER_KIND_STRATEGY, /* last, all, frequency */
	PARAMETER_KIND_OBJECT,
	PARAMETER_KIND_ANY
};

enum parameter_place {
	PARAMETER_PLACE_BODY = 1,
	PARAMETER_PLACE_URL = 2,
	PARAMETER_PLACE_BOTH = 3
};

struct parameter {
	const char *name;
	enum parameter_kind kind;
	enum parameter_place place;
	const char *code; /* of an error in it */
	/* NULL: obeyed. Else only recognised: the values, as compact JSON separated by spaces, that
	 * ask for nothing beyond what is done anyway. */
	const char *idle;
};

struct parameter_table {
	const struct parameter *rows;
	size_t len;
};

struct parameter_value {
	bool given;
	struct slice text; /* STRING; STRINGS as sent in a URL */
	uint64_t count;    /* COUNT */
};

struct argument {
	const char *name;
	const char *value;
};

/* `values` has one entry a row, in the order of the rows. 0, or negative after filling `refusal`. */
int parameters_from_body(const struct parameter_table *table, struct slice body, struct arena *arena,
                         struct parameter_value *values, struct error_answer *refusal);
int parameters_from_url(const struct parameter_table *table, const struct argument *arguments,
                        struct arena *arena, struct parameter_value *values, struct error_answer *refusal);
/* Checks the Content-Type of a JSON body; NULL if there is none. */
int parameters_check_content_type(const char *content_type, struct error_answer *refusal);

#endif
