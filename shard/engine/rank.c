#include "shard/engine/rank_private.h"

#include "shared/base/assert.h"

#define FAR 3 /* cost of neighbours that are not near each other */
#define POSITION_COST_MAX 10
#define MATCH_TYPES 3
#define EDGE_UNKNOWN UINT8_MAX

/* ---- what stands for a node ---- */

static bool class_is_empty(const struct rank_class *class)
{
	return class->words.len == 0 && class->firsts.len == 0;
}

/* Everything found is admissible; by typos, a bit for each node that is there. */
static void choices_init(const struct ranking *ranking, uint32_t nodes[RANK_TYPOS_MAX + 1])
{
	for (size_t i = 0; i < ranking->plan->query->nodes_len; i++) {
		const struct rank_found_node *found = &ranking->found->nodes[i];
		struct rank_choice *choice = &ranking->work->choices[i];

		choice->classes_len = 0;
		for (uint8_t typos = 0; typos <= RANK_TYPOS_MAX; typos++) {
			if (class_is_empty(&found->typos[typos]))
				continue;
			if (choice->classes_len == 0)
				choice->typos = typos;
			choice->classes[choice->classes_len++] = &found->typos[typos];
			nodes[typos] |= (uint32_t)1 << i;
		}
		choice->as_typed = true;
		choice->exact_only = false;
	}
}

/* Whether what is left of a node holds it as typed. */
static bool choice_is_exact(const struct ranking *ranking, size_t node)
{
	const struct rank_choice *choice = &ranking->work->choices[node];

	return choice->typos == 0 &&
	       (ranking->plan->nodes[node].is_phrase || ranking->found->nodes[node].exact.len > 0);
}

/* Only the fewest typos stay admissible. */
static void choice_narrow_typos(struct rank_choice *choice)
{
	choice->classes_len = 1;
	choice->as_typed = choice->as_typed && choice->typos == 0;
}

/* Only what stands as typed stays admissible: of a phrase term all that there is. */
static void choice_narrow_exact(const struct ranking *ranking, size_t node)
{
	struct rank_choice *choice = &ranking->work->choices[node];

	choice->classes_len = 1;
	choice->exact_only = true;
	if (ranking->plan->nodes[node].is_phrase)
		return;
	choice->exact = (struct rank_class){.words = ranking->found->nodes[node].exact};
	choice->classes[0] = &choice->exact;
}

/* ---- proximity ---- */

/* Words count in both directions. */
static uint32_t words_pair_cost(const struct rank_plan *plan, struct places left, struct places right)
{
	uint32_t least;

	if (plan->by_attribute)
		return places_share_field(left, right) ? 0 : FAR;
	least = places_distance(left, right, FAR + 1) - 1;
	return least > 1 ? places_distance(right, left, least) : least;
}

/* Phrases count by their outer words, and only forward. */
static uint32_t class_pair_cost(const struct ranking *ranking, const struct rank_class *left,
                                const struct rank_class *right)
{
	const struct places *ends[] = {&left->words, &left->lasts};
	const struct places *begins[] = {&right->words, &right->firsts};
	uint32_t least = words_pair_cost(ranking->plan, left->words, right->words);

	for (size_t i = 1; i < 4 && (left->lasts.len > 0 || right->firsts.len > 0); i++) {
		if (!ranking->plan->by_attribute)
			least = places_distance(*ends[i / 2], *begins[i % 2], least + 1) - 1;
		else if (places_share_field(*ends[i / 2], *begins[i % 2]))
			least = 0;
	}
	return least;
}

/* Of two nodes that follow each other in a path, the right one's own words aside. */
static uint32_t edge_cost(const struct ranking *ranking, size_t left, size_t right)
{
	const struct rank_plan *plan = ranking->plan;
	const struct rank_choice *a = &ranking->work->choices[left];
	const struct rank_choice *b = &ranking->work->choices[right];
	uint32_t least = FAR;

	if (!rank_adjacent(&plan->nodes[left], &plan->nodes[right]))
		return 0;
	for (size_t i = 0; i < a->classes_len; i++)
		for (size_t k = 0; k < b->classes_len && least > 0; k++) {
			uint32_t cost = class_pair_cost(ranking, a->classes[i], b->classes[k]);

			least = cost < least ? cost : least;
		}
	return least;
}

/* The same, found once where several paths have the two. */
static uint32_t edge_known(const struct ranking *ranking, size_t left, size_t right)
{
	const struct rank_node *nodes = ranking->plan->nodes;
	uint8_t *known = &ranking->work->edges[right][nodes[left].size - 1];

	/* of those that are, one at most has the size */
	if (!rank_adjacent(&nodes[left], &nodes[right]))
		return 0;
	if (*known == EDGE_UNKNOWN)
		*known = (uint8_t)edge_cost(ranking, left, right);
	return *known;
}

/* ---- attributeRank and wordPosition ---- */

static uint32_t weight_of(const struct rank_plan *plan, const struct places *places, uint32_t least)
{
	for (size_t i = 0; i < places->len && least > 0; i++) {
		uint32_t field = places->ptr[i].field;

		if (i > 0 && places->ptr[i - 1].field == field)
			continue;
		/* RANK_UNSEARCHED is above every weight */
		if (field < plan->weights_len && plan->weights[field] < least)
			least = plan->weights[field];
	}
	return least;
}

/* Of the best field that holds the node; a phrase is where its first word is. */
static uint32_t weight_cost(const struct ranking *ranking, const struct rank_choice *choice)
{
	uint32_t least = ranking->plan->weight_max;

	for (size_t i = 0; i < choice->classes_len; i++) {
		least = weight_of(ranking->plan, &choice->classes[i]->words, least);
		least = weight_of(ranking->plan, &choice->classes[i]->firsts, least);
	}
	return least;
}

/* Distances from the wanted position cost by steps. */
static uint32_t table_cost(uint32_t difference)
{
	static const uint16_t greatest[POSITION_COST_MAX] = {0, 1, 4, 7, 11, 16, 24, 64, 256, 1024};
	static const uint8_t near[25] = {0, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5,
	                                 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6};
	uint32_t cost = 7;

	if (difference < sizeof near)
		return near[difference];
	while (cost < POSITION_COST_MAX && difference > greatest[cost])
		cost++;
	return cost;
}

/* Of one term near the beginning of the query, where positions are exact below it: the nearest places on both sides
 * decide. */
static uint32_t early_cost(uint32_t start, const struct places *places, uint32_t least)
{
	uint32_t above = UINT32_MAX;
	uint32_t below = 0; /* the position behind it */
	uint32_t cost;

	for (size_t i = 0; i < places->len; i++) {
		uint32_t position = places->ptr[i].position;

		if (position >= start)
			above = position < above ? position : above;
		else
			below = position + 1 > below ? position + 1 : below;
	}
	if (above != UINT32_MAX) {
		cost = table_cost(rank_bucket(above) - start);
		least = cost < least ? cost : least;
	}
	if (below > 0) {
		cost = table_cost(start + 1 - below);
		least = cost < least ? cost : least;
	}
	return least;
}

/* The words of an n-gram are taken to follow each other from where it stands, all measured from its first place. */
static uint32_t position_cost_of(const struct rank_node *node, const struct places *places, uint32_t least)
{
	if (node->size == 1 && node->start < 16)
		return early_cost(node->start, places, least);
	for (size_t i = 0; i < places->len && least > 0; i++) {
		uint32_t bucket = rank_bucket(places->ptr[i].position);
		uint32_t cost = 0;

		for (uint32_t k = 0; k < node->size; k++) {
			uint32_t stands = bucket + k;

			cost += table_cost(stands > node->start ? stands - node->start
			                                        : node->start - stands);
		}
		least = cost < least ? cost : least;
	}
	return least;
}

static uint32_t position_cost(const struct rank_node *node, const struct rank_choice *choice)
{
	uint32_t least = (uint32_t)(POSITION_COST_MAX * node->size);

	for (size_t i = 0; i < choice->classes_len; i++) {
		least = position_cost_of(node, &choice->classes[i]->words, least);
		least = position_cost_of(node, &choice->classes[i]->firsts, least);
	}
	return least;
}

struct rank_single rank_term_costs(const struct rank_plan *plan, size_t term, const struct places *places)
{
	const struct rank_node *node = &plan->nodes[plan->single_at[term]];

	return (struct rank_single){.attribute = weight_of(plan, places, plan->weight_max),
	                            .position = position_cost_of(node, places, POSITION_COST_MAX)};
}

struct rank_single rank_single_costs(const struct rank_plan *plan, const struct places *places)
{
	return rank_term_costs(plan, 0, places);
}

bool rank_terms_adjoin(const struct rank_plan *plan, size_t term)
{
	return term + 1 < plan->query->terms_len &&
	       rank_adjacent(&plan->nodes[plan->single_at[term]], &plan->nodes[plan->single_at[term + 1]]);
}

uint32_t rank_pair_cost(const struct rank_plan *plan, struct places left, struct places right)
{
	return words_pair_cost(plan, left, right);
}

uint32_t rank_single_position(uint32_t position)
{
	return table_cost(rank_bucket(position));
}

uint32_t rank_single_type(const struct rank_plan *plan, const struct places *exact, struct rank_fields fields)
{
	struct rank_found_node node = {.exact = *exact};
	struct rank_found found = {.nodes = &node, .fields = fields};
	struct ranking ranking = {.plan = plan, .found = &found};

	return MATCH_TYPES - (plan->nodes[0].is_asked ? rank_match_type(&ranking, 1) : 1);
}

/* ---- a rule ---- */

static uint32_t node_cost(const struct ranking *ranking, enum rank_rule part, size_t number)
{
	const struct rank_node *node = &ranking->plan->nodes[number];
	const struct rank_choice *choice = &ranking->work->choices[number];

	switch (part) {
	case RANK_TYPO:
		return (uint32_t)(choice->typos + (node->size > 1 ? node->size : 0));
	case RANK_PROXIMITY:
		return (uint32_t)(node->size - 1);
	case RANK_ATTRIBUTE_RANK:
		return weight_cost(ranking, choice) * node->size;
	case RANK_WORD_POSITION:
		return position_cost(node, choice);
	case RANK_EXACTNESS:
		return choice_is_exact(ranking, number) ? 0 : node->size;
	case RANK_WORDS:
	case RANK_ATTRIBUTE:
		break;
	}
	ASSERT(!"a rule that is no sum over nodes");
	return 0;
}

static size_t path_next(uint32_t *path)
{
	size_t node = (size_t)__builtin_ctz(*path);

	*path &= *path - 1;
	return node;
}

static uint32_t path_cost(const struct ranking *ranking, enum rank_rule part, uint32_t path)
{
	size_t node = path_next(&path);
	uint32_t cost = ranking->work->costs[node];

	while (path != 0) {
		size_t left = node;

		node = path_next(&path);
		cost += ranking->work->costs[node];
		if (part == RANK_PROXIMITY)
			cost += edge_known(ranking, left, node);
	}
	return cost;
}

/* All nodes of the paths left. */
static uint32_t nodes_left(const struct rank_work *work)
{
	uint32_t nodes = 0;

	for (size_t i = 0; i < work->paths_len; i++)
		nodes |= work->paths[i];
	return nodes;
}

/* Of the only path, which most documents have. */
static uint32_t single_cost(const struct ranking *ranking, enum rank_rule part, uint32_t path)
{
	size_t node = path_next(&path);
	uint32_t cost = node_cost(ranking, part, node);

	while (path != 0) {
		size_t left = node;

		node = path_next(&path);
		cost += node_cost(ranking, part, node);
		if (part == RANK_PROXIMITY)
			cost += edge_cost(ranking, left, node);
	}
	return cost;
}

/* The least cost; only the paths that have it stay, in their order. */
static uint32_t keep_best(const struct ranking *ranking, enum rank_rule part)
{
	struct rank_work *work = ranking->work;
	uint32_t least = UINT32_MAX;
	size_t kept = 0;

	if (work->paths_len == 1)
		return single_cost(ranking, part, work->paths[0]);
	for (uint32_t rest = nodes_left(work); rest != 0;) {
		size_t node = path_next(&rest);

		work->costs[node] = node_cost(ranking, part, node);
		if (part == RANK_PROXIMITY)
			memset(work->edges[node], EDGE_UNKNOWN, sizeof(work->edges[node]));
	}
	for (size_t i = 0; i < work->paths_len; i++) {
		uint32_t cost = path_cost(ranking, part, work->paths[i]);

		if (cost > least)
			continue;
		if (cost < least)
			kept = 0;
		least = cost;
		work->paths[kept++] = work->paths[i];
	}
	work->paths_len = kept;
	return least;
}

/* The greatest cost of a path, as far as the rules have narrowed it. */
static uint32_t path_cost_max(const struct ranking *ranking, enum rank_rule part, uint32_t path)
{
	const struct rank_node *left = NULL;
	uint32_t most = 0;

	while (path != 0) {
		size_t number = path_next(&path);
		const struct rank_node *node = &ranking->plan->nodes[number];

		/* nothing is left to cost of a word as typed; one too short for typos counts its split */
		if (part != RANK_TYPO || !ranking->work->choices[number].exact_only ||
		    node->typos_allowed == 0)
			most += rank_cost_max(ranking->plan, part, node,
			                      left != NULL && rank_adjacent(left, node));
		left = node;
	}
	return most;
}

static struct rank_pair pair_of(uint32_t cost, uint32_t most)
{
	return (struct rank_pair){cost < most ? most + 1 - cost : 1, most + 1};
}

static void apply_words(const struct ranking *ranking, const struct rank_presence *presence, size_t rule,
                        struct rank_outcome *outcome)
{
	uint32_t words = ranking->plan->query->words;

	outcome->costs[rule] = words - presence->words;
	outcome->pairs[rule][0] = (struct rank_pair){presence->words, words};
}

static void apply_exactness(const struct ranking *ranking, size_t rule, struct rank_outcome *outcome)
{
	uint32_t type = rank_exact_attribute(ranking);
	uint32_t cost = keep_best(ranking, RANK_EXACTNESS);
	uint32_t terms = 0;

	for (uint32_t rest = ranking->work->paths[0]; rest != 0;)
		terms += ranking->plan->nodes[path_next(&rest)].size;
	for (uint32_t rest = nodes_left(ranking->work); rest != 0;) {
		size_t node = path_next(&rest);

		if (choice_is_exact(ranking, node))
			choice_narrow_exact(ranking, node);
	}
	outcome->costs[rule] = (MATCH_TYPES - type) << RANK_EXACTNESS_SHIFT | cost;
	outcome->pairs[rule][0] = (struct rank_pair){type, MATCH_TYPES};
	outcome->pairs[rule][1] = (struct rank_pair){terms - cost + 1, terms + 1};
}

static void apply_attribute(const struct ranking *ranking, size_t rule, const uint32_t most[2],
                            struct rank_outcome *outcome)
{
	uint32_t weight = keep_best(ranking, RANK_ATTRIBUTE_RANK);
	uint32_t position = keep_best(ranking, RANK_WORD_POSITION);

	outcome->costs[rule] = weight << RANK_ATTRIBUTE_SHIFT | position;
	outcome->pairs[rule][0] = pair_of(weight, most[0]);
	outcome->pairs[rule][1] = pair_of(position, most[1]);
}

static void apply_sum(const struct ranking *ranking, size_t rule, uint32_t most, struct rank_outcome *outcome)
{
	enum rank_rule part = ranking->plan->rules[rule];
	uint32_t cost = keep_best(ranking, part);

	if (part == RANK_TYPO)
		for (uint32_t rest = nodes_left(ranking->work); rest != 0;)
			choice_narrow_typos(&ranking->work->choices[path_next(&rest)]);
	outcome->costs[rule] = cost;
	outcome->pairs[rule][0] = pair_of(cost, most);
}

/* The denominators are of the first path left; for the first of all rules, where every term is kept, of the query. */
static void apply(const struct ranking *ranking, const struct rank_presence *presence, size_t rule,
                  struct rank_outcome *outcome)
{
	const struct rank_plan *plan = ranking->plan;
	enum rank_rule name = plan->rules[rule];
	bool is_attribute = name == RANK_ATTRIBUTE;
	uint32_t path = ranking->work->paths[0];
	uint32_t most[2] = {plan->first_cost_max[0], plan->first_cost_max[1]};

	outcome->pairs[rule][1] = (struct rank_pair){1, 1};
	if (name == RANK_WORDS) {
		apply_words(ranking, presence, rule, outcome);
		return;
	}
	if (name == RANK_EXACTNESS) {
		apply_exactness(ranking, rule, outcome);
		return;
	}
	if (rule > 0 && !plan->costs_only) {
		most[0] = path_cost_max(ranking, is_attribute ? RANK_ATTRIBUTE_RANK : name, path);
		most[1] = is_attribute ? path_cost_max(ranking, RANK_WORD_POSITION, path) : 0;
	}
	if (is_attribute)
		apply_attribute(ranking, rule, most, outcome);
	else
		apply_sum(ranking, rule, most[0], outcome);
}

enum rank_verdict rank_document(const struct rank_plan *plan, const struct rank_found *found,
                                struct rank_bound bound, struct rank_work *work, struct rank_outcome *outcome)
{
	struct ranking ranking = {plan, found, work};
	uint32_t nodes[RANK_TYPOS_MAX + 1] = {0};
	struct rank_presence presence;

	ASSERT(bound.len <= plan->rules_len);
	choices_init(&ranking, nodes);
	if (!rank_paths(plan, nodes, work, &presence))
		return RANK_NO_MATCH;
	for (size_t rule = 0; rule < plan->rules_len; rule++) {
		apply(&ranking, &presence, rule, outcome);
		if (rule >= bound.len || outcome->costs[rule] == bound.costs[rule])
			continue;
		if (outcome->costs[rule] > bound.costs[rule])
			return RANK_WORSE;
		bound.len = 0;
	}
	outcome->kept = 0;
	for (uint32_t rest = work->paths[0]; rest != 0;)
		outcome->kept |= plan->nodes[path_next(&rest)].terms;
	return RANK_MATCH;
}

double rank_score(const struct rank_pair *pairs, size_t len)
{
	uint64_t rank = 1;
	uint64_t highest = 1;

	for (size_t i = 0; i < len; i++) {
		rank = (rank - 1) * pairs[i].highest + pairs[i].rank;
		highest *= pairs[i].highest;
	}
	return (double)rank / (double)highest;
}

double rank_rule_score(enum rank_rule rule, const struct rank_pair pairs[2])
{
	/* the words as typed are only told where no field comes near the query */
	return rank_score(pairs, rule == RANK_EXACTNESS && pairs[0].rank > 1 ? 1 : 2);
}
