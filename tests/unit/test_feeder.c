/*
 * Feeder: where feeding begins and why it does not, presets, shards that come
 * and go. Each rule is a sequence of events with the actions that must come
 * out.
 */
#include "tests/unit/feeder_stage.h"

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
	struct feeder_question first;
	struct stage stage;

	raise_stage(&stage, adaptive());
	first = (struct feeder_question){stage.slot, stage.nodes[0], stage.epochs[0]};
	reply(&stage, &none);
	tick(&stage, FEEDER_RETRY_MS_MAX);
	expect_ask(&stage, 0);
	CU_ASSERT_TRUE(stage.epochs[0] > first.epoch);
	feeder_asked(stage.feeder, &first, &asked, stage.now_ms);
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
		expect_report(&stage, FEEDER_STATE_STOPPED);
		CU_ASSERT_PTR_NOT_NULL(strstr(status_of(&stage).stop_reason, rows[i].reason));
		CU_ASSERT_STRING_EQUAL(replica_of(&stage, 0).obstacle, status_of(&stage).stop_reason);
		expect_nothing(&stage);
		tick(&stage, FEEDER_RETRY_MS_MAX);
		expect_ask(&stage, 0);
		reply(&stage, &asked); /* still so: no second report */
		CU_ASSERT_EQUAL(state_of(&stage), FEEDER_STATE_STOPPED);
		expect_nothing(&stage);
		tick(&stage, FEEDER_RETRY_MS_MAX);
		expect_ask(&stage, 0);
		asked = asked_of(40); /* resolved */
		reply(&stage, &asked);
		expect_start(&stage, FEEDER_LANE_LIVE, 40);
		expect_report(&stage, FEEDER_STATE_FEEDING);
		CU_ASSERT_STRING_EQUAL(replica_of(&stage, 0).obstacle, "");
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
		CU_ASSERT_EQUAL(feeder_record(stage.feeder, live(&stage), &record, stage.now_ms, &error), 0);
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

/* Another feeder has fed the replica on: what lies beyond where it told its anchor contradicts nothing. */
static void test_fed_by_others_while_checking(void)
{
	struct feeder_asked asked;
	struct stage stage;

	anchored(&stage, &asked);
	give(&stage, 38, "a", "{}");
	expect(&stage, FEEDER_ACTION_REPORT);
	(void)expect_batch(&stage, 40, 40);
	answer(&stage, RANGE_RESULT_ALREADY, 50, 40);
	give(&stage, 40, "b", "{}");
	give(&stage, 49, "c", "{}");
	give(&stage, 50, "d", "{}");
	CU_ASSERT_EQUAL(state_of(&stage), FEEDER_STATE_FEEDING);
	expect_commit(&stage, 40);
	CU_ASSERT_EQUAL(expect_batch(&stage, 50, 51).ops_len, 1);
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
	former = stage.epochs[0];
	feeder_remove_shard(stage.feeder, stage.slot);
	expect_halt(&stage, FEEDER_LANE_LIVE);
	expect_halt(&stage, FEEDER_LANE_BEHIND);
	expect_nothing(&stage);
	CU_ASSERT_FALSE(feeder_shard_status(stage.feeder, stage.slot, &(struct feeder_status){0}));
	CU_ASSERT_EQUAL(feeder_memory_bytes(stage.feeder), 0);
	answer(&stage, RANGE_RESULT_APPLIED, 1, 1); /* may still land, and moves nothing */
	expect_nothing(&stage);
	CU_ASSERT_EQUAL_FATAL(feeder_add_shard(stage.feeder, &index, 0, stage.now_ms, &slot, &error), 0);
	CU_ASSERT_EQUAL(slot, stage.slot);
	set_replicas(&stage, "i");
	expect_ask(&stage, 0);
	CU_ASSERT_TRUE(stage.epochs[0] > former);
	feeder_free(stage.feeder);
}

static void test_lost_position(void)
{
	struct stage stage;

	feed_from(&stage, adaptive(), 0);
	give(&stage, 0, "a", "{}");
	(void)expect_batch(&stage, 0, 1);
	feeder_read_failed(stage.feeder, live(&stage), stage.now_ms);
	expect_rewind(&stage);
	feeder_free(stage.feeder);

	feed_from(&stage, adaptive(), 50);
	feeder_end(stage.feeder, live(&stage), 49, stage.now_ms); /* the log lost its tail */
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
		{"fed by others while checking", test_fed_by_others_while_checking},
		{"anchor is missing", test_anchor_is_missing},
		{"trimmed anchor", test_trimmed_anchor_is_not_asked_for},
		{"batched", test_batched},
		{"periodic", test_periodic},
		{"flush rules", test_flush_rules},
		{"removed shard", test_removed_shard},
		{"lost position", test_lost_position},
		CU_TEST_INFO_NULL,
	};

	return suite_run("feeder", tests);
}
