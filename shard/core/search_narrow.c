/* Which documents of a group may be among its best, term by term. */
#include "shard/core/search_narrow_private.h"

#include <stdlib.h>

#define WATCH_NARROW 4 /* steps a document takes */

/* Bits in a key; a sum over ten terms fits. */
#define PROXIMITY_BITS 8
#define POSITION_BITS 8
#define ATTRIBUTE_BITS 20

/* ---- keys ---- */

/* What the rules that a key tells cost, in their order; of a document not fully known no more than it will be. */
static uint64_t row_key(const struct narrowing *narrowing, const struct narrow_row *row)
{
	uint64_t key = 0;

	if (row->stays)
		return 0;
	for (size_t i = 0; i < narrowing->rules_len; i++) {
		enum rank_rule rule = narrowing->rules[i];

		if (rule == RANK_PROXIMITY)
			key = key << PROXIMITY_BITS | row->proximity;
		if (rule == RANK_ATTRIBUTE_RANK || rule == RANK_ATTRIBUTE)
			key = key << ATTRIBUTE_BITS | row->attribute;
		if (rule == RANK_WORD_POSITION || rule == RANK_ATTRIBUTE)
			key = key << POSITION_BITS | row->position;
	}
	return key;
}

static bool is_wanted(const struct narrowing *narrowing, uint64_t key)
{
	return narrowing->best_len < narrowing->wanted || key <= narrowing->best[0];
}

static void best_add(struct narrowing *narrowing, uint64_t key)
{
	uint64_t *heap = narrowing->best;
	size_t at = 0;

	if (narrowing->best_len < narrowing->wanted) {
		for (at = narrowing->best_len++; at > 0 && heap[(at - 1) / 2] < key; at = (at - 1) / 2)
			heap[at] = heap[(at - 1) / 2];
		heap[at] = key;
		return;
	}
	for (size_t child; (child = 2 * at + 1) < narrowing->best_len; at = child) {
		if (child + 1 < narrowing->best_len && heap[child + 1] > heap[child])
			child++;
		if (heap[child] <= key)
			break;
		heap[at] = heap[child];
	}
	heap[at] = key;
}

/* The rules from proximity on, up to one that sorts, or narrows what it leaves. */
static void rules_find(struct narrowing *narrowing)
{
	const struct search_request *request = narrowing->search->request;

	for (size_t i = 0; i < request->rules_len && request->rules[i].kind == SEARCH_RULE_RANK; i++) {
		enum rank_rule rule = request->rules[i].rank;

		if (rule == RANK_EXACTNESS)
			return;
		if (rule != RANK_WORDS && rule != RANK_TYPO)
			narrowing->rules[narrowing->rules_len++] = rule;
	}
}

/* Documents with joined words or phrases that may count. */
static void others_find(struct narrowing *narrowing)
{
	struct search *search = narrowing->search;

	for (size_t i = 0; i < search->request->query->nodes_len; i++)
		for (uint8_t typos = 0; typos < SEARCH_CLASSES; typos++)
			if (search->request->query->nodes[i].terms > 1 &&
			    search_ranking_keeps(search, narrowing->ranking, i, typos))
				postings_or(&narrowing->others, &search->sets[i][typos]);
	for (size_t i = 0; i < search->segments_len; i++)
		for (size_t k = 0; k < search->segments[i].phrases.len; k++) {
			const struct search_phrase *phrase = &search->segments[i].phrases.ptr[k];

			if (search_ranking_keeps(search, narrowing->ranking, phrase->node, phrase->typos))
				postings_or(&narrowing->others, &phrase->numbers);
		}
}

/* ---- rows ---- */

static void row_move(struct narrowing *narrowing, size_t from, size_t to)
{
	narrowing->rows[to] = narrowing->rows[from];
	narrowing->row_numbers[to] = narrowing->row_numbers[from];
	for (size_t i = 0; i < narrowing->ranking->terms; i++)
		narrowing->row_found[i][to] = narrowing->row_found[i][from];
}

/* Adds up what the term costs, and leaves the rows that are still wanted. */
static int rows_end(struct narrowing *narrowing, size_t from, struct error *error)
{
	size_t kept = from;

	for (size_t i = from; i < narrowing->rows_len; i++) {
		struct narrow_row *row = &narrowing->rows[i];

		if (row->typos == NARROW_NONE && !row->stays)
			return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
			                 "document %llu has not the words that its lists say",
			                 (unsigned long long)row->number);
		row->proximity += (uint32_t)row->left + row->right;
		row->attribute += row->costs.attribute;
		row->position += row->costs.position;
		if (!is_wanted(narrowing, row_key(narrowing, row)))
			continue;
		if (kept < i)
			row_move(narrowing, i, kept);
		kept++;
	}
	narrowing->rows_len = kept;
	return 0;
}

static int term_pass(struct narrowing *narrowing, size_t number, size_t from, struct error *error)
{
	if (from == narrowing->rows_len)
		return 0;
	if (narrow_term_pass(narrowing, number, from, error) != 0)
		return error->code;
	return rows_end(narrowing, from, error);
}

/* ---- a group ---- */

/* By all terms but the first one looked at. */
static int rows_pass(struct narrowing *narrowing, struct error *error)
{
	size_t terms = narrowing->ranking->terms;

	narrowing->terms[narrowing->order[0]].is_passed = true;
	for (size_t i = 1; i < terms; i++) {
		if (term_pass(narrowing, narrowing->order[i], 0, error) != 0)
			return error->code;
		narrowing->terms[narrowing->order[i]].is_passed = true;
	}
	for (size_t i = 0; i < narrowing->rows_len; i++) {
		const struct narrow_row *row = &narrowing->rows[i];
		uint64_t key = row_key(narrowing, row);

		if (!is_wanted(narrowing, key))
			continue;
		if (!row->stays)
			best_add(narrowing, key);
		narrowing->numbers[narrowing->len] = row->number;
		narrowing->keys[narrowing->len++] = key;
	}
	for (size_t i = 0; i < terms; i++)
		narrowing->terms[i].is_passed = false;
	narrowing->rows_len = narrowing->places_len = narrowing->found_len = 0;
	if (narrowing->rows_wanted < NARROW_ROWS_MOST)
		narrowing->rows_wanted *= 2;
	return 0;
}

static int segment_narrow(struct narrowing *narrowing, const struct search_segment *segment,
                          const uint64_t *numbers, size_t len, struct error *error)
{
	struct watch *watch = narrowing->search->request->watch;

	if (len == 0)
		return 0;
	if (narrow_terms_open(narrowing, segment, error) != 0)
		return error->code;
	for (size_t i = 0; i < len;) {
		size_t from = narrowing->rows_len;

		for (; i < len && narrowing->rows_len < from + NARROW_CHUNK; i++) {
			struct narrow_row *row = &narrowing->rows[narrowing->rows_len];

			*row = (struct narrow_row){.number = numbers[i],
			                           .stays =
			                                   postings_contains(&narrowing->others, numbers[i])};
			narrowing->row_numbers[narrowing->rows_len++] = numbers[i];
		}
		if (watch_step(watch, (narrowing->rows_len - from) * WATCH_NARROW, error) != 0 ||
		    term_pass(narrowing, narrowing->order[0], from, error) != 0)
			return error->code;
		if (narrowing->rows_len < narrowing->rows_wanted && i < len)
			continue;
		if (rows_pass(narrowing, error) != 0)
			return error->code;
	}
	return 0;
}

static int group_narrow(struct narrowing *narrowing, size_t *len, struct error *error)
{
	const struct search *search = narrowing->search;
	size_t kept = 0;
	size_t at = 0;

	others_find(narrowing);
	for (size_t i = 0; i < search->segments_len; i++) {
		size_t end = at;

		while (end < *len && narrowing->numbers[end] < search->segments[i].end)
			end++;
		if (segment_narrow(narrowing, &search->segments[i], narrowing->numbers + at, end - at,
		                   error) != 0)
			return error->code;
		at = end;
	}
	for (size_t i = 0; i < narrowing->len; i++)
		if (is_wanted(narrowing, narrowing->keys[i]))
			narrowing->numbers[kept++] = narrowing->numbers[i];
	*len = kept;
	return 0;
}

int search_narrow(struct search *search, const struct search_ranking *ranking, size_t wanted,
                  uint64_t *numbers, size_t *len, struct error *error)
{
	struct narrowing *narrowing;
	int rc = 0;

	if (ranking->terms < 2 || wanted >= *len / 2)
		return 0;
	narrowing = malloc(sizeof *narrowing);
	if (narrowing == NULL)
		return error_memory(error, sizeof *narrowing);
	narrowing->search = search;
	narrowing->ranking = ranking;
	narrowing->rules_len = 0;
	narrowing->sources = NULL;
	narrowing->rows_len = 0;
	narrowing->rows_wanted = NARROW_CHUNK;
	narrowing->found = NULL;
	narrowing->found_len = narrowing->found_size = 0;
	narrowing->places = NULL;
	narrowing->places_len = narrowing->places_size = 0;
	narrowing->numbers = numbers;
	narrowing->len = narrowing->best_len = 0;
	narrowing->wanted = wanted;
	postings_init(&narrowing->others);
	rules_find(narrowing);
	narrowing->keys = calloc(*len + wanted, sizeof *narrowing->keys);
	narrowing->best = narrowing->keys + *len;
	if (narrowing->keys == NULL)
		rc = error_memory(error, *len * sizeof *narrowing->keys);
	if (rc == 0 && narrowing->rules_len > 0)
		rc = group_narrow(narrowing, len, error);
	postings_deinit(&narrowing->others);
	free(narrowing->keys);
	free(narrowing->places);
	free(narrowing->found);
	free(narrowing->sources);
	free(narrowing);
	return rc;
}
