/*
 * One request over all shards where there is more than one replica: tokens,
 * groups, and asking twice.
 */
#include "tests/unit/scatter_bed.h"

/* ---- tokens ---- */

static const struct scatter_options tokens = {.partition = -1, .tokens = true};

/* An answer of which one partition is older than the token: that one is asked elsewhere. */
static void test_answer_behind_the_token(void)
{
	static const char *const replicas[4] = {"n1 n2", "n1 n2", "n1 n2", "n1 n2"};
	static const struct node_refusal behind[] = {{1, NODE_REFUSAL_BEHIND}};
	struct scatter_event event;
	struct bed bed;

	set_up(&bed, replicas, &tokens);
	expect(&bed, start(), "n1:0,1,2,3~");
	event = answered(0);
	event.refusals = behind;
	event.refusals_len = 1;
	expect(&bed, event, "n2:1~");
	/* a node that waits for a token is neither slow nor bad */
	CU_ASSERT_EQUAL(chooser_cost(bed.chooser, 0, CHOOSER_KIND_SEARCH, bed.now_us),
	                chooser_cost(bed.chooser, 2, CHOOSER_KIND_SEARCH, bed.now_us));
	expect(&bed, answered(1), "FINISH");
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 0);
	tear_down(&bed);
}

/* Little time at first, while another may have received more; then all that is left, once each. */
static void test_behind_the_token(void)
{
	static const char *const replicas[4] = {"n1 n2", "n1 n2", "n1 n2", "n1"};
	static const struct node_refusal two[] = {{0, NODE_REFUSAL_BEHIND}, {3, NODE_REFUSAL_BEHIND}};
	static const struct node_refusal first[] = {{0, NODE_REFUSAL_BEHIND}};
	struct bed bed;

	set_up(&bed, replicas, &tokens);
	/* of 3 there is no other replica to hurry to */
	expect(&bed, start(), "n1:3 n1:0,1,2~");
	expect(&bed, refused(1, first, 1), "n2:0,1,2~");
	expect(&bed, refused(2, first, 1), "n2:0 n2:1,2~");
	expect(&bed, answered(3), "");
	expect(&bed, answered(4), "");
	expect(&bed, refused(0, two, 2), "FINISH");
	expect_degraded(&bed, "shards=packages/3");
	tear_down(&bed);
	set_up(&bed, replicas, &tokens);
	expect(&bed, start(), "n1:3 n1:0,1,2~");
	expect(&bed, answered(0), "");
	expect(&bed, refused(1, first, 1), "n2:0,1,2~");
	expect(&bed, refused(2, first, 1), "n1:0 n1:1,2~");
	expect(&bed, answered(4), "");
	/* the other one too, when it takes long */
	bed.now_us = 100 * MS;
	expect(&bed, tick(), "n2:0+");
	expect(&bed, refused(3, first, 1), "");
	expect(&bed, refused(5, first, 1), "FINISH");
	expect_degraded(&bed, "shards=packages/0");
	tear_down(&bed);
}

/* ---- groups ---- */

static void test_groups_take_turns(void)
{
	static const char *const replicas[4] = {"n1 m1", "n2 m2", "n1 m1", "n2 m2"};
	static const char *const expected[] = {"n1:0,2 n2:1,3", "m1:0,2 m2:1,3", "n1:0,2 n2:1,3",
	                                       "m1:0,2 m2:1,3"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	for (size_t i = 0; i < 4; i++) {
		bed.now_us += 10 * MS;
		expect(&bed, start(), expected[i]);
		bed.now_us += 1 * MS;
		expect(&bed, answered(0), "");
		expect(&bed, answered(1), "FINISH");
		arena_deinit(&bed.arena);
		plan(&bed, &all);
	}
	/* a group is as dear as its dearest shard */
	teach(&bed, "n2", 30, 50 * MS);
	teach(&bed, "m1", 30, 2 * MS);
	teach(&bed, "n1", 30, 2 * MS);
	expect(&bed, start(), "m1:0,2 m2:1,3");
	tear_down(&bed);
}

static void test_another_group_helps_out(void)
{
	static const char *const replicas[4] = {"n1 m1", "n2 m2", "n1 m1o", "n2 m2"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	/* g1 lacks a shard, so it is not chosen though it is cheap */
	teach(&bed, "n1", 30, 90 * MS);
	expect(&bed, start(), "n1:0,2 n2:1,3");
	expect(&bed, failed(0), "m1:0 m1:2!");
	expect(&bed, failed(1), "m2:1,3");
	expect(&bed, answered(2), "");
	expect(&bed, answered(3), "");
	expect(&bed, answered(4), "FINISH");
	expect_degraded(&bed, "stale=packages/2");
	tear_down(&bed);
}

/* A node of the group that is away does not make a search wait for it while another group has the shard. */
static void test_group_with_a_node_away(void)
{
	static const char *const replicas[4] = {"n1 m1", "n2 m2", "n1 m1", "n2 m2"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	chooser_sent(bed.chooser, chooser_node(bed.chooser, "n1"), 0);
	chooser_failed(bed.chooser, chooser_node(bed.chooser, "n1"), 0);
	chooser_sent(bed.chooser, chooser_node(bed.chooser, "m2"), 0);
	chooser_failed(bed.chooser, chooser_node(bed.chooser, "m2"), 0);
	expect(&bed, start(), "n2:1,3 m1:0,2");
	tear_down(&bed);
}

/* ---- hedges ---- */

/* Others ask it so many questions, which it answers in the usual time. */
static void burden(struct bed *bed, const char *id, int questions)
{
	for (int i = 0; i < questions; i++)
		chooser_sent(bed->chooser, chooser_node(bed->chooser, id), 0);
}

static void relieve(struct bed *bed, const char *id, int questions)
{
	for (int i = 0; i < questions; i++)
		chooser_answered(bed->chooser, chooser_node(bed->chooser, id), CHOOSER_KIND_SEARCH, -1);
}

static void test_hedge_wins(void)
{
	static const char *const replicas[4] = {"n1 n2", "n1 n2", "n1 n3", "n1"};
	bool wanted[4];
	struct bed bed;

	set_up(&bed, replicas, &all);
	teach(&bed, "n1", 30, 8 * MS);
	teach(&bed, "n2", 30, 8 * MS);
	teach(&bed, "n3", 30, 8 * MS);
	expect(&bed, start(), "n1:3,0,1,2");
	/* the 95th percentile of all */
	CU_ASSERT_EQUAL(scatter_wake_us(bed.scatter), 8 * MS);
	bed.now_us = 8 * MS - 1;
	expect(&bed, tick(), "");
	bed.now_us = 8 * MS;
	expect(&bed, tick(), "n2:0,1+ n3:2+");
	/* only once */
	expect(&bed, tick(), "");
	CU_ASSERT_TRUE(scatter_wake_us(bed.scatter) > bed.now_us);
	expect(&bed, answered(2), "");
	/* what the slow leg may still be used for: 3, 0 and 1, not 2 */
	CU_ASSERT_EQUAL(scatter_wanted(bed.scatter, 0, wanted), 3);
	CU_ASSERT_TRUE(wanted[0] && wanted[1] && wanted[2] && !wanted[3]);
	expect(&bed, answered(0), "FINISH");
	CU_ASSERT_EQUAL(scatter_wanted(bed.scatter, 1, wanted), 0);
	expect(&bed, of(SCATTER_EVENT_UNUSED, 1), "");
	CU_ASSERT_EQUAL(scatter_tally(bed.scatter).hedges, 2);
	CU_ASSERT_EQUAL(scatter_tally(bed.scatter).hedges_won, 1);
	CU_ASSERT_EQUAL(scatter_tally(bed.scatter).retries, 0);
	CU_ASSERT_EQUAL(in_flight(&bed, "n2"), 0);
	expect_degraded(&bed, "");
	tear_down(&bed);
}

/* Whoever is asked though it is slow is waited for only as long as the other one would take. */
static void test_hedge_of_a_slow_node(void)
{
	static const char *const replicas[4] = {"n1 n2", "n1 n2", "n1 n2", "n1 n2"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	teach(&bed, "n1", 30, 400 * MS);
	teach(&bed, "n2", 30, 8 * MS);
	burden(&bed, "n2", 100);
	expect(&bed, start(), "n1:0,1,2,3");
	CU_ASSERT_EQUAL(scatter_wake_us(bed.scatter), 8 * MS);
	relieve(&bed, "n2", 100);
	bed.now_us = 8 * MS;
	expect(&bed, tick(), "n2:0,1,2,3+");
	expect(&bed, answered(1), "FINISH");
	tear_down(&bed);
}

/* A node with so much to do that it would take longer than the leg is out by now is not asked, until it would not. */
static void test_hedge_of_busy_nodes(void)
{
	static const char *const replicas[4] = {"n1 n2", "n1 n2", "n1 n2", "n1 n2"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	teach(&bed, "n1", 30, 8 * MS);
	teach(&bed, "n2", 30, 8 * MS);
	burden(&bed, "n2", 3); /* 32 ms */
	expect(&bed, start(), "n1:0,1,2,3");
	bed.now_us = 8 * MS;
	expect(&bed, tick(), "");
	CU_ASSERT_EQUAL(scatter_wake_us(bed.scatter), 18 * MS);
	bed.now_us = 18 * MS;
	expect(&bed, tick(), "");
	CU_ASSERT_EQUAL(scatter_tally(bed.scatter).hedges_denied, 2);
	CU_ASSERT_EQUAL(scatter_wake_us(bed.scatter), 36 * MS);
	bed.now_us = 36 * MS;
	expect(&bed, tick(), "n2:0,1,2,3+");
	CU_ASSERT_EQUAL(scatter_tally(bed.scatter).hedges, 1);
	expect(&bed, answered(1), "FINISH");
	tear_down(&bed);
}

/* The slow leg fails after its hedges have answered: nothing is missing. */
static void test_loser_fails(void)
{
	static const char *const replicas[4] = {"n1 n2", "n1 n2", "n1 n2", "n1 n2"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	expect(&bed, start(), "n1:0,1,2,3");
	bed.now_us = 100 * MS;
	expect(&bed, tick(), "n2:0,1,2,3+");
	expect(&bed, answered(1), "FINISH");
	expect(&bed, failed(0), "");
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 0);
	CU_ASSERT_TRUE(chooser_cost(bed.chooser, 0, CHOOSER_KIND_SEARCH, bed.now_us) >= CHOOSER_COST_AWAY);
	tear_down(&bed);
}

/* While one of two that are asked may still answer, nobody else is bothered; when both fail, it is missing. */
static void test_hedge_and_leg_fail(void)
{
	static const char *const replicas[4] = {"n1 n2", "n1 n2", "n1 n2", "n1 n2"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	expect(&bed, start(), "n1:0,1,2,3");
	bed.now_us = 100 * MS;
	expect(&bed, tick(), "n2:0,1,2,3+");
	expect(&bed, failed(0), "");
	expect(&bed, failed(1), "FINISH");
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 4);
	tear_down(&bed);
}

/* An answer that cannot be taken apart: its shards wait for their hedges, or are asked again. */
static void test_unused_answer(void)
{
	static const char *const replicas[4] = {"n1 n2", "n1 n3", "n1", "n1 n2"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	teach(&bed, "n2", 1, 9 * MS);
	teach(&bed, "n3", 1, 9 * MS);
	expect(&bed, start(), "n1:2,0,1,3");
	bed.now_us = 100 * MS;
	expect(&bed, tick(), "n2:0,3+ n3:1+");
	expect(&bed, answered(2), "");
	/* 1 is answered; 2 is with nobody else */
	expect(&bed, of(SCATTER_EVENT_UNUSED, 0), "n1:2");
	expect(&bed, answered(3), "");
	expect(&bed, answered(1), "FINISH");
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 0);
	tear_down(&bed);
}

/* Stale answers are never raced against fresh ones, and recovering replicas are no hedge. */
static void test_no_stale_hedge(void)
{
	static const char *const replicas[4] = {"n1 n2o", "n1 n2o", "n1 n2o", "n1 n2o"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	expect(&bed, start(), "n1:0,1,2,3");
	bed.now_us = 100 * MS;
	expect(&bed, tick(), "");
	/* not even when it is overdue */
	CU_ASSERT_EQUAL(scatter_wake_us(bed.scatter), DEADLINE_US / 2);
	bed.now_us = DEADLINE_US / 2;
	expect(&bed, tick(), "");
	CU_ASSERT_EQUAL(scatter_wake_us(bed.scatter), DEADLINE_US);
	expect(&bed, failed(0), "n2:0,1,2,3!");
	expect(&bed, answered(1), "FINISH");
	CU_ASSERT_EQUAL(scatter_stale(bed.scatter), 4);
	tear_down(&bed);
}

static void test_hedge_budget(void)
{
	static const char *const replicas[4] = {"n1 n2", "n1 n2", "n1 n2", "n1 n2"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	while (chooser_take_hedge(bed.chooser))
		chooser_sent(bed.chooser, 1, 0);
	expect(&bed, start(), "n1:0,1,2,3");
	bed.now_us = 100 * MS;
	expect(&bed, tick(), "");
	CU_ASSERT_EQUAL(scatter_tally(bed.scatter).hedges_denied, 1);
	CU_ASSERT_EQUAL(scatter_wake_us(bed.scatter), 200 * MS);
	/* other questions have paid for one */
	for (int i = 0; i < CHOOSER_HEDGE_EVERY; i++)
		teach(&bed, "n3", 1, 1 * MS);
	bed.now_us = 200 * MS;
	expect(&bed, tick(), "n2:0,1,2,3+");
	tear_down(&bed);
}

/* Half of the time is over: the budget does not count any more, and the node is avoided. */
static void test_overdue(void)
{
	static const char *const replicas[4] = {"n1 n2", "n1 n2", "n1 n2", "n1"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	while (chooser_take_hedge(bed.chooser))
		chooser_sent(bed.chooser, 1, 0);
	expect(&bed, start(), "n1:3,0,1,2");
	bed.now_us = DEADLINE_US / 2 - 1;
	expect(&bed, tick(), "");
	CU_ASSERT_EQUAL(scatter_wake_us(bed.scatter), DEADLINE_US / 2);
	bed.now_us = DEADLINE_US / 2;
	expect(&bed, tick(), "n2:0,1,2");
	CU_ASSERT_EQUAL(scatter_tally(bed.scatter).retries, 1);
	CU_ASSERT_EQUAL(scatter_tally(bed.scatter).hedges, 0);
	CU_ASSERT_TRUE(chooser_cost(bed.chooser, 0, CHOOSER_KIND_SEARCH, bed.now_us) >= CHOOSER_COST_AWAY);
	/* the one that was asked again is overdue at half of what was left, and has nobody to turn to */
	CU_ASSERT_EQUAL(scatter_wake_us(bed.scatter), bed.now_us + 100 * MS);
	expect(&bed, answered(1), "");
	/* late, but in time for the shard that is nowhere else */
	expect(&bed, answered(0), "FINISH");
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 0);
	CU_ASSERT_TRUE(chooser_cost(bed.chooser, 0, CHOOSER_KIND_SEARCH, bed.now_us) < CHOOSER_COST_AWAY);
	tear_down(&bed);
}

/* What waits for a token is not failing. */
static void test_overdue_with_a_token(void)
{
	static const char *const replicas[4] = {"n1", "n1", "n1", "n1"};
	struct bed bed;

	set_up(&bed, replicas, &tokens);
	expect(&bed, start(), "n1:0,1,2,3");
	bed.now_us = DEADLINE_US / 2;
	expect(&bed, tick(), "");
	CU_ASSERT_TRUE(chooser_cost(bed.chooser, 0, CHOOSER_KIND_SEARCH, bed.now_us) < CHOOSER_COST_AWAY);
	CU_ASSERT_EQUAL(scatter_wake_us(bed.scatter), DEADLINE_US);
	tear_down(&bed);
}

static void test_absent(void)
{
	static const char *const replicas[4] = {"n1", "n1 n2", "n2", "n2"};
	static const struct node_refusal absent[] = {{0, NODE_REFUSAL_ABSENT}, {1, NODE_REFUSAL_ABSENT}};
	struct bed bed;

	set_up(&bed, replicas, &all);
	teach(&bed, "n2", 1, 9 * MS);
	expect(&bed, start(), "n1:0,1 n2:2,3");
	expect(&bed, refused(0, absent, 2), "n2:1");
	expect(&bed, answered(1), "");
	expect(&bed, answered(2), "FINISH");
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 1);
	/* a newer catalog may say where it is now; of 1 there was another replica */
	CU_ASSERT_EQUAL(scatter_absent(bed.scatter), 1);
	tear_down(&bed);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"an answer behind the token", test_answer_behind_the_token},
		{"behind the token", test_behind_the_token},
		{"groups take turns", test_groups_take_turns},
		{"another group helps out", test_another_group_helps_out},
		{"a group with a node away", test_group_with_a_node_away},
		{"a hedge wins", test_hedge_wins},
		{"a hedge of a slow node", test_hedge_of_a_slow_node},
		{"a hedge of busy nodes", test_hedge_of_busy_nodes},
		{"the loser fails", test_loser_fails},
		{"hedge and leg fail", test_hedge_and_leg_fail},
		{"an answer that is not used", test_unused_answer},
		{"no stale hedge", test_no_stale_hedge},
		{"hedge budget", test_hedge_budget},
		{"overdue", test_overdue},
		{"overdue with a token", test_overdue_with_a_token},
		{"absent", test_absent},
		CU_TEST_INFO_NULL,
	};

	return suite_run("scatter_replicas", tests);
}
