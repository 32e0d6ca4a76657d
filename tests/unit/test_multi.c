/*
 * Several searches at once: their flights land in any order, as the test lets them, and one answer comes of all.
 */
#include "query/multi.h"

#include "query/flight.h"
#include "tests/unit/settings_bed.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define FLIGHTS 5

static struct {
	struct flight_request flights[FLIGHTS];
	struct arena arenas[FLIGHTS];
	size_t len;
	const char *token;
	const struct settings *settings;
	int answers;
	int status;
	char *body;
	char headers[256];
	int snapshots;
} world;

/* ---- what it calls ---- */

const char *http_request_header(const struct http_request *request, const char *name)
{
	(void)request;
	(void)name;
	return world.token;
}

const char *http_request_id(const struct http_request *request)
{
	(void)request;
	return "r";
}

void snapshot_release(const struct snapshot *snapshot)
{
	world.snapshots -= snapshot != NULL;
}

int gateway_resolve(const struct exchange *exchange, struct slice uid, const struct snapshot **snapshot,
                    const struct index_record **index, struct error_answer *refusal)
{
	static const struct snapshot taken;
	static const struct index_record record = {.id = 7};

	(void)exchange;
	if (slice_equal(uid, slice_string("missing")))
		return error_answer_set(refusal, "index_not_found", "Index `missing` not found.");
	world.snapshots++;
	*snapshot = &taken;
	*index = &record;
	return 0;
}

struct index_settings view_settings_of(const struct view_settings *settings, uint64_t index_id)
{
	(void)settings;
	(void)index_id;
	return (struct index_settings){.settings = world.settings};
}

static void note_answer(int status, struct slice body)
{
	world.answers++;
	world.status = status;
	world.body = strndup((const char *)body.ptr, body.len);
}

void gateway_respond(const struct exchange *exchange, int status, struct buffer *body,
                     const char *extra_headers)
{
	(void)exchange;
	CU_ASSERT_FALSE(buffer_failed(body));
	note_answer(status, buffer_slice(body));
	(void)snprintf(world.headers, sizeof world.headers, "%s", extra_headers != NULL ? extra_headers : "");
	buffer_deinit(body);
}

void gateway_respond_error(const struct exchange *exchange, const struct error_answer *refusal)
{
	(void)exchange;
	note_answer(refusal->status, slice_string(refusal->message));
}

void flight_start(const struct flight_request *request)
{
	CU_ASSERT_FATAL(world.len < FLIGHTS);
	world.arenas[world.len] = *request->arena;
	world.flights[world.len++] = *request;
}

/* ---- a world ---- */

static void ask(const char *body)
{
	struct exchange exchange = {.route = "/multi-search"};
	struct multi_search_request request;
	struct error_answer refusal;
	struct arena arena;
	const char *token = world.token;
	const struct settings *settings = world.settings;

	memset(&world, 0, sizeof world);
	world.token = token;
	world.settings = settings;
	arena_init(&arena, 4096);
	CU_ASSERT_EQUAL_FATAL(multi_search_request_from_body(slice_string(body), &arena, &request, &refusal),
	                      0);
	multi_search(&exchange, &request, &arena);
}

static void land(size_t at, struct flight_outcome *outcome, const char *body)
{
	const struct flight_request *flight = &world.flights[at];

	buffer_init(&outcome->body, 4096);
	buffer_append_string(&outcome->body, body);
	flight->completion(flight->context, outcome);
	buffer_deinit(&outcome->body);
	arena_deinit(&world.arenas[at]);
	snapshot_release(flight->snapshot);
}

static void land_well(size_t at, const char *body)
{
	struct flight_outcome outcome = {.degraded = ""};

	land(at, &outcome, body);
}

static void land_refused(size_t at, const char *code)
{
	struct error_answer refusal;
	struct flight_outcome outcome = {.refusal = &refusal, .degraded = ""};

	(void)error_answer_set(&refusal, code, "no %zu", at);
	land(at, &outcome, "");
}

/* The one answer; then nothing is left. */
static void check(int status, const char *body)
{
	CU_ASSERT_EQUAL_FATAL(world.answers, 1);
	CU_ASSERT_EQUAL(world.status, status);
	CU_ASSERT_STRING_EQUAL(world.body, body);
	CU_ASSERT_EQUAL(world.snapshots, 0);
	free(world.body);
}

#define THREE "{\"queries\":[{\"indexUid\":\"a\",\"q\":\"x\"},{\"indexUid\":\"b\"},{\"indexUid\":\"a\"}]}"

static void test_side_by_side(void)
{
	ask(THREE);
	CU_ASSERT_EQUAL_FATAL(world.len, 3);
	CU_ASSERT_EQUAL(world.flights[0].kind, FLIGHT_KIND_SEARCH);
	CU_ASSERT_TRUE(slice_equal(world.flights[0].search.asked, slice_string(",\"q\":\"x\"")));
	land_well(2, "{\"hits\":[3]}");
	land_well(0, "{\"hits\":[1]}");
	CU_ASSERT_EQUAL(world.answers, 0);
	land_well(1, "{\"hits\":[2]}");
	check(200, "{\"results\":[{\"indexUid\":\"a\",\"hits\":[1]},{\"indexUid\":\"b\",\"hits\":[2]},"
	           "{\"indexUid\":\"a\",\"hits\":[3]}]}");
	CU_ASSERT_STRING_EQUAL(world.headers, "");
}

/* The first by place is told, whichever came first, when all have landed. */
static void test_one_refused(void)
{
	ask(THREE);
	land_refused(2, "invalid_search_filter");
	land_refused(1, "index_not_found");
	CU_ASSERT_EQUAL(world.answers, 0);
	land_well(0, "{\"hits\":[]}");
	check(400, "Inside `.queries[1]`: no 1");
	ask(THREE);
	land_well(0, "{\"hits\":[]}");
	land_refused(1, "unavailable");
	land_refused(2, "invalid_search_filter");
	check(503, "Inside `.queries[1]`: no 1");
}

static void test_degraded(void)
{
	ask(THREE);
	for (size_t i = 0; i < 3; i++) {
		struct flight_outcome outcome = {.degraded = i == 0   ? ""
		                                             : i == 1 ? "shards=b/0"
		                                                      : "stale=a/1"};

		land(i, &outcome, "{\"hits\":[]}");
	}
	CU_ASSERT_STRING_EQUAL(world.headers, "X-Millrace-Degraded: shards=b/0; stale=a/1");
	check(200, "{\"results\":[{\"indexUid\":\"a\",\"hits\":[]},{\"indexUid\":\"b\",\"hits\":[]},"
	           "{\"indexUid\":\"a\",\"hits\":[]}]}");
}

/* Hits are the flights' only until they have landed. */
static void test_federated(void)
{
	static const struct node_score scores[2] = {{.rank = 1, .highest = 2}, {.rank = 2, .highest = 2}};
	static const char start[] =
		"{\"hits\":[{\"x\":1,\"_federation\":{\"indexUid\":\"b\",\"queriesPosition\":1,"
		"\"weightedRankingScore\":1.0}},{\"x\":0,\"_federation\":{\"indexUid\":\"a\","
		"\"queriesPosition\":0,\"weightedRankingScore\":0.5}}],\"processingTimeMs\":";

	ask("{\"federation\":{\"distinct\":\"k\"},\"queries\":[{\"indexUid\":\"a\"},{\"indexUid\":\"b\"}]}");
	CU_ASSERT_EQUAL_FATAL(world.len, 2);
	for (size_t i = 0; i < 2; i++) {
		char document[] = "{\"x\":?}";
		struct node_hit hit = {.id = slice_string("i"),
		                       .document = slice_string(document),
		                       .scores = &scores[i],
		                       .scores_len = 1};
		struct flight_outcome outcome = {
			.degraded = "", .hits = &hit, .hits_len = 1, .total = 1, .index_id = i};

		CU_ASSERT_EQUAL(world.flights[i].kind, FLIGHT_KIND_FEDERATED);
		CU_ASSERT_TRUE(slice_equal(world.flights[i].asks.distinct, slice_string("k")));
		document[5] = (char)('0' + i);
		land(i, &outcome, "");
		memset(document, 'z', sizeof document);
	}
	CU_ASSERT_EQUAL_FATAL(world.answers, 1);
	CU_ASSERT_EQUAL(strncmp(world.body, start, strlen(start)), 0);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(world.body, ",\"limit\":20,\"offset\":0,\"estimatedTotalHits\":2,\"requestUid\":\""));
	CU_ASSERT_EQUAL(world.snapshots, 0);
	free(world.body);
}

static void land_counted(size_t at, const char *id, const char *counted)
{
	static const struct node_score score = {.rank = 1, .highest = 1};
	struct node_hit hit = {
		.id = slice_string(id), .document = slice_string("{}"), .scores = &score, .scores_len = 1};
	struct flight_outcome outcome = {.degraded = "",
	                                 .hits = &hit,
	                                 .hits_len = 1,
	                                 .total = 3,
	                                 .index_id = 7,
	                                 .counted = slice_string(counted)};

	land(at, &outcome, "");
}

static void land_total(size_t at, int64_t total, const char *facets)
{
	struct flight_outcome outcome = {.degraded = "", .total = total, .index_id = 7};

	land(at, &outcome, facets);
}

static void check_tail(const char *tail)
{
	CU_ASSERT_EQUAL_FATAL(world.answers, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(world.body, tail));
	CU_ASSERT_EQUAL(world.snapshots, 0);
	free(world.body);
}

/* What two queries of an index count is asked for when all queries have landed; what one counts it says itself. */
static void test_counted_together(void)
{
	ask("{\"federation\":{\"facetsByIndex\":{\"a\":[\"k\"]}},\"queries\":[{\"indexUid\":\"a\"},{"
	    "\"indexUid\":"
	    "\"b\"},{\"indexUid\":\"a\"}]}");
	CU_ASSERT_EQUAL_FATAL(world.len, 3);
	for (size_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(world.flights[i].tells_counted, i != 1);
		CU_ASSERT_EQUAL(world.flights[i].search.facets.len, 0);
		CU_ASSERT_EQUAL(world.flights[i].asks.facets.len, i != 1);
	}
	land_counted(2, "x", "{\"q\":2}");
	land_counted(1, "x", "");
	CU_ASSERT_EQUAL(world.len, 3);
	land_counted(0, "y", "{\"q\":1}");
	CU_ASSERT_EQUAL_FATAL(world.len, 4);
	CU_ASSERT_EQUAL(world.flights[3].kind, FLIGHT_KIND_FEDERATED);
	CU_ASSERT_TRUE(world.flights[3].counts);
	CU_ASSERT_EQUAL(world.flights[3].search.facets.len, 1);
	CU_ASSERT_TRUE(slice_equal(world.flights[3].search.asked,
	                           slice_string(",\"documents\":true,\"ids\":[],\"union\":[{\"q\":2},"
	                                        "{\"q\":1}],\"facets\":[\"k\"]")));
	CU_ASSERT_EQUAL(world.answers, 0);
	land_total(3, 5, "{\"facetDistribution\":{\"k\":{\"v\":5}},\"facetStats\":{}}");
	check_tail("\"estimatedTotalHits\":8,\"facetsByIndex\":{\"a\":{\"distribution\":{\"k\":{\"v\":5}},"
	           "\"stats\":{}}},\"requestUid\":");
}

/* An index without patterns shows that it has no facets. */
static void test_no_facets(void)
{
	ask("{\"federation\":{\"facetsByIndex\":{\"a\":[]}},\"queries\":[{\"indexUid\":\"a\"}]}");
	land_counted(0, "x", "");
	check_tail("\"estimatedTotalHits\":3,\"facetsByIndex\":{\"a\":{\"distribution\":{},\"stats\":{}}},");
}

/* Facets of a list without repetitions are those of its documents, its total is their number. */
static void test_counted_list(void)
{
	ask("{\"federation\":{\"distinct\":\"d\",\"facetsByIndex\":{\"a\":[\"k\"]}},\"queries\":[{"
	    "\"indexUid\":"
	    "\"a\"},{\"indexUid\":\"a\"}]}");
	CU_ASSERT_EQUAL_FATAL(world.len, 2);
	CU_ASSERT_FALSE(world.flights[0].tells_counted);
	land_counted(0, "x", "");
	land_counted(1, "y", "");
	CU_ASSERT_EQUAL_FATAL(world.len, 3);
	CU_ASSERT_TRUE(slice_equal(world.flights[2].search.asked,
	                           slice_string(",\"documents\":true,\"ids\":[],\"union\":[{\"documents\":"
	                                        "true,\"ids\":[\"x\",\"y\"]}],\"facets\":[\"k\"]")));
	land_total(2, 9, "{\"facetDistribution\":{},\"facetStats\":{}}");
	check_tail("\"estimatedTotalHits\":2,\"facetsByIndex\"");
}

/* A count that is refused refuses the whole; after a refusal nothing is counted. */
static void test_count_refused(void)
{
	static const char body[] = "{\"federation\":{},\"queries\":[{\"indexUid\":\"b\"},{\"indexUid\":\"a\"}"
				   ",{\"indexUid\":\"a\"}]}";

	ask(body);
	for (size_t i = 0; i < 3; i++)
		land_counted(i, "x", "{}");
	CU_ASSERT_EQUAL_FATAL(world.len, 4);
	land_refused(3, "unavailable");
	check(503, "Inside `.queries[1]`: no 3");
	ask(body);
	land_counted(0, "x", "{}");
	land_refused(1, "unavailable");
	land_counted(2, "x", "{}");
	CU_ASSERT_EQUAL(world.len, 3);
	check(503, "Inside `.queries[1]`: no 1");
}

/* What cannot be compared with what stands before it does not fly; what is wrong before it is said first. */
static void test_unlike_rules(void)
{
	static const char body[] = "{\"federation\":{},\"queries\":[{\"indexUid\":\"a\",\"q\":\"x\"},{"
				   "\"indexUid\":\"b\",\"sort\":["
				   "\"n:asc\"]},{\"indexUid\":\"a\"}]}";
	struct arena arena;

	arena_init(&arena, 4096);
	world.settings = settings_bed(
		"{\"rankingRules\":[\"words\",\"sort\"],\"sortableAttributes\":[\"n\"]}", &arena);
	ask(body);
	CU_ASSERT_EQUAL_FATAL(world.len, 1);
	land_counted(0, "x", "{}");
	check(400, "Inside `.queries[1]`: The results of queries #0 and #1 are incompatible: \n"
	           "  1. `queries[0]`, `a`: relevancy\n  2. `queries[1]`, `b`: ascending sort\n"
	           "  - cannot compare a relevancy rule with a sort rule\n");
	ask(body);
	land_refused(0, "invalid_search_filter");
	check(400, "Inside `.queries[0]`: no 0");
	world.settings = NULL;
	arena_deinit(&arena);
}

static void test_nothing_flies(void)
{
	static const struct {
		const char *body;
		const char *token;
		int status;
		const char *answer;
	} rows[] = {
		{"{\"queries\":[]}", NULL, 200, "{\"results\":[]}"},
		{"{\"queries\":[{\"indexUid\":\"a\"},{\"indexUid\":\"missing\"}]}", NULL, 400,
	         "Inside `.queries[1]`: Index `missing` not found."},
		{"{\"queries\":[{\"indexUid\":\"a\"},{\"indexUid\":\"a\",\"federationOptions\":{}}]}", NULL,
	         400,
	         "Inside `.queries[1]`: Using `federationOptions` is not allowed in a non-federated search.\n"
	         " - Hint: remove `federationOptions` from the query or add `federation` to the request."},
		{"{\"queries\":[{\"indexUid\":\"a\"}]}", "1;0@5", 400,
	         "A consistency token speaks of one index: a multi-search takes none."},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		world.token = rows[i].token;
		ask(rows[i].body);
		CU_ASSERT_EQUAL(world.len, 0);
		check(rows[i].status, rows[i].answer);
		world.token = NULL;
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"side by side", test_side_by_side},
		{"one is refused", test_one_refused},
		{"what is not whole", test_degraded},
		{"a federated list", test_federated},
		{"what queries of an index count", test_counted_together},
		{"what a list without repetitions counts", test_counted_list},
		{"no facets", test_no_facets},
		{"a count that is refused", test_count_refused},
		{"rules that cannot be compared", test_unlike_rules},
		{"nothing flies", test_nothing_flies},
		CU_TEST_INFO_NULL,
	};

	return suite_run("multi", tests);
}
