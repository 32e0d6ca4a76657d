/*
 * Flights that are explained: their rounds, what nodes said in each, and what the search would have been refused with.
 */
#include "tests/unit/flight_bed.h"

static void depart_explained(const char *const replicas[4], const char *body)
{
	open_world(replicas);
	world.explain = true;
	search(body, 5000);
}

static void expect_part(const char *part)
{
	CU_ASSERT_TRUE_FATAL(world.landed && world.body != NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(world.body, part));
	if (strstr(world.body, part) == NULL)
		printf("\n%s\nlacks\n%s\n", world.body, part);
}

static size_t count_of(const char *part)
{
	size_t count = 0;

	for (const char *at = strstr(world.body, part); at != NULL; at = strstr(at + 1, part))
		count++;
	return count;
}

static void test_one_round(void)
{
	depart_explained(two_nodes, "{\"q\":\"a b\"}");
	answer("n1", "\"q\":\"a b\"", 200, FIRST("\"terms\":2,\"known\":3,"));
	answer("n2", "\"q\":\"a b\"", 200, SECOND("\"terms\":2,\"known\":3,"));
	expect_part(
		"{\"indexUid\":\"packages\",\"index\":\"00000000000000aa\",\"generation\":1,\"settings\":7,"
		"\"rounds\":[{\"reason\":\"search\",\"settings\":7,\"group\":null,\"plan\":[{\"partition\":"
		"0,");
	expect_part("\"shards\":[{\"partition\":0,\"node\":\"n1\",\"stale\":false,\"hedge\":false,\"status\":"
	            "\"answered\",\"tookMs\":");
	expect_part("]}],\"missing\":[],\"error\":null,\"totalHits\":2,\"terms\":2,\"processingTimeMs\":");
	CU_ASSERT_EQUAL(count_of("\"status\":\"answered\""), 4);
	CU_ASSERT_EQUAL(count_of("\"reason\""), 1);
	CU_ASSERT_EQUAL(count_of("hits"), 0);
	close_world();
}

/* In their order. */
static void test_two_rounds(void)
{
	const char *known;

	depart_explained(two_nodes, "{\"q\":\"a b\"}");
	answer("n1", "", 200, FIRST("\"terms\":2,\"known\":1,"));
	answer("n2", "", 200, SECOND("\"terms\":2,\"known\":2,"));
	answer("n1", "\"known\":3", 200, FIRST("\"terms\":2,\"known\":1,"));
	answer("n2", "\"known\":3", 200, SECOND("\"terms\":2,\"known\":2,"));
	expect_part("\"rounds\":[{\"reason\":\"search\",");
	known = strstr(world.body, "]},{\"reason\":\"known\",\"settings\":7,");
	CU_ASSERT_PTR_NOT_NULL_FATAL(known);
	CU_ASSERT_PTR_NOT_NULL(strstr(known, "\"status\":\"answered\""));
	CU_ASSERT_EQUAL(count_of("\"status\":\"answered\""), 8);
	close_world();
}

/* Of a node that had not ranked all when it was over. */
static void test_cutoff(void)
{
	depart_explained(two_nodes, "{\"q\":\"a b\"}");
	answer("n1", "", 200, FIRST("\"terms\":2,\"known\":3,"));
	answer("n2", "", 200, SECOND_CUT("\"terms\":2,\"known\":3,"));
	expect_part(
		"{\"partition\":3,\"node\":\"n2\",\"stale\":false,\"hedge\":false,\"status\":\"answered\","
		"\"reason\":\"cutoff\",\"tookMs\":");
	CU_ASSERT_EQUAL(count_of("cutoff"), 2);
	close_world();
}

static void test_rarest(void)
{
	depart_explained(two_nodes, "{\"q\":\"a b\",\"matchingStrategy\":\"frequency\"}");
	for (int round = 0; round < 2; round++) {
		answer("n1", "", 200, FIRST("\"terms\":2,\"known\":3,\"frequencies\":[5,1],"));
		answer("n2", "", 200, SECOND("\"terms\":2,\"known\":3,\"frequencies\":[1,4],"));
	}
	expect_part("]},{\"reason\":\"rarest\",");
	close_world();
}

/* Whoever has other settings is waited for; each round says what it asked for. */
static void test_settings(void)
{
	depart_explained(two_nodes, "{\"q\":\"a\"}");
	answer("n1", "", 200, FIRST("\"terms\":1,\"known\":1,"));
	answer("n2", "", 409, LACKING("6"));
	ring();
	answer("n1", "", 200, FIRST("\"terms\":1,\"known\":1,"));
	answer("n2", "", 200, SECOND("\"terms\":1,\"known\":1,"));
	expect_part("{\"partition\":2,\"node\":\"n2\",\"stale\":false,\"hedge\":false,\"status\":\"refused\","
	            "\"reason\":\"settings 6\",\"tookMs\":");
	expect_part("]},{\"reason\":\"settings\",\"settings\":7,");
	expect_part("],\"missing\":[],\"error\":null,\"totalHits\":2,");
	close_world();
}

/* That is when it is asked for. */
static void test_unavailable(void)
{
	open_world(two_nodes);
	world.explain = true;
	world.gateway.refuse_degraded = true;
	search("{\"q\":\"a\"}", 5000);
	answer("n1", "", 200, FIRST("\"terms\":1,\"known\":1,"));
	answer("n2", "", 500, "oh \"no\"");
	expect_part("{\"partition\":3,\"node\":\"n2\",\"stale\":false,\"hedge\":false,\"status\":\"failed\","
	            "\"reason\":\"status 500: oh \\\"no\\\"\",\"tookMs\":");
	expect_part("],\"missing\":[2,3],\"error\":{\"message\":\"Index `packages`: no node answers for "
	            "shards=packages/2,packages/3.\",\"code\":\"unavailable\",");
	expect_part("},\"totalHits\":null,\"terms\":1,");
	close_world();
}

/* What a search is refused before it asks anybody, so is this. */
static void test_refused(void)
{
	depart_explained(two_nodes, "{\"filter\":\"g = 1\"}");
	CU_ASSERT_TRUE(world.landed && world.body == NULL);
	CU_ASSERT_STRING_EQUAL(world.code, "invalid_search_filter");
	close_world();
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"one round", test_one_round}, {"two rounds", test_two_rounds},
		{"the cutoff", test_cutoff},   {"the rarest term", test_rarest},
		{"settings", test_settings},   {"unavailable", test_unavailable},
		{"refused", test_refused},     CU_TEST_INFO_NULL,
	};
	struct error error;

	if (balance_open(&world.gateway.balance, &error) < 0)
		return 1;
	return suite_run("flight_explain", tests);
}
