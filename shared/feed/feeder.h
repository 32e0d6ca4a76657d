/*
 * Feeder: from records of the log to batches on their way to replicas.
 *
 * The pure core of live feeding, catch-up and replay: events go in, actions
 * come out, and between them it is a function of the log. It sees no clock
 * (events carry `now_ms`), socket or thread. A shell (shared/feeding, or the
 * simulation) carries actions out and reports what happened.
 *
 * A shard has several replicas, fed by at most two readers of its partition:
 *   LIVE    reads at the end of the log; what it read is kept in memtables
 *           until every member has received it.
 *   BEHIND  reads further back, for replicas that LIVE does not hold up for:
 *           cut from memory, coming back, out of sync, or joining. It never
 *           reads past what LIVE has read (or, without LIVE or before LIVE has
 *           found its first anchor, past the committed offset), so it never
 *           meets a dead letter that is not acknowledged.
 * A replica is a member of one of them, or is being asked where it stands.
 * Whoever has received what LIVE still holds from there on, becomes a member
 * of LIVE; whoever needs what LIVE has let go of, of BEHIND. A member that
 * keeps memory full which others have received is cut from LIVE.
 *
 * The life of a shard here (state):
 *   ASKING     replicas are asked where they stand (ACTION_ASK). The shell
 *              reads, in this order: the replica's state, the committed
 *              offset, log start and log end, and reports feeder_asked.
 *   ANCHORING  LIVE reads from the anchor of its lowest member on: the last
 *              record that a replica's watermark covers must be the record
 *              that it was, for each replica by itself.
 *   FILLING    (of a lane, before it reads) what the log held before the start
 *              is fetched, if its lowest member says that there is something:
 *              identities and origins as of the start (ACTION_FILL, page by
 *              page), from the very replica whose `received` is the start. If
 *              it does not give them, identities are read from the log
 *              instead, where that reaches back far enough; origins never are.
 *   FEEDING    records become operations in memtables, dead letters, or are
 *              refused; ranges are sent, acknowledged, released; offsets are
 *              committed.
 *   STOPPED    something that feeding must not decide: a replica in-sync is
 *              ahead of the log or holds another record than the log (it was
 *              re-created or truncated), or no replica can be fed;
 *              feeder_status.stop_reason names it and the remedy. Asked again
 *              from time to time.
 *
 * Rules (each has a knock-out in the simulation):
 *   - LIVE starts at the lowest received of the in-sync replicas (of those
 *     that answer, and are not FEEDER_LIVE_WINDOW behind another), never at
 *     the committed offset; where none of them answers, of the others, so that
 *     they become level. Who needs what a running reader has let go of is
 *     never its member. A gap, a refusal or a new session takes that replica
 *     out of its reader and asks it again. The log is the write-ahead log,
 *     dropping loses nothing.
 *   - A range leaves only after every dead letter in it is acknowledged.
 *     Below the committed offset dead letters are known to be there.
 *   - Nobody is fed past offsets that the log no longer has, unless its record says
 *     that they were given up; a range covers them then.
 *   - Who is in-sync is what the topology records, not what is seen here. The
 *     committed offset is at most the lowest `stored` of all in-sync replicas,
 *     as each reported it under its recorded incarnation; with one unknown,
 *     nothing is committed.
 *   - A record is judged by what the log held before it (window.h, marks.h),
 *     never by what was read before: a rewind drops both and fills them anew.
 *     First its origin (not higher than known: duplicate), then its identity
 *     (the same operation: duplicate; another: dead letter). Duplicates and
 *     dead letters leave their identity and origin in the range like all others.
 *     A record of a source partition beyond ORIGINS_MAX is refused, and its
 *     origin is nowhere. Without a window (dedup_window 0) identities are not
 *     looked at.
 *   - An offset that a record in `meta` says to skip is not decoded, becomes a
 *     dead letter `skipped`, and is told to the replicas.
 *   - A batch without an answer is sent again: receipt is idempotent.
 *
 * Flushing: at most one batch to a node is in flight. `adaptive` sends what
 * there is whenever the node is idle, so batches grow exactly with the load;
 * the other presets add a limit of count or age to each range.
 *
 * Bounds: memtables of all readers hold at most memory_bytes_max (each reader
 * an equal share, and always one record); a batch has batch_bytes_max plus
 * at most one range; FEEDER_SHARDS_MAX shards. Owner: one thread.
 */
#ifndef MILLRACE_FEED_FEEDER_H
#define MILLRACE_FEED_FEEDER_H

#include "shared/feed/window.h"
#include "shared/meta/catalog.h"
#include "shared/record/marks.h"

#define FEEDER_SHARDS_MAX 4096
#define FEEDER_RETRY_MS 100      /* first pause after a failure; doubles … */
#define FEEDER_RETRY_MS_MAX 5000 /* … up to this */
#define FEEDER_BUSY_MS_MAX 1000  /* pause of a replica that has no room: its stores make some all the time */
#define FEEDER_POLL_MS 500       /* an idle replica is asked this often: `stored` moves, nodes restart */
#define FEEDER_COMMIT_AGAIN_MS \
	60000 /* an idle shard commits again: one may have failed, and Kafka forgets in days */
#define FEEDER_ASK_WAIT_MS 500   /* LIVE waits so long for the other in-sync replicas' answers */
#define FEEDER_VISIBLE_MAX 1024  /* ranges that feeder_take_visible has not told yet */
#define FEEDER_LIVE_WINDOW 65536 /* offsets; who is further behind does not hold the start of LIVE back */

/* When a range is due; a limit of 0 does not apply. */
struct flush_rule {
	uint32_t count_max;
	int64_t age_ms;
};

struct flush_rule flush_rule_adaptive(void);
/* "adaptive", "immediate", "batched{1000}", "periodic{250}"; false if it is none of them. */
bool flush_rule_parse(const char *text, struct flush_rule *rule);

struct feeder_options {
	size_t memory_bytes_max;
	size_t batch_bytes_max;
	struct flush_rule flush;
	bool replay; /* only BEHIND, up to the committed offset: no dead letters, no commits */
	/* An empty store for the window of this reader, in place of an earlier one, whose window is freed by then. Asked for
	 * with the first identity that the reader meets. May be NULL where no rules have a window. */
	struct window_store (*shelf)(void *context, uint32_t reader);
	void *shelf_context;
};

struct feeder;

enum feeder_state {
	FEEDER_STATE_ASKING = 1,
	FEEDER_STATE_ANCHORING,
	FEEDER_STATE_FEEDING,
	FEEDER_STATE_STOPPED
};

enum feeder_lane {
	FEEDER_LANE_LIVE = 0,
	FEEDER_LANE_BEHIND = 1,
	FEEDER_LANES
};

/* A reader's number: the shard's slot and the lane. */
#define FEEDER_READER(slot, lane) ((slot)*FEEDER_LANES + (uint32_t)(lane))
#define FEEDER_READER_SLOT(reader) ((reader) / FEEDER_LANES)
#define FEEDER_READER_LANE(reader) ((enum feeder_lane)((reader) % FEEDER_LANES))

/* What the dead letter of a record says that is skipped. */
#define FEEDER_SKIPPED_TEXT \
	"programs died of this record again and again; the cluster has recorded that it is to be skipped"

enum feeder_action_kind {
	FEEDER_ACTION_ASK = 1,     /* slot, node, epoch: ask that node's replica, then feeder_asked */
	FEEDER_ACTION_START,       /* slot, reader, offset: read the partition from here */
	FEEDER_ACTION_HALT,        /* slot, reader: stop reading the partition there */
	FEEDER_ACTION_DEAD_LETTER, /* slot, epoch, offset, record, refusal: produce, then feeder_dead_lettered */
	FEEDER_ACTION_SEND,        /* node, batch_id, frame: POST, then feeder_answered */
	FEEDER_ACTION_COMMIT,      /* slot, offset: commit it */
	FEEDER_ACTION_FILL, /* slot, reader, epoch, node, received, offset: ask that node's replica, which must
	                              stand at `received`, for its marks from `offset` on, then feeder_filled */
	FEEDER_ACTION_REPORT /* slot, state: a shard stopped or began to feed; for the log */
};

struct feeder_action {
	enum feeder_action_kind kind;
	uint32_t slot;
	uint32_t reader; /* START, HALT, FILL */
	uint32_t epoch;  /* ASK, DEAD_LETTER, FILL; reports of an older one are ignored */
	uint32_t node;   /* ASK, SEND, FILL */
	int64_t offset;
	int64_t received; /* FILL */
	uint64_t batch_id;
	struct slice frame;          /* SEND: valid until feeder_answered for this node */
	const struct record *record; /* DEAD_LETTER: valid until the next event */
	struct refusal refusal;      /* DEAD_LETTER */
	enum feeder_state state;     /* REPORT */
};

/* NULL when out of memory. batch ids count up from `batch_id_first`. */
struct feeder *feeder_new(const struct feeder_options *options, uint64_t batch_id_first);
void feeder_free(struct feeder *feeder);

/* A node to send to; its number, stable for the feeder's life. ERROR_LIMIT beyond NODES_MAX. */
int feeder_add_node(struct feeder *feeder, const char *node_id, uint32_t *node, struct error *error);

/* A replica to feed, as the topology records it. */
struct feeder_replica {
	uint32_t node;
	struct incarnation incarnation; /* none: not recorded yet, any is taken */
	bool in_sync;
	int64_t from; /* what the log no longer has below this was given up (struct placement_copy); 0: nothing */
};

/* Takes over a shard, as yet without replicas; gives its slot. Copies what it needs. */
int feeder_add_shard(struct feeder *feeder, const struct index_record *index, int32_t partition,
                     int64_t now_ms, uint32_t *slot, struct error *error);
/* Exactly these replicas are to be fed from now on, each on another node, at most REPLICAS_MAX. Those that
 * stay go on undisturbed, but for one whose recorded incarnation is not the one that it has: it is asked again. */
void feeder_set_replicas(struct feeder *feeder, uint32_t slot, const struct feeder_replica *replicas,
                         size_t replicas_len, int64_t now_ms);
/* Forgets the shard and what is in memory of it; a batch in flight may still land. */
void feeder_remove_shard(struct feeder *feeder, uint32_t slot);

/* What the shell found when it was told to ask. */
struct feeder_asked {
	bool replica_answered;       /* false: no answer; asked again later */
	struct range_answer replica; /* result UNKNOWN or STOPPED count as not ready */
	int64_t committed;           /* -1: none */
	int64_t log_start;
	int64_t log_end; /* read after the replica was asked */
	const char
		*obstacle; /* why this replica must not be fed, with the remedy; NULL: nothing in the way */
};

/* Which question is answered: the action's slot, node and epoch. */
struct feeder_question {
	uint32_t slot;
	uint32_t node;
	uint32_t epoch;
};

void feeder_asked(struct feeder *feeder, const struct feeder_question *question,
                  const struct feeder_asked *asked, int64_t now_ms);
/* Which page of marks this is: the action's slot, reader and epoch. */
struct feeder_fill {
	uint32_t slot;
	uint32_t reader;
	uint32_t epoch;
};

/* `page` as marks_open gave it, borrowed; NULL: there was no answer, or none that fits. */
void feeder_filled(struct feeder *feeder, const struct feeder_fill *fill, const struct marks_page *page,
                   int64_t now_ms);
/* These offsets, rising, are to be skipped (catalog.h); copies them. What was read already stays as it is: whoever
 * asks for a skip holds the shard until it is here. ERROR_MEMORY. */
int feeder_set_skips(struct feeder *feeder, uint32_t slot, const int64_t *offsets, size_t offsets_len,
                     struct error *error);
/* Whether this record, offered next, would be looked into; otherwise it is an anchor at most, or nobody's yet. */
bool feeder_decodes(const struct feeder *feeder, uint32_t reader, int64_t offset);
/* The next record of the partition. Take the actions before the next event. 0, or (RETRY) ERROR_MEMORY, or
 * ERROR_LIMIT or ERROR_STORAGE of the window's store: nothing changed, offer this record again before anything else of
 * the reader, or report feeder_read_failed. A leaf that the store has lost or damaged is no error here: the reader
 * starts anew. */
int feeder_record(struct feeder *feeder, uint32_t reader, const struct record *record, int64_t now_ms,
                  struct error *error);
/* The reader stands at `position`, behind markers and holes, at the end of the log. */
void feeder_end(struct feeder *feeder, uint32_t reader, int64_t position, int64_t now_ms);
/* The reader's position is not in the log any more, or the topic is gone: ask again. */
void feeder_read_failed(struct feeder *feeder, uint32_t reader, int64_t now_ms);
/* What became of a dead letter: the action's slot, epoch and offset. */
struct feeder_receipt {
	uint32_t slot;
	uint32_t epoch;
	int64_t offset;
	bool acknowledged;
};

void feeder_dead_lettered(struct feeder *feeder, const struct feeder_receipt *receipt, int64_t now_ms);
/* The answer to the batch in flight to `node`: a frame, or empty for none (outcome unknown). */
void feeder_answered(struct feeder *feeder, uint32_t node, uint64_t batch_id, struct slice frame,
                     int64_t now_ms);
/* Time passed. */
void feeder_tick(struct feeder *feeder, int64_t now_ms);
/* When feeder_tick has something to do at the latest; INT64_MAX if never. */
int64_t feeder_deadline_ms(const struct feeder *feeder);

/* True if a record may be offered to this reader now; false is backpressure. */
bool feeder_wants(const struct feeder *feeder, uint32_t reader);
/* The next action, or false if there is none until the next event. */
bool feeder_next_action(struct feeder *feeder, struct feeder_action *action);

struct feeder_status {
	enum feeder_state state;
	uint64_t index_id;
	int32_t partition;
	int64_t position;  /* next offset that LIVE reads; without LIVE that BEHIND does */
	int64_t received;  /* lowest of the in-sync replicas that are known; -1 none */
	int64_t stored;    /* likewise */
	int64_t committed; /* -1 none */
	int64_t log_end;   /* newest known */
	int64_t oldest_ms; /* timestamp of the oldest record that LIVE's members have not all received; -1 none */
	size_t memory_bytes;
	size_t dead_letters_pending;
	uint64_t records;           /* read by LIVE while FEEDING, again after a rewind too */
	uint64_t deleted;           /* of them */
	uint64_t refused;           /* of them: dead letters */
	uint64_t duplicates;        /* of them, by identity or origin */
	uint64_t origin_duplicates; /* of these, by origin */
	uint64_t skipped;           /* of them, by record; not among the refused */
	size_t window_memory;       /* bytes, of all lanes */
	size_t window_stored;       /* likewise, in the store */
	uint64_t holes;             /* offsets without a record that LIVE passed while FEEDING */
	uint64_t cuts;              /* replicas that LIVE has cut because memory was full */
	const char *stop_reason;    /* STOPPED, else "" */
	const char *waits_for; /* what keeps a reader's identities and origins from it, "" if nothing does */
};

/* False if there is no such slot. */
bool feeder_shard_status(const struct feeder *feeder, uint32_t slot, struct feeder_status *status);

struct feeder_replica_status {
	uint32_t node;
	bool in_sync;
	bool known; /* asked, and fed by `lane`; else being asked, or waiting to be asked again */
	enum feeder_lane lane;
	struct incarnation incarnation; /* the replica's own */
	int64_t received;
	int64_t stored;
	const char *obstacle; /* why it is not fed, "" if nothing is in the way */
};

/* The i-th replica of a shard; false after the last. */
bool feeder_replica_status(const struct feeder *feeder, uint32_t slot, size_t at,
                           struct feeder_replica_status *status);
/* The timestamp of the oldest record of a range that all members of LIVE have received by now, once a range; false if
 * there is no more to tell. A range read again after a rewind is not told again. */
bool feeder_take_visible(struct feeder *feeder, int64_t *timestamp_ms);
/* Memtables of all shards. */
size_t feeder_memory_bytes(const struct feeder *feeder);
bool feeder_in_flight(const struct feeder *feeder, uint32_t node);

#endif
