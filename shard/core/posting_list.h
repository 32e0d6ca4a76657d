/*
 * Posting list: the documents that hold one word, by rising number, and the
 * places where it stands in each. The same bytes in memory and on disk.
 *
 * Numbers are distances from the list's base (the first number of its
 * segment), so that lists of neighbouring segments are joined by copying their
 * blocks: only the distance at the head of the first block changes.
 *
 *   list:  count == 1: varint distance from base, places
 *          else blocks of 1..POSTING_BLOCK_MAX documents:
 *            varint first − previous block's last (the first block: − base)
 *            varint last − first, varint documents − 1,
 *            varint bytes of the distances, varint bytes of the places
 *            distances: documents − 1 varints, each number − the one before − 1
 *            places: of each document in turn
 *   places: groups by rising field, each
 *            varint (occurrences − 1) << 1 | another group follows
 *            varint field − previous group's field (the first: field)
 *            varints: position − the one before (the first: position)
 *   varint: little-endian base 128 of a u64, at most 10 bytes
 *
 * Small blocks are joined when lists are appended to each other, without
 * looking at their documents: distances and places are copied as they are.
 *
 * Decoding trusts no byte: what is malformed is ERROR_DAMAGED (FATAL), never
 * read outside the slice. Pure; one thread a writer or cursor.
 */
#ifndef MILLRACE_SHARD_CORE_POSTING_LIST_H
#define MILLRACE_SHARD_CORE_POSTING_LIST_H

#include "shard/core/postings.h"
#include "shard/engine/place.h"

#define POSTING_BLOCK_MAX 128
/* Numbers of one list lie within this of its base. */
#define POSTING_DISTANCE_MAX UINT32_MAX

struct posting_blocks;

/* Borrowed. */
struct posting_list {
	uint64_t base;
	uint32_t count; /* documents, at least 1 */
	struct slice bytes;
	struct posting_blocks *blocks; /* posting_blocks.h; NULL: all are in `bytes` */
};

/* Where places are written. */
struct places_room {
	struct place *places;
	size_t max;
};

struct posting_cursor {
	struct posting_list list;
	struct reader blocks;    /* behind the block at hand */
	struct reader distances; /* of the block at hand, behind the document at hand */
	struct reader places;    /* of the block, from the first document that was not passed */
	uint64_t number;         /* of the document at hand */
	uint64_t block_last;
	uint32_t left;   /* documents of the block after it */
	uint32_t unread; /* documents whose places were not passed, up to it */
	uint32_t given;
	size_t stop; /* of the block behind the one at hand, in `list.blocks` */
};

void posting_cursor_init(struct posting_cursor *cursor, const struct posting_list *list);
/* 1 and a number, 0 after the last, or ERROR_DAMAGED. */
int posting_cursor_next(struct posting_cursor *cursor, uint64_t *number, struct error *error);
/* The first number at or above `from` behind the one given last; blocks before it are passed over unseen. */
int posting_cursor_seek(struct posting_cursor *cursor, uint64_t from, uint64_t *number, struct error *error);
/* The document given last and those that follow it in its block below `end`, which is above it: `*len` of them. The
 * last of these counts as given last. */
int posting_cursor_batch(struct posting_cursor *cursor, uint64_t end, uint64_t numbers[POSTING_BLOCK_MAX],
                         size_t *len, struct error *error);
/* The places of the document given `back` before the last one, and behind all whose places were read: at most
 * `room.max` written, rising; `*len` is how many there are. Once a document. */
int posting_cursor_places_back(struct posting_cursor *cursor, uint32_t back, struct places_room room,
                               size_t *len, struct error *error);
/* The same of the document given last. */
static inline int posting_cursor_places(struct posting_cursor *cursor, struct place *places, size_t max,
                                        size_t *len, struct error *error)
{
	return posting_cursor_places_back(cursor, 0, (struct places_room){places, max}, len, error);
}
/* One block of a list of several documents, for who reads it where it lies. */
#define POSTING_HEAD_BYTES_MAX 50

struct posting_block {
	uint64_t first;
	uint64_t last;
	uint32_t documents;
	uint64_t distances; /* bytes, right behind the head */
	uint64_t places;    /* bytes behind these */
};

/* Reads the head of a block; the list's bytes are not looked at. `previous`: the last number before it, the base if
 * it is the first; `left`: documents from it on. ERROR_DAMAGED, without a text. */
int posting_block_read(const struct posting_list *list, struct reader *rest, uint64_t previous, uint32_t left,
                       struct posting_block *block);
/* A cursor that has given the first number of the block, and ends with it; `bytes` are what follows the head. */
void posting_cursor_block(struct posting_cursor *cursor, const struct posting_list *list,
                          const struct posting_block *block, struct slice bytes);
/* Adds all numbers to a set, without looking at the places. */
int posting_list_numbers(const struct posting_list *list, struct postings *set, struct error *error);

/* Appends the bytes of the same list with another base, at most its first number; the rest is copied unseen. */
int posting_list_rebase(const struct posting_list *list, uint64_t base, struct buffer *bytes,
                        struct error *error);
/* Appends the bytes of a list of one document, `distance` above the base. */
void posting_list_encode_one(struct buffer *bytes, uint64_t distance, const struct place *places, size_t len);

/* Writes one list at a time into memory of its own, which it keeps unless it is much. */
struct posting_writer {
	struct buffer list; /* blocks written */
	struct buffer distances;
	struct buffer places;
	uint64_t base;
	uint64_t block_base; /* last number of the block before, or base */
	uint64_t first;      /* of the block at hand */
	uint64_t last;       /* document added last */
	uint32_t in_block;
	uint32_t count;
};

void posting_writer_init(struct posting_writer *writer);
void posting_writer_deinit(struct posting_writer *writer);
/* Empties it. */
void posting_writer_begin(struct posting_writer *writer, uint64_t base);
/* A document with all its places, rising, `len` at least 1; its number is above the last one. */
void posting_writer_add(struct posting_writer *writer, uint64_t number, const struct place *places,
                        size_t len);
/* A whole list whose numbers are above the last one; `dead` (NULL: none) are left out. Copies blocks
 * that have none of the dead. ERROR_DAMAGED, then the list is lost. */
int posting_writer_append(struct posting_writer *writer, const struct posting_list *list,
                          const struct postings *dead, struct error *error);
/* The list, valid until the next begin; count 0: nothing was added. ERROR_MEMORY if any of the calls lacked it. */
int posting_writer_end(struct posting_writer *writer, struct posting_list *list, struct error *error);

#endif
