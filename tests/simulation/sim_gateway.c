/* A gateway: follows meta and topology, lets equal searches share a flight, reads finals. */
#include "shared/base/assert.h"
#include "tests/simulation/sim.h"

#include <stdlib.h>

#define SEARCH_TIMEOUT_MS 1500
#define CALM_ASK_MS_MAX 1500
/* A client that waits so long past the deadline was forgotten. */
#define FORGOTTEN_MS 4000

struct peer sim_gateway_peer(const struct sim *sim, const struct sim_gateway *gateway)
{
	return (struct peer){PROCESS_GATEWAY, (uint32_t)(gateway - sim->gateways), gateway->process.life};
}

const struct catalog *sim_gateway_snapshot(struct sim *sim, struct sim_gateway *gateway)
{
	const struct sim_view *view = &gateway->process.view;
	size_t last = gateway->snapshots_len - 1;

	(void)sim;
	if (gateway->snapshots_len > 0 &&
	    memcmp(gateway->snapshot_at, view->at, sizeof gateway->snapshot_at) == 0)
		return gateway->snapshots[last];
	gateway->snapshots = realloc(gateway->snapshots, (last + 2) * sizeof(struct catalog *));
	ASSERT(gateway->snapshots != NULL);
	gateway->snapshots[++last] = catalog_copy(view->catalog);
	ASSERT(gateway->snapshots[last] != NULL);
	gateway->snapshots_len++;
	memcpy(gateway->snapshot_at, view->at, sizeof gateway->snapshot_at);
	return gateway->snapshots[last];
}

/* ---- what an answer promises ---- */

static void check_shard_answer(struct sim *sim, const struct flight *flight, const struct search *search,
                               uint32_t shard)
{
	int64_t covered = flight->covered[shard];

	if (search->token[shard] > 0 && covered < search->token[shard])
		sim_violate(sim, "a read sees what its token names", "shard %u: answered at %lld, token %lld",
		            shard, (long long)covered, (long long)search->token[shard]);
	if (search->finals[shard] > 0 && covered < search->finals[shard])
		sim_violate(sim, "a read sees what finals say that its gateway has read",
		            "shard %u: answered at %lld, final %lld", shard, (long long)covered,
		            (long long)search->finals[shard]);
	if (flight->flagged[shard])
		return;
	if (covered < 0)
		sim_violate(sim, "an answer without a flag is whole", "shard %u is missing", shard);
	tally_add(&sim->tally->answers_unflagged, 1);
	if (covered < flight->promised[shard])
		sim_violate(sim, "an answer without a flag has what all in-sync replicas had",
		            "shard %u: answered at %lld, they had %lld when the flight was fired", shard,
		            (long long)covered, (long long)flight->promised[shard]);
}

static void answer(struct sim *sim, const struct flight *flight, struct search *search)
{
	tally_add(&sim->tally->answers, 1);
	tally_add(&sim->tally->answers_shared, search != flight->leader);
	if (flight->fired_ms < search->asked_ms - sim->swarm.window_ms)
		sim_violate(sim, "an answer is at most a window older than its search",
		            "fired at %lld, asked at %lld", (long long)flight->fired_ms,
		            (long long)search->asked_ms);
	if (search->log_cuts != sim->log_cuts)
		return; /* of another log */
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++)
		if (sim->logs[shard].life == 0)
			check_shard_answer(sim, flight, search, shard);
}

/* What each waiter gets; who is to fly on its own does. */
void sim_gateway_landed(struct sim *sim, struct sim_gateway *gateway, const struct flight *flight,
                        const struct coalesce_landing *landing)
{
	struct coalesce_waiter *waiter = coalesce_land(gateway->coalesce, &flight->leader->waiter, landing);

	while (waiter != NULL) {
		struct search *search = (struct search *)waiter;

		waiter = waiter->next;
		if (search->done)
			sim_violate(sim, "a search is answered once", "asked at %lld",
			            (long long)search->asked_ms);
		if (search->waiter.verdict == COALESCE_VERDICT_FIRE) {
			sim_flight_start(sim, gateway, search);
			continue;
		}
		search->done = true;
		if (search->waiter.verdict == COALESCE_VERDICT_ANSWER && !landing->failed)
			answer(sim, flight, search);
		else
			tally_add(&sim->tally->answers_refused, 1);
	}
}

void sim_gateway_check(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->swarm.gateways; i++)
		for (const struct search *search = sim->gateways[i].searches; search != NULL;
		     search = search->older)
			if (!search->done && search->waiter.deadline_ms + FORGOTTEN_MS < sim->now_ms)
				sim_violate(sim, "a search is answered or refused",
				            "gateway %u, asked at %lld", i, (long long)search->asked_ms);
}

/* ---- searches ---- */

static void draw_token(struct sim *sim, struct search *search)
{
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++)
		if (dice_chance(&sim->dice, 600))
			search->token[shard] = sim->logs[shard].end -
			                       (dice_chance(&sim->dice, 400) ? 0 : sim_delay(sim, 30));
}

static void begin(struct sim *sim, struct sim_gateway *gateway)
{
	int32_t partitions = (int32_t)sim->swarm.shards;
	struct search *search = arena_alloc(&sim->arena, sizeof *search);
	bool requires = dice_chance(&sim->dice, sim->swarm.token_permille);
	enum coalesce_place place;

	ASSERT(search != NULL);
	*search = (struct search){
		.asked_ms = sim->now_ms, .log_cuts = sim->log_cuts, .older = gateway->searches};
	gateway->searches = search;
	if (requires)
		draw_token(sim, search);
	memcpy(search->required, search->token, sizeof search->required);
	memcpy(search->finals, gateway->finals, sizeof search->finals);
	token_raise(search->required, gateway->finals, partitions);
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++)
	requires = requires || search->required[shard] > 0;
	search->waiter.fingerprint = (struct hash128){7, 7};
	search->waiter.required = requires ? search->required : NULL;
	search->waiter.partitions = partitions;
	search->waiter.deadline_ms =
		sim->now_ms + (dice_chance(&sim->dice, 800) ? SEARCH_TIMEOUT_MS : sim_delay(sim, 300));
	place = coalesce_ask(gateway->coalesce, &search->waiter, sim->now_ms);
	if (place == COALESCE_PLACE_FIRED || place == COALESCE_PLACE_ALONE)
		sim_flight_start(sim, gateway, search);
}

/* ---- finals ---- */

/* A task is final once all in-sync replicas, by the newest record, have received what it wrote. */
void sim_final(struct sim *sim)
{
	uint32_t shard = dice_below(&sim->dice, sim->swarm.shards);
	const struct shard_record *record = sim_view_shard(sim, &sim->truth, shard);
	int64_t lowest = INT64_MAX;

	sim_event(sim, EVENT_FINAL, 1 + sim_delay(sim, sim->swarm.final_ms_max));
	for (size_t i = 0; i < record->replicas_len; i++) {
		const struct placement *placement = &record->replicas[i];
		const struct sim_replica *held =
			&sim->nodes[sim_node_number(sim, placement->node)].replicas[shard];

		if (!placement->in_sync)
			continue;
		if (held->replica == NULL ||
		    !incarnation_equal(placement->incarnation, held->image.incarnation))
			return;
		if (held->received < lowest)
			lowest = held->received;
	}
	if (lowest == INT64_MAX || sim->logs[shard].life != 0)
		return;
	for (uint32_t i = 0; i < sim->swarm.gateways; i++) {
		struct event *event;

		if (!sim->gateways[i].process.alive)
			continue;
		event = sim_own_event(sim, sim_gateway_peer(sim, &sim->gateways[i]), EVENT_GATEWAY_FINAL,
		                      sim_delay(sim, sim->calm ? 20 : sim->swarm.follow_ms_max));
		event->shard = shard;
		event->offset = lowest;
		event->log_cuts = sim->log_cuts;
	}
}

/* ---- the process ---- */

void sim_gateway_start(struct sim *sim, uint32_t number)
{
	struct sim_gateway *gateway = &sim->gateways[number];

	if (gateway->process.alive)
		return;
	*gateway = (struct sim_gateway){
		.process = {.alive = true, .life = (uint32_t)++sim->serial, .paused_ms = -1}};
	sim_view_open(sim, &gateway->process.view);
	gateway->coalesce = coalesce_new(sim->swarm.window_ms);
	gateway->chooser = chooser_new();
	ASSERT(gateway->coalesce != NULL && gateway->chooser != NULL);
	sim_own_event(sim, sim_gateway_peer(sim, gateway), EVENT_GATEWAY_SEARCH,
	              sim_delay(sim, sim->swarm.ask_ms_max));
}

/* Whoever waits is refused; none of them is fired again, for its time is over. */
static void land_all(struct sim *sim, struct sim_gateway *gateway)
{
	struct coalesce_landing failed = {.now_ms = INT64_MAX, .failed = true};

	while (gateway->flights != NULL) {
		struct flight *flight = gateway->flights;
		struct coalesce_waiter *waiter;

		gateway->flights = flight->next;
		waiter = coalesce_land(gateway->coalesce, &flight->leader->waiter, &failed);
		for (; waiter != NULL; waiter = waiter->next)
			if (waiter->verdict == COALESCE_VERDICT_FIRE)
				sim_violate(sim, "whose time is over is not fired again", "a gateway's end");
	}
}

void sim_gateway_end(struct sim *sim, struct sim_gateway *gateway)
{
	if (!gateway->process.alive)
		return;
	gateway->process.alive = false;
	land_all(sim, gateway);
	coalesce_free(gateway->coalesce);
	chooser_free(gateway->chooser);
	for (size_t i = 0; i < gateway->snapshots_len; i++)
		catalog_free(gateway->snapshots[i]);
	free(gateway->snapshots);
	sim_view_close(&gateway->process.view);
}

void sim_gateway_event(struct sim *sim, const struct event *event)
{
	struct sim_gateway *gateway = &sim->gateways[event->to.number];
	const struct catalog *catalog = gateway->process.view.catalog;

	switch (event->kind) {
	case EVENT_GATEWAY_START:
		sim_gateway_start(sim, event->to.number);
		break;
	case EVENT_GATEWAY_SEARCH:
		if (catalog_index(catalog, sim->index.id) != NULL)
			begin(sim, gateway);
		sim_own_event(sim, event->to, EVENT_GATEWAY_SEARCH,
		              1 + sim_delay(sim, sim->calm ? CALM_ASK_MS_MAX : sim->swarm.ask_ms_max));
		break;
	case EVENT_GATEWAY_FINAL:
		if (event->log_cuts == sim->log_cuts && event->offset > gateway->finals[event->shard])
			gateway->finals[event->shard] = event->offset;
		break;
	case EVENT_GATEWAY_TICK:
		sim_flight_tick(sim, gateway, event->flight);
		break;
	default: /* EVENT_GATEWAY_ANSWER */
		sim_flight_answer(sim, gateway, event);
		break;
	}
}
