/*
 * Budget: the memory that what is not stored yet may take on a node, and which
 * index holds how much of it.
 *
 * An index may hold half of what the others leave. So one alone takes half of
 * the budget at most, n that want all they can get 1 / (n + 1) each, and as much
 * as one of them holds is free for whoever comes next. (Dynamic thresholds:
 * Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory
 * packet switches", 1998.)
 *
 * Somebody is refused only while half of the budget or more is held, and what
 * is held can be stored: room comes again. A range is admitted before its size
 * is known, so an index may exceed its share by one range.
 *
 * Pure; a plain value. Bound: BUDGET_INDEXES_MAX indexes that hold something.
 */
#ifndef MILLRACE_SHARD_CORE_BUDGET_H
#define MILLRACE_SHARD_CORE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUDGET_INDEXES_MAX 4096

struct budget_held {
	uint64_t index_id;
	size_t bytes;
};

struct budget {
	size_t bytes_max;
	size_t bytes; /* of all */
	size_t held_len;
	struct budget_held held[BUDGET_INDEXES_MAX]; /* by rising index_id; none of 0 bytes */
};

void budget_init(struct budget *budget, size_t bytes_max);
/* A part of that index, a replica, takes `after` bytes where it took `before`. */
void budget_change(struct budget *budget, uint64_t index_id, size_t before, size_t after);
size_t budget_of(const struct budget *budget, uint64_t index_id);
/* What the index may hold while the others hold what they do. */
size_t budget_share(const struct budget *budget, uint64_t index_id);
/* It holds less than that. */
bool budget_admits(const struct budget *budget, uint64_t index_id);

#endif
