/*
 * Merge: the pages of several nodes become one.
 *
 * Hits are ordered by score (descending), then insertion key, then document
 * id; nothing in that order depends on which node a hit came from or when, so
 * any layout gives the same page. Each node sends its best offset+limit hits;
 * the best of all are among them. Totals add up.
 *
 * Hits are borrowed: answers must outlive the merge. Bounds: hits of all
 * answers are at most MERGE_HITS_MAX. Pure core; one thread.
 */
#ifndef MILLRACE_QUERY_CORE_MERGE_H
#define MILLRACE_QUERY_CORE_MERGE_H

#include "query/core/node_answer.h"
#include "query/core/search_request.h"

/* Meilisearch's maxTotalHits: a search shows no more, and says no more. */
#define SEARCH_HITS_MAX 1000
#define MERGE_HITS_MAX (1024U * 1024)

/* The window of hits that a page needs. */
struct page {
	uint64_t offset;
	uint64_t limit;
};

/* offset and limit as sent, clipped to SEARCH_HITS_MAX together. */
struct page page_of_search(const struct search_request *request);

struct merge {
	struct node_hit *hits;
	size_t hits_len;
	size_t hits_size;
	int64_t total;
};

void merge_init(struct merge *merge);
void merge_deinit(struct merge *merge);
/* ERROR_MEMORY or ERROR_LIMIT; the merge is then unchanged. */
int merge_add(struct merge *merge, const struct node_answer *answer, struct error *error);
/* Orders what was added and gives the hits of the page; valid until the next call. */
const struct node_hit *merge_page(struct merge *merge, struct page page, size_t *len);

#endif
