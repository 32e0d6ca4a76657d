/*
 * Simulated shelf: where the feeder of one ingest keeps the leaves of its
 * windows (window.h), by reader. A cache in memory: at times it is full, a
 * call fails, bytes are flipped or a leaf is lost. Each opening empties what
 * the reader had. Memory is the simulation's arena.
 */
#ifndef MILLRACE_TESTS_SIMULATION_SIM_SHELF_H
#define MILLRACE_TESTS_SIMULATION_SIM_SHELF_H

#include "shared/feed/window.h"

#define SHELF_LEAVES 256 /* of one reader */

struct sim;

struct sim_leaf {
	int64_t number;
	struct slice bytes;
};

struct sim_shelf {
	struct sim *sim;
	struct sim_leaf leaves[SHELF_LEAVES];
	size_t len;
	int64_t full_until_ms;
	uint64_t failed; /* calls, as they were meant to */
};

/* Another store over the shelf, empty. */
struct window_store sim_shelf_open(struct sim *sim, struct sim_shelf *shelf);

#endif
