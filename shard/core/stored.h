/*
 * Stored: the bytes of a replica's keys and values on disk, format
 * REPLICA_FORMAT. Little-endian values, big-endian keys where order matters.
 *
 *   STATE     "state" → u32 format, u32 words version, bytes cluster id,
 *             u64 index id, i32 generation, i32 partition, i64 base,
 *             u64 rules digest, u64[2] incarnation, mark, u64 checksum
 *             mark: i64 received, anchor, u64[2] digest, u64 documents,
 *             u64 body bytes, u64 next number
 *             "seals" → u64 checksum, u32 count, each i64 offset, u64[2] digest
 *             (absent: none)
 *             "identities" → u64 checksum, i64 offset of the last one
 *             "identities/", BE64 chunk → u64 checksum, u32 count, each u16
 *             offset − chunk * STORED_CHUNK, u64[2] key, u64 operation
 *             "origins" → u64 checksum, u32 count, each u8 source length,
 *             source, u32 life, i32 partition, i64 offset, u32 n
 *             (all three absent: none; see marks.h)
 *             "manifest" → manifest.h
 *             "fields" → u64 checksum, fields.h (absent: none)
 *             "attributes" → attributes.h (absent: none)
 *   DEAD      BE64 (number >> 16) → postings.h: numbers that disk segments list
 *             and that have died, as of `stored`
 *   DICTIONARY word → u8 0: every word of the disk segments, and maybe others
 *   CHUNKS    sections.h
 *
 * Every checksum is hash64 over the rest of the value, seeded by the key, so
 * that a value under another key is noticed too. Decoding borrows.
 */
#ifndef MILLRACE_SHARD_CORE_STORED_H
#define MILLRACE_SHARD_CORE_STORED_H

#include "shard/core/fields.h"
#include "shard/core/postings.h"
#include "shard/core/replica.h"
#include "shard/core/words.h"
#include "shared/record/marks.h"

/* Offsets whose identities share a value, which so stays below 64 KB. */
#define STORED_CHUNK 2048

/* What the fold up to an offset amounts to. */
struct mark {
	int64_t received;
	struct anchor anchor;
	struct hash128 digest;
	uint64_t documents;
	uint64_t body_bytes;
	uint64_t number_next;
	size_t seals_len;
	struct seal seals[REPLICA_SEALS_MAX]; /* the last ones at or below received, rising */
	int64_t identity_last;                /* offset of the newest identity; -1 none */
	bool has_origins;
};

struct stored_key {
	uint8_t bytes[KV_KEY_BYTES_MAX];
	size_t len;
};

struct slice stored_key_slice(const struct stored_key *key);
struct stored_key stored_state_key(void);
struct stored_key stored_seals_key(void);
struct stored_key stored_manifest_key(void);
struct stored_key stored_fields_key(void);
struct stored_key stored_dead_key(uint64_t block);
/* False if it is none. */
bool stored_dead_block(struct slice key, uint64_t *block);

/* Each encoder appends; check buffer_failed. */
/* All of the mark but its seals, identities and origins, which have keys of their own. */
void stored_state_encode(struct buffer *value, const struct replica_identity *identity,
                         const struct mark *mark);
void stored_seals_encode(struct buffer *value, const struct mark *mark);
/* The first `len` fields. */
void stored_fields_encode(struct buffer *value, const struct fields *fields, size_t len);

/* ERROR_VERSION (FATAL) for another format; ERROR_DAMAGED (FATAL). */
int stored_state_decode(struct slice value, struct replica_identity *identity, struct mark *mark,
                        struct error *error);
/* Fills the seals of a mark whose other members are known. */
int stored_seals_decode(struct slice value, struct mark *mark, struct error *error);
/* Into an empty table. */
int stored_fields_decode(struct slice value, struct fields *fields, struct error *error);

/* stored_marks.c */

/* The identities of STORED_CHUNK offsets, as they are stored. */
struct stored_chunk {
	int64_t chunk;
	uint32_t count;
	struct slice entries; /* encoded; walk with stored_chunk_next */
};

struct stored_key stored_identities_key(void);
struct stored_key stored_chunk_key(int64_t chunk);
struct stored_key stored_origins_key(void);
/* False if it is no chunk's. */
bool stored_chunk_number(struct slice key, int64_t *chunk);

void stored_identities_encode(struct buffer *value, int64_t last);
int stored_identities_decode(struct slice value, int64_t *last, struct error *error);
/* A chunk is written into an empty buffer: begin, then entries by rising offset, then end. */
void stored_chunk_begin(struct buffer *value);
void stored_chunk_add(struct buffer *value, const struct identity_entry *entry);
void stored_chunk_end(struct buffer *value, int64_t chunk);
/* Checks everything. */
int stored_chunk_decode(int64_t chunk, struct slice value, struct stored_chunk *found, struct error *error);
/* Start with *at = 0; false at the end. */
bool stored_chunk_next(const struct stored_chunk *chunk, size_t *at, struct identity_entry *entry);
void stored_origins_encode(struct buffer *value, const struct origins *origins);
/* Notes all of them in `origins`; ERROR_DAMAGED or ERROR_MEMORY. */
int stored_origins_decode(struct slice value, struct origins *origins, struct error *error);

/* For the parts of this module: the checksum at `from`, over everything after it … */
void stored_seal(struct buffer *value, size_t from, struct slice key);
/* … and a reader behind it, failed if it does not match. */
struct reader stored_unseal(struct slice value, struct slice key);
void stored_key_append(struct stored_key *key, struct slice bytes);
void stored_key_append_big_endian(struct stored_key *key, uint64_t value, size_t bytes);
uint64_t stored_big_endian(const uint8_t *ptr, size_t bytes);

#endif
