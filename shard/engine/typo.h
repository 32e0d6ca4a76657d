/*
 * Typo: which words are similar to a typed one.
 *
 * The distance of two words is Damerau and Levenshtein's in the restricted
 * form (optimal string alignment): characters (code points) inserted, left
 * out or replaced, and neighbours swapped once, count one each. A wrong first
 * character counts one more. To a prefix, a word is as near as the nearest of
 * its own prefixes, the empty one among them. A byte that is no UTF-8 is a
 * character of its own, equal to the same byte only.
 *
 * A scan does not look at every word. It keeps one row of the matrix for
 * every character that a word shares with what was looked at before, and of
 * each row only the five cells around the diagonal, as none further off can
 * be 2 or less (Ukkonen, Algorithms for Approximate String Matching, 1985).
 * Where a row says that nothing that begins so can be similar, it computes
 * the smallest word above that can be, and goes on there: by steps if that
 * is near, else by a seek.
 *
 * Who keeps all words in memory keeps the letters of each as well, and leaves
 * it to them which words are compared at all: a typo takes one letter away at
 * most, and brings one.
 *
 * Pure, without allocation; about 5 KB of stack.
 */
#ifndef MILLRACE_SHARD_ENGINE_TYPO_H
#define MILLRACE_SHARD_ENGINE_TYPO_H

#include "shared/base/error.h"
#include "shared/base/slice.h"

#define TYPO_BYTES_MAX 250 /* of what is typed; words may be longer */
#define TYPO_TYPOS_MAX 2
#define TYPO_PAD 3

/* Immutable once made; read from any thread. */
struct typo {
	uint32_t typed[TYPO_PAD + TYPO_BYTES_MAX + TYPO_PAD]; /* characters, among some that equal none */
	size_t len;                                           /* of them */
	uint8_t typos_max;
	bool is_prefix;
};

/* Words in bytewise order, each once; a word is borrowed until the next call. 1 and a word, 0 after the last, or
 * negative. */
struct typo_source {
	int (*seek)(void *context, struct slice at, struct slice *word,
	            struct error *error); /* first at or above */
	int (*next)(void *context, struct slice *word, struct error *error);
	void *context;
};

struct typo_sink {
	/* 0: go on; positive: enough; negative: failed. */
	int (*take)(void *context, struct slice word, unsigned typos, struct error *error);
	void *context;
};

/* `typed` is UTF-8 of at most TYPO_BYTES_MAX bytes and is copied; `typos_max` is 0 to TYPO_TYPOS_MAX. */
void typo_init(struct typo *typo, struct slice typed, unsigned typos_max, bool is_prefix);
/* Letters of a word, a bit for all characters that are equal by their last five. */
uint32_t typo_letters(struct slice word);

/* What the letters of a similar word are like. */
struct typo_near {
	uint32_t wanted;  /* letters of what is typed, of which few may lack */
	uint32_t allowed; /* letters that it may have, and few others */
	uint8_t lacking;  /* how many, at most TYPO_TYPOS_MAX */
	uint8_t others;
};

/* Writes the bytes of the first character that is typed, of which there is one; returns how many. */
size_t typo_first(const struct typo *typo, uint8_t bytes[4]);
/* Of words that begin with what is typed first, or with something else; something is typed. */
struct typo_near typo_near(const struct typo *typo, bool same_first);
/* Place of the first of words with these letters, from `from` on, that may be similar; `to` if there is none before. */
size_t typo_near_next(const struct typo_near *near, const uint32_t *letters, size_t from, size_t to);
/* 0 to typos_max, or -1: not similar. */
int typo_between(const struct typo *typo, struct slice word);
/* Every similar word in order; 0, what source or sink failed with, or ERROR_DAMAGED (FATAL): a seek found a word
 * below. */
int typo_scan(const struct typo *typo, const struct typo_source *source, const struct typo_sink *sink,
              struct error *error);

#endif
