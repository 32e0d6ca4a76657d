/*
 * Budget: shares of one index, of some that all want more, and of one that
 * comes when the others are full; and what is left of indexes that go.
 */
#include "tests/unit/suite.h"

#include "shard/core/budget.h"

#define MAX 1200

static struct budget budget; /* too large for a stack */

/* Takes bytes one by one until it is refused. */
static void fill(uint64_t index_id)
{
	for (size_t bytes = budget_of(&budget, index_id); budget_admits(&budget, index_id); bytes++)
		budget_change(&budget, index_id, bytes, bytes + 1);
}

/* All want more at once: a byte each in turn. */
static void fill_in_turns(uint64_t indexes)
{
	bool taken = true;

	while (taken) {
		taken = false;
		for (uint64_t index_id = 1; index_id <= indexes; index_id++) {
			size_t bytes = budget_of(&budget, index_id);

			if (!budget_admits(&budget, index_id))
				continue;
			budget_change(&budget, index_id, bytes, bytes + 1);
			taken = true;
		}
	}
}

static void test_one_alone_takes_half(void)
{
	budget_init(&budget, MAX);
	CU_ASSERT_EQUAL(budget_share(&budget, 7), MAX / 2);
	fill(7);
	CU_ASSERT_EQUAL(budget_of(&budget, 7), MAX / 2);
	CU_ASSERT_EQUAL(budget.bytes, MAX / 2);
	CU_ASSERT_EQUAL(budget_share(&budget, 7), MAX / 2);
}

static void test_some_take_the_same(void)
{
	static const struct {
		uint64_t indexes;
		size_t each;
	} rows[] = {{1, 600}, {2, 400}, {3, 300}, {5, 200}, {11, 100}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		budget_init(&budget, MAX);
		fill_in_turns(rows[i].indexes);
		for (uint64_t index_id = 1; index_id <= rows[i].indexes; index_id++)
			CU_ASSERT_EQUAL(budget_of(&budget, index_id), rows[i].each);
		CU_ASSERT_EQUAL(budget.bytes, rows[i].each * rows[i].indexes);
	}
}

/* Who held more than its share when another one came is refused until it has stored, the other one is not. */
static void test_one_that_comes_finds_room(void)
{
	budget_init(&budget, MAX);
	fill(1);
	CU_ASSERT_EQUAL(budget_share(&budget, 2), 300);
	budget_change(&budget, 2, 0, 200);
	CU_ASSERT_TRUE(budget_admits(&budget, 2));
	CU_ASSERT_FALSE(budget_admits(&budget, 1));
	CU_ASSERT_EQUAL(budget_share(&budget, 1), 500);
	budget_change(&budget, 1, 600, 499);
	CU_ASSERT_TRUE(budget_admits(&budget, 1));
}

/* Ranges are admitted before their size is known: then nobody takes more. */
static void test_more_than_all(void)
{
	budget_init(&budget, MAX);
	budget_change(&budget, 1, 0, MAX / 2 - 1);
	CU_ASSERT_TRUE(budget_admits(&budget, 1));
	budget_change(&budget, 1, MAX / 2 - 1, 5 * MAX);
	CU_ASSERT_FALSE(budget_admits(&budget, 1));
	CU_ASSERT_FALSE(budget_admits(&budget, 2));
	CU_ASSERT_EQUAL(budget_share(&budget, 2), 0);
	budget_change(&budget, 1, 5 * MAX, 0);
	CU_ASSERT_TRUE(budget_admits(&budget, 2));
	CU_ASSERT_EQUAL(budget.bytes, 0);
}

/* Replicas of one index share its share; what holds nothing takes no place. */
static void test_replicas_of_an_index(void)
{
	budget_init(&budget, MAX);
	budget_change(&budget, 5, 0, 250);
	budget_change(&budget, 3, 0, 10);
	budget_change(&budget, 5, 0, 300);
	CU_ASSERT_EQUAL(budget_of(&budget, 5), 550);
	CU_ASSERT_EQUAL(budget_of(&budget, 3), 10);
	CU_ASSERT_EQUAL(budget_of(&budget, 4), 0);
	CU_ASSERT_EQUAL(budget.held_len, 2);
	CU_ASSERT_EQUAL(budget.bytes, 560);
	CU_ASSERT_TRUE(budget_admits(&budget, 5));
	budget_change(&budget, 5, 250, 320);
	CU_ASSERT_FALSE(budget_admits(&budget, 5));
	budget_change(&budget, 5, 320, 0);
	budget_change(&budget, 5, 300, 0);
	budget_change(&budget, 5, 0, 0);
	CU_ASSERT_EQUAL(budget.held_len, 1);
	CU_ASSERT_EQUAL(budget.held[0].index_id, 3);
	CU_ASSERT_EQUAL(budget.bytes, 10);
}

/* As many indexes as replicas can be. */
static void test_as_many_as_can_be(void)
{
	budget_init(&budget, 4 * (size_t)BUDGET_INDEXES_MAX);
	for (uint64_t i = 0; i < BUDGET_INDEXES_MAX; i++)
		budget_change(&budget, (i * 2654435761U) % BUDGET_INDEXES_MAX, 0, 1 + i % 3);
	CU_ASSERT_EQUAL(budget.held_len, BUDGET_INDEXES_MAX);
	for (uint64_t i = 0; i < BUDGET_INDEXES_MAX; i++)
		CU_ASSERT_EQUAL(budget_of(&budget, (i * 2654435761U) % BUDGET_INDEXES_MAX), 1 + i % 3);
	for (uint64_t i = 0; i < BUDGET_INDEXES_MAX; i++)
		budget_change(&budget, i, budget_of(&budget, i), 0);
	CU_ASSERT_EQUAL(budget.held_len, 0);
	CU_ASSERT_EQUAL(budget.bytes, 0);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"one alone takes half", test_one_alone_takes_half},
		{"some take the same", test_some_take_the_same},
		{"one that comes finds room", test_one_that_comes_finds_room},
		{"more than all", test_more_than_all},
		{"replicas of an index", test_replicas_of_an_index},
		{"as many as can be", test_as_many_as_can_be},
		CU_TEST_INFO_NULL,
	};

	return suite_run("budget", tests);
}
