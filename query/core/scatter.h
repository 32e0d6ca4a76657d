/*
 * Scatter: one request over all shards of an index, as a state machine.
 *
 * Planned from a catalog snapshot: for every partition the replicas that its
 * record calls active, in-sync ones first. Each round asks one node once for
 * all partitions chosen there (a leg). step(event) → actions, taken with
 * scatter_take until there are none:
 *
 *   START     → SEND for each leg; partitions without a replica are missing
 *   ANSWERED  → the leg's partitions are answered (some perhaps stale)
 *   REFUSED   → 410: the refused replicas are marked recovering or failed; the
 *               leg's partitions are asked again, elsewhere where possible
 *   FAILED    → no answer or one that cannot be believed: the replica failed
 *   DEADLINE  → what is open is missing; later answers are ignored
 *   FINISH    ← once, when every partition is answered or missing
 *
 * A shard all of whose replicas are recovering is asked once more, accepting
 * a stale answer; a shard whose replicas all failed is missing. Every refusal
 * or failure marks a replica, and a marked one is not asked the same way
 * again, so the rounds are bounded by the number of replicas. A 410 that
 * refuses none of the partitions asked counts as a failure.
 *
 * Partitions may be asked one a leg (`alone`), for requests that name one.
 *
 * Memory is the caller's arena; names and urls are borrowed from the catalog.
 * Pure core; one thread at a time.
 */
#ifndef MILLRACE_QUERY_CORE_SCATTER_H
#define MILLRACE_QUERY_CORE_SCATTER_H

#include "query/core/node_answer.h"
#include "shared/meta/catalog.h"

struct scatter;

struct scatter_options {
	int32_t partition; /* only this one; -1: all */
	bool alone;        /* one leg a partition */
};

/* NULL when out of memory. `index` and `catalog` must outlive it. */
struct scatter *scatter_plan(const struct catalog *catalog, const struct index_record *index,
                             const struct scatter_options *options, struct arena *arena);

enum scatter_event_kind {
	SCATTER_EVENT_START = 1,
	SCATTER_EVENT_ANSWERED,
	SCATTER_EVENT_REFUSED,
	SCATTER_EVENT_FAILED,
	SCATTER_EVENT_DEADLINE
};

struct scatter_event {
	enum scatter_event_kind kind;
	size_t leg;
	const int32_t *stale; /* ANSWERED */
	size_t stale_len;
	const struct node_refusal *refusals; /* REFUSED */
	size_t refusals_len;
};

enum scatter_action_kind {
	SCATTER_ACTION_SEND = 1,
	SCATTER_ACTION_FINISH
};

struct scatter_action {
	enum scatter_action_kind kind;
	size_t leg;
	const struct node_record *node;
	const int32_t *partitions; /* valid as long as the scatter */
	size_t partitions_len;
	bool stale; /* accept stale answers */
};

/* ERROR_MEMORY: the request cannot go on. */
int scatter_step(struct scatter *scatter, const struct scatter_event *event, struct error *error);
/* The next action; false if there is none now. */
bool scatter_take(struct scatter *scatter, struct scatter_action *action);
/* What a leg asked for; NULL partitions if the leg is closed (its answer came, or the deadline did). */
struct node_question scatter_question(const struct scatter *scatter, size_t leg, uint64_t hits_max);
/* True if all shards' replicas are on one node: then that node can cut a page by itself. */
bool scatter_is_on_one_node(const struct scatter *scatter);

size_t scatter_missing(const struct scatter *scatter);
size_t scatter_stale(const struct scatter *scatter);
/* "shards=packages/3,packages/7; stale=packages/1", what X-Millrace-Degraded says; nothing if all is well.
 * Long lists end in "+N". */
void scatter_append_degraded(const struct scatter *scatter, struct buffer *text);

#endif
