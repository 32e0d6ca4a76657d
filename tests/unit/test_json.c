/*
 * JSON: what is refused and where, and that documents pass byte for byte.
 */
#include "shared/json/json.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

struct refused {
	const char *text;
	size_t len;
	const char *expected; /* part of the error's text */
};

#define REFUSED(text, expected) \
	{ \
		text, sizeof(text) - 1, expected \
	}

static void test_refused(void)
{
	static const struct refused rows[] = {
		REFUSED("", "empty"),
		REFUSED("{", "byte"),
		REFUSED("{\"a\":1}x", "at byte 7"),
		REFUSED("{\"a\":NaN}", "byte 5"),
		REFUSED("{\"a\":01}", "byte"),
		REFUSED("[1,]", "byte"),
		REFUSED("{'a':1}", "byte 1"),
		REFUSED("// c\n1", "byte 0"),
		REFUSED("\xef\xbb\xbf{}", "byte 0"),
		REFUSED("\"\xc3\"", "byte"),
		REFUSED("\"\xed\xa0\x80\"", "byte"),
		REFUSED("\"\\ud800\"", "byte"),
		REFUSED("\"a\nb\"", "byte"),
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		yyjson_doc *doc = NULL;
		struct error error;

		CU_ASSERT_EQUAL(json_parse(slice_of(rows[i].text, rows[i].len), 128, &doc, &error),
		                ERROR_FORMAT);
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
		CU_ASSERT_PTR_NULL(doc);
		if (strstr(error.text, rows[i].expected) == NULL) {
			printf("\n%s: %s\n", rows[i].text, error.text);
			CU_FAIL("another text");
		}
	}
}

/* `depth` containers around "[", which is in a string. */
static struct slice nested(struct buffer *text, size_t depth)
{
	buffer_clear(text);
	for (size_t i = 0; i < depth; i++)
		buffer_append_string(text, i % 2 == 0 ? "[" : "{\"k\":");
	buffer_append_string(text, "\"[\\\"[\"");
	for (size_t i = depth; i-- > 0;)
		buffer_append_string(text, i % 2 == 0 ? "]" : "}");
	return buffer_slice(text);
}

static void test_depth(void)
{
	struct buffer text;
	yyjson_doc *doc = NULL;
	struct error error;

	buffer_init(&text, 4096);
	CU_ASSERT_EQUAL(json_parse(nested(&text, 128), 128, &doc, &error), 0);
	yyjson_doc_free(doc);
	doc = NULL;
	CU_ASSERT_EQUAL(json_parse(nested(&text, 129), 128, &doc, &error), ERROR_LIMIT);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
	/* 64 times `[` and 64 times `{"k":` stand before */
	CU_ASSERT_STRING_EQUAL(error.text, "JSON nested deeper than 128 at byte 384");
	buffer_deinit(&text);
	CU_ASSERT_EQUAL(json_parse(slice_string("[\"[[[[\\\"[[\",[]]"), 1, &doc, &error), ERROR_LIMIT);
	CU_ASSERT_STRING_EQUAL(error.text, "JSON nested deeper than 1 at byte 12");
	CU_ASSERT_EQUAL(json_parse(slice_string("5"), 0, &doc, &error), 0);
	yyjson_doc_free(doc);
}

static void test_deep_bomb(void)
{
	size_t len = 1000000;
	char *text = malloc(len);
	yyjson_doc *doc = NULL;
	struct error error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	memset(text, '[', len / 2);
	memset(text + len / 2, ']', len / 2);
	CU_ASSERT_EQUAL(json_parse(slice_of(text, len), 128, &doc, &error), ERROR_LIMIT);
	CU_ASSERT_EQUAL(json_parse_typed(slice_of(text, len), &doc, &error), ERROR_LIMIT);
	free(text);
}

static void test_passes_through(void)
{
	static const char *const rows[] = {
		"{\"a\":9007199254740993,\"b\":18446744073709551616,\"c\":1e400,\"d\":-0,\"e\":1.10,\"f\":1E+"
		"2}",
		"{\"a\":1,\"a\":2}",
		"[null,true,false,\"\",{},[]]",
		"{\"\":\"\\u0000\"}",
	};
	struct buffer out;

	buffer_init(&out, 10000);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		yyjson_doc *doc;
		struct error error;

		CU_ASSERT_EQUAL_FATAL(json_parse(slice_string(rows[i]), 128, &doc, &error), 0);
		buffer_clear(&out);
		CU_ASSERT_EQUAL(json_append_value(&out, yyjson_doc_get_root(doc), &error), 0);
		CU_ASSERT_TRUE(slice_equal(buffer_slice(&out), slice_string(rows[i])));
		yyjson_doc_free(doc);
	}
	buffer_deinit(&out);
}

static void test_members(void)
{
	static const char text[] = "{\"s\":\"a\\u0000b\",\"i\":-5,\"max\":9223372036854775807,"
				   "\"over\":9223372036854775808,\"f\":1.5,\"b\":true,\"n\":null}";
	struct slice string = slice_string("untouched");
	yyjson_doc *doc;
	yyjson_val *root;
	struct error error;
	int64_t i = 42;
	bool b = false;

	CU_ASSERT_EQUAL_FATAL(json_parse_typed(slice_string(text), &doc, &error), 0);
	root = yyjson_doc_get_root(doc);
	CU_ASSERT_FALSE(json_get_string(root, "i", &string));
	CU_ASSERT_FALSE(json_get_string(root, "absent", &string));
	CU_ASSERT_TRUE(slice_equal(string, slice_string("untouched")));
	CU_ASSERT_TRUE(json_get_string(root, "s", &string));
	CU_ASSERT_TRUE(slice_equal(string, slice_of("a\0b", 3)));
	CU_ASSERT_FALSE(json_get_i64(root, "over", &i));
	CU_ASSERT_FALSE(json_get_i64(root, "f", &i));
	CU_ASSERT_FALSE(json_get_i64(root, "s", &i));
	CU_ASSERT_EQUAL(i, 42);
	CU_ASSERT_TRUE(json_get_i64(root, "max", &i));
	CU_ASSERT_EQUAL(i, INT64_MAX);
	CU_ASSERT_TRUE(json_get_i64(root, "i", &i));
	CU_ASSERT_EQUAL(i, -5);
	CU_ASSERT_FALSE(json_get_bool(root, "n", &b));
	CU_ASSERT_TRUE(json_get_bool(root, "b", &b));
	CU_ASSERT_TRUE(b);
	CU_ASSERT_PTR_NULL(json_string(yyjson_obj_get(root, "i")).ptr);
	CU_ASSERT_PTR_NULL(json_raw_number(yyjson_obj_get(root, "i")).ptr);
	yyjson_doc_free(doc);
	CU_ASSERT_EQUAL_FATAL(json_parse(slice_string("1.50"), 1, &doc, &error), 0);
	CU_ASSERT_TRUE(slice_equal(json_raw_number(yyjson_doc_get_root(doc)), slice_string("1.50")));
	yyjson_doc_free(doc);
}

static void test_strings(void)
{
	static const struct {
		const char *text;
		size_t len;
		const char *expected;
	} rows[] = {
		{"", 0, "\"\""},
		{"plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 15,
	         "\"plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
		{"\"\\/\b\f\n\r\t", 8, "\"\\\"\\\\/\\b\\f\\n\\r\\t\""},
		{"a\0\x1f\x7f", 4, "\"a\\u0000\\u001f\x7f\""},
		{"\xc3", 1, "\"\xef\xbf\xbd\""},
		{"a\xff"
	         "b",
	         3,
	         "\"a\xef\xbf\xbd"
	         "b\""},
		{"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
		{"\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
		{"\xf4\x90\x80\x80", 4, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
		{"\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
	};
	struct buffer out;

	buffer_init(&out, 1000);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		yyjson_doc *doc;
		struct error error;

		buffer_clear(&out);
		json_append_string(&out, slice_of(rows[i].text, rows[i].len));
		CU_ASSERT_TRUE(slice_equal(buffer_slice(&out), slice_string(rows[i].expected)));
		CU_ASSERT_EQUAL_FATAL(json_parse(buffer_slice(&out), 1, &doc, &error), 0);
		yyjson_doc_free(doc);
	}
	buffer_deinit(&out);
}

static void test_value_too_long(void)
{
	struct buffer out;
	struct error error;
	yyjson_doc *doc;

	CU_ASSERT_EQUAL_FATAL(json_parse(slice_string("{ \"a\": 1 }"), 2, &doc, &error), 0);
	buffer_init(&out, 8);
	CU_ASSERT_EQUAL(json_append_value(&out, yyjson_doc_get_root(doc), &error), 0);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&out), slice_string("{\"a\":1}")));
	CU_ASSERT_EQUAL(json_append_value(&out, yyjson_doc_get_root(doc), &error), ERROR_MEMORY);
	buffer_deinit(&out);
	yyjson_doc_free(doc);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"refused", test_refused},
		{"depth", test_depth},
		{"deep bomb", test_deep_bomb},
		{"passes through", test_passes_through},
		{"members", test_members},
		{"strings", test_strings},
		{"a value that is too long", test_value_too_long},
		CU_TEST_INFO_NULL,
	};

	return suite_run("json", tests);
}
