/* One schedule: a world is drawn, faults rage, then they end and everything must come right. */
#include "shared/base/assert.h"
#include "tests/simulation/records.h"
#include "tests/simulation/sim.h"

#include <inttypes.h>
#include <stdlib.h>

#define SAFETY_EVENTS_MAX 20000
#define CALM_EVENTS_MAX 100000
#define CALM_MS_MAX 120000
#define EVENTS_PER_LOOK 16

static void write_cluster(struct sim *sim)
{
	struct cluster_record cluster = {.epoch = 1,
	                                 .task = 0,
	                                 .kafka = "simulated",
	                                 .rf = (int32_t)sim->swarm.rf,
	                                 .nodes_len = sim->swarm.nodes};
	struct buffer value;

	for (uint32_t n = 0; n < sim->swarm.nodes; n++)
		sim_node_record(sim, n, &cluster.nodes[n]);
	buffer_init(&value, 1 << 16);
	catalog_write_cluster(&value, &cluster);
	ASSERT(!buffer_failed(&value));
	sim_topology_write(sim, SIM_TOPIC_TOPOLOGY, slice_string("cluster"), buffer_slice(&value));
	buffer_deinit(&value);
}

static void write_index(struct sim *sim)
{
	struct buffer value;
	char key[64];

	buffer_init(&value, 1 << 16);
	catalog_write_index(&value, &sim->index);
	(void)snprintf(key, sizeof key, "index/%016" PRIx64, sim->index.id);
	ASSERT(!buffer_failed(&value));
	sim_topology_write(sim, SIM_TOPIC_META, slice_string(key), buffer_slice(&value));
	buffer_deinit(&value);
}

/* All replicas in-sync from the beginning, on nodes that follow each other. */
static void write_shards(struct sim *sim)
{
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		struct shard_record record = {.index_id = sim->index.id,
		                              .generation = 1,
		                              .partition = (int32_t)shard,
		                              .replicas_len = sim->swarm.rf,
		                              .task = 0};

		for (uint32_t i = 0; i < sim->swarm.rf; i++) {
			const char *id = sim->nodes[(shard + i) % sim->swarm.nodes].id;

			record.replicas[i].state = PLACEMENT_STATE_ACTIVE;
			record.replicas[i].in_sync = true;
			(void)snprintf(record.replicas[i].node, sizeof record.replicas[i].node, "%s", id);
		}
		sim_topology_write_shard(sim, &record);
	}
}

static void make_index(struct sim *sim)
{
	sim->index = (struct index_record){
		.id = dice_next(&sim->dice) | 1,
		.uid = "simulated",
		.topic = "millrace.docs.simulated",
		.own_topic = true,
		.state = INDEX_STATE_ACTIVE,
		.generation = 1,
		.partitions = (int32_t)sim->swarm.shards,
		.base = sim->base,
		.partitioner = sim->swarm.partitioner,
		.primary_key = "id",
		.writable = true,
		.rules = rules_default(),
		.task = 0,
		.created_at_ms = 1,
		.updated_at_ms = 1,
	};
	sim->index.rules.contract = sim->swarm.contract;
	sim->index.rules.document_bytes_max = RECORDS_BYTES_MAX;
	sim->index.rules.dedup_window = sim->swarm.dedup_window;
}

static void start_all(struct sim *sim, enum process_kind kind, enum event_kind event, uint32_t count)
{
	for (uint32_t number = 0; number < count; number++)
		sim_own_event(sim, (struct peer){kind, number, 0}, event, sim_delay(sim, 50));
}

static void begin_node(struct sim *sim, uint32_t number)
{
	struct sim_node *node = &sim->nodes[number];

	node->address = number;
	node->incarnation = (struct incarnation){{++sim->serial, 88}};
	node->older = node->incarnation;
	(void)snprintf(node->id, sizeof node->id, "n%u", number + 1);
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		sim_disk_init(&node->replicas[shard].image.disk, &sim->arena);
		sim_disk_init(&node->replicas[shard].older.disk, &sim->arena);
	}
}

static void begin(struct sim *sim)
{
	make_index(sim);
	for (uint32_t n = 0; n < sim->swarm.nodes; n++)
		begin_node(sim, n);
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		struct sim_log *log = &sim->logs[shard];

		log->index_id = sim->index.id;
		log->partition = (int32_t)shard;
		sim_log_init(log, &sim->swarm, &sim->arena, &sim->dice);
		sim->base[shard] = log->base;
		sim_event(sim, EVENT_PRODUCE, sim_delay(sim, 20))->shard = shard;
		sim->ingests[dice_below(&sim->dice, sim->swarm.ingests)].owns[shard] = true;
	}
	write_cluster(sim);
	write_index(sim);
	write_shards(sim);
	start_all(sim, PROCESS_NODE, EVENT_NODE_START, sim->swarm.nodes);
	start_all(sim, PROCESS_INGEST, EVENT_INGEST_START, sim->swarm.ingests);
	start_all(sim, PROCESS_GATEWAY, EVENT_GATEWAY_START, sim->swarm.gateways);
	start_all(sim, PROCESS_CONTROLLER, EVENT_CONTROLLER_START, sim->swarm.controllers);
	sim_event(sim, EVENT_FINAL, sim->swarm.final_ms_max);
	if (sim->swarm.controllers > 0)
		sim_requests_begin(sim);
	else
		sim_marks_begin(sim);
	sim_event(sim, EVENT_FAULT, sim_delay(sim, sim->swarm.fault_ms_max));
}

static bool settled(struct sim *sim, char *why, size_t why_size)
{
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++)
		if (!check_settled(sim, shard, why, why_size))
			return false;
	return true;
}

/* The last records come when all is well: whatever was lost on the way shows by then. */
static void produce_rest(struct sim *sim)
{
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		struct sim_log *log = &sim->logs[shard];

		sim_log_append_record(log, &sim->dice);
		for (int i = 0; i < 2 && dice_chance(&sim->dice, sim->swarm.marker_permille); i++)
			sim_log_append_marker(log);
	}
}

static void calm(struct sim *sim)
{
	char why[300] = "";
	int64_t deadline_ms = sim->now_ms + CALM_MS_MAX;
	uint64_t events_max = sim->events_run + CALM_EVENTS_MAX;
	/* no commit of before arrives after the last records */
	int64_t produced = sim->now_ms + COMMIT_MS_MAX + 1 + sim_delay(sim, sim->swarm.lean ? 300 : 3000);
	bool done = false;

	sim_trace(sim, "the faults end");
	sim_heal(sim);
	while (sim->now_ms < produced && sim_step(sim))
		continue;
	produce_rest(sim);
	while (!sim->violated && !done && sim->now_ms < deadline_ms && sim->events_run < events_max) {
		done = settled(sim, why, sizeof why);
		for (int i = 0; i < EVENTS_PER_LOOK && !done && sim_step(sim); i++)
			continue;
	}
	for (uint32_t shard = 0; shard < sim->swarm.shards && !sim->violated && !done; shard++)
		check_trace(sim, shard);
	if (!sim->violated && !done)
		sim_violate(sim, "after the faults everything becomes level", "%s", why);
}

static void check_end(struct sim *sim)
{
	sim_gateway_check(sim);
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		bool stopped = false;

		for (uint32_t n = 0; n < sim->swarm.nodes && !sim->violated; n++) {
			struct sim_replica *held = &sim->nodes[n].replicas[shard];

			if (held->replica == NULL)
				continue;
			stopped = stopped || held->received != sim->logs[shard].end;
			check_content(sim, held, shard);
			check_search(sim, held, shard);
			check_stored(sim, held, shard, true);
		}
		tally_add(&sim->tally->stopped, stopped);
	}
}

static void end(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->swarm.ingests; i++)
		sim_ingest_crash(sim, &sim->ingests[i]);
	for (uint32_t i = 0; i < sim->swarm.gateways; i++)
		sim_gateway_end(sim, &sim->gateways[i]);
	for (uint32_t i = 0; i < sim->swarm.controllers; i++)
		sim_controller_crash(sim, &sim->controllers[i]);
	for (uint32_t n = 0; n < sim->swarm.nodes; n++) {
		sim_node_crash(sim, &sim->nodes[n]);
		for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
			sim_disk_deinit(&sim->nodes[n].replicas[shard].image.disk);
			sim_disk_deinit(&sim->nodes[n].replicas[shard].older.disk);
		}
	}
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++)
		sim_log_deinit(&sim->logs[shard]);
	sim_topology_deinit(sim);
	free(sim->queue);
	arena_deinit(&sim->arena);
}

void schedule_run(struct schedule schedule, struct tally *tally, FILE *trace, struct schedule_result *result)
{
	struct sim *sim = calloc(1, sizeof *sim);

	ASSERT(sim != NULL);
	sim->seed = schedule.seed;
	sim->tally = tally;
	sim->trace = trace;
	arena_init(&sim->arena, 1 << 16);
	dice_seed(&sim->dice, schedule.seed);
	swarm_draw(&sim->swarm, &sim->dice, schedule.seed, schedule.contract);
	begin(sim);
	while (sim->now_ms < sim->swarm.safety_ms && sim->events_run < SAFETY_EVENTS_MAX && sim_step(sim))
		continue;
	if (!sim->violated)
		calm(sim);
	if (!sim->violated)
		check_end(sim);
	tally_add(&tally->events, sim->events_run);
	*result = (struct schedule_result){.violated = sim->violated, .hash = sim->hash};
	memcpy(result->invariant, sim->invariant, sizeof result->invariant);
	memcpy(result->violation, sim->violation, sizeof result->violation);
	end(sim);
	free(sim);
}
