/*
 * Snapshot: the contents of a replica as of one moment, for any thread.
 *
 * Immutable and counted. It holds the memory segments, the manifest of the
 * disk segments and what of both was dead at that moment; the owner goes on
 * and shares with it what has not changed since. Each call reads in a
 * transaction of its own, and neither waits for the owner nor stops it. The
 * replica's kv store stays open as long as a snapshot of it is asked.
 *
 * Calls say nothing about the state of the replica: whoever asks knows it
 * (serving.h). One that fails with ERROR_DAMAGED or FATAL has found the
 * replica damaged: the owner is told (replica_damaged).
 *
 * replica_snapshot and replica_damaged are the owner's; the rest is any
 * thread's. Failure: ERROR_MEMORY, ERROR_STORAGE (RETRY), ERROR_DAMAGED (FATAL).
 */
#ifndef MILLRACE_SHARD_CORE_SNAPSHOT_H
#define MILLRACE_SHARD_CORE_SNAPSHOT_H

#include "shard/core/replica.h"

struct snapshot;
struct words;

struct document {
	struct slice id;
	struct slice body;
	struct insertion_key key;
};

/* Documents of one answer; everything in it is owned by the arena it was asked with. */
struct document_page {
	struct document *documents;
	size_t count;
	uint64_t total; /* matches in the whole replica */
};

/* What is asked for: documents after the first `offset`, at most `limit`. */
struct document_request {
	uint64_t offset;
	size_t limit;
	bool keys_only;      /* bodies stay empty; get those that are needed */
	struct arena *arena; /* where the answer goes */
};

/* As of received; the same one as long as nothing has changed. NULL when out of memory. The caller releases it. */
struct snapshot *replica_snapshot(struct replica *replica);
/* Stops the replica for what a snapshot's call said, if that says so. */
void replica_damaged(struct replica *replica, const struct error *error);

/* One more reference to it; returns it. NULL: nothing happens. */
struct snapshot *snapshot_hold(struct snapshot *snapshot);
/* NULL: nothing happens. */
void snapshot_release(struct snapshot *snapshot);

/* Received as of the snapshot. */
int64_t snapshot_received(const struct snapshot *snapshot);
/* Whether a document has, or had once, text at the path or at one that is nested in it. */
bool snapshot_has_field(const struct snapshot *snapshot, struct slice path);
/* ERROR_NOT_FOUND if there is none. */
int snapshot_get(const struct snapshot *snapshot, struct slice id, struct arena *arena,
                 struct document *document, struct error *error);
/* Live documents in insertion order. */
int snapshot_list(const struct snapshot *snapshot, const struct document_request *request,
                  struct document_page *page, struct error *error);
/* Reads every stored document and mark of what is committed when it begins, checks checksums, and compares digest and
 * counts. ERROR_DAMAGED. `words` is the calling thread's. */
int snapshot_verify(const struct snapshot *snapshot, struct words *words, struct error *error);

#endif
