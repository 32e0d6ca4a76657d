/*
 * Feeder: what the topology says of replicas (which there are, in-sync or not,
 * of which incarnation), what is committed for them, and whose trouble is
 * whose. Each rule is a sequence of events with the actions that must come
 * out.
 */
#include "tests/unit/feeder_stage.h"

static const struct incarnation another = {{0xc3, 0xd4}};

/* LIVE gives one record at `offset`, and the first `replicas` nodes get it. */
static void give_all(struct stage *stage, int64_t offset, size_t replicas)
{
	give(stage, offset, "a", "{}");
	for (size_t i = 0; i < replicas; i++)
		(void)expect_batch_to(stage, i, offset, offset + 1);
}

/* ---- commits ---- */

static void test_commit_is_the_lowest_stored(void)
{
	struct stage stage;

	feed_replicas(&stage, adaptive(), "iii", 0);
	give_all(&stage, 0, 3);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 1, 1);
	answer_of(&stage, 1, RANGE_RESULT_APPLIED, 1, 0);
	answer_of(&stage, 2, RANGE_RESULT_APPLIED, 1, 1);
	expect_nothing(&stage);
	give_all(&stage, 1, 3);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 2, 2);
	answer_of(&stage, 2, RANGE_RESULT_APPLIED, 2, 1);
	expect_nothing(&stage);
	answer_of(&stage, 1, RANGE_RESULT_APPLIED, 2, 2);
	expect_commit(&stage, 1);
	CU_ASSERT_EQUAL(status_of(&stage).stored, 1);
	CU_ASSERT_EQUAL(status_of(&stage).received, 2);
	feeder_free(stage.feeder);
}

static void test_no_commit_while_one_is_unknown(void)
{
	struct feeder_asked asked = asked_of(5);
	struct feeder_asked none = {.replica_answered = false};
	struct stage stage;

	raise_replicas(&stage, adaptive(), "ii");
	reply_of(&stage, 1, &none);
	reply_of(&stage, 0, &asked);
	expect_start(&stage, FEEDER_LANE_LIVE, 5);
	expect_report(&stage, FEEDER_STATE_FEEDING);
	(void)expect_batch_to(&stage, 0, 5, 5);
	answer_of(&stage, 0, RANGE_RESULT_ALREADY, 5, 5);
	give_all(&stage, 5, 1);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 6, 6);
	expect_nothing(&stage);
	CU_ASSERT_EQUAL(status_of(&stage).committed, -1);
	CU_ASSERT_FALSE(replica_of(&stage, 1).known);
	set_replicas(&stage, "io"); /* the controller has taken it out */
	expect_commit(&stage, 6);
	expect_nothing(&stage);
	feeder_free(stage.feeder);
}

/* Who was known and is asked again is not counted by what he said before. */
static void test_no_commit_while_one_is_asked_again(void)
{
	struct stage stage;

	feed_replicas(&stage, adaptive(), "ii", 0);
	give_all(&stage, 0, 2);
	answer_of(&stage, 1, RANGE_RESULT_APPLIED, 1, 1);
	give_all(&stage, 1, 0);
	(void)expect_batch_to(&stage, 1, 1, 2);
	answer_of(&stage, 1, RANGE_RESULT_GAP, 1, 1);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 1, 1);
	(void)expect_batch_to(&stage, 0, 1, 2);
	expect_nothing(&stage);
	CU_ASSERT_EQUAL(status_of(&stage).committed, 0);
	feeder_free(stage.feeder);
}

static void test_one_that_joins_is_fed_but_does_not_count(void)
{
	struct stage stage;

	feed_replicas(&stage, adaptive(), "io", 0);
	give_all(&stage, 0, 2);
	answer_of(&stage, 1, RANGE_RESULT_APPLIED, 1, 0);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 1, 1);
	expect_commit(&stage, 1);
	expect_nothing(&stage);
	set_replicas(&stage, "ii"); /* level: in again */
	expect_nothing(&stage);
	give_all(&stage, 1, 2);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 2, 2);
	expect_nothing(&stage);
	CU_ASSERT_EQUAL(status_of(&stage).stored, 0);
	answer_of(&stage, 1, RANGE_RESULT_APPLIED, 2, 2);
	expect_commit(&stage, 2);
	feeder_free(stage.feeder);
}

static void test_nobody_in_sync_nothing_committed(void)
{
	struct stage stage;

	feed_replicas(&stage, adaptive(), "ii", 0);
	set_replicas(&stage, "oo");
	give_all(&stage, 0, 2);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 1, 1);
	answer_of(&stage, 1, RANGE_RESULT_APPLIED, 1, 1);
	expect_nothing(&stage);
	CU_ASSERT_EQUAL(status_of(&stage).committed, 0);
	feeder_free(stage.feeder);
}

/* ---- incarnations ---- */

static void set_second(struct stage *stage, struct incarnation recorded, bool in_sync)
{
	struct feeder_replica replicas[] = {{stage->nodes[0], incarnation, true, 0},
	                                    {stage->nodes[1], recorded, in_sync, 0}};

	feeder_set_replicas(stage->feeder, stage->slot, replicas, 2, stage->now_ms);
}

static void test_another_incarnation_is_not_fed(void)
{
	struct feeder_asked asked = asked_of(5);
	struct feeder_asked stranger = asked_of(0);
	struct stage stage;

	stranger.replica.incarnation = another;
	raise_replicas(&stage, adaptive(), "ii");
	reply_of(&stage, 1, &stranger);
	reply_of(&stage, 0, &asked);
	expect_start(&stage, FEEDER_LANE_LIVE, 5); /* it is no reason to begin lower */
	expect_report(&stage, FEEDER_STATE_FEEDING);
	(void)expect_batch_to(&stage, 0, 5, 5);
	answer_of(&stage, 0, RANGE_RESULT_ALREADY, 5, 5);
	expect_nothing(&stage); /* and it counts as unknown */
	CU_ASSERT_FALSE(replica_of(&stage, 1).known);
	tick(&stage, FEEDER_RETRY_MS_MAX);
	expect_ask(&stage, 1);
	reply_of(&stage, 1, &stranger);
	CU_ASSERT_FALSE(replica_of(&stage, 1).known);
	set_second(&stage, another, false); /* now it is recorded: asked at once */
	expect_ask(&stage, 1);
	expect_commit(&stage, 5);
	reply_of(&stage, 1, &stranger);
	expect_start(&stage, FEEDER_LANE_BEHIND, 0);
	CU_ASSERT_TRUE(is_fed_by(&stage, 1, FEEDER_LANE_BEHIND));
	CU_ASSERT_TRUE(incarnation_equal(replica_of(&stage, 1).incarnation, another));
	feeder_free(stage.feeder);
}

static void test_recorded_incarnation_changes(void)
{
	struct stage stage;

	feed_replicas(&stage, adaptive(), "ii", 0);
	set_second(&stage, another, true);
	expect_ask(&stage, 1);
	CU_ASSERT_FALSE(replica_of(&stage, 1).known);
	CU_ASSERT_TRUE(is_fed_by(&stage, 0, FEEDER_LANE_LIVE));
	give_all(&stage, 0, 1);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 1, 1);
	expect_nothing(&stage); /* unknown: nothing is committed */
	feeder_free(stage.feeder);
}

/* Not recorded yet: whatever is there is fed. Once it is recorded as what it is, nothing happens. */
static void test_no_recorded_incarnation(void)
{
	struct feeder_asked asked = asked_of(0);
	struct stage stage;

	raise_replicas(&stage, adaptive(), "i");
	set_second(&stage, (struct incarnation){{0, 0}}, false);
	expect_ask(&stage, 1);
	reply_of(&stage, 0, &asked);
	reply_of(&stage, 1, &asked);
	expect_start(&stage, FEEDER_LANE_LIVE, 0);
	expect_report(&stage, FEEDER_STATE_FEEDING);
	(void)expect_batch_to(&stage, 0, 0, 0);
	(void)expect_batch_to(&stage, 1, 0, 0);
	answer_of(&stage, 0, RANGE_RESULT_ALREADY, 0, 0);
	answer_of(&stage, 1, RANGE_RESULT_ALREADY, 0, 0);
	expect_commit(&stage, 0);
	set_second(&stage, incarnation, true);
	expect_nothing(&stage);
	CU_ASSERT_TRUE(is_fed_by(&stage, 1, FEEDER_LANE_LIVE));
	feeder_free(stage.feeder);
}

static void test_batch_answered_by_another_incarnation(void)
{
	struct range_answer one = asked_of(1).replica;
	struct stage stage;

	one.incarnation = another;
	feed_replicas(&stage, adaptive(), "ii", 0);
	give_all(&stage, 0, 2);
	answer_as(&stage, 1, &one);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 1, 1);
	CU_ASSERT_FALSE(replica_of(&stage, 1).known);
	tick(&stage, 0);
	expect_ask(&stage, 1);
	expect_nothing(&stage);
	CU_ASSERT_EQUAL(status_of(&stage).committed, 0);
	feeder_free(stage.feeder);
}

/* ---- whose trouble ---- */

static void test_ahead_of_the_log(void)
{
	static const struct {
		const char *marks;
		bool stops;
	} rows[] = {{"ii", true}, {"io", false}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct feeder_asked asked = asked_of(40);
		struct feeder_asked ahead = asked_of(200);
		struct stage stage;
		const char *obstacle;

		ahead.log_end = asked.log_end;
		raise_replicas(&stage, adaptive(), rows[i].marks);
		reply_of(&stage, 0, &asked);
		reply_of(&stage, 1, &ahead);
		obstacle = replica_of(&stage, 1).obstacle;
		CU_ASSERT_PTR_NOT_NULL(strstr(obstacle, "the log ends at offset 140"));
		CU_ASSERT_PTR_NOT_NULL(strstr(obstacle, "node n2"));
		CU_ASSERT_PTR_NOT_NULL(strstr(obstacle, "restore the topic"));
		if (rows[i].stops) {
			expect_report(&stage, FEEDER_STATE_STOPPED);
			CU_ASSERT_STRING_EQUAL(status_of(&stage).stop_reason, obstacle);
			expect_nothing(&stage);
			CU_ASSERT_FALSE(replica_of(&stage, 0).known);
			tick(&stage, FEEDER_RETRY_MS_MAX);
			expect_ask(&stage, 0);
			expect_ask(&stage, 1);
		} else {
			expect_start(&stage, FEEDER_LANE_LIVE, 40);
			expect_report(&stage, FEEDER_STATE_FEEDING);
			CU_ASSERT_STRING_EQUAL(status_of(&stage).stop_reason, "");
			CU_ASSERT_TRUE(is_fed_by(&stage, 0, FEEDER_LANE_LIVE));
			CU_ASSERT_FALSE(replica_of(&stage, 1).known);
		}
		feeder_free(stage.feeder);
	}
}

/* One that comes back ahead of the log, or of what LIVE feeds from it, while the other is fed. */
static void test_ahead_of_the_log_later(void)
{
	struct feeder_asked ahead = asked_of(200);
	struct stage stage;

	feed_replicas(&stage, adaptive(), "ii", 0);
	give_all(&stage, 0, 2);
	answer_of(&stage, 1, RANGE_RESULT_GAP, 0, 0);
	tick(&stage, 0);
	expect_ask(&stage, 1);
	ahead.log_end = 100;
	reply_of(&stage, 1, &ahead);
	expect_halt(&stage, FEEDER_LANE_LIVE);
	expect_report(&stage, FEEDER_STATE_STOPPED);
	CU_ASSERT_EQUAL(feeder_memory_bytes(stage.feeder), 0);
	expect_nothing(&stage);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 1, 1); /* what was in flight lands, and moves nothing */
	expect_nothing(&stage);
	CU_ASSERT_EQUAL(state_of(&stage), FEEDER_STATE_STOPPED);
	feeder_free(stage.feeder);
}

/* The log begins above one replica, or something stands in its way: the others go on, but nothing is committed. */
static void test_one_is_obstructed(void)
{
	for (int i = 0; i < 2; i++) {
		struct feeder_asked asked = asked_of(40);
		struct feeder_asked low = asked_of(10);
		struct stage stage;

		asked.log_start = low.log_start = i == 0 ? 20 : 0;
		low.log_end = asked.log_end;
		low.obstacle = i == 0 ? NULL : "the disk is full";
		raise_replicas(&stage, adaptive(), "ii");
		reply_of(&stage, 1, &low);
		CU_ASSERT_PTR_NOT_NULL(strstr(replica_of(&stage, 1).obstacle,
		                              i == 0 ? "the log begins at offset 20" : "the disk is full"));
		reply_of(&stage, 0, &asked);
		expect_start(&stage, FEEDER_LANE_LIVE, 40);
		expect_report(&stage, FEEDER_STATE_FEEDING);
		(void)expect_batch_to(&stage, 0, 40, 40);
		answer_of(&stage, 0, RANGE_RESULT_ALREADY, 40, 40);
		expect_nothing(&stage);
		CU_ASSERT_EQUAL(status_of(&stage).committed, -1);
		tick(&stage, FEEDER_RETRY_MS_MAX);
		expect_ask(&stage, 1);
		low = asked_of(40); /* resolved */
		reply_of(&stage, 1, &low);
		CU_ASSERT_STRING_EQUAL(replica_of(&stage, 1).obstacle, "");
		CU_ASSERT_TRUE(is_fed_by(&stage, 1, FEEDER_LANE_LIVE));
		feeder_free(stage.feeder);
	}
}

static void test_all_are_obstructed(void)
{
	struct feeder_asked asked = asked_of(40);
	struct stage stage;

	asked.obstacle = "cleanup.policy=compact";
	raise_replicas(&stage, adaptive(), "ii");
	reply_of(&stage, 0, &asked);
	expect_nothing(&stage); /* the other may be fed */
	reply_of(&stage, 1, &asked);
	expect_report(&stage, FEEDER_STATE_STOPPED);
	CU_ASSERT_STRING_EQUAL(status_of(&stage).stop_reason, "cleanup.policy=compact");
	feeder_free(stage.feeder);
}

/* Why a shard has stopped is what stands in the way of those that count. */
static void test_reason_is_of_those_in_sync(void)
{
	struct feeder_asked first = asked_of(40);
	struct feeder_asked second = asked_of(40);
	struct stage stage;

	first.obstacle = "cleanup.policy=compact";
	second.obstacle = "the disk is full";
	raise_replicas(&stage, adaptive(), "io");
	reply_of(&stage, 0, &first);
	expect_report(&stage, FEEDER_STATE_STOPPED);
	reply_of(&stage, 1, &second);
	expect_nothing(&stage);
	CU_ASSERT_STRING_EQUAL(status_of(&stage).stop_reason, "cleanup.policy=compact");
	CU_ASSERT_STRING_EQUAL(replica_of(&stage, 1).obstacle, "the disk is full");
	feeder_free(stage.feeder);
}

/* ---- the anchors of several ---- */

static struct feeder_asked anchored_at(int64_t received, int64_t anchor)
{
	struct record record = record_at(anchor, "a", "{}");
	struct feeder_asked asked = asked_of(received);

	asked.replica.anchor = (struct anchor){anchor, record.timestamp_ms, record_checksum(&record)};
	asked.log_end = 1000;
	return asked;
}

static void test_each_has_its_anchor(void)
{
	struct feeder_asked first = anchored_at(40, 38);
	struct feeder_asked second = anchored_at(30, 29);
	struct stage stage;

	raise_replicas(&stage, adaptive(), "ii");
	reply_of(&stage, 0, &first);
	reply_of(&stage, 1, &second);
	expect_start(&stage, FEEDER_LANE_LIVE, 29);
	CU_ASSERT_EQUAL(state_of(&stage), FEEDER_STATE_ANCHORING);
	give(&stage, 29, "a", "{}");
	expect_report(&stage, FEEDER_STATE_FEEDING);
	give(&stage, 37, "b", "{}");
	expect_nothing(&stage); /* the first may still contradict the log */
	give(&stage, 38, "a", "{}");
	(void)expect_batch_to(&stage, 0, 40, 40);
	(void)expect_batch_to(&stage, 1, 30, 39);
	answer_of(&stage, 1, RANGE_RESULT_APPLIED, 39, 30);
	answer_of(&stage, 0, RANGE_RESULT_ALREADY, 40, 40);
	expect_commit(&stage, 30);
	feeder_free(stage.feeder);
}

static void test_anchor_of_the_second_differs(void)
{
	static const struct {
		const char *marks;
		enum feeder_state state;
	} rows[] = {{"ii", FEEDER_STATE_STOPPED}, {"io", FEEDER_STATE_FEEDING}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct feeder_asked first = anchored_at(30, 29);
		struct feeder_asked second = anchored_at(40, 38);
		struct stage stage;

		raise_replicas(&stage, adaptive(), rows[i].marks);
		reply_of(&stage, 0, &first);
		reply_of(&stage, 1, &second);
		expect_start(&stage, FEEDER_LANE_LIVE, 29);
		give(&stage, 29, "a", "{}");
		give(&stage, 38, "a", "{\"another\":1}");
		CU_ASSERT_EQUAL(state_of(&stage), rows[i].state);
		CU_ASSERT_PTR_NOT_NULL(strstr(replica_of(&stage, 1).obstacle, "offset 38"));
		CU_ASSERT_PTR_NOT_NULL(strstr(replica_of(&stage, 1).obstacle, "node n2"));
		CU_ASSERT_EQUAL(is_fed_by(&stage, 0, FEEDER_LANE_LIVE),
		                rows[i].state == FEEDER_STATE_FEEDING);
		feeder_free(stage.feeder);
	}
}

/* LIVE has read past the anchor of one that comes: it is taken if LIVE knows that record, else checked in the log. */
static void test_anchor_of_one_that_comes(void)
{
	static const struct {
		const char *value; /* of the record that the replica knows */
		int64_t anchor;
		enum feeder_lane lane;
	} rows[] = {
		{"{}", 2, FEEDER_LANE_LIVE},
		{"{\"another\":1}", 2, FEEDER_LANE_BEHIND},
		{"{}", 1, FEEDER_LANE_BEHIND}, /* LIVE knows only the last record of a range */
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct record known = record_at(rows[i].anchor, "a", rows[i].value);
		struct feeder_asked asked = asked_of(3);
		struct stage stage;

		feed_replicas(&stage, adaptive(), "i", 0);
		give(&stage, 0, "a", "{}");
		(void)expect_batch(&stage, 0, 1); /* not answered: LIVE keeps everything */
		give(&stage, 1, "a", "{}");
		give(&stage, 2, "a", "{}");
		set_replicas(&stage, "ii");
		expect_ask(&stage, 1);
		asked.replica.anchor =
			(struct anchor){rows[i].anchor, known.timestamp_ms, record_checksum(&known)};
		reply_of(&stage, 1, &asked);
		CU_ASSERT_TRUE(is_fed_by(&stage, 1, rows[i].lane));
		if (rows[i].lane == FEEDER_LANE_BEHIND)
			expect_start(&stage, FEEDER_LANE_BEHIND, rows[i].anchor);
		else
			(void)expect_batch_to(&stage, 1, 3, 3);
		expect_nothing(&stage);
		feeder_free(stage.feeder);
	}
}

/* ---- replicas come and go ---- */

static void test_a_replica_is_added(void)
{
	struct feeder_asked asked = asked_of(1);
	struct stage stage;

	feed_replicas(&stage, adaptive(), "ii", 0);
	give_all(&stage, 0, 2);
	set_replicas(&stage, "iio");
	expect_ask(&stage, 2);
	expect_nothing(&stage);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 1, 0); /* those that were there go on */
	answer_of(&stage, 1, RANGE_RESULT_APPLIED, 1, 0);
	reply_of(&stage, 2, &asked);
	CU_ASSERT_TRUE(is_fed_by(&stage, 2, FEEDER_LANE_LIVE));
	(void)expect_batch_to(&stage, 2, 1, 1);
	feeder_free(stage.feeder);
}

static void test_a_replica_is_removed(void)
{
	struct feeder_replica_status status;
	struct stage stage;

	feed_replicas(&stage, adaptive(), "ii", 0);
	give_all(&stage, 0, 2);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 1, 1);
	CU_ASSERT_TRUE(feeder_memory_bytes(stage.feeder) > 0);
	set_replicas(&stage, "i");
	CU_ASSERT_EQUAL(feeder_memory_bytes(stage.feeder), 0); /* nobody needs it any more */
	expect_commit(&stage, 1);
	expect_nothing(&stage);
	CU_ASSERT_TRUE(feeder_replica_status(stage.feeder, stage.slot, 0, &status));
	CU_ASSERT_FALSE(feeder_replica_status(stage.feeder, stage.slot, 1, &status));
	answer_of(&stage, 1, RANGE_RESULT_APPLIED, 1, 1); /* lands, and moves nothing */
	give_all(&stage, 1, 1);
	expect_nothing(&stage);
	set_replicas(&stage, "");
	expect_halt(&stage, FEEDER_LANE_LIVE);
	expect_nothing(&stage);
	CU_ASSERT_EQUAL(feeder_memory_bytes(stage.feeder), 0);
	set_replicas(&stage, "ii"); /* again, from the beginning */
	expect_ask(&stage, 0);
	expect_ask(&stage, 1);
	feeder_free(stage.feeder);
}

static void test_the_same_again_disturbs_nobody(void)
{
	struct stage stage;

	feed_replicas(&stage, adaptive(), "ii", 0);
	give_all(&stage, 0, 2);
	set_replicas(&stage, "ii");
	expect_nothing(&stage);
	answer_of(&stage, 0, RANGE_RESULT_APPLIED, 1, 1);
	set_replicas(&stage, "oi"); /* a mark is no reason to ask */
	expect_nothing(&stage);
	answer_of(&stage, 1, RANGE_RESULT_APPLIED, 1, 1);
	expect_commit(&stage, 1);
	expect_nothing(&stage);
	feeder_free(stage.feeder);
}

/* A replica that was asked and then removed: its answer is to nobody's question. */
static void test_removed_while_asked(void)
{
	struct feeder_asked asked = asked_of(0);
	struct stage stage;

	raise_replicas(&stage, adaptive(), "ii");
	set_replicas(&stage, "i");
	reply_of(&stage, 1, &asked);
	expect_nothing(&stage);
	reply_of(&stage, 0, &asked);
	expect_start(&stage, FEEDER_LANE_LIVE, 0); /* nobody is waited for */
	feeder_free(stage.feeder);
}

/* The answer that LIVE waits for will never come: the replica was removed. */
static void test_nobody_to_wait_for(void)
{
	struct feeder_asked asked = asked_of(0);
	struct stage stage;

	raise_replicas(&stage, adaptive(), "ii");
	reply_of(&stage, 0, &asked);
	expect_nothing(&stage);
	set_replicas(&stage, "i");
	tick(&stage, FEEDER_ASK_WAIT_MS);
	expect_start(&stage, FEEDER_LANE_LIVE, 0);
	feeder_free(stage.feeder);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"commit is the lowest stored", test_commit_is_the_lowest_stored},
		{"no commit while one is unknown", test_no_commit_while_one_is_unknown},
		{"no commit while one is asked again", test_no_commit_while_one_is_asked_again},
		{"one that joins does not count", test_one_that_joins_is_fed_but_does_not_count},
		{"nobody in-sync, nothing committed", test_nobody_in_sync_nothing_committed},
		{"another incarnation is not fed", test_another_incarnation_is_not_fed},
		{"the recorded incarnation changes", test_recorded_incarnation_changes},
		{"no recorded incarnation", test_no_recorded_incarnation},
		{"a batch answered by another incarnation", test_batch_answered_by_another_incarnation},
		{"ahead of the log", test_ahead_of_the_log},
		{"ahead of the log, later", test_ahead_of_the_log_later},
		{"one is obstructed", test_one_is_obstructed},
		{"all are obstructed", test_all_are_obstructed},
		{"the reason is of those in-sync", test_reason_is_of_those_in_sync},
		{"each has its anchor", test_each_has_its_anchor},
		{"the anchor of the second differs", test_anchor_of_the_second_differs},
		{"the anchor of one that comes", test_anchor_of_one_that_comes},
		{"a replica is added", test_a_replica_is_added},
		{"a replica is removed", test_a_replica_is_removed},
		{"the same again disturbs nobody", test_the_same_again_disturbs_nobody},
		{"removed while asked", test_removed_while_asked},
		{"nobody to wait for", test_nobody_to_wait_for},
		CU_TEST_INFO_NULL,
	};

	return suite_run("feeder marks", tests);
}
