/* The life of a store job: which prefix, the state, and what the replica lets go of afterwards. */
#include "shard/core/compact_job.h"
#include "shard/core/store_job.h"

#include "shared/base/assert.h"
#include "shared/base/knockout.h"

#include <stdlib.h>

/* A new disk segment is larger than its bodies by less than this. */
#define STORE_GROWTH 2
#define STORE_SPARE_BYTES (16ULL * 1024 * 1024)

static void job_free(struct replica_store_job *job)
{
	if (job == NULL)
		return;
	dictionary_cursor_free(job->words);
	dictionary_cursor_free(job->values);
	terms_writer_free(job->values_terms);
	section_writer_free(job->values_sections);
	terms_writer_free(job->terms);
	documents_writer_free(job->documents);
	section_writer_free(job->sections);
	postings_deinit(&job->dropped);
	postings_deinit(&job->killed);
	attributes_release(job->attributes);
	buffer_deinit(&job->cuttings.bytes);
	manifest_ref_release(job->manifest);
	buffer_deinit(&job->fields);
	buffer_deinit(&job->scratch);
	free(job);
}

static size_t identities_of(const struct segment *segment)
{
	size_t len = 0;

	for (const struct notes *notes = segment->notes_first; notes != NULL; notes = notes->next)
		len += notes->range.identities_len;
	return len;
}

static size_t prefix_choose(const struct replica *replica, size_t *bytes)
{
	size_t identities = 0;
	size_t len = 0;

	*bytes = 0;
	while (len < replica->segments_len && len < STORE_SEGMENTS_MAX) {
		size_t more = replica->segments[len]->body_bytes;

		identities += identities_of(replica->segments[len]);
		if (len > 0 && (*bytes + more > STORE_BYTES_MAX || identities > STORE_IDENTITIES_MAX ||
		                replica->segments[len]->cutting != replica->segments[0]->cutting))
			break;
		*bytes += more;
		len++;
	}
	return len;
}

/* Room in the manifest for one more segment, and for all of them to leave. */
static bool has_room(const struct manifest *manifest)
{
	return manifest->segments_len + 1 < MANIFEST_SEGMENTS_MAX &&
	       manifest->leaving_len + manifest->segments_len * MANIFEST_IDS_A_SEGMENT +
	                       MANIFEST_BUILDING_MAX <
	               MANIFEST_LEAVING_MAX;
}

/* A full map costs the job; only here nothing of the replica is open. */
static void map_reserve(struct replica *replica, uint64_t bytes)
{
	struct error error;
	uint64_t used;
	uint64_t map;

	for (;;) {
		kv_size(replica->kv, &used, &map);
		if (map >= used + bytes || kv_grow(replica->kv, &error) != 0)
			return; /* what does not grow now may do so when the job has failed for it */
	}
}

/* Words, documents and fields of the prefix are what the disk gets. */
static bool job_fill(struct replica_store_job *job, const struct replica *replica, size_t len)
{
	job->kv = replica->kv;
	job->identity = replica->identity;
	job->segments_len = len;
	for (size_t i = 0; i < len; i++)
		job->segments[i] = replica->segments[i];
	job->attributes = replica_attributes_unstored(replica);
	replica_cuttings_unstored(replica, &job->cuttings);
	job->cover = replica->attributes->wanted;
	for (size_t i = 0; i < len; i++)
		value_cover_and(&job->cover, &job->segments[i]->cover);
	job->end = replica->segments[len - 1]->end;
	job->manifest = manifest_ref_new();
	job->fields_len = fields_len(replica->fields);
	if (job->fields_len > replica->fields_stored)
		stored_fields_encode(&job->fields, replica->fields, job->fields_len);
	return job->manifest != NULL && !buffer_failed(&job->fields) && !buffer_failed(&job->cuttings.bytes);
}

/* Half of the documents of the last segment, as if its ranges could be cut. */
static void job_cut(struct replica_store_job *job)
{
	const struct segment *segment = job->segments[job->segments_len - 1];
	size_t kept = segment->puts_len - segment->puts_len / 2;

	if (segment->puts_len < 2 || segment->cleared_below > 0)
		return;
	job->in_part = true;
	job->end.number_next = segment->number_first + kept;
	job->end.received = segment->puts[kept - 1]->offset + 1;
	job->end.seals_len = 0;
}

struct replica_store_job *replica_store_begin(struct replica *replica)
{
	const struct manifest *manifest = &replica->manifest->manifest;
	size_t bytes;
	size_t len = prefix_choose(replica, &bytes);
	struct replica_store_job *job;

	if (len == 0 || replica->job != NULL || replica->state == REPLICA_STATE_STOPPED ||
	    !has_room(manifest))
		return NULL;
	job = calloc(1, sizeof *job);
	if (job == NULL)
		return NULL;
	postings_init(&job->dropped);
	postings_init(&job->killed);
	buffer_init(&job->fields, STORED_VALUE_BYTES_MAX);
	buffer_init(&job->cuttings.bytes, STORED_VALUE_BYTES_MAX);
	buffer_init(&job->scratch, STORED_VALUE_BYTES_MAX);
	if (!job_fill(job, replica, len)) {
		job_free(job);
		return NULL;
	}
	if (KNOCKOUT(RANGE_IN_PART))
		job_cut(job);
	map_reserve(replica, bytes * STORE_GROWTH + STORE_SPARE_BYTES);
	job->orphans_len = replica_orphans(replica, job->orphans);
	job->id = replica->disk_segment_next++;
	job->values_id = replica->disk_segment_next++;
	replica->frozen = len;
	replica->job = job;
	return job;
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
	if (stored_state_decode(value, &identity, mark, error) != 0 ||
	    replica_manifest_read(job->txn, &job->manifest->manifest, error) != 0)
		return error->code;
	job->first = mark->number_next;
	if (job->manifest->manifest.segment_next <= job->values_id)
		job->manifest->manifest.segment_next = job->values_id + 1;
	return 0;
}

int job_write_scratch(struct replica_store_job *job, struct stored_key key, struct error *error)
{
	if (buffer_failed(&job->scratch))
		return error_memory(error, job->scratch.len);
	return kv_put(job->txn, KV_TABLE_STATE, stored_key_slice(&key), buffer_slice(&job->scratch), error);
}

void job_begin_building(const struct replica_store_job *job, struct manifest *manifest)
{
	for (size_t i = 0; i < job->orphans_len; i++) {
		manifest_building_remove(manifest, job->orphans[i]);
		ASSERT(manifest_leaving_add(manifest,
		                            job->orphans[i])); /* replica_store_begin saw to the room */
	}
	manifest_building_add(manifest, job->id);
	manifest_building_add(manifest, job->values_id);
}

int job_write_manifest(struct replica_store_job *job, struct error *error)
{
	buffer_clear(&job->scratch);
	manifest_encode(&job->manifest->manifest, &job->scratch);
	return job_write_scratch(job, stored_manifest_key(), error);
}

/* The watermark, in the transaction of the data that it speaks of. */
static int state_write(struct replica_store_job *job, struct error *error)
{
	struct stored_key key = stored_fields_key();

	if (job->fields.len > 0 &&
	    kv_put(job->txn, KV_TABLE_STATE, stored_key_slice(&key), buffer_slice(&job->fields), error) != 0)
		return error->code;
	if (job->cuttings.bytes.len > 0 &&
	    cuttings_write(job->txn, buffer_slice(&job->cuttings.bytes), error) != 0)
		return error->code;
	if (job->attributes != NULL && attributes_write(job->txn, job->attributes, &job->scratch, error) != 0)
		return error->code;
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
static int mark_check(struct replica_store_job *job, struct mark *mark, struct error *error)
{
	struct put_cursor cursor = job_puts(job);
	const struct version *version;

	while ((version = job_put_next(&cursor)) != NULL) {
		hash128_add(&mark->digest, version->digest);
		mark->documents++;
		mark->body_bytes += version->body.len;
	}
	if (job->in_part) {
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

/* The last transaction: the segment is the replica's, with all that it says of others. */
static int manifest_write(struct replica_store_job *job, const struct disk_segment *segment,
                          struct error *error)
{
	struct manifest *manifest = &job->manifest->manifest;

	if (kills_write(job, error) != 0)
		return error->code;
	manifest_building_remove(manifest, job->id);
	manifest_building_remove(manifest, job->values_id);
	if (segment->documents > 0)
		ASSERT(manifest_add(manifest, segment)); /* replica_store_begin saw to the room */
	return job_write_manifest(job, error);
}

static int job_write(struct replica_store_job *job, struct error *error)
{
	struct mark mark = {.received = -1};
	struct disk_segment segment;

	if (state_read(job, &mark, error) != 0 || kills_find(job, &mark, error) != 0 ||
	    mark_check(job, &mark, error) != 0 ||
	    (KNOCKOUT(WATERMARK_APART) && state_write(job, error) != 0) ||
	    segment_write(job, &segment, error) != 0 || manifest_write(job, &segment, error) != 0)
		return error->code;
	return KNOCKOUT(WATERMARK_APART) ? 0 : state_write(job, error);
}

int replica_store_run(struct replica_store_job *job, struct error *error)
{
	if (kv_begin(job->kv, true, &job->txn, error) != 0)
		return error->code;
	if (job_write(job, error) != 0) {
		if (job->txn != NULL)
			kv_abort(job->txn);
		return error->code;
	}
	return kv_commit(job->txn, error);
}

static void chunk_forget(struct replica *replica, const struct chunk *chunk)
{
	for (size_t i = 0; i < chunk->len; i++)
		if (overlay_get(replica, chunk->versions[i].id) == &chunk->versions[i])
			map_remove(&replica->overlay, chunk->versions[i].id);
}

/* A version that is stored now and still the newest is found on disk from here on. */
static void versions_release(struct replica *replica, const struct replica_store_job *job, size_t len)
{
	for (size_t i = 0; i < len; i++)
		for (size_t k = 0; k < job->segments[i]->chunks_len; k++)
			chunk_forget(replica, job->segments[i]->chunks[k]);
	if (replica->overlay.count > 0)
		return;
	/* an idle replica keeps no table of its busiest moment */
	map_deinit(&replica->overlay);
	map_init(&replica->overlay);
}

/* Numbers that neither memory nor disk lists. */
static void deleted_release(struct replica *replica, const struct replica_store_job *job)
{
	if (job->in_part)
		return;
	postings_and_not(&replica->deleted, &job->dropped);
	postings_remove_range(&replica->deleted, 0, job->cleared_below);
	for (size_t i = 0; i < job->left_len; i++)
		postings_remove_range(&replica->deleted, job->left[i].first, job->left[i].end);
}

static void segments_release(struct replica *replica, size_t len)
{
	for (size_t i = 0; i < len; i++)
		segment_release(replica->segments[i]);
	replica->segments_len -= len;
	memmove(replica->segments, replica->segments + len,
	        replica->segments_len * sizeof *replica->segments);
}

static void job_accept(struct replica *replica, struct replica_store_job *job)
{
	size_t len = job->segments_len - (job->in_part ? 1 : 0);

	replica_publish(replica, job->manifest);
	job->manifest = NULL;
	if (job->fields.len > 0)
		replica->fields_stored = job->fields_len;
	replica_attributes_accept(replica, job->attributes);
	job->attributes = NULL;
	replica_cuttings_accept(replica, &job->cuttings);
	versions_release(replica, job, len);
	deleted_release(replica, job);
	segments_release(replica, len);
	replica->stored = job->end.received;
	if (job->sections != NULL)
		replica->stored_bytes += section_writer_put_bytes(job->sections) +
		                         section_writer_put_bytes(job->values_sections);
	replica_touch(replica);
}

/* Chunks of it are on disk: the owner's manifest is the one that says so. */
static void job_disown(struct replica *replica, struct replica_store_job *job)
{
	if (!job->begun)
		return;
	job->manifest->manifest = replica->manifest->manifest;
	job_begin_building(job, &job->manifest->manifest);
	replica_publish(replica, job->manifest);
	job->manifest = NULL;
}

void replica_store_end(struct replica *replica, struct replica_store_job *job, int result,
                       const struct error *error)
{
	struct error growth;

	ASSERT(job == replica->job);
	replica->frozen = 0;
	replica->job = NULL;
	if (result == 0) {
		job_accept(replica, job);
	} else {
		job_disown(replica, job);
		/* a failure to grow shows when the next job meets the same end of the map */
		if (result == ERROR_LIMIT)
			(void)kv_grow(replica->kv, &growth);
		else
			replica_failed(replica, error);
	}
	job_free(job);
}
