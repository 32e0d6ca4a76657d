/*
 * Node report: what a node told about itself and its replicas when it was
 * asked, or that it told nothing.
 *
 * node_report_parse reads the answer to GET /shards of another process,
 * perhaps of another version, perhaps damaged: it is exactly what it should
 * be, or it counts as no answer. Members that this program does not know are
 * ignored. Bound: REPORT_REPLICAS_MAX replicas. Pure core.
 */
#ifndef MILLRACE_REBALANCE_CORE_NODE_REPORT_H
#define MILLRACE_REBALANCE_CORE_NODE_REPORT_H

#include "shared/meta/catalog.h"

#define REPORT_REPLICAS_MAX 65536
#define REPORT_SEALS_MAX 8

enum report_state {
	REPORT_STATE_RECOVERING = 1, /* not level yet since its session began */
	REPORT_STATE_ACTIVE,         /* level once since its session began, whatever topology says */
	REPORT_STATE_STOPPED
};

/* The digest of the fold up to `offset`. */
struct report_seal {
	int64_t offset;
	struct hash128 digest;
};

struct replica_report {
	uint64_t index_id;
	int32_t generation;
	int32_t partition;
	enum report_state state;
	struct incarnation incarnation; /* none if stopped before it had one */
	uint64_t session;
	int64_t received;
	int64_t stored;
	int64_t settings;      /* the highest version that it is built for; -1: none, or it does not say */
	struct hash128 digest; /* of the fold up to `received` */
	size_t seals_len;
	struct report_seal seals[REPORT_SEALS_MAX]; /* by rising offset */
};

struct node_report {
	const char *node;    /* whom we asked, as controller_nodes names it; the caller's */
	int64_t asked_ms;    /* monotonic, before the question left */
	const char *failure; /* NULL, or why there is no answer, and nothing below counts; the caller's */
	char id[NODE_ID_BYTES_MAX + 1]; /* who says it is */
	struct incarnation incarnation; /* of its data directory */
	uint64_t session;               /* of its process */
	uint32_t format;
	char kafka[64]; /* "": it does not know yet */
	bool ready; /* has read meta and topology and opened what it holds: what is not listed is not there */
	size_t replicas_len;
	struct replica_report *replicas;
};

/* Fills everything but node, asked_ms and failure; node_report_deinit afterwards. ERROR_FORMAT or ERROR_LIMIT,
 * REJECT; ERROR_MEMORY. */
int node_report_parse(struct slice body, struct node_report *report, struct error *error);
void node_report_deinit(struct node_report *report);

#endif
