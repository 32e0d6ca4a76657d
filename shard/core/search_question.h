/*
 * Search question: what a gateway asks of a node, read from the members of
 * POST /search; which shards are asked, and how stale they may be, others read.
 *
 *   {"settings":V,"limit":N,                  version; hits wanted of all shards that are asked
 *    "cutoff":N                               milliseconds from its arrival on: ranking ends
 *    "q","filter","sort","distinct","matchingStrategy","attributesToSearchOn","rankingScoreThreshold","facets",
 *    "attributesToRetrieve","attributesToCrop","cropLength","cropMarker","attributesToHighlight",
 *    "highlightPreTag","highlightPostTag","showMatchesPosition","showRankingScore","showRankingScoreDetails"
 *                                             as Meilisearch has them
 *    "byPage":true                            totals leave out all that is below the threshold
 *    "ids"                                    only these documents
 *    "documents":true,"fields"                a listing: no query, no ranking rules, all fields displayed
 *    "known":B,"rarest":I                     of the terms: what the whole index knows; which one stays
 *    "paths":"01…"                            of the names to crop, then to highlight: which the whole index knows
 *    "equal":true                             with a distinct attribute: hits are all until there are enough, also
 *                                             those that are equal to one before, and have no `doc`
 *    "union":[question,…]                     total and facets are of all documents that any of these counts
 *    "cut":{"rank":"<hex>","ts":N,"seq":N,"id"}   with a threshold: what is behind it is counted
 *    "facetName","facetQuery"                 a search in the values of a facet, without hits
 *    "scores":true                            hits have `score`
 *    "spellings":{"path":["folded string",…],…}   instead of hits: how these values are spelled here
 *    "pathsKnown":true}                       instead of hits: which paths have text here
 *
 * A member that is absent or null has its default, one of another name is
 * none of ours. Texts and lists are borrowed from the JSON, or in the arena.
 * Pure. Failure: ERROR_MEMORY, or ERROR_FORMAT (REJECT), which names the member.
 */
#ifndef MILLRACE_SHARD_CORE_SEARCH_QUESTION_H
#define MILLRACE_SHARD_CORE_SEARCH_QUESTION_H

#include "shard/core/search.h"
#include "shared/json/json.h"
#include "shared/settings/settings.h"

#define SEARCH_QUESTION_LIMIT_MAX 1000000
#define SEARCH_QUESTION_LIMIT_DEFAULT 20
#define SEARCH_QUESTION_UNION_MAX 64
/* Of one list; `ids` has as many as fit. */
#define SEARCH_QUESTION_NAMES_MAX 1000

/* Values of a path; as many as fit. */
struct search_spelled {
	struct slice path;
	struct settings_texts folded;
};

struct search_spellings {
	const struct search_spelled *list;
	size_t len;
};

struct search_question;

struct search_union {
	const struct search_question *list; /* NULL: not asked for */
	size_t len;
};

struct search_question {
	int64_t settings;
	uint64_t limit;
	uint64_t cutoff_ms;         /* UINT64_MAX: none */
	struct slice q;             /* "" */
	struct slice filter;        /* JSON; ptr NULL: none */
	struct settings_texts sort; /* lists: list NULL if absent */
	struct slice distinct;      /* ptr NULL: as the settings say */
	enum rank_strategy strategy;
	struct settings_texts search_on;
	bool has_threshold;
	double threshold;
	struct settings_texts facets;
	struct settings_texts retrieve;
	struct settings_texts crop;
	uint32_t crop_words;
	struct slice crop_marker;
	struct settings_texts highlight;
	struct slice pre_tag;
	struct slice post_tag;
	bool shows_positions;
	bool shows_score;
	bool shows_details;
	bool by_page;
	bool documents;
	struct settings_texts ids;
	struct settings_texts fields;
	bool has_known;
	uint16_t known;
	bool has_rarest;
	uint8_t rarest;
	struct slice paths; /* ptr NULL: what is known here counts */
	bool equal;
	bool has_cut;
	struct search_cut cut;
	struct slice facet_name;  /* ptr NULL: hits are asked for */
	struct slice facet_query; /* ptr NULL: none */
	bool scores;
	struct search_spellings spellings; /* list NULL: not asked for */
	bool paths_known;
	struct search_union counted;
};

/* `asked`: an object from json_parse_typed, or anything else, which is refused. */
int search_question_read(yyjson_val *asked, struct arena *arena, struct search_question *question,
                         struct error *error);

#endif
