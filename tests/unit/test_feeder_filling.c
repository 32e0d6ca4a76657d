/*
 * Feeder: where a lane's identities and origins come from, before it reads and
 * whenever it begins anew.
 */
#include "tests/unit/feeder_judging.h"

/* ---- a page ---- */

static void test_filled_from_the_start(void)
{
	struct feeder_asked asked = marked(100, true, true);
	const struct origin origins[] = {origin_of("s", 1, 7), origin_of("t", 0, 3)};
	struct identity_entry known[2];
	struct feeder_action question;
	struct stage stage;
	struct page page;

	raise_marked(&stage, "i");
	reply(&stage, &asked);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 0);
	question = stage.action;
	(void)expect_batch(&stage, 100, 100); /* who fills is asked for its watermarks all the while */
	expect_nothing(&stage);
	CU_ASSERT_EQUAL(state_of(&stage), FEEDER_STATE_ANCHORING);
	CU_ASSERT_FALSE(feeder_wants(stage.feeder, live(&stage)));
	give(&stage, 100, "a", "{}"); /* of nobody's reader */
	CU_ASSERT_EQUAL(status_of(&stage).position, 100);
	known[0] = identity_at(&stage, 91, "a", "{\"x\":1}", "k");
	known[1] = identity_at(&stage, 99, "b", "{\"x\":1}", "k");
	page = page_at(100, known, 2);
	page.origins = origins;
	page.origins_len = 2;
	stage.action = question;
	fill(&stage, &page);
	expect_fed(&stage, 100);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(100, "b", "{\"x\":1}"), "k", NULL)),
	                FATE_DUPLICATE);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(101, "a", "{\"x\":2}"), "k", NULL)),
	                FATE_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(stage.action.refusal.text, "offset 91 "));
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(102, "c", "{}"), NULL, "s.1/0/7.0")),
	                FATE_DUPLICATE);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(103, "c", "{}"), NULL, "t.0/0/4.0")),
	                FATE_APPLIED);
	feeder_free(stage.feeder);
}

/* Nothing is asked for where there is nothing, or nothing that the rules look at. */
static void test_nothing_to_fill(void)
{
	static const struct {
		uint32_t contract;
		int64_t window;
		bool identities;
		bool origins;
		bool fills;
	} rows[] = {
		{2, 10, false, false, false}, {2, 10, true, false, true}, {2, 10, false, true, true},
		{2, 0, true, false, false},   {2, 0, true, true, true},   {1, 0, true, true, false},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct feeder_asked asked = marked(100, rows[i].identities, rows[i].origins);
		struct index_record index = judging_index(rows[i].window);
		struct stage stage;

		index.rules.contract = rows[i].contract;
		raise_index(&stage, adaptive(), "i", index);
		reply(&stage, &asked);
		if (rows[i].fills)
			expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 0);
		else
			expect_fed(&stage, 100);
		feeder_free(stage.feeder);
	}
}

static void test_pages(void)
{
	struct feeder_asked asked = marked(100, true, true);
	const struct origin origin = origin_of("s", 0, 7);
	struct identity_entry known;
	struct stage stage;
	struct page page;

	raise_marked(&stage, "i");
	reply(&stage, &asked);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 0);
	known = identity_at(&stage, 95, "a", "{}", "k");
	page = page_at(100, &known, 1);
	page.origins = &origin;
	page.origins_len = 1;
	page.next = 96;
	fill(&stage, &page);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 96);
	fill(&stage, &page); /* leads nowhere: 96 again */
	expect_halt(&stage, FEEDER_LANE_LIVE);
	tick(&stage, FEEDER_RETRY_MS_MAX);
	expect_ask(&stage, 0);
	reply(&stage, &asked);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 0); /* from the beginning again */
	fill(&stage, &page);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 96);
	known = identity_at(&stage, 98, "b", "{}", "k");
	page = page_at(100, &known, 1);
	fill(&stage, &page);
	expect_fed(&stage, 100);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(100, "a", "{}"), "k", NULL)), FATE_DUPLICATE);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(101, "b", "{}"), "k", NULL)), FATE_DUPLICATE);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(102, "c", "{}"), NULL, "s.0/0/7.0")),
	                FATE_DUPLICATE);
	feeder_free(stage.feeder);
}

/* Pages of another time are no answer. */
static void test_late_page(void)
{
	struct feeder_asked asked = marked(100, true, false);
	struct feeder_action former;
	struct stage stage;
	struct page page = page_at(100, NULL, 0);

	raise_marked(&stage, "i");
	reply(&stage, &asked);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 0);
	former = stage.action;
	no_fill(&stage);
	no_fill(&stage); /* twice: it has ended already */
	expect_halt(&stage, FEEDER_LANE_LIVE);
	tick(&stage, FEEDER_RETRY_MS);
	expect_ask(&stage, 0);
	reply(&stage, &asked);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 0);
	CU_ASSERT_TRUE(stage.action.epoch > former.epoch);
	stage.action.epoch = former.epoch;
	fill(&stage, &page);
	(void)expect_batch(&stage, 100, 100);
	expect_nothing(&stage);
	feeder_free(stage.feeder);
}

/* ---- a source that gives nothing ---- */

static void fail_fill(struct stage *stage, int how)
{
	struct page page = page_at(100, NULL, 0);

	if (how == 1)
		page.received = 101;
	if (how == 2)
		page.incarnation = (struct incarnation){{9, 9}};
	if (how == 0)
		no_fill(stage);
	else
		fill(stage, &page);
}

/* Asked again with ever longer pauses; after three failures the log tells as much, where it can. */
static void test_learnt_from_the_log(void)
{
	struct feeder_asked asked = marked(100, true, false);
	struct stage stage;
	int64_t pause = 0;

	raise_marked(&stage, "i");
	for (int how = 0; how < 3; how++) {
		reply(&stage, &asked);
		expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 0);
		fail_fill(&stage, how);
		CU_ASSERT_PTR_NOT_NULL(strstr(status_of(&stage).waits_for, "node n1 "));
		CU_ASSERT_EQUAL(state_of(&stage), FEEDER_STATE_ASKING);
		expect_halt(&stage, FEEDER_LANE_LIVE);
		expect_nothing(&stage);
		pause = pause == 0 ? FEEDER_RETRY_MS : 2 * pause;
		CU_ASSERT_EQUAL(feeder_deadline_ms(stage.feeder), stage.now_ms + pause);
		tick(&stage, pause - 1);
		expect_nothing(&stage);
		tick(&stage, 1);
		expect_ask(&stage, 0);
	}
	reply(&stage, &asked);
	expect_fed(&stage, 90);
	(void)expect_batch(&stage, 100, 100);
	answer(&stage, RANGE_RESULT_ALREADY, 100, 100);
	expect_commit(&stage, 100);
	give_keyed(&stage, 91, "a", "{}", "k");
	give_keyed(&stage, 93, "a", "{\"x\":1}", "k"); /* learnt, not judged */
	give_keyed(&stage, 94, "a", "{\"x\":", "k2");
	give_keyed(&stage, 99, "b", "{}", "k");
	expect_nothing(&stage);
	CU_ASSERT_EQUAL(status_of(&stage).records, 0);
	CU_ASSERT_EQUAL(status_of(&stage).position, 100);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(100, "a", "{\"x\":1}"), "k", NULL)),
	                FATE_DUPLICATE);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(101, "b", "{}"), "k", NULL)), FATE_DUPLICATE);
	/* one more time it is the replica that is asked */
	feeder_read_failed(stage.feeder, live(&stage), stage.now_ms);
	while (next(&stage))
		;
	tick(&stage, FEEDER_RETRY_MS_MAX);
	expect_ask(&stage, 0);
	reply(&stage, &asked);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 0);
	feeder_free(stage.feeder);
}

/* Origins are in no part of the log alone; and what the log has lost it does not tell. */
static void test_not_learnt_from_the_log(void)
{
	static const struct {
		bool origins;
		int64_t base;
		int64_t log_start;
		int64_t begins; /* -1: does not begin */
	} rows[] = {
		{true, 0, 0, -1},    {false, 0, 91, -1},  {false, 0, 90, 90},
		{false, 95, 95, 95}, {false, 95, 96, -1},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct feeder_asked asked = marked(100, true, rows[i].origins);
		struct index_record index = judging_index(JUDGING_WINDOW);
		struct stage stage;

		index.base = (int64_t[]){rows[i].base};
		asked.log_start = rows[i].log_start;
		raise_index(&stage, adaptive(), "i", index);
		for (int failures = 0; failures < 3; failures++) {
			reply(&stage, &asked);
			expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 0);
			no_fill(&stage);
			expect_halt(&stage, FEEDER_LANE_LIVE);
			tick(&stage, FEEDER_RETRY_MS_MAX);
			expect_ask(&stage, 0);
		}
		reply(&stage, &asked);
		if (rows[i].begins < 0)
			expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 0);
		else
			expect_start(&stage, FEEDER_LANE_LIVE, rows[i].begins);
		feeder_free(stage.feeder);
	}
}

/* Anchors are checked on the way, wherever they lie. */
static void test_learning_and_anchors(void)
{
	for (int64_t at = 85; at <= 95; at += 10) {
		struct feeder_asked asked = marked(100, true, false);
		struct record anchor = record_at(at, "a", "{}");
		struct stage stage;

		asked.replica.anchor = (struct anchor){at, anchor.timestamp_ms, record_checksum(&anchor)};
		raise_marked(&stage, "i");
		for (int failures = 0; failures < 3; failures++) {
			reply(&stage, &asked);
			expect_fill(&stage, FEEDER_LANE_LIVE, 0, 100, 0);
			no_fill(&stage);
			expect_halt(&stage, FEEDER_LANE_LIVE);
			tick(&stage, FEEDER_RETRY_MS_MAX);
			expect_ask(&stage, 0);
		}
		reply(&stage, &asked);
		expect_start(&stage, FEEDER_LANE_LIVE, at < 90 ? at : 90);
		give(&stage, at, "a", "{}");
		CU_ASSERT_EQUAL(state_of(&stage), FEEDER_STATE_FEEDING);
		feeder_free(stage.feeder);
	}
}

/* ---- the store ---- */

/* A store that is full when a page comes: the page is asked for again, from where it stood. */
static void test_fill_meets_a_full_store(void)
{
	struct feeder_asked asked = marked(2 * WINDOW_LEAF, true, false);
	struct identity_entry known[3];
	struct feeder_action question;
	struct stage stage;
	struct page page;

	raise_index(&stage, adaptive(), "i", judging_index(4 * WINDOW_LEAF));
	reply(&stage, &asked);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, 2 * WINDOW_LEAF, 0);
	question = stage.action;
	(void)expect_batch(&stage, 2 * WINDOW_LEAF, 2 * WINDOW_LEAF);
	stage.action = question;
	known[0] = identity_at(&stage, 5, "a", "{}", "k");
	page = page_at(2 * WINDOW_LEAF, known, 1);
	page.next = 6;
	fill(&stage, &page);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, 2 * WINDOW_LEAF, 6);
	stage.shelves[FEEDER_LANE_LIVE].puts_left = 0;
	known[0] = identity_at(&stage, 6, "b", "{}", "k");
	known[1] = identity_at(&stage, WINDOW_LEAF, "c", "{}", "k");
	page = page_at(2 * WINDOW_LEAF, known, 2);
	for (int64_t pause = FEEDER_RETRY_MS; pause < 1000; pause *= 2) {
		fill(&stage, &page);
		CU_ASSERT_STRING_EQUAL(status_of(&stage).waits_for, "the shelf is full");
		fill(&stage, &page); /* not asked for */
		expect_nothing(&stage);
		CU_ASSERT_EQUAL(feeder_deadline_ms(stage.feeder), stage.now_ms + pause);
		tick(&stage, pause);
		expect_fill(&stage, FEEDER_LANE_LIVE, 0, 2 * WINDOW_LEAF, 6);
	}
	stage.shelves[FEEDER_LANE_LIVE].puts_left = -1;
	fill(&stage, &page);
	expect_fed(&stage, 2 * WINDOW_LEAF);
	CU_ASSERT_STRING_EQUAL(status_of(&stage).waits_for, "");
	for (int64_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage,
		                                      record_at(2 * WINDOW_LEAF + i,
		                                                i == 0   ? "a"
		                                                : i == 1 ? "b"
		                                                         : "c",
		                                                "{}"),
		                                      "k", NULL)),
		                FATE_DUPLICATE);
	feeder_free(stage.feeder);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"filled from the start", test_filled_from_the_start},
		{"nothing to fill", test_nothing_to_fill},
		{"pages", test_pages},
		{"late page", test_late_page},
		{"learnt from the log", test_learnt_from_the_log},
		{"not learnt from the log", test_not_learnt_from_the_log},
		{"learning and anchors", test_learning_and_anchors},
		{"a fill meets a full store", test_fill_meets_a_full_store},
		CU_TEST_INFO_NULL,
	};

	return suite_run("feeder_filling", tests);
}
