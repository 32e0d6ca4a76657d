/*
 * Format: of any object that is JSON, under any names, query and crop, what is
 * shown is JSON again, and the same each time.
 *
 * The first byte is the crop and what is shown, then the query and names to a
 * line break each, parts between spaces; the document follows.
 */
#include "shard/engine/format.h"

#include "shared/base/assert.h"

#define PARTS_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct cut {
	struct slice text;
	size_t at;
	size_t token; /* bytes of the token given last */
	struct query query;
};

static void begin(void *context, struct slice text)
{
	struct cut *cut = context;

	cut->text = text;
	cut->at = 0;
}

/* Bytes below the digits are separators, the stop is hard; the form is the text. */
static int next(void *context, struct token *token, struct error *error)
{
	struct cut *cut = context;
	const uint8_t *ptr = cut->text.ptr + cut->at;
	size_t left = cut->text.len - cut->at;
	size_t len = 0;

	(void)error;
	if (left == 0)
		return 0;
	while (len < left && ptr[len] >= '0')
		len++;
	*token = (struct token){TOKEN_WORD, slice_of(ptr, len), slice_of(ptr, len)};
	if (len == 0) {
		token->kind = ptr[0] == '.' ? TOKEN_HARD : TOKEN_SOFT;
		token->text.len = 1;
	}
	cut->token = token->text.len;
	cut->at += token->text.len;
	return 1;
}

static size_t head(void *context, size_t characters)
{
	const struct cut *cut = context;
	const uint8_t *ptr = cut->text.ptr + cut->at - cut->token;
	size_t at = 0;

	for (; at < cut->token && characters > 0; characters--)
		do
			at++;
		while (at < cut->token && (ptr[at] & 0xc0) == 0x80);
	return at;
}

static uint32_t derived(void *context, struct slice form)
{
	const struct cut *cut = context;
	uint32_t bits = 0;

	for (size_t i = 0; i < cut->query.nodes_len; i++)
		bits |= (uint32_t)slice_starts_with(form, cut->query.nodes[i].text) << i;
	return bits;
}

static bool is_known(void *context, struct slice path)
{
	(void)context;
	return path.len % 3 > 0;
}

static struct slice take_line(struct slice *rest)
{
	const uint8_t *end = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
	struct slice line = slice_of(rest->ptr, end != NULL ? (size_t)(end - rest->ptr) : rest->len);
	size_t taken = line.len + (end != NULL);

	*rest = slice_of(rest->ptr + taken, rest->len - taken);
	return line;
}

static size_t split(struct slice line, struct slice *parts)
{
	size_t len = 0;

	while (len < PARTS_MAX) {
		const uint8_t *end = line.len > 0 ? memchr(line.ptr, ' ', line.len) : NULL;
		size_t taken = end != NULL ? (size_t)(end - line.ptr) : line.len;

		parts[len++] = slice_of(line.ptr, taken);
		if (end == NULL)
			break;
		line = slice_of(line.ptr + taken + 1, line.len - taken - 1);
	}
	return len;
}

/* Every other term a phrase of all parts. */
static void query_make(struct query *query, struct slice *parts, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		struct query_term *term = &query->terms[i];

		*term = (struct query_term){{parts, len}, i % 2 == 1, i == 2, 0, 0, 0};
		query->nodes[i] = (struct query_node){(uint8_t)i, 1, term->is_prefix,
		                                      term->is_phrase ? slice_of(NULL, 0) : parts[i]};
	}
	query->terms_len = len;
	query->nodes_len = len;
}

static void show(const struct format_request *request, yyjson_val *document, struct buffer *out)
{
	struct format *format;
	struct error error;
	yyjson_doc *doc;

	ASSERT(format_new(request, &format, &error) == 0);
	for (int times = 0; times < 2; times++) {
		size_t begun = out->len;

		buffer_put_u8(out, '{');
		ASSERT(format_append(format, document, out, &error) == 0);
		buffer_put_u8(out, '}');
		ASSERT(!buffer_failed(out));
		ASSERT(json_parse(slice_of(out->ptr + begun, out->len - begun), JSON_DEPTH_MAX + 3, &doc,
		                  &error) == 0);
		yyjson_doc_free(doc);
	}
	ASSERT(memcmp(out->ptr, out->ptr + out->len / 2, out->len / 2) == 0);
	format_free(format);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct slice all = {(const uint8_t *)"*", 1};
	struct slice rest = slice_of(bytes + (len > 0), len - (len > 0));
	struct slice parts[4][PARTS_MAX];
	struct cut cut = {0};
	struct format_matcher matcher = {&cut.query, NULL, &cut, derived};
	struct format_cutter cutter = {&cut, begin, next, head};
	struct format_request request = {.displayed = {&all, 1},
	                                 .retrieve = {&all, 1},
	                                 .matcher = &matcher,
	                                 .cutter = &cutter,
	                                 .is_known = is_known};
	uint8_t flags = len > 0 ? bytes[0] : 0;
	struct buffer out;
	struct error error;
	yyjson_doc *doc;

	query_make(&cut.query, parts[0], split(take_line(&rest), parts[0]));
	request.highlight = (struct format_names){parts[1], split(take_line(&rest), parts[1])};
	request.crop = (struct format_names){parts[2], split(take_line(&rest), parts[2])};
	if (flags & 1)
		request.retrieve = (struct format_names){parts[3], split(take_line(&rest), parts[3])};
	request.shows_positions = flags >> 1 & 1;
	request.crop_words = flags >> 2;
	request.crop_marker = slice_string("\xe2\x80\xa6");
	request.pre_tag = slice_string("<\"");
	request.post_tag = slice_string(">");
	if (json_parse(rest, JSON_DEPTH_MAX, &doc, &error) != 0)
		return 0;
	buffer_init(&out, SIZE_MAX);
	if (yyjson_is_obj(yyjson_doc_get_root(doc)))
		show(&request, yyjson_doc_get_root(doc), &out);
	buffer_deinit(&out);
	yyjson_doc_free(doc);
	return 0;
}
