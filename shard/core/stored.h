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
 *   IDS       id → u64 checksum, u64 number, i64 timestamp, u32 seq,
 *             u64[2] digest, u32 body length
 *   DOCUMENTS BE64 number → u64 checksum, i64 timestamp, u32 seq, u16 id
 *             length, id, body
 *   ORDER     BE64 (timestamp + 2^63), BE32 seq, id → u64 checksum, u64 number
 *             An id that would make the key longer than LMDB takes is cut to
 *             ORDER_ID_BYTES and followed by BE64 number: see walk.h.
 *   POSTINGS  word, NUL, BE48 (number >> 16) → postings.h
 *
 * Every checksum is hash64 over the rest of the value, seeded by the key, so
 * that a value under another key is noticed too. Decoding borrows.
 */
#ifndef MILLRACE_SHARD_CORE_STORED_H
#define MILLRACE_SHARD_CORE_STORED_H

#include "shard/core/replica.h"
#include "shard/core/words.h"

/* A key of at least ORDER_GROUP_BYTES is ordered by its first ORDER_GROUP_BYTES only. */
#define ORDER_ID_BYTES 491
#define ORDER_GROUP_BYTES (12 + ORDER_ID_BYTES)
#define POSTINGS_KEY_BYTES_MAX (WORD_BYTES_MAX + 7)

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
};

struct stored_id {
	uint64_t number;
	struct insertion_key key;
	struct hash128 digest;
	uint32_t body_bytes;
};

struct stored_document {
	struct insertion_key key;
	struct slice id;
	struct slice body;
};

struct stored_key {
	uint8_t bytes[KV_KEY_BYTES_MAX];
	size_t len;
};

struct slice stored_key_slice(const struct stored_key *key);
struct stored_key stored_state_key(void);
struct stored_key stored_seals_key(void);
struct stored_key stored_number_key(uint64_t number);
struct stored_key stored_order_key(struct insertion_key key, struct slice id, uint64_t number);
/* With the NUL, without the block. */
struct stored_key stored_word_key(struct slice word);
struct stored_key stored_postings_key(struct slice word, uint64_t block);

/* Each encoder appends; check buffer_failed. */
/* All of the mark but its seals, which have a key of their own. */
void stored_state_encode(struct buffer *value, const struct replica_identity *identity,
                         const struct mark *mark);
void stored_seals_encode(struct buffer *value, const struct mark *mark);
void stored_id_encode(struct buffer *value, struct slice id, const struct stored_id *entry);
void stored_document_encode(struct buffer *value, uint64_t number, const struct stored_document *document);
void stored_order_encode(struct buffer *value, struct slice key, uint64_t number);

/* ERROR_VERSION (FATAL) for another format; ERROR_DAMAGED (FATAL). */
int stored_state_decode(struct slice value, struct replica_identity *identity, struct mark *mark,
                        struct error *error);
/* Fills the seals of a mark whose other members are known. */
int stored_seals_decode(struct slice value, struct mark *mark, struct error *error);
int stored_id_decode(struct slice id, struct slice value, struct stored_id *entry, struct error *error);
int stored_document_decode(uint64_t number, struct slice value, struct stored_document *document,
                           struct error *error);
/* The insertion key comes from `key`; the id only if the key holds all of it, else its ptr is NULL. */
int stored_order_decode(struct slice key, struct slice value, struct stored_document *document,
                        uint64_t *number, struct error *error);
int stored_number_decode(struct slice key, uint64_t *number, struct error *error);
/* Cuts a postings key; false if it is none. */
bool stored_postings_split(struct slice key, struct slice *word, uint64_t *block);

#endif
