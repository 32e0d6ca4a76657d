/*
 * Extent: where the map of an environment's file lies, and how much of it the
 * file is behind. A map may be longer than its file; who reads there is ended
 * by the system (SIGBUS). LMDB keeps no checksums and hands out the length
 * that a page states, so a damaged one may reach that far.
 *
 * LMDB does not say where its map is; but each of its pages begins with its
 * own number, so one page tells, and the file is asked if that is true.
 *
 * Threads: found while nobody looks at the map; then any number may ask. The
 * file only grows: what is known of its length is read again when a value
 * seems to be longer.
 */
#ifndef MILLRACE_SHARD_EXTENT_H
#define MILLRACE_SHARD_EXTENT_H

#include "shared/base/slice.h"

#include <stdatomic.h>
#include <stdbool.h>

#define EXTENT_PAGE_BYTES_MAX 65536

struct extent {
	int fd; /* LMDB's */
	uintptr_t base;
	size_t map_bytes;
	atomic_size_t file_bytes; /* at least */
};

/* From `inside`, which is in some page of `page_bytes` in the map; the other members are set. False if that page says
 * another number than the file has it at. */
bool extent_find(struct extent *extent, const void *inside, size_t page_bytes);
/* If all of these bytes may be read: in the file, or not in the map at all (what a transaction itself has written). */
bool extent_holds(struct extent *extent, struct slice bytes);

#endif
