/*
 * Preparing: what meta says of an index's settings, made ready on the shelf and
 * built by its replicas; what is not understood stops nothing.
 */
#include "shard/core/replica_private.h"
#include "shard/core/snapshot_values.h"
#include "shard/node_private.h"
#include "shared/record/memtable.h"
#include "tests/unit/replica_model.h"

#define SETTINGS "settings/1122334455667788"
#define NEXT "settings-next/1122334455667788"
#define OTHER "settings/00000000000000aa"

struct stage {
	struct node *node;
	struct held *held;
	struct model *model;
};

/* Beside the rest that it does in the node. */
void replicas_note(struct node *node, struct held *held)
{
	struct replica_status status;

	(void)node;
	replica_status(held->replica, &status);
	preparing_note(held, &status);
}

static void stage_open(struct stage *stage, const char *directory)
{
	struct error error;

	stage->model = model_new(directory);
	stage->node = calloc(1, sizeof *stage->node);
	stage->held = calloc(1, sizeof *stage->held);
	CU_ASSERT_TRUE_FATAL(stage->node != NULL && stage->held != NULL);
	stage->node->catalog = catalog_new();
	stage->node->caught_up = true;
	CU_ASSERT_EQUAL_FATAL(settings_shelf_new(&stage->node->settings, &error), 0);
	*stage->held = (struct held){.index_id = INDEX_ID,
	                             .replica = stage->model->replica,
	                             .settings = SEARCH_SETTINGS_DEFAULT,
	                             .settings_built = SEARCH_SETTINGS_DEFAULT};
	stage->node->held[0] = stage->held;
	stage->node->held_len = 1;
}

static void stage_close(struct stage *stage)
{
	catalog_free(stage->node->catalog);
	settings_shelf_free(stage->node->settings);
	free(stage->held);
	free(stage->node);
	model_free(stage->model);
}

/* A record of meta; `members` stand in place of the defaults. */
static void say(struct stage *stage, const char *key, int version, const char *members)
{
	struct settings_request request = {.body = slice_string(members)};
	struct settings_refusal refusal;
	struct buffer settings;
	struct buffer value;
	struct error error;
	const char *id = strchr(key, '/') + 1;

	buffer_init(&settings, SETTINGS_RECORD_BYTES_MAX);
	buffer_init(&value, SETTINGS_RECORD_BYTES_MAX);
	CU_ASSERT_EQUAL_FATAL(settings_change(settings_default(), &request, &settings, &refusal), 0);
	buffer_printf(&value, "{\"v\":1,\"task\":%d,\"index\":\"%s\",\"version\":%d,\"settings\":%.*s}",
	              version, id, version, (int)settings.len, (const char *)settings.ptr);
	CU_ASSERT_EQUAL_FATAL(catalog_apply(stage->node->catalog, CATALOG_TOPIC_META, 1, slice_string(key),
	                                    buffer_slice(&value), &error),
	                      0);
	buffer_deinit(&settings);
	buffer_deinit(&value);
}

static void say_unreadable(struct stage *stage, const char *key, int version)
{
	struct buffer value;
	struct error error;

	buffer_init(&value, 1000);
	buffer_printf(&value,
	              "{\"v\":1,\"task\":1,\"index\":\"1122334455667788\",\"version\":%d,\"settings\":"
	              "{\"format\":99}}",
	              version);
	CU_ASSERT_EQUAL_FATAL(catalog_apply(stage->node->catalog, CATALOG_TOPIC_META, 1, slice_string(key),
	                                    buffer_slice(&value), &error),
	                      0);
	buffer_deinit(&value);
}

/* That version is there. */
static bool has(const struct stage *stage, int64_t version)
{
	struct search_settings *found = settings_shelf_take(stage->node->settings, INDEX_ID, version, NULL);

	search_settings_release(found);
	return found != NULL;
}

/* What the replica keeps, in order, `+words` for words beside, and what it is said to be built for. */
static void check(struct stage *stage, const char *attributes, int64_t built)
{
	const struct attributes *kept = &stage->model->replica->attributes->attributes;
	struct buffer text;

	buffer_init(&text, 100000);
	for (size_t i = 0; i < kept->len; i++) {
		uint64_t digest;
		bool beside = words_beside_read(kept->list[i].path, &digest);

		buffer_printf(&text, "%s%.*s", i == 0 ? "" : " ",
		              SLICE_ARGS(beside ? slice_string("+words") : kept->list[i].path));
	}
	buffer_put_u8(&text, 0);
	CU_ASSERT_STRING_EQUAL((const char *)text.ptr, attributes);
	CU_ASSERT_EQUAL(stage->held->settings_built, built);
	buffer_deinit(&text);
}

static void put_some(struct stage *stage)
{
	struct range_answer answer;

	for (int64_t offset = BASE; offset < BASE + 20; offset++)
		entry_make(stage->model, offset);
	CU_ASSERT_EQUAL_FATAL(send(stage->model, BASE, BASE + 20, -1, &answer), 0);
	replicas_note(stage->node, stage->held);
}

static void store(struct stage *stage)
{
	struct replica_store_job *job = replica_store_begin(stage->model->replica);
	struct error error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(job);
	CU_ASSERT_EQUAL_FATAL(replica_store_run(job, &error), 0);
	replica_store_end(stage->model->replica, job, 0, &error);
	replicas_note(stage->node, stage->held);
}

/* One job after the other, as the node does it. */
static void compact(struct stage *stage)
{
	struct replica_compact_job *job;

	while ((job = replica_compact_begin(stage->model->replica)) != NULL) {
		struct error error;
		bool more = true;
		int rc = 0;

		while (rc == 0 && more)
			rc = replica_compact_run(job, REPLICA_SLICE_STEPS, &more, &error);
		replica_compact_end(stage->model->replica, job, rc, &error);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
		replicas_note(stage->node, stage->held);
	}
}

/* Through a whole change: read, built, in force, dropped. */
static void test_change(void)
{
	struct stage stage;

	stage_open(&stage, "preparing-change");
	preparing_decide(stage.node, stage.held);
	CU_ASSERT_TRUE(stage.held->prepared);
	check(&stage, "", -1);
	say(&stage, SETTINGS, 5, "{\"sortableAttributes\":[\"n\"]}");
	preparing_decide(stage.node, stage.held);
	check(&stage, "n", 5); /* nothing is there that lacks it */
	put_some(&stage);
	say(&stage, NEXT, 7,
	    "{\"sortableAttributes\":[\"b\",\"a\"],\"filterableAttributes\":[\"f\",\"a\",\"x*\"],"
	    "\"distinctAttribute\":\"d\",\"rankingRules\":[\"words\",\"r:desc\"]}");
	preparing_decide(stage.node, stage.held);
	CU_ASSERT_TRUE(has(&stage, 5) && has(&stage, 7));
	check(&stage, "n d r a b f", 5); /* ranges in memory lack them */
	store(&stage);
	check(&stage, "n d r a b f", 5); /* and on disk they do */
	CU_ASSERT_TRUE(stage.held->uncompacted);
	compact(&stage);
	check(&stage, "n d r a b f", 7);
	say(&stage, SETTINGS, 7,
	    "{\"sortableAttributes\":[\"b\",\"a\"],\"filterableAttributes\":[\"f\",\"a\",\"x*\"],"
	    "\"distinctAttribute\":\"d\",\"rankingRules\":[\"words\",\"r:desc\"]}");
	preparing_decide(stage.node, stage.held);
	check(&stage, "d r a b f", 7);
	CU_ASSERT_TRUE(has(&stage, 5) && has(&stage, 7));
	say(&stage, SETTINGS, 8, "{\"rankingRules\":[\"sort\"]}");
	preparing_decide(stage.node, stage.held);
	check(&stage, "", 8);
	stage_close(&stage);
}

/* One that is put in force before it was built here: searches find what there is, the report waits. */
static void test_early(void)
{
	struct stage stage;

	stage_open(&stage, "preparing-early");
	put_some(&stage);
	preparing_decide(stage.node, stage.held);
	say(&stage, NEXT, 3, "{\"sortableAttributes\":[\"n\"]}");
	preparing_decide(stage.node, stage.held);
	say(&stage, SETTINGS, 3, "{\"sortableAttributes\":[\"n\"]}");
	preparing_decide(stage.node, stage.held);
	CU_ASSERT_TRUE(has(&stage, 3));
	check(&stage, "n", -1);
	store(&stage);
	compact(&stage);
	check(&stage, "n", 3);
	preparing_forget(stage.node, stage.held);
	CU_ASSERT_EQUAL(stage.held->settings_built, -1);
	CU_ASSERT_TRUE(has(&stage, 3)); /* that replica is still held */
	stage.held->replica = NULL;
	preparing_forget(stage.node, stage.held);
	CU_ASSERT_FALSE(has(&stage, 3));
	stage_close(&stage);
}

/* Words are waited for as values are. */
static void test_words(void)
{
	struct stage stage;

	stage_open(&stage, "preparing-words");
	put_some(&stage);
	store(&stage);
	preparing_decide(stage.node, stage.held);
	say(&stage, NEXT, 3, "{\"stopWords\":[\"alpha\"]}");
	preparing_decide(stage.node, stage.held);
	check(&stage, "+words", -1);
	compact(&stage);
	check(&stage, "+words", 3);
	say(&stage, SETTINGS, 3, "{\"stopWords\":[\"alpha\"]}");
	preparing_decide(stage.node, stage.held);
	check(&stage, "+words", 3); /* searches find those until its own are cut anew */
	compact(&stage);
	CU_ASSERT_EQUAL(status_of(stage.model).disk_value_sets, 0);
	say(&stage, SETTINGS, 4, "{\"separatorTokens\":[\"x\"],\"stopWords\":[\"alpha\"]}");
	preparing_decide(stage.node, stage.held);
	check(&stage, "", 3);
	compact(&stage);
	check(&stage, "", 4);
	say(&stage, SETTINGS, 5, "{}");
	preparing_decide(stage.node, stage.held);
	check(&stage, "", 4);
	compact(&stage);
	check(&stage, "", 5);
	stage_close(&stage);
}

static void test_unreadable(void)
{
	struct stage stage;
	int64_t in_force = 0;

	stage_open(&stage, "preparing-unreadable");
	say(&stage, SETTINGS, 5, "{\"sortableAttributes\":[\"n\"]}");
	say(&stage, OTHER, 6, "{\"sortableAttributes\":[\"other\"]}");
	say_unreadable(&stage, NEXT, 7);
	preparing_decide(stage.node, stage.held);
	CU_ASSERT_TRUE(stage.held->prepared);
	CU_ASSERT_TRUE(has(&stage, 5) && !has(&stage, 7) && !has(&stage, 6));
	check(&stage, "n", 5);
	say_unreadable(&stage, SETTINGS, 7);
	preparing_decide(stage.node, stage.held);
	CU_ASSERT_TRUE(stage.held->prepared);
	CU_ASSERT_PTR_NULL(settings_shelf_take(stage.node->settings, INDEX_ID, 7, &in_force));
	CU_ASSERT_EQUAL(in_force, 5);
	check(&stage, "n", 5);
	say(&stage, SETTINGS, 8, "{}");
	preparing_decide(stage.node, stage.held);
	check(&stage, "", 8);
	stage_close(&stage);
}

/* More than a replica keeps: what is in force goes first, and what has no room now is told in the end. */
static void test_many(void)
{
	struct stage stage;
	struct buffer members;

	stage_open(&stage, "preparing-many");
	for (int version = 1; version <= 4; version++) {
		buffer_init(&members, 10000);
		buffer_append_string(&members, "{\"sortableAttributes\":[");
		for (int i = 0; i < 60; i++)
			buffer_printf(&members, "%s\"v%d.%d\"", i == 0 ? "" : ",", version, i);
		buffer_append_string(&members, "]}");
		buffer_put_u8(&members, 0);
		say(&stage, version == 2 ? NEXT : SETTINGS, version, (const char *)members.ptr);
		preparing_decide(stage.node, stage.held);
		if (version == 1)
			put_some(&stage);
		buffer_deinit(&members);
	}
	/* the first two have used the numbers, and the ranges in memory cover them */
	CU_ASSERT_FALSE(stage.held->prepared);
	CU_ASSERT_EQUAL(stage.held->settings_built, 1);
	store(&stage);
	compact(&stage);
	preparing_turn(stage.node);
	CU_ASSERT_TRUE(stage.held->prepared);
	CU_ASSERT_EQUAL(stage.model->replica->attributes->attributes.len, 60);
	compact(&stage);
	CU_ASSERT_EQUAL(stage.held->settings_built, 4);
	stage_close(&stage);
}

int main(void)
{
	CU_TestInfo tests[] = {{"a change", test_change},
	                       {"in force before it is built", test_early},
	                       {"words", test_words},
	                       {"what is not understood", test_unreadable},
	                       {"more than is kept", test_many},
	                       CU_TEST_INFO_NULL};

	return suite_run("preparing", tests);
}
