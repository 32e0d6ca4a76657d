/*
 * The controller's core against a small world of topics and records: what it
 * records, in which order, and that a successor after a kill between any two
 * actions ends in the same state.
 */
#include "tests/unit/controller_world.h"

static void test_creation(void)
{
	static const char *const keys[] = {"cluster", "index/", "index/", "shard/",
	                                   "shard/",  "names",  "0",      "cluster"};
	struct world *world = world_new();
	const struct index_record *index;
	const struct shard_record *shard;

	(void)request(world, TASK_TYPE_INDEX_CREATION, "packages", NULL);
	(void)run(world, -1);
	CU_ASSERT_EQUAL_FATAL(world->records_len, sizeof keys / sizeof *keys);
	for (size_t i = 0; i < world->records_len; i++)
		CU_ASSERT_EQUAL(strncmp(world->records[i].key, keys[i], strlen(keys[i])), 0);
	index = resolve(world, "packages");
	CU_ASSERT_PTR_NOT_NULL_FATAL(index);
	CU_ASSERT_STRING_EQUAL(index->topic, "millrace.docs.packages");
	CU_ASSERT_EQUAL(index->state, INDEX_STATE_ACTIVE);
	CU_ASSERT_EQUAL(index->base[0], 7);
	CU_ASSERT_EQUAL(index->base[1], 7);
	CU_ASSERT_TRUE(index->own_topic && index->writable);
	shard = catalog_shard(controller_catalog(world->controller), index->id, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(shard);
	CU_ASSERT_EQUAL(shard->replicas_len, 1);
	CU_ASSERT_STRING_EQUAL(shard->replicas[0].node, "n1");
	CU_ASSERT_STRING_EQUAL(final_of(world, 0), "succeeded");
	CU_ASSERT_EQUAL(topic_find(world, "millrace.docs.packages")->partitions, 2);
	world_free(world);
}

static void life(struct world *world)
{
	(void)request(world, TASK_TYPE_INDEX_CREATION, "a", NULL);
	(void)request(world, TASK_TYPE_INDEX_CREATION, "a", NULL);
	(void)request(world, TASK_TYPE_INDEX_DELETION, "a", NULL);
	(void)request(world, TASK_TYPE_INDEX_DELETION, "a", NULL);
	(void)request(world, TASK_TYPE_INDEX_CREATION, "a", NULL);
}

static void check_life(const struct world *world)
{
	const struct index_record *index = resolve(world, "a");

	CU_ASSERT_STRING_EQUAL(final_of(world, 0), "succeeded");
	CU_ASSERT_STRING_EQUAL(final_of(world, 1), "index_already_exists");
	CU_ASSERT_STRING_EQUAL(final_of(world, 2), "succeeded");
	CU_ASSERT_STRING_EQUAL(final_of(world, 3), "index_not_found");
	CU_ASSERT_STRING_EQUAL(final_of(world, 4), "succeeded");
	CU_ASSERT_PTR_NOT_NULL_FATAL(index);
	/* never its former id nor its former topic */
	CU_ASSERT_STRING_EQUAL(index->topic, "millrace.docs.a.4");
	CU_ASSERT_EQUAL(index->id, task_index_id(4, "00000000000000000000000000000005"));
	CU_ASSERT_EQUAL(world->topics_len, 1);
	CU_ASSERT_EQUAL(world->deleted_len, 1);
	CU_ASSERT_STRING_EQUAL(world->deleted[0], "millrace.docs.a");
}

/* Creation, deletion and re-creation, killed after each action in turn. */
static void test_killed_anywhere(void)
{
	struct world *world = world_new();
	int actions;

	life(world);
	actions = run(world, -1);
	check_life(world);
	CU_ASSERT_EQUAL(count_finals(world), 5);
	world_free(world);
	CU_ASSERT_TRUE(actions > 20);
	for (int kill_after = 0; kill_after < actions; kill_after++) {
		world = world_new();
		life(world);
		(void)run(world, kill_after);
		check_life(world);
		CU_ASSERT_EQUAL(count_finals(world), 5);
		world_free(world);
	}
}

static void test_foreign_topic_is_left_alone(void)
{
	struct world *world = world_new();

	topic_add(world, "millrace.docs.b", 9);
	(void)request(world, TASK_TYPE_INDEX_CREATION, "b", NULL);
	(void)request(world, TASK_TYPE_INDEX_DELETION, "b", NULL);
	(void)run(world, -1);
	CU_ASSERT_STRING_EQUAL(final_of(world, 0), "succeeded");
	CU_ASSERT_EQUAL(world->deleted_len, 1);
	CU_ASSERT_STRING_EQUAL(world->deleted[0], "millrace.docs.b.0");
	CU_ASSERT_PTR_NOT_NULL(topic_find(world, "millrace.docs.b"));
	world_free(world);
}

static void test_adoption(void)
{
	struct world *world = world_new();
	const struct index_record *index;

	topic_add(world, "shop.orders", 3);
	topic_add(world, "shop.state", 3);
	topic_find(world, "shop.state")->compacted = true;
	(void)request(world, TASK_TYPE_INDEX_CREATION, "orders", "shop.orders");
	(void)request(world, TASK_TYPE_INDEX_CREATION, "again", "shop.orders");
	(void)request(world, TASK_TYPE_INDEX_CREATION, "state", "shop.state");
	(void)request(world, TASK_TYPE_INDEX_CREATION, "none", "shop.none");
	(void)run(world, -1);
	CU_ASSERT_STRING_EQUAL(final_of(world, 0), "succeeded");
	CU_ASSERT_STRING_EQUAL(final_of(world, 1), "topic_in_use");
	CU_ASSERT_STRING_EQUAL(final_of(world, 2), "topic_is_compacted");
	CU_ASSERT_STRING_EQUAL(final_of(world, 3), "topic_not_found");
	index = resolve(world, "orders");
	CU_ASSERT_PTR_NOT_NULL_FATAL(index);
	CU_ASSERT_EQUAL(index->partitions, 3);
	CU_ASSERT_FALSE(index->own_topic || index->writable);
	(void)request(world, TASK_TYPE_INDEX_DELETION, "orders", NULL);
	(void)run(world, -1);
	CU_ASSERT_STRING_EQUAL(final_of(world, 4), "succeeded");
	CU_ASSERT_EQUAL(world->deleted_len, 0);
	world_free(world);
}

static void test_adoption_of_too_many_partitions(void)
{
	struct world *world = world_new();

	topic_add(world, "shop.wide", INDEX_PARTITIONS_MAX + 1);
	(void)request(world, TASK_TYPE_INDEX_CREATION, "wide", "shop.wide");
	(void)run(world, -1);
	CU_ASSERT_STRING_EQUAL(final_of(world, 0), "invalid_index_partitions");
	CU_ASSERT_PTR_NULL(resolve(world, "wide"));
	world_free(world);
}

static void test_refused_requests(void)
{
	struct world *world = world_new();

	world->refuse_topic = "millrace.docs.c";
	(void)request(world, TASK_TYPE_INDEX_CREATION, "c", NULL);
	(void)request(world, TASK_TYPE_INDEX_CREATION, "not/valid", NULL);
	(void)snprintf(world->tasks[world->tasks_len++], sizeof world->tasks[0], "not json");
	(void)request(world, TASK_TYPE_INDEX_CREATION, "d", NULL);
	(void)run(world, -1);
	CU_ASSERT_STRING_EQUAL(final_of(world, 0), "index_creation_failed");
	CU_ASSERT_STRING_NOT_EQUAL(final_of(world, 1), "succeeded");
	CU_ASSERT_STRING_EQUAL(final_of(world, 2), "bad_request");
	CU_ASSERT_STRING_EQUAL(final_of(world, 3), "succeeded");
	CU_ASSERT_PTR_NULL(resolve(world, "c"));
	world_free(world);
}

/* A request whose final has left its topic is not applied a second time. */
static void test_oldest_task(void)
{
	struct world *world = world_new();
	size_t kept = 0;

	(void)request(world, TASK_TYPE_INDEX_CREATION, "e", NULL);
	(void)request(world, TASK_TYPE_INDEX_DELETION, "e", NULL);
	(void)run(world, -1);
	(void)request(world, TASK_TYPE_INDEX_CREATION, "e", NULL);
	(void)run(world, -1);
	for (size_t i = 0; i < world->records_len; i++)
		if (world->records[i].topic != CONTROLLER_TOPIC_TASK_STATES)
			world->records[kept++] = world->records[i];
	world->records_len = kept;
	CU_ASSERT_EQUAL(run(world, -1), 0);
	CU_ASSERT_PTR_NOT_NULL(resolve(world, "e"));
	world_free(world);
}

/* Who finds nothing new, and is another one, records the same. */
static void test_oldest_task_stays(void)
{
	struct world *world = world_new();

	(void)request(world, TASK_TYPE_INDEX_CREATION, "e", NULL);
	(void)run(world, -1);
	office_take(world);
	CU_ASSERT_EQUAL(controller_oldest_task(world->controller), 1);
	world->url = "http://another";
	CU_ASSERT_EQUAL(run(world, -1), 1);
	CU_ASSERT_STRING_EQUAL(catalog_cluster(controller_catalog(world->controller))->controller,
	                       "http://another");
	CU_ASSERT_EQUAL(controller_oldest_task(world->controller), 1);
	world_free(world);
}

/* However many are done, those that are not fit. */
static void test_long_history(void)
{
	static const char cluster[] =
		"{\"v\":1,\"epoch\":1,\"task\":-1,\"rf\":1,\"kafka\":\"K1\",\"nodes\":[],"
		"\"oldest_task\":1000000}";
	struct world *world = world_new();
	struct error error;
	int64_t task;
	int rc = 0;

	(void)request(world, TASK_TYPE_INDEX_CREATION, "g", NULL);
	office_take(world);
	CU_ASSERT_EQUAL(controller_oldest_task(world->controller), 0);
	CU_ASSERT_EQUAL_FATAL(controller_read_topology(world->controller, 0, slice_string("cluster"),
	                                               slice_string(cluster), &error),
	                      0);
	task = controller_oldest_task(world->controller);
	CU_ASSERT_EQUAL(task, 1000000);
	while (rc == 0)
		rc = controller_read_task(world->controller, task++, slice_string(world->tasks[0]), &error);
	CU_ASSERT_EQUAL(rc, ERROR_LIMIT);
	CU_ASSERT_EQUAL(task - 1, 1000000 + TASKS_PENDING_MAX - 1); /* the world's own is pending too */
	world_free(world);
}

/* A name is created and deleted, and its next creation is requested after `after` actions. */
static void recreate(int after)
{
	struct world *world = world_new();
	struct controller_action action;
	struct error error;
	int actions = 0;

	(void)request(world, TASK_TYPE_INDEX_CREATION, "f", NULL);
	(void)request(world, TASK_TYPE_INDEX_DELETION, "f", NULL);
	office_take(world);
	while (controller_next(world->controller, (struct controller_time){1000, 0}, &action)) {
		struct controller_result result;

		ASSERT(actions < ACTIONS_MAX);
		carry_out(world, &action, &result);
		controller_result(world->controller, &result);
		if (actions++ == after) {
			int64_t task = request(world, TASK_TYPE_INDEX_CREATION, "f", NULL);

			CU_ASSERT_EQUAL(controller_read_task(world->controller, task,
			                                     slice_string(world->tasks[task]), &error),
			                0);
		}
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(resolve(world, "f"));
	CU_ASSERT_PTR_NOT_NULL(topic_find(world, resolve(world, "f")->topic));
	CU_ASSERT_EQUAL(world->deleted_len, 1);
	world_free(world);
}

/* The next life's topic is made, also when the former one's is being deleted just then. */
static void test_recreation_at_any_time(void)
{
	struct world *world = world_new();
	int actions;

	(void)request(world, TASK_TYPE_INDEX_CREATION, "f", NULL);
	(void)request(world, TASK_TYPE_INDEX_DELETION, "f", NULL);
	actions = run(world, -1);
	world_free(world);
	CU_ASSERT_TRUE(actions > 8);
	for (int after = 0; after < actions; after++)
		recreate(after);
}

static void test_another_kafka(void)
{
	struct controller_options options = {
		.cluster = "millrace", .kafka_id = "K2", .url = "", .rf = 1, .nodes = nodes, .nodes_len = 1};
	struct world *world = world_new();
	struct controller *other = controller_new(&options);
	struct error error;

	(void)run(world, -1);
	CU_ASSERT_EQUAL(controller_read_topology(other, 0, slice_string(world->records[0].key),
	                                         slice_string(world->records[0].value), &error),
	                0);
	CU_ASSERT_EQUAL(controller_check(other, &error), ERROR_CONFIGURATION);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "K2"));
	controller_free(other);
	world_free(world);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"creation", test_creation},
		{"killed_anywhere", test_killed_anywhere},
		{"foreign_topic_is_left_alone", test_foreign_topic_is_left_alone},
		{"adoption", test_adoption},
		{"adoption_of_too_many_partitions", test_adoption_of_too_many_partitions},
		{"refused_requests", test_refused_requests},
		{"oldest_task", test_oldest_task},
		{"oldest_task_stays", test_oldest_task_stays},
		{"long_history", test_long_history},
		{"recreation_at_any_time", test_recreation_at_any_time},
		{"another_kafka", test_another_kafka},
		CU_TEST_INFO_NULL,
	};

	return suite_run("controller", tests);
}
