/*
 * Multi-search request: what POST /multi-search may say.
 *
 *   {"queries":[{"indexUid":"…", parameters of a search, "federationOptions":{"weight":1.0}}…],
 *    "federation":{"limit","offset" | "page","hitsPerPage","distinct",
 *                  "facetsByIndex":{"uid":["…"]},"mergeFacets":{"maxValuesPerFacet":N}}}
 *
 * Without `federation` each query has an answer of its own. With it all of
 * them have one list; then paging and facets belong to it, not to a query, and
 * a query is asked of nodes with "scores":true. Texts of refusals are those of
 * Meilisearch 1.50. `queryPosition` changes nothing, `remote` is refused.
 *
 * A federated list is made of the first FEDERATION_HITS_MAX hits of each
 * query, as many as its page needs, or all of them where the list's `distinct`
 * counts: what repeats must be seen, and the total is exact up to there. What
 * several queries of an index count together, each document once, is asked for
 * apart (federation_is_counted_apart), and so are facets of what a `distinct`
 * leaves.
 *
 * Everything lives in the caller's arena. Bounds: below. Pure core.
 */
#ifndef MILLRACE_QUERY_CORE_MULTI_SEARCH_REQUEST_H
#define MILLRACE_QUERY_CORE_MULTI_SEARCH_REQUEST_H

#include "query/core/search_check.h"

#define MULTI_SEARCH_QUERIES_MAX 64
#define FEDERATION_HITS_MAX 1000
#define MULTI_SEARCH_PLACE_BYTES 32

struct multi_search_query {
	struct slice uid; /* anything */
	struct search_request search;
	bool has_options;
	double weight;
	bool has_distinct;     /* of its own, beside the list's */
	const char *paging;    /* the first parameter of paging that it has; NULL: none */
	struct slice patterns; /* of its own facets, JSON; ptr NULL: none */
};

/* An entry of facetsByIndex. */
struct federation_facets {
	struct slice uid;
	struct search_names patterns;
};

struct federation_request {
	struct search_request paging; /* nothing else of it */
	struct slice distinct;        /* ptr NULL: none */
	struct federation_facets *facets;
	size_t facets_len;
	bool merges_facets;
	uint64_t values_max; /* MERGES_FACETS */
};

struct multi_search_request {
	struct multi_search_query *queries;
	size_t len;
	bool is_federated;
	struct federation_request federation;
};

int multi_search_request_from_body(struct slice body, struct arena *arena,
                                   struct multi_search_request *request, struct error_answer *refusal);

/* Whether the query's index can have that name. */
int multi_search_uid_check(const struct multi_search_request *request, size_t at,
                           struct error_answer *refusal);
/* Whether the query may stand where it does; its index is known. Refusals lack the place. */
int multi_search_query_check(const struct multi_search_request *request, size_t at,
                             struct error_answer *refusal);
/* Whether federation names only indexes that are asked, and what it can answer. */
int federation_request_check(const struct multi_search_request *request, struct error_answer *refusal);
/* The facets that the list shows of an index; NULL: none. */
const struct federation_facets *federation_facets_of(const struct federation_request *federation,
                                                     struct slice uid);
/* Appends the list of its patterns. */
void federation_append_patterns(const struct federation_facets *facets, struct buffer *json);
/* Whether what the queries of an index count is not what one of them says. */
bool federation_is_counted_apart(const struct multi_search_request *request, struct slice uid);

/* What a list asks of the index of a query. */
struct federation_asks {
	struct slice distinct; /* ptr NULL: none */
	struct search_names facets;
};

struct federation_asks federation_asks_of(const struct multi_search_request *request, size_t at);
/* What the settings allow of that, and then of the query: search_check. */
int federation_check(const struct search_check *check, const struct federation_asks *asks,
                     const struct search_request *search);
/* `.queries[3]` and a NUL. */
void multi_search_place(size_t at, char place[MULTI_SEARCH_PLACE_BYTES]);

#endif
