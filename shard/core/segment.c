#include "shard/core/segment.h"

#include "shared/base/assert.h"
#include "shared/base/hash.h"

#include <stdlib.h>

struct chunk *chunk_new(size_t len, size_t bytes)
{
	struct chunk *chunk = malloc(sizeof *chunk + len * sizeof chunk->versions[0]);

	if (chunk == NULL)
		return NULL;
	atomic_init(&chunk->references, 1);
	chunk->len = 0;
	arena_init(&chunk->arena, bytes);
	return chunk;
}

void chunk_release(struct chunk *chunk)
{
	if (chunk == NULL || atomic_fetch_sub_explicit(&chunk->references, 1, memory_order_acq_rel) > 1)
		return;
	arena_deinit(&chunk->arena);
	free(chunk);
}

/* By insertion key, then id, then number. */
static int version_compare(const struct version *a, const struct version *b)
{
	int order = insertion_key_compare(a->key, a->id, b->key, b->id);

	if (order != 0)
		return order;
	return a->number < b->number ? -1 : a->number > b->number;
}

static int order_compare(const void *a, const void *b)
{
	const struct version *const *left = a;
	const struct version *const *right = b;

	return version_compare(*left, *right);
}

static size_t chunk_bytes(const struct chunk *chunk)
{
	return sizeof *chunk + chunk->len * sizeof chunk->versions[0] + arena_bytes(&chunk->arena);
}

/* Frees what is not the chunks' and not the notes'. */
static void segment_free_shell(struct segment *segment)
{
	postings_deinit(&segment->killed);
	dictionary_free(segment->dictionary);
	dictionary_free(segment->values);
	free(segment->chunks);
	free(segment->puts);
	free(segment->order);
	free(segment->ids);
	free(segment);
}

static struct segment *segment_alloc(size_t chunks, size_t puts)
{
	struct segment *segment = calloc(1, sizeof *segment);

	if (segment == NULL)
		return NULL;
	atomic_init(&segment->references, 1);
	postings_init(&segment->killed);
	segment->ids_size = 4;
	while (segment->ids_size <= 2 * puts)
		segment->ids_size *= 2;
	segment->chunks = malloc(chunks * sizeof(struct chunk *));
	segment->puts = malloc((puts + 1) * sizeof *segment->puts);
	segment->order = malloc((puts + 1) * sizeof *segment->order);
	segment->ids = calloc(segment->ids_size, sizeof *segment->ids);
	if (segment->chunks == NULL || segment->puts == NULL || segment->order == NULL ||
	    segment->ids == NULL) {
		segment_free_shell(segment);
		return NULL;
	}
	memset(&segment->cover, 0xFF, sizeof segment->cover);
	segment->bytes =
		sizeof *segment + 2 * puts * sizeof(void *) + segment->ids_size * sizeof segment->ids[0];
	return segment;
}

/* One reference to the chunk is the segment's from here on. */
static void segment_add_chunk(struct segment *segment, struct chunk *chunk)
{
	segment->chunks[segment->chunks_len++] = chunk;
	segment->bytes += chunk_bytes(chunk);
	segment->versions_len += chunk->len;
	for (size_t i = 0; i < chunk->len; i++) {
		const struct version *version = &chunk->versions[i];

		segment->body_bytes += version->id.len + version->body.len;
		if (version->kind != OP_KIND_PUT)
			continue;
		ASSERT(version->number == segment->number_first + segment->puts_len);
		segment->puts[segment->puts_len++] = version;
	}
}

/* An id that is there twice keeps both of its puts. */
static void ids_add(struct segment *segment, uint32_t hash, size_t put)
{
	size_t at = hash & (segment->ids_size - 1);

	while (segment->ids[at].put != 0)
		at = (at + 1) & (segment->ids_size - 1);
	segment->ids[at] = (struct id_slot){hash, (uint32_t)put + 1};
}

static uint32_t id_hash(struct slice id)
{
	return (uint32_t)hash64(id, 0);
}

struct segment *segment_new(struct chunk *chunk, struct dictionary *dictionary, const struct mark *end)
{
	struct segment *segment = segment_alloc(1, chunk->len);

	if (segment == NULL)
		return NULL;
	segment->number_first = end->number_next;
	for (size_t i = chunk->len; i-- > 0;)
		if (chunk->versions[i].kind == OP_KIND_PUT)
			segment->number_first = chunk->versions[i].number;
	segment_add_chunk(segment, chunk);
	for (size_t i = 0; i < segment->puts_len; i++)
		ids_add(segment, id_hash(segment->puts[i]->id), i);
	memcpy(segment->order, segment->puts, segment->puts_len * sizeof *segment->puts);
	qsort(segment->order, segment->puts_len, sizeof *segment->order, order_compare);
	segment->dictionary = dictionary;
	segment->end = *end;
	segment->bytes += dictionary_bytes(dictionary);
	return segment;
}

void segment_set_values(struct segment *segment, struct dictionary *values, const struct value_cover *cover)
{
	segment->values = values;
	if (values != NULL)
		segment->bytes += dictionary_bytes(values);
	if (segment->puts_len > 0)
		segment->cover = *cover;
}

void segment_hold(struct segment *segment)
{
	atomic_fetch_add_explicit(&segment->references, 1, memory_order_relaxed);
}

void segment_release(struct segment *segment)
{
	if (segment == NULL || atomic_fetch_sub_explicit(&segment->references, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < segment->chunks_len; i++)
		chunk_release(segment->chunks[i]);
	notes_free(segment->notes_first);
	segment_free_shell(segment);
}

void segment_kill(struct segment *segment, struct postings *killed, uint64_t cleared_below)
{
	segment->killed = *killed;
	segment->cleared_below = cleared_below;
	segment->bytes += postings_bytes(killed);
	postings_init(killed);
}

void segment_note(struct segment *segment, struct notes *notes)
{
	if (segment->notes_first == NULL)
		segment->notes_first = notes;
	else
		segment->notes_last->next = notes;
	segment->notes_last = notes;
	segment->bytes += notes->bytes;
	segment->body_bytes += notes->bytes;
}

void segment_cover(struct segment *segment, const struct mark *end)
{
	segment->end = *end;
}

static size_t size_class(const struct segment *segment)
{
	size_t limit = SEGMENT_BYTES_KEPT / SEGMENT_FANOUT / SEGMENT_FANOUT;
	size_t size = 0;

	for (; segment->bytes >= limit && limit <= SEGMENT_BYTES_KEPT; limit *= SEGMENT_FANOUT)
		size++;
	return size; /* 3: kept */
}

bool segment_merge_place(struct segment *const *segments, size_t len, size_t from, size_t *at)
{
	bool crowded = len - from >= SEGMENTS_CROWDED;
	size_t run = 0;
	size_t previous = SIZE_MAX;

	for (size_t i = len; i-- > from;) {
		size_t size = size_class(segments[i]);

		if (segments[i]->bytes >= SEGMENT_BYTES_KEPT)
			run = 0;
		else if (i + 1 < len && segments[i]->cutting != segments[i + 1]->cutting)
			run = 1;
		else
			run = size == previous || crowded ? run + 1 : 1;
		previous = size;
		if (run == SEGMENT_FANOUT) {
			*at = i;
			return true;
		}
	}
	return false;
}

/* Merges the parts' orders by repeatedly taking the smallest head. */
static void order_merge(struct segment *merged, struct segment *const *segments, size_t len)
{
	size_t heads[SEGMENT_FANOUT] = {0};

	for (size_t to = 0; to < merged->puts_len; to++) {
		size_t best = len;

		for (size_t i = 0; i < len; i++) {
			if (heads[i] == segments[i]->puts_len)
				continue;
			if (best == len || version_compare(segments[i]->order[heads[i]],
			                                   segments[best]->order[heads[best]]) < 0)
				best = i;
		}
		ASSERT(best < len);
		merged->order[to] = segments[best]->order[heads[best]++];
	}
}

/* Chunks, ids and what died. The parts come oldest first: what dies after a delete-all is above its bound. */
static void segment_absorb(struct segment *merged, const struct segment *segment)
{
	size_t puts = merged->puts_len;

	for (size_t i = 0; i < segment->chunks_len; i++) {
		atomic_fetch_add_explicit(&segment->chunks[i]->references, 1, memory_order_relaxed);
		segment_add_chunk(merged, segment->chunks[i]);
	}
	for (size_t i = 0; i < segment->ids_size; i++)
		if (segment->ids[i].put != 0)
			ids_add(merged, segment->ids[i].hash, puts + segment->ids[i].put - 1);
	if (segment->cleared_below > merged->cleared_below) {
		postings_remove_range(&merged->killed, 0, segment->cleared_below);
		merged->cleared_below = segment->cleared_below;
	}
	postings_or(&merged->killed, &segment->killed);
}

static void notes_move(struct segment *merged, struct segment *segment)
{
	struct notes *notes = segment->notes_first;

	segment->notes_first = NULL;
	while (notes != NULL) {
		struct notes *next = notes->next;

		notes->next = NULL;
		segment_note(merged, notes);
		notes = next;
	}
}

/* The keys of the parts; false when out of memory. */
static bool values_merge(struct segment *merged, struct segment *const *segments, size_t len)
{
	const struct dictionary *parts[SEGMENT_FANOUT];
	size_t parts_len = 0;

	for (size_t i = 0; i < len; i++) {
		value_cover_and(&merged->cover, &segments[i]->cover);
		if (segments[i]->values != NULL)
			parts[parts_len++] = segments[i]->values;
	}
	if (parts_len == 0)
		return true;
	merged->values = dictionary_merge(parts, parts_len);
	if (merged->values == NULL)
		return false;
	merged->bytes += dictionary_bytes(merged->values);
	return true;
}

struct segment *segment_merge(struct segment *const *segments, size_t len)
{
	const struct dictionary *parts[SEGMENT_FANOUT];
	struct segment *merged;
	size_t chunks = 0;
	size_t puts = 0;

	ASSERT(len >= 1 && len <= SEGMENT_FANOUT);
	for (size_t i = 0; i < len; i++) {
		parts[i] = segments[i]->dictionary;
		chunks += segments[i]->chunks_len;
		puts += segments[i]->puts_len;
	}
	merged = segment_alloc(chunks, puts);
	if (merged == NULL)
		return NULL;
	merged->dictionary = dictionary_merge(parts, len);
	if (merged->dictionary == NULL || !values_merge(merged, segments, len)) {
		segment_free_shell(merged);
		return NULL;
	}
	merged->number_first = segments[0]->number_first;
	merged->cutting = segments[0]->cutting;
	for (size_t i = 0; i < len; i++)
		segment_absorb(merged, segments[i]);
	for (size_t i = 0; i < len; i++)
		notes_move(merged, segments[i]);
	order_merge(merged, segments, len);
	merged->end = segments[len - 1]->end;
	merged->bytes += dictionary_bytes(merged->dictionary) + postings_bytes(&merged->killed);
	return merged;
}

const struct version *segment_version(const struct segment *segment, uint64_t number)
{
	if (segment->puts_len == 0 || number < segment->number_first ||
	    number - segment->number_first >= segment->puts_len)
		return NULL;
	return segment->puts[number - segment->number_first];
}

const struct version *segment_find(const struct segment *segment, struct slice id)
{
	uint32_t hash = id_hash(id);
	const struct version *found = NULL;

	for (size_t at = hash & (segment->ids_size - 1); segment->ids[at].put != 0;
	     at = (at + 1) & (segment->ids_size - 1)) {
		const struct version *version = segment->puts[segment->ids[at].put - 1];

		if (segment->ids[at].hash == hash && slice_equal(version->id, id) &&
		    (found == NULL || version->number > found->number))
			found = version;
	}
	return found;
}

const struct segment *segments_covering(struct segment *const *segments, size_t len, uint64_t number)
{
	size_t low = 0;
	size_t high = len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (segments[middle]->number_first <= number)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || segment_version(segments[low - 1], number) == NULL)
		return NULL;
	return segments[low - 1];
}
