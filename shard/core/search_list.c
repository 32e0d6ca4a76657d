/* The first documents of one snapshot that match, in order: ranked, or as the cutoff leaves them. */
#include "shard/core/search_private.h"

#include <stdlib.h>

struct listing {
	struct search *search;
	struct rank_plan plan;
	bool has_words; /* the plan counts */
	size_t limit;
	bool is_single; /* of the group at hand the first term alone is kept */
	size_t terms;   /* as search_ranking says */
	uint32_t typos;
	struct search_scored known;         /* what the group costs by the first rules, */
	size_t known_len;                   /* so many */
	const struct search_listed *before; /* a list that was made before, in the order of all rules */
	size_t before_len;
	struct postings listed; /* once the cutoff has passed: all numbers in the list */
};

static int outcomes_take(struct listing *listing, const struct postings *set, struct search_listed *list,
                         size_t len, struct error *error)
{
	struct search *search = listing->search;
	const struct search_request *request = search->request;
	struct rank_outcome *outcomes = arena_alloc(search->arena, (len + 1) * sizeof *outcomes);
	uint64_t *numbers = arena_alloc(search->arena, (len + 1) * sizeof *numbers);

	if (outcomes == NULL || numbers == NULL)
		return error_memory(error, len * sizeof *outcomes);
	postings_list(set, numbers);
	if (search_rank_outcomes(search, &listing->plan, set, outcomes, error) != 0)
		return error->code;
	for (size_t i = 0; i < len; i++) {
		struct search_order by_number = {.numbers = numbers, .len = len};
		const struct rank_outcome *outcome = &outcomes[search_order_at(&by_number, list[i].number)];
		size_t rank = 0;

		list[i].score = rank_score(outcome->pairs[0], 2 * listing->plan.rules_len);
		for (size_t k = 0; k < request->rules_len; k++)
			if (request->rules[k].kind == SEARCH_RULE_RANK) {
				memcpy(list[i].costs[k].pairs, outcome->pairs[rank],
				       sizeof list[i].costs[k].pairs);
				list[i].costs[k].cost = outcome->costs[rank++];
			}
	}
	return 0;
}

/* What the rules say of each of a group's documents that were listed. */
static int costs_show(struct listing *listing, const struct search_order *order, size_t from,
                      struct error *error)
{
	struct search *search = listing->search;
	size_t rules = search->request->rules_len;
	struct search_listed *list = search->list + from;
	size_t len = search->list_len - from;
	struct postings set;
	int rc = 0;

	postings_init(&set);
	for (size_t i = 0; i < len; i++) {
		size_t at = search_order_at(order, list[i].number);

		list[i].costs = arena_alloc(search->arena, (rules + 1) * sizeof *list[i].costs);
		if (list[i].costs == NULL) {
			rc = error_memory(error, rules * sizeof *list[i].costs);
			break;
		}
		memset(list[i].costs, 0, rules * sizeof *list[i].costs);
		for (size_t k = 0; k < rules; k++)
			if (search->request->rules[k].kind != SEARCH_RULE_RANK)
				search_order_cost(search, order, k, at, &list[i].costs[k]);
		postings_add(&set, list[i].number);
	}
	if (rc == 0 && listing->has_words && len > 0)
		rc = outcomes_take(listing, &set, list, len, error);
	postings_deinit(&set);
	return rc;
}

/* Whether words are the first rule, so that a group costs the same by it. */
static bool knows_words(const struct listing *listing)
{
	return listing->known_len > 0 && listing->search->request->strategy != RANK_ALL;
}

/* `order` NULL: they are not ranked by more than what is known of the group. */
static int hits_add(struct listing *listing, const struct search_order *order,
                    const struct search_scored *scored, const struct postings *set, struct error *error)
{
	struct search *search = listing->search;
	struct reading *reading = &search->reading;
	size_t before = search->list_len;
	int rc;

	if (reading_fill(reading, set, error) != 0)
		return error->code;
	search->list_len = reading->page.count;
	for (size_t i = before; i < search->list_len; i++) {
		struct search_listed *listed = &search->list[i];
		struct search_scored with = *scored;

		*listed = (struct search_listed){.document = reading->page.documents[i],
		                                 .number = reading->numbers[i],
		                                 .ranked = order != NULL ? search->request->rules_len
		                                                         : knows_words(listing),
		                                 .score = 1};
		with.number = listed->number;
		rc = order == NULL
		             ? search_order_skip(search, &with, listing->known_len, &listed->rank, error)
		             : search_order_rank(search, order, &with, &listed->rank, error);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Those of equal costs together, by insertion key. */
static int scores_take(struct listing *listing, const struct search_order *order,
                       const struct search_scores *scores, struct error *error)
{
	struct postings equal;
	int rc = 0;

	postings_init(&equal);
	for (size_t i = 0, end; i < scores->len && rc == 0 && listing->search->list_len < listing->limit;
	     i = end) {
		for (end = i; end < scores->len && memcmp(scores->ptr[i].costs, scores->ptr[end].costs,
		                                          sizeof scores->ptr[i].costs) == 0;
		     end++)
			postings_add(&equal, scores->ptr[end].number);
		if (end == scores->len && scores->equal != NULL)
			postings_or(&equal, scores->equal);
		rc = hits_add(listing, order, &scores->ptr[i], &equal, error);
		postings_clear(&equal);
	}
	postings_deinit(&equal);
	return rc;
}

static int group_rank(struct listing *listing, const struct search_order *order, const struct postings *group,
                      struct search_scores *scores, struct error *error)
{
	struct search_ranking ranking = {.plan = listing->has_words ? &listing->plan : NULL,
	                                 .rules_len = listing->search->request->rules_len,
	                                 .order = order,
	                                 .terms = listing->terms,
	                                 .typos = listing->typos};

	if (listing->is_single)
		return search_single(listing->search, &listing->plan, listing->typos, group, scores, error);
	return search_rank(listing->search, &ranking, group, scores, error);
}

static int group_list(struct listing *listing, const struct postings *group, struct error *error)
{
	struct search *search = listing->search;
	struct postings equal_to_last;
	struct search_scores scores = {.wanted = listing->limit - search->list_len, .equal = &equal_to_last};
	size_t before = search->list_len;
	struct search_scored equal = {0};
	struct search_order order;
	int rc = search_order_make(search, group, &order, error);

	postings_init(&equal_to_last);
	if (rc == 0 && search->request->rules_len == 0) {
		rc = hits_add(listing, &order, &equal, group, error);
	} else if (rc == 0) {
		rc = group_rank(listing, &order, group, &scores, error);
		if (rc == 0)
			rc = scores_take(listing, &order, &scores, error);
		free(scores.ptr);
	}
	postings_deinit(&equal_to_last);
	if (rc == 0 && search->request->shows_scores)
		rc = costs_show(listing, &order, before, error);
	return rc;
}

/* ---- when the cutoff has passed ---- */

/* Takes back what was listed of the group at hand, and takes over what was listed before, if that was more. */
static void skipping_begin(struct listing *listing, size_t ranked_len)
{
	struct search *search = listing->search;
	struct reading *reading = &search->reading;

	search->at_cutoff = true;
	search->ranked_len = ranked_len;
	if (listing->before_len > ranked_len)
		search->ranked_len = listing->before_len;
	search->list_len = reading->page.count = search->ranked_len;
	for (size_t i = 0; i < search->list_len; i++) {
		if (i >= ranked_len)
			search->list[i] = listing->before[i];
		reading->page.documents[i] = search->list[i].document;
		reading->numbers[i] = search->list[i].number;
		postings_add(&listing->listed, search->list[i].number);
	}
}

/* Of rules that were skipped nothing is known; of words it is what the group has. */
static int skipped_show(struct listing *listing, size_t from, struct error *error)
{
	const struct search_request *request = listing->search->request;
	size_t pairs_len = 1 + knows_words(listing);
	uint32_t words = request->query->words;
	struct rank_pair pairs[2] = {SEARCH_SKIPPED};
	struct search_cost *costs = arena_alloc(request->arena, sizeof *costs);

	if (costs == NULL)
		return error_memory(error, sizeof *costs);
	*costs = (struct search_cost){.cost = listing->known.costs[0], .pairs[1] = {1, 1}};
	if (pairs_len > 1) {
		pairs[1] = pairs[0];
		pairs[0] = costs->pairs[0] = (struct rank_pair){words - costs->cost, words};
	}
	for (size_t i = from; i < listing->search->list_len; i++) {
		struct search_listed *listed = &listing->search->list[i];

		listed->costs = costs;
		listed->score = rank_score(pairs, pairs_len);
	}
	return 0;
}

/* Lists what is not listed yet of a group without ranking it. */
static int group_skip(struct listing *listing, const struct postings *group, struct error *error)
{
	struct search *search = listing->search;
	size_t before = search->list_len;
	struct postings rest;
	int rc;

	postings_init(&rest);
	postings_share(&rest, group);
	postings_and_not(&rest, &listing->listed);
	rc = hits_add(listing, NULL, &listing->known, &rest, error);
	postings_deinit(&rest);
	if (rc == 0 && search->request->shows_scores)
		rc = skipped_show(listing, before, error);
	return rc;
}

static int group_take(struct listing *listing, const struct postings *group, struct error *error)
{
	struct search *search = listing->search;
	struct watch *watch = search->request->watch;
	size_t before = search->list_len;
	int rc;

	if (watch == NULL || search->request->rules_len == 0)
		return group_list(listing, group, error);
	if (watch->time == WATCH_TIME_LEFT) {
		watch->ranks = true;
		rc = group_list(listing, group, error);
		watch->ranks = false;
		if (rc != ERROR_TIMEOUT || watch->time == WATCH_TIME_OVER)
			return rc;
	}
	if (!search->at_cutoff)
		skipping_begin(listing, before);
	return group_skip(listing, group, error);
}

/* What is known of all documents of the group that was given last. */
static void known_find(struct listing *listing, const struct search_groups *groups)
{
	const struct search_request *request = listing->search->request;

	listing->known_len = 0;
	if (groups->by_words && request->strategy != RANK_ALL)
		listing->known.costs[listing->known_len++] =
			request->query->words - (uint32_t)groups->given_words;
	if (groups->by_typos)
		listing->known.costs[listing->known_len++] = groups->given_typos;
}

static int groups_take(struct listing *listing, struct error *error)
{
	struct search *search = listing->search;
	bool singles = search_single_may(search);
	struct search_groups groups;
	struct postings group;
	int rc = 0;

	search_groups_begin(search, &groups);
	postings_init(&group);
	while (rc == 0 && search->list_len < listing->limit &&
	       (rc = search_groups_next(search, &groups, &group, error)) > 0) {
		listing->is_single = singles && groups.by_typos && groups.given_words == 1;
		listing->terms = groups.by_typos ? groups.given_words : 0;
		listing->typos = groups.given_typos;
		known_find(listing, &groups);
		rc = group_take(listing, &group, error);
		postings_clear(&group);
	}
	postings_deinit(&group);
	search_groups_end(&groups);
	return rc;
}

/* Everything, in insertion order. */
static int all_take(struct search *search, struct error *error)
{
	struct reading *reading = &search->reading;

	if (reading_list(reading, 0, error) != 0)
		return error->code;
	search->list_len = reading->page.count;
	for (size_t i = 0; i < search->list_len; i++)
		search->list[i] = (struct search_listed){.document = reading->page.documents[i],
		                                         .number = reading->numbers[i],
		                                         .rank = slice_of("", 0),
		                                         .score = 1};
	return 0;
}

static void plan_init(struct listing *listing, uint16_t known)
{
	const struct search *search = listing->search;
	const struct search_request *request = search->request;
	enum rank_rule rules[RANK_RULES_MAX];
	struct rank_request asked = {.query = request->query,
	                             .strategy = request->strategy,
	                             .rarest = search->rarest,
	                             .rules = rules,
	                             .typos_allowed = search->typos_allowed,
	                             .known = known,
	                             .weights = search->weights,
	                             .weights_len = search->fields_len,
	                             .entries = request->searchable_len,
	                             .by_attribute = request->by_attribute,
	                             .costs_only = !request->shows_scores};

	listing->has_words = request->query->terms_len > 0;
	if (!listing->has_words)
		return;
	for (size_t i = 0; i < request->rules_len; i++)
		if (request->rules[i].kind == SEARCH_RULE_RANK)
			rules[asked.rules_len++] = request->rules[i].rank;
	rank_plan_init(&listing->plan, &asked);
}

int search_list(struct search *search, uint16_t known, size_t limit, struct error *error)
{
	struct listing listing = {
		.search = search, .limit = limit, .before = search->list, .before_len = search->ranked_len};
	int rc;

	if (limit > search->total)
		listing.limit = (size_t)search->total;
	search->list_len = 0;
	search->at_cutoff = false;
	search->list = arena_alloc(search->arena, (listing.limit + 1) * sizeof *search->list);
	if (search->list == NULL)
		return error_memory(error, listing.limit * sizeof *search->list);
	if (reading_page(&search->reading, listing.limit, error) != 0)
		return error->code;
	plan_init(&listing, known);
	if (listing.limit == 0)
		return 0;
	if (search->is_all)
		return all_take(search, error);
	postings_init(&listing.listed);
	rc = listing.has_words ? groups_take(&listing, error) : group_take(&listing, &search->matches, error);
	postings_deinit(&listing.listed);
	if (!search->at_cutoff)
		search->ranked_len = search->list_len;
	return rc;
}
