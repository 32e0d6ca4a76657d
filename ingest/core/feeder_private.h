/*
 * The feeder's own structures, shared by feeder.c (shards, events),
 * feeder_flush.c (ranges, batches, answers) and feeder_actions.c (actions,
 * status), and nobody else.
 *
 * What is to be done for a shard is a set of bits, not a queue: each action
 * says only "bring this to its present value", so a burst of events cannot
 * pile actions up.
 */
#ifndef MILLRACE_INGEST_CORE_FEEDER_PRIVATE_H
#define MILLRACE_INGEST_CORE_FEEDER_PRIVATE_H

#include "ingest/core/feeder.h"

/* In the order in which they are carried out. */
enum feed_todo {
	FEED_TODO_HALT = 1,
	FEED_TODO_ASK = 2,
	FEED_TODO_START = 4,
	FEED_TODO_COMMIT = 8,
	FEED_TODO_REPORT = 16
};

/* A memtable on its way; the last of a shard's list is the active one unless sealed. */
struct feed_range {
	struct feed_range *next;
	struct memtable *memtable;
	size_t bytes; /* of the memtable, when last measured */
	size_t dead_letters_pending;
	int64_t born_ms;
	bool sealed;
};

struct feed_shard {
	bool used;
	bool listed; /* in feeder->todo_slots */
	unsigned todo;
	uint32_t epoch;
	uint32_t node;
	enum feeder_state state;

	uint64_t index_id;
	int32_t partition;
	int32_t partitions;
	enum partitioner partitioner;
	struct rules rules;
	uint64_t rules_digest;
	char primary_key[INDEX_UID_BYTES_MAX + 1];
	char uid[INDEX_UID_BYTES_MAX + 1];

	struct incarnation incarnation;
	uint64_t session;
	int64_t received;
	int64_t stored;
	int64_t committed;
	int64_t commit_again_ms; /* when the same offset is committed once more */
	int64_t log_end;
	int64_t position;
	struct anchor anchor; /* ANCHORING: what must be found */
	bool anchor_found;    /* and no record after it was read yet */
	unsigned anchor_misses;

	struct feed_range *first;
	struct feed_range *last;
	size_t memory_bytes;
	uint64_t sent_batch; /* 0: nothing of this epoch is in flight */
	bool announce;       /* the replica has not yet heard of this log end */
	int64_t poll_ms;     /* when the replica is asked next if nothing is sent before */

	int64_t retry_ms; /* ASKING, STOPPED: when to ask; INT64_MAX: asked */
	int64_t pause_ms; /* the last pause */
	char stop_reason[256];
	char reported_reason[256];
	uint64_t records;
	uint64_t deleted;
	uint64_t refused;
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
	uint32_t shards_used;
	uint32_t *todo_slots;
	uint32_t todo_len;
	struct feed_node nodes[NODES_MAX];
	uint32_t nodes_len;
	size_t memory_bytes;
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

void feed_todo(struct feeder *feeder, uint32_t slot, unsigned todo);
/* Drops what is in memory and asks again, at once or after a pause that grows until an answer is good. */
void feed_rewind(struct feeder *feeder, uint32_t slot, int64_t pause_ms);
void feed_rewind_later(struct feeder *feeder, uint32_t slot);
int64_t feed_next_pause(int64_t pause_ms);

/* feeder_flush.c */
void feed_drop_ranges(struct feeder *feeder, struct feed_shard *shard);
/* The active range, ready for a record at `offset` with `bytes`; NULL when out of memory. */
struct feed_range *feed_active(struct feeder *feeder, struct feed_shard *shard, int64_t offset, size_t bytes);
/* Brings the memory counts up to date after the last range grew. */
void feed_measure(struct feeder *feeder, struct feed_shard *shard);
/* Builds a batch for a node that is idle; true if there is one to hand out. */
bool feed_build_batch(struct feeder *feeder, uint32_t node);
/* The shard has used its share: nothing more is read, so nothing may wait for more. */
bool feed_memory_is_full(const struct feeder *feeder, const struct feed_shard *shard);
/* When some range of the shard becomes due by age; INT64_MAX if none. */
int64_t feed_due_ms(const struct feeder *feeder, const struct feed_shard *shard);

#endif
