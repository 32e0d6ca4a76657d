/*
 * What the files of search_narrow share: the documents at hand, as far as
 * their terms are known, and the lists of each term in one segment.
 */
#ifndef MILLRACE_SHARD_CORE_SEARCH_NARROW_PRIVATE_H
#define MILLRACE_SHARD_CORE_SEARCH_NARROW_PRIVATE_H

#include "shard/core/search_narrow.h"

/* Documents looked at together: by the first term, and, of those it leaves, by the others: more once it is known what
 * the best cost. */
#define NARROW_CHUNK 512
#define NARROW_ROWS_MOST (8 * NARROW_CHUNK)
#define NARROW_ROWS_MAX (NARROW_ROWS_MOST + NARROW_CHUNK)
#define NARROW_SPAN_MAX 16384
#define NARROW_NONE UINT8_MAX

/* A list to go through. */
struct narrow_source {
	struct posting_cursor cursor;
	uint8_t typos;
	bool tolerant;
};

/* In one segment. */
struct narrow_term {
	size_t first; /* its sources, by rising typos */
	size_t end;
	uint64_t documents; /* in their lists */
	bool is_passed;
};

/* Places of one word in one document. */
struct narrow_found {
	uint32_t at; /* in `places` */
	uint32_t len;
	uint32_t next; /* of another word for the term, + 1; 0: none */
};

/* A document as far as its terms are known. */
struct narrow_row {
	uint64_t number;
	bool stays; /* it is read in other ways too */
	/* of the term at hand: the least of its words */
	uint8_t typos; /* NARROW_NONE: nothing stands for it yet */
	uint8_t left;  /* RANK_PROXIMITY to the term before, and to the one behind */
	uint8_t right;
	struct rank_single costs;
	/* sums over the terms that were looked at */
	uint32_t proximity;
	uint32_t attribute;
	uint32_t position;
};

struct narrowing {
	struct search *search;
	const struct search_ranking *ranking;
	enum rank_rule rules[RANK_RULES_MAX]; /* that a key tells */
	size_t rules_len;
	struct postings others; /* documents that stay */
	struct narrow_source *sources;
	uint64_t *stand; /* the document at which each of them stands; UINT64_MAX behind the last */
	size_t sources_len;
	struct narrow_term terms[QUERY_TERMS_MAX];
	uint8_t order[QUERY_TERMS_MAX]; /* in which terms are looked at */
	struct narrow_row rows[NARROW_ROWS_MAX];
	uint64_t row_numbers[NARROW_ROWS_MAX];
	uint32_t row_found[QUERY_TERMS_MAX][NARROW_ROWS_MAX]; /* by term: its words that were kept, + 1 */
	size_t rows_len;
	size_t rows_wanted;  /* before the other terms are looked at */
	bool is_near;        /* the rows at hand lie near each other: `nearest` has of every number … */
	uint64_t near_first; /* … from this one on the first row at or above it */
	uint16_t nearest[NARROW_SPAN_MAX];
	struct narrow_found *found;
	size_t found_len;
	size_t found_size;
	struct place *places;
	size_t places_len;
	size_t places_size;
	uint64_t batch[POSTING_BLOCK_MAX]; /* what a source has */
	uint64_t *numbers;                 /* those that are left, … */
	uint64_t *keys;                    /* … and their keys */
	size_t len;
	uint64_t *best; /* a heap of the lowest keys, the highest of them first */
	size_t best_len;
	size_t wanted;
};

/* Opens the lists of all terms, and finds the order in which they are looked at: the one with the shortest lists first. */
int narrow_terms_open(struct narrowing *narrowing, const struct search_segment *segment, struct error *error);
/* Finds what the term costs in the rows from that one on, which are some. */
int narrow_term_pass(struct narrowing *narrowing, size_t number, size_t from, struct error *error);

#endif
