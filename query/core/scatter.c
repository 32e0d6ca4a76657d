#include "query/core/scatter.h"

#include "shared/base/assert.h"

#define DEGRADED_NAMED_MAX 16

enum replica_view {
	REPLICA_VIEW_UNTRIED = 0,
	REPLICA_VIEW_RECOVERING,
	REPLICA_VIEW_FAILED
};

enum shard_state {
	SHARD_STATE_OPEN = 0,
	SHARD_STATE_ASKED,
	SHARD_STATE_ANSWERED,
	SHARD_STATE_MISSING
};

struct scatter_replica {
	const struct node_record *node;
	enum replica_view view;
};

struct scatter_shard {
	int32_t partition;
	enum shard_state state;
	bool stale;
	size_t leg;    /* while asked */
	size_t chosen; /* replica, while asked */
	size_t replicas_len;
	struct scatter_replica replicas[REPLICAS_MAX];
};

struct scatter_leg {
	struct scatter_leg *next;
	const struct node_record *node;
	int32_t *partitions;
	size_t partitions_len;
	bool accepts_stale;
	bool sent; /* taken as an action */
	bool closed;
};

struct scatter {
	struct arena *arena;
	const struct index_record *index;
	bool alone;
	bool one_node;
	struct scatter_shard *shards;
	size_t shards_len;
	struct scatter_leg *legs; /* newest first */
	size_t legs_len;
	bool started;
	bool finished; /* nothing is open */
	bool finish_taken;
};

/* ---- plan ---- */

static void add_replicas(struct scatter_shard *shard, const struct catalog *catalog,
                         const struct shard_record *record, bool in_sync)
{
	for (size_t i = 0; i < record->replicas_len; i++) {
		const struct placement *placement = &record->replicas[i];
		const struct node_record *node = catalog_node(catalog, placement->node);

		if (placement->state == PLACEMENT_STATE_ACTIVE && placement->in_sync == in_sync &&
		    node != NULL)
			shard->replicas[shard->replicas_len++] =
				(struct scatter_replica){node, REPLICA_VIEW_UNTRIED};
	}
}

static void plan_shard(struct scatter_shard *shard, const struct catalog *catalog,
                       const struct index_record *index, int32_t partition)
{
	const struct shard_record *record = catalog_shard(catalog, index->id, partition);

	*shard = (struct scatter_shard){.partition = partition};
	if (record == NULL || record->generation != index->generation)
		return;
	add_replicas(shard, catalog, record, true);
	/* out of sync is not wrong, only behind: better than nothing */
	add_replicas(shard, catalog, record, false);
}

static bool on_one_node(const struct scatter_shard *shards, size_t shards_len)
{
	const struct node_record *node = NULL;

	for (size_t i = 0; i < shards_len; i++) {
		for (size_t j = 0; j < shards[i].replicas_len; j++) {
			const struct node_record *other = shards[i].replicas[j].node;

			if (node != NULL && other != node)
				return false;
			node = other;
		}
	}
	return true;
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
	                            .index = index,
	                            .alone = options->alone,
	                            .shards = shards,
	                            .shards_len = shards_len};
	for (size_t i = 0; i < shards_len; i++)
		plan_shard(&shards[i], catalog, index,
		           options->partition >= 0 ? options->partition : (int32_t)i);
	scatter->one_node = on_one_node(shards, shards_len);
	return scatter;
}

/* ---- rounds ---- */

/* The replica to ask next: an untried one, else a recovering one that may answer stale. False: none is left. */
static bool choose(const struct scatter_shard *shard, size_t *chosen, bool *stale)
{
	for (size_t i = 0; i < shard->replicas_len; i++) {
		if (shard->replicas[i].view == REPLICA_VIEW_UNTRIED) {
			*chosen = i;
			*stale = false;
			return true;
		}
	}
	for (size_t i = 0; i < shard->replicas_len; i++) {
		if (shard->replicas[i].view == REPLICA_VIEW_RECOVERING) {
			*chosen = i;
			*stale = true;
			return true;
		}
	}
	return false;
}

static struct scatter_leg *leg_at(const struct scatter *scatter, size_t number)
{
	struct scatter_leg *leg = scatter->legs;

	ASSERT(number < scatter->legs_len);
	for (size_t at = scatter->legs_len - 1; at > number; at--)
		leg = leg->next;
	return leg;
}

/* A leg of this round (number `first` and above) for the node, or a new one; NULL when out of memory. A shard
 * with a replica elsewhere must not get a stale answer because its neighbour had to: then legs differ. */
static struct scatter_leg *leg_for(struct scatter *scatter, const struct node_record *node, bool stale,
                                   size_t first, size_t *number)
{
	struct scatter_leg *leg = scatter->legs;

	for (size_t at = scatter->legs_len; at > first && !scatter->alone; at--, leg = leg->next) {
		if (leg->node == node && (leg->accepts_stale == stale || scatter->one_node)) {
			leg->accepts_stale = leg->accepts_stale || stale;
			*number = at - 1;
			return leg;
		}
	}
	leg = arena_alloc(scatter->arena, sizeof *leg);
	if (leg == NULL)
		return NULL;
	*leg = (struct scatter_leg){.next = scatter->legs, .node = node, .accepts_stale = stale};
	leg->partitions = arena_alloc(scatter->arena,
	                              (scatter->alone ? 1 : scatter->shards_len) * sizeof leg->partitions[0]);
	if (leg->partitions == NULL)
		return NULL;
	scatter->legs = leg;
	*number = scatter->legs_len++;
	return leg;
}

/* Puts every open shard into a leg or declares it missing. */
static int ask_open(struct scatter *scatter, struct error *error)
{
	size_t first = scatter->legs_len;
	bool waiting = false;

	for (size_t i = 0; i < scatter->shards_len; i++) {
		struct scatter_shard *shard = &scatter->shards[i];
		struct scatter_leg *leg;
		bool stale;

		if (shard->state == SHARD_STATE_OPEN && !choose(shard, &shard->chosen, &stale))
			shard->state = SHARD_STATE_MISSING;
		if (shard->state == SHARD_STATE_OPEN) {
			leg = leg_for(scatter, shard->replicas[shard->chosen].node, stale, first,
			              &shard->leg);
			if (leg == NULL)
				return error_memory(error, sizeof *leg);
			leg->partitions[leg->partitions_len++] = shard->partition;
			shard->state = SHARD_STATE_ASKED;
		}
		waiting = waiting || shard->state == SHARD_STATE_ASKED;
	}
	scatter->finished = !waiting;
	return 0;
}

static bool is_among(int32_t partition, const int32_t *list, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (list[i] == partition)
			return true;
	return false;
}

static void take_answer(struct scatter *scatter, const struct scatter_event *event)
{
	for (size_t i = 0; i < scatter->shards_len; i++) {
		struct scatter_shard *shard = &scatter->shards[i];

		if (shard->state != SHARD_STATE_ASKED || shard->leg != event->leg)
			continue;
		shard->state = SHARD_STATE_ANSWERED;
		shard->stale = is_among(shard->partition, event->stale, event->stale_len);
	}
}

static const struct node_refusal *refusal_of(const struct scatter_event *event, int32_t partition)
{
	for (size_t i = 0; i < event->refusals_len; i++)
		if (event->refusals[i].partition == partition)
			return &event->refusals[i];
	return NULL;
}

/* Opens the leg's shards again, marking the replicas that refused or, with `all`, every one of them. */
static void reopen(struct scatter *scatter, const struct scatter_event *event, bool accepted_stale, bool all)
{
	for (size_t i = 0; i < scatter->shards_len; i++) {
		struct scatter_shard *shard = &scatter->shards[i];
		const struct node_refusal *refusal;

		if (shard->state != SHARD_STATE_ASKED || shard->leg != event->leg)
			continue;
		shard->state = SHARD_STATE_OPEN;
		refusal = refusal_of(event, shard->partition);
		if (all)
			shard->replicas[shard->chosen].view = REPLICA_VIEW_FAILED;
		else if (refusal != NULL)
			/* recovering, although a stale answer was accepted, is a node that does not answer */
			shard->replicas[shard->chosen].view = refusal->recovering && !accepted_stale
			                                              ? REPLICA_VIEW_RECOVERING
			                                              : REPLICA_VIEW_FAILED;
	}
}

static bool refuses_some(const struct scatter_leg *leg, const struct scatter_event *event)
{
	for (size_t i = 0; i < event->refusals_len; i++)
		if (is_among(event->refusals[i].partition, leg->partitions, leg->partitions_len))
			return true;
	return false;
}

static void give_up(struct scatter *scatter)
{
	for (struct scatter_leg *leg = scatter->legs; leg != NULL; leg = leg->next)
		leg->closed = true;
	for (size_t i = 0; i < scatter->shards_len; i++)
		if (scatter->shards[i].state != SHARD_STATE_ANSWERED)
			scatter->shards[i].state = SHARD_STATE_MISSING;
}

int scatter_step(struct scatter *scatter, const struct scatter_event *event, struct error *error)
{
	struct scatter_leg *leg = NULL;

	ASSERT(event->kind == SCATTER_EVENT_START || scatter->started);
	if (scatter->finished)
		return 0;
	scatter->started = true;
	if (event->kind >= SCATTER_EVENT_ANSWERED && event->kind <= SCATTER_EVENT_FAILED) {
		leg = leg_at(scatter, event->leg);
		if (leg->closed)
			return 0;
		leg->closed = true;
	}
	switch (event->kind) {
	case SCATTER_EVENT_START:
		break;
	case SCATTER_EVENT_ANSWERED:
		take_answer(scatter, event);
		break;
	case SCATTER_EVENT_REFUSED:
		reopen(scatter, event, leg->accepts_stale, !refuses_some(leg, event));
		break;
	case SCATTER_EVENT_FAILED:
		reopen(scatter, event, leg->accepts_stale, true);
		break;
	case SCATTER_EVENT_DEADLINE:
		give_up(scatter);
		break;
	}
	return ask_open(scatter, error);
}

/* ---- results ---- */

bool scatter_take(struct scatter *scatter, struct scatter_action *action)
{
	size_t number = scatter->legs_len;

	for (struct scatter_leg *leg = scatter->legs; leg != NULL; leg = leg->next) {
		number--;
		if (leg->sent || leg->closed)
			continue;
		leg->sent = true;
		*action = (struct scatter_action){SCATTER_ACTION_SEND, number,
		                                  leg->node,           leg->partitions,
		                                  leg->partitions_len, leg->accepts_stale};
		return true;
	}
	if (!scatter->finished || scatter->finish_taken)
		return false;
	scatter->finish_taken = true;
	*action = (struct scatter_action){.kind = SCATTER_ACTION_FINISH};
	return true;
}

struct node_question scatter_question(const struct scatter *scatter, size_t number, uint64_t hits_max)
{
	const struct scatter_leg *leg = leg_at(scatter, number);

	if (leg->closed)
		return (struct node_question){0};
	return (struct node_question){leg->partitions, leg->partitions_len, hits_max};
}

bool scatter_is_on_one_node(const struct scatter *scatter)
{
	return scatter->one_node;
}

static bool is_missing(const struct scatter_shard *shard)
{
	return shard->state == SHARD_STATE_MISSING;
}

static bool is_stale(const struct scatter_shard *shard)
{
	return shard->stale;
}

static size_t count_shards(const struct scatter *scatter, bool (*counts)(const struct scatter_shard *))
{
	size_t count = 0;

	for (size_t i = 0; i < scatter->shards_len; i++)
		count += counts(&scatter->shards[i]);
	return count;
}

size_t scatter_missing(const struct scatter *scatter)
{
	return count_shards(scatter, is_missing);
}

size_t scatter_stale(const struct scatter *scatter)
{
	return count_shards(scatter, is_stale);
}

static void append_list(const struct scatter *scatter, struct buffer *text, const char *name,
                        bool (*counts)(const struct scatter_shard *))
{
	size_t all = count_shards(scatter, counts);
	size_t named = 0;

	if (all == 0)
		return;
	buffer_printf(text, "%s%s=", text->len > 0 ? "; " : "", name);
	for (size_t i = 0; i < scatter->shards_len && named < DEGRADED_NAMED_MAX; i++)
		if (counts(&scatter->shards[i]))
			buffer_printf(text, "%s%s/%d", named++ > 0 ? "," : "", scatter->index->uid,
			              scatter->shards[i].partition);
	if (all > named)
		buffer_printf(text, ",+%zu", all - named);
}

void scatter_append_degraded(const struct scatter *scatter, struct buffer *text)
{
	append_list(scatter, text, "shards", is_missing);
	append_list(scatter, text, "stale", is_stale);
}
