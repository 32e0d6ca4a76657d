/*
 * Dice: the only source of chance in a schedule (xoshiro256**, seeded by
 * splitmix64; Blackman and Vigna). One u64 seed gives one sequence on every
 * machine. Plain value, no ownership.
 */
#ifndef MILLRACE_TESTS_SIMULATION_DICE_H
#define MILLRACE_TESTS_SIMULATION_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
	uint64_t word[4];
};

void dice_seed(struct dice *dice, uint64_t seed);
uint64_t dice_next(struct dice *dice);
/* 0 <= n < bound; bound > 0. */
uint32_t dice_below(struct dice *dice, uint32_t bound);
/* low <= n <= high. */
int64_t dice_between(struct dice *dice, int64_t low, int64_t high);
/* True `permille` times in 1000. */
bool dice_chance(struct dice *dice, uint32_t permille);

#endif
