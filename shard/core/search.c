#include "shard/core/search_private.h"

#include "shard/core/walk.h"
#include "shared/settings/settings.h"

#include <stdlib.h>

/* Of one posting list, which is never that long. */
#define LIST_BYTES_MAX UINT32_MAX

/* ---- fields ---- */

/* Every field there can be, all of one weight. */
static const uint16_t weights_of_all[FIELD_OTHER + 1];

static bool is_star(struct slice entry)
{
	return slice_equal(entry, slice_string("*"));
}

static uint16_t weight_of(const struct search_request *request, struct slice path)
{
	for (size_t i = 0; i < request->searchable_len; i++)
		if (is_star(request->searchable[i]) || settings_covers(request->searchable[i], path))
			return (uint16_t)i;
	return RANK_UNSEARCHED;
}

static bool is_searched_on(const struct search_request *request, struct slice path)
{
	for (size_t i = 0; i < request->search_on_len; i++)
		if (settings_matches(request->search_on[i], path))
			return true;
	return request->search_on_len == 0;
}

static bool is_exact(const struct search_typos *typos, struct slice path)
{
	for (size_t i = 0; i < typos->attributes_len; i++)
		if (settings_covers(typos->attributes[i], path))
			return true;
	return false;
}

static int fields_weigh(struct search *search, struct error *error)
{
	const struct search_request *request = search->request;
	const struct field_list *list = search->reading.snapshot->fields;
	uint16_t *weights;

	search->weights = weights_of_all;
	search->fields_len = FIELD_OTHER + 1;
	search->some_fields = request->searchable_len != 1 || !is_star(request->searchable[0]) ||
	                      request->search_on_len > 0 || request->typos.attributes_len > 0;
	if (!search->some_fields)
		return 0;
	weights = arena_alloc(search->arena, (list->len + 1) * sizeof *weights);
	search->fields = arena_alloc(search->arena, list->len + 1);
	if (weights == NULL || search->fields == NULL)
		return error_memory(error, list->len * sizeof *weights);
	for (size_t i = 0; i < list->len; i++) {
		uint16_t weight = weight_of(request, list->paths[i]);

		search->fields[i] = (uint8_t)((weight == RANK_UNSEARCHED ? SEARCH_HIDDEN : 0) |
		                              (is_exact(&request->typos, list->paths[i]) ? SEARCH_EXACT : 0));
		weights[i] = is_searched_on(request, list->paths[i]) ? weight : RANK_UNSEARCHED;
	}
	search->weights = weights;
	search->fields_len = list->len;
	return 0;
}

/* ---- hits ---- */

static int hits_add(struct search *search, struct search_page *page, const struct search_scored *scored,
                    const struct postings *set, size_t wanted, struct error *error)
{
	size_t before = search->reading.page.count;

	if (reading_fill(&search->reading, set, wanted, 0, error) != 0)
		return error->code;
	for (size_t i = before; i < search->reading.page.count; i++) {
		page->hits[i].document = search->reading.page.documents[i];
		memcpy(page->hits[i].costs, scored->costs, sizeof scored->costs);
	}
	page->hits_len = search->reading.page.count;
	return 0;
}

/* Those of equal costs together, by insertion key. */
static int scores_take(struct search *search, const struct search_scores *scores, struct search_page *page,
                       struct error *error)
{
	struct postings equal;
	int rc = 0;

	postings_init(&equal);
	for (size_t i = 0, end; i < scores->len && rc == 0 && page->hits_len < search->reading.limit;
	     i = end) {
		for (end = i; end < scores->len && memcmp(scores->ptr[i].costs, scores->ptr[end].costs,
		                                          sizeof scores->ptr[i].costs) == 0;
		     end++)
			postings_add(&equal, scores->ptr[end].number);
		rc = hits_add(search, page, &scores->ptr[i], &equal, end - i, error);
		postings_clear(&equal);
	}
	postings_deinit(&equal);
	return rc;
}

/* The rules before exactness, which asks for the lengths of fields, and all of them. */
struct plans {
	struct rank_plan coarse;
	struct rank_plan whole;
};

/* Only those that the coarse rules leave among the best are ranked by all. */
static int group_rank(struct search *search, const struct plans *plans, const struct postings *group,
                      struct search_scores *scores, struct error *error)
{
	struct search_scores coarse = {.wanted = scores->wanted};
	struct postings best;
	int rc;

	if (plans->coarse.rules_len == 0)
		return search_rank(search, &plans->whole, group, scores, error);
	rc = search_rank(search, &plans->coarse, group, &coarse, error);
	postings_init(&best);
	for (size_t i = 0; i < coarse.len && rc == 0; i++)
		postings_add(&best, coarse.ptr[i].number);
	free(coarse.ptr);
	if (rc == 0)
		rc = search_rank(search, &plans->whole, &best, scores, error);
	postings_deinit(&best);
	return rc;
}

static int group_take(struct search *search, const struct plans *plans, const struct postings *group,
                      struct search_page *page, struct error *error)
{
	struct search_scores scores = {.wanted = search->reading.limit - page->hits_len};
	int rc = group_rank(search, plans, group, &scores, error);

	if (rc == 0)
		rc = scores_take(search, &scores, page, error);
	free(scores.ptr);
	return rc;
}

static int groups_take(struct search *search, const struct plans *plans, struct search_page *page,
                       struct error *error)
{
	struct search_groups groups;
	struct postings group;
	int rc = 0;

	search_groups_begin(search, &groups);
	postings_init(&group);
	while (rc == 0 && page->hits_len < search->reading.limit &&
	       search_groups_next(search, &groups, &group)) {
		rc = group_take(search, plans, &group, page, error);
		postings_clear(&group);
	}
	postings_deinit(&group);
	search_groups_end(&groups);
	return rc;
}

/* ---- all of it ---- */

static void phrases_place(struct search *search)
{
	const struct query *query = search->request->query;

	for (size_t i = 0; i < query->nodes_len; i++) {
		const struct query_term *term = &query->terms[query->nodes[i].first];

		search->phrase_at[i] = search->phrase_words;
		if (term->is_phrase)
			search->phrase_words += term->phrase.len;
	}
}

static int terms_search(struct search *search, struct search_page *page, struct error *error)
{
	const struct search_request *request = search->request;
	struct rank_request asked = {.query = request->query,
	                             .strategy = request->strategy,
	                             .rarest = request->rarest,
	                             .rules = request->rules,
	                             .rules_len = request->rules_len,
	                             .typos_allowed = search->typos_allowed,
	                             .entries = request->searchable_len,
	                             .by_attribute = request->by_attribute};
	struct plans plans = {0};

	if (search_words_find(search, error) != 0 || search_match(search, error) != 0)
		return error->code;
	page->known = search->known;
	page->total = postings_count(&search->matches);
	asked.known = request->all_known ? request->known : search->known;
	asked.weights = search->weights;
	asked.weights_len = search->fields_len;
	rank_plan_init(&plans.whole, &asked);
	asked.rules_len = 0;
	while (asked.rules_len < request->rules_len && asked.rules[asked.rules_len] != RANK_EXACTNESS)
		asked.rules_len++;
	if (asked.rules_len > 0 && asked.rules_len < request->rules_len)
		rank_plan_init(&plans.coarse, &asked);
	return groups_take(search, &plans, page, error);
}

/* Nothing is asked for but what is to be left out. */
static int rest_list(struct search *search, struct search_page *page, struct error *error)
{
	struct reading *reading = &search->reading;
	struct located located;
	struct walk *walk;
	int rc = 0;

	if (search_words_find(search, error) != 0 || search_match(search, error) != 0)
		return error->code;
	page->total = reading->snapshot->documents - postings_count(&search->excluded);
	if (walk_open(reading, &walk, error) != 0)
		return error->code;
	while (page->hits_len < reading->limit && (rc = walk_next(walk, &located, error)) > 0) {
		if (postings_contains(&search->excluded, located.number))
			continue;
		rc = reading_add(reading, &located, 0, error);
		if (rc != 0)
			break;
		page->hits[page->hits_len].document = reading->page.documents[page->hits_len];
		page->hits_len++;
	}
	walk_close(walk);
	return rc < 0 ? rc : 0;
}

static int search_begin(struct search *search, const struct snapshot *snapshot, struct search_page *page,
                        struct error *error)
{
	struct document_request asked = {
		.limit = search->request->limit, .keys_only = true, .arena = search->request->arena};
	struct reading *reading = &search->reading;

	*page = (struct search_page){0};
	if (reading_begin(reading, snapshot, &asked, error) != 0)
		return error->code;
	page->hits = arena_alloc(search->arena, (reading->limit + 1) * sizeof *page->hits);
	if (page->hits == NULL)
		return error_memory(error, reading->limit * sizeof *page->hits);
	memset(page->hits, 0, (reading->limit + 1) * sizeof *page->hits);
	search_typos_allow(search);
	phrases_place(search);
	return fields_weigh(search, error);
}

static void search_end(struct search *search)
{
	for (size_t i = 0; i < QUERY_NODES_MAX; i++)
		for (size_t typos = 0; typos < SEARCH_CLASSES; typos++)
			postings_deinit(&search->sets[i][typos]);
	for (size_t i = 0; i < search->segments_len; i++) {
		struct search_segment *segment = &search->segments[i];

		for (size_t k = 0; k < segment->phrases.len; k++)
			postings_deinit(&segment->phrases.ptr[k].numbers);
		for (size_t k = 0; k < segment->excluded.len; k++)
			postings_deinit(&segment->excluded.ptr[k].numbers);
	}
	postings_deinit(&search->matches);
	postings_deinit(&search->excluded);
	buffer_deinit(&search->joined);
	reading_end(&search->reading);
}

int snapshot_rank(const struct snapshot *snapshot, const struct search_request *request,
                  struct search_page *page, struct error *error)
{
	struct search *search = calloc(1, sizeof *search);
	int rc;

	if (search == NULL)
		return error_memory(error, sizeof *search);
	search->request = request;
	search->arena = request->arena;
	buffer_init(&search->joined, LIST_BYTES_MAX);
	rc = search_begin(search, snapshot, page, error);
	if (rc == 0)
		rc = request->query->terms_len == 0 ? rest_list(search, page, error)
		                                    : terms_search(search, page, error);
	search_end(search);
	free(search);
	return rc;
}
