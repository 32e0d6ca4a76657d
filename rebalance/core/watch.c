#include "rebalance/core/watch.h"

#include "shared/base/assert.h"
#include "shared/base/map.h"

#include <stdio.h>
#include <stdlib.h>

struct watch {
	int64_t now_ms;
	bool ticked;
	struct watched_node nodes[NODES_MAX];
	size_t nodes_len;
	struct map shards; /* index id, partition → struct watched_shard */
};

struct watch *watch_new(void)
{
	struct watch *watch = calloc(1, sizeof *watch);

	if (watch != NULL)
		map_init(&watch->shards);
	return watch;
}

static void shard_forget(struct watched_shard *shard)
{
	for (size_t i = 0; i < shard->replicas_len; i++)
		free(shard->replicas[i]);
	shard->replicas_len = 0;
	shard->ends_len = 0;
	shard->verdict_at = -1;
}

void watch_free(struct watch *watch)
{
	const struct map_entry *entry;
	size_t at = 0;

	if (watch == NULL)
		return;
	while ((entry = map_next(&watch->shards, &at)) != NULL) {
		struct watched_shard *shard = (struct watched_shard *)(uintptr_t)
		                                      entry->value; /* NOLINT(performance-no-int-to-ptr) */

		shard_forget(shard);
		free(shard);
	}
	map_deinit(&watch->shards);
	free(watch);
}

/* ---- nodes ---- */

void watch_tick(struct watch *watch, int64_t now_ms, int64_t blind_ms)
{
	int64_t pause = watch->ticked ? now_ms - watch->now_ms : 0;

	ASSERT(pause >= 0);
	for (size_t i = 0; i < watch->nodes_len && pause > blind_ms; i++)
		watch->nodes[i].heard_ms += pause;
	watch->now_ms = now_ms;
	watch->ticked = true;
}

struct watched_node *watch_find_node(struct watch *watch, const char *id)
{
	for (size_t i = 0; i < watch->nodes_len; i++)
		if (strcmp(watch->nodes[i].id, id) == 0)
			return &watch->nodes[i];
	return NULL;
}

struct watched_node *watch_node(struct watch *watch, const char *id)
{
	struct watched_node *node = watch_find_node(watch, id);

	if (node != NULL || watch->nodes_len == NODES_MAX)
		return node;
	node = &watch->nodes[watch->nodes_len++];
	*node = (struct watched_node){.heard_ms = watch->now_ms, .asked_ms = -1};
	(void)snprintf(node->id, sizeof node->id, "%s", id);
	(void)snprintf(node->trouble, sizeof node->trouble, "it has not answered yet");
	return node;
}

void watch_only(struct watch *watch, const struct node_record *nodes, size_t nodes_len)
{
	size_t kept = 0;

	for (size_t i = 0; i < watch->nodes_len; i++)
		for (size_t k = 0; k < nodes_len; k++)
			if (strcmp(watch->nodes[i].id, nodes[k].id) == 0) {
				watch->nodes[kept++] = watch->nodes[i];
				break;
			}
	watch->nodes_len = kept;
}

/* ---- shards and replicas ---- */

struct watched_shard *watch_shard(struct watch *watch, const struct shard_record *record)
{
	struct watched_shard *shard;
	uint8_t key[sizeof shard->key];
	uint64_t *found;

	memcpy(key, &record->index_id, 8);
	memcpy(key + 8, &record->partition, 4);
	found = map_get(&watch->shards, slice_of(key, sizeof key));
	if (found != NULL) {
		shard = (struct watched_shard *)(uintptr_t)*found; /* NOLINT(performance-no-int-to-ptr) */
		if (shard->generation != record->generation)
			shard_forget(shard);
		shard->generation = record->generation;
		return shard;
	}
	shard = calloc(1, sizeof *shard);
	if (shard == NULL)
		return NULL;
	memcpy(shard->key, key, sizeof key);
	shard->generation = record->generation;
	shard->end_wanted_ms = INT64_MIN;
	shard->verdict_at = -1;
	if (!map_put(&watch->shards, slice_of(shard->key, sizeof shard->key), (uint64_t)(uintptr_t)shard)) {
		free(shard);
		return NULL;
	}
	return shard;
}

/* Where to put another replica: at the end, or in the place of one that is no longer recorded. */
static struct watched_replica **place_for(struct watched_shard *shard, const struct shard_record *record)
{
	if (shard->replicas_len < REPLICAS_MAX)
		return &shard->replicas[shard->replicas_len++];
	for (size_t i = 0; i < shard->replicas_len; i++)
		if (catalog_placement(record, shard->replicas[i]->node) == NULL) {
			free(shard->replicas[i]);
			return &shard->replicas[i];
		}
	return NULL;
}

struct watched_replica *watch_replica(const struct watch *watch, struct watched_shard *shard,
                                      const struct shard_record *record, const char *node)
{
	struct watched_replica *replica;
	struct watched_replica **place;

	for (size_t i = 0; i < shard->replicas_len; i++)
		if (strcmp(shard->replicas[i]->node, node) == 0)
			return shard->replicas[i];
	replica = calloc(1, sizeof *replica);
	if (replica == NULL)
		return NULL;
	place = place_for(shard, record);
	ASSERT(place != NULL); /* a record has at most REPLICAS_MAX, and this one was not among ours */
	*place = replica;
	(void)snprintf(replica->node, sizeof replica->node, "%s", node);
	replica->listed_ms = watch->now_ms;
	replica->asked_ms = -1;
	replica->level_ms = -1;
	replica->leaving_ms = -1;
	return replica;
}

void watch_forget(struct watch *watch, const struct shard_record *record, const char *node)
{
	struct watched_shard *shard = watch_shard(watch, record);

	for (size_t i = 0; shard != NULL && i < shard->replicas_len; i++)
		if (strcmp(shard->replicas[i]->node, node) == 0) {
			free(shard->replicas[i]);
			shard->replicas[i] = shard->replicas[--shard->replicas_len];
			return;
		}
}

static void take_sample(struct watched_replica *replica, int64_t now_ms)
{
	size_t len = replica->samples_len;

	if (len > 0 && now_ms - replica->samples[(len - 1) % WATCH_SAMPLES].at_ms < WATCH_SAMPLE_MS)
		return;
	replica->samples[len % WATCH_SAMPLES] = (struct watched_sample){now_ms, replica->last.received};
	replica->samples_len++;
}

/* One that was read before it was asked, and not long before. */
static bool has_reached_an_end(const struct watched_shard *shard, const struct watched_replica *replica)
{
	size_t oldest = shard->ends_len > WATCH_ENDS ? shard->ends_len - WATCH_ENDS : 0;

	for (size_t i = oldest; i < shard->ends_len; i++) {
		const struct watched_sample *end = &shard->ends[i % WATCH_ENDS];

		if (end->at_ms <= replica->asked_ms &&
		    replica->asked_ms - end->at_ms <= WATCH_END_AGE_MS_MAX &&
		    replica->last.received >= end->offset)
			return true;
	}
	return false;
}

void watch_listed(struct watched_shard *shard, struct watched_replica *replica,
                  const struct node_report *report, const struct replica_report *listed, int64_t now_ms)
{
	if (!replica->known || !incarnation_equal(replica->last.incarnation, listed->incarnation))
		replica->samples_len = 0; /* another replica, or none so far */
	if (replica->samples_len == 0 || replica->last.session != listed->session ||
	    replica->last.received > listed->received)
		replica->level_ms = -1;
	replica->known = true;
	replica->listed_ms = now_ms;
	replica->asked_ms = report->asked_ms;
	replica->last = *listed;
	replica->reached = has_reached_an_end(shard, replica);
	take_sample(replica, now_ms);
}

void watch_end(struct watched_shard *shard, int64_t end, int64_t read_ms)
{
	shard->ends[shard->ends_len++ % WATCH_ENDS] = (struct watched_sample){read_ms, end};
	for (size_t i = 0; i < shard->replicas_len; i++) {
		struct watched_replica *replica = shard->replicas[i];

		if (replica->reached && replica->listed_ms <= read_ms && replica->last.received <= end)
			replica->level_ms = read_ms;
	}
}

int64_t watched_end(const struct watched_shard *shard)
{
	return shard->ends_len > 0 ? shard->ends[(shard->ends_len - 1) % WATCH_ENDS].offset : -1;
}

bool watched_is_listed(const struct watched_node *node, const struct watched_replica *replica)
{
	return replica->known && replica->asked_ms == node->asked_ms;
}

int64_t watched_received_at(const struct watched_replica *replica, int64_t at_ms)
{
	size_t oldest = replica->samples_len > WATCH_SAMPLES ? replica->samples_len - WATCH_SAMPLES : 0;

	for (size_t i = replica->samples_len; i-- > oldest;) {
		const struct watched_sample *sample = &replica->samples[i % WATCH_SAMPLES];

		if (sample->at_ms <= at_ms)
			return sample->offset;
	}
	return -1;
}
