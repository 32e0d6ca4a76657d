#include "tests/simulation/sim_shelf.h"

#include "shared/base/assert.h"
#include "tests/simulation/sim.h"

#define FULL_MS_MAX 900

static struct sim_leaf *find(struct sim_shelf *shelf, int64_t number)
{
	for (size_t i = 0; i < shelf->len; i++)
		if (shelf->leaves[i].number == number)
			return &shelf->leaves[i];
	return NULL;
}

static bool strikes(struct sim_shelf *shelf, uint32_t permille, enum fault fault)
{
	struct sim *sim = shelf->sim;

	if (sim->calm || permille == 0 || !dice_chance(&sim->dice, permille))
		return false;
	sim_count(sim, fault, NULL, NULL);
	shelf->failed++;
	return true;
}

static int put(void *context, int64_t number, struct slice bytes, struct error *error)
{
	struct sim_shelf *shelf = context;
	struct sim *sim = shelf->sim;
	struct sim_leaf *leaf = find(shelf, number);

	if (strikes(shelf, sim->swarm.shelf_full_permille, FAULT_SHELF_FULL))
		shelf->full_until_ms = sim->now_ms + sim_delay(sim, FULL_MS_MAX);
	if (!sim->calm && shelf->full_until_ms > sim->now_ms)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY, "the shelf is full");
	if (strikes(shelf, sim->swarm.shelf_failed_permille, FAULT_SHELF_FAILED))
		return error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY, "the shelf fails");
	if (leaf == NULL) {
		ASSERT(shelf->len < SHELF_LEAVES);
		leaf = &shelf->leaves[shelf->len++];
	}
	tally_add(&sim->tally->leaves, 1);
	*leaf = (struct sim_leaf){number, sim_copy(sim, bytes)};
	return 0;
}

static void drop(void *context, int64_t number)
{
	struct sim_shelf *shelf = context;
	struct sim_leaf *leaf = find(shelf, number);

	if (leaf != NULL)
		*leaf = shelf->leaves[--shelf->len];
}

static int get(void *context, int64_t number, struct slice *bytes, struct error *error)
{
	struct sim_shelf *shelf = context;
	struct sim *sim = shelf->sim;
	struct sim_leaf *leaf = find(shelf, number);

	if (leaf == NULL)
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_RETRY, "the shelf has no such leaf");
	if (strikes(shelf, sim->swarm.shelf_failed_permille, FAULT_SHELF_FAILED))
		return error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY, "the shelf fails");
	if (strikes(shelf, sim->swarm.shelf_damaged_permille, FAULT_SHELF_DAMAGED)) {
		uint8_t *damaged = (uint8_t *)(uintptr_t)leaf->bytes.ptr;

		damaged[dice_below(&sim->dice, (uint32_t)leaf->bytes.len)] ^= 4;
		if (dice_chance(&sim->dice, 200)) {
			drop(shelf, number);
			return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_RETRY,
			                 "the shelf has no such leaf");
		}
	}
	*bytes = leaf->bytes;
	return 0;
}

struct window_store sim_shelf_open(struct sim *sim, struct sim_shelf *shelf)
{
	shelf->sim = sim;
	shelf->len = 0;
	return (struct window_store){.context = shelf, .put = put, .get = get, .drop = drop};
}
