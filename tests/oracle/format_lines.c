/*
 * What a document shows, by the module: a JSON object a line in, the members
 * that it appends as an object out.
 *
 * In: `document` (as text, so that its numbers stay), `displayed`, `retrieve`,
 * `crop`, `highlight`, `known`, `crop_words`, `marker`, `pre`, `post`,
 * `positions`, `terms` ({words, phrase}), `nodes` ({first, terms, prefix,
 * text}), `synonyms` (phrases of each node), `derived` (nodes of a form as
 * bits), `texts` (of a text its tokens: [kind, bytes, form, characters of the
 * form that each of its own makes]).
 */
#include "shard/engine/format.h"

#include "shared/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

#define LINE_BLOCK_BYTES 65536

struct line {
	yyjson_val *root;
	struct arena arena;
	struct query query;
	struct format_synonyms synonyms[QUERY_NODES_MAX];
	/* of the text at hand */
	struct slice text;
	yyjson_val *tokens;
	size_t number;
	size_t at;
};

static void *must(void *ptr)
{
	ASSERT(ptr != NULL);
	return ptr;
}

static uint32_t number_at(yyjson_val *value, const char *key)
{
	return (uint32_t)yyjson_get_uint(yyjson_obj_get(value, key));
}

static struct slice string_at(yyjson_val *value, const char *key)
{
	return json_string(yyjson_obj_get(value, key));
}

/* null: no ptr. */
static struct format_names names_of(struct line *line, yyjson_val *array)
{
	size_t len = yyjson_arr_size(array);
	struct slice *names = must(arena_alloc(&line->arena, (len + 1) * sizeof *names));

	for (size_t i = 0; i < len; i++)
		names[i] = json_string(yyjson_arr_get(array, i));
	return (struct format_names){names, len};
}

static struct query_phrase phrase_of(struct line *line, yyjson_val *array)
{
	struct format_names words = names_of(line, array);

	return (struct query_phrase){(struct slice *)(uintptr_t)words.names, words.len};
}

static void query_read(struct line *line)
{
	yyjson_val *terms = yyjson_obj_get(line->root, "terms");
	yyjson_val *nodes = yyjson_obj_get(line->root, "nodes");
	yyjson_val *synonyms = yyjson_obj_get(line->root, "synonyms");

	for (size_t i = 0; i < yyjson_arr_size(terms); i++) {
		yyjson_val *term = yyjson_arr_get(terms, i);

		line->query.terms[i].phrase = phrase_of(line, yyjson_obj_get(term, "words"));
		line->query.terms[i].is_phrase = yyjson_get_bool(yyjson_obj_get(term, "phrase"));
	}
	line->query.terms_len = yyjson_arr_size(terms);
	for (size_t i = 0; i < yyjson_arr_size(nodes); i++) {
		yyjson_val *node = yyjson_arr_get(nodes, i);
		yyjson_val *list = yyjson_arr_get(synonyms, i);
		size_t len = yyjson_arr_size(list);
		struct query_phrase *phrases = must(arena_alloc(&line->arena, (len + 1) * sizeof *phrases));

		for (size_t each = 0; each < len; each++)
			phrases[each] = phrase_of(line, yyjson_arr_get(list, each));
		line->synonyms[i] = (struct format_synonyms){phrases, len};
		line->query.nodes[i] = (struct query_node){
			.first = (uint8_t)number_at(node, "first"),
			.terms = (uint8_t)number_at(node, "terms"),
			.is_prefix = yyjson_get_bool(yyjson_obj_get(node, "prefix")),
			.text = string_at(node, "text"),
		};
	}
	line->query.nodes_len = yyjson_arr_size(nodes);
}

static uint32_t derived(void *context, struct slice form)
{
	const struct line *line = context;
	yyjson_val *forms = yyjson_obj_get(line->root, "derived");

	return (uint32_t)yyjson_get_uint(yyjson_obj_getn(forms, (const char *)form.ptr, form.len));
}

static bool is_known(void *context, struct slice path)
{
	const struct line *line = context;
	yyjson_val *known = yyjson_obj_get(line->root, "known");

	for (size_t i = 0; i < yyjson_arr_size(known); i++)
		if (slice_equal(json_string(yyjson_arr_get(known, i)), path))
			return true;
	return false;
}

static void begin(void *context, struct slice text)
{
	struct line *line = context;
	yyjson_val *texts = yyjson_obj_get(line->root, "texts");

	line->text = text;
	line->tokens = must(yyjson_obj_getn(texts, (const char *)text.ptr, text.len));
	line->number = 0;
	line->at = 0;
}

static int next(void *context, struct token *token, struct error *error)
{
	struct line *line = context;
	yyjson_val *row = yyjson_arr_get(line->tokens, line->number);
	size_t len;

	(void)error;
	if (row == NULL)
		return 0;
	len = yyjson_get_uint(yyjson_arr_get(row, 1));
	*token = (struct token){
		.kind = (enum token_kind)yyjson_get_uint(yyjson_arr_get(row, 0)),
		.text = slice_of(line->text.ptr + line->at, len),
		.form = json_string(yyjson_arr_get(row, 2)),
	};
	line->at += len;
	line->number++;
	return 1;
}

static size_t head(void *context, size_t characters)
{
	const struct line *line = context;
	yyjson_val *row = yyjson_arr_get(line->tokens, line->number - 1);
	yyjson_val *made = yyjson_arr_get(row, 3);
	size_t len = yyjson_get_uint(yyjson_arr_get(row, 1));
	const uint8_t *ptr = line->text.ptr + line->at - len;
	size_t at = 0;
	uint64_t count = 0;

	for (size_t i = 0; at < len && count < characters; i++) {
		count += yyjson_get_uint(yyjson_arr_get(made, i));
		do
			at++;
		while (at < len && (ptr[at] & 0xc0) == 0x80);
	}
	return at;
}

static void show(struct line *line, struct buffer *out)
{
	yyjson_val *root = line->root;
	struct format_matcher matcher = {&line->query, line->synonyms, line, derived};
	struct format_cutter cutter = {line, begin, next, head};
	struct format_request request = {
		.displayed = names_of(line, yyjson_obj_get(root, "displayed")),
		.retrieve = names_of(line, yyjson_obj_get(root, "retrieve")),
		.crop = names_of(line, yyjson_obj_get(root, "crop")),
		.highlight = names_of(line, yyjson_obj_get(root, "highlight")),
		.crop_words = number_at(root, "crop_words"),
		.crop_marker = string_at(root, "marker"),
		.pre_tag = string_at(root, "pre"),
		.post_tag = string_at(root, "post"),
		.shows_positions = yyjson_get_bool(yyjson_obj_get(root, "positions")),
		.known_context = line,
		.is_known = is_known,
		.matcher = &matcher,
		.cutter = &cutter,
	};
	struct format *format;
	yyjson_doc *document;
	struct error error;

	ASSERT(json_parse(string_at(root, "document"), JSON_DEPTH_MAX, &document, &error) == 0);
	ASSERT(format_new(&request, &format, &error) == 0);
	buffer_clear(out);
	buffer_put_u8(out, '{');
	ASSERT(format_append(format, yyjson_doc_get_root(document), out, &error) == 0);
	buffer_append_string(out, "}\n");
	ASSERT(!buffer_failed(out));
	format_free(format);
	yyjson_doc_free(document);
}

int main(void)
{
	char *text = NULL;
	size_t size = 0;
	struct buffer out;
	ssize_t len;

	buffer_init(&out, SIZE_MAX);
	while ((len = getline(&text, &size, stdin)) > 0) {
		struct line line = {0};
		yyjson_doc *doc;
		struct error error;

		ASSERT(json_parse_typed(slice_of(text, (size_t)len), &doc, &error) == 0);
		line.root = yyjson_doc_get_root(doc);
		arena_init(&line.arena, LINE_BLOCK_BYTES);
		query_read(&line);
		show(&line, &out);
		(void)fwrite(out.ptr, 1, out.len, stdout);
		arena_deinit(&line.arena);
		yyjson_doc_free(doc);
	}
	free(text);
	buffer_deinit(&out);
	return 0;
}
