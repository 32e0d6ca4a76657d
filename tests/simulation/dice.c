#include "tests/simulation/dice.h"

static uint64_t rotate(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

void dice_seed(struct dice *dice, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = (seed += 0x9e3779b97f4a7c15U);

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
		dice->word[i] = z ^ (z >> 31);
	}
}

uint64_t dice_next(struct dice *dice)
{
	uint64_t *s = dice->word;
	uint64_t result = rotate(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

uint32_t dice_below(struct dice *dice, uint32_t bound)
{
	return (uint32_t)(((dice_next(dice) >> 32) * bound) >> 32);
}

int64_t dice_between(struct dice *dice, int64_t low, int64_t high)
{
	return low + (int64_t)dice_below(dice, (uint32_t)(high - low + 1));
}

bool dice_chance(struct dice *dice, uint32_t permille)
{
	return dice_below(dice, 1000) < permille;
}
