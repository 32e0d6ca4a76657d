/* A filter never lacks what was added, and lacks most of the rest, however many words it is for. */
#include "shard/core/word_filter.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define WORDS_MAX 20000

static struct slice word_of(char text[24], const char *kind, size_t i)
{
	return slice_of(text, (size_t)snprintf(text, 24, "%s%zu", kind, i));
}

static void check(size_t words)
{
	size_t blocks = word_filter_blocks(words);
	uint64_t *filter = calloc(blocks, sizeof *filter);
	size_t taken = 0; /* for one that may be there */
	char text[24];

	CU_ASSERT_PTR_NOT_NULL_FATAL(filter);
	CU_ASSERT_EQUAL(blocks & (blocks - 1), 0);
	CU_ASSERT_TRUE(blocks * WORD_FILTER_WORDS >= words);
	CU_ASSERT_TRUE(word_filter_lacks(filter, blocks, slice_string("any")));
	for (size_t i = 0; i < words; i++)
		word_filter_add(filter, blocks, word_of(text, "w", i));
	for (size_t i = 0; i < words; i++)
		CU_ASSERT_FALSE(word_filter_lacks(filter, blocks, word_of(text, "w", i)));
	for (size_t i = 0; i < WORDS_MAX; i++)
		taken += !word_filter_lacks(filter, blocks, word_of(text, "x", i));
	CU_ASSERT_TRUE(taken < WORDS_MAX / 10);
	free(filter);
}

static void test_lacks(void)
{
	static const size_t words[] = {0, 1, 7, 8, 9, 64, 1000, 4096, WORDS_MAX};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		check(words[i]);
}

int main(void)
{
	CU_TestInfo tests[] = {{"what it lacks", test_lacks}, CU_TEST_INFO_NULL};

	return suite_run("word_filter", tests);
}
