/*
 * Search rules: the rules of one search in order, of an index's ranking rules
 * and what a request sorts by.
 *
 * Rules about words count only if the query has terms, each once; `words` comes
 * before the first of them, but not where all terms must match. What the
 * request sorts by stands where the rules say `sort`; of a field only the first
 * sort counts.
 *
 * Paths are borrowed from the settings and the request. Pure. Failure:
 * ERROR_FORMAT for a sort that is none, ERROR_LIMIT for more than
 * SEARCH_SORTS_MAX (REJECT). Specification: tests/oracle/ranking.py (resolve).
 */
#ifndef MILLRACE_SHARD_CORE_SEARCH_RULES_H
#define MILLRACE_SHARD_CORE_SEARCH_RULES_H

#include "shard/core/search.h"
#include "shared/settings/settings.h"

struct search_rules_request {
	const struct settings_rules *ranking; /* NULL: the sort alone */
	struct settings_texts sort;           /* `field:asc`, `field:desc`, `_geoPoint(lat, lng):asc` */
	enum rank_strategy strategy;
	bool has_terms;
};

struct search_rules {
	struct search_rule list[SEARCH_RULES_MAX];
	size_t len;
};

int search_rules_resolve(const struct search_rules_request *request, struct search_rules *rules,
                         struct error *error);
/* The first that sorts by distance; NULL: none. */
const struct search_rule *search_rules_point(const struct search_rules *rules);
bool search_rules_have(const struct search_rules *rules, enum rank_rule rank);

#endif
