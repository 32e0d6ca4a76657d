/*
 * The office's own structures, shared by office.c (election, taking office,
 * serving), office_actions.c (what the core wants done) and office_watching.c
 * (what nodes and logs say), and nobody else. All of it belongs to the
 * office's thread, but for `state` and `status`.
 */
#ifndef MILLRACE_REBALANCE_OFFICE_PRIVATE_H
#define MILLRACE_REBALANCE_OFFICE_PRIVATE_H

#include "rebalance/core/controller.h"
#include "rebalance/office.h"
#include "rebalance/office_rebuild.h"
#include "rebalance/polling.h"
#include "rebalance/replaying.h"
#include "shared/runtime/metrics.h"

#include <pthread.h>
#include <stdatomic.h>

#define KAFKA_TIMEOUT_MS 10000

/* What was last said about a node that gives no good answer. */
struct said {
	char node[NODE_ID_BYTES_MAX + 1];
	bool troubled;
	int64_t at_ms;
};

struct office {
	const struct config *config;
	struct log_connection *connection;
	const char *url;
	int signal_fd;
	atomic_int state;
	char kafka_id[64];
	struct node_record nodes[NODES_MAX];
	size_t nodes_len;
	struct log_owner *owner; /* NULL until Kafka was there once */
	uint64_t slots;
	int64_t fenced_ms[OFFICE_FENCES_MAX]; /* when a successor fenced us last, a ring */
	size_t fenced;
	struct polling *polling;
	struct replaying *replaying;

	/* a term */
	struct log_office *log;
	struct log_reader *reader;
	struct controller *controller;
	struct rebuild_ends *rebuild_ends;
	int64_t starts[INDEX_PARTITIONS_MAX];
	int64_t act_ms;       /* not before: an action has failed */
	char trouble[512];    /* what was last said about a failing action */
	bool ends_troubled;   /* it was said that log ends cannot be read */
	int64_t status_at_ms; /* when `status` was made, and everything counted */
	bool joining;         /* there is a replica to be filled by replay */
	struct said said[NODES_MAX];
	size_t said_len;

	pthread_mutex_t status_lock;
	struct buffer status; /* members of the answer to GET /status; empty out of office */

	struct series *in_office;
	struct series *succeeded;
	struct series *failed;
	struct metric *changes;
	struct series *nodes_answering;
	struct series *shards_divergent;
	struct series *replicas_out;
};

/* office_actions.c: carries out one action that the core wants, if any; `*more` if there may be another. One only: it may
 * take long, and answers of nodes that nobody listens to meanwhile would look like silence. Negative if the office must
 * be left. */
int office_act(struct office *office, bool *more, struct error *error);

/* office_watching.c */
/* Asks nodes and logs, and tells the core what they say; the time until the next node is due. */
int office_watch(struct office *office);
/* Makes what GET /status and the gauges say, if it is time. */
void office_publish(struct office *office);
void office_unpublish(struct office *office);

#endif
