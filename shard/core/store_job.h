/*
 * Store job: a prefix of a replica's segments on its way to the disk. Shared
 * by replica_store.c (its life and the state), replica_store_kills.c (what it
 * does to older disk segments), replica_store_segment.c (the new one) and
 * replica_store_marks.c (identities and origins).
 *
 * The prefix becomes one disk segment of the documents that the prefix itself
 * has not killed. Its chunks go in transactions of bounded size; as long as
 * there are more to come the segment stands in the manifest as `building`. The
 * last transaction makes it the replica's: manifest, dead numbers, fields,
 * marks and state at once.
 *
 * The segments are frozen: the job reads them on any thread, the replica does
 * not touch them until replica_store_end.
 */
#ifndef MILLRACE_SHARD_CORE_STORE_JOB_H
#define MILLRACE_SHARD_CORE_STORE_JOB_H

#include "shard/core/documents.h"
#include "shard/core/replica_private.h"

#define STORE_SEGMENTS_MAX 256
/* Bodies and ids of one store, unless one segment has more. */
#define STORE_BYTES_MAX (64U * 1024 * 1024)
/* Identities of one store, unless one segment has more: all of them go in its last transaction, 26 bytes each. */
#define STORE_IDENTITIES_MAX 65536
/* Chunks that one transaction takes; with what else it writes it stays below 8 MB. */
#ifndef STORE_TRANSACTION_BYTES /* a test's is smaller, as its stores are */
#define STORE_TRANSACTION_BYTES (5U * 1024 * 1024)
#endif

/* Numbers that no disk segment lists any more. */
struct store_interval {
	uint64_t first;
	uint64_t end;
};

struct replica_store_job {
	struct kv *kv;
	struct segment *segments[STORE_SEGMENTS_MAX]; /* the replica's, frozen */
	size_t segments_len;
	bool in_part; /* the last one is stored in part, if that rule is knocked out */
	struct replica_identity identity;
	struct mark end;
	uint64_t id;        /* of the disk segment */
	uint64_t values_id; /* of its values */
	struct value_cover cover;
	struct attributes_ref *attributes; /* to be stored; NULL: the disk has them */
	struct cuttings_value cuttings;
	/* what failed jobs left in `building` */
	uint64_t orphans[MANIFEST_BUILDING_MAX];
	size_t orphans_len;
	struct buffer fields; /* encoded; empty if the disk has them all */
	size_t fields_len;
	/* from here on the run's own */
	struct manifest_ref *manifest; /* the outcome */
	bool begun;                    /* the segment stands in the committed `building` */
	struct kv_txn *txn;            /* NULL: none is open */
	uint64_t first;                /* of the prefix's numbers; the end is end.number_next */
	uint64_t cleared_below;        /* 0: no delete-all */
	struct postings dropped;       /* dead numbers of the prefix: never written */
	struct postings killed;        /* those on disk */
	struct store_interval left[MANIFEST_SEGMENTS_MAX];
	size_t left_len;
	struct section_writer *sections;
	struct documents_writer *documents;
	struct terms_writer *terms;
	struct dictionary_cursor *words;
	struct section_writer *values_sections;
	struct terms_writer *values_terms;
	struct dictionary_cursor *values;
	struct buffer scratch;
};

/* Documents of the prefix by rising number, but for those that are dropped. */
struct put_cursor {
	const struct replica_store_job *job;
	size_t segment;
	size_t at;
};

struct put_cursor job_puts(const struct replica_store_job *job);
/* NULL after the last. */
const struct version *job_put_next(struct put_cursor *cursor);

/* Puts what the scratch holds into STATE. */
int job_write_scratch(struct replica_store_job *job, struct stored_key key, struct error *error);
/* The segment and its values stand in `building`; what failed jobs left there leaves it. */
void job_begin_building(const struct replica_store_job *job, struct manifest *manifest);
/* Puts the manifest. */
int job_write_manifest(struct replica_store_job *job, struct error *error);

/* replica_store_kills.c */
/* What the prefix kills, and what that makes of the mark. */
int kills_find(struct replica_store_job *job, struct mark *mark, struct error *error);
/* Into manifest and dead numbers; segments without documents leave. */
int kills_write(struct replica_store_job *job, struct error *error);

/* replica_store_segment.c */
/* Writes the chunks, in as many transactions as it takes, and the segment into the manifest. */
int segment_write(struct replica_store_job *job, struct disk_segment *segment, struct error *error);

/* replica_store_marks.c */
/* What the segments' ranges noted; trims what has left the window of what is stored then. */
int marks_write(struct replica_store_job *job, struct error *error);

#endif
