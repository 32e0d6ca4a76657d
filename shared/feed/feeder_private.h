/*
 * The feeder's own structures, shared by feeder.c (life, shards, time),
 * feeder_members.c (replicas and lanes), feeder_asked.c (questions and
 * anchors), feeder_records.c (what readers read), feeder_flush.c (ranges, batches, answers) and
 * feeder_actions.c (actions, status), and nobody else.
 *
 * What is to be done for a shard is a set of bits, not a queue: each action
 * says only "bring this to its present value", so a burst of events cannot
 * pile actions up.
 */
#ifndef MILLRACE_FEED_FEEDER_PRIVATE_H
#define MILLRACE_FEED_FEEDER_PRIVATE_H

#include "shared/feed/feeder.h"

/* In the order in which they are carried out; HALT and START once for each lane. */
enum feed_todo {
	FEED_TODO_HALT = 1,
	FEED_TODO_START = 4,
	FEED_TODO_ASK = 16,
	FEED_TODO_COMMIT = 32,
	FEED_TODO_REPORT = 64
};

/* A memtable on its way; the last of a lane's list is the active one unless sealed. */
struct feed_range {
	struct feed_range *next;
	struct memtable *memtable;
	size_t bytes; /* of the memtable, when last measured */
	size_t dead_letters_pending;
	int64_t born_ms;
	int64_t oldest_ms; /* timestamp of its oldest operation; -1 none */
	bool sealed;
};

enum lane_state {
	LANE_STATE_IDLE = 0,
	LANE_STATE_ANCHORING, /* reads below `position`, to find its lowest member's anchor */
	LANE_STATE_READING,
	LANE_STATE_AT_BOUND /* BEHIND: there is nothing more that it may read */
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
	enum member_state state;
	enum feeder_lane lane;
	bool ask_due;   /* an ACTION_ASK is to be handed out */
	uint32_t epoch; /* of the last question */

	struct incarnation incarnation;
	uint64_t session;
	int64_t received;
	int64_t stored;
	struct anchor anchor; /* as the replica told it */
	bool checking;        /* the reader has not passed [anchor, received) yet */
	bool anchor_found;
	unsigned anchor_misses;

	uint64_t sent_batch; /* 0: nothing that counts is in flight */
	bool announce;       /* the replica has not yet heard of the log's end */
	int64_t poll_ms;     /* when it is asked next if nothing is sent before */
	int64_t retry_ms;    /* WAITING */
	int64_t pause_ms;    /* the last pause */
	char obstacle[256];
};

struct feed_shard {
	bool used;
	bool listed; /* in feeder->todo_slots */
	unsigned todo;
	uint32_t epoch;     /* of LIVE's reading, for dead letters */
	uint32_t questions; /* asked so far: their epochs */
	enum feeder_state state;

	uint64_t index_id;
	int32_t partition;
	int32_t partitions;
	enum partitioner partitioner;
	struct rules rules;
	uint64_t rules_digest;
	char primary_key[INDEX_UID_BYTES_MAX + 1];

	size_t members_len;
	struct feed_member members[REPLICAS_MAX];
	struct feed_lane lanes[FEEDER_LANES];

	int64_t committed;
	int64_t commit_again_ms; /* when the same offset is committed once more */
	int64_t log_start;       /* newest known */
	int64_t log_end;
	int64_t visible_to;   /* the end of what feeder_take_visible has told */
	int64_t live_wait_ms; /* LIVE waits for answers until then; INT64_MAX: nobody is ready */

	char stop_reason[256];
	char reported_reason[256];
	uint64_t records;
	uint64_t deleted;
	uint64_t refused;
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

/* feeder_asked.c */
/* The record, or with NULL the log's end at `position`, against the anchors of the lane's members. */
void feed_check_anchors(struct feeder *feeder, uint32_t slot, enum feeder_lane lane,
                        const struct record *record, int64_t position);
/* ANCHORING ends when the anchor of every replica that needs the first range was found. */
void feed_check_ready(struct feeder *feeder, uint32_t slot, enum feeder_lane at);

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
