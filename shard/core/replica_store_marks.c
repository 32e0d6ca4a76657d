/*
 * The marks of a store job: identities go into chunks by offset, those that
 * left the window go with them, origins are written anew where they changed.
 */
#include "shard/core/store_job.h"

/* Chunks that one transaction trims, and two for each that it writes: in the long run it keeps up. */
#define TRIM_CHUNKS_MIN 16

/* Walks the job's notes, one range after the other. */
struct notes_cursor {
	const struct replica_store_job *job;
	size_t segment;
	const struct notes *notes;
	size_t at;
};

static struct notes_cursor notes_of(const struct replica_store_job *job)
{
	return (struct notes_cursor){job, 0, job->segments[0]->notes_first, 0};
}

/* True if there are notes at the cursor; goes on to the next segment that has some. */
static bool notes_find(struct notes_cursor *cursor)
{
	while (cursor->notes == NULL) {
		if (++cursor->segment == cursor->job->segments_len)
			return false;
		cursor->notes = cursor->job->segments[cursor->segment]->notes_first;
	}
	return true;
}

static void notes_next(struct notes_cursor *cursor)
{
	cursor->notes = cursor->notes->next;
	cursor->at = 0;
}

static bool identity_next(struct notes_cursor *cursor, struct identity_entry *entry)
{
	while (cursor->segment < cursor->job->segments_len && notes_find(cursor)) {
		if (notes_next_identity(cursor->notes, &cursor->at, entry))
			return true;
		notes_next(cursor);
	}
	return false;
}

static bool origin_next(struct notes_cursor *cursor, struct origin_entry *entry)
{
	while (cursor->segment < cursor->job->segments_len && notes_find(cursor)) {
		if (notes_next_origin(cursor->notes, &cursor->at, entry))
			return true;
		notes_next(cursor);
	}
	return false;
}

static int state_get(struct replica_store_job *job, struct stored_key key, struct slice *value, bool *found,
                     struct error *error)
{
	*found = kv_get(job->txn, KV_TABLE_STATE, stored_key_slice(&key), value, error) == 0;
	return *found || error->code == ERROR_NOT_FOUND ? 0 : error->code;
}

/* What the chunk holds already, in the scratch. */
static int chunk_begin(struct replica_store_job *job, int64_t chunk, struct error *error)
{
	struct stored_chunk stored;
	struct identity_entry entry;
	struct slice value;
	size_t at = 0;
	bool found;

	buffer_clear(&job->scratch);
	stored_chunk_begin(&job->scratch);
	if (state_get(job, stored_chunk_key(chunk), &value, &found, error) != 0)
		return error->code;
	if (!found)
		return 0;
	if (stored_chunk_decode(chunk, value, &stored, error) != 0)
		return error->code;
	while (stored_chunk_next(&stored, &at, &entry))
		stored_chunk_add(&job->scratch, &entry);
	return 0;
}

static int chunk_write(struct replica_store_job *job, int64_t chunk, struct error *error)
{
	stored_chunk_end(&job->scratch, chunk);
	return job_write_scratch(job, stored_chunk_key(chunk), error);
}

static int identities_write(struct replica_store_job *job, size_t *written, struct error *error)
{
	struct notes_cursor cursor = notes_of(job);
	struct identity_entry entry;
	int64_t chunk = -1;
	int64_t last = -1;

	*written = 0;
	while (identity_next(&cursor, &entry)) {
		if (entry.offset / STORED_CHUNK != chunk) {
			if (chunk >= 0 && chunk_write(job, chunk, error) != 0)
				return error->code;
			chunk = entry.offset / STORED_CHUNK;
			if (chunk_begin(job, chunk, error) != 0)
				return error->code;
			++*written;
		}
		stored_chunk_add(&job->scratch, &entry);
		last = entry.offset;
	}
	if (chunk < 0)
		return 0;
	if (chunk_write(job, chunk, error) != 0)
		return error->code;
	buffer_clear(&job->scratch);
	stored_identities_encode(&job->scratch, last);
	return job_write_scratch(job, stored_identities_key(), error);
}

/* The lowest chunk that is stored; -1 if there is none. */
static int chunk_lowest(struct replica_store_job *job, int64_t *chunk, struct error *error)
{
	struct stored_key first = stored_chunk_key(0);
	struct kv_cursor *cursor;
	struct slice key;
	struct slice value;
	int rc;

	if (kv_cursor_open(job->txn, KV_TABLE_STATE, &cursor, error) != 0)
		return error->code;
	rc = kv_cursor_seek(cursor, stored_key_slice(&first), &key, &value, error);
	if (rc != 0 || !stored_chunk_number(key, chunk))
		*chunk = -1;
	kv_cursor_close(cursor);
	return rc == ERROR_NOT_FOUND ? 0 : rc;
}

static int key_delete(struct replica_store_job *job, struct stored_key key, struct error *error)
{
	if (kv_delete(job->txn, KV_TABLE_STATE, stored_key_slice(&key), error) == 0 ||
	    error->code == ERROR_NOT_FOUND)
		return 0;
	return error->code;
}

/* Whole chunks below the window; after the last of them nothing is left, as if there had never been one. */
static int identities_trim(struct replica_store_job *job, size_t written, struct error *error)
{
	int64_t low = job->end.received - job->identity.dedup_window;
	size_t left = TRIM_CHUNKS_MIN + 2 * written;
	int64_t chunk;

	for (;; left--) {
		if (chunk_lowest(job, &chunk, error) != 0)
			return error->code;
		if (chunk < 0)
			return key_delete(job, stored_identities_key(), error);
		if (left == 0 || (chunk + 1) * STORED_CHUNK > low)
			return 0;
		if (key_delete(job, stored_chunk_key(chunk), error) != 0)
			return error->code;
	}
}

/* A feeder lets no more source partitions pass than there is room for. */
static int origin_note(struct origins *origins, const struct origin_entry *entry, struct error *error)
{
	if (origins_note(origins, &entry->origin, error) == 0)
		return 0;
	if (error->code == ERROR_MEMORY)
		return error->code;
	error->code = ERROR_DAMAGED;
	error->action = ERROR_ACTION_FATAL;
	return error_prefix(error, "the record at offset %lld", (long long)entry->offset);
}

static int origins_merge(struct replica_store_job *job, struct origins *origins, struct error *error)
{
	struct notes_cursor cursor = notes_of(job);
	struct origin_entry entry;
	struct slice value;
	bool found;

	if (state_get(job, stored_origins_key(), &value, &found, error) != 0 ||
	    (found && stored_origins_decode(value, origins, error) != 0))
		return error->code;
	while (origin_next(&cursor, &entry))
		if (origin_note(origins, &entry, error) != 0)
			return error->code;
	buffer_clear(&job->scratch);
	stored_origins_encode(&job->scratch, origins);
	return job_write_scratch(job, stored_origins_key(), error);
}

static int origins_write(struct replica_store_job *job, struct error *error)
{
	struct notes_cursor cursor = notes_of(job);
	struct origin_entry entry;
	struct origins *origins;
	int rc;

	if (!origin_next(&cursor, &entry))
		return 0;
	origins = origins_new();
	if (origins == NULL)
		return error_memory(error, sizeof entry);
	rc = origins_merge(job, origins, error);
	origins_free(origins);
	return rc;
}

int marks_write(struct replica_store_job *job, struct error *error)
{
	size_t written = 0;

	if (job->end.identity_last >= 0 &&
	    (identities_write(job, &written, error) != 0 || identities_trim(job, written, error) != 0))
		return error->code;
	return origins_write(job, error);
}
