/*
 * Dictionary: words in bytewise order, each with its posting list and, as it is
 * searched for similar ones, its letters, and a filter of them all. Immutable
 * once built; one block of memory.
 *
 * A builder collects (word, number, place) with numbers that never fall; the
 * places of a word in one document may come in any order, and twice. Numbers
 * lie within POSTING_DISTANCE_MAX of the first one (asserted).
 *
 * A cursor goes through the words of several dictionaries whose numbers rise
 * from each to the next, and joins their lists; several dictionaries become
 * one by it.
 *
 * Owner: whoever built it; read from any thread while nobody frees it.
 * Failure: NULL or false when out of memory.
 */
#ifndef MILLRACE_SHARD_CORE_DICTIONARY_H
#define MILLRACE_SHARD_CORE_DICTIONARY_H

#include "shard/core/posting_list.h"

struct dictionary;
struct dictionary_builder;
struct dictionary_cursor;

/* Borrowed. */
struct dictionary_entry {
	struct slice word;
	struct posting_list list;
	uint32_t letters; /* as typo_letters says */
};

struct dictionary_builder *dictionary_builder_new(void);
void dictionary_builder_free(struct dictionary_builder *builder);
/* Empties it and keeps the memory that is not much. */
void dictionary_builder_clear(struct dictionary_builder *builder);
/* A word of 1..65535 bytes, copied; `number` is at least the last one given. */
bool dictionary_builder_add(struct dictionary_builder *builder, struct slice word, uint64_t number,
                            struct place place);
/* The builder stays as it is. */
struct dictionary *dictionary_build(struct dictionary_builder *builder);

/* One dictionary of `len` whose numbers rise from each to the next. */
struct dictionary *dictionary_merge(const struct dictionary *const *parts, size_t len);
void dictionary_free(struct dictionary *dictionary);

size_t dictionary_len(const struct dictionary *dictionary);
size_t dictionary_bytes(const struct dictionary *dictionary);
/* The i-th word. */
struct dictionary_entry dictionary_at(const struct dictionary *dictionary, size_t i);
/* Of each word. */
const uint32_t *dictionary_letters(const struct dictionary *dictionary);
/* True only if it is no word of it; most that are none are told so, sooner than by seeking. */
bool dictionary_lacks(const struct dictionary *dictionary, struct slice word);
/* Position of the first word >= `word`; dictionary_len if there is none. */
size_t dictionary_seek(const struct dictionary *dictionary, struct slice word);

/* `parts` (at least 1) are borrowed; `base` is the lists' base, at most the first number. */
struct dictionary_cursor *dictionary_cursor_new(const struct dictionary *const *parts, size_t len,
                                                uint64_t base);
void dictionary_cursor_free(struct dictionary_cursor *cursor);
/* 1 and the next word with its documents but for those in `dead` (NULL: none), a word that only those have is passed
 * over; 0 after the last; ERROR_MEMORY. The list is valid until the next call. */
int dictionary_cursor_next(struct dictionary_cursor *cursor, const struct postings *dead,
                           struct dictionary_entry *entry, struct error *error);

#endif
