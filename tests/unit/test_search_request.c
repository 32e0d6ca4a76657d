/*
 * What a client may ask: rows of requests with the answer or the refusal that
 * Meilisearch 1.50 gives, from a body and from a URL.
 */
#include "query/core/search_request.h"

#include "tests/unit/suite.h"

#define NAMES_BODY \
	"`q`, `offset`, `limit`, `page`, `hitsPerPage`, `attributesToRetrieve`, `attributesToCrop`, " \
	"`cropLength`, " \
	"`cropMarker`, `attributesToHighlight`, `highlightPreTag`, `highlightPostTag`, " \
	"`showMatchesPosition`, " \
	"`filter`, `sort`, `distinct`, `facets`, `matchingStrategy`, `attributesToSearchOn`, " \
	"`rankingScoreThreshold`, `locales`, `hybrid`, `vector`, `retrieveVectors`, `media`, " \
	"`personalize`, " \
	"`useNetwork`, `showRankingScore`, `showRankingScoreDetails`, `showPerformanceDetails`"

struct row {
	const char *input;
	const char *code; /* NULL: accepted */
	const char *message;
	const char *q;
	uint64_t offset;
	uint64_t limit;
};

static const struct row bodies[] = {
	{"{}", NULL, NULL, "", 0, 20},
	{"{\"q\":\"a b\",\"offset\":3,\"limit\":0}", NULL, NULL, "a b", 3, 0},
	{"{\"q\":null,\"page\":null,\"filter\":null,\"facets\":null,\"rankingScoreThreshold\":null}", NULL,
         NULL, "", 0, 20},
	{"{\"offset\":null}", "invalid_search_offset",
         "Invalid value type at `.offset`: expected a positive integer, but found null", NULL, 0, 0},
	{"{\"cropMarker\":null}", "invalid_search_crop_marker",
         "Invalid value type at `.cropMarker`: expected a string, but found null", NULL, 0, 0},
	{"{\"matchingStrategy\":null}", "invalid_search_matching_strategy",
         "Invalid value type at `.matchingStrategy`: expected a string, but found null", NULL, 0, 0},
	{"{\"locales\":[\"fra\"],\"retrieveVectors\":true,\"useNetwork\":false}", NULL, NULL, "", 0, 20},
	{"{\"q\":\"\\u00e9\\\"\"}", NULL, NULL, "é\"", 0, 20},
	{"{\"limit\":18446744073709551615}", NULL, NULL, "", 0, UINT64_MAX},
	{"{\"attributesToRetrieve\":[\"*\"],\"cropLength\":10,\"cropMarker\":\"…\",\"matchingStrategy\":"
         "\"last\","
         "\"showRankingScore\":false,\"filter\":[],\"sort\":[],\"highlightPreTag\":\"<em>\"}",
         NULL, NULL, "", 0, 20},
	{"{\"q\":[\"doggo\"]}", "invalid_search_q",
         "Invalid value type at `.q`: expected a string, but found an array: `[\"doggo\"]`", NULL, 0, 0},
	{"{\"offset\":\"doggo\"}", "invalid_search_offset",
         "Invalid value type at `.offset`: expected a positive integer, but found a string: `\"doggo\"`",
         NULL, 0, 0},
	{"{\"limit\":-1}", "invalid_search_limit",
         "Invalid value type at `.limit`: expected a positive integer, but found a negative integer: `-1`",
         NULL, 0, 0},
	{"{\"limit\":1.5}", "invalid_search_limit",
         "Invalid value type at `.limit`: expected a positive integer, but found a number: `1.5`", NULL, 0,
         0},
	{"{\"limit\":18446744073709551616}", "invalid_search_limit",
         "Invalid value type at `.limit`: expected a positive integer, but found a number: "
         "`1.8446744073709552e+19`",
         NULL, 0, 0},
	{"{\"offset\":100000000000000000000}", "invalid_search_offset",
         "Invalid value type at `.offset`: expected a positive integer, but found a number: `1e+20`", NULL, 0,
         0},
	{"{\"q\":{\"a\": 1}}", "invalid_search_q",
         "Invalid value type at `.q`: expected a string, but found an object: `{\"a\":1}`", NULL, 0, 0},
	{"{\"showMatchesPosition\":\"doggo\"}", "invalid_search_show_matches_position",
         "Invalid value type at `.showMatchesPosition`: expected a boolean, but found a string: `\"doggo\"`",
         NULL, 0, 0},
	{"{\"facets\":\"doggo\"}", "invalid_search_facets",
         "Invalid value type at `.facets`: expected an array, but found a string: `\"doggo\"`", NULL, 0, 0},
	{"{\"facets\":[\"a\",3]}", "invalid_search_facets",
         "Invalid value type at `.facets[1]`: expected a string, but found a positive integer: `3`", NULL, 0,
         0},
	{"{\"rankingScoreThreshold\":42}", "invalid_search_ranking_score_threshold",
         "Invalid value at `.rankingScoreThreshold`: the value of `rankingScoreThreshold` is invalid, "
         "expected a float "
         "between `0.0` and `1.0`.",
         NULL, 0, 0},
	{"{\"matchingStrategy\":\"lost\"}", "invalid_search_matching_strategy",
         "Unknown value `lost` at `.matchingStrategy`: did you mean `last`? expected one of `last`, `all`, "
         "`frequency`",
         NULL, 0, 0},
	{"{\"marin\":\"hello\"}", "bad_request", "Unknown field `marin`: expected one of " NAMES_BODY, NULL,
         0, 0},
	{"{\"limti\":1}", "bad_request",
         "Unknown field `limti`: did you mean `limit`? expected one of " NAMES_BODY, NULL, 0, 0},
	{"{\"attributes_to_crop\":1}", "bad_request",
         "Unknown field `attributes_to_crop`: did you mean `attributesToCrop`? expected one of " NAMES_BODY,
         NULL, 0, 0},
	{"{\"hybridEmbedder\":\"x\"}", "bad_request",
         "Unknown field `hybridEmbedder`: expected one of " NAMES_BODY, NULL, 0, 0},
	/* the first error in the body's order; what is not available comes last */
	{"{\"useNetwork\":true,\"limit\":true}", "invalid_search_limit",
         "Invalid value type at `.limit`: expected a positive integer, but found a boolean: `true`", NULL, 0,
         0},
	{"{\"useNetwork\":true}", "bad_request",
         "The parameter `useNetwork` with this value is not available in this version of Millrace.", NULL, 0,
         0},
	{"{\"hybrid\":1}", "invalid_search_hybrid_query",
         "Invalid value type at `.hybrid`: expected an object, but found a positive integer: `1`", NULL, 0,
         0},
	{"{\"hybrid\":{}}", "invalid_search_hybrid_query", "Missing field `embedder` inside `.hybrid`", NULL,
         0, 0},
	{"{\"hybrid\":{\"semanticRatio\":0.5}}", "invalid_search_hybrid_query",
         "Missing field `embedder` inside `.hybrid`", NULL, 0, 0},
	{"{\"hybrid\":{\"embedder\":1}}", "invalid_search_embedder",
         "Invalid value type at `.hybrid.embedder`: expected a string, but found a positive integer: `1`",
         NULL, 0, 0},
	{"{\"hybrid\":{\"embedder\":null}}", "invalid_search_embedder",
         "Invalid value type at `.hybrid.embedder`: expected a string, but found null", NULL, 0, 0},
	{"{\"hybrid\":{\"embedder\":\"default\",\"semanticRatio\":2}}", "invalid_search_semantic_ratio",
         "Invalid value at `.hybrid.semanticRatio`: the value of `semanticRatio` is invalid, expected a "
         "float between `0.0` and `1.0`.",
         NULL, 0, 0},
	{"{\"hybrid\":{\"embedder\":\"default\",\"semanticRatio\":\"x\"}}", "invalid_search_semantic_ratio",
         "Invalid value type at `.hybrid.semanticRatio`: expected a number, but found a string: `\"x\"`",
         NULL, 0, 0},
	{"{\"hybrid\":{\"model\":1}}", "invalid_search_hybrid_query",
         "Unknown field `model` inside `.hybrid`: expected one of `semanticRatio`, `embedder`", NULL, 0, 0},
	/* whether there is such an embedder is its index's to say */
	{"{\"hybrid\":{\"embedder\":\"x\"},\"vector\":[1.5,-2e3],\"media\":{}}", NULL, NULL, "", 0, 20},
	{"{\"hybrid\":null,\"vector\":null,\"media\":null}", NULL, NULL, "", 0, 20},
	{"{\"showPerformanceDetails\":true}", "bad_request",
         "The parameter `showPerformanceDetails` with this value is not available in this version of "
         "Millrace.",
         NULL, 0, 0},
	{"{\"vector\":[\"a\"]}", "invalid_search_vector",
         "Invalid value type at `.vector[0]`: expected a number, but found a string: `\"a\"`", NULL, 0, 0},
	{"{\"rankingScoreThreshold\":-0.1}", "invalid_search_ranking_score_threshold", NULL, NULL, 0, 0},
	{"", "missing_payload", "A json payload is missing.", NULL, 0, 0},
	{"{\"q\":", "malformed_payload", NULL, NULL, 0, 0},
	{"{} {}", "malformed_payload", NULL, NULL, 0, 0},
	{"\"x\"", "bad_request", "Invalid value type: expected an object, but found a string: `\"x\"`", NULL,
         0, 0},
	{"[1, 2]", "bad_request", "Invalid value type: expected an object, but found an array: `[1,2]`", NULL,
         0, 0},
	{"null", "bad_request", "Invalid value type: expected an object, but found null", NULL, 0, 0},
};

static void check(const struct row *row, int result, const struct search_request *request,
                  const struct error_answer *refusal)
{
	if (row->code == NULL) {
		CU_ASSERT_EQUAL_FATAL(result, 0);
		CU_ASSERT_TRUE(slice_equal(request->q, slice_string(row->q)));
		CU_ASSERT_EQUAL(request->offset, row->offset);
		CU_ASSERT_EQUAL(request->limit, row->limit);
		return;
	}
	CU_ASSERT_TRUE_FATAL(result < 0);
	CU_ASSERT_STRING_EQUAL(refusal->code, row->code);
	if (row->message != NULL)
		CU_ASSERT_STRING_EQUAL(refusal->message, row->message);
}

static void test_bodies(void)
{
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		struct search_request request = {0};
		struct error_answer refusal;
		struct arena arena;
		int result;

		arena_init(&arena, 1024);
		result = search_request_from_body(slice_string(bodies[i].input), &arena, &request, &refusal);
		check(&bodies[i], result, &request, &refusal);
		arena_deinit(&arena);
	}
}

struct url_row {
	struct argument arguments[3];
	struct row expected;
};

static const struct url_row urls[] = {
	{{{NULL, NULL}}, {"", NULL, NULL, "", 0, 20}},
	{{{"q", "a b"}, {"limit", "7"}}, {"", NULL, NULL, "a b", 0, 7}},
	{{{"offset", "+2"}}, {"", NULL, NULL, "", 2, 20}},
	{{{"q", "a\xff"}}, {"", NULL, NULL, "a\xef\xbf\xbd", 0, 20}},
	{{{"attributesToRetrieve", "*"}, {"showRankingScore", "false"}}, {"", NULL, NULL, "", 0, 20}},
	{{{"limit", "doggo"}},
         {"", "invalid_search_limit",
          "Invalid value in parameter `limit`: could not parse `doggo` as a positive integer", NULL, 0, 0}},
	{{{"limit", ""}},
         {"", "invalid_search_limit",
          "Invalid value in parameter `limit`: could not parse `` as a positive integer", NULL, 0, 0}},
	{{{"offset", "-1"}},
         {"", "invalid_search_offset",
          "Invalid value in parameter `offset`: could not parse `-1` as a positive integer", NULL, 0, 0}},
	{{{"limit", "18446744073709551616"}}, {"", "invalid_search_limit", NULL, NULL, 0, 0}},
	{{{"showMatchesPosition", "doggo"}},
         {"", "invalid_search_show_matches_position",
          "Invalid value in parameter `showMatchesPosition`: could not parse `doggo` as a boolean, expected "
          "either `true` "
          "or `false`",
          NULL, 0, 0}},
	{{{"rankingScoreThreshold", "2"}},
         {"", "invalid_search_ranking_score_threshold",
          "Invalid value in parameter `rankingScoreThreshold`: the value of `rankingScoreThreshold` is "
          "invalid, expected "
          "a float between `0.0` and `1.0`.",
          NULL, 0, 0}},
	{{{"rankingScoreThreshold", "0x0"}},
         {"", "invalid_search_ranking_score_threshold", NULL, NULL, 0, 0}},
	{{{"rankingScoreThreshold", ""}}, {"", "invalid_search_ranking_score_threshold", NULL, NULL, 0, 0}},
	{{{"matchingStrategy", "lost"}},
         {"", "invalid_search_matching_strategy",
          "Unknown value `lost` for parameter `matchingStrategy`: did you mean `last`? expected one of "
          "`last`, "
          "`all`, `frequency`",
          NULL, 0, 0}},
	{{{"vector", "x"}},
         {"", "invalid_search_vector", "Invalid value in parameter `vector`: invalid float literal", NULL, 0,
          0}},
	{{{"vector", "1,0x2"}}, {"", "invalid_search_vector", NULL, NULL, 0, 0}},
	{{{"vector", "1, 2"}}, {"", "invalid_search_vector", NULL, NULL, 0, 0}},
	{{{"vector", "1,.,2"}}, {"", "invalid_search_vector", NULL, NULL, 0, 0}},
	{{{"vector", "1,,2"}},
         {"", "invalid_search_vector",
          "Invalid value in parameter `vector`: cannot parse float from empty string", NULL, 0, 0}},
	{{{"vector", "1,2"}},
         {"", "missing_search_hybrid", "`hybridEmbedder` is mandatory when `vector` is present", NULL, 0, 0}},
	{{{"vector", "+1.5e-3,.5,5.,-inf,NaN"}, {"hybridEmbedder", "x"}}, {"", NULL, NULL, "", 0, 20}},
	{{{"hybridSemanticRatio", "2"}},
         {"", "invalid_search_semantic_ratio",
          "Invalid value in parameter `hybridSemanticRatio`: the value of `semanticRatio` is invalid, "
          "expected a float between `0.0` and `1.0`.",
          NULL, 0, 0}},
	{{{"hybridSemanticRatio", "0.5"}},
         {"", "invalid_search_hybrid_query",
          "`hybridEmbedder` is mandatory when `hybridSemanticRatio` is present", NULL, 0, 0}},
	{{{"hybridSemanticRatio", "0.5"}, {"vector", "1"}},
         {"", "invalid_search_hybrid_query", NULL, NULL, 0, 0}},
	{{{"personalizeUserContext", "x"}}, {"", "bad_request", NULL, NULL, 0, 0}},
	{{{"media", "{}"}}, {"", "bad_request", NULL, NULL, 0, 0}},
};

static void test_urls(void)
{
	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		struct search_request request = {0};
		struct error_answer refusal;
		struct arena arena;
		int result;

		arena_init(&arena, 1024);
		result = search_request_from_url(urls[i].arguments, &arena, &request, &refusal);
		check(&urls[i].expected, result, &request, &refusal);
		arena_deinit(&arena);
	}
}

static const struct {
	const char *body;
	struct argument arguments[8];
	const char *asked;
} wishes[] = {
	{"{\"limit\":3,\"page\":2}", {{"limit", "3"}, {"page", "2"}}, ""},
	{"{\"q\":\"\",\"sort\":[],\"filter\":[],\"facets\":[],\"cropLength\":10,"
         "\"attributesToSearchOn\":[\"*\"]}",
         {{"q", ""}, {"sort", ""}, {"filter", ""}, {"cropLength", "+10"}, {"attributesToSearchOn", "*"}},
         ""},
	{"{\"sort\":[\"a:asc\",\"b:desc\"],\"q\":\"\\u00e9\"}",
         {{"q", "é"}, {"sort", "a:asc,b:desc"}},
         ",\"q\":\"é\",\"sort\":[\"a:asc\",\"b:desc\"]"},
	{"{\"filter\":[ [\"a = 1\", \"b = 2\"] ]}",
         {{"filter", "[[\"a = 1\",\"b = 2\"]]"}},
         ",\"filter\":[[\"a = 1\",\"b = 2\"]]"},
	{"{\"filter\":\"a = 1\"}", {{"filter", "a = 1"}}, ",\"filter\":\"a = 1\""},
	{"{\"attributesToSearchOn\":[]}", {{"attributesToSearchOn", ""}}, ",\"attributesToSearchOn\":[]"},
	{"{\"facets\":[\"\",\"a\"]}", {{"facets", ",a"}}, ",\"facets\":[\"\",\"a\"]"},
	{"{\"rankingScoreThreshold\":5e-1,\"matchingStrategy\":\"all\"}",
         {{"rankingScoreThreshold", "+0.50"}, {"matchingStrategy", "all"}},
         ",\"matchingStrategy\":\"all\",\"rankingScoreThreshold\":0.5"},
	{"{\"showRankingScoreDetails\":true,\"showRankingScore\":true,\"showMatchesPosition\":true}",
         {{"showRankingScore", "true"}, {"showMatchesPosition", "true"}, {"showRankingScoreDetails", "true"}},
         ",\"showMatchesPosition\":true,\"showRankingScore\":true,\"showRankingScoreDetails\":true"},
	{"{\"highlightPreTag\":\"\",\"highlightPostTag\":\"\\n\",\"cropMarker\":\"-\",\"cropLength\":"
         "0}",
         {{"highlightPreTag", ""}, {"highlightPostTag", "\n"}, {"cropMarker", "-"}, {"cropLength", "0"}},
         ",\"cropLength\":0,\"cropMarker\":\"-\",\"highlightPreTag\":\"\",\"highlightPostTag\":"
         "\"\\n\""},
	{"{\"attributesToRetrieve\":[],\"attributesToCrop\":[\"a:2\"],\"attributesToHighlight\":[\"*"
         "\"],\"distinct\":\"d\"}",
         {{"attributesToHighlight", "*"},
          {"distinct", "d"},
          {"attributesToCrop", "a:2"},
          {"attributesToRetrieve", ""}},
         ",\"distinct\":\"d\",\"attributesToRetrieve\":[],\"attributesToCrop\":[\"a:2\"],"
         "\"attributesToHighlight\":[\"*\"]"},
};

/* What nodes are asked: the same text for the same wish, from a body and from a URL. */
static void test_asked(void)
{
	for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
		struct search_request requests[2];
		struct error_answer refusal;
		struct arena arena;

		arena_init(&arena, 1024);
		CU_ASSERT_EQUAL_FATAL(search_request_from_body(slice_string(wishes[i].body), &arena,
		                                               &requests[0], &refusal),
		                      0);
		CU_ASSERT_EQUAL_FATAL(
			search_request_from_url(wishes[i].arguments, &arena, &requests[1], &refusal), 0);
		for (int k = 0; k < 2; k++) {
			bool equal = slice_equal(requests[k].asked, slice_string(wishes[i].asked));

			CU_ASSERT_TRUE(equal);
			if (!equal)
				printf("\n%.*s\n", SLICE_ARGS(requests[k].asked));
		}
		arena_deinit(&arena);
	}
}

/* What the gateway itself looks at. */
static void test_members(void)
{
	static const char body[] =
		"{\"page\":3,\"sort\":[\"a:asc\"],\"facets\":[\"f\",\"g\"],\"attributesToSearchOn\":[\"t\"],"
		"\"filter\":\"a = 1\",\"distinct\":\"d\",\"matchingStrategy\":\"frequency\","
		"\"rankingScoreThreshold\":0}";
	struct search_request request;
	struct error_answer refusal;
	struct arena arena;

	arena_init(&arena, 1024);
	CU_ASSERT_EQUAL_FATAL(search_request_from_body(slice_string(body), &arena, &request, &refusal), 0);
	CU_ASSERT_TRUE(request.by_page && request.by_frequency && request.has_threshold);
	CU_ASSERT_EQUAL(request.page, 3);
	CU_ASSERT_EQUAL(request.hits_per_page, 20);
	CU_ASSERT_EQUAL_FATAL(request.sort.len, 1);
	CU_ASSERT_TRUE(slice_equal(request.sort.list[0], slice_string("a:asc")));
	CU_ASSERT_EQUAL_FATAL(request.facets.len, 2);
	CU_ASSERT_TRUE(slice_equal(request.facets.list[1], slice_string("g")));
	CU_ASSERT_EQUAL_FATAL(request.search_on.len, 1);
	CU_ASSERT_TRUE(slice_equal(request.search_on.list[0], slice_string("t")));
	CU_ASSERT_TRUE(slice_equal(request.filter, slice_string("\"a = 1\"")));
	CU_ASSERT_TRUE(slice_equal(request.distinct, slice_string("d")));
	CU_ASSERT_EQUAL_FATAL(
		search_request_from_body(slice_string("{\"hitsPerPage\":0}"), &arena, &request, &refusal), 0);
	CU_ASSERT_TRUE(request.by_page && !request.by_frequency && !request.has_threshold);
	CU_ASSERT_EQUAL(request.page, 1);
	CU_ASSERT_EQUAL(request.hits_per_page, 0);
	CU_ASSERT_PTR_NULL(request.filter.ptr);
	CU_ASSERT_PTR_NULL(request.distinct.ptr);
	CU_ASSERT_EQUAL(request.sort.len + request.facets.len + request.search_on.len, 0);
	arena_deinit(&arena);
}

/* A search among several: its place is in every text, and it has two more parameters. */
static void test_one_of_several(void)
{
	static const struct {
		const char *input;
		const char *code;
		const char *message;
	} rows[] = {
		{"{\"indexUid\":\"a\",\"q\":\"x\",\"federationOptions\":{\"weight\":2}}", NULL, NULL},
		{"1", "bad_request",
	         "Invalid value type at `.queries[1]`: expected an object, but found a positive integer: "
	         "`1`"},
		{"{\"q\":1}", "invalid_search_q",
	         "Invalid value type at `.queries[1].q`: expected a string, but found a positive integer: "
	         "`1`"},
		{"{\"sort\":[1]}", "invalid_search_sort",
	         "Invalid value type at `.queries[1].sort[0]`: expected a string, but found a positive "
	         "integer: `1`"},
		{"{\"rankingScoreThreshold\":2}", "invalid_search_ranking_score_threshold",
	         "Invalid value at `.queries[1].rankingScoreThreshold`: the value of `rankingScoreThreshold` "
	         "is "
	         "invalid, expected a float between `0.0` and `1.0`."},
		{"{\"matchingStrategy\":\"x\"}", "invalid_search_matching_strategy",
	         "Unknown value `x` at `.queries[1].matchingStrategy`: expected one of `last`, `all`, "
	         "`frequency`"},
		{"{\"indexUi\":1}", "bad_request",
	         "Unknown field `indexUi` inside `.queries[1]`: did you mean `indexUid`? expected one of "
	         "`indexUid`, `q`,"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct parameter_value values[SEARCH_QUERY_PARAMETERS];
		struct parameter_object object = {.place = ".queries[1]"};
		struct search_request request;
		struct error_answer refusal;
		struct arena arena;
		yyjson_doc *doc;
		int result;

		arena_init(&arena, 1024);
		CU_ASSERT_EQUAL_FATAL(parameters_parse_body(slice_string(rows[i].input), &doc, &refusal), 0);
		object.value = yyjson_doc_get_root(doc);
		result = parameters_from_object(search_query_parameters(), &object, &arena, values, &refusal);
		yyjson_doc_free(doc);
		CU_ASSERT_EQUAL_FATAL(result == 0, rows[i].code == NULL);
		if (result < 0) {
			CU_ASSERT_STRING_EQUAL(refusal.code, rows[i].code);
			CU_ASSERT_PTR_NOT_NULL(strstr(refusal.message, rows[i].message));
		} else {
			CU_ASSERT_EQUAL(
				search_request_of(values + SEARCH_QUERY_FIRST, &arena, &request, &refusal),
				0);
			CU_ASSERT_TRUE(slice_equal(request.asked, slice_string(",\"q\":\"x\"")));
			CU_ASSERT_TRUE(slice_equal(values[SEARCH_QUERY_INDEX_UID].text, slice_string("a")));
			CU_ASSERT_TRUE(slice_equal(values[SEARCH_QUERY_OPTIONS].json,
			                           slice_string("{\"weight\":2}")));
		}
		arena_deinit(&arena);
	}
}

static void test_unknown_parameter(void)
{
	struct argument arguments[] = {{"Q", "x"}, {NULL, NULL}};
	struct search_request request;
	struct error_answer refusal;
	struct arena arena;

	arena_init(&arena, 1024);
	CU_ASSERT_TRUE(search_request_from_url(arguments, &arena, &request, &refusal) < 0);
	CU_ASSERT_STRING_EQUAL(refusal.code, "bad_request");
	CU_ASSERT_PTR_NOT_NULL(
		strstr(refusal.message, "Unknown parameter `Q`: expected one of `q`, `offset`, `limit`"));
	CU_ASSERT_PTR_NOT_NULL(strstr(refusal.message, "`hybridEmbedder`, `hybridSemanticRatio`, `vector`"));
	CU_ASSERT_PTR_NULL(strstr(refusal.message, "`media`"));
	arena_deinit(&arena);
}

/* A value of any length is echoed in part, and never cut inside a character. */
static void test_long_values_are_cut(void)
{
	struct search_request request;
	struct error_answer refusal;
	struct buffer body;
	struct arena arena;

	arena_init(&arena, 1024);
	buffer_init(&body, 1 << 20);
	buffer_append_string(&body, "{\"q\":[\"a");
	for (int i = 0; i < 10000; i++)
		buffer_append_string(&body, "é");
	buffer_append_string(&body, "\"]}");
	CU_ASSERT_TRUE(search_request_from_body(buffer_slice(&body), &arena, &request, &refusal) < 0);
	CU_ASSERT_STRING_EQUAL(refusal.code, "invalid_search_q");
	CU_ASSERT_EQUAL(strlen(refusal.message),
	                strlen("Invalid value type at `.q`: expected a string, but found an array: ``") +
	                        511);
	buffer_deinit(&body);
	arena_deinit(&arena);
}

static void test_content_type(void)
{
	static const struct {
		const char *content_type;
		const char *code;
	} rows[] = {
		{"application/json", NULL},
		{"application/json; charset=utf-8", NULL},
		{"Application/JSON", NULL},
		{"application/vnd.api+json", NULL},
		{NULL, "missing_content_type"},
		{"text/plain", "invalid_content_type"},
		{"application/jsonx", "invalid_content_type"},
		{"application/x-ndjson", "invalid_content_type"},
		{"json", "invalid_content_type"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct error_answer refusal = {0};
		int result = parameters_check_content_type(rows[i].content_type, &refusal);

		CU_ASSERT_EQUAL(result < 0, rows[i].code != NULL);
		if (rows[i].code != NULL)
			CU_ASSERT_STRING_EQUAL(refusal.code, rows[i].code);
	}
}

static void test_error_objects(void)
{
	struct buffer body;

	buffer_init(&body, 1024);
	error_answer_append(&body, slice_string("index_not_found"), slice_string("Index `a\"b` not found."));
	buffer_put_u8(&body, 0);
	CU_ASSERT_STRING_EQUAL((const char *)body.ptr,
	                       "{\"message\":\"Index `a\\\"b` not found.\",\"code\":\"index_not_found\","
	                       "\"type\":\"invalid_request\","
	                       "\"link\":\"https://docs.meilisearch.com/errors#index_not_found\"}");
	CU_ASSERT_EQUAL(error_answer_status("index_not_found"), 404);
	CU_ASSERT_EQUAL(error_answer_status("missing_authorization_header"), 401);
	CU_ASSERT_EQUAL(error_answer_status("invalid_api_key"), 403);
	CU_ASSERT_EQUAL(error_answer_status("missing_content_type"), 415);
	CU_ASSERT_EQUAL(error_answer_status("payload_too_large"), 413);
	CU_ASSERT_EQUAL(error_answer_status("too_many_search_requests"), 503);
	CU_ASSERT_STRING_EQUAL(error_answer_code_of_status(413), "payload_too_large");
	CU_ASSERT_STRING_EQUAL(error_answer_code_of_status(503), "unavailable");
	buffer_deinit(&body);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"bodies", test_bodies},
		{"URLs", test_urls},
		{"what nodes are asked", test_asked},
		{"members", test_members},
		{"one of several", test_one_of_several},
		{"an unknown parameter", test_unknown_parameter},
		{"long values are cut", test_long_values_are_cut},
		{"content types", test_content_type},
		{"error objects", test_error_objects},
		CU_TEST_INFO_NULL,
	};

	return suite_run("search_request", tests);
}
