/* Marks and moves over all shards, and the log ends they need. */
#include "rebalance/core/controller_private.h"

#include <inttypes.h>

/* With nothing told, marks still change with time; and with many nodes telling, not every answer is worth a look. */
#define LOOK_MS 100
#define LOOK_AGAIN_MS 20

const struct shard_record *controller_next_shard(const struct controller *controller, size_t *at,
                                                 int32_t *partition)
{
	for (;;) {
		size_t next = *at;
		const struct index_record *index = catalog_next_index(controller->catalog, &next);

		if (index == NULL)
			return NULL;
		while (index->state == INDEX_STATE_ACTIVE && ++*partition < index->partitions) {
			const struct shard_record *shard =
				catalog_shard(controller->catalog, index->id, *partition);

			if (shard != NULL && shard->generation == index->generation)
				return shard;
		}
		*partition = -1;
		*at = next;
	}
}

bool controller_see(const struct controller *controller, const struct shard_record *record,
                    struct sight *sight)
{
	/* named by a shard, and nobody knows where it is */
	static const struct watched_node nobody = {.heard_ms = INT64_MIN / 2, .asked_ms = -1};

	const struct settings_record *settings = catalog_settings(controller->catalog, record->index_id);

	sight->now_ms = controller->now_ms;
	sight->settings = settings != NULL ? settings->version : -1;
	sight->shard = watch_shard(controller->watch, record);
	for (size_t i = 0; sight->shard != NULL && i < record->replicas_len; i++) {
		const char *node = record->replicas[i].node;
		const struct watched_node *watched = watch_find_node(controller->watch, node);

		sight->nodes[i] = watched != NULL ? watched : &nobody;
		sight->replicas[i] = watch_replica(controller->watch, sight->shard, record, node);
		if (sight->replicas[i] == NULL)
			return false;
	}
	return sight->shard != NULL;
}

bool controller_have_told(const struct controller *controller, const struct index_record *index,
                          int32_t partition, int64_t (*figure)(const struct replica_report *told),
                          int64_t least)
{
	const struct shard_record *shard = catalog_shard(controller->catalog, index->id, partition);
	bool someone = false;
	struct sight sight;

	if (shard == NULL || shard->generation != index->generation ||
	    !controller_see(controller, shard, &sight))
		return false;
	for (size_t i = 0; i < shard->replicas_len; i++) {
		const struct placement *placement = &shard->replicas[i];
		const struct watched_replica *replica = sight.replicas[i];

		if (!placement->in_sync)
			continue;
		if (!replica->known ||
		    !incarnation_equal(replica->last.incarnation, placement->incarnation) ||
		    figure(&replica->last) < least)
			return false;
		someone = true;
	}
	return someone;
}

static void count_joining(const struct shard_record *shard, struct moves_places *places)
{
	for (size_t k = 0; k < shard->replicas_len; k++)
		for (size_t i = 0;
		     shard->replicas[k].state == PLACEMENT_STATE_JOINING && i < places->nodes_len; i++)
			places->joining[i] += strcmp(places->nodes[i].id, shard->replicas[k].node) == 0;
}

void controller_find_places(const struct controller *controller, struct moves_places *places)
{
	const struct shard_record *shard;
	int32_t partition = -1;
	size_t at = 0;

	*places = (struct moves_places){.nodes = controller->nodes,
	                                .nodes_len = controller->options.nodes_len,
	                                .rf = controller->options.rf};
	for (size_t i = 0; i < places->nodes_len; i++)
		places->watched[i] = watch_node(controller->watch, places->nodes[i].id);
	while ((shard = controller_next_shard(controller, &at, &partition)) != NULL)
		count_joining(shard, places);
}

static void change_shard(struct controller *controller, const struct shard_record *recorded,
                         struct moves_places *places, struct changes *changes)
{
	struct shard_record record = *recorded;
	size_t noted = changes->len;
	struct sight sight;
	char id[17];

	if (!controller_see(controller, &record, &sight))
		return; /* out of memory: the next turn */
	marks_apply(&record, &sight, changes);
	moves_apply(&record, &sight, places, changes);
	if (changes->len == noted)
		return;
	index_id_print(record.index_id, id);
	catalog_write_shard(&controller->values, &record);
	controller_write(controller, CONTROLLER_TOPIC_TOPOLOGY, -1, "shard/%s/%" PRId32, id,
	                 record.partition);
}

bool controller_change_shards(struct controller *controller)
{
	struct changes changes = {.list = controller->changes};
	const struct shard_record *shard;
	struct moves_places places;
	int32_t partition = -1;
	size_t at = 0;

	if (!controller->shards_more && controller->now_ms - controller->shards_looked_ms <
	                                        (controller->shards_due ? LOOK_AGAIN_MS : LOOK_MS))
		return false;
	controller_find_places(controller, &places);
	while (controller->action.writes_len < CONTROLLER_WRITES_MAX &&
	       changes.len + CHANGES_PER_SHARD_MAX <= CHANGES_MAX &&
	       (shard = controller_next_shard(controller, &at, &partition)) != NULL)
		change_shard(controller, shard, &places, &changes);
	controller->shards_due = false;
	controller->shards_more = controller->action.writes_len > 0;
	controller->shards_looked_ms = controller->now_ms;
	controller->action.changes = controller->changes;
	controller->action.changes_len = changes.len;
	return controller->action.writes_len > 0;
}

void controller_shards_written(struct controller *controller)
{
	for (size_t i = 0; i < controller->action.changes_len; i++) {
		const struct change *change = &controller->action.changes[i];
		const struct shard_record *shard =
			catalog_shard(controller->catalog, change->index_id, change->partition);

		if (change->kind == CHANGE_GONE && shard != NULL)
			watch_forget(controller->watch, shard, change->node);
	}
	if (controller->action.changes_len > 0)
		controller_find_nodes(controller);
}

/* ---- log ends ---- */

/* Somebody could come in again by it. */
static bool wants_end(const struct shard_record *record, const struct sight *sight)
{
	for (size_t i = 0; i < record->replicas_len; i++) {
		const struct placement *placement = &record->replicas[i];

		if (!placement->in_sync && placement->state != PLACEMENT_STATE_LEAVING &&
		    marks_is_well(record, sight, i))
			return true;
	}
	return false;
}

bool controller_next_end(struct controller *controller, int64_t now_ms, struct controller_end *end)
{
	const struct shard_record *shard;
	const struct shard_record *best = NULL;
	struct watched_shard *best_watched = NULL;
	int32_t partition = -1;
	size_t at = 0;

	controller_tick(controller, now_ms);
	while ((shard = controller_next_shard(controller, &at, &partition)) != NULL) {
		struct watched_shard *watched = watch_shard(controller->watch, shard);
		struct sight sight;

		if (watched == NULL || watched->end_wanted_ms > now_ms - CONTROLLER_POLL_MS ||
		    (best != NULL && watched->end_wanted_ms >= best_watched->end_wanted_ms) ||
		    !controller_see(controller, shard, &sight) || !wants_end(shard, &sight))
			continue;
		best = shard;
		best_watched = watched;
	}
	if (best == NULL)
		return false;
	best_watched->end_wanted_ms = now_ms;
	*end = (struct controller_end){.index_id = best->index_id,
	                               .generation = best->generation,
	                               .partition = best->partition,
	                               .topic = catalog_index(controller->catalog, best->index_id)->topic};
	return true;
}

void controller_log_end(struct controller *controller, const struct controller_end *asked, int64_t end,
                        int64_t read_ms)
{
	const struct shard_record *record =
		catalog_shard(controller->catalog, asked->index_id, asked->partition);
	struct watched_shard *shard;

	controller_tick(controller, read_ms);
	if (record == NULL || record->generation != asked->generation)
		return;
	shard = watch_shard(controller->watch, record);
	if (shard != NULL)
		watch_end(shard, end, read_ms);
	controller->shards_due = true;
}
