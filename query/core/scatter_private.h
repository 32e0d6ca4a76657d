/*
 * Scatter, inside: scatter_plan.c knows what there is to choose from and
 * chooses, scatter.c runs the rounds, scatter_explain.c tells of both.
 */
#ifndef MILLRACE_QUERY_CORE_SCATTER_PRIVATE_H
#define MILLRACE_QUERY_CORE_SCATTER_PRIVATE_H

#include "query/core/scatter.h"

/* What is known of a replica in this request. */
enum replica_view {
	REPLICA_VIEW_UNTRIED = 0,
	REPLICA_VIEW_BEHIND,     /* had not received what is required, given little time */
	REPLICA_VIEW_RECOVERING, /* would answer stale */
	REPLICA_VIEW_ABSENT,
	REPLICA_VIEW_FAILED
};

/* How good a replica is, best first. */
enum replica_rank {
	REPLICA_RANK_SERVING = 0, /* active and in-sync */
	REPLICA_RANK_OUT,         /* active, out of sync: only stale */
	REPLICA_RANK_LEAVING      /* only stale */
};

enum shard_state {
	SHARD_STATE_OPEN = 0, /* being asked, or to be asked */
	SHARD_STATE_ANSWERED,
	SHARD_STATE_MISSING
};

struct scatter_node {
	const struct node_record *record;
	size_t entry; /* the chooser's */
	/* of the round */
	int64_t cost;
	int64_t asked_us;
	int64_t hedge_after_us;
	bool taken;
	size_t shards;      /* that it is asked for */
	int64_t first_cost; /* of the first round */
};

struct scatter_replica {
	size_t node; /* in the scatter's nodes */
	enum replica_rank rank;
	enum replica_view view;
	bool asking;
	bool asked; /* ever */
};

struct scatter_shard {
	const struct shard_record *record; /* NULL: there is none of this generation */
	int32_t partition;
	enum shard_state state;
	bool stale;
	size_t asking; /* replicas that are being asked */
	size_t replicas_len;
	struct scatter_replica replicas[REPLICAS_MAX];
};

/* How a leg ended for one of its partitions. */
struct scatter_end {
	enum scatter_event_kind kind; /* 0: it is out */
	const char *why;              /* NULL: the kind says it */
};

struct scatter_leg {
	struct scatter_leg *next; /* the one before */
	size_t number;
	size_t node;
	int32_t *partitions;
	size_t partitions_len;
	struct scatter_end *ends; /* by place; NULL: nobody asks */
	bool accepts_stale;
	bool patient;
	bool hedge;
	bool sent;   /* taken as an action */
	bool closed; /* its event came */
	int64_t sent_us;
	int64_t closed_us;
	int64_t hedge_after_us; /* the least 95th percentile of whoever could answer a shard of it */
	int64_t hedge_us;
	int64_t overdue_us;
	bool overdue; /* its shards were asked of others, whatever the budget */
};

struct scatter {
	struct arena *arena;
	const struct catalog *catalog;
	const struct index_record *index;
	struct scatter_options options;
	bool one_node;
	struct scatter_node nodes[NODES_MAX];
	size_t nodes_len;
	const char *group;  /* NULL: there is only one */
	int64_t explore_us; /* of the first round, as chooser_turn says */
	struct scatter_shard *shards;
	size_t shards_len;
	struct scatter_leg *legs; /* newest first */
	size_t legs_len;
	bool started;
	bool first_round_asked;
	bool won;      /* the leg being closed answered a shard */
	bool finished; /* nothing is open */
	bool finish_taken;
	struct scatter_tally tally;
};

struct scatter_round {
	size_t first; /* number of its first leg */
	int64_t now_us;
	bool hedge;
};

struct scatter_choice {
	struct scatter_replica *replica;
	bool stale;
	bool patient; /* for what is required: nobody else may have it sooner */
	int freedom;  /* 0: there is one replica; 1: one on a node that is asked anyway; 2: more */
};

/* Sets the group of this search from the costs of the round. */
void scatter_choose_group(struct scatter *scatter);
/* The replica to ask next for an open shard; false: none is left. */
bool scatter_choose(const struct scatter *scatter, struct scatter_shard *shard,
                    struct scatter_choice *choice);
/* The same among replicas that can give an answer that is not stale. */
bool scatter_choose_fresh(const struct scatter *scatter, struct scatter_shard *shard,
                          struct scatter_choice *choice);
struct scatter_leg *scatter_leg_at(const struct scatter *scatter, size_t number);
/* `group` NULL: any. */
bool scatter_is_in_group(const struct scatter *scatter, const struct scatter_replica *replica,
                         const char *group);
struct scatter_replica *scatter_replica_on(struct scatter_shard *shard, size_t node);

#endif
