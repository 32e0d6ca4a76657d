/*
 * Replica: one node's copy of one shard, as a pure core over a kv store.
 *
 * The replica is the fold of its partition's records up to `received`; what
 * is on disk is the fold up to `stored`. Operations arrive as ranges, become
 * immutable in-memory segments that are searchable at once, merge as they
 * grow, and are stored in bulk: a prefix that ends at the end of a range
 * becomes one disk segment, and one transaction says that it is there, what it
 * killed in older ones, and the watermark.
 *
 * Receive rule (replica_receive), checked and applied in one step:
 *   other incarnation or rules → REFUSED; to <= received → ALREADY;
 *   from > received → GAP; else the operations at or above received are
 *   applied in order and received becomes `to`.
 *
 * The fold (enum op_kind): a merge is record_merge of what is there and the
 * operation's body, and creates like a put where there is nothing; the
 * if-exists operations do nothing there. A document keeps its insertion key
 * until a delete. A merge into a document whose outcome has more than
 * `document_bytes_max` bytes changes nothing. delete-by-filter deletes what
 * filter_matches says, on bodies folded by text_fold. No content can make an
 * operation fail that record_decode let pass: it fails for memory, or where the
 * store does, and then the range has not come.
 *
 * State: RECOVERING from every (re)start until received >= a log end that was
 * read after this session began (a range's log_end counts only if it names
 * this session); then ACTIVE until the session ends, with the process or by
 * replica_pause. Who may read a recovering one, serving.h says. STOPPED:
 * something is damaged; nothing is served, `stop_reason` says why.
 *
 * Seals: whenever `received` stands exactly at a multiple of RANGE_SEAL, the
 * digest of the fold up to there is kept, the last REPLICA_SEALS_MAX of them,
 * also over a restart. A range that passes a multiple leaves no seal: what
 * the fold was in its middle, nobody knows. Two replicas of a shard that have
 * a seal at one offset must have one digest there.
 *
 * Marks (shared/record/marks.h): of the ranges received the replica keeps the
 * identities at or above received − dedup_window and the highest origins, in
 * memory until the transaction that moves `stored` past them, so that they are
 * known as of `received` after every restart too. What left the window goes in
 * steps of thousands of offsets, some at every store. Without identities and
 * origins nothing of this is on disk or costs anything.
 *
 * Document numbers are given at receipt and kept in the store, through every
 * merge on disk. The replica reads the disk segments that its own copy of the
 * manifest lists; what a job has committed counts when the job has ended.
 *
 * Storing: replica_store_begin freezes what is received into a job;
 * replica_store_run writes it (any thread, touches only the kv store and the
 * frozen segments); replica_store_end on the owner's thread moves `stored`,
 * or keeps everything for another try. At most one job at a time.
 *
 * Compaction: replica_compact_begin takes up what of the disk should be merged,
 * built or removed; replica_compact_run does a slice of it in one transaction of
 * bounded size (any thread); replica_compact_end notes the outcome, or gives
 * the job up, which is allowed between any two slices. At most one job at a
 * time, beside a store: stores may run between its slices. A replica that was
 * told to be at rest ends with fewer segments (manifest.h).
 *
 * Attributes: replica_attributes_set names the paths whose values are kept
 * beside the words (values.h), of every document that is received from then on,
 * through store and merges; for documents that are on disk by then, compactions
 * build them, a segment at a time. A snapshot answers for an attribute when all of
 * its segments cover it (snapshot_values.h), in the end, when all is stored and no
 * compaction begins any more, for every one.
 *
 * Words: replica_cutting_set says by which rules texts are cut into words
 * (cutting.h): those in force, and those that are coming, whose words are built
 * beside (words_beside.h) as the values of an attribute are. Once they are in
 * force searches find those, until compactions have cut each segment's own words
 * anew. A search finds words by its own rules only: where a segment has none it
 * fails with ERROR_VERSION (RETRY).
 *
 * One thing at a time: nothing of a replica's jobs begins, runs or ends while
 * another run of it goes on; no slice runs between a store's begin and its end;
 * after its last slice a compaction's end comes first.
 *
 * Owner: one thread for all calls but the runs. No clock: ages are
 * the shell's. Allocation failure: ERROR_MEMORY, RETRY, state unchanged.
 */
#ifndef MILLRACE_SHARD_CORE_REPLICA_H
#define MILLRACE_SHARD_CORE_REPLICA_H

#include "shard/kv.h"
#include "shared/record/batch.h"

/* Changes whenever stored bytes or ICU's rules do; another one: rebuild. */
#define REPLICA_FORMAT 6

enum replica_state {
	REPLICA_STATE_RECOVERING = 1,
	REPLICA_STATE_ACTIVE,
	REPLICA_STATE_STOPPED
};

/* What a replica belongs to; stored in it, compared at every opening. */
struct replica_identity {
	char cluster_id[64]; /* Kafka's */
	uint64_t index_id;
	int32_t generation;
	int32_t partition;
	int64_t base; /* received of an empty incarnation */
	uint64_t rules_digest;
	struct incarnation incarnation; /* in: used only when the store is empty */
	/* what of the rules it folds by; not stored, the digest stands for them */
	uint32_t document_bytes_max; /* of a merge's outcome */
	int64_t dedup_window;        /* offsets that identities are kept for */
};

struct replica;
struct text_settings;
struct replica_store_job;
struct replica_compact_job;

/* Takes `kv` (closed by replica_close). An empty store becomes the incarnation
 * given, at `base`; another one is opened at its stored watermark. ERROR_STATE,
 * FATAL if it belongs to another cluster, index, generation or partition;
 * ERROR_VERSION, FATAL for an unknown format or other rules; ERROR_DAMAGED. `session` is
 * unique to this opening. On failure `kv` stays the caller's. */
int replica_open(struct kv *kv, const struct replica_identity *identity, uint64_t session,
                 struct replica **replica, struct error *error);
void replica_close(struct replica *replica);
/* A new session, as after a restart, but with all that was received: what was known of the log is forgotten,
 * and it is RECOVERING until it is level again. A stopped replica stays so. */
void replica_pause(struct replica *replica, uint64_t session);
/* ERROR_STATE, FATAL if the store belongs to another Kafka cluster; 0 if it does not, or cannot tell: for
 * whoever must know before anything is opened or dropped. */
int replica_check_cluster(struct kv *kv, const char *cluster_id, struct error *error);

struct replica_status {
	enum replica_state state;
	struct incarnation incarnation;
	uint64_t session;
	uint64_t rules_digest;
	int64_t received;
	int64_t stored;
	int64_t log_end;       /* the newest known; -1 none */
	struct anchor anchor;  /* of received */
	struct hash128 digest; /* of the fold up to received */
	uint64_t documents;    /* live, as of received */
	uint64_t body_bytes;   /* of live documents */
	size_t memory_bytes;   /* of segments not yet stored */
	size_t segments;       /* in memory */
	size_t disk_segments;
	size_t disk_value_sets; /* segments that have keys of attributes */
	size_t disk_lacking; /* segments that lack an attribute, or were cut by other rules: they are built */
	size_t memory_lacking;
	uint64_t disk_bytes;       /* of their chunks, as written */
	uint64_t disk_dead;        /* documents that they list still */
	size_t disk_leaving;       /* segments whose chunks are to be removed */
	uint64_t applied;          /* operations since opening; those that were there already do not count */
	uint64_t merges_too_large; /* of them, merges that left what was there */
	uint64_t skipped;          /* offsets since opening that a record in `meta` told to skip */
	uint64_t merges;           /* of disk segments since opening */
	uint64_t stored_bytes;     /* of the disk segments that stores have written since opening … */
	uint64_t merged_bytes;     /* … and merges */
	uint64_t builds;           /* of values of disk segments since opening */
	uint64_t built_bytes;
	bool has_identities; /* as in range_answer */
	bool has_origins;
	char stop_reason[256]; /* STOPPED only */
};

void replica_status(const struct replica *replica, struct replica_status *status);

#define REPLICA_SEALS_MAX 8

struct seal {
	int64_t offset; /* received stood here */
	struct hash128 digest;
};

/* How many there are, by rising offset. */
size_t replica_seals(const struct replica *replica, struct seal seals[REPLICA_SEALS_MAX]);

/* Applies one range; `answer` is complete in every case that returns 0. Negative only when the
 * range's bytes are malformed (REJECT) or the store failed (then the replica is STOPPED or unchanged). */
int replica_receive(struct replica *replica, const struct range *range, struct range_answer *answer,
                    struct error *error);
/* At any time, without a call of the store: the next store or compaction that ends has put it on disk; after a restart
 * replica_attributes_version may be an older one. `paths` are distinct, at most VALUE_PATHS_MAX; those that are
 * there already keep what was built; what is set already costs nothing. ERROR_LIMIT (RETRY): too many were dropped
 * whose values have not gone yet. */
int replica_attributes_set(struct replica *replica, uint64_t version, const struct slice *paths, size_t len,
                           struct error *error);
uint64_t replica_attributes_version(const struct replica *replica);
/* At any time, as the attributes; copied. `coming` NULL: none are. ERROR_LIMIT (RETRY): the coming ones, or both, wait
 * until segments that are cut by too many others, or by the coming ones, have been cut anew. */
int replica_cutting_set(struct replica *replica, const struct text_settings *in_force,
                        const struct text_settings *coming, struct error *error);
/* Only the state, as an answer; result ALREADY. */
void replica_answer(const struct replica *replica, struct range_answer *answer);
/* Appends one page of marks as of received: identities at or above `from`, and the origins too where that is not
 * above any identity that is kept (0 begins). Fails as reads do; a recovering replica answers. */
int replica_marks(struct replica *replica, int64_t from, struct buffer *page, struct error *error);
/* Merges memory segments where policy says so; bounded work; true if there is more to do. */
bool replica_merge(struct replica *replica);

/* NULL if nothing is to be stored, a job runs, memory failed, or a compaction must come first (there are too many
 * disk segments). A job holds a prefix of the ranges received. */
struct replica_store_job *replica_store_begin(struct replica *replica);
int replica_store_run(struct replica_store_job *job, struct error *error);
/* `result` is what replica_store_run returned; frees the job. */
void replica_store_end(struct replica *replica, struct replica_store_job *job, int result,
                       const struct error *error);

/* Whether no store is to come for now; at first it is not known. */
void replica_rest(struct replica *replica, bool at_rest);
/* NULL if nothing is to be done, a compaction runs, or memory failed. */
struct replica_compact_job *replica_compact_begin(struct replica *replica);
/* Pages and words that a slice looks at while it writes little. */
#define REPLICA_SLICE_STEPS 65536
/* One slice of at most `steps` (at least 1); `*more` false after the last. */
int replica_compact_run(struct replica_compact_job *job, size_t steps, bool *more, struct error *error);
/* `result` is what replica_compact_run returned last; a job that has more to do is given up. Frees the job. */
void replica_compact_end(struct replica *replica, struct replica_compact_job *job, int result,
                         const struct error *error);

#endif
