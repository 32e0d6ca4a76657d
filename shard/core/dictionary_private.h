/*
 * What the builder of dictionaries and their merge share: a dictionary while
 * it is made, word by word.
 */
#ifndef MILLRACE_SHARD_CORE_DICTIONARY_PRIVATE_H
#define MILLRACE_SHARD_CORE_DICTIONARY_PRIVATE_H

#include "shard/core/dictionary.h"

/* Where the word and its list begin; they end where the next one's do. */
struct dictionary_word {
	uint32_t prefix; /* the upper half of dictionary_prefix: decides most comparisons */
	uint32_t text_at;
	uint32_t list_at;
	uint32_t documents;
};

/* The parts of a dictionary that is being made, in order. */
struct dictionary_filler {
	uint64_t base;
	struct dictionary_word *words;
	uint32_t *letters; /* of each */
	size_t len;
	struct buffer text;
	struct buffer lists;
};

/* Room for `words` words, and at first for so many bytes. */
bool dictionary_filler_init(struct dictionary_filler *filler, uint64_t base, size_t words, size_t text,
                            size_t lists);
void dictionary_filler_deinit(struct dictionary_filler *filler);
/* The next word, and its letters; its list is what is appended to `lists` next. */
void dictionary_filler_word(struct dictionary_filler *filler, struct slice word, uint32_t letters,
                            uint32_t documents);
/* NULL when out of memory, also before. */
struct dictionary *dictionary_filler_end(struct dictionary_filler *filler);

/* The first eight bytes, padded with zeros, as a number: words are in its order unless they are equal in it. */
uint64_t dictionary_prefix(struct slice word);

#endif
