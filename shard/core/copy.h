/*
 * Copy: a replica's disk on its way into another, empty store.
 *
 * What travels is the replica as of `stored`: a head, which is all of STATE and
 * DEAD as one read transaction shows it, and the chunks of the segments that
 * this transaction's manifest lists, and of their values, in pages by rising key. Nothing of memory:
 * whoever has the copy is fed from the log from there on.
 *
 * Source. replica_copy pins what is on disk: nothing is removed until
 * copy_source_head has read which segments it is that the copy has, and those
 * are not before the source is released. It is the owner's call and only makes
 * a note; the rest is any thread's. Chunks never change, so that each page is
 * read in a transaction of its own, and none is open for longer than a call.
 * Sources are released before the replica is closed.
 *
 * Target. An empty store takes the head, then the pages, each in one
 * transaction with the place that is reached; the last transaction makes it
 * a replica, of the incarnation that the target was given. Until then
 * replica_open refuses it. Whatever is killed in between, copy_target_open goes
 * on where the last transaction ended. The head must be of the very shard,
 * under the very rules; each chunk must be the next one that its segments make
 * due, with all its checksums: what was lost, doubled, swapped or changed on
 * the way is ERROR_DAMAGED (REJECT), nothing is changed, and the page may be
 * asked for again.
 *
 *   head  u32 COPY_FORMAT, u64[2] digest of the rest, entries of STATE, then
 *         DEAD, by rising key: u8 table, u16 length, key, u32 length, value
 *   page  entries of CHUNKS: u16 length, key, u32 length, value
 *   STATE "copy" → u64 checksum, u64[2] digest of the head, state (u32 length,
 *         bytes), ids that are whole (u32), u32 section, u64 at, u64 bytes,
 *         last word, last key (each u32 length, bytes)
 *
 * Bounds: a head has at most COPY_HEAD_BYTES_MAX (identities are 26 bytes each,
 * so this is a window of some nine million), a page COPY_PAGE_BYTES_MAX.
 * Owner of a target: one thread. Failure: as the store's, ERROR_MEMORY,
 * ERROR_LIMIT (REJECT, the head is too long), ERROR_STATE, ERROR_VERSION as
 * replica_open, ERROR_DAMAGED (FATAL of the source's own disk).
 */
#ifndef MILLRACE_SHARD_CORE_COPY_H
#define MILLRACE_SHARD_CORE_COPY_H

#include "shard/core/replica.h"

#define COPY_FORMAT 1
#define COPY_HEAD_BYTES_MAX (256U * 1024 * 1024)
#define COPY_PAGE_BYTES_MAX (5U * 1024 * 1024)
#define COPY_SKIP_MAX 3

struct copy_source;

/* Owner's thread. The caller releases it. */
int replica_copy(struct replica *replica, struct copy_source **source, struct error *error);
/* One more reference; returns it. */
struct copy_source *copy_source_hold(struct copy_source *source);
/* NULL: nothing happens. */
void copy_source_release(struct copy_source *source);
/* Appends the head, which comes first; after a failure the source is of no use. */
int copy_source_head(struct copy_source *source, struct buffer *head, struct error *error);
/* Appends the chunks behind the key `after` (empty: from the first one on), as many as a page takes; none: no more.
 * Before it `skip` pages are left out, so that several can be on their way at once. */
int copy_source_page(const struct copy_source *source, struct slice after, unsigned skip, struct buffer *page,
                     struct error *error);

/* The incarnation of the replica that is in the store; none if there is none, or a copy that is not whole. */
int copy_look(struct kv *kv, struct incarnation *incarnation, struct error *error);

struct copy_target;

/* Borrows `kv`, of which nobody else has anything open. With a head: begins, or goes on if that very head was
 * begun here. With an empty one: goes on, or ERROR_NOT_FOUND if no head is whole here. ERROR_STATE if there is a
 * replica, or chunks of another head: whoever wants this one removes the store. */
int copy_target_open(struct kv *kv, const struct replica_identity *identity, struct slice head,
                     struct copy_target **target, struct error *error);
void copy_target_free(struct copy_target *target);
/* The key of the last chunk that is here; borrowed until the next page. */
struct slice copy_target_after(const struct copy_target *target);
/* Puts a page; an empty one is ERROR_DAMAGED, as something is still due. */
int copy_target_page(struct copy_target *target, struct slice page, struct error *error);
/* Nothing is due any more. */
bool copy_target_is_whole(const struct copy_target *target);
/* It is whole: makes it a replica, for replica_open. */
int copy_target_finish(struct copy_target *target, struct error *error);

#endif
