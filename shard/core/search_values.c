/* What documents have in the attribute that makes them equal, read from their bodies. */
#include "shard/core/search_private.h"

#include "shard/core/values.h"
#include "shard/core/words.h"
#include "shared/filter/filter_value.h"

#include <stdlib.h>

#define SCRATCH_BYTES_MAX ((size_t)64 << 20)
#define VALUES_FIRST 4

/* One document. */
struct collecting {
	struct search *search;
	struct filter_fold fold;
	struct buffer scratch;
	struct slice *values;
	size_t len;
	size_t size;
	bool failed;
	struct error *error;
};

static bool value_take(struct collecting *collecting, uint8_t kind, struct slice bytes)
{
	struct arena *arena = collecting->search->arena;
	uint8_t *copy = arena_alloc(arena, bytes.len + 1);

	if (collecting->len == collecting->size) {
		size_t size = collecting->size == 0 ? VALUES_FIRST : 2 * collecting->size;
		struct slice *values = arena_alloc(arena, size * sizeof *values);

		if (values == NULL)
			return false;
		if (collecting->len > 0)
			memcpy(values, collecting->values, collecting->len * sizeof *values);
		collecting->values = values;
		collecting->size = size;
	}
	if (copy == NULL)
		return false;
	copy[0] = kind;
	if (bytes.len > 0)
		memcpy(copy + 1, bytes.ptr, bytes.len);
	collecting->values[collecting->len++] = slice_of(copy, bytes.len + 1);
	return true;
}

static bool append_folded(void *context, struct slice text, struct buffer *folded)
{
	struct collecting *collecting = context;

	return text_fold(words_text(collecting->search->request->words), text, folded, collecting->error) ==
	       0;
}

static bool scalar_take(void *context, yyjson_val *scalar)
{
	struct collecting *collecting = context;
	struct slice text;
	double number;

	collecting->scratch.len = 0;
	if (!yyjson_is_raw(scalar)) {
		collecting->failed =
			!filter_value_text(scalar, &collecting->fold, &collecting->scratch, &text) ||
			!value_take(collecting, VALUE_KIND_STRING, text);
	} else if (filter_value_number(scalar, &collecting->scratch, &number)) {
		if (number == 0)
			number = 0; /* of either sign */
		collecting->failed = !value_take(collecting, VALUE_KIND_NUMBER,
		                                 slice_of((const uint8_t *)&number, sizeof number));
	} else {
		collecting->failed = buffer_failed(&collecting->scratch);
	}
	return collecting->failed;
}

static bool reached_take(void *context, yyjson_val *reached)
{
	struct filter_visitor visitor = {scalar_take, context};

	return filter_scalars(reached, &visitor);
}

static int slices_compare(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* Sorted, each once. */
static void values_order(struct collecting *collecting)
{
	size_t kept = 0;

	if (collecting->len > 1)
		qsort(collecting->values, collecting->len, sizeof *collecting->values, slices_compare);
	for (size_t i = 0; i < collecting->len; i++)
		if (kept == 0 || !slice_equal(collecting->values[kept - 1], collecting->values[i]))
			collecting->values[kept++] = collecting->values[i];
	collecting->len = kept;
}

static int body_collect(struct collecting *collecting, struct slice body, struct slice path)
{
	struct filter_visitor visitor = {reached_take, collecting};
	yyjson_doc *doc;

	if (json_parse(body, JSON_DEPTH_MAX, &doc, collecting->error) != 0)
		return collecting->error->code;
	(void)filter_reach(yyjson_doc_get_root(doc), path, &visitor);
	yyjson_doc_free(doc);
	if (collecting->failed)
		return error_memory(collecting->error, body.len);
	values_order(collecting);
	return 0;
}

int search_values(struct search *search, uint64_t number, struct slice path, struct search_hit *hit,
                  struct error *error)
{
	struct collecting collecting = {
		.search = search, .fold = {append_folded, &collecting}, .error = error};
	struct located located;
	struct slice body;
	int rc = reading_locate(&search->reading, number, &located, error);

	buffer_init(&collecting.scratch, SCRATCH_BYTES_MAX);
	if (rc == 0)
		rc = located_body(&located, &body, error);
	if (rc == 0)
		rc = body_collect(&collecting, body, path);
	buffer_deinit(&collecting.scratch);
	hit->values = collecting.values;
	hit->values_len = collecting.len;
	return rc;
}
