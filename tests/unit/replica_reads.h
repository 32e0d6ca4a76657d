/*
 * Replica reads: what is asked of a replica on its owner's thread, through a
 * snapshot of what it is now, as nodes ask (snapshot.h); one that is found
 * damaged stops. Nothing of CUnit: whoever asks judges.
 */
#ifndef MILLRACE_TESTS_UNIT_REPLICA_READS_H
#define MILLRACE_TESTS_UNIT_REPLICA_READS_H

#include "shard/core/snapshot.h"
#include "shard/core/words.h"

/* Of this program, for ever; NULL when out of memory. */
static inline struct words *reads_words(void)
{
	static struct words *words;

	if (words == NULL)
		words = words_new();
	return words;
}

/* NULL when out of memory; reads_end follows. */
static inline struct snapshot *reads_begin(struct replica *replica, struct error *error)
{
	struct snapshot *snapshot = reads_words() == NULL ? NULL : replica_snapshot(replica);

	if (snapshot == NULL)
		(void)error_memory(error, sizeof snapshot);
	return snapshot;
}

/* Returns `rc`, which is what the snapshot's call said. */
static inline int reads_end(struct replica *replica, struct snapshot *snapshot, int rc,
                            const struct error *error)
{
	snapshot_release(snapshot);
	if (rc != 0)
		replica_damaged(replica, error);
	return rc;
}

static inline int reads_get(struct replica *replica, struct slice id, struct arena *arena,
                            struct document *document, struct error *error)
{
	struct snapshot *snapshot = reads_begin(replica, error);

	if (snapshot == NULL)
		return error->code;
	return reads_end(replica, snapshot, snapshot_get(snapshot, id, arena, document, error), error);
}

static inline int reads_list(struct replica *replica, const struct document_request *request,
                             struct document_page *page, struct error *error)
{
	struct snapshot *snapshot = reads_begin(replica, error);

	if (snapshot == NULL)
		return error->code;
	return reads_end(replica, snapshot, snapshot_list(snapshot, request, page, error), error);
}

static inline int reads_verify(struct replica *replica, struct error *error)
{
	struct snapshot *snapshot = reads_begin(replica, error);

	if (snapshot == NULL)
		return error->code;
	return reads_end(replica, snapshot, snapshot_verify(snapshot, reads_words(), error), error);
}

#endif
