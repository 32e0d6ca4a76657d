/*
 * Merge: what several nodes found becomes one answer.
 *
 * Hits are ordered by rank, then insertion key, then document id; nothing in
 * that order depends on which node a hit came from or when, so any layout gives
 * the same page. Each node sends its best offset+limit hits; the best of all are
 * among them. Of hits that share a distinct value the first one stays: nodes
 * have done so among their own unless they were asked for equal ones too, and
 * here it is done between them; who goes is taken from the total as well
 * (exactly where no node's hits were cut off).
 * Totals, frequencies and facets (facet_merge.h) add up.
 *
 * What a node knows depends on its shards alone: where one does not know a word
 * that another does, both must be asked again (merge_wants).
 *
 * Hits are borrowed: answers must outlive the merge. Bounds: hits of all
 * answers are at most MERGE_HITS_MAX. Pure core; one thread.
 */
#ifndef MILLRACE_QUERY_CORE_MERGE_H
#define MILLRACE_QUERY_CORE_MERGE_H

#include "query/core/facet_merge.h"

#define MERGE_HITS_MAX (1024U * 1024)

/* The window of hits that a page needs. */
struct page {
	uint64_t offset;
	uint64_t limit;
};

/* What the request asks for, by offset or by page, within the first `hits_max`: as many as an index shows. */
struct page page_of_search(const struct search_request *request, uint64_t hits_max);

/* What all nodes are told that they do not know by themselves. */
struct merge_words {
	bool all_known;
	uint32_t known;
	bool has_rarest;
	size_t rarest;
	struct slice paths;         /* as in a node's answer; ptr NULL: each as it knows */
	bool equal;                 /* hits that are equal to others too, without documents */
	struct slice ids;           /* JSON: only these documents; ptr NULL: all */
	struct slice counted;       /* JSON: facets are of these documents; ptr NULL: of those that match */
	const struct node_hit *cut; /* what is below the threshold counts behind it; NULL: each as it ranks */
};

struct merge {
	struct node_hit *hits;
	size_t hits_len;
	size_t hits_size;
	int64_t total;
	size_t answers;
	size_t terms;
	uint32_t known; /* by any */
	bool known_differs;
	size_t paths_len; /* 0: none are told */
	uint8_t paths[NODE_ANSWER_PATHS_MAX];
	bool has_frequencies;
	uint64_t frequencies[SEARCH_TERMS_MAX];
	struct facet_merge facets;
	bool failed; /* memory was short: nothing more is added, and merge_order fails */
};

void merge_init(struct merge *merge);
void merge_deinit(struct merge *merge);
/* ERROR_MEMORY, ERROR_LIMIT, or ERROR_FORMAT for an answer to another query than the others': REJECT. The merge has
 * failed after ERROR_MEMORY, otherwise it is unchanged. */
int merge_add(struct merge *merge, const struct node_answer *answer, struct error *error);
/* True if the nodes must be asked again, with `words`: one does not know what another knows, or all of them are to keep
 * the rarest term, the first of those with the lowest frequency that is not 0. Never of a single answer. */
bool merge_wants(const struct merge *merge, struct merge_words *words);
/* Orders what was added, equal hits too. */
void merge_sort(struct merge *merge);
/* The same, and leaves out what is not distinct; once, before merge_page. ERROR_MEMORY. */
int merge_order(struct merge *merge, struct error *error);
/* The hits of the page; valid until merge_deinit. */
const struct node_hit *merge_page(const struct merge *merge, struct page page, size_t *len);

#endif
