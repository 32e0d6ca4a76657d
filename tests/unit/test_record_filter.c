/*
 * Record: what is no filter of delete-by-filter, in Meilisearch's words, and
 * the bounds.
 */
#include "shared/record/record.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

struct verdict {
	enum record_verdict verdict;
	struct refusal refusal;
};

static struct verdict judge(struct slice filter)
{
	struct rules rules = rules_default();
	struct record_place place = {.rules = &rules, .partitions = 1, .primary_key = slice_string("id")};
	struct record_header header = {slice_string("op"), slice_string("delete-by-filter")};
	struct record record = {.value = filter, .headers = &header, .headers_len = 1};
	struct verdict got = {0};
	struct arena arena;
	struct op op;

	rules.contract = 2;
	arena_init(&arena, 4096);
	got.verdict = record_decode(&record, &place, &arena, &op, &got.refusal);
	if (got.verdict == RECORD_VERDICT_APPLY)
		CU_ASSERT_TRUE(op.kind == OP_KIND_DELETE_BY_FILTER && slice_equal(op.body, filter));
	arena_deinit(&arena);
	return got;
}

static void test_filter_texts(void)
{
	static const struct {
		const char *filter;
		const char *text;
	} rows[] = {
		{"\"v = \"", "Was expecting a value but instead got nothing.\n5:5 v = "},
		{"[\"v = 1\", [\"(v = 5\"]]",
	         "Expression `(v = 5` is missing the following closing delimiter: `)`.\n1:7 (v = 5"},
		{"[[[]]]", "Invalid syntax for the filter parameter: `expected String, found: []`."},
		{"\"\"", "Sending an empty filter is forbidden."},
		{"null", "Sending an empty filter is forbidden."},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct verdict got = judge(slice_string(rows[i].filter));

		CU_ASSERT_EQUAL(got.verdict, RECORD_VERDICT_REFUSE);
		CU_ASSERT_EQUAL(got.refusal.code, REFUSAL_INVALID_FILTER);
		if (strcmp(got.refusal.text, rows[i].text) != 0)
			(void)fprintf(stderr, "%s: %s\n", rows[i].filter, got.refusal.text);
		CU_ASSERT_STRING_EQUAL(got.refusal.text, rows[i].text);
	}
}

/* Meilisearch quotes the whole expression; what does not fit is left out by whole characters. */
static void test_filter_text_is_cut(void)
{
	char filter[1024] = "\"";

	for (size_t shift = 0; shift < 2; shift++) {
		struct verdict got;
		size_t len = 1 + shift;

		memset(filter + 1, 'v', shift);
		while (len < 900) {
			memcpy(filter + len, "\xc3\xa9", 2);
			len += 2;
		}
		memcpy(filter + len, " (\"", 4);
		got = judge(slice_string(filter));
		CU_ASSERT_EQUAL(got.refusal.code, REFUSAL_INVALID_FILTER);
		len = strlen(got.refusal.text);
		CU_ASSERT_TRUE(len == 511 || len == 510);
		CU_ASSERT_EQUAL((uint8_t)got.refusal.text[len - 1], 0xa9);
	}
}

static void test_filter_bounds(void)
{
	const size_t max = 4194304;
	const size_t filter_max = 1048576;
	char *text = malloc(max + 1);
	const size_t lengths[] = {filter_max, filter_max + 1, max, max + 1};

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	memset(text, 'x', max + 1);
	memcpy(text, "\"v = ", 5);
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		size_t len = lengths[i];
		struct verdict got;

		text[len - 1] = '"';
		got = judge(slice_of(text, len));
		text[len - 1] = 'x';
		CU_ASSERT_EQUAL(got.verdict,
		                len <= filter_max ? RECORD_VERDICT_APPLY : RECORD_VERDICT_REFUSE);
		if (len > filter_max)
			CU_ASSERT_EQUAL(got.refusal.code,
			                len <= max ? REFUSAL_INVALID_FILTER : REFUSAL_TOO_LARGE);
	}
	for (size_t depth = 128; depth <= 129; depth++) {
		struct verdict got;

		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		got = judge(slice_of(text, 2 * depth));
		CU_ASSERT_EQUAL(got.verdict, RECORD_VERDICT_REFUSE);
		CU_ASSERT_EQUAL(got.refusal.code, depth <= 128 ? REFUSAL_INVALID_FILTER : REFUSAL_TOO_DEEP);
	}
	free(text);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"what is wrong with a filter", test_filter_texts},
		{"what is wrong is cut between characters", test_filter_text_is_cut},
		{"filter of the limits and one more", test_filter_bounds},
		CU_TEST_INFO_NULL,
	};

	return suite_run("record_filter", tests);
}
