/* Requests between ingest and nodes: delay, loss, lost answers, duplicates, reordering, old packets. */
#include "tests/simulation/sim.h"

#define REQUEST_TIMEOUT_MS 1500

static uint32_t place_of(struct peer peer)
{
	switch (peer.kind) {
	case PROCESS_INGEST:
		return SIM_NODES_MAX + peer.number;
	case PROCESS_GATEWAY:
		return SIM_NODES_MAX + INGESTS_MAX + peer.number;
	case PROCESS_CONTROLLER:
		return SIM_NODES_MAX + INGESTS_MAX + GATEWAYS_MAX + peer.number;
	default:
		return peer.number;
	}
}

bool sim_net_passes(const struct sim *sim, struct peer from, struct peer to)
{
	return sim->calm || sim->cut_until_ms[place_of(from)][place_of(to)] <= sim->now_ms;
}

void sim_net_cut(struct sim *sim, struct peer from, struct peer to, int64_t until_ms)
{
	sim->cut_until_ms[place_of(from)][place_of(to)] = until_ms;
}

/* The frame reaches the node; `silent` if the sender knows nothing of this delivery. */
static struct event *deliver(struct sim *sim, const struct event *packet, int64_t in_ms, bool silent)
{
	struct event *event = sim_event(sim, EVENT_NODE_BATCH, in_ms);
	uint64_t sequence = event->sequence;
	int64_t at_ms = event->at_ms;

	*event = *packet;
	event->sequence = sequence;
	event->at_ms = at_ms;
	event->silent = silent;
	event->frame = sim_copy(sim, packet->frame); /* scribbled over after use */
	return event;
}

static void remember(struct sim *sim, struct event *packet)
{
	uint32_t place =
		sim->replays_len < REPLAYS_MAX ? sim->replays_len++ : dice_below(&sim->dice, REPLAYS_MAX);

	sim->replays[place] = packet;
}

void sim_net_send(struct sim *sim, struct sim_ingest *ingest, uint32_t node, struct slice frame)
{
	const struct swarm *swarm = &sim->swarm;
	struct sim_request *request = &ingest->requests[node];
	struct peer from = sim_ingest_peer(sim, ingest);
	struct event *timeout = sim_own_event(sim, from, EVENT_INGEST_ANSWER, REQUEST_TIMEOUT_MS);
	struct event *packet = arena_alloc(&sim->arena, sizeof *packet);

	timeout->node = node;
	timeout->serial = request->serial;
	timeout->batch_id = request->batch_id;

	*packet = *timeout;
	packet->kind = EVENT_NODE_BATCH;
	packet->to = (struct peer){PROCESS_NODE, sim->nodes[node].address, 0};
	packet->from = from;
	packet->log_cuts = sim->log_cuts;
	packet->frame = sim_copy(sim, frame);
	remember(sim, packet);
	if (!sim_net_passes(sim, from, packet->to))
		return;
	if (!sim->calm && dice_chance(&sim->dice, swarm->lost_permille)) {
		sim_count(sim, FAULT_NET_LOST, &sim->nodes[node], NULL);
		return;
	}
	deliver(sim, packet, 1 + sim_delay(sim, sim->calm ? 5 : swarm->delay_ms_max), false);
	if (!sim->calm && dice_chance(&sim->dice, swarm->twice_permille)) {
		sim_count(sim, FAULT_NET_TWICE, &sim->nodes[node], NULL);
		deliver(sim, packet, 1 + sim_delay(sim, 4 * swarm->delay_ms_max), true);
	}
	if (!sim->calm && dice_chance(&sim->dice, swarm->replay_permille))
		sim_net_replay(sim);
}

void sim_net_replay(struct sim *sim)
{
	struct event *packet;

	if (sim->replays_len == 0)
		return;
	packet = sim->replays[dice_below(&sim->dice, sim->replays_len)];
	sim_count(sim, FAULT_NET_REPLAY, &sim->nodes[packet->to.number], NULL);
	deliver(sim, packet, sim_delay(sim, 2000), true);
}

void sim_net_answer(struct sim *sim, const struct event *request, struct slice frame)
{
	struct event *answer;

	if (request->silent || !sim_net_passes(sim, request->to, request->from))
		return;
	if (!sim->calm && frame.len > 0 && dice_chance(&sim->dice, sim->swarm.half_open_permille)) {
		sim_count(sim, FAULT_NET_HALF_OPEN, &sim->nodes[request->to.number], NULL);
		return;
	}
	answer = sim_own_event(sim, request->from, EVENT_INGEST_ANSWER,
	                       1 + sim_delay(sim, sim->calm ? 5 : sim->swarm.delay_ms_max));
	answer->node = request->node;
	answer->serial = request->serial;
	answer->batch_id = request->batch_id;
	answer->frame = sim_copy(sim, frame);
}
