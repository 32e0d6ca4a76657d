#include "ingest/core/feeder_private.h"

#include "shared/base/assert.h"
#include "shared/base/knockout.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SCRATCH_BLOCK_BYTES 4096
#define ANCHOR_MISSES_MAX 3

struct feeder *feeder_new(const struct feeder_options *options, uint64_t batch_id_first)
{
	struct feeder *feeder = calloc(1, sizeof *feeder);

	if (feeder == NULL)
		return NULL;
	feeder->options = *options;
	feeder->batch_id_next = batch_id_first;
	arena_init(&feeder->scratch, SCRATCH_BLOCK_BYTES);
	return feeder;
}

void feeder_free(struct feeder *feeder)
{
	if (feeder == NULL)
		return;
	for (uint32_t i = 0; i < feeder->shards_len; i++)
		if (feeder->shards[i].used)
			feed_drop_ranges(feeder, &feeder->shards[i]);
	for (uint32_t i = 0; i < feeder->nodes_len; i++) {
		buffer_deinit(&feeder->nodes[i].frame);
		free(feeder->nodes[i].sent_slots);
	}
	arena_deinit(&feeder->scratch);
	free(feeder->shards);
	free(feeder->todo_slots);
	free(feeder);
}

int feeder_add_node(struct feeder *feeder, const char *node_id, uint32_t *node, struct error *error)
{
	struct feed_node *added;

	for (uint32_t i = 0; i < feeder->nodes_len; i++) {
		if (strcmp(feeder->nodes[i].id, node_id) == 0) {
			*node = i;
			return 0;
		}
	}
	if (feeder->nodes_len == NODES_MAX || strlen(node_id) > NODE_ID_BYTES_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "node %s is one too many, at most %d are fed", node_id, NODES_MAX);
	added = &feeder->nodes[feeder->nodes_len];
	*added = (struct feed_node){.retry_ms = INT64_MIN};
	(void)snprintf(added->id, sizeof added->id, "%s", node_id);
	buffer_init(&added->frame, BATCH_BYTES_MAX);
	*node = feeder->nodes_len++;
	return 0;
}

static int grow_shards(struct feeder *feeder, struct error *error)
{
	uint32_t size = feeder->shards_size ? feeder->shards_size * 2 : 16;
	struct feed_shard *shards;
	uint32_t *slots;

	if (feeder->shards_len == FEEDER_SHARDS_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "at most %d shards can be fed by one process", FEEDER_SHARDS_MAX);
	if (feeder->shards_len < feeder->shards_size)
		return 0;
	slots = realloc(feeder->todo_slots, size * sizeof *slots);
	if (slots == NULL)
		return error_memory(error, size * sizeof *slots);
	feeder->todo_slots = slots;
	shards = realloc(feeder->shards, size * sizeof *shards);
	if (shards == NULL)
		return error_memory(error, size * sizeof *shards);
	memset(shards + feeder->shards_size, 0, (size - feeder->shards_size) * sizeof *shards);
	feeder->shards = shards;
	feeder->shards_size = size;
	return 0;
}

int feeder_add_shard(struct feeder *feeder, const struct index_record *index, struct feeder_place place,
                     int64_t now_ms, uint32_t *slot, struct error *error)
{
	struct feed_shard *shard;
	uint32_t free_slot = 0;
	uint32_t epoch;
	int rc;

	ASSERT(place.node < feeder->nodes_len);
	while (free_slot < feeder->shards_len && feeder->shards[free_slot].used)
		free_slot++;
	if (free_slot == feeder->shards_len) {
		rc = grow_shards(feeder, error);
		if (rc != 0)
			return rc;
		feeder->shards_len++;
	}
	shard = &feeder->shards[free_slot];
	epoch = shard->epoch + 1; /* late reports to a former user of the slot are strangers */
	*shard = (struct feed_shard){
		.used = true,
		.listed = shard->listed,
		.todo = shard->todo,
		.epoch = epoch,
		.node = place.node,
		.state = FEEDER_STATE_ASKING,
		.index_id = index->id,
		.partition = place.partition,
		.partitions = index->partitions,
		.partitioner = index->partitioner,
		.rules = index->rules,
		.rules_digest = rules_digest(&index->rules),
		.committed = -1,
		.log_end = -1,
		.poll_ms = INT64_MAX,
		.retry_ms = now_ms,
	};
	memcpy(shard->primary_key, index->primary_key, sizeof shard->primary_key);
	memcpy(shard->uid, index->uid, sizeof shard->uid);
	feeder->shards_used++;
	*slot = free_slot;
	feeder_tick(feeder, now_ms);
	return 0;
}

void feeder_remove_shard(struct feeder *feeder, uint32_t slot)
{
	struct feed_shard *shard = feed_shard_at(feeder, slot);

	if (shard == NULL)
		return;
	feed_drop_ranges(feeder, shard);
	shard->used = false;
	shard->epoch++;
	shard->todo = 0;
	shard->sent_batch = 0;
	feeder->shards_used--;
	feed_todo(feeder, slot, FEED_TODO_HALT);
}

void feed_todo(struct feeder *feeder, uint32_t slot, unsigned todo)
{
	struct feed_shard *shard = &feeder->shards[slot];

	shard->todo |= todo;
	if (!shard->listed) {
		shard->listed = true;
		feeder->todo_slots[feeder->todo_len++] = slot;
	}
}

int64_t feed_next_pause(int64_t pause_ms)
{
	if (pause_ms == 0)
		return FEEDER_RETRY_MS;
	return pause_ms * 2 < FEEDER_RETRY_MS_MAX ? pause_ms * 2 : FEEDER_RETRY_MS_MAX;
}

void feed_rewind(struct feeder *feeder, uint32_t slot, int64_t pause_ms)
{
	struct feed_shard *shard = &feeder->shards[slot];

	feed_drop_ranges(feeder, shard);
	shard->epoch++;
	shard->state = FEEDER_STATE_ASKING;
	shard->sent_batch = 0;
	shard->poll_ms = INT64_MAX;
	shard->retry_ms = feeder->now_ms + pause_ms;
	shard->todo &= ~(unsigned)(FEED_TODO_ASK | FEED_TODO_START);
	feed_todo(feeder, slot, FEED_TODO_HALT);
	feeder_tick(feeder, feeder->now_ms);
}

void feed_rewind_later(struct feeder *feeder, uint32_t slot)
{
	struct feed_shard *shard = &feeder->shards[slot];

	shard->pause_ms = feed_next_pause(shard->pause_ms);
	feed_rewind(feeder, slot, shard->pause_ms);
}

static void stop(struct feeder *feeder, uint32_t slot, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void stop(struct feeder *feeder, uint32_t slot, const char *format, ...)
{
	struct feed_shard *shard = &feeder->shards[slot];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(shard->stop_reason, sizeof shard->stop_reason, format, args);
	va_end(args);
	feed_drop_ranges(feeder, shard);
	shard->epoch++;
	shard->state = FEEDER_STATE_STOPPED;
	shard->sent_batch = 0;
	shard->poll_ms = INT64_MAX;
	shard->retry_ms = feeder->now_ms + FEEDER_RETRY_MS_MAX;
	shard->todo &= ~(unsigned)(FEED_TODO_ASK | FEED_TODO_START);
	feed_todo(feeder, slot, FEED_TODO_HALT);
	if (strcmp(shard->reported_reason, shard->stop_reason) != 0) {
		memcpy(shard->reported_reason, shard->stop_reason, sizeof shard->reported_reason);
		feed_todo(feeder, slot, FEED_TODO_REPORT);
	}
}

static void start_feeding(struct feeder *feeder, uint32_t slot)
{
	struct feed_shard *shard = &feeder->shards[slot];

	shard->state = FEEDER_STATE_FEEDING;
	shard->position = shard->received;
	shard->anchor_misses = 0;
	shard->announce = true;
	feeder->flush_check = true;
	if (shard->stop_reason[0] != '\0' || shard->records == 0)
		feed_todo(feeder, slot, FEED_TODO_REPORT);
	shard->stop_reason[0] = '\0';
	shard->reported_reason[0] = '\0';
}

/* Where feeding begins, or why it must not. */
static void begin(struct feeder *feeder, uint32_t slot, int64_t log_start)
{
	struct feed_shard *shard = &feeder->shards[slot];

	if (shard->received < log_start) {
		stop(feeder, slot,
		     "the log begins at offset %" PRId64 ", but the replica has only received up to %" PRId64
		     ": the records between are gone; restore the topic or rebuild the index",
		     log_start, shard->received);
		return;
	}
	if (shard->received > shard->log_end) {
		stop(feeder, slot,
		     "the log ends at offset %" PRId64 ", but the replica has received up to %" PRId64
		     ": the topic was re-created or truncated; restore the topic or rebuild the index",
		     shard->log_end, shard->received);
		return;
	}
	feed_todo(feeder, slot, FEED_TODO_START);
	shard->anchor_found = false;
	if (shard->anchor.offset >= log_start && !KNOCKOUT(ANCHOR_IGNORED)) {
		shard->state = FEEDER_STATE_ANCHORING;
		shard->position = shard->anchor.offset;
	} else {
		start_feeding(feeder, slot);
	}
}

void feeder_asked(struct feeder *feeder, uint32_t slot, uint32_t epoch, const struct feeder_asked *asked,
                  int64_t now_ms)
{
	struct feed_shard *shard = feed_shard_at(feeder, slot);
	const struct range_answer *replica = &asked->replica;

	feeder->now_ms = now_ms;
	if (shard == NULL || shard->epoch != epoch || shard->state != FEEDER_STATE_ASKING)
		return;
	if (asked->obstacle != NULL) {
		stop(feeder, slot, "%s", asked->obstacle);
		return;
	}
	if (!asked->replica_answered || replica->result == RANGE_RESULT_UNKNOWN ||
	    replica->result == RANGE_RESULT_STOPPED) {
		feed_rewind_later(feeder, slot);
		return;
	}
	shard->incarnation = replica->incarnation;
	shard->session = replica->session;
	shard->received = replica->received;
	shard->stored = replica->stored;
	shard->anchor = replica->anchor;
	shard->log_end = asked->log_end;
	if (asked->committed > shard->committed)
		shard->committed = asked->committed;
	shard->commit_again_ms = now_ms + FEEDER_COMMIT_AGAIN_MS;
	if (KNOCKOUT(START_COMMITTED) && asked->committed >= 0) {
		shard->received = asked->committed;
		shard->anchor.offset = -1;
	}
	begin(feeder, slot, asked->log_start);
}

static void anchor_mismatch(struct feeder *feeder, uint32_t slot, int64_t offset)
{
	stop(feeder, slot,
	     "the record at offset %" PRId64
	     " is not the one that the replica has indexed: the topic was re-created or truncated; "
	     "restore the topic or rebuild the index",
	     offset);
}

/* The anchor is not where it was: trimmed away meanwhile, which asking again shows, or replaced. */
static void anchor_missed(struct feeder *feeder, uint32_t slot)
{
	struct feed_shard *shard = &feeder->shards[slot];

	if (++shard->anchor_misses < ANCHOR_MISSES_MAX) {
		feed_rewind_later(feeder, slot);
	} else {
		shard->anchor_misses = 0;
		anchor_mismatch(feeder, slot, shard->anchor.offset);
	}
}

static void check_anchor(struct feeder *feeder, uint32_t slot, const struct record *record)
{
	struct feed_shard *shard = &feeder->shards[slot];

	if (record->offset < shard->anchor.offset)
		return;
	if (record->offset > shard->anchor.offset) {
		anchor_missed(feeder, slot);
		return;
	}
	if (record->timestamp_ms != shard->anchor.timestamp_ms ||
	    record_checksum(record) != shard->anchor.checksum) {
		anchor_mismatch(feeder, slot, record->offset);
		return;
	}
	shard->anchor_found = true;
	start_feeding(feeder, slot);
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

/* Puts a decoded record into its range; false when out of memory, then nothing changed. */
static bool take_record(struct feeder *feeder, uint32_t slot, const struct record *record,
                        const struct op *op, const struct refusal *refusal)
{
	struct feed_shard *shard = &feeder->shards[slot];
	size_t bytes = op != NULL ? op->id.len + op->body.len : 0;
	struct feed_range *range = feed_active(feeder, shard, record->offset, bytes);

	if (range == NULL || (op != NULL && !memtable_add(range->memtable, op))) {
		feed_measure(feeder, shard);
		return false;
	}
	memtable_cover(range->memtable, record->offset + 1);
	memtable_set_anchor(range->memtable,
	                    (struct anchor){record->offset, record->timestamp_ms, record_checksum(record)});
	if (op != NULL)
		shard->deleted += op->kind == OP_KIND_DELETE;
	if (op == NULL) {
		shard->refused++;
		if (record->offset >= shard->committed) {
			range->dead_letters_pending++;
			emit_dead_letter(feeder, slot, record, refusal);
		}
	}
	if (feeder->options.flush.count_max > 0 &&
	    memtable_count(range->memtable) >= feeder->options.flush.count_max)
		range->sealed = true;
	shard->anchor_found = false;
	shard->position = record->offset + 1;
	if (shard->log_end < shard->position)
		shard->log_end = shard->position;
	shard->records++;
	feed_measure(feeder, shard);
	feeder->flush_check = true;
	return true;
}

static int feed_record(struct feeder *feeder, uint32_t slot, const struct record *record, struct error *error)
{
	struct feed_shard *shard = &feeder->shards[slot];
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
		taken = take_record(feeder, slot, record, verdict == RECORD_VERDICT_APPLY ? &op : NULL,
		                    &refusal);
	if (arena_bytes(&feeder->scratch) > 0)
		arena_clear(&feeder->scratch);
	if (!taken)
		return error_set(error, ERROR_MEMORY, ERROR_ACTION_RETRY,
		                 "out of memory for the record at offset %" PRId64, record->offset);
	return 0;
}

int feeder_record(struct feeder *feeder, uint32_t slot, const struct record *record, int64_t now_ms,
                  struct error *error)
{
	struct feed_shard *shard = feed_shard_at(feeder, slot);

	feeder->now_ms = now_ms;
	if (shard == NULL)
		return 0;
	if (shard->state == FEEDER_STATE_ANCHORING) {
		check_anchor(feeder, slot, record);
		return 0;
	}
	if (shard->state != FEEDER_STATE_FEEDING)
		return 0;
	if (record->offset < shard->position) {
		/* behind the anchor and below received there can be no record */
		if (shard->anchor_found && record->offset > shard->anchor.offset)
			anchor_mismatch(feeder, slot, record->offset);
		return 0;
	}
	return feed_record(feeder, slot, record, error);
}

void feeder_end(struct feeder *feeder, uint32_t slot, int64_t position, int64_t now_ms)
{
	struct feed_shard *shard = feed_shard_at(feeder, slot);

	feeder->now_ms = now_ms;
	if (shard == NULL)
		return;
	if (shard->state == FEEDER_STATE_ANCHORING) {
		anchor_missed(feeder, slot);
		return;
	}
	if (shard->state != FEEDER_STATE_FEEDING)
		return;
	if (position < shard->position) {
		feed_rewind_later(feeder, slot); /* the log lost its tail: asking shows it */
		return;
	}
	if (position > shard->position) {
		struct feed_range *range = feed_active(feeder, shard, position - 1, 0);

		if (range == NULL)
			return; /* out of memory: the next end covers it */
		memtable_cover(range->memtable, position);
		shard->position = position;
		feed_measure(feeder, shard);
	}
	if (shard->log_end < position)
		shard->log_end = position;
	feeder->flush_check = true;
}

void feeder_read_failed(struct feeder *feeder, uint32_t slot, int64_t now_ms)
{
	feeder->now_ms = now_ms;
	if (feed_shard_at(feeder, slot) != NULL)
		feed_rewind_later(feeder, slot);
}

void feeder_dead_lettered(struct feeder *feeder, const struct feeder_receipt *receipt, int64_t now_ms)
{
	struct feed_shard *shard = feed_shard_at(feeder, receipt->slot);

	feeder->now_ms = now_ms;
	if (shard == NULL || shard->epoch != receipt->epoch || shard->state != FEEDER_STATE_FEEDING)
		return;
	if (!receipt->acknowledged) {
		feed_rewind_later(feeder, receipt->slot); /* the record is read and produced again */
		return;
	}
	for (struct feed_range *range = shard->first; range != NULL; range = range->next) {
		if (receipt->offset >= memtable_from(range->memtable) &&
		    receipt->offset < memtable_to(range->memtable)) {
			ASSERT(range->dead_letters_pending > 0);
			range->dead_letters_pending--;
			break;
		}
	}
	feeder->flush_check = true;
}

void feeder_tick(struct feeder *feeder, int64_t now_ms)
{
	feeder->now_ms = now_ms;
	for (uint32_t slot = 0; slot < feeder->shards_len; slot++) {
		struct feed_shard *shard = &feeder->shards[slot];

		if (!shard->used || shard->retry_ms > now_ms)
			continue;
		if (shard->state == FEEDER_STATE_STOPPED) {
			shard->epoch++;
			shard->state = FEEDER_STATE_ASKING;
		}
		if (shard->state == FEEDER_STATE_ASKING) {
			shard->retry_ms = INT64_MAX;
			feed_todo(feeder, slot, FEED_TODO_ASK);
		}
	}
	feeder->flush_check = true;
}

int64_t feeder_deadline_ms(const struct feeder *feeder)
{
	int64_t deadline = INT64_MAX;

	for (uint32_t slot = 0; slot < feeder->shards_len; slot++) {
		const struct feed_shard *shard = &feeder->shards[slot];
		int64_t due = shard->retry_ms;

		if (!shard->used)
			continue;
		if (shard->state == FEEDER_STATE_FEEDING) {
			int64_t start = feeder->nodes[shard->node].retry_ms;

			due = feeder->nodes[shard->node].in_flight ? INT64_MAX : feed_due_ms(feeder, shard);
			due = due < start ? start : due;
		}
		deadline = due < deadline ? due : deadline;
	}
	return deadline;
}
