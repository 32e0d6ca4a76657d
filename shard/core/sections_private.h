/*
 * What the parts of sections.h share: sections.c, which writes and removes,
 * sections_read.c, and sections_chain.c. Nobody else includes this.
 */
#ifndef MILLRACE_SHARD_CORE_SECTIONS_PRIVATE_H
#define MILLRACE_SHARD_CORE_SECTIONS_PRIVATE_H

#include "shard/core/columns.h"
#include "shard/core/sections.h"
#include "shared/base/assert.h"

#define CHECKSUM_BYTES 8
/* Room for the checksums of a whole chunk. */
#define CHECKSUMS_BYTES (CHECKSUM_BYTES * CHUNK_PIECES_MAX)
#define PREFIX_BYTES 9 /* segment, section */
#define LINK_BYTES 2   /* length of the word before */
/* A section has at most this many chunks: 1 TiB. */
#define SECTION_CHUNKS_MAX (1ULL << 24)

#define CAPACITY_OF(record) (CHUNK_PAYLOAD_MAX / (record) * (record))

static const size_t record_bytes[SECTIONS] = {
	COLUMN_ENTRY_BYTES, COLUMN_ID_BYTES, 1, COLUMN_ORDER_BYTES, COLUMN_PAGE_BYTES, 1, 1, 1};

/* Bytes of all chunks of a section but the last; nothing for TERMS. */
static const size_t capacities[SECTIONS] = {CAPACITY_OF(COLUMN_ENTRY_BYTES),
                                            CAPACITY_OF(COLUMN_ID_BYTES),
                                            CHUNK_PAYLOAD_MAX,
                                            CAPACITY_OF(COLUMN_ORDER_BYTES),
                                            CAPACITY_OF(COLUMN_PAGE_BYTES),
                                            CHUNK_PAYLOAD_MAX,
                                            CHUNK_PAYLOAD_MAX,
                                            1};

/* Whole records in a chunk. */
static const uint32_t records_of_chunk[SECTIONS] = {CHUNK_PAYLOAD_MAX / COLUMN_ENTRY_BYTES,
                                                    CHUNK_PAYLOAD_MAX / COLUMN_ID_BYTES,
                                                    CHUNK_PAYLOAD_MAX,
                                                    CHUNK_PAYLOAD_MAX / COLUMN_ORDER_BYTES,
                                                    CHUNK_PAYLOAD_MAX / COLUMN_PAGE_BYTES,
                                                    CHUNK_PAYLOAD_MAX,
                                                    CHUNK_PAYLOAD_MAX,
                                                    1};

/* Above all words: the end of the chain of TERMS. */
static const uint8_t word_end[] = {0xFF};

static const char *const section_names[SECTIONS] = {"ENTRIES", "IDS",    "ID_TEXT",  "ORDER",
                                                    "PAGES",   "BODIES", "POSTINGS", "TERMS"};

struct chunk_key {
	uint8_t bytes[KV_KEY_BYTES_MAX];
	size_t len;
};

/* A chunk that was looked at; the checksums stand before its bytes. */
struct chunk {
	const uint8_t *payload; /* borrowed from the transaction; NULL: not looked at yet */
	uint32_t len;
	uint32_t checked; /* a bit a piece */
};

/* A chunk of TERMS that was checked; all borrowed from the transaction. */
struct terms_chunk {
	struct slice last;
	struct slice before; /* last word of the chunk before */
	struct slice payload;
};

static inline void key_begin(struct chunk_key *key, uint64_t segment, enum section section)
{
	for (size_t i = 0; i < 8; i++)
		key->bytes[i] = (uint8_t)(segment >> (56 - 8 * i));
	key->bytes[8] = (uint8_t)section;
	key->len = PREFIX_BYTES;
}

static inline void key_append_chunk(struct chunk_key *key, uint32_t chunk)
{
	for (size_t i = 0; i < 4; i++)
		key->bytes[key->len++] = (uint8_t)(chunk >> (24 - 8 * i));
}

static inline void key_append_word(struct chunk_key *key, struct slice word)
{
	ASSERT(word.len <= sizeof key->bytes - PREFIX_BYTES);
	if (word.len > 0)
		memcpy(key->bytes + PREFIX_BYTES, word.ptr, word.len);
	key->len += word.len;
}

static inline struct slice key_slice(const struct chunk_key *key)
{
	return slice_of(key->bytes, key->len);
}

static inline size_t pieces_of(size_t payload)
{
	return (payload + CHUNK_PIECE_BYTES - 1) / CHUNK_PIECE_BYTES;
}

/* Of the piece with that number; `seed` is the key's hash. */
static inline uint64_t checksum_of(uint64_t seed, const uint8_t *payload, size_t len, size_t piece)
{
	size_t from = piece * CHUNK_PIECE_BYTES;
	size_t rest = len - from;

	return hash64(slice_of(payload + from, rest < CHUNK_PIECE_BYTES ? rest : CHUNK_PIECE_BYTES),
	              seed + piece);
}

/* sections_read.c */
/* The bytes of a chunk's value and how many they are; false if it is no chunk's. */
bool section_chunk_cut(struct slice value, struct chunk *chunk);
/* Checks the pieces from `first` to `last`. */
bool section_pieces_check(struct chunk *chunk, struct slice key, size_t first, size_t last);
/* Checks a whole chunk of TERMS and cuts off what links it to the one before; its key has a word. */
bool section_terms_cut(struct slice key, struct slice value, struct terms_chunk *checked);

#endif
