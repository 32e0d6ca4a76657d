/*
 * Intake: a range on its way into a replica.
 *
 * The operations of the range are folded one by one onto what was there
 * before it: for every id that they touch the intake remembers what that was
 * and keeps one version of what it becomes, so that a thousand merges of one
 * document cost the memory of one, and its words are cut once. Until
 * intake_settle bodies are those of the frame, or made by a merge; then every
 * version gets its own copy, its number and its words.
 *
 * Nothing of the replica changes meanwhile but `overlay`, which intake_close
 * puts back unless the replica has taken the chunk. A barrier is the only
 * operation of its range: it marks numbers as killed and touches no id.
 *
 * replica_fold.c and replica_barrier.c; for replica_receive.c alone. Owner:
 * the replica's thread.
 */
#ifndef MILLRACE_SHARD_CORE_INTAKE_H
#define MILLRACE_SHARD_CORE_INTAKE_H

#include "shard/core/replica_private.h"

/* A document as it was before the range. */
struct previous {
	uint64_t number;
	struct hash128 digest;
	uint64_t body_bytes;
};

/* What the range found of an id that it touches; its version is the chunk's at the same place. */
struct touched {
	const struct version *before; /* in the overlay; NULL: the id was not there */
	bool existed;
	struct previous previous; /* if it existed */
	uint8_t *merged;          /* the version's body, if a merge made it */
};

struct intake {
	struct replica *replica;
	struct kv_txn *txn; /* NULL: nothing was looked for on disk yet */
	struct views views;
	struct mark now;
	struct chunk *chunk; /* NULL once the replica has it */
	struct touched *touched;
	struct postings killed; /* live documents that are dead once the range is there */
	uint64_t cleared_below; /* a delete-all killed every number below; 0: none */
	struct notes *notes;    /* NULL: none, or the segment has them */
	struct arena merging;
	uint64_t number; /* of the version whose words and keys are collected */
	bool has_keys;
	uint64_t applied;
	uint64_t merges_too_large;
	uint64_t skipped;
};

/* Room for what `range` says it has. On failure intake_close is still to be called. */
int intake_open(struct intake *intake, struct replica *replica, const struct range *range,
                struct error *error);
/* Folds the operations at or above received; on failure the range is as if it had not come. */
int intake_fold(struct intake *intake, const struct range *range, struct error *error);
/* Takes over what the range tells beside its operations. */
int intake_note(struct intake *intake, const struct range *range, struct error *error);
/* Gives every version what it needs to be a segment's. */
int intake_settle(struct intake *intake, struct error *error);
void intake_close(struct intake *intake);

/* Of the replica's manifest, until intake_close. */
int intake_views(struct intake *intake, struct views **views, struct error *error);
/* replica_barrier.c: delete-by-filter or delete-all. */
int intake_barrier(struct intake *intake, const struct op *op, struct error *error);

#endif
