#include "shard/shelf.h"

#include "shared/base/assert.h"
#include "shared/runtime/clock.h"

#include <pthread.h>
#include <stdlib.h>

struct shelf_entry {
	uint64_t index_id;
	int32_t partition;
	size_t pins;
	struct shelf_view *oldest; /* of the views that pin it */
	struct shelf_view *newest;
	struct serving_shard seen;
	struct snapshot *snapshot;
};

struct shelf {
	pthread_mutex_t lock;
	pthread_cond_t given;         /* the last pin of some entry */
	struct shelf_entry **entries; /* by index id, partition */
	size_t len;
	size_t size;
};

struct shelf *shelf_new(void)
{
	struct shelf *shelf = calloc(1, sizeof *shelf);

	if (shelf == NULL)
		return NULL;
	(void)pthread_mutex_init(&shelf->lock, NULL);
	(void)pthread_cond_init(&shelf->given, NULL);
	return shelf;
}

void shelf_free(struct shelf *shelf)
{
	if (shelf == NULL)
		return;
	ASSERT(shelf->len == 0);
	(void)pthread_mutex_destroy(&shelf->lock);
	(void)pthread_cond_destroy(&shelf->given);
	free(shelf->entries);
	free(shelf);
}

/* Where the entry is, or belongs. */
static size_t place_of(const struct shelf *shelf, uint64_t index_id, int32_t partition)
{
	size_t low = 0;
	size_t high = shelf->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct shelf_entry *entry = shelf->entries[middle];

		if (entry->index_id < index_id ||
		    (entry->index_id == index_id && entry->partition < partition))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct shelf_entry *entry_find(const struct shelf *shelf, uint64_t index_id, int32_t partition)
{
	size_t at = place_of(shelf, index_id, partition);
	struct shelf_entry *entry = at < shelf->len ? shelf->entries[at] : NULL;

	return entry != NULL && entry->index_id == index_id && entry->partition == partition ? entry : NULL;
}

static struct shelf_entry *entry_add(struct shelf *shelf, uint64_t index_id, int32_t partition)
{
	size_t at = place_of(shelf, index_id, partition);
	struct shelf_entry *entry = calloc(1, sizeof *entry);

	if (entry == NULL)
		return NULL;
	if (shelf->len == shelf->size) {
		size_t size = shelf->size == 0 ? 16 : 2 * shelf->size;
		struct shelf_entry **entries = realloc(shelf->entries, size * sizeof(struct shelf_entry *));

		if (entries == NULL) {
			free(entry);
			return NULL;
		}
		shelf->entries = entries;
		shelf->size = size;
	}
	entry->index_id = index_id;
	entry->partition = partition;
	memmove(shelf->entries + at + 1, shelf->entries + at,
	        (shelf->len - at) * sizeof(struct shelf_entry *));
	shelf->entries[at] = entry;
	shelf->len++;
	return entry;
}

bool shelf_put(struct shelf *shelf, uint64_t index_id, int32_t partition, const struct serving_shard *seen,
               struct snapshot *snapshot)
{
	struct snapshot *before = NULL;
	struct shelf_entry *entry;

	(void)pthread_mutex_lock(&shelf->lock);
	entry = entry_find(shelf, index_id, partition);
	if (entry == NULL)
		entry = entry_add(shelf, index_id, partition);
	if (entry != NULL) {
		before = entry->snapshot;
		entry->snapshot = snapshot;
		entry->seen = *seen;
	}
	(void)pthread_mutex_unlock(&shelf->lock);
	snapshot_release(before);
	return entry != NULL;
}

void shelf_remove(struct shelf *shelf, uint64_t index_id, int32_t partition)
{
	struct shelf_entry *entry;

	(void)pthread_mutex_lock(&shelf->lock);
	entry = entry_find(shelf, index_id, partition);
	if (entry != NULL) {
		size_t at = place_of(shelf, index_id, partition);

		shelf->len--;
		memmove(shelf->entries + at, shelf->entries + at + 1,
		        (shelf->len - at) * sizeof(struct shelf_entry *));
		while (entry->pins > 0)
			(void)pthread_cond_wait(&shelf->given, &shelf->lock);
	}
	(void)pthread_mutex_unlock(&shelf->lock);
	if (entry == NULL)
		return;
	snapshot_release(entry->snapshot);
	free(entry);
}

static void view_pin(struct shelf_view *view, struct shelf_entry *entry)
{
	*view = (struct shelf_view){.entry = entry,
	                            .seen = entry->seen,
	                            .snapshot = snapshot_hold(entry->snapshot),
	                            .taken_ms = clock_monotonic_ms(),
	                            .older = entry->newest};
	if (entry->newest != NULL)
		entry->newest->newer = view;
	else
		entry->oldest = view;
	entry->newest = view;
	entry->pins++;
}

static void view_unpin(const struct shelf_view *view)
{
	struct shelf_entry *entry = view->entry;

	if (view->older != NULL)
		view->older->newer = view->newer;
	else
		entry->oldest = view->newer;
	if (view->newer != NULL)
		view->newer->older = view->older;
	else
		entry->newest = view->older;
	entry->pins--;
}

void shelf_take(struct shelf *shelf, uint64_t index_id, int32_t partition, struct shelf_view *view)
{
	struct shelf_entry *entry;

	*view = (struct shelf_view){.seen = {.state = REPLICA_STATE_STOPPED}};
	(void)pthread_mutex_lock(&shelf->lock);
	entry = entry_find(shelf, index_id, partition);
	if (entry != NULL)
		view_pin(view, entry);
	(void)pthread_mutex_unlock(&shelf->lock);
}

void shelf_give(struct shelf *shelf, struct shelf_view *view)
{
	if (view->entry == NULL)
		return;
	snapshot_release(view->snapshot);
	(void)pthread_mutex_lock(&shelf->lock);
	view_unpin(view);
	if (view->entry->pins == 0)
		(void)pthread_cond_broadcast(&shelf->given);
	(void)pthread_mutex_unlock(&shelf->lock);
	view->entry = NULL;
	view->snapshot = NULL;
}

struct shelf_readers shelf_readers(struct shelf *shelf, uint64_t index_id, int32_t partition)
{
	struct shelf_readers readers = {.oldest_ms = -1};
	const struct shelf_entry *entry;

	(void)pthread_mutex_lock(&shelf->lock);
	entry = entry_find(shelf, index_id, partition);
	if (entry != NULL && entry->oldest != NULL)
		readers = (struct shelf_readers){entry->pins, entry->oldest->taken_ms};
	(void)pthread_mutex_unlock(&shelf->lock);
	return readers;
}
