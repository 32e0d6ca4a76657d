/*
 * One request over all shards: which node is asked for what, and what
 * refusals, failures and the deadline make of it.
 */
#include "query/core/scatter.h"

#include "tests/unit/suite.h"

#include <stdio.h>

#define ID 0xaaULL

static const char index_value[] =
	"{\"v\":1,\"task\":3,\"id\":\"00000000000000aa\",\"uid\":\"packages\",\"topic\":\"t\","
	"\"own_topic\":true,\"state\":\"active\",\"generation\":1,\"partitions\":4,\"base\":[0,0,0,0],"
	"\"partitioner\":\"murmur2\",\"primary_key\":\"id\",\"writable\":true,\"rules\":{\"contract\":1,"
	"\"id_bytes_max\":511,\"document_bytes_max\":4194304,\"depth_max\":128,\"dedup_window\":0},"
	"\"created_at\":1000,\"updated_at\":2000}";
static const char cluster_value[] =
	"{\"v\":1,\"epoch\":2,\"task\":-1,\"kafka\":\"AAAA\",\"rf\":2,\"nodes\":["
	"{\"id\":\"n1\",\"group\":\"g0\",\"url\":\"http://127.0.0.1:1\"},"
	"{\"id\":\"n2\",\"group\":\"g0\",\"url\":\"http://127.0.0.1:2\"}],\"oldest_task\":0}";

struct bed {
	struct catalog *catalog;
	struct arena arena;
	struct scatter *scatter;
	struct error error;
};

/* `replicas` has one text a partition, e.g. "n1 n2", "n1" or "". */
static void set_up(struct bed *bed, const char *const replicas[4], const struct scatter_options *options)
{
	bed->catalog = catalog_new();
	arena_init(&bed->arena, 4096);
	CU_ASSERT_EQUAL_FATAL(catalog_apply(bed->catalog, CATALOG_TOPIC_META, 1,
	                                    slice_string("index/00000000000000aa"), slice_string(index_value),
	                                    &bed->error),
	                      0);
	CU_ASSERT_EQUAL_FATAL(catalog_apply(bed->catalog, CATALOG_TOPIC_TOPOLOGY, 1, slice_string("cluster"),
	                                    slice_string(cluster_value), &bed->error),
	                      0);
	for (int32_t p = 0; p < 4; p++) {
		struct shard_record shard = {.index_id = ID, .generation = 1, .partition = p};
		struct buffer value;
		char key[64];

		for (const char *at = replicas[p]; *at != '\0'; at += 2 + (at[2] == ' '))
			(void)snprintf(shard.replicas[shard.replicas_len++].node, 3, "%.2s", at);
		for (size_t i = 0; i < shard.replicas_len; i++) {
			shard.replicas[i].state = PLACEMENT_STATE_ACTIVE;
			shard.replicas[i].in_sync = true;
		}
		(void)snprintf(key, sizeof key, "shard/00000000000000aa/%d", p);
		buffer_init(&value, 4096);
		catalog_write_shard(&value, &shard);
		CU_ASSERT_EQUAL_FATAL(catalog_apply(bed->catalog, CATALOG_TOPIC_TOPOLOGY, 1,
		                                    slice_string(key), buffer_slice(&value), &bed->error),
		                      0);
		buffer_deinit(&value);
	}
	bed->scatter = scatter_plan(bed->catalog, catalog_index(bed->catalog, ID), options, &bed->arena);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bed->scatter);
}

static void tear_down(struct bed *bed)
{
	arena_deinit(&bed->arena);
	catalog_free(bed->catalog);
}

/* Steps, and gives what comes out as text: "n1:0,1 n2:2! FINISH"; `!` accepts stale answers. Legs in order. */
static void step(struct bed *bed, const struct scatter_event *event, char text[256])
{
	struct scatter_action action;
	char legs[16][64] = {{0}};
	size_t first = SIZE_MAX;
	size_t last = 0;
	bool finished = false;

	CU_ASSERT_EQUAL_FATAL(scatter_step(bed->scatter, event, &bed->error), 0);
	while (scatter_take(bed->scatter, &action)) {
		size_t at = 0;
		char *leg = legs[action.leg % 16];

		if (action.kind == SCATTER_ACTION_FINISH) {
			CU_ASSERT_FALSE(finished);
			finished = true;
			continue;
		}
		first = action.leg < first ? action.leg : first;
		last = action.leg > last ? action.leg : last;
		at += (size_t)snprintf(leg, 64, "%s:", action.node->id);
		for (size_t i = 0; i < action.partitions_len; i++)
			at += (size_t)snprintf(leg + at, 64 - at, "%s%d", i > 0 ? "," : "",
			                       action.partitions[i]);
		(void)snprintf(leg + at, 64 - at, "%s", action.stale ? "!" : "");
	}
	text[0] = '\0';
	for (size_t i = first; first != SIZE_MAX && i <= last; i++)
		(void)snprintf(text + strlen(text), 256 - strlen(text), "%s%s", text[0] != '\0' ? " " : "",
		               legs[i]);
	if (finished)
		(void)snprintf(text + strlen(text), 256 - strlen(text), "%sFINISH",
		               text[0] != '\0' ? " " : "");
}

static void expect(struct bed *bed, struct scatter_event event, const char *expected)
{
	char text[256];

	step(bed, &event, text);
	CU_ASSERT_STRING_EQUAL(text, expected);
	if (strcmp(text, expected) != 0)
		printf("\n[%s] instead of [%s]\n", text, expected);
}

static void expect_degraded(const struct bed *bed, const char *expected)
{
	struct buffer text;

	buffer_init(&text, 4096);
	scatter_append_degraded(bed->scatter, &text);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&text), slice_string(expected)));
	buffer_deinit(&text);
}

static struct scatter_event start(void)
{
	return (struct scatter_event){.kind = SCATTER_EVENT_START};
}

static struct scatter_event answered(size_t leg)
{
	return (struct scatter_event){.kind = SCATTER_EVENT_ANSWERED, .leg = leg};
}

static struct scatter_event failed(size_t leg)
{
	return (struct scatter_event){.kind = SCATTER_EVENT_FAILED, .leg = leg};
}

static struct scatter_event refused(size_t leg, const struct node_refusal *refusals, size_t len)
{
	return (struct scatter_event){
		.kind = SCATTER_EVENT_REFUSED, .leg = leg, .refusals = refusals, .refusals_len = len};
}

static const struct scatter_options all = {-1, false};

static void test_all_answer(void)
{
	static const char *const replicas[4] = {"n1", "n2", "n1", "n2"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	CU_ASSERT_FALSE(scatter_is_on_one_node(bed.scatter));
	expect(&bed, start(), "n1:0,2 n2:1,3");
	expect(&bed, answered(1), "");
	expect(&bed, answered(1), "");
	expect(&bed, answered(0), "FINISH");
	expect(&bed, answered(0), "");
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 0);
	expect_degraded(&bed, "");
	tear_down(&bed);
}

static void test_failure_without_another_replica(void)
{
	static const char *const replicas[4] = {"n1", "n2", "n1", ""};
	struct bed bed;

	set_up(&bed, replicas, &all);
	expect(&bed, start(), "n1:0,2 n2:1");
	expect(&bed, failed(0), "");
	expect(&bed, answered(1), "FINISH");
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 3);
	expect_degraded(&bed, "shards=packages/0,packages/2,packages/3");
	tear_down(&bed);
}

static void test_failure_with_another_replica(void)
{
	static const char *const replicas[4] = {"n1 n2", "n2 n1", "n1 n2", "n1"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	expect(&bed, start(), "n1:0,2,3 n2:1");
	expect(&bed, failed(0), "n2:0,2");
	expect(&bed, answered(1), "");
	expect(&bed, answered(2), "FINISH");
	expect_degraded(&bed, "shards=packages/3");
	tear_down(&bed);
}

static void test_recovering_answers_stale(void)
{
	static const char *const replicas[4] = {"n1", "n1", "n1", "n1"};
	static const struct node_refusal refusals[] = {{1, true}, {3, false}};
	static const int32_t stale[] = {1};
	struct bed bed;

	set_up(&bed, replicas, &all);
	CU_ASSERT_TRUE(scatter_is_on_one_node(bed.scatter));
	expect(&bed, start(), "n1:0,1,2,3");
	/* one node: one leg again, so that it can still cut the page by itself */
	expect(&bed, refused(0, refusals, 2), "n1:0,1,2!");
	expect(&bed,
	       (struct scatter_event){
		       .kind = SCATTER_EVENT_ANSWERED, .leg = 1, .stale = stale, .stale_len = 1},
	       "FINISH");
	CU_ASSERT_EQUAL(scatter_stale(bed.scatter), 1);
	expect_degraded(&bed, "shards=packages/3; stale=packages/1");
	tear_down(&bed);
}

/* A stale answer is the last resort: another replica is asked first, and a neighbour is not made stale. */
static void test_recovering_with_another_replica(void)
{
	static const char *const replicas[4] = {"n1 n2", "n1", "n1 n2", "n2"};
	static const struct node_refusal both[] = {{0, true}, {1, true}};
	static const struct node_refusal first[] = {{0, true}};
	struct bed bed;

	set_up(&bed, replicas, &all);
	expect(&bed, start(), "n1:0,1,2 n2:3");
	expect(&bed, refused(0, both, 2), "n2:0 n1:1! n1:2");
	expect(&bed, refused(2, first, 1), "n1:0!");
	expect(&bed, answered(1), "");
	expect(&bed, answered(3), "");
	expect(&bed, answered(4), "");
	expect(&bed, answered(5), "FINISH");
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 0);
	tear_down(&bed);
}

static void test_rounds_end(void)
{
	static const char *const replicas[4] = {"n1", "n1", "n1", "n1"};
	static const struct node_refusal every[] = {{0, true}, {1, true}, {2, true}, {3, true}};
	struct bed bed;

	/* recovering even for stale answers: missing, not asked for ever */
	set_up(&bed, replicas, &all);
	expect(&bed, start(), "n1:0,1,2,3");
	expect(&bed, refused(0, every, 4), "n1:0,1,2,3!");
	expect(&bed, refused(1, every, 4), "FINISH");
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 4);
	tear_down(&bed);
	/* a 410 that refuses nothing */
	set_up(&bed, replicas, &all);
	expect(&bed, start(), "n1:0,1,2,3");
	expect(&bed, refused(0, NULL, 0), "FINISH");
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 4);
	tear_down(&bed);
}

static void test_deadline(void)
{
	static const char *const replicas[4] = {"n1", "n2", "n1", "n2"};
	struct bed bed;

	set_up(&bed, replicas, &all);
	expect(&bed, start(), "n1:0,2 n2:1,3");
	expect(&bed, answered(0), "");
	expect(&bed, (struct scatter_event){.kind = SCATTER_EVENT_DEADLINE}, "FINISH");
	expect(&bed, answered(1), "");
	expect_degraded(&bed, "shards=packages/1,packages/3");
	CU_ASSERT_PTR_NULL(scatter_question(bed.scatter, 1, 20).partitions);
	tear_down(&bed);
}

static void test_no_replica_at_all(void)
{
	static const char *const replicas[4] = {"", "", "", ""};
	struct bed bed;

	set_up(&bed, replicas, &all);
	expect(&bed, start(), "FINISH");
	CU_ASSERT_EQUAL(scatter_missing(bed.scatter), 4);
	tear_down(&bed);
}

static void test_one_partition_and_alone(void)
{
	static const char *const replicas[4] = {"n1", "n2", "n1", "n2"};
	struct scatter_options one = {2, true};
	struct scatter_options alone = {-1, true};
	struct node_question question;
	struct bed bed;

	set_up(&bed, replicas, &one);
	expect(&bed, start(), "n1:2");
	question = scatter_question(bed.scatter, 0, 7);
	CU_ASSERT_EQUAL_FATAL(question.partitions_len, 1);
	CU_ASSERT_EQUAL(question.partitions[0], 2);
	CU_ASSERT_EQUAL(question.hits_max, 7);
	expect(&bed, answered(0), "FINISH");
	tear_down(&bed);
	set_up(&bed, replicas, &alone);
	expect(&bed, start(), "n1:0 n2:1 n1:2 n2:3");
	expect(&bed, failed(2), "");
	expect(&bed, answered(0), "");
	expect(&bed, answered(1), "");
	expect(&bed, answered(3), "FINISH");
	expect_degraded(&bed, "shards=packages/2");
	tear_down(&bed);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"all answer", test_all_answer},
		{"a failure without another replica", test_failure_without_another_replica},
		{"a failure with another replica", test_failure_with_another_replica},
		{"recovering shards answer stale", test_recovering_answers_stale},
		{"recovering with another replica", test_recovering_with_another_replica},
		{"rounds end", test_rounds_end},
		{"deadline", test_deadline},
		{"no replica at all", test_no_replica_at_all},
		{"one partition, and one a leg", test_one_partition_and_alone},
		CU_TEST_INFO_NULL,
	};

	return suite_run("scatter", tests);
}
