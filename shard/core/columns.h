/*
 * Columns: the records of fixed size in a disk segment's sections,
 * little-endian. Place i is the i-th document of the segment by rising number.
 *
 *   ENTRIES  u64[2] digest, i64 timestamp, u32 seq, u32 number − first,
 *            u32 body length, u32 page, u32 offset in the page,
 *            u32 offset in ID_TEXT, u16 id length; by place
 *   IDS      u64 hash of the id (hash64, seed 0), u32 place; by hash, then place
 *   ORDER    u32 place; by insertion key, then id
 *   PAGES    u64 offset in BODIES, u32 compressed bytes, u32 bytes, u32 first
 *            place, u32 places; by place
 *
 * Reading takes whatever stands there: who uses an offset checks it. Pure.
 */
#ifndef MILLRACE_SHARD_CORE_COLUMNS_H
#define MILLRACE_SHARD_CORE_COLUMNS_H

#include "shared/base/hash.h"
#include "shared/record/record.h"

#define COLUMN_ENTRY_BYTES 50
#define COLUMN_ID_BYTES 12
#define COLUMN_ORDER_BYTES 4
#define COLUMN_PAGE_BYTES 24

/* What ENTRIES has of a document. */
struct disk_entry {
	uint64_t number;
	struct insertion_key key;
	struct hash128 digest;
	uint32_t body_bytes;
	uint32_t page;
	uint32_t page_at;
	uint32_t id_at;
	uint16_t id_len;
};

/* What PAGES has of a page. */
struct disk_page {
	uint64_t at; /* in BODIES */
	uint32_t frame_bytes;
	uint32_t bytes;
	uint32_t first; /* place */
	uint32_t places;
};

static inline uint32_t column_u32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t column_u64(const uint8_t *at)
{
	return column_u32(at) | (uint64_t)column_u32(at + 4) << 32;
}

static inline void column_put_u32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
	at[2] = (uint8_t)(value >> 16);
	at[3] = (uint8_t)(value >> 24);
}

static inline void column_put_u64(uint8_t *at, uint64_t value)
{
	column_put_u32(at, (uint32_t)value);
	column_put_u32(at + 4, (uint32_t)(value >> 32));
}

/* `first`: the segment's first number, at most 2^32 − 1 below the entry's. */
void column_entry_put(uint8_t record[COLUMN_ENTRY_BYTES], const struct disk_entry *entry, uint64_t first);
void column_entry_get(const uint8_t record[COLUMN_ENTRY_BYTES], uint64_t first, struct disk_entry *entry);
void column_page_put(uint8_t record[COLUMN_PAGE_BYTES], const struct disk_page *page);
void column_page_get(const uint8_t record[COLUMN_PAGE_BYTES], struct disk_page *page);

#endif
