/*
 * Window leaf: the facts of WINDOW_LEAF offsets, sealed.
 *
 * Layout, little-endian: blocks of LEAF_BLOCK_BYTES, each with up to
 * LEAF_BLOCK_FACTS facts sorted by identity (low word, high word), then offset:
 *   u64 low  u64 high  i64 offset  u64 operation
 * zeros after the last, and in the block's last 8 bytes hash64 of all before,
 * seeded with leaf and block, so that misplaced blocks are found, too.
 *
 * Pure; a leaf is what stays in memory of one.
 */
#ifndef MILLRACE_FEED_WINDOW_LEAF_H
#define MILLRACE_FEED_WINDOW_LEAF_H

#include "shared/base/buffer.h"
#include "shared/feed/window.h"

#define LEAF_BLOCK_BYTES 4096
#define LEAF_BLOCK_FACTS 127
#define LEAF_BYTES_MAX ((WINDOW_LEAF + LEAF_BLOCK_FACTS - 1) / LEAF_BLOCK_FACTS * LEAF_BLOCK_BYTES)

struct leaf;

/* Sorts the facts and encodes them into `bytes` (empty before). NULL when out of memory, or `bytes` has failed. */
struct leaf *leaf_seal(int64_t number, struct occurrence *facts, size_t facts_len, struct buffer *bytes);
void leaf_free(struct leaf *leaf);

int64_t leaf_number(const struct leaf *leaf);
size_t leaf_memory(const struct leaf *leaf);
size_t leaf_stored(const struct leaf *leaf);
/* False: it certainly has no fact of the identity. */
bool leaf_may_have(const struct leaf *leaf, struct hash128 identity);
/* The last occurrence below `offset` of the identity, in the leaf's bytes: 1 and the fact, 0 if there is none,
 * ERROR_DAMAGED. */
int leaf_find(const struct leaf *leaf, struct slice bytes, struct hash128 identity, int64_t offset,
              struct occurrence *fact, struct error *error);

#endif
