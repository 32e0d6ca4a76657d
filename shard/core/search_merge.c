/* A search of several snapshots: what they know together, their lists as one, and which of it is shown and counted. */
#include "shard/core/search_private.h"

#include "shared/base/map.h"

#include <stdlib.h>

/* Hits looked at first where not all that rank best are shown; then so many times as many. */
#define STREAM_FIRST 256
#define STREAM_GROWTH 8

struct merging {
	const struct search_request *request;
	struct search *searches;
	size_t len;
	size_t opened;
	struct search_answer *answer;
	uint16_t known;
	struct search_hit *stream; /* hits of all in order, before any is left out */
	size_t stream_len;
	bool is_whole; /* all that match are in the stream */
};

/* ---- the stream ---- */

static int hit_compare(const void *a, const void *b)
{
	const struct search_hit *left = a;
	const struct search_hit *right = b;
	int order = slice_compare(left->rank, right->rank);

	if (order != 0)
		return order;
	return insertion_key_compare(left->document.key, left->document.id, right->document.key,
	                             right->document.id);
}

/* The best `limit` of all, in order. */
static int stream_make(struct merging *merging, size_t limit, size_t *failed, struct error *error)
{
	size_t count = 0;

	merging->is_whole = true;
	for (size_t i = 0; i < merging->len; i++) {
		*failed = i;
		if (search_list(&merging->searches[i], merging->known, limit, error) != 0)
			return error->code;
		count += merging->searches[i].list_len;
		merging->answer->at_cutoff |= merging->searches[i].at_cutoff;
		merging->is_whole =
			merging->is_whole && merging->searches[i].list_len == merging->searches[i].total;
	}
	merging->stream = arena_alloc(merging->request->arena, (count + 1) * sizeof *merging->stream);
	if (merging->stream == NULL)
		return error_memory(error, count * sizeof *merging->stream);
	merging->stream_len = 0;
	for (size_t i = 0; i < merging->len; i++)
		for (size_t k = 0; k < merging->searches[i].list_len; k++) {
			const struct search_listed *listed = &merging->searches[i].list[k];

			merging->stream[merging->stream_len++] =
				(struct search_hit){.snapshot = i,
			                            .document = listed->document,
			                            .number = listed->number,
			                            .rank = listed->rank,
			                            .costs = listed->costs,
			                            .ranked = listed->ranked,
			                            .score = listed->score};
		}
	if (merging->len > 1)
		qsort(merging->stream, merging->stream_len, sizeof *merging->stream, hit_compare);
	if (!merging->is_whole && merging->stream_len > limit)
		merging->stream_len = limit;
	return 0;
}

/* ---- what is left out ---- */

/* Values that hits had. */
struct seen {
	struct map map;
	bool failed;
};

/* True, and they are seen now, if none of the hit's values was. */
static bool seen_take(struct seen *seen, const struct search_hit *hit)
{
	for (size_t i = 0; i < hit->values_len; i++)
		if (map_get(&seen->map, hit->values[i]) != NULL)
			return false;
	for (size_t i = 0; i < hit->values_len; i++)
		seen->failed = !map_put(&seen->map, hit->values[i], 1) || seen->failed;
	return true;
}

struct choosing {
	struct merging *merging;
	struct seen shown;
	struct seen counted;
	size_t above; /* hits that reached the threshold, equal ones too */
};

static bool is_behind(const struct search_hit *hit, const struct search_cut *cut)
{
	struct search_hit at = {.rank = cut->rank, .document = {.key = cut->key, .id = cut->id}};

	return hit_compare(hit, &at) > 0;
}

/* Whether what is below the threshold is counted: ranking has come to it after the hits that are wanted. Where equal ones
 * are listed, others know where these end. */
static bool is_counted_below(const struct choosing *choosing, const struct search_hit *hit)
{
	const struct search_request *request = choosing->merging->request;

	if (request->counts_all)
		return false;
	if (request->has_cut)
		return is_behind(hit, &request->cut);
	return choosing->above >= request->limit && (!request->lists_equal || request->limit == 0);
}

static int hit_choose(struct choosing *choosing, struct search_hit *hit, struct error *error)
{
	struct merging *merging = choosing->merging;
	const struct search_request *request = merging->request;
	struct search_answer *answer = merging->answer;
	bool is_above = !request->has_threshold || hit->score >= request->threshold;
	bool is_counted = is_above || is_counted_below(choosing, hit);
	bool is_shown;

	choosing->above += is_above;
	if (request->distinct.ptr != NULL && (watch_step(request->watch, WATCH_BODY, error) != 0 ||
	                                      search_values(&merging->searches[hit->snapshot], hit->number,
	                                                    request->distinct, hit, error) != 0))
		return error->code;
	is_shown = is_above && answer->hits_len < request->limit && seen_take(&choosing->shown, hit);
	if (request->lists_equal ? is_counted : is_shown)
		answer->hits[answer->hits_len++] = *hit;
	if (is_counted && seen_take(&choosing->counted, hit)) {
		answer->totals[hit->snapshot]++;
		answer->total++;
		if (request->lists_counted)
			postings_add(&answer->counted[hit->snapshot], hit->number);
	}
	if (choosing->shown.failed || choosing->counted.failed)
		return error_memory(error, hit->values_len * sizeof *hit->values);
	return 0;
}

static void counts_clear(struct search_answer *answer)
{
	answer->hits_len = 0;
	answer->total = 0;
	for (size_t i = 0; i < answer->snapshots_len; i++) {
		answer->totals[i] = 0;
		postings_clear(&answer->counted[i]);
	}
}

static int stream_choose(struct merging *merging, size_t *failed, struct error *error)
{
	const struct search_request *request = merging->request;
	struct choosing choosing = {.merging = merging};
	int rc = 0;

	merging->answer->hits =
		arena_alloc(request->arena, (merging->stream_len + 1) * sizeof(struct search_hit));
	if (merging->answer->hits == NULL)
		return error_memory(error, merging->stream_len * sizeof(struct search_hit));
	map_init(&choosing.shown.map);
	map_init(&choosing.counted.map);
	counts_clear(merging->answer);
	for (size_t i = 0; i < merging->stream_len && rc == 0; i++) {
		if (request->lists_equal && merging->answer->total >= request->distinct_max)
			break;
		*failed = merging->stream[i].snapshot;
		rc = hit_choose(&choosing, &merging->stream[i], error);
	}
	map_deinit(&choosing.shown.map);
	map_deinit(&choosing.counted.map);
	return rc;
}

/* As many of the stream as it takes. */
static int some_choose(struct merging *merging, size_t *failed, struct error *error)
{
	const struct search_request *request = merging->request;
	const struct search_answer *answer = merging->answer;
	size_t limit = request->has_threshold || request->lists_counted ? SIZE_MAX : STREAM_FIRST;

	if (limit < request->limit)
		limit = request->limit;
	for (;; limit *= STREAM_GROWTH) {
		if (stream_make(merging, limit, failed, error) != 0 ||
		    stream_choose(merging, failed, error) != 0)
			return error->code;
		if (merging->is_whole ||
		    (answer->hits_len >= request->limit && answer->total >= request->distinct_max))
			return 0;
	}
}

static int all_show(struct merging *merging, size_t *failed, struct error *error)
{
	struct search_answer *answer = merging->answer;
	size_t limit = merging->request->limit;

	if (stream_make(merging, limit, failed, error) != 0)
		return error->code;
	answer->hits = merging->stream;
	answer->hits_len = merging->stream_len < limit ? merging->stream_len : limit;
	for (size_t i = 0; i < merging->len; i++) {
		answer->totals[i] = merging->searches[i].total;
		answer->total += answer->totals[i];
		if (merging->request->lists_counted)
			postings_share(&answer->counted[i], &merging->searches[i].matches);
	}
	return 0;
}

/* ---- all of it ---- */

/* The term that the fewest documents have, of those that any has. */
static uint8_t rarest_of(const struct merging *merging)
{
	const uint64_t *frequencies = merging->answer->frequencies;
	size_t rarest = 0;

	if (merging->request->has_rarest)
		return merging->request->rarest;
	for (size_t i = 1; i < merging->request->query->terms_len; i++)
		if (frequencies[i] > 0 && (frequencies[rarest] == 0 || frequencies[i] < frequencies[rarest]))
			rarest = i;
	return (uint8_t)rarest;
}

static int searches_open(struct merging *merging, struct snapshot *const *snapshots, size_t *failed,
                         struct error *error)
{
	struct search_answer *answer = merging->answer;

	for (; merging->opened < merging->len;) {
		struct search *search = &merging->searches[merging->opened];

		*failed = merging->opened++;
		if (search_open(search, snapshots[*failed], merging->request, error) != 0)
			return error->code;
		answer->known |= search->known;
		for (size_t i = 0; i < QUERY_TERMS_MAX; i++)
			answer->frequencies[i] += search->frequencies[i];
	}
	merging->known = merging->request->all_known ? merging->request->known : answer->known;
	for (size_t i = 0; i < merging->len; i++) {
		*failed = i;
		if (search_join(&merging->searches[i], rarest_of(merging), error) != 0)
			return error->code;
	}
	return 0;
}

static int answer_begin(struct search_answer *answer, const struct search_request *request, size_t len,
                        struct error *error)
{
	*answer = (struct search_answer){0};
	answer->totals = arena_alloc(request->arena, (len + 1) * sizeof *answer->totals);
	answer->counted = arena_alloc(request->arena, (len + 1) * sizeof *answer->counted);
	if (answer->totals == NULL || answer->counted == NULL)
		return error_memory(error, len * sizeof *answer->counted);
	memset(answer->totals, 0, len * sizeof *answer->totals);
	for (; answer->snapshots_len < len; answer->snapshots_len++)
		postings_init(&answer->counted[answer->snapshots_len]);
	return 0;
}

int snapshots_search(struct snapshot *const *snapshots, size_t len, const struct search_request *request,
                     struct search_answer *answer, size_t *failed, struct error *error)
{
	struct search_request asked = *request;
	struct merging merging = {.request = &asked, .len = len, .answer = answer};
	int rc = answer_begin(answer, request, len, error);

	*failed = 0;
	if (rc != 0)
		return rc;
	asked.shows_scores = request->shows_scores || request->has_threshold;
	merging.searches = malloc((len + 1) * sizeof *merging.searches);
	if (merging.searches == NULL)
		return error_memory(error, len * sizeof *merging.searches);
	rc = searches_open(&merging, snapshots, failed, error);
	if (rc == 0)
		rc = request->has_threshold || request->distinct.ptr != NULL
		             ? some_choose(&merging, failed, error)
		             : all_show(&merging, failed, error);
	for (size_t i = 0; i < merging.opened; i++)
		search_close(&merging.searches[i]);
	free(merging.searches);
	return rc;
}

void search_answer_deinit(struct search_answer *answer)
{
	for (size_t i = 0; i < answer->snapshots_len; i++)
		postings_deinit(&answer->counted[i]);
	answer->snapshots_len = 0;
}
