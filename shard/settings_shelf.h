/*
 * Settings shelf: the settings, made ready, that the search threads answer by.
 *
 * By index id: the version in force, the one that replicas build for, and those
 * that have left less than SETTINGS_SHELF_KEPT_MS ago, since gateways read meta
 * at moments of their own. The owner's thread puts what meta says; a search
 * thread takes the version that its question names. One that is not there,
 * because meta was not read so far, it has left, or this program does not
 * understand it, is lacking: the asker is told which one is in force here.
 *
 * Of an index that nobody has set anything of, and of every other one too,
 * SEARCH_SETTINGS_DEFAULT is there.
 *
 * At most SETTINGS_SHELF_VERSIONS_MAX of an index; the first to leave gives way.
 * Any thread; one lock, held for a lookup only. `now_ms` is clock_monotonic_ms.
 */
#ifndef MILLRACE_SHARD_SETTINGS_SHELF_H
#define MILLRACE_SHARD_SETTINGS_SHELF_H

#include "shard/core/search_settings.h"

#define SETTINGS_SHELF_KEPT_MS 60000
#define SETTINGS_SHELF_VERSIONS_MAX 16

struct settings_shelf;

/* ERROR_MEMORY. */
int settings_shelf_new(struct settings_shelf **shelf, struct error *error);
/* NULL: nothing happens. */
void settings_shelf_free(struct settings_shelf *shelf);

/* What meta says now; holds both. `in_force` NULL: the defaults; `coming` NULL: none is. False when out of memory:
 * nothing has changed. */
bool settings_shelf_put(struct settings_shelf *shelf, uint64_t index_id, struct search_settings *in_force,
                        struct search_settings *coming, int64_t now_ms);
/* Lets go of what has left long enough ago. */
void settings_shelf_expire(struct settings_shelf *shelf, int64_t now_ms);
/* Of an index that this node has nothing of any more. */
void settings_shelf_remove(struct settings_shelf *shelf, uint64_t index_id);

/* The caller's to release. NULL: it is lacking, and `*in_force` (NULL: not asked) is the version that is in force. */
struct search_settings *settings_shelf_take(struct settings_shelf *shelf, uint64_t index_id, int64_t version,
                                            int64_t *in_force);

#endif
