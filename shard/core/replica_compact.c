/* The life of a compaction job, what it is, and the removal of chunks that nobody reads. */
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
		if (job == NULL ||
		    (job->id != manifest->building[i] && job->values_id != manifest->building[i]))
			orphans[len++] = manifest->building[i];
	return len;
}

static void job_free(struct replica_compact_job *job)
{
	if (job == NULL)
		return;
	compact_merge_deinit(job);
	compact_cut_free(job->cut);
	terms_writer_free(job->values_terms);
	section_writer_free(job->values_sections);
	attributes_release(job->attributes);
	attributes_release(job->unstored);
	cuttings_deinit(&job->rules);
	buffer_deinit(&job->cuttings.bytes);
	manifest_ref_release(job->manifest);
	buffer_deinit(&job->scratch);
	free(job);
}

/* What segments cover and the replica does not want. */
static struct value_cover unwanted(const struct replica *replica)
{
	const struct manifest *manifest = &replica->manifest->manifest;
	struct value_cover covered = {{0}};

	for (size_t i = 0; i < manifest->segments_len; i++)
		value_cover_or(&covered, &manifest->segments[i].values.cover);
	value_cover_and_not(&covered, &replica->attributes->wanted);
	return covered;
}

static struct replica_compact_job *job_new(const struct replica *replica)
{
	struct replica_compact_job *job = calloc(1, sizeof *job);

	if (job == NULL)
		return NULL;
	job->kv = replica->kv;
	job->attributes = attributes_hold(replica->attributes);
	job->unstored = replica_attributes_unstored(replica);
	cuttings_copy(&job->rules, &replica->cuttings);
	buffer_init(&job->cuttings.bytes, STORED_VALUE_BYTES_MAX);
	replica_cuttings_unstored(replica, &job->cuttings);
	job->unwanted = unwanted(replica);
	buffer_init(&job->scratch, STORED_VALUE_BYTES_MAX);
	compact_merge_init(job);
	job->manifest = manifest_ref_new();
	if (job->manifest == NULL || buffer_failed(&job->cuttings.bytes)) {
		job_free(job);
		return NULL;
	}
	return job;
}

/* True if there is something to remove that nobody reads, attributes or rules to store, or something that nobody wants
 * any more. */
static bool removal_choose(struct replica_compact_job *job, struct replica *replica)
{
	const struct manifest *manifest = &replica->manifest->manifest;

	job->removed_len = replica_orphans(replica, job->removed);
	for (size_t i = 0; i < manifest->leaving_len; i++)
		if (!replica_is_read(replica, manifest->leaving[i]))
			job->removed[job->removed_len++] = manifest->leaving[i];
	return job->removed_len > 0 || job->unstored != NULL || job->cuttings.bytes.len > 0 ||
	       !value_cover_is_empty(&job->unwanted);
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

/* Room in `leaving` for what so many segments have, and what a store may put there meanwhile. */
static bool has_room(const struct manifest *manifest, size_t segments)
{
	return manifest->leaving_len + segments * MANIFEST_IDS_A_SEGMENT + MANIFEST_BUILDING_MAX <
	       MANIFEST_LEAVING_MAX;
}

/* Digest of the rules for a segment's own words. */
static uint64_t in_force(const struct replica_compact_job *job)
{
	return job->rules.list[0]->digest;
}

static void merge_prepare(struct replica_compact_job *job, struct replica *replica, size_t at, size_t len)
{
	const struct manifest *manifest = &replica->manifest->manifest;
	uint64_t bytes = COMPACT_SPARE_BYTES;

	job->kind = COMPACT_KIND_MERGE;
	job->parts_len = len;
	job->cover = words_beside_wanted(job->attributes, in_force(job));
	for (size_t i = 0; i < len; i++) {
		job->parts[i] = manifest->segments[at + i];
		bytes += disk_segment_bytes(&job->parts[i]);
		value_cover_and(&job->cover, &job->parts[i].values.cover);
		job->recut = job->recut || job->parts[i].cutting != in_force(job);
	}
	job->id = replica->disk_segment_next++;
	job->values_id = replica->disk_segment_next++;
	replica->builds_next = true;
	map_reserve(replica, bytes);
}

static void build_prepare(struct replica_compact_job *job, struct replica *replica, size_t at)
{
	job->kind = COMPACT_KIND_BUILD;
	job->parts_len = 1;
	job->parts[0] = replica->manifest->manifest.segments[at];
	job->cover = words_beside_wanted(job->attributes, job->parts[0].cutting);
	job->values_id = replica->disk_segment_next++;
	replica->builds_next = false;
	/* keys may take as much as their documents, and hardly more */
	map_reserve(replica, COMPACT_SPARE_BYTES + job->parts[0].bytes);
}

/* The first segment that lacks what is wanted; false if none does. */
static bool lacking_find(const struct manifest *manifest, const struct attributes_ref *attributes, size_t *at)
{
	for (*at = 0; *at < manifest->segments_len; ++*at) {
		const struct disk_segment *segment = &manifest->segments[*at];
		struct value_cover wanted = words_beside_wanted(attributes, segment->cutting);

		if (!value_cover_holds(&segment->values.cover, &wanted))
			return true;
	}
	return false;
}

/* The first of neighbours that lacks what is wanted and another one has: merged, it would be lost. */
static bool loss_find(const struct manifest *manifest, size_t at, size_t len,
                      const struct value_cover *wanted, size_t *loss)
{
	struct value_cover any = {{0}};

	for (size_t i = at; i < at + len; i++)
		value_cover_or(&any, &manifest->segments[i].values.cover);
	value_cover_and(&any, wanted);
	for (*loss = at; *loss < at + len; ++*loss)
		if (!value_cover_holds(&manifest->segments[*loss].values.cover, &any))
			return true;
	return false;
}

/* The first segment whose words were cut by other rules. */
static bool outdated_find(const struct manifest *manifest, uint64_t digest, size_t *at)
{
	for (*at = 0; *at < manifest->segments_len; ++*at)
		if (manifest->segments[*at].cutting != digest)
			return true;
	return false;
}

/* By the policy, or at rest beyond it, which `*rests` says. */
static bool merge_find(const struct replica *replica, size_t *at, size_t *len, bool *rests)
{
	const struct manifest *manifest = &replica->manifest->manifest;
	bool found = manifest_merge_place(manifest, at, len);

	*rests = !found && replica->at_rest && manifest_rest_place(manifest, at, len);
	return (found || *rests) && has_room(manifest, *len);
}

/* A merge, or a build, of words before one of values; false if there is neither. */
static bool work_choose(struct replica_compact_job *job, struct replica *replica)
{
	const struct manifest *manifest = &replica->manifest->manifest;
	const struct value_cover kept = words_beside_wanted(job->attributes, in_force(job));
	size_t at = 0;
	size_t len = 0;
	size_t lacking = 0;
	size_t loss = 0;
	size_t outdated = 0;
	bool rests = false;
	bool merges = merge_find(replica, &at, &len, &rests);
	bool room = has_room(manifest, 1);
	bool recuts = room && outdated_find(manifest, in_force(job), &outdated);
	bool builds = room && lacking_find(manifest, job->attributes, &lacking);
	bool loses = builds && merges && loss_find(manifest, at, len, &kept, &loss);

	if (recuts && !loses && (!merges || replica->builds_next)) {
		merge_prepare(job, replica, outdated, 1);
		replica->builds_next = false;
	} else if (builds && (!merges || loses || replica->builds_next)) {
		build_prepare(job, replica, loses ? loss : lacking);
	} else if (merges) {
		merge_prepare(job, replica, at, len);
		job->rests = rests;
	}
	return recuts || builds || merges;
}

void replica_rest(struct replica *replica, bool at_rest)
{
	replica->at_rest = at_rest;
}

struct replica_compact_job *replica_compact_begin(struct replica *replica)
{
	struct replica_compact_job *job;

	if (replica->compaction != NULL || replica->job != NULL || replica->state == REPLICA_STATE_STOPPED)
		return NULL;
	job = job_new(replica);
	if (job == NULL)
		return NULL;
	if (!removal_choose(job, replica) && !work_choose(job, replica)) {
		job_free(job);
		return NULL;
	}
	replica->compaction = job;
	return job;
}

int compact_write_manifest(struct replica_compact_job *job, struct error *error)
{
	struct manifest *manifest = &job->manifest->manifest;
	struct stored_key key = stored_manifest_key();

	for (size_t i = 0; i < manifest->segments_len; i++)
		value_cover_and_not(&manifest->segments[i].values.cover, &job->unwanted);
	buffer_clear(&job->scratch);
	manifest_encode(manifest, &job->scratch);
	if (buffer_failed(&job->scratch))
		return error_memory(error, job->scratch.len);
	return kv_put(job->txn, KV_TABLE_STATE, stored_key_slice(&key), buffer_slice(&job->scratch), error);
}

int compact_abandon(struct replica_compact_job *job, struct error *error)
{
	struct manifest *manifest = &job->manifest->manifest;
	const uint64_t begun[] = {job->id, job->values_id};

	for (size_t i = 0; i < sizeof begun / sizeof *begun; i++) {
		if (begun[i] == 0)
			continue;
		manifest_building_remove(manifest, begun[i]);
		ASSERT(manifest_leaving_add(manifest, begun[i])); /* the choice saw to the room */
	}
	job->vain = true;
	job->done = true;
	return compact_write_manifest(job, error);
}

/* Chunks of one segment; when it has none any more the manifest forgets it. */
static int removal_slice(struct replica_compact_job *job, struct error *error)
{
	struct manifest *manifest = &job->manifest->manifest;
	uint64_t segment;
	bool left;

	if (job->cuttings.bytes.len > 0 &&
	    cuttings_write(job->txn, buffer_slice(&job->cuttings.bytes), error) != 0)
		return error->code;
	if (job->unstored != NULL && attributes_write(job->txn, job->unstored, &job->scratch, error) != 0)
		return error->code;
	if (job->removed_len == 0) {
		job->done = true;
		return compact_write_manifest(job, error);
	}
	segment = job->removed[job->removed_len - 1];
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
	switch (job->kind) {
	case COMPACT_KIND_MERGE:
		return compact_merge_slice(job, error);
	case COMPACT_KIND_BUILD:
		return compact_build_slice(job, error);
	case COMPACT_KIND_REMOVAL:
		break;
	}
	return removal_slice(job, error);
}

int replica_compact_run(struct replica_compact_job *job, size_t steps, bool *more, struct error *error)
{
	int rc;

	ASSERT(!job->done && steps > 0);
	job->steps = steps;
	job->sliced = 0;
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
	job->begun = job->kind != COMPACT_KIND_REMOVAL;
	*more = !job->done;
	return 0;
}

/* The outcome is what is read from now on. */
static void job_accept(struct replica *replica, struct replica_compact_job *job)
{
	replica_publish(replica, job->manifest);
	job->manifest = NULL;
	replica_attributes_accept(replica, job->unstored);
	job->unstored = NULL;
	if (job->kind == COMPACT_KIND_REMOVAL)
		replica_cuttings_accept(replica, &job->cuttings);
	if (job->kind == COMPACT_KIND_MERGE && !job->vain) {
		postings_and_not(&replica->deleted, &job->dead);
		replica->merges++;
		replica->merged_bytes += section_writer_put_bytes(job->sections) +
		                         section_writer_put_bytes(job->values_sections);
	} else if (job->kind == COMPACT_KIND_BUILD && !job->vain) {
		replica->builds++;
		replica->built_bytes += section_writer_put_bytes(job->values_sections);
	}
	replica_touch(replica);
}

/* What is building stays in `building`, once: a store may have read it there. */
static void job_leave(struct manifest *manifest, uint64_t id)
{
	manifest_building_remove(manifest, id);
	if (id != 0)
		manifest_building_add(manifest, id);
}

/* Chunks of a merge or a build are on disk: the owner's manifest is the one that says so. What a removal has done
 * already is done again, and finds nothing. */
static void job_disown(struct replica *replica, struct replica_compact_job *job)
{
	struct manifest *manifest = &job->manifest->manifest;

	if (!job->begun)
		return;
	*manifest = replica->manifest->manifest;
	job_leave(manifest, job->id);
	job_leave(manifest, job->values_id);
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
