/*
 * Word filter: which words a list of words surely lacks. Most of what is looked
 * up, such as the halves of a word that is cut, no small list has.
 *
 * A Bloom filter in blocks of 64 bits, two bits of one block a word; with
 * WORD_FILTER_WORDS words a block, one word in sixteen that is not there is
 * taken for one that may be. After F. Putze, P. Sanders, J. Singler: Cache-,
 * Hash- and Space-Efficient Bloom Filters (2007). Pure.
 */
#ifndef MILLRACE_SHARD_CORE_WORD_FILTER_H
#define MILLRACE_SHARD_CORE_WORD_FILTER_H

#include "shared/base/hash.h"

#define WORD_FILTER_WORDS 8

/* Blocks for so many words, a power of two; all zero at first. */
static inline size_t word_filter_blocks(size_t words)
{
	size_t blocks = 1;

	while (blocks * WORD_FILTER_WORDS < words)
		blocks *= 2;
	return blocks;
}

static inline uint64_t word_filter_bits(uint64_t hash)
{
	return 1ULL << (hash >> 58) | 1ULL << (hash >> 52 & 63);
}

static inline void word_filter_add(uint64_t *filter, size_t blocks, struct slice word)
{
	uint64_t hash = hash64(word, 0);

	filter[hash & (blocks - 1)] |= word_filter_bits(hash);
}

static inline bool word_filter_lacks(const uint64_t *filter, size_t blocks, struct slice word)
{
	uint64_t hash = hash64(word, 0);

	return (~filter[hash & (blocks - 1)] & word_filter_bits(hash)) != 0;
}

#endif
