/*
 * Windows of identities: every verdict against a list of all that happened.
 */
#include "shared/feed/window.h"

#include "tests/unit/suite.h"
#include "tests/unit/window_shelf.h"

#include <stdlib.h>
#include <string.h>

#define LENGTH 100000
#define OFFSETS (3 * WINDOW_LEAF)
/* Millions of them: CUnit keeps no count of those that hold. */
#define CHECK(condition) \
	do { \
		if (!(condition)) \
			CU_FAIL_FATAL(#condition); \
	} while (0)

/* ---- what happened ---- */

static uint64_t below(uint64_t *random, uint64_t bound)
{
	*random = *random * 6364136223846793005ULL + 1442695040888963407ULL; /* Knuth's MMIX */
	return (*random >> 33) % bound;
}

static struct hash128 identity_of(uint64_t number)
{
	return hash128_of(slice_of((const uint8_t *)&number, sizeof number), 1);
}

/* A log: at each offset nothing, or the number of an identity and an operation. */
struct fact {
	uint32_t number; /* 0: none */
	uint32_t operation;
};

static struct fact *make_log(size_t len, uint64_t identities, uint64_t *random)
{
	struct fact *log = calloc(len, sizeof log[0]);

	CU_ASSERT_PTR_NOT_NULL_FATAL(log);
	for (size_t i = 0; i < len; i++)
		if (below(random, 10) > 0)
			log[i] = (struct fact){(uint32_t)below(random, identities) + 1,
			                       (uint32_t)below(random, 2)};
	return log;
}

static struct occurrence occurrence_at(const struct fact *log, int64_t offset)
{
	return (struct occurrence){offset, identity_of(log[offset].number), log[offset].operation};
}

static enum window_verdict expected(const struct fact *log, const int64_t *before, int64_t offset)
{
	int64_t last = before[offset];

	if (last < 0 || last < offset - LENGTH)
		return WINDOW_VERDICT_NEW;
	return log[last].operation == log[offset].operation ? WINDOW_VERDICT_DUPLICATE
	                                                    : WINDOW_VERDICT_REUSED;
}

/* For each offset the occurrence of its identity before it, or -1. */
static int64_t *link_log(const struct fact *log, size_t len, uint64_t identities)
{
	int64_t *before = calloc(len, sizeof before[0]);
	int64_t *last = calloc(identities + 1, sizeof last[0]);

	CU_ASSERT_FATAL(before != NULL && last != NULL);
	for (size_t i = 0; i <= identities; i++)
		last[i] = -1;
	for (size_t i = 0; i < len; i++) {
		before[i] = last[log[i].number];
		last[log[i].number] = (int64_t)i;
	}
	free(last);
	return before;
}

static void judge(const struct window *window, const struct fact *log, const int64_t *before, int64_t offset)
{
	struct occurrence occurrence = occurrence_at(log, offset);
	enum window_verdict verdict;
	int64_t previous = -2;
	struct error error;

	CHECK(window_covers(window, offset, 0));
	CHECK(window_judge(window, &occurrence, &verdict, &previous, &error) == 0);
	CHECK(verdict == expected(log, before, offset));
	CHECK(previous == (verdict == WINDOW_VERDICT_NEW ? -2 : before[offset]));
}

/* ---- tests ---- */

/* In the order of the log, with rewinds by any distance that the window covers, after which facts are learnt again. */
static void check_log(uint64_t identities, uint64_t seed)
{
	uint64_t random = seed;
	struct fact *log = make_log(OFFSETS, identities, &random);
	int64_t *before = link_log(log, OFFSETS, identities);
	struct shelf shelf;
	struct window_store store = store_of(&shelf);
	struct window *window = window_new(&store, LENGTH, 0);
	struct error error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(window);
	for (int64_t offset = 0; offset < OFFSETS; offset++) {
		struct occurrence occurrence = occurrence_at(log, offset);

		if (log[offset].number > 0) {
			judge(window, log, before, offset);
			CHECK(window_learn(window, &occurrence, &error) == 0);
		} else {
			CHECK(window_cover(window, offset + 1, &error) == 0);
		}
		CHECK(window_high(window) == offset + 1);
		if (offset % 1000 == 0)
			window_trim(window, offset - LENGTH - 50000);
		if (offset > 0 && below(&random, 3) == 0) {
			int64_t again =
				offset - (int64_t)below(&random, (uint64_t)(offset < 50000 ? offset : 50000));

			if (log[again].number > 0)
				judge(window, log, before, again);
		}
	}
	CU_ASSERT_TRUE(window_low(window) > OFFSETS - LENGTH - 50000 - WINDOW_LEAF);
	window_free(window);
	CU_ASSERT_TRUE(shelf_is_empty(&shelf));
	free(before);
	free(log);
}

static void test_logs(void)
{
	check_log(3, 1);        /* long chains, in one leaf and over blocks */
	check_log(1000, 2);     /* always met again */
	check_log(100000, 3);   /* met inside and outside the window */
	check_log(10000000, 4); /* nearly all new */
}

static void test_filter_spares_the_store(void)
{
	struct shelf shelf;
	struct window_store store = store_of(&shelf);
	struct window *window = window_new(&store, 1000000, 0);
	struct error error;
	int64_t offset;

	for (offset = 0; offset < OFFSETS; offset++) {
		struct occurrence occurrence = {offset, identity_of((uint64_t)offset), 1};
		enum window_verdict verdict;

		CHECK(window_judge(window, &occurrence, &verdict, NULL, &error) == 0);
		CHECK(verdict == WINDOW_VERDICT_NEW);
		CHECK(window_learn(window, &occurrence, &error) == 0);
	}
	/* one in a hundred, a leaf */
	CU_ASSERT_TRUE(shelf.gets < OFFSETS * 2 / 100);
	CU_ASSERT_TRUE(window_stored(window) < 33 * (size_t)OFFSETS);
	CU_ASSERT_TRUE(window_memory(window) < 2 * (size_t)OFFSETS + 3300000);
	window_free(window);
}

/* Begun in the middle it covers what it has seen, and from the log's base on whatever the base. */
static void test_coverage(void)
{
	struct shelf shelf;
	struct window_store store = store_of(&shelf);
	struct window *window = window_new(&store, 1000, 70000);
	struct error error;

	CU_ASSERT_TRUE(window_covers(window, 70000, 70000));
	CU_ASSERT_FALSE(window_covers(window, 70000, 69999));
	CU_ASSERT_EQUAL(window_cover(window, 70999, &error), 0);
	CU_ASSERT_FALSE(window_covers(window, 70999, 0));
	CU_ASSERT_TRUE(window_covers(window, 70999, 70000));
	CU_ASSERT_EQUAL(window_cover(window, 71000, &error), 0);
	CU_ASSERT_TRUE(window_covers(window, 71000, 0));
	CU_ASSERT_FALSE(window_covers(window, 71001, 0));
	CU_ASSERT_FALSE(window_covers(window, 69000, 0));
	window_free(window);
}

static void test_own_offset_is_no_duplicate(void)
{
	struct shelf shelf;
	struct window_store store = store_of(&shelf);
	struct window *window = window_new(&store, 1000, 0);
	struct occurrence first = {5, identity_of(7), 1};
	struct occurrence again = {9, identity_of(7), 1};
	struct occurrence other = {9, identity_of(7), 2};
	enum window_verdict verdict;
	int64_t previous;
	struct error error;

	CU_ASSERT_EQUAL(window_learn(window, &first, &error), 0);
	CU_ASSERT_EQUAL(window_cover(window, 9, &error), 0);
	CU_ASSERT_EQUAL(window_judge(window, &first, &verdict, NULL, &error), 0);
	CU_ASSERT_EQUAL(verdict, WINDOW_VERDICT_NEW);
	CU_ASSERT_EQUAL(window_judge(window, &other, &verdict, &previous, &error), 0);
	CU_ASSERT_TRUE(verdict == WINDOW_VERDICT_REUSED && previous == 5);
	CU_ASSERT_EQUAL(window_judge(window, &again, &verdict, &previous, &error), 0);
	CU_ASSERT_TRUE(verdict == WINDOW_VERDICT_DUPLICATE && previous == 5);
	/* the last one decides, applied or not */
	CU_ASSERT_EQUAL(window_learn(window, &other, &error), 0);
	again.offset = 10;
	CU_ASSERT_EQUAL(window_judge(window, &again, &verdict, &previous, &error), 0);
	CU_ASSERT_TRUE(verdict == WINDOW_VERDICT_REUSED && previous == 9);
	window_free(window);
}

/* Exactly `length` offsets back still counts, one more does not. */
static void test_edge(void)
{
	struct shelf shelf;
	struct window_store store = store_of(&shelf);
	struct window *window = window_new(&store, 1000, 0);
	struct occurrence first = {5, identity_of(7), 1};
	struct occurrence inside = {1005, identity_of(7), 1};
	struct occurrence outside = {1006, identity_of(7), 1};
	enum window_verdict verdict;
	struct error error;

	CU_ASSERT_EQUAL(window_learn(window, &first, &error), 0);
	CU_ASSERT_EQUAL(window_cover(window, 1006, &error), 0);
	CU_ASSERT_EQUAL(window_judge(window, &inside, &verdict, NULL, &error), 0);
	CU_ASSERT_EQUAL(verdict, WINDOW_VERDICT_DUPLICATE);
	CU_ASSERT_EQUAL(window_judge(window, &outside, &verdict, NULL, &error), 0);
	CU_ASSERT_EQUAL(verdict, WINDOW_VERDICT_NEW);
	window_free(window);
}

/* A store that fails changes nothing; what it has damaged or lost is an error, not a verdict. */
static void test_failing_store(void)
{
	struct shelf shelf;
	struct window_store store = store_of(&shelf);
	struct window *window = window_new(&store, 1000000, 0);
	struct occurrence first = {5, identity_of(7), 1};
	struct occurrence next = {WINDOW_LEAF, identity_of(8), 1};
	struct occurrence again = {WINDOW_LEAF + 1, identity_of(7), 1};
	enum window_verdict verdict;
	struct error error;

	shelf.puts_left = 0;
	CU_ASSERT_EQUAL(window_learn(window, &first, &error), 0);
	CU_ASSERT_EQUAL(window_learn(window, &next, &error), ERROR_STORAGE);
	CU_ASSERT_EQUAL(window_high(window), 6);
	CU_ASSERT_EQUAL(window_cover(window, WINDOW_LEAF, &error), ERROR_STORAGE);
	CU_ASSERT_EQUAL(window_high(window), 6);
	shelf.puts_left = -1;
	CU_ASSERT_EQUAL(window_learn(window, &next, &error), 0);
	CU_ASSERT_EQUAL(window_judge(window, &again, &verdict, NULL, &error), 0);
	CU_ASSERT_EQUAL(verdict, WINDOW_VERDICT_DUPLICATE);
	for (size_t i = 0; i < shelf.len[0]; i += 61) {
		shelf.bytes[0][i] ^= 0x10;
		CU_ASSERT_EQUAL(window_judge(window, &again, &verdict, NULL, &error), ERROR_DAMAGED);
		shelf.bytes[0][i] ^= 0x10;
	}
	shelf.len[0]--;
	CU_ASSERT_EQUAL(window_judge(window, &again, &verdict, NULL, &error), ERROR_DAMAGED);
	shelf_drop(&shelf, 0);
	CU_ASSERT_EQUAL(window_judge(window, &again, &verdict, NULL, &error), ERROR_NOT_FOUND);
	window_free(window);
}

int main(void)
{
	CU_TestInfo tests[] = {{"logs", test_logs},
	                       {"the filter spares the store", test_filter_spares_the_store},
	                       {"coverage", test_coverage},
	                       {"its own offset is no duplicate", test_own_offset_is_no_duplicate},
	                       {"edge", test_edge},
	                       {"failing store", test_failing_store},
	                       CU_TEST_INFO_NULL};

	return suite_run("window", tests);
}
