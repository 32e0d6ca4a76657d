/*
 * Search, inside: what stands for the nodes of a query in each segment, the
 * documents that have it, and their order. What search.c, search_words.c,
 * search_match.c, search_groups.c, search_list.c, search_gather.c, search_narrow.c, search_rank.c,
 * search_scores.c, search_order.c, search_values.c and search_merge.c share. Nobody else includes this.
 */
#ifndef MILLRACE_SHARD_CORE_SEARCH_PRIVATE_H
#define MILLRACE_SHARD_CORE_SEARCH_PRIVATE_H

#include "shard/core/lexicon.h"
#include "shard/core/posting_run.h"
#include "shard/core/reading.h"
#include "shard/core/search.h"

#define SEARCH_CLASSES (RANK_TYPOS_MAX + 1)
#define SEARCH_ALL_CLASSES ((1U << SEARCH_CLASSES) - 1)
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
	struct posting_list
		*exact; /* by node: of the word as typed; count 0: it is not there, or the node no word */
	struct wordlist wordlist;
	struct section_reader *beside; /* where that is among the values on disk; else NULL */
	struct lexicon lexicon;        /* of the wordlist */
};

/* A document on its way into the list; costs by rule of the request, 0 beyond them. */
struct search_scored {
	uint64_t number;
	uint32_t costs[SEARCH_RULES_MAX];
};

/* A document in the list. */
struct search_listed {
	struct document document; /* id and key */
	uint64_t number;
	struct slice rank;         /* as in search_hit */
	struct search_cost *costs; /* by rule; NULL: not asked for */
	size_t ranked;             /* as in search_hit */
	double score;
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
	uint16_t known;   /* words that this snapshot knows */
	uint64_t frequencies[QUERY_TERMS_MAX];
	size_t phrase_at[QUERY_NODES_MAX]; /* of a phrase term, where its words begin among all of them */
	size_t phrase_words;
	struct search_segment *segments; /* by rising numbers */
	size_t segments_len;
	uint8_t classes
		[QUERY_NODES_MAX]; /* numbers of typos, a bit each, of which words and sets are found */
	struct postings sets[QUERY_NODES_MAX][SEARCH_CLASSES]; /* that match, live, and have a node so */
	struct postings excluded; /* live, by words and phrases that are to be absent */
	bool has_passing;
	struct postings passing; /* live, by filter and ids */
	uint8_t rarest;
	bool is_all; /* every live document matches; `matches` is empty */
	struct postings matches;
	uint64_t total; /* of matches */
	struct place places[SEARCH_PLACES_MAX];
	struct search_listed *list; /* in order */
	size_t list_len;
	size_t ranked_len; /* of the list: in the order of all rules */
	bool at_cutoff;
};

/* search.c. One snapshot: sets of its documents; then which of them match; then the first in order (search_list.c). */
/* Whatever it says, search_close follows. */
int search_open(struct search *search, const struct snapshot *snapshot, const struct search_request *request,
                struct error *error);
void search_close(struct search *search);
/* Fills `matches` and `total`; `rarest` as rank_request says. */
int search_join(struct search *search, uint8_t rarest, struct error *error);
/* Fills `list` anew with at most `limit`, no fewer than before. */
int search_list(struct search *search, uint16_t known, size_t limit, struct error *error);

/* search_words.c */
/* Fills `segments`, with what is as typed or excludes. */
int search_words_open(struct search *search, struct error *error);
/* Adds what stands in a segment for a node with any of these numbers of typos, a bit each. */
int search_words_find(struct search *search, struct search_segment *segment, size_t node, unsigned classes,
                      struct error *error);
/* Typos that each node may have. */
void search_typos_allow(struct search *search);

/* search_lengths.c */
/* The short fields of documents of one segment, which are asked for by rising number. */
struct search_lengths {
	struct search *search;
	const struct search_segment *segment;
	uint64_t wanted; /* the document that is asked for */
	bool opened;
	bool begun; /* the run is one of the list's */
	bool ended;
	bool in_blocks;
	struct terms_blocks blocks;
	struct posting_cursor cursor; /* behind the run */
	struct posting_run run;       /* at a document at or behind the one asked for last */
	bool is_read;                 /* that document */
	uint64_t held;                /* whose fields are below */
	struct rank_field fields[UINT8_MAX + 1];
	size_t fields_len;
	bool failed;
	struct error error;
};

/* `lengths` is all zero, or was begun before. */
void search_lengths_begin(struct search_lengths *lengths, struct search *search,
                          const struct search_segment *segment);
void search_lengths_end(struct search_lengths *lengths);
/* Of that document; `failed` says afterwards whether they could be read. */
struct rank_fields search_lengths_of(struct search_lengths *lengths, uint64_t number);

/* search_match.c */
/* Fills `excluded`, `known`, `frequencies`, and of `sets` what is not left for the groups to ask for. */
int search_match(struct search *search, struct error *error);
/* Finds what stands for a node with any of these numbers of typos, a bit each, and the sets of it. */
int search_classes_find(struct search *search, size_t node, unsigned classes, struct error *error);
/* Fills `matches` from the sets. */
int search_match_join(struct search *search, struct error *error);
/* The places of the document that the cursor stands at, in fields that are not hidden. */
int search_places_read(const struct search *search, struct posting_cursor *cursor, struct place *places,
                       size_t *len, struct error *error);
/* The same of the one given `back` before it (posting_cursor_places_back). */
int search_places_back(const struct search *search, struct posting_cursor *cursor, uint32_t back,
                       struct place *places, size_t *len, struct error *error);
/* Whether a word that stands there, and may do so only where typos are allowed if it is tolerant, counts. */
bool search_places_count(const struct search *search, const struct place *places, size_t len, bool tolerant);

/* Place of the first of `len` rising numbers at or above `number`, from `from` on: near ones are found in few steps. */
size_t search_numbers_seek(const uint64_t *numbers, size_t len, size_t from, uint64_t number);

/* search_groups.c */
/* Matches in groups of equal costs of the first rules, as far as sets tell: of rules that begin with words and typos.
 * Others are one group. */
struct search_groups {
	bool by_words;
	bool by_typos;
	size_t words; /* of the group that comes next */
	uint32_t typos;
	size_t given_words;   /* by_words: of the group given last */
	uint32_t given_typos; /* by_typos: of that group */
	bool ended;
	struct postings placed; /* in groups given already */
	struct postings sums[QUERY_TERMS_MAX + 1][SEARCH_TYPOS_MAX + 1];
	bool summed[QUERY_TERMS_MAX + 1][SEARCH_TYPOS_MAX + 1];
};

/* Whether sets tell how many words of the query each document that matches keeps. */
bool search_is_by_words(const struct search_request *request);
void search_groups_begin(struct search *search, struct search_groups *groups);
void search_groups_end(struct search_groups *groups);
/* 1 and the next one, which is not empty, in the empty `group`; 0 after the last. Finds the words that it depends on,
 * where these are not found. */
int search_groups_next(struct search *search, struct search_groups *groups, struct postings *group,
                       struct error *error);

/* search_order.c */
/* By what the rules that sort order some documents. */
struct search_order {
	uint64_t *numbers; /* rising */
	size_t len;
	uint32_t *costs[SEARCH_RULES_MAX];            /* by rule, then by document; NULL: it does not sort */
	struct sort_entry *values[SEARCH_RULES_MAX];  /* FIELD */
	struct point_entry *points[SEARCH_RULES_MAX]; /* POINT */
};

int search_order_make(struct search *search, const struct postings *group, struct search_order *order,
                      struct error *error);
/* Where the document stands, which is among them. */
size_t search_order_at(const struct search_order *order, uint64_t number);
/* What is shown of a rule that sorts. */
void search_order_cost(const struct search *search, const struct search_order *order, size_t rule, size_t at,
                       struct search_cost *cost);
/* search_hit's `rank` of a document with these costs. */
int search_order_rank(const struct search *search, const struct search_order *order,
                      const struct search_scored *scored, struct slice *rank, struct error *error);
/* Of a document of which only the first `known` costs are: behind all that are ranked and cost as much by these. */
int search_order_skip(const struct search *search, const struct search_scored *scored, size_t known,
                      struct slice *rank, struct error *error);

/* search_rank.c */
/* The first rules of the request, and what they ask. */
struct search_ranking {
	const struct rank_plan *plan; /* of those about words; NULL: there are none */
	size_t rules_len;
	const struct search_order *order; /* of all documents ranked */
	size_t terms;                     /* each document keeps just these first ones, … */
	uint32_t typos;                   /* … with so many typos; `terms` 0: that is not known */
};

/* Documents of a group by rising costs, at least the best `wanted` of them and all that are equal to the last of these. */
struct search_scores {
	struct search_scored *ptr; /* malloc'd */
	size_t len;
	size_t size;
	size_t wanted;          /* at least 1 */
	size_t better;          /* once cut: the first of them are better than the rest, which are equal */
	struct postings *equal; /* not NULL: more that are equal to the last of them */
	bool is_full;           /* nothing above `worst` is wanted any more */
	struct search_scored worst;
};

/* Whether what stands for the node with so many typos may count in the documents. */
bool search_ranking_keeps(const struct search *search, const struct search_ranking *ranking, size_t node,
                          uint32_t typos);
int search_rank(struct search *search, const struct search_ranking *ranking, const struct postings *group,
                struct search_scores *scores, struct error *error);
/* The outcomes of all documents of a group, by rising number; room for them. */
int search_rank_outcomes(struct search *search, const struct rank_plan *plan, const struct postings *group,
                         struct rank_outcome *outcomes, struct error *error);

/* search_single.c: a group whose documents keep the first term alone, with so many typos. */
/* Whether the query and its rules let it be ranked list by list. */
bool search_single_may(const struct search *search);
/* As search_rank by the plan of all rules; what is equal to the last is put into the empty `scores->equal`. */
int search_single(struct search *search, const struct rank_plan *plan, uint32_t typos,
                  const struct postings *group, struct search_scores *scores, struct error *error);

/* search_scores.c */
int search_scores_add(struct search_scores *scores, const struct search_scored *scored, struct error *error);
/* Leaves the best, in order. */
void search_scores_sort(struct search_scores *scores);

/* search_values.c */
/* The values of a document in an attribute, as bytes that are equal if the values are, sorted, each once, in the
 * arena. */
int search_values(struct search *search, uint64_t number, struct slice path, struct search_hit *hit,
                  struct error *error);

#endif
