/*
 * Postings: a set of document numbers, and how a word's set is stored.
 *
 * A set is a sorted list of blocks of 65,536 numbers, each a Roaring bitmap
 * of the low 16 bits. Stored, a block of one word is one value:
 *
 *   u64 checksum (hash64 of the rest, seeded by the key)  u8 form
 *   form 1: up to POSTINGS_LIST_MAX rising u16 (most words of a block are rare)
 *   form 2: a Roaring bitmap in its portable format
 *
 * This module alone includes roaring.h. CRoaring does not report a failed
 * allocation, so one ends the process here (ASSERT): nothing is lost, the log
 * is read again; every other module returns ERROR_MEMORY.
 *
 * Two sets can share blocks (postings_share); a shared block is copied by the
 * set that changes it, so that neither notices the other.
 *
 * Owner: one thread a set that changes; a set that nobody changes any more is
 * read by any thread.
 */
#ifndef MILLRACE_SHARD_CORE_POSTINGS_H
#define MILLRACE_SHARD_CORE_POSTINGS_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#define POSTINGS_BLOCK_BITS 16
#define POSTINGS_LIST_MAX 32

struct postings_block;

struct postings {
	struct postings_block *blocks; /* by rising block, none empty */
	size_t len;
	size_t size;
	size_t last; /* where the last change was: neighbours follow each other */
};

void postings_init(struct postings *set);
void postings_deinit(struct postings *set);
/* Empties it. */
void postings_clear(struct postings *set);
/* Makes the empty `copy` equal to `set`, sharing its blocks. */
void postings_share(struct postings *copy, const struct postings *set);

void postings_add(struct postings *set, uint64_t number);
/* base + numbers[i], rising. */
void postings_add_rising(struct postings *set, uint64_t base, const uint32_t *numbers, size_t len);
/* from, from + 1, … up to and without `to`. */
void postings_add_range(struct postings *set, uint64_t from, uint64_t to);
/* Removes what is at or above `from` and below `to`. */
void postings_remove_range(struct postings *set, uint64_t from, uint64_t to);
bool postings_contains(const struct postings *set, uint64_t number);
uint64_t postings_count(const struct postings *set);
/* Of those at or above `from` and below `to`. */
uint64_t postings_count_range(const struct postings *set, uint64_t from, uint64_t to);
/* Writes the numbers in rising order; room for postings_count. */
void postings_list(const struct postings *set, uint64_t *numbers);

/* The first number at or above `from`; false if there is none. */
bool postings_next(const struct postings *set, uint64_t from, uint64_t *number);
/* Memory held, about. */
size_t postings_bytes(const struct postings *set);

/* `other` is another set. */
void postings_or(struct postings *set, const struct postings *other);
void postings_and(struct postings *set, const struct postings *other);
void postings_and_not(struct postings *set, const struct postings *other);
/* Adds what `other` has in one block. */
void postings_or_block(struct postings *set, const struct postings *other, uint64_t block);
/* The i-th block that has numbers; false after the last. */
bool postings_block_at(const struct postings *set, size_t i, uint64_t *block);

/* Adds what a stored value holds; the set is unchanged on ERROR_DAMAGED. */
int postings_decode(struct postings *set, uint64_t block, struct slice key, struct slice value,
                    struct error *error);
/* Appends the stored value of one block; false if the set has nothing in it. */
bool postings_encode(const struct postings *set, uint64_t block, struct slice key, struct buffer *value);

#endif
