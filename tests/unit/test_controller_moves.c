/*
 * From what is recorded to the target placement, and repair: every rule of
 * moves.h, through the controller. Partition 0 of the bed's index prefers its
 * nodes in this order: n4, n5, n2, n3, n1.
 */
#include "tests/unit/controller_bed.h"

#include "rebalance/core/marks.h"

/* What moves in-sync replicas in: it is level by two log ends around the answer that comes at now_ms. */
static void come_in(struct bed *bed, int64_t now_ms, const char *node, const char *state, int64_t received)
{
	bed_end(bed, now_ms - 20, received);
	bed_hear(bed, now_ms, node, state, received);
	bed_end(bed, now_ms + 10, received);
	bed_run(bed, now_ms + 10);
}

static void test_move(void)
{
	struct bed *bed = bed_index(bed_new(4, 1), 1, "n2=A2*");

	bed_run(bed, 0);
	bed_hear(bed, 500, "n2", "a2", 100);
	bed_expect(bed, 500, "n2=A2*"); /* n4 does not answer yet */
	bed_hear(bed, 600, "n4", NULL, 0);
	bed_expect(bed, 600, "n2=A2* n4=J0");
	bed_changes(bed, "joining target n4");
	bed_hear(bed, 1000, "n4", "r5", 0);
	bed_expect(bed, 1000, "n2=A2* n4=A5"); /* less than 65,536 behind */
	bed_changes(bed, "incarnation first n4, active near n4");
	come_in(bed, 1600, "n4", "a5", 99);
	bed_hear(bed, 1650, "n2", "a2", 100);
	bed_expect(bed, 1650, "n2=A2* n4=A5*"); /* n4 has not all that n2 has */
	bed_changes(bed, "in level n4");
	bed_hear(bed, 2000, "n4", "a5", 100);
	bed_expect(bed, 2000, "n2=L2 n4=A5*");
	bed_changes(bed, "leaving target n2");
	bed_free(bed);
}

/* When a leaving replica of n2 is gone: not listed in an answer asked for 3 s after it was recorded, here at 500. */
static void gone(int64_t last_listed_ms, int64_t gone_ms)
{
	struct bed *bed = bed_index(bed_new(4, 1), 1, "n2=A2* n4=A5*");

	bed_hear(bed, 400, "n2", "a2", 100);
	bed_hear(bed, 500, "n4", "a5", 100);
	bed_expect(bed, 500, "n2=L2 n4=A5*");
	for (int64_t now = 1000; now <= 6000; now += 500) {
		bed_hear(bed, now, "n4", "a5", 100);
		bed_hear(bed, now, "n2", now <= last_listed_ms ? "a2" : NULL, 100);
		bed_expect(bed, now, now < gone_ms ? "n2=L2 n4=A5*" : "n4=A5*");
	}
	bed_free(bed);
}

static void test_gone(void)
{
	gone(500, 4000);
	gone(3000, 4000);
	gone(5000, 5500);
	gone(6000, 6500);
}

/* The old one leaves only when the new one serves and has as much. */
static void test_leaving_waits(void)
{
	static const struct {
		const char *name;
		const char *record;
		const char *state; /* of n4's replica */
		int64_t received;
		const char *expected;
	} rows[] = {
		{"as much", "n2=A2* n4=A5*", "a5", 100, "n2=L2 n4=A5*"},
		{"less", "n2=A2* n4=A5*", "a5", 99, "n2=A2* n4=A5*"},
		{"recovering", "n2=A2* n4=A5*", "r5", 100, "n2=A2* n4=A5*"},
		{"out", "n2=A2* n4=A5", "a5", 100, "n2=A2* n4=A5"},
		{"the old one is out as well", "n2=A2 n4=A5*", "a5", 100, "n2=L2 n4=A5*"},
		{"the old one joins", "n2=J2 n4=A5*", "a5", 100, "n2=L2 n4=A5*"},
		{"one of no target", "n2=A2* n3=A3* n4=A5*", "a5", 100, "n2=L2 n3=L3 n4=A5*"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct bed *bed = bed_index(bed_new(4, 1), 1, rows[i].record);

		bed_hear(bed, 500, "n2", "a2", 100);
		bed_hear(bed, 500, "n3", "a3", 100);
		bed_hear(bed, 500, "n4", rows[i].state, rows[i].received);
		printf("%s, ", rows[i].name);
		bed_expect(bed, 500, rows[i].expected);
		bed_free(bed);
	}
}

static void test_rf_raised_and_lowered(void)
{
	struct bed *bed = bed_index(bed_new(3, 2), 1, "n2=A2*");

	bed_hear(bed, 500, "n1", NULL, 0);
	bed_hear(bed, 500, "n2", "a2", 100);
	bed_hear(bed, 500, "n3", NULL, 0);
	bed_expect(bed, 500, "n2=A2* n3=J0");
	bed_free(bed);

	bed = bed_index(bed_new(3, 1), 1, "n2=A2* n3=A3*");
	bed_hear(bed, 500, "n3", "a3", 100);
	bed_expect(bed, 500, "n2=A2* n3=A3*");
	bed_hear(bed, 600, "n2", "a2", 100);
	bed_expect(bed, 600, "n2=A2* n3=L3");
	bed_free(bed);
}

static unsigned count_joining(const struct bed *bed, const char *node)
{
	unsigned count = 0;

	for (int32_t p = 0; p < 64; p++) {
		const struct shard_record *shard =
			catalog_shard(controller_catalog(bed->controller), BED_INDEX, p);
		const struct placement *placement = catalog_placement(shard, node);

		count += placement != NULL && placement->state == PLACEMENT_STATE_JOINING;
	}
	return count;
}

/* 64 shards are all on n1, and most of them belong elsewhere. */
static void test_few_join_at_a_time(void)
{
	struct bed *bed = bed_index(bed_new(3, 1), 64, "n1=A1*");
	struct told told[64];
	struct told one;

	bed_hear(bed, 500, "n2", NULL, 0);
	bed_hear(bed, 500, "n3", NULL, 0);
	bed_run(bed, 500);
	CU_ASSERT_EQUAL(count_joining(bed, "n1"), 0);
	CU_ASSERT_EQUAL(count_joining(bed, "n2"), 8);
	CU_ASSERT_EQUAL(count_joining(bed, "n3"), 8);
	/* one is through: the next one begins */
	for (int32_t p = 0; p < 64; p++)
		told[p] = (struct told){.partition = p, .state = "a1", .received = 9, .stored = 9};
	bed_hear_all(bed, 600, "n1", told, 64);
	one = (struct told){.partition = 0, .state = "r2", .received = 9, .stored = 0};
	bed_hear_all(bed, 700, "n2", &one, 1);
	bed->changes[0] = '\0';
	bed_run(bed, 700);
	CU_ASSERT_PTR_NOT_NULL(strstr(bed->changes, "active near n2"));
	CU_ASSERT_PTR_NOT_NULL(strstr(bed->changes, "joining target n2"));
	CU_ASSERT_EQUAL(count_joining(bed, "n2"), 8);
	bed_free(bed);
}

static bool is_asked(const struct bed *bed, const char *node)
{
	const struct node_record *nodes;
	size_t len = controller_nodes(bed->controller, &nodes);

	for (size_t i = 0; i < len; i++)
		if (strcmp(nodes[i].id, node) == 0)
			return true;
	return false;
}

/* n3 is no longer configured: it is asked, and recorded, until its last shard has gone elsewhere. */
static void test_a_node_is_taken_out_of_the_configuration(void)
{
	struct bed *bed = bed_new(2, 1);
	struct cluster_record cluster = {.epoch = 4, .task = -1, .kafka = "K1", .rf = 1, .nodes_len = 3};
	struct buffer value;

	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(cluster.nodes[i].id, sizeof cluster.nodes[i].id, "n%zu", i + 1);
		(void)snprintf(cluster.nodes[i].group, sizeof cluster.nodes[i].group, "g0");
		(void)snprintf(cluster.nodes[i].url, sizeof cluster.nodes[i].url, "http://n%zu", i + 1);
	}
	buffer_init(&value, 1 << 20);
	catalog_write_cluster(&value, &cluster);
	bed_record(bed, &value, false, "cluster");
	buffer_deinit(&value);
	(void)bed_index(bed, 1, "n3=A3*");
	bed_run(bed, 0);
	CU_ASSERT_TRUE(is_asked(bed, "n3"));
	CU_ASSERT_PTR_NOT_NULL(catalog_node(controller_catalog(bed->controller), "n3"));
	bed_hear(bed, 500, "n3", "a3", 100);
	bed_hear(bed, 500, "n2", NULL, 0);
	bed_expect(bed, 500, "n3=A3* n2=J0");
	come_in(bed, 1000, "n2", "a2", 100);
	bed_expect(bed, 1020, "n3=L3 n2=A2*");
	for (int64_t now = 1500; now <= 4500; now += 500) {
		bed_hear(bed, now, "n2", "a2", 100);
		bed_hear(bed, now, "n3", NULL, 0);
		bed_run(bed, now);
	}
	bed_expect(bed, 4500, "n2=A2*");
	bed_run(bed, 4600);
	CU_ASSERT_FALSE(is_asked(bed, "n3"));
	CU_ASSERT_PTR_NULL(catalog_node(controller_catalog(bed->controller), "n3"));
	bed_free(bed);
}

/* ---- agreement ---- */

static struct replica_report report_of(int64_t received, uint64_t digest, const struct report_seal *seals,
                                       size_t seals_len)
{
	struct replica_report report = {.received = received, .digest = {digest, 0}, .seals_len = seals_len};

	if (seals_len > 0)
		memcpy(report.seals, seals, seals_len * sizeof *seals);
	return report;
}

static void test_compare(void)
{
	static const struct report_seal low[] = {{4096, {1, 0}}, {8192, {2, 0}}};
	static const struct report_seal high[] = {{8192, {2, 0}}, {12288, {3, 0}}};
	static const struct report_seal other[] = {{8192, {9, 0}}, {12288, {3, 0}}};
	static const struct report_seal far[] = {{40960, {7, 0}}};
	struct {
		struct replica_report a;
		struct replica_report b;
		enum agreement expected;
		int64_t expected_at;
	} rows[] = {
		{report_of(5, 1, NULL, 0), report_of(5, 1, NULL, 0), AGREEMENT_EQUAL, 5},
		{report_of(5, 1, NULL, 0), report_of(5, 2, NULL, 0), AGREEMENT_DIFFERENT, 5},
		{report_of(5, 1, NULL, 0), report_of(6, 1, NULL, 0), AGREEMENT_UNKNOWN, -1},
		{report_of(9000, 5, low, 2), report_of(13000, 6, high, 2), AGREEMENT_EQUAL, 8192},
		{report_of(9000, 5, low, 2), report_of(13000, 6, other, 2), AGREEMENT_DIFFERENT, 8192},
		{report_of(9000, 5, low, 2), report_of(50000, 6, far, 1), AGREEMENT_UNKNOWN, -1},
		/* one stands where the other has a seal */
		{report_of(8192, 2, NULL, 0), report_of(13000, 6, high, 2), AGREEMENT_EQUAL, 8192},
		{report_of(12288, 4, low, 2), report_of(13000, 6, high, 2), AGREEMENT_DIFFERENT, 12288},
		/* the highest offset decides: what differed once may have been overwritten */
		{report_of(14000, 8, high, 2), report_of(13000, 6, other, 2), AGREEMENT_EQUAL, 12288},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t at = -2;

		CU_ASSERT_EQUAL(marks_compare(&rows[i].a, &rows[i].b, &at), rows[i].expected);
		CU_ASSERT_EQUAL(at, rows[i].expected_at);
		CU_ASSERT_EQUAL(marks_compare(&rows[i].b, &rows[i].a, &at), rows[i].expected);
		CU_ASSERT_EQUAL(at, rows[i].expected_at);
	}
}

static void hear_digest(struct bed *bed, int64_t now_ms, const char *node, const char *state, uint64_t digest)
{
	const struct told told = {.state = state, .received = 100, .stored = 100, .digest = digest};

	bed_hear_all(bed, now_ms, node, &told, 1);
}

static bool status_says(const struct bed *bed, const char *text)
{
	struct buffer status;
	bool found;

	buffer_init(&status, 1 << 20);
	controller_status(bed->controller, &status);
	buffer_put_u8(&status, 0);
	found = strstr((const char *)status.ptr, text) != NULL;
	buffer_deinit(&status);
	return found;
}

/* n3 is wrong: n1 is brought in, votes, and leaves again when n3 is new. */
static void test_repair(void)
{
	struct bed *bed = bed_index(bed_new(3, 2), 1, "n2=A2* n3=A3*");

	hear_digest(bed, 500, "n2", "a2", 7);
	bed_expect(bed, 500, "n2=A2* n3=A3*");
	bed_hear(bed, 600, "n1", NULL, 0);
	hear_digest(bed, 600, "n3", "a3", 8);
	bed_expect(bed, 600, "n2=A2* n3=A3* n1=J0 !");
	bed_changes(bed, "divergent digest n3, joining digest n1");
	CU_ASSERT_TRUE(status_says(bed, "\"divergent\":true,\"needs_operator\":false"));
	bed_end(bed, 900, 100);
	hear_digest(bed, 1000, "n1", "a1", 7);
	bed_end(bed, 1100, 100);
	bed_expect(bed, 1100, "n2=A2* n3=L3 n1=A1*");
	bed_changes(bed,
	            "incarnation first n1, active near n1, in level n1, leaving digest n3, agreeing digest ");
	for (int64_t now = 1500; now <= 4500; now += 500) {
		hear_digest(bed, now, "n1", "a1", 7);
		hear_digest(bed, now, "n2", "a2", 7);
		bed_hear(bed, now, "n3", NULL, 0);
		bed_run(bed, now);
	}
	bed_expect(bed, 4600, "n2=A2* n1=A1* n3=J0");
	bed_changes(bed, "gone dropped n3, joining target n3");
	CU_ASSERT_TRUE(status_says(bed, "{\"node\":\"n3\",\"state\":\"joining\",\"in_sync\":false,"
	                                "\"incarnation\":\"\",\"reported\":null}"));
	bed_end(bed, 4900, 100);
	hear_digest(bed, 5000, "n3", "a4", 7);
	bed_end(bed, 5100, 100);
	bed_expect(bed, 5100, "n2=A2* n1=L1 n3=A4*");
	bed_free(bed);
}

static void test_repair_without_a_further_node(void)
{
	struct bed *bed = bed_index(bed_new(2, 2), 1, "n1=A1* n2=A2*");

	hear_digest(bed, 500, "n1", "a1", 7);
	hear_digest(bed, 500, "n2", "a2", 8);
	bed_expect(bed, 500, "n1=A1* n2=A2* !");
	CU_ASSERT_TRUE(status_says(bed, "\"divergent\":true,\"needs_operator\":true"));
	hear_digest(bed, 1000, "n2", "a2", 7);
	bed_expect(bed, 1000, "n1=A1* n2=A2*");
	CU_ASSERT_TRUE(status_says(bed, "\"divergent\":false,\"needs_operator\":false"));
	bed_free(bed);
}

/* Who is outvoted leaves only when somebody of the majority serves. */
static void test_repair_waits_for_a_server(void)
{
	struct bed *bed = bed_index(bed_new(3, 2), 1, "n1=A1* n2=A2* n3=A3* !");

	hear_digest(bed, 500, "n1", "r1", 7);
	hear_digest(bed, 500, "n2", "r2", 7);
	hear_digest(bed, 500, "n3", "a3", 8);
	bed_expect(bed, 500, "n1=A1* n2=A2* n3=A3* !");
	hear_digest(bed, 1000, "n2", "a2", 7);
	bed_run(bed, 1000);
	bed_changes(bed, "leaving digest n3, agreeing digest ");
	bed_free(bed);
}

/* One that is left alone agrees with itself, which says nothing. */
static void test_divergent_until_two_agree(void)
{
	struct bed *bed = bed_index(bed_new(2, 2), 1, "n1=A1* n2=A2 !");

	hear_digest(bed, 500, "n1", "a1", 7);
	bed_expect(bed, 500, "n1=A1* n2=A2 !");
	bed_free(bed);
}

static void hear_sealed(struct bed *bed, int64_t now_ms, const char *node, int64_t received, uint64_t digest)
{
	const struct told told = {.state = node[1] == '1'   ? "a1"
	                                   : node[1] == '2' ? "a2"
	                                                    : "a3",
	                          .received = received,
	                          .stored = received,
	                          .digest = digest,
	                          .seal = 8192,
	                          .seal_digest = 5};

	bed_hear_all(bed, now_ms, node, &told, 1);
}

/* Writes go on, so that reports are mostly of different offsets: the seal that all have is from before. */
static void test_an_older_seal_is_no_agreement(void)
{
	struct bed *bed = bed_index(bed_new(3, 2), 1, "n2=A2* n3=A3*");

	hear_sealed(bed, 500, "n2", 9000, 7);
	hear_sealed(bed, 500, "n3", 9000, 8);
	bed_expect(bed, 500, "n2=A2* n3=A3* !");
	hear_sealed(bed, 1000, "n3", 9010, 9);
	bed_expect(bed, 1000, "n2=A2* n3=A3* !");
	bed_hear(bed, 1100, "n1", NULL, 0);
	bed_expect(bed, 1100, "n2=A2* n3=A3* n1=J0 !");
	bed_end(bed, 1400, 9020);
	hear_sealed(bed, 1500, "n1", 9020, 10);
	bed_end(bed, 1600, 9020);
	/* equal at the seal, all three of them: who is wrong nobody knows yet */
	bed_expect(bed, 1600, "n2=A2* n3=A3* n1=A1* !");
	hear_sealed(bed, 2000, "n1", 9030, 11);
	hear_sealed(bed, 2000, "n2", 9030, 11);
	bed_expect(bed, 2000, "n2=A2* n3=A3* n1=A1* !");
	hear_sealed(bed, 2100, "n3", 9030, 12);
	bed_expect(bed, 2100, "n2=A2* n3=L3 n1=A1*");
	bed_changes(
		bed,
		"divergent digest n3, joining digest n1, incarnation first n1, active near n1, in level n1, "
		"leaving digest n3, agreeing digest ");
	bed_free(bed);
}

/* What differed was overwritten: the seal from before tells of nothing that is still so. */
static void test_an_older_seal_is_no_difference(void)
{
	const struct told sealed = {
		.state = "a2", .received = 9010, .stored = 9010, .digest = 6, .seal = 8192, .seal_digest = 1};
	struct bed *bed = bed_index(bed_new(2, 2), 1, "n1=A1* n2=A2*");

	hear_sealed(bed, 500, "n1", 9000, 7);
	bed_hear_all(bed, 500, "n2", &sealed, 1);
	bed_expect(bed, 500, "n1=A1* n2=A2* !");
	hear_sealed(bed, 1000, "n1", 9010, 6);
	bed_expect(bed, 1000, "n1=A1* n2=A2*");
	hear_sealed(bed, 1500, "n1", 9020, 7);
	bed_expect(bed, 1500, "n1=A1* n2=A2*");
	bed_changes(bed, "divergent digest n2, agreeing digest ");
	bed_free(bed);
}

/* A new controller does not know where they differed: somewhere below what they had when it came. */
static void test_an_older_seal_tells_a_successor_nothing(void)
{
	struct bed *bed = bed_index(bed_new(2, 2), 1, "n1=A1* n2=A2* !");

	hear_sealed(bed, 500, "n1", 9000, 7);
	bed_expect(bed, 500, "n1=A1* n2=A2* !");
	hear_sealed(bed, 600, "n2", 9010, 9);
	bed_expect(bed, 600, "n1=A1* n2=A2* !");
	hear_sealed(bed, 1000, "n1", 9020, 8);
	bed_expect(bed, 1000, "n1=A1* n2=A2* !");
	hear_sealed(bed, 1100, "n2", 9020, 8); /* what differed was overwritten */
	bed_expect(bed, 1100, "n1=A1* n2=A2*");
	bed_changes(bed, "agreeing digest ");
	bed_free(bed);
}

static void test_repair_without_a_majority(void)
{
	struct bed *bed = bed_index(bed_new(5, 3), 1, "n2=A2* n4=A4* n5=A5* !");

	hear_digest(bed, 500, "n2", "a2", 7);
	hear_digest(bed, 500, "n4", "a4", 8);
	hear_digest(bed, 500, "n5", "a5", 9);
	bed_expect(bed, 500, "n2=A2* n4=A4* n5=A5* !"); /* n3 does not answer */
	CU_ASSERT_TRUE(status_says(bed, "\"needs_operator\":false"));
	bed_hear(bed, 600, "n1", NULL, 0);
	bed_hear(bed, 600, "n3", NULL, 0);
	bed_expect(bed, 600, "n2=A2* n4=A4* n5=A5* n3=J0 !");
	bed_end(bed, 900, 100);
	hear_digest(bed, 1000, "n3", "a3", 9);
	bed_end(bed, 1100, 100);
	/* two of four are not more than half, and n1 would not be asked as well */
	bed_expect(bed, 1100, "n2=A2* n4=A4* n5=A5* n3=A3* !");
	CU_ASSERT_TRUE(status_says(bed, "\"needs_operator\":true"));
	bed_free(bed);
}

/* A digest of another incarnation, of a stopped replica or of one that is out says nothing about the shard. */
static void test_digests_that_do_not_count(void)
{
	static const struct {
		const char *record;
		const char *n2;
		const char *n3;
	} rows[] = {
		{"n2=A2* n3=A3", "a2", "a3"},
		{"n2=A2* n3=J3", "a2", "r3"},
		{"n2=A2* n3=A3*", "a2", "s3"},
		{"n2=A2* n3=A3*", "r2", "s3"}, /* with nobody well, n3 stays in-sync */
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct bed *bed = bed_index(bed_new(3, 2), 1, rows[i].record);

		hear_digest(bed, 500, "n2", rows[i].n2, 7);
		hear_digest(bed, 500, "n3", rows[i].n3, 8);
		bed_run(bed, 500);
		CU_ASSERT_PTR_NULL(strstr(bed->changes, "divergent"));
		bed_free(bed);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"a move", test_move},
		{"gone", test_gone},
		{"leaving waits", test_leaving_waits},
		{"RF raised and lowered", test_rf_raised_and_lowered},
		{"few join at a time", test_few_join_at_a_time},
		{"a node is taken out of the configuration", test_a_node_is_taken_out_of_the_configuration},
		{"compare", test_compare},
		{"repair", test_repair},
		{"an older seal is no agreement", test_an_older_seal_is_no_agreement},
		{"an older seal is no difference", test_an_older_seal_is_no_difference},
		{"an older seal tells a successor nothing", test_an_older_seal_tells_a_successor_nothing},
		{"repair waits for a server", test_repair_waits_for_a_server},
		{"divergent until two agree", test_divergent_until_two_agree},
		{"repair without a further node", test_repair_without_a_further_node},
		{"repair without a majority", test_repair_without_a_majority},
		{"digests that do not count", test_digests_that_do_not_count},
		CU_TEST_INFO_NULL,
	};

	return suite_run("controller_moves", tests);
}
