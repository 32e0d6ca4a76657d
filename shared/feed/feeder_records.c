/* What readers read: records become operations in ranges, dead letters, or only cover their offset. */
#include "shared/feed/feeder_private.h"

#include "shared/base/assert.h"

#include <inttypes.h>

int64_t feed_bound(const struct feeder *feeder, const struct feed_shard *shard)
{
	const struct feed_lane *live = &shard->lanes[FEEDER_LANE_LIVE];

	/* what LIVE's lowest member has received vouches for nothing before its anchor was found */
	if (feeder->options.replay || !feed_is_running(live) || live->state == LANE_STATE_ANCHORING)
		return shard->committed;
	for (const struct feed_range *range = live->first; range != NULL; range = range->next)
		if (range->dead_letters_pending > 0)
			return memtable_from(range->memtable);
	return live->position;
}

static void emit_dead_letter(struct feeder *feeder, uint32_t slot, const struct record *record,
                             const struct refusal *refusal)
{
	ASSERT(!feeder->dead_letter_set); /* actions are taken before the next event */
	feeder->dead_letter_set = true;
	feeder->dead_letter = (struct feeder_action){
		.kind = FEEDER_ACTION_DEAD_LETTER,
		.slot = slot,
		.epoch = feeder->shards[slot].epoch,
		.offset = record->offset,
		.record = record,
		.refusal = *refusal,
	};
}

/* Counts what LIVE has taken: an operation, or a record that was refused (NULL). */
static void account(struct feed_shard *shard, const struct op *op)
{
	shard->records++;
	if (op == NULL)
		shard->refused++;
	else
		shard->deleted += op->kind == OP_KIND_DELETE;
}

/* Puts a decoded record into its range; false when out of memory, then nothing changed. */
static bool take_record(struct feeder *feeder, uint32_t reader, const struct record *record,
                        const struct op *op, const struct refusal *refusal)
{
	uint32_t slot = FEEDER_READER_SLOT(reader);
	struct feed_shard *shard = &feeder->shards[slot];
	struct feed_lane *lane = &shard->lanes[FEEDER_READER_LANE(reader)];
	size_t bytes = op != NULL ? op->id.len + op->body.len : 0;
	struct feed_range *range = feed_active(feeder, lane, record->offset, bytes);

	if (range == NULL || (op != NULL && !memtable_add(range->memtable, op))) {
		feed_measure(feeder, lane);
		return false;
	}
	memtable_cover(range->memtable, record->offset + 1);
	memtable_set_anchor(range->memtable,
	                    (struct anchor){record->offset, record->timestamp_ms, record_checksum(record)});
	/* BEHIND reads only what LIVE has dealt with */
	if (FEEDER_READER_LANE(reader) == FEEDER_LANE_LIVE) {
		account(shard, op);
		if (op != NULL && record->timestamp_ms >= 0 &&
		    (range->oldest_ms < 0 || record->timestamp_ms < range->oldest_ms))
			range->oldest_ms = record->timestamp_ms;
		if (op == NULL && record->offset >= shard->committed) {
			range->dead_letters_pending++;
			emit_dead_letter(feeder, slot, record, refusal);
		}
	}
	if (feeder->options.flush.count_max > 0 &&
	    memtable_count(range->memtable) >= feeder->options.flush.count_max)
		range->sealed = true;
	lane->position = record->offset + 1;
	if (shard->log_end < lane->position)
		shard->log_end = lane->position;
	feed_measure(feeder, lane);
	feeder->flush_check = true;
	return true;
}

/* What was read below where every member stands is for nobody. */
static void let_go(struct feeder *feeder, struct feed_shard *shard, struct feed_lane *lane)
{
	if (lane->position <= lane->lowest)
		feed_release(feeder, shard, lane);
}

static int feed_record(struct feeder *feeder, uint32_t reader, const struct record *record,
                       struct error *error)
{
	struct feed_shard *shard = &feeder->shards[FEEDER_READER_SLOT(reader)];
	struct record_place place = {
		.rules = &shard->rules,
		.partitioner = shard->partitioner,
		.partition = shard->partition,
		.partitions = shard->partitions,
		.primary_key = slice_string(shard->primary_key),
	};
	enum record_verdict verdict;
	struct refusal refusal;
	struct op op;
	bool taken = false;

	verdict = record_decode(record, &place, &feeder->scratch, &op, &refusal);
	if (verdict != RECORD_VERDICT_MEMORY)
		taken = take_record(feeder, reader, record, verdict == RECORD_VERDICT_APPLY ? &op : NULL,
		                    &refusal);
	if (arena_bytes(&feeder->scratch) > 0)
		arena_clear(&feeder->scratch);
	if (!taken)
		return error_set(error, ERROR_MEMORY, ERROR_ACTION_RETRY,
		                 "out of memory for the record at offset %" PRId64, record->offset);
	let_go(feeder, shard, &shard->lanes[FEEDER_READER_LANE(reader)]);
	return 0;
}

/* Covers everything below `position`; false when out of memory, then a later call does. */
static bool cover(struct feeder *feeder, struct feed_shard *shard, struct feed_lane *lane, int64_t position)
{
	struct feed_range *range;

	if (position <= lane->position)
		return true;
	range = feed_active(feeder, lane, position - 1, 0);
	if (range == NULL)
		return false;
	memtable_cover(range->memtable, position);
	lane->position = position;
	feed_measure(feeder, lane);
	let_go(feeder, shard, lane);
	feeder->flush_check = true;
	return true;
}

/* BEHIND has read what it may: everything below the bound is covered, and the reader waits. */
static void rest_at_bound(struct feeder *feeder, uint32_t slot, struct feed_lane *lane, int64_t bound)
{
	if (lane->state == LANE_STATE_READING && !cover(feeder, &feeder->shards[slot], lane, bound))
		return;
	lane->read_from = lane->state == LANE_STATE_READING ? lane->position : bound;
	lane->state = LANE_STATE_AT_BOUND;
	feeder->shards[slot].todo &= ~(unsigned)(FEED_TODO_START << FEEDER_LANE_BEHIND);
	feed_todo(feeder, slot, FEED_TODO_HALT << FEEDER_LANE_BEHIND);
}

int feeder_record(struct feeder *feeder, uint32_t reader, const struct record *record, int64_t now_ms,
                  struct error *error)
{
	uint32_t slot = FEEDER_READER_SLOT(reader);
	enum feeder_lane at = FEEDER_READER_LANE(reader);
	struct feed_shard *shard = feed_shard_at(feeder, slot);
	struct feed_lane *lane;

	feeder->now_ms = now_ms;
	if (shard == NULL)
		return 0;
	lane = &shard->lanes[at];
	if (lane->state != LANE_STATE_ANCHORING && lane->state != LANE_STATE_READING)
		return 0;
	if (lane->checks > 0 || lane->state == LANE_STATE_ANCHORING)
		feed_check_anchors(feeder, slot, at, record, record->offset);
	if (at == FEEDER_LANE_BEHIND && feed_is_running(lane) &&
	    record->offset >= feed_bound(feeder, shard)) {
		rest_at_bound(feeder, slot, lane, feed_bound(feeder, shard));
		return 0;
	}
	if (lane->state != LANE_STATE_READING || record->offset < lane->position)
		return 0;
	return feed_record(feeder, reader, record, error);
}

static void live_end(struct feeder *feeder, uint32_t slot, int64_t position)
{
	struct feed_shard *shard = &feeder->shards[slot];
	struct feed_lane *lane = &shard->lanes[FEEDER_LANE_LIVE];

	if (position < lane->position) {
		feed_lane_ask_later(feeder, slot,
		                    FEEDER_LANE_LIVE); /* the log lost its tail: asking shows it */
		return;
	}
	if (lane->state != LANE_STATE_READING || !cover(feeder, shard, lane, position))
		return; /* out of memory: the next end covers it */
	if (shard->log_end < position)
		shard->log_end = position;
	feeder->flush_check = true;
}

void feeder_end(struct feeder *feeder, uint32_t reader, int64_t position, int64_t now_ms)
{
	uint32_t slot = FEEDER_READER_SLOT(reader);
	enum feeder_lane at = FEEDER_READER_LANE(reader);
	struct feed_shard *shard = feed_shard_at(feeder, slot);
	struct feed_lane *lane;
	int64_t bound;

	feeder->now_ms = now_ms;
	if (shard == NULL)
		return;
	lane = &shard->lanes[at];
	if (lane->state != LANE_STATE_ANCHORING && lane->state != LANE_STATE_READING)
		return;
	if (lane->checks > 0 || lane->state == LANE_STATE_ANCHORING)
		feed_check_anchors(feeder, slot, at, NULL, position);
	if (!feed_is_running(lane))
		return;
	if (at == FEEDER_LANE_LIVE) {
		live_end(feeder, slot, position);
		return;
	}
	bound = feed_bound(feeder, shard);
	if (position >= bound)
		rest_at_bound(feeder, slot, lane, bound);
	else if (lane->state == LANE_STATE_READING)
		(void)cover(feeder, shard, lane, position);
}

void feeder_read_failed(struct feeder *feeder, uint32_t reader, int64_t now_ms)
{
	uint32_t slot = FEEDER_READER_SLOT(reader);

	feeder->now_ms = now_ms;
	if (feed_shard_at(feeder, slot) != NULL)
		feed_lane_ask_later(feeder, slot, FEEDER_READER_LANE(reader));
}

void feeder_dead_lettered(struct feeder *feeder, const struct feeder_receipt *receipt, int64_t now_ms)
{
	struct feed_shard *shard = feed_shard_at(feeder, receipt->slot);
	struct feed_range *range;

	feeder->now_ms = now_ms;
	if (shard == NULL || shard->epoch != receipt->epoch)
		return;
	if (!receipt->acknowledged) {
		/* the record is read and produced again */
		feed_lane_ask_later(feeder, receipt->slot, FEEDER_LANE_LIVE);
		return;
	}
	for (range = shard->lanes[FEEDER_LANE_LIVE].first; range != NULL; range = range->next) {
		if (receipt->offset >= memtable_from(range->memtable) &&
		    receipt->offset < memtable_to(range->memtable)) {
			ASSERT(range->dead_letters_pending > 0);
			range->dead_letters_pending--;
			break;
		}
	}
	feed_release(feeder, shard, &shard->lanes[FEEDER_LANE_LIVE]);
}

bool feeder_wants(const struct feeder *feeder, uint32_t reader)
{
	const struct feed_shard *shard = feed_shard_at(feeder, FEEDER_READER_SLOT(reader));
	const struct feed_lane *lane;

	if (shard == NULL)
		return false;
	lane = &shard->lanes[FEEDER_READER_LANE(reader)];
	if (lane->state != LANE_STATE_ANCHORING && lane->state != LANE_STATE_READING)
		return false;
	return lane->first == NULL || !feed_memory_is_full(feeder, lane);
}
