/* Which shards are ours, and which replicas they have: the topology's records for our slots, told to the feeder. */
#include "shared/base/assert.h"
#include "shared/feeding/feeding_private.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdio.h>

/* A slot lost in a rebalance often comes back at once; what is in memory of it is kept that long. */
#define SLOT_GRACE_MS 2000
#define DUTIES_RETRY_MS 1000
#define REPLICAS_TEXT_BYTES ((NODE_ID_BYTES_MAX + 2) * REPLICAS_MAX)

static void key_of(uint64_t index_id, int32_t partition, uint8_t key[12])
{
	memcpy(key, &index_id, 8);
	memcpy(key + 8, &partition, 4);
}

/* Joining replicas are filled by a replay; live feeding takes them over when they are active. */
static bool is_fed(const struct feeding *feeding, const struct placement *placement)
{
	return placement->state == (feeding->options.mode == FEEDING_MODE_LIVE ? PLACEMENT_STATE_ACTIVE
	                                                                       : PLACEMENT_STATE_JOINING);
}

/* The record of shard (index, p), or NULL if feeding it is not for us to do. */
static const struct shard_record *duty(const struct feeding *feeding, const struct index_record *index,
                                       int32_t partition)
{
	const struct shard_record *shard;

	if (index->state != INDEX_STATE_ACTIVE || partition >= index->partitions ||
	    catalog_unreadable(feeding->catalog, index->id) != NULL ||
	    (feeding->slots_fed >> slot_of(index->id, partition) & 1) == 0)
		return NULL;
	shard = catalog_shard(feeding->catalog, index->id, partition);
	if (shard == NULL || shard->generation != index->generation)
		return NULL;
	for (size_t i = 0; i < shard->replicas_len; i++)
		if (is_fed(feeding, &shard->replicas[i]))
			return shard;
	return NULL;
}

bool duties_slot_is_ours(const struct feeding *feeding, const struct fed_shard *shard)
{
	return (feeding->slots_owned >> slot_of(shard->index_id, shard->partition) & 1) != 0;
}

static void remove_shard(struct feeding *feeding, uint32_t slot)
{
	struct fed_shard *shard = &feeding->fed[slot];

	feeder_remove_shard(feeding->feeder, slot);
	filling_forget(feeding, slot);
	(void)map_remove(&feeding->by_shard, slice_of(shard->key, sizeof shard->key));
	shard->used = false;
	if (shard->lag != NULL)
		series_set(shard->lag, 0);
	logline(LOG_LEVEL_INFO, "shard_released", "index=%s partition=%" PRId32, shard->uid,
	        shard->partition);
}

static void remove_others(struct feeding *feeding)
{
	for (uint32_t slot = 0; slot < feeding->fed_len; slot++) {
		const struct fed_shard *shard = &feeding->fed[slot];
		const struct index_record *index;

		if (!shard->used)
			continue;
		index = catalog_index(feeding->catalog, shard->index_id);
		if (index == NULL || duty(feeding, index, shard->partition) == NULL ||
		    index->generation != shard->generation || strcmp(index->topic, shard->topic) != 0)
			remove_shard(feeding, slot);
	}
}

void duties_forget(struct feeding *feeding, int64_t pause_ms)
{
	for (uint32_t slot = 0; slot < feeding->fed_len; slot++)
		if (feeding->fed[slot].used)
			remove_shard(feeding, slot);
	feeding->slots_fed = feeding->slots_owned;
	feeding->hold_ms = feeding->now_ms + pause_ms;
	feeding->duties_changed = true;
}

/* ---- nodes ---- */

static void address_node(const struct feeding *feeding, struct fed_node *node)
{
	const struct node_record *record = catalog_node(feeding->catalog, node->id);

	(void)snprintf(node->url, sizeof node->url, "%s", record != NULL ? record->url : "");
}

static int know_node(struct feeding *feeding, const char *id, uint32_t *node, struct error *error)
{
	struct fed_node *added;
	int rc = feeder_add_node(feeding->feeder, id, node, error);

	if (rc != 0 || *node < feeding->nodes_len)
		return rc;
	ASSERT(*node == feeding->nodes_len);
	added = &feeding->nodes[feeding->nodes_len++];
	(void)snprintf(added->id, sizeof added->id, "%s", id);
	added->answer = (struct batch_answer){
		.message = {MESSAGE_KIND_BATCH_ANSWER},
		.inbox = feeding->inbox,
		.node = *node,
	};
	buffer_init(&added->answer.frame, BATCH_BYTES_MAX);
	counters_node(&feeding->counters, added);
	address_node(feeding, added);
	return 0;
}

/* ---- replicas ---- */

struct replica_list {
	struct feeder_replica replicas[REPLICAS_MAX];
	size_t len;
};

static bool is_listed(const struct replica_list *list, uint32_t node)
{
	for (size_t i = 0; i < list->len; i++)
		if (list->replicas[i].node == node)
			return true;
	return false;
}

static int list_replicas(struct feeding *feeding, const struct shard_record *record,
                         struct replica_list *list, struct error *error)
{
	list->len = 0;
	for (size_t i = 0; i < record->replicas_len; i++) {
		const struct placement *placement = &record->replicas[i];
		uint32_t node;
		int rc;

		if (!is_fed(feeding, placement))
			continue;
		rc = know_node(feeding, placement->node, &node, error);
		if (rc != 0)
			return rc;
		if (is_listed(list, node))
			continue;
		list->replicas[list->len++] = (struct feeder_replica){
			.node = node,
			.incarnation = placement->incarnation,
			.in_sync = placement->state == PLACEMENT_STATE_ACTIVE && placement->in_sync,
			.from = placement->copy.from,
		};
	}
	return 0;
}

static bool replica_equal(const struct feeder_replica *a, const struct feeder_replica *b)
{
	return a->node == b->node && a->in_sync == b->in_sync && a->from == b->from &&
	       incarnation_equal(a->incarnation, b->incarnation);
}

static bool is_told(const struct fed_shard *shard, const struct replica_list *list)
{
	if (shard->replicas_len != list->len)
		return false;
	for (size_t i = 0; i < list->len; i++)
		if (!replica_equal(&shard->replicas[i], &list->replicas[i]))
			return false;
	return true;
}

/* "n1*,n2": an asterisk for in-sync. */
static void print_replicas(const struct feeding *feeding, const struct replica_list *list,
                           char text[REPLICAS_TEXT_BYTES])
{
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < list->len; i++)
		len += (size_t)snprintf(text + len, REPLICAS_TEXT_BYTES - len, "%s%s%s", i > 0 ? "," : "",
		                        feeding->nodes[list->replicas[i].node].id,
		                        list->replicas[i].in_sync ? "*" : "");
}

/* Tells the feeder, if its replicas are not what it was told last. */
static void tell_replicas(struct feeding *feeding, uint32_t slot, const struct replica_list *list)
{
	struct fed_shard *shard = &feeding->fed[slot];
	char text[REPLICAS_TEXT_BYTES];

	if (is_told(shard, list))
		return;
	memcpy(shard->replicas, list->replicas, list->len * sizeof *list->replicas);
	shard->replicas_len = list->len;
	memset(shard->obstacles, 0, sizeof shard->obstacles);
	feeder_set_replicas(feeding->feeder, slot, list->replicas, list->len, feeding->now_ms);
	print_replicas(feeding, list, text);
	logline(LOG_LEVEL_INFO, "shard_replicas", "index=%s partition=%" PRId32 " replicas=%s", shard->uid,
	        shard->partition, text);
}

/* ---- shards ---- */

static int add_shard(struct feeding *feeding, const struct index_record *index, int32_t partition,
                     uint32_t *slot, struct error *error)
{
	struct fed_shard *shard;
	int rc = feeder_add_shard(feeding->feeder, index, partition, feeding->now_ms, slot, error);

	if (rc != 0)
		return rc;
	ASSERT(*slot < FEEDER_SHARDS_MAX);
	shard = &feeding->fed[*slot];
	*shard = (struct fed_shard){
		.used = true,
		/* what the former user of the slot reads, until its HALT */
		.readers = {[FEEDER_LANE_LIVE] = {.reading = shard->readers[FEEDER_LANE_LIVE].reading},
	                    [FEEDER_LANE_BEHIND] = {.reading = shard->readers[FEEDER_LANE_BEHIND].reading}},
		.index_id = index->id,
		.generation = index->generation,
		.partition = partition,
	};
	key_of(index->id, partition, shard->key);
	memcpy(shard->uid, index->uid, sizeof shard->uid);
	memcpy(shard->topic, index->topic, sizeof shard->topic);
	if (!map_put(&feeding->by_shard, slice_of(shard->key, sizeof shard->key), *slot)) {
		shard->used = false;
		feeder_remove_shard(feeding->feeder, *slot);
		return error_memory(error, sizeof *shard);
	}
	if (*slot >= feeding->fed_len)
		feeding->fed_len = *slot + 1;
	counters_shard(&feeding->counters, shard);
	logline(LOG_LEVEL_INFO, "shard_taken", "index=%s partition=%" PRId32 " topic=%s", shard->uid,
	        partition, shard->topic);
	return 0;
}

/* What is to be skipped, before anything is read. */
static int tell_skips(struct feeding *feeding, uint32_t slot, struct error *error)
{
	struct fed_shard *shard = &feeding->fed[slot];
	size_t len;
	const int64_t *offsets = catalog_skips(feeding->catalog, shard->index_id, shard->partition, &len);
	int rc;

	/* their number only grows */
	if (len == shard->skips_len)
		return 0;
	rc = feeder_set_skips(feeding->feeder, slot, offsets, len, error);
	if (rc == 0)
		shard->skips_len = len;
	return rc;
}

static int follow_shard(struct feeding *feeding, const struct index_record *index,
                        const struct shard_record *record, struct error *error)
{
	struct replica_list list;
	uint8_t key[12];
	const uint64_t *known;
	uint32_t slot;
	int rc;

	rc = list_replicas(feeding, record, &list, error);
	if (rc != 0)
		return rc;
	key_of(index->id, record->partition, key);
	known = map_get(&feeding->by_shard, slice_of(key, sizeof key));
	if (known != NULL)
		slot = (uint32_t)*known;
	else
		rc = add_shard(feeding, index, record->partition, &slot, error);
	if (rc == 0)
		rc = tell_skips(feeding, slot, error);
	if (rc != 0)
		return rc;
	tell_replicas(feeding, slot, &list);
	return 0;
}

static int follow_index(struct feeding *feeding, const struct index_record *index, struct error *error)
{
	for (int32_t partition = 0; partition < index->partitions; partition++) {
		const struct shard_record *record = duty(feeding, index, partition);
		int rc = record != NULL ? follow_shard(feeding, index, record, error) : 0;

		if (rc != 0)
			return error_prefix(error, "index %s, partition %" PRId32, index->uid, partition);
	}
	return 0;
}

void duties_slots(struct feeding *feeding, uint64_t slots)
{
	uint64_t lost = feeding->slots_owned & ~slots;

	feeding->slots_owned = slots;
	feeding->slots_fed |= slots;
	feeding->duties_changed = true;
	if (feeding->now_ms < feeding->hold_ms)
		feeding->slots_fed = slots;
	else if (lost != 0)
		feeding->duties_ms = feeding->now_ms + SLOT_GRACE_MS;
	logline(LOG_LEVEL_INFO, "slots_owned", "slots=%d", __builtin_popcountll(slots));
}

void duties_update(struct feeding *feeding)
{
	const struct index_record *index;
	struct error error;
	size_t at = 0;

	if (feeding->duties_ms <= feeding->now_ms) {
		feeding->slots_fed = feeding->slots_owned;
		feeding->duties_ms = INT64_MAX;
		feeding->duties_changed = true;
	}
	if (!feeding->caught_up || !feeding->duties_changed || feeding->now_ms < feeding->hold_ms)
		return;
	feeding->duties_changed = false;
	for (uint32_t i = 0; i < feeding->nodes_len; i++)
		address_node(feeding, &feeding->nodes[i]);
	remove_others(feeding);
	while ((index = catalog_next_index(feeding->catalog, &at)) != NULL) {
		if (follow_index(feeding, index, &error) == 0)
			continue;
		logline(LOG_LEVEL_WARN, "shard_not_taken", "error=\"%s\"", error.text);
		if (error.action == ERROR_ACTION_RETRY)
			feeding->duties_ms = feeding->now_ms + DUTIES_RETRY_MS;
	}
}
