#include "shard/core/copy_head.h"
#include "shard/core/replica_private.h"

#include "shared/base/assert.h"

#include <stdlib.h>

#ifndef COPY_PAGE_BYTES /* a test's is smaller, as its copies are */
#define COPY_PAGE_BYTES COPY_PAGE_BYTES_MAX
#endif
#define ENTRY_BYTES 6 /* of a page's entry, beside key and value */

struct copy_source {
	atomic_size_t references;
	struct kv *kv;
	struct manifest_ref *pin;
	struct copy_unit units[COPY_UNITS_MAX];
	size_t units_len;
};

int replica_copy(struct replica *replica, struct copy_source **out, struct error *error)
{
	struct copy_source *source;

	if (replica_check_serving(replica, error) != 0)
		return error->code;
	source = calloc(1, sizeof *source);
	if (source == NULL)
		return error_memory(error, sizeof *source);
	atomic_init(&source->references, 1);
	source->kv = replica->kv;
	source->pin = manifest_ref_new();
	if (source->pin == NULL) {
		free(source);
		return error_memory(error, sizeof *source->pin);
	}
	atomic_store(&source->pin->unknown, true);
	replica_keep(replica, source->pin);
	*out = source;
	return 0;
}

struct copy_source *copy_source_hold(struct copy_source *source)
{
	atomic_fetch_add_explicit(&source->references, 1, memory_order_relaxed);
	return source;
}

void copy_source_release(struct copy_source *source)
{
	if (source == NULL || atomic_fetch_sub_explicit(&source->references, 1, memory_order_acq_rel) > 1)
		return;
	manifest_ref_release(source->pin);
	free(source);
}

static int table_add(struct kv_txn *txn, enum kv_table table, struct buffer *head, struct error *error)
{
	struct copy_entry entry = {.table = table};
	struct kv_cursor *cursor;
	int rc;

	if (kv_cursor_open(txn, table, &cursor, error) != 0)
		return error->code;
	rc = kv_cursor_seek(cursor, slice_of("", 0), &entry.key, &entry.value, error);
	while (rc == 0 && !buffer_failed(head)) {
		copy_head_add(head, &entry);
		rc = kv_cursor_next(cursor, &entry.key, &entry.value, error);
	}
	kv_cursor_close(cursor);
	return rc == ERROR_NOT_FOUND ? 0 : rc;
}

/* What is committed, which a job may know before the replica does. From here on just this is pinned. */
static int pin_read(struct copy_source *source, struct kv_txn *txn, struct error *error)
{
	struct manifest *manifest = &source->pin->manifest;

	if (replica_manifest_read(txn, manifest, error) != 0)
		return error->code;
	source->units_len = copy_units(manifest, source->units);
	atomic_store_explicit(&source->pin->unknown, false, memory_order_release);
	return 0;
}

static int head_fill(struct copy_source *source, struct kv_txn *txn, struct buffer *head, struct error *error)
{
	copy_head_begin(head);
	if (table_add(txn, KV_TABLE_STATE, head, error) != 0 ||
	    table_add(txn, KV_TABLE_DEAD, head, error) != 0)
		return error->code;
	copy_head_end(head);
	if (buffer_failed(head))
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "the head of a copy would have more than %zu bytes", head->len_max);
	return pin_read(source, txn, error);
}

int copy_source_head(struct copy_source *source, struct buffer *head, struct error *error)
{
	struct kv_txn *txn;
	int rc;

	ASSERT(atomic_load(&source->pin->unknown) && head->len == 0);
	if (kv_begin(source->kv, false, &txn, error) != 0)
		return error->code;
	rc = head_fill(source, txn, head, error);
	kv_abort(txn);
	return rc;
}

/* The first of the source's units at or above an id; units_len: none. */
static size_t unit_place(const struct copy_source *source, uint64_t id)
{
	size_t at = 0;

	while (at < source->units_len && source->units[at].id < id)
		at++;
	return at;
}

static int unit_seek(struct kv_cursor *cursor, uint64_t id, struct copy_entry *entry, struct error *error)
{
	struct stored_key key = {.len = 0};

	stored_key_append_big_endian(&key, id, 8);
	return kv_cursor_seek(cursor, stored_key_slice(&key), &entry->key, &entry->value, error);
}

static int after_seek(const struct copy_source *source, struct kv_cursor *cursor, struct slice after,
                      struct copy_entry *entry, struct error *error)
{
	int rc;

	if (after.len == 0)
		return unit_seek(cursor, source->units[0].id, entry, error);
	rc = kv_cursor_seek(cursor, after, &entry->key, &entry->value, error);
	if (rc == 0 && slice_equal(entry->key, after))
		rc = kv_cursor_next(cursor, &entry->key, &entry->value, error);
	return rc;
}

/* Chunks of others, younger or on their way out, stand between them. */
static int page_fill(const struct copy_source *source, struct kv_cursor *cursor, struct slice after,
                     unsigned skip, struct buffer *page, struct error *error)
{
	struct copy_entry entry;
	size_t len = 0; /* of this page, if it is left out too */
	int rc = after_seek(source, cursor, after, &entry, error);

	while (rc == 0) {
		uint64_t id = entry.key.len < 8 ? 0 : stored_big_endian(entry.key.ptr, 8);
		size_t at = unit_place(source, id);
		size_t entry_len;

		if (at == source->units_len)
			break;
		if (source->units[at].id != id) {
			rc = unit_seek(cursor, source->units[at].id, &entry, error);
			continue;
		}
		entry_len = ENTRY_BYTES + entry.key.len + entry.value.len;
		if (len > 0 && len + entry_len > COPY_PAGE_BYTES) {
			if (skip == 0)
				break;
			skip--;
			len = 0;
		}
		len += entry_len;
		if (skip == 0)
			copy_page_add(page, entry.key, entry.value);
		rc = kv_cursor_next(cursor, &entry.key, &entry.value, error);
	}
	if (buffer_failed(page))
		return error_memory(error, COPY_PAGE_BYTES);
	return rc == ERROR_NOT_FOUND ? 0 : rc;
}

int copy_source_page(const struct copy_source *source, struct slice after, unsigned skip, struct buffer *page,
                     struct error *error)
{
	struct kv_cursor *cursor;
	struct kv_txn *txn;
	int rc;

	ASSERT(!atomic_load(&source->pin->unknown) && page->len == 0);
	if (source->units_len == 0)
		return 0;
	if (kv_begin(source->kv, false, &txn, error) != 0)
		return error->code;
	rc = kv_cursor_open(txn, KV_TABLE_CHUNKS, &cursor, error);
	if (rc == 0) {
		rc = page_fill(source, cursor, after, skip, page, error);
		kv_cursor_close(cursor);
	}
	kv_abort(txn);
	return rc;
}
