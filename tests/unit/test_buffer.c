/*
 * Buffer and reader: bytes as they stand, bounds, and what a failure leaves.
 */
#include "shared/base/buffer.h"

#include "tests/unit/suite.h"

#include <stdlib.h>

static void test_layout(void)
{
	static const uint8_t expected[] = {0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0xff, 0xee, 0xdd, 0xcc,
	                                   0xbb, 0xaa, 0x99, 0x88, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	                                   0xff, 0x02, 0x00, 0x00, 0x00, 'a',  'b',  'x',  '=',  '5'};
	struct buffer buffer;
	struct reader reader;

	buffer_init(&buffer, 1000);
	buffer_put_u8(&buffer, 1);
	buffer_put_u16(&buffer, 0x0203);
	buffer_put_u32(&buffer, 0);
	buffer_put_u64(&buffer, 0x8899aabbccddeeffULL);
	buffer_put_i64(&buffer, -2);
	buffer_put_bytes(&buffer, slice_string("ab"));
	buffer_printf(&buffer, "x=%d", 5);
	buffer_set_u32(&buffer, 3, 0x04050607);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&buffer), slice_of(expected, sizeof expected)));
	reader = reader_of(buffer_slice(&buffer));
	CU_ASSERT_EQUAL(reader_u8(&reader), 1);
	CU_ASSERT_EQUAL(reader_u16(&reader), 0x0203);
	CU_ASSERT_EQUAL(reader_u32(&reader), 0x04050607);
	CU_ASSERT_EQUAL(reader_u64(&reader), 0x8899aabbccddeeffULL);
	CU_ASSERT_EQUAL(reader_i64(&reader), -2);
	CU_ASSERT_TRUE(slice_equal(reader_bytes(&reader), slice_string("ab")));
	CU_ASSERT_EQUAL(reader_left(&reader), 3);
	CU_ASSERT_TRUE(slice_equal(reader_take(&reader, 3), slice_string("x=5")));
	CU_ASSERT_FALSE(reader_failed(&reader));
	buffer_deinit(&buffer);
}

static void test_varints(void)
{
	static const struct {
		uint64_t value;
		size_t len;
	} rows[] = {{0, 1},           {127, 1},        {128, 2},        {16383, 2},
	            {16384, 3},       {UINT32_MAX, 5}, {1ULL << 56, 9}, {UINT64_MAX >> 1, 9},
	            {1ULL << 63, 10}, {UINT64_MAX, 10}};
	static const uint8_t expected[] = {0xAC, 0x02};
	struct buffer buffer;
	struct reader reader;

	buffer_init(&buffer, 1000);
	buffer_put_varint(&buffer, 300);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&buffer), slice_of(expected, sizeof expected)));
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		buffer_clear(&buffer);
		buffer_put_varint(&buffer, rows[i].value);
		CU_ASSERT_EQUAL(buffer.len, rows[i].len);
		reader = reader_of(buffer_slice(&buffer));
		CU_ASSERT_EQUAL(reader_varint(&reader), rows[i].value);
		CU_ASSERT_FALSE(reader_failed(&reader));
		CU_ASSERT_EQUAL(reader_left(&reader), 0);
		/* cut short it is none, and nothing is read after it */
		reader = reader_of(slice_of(buffer.ptr, buffer.len - 1));
		CU_ASSERT_EQUAL(reader_varint(&reader), 0);
		CU_ASSERT_TRUE(reader_failed(&reader));
		CU_ASSERT_EQUAL(reader_varint(&reader), 0);
	}
	buffer_deinit(&buffer);
	/* once full */
	buffer_init(&buffer, 2);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_FALSE(buffer_failed(&buffer));
		buffer_put_varint(&buffer, 1);
	}
	CU_ASSERT_TRUE(buffer_failed(&buffer));
	buffer_deinit(&buffer);
}

/* More than 64 bits, and what has a shorter form. */
static void test_varints_refused(void)
{
	static const uint8_t rows[][11] = {
		{0x80, 0},
		{0xFF, 0xFF, 0},
		{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2},
		{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x81, 1},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct reader reader = reader_of(slice_of(rows[i], sizeof rows[i]));

		CU_ASSERT_EQUAL(reader_varint(&reader), 0);
		CU_ASSERT_TRUE(reader_failed(&reader));
		CU_ASSERT_EQUAL(reader_u8(&reader), 0);
	}
}

static void test_bound(void)
{
	struct buffer buffer;

	buffer_init(&buffer, 4);
	buffer_append(&buffer, "abcd", 4);
	CU_ASSERT_FALSE(buffer_failed(&buffer));
	buffer_append(&buffer, "e", 1);
	CU_ASSERT_TRUE(buffer_failed(&buffer));
	/* what failed stays failed, also for what would fit */
	buffer_append(&buffer, "", 0);
	CU_ASSERT_TRUE(buffer_failed(&buffer));
	CU_ASSERT_PTR_NULL(buffer_grow(&buffer, 0));
	buffer_clear(&buffer);
	CU_ASSERT_FALSE(buffer_failed(&buffer));
	buffer_printf(&buffer, "%s", "abc"); /* and its NUL */
	CU_ASSERT_FALSE(buffer_failed(&buffer));
	buffer_clear(&buffer);
	buffer_put_u64(&buffer, 1);
	CU_ASSERT_TRUE(buffer_failed(&buffer));
	buffer_deinit(&buffer);
}

static void test_take(void)
{
	struct buffer buffer;
	uint8_t *bytes;
	size_t len = 9;

	buffer_init(&buffer, 100);
	CU_ASSERT_PTR_NULL(buffer_take(&buffer, &len));
	CU_ASSERT_EQUAL(len, 0);
	buffer_append_string(&buffer, "hello");
	bytes = buffer_take(&buffer, &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	CU_ASSERT_TRUE(slice_equal(slice_of(bytes, len), slice_string("hello")));
	CU_ASSERT_EQUAL(buffer.len, 0);
	free(bytes);
	buffer_append_string(&buffer, "again");
	CU_ASSERT_EQUAL(buffer.len, 5);
	buffer_deinit(&buffer);
}

static void test_short_reads(void)
{
	static const uint8_t bytes[] = {5, 0, 0, 0, 'a', 'b'};
	struct reader reader;

	for (size_t len = 0; len < sizeof bytes; len++) {
		reader = reader_of(slice_of(bytes, len));
		CU_ASSERT_EQUAL(reader_bytes(&reader).len, 0);
		CU_ASSERT_TRUE(reader_failed(&reader));
		/* and stays so, with zeros */
		CU_ASSERT_EQUAL(reader_u8(&reader), 0);
		CU_ASSERT_EQUAL(reader_left(&reader), 0);
		CU_ASSERT_TRUE(reader_failed(&reader));
	}
	reader = reader_of(slice_of(NULL, 0));
	CU_ASSERT_EQUAL(reader_take(&reader, 0).len, 0);
	CU_ASSERT_FALSE(reader_failed(&reader));
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"layout", test_layout},   {"bound", test_bound},
		{"take", test_take},       {"short reads", test_short_reads},
		{"varints", test_varints}, {"varints that are none", test_varints_refused},
		CU_TEST_INFO_NULL,
	};

	return suite_run("buffer", tests);
}
