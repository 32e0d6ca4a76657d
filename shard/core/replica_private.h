/*
 * What the parts of a replica share: replica.c (life and state),
 * replica_receive.c with replica_fold.c and replica_barrier.c (intake.h),
 * replica_store.c with its parts (store_job.h), replica_compact.c with its
 * parts (compact_job.h), walk.c, figures.c, and
 * what copies one (copy.h). Nobody else includes this.
 *
 * The newest state of an id is its version in `overlay` if there is one, else
 * its entry in the disk segments. `overlay` covers everything after the last
 * store that ended on the owner's thread, a superset of what `manifest` does
 * not have; so it does not matter whether a running job has already committed.
 *
 * `manifest` is the owner's copy: as of the last store or merge that ended on
 * the owner's thread. It may be older than the committed one; the chunks that
 * it lists are there until it no longer does. No number is in a memory segment
 * and in one of its segments at once.
 *
 * `deleted` holds the numbers of documents that a memory segment or a segment
 * of `manifest` may still list and that are dead: superseded, deleted, or
 * killed by a barrier; a dead one may still be the newest of its id, which
 * then has no document. A number is taken out when neither can list it any
 * more.
 */
#ifndef MILLRACE_SHARD_CORE_REPLICA_PRIVATE_H
#define MILLRACE_SHARD_CORE_REPLICA_PRIVATE_H

#include "shard/core/fields.h"
#include "shard/core/manifest.h"
#include "shard/core/postings.h"
#include "shard/core/segment.h"
#include "shard/core/snapshot.h"
#include "shard/core/views.h"
#include "shard/core/word_table.h"
#include "shard/core/words_beside.h"
#include "shared/base/map.h"

#define STORED_VALUE_BYTES_MAX (64U * 1024 * 1024)

/* A manifest that nobody changes any more, once it is known. */
struct manifest_ref {
	atomic_size_t references;
	struct manifest_ref *next; /* in the list of the retired */
	struct manifest manifest;
	atomic_bool unknown; /* it is still to be read, by a copy: it may list anything that is on disk */
	_Atomic(struct word_table *) words[MANIFEST_SEGMENTS_MAX]; /* by segment; NULL: not yet asked for */
};

struct replica {
	struct kv *kv;
	struct replica_identity identity;
	uint64_t session;
	struct mark now;  /* of received */
	uint64_t applied; /* operations since opening */
	uint64_t merges_too_large;
	uint64_t skipped;
	uint64_t merges; /* on disk, since opening */
	uint64_t stored_bytes;
	uint64_t merged_bytes;
	uint64_t builds; /* of values on disk, likewise */
	uint64_t built_bytes;
	bool builds_next; /* the last one was a merge */
	bool at_rest;
	int64_t stored;
	int64_t log_end;  /* newest known in this session, -1 none */
	int64_t level_at; /* first known in this session: received >= it makes the replica active */
	enum replica_state state;
	char stop_reason[256];
	struct words *words;
	struct fields *fields;
	size_t fields_stored; /* the first of them are on disk */
	struct dictionary_builder *builder;
	struct attributes_ref *attributes; /* never NULL, as the next one */
	struct attributes_ref *attributes_stored;
	struct cuttings cuttings; /* the first one is in force */
	uint64_t cuttings_changes;
	uint64_t cuttings_stored;        /* so many of them are on disk */
	struct dictionary_builder *keys; /* of the range's documents in them; NULL: never needed */
	struct buffer scratch;
	struct map overlay; /* id → struct version *, in a segment */
	struct postings deleted;
	struct manifest_ref *manifest; /* of the disk segments that are read; never NULL */
	struct manifest_ref *retired;  /* others, that a snapshot or a copy may still hold */
	uint64_t disk_segment_next;    /* id for the next job's segment */
	struct snapshot *snapshot;     /* of the state as it is; NULL: not taken yet */
	struct segment **segments;     /* oldest first; each one reference */
	size_t segments_len;
	size_t segments_size;
	size_t frozen; /* the first of them belong to the job */
	struct replica_store_job *job;
	struct replica_compact_job *compaction; /* NULL: none */
};

/* Passes on an error code; ERROR_DAMAGED and FATAL errors stop the replica. */
int replica_failed(struct replica *replica, const struct error *error);
/* 0, or the error of a replica that may not answer. */
int replica_check_serving(const struct replica *replica, struct error *error);

/* The newest version of an id in memory, NULL if none. */
const struct version *overlay_get(const struct replica *replica, struct slice id);
/* Makes `version` the newest; its id is borrowed. False when out of memory, which
 * cannot happen if the id is in the map already. */
bool overlay_set(struct replica *replica, const struct version *version);

/* snapshot.c */
/* An empty one, with one reference; NULL when out of memory. */
struct manifest_ref *manifest_ref_new(void);
void manifest_ref_release(struct manifest_ref *manifest);
/* Takes it as what is read from now on; the one before is retired. Segments that leave memory leave afterwards. */
void replica_publish(struct replica *replica, struct manifest_ref *manifest);
/* What it lists stays on disk as long as somebody else holds it. */
void replica_keep(struct replica *replica, struct manifest_ref *manifest);
/* The words of its i-th segment, of which `sections` are; borrowed as long as the manifest is held. Any thread. */
int manifest_ref_words(struct manifest_ref *manifest, size_t i, struct section_reader *sections,
                       const struct word_table **words, struct error *error);
/* True if somebody holds another manifest than the replica's that lists the segment, or values of that id: it must not
 * be removed yet. */
bool replica_is_read(struct replica *replica, uint64_t segment);
/* Something that a snapshot shows is about to change, or has. */
void replica_touch(struct replica *replica);
/* Lets go of snapshot and manifests. */
void replica_snapshots_end(struct replica *replica);

/* replica.c */
/* ERROR_STATE (another cluster, index, generation or partition) or ERROR_VERSION (other rules); FATAL. */
int replica_identity_check(const struct replica_identity *found, const struct replica_identity *wanted,
                           struct error *error);
/* Manifest, dead numbers and state are written together: each must say what the others say. */
int replica_segments_check(const struct manifest *manifest, const struct postings *deleted,
                           const struct mark *mark, struct error *error);
/* The committed manifest; an empty one if none is stored. */
int replica_manifest_read(struct kv_txn *txn, struct manifest *manifest, struct error *error);
/* Adds all that table DEAD holds. */
int replica_dead_read(struct kv_txn *txn, struct postings *dead, struct error *error);

/* replica_attributes.c */
/* What replica_attributes_set does, but that `paths` are all of them, words beside too; they may be the replica's own. */
int replica_attributes_change(struct replica *replica, uint64_t version, const struct slice *paths,
                              size_t len, struct error *error);
/* Those that a job is to store, held; NULL if the disk has them. */
struct attributes_ref *replica_attributes_unstored(const struct replica *replica);
/* A job has stored them (NULL: none); takes the reference. */
void replica_attributes_accept(struct replica *replica, struct attributes_ref *attributes);

/* replica_cutting.c */
/* Those that a job is to store: empty if the disk has them. */
struct cuttings_value {
	struct buffer bytes;
	uint64_t changes;
};
/* As stored; every segment's must be among them. */
int replica_cuttings_load(struct replica *replica, struct kv_txn *txn, const struct manifest *manifest,
                          struct error *error);
/* ERROR_DAMAGED (FATAL) if a segment's are not among them. */
int cuttings_check(const struct cuttings *cuttings, const struct manifest *manifest, struct error *error);
/* Into an empty buffer; check it. */
void replica_cuttings_unstored(const struct replica *replica, struct cuttings_value *value);
/* A job has stored them. */
void replica_cuttings_accept(struct replica *replica, const struct cuttings_value *value);

/* replica_marks.c */
/* What the store says of identities and origins. */
int replica_marks_load(struct replica *replica, struct kv_txn *txn, struct error *error);
/* That all of it is sound, and nothing of it above `received`. */
int replica_marks_verify(struct kv_txn *txn, int64_t received, struct error *error);
bool replica_has_identities(const struct replica *replica);

#endif
