/*
 * Groups: the documents of a path of so many words and typos are those that
 * have the nodes of it, so they follow from sets, path by path. A set that no
 * group has needed yet is not found: it is when a group comes to it, and some
 * document has the path up to there.
 */
#include "shard/core/search_private.h"

#include "shared/base/assert.h"

static bool rule_is(const struct search_request *request, size_t at, enum rank_rule rule)
{
	return at < request->rules_len && request->rules[at].kind == SEARCH_RULE_RANK &&
	       request->rules[at].rank == rule;
}

bool search_is_by_words(const struct search_request *request)
{
	for (size_t i = 0; i < request->query->terms_len; i++)
		if (request->query->terms[i].is_phrase && request->strategy == RANK_LAST)
			return false;
	return request->strategy == RANK_ALL ||
	       (request->strategy == RANK_LAST && rule_is(request, 0, RANK_WORDS));
}

void search_groups_begin(struct search *search, struct search_groups *groups)
{
	const struct search_request *request = search->request;

	*groups = (struct search_groups){.words = request->query->terms_len};
	groups->by_words = search_is_by_words(request);
	groups->by_typos =
		groups->by_words && rule_is(request, request->strategy == RANK_ALL ? 0 : 1, RANK_TYPO);
}

void search_groups_end(struct search_groups *groups)
{
	postings_deinit(&groups->placed);
	for (size_t i = 0; i <= QUERY_TERMS_MAX; i++)
		for (size_t typos = 0; typos <= SEARCH_TYPOS_MAX; typos++)
			postings_deinit(&groups->sums[i][typos]);
}

/* Whether a path through the first terms that costs just so many typos may go on: some document has it that is in no
 * group yet, or may be ranked by any of its paths. */
static bool sum_is_open(const struct search_groups *groups, size_t terms, uint32_t typos)
{
	struct postings rest;
	bool open;

	if (terms == 0 || groups->sums[terms][typos].len == 0)
		return terms == 0 && typos == 0;
	if (!groups->by_typos)
		return true;
	postings_init(&rest);
	postings_share(&rest, &groups->sums[terms][typos]);
	postings_and_not(&rest, &groups->placed);
	open = rest.len > 0;
	postings_deinit(&rest);
	return open;
}

/* Documents with a path that ends with the node and costs just so many typos. */
static int sum_add(struct search *search, struct search_groups *groups, size_t node, uint32_t typos,
                   struct error *error)
{
	const struct query_node *last = &search->request->query->nodes[node];
	uint32_t joined = last->terms > 1 ? last->terms : 0;
	size_t before = last->first;

	for (uint32_t own = 0; own < SEARCH_CLASSES && own + joined <= typos; own++) {
		uint32_t rest = typos - own - joined;
		struct postings set;

		if (!(search->classes[node] >> own & 1) && sum_is_open(groups, before, rest) &&
		    search_classes_find(search, node, 1U << own, error) != 0)
			return error->code;
		if (search->sets[node][own].len == 0 || (before == 0 && rest > 0))
			continue;
		postings_init(&set);
		postings_share(&set, &search->sets[node][own]);
		if (before > 0)
			postings_and(&set, &groups->sums[before][rest]);
		postings_or(&groups->sums[before + last->terms][typos], &set);
		postings_deinit(&set);
	}
	return 0;
}

/* Those of the first `at` terms. */
static int sum_fill(struct search *search, struct search_groups *groups, size_t at, uint32_t typos,
                    struct error *error)
{
	const struct query *query = search->request->query;

	if (groups->summed[at][typos])
		return 0;
	groups->summed[at][typos] = true;
	for (size_t i = 0; i < query->nodes_len; i++)
		if ((size_t)query->nodes[i].first + query->nodes[i].terms == at &&
		    sum_add(search, groups, i, typos, error) != 0)
			return error->code;
	return 0;
}

static int sums_fill(struct search *search, struct search_groups *groups, size_t terms, uint32_t typos,
                     struct error *error)
{
	for (size_t at = 1; at <= terms; at++)
		for (uint32_t cost = 0; cost <= typos; cost++)
			if (sum_fill(search, groups, at, cost, error) != 0)
				return error->code;
	return 0;
}

/* The next step of words and typos; false behind the last. */
static bool groups_step(const struct search *search, struct search_groups *groups)
{
	if (groups->typos < SEARCH_TYPOS_MAX) {
		groups->typos++;
		return true;
	}
	groups->typos = 0;
	groups->words--;
	return groups->words > 0 && search->request->strategy != RANK_ALL;
}

/* Moves what the step has, and no group before, into the group. */
static void group_place(struct search_groups *groups, struct postings *group)
{
	struct postings more;

	postings_init(&more);
	postings_share(&more, &groups->sums[groups->words][groups->typos]);
	postings_and_not(&more, &groups->placed);
	postings_or(&groups->placed, &more);
	postings_or(group, &more);
	postings_deinit(&more);
}

int search_groups_next(struct search *search, struct search_groups *groups, struct postings *group,
                       struct error *error)
{
	ASSERT(group->len == 0);
	if (!groups->by_words) {
		if (groups->ended)
			return 0;
		groups->ended = true;
		postings_share(group, &search->matches);
		return group->len > 0;
	}
	while (!groups->ended) {
		size_t words = groups->words;

		groups->given_words = words;
		groups->given_typos = groups->typos;
		if (sums_fill(search, groups, words, groups->typos, error) != 0)
			return error->code;
		group_place(groups, group);
		groups->ended = !groups_step(search, groups);
		if (group->len > 0 && (groups->by_typos || groups->ended || groups->words != words))
			return 1;
	}
	return group->len > 0;
}
