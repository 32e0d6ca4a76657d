/*
 * Terms: the words of a disk segment in bytewise order, each with its posting
 * list or where that stands.
 *
 * A chunk stands for itself (term_chunk.h), so that a word is found by one
 * seek in the store and a search inside the chunk.
 *
 * Failure: ERROR_DAMAGED (FATAL) for what is malformed, ERROR_MEMORY.
 */
#ifndef MILLRACE_SHARD_CORE_TERMS_H
#define MILLRACE_SHARD_CORE_TERMS_H

#include "shard/core/posting_list.h"
#include "shard/core/sections.h"
#include "shard/core/term_chunk.h"

struct terms_writer;

struct terms_writer *terms_writer_new(void);
void terms_writer_free(struct terms_writer *writer);
/* A word above the last one and its list; puts into TERMS and POSTINGS of `sections`. */
int terms_writer_add(struct terms_writer *writer, struct section_writer *sections, struct slice word,
                     const struct posting_list *list, struct error *error);
int terms_writer_finish(struct terms_writer *writer, struct section_writer *sections, struct error *error);

/* ERROR_NOT_FOUND. The term's word is the caller's. */
int terms_find(struct section_reader *reader, struct slice word, struct term *term, struct error *error);
/* Its list; borrowed from the transaction, or from `joined`. */
int terms_list(struct section_reader *reader, const struct term *term, uint64_t base, struct buffer *joined,
               struct posting_list *list, struct error *error);

/* All words in order, over transactions: a cursor stands on a word that it keeps. Terms that it gives are borrowed from
 * it until the next call, inline lists from the transaction. */
struct terms_cursor {
	struct section_reader *reader;
	struct term_chunk_cursor chunk;
	struct slice last; /* the chunk's word in the store */
	struct term found; /* by a seek, given next */
	bool has_found;
	bool begun;
	bool ended;
};

void terms_cursor_init(struct terms_cursor *cursor, struct section_reader *reader);
/* 1 and a word, 0 after the last, or negative. */
int terms_cursor_next(struct terms_cursor *cursor, struct term *term, struct error *error);
/* The first word at or above `word`, as the next one that is given; `word` is not the cursor's. */
int terms_cursor_seek(struct terms_cursor *cursor, struct slice word, struct error *error);
/* Goes on in another transaction, behind the word given last. */
int terms_cursor_resume(struct terms_cursor *cursor, struct section_reader *reader, struct error *error);

#endif
