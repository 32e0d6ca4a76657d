/*
 * Leaves on disk: what one window keeps, another does not see; full is an error,
 * and room comes back.
 */
#include "shared/feeding/leaves.h"

#include "tests/unit/suite.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define MIB ((size_t)1024 * 1024)
#define LEAF_BYTES (2 * MIB)

static struct leaves *open_leaves(uint64_t bytes_max)
{
	struct leaves *leaves = NULL;
	struct error error;

	CU_ASSERT_EQUAL_FATAL(leaves_open("leaves", bytes_max, &leaves, &error), 0);
	return leaves;
}

static struct slice filled(uint8_t *bytes, uint8_t with)
{
	memset(bytes, with, LEAF_BYTES);
	return slice_of(bytes, LEAF_BYTES);
}

static void check(const struct window_store *store, int64_t leaf, uint8_t with)
{
	struct slice bytes;
	struct error error;

	CU_ASSERT_EQUAL_FATAL(store->get(store->context, leaf, &bytes, &error), 0);
	CU_ASSERT_EQUAL_FATAL(bytes.len, LEAF_BYTES);
	CU_ASSERT_TRUE(bytes.ptr[0] == with && bytes.ptr[LEAF_BYTES - 1] == with);
}

static int files_in(const char *directory)
{
	DIR *open = opendir(directory);
	int count = -2; /* . and .. */

	CU_ASSERT_PTR_NOT_NULL_FATAL(open);
	while (readdir(open) != NULL)
		count++;
	(void)closedir(open);
	return count;
}

static void test_shelves(void)
{
	struct leaves *leaves = open_leaves(64 * MIB);
	struct leaves *others = open_leaves(64 * MIB);
	uint8_t *bytes = malloc(LEAF_BYTES);
	struct shelf shelves[3];
	struct window_store a = leaves_shelf(leaves, &shelves[0]);
	struct window_store b = leaves_shelf(leaves, &shelves[1]);
	struct window_store c = leaves_shelf(others, &shelves[2]);
	struct slice none;
	struct error error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	CU_ASSERT_EQUAL(files_in("leaves"), 0);
	CU_ASSERT_EQUAL(a.put(a.context, 3, filled(bytes, 1), &error), 0);
	CU_ASSERT_EQUAL(b.put(b.context, 3, filled(bytes, 2), &error), 0);
	CU_ASSERT_EQUAL(c.put(c.context, 3, filled(bytes, 3), &error), 0);
	check(&a, 3, 1);
	check(&b, 3, 2);
	check(&c, 3, 3);
	CU_ASSERT_EQUAL(a.get(a.context, 4, &none, &error), ERROR_NOT_FOUND);
	CU_ASSERT_EQUAL(a.put(a.context, 3, filled(bytes, 4), &error), 0);
	check(&a, 3, 4);
	a.drop(a.context, 3);
	a.drop(a.context, 3);
	CU_ASSERT_EQUAL(a.get(a.context, 3, &none, &error), ERROR_NOT_FOUND);
	check(&b, 3, 2);
	CU_ASSERT_EQUAL(files_in("leaves"), 0);
	leaves_close(leaves);
	leaves_close(others);
	free(bytes);
}

/* A window's turnover for long takes no more room than its leaves. */
static void test_room(void)
{
	struct leaves *leaves = open_leaves(64 * MIB);
	uint8_t *bytes = malloc(LEAF_BYTES);
	struct shelf shelf;
	struct window_store store = leaves_shelf(leaves, &shelf);
	struct slice none;
	struct error error;
	int64_t last = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	for (int64_t leaf = 0; leaf < 300; leaf++) {
		CU_ASSERT_EQUAL_FATAL(store.put(store.context, leaf, filled(bytes, (uint8_t)leaf), &error),
		                      0);
		if (leaf >= 16)
			store.drop(store.context, leaf - 16);
		check(&store, leaf - (leaf < 15 ? leaf : 15), (uint8_t)(leaf - (leaf < 15 ? leaf : 15)));
	}
	CU_ASSERT_TRUE(leaves_bytes(leaves) <= 64 * MIB);
	while (store.put(store.context, 300 + last, filled(bytes, 9), &error) == 0)
		last++;
	CU_ASSERT_EQUAL(error.code, ERROR_LIMIT);
	CU_ASSERT_TRUE(last > 4 && last < 16);
	CU_ASSERT_EQUAL(store.get(store.context, 300 + last, &none, &error), ERROR_NOT_FOUND);
	check(&store, 299, (uint8_t)299);
	store.drop(store.context, 299);
	CU_ASSERT_EQUAL(store.put(store.context, 300 + last, filled(bytes, 9), &error), 0);
	leaves_close(leaves);
	free(bytes);
}

static struct occurrence occurrence_of(int64_t offset, uint64_t number)
{
	return (struct occurrence){offset, hash128_of(slice_of((const uint8_t *)&number, sizeof number), 1),
	                           1};
}

/* A window on disk finds what it has let go of from memory. */
static void test_window(void)
{
	struct leaves *leaves = open_leaves(64 * MIB);
	struct shelf shelf;
	struct window_store store = leaves_shelf(leaves, &shelf);
	struct window *window = window_new(&store, 1000000, 0);
	struct error error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(window);
	for (int64_t offset = 0; offset < 3 * WINDOW_LEAF; offset++) {
		struct occurrence occurrence = occurrence_of(offset, (uint64_t)offset);

		CU_ASSERT_EQUAL_FATAL(window_learn(window, &occurrence, &error), 0);
	}
	for (int64_t offset = 0; offset < 3 * WINDOW_LEAF; offset += 101) {
		struct occurrence again = occurrence_of(3 * WINDOW_LEAF, (uint64_t)offset);
		enum window_verdict verdict;
		int64_t previous;

		CU_ASSERT_EQUAL_FATAL(window_judge(window, &again, &verdict, &previous, &error), 0);
		CU_ASSERT_TRUE(verdict == WINDOW_VERDICT_DUPLICATE && previous == offset);
	}
	window_free(window);
	leaves_close(leaves);
}

static void test_no_directory(void)
{
	struct leaves *leaves = NULL;
	struct error error;

	CU_ASSERT_EQUAL(leaves_open("/dev/null/below", MIB, &leaves, &error), ERROR_STORAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "/dev/null"));
	CU_ASSERT_PTR_NULL(leaves);
}

int main(void)
{
	CU_TestInfo tests[] = {{"shelves", test_shelves},
	                       {"room", test_room},
	                       {"a window on disk", test_window},
	                       {"no directory", test_no_directory},
	                       CU_TEST_INFO_NULL};

	return suite_run("leaves", tests);
}
