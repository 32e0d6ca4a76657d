/*
 * Node: the program that holds replicas, applies batches and answers searches.
 *
 * One owner thread with one poll() loop owns every replica: it receives,
 * searches, lists, merges, and begins and ends stores. HTTP requests reach it
 * through bounded mailboxes (their connections are suspended meanwhile);
 * batches are applied range by range, and questions go between the ranges.
 * One writer thread runs store jobs and slices of compactions and rewrites, one at a time. The reader of meta and
 * topology is opened by a thread of its own, because that waits for Kafka.
 *
 * Which replica answers, and which question waits for what a shard must have
 * received, is decided by shard/core/serving.h. A question says how long its
 * asker waits (X-Millrace-Deadline-Ms): past that it is answered 503
 * `deadline`, and no further shard is looked up. A request may name the node
 * that it is for (X-Millrace-Node): any other one answers 421 `wrong_node`.
 *
 * Settings that meta says are made ready for the search threads (settings_shelf.h) and built by the replicas; GET
 * /shards tells for each which version it is built for.
 *
 * What it holds is decided by shard/core/holdings.h from meta and topology
 * alone, after both were read to their ends. Another Kafka, or records that
 * are gone, end the program with exit code 78 before anything is changed.
 *
 * Directory: DATA/node.json says whose it is (shard/core/node_identity.h);
 * under another shard.id the node does not start. Replicas are in
 * DATA/replicas/<index id>-<generation>-<partition>/; one on its way out is
 * renamed to `….dropped` first.
 *
 * A process that stood still for NODE_STANDSTILL_MS (stopped, frozen, on a
 * suspended machine) treats that as a restart: what it knew of the log is old,
 * so every replica gets a new session and recovers until it is level again.
 *
 * Store policy: when the memory of all replicas reaches a quarter of
 * `shard.memory`, when a replica has enough for a disk segment of some size, or
 * when the oldest range waits for NODE_STORE_AGE_MS. After every store the
 * replica is compacted as far as it should be, and further when NODE_REST_MS passed and
 * nothing has come; stores and slices take turns, but a replica whose dead take more of the disk than merges leave of them is
 * compacted before it is stored again. A file of which most is free is written anew
 * (kv_rewrite.h), between them and behind them. An index that holds its share
 * of the budget (core/budget.h) is answered BUSY, the others are not. At
 * SIGTERM the node answers nothing new, stores what it has (at most
 * NODE_SHUTDOWN_MS) and closes.
 */
#ifndef MILLRACE_SHARD_NODE_H
#define MILLRACE_SHARD_NODE_H

#include "shared/config/config.h"

#define NODE_STORE_AGE_MS 5000
#define NODE_REST_MS 2000
#define NODE_SHUTDOWN_MS 20000
#define NODE_STANDSTILL_MS 2000

struct node;

/* Listens; the ready file is written when the node knows what it holds. Until then everything but /health,
 * /ready, /metrics and GET /shards (which lists none yet) is answered 503. `signal_fd` as process_start gave it. */
int node_open(const struct config *config, int signal_fd, struct node **node, struct error *error);
/* Until a signal arrives (0) or something fails that a restart or an operator must resolve. */
int node_run(struct node *node, struct error *error);
void node_close(struct node *node);

#endif
