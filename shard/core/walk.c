#include "shard/core/walk.h"

#include <stdlib.h>

/* One segment, and its next document that is wanted. */
struct head {
	const struct segment *segment; /* in memory; NULL: on disk */
	struct disk_view *view;
	size_t at; /* in the segment's order, of the document after the next one */
	struct located next;
	struct slice id;
	uint8_t *copy; /* on disk: room for the id, which is borrowed until another one is read */
	/* on disk, of a walk for some documents: */
	uint64_t wanted;  /* how many are in the segment */
	uint64_t steps;   /* taken, until … */
	uint64_t *places; /* … these are marked: a bit of each place that is wanted; NULL: not yet */
};

struct walk {
	const struct snapshot *snapshot;
	const struct postings *only; /* NULL: all */
	struct watch *watch;
	struct head *heads;
	size_t heads_len;
	struct head **heap; /* the smallest first */
	size_t heap_len;
	uint8_t *copies;
};

static bool head_before(const struct head *a, const struct head *b)
{
	return insertion_key_compare(a->next.key, a->id, b->next.key, b->id) < 0;
}

static void heap_down(struct walk *walk, size_t at)
{
	struct head *moved = walk->heap[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= walk->heap_len)
			break;
		if (child + 1 < walk->heap_len && head_before(walk->heap[child + 1], walk->heap[child]))
			child++;
		if (!head_before(walk->heap[child], moved))
			break;
		walk->heap[at] = walk->heap[child];
		at = child;
	}
	walk->heap[at] = moved;
}

static bool is_wanted(const struct walk *walk, uint64_t number)
{
	if (walk->only != NULL)
		return postings_contains(walk->only, number);
	return !postings_contains(&walk->snapshot->deleted, number);
}

static int memory_step(struct walk *walk, struct head *head, struct error *error)
{
	while (head->at < head->segment->puts_len) {
		const struct version *version = head->segment->order[head->at++];

		if (watch_step(walk->watch, 1, error) != 0)
			return error->code;
		if (!is_wanted(walk, version->number))
			continue;
		head->next = located_version(version);
		head->id = version->id;
		return 1;
	}
	return 0;
}

/* Finds the places of all that are wanted. */
static int places_mark(const struct walk *walk, struct head *head, struct error *error)
{
	const struct disk_segment *segment = disk_view_segment(head->view);
	size_t size = segment->documents / 64 + 1;
	uint64_t number = segment->first;

	head->places = calloc(size, sizeof *head->places);
	if (head->places == NULL)
		return error_memory(error, size * sizeof *head->places);
	for (; postings_next(walk->only, number, &number) && number < segment->end; number++) {
		uint32_t place;

		if (watch_step(walk->watch, 1, error) != 0)
			return error->code;
		if (disk_place(head->view, number, &place, error) == 0)
			head->places[place / 64] |= 1ULL << place % 64;
		else if (error->code != ERROR_NOT_FOUND)
			return error->code;
	}
	return 0;
}

/* The next document of the segment that may be wanted: 1, 0 at the end, or negative. Who wants those that stand late in
 * the order would look at every document; after as many steps as there are wanted ones, these are marked, and a step
 * costs next to nothing. */
static int place_next(const struct walk *walk, struct head *head, uint32_t *place, struct error *error)
{
	do {
		if (head->at == disk_view_segment(head->view)->documents)
			return 0;
		if (head->places == NULL && walk->only != NULL && head->steps++ == head->wanted &&
		    places_mark(walk, head, error) != 0)
			return error->code;
		if (watch_step(walk->watch, 1, error) != 0 ||
		    disk_order_at(head->view, (uint32_t)head->at++, place, error) != 0)
			return error->code;
	} while (head->places != NULL && !(head->places[*place / 64] >> *place % 64 & 1));
	return 1;
}

static int disk_step(struct walk *walk, struct head *head, struct error *error)
{
	struct disk_entry entry;
	struct slice id;
	uint32_t place;
	int rc;

	do {
		rc = place_next(walk, head, &place, error);
		if (rc <= 0)
			return rc;
		if (disk_entry_at(head->view, place, &entry, error) != 0)
			return error->code;
	} while (!is_wanted(walk, entry.number));
	if (disk_id(head->view, &entry, &id, error) != 0)
		return error->code;
	if (id.len > RECORD_ID_BYTES_MAX)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "document %llu has an id of %zu bytes", (unsigned long long)entry.number,
		                 id.len);
	memcpy(head->copy, id.ptr, id.len);
	head->id = slice_of(head->copy, id.len);
	head->next = located_entry(head->view, &entry);
	return 1;
}

/* To the segment's next document that is wanted: 1, 0 at its end, or negative. */
static int head_step(struct walk *walk, struct head *head, struct error *error)
{
	if (head->segment == NULL)
		return disk_step(walk, head, error);
	return memory_step(walk, head, error);
}

/* The head added last, if there is something in it. */
static int head_begin(struct walk *walk, struct error *error)
{
	struct head *head = &walk->heads[walk->heads_len++];
	int rc = head_step(walk, head, error);

	if (rc > 0)
		walk->heap[walk->heap_len++] = head;
	return rc < 0 ? rc : 0;
}

static int walk_begin(struct walk *walk, struct views *views, struct error *error)
{
	const struct snapshot *snapshot = walk->snapshot;
	size_t disk = views->manifest->segments_len;
	size_t len = snapshot->segments_len + disk;

	walk->heads = calloc(len + 1, sizeof *walk->heads);
	walk->heap = calloc(len + 1, sizeof *walk->heap);
	walk->copies = malloc(disk * RECORD_ID_BYTES_MAX + 1);
	if (walk->heads == NULL || walk->heap == NULL || walk->copies == NULL)
		return error_memory(error, len * sizeof *walk->heads);
	for (size_t i = 0; i < snapshot->segments_len; i++) {
		walk->heads[walk->heads_len].segment = snapshot->segments[i];
		if (head_begin(walk, error) != 0)
			return error->code;
	}
	for (size_t i = 0; i < disk; i++) {
		struct head *head = &walk->heads[walk->heads_len];

		head->copy = walk->copies + i * RECORD_ID_BYTES_MAX;
		if (walk->only != NULL)
			head->wanted = postings_count_range(walk->only, views->manifest->segments[i].first,
			                                    views->manifest->segments[i].end);
		if (views_at(views, i, &head->view, error) != 0 || head_begin(walk, error) != 0)
			return error->code;
	}
	for (size_t i = walk->heap_len / 2; i-- > 0;)
		heap_down(walk, i);
	return 0;
}

int walk_open(struct reading *reading, const struct postings *only, struct walk **out, struct error *error)
{
	struct walk *walk = calloc(1, sizeof *walk);

	if (walk == NULL)
		return error_memory(error, sizeof *walk);
	walk->snapshot = reading->snapshot;
	walk->only = only;
	walk->watch = reading->watch;
	if (walk_begin(walk, &reading->views, error) != 0) {
		walk_close(walk);
		return error->code;
	}
	*out = walk;
	return 0;
}

void walk_close(struct walk *walk)
{
	if (walk == NULL)
		return;
	for (size_t i = 0; i < walk->heads_len; i++)
		free(walk->heads[i].places);
	free(walk->heads);
	free(walk->heap);
	free(walk->copies);
	free(walk);
}

int walk_next(struct walk *walk, struct located *located, struct error *error)
{
	struct head *head = walk->heap_len == 0 ? NULL : walk->heap[0];
	int rc;

	if (head == NULL)
		return 0;
	*located = head->next;
	rc = head_step(walk, head, error);
	if (rc < 0)
		return rc;
	if (rc == 0)
		walk->heap[0] = walk->heap[--walk->heap_len];
	if (walk->heap_len > 0)
		heap_down(walk, 0);
	return 1;
}
