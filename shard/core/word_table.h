/*
 * Word table: the words of one disk segment in memory, in bytewise order, so
 * that a search looks through them without decoding what stands between them
 * in TERMS, and is told at once of most words that they are none of them.
 * Lists stay on disk; of that of field lengths, the longest, it says
 * where each block stands, and of other long ones it keeps what searches have
 * found out (known_lists.h), as it does pages of documents that they show
 * again (known_pages.h).
 *
 * About 10 bytes a word and its text; it is read when a search first asks for
 * it, and lives as long as a manifest lists the segment and is held.
 *
 * Immutable, but for what is kept of lists and pages, and counted; any thread. Failure: as in terms.h.
 */
#ifndef MILLRACE_SHARD_CORE_WORD_TABLE_H
#define MILLRACE_SHARD_CORE_WORD_TABLE_H

#include "shard/core/known_lists.h"
#include "shard/core/known_pages.h"

struct word_table;

/* Reads all words; the caller releases the table. `base` is that of the segment's lists. */
int word_table_read(struct section_reader *sections, uint64_t base, struct word_table **table,
                    struct error *error);
/* One more reference to it; returns it. NULL: nothing happens. */
struct word_table *word_table_hold(struct word_table *table);
/* NULL: nothing happens. */
void word_table_release(struct word_table *table);

/* Memory held, about; 0 of NULL. */
size_t word_table_bytes(const struct word_table *table);
size_t word_table_len(const struct word_table *table);
/* The i-th word. */
struct slice word_table_at(const struct word_table *table, size_t i);
/* Place of the first word at or above `word`, word_table_len if there is none; quicker the nearer it is to `from`, at
 * most word_table_len. */
size_t word_table_seek(const struct word_table *table, size_t from, struct slice word);
/* Of each word its letters, as typo_letters says. */
const uint32_t *word_table_letters(const struct word_table *table);
/* The blocks of the list of WORD_FIELD_LENGTH; none if it has none. */
const struct posting_stops *word_table_lengths(const struct word_table *table);
/* True and the word's place, if it is there. */
bool word_table_find(const struct word_table *table, struct slice word, size_t *i);
/* What is kept of lists by the word's place; it lives as long as the table. */
struct known_lists *word_table_lists(const struct word_table *table);
/* The segment's pages that are kept, as long. */
struct known_pages *word_table_pages(const struct word_table *table);

#endif
