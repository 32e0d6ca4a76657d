/*
 * Several searches in one request: what a client may ask, and what each query is asked of nodes. Texts as recorded of
 * Meilisearch 1.50.
 */
#include "query/core/multi_search_request.h"

#include "tests/unit/settings_bed.h"
#include "tests/unit/suite.h"

#define FEDERATED(federation) \
	"{\"federation\":" federation ",\"queries\":[{\"indexUid\":\"a\"},{\"indexUid\":\"b\"}]}"
#define QUERY(members) "{\"federation\":{},\"queries\":[{\"indexUid\":\"a\"" members "}]}"
#define PAGING(name) \
	"Inside `.queries[0]`: Using pagination options is not allowed in federated queries.\n" \
	" - Hint: remove `" name "` from the query or remove `federation` from the request\n" \
	" - Hint: pass `federation.limit` and `federation.offset` for pagination in federated search"

struct refused {
	const char *body;
	const char *code;
	const char *message; /* NULL: not compared */
	int status;
};

static const struct refused refusals[] = {
	{"{}", "bad_request", "Missing field `queries`", 400},
	{"[]", "bad_request", "Invalid value type: expected an object, but found an array: `[]`", 400},
	{"{\"queries\":null}", "bad_request",
         "Invalid value type at `.queries`: expected an array, but found null", 400},
	{"{\"queries\":{}}", "bad_request",
         "Invalid value type at `.queries`: expected an array, but found an object: `{}`", 400},
	{"{\"queries\":[1]}", "bad_request",
         "Invalid value type at `.queries[0]`: expected an object, but found a positive integer: `1`", 400},
	{"{\"queries\":[{\"indexUid\":\"a\"},{}]}", "missing_index_uid",
         "Missing field `indexUid` inside `.queries[1]`", 400},
	{"{\"queries\":[{\"indexUid\":\"a\",\"limit\":-1}]}", "invalid_search_limit",
         "Invalid value type at `.queries[0].limit`: expected a positive integer, but found a negative "
         "integer: `-1`",
         400},
	{"{\"queries\":[],\"nope\":1}", "bad_request",
         "Unknown field `nope`: expected one of `queries`, `federation`", 400},
	{"{\"queries\":[{\"indexUid\":\"a\",\"nope\":1}]}", "bad_request", NULL, 400},
	{"{\"queries\":[{\"indexUid\":\"a\",\"federationOptions\":{}}]}",
         "invalid_multi_search_federation_options",
         "Inside `.queries[0]`: Using `federationOptions` is not allowed in a non-federated search.\n"
         " - Hint: remove `federationOptions` from the query or add `federation` to the request.",
         400},
	{QUERY(",\"limit\":3"), "invalid_multi_search_query_pagination", PAGING("limit"), 400},
	{QUERY(",\"hitsPerPage\":3,\"offset\":0"), "invalid_multi_search_query_pagination", PAGING("offset"),
         400},
	{QUERY(",\"page\":3"), "invalid_multi_search_query_pagination", PAGING("page"), 400},
	{QUERY(",\"facets\":[\"kind\"]"), "invalid_multi_search_query_facets",
         "Inside `.queries[0]`: Using facet options is not allowed in federated queries.\n"
         " - Hint: remove `facets` from the query or remove `federation` from the request\n"
         " - Hint: pass `federation.facetsByIndex.a: [\"kind\"]` for facets in federated search",
         400},
	{QUERY(",\"federationOptions\":{\"weight\":-1}"), "invalid_multi_search_weight",
         "Invalid value at `.queries[0].federationOptions.weight`: the value of `weight` is invalid, "
         "expected a positive float (>= 0.0).",
         400},
	{QUERY(",\"federationOptions\":{\"weight\":\"x\"}"), "invalid_multi_search_weight",
         "Invalid value type at `.queries[0].federationOptions.weight`: expected a number, but found a "
         "string: `\"x\"`",
         400},
	{QUERY(",\"federationOptions\":{\"nope\":1}"), "bad_request",
         "Unknown field `nope` inside `.queries[0].federationOptions`: expected one of `weight`, `remote`, "
         "`queryPosition`",
         400},
	{QUERY(",\"federationOptions\":{\"remote\":\"x\"}"), "bad_request", NULL, 400},
	{FEDERATED("3"), "bad_request",
         "Invalid value type at `.federation`: expected an object, but found a positive integer: `3`", 400},
	{FEDERATED("{\"limit\":\"x\"}"), "invalid_search_limit",
         "Invalid value type at `.federation.limit`: expected a positive integer, but found a string: "
         "`\"x\"`",
         400},
	{FEDERATED("{\"offset\":null}"), "invalid_search_offset",
         "Invalid value type at `.federation.offset`: expected a positive integer, but found null", 400},
	{FEDERATED("{\"nope\":1}"), "bad_request",
         "Unknown field `nope` inside `.federation`: expected one of `limit`, `offset`, `page`, "
         "`hitsPerPage`, `facetsByIndex`, `mergeFacets`, `distinct`, `showPerformanceDetails`, `personalize`",
         400},
	{FEDERATED("{\"facetsByIndex\":3}"), "invalid_multi_search_facets_by_index",
         "Invalid value type at `.federation.facetsByIndex`: expected an object, but found a positive "
         "integer: `3`",
         400},
	{FEDERATED("{\"facetsByIndex\":{\"a\":\"kind\"}}"), "invalid_multi_search_facets_by_index",
         "Invalid value type at `.federation.facetsByIndex.a`: expected an array, but found a string: "
         "`\"kind\"`",
         400},
	{FEDERATED("{\"facetsByIndex\":{\"missing\":[\"a\"]}}"), "index_not_found",
         "Inside `.federation.facetsByIndex.missing`: Index `missing` not found.\n"
         " - Note: index `missing` is not used in queries",
         400},
	{FEDERATED("{\"mergeFacets\":3}"), "invalid_multi_search_merge_facets",
         "Invalid value type at `.federation.mergeFacets`: expected an object, but found a positive integer: "
         "`3`",
         400},
	{FEDERATED("{\"mergeFacets\":{\"maxValuesPerFacet\":-1}}"),
         "invalid_multi_search_max_values_per_facet",
         "Invalid value type at `.federation.mergeFacets.maxValuesPerFacet`: expected a positive integer, "
         "but "
         "found a negative integer: `-1`",
         400},
	{FEDERATED("{\"mergeFacets\":{\"nope\":1}}"), "invalid_multi_search_merge_facets",
         "Unknown field `nope` inside `.federation.mergeFacets`: expected one of `maxValuesPerFacet`", 400},
	{"{\"federation\":{\"distinct\":\"k\"},\"queries\":[{\"indexUid\":\"a\"},{\"indexUid\":\"b\","
         "\"distinct\":\"k\"}]}",
         "invalid_multi_search_distinct",
         "Inside `.queries[1]`: Using `distinct` is not allowed in federated queries beside "
         "`federation.distinct`.",
         400},
};

/* As the gateway does, where every index is known. */
static int read_request(const char *body, struct arena *arena, struct multi_search_request *request,
                        struct error_answer *refusal)
{
	int result = multi_search_request_from_body(slice_string(body), arena, request, refusal);
	char place[MULTI_SEARCH_PLACE_BYTES];

	for (size_t i = 0; result == 0 && i < request->len; i++) {
		result = multi_search_query_check(request, i, refusal);
		multi_search_place(i, place);
		if (result < 0)
			error_answer_inside(refusal, place);
	}
	return result < 0 ? result : federation_request_check(request, refusal);
}

static void test_refusals(void)
{
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		struct error_answer refusal = {.code = "", .message = ""};
		struct multi_search_request request;
		struct arena arena;

		arena_init(&arena, 4096);
		CU_ASSERT_TRUE(read_request(refusals[i].body, &arena, &request, &refusal) < 0);
		CU_ASSERT_STRING_EQUAL(refusal.code, refusals[i].code);
		CU_ASSERT_EQUAL(refusal.status, refusals[i].status);
		if (refusals[i].message != NULL)
			CU_ASSERT_STRING_EQUAL(refusal.message, refusals[i].message);
		arena_deinit(&arena);
	}
}

struct accepted {
	const char *body;
	const char *asked[4]; /* by query */
	uint64_t limit;       /* of each */
};

static const struct accepted accepted[] = {
	{"{\"queries\":[]}", {NULL}, 0},
	{"{\"queries\":[],\"federation\":{}}", {NULL}, 0},
	{"{\"queries\":[{\"indexUid\":\"a\",\"q\":\"x\",\"facets\":[\"f\"]},{\"q\":null,\"indexUid\":\"a\"}],"
         "\"federation\":null}",
         {",\"q\":\"x\",\"facets\":[\"f\"]", ""},
         20},
	{"{\"federation\":{\"offset\":5,\"limit\":10},\"queries\":[{\"indexUid\":\"a\",\"facets\":[]},"
         "{\"indexUid\":\"b\",\"q\":\"y\",\"page\":null}]}",
         {",\"scores\":true", ",\"q\":\"y\",\"scores\":true"},
         15},
	{FEDERATED("{\"page\":3,\"hitsPerPage\":4}"), {",\"scores\":true", ",\"scores\":true"}, 12},
	{FEDERATED("{\"page\":0}"), {",\"scores\":true", ",\"scores\":true"}, 0},
	{FEDERATED("{\"offset\":18446744073709551615,\"limit\":9}"),
         {",\"scores\":true", ",\"scores\":true"},
         FEDERATION_HITS_MAX},
	/* what several queries count, and what the whole list leaves, is asked for apart */
	{"{\"federation\":{\"facetsByIndex\":{\"a\":[\"x\"],\"b\":[\"y\"]}},\"queries\":[{\"indexUid\":\"a\"}"
         ","
         "{\"indexUid\":\"b\"},{\"indexUid\":\"a\",\"distinct\":\"m\"}]}",
         {",\"scores\":true", ",\"facets\":[\"y\"],\"scores\":true", ",\"distinct\":\"m\",\"scores\":true"},
         20},
	{FEDERATED("{\"distinct\":\"k\",\"facetsByIndex\":{\"a\":[\"x\"]}}"),
         {",\"distinct\":\"k\",\"scores\":true", ",\"distinct\":\"k\",\"scores\":true"},
         FEDERATION_HITS_MAX},
	{FEDERATED("{\"facetsByIndex\":{\"b\":[\"x\",\"y\"],\"a\":null},\"mergeFacets\":{},\"limit\":1}"),
         {",\"scores\":true", ",\"facets\":[\"x\",\"y\"],\"scores\":true"},
         1},
};

static void test_questions(void)
{
	for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
		const struct accepted *row = &accepted[i];
		struct multi_search_request request;
		struct error_answer refusal;
		struct arena arena;
		size_t len = 0;

		arena_init(&arena, 4096);
		CU_ASSERT_EQUAL_FATAL(read_request(row->body, &arena, &request, &refusal), 0);
		while (row->asked[len] != NULL)
			len++;
		CU_ASSERT_EQUAL_FATAL(request.len, len);
		for (size_t q = 0; q < len; q++) {
			struct search_request copy;

			CU_ASSERT_TRUE(search_request_copy(&request.queries[q].search, &arena, &copy));
			CU_ASSERT_TRUE(slice_equal(copy.asked, slice_string(row->asked[q])));
			CU_ASSERT_EQUAL(copy.limit, row->limit);
			CU_ASSERT_EQUAL(copy.facets.len, request.queries[q].search.facets.len);
			for (size_t f = 0; f < copy.facets.len; f++)
				CU_ASSERT_TRUE(slice_equal(copy.facets.list[f],
				                           request.queries[q].search.facets.list[f]));
		}
		arena_deinit(&arena);
	}
}

static void test_bound(void)
{
	struct multi_search_request request;
	struct error_answer refusal;
	struct buffer body;
	struct arena arena;

	arena_init(&arena, 4096);
	buffer_init(&body, SIZE_MAX);
	buffer_append_string(&body, "{\"queries\":[{\"indexUid\":\"a\"}");
	for (size_t i = 1; i < MULTI_SEARCH_QUERIES_MAX; i++)
		buffer_append_string(&body, ",{\"indexUid\":\"a\"}");
	buffer_append_string(&body, "]}");
	CU_ASSERT_EQUAL(multi_search_request_from_body(buffer_slice(&body), &arena, &request, &refusal), 0);
	CU_ASSERT_EQUAL(request.len, MULTI_SEARCH_QUERIES_MAX);
	body.len -= 2;
	buffer_append_string(&body, ",{\"indexUid\":\"a\"}]}");
	CU_ASSERT_TRUE(multi_search_request_from_body(buffer_slice(&body), &arena, &request, &refusal) < 0);
	CU_ASSERT_STRING_EQUAL(refusal.message, "A multi-search of more than 64 queries is not available in "
	                                        "this version of Millrace.");
	buffer_deinit(&body);
	arena_deinit(&arena);
}

/* What the settings say of a federated query. */
static void test_settings(void)
{
	static const char settings[] = "{\"filterableAttributes\":[\"kind\"],\"distinctAttribute\":\"kind\"}";
	static const struct {
		const char *federation;
		const char *code; /* NULL: allowed */
		const char *message;
	} rows[] = {
		{"{}", NULL, NULL},
		{"{\"distinct\":\"kind\",\"facetsByIndex\":{\"a\":[\"kind\"]}}", NULL, NULL},
		{"{\"distinct\":\"title\"}", "invalid_search_distinct",
	         "Index `a`: Attribute `title` is not filterable and thus, cannot be used as distinct "
	         "attribute. Available filterable attributes patterns are: `kind`."},
		{"{\"facetsByIndex\":{\"a\":[\"title\"]}}", "invalid_search_facets",
	         "Inside `.federation.facetsByIndex.a`: Invalid facet distribution: Pattern `title` is not "
	         "filterable. Available filterable attributes patterns are: `kind`."},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct error_answer refusal = {.code = "", .message = ""};
		struct search_check check = {.uid = slice_string("a"), .refusal = &refusal};
		struct multi_search_request request;
		struct buffer body;
		struct arena arena;
		struct federation_asks asks;
		int result;

		arena_init(&arena, 4096);
		buffer_init(&body, 4096);
		buffer_printf(&body, "{\"queries\":[{\"indexUid\":\"a\"}],\"federation\":%s}",
		              rows[i].federation);
		check.arena = &arena;
		check.settings = settings_bed(settings, &arena);
		CU_ASSERT_EQUAL_FATAL(
			multi_search_request_from_body(buffer_slice(&body), &arena, &request, &refusal), 0);
		asks = federation_asks_of(&request, 0);
		result = federation_check(&check, &asks, &request.queries[0].search);
		CU_ASSERT_EQUAL(result == 0, rows[i].code == NULL);
		if (rows[i].code != NULL) {
			CU_ASSERT_STRING_EQUAL(refusal.code, rows[i].code);
			CU_ASSERT_STRING_EQUAL(refusal.message, rows[i].message);
		}
		buffer_deinit(&body);
		arena_deinit(&arena);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"refusals", test_refusals},
		{"what each query is asked", test_questions},
		{"a bounded number of queries", test_bound},
		{"settings of a federated query", test_settings},
		CU_TEST_INFO_NULL,
	};

	return suite_run("multi_search", tests);
}
