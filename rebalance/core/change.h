/*
 * Change: what a shard's new record changes about its replicas, and why; for
 * log lines and metrics. Plain values.
 */
#ifndef MILLRACE_REBALANCE_CORE_CHANGE_H
#define MILLRACE_REBALANCE_CORE_CHANGE_H

#include "shared/meta/catalog.h"

/* Noted for one shard in one turn. */
#define CHANGES_PER_SHARD_MAX ((size_t)(6 * REPLICAS_MAX))

enum change_kind {
	CHANGE_OUT = 1,     /* no longer in-sync */
	CHANGE_IN,          /* in-sync */
	CHANGE_INCARNATION, /* its incarnation is recorded, for the first time or anew */
	CHANGE_JOINING,
	CHANGE_ACTIVE, /* was joining */
	CHANGE_LEAVING,
	CHANGE_GONE,      /* its node has dropped it; no longer recorded */
	CHANGE_DIVERGENT, /* of the shard: this replica differs from another in-sync one */
	CHANGE_COPYING,   /* a new incarnation, to come by a copy */
	CHANGE_COPIED,    /* and it has come, with what follows it */
	CHANGE_AGREEING   /* of the shard: no longer divergent; node is "" */
};
#define CHANGE_KINDS (CHANGE_AGREEING + 1)

struct change {
	enum change_kind kind;
	const char *reason; /* static: one word */
	uint64_t index_id;
	int32_t partition;
	char node[NODE_ID_BYTES_MAX + 1];
};

struct changes {
	struct change *list; /* with room for CHANGES_PER_SHARD_MAX more before each shard */
	size_t len;
};

void changes_note(struct changes *changes, const struct shard_record *shard, enum change_kind kind,
                  const char *node, const char *reason);
const char *change_name(enum change_kind kind);

#endif
