/* Shards made out of copies, by request: recorded only where nothing serves that a copy would replace. */
#include "rebalance/core/controller_private.h"

#include "rebalance/core/placement.h"
#include "shared/base/assert.h"
#include "shared/base/hash.h"

#include <inttypes.h>
#include <stdio.h>

/* What is wrong with the request by the records alone; true if nothing is. */
static bool check_index(struct controller *controller, const struct task_request *request)
{
	const struct index_record *index = catalog_index(controller->catalog, request->index_id);
	char id[17];

	index_id_print(request->index_id, id);
	if (index == NULL || index->state != INDEX_STATE_ACTIVE || strcmp(index->uid, request->uid) != 0)
		controller_fail(controller, "index_not_found", "There is no index `%s` with the id %s.",
		                request->uid, id);
	else if (request->shards[request->shards_len - 1].partition >= index->partitions)
		controller_fail(controller, "invalid_restore", "Index `%s` has no partition %" PRId32 ".",
		                index->uid, request->shards[request->shards_len - 1].partition);
	return !controller->work.failed;
}

static bool is_silent(const struct sight *sight, size_t i)
{
	return sight->now_ms - sight->nodes[i]->heard_ms >= MARKS_SILENT_MS;
}

/* Its node tells of it now, and it can be fed. */
static bool is_told(const struct shard_record *record, const struct sight *sight, size_t i)
{
	return sight->nodes[i]->answering && !is_silent(sight, i) &&
	       watched_is_listed(sight->nodes[i], sight->replicas[i]) &&
	       incarnation_equal(sight->replicas[i]->last.incarnation, record->replicas[i].incarnation) &&
	       sight->replicas[i]->last.state != REPORT_STATE_STOPPED;
}

static bool is_configured(const struct controller *controller, const char *node)
{
	for (size_t i = 0; i < controller->options.nodes_len; i++)
		if (strcmp(controller->nodes[i].id, node) == 0)
			return true;
	return false;
}

/* A shard that is to be restored. */
struct restored {
	const struct shard_record *record;
	const struct restore_shard *wanted;
	struct sight sight;
};

/* It has what neither the copy nor the log has, or all that the copy would begin with. */
static void check_received(struct controller *controller, const struct restored *restored,
                           const struct placement *placement, int64_t received)
{
	const struct placement_copy *copy = &restored->wanted->copy;

	if (received >= copy->from)
		controller_fail(controller, "replica_is_ahead",
		                "The replica of partition %" PRId32
		                " on %s has received up to offset %" PRId64
		                " already: the log has what it lacks.",
		                restored->record->partition, placement->node, received);
	else if (received > copy->stored)
		controller_fail(controller, "replica_has_more",
		                "The replica of partition %" PRId32
		                " on %s has received up to offset %" PRId64 ", the copy reaches %" PRId64
		                ", and the log has nothing between: to give that up, stop the node and "
		                "remove the replica's directory.",
		                restored->record->partition, placement->node, received, copy->stored);
}

/* Fails where a recorded replica is better than the copy; *waits while it may yet tell. */
static void check_replica(struct controller *controller, const struct restored *restored, size_t i,
                          bool *waits)
{
	const struct shard_record *record = restored->record;
	const struct sight *sight = &restored->sight;
	const struct placement *placement = &record->replicas[i];

	if (placement->state == PLACEMENT_STATE_LEAVING)
		return;
	if (!sight->nodes[i]->answering && !is_silent(sight, i))
		*waits = true;
	else if (placement->in_sync && marks_is_well(record, sight, i))
		controller_fail(controller, "shard_serves",
		                "Partition %" PRId32 " has a replica on %s that serves: a copy never takes "
		                "its place.",
		                record->partition, placement->node);
	else if (placement->in_sync && is_silent(sight, i) && is_configured(controller, placement->node) &&
	         restored->wanted->copy.from > restored->wanted->copy.stored)
		controller_fail(controller, "replica_silent",
		                "The replica of partition %" PRId32 " on %s may have what would be given up, "
		                "and its node is silent: bring it back, or take it out of topology.groups.",
		                record->partition, placement->node);
	else if (is_told(record, sight, i))
		check_received(controller, restored, placement, sight->replicas[i]->last.received);
}

/* True once every replica has told, and none is better than its copy. */
static bool check_replicas(struct controller *controller, const struct pending_task *pending, bool *waits)
{
	const struct task_request *request = &pending->request;

	for (size_t k = 0; k < request->shards_len && !controller->work.failed && !*waits; k++) {
		struct restored restored = {
			.record = catalog_shard(controller->catalog, request->index_id,
		                                request->shards[k].partition),
			.wanted = &request->shards[k],
		};

		if (restored.record == NULL || restored.record->task >= pending->task)
			continue;
		*waits = !controller_see(controller, restored.record, &restored.sight);
		for (size_t i = 0; i < restored.record->replicas_len && !controller->work.failed && !*waits;
		     i++)
			check_replica(controller, &restored, i, waits);
	}
	return !*waits && !controller->work.failed;
}

/* The same whoever records it, and another one for every request. */
static struct incarnation incarnation_of(const struct pending_task *pending, int32_t partition,
                                         const char *node)
{
	char text[sizeof pending->request.nonce + NODE_ID_BYTES_MAX + 32];
	struct hash128 made;

	(void)snprintf(text, sizeof text, "%s/%" PRId32 "/%s", pending->request.nonce, partition, node);
	made = hash128_of(slice_string(text), (uint64_t)pending->task);
	return (struct incarnation){{made.low | 1, made.high}};
}

static bool answers(const struct controller *controller, const char *node)
{
	const struct watched_node *watched = watch_find_node(controller->watch, node);

	return watched != NULL && watched->answering;
}

/* All nodes of the target get the copy: one that does not answer now can take it later, and could not be filled
 * without it. Everybody else leaves. False if none answers, or there is no room. */
static bool place_copies(const struct controller *controller, const struct pending_task *pending,
                         const struct restore_shard *wanted, struct shard_record *record)
{
	struct shard_record old = *record;
	struct shard_record target = {.index_id = old.index_id, .partition = old.partition};
	bool one_answers = false;

	placement_choose(&target, controller->nodes, controller->options.nodes_len, controller->options.rf);
	record->replicas_len = 0;
	record->divergent = false;
	record->task = pending->task;
	for (size_t i = 0; i < target.replicas_len; i++) {
		struct placement *placement = &record->replicas[record->replicas_len++];

		*placement = target.replicas[i];
		placement->incarnation = incarnation_of(pending, wanted->partition, placement->node);
		placement->state = PLACEMENT_STATE_ACTIVE;
		placement->in_sync = false;
		placement->copy = wanted->copy;
		one_answers = one_answers || answers(controller, placement->node);
	}
	if (!one_answers)
		return false;
	for (size_t i = 0; i < old.replicas_len; i++) {
		struct placement *placement = &record->replicas[record->replicas_len];

		if (catalog_placement(record, old.replicas[i].node) != NULL)
			continue;
		if (record->replicas_len == REPLICAS_MAX)
			return false;
		*placement = old.replicas[i];
		placement->state = PLACEMENT_STATE_LEAVING;
		placement->in_sync = false;
		placement->copy = (struct placement_copy){.stored = 0};
		record->replicas_len++;
	}
	return true;
}

static void note_changes(const struct shard_record *record, struct changes *changes)
{
	for (size_t i = 0; i < record->replicas_len; i++)
		changes_note(changes, record,
		             record->replicas[i].state == PLACEMENT_STATE_LEAVING ? CHANGE_LEAVING
		                                                                  : CHANGE_COPYING,
		             record->replicas[i].node, "request");
}

static void write_shard(struct controller *controller, const struct pending_task *pending,
                        const struct restore_shard *wanted, struct changes *changes)
{
	const struct shard_record *recorded =
		catalog_shard(controller->catalog, pending->request.index_id, wanted->partition);
	struct shard_record record;
	char id[17];

	if (recorded == NULL || recorded->task >= pending->task)
		return; /* done, before we were killed or by this very action's predecessor */
	record = *recorded;
	ASSERT(place_copies(controller, pending, wanted, &record)); /* check_places */
	note_changes(&record, changes);
	index_id_print(record.index_id, id);
	catalog_write_shard(&controller->values, &record);
	controller_write(controller, CONTROLLER_TOPIC_TOPOLOGY, pending->task, "shard/%s/%" PRId32, id,
	                 record.partition);
}

/* Every shard has a node that could take its copy: nothing is recorded of any before. */
static bool check_places(struct controller *controller, const struct pending_task *pending)
{
	const struct task_request *request = &pending->request;

	for (size_t k = 0; k < request->shards_len && !controller->work.failed; k++) {
		const struct shard_record *recorded =
			catalog_shard(controller->catalog, request->index_id, request->shards[k].partition);
		struct shard_record record;

		if (recorded == NULL || recorded->task >= pending->task)
			continue;
		record = *recorded;
		if (!place_copies(controller, pending, &request->shards[k], &record))
			controller_fail(controller, "no_node",
			                "No node that should hold partition %" PRId32
			                " answers: millrace status tells of the nodes.",
			                recorded->partition);
	}
	return !controller->work.failed;
}

bool controller_restore_shards(struct controller *controller, const struct pending_task *pending, bool *waits)
{
	const struct task_request *request = &pending->request;
	struct changes changes = {.list = controller->changes};

	if (!check_index(controller, request) || !check_replicas(controller, pending, waits) ||
	    !check_places(controller, pending))
		return false;
	for (size_t k = 0; k < request->shards_len && controller->action.writes_len < CONTROLLER_WRITES_MAX &&
	                   changes.len + REPLICAS_MAX <= CHANGES_MAX;
	     k++)
		write_shard(controller, pending, &request->shards[k], &changes);
	controller->action.changes = controller->changes;
	controller->action.changes_len = changes.len;
	return controller->action.writes_len > 0;
}
