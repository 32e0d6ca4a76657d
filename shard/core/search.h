/*
 * Search: the documents of a snapshot that match a query, in ranked order.
 *
 * What is asked for (a struct search_request) is the same for every shard; in
 * each, segment by segment, the words that stand for the query's nodes are
 * looked up (search_words.c), documents are matched by their numbers alone
 * (search_match.c), and where the rules begin with words and typos, only the
 * best of these are ranked (search_rank.c): so many as the page needs.
 *
 * Hits are ordered by the costs of the rules, then insertion key, then id.
 * Nothing in that depends on segments, numbers or arrival, so the hits of
 * several shards merge by comparing the same; but `known` must be what all
 * shards know together: a shard says what it knows, and who merges asks those
 * again that did not know what others do.
 *
 * Bounds: words that stand for a query are all there are; the answer says how
 * many documents match. Memory is the request's arena, and scratch of a number
 * for each document that matches. One thread a call.
 */
#ifndef MILLRACE_SHARD_CORE_SEARCH_H
#define MILLRACE_SHARD_CORE_SEARCH_H

#include "shard/core/snapshot.h"
#include "shard/engine/rank.h"

struct search_typos {
	bool enabled;
	uint32_t one; /* characters from which a word may have one, and two */
	uint32_t two;
	bool numbers_exact;        /* words of digits and ASCII punctuation are reached as typed only */
	const struct slice *words; /* forms that have none */
	size_t words_len;
	const struct slice
		*attributes; /* in these and what is nested in them words are reached as typed only */
	size_t attributes_len;
};

/* A query that stands for another: one word, or two or three in a row. */
struct search_synonym {
	struct query_phrase of;
	struct query_phrase synonym;
};

struct search_request {
	const struct query *query;
	enum rank_strategy strategy;
	uint8_t rarest; /* as rank_request says */
	const enum rank_rule *rules;
	size_t rules_len;
	struct search_typos typos;
	const struct search_synonym *synonyms;
	size_t synonyms_len;
	const struct slice *searchable; /* entries in order; a single `*`: everything */
	size_t searchable_len;
	const struct slice *search_on; /* paths or patterns; none: all that is searchable */
	size_t search_on_len;
	bool by_attribute;
	bool all_known; /* `known` counts; else what this snapshot knows */
	uint16_t known;
	size_t limit; /* hits wanted */
	struct arena *arena;
};

struct search_hit {
	struct document document; /* id and key; the body is empty */
	uint64_t number;
	uint32_t costs[RANK_RULES_MAX];
};

struct search_page {
	struct search_hit *hits;
	size_t hits_len;
	uint64_t total;
	uint16_t known; /* typed words, a bit a term, that this snapshot knows */
};

/* ERROR_MEMORY, ERROR_STORAGE (RETRY), ERROR_DAMAGED (FATAL). */
int snapshot_rank(const struct snapshot *snapshot, const struct search_request *request,
                  struct search_page *page, struct error *error);

#endif
