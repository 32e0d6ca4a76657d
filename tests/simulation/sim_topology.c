/* Meta and topology as topics, and how programs follow them. */
#include "shared/base/assert.h"
#include "tests/simulation/sim.h"

#include <inttypes.h>
#include <stdlib.h>

#define FOLLOW_SOON_MS 15

static void follow_later(struct sim *sim, struct peer peer, enum sim_topic_number topic)
{
	bool soon = sim->calm || dice_chance(&sim->dice, 600);
	struct event *event = sim_own_event(sim, peer, EVENT_FOLLOW,
	                                    sim_delay(sim, soon ? FOLLOW_SOON_MS : sim->swarm.follow_ms_max));

	event->topic = topic;
	event->offset = (int64_t)sim->topics[topic].len;
}

static void tell_all(struct sim *sim, enum sim_topic_number topic)
{
	static const enum process_kind kinds[] = {PROCESS_NODE, PROCESS_INGEST, PROCESS_GATEWAY};
	const uint32_t numbers[] = {sim->swarm.nodes, sim->swarm.ingests, sim->swarm.gateways};

	for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
		for (uint32_t number = 0; number < numbers[kind]; number++) {
			struct peer peer = {kinds[kind], number, 0};
			const struct process *process = sim_process(sim, peer);

			peer.life = process->life;
			if (process->alive && process->view.catalog != NULL)
				follow_later(sim, peer, topic);
		}
	}
}

static void trace_shard(struct sim *sim, const struct shard_record *record)
{
	static const char *const states[] = {[PLACEMENT_STATE_JOINING] = "joining",
	                                     [PLACEMENT_STATE_ACTIVE] = "active",
	                                     [PLACEMENT_STATE_LEAVING] = "leaving"};

	for (size_t i = 0; i < record->replicas_len; i++) {
		const struct placement *placement = &record->replicas[i];

		sim_trace(sim, "topology: shard %" PRId32 " on %s: %s%s, incarnation %" PRIu64,
		          record->partition, placement->node, states[placement->state],
		          placement->in_sync ? ", in-sync" : "", placement->incarnation.word[0]);
	}
}

/* The partition that the record is of; -1 if it is none of our index. */
static int32_t shard_of(const struct sim *sim, struct slice key)
{
	char text[64];

	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		(void)snprintf(text, sizeof text, "shard/%016" PRIx64 "/%u", sim->index.id, shard);
		if (slice_equal(key, slice_string(text)))
			return (int32_t)shard;
	}
	return -1;
}

/* Into what everybody could know, and compared with what was known before. */
static void apply(struct sim *sim, enum sim_topic_number topic, struct slice key)
{
	int32_t shard = topic == SIM_TOPIC_TOPOLOGY ? shard_of(sim, key) : -1;
	struct shard_record before = {0};
	const struct shard_record *record;

	if (sim->truth.catalog == NULL) {
		sim->truth.catalog = catalog_new();
		ASSERT(sim->truth.catalog != NULL);
	}
	record = shard >= 0 ? sim_view_shard(sim, &sim->truth, (uint32_t)shard) : NULL;
	if (record != NULL)
		before = *record;
	(void)sim_view_follow(sim, &sim->truth, topic, sim->topics[topic].len);
	if (shard < 0)
		return;
	record = sim_view_shard(sim, &sim->truth, (uint32_t)shard);
	trace_shard(sim, record);
	check_record(sim, &before, record);
}

void sim_topology_write(struct sim *sim, enum sim_topic_number topic, struct slice key, struct slice value)
{
	struct sim_topic *into = &sim->topics[topic];

	if (into->len == into->size) {
		into->size = into->size * 2 + 16;
		into->records = realloc(into->records, into->size * sizeof *into->records);
		ASSERT(into->records != NULL);
	}
	if (into->visible == into->len)
		into->visible++;
	into->records[into->len++] = (struct sim_record){sim_copy(sim, key), sim_copy(sim, value)};
	if (topic < SIM_FOLLOWED) {
		if (topic == SIM_TOPIC_META)
			check_index(sim, key, value);
		apply(sim, topic, key);
		sim_skips_recorded(sim);
		tell_all(sim, topic);
	} else if (topic == SIM_TOPIC_TASK_STATES) {
		check_final(sim, value);
	}
}

void sim_topology_write_shard(struct sim *sim, const struct shard_record *record)
{
	struct buffer value;
	char key[64];

	buffer_init(&value, 1 << 16);
	catalog_write_shard(&value, record);
	ASSERT(!buffer_failed(&value));
	(void)snprintf(key, sizeof key, "shard/%016" PRIx64 "/%" PRId32, record->index_id, record->partition);
	sim_topology_write(sim, SIM_TOPIC_TOPOLOGY, slice_string(key), buffer_slice(&value));
	buffer_deinit(&value);
}

bool sim_view_follow(struct sim *sim, struct sim_view *view, enum sim_topic_number topic, size_t to)
{
	static const enum catalog_topic topics[SIM_FOLLOWED] = {CATALOG_TOPIC_META, CATALOG_TOPIC_TOPOLOGY};
	const struct sim_topic *from = &sim->topics[topic];
	size_t *at = &view->at[topic];
	size_t before = *at;

	for (; *at < to; (*at)++) {
		const struct sim_record *record = &from->records[*at];
		struct error error;

		if (catalog_apply(view->catalog, topics[topic], (int64_t)*at, record->key, record->value,
		                  &error) != 0)
			sim_violate(sim, "the records of meta can be read", "%s", error.text);
	}
	return *at > before;
}

void sim_view_open(struct sim *sim, struct sim_view *view)
{
	sim_view_close(view);
	view->catalog = catalog_new();
	ASSERT(view->catalog != NULL);
	for (int topic = 0; topic < SIM_FOLLOWED; topic++)
		(void)sim_view_follow(sim, view, (enum sim_topic_number)topic, sim->topics[topic].visible);
}

void sim_view_close(struct sim_view *view)
{
	catalog_free(view->catalog);
	*view = (struct sim_view){0};
}

const struct shard_record *sim_view_shard(const struct sim *sim, const struct sim_view *view, uint32_t shard)
{
	return view->catalog == NULL ? NULL : catalog_shard(view->catalog, sim->index.id, (int32_t)shard);
}

void sim_topology_deinit(struct sim *sim)
{
	sim_view_close(&sim->truth);
	for (int i = 0; i < SIM_TOPICS; i++)
		free(sim->topics[i].records);
}

/* Whoever has read too little reads again. */
void sim_topology_restore(struct sim *sim)
{
	for (int i = 0; i < SIM_TOPICS; i++)
		sim->topics[i].visible = sim->topics[i].len;
	for (uint32_t n = 0; n < sim->swarm.nodes; n++) {
		struct sim_node *node = &sim->nodes[n];

		if (node->refused) {
			node->refused = false;
			sim_node_start(sim, n);
		} else if (node->process.alive) {
			sim_view_open(sim, &node->process.view);
			sim_node_decide(sim, node);
		}
	}
	for (uint32_t i = 0; i < sim->swarm.ingests; i++) {
		if (!sim->ingests[i].process.alive)
			continue;
		sim_view_open(sim, &sim->ingests[i].process.view);
		sim_ingest_follow(sim, &sim->ingests[i]);
	}
	for (uint32_t i = 0; i < sim->swarm.gateways; i++)
		if (sim->gateways[i].process.alive)
			sim_view_open(sim, &sim->gateways[i].process.view);
}
