/*
 * Leaves: where windows of identities (shared/feed/window.h) keep what does not
 * fit in memory: one LMDB file of the program.
 *
 * A cache and no state: the file is unlinked as soon as it is open, so it ends
 * with the process, is never found again, and two processes may name the same
 * directory. Nothing is synced. Its size is bounded: a put beyond the bound is
 * ERROR_LIMIT, and the partition waits; nothing is evicted, because that would
 * change verdicts.
 *
 * This module alone, with shard/kv.h's, includes lmdb.h. Owner: one thread.
 */
#ifndef MILLRACE_FEEDING_LEAVES_H
#define MILLRACE_FEEDING_LEAVES_H

#include "shared/feed/window.h"

struct leaves;

/* Makes the directory if it is missing. ERROR_STORAGE names the path. */
int leaves_open(const char *directory, uint64_t bytes_max, struct leaves **leaves, struct error *error);
/* Every shelf's window must have been freed. NULL does nothing. */
void leaves_close(struct leaves *leaves);
uint64_t leaves_bytes(const struct leaves *leaves); /* of the file */

/* The leaves of one window; lives as long as that, where the caller wants it. */
struct shelf {
	struct leaves *leaves;
	uint64_t number;
};

/* A store with no leaf in it, whatever other windows keep. */
struct window_store leaves_shelf(struct leaves *leaves, struct shelf *shelf);

#endif
