/* Known pages: what is kept when, how it is bounded over all segments, and that room comes back. */
#include "shard/core/known_pages.h"

#include "tests/unit/suite.h"

#include <stdlib.h>

#define PAGES 8

static struct slice page_of(uint8_t *bytes, size_t len, uint8_t fill)
{
	memset(bytes, fill, len);
	return slice_of(bytes, len);
}

static void test_twice(void)
{
	struct known_pages *pages = known_pages_new(PAGES);
	uint8_t bytes[100];
	size_t empty;

	CU_ASSERT_PTR_NOT_NULL_FATAL(pages);
	empty = known_pages_bytes(pages);
	for (uint8_t page = 0; page < PAGES; page++) {
		CU_ASSERT_PTR_NULL(known_pages_find(pages, page).ptr);
		known_pages_asked(pages, page, page_of(bytes, sizeof bytes, page));
		CU_ASSERT_PTR_NULL(known_pages_find(pages, page).ptr);
	}
	CU_ASSERT_EQUAL(known_pages_bytes(pages), empty);
	for (uint8_t page = 0; page < PAGES; page++)
		known_pages_asked(pages, page, page_of(bytes, (size_t)page * 10, page));
	for (uint8_t page = 0; page < PAGES; page++) {
		struct slice found = known_pages_find(pages, page);

		CU_ASSERT_PTR_NOT_NULL_FATAL(found.ptr);
		CU_ASSERT_TRUE(slice_equal(found, page_of(bytes, (size_t)page * 10, page)));
	}
	CU_ASSERT_TRUE(known_pages_bytes(pages) > empty);
	known_pages_free(pages);
}

static void test_none(void)
{
	static uint8_t bytes[KNOWN_PAGE_BYTES_MAX + 1];
	struct known_pages *pages = known_pages_new(PAGES);
	struct known_pages *none = known_pages_new(0);

	CU_ASSERT_PTR_NOT_NULL_FATAL(pages);
	CU_ASSERT_PTR_NOT_NULL_FATAL(none);
	for (int i = 0; i < 3; i++) {
		known_pages_asked(pages, PAGES, slice_string("beyond"));
		known_pages_asked(none, 0, slice_string("beyond"));
		known_pages_asked(pages, 1, slice_of(bytes, sizeof bytes));
		known_pages_asked(pages, 2, slice_of(bytes, sizeof bytes - 1));
	}
	CU_ASSERT_PTR_NULL(known_pages_find(pages, PAGES).ptr);
	CU_ASSERT_PTR_NULL(known_pages_find(none, 0).ptr);
	CU_ASSERT_PTR_NULL(known_pages_find(pages, 1).ptr);
	CU_ASSERT_EQUAL(known_pages_find(pages, 2).len, KNOWN_PAGE_BYTES_MAX);
	known_pages_free(pages);
	known_pages_free(none);
	known_pages_free(NULL);
}

/* How many of the pages are kept. */
static size_t fill(struct known_pages *pages, size_t len)
{
	static uint8_t bytes[KNOWN_PAGE_BYTES_MAX];
	size_t kept = 0;

	for (size_t page = 0; page < len; page++) {
		known_pages_asked(pages, page, slice_of(bytes, sizeof bytes));
		known_pages_asked(pages, page, slice_of(bytes, sizeof bytes));
		kept += known_pages_find(pages, page).ptr != NULL;
	}
	return kept;
}

static void test_bounded(void)
{
	const size_t most = KNOWN_PAGES_BYTES_MAX / KNOWN_PAGE_BYTES_MAX;
	struct known_pages *first = known_pages_new(most);
	struct known_pages *second = known_pages_new(most);
	size_t kept;

	CU_ASSERT_PTR_NOT_NULL_FATAL(first);
	CU_ASSERT_PTR_NOT_NULL_FATAL(second);
	kept = fill(first, most / 2);
	CU_ASSERT_EQUAL(kept, most / 2);
	kept += fill(second, most);
	CU_ASSERT_TRUE(kept < most && kept > most - most / 100);
	known_pages_free(first);
	CU_ASSERT_EQUAL(fill(second, most), most - 1); /* a page has a head */
	known_pages_free(second);
}

int main(void)
{
	CU_TestInfo tests[] = {{"asked for twice", test_twice},
	                       {"not kept", test_none},
	                       {"bounded", test_bounded},
	                       CU_TEST_INFO_NULL};

	return suite_run("known_pages", tests);
}
