#include "shard/core/views.h"

#include "shared/base/hash.h"

void views_init(struct views *views, struct kv_txn *txn, const struct manifest *manifest)
{
	views->txn = txn;
	views->manifest = manifest;
	for (size_t i = 0; i < manifest->segments_len; i++)
		views->opened[i] = NULL;
}

void views_deinit(struct views *views)
{
	for (size_t i = 0; i < views->manifest->segments_len; i++)
		disk_view_free(views->opened[i]);
}

int views_at(struct views *views, size_t i, struct disk_view **view, struct error *error)
{
	if (views->opened[i] == NULL)
		views->opened[i] = disk_view_new(views->txn, &views->manifest->segments[i]);
	if (views->opened[i] == NULL)
		return error_memory(error, sizeof *view);
	*view = views->opened[i];
	return 0;
}

int views_find(struct views *views, struct slice id, struct disk_entry *entry, struct disk_view **view,
               struct error *error)
{
	uint64_t hash = hash64(id, 0);

	for (size_t i = views->manifest->segments_len; i-- > 0;) {
		if (views_at(views, i, view, error) != 0)
			return error->code;
		if (disk_find(*view, id, hash, entry, error) == 0)
			return 0;
		if (error->code != ERROR_NOT_FOUND)
			return error->code;
	}
	return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "no disk segment lists the id");
}

/* Place of the last segment that begins at or below the number; the count of segments if there is none. */
static size_t segment_place(const struct manifest *manifest, uint64_t number)
{
	size_t low = 0;
	size_t high = manifest->segments_len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (manifest->segments[middle].first <= number)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? manifest->segments_len : low - 1;
}

int views_number(struct views *views, uint64_t number, struct disk_entry *entry, struct disk_view **view,
                 struct error *error)
{
	size_t at = segment_place(views->manifest, number);
	uint32_t place;

	if (at == views->manifest->segments_len)
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "below every disk segment");
	if (views_at(views, at, view, error) != 0 || disk_place(*view, number, &place, error) != 0)
		return error->code;
	return disk_entry_at(*view, place, entry, error);
}
