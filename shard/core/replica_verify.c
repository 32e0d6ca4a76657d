#include "shard/core/replica_private.h"

/* What a pass over one table adds up. */
struct verification {
	struct replica *replica;
	struct kv_txn *txn;
	struct mark mark; /* as the store says */
	struct hash128 digest;
	uint64_t documents;
	uint64_t body_bytes;
	struct postings block;
};

static int damaged(struct error *error, const char *what, uint64_t number)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "%s (document %llu)", what,
	                 (unsigned long long)number);
}

static int document_verify(struct verification *verification, struct slice key, struct slice value,
                           struct error *error)
{
	struct replica *replica = verification->replica;
	struct stored_document document;
	struct stored_id entry;
	struct hash128 digest;
	uint64_t number;

	if (stored_number_decode(key, &number, error) != 0 ||
	    stored_document_decode(number, value, &document, error) != 0)
		return error->code;
	if (replica_stored_id(verification->txn, document.id, &entry, error) != 0)
		return error->code == ERROR_NOT_FOUND ? damaged(error, "a stored document has no id", number)
		                                      : error->code;
	digest = document_digest(replica->identity.index_id, document.id, document.body, document.key,
	                         &replica->scratch);
	if (entry.number != number || entry.body_bytes != document.body.len ||
	    !hash128_equal(entry.digest, digest))
		return damaged(error, "a stored document is not what its id says", number);
	hash128_add(&verification->digest, digest);
	verification->documents++;
	verification->body_bytes += document.body.len;
	return 0;
}

static int order_verify(struct verification *verification, struct slice key, struct slice value,
                        struct error *error)
{
	struct stored_document document;
	struct stored_document stored;
	struct stored_key order;
	struct slice bytes;
	uint64_t number;

	if (stored_order_decode(key, value, &document, &number, error) != 0)
		return error->code;
	order = stored_number_key(number);
	if (kv_get(verification->txn, KV_TABLE_DOCUMENTS, stored_key_slice(&order), &bytes, error) != 0)
		return error->code == ERROR_NOT_FOUND ? damaged(error, "listed but not stored", number)
		                                      : error->code;
	if (stored_document_decode(number, bytes, &stored, error) != 0)
		return error->code;
	order = stored_order_key(stored.key, stored.id, number);
	return slice_equal(key, stored_key_slice(&order))
	               ? 0
	               : damaged(error, "listed in the wrong place", number);
}

static int posting_verify(struct verification *verification, struct slice key, struct slice value,
                          struct error *error)
{
	struct slice word;
	uint64_t block;

	postings_clear(&verification->block);
	if (!stored_postings_split(key, &word, &block))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "a posting list has a malformed key");
	return postings_decode(&verification->block, block, key, value, error);
}

typedef int entry_verify(struct verification *verification, struct slice key, struct slice value,
                         struct error *error);

static int table_verify(struct verification *verification, enum kv_table table, entry_verify *verify,
                        struct error *error)
{
	struct kv_cursor *cursor;
	struct slice key;
	struct slice value;
	int rc;

	if (kv_cursor_open(verification->txn, table, &cursor, error) != 0)
		return error->code;
	rc = kv_cursor_seek(cursor, slice_of("", 1), &key, &value, error);
	while (rc == 0) {
		if (verify(verification, key, value, error) != 0) {
			kv_cursor_close(cursor);
			return error->code;
		}
		rc = kv_cursor_next(cursor, &key, &value, error);
	}
	kv_cursor_close(cursor);
	return rc == ERROR_NOT_FOUND ? 0 : rc;
}

static int counts_verify(struct verification *verification, struct error *error)
{
	uint64_t ids;
	uint64_t order;

	if (kv_count(verification->txn, KV_TABLE_IDS, &ids, error) != 0 ||
	    kv_count(verification->txn, KV_TABLE_ORDER, &order, error) != 0)
		return error->code;
	if (ids != verification->documents || order != verification->documents ||
	    verification->documents != verification->mark.documents ||
	    verification->body_bytes != verification->mark.body_bytes)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "%llu documents, %llu ids and %llu places in the order are stored, the "
		                 "state says %llu documents",
		                 (unsigned long long)verification->documents, (unsigned long long)ids,
		                 (unsigned long long)order, (unsigned long long)verification->mark.documents);
	if (!hash128_equal(verification->digest, verification->mark.digest))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "the stored documents do not add up to the stored digest");
	return 0;
}

static int store_verify(struct verification *verification, struct error *error)
{
	struct stored_key key = stored_state_key();
	struct replica_identity identity;
	struct slice value;

	if (kv_get(verification->txn, KV_TABLE_STATE, stored_key_slice(&key), &value, error) != 0 ||
	    stored_state_decode(value, &identity, &verification->mark, error) != 0 ||
	    table_verify(verification, KV_TABLE_DOCUMENTS, document_verify, error) != 0 ||
	    table_verify(verification, KV_TABLE_ORDER, order_verify, error) != 0 ||
	    table_verify(verification, KV_TABLE_POSTINGS, posting_verify, error) != 0 ||
	    replica_marks_verify(verification->txn, verification->mark.received, error) != 0)
		return error->code;
	return counts_verify(verification, error);
}

int replica_verify(struct replica *replica, struct error *error)
{
	struct verification verification = {.replica = replica};
	int rc;

	if (replica->state == REPLICA_STATE_STOPPED)
		return replica_check_serving(replica, true, error);
	if (kv_begin(replica->kv, false, &verification.txn, error) != 0)
		return replica_failed(replica, error);
	postings_init(&verification.block);
	rc = store_verify(&verification, error);
	postings_deinit(&verification.block);
	kv_abort(verification.txn);
	return rc == 0 ? 0 : replica_failed(replica, error);
}
