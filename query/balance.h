/*
 * Balance: the chooser that all flights share, and the figures of their legs.
 *
 * The shell around core/chooser: one lock, held for one step of a scatter or
 * the planning of one, which loop over the shards of an index and wait for
 * nothing.
 *
 * Metrics: millrace_query_legs_total{outcome}, millrace_query_retries_total,
 * millrace_query_hedges_total{result}, millrace_query_node_duration_seconds{node}.
 *
 * Thread-safe.
 */
#ifndef MILLRACE_QUERY_BALANCE_H
#define MILLRACE_QUERY_BALANCE_H

#include "query/core/scatter.h"

struct balance;

/* Declares the metrics: once a process. */
int balance_open(struct balance **balance, struct error *error);
/* NULL does nothing. */
void balance_close(struct balance *balance);

/* scatter_plan with `options->chooser` filled in, scatter_step and scatter_abandon. */
struct scatter *balance_plan(struct balance *balance, const struct catalog *catalog,
                             const struct index_record *index, const struct scatter_options *options,
                             struct arena *arena);
int balance_step(struct balance *balance, struct scatter *scatter, const struct scatter_event *event,
                 struct error *error);
void balance_abandon(struct balance *balance, struct scatter *scatter);

/* A leg to the node has come back. */
void balance_count_leg(struct balance *balance, const char *node, enum scatter_event_kind outcome,
                       int64_t took_us);
/* A scatter has ended. */
void balance_count_end(struct balance *balance, const struct scatter *scatter);

#endif
