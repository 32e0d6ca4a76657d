/* Rank bed: a query of words next to each other, what stands for it in a document, and the ranking of that. */
#ifndef MILLRACE_TESTS_UNIT_RANK_BED_H
#define MILLRACE_TESTS_UNIT_RANK_BED_H

#include "shard/engine/rank.h"

#include "tests/unit/suite.h"

#include <stdio.h>

#define PLACES_MAX 4
#define FOUND_MAX 6

static const enum rank_rule default_rules[] = {RANK_WORDS,          RANK_TYPO,          RANK_PROXIMITY,
                                               RANK_ATTRIBUTE_RANK, RANK_WORD_POSITION, RANK_EXACTNESS};
static const uint16_t weights[] = {0, 1, 2, RANK_UNSEARCHED};
static const uint8_t typos_allowed[QUERY_NODES_MAX] = {1, 0, 0, 1, 0, 1};

/* Words next to each other, with their n-grams. Of three terms the nodes are a, ab, abc, b, bc, c. */
static inline struct query query_of(size_t terms)
{
	static struct slice word = {(const uint8_t *)"word", 4};
	struct query query = {.terms_len = terms, .words = (uint32_t)terms};

	for (size_t i = 0; i < terms; i++) {
		query.terms[i] = (struct query_term){
			.phrase = {&word, 1}, .start = (uint32_t)i, .end = (uint32_t)i, .words = 1};
		for (size_t size = 1; size <= QUERY_NGRAM_MAX && i + size <= terms; size++)
			query.nodes[query.nodes_len++] =
				(struct query_node){.first = (uint8_t)i, .terms = (uint8_t)size};
	}
	return query;
}

static inline struct rank_request request_of(const struct query *query)
{
	return (struct rank_request){
		.query = query,
		.rules = default_rules,
		.rules_len = 6,
		.typos_allowed = typos_allowed,
		.known = UINT16_MAX,
		.weights = weights,
		.weights_len = 4,
		.entries = 3,
	};
}

/* ---- what was found ---- */

enum kind {
	NOTHING,
	TYPED,
	WORD,   /* at 0 typos a prefix or similar */
	PHRASE, /* a synonym or split; its only word, or its first and last place in turn */
};

struct found_row {
	enum kind kind;
	uint8_t node;
	uint8_t typos;
	size_t len;
	struct place places[PLACES_MAX];
};

struct bed {
	struct query query;
	struct rank_request request;
	struct rank_plan plan;
	struct rank_work work;
	struct rank_found_node nodes[QUERY_NODES_MAX];
	struct places phrase[2]; /* words of a phrase term */
	struct rank_field fields[4];
	struct rank_outcome outcome;
};

static inline size_t all_fields(void *context, const struct rank_field **fields)
{
	struct bed *bed = context;

	*fields = bed->fields;
	return sizeof(bed->fields) / sizeof(bed->fields[0]);
}

static inline size_t no_fields(void *context, const struct rank_field **fields)
{
	*fields = context;
	return 0;
}

static inline struct bed *bed_of(size_t terms)
{
	static struct bed bed;

	memset(&bed, 0, sizeof(bed));
	bed.query = query_of(terms);
	bed.request = request_of(&bed.query);
	return &bed;
}

static inline enum rank_verdict bed_rank(struct bed *bed, const struct found_row *rows,
                                         struct rank_bound bound)
{
	struct rank_found found = {bed->nodes, {all_fields, bed}};

	memset(bed->nodes, 0, sizeof(bed->nodes));
	for (size_t i = 0; i < FOUND_MAX && rows[i].kind != NOTHING; i++) {
		struct rank_found_node *node = &bed->nodes[rows[i].node];
		struct rank_class *class = &node->typos[rows[i].typos];
		struct places places = {rows[i].places, rows[i].len};

		if (rows[i].kind == PHRASE) {
			class->firsts = (struct places){places.ptr, 1};
			class->lasts = (struct places){places.ptr + places.len - 1, 1};
			bed->phrase[0] = class->firsts;
			bed->phrase[1] = class->lasts;
			node->phrase = bed->phrase;
			continue;
		}
		class->words = places;
		if (rows[i].kind == TYPED)
			node->exact = places;
	}
	rank_plan_init(&bed->plan, &bed->request);
	return rank_document(&bed->plan, &found, bound, &bed->work, &bed->outcome);
}

static const struct rank_bound no_bound = {NULL, 0};

/* The cost of one rule; RANK_ALL, so that it is the only one. */
static inline uint32_t cost_of(struct bed *bed, enum rank_rule rule, const struct found_row *rows)
{
	bed->request.strategy = RANK_ALL;
	bed->request.rules = &rule;
	bed->request.rules_len = 1;
	CU_ASSERT_EQUAL_FATAL(bed_rank(bed, rows, no_bound), RANK_MATCH);
	return bed->outcome.costs[0];
}

#endif
