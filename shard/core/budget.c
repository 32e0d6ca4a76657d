#include "shard/core/budget.h"

#include "shared/base/assert.h"

#include <string.h>

void budget_init(struct budget *budget, size_t bytes_max)
{
	budget->bytes_max = bytes_max;
	budget->bytes = 0;
	budget->held_len = 0;
}

/* Where the index is or would be. */
static size_t place_of(const struct budget *budget, uint64_t index_id)
{
	size_t low = 0;
	size_t high = budget->held_len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (budget->held[middle].index_id < index_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct budget *budget, size_t at, uint64_t index_id)
{
	return at < budget->held_len && budget->held[at].index_id == index_id;
}

static void held_insert(struct budget *budget, size_t at, uint64_t index_id)
{
	ASSERT(budget->held_len < BUDGET_INDEXES_MAX);
	memmove(budget->held + at + 1, budget->held + at, (budget->held_len - at) * sizeof budget->held[0]);
	budget->held[at] = (struct budget_held){.index_id = index_id};
	budget->held_len++;
}

static void held_remove(struct budget *budget, size_t at)
{
	budget->held_len--;
	memmove(budget->held + at, budget->held + at + 1, (budget->held_len - at) * sizeof budget->held[0]);
}

void budget_change(struct budget *budget, uint64_t index_id, size_t before, size_t after)
{
	size_t at = place_of(budget, index_id);

	if (before == after)
		return;
	if (!is_at(budget, at, index_id))
		held_insert(budget, at, index_id);
	ASSERT(budget->held[at].bytes >= before && budget->bytes >= before);
	budget->bytes = budget->bytes - before + after;
	budget->held[at].bytes = budget->held[at].bytes - before + after;
	if (budget->held[at].bytes == 0)
		held_remove(budget, at);
}

size_t budget_of(const struct budget *budget, uint64_t index_id)
{
	size_t at = place_of(budget, index_id);

	return is_at(budget, at, index_id) ? budget->held[at].bytes : 0;
}

size_t budget_share(const struct budget *budget, uint64_t index_id)
{
	size_t others = budget->bytes - budget_of(budget, index_id);

	return others < budget->bytes_max ? (budget->bytes_max - others) / 2 : 0;
}

bool budget_admits(const struct budget *budget, uint64_t index_id)
{
	return budget_of(budget, index_id) < budget_share(budget, index_id);
}
