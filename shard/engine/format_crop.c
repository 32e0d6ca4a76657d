#include "shard/engine/format_private.h"

#define DISTANCE_MAX 7

enum side {
	SIDE_LEFT = 1,
	SIDE_RIGHT = 2
};

/* A run of matches, first ≤ index < end, and what it is worth. */
struct run {
	size_t first;
	size_t end;
	uint32_t terms; /* different ones */
	uint64_t distance;
	uint64_t ordered; /* neighbours in the order of the query */
};

/* The run at hand, with its matches of each term. */
struct window {
	const struct format_match *matches;
	struct run run;
	uint32_t count[QUERY_TERMS_MAX];
};

static uint32_t distance(const struct format_match *left, const struct format_match *right)
{
	uint32_t words = right->first_word - left->last_word;

	return words < DISTANCE_MAX ? words : DISTANCE_MAX;
}

static void window_add(struct window *window)
{
	const struct format_match *match = &window->matches[window->run.end];

	for (size_t term = match->first_term; term < (size_t)match->first_term + match->terms; term++)
		window->run.terms += window->count[term]++ == 0;
	if (window->run.end > window->run.first) {
		window->run.distance += distance(match - 1, match);
		window->run.ordered += match->first_term > match[-1].first_term;
	}
	window->run.end++;
}

static void window_drop(struct window *window)
{
	const struct format_match *match = &window->matches[window->run.first];

	for (size_t term = match->first_term; term < (size_t)match->first_term + match->terms; term++)
		window->run.terms -= --window->count[term] == 0;
	window->run.first++;
	if (window->run.end > window->run.first) {
		window->run.distance -= distance(match, match + 1);
		window->run.ordered -= match[1].first_term > match->first_term;
	}
}

static bool is_better(const struct run *run, const struct run *best)
{
	if (best->end == 0 || run->terms != best->terms)
		return best->end == 0 || run->terms > best->terms;
	return run->distance != best->distance ? run->distance < best->distance
	                                       : run->ordered > best->ordered;
}

/* The best of the runs that fit and cannot be longer. */
static struct run best_run(struct format_matches matches, uint32_t words)
{
	struct window window = {.matches = matches.matches};
	struct run best = {0};

	for (size_t i = 0; i < matches.len; i++) {
		uint32_t last = matches.matches[i].last_word;
		size_t first = window.run.first;

		while (window.run.first < i && last - matches.matches[window.run.first].first_word >= words) {
			if (window.run.first == first && is_better(&window.run, &best))
				best = window.run;
			window_drop(&window);
		}
		window_add(&window);
	}
	return is_better(&window.run, &best) ? window.run : best;
}

/* Words first, then two separators if they are alike, else the softer one. */
static unsigned sides(const struct format_token *left, const struct format_token *right, int64_t remaining)
{
	if (left == NULL || right == NULL)
		return left == NULL ? SIDE_RIGHT : SIDE_LEFT;
	if (format_is_word(left) != format_is_word(right))
		return format_is_word(left) ? SIDE_LEFT : SIDE_RIGHT;
	if (format_is_word(left) || left->kind == right->kind)
		return remaining > 1 ? SIDE_LEFT | SIDE_RIGHT : SIDE_LEFT;
	return left->kind == TOKEN_HARD ? SIDE_RIGHT : SIDE_LEFT;
}

struct format_span format_crop(const struct format_text *text, struct format_matches matches, uint32_t words)
{
	struct run run = best_run(matches, words);
	int64_t remaining = words;
	size_t from = 0;
	size_t to = 0;

	if (run.end > run.first) {
		const struct format_match *first = &matches.matches[run.first];
		const struct format_match *last = &matches.matches[run.end - 1];

		from = first->first_token;
		to = (size_t)last->last_token + 1;
		remaining -= (int64_t)last->last_word - first->first_word + 1;
	}
	while (remaining > 0 && (from > 0 || to < text->tokens_len)) {
		const struct format_token *left = from > 0 ? &text->tokens[from - 1] : NULL;
		const struct format_token *right = to < text->tokens_len ? &text->tokens[to] : NULL;
		unsigned grown = sides(left, right, remaining);

		if (grown & SIDE_LEFT) {
			remaining -= format_is_word(left);
			from--;
		}
		if (grown & SIDE_RIGHT) {
			remaining -= format_is_word(right);
			to++;
		}
	}
	return (struct format_span){text->tokens[from].start, text->tokens[to].start};
}
