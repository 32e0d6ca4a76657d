/*
 * Feeder: each rule of its header as a sequence of events with the actions
 * that must come out.
 */
#include "ingest/core/feeder.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define BATCH_FIRST 1000

static const struct incarnation incarnation = {{0xa1, 0xb2}};

/* One shard on one node; what happened last. */
struct stage {
	struct feeder *feeder;
	uint32_t node;
	uint32_t slot;
	uint32_t epoch; /* of the last ASK */
	int64_t now_ms;
	struct feeder_action action;
	struct feeder_action sent; /* the last SEND */
};

static struct index_record index_record(void)
{
	return (struct index_record){
		.id = 77,
		.uid = "books",
		.topic = "t.docs.books",
		.state = INDEX_STATE_ACTIVE,
		.generation = 1,
		.partitions = 1,
		.partitioner = PARTITIONER_NONE,
		.primary_key = "id",
		.rules = rules_default(),
	};
}

static struct feeder_options options_of(struct flush_rule flush)
{
	return (struct feeder_options){
		.memory_bytes_max = 1 << 20, .batch_bytes_max = 1 << 20, .flush = flush};
}

static bool next(struct stage *stage)
{
	return feeder_next_action(stage->feeder, &stage->action);
}

/* The next action is of this kind. */
static void expect(struct stage *stage, enum feeder_action_kind kind)
{
	bool some = next(stage);

	if (!some || stage->action.kind != kind)
		(void)fprintf(stderr, "action %d instead of %d\n", some ? (int)stage->action.kind : 0,
		              (int)kind);
	CU_ASSERT_TRUE_FATAL(some);
	CU_ASSERT_EQUAL_FATAL(stage->action.kind, kind);
	if (kind == FEEDER_ACTION_ASK)
		stage->epoch = stage->action.epoch;
	if (kind == FEEDER_ACTION_SEND)
		stage->sent = stage->action;
}

static void expect_nothing(struct stage *stage)
{
	bool some = next(stage);

	if (some)
		(void)fprintf(stderr, "action %d instead of none\n", (int)stage->action.kind);
	CU_ASSERT_FALSE(some);
}

static enum feeder_state state_of(const struct stage *stage)
{
	struct feeder_status status;

	CU_ASSERT_TRUE_FATAL(feeder_shard_status(stage->feeder, stage->slot, &status));
	return status.state;
}

static struct feeder_status status_of(const struct stage *stage)
{
	struct feeder_status status = {0};

	CU_ASSERT_TRUE_FATAL(feeder_shard_status(stage->feeder, stage->slot, &status));
	return status;
}

static void raise_stage(struct stage *stage, struct feeder_options options)
{
	struct index_record index = index_record();
	struct error error;

	*stage = (struct stage){.now_ms = 10000};
	stage->feeder = feeder_new(&options, BATCH_FIRST);
	CU_ASSERT_PTR_NOT_NULL_FATAL(stage->feeder);
	CU_ASSERT_EQUAL_FATAL(feeder_add_node(stage->feeder, "n1", &stage->node, &error), 0);
	CU_ASSERT_EQUAL_FATAL(feeder_add_shard(stage->feeder, &index, (struct feeder_place){0, stage->node},
	                                       stage->now_ms, &stage->slot, &error),
	                      0);
	expect(stage, FEEDER_ACTION_ASK);
	expect_nothing(stage);
}

/* A replica at `received`, and a log that has 100 offsets more. */
static struct feeder_asked asked_of(int64_t received)
{
	return (struct feeder_asked){
		.replica_answered = true,
		.replica = {.index_id = 77,
	                    .result = RANGE_RESULT_ALREADY,
	                    .incarnation = incarnation,
	                    .session = 5,
	                    .received = received,
	                    .stored = received,
	                    .anchor = {.offset = -1}},
		.committed = -1,
		.log_end = received + 100,
	};
}

static void reply(struct stage *stage, const struct feeder_asked *asked)
{
	feeder_asked(stage->feeder, stage->slot, stage->epoch, asked, stage->now_ms);
}

/* Takes the batch that is next and checks what it holds of our shard. */
static struct range expect_batch(struct stage *stage, int64_t from, int64_t to)
{
	struct batch_reader reader;
	struct range range = {0};
	struct error error;

	expect(stage, FEEDER_ACTION_SEND);
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, stage->action.frame, &error), 0);
	CU_ASSERT_EQUAL(reader.batch_id, stage->action.batch_id);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	CU_ASSERT_EQUAL(range.from, from);
	CU_ASSERT_EQUAL(range.to, to);
	CU_ASSERT_EQUAL(range.index_id, 77);
	CU_ASSERT_TRUE(incarnation_equal(range.incarnation, incarnation));
	CU_ASSERT_EQUAL(range.session, 5);
	return range;
}

/* Answers the batch in flight, for as many ranges as it had. */
static void answer(struct stage *stage, enum range_result result, int64_t received, int64_t stored)
{
	struct range_answer one = asked_of(received).replica;
	struct batch_reader reader;
	struct batch_writer writer;
	struct buffer frame;
	struct error error;

	one.result = result;
	one.stored = stored;
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, stage->sent.frame, &error), 0);
	buffer_init(&frame, BATCH_BYTES_MAX);
	batch_answer_begin(&writer, &frame, reader.batch_id);
	for (uint32_t i = 0; i < reader.ranges_left; i++)
		batch_answer_add(&writer, &one);
	CU_ASSERT_TRUE_FATAL(batch_answer_end(&writer));
	feeder_answered(stage->feeder, stage->node, reader.batch_id, buffer_slice(&frame), stage->now_ms);
	buffer_deinit(&frame);
}

static void no_answer(struct stage *stage)
{
	feeder_answered(stage->feeder, stage->node, stage->sent.batch_id, slice_of(NULL, 0), stage->now_ms);
}

/* A shard that feeds from `received`, its first question answered and nothing in flight. */
static void feed_from(struct stage *stage, struct feeder_options options, int64_t received)
{
	struct feeder_asked asked = asked_of(received);

	raise_stage(stage, options);
	reply(stage, &asked);
	expect(stage, FEEDER_ACTION_START);
	CU_ASSERT_EQUAL(stage->action.offset, received);
	expect(stage, FEEDER_ACTION_REPORT);
	CU_ASSERT_EQUAL(stage->action.state, FEEDER_STATE_FEEDING);
	(void)expect_batch(stage, received, received); /* tells the replica where the log ends */
	CU_ASSERT_EQUAL(feeder_in_flight(stage->feeder, stage->node), true);
	answer(stage, RANGE_RESULT_ALREADY, received, received);
	expect(stage, FEEDER_ACTION_COMMIT);
	CU_ASSERT_EQUAL(stage->action.offset, received);
	expect_nothing(stage);
}

static struct record record_at(int64_t offset, const char *key, const char *value)
{
	return (struct record){
		.offset = offset,
		.timestamp_ms = 1700000000000 + offset,
		.key = key != NULL ? slice_string(key) : slice_of(NULL, 0),
		.value = value != NULL ? slice_string(value) : slice_of(NULL, 0),
	};
}

static void give(struct stage *stage, int64_t offset, const char *key, const char *value)
{
	struct record record = record_at(offset, key, value);
	struct error error;

	CU_ASSERT_EQUAL_FATAL(feeder_record(stage->feeder, stage->slot, &record, stage->now_ms, &error), 0);
}

static void tick(struct stage *stage, int64_t ms)
{
	stage->now_ms += ms;
	feeder_tick(stage->feeder, stage->now_ms);
}

static void acknowledge(struct stage *stage, int64_t offset, bool acknowledged)
{
	struct feeder_receipt receipt = {stage->slot, stage->epoch, offset, acknowledged};

	feeder_dead_lettered(stage->feeder, &receipt, stage->now_ms);
}

/* Memory is dropped and the replica is asked again, after a pause at the latest. */
static void expect_rewind(struct stage *stage)
{
	uint32_t former = stage->epoch;

	expect(stage, FEEDER_ACTION_HALT);
	CU_ASSERT_EQUAL(feeder_memory_bytes(stage->feeder), 0);
	CU_ASSERT_EQUAL(state_of(stage), FEEDER_STATE_ASKING);
	tick(stage, FEEDER_RETRY_MS_MAX);
	expect(stage, FEEDER_ACTION_ASK);
	CU_ASSERT_TRUE(stage->epoch > former);
}

static struct feeder_options adaptive(void)
{
	return options_of(flush_rule_adaptive());
}

/* ---- where feeding begins ---- */

static void test_start_at_received_not_committed(void)
{
	struct feeder_asked asked = asked_of(40);
	struct stage stage;

	raise_stage(&stage, adaptive());
	asked.committed = 20;
	reply(&stage, &asked);
	expect(&stage, FEEDER_ACTION_START);
	CU_ASSERT_EQUAL(stage.action.offset, 40);
	feeder_free(stage.feeder);

	raise_stage(&stage, adaptive());
	asked.committed = 60;
	reply(&stage, &asked);
	expect(&stage, FEEDER_ACTION_START);
	CU_ASSERT_EQUAL(stage.action.offset, 40);
	feeder_free(stage.feeder);
}

static void test_no_answer_is_asked_again(void)
{
	struct feeder_asked asked = asked_of(0);
	int64_t pause = FEEDER_RETRY_MS;
	struct stage stage;

	raise_stage(&stage, adaptive());
	for (int i = 0; i < 10; i++) {
		asked.replica_answered = i % 2 == 1;
		asked.replica.result = i % 4 == 1 ? RANGE_RESULT_UNKNOWN : RANGE_RESULT_STOPPED;
		reply(&stage, &asked);
		expect(&stage, FEEDER_ACTION_HALT);
		expect_nothing(&stage);
		CU_ASSERT_EQUAL(feeder_deadline_ms(stage.feeder), stage.now_ms + pause);
		tick(&stage, pause - 1);
		expect_nothing(&stage);
		tick(&stage, 1);
		expect(&stage, FEEDER_ACTION_ASK);
		pause = pause * 2 < FEEDER_RETRY_MS_MAX ? pause * 2 : FEEDER_RETRY_MS_MAX;
	}
	CU_ASSERT_EQUAL(pause, FEEDER_RETRY_MS_MAX);
	feeder_free(stage.feeder);
}

static void test_old_reply_is_ignored(void)
{
	struct feeder_asked asked = asked_of(40);
	struct feeder_asked none = {.replica_answered = false};
	struct stage stage;
	uint32_t first;

	raise_stage(&stage, adaptive());
	first = stage.epoch;
	reply(&stage, &none);
	expect_rewind(&stage);
	feeder_asked(stage.feeder, stage.slot, first, &asked, stage.now_ms);
	expect_nothing(&stage);
	CU_ASSERT_EQUAL(state_of(&stage), FEEDER_STATE_ASKING);
	reply(&stage, &asked);
	expect(&stage, FEEDER_ACTION_START);
	feeder_free(stage.feeder);
}

static void test_stops(void)
{
	static const struct {
		int64_t log_start;
		int64_t log_end;
		const char *obstacle;
		const char *reason; /* a part of it */
	} rows[] = {
		{41, 100, NULL, "the log begins at offset 41"},
		{0, 39, NULL, "the log ends at offset 39"},
		{0, 100, "cleanup.policy=compact", "cleanup.policy=compact"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct feeder_asked asked = asked_of(40);
		struct stage stage;

		raise_stage(&stage, adaptive());
		asked.log_start = rows[i].log_start;
		asked.log_end = rows[i].log_end;
		asked.obstacle = rows[i].obstacle;
		reply(&stage, &asked);
		expect(&stage, FEEDER_ACTION_HALT);
		expect(&stage, FEEDER_ACTION_REPORT);
		CU_ASSERT_EQUAL(stage.action.state, FEEDER_STATE_STOPPED);
		CU_ASSERT_PTR_NOT_NULL(strstr(status_of(&stage).stop_reason, rows[i].reason));
		expect_nothing(&stage);
		tick(&stage, FEEDER_RETRY_MS_MAX);
		expect(&stage, FEEDER_ACTION_ASK);
		stage.epoch = stage.action.epoch;
		reply(&stage, &asked); /* still so: no second report */
		expect(&stage, FEEDER_ACTION_HALT);
		expect_nothing(&stage);
		tick(&stage, FEEDER_RETRY_MS_MAX);
		expect(&stage, FEEDER_ACTION_ASK);
		stage.epoch = stage.action.epoch;
		asked = asked_of(40); /* resolved */
		reply(&stage, &asked);
		expect(&stage, FEEDER_ACTION_START);
		expect(&stage, FEEDER_ACTION_REPORT);
		CU_ASSERT_EQUAL(stage.action.state, FEEDER_STATE_FEEDING);
		CU_ASSERT_STRING_EQUAL(status_of(&stage).stop_reason, "");
		feeder_free(stage.feeder);
	}
}

static void test_edges_of_the_log_do_not_stop(void)
{
	struct feeder_asked asked = asked_of(40);
	struct stage stage;

	raise_stage(&stage, adaptive());
	asked.log_start = asked.log_end = 40;
	reply(&stage, &asked);
	expect(&stage, FEEDER_ACTION_START);
	CU_ASSERT_EQUAL(stage.action.offset, 40);
	feeder_free(stage.feeder);
}

/* ---- the anchor ---- */

static void anchored(struct stage *stage, struct feeder_asked *asked)
{
	struct record anchor = record_at(38, "a", "{}");

	*asked = asked_of(40);
	asked->replica.anchor = (struct anchor){38, anchor.timestamp_ms, record_checksum(&anchor)};
	raise_stage(stage, adaptive());
	reply(stage, asked);
	expect(stage, FEEDER_ACTION_START);
	CU_ASSERT_EQUAL(stage->action.offset, 38);
	CU_ASSERT_EQUAL(state_of(stage), FEEDER_STATE_ANCHORING);
	expect_nothing(stage);
}

static void test_anchor_is_found(void)
{
	struct feeder_asked asked;
	struct stage stage;

	anchored(&stage, &asked);
	give(&stage, 38, "a", "{}");
	CU_ASSERT_EQUAL(state_of(&stage), FEEDER_STATE_FEEDING);
	CU_ASSERT_EQUAL(status_of(&stage).position, 40);
	CU_ASSERT_EQUAL(status_of(&stage).records, 0); /* the anchor is not fed again */
	expect(&stage, FEEDER_ACTION_REPORT);
	(void)expect_batch(&stage, 40, 40);
	give(&stage, 40, "b", "{}");
	CU_ASSERT_EQUAL(status_of(&stage).records, 1);
	feeder_free(stage.feeder);
}

static void test_anchor_differs(void)
{
	static const struct {
		const char *key;
		const char *value;
		int64_t shift_ms;
	} rows[] = {{"b", "{}", 0}, {"a", "{ }", 0}, {"a", NULL, 0}, {"a", "{}", 1}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct record record = record_at(38, rows[i].key, rows[i].value);
		struct feeder_asked asked;
		struct stage stage;
		struct error error;

		record.timestamp_ms += rows[i].shift_ms;
		anchored(&stage, &asked);
		CU_ASSERT_EQUAL(feeder_record(stage.feeder, stage.slot, &record, stage.now_ms, &error), 0);
		CU_ASSERT_EQUAL(state_of(&stage), FEEDER_STATE_STOPPED);
		CU_ASSERT_PTR_NOT_NULL(strstr(status_of(&stage).stop_reason, "offset 38"));
		feeder_free(stage.feeder);
	}
}

static void test_record_between_anchor_and_received(void)
{
	struct feeder_asked asked;
	struct stage stage;

	anchored(&stage, &asked);
	give(&stage, 38, "a", "{}");
	give(&stage, 39, "b", "{}"); /* the anchor was the last record below 40: another log */
	CU_ASSERT_EQUAL(state_of(&stage), FEEDER_STATE_STOPPED);
	feeder_free(stage.feeder);
}

static void test_anchor_is_missing(void)
{
	struct feeder_asked asked;
	struct stage stage;

	anchored(&stage, &asked);
	for (int i = 0; i < 2; i++) {
		give(&stage, 39, "b", "{}");
		expect_rewind(&stage); /* trimmed meanwhile? asking shows it */
		reply(&stage, &asked);
		expect(&stage, FEEDER_ACTION_START);
	}
	give(&stage, 39, "b", "{}");
	CU_ASSERT_EQUAL(state_of(&stage), FEEDER_STATE_STOPPED);
	feeder_free(stage.feeder);
}

static void test_trimmed_anchor_is_not_asked_for(void)
{
	struct feeder_asked asked = asked_of(40);
	struct stage stage;

	asked.replica.anchor = (struct anchor){38, 1, 2};
	asked.log_start = 39;
	raise_stage(&stage, adaptive());
	reply(&stage, &asked);
	expect(&stage, FEEDER_ACTION_START);
	CU_ASSERT_EQUAL(stage.action.offset, 40);
	feeder_free(stage.feeder);
}

/* ---- ranges ---- */

static void test_record_travels(void)
{
	struct range range;
	struct error error;
	struct stage stage;
	struct op op;
	size_t at = 0;

	feed_from(&stage, adaptive(), 0);
	give(&stage, 3, "a", "{}");
	range = expect_batch(&stage, 0, 4); /* holes below the record are covered */
	CU_ASSERT_EQUAL(stage.action.batch_id, BATCH_FIRST + 1);
	CU_ASSERT_EQUAL_FATAL(range_next(&range, &at, &op, &error), 1);
	CU_ASSERT_EQUAL(op.offset, 3);
	CU_ASSERT_TRUE(slice_equal(op.body, slice_string("{\"id\":\"a\"}")));
	CU_ASSERT_EQUAL(range.log_end, 100);
	CU_ASSERT_EQUAL(range.anchor.offset, 3);
	expect_nothing(&stage);
	answer(&stage, RANGE_RESULT_APPLIED, 4, 0);
	expect_nothing(&stage); /* received, but not stored: nothing to commit */
	CU_ASSERT_EQUAL(status_of(&stage).received, 4);
	CU_ASSERT_EQUAL(feeder_memory_bytes(stage.feeder), 0);
	feeder_free(stage.feeder);
}

static void test_one_batch_in_flight(void)
{
	struct stage stage;

	feed_from(&stage, adaptive(), 0);
	give(&stage, 0, "a", "{}");
	(void)expect_batch(&stage, 0, 1);
	for (int64_t offset = 1; offset < 10; offset++) {
		give(&stage, offset, "a", "{}");
		expect_nothing(&stage);
	}
	answer(&stage, RANGE_RESULT_APPLIED, 1, 0);
	(void)expect_batch(&stage, 1, 10); /* grew while the node was busy */
	feeder_free(stage.feeder);
}

static void test_empty_range_at_the_end(void)
{
	struct range range;
	struct stage stage;

	feed_from(&stage, adaptive(), 0);
	feeder_end(stage.feeder, stage.slot, 120, stage.now_ms); /* only transaction markers */
	range = expect_batch(&stage, 0, 120);
	CU_ASSERT_EQUAL(range.ops_len, 0);
	CU_ASSERT_EQUAL(range.log_end, 120);
	answer(&stage, RANGE_RESULT_APPLIED, 120, 120);
	expect(&stage, FEEDER_ACTION_COMMIT);
	CU_ASSERT_EQUAL(stage.action.offset, 120);
	feeder_free(stage.feeder);
}

static void test_ranges_end_at_seals(void)
{
	struct batch_reader reader;
	struct range range;
	struct error error;
	struct stage stage;

	feed_from(&stage, adaptive(), 4000);
	give(&stage, 4095, "a", "{}");
	(void)expect_batch(&stage, 4000, 4096);
	give(&stage, 8200, "a", "{}");
	answer(&stage, RANGE_RESULT_APPLIED, 4096, 4000);
	expect(&stage, FEEDER_ACTION_SEND);
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, stage.action.frame, &error), 0);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	CU_ASSERT_EQUAL(range.from, 4096);
	CU_ASSERT_EQUAL(range.to, 8192);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	CU_ASSERT_EQUAL(range.from, 8192);
	CU_ASSERT_EQUAL(range.to, 8201);
	CU_ASSERT_EQUAL(batch_next(&reader, &range, &error), 0);
	feeder_free(stage.feeder);
}

static void test_no_answer_is_sent_again(void)
{
	struct stage stage;
	uint64_t batch_id;

	feed_from(&stage, adaptive(), 0);
	give(&stage, 0, "a", "{}");
	(void)expect_batch(&stage, 0, 1);
	batch_id = stage.action.batch_id;
	no_answer(&stage);
	expect_nothing(&stage);
	tick(&stage, FEEDER_RETRY_MS - 1);
	expect_nothing(&stage);
	tick(&stage, 1);
	(void)expect_batch(&stage, 0, 1);
	CU_ASSERT_TRUE(stage.action.batch_id > batch_id);
	/* the late answer to the first one says nothing */
	feeder_answered(stage.feeder, stage.node, batch_id, slice_of(NULL, 0), stage.now_ms);
	CU_ASSERT_TRUE(feeder_in_flight(stage.feeder, stage.node));
	answer(&stage, RANGE_RESULT_ALREADY, 1, 0);
	CU_ASSERT_EQUAL(status_of(&stage).received, 1);
	feeder_free(stage.feeder);
}

static void test_malformed_answer_is_none(void)
{
	struct stage stage;

	feed_from(&stage, adaptive(), 0);
	give(&stage, 0, "a", "{}");
	(void)expect_batch(&stage, 0, 1);
	feeder_answered(stage.feeder, stage.node, stage.action.batch_id, slice_string("MRA1"), stage.now_ms);
	CU_ASSERT_EQUAL(state_of(&stage), FEEDER_STATE_FEEDING);
	tick(&stage, FEEDER_RETRY_MS_MAX);
	(void)expect_batch(&stage, 0, 1);
	feeder_free(stage.feeder);
}

static void test_results_that_rewind(void)
{
	static const enum range_result rows[] = {RANGE_RESULT_GAP, RANGE_RESULT_REFUSED, RANGE_RESULT_UNKNOWN,
	                                         RANGE_RESULT_STOPPED};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct feeder_asked asked = asked_of(2);
		struct stage stage;

		feed_from(&stage, adaptive(), 4);
		give(&stage, 4, "a", "{}");
		(void)expect_batch(&stage, 4, 5);
		give(&stage, 5, "a", "{}");
		answer(&stage, rows[i], 2, 0);
		expect_rewind(&stage);
		reply(&stage, &asked);
		expect(&stage, FEEDER_ACTION_START);
		CU_ASSERT_EQUAL(stage.action.offset, 2);
		feeder_free(stage.feeder);
	}
}

static void test_another_session_rewinds(void)
{
	struct range_answer one = asked_of(5).replica;
	struct batch_writer writer;
	struct buffer frame;
	struct stage stage;

	feed_from(&stage, adaptive(), 4);
	give(&stage, 4, "a", "{}");
	(void)expect_batch(&stage, 4, 5);
	one.session = 6; /* the node restarted, and took the range nevertheless */
	buffer_init(&frame, BATCH_BYTES_MAX);
	batch_answer_begin(&writer, &frame, stage.action.batch_id);
	batch_answer_add(&writer, &one);
	CU_ASSERT_TRUE_FATAL(batch_answer_end(&writer));
	feeder_answered(stage.feeder, stage.node, stage.action.batch_id, buffer_slice(&frame), stage.now_ms);
	buffer_deinit(&frame);
	expect_rewind(&stage);
	feeder_free(stage.feeder);
}

static void test_received_that_falls_rewinds(void)
{
	struct stage stage;

	feed_from(&stage, adaptive(), 4);
	give(&stage, 4, "a", "{}");
	(void)expect_batch(&stage, 4, 5);
	answer(&stage, RANGE_RESULT_APPLIED, 3, 0);
	expect_rewind(&stage);
	feeder_free(stage.feeder);
}

static void test_busy_waits(void)
{
	struct stage stage;

	feed_from(&stage, adaptive(), 0);
	give(&stage, 0, "a", "{}");
	(void)expect_batch(&stage, 0, 1);
	answer(&stage, RANGE_RESULT_BUSY, 0, 0);
	expect_nothing(&stage);
	CU_ASSERT_EQUAL(state_of(&stage), FEEDER_STATE_FEEDING);
	CU_ASSERT_TRUE(feeder_memory_bytes(stage.feeder) > 0);
	tick(&stage, FEEDER_RETRY_MS);
	(void)expect_batch(&stage, 0, 1);
	feeder_free(stage.feeder);
}

/* ---- commits ---- */

static void test_commit_is_at_most_stored(void)
{
	struct stage stage;

	feed_from(&stage, adaptive(), 0);
	give(&stage, 0, "a", "{}");
	(void)expect_batch(&stage, 0, 1);
	answer(&stage, RANGE_RESULT_APPLIED, 1, 0);
	expect_nothing(&stage);
	tick(&stage, FEEDER_POLL_MS); /* an idle shard is asked: `stored` moves */
	(void)expect_batch(&stage, 1, 1);
	answer(&stage, RANGE_RESULT_ALREADY, 1, 1);
	expect(&stage, FEEDER_ACTION_COMMIT);
	CU_ASSERT_EQUAL(stage.action.offset, 1);
	CU_ASSERT_EQUAL(status_of(&stage).committed, 1);
	tick(&stage, FEEDER_POLL_MS);
	(void)expect_batch(&stage, 1, 1);
	answer(&stage, RANGE_RESULT_ALREADY, 1, 1);
	expect_nothing(&stage); /* it is committed already */
	feeder_free(stage.feeder);
}

/* ---- dead letters ---- */

static void test_dead_letter_before_flush(void)
{
	struct stage stage;

	feed_from(&stage, adaptive(), 0);
	give(&stage, 0, "a", "not json");
	expect(&stage, FEEDER_ACTION_DEAD_LETTER);
	CU_ASSERT_EQUAL(stage.action.offset, 0);
	CU_ASSERT_EQUAL(stage.action.refusal.code, REFUSAL_NOT_JSON);
	CU_ASSERT_TRUE(slice_equal(stage.action.record->value, slice_string("not json")));
	expect_nothing(&stage);
	give(&stage, 1, "a", "{}"); /* the next record goes on */
	expect_nothing(&stage);     /* but its range does not leave */
	tick(&stage, 100);
	expect_nothing(&stage);
	CU_ASSERT_EQUAL(status_of(&stage).dead_letters_pending, 1);
	acknowledge(&stage, 0, true);
	(void)expect_batch(&stage, 0, 2);
	CU_ASSERT_EQUAL(status_of(&stage).refused, 1);
	CU_ASSERT_EQUAL(status_of(&stage).records, 2);
	feeder_free(stage.feeder);
}

static void test_every_dead_letter_of_a_range(void)
{
	struct stage stage;

	feed_from(&stage, adaptive(), 0);
	for (int64_t offset = 0; offset < 3; offset++) {
		give(&stage, offset, NULL, "{}");
		expect(&stage, FEEDER_ACTION_DEAD_LETTER);
	}
	acknowledge(&stage, 2, true);
	expect_nothing(&stage);
	acknowledge(&stage, 0, true);
	expect_nothing(&stage);
	acknowledge(&stage, 1, true);
	(void)expect_batch(&stage, 0, 3);
	feeder_free(stage.feeder);
}

static void test_failed_dead_letter_rewinds(void)
{
	struct feeder_asked asked = asked_of(0);
	uint32_t former;
	struct stage stage;

	feed_from(&stage, adaptive(), 0);
	give(&stage, 0, NULL, "{}");
	expect(&stage, FEEDER_ACTION_DEAD_LETTER);
	former = stage.epoch;
	acknowledge(&stage, 0, false);
	expect_rewind(&stage);
	reply(&stage, &asked);
	expect(&stage, FEEDER_ACTION_START);
	(void)expect_batch(&stage, 0, 0);
	answer(&stage, RANGE_RESULT_ALREADY, 0, 0);
	give(&stage, 0, NULL, "{}");
	expect(&stage, FEEDER_ACTION_DEAD_LETTER);
	expect_nothing(&stage);
	/* a receipt of the former life frees nothing */
	feeder_dead_lettered(stage.feeder, &(struct feeder_receipt){stage.slot, former, 0, true},
	                     stage.now_ms);
	expect_nothing(&stage);
	acknowledge(&stage, 0, true);
	(void)expect_batch(&stage, 0, 1);
	feeder_free(stage.feeder);
}

static void test_no_dead_letter_below_committed(void)
{
	struct feeder_asked asked = asked_of(0);
	struct stage stage;

	raise_stage(&stage, adaptive());
	asked.committed = 1;
	reply(&stage, &asked);
	expect(&stage, FEEDER_ACTION_START);
	expect(&stage, FEEDER_ACTION_REPORT);
	(void)expect_batch(&stage, 0, 0);
	give(&stage, 0, NULL, "{}"); /* known to be there */
	expect_nothing(&stage);
	give(&stage, 1, NULL, "{}");
	expect(&stage, FEEDER_ACTION_DEAD_LETTER);
	CU_ASSERT_EQUAL(stage.action.offset, 1);
	feeder_free(stage.feeder);
}

/* ---- bounds ---- */

static void test_backpressure(void)
{
	struct feeder_options options = adaptive();
	struct stage stage;
	int64_t offset = 1;

	options.memory_bytes_max = 100000;
	feed_from(&stage, options, 0);
	CU_ASSERT_TRUE(feeder_wants(stage.feeder, stage.slot));
	give(&stage, 0, "a", "{}");
	(void)expect_batch(&stage, 0, 1);
	while (feeder_wants(stage.feeder, stage.slot) && offset < 100000)
		give(&stage, offset++, "a", "{}");
	CU_ASSERT_TRUE(offset > 10 && offset < 4000);
	CU_ASSERT_TRUE(feeder_memory_bytes(stage.feeder) >= 100000);
	CU_ASSERT_TRUE(feeder_memory_bytes(stage.feeder) < 200000);
	answer(&stage, RANGE_RESULT_APPLIED, 1, 0);
	(void)expect_batch(&stage, 1, offset);
	answer(&stage, RANGE_RESULT_APPLIED, offset, 0);
	CU_ASSERT_EQUAL(feeder_memory_bytes(stage.feeder), 0);
	CU_ASSERT_TRUE(feeder_wants(stage.feeder, stage.slot));
	feeder_free(stage.feeder);
}

static void test_asking_wants_nothing(void)
{
	struct stage stage;

	raise_stage(&stage, adaptive());
	CU_ASSERT_FALSE(feeder_wants(stage.feeder, stage.slot));
	CU_ASSERT_FALSE(feeder_wants(stage.feeder, stage.slot + 1));
	feeder_free(stage.feeder);
}

/* ---- presets ---- */

static void test_batched(void)
{
	struct stage stage;

	feed_from(&stage, options_of((struct flush_rule){.count_max = 3, .age_ms = 1000}), 0);
	give(&stage, 0, "a", "{}");
	give(&stage, 1, "b", "{}");
	expect_nothing(&stage);
	give(&stage, 2, "c", "{}");
	(void)expect_batch(&stage, 0, 3);
	give(&stage, 3, "d", "{}");
	answer(&stage, RANGE_RESULT_APPLIED, 3, 0);
	expect_nothing(&stage);
	tick(&stage, 999);
	expect(&stage, FEEDER_ACTION_SEND); /* the poll; its range is empty */
	answer(&stage, RANGE_RESULT_ALREADY, 3, 0);
	tick(&stage, 1);
	(void)expect_batch(&stage, 3, 4); /* the last, incomplete batch does not wait for ever */
	feeder_free(stage.feeder);
}

static void test_periodic(void)
{
	struct stage stage;

	feed_from(&stage, options_of((struct flush_rule){.age_ms = 250}), 0);
	give(&stage, 0, "a", "{}");
	CU_ASSERT_EQUAL(feeder_deadline_ms(stage.feeder), stage.now_ms + 250);
	tick(&stage, 249);
	expect_nothing(&stage);
	tick(&stage, 1);
	(void)expect_batch(&stage, 0, 1);
	feeder_free(stage.feeder);
}

static void test_flush_rules(void)
{
	static const struct {
		const char *text;
		bool good;
		uint32_t count_max;
		int64_t age_ms;
	} rows[] = {
		{"adaptive", true, 0, 0},
		{"immediate", true, 1, 0},
		{"batched{1}", true, 1, 1000},
		{"batched{4096}", true, 4096, 1000},
		{"batched{4097}", false, 0, 0},
		{"batched{0}", false, 0, 0},
		{"periodic{1}", true, 0, 1},
		{"periodic{60000}", true, 0, 60000},
		{"periodic{60001}", false, 0, 0},
		{"periodic{250} ", false, 0, 0},
		{"periodic{-1}", false, 0, 0},
		{"sometimes", false, 0, 0},
		{"", false, 0, 0},
		{"batched{", false, 0, 0},
		{"batched{5", false, 0, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct flush_rule rule = {9, 9};
		bool good = flush_rule_parse(rows[i].text, &rule);

		if (good != rows[i].good)
			(void)fprintf(stderr, "row \"%s\"\n", rows[i].text);
		CU_ASSERT_EQUAL(good, rows[i].good);
		CU_ASSERT_EQUAL(rule.count_max, rows[i].good ? rows[i].count_max : 9);
		CU_ASSERT_EQUAL(rule.age_ms, rows[i].good ? rows[i].age_ms : 9);
	}
}

/* ---- shards that come and go ---- */

static void test_removed_shard(void)
{
	struct index_record index = index_record();
	uint32_t former;
	struct stage stage;
	struct error error;
	uint32_t slot;

	feed_from(&stage, adaptive(), 0);
	give(&stage, 0, "a", "{}");
	(void)expect_batch(&stage, 0, 1);
	former = stage.epoch;
	feeder_remove_shard(stage.feeder, stage.slot);
	expect(&stage, FEEDER_ACTION_HALT);
	expect_nothing(&stage);
	CU_ASSERT_FALSE(feeder_shard_status(stage.feeder, stage.slot, &(struct feeder_status){0}));
	CU_ASSERT_EQUAL(feeder_memory_bytes(stage.feeder), 0);
	answer(&stage, RANGE_RESULT_APPLIED, 1, 1); /* may still land, and moves nothing */
	expect_nothing(&stage);
	CU_ASSERT_EQUAL_FATAL(feeder_add_shard(stage.feeder, &index, (struct feeder_place){0, stage.node},
	                                       stage.now_ms, &slot, &error),
	                      0);
	CU_ASSERT_EQUAL(slot, stage.slot);
	expect(&stage, FEEDER_ACTION_ASK);
	CU_ASSERT_TRUE(stage.epoch > former);
	feeder_free(stage.feeder);
}

static void test_lost_position(void)
{
	struct stage stage;

	feed_from(&stage, adaptive(), 0);
	give(&stage, 0, "a", "{}");
	(void)expect_batch(&stage, 0, 1);
	feeder_read_failed(stage.feeder, stage.slot, stage.now_ms);
	expect_rewind(&stage);
	feeder_free(stage.feeder);

	feed_from(&stage, adaptive(), 50);
	feeder_end(stage.feeder, stage.slot, 49, stage.now_ms); /* the log lost its tail */
	expect_rewind(&stage);
	feeder_free(stage.feeder);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"start at received, not at committed", test_start_at_received_not_committed},
		{"no answer is asked again, ever later", test_no_answer_is_asked_again},
		{"an old reply is ignored", test_old_reply_is_ignored},
		{"what stops a shard, and that it goes on", test_stops},
		{"the edges of the log do not stop", test_edges_of_the_log_do_not_stop},
		{"anchor is found", test_anchor_is_found},
		{"anchor differs", test_anchor_differs},
		{"record between anchor and received", test_record_between_anchor_and_received},
		{"anchor is missing", test_anchor_is_missing},
		{"trimmed anchor", test_trimmed_anchor_is_not_asked_for},
		{"a record travels", test_record_travels},
		{"one batch in flight", test_one_batch_in_flight},
		{"empty range at the end", test_empty_range_at_the_end},
		{"ranges end at seals", test_ranges_end_at_seals},
		{"no answer is sent again", test_no_answer_is_sent_again},
		{"malformed answer is none", test_malformed_answer_is_none},
		{"results that rewind", test_results_that_rewind},
		{"another session rewinds", test_another_session_rewinds},
		{"received that falls rewinds", test_received_that_falls_rewinds},
		{"busy waits", test_busy_waits},
		{"commit is at most stored", test_commit_is_at_most_stored},
		{"dead letter before flush", test_dead_letter_before_flush},
		{"every dead letter of a range", test_every_dead_letter_of_a_range},
		{"failed dead letter rewinds", test_failed_dead_letter_rewinds},
		{"no dead letter below committed", test_no_dead_letter_below_committed},
		{"backpressure", test_backpressure},
		{"asking wants nothing", test_asking_wants_nothing},
		{"batched", test_batched},
		{"periodic", test_periodic},
		{"flush rules", test_flush_rules},
		{"removed shard", test_removed_shard},
		{"lost position", test_lost_position},
		CU_TEST_INFO_NULL,
	};

	return suite_run("feeder", tests);
}
