/* A merge: pages of the parts one after the other, then their words all at once, likewise their values, then the switch. */
#include "shard/core/compact_job.h"
#include "shard/core/dead.h"

#include "shared/base/assert.h"

#include <stdlib.h>

void compact_merge_init(struct replica_compact_job *job)
{
	postings_init(&job->dead);
	posting_writer_init(&job->list);
	buffer_init(&job->joined, STORED_VALUE_BYTES_MAX);
}

void compact_merge_deinit(struct replica_compact_job *job)
{
	terms_writer_free(job->terms);
	documents_writer_free(job->documents);
	section_writer_free(job->sections);
	posting_writer_deinit(&job->list);
	buffer_deinit(&job->joined);
	postings_deinit(&job->dead);
	free(job->sources);
}

bool compact_parts_find(const struct replica_compact_job *job, size_t *at)
{
	const struct manifest *manifest = &job->manifest->manifest;
	size_t from = 0;

	while (from < manifest->segments_len && manifest->segments[from].id != job->parts[0].id)
		from++;
	if (from + job->parts_len > manifest->segments_len)
		return false;
	for (size_t i = 0; i < job->parts_len; i++)
		if (manifest->segments[from + i].id != job->parts[i].id)
			return false;
	*at = from;
	return true;
}

static uint64_t parts_first(const struct replica_compact_job *job)
{
	return job->parts[0].first;
}

static uint64_t parts_end(const struct replica_compact_job *job)
{
	return job->parts[job->parts_len - 1].end;
}

/* The first slice: what is dead now, and to whom the chunks belong until the last one. */
static int merge_begin(struct replica_compact_job *job, struct error *error)
{
	struct manifest *manifest = &job->manifest->manifest;

	job->sources = calloc(job->parts_len, sizeof *job->sources);
	job->sections = section_writer_new(job->id);
	job->documents = job->sections == NULL ? NULL : documents_writer_new(parts_first(job), job->sections);
	job->terms = terms_writer_new();
	job->values_sections = section_writer_new(job->values_id);
	job->values_terms = terms_writer_new();
	if (job->sources == NULL || job->documents == NULL || job->terms == NULL ||
	    job->values_sections == NULL || job->values_terms == NULL)
		return error_memory(error, job->parts_len * sizeof *job->sources);
	if (manifest->segment_next <= job->values_id)
		manifest->segment_next = job->values_id + 1;
	manifest_building_add(manifest, job->id);
	manifest_building_add(manifest, job->values_id);
	if (dead_read(job->reading, parts_first(job), parts_end(job), &job->dead, error) != 0)
		return error->code;
	return compact_write_manifest(job, error);
}

static int source_view(struct replica_compact_job *job, size_t part, struct error *error)
{
	struct compact_source *source = &job->sources[part];

	if (source->view == NULL)
		source->view = disk_view_new(job->reading, &job->parts[part]);
	return source->view == NULL ? error_memory(error, sizeof *source) : 0;
}

static int documents_merge(struct replica_compact_job *job, struct error *error)
{
	for (; !compact_slice_is_full(job); job->steps--) {
		while (job->part < job->parts_len && job->page == disk_pages(&job->parts[job->part])) {
			job->part++;
			job->page = 0;
		}
		if (job->part == job->parts_len) {
			job->phase = COMPACT_PHASE_ORDER;
			return 0;
		}
		if (source_view(job, job->part, error) != 0 ||
		    documents_writer_add_page(job->documents, job->sources[job->part].view, job->page,
		                              &job->dead, &job->dropped, error) != 0)
			return error->code;
		job->page++;
	}
	return 0;
}

static int order_merge(struct replica_compact_job *job, struct error *error)
{
	bool more = false;

	job->steps--;
	if (documents_writer_finish(job->documents, &more, error) != 0)
		return error->code;
	if (!more)
		job->phase = COMPACT_PHASE_WORDS;
	return 0;
}

static int source_next(struct compact_source *source, struct error *error)
{
	int rc = source->terms == NULL ? 0 : terms_cursor_next(&source->cursor, &source->term, error);

	source->has_term = rc > 0;
	return rc < 0 ? rc : 0;
}

/* What the cursor goes through: the part's words, or its keys. */
static int source_terms(struct replica_compact_job *job, size_t part, struct error *error)
{
	struct compact_source *source = &job->sources[part];
	const struct value_set *values = &job->parts[part].values;

	source->terms = NULL;
	if (job->phase == COMPACT_PHASE_WORDS) {
		if (source_view(job, part, error) != 0)
			return error->code;
		source->terms = disk_view_sections(source->view);
		return 0;
	}
	if (values->id == 0)
		return 0;
	if (source->values == NULL)
		source->values = section_reader_new(job->reading, values->id, values->lengths);
	source->terms = source->values;
	return source->terms == NULL ? error_memory(error, sizeof *source) : 0;
}

/* A cursor of this slice's own, behind the word that was written last. */
static int source_open(struct replica_compact_job *job, size_t part, struct error *error)
{
	struct compact_source *source = &job->sources[part];
	struct slice word = slice_of(job->word, job->word_len);

	if (source_terms(job, part, error) != 0)
		return error->code;
	terms_cursor_init(&source->cursor, source->terms);
	if (source->terms != NULL && word.len > 0 && terms_cursor_seek(&source->cursor, word, error) != 0)
		return error->code;
	if (source_next(source, error) != 0)
		return error->code;
	if (word.len > 0 && source->has_term && slice_equal(source->term.word, word))
		return source_next(source, error);
	return 0;
}

/* The smallest word that is left; false if none is. */
static bool word_choose(struct replica_compact_job *job)
{
	const struct term *best = NULL;

	for (size_t i = 0; i < job->parts_len; i++) {
		const struct compact_source *source = &job->sources[i];

		if (source->has_term && (best == NULL || slice_compare(source->term.word, best->word) < 0))
			best = &source->term;
	}
	if (best == NULL)
		return false;
	ASSERT(best->word.len <= sizeof job->word);
	memcpy(job->word, best->word.ptr, best->word.len);
	job->word_len = best->word.len;
	return true;
}

/* What the parts have of the word, as one list. */
static int lists_join(struct replica_compact_job *job, struct slice word, struct error *error)
{
	posting_writer_begin(&job->list, parts_first(job));
	for (size_t i = 0; i < job->parts_len; i++) {
		struct compact_source *source = &job->sources[i];
		struct posting_list list;

		if (!source->has_term || !slice_equal(source->term.word, word))
			continue;
		if (terms_list(source->terms, &source->term, job->parts[i].first, &job->joined, &list,
		               error) != 0 ||
		    posting_writer_append(&job->list, &list, &job->dead, error) != 0 ||
		    source_next(source, error) != 0)
			return error->code;
	}
	return 0;
}

static int word_merge(struct replica_compact_job *job, struct error *error)
{
	struct slice word = slice_of(job->word, job->word_len);
	struct posting_list list;

	if (lists_join(job, word, error) != 0 || posting_writer_end(&job->list, &list, error) != 0)
		return error->code;
	if (list.count == 0)
		return 0;
	if (job->phase == COMPACT_PHASE_WORDS)
		return terms_writer_add(job->terms, job->sections, word, &list, error);
	if (!value_cover_has(&job->cover, value_key_attribute(word)))
		return 0;
	return terms_writer_add(job->values_terms, job->values_sections, word, &list, error);
}

/* After the last word, or key. */
static int words_end(struct replica_compact_job *job, struct error *error)
{
	if (job->phase == COMPACT_PHASE_VALUES) {
		job->phase = COMPACT_PHASE_SWITCH;
		return terms_writer_finish(job->values_terms, job->values_sections, error);
	}
	job->phase = COMPACT_PHASE_VALUES;
	job->word_len = 0;
	return terms_writer_finish(job->terms, job->sections, error);
}

static int words_merge(struct replica_compact_job *job, struct error *error)
{
	for (size_t i = 0; i < job->parts_len; i++)
		if (source_open(job, i, error) != 0)
			return error->code;
	for (; !compact_slice_is_full(job); job->steps--) {
		if (!word_choose(job))
			return words_end(job, error);
		if (word_merge(job, error) != 0)
			return error->code;
	}
	return 0;
}

/* The words that the documents' bodies are cut into now. */
static int words_cut(struct replica_compact_job *job, struct error *error)
{
	bool done;

	if (job->cut == NULL && compact_cut_begin(job, job->sections, job->terms, error) != 0)
		return error->code;
	if (compact_cut_go_on(job, &done, error) != 0)
		return error->code;
	return done ? words_end(job, error) : 0;
}

/* One above the highest of its parts; what a rest joins to a single one of the highest leaves that as it was. */
static uint32_t outcome_level(const struct replica_compact_job *job)
{
	uint32_t level = 0;
	size_t highest = 0;

	for (size_t i = 0; i < job->parts_len; i++) {
		if (job->parts[i].level > level) {
			level = job->parts[i].level;
			highest = 0;
		}
		highest += job->parts[i].level == level;
	}
	return highest > 1 || (job->parts_len > 1 && !job->rests) ? level + 1 : level;
}

static int merge_check(const struct replica_compact_job *job, struct error *error)
{
	uint64_t documents = 0;

	for (size_t i = 0; i < job->parts_len; i++)
		documents += job->parts[i].documents;
	if (documents == documents_writer_len(job->documents) + job->dropped &&
	    job->dropped == postings_count(&job->dead))
		return 0;
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
	                 "a merge of %llu documents of which %llu are dead left %u",
	                 (unsigned long long)documents, (unsigned long long)postings_count(&job->dead),
	                 documents_writer_len(job->documents));
}

/* Those that died during the merge are dead in the outcome; one that has nothing else is none. */
static int outcome_bury(struct replica_compact_job *job, struct disk_segment *outcome, struct error *error)
{
	struct postings dead;
	int rc;

	if (dead_remove(job->txn, &job->dead, error) != 0)
		return error->code;
	postings_init(&dead);
	rc = dead_read(job->txn, outcome->first, outcome->end, &dead, error);
	outcome->dead = (uint32_t)postings_count(&dead);
	if (rc == 0 && outcome->dead == outcome->documents) {
		rc = dead_remove(job->txn, &dead, error);
		postings_or(&job->dead, &dead);
	}
	postings_deinit(&dead);
	return rc;
}

static int merge_switch(struct replica_compact_job *job, size_t at, struct error *error)
{
	struct manifest *manifest = &job->manifest->manifest;
	struct disk_segment outcome = {.id = job->id,
	                               .level = outcome_level(job),
	                               .first = parts_first(job),
	                               .end = parts_end(job),
	                               .documents = documents_writer_len(job->documents),
	                               .cutting = job->rules.list[0]->digest};
	bool empty;

	if (merge_check(job, error) != 0 || section_writer_finish(job->sections, error) != 0 ||
	    section_writer_finish(job->values_sections, error) != 0 ||
	    outcome_bury(job, &outcome, error) != 0)
		return error->code;
	empty = outcome.dead == outcome.documents;
	outcome.bytes = section_writer_put_bytes(job->sections);
	for (size_t i = 0; i < SECTIONS; i++)
		outcome.lengths[i] = section_length(job->sections, (enum section)i);
	value_set_written(&outcome.values, job->values_id, &job->cover, job->values_sections);
	manifest_building_remove(manifest, job->id);
	manifest_building_remove(manifest, job->values_id);
	ASSERT(manifest_replace(manifest, at, job->parts_len, empty ? NULL : &outcome));
	ASSERT(!empty ||
	       (manifest_leaving_add(manifest, job->id) && manifest_leaving_add(manifest, job->values_id)));
	job->done = true;
	return compact_write_manifest(job, error);
}

static int phase_go_on(struct replica_compact_job *job, size_t at, struct error *error)
{
	switch (job->phase) {
	case COMPACT_PHASE_DOCUMENTS:
		return documents_merge(job, error);
	case COMPACT_PHASE_ORDER:
		return order_merge(job, error);
	case COMPACT_PHASE_WORDS:
		return job->recut ? words_cut(job, error) : words_merge(job, error);
	case COMPACT_PHASE_VALUES:
		return words_merge(job, error);
	case COMPACT_PHASE_SWITCH:
		break;
	}
	return merge_switch(job, at, error);
}

static int merge_go_on(struct replica_compact_job *job, size_t at, struct error *error)
{
	if (!job->begun && merge_begin(job, error) != 0)
		return error->code;
	section_writer_use(job->sections, job->txn);
	section_writer_use(job->values_sections, job->txn);
	while (!job->done && !compact_slice_is_full(job))
		if (phase_go_on(job, at, error) != 0)
			return error->code;
	return 0;
}

/* Views are of one transaction; the writers keep what they need. */
static void slice_end(struct replica_compact_job *job)
{
	for (size_t i = 0; job->sources != NULL && i < job->parts_len; i++) {
		disk_view_free(job->sources[i].view);
		job->sources[i].view = NULL;
		section_reader_free(job->sources[i].values);
		job->sources[i].values = NULL;
		job->sources[i].has_term = false;
	}
	if (job->sections != NULL)
		section_writer_use(job->sections, NULL);
	if (job->values_sections != NULL)
		section_writer_use(job->values_sections, NULL);
	kv_abort(job->reading);
	job->reading = NULL;
}

int compact_merge_slice(struct replica_compact_job *job, struct error *error)
{
	size_t at;
	int rc;

	if (!compact_parts_find(job, &at))
		return compact_abandon(job, error);
	if (kv_begin(job->kv, false, &job->reading, error) != 0)
		return error->code;
	rc = merge_go_on(job, at, error);
	slice_end(job);
	return rc;
}
