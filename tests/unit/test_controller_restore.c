/*
 * Copies, by request: recorded where nothing serves that a copy would replace,
 * once for a request whoever applies it, and let in like any other replica.
 */
#include "rebalance/core/placement.h"
#include "tests/unit/controller_bed.h"

#define STORED 100
#define FROM 120 /* a gap was given up */

static const struct hash128 head = {7, 8};
static int64_t tasks;

static struct restore_shard shard_of(int32_t partition)
{
	return (struct restore_shard){partition, {head, STORED, FROM}};
}

static void ask_shards(struct bed *bed, struct restore_shard *shards, size_t len, const char *uid)
{
	struct task_request task = {.type = TASK_TYPE_INDEX_RESTORE,
	                            .nonce = "00112233445566778899aabbccddeeff",
	                            .index_id = strcmp(uid, "none") == 0 ? 7 : BED_INDEX,
	                            .shards = shards,
	                            .shards_len = len};
	struct buffer value;
	struct error error;

	(void)snprintf(task.uid, sizeof task.uid, "%s", uid);
	buffer_init(&value, 4096);
	task_request_write(&value, &task);
	CU_ASSERT_EQUAL_FATAL(controller_read_task(bed->controller, tasks++, buffer_slice(&value), &error),
	                      0);
	buffer_deinit(&value);
}

static void ask(struct bed *bed)
{
	struct restore_shard shard = shard_of(0);

	ask_shards(bed, &shard, 1, "books");
}

static const struct shard_record *recorded(const struct bed *bed)
{
	return catalog_shard(controller_catalog(bed->controller), BED_INDEX, 0);
}

/* Where the target has it: with two nodes and RF 1 one of both. */
static const char *target_of(const struct bed *bed)
{
	static char node[NODE_ID_BYTES_MAX + 1];
	struct shard_record target = {.index_id = BED_INDEX, .partition = 0};

	placement_choose(&target, bed->nodes, bed->nodes_len, 1);
	memcpy(node, target.replicas[0].node, sizeof node);
	return node;
}

static const char *other_of(const struct bed *bed)
{
	return strcmp(target_of(bed), "n1") == 0 ? "n2" : "n1";
}

static struct bed *bed_one(const char *shard)
{
	tasks = 10;
	return bed_index(bed_new(1, 1), 1, shard);
}

/* What n1 tells of the replica that comes by the copy. */
static void hear_copy(struct bed *bed, int64_t now_ms, char state, int64_t received, int64_t stored)
{
	struct node_report report = bed_report("n1", now_ms);
	const struct told told = {.state = state == 'a'   ? "a1"
	                                   : state == 'r' ? "r1"
	                                                  : "s0",
	                          .received = received,
	                          .stored = stored};
	struct replica_report replica = bed_replica(&told);

	if (state != 's')
		replica.incarnation = recorded(bed)->replicas[0].incarnation;
	report.replicas = &replica;
	report.replicas_len = 1;
	controller_node_report(bed->controller, &report, now_ms);
}

static void test_recorded(void)
{
	struct bed *bed = bed_one("n1=A1*!");
	const struct placement *placement;

	bed_hear(bed, 1000, "n1", "r1", 5); /* empty, and the log does not reach back to it */
	ask(bed);
	bed_expect_finals(bed, 1001, "succeeded");
	placement = &recorded(bed)->replicas[0];
	CU_ASSERT_EQUAL(recorded(bed)->replicas_len, 1);
	CU_ASSERT_EQUAL(recorded(bed)->task, 10);
	CU_ASSERT_FALSE(recorded(bed)->divergent);
	CU_ASSERT_STRING_EQUAL(placement->node, "n1");
	CU_ASSERT_EQUAL(placement->state, PLACEMENT_STATE_ACTIVE);
	CU_ASSERT_FALSE(placement->in_sync);
	CU_ASSERT_FALSE(incarnation_is_none(placement->incarnation));
	CU_ASSERT_FALSE(incarnation_equal(placement->incarnation, bed_incarnation(1)));
	CU_ASSERT_TRUE(hash128_equal(placement->copy.head, head));
	CU_ASSERT_EQUAL(placement->copy.stored, STORED);
	CU_ASSERT_EQUAL(placement->copy.from, FROM);
	bed_free(bed);
}

/* From what it replaces to what serves; the copy is recorded until its gap is behind what is on disk. */
static void test_let_in(void)
{
	struct bed *bed = bed_one("n1=A1*");
	struct incarnation made;

	bed_hear(bed, 1000, "n1", "r1", 5);
	ask(bed);
	bed_expect_finals(bed, 1001, "succeeded");
	made = recorded(bed)->replicas[0].incarnation;
	bed_hear(bed, 1500, "n1", "a1", 5); /* not dropped yet: it is nobody's */
	bed_end(bed, 1600, 5);
	bed_run(bed, 1600);
	CU_ASSERT_TRUE(incarnation_equal(recorded(bed)->replicas[0].incarnation, made));
	CU_ASSERT_FALSE(recorded(bed)->replicas[0].in_sync);
	hear_copy(bed, 2000, 's', 0, 0); /* waits for the copy */
	bed_run(bed, 2001);
	CU_ASSERT_TRUE(incarnation_equal(recorded(bed)->replicas[0].incarnation, made));
	bed_end(bed, 2400, 130);
	hear_copy(bed, 2500, 'r', STORED, STORED);
	bed_end(bed, 2550, 130);
	bed_run(bed, 2600);
	CU_ASSERT_FALSE(recorded(bed)->replicas[0].in_sync);
	bed_end(bed, 2900, 130);
	hear_copy(bed, 3000, 'a', 130, STORED);
	bed_end(bed, 3050, 130);
	bed_run(bed, 3100);
	CU_ASSERT_TRUE(recorded(bed)->replicas[0].in_sync);
	CU_ASSERT_EQUAL(recorded(bed)->replicas[0].copy.from, FROM);
	hear_copy(bed, 3500, 'a', 130, FROM - 1);
	bed_run(bed, 3600);
	CU_ASSERT_EQUAL(recorded(bed)->replicas[0].copy.from, FROM);
	hear_copy(bed, 4000, 'a', 130, FROM);
	bed_run(bed, 4100);
	CU_ASSERT_FALSE(placement_copy_is_set(&recorded(bed)->replicas[0].copy));
	CU_ASSERT_TRUE(recorded(bed)->replicas[0].in_sync);
	CU_ASSERT_EQUAL(recorded(bed)->replicas_len, 1);
	bed_free(bed);
}

static void test_refused(void)
{
	static const struct {
		const char *name;
		const char *record;
		const char *state;
		int64_t received;
		const char *final;
	} rows[] = {
		{"serves", "n1=A1*", "a1", 5, "shard_serves"},
		{"level soon", "n1=A1*", "r1", FROM, "replica_is_ahead"},
		{"as far as the copy", "n1=A1*", "r1", STORED, "succeeded"},
		{"something of the gap", "n1=A1*", "r1", STORED + 1, "replica_has_more"},
		{"most of the gap", "n1=A1*", "r1", FROM - 1, "replica_has_more"},
		{"out, and further", "n1=A1", "a1", FROM, "replica_is_ahead"},
		{"out, and behind", "n1=A1", "a1", STORED - 1, "succeeded"},
		{"joining, and further", "n1=J1", "r1", FROM + 9, "replica_is_ahead"},
		{"stopped", "n1=A1*", "s1", 500, "succeeded"},
		{"not listed", "n1=A1*", NULL, 0, "succeeded"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct bed *bed = bed_one(rows[i].record);
		bool refused = strcmp(rows[i].final, "succeeded") != 0;

		bed_hear(bed, 1000, "n1", rows[i].state, rows[i].received);
		ask(bed);
		bed_expect_finals(bed, 1001, rows[i].final);
		if (placement_copy_is_set(&recorded(bed)->replicas[0].copy) == refused)
			printf("\n%s\n", rows[i].name);
		CU_ASSERT_NOT_EQUAL(placement_copy_is_set(&recorded(bed)->replicas[0].copy), refused);
		bed_free(bed);
	}
}

static void test_requests_that_cannot_be(void)
{
	struct restore_shard shards[] = {shard_of(0), shard_of(1)};
	struct bed *bed = bed_one("n1=A1");

	bed_hear(bed, 1000, "n1", NULL, 0);
	ask_shards(bed, shards, 1, "none");
	ask_shards(bed, shards, 1, "films");
	ask_shards(bed, shards, 2, "books");
	bed_expect_finals(bed, 1001, "index_not_found index_not_found invalid_restore");
	CU_ASSERT_FALSE(placement_copy_is_set(&recorded(bed)->replicas[0].copy));
	bed_free(bed);
}

/* One of two shards serves: nothing is recorded of the other one. */
static void test_all_or_nothing(void)
{
	static const struct told told[] = {{.partition = 0, .state = "r1", .received = 5},
	                                   {.partition = 1, .state = "a1", .received = 5}};
	struct restore_shard shards[] = {shard_of(0), shard_of(1)};
	struct bed *bed;

	tasks = 10;
	bed = bed_index(bed_new(1, 1), 2, "n1=A1*");
	bed_hear_all(bed, 1000, "n1", told, 2);
	ask_shards(bed, shards, 2, "books");
	bed_expect_finals(bed, 1001, "shard_serves");
	CU_ASSERT_FALSE(placement_copy_is_set(&recorded(bed)->replicas[0].copy));
	bed_free(bed);
}

/* A successor waits for what nodes tell, and not for ever. */
static void test_waits_for_nodes(void)
{
	struct restore_shard level = {0, {head, STORED, STORED}};
	struct bed *bed = bed_one("n1=A1*");

	ask(bed);
	bed_expect_finals(bed, 1000, "");
	bed_hear(bed, 1100, "n1", "a1", 5);
	bed_expect_finals(bed, 1101, "shard_serves");
	bed_free(bed);

	bed = bed_one("n1=A1*");
	ask_shards(bed, &level, 1, "books");
	for (int64_t at = 1000; at < 3900; at += 100) {
		bed_miss(bed, at, "n1");
		bed_expect_finals(bed, at, "");
	}
	bed_miss(bed, 4000, "n1");
	bed_expect_finals(bed, 4001, "no_node");
	bed_free(bed);
}

static bool comes_by_copy(struct bed *bed, const char *node)
{
	const struct placement *placement = catalog_placement(recorded(bed), node);

	return placement != NULL && placement_copy_is_set(&placement->copy);
}

/* What a silent node may still have is not given up, unless the configuration has given the node up. */
static void test_silent_node(void)
{
	static const struct {
		int64_t from;
		size_t nodes; /* configured: n1, n2 */
		const char *final;
	} rows[] = {{FROM, 2, "replica_silent"}, {STORED, 2, "succeeded"}, {FROM, 1, "succeeded"}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct restore_shard shard = {0, {head, STORED, rows[i].from}};
		struct bed *bed;

		tasks = 10;
		bed = bed_index(bed_new(rows[i].nodes, 2), 1, "n1=A1* n2=A2*");
		bed_expect_finals(bed, 1000, "");
		for (int64_t at = 1100; at <= 4200; at += 100) {
			bed_hear(bed, at, "n1", "r1", 5);
			bed_miss(bed, at, "n2");
			bed_run(bed, at);
		}
		ask_shards(bed, &shard, 1, "books");
		bed_hear(bed, 4300, "n1", "r1", 5);
		bed_expect_finals(bed, 4301, rows[i].final);
		/* it takes its copy when it is back: the log alone would never fill it */
		CU_ASSERT_EQUAL(comes_by_copy(bed, "n2"), i == 1);
		bed_free(bed);
	}
}

/* The target's node has it; whoever else is recorded leaves, and is dropped only for what is in-sync. */
static void test_others_leave(void)
{
	struct restore_shard level = {0, {head, STORED, STORED}};
	const struct shard_record *record;
	struct bed *bed;
	char shard[32];

	tasks = 10;
	bed = bed_new(2, 1);
	(void)snprintf(shard, sizeof shard, "%s=A1*", other_of(bed));
	(void)bed_index(bed, 1, shard);
	bed_expect_finals(bed, 1000, "");
	for (int64_t at = 1100; at <= 4200; at += 100) {
		bed_hear(bed, at, target_of(bed), NULL, 0);
		bed_miss(bed, at, other_of(bed));
		bed_run(bed, at);
	}
	ask_shards(bed, &level, 1, "books");
	bed_hear(bed, 4300, target_of(bed), NULL, 0);
	bed_expect_finals(bed, 4301, "succeeded");
	record = recorded(bed);
	CU_ASSERT_EQUAL_FATAL(record->replicas_len, 2);
	CU_ASSERT_STRING_EQUAL(record->replicas[0].node, target_of(bed));
	CU_ASSERT_TRUE(placement_copy_is_set(&record->replicas[0].copy));
	CU_ASSERT_STRING_EQUAL(record->replicas[1].node, other_of(bed));
	CU_ASSERT_EQUAL(record->replicas[1].state, PLACEMENT_STATE_LEAVING);
	CU_ASSERT_FALSE(record->replicas[1].in_sync);
	CU_ASSERT_FALSE(placement_copy_is_set(&record->replicas[1].copy));
	bed_free(bed);
}

/* With RF 2 both come by the copy, each as an incarnation of its own. */
static void test_two_replicas(void)
{
	const struct shard_record *record;
	struct bed *bed;

	tasks = 10;
	bed = bed_index(bed_new(2, 2), 1, "n1=A1* n2=A2");
	bed_hear(bed, 1000, "n1", "r1", 5);
	bed_hear(bed, 1000, "n2", NULL, 0);
	ask(bed);
	bed_expect_finals(bed, 1001, "succeeded");
	record = recorded(bed);
	CU_ASSERT_EQUAL_FATAL(record->replicas_len, 2);
	for (size_t i = 0; i < 2; i++) {
		CU_ASSERT_TRUE(placement_copy_is_set(&record->replicas[i].copy));
		CU_ASSERT_FALSE(record->replicas[i].in_sync);
	}
	CU_ASSERT_FALSE(incarnation_equal(record->replicas[0].incarnation, record->replicas[1].incarnation));
	bed_free(bed);
}

/* Killed between the record and the final: the successor finds it done. Another request is another incarnation. */
static void test_applied_once(void)
{
	struct bed *bed = bed_one("n1=A1*");
	struct bed *next = bed_one("n1=A1*");
	struct buffer value;
	struct incarnation made;

	bed_hear(bed, 1000, "n1", "r1", 5);
	ask(bed);
	bed_expect_finals(bed, 1001, "succeeded");
	made = recorded(bed)->replicas[0].incarnation;
	buffer_init(&value, 1 << 16);
	catalog_write_shard(&value, recorded(bed));
	bed_record(next, &value, false, "shard/000000000000002a/0");
	buffer_deinit(&value);
	tasks = 10;
	ask(next);
	bed_hear(next, 1000, "n1", NULL, 0);
	bed_expect_finals(next, 1001, "succeeded");
	CU_ASSERT_TRUE(incarnation_equal(recorded(next)->replicas[0].incarnation, made));
	ask(next);
	bed_expect_finals(next, 1002, "succeeded");
	CU_ASSERT_FALSE(incarnation_equal(recorded(next)->replicas[0].incarnation, made));
	CU_ASSERT_EQUAL(recorded(next)->task, 11);
	bed_free(bed);
	bed_free(next);
}

int main(void)
{
	CU_TestInfo tests[] = {{"a copy is recorded", test_recorded},
	                       {"it is let in, and recorded no longer", test_let_in},
	                       {"what is better than a copy", test_refused},
	                       {"requests that cannot be", test_requests_that_cannot_be},
	                       {"all shards or none", test_all_or_nothing},
	                       {"nodes are waited for", test_waits_for_nodes},
	                       {"a silent node", test_silent_node},
	                       {"others leave", test_others_leave},
	                       {"two replicas", test_two_replicas},
	                       {"a request is applied once", test_applied_once},
	                       CU_TEST_INFO_NULL};

	return suite_run("controller_restore", tests);
}
