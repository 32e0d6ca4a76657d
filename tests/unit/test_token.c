/*
 * Tokens: what of the header is understood, and what covers what.
 */
#include "query/core/token.h"

#include "tests/unit/suite.h"

#define PARTITIONS 4

static const char malformed[] = "invalid_consistency_token";
static const char outdated[] = "consistency_token_outdated";

struct row {
	const char *text;
	const char *code; /* NULL: understood */
	int64_t required[PARTITIONS];
};

/* The index has generation 2 and 4 partitions. */
static const struct row rows[] = {
	{"2;", NULL, {0, 0, 0, 0}},
	{"2;0@0", NULL, {1, 0, 0, 0}},
	{"2;3@123,0@9", NULL, {10, 0, 0, 124}},
	{"2;0@1,1@2,2@3,3@4", NULL, {2, 3, 4, 5}},
	{"2;1@9223372036854775806", NULL, {0, INT64_MAX, 0, 0}},
	{"2;1@9223372036854775807", malformed, {0}},
	{"2;1@99999999999999999999", malformed, {0}},
	{"", malformed, {0}},
	{"2", malformed, {0}},
	{";0@1", malformed, {0}},
	{"x;0@1", malformed, {0}},
	{"-2;0@1", malformed, {0}},
	{"+2;0@1", malformed, {0}},
	{"02;0@1", malformed, {0}},
	{"2147483648;0@1", malformed, {0}},
	{"2;0@", malformed, {0}},
	{"2;0", malformed, {0}},
	{"2;@5", malformed, {0}},
	{"2;0@1,", malformed, {0}},
	{"2;,0@1", malformed, {0}},
	{"2;0@1,,1@1", malformed, {0}},
	{"2;0@1 ,1@1", malformed, {0}},
	{"2; 0@1", malformed, {0}},
	{" 2;0@1", malformed, {0}},
	{"2;0@1;1@1", malformed, {0}},
	{"2;0@01", malformed, {0}},
	{"2;00@1", malformed, {0}},
	{"2;0@-1", malformed, {0}},
	{"2;0@1x", malformed, {0}},
	{"2;0@1,0@1", malformed, {0}},
	{"2;0@0,1@7,0@0", malformed, {0}},
	{"3;0@1", outdated, {0}},
	{"1;", outdated, {0}},
	{"2;4@1", outdated, {0}},
	{"2;2147483647@1", outdated, {0}},
	/* what is malformed is never only outdated */
	{"3;0@x", malformed, {0}},
	{"2;4@1,", malformed, {0}},
};

static void test_parse(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct row *row = &rows[i];
		int64_t required[PARTITIONS];
		struct error_answer refusal = {.code = ""};
		int result = token_parse(slice_string(row->text), 2, PARTITIONS, required, &refusal);

		if (row->code != NULL) {
			CU_ASSERT_TRUE(result < 0);
			CU_ASSERT_STRING_EQUAL(refusal.code, row->code);
			continue;
		}
		CU_ASSERT_EQUAL(result, 0);
		for (int p = 0; p < PARTITIONS; p++)
			CU_ASSERT_EQUAL(required[p], row->required[p]);
	}
}

static void test_refusals_say_where(void)
{
	struct error_answer refusal;
	int64_t required[PARTITIONS];

	(void)token_parse(slice_string("2;0@1,0x"), 2, PARTITIONS, required, &refusal);
	CU_ASSERT_STRING_EQUAL(
		refusal.message,
		"Header `X-Millrace-Token`: not `<generation>;<partition>@<offset>,…` at byte 7.");
	(void)token_parse(slice_string("7;0@1"), 2, PARTITIONS, required, &refusal);
	CU_ASSERT_STRING_EQUAL(
		refusal.message,
		"Header `X-Millrace-Token`: it is of generation 7, the index has generation 2.");
	(void)token_parse(slice_string("2;9@1"), 2, PARTITIONS, required, &refusal);
	CU_ASSERT_STRING_EQUAL(
		refusal.message,
		"Header `X-Millrace-Token`: it names partition 9, the index has 4 partitions.");
}

/* A text that ends where its memory ends. */
static void test_reads_no_further(void)
{
	static const uint8_t bytes[] = {'2', ';', '1', '@', '4'};
	struct error_answer refusal;
	int64_t required[PARTITIONS];

	CU_ASSERT_EQUAL(token_parse(slice_of(bytes, 5), 2, PARTITIONS, required, &refusal), 0);
	CU_ASSERT_EQUAL(required[1], 5);
	for (size_t len = 0; len < 5; len++)
		CU_ASSERT_EQUAL(token_parse(slice_of(bytes, len), 2, PARTITIONS, required, &refusal) == 0,
		                len == 2);
}

static void check_print(const int64_t *covered, const char *expected)
{
	struct buffer text;

	buffer_init(&text, 1024);
	token_append(&text, 2, covered, PARTITIONS);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&text), slice_string(expected)));
	buffer_deinit(&text);
}

static void test_print(void)
{
	/* -1: nothing of the partition; 0: it holds no record */
	check_print((const int64_t[]){1, 124, -1, 0}, "2;0@0,1@123");
	check_print((const int64_t[]){0, -1, 0, 9}, "2;3@8");
	check_print((const int64_t[]){0, 0, 0, 0}, "2;");
	check_print((const int64_t[]){0, INT64_MAX, 0, 0}, "2;1@9223372036854775806");
	check_print(NULL, "2;");
}

static void test_covers(void)
{
	static const int64_t covered[] = {5, 0, -1, 9};

	CU_ASSERT_TRUE(token_covers(covered, NULL, PARTITIONS));
	CU_ASSERT_TRUE(token_covers(NULL, NULL, PARTITIONS));
	CU_ASSERT_TRUE(token_covers(covered, (const int64_t[]){0, 0, 0, 0}, PARTITIONS));
	CU_ASSERT_TRUE(token_covers(NULL, (const int64_t[]){0, 0, 0, 0}, PARTITIONS));
	CU_ASSERT_TRUE(token_covers(covered, (const int64_t[]){5, 0, 0, 9}, PARTITIONS));
	CU_ASSERT_FALSE(token_covers(covered, (const int64_t[]){6, 0, 0, 0}, PARTITIONS));
	CU_ASSERT_FALSE(token_covers(covered, (const int64_t[]){5, 0, 0, 10}, PARTITIONS));
	CU_ASSERT_FALSE(token_covers(covered, (const int64_t[]){0, 1, 0, 0}, PARTITIONS));
	CU_ASSERT_FALSE(token_covers(covered, (const int64_t[]){0, 0, 1, 0}, PARTITIONS));
	CU_ASSERT_FALSE(token_covers(NULL, (const int64_t[]){0, 0, 0, 1}, PARTITIONS));
	CU_ASSERT_EQUAL(token_uncovered(covered, (const int64_t[]){5, 0, 3, 10}, PARTITIONS), 2);
	CU_ASSERT_EQUAL(token_uncovered(covered, (const int64_t[]){5, 0, 0, 9}, PARTITIONS), -1);
}

static void test_raise(void)
{
	int64_t required[] = {5, 0, 7, 0};

	token_raise(required, NULL, PARTITIONS);
	CU_ASSERT_EQUAL(required[0], 5);
	token_raise(required, (const int64_t[]){6, 2, 3, 0}, PARTITIONS);
	CU_ASSERT_EQUAL(required[0], 6);
	CU_ASSERT_EQUAL(required[1], 2);
	CU_ASSERT_EQUAL(required[2], 7);
	CU_ASSERT_EQUAL(required[3], 0);
}

int main(void)
{
	CU_TestInfo tests[] = {{"parse", test_parse},
	                       {"refusals say where", test_refusals_say_where},
	                       {"reads no further", test_reads_no_further},
	                       {"print", test_print},
	                       {"covers", test_covers},
	                       {"raise", test_raise},
	                       CU_TEST_INFO_NULL};

	return suite_run("token", tests);
}
