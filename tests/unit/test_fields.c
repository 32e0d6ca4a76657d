/*
 * Fields: numbers that stay, the bounds behind which paths share one, and the
 * stored form.
 */
#include "shard/core/fields.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

static struct fields *fields_made(void)
{
	struct fields *fields = fields_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(fields);
	return fields;
}

static uint16_t numbered(struct fields *fields, struct slice path)
{
	uint16_t field = 12345;

	CU_ASSERT_TRUE(fields_number(fields, path, &field));
	return field;
}

static void test_numbers(void)
{
	struct fields *fields = fields_made();

	CU_ASSERT_EQUAL(fields_len(fields), 0);
	CU_ASSERT_EQUAL(numbered(fields, slice_string("title")), 0);
	CU_ASSERT_EQUAL(numbered(fields, slice_string("a.b")), 1);
	CU_ASSERT_EQUAL(numbered(fields, slice_of("", 0)), 2);
	CU_ASSERT_EQUAL(numbered(fields, slice_of("a\0b", 3)), 3);
	CU_ASSERT_EQUAL(numbered(fields, slice_string("title")), 0);
	CU_ASSERT_EQUAL(numbered(fields, slice_of("a\0b", 3)), 3);
	CU_ASSERT_EQUAL(fields_len(fields), 4);
	CU_ASSERT_TRUE(slice_equal(fields_path(fields, 1), slice_string("a.b")));
	fields_free(fields);
}

static void test_long_path(void)
{
	struct fields *fields = fields_made();
	uint8_t path[FIELD_BYTES_MAX + 1];

	memset(path, 'x', sizeof path);
	CU_ASSERT_EQUAL(numbered(fields, slice_of(path, sizeof path)), FIELD_OTHER);
	CU_ASSERT_EQUAL(numbered(fields, slice_of(path, sizeof path - 1)), 0);
	CU_ASSERT_EQUAL(fields_len(fields), 1);
	fields_free(fields);
}

/* As many as there are numbers, or as fit the stored table: what was known before keeps its number. */
static void test_full(void)
{
	for (int wide = 0; wide < 2; wide++) {
		size_t len = wide ? FIELD_BYTES_MAX : 5;
		size_t room = wide ? (FIELDS_BYTES_MAX - 4) / (FIELD_BYTES_MAX + 2) : FIELDS_MAX;
		struct fields *fields = fields_made();
		struct buffer value;
		char path[FIELD_BYTES_MAX + 1];

		for (size_t i = 0; i < FIELDS_MAX + 10 && i < room + 10; i++) {
			(void)snprintf(path, sizeof path, "%0*zu", (int)len, i);
			CU_ASSERT_EQUAL_FATAL(numbered(fields, slice_string(path)),
			                      i < room ? i : FIELD_OTHER);
		}
		CU_ASSERT_EQUAL(fields_len(fields), room);
		(void)snprintf(path, sizeof path, "%0*d", (int)len, 7);
		CU_ASSERT_EQUAL(numbered(fields, slice_string(path)), 7);
		buffer_init(&value, FIELDS_BYTES_MAX);
		fields_encode(fields, fields_len(fields), &value);
		CU_ASSERT_FALSE(buffer_failed(&value));
		buffer_deinit(&value);
		fields_free(fields);
	}
}

static void test_stored(void)
{
	static const uint8_t bytes[] = {2, 0, 0, 0, 2, 0, 'i', 'd', 3, 0, 'a', '.', 'b'};
	struct fields *fields = fields_made();
	struct fields *read = fields_made();
	struct buffer value;
	struct error error;

	numbered(fields, slice_string("id"));
	numbered(fields, slice_string("a.b"));
	numbered(fields, slice_string("later"));
	buffer_init(&value, 1000);
	fields_encode(fields, 2, &value);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&value), slice_of(bytes, sizeof bytes)));
	CU_ASSERT_EQUAL(fields_decode(read, buffer_slice(&value), &error), 0);
	CU_ASSERT_EQUAL(fields_len(read), 2);
	CU_ASSERT_EQUAL(numbered(read, slice_string("a.b")), 1);
	CU_ASSERT_EQUAL(numbered(read, slice_string("new")), 2);
	buffer_deinit(&value);
	fields_free(fields);
	fields_free(read);
}

static int decoded(struct slice value)
{
	struct fields *fields = fields_made();
	struct error error;
	int rc = fields_decode(fields, value, &error);

	if (rc != 0)
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_FATAL);
	fields_free(fields);
	return rc;
}

static void test_damaged(void)
{
	static const uint8_t twice[] = {2, 0, 0, 0, 1, 0, 'a', 1, 0, 'a'};
	static const uint8_t one[] = {1, 0, 0, 0, 1, 0, 'a', 'b'};
	struct buffer long_path;

	for (size_t len = 0; len < sizeof one - 1; len++)
		CU_ASSERT_EQUAL(decoded(slice_of(one, len)), ERROR_DAMAGED);
	CU_ASSERT_EQUAL(decoded(slice_of(one, sizeof one - 1)), 0);
	CU_ASSERT_EQUAL(decoded(slice_of(one, sizeof one)), ERROR_DAMAGED);
	CU_ASSERT_EQUAL(decoded(slice_of(twice, sizeof twice)), ERROR_DAMAGED);
	buffer_init(&long_path, 10000);
	buffer_put_u32(&long_path, 1);
	buffer_put_u16(&long_path, FIELD_BYTES_MAX + 1);
	for (size_t i = 0; i < FIELD_BYTES_MAX + 1; i++)
		buffer_put_u8(&long_path, 'x');
	CU_ASSERT_EQUAL(decoded(buffer_slice(&long_path)), ERROR_DAMAGED);
	buffer_deinit(&long_path);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"numbers that stay", test_numbers}, {"a path that is too long", test_long_path},
		{"a full table", test_full},         {"the stored form", test_stored},
		{"a damaged table", test_damaged},   CU_TEST_INFO_NULL};

	return suite_run("fields", tests);
}
