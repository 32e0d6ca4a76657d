/*
 * JSON text: a walk gives every member and item exactly as yyjson sees it,
 * whatever the strings between them hold.
 */
#include "query/core/json_text.h"

#include "shared/json/json.h"
#include "tests/unit/suite.h"

#include <stdlib.h>

#define DOCUMENTS 20000
#define DEPTH_MAX 4
#define MEMBERS_MAX 4

struct row {
	const char *text;
	const char *values[4]; /* of its members or items, in order */
};

static const struct row rows[] = {
	{"{}", {NULL}},
	{"[]", {NULL}},
	{" { \"a\" : 1 } ", {"1"}},
	{"[\"\",\"\\\\\",\"\\\"\",\"\\\\\\\"\"]", {"\"\"", "\"\\\\\"", "\"\\\"\"", "\"\\\\\\\"\""}},
	{"{\"a\\\"\":\"}\",\"b\\\\\":{\"c\":\"]}\\\\\"}}", {"\"}\"", "{\"c\":\"]}\\\\\"}"}},
	{"[[\"[\"],{\"{\":\"{\"},-1.5e3,null]", {"[\"[\"]", "{\"{\":\"{\"}", "-1.5e3", "null"}},
	/* not JSON: a walk ends inside its bounds */
	{"[\"", {"\""}},
	{"[\"\\", {"\"\\"}},
	{"[\"\\\"", {"\"\\\""}},
	{"[{\"a\"", {"{\"a\""}},
};

static void test_rows(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct json_walk walk;
		struct slice key;
		struct slice value;
		size_t n = 0;

		CU_ASSERT_TRUE_FATAL(json_walk_begin(&walk, slice_string(rows[i].text)));
		while (json_walk_next(&walk, &key, &value)) {
			CU_ASSERT_FATAL(n < 4 && rows[i].values[n] != NULL);
			CU_ASSERT_TRUE(slice_equal(value, slice_string(rows[i].values[n])));
			n++;
		}
		CU_ASSERT_TRUE(n == 4 || rows[i].values[n] == NULL);
	}
}

/* The first of each name, wherever it stands. */
static void test_members(void)
{
	static const char *const names[3] = {"a", "b", "c"};
	static const struct {
		const char *text;
		const char *values[3]; /* NULL: it has none */
	} texts[] = {
		{"{}", {NULL, NULL, NULL}},
		{"[\"a\",1]", {NULL, NULL, NULL}},
		{"{\"c\":{\"a\":0},\"a\":[\"b\"],\"x\":\"b\",\"c\":2}", {"[\"b\"]", NULL, "{\"a\":0}"}},
		{"{\"aa\":1,\"\":2,\"\\u0062\":3,\"a\":null}", {"null", "3", NULL}},
		{"{\"b\":1,\"c\":2,\"a\":3,\"a\":4}", {"3", "1", "2"}},
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct slice values[3];

		json_text_members(slice_string(texts[i].text), names, 3, values);
		for (size_t k = 0; k < 3; k++) {
			struct slice value = slice_string("as before");
			bool has = texts[i].values[k] != NULL;

			CU_ASSERT_EQUAL_FATAL(values[k].ptr != NULL, has);
			CU_ASSERT_TRUE(slice_equal(values[k], slice_string(has ? texts[i].values[k] : "")));
			CU_ASSERT_EQUAL(json_text_member(slice_string(texts[i].text), names[k], &value), has);
			CU_ASSERT_TRUE(slice_equal(value, has ? values[k] : slice_string("as before")));
		}
	}
}

static uint64_t below(uint64_t *random, uint64_t bound)
{
	*random = *random * 6364136223846793005ULL + 1442695040888963407ULL; /* Knuth's MMIX */
	return (*random >> 33) % bound;
}

static yyjson_mut_val *any_string(yyjson_mut_doc *doc, uint64_t *random)
{
	static const char letters[] = "\\\"\\\"{}[],: a\n\x01";
	char text[12];
	size_t len = below(random, sizeof text);

	for (size_t i = 0; i < len; i++)
		text[i] = letters[below(random, sizeof letters - 1)];
	return yyjson_mut_strncpy(doc, text, len);
}

static yyjson_mut_val *any_value(yyjson_mut_doc *doc, uint64_t *random, int depth)
{
	uint64_t kind = below(random, depth < DEPTH_MAX ? 5 : 3);
	uint64_t members = below(random, MEMBERS_MAX + 1);
	yyjson_mut_val *value;

	if (kind == 0)
		return yyjson_mut_sint(doc, (int64_t)below(random, 1000000) - 500000);
	if (kind == 1)
		return yyjson_mut_bool(doc, below(random, 2) == 0);
	if (kind == 2)
		return any_string(doc, random);
	value = kind == 3 ? yyjson_mut_obj(doc) : yyjson_mut_arr(doc);
	for (uint64_t i = 0; i < members; i++) {
		if (kind == 3)
			(void)yyjson_mut_obj_add(value, any_string(doc, random),
			                         any_value(doc, random, depth + 1));
		else
			(void)yyjson_mut_arr_append(value, any_value(doc, random, depth + 1));
	}
	return value;
}

/* Every part of the text is read by itself, and is what yyjson has at its place. */
static void compare(struct slice text, yyjson_val *expected)
{
	yyjson_doc *doc;
	struct error error;
	struct json_walk walk;
	struct slice key;
	struct slice value;
	yyjson_obj_iter members = yyjson_obj_iter_with(expected);
	yyjson_arr_iter items = yyjson_arr_iter_with(expected);

	CU_ASSERT_FATAL(json_parse(text, DEPTH_MAX + 1, &doc, &error) == 0);
	CU_ASSERT_TRUE_FATAL(yyjson_equals(yyjson_doc_get_root(doc), expected));
	yyjson_doc_free(doc);
	if (!json_walk_begin(&walk, text)) {
		CU_ASSERT_TRUE(!yyjson_is_ctn(expected));
		return;
	}
	CU_ASSERT_EQUAL(walk.object, yyjson_is_obj(expected));
	while (json_walk_next(&walk, &key, &value)) {
		yyjson_val *next =
			walk.object ? yyjson_obj_iter_next(&members) : yyjson_arr_iter_next(&items);

		CU_ASSERT_PTR_NOT_NULL_FATAL(next);
		if (walk.object) {
			CU_ASSERT_TRUE(json_text_key_is(key, json_string(next)));
			next = yyjson_obj_iter_get_val(next);
		}
		compare(value, next);
	}
	CU_ASSERT_FALSE(walk.object ? yyjson_obj_iter_has_next(&members) : yyjson_arr_iter_has_next(&items));
}

static void test_any_document(void)
{
	uint64_t random = 1;

	for (int i = 0; i < DOCUMENTS; i++) {
		yyjson_mut_doc *made = yyjson_mut_doc_new(NULL);
		struct error error;
		yyjson_doc *doc;
		size_t len;
		char *text;

		yyjson_mut_doc_set_root(made, any_value(made, &random, 0));
		text = yyjson_mut_write(made, i % 2 == 0 ? YYJSON_WRITE_PRETTY : 0, &len);
		CU_ASSERT_FATAL(json_parse(slice_of(text, len), DEPTH_MAX + 1, &doc, &error) == 0);
		compare(slice_of(text, len), yyjson_doc_get_root(doc));
		yyjson_doc_free(doc);
		free(text);
		yyjson_mut_doc_free(made);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {{"what lies between members", test_rows},
	                       {"members by name", test_members},
	                       {"any document, part by part", test_any_document},
	                       CU_TEST_INFO_NULL};

	return suite_run("json_text", tests);
}
