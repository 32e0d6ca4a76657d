/*
 * What a filter means: rows of expression and document, the tree that an
 * expression becomes, and what happens when memory runs out.
 */
#include "tests/unit/filter_bed.h"

#include <stdio.h>

struct row {
	const char *expression;
	const char *document;
	bool matches;
};

static const struct row rows[] = {
	/* numbers, as Rust and JSON write them */
	{"v = 5", "{\"v\":5}", true},
	{"v = '+5'", "{\"v\":5}", true},
	{"v = 5.", "{\"v\":5}", true},
	{"v = .5", "{\"v\":0.5}", true},
	{"v = -.5", "{\"v\":-0.5}", true},
	{"v = 007", "{\"v\":7}", true},
	{"v = 00", "{\"v\":0}", true},
	{"v = -0", "{\"v\":0}", true},
	{"v = 0", "{\"v\":-0.0}", true},
	{"v = 5e0", "{\"v\":5}", true},
	{"v = 5E-1", "{\"v\":0.5}", true},
	{"v = '5e+1'", "{\"v\":50}", true},
	{"v = 5e", "{\"v\":5}", false},
	{"v = .", "{\"v\":0}", false},
	{"v = -", "{\"v\":0}", false},
	{"v = ' 5'", "{\"v\":5}", false},
	{"v = ' 5'", "{\"v\":\"5\"}", true},
	{"v = 0x10", "{\"v\":16}", false},
	{"v = inf", "{\"v\":1e308}", false},
	{"v < inf", "{\"v\":1}", false},
	{"v > nan", "{\"v\":1}", false},
	{"v = 1e400", "{\"v\":1e400}", false},
	{"v > 1", "{\"v\":1e400}", false},
	{"v EXISTS", "{\"v\":1e400}", true},
	{"v = 1e-400", "{\"v\":0}", true},
	{"v = 0.1", "{\"v\":0.1000000000000000055511151231257827021181583404541015625}", true},
	{"v = 0.30000000000000004", "{\"v\":0.3}", false},
	{"v = 9007199254740993", "{\"v\":9007199254740992}", true},
	{"v = 18446744073709551615", "{\"v\":18446744073709551616}", true},
	{"v = -9223372036854775808", "{\"v\":-9223372036854775809}", true},
	{"v = 1.10", "{\"v\":1.1}", true},
	{"v = 1.1", "{\"v\":\"1.10\"}", false},
	{"v = 5", "{\"v\":\"5\"}", true},
	{"v = 5.0", "{\"v\":\"5\"}", false},
	{"v 1 TO x", "{\"v\":2}", false},
	{"v 1 TO x", "{\"v\":\"2\"}", true},
	{"v -2 TO x", "{\"v\":-1}", false},
	{"v x TO 2", "{\"v\":1}", false},
	{"v -2 TO -1", "{\"v\":-1.5}", true},
	{"v >= 10", "{\"v\":\"9\"}", true},
	{"v >= 10", "{\"v\":9}", false},
	/* strings */
	{"v = abc", "{\"v\":\"ABC\"}", true},
	{"v = ABC", "{\"v\":\"abc\"}", true},
	{"v > ABC", "{\"v\":\"abd\"}", true},
	{"v > abc", "{\"v\":\"ABC\"}", false},
	{"v = abc", "{\"v\":\" \\t\\u00a0abc\\u3000\\n\"}", true},
	{"v = '  a b '", "{\"v\":\"a b\"}", true},
	{"v = É", "{\"v\":\"é\"}", true},
	{"v = e", "{\"v\":\"é\"}", false},
	{"v = ''", "{\"v\":\"\"}", false},
	{"v = ''", "{\"v\":[\"\"]}", false},
	{"v = ''", "{\"v\":\"  \"}", true},
	{"v >= ''", "{\"v\":\"\"}", false},
	{"v >= ''", "{\"v\":\"a\"}", true},
	{"v = 'a\\u0000b'", "{\"v\":\"a\\u0000b\"}", true},
	{"v = a", "{\"v\":\"a\\u0000b\"}", false},
	/* booleans and null are no more than their words, null not even that */
	{"v = true", "{\"v\":true}", true},
	{"v = TRUE", "{\"v\":true}", true},
	{"v = 1", "{\"v\":true}", false},
	{"v STARTS WITH t", "{\"v\":true}", true},
	{"v CONTAINS als", "{\"v\":false}", true},
	{"v = null", "{\"v\":null}", false},
	{"v != null", "{\"v\":null}", true},
	/* arrays: any element, at any depth */
	{"v = 2", "{\"v\":[1,[[2]],3]}", true},
	{"v != 2", "{\"v\":[1,2]}", false},
	{"v > 1 AND v < 2", "{\"v\":[0,3]}", true},
	{"v 1 TO 2", "{\"v\":[0,3]}", false},
	{"v = true", "{\"v\":[false,true]}", true},
	{"v IS NULL", "{\"v\":[null]}", false},
	{"v IS EMPTY", "{\"v\":[[]]}", false},
	{"v IS EMPTY", "{\"v\":[\"\"]}", false},
	{"v IS EMPTY", "{\"v\":[]}", true},
	{"v IS EMPTY", "{\"v\":{}}", true},
	{"v IS EMPTY", "{\"v\":\"\"}", true},
	{"v IS EMPTY", "{\"v\":\" \"}", false},
	{"v IS EMPTY", "{\"v\":0}", false},
	{"v IS EMPTY", "{\"v\":null}", false},
	{"v IS EMPTY", "{}", false},
	{"v IS NOT EMPTY", "{}", true},
	{"v IS NOT NULL", "{}", true},
	{"v EXISTS", "{\"v\":null}", true},
	{"v NOT EXISTS", "{\"w\":1}", true},
	/* paths */
	{"a.b = 1", "{\"a\":{\"b\":1}}", true},
	{"a.b = 1", "{\"a.b\":1}", true},
	{"a.b.c = 1", "{\"a.b\":{\"c\":1}}", true},
	{"a.b.c = 1", "{\"a\":{\"b.c\":1}}", true},
	{"a.b.c = 1", "{\"a\":{\"b\":2},\"a.b\":{\"c\":1}}", true},
	{"a.b = 1", "{\"a\":[{\"b\":2},[{\"b\":1}]]}", true},
	{"a.b = 1", "{\"a\":[{\"b\":[2,1]}]}", true},
	{"a.b IS NULL", "{\"a\":[{\"b\":1},{\"b\":null}]}", true},
	{"a.b IS EMPTY", "{\"a\":[{\"b\":{}}]}", true},
	{"a.b EXISTS", "{\"a\":[1,{\"c\":1}]}", false},
	{"a.b EXISTS", "{\"a\":{\"b\":{\"c\":1}}}", true},
	{"a.b = 1", "{\"a\":{\"b\":{\"c\":1}}}", false},
	{"a = 1", "{\"a\":{\"b\":1}}", false},
	{"a = 1", "{\"a\":[{\"b\":1}]}", false},
	{"a.0 = 1", "{\"a\":[1]}", false},
	{"a. = 1", "{\"a\":{\"\":1}}", true},
	{".a = 1", "{\"\":{\"a\":1}}", true},
	{"'' = 1", "{\"\":1}", true},
	{"'a b' = 1", "{\"a b\":1}", true},
	{"A = 1", "{\"a\":1}", false},
	{"é = 1", "{\"é\":1}", true},
	{"é = 1", "{\"e\\u0301\":1}", false},
	{"a = 1", "{\"a\":1,\"a\":2}", false},
	{"a = 2", "{\"a\":1,\"a\":2}", true},
	{"a.b = 1", "{\"a\":{\"b\":1},\"a\":null}", false},
	{"a = 2", "{\"a\":1,\"\\u0061\":2}", true},
	/* quotes and escapes */
	{"v = 'it\\'s'", "{\"v\":\"it's\"}", true},
	{"v = \"it\\'s\"", "{\"v\":\"it's\"}", true},
	{"v = \"a\\\"b\"", "{\"v\":\"a\\\"b\"}", true},
	{"v = 'a\\\\'", "{\"v\":\"a\\\\\"}", true},
	{"v = 'a\\\\\\'b'", "{\"v\":\"a\\\\'b\"}", true},
	{"v = 'a\\x20b'", "{\"v\":\"a b\"}", true},
	{"v = '\\xe9'", "{\"v\":\"é\"}", true},
	{"v = '\\u00e9'", "{\"v\":\"é\"}", true},
	{"v = '\\u{1f600}'", "{\"v\":\"\xf0\x9f\x98\x80\"}", true},
	{"v = 'a\\tb\\nc\\/d'", "{\"v\":\"a\\tb\\nc/d\"}", true},
	{"v = 'a\\101\\60b'", "{\"v\":\"aA0b\"}", true},
	{"v = '\\777'", "{\"v\":\"?7\"}", true},
	{"v = 'AND'", "{\"v\":\"and\"}", true},
	{"'AND' = 1 AND \"OR\" = 2", "{\"AND\":1,\"OR\":2}", true},
	{"v = 'a OR v = b'", "{\"v\":\"b\"}", false},
	/* words */
	{"v = a-b_c.d", "{\"v\":\"a-b_c.d\"}", true},
	{"v = ½", "{\"v\":\"½\"}", true},
	{"v = привет", "{\"v\":\"привет\"}", true},
	{"v = 日本", "{\"v\":\"日本\"}", true},
	{"_geo.lat = 1", "{\"_geo\":{\"lat\":1}}", true},
	{"ANDROID = 1", "{\"ANDROID\":1}", true},
	{"NOTE = 1", "{\"NOTE\":1}", true},
	/* operators without space, and space of every kind */
	{"v=1 AND(w=2)", "{\"v\":1,\"w\":2}", true},
	{"(v=1)OR(w=2)", "{\"w\":2}", true},
	{"\t\n\rv\n=\n1\n", "{\"v\":1}", true},
	{"\xc2\xa0v =\xe3\x80\x80 1", "{\"v\":1}", true},
	{"v EXISTS ", "{\"v\":1}", true},
	{"v EXISTSAND w EXISTS", "{\"v\":1,\"w\":1}", true},
	{"v IN[1,2]", "{\"v\":2}", true},
	{"v IN [ 1 , 2 , ]", "{\"v\":2}", true},
	{"v NOT  IN [1,2]", "{\"v\":3}", true},
	{"v IS  NOT\tNULL", "{\"v\":3}", true},
	{"v NOT  STARTS WITH a", "{\"v\":\"ba\"}", true},
	{"v CONTAINSa", "{\"v\":\"ba\"}", true},
	/* IN */
	{"v IN []", "{\"v\":1}", false},
	{"v NOT IN []", "{}", true},
	{"v IN [c, a, b]", "{\"v\":\"B\"}", true},
	{"v IN [c, a, b]", "{\"v\":\"d\"}", false},
	{"v IN [30, 4, 100]", "{\"v\":4.0}", true},
	{"v IN [30, 4, 100]", "{\"v\":40}", false},
	{"v IN [30, x, 100]", "{\"v\":[1,\"X\"]}", true},
	{"v IN [1, 1, 1]", "{\"v\":\"1\"}", true},
	{"v NOT IN [1]", "{\"v\":[1,2]}", false},
	/* CONTAINS, STARTS WITH */
	{"v CONTAINS b", "{\"v\":\"aBc\"}", true},
	{"v CONTAINS 'b '", "{\"v\":\"aBc\"}", true},
	{"v CONTAINS abcd", "{\"v\":\"abc\"}", false},
	{"v CONTAINS ''", "{\"v\":\"a\"}", true},
	{"v CONTAINS ''", "{\"v\":1}", false},
	{"v NOT CONTAINS b", "{}", true},
	{"v CONTAINS 1", "{\"v\":10}", false},
	{"v STARTS WITH b", "{\"v\":\"ab\"}", false},
	{"v STARTS WITH ''", "{\"v\":null}", true},
	{"v STARTS WITH ''", "{}", false},
	{"v STARTS WITH ' '", "{\"v\":1}", true},
	/* connectives */
	{"a = 1 OR b = 1 AND c = 1", "{\"a\":1}", true},
	{"(a = 1 OR b = 1) AND c = 1", "{\"a\":1}", false},
	{"NOT a = 1 AND b = 1", "{\"b\":1}", true},
	{"NOT (a = 1 OR b = 1)", "{\"b\":1}", false},
	{"NOT NOT a = 1", "{\"a\":1}", true},
	{"NOT NOT NOT a = 1", "{\"a\":1}", false},
	{"NOT a NOT EXISTS", "{\"a\":1}", true},
	{"NOT a != 1", "{\"a\":1}", true},
	/* JSON: AND of ORs */
	{"#[\"a = 1\",\"b = 1\"]", "{\"a\":1}", false},
	{"#[[\"a = 1\",\"b = 1\"]]", "{\"a\":1}", true},
	{"#[[\"a = 1\",\"b = 1\"],\"c = 1\"]", "{\"b\":1,\"c\":1}", true},
	{"#[[\"a = 1\",\" \"],[\"\"],[],\"\"]", "{\"a\":2}", false},
	{"#[\"a = 1 OR b = 1\",\"c = 1\"]", "{\"a\":1}", false},
	{"#[[],\"\",[\"\"]]", "{}", true},
	{"#[]", "{}", true},
	{"#\"\\u3000\\n\"", "{}", true},
	{"#null", "{}", true},
};

static void test_matches(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct filter_refusal refusal;
		struct filter *filter = NULL;
		struct arena arena;
		bool matches;

		arena_init(&arena, 1024);
		CU_ASSERT_EQUAL(filter_bed_parse(rows[i].expression, &arena, &filter, &refusal), 0);
		matches = filter_bed_matches(filter, rows[i].document);
		CU_ASSERT_EQUAL(matches, rows[i].matches);
		if (matches != rows[i].matches)
			printf("%s %s\n", rows[i].expression, rows[i].document);
		arena_deinit(&arena);
	}
}

static void check_literal(const struct filter_literal *literal, const char *text, const char *folded)
{
	CU_ASSERT_TRUE(slice_equal(literal->text, slice_string(text)));
	CU_ASSERT_TRUE(slice_equal(literal->folded, slice_string(folded)));
}

/* What a planner finds. */
static void test_tree(void)
{
	struct filter_refusal refusal;
	struct filter *filter = NULL;
	const struct filter *child;
	struct arena arena;

	arena_init(&arena, 1024);
	CU_ASSERT_EQUAL_FATAL(filter_bed_parse("#[\"a != ' X '\",[\"b.c NOT IN [10, x, 9]\",\"d 1 TO y\"]]",
	                                       &arena, &filter, &refusal),
	                      0);
	CU_ASSERT_EQUAL_FATAL(filter->kind, FILTER_KIND_AND);
	child = filter->children;
	CU_ASSERT_EQUAL_FATAL(child->kind, FILTER_KIND_NOT_EQUAL);
	CU_ASSERT_TRUE(slice_equal(child->field, slice_string("a")));
	CU_ASSERT_EQUAL_FATAL(child->literals_len, 1);
	check_literal(&child->literals[0], " X ", "x");
	CU_ASSERT_FALSE(child->literals[0].is_number);
	child = child->next;
	CU_ASSERT_EQUAL_FATAL(child->kind, FILTER_KIND_OR);
	CU_ASSERT_PTR_NULL(child->next);
	child = child->children;
	CU_ASSERT_EQUAL_FATAL(child->kind, FILTER_KIND_NOT);
	CU_ASSERT_EQUAL_FATAL(child->children->kind, FILTER_KIND_IN);
	CU_ASSERT_TRUE(slice_equal(child->children->field, slice_string("b.c")));
	CU_ASSERT_EQUAL_FATAL(child->children->literals_len, 3);
	check_literal(&child->children->literals[0], "10", "10");
	check_literal(&child->children->literals[1], "9", "9");
	check_literal(&child->children->literals[2], "x", "x");
	CU_ASSERT_EQUAL_FATAL(child->children->numbers_len, 2);
	CU_ASSERT_EQUAL(child->children->numbers[0], 9.0);
	CU_ASSERT_EQUAL(child->children->numbers[1], 10.0);
	child = child->next;
	CU_ASSERT_EQUAL_FATAL(child->kind, FILTER_KIND_BETWEEN);
	CU_ASSERT_EQUAL_FATAL(child->literals_len, 2);
	CU_ASSERT_TRUE(child->literals[0].is_number);
	check_literal(&child->literals[1], "y", "y");
	CU_ASSERT_PTR_NULL(child->next);
	arena_deinit(&arena);
}

/* An expression without a condition is no tree, and one condition needs no connective. */
static void test_small_trees(void)
{
	static const char *const empty[] = {"", " ", "#[]", "#[[]]", "#[\"\",[\" \"]]", "#null"};
	static const char *const single[] = {"v EXISTS", "((v EXISTS))", "#[\"v EXISTS\"]",
	                                     "#[[\"v EXISTS\"],\"\"]", "NOT v NOT EXISTS"};
	struct filter_refusal refusal;
	struct arena arena;

	arena_init(&arena, 1024);
	for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
		struct filter mark;
		struct filter *filter = &mark;

		CU_ASSERT_EQUAL(filter_bed_parse(empty[i], &arena, &filter, &refusal), 0);
		CU_ASSERT_PTR_NULL(filter);
	}
	for (size_t i = 0; i < sizeof single / sizeof single[0]; i++) {
		struct filter *filter = NULL;

		CU_ASSERT_EQUAL(filter_bed_parse(single[i], &arena, &filter, &refusal), 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(filter);
		CU_ASSERT_EQUAL(filter->kind, FILTER_KIND_EXISTS);
	}
	arena_deinit(&arena);
}

/* `v OPERATOR 'aaa…b'` with `literal_len` characters, over {"v":"aaa…b"} with `value_len`. */
static bool long_matches(const char *operator, size_t literal_len, size_t value_len)
{
	struct filter_refusal refusal;
	struct filter *filter = NULL;
	struct buffer expression;
	struct buffer document;
	struct arena arena;
	bool matches;

	arena_init(&arena, 1024);
	buffer_init(&expression, 1 << 16);
	buffer_init(&document, 1 << 16);
	buffer_printf(&expression, "v %s '", operator);
	memset(buffer_grow(&expression, literal_len), 'a', literal_len);
	buffer_append(&expression, "'", 2);
	buffer_append_string(&document, "{\"v\":\"");
	memset(buffer_grow(&document, value_len - 1), 'a', value_len - 1);
	buffer_append(&document, "b\"}", 4);
	CU_ASSERT_EQUAL_FATAL(filter_bed_parse((const char *)expression.ptr, &arena, &filter, &refusal), 0);
	matches = filter_bed_matches(filter, (const char *)document.ptr);
	buffer_deinit(&expression);
	buffer_deinit(&document);
	arena_deinit(&arena);
	return matches;
}

/* A value counts with its first 468 bytes, a literal with all. */
static void test_long_values(void)
{
	CU_ASSERT_FALSE(long_matches("=", 468, 468));
	CU_ASSERT_TRUE(long_matches("=", 468, 469));
	CU_ASSERT_TRUE(long_matches("=", 468, 9000));
	CU_ASSERT_FALSE(long_matches("=", 469, 9000));
	CU_ASSERT_FALSE(long_matches("STARTS WITH", 469, 9000));
	CU_ASSERT_TRUE(long_matches("STARTS WITH", 468, 9000));
	CU_ASSERT_TRUE(long_matches("CONTAINS", 468, 469));
	CU_ASSERT_FALSE(long_matches("CONTAINS", 469, 470));
	CU_ASSERT_TRUE(long_matches("<", 469, 9000));
	CU_ASSERT_TRUE(long_matches(">", 467, 9000));
}

/* It is cut between characters: 467 bytes, as é takes two. */
static void test_cut_between_characters(void)
{
	struct filter_refusal refusal;
	struct filter *filter = NULL;
	struct buffer texts[2];
	struct arena arena;

	arena_init(&arena, 1024);
	for (int i = 0; i < 2; i++) {
		buffer_init(&texts[i], 4096);
		buffer_append_string(&texts[i], i == 0 ? "v = '" : "{\"v\":\"");
		memset(buffer_grow(&texts[i], 467), 'a', 467);
		buffer_append_string(&texts[i], i == 0 ? "'" : "ñ\"}");
		buffer_put_u8(&texts[i], 0);
	}
	CU_ASSERT_EQUAL_FATAL(filter_bed_parse((const char *)texts[0].ptr, &arena, &filter, &refusal), 0);
	CU_ASSERT_TRUE(filter_bed_matches(filter, (const char *)texts[1].ptr));
	buffer_deinit(&texts[0]);
	buffer_deinit(&texts[1]);
	arena_deinit(&arena);
}

/* A document of our own, whose numbers are numbers. */
static void test_typed_document(void)
{
	static const struct {
		const char *expression;
		bool matches;
	} cases[] = {{"v = 5", true},   {"v > 4.5", true},      {"w = -2", true},
	             {"x = 0.5", true}, {"x IN [1, .5]", true}, {"v > 5", false}};
	struct filter_refusal refusal;
	struct arena arena;
	struct error error;
	yyjson_doc *doc = NULL;

	arena_init(&arena, 1024);
	CU_ASSERT_EQUAL_FATAL(json_parse_typed(slice_string("{\"v\":5,\"w\":-2,\"x\":0.5}"), &doc, &error),
	                      0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct filter *filter = NULL;
		bool matches = !cases[i].matches;

		CU_ASSERT_EQUAL_FATAL(filter_bed_parse(cases[i].expression, &arena, &filter, &refusal), 0);
		CU_ASSERT_EQUAL(
			filter_matches(filter, yyjson_doc_get_root(doc), &filter_bed_fold, &matches, &error),
			0);
		CU_ASSERT_EQUAL(matches, cases[i].matches);
	}
	yyjson_doc_free(doc);
	arena_deinit(&arena);
}

/* A fold that runs out of memory at its n-th call. */
static bool failing_append(void *context, struct slice text, struct buffer *folded)
{
	size_t *left = context;

	if (*left == 0)
		return false;
	--*left;
	return filter_bed_append(NULL, text, folded);
}

static int parse_and_match(const struct filter_fold *fold, struct arena *arena, yyjson_val *document,
                           bool *matches)
{
	struct filter_refusal refusal;
	struct filter *filter = NULL;
	struct error error;
	int result =
		filter_parse(slice_string("[\"a = x\",\"NOT b IN [y, z]\"]"), fold, arena, &filter, &refusal);

	return result < 0 ? result : filter_matches(filter, document, fold, matches, &error);
}

/* Three literals and four values are folded: whichever fails, there is no answer. */
static void test_out_of_memory(void)
{
	struct arena arena;
	struct error error;
	yyjson_doc *doc = NULL;
	size_t calls = 0;
	bool matches = false;
	int result = ERROR_MEMORY;

	arena_init(&arena, 1024);
	CU_ASSERT_EQUAL_FATAL(json_parse(slice_string("{\"a\":[\"w\",\"x\"],\"b\":[\"u\",\"v\"]}"),
	                                 JSON_DEPTH_MAX, &doc, &error),
	                      0);
	while (result < 0 && calls < 100) {
		size_t left = calls++;
		struct filter_fold fold = {failing_append, &left};

		CU_ASSERT_FALSE(matches);
		result = parse_and_match(&fold, &arena, yyjson_doc_get_root(doc), &matches);
		CU_ASSERT_TRUE(result == 0 || result == ERROR_MEMORY);
	}
	CU_ASSERT_TRUE(matches);
	CU_ASSERT_EQUAL(calls, 8);
	yyjson_doc_free(doc);
	arena_deinit(&arena);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"matches", test_matches},
		{"the tree", test_tree},
		{"small trees", test_small_trees},
		{"long values", test_long_values},
		{"cut between characters", test_cut_between_characters},
		{"a typed document", test_typed_document},
		{"out of memory", test_out_of_memory},
		CU_TEST_INFO_NULL,
	};

	return suite_run("filter", tests);
}
