/* Creation and deletion of an index, step by step from what is recorded. */
#include "rebalance/core/controller_private.h"

#include "rebalance/core/placement.h"
#include "shared/base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void controller_write_index(struct controller *controller, const struct index_record *index, int64_t task)
{
	char id[17];

	index_id_print(index->id, id);
	catalog_write_index(&controller->values, index);
	controller_write(controller, CONTROLLER_TOPIC_META, task, "index/%s", id);
}

static bool write_index(struct controller *controller, const struct index_record *index, int64_t task)
{
	controller_write_index(controller, index, task);
	return true;
}

static bool write_names(struct controller *controller, int64_t task, struct slice uid, uint64_t index_id)
{
	catalog_write_names(&controller->values, controller->catalog, task, uid, index_id);
	controller_write(controller, CONTROLLER_TOPIC_META, task, "names");
	return true;
}

/* What is wrong with a request however often it is tried; true if nothing is. */
static bool check_request(struct controller *controller, const struct task_request *request)
{
	if (!index_uid_is_valid(slice_string(request->uid))) {
		controller_fail(controller, "invalid_index_uid",
		                "`%s` is not a valid index uid: 1 to %d of A-Z a-z 0-9 _ - are allowed",
		                request->uid, INDEX_UID_BYTES_MAX);
	} else if (request->topic[0] == '\0' &&
	           (request->partitions < 1 || request->partitions > INDEX_PARTITIONS_MAX)) {
		controller_fail(controller, "invalid_index_partitions",
		                "%" PRId32 " partitions were asked for; 1 to %d are allowed",
		                request->partitions, INDEX_PARTITIONS_MAX);
	} else if (request->has_dedup_window &&
	           (request->dedup_window < 0 || request->dedup_window > RULES_DEDUP_WINDOW_MAX)) {
		controller_fail(controller, "invalid_index_dedup_window",
		                "a dedup window of %" PRId64 " offsets was asked for; 0 to %d are allowed",
		                request->dedup_window, RULES_DEDUP_WINDOW_MAX);
	} else if (catalog_resolve(controller->catalog, slice_string(request->uid)) != NULL) {
		controller_fail(controller, "index_already_exists", "Index `%s` already exists.",
		                request->uid);
	} else if (controller->options.nodes_len == 0) {
		controller_fail(controller, "no_node",
		                "topology.groups names no node that could hold the index");
	}
	return !controller->work.failed;
}

/* The name of the log, before Kafka was asked whether there is such a topic. */
static bool choose_topic(struct controller *controller, const struct pending_task *pending)
{
	const struct task_request *request = &pending->request;
	struct index_record *index = &controller->work.index;
	size_t size = sizeof index->topic;
	int len;

	if (request->topic[0] != '\0') {
		memcpy(index->topic, request->topic, size);
		return true;
	}
	len = snprintf(index->topic, size, "%s.docs.%s", controller->cluster, request->uid);
	controller->work.renamed =
		len > 0 && (size_t)len < size && catalog_topic_used(controller->catalog, index->topic);
	if (controller->work.renamed)
		len = snprintf(index->topic, size, "%s.docs.%s.%" PRId64, controller->cluster, request->uid,
		               pending->task);
	if (len > 0 && (size_t)len < size)
		return true;
	controller_fail(
		controller, "invalid_index_uid",
		"the topic's name for `%s` would be longer than Kafka's %d characters; choose a shorter uid",
		request->uid, TOPIC_BYTES_MAX);
	return false;
}

static bool begin_index(struct controller *controller, const struct pending_task *pending, int64_t now_ms)
{
	const struct task_request *request = &pending->request;
	struct index_record *index = &controller->work.index;
	bool adopted = request->topic[0] != '\0';

	index->id = task_index_id(pending->task, request->nonce);
	memcpy(index->uid, request->uid, sizeof index->uid);
	memcpy(index->primary_key, request->primary_key, sizeof index->primary_key);
	index->own_topic = !adopted;
	index->writable = !adopted;
	index->state = INDEX_STATE_CREATING;
	index->generation = 1;
	index->partitions = request->partitions;
	index->partitioner = request->partitioner;
	index->rules = rules_default();
	index->rules.dedup_window =
		request->has_dedup_window ? request->dedup_window : controller->options.dedup_window;
	index->task = pending->task;
	index->created_at_ms = now_ms;
	index->updated_at_ms = now_ms;
	return controller_add_sources(controller, index, request);
}

static bool topic_is_a_log(const struct controller *controller, const char *topic)
{
	const struct index_record *index;
	size_t at = 0;

	while ((index = catalog_next_index(controller->catalog, &at)) != NULL)
		if (index->state != INDEX_STATE_DELETED && strcmp(index->topic, topic) == 0)
			return true;
	return false;
}

/* Nothing is recorded yet: choose a topic that can be the log, then record the index. */
static bool record_index(struct controller *controller, const struct pending_task *pending, int64_t now_ms)
{
	bool rebuild = pending->request.type == TASK_TYPE_INDEX_REBUILD;
	struct work *work = &controller->work;

	if (!work->inspected) {
		if (work->index.topic[0] == '\0' &&
		    (!(rebuild ? controller_check_rebuild(controller, &pending->request)
		               : check_request(controller, &pending->request)) ||
		     !choose_topic(controller, pending)))
			return false;
		if (pending->request.topic[0] != '\0' && topic_is_a_log(controller, work->index.topic)) {
			controller_fail(controller, "topic_in_use", "topic `%s` is the log of another index",
			                work->index.topic);
			return false;
		}
		if (work->index.id == 0) {
			if (!(rebuild ? controller_begin_rebuild(controller, pending, now_ms)
			              : begin_index(controller, pending, now_ms)))
				return false;
		}
		controller_topic_action(controller, CONTROLLER_ACTION_INSPECT_TOPIC, work->index.topic, 0,
		                        pending->task);
		return true;
	}
	if (rebuild)
		controller_inherit_settings(controller, &work->index);
	return write_index(controller, &work->index, pending->task);
}

/* Recorded as creating: the topic, its log starts, then active. */
static bool activate_index(struct controller *controller, const struct index_record *recorded,
                           const struct pending_task *pending, int64_t now_ms)
{
	struct work *work = &controller->work;
	struct index_record index = *recorded;

	if (recorded->own_topic && !work->topic_made) {
		controller_topic_action(controller, CONTROLLER_ACTION_CREATE_TOPIC, recorded->topic,
		                        recorded->partitions, pending->task);
		return true;
	}
	if (work->starts == NULL) {
		controller_topic_action(controller, CONTROLLER_ACTION_READ_STARTS, recorded->topic,
		                        recorded->partitions, pending->task);
		return true;
	}
	index.base = work->starts;
	index.state = INDEX_STATE_ACTIVE;
	index.updated_at_ms = now_ms;
	return write_index(controller, &index, pending->task);
}

static void write_shard(struct controller *controller, const struct index_record *index, int32_t partition)
{
	struct shard_record shard = {
		.index_id = index->id,
		.generation = index->generation,
		.partition = partition,
		.task = index->task,
	};
	char id[17];

	placement_choose(&shard, controller->nodes, controller->options.nodes_len, controller->options.rf);
	index_id_print(index->id, id);
	catalog_write_shard(&controller->values, &shard);
	controller_write(controller, CONTROLLER_TOPIC_TOPOLOGY, index->task, "shard/%s/%" PRId32, id,
	                 partition);
}

/* As many as fit into one action. */
static bool write_shards(struct controller *controller, const struct index_record *index)
{
	for (int32_t p = 0; p < index->partitions && controller->action.writes_len < CONTROLLER_WRITES_MAX;
	     p++)
		if (catalog_shard(controller->catalog, index->id, p) == NULL)
			write_shard(controller, index, p);
	return controller->action.writes_len > 0;
}

bool controller_create_index(struct controller *controller, const struct pending_task *pending,
                             int64_t now_ms)
{
	uint64_t id = task_index_id(pending->task, pending->request.nonce);
	const struct index_record *index = catalog_index(controller->catalog, id);

	if (index == NULL)
		return !controller->work.failed && record_index(controller, pending, now_ms);
	if (index->state == INDEX_STATE_CREATING && controller->work.failed) {
		/* the topic cannot be made: the record stays, as deleted, and owns nothing */
		struct index_record dead = *index;

		dead.state = INDEX_STATE_DELETED;
		dead.own_topic = false;
		dead.updated_at_ms = now_ms;
		return write_index(controller, &dead, pending->task);
	}
	if (index->state == INDEX_STATE_CREATING)
		return activate_index(controller, index, pending, now_ms);
	if (index->state == INDEX_STATE_DELETED) {
		if (!controller->work.failed)
			controller_fail(controller, "index_creation_failed",
			                "topic `%s` could not be created", index->topic);
		return false;
	}
	if (write_shards(controller, index))
		return true;
	if (index->replaces != 0)
		return false; /* it gets its name when it is full */
	if (catalog_resolve(controller->catalog, slice_string(index->uid)) == NULL)
		return write_names(controller, pending->task, slice_string(index->uid), id);
	return false;
}

const struct index_record *controller_deleted_by(const struct controller *controller, int64_t task)
{
	const struct index_record *index;
	size_t at = 0;

	while ((index = catalog_next_index(controller->catalog, &at)) != NULL)
		if (index->state == INDEX_STATE_DELETED && index->task == task)
			return index;
	return NULL;
}

static bool name_is_taken(const struct controller *controller, const char *uid, uint64_t index_id)
{
	struct slice name;
	uint64_t id;
	size_t at = 0;

	while (catalog_next_name(controller->catalog, &at, &name, &id))
		if (id == index_id && slice_equal(name, slice_string(uid)))
			return true;
	return false;
}

bool controller_delete_index(struct controller *controller, const struct pending_task *pending,
                             int64_t now_ms)
{
	const struct index_record *index = controller_deleted_by(controller, pending->task);
	struct index_record dead;

	if (index != NULL) {
		if (!name_is_taken(controller, index->uid, index->id))
			return false;
		return write_names(controller, pending->task, slice_string(index->uid), 0);
	}
	index = catalog_resolve(controller->catalog, slice_string(pending->request.uid));
	if (index == NULL) {
		controller_fail(controller, "index_not_found", "Index `%s` not found.", pending->request.uid);
		return false;
	}
	dead = *index;
	dead.state = INDEX_STATE_DELETED;
	dead.task = pending->task;
	dead.updated_at_ms = now_ms;
	return write_index(controller, &dead, pending->task);
}

bool controller_delete_topics(struct controller *controller, int64_t now_ms)
{
	const struct index_record *index;
	struct index_record done;
	size_t at = 0;

	while ((index = catalog_next_index(controller->catalog, &at)) != NULL) {
		if (index->state != INDEX_STATE_DELETED || !index->own_topic)
			continue;
		if (controller->topicless != index->id) {
			controller->deleting = index->id;
			controller_topic_action(controller, CONTROLLER_ACTION_DELETE_TOPIC, index->topic,
			                        index->partitions, index->task);
			return true;
		}
		/* deleted: from now on a topic of this name is somebody else's */
		done = *index;
		done.own_topic = false;
		done.updated_at_ms = now_ms;
		return write_index(controller, &done, index->task);
	}
	return false;
}

static void inspected(struct controller *controller, const struct controller_result *result)
{
	struct work *work = &controller->work;
	struct index_record *index = &work->index;
	size_t len = strlen(index->topic);

	if (!index->own_topic) {
		if (!result->exists)
			controller_fail(controller, "topic_not_found", "topic `%s` does not exist",
			                index->topic);
		else if (result->compacted)
			controller_fail(controller, "topic_is_compacted",
			                "topic `%s` is compacted (cleanup.policy): compaction rewrites what "
			                "an index is "
			                "folded from; set it to delete",
			                index->topic);
		else if (result->partitions > INDEX_PARTITIONS_MAX)
			controller_fail(controller, "invalid_index_partitions",
			                "topic `%s` has %" PRId32 " partitions; at most %d are allowed",
			                index->topic, result->partitions, INDEX_PARTITIONS_MAX);
		index->partitions = result->partitions;
		work->inspected = true;
		return;
	}
	if (!result->exists) {
		work->inspected = true;
		return;
	}
	/* a topic of that name is not ours: take the name that no other request has */
	if (work->renamed || (size_t)snprintf(index->topic + len, sizeof index->topic - len, ".%" PRId64,
	                                      index->task) >= sizeof index->topic - len)
		controller_fail(controller, "topic_exists", "topic `%.*s` exists already", (int)len,
		                index->topic);
	work->renamed = true;
}

static void starts_read(struct controller *controller, const struct controller_result *result)
{
	size_t size = (size_t)controller->action.partitions * sizeof *result->starts;
	int64_t *starts = malloc(size);

	if (starts == NULL)
		return; /* the same action comes again */
	memcpy(starts, result->starts, size);
	free(controller->work.starts);
	controller->work.starts = starts;
}

void controller_topic_result(struct controller *controller, const struct controller_result *result)
{
	if (controller->rebuilding != 0) {
		controller_rebuild_result(controller, result);
		return;
	}
	if (result->code != 0) {
		if (result->error.action == ERROR_ACTION_REJECT &&
		    controller->action.kind != CONTROLLER_ACTION_DELETE_TOPIC)
			controller_fail(controller, "index_creation_failed", "%.500s", result->error.text);
		return;
	}
	switch (controller->action.kind) {
	case CONTROLLER_ACTION_INSPECT_TOPIC:
		inspected(controller, result);
		break;
	case CONTROLLER_ACTION_CREATE_TOPIC:
		controller->work.topic_made = true;
		break;
	case CONTROLLER_ACTION_DELETE_TOPIC:
		controller->topicless = controller->deleting;
		break;
	case CONTROLLER_ACTION_READ_STARTS:
		starts_read(controller, result);
		break;
	case CONTROLLER_ACTION_WRITE:
	case CONTROLLER_ACTION_READ_ENDS:
	case CONTROLLER_ACTION_ASK_SOURCES:
	case CONTROLLER_ACTION_ASK_LOSS:
		break;
	}
}
