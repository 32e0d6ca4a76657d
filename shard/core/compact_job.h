/*
 * Compaction job: neighbouring disk segments on their way to being one, values
 * of a segment that lacks some on their way to being there, or chunks that
 * nobody reads on their way out. Shared by replica_compact.c (its life, which
 * one it is, removal), replica_compact_merge.c, replica_compact_build.c and
 * replica_compact_cut.c; the store asks for the orphans.
 *
 * Which one: removal goes first, as it is short and gives room; it also stores
 * attributes that are new, so that a build's are on disk before it begins. Then
 * merges and builds take turns, so that neither waits for all of the other:
 * without merges stores would come to their end, and builds are many and long
 * when an attribute is new; but merges never end while much is stored. A merge
 * of segments of which one lacks what another has would lose that, so the one
 * that lacks it is built first, whoever's turn it is. So what is covered stays
 * covered, and every build brings the replica nearer to all that it wants.
 *
 * Words that were cut by other rules than those in force are cut anew by a
 * merge, of one segment if need be: its documents are copied, and all that live
 * are cut by the rules that were in force when it began. Words beside by these
 * go then; those by coming rules are built and merged as values are.
 *
 * A merge's outcome covers the attributes that all parts cover and the replica
 * wants; its values are merged as words are, into chunks of an id of their own. A
 * build's covers all that the replica wanted when it began; the segment's
 * documents are cut anew, also those that are dead, and the values that it had
 * leave in the transaction that puts the new ones in their place. Killed, it has
 * cost that one set.
 *
 * Attributes that nobody wants are taken out of what segments cover, in the
 * same transactions, so that their numbers are free for others; their keys
 * mean nothing from then on, and go with the set.
 *
 * A slice is one transaction. What a merge writes stands in the manifest as
 * `building` from its first slice to its last, which puts the outcome in the
 * place of the parts; so do the values of a build. Documents that were dead at the first slice are left
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
	struct section_reader *values; /* of the part's values; NULL: not needed yet */
	struct section_reader *terms;  /* where the cursor stands; NULL: the part has none */
	struct terms_cursor cursor;
	struct term term;
	bool has_term; /* `term` is the next one that is not written yet */
};

enum compact_kind {
	COMPACT_KIND_REMOVAL = 0,
	COMPACT_KIND_MERGE,
	COMPACT_KIND_BUILD
};

/* A build has only the first and the last. */
enum compact_phase {
	COMPACT_PHASE_DOCUMENTS = 0,
	COMPACT_PHASE_ORDER,
	COMPACT_PHASE_WORDS,
	COMPACT_PHASE_VALUES,
	COMPACT_PHASE_SWITCH
};

struct compact_cut;

struct replica_compact_job {
	enum compact_kind kind;
	struct kv *kv;
	struct attributes_ref *attributes; /* the replica's, when it began */
	struct attributes_ref *unstored;   /* those that a removal stores; NULL: the disk has them */
	struct cuttings rules;             /* likewise; the first ones are in force */
	struct cuttings_value cuttings;    /* those that a removal stores */
	struct value_cover unwanted;       /* what segments covered then and nobody wants */
	struct manifest_ref *manifest;     /* as of the last slice */
	bool done;
	size_t steps;  /* left of the slice */
	size_t sliced; /* bytes of bodies that it has cut */
	struct kv_txn *txn;
	struct buffer scratch;
	/* removal */
	uint64_t removed[MANIFEST_LEAVING_MAX + MANIFEST_BUILDING_MAX];
	size_t removed_len;
	/* merge or build */
	uint64_t id; /* 0: a build's documents stay where they are */
	uint64_t values_id;
	struct value_cover cover; /* of the outcome's values */
	struct disk_segment parts[MANIFEST_SEGMENTS_MAX];
	size_t parts_len;
	bool begun; /* it stands in the committed `building` */
	bool vain;  /* a part has left meanwhile */
	struct section_writer *values_sections;
	struct terms_writer *values_terms;
	struct compact_cut *cut; /* NULL: nothing is cut yet */
	/* merge */
	bool rests;           /* its parts are joined because the replica is at rest */
	bool recut;           /* words are cut anew: a part's were cut by other rules */
	struct postings dead; /* of the parts, as of the first slice */
	struct kv_txn *reading;
	struct compact_source *sources; /* one a part */
	enum compact_phase phase;
	size_t part;   /* whose pages are at hand */
	uint32_t page; /* the next one */
	uint64_t dropped;
	uint8_t word[256]; /* or key, the last one written */
	size_t word_len;   /* 0: none */
	struct section_writer *sections;
	struct documents_writer *documents;
	struct terms_writer *terms;
	struct posting_writer list;
	struct buffer joined;
};

/* Puts job->manifest, without what nobody wants. */
int compact_write_manifest(struct replica_compact_job *job, struct error *error);
/* The last slice where a store has taken a part away: what was written so far is nobody's. */
int compact_abandon(struct replica_compact_job *job, struct error *error);

/* replica_compact_merge.c */
void compact_merge_init(struct replica_compact_job *job);
void compact_merge_deinit(struct replica_compact_job *job);
/* One slice, in job->txn; job->manifest is the committed one. */
int compact_merge_slice(struct replica_compact_job *job, struct error *error);
/* Where the parts stand among the segments; false if one of them has left. */
bool compact_parts_find(const struct replica_compact_job *job, size_t *at);

/* replica_compact_cut.c */
/* The rest waits for the next transaction. */
bool compact_slice_is_full(const struct replica_compact_job *job);
/* In the first slice; what the writers get are words by the rules in force in a merge, without the dead, else keys. */
int compact_cut_begin(struct replica_compact_job *job, struct section_writer *sections,
                      struct terms_writer *terms, struct error *error);
/* NULL: nothing happens. */
void compact_cut_free(struct compact_cut *cut);
/* What the slice has room for; `*done` when the last word is written. */
int compact_cut_go_on(struct replica_compact_job *job, bool *done, struct error *error);

/* replica_compact_build.c */
/* As compact_merge_slice. */
int compact_build_slice(struct replica_compact_job *job, struct error *error);

/* Segments in the committed `building` that no job works on; returns how many. */
size_t replica_orphans(const struct replica *replica, uint64_t orphans[MANIFEST_BUILDING_MAX]);

#endif
