#include "shard/core/copy_head.h"

#include <stdlib.h>

#define DIGEST_AT 4
#define HEAD_BYTES 20 /* format, digest */

static const char copy_name[] = "copy";

static int unit_compare(const void *a, const void *b)
{
	uint64_t left = ((const struct copy_unit *)a)->id;
	uint64_t right = ((const struct copy_unit *)b)->id;

	return left < right ? -1 : left > right;
}

size_t copy_units(const struct manifest *manifest, struct copy_unit units[COPY_UNITS_MAX])
{
	size_t len = 0;

	for (size_t i = 0; i < manifest->segments_len; i++) {
		const struct disk_segment *segment = &manifest->segments[i];
		const struct value_set *values = &segment->values;

		units[len++] = (struct copy_unit){segment->id, segment->lengths, segment->bytes};
		if (values->id != 0)
			units[len++] = (struct copy_unit){values->id, values->lengths, values->bytes};
	}
	qsort(units, len, sizeof units[0], unit_compare);
	return len;
}

struct stored_key copy_key(void)
{
	struct stored_key key = {.len = 0};

	stored_key_append(&key, slice_string(copy_name));
	return key;
}

void copy_head_begin(struct buffer *head)
{
	buffer_put_u32(head, COPY_FORMAT);
	buffer_put_u64(head, 0);
	buffer_put_u64(head, 0);
}

void copy_head_add(struct buffer *head, const struct copy_entry *entry)
{
	buffer_put_u8(head, (uint8_t)entry->table);
	copy_page_add(head, entry->key, entry->value);
}

static void set_u64(struct buffer *buffer, size_t at, uint64_t value)
{
	buffer_set_u32(buffer, at, (uint32_t)value);
	buffer_set_u32(buffer, at + 4, (uint32_t)(value >> 32));
}

void copy_head_end(struct buffer *head)
{
	struct hash128 digest;

	if (buffer_failed(head))
		return;
	digest = hash128_of(slice_of(head->ptr + HEAD_BYTES, head->len - HEAD_BYTES), COPY_FORMAT);
	set_u64(head, DIGEST_AT, digest.low);
	set_u64(head, DIGEST_AT + 8, digest.high);
}

static int damaged(struct error *error, const char *what)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_REJECT, "a copy's head %s", what);
}

/* Format and digest; what is left are the entries. */
static int frame_read(struct reader *reader, struct copy_head *head, struct error *error)
{
	uint32_t format = reader_u32(reader);

	head->digest.low = reader_u64(reader);
	head->digest.high = reader_u64(reader);
	if (reader_failed(reader))
		return damaged(error, "is cut short");
	if (format != COPY_FORMAT)
		return error_set(error, ERROR_VERSION, ERROR_ACTION_FATAL,
		                 "the copy has format %u, this program reads %u", format, COPY_FORMAT);
	head->entries = slice_of(reader->ptr, reader_left(reader));
	if (!hash128_equal(head->digest, hash128_of(head->entries, COPY_FORMAT)))
		return damaged(error, "does not match its digest");
	return 0;
}

bool copy_head_next(struct reader *entries, struct copy_entry *entry)
{
	if (reader_failed(entries) || reader_left(entries) == 0)
		return false;
	entry->table = (enum kv_table)reader_u8(entries);
	entry->key = reader_take(entries, reader_u16(entries));
	entry->value = reader_bytes(entries);
	return !reader_failed(entries);
}

static bool entry_follows(const struct copy_entry *entry, const struct copy_entry *before)
{
	return (entry->table == KV_TABLE_STATE || entry->table == KV_TABLE_DEAD) && entry->key.len > 0 &&
	       entry->key.len <= KV_KEY_BYTES_MAX && entry->table >= before->table &&
	       (entry->table > before->table || slice_compare(entry->key, before->key) > 0);
}

static bool key_is(const struct copy_entry *entry, struct stored_key key)
{
	return entry->table == KV_TABLE_STATE && slice_equal(entry->key, stored_key_slice(&key));
}

/* Where state and manifest stand; an empty slice: nowhere. */
static int entries_read(struct copy_head *head, struct slice *manifest, struct error *error)
{
	struct reader reader = reader_of(head->entries);
	struct copy_entry before = {.table = KV_TABLE_STATE, .key = slice_of("", 0)};
	struct copy_entry entry;

	for (; copy_head_next(&reader, &entry); before = entry) {
		if (!entry_follows(&entry, &before) || key_is(&entry, copy_key()))
			return damaged(error, "has what no replica stores");
		if (key_is(&entry, stored_state_key()))
			head->state = entry.value;
		else if (key_is(&entry, stored_manifest_key()))
			*manifest = entry.value;
	}
	return reader_failed(&reader) ? damaged(error, "is cut short") : 0;
}

int copy_head_read(struct slice bytes, struct copy_head *head, struct error *error)
{
	struct reader reader = reader_of(bytes);
	struct slice manifest = slice_of("", 0);

	head->state = slice_of("", 0);
	manifest_init(&head->manifest);
	if (frame_read(&reader, head, error) != 0 || entries_read(head, &manifest, error) != 0)
		return error->code;
	if (head->state.len == 0)
		return damaged(error, "has no state");
	if (stored_state_decode(head->state, &head->identity, &head->mark, error) != 0)
		return error->code;
	if (manifest.len > 0 && manifest_decode(&head->manifest, manifest, error) != 0)
		return error->code;
	return 0;
}

void copy_page_add(struct buffer *page, struct slice key, struct slice value)
{
	buffer_put_u16(page, (uint16_t)key.len);
	buffer_append_slice(page, key);
	buffer_put_bytes(page, value);
}

int copy_page_next(struct reader *page, struct slice *key, struct slice *value, struct error *error)
{
	if (reader_left(page) == 0)
		return 0;
	*key = reader_take(page, reader_u16(page));
	*value = reader_bytes(page);
	if (reader_failed(page) || key->len == 0 || key->len > KV_KEY_BYTES_MAX)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_REJECT, "a page of a copy is cut short");
	return 1;
}
