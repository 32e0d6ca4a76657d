#include "shard/core/holdings.h"

#include "shared/base/knockout.h"

#include <inttypes.h>

static enum holding_verdict hold(const struct holding *holding, struct error *reason, const char *why)
{
	(void)error_set(reason, ERROR_STATE, ERROR_ACTION_RETRY,
	                "the replica of index %016" PRIx64 ", generation %" PRId32 ", partition %" PRId32
	                " is kept closed: %s",
	                holding->index_id, holding->generation, holding->partition, why);
	return HOLDING_HOLD;
}

static enum holding_verdict refuse(const struct holding *holding, struct error *reason, const char *topic)
{
	if (KNOCKOUT(ABSENCE_DROPS))
		return HOLDING_DROP;
	(void)error_set(reason, ERROR_STATE, ERROR_ACTION_FATAL,
	                "this node holds a replica of index %016" PRIx64 ", partition %" PRId32
	                ", but the %s topic has no record of it: wrong Kafka or emptied %s topic; "
	                "nothing was changed",
	                holding->index_id, holding->partition, topic, topic);
	return HOLDING_REFUSE;
}

static const struct placement *placement_of(const struct shard_record *shard, const char *node)
{
	for (size_t i = 0; i < shard->replicas_len; i++)
		if (strcmp(shard->replicas[i].node, node) == 0)
			return &shard->replicas[i];
	return NULL;
}

/* The record is one value: what it says of the others holds at the moment at which this one leaves. */
static bool is_elsewhere(const struct shard_record *shard, const char *node)
{
	for (size_t i = 0; i < shard->replicas_len; i++) {
		const struct placement *placement = &shard->replicas[i];

		if (strcmp(placement->node, node) != 0 && placement->state == PLACEMENT_STATE_ACTIVE &&
		    placement->in_sync)
			return true;
	}
	return false;
}

static enum holding_verdict await(const struct holding *holding, const struct placement *placement,
                                  struct error *reason)
{
	(void)error_set(reason, ERROR_STATE, ERROR_ACTION_RETRY,
	                "partition %" PRId32 " of index %016" PRIx64
	                " waits for its copy up to offset %" PRId64
	                ": `millrace index restore DIR` goes on with it",
	                holding->partition, holding->index_id, placement->copy.stored);
	return HOLDING_AWAIT;
}

static enum holding_verdict decide_absent(const struct catalog *catalog, const char *node,
                                          const struct holding *holding, struct error *reason)
{
	const struct index_record *index = catalog_index(catalog, holding->index_id);
	const struct shard_record *shard = catalog_shard(catalog, holding->index_id, holding->partition);
	const struct placement *placement = shard == NULL ? NULL : placement_of(shard, node);

	if (index == NULL || index->state != INDEX_STATE_ACTIVE || index->base == NULL ||
	    holding->partition >= index->partitions)
		return HOLDING_NONE;
	if (placement == NULL || placement->state == PLACEMENT_STATE_LEAVING ||
	    index->generation != holding->generation || shard->generation != holding->generation)
		return HOLDING_NONE;
	return placement_copy_is_set(&placement->copy) ? await(holding, placement, reason) : HOLDING_CREATE;
}

/* Of the record's incarnation: the copy is whole. Of another one: what it is to replace, once it comes. */
static enum holding_verdict decide_copied(const struct holding *holding, const struct placement *placement,
                                          struct error *reason)
{
	return incarnation_equal(holding->incarnation, placement->incarnation)
	               ? HOLDING_KEEP
	               : await(holding, placement, reason);
}

static enum holding_verdict decide_held(const struct catalog *catalog, const char *node,
                                        const struct holding *holding, struct error *reason)
{
	const struct index_record *index = catalog_index(catalog, holding->index_id);
	const struct shard_record *shard = catalog_shard(catalog, holding->index_id, holding->partition);
	const struct placement *placement;

	if (index == NULL)
		return refuse(holding, reason, "meta");
	if (index->state == INDEX_STATE_DELETED)
		return HOLDING_DROP;
	if (shard == NULL)
		return refuse(holding, reason, "topology");
	if (index->generation != holding->generation || shard->generation != holding->generation)
		return hold(holding, reason, "the records are of another generation");
	placement = placement_of(shard, node);
	if (placement == NULL)
		return KNOCKOUT(ORDER_DROPS)
		               ? HOLDING_DROP
		               : hold(holding, reason, "the shard's record does not name this node");
	if (placement->state == PLACEMENT_STATE_LEAVING)
		return is_elsewhere(shard, node)
		               ? HOLDING_DROP
		               : hold(holding, reason, "it is leaving, but no other replica is in-sync");
	if (index->state != INDEX_STATE_ACTIVE)
		return hold(holding, reason, "the index is not active");
	if (placement_copy_is_set(&placement->copy))
		return decide_copied(holding, placement, reason);
	return HOLDING_KEEP;
}

enum holding_verdict holding_decide(const struct catalog *catalog, const char *node,
                                    const struct holding *holding, struct error *reason)
{
	const char *unreadable = catalog_unreadable(catalog, holding->index_id);

	if (unreadable != NULL)
		return holding->on_disk ? hold(holding, reason, unreadable) : HOLDING_NONE;
	return holding->on_disk ? decide_held(catalog, node, holding, reason)
	                        : decide_absent(catalog, node, holding, reason);
}
