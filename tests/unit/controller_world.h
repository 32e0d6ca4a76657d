/*
 * A small world of topics and records for the controller's core: what
 * survives when its process is killed, and what the shell would do.
 */
#ifndef MILLRACE_TESTS_UNIT_CONTROLLER_WORLD_H
#define MILLRACE_TESTS_UNIT_CONTROLLER_WORLD_H

#include "rebalance/core/controller.h"

#include "shared/base/assert.h"
#include "tests/unit/suite.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RECORDS_MAX 256
#define TOPICS_MAX 16
#define ACTIONS_MAX 200
#define TASKS_MAX 16
#define WORLD_DEDUP_WINDOW 5000

struct entry {
	enum controller_topic topic;
	char key[80];
	char value[4096];
};

struct kafka_topic {
	char name[TOPIC_BYTES_MAX + 1];
	int32_t partitions;
	bool compacted;
};

/* What survives a kill: records, requests and topics. */
struct world {
	struct entry records[RECORDS_MAX];
	size_t records_len;
	char tasks[TASKS_MAX][2048];
	size_t tasks_len;
	struct kafka_topic topics[TOPICS_MAX];
	size_t topics_len;
	char deleted[TOPICS_MAX][TOPIC_BYTES_MAX + 1];
	size_t deleted_len;
	struct controller *controller;
	int64_t start;            /* log start of every partition */
	int64_t end;              /* log end of every partition */
	int64_t remaining;        /* of sources, not imported; one less each time it is asked for */
	int64_t unread;           /* of an old log, likewise */
	struct rebuild_loss loss; /* in it */
	int64_t appearing;        /* of sources, one each time the old log is looked at */
	const char *url;          /* of the controller */
	const char *refuse_topic; /* CREATE_TOPIC of it can never work */
};

static const struct node_record nodes[] = {{.id = "n1", .group = "g0", .url = "http://127.0.0.1:7731"}};

static inline struct kafka_topic *topic_find(struct world *world, const char *name)
{
	for (size_t i = 0; i < world->topics_len; i++)
		if (strcmp(world->topics[i].name, name) == 0)
			return &world->topics[i];
	return NULL;
}

static inline void topic_add(struct world *world, const char *name, int32_t partitions)
{
	struct kafka_topic *topic = &world->topics[world->topics_len++];

	ASSERT(world->topics_len <= TOPICS_MAX);
	(void)snprintf(topic->name, sizeof topic->name, "%s", name);
	topic->partitions = partitions;
	topic->compacted = false;
}

static inline void topic_remove(struct world *world, const char *name)
{
	struct kafka_topic *topic = topic_find(world, name);

	if (topic == NULL)
		return;
	(void)snprintf(world->deleted[world->deleted_len++], TOPIC_BYTES_MAX + 1, "%s", name);
	*topic = world->topics[--world->topics_len];
}

/* A new process: reads everything that is recorded. */
static inline void office_take(struct world *world)
{
	struct controller_options options = {.cluster = "millrace",
	                                     .kafka_id = "K1",
	                                     .url = world->url,
	                                     .rf = 1,
	                                     .dedup_window = WORLD_DEDUP_WINDOW,
	                                     .nodes = nodes,
	                                     .nodes_len = 1};
	struct error error;

	controller_free(world->controller);
	world->controller = controller_new(&options);
	for (size_t i = 0; i < world->records_len; i++) {
		struct slice key = slice_string(world->records[i].key);
		struct slice value = slice_string(world->records[i].value);
		int rc = 0;

		if (world->records[i].topic == CONTROLLER_TOPIC_META)
			rc = controller_read_meta(world->controller, (int64_t)i, key, value, &error);
		else if (world->records[i].topic == CONTROLLER_TOPIC_TOPOLOGY)
			rc = controller_read_topology(world->controller, (int64_t)i, key, value, &error);
		else
			controller_read_final(world->controller, value);
		CU_ASSERT_EQUAL(rc, 0);
	}
	for (size_t i = (size_t)controller_oldest_task(world->controller); i < world->tasks_len; i++)
		CU_ASSERT_EQUAL(controller_read_task(world->controller, (int64_t)i,
		                                     slice_string(world->tasks[i]), &error),
		                0);
	CU_ASSERT_EQUAL(controller_check(world->controller, &error), 0);
}

static inline void record(struct world *world, const struct controller_write *write)
{
	struct entry *entry = &world->records[world->records_len++];

	ASSERT(world->records_len <= RECORDS_MAX && write->value.len < sizeof entry->value);
	entry->topic = write->topic;
	(void)snprintf(entry->key, sizeof entry->key, "%.*s", SLICE_ARGS(write->key));
	(void)snprintf(entry->value, sizeof entry->value, "%.*s", SLICE_ARGS(write->value));
}

/* Does what the shell would, in the world. */
static inline void carry_out(struct world *world, const struct controller_action *action,
                             struct controller_result *result)
{
	static int64_t starts[INDEX_PARTITIONS_MAX];
	struct kafka_topic *topic = action->topic != NULL ? topic_find(world, action->topic) : NULL;

	*result = (struct controller_result){0};
	switch (action->kind) {
	case CONTROLLER_ACTION_WRITE:
		for (size_t i = 0; i < action->writes_len; i++)
			record(world, &action->writes[i]);
		break;
	case CONTROLLER_ACTION_INSPECT_TOPIC:
		result->exists = topic != NULL;
		result->partitions = topic != NULL ? topic->partitions : 0;
		result->compacted = topic != NULL && topic->compacted;
		break;
	case CONTROLLER_ACTION_CREATE_TOPIC:
		if (world->refuse_topic != NULL && strcmp(world->refuse_topic, action->topic) == 0)
			result->code =
				error_set(&result->error, ERROR_LOG, ERROR_ACTION_REJECT, "not allowed");
		else if (topic == NULL)
			topic_add(world, action->topic, action->partitions);
		break;
	case CONTROLLER_ACTION_READ_STARTS:
		for (int32_t p = 0; p < action->partitions; p++)
			starts[p] = world->start;
		result->starts = starts;
		break;
	case CONTROLLER_ACTION_READ_ENDS:
		for (int32_t p = 0; p < action->partitions; p++)
			starts[p] = world->end;
		result->starts = starts;
		break;
	case CONTROLLER_ACTION_ASK_SOURCES:
		CU_ASSERT_PTR_NOT_NULL_FATAL(action->index);
		result->remaining = world->remaining > 0 ? world->remaining-- : 0;
		break;
	case CONTROLLER_ACTION_ASK_LOSS:
		CU_ASSERT_EQUAL(action->index->replaces, action->old->id);
		result->remaining = world->unread > 0 ? world->unread-- : 0;
		result->loss = world->loss;
		if (world->appearing > 0) {
			world->appearing--;
			world->remaining++;
		}
		break;
	case CONTROLLER_ACTION_DELETE_TOPIC:
		topic_remove(world, action->topic);
		break;
	}
}

/* Runs until nothing is to be done; after `kill_after` actions (-1 never) the process is killed, with
 * its last action done but its result lost, and a successor takes over. The number of actions. */
static inline int run(struct world *world, int kill_after)
{
	struct controller_action action;
	int actions = 0;

	office_take(world);
	while (controller_next(world->controller, (struct controller_time){1000, 0}, &action)) {
		struct controller_result result;

		ASSERT(actions < ACTIONS_MAX);
		carry_out(world, &action, &result);
		if (actions++ == kill_after)
			office_take(world);
		else
			controller_result(world->controller, &result);
	}
	return actions;
}

/* The next request, completed with a nonce. */
static inline int64_t ask(struct world *world, struct task_request *task)
{
	struct buffer value;

	ASSERT(world->tasks_len < TASKS_MAX);
	task->enqueued_at_ms = 900;
	(void)snprintf(task->nonce, sizeof task->nonce, "%032zu", world->tasks_len + 1);
	buffer_init(&value, sizeof world->tasks[0] - 1);
	task_request_write(&value, task);
	ASSERT(!buffer_failed(&value));
	(void)snprintf(world->tasks[world->tasks_len], sizeof world->tasks[0], "%.*s",
	               SLICE_ARGS(buffer_slice(&value)));
	buffer_deinit(&value);
	return (int64_t)world->tasks_len++;
}

static inline int64_t request(struct world *world, enum task_type type, const char *uid, const char *topic)
{
	struct task_request task = {
		.type = type, .partitions = 2, .partitioner = PARTITIONER_MURMUR2, .primary_key = "id"};

	(void)snprintf(task.uid, sizeof task.uid, "%s", uid);
	(void)snprintf(task.topic, sizeof task.topic, "%s", topic != NULL ? topic : "");
	return ask(world, &task);
}

static inline struct world *world_new(void)
{
	struct world *world = calloc(1, sizeof *world);

	ASSERT(world != NULL);
	world->start = 7;
	world->url = "";
	return world;
}

static inline void world_free(struct world *world)
{
	controller_free(world->controller);
	free(world);
}

/* The first final of a task: "succeeded", an error's code, or "none". */
static inline const char *final_of(const struct world *world, int64_t task)
{
	static struct task_final final;
	struct error error;

	for (size_t i = 0; i < world->records_len; i++) {
		if (world->records[i].topic != CONTROLLER_TOPIC_TASK_STATES ||
		    task_final_parse(slice_string(world->records[i].value), &final, &error) != 0 ||
		    final.task != task)
			continue;
		return final.succeeded ? "succeeded" : final.code;
	}
	return "none";
}

static inline size_t count_finals(const struct world *world)
{
	size_t count = 0;

	for (size_t i = 0; i < world->records_len; i++)
		count += world->records[i].topic == CONTROLLER_TOPIC_TASK_STATES;
	return count;
}

static inline const struct index_record *resolve(const struct world *world, const char *uid)
{
	return catalog_resolve(controller_catalog(world->controller), slice_string(uid));
}

#endif
