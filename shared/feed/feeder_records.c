/* What readers read: records become operations in ranges, dead letters, or only cover their offset. */
#include "shared/feed/feeder_private.h"

#include "shared/base/assert.h"
#include "shared/base/knockout.h"

#include <inttypes.h>
#include <stdio.h>

/* A range leaves with the last of its dead letters: with more than a few, good records wait for the bad ones behind them. */
#define RANGE_LETTERS_MAX 64

int64_t feed_bound(const struct feeder *feeder, const struct feed_shard *shard)
{
	const struct feed_lane *live = &shard->lanes[FEEDER_LANE_LIVE];

	/* what LIVE's lowest member has received vouches for nothing before its anchor was found */
	if (feeder->options.replay || !feed_is_running(live) || live->state == LANE_STATE_FILLING ||
	    live->state == LANE_STATE_ANCHORING)
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

/* Counts what LIVE has taken. */
static void account(struct feed_shard *shard, const struct feed_judgement *judgement)
{
	shard->records++;
	switch (judgement->outcome) {
	case FEED_OUTCOME_APPLIED:
		shard->deleted += judgement->op.kind == OP_KIND_DELETE;
		break;
	case FEED_OUTCOME_IMPORTED_BEFORE:
		shard->origin_duplicates++;
		shard->duplicates++;
		break;
	case FEED_OUTCOME_DUPLICATE:
		shard->duplicates++;
		break;
	case FEED_OUTCOME_REFUSED:
		shard->refused++;
		break;
	case FEED_OUTCOME_SKIPPED:
		shard->skipped++;
		break;
	}
}

static bool needs_dead_letter(const struct feed_judgement *judgement)
{
	return judgement->outcome == FEED_OUTCOME_REFUSED ||
	       (judgement->outcome == FEED_OUTCOME_SKIPPED && !KNOCKOUT(SKIP_NOT_RECORDED));
}

/* What LIVE does beside: BEHIND reads only what LIVE has dealt with. */
static void take_live(struct feeder *feeder, uint32_t slot, const struct record *record,
                      const struct feed_judgement *judgement)
{
	struct feed_shard *shard = &feeder->shards[slot];
	struct feed_lane *lane = &shard->lanes[FEEDER_LANE_LIVE];
	struct feed_range *range = lane->last;

	account(shard, judgement);
	shard->holes += (uint64_t)(record->offset - lane->position);
	if (judgement->outcome == FEED_OUTCOME_APPLIED && record->timestamp_ms >= 0 &&
	    (range->oldest_ms < 0 || record->timestamp_ms < range->oldest_ms))
		range->oldest_ms = record->timestamp_ms;
	if (needs_dead_letter(judgement) && record->offset >= shard->committed) {
		range->dead_letters_pending++;
		range->sealed = range->sealed || ++range->dead_letters >= RANGE_LETTERS_MAX;
		emit_dead_letter(feeder, slot, record, &judgement->refusal);
	}
}

/* Everything of the record goes into the range; false when out of memory, then it can be put there again. */
static bool put_record(struct feed_lane *lane, struct memtable *memtable, int64_t offset,
                       const struct feed_judgement *judgement)
{
	const struct op *op = &judgement->op;
	struct error error;

	if (judgement->outcome == FEED_OUTCOME_SKIPPED)
		return KNOCKOUT(SKIP_NOT_RECORDED) || memtable_note_skipped(memtable, offset);
	if (op->has_identity && !memtable_note_identity(memtable, offset, &op->identity))
		return false;
	if (op->origin.source.ptr != NULL &&
	    (!memtable_note_origin(memtable, offset, &op->origin) || feed_note_origin(lane, op, &error) != 0))
		return false;
	return judgement->outcome != FEED_OUTCOME_APPLIED || memtable_add(memtable, op);
}

/* Puts a judged record into its range. ERROR_MEMORY: nothing changed that the record, offered again, would notice. */
static int take_record(struct feeder *feeder, uint32_t reader, const struct record *record,
                       const struct feed_judgement *judgement, struct error *error)
{
	struct feed_shard *shard = &feeder->shards[FEEDER_READER_SLOT(reader)];
	struct feed_lane *lane = &shard->lanes[FEEDER_READER_LANE(reader)];
	size_t bytes = judgement->outcome == FEED_OUTCOME_APPLIED ? memtable_op_bytes(&judgement->op) : 0;
	struct feed_range *range = feed_active(feeder, lane, record->offset, bytes);

	if (range == NULL || !put_record(lane, range->memtable, record->offset, judgement)) {
		feed_measure(feeder, lane);
		return error_set(error, ERROR_MEMORY, ERROR_ACTION_RETRY,
		                 "out of memory for the record at offset %" PRId64, record->offset);
	}
	memtable_cover(range->memtable, record->offset + 1);
	memtable_set_anchor(range->memtable,
	                    (struct anchor){record->offset, record->timestamp_ms, record_checksum(record)});
	if (FEEDER_READER_LANE(reader) == FEEDER_LANE_LIVE)
		take_live(feeder, FEEDER_READER_SLOT(reader), record, judgement);
	if (feeder->options.flush.count_max > 0 &&
	    memtable_count(range->memtable) >= feeder->options.flush.count_max)
		range->sealed = true;
	lane->position = record->offset + 1;
	if (shard->log_end < lane->position)
		shard->log_end = lane->position;
	feed_measure(feeder, lane);
	feeder->flush_check = true;
	return 0;
}

/* What was read below where every member stands is for nobody. */
static void let_go(struct feeder *feeder, struct feed_shard *shard, struct feed_lane *lane)
{
	if (lane->position <= lane->lowest)
		feed_release(feeder, shard, lane);
}

/* A record in `meta` says that nobody decodes it. */
static bool is_skipped(const struct feed_shard *shard, int64_t offset)
{
	size_t low = 0;
	size_t high = shard->skips_len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (shard->skips[middle] < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low < shard->skips_len && shard->skips[low] == offset;
}

/* Its meaning by itself. ERROR_MEMORY. */
static int decode(struct feeder *feeder, const struct feed_shard *shard, const struct record *record,
                  struct feed_judgement *judgement, struct error *error)
{
	struct record_place place = {
		.rules = &shard->rules,
		.partitioner = shard->partitioner,
		.partition = shard->partition,
		.partitions = shard->partitions,
		.primary_key = slice_string(shard->primary_key),
	};

	judgement->op.has_identity = false;
	judgement->op.origin.source = slice_of(NULL, 0);
	if (shard->skips_len > 0 && is_skipped(shard, record->offset)) {
		judgement->outcome = FEED_OUTCOME_SKIPPED;
		judgement->refusal.code = REFUSAL_SKIPPED;
		(void)snprintf(judgement->refusal.text, sizeof judgement->refusal.text, "%s",
		               FEEDER_SKIPPED_TEXT);
		return 0;
	}
	switch (record_decode(record, &place, &feeder->scratch, &judgement->op, &judgement->refusal)) {
	case RECORD_VERDICT_APPLY:
		judgement->outcome = FEED_OUTCOME_APPLIED;
		return 0;
	case RECORD_VERDICT_REFUSE:
		judgement->outcome = FEED_OUTCOME_REFUSED;
		return 0;
	case RECORD_VERDICT_MEMORY:
		break;
	}
	return error_set(error, ERROR_MEMORY, ERROR_ACTION_RETRY,
	                 "out of memory for the record at offset %" PRId64, record->offset);
}

static int judge_and_take(struct feeder *feeder, uint32_t reader, const struct record *record,
                          struct error *error)
{
	struct feed_shard *shard = &feeder->shards[FEEDER_READER_SLOT(reader)];
	struct feed_judgement judgement;
	int rc = decode(feeder, shard, record, &judgement, error);

	if (rc == 0 && (judgement.op.has_identity || judgement.op.origin.source.ptr != NULL))
		rc = feed_judge(feeder, reader, &judgement, error);
	return rc == 0 ? take_record(feeder, reader, record, &judgement, error) : rc;
}

/* A record from before the lane's start: only its identity matters. */
static int learn_record(struct feeder *feeder, uint32_t reader, const struct record *record,
                        struct error *error)
{
	struct feed_shard *shard = &feeder->shards[FEEDER_READER_SLOT(reader)];
	struct feed_judgement judgement;
	int rc;

	if (record->offset < shard->lanes[FEEDER_READER_LANE(reader)].marks.low)
		return 0;
	rc = decode(feeder, shard, record, &judgement, error);
	return rc == 0 && judgement.op.has_identity ? feed_learn(feeder, reader, &judgement.op, error) : rc;
}

/* Reads a record of which the lane needs something; what a store has lost makes the lane start anew. */
static int feed_record(struct feeder *feeder, uint32_t reader, const struct record *record,
                       struct error *error)
{
	uint32_t slot = FEEDER_READER_SLOT(reader);
	struct feed_shard *shard = &feeder->shards[slot];
	struct feed_lane *lane = &shard->lanes[FEEDER_READER_LANE(reader)];
	int rc = record->offset < lane->position ? learn_record(feeder, reader, record, error)
	                                         : judge_and_take(feeder, reader, record, error);

	if (arena_bytes(&feeder->scratch) > 0)
		arena_clear(&feeder->scratch);
	if (rc == 0) {
		lane->marks.waits_for[0] = '\0';
		let_go(feeder, shard, lane);
		return 0;
	}
	if (rc == ERROR_MEMORY || rc == ERROR_LIMIT || rc == ERROR_STORAGE) {
		feed_waits_for(lane, error);
		return rc;
	}
	feed_lane_ask_later(feeder, slot, FEEDER_READER_LANE(reader));
	feed_waits_for(lane, error);
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
	lane->read_from = lane->state == LANE_STATE_READING && !lane->marks.learning ? lane->position : bound;
	lane->state = LANE_STATE_AT_BOUND;
	feeder->shards[slot].todo &= ~(unsigned)(FEED_TODO_START << FEEDER_LANE_BEHIND);
	feed_todo(feeder, slot, FEED_TODO_HALT << FEEDER_LANE_BEHIND);
}

bool feeder_decodes(const struct feeder *feeder, uint32_t reader, int64_t offset)
{
	const struct feed_shard *shard = feed_shard_at(feeder, FEEDER_READER_SLOT(reader));
	const struct feed_lane *lane;

	if (shard == NULL)
		return false;
	lane = &shard->lanes[FEEDER_READER_LANE(reader)];
	if (FEEDER_READER_LANE(reader) == FEEDER_LANE_BEHIND && offset >= feed_bound(feeder, shard))
		return false;
	if (lane->marks.learning && offset < lane->position)
		return offset >= lane->marks.low;
	return offset >= lane->position;
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
	if (lane->marks.learning && record->offset < lane->position && feed_is_running(lane))
		return feed_record(feeder, reader, record, error);
	if (lane->state != LANE_STATE_READING || record->offset < lane->position)
		return 0;
	lane->marks.learning = false;
	return feed_record(feeder, reader, record, error);
}

static void live_end(struct feeder *feeder, uint32_t slot, int64_t position)
{
	struct feed_shard *shard = &feeder->shards[slot];
	struct feed_lane *lane = &shard->lanes[FEEDER_LANE_LIVE];
	uint64_t holes;

	if (position < lane->position) {
		feed_lane_ask_later(feeder, slot,
		                    FEEDER_LANE_LIVE); /* the log lost its tail: asking shows it */
		return;
	}
	holes = (uint64_t)(position - lane->position);
	if (lane->state != LANE_STATE_READING || !cover(feeder, shard, lane, position))
		return; /* out of memory: the next end covers it */
	shard->holes += holes;
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
