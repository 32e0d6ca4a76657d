/*
 * A common word stands in a large part of all documents, and where it alone is
 * kept of a query, what the rules ask follows from its own places. They are
 * read list by list here, which takes a fraction of gathering what each
 * document has.
 */
#include "shard/core/search_single.h"

#include <stdlib.h>

/* Numbers that a set is given at once. */
#define EQUALS_ADDED 1024
/* Rows for each document of a group, where all numbers from its first to its last have one. */
#define ROWS_SPARE 4
/* Words, typos, then whatever is about words, and exactness last: what it narrows matters to no other. */
bool search_single_may(const struct search *search)
{
	const struct search_request *request = search->request;
	bool ended = false;

	if (request->query->terms[0].is_phrase)
		return false;
	for (size_t i = 0; i < request->rules_len; i++) {
		if (request->rules[i].kind != SEARCH_RULE_RANK || ended)
			return false;
		ended = request->rules[i].rank == RANK_EXACTNESS;
	}
	return true;
}

static uint32_t rule_cost(const struct single_table *table, enum rank_rule rule, const struct single_row *row)
{
	switch (rule) {
	case RANK_WORDS:
		return table->search->request->query->words - 1;
	case RANK_TYPO:
		return table->typos;
	case RANK_PROXIMITY:
		return 0;
	case RANK_ATTRIBUTE_RANK:
		return row->attribute;
	case RANK_WORD_POSITION:
		return row->position;
	case RANK_ATTRIBUTE:
		return ((uint32_t)row->attribute << RANK_ATTRIBUTE_SHIFT) + row->position;
	case RANK_EXACTNESS:
		return row->exactness;
	}
	return 0;
}

/* What a row's costs count in a number that orders rows by all rules that were taken in. */
struct factors {
	uint64_t attribute;
	uint64_t position;
	uint64_t exactness;
};

static void factors_shift(struct factors *factors, unsigned bits)
{
	factors->attribute <<= bits;
	factors->position <<= bits;
	factors->exactness <<= bits;
}

static void rule_take(struct factors *factors, enum rank_rule rule)
{
	switch (rule) {
	case RANK_WORDS:
	case RANK_TYPO:
	case RANK_PROXIMITY:
		break; /* the same of all */
	case RANK_ATTRIBUTE_RANK:
		factors_shift(factors, 16);
		factors->attribute += 1;
		break;
	case RANK_WORD_POSITION:
		factors_shift(factors, 8);
		factors->position += 1;
		break;
	case RANK_ATTRIBUTE:
		factors_shift(factors, 16 + RANK_ATTRIBUTE_SHIFT);
		factors->attribute += 1U << RANK_ATTRIBUTE_SHIFT;
		factors->position += 1;
		break;
	case RANK_EXACTNESS:
		factors_shift(factors, 8);
		factors->exactness += 1;
		break;
	}
}

/* Of the first `rules` of the request. */
static struct factors factors_of(const struct single_table *table, size_t rules)
{
	struct factors factors = {0};

	for (size_t i = 0; i < rules; i++)
		rule_take(&factors, table->search->request->rules[i].rank);
	return factors;
}

static inline uint64_t row_key(const struct factors *factors, const struct single_row *row)
{
	return factors->attribute * row->attribute + factors->position * row->position +
	       factors->exactness * row->exactness;
}

/* The lowest keys, the highest of them first. */
struct lowest {
	uint64_t *heap;
	size_t len;
	size_t wanted;
};

/* One that is wanted. */
static void lowest_add(struct lowest *lowest, uint64_t key)
{
	uint64_t *heap = lowest->heap;
	size_t at;

	if (lowest->len < lowest->wanted) {
		for (at = lowest->len++; at > 0 && heap[(at - 1) / 2] < key; at = (at - 1) / 2)
			heap[at] = heap[(at - 1) / 2];
		heap[at] = key;
		return;
	}
	at = 0;
	for (size_t child; (child = 2 * at + 1) < lowest->len; at = child) {
		if (child + 1 < lowest->len && heap[child + 1] > heap[child])
			child++;
		if (heap[child] <= key)
			break;
		heap[at] = heap[child];
	}
	heap[at] = key;
}

/* Keeps the best rows by the first `rules`, as many as are wanted, and those that are equal to the last of them: `*worst`
 * is its key. */
static int table_narrow(struct single_table *table, size_t rules, size_t wanted, uint64_t *worst,
                        struct error *error)
{
	size_t size = table->len < wanted ? table->len : wanted;
	struct lowest lowest = {.wanted = size, .heap = malloc(size * sizeof *lowest.heap)};
	struct factors factors = factors_of(table, rules);
	size_t kept = 0;

	if (lowest.heap == NULL)
		return error_memory(error, size * sizeof *lowest.heap);
	for (size_t i = 0; i < table->len; i++) {
		uint64_t key = row_key(&factors, single_row_at(table, i));

		if (lowest.len < size || key < lowest.heap[0])
			lowest_add(&lowest, key);
	}
	*worst = lowest.heap[0];
	for (size_t i = 0; i < table->len; i++) {
		struct single_row row = *single_row_at(table, i);

		if (row_key(&factors, &row) > *worst)
			continue;
		table->numbers[kept] = table->numbers[i];
		table->rows[kept++] = row;
	}
	free(lowest.heap);
	table->has_all = false;
	table->len = kept;
	return 0;
}

static int row_score(const struct single_table *table, size_t at, struct search_scores *scores,
                     struct error *error)
{
	const struct search_request *request = table->search->request;
	struct search_scored scored = {.number = table->numbers[at]};

	for (size_t i = 0; i < request->rules_len; i++)
		scored.costs[i] = rule_cost(table, request->rules[i].rank, single_row_at(table, at));
	return search_scores_add(scores, &scored, error);
}

/* Where the rules ask for exactness; all of them if they do not. */
static size_t rules_before_exactness(const struct search_request *request)
{
	size_t at = 0;

	while (at < request->rules_len && request->rules[at].rank != RANK_EXACTNESS)
		at++;
	return at;
}

/* Numbers on their way into a set, many at once. */
struct equals {
	struct postings *set;
	uint64_t base;
	uint32_t numbers[EQUALS_ADDED];
	size_t len;
};

static void equals_end(struct equals *equals)
{
	postings_add_rising(equals->set, equals->base, equals->numbers, equals->len);
	equals->len = 0;
}

static void equals_add(struct equals *equals, uint64_t number)
{
	if (equals->len == EQUALS_ADDED || number - equals->base > UINT32_MAX)
		equals_end(equals);
	if (equals->len == 0)
		equals->base = number;
	equals->numbers[equals->len++] = (uint32_t)(number - equals->base);
}

/* Those that are as bad as the worst may be many, and need no order: one stands for them in the list. */
static int rows_score(const struct single_table *table, uint64_t worst, struct search_scores *scores,
                      struct error *error)
{
	struct factors factors = factors_of(table, table->search->request->rules_len);
	struct equals equal = {.set = scores->equal};
	bool has_worst = false;

	for (size_t i = 0; i < table->len; i++) {
		bool is_worst = row_key(&factors, single_row_at(table, i)) == worst;

		if (is_worst && has_worst)
			equals_add(&equal, table->numbers[i]);
		else if (row_score(table, i, scores, error) != 0)
			return error->code;
		has_worst |= is_worst;
	}
	equals_end(&equal);
	search_scores_sort(scores);
	return 0;
}

/* All of the rows, which are those that the rules before exactness leave. */
static int types_find(struct single_table *table, struct error *error)
{
	for (size_t i = 0; i < table->len; i++)
		table->asking += (table->rows[i].exactness & SINGLE_ASKS) != 0;
	table->finds_types = true;
	return table->asking > 0 ? search_single_fill(table, error) : 0;
}

static int table_rank(struct single_table *table, struct search_scores *scores, struct error *error)
{
	const struct search_request *request = table->search->request;
	size_t before = rules_before_exactness(request);
	uint64_t worst;

	if (search_single_fill(table, error) != 0 ||
	    table_narrow(table, before, scores->wanted, &worst, error) != 0)
		return error->code;
	if (before < request->rules_len) {
		if (types_find(table, error) != 0 ||
		    table_narrow(table, request->rules_len, scores->wanted, &worst, error) != 0)
			return error->code;
	}
	return rows_score(table, worst, scores, error);
}

/* Where most numbers are the group's, rows of all are found at once. */
static int table_make(struct single_table *table, const struct postings *group, struct error *error)
{
	size_t range;

	table->numbers = malloc(table->len * sizeof *table->numbers);
	if (table->numbers == NULL)
		return error_memory(error, table->len * sizeof *table->numbers);
	postings_list(group, table->numbers);
	table->first = table->numbers[0];
	range = (size_t)(table->numbers[table->len - 1] - table->first) + 1;
	table->has_all = range / ROWS_SPARE <= table->len;
	table->rows_len = table->has_all ? range : table->len;
	table->rows = malloc(table->rows_len * sizeof *table->rows);
	if (table->rows == NULL)
		return error_memory(error, table->rows_len * sizeof *table->rows);
	for (size_t i = 0; i < table->rows_len; i++)
		table->rows[i] = (struct single_row){UINT16_MAX, UINT8_MAX, SINGLE_NONE};
	return 0;
}

int search_single(struct search *search, const struct rank_plan *plan, uint32_t typos,
                  const struct postings *group, struct search_scores *scores, struct error *error)
{
	uint8_t near[SINGLE_NEAR];
	struct search_lengths lengths = {0};
	struct single_table table = {.search = search,
	                             .plan = plan,
	                             .typos = typos,
	                             .len = (size_t)postings_count(group),
	                             .near = near,
	                             .lengths = &lengths};
	int rc;

	table.reads_firsts = plan->nodes[0].start == 0;
	for (uint32_t i = 0; i < SINGLE_NEAR; i++)
		near[i] = (uint8_t)rank_single_position(i);
	rc = table_make(&table, group, error);
	if (rc == 0)
		rc = table_rank(&table, scores, error);
	search_lengths_end(&lengths);
	free(table.rows);
	free(table.numbers);
	return rc;
}
