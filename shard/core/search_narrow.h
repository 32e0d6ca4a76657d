/*
 * Narrowing: of a group whose documents all keep the same terms with as many
 * typos, those that may be among the best, before each is judged by all rules.
 *
 * Where a document is read by words alone, one a term, what the rules from
 * proximity to exactness say are sums of what the words of each term, and of
 * two neighbours, have. So the terms are looked at one by one, the cheapest
 * first, list by list as in search_gather.h, and a document is left as soon as
 * what is known of it costs more than the worst that is wanted. Documents that
 * have joined words or phrases stay as they are.
 *
 * Between search_narrow.c and search_rank.c. One thread. Memory: a number for
 * each document, and the places of a few hundred. Failure: ERROR_MEMORY,
 * ERROR_DAMAGED, ERROR_TIMEOUT.
 */
#ifndef MILLRACE_SHARD_CORE_SEARCH_NARROW_H
#define MILLRACE_SHARD_CORE_SEARCH_NARROW_H

#include "shard/core/search_private.h"

/* Leaves of the group's `*len` rising numbers at least the best `wanted` by the ranking and all that are equal to the
 * last of these, in their order. */
int search_narrow(struct search *search, const struct search_ranking *ranking, size_t wanted,
                  uint64_t *numbers, size_t *len, struct error *error);

#endif
