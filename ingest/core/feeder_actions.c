/* What the feeder wants done, and how it stands: the part that hands out. */
#include "ingest/core/feeder_private.h"

bool feeder_wants(const struct feeder *feeder, uint32_t slot)
{
	const struct feed_shard *shard = feed_shard_at(feeder, slot);

	if (shard == NULL || (shard->state != FEEDER_STATE_FEEDING && shard->state != FEEDER_STATE_ANCHORING))
		return false;
	return shard->first == NULL || !feed_memory_is_full(feeder, shard);
}

/* Turns one bit of a shard's todo into its action. */
static void take_todo(struct feeder *feeder, uint32_t slot, struct feeder_action *action)
{
	static const enum feeder_action_kind kinds[] = {
		FEEDER_ACTION_HALT,   FEEDER_ACTION_ASK,    FEEDER_ACTION_START,
		FEEDER_ACTION_COMMIT, FEEDER_ACTION_REPORT,
	};
	struct feed_shard *shard = &feeder->shards[slot];
	unsigned bit = 0;

	while ((shard->todo & 1U << bit) == 0)
		bit++;
	shard->todo &= ~(1U << bit);
	*action = (struct feeder_action){
		.kind = kinds[bit],
		.slot = slot,
		.epoch = shard->epoch,
		.node = shard->node,
		.offset = kinds[bit] == FEEDER_ACTION_COMMIT ? shard->committed : shard->position,
		.state = shard->state,
	};
	if (shard->todo == 0) {
		shard->listed = false;
		feeder->todo_len--;
	}
}

static bool next_batch(struct feeder *feeder, struct feeder_action *action)
{
	for (uint32_t i = 0; i < feeder->nodes_len; i++) {
		struct feed_node *node = &feeder->nodes[i];

		if (node->in_flight || node->retry_ms > feeder->now_ms || !feed_build_batch(feeder, i))
			continue;
		*action = (struct feeder_action){
			.kind = FEEDER_ACTION_SEND,
			.node = i,
			.batch_id = node->batch_id,
			.frame = buffer_slice(&node->frame),
		};
		return true;
	}
	feeder->flush_check = false;
	return false;
}

bool feeder_next_action(struct feeder *feeder, struct feeder_action *action)
{
	if (feeder->dead_letter_set) {
		*action = feeder->dead_letter;
		feeder->dead_letter_set = false;
		return true;
	}
	if (feeder->todo_len > 0) {
		take_todo(feeder, feeder->todo_slots[feeder->todo_len - 1], action);
		return true;
	}
	return feeder->flush_check && next_batch(feeder, action);
}

bool feeder_shard_status(const struct feeder *feeder, uint32_t slot, struct feeder_status *status)
{
	const struct feed_shard *shard = feed_shard_at(feeder, slot);

	if (shard == NULL)
		return false;
	*status = (struct feeder_status){
		.state = shard->state,
		.index_id = shard->index_id,
		.partition = shard->partition,
		.position = shard->position,
		.received = shard->received,
		.stored = shard->stored,
		.committed = shard->committed,
		.log_end = shard->log_end,
		.memory_bytes = shard->memory_bytes,
		.records = shard->records,
		.deleted = shard->deleted,
		.refused = shard->refused,
		.stop_reason = shard->stop_reason,
	};
	for (const struct feed_range *range = shard->first; range != NULL; range = range->next)
		status->dead_letters_pending += range->dead_letters_pending;
	return true;
}

size_t feeder_memory_bytes(const struct feeder *feeder)
{
	return feeder->memory_bytes;
}

bool feeder_in_flight(const struct feeder *feeder, uint32_t node)
{
	return node < feeder->nodes_len && feeder->nodes[node].in_flight;
}
