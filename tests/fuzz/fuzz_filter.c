/*
 * Filters: any JSON is parsed or refused in valid UTF-8; what was parsed
 * matches any document, alike each time, and its negation never as well.
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

/* The expression ends at the first line break; the document follows it. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const uint8_t *end = len > 0 ? memchr(bytes, '\n', len) : NULL;
	size_t split = end != NULL ? (size_t)(end - bytes) : len;
	struct filter_refusal refusal;
	struct filter *filter = NULL;
	struct buffer json;
	struct arena arena;

	arena_init(&arena, 4096);
	buffer_init(&json, SIZE_MAX);
	if (filter_parse(slice_of(bytes, split), &fold, &arena, &filter, &refusal) < 0) {
		check_refusal(&refusal);
		json_append_string(&json, slice_of(bytes, split));
		if (filter_parse(buffer_slice(&json), &fold, &arena, &filter, &refusal) < 0)
			check_refusal(&refusal);
	}
	if (filter != NULL && end != NULL)
		check_matches(filter, slice_of(bytes + split + 1, len - split - 1));
	buffer_deinit(&json);
	arena_deinit(&arena);
	return 0;
}
