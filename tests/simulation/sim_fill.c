/* Pages of marks on their way from a node to a feeder, and what the node says. */
#include "shared/base/assert.h"
#include "tests/simulation/sim.h"

#define FILL_TIMEOUT_MS 1500

void sim_fill_ask(struct sim *sim, struct sim_ingest *ingest, const struct feeder_action *action)
{
	struct peer from = sim_ingest_peer(sim, ingest);
	struct peer to = {PROCESS_NODE, sim->nodes[action->node].address, 0};
	struct event *timeout = sim_own_event(sim, from, EVENT_INGEST_FILLED, FILL_TIMEOUT_MS);
	struct feeder_replica_status replica;
	struct event *event;

	timeout->shard = ingest->readers[action->reader].shard;
	timeout->slot = action->slot;
	timeout->node = action->node;
	timeout->reader = action->reader;
	timeout->epoch = action->epoch;
	timeout->serial = ++sim->serial;
	ingest->filling[action->reader] = timeout->serial;
	tally_add(&sim->tally->fills, 1);
	if (!sim_net_passes(sim, from, to))
		return;
	event = sim_own_event(sim, to, EVENT_NODE_MARKS,
	                      1 + sim_delay(sim, sim->calm ? 5 : sim->swarm.delay_ms_max));
	event->from = from;
	event->shard = timeout->shard;
	event->slot = timeout->slot;
	event->node = timeout->node;
	event->reader = timeout->reader;
	event->epoch = timeout->epoch;
	event->serial = timeout->serial;
	event->offset = action->offset;
	event->received = action->received;
	for (size_t i = 0; feeder_replica_status(ingest->feeder, action->slot, i, &replica); i++)
		if (replica.node == action->node)
			event->incarnation = replica.incarnation;
}

/* The page, unless another replica is meant, or another state of it. */
static struct slice page_of(struct sim *sim, struct sim_node *node, const struct event *event)
{
	struct sim_replica *held = &node->replicas[event->shard];
	struct buffer page;
	struct slice copy = {0};
	struct replica_status status;

	if (held->replica == NULL || event->node != event->to.number)
		return copy;
	replica_status(held->replica, &status);
	/* whoever gets it looks too */
	if (dice_chance(&sim->dice, 500) && (!incarnation_equal(status.incarnation, event->incarnation) ||
	                                     status.received != event->received))
		return copy;
	if (!sim->calm && dice_chance(&sim->dice, sim->swarm.fill_refused_permille)) {
		sim_count(sim, FAULT_FILL_REFUSED, node, NULL);
		return copy;
	}
	buffer_init(&page, MARKS_PAGE_BYTES_MAX);
	if (check_page(sim, held->replica, event->offset, &page))
		copy = sim_copy(sim, buffer_slice(&page));
	buffer_deinit(&page);
	return copy;
}

void sim_fill_answer(struct sim *sim, struct sim_node *node, const struct event *event)
{
	struct event *answer;

	if (!node->process.alive || !sim_net_passes(sim, event->to, event->from) ||
	    (!sim->calm && dice_chance(&sim->dice, sim->swarm.lost_permille)))
		return;
	answer = sim_own_event(sim, event->from, EVENT_INGEST_FILLED,
	                       1 + sim_delay(sim, sim->calm ? 5 : sim->swarm.delay_ms_max));
	answer->shard = event->shard;
	answer->slot = event->slot;
	answer->node = event->node;
	answer->reader = event->reader;
	answer->epoch = event->epoch;
	answer->serial = event->serial;
	answer->frame = page_of(sim, node, event);
}

void sim_fill_filled(struct sim *sim, struct sim_ingest *ingest, const struct event *event)
{
	struct feeder_fill fill = {event->slot, event->reader, event->epoch};
	struct marks_page page;
	struct error error;

	if (ingest->filling[event->reader] != event->serial)
		return; /* it has timed out */
	ingest->filling[event->reader] = 0;
	if (event->frame.len == 0) {
		feeder_filled(ingest->feeder, &fill, NULL, sim->now_ms);
		return;
	}
	if (marks_open(&page, event->frame, &error) != 0) {
		sim_violate(sim, "pages of marks are well-formed", "%s", error.text);
		return;
	}
	feeder_filled(ingest->feeder, &fill, &page, sim->now_ms);
}
