/*
 * Holdings: what a node does about its copy of one shard, decided from the
 * records of meta and topology and from what is on its disk. Nothing else
 * decides it: nobody can tell a node to drop a replica.
 *
 * The rule: a replica is created because records name it, and dropped only
 * because a record says so: the index `deleted`, or this node's entry `leaving`
 * while the same record names another replica that is active and in-sync. The
 * last good copy is never dropped, whoever wrote that record; it is kept
 * closed until a later one says more. Absence is never an order: a replica
 * that its shard's record does not name any more is kept closed too. One whose
 * index or shard has no record at all means that meta or topology was emptied,
 * or that this is another Kafka: the node refuses to run and changes nothing.
 *
 * A replica that comes by a copy (struct placement_copy) is not created: its
 * place is empty until the copy is whole. What is on disk of another
 * incarnation than that record names is kept closed until the copy's head has
 * come here (shard/restoring.c): it may be all that there is, of a node that was
 * silent when the copy was recorded, and the copy may never come.
 *
 * Meant for catalogs that were read to their ends; on any shorter prefix the
 * answer may be REFUSE or HOLD, but never a DROP that the rest would not
 * bear out. Pure function; borrows everything.
 */
#ifndef MILLRACE_SHARD_CORE_HOLDINGS_H
#define MILLRACE_SHARD_CORE_HOLDINGS_H

#include "shared/meta/catalog.h"

/* One shard, and whether this node's disk has a replica of it. */
struct holding {
	uint64_t index_id;
	int32_t generation;
	int32_t partition;
	bool on_disk;
	struct incarnation incarnation; /* of what is on disk; none: not known, or not a replica yet */
};

enum holding_verdict {
	HOLDING_NONE = 1, /* not here, and not wanted here */
	HOLDING_CREATE,   /* make an empty replica */
	HOLDING_AWAIT,    /* make none, a copy is to come; what is on disk of one stays */
	HOLDING_KEEP,     /* open it, serve it */
	HOLDING_HOLD,     /* leave it on disk, closed: no record says serve, none says drop */
	HOLDING_DROP,     /* close it, remove it */
	HOLDING_REFUSE    /* its records are gone: the node must not run */
};

/* `reason` is filled for HOLD, AWAIT and REFUSE (code and text). */
enum holding_verdict holding_decide(const struct catalog *catalog, const char *node,
                                    const struct holding *holding, struct error *reason);

#endif
