/* Reads of a replica: get, list, and what a search shares with them. One read transaction a call. */
#include "shard/core/walk.h"

#include <stdlib.h>

int replica_stored_id(struct kv_txn *txn, struct slice id, struct stored_id *entry, struct error *error)
{
	struct slice value;

	if (kv_get(txn, KV_TABLE_IDS, id, &value, error) != 0)
		return error->code;
	return stored_id_decode(id, value, entry, error);
}

int replica_document(struct replica *replica, struct kv_txn *txn, uint64_t number,
                     struct stored_document *document, struct error *error)
{
	const struct version *version = replica_version(replica, number);
	struct stored_key key = stored_number_key(number);
	struct slice value;

	if (version != NULL) {
		*document = (struct stored_document){version->key, version->id, version->body};
		return 0;
	}
	if (kv_get(txn, KV_TABLE_DOCUMENTS, stored_key_slice(&key), &value, error) != 0) {
		if (error->code == ERROR_NOT_FOUND)
			error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
			          "document %llu is indexed but not stored", (unsigned long long)number);
		return error->code;
	}
	return stored_document_decode(number, value, document, error);
}

static int document_copy(struct document *copy, const struct stored_document *document, uint32_t score,
                         struct arena *arena, struct error *error)
{
	struct document made = {.key = document->key, .score = score};

	if (!arena_copy(arena, document->id, &made.id) || !arena_copy(arena, document->body, &made.body))
		return error_memory(error, document->body.len);
	*copy = made;
	return 0;
}

int reading_begin(struct reading *reading, struct replica *replica, const struct document_request *request,
                  struct error *error)
{
	size_t limit = request->limit;

	if (limit > replica->now.documents)
		limit = (size_t)replica->now.documents;
	*reading = (struct reading){
		.replica = replica, .arena = request->arena, .limit = limit, .keys_only = request->keys_only};
	reading->page.documents = arena_alloc(request->arena, (limit + 1) * sizeof *reading->page.documents);
	if (reading->page.documents == NULL)
		return error_memory(error, limit * sizeof *reading->page.documents);
	return kv_begin(replica->kv, false, &reading->txn, error);
}

int reading_end(struct reading *reading, int rc, struct document_page *page, const struct error *error)
{
	if (reading->txn != NULL)
		kv_abort(reading->txn);
	if (rc != 0)
		return replica_failed(reading->replica, error);
	*page = reading->page;
	return 0;
}

int reading_add(struct reading *reading, const struct stored_document *document, uint32_t score,
                struct error *error)
{
	struct document_page *page = &reading->page;

	if (document_copy(&page->documents[page->count], document, score, reading->arena, error) != 0)
		return error->code;
	page->count++;
	return 0;
}

int reading_add_number(struct reading *reading, uint64_t number, uint32_t score, struct error *error)
{
	struct stored_document document;

	if (replica_document(reading->replica, reading->txn, number, &document, error) != 0)
		return error->code;
	return reading_add(reading, &document, score, error);
}

static int get_stored(struct replica *replica, struct slice id, struct arena *arena,
                      struct document *document, struct error *error)
{
	struct stored_document found = {.id = slice_of(NULL, 0)};
	struct stored_id entry = {.number = 0};
	struct kv_txn *txn;
	int rc;

	if (kv_begin(replica->kv, false, &txn, error) != 0)
		return error->code;
	rc = replica_stored_id(txn, id, &entry, error);
	if (rc == 0 && postings_contains(&replica->deleted, entry.number))
		rc = error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "deleted by a barrier");
	if (rc == 0)
		rc = replica_document(replica, txn, entry.number, &found, error);
	if (rc == 0 && !slice_equal(found.id, id))
		rc = error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		               "the stored entry of id %.*s leads to id %.*s", SLICE_ARGS(id),
		               SLICE_ARGS(found.id));
	if (rc == 0)
		rc = document_copy(document, &found, 0, arena, error);
	kv_abort(txn);
	return rc;
}

static int not_found(struct slice id, struct error *error)
{
	return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "document %.*s not found",
	                 SLICE_ARGS(id));
}

int replica_get(struct replica *replica, struct slice id, bool stale_ok, struct arena *arena,
                struct document *document, struct error *error)
{
	const struct version *version;

	if (replica_check_serving(replica, stale_ok, error) != 0)
		return error->code;
	if (id.len == 0 || id.len > RECORD_ID_BYTES_MAX)
		return not_found(id.len == 0 ? id : slice_of(id.ptr, 64), error);
	version = overlay_get(replica, id);
	if (version != NULL) {
		struct stored_document found = {version->key, version->id, version->body};

		if (version->kind != OP_KIND_PUT || postings_contains(&replica->deleted, version->number))
			return not_found(id, error);
		return document_copy(document, &found, 0, arena, error);
	}
	if (get_stored(replica, id, arena, document, error) == 0)
		return 0;
	if (error->code == ERROR_NOT_FOUND)
		return not_found(id, error);
	return replica_failed(replica, error);
}

static int reading_add_entry(struct reading *reading, const struct walk_entry *entry, struct error *error)
{
	struct stored_document document = {.key = entry->key, .id = entry->id};

	if (reading->keys_only)
		return reading_add(reading, &document, 0, error);
	return reading_add_number(reading, entry->number, 0, error);
}

int reading_list(struct reading *reading, uint64_t offset, struct error *error)
{
	struct replica *replica = reading->replica;
	struct walk_entry entry;
	struct walk *walk;
	int rc = 0;

	reading->page.total = replica->now.documents;
	if (walk_open(replica, reading->txn, &walk, error) != 0)
		return error->code;
	while (reading->page.count < reading->limit && (rc = walk_next(walk, &entry, error)) > 0) {
		if (postings_contains(&replica->deleted, entry.number))
			continue;
		if (offset > 0) {
			offset--;
			continue;
		}
		rc = reading_add_entry(reading, &entry, error);
		if (rc != 0)
			break;
	}
	walk_close(walk);
	return rc < 0 ? rc : 0;
}

int replica_list(struct replica *replica, const struct document_request *request, struct document_page *page,
                 struct error *error)
{
	struct reading reading;
	int rc;

	if (replica_check_serving(replica, request->stale_ok, error) != 0)
		return error->code;
	rc = reading_begin(&reading, replica, request, error);
	if (rc == 0)
		rc = reading_list(&reading, request->offset, error);
	return reading_end(&reading, rc, page, error);
}
