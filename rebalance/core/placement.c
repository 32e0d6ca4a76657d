#include "rebalance/core/placement.h"

#include "shared/base/assert.h"
#include "shared/base/hash.h"

static uint64_t weight(const struct shard_record *shard, const char *node)
{
	uint8_t place[12] = {0};
	struct slice pieces[2] = {slice_of(place, sizeof place), slice_string(node)};

	for (size_t i = 0; i < 8; i++)
		place[i] = (uint8_t)(shard->index_id >> (56 - 8 * i));
	for (size_t i = 0; i < 4; i++)
		place[8 + i] = (uint8_t)((uint32_t)shard->partition >> (24 - 8 * i));
	return hash64_pieces(pieces, 2);
}

/* How many nodes of its group outweigh this one. */
static size_t rank(const struct node_record *nodes, size_t nodes_len, const uint64_t *weights, size_t at)
{
	size_t above = 0;

	for (size_t i = 0; i < nodes_len; i++)
		if (weights[i] > weights[at] && strcmp(nodes[i].group, nodes[at].group) == 0)
			above++;
	return above;
}

void placement_choose(struct shard_record *shard, const struct node_record *nodes, size_t nodes_len,
                      int32_t rf)
{
	uint64_t weights[NODES_MAX];

	ASSERT(nodes_len <= NODES_MAX);
	for (size_t i = 0; i < nodes_len; i++)
		weights[i] = weight(shard, nodes[i].id);
	shard->replicas_len = 0;
	for (size_t i = 0; i < nodes_len && shard->replicas_len < REPLICAS_MAX; i++) {
		struct placement *replica = &shard->replicas[shard->replicas_len];

		if (rank(nodes, nodes_len, weights, i) >= (size_t)rf)
			continue;
		*replica = (struct placement){.state = PLACEMENT_STATE_ACTIVE, .in_sync = true};
		memcpy(replica->node, nodes[i].id, sizeof replica->node);
		shard->replicas_len++;
	}
}
