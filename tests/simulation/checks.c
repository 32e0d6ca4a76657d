/* The invariants of one replica, and of what is in memory. */
#include "shared/base/assert.h"
#include "tests/simulation/sim.h"
#include "tests/unit/replica_reads.h"

#include <inttypes.h>

#define FEEDER_SLACK_BYTES (96U * 1024) /* one record's memtable a shard, with its first blocks */

static bool is_orphan(const struct sim_replica *held, const struct sim_log *log)
{
	return held->log_life != log->life;
}

static struct sim_reached *reached(struct sim_replica *held)
{
	size_t at = held->reached_len;

	while (at > 0 && !incarnation_equal(held->reached[at - 1].incarnation, held->image.incarnation))
		at--;
	if (at > 0)
		return &held->reached[at - 1];
	at = held->reached_len < INCARNATIONS_MAX ? held->reached_len++ : 0;
	held->reached[at] = (struct sim_reached){.incarnation = held->image.incarnation};
	return &held->reached[at];
}

struct sim_reached check_reached(const struct sim_replica *held, struct incarnation incarnation)
{
	struct sim_reached found = {0};

	for (size_t i = 0; i < held->reached_len; i++) {
		const struct sim_reached *one = &held->reached[i];

		if (!incarnation_is_none(incarnation) && !incarnation_equal(incarnation, one->incarnation))
			continue;
		if (one->received > found.received)
			found.received = one->received;
		if (one->stored > found.stored)
			found.stored = one->stored;
	}
	return found;
}

/* Of this log: what was received of a former one counts for nothing. */
static void note_reached(struct sim_replica *held, const struct sim_log *log)
{
	struct sim_reached *highest = reached(held);

	if (held->log_life == log->life && held->received > highest->received)
		highest->received = held->received;
	if (held->image.log_life == log->life && held->image.stored_durable > highest->stored)
		highest->stored = held->image.stored_durable;
}

void check_forget(struct sim_replica *held, int64_t cut)
{
	for (size_t i = 0; i < held->reached_len; i++) {
		if (held->reached[i].received > cut)
			held->reached[i].received = cut;
		if (held->reached[i].stored > cut)
			held->reached[i].stored = 0;
	}
}

static void check_letters(struct sim *sim, struct sim_replica *held, const struct timeline *timeline,
                          uint32_t shard)
{
	while (held->letters_seen < timeline->len &&
	       timeline->entries[held->letters_seen]->offset < held->received) {
		const struct log_entry *entry = timeline->entries[held->letters_seen++];

		if (entry->refused && !entry->dead_lettered)
			sim_violate(sim, "nothing passes an unacknowledged dead letter",
			            "shard %u has received %lld, the record at %lld (%s) is not in the topic",
			            shard, (long long)held->received, (long long)entry->offset,
			            refusal_name(entry->refusal));
	}
}

static void check_watermarks(struct sim *sim, struct sim_replica *held, const struct replica_status *status,
                             uint32_t shard)
{
	const struct sim_log *log = &sim->logs[shard];

	if (status->received < held->received)
		sim_violate(sim, "received never goes back in a session", "shard %u: %lld after %lld", shard,
		            (long long)status->received, (long long)held->received);
	if (status->stored > status->received || status->stored > held->image.stored_durable)
		sim_violate(sim, "stored is what is on disk",
		            "shard %u: stored %lld, received %lld, on disk %lld", shard,
		            (long long)status->stored, (long long)status->received,
		            (long long)held->image.stored_durable);
	if (is_orphan(held, log) && status->received != held->received)
		sim_violate(sim, "a replica of another log is not fed",
		            "shard %u: %lld after %lld, the log was replaced at %lld", shard,
		            (long long)status->received, (long long)held->received, (long long)log->cut);
	if (status->state == REPLICA_STATE_ACTIVE && status->received < held->level_floor)
		sim_violate(sim, "a replica that is not level is recovering",
		            "shard %u: active at %lld, the log ended at %lld when the session began", shard,
		            (long long)status->received, (long long)held->level_floor);
	if (status->applied != held->applied)
		sim_violate(sim, "an operation is applied once",
		            "shard %u: %" PRIu64 " operations applied, expected %" PRIu64, shard,
		            status->applied, held->applied);
}

/* The digest first, which is cheap; where it differs, the documents, which say more. */
static void check_fold(struct sim *sim, struct replica *replica, const struct timeline *timeline,
                       uint32_t shard)
{
	const struct fold_point *point;
	struct replica_status status;

	replica_status(replica, &status);
	point = timeline_point(timeline, status.received);
	if (hash128_equal(point->digest, status.digest) && point->documents == status.documents &&
	    point->body_bytes == status.body_bytes)
		return;
	check_listing(sim, replica, timeline, shard);
	sim_violate(sim, "state is the fold of the log up to received",
	            "shard %u at %lld: digest, documents or bytes differ", shard, (long long)status.received);
}

void check_content(struct sim *sim, struct sim_replica *held, uint32_t shard)
{
	const struct timeline *timeline = sim_log_timeline(&sim->logs[shard], held->log_life);

	if (!sim->violated)
		check_listing(sim, held->replica, timeline, shard);
	if (!sim->violated)
		check_marks(sim, held->replica, timeline);
}

static void check_replica(struct sim *sim, struct sim_replica *held, uint32_t shard)
{
	const struct sim_log *log = &sim->logs[shard];
	const struct timeline *timeline = sim_log_timeline(log, held->log_life);
	struct replica_status status;

	replica_status(held->replica, &status);
	if (status.state == REPLICA_STATE_STOPPED)
		sim_violate(sim, "an undamaged replica does not stop", "shard %u: %s", shard,
		            status.stop_reason);
	check_watermarks(sim, held, &status, shard);
	sim->hash = sim->hash * 31 + status.digest.low;
	if (status.received != held->received || held->letters_seen == 0) {
		held->received = status.received;
		check_letters(sim, held, timeline, shard);
		note_reached(held, log);
	}
	if (held->seen != held->opened || held->seen_received != status.received ||
	    !hash128_equal(held->seen_digest, status.digest)) {
		held->seen = held->opened;
		held->seen_received = status.received;
		held->seen_digest = status.digest;
		check_fold(sim, held->replica, timeline, shard);
		check_siblings(sim, shard);
	}
	if (status.memory_bytes > sim->swarm.node_memory_bytes + (2U << 20))
		sim_violate(sim, "memory is bounded", "shard %u: the replica holds %zu bytes", shard,
		            status.memory_bytes);
}

static void check_node(struct sim *sim, struct sim_node *node)
{
	for (uint32_t shard = 0; shard < sim->swarm.shards && !sim->violated; shard++) {
		if (node->replicas[shard].replica == NULL)
			continue;
		check_replica(sim, &node->replicas[shard], shard);
	}
}

static void check_memory(struct sim *sim, uint32_t number)
{
	const struct sim_ingest *ingest = &sim->ingests[number];
	size_t bytes_max =
		sim->swarm.feeder.memory_bytes_max + sim->swarm.shards * FEEDER_LANES * FEEDER_SLACK_BYTES;

	if (ingest->process.alive && feeder_memory_bytes(ingest->feeder) > bytes_max)
		sim_violate(sim, "memory is bounded", "ingest %u holds %zu bytes", number,
		            feeder_memory_bytes(ingest->feeder));
}

void check_all(struct sim *sim, struct peer at)
{
	bool world = at.kind == PROCESS_NONE;

	for (uint32_t n = 0; n < sim->swarm.nodes && (world || at.kind == PROCESS_NODE); n++)
		if (world || at.number == n)
			check_node(sim, &sim->nodes[n]);
	for (uint32_t i = 0; i < sim->swarm.ingests && (world || at.kind == PROCESS_INGEST); i++)
		if (world || at.number == i)
			check_memory(sim, i);
}

void check_stored(struct sim *sim, struct sim_replica *held, uint32_t shard, bool deep)
{
	const struct sim_log *log = &sim->logs[shard];
	const struct timeline *timeline = sim_log_timeline(log, held->log_life);
	struct replica_identity identity = {.cluster_id = "simulated",
	                                    .index_id = sim->index.id,
	                                    .generation = sim->index.generation,
	                                    .partition = (int32_t)shard,
	                                    .rules_digest = rules_digest(&sim->index.rules),
	                                    .document_bytes_max = sim->index.rules.document_bytes_max,
	                                    .dedup_window = sim->index.rules.dedup_window};
	struct replica_status status;
	struct replica *replica;
	struct sim_disk copy;
	struct error error;
	struct kv *kv;

	held->commits_seen = held->image.disk.commits;
	sim_disk_copy(&copy, &held->image.disk);
	kv = sim_kv_open(&copy);
	if (replica_open(kv, &identity, 1, &replica, &error) != 0) {
		sim_violate(sim, "what is stored can be opened", "shard %u: %s", shard, error.text);
		kv_close(kv);
		sim_disk_deinit(&copy);
		return;
	}
	replica_status(replica, &status);
	if (status.received < held->image.stored_durable || status.received > held->received)
		sim_violate(sim, "stored never goes back, and never beyond received",
		            "shard %u: stored %lld after %lld, received %lld", shard,
		            (long long)status.received, (long long)held->image.stored_durable,
		            (long long)held->received);
	check_fold(sim, replica, timeline, shard);
	if (deep) {
		check_listing(sim, replica, timeline, shard);
		if (!sim->violated)
			check_marks(sim, replica, timeline);
		if (!sim->violated && reads_verify(replica, &error) != 0)
			sim_violate(sim, "what is stored is whole", "shard %u: %s", shard, error.text);
	}
	held->image.stored_durable = status.received;
	held->image.log_life = held->log_life;
	note_reached(held, log);
	replica_close(replica);
	sim_disk_deinit(&copy);
}
