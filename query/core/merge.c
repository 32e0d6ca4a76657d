#include "query/core/merge.h"

#include "shared/base/map.h"

#include <stdlib.h>

struct page page_of_search(const struct search_request *request, uint64_t hits_max)
{
	struct page page = {request->offset, request->limit};

	if (request->by_page) {
		uint64_t before = request->page > 0 ? request->page - 1 : 0;

		page.limit = request->page > 0 ? request->hits_per_page : 0;
		page.offset =
			page.limit > 0 && before > UINT64_MAX / page.limit ? UINT64_MAX : before * page.limit;
	}
	if (page.offset > hits_max)
		page.offset = hits_max;
	if (page.limit > hits_max - page.offset)
		page.limit = hits_max - page.offset;
	return page;
}

void merge_init(struct merge *merge)
{
	*merge = (struct merge){0};
	facet_merge_init(&merge->facets);
}

void merge_deinit(struct merge *merge)
{
	free(merge->hits);
	facet_merge_deinit(&merge->facets);
	*merge = (struct merge){0};
}

/* ---- answers ---- */

static int add_hits(struct merge *merge, const struct node_answer *answer, struct error *error)
{
	size_t needed = merge->hits_len + answer->hits_len;

	if (needed > merge->hits_size) {
		size_t size = needed > 2 * merge->hits_size ? needed : 2 * merge->hits_size;
		struct node_hit *hits = realloc(merge->hits, size * sizeof hits[0]);

		if (hits == NULL)
			return error_memory(error, size * sizeof hits[0]);
		merge->hits = hits;
		merge->hits_size = size;
	}
	if (answer->hits_len > 0)
		memcpy(merge->hits + merge->hits_len, answer->hits,
		       answer->hits_len * sizeof answer->hits[0]);
	merge->hits_len = needed;
	return 0;
}

static uint64_t sum_of(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static void add_words(struct merge *merge, const struct node_answer *answer)
{
	merge->known_differs |= merge->answers > 0 && answer->known != merge->known;
	merge->known |= answer->known;
	merge->known_differs |=
		merge->answers > 0 && !slice_equal(answer->paths, slice_of(merge->paths, merge->paths_len));
	for (size_t i = 0; i < answer->paths.len; i++)
		merge->paths[i] = i < merge->paths_len && merge->paths[i] == '1' ? '1' : answer->paths.ptr[i];
	merge->paths_len = answer->paths.len;
	merge->terms = answer->terms;
	merge->has_frequencies = answer->frequencies_len > 0;
	for (size_t i = 0; i < answer->frequencies_len; i++)
		merge->frequencies[i] = sum_of(merge->frequencies[i], answer->frequencies[i]);
}

int merge_add(struct merge *merge, const struct node_answer *answer, struct error *error)
{
	if (merge->hits_len + answer->hits_len > MERGE_HITS_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "a page of more than %u hits",
		                 MERGE_HITS_MAX);
	if (merge->failed)
		return error_memory(error, sizeof *merge);
	if (merge->answers > 0 &&
	    (answer->terms != merge->terms || (answer->frequencies_len > 0) != merge->has_frequencies))
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "answer of a node: another query than that of other nodes");
	merge->failed = add_hits(merge, answer, error) < 0 ||
	                facet_merge_add(&merge->facets, answer->facets, answer->facets_len, error) < 0;
	if (merge->failed)
		return error->code;
	add_words(merge, answer);
	merge->total = answer->total > INT64_MAX - merge->total ? INT64_MAX : merge->total + answer->total;
	merge->answers++;
	return 0;
}

/* Whether a term is rarer than another; one that no document holds is not. */
static bool is_rarer(uint64_t frequency, uint64_t other)
{
	return frequency > 0 && (other == 0 || frequency < other);
}

bool merge_wants(const struct merge *merge, struct merge_words *words)
{
	words->all_known = merge->terms > 0;
	words->known = merge->known;
	words->has_rarest = merge->has_frequencies;
	words->rarest = 0;
	words->paths = slice_of(merge->paths_len > 0 ? merge->paths : NULL, merge->paths_len);
	for (size_t i = 1; merge->has_frequencies && i < merge->terms; i++)
		if (is_rarer(merge->frequencies[i], merge->frequencies[words->rarest]))
			words->rarest = i;
	return merge->answers > 1 && (merge->known_differs || words->has_rarest);
}

/* ---- order ---- */

static int compare_hits(const void *left, const void *right)
{
	const struct node_hit *a = left;
	const struct node_hit *b = right;
	int order = slice_compare(a->rank, b->rank);

	if (order != 0)
		return order;
	order = insertion_key_compare(a->key, a->id, b->key, b->id);
	if (order != 0)
		return order;
	/* the same id in two partitions, which only partitioner `none` allows */
	return (a->partition > b->partition) - (a->partition < b->partition);
}

static bool is_seen(const struct map *seen, const struct node_hit *hit)
{
	for (size_t i = 0; i < hit->distinct_len; i++)
		if (map_get(seen, hit->distinct[i]) != NULL)
			return true;
	return false;
}

static bool note_seen(struct map *seen, const struct node_hit *hit)
{
	for (size_t i = 0; i < hit->distinct_len; i++)
		if (!map_put(seen, hit->distinct[i], 0))
			return false;
	return true;
}

void merge_sort(struct merge *merge)
{
	if (merge->hits_len > 1)
		qsort(merge->hits, merge->hits_len, sizeof merge->hits[0], compare_hits);
}

int merge_order(struct merge *merge, struct error *error)
{
	struct map seen;
	size_t len = 0;
	bool noted = !merge->failed;

	merge_sort(merge);
	map_init(&seen);
	for (size_t i = 0; noted && i < merge->hits_len; i++) {
		if (is_seen(&seen, &merge->hits[i]))
			continue;
		merge->hits[len++] = merge->hits[i];
		noted = note_seen(&seen, &merge->hits[len - 1]);
	}
	map_deinit(&seen);
	if (!noted)
		return error_memory(error, merge->hits_len * sizeof(struct map_entry));
	merge->total -= (int64_t)(merge->hits_len - len);
	merge->hits_len = len;
	return 0;
}

const struct node_hit *merge_page(const struct merge *merge, struct page page, size_t *len)
{
	size_t from = page.offset < merge->hits_len ? (size_t)page.offset : merge->hits_len;
	size_t left = merge->hits_len - from;

	*len = page.limit < left ? (size_t)page.limit : left;
	return *len > 0 ? merge->hits + from : NULL;
}
