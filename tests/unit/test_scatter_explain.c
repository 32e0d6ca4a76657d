/*
 * A scatter that is explained: what there was to choose from, why nobody asked it, and how each leg ended.
 */
#include "tests/unit/scatter_bed.h"

static const struct scatter_options explained = {.partition = -1, .explain = true};

static void expect_explained(const struct bed *bed, const char *expected)
{
	struct buffer body;

	buffer_init(&body, 65536);
	scatter_append_explained(bed->scatter, &body);
	buffer_put_u8(&body, '\0');
	CU_ASSERT_STRING_EQUAL((const char *)body.ptr, expected);
	if (strcmp((const char *)body.ptr, expected) != 0)
		printf("\n%s\ninstead of\n%s\n", (const char *)body.ptr, expected);
	buffer_deinit(&body);
}

static void expect_part(const struct bed *bed, const char *expected)
{
	struct buffer body;

	buffer_init(&body, 65536);
	scatter_append_explained(bed->scatter, &body);
	buffer_put_u8(&body, '\0');
	CU_ASSERT_PTR_NOT_NULL(strstr((const char *)body.ptr, expected));
	if (strstr((const char *)body.ptr, expected) == NULL)
		printf("\n%s\nlacks\n%s\n", (const char *)body.ptr, expected);
	buffer_deinit(&body);
}

static void expect_missing(const struct bed *bed, const char *expected)
{
	struct buffer body;

	buffer_init(&body, 4096);
	scatter_append_missing(bed->scatter, &body);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&body), slice_string(expected)));
	buffer_deinit(&body);
}

#define REPLICA(node, group, state, sync, cost, rest) \
	"{\"node\":\"" node "\",\"group\":\"" group "\",\"state\":\"" state "\",\"inSync\":" sync \
	",\"costMs\":" cost ",\"asked\":" rest "}"
#define LEG(p, node, rest) \
	"{\"partition\":" p ",\"node\":\"" node "\",\"stale\":false,\"hedge\":false,\"status\":" rest "}"

#define FIRST REPLICA("n1", "g0", "active", "true", "1.500", "true")
#define ANSWERED(p) LEG(p, "n1", "\"answered\",\"tookMs\":1.250")

/* All of it once: who joins is no candidate, shard 3 has none. */
static void test_whole(void)
{
	static const char *const replicas[4] = {"n1 n2j", "n1 n2o", "n1 n2l", ""};
	static const char expected[] =
		"\"group\":null,\"plan\":["
		"{\"partition\":0,\"replicas\":[" FIRST "," REPLICA(
			"n2", "g0", "joining", "false", "null",
			"false,\"reason\":\"joining\"") "]},"
							"{\"partition\":1,\"replicas\":[" FIRST "," REPLICA(
								"n2", "g0", "active", "false", "2.250",
								"false,\"reason\":"
								"\"outOfSync\"") "]},"
										 "{\"partitio"
										 "n\":2,"
										 "\"replicas"
										 "\":[" FIRST "," REPLICA(
											 "n2", "g0",
											 "lea"
											 "vin"
											 "g",
											 "fal"
											 "se",
											 "2."
											 "25"
											 "0",
											 "fal"
											 "se,"
											 "\"r"
											 "eas"
											 "on"
											 "\":"
											 "\"l"
											 "eav"
											 "ing"
											 "\"") "]},"
											       "{\"partition"
											       "\":3,"
											       "\"replicas\":"
											       "[]}],"
											       "\"shards\":"
											       "[" ANSWERED("0") "," ANSWERED(
												       "1") "," ANSWERED("2") "]";
	struct bed bed;

	set_up(&bed, replicas, &explained);
	teach(&bed, "n1", 1, 1500);
	teach(&bed, "n2", 1, 2250);
	expect(&bed, start(), "n1:0,1,2");
	bed.now_us = 1250;
	expect(&bed, answered(0), "FINISH");
	expect_missing(&bed, "[3]");
	expect_explained(&bed, expected);
	tear_down(&bed);
}

/* Of several groups one is taken; a node that failed before is away. */
static void test_not_asked(void)
{
	static const char *const replicas[4] = {"n1 n2 m1", "n1 n3 m1", "n1 m1", "n1 m1"};
	struct bed bed;

	set_up(&bed, replicas, &explained);
	teach(&bed, "n1", 1, 1000);
	teach(&bed, "n2", 1, 9000);
	teach(&bed, "m1", 1, 9000);
	chooser_sent(bed.chooser, chooser_node(bed.chooser, "n3"), 0);
	chooser_failed(bed.chooser, chooser_node(bed.chooser, "n3"), 0);
	expect(&bed, start(), "n1:2,3,0,1");
	expect_part(&bed, "\"group\":\"g0\",\"plan\":[");
	expect_part(&bed,
	            "\"node\":\"n2\",\"group\":\"g0\",\"state\":\"active\",\"inSync\":true,\"costMs\":9.000,"
	            "\"asked\":false,\"reason\":\"notNeeded\"}");
	expect_part(&bed,
	            "\"node\":\"n3\",\"group\":\"g0\",\"state\":\"active\",\"inSync\":true,\"costMs\":null,"
	            "\"asked\":false,\"reason\":\"away\"}");
	expect_part(&bed,
	            "\"node\":\"m1\",\"group\":\"g1\",\"state\":\"active\",\"inSync\":true,\"costMs\":9.000,"
	            "\"asked\":false,\"reason\":\"otherGroup\"}");
	expect_part(&bed, "\"shards\":[" LEG("2", "n1", "\"pending\"") ",");
	expect(&bed, answered(0), "FINISH");
	tear_down(&bed);
}

static void test_refused_and_failed(void)
{
	static const char *const replicas[4] = {"n1 n2", "n1 n2", "n1", "n1"};
	static const struct node_refusal refusals[] = {
		{0, NODE_REFUSAL_ABSENT}, {1, NODE_REFUSAL_BEHIND}, {2, NODE_REFUSAL_STOPPED}};
	static const struct node_refusal nothing[] = {{7, NODE_REFUSAL_ABSENT}};
	struct scatter_event event;
	struct bed bed;

	set_up(&bed, replicas, &explained);
	expect(&bed, start(), "n1:2,3,0,1");
	event = answered(0);
	event.refusals = refusals;
	event.refusals_len = 3;
	bed.now_us = 2 * MS;
	expect(&bed, event, "n2:0,1");
	bed.now_us = 3 * MS;
	event = failed(1);
	event.why = "it \"fell\"";
	expect(&bed, event, "FINISH");
	expect_missing(&bed, "[0,1,2]");
	/* those without a choice come first */
	expect_part(
		&bed,
		"\"shards\":[" LEG("2", "n1", "\"refused\",\"reason\":\"stopped\",\"tookMs\":2.000") "," LEG("3", "n1", "\"answered\",\"tookMs\":2.000") "," LEG(
			"0", "n1",
			"\"refused\",\"reason\":\"absent\","
			"\"tookMs\":2.000") "," LEG("1", "n1",
	                                            "\"refused\","
	                                            "\"reason\":"
	                                            "\"behind\","
	                                            "\"tookMs\":2."
	                                            "000") "," LEG("0", "n2",
	                                                           "\"failed\",\"reason\":\"it "
	                                                           "\\\"fell\\\"\",\"tookMs\":1."
	                                                           "000") "," LEG("1", "n2",
	                                                                          "\"failed\","
	                                                                          "\"reason\":\"it "
	                                                                          "\\\"fell\\\"\","
	                                                                          "\"tookMs\":1."
	                                                                          "000") "]");
	tear_down(&bed);

	set_up(&bed, replicas, &explained);
	expect(&bed, start(), "n1:2,3,0,1");
	expect(&bed, refused(0, nothing, 1), "n2:0,1");
	expect_part(&bed, LEG("3", "n1",
	                      "\"failed\",\"reason\":\"it refuses no shard that it was asked for\","
	                      "\"tookMs\":0.000"));
	/* in words that say more than those of a refusal */
	event = refused(1, refusals, 2);
	event.why = "settings 6";
	expect(&bed, event, "FINISH");
	expect_part(&bed, LEG("0", "n2", "\"refused\",\"reason\":\"settings 6\",\"tookMs\":0.000"));
	tear_down(&bed);
}

/* The hedge answers first; the leg that it was for comes to nothing, or is out when all is over. */
static void test_hedge(void)
{
	static const char *const replicas[4] = {"n1 n2", "n1 n3", "n1 n2", "n1 n2"};
	struct bed bed;

	set_up(&bed, replicas, &explained);
	teach(&bed, "n1", 30, 1000);
	teach(&bed, "n2", 30, 5000);
	teach(&bed, "n3", 30, 5000);
	expect(&bed, start(), "n1:0,1,2,3");
	bed.now_us = 100 * MS;
	expect(&bed, tick(), "n2:0,2,3+ n3:1+");
	expect(&bed, answered(1), "");
	expect_part(&bed,
	            "{\"partition\":3,\"node\":\"n2\",\"stale\":false,\"hedge\":true,\"status\":\"answered\","
	            "\"tookMs\":0.000}");
	expect(&bed, answered(0), "FINISH");
	expect_part(&bed, LEG("0", "n1", "\"unused\",\"tookMs\":100.000"));
	expect_part(&bed, LEG("1", "n1", "\"answered\",\"tookMs\":100.000"));
	expect_part(
		&bed,
		"{\"partition\":1,\"node\":\"n3\",\"stale\":false,\"hedge\":true,\"status\":\"pending\"}");
	/* what comes later says nothing any more */
	expect(&bed, failed(2), "");
	expect_part(
		&bed,
		"{\"partition\":1,\"node\":\"n3\",\"stale\":false,\"hedge\":true,\"status\":\"pending\"}");
	tear_down(&bed);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"all of it", test_whole},
		{"why nobody asked", test_not_asked},
		{"refused and failed", test_refused_and_failed},
		{"a hedge", test_hedge},
		CU_TEST_INFO_NULL,
	};

	return suite_run("scatter_explain", tests);
}
