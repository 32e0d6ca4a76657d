/*
 * Queries, a case a line: {"prefix_search", "tokens": [[kind, text, form], …]}
 * in; {"terms": [[words, start, end, is_phrase, is_prefix, word count], …],
 * "nodes": [[first, terms, is_prefix, text], …], "excluded": [words, …],
 * "words"} out. A stop word of a phrase, and the text of one, is null.
 */
#include "shard/engine/query_parser.h"

#include "shared/base/assert.h"
#include "shared/json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE_BYTES_MAX (16U << 20)
#define BLOCK_BYTES 4096

static void append_comma(struct buffer *line, size_t i)
{
	buffer_append_string(line, i > 0 ? "," : "");
}

static void append_text(struct buffer *line, struct slice text)
{
	if (text.ptr == NULL)
		buffer_append_string(line, "null");
	else
		json_append_string(line, text);
}

static void append_phrase(struct buffer *line, const struct query_phrase *phrase)
{
	buffer_append_string(line, "[");
	for (size_t i = 0; i < phrase->len; i++) {
		append_comma(line, i);
		append_text(line, phrase->words[i]);
	}
	buffer_append_string(line, "]");
}

static void append_query(struct buffer *line, const struct query *query)
{
	buffer_append_string(line, "{\"terms\":[");
	for (size_t i = 0; i < query->terms_len; i++) {
		const struct query_term *term = &query->terms[i];

		append_comma(line, i);
		buffer_append_string(line, "[");
		append_phrase(line, &term->phrase);
		buffer_printf(line, ",%" PRIu32 ",%" PRIu32 ",%s,%s,%" PRIu32 "]", term->start, term->end,
		              term->is_phrase ? "true" : "false", term->is_prefix ? "true" : "false",
		              term->words);
	}
	buffer_append_string(line, "],\"nodes\":[");
	for (size_t i = 0; i < query->nodes_len; i++) {
		const struct query_node *node = &query->nodes[i];

		append_comma(line, i);
		buffer_printf(line, "[%u,%u,%s,", node->first, node->terms,
		              node->is_prefix ? "true" : "false");
		append_text(line, node->text);
		buffer_append_string(line, "]");
	}
	buffer_append_string(line, "],\"excluded\":[");
	for (size_t i = 0; i < query->excluded_len; i++) {
		append_comma(line, i);
		append_phrase(line, &query->excluded[i]);
	}
	buffer_printf(line, "],\"words\":%" PRIu32 "}\n", query->words);
}

static struct slice borrow(yyjson_val *token, size_t at)
{
	return json_string(yyjson_arr_get(token, at));
}

/* Each form is gone with the next token, as those of a text are. */
static void answer(yyjson_val *request, struct buffer *line)
{
	yyjson_val *list = yyjson_obj_get(request, "tokens");
	struct query_parser parser;
	struct arena arena;
	struct query query;
	struct error error;
	bool prefix_search;
	int found = 1;

	arena_init(&arena, BLOCK_BYTES);
	ASSERT(json_get_bool(request, "prefix_search", &prefix_search) &&
	       query_parser_begin(&parser, &arena, prefix_search, &error) == 0);
	for (size_t i = 0; i < yyjson_arr_size(list) && found > 0; i++) {
		yyjson_val *value = yyjson_arr_get(list, i);
		struct slice form = borrow(value, 2);
		uint8_t *copy = malloc(form.len + 1);
		struct token token = {(enum token_kind)yyjson_get_int(yyjson_arr_get(value, 0)),
		                      borrow(value, 1), slice_of(copy, form.len)};

		ASSERT(copy != NULL);
		memcpy(copy, form.ptr, form.len);
		found = query_parser_add(&parser, &token, &error);
		free(copy);
	}
	ASSERT(found >= 0 && query_parser_end(&parser, &query, &error) == 0);
	append_query(line, &query);
	arena_deinit(&arena);
}

int main(void)
{
	struct buffer line;
	struct error error;
	char *text = NULL;
	size_t size = 0;
	ssize_t len;

	buffer_init(&line, LINE_BYTES_MAX);
	while ((len = getline(&text, &size, stdin)) > 0) {
		yyjson_doc *doc;

		buffer_clear(&line);
		if (json_parse_typed(slice_of(text, (size_t)len), &doc, &error) != 0) {
			(void)fprintf(stderr, "%s\n", error.text);
			return 1;
		}
		answer(yyjson_doc_get_root(doc), &line);
		yyjson_doc_free(doc);
		ASSERT(!buffer_failed(&line) && fwrite(line.ptr, 1, line.len, stdout) == line.len);
	}
	free(text);
	buffer_deinit(&line);
	return 0;
}
