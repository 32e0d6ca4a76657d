/* What the feeder wants done, and how it stands: the part that hands out. */
#include "shared/feed/feeder_private.h"

#include "shared/base/assert.h"

/* The next question of the shard; true if there are more. */
static bool take_question(struct feed_shard *shard, struct feeder_action *action)
{
	bool found = false;

	for (size_t i = 0; i < shard->members_len; i++) {
		struct feed_member *member = &shard->members[i];

		if (!member->ask_due)
			continue;
		if (found)
			return true;
		found = true;
		member->ask_due = false;
		action->kind = FEEDER_ACTION_ASK;
		action->node = member->node;
		action->epoch = member->epoch;
	}
	if (!found)
		action->kind = 0;
	return false;
}

/* Turns one bit of a shard's todo into its action; false if there is nothing to it any more. */
static bool take_todo(struct feeder *feeder, uint32_t slot, struct feeder_action *action)
{
	struct feed_shard *shard = &feeder->shards[slot];
	unsigned bit = shard->todo & -shard->todo;
	enum feeder_lane lane =
		bit & (unsigned)(FEED_TODO_HALT << FEEDER_LANE_BEHIND |
	                         FEED_TODO_START << FEEDER_LANE_BEHIND | FEED_TODO_FILL << FEEDER_LANE_BEHIND)
			? FEEDER_LANE_BEHIND
			: FEEDER_LANE_LIVE;
	bool more = false;

	*action = (struct feeder_action){
		.slot = slot,
		.reader = FEEDER_READER(slot, lane),
		.epoch = shard->epoch,
		.state = shard->state,
	};
	if (bit < FEED_TODO_START) {
		action->kind = FEEDER_ACTION_HALT;
	} else if (bit < FEED_TODO_FILL) {
		action->kind = FEEDER_ACTION_START;
		action->offset = shard->lanes[lane].read_from;
	} else if (bit < FEED_TODO_ASK) {
		const struct feed_marks *marks = &shard->lanes[lane].marks;

		action->kind = FEEDER_ACTION_FILL;
		action->epoch = marks->epoch;
		action->node = marks->source;
		action->received = marks->received;
		action->offset = marks->next;
	} else if (bit == FEED_TODO_ASK) {
		more = take_question(shard, action);
	} else if (bit == FEED_TODO_COMMIT) {
		action->kind = FEEDER_ACTION_COMMIT;
		action->offset = shard->committed;
	} else {
		ASSERT(bit == FEED_TODO_REPORT);
		action->kind = FEEDER_ACTION_REPORT;
		action->offset = shard->lanes[FEEDER_LANE_LIVE].position;
	}
	if (!more)
		shard->todo &= ~bit;
	if (shard->todo == 0) {
		shard->listed = false;
		feeder->todo_len--;
	}
	return action->kind != 0;
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
	while (feeder->todo_len > 0)
		if (take_todo(feeder, feeder->todo_slots[feeder->todo_len - 1], action))
			return true;
	return feeder->flush_check && next_batch(feeder, action);
}

/* Lowest of the replicas in-sync; `stored` or `received`. */
static void mark_lowest(const struct feed_shard *shard, struct feeder_status *status)
{
	for (size_t i = 0; i < shard->members_len; i++) {
		const struct feed_member *member = &shard->members[i];

		if (!member->in_sync || !feed_is_known(member))
			continue;
		if (status->received < 0 || member->received < status->received)
			status->received = member->received;
		if (status->stored < 0 || member->stored < status->stored)
			status->stored = member->stored;
	}
}

static void measure_marks(const struct feed_shard *shard, struct feeder_status *status)
{
	status->waits_for = "";
	for (unsigned lane = FEEDER_LANES; lane-- > 0;) {
		const struct feed_marks *marks = &shard->lanes[lane].marks;

		if (marks->waits_for[0] != '\0')
			status->waits_for = marks->waits_for;
		if (marks->window == NULL)
			continue;
		status->window_memory += window_memory(marks->window);
		status->window_stored += window_stored(marks->window);
	}
}

bool feeder_shard_status(const struct feeder *feeder, uint32_t slot, struct feeder_status *status)
{
	const struct feed_shard *shard = feed_shard_at(feeder, slot);
	const struct feed_lane *live;

	if (shard == NULL)
		return false;
	live = &shard->lanes[FEEDER_LANE_LIVE];
	*status = (struct feeder_status){
		.state = shard->state,
		.index_id = shard->index_id,
		.partition = shard->partition,
		.position =
			shard->lanes[feeder->options.replay ? FEEDER_LANE_BEHIND : FEEDER_LANE_LIVE].position,
		.received = -1,
		.stored = -1,
		.oldest_ms = -1,
		.committed = shard->committed,
		.log_end = shard->log_end,
		.memory_bytes = live->memory_bytes + shard->lanes[FEEDER_LANE_BEHIND].memory_bytes,
		.records = shard->records,
		.deleted = shard->deleted,
		.refused = shard->refused,
		.duplicates = shard->duplicates,
		.origin_duplicates = shard->origin_duplicates,
		.skipped = shard->skipped,
		.holes = shard->holes,
		.cuts = shard->cuts,
		.stop_reason = shard->stop_reason,
	};
	mark_lowest(shard, status);
	measure_marks(shard, status);
	for (const struct feed_range *range = live->first; range != NULL; range = range->next) {
		status->dead_letters_pending += range->dead_letters_pending;
		if (status->oldest_ms < 0)
			status->oldest_ms = range->oldest_ms;
	}
	return true;
}

bool feeder_replica_status(const struct feeder *feeder, uint32_t slot, size_t at,
                           struct feeder_replica_status *status)
{
	const struct feed_shard *shard = feed_shard_at(feeder, slot);
	const struct feed_member *member;

	if (shard == NULL || at >= shard->members_len)
		return false;
	member = &shard->members[at];
	*status = (struct feeder_replica_status){
		.node = member->node,
		.in_sync = member->in_sync,
		.known = member->state == MEMBER_STATE_FED,
		.lane = member->lane,
		.incarnation = member->incarnation,
		.received = member->received,
		.stored = member->stored,
		.obstacle = member->obstacle,
	};
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
