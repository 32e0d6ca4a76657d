/*
 * Text, a case a line: a JSON object goes in, what it was cut into comes out (text_cases.py).
 *
 *   {"settings": {"separatorTokens", "nonSeparatorTokens", "dictionary", "stopWords": [string, …]}}  for the lines that follow
 *     → {}
 *   {"text": string}  → {"tokens": [[enum token_kind, first byte, byte behind, form, [head, …]], …]}, a head for each
 *                       number of characters from 0 to HEADS - 1
 *   {"document": …}   → {"words": [[path, position, word], …], "lengths": {path: words, …}}
 */
#include "shard/core/words.h"
#include "shared/base/arena.h"
#include "shared/base/assert.h"
#include "shared/json/json.h"

#include <stdio.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES 65536
#define HEADS 6

struct lines {
	struct text *text;
	struct words *words;
	struct text_rules *rules;
	struct fields *fields; /* of the line */
	struct buffer out;
	struct buffer lengths;
};

static const struct slice *list_read(yyjson_val *settings, const char *name, struct arena *arena, size_t *len)
{
	yyjson_val *list = yyjson_obj_get(settings, name);
	struct slice *texts = arena_alloc(arena, (yyjson_arr_size(list) + 1) * sizeof *texts);
	yyjson_val *value;
	size_t at;
	size_t max;

	ASSERT(texts != NULL);
	yyjson_arr_foreach(list, at, max, value) texts[at] = json_string(value);
	*len = yyjson_arr_size(list);
	return texts;
}

static void settings_take(struct lines *lines, yyjson_val *given)
{
	struct text_settings settings;
	struct arena arena;
	struct error error;

	arena_init(&arena, ARENA_BLOCK_BYTES);
	settings.separators = list_read(given, "separatorTokens", &arena, &settings.separators_len);
	settings.not_separators =
		list_read(given, "nonSeparatorTokens", &arena, &settings.not_separators_len);
	settings.dictionary = list_read(given, "dictionary", &arena, &settings.dictionary_len);
	settings.stop_words = list_read(given, "stopWords", &arena, &settings.stop_words_len);
	text_rules_free(lines->rules);
	ASSERT(text_rules_new(&settings, &lines->rules, &error) == 0);
	arena_deinit(&arena);
	buffer_append_string(&lines->out, "{}");
}

static void text_show(struct lines *lines, struct slice bytes)
{
	const char *comma = "";
	struct token token;
	struct error error;
	int rc;

	text_begin(lines->text, lines->rules, bytes);
	buffer_append_string(&lines->out, "{\"tokens\":[");
	while ((rc = text_next(lines->text, &token, &error)) > 0) {
		size_t first = (size_t)(token.text.ptr - bytes.ptr);

		buffer_printf(&lines->out, "%s[%d,%zu,%zu,", comma, (int)token.kind, first,
		              first + token.text.len);
		json_append_string(&lines->out, token.form);
		for (size_t i = 0; i < HEADS; i++)
			buffer_printf(&lines->out, "%s%zu", i == 0 ? ",[" : ",",
			              text_head(lines->text, &token, i));
		buffer_append_string(&lines->out, "]]");
		comma = ",";
	}
	ASSERT(rc == 0);
	buffer_append_string(&lines->out, "]}");
}

static bool word_show(void *context, struct slice word, struct place place)
{
	struct lines *lines = context;
	struct slice path = fields_path(lines->fields, place.field);

	if (slice_equal(word, slice_string(WORD_FIELD_LENGTH))) {
		buffer_append_string(&lines->lengths, lines->lengths.len > 0 ? "," : "");
		json_append_string(&lines->lengths, path);
		buffer_printf(&lines->lengths, ":%u", place.position);
		return true;
	}
	buffer_append_string(&lines->out, lines->out.ptr[lines->out.len - 1] == '[' ? "[" : ",[");
	json_append_string(&lines->out, path);
	buffer_printf(&lines->out, ",%u,", place.position);
	json_append_string(&lines->out, word);
	buffer_append_string(&lines->out, "]");
	return true;
}

static void document_show(struct lines *lines, yyjson_val *document)
{
	struct words_sink sink = {word_show, lines};
	struct buffer body;
	struct error error;

	buffer_init(&body, UINT32_MAX);
	ASSERT(json_append_value(&body, document, &error) == 0);
	lines->fields = fields_new();
	ASSERT(lines->fields != NULL);
	buffer_clear(&lines->lengths);
	buffer_append_string(&lines->out, "{\"words\":[");
	ASSERT(words_of_body(lines->words, lines->rules, buffer_slice(&body), lines->fields, &sink, &error) ==
	       0);
	buffer_append_string(&lines->out, "],\"lengths\":{");
	buffer_append_slice(&lines->out, buffer_slice(&lines->lengths));
	buffer_append_string(&lines->out, "}}");
	fields_free(lines->fields);
	buffer_deinit(&body);
}

static void line_answer(struct lines *lines, struct slice line)
{
	struct error error;
	yyjson_doc *doc;
	yyjson_val *root;

	ASSERT(json_parse(line, JSON_DEPTH_MAX, &doc, &error) == 0);
	root = yyjson_doc_get_root(doc);
	buffer_clear(&lines->out);
	if (yyjson_obj_get(root, "settings") != NULL)
		settings_take(lines, yyjson_obj_get(root, "settings"));
	else if (yyjson_obj_get(root, "text") != NULL)
		text_show(lines, json_string(yyjson_obj_get(root, "text")));
	else
		document_show(lines, yyjson_obj_get(root, "document"));
	ASSERT(!buffer_failed(&lines->out) && !buffer_failed(&lines->lengths));
	(void)printf("%.*s\n", SLICE_ARGS(buffer_slice(&lines->out)));
	(void)fflush(stdout);
	yyjson_doc_free(doc);
}

int main(void)
{
	struct lines lines = {.text = text_new(), .words = words_new()};
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	ASSERT(lines.text != NULL && lines.words != NULL);
	buffer_init(&lines.out, UINT32_MAX);
	buffer_init(&lines.lengths, UINT32_MAX);
	while ((len = getline(&line, &size, stdin)) > 0)
		line_answer(&lines, slice_of(line, (size_t)len));
	free(line);
	buffer_deinit(&lines.out);
	buffer_deinit(&lines.lengths);
	text_rules_free(lines.rules);
	words_free(lines.words);
	text_free(lines.text);
	return 0;
}
