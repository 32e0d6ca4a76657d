/* The nodes' side of a search: the product's serving rule decides, shard by shard. */
#include "shared/base/assert.h"
#include "tests/simulation/sim.h"

#define WAIT_MS 40

static void respond(struct sim *sim, const struct event *event, const struct leg_answer *answer)
{
	struct leg_answer *copy = arena_alloc(&sim->arena, sizeof *copy);
	struct event *back;

	ASSERT(copy != NULL);
	*copy = *answer;
	if (!sim_net_passes(sim, event->to, event->from))
		return;
	back = sim_own_event(sim, event->from, EVENT_GATEWAY_ANSWER,
	                     1 + sim_delay(sim, sim->calm ? 5 : sim->swarm.delay_ms_max));
	back->leg = event->leg;
	back->leg_answer = copy;
}

/* Asked again a little later, as long as somebody waits for it. */
static void wait(struct sim *sim, const struct event *event)
{
	struct event *again = sim_event(sim, EVENT_NODE_SEARCH, 1 + sim_delay(sim, WAIT_MS));
	int64_t at_ms = again->at_ms;
	uint64_t sequence = again->sequence;

	*again = *event;
	again->at_ms = at_ms;
	again->sequence = sequence;
}

static void answer(struct sim *sim, const struct sim_node *node, const struct event *event,
                   const struct serving_shard *seen)
{
	const struct leg *leg = event->leg;
	struct leg_answer found = {.outcome = LEG_ANSWERED};

	for (size_t i = 0; i < leg->partitions_len; i++) {
		found.received[i] = seen[i].received;
		if (serving_of(&seen[i], false) == SERVING_RECOVERING)
			found.stale[found.stale_len++] = leg->partitions[i];
		else
			check_served(sim, node, (uint32_t)leg->partitions[i]);
	}
	respond(sim, event, &found);
}

static void refuse(struct sim *sim, const struct event *event, const struct serving_shard *seen)
{
	static const enum node_refusal_reason reasons[SERVINGS] = {[SERVING_RECOVERING] =
	                                                                   NODE_REFUSAL_RECOVERING,
	                                                           [SERVING_BEHIND] = NODE_REFUSAL_BEHIND,
	                                                           [SERVING_STOPPED] = NODE_REFUSAL_STOPPED,
	                                                           [SERVING_ABSENT] = NODE_REFUSAL_ABSENT};
	const struct leg *leg = event->leg;
	struct leg_answer refused = {.outcome = LEG_REFUSED};

	for (size_t i = 0; i < leg->partitions_len; i++) {
		enum serving serving = serving_of(&seen[i], leg->stale);

		if (serving != SERVING_ACTIVE)
			refused.refusals[refused.refusals_len++] =
				(struct node_refusal){leg->partitions[i], reasons[serving]};
	}
	respond(sim, event, &refused);
}

void sim_search_answer(struct sim *sim, struct sim_node *node, const struct event *event)
{
	struct serving_shard seen[SHARDS_MAX];
	struct leg *leg = event->leg;
	struct serving_terms terms = {.stale = leg->stale, .may_wait = true, .now_ms = sim->now_ms};

	/* nobody listens, or it is another one than is meant: 421 */
	if (!node->process.alive || leg->node != event->to.number) {
		respond(sim, event, &(struct leg_answer){.outcome = LEG_FAILED});
		return;
	}
	if (leg->arrived_ms < 0) {
		leg->arrived_ms = sim->now_ms;
		leg->deadline_ms += sim->now_ms;
	}
	terms.arrived_ms = leg->arrived_ms;
	terms.deadline_ms = leg->deadline_ms;
	for (size_t i = 0; i < leg->partitions_len; i++) {
		seen[i] = sim_node_serving(sim, node, (uint32_t)leg->partitions[i]);
		seen[i].wanted = leg->flight->required[leg->partitions[i]];
	}
	switch (serving_decide(seen, leg->partitions_len, &terms)) {
	case SERVING_VERDICT_ANSWER:
		answer(sim, node, event, seen);
		break;
	case SERVING_VERDICT_WAIT:
		wait(sim, event);
		break;
	case SERVING_VERDICT_REFUSE:
		refuse(sim, event, seen);
		break;
	case SERVING_VERDICT_DROP:
		respond(sim, event, &(struct leg_answer){.outcome = LEG_LATE});
		break;
	}
}
