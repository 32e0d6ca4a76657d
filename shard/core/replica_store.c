/* The life of a store job: which prefix, its documents and the state, and what the replica lets go of afterwards. */
#include "shard/core/store_job.h"

#include "shared/base/assert.h"
#include "shared/base/knockout.h"

#include <stdlib.h>

/* Bytes of bodies that one transaction takes, unless one segment has more. */
#define STORE_BYTES_MAX (8U * 1024 * 1024)

struct version_cursor job_versions(const struct replica_store_job *job)
{
	return (struct version_cursor){job, 0, job->segments[0]->first, 0, 0};
}

const struct version *job_version_next(struct version_cursor *cursor)
{
	if (cursor->given == cursor->job->versions_len)
		return NULL;
	while (cursor->at == cursor->chunk->len) {
		cursor->at = 0;
		cursor->chunk = cursor->chunk->next;
		while (cursor->chunk == NULL)
			cursor->chunk = cursor->job->segments[++cursor->segment]->first;
	}
	cursor->given++;
	return &cursor->chunk->versions[cursor->at++];
}

bool job_is_newest(const struct replica_store_job *job, const struct version *version)
{
	return *map_get(&job->newest, version->id) == (uint64_t)(uintptr_t)version;
}

bool job_is_put(struct replica_store_job *job, const struct version *version)
{
	return version->kind == OP_KIND_PUT && !postings_contains(&job->killed, version->number);
}

static void job_free(struct replica_store_job *job)
{
	if (job == NULL)
		return;
	map_deinit(&job->newest);
	free(job->leaving);
	free(job->written);
	words_free(job->words);
	dictionary_builder_free(job->builder);
	buffer_deinit(&job->scratch);
	postings_deinit(&job->block);
	postings_deinit(&job->killed);
	free(job);
}

static size_t prefix_choose(const struct replica *replica)
{
	size_t bytes = 0;
	size_t len = 0;

	while (len < replica->segments_len && len < STORE_SEGMENTS_MAX) {
		bytes += replica->segments[len]->body_bytes;
		if (len > 0 && bytes > STORE_BYTES_MAX)
			break;
		len++;
	}
	return len;
}

struct replica_store_job *replica_store_begin(struct replica *replica)
{
	size_t len = prefix_choose(replica);
	struct replica_store_job *job;

	if (len == 0 || replica->job != NULL || replica->state == REPLICA_STATE_STOPPED)
		return NULL;
	job = calloc(1, sizeof *job);
	if (job == NULL)
		return NULL;
	map_init(&job->newest);
	postings_init(&job->block);
	postings_init(&job->killed);
	buffer_init(&job->scratch, STORED_VALUE_BYTES_MAX);
	job->kv = replica->kv;
	job->identity = replica->identity;
	job->segments_len = len;
	for (size_t i = 0; i < len; i++) {
		job->segments[i] = replica->segments[i];
		job->versions_len += replica->segments[i]->versions_len;
	}
	job->end = replica->segments[len - 1]->end;
	job->in_part = KNOCKOUT(RANGE_IN_PART) && replica->segments[len - 1]->versions_len > 1;
	if (job->in_part)
		job->versions_len -= replica->segments[len - 1]->versions_len / 2;
	replica->frozen = len;
	replica->job = job;
	return job;
}

static void written_set(struct replica_store_job *job, uint64_t number)
{
	uint64_t at = number - job->number_first;

	job->written[at / 8] = (uint8_t)(job->written[at / 8] | 1U << (at % 8));
}

bool job_writes(const struct replica_store_job *job, uint64_t number)
{
	uint64_t at = number - job->number_first;

	return (job->written[at / 8] >> (at % 8) & 1) != 0;
}

/* The last version of each id wins; the others are never written. */
static int newest_find(struct replica_store_job *job, struct error *error)
{
	struct version_cursor cursor = job_versions(job);
	const struct version *version;

	while ((version = job_version_next(&cursor)) != NULL)
		if (!map_put(&job->newest, version->id, (uint64_t)(uintptr_t)version))
			return error_memory(error, sizeof *version);
	for (size_t i = 0; i < job->segments_len; i++) {
		postings_or(&job->killed, &job->segments[i]->killed);
		job->cleared = job->cleared || job->segments[i]->cleared;
	}
	job->number_first = 1;
	for (size_t i = job->segments_len; i-- > 0;) {
		const struct segment *segment = job->segments[i];

		if (segment->puts_len == 0)
			continue;
		job->number_first = segment->number_first;
		if (job->numbers == 0)
			job->numbers = segment->number_first + segment->puts_len;
	}
	job->numbers -= job->numbers == 0 ? 0 : job->number_first;
	job->written = calloc(job->numbers / 8 + 1, 1);
	job->words = words_new();
	job->builder = dictionary_builder_new();
	if (job->written == NULL || job->words == NULL || job->builder == NULL)
		return error_memory(error, job->versions_len);
	cursor = job_versions(job);
	while ((version = job_version_next(&cursor)) != NULL)
		if (job_is_newest(job, version) && job_is_put(job, version))
			written_set(job, version->number);
	return 0;
}

static int document_put(struct replica_store_job *job, const struct version *version, struct error *error)
{
	struct stored_key number = stored_number_key(version->number);
	struct stored_key order = stored_order_key(version->key, version->id, version->number);
	struct stored_document document = {version->key, version->id, version->body};
	struct stored_id entry = {version->number, version->key, version->digest,
	                          (uint32_t)version->body.len};
	struct buffer *value = &job->scratch;

	buffer_clear(value);
	stored_document_encode(value, version->number, &document);
	if (buffer_failed(value))
		return error_memory(error, version->body.len);
	if (kv_put(job->txn, KV_TABLE_DOCUMENTS, stored_key_slice(&number), buffer_slice(value), error) != 0)
		return error->code;
	buffer_clear(value);
	stored_id_encode(value, version->id, &entry);
	if (kv_put(job->txn, KV_TABLE_IDS, version->id, buffer_slice(value), error) != 0)
		return error->code;
	buffer_clear(value);
	stored_order_encode(value, stored_key_slice(&order), version->number);
	return kv_put(job->txn, KV_TABLE_ORDER, stored_key_slice(&order), buffer_slice(value), error);
}

static int documents_put(struct replica_store_job *job, struct error *error)
{
	struct version_cursor cursor = job_versions(job);
	const struct version *version;

	while ((version = job_version_next(&cursor)) != NULL) {
		if (!job_is_newest(job, version))
			continue;
		if (job_is_put(job, version)) {
			if (document_put(job, version, error) != 0)
				return error->code;
		} else if (kv_delete(job->txn, KV_TABLE_IDS, version->id, error) != 0 &&
		           error->code != ERROR_NOT_FOUND) {
			return error->code;
		}
	}
	return 0;
}

static int state_read(struct replica_store_job *job, struct mark *mark, struct error *error)
{
	struct stored_key key = stored_state_key();
	struct replica_identity identity;
	struct slice value;

	if (kv_get(job->txn, KV_TABLE_STATE, stored_key_slice(&key), &value, error) != 0) {
		if (error->code == ERROR_NOT_FOUND)
			error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "the stored state is gone");
		return error->code;
	}
	return stored_state_decode(value, &identity, mark, error);
}

int job_write_scratch(struct replica_store_job *job, struct stored_key key, struct error *error)
{
	if (buffer_failed(&job->scratch))
		return error_memory(error, job->scratch.len);
	return kv_put(job->txn, KV_TABLE_STATE, stored_key_slice(&key), buffer_slice(&job->scratch), error);
}

/* The watermark, in the transaction of the data that it speaks of. */
static int state_write(struct replica_store_job *job, struct error *error)
{
	buffer_clear(&job->scratch);
	stored_state_encode(&job->scratch, &job->identity, &job->end);
	if (job_write_scratch(job, stored_state_key(), error) != 0)
		return error->code;
	buffer_clear(&job->scratch);
	stored_seals_encode(&job->scratch, &job->end);
	if (job_write_scratch(job, stored_seals_key(), error) != 0 || marks_write(job, error) != 0)
		return error->code;
	if (!KNOCKOUT(WATERMARK_APART))
		return 0;
	if (kv_commit(job->txn, error) != 0 ||
	    (job->txn = NULL, kv_begin(job->kv, true, &job->txn, error)) != 0) {
		job->txn = NULL;
		return error->code;
	}
	return 0;
}

/* The fold kept in memory and the one on disk are two computations of one thing. */
static int mark_check(struct replica_store_job *job, const struct mark *mark, struct error *error)
{
	const struct version *version;
	struct version_cursor cursor = job_versions(job);

	if (job->in_part) {
		while ((version = job_version_next(&cursor)) != NULL)
			job->end.received = version->offset + 1;
		job->end.seals_len = 0;
		job->end.digest = mark->digest;
		job->end.documents = mark->documents;
		job->end.body_bytes = mark->body_bytes;
	}
	if (hash128_equal(mark->digest, job->end.digest) && mark->documents == job->end.documents &&
	    mark->body_bytes == job->end.body_bytes)
		return 0;
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
	                 "the store holds %llu documents and memory %llu, or their digests differ: the "
	                 "replica must be rebuilt",
	                 (unsigned long long)mark->documents, (unsigned long long)job->end.documents);
}

static int job_write(struct replica_store_job *job, struct error *error)
{
	struct mark mark = {.received = -1};

	if (state_read(job, &mark, error) != 0 || leaving_find(job, &mark, error) != 0 ||
	    mark_check(job, &mark, error) != 0 ||
	    (KNOCKOUT(WATERMARK_APART) && state_write(job, error) != 0) || leaving_remove(job, error) != 0 ||
	    documents_put(job, error) != 0 || postings_write(job, true, error) != 0)
		return error->code;
	return KNOCKOUT(WATERMARK_APART) ? 0 : state_write(job, error);
}

int replica_store_run(struct replica_store_job *job, struct error *error)
{
	if (newest_find(job, error) != 0 || kv_begin(job->kv, true, &job->txn, error) != 0)
		return error->code;
	if (job_write(job, error) != 0) {
		if (job->txn != NULL)
			kv_abort(job->txn);
		return error->code;
	}
	return kv_commit(job->txn, error);
}

/* A version that is stored now and still the newest is found by its id from here on. */
static void versions_release(struct replica *replica, const struct replica_store_job *job)
{
	struct version_cursor cursor = job_versions(job);
	const struct version *version;

	while ((version = job_version_next(&cursor)) != NULL) {
		if (overlay_get(replica, version->id) == version)
			map_remove(&replica->overlay, version->id);
		if (version->kind == OP_KIND_PUT && !job_writes(job, version->number))
			postings_remove(&replica->deleted, version->number);
	}
	for (size_t i = 0; i < job->leaving_len; i++)
		postings_remove(&replica->deleted, job->leaving[i].number);
	postings_and_not(&replica->deleted, &job->killed);
	if (replica->overlay.count == 0) {
		/* an idle replica keeps no table of its busiest moment */
		map_deinit(&replica->overlay);
		map_init(&replica->overlay);
	}
}

static void segments_release(struct replica *replica, size_t len)
{
	for (size_t i = 0; i < len; i++)
		segment_free(replica->segments[i]);
	replica->segments_len -= len;
	memmove(replica->segments, replica->segments + len,
	        replica->segments_len * sizeof *replica->segments);
}

void replica_store_end(struct replica *replica, struct replica_store_job *job, int result,
                       const struct error *error)
{
	struct error growth;

	ASSERT(job == replica->job);
	replica->frozen = 0;
	replica->job = NULL;
	if (result == 0) {
		versions_release(replica, job);
		segments_release(replica, job->segments_len - (job->in_part ? 1 : 0));
		replica->stored = job->end.received;
	} else if (result == ERROR_LIMIT) {
		/* a failure to grow shows when the next job meets the same end of the map */
		(void)kv_grow(replica->kv, &growth);
	} else {
		replica_failed(replica, error);
	}
	job_free(job);
}
