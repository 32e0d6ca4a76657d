#include "shard/core/walk.h"

#include <stdlib.h>

/* One memory segment, and its next entry. */
struct head {
	const struct segment *segment;
	size_t at;
};

struct walk {
	struct replica *replica;
	struct kv_txn *txn;
	struct kv_cursor *cursor;
	struct slice found; /* the cursor's entry; ptr NULL at the end */
	struct slice value;
	struct walk_entry *group; /* of the store, sorted; more than one only for long ids */
	size_t group_len;
	size_t group_size;
	size_t group_at;
	struct head *heap; /* the smallest first */
	size_t heap_len;
	uint64_t last; /* number given out last; numbers begin at 1 */
};

static int entry_compare(const struct walk_entry *a, const struct walk_entry *b)
{
	int order = insertion_key_compare(a->key, a->id, b->key, b->id);

	if (order != 0)
		return order;
	return a->number < b->number ? -1 : a->number > b->number;
}

static int group_compare(const void *a, const void *b)
{
	return entry_compare(a, b);
}

static bool head_before(const struct head *a, const struct head *b)
{
	return version_compare(a->segment->order[a->at], b->segment->order[b->at]) < 0;
}

static void heap_down(struct walk *walk, size_t at)
{
	for (;;) {
		size_t child = 2 * at + 1;
		struct head moved = walk->heap[at];

		if (child >= walk->heap_len)
			return;
		if (child + 1 < walk->heap_len && head_before(&walk->heap[child + 1], &walk->heap[child]))
			child++;
		if (!head_before(&walk->heap[child], &moved))
			return;
		walk->heap[at] = walk->heap[child];
		walk->heap[child] = moved;
		at = child;
	}
}

static void heap_advance(struct walk *walk)
{
	struct head *top = &walk->heap[0];

	if (++top->at == top->segment->puts_len)
		*top = walk->heap[--walk->heap_len];
	heap_down(walk, 0);
}

/* Moves the cursor on; found.ptr NULL at the end. */
static int cursor_step(struct walk *walk, int rc, const struct error *error)
{
	if (rc == 0)
		return 0;
	walk->found = (struct slice){0};
	return error->code == ERROR_NOT_FOUND ? 0 : error->code;
}

static int group_add(struct walk *walk, struct error *error)
{
	struct walk_entry entry;
	struct stored_document document;

	if (walk->group_len == walk->group_size) {
		size_t size = walk->group_size == 0 ? 4 : walk->group_size * 2;
		struct walk_entry *group = realloc(walk->group, size * sizeof *group);

		if (group == NULL)
			return error_memory(error, size * sizeof *group);
		walk->group = group;
		walk->group_size = size;
	}
	if (stored_order_decode(walk->found, walk->value, &document, &entry.number, error) != 0)
		return error->code;
	if (document.id.ptr == NULL &&
	    replica_document(walk->replica, walk->txn, entry.number, &document, error) != 0)
		return error->code;
	entry.key = document.key;
	entry.id = document.id;
	walk->group[walk->group_len++] = entry;
	return cursor_step(walk, kv_cursor_next(walk->cursor, &walk->found, &walk->value, error), error);
}

/* The next entry of the store, or all that share the prefix by which long ids are ordered. */
static int group_fill(struct walk *walk, struct error *error)
{
	struct slice prefix = walk->found;

	walk->group_at = 0;
	walk->group_len = 0;
	if (walk->found.ptr == NULL)
		return 0;
	if (group_add(walk, error) != 0)
		return error->code;
	if (prefix.len < ORDER_GROUP_BYTES)
		return 0;
	prefix.len = ORDER_GROUP_BYTES;
	while (walk->found.ptr != NULL && slice_starts_with(walk->found, prefix))
		if (group_add(walk, error) != 0)
			return error->code;
	qsort(walk->group, walk->group_len, sizeof *walk->group, group_compare);
	return 0;
}

static int walk_begin(struct walk *walk, struct error *error)
{
	struct replica *replica = walk->replica;
	struct slice first = {0};

	walk->heap = malloc((replica->segments_len + 1) * sizeof *walk->heap);
	if (walk->heap == NULL)
		return error_memory(error, replica->segments_len * sizeof *walk->heap);
	for (size_t i = 0; i < replica->segments_len; i++)
		if (replica->segments[i]->puts_len > 0)
			walk->heap[walk->heap_len++] = (struct head){replica->segments[i], 0};
	for (size_t i = walk->heap_len / 2; i-- > 0;)
		heap_down(walk, i);
	if (kv_cursor_open(walk->txn, KV_TABLE_ORDER, &walk->cursor, error) != 0)
		return error->code;
	first = slice_of("", 1); /* below every key: those are longer */
	return cursor_step(walk, kv_cursor_seek(walk->cursor, first, &walk->found, &walk->value, error),
	                   error);
}

int walk_open(struct replica *replica, struct kv_txn *txn, struct walk **out, struct error *error)
{
	struct walk *walk = calloc(1, sizeof *walk);

	if (walk == NULL)
		return error_memory(error, sizeof *walk);
	walk->replica = replica;
	walk->txn = txn;
	if (walk_begin(walk, error) != 0 || group_fill(walk, error) != 0) {
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
	if (walk->cursor != NULL)
		kv_cursor_close(walk->cursor);
	free(walk->group);
	free(walk->heap);
	free(walk);
}

/* The smaller of the store's and the memory's next entries, taken. */
static int walk_take(struct walk *walk, struct walk_entry *entry, struct error *error)
{
	bool stored = walk->group_at < walk->group_len;

	if (walk->heap_len > 0) {
		const struct version *version = walk->heap[0].segment->order[walk->heap[0].at];
		struct walk_entry head = {version->number, version->key, version->id};

		if (!stored || entry_compare(&head, &walk->group[walk->group_at]) <= 0) {
			*entry = head;
			heap_advance(walk);
			return 1;
		}
	}
	if (!stored)
		return 0;
	*entry = walk->group[walk->group_at++];
	if (walk->group_at == walk->group_len && group_fill(walk, error) != 0)
		return error->code;
	return 1;
}

int walk_next(struct walk *walk, struct walk_entry *entry, struct error *error)
{
	int rc;

	do
		rc = walk_take(walk, entry, error);
	while (rc > 0 && entry->number == walk->last);
	if (rc > 0)
		walk->last = entry->number;
	return rc;
}
