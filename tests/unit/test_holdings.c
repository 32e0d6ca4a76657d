/* Holdings: a replica is created and dropped on a record, and never on the absence of one. */
#include "shard/core/holdings.h"

#include "tests/unit/suite.h"

#include <stdio.h>

#define INDEX_ID 0x1234
#define NODE "n1"

enum index_case {
	NO_INDEX = 0,
	CREATING,
	ACTIVE,
	DELETED,
	GENERATION_2,
	UNREADABLE
};
enum shard_case {
	NO_SHARD = 0,
	NOT_NAMED,
	JOINING,
	NAMED,
	LEAVING,       /* no other replica is named */
	LEAVING_FOR,   /* another one is in-sync */
	LEAVING_EARLY, /* another one joins */
	LEAVING_OUT,   /* another one is active, but out of sync */
	LEAVING_BOTH,  /* another one is in-sync, but leaves too */
	SHARD_GENERATION_2,
	COPIED,            /* incarnation 5 comes by a copy */
	COPIED_LEAVING_FOR /* and leaves, another one is in-sync */
};

struct row {
	const char *name;
	enum index_case index;
	enum shard_case shard;
	bool on_disk;
	enum holding_verdict expected;
	uint64_t incarnation; /* on disk; 0: of no replica */
};

static const struct row rows[] = {
	{"nothing anywhere", NO_INDEX, NO_SHARD, false, HOLDING_NONE, 0},
	{"a new index, not yet active", CREATING, NO_SHARD, false, HOLDING_NONE, 0},
	{"an index without a shard record", ACTIVE, NO_SHARD, false, HOLDING_NONE, 0},
	{"another node's shard", ACTIVE, NOT_NAMED, false, HOLDING_NONE, 0},
	{"a shard record without its index", NO_INDEX, NAMED, false, HOLDING_NONE, 0},
	{"a deleted index is not created", DELETED, NAMED, false, HOLDING_NONE, 0},
	{"a leaving replica is not created", ACTIVE, LEAVING, false, HOLDING_NONE, 0},
	{"a leaving replica is not created, though another is in-sync", ACTIVE, LEAVING_FOR, false,
         HOLDING_NONE, 0},
	{"another generation is not created", GENERATION_2, NAMED, false, HOLDING_NONE, 0},
	{"an unreadable index is not created", UNREADABLE, NAMED, false, HOLDING_NONE, 0},
	{"named: created", ACTIVE, NAMED, false, HOLDING_CREATE, 0},
	{"joining: created", ACTIVE, JOINING, false, HOLDING_CREATE, 0},
	{"held and named", ACTIVE, NAMED, true, HOLDING_KEEP, 0},
	{"held and joining", ACTIVE, JOINING, true, HOLDING_KEEP, 0},
	{"held, deleted", DELETED, NAMED, true, HOLDING_DROP, 0},
	{"held, deleted, no shard record", DELETED, NO_SHARD, true, HOLDING_DROP, 0},
	{"held, leaving, another is in-sync", ACTIVE, LEAVING_FOR, true, HOLDING_DROP, 0},
	{"held, leaving, the only one", ACTIVE, LEAVING, true, HOLDING_HOLD, 0},
	{"held, leaving, another joins", ACTIVE, LEAVING_EARLY, true, HOLDING_HOLD, 0},
	{"held, leaving, another is out of sync", ACTIVE, LEAVING_OUT, true, HOLDING_HOLD, 0},
	{"held, leaving, like the other", ACTIVE, LEAVING_BOTH, true, HOLDING_HOLD, 0},
	{"held, leaving, the only one, but deleted", DELETED, LEAVING, true, HOLDING_DROP, 0},
	{"held, meta emptied", NO_INDEX, NAMED, true, HOLDING_REFUSE, 0},
	{"held, meta and topology emptied", NO_INDEX, NO_SHARD, true, HOLDING_REFUSE, 0},
	{"held, topology emptied", ACTIVE, NO_SHARD, true, HOLDING_REFUSE, 0},
	{"held, no longer named", ACTIVE, NOT_NAMED, true, HOLDING_HOLD, 0},
	{"held, another generation", GENERATION_2, NAMED, true, HOLDING_HOLD, 0},
	{"held, shard of another generation", ACTIVE, SHARD_GENERATION_2, true, HOLDING_HOLD, 0},
	{"a copy is to come: nothing is made", ACTIVE, COPIED, false, HOLDING_AWAIT, 0},
	{"a copy is to come, index deleted", DELETED, COPIED, false, HOLDING_NONE, 0},
	{"a copy is to come, to another generation", GENERATION_2, COPIED, false, HOLDING_NONE, 0},
	{"a copy that is not whole", ACTIVE, COPIED, true, HOLDING_AWAIT, 0},
	{"a copy that is whole", ACTIVE, COPIED, true, HOLDING_KEEP, 5},
	{"what a copy is to replace", ACTIVE, COPIED, true, HOLDING_AWAIT, 4},
	{"a copy that is not whole, deleted", DELETED, COPIED, true, HOLDING_DROP, 0},
	{"what a copy replaces, another generation", GENERATION_2, COPIED, true, HOLDING_HOLD, 4},
	{"what a copy replaces, unreadable", UNREADABLE, COPIED, true, HOLDING_HOLD, 4},
	{"another incarnation, no copy", ACTIVE, NAMED, true, HOLDING_KEEP, 4},
	{"a copy that leaves", ACTIVE, COPIED_LEAVING_FOR, true, HOLDING_DROP, 0},
	{"a copy that leaves, absent", ACTIVE, COPIED_LEAVING_FOR, false, HOLDING_NONE, 0},
	{"held, unreadable", UNREADABLE, NAMED, true, HOLDING_HOLD, 0},
	{"held, unreadable and leaving", UNREADABLE, LEAVING, true, HOLDING_HOLD, 0},
};

static void apply_index(struct catalog *catalog, enum index_case which, struct buffer *value)
{
	int64_t base[1] = {0};
	struct index_record index = {
		.id = INDEX_ID,
		.uid = "packages",
		.topic = "millrace.docs.packages",
		.own_topic = true,
		.state = which == CREATING  ? INDEX_STATE_CREATING
	                 : which == DELETED ? INDEX_STATE_DELETED
	                                    : INDEX_STATE_ACTIVE,
		.generation = which == GENERATION_2 ? 2 : 1,
		.partitions = 1,
		.base = which == CREATING ? NULL : base,
		.primary_key = "id",
		.rules = rules_default(),
		.task = 1,
	};
	struct error error;

	buffer_clear(value);
	catalog_write_index(value, &index);
	if (which == UNREADABLE) {
		CU_ASSERT_NOT_EQUAL(catalog_apply(catalog, CATALOG_TOPIC_META, 0,
		                                  slice_string("index/0000000000001234"),
		                                  slice_string("{\"v\":99}"), &error),
		                    0);
		return;
	}
	CU_ASSERT_EQUAL(catalog_apply(catalog, CATALOG_TOPIC_META, 0, slice_string("index/0000000000001234"),
	                              buffer_slice(value), &error),
	                0);
}

static void apply_shard(struct catalog *catalog, enum shard_case which, struct buffer *value)
{
	struct shard_record shard = {.index_id = INDEX_ID,
	                             .generation = which == SHARD_GENERATION_2 ? 2 : 1,
	                             .partition = 0,
	                             .replicas_len = 1,
	                             .task = 1};
	struct error error;

	shard.replicas[0].state = which == JOINING                            ? PLACEMENT_STATE_JOINING
	                          : which >= LEAVING && which <= LEAVING_BOTH ? PLACEMENT_STATE_LEAVING
	                                                                      : PLACEMENT_STATE_ACTIVE;
	if (which >= COPIED) {
		shard.replicas[0].incarnation = (struct incarnation){{5, 0}};
		shard.replicas[0].copy = (struct placement_copy){{1, 2}, 7, 7};
	}
	if (which == COPIED_LEAVING_FOR)
		shard.replicas[0].state = PLACEMENT_STATE_LEAVING;
	if ((which > LEAVING && which <= LEAVING_BOTH) || which == COPIED_LEAVING_FOR) {
		shard.replicas_len = 2;
		shard.replicas[1] =
			(struct placement){.node = "n2",
		                           .state = which == LEAVING_EARLY  ? PLACEMENT_STATE_JOINING
		                                    : which == LEAVING_BOTH ? PLACEMENT_STATE_LEAVING
		                                                            : PLACEMENT_STATE_ACTIVE,
		                           .in_sync = which != LEAVING_EARLY && which != LEAVING_OUT};
	}
	(void)snprintf(shard.replicas[0].node, sizeof shard.replicas[0].node, "%s",
	               which == NOT_NAMED ? "n2" : NODE);
	buffer_clear(value);
	catalog_write_shard(value, &shard);
	CU_ASSERT_EQUAL(catalog_apply(catalog, CATALOG_TOPIC_TOPOLOGY, 0,
	                              slice_string("shard/0000000000001234/0"), buffer_slice(value), &error),
	                0);
}

static void test_rows(void)
{
	struct buffer value;

	buffer_init(&value, 1 << 16);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *row = &rows[i];
		struct catalog *catalog = catalog_new();
		struct holding holding = {.index_id = INDEX_ID,
		                          .generation = 1,
		                          .partition = 0,
		                          .on_disk = row->on_disk,
		                          .incarnation = {{row->incarnation, 0}}};
		struct error reason = {0};
		enum holding_verdict verdict;

		CU_ASSERT_PTR_NOT_NULL_FATAL(catalog);
		if (row->index != NO_INDEX)
			apply_index(catalog, row->index, &value);
		if (row->shard != NO_SHARD)
			apply_shard(catalog, row->shard, &value);
		verdict = holding_decide(catalog, NODE, &holding, &reason);
		if (verdict != row->expected)
			printf("%s: %d, expected %d\n", row->name, (int)verdict, (int)row->expected);
		CU_ASSERT_EQUAL(verdict, row->expected);
		if (verdict == HOLDING_REFUSE)
			CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, "nothing was changed"));
		if (verdict == HOLDING_AWAIT)
			CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, "up to offset 7"));
		if (verdict == HOLDING_HOLD || verdict == HOLDING_REFUSE || verdict == HOLDING_AWAIT)
			CU_ASSERT_NOT_EQUAL(reason.code, 0);
		catalog_free(catalog);
	}
	buffer_deinit(&value);
}

int main(void)
{
	CU_TestInfo tests[] = {{"each state of the records, held and not", test_rows}, CU_TEST_INFO_NULL};

	return suite_run("holdings", tests);
}
