/* What there is to choose from, and the choice. */
#include "query/core/scatter_private.h"
#include "shared/base/assert.h"

/* ---- plan ---- */

/* The place of a node in the scatter's table; NODES_MAX if it is full, which a catalog does not allow. */
static size_t node_place(struct scatter *scatter, const struct node_record *record)
{
	size_t at = 0;

	while (at < scatter->nodes_len && scatter->nodes[at].record != record)
		at++;
	if (at == scatter->nodes_len && at < NODES_MAX)
		scatter->nodes[scatter->nodes_len++] = (struct scatter_node){
			.record = record, .entry = chooser_node(scatter->options.chooser, record->id)};
	return at;
}

static bool rank_of(const struct placement *placement, enum replica_rank *rank)
{
	switch (placement->state) {
	case PLACEMENT_STATE_ACTIVE:
		*rank = placement->in_sync ? REPLICA_RANK_SERVING : REPLICA_RANK_OUT;
		return true;
	case PLACEMENT_STATE_LEAVING:
		*rank = REPLICA_RANK_LEAVING;
		return true;
	case PLACEMENT_STATE_JOINING:
		break;
	}
	return false;
}

static void plan_shard(struct scatter *scatter, const struct catalog *catalog, struct scatter_shard *shard,
                       int32_t partition)
{
	const struct shard_record *record = catalog_shard(catalog, scatter->index->id, partition);

	*shard = (struct scatter_shard){.partition = partition};
	if (record == NULL || record->generation != scatter->index->generation)
		return;
	shard->record = record;
	for (size_t i = 0; i < record->replicas_len; i++) {
		const struct node_record *node = catalog_node(catalog, record->replicas[i].node);
		struct scatter_replica replica = {.view = REPLICA_VIEW_UNTRIED};

		if (node == NULL || !rank_of(&record->replicas[i], &replica.rank))
			continue;
		replica.node = node_place(scatter, node);
		ASSERT(replica.node < NODES_MAX);
		if (scatter_replica_on(shard, replica.node) == NULL)
			shard->replicas[shard->replicas_len++] = replica;
	}
}

struct scatter *scatter_plan(const struct catalog *catalog, const struct index_record *index,
                             const struct scatter_options *options, struct arena *arena)
{
	size_t shards_len = options->partition >= 0 ? 1 : (size_t)index->partitions;
	struct scatter *scatter = arena_alloc(arena, sizeof *scatter);
	struct scatter_shard *shards = arena_alloc(arena, shards_len * sizeof shards[0]);

	ASSERT(options->partition < index->partitions);
	if (scatter == NULL || shards == NULL)
		return NULL;
	*scatter = (struct scatter){.arena = arena,
	                            .catalog = catalog,
	                            .index = index,
	                            .options = *options,
	                            .shards = shards,
	                            .shards_len = shards_len};
	for (size_t i = 0; i < shards_len; i++)
		plan_shard(scatter, catalog, &shards[i],
		           options->partition >= 0 ? options->partition : (int32_t)i);
	scatter->one_node = scatter->nodes_len <= 1;
	return scatter;
}

struct scatter_replica *scatter_replica_on(struct scatter_shard *shard, size_t node)
{
	for (size_t i = 0; i < shard->replicas_len; i++)
		if (shard->replicas[i].node == node)
			return &shard->replicas[i];
	return NULL;
}

/* ---- groups ---- */

struct group {
	const char *name;
	size_t lacking; /* shards without a serving replica in it */
	int64_t cost;   /* the dearest shard's: a search takes as long as its slowest leg */
	int64_t asked_us;
};

static size_t list_groups(const struct scatter *scatter, struct group *groups)
{
	size_t len = 0;

	for (size_t i = 0; i < scatter->nodes_len; i++) {
		const struct scatter_node *node = &scatter->nodes[i];
		size_t at = 0;

		while (at < len && strcmp(groups[at].name, node->record->group) != 0)
			at++;
		if (at == len)
			groups[len++] = (struct group){.name = node->record->group, .asked_us = INT64_MIN};
		if (node->asked_us > groups[at].asked_us)
			groups[at].asked_us = node->asked_us;
	}
	return len;
}

bool scatter_is_in_group(const struct scatter *scatter, const struct scatter_replica *replica,
                         const char *group)
{
	return group == NULL || strcmp(scatter->nodes[replica->node].record->group, group) == 0;
}

static void price_group(const struct scatter *scatter, struct group *group)
{
	for (size_t i = 0; i < scatter->shards_len; i++) {
		const struct scatter_shard *shard = &scatter->shards[i];
		int64_t least = INT64_MAX;

		for (size_t j = 0; j < shard->replicas_len; j++) {
			const struct scatter_replica *replica = &shard->replicas[j];

			if (replica->rank == REPLICA_RANK_SERVING &&
			    scatter_is_in_group(scatter, replica, group->name) &&
			    scatter->nodes[replica->node].cost < least)
				least = scatter->nodes[replica->node].cost;
		}
		if (least == INT64_MAX)
			group->lacking++;
		else if (least > group->cost)
			group->cost = least;
	}
}

void scatter_choose_group(struct scatter *scatter)
{
	struct chooser_candidate candidates[NODES_MAX];
	struct group groups[NODES_MAX];
	const char *names[NODES_MAX];
	size_t len = list_groups(scatter, groups);
	size_t least = SIZE_MAX;
	size_t candidates_len = 0;

	if (len <= 1)
		return;
	for (size_t i = 0; i < len; i++) {
		price_group(scatter, &groups[i]);
		if (groups[i].lacking < least)
			least = groups[i].lacking;
	}
	for (size_t i = 0; i < len; i++) {
		if (groups[i].lacking > least)
			continue;
		names[candidates_len] = groups[i].name;
		candidates[candidates_len++] =
			(struct chooser_candidate){groups[i].cost, groups[i].asked_us, false, 0};
	}
	scatter->group = names[chooser_pick(candidates, candidates_len, scatter->explore_us)];
}

/* ---- choices ---- */

struct wanted_replica {
	enum replica_rank rank;
	enum replica_view view;
	const char *group; /* NULL: any */
};

static bool pick(const struct scatter *scatter, struct scatter_shard *shard,
                 const struct wanted_replica *wanted, struct scatter_choice *choice)
{
	struct chooser_candidate candidates[REPLICAS_MAX];
	struct scatter_replica *replicas[REPLICAS_MAX];
	size_t taken = 0;
	size_t len = 0;

	for (size_t i = 0; i < shard->replicas_len; i++) {
		struct scatter_replica *replica = &shard->replicas[i];
		const struct scatter_node *node = &scatter->nodes[replica->node];

		if (replica->rank != wanted->rank || replica->view != wanted->view || replica->asking ||
		    !scatter_is_in_group(scatter, replica, wanted->group))
			continue;
		replicas[len] = replica;
		candidates[len++] =
			(struct chooser_candidate){node->cost, node->asked_us, node->taken, node->shards};
		taken += node->taken;
	}
	if (len == 0)
		return false;
	choice->replica = replicas[chooser_pick(candidates, len, scatter->explore_us)];
	choice->freedom = len == 1 ? 0 : taken == 1 ? 1 : 2;
	return true;
}

/* Whoever is the only one to wait for, or has been asked before, may take its time. */
static bool may_be_patient(const struct scatter *scatter, const struct scatter_shard *shard,
                           const struct scatter_replica *chosen)
{
	if (!scatter->options.tokens || chosen->view == REPLICA_VIEW_BEHIND)
		return true;
	for (size_t i = 0; i < shard->replicas_len; i++) {
		const struct scatter_replica *other = &shard->replicas[i];

		if (other != chosen && other->rank == REPLICA_RANK_SERVING &&
		    (other->view == REPLICA_VIEW_UNTRIED || other->view == REPLICA_VIEW_BEHIND))
			return false;
	}
	return true;
}

bool scatter_choose_fresh(const struct scatter *scatter, struct scatter_shard *shard,
                          struct scatter_choice *choice)
{
	struct wanted_replica wanted = {REPLICA_RANK_SERVING, REPLICA_VIEW_UNTRIED, scatter->group};
	bool found = pick(scatter, shard, &wanted, choice);

	/* a group is left for a node that answers, and for want of replicas in it */
	if (!found || scatter->nodes[choice->replica->node].cost >= CHOOSER_COST_AWAY) {
		wanted.group = NULL;
		found = pick(scatter, shard, &wanted, choice);
	}
	if (!found) {
		wanted.view = REPLICA_VIEW_BEHIND;
		found = pick(scatter, shard, &wanted, choice);
	}
	choice->stale = false;
	choice->patient = !found || may_be_patient(scatter, shard, choice->replica);
	return found;
}

bool scatter_choose(const struct scatter *scatter, struct scatter_shard *shard, struct scatter_choice *choice)
{
	static const struct wanted_replica last_resorts[] = {
		{REPLICA_RANK_SERVING, REPLICA_VIEW_RECOVERING, NULL},
		{REPLICA_RANK_OUT, REPLICA_VIEW_UNTRIED, NULL},
		{REPLICA_RANK_LEAVING, REPLICA_VIEW_UNTRIED, NULL},
	};

	if (scatter_choose_fresh(scatter, shard, choice))
		return true;
	choice->stale = true;
	choice->patient = true;
	for (size_t i = 0; i < sizeof last_resorts / sizeof last_resorts[0]; i++)
		if (pick(scatter, shard, &last_resorts[i], choice))
			return true;
	return false;
}
