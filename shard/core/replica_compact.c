/* The life of a compaction job, and the removal of chunks that nobody reads. */
#include "shard/core/compact_job.h"

#include "shared/base/assert.h"

#include <stdlib.h>

/* Beside what the parts take. */
#define COMPACT_SPARE_BYTES (16ULL * 1024 * 1024)

size_t replica_orphans(const struct replica *replica, uint64_t orphans[MANIFEST_BUILDING_MAX])
{
	const struct manifest *manifest = &replica->manifest->manifest;
	const struct replica_compact_job *job = replica->compaction;
	size_t len = 0;

	for (size_t i = 0; i < manifest->building_len; i++)
		if (job == NULL || job->parts_len == 0 || job->id != manifest->building[i])
			orphans[len++] = manifest->building[i];
	return len;
}

static void job_free(struct replica_compact_job *job)
{
	if (job == NULL)
		return;
	compact_merge_deinit(job);
	manifest_ref_release(job->manifest);
	buffer_deinit(&job->scratch);
	free(job);
}

static struct replica_compact_job *job_new(const struct replica *replica)
{
	struct replica_compact_job *job = calloc(1, sizeof *job);

	if (job == NULL)
		return NULL;
	job->kv = replica->kv;
	buffer_init(&job->scratch, STORED_VALUE_BYTES_MAX);
	compact_merge_init(job);
	job->manifest = manifest_ref_new();
	if (job->manifest == NULL) {
		job_free(job);
		return NULL;
	}
	return job;
}

/* True if there is something to remove that nobody reads. */
static bool removal_choose(struct replica_compact_job *job, struct replica *replica)
{
	const struct manifest *manifest = &replica->manifest->manifest;

	job->removed_len = replica_orphans(replica, job->removed);
	if (manifest->leaving_len > 0 && replica_manifests_drained(replica)) {
		memcpy(job->removed + job->removed_len, manifest->leaving,
		       manifest->leaving_len * sizeof manifest->leaving[0]);
		job->removed_len += manifest->leaving_len;
	}
	return job->removed_len > 0;
}

/* Room on disk for the outcome; a full map costs the job. Only here nothing of the replica is open. */
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

static bool merge_choose(struct replica_compact_job *job, struct replica *replica)
{
	const struct manifest *manifest = &replica->manifest->manifest;
	uint64_t bytes = COMPACT_SPARE_BYTES;
	size_t at;

	if (!manifest_merge_place(manifest, &at, &job->parts_len) ||
	    manifest->leaving_len + job->parts_len + MANIFEST_BUILDING_MAX >= MANIFEST_LEAVING_MAX)
		return false;
	for (size_t i = 0; i < job->parts_len; i++) {
		job->parts[i] = manifest->segments[at + i];
		bytes += job->parts[i].bytes;
	}
	job->id = replica->disk_segment_next++;
	map_reserve(replica, bytes);
	return true;
}

struct replica_compact_job *replica_compact_begin(struct replica *replica)
{
	struct replica_compact_job *job;

	if (replica->compaction != NULL || replica->job != NULL || replica->state == REPLICA_STATE_STOPPED)
		return NULL;
	job = job_new(replica);
	if (job == NULL)
		return NULL;
	if (!removal_choose(job, replica) && !merge_choose(job, replica)) {
		job_free(job);
		return NULL;
	}
	replica->compaction = job;
	return job;
}

int compact_write_manifest(struct replica_compact_job *job, struct error *error)
{
	struct stored_key key = stored_manifest_key();

	buffer_clear(&job->scratch);
	manifest_encode(&job->manifest->manifest, &job->scratch);
	if (buffer_failed(&job->scratch))
		return error_memory(error, job->scratch.len);
	return kv_put(job->txn, KV_TABLE_STATE, stored_key_slice(&key), buffer_slice(&job->scratch), error);
}

/* Chunks of one segment; when it has none any more the manifest forgets it. */
static int removal_slice(struct replica_compact_job *job, struct error *error)
{
	struct manifest *manifest = &job->manifest->manifest;
	uint64_t segment = job->removed[job->removed_len - 1];
	bool left;

	if (section_remove(job->txn, segment, COMPACT_REMOVED_MAX, &left, error) != 0)
		return error->code;
	if (left)
		return 0;
	manifest_building_remove(manifest, segment);
	manifest_leaving_remove(manifest, segment);
	if (compact_write_manifest(job, error) != 0)
		return error->code;
	job->removed_len--;
	job->done = job->removed_len == 0;
	return 0;
}

static int slice(struct replica_compact_job *job, struct error *error)
{
	if (replica_manifest_read(job->txn, &job->manifest->manifest, error) != 0)
		return error->code;
	return job->parts_len == 0 ? removal_slice(job, error) : compact_merge_slice(job, error);
}

int replica_compact_run(struct replica_compact_job *job, size_t steps, bool *more, struct error *error)
{
	int rc;

	ASSERT(!job->done && steps > 0);
	job->steps = steps;
	if (kv_begin(job->kv, true, &job->txn, error) != 0)
		return error->code;
	rc = slice(job, error);
	if (rc == 0)
		rc = kv_commit(job->txn, error);
	else
		kv_abort(job->txn);
	job->txn = NULL;
	if (rc != 0) {
		job->done = false;
		return rc;
	}
	job->begun = job->parts_len > 0;
	*more = !job->done;
	return 0;
}

/* The outcome is what is read from now on. */
static void job_accept(struct replica *replica, struct replica_compact_job *job)
{
	replica_publish(replica, job->manifest);
	job->manifest = NULL;
	if (job->parts_len > 0 && !job->vain) {
		postings_and_not(&replica->deleted, &job->dead);
		replica->merges++;
		replica->merged_bytes += section_writer_put_bytes(job->sections);
	}
	replica_touch(replica);
}

/* Chunks of a merge are on disk: the owner's manifest is the one that says so. What a removal has done already
 * is done again, and finds nothing. */
static void job_disown(struct replica *replica, struct replica_compact_job *job)
{
	struct manifest *manifest = &job->manifest->manifest;

	if (!job->begun)
		return;
	*manifest = replica->manifest->manifest;
	manifest_building_remove(manifest, job->id); /* a store may have read it there */
	manifest_building_add(manifest, job->id);
	replica_publish(replica, job->manifest);
	job->manifest = NULL;
}

void replica_compact_end(struct replica *replica, struct replica_compact_job *job, int result,
                         const struct error *error)
{
	struct error growth;

	ASSERT(job == replica->compaction);
	replica->compaction = NULL;
	if (job->done)
		job_accept(replica, job);
	else
		job_disown(replica, job);
	/* a failure to grow shows when the next job meets the same end of the map */
	if (result == ERROR_LIMIT)
		(void)kv_grow(replica->kv, &growth);
	else if (result != 0)
		replica_failed(replica, error);
	job_free(job);
}
