/*
 * Snapshot bodies: the bodies of documents that a search of a snapshot found.
 *
 * By their numbers, and all in one transaction: what is looked up of a segment
 * is looked up once, and a page of which several hits are is unpacked once.
 * Looking each hit up by its id costs four times as much.
 *
 * The snapshot is borrowed for the life of it. One thread. Failure:
 * ERROR_MEMORY, ERROR_STORAGE (RETRY), ERROR_DAMAGED (FATAL).
 */
#ifndef MILLRACE_SHARD_CORE_SNAPSHOT_BODIES_H
#define MILLRACE_SHARD_CORE_SNAPSHOT_BODIES_H

#include "shard/core/snapshot.h"

struct snapshot_bodies;

int snapshot_bodies_open(const struct snapshot *snapshot, struct snapshot_bodies **bodies,
                         struct error *error);
/* NULL: nothing happens. */
void snapshot_bodies_close(struct snapshot_bodies *bodies);
/* Of a document that lives in the snapshot; borrowed until the next call. A number that is nowhere is
 * ERROR_DAMAGED. */
int snapshot_bodies_read(struct snapshot_bodies *bodies, uint64_t number, struct slice *body,
                         struct error *error);

#endif
