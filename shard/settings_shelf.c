#include "shard/settings_shelf.h"

#include "shared/base/map.h"

#include <pthread.h>
#include <stdlib.h>

#define NOT_LEFT INT64_MAX

struct shelved {
	struct search_settings *settings;
	int64_t left_ms; /* NOT_LEFT: in force or coming */
};

struct settings_of {
	uint64_t index_id; /* key in the map */
	int64_t in_force;
	struct shelved list[SETTINGS_SHELF_VERSIONS_MAX]; /* in the order of leaving */
	size_t len;
};

struct settings_shelf {
	pthread_mutex_t lock;
	struct map indexes; /* index id → struct settings_of * */
	struct search_settings *defaults;
};

int settings_shelf_new(struct settings_shelf **out, struct error *error)
{
	struct settings_shelf *shelf = calloc(1, sizeof *shelf);

	if (shelf == NULL)
		return error_memory(error, sizeof *shelf);
	if (search_settings_new(SEARCH_SETTINGS_DEFAULT, (struct slice){0}, &shelf->defaults, error) != 0) {
		free(shelf);
		return error->code;
	}
	map_init(&shelf->indexes);
	(void)pthread_mutex_init(&shelf->lock, NULL);
	*out = shelf;
	return 0;
}

static void settings_of_free(struct settings_of *index)
{
	for (size_t i = 0; i < index->len; i++)
		search_settings_release(index->list[i].settings);
	free(index);
}

void settings_shelf_free(struct settings_shelf *shelf)
{
	const struct map_entry *entry;
	size_t at = 0;

	if (shelf == NULL)
		return;
	while ((entry = map_next(&shelf->indexes, &at)) != NULL)
		settings_of_free((struct settings_of *)(uintptr_t)entry->value);
	map_deinit(&shelf->indexes);
	search_settings_release(shelf->defaults);
	(void)pthread_mutex_destroy(&shelf->lock);
	free(shelf);
}

static struct slice key_of(const uint64_t *index_id)
{
	return slice_of(index_id, sizeof *index_id);
}

static struct settings_of *index_find(const struct settings_shelf *shelf, uint64_t index_id)
{
	const uint64_t *value = map_get(&shelf->indexes, key_of(&index_id));

	return value == NULL ? NULL : (struct settings_of *)(uintptr_t)*value;
}

static struct settings_of *index_add(struct settings_shelf *shelf, uint64_t index_id)
{
	struct settings_of *index = calloc(1, sizeof *index);

	if (index == NULL)
		return NULL;
	index->index_id = index_id;
	index->in_force = SEARCH_SETTINGS_DEFAULT;
	if (map_put(&shelf->indexes, key_of(&index->index_id), (uint64_t)(uintptr_t)index))
		return index;
	free(index);
	return NULL;
}

static void remove_at(struct settings_of *index, size_t at)
{
	search_settings_release(index->list[at].settings);
	index->len--;
	memmove(index->list + at, index->list + at + 1, (index->len - at) * sizeof index->list[0]);
}

static void leave_all(struct settings_of *index, int64_t now_ms)
{
	for (size_t i = 0; i < index->len; i++)
		if (index->list[i].left_ms == NOT_LEFT)
			index->list[i].left_ms = now_ms;
}

/* Behind what has left. */
static void add(struct settings_of *index, struct search_settings *settings)
{
	for (size_t i = index->len; i-- > 0;)
		if (index->list[i].settings->version == settings->version)
			remove_at(index, i);
	if (index->len == SETTINGS_SHELF_VERSIONS_MAX)
		remove_at(index, 0);
	index->list[index->len++] = (struct shelved){search_settings_hold(settings), NOT_LEFT};
}

static void expire(struct settings_of *index, int64_t now_ms)
{
	while (index->len > 0 && index->list[0].left_ms <= now_ms - SETTINGS_SHELF_KEPT_MS)
		remove_at(index, 0);
}

bool settings_shelf_put(struct settings_shelf *shelf, uint64_t index_id, struct search_settings *in_force,
                        struct search_settings *coming, int64_t now_ms)
{
	struct settings_of *index;

	(void)pthread_mutex_lock(&shelf->lock);
	index = index_find(shelf, index_id);
	if (index == NULL)
		index = index_add(shelf, index_id);
	if (index != NULL) {
		leave_all(index, now_ms);
		expire(index, now_ms);
		if (coming != NULL)
			add(index, coming);
		if (in_force != NULL)
			add(index, in_force);
		index->in_force = in_force != NULL ? in_force->version : SEARCH_SETTINGS_DEFAULT;
	}
	(void)pthread_mutex_unlock(&shelf->lock);
	return index != NULL;
}

void settings_shelf_expire(struct settings_shelf *shelf, int64_t now_ms)
{
	const struct map_entry *entry;
	size_t at = 0;

	(void)pthread_mutex_lock(&shelf->lock);
	while ((entry = map_next(&shelf->indexes, &at)) != NULL)
		expire((struct settings_of *)(uintptr_t)entry->value, now_ms);
	(void)pthread_mutex_unlock(&shelf->lock);
}

void settings_shelf_remove(struct settings_shelf *shelf, uint64_t index_id)
{
	struct settings_of *index;

	(void)pthread_mutex_lock(&shelf->lock);
	index = index_find(shelf, index_id);
	if (index != NULL)
		(void)map_remove(&shelf->indexes, key_of(&index_id));
	(void)pthread_mutex_unlock(&shelf->lock);
	if (index != NULL)
		settings_of_free(index);
}

static struct search_settings *version_find(const struct settings_of *index, int64_t version)
{
	for (size_t i = 0; i < index->len; i++)
		if (index->list[i].settings->version == version)
			return index->list[i].settings;
	return NULL;
}

struct search_settings *settings_shelf_take(struct settings_shelf *shelf, uint64_t index_id, int64_t version,
                                            int64_t *in_force)
{
	struct search_settings *found = NULL;
	const struct settings_of *index;

	(void)pthread_mutex_lock(&shelf->lock);
	index = index_find(shelf, index_id);
	if (version == SEARCH_SETTINGS_DEFAULT)
		found = shelf->defaults;
	else if (index != NULL)
		found = version_find(index, version);
	if (found != NULL)
		(void)search_settings_hold(found);
	if (in_force != NULL)
		*in_force = index != NULL ? index->in_force : SEARCH_SETTINGS_DEFAULT;
	(void)pthread_mutex_unlock(&shelf->lock);
	return found;
}
