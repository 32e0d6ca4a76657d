/*
 * Sources of an index by request: what is recorded and what is refused, and
 * that a successor after a kill between any two actions ends in the same
 * state; a new life above all begins once.
 */
#include "tests/unit/controller_world.h"

#define CANONICAL \
	"{\"format\":\"json\",\"op\":\"put\",\"primary_key\":\"id\",\"id\":\"key\",\"key\":\"text\"," \
	"\"tombstones\":" \
	"\"delete\"}"

static struct source_record source_of(const char *name, const char *topic, const char *rules)
{
	struct source_record source = {.life = 1, .rules = slice_string(rules)};

	(void)snprintf(source.name, sizeof source.name, "%s", name);
	if (topic[0] == '^')
		(void)snprintf(source.pattern, sizeof source.pattern, "%s", topic);
	else
		(void)snprintf(source.topic, sizeof source.topic, "%s", topic);
	return source;
}

static int64_t add(struct world *world, const char *uid, struct source_record source)
{
	struct task_request task = {.type = TASK_TYPE_SOURCE_ADDITION, .sources = &source, .sources_len = 1};

	(void)snprintf(task.uid, sizeof task.uid, "%s", uid);
	return ask(world, &task);
}

static int64_t create(struct world *world, const char *uid, struct source_record *sources, size_t len)
{
	struct task_request task = {.type = TASK_TYPE_INDEX_CREATION,
	                            .partitions = 2,
	                            .partitioner = PARTITIONER_MURMUR2,
	                            .primary_key = "id",
	                            .sources = sources,
	                            .sources_len = len};

	(void)snprintf(task.uid, sizeof task.uid, "%s", uid);
	return ask(world, &task);
}

/* `paused` and `start_ms` below 0: not asked for. */
static int64_t change(struct world *world, const char *uid, const char *name, int paused, int64_t start_ms)
{
	struct task_request task = {.type = TASK_TYPE_SOURCE_UPDATE,
	                            .has_paused = paused >= 0,
	                            .paused = paused > 0,
	                            .has_start = start_ms >= 0,
	                            .start_ms = start_ms};

	(void)snprintf(task.uid, sizeof task.uid, "%s", uid);
	(void)snprintf(task.source, sizeof task.source, "%s", name);
	return ask(world, &task);
}

static int64_t take_out(struct world *world, const char *uid, const char *name)
{
	struct task_request task = {.type = TASK_TYPE_SOURCE_DELETION};

	(void)snprintf(task.uid, sizeof task.uid, "%s", uid);
	(void)snprintf(task.source, sizeof task.source, "%s", name);
	return ask(world, &task);
}

/* "name life paused start, …" */
static const char *sources_of(const struct world *world, const char *uid)
{
	static char text[512];
	const struct index_record *index = resolve(world, uid);
	size_t at = 0;

	text[0] = '\0';
	for (size_t i = 0; index != NULL && i < index->sources_len; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s%s %u %d %lld", i > 0 ? ", " : "",
		                       index->sources[i].name, (unsigned)index->sources[i].life,
		                       index->sources[i].paused, (long long)index->sources[i].start_ms);
	return index == NULL ? "no index" : text;
}

static void life(struct world *world)
{
	struct source_record first[] = {source_of("a", "shop.a", "{}"),
	                                source_of("b", "^shop\\.b", "{\"id\":\"key\"}")};

	(void)create(world, "orders", first, 2);
	(void)add(world, "orders", source_of("c", "shop.c", "{\"tombstones\":\"delete\"}"));
	(void)add(world, "orders", source_of("c", "shop.c", "{}"));
	(void)change(world, "orders", "a", 1, -1);
	(void)change(world, "orders", "b", -1, 7000);
	(void)change(world, "orders", "b", 1, INT64_MAX);
	(void)change(world, "orders", "a", 0, -1);
	(void)change(world, "orders", "a", 0, -1);
}

static void check_life(const struct world *world)
{
	const struct index_record *index = resolve(world, "orders");

	for (int64_t task = 0; task < 8; task++)
		CU_ASSERT_STRING_EQUAL(final_of(world, task), "succeeded");
	CU_ASSERT_STRING_EQUAL(sources_of(world, "orders"), "a 1 0 0, b 3 1 9223372036854775807, c 1 0 0");
	CU_ASSERT_PTR_NOT_NULL_FATAL(index);
	for (size_t i = 0; i < index->sources_len; i++)
		CU_ASSERT_TRUE(slice_equal(index->sources[i].rules, slice_string(CANONICAL)));
	CU_ASSERT_EQUAL(count_finals(world), 8);
}

/* What changes nothing writes nothing but its final. */
static void test_life(void)
{
	struct world *world = world_new();
	size_t written = 0;

	life(world);
	(void)run(world, -1);
	check_life(world);
	for (size_t i = 0; i < world->records_len; i++)
		written += strncmp(world->records[i].key, "index/", 6) == 0;
	CU_ASSERT_EQUAL(written, 2 + 1 + 4); /* creating, active; c; the changes but the last */
	world_free(world);
}

static void test_killed_anywhere(void)
{
	struct world *world = world_new();
	int actions;

	life(world);
	actions = run(world, -1);
	world_free(world);
	CU_ASSERT_TRUE(actions > 15);
	for (int kill_after = 0; kill_after < actions; kill_after++) {
		world = world_new();
		life(world);
		(void)run(world, kill_after);
		check_life(world);
		world_free(world);
	}
}

static void expect_final(const struct world *world, int64_t task, const char *expected)
{
	if (strcmp(final_of(world, task), expected) != 0) {
		printf("\ntask %d: %s\n", (int)task, final_of(world, task));
		CU_FAIL("another final than expected");
	}
}

static void test_refused(void)
{
	struct world *world = world_new();
	struct source_record twice[] = {source_of("a", "t", "{}"), source_of("b", "t", "{}")};
	struct source_record bad = source_of("a", "t", "{\"format\":\"xml\"}");
	struct source_record good = source_of("a", "shop.a", "{}");

	topic_add(world, "shop.log", 2);
	(void)create(world, "orders", &good, 1);
	(void)create(world, "twice", twice, 2);
	(void)create(world, "bad", &bad, 1);
	(void)add(world, "none", source_of("x", "x", "{}"));
	(void)add(world, "orders", source_of("a", "shop.a", "{\"tombstones\":\"ignore\"}"));
	(void)add(world, "orders", source_of("a", "shop.other", "{}"));
	(void)add(world, "orders", source_of("x", "shop.a", "{}"));
	(void)add(world, "orders", source_of("x", "x", "{\"primary_key\":\"sku\"}"));
	(void)add(world, "orders", source_of("x", "millrace.docs.orders", "{}"));
	(void)add(world, "orders", source_of("x", "x", "{\"where\":7}"));
	(void)change(world, "orders", "x", 1, -1);
	(void)change(world, "none", "a", 1, -1);
	(void)request(world, TASK_TYPE_INDEX_CREATION, "foreign", "shop.log");
	(void)add(world, "foreign", source_of("x", "x", "{}"));
	(void)run(world, -1);
	expect_final(world, 0, "succeeded");
	expect_final(world, 1, "invalid_source");
	expect_final(world, 2, "invalid_source");
	expect_final(world, 3, "index_not_found");
	expect_final(world, 4, "source_exists");
	expect_final(world, 5, "source_exists");
	expect_final(world, 6, "invalid_source");
	expect_final(world, 7, "invalid_source");
	expect_final(world, 8, "invalid_source");
	expect_final(world, 9, "invalid_source");
	expect_final(world, 10, "source_not_found");
	expect_final(world, 11, "index_not_found");
	expect_final(world, 12, "succeeded");
	expect_final(world, 13, "invalid_source");
	CU_ASSERT_STRING_EQUAL(sources_of(world, "orders"), "a 1 0 0");
	CU_ASSERT_STRING_EQUAL(sources_of(world, "twice"), "no index");
	CU_ASSERT_STRING_EQUAL(sources_of(world, "bad"), "no index");
	CU_ASSERT_STRING_EQUAL(sources_of(world, "foreign"), "");
	world_free(world);
}

/* b is in its third life when it is taken out: what comes after is above it, whatever its name. */
static void removals(struct world *world)
{
	struct source_record first[] = {source_of("a", "shop.a", "{}"), source_of("b", "shop.b", "{}"),
	                                source_of("c", "shop.c", "{}")};

	(void)create(world, "orders", first, 3);
	(void)change(world, "orders", "b", -1, 7000);
	(void)change(world, "orders", "b", -1, 8000);
	(void)take_out(world, "orders", "b");
	(void)take_out(world, "orders", "a");
	(void)add(world, "orders", source_of("b", "shop.b", "{\"tombstones\":\"ignore\"}"));
	(void)add(world, "orders", source_of("other", "shop.a", "{}"));
	(void)take_out(world, "orders", "a");
	(void)take_out(world, "none", "a");
}

static void test_removal(void)
{
	struct world *world = world_new();
	int actions;

	removals(world);
	actions = run(world, -1);
	world_free(world);
	for (int kill_after = 0; kill_after <= actions; kill_after++) {
		world = world_new();
		removals(world);
		(void)run(world, kill_after);
		(void)run(world, -1);
		for (int64_t task = 0; task < 7; task++)
			expect_final(world, task, "succeeded");
		expect_final(world, 7, "source_not_found");
		expect_final(world, 8, "index_not_found");
		CU_ASSERT_STRING_EQUAL(sources_of(world, "orders"), "c 1 0 0, b 4 0 0, other 4 0 0");
		world_free(world);
	}
}

static void test_last_one(void)
{
	struct world *world = world_new();
	struct source_record only = source_of("a", "shop.a", "{}");

	(void)create(world, "orders", &only, 1);
	(void)take_out(world, "orders", "a");
	(void)run(world, -1);
	CU_ASSERT_STRING_EQUAL(sources_of(world, "orders"), "");
	(void)add(world, "orders", only);
	(void)run(world, -1);
	CU_ASSERT_STRING_EQUAL(sources_of(world, "orders"), "a 2 0 0");
	world_free(world);
}

/* Letters that come back to who wrote them would never end. */
static void test_own_letters(void)
{
	struct world *world = world_new();
	struct source_record looping = source_of("a", "bad", "{}");

	(void)request(world, TASK_TYPE_INDEX_CREATION, "letters", NULL);
	(void)add(world, "letters", source_of("a", "millrace.dead-letter", "{}"));
	(void)snprintf(looping.dead_letter_topic, sizeof looping.dead_letter_topic, "bad");
	(void)add(world, "letters", looping);
	(void)snprintf(looping.topic, sizeof looping.topic, "millrace.dead-letter");
	(void)add(world, "letters", looping);
	(void)run(world, -1);
	expect_final(world, 1, "invalid_source");
	expect_final(world, 2, "invalid_source");
	expect_final(world, 3, "succeeded");
	world_free(world);
}

static void test_last_life(void)
{
	struct world *world = world_new();
	struct source_record good = source_of("a", "shop.a", "{}");
	struct index_record index;
	struct source_record source;
	struct buffer value;

	(void)create(world, "orders", &good, 1);
	(void)run(world, -1);
	index = *resolve(world, "orders");
	source = index.sources[0];
	source.life = UINT32_MAX;
	index.sources = &source;
	buffer_init(&value, 4096);
	catalog_write_index(&value, &index);
	for (size_t i = 0; i < world->records_len; i++)
		if (strncmp(world->records[i].key, "index/", 6) == 0)
			(void)snprintf(world->records[i].value, sizeof world->records[i].value, "%.*s",
			               SLICE_ARGS(buffer_slice(&value)));
	buffer_deinit(&value);
	(void)change(world, "orders", "a", -1, 5);
	(void)run(world, -1);
	expect_final(world, 1, "invalid_source");
	CU_ASSERT_STRING_EQUAL(sources_of(world, "orders"), "a 4294967295 0 0");
	world_free(world);
}

static void test_dedup_window(void)
{
	struct task_request task = {.type = TASK_TYPE_INDEX_CREATION,
	                            .uid = "w",
	                            .partitions = 1,
	                            .partitioner = PARTITIONER_MURMUR2,
	                            .primary_key = "id",
	                            .has_dedup_window = true,
	                            .dedup_window = -1};
	struct world *world = world_new();

	(void)ask(world, &task);
	task.dedup_window = 1000000001;
	(void)ask(world, &task);
	task.dedup_window = 1000000000;
	(void)ask(world, &task);
	(void)request(world, TASK_TYPE_INDEX_CREATION, "v", NULL);
	(void)run(world, -1);
	expect_final(world, 0, "invalid_index_dedup_window");
	expect_final(world, 1, "invalid_index_dedup_window");
	expect_final(world, 2, "succeeded");
	expect_final(world, 3, "succeeded");
	CU_ASSERT_PTR_NOT_NULL_FATAL(resolve(world, "w"));
	CU_ASSERT_EQUAL(resolve(world, "w")->rules.dedup_window, 1000000000);
	CU_ASSERT_EQUAL(resolve(world, "v")->rules.dedup_window, WORLD_DEDUP_WINDOW);
	world_free(world);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"life", test_life},
		{"killed anywhere", test_killed_anywhere},
		{"refused", test_refused},
		{"removal", test_removal},
		{"last one", test_last_one},
		{"own letters", test_own_letters},
		{"last life", test_last_life},
		{"dedup window", test_dedup_window},
		CU_TEST_INFO_NULL,
	};

	return suite_run("controller_source", tests);
}
