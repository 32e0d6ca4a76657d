#include "shard/engine/rank_private.h"

#include "shared/base/assert.h"

#define POSITION_COST_MAX 10
#define FAR 3

uint32_t rank_cost_max(const struct rank_plan *plan, enum rank_rule part, const struct rank_node *node,
                       bool adjacent)
{
	switch (part) {
	case RANK_TYPO:
		/* every word can at least be split */
		if (node->is_phrase)
			return 0;
		return (uint32_t)(node->typos_allowed > 0 ? node->typos_allowed : 1) +
		       (node->size > 1 ? node->size : 0);
	case RANK_PROXIMITY:
		return (uint32_t)(node->size - 1) + (adjacent ? FAR : 0);
	case RANK_ATTRIBUTE_RANK:
		return plan->weight_max * node->size;
	case RANK_WORD_POSITION:
		return (uint32_t)(POSITION_COST_MAX * node->size);
	case RANK_WORDS:
	case RANK_ATTRIBUTE:
	case RANK_EXACTNESS:
		break;
	}
	ASSERT(!"a rule whose ranks do not count down from a greatest cost");
	return 0;
}

/* Over all ways to read the whole query, whether documents hold them or not. */
static uint32_t query_cost_max(const struct rank_plan *plan, enum rank_rule part)
{
	const struct query *query = plan->query;
	uint32_t most[QUERY_TERMS_MAX + 1] = {0};

	for (size_t term = 0; term < query->terms_len; term++) {
		bool adjacent = term > 0 && query->terms[term - 1].end + 1 == query->terms[term].start;

		for (size_t i = plan->nodes_at[term]; i < plan->nodes_at[term + 1]; i++) {
			const struct rank_node *node = &plan->nodes[i];
			uint32_t cost = most[term] + rank_cost_max(plan, part, node, adjacent);

			if (cost > most[term + node->size])
				most[term + node->size] = cost;
		}
	}
	return most[query->terms_len];
}

static void first_cost_max(struct rank_plan *plan)
{
	enum rank_rule first = plan->rules_len > 0 ? plan->rules[0] : RANK_EXACTNESS;

	if (first == RANK_ATTRIBUTE) {
		plan->first_cost_max[0] = query_cost_max(plan, RANK_ATTRIBUTE_RANK);
		plan->first_cost_max[1] = query_cost_max(plan, RANK_WORD_POSITION);
	} else if (first != RANK_EXACTNESS) {
		plan->first_cost_max[0] = query_cost_max(plan, first);
	}
}

static struct rank_node node_of(const struct rank_request *request, size_t number)
{
	const struct query_node *node = &request->query->nodes[number];
	const struct query_term *term = &request->query->terms[node->first];

	ASSERT(node->terms >= 1 && node->terms <= QUERY_NGRAM_MAX &&
	       node->first + node->terms <= request->query->terms_len &&
	       request->typos_allowed[number] <= RANK_TYPOS_MAX);
	return (struct rank_node){
		.start = term->start,
		.end = term[node->terms - 1].end,
		.terms = (uint16_t)(((1U << node->terms) - 1) << node->first),
		.first = node->first,
		.size = node->terms,
		.typos_allowed = request->typos_allowed[number],
		.is_phrase = term->is_phrase,
		.is_asked = node->terms == 1 && (term->is_phrase || (request->known >> node->first & 1)),
	};
}

static uint16_t mandatory(const struct rank_request *request)
{
	const struct query *query = request->query;
	unsigned phrases = 0;

	if (request->strategy == RANK_ALL)
		return (uint16_t)((1U << query->terms_len) - 1);
	for (size_t i = 0; i < query->terms_len; i++)
		phrases |= (unsigned)query->terms[i].is_phrase << i;
	if (phrases != 0)
		return (uint16_t)phrases;
	return (uint16_t)(request->strategy == RANK_LAST ? 1U : 1U << request->rarest);
}

void rank_plan_init(struct rank_plan *plan, const struct rank_request *request)
{
	const struct query *query = request->query;
	size_t term = 0;

	ASSERT(query->terms_len >= 1 && query->terms_len <= QUERY_TERMS_MAX);
	ASSERT(query->nodes_len <= QUERY_NODES_MAX && request->rules_len <= RANK_RULES_MAX);
	ASSERT(request->entries >= 1 && request->entries <= UINT16_MAX);
	ASSERT(request->strategy != RANK_FREQUENCY || request->rarest < query->terms_len);
	*plan = (struct rank_plan){
		.query = query,
		.weights = request->weights,
		.weights_len = request->weights_len,
		.weight_max = (uint32_t)request->entries - 1,
		.by_attribute = request->by_attribute,
		.costs_only = request->costs_only,
		.keeps_all = request->strategy == RANK_ALL,
		.mandatory = mandatory(request),
		.rules_len = request->rules_len,
	};
	plan->drops_last = request->strategy == RANK_LAST;
	for (size_t i = 0; i < query->terms_len; i++)
		plan->drops_last = plan->drops_last && !query->terms[i].is_phrase;
	for (size_t i = 0; i < request->rules_len; i++) {
		plan->rules[i] = request->rules[i];
		ASSERT((plan->rules[i] == RANK_WORDS) == (i == 0 && !plan->keeps_all));
	}
	for (size_t i = 0; i < query->nodes_len; i++) {
		plan->nodes[i] = node_of(request, i);
		for (; term < plan->nodes[i].first; term++)
			plan->nodes_at[term + 1] = (uint8_t)i;
		if (plan->nodes[i].size > 1)
			continue;
		plan->single_at[plan->nodes[i].first] = (uint8_t)i;
		plan->singles |= (uint32_t)1 << i;
	}
	ASSERT((size_t)__builtin_popcount(plan->singles) == query->terms_len);
	for (; term < query->terms_len; term++)
		plan->nodes_at[term + 1] = (uint8_t)query->nodes_len;
	if (plan->keeps_all)
		first_cost_max(plan);
}
