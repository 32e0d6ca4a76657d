/* What one term costs in the documents at hand, list by list. */
#include "shard/core/search_narrow_private.h"

#include <stdlib.h>

#define PLACES_FIRST (2 * SEARCH_PLACES_MAX)
#define FOUND_FIRST 1024
#define PAIR_COST_MAX 3

static int source_add(struct narrowing *narrowing, const struct search_word *word, struct error *error)
{
	struct narrow_source *source = &narrowing->sources[narrowing->sources_len];
	uint64_t *stand = &narrowing->stand[narrowing->sources_len];
	int rc;

	*source = (struct narrow_source){.typos = word->typos, .tolerant = word->tolerant};
	posting_cursor_init(&source->cursor, &word->list);
	rc = posting_cursor_next(&source->cursor, stand, error);
	if (rc <= 0)
		return rc;
	narrowing->sources_len++;
	return 0;
}

static int term_open(struct narrowing *narrowing, const struct search_segment *segment, size_t number,
                     struct error *error)
{
	const struct query *query = narrowing->search->request->query;
	struct narrow_term *term = &narrowing->terms[number];

	*term = (struct narrow_term){.first = narrowing->sources_len};
	for (uint8_t typos = 0; typos < SEARCH_CLASSES; typos++)
		for (size_t i = 0; i < segment->words.len; i++) {
			const struct search_word *word = &segment->words.ptr[i];
			const struct query_node *node = &query->nodes[word->node];

			if (word->typos != typos || node->terms > 1 || node->first != number ||
			    !search_ranking_keeps(narrowing->search, narrowing->ranking, word->node, typos))
				continue;
			if (source_add(narrowing, word, error) != 0)
				return error->code;
			term->documents += word->list.count;
		}
	term->end = narrowing->sources_len;
	return 0;
}

int narrow_terms_open(struct narrowing *narrowing, const struct search_segment *segment, struct error *error)
{
	size_t terms = narrowing->ranking->terms;
	size_t size = (segment->words.len + 1) * (sizeof *narrowing->sources + sizeof *narrowing->stand);

	free(narrowing->sources);
	narrowing->sources_len = 0;
	narrowing->sources = malloc(size);
	if (narrowing->sources == NULL)
		return error_memory(error, size);
	narrowing->stand = (uint64_t *)(narrowing->sources + segment->words.len + 1);
	for (size_t i = 0; i < terms; i++) {
		size_t at = i;

		if (term_open(narrowing, segment, i, error) != 0)
			return error->code;
		for (; at > 0 &&
		       narrowing->terms[narrowing->order[at - 1]].documents > narrowing->terms[i].documents;
		     at--)
			narrowing->order[at] = narrowing->order[at - 1];
		narrowing->order[at] = (uint8_t)i;
	}
	return 0;
}

/* ---- one term ---- */

/* A list that is gone through. */
struct pass {
	struct narrow_source *source;
	size_t term;
	bool keeps; /* its places */
};

static int places_reserve(struct narrowing *narrowing, struct error *error)
{
	size_t size = narrowing->places_size == 0 ? PLACES_FIRST : narrowing->places_size * 2;
	struct place *places;

	if (narrowing->places_len + SEARCH_PLACES_MAX <= narrowing->places_size)
		return 0;
	places = realloc(narrowing->places, size * sizeof *places);
	if (places == NULL)
		return error_memory(error, size * sizeof *places);
	narrowing->places = places;
	narrowing->places_size = size;
	return 0;
}

static int found_reserve(struct narrowing *narrowing, struct error *error)
{
	size_t size = narrowing->found_size == 0 ? FOUND_FIRST : narrowing->found_size * 2;
	struct narrow_found *found;

	if (narrowing->found_len < narrowing->found_size)
		return 0;
	found = realloc(narrowing->found, size * sizeof *found);
	if (found == NULL)
		return error_memory(error, size * sizeof *found);
	narrowing->found = found;
	narrowing->found_size = size;
	return 0;
}

/* Whether the term's places are asked for when its neighbour is looked at. */
static bool is_kept(const struct narrowing *narrowing, size_t number)
{
	const struct rank_plan *plan = narrowing->ranking->plan;

	return (number > 0 && !narrowing->terms[number - 1].is_passed &&
	        rank_terms_adjoin(plan, number - 1)) ||
	       (number + 1 < narrowing->ranking->terms && !narrowing->terms[number + 1].is_passed &&
	        rank_terms_adjoin(plan, number));
}

/* The least cost of the words kept for one term beside these places of its neighbour. */
static uint8_t pair_cost(const struct narrowing *narrowing, uint32_t found, const struct places *places,
                         bool is_left)
{
	const struct rank_plan *plan = narrowing->ranking->plan;
	uint32_t least = PAIR_COST_MAX;

	for (; found > 0 && least > 0; found = narrowing->found[found - 1].next) {
		struct places other = {narrowing->places + narrowing->found[found - 1].at,
		                       narrowing->found[found - 1].len};
		uint32_t cost =
			is_left ? rank_pair_cost(plan, other, *places) : rank_pair_cost(plan, *places, other);

		least = cost < least ? cost : least;
	}
	return (uint8_t)least;
}

static void costs_take(struct narrowing *narrowing, size_t number, size_t at, const struct places *places)
{
	struct rank_single costs = rank_term_costs(narrowing->ranking->plan, number, places);
	struct narrow_row *row = &narrowing->rows[at];

	if (costs.attribute < row->costs.attribute)
		row->costs.attribute = costs.attribute;
	if (costs.position < row->costs.position)
		row->costs.position = costs.position;
	if (row->left > 0) {
		uint8_t left = pair_cost(narrowing, narrowing->row_found[number - 1][at], places, true);

		row->left = left < row->left ? left : row->left;
	}
	if (row->right > 0) {
		uint8_t right = pair_cost(narrowing, narrowing->row_found[number + 1][at], places, false);

		row->right = right < row->right ? right : row->right;
	}
}

static void places_keep(struct narrowing *narrowing, size_t number, size_t at, size_t len)
{
	uint32_t *found = &narrowing->row_found[number][at];

	narrowing->found[narrowing->found_len++] =
		(struct narrow_found){(uint32_t)narrowing->places_len, (uint32_t)len, *found};
	narrowing->places_len += len;
	*found = (uint32_t)narrowing->found_len;
}

/* The source gave the row's document `back` before the last one. */
static int row_take(struct narrowing *narrowing, const struct pass *pass, size_t at, uint32_t back,
                    struct error *error)
{
	struct search *search = narrowing->search;
	struct narrow_source *source = pass->source;
	struct narrow_row *row = &narrowing->rows[at];
	struct places places = {0};
	struct place *room;

	/* the fewest typos count */
	if (row->typos < source->typos)
		return 0;
	if (places_reserve(narrowing, error) != 0 || found_reserve(narrowing, error) != 0)
		return error->code;
	places.ptr = room = narrowing->places + narrowing->places_len;
	if (search_places_back(search, &source->cursor, back, room, &places.len, error) != 0)
		return error->code;
	if (search->some_fields && !search_places_count(search, places.ptr, places.len, source->tolerant))
		return 0;
	row->typos = source->typos;
	costs_take(narrowing, pass->term, at, &places);
	if (pass->keeps)
		places_keep(narrowing, pass->term, at, places.len);
	return 0;
}

/* The first row at or above the number, which is not above all of them; none before `at` is. */
static size_t rows_seek(const struct narrowing *narrowing, size_t at, uint64_t number)
{
	return narrowing->is_near
	               ? narrowing->nearest[number - narrowing->near_first]
	               : search_numbers_seek(narrowing->row_numbers, narrowing->rows_len, at, number);
}

/* What the source has in its block of rows from that one on. */
static int batch_take(struct narrowing *narrowing, const struct pass *pass, size_t at, struct error *error)
{
	const uint64_t *numbers = narrowing->batch;
	uint64_t last = narrowing->row_numbers[narrowing->rows_len - 1];
	size_t len;

	if (posting_cursor_batch(&pass->source->cursor, last + 1, narrowing->batch, &len, error) != 0)
		return error->code;
	for (size_t i = 0; i < len; i++) {
		at = rows_seek(narrowing, at, numbers[i]);
		if (narrowing->row_numbers[at] == numbers[i] &&
		    row_take(narrowing, pass, at, (uint32_t)(len - 1 - i), error) != 0)
			return error->code;
	}
	return 0;
}

/* What the source has of the rows from that one on. */
static int source_pass(struct narrowing *narrowing, const struct pass *pass, uint64_t *stand, size_t from,
                       struct error *error)
{
	struct posting_cursor *cursor = &pass->source->cursor;
	const uint64_t *wanted = narrowing->row_numbers;
	uint64_t last = wanted[narrowing->rows_len - 1];
	size_t at = from;
	int rc = 1;

	if (*stand < wanted[from])
		rc = posting_cursor_seek(cursor, wanted[from], stand, error);
	while (rc > 0 && *stand <= last) {
		at = rows_seek(narrowing, at, *stand);
		if (wanted[at] > cursor->block_last) {
			rc = posting_cursor_seek(cursor, wanted[at], stand, error);
			continue;
		}
		if (batch_take(narrowing, pass, at, error) != 0)
			return error->code;
		rc = posting_cursor_next(cursor, stand, error);
	}
	if (rc == 0)
		*stand = UINT64_MAX;
	return rc < 0 ? rc : 0;
}

/* Where the rows are, for rows_seek. */
static void rows_place(struct narrowing *narrowing, size_t from)
{
	const uint64_t *numbers = narrowing->row_numbers;
	uint64_t first = numbers[from];
	size_t next = 0;

	narrowing->is_near = numbers[narrowing->rows_len - 1] - first < NARROW_SPAN_MAX;
	narrowing->near_first = first;
	for (size_t i = from; narrowing->is_near && i < narrowing->rows_len; i++)
		while (next <= numbers[i] - first)
			narrowing->nearest[next++] = (uint16_t)i;
}

static void rows_begin(struct narrowing *narrowing, size_t number, size_t from)
{
	const struct rank_plan *plan = narrowing->ranking->plan;
	struct narrow_term *terms = narrowing->terms;
	bool left = number > 0 && terms[number - 1].is_passed && rank_terms_adjoin(plan, number - 1);
	bool right = number + 1 < narrowing->ranking->terms && terms[number + 1].is_passed &&
	             rank_terms_adjoin(plan, number);

	rows_place(narrowing, from);
	for (size_t i = from; i < narrowing->rows_len; i++) {
		struct narrow_row *row = &narrowing->rows[i];

		narrowing->row_found[number][i] = 0;
		row->typos = NARROW_NONE;
		row->left = left ? PAIR_COST_MAX : 0;
		row->right = right ? PAIR_COST_MAX : 0;
		row->costs = (struct rank_single){UINT32_MAX, UINT32_MAX};
	}
}

int narrow_term_pass(struct narrowing *narrowing, size_t number, size_t from, struct error *error)
{
	const struct narrow_term *term = &narrowing->terms[number];
	struct pass pass = {.term = number, .keeps = is_kept(narrowing, number)};

	rows_begin(narrowing, number, from);
	for (size_t i = term->first; i < term->end; i++) {
		if (narrowing->stand[i] > narrowing->row_numbers[narrowing->rows_len - 1])
			continue;
		pass.source = &narrowing->sources[i];
		if (watch_step(narrowing->search->request->watch, 1, error) != 0 ||
		    source_pass(narrowing, &pass, &narrowing->stand[i], from, error) != 0)
			return error->code;
	}
	return 0;
}
