#include "rebalance/core/change.h"

#include <stdio.h>

void changes_note(struct changes *changes, const struct shard_record *shard, enum change_kind kind,
                  const char *node, const char *reason)
{
	struct change *change = &changes->list[changes->len++];

	*change = (struct change){
		.kind = kind, .reason = reason, .index_id = shard->index_id, .partition = shard->partition};
	(void)snprintf(change->node, sizeof change->node, "%s", node);
}

const char *change_name(enum change_kind kind)
{
	static const char *const names[CHANGE_KINDS] = {
		[CHANGE_OUT] = "out",
		[CHANGE_IN] = "in",
		[CHANGE_INCARNATION] = "incarnation",
		[CHANGE_JOINING] = "joining",
		[CHANGE_ACTIVE] = "active",
		[CHANGE_LEAVING] = "leaving",
		[CHANGE_GONE] = "gone",
		[CHANGE_DIVERGENT] = "divergent",
		[CHANGE_COPYING] = "copying",
		[CHANGE_COPIED] = "copied",
		[CHANGE_AGREEING] = "agreeing",
	};

	return names[kind];
}
