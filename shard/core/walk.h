/*
 * Walk: a replica's live documents in insertion order, memory and disk
 * together.
 *
 * Merges the orders of the memory segments with those of the disk segments by
 * (insertion key, id). What is dead is passed over.
 *
 * Lives as long as the views, while the replica does not change.
 */
#ifndef MILLRACE_SHARD_CORE_WALK_H
#define MILLRACE_SHARD_CORE_WALK_H

#include "shard/core/replica_private.h"

struct walk;

int walk_open(struct replica *replica, struct views *views, struct walk **walk, struct error *error);
void walk_close(struct walk *walk);
/* 1 and a document, 0 at the end, or negative. Reads ids through the views. */
int walk_next(struct walk *walk, struct located *located, struct error *error);

#endif
