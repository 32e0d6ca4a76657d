/*
 * Term chunk: neighbouring words of a disk segment in bytewise order, each
 * with its posting list or where that stands in POSTINGS.
 *
 *   groups of up to TERMS_GROUP words, front coded:
 *     varint offset in POSTINGS of the first list of the group that is not inline
 *     of each word: varint bytes shared with the word before (the group's first: 0),
 *       varint bytes that follow, bytes,
 *       varint documents, varint bytes of the list << 1 | inline, the list if inline
 *   u16 offset of each group, u16 groups
 *
 * Lists up to TERMS_INLINE_MAX bytes are inline; the others follow each other
 * in POSTINGS in the order of their words.
 *
 * Decoding trusts no byte: ERROR_DAMAGED (FATAL) for what is malformed or out
 * of order. Pure; one thread a writer or cursor.
 */
#ifndef MILLRACE_SHARD_CORE_TERM_CHUNK_H
#define MILLRACE_SHARD_CORE_TERM_CHUNK_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#define TERMS_GROUP 16
#define TERMS_INLINE_MAX 32
#define TERM_BYTES_MAX 255
/* Offsets are u16. */
#define TERM_CHUNK_BYTES_MAX 65535

struct term {
	struct slice word;
	uint32_t documents;
	uint32_t bytes;    /* of its list */
	struct slice list; /* if inline, else ptr NULL */
	uint64_t at;       /* in POSTINGS, if not inline */
};

struct term_chunk_writer {
	struct buffer groups;
	struct buffer offsets;
	size_t len_max;
	size_t in_group;
	uint64_t at; /* in POSTINGS, of the next list */
	uint8_t last[TERM_BYTES_MAX];
	size_t last_len;
};

/* Chunks of at most `len_max` bytes, which has room for some words. */
void term_chunk_writer_init(struct term_chunk_writer *writer, size_t len_max);
void term_chunk_writer_deinit(struct term_chunk_writer *writer);
/* A term above the last one, whose list is inline if `list.ptr` is not NULL (`at` is not looked at); false if the
 * chunk has no room for it. */
bool term_chunk_add(struct term_chunk_writer *writer, const struct term *term);
/* The word added last. */
struct slice term_chunk_last(const struct term_chunk_writer *writer);
/* The chunk, valid until the next call, which begins another; empty: nothing was added. ERROR_MEMORY. */
int term_chunk_end(struct term_chunk_writer *writer, struct slice *chunk, struct error *error);

struct term_chunk_cursor {
	struct slice chunk;
	size_t groups;
	size_t group;       /* that begins next */
	struct reader rest; /* of the group at hand */
	uint64_t at;
	uint8_t word[TERM_BYTES_MAX]; /* given last */
	size_t word_len;              /* 0: none */
};

/* Before the first word of a chunk, which is borrowed. */
int term_chunk_open(struct term_chunk_cursor *cursor, struct slice chunk, struct error *error);
/* 1 and a word (borrowed from the cursor until the next call), 0 after the last, ERROR_DAMAGED. */
int term_chunk_next(struct term_chunk_cursor *cursor, struct term *term, struct error *error);
/* 1 and the first word at or above `word`, which is not the cursor's, 0 if there is none, ERROR_DAMAGED. */
int term_chunk_seek(struct term_chunk_cursor *cursor, struct slice word, struct term *term,
                    struct error *error);

#endif
