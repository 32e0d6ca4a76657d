/*
 * Flights: a search on its way through two nodes, whose answers are the test's, and so are the alarms and what the view
 * knows. What is asked again, and when it ends.
 */
#include "query/core/documents_request.h"

#include "tests/unit/flight_bed.h"

/* ---- other requests ---- */

static void search_facet(const char *body)
{
	struct flight_request request = {.kind = FLIGHT_KIND_FACET};
	struct facet_search_request read;
	struct error_answer refusal;
	struct arena arena;

	arena_init(&arena, 1024);
	CU_ASSERT_EQUAL_FATAL(facet_search_request_from_body(slice_string(body), &arena, &read, &refusal), 0);
	request.search = read.search;
	request.facet = read.facet;
	depart(&request, &arena, 5000);
}

static void fetch(const char *body)
{
	struct flight_request request = {.kind = FLIGHT_KIND_DOCUMENTS};
	struct documents_request read;
	struct error_answer refusal;
	struct arena arena;

	arena_init(&arena, 1024);
	CU_ASSERT_EQUAL_FATAL(documents_request_from_body(slice_string(body), &arena, &read, &refusal), 0);
	CU_ASSERT_TRUE_FATAL(read.is_search);
	request.search = read.search;
	request.listing = read.listing;
	depart(&request, &arena, 5000);
}

/* The first query of several. */
static void search_federated(const char *body)
{
	struct flight_request request = {.kind = FLIGHT_KIND_FEDERATED};
	struct multi_search_request read;
	struct error_answer refusal;
	struct arena arena;

	arena_init(&arena, 1024);
	CU_ASSERT_EQUAL_FATAL(multi_search_request_from_body(slice_string(body), &arena, &read, &refusal), 0);
	request.search = read.queries[0].search;
	request.asks = federation_asks_of(&read, 0);
	depart(&request, &arena, 5000);
}

/* ---- rounds ---- */

static const char *const one_node[4] = {"n1", "n1", "n1", "n1"};

static void check_both(void)
{
	CU_ASSERT_TRUE_FATAL(world.landed && world.body != NULL);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(world.body, "{\"hits\":[{\"id\":\"two\"},{\"id\":\"one\"}],\"query\":"));
	CU_ASSERT_PTR_NOT_NULL(strstr(world.body, "\"estimatedTotalHits\":2,"));
}

static void test_one_round(void)
{
	open_world(two_nodes);
	search("{\"q\":\"a b\"}", 5000);
	answer("n1", "\"settings\":7,\"limit\":20,\"q\":\"a b\",\"stale\":false}", 200,
	       FIRST("\"terms\":2,\"known\":3,"));
	CU_ASSERT_FALSE(world.landed);
	answer("n2", "\"q\":\"a b\"", 200, SECOND("\"terms\":2,\"known\":3,"));
	check_both();
	CU_ASSERT_STRING_EQUAL(world.degraded, "");
	CU_ASSERT_EQUAL(world.asked_len, 2);
	close_world();
}

/* One of them had not ranked all when it was over; also if that was in a round before the last. */
static void test_cutoff(void)
{
	open_world(two_nodes);
	search("{\"q\":\"a b\"}", 5000);
	answer("n1", "", 200, FIRST("\"terms\":2,\"known\":3,"));
	answer("n2", "", 200, SECOND_CUT("\"terms\":2,\"known\":3,"));
	check_both();
	CU_ASSERT_STRING_EQUAL(world.degraded, "cutoff");
	close_world();
	open_world(two_nodes);
	search("{\"q\":\"a b\"}", 5000);
	answer("n1", "", 200, FIRST_CUT("\"terms\":2,\"known\":1,"));
	answer("n2", "", 200, SECOND("\"terms\":2,\"known\":2,"));
	answer("n1", "\"known\":3", 200, FIRST("\"terms\":2,\"known\":1,"));
	answer("n2", "\"known\":3", 200, SECOND("\"terms\":2,\"known\":2,"));
	check_both();
	CU_ASSERT_STRING_EQUAL(world.degraded, "cutoff");
	close_world();
	open_world(two_nodes);
	search("{\"q\":\"a b\"}", 5000);
	answer("n1", "", 200, FIRST_CUT("\"terms\":2,\"known\":3,"));
	answer("n2", "", 500, "oh");
	CU_ASSERT_STRING_EQUAL(world.degraded, "shards=packages/2,packages/3; cutoff");
	close_world();
}

/* What settings say, as far as the node has time for more than ranking. */
static void test_cutoff_asked(void)
{
	open_world(two_nodes);
	search("{\"q\":\"a\"}", 1000);
	for (size_t i = 0; i < world.asked_len; i++) {
		const struct asked *asked = &world.asked[i];
		char cutoff[64];

		(void)snprintf(cutoff, sizeof cutoff,
		               "{\"cutoff\":%d,\"shards\":", asked->deadline_ms - asked->deadline_ms / 4);
		CU_ASSERT_PTR_NOT_NULL(strstr(asked->body, cutoff));
	}
	answer("n1", "", 200, FIRST("\"terms\":1,\"known\":1,"));
	answer("n2", "", 200, SECOND("\"terms\":1,\"known\":1,"));
	close_world();
	open_world(two_nodes);
	set_settings("7", "{\"searchCutoffMs\":0}");
	world.snapshot.settings = world.settings;
	search("{\"q\":\"a\"}", 1000);
	answer("n1", "{\"cutoff\":0,\"shards\":", 200, FIRST("\"terms\":1,\"known\":1,"));
	answer("n2", "{\"cutoff\":0,\"shards\":", 200, SECOND("\"terms\":1,\"known\":1,"));
	check_both();
	close_world();
}

static void test_words_that_one_knows(void)
{
	open_world(two_nodes);
	search("{\"q\":\"a b\"}", 5000);
	answer("n1", "\"q\":\"a b\",\"stale\"", 200, FIRST("\"terms\":2,\"known\":1,"));
	answer("n2", "\"q\":\"a b\",\"stale\"", 200, SECOND("\"terms\":2,\"known\":2,"));
	CU_ASSERT_FALSE_FATAL(world.landed);
	CU_ASSERT_EQUAL(world.asked_len, 4);
	answer("n1", ",\"known\":3,\"stale\"", 200, FIRST("\"terms\":2,\"known\":1,"));
	/* whatever they say now: there are two rounds */
	answer("n2", ",\"known\":3,\"stale\"", 200, SECOND("\"terms\":2,\"known\":2,"));
	check_both();
	close_world();
}

static void test_rarest_term(void)
{
	open_world(two_nodes);
	search("{\"q\":\"a b\",\"matchingStrategy\":\"frequency\"}", 5000);
	answer("n1", "\"frequency\",\"stale\"", 200, FIRST("\"terms\":2,\"known\":3,\"frequencies\":[5,1],"));
	answer("n2", "\"frequency\",\"stale\"", 200,
	       SECOND("\"terms\":2,\"known\":3,\"frequencies\":[1,4],"));
	answer("n1", "\"known\":3,\"rarest\":1,", 200,
	       FIRST("\"terms\":2,\"known\":3,\"frequencies\":[5,1],"));
	answer("n2", "\"known\":3,\"rarest\":1,", 200,
	       SECOND("\"terms\":2,\"known\":3,\"frequencies\":[1,4],"));
	check_both();
	close_world();
}

static void test_one_node(void)
{
	open_world(one_node);
	search("{\"q\":\"a b\",\"matchingStrategy\":\"frequency\"}", 5000);
	answer("n1", "\"partitions\":[0,1,2,3]", 200,
	       "{\"received\":[" STANDING("0") "," STANDING("1") "," STANDING("2") "," STANDING(
		       "3") "],\"total\":0,\"terms\":2,\"known\":1,\"frequencies\":[5,0],\"hits\":[]}");
	CU_ASSERT_TRUE(world.landed && world.body != NULL);
	CU_ASSERT_EQUAL(world.asked_len, 1);
	close_world();
}

static void test_facets(void)
{
	open_world(two_nodes);
	search("{\"facets\":[\"f\"],\"hitsPerPage\":1,\"page\":2}", 5000);
	answer("n1", "\"limit\":2,\"facets\":[\"f\"],\"byPage\":true,", 200,
	       FIRST("\"facets\":{\"f\":{\"values\":[{\"key\":\"x\",\"value\":\"x\",\"count\":2}]}},"));
	answer("n2", "\"limit\":2,\"facets\":[\"f\"],\"byPage\":true,", 200,
	       SECOND("\"facets\":{\"f\":{\"values\":[{\"key\":\"x\",\"value\":\"X\",\"count\":3}],\"min\":1,"
	              "\"max\":2}},"));
	CU_ASSERT_TRUE_FATAL(world.landed && world.body != NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(world.body, "{\"hits\":[{\"id\":\"one\"}],\"query\":\"\","));
	CU_ASSERT_PTR_NOT_NULL(strstr(world.body,
	                              "\"hitsPerPage\":1,\"page\":2,\"totalPages\":2,\"totalHits\":2,"
	                              "\"facetDistribution\":{\"f\":{\"X\":5}},\"facetStats\":{\"f\":{"
	                              "\"min\":1,\"max\":2}},\"requestUid\":\""));
	close_world();
}

/* ---- what one node cannot know ---- */

#define STRING(key, value, count) "{\"key\":\"" key "\",\"value\":\"" value "\",\"count\":" count "}"
#define LISTED(rows) "\"facets\":{\"f\":{\"values\":[" rows "]}},"
#define ASIDE(a, b, said) "{" BEGIN(a, b) "\"hits\":[]," said "}"
#define SPELLED(list) "\"spellings\":{\"f\":[" list "]}"
#define AS(value) "\"" value "\""

static void ask_for_spellings(const char *parameters, int64_t left_ms)
{
	open_world(two_nodes);
	search(parameters, left_ms);
	answer("n1", "\"facets\"", 200, FIRST(LISTED(STRING("x", "x", "2") "," STRING("y", "y", "1"))));
	answer("n2", "\"facets\"", 200,
	       SECOND(LISTED(
		       STRING("y", "Y", "1") "," STRING("z", "z", "1") ",{\"key\":\"7\",\"number\":true,"
								       "\"value\":\"7\",\"count\":1}")));
	CU_ASSERT_FALSE_FATAL(world.landed);
	CU_ASSERT_EQUAL_FATAL(world.asked_len, 4);
}

static void check_distribution(const char *expected)
{
	check_both();
	CU_ASSERT_PTR_NOT_NULL(strstr(world.body, expected));
	close_world();
}

/* Both are asked for the values that one did not list, and nothing else. */
static void test_spellings(void)
{
	ask_for_spellings("{\"facets\":[\"f\"]}", 5000);
	answer("n1",
	       "\"partitions\":[0,1]}],\"limit\":0,\"spellings\":{\"f\":[\"x\",\"z\"]},\"stale\":false}", 200,
	       ASIDE("0", "1", SPELLED(AS("x") "," AS("Z"))));
	answer("n2", "\"spellings\":{\"f\":[\"x\",\"z\"]}", 200, ASIDE("2", "3", SPELLED("null," AS("z"))));
	check_distribution("\"facetDistribution\":{\"f\":{\"7\":1,\"x\":2,\"Y\":2,\"Z\":1}}");
}

/* What is lost, or is not what was asked for, changes nothing. */
static void test_spellings_lost(void)
{
	ask_for_spellings("{\"facets\":[\"f\"]}", 5000);
	answer("n1", "\"spellings\"", 200, ASIDE("0", "1", SPELLED(AS("X"))));
	answer("n2", "\"spellings\"", 409, LACKING("3"));
	check_distribution("\"facetDistribution\":{\"f\":{\"7\":1,\"x\":2,\"Y\":2,\"z\":1}}");
	ask_for_spellings("{\"facets\":[\"f\"]}", 5000);
	answer("n1", "\"spellings\"", 500, "");
	answer("n2", "\"spellings\"", 200, ASIDE("2", "3", SPELLED(AS("X") ",null")));
	check_distribution("\"facetDistribution\":{\"f\":{\"7\":1,\"X\":2,\"Y\":2,\"z\":1}}");
}

/* Who says nothing until the time is over is not waited for any longer; what it says then is not looked at. */
static void test_spellings_late(void)
{
	ask_for_spellings("{\"facets\":[\"f\"]}", 2000);
	answer("n1", "\"spellings\"", 200, ASIDE("0", "1", SPELLED(AS("x") "," AS("Z"))));
	while (!world.landed) {
		while (clock_monotonic_us() < world.alarm->at_us)
			sched_yield();
		ring();
	}
	answer("n2", "\"spellings\"", 200, ASIDE("2", "3", SPELLED(AS("X") ",null")));
	check_distribution("\"facetDistribution\":{\"f\":{\"7\":1,\"x\":2,\"Y\":2,\"Z\":1}}");
}

#define FOUND(a, b, rows) "{" BEGIN(a, b) "\"facetHits\":[" rows "]}"
#define VALUE(key, form, value) \
	"{\"key\":\"" key "\",\"form\":\"" form "\",\"value\":\"" value "\",\"count\":1}"

/* With another spelling a value stands where it stood. */
static void test_spellings_of_values(void)
{
	open_world(two_nodes);
	search_facet("{\"facetName\":\"f\",\"facetQuery\":\"a\"}");
	answer("n1", "\"facetQuery\":\"a\"", 200,
	       FOUND("0", "1", VALUE("aa", "e", "aa") "," VALUE("ab", "g", "ab")));
	answer("n2", "\"facetName\"", 200, FOUND("2", "3", VALUE("ab", "g", "ab")));
	answer("n1", "\"limit\":0,\"spellings\":{\"f\":[\"e\"]},", 200, ASIDE("0", "1", SPELLED(AS("aa"))));
	answer("n2", "\"spellings\":{\"f\":[\"e\"]},", 200, ASIDE("2", "3", SPELLED(AS("Ac"))));
	CU_ASSERT_TRUE_FATAL(world.landed && world.body != NULL);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(world.body,
	               "{\"facetHits\":[{\"value\":\"Ac\",\"count\":1},{\"value\":\"ab\",\"count\":2}],"));
	close_world();
}

/* Values stand where what is known of them puts them. */
static void test_spellings_of_values_lost(void)
{
	static const struct {
		int status;
		const char *said;
	} lost[] = {{500, ""},
	            {409, LACKING("3")},
	            {200, ASIDE("2", "3", SPELLED("{\"value\":7}"))},
	            {200, ASIDE("2", "3", SPELLED(""))}};

	for (size_t i = 0; i < sizeof lost / sizeof lost[0]; i++) {
		open_world(two_nodes);
		search_facet("{\"facetName\":\"f\",\"facetQuery\":\"a\"}");
		answer("n1", "\"facetQuery\":\"a\"", 200,
		       FOUND("0", "1", VALUE("aa", "e", "aa") "," VALUE("ab", "g", "ab")));
		answer("n2", "\"facetName\"", 200, FOUND("2", "3", VALUE("ab", "g", "ab")));
		answer("n1", "\"spellings\"", 200, ASIDE("0", "1", SPELLED(AS("aa"))));
		answer("n2", "\"spellings\"", lost[i].status, lost[i].said);
		CU_ASSERT_TRUE_FATAL(world.landed && world.body != NULL);
		CU_ASSERT_PTR_NOT_NULL(strstr(world.body, "{\"facetHits\":[{\"value\":\"aa\",\"count\":1},{"
		                                          "\"value\":\"ab\",\"count\":2}],"));
		close_world();
	}
}

static void refuse_searched(void)
{
	open_world(two_nodes);
	set_settings("8", "{\"searchableAttributes\":[\"t\",\"a\"],\"displayedAttributes\":[\"t\",\"a.b\"]}");
	world.snapshot.settings = world.settings;
	search("{\"attributesToSearchOn\":[\"b\"]}", 5000);
	CU_ASSERT_FALSE_FATAL(world.landed);
}

static void check_refused(const char *listed)
{
	CU_ASSERT_TRUE_FATAL(world.landed && world.body == NULL);
	CU_ASSERT_STRING_EQUAL(world.code, "invalid_search_attributes_to_search_on");
	CU_ASSERT_PTR_NOT_NULL(strstr(world.message, listed));
	if (strstr(world.message, listed) == NULL)
		printf("\n%s\n", world.message);
	close_world();
}

/* A refusal lists what documents know. */
static void test_paths_known(void)
{
	refuse_searched();
	answer("n1", "\"partitions\":[0,1]}],\"limit\":0,\"pathsKnown\":true,\"stale\":false}", 200,
	       ASIDE("0", "1", "\"pathsKnown\":[\"a\",\"a.b\",\"a.c\"]"));
	answer("n2", "\"pathsKnown\":true", 200, ASIDE("2", "3", "\"pathsKnown\":[\"a.b\",\"t\",\"tt\"]"));
	check_refused("Attribute `b` is not searchable. Available searchable attributes are: `a.b, t, "
	              "<..hidden-attributes>`.");
	refuse_searched();
	answer("n1", "\"pathsKnown\":true", 500, "");
	answer("n2", "\"pathsKnown\":true", 200, ASIDE("2", "3", "\"pathsKnown\":[7]"));
	check_refused("attributes are: `t, <..hidden-attributes>`.");
}

/* ---- other searches ---- */

#define VALUES(value, count) \
	"\"facetHits\":[{\"key\":\"x\",\"form\":\"x\",\"value\":\"" value "\",\"count\":" count "}]}"

/* Values, no hits and no total; asked again like any search, and then the first round is forgotten. */
static void test_values_of_a_facet(void)
{
	open_world(two_nodes);
	search_facet("{\"facetName\":\"f\",\"q\":\"a\"}");
	answer("n1", "\"settings\":7,\"limit\":0,\"q\":\"a\",\"facetName\":\"f\",\"stale\"", 200,
	       "{\"received\":[" STANDING("0") "," STANDING("1") "],\"terms\":1,\"known\":0," VALUES("x",
	                                                                                             "1"));
	answer("n2", "\"facetName\":\"f\"", 200,
	       "{\"received\":[" STANDING("2") "," STANDING("3") "],\"terms\":1,\"known\":1," VALUES("x",
	                                                                                             "1"));
	CU_ASSERT_FALSE_FATAL(world.landed);
	answer("n1", ",\"known\":1,", 200,
	       "{" BEGIN("0", "1") "\"terms\":1,\"known\":0,\"hits\":[]," VALUES("x", "2"));
	answer("n2", ",\"known\":1,", 200,
	       "{" BEGIN("2", "3") "\"terms\":1,\"known\":1,\"hits\":[]," VALUES("X", "3"));
	CU_ASSERT_TRUE_FATAL(world.landed && world.body != NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(world.body, "{\"facetHits\":[{\"value\":\"X\",\"count\":5}],"
	                                          "\"facetQuery\":null,\"processingTimeMs\":"));
	close_world();
}

static void test_documents(void)
{
	open_world(two_nodes);
	fetch("{\"filter\":\"f = 1\",\"limit\":1,\"offset\":1,\"fields\":[\"id\"]}");
	CU_ASSERT_PTR_NULL(strstr(world.asked[0].body, "cutoff"));
	answer("n1", "\"limit\":2,\"filter\":\"f = 1\",\"documents\":true,\"fields\":[\"id\"],\"stale\"", 200,
	       FIRST(""));
	answer("n2", "\"documents\":true", 200, SECOND(""));
	CU_ASSERT_TRUE_FATAL(world.landed && world.body != NULL);
	CU_ASSERT_STRING_EQUAL(world.body,
	                       "{\"results\":[{\"id\":\"one\"}],\"offset\":1,\"limit\":1,\"total\":2}");
	close_world();
}

/* Hits go to whoever makes the list of several queries, with their scores; facets stand in the body. */
static void test_query_of_several(void)
{
	open_world(two_nodes);
	search_federated("{\"federation\":{\"limit\":3,\"facetsByIndex\":{\"packages\":[\"f\"]}},\"queries\":"
	                 "[{\"indexUid\":\"packages\"}]}");
	answer("n1", "\"limit\":3,\"facets\":[\"f\"],\"scores\":true,\"stale\"", 200,
	       FIRST("\"facets\":{\"f\":{\"values\":[]}},"));
	answer("n2", "\"scores\":true", 200,
	       "{" BEGIN("2", "3") "\"facets\":{},\"hits\":[{\"p\":2,\"rank\":\"01\",\"ts\":1,\"seq\":0,"
	                           "\"id\":\"x\","
	                           "\"score\":[[1,2],\"0a\"],\"doc\":{\"id\":\"x\"}}]}");
	CU_ASSERT_TRUE_FATAL(world.landed && world.body != NULL);
	CU_ASSERT_STRING_EQUAL(world.body, "{\"facetDistribution\":{\"f\":{}},\"facetStats\":{}}");
	CU_ASSERT_STRING_EQUAL(world.first, "2 {\"id\":\"x\"}");
	CU_ASSERT_EQUAL(world.total, 2);
	CU_ASSERT_EQUAL(world.index_id, ID);
	close_world();
}

/* None of them asks a node for what the settings refuse, or for more than is given at once. */
static void test_others_refused(void)
{
	static const struct {
		void (*start)(const char *body);
		const char *body;
		const char *code;
		const char *message; /* NULL: not compared */
	} rows[] = {
		{search_facet, "{\"facetName\":\"g\"}", "invalid_facet_search_facet_name", NULL},
		{fetch, "{\"sort\":[\"g:asc\"]}", "invalid_document_sort",
	         "Attribute `g` is not sortable. This index does not have configured sortable attributes."},
		{fetch, "{\"ids\":[1],\"offset\":1,\"limit\":1000}", "bad_request", NULL},
		{fetch, "{\"ids\":[1],\"offset\":18446744073709551615}", "bad_request", NULL},
		{search_federated,
	         "{\"federation\":{\"distinct\":\"g\"},\"queries\":[{\"indexUid\":\"packages\"}]}",
	         "invalid_search_distinct", NULL},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		open_world(two_nodes);
		rows[i].start(rows[i].body);
		CU_ASSERT_TRUE(world.landed && world.body == NULL);
		CU_ASSERT_STRING_EQUAL(world.code, rows[i].code);
		if (rows[i].message != NULL)
			CU_ASSERT_STRING_EQUAL(world.message, rows[i].message);
		CU_ASSERT_EQUAL(world.asked_len, 0);
		close_world();
	}
}

/* ---- settings ---- */

static void test_refused_by_settings(void)
{
	open_world(two_nodes);
	search("{\"filter\":\"g = 1\"}", 5000);
	CU_ASSERT_TRUE(world.landed && world.body == NULL);
	CU_ASSERT_STRING_EQUAL(world.code, "invalid_search_filter");
	CU_ASSERT_STRING_EQUAL(world.message,
	                       "Index `packages`: Attribute `g` is not filterable. Available filterable "
	                       "attribute patterns are: `f`.");
	CU_ASSERT_EQUAL(world.asked_len, 0);
	close_world();
}

/* A node that will have them is asked again, and so are all others. */
static void test_node_behind(void)
{
	open_world(two_nodes);
	search("{\"q\":\"a\"}", 5000);
	for (int i = 0; i < 3; i++) {
		answer("n1", "\"settings\":7", 200, FIRST("\"terms\":1,\"known\":1,"));
		answer("n2", "\"settings\":7", 409, LACKING("6"));
		CU_ASSERT_FALSE_FATAL(world.landed);
		ring();
	}
	answer("n2", "\"settings\":7", 200, SECOND("\"terms\":1,\"known\":1,"));
	answer("n1", "\"settings\":7", 200, FIRST("\"terms\":1,\"known\":1,"));
	check_both();
	close_world();
}

/* A node that has later ones is waited for until this gateway has them too; they may refuse the search. */
static void test_gateway_behind(void)
{
	static const char *const searches[] = {"{\"q\":\"a\"}", "{\"q\":\"a\",\"filter\":\"f = 1\"}"};

	for (int i = 0; i < 2; i++) {
		struct view_settings *old;

		open_world(two_nodes);
		search(searches[i], 5000);
		answer("n1", "\"settings\":7", 409, LACKING("9"));
		answer("n2", "\"settings\":7", 200, SECOND("\"terms\":1,\"known\":1,"));
		ring();
		CU_ASSERT_EQUAL(world.asked_len, 2);
		old = world.settings;
		world.settings = NULL;
		set_settings("9", "{}");
		world.newer = (struct snapshot){world.bed.catalog, world.settings};
		world.has_newer = true;
		ring();
		if (i == 0) {
			answer("n1", "\"settings\":9", 200, FIRST("\"terms\":1,\"known\":1,"));
			answer("n2", "\"settings\":9", 200, SECOND("\"terms\":1,\"known\":1,"));
			check_both();
		}
		CU_ASSERT_TRUE(world.landed);
		CU_ASSERT_STRING_EQUAL(world.code, i == 0 ? "" : "invalid_search_filter");
		close_world();
		view_settings_free(old);
	}
}

/* Not for ever. */
static void test_settings_that_never_come(void)
{
	open_world(two_nodes);
	world.gateway.refuse_degraded = true;
	search("{\"q\":\"a\"}", 40);
	for (int i = 0; i < 1000 && !world.landed; i++) {
		if (world.asked_len > 0 && !world.asked[world.asked_len - 1].answered) {
			answer("n1", "\"settings\":7", 409, LACKING("-1"));
			answer("n2", "\"settings\":7", 200, SECOND("\"terms\":1,\"known\":1,"));
		}
		while (!world.landed && clock_monotonic_us() < world.alarm->at_us)
			;
		if (!world.landed)
			ring();
	}
	CU_ASSERT_TRUE(world.landed);
	CU_ASSERT_STRING_EQUAL(world.code, "unavailable");
	close_world();
}

static void test_409_of_something_else(void)
{
	open_world(two_nodes);
	world.gateway.refuse_degraded = true;
	search("{\"q\":\"a\"}", 5000);
	answer("n1", "", 409, "{\"code\":\"other\"}");
	answer("n2", "", 200, SECOND("\"terms\":1,\"known\":1,"));
	CU_ASSERT_TRUE(world.landed);
	CU_ASSERT_STRING_EQUAL(world.code, "unavailable");
	close_world();
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"one round", test_one_round},
		{"the cutoff", test_cutoff},
		{"the cutoff asked for", test_cutoff_asked},
		{"values of a facet", test_values_of_a_facet},
		{"documents", test_documents},
		{"a query of several", test_query_of_several},
		{"other searches refused", test_others_refused},
		{"words that one node knows", test_words_that_one_knows},
		{"the rarest term", test_rarest_term},
		{"one node", test_one_node},
		{"facets", test_facets},
		{"spellings", test_spellings},
		{"spellings that are lost", test_spellings_lost},
		{"spellings that come late", test_spellings_late},
		{"spellings of a facet's values", test_spellings_of_values},
		{"spellings of a facet's values that are lost", test_spellings_of_values_lost},
		{"paths known", test_paths_known},
		{"refused by settings", test_refused_by_settings},
		{"a node that is behind", test_node_behind},
		{"a gateway that is behind", test_gateway_behind},
		{"settings that never come", test_settings_that_never_come},
		{"409 of something else", test_409_of_something_else},
		CU_TEST_INFO_NULL,
	};
	struct error error;

	if (balance_open(&world.gateway.balance, &error) < 0)
		return 1;
	return suite_run("flight", tests);
}
