/* Gateways: each searches from time to time, as far as it has read meta and topology. */
#include "shared/base/assert.h"
#include "tests/simulation/sim.h"

#define SEARCH_TIMEOUT_MS 1500

/* One search of one shard. */
struct search {
	uint32_t shard;
	int64_t token;    /* what the client has seen: the answer covers it */
	int64_t promised; /* what all in-sync replicas had received when it began, by the gateway's topology */
	uint32_t log_cuts;
	uint32_t asked;   /* nodes, as bits */
	uint64_t serial;  /* of the open question */
	int64_t asked_ms; /* when that left */
	bool done;
};

static int64_t promised(const struct sim *sim, const struct sim_gateway *gateway, uint32_t shard)
{
	const struct shard_record *record = sim_view_shard(sim, &gateway->process.view, shard);
	int64_t lowest = INT64_MAX;

	for (size_t i = 0; i < record->replicas_len; i++) {
		const struct placement *placement = &record->replicas[i];
		uint32_t node = sim_node_number(sim, placement->node);
		struct sim_reached reached;

		if (!placement->in_sync)
			continue;
		reached = check_reached(&sim->nodes[node].replicas[shard], placement->incarnation);
		if (reached.received < lowest)
			lowest = reached.received;
	}
	return lowest == INT64_MAX ? 0 : lowest;
}

static struct event *gateway_event(struct sim *sim, struct sim_gateway *gateway, enum event_kind kind,
                                   int64_t in_ms)
{
	struct peer peer = {PROCESS_GATEWAY, (uint32_t)(gateway - sim->gateways), gateway->process.life};

	return sim_own_event(sim, peer, kind, in_ms);
}

/* One of the replicas that its topology calls active and in-sync, and that was not asked yet. */
static const struct placement *choose(struct sim *sim, const struct sim_gateway *gateway,
                                      const struct search *search)
{
	const struct shard_record *record = sim_view_shard(sim, &gateway->process.view, search->shard);
	size_t first;

	if (record == NULL || record->replicas_len == 0)
		return NULL;
	first = dice_below(&sim->dice, (uint32_t)record->replicas_len);
	for (size_t i = 0; i < record->replicas_len; i++) {
		const struct placement *placement = &record->replicas[(first + i) % record->replicas_len];
		uint32_t node = sim_node_number(sim, placement->node);

		if (placement->in_sync && placement->state == PLACEMENT_STATE_ACTIVE &&
		    (search->asked & (1U << node)) == 0)
			return placement;
	}
	return NULL;
}

static void ask(struct sim *sim, struct sim_gateway *gateway, struct search *search)
{
	const struct placement *placement = choose(sim, gateway, search);
	uint32_t node;
	struct event *timeout;
	struct event *event;
	struct peer to;

	if (placement == NULL) {
		search->done = true; /* in part, or flagged: promises nothing */
		return;
	}
	node = sim_node_number(sim, placement->node);
	search->asked |= 1U << node;
	search->serial = ++sim->serial;
	search->asked_ms = sim->now_ms;
	timeout = gateway_event(sim, gateway, EVENT_GATEWAY_ANSWER, SEARCH_TIMEOUT_MS);
	timeout->search = search;
	timeout->serial = search->serial;
	to = (struct peer){PROCESS_NODE, sim->nodes[node].address, 0};
	if (!sim_net_passes(sim, timeout->to, to))
		return;
	event = sim_own_event(sim, to, EVENT_NODE_SEARCH,
	                      1 + sim_delay(sim, sim->calm ? 5 : sim->swarm.delay_ms_max));
	event->from = timeout->to;
	event->shard = search->shard;
	event->node = node;
	event->search = search;
	event->serial = search->serial;
}

static void respond(struct sim *sim, const struct event *event, const struct sim_node *node, bool good)
{
	struct event *answer;

	if (!sim_net_passes(sim, event->to, event->from))
		return;
	answer = sim_own_event(sim, event->from, EVENT_GATEWAY_ANSWER,
	                       1 + sim_delay(sim, sim->calm ? 5 : sim->swarm.delay_ms_max));
	answer->search = event->search;
	answer->serial = event->serial;
	answer->good = good;
	answer->offset = node->replicas[event->shard].received;
}

/* Asked again a little later, as long as somebody waits for it. */
static void wait(struct sim *sim, const struct event *event)
{
	struct event *again = sim_event(sim, EVENT_NODE_SEARCH, 1 + sim_delay(sim, 60));
	int64_t at_ms = again->at_ms;
	uint64_t sequence = again->sequence;

	*again = *event;
	again->at_ms = at_ms;
	again->sequence = sequence;
}

void sim_search_answer(struct sim *sim, struct sim_node *node, const struct event *event)
{
	struct serving_shard serving;
	struct serving_terms terms = {.may_wait = true,
	                              .arrived_ms = event->search->asked_ms,
	                              .deadline_ms = event->search->asked_ms + SEARCH_TIMEOUT_MS,
	                              .now_ms = sim->now_ms};

	if (!node->process.alive || event->node != event->to.number) {
		respond(sim, event, node, false);
		return;
	}
	serving = sim_node_serving(sim, node, event->shard);
	serving.wanted = event->search->token;
	switch (serving_decide(&serving, 1, &terms)) {
	case SERVING_VERDICT_ANSWER:
		check_served(sim, node, event->shard);
		respond(sim, event, node, true);
		break;
	case SERVING_VERDICT_WAIT:
		wait(sim, event);
		break;
	case SERVING_VERDICT_REFUSE:
		respond(sim, event, node, false);
		break;
	case SERVING_VERDICT_DROP:
		break;
	}
}

static void begin(struct sim *sim, struct sim_gateway *gateway)
{
	uint32_t shard = dice_below(&sim->dice, sim->swarm.shards);
	const struct sim_log *log = &sim->logs[shard];
	struct search *search;

	if (sim_view_shard(sim, &gateway->process.view, shard) == NULL)
		return;
	search = arena_alloc(&sim->arena, sizeof *search);
	ASSERT(search != NULL);
	*search = (struct search){
		.shard = shard, .promised = promised(sim, gateway, shard), .log_cuts = sim->log_cuts};
	if (dice_chance(&sim->dice, sim->swarm.token_permille))
		search->token = log->end - (dice_chance(&sim->dice, 500) ? 0 : sim_delay(sim, 20));
	ask(sim, gateway, search);
}

/* What an answer without a flag promises. */
static void check_answer(struct sim *sim, const struct search *search, int64_t received)
{
	tally_add(&sim->tally->answers_unflagged, 1);
	if (search->log_cuts != sim->log_cuts || sim->logs[search->shard].life != 0)
		return; /* of another log */
	if (received < search->token)
		sim_violate(sim, "a read sees what its token names", "shard %u: answered at %lld, token %lld",
		            search->shard, (long long)received, (long long)search->token);
	if (received < search->promised)
		sim_violate(sim, "an answer without a flag has what all in-sync replicas had",
		            "shard %u: answered at %lld, they had %lld when the search began", search->shard,
		            (long long)received, (long long)search->promised);
}

static void answered(struct sim *sim, struct sim_gateway *gateway, const struct event *event)
{
	struct search *search = event->search;

	if (search->done || search->serial != event->serial)
		return;
	if (event->good) {
		search->done = true;
		check_answer(sim, search, event->offset);
		return;
	}
	tally_add(&sim->tally->answers_refused, 1);
	ask(sim, gateway, search);
}

void sim_gateway_start(struct sim *sim, uint32_t number)
{
	struct sim_gateway *gateway = &sim->gateways[number];

	if (gateway->process.alive)
		return;
	gateway->process = (struct process){.alive = true, .life = (uint32_t)++sim->serial, .paused_ms = -1};
	sim_view_open(sim, &gateway->process.view);
	gateway_event(sim, gateway, EVENT_GATEWAY_SEARCH, sim_delay(sim, sim->swarm.ask_ms_max));
}

void sim_gateway_event(struct sim *sim, const struct event *event)
{
	struct sim_gateway *gateway = &sim->gateways[event->to.number];

	switch (event->kind) {
	case EVENT_GATEWAY_START:
		sim_gateway_start(sim, event->to.number);
		break;
	case EVENT_GATEWAY_SEARCH:
		begin(sim, gateway);
		gateway_event(sim, gateway, EVENT_GATEWAY_SEARCH, 1 + sim_delay(sim, sim->swarm.ask_ms_max));
		break;
	default: /* EVENT_GATEWAY_ANSWER */
		answered(sim, gateway, event);
		break;
	}
}
