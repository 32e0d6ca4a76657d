/*
 * Hashes: literal values, because they are part of what is stored and of what
 * other clients compute.
 */
#include "shared/base/hash.h"

#include "tests/unit/suite.h"

static void test_murmur2(void)
{
	/* the first six as org.apache.kafka.common.utils.UtilsTest has them */
	static const struct {
		const char *key;
		int32_t hash;
	} rows[] = {{"21", -973932308},
	            {"foobar", -790332482},
	            {"a-little-bit-long-string", -985981536},
	            {"a-little-bit-longer-string", -1486304829},
	            {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
	            {"abc", 479470107},
	            {"", 275646681},
	            {"a", -1563381124}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CU_ASSERT_EQUAL((int32_t)hash_murmur2(slice_string(rows[i].key)), rows[i].hash);
}

static void test_crc32(void)
{
	static const struct {
		const char *text;
		uint32_t crc;
	} rows[] = {{"123456789", 0xcbf43926}, /* the check value of CRC-32/ISO-HDLC */
	            {"", 0},
	            {"a", 0xe8b7be43},
	            {"The quick brown fox jumps over the lazy dog", 0x414fa339}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CU_ASSERT_EQUAL(hash_crc32(slice_string(rows[i].text)), rows[i].crc);
}

static void test_xxh3(void)
{
	uint8_t long_text[1000];
	struct slice pieces[] = {{long_text, 1}, {NULL, 0}, {long_text + 1, 300}, {long_text + 301, 699}};
	char text[33];

	memset(long_text, 'x', sizeof long_text);
	CU_ASSERT_EQUAL(hash64(slice_string(""), 0), 0x2d06800538d394c2ULL);
	CU_ASSERT_EQUAL(hash64(slice_string("millrace"), 7), 0x9d5de8fc9bf4acf9ULL);
	CU_ASSERT_EQUAL(hash64(slice_of(long_text, sizeof long_text), 0), 0xc0a4877b962cba82ULL);
	CU_ASSERT_EQUAL(hash64_pieces(pieces, 4), 0xc0a4877b962cba82ULL);
	CU_ASSERT_EQUAL(hash64_pieces(NULL, 0), 0x2d06800538d394c2ULL);
	hash128_print(hash128_of(slice_string("millrace"), 0), text);
	CU_ASSERT_STRING_EQUAL(text, "164a3e261dc69aaa8150a1435f1760b2");
}

static void test_sum(void)
{
	struct hash128 zero = {0, 0};
	struct hash128 one = {1, 0};
	struct hash128 all = {UINT64_MAX, UINT64_MAX};
	struct hash128 sum = {UINT64_MAX, 4};

	hash128_add(&sum, one);
	CU_ASSERT_TRUE(hash128_equal(sum, (struct hash128){0, 5}));
	hash128_subtract(&sum, one);
	CU_ASSERT_TRUE(hash128_equal(sum, (struct hash128){UINT64_MAX, 4}));
	sum = all;
	hash128_add(&sum, one);
	CU_ASSERT_TRUE(hash128_equal(sum, zero));
	hash128_subtract(&sum, one);
	CU_ASSERT_TRUE(hash128_equal(sum, all));
	CU_ASSERT_FALSE(hash128_equal(one, (struct hash128){0, 1}));
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"murmur2", test_murmur2}, {"crc32", test_crc32}, {"xxh3", test_xxh3},
		{"sum", test_sum},         CU_TEST_INFO_NULL,
	};

	return suite_run("hash", tests);
}
