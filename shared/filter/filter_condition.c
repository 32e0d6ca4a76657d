#include "shared/filter/filter_private.h"

#include <stdlib.h>

static int need_literal(struct filter_parser *parser, struct filter_literal *literal)
{
	struct complaint complaint = {0};
	struct slice text;
	int result = filter_parser_value(parser, &text, &complaint);

	if (result == FILTER_ABSENT)
		return filter_complain(parser->refusal, parser->lexer.text, &complaint);
	return result < 0 ? result : filter_parser_literal(parser, text, literal);
}

static int need_literals(struct filter_parser *parser, struct filter *filter, size_t len)
{
	filter->literals = arena_alloc(parser->arena, len * sizeof *filter->literals);
	if (filter->literals == NULL)
		return filter_parser_complain_memory(parser);
	for (; filter->literals_len < len; filter->literals_len++) {
		int result = need_literal(parser, &filter->literals[filter->literals_len]);

		if (result < 0)
			return result;
	}
	return 0;
}

static int condition(struct filter_parser *parser, struct slice field, enum filter_kind kind,
                     struct filter **filter)
{
	int result = filter_parser_node(parser, kind, filter);

	if (result == 0)
		(*filter)->field = field;
	return result;
}

static int condition_with_literal(struct filter_parser *parser, struct slice field, enum filter_kind kind,
                                  struct filter **filter)
{
	int result = condition(parser, field, kind, filter);

	return result < 0 ? result : need_literals(parser, *filter, 1);
}

static int order_of_literals(const void *a, const void *b)
{
	const struct filter_literal *left = a;
	const struct filter_literal *right = b;
	int order = slice_compare(left->folded, right->folded);

	return order != 0 ? order : slice_compare(left->text, right->text);
}

static int order_of_numbers(const void *a, const void *b)
{
	double left = *(const double *)a;
	double right = *(const double *)b;

	return (left > right) - (left < right);
}

/* Sorted, so that a value is looked up in any number of literals. */
static int finish_in(struct filter_parser *parser, struct filter *filter, struct buffer *literals)
{
	size_t len = literals->len / sizeof *filter->literals;

	if (buffer_failed(literals))
		return filter_parser_complain_memory(parser);
	if (len == 0)
		return 0;
	filter->literals = arena_alloc(parser->arena, len * sizeof *filter->literals);
	filter->numbers = arena_alloc(parser->arena, len * sizeof *filter->numbers);
	if (filter->literals == NULL || filter->numbers == NULL)
		return filter_parser_complain_memory(parser);
	memcpy(filter->literals, literals->ptr, literals->len);
	filter->literals_len = len;
	qsort(filter->literals, len, sizeof *filter->literals, order_of_literals);
	for (size_t i = 0; i < len; i++)
		if (filter->literals[i].is_number)
			filter->numbers[filter->numbers_len++] = filter->literals[i].number;
	qsort(filter->numbers, filter->numbers_len, sizeof *filter->numbers, order_of_numbers);
	return 0;
}

/* `a, b,` up to what is neither. */
static int parse_list(struct filter_parser *parser, struct buffer *literals)
{
	struct filter_lexer *lexer = &parser->lexer;

	for (;;) {
		struct complaint complaint = {0};
		struct filter_literal literal;
		struct slice text;
		int result;

		if (literals->len > 0) {
			if (!filter_lexer_text(lexer, ","))
				return 0;
			(void)filter_lexer_space(lexer);
		}
		result = filter_parser_value(parser, &text, &complaint);
		if (result == FILTER_ABSENT)
			return 0; /* behind a comma, which may end the list */
		if (result == 0)
			result = filter_parser_literal(parser, text, &literal);
		if (result < 0)
			return result;
		buffer_append(literals, &literal, sizeof literal);
	}
}

/* "[" list "]", behind IN */
static int parse_in(struct filter_parser *parser, struct slice field, struct filter **filter)
{
	struct filter_lexer *lexer = &parser->lexer;
	struct buffer literals;
	int result;

	(void)filter_lexer_space(lexer);
	if (!filter_lexer_text(lexer, "["))
		return filter_parser_complain_from(parser, COMPLAINT_IN_OPENING, lexer->at);
	result = condition(parser, field, FILTER_KIND_IN, filter);
	if (result < 0)
		return result;
	buffer_init(&literals, FILTER_NODES_MAX * sizeof(struct filter_literal));
	result = parse_list(parser, &literals);
	if (result == 0) {
		size_t end = lexer->at;

		(void)filter_lexer_space(lexer);
		if (filter_lexer_text(lexer, "]")) {
			(void)filter_lexer_space(lexer);
			result = finish_in(parser, *filter, &literals);
		} else {
			result = filter_parser_complain_from(
				parser, end == lexer->text.len ? COMPLAINT_IN_CLOSING : COMPLAINT_IN_VALUE,
				end);
		}
	}
	buffer_deinit(&literals);
	return result;
}

/* `field = value` and the like; FILTER_ABSENT if no such operator stands here. */
static int parse_comparison(struct filter_parser *parser, struct slice field, struct filter **filter)
{
	static const struct {
		const char *text;
		enum filter_kind kind;
	} operators[] = {
		{"<=", FILTER_KIND_LESS_EQUAL}, {">=", FILTER_KIND_GREATER_EQUAL},
		{"!=", FILTER_KIND_NOT_EQUAL},  {"<", FILTER_KIND_LESS},
		{">", FILTER_KIND_GREATER},     {"=", FILTER_KIND_EQUAL},
	};

	for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
		if (filter_lexer_text(&parser->lexer, operators[i].text))
			return condition_with_literal(parser, field, operators[i].kind, filter);
	return FILTER_ABSENT;
}

/* `field from TO to` */
static int parse_between(struct filter_parser *parser, struct slice field, struct filter **filter)
{
	struct filter_lexer *lexer = &parser->lexer;
	struct complaint complaint = {0};
	struct slice from;
	size_t begin = lexer->at;
	int result = filter_parser_value(parser, &from, &complaint);

	if (result != FILTER_FOUND)
		return result;
	if (!filter_lexer_text(lexer, "TO") || !filter_lexer_space(lexer)) {
		lexer->at = begin;
		return FILTER_ABSENT;
	}
	lexer->at = begin;
	result = condition(parser, field, FILTER_KIND_BETWEEN, filter);
	if (result < 0)
		return result;
	(*filter)->literals = arena_alloc(parser->arena, 2 * sizeof *(*filter)->literals);
	if ((*filter)->literals == NULL)
		return filter_parser_complain_memory(parser);
	result = need_literal(parser, &(*filter)->literals[0]);
	(void)filter_lexer_text(lexer, "TO");
	if (result == 0)
		result = need_literal(parser, &(*filter)->literals[1]);
	(*filter)->literals_len = 2;
	return result;
}

/* The texts of an operator with space between them; puts the lexer back if one is missing. */
static bool take_texts(struct filter_lexer *lexer, const char *const *texts)
{
	size_t begin = lexer->at;

	for (size_t i = 0; texts[i] != NULL; i++)
		if ((i > 0 && !filter_lexer_space(lexer)) || !filter_lexer_text(lexer, texts[i])) {
			lexer->at = begin;
			return false;
		}
	return true;
}

/* The operators that are words. */
static int parse_worded(struct filter_parser *parser, struct slice field, struct filter **filter)
{
	static const struct {
		const char *texts[4];
		enum filter_kind kind;
		bool negated;
		size_t literals;
	} operators[] = {
		{{"IS", "NULL", NULL}, FILTER_KIND_NULL, false, 0},
		{{"IS", "NOT", "NULL", NULL}, FILTER_KIND_NULL, true, 0},
		{{"IS", "EMPTY", NULL}, FILTER_KIND_EMPTY, false, 0},
		{{"IS", "NOT", "EMPTY", NULL}, FILTER_KIND_EMPTY, true, 0},
		{{"EXISTS", NULL}, FILTER_KIND_EXISTS, false, 0},
		{{"NOT", "EXISTS", NULL}, FILTER_KIND_EXISTS, true, 0},
		{{"CONTAINS", NULL}, FILTER_KIND_CONTAINS, false, 1},
		{{"NOT", "CONTAINS", NULL}, FILTER_KIND_CONTAINS, true, 1},
		{{"STARTS WITH", NULL}, FILTER_KIND_STARTS_WITH, false, 1},
		{{"NOT", "STARTS WITH", NULL}, FILTER_KIND_STARTS_WITH, true, 1},
	};

	for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
		int result;

		if (!take_texts(&parser->lexer, operators[i].texts))
			continue;
		result = condition(parser, field, operators[i].kind, filter);
		if (result == 0 && operators[i].literals > 0)
			result = need_literals(parser, *filter, operators[i].literals);
		return result == 0 && operators[i].negated ? filter_parser_negate(parser, *filter, filter)
		                                           : result;
	}
	return FILTER_ABSENT;
}

/* What may follow a field, in Meilisearch's order: it decides which complaint an error gets. */
int filter_parser_operator(struct filter_parser *parser, struct slice field, struct filter **filter)
{
	struct filter_lexer *lexer = &parser->lexer;
	size_t begin = lexer->at;
	int result;

	if (filter_lexer_word(lexer, "IN"))
		return parse_in(parser, field, filter);
	if (filter_lexer_word(lexer, "NOT")) {
		(void)filter_lexer_space(lexer);
		if (filter_lexer_word(lexer, "IN")) {
			result = parse_in(parser, field, filter);
			return result == 0 ? filter_parser_negate(parser, *filter, filter) : result;
		}
		lexer->at = begin;
	}
	result = parse_comparison(parser, field, filter);
	if (result == FILTER_ABSENT)
		result = parse_worded(parser, field, filter);
	if (result == FILTER_ABSENT)
		result = parse_between(parser, field, filter);
	return result;
}
