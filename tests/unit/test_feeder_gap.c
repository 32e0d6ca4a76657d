/*
 * Feeder: a replica from a copy that is older than the log reaches back. What
 * its record gives up is covered by its first range; nothing else ever is.
 */
#include "tests/unit/feeder_stage.h"

static struct feeder_asked asked_in_log(int64_t received, int64_t log_start)
{
	struct feeder_asked asked = asked_of(received);

	asked.replica.anchor = (struct anchor){received - 1, 1, 2};
	asked.log_start = log_start;
	asked.log_end = 100;
	return asked;
}

/* Reading begins where the log does, the range where the replica stands. */
static void test_given_up(void)
{
	struct feeder_asked asked = asked_in_log(40, STAGE_FROM);
	struct stage stage;

	raise_replicas(&stage, adaptive(), "g");
	reply_of(&stage, 0, &asked);
	expect_start(&stage, FEEDER_LANE_LIVE, STAGE_FROM);
	expect_report(&stage, FEEDER_STATE_FEEDING);
	(void)expect_batch_to(&stage, 0, 40, 40);
	answer_of(&stage, 0, RANGE_RESULT_ALREADY, 40, 40);
	give(&stage, STAGE_FROM + 2, "a", "{}");
	(void)expect_batch_to(&stage, 0, 40, STAGE_FROM + 3);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, STAGE_FROM + 3, 40);
	expect_nothing(&stage); /* nobody is in-sync: nothing is committed */
	feeder_free(stage.feeder);
}

/* The log may have lost less than was given up: all of it is read. */
static void test_less_is_lost(void)
{
	static const struct {
		int64_t log_start;
		int64_t begins;
	} rows[] = {{50, 50}, {41, 41}, {40, 40}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct feeder_asked asked = asked_in_log(40, rows[i].log_start);
		struct stage stage;

		raise_replicas(&stage, adaptive(), "g");
		reply_of(&stage, 0, &asked);
		expect_start(&stage, FEEDER_LANE_LIVE, rows[i].begins);
		feeder_free(stage.feeder);
	}
}

/* One offset more than was given up, or nothing given up: nobody is fed. */
static void test_more_is_lost(void)
{
	static const struct {
		const char *marks;
		int64_t log_start;
	} rows[] = {{"g", STAGE_FROM + 1}, {"o", 41}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct feeder_asked asked = asked_in_log(40, rows[i].log_start);
		struct stage stage;

		raise_replicas(&stage, adaptive(), rows[i].marks);
		reply_of(&stage, 0, &asked);
		expect_nothing(&stage);
		CU_ASSERT_PTR_NOT_NULL(
			strstr(replica_of(&stage, 0).obstacle, "the records between are gone"));
		feeder_free(stage.feeder);
	}
}

/* A sibling that has what is gone is fed from there, and reading does not begin above it. */
static void test_beside_a_sibling(void)
{
	struct feeder_asked copy = asked_in_log(40, STAGE_FROM);
	struct feeder_asked sibling = asked_in_log(70, STAGE_FROM);
	struct stage stage;

	sibling.replica.anchor.offset = -1;
	raise_replicas(&stage, adaptive(), "gi");
	reply_of(&stage, 0, &copy);
	reply_of(&stage, 1, &sibling);
	expect_start(&stage, FEEDER_LANE_LIVE, 70);
	expect_start(&stage, FEEDER_LANE_BEHIND, STAGE_FROM);
	feeder_free(stage.feeder);

	raise_replicas(&stage, adaptive(), "go");
	reply_of(&stage, 0, &copy);
	reply_of(&stage, 1, &sibling);
	expect_start(&stage, FEEDER_LANE_LIVE, STAGE_FROM);
	feeder_free(stage.feeder);
}

/* What it has received meanwhile is not read again. */
static void test_asked_again(void)
{
	struct feeder_asked asked = asked_in_log(40, STAGE_FROM);
	struct feeder_asked later = asked_in_log(80, STAGE_FROM);
	struct stage stage;

	later.replica.anchor.offset = -1;
	raise_replicas(&stage, adaptive(), "g");
	reply_of(&stage, 0, &asked);
	expect_start(&stage, FEEDER_LANE_LIVE, STAGE_FROM);
	feeder_read_failed(stage.feeder, FEEDER_READER(stage.slot, FEEDER_LANE_LIVE), stage.now_ms);
	expect_rewind(&stage);
	reply_of(&stage, 0, &later);
	expect_start(&stage, FEEDER_LANE_LIVE, 80);
	feeder_free(stage.feeder);
}

/* However many offsets are gone, they are one range: there may be billions of them. */
static void test_long_gap(void)
{
	static const int64_t far = 5000000007;
	struct feeder_asked asked = asked_in_log(40, STAGE_FROM);
	struct batch_reader reader;
	struct range range;
	struct error error;
	struct stage stage;

	raise_replicas(&stage, adaptive(), "g");
	reply_of(&stage, 0, &asked);
	expect_start(&stage, FEEDER_LANE_LIVE, STAGE_FROM);
	expect_report(&stage, FEEDER_STATE_FEEDING);
	(void)expect_batch_to(&stage, 0, 40, 40);
	answer_of(&stage, 0, RANGE_RESULT_ALREADY, 40, 40);
	give(&stage, far, "a", "{}");
	CU_ASSERT_TRUE(feeder_wants(stage.feeder, live(&stage)));
	CU_ASSERT_TRUE_FATAL(next(&stage));
	CU_ASSERT_EQUAL_FATAL(stage.action.kind, FEEDER_ACTION_SEND);
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, stage.action.frame, &error), 0);
	CU_ASSERT_EQUAL_FATAL(reader.ranges_left, 2);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	CU_ASSERT_EQUAL(range.from, 40);
	CU_ASSERT_EQUAL(range.to, far / RANGE_SEAL * RANGE_SEAL);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	CU_ASSERT_EQUAL(range.from, far / RANGE_SEAL * RANGE_SEAL);
	CU_ASSERT_EQUAL(range.to, far + 1);
	CU_ASSERT_EQUAL(range.ops_len, 1);
	feeder_free(stage.feeder);
}

int main(void)
{
	CU_TestInfo tests[] = {{"what was given up is covered", test_given_up},
	                       {"less is lost than was given up", test_less_is_lost},
	                       {"more is lost than was given up", test_more_is_lost},
	                       {"beside a sibling", test_beside_a_sibling},
	                       {"asked again", test_asked_again},
	                       {"a gap of billions", test_long_gap},
	                       CU_TEST_INFO_NULL};

	return suite_run("feeder_gap", tests);
}
