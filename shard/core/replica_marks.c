/* Marks of a replica: what it has of identities and origins, read back, told in pages, and verified. */
#include "shard/core/replica_private.h"

/* A page under construction. */
struct page {
	struct replica *replica;
	struct kv_txn *txn;
	struct marks_writer writer;
	int64_t low;  /* identities below it are not asked for, or not in the window */
	int64_t next; /* the first that found no room; -1: all did */
};

static int state_get(struct kv_txn *txn, struct stored_key key, struct slice *value, bool *found,
                     struct error *error)
{
	*found = kv_get(txn, KV_TABLE_STATE, stored_key_slice(&key), value, error) == 0;
	return *found || error->code == ERROR_NOT_FOUND ? 0 : error->code;
}

static int damaged(struct error *error, const char *what)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "%s", what);
}

/* Offsets of the window begin here. */
static int64_t window_low(const struct replica *replica)
{
	int64_t low = replica->now.received - replica->identity.dedup_window;

	return low > 0 ? low : 0;
}

bool replica_has_identities(const struct replica *replica)
{
	return replica->identity.dedup_window > 0 && replica->now.identity_last >= window_low(replica);
}

static int origins_read(struct kv_txn *txn, struct origins *origins, bool *found, struct error *error)
{
	struct slice value;

	if (state_get(txn, stored_origins_key(), &value, found, error) != 0)
		return error->code;
	return *found ? stored_origins_decode(value, origins, error) : 0;
}

int replica_marks_load(struct replica *replica, struct kv_txn *txn, struct error *error)
{
	struct origins *origins = origins_new();
	struct slice value;
	bool found;
	int rc;

	if (origins == NULL)
		return error_memory(error, sizeof value);
	rc = origins_read(txn, origins, &replica->now.has_origins, error);
	origins_free(origins);
	if (rc == 0)
		rc = state_get(txn, stored_identities_key(), &value, &found, error);
	if (rc == 0 && found)
		rc = stored_identities_decode(value, &replica->now.identity_last, error);
	if (rc == 0 && replica->now.identity_last >= replica->now.received)
		rc = damaged(error, "the last stored identity lies above the watermark");
	return rc;
}

static int origins_gather(struct page *page, struct origins *origins, struct error *error)
{
	const struct replica *replica = page->replica;
	struct origin_entry entry;
	bool found;

	if (origins_read(page->txn, origins, &found, error) != 0)
		return error->code;
	for (size_t i = 0; i < replica->segments_len; i++) {
		const struct notes *notes = replica->segments[i]->notes_first;

		for (; notes != NULL; notes = notes->next) {
			size_t at = 0;

			while (notes_next_origin(notes, &at, &entry))
				if (origins_note(origins, &entry.origin, error) != 0)
					return error->code;
		}
	}
	return 0;
}

static int origins_add(struct page *page, struct error *error)
{
	struct origins *origins = origins_new();
	struct origin origin;
	size_t at = 0;
	int rc;

	if (origins == NULL)
		return error_memory(error, sizeof origin);
	rc = origins_gather(page, origins, error);
	while (rc == 0 && origins_next(origins, &at, &origin))
		marks_add_origin(&page->writer, &origin);
	origins_free(origins);
	return rc;
}

/* False if there is no room for it. */
static bool identity_add(struct page *page, const struct identity_entry *entry)
{
	if (entry->offset < page->low)
		return true;
	if (page->writer.identities == MARKS_PAGE_IDENTITIES) {
		page->next = entry->offset;
		return false;
	}
	marks_add_identity(&page->writer, entry);
	return true;
}

/* What a running store has committed is in memory too: it is told from there. */
static bool chunk_add(struct page *page, const struct stored_chunk *chunk)
{
	struct identity_entry entry;
	size_t at = 0;

	while (stored_chunk_next(chunk, &at, &entry))
		if (entry.offset < page->replica->stored && !identity_add(page, &entry))
			return false;
	return true;
}

static int stored_identities_add(struct page *page, struct error *error)
{
	struct stored_key first = stored_chunk_key(page->low / STORED_CHUNK);
	struct stored_chunk chunk;
	struct kv_cursor *cursor;
	struct slice key;
	struct slice value;
	int64_t number;
	int rc;

	if (kv_cursor_open(page->txn, KV_TABLE_STATE, &cursor, error) != 0)
		return error->code;
	rc = kv_cursor_seek(cursor, stored_key_slice(&first), &key, &value, error);
	while (rc == 0 && stored_chunk_number(key, &number)) {
		rc = stored_chunk_decode(number, value, &chunk, error);
		if (rc != 0 || !chunk_add(page, &chunk))
			break;
		rc = kv_cursor_next(cursor, &key, &value, error);
	}
	kv_cursor_close(cursor);
	return rc == ERROR_NOT_FOUND ? 0 : rc;
}

static void memory_identities_add(struct page *page)
{
	const struct replica *replica = page->replica;
	struct identity_entry entry;

	for (size_t i = 0; i < replica->segments_len; i++) {
		const struct notes *notes = replica->segments[i]->notes_first;

		for (; notes != NULL; notes = notes->next) {
			size_t at = notes->range.to > page->low ? 0 : notes->range.identities.len;

			while (notes_next_identity(notes, &at, &entry))
				if (!identity_add(page, &entry))
					return;
		}
	}
}

static int page_fill(struct page *page, int64_t from, struct error *error)
{
	int64_t low = window_low(page->replica);

	page->low = from > low ? from : low;
	if (from <= low && page->replica->now.has_origins && origins_add(page, error) != 0)
		return error->code;
	if (!replica_has_identities(page->replica))
		return 0;
	if (stored_identities_add(page, error) != 0)
		return error->code;
	if (page->next < 0)
		memory_identities_add(page);
	return 0;
}

int replica_marks(struct replica *replica, int64_t from, struct buffer *buffer, struct error *error)
{
	struct page page = {.replica = replica, .next = -1};
	int rc;

	if (replica_check_serving(replica, error) != 0)
		return error->code;
	if (kv_begin(replica->kv, false, &page.txn, error) != 0)
		return replica_failed(replica, error);
	marks_begin(&page.writer, buffer, replica->identity.incarnation, replica->now.received);
	rc = page_fill(&page, from, error);
	kv_abort(page.txn);
	if (rc != 0)
		return replica_failed(replica, error);
	return marks_end(&page.writer, page.next) ? 0 : error_memory(error, buffer->size);
}

/* Every chunk, and that the last identity is where it is said to be. */
static int chunks_verify(struct kv_txn *txn, int64_t *last, struct error *error)
{
	struct stored_key first = stored_chunk_key(0);
	struct stored_chunk chunk;
	struct identity_entry entry;
	struct kv_cursor *cursor;
	struct slice key;
	struct slice value;
	int64_t number;
	int rc;

	if (kv_cursor_open(txn, KV_TABLE_STATE, &cursor, error) != 0)
		return error->code;
	rc = kv_cursor_seek(cursor, stored_key_slice(&first), &key, &value, error);
	while (rc == 0 && stored_chunk_number(key, &number)) {
		size_t at = 0;

		rc = stored_chunk_decode(number, value, &chunk, error);
		while (rc == 0 && stored_chunk_next(&chunk, &at, &entry))
			*last = entry.offset;
		if (rc == 0)
			rc = kv_cursor_next(cursor, &key, &value, error);
	}
	kv_cursor_close(cursor);
	return rc == ERROR_NOT_FOUND ? 0 : rc;
}

int replica_marks_verify(struct kv_txn *txn, int64_t received, struct error *error)
{
	struct origins *origins = origins_new();
	struct slice value;
	int64_t told = -1;
	int64_t last = -1;
	bool found;
	int rc;

	if (origins == NULL)
		return error_memory(error, sizeof value);
	rc = origins_read(txn, origins, &found, error);
	origins_free(origins);
	if (rc == 0)
		rc = state_get(txn, stored_identities_key(), &value, &found, error);
	if (rc == 0 && found)
		rc = stored_identities_decode(value, &told, error);
	if (rc == 0)
		rc = chunks_verify(txn, &last, error);
	if (rc == 0 && (last != told || last >= received))
		rc = damaged(error, "the last stored identity is not where it is said to be");
	return rc;
}
