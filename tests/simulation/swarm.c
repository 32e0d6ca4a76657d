#include "tests/simulation/swarm.h"

#define CONTRACT_2_PERMILLE 600
#define LEAN_PERMILLE 900
#define LEAN_RECORDS_MAX 90

static uint32_t rate(struct dice *dice, uint32_t permille_max)
{
	return dice_chance(dice, 500) ? (uint32_t)dice_between(dice, 1, permille_max) : 0;
}

static void draw_sizes(struct swarm *swarm, struct dice *dice)
{
	static const char *const presets[] = {"adaptive",   "adaptive",    "immediate",
	                                      "batched{3}", "batched{20}", "periodic{40}"};
	static const size_t memory[] = {1, 40000, 1 << 20};
	static const size_t batch[] = {1, 600, 1 << 20};
	static const size_t node_memory[] = {2000, 60000, 1 << 24};

	swarm->feeder.memory_bytes_max = memory[dice_below(dice, 3)];
	swarm->feeder.batch_bytes_max = batch[dice_below(dice, 3)];
	(void)flush_rule_parse(presets[dice_below(dice, 6)], &swarm->feeder.flush);
	swarm->node_memory_bytes = node_memory[dice_below(dice, 3)];
	swarm->read_max = dice_chance(dice, 300) ? 1 : (uint32_t)dice_between(dice, 2, 16);
	swarm->store_ms_max = dice_chance(dice, 600) ? 60 : 3000;
	swarm->job_ms_max = dice_chance(dice, 400) ? 3 : 900;
	swarm->search_permille = 150;
}

static void draw_cluster(struct swarm *swarm, struct dice *dice)
{
	swarm->shards = (uint32_t)dice_between(dice, 1, SHARDS_MAX);
	swarm->rf = (uint32_t)dice_between(dice, 1, 3);
	swarm->nodes = (uint32_t)dice_between(dice, swarm->rf, dice_chance(dice, 500) ? 3 : SIM_NODES_MAX);
	swarm->ingests = (uint32_t)dice_between(dice, 1, INGESTS_MAX);
	swarm->gateways = (uint32_t)dice_between(dice, 1, GATEWAYS_MAX);
	swarm->controllers = dice_chance(dice, 400) ? 0 : (uint32_t)dice_between(dice, 1, CONTROLLERS_MAX);
	swarm->write_unknown_permille = rate(dice, 200);
	swarm->request_ms_max = dice_between(dice, 100, 3000);
	swarm->mark_ms_max = dice_chance(dice, 500) ? 120 : dice_between(dice, 300, 3000);
	swarm->mark_permille = rate(dice, 300);
	swarm->ask_ms_max = dice_chance(dice, 500) ? 100 : 700;
	swarm->token_permille = rate(dice, 700);
	swarm->window_ms = dice_chance(dice, 200) ? 0 : dice_between(dice, 10, 400);
	swarm->final_ms_max = dice_between(dice, 50, 2000);
}

static void draw_log(struct swarm *swarm, struct dice *dice)
{
	swarm->documents = (uint32_t)dice_between(dice, 1, dice_chance(dice, 300) ? 3 : 14);
	swarm->records = (uint32_t)dice_between(dice, 4, dice_chance(dice, 400) ? 200 : 60);
	swarm->produce_ms_max = dice_between(dice, 2, 120);
	swarm->hole_permille = rate(dice, 400);
	swarm->leap_permille = rate(dice, 120);
	swarm->marker_permille = rate(dice, 300);
	swarm->delete_permille = rate(dice, 500);
	swarm->refuse_permille = rate(dice, 300);
}

static void draw_network(struct swarm *swarm, struct dice *dice)
{
	swarm->delay_ms_max = dice_chance(dice, 500) ? 8 : dice_between(dice, 10, 900);
	swarm->lost_permille = rate(dice, 200);
	swarm->half_open_permille = rate(dice, 200);
	swarm->twice_permille = rate(dice, 200);
	swarm->replay_permille = rate(dice, 200);
	swarm->follow_ms_max = dice_chance(dice, 500) ? 60 : dice_between(dice, 100, 4000);
	swarm->letter_ms_max = dice_chance(dice, 500) ? 5 : 800;
	swarm->letter_failed_permille = rate(dice, 300);
	swarm->letter_unknown_permille = rate(dice, 300);
	swarm->commit_lost_permille = rate(dice, 300);
}

/* Without searches, and over sooner: most schedules, so that there can be many. */
static void make_lean(struct swarm *swarm)
{
	swarm->lean = true;
	swarm->gateways = 0;
	if (swarm->records > LEAN_RECORDS_MAX)
		swarm->records = LEAN_RECORDS_MAX;
	swarm->safety_ms /= 2;
	swarm->produce_ms_max = 1 + swarm->produce_ms_max / 2;
	swarm->fault_ms_max = 30 + swarm->fault_ms_max / 2;
}

static void draw_contract(struct swarm *swarm, uint64_t seed, uint32_t contract)
{
	struct dice dice;

	dice_seed(&dice, ~seed);
	swarm->contract = dice_chance(&dice, CONTRACT_2_PERMILLE) ? 2 : 1;
	if (dice_chance(&dice, LEAN_PERMILLE) && contract == 0)
		make_lean(swarm);
	if (contract != 0)
		swarm->contract = contract;
	if (swarm->contract == 1)
		return;
	swarm->dedup_window = dice_between(&dice, 20, 400);
	if (dice_chance(&dice, 150))
		swarm->dedup_window = dice_between(&dice, 5000, 20000);
	if (dice_chance(&dice, 40))
		swarm->dedup_window = 0;
	swarm->merge_permille = rate(&dice, 500);
	swarm->exists_permille = rate(&dice, 500);
	swarm->barrier_permille = rate(&dice, 80);
	swarm->identity_permille = dice_chance(&dice, 800) ? (uint32_t)dice_between(&dice, 100, 1000) : 0;
	swarm->import_permille = dice_chance(&dice, 500) ? (uint32_t)dice_between(&dice, 100, 1000) : 0;
	swarm->repeat_permille = rate(&dice, 500);
	swarm->conflict_permille = rate(&dice, 400);
	swarm->deadly_max = dice_chance(&dice, 150) ? 2 : 0;
	if (swarm->deadly_max > 0) /* what a skip means for another log is not asked here */
		swarm->faults[FAULT_LOG_CUT] = false;
	swarm->fill_refused_permille = dice_chance(&dice, 150) ? (uint32_t)dice_between(&dice, 300, 900) : 0;
	if (dice_chance(&dice, 250)) { /* the log tells identities too, but no origins */
		swarm->fill_refused_permille = 990;
		swarm->import_permille = 0;
	}
	swarm->shelf_full_permille = dice_chance(&dice, 200) ? 200 : 0;
	swarm->shelf_failed_permille = dice_chance(&dice, 200) ? 100 : 0;
	swarm->shelf_damaged_permille = dice_chance(&dice, 200) ? 60 : 0;
	swarm->other_rules = swarm->ingests == 2 && dice_chance(&dice, 150);
	swarm->other_window = dice_chance(&dice, 600) ? 0 : 2 * swarm->dedup_window;
	if (swarm->other_window == swarm->dedup_window)
		swarm->other_window = 50;
}

void swarm_draw(struct swarm *swarm, struct dice *dice, uint64_t seed, uint32_t contract)
{
	/* these leave a shard stopped for good, so they are rare */
	static const uint32_t permille[FAULTS] = {
		[FAULT_NODE_REFORMAT] = 150, [FAULT_NODE_OLDER] = 150,    [FAULT_ADDRESSES] = 150,
		[FAULT_LOG_TRIM] = 300,      [FAULT_LOG_TRIM_ABOVE] = 60, [FAULT_LOG_CUT] = 120,
		[FAULT_META_LOST] = 250,
	};

	*swarm = (struct swarm){0};
	draw_cluster(swarm, dice);
	swarm->partitioner = (enum partitioner)dice_below(dice, 3);
	draw_log(swarm, dice);
	draw_sizes(swarm, dice);
	draw_network(swarm, dice);
	for (int i = 0; i <= FAULT_META_LOST; i++)
		swarm->faults[i] = dice_chance(dice, permille[i] > 0 ? permille[i] : 400);
	swarm->fault_ms_max = dice_between(dice, 40, 900);
	/* what controllers judge by takes seconds */
	swarm->safety_ms = dice_between(dice, 500, swarm->controllers > 0 ? 20000 : 8000);
	if (dice_chance(dice, 500)) /* to the end */
		swarm->produce_ms_max = 1 + 2 * swarm->safety_ms / swarm->records;
	draw_contract(swarm, seed, contract);
}
