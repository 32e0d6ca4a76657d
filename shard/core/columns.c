#include "shard/core/columns.h"

#include "shared/base/assert.h"

void column_entry_put(uint8_t record[COLUMN_ENTRY_BYTES], const struct disk_entry *entry, uint64_t first)
{
	ASSERT(entry->number >= first && entry->number - first <= UINT32_MAX);
	column_put_u64(record, entry->digest.low);
	column_put_u64(record + 8, entry->digest.high);
	column_put_u64(record + 16, (uint64_t)entry->key.timestamp_ms);
	column_put_u32(record + 24, entry->key.seq);
	column_put_u32(record + 28, (uint32_t)(entry->number - first));
	column_put_u32(record + 32, entry->body_bytes);
	column_put_u32(record + 36, entry->page);
	column_put_u32(record + 40, entry->page_at);
	column_put_u32(record + 44, entry->id_at);
	record[48] = (uint8_t)entry->id_len;
	record[49] = (uint8_t)(entry->id_len >> 8);
}

void column_entry_get(const uint8_t record[COLUMN_ENTRY_BYTES], uint64_t first, struct disk_entry *entry)
{
	entry->digest.low = column_u64(record);
	entry->digest.high = column_u64(record + 8);
	entry->key.timestamp_ms = (int64_t)column_u64(record + 16);
	entry->key.seq = column_u32(record + 24);
	entry->number = first + column_u32(record + 28);
	entry->body_bytes = column_u32(record + 32);
	entry->page = column_u32(record + 36);
	entry->page_at = column_u32(record + 40);
	entry->id_at = column_u32(record + 44);
	entry->id_len = (uint16_t)(record[48] | record[49] << 8);
}

void column_page_put(uint8_t record[COLUMN_PAGE_BYTES], const struct disk_page *page)
{
	column_put_u64(record, page->at);
	column_put_u32(record + 8, page->frame_bytes);
	column_put_u32(record + 12, page->bytes);
	column_put_u32(record + 16, page->first);
	column_put_u32(record + 20, page->places);
}

void column_page_get(const uint8_t record[COLUMN_PAGE_BYTES], struct disk_page *page)
{
	page->at = column_u64(record);
	page->frame_bytes = column_u32(record + 8);
	page->bytes = column_u32(record + 12);
	page->first = column_u32(record + 16);
	page->places = column_u32(record + 20);
}
