/*
 * Terms: the words of a disk segment in bytewise order, each with its posting
 * list or where that stands.
 *
 * A chunk stands for itself, so that a word is found by one seek in the store
 * and a search inside the chunk:
 *
 *   groups of up to TERMS_GROUP words, front coded:
 *     group: varint offset in POSTINGS of the first list of the group that is not inline
 *       word: varint bytes shared with the word before (the first: 0), varint bytes that follow, bytes
 *             varint documents, varint bytes of the list << 1 | inline, the list if inline
 *   u16 offset of each group, u16 groups
 *
 * Lists up to TERMS_INLINE_MAX bytes are inline; the others follow each other
 * in POSTINGS in the order of their words.
 *
 * Failure: ERROR_DAMAGED (FATAL) for what is malformed, ERROR_MEMORY.
 */
#ifndef MILLRACE_SHARD_CORE_TERMS_H
#define MILLRACE_SHARD_CORE_TERMS_H

#include "shard/core/posting_list.h"
#include "shard/core/sections.h"

#define TERMS_GROUP 16
#define TERMS_INLINE_MAX 32

struct terms_writer;

struct terms_writer *terms_writer_new(void);
void terms_writer_free(struct terms_writer *writer);
/* A word above the last one and its list; puts into TERMS and POSTINGS of `sections`. */
int terms_writer_add(struct terms_writer *writer, struct section_writer *sections, struct slice word,
                     const struct posting_list *list, struct error *error);
int terms_writer_finish(struct terms_writer *writer, struct section_writer *sections, struct error *error);

struct term {
	struct slice word; /* borrowed from the cursor or, by terms_find, from the caller */
	uint32_t documents;
	uint32_t bytes; /* of its list */
	struct slice list; /* if inline, else ptr NULL */
	uint64_t at;       /* in POSTINGS, if not inline */
};

/* ERROR_NOT_FOUND. */
int terms_find(struct section_reader *reader, struct slice word, struct term *term, struct error *error);
/* Its list; borrowed from the transaction, or from `joined`. */
int terms_list(struct section_reader *reader, const struct term *term, uint64_t base, struct buffer *joined,
               struct posting_list *list, struct error *error);

/* All words in order, over transactions: a cursor stands on a word that it keeps. */
struct terms_cursor {
	struct section_reader *reader;
	struct slice chunk; /* borrowed from the reader's transaction */
	struct slice last;  /* of the chunk */
	size_t group;
	struct reader rest;
	uint32_t in_group;
	uint64_t at; /* of the next list in POSTINGS */
	uint8_t word[256];
	size_t word_len;
	bool begun;
};

void terms_cursor_init(struct terms_cursor *cursor, struct section_reader *reader);
/* 1 and a word (valid until the next call), 0 after the last, or negative. */
int terms_cursor_next(struct terms_cursor *cursor, struct term *term, struct error *error);
/* The first word at or above `word`, as the next one that is given. */
int terms_cursor_seek(struct terms_cursor *cursor, struct slice word, struct error *error);
/* Goes on in another transaction, behind the word given last. */
int terms_cursor_resume(struct terms_cursor *cursor, struct section_reader *reader, struct error *error);

#endif
