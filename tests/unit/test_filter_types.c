/*
 * Values of every type against every operator: what Meilisearch 1.50 answers
 * to these filters over these documents, whose ids count from 1.
 */
#include "tests/unit/filter_bed.h"

#include <stdio.h>

static const char *const documents[] = {
	"{\"v\":\"true\"}",
	"{\"v\":\"e\"}",
	"{\"other\":1}",
	"{\"v\":6,\"other\":2}",
	"{\"v\":\"naïve\"}",
	"{\"v\":\"Abc\"}",
	"{\"v\":null}",
	"{\"v\":2.5}",
	"{\"v\":-3}",
	"{\"v\":false}",
	"{\"v\":\"5\"}",
	"{\"v\":\"null\"}",
	"{\"v\":\"ABC\"}",
	"{\"v\":\"O'Neil\"}",
	"{\"v\":{\"a\":1}}",
	"{\"v\":10}",
	"{\"v\":1000.0}",
	"{\"v\":\"false\"}",
	"{\"v\":[\"abc\",\"x\"]}",
	"{\"v\":\"é\"}",
	"{\"v\":0}",
	"{\"v\":\"0\"}",
	"{\"v\":\"10\"}",
	"{\"v\":\"say \\\"hi\\\"\"}",
	"{\"v\":[null]}",
	"{\"v\":5}",
	"{\"v\":[1,5]}",
	"{\"v\":\"\"}",
	"{\"v\":\"1000\"}",
	"{\"v\":{}}",
	"{\"v\":\"a.b\"}",
	"{\"v\":\"red-green\"}",
	"{\"v\":7}",
	"{\"v\":\"two words\"}",
	"{\"v\":\"É\"}",
	"{\"v\":true}",
	"{\"v\":5.0}",
	"{\"v\":[[1,2],[3]]}",
	"{\"v\":[5,\"abc\"]}",
	"{\"v\":\"AND\"}",
	"{\"v\":[{\"a\":5}]}",
	"{\"v\":[]}",
	"{\"v\":\"abc\"}",
	"{\"v\":\" padded \"}",
};

#define DOCUMENTS (sizeof documents / sizeof documents[0])

/* Ids that match, or "all but" those that do not. */
static const struct {
	const char *expression;
	const char *ids;
} rows[] = {
	{"v = 5", "11 26 27 37 39"},
	{"v != 5", "all but 11 26 27 37 39"},
	{"v = \"5\"", "11 26 27 37 39"},
	{"v != \"5\"", "all but 11 26 27 37 39"},
	{"v = '5'", "11 26 27 37 39"},
	{"v != '5'", "all but 11 26 27 37 39"},
	{"v = 5.0", "26 27 37 39"},
	{"v != 5.0", "all but 26 27 37 39"},
	{"v = -3", "9"},
	{"v != -3", "all but 9"},
	{"v = 2.5", "8"},
	{"v != 2.5", "all but 8"},
	{"v = abc", "6 13 19 39 43"},
	{"v != abc", "all but 6 13 19 39 43"},
	{"v = ABC", "6 13 19 39 43"},
	{"v != ABC", "all but 6 13 19 39 43"},
	{"v = 'abc'", "6 13 19 39 43"},
	{"v != 'abc'", "all but 6 13 19 39 43"},
	{"v = \"two words\"", "34"},
	{"v != \"two words\"", "all but 34"},
	{"v = É", "20 35"},
	{"v != É", "all but 20 35"},
	{"v = e", "2"},
	{"v != e", "all but 2"},
	{"v = é", "20 35"},
	{"v != é", "all but 20 35"},
	{"v = true", "1 36"},
	{"v != true", "all but 1 36"},
	{"v = false", "10 18"},
	{"v != false", "all but 10 18"},
	{"v = ''", ""},
	{"v != ''", "all but"},
	{"v = null", "12"},
	{"v != null", "all but 12"},
	{"v = 1000", "17 29"},
	{"v != 1000", "all but 17 29"},
	{"v = 1e3", "17"},
	{"v != 1e3", "all but 17"},
	{"v = 0", "21 22"},
	{"v != 0", "all but 21 22"},
	{"v = ' padded '", "44"},
	{"v != ' padded '", "all but 44"},
	{"v = 'O\\'Neil'", "14"},
	{"v != 'O\\'Neil'", "all but 14"},
	{"v = \"say \\\"hi\\\"\"", "24"},
	{"v != \"say \\\"hi\\\"\"", "all but 24"},
	{"v = red-green", "32"},
	{"v != red-green", "all but 32"},
	{"v = a.b", "31"},
	{"v != a.b", "all but 31"},
	{"v = naïve", "5"},
	{"v != naïve", "all but 5"},
	{"v = 'AND'", "40"},
	{"v != 'AND'", "all but 40"},
	{"v = 10", "16 23"},
	{"v != 10", "all but 16 23"},
	{"v > 5", "all but 3 7 8 9 11 15 21 22 23 25 26 27 28 29 30 37 38 41 42"},
	{"v >= 5", "all but 3 7 8 9 15 21 22 23 25 28 29 30 38 41 42"},
	{"v < 5", "8 9 21 22 23 27 29 38"},
	{"v <= 5", "8 9 11 21 22 23 26 27 29 37 38 39"},
	{"v > 2.5", "all but 3 7 8 9 15 21 22 23 25 28 29 30 41 42"},
	{"v >= 2.5", "all but 3 7 9 15 21 22 23 25 28 29 30 41 42"},
	{"v < 2.5", "9 21 22 23 27 29 38"},
	{"v <= 2.5", "8 9 21 22 23 27 29 38"},
	{"v > 0", "all but 3 7 9 15 21 22 25 28 30 41 42"},
	{"v >= 0", "all but 3 7 9 15 25 28 30 41 42"},
	{"v < 0", "9"},
	{"v <= 0", "9 21 22"},
	{"v > -3", "all but 3 7 9 15 25 28 30 41 42"},
	{"v >= -3", "all but 3 7 15 25 28 30 41 42"},
	{"v < -3", ""},
	{"v <= -3", "9"},
	{"v > abc", "1 2 5 10 12 14 18 19 20 24 32 34 35 36 40 44"},
	{"v >= abc", "1 2 5 6 10 12 13 14 18 19 20 24 32 34 35 36 39 40 43 44"},
	{"v < abc", "11 22 23 29 31"},
	{"v <= abc", "6 11 13 19 22 23 29 31 39 43"},
	{"v > '5'", "all but 3 7 8 9 11 15 21 22 23 25 26 27 28 29 30 37 38 41 42"},
	{"v >= '5'", "all but 3 7 8 9 15 21 22 23 25 28 29 30 38 41 42"},
	{"v < '5'", "8 9 21 22 23 27 29 38"},
	{"v <= '5'", "8 9 11 21 22 23 26 27 29 37 38 39"},
	{"v > 1e3", "1 2 5 6 10 11 12 13 14 18 19 20 24 31 32 34 35 36 39 40 43 44"},
	{"v >= 1e3", "all but 3 4 7 8 9 15 16 21 22 23 25 26 27 28 29 30 33 37 38 41 42"},
	{"v < 1e3", "4 8 9 16 21 22 23 26 27 29 33 37 38 39"},
	{"v <= 1e3", "4 8 9 16 17 21 22 23 26 27 29 33 37 38 39"},
	{"v > true", "19 34"},
	{"v >= true", "1 19 34 36"},
	{"v < true", "2 5 6 10 11 12 13 14 18 19 20 22 23 24 29 31 32 35 39 40 43 44"},
	{"v <= true", "all but 3 4 7 8 9 15 16 17 21 25 26 27 28 30 33 34 37 38 41 42"},
	{"v > 'e'", "1 5 10 12 14 18 19 20 24 32 34 35 36 44"},
	{"v >= 'e'", "1 2 5 10 12 14 18 19 20 24 32 34 35 36 44"},
	{"v < 'e'", "6 11 13 19 22 23 29 31 39 40 43"},
	{"v <= 'e'", "2 6 11 13 19 22 23 29 31 39 40 43"},
	{"v 2 TO 6", "4 8 11 26 27 37 38 39"},
	{"v 5 TO 5", "11 26 27 37 39"},
	{"v 6 TO 2", ""},
	{"v -10 TO 0", "9 21 22"},
	{"v 'a' TO 'b'", "6 13 19 31 39 40 43"},
	{"v abc TO é", "2 6 13 19 20 35 39 40 43"},
	{"v IN [5, abc]", "6 11 13 19 26 27 37 39 43"},
	{"v IN []", ""},
	{"v IN ['5']", "11 26 27 37 39"},
	{"v IN [5, 7, true,]", "1 11 26 27 33 36 37 39"},
	{"v NOT IN [5, abc]", "all but 6 11 13 19 26 27 37 39 43"},
	{"v NOT IN []", "all but"},
	{"NOT v IN [5]", "all but 11 26 27 37 39"},
	{"v IN [É]", "20 35"},
	{"v EXISTS", "all but 3"},
	{"v NOT EXISTS", "3"},
	{"NOT v EXISTS", "3"},
	{"v IS NULL", "7"},
	{"v IS NOT NULL", "all but 7"},
	{"NOT v IS NULL", "all but 7"},
	{"v IS EMPTY", "28 30 42"},
	{"v IS NOT EMPTY", "all but 28 30 42"},
	{"NOT v IS EMPTY", "all but 28 30 42"},
	{"v.a = 1", "15"},
	{"v.a > 0", "15 41"},
	{"v.a EXISTS", "15 41"},
	{"v.a = 5", "41"},
	{"other EXISTS", "3 4"},
	{"other = 1 OR v = 5", "3 11 26 27 37 39"},
	{"v STARTS WITH a", "6 13 19 31 39 40 43"},
	{"v STARTS WITH 'A'", "6 13 19 31 39 40 43"},
	{"v NOT STARTS WITH a", "all but 6 13 19 31 39 40 43"},
	{"v STARTS WITH 1", "23 29"},
	{"v STARTS WITH ''", "all but 3"},
	{"NOT v != 5", "11 26 27 37 39"},
	{"v != 5 AND v EXISTS", "all but 3 11 26 27 37 39"},
	{"v > 4 AND v < 8", "4 11 26 27 33 37 39"},
	{"v>4", "all but 3 7 8 9 15 21 22 23 25 28 29 30 38 41 42"},
	{"v=5", "11 26 27 37 39"},
	{"v!=5", "all but 11 26 27 37 39"},
	{"v   =   5", "11 26 27 37 39"},
	{"v = 5 ", "11 26 27 37 39"},
	{" v = 5", "11 26 27 37 39"},
	{"\"v\" = 5", "11 26 27 37 39"},
	{"'v' = '5'", "11 26 27 37 39"},
	{"(v = 5)", "11 26 27 37 39"},
	{"((v = 5))", "11 26 27 37 39"},
	{"v = abc AND v = x", "19"},
	{"v = 1 AND v = 5", "27"},
	{"v EXISTS AND NOT v IS NULL AND NOT v IS EMPTY", "all but 3 7 28 30 42"},
};

static void print_ids(const struct filter *filter, bool matching, struct buffer *ids)
{
	for (size_t i = 0; i < DOCUMENTS; i++)
		if (filter_bed_matches(filter, documents[i]) == matching)
			buffer_printf(ids, ids->len == 0 ? "%zu" : " %zu", i + 1);
	buffer_put_u8(ids, 0);
}

static void test_types(void)
{
	static const char all_but[] = "all but";

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		bool complement = strncmp(rows[i].ids, all_but, sizeof all_but - 1) == 0;
		const char *expected = rows[i].ids + (complement ? sizeof all_but - 1 : 0);
		struct filter_refusal refusal;
		struct filter *filter = NULL;
		struct arena arena;
		struct buffer ids;

		arena_init(&arena, 1024);
		buffer_init(&ids, 4096);
		CU_ASSERT_EQUAL_FATAL(filter_bed_parse(rows[i].expression, &arena, &filter, &refusal), 0);
		print_ids(filter, !complement, &ids);
		CU_ASSERT_STRING_EQUAL((const char *)ids.ptr, expected + (*expected == ' '));
		if (strcmp((const char *)ids.ptr, expected + (*expected == ' ')) != 0)
			printf("%s: %s, not %s\n", rows[i].expression, (const char *)ids.ptr, rows[i].ids);
		buffer_deinit(&ids);
		arena_deinit(&arena);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"types", test_types},
		CU_TEST_INFO_NULL,
	};

	return suite_run("filter_types", tests);
}
