/* The best of a group: kept in a list that is cut whenever it is full. */
#include "shard/core/search_private.h"

#include <stdlib.h>

#define SCORES_FIRST 64

static int scored_compare(const void *a, const void *b)
{
	const struct search_scored *left = a;
	const struct search_scored *right = b;

	for (size_t i = 0; i < SEARCH_RULES_MAX; i++)
		if (left->costs[i] != right->costs[i])
			return left->costs[i] < right->costs[i] ? -1 : 1;
	return 0;
}

static void scored_swap(struct search_scored *a, struct search_scored *b)
{
	struct search_scored swapped = *a;

	*a = *b;
	*b = swapped;
}

/* Those of [*from, *to) below the pivot, then its equals, which become the range, then those above (Dijkstra). */
static void scores_part(struct search_scored *ptr, const struct search_scored *pivot, size_t *from,
                        size_t *to)
{
	for (size_t at = *from; at < *to;) {
		int order = scored_compare(&ptr[at], pivot);

		if (order < 0)
			scored_swap(&ptr[at++], &ptr[(*from)++]);
		else if (order > 0)
			scored_swap(&ptr[at], &ptr[--*to]);
		else
			at++;
	}
}

/* Leaves the best that are wanted, and those that are equal to the last of them, which stand behind the `better`. */
static void scores_cut(struct search_scores *scores)
{
	size_t low = 0;
	size_t high = scores->len;

	scores->better = scores->len;
	if (scores->len <= scores->wanted)
		return;
	for (;;) {
		struct search_scored pivot = scores->ptr[low + (high - low) / 2];
		size_t from = low;
		size_t to = high;

		scores_part(scores->ptr, &pivot, &from, &to);
		if (scores->wanted <= from && from > low) {
			high = from;
		} else if (scores->wanted > to) {
			low = to;
		} else {
			scores->better = from;
			scores->len = to;
			scores->is_full = true;
			scores->worst = pivot;
			return;
		}
	}
}

/* A list that is full is cut; one that stays more than half full is doubled. */
static int scores_reserve(struct search_scores *scores, struct error *error)
{
	size_t size = scores->size == 0 ? SCORES_FIRST + 2 * scores->wanted : scores->size * 2;
	struct search_scored *ptr;

	if (scores->len > 0)
		scores_cut(scores);
	if (scores->len < scores->size / 2)
		return 0;
	ptr = realloc(scores->ptr, size * sizeof *ptr);
	if (ptr == NULL)
		return error_memory(error, size * sizeof *ptr);
	scores->ptr = ptr;
	scores->size = size;
	return 0;
}

int search_scores_add(struct search_scores *scores, const struct search_scored *scored, struct error *error)
{
	if (scores->len == scores->size && scores_reserve(scores, error) != 0)
		return error->code;
	scores->ptr[scores->len++] = *scored;
	return 0;
}

void search_scores_sort(struct search_scores *scores)
{
	if (scores->len == 0)
		return;
	scores_cut(scores);
	qsort(scores->ptr, scores->better, sizeof *scores->ptr, scored_compare);
}
