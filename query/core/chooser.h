/*
 * Chooser: which of several nodes to ask, from what earlier questions showed.
 *
 * For every node: a smoothed latency and a small histogram of latencies for
 * each kind of question, questions in flight, failures since the last answer,
 * and when it was asked last. Shared by all scatters of a gateway; time and
 * outcomes are given by the caller.
 *
 * Cost of a node = latency × (1 + in flight), as in Finagle's least-loaded
 * balancer with EWMA (its "aperture" and "peak" refinements are left out). A
 * node that does not answer keeps its questions in flight and so prices itself
 * out after a few of them, before any timeout. The latency of a node that is
 * not asked is halved every second: a node that was slow once is noticed when it
 * is fast again, and one that is always slow costs a search now and then.
 *
 * Choosing among candidates: those within a half of the cheapest are equal.
 * Of equals, one that this search asks anyway is taken: a further node costs
 * both sides a request and its bookkeeping, which is more than searching one
 * more small shard on a node that is already at it; of several, the one that it
 * asks for fewest shards, because the slowest is waited for. So a search asks few
 * nodes, and load spreads over replicas from search to search: else of equals the
 * one asked longest ago is taken. Every CHOOSER_EXPLORE_EVERY-th search takes one
 * that has not been asked for a second, whatever its cost.
 *
 * A node is away after a failure, for BACKOFF_US doubled with each further
 * failure in a row, and after a refusal for REFUSAL_PAUSE_US; then one question
 * at a time tries it until it answers. Away nodes are chosen only when there
 * are no others.
 *
 * Hedging (Dean and Barroso, "The Tail at Scale", CACM 56(2), 2013): a question
 * not answered after the 95th percentile of whoever could answer it soonest may
 * be asked elsewhere as well. The percentile is the upper bound of a histogram's bucket (bounds rise by √2,
 * counts are halved every HISTOGRAM_FULL samples, so old ones fade). A bucket of
 * tokens holds hedges to one for every CHOOSER_HEDGE_EVERY questions and
 * CHOOSER_HEDGES_AT_ONCE in a burst.
 *
 * Nodes are known by id for the life of the process, CHOOSER_NODES_MAX of them;
 * further ones share one entry. Pure core; the caller lets one thread in at a
 * time; every call is short: no loop but over nodes, candidates or buckets.
 */
#ifndef MILLRACE_QUERY_CORE_CHOOSER_H
#define MILLRACE_QUERY_CORE_CHOOSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHOOSER_NODES_MAX 256
#define CHOOSER_EXPLORE_EVERY 32
#define CHOOSER_HEDGE_EVERY 10
#define CHOOSER_HEDGES_AT_ONCE 10
#define CHOOSER_HEDGE_US_MIN 5000
/* Before a node has answered CHOOSER_SAMPLES_MIN questions of a kind. */
#define CHOOSER_HEDGE_US_DEFAULT 100000
#define CHOOSER_SAMPLES_MIN 20
/* Costs from here on are those of nodes that are away. */
#define CHOOSER_COST_AWAY ((int64_t)1 << 48)

enum chooser_kind {
	CHOOSER_KIND_SEARCH = 0,
	CHOOSER_KIND_LIST,
	CHOOSER_KIND_GET,
	CHOOSER_KINDS
};

struct chooser;

/* NULL when out of memory. */
struct chooser *chooser_new(void);
void chooser_free(struct chooser *chooser);

/* What the calls below name a node by. */
size_t chooser_node(struct chooser *chooser, const char *id);

/* A question leaves for the node; it ends with exactly one of the four below. */
void chooser_sent(struct chooser *chooser, size_t node, int64_t now_us);
/* `latency_us` < 0: it answered, but how fast says nothing about the node. */
void chooser_answered(struct chooser *chooser, size_t node, enum chooser_kind kind, int64_t latency_us);
void chooser_refused(struct chooser *chooser, size_t node, int64_t now_us);
void chooser_failed(struct chooser *chooser, size_t node, int64_t now_us);
void chooser_unsent(struct chooser *chooser, size_t node);
/* A question is out so long that its node counts as failing before it ends. */
void chooser_overdue(struct chooser *chooser, size_t node, int64_t now_us);

int64_t chooser_cost(const struct chooser *chooser, size_t node, enum chooser_kind kind, int64_t now_us);
/* When it was asked last; INT64_MIN: never. */
int64_t chooser_asked_us(const struct chooser *chooser, size_t node);

/* Once a search. What has not been asked since the time it gives is to be explored; INT64_MIN: nothing. */
int64_t chooser_turn(struct chooser *chooser, int64_t now_us);

struct chooser_candidate {
	int64_t cost;
	int64_t asked_us;
	bool taken;    /* this search asks it anyway, */
	size_t shards; /* for so many shards */
};

/* The place of the chosen one; len > 0. */
size_t chooser_pick(const struct chooser_candidate *candidates, size_t len, int64_t explore_us);

/* How long a question may be out before it is asked elsewhere as well. */
int64_t chooser_hedge_after_us(const struct chooser *chooser, size_t node, enum chooser_kind kind);
/* Takes a hedge from the budget; false if it is used up. */
bool chooser_take_hedge(struct chooser *chooser);

#endif
