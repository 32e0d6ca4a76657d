/*
 * Search request: what a client may ask of an index, as Meilisearch 1.50
 * names and checks it.
 *
 * Every parameter of 1.50 is recognised and type-checked (parameters.h). The
 * names and their order in "expected one of" are those of 1.50; a URL spells
 * `hybrid` as hybridEmbedder and hybridSemanticRatio and `personalize` as
 * personalizeUserContext, and has no `media`. Those about personalization,
 * networks and performance are refused unless they ask for nothing. `locales`
 * and `retrieveVectors` change nothing. What is asked of vectors is one of the
 * kinds below: no index has an embedder, so each is a search by words alone or
 * ends in a refusal of Meilisearch's, which names what the index lacks.
 *
 * What nodes are to obey is kept as text, `asked`: the members of a question,
 * each parameter that is not its default, in the order of the table and in
 * canonical JSON. Two requests with the same paging and the same text ask for
 * the same. The members that the gateway itself looks at are read as well.
 *
 * Whether the settings of the index allow it, search_check.h says.
 *
 * Everything lives in the caller's arena. Pure core.
 */
#ifndef MILLRACE_QUERY_CORE_SEARCH_REQUEST_H
#define MILLRACE_QUERY_CORE_SEARCH_REQUEST_H

#include "query/core/parameters.h"

#define SEARCH_LIMIT_DEFAULT 20
#define SEARCH_TERMS_MAX 16 /* of a query: `known` and `rarest` count them */

/* Rows of search_parameters. */
enum search_parameter {
	SEARCH_PARAMETER_Q,
	SEARCH_PARAMETER_OFFSET,
	SEARCH_PARAMETER_LIMIT,
	SEARCH_PARAMETER_PAGE,
	SEARCH_PARAMETER_HITS_PER_PAGE,
	SEARCH_PARAMETER_RETRIEVE,
	SEARCH_PARAMETER_CROP,
	SEARCH_PARAMETER_CROP_LENGTH,
	SEARCH_PARAMETER_CROP_MARKER,
	SEARCH_PARAMETER_HIGHLIGHT,
	SEARCH_PARAMETER_PRE_TAG,
	SEARCH_PARAMETER_POST_TAG,
	SEARCH_PARAMETER_MATCHES_POSITION,
	SEARCH_PARAMETER_FILTER,
	SEARCH_PARAMETER_SORT,
	SEARCH_PARAMETER_DISTINCT,
	SEARCH_PARAMETER_FACETS,
	SEARCH_PARAMETER_STRATEGY,
	SEARCH_PARAMETER_SEARCH_ON,
	SEARCH_PARAMETER_THRESHOLD,
	SEARCH_PARAMETER_LOCALES,
	SEARCH_PARAMETER_HYBRID,
	SEARCH_PARAMETER_HYBRID_EMBEDDER,
	SEARCH_PARAMETER_HYBRID_RATIO,
	SEARCH_PARAMETER_VECTOR,
	SEARCH_PARAMETER_RETRIEVE_VECTORS,
	SEARCH_PARAMETER_MEDIA,
	SEARCH_PARAMETER_PERSONALIZE,
	SEARCH_PARAMETER_PERSONALIZE_CONTEXT,
	SEARCH_PARAMETER_USE_NETWORK,
	SEARCH_PARAMETER_SCORE,
	SEARCH_PARAMETER_SCORE_DETAILS,
	SEARCH_PARAMETER_PERFORMANCE,
	SEARCH_PARAMETERS
};

/* What stands around them in a query of several; its rows are these, those of a search, and the last. */
enum search_query_parameter {
	SEARCH_QUERY_INDEX_UID,
	SEARCH_QUERY_FIRST, /* + enum search_parameter */
	SEARCH_QUERY_OPTIONS = SEARCH_QUERY_FIRST + SEARCH_PARAMETERS,
	SEARCH_QUERY_PARAMETERS
};

/* What `hybrid`, `vector` and `media` make of a search. */
enum search_kind {
	SEARCH_KIND_WORDS,            /* by words alone, though `hybrid` may be there */
	SEARCH_KIND_MEDIA_AND_VECTOR, /* the others are refused, by search_check_kind */
	SEARCH_KIND_NO_EMBEDDER,
	SEARCH_KIND_EMBEDDER,
	SEARCH_KIND_MEDIA
};

struct search_names {
	const struct slice *list;
	size_t len;
};

struct search_request {
	struct slice q; /* "" if absent */
	bool by_page;
	uint64_t offset; /* as asked; answers echo these */
	uint64_t limit;
	uint64_t page; /* BY_PAGE */
	uint64_t hits_per_page;
	struct slice filter;           /* JSON; ptr NULL: none */
	struct slice distinct;         /* ptr NULL: none is asked for */
	struct search_names sort;      /* as sent */
	struct search_names facets;    /* patterns; none: no distribution */
	struct search_names search_on; /* none: everything, or nothing (`asked`) */
	bool by_frequency;             /* the matching strategy; or */
	bool by_all;
	bool has_threshold;
	enum search_kind kind;
	struct slice embedder; /* EMBEDDER: its name; else ptr NULL */
	struct slice asked;    /* `,"q":"…","filter":…`, or "" */
};

const struct parameter_table *search_parameters(void);
/* Of POST /multi-search: indexUid, the parameters of a search, federationOptions. */
const struct parameter_table *search_query_parameters(void);

int search_request_from_body(struct slice body, struct arena *arena, struct search_request *request,
                             struct error_answer *refusal);
/* `arguments` ends with a NULL name. */
int search_request_from_url(const struct argument *arguments, struct arena *arena,
                            struct search_request *request, struct error_answer *refusal);
/* Of values in the order of enum search_parameter, which live as long as the request. */
int search_request_of(const struct parameter_value *values, struct arena *arena,
                      struct search_request *request, struct error_answer *refusal);
/* Adds members, `,"name":value`, to `asked`. */
int search_request_ask(struct search_request *request, struct slice members, struct arena *arena,
                       struct error_answer *refusal);
/* With all that it points to; false when out of memory. */
bool search_request_copy(const struct search_request *request, struct arena *arena,
                         struct search_request *copy);

#endif
