/*
 * Map: open addressing from byte keys to a 64-bit value.
 *
 * Keys are borrowed: the owner keeps their bytes (usually in an arena) as
 * long as they are in the map. Linear probing over XXH3, at most 3/4 full,
 * removal by shifting back, so no markers pile up. Order of iteration is no
 * part of any contract and must not reach output. Owner: one thread.
 */
#ifndef MILLRACE_BASE_MAP_H
#define MILLRACE_BASE_MAP_H

#include "shared/base/slice.h"

struct map_entry {
	struct slice key; /* key.ptr NULL: free; an empty key has a non-NULL ptr */
	uint64_t hash;
	uint64_t value;
};

struct map {
	struct map_entry *entries;
	size_t size; /* power of two, or 0 */
	size_t count;
};

void map_init(struct map *map);
void map_deinit(struct map *map);
/* Removes every entry, keeps the memory. */
void map_clear(struct map *map);
/* NULL if absent; the pointer is valid until the next put or remove. */
uint64_t *map_get(const struct map *map, struct slice key);
/* Sets the value, adding the key (borrowed) if absent; false when out of memory. */
bool map_put(struct map *map, struct slice key, uint64_t value);
/* True if it was there. */
bool map_remove(struct map *map, struct slice key);
/* The next entry after *at (start with 0), or NULL; the map must not change meanwhile. */
const struct map_entry *map_next(const struct map *map, size_t *at);

#endif
