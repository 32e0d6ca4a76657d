/*
 * Paths: whether a document matches, by a walk over the terms that keeps the
 * best way to each; then every path of that many terms, one by one.
 */
#include "shard/engine/rank_private.h"

#include "shared/base/assert.h"

/* The best way over the first terms: most terms kept, then least typos. */
struct reach {
	bool reached;
	uint32_t kept;
	uint32_t typos;
};

static void reach_offer(struct reach *reach, struct reach other)
{
	if (!reach->reached || other.kept > reach->kept ||
	    (other.kept == reach->kept && other.typos < reach->typos))
		*reach = other;
}

/* Nothing is reached (false), or the terms before `*end` are the ones that count. */
static bool reach_end(const struct rank_plan *plan, const uint32_t *nodes, struct reach *best, size_t *end)
{
	struct reach reaches[QUERY_TERMS_MAX + 1] = {{.reached = true}};
	size_t terms = plan->query->terms_len;

	*end = 0;
	for (size_t term = 0; term < terms; term++) {
		struct reach here = reaches[term];

		if (!here.reached)
			continue;
		if (!plan->drops_last && !(plan->mandatory >> term & 1))
			reach_offer(&reaches[term + 1], here);
		for (size_t i = plan->nodes_at[term]; i < plan->nodes_at[term + 1]; i++) {
			const struct rank_node *node = &plan->nodes[i];
			uint32_t typos = 0;

			while (typos <= RANK_TYPOS_MAX && !(nodes[typos] >> i & 1))
				typos++;
			if (typos > RANK_TYPOS_MAX)
				continue;
			typos += node->size > 1 ? node->size : 0;
			reach_offer(&reaches[term + node->size],
			            (struct reach){true, here.kept + node->size, here.typos + typos});
			if (*end < term + node->size)
				*end = term + node->size;
		}
	}
	if (!plan->drops_last)
		*end = terms;
	*best = reaches[*end];
	return best->reached && *end > 0;
}

static struct rank_presence presence_of(const struct rank_plan *plan, struct reach best)
{
	/* of the terms that may be dropped none is a phrase */
	uint32_t dropped = (uint32_t)plan->query->terms_len - best.kept;

	return (struct rank_presence){plan->query->words - dropped, best.typos};
}

bool rank_presence(const struct rank_plan *plan, const uint32_t nodes[RANK_TYPOS_MAX + 1],
                   struct rank_presence *presence)
{
	struct reach best;
	size_t end;

	if (!reach_end(plan, nodes, &best, &end))
		return false;
	*presence = presence_of(plan, best);
	return true;
}

struct covering {
	const struct rank_plan *plan;
	struct rank_work *work;
	uint32_t present;   /* nodes */
	unsigned available; /* terms that some node covers */
};

/* Every way to cover the terms `left`; a call a term. */
static void cover(const struct covering *covering, unsigned left, uint32_t path)
{
	const struct rank_plan *plan = covering->plan;
	size_t term = 0;

	if (left == 0) {
		ASSERT(covering->work->paths_len < RANK_PATHS_MAX);
		covering->work->paths[covering->work->paths_len++] = path;
		return;
	}
	while (!(left >> term & 1))
		term++;
	for (size_t i = plan->nodes_at[term]; i < plan->nodes_at[term + 1]; i++)
		if ((covering->present >> i & 1) && (plan->nodes[i].terms & ~left) == 0)
			cover(covering, left & ~(unsigned)plan->nodes[i].terms, path | (uint32_t)1 << i);
}

/* Every set of terms with so many dropped, early terms kept first; a call a term. */
static void choose(const struct covering *covering, size_t term, unsigned kept, unsigned drops)
{
	unsigned bit = 1U << term;

	if (term == covering->plan->query->terms_len) {
		if (drops == 0)
			cover(covering, kept, 0);
		return;
	}
	choose(covering, term + 1, kept | (covering->available & bit), drops);
	if (drops > 0 && (covering->available & bit) && !(covering->plan->mandatory & bit))
		choose(covering, term + 1, kept, drops - 1);
}

/* Where nothing stands for joined words there is one path, if any; false: it has to be looked for. */
static bool plain_path(const struct rank_plan *plan, const uint32_t nodes[RANK_TYPOS_MAX + 1],
                       struct rank_work *work, struct rank_presence *presence)
{
	uint32_t present = nodes[0] | nodes[1] | nodes[2];
	struct reach reach = {0};
	uint32_t path = 0;
	size_t terms = plan->query->terms_len;

	if ((present & ~plan->singles) != 0)
		return false;
	for (; reach.kept < terms; reach.kept++) {
		uint32_t node = (uint32_t)1 << plan->single_at[reach.kept];

		if (!(present & node))
			break;
		path |= node;
		reach.typos += nodes[0] & node ? 0 : nodes[1] & node ? 1 : 2;
	}
	if (reach.kept == 0 || (reach.kept < terms && !plan->drops_last))
		return false;
	work->paths_len = 1;
	work->paths[0] = path;
	presence->words = plan->query->words - (uint32_t)(terms - reach.kept);
	presence->typos = reach.typos;
	return true;
}

bool rank_paths(const struct rank_plan *plan, const uint32_t nodes[RANK_TYPOS_MAX + 1],
                struct rank_work *work, struct rank_presence *presence)
{
	struct covering covering = {plan, work, nodes[0] | nodes[1] | nodes[2], 0};
	struct reach best;
	unsigned drops = 0;
	size_t end;

	if (plain_path(plan, nodes, work, presence))
		return true;
	if (!reach_end(plan, nodes, &best, &end))
		return false;
	for (size_t i = 0; i < plan->query->nodes_len; i++)
		if (covering.present >> i & 1)
			covering.available |= plan->nodes[i].terms;
	covering.available &= (1U << end) - 1;
	for (size_t term = 0; term < end; term++)
		drops += covering.available >> term & 1;
	work->paths_len = 0;
	choose(&covering, 0, 0, drops - best.kept);
	*presence = presence_of(plan, best);
	return true;
}
