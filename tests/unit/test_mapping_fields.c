/*
 * Mapping: what the lists of fields make of a payload, and the limits of a
 * document.
 */
#include "tests/unit/mapping_bed.h"

#define NESTED \
	"{\"id\":\"a\",\"b\":{\"c\":1,\"d\":{\"e\":2,\"f\":3}},\"g\":[{\"h\":4,\"i\":5},[{\"h\":6,\"j\":1}]" \
	",7]}"

static const struct mapping_case choice_rows[] = {
	{"include", "{\"include\":[\"x\",\"z\"]}", "a", "{\"x\":1,\"y\":2,\"z\":3,\"x\":4}", NULL,
         "put a {\"id\":\"a\",\"x\":1,\"z\":3,\"x\":4}"},
	{"include nothing that is there", "{\"include\":[\"q\"]}", "a", "{\"x\":1}", NULL,
         "put a {\"id\":\"a\"}"},
	{"include nested", "{\"include\":[\"id\",\"b.d.e\"]}", "a", NESTED, NULL,
         "put a {\"id\":\"a\",\"b\":{\"d\":{\"e\":2}}}"},
	{"include a parent and its child", "{\"include\":[\"b\",\"b.c\"]}", "a", NESTED, NULL,
         "put a {\"id\":\"a\",\"b\":{\"c\":1,\"d\":{\"e\":2,\"f\":3}}}"},
	{"include through arrays", "{\"include\":[\"g.h\"]}", "a", NESTED, NULL,
         "put a {\"id\":\"a\",\"g\":[{\"h\":4},[{\"h\":6}]]}"},
	{"include below a scalar", "{\"include\":[\"x.y\"]}", "a", "{\"x\":1}", NULL, "put a {\"id\":\"a\"}"},
	{"include, the id elsewhere", "{\"id\":\"n\",\"include\":[\"x\"]}", NULL, "{\"n\":5,\"x\":1}", NULL,
         "put 5 {\"id\":\"5\",\"x\":1}"},
	{"exclude", "{\"exclude\":[\"x\"]}", "a", "{\"x\":1,\"y\": 2 ,\"x\":4}", NULL,
         "put a {\"id\":\"a\",\"y\":2}"},
	{"exclude everything", "{\"exclude\":[\"x\"]}", "a", "{ \"x\" : 1 }", NULL, "put a {\"id\":\"a\"}"},
	{"exclude nested", "{\"exclude\":[\"b.d\",\"g\"]}", "a", NESTED, NULL,
         "put a {\"id\":\"a\",\"b\":{\"c\":1}}"},
	{"exclude the only member", "{\"exclude\":[\"x.y\"]}", "a", "{\"x\":{\"y\":1}}", NULL,
         "put a {\"id\":\"a\",\"x\":{}}"},
	{"exclude through arrays", "{\"exclude\":[\"g.h\",\"b\"]}", "a", NESTED, NULL,
         "put a {\"id\":\"a\",\"g\":[{\"i\":5},[{\"j\":1}],7]}"},
	{"exclude of what is included", "{\"include\":[\"b\"],\"exclude\":[\"b.d\"]}", "a", NESTED, NULL,
         "put a {\"id\":\"a\",\"b\":{\"c\":1}}"},
	{"exclude an id that differs", "{\"exclude\":[\"id\"]}", "a", "{\"id\":9}", NULL,
         "put a {\"id\":\"a\"}"},
	{"an escaped name in the record", "{\"exclude\":[\"x\"]}", "a", "{\"\\u0078\":1,\"y\":2}", NULL,
         "put a {\"id\":\"a\",\"y\":2}"},
	{"a dot in a name", "{\"exclude\":[\"x\\\\.y\"]}", "a", "{\"x.y\":1,\"x\":{\"y\":2}}", NULL,
         "put a {\"id\":\"a\",\"x\":{\"y\":2}}"},
	{"what is not touched stays as written", "{\"exclude\":[\"q\"]}", "a",
         "{\"s\":\"\\u0061\\\"}{\",\"n\":1.50, \"o\" : { \"p\" : [ ] } }", NULL,
         "put a {\"id\":\"a\",\"s\":\"\\u0061\\\"}{\",\"n\":1.50,\"o\":{ \"p\" : [ ] }}"},
	{"an id inside an array is none", "{\"exclude\":[\"g.h\"]}", "a",
         "{\"id\":\"a\",\"g\":[{\"id\":1,\"h\":2}]}", NULL, "put a {\"id\":\"a\",\"g\":[{\"id\":1}]}"},
	{"empty containers on the way", "{\"exclude\":[\"x.y\",\"z.y\"]}", "a",
         "{\"x\":{ },\"z\":[ ],\"q\":[[],{}]}", NULL, "put a {\"id\":\"a\",\"x\":{},\"z\":[],\"q\":[[],{}]}"},
};

static const struct mapping_case mask_rows[] = {
	{"stars", "{\"mask\":{\"x\":\"***\"}}", "a", "{\"x\":\"secret\",\"y\":1}", NULL,
         "put a {\"id\":\"a\",\"x\":\"***\",\"y\":1}"},
	{"stars hide the type", "{\"mask\":{\"x\":\"***\"}}", "a", "{\"x\":{\"q\":[1]},\"x\":null}", NULL,
         "put a {\"id\":\"a\",\"x\":\"***\",\"x\":\"***\"}"},
	{"stars through arrays", "{\"mask\":{\"g.h\":\"***\"},\"include\":[\"g\"]}", "a", NESTED, NULL,
         "put a {\"id\":\"a\",\"g\":[{\"h\":\"***\",\"i\":5},[{\"h\":\"***\",\"j\":1}],7]}"},
	/* XXH3_128bits of libxxhash over "secret", quotes included */
	{"hash", "{\"mask\":{\"x\":\"hash\"}}", "a", "{\"x\":\"secret\"}", NULL,
         "put a {\"id\":\"a\",\"x\":\"30ca48e2d311aad6a113e3c8b952aebf\"}"},
	{"hash of an escaped string", "{\"mask\":{\"x\":\"hash\"}}", "a", "{\"x\":\"\\u0073ecret\"}", NULL,
         "put a {\"id\":\"a\",\"x\":\"30ca48e2d311aad6a113e3c8b952aebf\"}"},
	/* and over {"p":[1.0]} */
	{"hash of an object", "{\"mask\":{\"x\":\"hash\"}}", "a", "{\"x\":{ \"p\" : [ 1.0 ] }}", NULL,
         "put a {\"id\":\"a\",\"x\":\"4f89e0c722b21d5858c824d00693c024\"}"},
	{"a masked id", "{\"mask\":{\"id\":\"***\"}}", "a", "{\"id\":\"a\"}", NULL, "refuse id_mismatch"},
	{"masked and renamed", "{\"mask\":{\"x\":\"***\"},\"rename\":{\"x\":\"y\"}}", "a", "{\"x\":1}", NULL,
         "put a {\"id\":\"a\",\"y\":\"***\"}"},
	{"excluded, not masked", "{\"mask\":{\"x\":\"***\"},\"exclude\":[\"x\"]}", "a", "{\"x\":1}", NULL,
         "put a {\"id\":\"a\"}"},
	{"masked where only a child is included", "{\"mask\":{\"x\":\"***\"},\"include\":[\"x.y\"]}", "a",
         "{\"x\":{\"y\":1,\"z\":2}}", NULL, "put a {\"id\":\"a\",\"x\":\"***\"}"},
	{"not included, not masked", "{\"mask\":{\"x\":\"***\"},\"include\":[\"y\"]}", "a", "{\"x\":1}", NULL,
         "put a {\"id\":\"a\"}"},
};

static const struct mapping_case rename_rows[] = {
	{"rename", "{\"rename\":{\"x\":\"y\"}}", "a", "{\"x\":1}", NULL, "put a {\"id\":\"a\",\"y\":1}"},
	{"rename in its place", "{\"rename\":{\"b.c\":\"z\"},\"include\":[\"b\"]}", "a", NESTED, NULL,
         "put a {\"id\":\"a\",\"b\":{\"z\":1,\"d\":{\"e\":2,\"f\":3}}}"},
	{"rename through arrays", "{\"rename\":{\"g.h\":\"z\"},\"include\":[\"g\"]}", "a", NESTED, NULL,
         "put a {\"id\":\"a\",\"g\":[{\"z\":4,\"i\":5},[{\"z\":6,\"j\":1}],7]}"},
	{"rename to a name that needs escapes", "{\"rename\":{\"x\":\"\\\"\\\\.\"}}", "a", "{\"x\":1}", NULL,
         "put a {\"id\":\"a\",\"\\\".\":1}"},
	{"rename into the primary key", "{\"id\":\"_id\",\"rename\":{\"_id\":\"id\"}}", NULL, "{\"_id\":5}",
         NULL, "put 5 {\"id\":5}"},
	{"rename the primary key away", "{\"rename\":{\"id\":\"old\"}}", "a", "{\"id\":9}", NULL,
         "put a {\"id\":\"a\",\"old\":9}"},
	{"key and ce are plain names here",
         "{\"rename\":{\"key\":\"ce\",\"x\":\"key\"},\"exclude\":[\"ce.x\"]}", "a",
         "{\"key\":1,\"x\":2,\"ce\":{\"x\":1}}", NULL, "refuse field_collision"},
	{"to key", "{\"rename\":{\"x\":\"key\"},\"exclude\":[\"ce.x\"]}", "a", "{\"x\":2,\"ce\":{\"x\":1}}",
         NULL, "put a {\"id\":\"a\",\"key\":2,\"ce\":{}}"},
	{"exchange", "{\"rename\":{\"x\":\"y\",\"y\":\"x\"}}", "a", "{\"x\":1,\"y\":2}", NULL,
         "put a {\"id\":\"a\",\"y\":1,\"x\":2}"},
	{"collision with what comes", "{\"rename\":{\"x\":\"y\"}}", "a", "{\"x\":1,\"y\":2}", NULL,
         "refuse field_collision"},
	{"collision with what was", "{\"rename\":{\"x\":\"y\"}}", "a", "{\"y\":2,\"x\":1}", NULL,
         "refuse field_collision"},
	{"collision of two renamed", "{\"rename\":{\"x\":\"z\",\"y\":\"z\"}}", "a", "{\"y\":2,\"x\":1}", NULL,
         "refuse field_collision"},
	{"one of two renamed is there", "{\"rename\":{\"x\":\"z\",\"y\":\"z\"}}", "a", "{\"y\":2}", NULL,
         "put a {\"id\":\"a\",\"z\":2}"},
	{"collision inside an array", "{\"rename\":{\"g.h\":\"i\"}}", "a", NESTED, NULL,
         "refuse field_collision"},
	{"no collision with what is excluded", "{\"rename\":{\"x\":\"y\"},\"exclude\":[\"y\"]}", "a",
         "{\"x\":1,\"y\":2}", NULL, "put a {\"id\":\"a\",\"y\":1}"},
	{"the record repeats a name itself", "{\"rename\":{\"x\":\"y\"}}", "a",
         "{\"x\":1,\"x\":2,\"q\":3,\"q\":4}", NULL, "put a {\"id\":\"a\",\"y\":1,\"y\":2,\"q\":3,\"q\":4}"},
};

static const struct mapping_case flatten_rows[] = {
	{"flatten", "{\"flatten\":\"_\"}", "a", NESTED, NULL,
         "put a "
         "{\"id\":\"a\",\"b_c\":1,\"b_d_e\":2,\"b_d_f\":3,\"g\":[{\"h\":4,\"i\":5},[{\"h\":6,\"j\":1}],7]}"},
	{"empty objects stay", "{\"flatten\":\".\"}", "a", "{\"x\":{ },\"y\":{\"z\":{}}}", NULL,
         "put a {\"id\":\"a\",\"x\":{ },\"y.z\":{}}"},
	{"arrays stay, even with rules inside",
         "{\"flatten\":\"_\",\"exclude\":[\"g.h\"],\"include\":[\"g\"]}", "a", NESTED, NULL,
         "put a {\"id\":\"a\",\"g\":[{\"i\":5},[{\"j\":1}],7]}"},
	{"objects in arrays stay", "{\"flatten\":\"_\",\"exclude\":[\"g.q\"]}", "a",
         "{\"g\":[{\"x\":{\"y\":1}}]}", NULL, "put a {\"id\":\"a\",\"g\":[{\"x\":{\"y\":1}}]}"},
	{"into the primary key", "{\"flatten\":\"_\",\"primary_key\":\"x_y\"}", "5", "{\"x\":{\"y\":5}}",
         NULL, "put 5 {\"x_y\":5}"},
	{"into another primary key", "{\"flatten\":\"_\",\"primary_key\":\"x_y\"}", "5", "{\"x\":{\"y\":6}}",
         NULL, "refuse id_mismatch"},
	{"collision", "{\"flatten\":\"_\"}", "a", "{\"x_y\":1,\"x\":{\"y\":2}}", NULL,
         "refuse field_collision"},
	{"repeated names collide", "{\"flatten\":\"_\"}", "a", "{\"x\":1,\"x\":2}", NULL,
         "refuse field_collision"},
	{"rename within", "{\"flatten\":\"_\",\"rename\":{\"x\":\"q\",\"x.y\":\"z\"}}", "a",
         "{\"x\":{\"y\":2}}", NULL, "put a {\"id\":\"a\",\"q_z\":2}"},
	{"mask before", "{\"flatten\":\"_\",\"mask\":{\"x\":\"***\"}}", "a", "{\"x\":{\"y\":2}}", NULL,
         "put a {\"id\":\"a\",\"x\":\"***\"}"},
	{"members that go leave nothing", "{\"flatten\":\"_\",\"exclude\":[\"x.y\"]}", "a",
         "{\"x\":{\"y\":2},\"z\":1}", NULL, "put a {\"id\":\"a\",\"z\":1}"},
};

static void test_choice(void)
{
	BED_RUN(choice_rows);
}

static void test_mask(void)
{
	BED_RUN(mask_rows);
}

static void test_rename(void)
{
	BED_RUN(rename_rows);
}

static void test_flatten(void)
{
	BED_RUN(flatten_rows);
}

/* Each limit at its last value and one above. */
static void test_limits(void)
{
	static const struct mapping_case rows[] = {
		{"id", "{}", "abcd", "{\"id\":\"abcd\"}", NULL, "put abcd {\"id\":\"abcd\"}"},
		{"id too long", "{}", "abcde", "{}", NULL, "refuse invalid_document_id"},
		{"id in parts too long", "{\"id\":\"{key}-{n}\"}", "ab", "{\"n\":12}", NULL,
	         "refuse invalid_document_id"},
		{"bytes", "{}", "a", "{\"id\":\"a\",\"n\":1234567890123}", NULL,
	         "put a {\"id\":\"a\",\"n\":1234567890123}"},
		{"a byte more", "{}", "a", "{\"id\":\"a\",\"n\":12345678901234}", NULL, "refuse too_large"},
		{"space around does not count", "{}", "a", " {\"id\":\"a\",\"n\":1234567890123} ", NULL,
	         "put a {\"id\":\"a\",\"n\":1234567890123}"},
		{"bytes with the id added", "{}", "a", "{\"n\":1234567890123}", NULL,
	         "put a {\"id\":\"a\",\"n\":1234567890123}"},
		{"a byte more with the id added", "{}", "a", "{\"n\":12345678901234}", NULL,
	         "refuse too_large"},
		{"bytes after exclusion", "{\"exclude\":[\"x\"]}", "a",
	         "{\"x\":\"................................\",\"n\":1}", NULL,
	         "put a {\"id\":\"a\",\"n\":1}"},
		{"too large after flattening", "{\"flatten\":\"________________\"}", "a",
	         "{\"x\":{\"y\":1,\"z\":2}}", NULL, "refuse too_large"},
		{"depth", "{}", "a", "{\"id\":\"a\",\"x\":{\"y\":[1]}}", NULL,
	         "put a {\"id\":\"a\",\"x\":{\"y\":[1]}}"},
		{"deeper", "{}", "a", "{\"x\":{\"y\":[[1]]}}", NULL, "refuse too_deep"},
		{"depth in an envelope", "{\"format\":\"connect-json\"}", "\"a\"",
	         "{\"schema\":{\"a\":[[[[1]]]]},\"payload\":{\"x\":{\"y\":[\"[[\"]}}}", NULL,
	         "put a {\"id\":\"a\",\"x\":{\"y\":[\"[[\"]}}"},
		{"wide in an envelope", "{\"format\":\"connect-json\"}", "\"a\"",
	         "{\"schema\":null,\"payload\":{\"id\":\"a\",\"b\":2,\"c\":3}}", NULL,
	         "put a {\"id\":\"a\",\"b\":2,\"c\":3}"},
		{"deeper in an envelope", "{\"format\":\"connect-json\"}", "\"a\"",
	         "{\"schema\":null,\"payload\":{\"x\":{\"y\":[[1]]}}}", NULL, "refuse too_deep"},
	};
	struct rules limits = rules_default();

	limits.id_bytes_max = 4;
	limits.document_bytes_max = 28;
	limits.depth_max = 3;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		bed_run_case(&rows[i], &limits);
}

/* Texts of a length: `begin`, then a's, then `end`. */
static char *long_text(const char *begin, size_t len, const char *end)
{
	struct buffer text;

	buffer_init(&text, SIZE_MAX);
	buffer_append_string(&text, begin);
	memset(buffer_grow(&text, len), 'a', len);
	buffer_append(&text, end, strlen(end) + 1);
	return (char *)buffer_take(&text, &len);
}

static void check_long(const char *rules, struct slice key, const char *value, const char *expected)
{
	struct rules limits = rules_default();
	struct record record = {.key = key, .value = slice_string(value)};
	struct mapping *mapping;
	struct mapped mapped;
	struct error error;
	struct arena arena;
	char *got;

	arena_init(&arena, 4096);
	CU_ASSERT_EQUAL_FATAL(mapping_parse(slice_string(rules), &limits, &arena, &mapping, &error), 0);
	got = bed_outcome(mapping_apply(mapping, &record, &arena, &mapped), &mapped);
	CU_ASSERT_STRING_EQUAL(got, expected);
	free(got);
	arena_deinit(&arena);
}

static void test_long_inputs(void)
{
	struct slice a = slice_string("a");
	char *value = long_text("{\"x\":\"", MAPPING_VALUE_BYTES_MAX - 7, "\"}");
	char *name = long_text("{\"x\":{\"", MAPPING_FLAT_NAME_BYTES_MAX - 1, "\":1}}");
	char *key = long_text("{\"x\":\"", MAPPING_KEY_BYTES_MAX - 7, "\"}");

	check_long("{\"exclude\":[\"x\"]}", a, value, "refuse too_large");
	value[strlen(value) - 3] = '"';
	value[strlen(value) - 2] = '}';
	value[strlen(value) - 1] = '\0';
	check_long("{\"exclude\":[\"x\"]}", a, value, "put a {\"id\":\"a\"}");
	check_long("{\"flatten\":\"_\"}", a, name, "refuse too_large");
	check_long("{\"flatten\":\"_\",\"mask\":{\"x\":\"***\"}}", a, name,
	           "put a {\"id\":\"a\",\"x\":\"***\"}");
	check_long("{\"id\":\"key.id\"}", slice_string(key), "{}", "refuse key_not_json");
	free(value);
	free(name);
	free(key);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"include and exclude", test_choice},
		{"mask", test_mask},
		{"rename", test_rename},
		{"flatten", test_flatten},
		{"limits", test_limits},
		{"long inputs", test_long_inputs},
		CU_TEST_INFO_NULL,
	};

	return suite_run("mapping: fields", tests);
}
