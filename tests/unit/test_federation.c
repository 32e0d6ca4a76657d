/*
 * Federated lists: literal answers of nodes, a query each, and the list that becomes of them.
 */
#include "query/core/federation.h"

#include "tests/unit/settings_bed.h"
#include "tests/unit/suite.h"

#define HIT(id, rank, score, distinct) \
	"{\"p\":0,\"rank\":\"" rank "\",\"ts\":1,\"seq\":" id ",\"id\":\"" id "\",\"score\":" score \
	",\"distinct\":" distinct ",\"doc\":{\"id\":" id "}}"
#define NODE(total, hits) \
	"{\"received\":[{\"p\":0,\"received\":1,\"state\":\"active\"}],\"total\":" total ",\"hits\":[" hits \
	"]}"
#define FROM(query, weighted) \
	"\"_federation\":{\"indexUid\":\"" query ",\"weightedRankingScore\":" weighted "}}"
#define A "a\",\"queriesPosition\":0"
#define B "b\",\"queriesPosition\":1"
#define TWO(federation) \
	"{\"federation\":" federation ",\"queries\":[{\"indexUid\":\"a\"},{\"indexUid\":\"b\"}]}"

struct row {
	const char *request;
	const char *nodes[2];
	const char *facets[2];
	const char *expected; /* without time and uuid */
};

static const struct row rows[] = {
	{"{\"queries\":[],\"federation\":{}}",
         {NULL},
         {NULL},
         "{\"hits\":[],\"limit\":20,\"offset\":0,\"estimatedTotalHits\":0}"},
	/* by weighted score; equal ones by the place of the query */
	{"{\"federation\":{},\"queries\":[{\"indexUid\":\"a\"},{\"indexUid\":\"b\",\"federationOptions\":"
         "{\"weight\":0.5}}]}",
         {NODE("5", HIT("1", "00", "[[2,2],[3,4]]", "[]") "," HIT("2", "01", "[[1,2],[4,4]]", "[]")),
          NODE("2", HIT("1", "00", "[[2,2],[4,4]]", "[]") "," HIT("3", "01", "[[1,2],[1,4]]", "[]"))},
         {NULL},
         "{\"hits\":[{\"id\":1," FROM(A, "0.875") ",{\"id\":2," FROM(A, "0.5") ",{\"id\":1," FROM(
		 B, "0.5") ","
                           "{\"id\":3," FROM(
				   B, "0.0625") "],\"limit\":20,\"offset\":0,\"estimatedTotalHits\":7}"},
	/* sorts first: the weight is the score's alone */
	{TWO("{\"limit\":3}"),
         {NODE("2", HIT("1", "02", "[\"02\",[1,2]]", "[]") "," HIT("2", "04", "[\"04\",[2,2]]", "[]")),
          NODE("2", HIT("3", "01", "[\"01\",[1,2]]", "[]") "," HIT("4", "02", "[\"02\",[2,2]]", "[]"))},
         {NULL},
         "{\"hits\":[{\"id\":3," FROM(B, "0.5") ",{\"id\":4," FROM(B, "1.0") ",{\"id\":1," FROM(
		 A, "0.5") "],\"limit\":3,\"offset\":0,\"estimatedTotalHits\":4}"},
	/* words between sorts; who has fewer rules comes later, and a score before a value */
	{TWO("{}"),
         {NODE("3", HIT("1", "00", "[[2,3],\"05\",[1,2]]",
                        "[]") "," HIT("2", "01", "[[2,3]]", "[]") "," HIT("5", "02", "[]", "[]")),
          NODE("2", HIT("3", "00", "[[2,3],\"05\",[2,2]]", "[]") "," HIT("4", "01", "[\"00\"]", "[]"))},
         {NULL},
         "{\"hits\":[{\"id\":3," FROM(B, "0.6666666666666666") ",{\"id\":1," FROM(
		 A,
		 "0.5") ",{\"id\":2," FROM(A,
                                           "0.6666666666666666") ",{\"id\":4," FROM(B,
                                                                                    "1.0") ",{\"id\":"
                                                                                           "5," FROM(
												   A,
												   "1.0") "]"
                                                                                                          ","
                                                                                                          "\""
                                                                                                          "li"
                                                                                                          "mi"
                                                                                                          "t"
                                                                                                          "\""
                                                                                                          ":"
                                                                                                          "20"
                                                                                                          ","
                                                                                                          "\""
                                                                                                          "of"
                                                                                                          "fs"
                                                                                                          "et"
                                                                                                          "\""
                                                                                                          ":"
                                                                                                          "0,"
                                                                                                          "\""
                                                                                                          "es"
                                                                                                          "ti"
                                                                                                          "ma"
                                                                                                          "te"
                                                                                                          "dT"
                                                                                                          "ot"
                                                                                                          "al"
                                                                                                          "Hi"
                                                                                                          "ts"
                                                                                                          "\""
                                                                                                          ":"
                                                                                                          "5"
                                                                                                          "}"},
	/* what stands behind a sort is a score of its own */
	{TWO("{}"),
         {NODE("1", HIT("1", "00", "[[1,2],\"05\",[2,3]]", "[]")),
          NODE("1", HIT("2", "00", "[[2,4],\"05\",[3,5]]", "[]"))},
         {NULL},
         "{\"hits\":[{\"id\":1," FROM(A, "0.3333333333333333") ",{\"id\":2," FROM(
		 B, "0.4") "],\"limit\":20,\"offset\":0,\"estimatedTotalHits\":2}"},
	/* a query's hits stay in its order, whatever they weigh */
	{TWO("{}"),
         {NODE("2", HIT("1", "00", "[[1,4]]", "[]") "," HIT("2", "01", "[[4,4]]", "[]")),
          NODE("1", HIT("3", "00", "[[2,4]]", "[]"))},
         {NULL},
         "{\"hits\":[{\"id\":3," FROM(B, "0.5") ",{\"id\":1," FROM(A, "0.25") ",{\"id\":2," FROM(
		 A, "1.0") "],\"limit\":20,\"offset\":0,\"estimatedTotalHits\":3}"},
	/* a document of one index once, where it is best */
	{"{\"federation\":{\"page\":1,\"hitsPerPage\":4},\"queries\":[{\"indexUid\":\"a\"},{\"indexUid\":"
         "\"a\"}]}",
         {NODE("3", HIT("1", "00", "[[3,4]]", "[]") "," HIT("2", "01", "[[1,4]]", "[]")),
          NODE("2", HIT("2", "00", "[[4,4]]", "[]") "," HIT("3", "01", "[[2,4]]", "[]"))},
         {NULL},
         "{\"hits\":[{\"id\":2," FROM("a\",\"queriesPosition\":1", "1.0") ",{\"id\":1," FROM(
		 A, "0.75") ",{\"id\":3," FROM("a\",\"queriesPosition\":1",
                                               "0.5") "],\"hitsPerPage\":4,\"page\":1,"
                                                      "\"totalPages\":1,\"totalHits\":3}"},
	/* distinct over all, only where the list wants it */
	{TWO("{\"distinct\":\"k\"}"),
         {NODE("2", HIT("1", "00", "[[4,4]]", "[\"aa\"]") "," HIT("2", "01", "[[3,4]]", "[\"bb\",\"cc\"]")),
          NODE("3", HIT("3", "00", "[[4,4]]", "[\"cc\"]") "," HIT(
			    "4", "01", "[[2,4]]", "[\"aa\",\"dd\"]") "," HIT("5", "02", "[[1,4]]", "[]"))},
         {NULL},
         "{\"hits\":[{\"id\":1," FROM(A, "1.0") ",{\"id\":3," FROM(B, "1.0") ",{\"id\":5," FROM(
		 B, "0.25") "],\"limit\":20,\"offset\":0,\"estimatedTotalHits\":3}"},
	/* what an index has before is seen there, though it goes from the list */
	{TWO("{\"distinct\":\"k\"}"),
         {NODE("2", HIT("1", "00", "[[3,4]]", "[\"aa\",\"bb\"]") "," HIT("2", "01", "[[2,4]]", "[\"bb\"]")),
          NODE("1", HIT("3", "00", "[[4,4]]", "[\"aa\"]"))},
         {NULL},
         "{\"hits\":[{\"id\":3," FROM(B, "1.0") "],\"limit\":20,\"offset\":0,\"estimatedTotalHits\":1}"},
	{TWO("{\"limit\":0}"),
         {NODE("1", HIT("1", "00", "[[4,4]]", "[\"aa\"]")), NODE("1", HIT("3", "00", "[[4,4]]", "[\"aa\"]"))},
         {NULL},
         "{\"hits\":[],\"limit\":0,\"offset\":0,\"estimatedTotalHits\":2}"},
	/* facets by index: without patterns an index shows that it has none */
	{TWO("{\"facetsByIndex\":{\"b\":[\"k\"],\"a\":[]},\"limit\":0}"),
         {NODE("0", ""), NODE("0", "")},
         {NULL, "{\"facetDistribution\":{\"k\":{\"x\":2}},\"facetStats\":{}}"},
         "{\"hits\":[],\"limit\":0,\"offset\":0,\"estimatedTotalHits\":0,\"facetsByIndex\":{\"b\":"
         "{\"distribution\":{\"k\":{\"x\":2}},\"stats\":{}},\"a\":{\"distribution\":{},\"stats\":{}}}}"},
	/* merged: sums, in order of the value, cut */
	{TWO("{\"facetsByIndex\":{\"b\":[\"*\"],\"a\":[\"*\"]},\"mergeFacets\":{\"maxValuesPerFacet\":2},"
             "\"limit\":0}"),
         {NODE("0", ""), NODE("0", "")},
         {"{\"facetDistribution\":{\"n\":{\"2\":1,\"10\":2},\"e\":{}},\"facetStats\":{\"n\":{\"min\":2.0,"
          "\"max\":10.0}}}",
          "{\"facetDistribution\":{\"k\":{\"x\":2},\"n\":{\"10\":1,\"1\":4}},\"facetStats\":{\"n\":{\"min\":"
          "1.5,"
          "\"max\":10}}}"},
         "{\"hits\":[],\"limit\":0,\"offset\":0,\"estimatedTotalHits\":0,\"facetDistribution\":{\"e\":{},"
         "\"k\":"
         "{\"x\":2},\"n\":{\"1\":4,\"10\":3}},\"facetStats\":{\"n\":{\"min\":1.5,\"max\":10}}}"},
	{TWO("{\"facetsByIndex\":{\"a\":[]},\"mergeFacets\":{},\"limit\":0}"),
         {NODE("0", ""), NODE("0", "")},
         {NULL},
         "{\"hits\":[],\"limit\":0,\"offset\":0,\"estimatedTotalHits\":0,\"facetDistribution\":{},"
         "\"facetStats\":"
         "{}}"},
};

/* One query's hits, in order as a flight has them. */
static void add_part(struct federation *federation, const struct row *row, size_t query)
{
	static const int32_t partitions[] = {0};
	struct node_question question = {.partitions = partitions, .partitions_len = 1, .hits_max = 9};
	bool same = slice_equal(federation->request->queries[query].uid, slice_string("a"));
	struct federation_part part = {.query = query, .index_id = same ? 1 : 2};
	struct federation_count count = {.uid = federation->request->queries[query].uid};
	struct node_answer answer;
	struct arena arena;
	struct error error;

	/* what is added is copied */
	arena_init(&arena, 4096);
	CU_ASSERT_EQUAL_FATAL(
		node_answer_parse(slice_string(row->nodes[query]), &question, &arena, &answer, &error), 0);
	part.hits = answer.hits;
	part.hits_len = answer.hits_len;
	CU_ASSERT_EQUAL(federation_add(federation, &part, &error), 0);
	count.total = answer.total;
	if (row->facets[query] != NULL)
		count.facets = slice_string(row->facets[query]);
	/* the first speaks for all queries of its index */
	if (query == 0 || !same)
		CU_ASSERT_EQUAL(federation_add_count(federation, &count, &error), 0);
	arena_deinit(&arena);
}

static bool is_expected(const struct buffer *body, const char *expected)
{
	struct buffer plain;
	struct slice text = buffer_slice(body);
	const char *time = "],\"processingTimeMs\":7";
	const char *uuid = ",\"requestUid\":\"u\"}";
	const uint8_t *at = memmem(text.ptr, text.len, time, strlen(time));
	bool same = false;

	if (at == NULL || text.len < strlen(uuid) ||
	    memcmp(text.ptr + text.len - strlen(uuid), uuid, strlen(uuid)) != 0)
		return false;
	buffer_init(&plain, SIZE_MAX);
	buffer_append(&plain, text.ptr, (size_t)(at - text.ptr) + 1);
	at += strlen(time);
	buffer_append(&plain, at, (size_t)(text.ptr + text.len - at) - strlen(uuid));
	buffer_put_u8(&plain, '}');
	same = slice_equal(buffer_slice(&plain), slice_string(expected));
	buffer_deinit(&plain);
	return same;
}

static void test_lists(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		/* in any order */
		for (size_t first = 0; first < 2; first++) {
			struct multi_search_request request;
			struct federation federation;
			struct error_answer refusal;
			struct buffer body;
			struct arena arena;
			struct error error;

			arena_init(&arena, 4096);
			buffer_init(&body, SIZE_MAX);
			CU_ASSERT_EQUAL_FATAL(multi_search_request_from_body(slice_string(rows[i].request),
			                                                     &arena, &request, &refusal),
			                      0);
			CU_ASSERT_TRUE_FATAL(federation_init(&federation, &request, &arena));
			for (size_t q = 0; q < request.len; q++)
				add_part(&federation, &rows[i], (q + first) % request.len);
			CU_ASSERT_EQUAL(federation_order(&federation, &error), 0);
			federation_answer(&federation, 7, "u", &body);
			CU_ASSERT_TRUE(is_expected(&body, rows[i].expected));
			federation_deinit(&federation);
			buffer_deinit(&body);
			arena_deinit(&arena);
		}
	}
}

/* No list of scores makes an answer that is no JSON. */
static void test_hostile_scores(void)
{
	static const char *const scores[] = {"[[0,0]]", "[[0,2]]", "[[3,2]]", "[\"xyz\"]",
	                                     "[[1]]",   "[1]",     "{}"};
	static const int32_t partitions[] = {0};
	struct node_question question = {.partitions = partitions, .partitions_len = 1, .hits_max = 9};

	for (size_t i = 0; i < sizeof scores / sizeof scores[0]; i++) {
		struct node_answer answer;
		struct buffer text;
		struct arena arena;
		struct error error;

		arena_init(&arena, 4096);
		buffer_init(&text, SIZE_MAX);
		buffer_printf(
			&text,
			"{\"received\":[{\"p\":0,\"received\":1,\"state\":\"active\"}],\"total\":1,\"hits\":"
			"[{\"p\":0,\"ts\":1,\"seq\":1,\"id\":\"a\",\"score\":%s,\"doc\":{}}]}",
			scores[i]);
		CU_ASSERT_EQUAL(node_answer_parse(buffer_slice(&text), &question, &arena, &answer, &error),
		                ERROR_FORMAT);
		buffer_deinit(&text);
		arena_deinit(&arena);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"lists", test_lists},
		{"scores that are none", test_hostile_scores},
		CU_TEST_INFO_NULL,
	};

	return suite_run("federation", tests);
}
