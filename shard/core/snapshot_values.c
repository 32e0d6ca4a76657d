#include "shard/core/values_sources.h"

#include <stdlib.h>

/* One call. */
struct values_reading {
	const struct snapshot *snapshot;
	struct kv_txn *txn;
	struct values_sources sources;
	struct value_source **heap; /* of a walk: those that have a key, the smallest first */
	size_t heap_len;
};

bool snapshot_attribute(const struct snapshot *snapshot, struct slice path, uint16_t *number)
{
	const struct attribute *attribute = attributes_find(snapshot->attributes, path);
	const struct manifest *manifest = &snapshot->manifest->manifest;

	if (attribute == NULL)
		return false;
	for (size_t i = 0; i < snapshot->segments_len; i++)
		if (!value_cover_has(&snapshot->segments[i]->cover, attribute->number))
			return false;
	for (size_t i = 0; i < manifest->segments_len; i++)
		if (!value_cover_has(&manifest->segments[i].values.cover, attribute->number))
			return false;
	*number = attribute->number;
	return true;
}

/* Every source at its first key of the range. Whatever it says, values_end follows. */
static int values_begin(struct values_reading *reading, const struct snapshot *snapshot,
                        const struct value_range *range, struct error *error)
{
	struct values_sources *sources = &reading->sources;

	*reading = (struct values_reading){.snapshot = snapshot};
	if (kv_begin(snapshot->kv, false, &reading->txn, error) != 0) {
		reading->txn = NULL;
		return error->code;
	}
	if (values_sources_init(sources, snapshot, reading->txn, error) != 0)
		return error->code;
	for (size_t i = 0; i < sources->len; i++)
		if (value_source_seek(sources, &sources->list[i], range, error) != 0)
			return error->code;
	return 0;
}

static void values_end(struct values_reading *reading)
{
	if (reading->txn == NULL)
		return;
	values_sources_deinit(&reading->sources);
	free(reading->heap);
	kv_abort(reading->txn);
}

/* Adds the numbers of the key at hand, and goes on to the next one. */
static int source_take(struct values_reading *reading, struct value_source *source, struct postings *numbers,
                       struct error *error)
{
	struct posting_list list;

	if (value_source_list(&reading->sources, source, &list, error) != 0 ||
	    posting_list_numbers(&list, numbers, error) != 0)
		return error->code;
	return value_source_next(source, error);
}

static int values_add(struct values_reading *reading, struct postings *numbers, struct error *error)
{
	for (size_t i = 0; i < reading->sources.len; i++) {
		struct value_source *source = &reading->sources.list[i];

		while (source->has_key)
			if (source_take(reading, source, numbers, error) != 0)
				return error->code;
	}
	return 0;
}

int snapshot_values(const struct snapshot *snapshot, const struct value_range *range,
                    struct postings *numbers, struct error *error)
{
	struct values_reading reading;
	struct postings found;
	int rc;

	postings_init(&found);
	rc = values_begin(&reading, snapshot, range, error);
	if (rc == 0)
		rc = values_add(&reading, &found, error);
	if (rc == 0) {
		postings_and_not(&found, &snapshot->deleted);
		postings_or(numbers, &found);
	}
	values_end(&reading);
	postings_deinit(&found);
	return rc;
}

int snapshot_value(const struct snapshot *snapshot, const struct value_key *key, struct postings *numbers,
                   struct error *error)
{
	struct value_range range = {*key, *key};

	return snapshot_values(snapshot, &range, numbers, error);
}

/* Puts the source at `at` where it belongs, below. */
static void heap_sift(struct values_reading *reading, size_t at)
{
	struct value_source *sinking = reading->heap[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= reading->heap_len)
			break;
		if (child + 1 < reading->heap_len &&
		    slice_compare(reading->heap[child + 1]->key, reading->heap[child]->key) < 0)
			child++;
		if (slice_compare(reading->heap[child]->key, sinking->key) >= 0)
			break;
		reading->heap[at] = reading->heap[child];
		at = child;
	}
	reading->heap[at] = sinking;
}

static int heap_open(struct values_reading *reading, struct error *error)
{
	struct values_sources *sources = &reading->sources;

	reading->heap = calloc(sources->len + 1, sizeof(struct value_source *));
	if (reading->heap == NULL)
		return error_memory(error, sources->len * sizeof(struct value_source *));
	for (size_t i = 0; i < sources->len; i++)
		if (sources->list[i].has_key)
			reading->heap[reading->heap_len++] = &sources->list[i];
	for (size_t i = reading->heap_len / 2; i-- > 0;)
		heap_sift(reading, i);
	return 0;
}

/* The smallest key that is left; false if none is. */
static bool key_choose(const struct values_reading *reading, struct value_key *key)
{
	struct slice smallest;

	if (reading->heap_len == 0)
		return false;
	smallest = reading->heap[0]->key;
	memcpy(key->bytes, smallest.ptr, smallest.len);
	key->len = smallest.len;
	return true;
}

/* The numbers of the smallest key, and every source that has it behind it. */
static int key_take(struct values_reading *reading, struct slice key, struct postings *numbers,
                    struct error *error)
{
	while (reading->heap_len > 0 && slice_equal(reading->heap[0]->key, key)) {
		struct value_source *source = reading->heap[0];

		if (source_take(reading, source, numbers, error) != 0)
			return error->code;
		if (!source->has_key)
			reading->heap[0] = reading->heap[--reading->heap_len];
		if (reading->heap_len > 0)
			heap_sift(reading, 0);
	}
	return 0;
}

static int values_walk(struct values_reading *reading, const struct postings *within,
                       const struct value_visitor *visitor, struct error *error)
{
	struct value_key key;
	struct postings numbers;
	bool more = true;
	int rc = 0;

	postings_init(&numbers);
	while (rc == 0 && more && key_choose(reading, &key)) {
		postings_clear(&numbers);
		rc = key_take(reading, slice_of(key.bytes, key.len), &numbers, error);
		postings_and_not(&numbers, &reading->snapshot->deleted);
		if (within != NULL)
			postings_and(&numbers, within);
		if (rc == 0 && numbers.len > 0)
			more = visitor->visit(visitor->context, slice_of(key.bytes, key.len), &numbers);
	}
	postings_deinit(&numbers);
	return rc;
}

int snapshot_values_walk(const struct snapshot *snapshot, const struct value_range *range,
                         const struct postings *within, const struct value_visitor *visitor,
                         struct error *error)
{
	struct values_reading reading;
	int rc = values_begin(&reading, snapshot, range, error);

	if (rc == 0)
		rc = heap_open(&reading, error);
	if (rc == 0)
		rc = values_walk(&reading, within, visitor, error);
	values_end(&reading);
	return rc;
}
