/* What a store job takes out of the store: replaced versions, and documents that barriers killed. */
#include "shard/core/store_job.h"

#include <stdlib.h>

/* Documents whose words are collected before they are taken out of the index. */
#define LEAVING_BYTES_MAX (8U * 1024 * 1024)

static int leaving_add(struct replica_store_job *job, const struct stored_id *entry, bool killed,
                       struct error *error)
{
	if (job->leaving_len == job->leaving_size) {
		size_t size = job->leaving_size == 0 ? 64 : job->leaving_size * 2;
		struct leaving *leaving = realloc(job->leaving, size * sizeof *leaving);

		if (leaving == NULL)
			return error_memory(error, size * sizeof *leaving);
		job->leaving = leaving;
		job->leaving_size = size;
	}
	job->leaving[job->leaving_len++] = (struct leaving){.number = entry->number,
	                                                    .key = entry->key,
	                                                    .body_bytes = entry->body_bytes,
	                                                    .killed = killed};
	return 0;
}

static void mark_leave(struct mark *mark, const struct stored_id *entry)
{
	hash128_subtract(&mark->digest, entry->digest);
	mark->documents--;
	mark->body_bytes -= entry->body_bytes;
}

static int replaced_find(struct replica_store_job *job, struct mark *mark, struct error *error)
{
	struct version_cursor cursor = job_versions(job);
	const struct version *version;
	struct stored_id entry;

	while ((version = job_version_next(&cursor)) != NULL) {
		if (!job_is_newest(job, version))
			continue;
		if (job_is_put(job, version)) {
			hash128_add(&mark->digest, version->digest);
			mark->documents++;
			mark->body_bytes += version->body.len;
		}
		if (job->cleared)
			continue;
		if (replica_stored_id(job->txn, version->id, &entry, error) == 0) {
			if (leaving_add(job, &entry, false, error) != 0)
				return error->code;
			mark_leave(mark, &entry);
		} else if (error->code != ERROR_NOT_FOUND) {
			return error->code;
		}
	}
	return 0;
}

/* A stored document that a barrier killed, unless its id is the job's: then it is replaced. */
static int killed_add(struct replica_store_job *job, struct mark *mark, uint64_t number, struct slice value,
                      struct error *error)
{
	struct stored_document document;
	struct stored_id entry;

	if (stored_document_decode(number, value, &document, error) != 0)
		return error->code;
	if (map_get(&job->newest, document.id) != NULL)
		return 0;
	if (replica_stored_id(job->txn, document.id, &entry, error) != 0) {
		if (error->code != ERROR_NOT_FOUND)
			return error->code;
		entry.number = 0;
	}
	if (entry.number != number)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "stored document %llu is not what its id says", (unsigned long long)number);
	mark_leave(mark, &entry);
	return leaving_add(job, &entry, true, error);
}

/* Goes from each killed number to the next that is stored, and so over neither's gaps. */
static int killed_walk(struct replica_store_job *job, struct mark *mark, struct kv_cursor *cursor,
                       struct error *error)
{
	uint64_t wanted = 0;

	while (postings_next(&job->killed, wanted, &wanted)) {
		struct stored_key key = stored_number_key(wanted);
		struct slice found;
		struct slice value;
		uint64_t number;

		if (kv_cursor_seek(cursor, stored_key_slice(&key), &found, &value, error) != 0)
			return error->code == ERROR_NOT_FOUND ? 0 : error->code;
		if (stored_number_decode(found, &number, error) != 0)
			return error->code;
		if (number == wanted && killed_add(job, mark, number, value, error) != 0)
			return error->code;
		wanted = number == wanted ? wanted + 1 : number;
	}
	return 0;
}

int leaving_find(struct replica_store_job *job, struct mark *mark, struct error *error)
{
	struct kv_cursor *cursor;
	int rc;

	if (job->cleared) {
		mark->digest = (struct hash128){0, 0};
		mark->documents = 0;
		mark->body_bytes = 0;
	}
	if (replaced_find(job, mark, error) != 0)
		return error->code;
	if (job->cleared || job->killed.len == 0)
		return 0;
	if (kv_cursor_open(job->txn, KV_TABLE_DOCUMENTS, &cursor, error) != 0)
		return error->code;
	rc = killed_walk(job, mark, cursor, error);
	kv_cursor_close(cursor);
	return rc;
}

static bool leaving_word(void *context, struct slice word)
{
	struct replica_store_job *job = context;

	return dictionary_builder_add(job->builder, word, job->adding);
}

static int leaving_compare(const void *a, const void *b)
{
	const struct leaving *left = a;
	const struct leaving *right = b;

	return left->number < right->number ? -1 : left->number > right->number;
}

/* Something that must be there is not. */
static int missing(struct error *error, uint64_t number)
{
	if (error->code != ERROR_NOT_FOUND)
		return error->code;
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
	                 "stored document %llu lacks its body or its place in the order",
	                 (unsigned long long)number);
}

/* Collects the words of a leaving document and takes it out of DOCUMENTS and ORDER. */
static int document_remove(struct replica_store_job *job, size_t place, struct error *error)
{
	const struct leaving *leaving = &job->leaving[place];
	struct stored_key key = stored_number_key(leaving->number);
	struct words_sink sink = {leaving_word, job};
	struct stored_document document;
	uint8_t id[RECORD_ID_BYTES_MAX];
	struct stored_key order;
	struct slice value;

	if (kv_get(job->txn, KV_TABLE_DOCUMENTS, stored_key_slice(&key), &value, error) != 0)
		return missing(error, leaving->number);
	if (stored_document_decode(leaving->number, value, &document, error) != 0)
		return error->code;
	job->adding = place;
	if (words_of_body(job->words, document.body, &sink, error) != 0)
		return error->code;
	if (document.id.len == 0 || document.id.len > sizeof id)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "stored document %llu has an id of %zu bytes",
		                 (unsigned long long)leaving->number, document.id.len);
	memcpy(id, document.id.ptr, document.id.len); /* borrowed until the transaction writes */
	document.id.ptr = id;
	order = stored_order_key(leaving->key, document.id, leaving->number);
	if (kv_delete(job->txn, KV_TABLE_ORDER, stored_key_slice(&order), error) != 0)
		return missing(error, leaving->number);
	/* the others' ids are the job's to put or delete */
	if (leaving->killed && kv_delete(job->txn, KV_TABLE_IDS, document.id, error) != 0)
		return missing(error, leaving->number);
	return kv_delete(job->txn, KV_TABLE_DOCUMENTS, stored_key_slice(&key), error);
}

/* Every document that was stored was killed. */
static int tables_clear(struct replica_store_job *job, struct error *error)
{
	static const enum kv_table tables[] = {KV_TABLE_IDS, KV_TABLE_DOCUMENTS, KV_TABLE_ORDER,
	                                       KV_TABLE_POSTINGS};

	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		if (kv_clear(job->txn, tables[i], error) != 0)
			return error->code;
	return 0;
}

int leaving_remove(struct replica_store_job *job, struct error *error)
{
	size_t bytes = 0;

	if (job->cleared)
		return tables_clear(job, error);
	if (job->leaving_len == 0)
		return 0;
	/* by number, so that each page is met once */
	qsort(job->leaving, job->leaving_len, sizeof *job->leaving, leaving_compare);
	for (size_t i = 0; i < job->leaving_len; i++) {
		if (bytes > LEAVING_BYTES_MAX) {
			if (postings_write(job, false, error) != 0)
				return error->code;
			dictionary_builder_clear(job->builder);
			bytes = 0;
		}
		bytes += job->leaving[i].body_bytes;
		if (document_remove(job, i, error) != 0)
			return error->code;
	}
	return 0;
}
