/*
 * Bed: one request of four partitions over five nodes, driven event by event.
 *
 * Every step states what must be sent, as text, and the time is the test's.
 */
#ifndef MILLRACE_TESTS_UNIT_SCATTER_BED_H
#define MILLRACE_TESTS_UNIT_SCATTER_BED_H

#include "query/core/scatter.h"

#include "tests/unit/suite.h"

#include <stdio.h>

#define ID 0xaaULL
#define MS ((int64_t)1000)
#define DEADLINE_US (1500 * MS)

static const char index_value[] =
	"{\"v\":1,\"task\":3,\"id\":\"00000000000000aa\",\"uid\":\"packages\",\"topic\":\"t\","
	"\"own_topic\":true,\"state\":\"active\",\"generation\":1,\"partitions\":4,\"base\":[0,0,0,0],"
	"\"partitioner\":\"murmur2\",\"primary_key\":\"id\",\"writable\":true,\"rules\":{\"contract\":1,"
	"\"id_bytes_max\":511,\"document_bytes_max\":4194304,\"depth_max\":128,\"dedup_window\":0},"
	"\"created_at\":1000,\"updated_at\":2000}";
/* m1 and m2 are another replica group */
static const char cluster_value[] =
	"{\"v\":1,\"epoch\":2,\"task\":-1,\"kafka\":\"AAAA\",\"rf\":2,\"nodes\":["
	"{\"id\":\"n1\",\"group\":\"g0\",\"url\":\"http://127.0.0.1:1\"},"
	"{\"id\":\"n2\",\"group\":\"g0\",\"url\":\"http://127.0.0.1:2\"},"
	"{\"id\":\"n3\",\"group\":\"g0\",\"url\":\"http://127.0.0.1:3\"},"
	"{\"id\":\"m1\",\"group\":\"g1\",\"url\":\"http://127.0.0.1:4\"},"
	"{\"id\":\"m2\",\"group\":\"g1\",\"url\":\"http://127.0.0.1:5\"}],\"oldest_task\":0}";

struct bed {
	struct catalog *catalog;
	struct chooser *chooser;
	struct arena arena;
	struct scatter *scatter;
	int64_t now_us;
	struct error error;
};

/* "n1": active and in-sync; "n1o" out of sync, "n1j" joining, "n1l" leaving. */
static const char *add_replica(struct shard_record *shard, const char *at)
{
	struct placement *placement = &shard->replicas[shard->replicas_len++];

	(void)snprintf(placement->node, 3, "%.2s", at);
	placement->state = PLACEMENT_STATE_ACTIVE;
	placement->in_sync = at[2] == ' ' || at[2] == '\0';
	if (at[2] == 'j')
		placement->state = PLACEMENT_STATE_JOINING;
	if (at[2] == 'l')
		placement->state = PLACEMENT_STATE_LEAVING;
	at += placement->in_sync ? 2 : 3;
	return at + (*at == ' ');
}

static inline void apply(struct bed *bed, enum catalog_topic topic, const char *key, struct slice value)
{
	CU_ASSERT_EQUAL_FATAL(catalog_apply(bed->catalog, topic, 1, slice_string(key), value, &bed->error),
	                      0);
}

static inline void set_up_catalog(struct bed *bed, const char *const replicas[4])
{
	bed->catalog = catalog_new();
	bed->now_us = 0;
	apply(bed, CATALOG_TOPIC_META, "index/00000000000000aa", slice_string(index_value));
	apply(bed, CATALOG_TOPIC_TOPOLOGY, "cluster", slice_string(cluster_value));
	for (int32_t p = 0; p < 4; p++) {
		struct shard_record shard = {.index_id = ID, .generation = 1, .partition = p};
		struct buffer value;
		char key[64];

		for (const char *at = replicas[p]; *at != '\0';)
			at = add_replica(&shard, at);
		(void)snprintf(key, sizeof key, "shard/00000000000000aa/%d", p);
		buffer_init(&value, 4096);
		catalog_write_shard(&value, &shard);
		apply(bed, CATALOG_TOPIC_TOPOLOGY, key, buffer_slice(&value));
		buffer_deinit(&value);
	}
}

static inline void plan(struct bed *bed, const struct scatter_options *options)
{
	struct scatter_options filled = *options;

	filled.chooser = bed->chooser;
	filled.deadline_us = bed->now_us + DEADLINE_US;
	arena_init(&bed->arena, 4096);
	bed->scatter = scatter_plan(bed->catalog, catalog_index(bed->catalog, ID), &filled, &bed->arena);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bed->scatter);
}

/* `replicas` has one text a partition, e.g. "n1 n2o", "n1" or "". */
static inline void set_up(struct bed *bed, const char *const replicas[4],
                          const struct scatter_options *options)
{
	set_up_catalog(bed, replicas);
	bed->chooser = chooser_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(bed->chooser);
	plan(bed, options);
}

static inline void tear_down(struct bed *bed)
{
	arena_deinit(&bed->arena);
	chooser_free(bed->chooser);
	catalog_free(bed->catalog);
}

/* The node has answered so often, each time after so long. */
static inline void teach(struct bed *bed, const char *id, int times, int64_t latency_us)
{
	size_t node = chooser_node(bed->chooser, id);

	for (int i = 0; i < times; i++) {
		chooser_sent(bed->chooser, node, 0);
		chooser_answered(bed->chooser, node, CHOOSER_KIND_SEARCH, latency_us);
	}
}

/* Steps, and gives what comes out as text: "n1:0,1 n2:2! n3:1+ FINISH"; `!` accepts stale answers, `+` is a hedge, `~` is given
 * little time for what is required.
 * Legs in order. */
static inline void step(struct bed *bed, const struct scatter_event *event, char text[256])
{
	struct scatter_action action;
	char legs[32][64] = {{0}};
	size_t first = SIZE_MAX;
	size_t last = 0;
	bool finished = false;

	CU_ASSERT_EQUAL_FATAL(scatter_step(bed->scatter, event, &bed->error), 0);
	while (scatter_take(bed->scatter, &action)) {
		size_t at = 0;
		char *leg = legs[action.leg % 32];

		if (action.kind == SCATTER_ACTION_FINISH) {
			CU_ASSERT_FALSE(finished);
			finished = true;
			continue;
		}
		first = action.leg < first ? action.leg : first;
		last = action.leg > last ? action.leg : last;
		at += (size_t)snprintf(leg, 64, "%s:", action.node->id);
		for (size_t i = 0; i < action.partitions_len; i++)
			at += (size_t)snprintf(leg + at, 64 - at, "%s%d", i > 0 ? "," : "",
			                       action.partitions[i]);
		(void)snprintf(leg + at, 64 - at, "%s%s%s", action.stale ? "!" : "", action.hedge ? "+" : "",
		               action.patience_us < INT64_MAX ? "~" : "");
	}
	text[0] = '\0';
	for (size_t i = first; first != SIZE_MAX && i <= last; i++)
		(void)snprintf(text + strlen(text), 256 - strlen(text), "%s%s", text[0] != '\0' ? " " : "",
		               legs[i]);
	if (finished)
		(void)snprintf(text + strlen(text), 256 - strlen(text), "%sFINISH",
		               text[0] != '\0' ? " " : "");
}

static inline void expect(struct bed *bed, struct scatter_event event, const char *expected)
{
	char text[256];

	event.now_us = bed->now_us;
	step(bed, &event, text);
	CU_ASSERT_STRING_EQUAL(text, expected);
	if (strcmp(text, expected) != 0)
		printf("\n[%s] instead of [%s]\n", text, expected);
}

static inline void expect_degraded(const struct bed *bed, const char *expected)
{
	struct buffer text;

	buffer_init(&text, 4096);
	scatter_append_degraded(bed->scatter, &text);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&text), slice_string(expected)));
	buffer_deinit(&text);
}

static inline struct scatter_event of(enum scatter_event_kind kind, size_t leg)
{
	return (struct scatter_event){.kind = kind, .leg = leg};
}

static inline struct scatter_event start(void)
{
	return of(SCATTER_EVENT_START, 0);
}

static inline struct scatter_event tick(void)
{
	return of(SCATTER_EVENT_TICK, 0);
}

static inline struct scatter_event answered(size_t leg)
{
	return of(SCATTER_EVENT_ANSWERED, leg);
}

static inline struct scatter_event failed(size_t leg)
{
	return of(SCATTER_EVENT_FAILED, leg);
}

static inline struct scatter_event refused(size_t leg, const struct node_refusal *refusals, size_t len)
{
	return (struct scatter_event){
		.kind = SCATTER_EVENT_REFUSED, .leg = leg, .refusals = refusals, .refusals_len = len};
}

/* From what the node costs for a kind of question that it was never asked. */
static inline int64_t in_flight(struct bed *bed, const char *id)
{
	int64_t idle =
		chooser_cost(bed->chooser, chooser_node(bed->chooser, "unknown"), CHOOSER_KIND_LIST, 0);

	return chooser_cost(bed->chooser, chooser_node(bed->chooser, id), CHOOSER_KIND_LIST, bed->now_us) /
	               idle -
	       1;
}

static const struct scatter_options all = {.partition = -1};

#endif
