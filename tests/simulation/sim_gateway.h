/*
 * Simulated gateways: searches that wait together, flights that answer them,
 * and what was promised to each.
 *
 * Who waits with whom is decided by the product's coalesce, whom a flight asks
 * by its scatter and chooser, what must be covered by its token; the shell is
 * here (sim_gateway.c, sim_flight.c), and the nodes' side (sim_search.c).
 * Searches, flights and legs live in the schedule's arena.
 */
#ifndef MILLRACE_TESTS_SIMULATION_SIM_GATEWAY_H
#define MILLRACE_TESTS_SIMULATION_SIM_GATEWAY_H

#include "query/core/coalesce.h"
#include "query/core/scatter.h"
#include "query/core/token.h"
#include "tests/simulation/swarm.h"

/* A client's search of all shards. */
struct search {
	struct coalesce_waiter waiter; /* first: coalesce hands it back */
	int64_t required[SHARDS_MAX];
	int64_t token[SHARDS_MAX];  /* as the client presented it */
	int64_t finals[SHARDS_MAX]; /* that its gateway had read when it came */
	int64_t asked_ms;
	uint32_t log_cuts;
	bool done;
	struct search *older; /* of the same gateway */
};

struct flight {
	struct search *leader;
	struct scatter *scatter;
	int64_t fired_ms;
	int64_t deadline_us;
	int64_t promised
		[SHARDS_MAX]; /* what all in-sync replicas had, by the topology that it was planned from */
	int64_t covered[SHARDS_MAX];
	bool flagged[SHARDS_MAX]; /* missing, or perhaps stale */
	int64_t required[SHARDS_MAX];
	bool requires; /* something */
	bool finished;
	struct flight *next; /* in the air */
};

/* One question to one node. */
struct leg {
	struct flight *flight;
	size_t number;
	uint32_t node; /* that is meant */
	int32_t partitions[SHARDS_MAX];
	size_t partitions_len;
	bool stale;
	int64_t deadline_ms; /* the node's; when it arrived there it counts from then */
	int64_t arrived_ms;
	bool ended;
};

enum leg_outcome {
	LEG_FAILED = 0,
	LEG_ANSWERED,
	LEG_REFUSED,
	LEG_LATE /* 503: the deadline has passed */
};

struct leg_answer {
	enum leg_outcome outcome;
	int64_t received[SHARDS_MAX]; /* by place in the leg */
	int32_t stale[SHARDS_MAX];
	size_t stale_len;
	struct node_refusal refusals[SHARDS_MAX];
	size_t refusals_len;
};

#endif
