/*
 * What no node can know by itself: which hits are shown, and which documents count, where hits repeat values over several
 * nodes or a threshold ends what is wanted.
 */
#include "tests/unit/flight_bed.h"

#define LISTED(p, rank, id, values) \
	"{\"p\":" p ",\"rank\":\"" rank "\",\"ts\":1,\"seq\":0,\"id\":\"" id "\",\"distinct\":" values \
	",\"score\":[[1,2]],\"doc\":{\"id\":\"" id "\"}}"
#define HITS(a, b, hits) "{" BEGIN(a, b) "\"terms\":1,\"known\":1,\"hits\":[" hits "]}"
#define FACETS(a, b, count, hits) \
	"{" BEGIN( \
		a, \
		b) "\"terms\":1,\"known\":1,\"facets\":{\"f\":{\"values\":[{\"key\":\"x\",\"value\":\"x\"," \
		   "\"count\":" count "}]}},\"hits\":[" hits "]}"
#define CUT(rank, id) "\"cut\":{\"rank\":\"" rank "\",\"ts\":1,\"seq\":0,\"id\":\"" id "\"}"

static const char *const one_node[4] = {"n1", "n1", "n1", "n1"};

static void check_body(const char *part)
{
	CU_ASSERT_TRUE_FATAL(world.landed && world.body != NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(world.body, part));
	if (strstr(world.body, part) == NULL)
		printf("\n%s lacks %s\n", world.body, part);
}

/* Hits are told with their values; the page is asked for by ids, facets are of all that count. */
static void test_distinct(void)
{
	open_world(two_nodes);
	search("{\"q\":\"a\",\"distinct\":\"f\",\"limit\":1,\"facets\":[\"f\"]}", 5000);
	answer("n1", "\"facets\":[\"f\"],\"equal\":true,", 200,
	       FACETS("0", "1", "9",
	              LISTED("0", "01", "one", "[\"aa\"]") "," LISTED("0", "03", "two", "[\"aa\",\"bb\"]")));
	answer("n2", "\"equal\":true", 200,
	       FACETS("2", "3", "9",
	              LISTED("2", "02", "three", "[\"aa\"]") "," LISTED("2", "04", "four", "[\"bb\"]")));
	answer("n1",
	       "\"ids\":[\"one\"],\"union\":[{\"documents\":true,\"ids\":[\"one\",\"four\"]}],\"stale\"", 200,
	       FACETS("0", "1", "1", LISTED("0", "01", "one", "[\"aa\"]")));
	answer("n2", "\"ids\":[\"one\"],\"union\"", 200, FACETS("2", "3", "1", ""));
	check_body("{\"hits\":[{\"id\":\"one\"}],");
	check_body("\"estimatedTotalHits\":2,\"facetDistribution\":{\"f\":{\"x\":2}}");
	close_world();
}

/* Behind the hits that are wanted, equal ones too, what is below the threshold counts, once for each value. */
static void test_distinct_and_threshold(void)
{
	open_world(two_nodes);
	search("{\"q\":\"a\",\"distinct\":\"f\",\"limit\":2,\"rankingScoreThreshold\":0.5}", 5000);
	answer("n1", "\"equal\":true,\"stale\"", 200,
	       HITS("0", "1",
	            LISTED("0", "01", "one", "[\"aa\"]") "," LISTED("0", "02", "three", "[\"aa\"]")));
	answer("n2", "\"equal\":true,\"stale\"", 200, HITS("2", "3", LISTED("2", "03", "two", "[\"bb\"]")));
	answer("n1", "\"equal\":true," CUT("02", "three") ",", 200,
	       HITS("0", "1",
	            LISTED("0", "01", "one", "[\"aa\"]") "," LISTED("0", "02", "three", "[\"aa\"]")));
	answer("n2", "\"equal\":true," CUT("02", "three") ",", 200,
	       HITS("2", "3",
	            LISTED("2", "03", "two", "[\"bb\"]") "," LISTED("2", "07", "low", "[\"cc\"]") "," LISTED(
			    "2", "08", "lower", "[\"bb\"]")));
	answer("n1", "\"ids\":[\"one\",\"two\"],\"stale\"", 200,
	       HITS("0", "1", LISTED("0", "01", "one", "[\"aa\"]")));
	answer("n2", "\"ids\":[\"one\",\"two\"],\"stale\"", 200,
	       HITS("2", "3", LISTED("2", "03", "two", "[\"bb\"]")));
	check_body("{\"hits\":[{\"id\":\"one\"},{\"id\":\"two\"}],");
	check_body("\"estimatedTotalHits\":3,");
	close_world();
}

/* With fewer hits than are wanted, or by page, nothing below the threshold counts. */
static void test_nothing_behind(void)
{
	static const char *const bodies[] = {
		"{\"q\":\"a\",\"distinct\":\"f\",\"limit\":9,\"rankingScoreThreshold\":0.5}",
		"{\"q\":\"a\",\"distinct\":\"f\",\"hitsPerPage\":1,\"rankingScoreThreshold\":0.5}",
	};

	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		open_world(two_nodes);
		search(bodies[i], 5000);
		answer("n1", "\"equal\":true", 200, HITS("0", "1", LISTED("0", "01", "one", "[\"aa\"]")));
		answer("n2", "\"equal\":true", 200, HITS("2", "3", LISTED("2", "02", "two", "[\"aa\"]")));
		answer("n1", "\"ids\":[\"one\"],\"stale\"", 200,
		       HITS("0", "1", LISTED("0", "01", "one", "[\"aa\"]")));
		answer("n2", "\"ids\":[\"one\"],\"stale\"", 200, HITS("2", "3", ""));
		check_body(i == 0 ? "\"estimatedTotalHits\":1," : "\"totalHits\":1,");
		close_world();
	}
}

/* ---- what a query of several counts ---- */

static void search_counted(const char *body)
{
	struct flight_request request = {.kind = FLIGHT_KIND_FEDERATED, .tells_counted = true};
	struct multi_search_request read;
	struct error_answer refusal;
	struct arena arena;

	arena_init(&arena, 1024);
	CU_ASSERT_EQUAL_FATAL(multi_search_request_from_body(slice_string(body), &arena, &read, &refusal), 0);
	request.search = read.queries[0].search;
	depart(&request, &arena, 5000);
}

#define QUERY(members) \
	"{\"federation\":{\"limit\":1},\"queries\":[{\"indexUid\":\"packages\",\"q\":\"a\"" members "}]}"

/* What is told of words and of the cut goes along: other nodes may be asked. */
static void test_tells_question(void)
{
	open_world(two_nodes);
	search_counted(QUERY(""));
	answer("n1", "\"limit\":1,\"q\":\"a\",\"scores\":true,\"stale\"", 200,
	       "{" BEGIN("0", "1") "\"terms\":1,\"known\":0,\"hits\":[]}");
	answer("n2", "\"q\":\"a\"", 200, "{" BEGIN("2", "3") "\"terms\":1,\"known\":1,\"hits\":[]}");
	answer("n1", "\"known\":1", 200, HITS("0", "1", ""));
	answer("n2", "\"known\":1", 200, HITS("2", "3", LISTED("2", "02", "one", "[]")));
	CU_ASSERT_TRUE_FATAL(world.landed && world.body != NULL);
	CU_ASSERT_STRING_EQUAL(world.counted, "{\"limit\":0,\"q\":\"a\",\"scores\":true,\"known\":1}");
	close_world();
	open_world(one_node);
	search_counted(QUERY(",\"rankingScoreThreshold\":0.5"));
	answer("n1", "\"q\":\"a\"", 200,
	       "{\"received\":[" STANDING("0") "," STANDING("1") "," STANDING("2") "," STANDING(
		       "3") "],\"total\":7,\"terms\":1,\"known\":1,\"hits\":[" LISTED("2", "02", "one",
	                                                                              "[]") "]}");
	CU_ASSERT_TRUE_FATAL(world.landed && world.body != NULL);
	CU_ASSERT_STRING_EQUAL(world.counted, "{\"limit\":1,\"q\":\"a\",\"rankingScoreThreshold\":0.5,"
	                                      "\"scores\":true," CUT("02", "one") "}");
	close_world();
}

/* What is distinct is told by ids, of one node too. */
static void test_tells_ids(void)
{
	open_world(one_node);
	search_counted(QUERY(",\"distinct\":\"f\""));
	answer("n1", "\"equal\":true", 200,
	       "{\"received\":[" STANDING("0") "," STANDING("1") "," STANDING("2") "," STANDING(
		       "3") "],\"total\":2,\"terms\":1,\"known\":1,"
	                    "\"hits\":[" LISTED("2", "02", "one", "[\"aa\"]") "," LISTED(
				    "0",
				    "0"
				    "3",
				    "t"
				    "w"
				    "o",
				    "["
				    "\"aa\"]") "," LISTED("0", "04", "three", "[]") "]}");
	answer("n1", "\"ids\":[\"one\"],\"stale\"", 200,
	       "{\"received\":[" STANDING("0") "," STANDING("1") "," STANDING("2") "," STANDING(
		       "3") "],\"total\":1,\"terms\":1,\"known\":1,\"hits\":[" LISTED("2", "02", "one",
	                                                                              "[\"aa\"]") "]}");
	CU_ASSERT_TRUE_FATAL(world.landed && world.body != NULL);
	CU_ASSERT_STRING_EQUAL(world.counted, "{\"documents\":true,\"ids\":[\"one\",\"three\"]}");
	CU_ASSERT_EQUAL(world.total, 2);
	close_world();
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"distinct", test_distinct},
		{"distinct and a threshold", test_distinct_and_threshold},
		{"nothing behind a threshold", test_nothing_behind},
		{"a query that is told as it was asked", test_tells_question},
		{"a query that is told by ids", test_tells_ids},
		CU_TEST_INFO_NULL,
	};
	struct error error;

	if (balance_open(&world.gateway.balance, &error) < 0)
		return 1;
	return suite_run("flight_settle", tests);
}
