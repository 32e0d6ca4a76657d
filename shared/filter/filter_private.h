/*
 * What the files of the filter share: the lexer that cuts an expression, the
 * complaint that says what is wrong where, and folding.
 *
 * A lexer walks over UTF-8 that yyjson has validated. What a taking function
 * does not find it leaves where it was. Positions are bytes; a complaint is
 * printed in characters of the line, as Meilisearch counts.
 */
#ifndef MILLRACE_FILTER_FILTER_PRIVATE_H
#define MILLRACE_FILTER_FILTER_PRIVATE_H

#include "shared/filter/filter_point.h"

enum complaint_kind {
	COMPLAINT_EXPECTED_VALUE = 1,
	COMPLAINT_RESERVED_KEYWORD,
	COMPLAINT_MALFORMED_VALUE,
	COMPLAINT_ESCAPED_NUMBER,
	COMPLAINT_CLOSING_DELIMITER, /* `delimiter` */
	COMPLAINT_OPERATION,
	COMPLAINT_END,
	COMPLAINT_IN_OPENING,
	COMPLAINT_IN_CLOSING,
	COMPLAINT_IN_VALUE,
	COMPLAINT_RESERVED_GEO,  /* `name` */
	COMPLAINT_MISUSED,       /* `name` */
	COMPLAINT_NOT_AVAILABLE, /* `name` */
	COMPLAINT_VECTORS,
	COMPLAINT_GEO_FORM,    /* `name` */
	COMPLAINT_ARGUMENTS,   /* `name`, `count` */
	COMPLAINT_COORDINATES, /* `count` */
	COMPLAINT_DEPTH,
	COMPLAINT_NODES,
	COMPLAINT_FIELD_PARTS
};

struct complaint {
	enum complaint_kind kind;
	size_t begin;
	size_t end;
	char delimiter;
	const char *name;
	size_t count;
};

struct filter_lexer {
	struct slice text;
	size_t at;
};

enum filter_read {
	FILTER_READ_VALUE = 0,
	FILTER_READ_NOTHING, /* no value here: another rule may fit */
	FILTER_READ_REFUSED, /* nothing that follows can be right */
	FILTER_READ_MEMORY
};

/* A word or a quoted text, with the space around it. `value` is in the
 * expression, or in `arena` where it had escapes; `complaint` is filled unless
 * a value was read. */
enum filter_read filter_lexer_value(struct filter_lexer *lexer, struct arena *arena, struct slice *value,
                                    struct complaint *complaint);
/* The whole word at the lexer is `word`. */
bool filter_lexer_word(struct filter_lexer *lexer, const char *word);
/* The text at the lexer begins with `text`. */
bool filter_lexer_text(struct filter_lexer *lexer, const char *text);
/* True if there was any space. */
bool filter_lexer_space(struct filter_lexer *lexer);
bool filter_lexer_at_end(const struct filter_lexer *lexer);

/* Fills `refusal`; returns ERROR_LIMIT for a bound, else ERROR_FORMAT. */
int filter_complain(struct filter_refusal *refusal, struct slice expression,
                    const struct complaint *complaint);
/* "Invalid syntax for the filter parameter: …"; ERROR_FORMAT or ERROR_MEMORY. */
int filter_complain_shape(struct filter_refusal *refusal, const char *expected, yyjson_val *found);
/* A refusal without a position; ERROR_LIMIT or ERROR_FORMAT as given. */
int filter_complain_text(struct filter_refusal *refusal, int code, const char *text);

/* What a rule found where it looked; a negative value is the ERROR_ of a refusal. */
enum filter_found {
	FILTER_FOUND = 0,
	FILTER_ABSENT = 1
};

/* One call of filter_parse. */
struct filter_parser {
	struct filter_lexer lexer; /* over one expression, in the arena */
	struct arena *arena;
	const struct filter_fold *fold;
	struct filter_refusal *refusal;
	struct buffer scratch;
	size_t nodes;
	bool knows_places;
};

/* Refuses what stands from `begin` to `end`, or to the end of the expression. */
int filter_parser_complain(struct filter_parser *parser, enum complaint_kind kind, size_t begin, size_t end);
int filter_parser_complain_from(struct filter_parser *parser, enum complaint_kind kind, size_t begin);
int filter_parser_complain_memory(struct filter_parser *parser);
int filter_parser_node(struct filter_parser *parser, enum filter_kind kind, struct filter **filter);
/* NOT of NOT is what stands inside. */
int filter_parser_negate(struct filter_parser *parser, struct filter *inside, struct filter **filter);
/* A value, if there is one here; what cannot become right is refused. */
int filter_parser_value(struct filter_parser *parser, struct slice *value, struct complaint *complaint);
int filter_parser_literal(struct filter_parser *parser, struct slice text, struct filter_literal *literal);
/* A condition on places, if one stands here. */
int filter_parser_place(struct filter_parser *parser, struct filter **filter);
/* What follows a field. */
int filter_parser_operator(struct filter_parser *parser, struct slice field, struct filter **filter);

/* Whether a text, as Rust reads numbers, is a finite double, and which; `scratch` has failed when out of memory. */
bool filter_text_number(struct slice text, struct buffer *scratch, double *number);
/* The last member of that name; NULL: there is none. */
yyjson_val *filter_member(yyjson_val *object, struct slice name);

/* The longest beginning of at most `len_max` bytes that ends between characters. */
struct slice filter_cut(struct slice text, size_t len_max);
/* The code point at `at` and its length; the text is valid UTF-8. */
uint32_t filter_character(struct slice text, size_t at, size_t *len);
bool filter_is_space(uint32_t c);
/* Unicode's Alphabetic, or of general category N. */
bool filter_is_alphanumeric(uint32_t c);

#endif
