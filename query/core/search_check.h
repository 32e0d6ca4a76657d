/*
 * Search check: whether the settings of an index allow what a search asks
 * for, before any node is asked.
 *
 * In Meilisearch 1.50's order: no embedder is needed, attributes to search on are searchable, what
 * is sorted by is sortable, what makes hits distinct is filterable, so are the
 * fields of the filter, with the features that their operators need, and every
 * facet. Codes and texts are Meilisearch's; what the settings refuse begins
 * with "Index `uid`: " where there is a uid: routes that are no search have none.
 * A filter is parsed here for its fields alone: nodes parse it again.
 *
 * What documents have is for nodes to say: paths that only these know are
 * listed among the searchable attributes as far as they are given.
 *
 * Pure core.
 */
#ifndef MILLRACE_QUERY_CORE_SEARCH_CHECK_H
#define MILLRACE_QUERY_CORE_SEARCH_CHECK_H

#include "query/core/search_request.h"
#include "shared/settings/settings.h"

struct search_check {
	const struct settings *settings;
	struct slice uid;             /* ptr NULL: refusals do not name it */
	struct search_names known;    /* paths that documents have; none: only the settings' own */
	struct arena *arena;          /* scratch */
	struct error_answer *refusal; /* filled by what returns negative */
};

int search_check(const struct search_check *check, const struct search_request *request);

/* Whether a refusal lists the searchable attributes. */
bool search_check_lists_known(const struct error_answer *refusal);

/* The parts, for requests that have only some of them; `code` is that of a refusal. */
int search_check_kind(const struct search_check *check, const struct search_request *request);
int search_check_names(const struct search_check *check, const struct search_names *search_on);
int search_check_sort(const struct search_check *check, const struct search_names *sort, const char *code);
/* As far as no settings are needed. */
int search_check_sort_syntax(const struct search_check *check, const struct search_names *sort,
                             const char *code);
int search_check_distinct(const struct search_check *check, struct slice name);
/* `filter` is JSON; ptr NULL: none. */
int search_check_filter(const struct search_check *check, struct slice filter, const char *code);
/* `before` begins a refusal. */
int search_check_facets(const struct search_check *check, const struct search_names *facets,
                        const char *before);

/* Sorted, each once, each between `quote`, joined by commas: what a refusal lists; "" if memory is short. */
const char *search_check_listed(const struct search_check *check, const struct search_names *names,
                                const char *quote);

#endif
