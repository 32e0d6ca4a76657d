/*
 * Filter: a condition on documents, in Meilisearch 1.50's language.
 *
 *   or        = and ("OR" and)*            and = not ("AND" not)*
 *   not       = "NOT" not | primary        primary = "(" or ")" | condition
 *   condition = f (= | != | > | >= | < | <=) v | f v "TO" v | f "NOT"? "IN" "[" v, v … "]"
 *             | f "NOT"? "EXISTS" | f "IS" "NOT"? "NULL" | f "IS" "NOT"? "EMPTY"
 *             | f "NOT"? "CONTAINS" v | f "NOT"? "STARTS WITH" v
 *
 * f and v are words (letters and digits of any script, `_`, `-`, `.`) that
 * are no keyword, or quoted by ' or " with \ escapes. As JSON a filter is a
 * string, or an array (AND) of strings and arrays (OR) of strings.
 *
 * Meaning. A field is a path through objects: `a.b` is reached through
 * {"a":{"b":…}}, {"a.b":…} and, at any depth, through arrays of objects; of
 * members with one name the last counts. Its values are what it reaches, and
 * the elements of arrays at any depth. A condition holds if one value makes it
 * hold; `!=` and the NOT forms are the complement, so they hold where the
 * field is missing. A literal that is a number is compared with numbers, as
 * doubles, *and*, as every literal, with strings: trimmed, folded by the
 * caller's filter_fold, byte by byte, of a value (never of a literal) only the
 * first FILTER_VALUE_BYTES_MAX bytes. Booleans are the strings true and false.
 * EXISTS holds for null too; NULL, and EMPTY ("", [] and {}), look at what the
 * path reaches, not into arrays; `STARTS WITH ''` is EXISTS. "" is no value of
 * its own: only EXISTS and EMPTY see it. A number that no double holds is none.
 *
 * Whether a field is filterable, or CONTAINS allowed, is the caller's to say:
 * the tree is open. Vector and foreign filters are recognised and refused, in
 * searches vectors with Meilisearch's own words; so are places, but in searches
 * (filter_parse_search):
 *
 *   _geoRadius(lat, lng, metres[, resolution])            no further away (filter_point.h)
 *   _geoBoundingBox([top, right], [bottom, left])         inside or on the edge; one whose left is east of
 *                                                         its right crosses the date line
 *   _geoPolygon([lat, lng], …)                            has a point in common with the shape (filter_shape.h)
 *
 * The first two ask for a document's place, its `_geo`, the last for its shape,
 * its `_geojson`. A document without a place, or shape, is in none of them.
 *
 * Everything is deterministic: no locale, numbers read by yyjson alone, the
 * letters a fixed table (Unicode 15). What folding does is the caller's word.
 * Table, grammar and bounds decide what an expression means: where a log holds
 * expressions they change only together with the rules' contract.
 *
 * The tree and its slices live in the arena given to filter_parse; it is
 * immutable, so any threads may match with it. Bounds below; recursion goes
 * no deeper than FILTER_DEPTH_MAX in the tree and, in a document, than the
 * caller's parser let it be nested (JSON_DEPTH_MAX). Pure core.
 */
#ifndef MILLRACE_FILTER_FILTER_H
#define MILLRACE_FILTER_FILTER_H

#include "shared/base/arena.h"
#include "shared/base/buffer.h"
#include "shared/base/error.h"
#include "shared/json/json.h"

#define FILTER_EXPRESSION_BYTES_MAX ((size_t)1 << 20) /* of the JSON text */
#define FILTER_NODES_MAX 65536                        /* conditions, connectives and literals */
#define FILTER_DEPTH_MAX 150                          /* a parenthesis is four levels, a NOT one */
#define FILTER_FIELD_PARTS_MAX 128                    /* a.b.c has three */
#define FILTER_VALUE_BYTES_MAX 468                    /* folded, cut between characters */
#define FILTER_VALUE_READ_BYTES_MAX 4096              /* no more of a value is folded */
#define FILTER_REFUSAL_BYTES_MAX 2048

enum filter_kind {
	FILTER_KIND_AND = 1, /* two or more children */
	FILTER_KIND_OR,      /* two or more children */
	FILTER_KIND_NOT,     /* one child */
	FILTER_KIND_EQUAL,   /* the others have a field; from here to LESS_EQUAL one literal */
	FILTER_KIND_NOT_EQUAL,
	FILTER_KIND_GREATER,
	FILTER_KIND_GREATER_EQUAL,
	FILTER_KIND_LESS,
	FILTER_KIND_LESS_EQUAL,
	FILTER_KIND_BETWEEN,     /* two literals, both inclusive */
	FILTER_KIND_IN,          /* any number of literals, in the order of `folded` */
	FILTER_KIND_CONTAINS,    /* one literal */
	FILTER_KIND_STARTS_WITH, /* one literal */
	FILTER_KIND_EXISTS,
	FILTER_KIND_NULL,
	FILTER_KIND_EMPTY,
	FILTER_KIND_RADIUS, /* three or four literals, numbers; the field is `_geo` */
	FILTER_KIND_BOX,    /* four */
	FILTER_KIND_POLYGON /* two a corner; the field is `_geojson` */
};

struct filter_literal {
	struct slice text;   /* unquoted */
	struct slice folded; /* trimmed and folded */
	bool is_number;
	double number; /* finite */
};

struct filter {
	enum filter_kind kind;
	struct filter *children; /* first; the rest by `next` */
	struct filter *next;
	struct slice field;
	struct filter_literal *literals;
	size_t literals_len;
	double *numbers; /* IN: those of its literals, rising */
	size_t numbers_len;
};

/* How strings become comparable: Meilisearch's way is NFKD, then lower case. */
struct filter_fold {
	/* Appends `text` folded; false when out of memory. The same bytes always give the same bytes. */
	bool (*append)(void *context, struct slice text, struct buffer *folded);
	void *context;
};

/* Why an expression is refused, in Meilisearch's words with its position; a long one is cut. */
struct filter_refusal {
	bool lacks_feature; /* Meilisearch knows it where an experimental feature is enabled, as none is here */
	size_t len;
	char text[FILTER_REFUSAL_BYTES_MAX]; /* NUL-terminated */
};

/* `*filter` is NULL for an expression that holds no condition ("", [], null):
 * its caller says whether that selects everything or nothing. ERROR_FORMAT or
 * ERROR_LIMIT after filling `refusal`, or ERROR_MEMORY. */
int filter_parse(struct slice expression_json, const struct filter_fold *fold, struct arena *arena,
                 struct filter **filter, struct filter_refusal *refusal);

/* As filter_parse, but places are known. Not for what stands in a log, whose meaning never changes. */
int filter_parse_search(struct slice expression_json, const struct filter_fold *fold, struct arena *arena,
                        struct filter **filter, struct filter_refusal *refusal);
/* A text without White_Space at either end, which is what surrounds an expression. */
struct slice filter_trim(struct slice text);
/* Whether a condition on places is about such as there are on the globe: 0, or ERROR_FORMAT after filling `refusal`. */
int filter_check_place(const struct filter *filter, struct filter_refusal *refusal);

/* `document` is a JSON object from json_parse or json_parse_typed; `fold` the
 * one that the filter was parsed with. Fails with ERROR_MEMORY only. */
int filter_matches(const struct filter *filter, yyjson_val *document, const struct filter_fold *fold,
                   bool *matches, struct error *error);

#endif
