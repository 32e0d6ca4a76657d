/*
 * What the files of rank share: a document under a plan, the ways to read the
 * query in it, and what its costs may come to.
 */
#ifndef MILLRACE_SHARD_ENGINE_RANK_PRIVATE_H
#define MILLRACE_SHARD_ENGINE_RANK_PRIVATE_H

#include "shard/engine/rank.h"

struct ranking {
	const struct rank_plan *plan;
	const struct rank_found *found;
	struct rank_work *work;
};

/* No gap in the query between two nodes: no term dropped, no hard separator, no stop word. */
static inline bool rank_adjacent(const struct rank_node *left, const struct rank_node *right)
{
	return left->end + 1 == right->start;
}

/* Positions are exact below 16, then 24, then powers of two. */
static inline uint32_t rank_bucket(uint32_t position)
{
	if (position < 16)
		return position;
	if (position < 24)
		return 24;
	return position <= 32 ? 32 : (uint32_t)1 << (32 - __builtin_clz(position - 1));
}

/* The greatest cost of a node under a rule of one part; `adjacent`: to the node before it. */
uint32_t rank_cost_max(const struct rank_plan *plan, enum rank_rule part, const struct rank_node *node,
                       bool adjacent);

/* Fills work->paths, in the specification's order: sets of terms by the first that is not in both, then single
 * terms before n-grams. False if the document does not match; `nodes` as for rank_presence. */
bool rank_paths(const struct rank_plan *plan, const uint32_t nodes[RANK_TYPOS_MAX + 1],
                struct rank_work *work, struct rank_presence *presence);

/* The same of the first `terms` terms, whose words as typed are asked for. */
uint32_t rank_match_type(const struct ranking *ranking, size_t terms);
/* How near a field comes to being the query, over all paths left: 1 (none), 2 (begins with it) or 3. */
uint32_t rank_exact_attribute(const struct ranking *ranking);

#endif
