/*
 * Facet search request: POST /indexes/{uid}/facet-search, a search in the
 * values of one facet among the documents that a search finds.
 *
 *   {"facetName":"genre","facetQuery":"adv", and of a search "q","filter","matchingStrategy",
 *    "attributesToSearchOn","rankingScoreThreshold","locales"}
 *
 * It is asked of nodes as a search that wants no hits, with the two names
 * among its `asked`. Names that the route does not have are passed over, as
 * Meilisearch does; `exhaustiveFacetCount` changes nothing, counts are exact.
 *
 * Everything lives in the caller's arena. Pure core.
 */
#ifndef MILLRACE_QUERY_CORE_FACET_SEARCH_REQUEST_H
#define MILLRACE_QUERY_CORE_FACET_SEARCH_REQUEST_H

#include "query/core/search_check.h"

struct facet_search {
	struct slice name;
	struct slice query; /* ptr NULL: none, which is not the same as "" */
};

struct facet_search_request {
	struct facet_search facet;
	struct search_request search;
};

int facet_search_request_from_body(struct slice body, struct arena *arena,
                                   struct facet_search_request *request, struct error_answer *refusal);
/* Whether the settings allow it. Refusals do not name the index: `check` has no uid. */
int facet_search_check(const struct search_check *check, const struct facet_search *facet,
                       const struct search_request *search);

#endif
