/*
 * Dictionary: words in bytewise order, each with the rising numbers of the
 * documents that hold it. Immutable once built; one block of memory.
 *
 * A builder collects (word, number) with numbers that never fall; several
 * dictionaries whose numbers follow each other merge into one. Numbers are
 * kept as 32-bit distances from a base, which an in-memory segment never
 * exceeds (asserted).
 *
 * Owner: whoever built it; read from any thread while nobody frees it.
 * Failure: NULL or false when out of memory.
 */
#ifndef MILLRACE_SHARD_CORE_DICTIONARY_H
#define MILLRACE_SHARD_CORE_DICTIONARY_H

#include "shared/base/slice.h"

struct dictionary;
struct dictionary_builder;

struct dictionary_entry {
	struct slice word;
	uint64_t base;
	const uint32_t *numbers; /* base + numbers[i], rising */
	size_t numbers_len;
};

struct dictionary_builder *dictionary_builder_new(void);
void dictionary_builder_free(struct dictionary_builder *builder);
/* Empties it and keeps the memory. */
void dictionary_builder_clear(struct dictionary_builder *builder);
/* A word of 1..65535 bytes, copied; `number` is at least the last one given. */
bool dictionary_builder_add(struct dictionary_builder *builder, struct slice word, uint64_t number);
/* The builder stays as it is. */
struct dictionary *dictionary_build(struct dictionary_builder *builder);

/* One dictionary of `len` (1..DICTIONARY_MERGE_MAX) whose numbers rise from each to the next. */
#define DICTIONARY_MERGE_MAX 64
struct dictionary *dictionary_merge(const struct dictionary *const *parts, size_t len);
/* The smallest word at the heads, one position a part; false when every part is used up. */
bool dictionary_heads(const struct dictionary *const *parts, const size_t *heads, size_t len,
                      struct slice *word);
void dictionary_free(struct dictionary *dictionary);

size_t dictionary_len(const struct dictionary *dictionary);
size_t dictionary_bytes(const struct dictionary *dictionary);
/* The i-th word; borrowed from the dictionary. */
struct dictionary_entry dictionary_at(const struct dictionary *dictionary, size_t i);
/* Position of the first word >= `word`; dictionary_len if there is none. */
size_t dictionary_seek(const struct dictionary *dictionary, struct slice word);

#endif
