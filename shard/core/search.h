/*
 * Search: the documents of some snapshots of one index that match a query, in
 * ranked order.
 *
 * In each snapshot, segment by segment, the words that stand for the query's
 * nodes are looked up (search_words.c), documents are matched by their numbers
 * alone (search_match.c), filtered, and ranked rule by rule: where the rules
 * begin with words and typos, group by group, only as many as are wanted
 * (search_groups.c, search_rank.c), and what no such group depends on is not
 * looked up; by the values of fields where rules sort (search_order.c).
 *
 * Hits are ordered by `rank`, the costs and values of the rules in order as
 * bytes, then insertion key, then id. Nothing in that depends on segments,
 * numbers or arrival, so hits of several snapshots, of one node or of many,
 * merge by comparing the same (search_merge.c); but `known` must be what all
 * shards know together: a node says what it knows, and who merges asks those
 * again that did not know what others do. The same holds of the rarest term.
 *
 * Of documents that share a distinct value the first one is a hit. With a
 * threshold, what ranks below it is no hit, and is not counted either as far as
 * the ranking comes before it has the hits that are wanted.
 *
 * Bounds: words that stand for a query are all there are; the answer says how
 * many documents match. A threshold ranks all of them, a distinct attribute as
 * many as it takes. Memory is the request's arena, and scratch of a number for
 * each document that matches. One thread a call, one transaction a snapshot.
 *
 * Time: once the cutoff of the watch has passed, what is not ranked yet follows
 * what is, in insertion order, but by words and typos where the rules begin with
 * them, as sets tell these; what matches, and so totals and facets, is whole.
 */
#ifndef MILLRACE_SHARD_CORE_SEARCH_H
#define MILLRACE_SHARD_CORE_SEARCH_H

#include "shard/core/snapshot_sort.h"
#include "shard/core/watch.h"
#include "shard/engine/rank.h"
#include "shared/filter/filter.h"
#include "shared/settings/settings.h"

#define SEARCH_SORTS_MAX (2 * SETTINGS_SORTS_MAX) /* ranking rules, and criteria of a search */
#define SEARCH_RULES_MAX (RANK_RULES_MAX + SEARCH_SORTS_MAX)

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

enum search_rule_kind {
	SEARCH_RULE_RANK = 1, /* about words */
	SEARCH_RULE_FIELD,    /* by the values of a field */
	SEARCH_RULE_POINT     /* by the distance of `_geo` from a point, in whole metres */
};

struct search_rule {
	enum search_rule_kind kind;
	enum rank_rule rank; /* RANK */
	bool falling;        /* FIELD, POINT */
	struct slice path;   /* FIELD */
	double lat;          /* POINT; degrees */
	double lng;
};

/* Where a hit stands in the ranking. */
struct search_cut {
	struct slice rank; /* as of a hit */
	struct insertion_key key;
	struct slice id;
};

/* Of snapshots of one index, the same for each. Borrowed as long as the answer. */
struct search_request {
	struct words *words; /* the calling thread's */
	const struct query *query;
	uint64_t cutting; /* digest of the rules that it was cut by: words by others are none */
	bool any_cutting; /* each segment has the words that it was cut into last, by whatever rules */
	enum rank_strategy strategy;
	/* In order; those about words only if the query has terms, and as rank_request wants them. */
	const struct search_rule *rules;
	size_t rules_len;
	struct search_typos typos;
	const struct search_synonym *synonyms;
	size_t synonyms_len;
	const struct slice *searchable; /* entries in order; a single `*`: everything */
	size_t searchable_len;
	const struct slice *search_on; /* paths or patterns; none: all that is searchable */
	size_t search_on_len;
	bool by_attribute;
	const struct filter *filter; /* NULL: everything passes */
	const struct slice *ids;     /* `has_ids`: only these documents */
	size_t ids_len;
	bool has_ids;
	struct slice distinct; /* attribute; ptr NULL: none */
	size_t distinct_max;   /* hits that are counted once there are so many distinct ones */
	/* Hits are all until then, also those that are equal to one before, and with a cut, or if none is wanted, what is
	 * counted below the threshold: who merges leaves out. */
	bool lists_equal;
	bool has_threshold;
	double threshold;
	bool counts_all; /* with a threshold: the total leaves out all below it, however many hits are wanted */
	bool has_cut; /* with a threshold: what ranks behind the cut is counted; else behind the hits wanted */
	struct search_cut cut;
	bool shows_scores;  /* hits have costs and scores */
	bool lists_counted; /* the answer has `counted` */
	bool all_known;     /* `known` counts; else what these snapshots know */
	uint16_t known;
	bool has_rarest; /* RANK_FREQUENCY: `rarest` counts; else it is found in these snapshots */
	uint8_t rarest;
	size_t limit;        /* hits wanted */
	struct watch *watch; /* NULL: it takes as long as it does */
	struct arena *arena;
};

/* What a rule says of a hit. */
struct search_cost {
	uint32_t cost; /* RANK: as in rank.h, and the pairs */
	struct rank_pair pairs[2];
	struct sort_value value; /* FIELD */
	bool has_place;          /* POINT */
	double lat;
	double lng;
	double metres;
};

/* Stands in a score for all rules that were skipped: it is the lowest that they may leave. */
#define SEARCH_SKIPPED ((struct rank_pair){0, 1})

struct search_hit {
	size_t snapshot;          /* of those that were asked */
	struct document document; /* id and key; the body is empty */
	uint64_t number;
	struct slice rank;          /* bytes; hits go by these, then by insertion key, then id */
	const struct slice *values; /* of the distinct attribute, as bytes that are equal if the values are */
	size_t values_len;
	const struct search_cost *costs; /* by rule; NULL unless scores are shown */
	size_t ranked;                   /* rules that have costs; the others were skipped at the cutoff */
	double score;                    /* 1 unless scores are shown */
};

struct search_answer {
	struct search_hit *hits; /* in order, at most `limit` unless equal ones are listed */
	size_t hits_len;
	uint64_t total;
	uint64_t *totals;         /* by snapshot; they add up to `total` */
	struct postings *counted; /* by snapshot: the documents of the total; search_answer_deinit */
	size_t snapshots_len;
	bool at_cutoff; /* it had passed before all was ranked */
	uint16_t known; /* typed words, a bit a term, that these snapshots know */
	/* RANK_FREQUENCY: live documents that have each term; the rarest that any has is the one that stays */
	uint64_t frequencies[QUERY_TERMS_MAX];
};

/* ERROR_MEMORY, ERROR_STORAGE, ERROR_TIMEOUT (RETRY), ERROR_VERSION (RETRY) where a segment has no words by these rules,
 * ERROR_DAMAGED (FATAL): then `*failed` is the snapshot. Whatever it says,
 * search_answer_deinit follows. */
int snapshots_search(struct snapshot *const *snapshots, size_t len, const struct search_request *request,
                     struct search_answer *answer, size_t *failed, struct error *error);
void search_answer_deinit(struct search_answer *answer);

/* Takes what `rank` says of a rule, the first one that is left in it. */
struct slice search_rank_take(const struct search_rule *rule, struct slice *rank);

#endif
