#include "tests/simulation/fold.h"

#include "shared/base/assert.h"

static size_t put_number(uint8_t *at, uint64_t number, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(number >> (8 * i));
	return bytes;
}

static size_t put_bytes(uint8_t *at, struct slice bytes)
{
	size_t len = put_number(at, bytes.len, 4);

	memcpy(at + len, bytes.ptr, bytes.len);
	return len + bytes.len;
}

static struct hash128 digest_of(uint64_t index_id, const struct log_entry *entry, struct insertion_key key)
{
	uint8_t text[4096];
	size_t len = 0;

	ASSERT(entry->record.key.len + entry->stored.len + 20 <= sizeof text);
	len += put_bytes(text + len, entry->record.key);
	len += put_bytes(text + len, entry->stored);
	len += put_number(text + len, (uint64_t)key.timestamp_ms, 8);
	len += put_number(text + len, key.seq, 4);
	return hash128_of(slice_of(text, len), index_id);
}

void fold_apply(struct fold *fold, uint64_t index_id, const struct log_entry *entry)
{
	struct fold_document *document = &fold->documents[entry->document];
	struct insertion_key key = document->entry != NULL ? document->key : entry->key;

	if (entry->refused)
		return;
	if (document->entry != NULL) {
		hash128_subtract(&fold->point.digest, document->digest);
		fold->point.documents--;
		fold->point.body_bytes -= document->entry->stored.len;
	}
	*document = (struct fold_document){0};
	if (entry->kind == OP_KIND_DELETE)
		return;
	*document = (struct fold_document){entry, key, digest_of(index_id, entry, key)};
	hash128_add(&fold->point.digest, document->digest);
	fold->point.documents++;
	fold->point.body_bytes += entry->stored.len;
}
