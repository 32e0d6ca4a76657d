#include "shard/core/copy_head.h"
#include "shard/core/replica_private.h"

#include "shared/base/assert.h"

#include <stdlib.h>

#ifndef COPY_TRANSACTION_BYTES /* a test's is smaller, as its heads are */
#define COPY_TRANSACTION_BYTES (5U * 1024 * 1024)
#endif
/* What stands in the store beside what is put, and in its pages' gaps. */
#define COPY_SPARE_BYTES (16ULL * 1024 * 1024)

/* How far a copy has come. */
struct reach {
	uint32_t whole; /* units */
	struct section_chain chain;
	struct stored_key last; /* of the last chunk; empty: none yet */
};

struct copy_target {
	struct kv *kv;
	struct incarnation incarnation; /* the new one's */
	struct copy_head head; /* its `state` is in `state`, its entries are borrowed while it is put */
	struct buffer state;
	struct copy_unit units[COPY_UNITS_MAX]; /* of the head's manifest */
	size_t units_len;
	struct reach place;
	struct buffer scratch;
};

typedef int copy_step(struct copy_target *target, struct kv_txn *txn, void *context, struct error *error);

/* One transaction; again with a larger map if that was full. */
static int transact(struct copy_target *target, copy_step *step, void *context, struct error *error)
{
	for (;;) {
		struct kv_txn *txn;
		int rc;

		if (kv_begin(target->kv, true, &txn, error) != 0)
			return error->code;
		rc = step(target, txn, context, error);
		if (rc == 0)
			rc = kv_commit(txn, error);
		else
			kv_abort(txn);
		if (rc != ERROR_LIMIT)
			return rc;
		if (kv_grow(target->kv, error) != 0)
			return error->code;
	}
}

/* Onwards to the first unit that is not whole. */
static void place_settle(const struct copy_target *target, struct reach *place)
{
	if (place->whole < target->units_len)
		section_chain_begin(&place->chain, target->units[place->whole].id,
		                    target->units[place->whole].lengths);
}

/* The manifest of the copy lists nothing that does not come along. */
static int units_take(struct copy_target *target, struct error *error)
{
	struct manifest *manifest = &target->head.manifest;

	manifest->building_len = 0;
	manifest->leaving_len = 0;
	target->units_len = copy_units(manifest, target->units);
	for (size_t i = 1; i < target->units_len; i++)
		if (target->units[i - 1].id == target->units[i].id)
			return error_set(error, ERROR_DAMAGED, ERROR_ACTION_REJECT,
			                 "the copy's manifest lists segment %llu twice",
			                 (unsigned long long)target->units[i].id);
	target->place = (struct reach){.whole = 0};
	place_settle(target, &target->place);
	return 0;
}

bool copy_target_is_whole(const struct copy_target *target)
{
	return target->place.whole == target->units_len;
}

struct slice copy_target_after(const struct copy_target *target)
{
	return stored_key_slice(&target->place.last);
}

static int put(struct kv_txn *txn, struct stored_key key, const struct buffer *value, struct error *error)
{
	if (buffer_failed(value))
		return error_memory(error, value->len);
	return kv_put(txn, KV_TABLE_STATE, stored_key_slice(&key), buffer_slice(value), error);
}

static int place_put(struct copy_target *target, struct kv_txn *txn, const struct reach *place,
                     struct error *error)
{
	struct stored_key key = copy_key();
	struct buffer *value = &target->scratch;

	buffer_clear(value);
	buffer_put_u64(value, 0);
	buffer_put_u64(value, target->head.digest.low);
	buffer_put_u64(value, target->head.digest.high);
	buffer_put_bytes(value, buffer_slice(&target->state));
	buffer_put_u32(value, place->whole);
	buffer_put_u32(value, place->chain.section);
	buffer_put_u64(value, place->chain.at);
	buffer_put_u64(value, place->chain.bytes);
	buffer_put_bytes(value, slice_of(place->chain.word, place->chain.word_len));
	buffer_put_bytes(value, stored_key_slice(&place->last));
	stored_seal(value, 0, stored_key_slice(&key));
	return put(txn, key, value, error);
}

static bool place_read(struct copy_target *target, struct reader *reader)
{
	struct reach *place = &target->place;
	struct slice word;
	struct slice last;

	place->whole = reader_u32(reader);
	if (reader_failed(reader) || place->whole > target->units_len)
		return false;
	place_settle(target, place);
	place->chain.section = reader_u32(reader);
	place->chain.at = reader_u64(reader);
	place->chain.bytes = reader_u64(reader);
	word = reader_bytes(reader);
	last = reader_bytes(reader);
	if (reader_failed(reader) || reader_left(reader) > 0 || place->chain.section > SECTIONS ||
	    word.len > sizeof place->chain.word || last.len > sizeof place->last.bytes)
		return false;
	if (word.len > 0)
		memcpy(place->chain.word, word.ptr, word.len);
	place->chain.word_len = word.len;
	stored_key_append(&place->last, last);
	return true;
}

static int unusable(struct error *error)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
	                 "what is stored of a copy is damaged: it must begin anew");
}

/* What "copy" says; the head's manifest stands beside it. */
static int target_restore(struct copy_target *target, struct slice value, struct kv_txn *txn,
                          struct error *error)
{
	struct stored_key key = copy_key();
	struct reader reader = stored_unseal(value, stored_key_slice(&key));
	struct copy_head *head = &target->head;
	struct slice state;

	head->digest.low = reader_u64(&reader);
	head->digest.high = reader_u64(&reader);
	state = reader_bytes(&reader);
	if (reader_failed(&reader))
		return unusable(error);
	buffer_clear(&target->state);
	buffer_append_slice(&target->state, state);
	if (buffer_failed(&target->state))
		return error_memory(error, state.len);
	if (stored_state_decode(state, &head->identity, &head->mark, error) != 0 ||
	    replica_manifest_read(txn, &head->manifest, error) != 0 || units_take(target, error) != 0)
		return error->code;
	return place_read(target, &reader) ? 0 : unusable(error);
}

int copy_look(struct kv *kv, struct incarnation *incarnation, struct error *error)
{
	struct stored_key key = stored_state_key();
	struct replica_identity found = {.index_id = 0};
	struct slice value;
	struct mark mark;
	struct kv_txn *txn;
	int rc;

	if (kv_begin(kv, false, &txn, error) != 0)
		return error->code;
	rc = kv_get(txn, KV_TABLE_STATE, stored_key_slice(&key), &value, error);
	if (rc == 0)
		rc = stored_state_decode(value, &found, &mark, error);
	kv_abort(txn);
	if (rc != 0 && rc != ERROR_NOT_FOUND)
		return rc;
	*incarnation = found.incarnation;
	return 0;
}

/* What the store holds: ERROR_NOT_FOUND if no head is whole there, ERROR_STATE if that is a replica's. */
static int target_find(struct copy_target *target, struct kv_txn *txn, struct error *error)
{
	struct stored_key state = stored_state_key();
	struct stored_key key = copy_key();
	struct slice value;

	if (kv_get(txn, KV_TABLE_STATE, stored_key_slice(&state), &value, error) == 0)
		return error_set(error, ERROR_STATE, ERROR_ACTION_REJECT,
		                 "a replica is there already: a copy needs an empty store");
	if (error->code != ERROR_NOT_FOUND ||
	    kv_get(txn, KV_TABLE_STATE, stored_key_slice(&key), &value, error) != 0)
		return error->code;
	return target_restore(target, value, txn, error);
}

/* No head is whole: of one that is not, nothing is kept. */
static int begin_step(struct copy_target *target, struct kv_txn *txn, void *context, struct error *error)
{
	uint64_t count = 0;

	(void)target;
	(void)context;
	if (kv_count(txn, KV_TABLE_CHUNKS, &count, error) != 0)
		return error->code;
	if (count > 0)
		return error_set(error, ERROR_STATE, ERROR_ACTION_REJECT,
		                 "documents without a stored state are there: a copy needs an empty store");
	if (kv_clear(txn, KV_TABLE_STATE, error) != 0)
		return error->code;
	return kv_clear(txn, KV_TABLE_DEAD, error);
}

static bool is_put_last(const struct copy_entry *entry)
{
	struct stored_key state = stored_state_key();
	struct stored_key manifest = stored_manifest_key();

	return entry->table == KV_TABLE_STATE && (slice_equal(entry->key, stored_key_slice(&state)) ||
	                                          slice_equal(entry->key, stored_key_slice(&manifest)));
}

/* As many entries as a transaction takes. */
static int entries_step(struct copy_target *target, struct kv_txn *txn, void *context, struct error *error)
{
	struct reader *reader = context;
	struct reader at = *reader;
	struct copy_entry entry;
	size_t bytes = 0;

	(void)target;
	while (bytes < COPY_TRANSACTION_BYTES && copy_head_next(&at, &entry)) {
		if (is_put_last(&entry))
			continue;
		if (kv_put(txn, entry.table, entry.key, entry.value, error) != 0)
			return error->code;
		bytes += entry.key.len + entry.value.len;
	}
	target->head.entries = slice_of(at.ptr, reader_left(&at));
	return 0;
}

static int seals_check(const struct copy_target *target, struct kv_txn *txn, struct error *error)
{
	struct stored_key key = stored_seals_key();
	struct mark mark = target->head.mark;
	struct slice value;

	if (kv_get(txn, KV_TABLE_STATE, stored_key_slice(&key), &value, error) == 0)
		return stored_seals_decode(value, &mark, error);
	return error->code == ERROR_NOT_FOUND ? 0 : error->code;
}

static int fields_check(struct kv_txn *txn, struct error *error)
{
	struct stored_key key = stored_fields_key();
	struct fields *fields;
	struct slice value;
	int rc;

	if (kv_get(txn, KV_TABLE_STATE, stored_key_slice(&key), &value, error) != 0)
		return error->code == ERROR_NOT_FOUND ? 0 : error->code;
	fields = fields_new();
	if (fields == NULL)
		return error_memory(error, value.len);
	rc = stored_fields_decode(value, fields, error);
	fields_free(fields);
	return rc;
}

/* Attributes, and the rules that words were cut by. */
static int cuttings_verify(const struct copy_target *target, struct kv_txn *txn, struct error *error)
{
	struct attributes_ref *attributes = NULL;
	struct cuttings cuttings = {.len = 0};
	int rc = attributes_read(txn, &attributes, error);

	if (rc != 0)
		return rc;
	rc = cuttings_read(txn, &cuttings, error);
	if (rc == 0)
		rc = cuttings_check(&cuttings, &target->head.manifest, error);
	if (rc == 0)
		rc = words_beside_check(&attributes->attributes, &cuttings, error);
	attributes_release(attributes);
	cuttings_deinit(&cuttings);
	return rc;
}

/* All that a replica reads when it is opened, but for the state. */
static int stored_check(struct copy_target *target, struct kv_txn *txn, struct error *error)
{
	struct copy_head *head = &target->head;
	struct postings dead;
	int rc;

	postings_init(&dead);
	rc = replica_dead_read(txn, &dead, error);
	if (rc == 0)
		rc = replica_segments_check(&head->manifest, &dead, &head->mark, error);
	postings_deinit(&dead);
	if (rc == 0)
		rc = seals_check(target, txn, error);
	if (rc == 0)
		rc = fields_check(txn, error);
	if (rc == 0)
		rc = cuttings_verify(target, txn, error);
	return rc == 0 ? replica_marks_verify(txn, head->mark.received, error) : rc;
}

/* The head is whole. */
static int head_step(struct copy_target *target, struct kv_txn *txn, void *context, struct error *error)
{
	(void)context;
	if (stored_check(target, txn, error) != 0)
		return error->code;
	buffer_clear(&target->scratch);
	manifest_encode(&target->head.manifest, &target->scratch);
	if (put(txn, stored_manifest_key(), &target->scratch, error) != 0)
		return error->code;
	return place_put(target, txn, &target->place, error);
}

static int head_put(struct copy_target *target, struct error *error)
{
	struct reader reader = reader_of(target->head.entries);

	if (transact(target, begin_step, NULL, error) != 0)
		return error->code;
	while (reader_left(&reader) > 0) {
		if (transact(target, entries_step, &reader, error) != 0)
			return error->code;
		reader = reader_of(target->head.entries);
	}
	return transact(target, head_step, NULL, error);
}

/* Room for all of it at once; if the map does not grow now, transactions will say so. */
static void map_reserve(struct copy_target *target)
{
	uint64_t bytes = COPY_SPARE_BYTES;
	struct error error;
	uint64_t used;
	uint64_t map;

	for (size_t i = 0; i < target->units_len; i++)
		bytes += target->units[i].bytes;
	for (;;) {
		kv_size(target->kv, &used, &map);
		if (map >= used + bytes || kv_grow(target->kv, &error) != 0)
			return;
	}
}

/* Takes a head that comes now. */
static int head_take(struct copy_target *target, struct slice bytes, const struct replica_identity *identity,
                     struct error *error)
{
	if (copy_head_read(bytes, &target->head, error) != 0 ||
	    replica_identity_check(&target->head.identity, identity, error) != 0 ||
	    units_take(target, error) != 0)
		return error->code;
	buffer_clear(&target->state);
	buffer_append_slice(&target->state, target->head.state);
	if (buffer_failed(&target->state))
		return error_memory(error, target->head.state.len);
	map_reserve(target);
	return head_put(target, error);
}

static int target_begin(struct copy_target *target, struct slice head,
                        const struct replica_identity *identity, struct error *error)
{
	struct copy_head given;
	struct kv_txn *txn;
	int rc;

	if (kv_begin(target->kv, false, &txn, error) != 0)
		return error->code;
	rc = target_find(target, txn, error);
	kv_abort(txn);
	if (rc == ERROR_NOT_FOUND && head.len > 0)
		return head_take(target, head, identity, error);
	if (rc != 0 || replica_identity_check(&target->head.identity, identity, error) != 0)
		return error->code;
	if (head.len == 0)
		return 0;
	if (copy_head_read(head, &given, error) != 0)
		return error->code;
	if (hash128_equal(given.digest, target->head.digest))
		return 0;
	if (target->place.last.len == 0)
		return head_take(target, head, identity, error);
	return error_set(error, ERROR_STATE, ERROR_ACTION_REJECT,
	                 "chunks of another copy are there: a copy needs an empty store");
}

int copy_target_open(struct kv *kv, const struct replica_identity *identity, struct slice head,
                     struct copy_target **out, struct error *error)
{
	struct copy_target *target = calloc(1, sizeof *target);

	if (target == NULL)
		return error_memory(error, sizeof *target);
	target->kv = kv;
	target->incarnation = identity->incarnation;
	buffer_init(&target->state, STORED_VALUE_BYTES_MAX);
	buffer_init(&target->scratch, STORED_VALUE_BYTES_MAX);
	if (target_begin(target, head, identity, error) != 0) {
		copy_target_free(target);
		return error->code;
	}
	*out = target;
	return 0;
}

void copy_target_free(struct copy_target *target)
{
	if (target == NULL)
		return;
	buffer_deinit(&target->state);
	buffer_deinit(&target->scratch);
	free(target);
}

/* The next chunk moves the place on. */
static int place_next(const struct copy_target *target, struct reach *place, struct slice key,
                      struct slice value, struct error *error)
{
	if (place->whole == target->units_len)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_REJECT,
		                 "a copy has chunks behind its last one");
	if (section_chain_next(&place->chain, key, value, error) != 0)
		return error->code;
	place->last.len = 0;
	stored_key_append(&place->last, key);
	if (!section_chain_is_whole(&place->chain))
		return 0;
	if (place->chain.bytes != target->units[place->whole].bytes)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_REJECT,
		                 "segment %llu has another size than its manifest says",
		                 (unsigned long long)place->chain.segment);
	place->whole++;
	place_settle(target, place);
	return 0;
}

static int page_check(const struct copy_target *target, struct slice page, struct reach *place,
                      struct error *error)
{
	struct reader reader = reader_of(page);
	struct slice key;
	struct slice value;
	int rc;

	if (page.len == 0 || page.len > COPY_PAGE_BYTES_MAX)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_REJECT,
		                 page.len == 0 ? "a copy ends before its last chunk"
		                               : "a page of a copy is longer than it may be");
	while ((rc = copy_page_next(&reader, &key, &value, error)) > 0)
		if (place_next(target, place, key, value, error) != 0)
			return error->code;
	return rc;
}

/* A page that was checked, and the place behind it. */
struct checked {
	struct slice page;
	const struct reach *place;
};

static int page_step(struct copy_target *target, struct kv_txn *txn, void *context, struct error *error)
{
	const struct checked *checked = context;
	struct reader reader = reader_of(checked->page);
	struct slice key;
	struct slice value;
	int rc;

	while ((rc = copy_page_next(&reader, &key, &value, error)) > 0)
		if (kv_put(txn, KV_TABLE_CHUNKS, key, value, error) != 0)
			return error->code;
	return rc == 0 ? place_put(target, txn, checked->place, error) : rc;
}

int copy_target_page(struct copy_target *target, struct slice page, struct error *error)
{
	struct reach place = target->place;
	struct checked checked = {page, &place};

	if (page_check(target, page, &place, error) != 0 || transact(target, page_step, &checked, error) != 0)
		return error->code;
	target->place = place;
	return 0;
}

static int finish_step(struct copy_target *target, struct kv_txn *txn, void *context, struct error *error)
{
	struct replica_identity identity = target->head.identity;
	struct stored_key copy = copy_key();

	(void)context;
	if (stored_check(target, txn, error) != 0)
		return error->code;
	identity.incarnation = target->incarnation;
	buffer_clear(&target->scratch);
	stored_state_encode(&target->scratch, &identity, &target->head.mark);
	if (put(txn, stored_state_key(), &target->scratch, error) != 0)
		return error->code;
	return kv_delete(txn, KV_TABLE_STATE, stored_key_slice(&copy), error);
}

int copy_target_finish(struct copy_target *target, struct error *error)
{
	ASSERT(copy_target_is_whole(target));
	return transact(target, finish_step, NULL, error);
}
