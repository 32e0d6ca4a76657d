/*
 * Offsets to skip, by request: recorded once, and only while every replica
 * tells that it has not applied what stands there.
 */
#include "tests/unit/controller_bed.h"

static int64_t tasks;

static void ask(struct bed *bed, int32_t partition, int64_t offset, const char *uid)
{
	struct task_request task = {.type = TASK_TYPE_RECORD_SKIP,
	                            .nonce = "00112233445566778899aabbccddeeff",
	                            .index_id = BED_INDEX,
	                            .partition = partition,
	                            .offset = offset,
	                            .reason = "it ended the worker"};
	struct buffer value;
	struct error error;

	(void)snprintf(task.uid, sizeof task.uid, "%s", uid);
	buffer_init(&value, 4096);
	task_request_write(&value, &task);
	CU_ASSERT_EQUAL(controller_read_task(bed->controller, tasks++, buffer_slice(&value), &error), 0);
	buffer_deinit(&value);
}

static void check_skips(const struct bed *bed, int32_t partition, const char *expected)
{
	size_t len;
	const int64_t *offsets =
		catalog_skips(controller_catalog(bed->controller), BED_INDEX, partition, &len);
	char text[256] = "";
	size_t at = 0;

	for (size_t i = 0; i < len; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s%d", i > 0 ? " " : "",
		                       (int)offsets[i]);
	CU_ASSERT_STRING_EQUAL(text, expected);
}

static struct bed *bed_two(void)
{
	tasks = 0;
	return bed_index(bed_new(2, 2), 1, "n1=A1* n2=A2*");
}

static void test_recorded(void)
{
	struct bed *bed = bed_two();

	bed_hear(bed, 1000, "n1", "a1", 10);
	bed_hear(bed, 1000, "n2", "a2", 8);
	ask(bed, 0, 20, "books");
	bed_expect_finals(bed, 1001, "succeeded");
	check_skips(bed, 0, "20");
	ask(bed, 0, 20, "books");
	ask(bed, 0, 10, "books");
	ask(bed, 0, 15, "books");
	bed_expect_finals(bed, 1002, "succeeded succeeded succeeded");
	check_skips(bed, 0, "10 15 20");
	bed_free(bed);
}

/* What one of them has applied the other must apply too; it is not enough that it is not stored. */
static void test_applied(void)
{
	struct bed *bed = bed_two();
	const struct told told = {.state = "a1", .received = 11, .stored = 3};

	bed_hear_all(bed, 1000, "n1", &told, 1);
	bed_hear(bed, 1000, "n2", "a2", 8);
	ask(bed, 0, 10, "books");
	ask(bed, 0, 11, "books");
	bed_expect_finals(bed, 1001, "offset_applied succeeded");
	check_skips(bed, 0, "11");
	bed_free(bed);
}

/* Already recorded: replicas may have passed it since. */
static void test_recorded_already(void)
{
	struct bed *bed = bed_two();

	bed_hear(bed, 1000, "n1", "a1", 10);
	bed_hear(bed, 1000, "n2", "a2", 10);
	ask(bed, 0, 10, "books");
	bed_expect_finals(bed, 1001, "succeeded");
	bed_hear(bed, 1500, "n1", "a1", 12);
	bed_hear(bed, 1500, "n2", "a2", 12);
	ask(bed, 0, 10, "books");
	bed_expect_finals(bed, 1501, "succeeded");
	check_skips(bed, 0, "10");
	bed_free(bed);
}

/* A successor knows nothing yet of what replicas have: it waits for them, and not for ever. */
static void test_waits_for_replicas(void)
{
	struct bed *bed = bed_two();

	bed_expect_finals(bed, 1000, "");
	bed_hear(bed, 1100, "n1", "a1", 10);
	ask(bed, 0, 10, "books");
	bed_expect_finals(bed, 1200, "");
	bed_hear(bed, 1300, "n2", "a2", 10);
	bed_expect_finals(bed, 1301, "succeeded");
	bed_free(bed);

	bed = bed_two();
	bed_expect_finals(bed, 1000, "");
	for (int64_t at = 1100; at <= 3900; at += 100) {
		bed_hear(bed, at, "n1", "a1", 10);
		if (at == 1100)
			ask(bed, 0, 10, "books");
		bed_expect_finals(bed, at, "");
	}
	/* silent that long, the other one is out of the in-sync ones */
	bed_hear(bed, 4000, "n1", "a1", 10);
	bed_expect_finals(bed, 4000, "succeeded");
	bed_free(bed);

	bed = bed_two();
	for (int64_t at = 1000; at <= 4000; at += 500)
		bed_expect_finals(bed, at, "");
	ask(bed, 0, 10, "books");
	bed_expect_finals(bed, 4500, "replica_silent");
	check_skips(bed, 0, "");
	bed_free(bed);
}

static void test_refused(void)
{
	struct bed *bed = bed_two();

	bed_hear(bed, 1000, "n1", "a1", 0);
	bed_hear(bed, 1000, "n2", "a2", 0);
	ask(bed, 0, 10, "books2");
	ask(bed, 1, 10, "books");
	bed_expect_finals(bed, 1001, "index_not_found invalid_skip");
	check_skips(bed, 0, "");
	bed_free(bed);
}

static void test_bound(void)
{
	struct bed *bed = bed_two();

	bed_hear(bed, 1000, "n1", "a1", 0);
	bed_hear(bed, 1000, "n2", "a2", 0);
	for (int64_t offset = 1; offset <= SKIPS_MAX; offset++) {
		ask(bed, 0, offset, "books");
		bed_expect_finals(bed, 1001, "succeeded");
	}
	ask(bed, 0, 0, "books");
	ask(bed, 0, 7, "books");
	bed_expect_finals(bed, 1001, "too_many_skips succeeded");
	bed_free(bed);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"recorded", test_recorded},
		{"applied", test_applied},
		{"recorded already", test_recorded_already},
		{"waits for replicas", test_waits_for_replicas},
		{"refused", test_refused},
		{"bound", test_bound},
		CU_TEST_INFO_NULL,
	};

	return suite_run("controller_skip", tests);
}
