/*
 * Feeder: several replicas of a shard, each at its own pace. Where LIVE
 * begins, what it keeps and for whom, who is cut, and how BEHIND brings
 * somebody back. Each rule is a sequence of events with the actions that must
 * come out.
 */
#include "tests/unit/feeder_stage.h"

#define BAD "not json"

/* ---- where LIVE begins ---- */

static void test_live_begins_at_the_lowest_in_sync(void)
{
	struct feeder_asked high = asked_of(40);
	struct feeder_asked low = asked_of(30);
	struct stage stage;

	raise_replicas(&stage, adaptive(), "ii");
	reply_of(&stage, 0, &high);
	expect_nothing(&stage); /* the other's answer is worth waiting for */
	reply_of(&stage, 1, &low);
	expect_start(&stage, FEEDER_LANE_LIVE, 30);
	expect_report(&stage, FEEDER_STATE_FEEDING);
	(void)expect_batch_to(&stage, 0, 40, 40);
	(void)expect_batch_to(&stage, 1, 30, 30);
	answer_of(&stage, 0, RANGE_RESULT_ALREADY, 40, 40);
	answer_of(&stage, 1, RANGE_RESULT_ALREADY, 30, 30);
	expect_commit(&stage, 30);
	give(&stage, 30, "a", "{}");
	(void)expect_batch_to(&stage, 1, 30, 31); /* and nothing for the one that has it */
	expect_nothing(&stage);
	give(&stage, 41, "b", "{}");
	(void)expect_batch_to(&stage, 0, 31, 42);
	feeder_free(stage.feeder);
}

static void test_live_waits_a_moment_for_answers(void)
{
	struct feeder_asked asked = asked_of(40);
	struct feeder_asked none = {.replica_answered = false};
	struct stage stage;

	raise_replicas(&stage, adaptive(), "ii");
	reply_of(&stage, 0, &asked);
	tick(&stage, FEEDER_ASK_WAIT_MS - 1);
	expect_nothing(&stage);
	CU_ASSERT_EQUAL(feeder_deadline_ms(stage.feeder), stage.now_ms + 1);
	tick(&stage, 1);
	expect_start(&stage, FEEDER_LANE_LIVE, 40);
	feeder_free(stage.feeder);

	/* who does not answer is not waited for at all */
	raise_replicas(&stage, adaptive(), "ii");
	reply_of(&stage, 1, &none);
	reply_of(&stage, 0, &asked);
	expect_start(&stage, FEEDER_LANE_LIVE, 40);
	feeder_free(stage.feeder);
}

/* Who is far behind the others is fed from further back in the log. */
static void test_far_behind_does_not_hold_back(void)
{
	static const struct {
		int64_t behind;
		bool in_live;
	} rows[] = {{FEEDER_LIVE_WINDOW, true}, {FEEDER_LIVE_WINDOW + 1, false}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct feeder_asked high = asked_of(100000);
		struct feeder_asked low = asked_of(100000 - rows[i].behind);
		struct stage stage;

		low.log_end = high.log_end;
		raise_replicas(&stage, adaptive(), "ii");
		reply_of(&stage, 0, &high);
		reply_of(&stage, 1, &low);
		expect_start(&stage, FEEDER_LANE_LIVE, rows[i].in_live ? 100000 - rows[i].behind : 100000);
		if (!rows[i].in_live)
			expect_start(&stage, FEEDER_LANE_BEHIND, 100000 - rows[i].behind);
		CU_ASSERT_TRUE(is_fed_by(&stage, 0, FEEDER_LANE_LIVE));
		CU_ASSERT_TRUE(is_fed_by(&stage, 1, rows[i].in_live ? FEEDER_LANE_LIVE : FEEDER_LANE_BEHIND));
		feeder_free(stage.feeder);
	}
}

static void test_out_of_sync_does_not_hold_back(void)
{
	struct feeder_asked high = asked_of(40);
	struct feeder_asked low = asked_of(10);
	struct stage stage;

	low.log_end = high.log_end;
	raise_replicas(&stage, adaptive(), "io");
	reply_of(&stage, 1, &low);
	expect_nothing(&stage);
	reply_of(&stage, 0, &high);
	expect_start(&stage, FEEDER_LANE_LIVE, 40);
	expect_start(&stage, FEEDER_LANE_BEHIND, 10);
	feeder_free(stage.feeder);
}

/* With nobody else to feed, a replica that does not count is fed, and nothing is committed. */
static void test_only_one_out_of_sync_answers(void)
{
	struct feeder_asked asked = asked_of(10);
	struct feeder_asked none = {.replica_answered = false};
	struct stage stage;

	raise_replicas(&stage, adaptive(), "io");
	reply_of(&stage, 0, &none);
	reply_of(&stage, 1, &asked);
	expect_start(&stage, FEEDER_LANE_LIVE, 10);
	expect_report(&stage, FEEDER_STATE_FEEDING);
	(void)expect_batch_to(&stage, 1, 10, 10);
	answer_of(&stage, 1, RANGE_RESULT_ALREADY, 10, 10);
	give(&stage, 10, "a", "{}");
	(void)expect_batch_to(&stage, 1, 10, 11);
	answer_of(&stage, 1, RANGE_RESULT_APPLIED, 11, 11);
	expect_nothing(&stage);
	CU_ASSERT_EQUAL(status_of(&stage).committed, -1);
	feeder_free(stage.feeder);
}

/* ---- each at its own pace ---- */

static void test_released_after_all_received(void)
{
	struct stage stage;

	feed_replicas(&stage, adaptive(), "ii", 0);
	give(&stage, 0, "a", "{}");
	(void)expect_batch_to(&stage, 0, 0, 1);
	(void)expect_batch_to(&stage, 1, 0, 1);
	give(&stage, 1, "b", "{}");
	give(&stage, 2, "c", "{}");
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 1, 0);
	(void)expect_batch_to(&stage, 0, 1, 3); /* does not wait for the other */
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 3, 0);
	expect_nothing(&stage);
	CU_ASSERT_TRUE(feeder_memory_bytes(stage.feeder) > 0);
	answer_of(&stage, 1, RANGE_RESULT_APPLIED, 1, 0);
	(void)expect_batch_to(&stage, 1, 1, 3);
	CU_ASSERT_TRUE(feeder_memory_bytes(stage.feeder) > 0);
	answer_of(&stage, 1, RANGE_RESULT_APPLIED, 3, 0);
	CU_ASSERT_EQUAL(feeder_memory_bytes(stage.feeder), 0);
	expect_nothing(&stage);
	feeder_free(stage.feeder);
}

static void test_one_without_answer_holds_up_nobody(void)
{
	struct stage stage;

	feed_replicas(&stage, adaptive(), "ii", 0);
	give(&stage, 0, "a", "{}");
	(void)expect_batch_to(&stage, 0, 0, 1);
	(void)expect_batch_to(&stage, 1, 0, 1);
	no_answer_of(&stage, 1);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 1, 1);
	give(&stage, 1, "b", "{}");
	(void)expect_batch_to(&stage, 0, 1, 2);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 2, 2);
	expect_nothing(&stage);
	tick(&stage, FEEDER_RETRY_MS);
	(void)expect_batch_to(&stage, 1, 0, 1); /* the same range again */
	answer_of(&stage, 1, RANGE_RESULT_BUSY, 0, 0);
	expect_nothing(&stage);
	CU_ASSERT_TRUE(is_fed_by(&stage, 1, FEEDER_LANE_LIVE));
	feeder_free(stage.feeder);
}

/* ---- a new session ---- */

static void answer_from_session(struct stage *stage, size_t at, uint64_t session, int64_t received)
{
	struct range_answer one = asked_of(received).replica;

	one.session = session;
	answer_as(stage, at, &one);
}

static void test_new_session_in_time(void)
{
	struct feeder_asked asked = asked_of(4);
	struct stage stage;
	struct range range;

	feed_replicas(&stage, adaptive(), "ii", 4);
	give(&stage, 4, "a", "{}");
	(void)expect_batch_to(&stage, 0, 4, 5);
	(void)expect_batch_to(&stage, 1, 4, 5);
	answer_from_session(&stage, 1, 6, 5); /* the node restarted */
	CU_ASSERT_FALSE(replica_of(&stage, 1).known);
	CU_ASSERT_EQUAL(state_of(&stage), FEEDER_STATE_FEEDING);
	tick(&stage, 0);
	expect_ask(&stage, 1);
	expect_nothing(&stage);
	asked.replica.session = 5; /* what the batch of the stage expects */
	reply_of(&stage, 1, &asked);
	CU_ASSERT_TRUE(is_fed_by(&stage, 1, FEEDER_LANE_LIVE)); /* LIVE still has what it needs */
	range = expect_batch_to(&stage, 1, 4, 5);
	CU_ASSERT_EQUAL(range.ops_len, 1);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 5, 4);
	CU_ASSERT_TRUE(feeder_memory_bytes(stage.feeder) > 0);
	answer_of(&stage, 1, RANGE_RESULT_APPLIED, 5, 4);
	CU_ASSERT_EQUAL(feeder_memory_bytes(stage.feeder), 0);
	expect_nothing(&stage);
	feeder_free(stage.feeder);
}

static void test_new_session_too_late(void)
{
	struct feeder_asked asked = asked_of(4);
	struct stage stage;

	feed_replicas(&stage, adaptive(), "ii", 4);
	give(&stage, 4, "a", "{}");
	(void)expect_batch_to(&stage, 0, 4, 5);
	(void)expect_batch_to(&stage, 1, 4, 5);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 5, 4);
	answer_from_session(&stage, 1, 6, 5);
	CU_ASSERT_EQUAL(feeder_memory_bytes(stage.feeder), 0); /* nobody else needs it */
	tick(&stage, 0);
	expect_ask(&stage, 1);
	reply_of(&stage, 1, &asked);
	expect_start(&stage, FEEDER_LANE_BEHIND, 4);
	CU_ASSERT_TRUE(is_fed_by(&stage, 0, FEEDER_LANE_LIVE));
	CU_ASSERT_TRUE(is_fed_by(&stage, 1, FEEDER_LANE_BEHIND));
	(void)expect_batch_to(&stage, 1, 4, 4);
	answer_of(&stage, 1, RANGE_RESULT_ALREADY, 4, 4);
	give_behind(&stage, 4, "a", "{}");
	(void)expect_batch_to(&stage, 1, 4, 5);
	answer_of(&stage, 1, RANGE_RESULT_APPLIED, 5, 4);
	expect_halt(&stage, FEEDER_LANE_BEHIND); /* level with LIVE: nothing is left to do there */
	CU_ASSERT_TRUE(is_fed_by(&stage, 1, FEEDER_LANE_LIVE));
	give(&stage, 5, "b", "{}");
	(void)expect_batch_to(&stage, 0, 5, 6);
	(void)expect_batch_to(&stage, 1, 5, 6);
	feeder_free(stage.feeder);
}

/* A gap is one replica's trouble. */
static void test_gap_of_one(void)
{
	struct stage stage;

	feed_replicas(&stage, adaptive(), "ii", 4);
	give(&stage, 4, "a", "{}");
	(void)expect_batch_to(&stage, 0, 4, 5);
	(void)expect_batch_to(&stage, 1, 4, 5);
	answer_of(&stage, 1, RANGE_RESULT_GAP, 2, 2);
	CU_ASSERT_EQUAL(state_of(&stage), FEEDER_STATE_FEEDING);
	CU_ASSERT_FALSE(replica_of(&stage, 1).known);
	CU_ASSERT_TRUE(is_fed_by(&stage, 0, FEEDER_LANE_LIVE));
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 5, 4);
	expect_nothing(&stage);
	feeder_free(stage.feeder);
}

/* ---- cut from memory ---- */

/* LIVE gives records until it takes no more; the next offset. */
static int64_t fill(struct stage *stage, int64_t offset)
{
	while (feeder_wants(stage->feeder, live(stage)) && offset < 100000)
		give(stage, offset++, "a", "{}");
	CU_ASSERT_TRUE_FATAL(offset < 100000);
	return offset;
}

/* Two replicas, of which the second does not answer while memory is full; the next offset. */
static int64_t fill_memory(struct stage *stage)
{
	struct feeder_options options = adaptive();
	int64_t end;

	options.memory_bytes_max = 100000;
	feed_replicas(stage, options, "ii", 0);
	give(stage, 0, "a", "{}");
	(void)expect_batch_to(stage, 0, 0, 1);
	(void)expect_batch_to(stage, 1, 0, 1);
	end = fill(stage, 1);
	answer_of(stage, 0, RANGE_RESULT_APPLIED, 1, 0);
	(void)expect_batch_to(stage, 0, 1, end);
	answer_of(stage, 0, RANGE_RESULT_APPLIED, end, 0);
	expect_nothing(stage);
	CU_ASSERT_FALSE(feeder_wants(stage->feeder, live(stage)));
	return end;
}

static void test_slow_one_is_cut(void)
{
	struct stage stage;
	int64_t end = fill_memory(&stage);
	int64_t deadline = feeder_deadline_ms(stage.feeder);

	CU_ASSERT_TRUE_FATAL(deadline > stage.now_ms && deadline <= stage.now_ms + 1000);
	tick(&stage, deadline - stage.now_ms);
	expect_start(&stage, FEEDER_LANE_BEHIND, 0);
	CU_ASSERT_EQUAL(status_of(&stage).cuts, 1);
	CU_ASSERT_TRUE(is_fed_by(&stage, 0, FEEDER_LANE_LIVE));
	CU_ASSERT_TRUE(is_fed_by(&stage, 1, FEEDER_LANE_BEHIND));
	CU_ASSERT_EQUAL(feeder_memory_bytes(stage.feeder), 0);
	CU_ASSERT_TRUE(feeder_wants(stage.feeder, live(&stage)));
	(void)fill(&stage, end); /* LIVE goes on */
	feeder_free(stage.feeder);
}

/* Nobody has received it: then nobody is slower than the others. */
static void test_nobody_is_cut_alone(void)
{
	struct feeder_options options = adaptive();
	struct stage stage;

	options.memory_bytes_max = 100000;
	feed_replicas(&stage, options, "ii", 0);
	(void)fill(&stage, 0);
	while (next(&stage))
		CU_ASSERT_EQUAL(stage.action.kind, FEEDER_ACTION_SEND);
	for (int i = 0; i < 100; i++) {
		tick(&stage, FEEDER_POLL_MS);
		expect_nothing(&stage);
	}
	CU_ASSERT_EQUAL(status_of(&stage).cuts, 0);
	CU_ASSERT_TRUE(is_fed_by(&stage, 0, FEEDER_LANE_LIVE));
	CU_ASSERT_TRUE(is_fed_by(&stage, 1, FEEDER_LANE_LIVE));
	feeder_free(stage.feeder);
}

/* BEHIND reads [from, to) and the second replica takes all of it. */
static void catch_up(struct stage *stage, int64_t from, int64_t to)
{
	int64_t received = from;
	int64_t offset = from;

	for (int turns = 0; received < to && turns < 1000; turns++) {
		while (offset < to && feeder_wants(stage->feeder, behind(stage)))
			give_behind(stage, offset++, "a", "{}");
		expect(stage, FEEDER_ACTION_SEND);
		CU_ASSERT_EQUAL_FATAL(stage->action.node, stage->nodes[1]);
		received = offset;
		answer_of(stage, 1, RANGE_RESULT_APPLIED, received, 0);
	}
	CU_ASSERT_EQUAL_FATAL(received, to);
}

static void test_cut_one_comes_back(void)
{
	struct stage stage;
	int64_t end = fill_memory(&stage);

	tick(&stage, feeder_deadline_ms(stage.feeder) - stage.now_ms);
	expect_start(&stage, FEEDER_LANE_BEHIND, 0);
	(void)expect_batch_to(&stage, 0, end, end); /* the idle one is asked */
	answer_of(&stage, 0, RANGE_RESULT_ALREADY, end, 0);
	/* the answer to what LIVE had sent comes at last, and is not about what BEHIND sends */
	answer_of(&stage, 1, RANGE_RESULT_APPLIED, 1, 0);
	(void)expect_batch_to(&stage, 1, 0, 0);
	answer_of(&stage, 1, RANGE_RESULT_ALREADY, 0, 0);
	expect_nothing(&stage);
	catch_up(&stage, 0, end);
	expect_halt(&stage, FEEDER_LANE_BEHIND);
	CU_ASSERT_TRUE(is_fed_by(&stage, 1, FEEDER_LANE_LIVE));
	CU_ASSERT_EQUAL(feeder_memory_bytes(stage.feeder), 0);
	(void)expect_batch_to(&stage, 1, end, end);
	answer_of(&stage, 1, RANGE_RESULT_ALREADY, end, 0);
	give(&stage, end, "a", "{}");
	(void)expect_batch_to(&stage, 0, end, end + 1);
	(void)expect_batch_to(&stage, 1, end, end + 1);
	feeder_free(stage.feeder);
}

/* ---- BEHIND and dead letters ---- */

/* The first replica stands at 10, the second at 0; LIVE has a dead letter at 10 that is not acknowledged. */
static void lag_behind(struct stage *stage)
{
	struct feeder_asked high = asked_of(10);
	struct feeder_asked low = asked_of(0);

	low.log_end = high.log_end;
	raise_replicas(stage, adaptive(), "io");
	reply_of(stage, 0, &high);
	reply_of(stage, 1, &low);
	expect_start(stage, FEEDER_LANE_LIVE, 10);
	expect_start(stage, FEEDER_LANE_BEHIND, 0);
	expect_report(stage, FEEDER_STATE_FEEDING);
	(void)expect_batch_to(stage, 0, 10, 10);
	(void)expect_batch_to(stage, 1, 0, 0);
	answer_of(stage, 0, RANGE_RESULT_ALREADY, 10, 10);
	expect_commit(stage, 10);
	answer_of(stage, 1, RANGE_RESULT_ALREADY, 0, 0);
	give(stage, 10, "a", BAD);
	expect(stage, FEEDER_ACTION_DEAD_LETTER);
	CU_ASSERT_EQUAL(stage->action.offset, 10);
	give(stage, 11, "b", "{}");
	expect_nothing(stage);
}

static void test_behind_emits_no_dead_letter(void)
{
	struct range range;
	struct stage stage;

	lag_behind(&stage);
	give_behind(&stage, 3, "a", BAD);
	range = expect_batch_to(&stage, 1, 0, 4); /* covered: it is among the dead letters already */
	CU_ASSERT_EQUAL(range.ops_len, 0);
	CU_ASSERT_EQUAL(status_of(&stage).refused, 1); /* LIVE's */
	feeder_free(stage.feeder);
}

/* The action sends nothing at `to` or above, and is answered. */
static void send_up_to(struct stage *stage, int64_t to)
{
	struct batch_reader reader;
	struct range range;
	struct error error;

	if (stage->action.kind == FEEDER_ACTION_HALT) /* BEHIND is not needed any more */
		return;
	CU_ASSERT_EQUAL_FATAL(stage->action.kind, FEEDER_ACTION_SEND);
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, stage->action.frame, &error), 0);
	while (batch_next(&reader, &range, &error) == 1)
		CU_ASSERT_TRUE(range.to <= to);
	answer_of(stage, node_at(stage, stage->action.node), RANGE_RESULT_ALREADY, to, 0);
}

static void test_behind_waits_for_dead_letters(void)
{
	struct stage stage;

	lag_behind(&stage);
	give_behind(&stage, 9, "a", "{}");
	(void)expect_batch_to(&stage, 1, 0, 10);
	give_behind(&stage, 10, "a", BAD); /* what LIVE has not put away */
	expect_halt(&stage, FEEDER_LANE_BEHIND);
	expect_nothing(&stage);
	answer_of(&stage, 1, RANGE_RESULT_APPLIED, 10, 0);
	for (int i = 0; i < 20; i++) {
		while (next(&stage))
			send_up_to(&stage, 10);
		tick(&stage, FEEDER_POLL_MS);
	}
	while (next(&stage))
		send_up_to(&stage, 10);
	acknowledge(&stage, 10, true);
	(void)expect_batch_to(&stage, 0, 10, 12);
	(void)expect_batch_to(&stage, 1, 10, 12); /* from LIVE, which still has it */
	feeder_free(stage.feeder);
}

/* ---- replay ---- */

static void test_replay(void)
{
	struct feeder_options options = adaptive();
	struct feeder_asked asked = asked_of(0);
	struct stage stage;

	options.replay = true;
	asked.committed = 10;
	raise_replicas(&stage, options, "o");
	reply(&stage, &asked);
	expect_start(&stage, FEEDER_LANE_BEHIND, 0);
	expect_report(&stage, FEEDER_STATE_FEEDING);
	(void)expect_batch(&stage, 0, 0);
	answer(&stage, RANGE_RESULT_ALREADY, 0, 0);
	give_behind(&stage, 4, "a", BAD);
	(void)expect_batch(&stage, 0, 5);
	give_behind(&stage, 9, "b", "{}");
	answer(&stage, RANGE_RESULT_APPLIED, 5, 5);
	(void)expect_batch(&stage, 5, 10);
	answer(&stage, RANGE_RESULT_APPLIED, 10, 10); /* and nothing is committed */
	give_behind(&stage, 10, "c", "{}");           /* not committed: not for a replay */
	expect_halt(&stage, FEEDER_LANE_BEHIND);
	expect_nothing(&stage);
	for (int i = 0; i < 10 && stage.action.kind != FEEDER_ACTION_ASK; i++) {
		tick(&stage, FEEDER_POLL_MS); /* asks from time to time how far it may go now */
		while (stage.action.kind != FEEDER_ACTION_ASK && next(&stage))
			CU_ASSERT_NOT_EQUAL(stage.action.kind, FEEDER_ACTION_SEND);
	}
	CU_ASSERT_EQUAL_FATAL(stage.action.kind, FEEDER_ACTION_ASK);
	asked = asked_of(10);
	asked.committed = 11;
	reply(&stage, &asked);
	expect_start(&stage, FEEDER_LANE_BEHIND, 10);
	feeder_free(stage.feeder);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"LIVE begins at the lowest in-sync", test_live_begins_at_the_lowest_in_sync},
		{"LIVE waits a moment for answers", test_live_waits_a_moment_for_answers},
		{"far behind does not hold back", test_far_behind_does_not_hold_back},
		{"out of sync does not hold back", test_out_of_sync_does_not_hold_back},
		{"only one out of sync answers", test_only_one_out_of_sync_answers},
		{"released after all received", test_released_after_all_received},
		{"one without answer holds up nobody", test_one_without_answer_holds_up_nobody},
		{"a new session in time", test_new_session_in_time},
		{"a new session too late", test_new_session_too_late},
		{"a gap of one", test_gap_of_one},
		{"a slow one is cut", test_slow_one_is_cut},
		{"nobody is cut alone", test_nobody_is_cut_alone},
		{"a cut one comes back", test_cut_one_comes_back},
		{"BEHIND emits no dead letter", test_behind_emits_no_dead_letter},
		{"BEHIND waits for dead letters", test_behind_waits_for_dead_letters},
		{"replay", test_replay},
		CU_TEST_INFO_NULL,
	};

	return suite_run("feeder replicas", tests);
}
