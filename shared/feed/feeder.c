/* The feeder's life, its shards and nodes, and what time brings. */
#include "shared/feed/feeder_private.h"

#include "shared/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

#define SCRATCH_BLOCK_BYTES 4096

struct feeder *feeder_new(const struct feeder_options *options, uint64_t batch_id_first)
{
	struct feeder *feeder = calloc(1, sizeof *feeder);

	if (feeder == NULL)
		return NULL;
	feeder->options = *options;
	feeder->batch_id_next = batch_id_first;
	arena_init(&feeder->scratch, SCRATCH_BLOCK_BYTES);
	return feeder;
}

static void drop_lanes(struct feeder *feeder, struct feed_shard *shard)
{
	for (unsigned lane = 0; lane < FEEDER_LANES; lane++) {
		feed_drop_ranges(feeder, &shard->lanes[lane]);
		feed_drop_marks(&shard->lanes[lane]);
		feeder->lanes_running -= feed_is_running(&shard->lanes[lane]);
		shard->lanes[lane].state = LANE_STATE_IDLE;
	}
}

static void drop_shard(struct feeder *feeder, struct feed_shard *shard)
{
	drop_lanes(feeder, shard);
	free(shard->skips);
	shard->skips = NULL;
	shard->skips_len = 0;
}

void feeder_free(struct feeder *feeder)
{
	if (feeder == NULL)
		return;
	for (uint32_t i = 0; i < feeder->shards_len; i++)
		if (feeder->shards[i].used)
			drop_shard(feeder, &feeder->shards[i]);
	for (uint32_t i = 0; i < feeder->nodes_len; i++) {
		buffer_deinit(&feeder->nodes[i].frame);
		free(feeder->nodes[i].sent_slots);
	}
	arena_deinit(&feeder->scratch);
	free(feeder->shards);
	free(feeder->todo_slots);
	free(feeder);
}

int feeder_add_node(struct feeder *feeder, const char *node_id, uint32_t *node, struct error *error)
{
	struct feed_node *added;

	for (uint32_t i = 0; i < feeder->nodes_len; i++) {
		if (strcmp(feeder->nodes[i].id, node_id) == 0) {
			*node = i;
			return 0;
		}
	}
	if (feeder->nodes_len == NODES_MAX || strlen(node_id) > NODE_ID_BYTES_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "node %s is one too many, at most %d are fed", node_id, NODES_MAX);
	added = &feeder->nodes[feeder->nodes_len];
	*added = (struct feed_node){.retry_ms = INT64_MIN};
	(void)snprintf(added->id, sizeof added->id, "%s", node_id);
	buffer_init(&added->frame, BATCH_BYTES_MAX);
	*node = feeder->nodes_len++;
	return 0;
}

static int grow_shards(struct feeder *feeder, struct error *error)
{
	uint32_t size = feeder->shards_size ? feeder->shards_size * 2 : 16;
	struct feed_shard *shards;
	uint32_t *slots;

	if (feeder->shards_len == FEEDER_SHARDS_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "at most %d shards can be fed by one process", FEEDER_SHARDS_MAX);
	if (feeder->shards_len < feeder->shards_size)
		return 0;
	slots = realloc(feeder->todo_slots, size * sizeof *slots);
	if (slots == NULL)
		return error_memory(error, size * sizeof *slots);
	feeder->todo_slots = slots;
	shards = realloc(feeder->shards, size * sizeof *shards);
	if (shards == NULL)
		return error_memory(error, size * sizeof *shards);
	memset(shards + feeder->shards_size, 0, (size - feeder->shards_size) * sizeof *shards);
	feeder->shards = shards;
	feeder->shards_size = size;
	return 0;
}

int feeder_add_shard(struct feeder *feeder, const struct index_record *index, int32_t partition,
                     int64_t now_ms, uint32_t *slot, struct error *error)
{
	struct feed_shard *shard;
	uint32_t free_slot = 0;
	uint32_t epoch;
	uint32_t questions;
	uint32_t fills;
	int rc;

	while (free_slot < feeder->shards_len && feeder->shards[free_slot].used)
		free_slot++;
	if (free_slot == feeder->shards_len) {
		rc = grow_shards(feeder, error);
		if (rc != 0)
			return rc;
		feeder->shards_len++;
	}
	shard = &feeder->shards[free_slot];
	/* late reports to a former user of the slot are strangers */
	epoch = shard->epoch + 1;
	questions = shard->questions;
	fills = shard->fills;
	*shard = (struct feed_shard){
		.used = true,
		.listed = shard->listed,
		.todo = shard->todo,
		.epoch = epoch,
		.questions = questions,
		.fills = fills,
		.state = FEEDER_STATE_ASKING,
		.index_id = index->id,
		.partition = partition,
		.partitions = index->partitions,
		.base = index->base != NULL ? index->base[partition] : 0,
		.partitioner = index->partitioner,
		.rules = index->rules,
		.rules_digest = rules_digest(&index->rules),
		.committed = -1,
		.log_end = -1,
		.live_wait_ms = INT64_MAX,
		.lead_wait_ms = INT64_MAX,
	};
	memcpy(shard->primary_key, index->primary_key, sizeof shard->primary_key);
	feeder->now_ms = now_ms;
	*slot = free_slot;
	return 0;
}

void feeder_remove_shard(struct feeder *feeder, uint32_t slot)
{
	struct feed_shard *shard = feed_shard_at(feeder, slot);

	if (shard == NULL)
		return;
	drop_shard(feeder, shard);
	shard->used = false;
	shard->members_len = 0;
	shard->epoch++;
	shard->todo = 0;
	feed_todo(feeder, slot, FEED_TODO_HALT << FEEDER_LANE_LIVE | FEED_TODO_HALT << FEEDER_LANE_BEHIND);
}

int feeder_set_skips(struct feeder *feeder, uint32_t slot, const int64_t *offsets, size_t offsets_len,
                     struct error *error)
{
	struct feed_shard *shard = feed_shard_at(feeder, slot);
	int64_t *skips = NULL;

	ASSERT(shard != NULL && offsets_len <= SKIPS_MAX);
	if (offsets_len > 0) {
		skips = malloc(offsets_len * sizeof *skips);
		if (skips == NULL)
			return error_memory(error, offsets_len * sizeof *skips);
		memcpy(skips, offsets, offsets_len * sizeof *skips);
	}
	free(shard->skips);
	shard->skips = skips;
	shard->skips_len = offsets_len;
	return 0;
}

struct feed_member *feed_member_on(struct feed_shard *shard, uint32_t node)
{
	for (size_t i = 0; i < shard->members_len; i++)
		if (shard->members[i].node == node)
			return &shard->members[i];
	return NULL;
}

static const struct feeder_replica *replica_on(const struct feeder_replica *replicas, size_t len,
                                               uint32_t node)
{
	for (size_t i = 0; i < len; i++)
		if (replicas[i].node == node)
			return &replicas[i];
	return NULL;
}

static void remove_members(struct feeder *feeder, uint32_t slot, const struct feeder_replica *replicas,
                           size_t replicas_len)
{
	struct feed_shard *shard = &feeder->shards[slot];

	for (size_t i = shard->members_len; i-- > 0;) {
		if (replica_on(replicas, replicas_len, shard->members[i].node) != NULL)
			continue;
		feed_detach(feeder, slot, &shard->members[i]);
		for (unsigned lane = 0; lane < FEEDER_LANES; lane++)
			shard->lanes[lane].marks.waits_for[0] = '\0'; /* on whom, shows soon again */
		shard->members[i] = shard->members[--shard->members_len];
	}
}

/* What the topology says now of a replica that is fed already. */
static void update_member(struct feeder *feeder, uint32_t slot, struct feed_member *member,
                          const struct feeder_replica *replica)
{
	bool renamed = !incarnation_equal(member->recorded, replica->incarnation);
	bool another = !incarnation_is_none(replica->incarnation) &&
	               !incarnation_equal(replica->incarnation, member->incarnation);

	member->in_sync = replica->in_sync;
	member->from = replica->from;
	member->recorded = replica->incarnation;
	if (renamed && feed_is_known(member) && another)
		feed_ask_again(feeder, slot, member, 0);
	else if (renamed && member->state == MEMBER_STATE_WAITING)
		member->retry_ms = feeder->now_ms;
}

void feeder_set_replicas(struct feeder *feeder, uint32_t slot, const struct feeder_replica *replicas,
                         size_t replicas_len, int64_t now_ms)
{
	struct feed_shard *shard = feed_shard_at(feeder, slot);

	ASSERT(shard != NULL && replicas_len <= REPLICAS_MAX);
	feeder->now_ms = now_ms;
	remove_members(feeder, slot, replicas, replicas_len);
	for (size_t i = 0; i < replicas_len; i++) {
		struct feed_member *member = feed_member_on(shard, replicas[i].node);

		ASSERT(replicas[i].node < feeder->nodes_len);
		if (member != NULL) {
			update_member(feeder, slot, member, &replicas[i]);
			continue;
		}
		ASSERT(shard->members_len < REPLICAS_MAX);
		shard->members[shard->members_len++] = (struct feed_member){
			.node = replicas[i].node,
			.recorded = replicas[i].incarnation,
			.in_sync = replicas[i].in_sync,
			.from = replicas[i].from,
			.state = MEMBER_STATE_WAITING,
			.retry_ms = now_ms,
			.poll_ms = INT64_MAX,
			.busy_ms = INT64_MIN,
		};
	}
	feed_commit(feeder, slot);
	feeder_tick(feeder, now_ms);
}

void feed_todo(struct feeder *feeder, uint32_t slot, unsigned todo)
{
	struct feed_shard *shard = &feeder->shards[slot];

	shard->todo |= todo;
	if (!shard->listed) {
		shard->listed = true;
		feeder->todo_slots[feeder->todo_len++] = slot;
	}
}

int64_t feed_next_pause(int64_t pause_ms)
{
	if (pause_ms == 0)
		return FEEDER_RETRY_MS;
	return pause_ms * 2 < FEEDER_RETRY_MS_MAX ? pause_ms * 2 : FEEDER_RETRY_MS_MAX;
}

static void ask_members(struct feeder *feeder, uint32_t slot)
{
	struct feed_shard *shard = &feeder->shards[slot];

	for (size_t i = 0; i < shard->members_len; i++) {
		struct feed_member *member = &shard->members[i];

		if (member->state != MEMBER_STATE_WAITING || member->retry_ms > feeder->now_ms)
			continue;
		member->state = MEMBER_STATE_ASKED;
		member->epoch = ++shard->questions;
		member->ask_due = true;
		feed_todo(feeder, slot, FEED_TODO_ASK);
		if (shard->state == FEEDER_STATE_STOPPED)
			shard->state = FEEDER_STATE_ASKING;
	}
}

void feeder_tick(struct feeder *feeder, int64_t now_ms)
{
	feeder->now_ms = now_ms;
	for (uint32_t slot = 0; slot < feeder->shards_len; slot++) {
		if (!feeder->shards[slot].used)
			continue;
		ask_members(feeder, slot);
		if (feeder->shards[slot].live_wait_ms <= now_ms)
			feed_place(feeder, slot);
		feed_cut(feeder, slot);
		feed_fill_again(feeder, slot);
		feed_behind_turn(feeder, slot);
	}
	feeder->flush_check = true;
}

static int64_t member_deadline_ms(const struct feeder *feeder, const struct feed_shard *shard,
                                  const struct feed_member *member)
{
	const struct feed_node *node = &feeder->nodes[member->node];
	int64_t due;

	if (member->state == MEMBER_STATE_WAITING)
		return member->retry_ms;
	if (member->state != MEMBER_STATE_FED || node->in_flight)
		return INT64_MAX;
	due = feed_due_ms(feeder, shard, member);
	return due < node->retry_ms ? node->retry_ms : due;
}

int64_t feeder_deadline_ms(const struct feeder *feeder)
{
	int64_t deadline = INT64_MAX;

	for (uint32_t slot = 0; slot < feeder->shards_len; slot++) {
		const struct feed_shard *shard = &feeder->shards[slot];
		int64_t due;

		if (!shard->used)
			continue;
		due = feed_cut_ms(feeder, shard);
		due = shard->live_wait_ms < due ? shard->live_wait_ms : due;
		due = shard->lead_wait_ms < due ? shard->lead_wait_ms : due;
		due = feed_fill_ms(shard) < due ? feed_fill_ms(shard) : due;
		deadline = due < deadline ? due : deadline;
		for (size_t i = 0; i < shard->members_len; i++) {
			due = member_deadline_ms(feeder, shard, &shard->members[i]);
			deadline = due < deadline ? due : deadline;
		}
	}
	return deadline;
}
