/*
 * Placement: which nodes should hold a shard, by rendezvous hashing
 * (Thaler and Ravishankar, "Using name-based mappings to increase hit
 * rates", 1998).
 *
 * In every replica group the `rf` nodes with the highest
 * hash64(BE64 index id, BE32 partition, node id); fewer if the group has
 * fewer. Adding a node moves shards to that node only. A pure function whose
 * values are recorded: it never changes.
 */
#ifndef MILLRACE_REBALANCE_CORE_PLACEMENT_H
#define MILLRACE_REBALANCE_CORE_PLACEMENT_H

#include "shared/meta/catalog.h"

/* Fills the replicas of `shard` (index_id and partition are set), at most REPLICAS_MAX; of at most NODES_MAX nodes. */
void placement_choose(struct shard_record *shard, const struct node_record *nodes, size_t nodes_len,
                      int32_t rf);

#endif
