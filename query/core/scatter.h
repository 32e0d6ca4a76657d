/*
 * Scatter: one request over all shards of an index, as a state machine.
 *
 * Planned from a catalog snapshot: for every partition the replicas that its
 * record names. Each round asks one node once for all partitions chosen there
 * (a leg). step(event) → actions, taken with scatter_take until there are none:
 *
 *   START     → SEND for each leg; partitions without a replica are missing
 *   ANSWERED  → the leg's partitions that nobody had answered are (some perhaps
 *               stale), but for those in `refusals`
 *   UNUSED    → an answer that cannot be used for only some of its partitions
 *   REFUSED   → 410: the refused replicas are not asked the same way again; the
 *               leg's partitions are asked elsewhere where possible
 *   FAILED    → no answer or one that cannot be believed
 *   UNSENT    → the leg could not leave
 *   TICK      → time has passed: hedges, and at the deadline the end
 *   FINISH    ← once, when every partition is answered or missing
 *
 * Which replica: of those recorded active and in-sync (serving), in the replica
 * group of this search, the one the chooser takes. Then serving ones of other
 * groups. A shard without a serving replica that answers is asked accepting a
 * stale answer: of replicas that said they are recovering, then of those that
 * are recorded out of sync or leaving. A joining replica is never asked: it may
 * hold next to nothing. The group of a search is the one that can answer the
 * most shards at the least cost.
 *
 * Hedge: a leg that is out longer than the 95th percentile of its node, or of
 * another that could answer, has its shards asked of other serving replicas too,
 * as far as the chooser's budget goes, and if these are expected to answer in less
 * time than the leg has taken by then: a heavy search on busy nodes is not doubled.
 * A leg that is out for half of the time there was counts as failed for the
 * chooser, and is retried whatever its budget and theirs; its answer is welcome
 * still. The first answer for a shard is the answer; each shard is answered once,
 * whatever else comes (scatter_wanted).
 *
 * Every refusal or failure marks a replica, and a marked one is not asked the
 * same way again; a leg asked again after UNUSED has fewer partitions. So the
 * rounds are bounded. A 410 that refuses none of the partitions asked counts as
 * a failure.
 *
 * Tokens (`tokens`): a node waits until it has received what it must have, so
 * it is given little time at first (patience_us), while another replica may
 * have received more; only when all were asked in vain, they are asked again for
 * the time that is left.
 *
 * After the end every leg's event is still wanted: the chooser learns from it.
 *
 * Partitions may be asked one a leg (`alone`), for requests that name one.
 *
 * Memory is the caller's arena; names and urls are borrowed from the catalog.
 * The chooser is shared: the caller lets one thread at a time into it, and so
 * into scatter_step. Pure core; one thread at a time.
 */
#ifndef MILLRACE_QUERY_CORE_SCATTER_H
#define MILLRACE_QUERY_CORE_SCATTER_H

#include "query/core/chooser.h"
#include "query/core/node_answer.h"
#include "shared/meta/catalog.h"

/* A hedge that was refused is tried again after as long as its leg is out, at least this. */
#define SCATTER_HEDGE_AGAIN_US_MIN 10000

#define SCATTER_PATIENCE_US_MIN 20000

struct scatter;

struct scatter_options {
	struct chooser *chooser;
	enum chooser_kind kind;
	int32_t partition; /* only this one; -1: all */
	bool alone;        /* one leg a partition */
	bool tokens;       /* answers must cover something: how long legs take says nothing about the nodes */
	bool explain;      /* legs keep how they ended, for scatter_append_explained */
	int64_t deadline_us; /* what is open then is missing */
};

/* NULL when out of memory. `index`, `catalog` and the chooser must outlive it. */
struct scatter *scatter_plan(const struct catalog *catalog, const struct index_record *index,
                             const struct scatter_options *options, struct arena *arena);

enum scatter_event_kind {
	SCATTER_EVENT_START = 1,
	SCATTER_EVENT_ANSWERED,
	SCATTER_EVENT_UNUSED,
	SCATTER_EVENT_REFUSED,
	SCATTER_EVENT_FAILED,
	SCATTER_EVENT_UNSENT,
	SCATTER_EVENT_TICK
};

struct scatter_event {
	enum scatter_event_kind kind;
	int64_t now_us;
	size_t leg;           /* all but START and TICK; each leg that was taken has one such event */
	const int32_t *stale; /* ANSWERED */
	size_t stale_len;
	const struct node_refusal *refusals; /* ANSWERED, REFUSED */
	size_t refusals_len;
	const char *why; /* explained: in words, valid as long as the scatter; NULL: what is above says it */
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
	bool hedge;
	int64_t patience_us; /* how long the node may wait for what is required; INT64_MAX: up to the deadline */
};

/* ERROR_MEMORY: the request cannot go on. */
int scatter_step(struct scatter *scatter, const struct scatter_event *event, struct error *error);
/* Ends it without an answer: no actions come any more. */
void scatter_abandon(struct scatter *scatter);
/* The next action; false if there is none now. */
bool scatter_take(struct scatter *scatter, struct scatter_action *action);
/* When a TICK is due; INT64_MAX after the end. */
int64_t scatter_wake_us(const struct scatter *scatter);

/* What a leg asked for. */
struct node_question scatter_question(const struct scatter *scatter, size_t leg, uint64_t hits_max);
/* Which of the leg's partitions nobody has answered yet, by place; the number of them. */
size_t scatter_wanted(const struct scatter *scatter, size_t leg, bool *wanted);
/* True if all shards' replicas are on one node: then that node can cut a page by itself. */
bool scatter_is_on_one_node(const struct scatter *scatter);

size_t scatter_missing(const struct scatter *scatter);
size_t scatter_stale(const struct scatter *scatter);
/* Missing shards of which a node said that it does not have them: a newer catalog may know better. */
size_t scatter_absent(const struct scatter *scatter);
/* "shards=packages/3,packages/7; stale=packages/1", what X-Millrace-Degraded says; nothing if all is well.
 * Long lists end in "+N". */
void scatter_append_degraded(const struct scatter *scatter, struct buffer *text);

/* Members of a JSON object, of a scatter planned with `explain`: what there was to choose from when it began and what
 * was never asked, then what each leg brought of each of its partitions.
 *   "group":"g0", or null where there is only one
 *   "plan":[{"partition":0,"replicas":[{"node":"n1","group":"g0","state":"active","inSync":true,"costMs":0.25,
 *            "asked":false,"reason":"joining"}]}]
 *     costMs is null of what is away or no candidate. Why it was not asked: `unknown` (the cluster has no such node),
 *     `joining`, `outOfSync`, `leaving`, `otherGroup`, `away` (it failed or refused before), `notNeeded`.
 *   "shards":[{"partition":0,"node":"n1","stale":false,"hedge":false,"status":"answered","reason":"…","tookMs":1.5}]
 *     status: `answered`, `unused`, `refused`, `failed`, `unsent`, `pending` (out at the end, without tookMs); `stale`:
 *     such an answer would do. There is a reason unless it answered, is unused or out. */
void scatter_append_explained(const struct scatter *scatter, struct buffer *body);
/* The partitions that are missing, a JSON array. */
void scatter_append_missing(const struct scatter *scatter, struct buffer *body);

/* For metrics. */
struct scatter_tally {
	unsigned retries;       /* legs after the first round that are no hedges */
	unsigned hedges;        /* legs */
	unsigned hedges_won;    /* hedges that answered a shard first */
	unsigned hedges_denied; /* no budget, or whoever would be asked is too busy; each time */
};

struct scatter_tally scatter_tally(const struct scatter *scatter);

#endif
