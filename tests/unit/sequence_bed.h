/*
 * Sequence bed: the replica of a sequence in a real environment, whose calls
 * fail or after which its process is gone, its restarts, and the ranges that it
 * receives. The real modules, with slices, pages and transactions so short that
 * what they do of these takes many. Included by one file of a program.
 */
#ifndef MILLRACE_TESTS_UNIT_SEQUENCE_BED_H
#define MILLRACE_TESTS_UNIT_SEQUENCE_BED_H

#include "tests/unit/sequence_check.h"
#include "tests/unit/sequence_cutting.h"

#include "tests/unit/kv_faults.h"

#define REWRITE_SLICE_BYTES 3000
#include "shard/kv_rewrite.c"
#define CUT_SLICE_BYTES 1000
#define CUT_BYTES_MAX 4000
#include "shard/core/replica_compact_cut.c"
#define COPY_PAGE_BYTES 1500
#include "shard/core/copy_source.c"
#define COPY_TRANSACTION_BYTES 300
#include "shard/core/copy_target.c"

static struct kv *opened;          /* the replica's */
static struct kv_rewrite *rewrite; /* NULL: none is under way */

/* ---- faults ---- */

/* From now on the n-th call fails, or the process is dead from there on. */
static void faults_begin(struct sequence *sequence)
{
	uint64_t bound = 1;

	for (uint64_t i = sequence_draw(sequence, 11); i-- > 0;)
		bound *= 2;
	has_failed = false;
	calls_left = -1;
	if (sequence_chance(sequence, 3))
		return;
	fails_on = sequence_chance(sequence, 2);
	calls_left = (long)sequence_draw(sequence, bound + 1);
}

/* True if the process is to be dead. */
static bool faults_end(void)
{
	bool killed = has_failed && fails_on;

	fails_on = false;
	calls_left = -1;
	return killed;
}

static struct replica_identity identity_of(const struct sequence *sequence)
{
	return (struct replica_identity){.cluster_id = "kafka-a",
	                                 .index_id = SEQUENCE_INDEX,
	                                 .generation = 1,
	                                 .base = sequence->base,
	                                 .rules_digest = SEQUENCE_RULES,
	                                 .incarnation = {{5, 6}},
	                                 .document_bytes_max = (uint32_t)sequence->document_bytes_max,
	                                 .dedup_window = sequence->window};
}

static void open_replica(struct sequence *sequence)
{
	struct replica_identity identity = identity_of(sequence);
	struct error error = {0};
	struct kv *kv;

	sequence_succeeded(kv_open(sequence->directory, &kv, &error), &error);
	sequence_succeeded(replica_open(kv, &identity, ++sequence->session, &sequence->replica, &error),
	                   &error);
	opened = kv;
}

static void rewrite_give_up(void)
{
	rewrite_free(rewrite);
	rewrite = NULL;
}

/* What a kill leaves of a rewrite, or something worse. */
static void leave_beside(const struct sequence *sequence)
{
	char path[80];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/beside.mdb", sequence->directory);
	file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	(void)fputs("half of it", file);
	(void)fclose(file);
}

/* The process is gone, and with it what was not committed. */
static void restart(struct sequence *sequence)
{
	int64_t stored;
	bool was_killed = rewrite != NULL;

	rewrite_give_up();
	replica_close(sequence->replica);
	if (was_killed)
		leave_beside(sequence);
	open_replica(sequence);
	stored = sequence_status(sequence).stored;
	CU_ASSERT_TRUE_FATAL(stored >= sequence->stored && stored <= sequence->received);
	sequence->stored = stored;
	sequence_rewind(sequence, stored);
	attributes_again(sequence);
	cutting_put(sequence);
	sequence_check(sequence);
}

/* ---- ranges ---- */

static void add_record(struct sequence *sequence, struct memtable *memtable, int64_t offset,
                       const struct op *op)
{
	const struct sequence_record *record = sequence_record(sequence, offset);
	struct identity identity = {{(uint64_t)offset, 1}, (uint64_t)offset * 7};

	if (record->has_identity)
		CU_ASSERT_TRUE_FATAL(memtable_note_identity(memtable, offset, &identity));
	if (record->has_origin)
		CU_ASSERT_TRUE_FATAL(memtable_note_origin(memtable, offset, &record->origin));
	if (record->state == RECORD_STATE_SKIPPED)
		CU_ASSERT_TRUE_FATAL(memtable_note_skipped(memtable, offset));
	if (record->state == RECORD_STATE_OPERATION) {
		CU_ASSERT_TRUE_FATAL(memtable_add(memtable, op));
	} else {
		memtable_cover(memtable, offset + 1);
	}
	memtable_set_anchor(memtable, (struct anchor){offset, offset * 3, 3});
}

/* The operation of a record, its body in the sequence's buffer. */
static struct op op_of(struct sequence *sequence, int64_t offset)
{
	const struct sequence_record *record = sequence_record(sequence, offset);
	struct op op = {.offset = offset,
	                .kind = record->kind,
	                .key = record->key,
	                .id = slice_string(""),
	                .body = slice_string("")};

	if (op_kind_is_barrier(record->kind)) {
		if (record->kind == OP_KIND_DELETE_BY_FILTER)
			op.body = slice_string(sequence_filters[record->filter].json);
		return op;
	}
	op.id = sequence_id(sequence, record->id);
	if (record->kind == OP_KIND_DELETE)
		return op;
	buffer_clear(&sequence->text);
	sequence_text(sequence, &record->sent, op.id, &sequence->text);
	op.body = buffer_slice(&sequence->text);
	return op;
}

/* The longest range [from, …) up to `to` that a feeder would make. */
static void make_range(struct sequence *sequence, int64_t from, int64_t to, struct buffer *frame)
{
	struct memtable *memtable = memtable_new(from);
	struct range range = {.index_id = SEQUENCE_INDEX,
	                      .incarnation = {{5, 6}},
	                      .session = sequence->session,
	                      .rules_digest = SEQUENCE_RULES,
	                      .log_end = -1};
	struct batch_writer writer;

	CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
	if (sequence_chance(sequence, 50))
		range.incarnation.word[0]++;
	if (sequence_chance(sequence, 50))
		range.rules_digest++;
	for (int64_t offset = from; offset < to; offset++) {
		bool is_op = sequence_record(sequence, offset)->state == RECORD_STATE_OPERATION;
		struct op op = op_of(sequence, offset);

		if (memtable_is_full(memtable, offset, is_op ? memtable_op_bytes(&op) : 0))
			break;
		add_record(sequence, memtable, offset, &op);
	}
	batch_begin(&writer, frame, 1);
	batch_add(&writer, &range, memtable);
	CU_ASSERT_TRUE_FATAL(batch_end(&writer));
	memtable_free(memtable);
}

static enum range_result result_expected(const struct sequence *sequence, const struct range *range)
{
	if (range->incarnation.word[0] != 5 || range->rules_digest != SEQUENCE_RULES)
		return RANGE_RESULT_REFUSED;
	if (range->to <= sequence->received)
		return RANGE_RESULT_ALREADY;
	return range->from > sequence->received ? RANGE_RESULT_GAP : RANGE_RESULT_APPLIED;
}

static void step_receive(struct sequence *sequence)
{
	int64_t from = sequence->received;
	struct batch_reader reader;
	struct range_answer answer;
	struct buffer frame;
	struct range range;
	struct error error = {0};
	int64_t to;
	int rc;

	if (sequence_chance(sequence, 3))
		from -= (int64_t)sequence_draw(sequence, 15);
	if (sequence_chance(sequence, 20))
		from++;
	from = from < sequence->base ? sequence->base : from;
	to = from + 1 + (int64_t)sequence_draw(sequence, sequence->ops_max);
	while (sequence->end < to)
		sequence_append(sequence);
	buffer_init(&frame, BATCH_BYTES_MAX);
	make_range(sequence, from, to, &frame);
	sequence_succeeded(batch_open(&reader, buffer_slice(&frame), &error), &error);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	rc = replica_receive(sequence->replica, &range, &answer, &error);
	if (rc == 0) {
		CU_ASSERT_EQUAL_FATAL(answer.result, result_expected(sequence, &range));
		if (answer.result == RANGE_RESULT_APPLIED) {
			sequence_record(sequence, range.to - 1)->ends_range = true;
			sequence_advance(sequence, range.to);
		}
		CU_ASSERT_EQUAL_FATAL(answer.received, sequence->received);
	} else {
		CU_ASSERT_TRUE_FATAL(has_failed && error.action == ERROR_ACTION_RETRY);
	}
	buffer_deinit(&frame);
}

#endif
