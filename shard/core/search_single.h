/*
 * Single: a group whose documents keep the first term alone, as a table. What
 * search_single.c, which orders it, and search_single_lists.c, which fills it
 * from the lists, share. Nobody else includes this.
 */
#ifndef MILLRACE_SHARD_CORE_SEARCH_SINGLE_H
#define MILLRACE_SHARD_CORE_SEARCH_SINGLE_H

#include "shard/core/search_private.h"

/* Costs of exactness of a document that has not the word as typed, and of one that has it at the start of a field. */
#define SINGLE_NONE (2U << RANK_EXACTNESS_SHIFT | 1)
#define SINGLE_START (1U << RANK_EXACTNESS_SHIFT)
/* It has it so, and perhaps better: what it really costs is yet to be found. */
#define SINGLE_ASKS 0x80U
/* Positions whose costs are remembered. */
#define SINGLE_NEAR 128

/* What is known of a document. */
struct single_row {
	uint16_t attribute;
	uint8_t position;
	uint8_t exactness; /* as far as known; the rest is found only for those that the rules before it leave */
};

/* A group's documents, by rising number. */
struct single_table {
	struct search *search;
	const struct rank_plan *plan; /* of all rules */
	uint32_t typos;
	uint64_t *numbers;
	size_t len;
	struct single_row *rows;
	size_t rows_len;   /* `len`, or, as `has_all` says, of all numbers */
	bool has_all;      /* … from */
	uint64_t first;    /* … to the last of them */
	bool reads_firsts; /* the first place in each field says all that is asked */
	bool finds_types;  /* of those that ask, and nothing else */
	size_t asking;
	const uint8_t *near; /* what the first SINGLE_NEAR positions cost */
	struct search_lengths *lengths;
};

static inline struct single_row *single_row_at(const struct single_table *table, size_t at)
{
	return &table->rows[table->has_all ? table->numbers[at] - table->first : at];
}

/* Fills the rows from all lists; or, if the table finds types, those of documents that ask. */
int search_single_fill(struct single_table *table, struct error *error);

#endif
