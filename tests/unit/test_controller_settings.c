/*
 * Settings of an index by request: what is recorded as in force and what as
 * next, what waits until every replica has built it and what goes on
 * meanwhile, and that a successor after a kill between any two actions ends in
 * the same state.
 */
#include "tests/unit/controller_bed.h"
#include "tests/unit/controller_world.h"

static int64_t set(struct world *world, const char *uid, const char *setting, const char *body)
{
	struct task_request task = {.type = TASK_TYPE_SETTINGS_UPDATE, .reset = body == NULL};

	(void)snprintf(task.uid, sizeof task.uid, "%s", uid);
	(void)snprintf(task.setting, sizeof task.setting, "%s", setting);
	if (body != NULL)
		task.body = slice_string(body);
	return ask(world, &task);
}

static int64_t rebuild(struct world *world, const char *uid)
{
	struct task_request task = {.type = TASK_TYPE_INDEX_REBUILD, .accept_loss = true};

	(void)snprintf(task.uid, sizeof task.uid, "%s", uid);
	return ask(world, &task);
}

static void create_with_source(struct world *world, const char *uid)
{
	struct source_record source = {
		.name = "a", .topic = "shop.a", .life = 1, .rules = slice_string("{}")};
	struct task_request task = {.type = TASK_TYPE_INDEX_CREATION,
	                            .partitions = 2,
	                            .partitioner = PARTITIONER_MURMUR2,
	                            .primary_key = "id",
	                            .sources = &source,
	                            .sources_len = 1};

	(void)snprintf(task.uid, sizeof task.uid, "%s", uid);
	(void)ask(world, &task);
}

/* "V" or "V next W"; -1: the defaults. */
static const char *versions(const struct catalog *catalog, uint64_t id)
{
	static char text[64];
	const struct settings_record *now = catalog_settings(catalog, id);
	const struct settings_record *next = catalog_settings_next(catalog, id);
	int len = snprintf(text, sizeof text, "%d", now != NULL ? (int)now->version : -1);

	if (next != NULL)
		(void)snprintf(text + len, sizeof text - (size_t)len, " next %d", (int)next->version);
	return text;
}

static const char *versions_of(const struct world *world, const char *uid)
{
	const struct index_record *index = resolve(world, uid);

	return index == NULL ? "no index" : versions(controller_catalog(world->controller), index->id);
}

static bool in_force(const struct catalog *catalog, uint64_t id, const char *part)
{
	const struct settings_record *now = catalog_settings(catalog, id);
	char *text;
	bool found;

	if (now == NULL)
		return false;
	text = strndup((const char *)now->settings.ptr, now->settings.len);
	ASSERT(text != NULL);
	found = strstr(text, part) != NULL;
	free(text);
	return found;
}

static bool has(const struct world *world, const char *uid, const char *part)
{
	const struct index_record *index = resolve(world, uid);

	return index != NULL && in_force(controller_catalog(world->controller), index->id, part);
}

/* What replicas have built: those of a first generation, and of a second one. */
struct building {
	int64_t first;
	int64_t second;
};

/* Every replica of every index that is recorded tells this, from its node, at `now_ms`. */
static void tell(struct world *world, int64_t now_ms, struct building building)
{
	struct replica_report replicas[16];
	struct node_report report = bed_report("n1", now_ms);
	const struct catalog *catalog = controller_catalog(world->controller);
	const struct index_record *index;
	size_t at = 0;

	while ((index = catalog_next_index(catalog, &at)) != NULL)
		for (int32_t p = 0; index->state == INDEX_STATE_ACTIVE && p < index->partitions; p++) {
			ASSERT(report.replicas_len < 16);
			replicas[report.replicas_len++] = (struct replica_report){
				.index_id = index->id,
				.generation = index->generation,
				.partition = p,
				.state = REPORT_STATE_ACTIVE,
				.incarnation = bed_incarnation(1),
				.session = 7,
				.received = 7,
				.stored = 7,
				.settings = index->generation == 1 ? building.first : building.second};
		}
	report.replicas = replicas;
	controller_node_report(world->controller, &report, now_ms);
}

/* Like run, while the node tells what it has built, until there is nothing to do at all those times. */
static int run_building(struct world *world, int kill_after, struct building building)
{
	struct controller_action action;
	int actions = 0;

	office_take(world);
	for (int64_t now_ms = 0; now_ms < 4000; now_ms += 250) {
		tell(world, now_ms, building);
		while (controller_next(world->controller, (struct controller_time){1000, now_ms}, &action)) {
			struct controller_result result;

			carry_out(world, &action, &result);
			if (actions++ == kill_after) {
				office_take(world);
				tell(world, now_ms, building);
			} else {
				controller_result(world->controller, &result);
			}
		}
	}
	return actions;
}

static int run_told(struct world *world, int kill_after, int64_t settings)
{
	return run_building(world, kill_after, (struct building){settings, settings});
}

/* ---- without anything to build ---- */

static void test_in_force_at_once(void)
{
	struct world *world = world_new();

	(void)request(world, TASK_TYPE_INDEX_CREATION, "books", NULL);
	(void)set(world, "books", "displayed-attributes", "[\"the\"]");
	(void)set(world, "books", "", "{\"pagination\":{\"maxTotalHits\":7}}");
	(void)run(world, -1);
	CU_ASSERT_STRING_EQUAL(final_of(world, 1), "succeeded");
	CU_ASSERT_STRING_EQUAL(final_of(world, 2), "succeeded");
	CU_ASSERT_STRING_EQUAL(versions_of(world, "books"), "2");
	CU_ASSERT_TRUE(has(world, "books", "\"displayedAttributes\":[\"the\"]"));
	CU_ASSERT_TRUE(has(world, "books", "\"maxTotalHits\":7"));
	(void)set(world, "books", "displayed-attributes", NULL);
	(void)run(world, -1);
	CU_ASSERT_STRING_EQUAL(versions_of(world, "books"), "3");
	CU_ASSERT_TRUE(has(world, "books", "\"displayedAttributes\":[\"*\"]"));
	CU_ASSERT_TRUE(has(world, "books", "\"maxTotalHits\":7"));
	(void)set(world, "books", "", NULL);
	(void)run(world, -1);
	CU_ASSERT_STRING_EQUAL(versions_of(world, "books"), "4");
	CU_ASSERT_TRUE(has(world, "books", "\"maxTotalHits\":1000"));
	world_free(world);
}

static const struct {
	const char *uid;
	const char *setting;
	const char *body;
	const char *code;
} refusals[] = {
	{"other", "stop-words", "[]", "index_not_found"},
	{"books", "displayed-attributes", "7", "invalid_settings_displayed_attributes"},
	{"books", "", "{\"rankingRules\":[\"wurds\"]}", "invalid_settings_ranking_rules"},
	{"books", "", "{\"unknown\":1}", "bad_request"},
	{"books", "stop-wurds", "[]", "bad_request"},
};

static void test_refusals(void)
{
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		struct world *world = world_new();

		(void)request(world, TASK_TYPE_INDEX_CREATION, "books", NULL);
		(void)set(world, refusals[i].uid, refusals[i].setting, refusals[i].body);
		(void)run(world, -1);
		CU_ASSERT_STRING_EQUAL(final_of(world, 1), refusals[i].code);
		CU_ASSERT_STRING_EQUAL(versions_of(world, "books"), "-1");
		world_free(world);
	}
}

/* ---- with something to build ---- */

#define BUILDS "{\"sortableAttributes\":[\"year\"],\"dictionary\":[\"J. K.\"],\"stopWords\":[\"the\"]}"

static void test_waits_for_replicas(void)
{
	struct world *world = world_new();

	(void)request(world, TASK_TYPE_INDEX_CREATION, "books", NULL);
	(void)set(world, "books", "", BUILDS);
	(void)run_told(world, -1, 0);
	CU_ASSERT_STRING_EQUAL(final_of(world, 1), "none");
	CU_ASSERT_STRING_EQUAL(versions_of(world, "books"), "-1 next 1");
	CU_ASSERT_EQUAL(controller_pending(world->controller), 1);
	(void)run_told(world, -1, 1);
	CU_ASSERT_STRING_EQUAL(final_of(world, 1), "succeeded");
	CU_ASSERT_STRING_EQUAL(versions_of(world, "books"), "1");
	CU_ASSERT_TRUE(has(world, "books", "\"sortableAttributes\":[\"year\"]"));
	CU_ASSERT_EQUAL(controller_pending(world->controller), 0);
	world_free(world);
}

/* Behind a build: what heeds settings waits and is made on top of it, all else goes on. */
static void test_others_go_on(void)
{
	struct world *world = world_new();

	create_with_source(world, "books");
	(void)set(world, "books", "sortable-attributes", "[\"year\"]");
	(void)set(world, "books", "displayed-attributes", "[\"the\"]");
	(void)request(world, TASK_TYPE_INDEX_CREATION, "films", NULL);
	(void)set(world, "films", "displayed-attributes", "[\"le\"]");
	(void)rebuild(world, "books");
	(void)run_told(world, -1, 0);
	CU_ASSERT_STRING_EQUAL(final_of(world, 1), "none");
	CU_ASSERT_STRING_EQUAL(final_of(world, 2), "none");
	CU_ASSERT_STRING_EQUAL(final_of(world, 3), "succeeded");
	CU_ASSERT_STRING_EQUAL(final_of(world, 4), "succeeded");
	CU_ASSERT_STRING_EQUAL(final_of(world, 5), "none");
	CU_ASSERT_STRING_EQUAL(versions_of(world, "books"), "-1 next 1");
	CU_ASSERT_STRING_EQUAL(versions_of(world, "films"), "4");
	(void)run_told(world, -1, 1);
	for (int64_t task = 0; task < 6; task++)
		CU_ASSERT_STRING_EQUAL(final_of(world, task), "succeeded");
	CU_ASSERT_EQUAL(count_finals(world), 6);
	CU_ASSERT_STRING_EQUAL(versions_of(world, "books"), "2");
	CU_ASSERT_TRUE(has(world, "books", "\"sortableAttributes\":[\"year\"]"));
	CU_ASSERT_TRUE(has(world, "books", "\"displayedAttributes\":[\"the\"]"));
	world_free(world);
}

/* An index can be deleted while its settings are being built, and its name be another's. */
static void test_deleted_meanwhile(void)
{
	struct world *world = world_new();

	(void)request(world, TASK_TYPE_INDEX_CREATION, "books", NULL);
	(void)set(world, "books", "sortable-attributes", "[\"year\"]");
	(void)request(world, TASK_TYPE_INDEX_DELETION, "books", NULL);
	(void)request(world, TASK_TYPE_INDEX_CREATION, "books", NULL);
	(void)run_told(world, -1, 0);
	CU_ASSERT_STRING_EQUAL(final_of(world, 1), "index_not_found");
	CU_ASSERT_STRING_EQUAL(final_of(world, 2), "succeeded");
	CU_ASSERT_STRING_EQUAL(final_of(world, 3), "succeeded");
	CU_ASSERT_STRING_EQUAL(versions_of(world, "books"), "-1");
	world_free(world);
}

/* What was asked for, by whoever is killed where; in the end everybody has built everything. */
static void test_killed_anywhere(void)
{
	int actions = 1;

	for (int kill_after = -1; kill_after < actions; kill_after++) {
		struct world *world = world_new();
		int count;

		create_with_source(world, "books");
		(void)set(world, "books", "sortable-attributes", "[\"year\"]");
		(void)request(world, TASK_TYPE_INDEX_CREATION, "films", NULL);
		(void)rebuild(world, "books");
		(void)set(world, "books", "dictionary", "[\"J. K.\"]");
		(void)set(world, "books", "displayed-attributes", "[\"the\"]");
		count = run_told(world, kill_after, 9);
		actions = kill_after < 0 ? count : actions;
		for (int64_t task = 0; task < 6; task++)
			CU_ASSERT_STRING_EQUAL(final_of(world, task), "succeeded");
		CU_ASSERT_STRING_EQUAL(versions_of(world, "books"), "5");
		CU_ASSERT_TRUE(has(world, "books", "\"sortableAttributes\":[\"year\"]"));
		CU_ASSERT_TRUE(has(world, "books", "\"dictionary\":[\"J. K.\"]"));
		CU_ASSERT_TRUE(has(world, "books", "\"displayedAttributes\":[\"the\"]"));
		world_free(world);
	}
	CU_ASSERT_TRUE(actions > 15);
}

/* ---- two generations ---- */

/* The new one begins with what is in force, and has every change since, also one that is being built when it gets its
 * name. */
static void test_rebuild(void)
{
	struct world *world = world_new();
	const struct catalog *catalog;
	const struct index_record *old, *next;
	uint64_t next_id;
	size_t at = 0;

	world->remaining = 1000; /* it does not get its name yet */
	create_with_source(world, "books");
	(void)set(world, "books", "displayed-attributes", "[\"the\"]");
	(void)rebuild(world, "books");
	(void)set(world, "books", "synonyms", "{\"a\":[\"b\"]}");
	(void)set(world, "books", "sortable-attributes", "[\"year\"]");
	(void)run_told(world, -1, 0);
	catalog = controller_catalog(world->controller);
	old = resolve(world, "books");
	CU_ASSERT_PTR_NOT_NULL_FATAL(old);
	while ((next = catalog_next_index(catalog, &at)) != NULL && next->replaces != old->id)
		;
	CU_ASSERT_PTR_NOT_NULL_FATAL(next);
	next_id = next->id;
	CU_ASSERT_STRING_EQUAL(versions(catalog, old->id), "3 next 4");
	CU_ASSERT_STRING_EQUAL(versions(catalog, next_id), "3 next 4");
	CU_ASSERT_TRUE(in_force(catalog, next_id, "\"displayedAttributes\":[\"the\"]"));
	CU_ASSERT_TRUE(in_force(catalog, next_id, "\"synonyms\":{\"a\":[\"b\"]}"));
	/* both have to build it */
	(void)run_building(world, -1, (struct building){4, 0});
	CU_ASSERT_STRING_EQUAL(final_of(world, 4), "none");
	(void)run_building(world, -1, (struct building){0, 4});
	CU_ASSERT_STRING_EQUAL(final_of(world, 4), "none");
	CU_ASSERT_STRING_EQUAL(versions_of(world, "books"), "3 next 4");
	world->remaining = 0;
	world->end = 7;
	(void)run_told(world, -1, 0);
	CU_ASSERT_EQUAL(resolve(world, "books")->id, next_id);
	CU_ASSERT_STRING_EQUAL(versions_of(world, "books"), "3 next 4");
	(void)run_told(world, -1, 4);
	CU_ASSERT_STRING_EQUAL(versions_of(world, "books"), "4");
	CU_ASSERT_TRUE(has(world, "books", "\"sortableAttributes\":[\"year\"]"));
	CU_ASSERT_TRUE(has(world, "books", "\"displayedAttributes\":[\"the\"]"));
	world_free(world);
}

/* ---- who has to have built ---- */

static const struct {
	const char *name;
	const char *shard;
	int64_t n1; /* what its replica tells; -2: it lists none */
	int64_t n2;
	const char *finals;
} told_rows[] = {
	{"both", "n1=A1* n2=A2*", 5, 5, "succeeded"},
	{"a later version", "n1=A1* n2=A2*", 5, 6, "succeeded"},
	{"one of two", "n1=A1* n2=A2*", 5, 4, ""},
	{"neither", "n1=A1* n2=A2*", -1, -1, ""},
	{"one says nothing", "n1=A1* n2=A2*", 5, -2, ""},
	{"the other is not in-sync", "n1=A1* n2=J2", 5, -1, "succeeded"},
	{"nobody is in-sync", "n1=J1 n2=J2", 5, 5, ""},
};

static void hear(struct bed *bed, int64_t now_ms, const char *node, const char *state, int64_t settings)
{
	struct told told = {.state = state, .received = 3, .stored = 3};
	struct replica_report replica = bed_replica(&told);
	struct node_report report = bed_report(node, now_ms);

	replica.settings = settings;
	report.replicas = &replica;
	report.replicas_len = settings != -2;
	controller_node_report(bed->controller, &report, now_ms);
}

static void test_who_has_to_have_built(void)
{
	static const char request_text[] =
		"{\"v\":1,\"type\":\"settingsUpdate\",\"nonce\":\"00112233445566778899aabbccddeeff\","
		"\"uid\":\"books\",\"enqueued_at\":1,\"setting\":\"dictionary\",\"body\":[\"a b\"]}";

	for (size_t i = 0; i < sizeof told_rows / sizeof *told_rows; i++) {
		struct bed *bed = bed_index(bed_new(2, 2), 1, told_rows[i].shard);
		struct buffer names;
		struct error error;

		buffer_init(&names, 1024);
		catalog_write_names(&names, controller_catalog(bed->controller), 0, slice_string("books"),
		                    BED_INDEX);
		bed_record(bed, &names, true, "names");
		buffer_deinit(&names);
		CU_ASSERT_EQUAL(controller_read_task(bed->controller, 5, slice_string(request_text), &error),
		                0);
		bed_expect_finals(bed, 100, "");
		CU_ASSERT_STRING_EQUAL(versions(controller_catalog(bed->controller), BED_INDEX), "-1 next 5");
		hear(bed, 200, "n1", "a1", told_rows[i].n1);
		hear(bed, 200, "n2", "a2", told_rows[i].n2);
		bed_expect_finals(bed, 210, told_rows[i].finals);
		if (CU_get_number_of_failures() > 0)
			printf("\nrow %s\n", told_rows[i].name);
		bed_free(bed);
	}
}

/* ---- who is in-sync ---- */

static void settings_put(struct bed *bed, int64_t version)
{
	struct settings_record record = {
		.index_id = BED_INDEX, .task = version, .version = version, .settings = slice_string("{}")};
	struct buffer value;

	buffer_init(&value, 1 << 20);
	catalog_write_settings(&value, &record);
	bed_record(bed, &value, true, "settings/000000000000002a");
	buffer_deinit(&value);
}

/* Whoever is level comes in once it is built for the settings in force; whoever is in stays so, built or not. */
static void test_in_sync(void)
{
	static const struct {
		int64_t in_force; /* -1: nobody has set any */
		int64_t built;
		bool in;
	} rows[] = {{-1, -1, true}, {7, -1, false}, {7, 6, false}, {7, 7, true}, {7, 8, true}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct told n1 = {.state = "a1", .received = 100, .stored = 100, .settings = -1};
		const struct told n2 = {
			.state = "a2", .received = 100, .stored = 100, .settings = rows[i].built};
		struct bed *bed = bed_index(bed_new(2, 2), 1, "n1=A1* n2=A2");

		bed_run(bed, 0);
		if (rows[i].in_force >= 0)
			settings_put(bed, rows[i].in_force);
		for (int64_t now = 1000; now <= 20000; now += 500) {
			bed_end(bed, now - 100, 100);
			bed_hear_all(bed, now, "n1", &n1, 1);
			bed_hear_all(bed, now, "n2", &n2, 1);
			bed_end(bed, now + 50, 100);
			bed_run(bed, now + 50);
		}
		bed_expect(bed, 20060, rows[i].in ? "n1=A1* n2=A2*" : "n1=A1* n2=A2");
		bed_free(bed);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"in force at once", test_in_force_at_once},
		{"refusals", test_refusals},
		{"waits for replicas", test_waits_for_replicas},
		{"others go on", test_others_go_on},
		{"deleted meanwhile", test_deleted_meanwhile},
		{"killed anywhere", test_killed_anywhere},
		{"a rebuild", test_rebuild},
		{"who has to have built", test_who_has_to_have_built},
		{"who comes in-sync", test_in_sync},
		CU_TEST_INFO_NULL,
	};

	return suite_run("controller settings", tests);
}
