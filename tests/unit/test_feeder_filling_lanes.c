/*
 * Feeder: filling where several replicas stand at several offsets, in both
 * lanes, and whenever one of them begins anew.
 */
#include "tests/unit/feeder_judging.h"

/* ---- several replicas ---- */

static void test_another_at_the_start(void)
{
	struct feeder_asked asked = marked(100, true, false);
	struct identity_entry known;
	struct stage stage;
	struct page page;

	raise_marked(&stage, "ii");
	reply_of(&stage, 0, &asked);
	reply_of(&stage, 1, &asked);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 0);
	known = identity_at(&stage, 95, "a", "{}", "k");
	page = page_at(100, &known, 1);
	page.next = 96;
	fill(&stage, &page);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 96);
	no_fill(&stage);
	CU_ASSERT_TRUE(is_fed_by(&stage, 1, FEEDER_LANE_LIVE));
	CU_ASSERT_FALSE(replica_of(&stage, 0).known);
	expect_fill(&stage, FEEDER_LANE_LIVE, 1, 100, 0);
	page.next = -1;
	fill(&stage, &page);
	expect_fed(&stage, 100);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(100, "a", "{}"), "k", NULL)), FATE_DUPLICATE);
	feeder_free(stage.feeder);
}

/* The others stand further on: they need not wait, and what they know is as of there. */
static void test_source_alone_at_the_start(void)
{
	struct feeder_asked low = marked(100, true, false);
	struct feeder_asked high = marked(110, true, false);
	struct stage stage;

	raise_marked(&stage, "ii");
	reply_of(&stage, 0, &low);
	reply_of(&stage, 1, &high);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 0);
	no_fill(&stage);
	expect_halt(&stage, FEEDER_LANE_LIVE);
	expect_nothing(&stage);
	tick(&stage, 0);
	expect_ask(&stage, 1);
	expect_nothing(&stage);
	reply_of(&stage, 1, &high);
	expect_fill(&stage, FEEDER_LANE_LIVE, 1, 110, 0);
	/* the one that failed is back, and does not hold up */
	tick(&stage, FEEDER_RETRY_MS);
	expect_ask(&stage, 0);
	reply_of(&stage, 0, &low);
	CU_ASSERT_TRUE(is_fed_by(&stage, 0, FEEDER_LANE_BEHIND));
	CU_ASSERT_TRUE(is_fed_by(&stage, 1, FEEDER_LANE_LIVE));
	feeder_free(stage.feeder);
}

/* A source that the topology drops, or that turns out to be another one, is none any more. */
/* A replica of another log, as its anchor shows, has no say in how the records of this one are judged. */
static void test_source_of_another_log(void)
{
	struct feeder_asked low = marked(100, true, false);
	struct feeder_asked high = marked(110, false, false);
	struct identity_entry known;
	struct stage stage;
	struct page page;

	raise_marked(&stage, "ii");
	low.replica.anchor = (struct anchor){.offset = 99, .timestamp_ms = 1, .checksum = 2};
	reply_of(&stage, 0, &low);
	reply_of(&stage, 1, &high);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 0);
	known = identity_at(&stage, 95, "a", "{}", "k");
	page = page_at(100, &known, 1);
	fill(&stage, &page);
	expect_start(&stage, FEEDER_LANE_LIVE, 99);
	give_keyed(&stage, 104, "a", "{}", "k"); /* nothing stands at 99 */
	expect_halt(&stage, FEEDER_LANE_LIVE);
	expect_nothing(&stage);
	CU_ASSERT_EQUAL(status_of(&stage).records, 0);
	tick(&stage, 0);
	expect_ask(&stage, 1);
	reply_of(&stage, 1, &high);
	tick(&stage, FEEDER_ASK_WAIT_MS);
	expect_start(&stage, FEEDER_LANE_LIVE, 110);
	expect_ask(&stage, 0); /* it may have been trimmed meanwhile */
	expect_report(&stage, FEEDER_STATE_FEEDING);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(110, "a", "{}"), "k", NULL)), FATE_APPLIED);
	feeder_free(stage.feeder);
}

static void test_source_is_dropped(void)
{
	struct feeder_asked low = marked(100, true, false);
	struct feeder_asked high = marked(110, false, false);
	struct feeder_replica left;
	struct stage stage;

	raise_marked(&stage, "ii");
	reply_of(&stage, 0, &low);
	reply_of(&stage, 1, &high);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 0);
	left = (struct feeder_replica){stage.nodes[1], incarnation, true, 0};
	feeder_set_replicas(stage.feeder, stage.slot, &left, 1, stage.now_ms);
	expect_halt(&stage, FEEDER_LANE_LIVE);
	expect_ask(&stage, 1);
	no_fill(&stage); /* late */
	reply_of(&stage, 1, &high);
	expect_fed(&stage, 110);
	feeder_free(stage.feeder);
}

/* Whoever stands at the start joins a lane that is being filled; whoever stands below it does not. */
static void test_joining_a_filling_lane(void)
{
	struct feeder_asked middle = marked(100, true, false);
	struct feeder_asked high = marked(105, true, false);
	struct feeder_asked low = marked(95, true, false);
	struct page page = page_at(100, NULL, 0);
	struct feeder_action live_fill;
	struct stage stage;

	raise_marked(&stage, "ioo");
	reply_of(&stage, 0, &middle);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 0);
	live_fill = stage.action;
	reply_of(&stage, 1, &high);
	reply_of(&stage, 2, &low);
	CU_ASSERT_TRUE(is_fed_by(&stage, 1, FEEDER_LANE_LIVE));
	CU_ASSERT_TRUE(is_fed_by(&stage, 2, FEEDER_LANE_BEHIND));
	/* below the committed offset only, while LIVE has found nothing: there is none */
	expect_halt(&stage, FEEDER_LANE_BEHIND);
	CU_ASSERT_FALSE(feeder_wants(stage.feeder, behind(&stage)));
	stage.action = live_fill;
	fill(&stage, &page);
	expect_fed(&stage, 100);
	tick(&stage, 0); /* now BEHIND may read up to there, and needs to know what was before 95 */
	expect_fill(&stage, FEEDER_LANE_BEHIND, 2, 95, 0);
	page = page_at(95, NULL, 0);
	fill(&stage, &page);
	expect_start(&stage, FEEDER_LANE_BEHIND, 95);
	CU_ASSERT_TRUE(feeder_wants(stage.feeder, behind(&stage)));
	feeder_free(stage.feeder);
}

/* ---- BEHIND ---- */

/* Two replicas, 100 apart; LIVE at 200 is filled, BEHIND at 100 asks. */
static void raise_two_lanes(struct stage *stage)
{
	struct feeder_asked low = marked(100, true, false);
	struct feeder_asked high = marked(200, false, false);

	raise_marked(stage, "io");
	high.committed = 100;
	reply_of(stage, 0, &high);
	expect_fed(stage, 200);
	(void)expect_batch_to(stage, 0, 200, 200);
	answer_of(stage, 0, RANGE_RESULT_ALREADY, 200, 200);
	expect_commit(stage, 200);
	low.committed = 200;
	reply_of(stage, 1, &low);
	expect_fill(stage, FEEDER_LANE_BEHIND, 1, 100, 0);
}

static void test_behind_judges_alike(void)
{
	struct identity_entry known;
	struct stage stage;
	struct page page;
	struct range range;

	raise_two_lanes(&stage);
	known = identity_at(&stage, 99, "a", "{}", "k");
	page = page_at(100, &known, 1);
	fill(&stage, &page);
	expect_start(&stage, FEEDER_LANE_BEHIND, 100);
	(void)expect_batch_to(&stage, 1, 100, 100);
	answer_of(&stage, 1, RANGE_RESULT_ALREADY, 100, 100);
	give_to(&stage, behind(&stage), keyed(&stage, record_at(100, "a", "{}"), "k", NULL));
	give_to(&stage, behind(&stage), keyed(&stage, record_at(101, "a", "{\"x\":1}"), "k", NULL));
	give_to(&stage, behind(&stage), keyed(&stage, record_at(102, "b", "{}"), "k", NULL));
	range = expect_batch_to(&stage, 1, 100, 103);
	CU_ASSERT_EQUAL(range.ops_len, 1);
	CU_ASSERT_EQUAL(range.identities_len, 3);
	CU_ASSERT_EQUAL(status_of(&stage).records, 0); /* LIVE's affair */
	expect_nothing(&stage);
	/* LIVE's window is another one */
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(200, "a", "{}"), "k", NULL)), FATE_APPLIED);
	CU_ASSERT_EQUAL(stage.shelves_asked, 2);
	feeder_free(stage.feeder);
}

/* At its bound BEHIND keeps what it knows, and asks for nothing. */
static void test_behind_rests_at_its_bound(void)
{
	struct feeder_options options = adaptive();
	struct feeder_asked asked = marked(100, true, false);
	struct identity_entry known;
	struct stage stage;
	struct page page;

	options.replay = true;
	raise_index(&stage, options, "o", judging_index(JUDGING_WINDOW));
	asked.committed = 100;
	reply(&stage, &asked);
	expect_halt(&stage, FEEDER_LANE_BEHIND);
	(void)expect_batch(&stage, 100, 100);
	answer(&stage, RANGE_RESULT_ALREADY, 100, 100);
	tick(&stage, 0);
	expect_halt(&stage, FEEDER_LANE_BEHIND);
	expect_nothing(&stage);
	tick(&stage, 1000);
	expect_ask(&stage, 0);
	asked.committed = 103;
	reply(&stage, &asked);
	expect_fill(&stage, FEEDER_LANE_BEHIND, 0, 100, 0);
	known = identity_at(&stage, 99, "a", "{}", "k");
	page = page_at(100, &known, 1);
	fill(&stage, &page);
	expect_start(&stage, FEEDER_LANE_BEHIND, 100);
	expect_report(&stage, FEEDER_STATE_FEEDING);
	(void)expect_batch(&stage, 100, 100);
	answer(&stage, RANGE_RESULT_ALREADY, 100, 100);
	give_to(&stage, behind(&stage), keyed(&stage, record_at(100, "b", "{}"), "k", NULL));
	(void)expect_batch(&stage, 100, 101);
	give_to(&stage, behind(&stage), keyed(&stage, record_at(103, "c", "{}"), "k", NULL));
	expect_halt(&stage, FEEDER_LANE_BEHIND);
	CU_ASSERT_EQUAL(status_of(&stage).position, 103);
	CU_ASSERT_TRUE(status_of(&stage).window_memory > 0);
	/* it may read on */
	asked.committed = 110;
	feeder_set_replicas(stage.feeder, stage.slot,
	                    (struct feeder_replica[]){{stage.nodes[0], incarnation, false, 0},
	                                              {stage.nodes[1], incarnation, false, 0}},
	                    2, stage.now_ms);
	expect_ask(&stage, 1);
	asked.replica.received = 103;
	reply_of(&stage, 1, &asked); /* tells what is committed */
	CU_ASSERT_TRUE(is_fed_by(&stage, 1, FEEDER_LANE_BEHIND));
	(void)expect_batch_to(&stage, 1, 103, 103);
	tick(&stage, 0);
	expect_start(&stage, FEEDER_LANE_BEHIND, 103); /* and not: fill */
	give_to(&stage, behind(&stage), keyed(&stage, record_at(104, "a", "{}"), "k", NULL));
	give_to(&stage, behind(&stage), keyed(&stage, record_at(105, "b", "{}"), "k", NULL));
	answer_of(&stage, 1, RANGE_RESULT_ALREADY, 103, 103);
	CU_ASSERT_EQUAL(expect_batch_to(&stage, 1, 101, 106).ops_len, 0);
	feeder_free(stage.feeder);
}

/* Somebody else has fed it while BEHIND had nothing to read: what was before is as of where it stands now. */
static void test_fed_by_others_at_the_bound(void)
{
	struct feeder_asked low = marked(100, true, false);
	struct feeder_asked high = marked(120, true, false);
	struct range_answer moved = asked_of(110).replica;
	struct feeder_action live_fill;
	struct stage stage;
	struct page page;

	raise_marked(&stage, "io");
	low.committed = high.committed = 100;
	reply_of(&stage, 0, &high);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, 120, 0);
	live_fill = stage.action;
	reply_of(&stage, 1, &low);
	expect_halt(&stage, FEEDER_LANE_BEHIND);
	(void)expect_batch_to(&stage, 0, 120, 120);
	(void)expect_batch_to(&stage, 1, 100, 100);
	moved.has_identities = true;
	answer_as(&stage, 1, &moved);
	expect_commit(&stage, 120);
	stage.action = live_fill;
	page = page_at(120, NULL, 0);
	fill(&stage, &page);
	expect_fed(&stage, 120);
	tick(&stage, 0);
	expect_fill(&stage, FEEDER_LANE_BEHIND, 1, 110, 0);
	page = page_at(110, NULL, 0);
	fill(&stage, &page);
	expect_start(&stage, FEEDER_LANE_BEHIND, 110);
	feeder_free(stage.feeder);
}

/* A replica that is cut is asked for what it knows now, not for what it knew when it came. */
static void test_cut_replica_fills_behind(void)
{
	struct feeder_options options = adaptive();
	struct range_answer moved = asked_of(2).replica;
	struct stage stage;
	char large[4000];

	options.memory_bytes_max = 40000;
	raise_index(&stage, options, "ii", judging_index(JUDGING_WINDOW));
	begin_feeding(&stage, "ii", 0);
	give_keyed(&stage, 0, "a", "{}", "k");
	(void)expect_batch_to(&stage, 0, 0, 1);
	(void)expect_batch_to(&stage, 1, 0, 1);
	moved.received = 1;
	moved.stored = 0;
	moved.result = RANGE_RESULT_APPLIED;
	moved.has_identities = true;
	answer_as(&stage, 0, &moved);
	answer_as(&stage, 1, &moved);
	(void)snprintf(large, sizeof large, "{\"x\":\"%03900d\"}", 0);
	for (int64_t offset = 1; feeder_wants(stage.feeder, live(&stage)); offset++) {
		give(&stage, offset, "b", large);
		while (next(&stage))
			;
		if (!feeder_in_flight(stage.feeder, stage.nodes[0]))
			continue;
		moved.received = status_of(&stage).position;
		answer_as(&stage, 0, &moved);
	}
	while (next(&stage))
		;
	if (feeder_in_flight(stage.feeder, stage.nodes[0])) {
		moved.received = status_of(&stage).position;
		answer_as(&stage, 0, &moved);
	}
	CU_ASSERT_TRUE(feeder_in_flight(stage.feeder, stage.nodes[1]));
	while (next(&stage))
		;
	tick(&stage, 500);
	CU_ASSERT_EQUAL(status_of(&stage).cuts, 1);
	CU_ASSERT_TRUE(is_fed_by(&stage, 1, FEEDER_LANE_BEHIND));
	expect_fill(&stage, FEEDER_LANE_BEHIND, 1, 1, 0);
	feeder_free(stage.feeder);
}

/* Filling from BEHIND's lowest, which moves up: the others begin where they stand. */
static void test_source_moves_up(void)
{
	struct feeder_asked low = marked(100, true, false);
	struct feeder_asked middle = marked(150, true, false);
	struct feeder_asked high = marked(200, false, false);
	struct range_answer moved = asked_of(200).replica;
	struct stage stage;

	raise_marked(&stage, "ioo");
	high.committed = middle.committed = low.committed = 200;
	reply_of(&stage, 0, &high);
	while (next(&stage))
		;
	answer_of(&stage, 0, RANGE_RESULT_ALREADY, 200, 200);
	reply_of(&stage, 1, &low);
	reply_of(&stage, 2, &middle);
	expect_fill(&stage, FEEDER_LANE_BEHIND, 1, 100, 0);
	while (next(&stage))
		;
	answer_as(&stage, 1, &moved); /* somebody else fed it */
	CU_ASSERT_TRUE(is_fed_by(&stage, 1, FEEDER_LANE_LIVE));
	CU_ASSERT_FALSE(replica_of(&stage, 2).known);
	expect_halt(&stage, FEEDER_LANE_BEHIND);
	tick(&stage, 0);
	expect_ask(&stage, 2);
	reply_of(&stage, 2, &middle);
	expect_fill(&stage, FEEDER_LANE_BEHIND, 2, 150, 0);
	feeder_free(stage.feeder);
}

/* ---- rewinds ---- */

/* What was learnt beyond the new start is no more: it would judge the records by themselves. */
static void test_rewind_forgets(void)
{
	struct feeder_asked asked = marked(100, false, false);
	const struct origin origin = origin_of("s", 0, 1);
	struct stage stage;
	struct page page;

	raise_marked(&stage, "i");
	reply(&stage, &asked);
	expect_fed(&stage, 100);
	for (int round = 0; round < 3; round++) {
		CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(100, "a", "{}"), "k", "s.0/0/2.0")),
		                FATE_APPLIED);
		CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(101, "a", "{}"), "k", NULL)),
		                FATE_DUPLICATE);
		CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(102, "b", "{}"), NULL, "s.0/0/2.0")),
		                FATE_DUPLICATE);
		feeder_read_failed(stage.feeder, live(&stage), stage.now_ms);
		CU_ASSERT_EQUAL(status_of(&stage).window_memory, 0);
		while (next(&stage))
			;
		no_answer(&stage);
		tick(&stage, FEEDER_RETRY_MS_MAX);
		expect_ask(&stage, 0);
		asked.replica.has_origins = round > 0;
		reply(&stage, &asked);
		if (round > 0) {
			expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 0);
			page = page_at(100, NULL, 0);
			page.origins = &origin;
			page.origins_len = 1;
			fill(&stage, &page);
		}
		expect_fed(&stage, 100);
	}
	feeder_free(stage.feeder);
}

/* BEHIND goes back for a replica that is further behind: it is filled as of there. */
static void test_behind_goes_back(void)
{
	struct feeder_asked low = marked(60, true, false);
	struct page page;
	struct stage stage;

	raise_two_lanes(&stage);
	page = page_at(100, NULL, 0);
	fill(&stage, &page);
	expect_start(&stage, FEEDER_LANE_BEHIND, 100);
	while (next(&stage))
		;
	give_to(&stage, behind(&stage), keyed(&stage, record_at(100, "a", "{}"), "k", NULL));
	CU_ASSERT_TRUE(status_of(&stage).window_memory > 0);
	feeder_set_replicas(stage.feeder, stage.slot,
	                    (struct feeder_replica[]){{stage.nodes[0], incarnation, true, 0},
	                                              {stage.nodes[1], incarnation, false, 0},
	                                              {stage.nodes[2], incarnation, false, 0}},
	                    3, stage.now_ms);
	expect_ask(&stage, 2);
	reply_of(&stage, 2, &low);
	CU_ASSERT_EQUAL(status_of(&stage).window_memory, 0);
	expect_halt(&stage, FEEDER_LANE_BEHIND);
	expect_fill(&stage, FEEDER_LANE_BEHIND, 2, 60, 0);
	page = page_at(60, NULL, 0);
	fill(&stage, &page);
	expect_start(&stage, FEEDER_LANE_BEHIND, 60);
	feeder_free(stage.feeder);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"another at the start", test_another_at_the_start},
		{"source alone at the start", test_source_alone_at_the_start},
		{"source of another log", test_source_of_another_log},
		{"source is dropped", test_source_is_dropped},
		{"joining a filling lane", test_joining_a_filling_lane},
		{"BEHIND judges alike", test_behind_judges_alike},
		{"BEHIND rests at its bound", test_behind_rests_at_its_bound},
		{"fed by others at the bound", test_fed_by_others_at_the_bound},
		{"a cut replica fills BEHIND", test_cut_replica_fills_behind},
		{"the source moves up", test_source_moves_up},
		{"a rewind forgets", test_rewind_forgets},
		{"BEHIND goes back", test_behind_goes_back},
		CU_TEST_INFO_NULL,
	};

	return suite_run("feeder_filling_lanes", tests);
}
