/*
 * The feeder's own structures, shared by feeder.c (life, shards, time),
 * feeder_members.c (replicas and lanes), feeder_asked.c (questions and
 * anchors), feeder_marks.c (what the log held before), feeder_records.c (what readers read),
 * feeder_flush.c (ranges, batches, answers) and feeder_actions.c (actions, status), and nobody else.
 *
 * What is to be done for a shard is a set of bits, not a queue: each action
 * says only "bring this to its present value", so a burst of events cannot
 * pile actions up.
 */
#ifndef MILLRACE_FEED_FEEDER_PRIVATE_H
#define MILLRACE_FEED_FEEDER_PRIVATE_H

#include "shared/feed/feeder.h"

/* In the order in which they are carried out; HALT, START and FILL once for each lane. */
enum feed_todo {
	FEED_TODO_HALT = 1,
	FEED_TODO_START = 4,
	FEED_TODO_FILL = 16,
	FEED_TODO_ASK = 64,
	FEED_TODO_COMMIT = 128,
	FEED_TODO_REPORT = 256
};

/* A memtable on its way; the last of a lane's list is the active one unless sealed. */
struct feed_range {
	struct feed_range *next;
	struct memtable *memtable;
	size_t bytes; /* of the memtable, when last measured */
	size_t dead_letters_pending;
	size_t dead_letters; /* so far */
	int64_t born_ms;
	int64_t oldest_ms; /* timestamp of its oldest operation; -1 none */
	bool sealed;
};

enum lane_state {
	LANE_STATE_IDLE = 0,
	LANE_STATE_FILLING,   /* fetches what the log held before `position`; does not read yet */
	LANE_STATE_ANCHORING, /* reads below `position`, to find its lowest member's anchor */
	LANE_STATE_READING,
	LANE_STATE_AT_BOUND /* BEHIND: there is nothing more that it may read */
};

/* What a lane knows of the log before `position`, by which it judges what it reads. */
struct feed_marks {
	bool filled;             /* it knows what there was before it began to read */
	struct origins *origins; /* NULL: there was none */
	int64_t origin_at; /* the offset whose origin was noted last: judged before, offered again or not; -1 */
	struct window *window; /* NULL: there was no identity at or above `low` */
	int64_t low;
	bool learning;   /* identities of [low, position) are read from the log first */
	uint32_t source; /* the node whose replica said what there was, or that there was nothing */
	bool vouched;    /* its anchor was found: what it said is of this log */
	/* FILLING */
	int64_t received; /* where its replica must stand */
	uint32_t epoch;
	int64_t next;     /* the page that is asked for begins here */
	int64_t retry_ms; /* asked for again then; INT64_MAX: an answer is on its way */
	int64_t pause_ms;
	char waits_for[256];
};

struct feed_lane {
	enum lane_state state;
	int64_t read_from; /* where the reader starts */
	int64_t position;  /* the next offset that goes into a range */
	unsigned members;
	unsigned checks;      /* members whose anchor is not yet behind them */
	int64_t lowest;       /* received of its members */
	struct anchor before; /* a record below the first range that was seen in the log; offset -1: none */
	struct feed_range *first;
	struct feed_range *last;
	size_t memory_bytes;
	int64_t first_received_ms; /* when some member, but not all, had received `first`; INT64_MAX */
	struct feed_marks marks;
};

enum member_state {
	MEMBER_STATE_WAITING = 1, /* to be asked at retry_ms */
	MEMBER_STATE_ASKED,
	MEMBER_STATE_READY, /* known, not yet fed */
	MEMBER_STATE_FED    /* by `lane` */
};

struct feed_member {
	uint32_t node;
	struct incarnation recorded; /* in the topology; none: not yet */
	bool in_sync;
	int64_t from; /* given up: what the log no longer has below */
	enum member_state state;
	enum feeder_lane lane;
	bool ask_due;   /* an ACTION_ASK is to be handed out */
	uint32_t epoch; /* of the last question */

	struct incarnation incarnation;
	uint64_t session;
	int64_t received;
	int64_t stored;
	struct anchor anchor; /* as the replica told it */
	int64_t gap_to;       /* the log has nothing below, and that was given up; 0: no such gap */
	int64_t anchored_to;  /* `received` as it told the anchor */
	bool checking;        /* the reader has not passed [anchor, anchored_to) yet */
	bool anchor_found;
	unsigned anchor_misses;
	bool has_identities; /* as of `received` */
	bool has_origins;    /* likewise */
	unsigned fill_failures;

	uint64_t sent_batch; /* 0: nothing that counts is in flight */
	bool announce;       /* the replica has not yet heard of the log's end */
	int64_t poll_ms;     /* when it is asked next if nothing is sent before */
	int64_t retry_ms;    /* WAITING */
	int64_t pause_ms;    /* the last pause */
	int64_t busy_ms;     /* FED: nothing is sent before */
	char obstacle[256];
};

struct feed_shard {
	bool used;
	bool listed; /* in feeder->todo_slots */
	unsigned todo;
	uint32_t epoch;     /* of LIVE's reading, for dead letters */
	uint32_t questions; /* asked so far: their epochs */
	uint32_t fills;     /* begun so far: likewise */
	enum feeder_state state;

	uint64_t index_id;
	int32_t partition;
	int32_t partitions;
	int64_t base; /* where the log began */
	enum partitioner partitioner;
	struct rules rules;
	uint64_t rules_digest;
	char primary_key[INDEX_UID_BYTES_MAX + 1];

	int64_t *skips; /* rising */
	size_t skips_len;
	size_t members_len;
	struct feed_member members[REPLICAS_MAX];
	struct feed_lane lanes[FEEDER_LANES];

	int64_t committed;
	int64_t commit_again_ms; /* when the same offset is committed once more */
	int64_t log_start;       /* newest known */
	int64_t log_end;
	int64_t visible_to;   /* the end of what feeder_take_visible has told */
	int64_t live_wait_ms; /* LIVE waits for answers until then; INT64_MAX: nobody is ready */
	int64_t lead_wait_ms; /* BEHIND waits for somebody to lead until then; INT64_MAX: it need not */

	char stop_reason[256];
	char reported_reason[256];
	uint64_t records;
	uint64_t deleted;
	uint64_t refused;
	uint64_t duplicates;
	uint64_t origin_duplicates;
	uint64_t skipped;
	uint64_t holes;
	uint64_t cuts;
};

struct feed_node {
	char id[NODE_ID_BYTES_MAX + 1];
	bool in_flight;
	uint64_t batch_id;
	struct buffer frame;
	uint32_t *sent_slots; /* one a range of the frame */
	size_t sent_len;
	size_t sent_size;
	uint32_t slot_first; /* whose turn it is */
	int64_t retry_ms;    /* not before */
	int64_t pause_ms;
};

struct feeder {
	struct feeder_options options;
	uint64_t batch_id_next;
	int64_t now_ms;
	struct feed_shard *shards;
	uint32_t shards_len; /* slots ever used */
	uint32_t shards_size;
	uint32_t *todo_slots;
	uint32_t todo_len;
	struct feed_node nodes[NODES_MAX];
	uint32_t nodes_len;
	uint32_t lanes_running;
	size_t memory_bytes;
	int64_t visible[FEEDER_VISIBLE_MAX]; /* timestamps to tell */
	size_t visible_len;
	bool flush_check; /* something changed that may make a range due */
	struct arena scratch;
	bool dead_letter_set;
	struct feeder_action dead_letter;
};

/* NULL if the slot has no shard. */
static inline struct feed_shard *feed_shard_at(const struct feeder *feeder, uint32_t slot)
{
	if (slot >= feeder->shards_len || !feeder->shards[slot].used)
		return NULL;
	return &feeder->shards[slot];
}

static inline bool feed_is_known(const struct feed_member *member)
{
	return member->state == MEMBER_STATE_READY || member->state == MEMBER_STATE_FED;
}

static inline bool feed_is_running(const struct feed_lane *lane)
{
	return lane->state != LANE_STATE_IDLE;
}

/* The replica on that node, or NULL. */
struct feed_member *feed_member_on(struct feed_shard *shard, uint32_t node);
void feed_todo(struct feeder *feeder, uint32_t slot, unsigned todo);
int64_t feed_next_pause(int64_t pause_ms);

/* feeder_members.c */
/* Takes the replica out of its lane and asks it again after a pause. */
void feed_ask_again(struct feeder *feeder, uint32_t slot, struct feed_member *member, int64_t pause_ms);
/* The same with a pause that grows until an answer is good. */
void feed_ask_later(struct feeder *feeder, uint32_t slot, struct feed_member *member);
/* All members of a lane. */
void feed_lane_ask_later(struct feeder *feeder, uint32_t slot, enum feeder_lane lane);
/* The same at once: nothing is wrong with them. */
void feed_lane_ask_again(struct feeder *feeder, uint32_t slot, enum feeder_lane lane);
/* Gives every replica that is ready its lane. */
void feed_place(struct feeder *feeder, uint32_t slot);
/* A member of BEHIND that needs nothing that LIVE has let go of becomes a member of LIVE. */
void feed_move_up(struct feeder *feeder, uint32_t slot, struct feed_member *member);
/* Takes a replica out of its lane, and lets the lane end with its last member. */
void feed_detach(struct feeder *feeder, uint32_t slot, struct feed_member *member);
/* Members of LIVE that keep memory full which others have received go to BEHIND. */
void feed_cut(struct feeder *feeder, uint32_t slot);
/* When feed_cut may have something to do; INT64_MAX if not. */
int64_t feed_cut_ms(const struct feeder *feeder, const struct feed_shard *shard);
/* BEHIND goes on if it may read further than it did, and replicas that have nobody to follow are asked anew. */
void feed_behind_turn(struct feeder *feeder, uint32_t slot);

/* The lane's marks are of a replica of this log: 1; not known yet: 0; that replica has left unchecked: -1. */
int feed_vouched(struct feed_shard *shard, enum feeder_lane at);

/* feeder_asked.c */
/* The record, or with NULL the log's end at `position`, against the anchors of the lane's members. */
void feed_check_anchors(struct feeder *feeder, uint32_t slot, enum feeder_lane lane,
                        const struct record *record, int64_t position);
/* ANCHORING ends when the anchor of every replica that needs the first range was found. */
void feed_check_ready(struct feeder *feeder, uint32_t slot, enum feeder_lane at);

/* feeder_marks.c */
/* Forgets what the lane knows of the log. */
void feed_drop_marks(struct feed_lane *lane);
/* The lane's members and `position` are set: it reads, after what was before is known. */
void feed_begin(struct feeder *feeder, uint32_t slot, enum feeder_lane at);
/* A member has left a lane that has others: one that is being filled from it needs another source. */
void feed_source_left(struct feeder *feeder, uint32_t slot, enum feeder_lane at);
/* Asks again for a page that could not be kept. */
void feed_fill_again(struct feeder *feeder, uint32_t slot);
/* When feed_fill_again has something to do; INT64_MAX if never. */
int64_t feed_fill_ms(const struct feed_shard *shard);
/* Keeps the occurrence of an identity. ERROR_MEMORY, or the store's: nothing changed. */
int feed_learn(struct feeder *feeder, uint32_t reader, const struct op *op, struct error *error);

enum feed_outcome {
	FEED_OUTCOME_APPLIED = 1,
	FEED_OUTCOME_DUPLICATE,
	FEED_OUTCOME_IMPORTED_BEFORE, /* a duplicate by its origin */
	FEED_OUTCOME_REFUSED,
	FEED_OUTCOME_SKIPPED
};

struct feed_judgement {
	enum feed_outcome outcome;
	struct op op; /* of what was decoded: else without identity and origin */
	struct refusal refusal;
};

/* Judges a decoded operation, taken as APPLIED, by what the log held before it, and keeps its identity. An identity or
 * origin that is not to be noted is taken from it. Fails as the window does; asked again it says the same. */
int feed_judge(struct feeder *feeder, uint32_t reader, struct feed_judgement *judgement, struct error *error);
/* Keeps the operation's origin; what feed_judge says of this offset stays as it was. ERROR_MEMORY. */
int feed_note_origin(struct feed_lane *lane, const struct op *op, struct error *error);
/* The window's store keeps the lane from going on. */
void feed_waits_for(struct feed_lane *lane, const struct error *error);

/* feeder_records.c */
/* How far BEHIND may read. */
int64_t feed_bound(const struct feeder *feeder, const struct feed_shard *shard);

/* feeder_flush.c */
void feed_drop_ranges(struct feeder *feeder, struct feed_lane *lane);
/* Lets go of what every member has received. */
void feed_release(struct feeder *feeder, struct feed_shard *shard, struct feed_lane *lane);
/* The first offset that the lane can still send. */
int64_t feed_first_from(const struct feed_lane *lane);
/* The active range, ready for a record at `offset` with `bytes`; NULL when out of memory. */
struct feed_range *feed_active(struct feeder *feeder, struct feed_lane *lane, int64_t offset, size_t bytes);
/* Brings the memory counts up to date after the last range grew. */
void feed_measure(struct feeder *feeder, struct feed_lane *lane);
/* Builds a batch for a node that is idle; true if there is one to hand out. */
bool feed_build_batch(struct feeder *feeder, uint32_t node);
/* The lane has used its share: nothing more is read, so nothing may wait for more. */
bool feed_memory_is_full(const struct feeder *feeder, const struct feed_lane *lane);
/* When something is to be sent to the member; INT64_MAX if nothing is. */
int64_t feed_due_ms(const struct feeder *feeder, const struct feed_shard *shard,
                    const struct feed_member *member);
/* Commits what all replicas in-sync have stored, if that is news. */
void feed_commit(struct feeder *feeder, uint32_t slot);

#endif
