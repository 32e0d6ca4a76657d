#include "shared/filter/filter_private.h"

/* NFKD makes a character of three bytes one of at most 33. */
#define FOLD_GROWTH_MAX 16

static int parse_or(struct filter_parser *parser, size_t depth, struct filter **filter);

/* Places in a log, vectors, foreign keys: valid in Meilisearch, refused here. 0 if it is none of them. */
static int check_available(struct filter_parser *parser)
{
	static const struct {
		const char *word;
		bool call; /* only with a parenthesis behind it */
	} rows[] = {{"_geoRadius", false},
	            {"_geoBoundingBox", false},
	            {"_geoPolygon", false},
	            {"_foreign", true}};
	static const char vectors[] = "_vectors";
	struct filter_lexer *lexer = &parser->lexer;
	struct complaint complaint = {.kind = COMPLAINT_NOT_AVAILABLE, .end = lexer->text.len};
	size_t begin = lexer->at;

	(void)filter_lexer_space(lexer);
	complaint.begin = lexer->at;
	for (size_t i = 0; complaint.name == NULL && i < sizeof rows / sizeof rows[0]; i++) {
		if (filter_lexer_word(lexer, rows[i].word) &&
		    (!rows[i].call || filter_lexer_text(lexer, "(")))
			complaint.name = rows[i].word;
		lexer->at = complaint.begin;
	}
	if (filter_lexer_word(lexer, vectors) || filter_lexer_text(lexer, "_vectors.")) {
		complaint.name = vectors;
		if (parser->knows_places) {
			complaint.kind = COMPLAINT_VECTORS;
			complaint.end = complaint.begin + strlen(vectors);
		}
	}
	lexer->at = begin;
	return complaint.name == NULL ? 0 : filter_complain(parser->refusal, lexer->text, &complaint);
}

static int check_field(struct filter_parser *parser, struct slice field, size_t begin)
{
	size_t parts = 1;

	for (size_t i = 0; i < field.len; i++)
		parts += field.ptr[i] == '.';
	return parts > FILTER_FIELD_PARTS_MAX
	               ? filter_parser_complain(parser, COMPLAINT_FIELD_PARTS, begin, parser->lexer.at)
	               : 0;
}

static int parse_group(struct filter_parser *parser, size_t begin, size_t depth, struct filter **filter)
{
	struct filter_lexer *lexer = &parser->lexer;
	struct complaint complaint = {.kind = COMPLAINT_CLOSING_DELIMITER,
	                              .begin = begin,
	                              .end = lexer->text.len,
	                              .delimiter = ')'};
	int result;

	(void)filter_lexer_space(lexer);
	result = parse_or(parser, depth + 1, filter);
	if (result < 0)
		return result;
	(void)filter_lexer_space(lexer);
	if (!filter_lexer_text(lexer, ")"))
		return filter_complain(parser->refusal, lexer->text, &complaint);
	(void)filter_lexer_space(lexer);
	return 0;
}

static int parse_primary(struct filter_parser *parser, size_t depth, struct filter **filter)
{
	struct filter_lexer *lexer = &parser->lexer;
	struct complaint complaint = {0};
	struct slice field;
	size_t begin = lexer->at;
	int result;

	if (depth > FILTER_DEPTH_MAX)
		return filter_parser_complain_from(parser, COMPLAINT_DEPTH, begin);
	(void)filter_lexer_space(lexer);
	if (filter_lexer_text(lexer, "("))
		return parse_group(parser, begin, depth, filter);
	lexer->at = begin;
	result = parser->knows_places ? filter_parser_place(parser, filter) : FILTER_ABSENT;
	if (result != FILTER_ABSENT)
		return result;
	result = check_available(parser);
	if (result == 0)
		result = filter_parser_value(parser, &field, &complaint);
	if (result == FILTER_ABSENT && complaint.kind == COMPLAINT_RESERVED_KEYWORD)
		return filter_complain(parser->refusal, lexer->text, &complaint);
	if (result == FILTER_FOUND)
		result = check_field(parser, field, begin);
	if (result == FILTER_FOUND)
		result = filter_parser_operator(parser, field, filter);
	return result == FILTER_ABSENT ? filter_parser_complain_from(parser, COMPLAINT_OPERATION, begin)
	                               : result;
}

/* `word` with any space around it; leaves the lexer where it was if it is not there. */
static bool take_connective(struct filter_lexer *lexer, const char *word)
{
	size_t begin = lexer->at;

	(void)filter_lexer_space(lexer);
	if (!filter_lexer_word(lexer, word)) {
		lexer->at = begin;
		return false;
	}
	(void)filter_lexer_space(lexer);
	return true;
}

static int parse_not(struct filter_parser *parser, size_t depth, struct filter **filter)
{
	struct filter *inside = NULL;
	int result;

	if (depth > FILTER_DEPTH_MAX)
		return filter_parser_complain_from(parser, COMPLAINT_DEPTH, parser->lexer.at);
	if (!take_connective(&parser->lexer, "NOT"))
		return parse_primary(parser, depth + 1, filter);
	result = parse_not(parser, depth + 1, &inside);
	return result < 0 ? result : filter_parser_negate(parser, inside, filter);
}

/* Children of a connective that is made only if there are two. */
struct chain {
	struct filter *first;
	struct filter *last;
};

static void chain_append(struct chain *chain, struct filter *filter)
{
	if (chain->first == NULL)
		chain->first = filter;
	else
		chain->last->next = filter;
	chain->last = filter;
}

/* NULL from an empty chain. */
static int chain_join(struct filter_parser *parser, const struct chain *chain, enum filter_kind kind,
                      struct filter **filter)
{
	int result;

	if (chain->first == chain->last) {
		*filter = chain->first;
		return 0;
	}
	result = filter_parser_node(parser, kind, filter);
	if (result == 0)
		(*filter)->children = chain->first;
	return result;
}

static int parse_and(struct filter_parser *parser, size_t depth, struct filter **filter)
{
	struct chain chain = {0};

	if (depth > FILTER_DEPTH_MAX)
		return filter_parser_complain_from(parser, COMPLAINT_DEPTH, parser->lexer.at);
	do {
		struct filter *child = NULL;
		int result = parse_not(parser, depth + 1, &child);

		if (result < 0)
			return result;
		chain_append(&chain, child);
	} while (take_connective(&parser->lexer, "AND"));
	return chain_join(parser, &chain, FILTER_KIND_AND, filter);
}

static int parse_or(struct filter_parser *parser, size_t depth, struct filter **filter)
{
	struct chain chain = {0};

	if (depth > FILTER_DEPTH_MAX)
		return filter_parser_complain_from(parser, COMPLAINT_DEPTH, parser->lexer.at);
	do {
		struct filter *child = NULL;
		int result = parse_and(parser, depth + 1, &child);

		if (result < 0)
			return result;
		chain_append(&chain, child);
	} while (take_connective(&parser->lexer, "OR"));
	return chain_join(parser, &chain, FILTER_KIND_OR, filter);
}

/* One string; appends nothing where it holds nothing but space. */
static int parse_expression(struct filter_parser *parser, struct slice text, struct chain *chain)
{
	struct filter *filter = NULL;
	size_t end;
	int result;

	if (filter_trim(text).len == 0)
		return 0;
	parser->lexer = (struct filter_lexer){.text = text};
	if (!arena_copy(parser->arena, text, &parser->lexer.text))
		return filter_parser_complain_memory(parser);
	result = parse_or(parser, 0, &filter);
	if (result < 0)
		return result;
	end = parser->lexer.at;
	(void)filter_lexer_space(&parser->lexer);
	if (!filter_lexer_at_end(&parser->lexer))
		return filter_parser_complain_from(parser, COMPLAINT_END, end);
	chain_append(chain, filter);
	return 0;
}

static int parse_alternatives(struct filter_parser *parser, yyjson_val *array, struct chain *chain)
{
	struct chain inner = {0};
	struct filter *filter = NULL;
	size_t at;
	size_t len;
	yyjson_val *element;
	int result;

	yyjson_arr_foreach(array, at, len, element)
	{
		result = yyjson_is_str(element) ? parse_expression(parser, json_string(element), &inner)
		                                : filter_complain_shape(parser->refusal, "String", element);
		if (result < 0)
			return result;
	}
	result = chain_join(parser, &inner, FILTER_KIND_OR, &filter);
	if (result == 0 && filter != NULL)
		chain_append(chain, filter);
	return result;
}

static int parse_json(struct filter_parser *parser, yyjson_val *json, struct filter **filter)
{
	struct chain chain = {0};
	size_t at;
	size_t len;
	yyjson_val *element;
	int result = 0;

	if (yyjson_is_str(json))
		result = parse_expression(parser, json_string(json), &chain);
	else if (!yyjson_is_arr(json) && !yyjson_is_null(json))
		result = filter_complain_shape(parser->refusal, "String, Array", json);
	yyjson_arr_foreach(json, at, len, element)
	{
		if (yyjson_is_str(element))
			result = parse_expression(parser, json_string(element), &chain);
		else if (yyjson_is_arr(element))
			result = parse_alternatives(parser, element, &chain);
		else
			result = filter_complain_shape(parser->refusal, "String, [String]", element);
		if (result < 0)
			return result;
	}
	return result < 0 ? result : chain_join(parser, &chain, FILTER_KIND_AND, filter);
}

static int parse(struct slice expression_json, struct filter_parser *parser, struct filter **filter)
{
	struct filter *parsed = NULL;
	struct error error;
	yyjson_doc *doc;
	int result;

	if (expression_json.len > FILTER_EXPRESSION_BYTES_MAX)
		return filter_complain_text(parser->refusal, ERROR_LIMIT,
		                            "The filter is longer than one mebibyte.");
	result = json_parse(expression_json, JSON_DEPTH_MAX, &doc, &error);
	if (result < 0)
		return filter_complain_text(parser->refusal, result, error.text);
	buffer_init(&parser->scratch, FILTER_EXPRESSION_BYTES_MAX * FOLD_GROWTH_MAX);
	result = parse_json(parser, yyjson_doc_get_root(doc), &parsed);
	buffer_deinit(&parser->scratch);
	yyjson_doc_free(doc);
	if (result == 0)
		*filter = parsed;
	return result;
}

int filter_parse(struct slice expression_json, const struct filter_fold *fold, struct arena *arena,
                 struct filter **filter, struct filter_refusal *refusal)
{
	struct filter_parser parser = {.arena = arena, .fold = fold, .refusal = refusal};

	return parse(expression_json, &parser, filter);
}

int filter_parse_search(struct slice expression_json, const struct filter_fold *fold, struct arena *arena,
                        struct filter **filter, struct filter_refusal *refusal)
{
	struct filter_parser parser = {
		.arena = arena, .fold = fold, .refusal = refusal, .knows_places = true};

	return parse(expression_json, &parser, filter);
}
