/*
 * Who is in-sync: every rule of marks.h, with literal times, through the
 * controller. n1 and n2 hold partition 0; what a rule is about is on n2.
 */
#include "tests/unit/controller_bed.h"

#define BOTH_IN "n1=A1* n2=A2*"

static struct bed *two_in_sync(void)
{
	struct bed *bed = bed_index(bed_new(2, 2), 1, BOTH_IN);

	bed_run(bed, 0);
	bed_hear(bed, 500, "n1", "a1", 100);
	bed_hear(bed, 500, "n2", "a2", 100);
	bed_expect(bed, 500, BOTH_IN);
	return bed;
}

static void test_first_incarnations(void)
{
	struct bed *bed = bed_index(bed_new(2, 2), 1, "n1=A0* n2=A0*");

	bed_hear(bed, 500, "n1", "r1", 0);
	bed_expect(bed, 500, "n1=A1* n2=A0*");
	bed_hear(bed, 510, "n2", "s0", 0); /* stopped before it had one */
	bed_expect(bed, 510, "n1=A1* n2=A0*");
	bed_hear(bed, 1000, "n2", "a2", 0);
	bed_expect(bed, 1000, "n1=A1* n2=A2*");
	bed_changes(bed, "incarnation first n1, incarnation first n2");
	bed_free(bed);
}

static void test_silent(void)
{
	struct bed *bed = two_in_sync();

	for (int64_t now = 1000; now <= 3000; now += 500)
		bed_hear(bed, now, "n1", "a1", 100);
	bed_hear(bed, 3400, "n1", "a1", 100);
	bed_expect(bed, 3400, BOTH_IN);
	bed_expect(bed, 3500, "n1=A1* n2=A2");
	bed_changes(bed, "out silent n2");
	/* a failure is not an answer, and an answer that cannot be right is none */
	bed_miss(bed, 3600, "n2");
	bed_expect(bed, 3600, "n1=A1* n2=A2");
	bed_free(bed);
}

/* Silent for 3 s all the same, whatever n2 answers in that time; and each says why. */
static void test_answers_that_do_not_count(void)
{
	static const struct {
		const char *id;
		const char *kafka;
		uint64_t incarnation;
		bool ready;
		const char *trouble;
	} rows[] = {
		{"n1", "K1", 902, true, "at its url answers node n1"},
		{"n2", "K2", 902, true, "it belongs to Kafka K2, this controller to K1"},
		{"n2", "", 902, true, "it does not know its Kafka yet"},
		{"n2", "K1", 902, false, "it has not opened its replicas yet"},
		{"n2", "K1", 901, true, "its data directory is the one of node n1"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct told told = {.state = "a2", .received = 100, .stored = 100};
		struct replica_report replica = bed_replica(&told);
		struct bed *bed = two_in_sync();

		for (int64_t now = 1000; now <= 4000; now += 500) {
			struct node_report report = bed_report("n2", now);

			bed_hear(bed, now, "n1", "a1", 100);
			(void)snprintf(report.id, sizeof report.id, "%s", rows[i].id);
			(void)snprintf(report.kafka, sizeof report.kafka, "%s", rows[i].kafka);
			report.incarnation = bed_incarnation(rows[i].incarnation);
			report.ready = rows[i].ready;
			report.replicas = &replica;
			report.replicas_len = 1;
			controller_node_report(bed->controller, &report, now);
			CU_ASSERT_PTR_NOT_NULL(
				strstr(controller_trouble(bed->controller, "n2"), rows[i].trouble));
			bed_expect(bed, now, now < 3500 ? BOTH_IN : "n1=A1* n2=A2");
		}
		bed_hear(bed, 4400, "n2", "a2", 100);
		CU_ASSERT_STRING_EQUAL(controller_trouble(bed->controller, "n2"), "");
		bed_free(bed);
	}
}

static void test_registration_is_recorded(void)
{
	struct bed *bed = two_in_sync();
	const struct cluster_record *cluster = catalog_cluster(controller_catalog(bed->controller));
	struct node_report moved = bed_report("n2", 1000);

	CU_ASSERT_STRING_EQUAL(cluster->controller, "http://c");
	CU_ASSERT_EQUAL(cluster->nodes[0].incarnation.word[0], 901);
	CU_ASSERT_EQUAL(cluster->nodes[1].incarnation.word[0], 902);
	CU_ASSERT_EQUAL(cluster->nodes[1].format, 1);
	/* an empty disk, another release */
	moved.incarnation = bed_incarnation(77);
	moved.format = 2;
	controller_node_report(bed->controller, &moved, 1000);
	bed_run(bed, 1000);
	cluster = catalog_cluster(controller_catalog(bed->controller));
	CU_ASSERT_EQUAL(cluster->nodes[1].incarnation.word[0], 77);
	CU_ASSERT_EQUAL(cluster->nodes[1].format, 2);
	CU_ASSERT_EQUAL(cluster->oldest_task, 0);
	bed_free(bed);
}

static void test_the_last_one_stays(void)
{
	struct bed *bed = two_in_sync();

	/* both silent: who could say who is right? */
	bed_expect(bed, 900, BOTH_IN);
	for (int64_t now = 1800; now < 9000; now += 900)
		bed_expect(bed, now, BOTH_IN);
	/* n1 is there, but not level since it restarted */
	bed_hear(bed, 9000, "n1", "r1", 90);
	bed_expect(bed, 9000, BOTH_IN);
	bed_hear(bed, 9500, "n1", "a1", 100);
	bed_expect(bed, 9500, "n1=A1* n2=A2");
	/* and now it is the last */
	for (int64_t now = 10000; now < 40000; now += 900)
		bed_expect(bed, now, "n1=A1* n2=A2");
	bed_hear(bed, 40000, "n1", "s1", 100);
	bed_expect(bed, 40000, "n1=A1* n2=A2");
	bed_free(bed);
}

static void test_stopped(void)
{
	struct bed *bed = two_in_sync();

	bed_hear(bed, 1000, "n2", "s2", 100);
	bed_expect(bed, 1000, "n1=A1* n2=A2");
	bed_changes(bed, "out stopped n2");
	bed_free(bed);
}

static void test_absent(void)
{
	struct bed *bed = two_in_sync();

	for (int64_t now = 1000; now <= 4000; now += 500) {
		bed_hear(bed, now, "n1", "a1", 100);
		bed_hear(bed, now, "n2", NULL, 0);
		/* asked at 3490: 2,990 ms after it was listed last */
		bed_expect(bed, now, now <= 3500 ? BOTH_IN : "n1=A1* n2=A2");
	}
	bed_changes(bed, "out absent n2");
	bed_free(bed);
}

/* Who makes no progress is soon behind a sibling that does: n1's 101 is heard of at 1,000; n2 is asked last at
 * `asked_ms`. */
static void no_progress(int64_t asked_ms, const char *expected)
{
	struct bed *bed = two_in_sync();

	bed_hear(bed, 1000, "n1", "a1", 101);
	for (int64_t now = 1500; now <= 5500; now += 500) {
		bed_hear(bed, now, "n1", "a1", 101);
		bed_hear(bed, now, "n2", "a2", 100);
		bed_expect(bed, now, BOTH_IN);
	}
	bed_hear(bed, asked_ms + 10, "n2", "a2", 100);
	bed_expect(bed, asked_ms + 10, expected);
	bed_free(bed);
}

static void test_no_progress(void)
{
	no_progress(5999, BOTH_IN);
	no_progress(6000, "n1=A1* n2=A2");
}

/* With nothing to do nobody is behind; and where nobody moves, it is feeding that stands still. */
static void test_everybody_stands_still(void)
{
	struct bed *bed = two_in_sync();

	for (int64_t now = 1000; now <= 30000; now += 500) {
		bed_hear(bed, now, "n1", "a1", 100);
		bed_hear(bed, now, "n2", "a2", 100);
		if (now == 15000)
			bed_end(bed, now, 500);
		bed_expect(bed, now, BOTH_IN);
	}
	bed_changes(bed, "");
	bed_free(bed);
}

/* n1 receives 10 in 500 ms; n2 the same `delay_ms` later. The time at which n2 is out; 0: never. */
static int64_t out_with_delay(int64_t delay_ms)
{
	struct bed *bed = two_in_sync();
	int64_t out_ms = 0;

	for (int64_t now = 1000; now <= 30000 && out_ms == 0; now += 500) {
		bed_hear(bed, now, "n1", "a1", 100 + now / 50);
		bed_hear(bed, now + 1, "n2", "a2", now > delay_ms ? 100 + (now - delay_ms) / 50 : 100);
		bed_run(bed, now + 1);
		if (strcmp(bed->changes, "out behind n2") == 0)
			out_ms = now;
	}
	bed_free(bed);
	return out_ms;
}

static void test_behind(void)
{
	CU_ASSERT_EQUAL(out_with_delay(0), 0);
	CU_ASSERT_EQUAL(out_with_delay(4500), 0);
	/* n1's 120 of 1,000 ms is seen to be missing in an answer asked for at 6,000 ms or later */
	CU_ASSERT_EQUAL(out_with_delay(7000), 6500);
}

/* What a replica that is out has is nobody's measure: n1 had 150 when n2 still has 100; n3 has gone past both. */
static void test_behind_one_that_is_out(void)
{
	struct bed *bed = bed_index(bed_new(3, 3), 1, "n1=A1 n2=A2* n3=A3*");

	bed_run(bed, 0);
	for (int64_t now = 500; now <= 8000; now += 500) {
		bed_hear(bed, now, "n1", "a1", 150);
		bed_hear(bed, now, "n2", "a2", 100);
		bed_hear(bed, now, "n3", "a3", now < 4000 ? 100 : 200);
		bed_expect(bed, now, "n1=A1 n2=A2* n3=A3*");
	}
	bed_free(bed);
}

static struct bed *n2_out(void)
{
	struct bed *bed = bed_index(bed_new(2, 2), 1, "n1=A1* n2=A2");

	bed_run(bed, 0);
	bed_hear(bed, 500, "n1", "a1", 100);
	bed_expect(bed, 500, "n1=A1* n2=A2");
	return bed;
}

static void test_in_again(void)
{
	static const struct {
		const char *name;
		const char *state;
		int64_t received;
		int64_t end_read_ms; /* it was 100; the answer was asked for at 7,000 and came at 7,010 */
		int64_t end_after;   /* what it is at 7,100 */
		bool in;
	} rows[] = {
		{"level", "a2", 100, 6900, 100, true},
		{"read in the same millisecond", "a2", 100, 7000, 100, true},
		{"it and the log have moved on", "a2", 120, 6900, 130, true},
		{"one record short", "a2", 99, 6900, 100, false},
		{"the end was read after the question had left", "a2", 100, 7001, 100, false},
		{"the end is old", "a2", 100, 3999, 100, false},
		{"the end is just not old", "a2", 100, 4000, 100, true},
		{"it has more than the log", "a2", 120, 6900, 119, false},
		{"not level since it restarted", "r2", 100, 6900, 100, false},
		{"another incarnation, but level", "a3", 100, 6900, 100, true},
		{"another incarnation", "r3", 100, 6900, 100, false},
		{"stopped", "s2", 100, 6900, 100, false},
		{"not listed", NULL, 0, 6900, 100, false},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct bed *bed = n2_out();

		bed_end(bed, rows[i].end_read_ms, 100);
		bed_run(bed, 7005);
		bed_hear(bed, 7010, "n2", rows[i].state, rows[i].received);
		bed_run(bed, 7010);
		CU_ASSERT_PTR_NULL(strstr(bed->changes, "in level n2"));
		bed_end(bed, 7100, rows[i].end_after);
		bed_run(bed, 7100);
		if ((strstr(bed->changes, "in level n2") != NULL) != rows[i].in) {
			printf("\n%s: %s\n", rows[i].name, bed->changes);
			CU_FAIL("in, or not in, against the rule");
		}
		bed_free(bed);
	}
}

/* A replica that is fed while records arrive is always a little behind the newest end. */
static void test_in_again_under_load(void)
{
	struct bed *bed = n2_out();

	for (int64_t now = 1000; now <= 2000; now += 500) {
		bed_end(bed, now, now);
		bed_run(bed, now);
		bed_changes(bed, now < 2000 ? "" : "in level n2");
		/* asked 15 ms after the end was read, and 300 ms behind it */
		bed_hear(bed, now + 25, "n2", "a2", now - 300);
		bed_run(bed, now + 25);
	}
	bed_free(bed);
}

/* Level in its former session is not level in this one. */
static void test_in_again_of_a_former_session(void)
{
	const struct told told = {.state = "a2", .received = 100, .stored = 100};
	struct replica_report replica = bed_replica(&told);

	for (uint64_t session = 7; session <= 8; session++) {
		struct bed *bed = n2_out();
		struct node_report report = bed_report("n2", 7200);

		bed_end(bed, 6900, 100);
		bed_hear(bed, 7010, "n2", "a2", 100);
		bed_end(bed, 7100, 100);
		replica.session = session;
		report.replicas = &replica;
		report.replicas_len = 1;
		controller_node_report(bed->controller, &report, 7200);
		bed_expect(bed, 7200, session == 7 ? BOTH_IN : "n1=A1* n2=A2");
		bed_free(bed);
	}
}

/* It was level before it was active, and nobody knows how it stands now. */
static void test_in_again_of_long_ago(void)
{
	for (int64_t now = 8100; now <= 8101; now++) {
		struct bed *bed = n2_out();

		bed_end(bed, 6900, 100);
		bed_hear(bed, 7010, "n2", "r2", 100);
		bed_end(bed, 7100, 100);
		bed_expect(bed, 7100, "n1=A1* n2=A2");
		bed_hear(bed, now, "n2", "a2", 100);
		bed_expect(bed, now, now == 8100 ? BOTH_IN : "n1=A1* n2=A2");
		bed_free(bed);
	}
}

/* A request that does not get on holds no marks up. */
static void test_marks_beside_requests(void)
{
	struct bed *bed = two_in_sync();
	struct task_request request = {.type = TASK_TYPE_INDEX_CREATION,
	                               .partitions = 1,
	                               .partitioner = PARTITIONER_MURMUR2,
	                               .primary_key = "id",
	                               .uid = "papers",
	                               .nonce = "00000000000000000000000000000001"};
	struct buffer value;
	struct error error;
	int asked = 0;

	buffer_init(&value, 4096);
	task_request_write(&value, &request);
	CU_ASSERT_EQUAL(controller_read_task(bed->controller, 0, buffer_slice(&value), &error), 0);
	buffer_deinit(&value);
	bed_hear(bed, 1000, "n2", "s2", 100);
	for (int i = 0; i < 10; i++) {
		struct controller_result result = {0};
		struct controller_action action;

		if (!controller_next(bed->controller, (struct controller_time){1000, 1000}, &action))
			break;
		if (action.kind != CONTROLLER_ACTION_WRITE) {
			asked++;
			result.code =
				error_set(&result.error, ERROR_LOG, ERROR_ACTION_RETRY, "Kafka is away");
		}
		controller_result(bed->controller, &result);
	}
	CU_ASSERT_TRUE(asked >= 5);
	CU_ASSERT_FALSE(
		catalog_shard(controller_catalog(bed->controller), BED_INDEX, 0)->replicas[1].in_sync);
	bed_free(bed);
}

/* The ends that are wanted: of a shard with a replica that could come in again, and not more often than needed. */
static void test_wanted_ends(void)
{
	struct bed *bed = n2_out();
	struct controller_end end;

	CU_ASSERT_FALSE(controller_next_end(bed->controller, 600, &end));
	bed_hear(bed, 700, "n2", "r2", 100);
	CU_ASSERT_FALSE(controller_next_end(bed->controller, 700, &end));
	bed_hear(bed, 800, "n2", "a2", 100);
	CU_ASSERT_TRUE_FATAL(controller_next_end(bed->controller, 800, &end));
	CU_ASSERT_EQUAL(end.index_id, BED_INDEX);
	CU_ASSERT_EQUAL(end.generation, 1);
	CU_ASSERT_EQUAL(end.partition, 0);
	CU_ASSERT_STRING_EQUAL(end.topic, "t.docs.books");
	CU_ASSERT_FALSE(controller_next_end(bed->controller, 1299, &end));
	CU_ASSERT_TRUE(controller_next_end(bed->controller, 1300, &end));
	controller_log_end(bed->controller, &end, 100, 1300);
	bed_hear(bed, 1310, "n2", "a2", 100);
	CU_ASSERT_TRUE(controller_next_end(bed->controller, 1800, &end));
	controller_log_end(bed->controller, &end, 100, 1800);
	bed_expect(bed, 1800, BOTH_IN);
	CU_ASSERT_FALSE(controller_next_end(bed->controller, 2500, &end));
	bed_free(bed);
}

static void test_another_incarnation(void)
{
	struct bed *bed = two_in_sync();

	bed_hear(bed, 1000, "n2", "r3", 0);
	bed_hear(bed, 1000, "n1", "a1", 200000);
	bed_expect(bed, 1000, "n1=A1* n2=J3");
	bed_changes(bed, "out incarnation n2, incarnation another n2");
	bed_hear(bed, 1500, "n2", "r3", 134463);
	bed_expect(bed, 1500, "n1=A1* n2=J3");
	bed_hear(bed, 2000, "n2", "r3", 134464);
	bed_expect(bed, 2000, "n1=A1* n2=A3");
	bed_changes(bed, "active near n2");
	bed_end(bed, 2100, 200000);
	bed_hear(bed, 2500, "n2", "a3", 200000);
	bed_end(bed, 2600, 200000);
	bed_expect(bed, 2600, "n1=A1* n2=A3*");
	bed_changes(bed, "in level n2");
	bed_free(bed);
}

/* The log is the truth: who is alone is fed from the log's base, and stays. */
static void test_another_incarnation_of_the_last(void)
{
	struct bed *bed = two_in_sync();

	/* n1 does not answer well, so nobody could take over from n2 */
	bed_miss(bed, 1000, "n1");
	bed_hear(bed, 1000, "n2", "r3", 0);
	bed_expect(bed, 1000, "n1=A1* n2=A3*");
	bed_changes(bed, "incarnation another n2");
	bed_hear(bed, 2000, "n1", "r4", 0);
	bed_expect(bed, 2000, "n1=A4* n2=A3*");
	bed_free(bed);
}

/* All of them lost their disks, one after the other: recorded in place, or nobody would ever be fed. */
static void test_everybody_starts_from_empty(void)
{
	struct bed *bed = two_in_sync();

	bed_miss(bed, 1000, "n1");
	bed_miss(bed, 1000, "n2");
	bed_expect(bed, 1000, BOTH_IN);
	bed_hear(bed, 1500, "n1", "r3", 0);
	bed_hear(bed, 1500, "n2", "r4", 0);
	bed_expect(bed, 1500, "n1=A3* n2=A4*");
	bed_changes(bed, "incarnation another n1, incarnation another n2");
	bed_free(bed);
}

/* A controller that stood still does not blame the nodes. */
static void test_blind(void)
{
	struct bed *bed = two_in_sync();

	for (int64_t now = 1000; now <= 5000; now += 500) {
		bed_hear(bed, now, "n1", "a1", 100);
		bed_hear(bed, now, "n2", "a2", 100);
		bed_run(bed, now);
	}
	/* 60 s later the first answer is n1's */
	bed_hear(bed, 65000, "n1", "a1", 100);
	bed_expect(bed, 65000, BOTH_IN);
	for (int64_t now = 65500; now < 68000; now += 500) {
		bed_hear(bed, now, "n1", "a1", 100);
		bed_expect(bed, now, BOTH_IN);
	}
	bed_hear(bed, 68000, "n1", "a1", 100);
	bed_expect(bed, 68000, "n1=A1* n2=A2");
	bed_changes(bed, "out silent n2");
	bed_free(bed);
}

/* Reports about what is not recorded, or of another generation, are about nothing. */
static void test_foreign_reports(void)
{
	struct bed *bed = two_in_sync();
	const struct told told = {.state = "s2", .received = 100, .stored = 100};
	struct replica_report replicas[3] = {bed_replica(&told), bed_replica(&told), bed_replica(&told)};
	struct node_report report = bed_report("n2", 1000);

	replicas[0].index_id = 43;
	replicas[1].partition = 7;
	replicas[2].generation = 2;
	report.replicas = replicas;
	report.replicas_len = 3;
	controller_node_report(bed->controller, &report, 1000);
	bed_expect(bed, 1000, BOTH_IN);
	report.node = "n9";
	controller_node_report(bed->controller, &report, 1100);
	bed_expect(bed, 1100, BOTH_IN);
	CU_ASSERT_STRING_EQUAL(controller_trouble(bed->controller, "n9"), "");
	bed_free(bed);
}

/* A node with many shards dies: few transactions. */
static void test_many_shards_in_few_writes(void)
{
	struct bed *bed = bed_index(bed_new(2, 2), 600, BOTH_IN);
	struct told *told = calloc(600, sizeof *told);

	ASSERT(told != NULL);
	for (int32_t p = 0; p < 600; p++)
		told[p] = (struct told){.partition = p, .state = "a1", .received = 100, .stored = 100};
	bed_run(bed, 0);
	for (int64_t now = 500; now < 3000; now += 500) {
		bed_hear_all(bed, now, "n1", told, 600);
		bed_run(bed, now);
	}
	bed_hear_all(bed, 3000, "n1", told, 600);
	bed->changes[0] = '\0';
	for (int64_t now = 3000; now < 3010; now++) {
		struct controller_action action;

		while (controller_next(bed->controller, (struct controller_time){1000, now}, &action)) {
			struct controller_result result = {0};

			CU_ASSERT_TRUE(action.writes_len <= CONTROLLER_WRITES_MAX);
			bed->writes++;
			controller_result(bed->controller, &result);
		}
	}
	CU_ASSERT_EQUAL(bed->writes, 3);
	for (int32_t p = 0; p < 600; p++) {
		const struct shard_record *shard =
			catalog_shard(controller_catalog(bed->controller), BED_INDEX, p);

		CU_ASSERT_TRUE(shard->replicas[0].in_sync);
		CU_ASSERT_FALSE(shard->replicas[1].in_sync);
	}
	free(told);
	bed_free(bed);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"first incarnations", test_first_incarnations},
		{"silent", test_silent},
		{"answers that do not count", test_answers_that_do_not_count},
		{"a registration is recorded", test_registration_is_recorded},
		{"the last one stays", test_the_last_one_stays},
		{"stopped", test_stopped},
		{"absent", test_absent},
		{"no progress", test_no_progress},
		{"everybody stands still", test_everybody_stands_still},
		{"behind", test_behind},
		{"behind one that is out", test_behind_one_that_is_out},
		{"in again", test_in_again},
		{"in again of a former session", test_in_again_of_a_former_session},
		{"in again of long ago", test_in_again_of_long_ago},
		{"marks beside requests", test_marks_beside_requests},
		{"in again under load", test_in_again_under_load},
		{"wanted ends", test_wanted_ends},
		{"another incarnation", test_another_incarnation},
		{"another incarnation of the last", test_another_incarnation_of_the_last},
		{"everybody starts from empty", test_everybody_starts_from_empty},
		{"blind", test_blind},
		{"foreign reports", test_foreign_reports},
		{"many shards in few writes", test_many_shards_in_few_writes},
		CU_TEST_INFO_NULL,
	};

	return suite_run("controller_marks", tests);
}
