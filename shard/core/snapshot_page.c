/* A page of some documents of a snapshot, in insertion order. */
#include "shard/core/walk.h"

#include <stdlib.h>

/* A step of a walk that has not marked what it wants costs about a quarter of finding a document's key and id by its
 * number. */
#define WALK_STEPS_A_FETCH 4

/* A hit on its way into the page. */
struct candidate {
	struct located located;
	struct slice id; /* read where keys are equal only */
};

static int candidate_compare(const void *a, const void *b)
{
	const struct candidate *left = a;
	const struct candidate *right = b;

	return insertion_key_compare(left->located.key, left->id, right->located.key, right->id);
}

static bool candidates_tie(const struct candidate *a, const struct candidate *b)
{
	struct slice none = slice_of("", 0);

	return insertion_key_compare(a->located.key, none, b->located.key, none) == 0;
}

static int candidate_id(struct candidate *candidate, struct arena *arena, struct error *error)
{
	struct slice id;

	if (located_id(&candidate->located, &id, error) != 0)
		return error->code;
	return arena_copy(arena, id, &candidate->id) ? 0 : error_memory(error, id.len);
}

/* Candidates of one key, in the order of their ids. */
static int candidates_order(struct candidate *tied, size_t len, struct arena *arena, struct error *error)
{
	if (len == 1)
		return 0;
	for (size_t i = 0; i < len; i++)
		if (candidate_id(&tied[i], arena, error) != 0)
			return error->code;
	qsort(tied, len, sizeof *tied, candidate_compare);
	return 0;
}

/* Few hits: find them all, and take the first in insertion order, until the page has `end` documents. */
static int page_from_hits(struct reading *reading, const struct postings *set, size_t end,
                          struct error *error)
{
	size_t len = (size_t)postings_count(set);
	uint64_t *numbers = arena_alloc(reading->arena, (len + 1) * sizeof *numbers);
	struct candidate *found = arena_alloc(reading->arena, (len + 1) * sizeof *found);
	size_t ordered = 0;

	if (numbers == NULL || found == NULL)
		return error_memory(error, len * sizeof *found);
	postings_list(set, numbers);
	for (size_t i = 0; i < len; i++) {
		found[i].id = slice_of("", 0);
		if (watch_step(reading->watch, WATCH_FIND, error) != 0 ||
		    reading_locate(reading, numbers[i], &found[i].located, error) != 0)
			return error->code;
	}
	qsort(found, len, sizeof *found, candidate_compare);
	for (size_t i = 0; i < len && reading->page.count < end; i++) {
		if (i == ordered) {
			while (ordered < len && candidates_tie(&found[i], &found[ordered]))
				ordered++;
			if (candidates_order(&found[i], ordered - i, reading->arena, error) != 0)
				return error->code;
		}
		if (reading_add(reading, &found[i].located, error) != 0)
			return error->code;
	}
	return 0;
}

/* Many hits: walk the documents in insertion order until there are enough. */
static int page_from_walk(struct reading *reading, const struct postings *set, size_t end,
                          struct error *error)
{
	struct located located;
	struct walk *walk;
	int rc = 0;

	if (walk_open(reading, set, &walk, error) != 0)
		return error->code;
	while (reading->page.count < end && (rc = walk_next(walk, &located, error)) > 0) {
		rc = reading_add(reading, &located, error);
		if (rc != 0)
			break;
	}
	walk_close(walk);
	return rc < 0 ? rc : 0;
}

int reading_fill(struct reading *reading, const struct postings *set, struct error *error)
{
	uint64_t room = reading->limit - reading->page.count;
	uint64_t hits = postings_count(set);
	size_t end;

	room = hits < room ? hits : room;
	if (room == 0)
		return 0;
	end = reading->page.count + (size_t)room;
	/* the walk takes about room * documents / hits steps */
	if (hits < UINT32_MAX && hits * hits <= room * reading->snapshot->documents / WALK_STEPS_A_FETCH)
		return page_from_hits(reading, set, end, error);
	return page_from_walk(reading, set, end, error);
}
