/*
 * Which node is asked, what failures and slowness make of that, and how much
 * may be asked twice.
 */
#include "query/core/chooser.h"

#include "tests/unit/suite.h"

#include <stdio.h>

#define MS ((int64_t)1000)

static struct chooser *chooser;

static void set_up(void)
{
	chooser = chooser_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(chooser);
	CU_ASSERT_EQUAL(chooser_node(chooser, "a"), 0);
	CU_ASSERT_EQUAL(chooser_node(chooser, "b"), 1);
	CU_ASSERT_EQUAL(chooser_node(chooser, "a"), 0);
}

static void ask(size_t node, int64_t now_us, int64_t latency_us)
{
	chooser_sent(chooser, node, now_us);
	chooser_answered(chooser, node, CHOOSER_KIND_SEARCH, latency_us);
}

static int64_t cost(size_t node, int64_t now_us)
{
	return chooser_cost(chooser, node, CHOOSER_KIND_SEARCH, now_us);
}

static void test_cost(void)
{
	set_up();
	/* nothing is known: they are equal, and cheap */
	CU_ASSERT_EQUAL(cost(0, 0), cost(1, 0));
	CU_ASSERT_EQUAL(chooser_asked_us(chooser, 0), INT64_MIN);
	ask(0, 7, 1 * MS);
	CU_ASSERT_EQUAL(chooser_asked_us(chooser, 0), 7);
	CU_ASSERT_EQUAL(cost(0, 0), 1 * MS);
	/* smoothed: one slow answer moves it by an eighth */
	ask(0, 8, 9 * MS);
	CU_ASSERT_EQUAL(cost(0, 0), 2 * MS);
	/* of its own kind only */
	CU_ASSERT_EQUAL(chooser_cost(chooser, 0, CHOOSER_KIND_GET, 0),
	                chooser_cost(chooser, 1, CHOOSER_KIND_GET, 0));
	/* an answer that says nothing about the node */
	ask(0, 9, -1);
	CU_ASSERT_EQUAL(cost(0, 0), 2 * MS);
	/* what is in flight multiplies */
	chooser_sent(chooser, 0, 10);
	chooser_sent(chooser, 0, 10);
	CU_ASSERT_EQUAL(cost(0, 0), 6 * MS);
	chooser_unsent(chooser, 0);
	CU_ASSERT_EQUAL(cost(0, 0), 4 * MS);
	chooser_free(chooser);
}

/* Slow once: after some seconds it is tried again, and one fast answer is believed. */
static void test_slowness_fades(void)
{
	set_up();
	ask(0, 0, 100 * MS);
	CU_ASSERT_EQUAL(cost(0, 999 * MS), 100 * MS);
	CU_ASSERT_EQUAL(cost(0, 1000 * MS), 50 * MS);
	CU_ASSERT_EQUAL(cost(0, 5000 * MS), 3125);
	ask(0, 5000 * MS, 5 * MS);
	CU_ASSERT_EQUAL(cost(0, 5000 * MS), 3125 + (5000 - 3125) / 8);
	/* but not while it owes an answer */
	chooser_sent(chooser, 0, 5000 * MS);
	CU_ASSERT_EQUAL(cost(0, 60000 * MS), cost(0, 5000 * MS));
	chooser_free(chooser);
}

static void test_failures_back_off(void)
{
	int64_t pauses_ms[] = {200, 400, 800, 1600, 3200, 6400, 6400};
	int64_t now_us = 0;

	set_up();
	for (size_t i = 0; i < sizeof pauses_ms / sizeof pauses_ms[0]; i++) {
		chooser_sent(chooser, 0, now_us);
		chooser_failed(chooser, 0, now_us);
		CU_ASSERT_TRUE(cost(0, now_us + pauses_ms[i] * MS - 1) >= CHOOSER_COST_AWAY);
		now_us += pauses_ms[i] * MS;
		CU_ASSERT_TRUE(cost(0, now_us) < CHOOSER_COST_AWAY);
	}
	/* one question at a time tries it */
	chooser_sent(chooser, 0, now_us);
	CU_ASSERT_TRUE(cost(0, now_us) >= CHOOSER_COST_AWAY);
	chooser_answered(chooser, 0, CHOOSER_KIND_SEARCH, 1 * MS);
	CU_ASSERT_TRUE(cost(0, now_us) < CHOOSER_COST_AWAY);
	chooser_sent(chooser, 0, now_us);
	CU_ASSERT_TRUE(cost(0, now_us) < CHOOSER_COST_AWAY);
	/* an answer forgets all failures */
	chooser_failed(chooser, 0, now_us);
	CU_ASSERT_TRUE(cost(0, now_us + 200 * MS) < CHOOSER_COST_AWAY);
	chooser_free(chooser);
}

static void test_refusals_pause(void)
{
	set_up();
	chooser_sent(chooser, 0, 0);
	chooser_refused(chooser, 0, 0);
	CU_ASSERT_TRUE(cost(0, 100 * MS - 1) >= CHOOSER_COST_AWAY);
	CU_ASSERT_TRUE(cost(0, 100 * MS) < CHOOSER_COST_AWAY);
	chooser_sent(chooser, 0, 100 * MS);
	chooser_refused(chooser, 0, 100 * MS);
	/* always as long */
	CU_ASSERT_TRUE(cost(0, 200 * MS) < CHOOSER_COST_AWAY);
	chooser_free(chooser);
}

static const struct {
	const char *name;
	struct chooser_candidate candidates[3];
	size_t len;
	int64_t explore_us;
	size_t expected;
} picks[] = {
	{"one", {{1000, 5, false, 0}}, 1, INT64_MIN, 0},
	{"the cheapest", {{4000, 1, false, 0}, {1000, 9, false, 0}, {1600, 2, false, 0}}, 3, INT64_MIN, 1},
	{"of equals the one asked longest ago",
         {{1000, 9, false, 0}, {1500, 3, false, 0}, {1200, 5, false, 0}},
         3,
         INT64_MIN,
         1},
	{"of equals one that is asked anyway", {{1000, 1, false, 0}, {1500, 9, true, 0}}, 2, INT64_MIN, 1},
	{"not one that is dear, though it is asked anyway",
         {{1000, 9, false, 0}, {1501, 1, true, 0}},
         2,
         INT64_MIN,
         0},
	{"of several that are asked anyway the one for fewest shards",
         {{1000, 1, true, 3}, {1500, 9, true, 2}, {1000, 0, false, 0}},
         3,
         INT64_MIN,
         1},
	{"exploring: the one asked longest ago",
         {{1000, 9, false, 0}, {90000, 1, false, 0}},
         2,
         INT64_MAX,
         1},
	{"exploring, but all have been asked lately", {{1000, 9, false, 0}, {90000, 5, false, 0}}, 2, 5, 0},
	{"never asked is longest ago", {{1000, 0, false, 0}, {1000, INT64_MIN, false, 0}}, 2, INT64_MIN, 1},
	{"exploring does not take one that is away",
         {{1000, 9, false, 0}, {CHOOSER_COST_AWAY + 1, 1, false, 0}},
         2,
         INT64_MAX,
         0},
	{"all are away",
         {{CHOOSER_COST_AWAY * 2, 1, false, 0}, {CHOOSER_COST_AWAY + 1, 5, false, 0}},
         2,
         INT64_MIN,
         1},
};

static void test_pick(void)
{
	for (size_t i = 0; i < sizeof picks / sizeof picks[0]; i++) {
		size_t picked = chooser_pick(picks[i].candidates, picks[i].len, picks[i].explore_us);

		CU_ASSERT_EQUAL(picked, picks[i].expected);
		if (picked != picks[i].expected)
			printf("\n%s: %zu\n", picks[i].name, picked);
	}
}

/* Sequential questions alternate between equal nodes, and leave a slow one but for explorations. */
static void test_load_spreads(void)
{
	static const int64_t latencies_us[2][2] = {{1000, 1000}, {1000, 30000}};
	size_t asked[2][2] = {{0}};

	for (size_t row = 0; row < 2; row++) {
		int64_t now_us = 0;

		set_up();
		for (int i = 0; i < 320; i++) {
			struct chooser_candidate candidates[2];
			int64_t explore_us = chooser_turn(chooser, now_us);
			size_t picked;

			for (size_t n = 0; n < 2; n++)
				candidates[n] = (struct chooser_candidate){
					cost(n, now_us), chooser_asked_us(chooser, n), false, 0};
			picked = chooser_pick(candidates, 2, explore_us);
			asked[row][picked]++;
			ask(picked, now_us, latencies_us[row][picked]);
			now_us += 50 * MS;
		}
		chooser_free(chooser);
	}
	CU_ASSERT_EQUAL(asked[0][0], 160);
	CU_ASSERT_EQUAL(asked[0][1], 160);
	/* at first, and with every 32nd */
	CU_ASSERT_EQUAL(asked[1][1], 11);
}

static void test_percentile(void)
{
	set_up();
	for (int i = 0; i < CHOOSER_SAMPLES_MIN - 1; i++)
		ask(0, 0, 20 * MS);
	CU_ASSERT_EQUAL(chooser_hedge_after_us(chooser, 0, CHOOSER_KIND_SEARCH), CHOOSER_HEDGE_US_DEFAULT);
	ask(0, 0, 20 * MS);
	/* the bound above 20 ms */
	CU_ASSERT_EQUAL(chooser_hedge_after_us(chooser, 0, CHOOSER_KIND_SEARCH), 22656);
	CU_ASSERT_EQUAL(chooser_hedge_after_us(chooser, 0, CHOOSER_KIND_LIST), CHOOSER_HEDGE_US_DEFAULT);
	/* of 400 fast and 20 slow ones 95 % are fast */
	for (int i = 0; i < 400; i++)
		ask(0, 0, 1 * MS);
	CU_ASSERT_EQUAL(chooser_hedge_after_us(chooser, 0, CHOOSER_KIND_SEARCH), CHOOSER_HEDGE_US_MIN);
	/* and 5 % more are not */
	for (int i = 0; i < 20; i++)
		ask(0, 0, 40 * MS);
	CU_ASSERT_EQUAL(chooser_hedge_after_us(chooser, 0, CHOOSER_KIND_SEARCH), 22656);
	/* what is old fades */
	for (int i = 0; i < 3000; i++)
		ask(0, 0, 100 * MS);
	for (int i = 0; i < 1000; i++)
		ask(0, 0, 8 * MS);
	CU_ASSERT_TRUE(chooser_hedge_after_us(chooser, 0, CHOOSER_KIND_SEARCH) > 90 * MS);
	for (int i = 0; i < 4000; i++)
		ask(0, 0, 8 * MS);
	CU_ASSERT_EQUAL(chooser_hedge_after_us(chooser, 0, CHOOSER_KIND_SEARCH), 8000);
	chooser_free(chooser);
}

/* Whoever asks for as many hedges as there are gets one for every ten questions, after the first ten. */
static void test_hedge_budget(void)
{
	int hedges = 0;

	set_up();
	for (int i = 0; i < 10000; i++) {
		ask(0, 0, 1 * MS);
		while (chooser_take_hedge(chooser)) {
			hedges++;
			ask(1, 0, 1 * MS);
		}
	}
	/* the first question found the bucket full */
	CU_ASSERT_EQUAL(hedges, 999 + CHOOSER_HEDGES_AT_ONCE);
	/* what is not used does not add up */
	for (int i = 0; i < 10000; i++)
		ask(0, 0, 1 * MS);
	for (hedges = 0; chooser_take_hedge(chooser); hedges++)
		;
	CU_ASSERT_EQUAL(hedges, CHOOSER_HEDGES_AT_ONCE);
	chooser_free(chooser);
}

static void test_many_nodes(void)
{
	char id[16];

	set_up();
	for (int i = 0; i < 2 * CHOOSER_NODES_MAX; i++) {
		(void)snprintf(id, sizeof id, "n%d", i);
		CU_ASSERT_TRUE(chooser_node(chooser, id) < CHOOSER_NODES_MAX);
	}
	CU_ASSERT_EQUAL(chooser_node(chooser, "b"), 1);
	CU_ASSERT_EQUAL(chooser_node(chooser, "n600"), CHOOSER_NODES_MAX - 1);
	chooser_free(chooser);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"cost", test_cost},
		{"slowness fades", test_slowness_fades},
		{"failures back off", test_failures_back_off},
		{"refusals pause", test_refusals_pause},
		{"pick", test_pick},
		{"load spreads", test_load_spreads},
		{"percentile", test_percentile},
		{"hedge budget", test_hedge_budget},
		{"many nodes", test_many_nodes},
		CU_TEST_INFO_NULL,
	};

	return suite_run("chooser", tests);
}
