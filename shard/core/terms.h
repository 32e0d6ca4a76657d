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

#include "shard/core/posting_blocks.h"
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

/* A long list of which little is wanted, block by block where it stands. */
struct terms_blocks {
	struct section_reader *reader;
	const struct posting_stops *stops;
	size_t stop;              /* one at or before the next block */
	struct posting_list list; /* base and count */
	uint64_t begin;           /* in POSTINGS: of the list, */
	uint64_t from;            /* the next block, */
	uint64_t end;
	uint64_t last; /* number of the block before it */
	uint32_t left;
	struct buffer joined; /* of a block that stands in two chunks */
};

/* False for a list that has no blocks, or stands inline. */
bool terms_blocks_open(struct terms_blocks *blocks, struct section_reader *reader, const struct term *term,
                       uint64_t base);
void terms_blocks_close(struct terms_blocks *blocks);
/* Reads the heads of all blocks; `stops` is empty. */
int terms_stops_read(struct terms_blocks *blocks, struct posting_stops *stops, struct error *error);
/* From now on blocks are passed over by the stops of the same list, which are borrowed. */
void terms_blocks_use(struct terms_blocks *blocks, const struct posting_stops *stops);
/* Goes on to the first block that ends at or above `number`: 1 and a cursor that stands at its first document, 0
 * behind the last. Borrowed until the next call. */
int terms_blocks_seek(struct terms_blocks *blocks, uint64_t number, struct posting_cursor *cursor,
                      struct error *error);

/* All words in order. Terms that a cursor gives are borrowed from it until the next call, inline lists from the
 * transaction. */
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

#endif
