/*
 * Federation rules: whether the hits of several queries have an order in
 * common.
 *
 * Hits of a federated list are compared rule by rule (federation.h), so rules
 * that stand at the same place must be of one kind: about words, or a sort in
 * one direction, by a field or by distance. Which field, or which point, may
 * differ. Rules about words that stand together are one; a query without text
 * has none. Where one query has more rules, the rest of them is compared with
 * nothing.
 *
 *   words, typo, sort (n:asc, x:desc), exactness  →  words, rising, falling, words
 *
 * Pure core.
 */
#ifndef MILLRACE_QUERY_CORE_FEDERATION_RULES_H
#define MILLRACE_QUERY_CORE_FEDERATION_RULES_H

#include "query/core/search_check.h"

#define FEDERATION_RULES_MAX (SETTINGS_RULES_MAX + SETTINGS_SORTS_MAX)

enum federation_rule {
	FEDERATION_RULE_WORDS = 1,
	FEDERATION_RULE_RISING,
	FEDERATION_RULE_FALLING,
	FEDERATION_RULE_NEAREST,
	FEDERATION_RULE_FARTHEST
};

/* What orders the hits of a query. */
struct federation_rules {
	size_t query; /* its place */
	struct slice uid;
	enum federation_rule list[FEDERATION_RULES_MAX];
	size_t len;
};

/* Fills the list; with none for a query whose sort is refused by itself. */
void federation_rules_of(const struct settings *settings, const struct search_request *search,
                         struct federation_rules *rules);
/* Negative: the second query cannot stand beside the first; the refusal lacks the place. */
int federation_rules_compare(const struct federation_rules *before, const struct federation_rules *rules,
                             struct error_answer *refusal);

#endif
