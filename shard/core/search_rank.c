/* Ranking a group of documents: each is judged by what it has (search_gather.c), and the best are kept. */
#include "shard/core/search_gather.h"
#include "shard/core/search_narrow.h"

#include "shared/base/assert.h"

#include <stdlib.h>

struct ranker {
	struct search *search;
	const struct search_ranking *ranking;
	struct search_scores *scores;  /* NULL: only … */
	struct rank_outcome *outcomes; /* … these are wanted, of all in turn */
	struct search_lengths lengths;
	struct rank_work work;
	struct gathering gathering;
};

/* What the document costs by the rules that sort. */
static void sorts_take(const struct ranker *ranker, struct search_scored *scored)
{
	const struct search_order *order = ranker->ranking->order;
	size_t at = search_order_at(order, scored->number);

	for (size_t i = 0; order->len > 0 && i < ranker->ranking->rules_len; i++)
		if (order->costs[i] != NULL)
			scored->costs[i] = order->costs[i][at];
}

static bool is_about_words(const struct ranker *ranker, size_t rule)
{
	return ranker->search->request->rules[rule].kind == SEARCH_RULE_RANK;
}

/* What the document must not cost more than by the rules about words, before any other follows; false if it costs too
 * much already. */
static bool bound_find(const struct ranker *ranker, const struct search_scored *scored,
                       struct rank_bound *bound)
{
	const struct search_scores *scores = ranker->scores;
	const uint32_t *worst = scores->worst.costs;
	size_t len = ranker->ranking->rules_len;

	for (size_t i = 0; scores->is_full && i < len; i++) {
		if (is_about_words(ranker, i)) {
			bound->costs = worst + i;
			while (i < len && is_about_words(ranker, i++))
				bound->len++;
			return true;
		}
		if (scored->costs[i] != worst[i])
			return scored->costs[i] < worst[i];
	}
	return true;
}

static int document_judge(struct ranker *ranker, size_t document, struct rank_bound bound,
                          struct rank_outcome *outcome, bool *worse, struct error *error)
{
	uint64_t number = ranker->gathering.chunk[document];
	struct rank_found found = {.fields = search_lengths_of(&ranker->lengths, number)};
	enum rank_verdict verdict;

	if (gathering_found(&ranker->gathering, document, &found, error) != 0)
		return error->code;
	verdict = rank_document(ranker->ranking->plan, &found, bound, &ranker->work, outcome);
	*worse = verdict == RANK_WORSE;
	if (ranker->lengths.failed) {
		*error = ranker->lengths.error;
		return error->code;
	}
	if (verdict == RANK_NO_MATCH)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "document %llu has not the words that its lists say",
		                 (unsigned long long)number);
	return 0;
}

static int document_rank(struct ranker *ranker, size_t document, struct error *error)
{
	struct search_scored scored = {.number = ranker->gathering.chunk[document]};
	struct rank_bound bound = {NULL, 0};
	struct rank_outcome outcome;
	size_t rank = 0;
	bool worse = false;

	if (ranker->scores == NULL)
		return document_judge(ranker, document, bound, ranker->outcomes++, &worse, error);
	sorts_take(ranker, &scored);
	if (!bound_find(ranker, &scored, &bound))
		return 0;
	if (document_judge(ranker, document, bound, &outcome, &worse, error) != 0)
		return error->code;
	if (worse)
		return 0;
	for (size_t i = 0; i < ranker->ranking->rules_len; i++)
		if (is_about_words(ranker, i))
			scored.costs[i] = outcome.costs[rank++];
	return search_scores_add(ranker->scores, &scored, error);
}

/* Not if the rules that sort say already that it is not wanted. */
static bool is_wanted(const struct ranker *ranker, uint64_t number)
{
	struct search_scored scored = {.number = number};
	struct rank_bound bound = {NULL, 0};

	if (ranker->scores == NULL || ranker->ranking->order->len == 0)
		return true;
	sorts_take(ranker, &scored);
	return bound_find(ranker, &scored, &bound);
}

static int chunk_rank(struct ranker *ranker, struct error *error)
{
	if (ranker->gathering.chunk_len > 0 && gathering_chunk(&ranker->gathering, error) != 0)
		return error->code;
	for (size_t i = 0; i < ranker->gathering.chunk_len; i++)
		if (watch_step(ranker->search->request->watch, WATCH_RANK, error) != 0 ||
		    document_rank(ranker, i, error) != 0)
			return error->code;
	ranker->gathering.chunk_len = 0;
	return 0;
}

/* Those of the numbers, which rise, that are the segment's. */
static int segment_rank(struct ranker *ranker, const struct search_segment *segment, const uint64_t *numbers,
                        size_t len, struct error *error)
{
	if (len == 0)
		return 0;
	search_lengths_begin(&ranker->lengths, ranker->search, segment);
	if (gathering_open(&ranker->gathering, segment, error) != 0)
		return error->code;
	for (size_t i = 0; i < len; i++) {
		if (!is_wanted(ranker, numbers[i]))
			continue;
		ranker->gathering.chunk[ranker->gathering.chunk_len++] = numbers[i];
		if (ranker->gathering.chunk_len == GATHERING_CHUNK && chunk_rank(ranker, error) != 0)
			return error->code;
	}
	return chunk_rank(ranker, error);
}

static int numbers_rank(struct ranker *ranker, const uint64_t *numbers, size_t len, struct error *error)
{
	const struct search *search = ranker->search;
	size_t at = 0;

	for (size_t i = 0; i < search->segments_len; i++) {
		const struct search_segment *segment = &search->segments[i];
		size_t end = at;

		while (end < len && numbers[end] < segment->end)
			end++;
		if (segment_rank(ranker, segment, numbers + at, end - at, error) != 0)
			return error->code;
		at = end;
	}
	return 0;
}

/* Without words in the query: what sorts is all there is. */
static int numbers_sort(struct ranker *ranker, const uint64_t *numbers, size_t len, struct error *error)
{
	for (size_t i = 0; i < len; i++) {
		struct search_scored scored = {.number = numbers[i]};
		struct rank_bound none = {NULL, 0};

		if (watch_step(ranker->search->request->watch, 1, error) != 0)
			return error->code;
		sorts_take(ranker, &scored);
		if (bound_find(ranker, &scored, &none) &&
		    search_scores_add(ranker->scores, &scored, error) != 0)
			return error->code;
	}
	return 0;
}

static int group_rank(struct ranker *ranker, const struct postings *group, struct error *error)
{
	size_t len = (size_t)postings_count(group);
	uint64_t *numbers = malloc((len + 1) * sizeof *numbers);
	int rc;

	if (numbers == NULL)
		return error_memory(error, len * sizeof *numbers);
	postings_list(group, numbers);
	rc = ranker->scores == NULL ? 0
	                            : search_narrow(ranker->search, ranker->ranking, ranker->scores->wanted,
	                                            numbers, &len, error);
	if (rc == 0)
		rc = ranker->ranking->plan == NULL ? numbers_sort(ranker, numbers, len, error)
		                                   : numbers_rank(ranker, numbers, len, error);
	free(numbers);
	return rc;
}

static struct ranker *ranker_new(struct search *search, const struct search_ranking *ranking)
{
	struct ranker *ranker = malloc(sizeof *ranker + search->phrase_words * sizeof(struct places));

	if (ranker == NULL)
		return NULL;
	*ranker = (struct ranker){.search = search,
	                          .ranking = ranking,
	                          .gathering = {.search = search,
	                                        .ranking = ranking,
	                                        .phrases = (struct places *)(ranker + 1)}};
	return ranker;
}

static void ranker_free(struct ranker *ranker)
{
	search_lengths_end(&ranker->lengths);
	gathering_close(&ranker->gathering);
	free(ranker);
}

int search_rank(struct search *search, const struct search_ranking *ranking, const struct postings *group,
                struct search_scores *scores, struct error *error)
{
	struct ranker *ranker = ranker_new(search, ranking);
	int rc;

	if (ranker == NULL)
		return error_memory(error, sizeof *ranker);
	ranker->scores = scores;
	rc = group_rank(ranker, group, error);
	if (rc == 0)
		search_scores_sort(scores);
	ranker_free(ranker);
	return rc;
}

int search_rank_outcomes(struct search *search, const struct rank_plan *plan, const struct postings *group,
                         struct rank_outcome *outcomes, struct error *error)
{
	struct search_ranking ranking = {.plan = plan};
	struct ranker *ranker = ranker_new(search, &ranking);
	int rc;

	if (ranker == NULL)
		return error_memory(error, sizeof *ranker);
	ranker->outcomes = outcomes;
	rc = group_rank(ranker, group, error);
	ranker_free(ranker);
	return rc;
}
