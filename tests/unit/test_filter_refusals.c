/*
 * What is no filter, and why: the messages and positions of Meilisearch 1.50,
 * and the bounds.
 */
#include "tests/unit/filter_bed.h"

#include <stdio.h>
#include <stdlib.h>

#define OPERATION \
	"Was expecting an operation `=`, `!=`, `>=`, `>`, `<=`, `<`, `IN`, `NOT IN`, `TO`, `EXISTS`, `NOT " \
	"EXISTS`, `IS NULL`, `IS NOT NULL`, `IS EMPTY`, `IS NOT EMPTY`, `CONTAINS`, `NOT CONTAINS`, " \
	"`STARTS WITH`, `NOT STARTS WITH`, `_geoRadius`, `_geoBoundingBox` or `_geoPolygon` "
#define END "Found unexpected characters at the end of the filter: "
#define FORGOT ". You probably forgot an `OR` or an `AND` rule."
#define QUOTE_IT " as a field name or a value, surround it by quotes."
#define GEO \
	" is a reserved keyword and thus can't be used as a filter expression. Use the " \
	"`_geoRadius(latitude, longitude, distance)` or `_geoBoundingBox([latitude, longitude], [latitude, " \
	"longitude])` built-in rules to filter on `_geo` coordinates."

static const struct {
	const char *expression;
	const char *text;
	const char *columns; /* NULL: the text is the whole message */
} rows[] = {
	{"v", OPERATION "at `v`.", "1:2"},
	{"v =", "Was expecting a value but instead got nothing.", "4:4"},
	{"= 5", OPERATION "at `= 5`.", "1:4"},
	{"v == 5", "Was expecting a value but instead got nothing.", "4:4"},
	{"v = ", "Was expecting a value but instead got nothing.", "5:5"},
	{"v > ", "Was expecting a value but instead got nothing.", "5:5"},
	{"v < > 5", "Was expecting a value but instead got nothing.", "5:5"},
	{"v 5", OPERATION "at `v 5`.", "1:4"},
	{"v TO 5", OPERATION "at `v TO 5`.", "1:7"},
	{"v 1 TO", OPERATION "at `v 1 TO`.", "1:7"},
	{"v 1 TO 5 TO 6", END "`TO 6`" FORGOT, "10:14"},
	{"v IN", "Expected `[` after `IN` keyword.", "5:5"},
	{"v IN 5", "Expected `[` after `IN` keyword.", "6:7"},
	{"v IN [", "Expected matching `]` after the list of field names given to `IN[`", "7:7"},
	{"v IN [5", "Expected matching `]` after the list of field names given to `IN[`", "8:8"},
	{"v IN [5,,6]", "Expected only comma-separated field names inside `IN[..]` but instead found `,6]`.",
         "9:12"},
	{"v IN [5 6]", "Expected only comma-separated field names inside `IN[..]` but instead found `6]`.",
         "9:11"},
	{"v IN [,]", "Expected only comma-separated field names inside `IN[..]` but instead found `,]`.",
         "7:9"},
	{"v NOT", OPERATION "at `v NOT`.", "1:6"},
	{"v NOT IN", "Expected `[` after `IN` keyword.", "9:9"},
	{"v NOT 5", OPERATION "at `v NOT 5`.", "1:8"},
	{"v IS", OPERATION "at `v IS`.", "1:5"},
	{"v IS 5", OPERATION "at `v IS 5`.", "1:7"},
	{"v IS NOT", OPERATION "at `v IS NOT`.", "1:9"},
	{"v IS NOTNULL", OPERATION "at `v IS NOTNULL`.", "1:13"},
	{"v EXISTS 5", END "` 5`" FORGOT, "9:11"},
	{"v EXIST", OPERATION "at `v EXIST`.", "1:8"},
	{"v = 5 AND", OPERATION "but instead got nothing.", "10:10"},
	{"AND v = 5",
         "Was expecting a value but instead got `AND`, which is a reserved keyword. To use `AND`" QUOTE_IT,
         "1:4"},
	{"v = 5 OR", OPERATION "but instead got nothing.", "9:9"},
	{"OR",
         "Was expecting a value but instead got `OR`, which is a reserved keyword. To use `OR`" QUOTE_IT,
         "1:3"},
	{"NOT", OPERATION "but instead got nothing.", "4:4"},
	{"NOT NOT", OPERATION "but instead got nothing.", "8:8"},
	{"(v = 5", "Expression `(v = 5` is missing the following closing delimiter: `)`.", "1:7"},
	{"v = 5)", END "`)`" FORGOT, "6:7"},
	{"()", OPERATION "at `)`.", "2:3"},
	{"( )", OPERATION "at `)`.", "3:4"},
	{"v = (5)", "Was expecting a value but instead got nothing.", "5:5"},
	{"v = 5 v = 6", END "`v = 6`" FORGOT, "7:12"},
	{"v = 5 and v = 6", END "`and v = 6`" FORGOT, "7:16"},
	{"v = 5 & v = 6", END "`& v = 6`" FORGOT, "7:14"},
	{"v = 5, v = 6", END "`, v = 6`" FORGOT, "6:13"},
	{"v = 5 XOR v = 6", END "`XOR v = 6`" FORGOT, "7:16"},
	{"v = 'abc", "Expression `\\'abc` is missing the following closing delimiter: `'`.", "5:9"},
	{"v = \"abc", "Expression `\\\"abc` is missing the following closing delimiter: `\"`.", "5:9"},
	{"v = abc def", END "`def`" FORGOT, "9:12"},
	{"v = a,b", END "`,b`" FORGOT, "6:8"},
	{"v = a'b", END "`\\'b`" FORGOT, "6:8"},
	{"'v = 5", "Expression `\\'v = 5` is missing the following closing delimiter: `'`.", "1:7"},
	{"v = 5;", END "`;`" FORGOT, "6:7"},
	{"v LIKE a", OPERATION "at `v LIKE a`.", "1:9"},
	{"v contains a", OPERATION "at `v contains a`.", "1:13"},
	{"v STARTS a", OPERATION "at `v STARTS a`.", "1:11"},
	{"v STARTS WITH", "Was expecting a value but instead got nothing.", "14:14"},
	{"v STARTS WITH a b", END "`b`" FORGOT, "17:18"},
	{"v starts with a", OPERATION "at `v starts with a`.", "1:16"},
	{"_geo = 5", "`_geo`" GEO, "1:9"},
	{"v é 5", OPERATION "at `v é 5`.", "1:6"},
	{"v = É =", END "`=`" FORGOT, "7:8"},
	{"v=5=6", END "`=6`" FORGOT, "4:6"},
	{"v >< 5", "Was expecting a value but instead got nothing.", "4:4"},
	{"v => 5", "Was expecting a value but instead got nothing.", "4:4"},
	{"v ! 5", OPERATION "at `v ! 5`.", "1:6"},
	{"v ! = 5", OPERATION "at `v ! = 5`.", "1:8"},
	{"v != ", "Was expecting a value but instead got nothing.", "6:6"},
	{"v <", "Was expecting a value but instead got nothing.", "4:4"},
	{"[v = 5]", OPERATION "at `[v = 5]`.", "1:8"},
	{"{v = 5}", OPERATION "at `{v = 5}`.", "1:8"},
	{"v = [5]", "Was expecting a value but instead got `[5]`.", "5:8"},
	{"v = {5}", "Was expecting a value but instead got `{5}`.", "5:8"},
	{"v IN {5}", "Expected `[` after `IN` keyword.", "6:9"},
	{"v IN (5)", "Expected `[` after `IN` keyword.", "6:9"},
	{"5", OPERATION "at `5`.", "1:2"},
	{"\"v\"", OPERATION "at `\\\"v\\\"`.", "1:4"},
	{"v = NOT",
         "Was expecting a value but instead got `NOT`, which is a reserved keyword. To use `NOT`" QUOTE_IT,
         "5:8"},
	{"v = AND",
         "Was expecting a value but instead got `AND`, which is a reserved keyword. To use `AND`" QUOTE_IT,
         "5:8"},
	{"v = IN",
         "Was expecting a value but instead got `IN`, which is a reserved keyword. To use `IN`" QUOTE_IT,
         "5:7"},
	{"AND = 5",
         "Was expecting a value but instead got `AND`, which is a reserved keyword. To use `AND`" QUOTE_IT,
         "1:4"},
	{"v = EXISTS",
         "Was expecting a value but instead got `EXISTS`, which is a reserved keyword. To use "
         "`EXISTS`" QUOTE_IT,
         "5:11"},
	{"v TO", OPERATION "at `v TO`.", "1:5"},
	{"v = _geoRadius", "The `_geoRadius` filter is an operation and can't be used as a value.", "5:15"},
	{"v > abc def", END "`def`" FORGOT, "9:12"},
	{"v\\ = 5", OPERATION "at `v\\\\ = 5`.", "1:7"},
	{"#5", "Invalid syntax for the filter parameter: `expected String, Array, found: 5`.", NULL},
	{"#true", "Invalid syntax for the filter parameter: `expected String, Array, found: true`.", NULL},
	{"#{}", "Invalid syntax for the filter parameter: `expected String, Array, found: {}`.", NULL},
	{"#{\"v\":5}", "Invalid syntax for the filter parameter: `expected String, Array, found: {\"v\":5}`.",
         NULL},
	{"#[5]", "Invalid syntax for the filter parameter: `expected String, [String], found: 5`.", NULL},
	{"#[[5]]", "Invalid syntax for the filter parameter: `expected String, found: 5`.", NULL},
	{"#[[\"v = 5\",5]]", "Invalid syntax for the filter parameter: `expected String, found: 5`.", NULL},
	{"#[[[\"v = 5\"]]]",
         "Invalid syntax for the filter parameter: `expected String, found: [\"v = 5\"]`.", NULL},
	{"#[null]", "Invalid syntax for the filter parameter: `expected String, [String], found: null`.",
         NULL},
	{"#[[\"v =\"],\"v = 5\"]", "Was expecting a value but instead got nothing.\n4:4 v =", NULL},
	{"#[\"v = 5\",\"v = \"]", "Was expecting a value but instead got nothing.\n5:5 v = ", NULL},
	{"_geo EXISTS", "`_geo`" GEO, "1:12"},
	{"_geo IS NULL", "`_geo`" GEO, "1:13"},
	{"_geo NOT EXISTS", "`_geo`" GEO, "1:16"},
	{"_geoPoint(1,2)", "`_geoPoint`" GEO, "1:15"},
	{"_geo = 1", "`_geo`" GEO, "1:9"},
	{"_geoDistance > 3", "`_geoDistance`" GEO, "1:17"},
	{"_geoPoint(1,2) > 3", "`_geoPoint`" GEO, "1:19"},
	/* not recorded, but by the same rules */
	{"v = +5", "Was expecting a value but instead got `+5`.", "5:7"},
	{"v=1AND w=2", END "`w=2`" FORGOT, "8:11"},
	{"v = 1 ANDw = 2", END "`ANDw = 2`" FORGOT, "7:15"},
	{"v IN [ ", "Expected only comma-separated field names inside `IN[..]` but instead found ` `.",
         "7:8"},
	{"v IN [a, AND]",
         "Expected only comma-separated field names inside `IN[..]` but instead found `AND]`.", "10:14"},
	{"v IN [a, 'b]", "Expression `\\'b]` is missing the following closing delimiter: `'`.", "10:13"},
	{"v NOT IN 5", "Expected `[` after `IN` keyword.", "10:11"},
	{"v = a\nOR w = 5 x", END "`x`" FORGOT, "10:11"},
	{"v = 5\tx\ny", END "`x\\ny`" FORGOT, "7:10"},
	{"(v = 5 OR (w = 6)",
         "Expression `(v = 5 OR (w = 6)` is missing the following closing delimiter: `)`.", "1:18"},
	{"v = 'a\\", "Malformed value: `a\\\\`.", "6:8"},
	{"v = 'a\\qb'", "Malformed value: `a\\\\qb`.", "6:10"},
	{"v = '\\ud800'", "Malformed value: `\\\\ud800`.", "6:12"},
	{"v = '\\u{110000}'", "Malformed value: `\\\\u{110000}`.", "6:16"},
	{"v = '\\xg1'", "Found an invalid escaped sequence number: `\\\\xg1`.", "6:10"},
	{"v = '\\u12'", "Found an invalid escaped sequence number: `\\\\u12`.", "6:10"},
	{"v = '\\u{}'", "Found an invalid escaped sequence number: `\\\\u{}`.", "6:10"},
	{"'\\q' = 5", OPERATION "at `\\'\\\\q\\' = 5`.", "1:9"},
	{"v = 🦀", "Was expecting a value but instead got `🦀`.", "5:6"},
	{"v = 🦀 AND w = 1", "Was expecting a value but instead got `🦀`.", "5:6"},
	{"v =  =", "Was expecting a value but instead got nothing.", "6:6"},
	{"v “a” = 5", OPERATION "at `v “a” = 5`.", "1:10"},
	{"v = 5 AND (w = 6 OR )", OPERATION "at `)`.", "21:22"},
	{"v = TO",
         "Was expecting a value but instead got `TO`, which is a reserved keyword. To use `TO`" QUOTE_IT,
         "5:7"},
	{"EXISTS EXISTS",
         "Was expecting a value but instead got `EXISTS`, which is a reserved keyword. To use "
         "`EXISTS`" QUOTE_IT,
         "1:7"},
	{"v STARTS  WITH a", OPERATION "at `v STARTS  WITH a`.", "1:17"},
	{"v NOTEXISTS", OPERATION "at `v NOTEXISTS`.", "1:12"},
	{"v 1 TO ", "Was expecting a value but instead got nothing.", "8:8"},
	{"v 1 TO AND",
         "Was expecting a value but instead got `AND`, which is a reserved keyword. To use `AND`" QUOTE_IT,
         "8:11"},
	{"v = _geoBoundingBox([1,2],[3,4])",
         "The `_geoBoundingBox` filter is an operation and can't be used as a value.", "5:33"},
	{"v IN [_geo]", "`_geo`" GEO, "7:12"},
	{"_geoPointless = 1", "`_geoPoint`" GEO, "1:18"},
	{"_geoRadius(1, 2, 3)", "The `_geoRadius` filter is not available in this version of Millrace.",
         "1:20"},
	{"v = 1 AND  _geoBoundingBox([1,2],[3,4])",
         "The `_geoBoundingBox` filter is not available in this version of Millrace.", "12:40"},
	{"_geoPolygon([1,2],[3,4],[5,6])",
         "The `_geoPolygon` filter is not available in this version of Millrace.", "1:31"},
	{"NOT _vectors EXISTS", "The `_vectors` filter is not available in this version of Millrace.",
         "5:20"},
	{"_vectors.a.regenerate EXISTS",
         "The `_vectors` filter is not available in this version of Millrace.", "1:29"},
	{"_foreign(a, b = 1)", "The `_foreign` filter is not available in this version of Millrace.", "1:19"},
	{"#[\"v = 5\",[\"\",{\"a\":[1.50]}]]",
         "Invalid syntax for the filter parameter: `expected String, found: {\"a\":[1.5]}`.", NULL},
	{"#[\"v = 5\"", "not JSON: unexpected end of data at byte 8", NULL},
};

static void test_refusals(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct filter_refusal refusal = {.lacks_feature = true};
		struct filter *filter = NULL;
		struct buffer expected;
		struct arena arena;

		arena_init(&arena, 1024);
		buffer_init(&expected, 4096);
		buffer_append_string(&expected, rows[i].text);
		if (rows[i].columns != NULL)
			buffer_printf(&expected, "\n%s %s", rows[i].columns, rows[i].expression);
		buffer_put_u8(&expected, 0);
		CU_ASSERT_EQUAL(filter_bed_parse(rows[i].expression, &arena, &filter, &refusal),
		                ERROR_FORMAT);
		CU_ASSERT_FALSE(refusal.lacks_feature);
		CU_ASSERT_STRING_EQUAL(refusal.text, (const char *)expected.ptr);
		CU_ASSERT_EQUAL(refusal.len, strlen(refusal.text));
		CU_ASSERT_PTR_NULL(filter);
		if (strcmp(refusal.text, (const char *)expected.ptr) != 0)
			printf("%s\nnot %s\n", refusal.text, (const char *)expected.ptr);
		buffer_deinit(&expected);
		arena_deinit(&arena);
	}
}

/* `before` repeated, `middle`, `after` repeated; free it. */
static char *repeated(const char *before, const char *middle, const char *after, size_t times)
{
	struct buffer text;
	size_t len;

	buffer_init(&text, 8 << 20);
	for (size_t i = 0; i < times; i++)
		buffer_append_string(&text, before);
	buffer_append_string(&text, middle);
	for (size_t i = 0; i < times; i++)
		buffer_append_string(&text, after);
	buffer_put_u8(&text, 0);
	return (char *)buffer_take(&text, &len);
}

static const char too_deep[] =
	"The filter exceeded the maximum depth limit. Try rewriting the filter so that it "
	"contains fewer nested conditions.\n";
static const char too_many[] = "The filter has too many conditions and values. Try splitting it into several "
			       "filters.\n";

static void test_bounds(void)
{
	static const struct {
		const char *before;
		const char *middle;
		const char *after;
		size_t times;
		int result;
		const char *text;
		const char *position;
	} bounds[] = {
		/* Meilisearch allows exactly so many */
		{"(", "v = 1", ")", 36, 0, NULL, NULL},
		{"(", "v = 1", ")", 37, ERROR_LIMIT, too_deep, "38:80 "},
		{"(", "v = 1", ")", 40, ERROR_LIMIT, too_deep, "38:86 "},
		{"NOT ", "v = 1", "", 147, 0, NULL, NULL},
		{"NOT ", "v = 1", "", 148, ERROR_LIMIT, too_deep, "593:598 "},
		{"NOT ", "v = 1", "", 200000, ERROR_LIMIT, too_deep, NULL},
		{"(", "v = 1", ")", 500000, ERROR_LIMIT, too_deep, NULL},
		{"(", "v = 1", "", 500000, ERROR_LIMIT, too_deep, NULL},
		{"", "v = 1", " OR v = 1", 32766, 0, NULL, NULL},
		{"", "v = 1", " OR v = 1", 32767, ERROR_LIMIT, too_many, NULL},
		{"", "v IN [1]", " ", 1000, 0, NULL, NULL},
		{"", "v = 1", " ", (1 << 20) - 7, 0, NULL, NULL},
		{"", "v = 1", " ", (1 << 20) - 6, ERROR_LIMIT, "The filter is longer than one mebibyte.",
	         NULL},
		{"a.", "b = 1", "", 127, 0, NULL, NULL},
		{"a.", "b = 1", "", 128, ERROR_LIMIT, "The field name `a.a.a.", NULL},
	};

	for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
		char *text = repeated(bounds[i].before, bounds[i].middle, bounds[i].after, bounds[i].times);
		struct filter_refusal refusal = {0};
		struct filter *filter = NULL;
		struct arena arena;

		arena_init(&arena, 65536);
		CU_ASSERT_EQUAL(filter_bed_parse(text, &arena, &filter, &refusal), bounds[i].result);
		CU_ASSERT_EQUAL(filter != NULL, bounds[i].result == 0);
		if (bounds[i].text != NULL)
			CU_ASSERT_EQUAL(strncmp(refusal.text, bounds[i].text, strlen(bounds[i].text)), 0);
		if (bounds[i].position != NULL)
			CU_ASSERT_PTR_NOT_NULL(strstr(refusal.text, bounds[i].position));
		arena_deinit(&arena);
		free(text);
	}
}

/* The values of IN count as well. */
static void test_long_list(void)
{
	char *fitting = repeated("1,", "", "", FILTER_NODES_MAX - 1);
	struct filter_refusal refusal = {0};
	struct filter *filter = NULL;
	struct buffer text;
	struct arena arena;

	arena_init(&arena, 65536);
	buffer_init(&text, 1 << 20);
	buffer_printf(&text, "v IN [%s]", fitting);
	buffer_put_u8(&text, 0);
	CU_ASSERT_EQUAL_FATAL(filter_bed_parse((const char *)text.ptr, &arena, &filter, &refusal), 0);
	CU_ASSERT_EQUAL(filter->literals_len, FILTER_NODES_MAX - 1);
	text.len -= 2;
	buffer_append_string(&text, "1]");
	buffer_put_u8(&text, 0);
	CU_ASSERT_EQUAL(filter_bed_parse((const char *)text.ptr, &arena, &filter, &refusal), ERROR_LIMIT);
	CU_ASSERT_EQUAL(strncmp(refusal.text, too_many, strlen(too_many)), 0);
	buffer_deinit(&text);
	arena_deinit(&arena);
	free(fitting);
}

/* A message is cut, and not inside a character. */
static void test_long_message(void)
{
	char *text = repeated("é", "", "", 3000);
	struct filter_refusal refusal = {0};
	struct filter *filter = NULL;
	struct arena arena;

	arena_init(&arena, 65536);
	CU_ASSERT_EQUAL(filter_bed_parse(text, &arena, &filter, &refusal), ERROR_FORMAT);
	CU_ASSERT_TRUE(refusal.len >= FILTER_REFUSAL_BYTES_MAX - 2);
	CU_ASSERT_EQUAL(refusal.text[refusal.len], '\0');
	CU_ASSERT_EQUAL(strcmp(refusal.text + refusal.len - 4, "éé"), 0);
	arena_deinit(&arena);
	free(text);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"refusals", test_refusals},
		{"bounds", test_bounds},
		{"a long list", test_long_list},
		{"a long message", test_long_message},
		CU_TEST_INFO_NULL,
	};

	return suite_run("filter_refusals", tests);
}
