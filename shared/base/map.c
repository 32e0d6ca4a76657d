#include "shared/base/map.h"

#include "shared/base/assert.h"
#include "shared/base/hash.h"

#include <stdlib.h>

#define MAP_SIZE_MIN 16

void map_init(struct map *map)
{
	*map = (struct map){0};
}

void map_deinit(struct map *map)
{
	free(map->entries);
	*map = (struct map){0};
}

void map_clear(struct map *map)
{
	if (map->entries != NULL)
		memset(map->entries, 0, map->size * sizeof *map->entries);
	map->count = 0;
}

/* The entry of `key`, or the free one where it belongs. */
static struct map_entry *map_find(const struct map *map, struct slice key, uint64_t hash)
{
	size_t at = hash & (map->size - 1);

	while (map->entries[at].key.ptr != NULL) {
		struct map_entry *entry = &map->entries[at];

		if (entry->hash == hash && slice_equal(entry->key, key))
			return entry;
		at = (at + 1) & (map->size - 1);
	}
	return &map->entries[at];
}

static bool map_resize(struct map *map)
{
	struct map old = *map;
	size_t size = old.size ? old.size * 2 : MAP_SIZE_MIN;
	struct map_entry *entries = calloc(size, sizeof *entries);

	if (entries == NULL)
		return false;
	map->entries = entries;
	map->size = size;
	for (size_t i = 0; i < old.size; i++)
		if (old.entries[i].key.ptr != NULL)
			*map_find(map, old.entries[i].key, old.entries[i].hash) = old.entries[i];
	free(old.entries);
	return true;
}

uint64_t *map_get(const struct map *map, struct slice key)
{
	struct map_entry *entry;

	if (map->count == 0)
		return NULL;
	entry = map_find(map, key, hash64(key, 0));
	return entry->key.ptr == NULL ? NULL : &entry->value;
}

bool map_put(struct map *map, struct slice key, uint64_t value)
{
	struct map_entry *entry;
	uint64_t hash = hash64(key, 0);

	ASSERT(key.ptr != NULL);
	if (4 * (map->count + 1) > 3 * map->size && !map_resize(map))
		return false;
	entry = map_find(map, key, hash);
	if (entry->key.ptr == NULL) {
		*entry = (struct map_entry){key, hash, value};
		map->count++;
	}
	entry->value = value;
	return true;
}

bool map_remove(struct map *map, struct slice key)
{
	struct map_entry *entry;
	size_t mask = map->size - 1;
	size_t hole;

	if (map->count == 0)
		return false;
	entry = map_find(map, key, hash64(key, 0));
	if (entry->key.ptr == NULL)
		return false;
	hole = (size_t)(entry - map->entries);
	for (size_t at = (hole + 1) & mask; map->entries[at].key.ptr != NULL; at = (at + 1) & mask) {
		size_t home = map->entries[at].hash & mask;

		/* moves back only if its home is not between the hole and here */
		if (((at - home) & mask) >= ((at - hole) & mask)) {
			map->entries[hole] = map->entries[at];
			hole = at;
		}
	}
	map->entries[hole] = (struct map_entry){0};
	map->count--;
	return true;
}

const struct map_entry *map_next(const struct map *map, size_t *at)
{
	while (*at < map->size) {
		const struct map_entry *entry = &map->entries[(*at)++];

		if (entry->key.ptr != NULL)
			return entry;
	}
	return NULL;
}
