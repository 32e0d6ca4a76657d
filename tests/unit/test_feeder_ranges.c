/*
 * Feeder: ranges and their answers, commits, dead letters, bounds. Each rule
 * is a sequence of events with the actions that must come out.
 */
#include "tests/unit/feeder_stage.h"

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
	feeder_end(stage.feeder, live(&stage), 120, stage.now_ms); /* only transaction markers */
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
	feeder_answered(stage.feeder, stage.nodes[0], batch_id, slice_of(NULL, 0), stage.now_ms);
	CU_ASSERT_TRUE(feeder_in_flight(stage.feeder, stage.nodes[0]));
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
	feeder_answered(stage.feeder, stage.nodes[0], stage.action.batch_id, slice_string("MRA1"),
	                stage.now_ms);
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

/* What became visible is told once, and not again when it is read again. */
static void test_visible_once(void)
{
	struct feeder_asked asked = asked_of(1);
	struct stage stage;
	int64_t timestamp_ms;

	feed_from(&stage, adaptive(), 0);
	give(&stage, 0, "a", "{}");
	(void)expect_batch(&stage, 0, 1);
	CU_ASSERT_EQUAL(status_of(&stage).oldest_ms, stage.record.timestamp_ms);
	CU_ASSERT_FALSE(feeder_take_visible(stage.feeder, &timestamp_ms));
	answer(&stage, RANGE_RESULT_APPLIED, 1, 0);
	CU_ASSERT_TRUE(feeder_take_visible(stage.feeder, &timestamp_ms));
	CU_ASSERT_EQUAL(timestamp_ms, stage.record.timestamp_ms);
	CU_ASSERT_FALSE(feeder_take_visible(stage.feeder, &timestamp_ms));
	CU_ASSERT_EQUAL(status_of(&stage).oldest_ms, -1);
	give(&stage, 1, "b", "{}");
	give(&stage, 2, "c", "{}");
	(void)expect_batch(&stage, 1, 3);
	answer(&stage, RANGE_RESULT_GAP, 0, 0);
	expect_rewind(&stage);
	asked.replica.received = 0;
	reply(&stage, &asked);
	expect(&stage, FEEDER_ACTION_START);
	give(&stage, 0, "a", "{}");
	expect(&stage, FEEDER_ACTION_SEND);
	answer(&stage, RANGE_RESULT_APPLIED, 1, 0);
	CU_ASSERT_FALSE(feeder_take_visible(stage.feeder, &timestamp_ms));
	feeder_free(stage.feeder);
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
	feeder_answered(stage.feeder, stage.nodes[0], stage.action.batch_id, buffer_slice(&frame),
	                stage.now_ms);
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
	for (int i = 0; i < 8; i++) {
		(void)expect_batch(&stage, 0, 1);
		answer(&stage, RANGE_RESULT_BUSY, 0, 0);
		expect_nothing(&stage);
		tick(&stage, FEEDER_BUSY_MS_MAX); /* no pause is longer */
	}
	(void)expect_batch(&stage, 0, 1);
	feeder_free(stage.feeder);
}

/* The next batch is one range of that index, to the first node. */
static void expect_batch_of(struct stage *stage, uint64_t index_id, int64_t from, int64_t to)
{
	struct batch_reader reader;
	struct range range;
	struct error error;

	expect(stage, FEEDER_ACTION_SEND);
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, stage->action.frame, &error), 0);
	CU_ASSERT_EQUAL_FATAL(reader.ranges_left, 1);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	CU_ASSERT_EQUAL(range.index_id, index_id);
	CU_ASSERT_EQUAL(range.from, from);
	CU_ASSERT_EQUAL(range.to, to);
}

/* A shard of another index, fed from 0 on the same node. */
static void feed_another(struct stage *other, const struct stage *stage, uint64_t index_id)
{
	struct index_record index = index_record();
	struct feeder_asked asked = asked_of(0);
	struct error error;

	*other = *stage;
	index.id = index_id;
	asked.replica.index_id = index_id;
	CU_ASSERT_EQUAL_FATAL(feeder_add_shard(other->feeder, &index, 0, other->now_ms, &other->slot, &error),
	                      0);
	set_replicas(other, "i");
	expect_ask(other, 0);
	reply(other, &asked);
	expect_start(other, FEEDER_LANE_LIVE, 0);
	expect_report(other, FEEDER_STATE_FEEDING);
	expect_batch_of(other, index_id, 0, 0);
	answer_as(other, 0, &asked.replica);
	expect_commit(other, 0);
	expect_nothing(other);
}

/* A node that has no room for one index may have some for another. */
static void test_busy_holds_up_nobody_else(void)
{
	struct stage stage;
	struct stage other;
	struct range_answer applied = asked_of(1).replica;

	applied.index_id = 78;
	applied.result = RANGE_RESULT_APPLIED;
	applied.stored = 0;
	feed_from(&stage, adaptive(), 0);
	feed_another(&other, &stage, 78);
	give(&stage, 0, "a", "{}");
	expect_batch_of(&stage, 77, 0, 1);
	answer(&stage, RANGE_RESULT_BUSY, 0, 0);
	give(&other, 0, "b", "{}");
	expect_batch_of(&other, 78, 0, 1);
	answer_as(&other, 0, &applied);
	expect_nothing(&stage); /* what the other one could send says nothing of this one */
	tick(&stage, FEEDER_RETRY_MS - 1);
	expect_nothing(&stage);
	tick(&stage, 1);
	expect_batch_of(&stage, 77, 0, 1);
	answer(&stage, RANGE_RESULT_BUSY, 0, 0);
	tick(&stage, FEEDER_RETRY_MS);
	expect_nothing(&stage); /* the second pause is longer */
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

/* A commit may have failed, and Kafka forgets what is not repeated. */
static void test_an_idle_shard_commits_again(void)
{
	struct stage stage;

	feed_from(&stage, adaptive(), 0);
	give(&stage, 0, "a", "{}");
	(void)expect_batch(&stage, 0, 1);
	answer(&stage, RANGE_RESULT_APPLIED, 1, 1);
	expect(&stage, FEEDER_ACTION_COMMIT);
	tick(&stage, FEEDER_COMMIT_AGAIN_MS - 1);
	(void)expect_batch(&stage, 1, 1);
	answer(&stage, RANGE_RESULT_ALREADY, 1, 1);
	expect_nothing(&stage);
	tick(&stage, FEEDER_POLL_MS);
	(void)expect_batch(&stage, 1, 1);
	answer(&stage, RANGE_RESULT_ALREADY, 1, 1);
	expect(&stage, FEEDER_ACTION_COMMIT);
	CU_ASSERT_EQUAL(stage.action.offset, 1);
	expect_nothing(&stage);
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

/* In a flood of bad records a range waits for its own dead letters, not for those of the records behind it. */
static void test_flood_of_dead_letters(void)
{
	struct stage stage;

	feed_from(&stage, adaptive(), 0);
	for (int64_t offset = 0; offset < 100; offset++) {
		give(&stage, offset, NULL, "{}");
		expect(&stage, FEEDER_ACTION_DEAD_LETTER);
	}
	for (int64_t offset = 0; offset < 63; offset++) {
		acknowledge(&stage, offset, true);
		expect_nothing(&stage);
	}
	acknowledge(&stage, 63, true);
	(void)expect_batch(&stage, 0, 64);
	CU_ASSERT_EQUAL(status_of(&stage).dead_letters_pending, 36);
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
	former = stage.letter_epoch;
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
	CU_ASSERT_TRUE(feeder_wants(stage.feeder, live(&stage)));
	give(&stage, 0, "a", "{}");
	(void)expect_batch(&stage, 0, 1);
	while (feeder_wants(stage.feeder, live(&stage)) && offset < 100000)
		give(&stage, offset++, "a", "{}");
	CU_ASSERT_TRUE(offset > 10 && offset < 4000);
	CU_ASSERT_TRUE(feeder_memory_bytes(stage.feeder) >= 100000);
	CU_ASSERT_TRUE(feeder_memory_bytes(stage.feeder) < 200000);
	answer(&stage, RANGE_RESULT_APPLIED, 1, 0);
	(void)expect_batch(&stage, 1, offset);
	answer(&stage, RANGE_RESULT_APPLIED, offset, 0);
	CU_ASSERT_EQUAL(feeder_memory_bytes(stage.feeder), 0);
	CU_ASSERT_TRUE(feeder_wants(stage.feeder, live(&stage)));
	feeder_free(stage.feeder);
}

static void test_asking_wants_nothing(void)
{
	struct stage stage;

	raise_stage(&stage, adaptive());
	CU_ASSERT_FALSE(feeder_wants(stage.feeder, live(&stage)));
	CU_ASSERT_FALSE(feeder_wants(stage.feeder, stage.slot + 1));
	feeder_free(stage.feeder);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"a record travels", test_record_travels},
		{"what became visible is told once", test_visible_once},
		{"one batch in flight", test_one_batch_in_flight},
		{"empty range at the end", test_empty_range_at_the_end},
		{"ranges end at seals", test_ranges_end_at_seals},
		{"no answer is sent again", test_no_answer_is_sent_again},
		{"malformed answer is none", test_malformed_answer_is_none},
		{"results that rewind", test_results_that_rewind},
		{"another session rewinds", test_another_session_rewinds},
		{"received that falls rewinds", test_received_that_falls_rewinds},
		{"busy waits", test_busy_waits},
		{"busy holds up nobody else", test_busy_holds_up_nobody_else},
		{"commit is at most stored", test_commit_is_at_most_stored},
		{"an idle shard commits again", test_an_idle_shard_commits_again},
		{"dead letter before flush", test_dead_letter_before_flush},
		{"every dead letter of a range", test_every_dead_letter_of_a_range},
		{"flood of dead letters", test_flood_of_dead_letters},
		{"failed dead letter rewinds", test_failed_dead_letter_rewinds},
		{"no dead letter below committed", test_no_dead_letter_below_committed},
		{"backpressure", test_backpressure},
		{"asking wants nothing", test_asking_wants_nothing},
		CU_TEST_INFO_NULL,
	};

	return suite_run("feeder ranges", tests);
}
