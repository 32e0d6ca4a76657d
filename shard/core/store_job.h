/*
 * Store job: a prefix of a replica's segments on its way to the disk, in one
 * transaction. Shared by replica_store.c (its life, documents and state),
 * replica_store_leaving.c (what it replaces or deletes),
 * replica_store_postings.c (the index) and replica_store_marks.c (identities
 * and origins).
 *
 * The segments are frozen: the job reads them on any thread, the replica does
 * not touch them until replica_store_end.
 */
#ifndef MILLRACE_SHARD_CORE_STORE_JOB_H
#define MILLRACE_SHARD_CORE_STORE_JOB_H

#include "shard/core/replica_private.h"

/* One dictionary of the merge is that of the words taken out. */
#define STORE_SEGMENTS_MAX (DICTIONARY_MERGE_MAX - 1)

/* A stored version that the job replaces or deletes. */
struct leaving {
	uint64_t number;
	struct insertion_key key;
	uint32_t body_bytes;
	bool killed; /* by a barrier: nothing of the job has its id */
};

struct replica_store_job {
	struct kv *kv;
	struct segment *segments[STORE_SEGMENTS_MAX]; /* the replica's, frozen */
	size_t segments_len;
	size_t versions_len; /* of them, how many are stored: all */
	bool in_part;        /* or not, if that rule is knocked out */
	struct replica_identity identity;
	struct mark end;
	/* from here on the run's own */
	struct kv_txn *txn;
	struct map newest;      /* id → struct version * */
	struct postings killed; /* by the barriers of the segments */
	bool cleared;           /* everything that was stored leaves */
	struct leaving *leaving;
	size_t leaving_len;
	size_t leaving_size;
	uint8_t *written; /* a bit a number from number_first: put by this job */
	uint64_t number_first;
	uint64_t numbers;
	struct words *words;
	struct dictionary_builder
		*builder; /* words → places in `leaving`: stored numbers may lie far apart */
	struct buffer scratch;
	size_t adding; /* place of the leaving version whose words are collected */
	struct postings block;
};

/* Versions of the job in offset order. */
struct version_cursor {
	const struct replica_store_job *job;
	size_t segment;
	const struct chunk *chunk;
	size_t at;
	size_t given;
};

struct version_cursor job_versions(const struct replica_store_job *job);
/* NULL after the last. */
const struct version *job_version_next(struct version_cursor *cursor);
/* True for what the job leaves of the version's id; a put only if no barrier killed it. */
bool job_is_newest(const struct replica_store_job *job, const struct version *version);
bool job_is_put(struct replica_store_job *job, const struct version *version);
/* True if the job puts the document with this number. */
bool job_writes(const struct replica_store_job *job, uint64_t number);

/* Puts what the scratch holds into STATE. */
int job_write_scratch(struct replica_store_job *job, struct stored_key key, struct error *error);

/* replica_store_leaving.c */
/* What is stored under the ids of the job and what its barriers killed, and what the job makes of the mark. */
int leaving_find(struct replica_store_job *job, struct mark *mark, struct error *error);
/* Takes it out of every table; of POSTINGS all but the words of the last ones, which are left in the builder. */
int leaving_remove(struct replica_store_job *job, struct error *error);

/* replica_store_postings.c */
/* Takes out the words in the builder; puts those of the segments as well if `coming`. */
int postings_write(struct replica_store_job *job, bool coming, struct error *error);

/* replica_store_marks.c */
/* What the segments' ranges noted; trims what has left the window of what is stored then. */
int marks_write(struct replica_store_job *job, struct error *error);

#endif
