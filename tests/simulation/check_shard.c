/*
 * The invariants that concern all replicas of a shard.
 *
 * - Siblings of equal watermark are equal.
 * - A commit is at most what every replica that the committing ingest's topology calls in-sync has ever had
 *   on disk under its recorded incarnation, of the log as it is now.
 * - The set of in-sync replicas is never empty.
 * - An answer without a flag covers the token that was presented, and whatever all replicas that the gateway's
 *   own topology calls in-sync had ever received when the search began. A gateway that does not know of a newer
 *   record cannot promise more; what finals need, it knows from the finals themselves.
 * - A replica that its node knows to be out of sync does not answer without a flag.
 * - When the faults have ended, every replica that can be fed is in-sync and level, and everything is committed;
 *   or the shard has stopped because a replica in-sync contradicts the log.
 */
#include "tests/simulation/sim.h"

#include <inttypes.h>

void check_commit(struct sim *sim, const struct sim_ingest *ingest, uint32_t shard, int64_t offset)
{
	const struct shard_record *record = sim_view_shard(sim, &ingest->process.view, shard);

	for (size_t i = 0; i < record->replicas_len; i++) {
		const struct placement *placement = &record->replicas[i];
		uint32_t node = sim_node_number(sim, placement->node);
		struct sim_reached reached;

		if (!placement->in_sync)
			continue;
		reached = check_reached(&sim->nodes[node].replicas[shard], placement->incarnation);
		if (offset > reached.stored)
			sim_violate(sim, "committed is at most stored by all in-sync replicas",
			            "shard %u: commits %lld, %s has stored %lld", shard, (long long)offset,
			            placement->node, (long long)reached.stored);
	}
}

static size_t in_sync(const struct shard_record *record)
{
	size_t found = 0;

	for (size_t i = 0; i < record->replicas_len; i++)
		found += record->replicas[i].in_sync;
	return found;
}

static void count_changes(struct sim *sim, const struct shard_record *before,
                          const struct shard_record *record)
{
	for (size_t i = 0; i < record->replicas_len; i++) {
		const struct placement *now = &record->replicas[i];
		const struct placement *then = catalog_placement(before, now->node);

		tally_add(&sim->tally->joined, then == NULL && before->replicas_len > 0);
		tally_add(&sim->tally->marks_out, then != NULL && then->in_sync && !now->in_sync);
		tally_add(&sim->tally->marks_in, then != NULL && !then->in_sync && now->in_sync);
	}
}

void check_record(struct sim *sim, const struct shard_record *before, const struct shard_record *record)
{
	if (in_sync(record) == 0 && in_sync(before) > 0)
		sim_violate(sim, "the last in-sync replica is never taken out", "shard %" PRId32,
		            record->partition);
	if (record->divergent && sim->logs[record->partition].life == 0)
		sim_violate(sim, "siblings of equal watermark are equal",
		            "shard %" PRId32 " recorded divergent", record->partition);
	count_changes(sim, before, record);
}

void check_siblings(struct sim *sim, uint32_t shard)
{
	struct replica_status first;
	struct replica_status second;

	for (uint32_t a = 0; a < sim->swarm.nodes; a++) {
		const struct sim_replica *one = &sim->nodes[a].replicas[shard];

		for (uint32_t b = a + 1; b < sim->swarm.nodes && one->replica != NULL; b++) {
			const struct sim_replica *other = &sim->nodes[b].replicas[shard];

			if (other->replica == NULL || one->received != other->received ||
			    one->log_life != other->log_life)
				continue;
			replica_status(one->replica, &first);
			replica_status(other->replica, &second);
			if (!hash128_equal(first.digest, second.digest) ||
			    first.documents != second.documents)
				sim_violate(sim, "siblings of equal watermark are equal", "shard %u at %lld",
				            shard, (long long)one->received);
		}
	}
}

/* As this node's topology has it. */
static const struct placement *placement_of(const struct sim *sim, const struct sim_node *node,
                                            uint32_t shard)
{
	const struct shard_record *record = sim_view_shard(sim, &node->process.view, shard);

	return record == NULL ? NULL : catalog_placement(record, node->id);
}

void check_dropped(struct sim *sim, const struct sim_node *node, uint32_t shard)
{
	const struct shard_record *record = sim_view_shard(sim, &node->process.view, shard);
	const struct placement *placement = placement_of(sim, node, shard);

	if (placement == NULL || placement->state != PLACEMENT_STATE_LEAVING)
		sim_violate(sim, "a replica is dropped only on a record", "%s, shard %u: no record says so",
		            node->id, shard);
	else if (in_sync(record) == 0)
		sim_violate(sim, "the last good copy is never dropped", "%s, shard %u", node->id, shard);
}

void check_served(struct sim *sim, const struct sim_node *node, uint32_t shard)
{
	const struct sim_replica *held = &node->replicas[shard];
	const struct placement *placement = placement_of(sim, node, shard);

	if (held->received < held->level_floor)
		sim_violate(sim, "a search is never answered unflagged by a replica that is not level",
		            "%s, shard %u: received %lld, the log ended at %lld when the session began",
		            node->id, shard, (long long)held->received, (long long)held->level_floor);
	if (placement == NULL || !placement->in_sync || placement->state != PLACEMENT_STATE_ACTIVE ||
	    (!incarnation_is_none(placement->incarnation) &&
	     !incarnation_equal(placement->incarnation, held->image.incarnation)))
		sim_violate(sim, "only a replica that its node knows to be in-sync serves", "%s, shard %u",
		            node->id, shard);
}

static const struct feeder_status *owner_status(struct sim *sim, uint32_t shard, struct feeder_status *status)
{
	for (uint32_t i = 0; i < sim->swarm.ingests; i++) {
		struct sim_ingest *ingest = &sim->ingests[i];

		if (ingest->process.alive && ingest->added[shard] &&
		    feeder_shard_status(ingest->feeder, ingest->slots[shard], status))
			return status;
	}
	return NULL;
}

/* Nothing in the log brings it forward: the log was replaced, or no longer reaches back to it. */
static bool is_lost(const struct sim_replica *held, const struct sim_log *log)
{
	return held->received < log->start || held->received > log->end || held->log_life != log->life;
}

static bool replica_settled(struct sim *sim, const struct placement *placement, uint32_t shard)
{
	const struct sim_replica *held = &sim->nodes[sim_node_number(sim, placement->node)].replicas[shard];
	const struct sim_log *log = &sim->logs[shard];
	struct replica_status status;

	if (held->replica == NULL)
		return false;
	replica_status(held->replica, &status);
	if (is_lost(held, log))
		return !placement->in_sync;
	return placement->in_sync && placement->state == PLACEMENT_STATE_ACTIVE &&
	       incarnation_equal(placement->incarnation, held->image.incarnation) &&
	       status.received == log->end && status.stored == log->end &&
	       sim_node_serves(sim, &sim->nodes[sim_node_number(sim, placement->node)], shard);
}

static void say_why(struct sim *sim, const struct placement *placement, uint32_t shard, char *why,
                    size_t why_size)
{
	const struct sim_replica *held = &sim->nodes[sim_node_number(sim, placement->node)].replicas[shard];
	const struct sim_log *log = &sim->logs[shard];
	struct feeder_status feeding = {.stop_reason = "no owner"};
	struct replica_status status = {0};

	(void)owner_status(sim, shard, &feeding);
	if (held->replica != NULL)
		replica_status(held->replica, &status);
	(void)snprintf(why, why_size,
	               "shard %u on %s (%s): log [%lld, %lld), received %lld, stored %lld, committed %lld, "
	               "state %d, feeder %d %s",
	               shard, placement->node, placement->in_sync ? "in-sync" : "out", (long long)log->start,
	               (long long)log->end, (long long)status.received, (long long)status.stored,
	               (long long)log->committed, (int)status.state, (int)feeding.state, feeding.stop_reason);
}

void check_trace(struct sim *sim, uint32_t shard)
{
	for (uint32_t i = 0; i < sim->swarm.ingests; i++) {
		const struct sim_ingest *ingest = &sim->ingests[i];
		struct feeder_replica_status replica;
		struct feeder_status status;

		if (!ingest->process.alive || !ingest->added[shard] ||
		    !feeder_shard_status(ingest->feeder, ingest->slots[shard], &status))
			continue;
		sim_trace(sim,
		          "ingest %u, shard %u: state %d, position %lld, committed %lld, log end %lld, %zu "
		          "bytes",
		          i, shard, (int)status.state, (long long)status.position,
		          (long long)status.committed, (long long)status.log_end, status.memory_bytes);
		for (size_t at = 0; feeder_replica_status(ingest->feeder, ingest->slots[shard], at, &replica);
		     at++)
			sim_trace(sim, "  %s: %s%s, lane %d, received %lld, stored %lld, in flight %d %s",
			          sim->nodes[replica.node].id, replica.in_sync ? "in-sync, " : "",
			          replica.known ? "known" : "unknown", (int)replica.lane,
			          (long long)replica.received, (long long)replica.stored,
			          feeder_in_flight(ingest->feeder, replica.node), replica.obstacle);
	}
}

/* Whoever looks is told. */
static bool says_why(struct sim *sim, uint32_t shard)
{
	for (uint32_t i = 0; i < sim->swarm.ingests; i++) {
		const struct sim_ingest *ingest = &sim->ingests[i];
		struct feeder_replica_status status;

		for (size_t at = 0; ingest->process.alive && ingest->added[shard] &&
		                    feeder_replica_status(ingest->feeder, ingest->slots[shard], at, &status);
		     at++)
			if (status.in_sync && status.obstacle[0] != '\0')
				return true;
	}
	return false;
}

bool check_settled(struct sim *sim, uint32_t shard, char *why, size_t why_size)
{
	const struct shard_record *record = sim_view_shard(sim, &sim->truth, shard);
	struct feeder_status feeding;
	bool settled = true;
	bool lost = false;

	if (owner_status(sim, shard, &feeding) == NULL) {
		(void)snprintf(why, why_size, "shard %u: no owner", shard);
		return false;
	}
	for (size_t i = 0; i < record->replicas_len; i++) {
		const struct placement *placement = &record->replicas[i];
		const struct sim_replica *held =
			&sim->nodes[sim_node_number(sim, placement->node)].replicas[shard];

		if (placement->state == PLACEMENT_STATE_LEAVING)
			continue;
		lost = lost ||
		       (placement->in_sync && held->replica != NULL && is_lost(held, &sim->logs[shard]));
		if (replica_settled(sim, placement, shard))
			continue;
		if (settled)
			say_why(sim, placement, shard, why, why_size);
		settled = false;
	}
	if (lost)
		return says_why(sim, shard);
	if (settled && sim->logs[shard].committed != sim->logs[shard].end) {
		say_why(sim, &record->replicas[0], shard, why, why_size);
		return false;
	}
	return settled;
}
