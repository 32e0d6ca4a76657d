/* Faults that strike from outside, and their end. */
#include "tests/simulation/sim.h"

static void later_start(struct sim *sim, enum process_kind kind, uint32_t number)
{
	static const enum event_kind starts[] = {[PROCESS_NODE] = EVENT_NODE_START,
	                                         [PROCESS_INGEST] = EVENT_INGEST_START,
	                                         [PROCESS_CONTROLLER] = EVENT_CONTROLLER_START};

	sim_own_event(sim, (struct peer){kind, number, 0}, starts[kind],
	              sim_delay(sim, dice_chance(&sim->dice, 500) ? 30 : 1500));
}

static void crash_node(struct sim *sim, uint32_t number, bool reformat)
{
	struct sim_node *node = &sim->nodes[number];

	if (!node->process.alive)
		return;
	sim_count(sim, reformat ? FAULT_NODE_REFORMAT : FAULT_NODE_CRASH, node, NULL);
	sim_node_crash(sim, node);
	for (uint32_t shard = 0; shard < sim->swarm.shards && reformat; shard++)
		sim_disk_wipe(&node->replicas[shard].image.disk);
	if (reformat)
		node->incarnation = (struct incarnation){{++sim->serial, 88}};
	later_start(sim, PROCESS_NODE, number);
}

/* The disk is what it was at some earlier time: a backup restored, a clone in the node's place. Once more, and
 * the original is back. */
static void set_back(struct sim *sim, uint32_t number)
{
	struct sim_node *node = &sim->nodes[number];
	struct incarnation former;

	if (!node->process.alive)
		return;
	sim_count(sim, FAULT_NODE_OLDER, node, NULL);
	sim_node_crash(sim, node);
	former = node->incarnation;
	node->incarnation = node->older;
	node->older = former;
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		struct sim_replica *held = &node->replicas[shard];
		struct sim_image image = held->image;

		held->image = held->older;
		held->older = image;
	}
	later_start(sim, PROCESS_NODE, number);
}

static void copy_disk(struct sim *sim, uint32_t number)
{
	sim->nodes[number].older = sim->nodes[number].incarnation;
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		struct sim_replica *held = &sim->nodes[number].replicas[shard];

		sim_disk_deinit(&held->older.disk);
		held->older = held->image;
		sim_disk_copy(&held->older.disk, &held->image.disk);
	}
}

static void go_back(struct sim *sim, uint32_t number)
{
	if (dice_chance(&sim->dice, 400))
		copy_disk(sim, number);
	else
		set_back(sim, number);
}

/* Two nodes change addresses, or everybody gets his own back. */
static void swap_addresses(struct sim *sim)
{
	uint32_t first = dice_below(&sim->dice, sim->swarm.nodes);
	uint32_t second = dice_below(&sim->dice, sim->swarm.nodes);
	bool back = dice_chance(&sim->dice, 500);

	sim_count(sim, FAULT_ADDRESSES, NULL, NULL);
	for (uint32_t n = 0; n < sim->swarm.nodes; n++)
		sim->nodes[n].address = n;
	if (back)
		return;
	sim->nodes[first].address = second;
	sim->nodes[second].address = first;
}

static struct peer choose_asker(struct sim *sim)
{
	const struct swarm *swarm = &sim->swarm;
	uint32_t asker = dice_below(&sim->dice, swarm->ingests + swarm->gateways + swarm->controllers);

	if (asker < swarm->ingests)
		return (struct peer){PROCESS_INGEST, asker, 0};
	asker -= swarm->ingests;
	if (asker < swarm->gateways)
		return (struct peer){PROCESS_GATEWAY, asker, 0};
	return (struct peer){PROCESS_CONTROLLER, asker - swarm->gateways, 0};
}

/* One direction between a node and somebody who asks it. */
static void cut_link(struct sim *sim)
{
	struct peer node = {PROCESS_NODE, dice_below(&sim->dice, sim->swarm.nodes), 0};
	struct peer other = choose_asker(sim);
	int64_t until_ms = sim->now_ms + sim_delay(sim, dice_chance(&sim->dice, 500) ? 400 : 5000);
	bool towards = dice_chance(&sim->dice, 500);

	sim_count(sim, FAULT_NET_CUT, &sim->nodes[node.number], NULL);
	sim_net_cut(sim, towards ? other : node, towards ? node : other, until_ms);
}

static void count_letters(struct sim *sim, uint32_t shard)
{
	const struct timeline *timeline = &sim->logs[shard].timeline;
	int64_t received = INT64_MAX;
	size_t place;

	for (uint32_t n = 0; n < sim->swarm.nodes; n++)
		if (sim->nodes[n].replicas[shard].replica != NULL &&
		    sim->nodes[n].replicas[shard].received < received)
			received = sim->nodes[n].replicas[shard].received;
	place = timeline_place(timeline, received);

	for (; place < timeline->len; place++) {
		const struct log_entry *entry = timeline->entries[place];

		if (entry->letter_acked)
			tally_add(&sim->tally->letters[LETTER_ACKED], 1);
		else if (entry->dead_lettered)
			tally_add(&sim->tally->letters[LETTER_IN_TOPIC], 1);
		else if (entry->letter_sent)
			tally_add(&sim->tally->letters[LETTER_SENT], 1);
	}
}

/* Another process may take over the shards, before or after the first one is back. */
static void crash_ingest(struct sim *sim, uint32_t number)
{
	struct sim_ingest *ingest = &sim->ingests[number];
	struct sim_ingest *other = &sim->ingests[1 - number];

	if (!ingest->process.alive)
		return;
	sim_count(sim, FAULT_INGEST_CRASH, NULL, ingest);
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++)
		if (ingest->added[shard])
			count_letters(sim, shard);
	sim_ingest_crash(sim, ingest);
	later_start(sim, PROCESS_INGEST, number);
	for (uint32_t shard = 0; shard < sim->swarm.shards && sim->swarm.ingests == 2; shard++) {
		if (!ingest->owns[shard] || dice_chance(&sim->dice, 400))
			continue;
		sim_ingest_add(sim, other, shard);
		if (dice_chance(&sim->dice, 500))
			ingest->owns[shard] = false;
	}
}

/* The new owner begins at once; the former one notices later. */
static void rebalance(struct sim *sim)
{
	uint32_t shard = dice_below(&sim->dice, sim->swarm.shards);
	uint32_t from = sim->ingests[0].owns[shard] ? 0 : 1;
	struct event *event;

	sim_count(sim, FAULT_REBALANCE, NULL, &sim->ingests[from]);
	if (sim->swarm.ingests == 1) {
		sim_ingest_remove(sim, &sim->ingests[0], shard);
		sim_ingest_add(sim, &sim->ingests[0], shard);
		return;
	}
	sim_ingest_add(sim, &sim->ingests[1 - from], shard);
	event = sim_own_event(sim, (struct peer){PROCESS_INGEST, from, 0}, EVENT_INGEST_RELEASE,
	                      sim_delay(sim, 2500));
	event->shard = shard;
}

static void trim(struct sim *sim, bool above)
{
	uint32_t shard = dice_below(&sim->dice, sim->swarm.shards);
	struct sim_log *log = &sim->logs[shard];
	int64_t limit = above ? log->end : log->committed;
	int64_t room = limit - log->start;

	/* an anchor that is trimmed away proves nothing any more: that a log was replaced and then trimmed
	 * beyond the replicas' anchors is not noticed, by design */
	if (room <= 0 || log->life != 0)
		return;
	sim_count(sim, above ? FAULT_LOG_TRIM_ABOVE : FAULT_LOG_TRIM, NULL, NULL);
	log->start = limit - dice_between(&sim->dice, 0, room - 1) / (above ? 8 : 1);
	sim_trace(sim, "shard %u: the log starts at %lld", shard, (long long)log->start);
}

static void adopt(struct sim_replica *held, const struct sim_log *log)
{
	held->letters_seen = 0;
	check_forget(held, log->cut);
	if (held->older.stored_durable <= log->cut)
		held->older.log_life = log->life;
	if (held->replica == NULL) {
		if (held->image.stored_durable <= log->cut)
			held->image.log_life = log->life;
		return;
	}
	if (held->received <= log->cut)
		held->log_life = log->life;
	if (held->received <= log->cut || held->image.stored_durable <= log->cut)
		held->image.log_life = log->life;
	if (log->end < held->level_floor)
		held->level_floor = log->end;
}

/* Nobody feeds while it happens, and no packet of before arrives after it: what a lost tail means to a
 * feeder that never notices is not what is asked here. */
static void cut(struct sim *sim)
{
	uint32_t shard = dice_below(&sim->dice, sim->swarm.shards);
	struct sim_log *log = &sim->logs[shard];

	if (log->life != 0 || log->timeline.len == 0 || log->start > log->base)
		return;
	sim_count(sim, FAULT_LOG_CUT, NULL, NULL);
	for (uint32_t i = 0; i < sim->swarm.ingests; i++) {
		if (!sim->ingests[i].process.alive)
			continue;
		sim_ingest_crash(sim, &sim->ingests[i]);
		later_start(sim, PROCESS_INGEST, i);
	}
	sim->log_cuts++;
	sim_log_cut(log, dice_below(&sim->dice, (uint32_t)log->timeline.len), dice_chance(&sim->dice, 400),
	            &sim->dice);
	for (uint32_t n = 0; n < sim->swarm.nodes; n++)
		adopt(&sim->nodes[n].replicas[shard], log);
	sim_trace(sim, "shard %u: the log was replaced from %lld, ends at %lld", shard, (long long)log->cut,
	          (long long)log->end);
}

static void arm_store(struct sim *sim, enum fault fault)
{
	uint32_t shard = dice_below(&sim->dice, sim->swarm.shards);
	uint32_t node = dice_below(&sim->dice, sim->swarm.nodes);
	struct sim_replica *held = &sim->nodes[node].replicas[shard];
	enum sim_disk_fault kind = fault == FAULT_STORE_FULL ? SIM_DISK_FAULT_FULL : SIM_DISK_FAULT_ERROR;
	uint32_t calls = dice_chance(&sim->dice, 500) ? 12 : 120;

	if (fault == FAULT_STORE_DIE)
		kind = dice_chance(&sim->dice, 500) ? SIM_DISK_FAULT_DIE : SIM_DISK_FAULT_DIE_DURABLE;
	held->run_fault = kind;
	held->run_fault_in = dice_below(&sim->dice, calls);
}

static void lose_meta(struct sim *sim)
{
	uint32_t number = dice_below(&sim->dice, sim->swarm.nodes);

	sim_count(sim, FAULT_META_LOST, &sim->nodes[number], NULL);
	for (int i = 0; i < SIM_FOLLOWED; i++)
		sim->topics[i].visible = dice_below(&sim->dice, (uint32_t)sim->topics[i].len + 1);
	sim_event(sim, EVENT_META_BACK, sim_delay(sim, 1500));
	crash_node(sim, number, false);
}

static void pause_process(struct sim *sim, struct process *process)
{
	int64_t until_ms = sim->now_ms + sim_delay(sim, dice_chance(&sim->dice, 500) ? 200 : 4000);

	if (!process->alive || process->paused_until_ms >= until_ms)
		return;
	if (process->paused_until_ms <= sim->now_ms)
		process->paused_ms = sim->now_ms;
	process->paused_until_ms = until_ms;
}

static void elect_later(struct sim *sim, uint32_t number, bool elected)
{
	struct event *event = sim_own_event(sim, (struct peer){PROCESS_CONTROLLER, number, 0},
	                                    EVENT_CONTROLLER_ELECT, sim_delay(sim, 2500));

	event->good = elected;
}

/* The new one and the former one learn of it at their own times. */
static void elect(struct sim *sim, uint32_t number)
{
	for (uint32_t i = 0; i < sim->swarm.controllers; i++)
		elect_later(sim, i, i == number);
}

static void strike_controller(struct sim *sim, enum fault fault)
{
	uint32_t number;

	if (sim->swarm.controllers == 0)
		return;
	number = dice_below(&sim->dice, sim->swarm.controllers);
	sim_count(sim, fault, NULL, NULL);
	if (fault == FAULT_CONTROLLER_PAUSE) {
		pause_process(sim, &sim->controllers[number].process);
	} else if (fault == FAULT_ELECTION) {
		elect(sim, number);
	} else if (sim->controllers[number].process.alive) {
		sim_controller_crash(sim, &sim->controllers[number]);
		later_start(sim, PROCESS_CONTROLLER, number);
		if (dice_chance(&sim->dice, 500))
			elect(sim, sim->swarm.controllers - 1 - number);
	}
}

static void strike(struct sim *sim, enum fault fault)
{
	uint32_t node = dice_below(&sim->dice, sim->swarm.nodes);
	uint32_t ingest = dice_below(&sim->dice, sim->swarm.ingests);

	switch (fault) {
	case FAULT_NODE_CRASH:
	case FAULT_NODE_REFORMAT:
		crash_node(sim, node, fault == FAULT_NODE_REFORMAT);
		break;
	case FAULT_NODE_OLDER:
		go_back(sim, node);
		break;
	case FAULT_ADDRESSES:
		swap_addresses(sim);
		break;
	case FAULT_NET_CUT:
		cut_link(sim);
		break;
	case FAULT_NODE_PAUSE:
		sim_count(sim, fault, &sim->nodes[node], NULL);
		pause_process(sim, &sim->nodes[node].process);
		break;
	case FAULT_INGEST_CRASH:
		crash_ingest(sim, ingest);
		break;
	case FAULT_INGEST_PAUSE:
		sim_count(sim, fault, NULL, &sim->ingests[ingest]);
		pause_process(sim, &sim->ingests[ingest].process);
		break;
	case FAULT_REBALANCE:
		rebalance(sim);
		break;
	case FAULT_LOG_TRIM:
	case FAULT_LOG_TRIM_ABOVE:
		trim(sim, fault == FAULT_LOG_TRIM_ABOVE);
		break;
	case FAULT_LOG_CUT:
		cut(sim);
		break;
	case FAULT_KAFKA_DOWN:
		sim_count(sim, fault, NULL, NULL);
		sim->kafka_down_until_ms = sim->now_ms + sim_delay(sim, 1500);
		break;
	case FAULT_META_LOST:
		lose_meta(sim);
		break;
	case FAULT_CONTROLLER_CRASH:
	case FAULT_CONTROLLER_PAUSE:
	case FAULT_ELECTION:
		strike_controller(sim, fault);
		break;
	default:
		arm_store(sim, fault);
		break;
	}
}

void sim_fault(struct sim *sim)
{
	enum fault fault = (enum fault)dice_below(&sim->dice, FAULT_META_LOST + 1);

	if (sim->calm)
		return;
	sim_event(sim, EVENT_FAULT, sim_delay(sim, sim->swarm.fault_ms_max));
	for (int i = 0; i <= FAULT_META_LOST && !sim->swarm.faults[fault]; i++)
		fault = (enum fault)((fault + 1) % (FAULT_META_LOST + 1));
	if (sim->swarm.faults[fault])
		strike(sim, fault);
}

static void heal_node(struct sim *sim, uint32_t number)
{
	struct sim_node *node = &sim->nodes[number];

	node->address = number;
	if (node->process.paused_until_ms > sim->now_ms)
		node->process.paused_until_ms = sim->now_ms;
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++)
		node->replicas[shard].run_fault = SIM_DISK_FAULT_NONE;
	sim_node_start(sim, number);
}

static void heal_controllers(struct sim *sim)
{
	uint32_t chosen = sim->swarm.controllers == 2 ? dice_below(&sim->dice, 2) : 0;

	for (uint32_t i = 0; i < sim->swarm.controllers; i++) {
		struct process *process = &sim->controllers[i].process;

		if (process->paused_until_ms > sim->now_ms)
			process->paused_until_ms = sim->now_ms;
		sim_controller_start(sim, i);
		/* behind what is still on its way */
		sim->controllers[i].elected = i != chosen;
		sim_controller_elect(sim, i, i == chosen);
	}
}

/* One owner a shard, everybody alive, meta readable, nothing armed. */
void sim_heal(struct sim *sim)
{
	sim->calm = true;
	sim->kafka_down_until_ms = 0;
	sim_topology_restore(sim);
	for (uint32_t n = 0; n < sim->swarm.nodes; n++)
		heal_node(sim, n);
	heal_controllers(sim);
	for (uint32_t i = 0; i < sim->swarm.gateways; i++) {
		sim_gateway_start(sim, i);
	}
	for (uint32_t i = 0; i < sim->swarm.ingests; i++) {
		if (sim->ingests[i].process.paused_until_ms > sim->now_ms)
			sim->ingests[i].process.paused_until_ms = sim->now_ms;
		if (sim->ingests[i].other_rules)
			sim_ingest_crash(sim, &sim->ingests[i]);
		sim_ingest_start(sim, i);
	}
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		uint32_t owner = dice_below(&sim->dice, sim->swarm.ingests);

		for (uint32_t i = 0; i < sim->swarm.ingests; i++)
			if (i != owner)
				sim_ingest_remove(sim, &sim->ingests[i], shard);
		sim_ingest_add(sim, &sim->ingests[owner], shard);
	}
}
