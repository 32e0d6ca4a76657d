#include "shard/core/segment.h"

#include "shared/base/assert.h"

#include <stdlib.h>

struct chunk *chunk_new(size_t len, size_t bytes)
{
	struct chunk *chunk = malloc(sizeof *chunk + len * sizeof chunk->versions[0]);

	if (chunk == NULL)
		return NULL;
	chunk->next = NULL;
	chunk->len = 0;
	arena_init(&chunk->arena, bytes);
	return chunk;
}

void chunk_free(struct chunk *chunk)
{
	if (chunk == NULL)
		return;
	arena_deinit(&chunk->arena);
	free(chunk);
}

int version_compare(const struct version *a, const struct version *b)
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

static struct segment *segment_alloc(size_t puts)
{
	struct segment *segment = calloc(1, sizeof *segment);

	if (segment == NULL)
		return NULL;
	postings_init(&segment->killed);
	segment->puts = malloc((puts + 1) * sizeof *segment->puts);
	segment->order = malloc((puts + 1) * sizeof *segment->order);
	if (segment->puts == NULL || segment->order == NULL) {
		free(segment->puts);
		free(segment->order);
		free(segment);
		return NULL;
	}
	return segment;
}

static void segment_add_chunk(struct segment *segment, struct chunk *chunk)
{
	if (segment->first == NULL)
		segment->first = chunk;
	else
		segment->last->next = chunk;
	segment->last = chunk;
	segment->bytes += chunk_bytes(chunk);
	segment->versions_len += chunk->len;
	for (size_t i = 0; i < chunk->len; i++) {
		const struct version *version = &chunk->versions[i];

		segment->body_bytes += version->id.len + version->body.len;
		if (version->kind != OP_KIND_PUT)
			continue;
		if (segment->puts_len == 0)
			segment->number_first = version->number;
		ASSERT(version->number == segment->number_first + segment->puts_len);
		segment->puts[segment->puts_len++] = version;
	}
}

struct segment *segment_new(struct chunk *chunk, struct dictionary *dictionary, const struct mark *end)
{
	struct segment *segment = segment_alloc(chunk->len);

	if (segment == NULL)
		return NULL;
	segment_add_chunk(segment, chunk);
	memcpy(segment->order, segment->puts, segment->puts_len * sizeof *segment->puts);
	qsort(segment->order, segment->puts_len, sizeof *segment->order, order_compare);
	segment->dictionary = dictionary;
	segment->end = *end;
	segment->bytes +=
		sizeof *segment + dictionary_bytes(dictionary) + 2 * segment->puts_len * sizeof(void *);
	return segment;
}

/* Frees what is not the chunks'. */
static void segment_free_shell(struct segment *segment)
{
	postings_deinit(&segment->killed);
	dictionary_free(segment->dictionary);
	free(segment->puts);
	free(segment->order);
	free(segment);
}

void segment_free(struct segment *segment)
{
	if (segment == NULL)
		return;
	while (segment->first != NULL) {
		struct chunk *next = segment->first->next;

		chunk_free(segment->first);
		segment->first = next;
	}
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

/* Chunks, notes and what died. The parts come oldest first: what dies after a delete-all is above its bound. */
static void segment_absorb(struct segment *merged, struct segment *segment)
{
	struct chunk *chunk = segment->first;
	struct notes *notes = segment->notes_first;

	while (chunk != NULL) {
		struct chunk *next = chunk->next;

		chunk->next = NULL;
		segment_add_chunk(merged, chunk);
		chunk = next;
	}
	while (notes != NULL) {
		struct notes *next = notes->next;

		notes->next = NULL;
		segment_note(merged, notes);
		notes = next;
	}
	if (segment->cleared_below > merged->cleared_below) {
		postings_remove_range(&merged->killed, 0, segment->cleared_below);
		merged->cleared_below = segment->cleared_below;
	}
	postings_or(&merged->killed, &segment->killed);
}

struct segment *segment_merge(struct segment *const *segments, size_t len)
{
	const struct dictionary *parts[SEGMENT_FANOUT];
	struct segment *merged;
	size_t puts = 0;

	ASSERT(len >= 1 && len <= SEGMENT_FANOUT);
	for (size_t i = 0; i < len; i++) {
		parts[i] = segments[i]->dictionary;
		puts += segments[i]->puts_len;
	}
	merged = segment_alloc(puts);
	if (merged == NULL)
		return NULL;
	merged->dictionary = dictionary_merge(parts, len);
	if (merged->dictionary == NULL) {
		segment_free_shell(merged);
		return NULL;
	}
	for (size_t i = 0; i < len; i++)
		segment_absorb(merged, segments[i]);
	order_merge(merged, segments, len);
	merged->end = segments[len - 1]->end;
	merged->bytes += sizeof *merged + dictionary_bytes(merged->dictionary) + 2 * puts * sizeof(void *) +
	                 postings_bytes(&merged->killed);
	for (size_t i = 0; i < len; i++)
		segment_free_shell(segments[i]);
	return merged;
}

const struct version *segment_version(const struct segment *segment, uint64_t number)
{
	if (segment->puts_len == 0 || number < segment->number_first ||
	    number - segment->number_first >= segment->puts_len)
		return NULL;
	return segment->puts[number - segment->number_first];
}
