/*
 * What refusals show of values: rows of JSON with the kind and the text.
 */
#include "shared/json/json_shown.h"

#include "tests/unit/suite.h"

struct row {
	const char *json;
	const char *kind;
	const char *text;
};

static const struct row rows[] = {
	{"null", "null", "null"},
	{"true", "a boolean", "true"},
	{"false", "a boolean", "false"},
	{"\"a\\u00e9\\n\"", "a string", "\"a\xc3\xa9\\n\""},
	{"0", "a positive integer", "0"},
	{"18446744073709551615", "a positive integer", "18446744073709551615"},
	{"-1", "a negative integer", "-1"},
	{"-9223372036854775808", "a negative integer", "-9223372036854775808"},
	/* integers outside 64 bits are floats, and so is -0 */
	{"18446744073709551616", "a number", "1.8446744073709552e+19"},
	{"-9223372036854775809", "a number", "-9.223372036854776e+18"},
	{"100000000000000000000", "a number", "1e+20"},
	{"1.5", "a number", "1.5"},
	{"1.50", "a number", "1.5"},
	{"1.0", "a number", "1.0"},
	{"1e2", "a number", "100.0"},
	{"12e-1", "a number", "1.2"},
	{"-2.5E3", "a number", "-2500.0"},
	{"0.0", "a number", "0.0"},
	{"0.1", "a number", "0.1"},
	{"1e-5", "a number", "0.00001"},
	{"1.234e-5", "a number", "0.00001234"},
	{"1e-6", "a number", "1e-6"},
	{"-1.25e-7", "a number", "-1.25e-7"},
	{"1e15", "a number", "1000000000000000.0"},
	{"1234567890123456.0", "a number", "1234567890123456.0"},
	{"1e16", "a number", "1e+16"},
	{"0.30000000000000004", "a number", "0.30000000000000004"},
	{"1.7976931348623157e308", "a number", "1.7976931348623157e+308"},
	{"5e-324", "a number", "5e-324"},
	{"[]", "an array", "[]"},
	{"[1, 1e2, [\"a\", null]]", "an array", "[1,100.0,[\"a\",null]]"},
	{"{}", "an object", "{}"},
	{"{\"a\": {\"b\\\"\": 1.50}, \"c\": -1}", "an object", "{\"a\":{\"b\\\"\":1.5},\"c\":-1}"},
};

static void check(yyjson_doc *doc, const struct row *row)
{
	yyjson_val *root = yyjson_doc_get_root(doc);
	struct buffer text;

	buffer_init(&text, 4096);
	json_append_shown(&text, root);
	CU_ASSERT_STRING_EQUAL(json_shown_kind(root), row->kind);
	CU_ASSERT_FALSE(buffer_failed(&text));
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&text), slice_string(row->text)));
	buffer_deinit(&text);
	yyjson_doc_free(doc);
}

/* Numbers may be raw or read. */
static void test_rows(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct slice json = slice_string(rows[i].json);
		struct error error;
		yyjson_doc *doc;

		CU_ASSERT_EQUAL_FATAL(json_parse(json, JSON_DEPTH_MAX, &doc, &error), 0);
		check(doc, &rows[i]);
		CU_ASSERT_EQUAL_FATAL(json_parse_typed(json, &doc, &error), 0);
		check(doc, &rows[i]);
	}
}

/* Neither is a double of so many bytes. */
static void test_as_sent(void)
{
	char digits[JSON_SHOWN_NUMBER_BYTES_MAX + 2];

	memset(digits, '1', sizeof digits);
	digits[sizeof digits - 1] = '\0';
	for (size_t len = 400; len < sizeof digits; len += sizeof digits - 401) {
		struct slice json = slice_of(digits + sizeof digits - 1 - len, len);
		struct buffer text;
		struct error error;
		yyjson_doc *doc;

		CU_ASSERT_EQUAL_FATAL(json_parse(json, 1, &doc, &error), 0);
		buffer_init(&text, 4096);
		json_append_shown(&text, yyjson_doc_get_root(doc));
		CU_ASSERT_TRUE(slice_equal(buffer_slice(&text), json));
		buffer_deinit(&text);
		yyjson_doc_free(doc);
	}
}

static void test_no_room(void)
{
	struct error error;
	struct buffer text;
	yyjson_doc *doc;

	CU_ASSERT_EQUAL_FATAL(json_parse(slice_string("[1.5,\"abc\"]"), 1, &doc, &error), 0);
	buffer_init(&text, 4);
	json_append_shown(&text, yyjson_doc_get_root(doc));
	CU_ASSERT_TRUE(buffer_failed(&text));
	buffer_deinit(&text);
	yyjson_doc_free(doc);
}

int main(void)
{
	CU_TestInfo tests[] = {{"values", test_rows},
	                       {"numbers that no double holds", test_as_sent},
	                       {"no room", test_no_room},
	                       CU_TEST_INFO_NULL};

	return suite_run("json_shown", tests);
}
