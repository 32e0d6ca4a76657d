/*
 * What makes a query of tokens: query_parser.h says how.
 */
#include "shard/engine/query_parser.h"

#define EXCLUDED_MAX (QUERY_TOKENS_MAX / 2) /* a dash and a word each */

int query_parser_begin(struct query_parser *parser, struct arena *arena, bool prefix_search,
                       struct error *error)
{
	size_t words_bytes = QUERY_TOKENS_MAX * sizeof *parser->words;
	size_t excluded_bytes = EXCLUDED_MAX * sizeof *parser->query.excluded;

	*parser = (struct query_parser){
		.arena = arena, .prefix_search = prefix_search, .is_behind_space = true};
	parser->position = UINT32_MAX;
	parser->words = arena_alloc(arena, words_bytes);
	parser->query.excluded = arena_alloc(arena, excluded_bytes);
	if (parser->words == NULL || parser->query.excluded == NULL)
		return error_memory(error, words_bytes + excluded_bytes);
	return 0;
}

/* Adds to `words`; without `bytes.ptr` a stop word. */
static int word_add(struct query_parser *parser, struct slice bytes, struct error *error)
{
	struct slice *word = &parser->words[parser->words_len];

	*word = (struct slice){0};
	if (bytes.ptr != NULL && !arena_copy(parser->arena, bytes, word))
		return error_memory(error, bytes.len);
	parser->words_len++;
	return 0;
}

/* What a token is compared by; that of a word is never NULL. */
static struct slice form_of(const struct token *token)
{
	return token->form.ptr != NULL ? token->form : slice_string("");
}

static int phrase_add(struct query_parser *parser, const struct token *token, struct error *error)
{
	struct slice form = token->kind == TOKEN_WORD ? form_of(token) : (struct slice){0};

	if (parser->phrase_start == UINT32_MAX && form.ptr != NULL)
		parser->phrase_start = parser->position;
	parser->phrase_end = parser->position;
	return word_add(parser, form, error);
}

static void phrase_open(struct query_parser *parser)
{
	parser->in_phrase = true;
	parser->phrase_words = parser->words_len;
	parser->phrase_start = UINT32_MAX;
}

/* One of stop words alone is none. */
static void phrase_close(struct query_parser *parser)
{
	struct query *query = &parser->query;
	struct query_phrase phrase = {parser->words + parser->phrase_words,
	                              parser->words_len - parser->phrase_words};

	if (parser->in_phrase && parser->phrase_start != UINT32_MAX && parser->is_negative) {
		query->excluded[query->excluded_len++] = phrase;
	} else if (parser->in_phrase && parser->phrase_start != UINT32_MAX) {
		struct query_term *term = &query->terms[query->terms_len++];

		*term = (struct query_term){.phrase = phrase, .is_phrase = true};
		term->start = parser->phrase_start;
		term->end = parser->phrase_end;
		for (size_t i = 0; i < phrase.len; i++)
			term->words += phrase.words[i].ptr != NULL;
	}
	parser->in_phrase = false;
	parser->is_negative = false;
}

static int parse_word(struct query_parser *parser, const struct token *token, struct error *error)
{
	struct query *query = &parser->query;
	struct query_phrase phrase = {parser->words + parser->words_len, 1};

	parser->position++;
	if (parser->in_phrase)
		return phrase_add(parser, token, error);
	if (!parser->is_negative && token->form.len > TEXT_WORD_BYTES_MAX)
		return 0;
	if (word_add(parser, form_of(token), error) != 0)
		return error->code;
	if (parser->is_negative) {
		query->excluded[query->excluded_len++] = phrase;
		parser->is_negative = false;
		return 0;
	}
	query->terms[query->terms_len++] = (struct query_term){
		.phrase = phrase, .start = parser->position, .end = parser->position, .words = 1};
	parser->has_last = true;
	parser->has_stop_word = token->kind == TOKEN_STOP_WORD;
	return 0;
}

/* Quotes open and close phrases, a hard separator cuts one in two, a dash before a word or a quote excludes it. */
static void parse_separator(struct query_parser *parser, const struct token *token)
{
	size_t quotes = 0;

	for (size_t i = 0; i < token->form.len; i++)
		quotes += token->form.ptr[i] == '"';
	if (token->kind == TOKEN_HARD) {
		parser->position += TEXT_HARD_GAP - 1;
		if (parser->in_phrase) {
			phrase_close(parser);
			phrase_open(parser);
		}
	}
	if (quotes > 0 && parser->in_phrase) {
		phrase_close(parser);
		quotes--;
	}
	if (quotes % 2 == 1)
		phrase_open(parser);
	else if (!parser->in_phrase)
		parser->is_negative = slice_equal(token->text, slice_string("-")) && parser->is_behind_space;
}

/* As Unicode has them (White_Space), and the four separators of ASCII's controls. */
static bool is_space(uint32_t character)
{
	return (character >= 0x09 && character <= 0x0d) || (character >= 0x1c && character <= 0x20) ||
	       character == 0x85 || character == 0xa0 || character == 0x1680 ||
	       (character >= 0x2000 && character <= 0x200a) || character == 0x2028 || character == 0x2029 ||
	       character == 0x202f || character == 0x205f || character == 0x3000;
}

/* Spaces have three bytes at most. */
static bool ends_with_space(struct slice text)
{
	const uint8_t *end = text.ptr + text.len;

	if (text.len >= 3 && (end[-3] & 0xf0U) == 0xe0)
		return is_space((end[-3] & 0x0fU) << 12 | (end[-2] & 0x3fU) << 6 | (end[-1] & 0x3fU));
	if (text.len >= 2 && (end[-2] & 0xe0U) == 0xc0)
		return is_space((end[-2] & 0x1fU) << 6 | (end[-1] & 0x3fU));
	return text.len >= 1 && end[-1] < 0x80 && is_space(end[-1]);
}

int query_parser_add(struct query_parser *parser, const struct token *token, struct error *error)
{
	bool is_word = token->kind == TOKEN_WORD || token->kind == TOKEN_STOP_WORD;

	if (parser->tokens == QUERY_TOKENS_MAX)
		return 0;
	parser->tokens++;
	if (parser->has_last && parser->has_stop_word) {
		parser->query.terms_len--;
		parser->words_len--;
	}
	parser->has_last = false;
	if (parser->query.terms_len == QUERY_TERMS_MAX)
		return 0;
	if (!is_word)
		parse_separator(parser, token);
	else if (parse_word(parser, token, error) != 0)
		return error->code;
	parser->is_behind_space = !is_word && ends_with_space(token->text);
	return 1;
}

/* `len` terms from `first` can be one word. */
static bool can_join(const struct query *query, size_t first, size_t len, size_t *bytes)
{
	if (first + len > query->terms_len)
		return false;
	*bytes = 0;
	for (size_t i = first; i < first + len; i++) {
		const struct query_term *term = &query->terms[i];

		if (term->is_phrase || (i > first && term->start != term[-1].end + 1))
			return false;
		*bytes += term->phrase.words[0].len;
	}
	return *bytes <= TEXT_WORD_BYTES_MAX;
}

static int node_add(struct query_parser *parser, size_t first, size_t len, size_t bytes, struct error *error)
{
	struct query *query = &parser->query;
	struct query_node *node = &query->nodes[query->nodes_len];
	uint8_t *text = arena_alloc(parser->arena, bytes);

	if (text == NULL)
		return error_memory(error, bytes);
	*node = (struct query_node){
		.first = (uint8_t)first, .terms = (uint8_t)len, .text = slice_of(text, bytes)};
	for (size_t i = first; i < first + len; i++) {
		struct slice word = query->terms[i].phrase.words[0];

		memcpy(text, word.ptr, word.len);
		text += word.len;
	}
	node->is_prefix = query->terms[first + len - 1].is_prefix;
	query->nodes_len++;
	return 0;
}

static int add_nodes(struct query_parser *parser, size_t first, struct error *error)
{
	struct query *query = &parser->query;
	const struct query_term *term = &query->terms[first];
	size_t bytes;

	query->nodes[query->nodes_len++] = (struct query_node){
		.first = (uint8_t)first,
		.terms = 1,
		.is_prefix = term->is_prefix,
		.text = term->is_phrase ? (struct slice){0} : term->phrase.words[0],
	};
	for (size_t len = 2; len <= QUERY_NGRAM_MAX; len++)
		if (can_join(query, first, len, &bytes) && node_add(parser, first, len, bytes, error) != 0)
			return error->code;
	return 0;
}

int query_parser_end(struct query_parser *parser, struct query *query, struct error *error)
{
	if (parser->has_last)
		parser->query.terms[parser->query.terms_len - 1].is_prefix = parser->prefix_search;
	phrase_close(parser);
	for (size_t i = 0; i < parser->query.terms_len; i++) {
		parser->query.words += parser->query.terms[i].words;
		if (add_nodes(parser, i, error) != 0)
			return error->code;
	}
	*query = parser->query;
	return 0;
}
