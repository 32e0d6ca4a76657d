/* A build: what the documents of one segment are cut into takes the place of the values that the segment had. */
#include "shard/core/compact_job.h"

#include "shared/base/assert.h"

/* The first slice: to whom the chunks belong until the last one. */
static int build_begin(struct replica_compact_job *job, struct error *error)
{
	struct manifest *manifest = &job->manifest->manifest;

	job->values_sections = section_writer_new(job->values_id);
	job->values_terms = terms_writer_new();
	if (job->values_sections == NULL || job->values_terms == NULL)
		return error_memory(error, sizeof *job);
	if (compact_cut_begin(job, job->values_sections, job->values_terms, error) != 0)
		return error->code;
	if (manifest->segment_next <= job->values_id)
		manifest->segment_next = job->values_id + 1;
	manifest_building_add(manifest, job->values_id);
	return compact_write_manifest(job, error);
}

/* The values that were there leave. */
static int build_switch(struct replica_compact_job *job, size_t at, struct error *error)
{
	struct manifest *manifest = &job->manifest->manifest;
	struct value_set *values = &manifest->segments[at].values;

	if (section_writer_finish(job->values_sections, error) != 0)
		return error->code;
	manifest_building_remove(manifest, job->values_id);
	ASSERT(values->id == 0 ||
	       manifest_leaving_add(manifest, values->id)); /* the choice saw to the room */
	value_set_written(values, job->values_id, &job->cover, job->values_sections);
	job->done = true;
	return compact_write_manifest(job, error);
}

static int values_cut(struct replica_compact_job *job, struct error *error)
{
	bool done;

	if (compact_cut_go_on(job, &done, error) != 0)
		return error->code;
	if (!done)
		return 0;
	job->phase = COMPACT_PHASE_SWITCH;
	return terms_writer_finish(job->values_terms, job->values_sections, error);
}

static int build_go_on(struct replica_compact_job *job, size_t at, struct error *error)
{
	if (!job->begun && build_begin(job, error) != 0)
		return error->code;
	section_writer_use(job->values_sections, job->txn);
	if (job->phase != COMPACT_PHASE_SWITCH && values_cut(job, error) != 0)
		return error->code;
	if (job->phase != COMPACT_PHASE_SWITCH || compact_slice_is_full(job))
		return 0;
	return build_switch(job, at, error);
}

int compact_build_slice(struct replica_compact_job *job, struct error *error)
{
	size_t at;
	int rc;

	if (!compact_parts_find(job, &at))
		return compact_abandon(job, error);
	if (kv_begin(job->kv, false, &job->reading, error) != 0)
		return error->code;
	rc = build_go_on(job, at, error);
	if (job->values_sections != NULL)
		section_writer_use(job->values_sections, NULL);
	kv_abort(job->reading);
	job->reading = NULL;
	return rc;
}
