/*
 * Arena: memory that is freed all at once; one a request, batch or memtable.
 *
 * Allocations are aligned for any type, never zeroed, and stay where they
 * are until arena_clear or arena_deinit. arena_bytes counts what was asked
 * from malloc, so that an owner can keep a budget. Owner: one thread.
 */
#ifndef MILLRACE_BASE_ARENA_H
#define MILLRACE_BASE_ARENA_H

#include "shared/base/slice.h"

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	size_t block_bytes;         /* size of an ordinary block */
	size_t bytes;               /* in all blocks */
};

void arena_init(struct arena *arena, size_t block_bytes);
void arena_deinit(struct arena *arena);
/* Frees every block; the arena can be used again. */
void arena_clear(struct arena *arena);
/* NULL when malloc fails. */
void *arena_alloc(struct arena *arena, size_t len);
/* A copy inside the arena; `*copy` is written only on success (true). */
bool arena_copy(struct arena *arena, struct slice bytes, struct slice *copy);
size_t arena_bytes(const struct arena *arena);

#endif
