/*
 * Restore: the shards of an index anew, out of a snapshot's directory
 * (cli_snapshot.h), where no replica of them serves any more and their logs do
 * not reach back to the beginning.
 *
 * It is the same index afterwards: same cluster, Kafka, id, generation, rules
 * and log. A shard is made of its copy up to the copy's watermark, and fed on from
 * the log; where that begins above the watermark there is a gap, which somebody
 * must give up.
 *
 *   1. The directory is read whole and must be as it was written; it must be of
 *      this cluster, of an index that is not deleted, under its present rules, and its
 *      replicas of the format that the nodes write. Nothing is begun
 *      before all of that and every log's beginning and end are known.
 *   2. A request asks for the shards that do not serve and of which nobody recorded
 *      yet that they come by this very copy. The controller records on which
 *      nodes, refuses what serves, and that is its final.
 *   3. The copies are sent to those nodes, piece by piece; each answers how far its
 *      disk is, so that whoever runs this again goes on there. A node that does not
 *      take its copy holds up no other one of the shard: it is asked last, and what it
 *      lacks is given to it by whoever runs this again, while the shard serves.
 *   4. It waits until the shards serve.
 *
 * cli_restore.c (words, checks, the request, waiting), cli_restore_status.c (what
 * the gateway says of the shards), cli_restore_shard.c (sending). One thread.
 * Bounds: as cli_snapshot.h's. Failure: as there; what nodes, gateway and Kafka
 * refuse is told by shard.
 */
#ifndef MILLRACE_CLI_CLI_RESTORE_H
#define MILLRACE_CLI_CLI_RESTORE_H

#include "shared/cli/cli_snapshot.h"
#include "shared/meta/restore.h"

/* One shard. */
struct restore_row {
	const struct snapshot_row *snapshot;
	struct placement_copy copy; /* as it is to be recorded */
	int64_t log_start;
	int64_t log_end;
	bool serves; /* some replica does: the shard stays as it is */
	bool begun;  /* it is recorded that its replicas come by this copy */
	bool waits;  /* one of those does not serve yet */
};

struct restore {
	const char *directory;
	struct cli *cli;
	struct http_client *client; /* to the nodes */
	struct snapshot_found found;
	const struct index_record *index; /* as it is now */
	struct restore_row *rows;         /* by partition */
	yyjson_doc *status;               /* the gateway's, as asked last; NULL: not asked */
	void (*show)(void *context, const struct restore_row *row, const struct snapshot_sum *sum);
	void *context;
};

/* ---- cli_restore_status.c ---- */

/* Asks for the status anew. ERROR_NETWORK, RETRY. */
int restore_ask_status(struct restore *restore, struct error *error);
/* Fills what the status says of every shard. */
void restore_read_status(struct restore *restore);

/* That every node which answers can take what the snapshot has. ERROR_VERSION, FATAL. */
int restore_check_nodes(const struct restore *restore, struct error *error);

/* A replica that comes by this copy; strings borrowed until the status is asked again. */
struct restore_replica {
	const char *node;
	const char *url; /* "": not known */
	bool answers;    /* its node did, when the status was asked */
	bool serves;     /* in-sync too */
	int64_t received;
};

/* The shard's, at most REPLICAS_MAX; how many. */
size_t restore_replicas(const struct restore *restore, const struct restore_row *row,
                        struct restore_replica replicas[REPLICAS_MAX]);

/* ---- cli_restore_shard.c ---- */

/* Sends the shard's copy to that node, from where its disk is on. `show` is called after every page. */
int restore_shard_give(struct restore *restore, const struct restore_row *row,
                       const struct restore_replica *replica, struct error *error);

#endif
