/*
 * Record: what a merge leaves, by literal rows, and against a plain merge of
 * lists for random objects whose names repeat and are written in many ways.
 */
#include "shared/record/record.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define NAMES 6
#define SPELLINGS 3
#define VALUES 10
#define MEMBERS_MAX 9
#define SEEDS 20000

/* The bytes are copied to their own places, so that a step over an end is noticed. */
static int merge(struct slice existing, struct slice patch, struct buffer *merged)
{
	uint8_t *first = malloc(existing.len + (existing.len == 0));
	uint8_t *second = malloc(patch.len + (patch.len == 0));
	struct slice text = {0};
	struct arena arena;
	struct error error;
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(first);
	CU_ASSERT_PTR_NOT_NULL_FATAL(second);
	if (existing.len > 0)
		memcpy(first, existing.ptr, existing.len);
	if (patch.len > 0)
		memcpy(second, patch.ptr, patch.len);
	arena_init(&arena, 64);
	rc = record_merge(slice_of(first, existing.len), slice_of(second, patch.len), &arena, &text, &error);
	if (rc == 0) {
		CU_ASSERT_TRUE(text.len <= existing.len + patch.len);
		buffer_append_slice(merged, text);
	}
	arena_deinit(&arena);
	free(first);
	free(second);
	return rc;
}

static const struct {
	const char *existing;
	const char *patch;
	const char *merged; /* NULL: no JSON objects */
} merge_rows[] = {
	{"{}", "{}", "{}"},
	{"{\"a\":1}", "{}", "{\"a\":1}"},
	{"{}", "{\"a\":1}", "{\"a\":1}"},
	{"{\"a\":1,\"b\":2}", "{\"b\":3}", "{\"a\":1,\"b\":3}"},
	{"{\"a\":1,\"b\":2}", "{\"c\":3,\"a\":4}", "{\"a\":4,\"b\":2,\"c\":3}"},
	{"{\"a\":1}", "{\"c\":3,\"b\":2}", "{\"a\":1,\"c\":3,\"b\":2}"},
	/* values are taken as they are, not merged */
	{"{\"a\":{\"x\":1}}", "{\"a\":{\"y\":2}}", "{\"a\":{\"y\":2}}"},
	{"{\"a\":1}", "{\"a\":null}", "{\"a\":null}"},
	{"{\"a\":[1,2]}", "{\"b\":\"}\"}", "{\"a\":[1,2],\"b\":\"}\"}"},
	/* of several values the last */
	{"{\"a\":1,\"b\":2,\"a\":3}", "{}", "{\"a\":3,\"b\":2}"},
	{"{\"a\":1}", "{\"b\":1,\"a\":2,\"b\":3,\"a\":4}", "{\"a\":4,\"b\":3}"},
	{"{\"x\":{\"a\":1,\"a\":2}}", "{}", "{\"x\":{\"a\":1,\"a\":2}}"},
	/* bytes stay, space between tokens goes */
	{"{\"n\":1.10,\"m\":-0.0E+5}", "{\"k\":100000000000000000000}",
         "{\"n\":1.10,\"m\":-0.0E+5,\"k\":100000000000000000000}"},
	{" {\t\"a\" :\r\n[ 1 , { \"b c\" : \" x \" } ] } ", "\n{ \"d\":true }\n",
         "{\"a\":[1,{\"b c\":\" x \"}],\"d\":true}"},
	{"{\"a\":\"\\u0041\\\"\\\\\"}", "{\"b\":\"\\\\\"}", "{\"a\":\"\\u0041\\\"\\\\\",\"b\":\"\\\\\"}"},
	{"{\"a\":\"\\\" b \\\\\" , \"c\":1}", "{}", "{\"a\":\"\\\" b \\\\\",\"c\":1}"},
	{"{\"a\":\"é\"}", "{\"é\":1}", "{\"a\":\"é\",\"é\":1}"},
	/* names are compared decoded and stay as they stand first */
	{"{\"a\":1}", "{\"\\u0061\":2}", "{\"a\":2}"},
	{"{\"\\u0061\":1}", "{\"a\":2}", "{\"\\u0061\":2}"},
	{"{}", "{\"\\u0061\":1,\"a\":2}", "{\"\\u0061\":2}"},
	{"{\"\\u00e9\":1}", "{\"é\":2}", "{\"\\u00e9\":2}"},
	{"{\"\\ud83d\\ude00\":1}", "{\"\xf0\x9f\x98\x80\":2}", "{\"\\ud83d\\ude00\":2}"},
	{"{\"a\\u0000\":1,\"a\":2}", "{\"a\\u0000\":3}", "{\"a\\u0000\":3,\"a\":2}"},
	{"{\"\":1}", "{\"\":2,\" \":3}", "{\"\":2,\" \":3}"},
	{"{\"a\\\"\":1}", "{\"a\\u0022\":2}", "{\"a\\\"\":2}"},
	{"{\"a/b\":1}", "{\"a\\/b\":2}", "{\"a/b\":2}"},
	{"{\"A\":1}", "{\"a\":2}", "{\"A\":1,\"a\":2}"},
	/* no objects */
	{"", "{}", NULL},
	{"{}", "", NULL},
	{"[]", "{}", NULL},
	{"{}", "null", NULL},
	{"{\"a\":1", "{}", NULL},
	{"{\"a\":1}}", "{}", NULL},
	{"{\"a\":1}", "{\"a\"}", NULL},
	{"{\"a\":1}", "{\"a\":}", NULL},
	{"{\"a\":1}", "{\"a\":1,}", NULL},
	{"{\"a\":1}", "{,}", NULL},
	{"{\"a\":1}", "{a:1}", NULL},
	{"{\"a\":1}", "{\"a\":]}", NULL},
	{"{\"a\":1}", "{\"a\":\"}", NULL},
	{"{\"a\":1}", "{\"\\x\":1}", NULL},
	{"{\"a\":1}", "{\"a\\", NULL},
};

static void test_rows(void)
{
	for (size_t i = 0; i < sizeof merge_rows / sizeof *merge_rows; i++) {
		struct buffer merged;
		int rc;

		buffer_init(&merged, 4096);
		rc = merge(slice_string(merge_rows[i].existing), slice_string(merge_rows[i].patch), &merged);
		CU_ASSERT_EQUAL(rc, merge_rows[i].merged != NULL ? 0 : ERROR_FORMAT);
		if (merge_rows[i].merged != NULL &&
		    !slice_equal(buffer_slice(&merged), slice_string(merge_rows[i].merged))) {
			(void)fprintf(stderr, "row %zu: %.*s\n", i, SLICE_ARGS(buffer_slice(&merged)));
			CU_FAIL("another text than expected");
		}
		buffer_deinit(&merged);
	}
}

/* Each cut text is refused or is garbage, and none is read past its end. */
static void test_cut_texts(void)
{
	static const char text[] = "{\"a\\u0041\":[{\"b\":\"\\\\\"},2],\"c\":\"}\",\"d\":{}}";

	for (size_t len = 0; len < strlen(text); len++) {
		struct buffer merged;

		buffer_init(&merged, 4096);
		CU_ASSERT_EQUAL(merge(slice_of(text, len), slice_string("{}"), &merged), ERROR_FORMAT);
		CU_ASSERT_EQUAL(merge(slice_string("{\"a\":1}"), slice_of(text, len), &merged), ERROR_FORMAT);
		buffer_deinit(&merged);
	}
}

/* Nested deeper than any parser's limit or stack. */
static void test_depth(void)
{
	const size_t depth = 1000000;
	struct buffer text;
	struct buffer merged;

	buffer_init(&text, 4 * depth);
	buffer_init(&merged, 4 * depth);
	buffer_append_string(&text, "{\"a\":");
	memset(buffer_grow(&text, depth), '[', depth);
	memset(buffer_grow(&text, depth), ']', depth);
	buffer_append_string(&text, "}");
	CU_ASSERT_EQUAL(merge(slice_string("{}"), buffer_slice(&text), &merged), 0);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&merged), buffer_slice(&text)));
	buffer_deinit(&text);
	buffer_deinit(&merged);
}

static const char *const names[NAMES][SPELLINGS] = {
	{"a", "\\u0061", "\\u0061"},
	{"", "", ""},
	{"q\\\"", "q\\u0022", "\\u0071\\\""},
	{"é", "\\u00e9", "\\u00E9"},
	{"\xf0\x9f\x98\x80", "\\ud83d\\ude00", "\\uD83D\\uDE00"},
	{"\\u0000", "\\u0000", "\\u0000"},
};
static const char *const values[VALUES][2] = {
	/* as written, and without space */
	{"1", "1"},
	{"1.10", "1.10"},
	{"null", "null"},
	{"\"x\"", "\"x\""},
	{"\" , } \"", "\" , } \""},
	{"\"\\u0041\\\\\"", "\"\\u0041\\\\\""},
	{"{ }", "{}"},
	{"[ 1,\n2 ]", "[1,2]"},
	{"{ \"a\" : { \"a\" : 1 } , \"a\":2 }", "{\"a\":{\"a\":1},\"a\":2}"},
	{"[\"]\" , \"{\"]", "[\"]\",\"{\"]"},
};

struct plain_member {
	uint32_t name;
	uint32_t spelling;
	uint32_t value;
};

struct plain {
	struct plain_member members[2 * MEMBERS_MAX];
	size_t len;
};

static uint32_t draw(uint64_t *random, uint32_t bound)
{
	*random = *random * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(*random >> 33) % bound;
}

static void append_space(struct buffer *text, uint64_t *random)
{
	static const char *const spaces[] = {"", "", "", " ", "\n\t", "\r"};

	buffer_append_string(text, spaces[draw(random, 6)]);
}

static void draw_object(struct plain *plain, struct buffer *text, uint64_t *random)
{
	plain->len = draw(random, MEMBERS_MAX + 1);
	append_space(text, random);
	buffer_append_string(text, "{");
	append_space(text, random);
	for (size_t i = 0; i < plain->len; i++) {
		struct plain_member *member = &plain->members[i];

		*member = (struct plain_member){draw(random, NAMES), draw(random, SPELLINGS),
		                                draw(random, VALUES)};
		buffer_append_string(text, i > 0 ? "," : "");
		append_space(text, random);
		buffer_printf(text, "\"%s\"", names[member->name][member->spelling]);
		append_space(text, random);
		buffer_append_string(text, ":");
		append_space(text, random);
		buffer_append_string(text, values[member->value][0]);
		append_space(text, random);
	}
	buffer_append_string(text, "}");
	append_space(text, random);
}

/* As a dictionary that keeps its order: {**existing, **patch}. */
static void plain_update(struct plain *plain, const struct plain *patch)
{
	for (size_t i = 0; i < patch->len; i++) {
		size_t at = 0;

		while (at < plain->len && plain->members[at].name != patch->members[i].name)
			at++;
		if (at < plain->len)
			plain->members[at].value = patch->members[i].value;
		else
			plain->members[plain->len++] = patch->members[i];
	}
}

static void plain_print(const struct plain *plain, struct buffer *text)
{
	buffer_append_string(text, "{");
	for (size_t i = 0; i < plain->len; i++)
		buffer_printf(text, "%s\"%s\":%s", i > 0 ? "," : "",
		              names[plain->members[i].name][plain->members[i].spelling],
		              values[plain->members[i].value][1]);
	buffer_append_string(text, "}");
}

/* By yyjson too, which knows nothing of bytes: every name once, with the last value that either text gives it. */
static bool check_meaning(struct slice merged, struct slice existing, struct slice patch)
{
	struct slice texts[3] = {merged, existing, patch};
	yyjson_doc *docs[3];
	yyjson_val *roots[3];
	struct error error;
	yyjson_val *name;
	yyjson_val *value;
	size_t at;
	size_t count;
	bool good = true;

	for (size_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL_FATAL(json_parse(texts[i], 128, &docs[i], &error), 0);
		roots[i] = yyjson_doc_get_root(docs[i]);
	}
	for (size_t i = 1; i < 3; i++) {
		yyjson_obj_foreach(roots[i], at, count, name, value)
		{
			good = good &&
			       yyjson_obj_getn(roots[0], yyjson_get_str(name), yyjson_get_len(name)) != NULL;
		}
	}
	yyjson_obj_foreach(roots[0], at, count, name, value)
	{
		yyjson_val *expected = NULL;

		for (size_t i = 1; i < 3; i++) {
			size_t other_at;
			size_t other_count;
			yyjson_val *other;
			yyjson_val *other_value;

			yyjson_obj_foreach(roots[i], other_at, other_count, other, other_value)
			{
				if (yyjson_equals(other, name))
					expected = other_value;
			}
		}
		good = good && expected != NULL && yyjson_equals(expected, value) &&
		       yyjson_obj_getn(roots[0], yyjson_get_str(name), yyjson_get_len(name)) == value;
	}
	for (size_t i = 0; i < 3; i++)
		yyjson_doc_free(docs[i]);
	return good;
}

static bool check_seed(uint64_t seed, struct buffer texts[4])
{
	struct plain existing;
	struct plain patch;
	struct plain expected = {0};
	uint64_t random = seed;

	for (size_t i = 0; i < 4; i++)
		buffer_clear(&texts[i]);
	draw_object(&existing, &texts[0], &random);
	draw_object(&patch, &texts[1], &random);
	plain_update(&expected, &existing);
	plain_update(&expected, &patch);
	plain_print(&expected, &texts[2]);
	if (merge(buffer_slice(&texts[0]), buffer_slice(&texts[1]), &texts[3]) != 0)
		return false;
	return slice_equal(buffer_slice(&texts[3]), buffer_slice(&texts[2])) &&
	       check_meaning(buffer_slice(&texts[3]), buffer_slice(&texts[0]), buffer_slice(&texts[1]));
}

static void test_random_objects(void)
{
	struct buffer texts[4]; /* existing, patch, expected, merged */

	for (size_t i = 0; i < 4; i++)
		buffer_init(&texts[i], 65536);
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		bool good = check_seed(seed, texts);

		if (!good)
			(void)fprintf(stderr, "seed %llu: %.*s\n", (unsigned long long)seed,
			              SLICE_ARGS(buffer_slice(&texts[3])));
		CU_ASSERT_TRUE_FATAL(good);
	}
	for (size_t i = 0; i < 4; i++)
		buffer_deinit(&texts[i]);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"rows", test_rows},
		{"cut texts", test_cut_texts},
		{"depth of a million", test_depth},
		{"random objects", test_random_objects},
		CU_TEST_INFO_NULL,
	};

	return suite_run("record_merge", tests);
}
