#include "query/core/merge.h"

#include <stdlib.h>

struct page page_of_search(const struct search_request *request)
{
	struct page page = {request->offset, request->limit};

	if (page.offset > SEARCH_HITS_MAX)
		page.offset = SEARCH_HITS_MAX;
	if (page.limit > SEARCH_HITS_MAX - page.offset)
		page.limit = SEARCH_HITS_MAX - page.offset;
	return page;
}

void merge_init(struct merge *merge)
{
	*merge = (struct merge){0};
}

void merge_deinit(struct merge *merge)
{
	free(merge->hits);
	*merge = (struct merge){0};
}

int merge_add(struct merge *merge, const struct node_answer *answer, struct error *error)
{
	size_t needed = merge->hits_len + answer->hits_len;

	if (needed > MERGE_HITS_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "a page of more than %u hits",
		                 MERGE_HITS_MAX);
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
	merge->total = answer->total > INT64_MAX - merge->total ? INT64_MAX : merge->total + answer->total;
	return 0;
}

static int compare_hits(const void *left, const void *right)
{
	const struct node_hit *a = left;
	const struct node_hit *b = right;
	int order;

	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	order = insertion_key_compare(a->key, a->id, b->key, b->id);
	if (order != 0)
		return order;
	/* the same id in two partitions, which only partitioner `none` allows */
	return (a->partition > b->partition) - (a->partition < b->partition);
}

const struct node_hit *merge_page(struct merge *merge, struct page page, size_t *len)
{
	size_t from = page.offset < merge->hits_len ? (size_t)page.offset : merge->hits_len;
	size_t left = merge->hits_len - from;

	if (merge->hits_len > 1)
		qsort(merge->hits, merge->hits_len, sizeof merge->hits[0], compare_hits);
	*len = page.limit < left ? (size_t)page.limit : left;
	return *len > 0 ? merge->hits + from : NULL;
}
