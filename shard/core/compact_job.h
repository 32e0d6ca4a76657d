/*
 * Compaction job: neighbouring disk segments on their way to being one, or
 * chunks of segments that nobody reads on their way out. Shared by
 * replica_compact.c (its life, removal) and replica_compact_merge.c; the store
 * asks for the orphans.
 *
 * A slice is one transaction. What a merge writes stands in the manifest as
 * `building` from its first slice to its last, which puts the outcome in the
 * place of the parts. Documents that were dead at the first slice are left
 * out; those that die meanwhile are dead in the outcome. If a part has left
 * meanwhile the merge is for nothing and says so to the manifest.
 *
 * A slice reads what was committed before it, in a transaction of its own, as
 * values that a transaction handed out do not outlast its writes.
 */
#ifndef MILLRACE_SHARD_CORE_COMPACT_JOB_H
#define MILLRACE_SHARD_CORE_COMPACT_JOB_H

#include "shard/core/documents.h"
#include "shard/core/replica_private.h"

/* Chunks that a slice writes come to about this. */
#ifndef COMPACT_SLICE_BYTES /* the simulation's is smaller, as its merges are */
#define COMPACT_SLICE_BYTES (5U * 1024 * 1024)
#endif
#define COMPACT_REMOVED_MAX 1024

/* A part of a merge, as it stands in the present slice. */
struct compact_source {
	struct disk_view *view;
	struct terms_cursor cursor;
	struct term term;
	bool has_term; /* `term` is the next one that is not written yet */
};

enum compact_phase {
	COMPACT_PHASE_DOCUMENTS = 0,
	COMPACT_PHASE_ORDER,
	COMPACT_PHASE_WORDS,
	COMPACT_PHASE_SWITCH
};

struct replica_compact_job {
	struct kv *kv;
	struct manifest_ref *manifest; /* as of the last slice */
	bool done;
	size_t steps; /* left of the slice */
	struct kv_txn *txn;
	struct buffer scratch;
	/* removal: parts_len 0 */
	uint64_t removed[MANIFEST_LEAVING_MAX + MANIFEST_BUILDING_MAX];
	size_t removed_len;
	/* merge */
	uint64_t id;
	struct disk_segment parts[MANIFEST_SEGMENTS_MAX];
	size_t parts_len;
	bool begun;           /* it stands in the committed `building` */
	bool vain;            /* a part has left meanwhile */
	struct postings dead; /* of the parts, as of the first slice */
	struct kv_txn *reading;
	struct compact_source *sources; /* one a part */
	enum compact_phase phase;
	size_t part;   /* whose pages are at hand */
	uint32_t page; /* the next one */
	uint64_t dropped;
	uint8_t word[256]; /* the last one written */
	size_t word_len;   /* 0: none */
	struct section_writer *sections;
	struct documents_writer *documents;
	struct terms_writer *terms;
	struct posting_writer list;
	struct buffer joined;
};

/* Puts job->manifest. */
int compact_write_manifest(struct replica_compact_job *job, struct error *error);

/* replica_compact_merge.c */
void compact_merge_init(struct replica_compact_job *job);
void compact_merge_deinit(struct replica_compact_job *job);
/* One slice, in job->txn; job->manifest is the committed one. */
int compact_merge_slice(struct replica_compact_job *job, struct error *error);

/* Segments in the committed `building` that no job works on; returns how many. */
size_t replica_orphans(const struct replica *replica, uint64_t orphans[MANIFEST_BUILDING_MAX]);

#endif
