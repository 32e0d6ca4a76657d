/*
 * Memtable: what it notes beside operations: identities, skipped offsets and
 * origins.
 */
#include "shared/record/memtable.h"

#include "tests/unit/suite.h"

#include <stdio.h>

static void test_identities(void)
{
	struct memtable *memtable = memtable_new(10);
	const struct identity_entry *entry;
	struct identity identity = {{7, 8}, 9};
	size_t empty = memtable_bytes(memtable);
	size_t count = 0;
	size_t at = 0;

	CU_ASSERT_TRUE(memtable_note_identity(memtable, 10, &identity));
	CU_ASSERT_PTR_NULL(memtable_next_identity(memtable, &at)); /* its record is not there yet */
	CU_ASSERT_TRUE(memtable_note_identity(memtable, 10, &identity));
	memtable_cover(memtable, 11);
	entry = memtable_next_identity(memtable, &at);
	CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
	CU_ASSERT_EQUAL(entry->offset, 10);
	CU_ASSERT_TRUE(hash128_equal(entry->identity.key, identity.key));
	CU_ASSERT_EQUAL(entry->identity.operation, 9);
	CU_ASSERT_PTR_NULL(memtable_next_identity(memtable, &at));
	for (int64_t offset = 11; offset < RANGE_SEAL; offset++)
		CU_ASSERT_TRUE(memtable_note_identity(memtable, offset, &identity));
	memtable_cover(memtable, RANGE_SEAL);
	for (at = 0; (entry = memtable_next_identity(memtable, &at)) != NULL; count++)
		CU_ASSERT_EQUAL(entry->offset, 10 + (int64_t)count);
	CU_ASSERT_EQUAL(count, RANGE_SEAL - 10);
	CU_ASSERT_TRUE(memtable_bytes(memtable) >= empty + count * 32);
	CU_ASSERT_EQUAL(memtable_count(memtable), 0);
	memtable_free(memtable);
}

static void test_skipped(void)
{
	struct memtable *memtable = memtable_new(0);
	size_t empty = memtable_bytes(memtable);
	const int64_t *offset;
	size_t count = 0;
	size_t at = 0;

	for (int64_t next = 0; next < RANGE_SEAL; next += 2) {
		CU_ASSERT_TRUE(memtable_note_skipped(memtable, next));
		CU_ASSERT_TRUE(memtable_note_skipped(memtable, next));
		CU_ASSERT_PTR_NULL(memtable_next_skipped(memtable, &at));
		memtable_cover(memtable, next + 1);
		offset = memtable_next_skipped(memtable, &at);
		CU_ASSERT_PTR_NOT_NULL_FATAL(offset);
		CU_ASSERT_EQUAL(*offset, next);
	}
	for (at = 0; memtable_next_skipped(memtable, &at) != NULL; count++)
		continue;
	CU_ASSERT_EQUAL(count, RANGE_SEAL / 2);
	CU_ASSERT_TRUE(memtable_bytes(memtable) >= empty + count * 8);
	memtable_free(memtable);
}

static struct origin origin_of(int32_t partition, uint32_t life, int64_t offset, uint32_t n)
{
	return (struct origin){slice_string("orders"), life, partition, offset, n};
}

/* What is told, as "offset:partition/life.offset.n ". */
static void check_told(const struct memtable *memtable, const char *expected)
{
	struct origin_entry entry;
	char told[256] = "";
	size_t len = 0;
	size_t at = 0;

	while (memtable_next_origin(memtable, &at, &entry)) {
		CU_ASSERT_TRUE(slice_equal(entry.origin.source, slice_string("orders")));
		len += (size_t)snprintf(told + len, sizeof told - len, "%d:%d/%u.%d.%u ", (int)entry.offset,
		                        (int)entry.origin.partition, entry.origin.life,
		                        (int)entry.origin.offset, entry.origin.n);
	}
	CU_ASSERT_STRING_EQUAL(told, expected);
}

static void test_origins(void)
{
	struct memtable *memtable = memtable_new(10);
	const struct origin origins[] = {origin_of(1, 0, 5, 0), origin_of(2, 0, 5, 0), origin_of(1, 0, 4, 9),
	                                 origin_of(1, 0, 5, 1), origin_of(2, 1, 3, 0), origin_of(2, 0, 9, 0)};
	static const char *const told[] = {
		"10:1/0.5.0 ",
		"10:1/0.5.0 11:2/0.5.0 ",
		"10:1/0.5.0 11:2/0.5.0 ", /* it was imported before */
		"11:2/0.5.0 13:1/0.5.1 ",
		"13:1/0.5.1 14:2/1.3.0 ",
		"13:1/0.5.1 14:2/1.3.0 ",
	};
	struct origin_entry entry;

	CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
	for (size_t i = 0; i < sizeof origins / sizeof *origins; i++) {
		int64_t offset = 10 + (int64_t)i;

		CU_ASSERT_TRUE(memtable_note_origin(memtable, offset, &origins[i]));
		CU_ASSERT_TRUE(memtable_note_origin(memtable, offset, &origins[i]));
		check_told(memtable, i == 0 ? "" : told[i - 1]); /* its record is not there yet */
		memtable_cover(memtable, offset + 1);
		check_told(memtable, told[i]);
	}
	for (size_t at = 0; memtable_next_origin(memtable, &at, &entry);)
		CU_ASSERT_TRUE(entry.origin.source.ptr != origins[0].source.ptr); /* a copy */
	memtable_free(memtable);
}

/* One of each source partition: all are told, and their memory counts. */
static void test_many_origins(void)
{
	struct memtable *memtable = memtable_new(0);
	size_t empty = memtable_bytes(memtable);
	char source[249];
	size_t count = 0;
	size_t at = 0;
	struct origin_entry entry;

	for (int64_t offset = 0; offset < RANGE_SEAL; offset++) {
		struct origin origin = {slice_of(source, 1 + (size_t)offset % sizeof source), 1,
		                        (int32_t)offset, 2, 3};

		memset(source, 'a' + (int)(offset % 26), sizeof source);
		CU_ASSERT_TRUE(memtable_note_origin(memtable, offset, &origin));
		memtable_cover(memtable, offset + 1);
	}
	memset(source, 0, sizeof source);
	for (; memtable_next_origin(memtable, &at, &entry); count++) {
		CU_ASSERT_EQUAL(entry.offset, (int64_t)count);
		CU_ASSERT_EQUAL(entry.origin.partition, (int32_t)count);
		CU_ASSERT_EQUAL(entry.origin.source.len, 1 + count % sizeof source);
		CU_ASSERT_EQUAL(entry.origin.source.ptr[0], 'a' + count % 26);
	}
	CU_ASSERT_EQUAL(count, RANGE_SEAL);
	CU_ASSERT_TRUE(memtable_bytes(memtable) >= empty + count * 170);
	memtable_free(memtable);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"identities", test_identities},
		{"skipped offsets", test_skipped},
		{"origins", test_origins},
		{"origins of 4096 partitions", test_many_origins},
		CU_TEST_INFO_NULL,
	};

	return suite_run("memtable_notes", tests);
}
