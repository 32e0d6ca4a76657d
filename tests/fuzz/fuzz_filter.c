/*
 * Filters of a log and of a search: any JSON is parsed or refused in valid
 * UTF-8; what was parsed matches any document, and its negation never as well.
 */
#include "shared/filter/filter.h"

#include "shared/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static bool append(void *context, struct slice text, struct buffer *folded)
{
	(void)context;
	for (size_t i = 0; i < text.len; i++)
		buffer_put_u8(folded,
		              text.ptr[i] >= 'A' && text.ptr[i] <= 'Z' ? text.ptr[i] | 0x20 : text.ptr[i]);
	return !buffer_failed(folded);
}

static const struct filter_fold fold = {append, NULL};

/* A message goes into JSON as it is: json_append_string would replace what is not UTF-8. */
static void check_refusal(const struct filter_refusal *refusal)
{
	struct slice text = slice_of(refusal->text, refusal->len);
	struct buffer json;
	struct error error;
	yyjson_doc *doc;

	ASSERT(refusal->len > 0 && refusal->len < FILTER_REFUSAL_BYTES_MAX);
	buffer_init(&json, SIZE_MAX);
	json_append_string(&json, text);
	ASSERT(json_parse(buffer_slice(&json), 1, &doc, &error) == 0);
	ASSERT(slice_equal(json_string(yyjson_doc_get_root(doc)), text));
	yyjson_doc_free(doc);
	buffer_deinit(&json);
}

static void check_matches(struct filter *filter, struct slice document)
{
	struct filter negation = {.kind = FILTER_KIND_NOT, .children = filter};
	struct error error;
	yyjson_doc *doc;
	bool matches;
	bool negated;

	if (json_parse(document, JSON_DEPTH_MAX, &doc, &error) < 0)
		return;
	ASSERT(filter_matches(filter, yyjson_doc_get_root(doc), &fold, &matches, &error) == 0);
	ASSERT(filter_matches(&negation, yyjson_doc_get_root(doc), &fold, &negated, &error) == 0);
	ASSERT(matches != negated);
	yyjson_doc_free(doc);
}

typedef int parse_fn(struct slice expression_json, const struct filter_fold *folding, struct arena *arena,
                     struct filter **filter, struct filter_refusal *refusal);

/* As JSON, or as what a string of it holds. */
static void check(parse_fn *parse, struct slice expression, const struct slice *document)
{
	struct filter_refusal refusal;
	struct filter *filter = NULL;
	struct buffer json;
	struct arena arena;

	arena_init(&arena, 4096);
	buffer_init(&json, SIZE_MAX);
	if (parse(expression, &fold, &arena, &filter, &refusal) < 0) {
		check_refusal(&refusal);
		json_append_string(&json, expression);
		if (parse(buffer_slice(&json), &fold, &arena, &filter, &refusal) < 0)
			check_refusal(&refusal);
	}
	if (filter != NULL && document != NULL)
		check_matches(filter, *document);
	buffer_deinit(&json);
	arena_deinit(&arena);
}

/* The expression ends at the first line break; the document follows it. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const uint8_t *end = len > 0 ? memchr(bytes, '\n', len) : NULL;
	size_t split = end != NULL ? (size_t)(end - bytes) : len;
	struct slice document = end != NULL ? slice_of(end + 1, len - split - 1) : slice_of("", 0);

	check(filter_parse, slice_of(bytes, split), end != NULL ? &document : NULL);
	check(filter_parse_search, slice_of(bytes, split), end != NULL ? &document : NULL);
	return 0;
}
