/*
 * A bed for the controller's decisions about replicas: one index, records
 * and reports written as short texts, times as literals.
 *
 * A shard is written "n1=A1* n2=J0": node, state (J joining, A active,
 * L leaving), number of the incarnation (0 none), * if in-sync; ! at the end
 * if divergent. A replica is told as "a1": state (a active, r recovering,
 * s stopped) and incarnation.
 */
#ifndef MILLRACE_TESTS_UNIT_CONTROLLER_BED_H
#define MILLRACE_TESTS_UNIT_CONTROLLER_BED_H

#include "rebalance/core/controller.h"
#include "shared/base/assert.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define BED_INDEX 42
#define BED_CHANGES_MAX 4096

struct bed {
	struct controller *controller;
	struct node_record nodes[8];
	size_t nodes_len;
	int64_t now_ms;
	char changes[BED_CHANGES_MAX]; /* "out silent n2, in level n2, …" since the last bed_changes */
	size_t writes;                 /* actions with records of shards */
};

/* What one node tells of one replica. */
struct told {
	int32_t partition;
	const char *state; /* NULL: not listed */
	int64_t received;
	int64_t stored;
	uint64_t digest;
	int64_t seal; /* 0: none; its digest is seal_digest */
	uint64_t seal_digest;
	int64_t settings; /* that it is built for */
};

static inline struct incarnation bed_incarnation(uint64_t number)
{
	return (struct incarnation){{number, 0}};
}

static inline void bed_parse(const char *text, struct shard_record *shard)
{
	static const char states[] = {[PLACEMENT_STATE_JOINING] = 'J',
	                              [PLACEMENT_STATE_ACTIVE] = 'A',
	                              [PLACEMENT_STATE_LEAVING] = 'L'};

	while (*text != '\0' && *text != '!') {
		struct placement *placement = &shard->replicas[shard->replicas_len++];
		char state;
		unsigned number;
		int used = 0;

		ASSERT(sscanf(text, " %63[^=]=%c%u%n", placement->node, &state, &number, &used) == 3);
		text += used;
		for (size_t i = PLACEMENT_STATE_JOINING; i <= PLACEMENT_STATE_LEAVING; i++)
			if (states[i] == state)
				placement->state = (enum placement_state)i;
		ASSERT(placement->state != 0);
		placement->incarnation = bed_incarnation(number);
		placement->in_sync = *text == '*';
		text += *text == '*';
		text += *text == ' ';
	}
	shard->divergent = *text == '!';
}

static inline void bed_print(const struct shard_record *shard, char text[256])
{
	int len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < shard->replicas_len; i++) {
		const struct placement *placement = &shard->replicas[i];

		len += snprintf(text + len, (size_t)(256 - len), "%s%s=%c%d%s", i > 0 ? " " : "",
		                placement->node, " JAL"[placement->state],
		                (int)placement -> incarnation.word[0], placement->in_sync ? "*" : "");
	}
	if (shard->divergent)
		(void)snprintf(text + len, (size_t)(256 - len), " !");
}

static inline void bed_record(struct bed *bed, const struct buffer *value, bool meta, const char *key)
{
	struct error error;
	int rc = meta ? controller_read_meta(bed->controller, 0, slice_string(key), buffer_slice(value),
	                                     &error)
	              : controller_read_topology(bed->controller, 0, slice_string(key), buffer_slice(value),
	                                         &error);

	if (rc != 0)
		printf("\n%s\n", error.text);
	ASSERT(rc == 0);
}

/* An index of `partitions`, every shard as in `shard`. */
static inline struct bed *bed_index(struct bed *bed, int32_t partitions, const char *shard)
{
	static int64_t base[INDEX_PARTITIONS_MAX];
	struct index_record index = {.id = BED_INDEX,
	                             .uid = "books",
	                             .topic = "t.docs.books",
	                             .own_topic = true,
	                             .state = INDEX_STATE_ACTIVE,
	                             .generation = 1,
	                             .partitions = partitions,
	                             .base = base,
	                             .partitioner = PARTITIONER_MURMUR2,
	                             .primary_key = "id",
	                             .writable = true,
	                             .rules = rules_default()};
	struct buffer value;
	char key[64];

	buffer_init(&value, 1 << 20);
	catalog_write_index(&value, &index);
	bed_record(bed, &value, true, "index/000000000000002a");
	for (int32_t p = 0; p < partitions; p++) {
		struct shard_record record = {.index_id = BED_INDEX, .generation = 1, .partition = p};

		bed_parse(shard, &record);
		buffer_clear(&value);
		catalog_write_shard(&value, &record);
		(void)snprintf(key, sizeof key, "shard/000000000000002a/%d", p);
		bed_record(bed, &value, false, key);
	}
	buffer_deinit(&value);
	return bed;
}

/* Nodes n1, n2, … */
static inline struct bed *bed_new(size_t nodes_len, int32_t rf)
{
	struct bed *bed = calloc(1, sizeof *bed);
	struct controller_options options = {
		.cluster = "t", .kafka_id = "K1", .url = "http://c", .rf = rf, .nodes_len = nodes_len};

	ASSERT(bed != NULL && nodes_len <= 8);
	for (size_t i = 0; i < nodes_len; i++) {
		(void)snprintf(bed->nodes[i].id, sizeof bed->nodes[i].id, "n%zu", i + 1);
		(void)snprintf(bed->nodes[i].group, sizeof bed->nodes[i].group, "g0");
		(void)snprintf(bed->nodes[i].url, sizeof bed->nodes[i].url, "http://n%zu", i + 1);
	}
	bed->nodes_len = nodes_len;
	options.nodes = bed->nodes;
	bed->controller = controller_new(&options);
	ASSERT(bed->controller != NULL);
	return bed;
}

static inline void bed_free(struct bed *bed)
{
	controller_free(bed->controller);
	free(bed);
}

/* Whatever the controller wants at that time is done. */
static inline void bed_run(struct bed *bed, int64_t now_ms)
{
	struct controller_action action;

	bed->now_ms = now_ms;
	while (controller_next(bed->controller, (struct controller_time){1000, now_ms}, &action)) {
		struct controller_result result = {0};

		ASSERT(action.kind == CONTROLLER_ACTION_WRITE);
		for (size_t i = 0; i < action.changes_len; i++) {
			size_t len = strlen(bed->changes);

			ASSERT(len + 80 < sizeof bed->changes);
			(void)snprintf(bed->changes + len, sizeof bed->changes - len, "%s%s %s %s",
			               len > 0 ? ", " : "", change_name(action.changes[i].kind),
			               action.changes[i].reason, action.changes[i].node);
		}
		bed->writes += action.changes_len > 0;
		controller_result(bed->controller, &result);
	}
}

/* What was changed since it was asked last, as a text. */
static inline void bed_changes(struct bed *bed, const char *expected)
{
	if (strcmp(bed->changes, expected) != 0) {
		printf("\nat %d ms: changed: %s; expected: %s\n", (int)bed->now_ms, bed->changes, expected);
		CU_FAIL("other changes than expected");
	}
	bed->changes[0] = '\0';
}

static inline void bed_expect(struct bed *bed, int64_t now_ms, const char *expected)
{
	char text[256] = "";

	bed_run(bed, now_ms);
	bed_print(catalog_shard(controller_catalog(bed->controller), BED_INDEX, 0), text);
	if (strcmp(text, expected) != 0) {
		printf("\nat %d ms: recorded: %s; expected: %s\n", (int)now_ms, text, expected);
		CU_FAIL("another record than expected");
	}
}

static inline struct replica_report bed_replica(const struct told *told)
{
	struct replica_report replica = {.index_id = BED_INDEX,
	                                 .generation = 1,
	                                 .partition = told->partition,
	                                 .session = 7,
	                                 .received = told->received,
	                                 .stored = told->stored,
	                                 .settings = told->settings,
	                                 .digest = {told->digest, 0}};

	replica.state = told->state[0] == 'a'   ? REPORT_STATE_ACTIVE
	                : told->state[0] == 'r' ? REPORT_STATE_RECOVERING
	                                        : REPORT_STATE_STOPPED;
	replica.incarnation = bed_incarnation(strtoul(told->state + 1, NULL, 10));
	if (told->seal > 0) {
		replica.seals_len = 1;
		replica.seals[0] = (struct report_seal){told->seal, {told->seal_digest, 0}};
	}
	return replica;
}

/* A good answer of a node, except for what a test changes in it. */
static inline struct node_report bed_report(const char *node, int64_t now_ms)
{
	struct node_report report = {.node = node,
	                             .asked_ms = now_ms - 10,
	                             .incarnation = bed_incarnation(900 + strtoul(node + 1, NULL, 10)),
	                             .session = 5,
	                             .format = 1,
	                             .kafka = "K1",
	                             .ready = true};

	(void)snprintf(report.id, sizeof report.id, "%s", node);
	return report;
}

/* The node's answer, asked for 10 ms before, lists these replicas. */
static inline void bed_hear_all(struct bed *bed, int64_t now_ms, const char *node, const struct told *told,
                                size_t told_len)
{
	struct node_report report = bed_report(node, now_ms);
	struct replica_report *replicas = calloc(told_len + 1, sizeof *replicas);

	ASSERT(replicas != NULL);
	for (size_t i = 0; i < told_len; i++)
		if (told[i].state != NULL)
			replicas[report.replicas_len++] = bed_replica(&told[i]);
	report.replicas = replicas;
	controller_node_report(bed->controller, &report, now_ms);
	free(replicas);
}

/* Of partition 0 alone; state NULL: it lists nothing. */
static inline void bed_hear(struct bed *bed, int64_t now_ms, const char *node, const char *state,
                            int64_t received)
{
	const struct told told = {.state = state, .received = received, .stored = received};

	bed_hear_all(bed, now_ms, node, &told, 1);
}

static inline void bed_miss(struct bed *bed, int64_t now_ms, const char *node)
{
	struct node_report report = bed_report(node, now_ms);

	report.failure = "connection refused";
	controller_node_report(bed->controller, &report, now_ms);
}

/* The log end of partition 0. */
static inline void bed_end(struct bed *bed, int64_t read_ms, int64_t end)
{
	const struct controller_end asked = {.index_id = BED_INDEX, .generation = 1, .partition = 0};

	controller_log_end(bed->controller, &asked, end, read_ms);
}

/* Does whatever the controller wants at that time; the finals it writes, as "code" or "succeeded". */
static inline void bed_expect_finals(struct bed *bed, int64_t now_ms, const char *expected)
{
	struct controller_action action;
	char text[256] = "";
	size_t len = 0;

	while (controller_next(bed->controller, (struct controller_time){1000, now_ms}, &action)) {
		struct controller_result result = {0};

		ASSERT(action.kind == CONTROLLER_ACTION_WRITE);
		for (size_t i = 0; i < action.writes_len; i++) {
			struct task_final final;
			struct error error;

			if (action.writes[i].topic != CONTROLLER_TOPIC_TASK_STATES)
				continue;
			CU_ASSERT_EQUAL_FATAL(task_final_parse(action.writes[i].value, &final, &error), 0);
			len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", len > 0 ? " " : "",
			                        final.succeeded ? "succeeded" : final.code);
		}
		controller_result(bed->controller, &result);
	}
	if (strcmp(text, expected) != 0) {
		printf("\nat %d ms: finals: %s; expected: %s\n", (int)now_ms, text, expected);
		CU_FAIL("other finals than expected");
	}
}

#endif
