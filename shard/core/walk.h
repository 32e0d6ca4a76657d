/*
 * Walk: a replica's documents in insertion order, memory and store together.
 *
 * Merges the orders of the memory segments with the store's ORDER table by
 * (insertion key, id, number). A version that is in both comes once. Entries
 * include superseded versions: the caller asks replica->deleted.
 *
 * Ids too long for an ORDER key are cut there; entries that share the cut
 * prefix are gathered and sorted by their whole ids, read from DOCUMENTS.
 *
 * Lives as long as its read transaction, while the replica does not change.
 */
#ifndef MILLRACE_SHARD_CORE_WALK_H
#define MILLRACE_SHARD_CORE_WALK_H

#include "shard/core/replica_private.h"

struct walk;

struct walk_entry {
	uint64_t number;
	struct insertion_key key;
	struct slice id; /* borrowed from the transaction or a segment */
};

int walk_open(struct replica *replica, struct kv_txn *txn, struct walk **walk, struct error *error);
void walk_close(struct walk *walk);
/* 1 and an entry, 0 at the end, or negative. */
int walk_next(struct walk *walk, struct walk_entry *entry, struct error *error);

#endif
