/* One flight: whom the scatter wants asked, what came back, and the end. */
#include "shared/base/assert.h"
#include "tests/simulation/sim.h"

#define US_PER_MS 1000
/* As the product's: a node's deadline is a little before ours, and it ends a wait before its own. */
#define DEADLINE_PARTS 8
#define DEADLINE_MARGIN_MS_MAX 50
#define NODE_TAIL_MS 50

static int64_t now_us(const struct sim *sim)
{
	return sim->now_ms * US_PER_MS;
}

/* What all replicas that this topology calls in-sync have ever received. */
static int64_t promised(const struct sim *sim, const struct catalog *catalog, uint32_t shard)
{
	const struct shard_record *record = catalog_shard(catalog, sim->index.id, (int32_t)shard);
	int64_t lowest = INT64_MAX;

	for (size_t i = 0; record != NULL && i < record->replicas_len; i++) {
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

static int64_t node_deadline(int64_t left_ms, int64_t patience_us)
{
	int64_t margin_ms = left_ms / DEADLINE_PARTS;
	int64_t deadline_ms =
		left_ms - (margin_ms > DEADLINE_MARGIN_MS_MAX ? DEADLINE_MARGIN_MS_MAX : margin_ms);

	if (patience_us / US_PER_MS < deadline_ms - NODE_TAIL_MS)
		return patience_us / US_PER_MS + NODE_TAIL_MS;
	return deadline_ms;
}

static void send_leg(struct sim *sim, struct sim_gateway *gateway, struct flight *flight,
                     const struct scatter_action *action)
{
	struct leg *leg = arena_alloc(&sim->arena, sizeof *leg);
	int64_t left_ms = (flight->deadline_us - now_us(sim)) / US_PER_MS + 1;
	struct event *timeout;
	struct event *event;
	struct peer to;

	ASSERT(leg != NULL && action->partitions_len <= SHARDS_MAX);
	*leg = (struct leg){.flight = flight,
	                    .number = action->leg,
	                    .node = sim_node_number(sim, action->node->id),
	                    .partitions_len = action->partitions_len,
	                    .stale = action->stale,
	                    .deadline_ms = node_deadline(left_ms, action->patience_us),
	                    .arrived_ms = -1};
	memcpy(leg->partitions, action->partitions, action->partitions_len * sizeof leg->partitions[0]);
	timeout = sim_own_event(sim, sim_gateway_peer(sim, gateway), EVENT_GATEWAY_ANSWER, left_ms);
	timeout->leg = leg;
	to = (struct peer){PROCESS_NODE, sim->nodes[leg->node].address, 0};
	if (!sim_net_passes(sim, timeout->to, to))
		return;
	event = sim_own_event(sim, to, EVENT_NODE_SEARCH,
	                      1 + sim_delay(sim, sim->calm ? 5 : sim->swarm.delay_ms_max));
	event->from = timeout->to;
	event->leg = leg;
}

/* What the client is told: "shards=simulated/0; stale=simulated/1,simulated/2". */
static void read_flags(const struct sim *sim, struct flight *flight)
{
	struct buffer text;

	buffer_init(&text, 1 << 12);
	scatter_append_degraded(flight->scatter, &text);
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		char name[32];
		int len = snprintf(name, sizeof name, "simulated/%u", shard);

		flight->flagged[shard] =
			text.len > 0 && memmem(text.ptr, text.len, name, (size_t)len) != NULL;
	}
	buffer_deinit(&text);
}

static void finish(struct sim *sim, struct sim_gateway *gateway, struct flight *flight)
{
	int32_t partitions = (int32_t)sim->swarm.shards;
	struct flight **at = &gateway->flights;
	struct coalesce_landing landing = {.now_ms = sim->now_ms, .covered = flight->covered};

	flight->finished = true;
	read_flags(sim, flight);
	landing.failed = token_uncovered(flight->covered, flight->requires ? flight->required : NULL,
	                                 partitions) >= 0 ||
	                 scatter_missing(flight->scatter) == sim->swarm.shards;
	if (landing.failed)
		landing.covered = NULL;
	while (*at != flight)
		at = &(*at)->next;
	*at = flight->next;
	sim_gateway_landed(sim, gateway, flight, &landing);
}

/* Carries out what the scatter wants. The flight may be over after it. */
static void step(struct sim *sim, struct sim_gateway *gateway, struct flight *flight,
                 struct scatter_event *event)
{
	struct scatter_action action;
	struct error error;
	bool finished = false;
	struct event *tick;
	int64_t wake_us;

	event->now_us = now_us(sim);
	if (scatter_step(flight->scatter, event, &error) != 0)
		sim_violate(sim, "a search goes on while memory lasts", "%s", error.text);
	while (scatter_take(flight->scatter, &action)) {
		if (action.kind == SCATTER_ACTION_SEND)
			send_leg(sim, gateway, flight, &action);
		else
			finished = true;
	}
	if (finished) {
		finish(sim, gateway, flight);
		return;
	}
	wake_us = scatter_wake_us(flight->scatter);
	if (flight->finished || wake_us == INT64_MAX)
		return;
	wake_us = wake_us / US_PER_MS + 1 - sim->now_ms;
	tick = sim_own_event(sim, sim_gateway_peer(sim, gateway), EVENT_GATEWAY_TICK,
	                     wake_us < 1 ? 1 : wake_us);
	tick->flight = flight;
}

void sim_flight_start(struct sim *sim, struct sim_gateway *gateway, struct search *leader)
{
	const struct catalog *catalog = sim_gateway_snapshot(sim, gateway);
	struct flight *flight = arena_alloc(&sim->arena, sizeof *flight);
	struct scatter_options options = {.chooser = gateway->chooser,
	                                  .kind = CHOOSER_KIND_SEARCH,
	                                  .partition = -1,
	                                  .tokens = leader->waiter.required != NULL,
	                                  .deadline_us = leader->waiter.deadline_ms * US_PER_MS};

	ASSERT(flight != NULL);
	*flight = (struct flight){.leader = leader,
	                          .fired_ms = sim->now_ms,
	                          .deadline_us = options.deadline_us,
	                          .requires = options.tokens,
	                          .next = gateway->flights};
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		flight->covered[shard] = -1;
		flight->promised[shard] = promised(sim, catalog, shard);
		flight->required[shard] = options.tokens ? leader->required[shard] : 0;
	}
	gateway->flights = flight;
	flight->scatter = scatter_plan(catalog, catalog_index(catalog, sim->index.id), &options, &sim->arena);
	ASSERT(flight->scatter != NULL);
	step(sim, gateway, flight, &(struct scatter_event){.kind = SCATTER_EVENT_START});
}

void sim_flight_tick(struct sim *sim, struct sim_gateway *gateway, struct flight *flight)
{
	if (!flight->finished)
		step(sim, gateway, flight, &(struct scatter_event){.kind = SCATTER_EVENT_TICK});
}

/* An answer below what is required is none, whatever the node thinks of it. */
static size_t take_answer(struct flight *flight, const struct leg *leg, const struct leg_answer *answer,
                          struct node_refusal *behind)
{
	bool wanted[SHARDS_MAX];
	size_t len = 0;

	(void)scatter_wanted(flight->scatter, leg->number, wanted);
	for (size_t i = 0; i < leg->partitions_len; i++) {
		int32_t p = leg->partitions[i];

		if (!wanted[i])
			continue;
		if (answer->received[i] < flight->required[p]) {
			behind[len++] = (struct node_refusal){p, NODE_REFUSAL_BEHIND};
			continue;
		}
		flight->covered[p] = answer->received[i];
	}
	return len;
}

void sim_flight_answer(struct sim *sim, struct sim_gateway *gateway, const struct event *event)
{
	struct leg *leg = event->leg;
	const struct leg_answer *answer = event->leg_answer;
	struct flight *flight = leg->flight;
	struct node_refusal refusals[SHARDS_MAX];
	struct scatter_event found = {.kind = SCATTER_EVENT_FAILED, .leg = leg->number, .refusals = refusals};

	if (leg->ended)
		return; /* it has timed out, or was answered */
	leg->ended = true;
	if (answer != NULL && flight->finished) {
		found.kind = SCATTER_EVENT_UNUSED;
	} else if (answer != NULL && answer->outcome == LEG_ANSWERED) {
		found.kind = SCATTER_EVENT_ANSWERED;
		found.refusals_len = take_answer(flight, leg, answer, refusals);
		found.stale = answer->stale;
		found.stale_len = answer->stale_len;
		if (found.refusals_len == leg->partitions_len)
			found.kind = SCATTER_EVENT_UNUSED;
	} else if (answer != NULL && answer->outcome == LEG_REFUSED) {
		found.kind = SCATTER_EVENT_REFUSED;
		memcpy(refusals, answer->refusals, sizeof refusals);
		found.refusals_len = answer->refusals_len;
	} else if (answer != NULL && answer->outcome == LEG_LATE && flight->requires) {
		found.kind = SCATTER_EVENT_REFUSED;
		for (size_t i = 0; i < leg->partitions_len; i++)
			refusals[i] = (struct node_refusal){leg->partitions[i], NODE_REFUSAL_BEHIND};
		found.refusals_len = leg->partitions_len;
	}
	step(sim, gateway, flight, &found);
}
