/* The new disk segment of a store: its documents, then its words, then their values in attributes. */
#include "shard/core/store_job.h"

#include "shared/base/assert.h"

struct put_cursor job_puts(const struct replica_store_job *job)
{
	return (struct put_cursor){job, 0, 0};
}

const struct version *job_put_next(struct put_cursor *cursor)
{
	const struct replica_store_job *job = cursor->job;

	while (cursor->segment < job->segments_len) {
		const struct segment *segment = job->segments[cursor->segment];

		while (cursor->at < segment->puts_len) {
			const struct version *version = segment->puts[cursor->at++];

			if (!postings_contains(&job->dropped, version->number))
				return version;
		}
		cursor->segment++;
		cursor->at = 0;
	}
	return NULL;
}

/* Another transaction, if this one has enough; the first time the manifest says whose the chunks are. */
static int segment_go_on(struct replica_store_job *job, struct error *error)
{
	struct kv_txn *txn = job->txn;
	uint64_t bytes =
		section_writer_txn_bytes(job->sections) + section_writer_txn_bytes(job->values_sections);

	if (bytes < STORE_TRANSACTION_BYTES)
		return 0;
	if (!job->begun) {
		job_begin_building(job, &job->manifest->manifest);
		if (job_write_manifest(job, error) != 0)
			return error->code;
	}
	job->txn = NULL;
	section_writer_use(job->sections, NULL);
	section_writer_use(job->values_sections, NULL);
	if (kv_commit(txn, error) != 0)
		return error->code;
	job->begun = true;
	if (kv_begin(job->kv, true, &job->txn, error) != 0)
		return error->code;
	section_writer_use(job->sections, job->txn);
	section_writer_use(job->values_sections, job->txn);
	return 0;
}

static int documents_write(struct replica_store_job *job, struct error *error)
{
	struct put_cursor cursor = job_puts(job);
	const struct version *version;
	bool more = true;

	while ((version = job_put_next(&cursor)) != NULL) {
		struct new_document document = {version->number, version->key, version->digest, version->id,
		                                version->body};

		if (documents_writer_add(job->documents, &document, error) != 0 ||
		    segment_go_on(job, error) != 0)
			return error->code;
	}
	while (more)
		if (documents_writer_finish(job->documents, &more, error) != 0 ||
		    segment_go_on(job, error) != 0)
			return error->code;
	return 0;
}

static int words_open(struct replica_store_job *job, struct error *error)
{
	const struct dictionary *parts[STORE_SEGMENTS_MAX];

	for (size_t i = 0; i < job->segments_len; i++)
		parts[i] = job->segments[i]->dictionary;
	job->words = dictionary_cursor_new(parts, job->segments_len, job->first);
	return job->words == NULL ? error_memory(error, sizeof parts) : 0;
}

static int words_write(struct replica_store_job *job, struct error *error)
{
	struct dictionary_entry entry;
	int rc = words_open(job, error);

	while (rc == 0 && (rc = dictionary_cursor_next(job->words, &job->dropped, &entry, error)) > 0) {
		rc = terms_writer_add(job->terms, job->sections, entry.word, &entry.list, error);
		if (rc == 0)
			rc = segment_go_on(job, error);
	}
	if (rc == 0)
		rc = terms_writer_finish(job->terms, job->sections, error);
	return rc == 0 ? section_writer_finish(job->sections, error) : rc;
}

static int values_open(struct replica_store_job *job, struct error *error)
{
	const struct dictionary *parts[STORE_SEGMENTS_MAX];
	size_t len = 0;

	for (size_t i = 0; i < job->segments_len; i++)
		if (job->segments[i]->values != NULL)
			parts[len++] = job->segments[i]->values;
	if (len == 0)
		return 0;
	job->values = dictionary_cursor_new(parts, len, job->first);
	return job->values == NULL ? error_memory(error, sizeof parts) : 0;
}

static int values_write(struct replica_store_job *job, struct error *error)
{
	struct dictionary_entry entry;
	int rc = values_open(job, error);

	while (rc == 0 && job->values != NULL &&
	       (rc = dictionary_cursor_next(job->values, &job->dropped, &entry, error)) > 0) {
		rc = 0;
		if (!value_cover_has(&job->cover, value_key_attribute(entry.word)))
			continue;
		rc = terms_writer_add(job->values_terms, job->values_sections, entry.word, &entry.list,
		                      error);
		if (rc == 0)
			rc = segment_go_on(job, error);
	}
	if (rc == 0)
		rc = terms_writer_finish(job->values_terms, job->values_sections, error);
	return rc == 0 ? section_writer_finish(job->values_sections, error) : rc;
}

int segment_write(struct replica_store_job *job, struct disk_segment *segment, struct error *error)
{
	struct put_cursor cursor = job_puts(job);

	*segment = (struct disk_segment){.id = job->id,
	                                 .first = job->first,
	                                 .end = job->end.number_next,
	                                 .cutting = job->segments[0]->cutting};
	if (job_put_next(&cursor) == NULL)
		return 0;
	job->sections = section_writer_new(job->id);
	job->documents = job->sections == NULL ? NULL : documents_writer_new(job->first, job->sections);
	job->terms = terms_writer_new();
	job->values_sections = section_writer_new(job->values_id);
	job->values_terms = terms_writer_new();
	if (job->documents == NULL || job->terms == NULL || job->values_sections == NULL ||
	    job->values_terms == NULL)
		return error_memory(error, sizeof *segment);
	section_writer_use(job->sections, job->txn);
	section_writer_use(job->values_sections, job->txn);
	if (documents_write(job, error) != 0 || words_write(job, error) != 0 || values_write(job, error) != 0)
		return error->code;
	segment->documents = documents_writer_len(job->documents);
	segment->bytes = section_writer_put_bytes(job->sections);
	for (size_t i = 0; i < SECTIONS; i++)
		segment->lengths[i] = section_length(job->sections, (enum section)i);
	value_set_written(&segment->values, job->values_id, &job->cover, job->values_sections);
	return 0;
}
