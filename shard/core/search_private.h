/*
 * Search, inside: what stands for the nodes of a query in each segment, and
 * the documents that have it. What search.c, search_words.c, search_match.c
 * and search_rank.c share. Nobody else includes this.
 */
#ifndef MILLRACE_SHARD_CORE_SEARCH_PRIVATE_H
#define MILLRACE_SHARD_CORE_SEARCH_PRIVATE_H

#include "shard/core/lexicon.h"
#include "shard/core/reading.h"
#include "shard/core/search.h"

#define SEARCH_CLASSES (RANK_TYPOS_MAX + 1)
/* Of all paths: two a word, and no joined words cost more than theirs. */
#define SEARCH_TYPOS_MAX (2 * QUERY_TERMS_MAX)
/* A field that is not searchable: as if the document had it not; and one where words are reached as typed only. */
#define SEARCH_HIDDEN 1
#define SEARCH_EXACT 2
/* Of a word's places in one document; the rest is not looked at. */
#define SEARCH_PLACES_MAX 4096

/* A word of a segment that stands for a node. */
struct search_word {
	struct posting_list list;
	uint8_t node;
	uint8_t typos;
	bool exact;    /* it is what was typed */
	bool tolerant; /* only in fields that allow typos */
};

/* Words of a segment that stand for a node, or exclude, where they follow each other. */
struct search_phrase {
	struct posting_list *lists; /* of each word; of a stop word count 0 */
	size_t len;
	uint8_t node;
	uint8_t typos;
	bool is_term;            /* exactness asks for each of its words */
	struct postings numbers; /* where they do; once matched */
};

/* Growing, in the arena. */
struct search_words {
	struct search_word *ptr;
	size_t len;
	size_t size;
};

struct search_phrases {
	struct search_phrase *ptr;
	size_t len;
	size_t size;
};

struct search_segment {
	uint64_t first;
	uint64_t end;
	struct search_words words;
	struct search_phrases phrases;
	struct search_phrases excluded;
	struct posting_list lengths; /* of fields; count 0: none */
};

/* A document on its way into the page. */
struct search_scored {
	uint64_t number;
	uint32_t costs[RANK_RULES_MAX];
};

struct search {
	const struct search_request *request;
	struct reading reading;
	struct arena *arena;
	struct buffer joined; /* a list that stands in several chunks */
	uint8_t typos_allowed[QUERY_NODES_MAX];
	const uint16_t *weights; /* by field, as rank_request says */
	uint8_t *fields;         /* by field: SEARCH_HIDDEN, SEARCH_EXACT */
	size_t fields_len;
	bool some_fields; /* not every field is searched on, or some are exact: then `fields` says which */
	uint16_t known;
	size_t phrase_at[QUERY_NODES_MAX]; /* of a phrase term, where its words begin among all of them */
	size_t phrase_words;
	struct search_segment *segments; /* by rising numbers */
	size_t segments_len;
	struct postings sets[QUERY_NODES_MAX][SEARCH_CLASSES]; /* live documents that have a node so */
	struct postings matches;
	struct postings excluded; /* live, by words and phrases that are to be absent */
	struct place places[SEARCH_PLACES_MAX];
};

/* search_words.c: what each segment has; fills `segments` and `known`. */
int search_words_find(struct search *search, struct error *error);
/* Typos that each node may have. */
void search_typos_allow(struct search *search);

/* search_match.c */
/* Fills `sets`, `matches` and `known`. */
int search_match(struct search *search, struct error *error);
/* The places of the document that the cursor stands at, in fields that are not hidden. */
int search_places_read(const struct search *search, struct posting_cursor *cursor, struct place *places,
                       size_t *len, struct error *error);
/* Whether a word that stands there, and may do so only where typos are allowed if it is tolerant, counts. */
bool search_places_count(const struct search *search, const struct place *places, size_t len, bool tolerant);

/* Matches in groups of equal costs of the first rules, as far as sets tell: of rules that begin with words and typos.
 * Others are one group. */
struct search_groups {
	bool by_words;
	bool by_typos;
	size_t words; /* of the group that comes next */
	uint32_t typos;
	bool ended;
	struct postings placed; /* in groups given already */
	struct postings sums[QUERY_TERMS_MAX + 1][SEARCH_TYPOS_MAX + 1];
	bool summed[QUERY_TERMS_MAX + 1][SEARCH_TYPOS_MAX + 1];
};

void search_groups_begin(struct search *search, struct search_groups *groups);
void search_groups_end(struct search_groups *groups);
/* Fills the empty `group` with the next one, which is not empty; false after the last. */
bool search_groups_next(struct search *search, struct search_groups *groups, struct postings *group);

/* search_rank.c */
/* Documents of a group by rising costs, at least the best `wanted` of them and all that are equal to the last of these. */
struct search_scores {
	struct search_scored *ptr; /* malloc'd */
	size_t len;
	size_t size;
	size_t wanted; /* at least 1 */
	size_t better; /* once cut: the first of them are better than the rest, which are equal */
	bool is_full;  /* nothing above `worst` is wanted any more */
	struct search_scored worst;
};

int search_rank(struct search *search, const struct rank_plan *plan, const struct postings *group,
                struct search_scores *scores, struct error *error);

#endif
