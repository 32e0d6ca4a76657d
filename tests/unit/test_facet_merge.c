/*
 * Facets of several nodes: rows of their answers with the distribution that becomes of them.
 */
#include "query/core/facet_merge.h"
#include "query/core/node_facets.h"

#include "tests/unit/suite.h"

struct row {
	const char *settings; /* a change of the defaults */
	const char *nodes[3];
	const char *expected;
};

static const struct row rows[] = {
	{"{}", {"{}"}, "\"facetDistribution\":{},\"facetStats\":{}"},
	/* paths in order, an object shows as empty */
	{"{}",
         {"{\"size\":{\"values\":[]},\"a\":{\"values\":[{\"key\":\"x\",\"value\":\"X\",\"count\":2}]}}"},
         "\"facetDistribution\":{\"a\":{\"X\":2},\"size\":{}},\"facetStats\":{}"},
	/* sums by key, the smallest spelling, spans of all */
	{"{}",
         {"{\"a\":{\"values\":[{\"key\":\"red\",\"value\":\"red\",\"count\":2},"
          "{\"key\":\"5\",\"number\":true,\"value\":\"5\",\"count\":1}],\"min\":5.0,\"max\":1e1}}",
          "{\"a\":{\"values\":[{\"key\":\"red\",\"value\":\"Red\",\"count\":3},"
          "{\"key\":\"blue\",\"value\":\"b\\u00fc\\\"\",\"count\":1}],\"min\":-2,\"max\":9.5}}",
          "{\"b\":{\"values\":[]}}"},
         "\"facetDistribution\":{\"a\":{\"5\":1,\"bü\\\"\":1,\"Red\":5},\"b\":{}},"
         "\"facetStats\":{\"a\":{\"min\":-2,\"max\":1e1}}"},
	/* alpha: numbers by their text */
	{"{\"faceting\":{\"maxValuesPerFacet\":3}}",
         {"{\"a\":{\"values\":[{\"key\":\"9\",\"number\":true,\"value\":\"9\",\"count\":1},"
          "{\"key\":\"10\",\"number\":true,\"value\":\"10\",\"count\":1}]}}",
          "{\"a\":{\"values\":[{\"key\":\"9a\",\"value\":\"9a\",\"count\":1},"
          "{\"key\":\"b\",\"value\":\"b\",\"count\":7}]}}"},
         "\"facetDistribution\":{\"a\":{\"10\":1,\"9\":1,\"9a\":1}},\"facetStats\":{}"},
	/* count: the most frequent, then strings before numbers, descending */
	{"{\"faceting\":{\"maxValuesPerFacet\":6,\"sortFacetValuesBy\":{\"a\":\"count\"}}}",
         {"{\"a\":{\"values\":[{\"key\":\"9\",\"number\":true,\"value\":\"9\",\"count\":1},"
          "{\"key\":\"10\",\"number\":true,\"value\":\"10\",\"count\":1},"
          "{\"key\":\"x\",\"value\":\"x\",\"count\":1},{\"key\":\"z\",\"value\":\"z\",\"count\":1}]}}",
          "{\"a\":{\"values\":[{\"key\":\"m\",\"value\":\"m\",\"count\":1},"
          "{\"key\":\"k\",\"value\":\"k\",\"count\":1},{\"key\":\"-1\",\"number\":true,\"value\":\"-1\","
          "\"count\":1}]}}",
          "{\"a\":{\"values\":[{\"key\":\"k\",\"value\":\"k\",\"count\":1}]}}"},
         "\"facetDistribution\":{\"a\":{\"k\":2,\"z\":1,\"x\":1,\"m\":1,\"10\":1,\"9\":1}},\"facetStats\":{"
         "}"},
	/* a number and a string that look alike are cut as two and shown as one */
	{"{\"faceting\":{\"maxValuesPerFacet\":2}}",
         {"{\"a\":{\"values\":[{\"key\":\"5\",\"number\":true,\"value\":\"5\",\"count\":1},"
          "{\"key\":\"5\",\"value\":\"5\",\"count\":2},{\"key\":\"6\",\"value\":\"6\",\"count\":2}]}}"},
         "\"facetDistribution\":{\"a\":{\"5\":3}},\"facetStats\":{}"},
	{"{\"faceting\":{\"maxValuesPerFacet\":0}}",
         {"{\"a\":{\"values\":[{\"key\":\"x\",\"value\":\"x\",\"count\":1}]}}"},
         "\"facetDistribution\":{\"a\":{}},\"facetStats\":{}"},
};

static const struct settings *settings_of(const char *change, struct arena *arena)
{
	struct settings_request request = {.body = slice_string(change)};
	struct settings_refusal refusal;
	struct settings *settings = NULL;
	struct buffer record;
	struct slice kept;
	struct error error;

	buffer_init(&record, SETTINGS_RECORD_BYTES_MAX);
	CU_ASSERT_EQUAL_FATAL(settings_change(settings_default(), &request, &record, &refusal), 0);
	CU_ASSERT_TRUE_FATAL(arena_copy(arena, buffer_slice(&record), &kept));
	CU_ASSERT_EQUAL_FATAL(settings_parse(kept, arena, &settings, &error), 0);
	buffer_deinit(&record);
	return settings;
}

/* In every order of the nodes the same. */
static void test_distributions(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (size_t first = 0; first < 3; first++) {
			struct facet_merge merge;
			struct buffer body;
			struct arena arena;
			struct error error;

			arena_init(&arena, 1024);
			buffer_init(&body, 4096);
			facet_merge_init(&merge);
			for (size_t n = 0; n < 3; n++) {
				const char *text = rows[i].nodes[(first + n) % 3];
				struct node_answer answer = {0};

				if (text == NULL)
					continue;
				CU_ASSERT_EQUAL_FATAL(
					node_facets_parse(slice_string(text), &arena, &answer, &error), 0);
				CU_ASSERT_EQUAL_FATAL(
					facet_merge_add(&merge, answer.facets, answer.facets_len, &error), 0);
			}
			facet_merge_append(&merge, settings_of(rows[i].settings, &arena), &body);
			CU_ASSERT_TRUE(slice_equal(buffer_slice(&body), slice_string(rows[i].expected)));
			if (!slice_equal(buffer_slice(&body), slice_string(rows[i].expected)))
				printf("\n%zu: %.*s\n", i, (int)body.len, (const char *)body.ptr);
			facet_merge_deinit(&merge);
			buffer_deinit(&body);
			arena_deinit(&arena);
		}
	}
}

static void test_many_values(void)
{
	static struct node_facet_value values[5000];
	static char keys[5000][8];
	struct node_facet facet = {.path = slice_string("a"), .values = values, .values_len = 5000};
	struct facet_merge merge;
	struct error error;
	struct arena arena;
	struct buffer body;

	for (size_t i = 0; i < 5000; i++) {
		(void)snprintf(keys[i], sizeof keys[i], "k%04zu", i);
		values[i] = (struct node_facet_value){.key = slice_string(keys[i]),
		                                      .value = slice_string(keys[i]),
		                                      .count = i == 4000 ? 9 : 2};
	}
	arena_init(&arena, 1024);
	buffer_init(&body, 4096);
	facet_merge_init(&merge);
	for (int n = 0; n < 3; n++)
		CU_ASSERT_EQUAL_FATAL(facet_merge_add(&merge, &facet, 1, &error), 0);
	facet_merge_append(
		&merge,
		settings_of(
			"{\"faceting\":{\"maxValuesPerFacet\":2,\"sortFacetValuesBy\":{\"*\":\"count\"}}}",
			&arena),
		&body);
	CU_ASSERT_TRUE(slice_equal(
		buffer_slice(&body),
		slice_string("\"facetDistribution\":{\"a\":{\"k4000\":27,\"k4999\":6}},\"facetStats\":{}")));
	facet_merge_deinit(&merge);
	buffer_deinit(&body);
	arena_deinit(&arena);
}

static void test_malformed(void)
{
	static const char *const texts[] = {
		"[]",
		"{\"a\":1}",
		"{\"a\":{}}",
		"{\"a\":{\"values\":{}}}",
		"{\"a\":{\"values\":[1]}}",
		"{\"a\":{\"values\":[{\"key\":\"x\",\"count\":1}]}}",
		"{\"a\":{\"values\":[{\"key\":1,\"value\":\"x\",\"count\":1}]}}",
		"{\"a\":{\"values\":[{\"key\":\"x\",\"value\":\"x\"}]}}",
		"{\"a\":{\"values\":[{\"key\":\"x\",\"value\":\"x\",\"count\":-1}]}}",
		"{\"a\":{\"values\":[{\"key\":\"x\",\"value\":\"x\",\"count\":1.5}]}}",
		"{\"a\":{\"values\":[{\"key\":\"x\",\"value\":\"x\",\"count\":1,\"number\":true}]}}",
		"{\"a\":{\"values\":[{\"key\":\"1e999\",\"value\":\"x\",\"count\":1,\"number\":true}]}}",
		"{\"a\":{\"values\":[],\"min\":1}}",
		"{\"a\":{\"values\":[],\"min\":\"1\",\"max\":1}}",
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct node_answer answer = {0};
		struct arena arena;
		struct error error;

		arena_init(&arena, 1024);
		CU_ASSERT_EQUAL(node_facets_parse(slice_string(texts[i]), &arena, &answer, &error),
		                ERROR_FORMAT);
		arena_deinit(&arena);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"distributions", test_distributions},
		{"many values", test_many_values},
		{"malformed", test_malformed},
		CU_TEST_INFO_NULL,
	};

	return suite_run("facet_merge", tests);
}
