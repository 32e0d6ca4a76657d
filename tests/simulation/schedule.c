/* One schedule: a world is drawn, faults rage, then they end and everything must come right. */
#include "shared/base/assert.h"
#include "tests/simulation/sim.h"

#include <inttypes.h>
#include <stdlib.h>

#define SAFETY_EVENTS_MAX 20000
#define CALM_EVENTS_MAX 100000
#define CALM_MS_MAX 120000

static void add_meta(struct sim *sim, enum catalog_topic topic, const char *key, struct buffer *value)
{
	ASSERT(!buffer_failed(value) && sim->meta_len < META_RECORDS_MAX);
	sim->meta[sim->meta_len++] = (struct meta_record){topic, sim_copy(sim, slice_string(key)),
	                                                  sim_copy(sim, buffer_slice(value))};
	buffer_clear(value);
}

static void write_meta(struct sim *sim)
{
	struct buffer value;
	char key[64];

	buffer_init(&value, 1 << 16);
	catalog_write_index(&value, &sim->index);
	(void)snprintf(key, sizeof key, "index/%016" PRIx64, sim->index.id);
	add_meta(sim, CATALOG_TOPIC_META, key, &value);
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		struct shard_record record = {.index_id = sim->index.id,
		                              .generation = 1,
		                              .partition = (int32_t)shard,
		                              .replicas_len = 1,
		                              .task = 1};

		record.replicas[0].state = PLACEMENT_STATE_ACTIVE;
		record.replicas[0].in_sync = true;
		(void)snprintf(record.replicas[0].node, sizeof record.replicas[0].node, "%s",
		               sim_home(sim, shard)->id);
		catalog_write_shard(&value, &record);
		(void)snprintf(key, sizeof key, "shard/%016" PRIx64 "/%u", sim->index.id, shard);
		add_meta(sim, CATALOG_TOPIC_TOPOLOGY, key, &value);
	}
	buffer_deinit(&value);
	sim->meta_visible = sim->meta_len;
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
		.task = 1,
		.created_at_ms = 1,
		.updated_at_ms = 1,
	};
	sim->index.rules.document_bytes_max = 400;
}

static void begin(struct sim *sim)
{
	make_index(sim);
	for (uint32_t n = 0; n < sim->swarm.nodes; n++)
		(void)snprintf(sim->nodes[n].id, sizeof sim->nodes[n].id, "n%u", n + 1);
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		struct sim_log *log = &sim->logs[shard];

		log->index_id = sim->index.id;
		log->partition = (int32_t)shard;
		sim_log_init(log, &sim->swarm, &sim->arena, &sim->dice);
		sim->base[shard] = log->base;
		sim_disk_init(&sim_home(sim, shard)->replicas[shard].disk, &sim->arena);
		sim_event(sim, EVENT_PRODUCE, sim_delay(sim, 20))->shard = shard;
		sim->ingests[dice_below(&sim->dice, sim->swarm.ingests)].owns[shard] = true;
	}
	write_meta(sim);
	for (uint32_t n = 0; n < sim->swarm.nodes; n++) {
		struct event *event = sim_event(sim, EVENT_NODE_START, sim_delay(sim, 50));

		event->process = PROCESS_NODE;
		event->number = n;
	}
	for (uint32_t i = 0; i < sim->swarm.ingests; i++) {
		struct event *event = sim_event(sim, EVENT_INGEST_START, sim_delay(sim, 50));

		event->process = PROCESS_INGEST;
		event->number = i;
	}
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
	int64_t produced = sim->now_ms + COMMIT_MS_MAX + 1 + sim_delay(sim, 3000);
	bool done = false;

	sim_trace(sim, "the faults end");
	sim_heal(sim);
	while (sim->now_ms < produced && sim_step(sim))
		continue;
	produce_rest(sim);
	while (!sim->violated && !(done = settled(sim, why, sizeof why)) && sim->now_ms < deadline_ms &&
	       sim->events_run < events_max && sim_step(sim))
		continue;
	if (!sim->violated && !done)
		sim_violate(sim, "after the faults everything becomes level", "%s", why);
}

static void check_end(struct sim *sim)
{
	for (uint32_t shard = 0; shard < sim->swarm.shards && !sim->violated; shard++) {
		struct sim_replica *held = &sim_home(sim, shard)->replicas[shard];
		const struct sim_log *log = &sim->logs[shard];

		if (held->received != log->end)
			tally_add(&sim->tally->stopped, 1);
		check_content(sim, held, shard);
		check_search(sim, held, shard);
		check_stored(sim, held, shard);
	}
}

static void end(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->swarm.ingests; i++)
		sim_ingest_crash(sim, &sim->ingests[i]);
	for (uint32_t n = 0; n < sim->swarm.nodes; n++)
		sim_node_crash(sim, &sim->nodes[n]);
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		sim_log_deinit(&sim->logs[shard]);
		sim_disk_deinit(&sim_home(sim, shard)->replicas[shard].disk);
	}
	free(sim->queue);
	arena_deinit(&sim->arena);
}

void schedule_run(uint64_t seed, struct tally *tally, FILE *trace, struct schedule_result *result)
{
	struct sim *sim = calloc(1, sizeof *sim);

	ASSERT(sim != NULL);
	sim->seed = seed;
	sim->tally = tally;
	sim->trace = trace;
	arena_init(&sim->arena, 1 << 16);
	dice_seed(&sim->dice, seed);
	swarm_draw(&sim->swarm, &sim->dice);
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
