/*
 * Rules of a mapping: what is refused and with which path, and the canonical
 * text, which is recorded.
 */
#include "tests/unit/mapping_bed.h"

struct refused {
	const char *rules;
	const char *text; /* how the error's text begins */
};

static const struct refused whole_rows[] = {
	{"", "rules: not JSON"},
	{"[]", "rules: an object is expected"},
	{"{\"id\":1", "rules: not JSON"},
	{"{\"wher\":[]}", "wher: unknown member; known: format, op"},
	{"{\"op\":\"put\",\"op\":\"put\"}", "op: is there twice"},
	{"{\"format\":\"avro\"}", "format: unknown value \"avro\"; known: json, cloudevents, connect-json"},
	{"{\"format\":\"debezium\"}", "format: unknown value \"debezium\""},
	{"{\"format\":null}", "format: a string is expected"},
	{"{\"op\":\"upsert\"}",
         "op: unknown value \"upsert\"; known: put, merge, put-if-exists, merge-if-exists, delete"},
	{"{\"op\":[]}", "op: a string is expected"},
	{"{\"key\":\"avro\"}", "key: unknown value \"avro\"; known: text, json"},
	{"{\"tombstones\":\"keep\"}", "tombstones: unknown value \"keep\"; known: delete, ignore"},
	{"{\"primary_key\":\"\"}", "primary_key: a string of 1 to 511 bytes is expected"},
	{"{\"primary_key\":7}", "primary_key: a string of 1 to 511 bytes is expected"},
	{"{\"flatten\":\"\"}", "flatten: a string of 1 to 16 bytes is expected"},
	{"{\"flatten\":\"12345678901234567\"}", "flatten: a string of 1 to 16 bytes is expected"},
	{"{\"flatten\":true}", "flatten: a string of 1 to 16 bytes is expected"},
};

static const struct refused id_rows[] = {
	{"{\"id\":7}", "id: a string of"},
	{"{\"id\":\"\"}", "id: a string of"},
	{"{\"id\":\"a..b\"}", "id: has an empty name"},
	{"{\"id\":\".a\"}", "id: has an empty name"},
	{"{\"id\":\"a.\"}", "id: has an empty name"},
	{"{\"id\":\"a\\\\\"}", "id: ends with a backslash"},
	{"{\"id\":\"{}\"}", "id: has an empty name"},
	{"{\"id\":\"{a\"}", "id: has a brace that is not closed"},
	{"{\"id\":\"{a\\\\}\"}", "id: has a brace that is not closed"},
	{"{\"id\":\"a}\"}", "id: has a character outside the braces that no id may have"},
	{"{\"id\":\"{a}:{b}\"}", "id: has a character outside the braces that no id may have"},
	{"{\"id\":\"{a}{b}\"}", "id: has two fields side by side"},
	{"{\"id\":\"{a}-{b}{c}\"}", "id: has two fields side by side"},
	{"{\"id\":\"ce.subject\"}", "id: `ce.` names an event's attribute, but `format` is not cloudevents"},
	{"{\"id\":\"ce.subject\",\"op\":\"put\"}", "id: `ce.` names"},
	{"{\"format\":\"cloudevents\",\"id\":\"ce\"}", "id: names an event"},
	{"{\"format\":\"cloudevents\",\"id\":\"ce.a.b\"}", "id: names an event"},
	{"{\"id\":\"key.a\",\"key\":\"text\"}", "key: is text, but `id` names a field of it"},
	{"{\"id\":\"a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a\"}",
         "id: has more than 32 names"},
	{"{\"id\":\"{a}-{a}-{a}-{a}-{a}-{a}-{a}-{a}-{a}-{a}-{a}-{a}-{a}-{a}-{a}-{a}-{a}\"}",
         "id: has more than 32 parts"},
};

static const struct refused list_rows[] = {
	{"{\"include\":\"a\"}", "include: an array is expected"},
	{"{\"include\":[]}", "include: has 0 entries; 1 to 256 are allowed"},
	{"{\"include\":[\"a\",7]}", "include[1]: a field is expected"},
	{"{\"include\":[\"a\",\"\"]}", "include[1]: has an empty name"},
	{"{\"include\":[\"a.b\",\"a.\\\\b\"]}", "include[1]: says the same as an entry before it"},
	{"{\"exclude\":{\"a\":1}}", "exclude: an array is expected"},
	{"{\"exclude\":[\"a\",\"b\",\"a\"]}", "exclude[2]: says the same as an entry before it"},
	{"{\"mask\":[\"a\"]}", "mask: an object is expected"},
	{"{\"mask\":{}}", "mask: has 0 entries"},
	{"{\"mask\":{\"a.b\":\"xxx\"}}", "mask[\"a.b\"]: unknown value \"xxx\"; known: ***, hash"},
	{"{\"mask\":{\"a\":null}}", "mask[\"a\"]: a string is expected"},
	{"{\"mask\":{\"a\":\"***\",\"\\\\a\":\"hash\"}}", "mask[\"\\a\"]: the field is masked twice"},
	{"{\"mask\":{\"\":\"***\"}}", "mask[\"\"]: has an empty name"},
	{"{\"rename\":{\"a\":7}}", "rename[\"a\"]: the new name is expected"},
	{"{\"rename\":{\"a\":\"\"}}", "rename[\"a\"]: has an empty name"},
	{"{\"rename\":{\"a\":\"b.c\"}}", "rename[\"a\"]: the new name is a path"},
	{"{\"rename\":{\"a.b\":\"b\"}}", "rename[\"a.b\"]: the new name is the old one"},
	{"{\"rename\":{\"a\":\"b\",\"a\":\"c\"}}", "rename[\"a\"]: the field is renamed twice"},
	{"{\"delete_types\":[\"a\"]}", "delete_types: only events have types"},
	{"{\"format\":\"cloudevents\",\"delete_types\":\"a\"}", "delete_types: an array is expected"},
	{"{\"format\":\"cloudevents\",\"delete_types\":[\"a\",\"\"]}", "delete_types[1]: a string of"},
	{"{\"format\":\"cloudevents\",\"delete_types\":[\"*\"]}",
         "delete_types[0]: every event would delete"},
	{"{\"format\":\"cloudevents\",\"delete_types\":[\"a\",\"a\"]}", "delete_types[1]: says the same"},
};

static const struct refused condition_rows[] = {
	{"{\"where\":{}}", "where: an array is expected"},
	{"{\"where\":[]}", "where: has 0 entries"},
	{"{\"where\":[\"a = 1\"]}", "where[0]: an object with `field`, `op` and `value` is expected"},
	{"{\"where\":[{\"field\":\"a\",\"op\":\"=\",\"value\":1},{\"feild\":\"a\"}]}",
         "where[1].feild: unknown member; known: field, op, value"},
	{"{\"where\":[{\"op\":\"=\",\"value\":1}]}", "where[0]: has no `field`"},
	{"{\"where\":[{\"field\":\"a\",\"value\":1}]}", "where[0]: has no `op`"},
	{"{\"where\":[{\"field\":\"a\",\"op\":\"=\"}]}", "where[0]: has no `value`"},
	{"{\"where\":[{\"field\":\"a\",\"field\":\"a\"}]}", "where[0].field: is there twice"},
	{"{\"where\":[{\"field\":7,\"op\":\"=\",\"value\":1}]}", "where[0].field: a field is expected"},
	{"{\"where\":[{\"field\":\"a.\",\"op\":\"=\",\"value\":1}]}", "where[0].field: has an empty name"},
	{"{\"where\":[{\"field\":\"a\",\"op\":\"==\",\"value\":1}]}",
         "where[0].op: unknown value \"==\"; known: =, !=, >, >=, <, <=, in, exists"},
	{"{\"where\":[{\"field\":\"a\",\"op\":\"=\",\"value\":[1]}]}", "where[0].value: a string, a number"},
	{"{\"where\":[{\"field\":\"a\",\"op\":\">\",\"value\":true}]}",
         "where[0].value: only strings and numbers have an order"},
	{"{\"where\":[{\"field\":\"a\",\"op\":\"<=\",\"value\":null}]}",
         "where[0].value: only strings and numbers have an order"},
	{"{\"where\":[{\"field\":\"a\",\"op\":\"exists\",\"value\":1}]}",
         "where[0].value: true or false is expected"},
	{"{\"where\":[{\"field\":\"a\",\"op\":\"in\",\"value\":1}]}", "where[0].value: an array is expected"},
	{"{\"where\":[{\"field\":\"a\",\"op\":\"in\",\"value\":[]}]}", "where[0].value: has 0 entries"},
	{"{\"where\":[{\"field\":\"a\",\"op\":\"in\",\"value\":[1,[2]]}]}",
         "where[0].value[1]: a string, a number"},
	{"{\"where\":[{\"field\":\"a\",\"op\":\"in\",\"value\":[1,2,1]}]}",
         "where[0].value[2]: says the same"},
	{"{\"delete_when\":[{\"field\":\"a\",\"op\":\"exists\"},{\"value\":true,\"op\":\"exists\",\"field\":"
         "\"a\"}]}",
         "delete_when[1]: says the same as an entry before it"},
	{"{\"ignore_when\":[{\"field\":\"a\",\"op\":7}]}", "ignore_when[0].op: a string is expected"},
};

static int parse(const char *rules, struct arena *arena, struct mapping **mapping, struct error *error)
{
	struct rules limits = rules_default();

	return mapping_parse(slice_string(rules), &limits, arena, mapping, error);
}

static void run_refused(const struct refused *rows, size_t rows_len)
{
	for (size_t i = 0; i < rows_len; i++) {
		struct mapping *mapping = NULL;
		struct error error = {0};
		struct arena arena;
		int rc;

		arena_init(&arena, 4096);
		rc = parse(rows[i].rules, &arena, &mapping, &error);
		if (rc != ERROR_FORMAT || strncmp(error.text, rows[i].text, strlen(rows[i].text)) != 0)
			(void)fprintf(stderr, "%s\n  got      %d, %s\n  expected %s\n", rows[i].rules, rc,
			              error.text, rows[i].text);
		CU_ASSERT_EQUAL(rc, ERROR_FORMAT);
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
		CU_ASSERT_EQUAL(strncmp(error.text, rows[i].text, strlen(rows[i].text)), 0);
		CU_ASSERT_PTR_NULL(mapping); /* written only on success */
		arena_deinit(&arena);
	}
}

#define REFUSED(rows) run_refused(rows, sizeof(rows) / sizeof *(rows))

static void test_refused(void)
{
	REFUSED(whole_rows);
	REFUSED(id_rows);
	REFUSED(list_rows);
	REFUSED(condition_rows);
}

static void test_bounds(void)
{
	struct mapping *mapping = NULL;
	struct error error = {0};
	struct arena arena;
	struct buffer text;

	arena_init(&arena, 4096);
	buffer_init(&text, SIZE_MAX);
	buffer_append_string(&text, "{\"include\":[\"f0\"");
	for (int i = 1; i < MAPPING_LIST_MAX; i++)
		buffer_printf(&text, ",\"f%d\"", i);
	buffer_append(&text, "]}", 3);
	CU_ASSERT_EQUAL(parse((char *)text.ptr, &arena, &mapping, &error), 0);
	text.len -= 3;
	buffer_append(&text, ",\"x\"]}", 7);
	CU_ASSERT_EQUAL(parse((char *)text.ptr, &arena, &mapping, &error), ERROR_FORMAT);
	CU_ASSERT_STRING_EQUAL(error.text, "include: has 257 entries; 1 to 256 are allowed");
	buffer_clear(&text);
	buffer_append_string(&text, "{}");
	memset(buffer_grow(&text, MAPPING_RULES_BYTES_MAX - 2), ' ', MAPPING_RULES_BYTES_MAX - 2);
	buffer_append(&text, "", 1);
	CU_ASSERT_EQUAL(parse((char *)text.ptr, &arena, &mapping, &error), 0);
	text.len--;
	buffer_append(&text, " ", 2);
	CU_ASSERT_EQUAL(parse((char *)text.ptr, &arena, &mapping, &error), ERROR_FORMAT);
	CU_ASSERT_STRING_EQUAL(error.text, "rules: have 65537 bytes; at most 65536 are allowed");
	buffer_deinit(&text);
	arena_deinit(&arena);
}

#define DEFAULTS \
	"\"op\":\"put\",\"primary_key\":\"id\",\"id\":\"key\",\"key\":\"text\",\"tombstones\":\"delete\""

static const struct {
	const char *rules;
	const char *canonical;
} canonical_rows[] = {
	{"{}", "{\"format\":\"json\"," DEFAULTS "}"},
	{" { \"id\" : \"{key}\" , \"format\":\"json\"}", "{\"format\":\"json\"," DEFAULTS "}"},
	{"{\"format\":\"connect-json\"}",
         "{\"format\":\"connect-json\",\"op\":\"put\",\"primary_key\":\"id\",\"id\":\"key\",\"key\":\"json\","
         "\"tombstones\":\"delete\"}"},
	{"{\"format\":\"cloudevents\",\"delete_types\":[\"b\",\"*.a\"]}",
         "{\"format\":\"cloudevents\"," DEFAULTS ",\"delete_types\":[\"*.a\",\"b\"]}"},
	{"{\"tombstones\":\"ignore\",\"op\":\"merge\",\"id\":\"{\\\\key.\\\\{a}-x-{key.b}\",\"primary_key\":"
         "\"p\\\"\"}",
         "{\"format\":\"json\",\"op\":\"merge\",\"primary_key\":\"p\\\"\",\"id\":\"{\\\\key.\\\\{a}-x-{key.b}"
         "\","
         "\"key\":\"json\",\"tombstones\":\"ignore\"}"},
	{"{\"exclude\":[\"z\",\"\\\\a.b\\\\.c\"],\"include\":[\"b\",\"a\"]}",
         "{\"format\":\"json\"," DEFAULTS ",\"include\":[\"a\",\"b\"],\"exclude\":[\"a.b\\\\.c\",\"z\"]}"},
	{"{\"rename\":{\"b\":\"\\\\x\",\"a\":\"y\\\\.z\"},\"mask\":{\"q\":\"hash\",\"p\":\"***\"},"
         "\"flatten\":\".\"}",
         "{\"format\":\"json\"," DEFAULTS
         ",\"mask\":{\"p\":\"***\",\"q\":\"hash\"},\"rename\":{\"a\":\"y\\\\.z\","
         "\"b\":\"x\"},\"flatten\":\".\"}"},
	{"{\"where\":[{\"value\":1.50,\"op\":\">\",\"field\":\"b\"},{\"field\":\"a\",\"op\":\"exists\"}],"
         "\"ignore_when\":[{\"field\":\"\\\\a\",\"op\":\"in\",\"value\":[\"\\u0078\",null,true,false,2]}]}",
         "{\"format\":\"json\"," DEFAULTS ",\"where\":[{\"field\":\"a\",\"op\":\"exists\",\"value\":true},"
         "{\"field\":\"b\",\"op\":\">\",\"value\":1.50}],"
         "\"ignore_when\":[{\"field\":\"a\",\"op\":\"in\",\"value\":[\"x\",2,false,null,true]}]}"},
};

static void test_canonical(void)
{
	for (size_t i = 0; i < sizeof canonical_rows / sizeof *canonical_rows; i++) {
		struct slice expected = slice_string(canonical_rows[i].canonical);
		struct mapping *mapping;
		struct mapping *again;
		struct error error;
		struct arena arena;

		arena_init(&arena, 4096);
		CU_ASSERT_EQUAL_FATAL(parse(canonical_rows[i].rules, &arena, &mapping, &error), 0);
		if (!slice_equal(mapping_canonical(mapping), expected))
			(void)fprintf(stderr, "got      %.*s\nexpected %s\n",
			              SLICE_ARGS(mapping_canonical(mapping)), canonical_rows[i].canonical);
		CU_ASSERT_TRUE(slice_equal(mapping_canonical(mapping), expected));
		CU_ASSERT_EQUAL_FATAL(parse(canonical_rows[i].canonical, &arena, &again, &error), 0);
		CU_ASSERT_TRUE(slice_equal(mapping_canonical(again), expected));
		CU_ASSERT_EQUAL(mapping_digest(again), mapping_digest(mapping));
		arena_deinit(&arena);
	}
}

/* XXH3_64bits of libxxhash over the first canonical text above. It may be recorded: it must never change. */
static void test_digest(void)
{
	struct mapping *mapping;
	struct error error;
	struct arena arena;

	arena_init(&arena, 4096);
	CU_ASSERT_EQUAL_FATAL(parse("{}", &arena, &mapping, &error), 0);
	CU_ASSERT_EQUAL(mapping_digest(mapping), 0xebd8625cd0d9ebfcULL);
	CU_ASSERT_EQUAL_FATAL(parse("{\"op\":\"merge\"}", &arena, &mapping, &error), 0);
	CU_ASSERT_NOT_EQUAL(mapping_digest(mapping), 0xebd8625cd0d9ebfcULL);
	arena_deinit(&arena);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"refused, with the path", test_refused},
		{"bounds", test_bounds},
		{"canonical text", test_canonical},
		{"digest", test_digest},
		CU_TEST_INFO_NULL,
	};

	return suite_run("mapping: rules", tests);
}
