/*
 * The search in the values of a facet: what a client may ask, what the settings allow, and what becomes of the
 * answers of several nodes.
 */
#include "query/core/facet_hits.h"

#include "tests/unit/settings_bed.h"
#include "tests/unit/suite.h"

#define CODE "invalid_facet_search_facet_name"
#define SOME \
	"{\"searchableAttributes\":[\"title\"],\"filterableAttributes\":[\"genre\",\"tags\"," \
	"{\"attributePatterns\":[\"quiet\"],\"features\":{\"facetSearch\":false,\"filter\":" \
	"{\"equality\":true,\"comparison\":true}}}]}"

struct row {
	const char *settings;
	const char *body;
	const char *code;    /* NULL: allowed */
	const char *message; /* or what nodes are asked */
};

static const struct row rows[] = {
	{SOME, "{\"facetName\":\"genre\"}", NULL, ",\"facetName\":\"genre\""},
	{SOME, "{\"facetName\":\"genre\",\"facetQuery\":null,\"nope\":1,\"limit\":5}", NULL,
         ",\"facetName\":\"genre\""},
	{SOME,
         "{\"facetQuery\":\"\",\"matchingStrategy\":\"all\",\"facetName\":\"tags.x\",\"q\":\"\\\"a\","
         "\"filter\":\"genre = 1\",\"exhaustiveFacetCount\":true,\"attributesToSearchOn\":[\"title\"],"
         "\"rankingScoreThreshold\":0.5,\"locales\":[\"eng\"]}",
         NULL,
         ",\"q\":\"\\\"a\",\"filter\":\"genre = 1\",\"matchingStrategy\":\"all\","
         "\"attributesToSearchOn\":[\"title\"],\"rankingScoreThreshold\":0.5,"
         "\"facetName\":\"tags.x\",\"facetQuery\":\"\""},
	{SOME, "{}", "missing_facet_search_facet_name", "Missing field `facetName`"},
	{SOME, "{\"facetName\":null}", CODE,
         "Invalid value type at `.facetName`: expected a string, but found null"},
	{SOME, "{\"facetName\":[\"genre\"]}", CODE,
         "Invalid value type at `.facetName`: expected a string, but found an array: `[\"genre\"]`"},
	{SOME, "{\"facetName\":\"genre\",\"facetQuery\":5}", "invalid_facet_search_query",
         "Invalid value type at `.facetQuery`: expected a string, but found a positive integer: `5`"},
	{SOME, "{\"facetName\":\"genre\",\"exhaustiveFacetCount\":\"yes\"}",
         "invalid_facet_search_exhaustive_facet_count",
         "Invalid value type at `.exhaustiveFacetCount`: expected a boolean, but found a string: `\"yes\"`"},
	{SOME, "{\"facetName\":\"nope\"}", CODE,
         "Attribute `nope` is not facet-searchable. Available facet-searchable attributes patterns are: "
         "`genre, tags`. To make it facet-searchable add it to the `filterableAttributes` index settings."},
	{"{}", "{\"facetName\":\"\"}", CODE,
         "Attribute `` is not facet-searchable. Available facet-searchable attributes patterns are: ``. To "
         "make it facet-searchable add it to the `filterableAttributes` index settings."},
	{SOME, "{\"facetName\":\"quiet\"}", CODE,
         "Attribute `quiet` is not facet-searchable. Note: this attribute matches rule #2 in "
         "filterableAttributes, but this rule does not enable facetSearch.\n"
         "Hint: enable facetSearch in rule #2 by adding `\"facetSearch\": true` to the rule.\n"
         "Hint: prepend another rule matching quiet with facetSearch: true before rule #2"},
	{"{\"facetSearch\":false,\"filterableAttributes\":[\"genre\"]}", "{\"facetName\":\"genre\"}",
         "facet_search_disabled", "The facet search is disabled for this index"},
	/* the index is not named */
	{SOME, "{\"facetName\":\"genre\",\"attributesToSearchOn\":[\"nope\"]}",
         "invalid_search_attributes_to_search_on",
         "Attribute `nope` is not searchable. Available searchable attributes are: `title`."},
	{SOME, "{\"facetName\":\"genre\",\"filter\":\"title = 1\"}", "invalid_search_filter", NULL},
	{"{\"facetSearch\":false}", "{\"facetName\":\"genre\",\"vector\":[1]}", "missing_search_hybrid",
         NULL},
	{SOME, "{\"facetName\":\"genre\",\"q\":\"x\",\"hybrid\":{\"embedder\":\"nope\"}}",
         "invalid_search_embedder", "Cannot find embedder with name `nope`."},
	{SOME, "[]", "bad_request", "Invalid value type: expected an object, but found an array: `[]`"},
	{SOME, "{", "malformed_payload", NULL},
	{SOME, "", "missing_payload", NULL},
};

static void test_requests(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct facet_search_request request;
		struct error_answer refusal = {.code = "", .message = ""};
		struct search_check check = {.refusal = &refusal};
		struct arena arena;
		int result;

		arena_init(&arena, 4096);
		check.arena = &arena;
		check.settings = settings_bed(rows[i].settings, &arena);
		result = facet_search_request_from_body(slice_string(rows[i].body), &arena, &request,
		                                        &refusal);
		if (result == 0)
			result = facet_search_check(&check, &request.facet, &request.search);
		CU_ASSERT_EQUAL(result == 0, rows[i].code == NULL);
		if (result == 0) {
			CU_ASSERT_TRUE(slice_equal(request.search.asked, slice_string(rows[i].message)));
			CU_ASSERT_EQUAL(request.search.limit, 0);
		} else if (rows[i].code != NULL) {
			CU_ASSERT_STRING_EQUAL(refusal.code, rows[i].code);
			if (rows[i].message != NULL)
				CU_ASSERT_STRING_EQUAL(refusal.message, rows[i].message);
		}
		arena_deinit(&arena);
	}
}

#define HIT(key, form, value, count) \
	"{\"key\":\"" key "\",\"form\":\"" form "\",\"value\":\"" value "\",\"count\":" #count "}"

struct merged {
	const char *settings;
	const char *query; /* NULL: none */
	const char *nodes[3];
	const char *expected;
};

static const struct merged merges[] = {
	{"{}", NULL, {"{\"facetHits\":[]}"}, "{\"facetHits\":[],\"facetQuery\":null"},
	/* by form; the smallest spelling, and the place of the key */
	{"{}",
         "A\"b",
         {"{\"facetHits\":[" HIT("b", "b", "b", 1) "," HIT("aa", "ab", "aB", 2) "]}",
          "{\"facetHits\":[" HIT("aa", "ab", "A\\u0042", 3) "," HIT("c", "c", "c", 9) "]}",
          "{\"facetHits\":[" HIT("aa", "ab", "ab", 4) "]}"},
         "{\"facetHits\":[{\"value\":\"AB\",\"count\":9},{\"value\":\"b\",\"count\":1},{\"value\":\"c\","
         "\"count\":9}],\"facetQuery\":\"A\\\"b\""},
	{"{\"faceting\":{\"sortFacetValuesBy\":{\"f\":\"count\"}}}",
         "",
         {"{\"facetHits\":[" HIT("a", "a", "a", 1) "," HIT("b", "b", "b", 1) "]}",
          "{\"facetHits\":[" HIT("c", "c", "c", 2) "," HIT("b", "b", "b", 1) "," HIT("d", "d", "d", 1) "]}"},
         "{\"facetHits\":[{\"value\":\"c\",\"count\":2},{\"value\":\"b\",\"count\":2},{\"value\":\"d\","
         "\"count\":1},{\"value\":\"a\",\"count\":1}],\"facetQuery\":\"\""},
	/* of one spelling the smallest key, whoever tells it */
	{"{}",
         "",
         {"{\"facetHits\":[" HIT("c", "a", "A", 1) "," HIT("b", "b", "b", 1) "]}",
          "{\"facetHits\":[" HIT("a", "a", "A", 1) "]}"},
         "{\"facetHits\":[{\"value\":\"A\",\"count\":2},{\"value\":\"b\",\"count\":1}],"
         "\"facetQuery\":\"\""},
	/* cut after the order */
	{"{\"faceting\":{\"maxValuesPerFacet\":1}}",
         NULL,
         {"{\"facetHits\":[" HIT("b", "b", "b", 5) "]}", "{\"facetHits\":[" HIT("a", "a", "a", 1) "]}"},
         "{\"facetHits\":[{\"value\":\"a\",\"count\":1}],\"facetQuery\":null"},
};

static void test_merge(void)
{
	for (size_t i = 0; i < sizeof merges / sizeof merges[0]; i++) {
		const struct merged *row = &merges[i];
		struct facet_search facet = {.name = slice_string("f")};
		struct facet_hits hits;
		struct buffer expected;
		struct buffer body;
		struct error error;
		struct arena arena;

		arena_init(&arena, 4096);
		buffer_init(&body, 4096);
		buffer_init(&expected, 4096);
		facet_hits_init(&hits);
		if (row->query != NULL)
			facet.query = slice_string(row->query);
		for (size_t n = 0; n < 3 && row->nodes[n] != NULL; n++)
			CU_ASSERT_EQUAL(facet_hits_add(&hits, slice_string(row->nodes[n]), &arena, &error),
			                0);
		facet_hits_answer(&hits, &facet, settings_bed(row->settings, &arena), 7, &body);
		buffer_printf(&expected, "%s,\"processingTimeMs\":7}", row->expected);
		CU_ASSERT_TRUE(slice_equal(buffer_slice(&body), buffer_slice(&expected)));
		facet_hits_deinit(&hits);
		buffer_deinit(&expected);
		buffer_deinit(&body);
		arena_deinit(&arena);
	}
}

/* Nothing of an answer that is none is taken. */
static void test_answers_that_are_none(void)
{
	static const char *const answers[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"facetHits\":{}}",
		"{\"facetHits\":[1]}",
		"{\"facetHits\":[" HIT("a", "a", "a", 1) ",{\"key\":\"a\",\"form\":\"a\",\"value\":\"a\"}]}",
		"{\"facetHits\":[" HIT("a", "a", "a", -1) "]}",
		"{\"facetHits\":[" HIT("a", "a", "a", 1.5) "]}",
		"{\"facetHits\":[" HIT("a", "a", "a", 18446744073709551616) "]}",
		"{\"facetHits\":[{\"key\":1,\"form\":\"a\",\"value\":\"a\",\"count\":1}]}",
	};

	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		struct facet_hits hits;
		struct error error;
		struct arena arena;

		arena_init(&arena, 4096);
		facet_hits_init(&hits);
		CU_ASSERT_EQUAL(facet_hits_add(&hits, slice_string(answers[i]), &arena, &error),
		                ERROR_FORMAT);
		CU_ASSERT_EQUAL(hits.len, 0);
		facet_hits_deinit(&hits);
		arena_deinit(&arena);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"requests are read and checked", test_requests},
		{"values of several nodes are one list", test_merge},
		{"answers that are none", test_answers_that_are_none},
		CU_TEST_INFO_NULL,
	};

	return suite_run("facet_search", tests);
}
