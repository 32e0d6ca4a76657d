/* Meta and topology as topics, and how programs follow them. */
#include "shared/base/assert.h"
#include "tests/simulation/sim.h"

#include <inttypes.h>
#include <stdlib.h>

#define FOLLOW_SOON_MS 15

static void follow_later(struct sim *sim, struct peer peer, enum catalog_topic topic, size_t to)
{
	bool soon = sim->calm || dice_chance(&sim->dice, 600);
	struct event *event = sim_own_event(sim, peer, EVENT_FOLLOW,
	                                    sim_delay(sim, soon ? FOLLOW_SOON_MS : sim->swarm.follow_ms_max));

	event->topic = topic;
	event->offset = (int64_t)to;
}

static void tell_all(struct sim *sim, enum catalog_topic topic)
{
	static const enum process_kind kinds[] = {PROCESS_NODE, PROCESS_INGEST, PROCESS_GATEWAY};
	const uint32_t numbers[] = {sim->swarm.nodes, sim->swarm.ingests, sim->swarm.gateways};

	for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
		for (uint32_t number = 0; number < numbers[kind]; number++) {
			struct peer peer = {kinds[kind], number, 0};
			const struct process *process = sim_process(sim, peer);

			peer.life = process->life;
			if (process->alive && process->view.catalog != NULL)
				follow_later(sim, peer, topic, sim->topics[topic - 1].len);
		}
	}
}

void sim_topology_append(struct sim *sim, enum catalog_topic topic, const char *key, struct buffer *value)
{
	struct sim_topic *into = &sim->topics[topic - 1];

	ASSERT(!buffer_failed(value));
	if (into->len == into->size) {
		into->size = into->size * 2 + 16;
		into->records = realloc(into->records, into->size * sizeof *into->records);
		ASSERT(into->records != NULL);
	}
	if (into->visible == into->len)
		into->visible++;
	into->records[into->len++] =
		(struct sim_record){sim_copy(sim, slice_string(key)), sim_copy(sim, buffer_slice(value))};
	if (sim->truth.catalog == NULL) {
		sim->truth.catalog = catalog_new();
		ASSERT(sim->truth.catalog != NULL);
	}
	(void)sim_view_follow(sim, &sim->truth, topic, into->len);
	tell_all(sim, topic);
}

void sim_topology_write_shard(struct sim *sim, const struct shard_record *record)
{
	struct buffer value;
	char key[64];

	check_record(sim, record);
	buffer_init(&value, 1 << 16);
	catalog_write_shard(&value, record);
	(void)snprintf(key, sizeof key, "shard/%016" PRIx64 "/%" PRId32, record->index_id, record->partition);
	sim_topology_append(sim, CATALOG_TOPIC_TOPOLOGY, key, &value);
	buffer_deinit(&value);
	for (size_t i = 0; i < record->replicas_len; i++)
		sim_trace(sim, "topology: shard %" PRId32 " on %s: %s%s, incarnation %" PRIu64,
		          record->partition, record->replicas[i].node,
		          record->replicas[i].state == PLACEMENT_STATE_JOINING  ? "joining"
		          : record->replicas[i].state == PLACEMENT_STATE_ACTIVE ? "active"
		                                                                : "leaving",
		          record->replicas[i].in_sync ? ", in-sync" : "",
		          record->replicas[i].incarnation.word[0]);
}

bool sim_view_follow(struct sim *sim, struct sim_view *view, enum catalog_topic topic, size_t to)
{
	const struct sim_topic *from = &sim->topics[topic - 1];
	size_t *at = &view->at[topic - 1];
	size_t before = *at;

	for (; *at < to; (*at)++) {
		const struct sim_record *record = &from->records[*at];
		struct error error;

		if (catalog_apply(view->catalog, topic, (int64_t)*at, record->key, record->value, &error) !=
		    0)
			sim_violate(sim, "the records of meta can be read", "%s", error.text);
	}
	return *at > before;
}

void sim_view_open(struct sim *sim, struct sim_view *view)
{
	sim_view_close(view);
	view->catalog = catalog_new();
	ASSERT(view->catalog != NULL);
	(void)sim_view_follow(sim, view, CATALOG_TOPIC_META, sim->topics[CATALOG_TOPIC_META - 1].visible);
	(void)sim_view_follow(sim, view, CATALOG_TOPIC_TOPOLOGY,
	                      sim->topics[CATALOG_TOPIC_TOPOLOGY - 1].visible);
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
