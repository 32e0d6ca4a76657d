/*
 * Moves: bringing the recorded replicas of a shard to its target.
 *
 * What should be is computed (placement.h), what is is recorded. A pure
 * function of a shard's record and of what was last seen; the record given is
 * changed to what should be recorded now.
 *
 *   Joining: a node of the target that is not recorded, answers, and has fewer
 *   than MOVES_JOINING_MAX shards joining.
 *
 *   Leaving: a replica outside the target, only when every replica of the
 *   target is in-sync and well and one of them has received as much as this
 *   one (or this one is out and its node silent). Its node drops it because
 *   the record says so.
 *
 *   Gone: a leaving replica is no longer recorded once its node has answered
 *   without it, asked MOVES_GONE_MS or more after it was recorded as leaving.
 *
 *   Repair of a divergent shard: the node that comes next in the target's
 *   order joins as one more. As soon as more than half of the in-sync replicas
 *   have one digest, the ones that differ from it leave, one after the other;
 *   where the target names them they join again, from empty. Nothing else
 *   leaves meanwhile. Without a further node, or without a majority, somebody
 *   must decide (moves_need_operator).
 *
 * Pure core, no state of its own but what it notes in the watch.
 */
#ifndef MILLRACE_REBALANCE_CORE_MOVES_H
#define MILLRACE_REBALANCE_CORE_MOVES_H

#include "rebalance/core/marks.h"

#define MOVES_JOINING_MAX 8
#define MOVES_GONE_MS 3000

/* The nodes that may hold replicas, and how busy they are. */
struct moves_places {
	const struct node_record *nodes; /* configured */
	size_t nodes_len;
	int32_t rf;
	const struct watched_node *watched[NODES_MAX]; /* in the order of nodes */
	unsigned joining[NODES_MAX];                   /* shards that join it now; counted up here */
};

void moves_apply(struct shard_record *record, const struct sight *sight, struct moves_places *places,
                 struct changes *changes);
/* A divergent shard that is not repaired by itself. */
bool moves_need_operator(const struct shard_record *record, const struct sight *sight,
                         const struct moves_places *places);

#endif
