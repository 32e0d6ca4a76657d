/* A build: the documents of one segment are cut into their values anew, page by page; what comes of it takes the place
 * of the values that the segment had. */
#include "shard/core/compact_job.h"

#include "shared/base/assert.h"

#include <stdlib.h>

/* Bodies that a slice cuts, about; their keys become one dictionary. */
#ifndef BUILD_SLICE_BYTES /* a test's is smaller, as its segments are */
#define BUILD_SLICE_BYTES (4U * 1024 * 1024)
#endif
/* Keys that are kept at a time; if a segment has more, they are written in several passes over its documents. */
#ifndef BUILD_BYTES_MAX
#define BUILD_BYTES_MAX (64U * 1024 * 1024)
#endif
#define BUILD_PARTS_MAX 256

struct compact_build {
	struct text *text;
	struct dictionary_builder *builder;
	struct dictionary *parts[BUILD_PARTS_MAX]; /* keys of this pass, of documents one behind the other */
	size_t parts_len;
	struct dictionary_cursor *cursor; /* through them; NULL: they are still collected */
	uint64_t number;                  /* of the document that is cut; 0: the first one is to come */
	uint64_t documents;               /* cut in this pass */
	size_t sliced;                    /* bytes of bodies cut in this slice */
	bool collected;                   /* the builder has keys */
	struct value_key low;             /* keys below it have been written */
	struct value_key bound;           /* keys from it on wait for the next pass; none if it is empty */
};

static struct slice key_slice(const struct value_key *key)
{
	return slice_of(key->bytes, key->len);
}

static void parts_free(struct compact_build *build)
{
	dictionary_cursor_free(build->cursor);
	build->cursor = NULL;
	for (size_t i = 0; i < build->parts_len; i++)
		dictionary_free(build->parts[i]);
	build->parts_len = 0;
}

void compact_build_free(struct compact_build *build)
{
	if (build == NULL)
		return;
	parts_free(build);
	dictionary_builder_free(build->builder);
	text_free(build->text);
	free(build);
}

static bool build_open(struct replica_compact_job *job)
{
	struct compact_build *build = calloc(1, sizeof *build);

	job->build = build;
	if (build == NULL)
		return false;
	build->text = text_new();
	build->builder = dictionary_builder_new();
	job->values_sections = section_writer_new(job->values_id);
	job->values_terms = terms_writer_new();
	return build->text != NULL && build->builder != NULL && job->values_sections != NULL &&
	       job->values_terms != NULL;
}

/* The first slice: to whom the chunks belong until the last one. */
static int build_begin(struct replica_compact_job *job, struct error *error)
{
	struct manifest *manifest = &job->manifest->manifest;

	if (!build_open(job))
		return error_memory(error, sizeof *job->build);
	if (manifest->segment_next <= job->values_id)
		manifest->segment_next = job->values_id + 1;
	manifest_building_add(manifest, job->values_id);
	return compact_write_manifest(job, error);
}

/* Another pass has, or will have, those below and those from the bound on. */
static bool collect(void *context, struct slice key)
{
	struct compact_build *build = context;

	if (slice_compare(key, key_slice(&build->low)) < 0 ||
	    (build->bound.len > 0 && slice_compare(key, key_slice(&build->bound)) >= 0))
		return true;
	build->collected = true;
	return dictionary_builder_add(build->builder, key, build->number, (struct place){0, 0});
}

static int damaged(const struct replica_compact_job *job, struct error *error)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
	                 "segment %llu, read for its values, has other documents than it says",
	                 (unsigned long long)job->parts[0].id);
}

/* What was received once is JSON: an error that says otherwise speaks of the disk. */
static int body_cut(struct replica_compact_job *job, struct slice body, struct error *error)
{
	const struct values_sink sink = {collect, job->build};
	int rc = values_of_body(job->build->text, body, &job->attributes->attributes, &sink, error);

	if (rc == ERROR_FORMAT || rc == ERROR_LIMIT)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "the body of document %llu cannot be read",
		                 (unsigned long long)job->build->number);
	return rc;
}

static int page_cut(struct replica_compact_job *job, struct disk_view *view, struct error *error)
{
	struct disk_page page;

	if (disk_page_at(view, job->page, &page, error) != 0)
		return error->code;
	for (uint32_t place = page.first; place - page.first < page.places; place++) {
		struct disk_entry entry;
		struct slice body;

		if (disk_entry_at(view, place, &entry, error) != 0 ||
		    disk_body(view, &entry, &body, error) != 0)
			return error->code;
		if (entry.number <= job->build->number || entry.number >= job->parts[0].end)
			return damaged(job, error);
		job->build->number = entry.number;
		if (body_cut(job, body, error) != 0)
			return error->code;
	}
	job->build->documents += page.places;
	job->build->sliced += page.bytes;
	return 0;
}

static size_t parts_bytes(const struct compact_build *build)
{
	size_t bytes = 0;

	for (size_t i = 0; i < build->parts_len; i++)
		bytes += dictionary_bytes(build->parts[i]);
	return bytes;
}

static void pass_begin(struct replica_compact_job *job)
{
	job->page = 0;
	job->build->number = 0;
	job->build->documents = 0;
	job->phase = COMPACT_PHASE_DOCUMENTS;
}

/* The pass begins anew, with about the lower half of its keys. False if it has one key only. */
static bool pass_narrow(struct replica_compact_job *job)
{
	struct compact_build *build = job->build;
	const struct dictionary *most = build->parts[0];
	struct slice middle;

	for (size_t i = 1; i < build->parts_len; i++)
		if (dictionary_len(build->parts[i]) > dictionary_len(most))
			most = build->parts[i];
	if (dictionary_len(most) < 2)
		return false;
	middle = dictionary_at(most, dictionary_len(most) / 2).word;
	memcpy(build->bound.bytes, middle.ptr, middle.len);
	build->bound.len = middle.len;
	parts_free(build);
	pass_begin(job);
	return true;
}

/* All parts become one. */
static int parts_join(struct compact_build *build, struct error *error)
{
	const struct dictionary *parts[BUILD_PARTS_MAX];
	struct dictionary *joined;

	memcpy(parts, build->parts, sizeof parts);
	joined = dictionary_merge(parts, build->parts_len);
	if (joined == NULL)
		return error_memory(error, parts_bytes(build));
	parts_free(build);
	build->parts[build->parts_len++] = joined;
	return 0;
}

/* What this slice has collected becomes a part. */
static int part_end(struct replica_compact_job *job, struct error *error)
{
	struct compact_build *build = job->build;
	struct dictionary *part;

	if (!build->collected)
		return 0;
	if (build->parts_len == BUILD_PARTS_MAX && parts_join(build, error) != 0)
		return error->code;
	part = dictionary_build(build->builder);
	if (part == NULL)
		return error_memory(error, BUILD_SLICE_BYTES);
	dictionary_builder_clear(build->builder);
	build->collected = false;
	build->parts[build->parts_len++] = part;
	return 0;
}

static bool slice_is_full(const struct replica_compact_job *job)
{
	return job->steps == 0 || job->build->sliced >= BUILD_SLICE_BYTES ||
	       section_writer_txn_bytes(job->values_sections) >= COMPACT_SLICE_BYTES;
}

/* Pages of one slice, and what comes of them. */
static int documents_cut(struct replica_compact_job *job, struct error *error)
{
	const struct disk_segment *segment = &job->parts[0];
	struct disk_view *view = disk_view_new(job->reading, segment);
	struct compact_build *build = job->build;
	int rc = 0;

	if (view == NULL)
		return error_memory(error, sizeof *segment);
	for (; rc == 0 && job->page < disk_pages(segment) && !slice_is_full(job); job->steps--) {
		rc = page_cut(job, view, error);
		job->page++;
	}
	disk_view_free(view);
	if (rc != 0 || part_end(job, error) != 0)
		return error->code;
	if (parts_bytes(build) > BUILD_BYTES_MAX && pass_narrow(job))
		return 0;
	if (job->page < disk_pages(segment))
		return 0;
	job->phase = COMPACT_PHASE_VALUES;
	return build->documents == segment->documents ? 0 : damaged(job, error);
}

/* The next pass, or the switch. */
static int pass_end(struct replica_compact_job *job, struct error *error)
{
	struct compact_build *build = job->build;

	parts_free(build);
	if (build->bound.len == 0) {
		job->phase = COMPACT_PHASE_SWITCH;
		return terms_writer_finish(job->values_terms, job->values_sections, error);
	}
	build->low = build->bound;
	build->bound.len = 0;
	pass_begin(job);
	return 0;
}

static bool cursor_open(struct replica_compact_job *job)
{
	struct compact_build *build = job->build;
	const struct dictionary *parts[BUILD_PARTS_MAX];

	if (build->cursor != NULL)
		return true;
	memcpy(parts, build->parts, sizeof parts);
	build->cursor = dictionary_cursor_new(parts, build->parts_len, job->parts[0].first);
	return build->cursor != NULL;
}

static int keys_write(struct replica_compact_job *job, struct error *error)
{
	struct compact_build *build = job->build;
	struct dictionary_entry entry;
	int rc;

	if (build->parts_len == 0)
		return pass_end(job, error);
	if (!cursor_open(job))
		return error_memory(error, sizeof build->parts);
	for (; !slice_is_full(job); job->steps--) {
		rc = dictionary_cursor_next(build->cursor, NULL, &entry, error);
		if (rc <= 0)
			return rc < 0 ? rc : pass_end(job, error);
		if (terms_writer_add(job->values_terms, job->values_sections, entry.word, &entry.list,
		                     error) != 0)
			return error->code;
	}
	return 0;
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

static int phase_go_on(struct replica_compact_job *job, size_t at, struct error *error)
{
	switch (job->phase) {
	case COMPACT_PHASE_DOCUMENTS:
		return documents_cut(job, error);
	case COMPACT_PHASE_VALUES:
		return keys_write(job, error);
	case COMPACT_PHASE_ORDER:
	case COMPACT_PHASE_WORDS:
	case COMPACT_PHASE_SWITCH:
		break;
	}
	return build_switch(job, at, error);
}

static int build_go_on(struct replica_compact_job *job, size_t at, struct error *error)
{
	if (!job->begun && build_begin(job, error) != 0)
		return error->code;
	job->build->sliced = 0;
	section_writer_use(job->values_sections, job->txn);
	while (!job->done && !slice_is_full(job))
		if (phase_go_on(job, at, error) != 0)
			return error->code;
	return 0;
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
