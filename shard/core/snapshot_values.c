#include "shard/core/snapshot_values.h"

#include "shard/core/reading.h"

#include <stdlib.h>

/* Of one posting list, which is never that long. */
#define LIST_BYTES_MAX UINT32_MAX

/* The keys of one segment, and the next one of the range. */
struct value_source {
	const struct dictionary *dictionary; /* in memory; NULL: on disk */
	size_t at;
	struct section_reader *sections;
	struct terms_cursor cursor;
	struct term term;
	uint64_t first; /* of the segment's numbers */
	bool has_key;
	struct slice key;
};

struct values_reading {
	const struct snapshot *snapshot;
	struct slice to;
	struct kv_txn *txn;
	struct value_source *sources;
	size_t len;
	struct value_source **heap; /* of a walk: those that have a key, the smallest first */
	size_t heap_len;
	struct buffer joined;
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

/* To the source's next key, if it is in the range. */
static int source_next(struct values_reading *reading, struct value_source *source, struct error *error)
{
	struct value value;
	int rc;

	source->has_key = false;
	if (source->dictionary != NULL) {
		if (source->at == dictionary_len(source->dictionary))
			return 0;
		source->key = dictionary_at(source->dictionary, source->at++).word;
		rc = 1;
	} else {
		rc = terms_cursor_next(&source->cursor, &source->term, error);
		source->key = source->term.word;
		if (rc > 0 && !value_read(source->key, &value))
			return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
			                 "a segment's values have a key of %zu bytes that is none",
			                 source->key.len);
	}
	source->has_key = rc > 0 && slice_compare(source->key, reading->to) <= 0;
	return rc < 0 ? rc : 0;
}

/* Adds the numbers of the key at hand. */
static int source_numbers(struct values_reading *reading, struct value_source *source,
                          struct postings *numbers, struct error *error)
{
	struct posting_list list;

	if (source->dictionary != NULL)
		list = dictionary_at(source->dictionary, source->at - 1).list;
	else if (terms_list(source->sections, &source->term, source->first, &reading->joined, &list, error) !=
	         0)
		return error->code;
	return posting_list_numbers(&list, numbers, error);
}

static int disk_source_open(struct values_reading *reading, const struct disk_segment *segment,
                            struct slice from, struct error *error)
{
	struct value_source *source = &reading->sources[reading->len];

	*source = (struct value_source){.first = segment->first};
	source->sections = section_reader_new(reading->txn, segment->values.id, segment->values.lengths);
	if (source->sections == NULL)
		return error_memory(error, sizeof *source);
	reading->len++;
	terms_cursor_init(&source->cursor, source->sections);
	if (terms_cursor_seek(&source->cursor, from, error) != 0)
		return error->code;
	return source_next(reading, source, error);
}

static int sources_open(struct values_reading *reading, struct slice from, struct error *error)
{
	const struct snapshot *snapshot = reading->snapshot;
	const struct manifest *manifest = &snapshot->manifest->manifest;

	reading->sources =
		calloc(snapshot->segments_len + manifest->segments_len + 1, sizeof *reading->sources);
	if (reading->sources == NULL)
		return error_memory(error, sizeof *reading->sources);
	for (size_t i = 0; i < snapshot->segments_len; i++) {
		const struct dictionary *dictionary = snapshot->segments[i]->values;
		struct value_source *source = &reading->sources[reading->len];

		if (dictionary == NULL)
			continue;
		*source = (struct value_source){.dictionary = dictionary,
		                                .at = dictionary_seek(dictionary, from)};
		reading->len++;
		if (source_next(reading, source, error) != 0)
			return error->code;
	}
	for (size_t i = 0; i < manifest->segments_len; i++)
		if (manifest->segments[i].values.id != 0 &&
		    disk_source_open(reading, &manifest->segments[i], from, error) != 0)
			return error->code;
	return 0;
}

/* Whatever it says, values_end follows. */
static int values_begin(struct values_reading *reading, const struct snapshot *snapshot,
                        const struct value_range *range, struct error *error)
{
	*reading =
		(struct values_reading){.snapshot = snapshot, .to = slice_of(range->to.bytes, range->to.len)};
	buffer_init(&reading->joined, LIST_BYTES_MAX);
	if (kv_begin(snapshot->kv, false, &reading->txn, error) != 0) {
		reading->txn = NULL;
		return error->code;
	}
	return sources_open(reading, slice_of(range->from.bytes, range->from.len), error);
}

static void values_end(struct values_reading *reading)
{
	for (size_t i = 0; i < reading->len; i++)
		section_reader_free(reading->sources[i].sections);
	free(reading->sources);
	free(reading->heap);
	buffer_deinit(&reading->joined);
	if (reading->txn != NULL)
		kv_abort(reading->txn);
}

static int values_add(struct values_reading *reading, struct postings *numbers, struct error *error)
{
	for (size_t i = 0; i < reading->len; i++) {
		struct value_source *source = &reading->sources[i];

		while (source->has_key)
			if (source_numbers(reading, source, numbers, error) != 0 ||
			    source_next(reading, source, error) != 0)
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
	reading->heap = calloc(reading->len + 1, sizeof(struct value_source *));
	if (reading->heap == NULL)
		return error_memory(error, reading->len * sizeof(struct value_source *));
	for (size_t i = 0; i < reading->len; i++)
		if (reading->sources[i].has_key)
			reading->heap[reading->heap_len++] = &reading->sources[i];
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

		if (source_numbers(reading, source, numbers, error) != 0 ||
		    source_next(reading, source, error) != 0)
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
