/*
 * Sizes of rewritten files, with values of a megabyte: which are due, what comes
 * of writes without end, and what the disk gets back.
 */
#include "shard/kv_rewrite.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SLICES_MAX 1000

static struct kv *opened(const char *directory)
{
	char command[64];
	struct error error;
	struct kv *kv = NULL;

	(void)snprintf(command, sizeof command, "rm -rf %s", directory);
	CU_ASSERT_EQUAL_FATAL(system(command), 0);
	CU_ASSERT_EQUAL_FATAL(kv_open(directory, &kv, &error), 0);
	return kv;
}

static struct slice key_of(size_t i, char text[16])
{
	return slice_of(text, (size_t)snprintf(text, 16, "%06zu", i));
}

/* Values of a MB, `len` of them; they are put or deleted. */
static void megabytes(struct kv *kv, size_t from, size_t len, bool is_put)
{
	static uint8_t value[1 << 20];
	struct kv_txn *txn;
	struct error error;
	char key[16];
	int rc;

	for (size_t i = from; i < from + len; i++) {
		if (i % 8 == 0 || i == from)
			CU_ASSERT_EQUAL_FATAL(kv_begin(kv, true, &txn, &error), 0);
		rc = is_put ? kv_put(txn, KV_TABLE_CHUNKS, key_of(i, key), slice_of(value, sizeof value),
		                     &error)
		            : kv_delete(txn, KV_TABLE_CHUNKS, key_of(i, key), &error);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
		if (i % 8 == 7 || i + 1 == from + len)
			CU_ASSERT_EQUAL_FATAL(kv_commit(txn, &error), 0);
	}
}

static uint64_t file_bytes(const char *path)
{
	struct stat status;

	CU_ASSERT_EQUAL_FATAL(stat(path, &status), 0);
	return (uint64_t)status.st_size;
}

/* A slice copies four megabytes, and in each pause eight more are put behind all others and the first eight go, as stores
 * and merges do it. */
static void test_keys_that_rise(void)
{
	struct kv *kv;
	struct kv_rewrite *rewrite;
	struct error error;
	bool more = true;
	size_t first = 0;
	size_t slices = 0;

	kv = opened("rise");
	CU_ASSERT_EQUAL_FATAL(kv_grow(kv, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_grow(kv, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_grow(kv, &error), 0);
	megabytes(kv, 0, 64, true);
	rewrite = rewrite_new(kv);
	for (; more; slices++) {
		CU_ASSERT_EQUAL_FATAL(rewrite_run(rewrite, &more, &error), 0);
		CU_ASSERT_FATAL(slices < SLICES_MAX);
		CU_ASSERT_FATAL(!more || file_bytes("rise/beside.mdb") < 256U << 20);
		rewrite_spent(rewrite, 0, 1);
		if (!more || rewrite_is_behind(rewrite))
			continue;
		megabytes(kv, first + 64, 8, true);
		megabytes(kv, first, 8, false);
		first += 8;
		rewrite_spent(rewrite, 2, 0);
	}
	rewrite_free(rewrite);
	CU_ASSERT_TRUE(slices > 16);
	kv_close(kv);
}

static void test_what_is_given_back(void)
{
	struct kv *kv;
	struct kv_rewrite *rewrite;
	struct error error;
	uint64_t before;
	uint64_t live;
	bool more = true;

	kv = opened("due");
	CU_ASSERT_FALSE(rewrite_is_due(kv, 0));
	CU_ASSERT_EQUAL_FATAL(kv_grow(kv, &error), 0);
	megabytes(kv, 0, 100, true);
	CU_ASSERT_FALSE(rewrite_is_due(kv, 10U << 20)); /* nothing is free: what is dead is not removed yet */
	megabytes(kv, 0, 30, false);
	CU_ASSERT_FALSE(rewrite_is_due(kv, 10U << 20)); /* less than a third */
	megabytes(kv, 30, 10, false);
	CU_ASSERT_TRUE(rewrite_is_due(kv, 40U << 20));
	CU_ASSERT_FALSE(rewrite_is_due(kv, 42U << 20));
	megabytes(kv, 40, 48, false);
	CU_ASSERT_EQUAL(kv_live(kv, &live, &error), 0);
	CU_ASSERT_TRUE(live > 12U << 20 && live < 13U << 20);
	CU_ASSERT_TRUE(rewrite_is_due(kv, live));
	before = file_bytes("due/data.mdb");
	rewrite = rewrite_new(kv);
	while (more)
		CU_ASSERT_EQUAL_FATAL(rewrite_run(rewrite, &more, &error), 0);
	CU_ASSERT_TRUE(file_bytes("due/data.mdb") < 14U << 20);
	CU_ASSERT_TRUE(rewrite_given_back(rewrite) >= (before - (14U << 20)) &&
	               rewrite_given_back(rewrite) < before);
	rewrite_free(rewrite);
	CU_ASSERT_FALSE(rewrite_is_due(kv, live));
	kv_close(kv);
}

/* A file that small is left as it is, however little of it is live. */
static void test_what_is_not_worth_it(void)
{
	struct kv *kv;

	kv = opened("small");
	megabytes(kv, 0, 7, true);
	megabytes(kv, 0, 7, false);
	CU_ASSERT_FALSE(rewrite_is_due(kv, 0));
	megabytes(kv, 0, 10, true);
	megabytes(kv, 0, 10, false);
	CU_ASSERT_TRUE(rewrite_is_due(kv, 0));
	kv_close(kv);
}

int main(void)
{
	CU_TestInfo tests[] = {{"keys that rise", test_keys_that_rise},
	                       {"what is given back", test_what_is_given_back},
	                       {"what is not worth it", test_what_is_not_worth_it},
	                       CU_TEST_INFO_NULL};

	return suite_run("rewritten sizes", tests);
}
