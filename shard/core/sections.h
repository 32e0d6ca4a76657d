/*
 * Sections: the bytes of a disk segment, cut into chunks.
 *
 * A segment is some sections, each a run of bytes; TERMS is chunks by their
 * last word. A chunk is one value of KV_TABLE_CHUNKS, written once, never
 * changed, deleted with its segment:
 *
 *   key    BE64 segment, u8 section, BE32 chunk   (TERMS: the last word of the chunk instead)
 *   value  u64 checksum of each piece, bytes
 *
 * A piece is CHUNK_PIECE_BYTES of the bytes, the last one what is left; its
 * checksum is hash64, seeded by hash64 of the key plus the piece's number.
 * Pieces are checked as they are read, so that a look at one record costs one
 * piece. A value never exceeds CHUNK_BYTES_MAX, so that it fills four pages of
 * LMDB exactly: LMDB puts a value into free pages only where so many stand in a
 * row, and the longer the value, the more of the file stays free. A section of
 * fixed-size records has whole records in a chunk.
 *
 * Chunks of TERMS are a chain, so that one whose key was changed or that is
 * lost is missed: before its bytes each has the last word of the one before (u16
 * length, bytes), and behind the last one, under the word 0xFF, which no text
 * has, stands one that has nothing else.
 *
 * The writer gathers the sections of one segment and puts chunks into the
 * transaction that it was given; between two transactions it keeps what is
 * not put yet. A reader is one segment in one read transaction (never a write
 * transaction, whose pages move): chunks that it has looked at are found again
 * without asking the store, and pieces are checked once.
 *
 * Failure: ERROR_DAMAGED (FATAL) for a missing chunk or a wrong checksum,
 * ERROR_MEMORY, and what the kv store says.
 */
#ifndef MILLRACE_SHARD_CORE_SECTIONS_H
#define MILLRACE_SHARD_CORE_SECTIONS_H

#include "shard/kv.h"
#include "shared/base/buffer.h"

#ifndef CHUNK_BYTES_MAX /* the simulation's is smaller, as its segments are */
#define CHUNK_BYTES_MAX (4 * 4096 - 16)
#endif
#define CHUNK_PIECE_BYTES 1024
#define CHUNK_PIECES_MAX 16
#define CHUNK_PAYLOAD_MAX (CHUNK_BYTES_MAX - 8 * CHUNK_PIECES_MAX)
/* Of a chunk of TERMS and of a word. */
#define SECTION_WORD_BYTES_MAX 255
#define SECTION_TERMS_BYTES_MAX (CHUNK_PAYLOAD_MAX - 2 - SECTION_WORD_BYTES_MAX)

enum section {
	SECTION_ENTRIES = 0, /* one record a document, by number: columns.h */
	SECTION_IDS,         /* (hash of id, place) by hash */
	SECTION_ID_TEXT,
	SECTION_ORDER,    /* places by insertion key, id */
	SECTION_PAGES,    /* where each compressed page stands */
	SECTION_BODIES,   /* compressed pages */
	SECTION_POSTINGS, /* posting lists too long for their term's entry */
	SECTION_TERMS,
	SECTIONS
};

/* Bytes of a record of the section; 1: none. */
size_t section_record_bytes(enum section section);

struct section_writer;

struct section_writer *section_writer_new(uint64_t segment);
void section_writer_free(struct section_writer *writer);
/* Where chunks go from now on; NULL between two transactions. */
void section_writer_use(struct section_writer *writer, struct kv_txn *txn);
/* Appends; a section's chunks are put as they fill up. */
int section_append(struct section_writer *writer, enum section section, const void *bytes, size_t len,
                   struct error *error);
/* A whole chunk of TERMS, at most SECTION_TERMS_BYTES_MAX bytes; `last` is its key's word, above the last one's. */
int section_append_terms(struct section_writer *writer, struct slice last, struct slice chunk,
                         struct error *error);
/* Puts what is left of all sections. */
int section_writer_finish(struct section_writer *writer, struct error *error);
/* Logical bytes appended to a section. */
uint64_t section_length(const struct section_writer *writer, enum section section);
/* Bytes put in all, and since section_writer_use. */
uint64_t section_writer_put_bytes(const struct section_writer *writer);
uint64_t section_writer_txn_bytes(const struct section_writer *writer);

/* One segment in one transaction. */
struct section_reader;

/* `lengths` of the sections are borrowed for its life, which ends before the transaction's. */
struct section_reader *section_reader_new(struct kv_txn *txn, uint64_t segment,
                                          const uint64_t lengths[SECTIONS]);
void section_reader_free(struct section_reader *reader);
/* Bytes of a section, as the segment says. */
uint64_t section_reader_length(const struct section_reader *reader, enum section section);
/* Bytes of a section. */
struct span {
	enum section section;
	uint64_t at;
	size_t len;
};

/* Borrowed from the transaction if they stand in one chunk, else put together in `joined` (emptied first). Outside of
 * the section: ERROR_DAMAGED. */
int section_read(struct section_reader *reader, struct span span, struct buffer *joined, struct slice *bytes,
                 struct error *error);
/* Records that stand one behind the other in memory. */
struct section_records {
	const uint8_t *bytes;
	uint64_t first;
	uint64_t len;
};

/* The i-th record of a section of fixed-size records, and those beside it that are checked with it; borrowed from the
 * transaction. Outside: ERROR_DAMAGED. */
int section_records(struct section_reader *reader, enum section section, uint64_t i,
                    struct section_records *records, struct error *error);
/* The i-th record alone. */
int section_record(struct section_reader *reader, enum section section, uint64_t i, const uint8_t **record,
                   struct error *error);
/* The chunk of TERMS that has `word` if one has: the first whose last word is not below it, and that last word.
 * ERROR_NOT_FOUND above the last chunk; ERROR_DAMAGED if the one that should have it is not there. Borrowed from the
 * transaction. */
int section_read_terms(struct section_reader *reader, struct slice word, struct slice *chunk,
                       struct slice *last, struct error *error);

/* The chunks of one segment as they must follow each other, all of them: for whoever copies it. A plain value, that
 * can be written down and taken up again. */
struct section_chain {
	uint64_t segment;
	uint64_t lengths[SECTIONS];
	uint32_t section;                     /* of the next chunk; SECTIONS: none is left */
	uint64_t at;                          /* bytes of the section that were there */
	uint64_t bytes;                       /* of all chunks that were there, as written */
	uint8_t word[SECTION_WORD_BYTES_MAX]; /* the last one of the chunk of TERMS before */
	size_t word_len;
};

void section_chain_begin(struct section_chain *chain, uint64_t segment, const uint64_t lengths[SECTIONS]);
/* The next chunk by key: it is the one due, as long as it should be, and matches its checksums; else
 * ERROR_DAMAGED (REJECT), and the chain is as before. */
int section_chain_next(struct section_chain *chain, struct slice key, struct slice value,
                       struct error *error);
bool section_chain_is_whole(const struct section_chain *chain);

/* Deletes chunks of a segment, at most `max`; `*left` false when none is left. */
int section_remove(struct kv_txn *txn, uint64_t segment, size_t max, bool *left, struct error *error);
/* The lowest segment at or above `from` that has chunks; ERROR_NOT_FOUND. */
int section_next_segment(struct kv_txn *txn, uint64_t from, uint64_t *segment, struct error *error);

#endif
