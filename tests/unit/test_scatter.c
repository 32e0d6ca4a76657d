/*
 * One request over all shards: which node is asked for what, and what
 * refusals, failures and the deadline make of it.
 */
#include "tests/unit/scatter_bed.h"

static void test_all_answer(void)
{
	static const char *const replicas[4] = {"n1", "n2", "n1", "n2"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	CU_ASSERT_FALSE(scatter_is_on_one_node(bed.scatter));
	expect(&bed, start(), "n1:0,2 n2:1,3");
	CU_ASSERT_EQUAL(in_flight(&bed, "n1"), 1);
	expect(&bed, answered(1), "");
	expect(&bed, answered(0), "FINISH");
	CU_ASSERT_EQUAL(in_flight(&bed, "n1"), 0);
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 0);
	CU_ASSERT_EQUAL(scatter_wake_us(bed.scatter), INT64_MAX);
	expect_degraded(&bed, "");
	tear_down(&bed);
}

static void test_failure_without_another_replica(void)
{
	static const char *const replicas[4] = {"n1", "n2", "n1", ""};
	struct bed bed;

	set_up(&bed, replicas, &all);
	expect(&bed, start(), "n1:0,2 n2:1");
	expect(&bed, failed(0), "");
	expect(&bed, answered(1), "FINISH");
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 3);
	expect_degraded(&bed, "shards=packages/0,packages/2,packages/3");
	tear_down(&bed);
}

/* Few nodes: shards with a choice follow those without. */
static void test_failure_with_another_replica(void)
{
	static const char *const replicas[4] = {"n1 n2", "n2 n1", "n1 n2", "n1"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	expect(&bed, start(), "n1:3,0,1,2");
	expect(&bed, failed(0), "n2:0,1,2");
	CU_ASSERT_EQUAL(scatter_tally(bed.scatter).retries, 1);
	expect(&bed, answered(1), "FINISH");
	expect_degraded(&bed, "shards=packages/3");
	tear_down(&bed);
}

/* No more nodes than are needed, and of these none is asked for more shards than it must be. */
static void test_shards_are_spread(void)
{
	static const char *const replicas[4] = {"n1 n2", "n1 n2", "n1 n3", "n2 n3"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	expect(&bed, start(), "n1:2,0 n2:3,1");
	expect(&bed, failed(0), "n2:0 n3:2");
	tear_down(&bed);
}

static void test_searches_alternate(void)
{
	static const char *const replicas[4] = {"n1 n2", "n2 n1", "n1 n2", "n1 n2"};
	static const char *const expected[] = {"n1:0,1,2,3", "n2:0,1,2,3", "n1:0,1,2,3", "n2:0,1,2,3"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	for (size_t i = 0; i < 4; i++) {
		bed.now_us += 10 * MS;
		expect(&bed, start(), expected[i]);
		bed.now_us += 1 * MS;
		expect(&bed, answered(0), "FINISH");
		arena_deinit(&bed.arena);
		plan(&bed, &all);
	}
	tear_down(&bed);
}

static void test_recovering_answers_stale(void)
{
	static const char *const replicas[4] = {"n1", "n1", "n1", "n1"};
	static const struct node_refusal refusals[] = {{1, NODE_REFUSAL_RECOVERING},
	                                               {3, NODE_REFUSAL_STOPPED}};
	static const int32_t stale[] = {1};
	struct bed bed;

	set_up(&bed, replicas, &all);
	CU_ASSERT_TRUE(scatter_is_on_one_node(bed.scatter));
	expect(&bed, start(), "n1:0,1,2,3");
	/* one node: one leg again, so that it can still cut the page by itself */
	expect(&bed, refused(0, refusals, 2), "n1:0,1,2!");
	expect(&bed,
	       (struct scatter_event){
		       .kind = SCATTER_EVENT_ANSWERED, .leg = 1, .stale = stale, .stale_len = 1},
	       "FINISH");
	CU_ASSERT_EQUAL(scatter_stale(bed.scatter), 1);
	expect_degraded(&bed, "shards=packages/3; stale=packages/1");
	tear_down(&bed);
}

/* A stale answer is the last resort: another replica is asked first, and a neighbour is not made stale. */
static void test_recovering_with_another_replica(void)
{
	static const char *const replicas[4] = {"n1 n2", "n1", "n1", "n2"};
	static const struct node_refusal both[] = {{0, NODE_REFUSAL_RECOVERING},
	                                           {1, NODE_REFUSAL_RECOVERING}};
	static const struct node_refusal first[] = {{0, NODE_REFUSAL_RECOVERING}};
	struct bed bed;

	set_up(&bed, replicas, &all);
	teach(&bed, "n2", 1, 90 * MS);
	expect(&bed, start(), "n1:1,2,0 n2:3");
	expect(&bed, refused(0, both, 2), "n2:0 n1:1! n1:2");
	expect(&bed, refused(2, first, 1), "n1:0!");
	expect(&bed, answered(1), "");
	expect(&bed, answered(3), "");
	expect(&bed, answered(4), "");
	expect(&bed, answered(5), "FINISH");
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 0);
	tear_down(&bed);
}

/* What is recorded out of sync or leaving is asked only when nothing else is there, and flagged, whatever the node
 * thinks of itself; what is joining never. */
static void test_last_resorts(void)
{
	static const char *const replicas[4] = {"n1 n2o", "n2o n3l", "n3l n1j", "n1j"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	expect(&bed, start(), "n1:0 n2:1! n3:2!");
	expect(&bed, answered(0), "");
	expect(&bed, failed(1), "n3:1!");
	expect(&bed, answered(2), "");
	expect(&bed, answered(3), "FINISH");
	CU_ASSERT_EQUAL(scatter_stale(bed.scatter), 2);
	expect_degraded(&bed, "shards=packages/3; stale=packages/1,packages/2");
	tear_down(&bed);
}

static void test_rounds_end(void)
{
	static const char *const replicas[4] = {"n1", "n1", "n1", "n1"};
	static const struct node_refusal every[] = {{0, NODE_REFUSAL_RECOVERING},
	                                            {1, NODE_REFUSAL_RECOVERING},
	                                            {2, NODE_REFUSAL_RECOVERING},
	                                            {3, NODE_REFUSAL_RECOVERING}};
	struct bed bed;

	/* recovering even for stale answers: missing, not asked for ever */
	set_up(&bed, replicas, &all);
	expect(&bed, start(), "n1:0,1,2,3");
	expect(&bed, refused(0, every, 4), "n1:0,1,2,3!");
	expect(&bed, refused(1, every, 4), "FINISH");
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 4);
	CU_ASSERT_EQUAL(scatter_absent(bed.scatter), 0);
	tear_down(&bed);
	/* a 410 that refuses nothing */
	set_up(&bed, replicas, &all);
	expect(&bed, start(), "n1:0,1,2,3");
	expect(&bed, refused(0, NULL, 0), "FINISH");
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 4);
	tear_down(&bed);
}

static void test_deadline(void)
{
	static const char *const replicas[4] = {"n1", "n2", "n1", "n2"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	expect(&bed, start(), "n1:0,2 n2:1,3");
	expect(&bed, answered(0), "");
	bed.now_us = DEADLINE_US - 1;
	expect(&bed, tick(), "");
	CU_ASSERT_EQUAL(scatter_wake_us(bed.scatter), DEADLINE_US);
	bed.now_us = DEADLINE_US;
	expect(&bed, tick(), "FINISH");
	/* late, and of no use but to the chooser */
	expect(&bed, answered(1), "");
	CU_ASSERT_EQUAL(in_flight(&bed, "n2"), 0);
	expect_degraded(&bed, "shards=packages/1,packages/3");
	tear_down(&bed);
}

static void test_no_replica_at_all(void)
{
	static const char *const replicas[4] = {"", "", "", ""};
	struct bed bed;

	set_up(&bed, replicas, &all);
	expect(&bed, start(), "FINISH");
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 4);
	tear_down(&bed);
}

static void test_one_partition_and_alone(void)
{
	static const char *const replicas[4] = {"n1", "n2", "n1", "n2"};
	struct scatter_options one = {.partition = 2, .alone = true};
	struct scatter_options alone = {.partition = -1, .alone = true};
	struct node_question question;
	struct bed bed;

	set_up(&bed, replicas, &one);
	expect(&bed, start(), "n1:2");
	question = scatter_question(bed.scatter, 0, 7);
	CU_ASSERT_EQUAL_FATAL(question.partitions_len, 1);
	CU_ASSERT_EQUAL(question.partitions[0], 2);
	CU_ASSERT_EQUAL(question.hits_max, 7);
	expect(&bed, answered(0), "FINISH");
	tear_down(&bed);
	set_up(&bed, replicas, &alone);
	expect(&bed, start(), "n1:0 n2:1 n1:2 n2:3");
	expect(&bed, failed(2), "");
	expect(&bed, answered(0), "");
	expect(&bed, answered(1), "");
	expect(&bed, answered(3), "FINISH");
	expect_degraded(&bed, "shards=packages/2");
	tear_down(&bed);
}

static void test_unsent(void)
{
	static const char *const replicas[4] = {"n1 n2", "n1 n2", "n1 n2", "n1 n2"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	expect(&bed, start(), "n1:0,1,2,3");
	expect(&bed, of(SCATTER_EVENT_UNSENT, 0), "n2:0,1,2,3");
	/* that was not the node's fault */
	CU_ASSERT_TRUE(chooser_cost(bed.chooser, 0, CHOOSER_KIND_SEARCH, bed.now_us) < CHOOSER_COST_AWAY);
	CU_ASSERT_EQUAL(in_flight(&bed, "n1"), 0);
	expect(&bed, answered(1), "FINISH");
	tear_down(&bed);
	set_up(&bed, replicas, &all);
	/* given up before its legs were taken: nothing is left in flight */
	CU_ASSERT_EQUAL(
		scatter_step(bed.scatter, &(struct scatter_event){.kind = SCATTER_EVENT_START}, &bed.error),
		0);
	CU_ASSERT_EQUAL(in_flight(&bed, "n1"), 1);
	scatter_abandon(bed.scatter);
	CU_ASSERT_EQUAL(in_flight(&bed, "n1"), 0);
	tear_down(&bed);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"all answer", test_all_answer},
		{"a failure without another replica", test_failure_without_another_replica},
		{"a failure with another replica", test_failure_with_another_replica},
		{"shards are spread", test_shards_are_spread},
		{"searches alternate", test_searches_alternate},
		{"recovering shards answer stale", test_recovering_answers_stale},
		{"recovering with another replica", test_recovering_with_another_replica},
		{"last resorts", test_last_resorts},
		{"rounds end", test_rounds_end},
		{"deadline", test_deadline},
		{"no replica at all", test_no_replica_at_all},
		{"one partition, and one a leg", test_one_partition_and_alone},
		{"a leg that could not leave", test_unsent},
		CU_TEST_INFO_NULL,
	};

	return suite_run("scatter", tests);
}
