/*
 * A new generation of an index: what is recorded, when it gets the name, and
 * that a successor after a kill between any two actions ends in the same
 * state.
 */
#include "tests/unit/controller_world.h"

/* The only node answers: its replicas of this index stand at `received`. */
static void hear(struct world *world, int64_t now_ms, const struct index_record *index, int64_t received)
{
	struct replica_report replicas[4];
	struct node_report report = {.node = "n1",
	                             .asked_ms = now_ms,
	                             .id = "n1",
	                             .incarnation = {{9, 9}},
	                             .session = 1,
	                             .format = 1,
	                             .kafka = "K1",
	                             .ready = true,
	                             .replicas = replicas};

	for (int32_t p = 0; p < index->partitions; p++)
		replicas[report.replicas_len++] =
			(struct replica_report){.index_id = index->id,
		                                .generation = index->generation,
		                                .partition = p,
		                                .state = REPORT_STATE_ACTIVE,
		                                .incarnation = {{1, (uint64_t)p + 1}},
		                                .session = 1,
		                                .received = received,
		                                .stored = received};
	controller_node_report(world->controller, &report, now_ms);
}

static const struct index_record *making(const struct world *world)
{
	const struct index_record *index;
	size_t at = 0;

	while ((index = catalog_next_index(controller_catalog(world->controller), &at)) != NULL)
		if (index->replaces != 0 && index->state != INDEX_STATE_DELETED)
			return index;
	return NULL;
}

/* Goes on at a later time, without reading anything again; the number of actions. */
static int go_on(struct world *world, int64_t now_ms, int kill_after)
{
	struct controller_action action;
	int actions = 0;

	while (controller_next(world->controller, (struct controller_time){2000, now_ms}, &action)) {
		struct controller_result result;

		ASSERT(actions < ACTIONS_MAX);
		carry_out(world, &action, &result);
		if (actions++ == kill_after)
			return actions;
		controller_result(world->controller, &result);
	}
	return actions;
}

static int64_t create(struct world *world)
{
	struct source_record sources[] = {
		{.name = "a", .topic = "shop.a", .life = 1, .rules = slice_string("{}")},
		{.name = "b",
	         .topic = "shop.b",
	         .life = 1,
	         .paused = true,
	         .start_ms = 77,
	         .rules = slice_string("{}")}};
	struct task_request task = {.type = TASK_TYPE_INDEX_CREATION,
	                            .uid = "orders",
	                            .partitions = 2,
	                            .partitioner = PARTITIONER_CRC32,
	                            .primary_key = "id",
	                            .sources = sources,
	                            .sources_len = 2};

	return ask(world, &task);
}

static int64_t rebuild(struct world *world, int32_t partitions, struct source_record *sources, size_t len)
{
	struct task_request task = {.type = TASK_TYPE_INDEX_REBUILD,
	                            .uid = "orders",
	                            .partitions = partitions,
	                            .sources = sources,
	                            .sources_len = len};

	return ask(world, &task);
}

/* The old generation is searched until the new one has everything. */
static void test_named_when_it_has_everything(void)
{
	struct world *world = world_new();
	const struct index_record *old;
	const struct index_record *next;
	uint64_t id;

	(void)create(world);
	(void)rebuild(world, 3, NULL, 0);
	world->remaining = 2;
	world->end = 50;
	(void)run(world, -1);
	CU_ASSERT_STRING_EQUAL(final_of(world, 1), "succeeded");
	old = resolve(world, "orders");
	next = making(world);
	CU_ASSERT_PTR_NOT_NULL_FATAL(next);
	id = next->id;
	CU_ASSERT_EQUAL(id, task_index_id(1, "00000000000000000000000000000002"));
	CU_ASSERT_EQUAL(next->replaces, old->id);
	CU_ASSERT_EQUAL(next->generation, 2);
	CU_ASSERT_EQUAL(next->partitions, 3);
	CU_ASSERT_EQUAL(next->partitioner, PARTITIONER_CRC32);
	CU_ASSERT_STRING_EQUAL(next->uid, "orders");
	CU_ASSERT_STRING_EQUAL(next->topic, "millrace.docs.orders.1");
	CU_ASSERT_EQUAL(next->state, INDEX_STATE_ACTIVE);
	CU_ASSERT_EQUAL_FATAL(next->sources_len, 2);
	CU_ASSERT_EQUAL(next->sources[0].life, 1);
	CU_ASSERT_FALSE(next->sources[0].paused);
	CU_ASSERT_EQUAL(next->sources[1].life, 1);
	CU_ASSERT_TRUE(next->sources[1].paused);
	CU_ASSERT_EQUAL(next->sources[1].start_ms, 77);
	CU_ASSERT_PTR_NOT_NULL(catalog_shard(controller_catalog(world->controller), id, 2));
	/* asked once a second until nothing remains, then where its log ends */
	CU_ASSERT_EQUAL(world->remaining, 1);
	CU_ASSERT_EQUAL(go_on(world, 500, -1), 0);
	(void)go_on(world, 1000, -1);
	CU_ASSERT_EQUAL(world->remaining, 0);
	CU_ASSERT_EQUAL(resolve(world, "orders")->generation, 1);
	(void)go_on(world, 2000, -1);
	hear(world, 2000, making(world), 49);
	(void)go_on(world, 3000, -1);
	CU_ASSERT_EQUAL(resolve(world, "orders")->generation, 1);
	hear(world, 3000, making(world), 50);
	(void)go_on(world, 3100, -1);
	CU_ASSERT_PTR_NULL(making(world));
	CU_ASSERT_EQUAL(resolve(world, "orders")->id, id);
	CU_ASSERT_EQUAL(world->topics_len, 1);
	CU_ASSERT_STRING_EQUAL(world->topics[0].name, "millrace.docs.orders.1");
	world_free(world);
}

static void check_named(const struct world *world)
{
	const struct index_record *index = resolve(world, "orders");
	size_t at = 0;
	size_t alive = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(index);
	CU_ASSERT_EQUAL(index->generation, 2);
	CU_ASSERT_EQUAL(index->replaces, 0);
	CU_ASSERT_EQUAL(index->sources[0].life, 1);
	CU_ASSERT_EQUAL(count_finals(world), 2);
	CU_ASSERT_EQUAL(world->topics_len, 1);
	CU_ASSERT_EQUAL(world->deleted_len, 1);
	while ((index = catalog_next_index(controller_catalog(world->controller), &at)) != NULL)
		alive += index->state != INDEX_STATE_DELETED;
	CU_ASSERT_EQUAL(alive, 1);
}

/* Until everything is done; the process is killed once, after `kill_after` actions. */
static int rebuild_killed(int kill_after)
{
	struct world *world = world_new();
	int actions = 0;

	(void)create(world);
	(void)rebuild(world, 0, NULL, 0);
	world->remaining = 2;
	office_take(world);
	for (int64_t now_ms = 0; now_ms < 10000; now_ms += 1000) {
		int left = kill_after < 0 || actions > kill_after ? -1 : kill_after - actions;

		actions += go_on(world, now_ms, left);
		if (left >= 0 && actions > kill_after)
			office_take(world); /* its last action is done, its result lost */
		if (making(world) != NULL)
			hear(world, now_ms, making(world), 0);
	}
	check_named(world);
	world_free(world);
	return actions;
}

static void test_killed_anywhere(void)
{
	int actions = rebuild_killed(-1);

	CU_ASSERT_TRUE(actions > 15);
	for (int kill_after = 0; kill_after < actions; kill_after++)
		(void)rebuild_killed(kill_after);
}

static int64_t ask_about(struct world *world, bool cancel)
{
	struct task_request task = {
		.type = TASK_TYPE_INDEX_REBUILD, .uid = "orders", .cancel = cancel, .accept_loss = !cancel};

	return ask(world, &task);
}

/* Everything is imported and received; the name is given, or not, within a few seconds. */
static void fill(struct world *world, int64_t from_ms)
{
	for (int64_t now_ms = from_ms; now_ms < from_ms + 5000; now_ms += 1000) {
		(void)go_on(world, now_ms, -1);
		if (making(world) != NULL)
			hear(world, now_ms, making(world), 0);
	}
}

static void test_loss(void)
{
	static const struct rebuild_loss losses[] = {{.published = 1}, {.expired = 1}, {.unsourced = 1}};

	for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
		struct world *world = world_new();
		struct buffer status;

		(void)create(world);
		(void)rebuild(world, 0, NULL, 0);
		world->unread = 3;
		world->loss = losses[i];
		(void)run(world, -1);
		CU_ASSERT_EQUAL(world->unread, 0); /* read at once, not one look a second */
		fill(world, 0);
		CU_ASSERT_EQUAL(resolve(world, "orders")->generation, 1);
		CU_ASSERT_PTR_NOT_NULL(making(world));
		buffer_init(&status, 1 << 16);
		controller_status(world->controller, &status);
		CU_ASSERT_PTR_NOT_NULL(memmem(status.ptr, status.len, "\"judged\":true", 13));
		buffer_deinit(&status);
		(void)ask_about(world, false);
		(void)run(world, -1);
		CU_ASSERT_STRING_EQUAL(final_of(world, 2), "succeeded");
		fill(world, 10000);
		CU_ASSERT_EQUAL(resolve(world, "orders")->generation, 2);
		CU_ASSERT_FALSE(resolve(world, "orders")->accepts_loss);
		world_free(world);
	}
}

/* What is published to the old log after it was looked through counts too. */
static void test_late_loss(void)
{
	struct world *world = world_new();

	(void)create(world);
	(void)rebuild(world, 0, NULL, 0);
	world->remaining = 2;
	(void)run(world, -1);
	world->loss.published = 1;
	fill(world, 0);
	CU_ASSERT_EQUAL(resolve(world, "orders")->generation, 1);
	world->loss.published = 0;
	fill(world, 10000);
	CU_ASSERT_EQUAL(resolve(world, "orders")->generation, 2);
	world_free(world);
}

/* What came to the sources while the rebuild took its time is imported before the name is given, but writers that
 * never rest do not put it off for ever. */
static void test_level_with_the_old_one(void)
{
	struct world *world = world_new();

	(void)create(world);
	(void)rebuild(world, 0, NULL, 0);
	world->appearing = 100;
	(void)run(world, -1);
	CU_ASSERT_EQUAL(resolve(world, "orders")->generation, 1);
	for (int i = 0; i < 3; i++)
		fill(world, 10000 * i);
	CU_ASSERT_EQUAL(resolve(world, "orders")->generation, 2);
	/* a look at first, and three that were imported; one more where the last is no longer fresh */
	CU_ASSERT_TRUE(world->appearing <= 96 && world->appearing >= 95);
	CU_ASSERT_TRUE(world->remaining <= 1);
	world_free(world);
}

static void test_cancelled_anywhere(void)
{
	for (int kill_after = -1; kill_after < 40; kill_after++) {
		struct world *world = world_new();

		(void)create(world);
		(void)rebuild(world, 0, NULL, 0);
		(void)ask_about(world, true);
		(void)ask_about(world, true);
		(void)run(world, kill_after);
		(void)run(world, -1);
		CU_ASSERT_STRING_EQUAL(final_of(world, 2), "succeeded");
		CU_ASSERT_STRING_EQUAL(final_of(world, 3), "index_is_not_rebuilding");
		CU_ASSERT_EQUAL(resolve(world, "orders")->generation, 1);
		CU_ASSERT_PTR_NULL(making(world));
		CU_ASSERT_EQUAL(world->topics_len, 1);
		CU_ASSERT_EQUAL(world->deleted_len, 1);
		world_free(world);
	}
}

/* A new generation begins where its sources began, and before what only their former lives knew. */
static void test_beginnings(void)
{
	struct task_request seek = {.type = TASK_TYPE_SOURCE_UPDATE,
	                            .uid = "orders",
	                            .source = "b",
	                            .has_start = true,
	                            .start_ms = 99};
	struct world *world = world_new();

	(void)create(world);
	(void)ask(world, &seek);
	(void)rebuild(world, 0, NULL, 0);
	world->remaining = 100;
	(void)run(world, -1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(making(world));
	CU_ASSERT_EQUAL(making(world)->sources[1].start_ms, 0);
	CU_ASSERT_EQUAL(making(world)->sources[1].life, 1);
	world_free(world);
}

static void test_other_rules(void)
{
	struct source_record sources[] = {
		{.name = "b",
	         .topic = "shop.other",
	         .life = 9,
	         .rules = slice_string("{\"tombstones\":\"ignore\"}")},
		{.name = "c", .topic = "shop.c", .life = 9, .start_ms = 5, .rules = slice_string("{}")}};
	struct world *world = world_new();
	const struct index_record *next;

	(void)create(world);
	(void)rebuild(world, 0, sources, 2);
	world->remaining = 100;
	(void)run(world, -1);
	next = making(world);
	CU_ASSERT_PTR_NOT_NULL_FATAL(next);
	CU_ASSERT_EQUAL(next->partitions, 2);
	CU_ASSERT_EQUAL_FATAL(next->sources_len, 2);
	CU_ASSERT_STRING_EQUAL(next->sources[0].topic, "shop.other");
	CU_ASSERT_EQUAL(next->sources[0].life, 1);
	CU_ASSERT_TRUE(next->sources[0].paused);
	CU_ASSERT_EQUAL(next->sources[1].life, 1);
	CU_ASSERT_EQUAL(next->sources[1].start_ms, 5);
	world_free(world);
}

/* Pausing reaches both generations; without its old one there is no new one. */
static void test_meanwhile(void)
{
	struct task_request resume = {
		.type = TASK_TYPE_SOURCE_UPDATE, .uid = "orders", .source = "b", .has_paused = true};
	struct task_request add = {.type = TASK_TYPE_SOURCE_ADDITION, .uid = "orders"};
	struct source_record more = {.name = "c", .topic = "shop.c", .life = 1, .rules = slice_string("{}")};
	struct world *world = world_new();

	add.sources = &more;
	add.sources_len = 1;
	(void)create(world);
	(void)rebuild(world, 0, NULL, 0);
	(void)rebuild(world, 0, NULL, 0);
	(void)ask(world, &resume);
	(void)ask(world, &add);
	world->remaining = 100;
	(void)run(world, -1);
	CU_ASSERT_STRING_EQUAL(final_of(world, 2), "index_is_rebuilding");
	CU_ASSERT_STRING_EQUAL(final_of(world, 3), "succeeded");
	CU_ASSERT_STRING_EQUAL(final_of(world, 4), "index_is_rebuilding");
	CU_ASSERT_FALSE(resolve(world, "orders")->sources[1].paused);
	CU_ASSERT_FALSE(making(world)->sources[1].paused);
	(void)request(world, TASK_TYPE_INDEX_DELETION, "orders", NULL);
	(void)run(world, -1);
	CU_ASSERT_STRING_EQUAL(final_of(world, 5), "succeeded");
	CU_ASSERT_PTR_NULL(making(world));
	CU_ASSERT_PTR_NULL(resolve(world, "orders"));
	CU_ASSERT_EQUAL(world->topics_len, 0);
	CU_ASSERT_EQUAL(world->deleted_len, 2);
	world_free(world);
}

static void test_refused(void)
{
	struct source_record bad = {
		.name = "a", .topic = "t", .life = 1, .rules = slice_string("{\"id\":7}")};
	struct task_request window = {.type = TASK_TYPE_INDEX_REBUILD,
	                              .uid = "orders",
	                              .has_dedup_window = true,
	                              .dedup_window = -1};
	struct task_request none = {.type = TASK_TYPE_INDEX_REBUILD, .uid = "none"};
	struct task_request plain = {.type = TASK_TYPE_INDEX_REBUILD, .uid = "plain"};
	struct world *world = world_new();

	(void)create(world);
	(void)request(world, TASK_TYPE_INDEX_CREATION, "plain", NULL);
	(void)ask(world, &plain);
	(void)ask(world, &none);
	(void)ask(world, &window);
	(void)rebuild(world, 1025, NULL, 0);
	(void)rebuild(world, 0, &bad, 1);
	world->refuse_topic = "millrace.docs.orders.7";
	(void)rebuild(world, 0, NULL, 0);
	(void)rebuild(world, 0, NULL, 0);
	world->remaining = 100;
	(void)run(world, -1);
	CU_ASSERT_STRING_EQUAL(final_of(world, 2), "index_without_sources");
	CU_ASSERT_STRING_EQUAL(final_of(world, 3), "index_not_found");
	CU_ASSERT_STRING_EQUAL(final_of(world, 4), "invalid_index_dedup_window");
	CU_ASSERT_STRING_EQUAL(final_of(world, 5), "invalid_index_partitions");
	CU_ASSERT_STRING_EQUAL(final_of(world, 6), "invalid_source");
	CU_ASSERT_STRING_EQUAL(final_of(world, 7), "index_creation_failed");
	CU_ASSERT_STRING_EQUAL(final_of(world, 8), "succeeded");
	CU_ASSERT_EQUAL(resolve(world, "orders")->generation, 1);
	CU_ASSERT_STRING_EQUAL(making(world)->topic, "millrace.docs.orders.8");
	world_free(world);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"named when it has everything", test_named_when_it_has_everything},
		{"killed anywhere", test_killed_anywhere},
		{"loss", test_loss},
		{"late loss", test_late_loss},
		{"level with the old one", test_level_with_the_old_one},
		{"cancelled anywhere", test_cancelled_anywhere},
		{"beginnings", test_beginnings},
		{"other rules", test_other_rules},
		{"meanwhile", test_meanwhile},
		{"refused", test_refused},
		CU_TEST_INFO_NULL,
	};

	return suite_run("controller_rebuild", tests);
}
