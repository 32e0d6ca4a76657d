/*
 * Shelf: what the search threads see of the replicas that this node holds.
 *
 * For every open replica how it stands for a question (core/serving.h) and an
 * immutable snapshot of its contents. The owner's thread puts both whenever
 * one has changed; a search thread takes them and answers without waiting for
 * the owner. What is taken is pinned: a replica that goes is closed only when
 * nobody reads it any more (shelf_remove waits for that, as long as the
 * questions that have begun last).
 *
 * A snapshot may be older than its replica by what the owner is applying
 * right now, never newer than what it is said to have received.
 *
 * Any thread; one lock, held for a lookup only. Owner of the replicas: the
 * node's owner thread.
 */
#ifndef MILLRACE_SHARD_SHELF_H
#define MILLRACE_SHARD_SHELF_H

#include "shard/core/serving.h"
#include "shard/core/snapshot.h"

struct shelf;
struct shelf_entry;

/* One replica as a question sees it. */
struct shelf_view {
	struct shelf_entry *entry; /* pinned; NULL: it is not on the shelf */
	struct serving_shard seen;
	struct snapshot *snapshot; /* the view's own */
	int64_t taken_ms;
	struct shelf_view *older; /* of the same entry */
	struct shelf_view *newer;
};

/* Who reads a replica now. */
struct shelf_readers {
	size_t len;
	int64_t oldest_ms; /* clock_monotonic_ms when it began; -1: none reads */
};

struct shelf *shelf_new(void);
/* Nothing is on it any more. */
void shelf_free(struct shelf *shelf);
/* Takes the snapshot. False when out of memory: then what was there stays, and the snapshot the caller's. */
bool shelf_put(struct shelf *shelf, uint64_t index_id, int32_t partition, const struct serving_shard *seen,
               struct snapshot *snapshot);
/* Returns when nobody holds a view of it any more. Nothing happens if it is not there. */
void shelf_remove(struct shelf *shelf, uint64_t index_id, int32_t partition);

/* The view stays where it is until it is given back. */
void shelf_take(struct shelf *shelf, uint64_t index_id, int32_t partition, struct shelf_view *view);
/* Gives back what shelf_take filled, an empty view too. */
void shelf_give(struct shelf *shelf, struct shelf_view *view);
/* Of a replica that is not on the shelf: none. */
struct shelf_readers shelf_readers(struct shelf *shelf, uint64_t index_id, int32_t partition);

#endif
