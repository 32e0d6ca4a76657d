/*
 * Search details: what is shown of a hit's place in the ranking:
 * `_rankingScoreDetails`, an object with a member for each rule, in order.
 *
 * Rules about words say what they counted (rank.h) and their score, sorts the
 * value or the distance. A sort by a field that is not displayed keeps its
 * place and hides all else. Rules that were skipped are one member, `skipped`. Pure; a failure is the buffer's.
 * Specification: tests/oracle/ranking.py, rules.py, search.py.
 */
#ifndef MILLRACE_SHARD_CORE_SEARCH_DETAILS_H
#define MILLRACE_SHARD_CORE_SEARCH_DETAILS_H

#include "shard/core/search_rules.h"
#include "shared/base/buffer.h"

/* The hit has costs. */
void search_details_append(const struct search_rules *rules, const struct settings_texts *displayed,
                           const struct search_hit *hit, struct buffer *json);
/* By rule, coarse before fine: of one about words its pairs, of one that sorts what `rank` says of it:
 * [[rank,highest],"<hex>",…]; [0,1] is in the place of all that were skipped. */
void search_pairs_append(const struct search_rules *rules, const struct search_hit *hit, struct buffer *json);
/* A finite number as JSON: the shortest that reads back as it, with a point or an exponent. */
void search_number_append(double number, struct buffer *json);

/* As a JSON string. */
void search_hex_append(struct slice bytes, struct buffer *json);

#endif
