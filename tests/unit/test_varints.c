/* Varints passed over eight bytes at once, beside one byte at a time: every count, whatever is behind and however few. */
#include "shard/core/varints.h"

#include "tests/unit/suite.h"

#include <stdlib.h>

#define BYTES 64
#define ROUNDS 2000

static const uint8_t *passed(const uint8_t *ptr, const uint8_t *end, uint64_t count)
{
	for (; count > 0 && ptr < end; ptr++)
		count -= *ptr < 0x80;
	return count == 0 ? ptr : NULL;
}

/* `shorts` of 100 bytes end a number. What is read beyond the end, a sanitizer sees. */
static void check(unsigned shorts, size_t len)
{
	uint8_t *bytes = malloc(len > 0 ? len : 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)((rand() & 0x7f) | ((unsigned)rand() % 100 < shorts ? 0 : 0x80));
	for (uint64_t count = 0; count <= len + 1; count++)
		CU_ASSERT_PTR_EQUAL(varints_pass(bytes, bytes + len, count),
		                    passed(bytes, bytes + len, count));
	CU_ASSERT_PTR_NULL(varints_pass(bytes, bytes + len, UINT64_MAX));
	free(bytes);
}

static void test_pass(void)
{
	static const unsigned shorts[] = {0, 10, 50, 90, 98, 100};

	srand(7);
	for (size_t round = 0; round < ROUNDS; round++)
		check(shorts[round % (sizeof shorts / sizeof shorts[0])], round % BYTES);
}

int main(void)
{
	CU_TestInfo tests[] = {{"as byte by byte", test_pass}, CU_TEST_INFO_NULL};

	return suite_run("varints", tests);
}
