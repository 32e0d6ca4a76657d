/*
 * A controller by script: it sees everything at once, and its records come late.
 *
 * It does what the design allows a controller to do, and often what no real one would bother to: takes
 * replicas out that are well, moves shards, forgets who has left. What it never does: take the last replica
 * out of sync, or take one out while no other in-sync one is well.
 */
#include "shared/base/assert.h"
#include "tests/simulation/sim.h"

static struct sim_replica *held_by(struct sim *sim, const struct placement *placement, uint32_t shard)
{
	struct sim_node *node = &sim->nodes[sim_node_number(sim, placement->node)];
	struct sim_replica *held = &node->replicas[shard];
	bool answers = node->process.alive && node->process.paused_until_ms <= sim->now_ms &&
	               &sim->nodes[node->address] == node;

	return answers && held->replica != NULL ? held : NULL;
}

static bool is_same(const struct placement *placement, const struct sim_replica *held)
{
	return incarnation_equal(placement->incarnation, held->image.incarnation);
}

static bool is_level(struct sim *sim, const struct placement *placement, uint32_t shard)
{
	struct sim_replica *held = held_by(sim, placement, shard);
	struct replica_status status;

	if (held == NULL || !is_same(placement, held))
		return false;
	replica_status(held->replica, &status);
	return status.state == REPLICA_STATE_ACTIVE && status.received == sim->logs[shard].end;
}

static bool is_well(struct sim *sim, const struct placement *placement, uint32_t shard)
{
	struct sim_replica *held = held_by(sim, placement, shard);
	struct replica_status status;

	if (!placement->in_sync || held == NULL || !is_same(placement, held))
		return false;
	replica_status(held->replica, &status);
	return status.state == REPLICA_STATE_ACTIVE;
}

static bool other_is_well(struct sim *sim, const struct shard_record *record, size_t place)
{
	for (size_t i = 0; i < record->replicas_len; i++)
		if (i != place && is_well(sim, &record->replicas[i], (uint32_t)record->partition))
			return true;
	return false;
}

/* Nobody is left of those that everything depended on. */
static bool all_are_new(struct sim *sim, const struct shard_record *record)
{
	for (size_t i = 0; i < record->replicas_len; i++) {
		const struct placement *placement = &record->replicas[i];
		const struct sim_replica *held = held_by(sim, placement, (uint32_t)record->partition);

		if (placement->in_sync && (held == NULL || is_same(placement, held)))
			return false;
	}
	return true;
}

static size_t count(const struct shard_record *record, bool in_sync_only)
{
	size_t found = 0;

	for (size_t i = 0; i < record->replicas_len; i++)
		found += in_sync_only ? record->replicas[i].in_sync
		                      : record->replicas[i].state != PLACEMENT_STATE_LEAVING;
	return found;
}

/* Another incarnation than recorded: it joins, unless everything depends on it. */
static bool renew(struct sim *sim, struct shard_record *record, size_t place)
{
	struct placement *placement = &record->replicas[place];
	struct sim_replica *held = held_by(sim, placement, (uint32_t)record->partition);
	bool known = !incarnation_is_none(placement->incarnation);

	if (held == NULL || is_same(placement, held) || placement->state == PLACEMENT_STATE_LEAVING)
		return false;
	if (known && placement->in_sync && !other_is_well(sim, record, place)) {
		if (!all_are_new(sim, record))
			return false; /* perhaps another one comes back with everything */
	} else if (known) {
		placement->state = PLACEMENT_STATE_JOINING;
		placement->in_sync = false;
	}
	placement->incarnation = held->image.incarnation;
	return true;
}

static bool take_in(struct sim *sim, struct shard_record *record, size_t place)
{
	struct placement *placement = &record->replicas[place];

	if (placement->in_sync || placement->state == PLACEMENT_STATE_LEAVING ||
	    !is_level(sim, placement, (uint32_t)record->partition))
		return false;
	placement->in_sync = placement->state == PLACEMENT_STATE_ACTIVE || dice_chance(&sim->dice, 700);
	placement->state = PLACEMENT_STATE_ACTIVE;
	return true;
}

/* A replica that no feeder can bring forward. */
static bool is_lost(struct sim *sim, const struct placement *placement, uint32_t shard)
{
	struct sim_replica *held = held_by(sim, placement, shard);
	const struct sim_log *log = &sim->logs[shard];

	return held == NULL || held->received < log->start || held->received > log->end ||
	       held->log_life != log->life;
}

static bool take_out(struct sim *sim, struct shard_record *record, size_t place)
{
	struct placement *placement = &record->replicas[place];
	bool needed = !is_well(sim, placement, (uint32_t)record->partition) ||
	              is_lost(sim, placement, (uint32_t)record->partition);

	if (!placement->in_sync || !other_is_well(sim, record, place))
		return false;
	if (sim->calm ? !needed : !dice_chance(&sim->dice, needed ? 700 : sim->swarm.mark_permille / 4))
		return false;
	placement->in_sync = false;
	return true;
}

/* Somebody joins, the one too many leaves, and who has left is forgotten. */
static bool move(struct sim *sim, struct shard_record *record, size_t place)
{
	struct placement *placement = &record->replicas[place];
	uint32_t number = dice_below(&sim->dice, sim->swarm.nodes);

	if (placement->state == PLACEMENT_STATE_LEAVING) {
		*placement = record->replicas[--record->replicas_len];
		return true;
	}
	if (count(record, true) > sim->swarm.rf && placement->in_sync && other_is_well(sim, record, place)) {
		placement->state = PLACEMENT_STATE_LEAVING;
		placement->in_sync = false;
		return true;
	}
	if (count(record, false) > sim->swarm.rf || catalog_placement(record, sim->nodes[number].id) != NULL)
		return false;
	placement = &record->replicas[record->replicas_len++];
	*placement = (struct placement){.state = PLACEMENT_STATE_JOINING};
	memcpy(placement->node, sim->nodes[number].id, sizeof sim->nodes[number].id);
	return true;
}

static bool decide(struct sim *sim, struct shard_record *record)
{
	size_t first = dice_below(&sim->dice, (uint32_t)record->replicas_len);

	for (size_t i = 0; i < record->replicas_len; i++) {
		size_t place = (first + i) % record->replicas_len;

		if (renew(sim, record, place) || take_in(sim, record, place) || take_out(sim, record, place))
			return true;
	}
	return !sim->calm && dice_chance(&sim->dice, sim->swarm.mark_permille) && move(sim, record, first);
}

static int64_t mark_delay(struct sim *sim)
{
	return 1 + sim_delay(sim, sim->calm ? 50 : sim->swarm.mark_ms_max);
}

void sim_marks_begin(struct sim *sim)
{
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++)
		sim_event(sim, EVENT_MARK, mark_delay(sim))->shard = shard;
}

void sim_marks_event(struct sim *sim, const struct event *event)
{
	const struct shard_record *newest = sim_view_shard(sim, &sim->truth, event->shard);
	struct shard_record *record = arena_alloc(&sim->arena, sizeof *record);
	bool down = sim->now_ms < sim->kafka_down_until_ms;

	ASSERT(record != NULL);
	if (event->kind == EVENT_MARK_WRITE && !down)
		sim_topology_write_shard(sim, event->record);
	*record = *newest;
	if (event->kind == EVENT_MARK && !down && decide(sim, record)) {
		struct event *write = sim_event(sim, EVENT_MARK_WRITE, mark_delay(sim) / 2);

		write->shard = event->shard;
		write->record = record;
		return;
	}
	sim_event(sim, EVENT_MARK, mark_delay(sim))->shard = event->shard;
}
