/* Which shards are ours: those of our slots whose index is active and whose replica has a node. */
#include "ingest/ingest_private.h"
#include "shared/base/assert.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdio.h>

/* A slot lost in a rebalance often comes back at once; what is in memory of it is kept that long. */
#define SLOT_GRACE_MS 2000
#define DUTIES_RETRY_MS 1000

static void key_of(uint64_t index_id, int32_t partition, uint8_t key[12])
{
	memcpy(key, &index_id, 8);
	memcpy(key + 8, &partition, 4);
}

/* The node to feed for shard (index, p), or NULL if that is not for us to do. */
static const struct node_record *duty(const struct ingest *ingest, const struct index_record *index,
                                      int32_t partition)
{
	const struct shard_record *shard;

	if (index->state != INDEX_STATE_ACTIVE || partition >= index->partitions ||
	    catalog_unreadable(ingest->catalog, index->id) != NULL ||
	    (ingest->slots_fed >> slot_of(index->id, partition) & 1) == 0)
		return NULL;
	shard = catalog_shard(ingest->catalog, index->id, partition);
	if (shard == NULL || shard->generation != index->generation)
		return NULL;
	for (size_t i = 0; i < shard->replicas_len; i++)
		if (shard->replicas[i].state == PLACEMENT_STATE_ACTIVE)
			return catalog_node(ingest->catalog, shard->replicas[i].node);
	return NULL;
}

static void remove_shard(struct ingest *ingest, uint32_t slot)
{
	struct fed_shard *shard = &ingest->fed[slot];

	feeder_remove_shard(ingest->feeder, slot);
	(void)map_remove(&ingest->by_shard, slice_of(shard->key, sizeof shard->key));
	shard->used = false;
	shard->ready = false;
	if (shard->lag != NULL)
		series_set(shard->lag, 0);
	logline(LOG_LEVEL_INFO, "shard_released", "index=%s partition=%" PRId32, shard->uid,
	        shard->partition);
}

static void remove_others(struct ingest *ingest)
{
	for (uint32_t slot = 0; slot < ingest->fed_len; slot++) {
		const struct fed_shard *shard = &ingest->fed[slot];
		const struct index_record *index;
		const struct node_record *node;

		if (!shard->used)
			continue;
		index = catalog_index(ingest->catalog, shard->index_id);
		node = index != NULL ? duty(ingest, index, shard->partition) : NULL;
		if (node == NULL || index->generation != shard->generation ||
		    strcmp(index->topic, shard->topic) != 0 ||
		    strcmp(node->id, ingest->nodes[shard->node].id) != 0)
			remove_shard(ingest, slot);
		else
			(void)snprintf(ingest->nodes[shard->node].url, sizeof ingest->nodes[shard->node].url,
			               "%s", node->url);
	}
}

static int know_node(struct ingest *ingest, const struct node_record *record, uint32_t *node,
                     struct error *error)
{
	int rc = feeder_add_node(ingest->feeder, record->id, node, error);

	if (rc != 0)
		return rc;
	if (*node == ingest->nodes_len) {
		struct fed_node *added = &ingest->nodes[ingest->nodes_len++];

		(void)snprintf(added->id, sizeof added->id, "%s", record->id);
		added->answer = (struct batch_answer){
			.message = {MESSAGE_KIND_BATCH_ANSWER},
			.inbox = ingest->inbox,
			.node = *node,
		};
		buffer_init(&added->answer.frame, BATCH_BYTES_MAX);
	}
	(void)snprintf(ingest->nodes[*node].url, sizeof ingest->nodes[*node].url, "%s", record->url);
	return 0;
}

static int add_shard(struct ingest *ingest, const struct index_record *index, int32_t partition,
                     const struct node_record *record, struct error *error)
{
	struct fed_shard *shard;
	struct feeder_place place = {.partition = partition};
	uint32_t slot;
	int rc = know_node(ingest, record, &place.node, error);

	if (rc == 0)
		rc = feeder_add_shard(ingest->feeder, index, place, ingest->now_ms, &slot, error);
	if (rc != 0)
		return rc;
	ASSERT(slot < FEEDER_SHARDS_MAX);
	shard = &ingest->fed[slot];
	*shard = (struct fed_shard){
		.used = true,
		.reading = shard->reading, /* until the former user's HALT */
		.index_id = index->id,
		.generation = index->generation,
		.partition = partition,
		.node = place.node,
	};
	key_of(index->id, partition, shard->key);
	memcpy(shard->uid, index->uid, sizeof shard->uid);
	memcpy(shard->topic, index->topic, sizeof shard->topic);
	if (!map_put(&ingest->by_shard, slice_of(shard->key, sizeof shard->key), slot)) {
		shard->used = false;
		feeder_remove_shard(ingest->feeder, slot);
		return error_memory(error, sizeof *shard);
	}
	if (slot >= ingest->fed_len)
		ingest->fed_len = slot + 1;
	counters_shard(&ingest->counters, shard);
	logline(LOG_LEVEL_INFO, "shard_taken", "index=%s partition=%" PRId32 " node=%s topic=%s", shard->uid,
	        partition, record->id, shard->topic);
	return 0;
}

static int add_missing(struct ingest *ingest, const struct index_record *index, struct error *error)
{
	for (int32_t partition = 0; partition < index->partitions; partition++) {
		const struct node_record *node = duty(ingest, index, partition);
		uint8_t key[12];
		int rc;

		key_of(index->id, partition, key);
		if (node == NULL || map_get(&ingest->by_shard, slice_of(key, sizeof key)) != NULL)
			continue;
		rc = add_shard(ingest, index, partition, node, error);
		if (rc != 0)
			return error_prefix(error, "index %s, partition %" PRId32, index->uid, partition);
	}
	return 0;
}

void duties_slots(struct ingest *ingest, uint64_t slots)
{
	uint64_t lost = ingest->slots_owned & ~slots;

	ingest->slots_owned = slots;
	ingest->slots_fed |= slots;
	ingest->duties_changed = true;
	if (lost != 0)
		ingest->duties_ms = ingest->now_ms + SLOT_GRACE_MS;
	logline(LOG_LEVEL_INFO, "slots_owned", "slots=%d", __builtin_popcountll(slots));
}

void duties_update(struct ingest *ingest)
{
	const struct index_record *index;
	struct error error;
	size_t at = 0;

	if (ingest->duties_ms <= ingest->now_ms) {
		ingest->slots_fed = ingest->slots_owned;
		ingest->duties_ms = INT64_MAX;
		ingest->duties_changed = true;
	}
	if (!ingest->caught_up || !ingest->duties_changed)
		return;
	ingest->duties_changed = false;
	remove_others(ingest);
	while ((index = catalog_next_index(ingest->catalog, &at)) != NULL) {
		if (add_missing(ingest, index, &error) == 0)
			continue;
		logline(LOG_LEVEL_WARN, "shard_not_taken", "error=\"%s\"", error.text);
		if (error.action == ERROR_ACTION_RETRY)
			ingest->duties_ms = ingest->now_ms + DUTIES_RETRY_MS;
		return;
	}
}
