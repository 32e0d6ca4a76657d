/* Cutting anew: the documents of a job's parts are cut page by page into words, by the newest rules, or into values; what
 * comes of a slice is kept as a dictionary, and when all are there, written as one. */
#include "shard/core/compact_job.h"
#include "shard/core/words.h"

#include "shared/base/assert.h"

#include <stdlib.h>

/* Bodies that a slice cuts, about; their words become one dictionary. */
#ifndef CUT_SLICE_BYTES /* a test's is smaller, as its segments are */
#define CUT_SLICE_BYTES (4U * 1024 * 1024)
#endif
/* Words that are kept at a time; if the parts have more, they are written in several passes over their documents. */
#ifndef CUT_BYTES_MAX
#define CUT_BYTES_MAX (64U * 1024 * 1024)
#endif
#define CUT_PARTS_MAX 256

_Static_assert(VALUE_KEY_BYTES_MAX >= TEXT_WORD_BYTES_MAX, "a bound has room for a word");

struct compact_cut {
	struct section_writer *sections; /* the job's, where it goes */
	struct terms_writer *terms;
	struct words *words;
	struct fields *fields; /* as stored */
	struct dictionary_builder *builder;
	struct dictionary *parts[CUT_PARTS_MAX]; /* words of this pass, of documents one behind the other */
	size_t parts_len;
	struct dictionary_cursor *cursor; /* through them; NULL: none is open */
	size_t part;                      /* of the job's, whose pages are cut */
	uint32_t page;                    /* the next one */
	uint64_t number;                  /* of the document that is cut; 0: the first one is to come */
	uint64_t documents;               /* read in this pass */
	bool writing;                     /* they are all collected */
	bool collected;                   /* the builder has words */
	struct value_key low;             /* those below it have been written */
	struct value_key bound;           /* those from it on wait for the next pass; none if it is empty */
};

static struct slice key_slice(const struct value_key *key)
{
	return slice_of(key->bytes, key->len);
}

static void parts_free(struct compact_cut *cut)
{
	dictionary_cursor_free(cut->cursor);
	cut->cursor = NULL;
	for (size_t i = 0; i < cut->parts_len; i++)
		dictionary_free(cut->parts[i]);
	cut->parts_len = 0;
}

void compact_cut_free(struct compact_cut *cut)
{
	if (cut == NULL)
		return;
	parts_free(cut);
	dictionary_builder_free(cut->builder);
	fields_free(cut->fields);
	words_free(cut->words);
	free(cut);
}

/* Those of all that is stored: the paths of a document do not depend on rules. */
static int fields_read(struct replica_compact_job *job, struct error *error)
{
	struct stored_key key = stored_fields_key();
	struct slice value;

	job->cut->fields = fields_new();
	if (job->cut->fields == NULL)
		return error_memory(error, sizeof job->cut->fields);
	if (kv_get(job->reading, KV_TABLE_STATE, stored_key_slice(&key), &value, error) != 0)
		return error->code == ERROR_NOT_FOUND ? 0 : error->code;
	return stored_fields_decode(value, job->cut->fields, error);
}

int compact_cut_begin(struct replica_compact_job *job, struct section_writer *sections,
                      struct terms_writer *terms, struct error *error)
{
	struct compact_cut *cut = calloc(1, sizeof *cut);

	job->cut = cut;
	if (cut == NULL)
		return error_memory(error, sizeof *cut);
	cut->sections = sections;
	cut->terms = terms;
	cut->words = words_new();
	cut->builder = dictionary_builder_new();
	if (cut->words == NULL || cut->builder == NULL)
		return error_memory(error, sizeof *cut);
	return fields_read(job, error);
}

/* Another pass has, or will have, those below and those from the bound on. */
static bool collect(void *context, struct slice word, struct place place)
{
	struct compact_cut *cut = context;

	if (slice_compare(word, key_slice(&cut->low)) < 0 ||
	    (cut->bound.len > 0 && slice_compare(word, key_slice(&cut->bound)) >= 0))
		return true;
	cut->collected = true;
	return dictionary_builder_add(cut->builder, word, cut->number, place);
}

static bool collect_key(void *context, struct slice key)
{
	return collect(context, key, (struct place){0, 0});
}

static int damaged(const struct replica_compact_job *job, struct error *error)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
	                 "segment %llu, whose documents are cut anew, has others than it says",
	                 (unsigned long long)job->parts[0].id);
}

/* The values of a document, and its words beside. */
static int keys_cut(struct replica_compact_job *job, struct slice body, struct error *error)
{
	struct compact_cut *cut = job->cut;
	const struct values_sink keys = {collect_key, cut};
	const struct words_sink sink = {collect, cut};
	const struct words_beside beside = {.attributes = &job->attributes->attributes,
	                                    .cuttings = &job->rules,
	                                    .own = job->parts[0].cutting,
	                                    .fields = cut->fields};

	if (words_beside_of_body(cut->words, &beside, body, &sink, error) != 0)
		return error->code;
	return values_of_body(words_text(cut->words), body, beside.attributes, &keys, error);
}

static int terms_cut(struct replica_compact_job *job, struct slice body, struct error *error)
{
	struct compact_cut *cut = job->cut;
	const struct words_sink sink = {collect, cut};
	size_t known = fields_len(cut->fields);
	int rc = job->kind == COMPACT_KIND_BUILD ? keys_cut(job, body, error)
	                                         : words_of_body(cut->words, job->rules.list[0]->rules, body,
	                                                         cut->fields, &sink, error);

	if (rc == 0 && fields_len(cut->fields) != known)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "document %llu has a field that is not stored",
		                 (unsigned long long)cut->number);
	return rc;
}

/* What was received once is JSON: an error that says otherwise speaks of the disk. */
static int body_cut(struct replica_compact_job *job, struct slice body, struct error *error)
{
	struct compact_cut *cut = job->cut;
	int rc = terms_cut(job, body, error);

	if (rc == ERROR_FORMAT || rc == ERROR_LIMIT)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "the body of document %llu cannot be read", (unsigned long long)cut->number);
	return rc;
}

static int page_cut(struct replica_compact_job *job, struct disk_view *view, struct error *error)
{
	struct compact_cut *cut = job->cut;
	struct disk_page page;

	if (disk_page_at(view, cut->page, &page, error) != 0)
		return error->code;
	for (uint32_t place = page.first; place - page.first < page.places; place++) {
		struct disk_entry entry;
		struct slice body;

		if (disk_entry_at(view, place, &entry, error) != 0)
			return error->code;
		if (entry.number <= cut->number || entry.number >= job->parts[cut->part].end)
			return damaged(job, error);
		cut->number = entry.number;
		if (postings_contains(&job->dead, entry.number))
			continue;
		if (disk_body(view, &entry, &body, error) != 0 || body_cut(job, body, error) != 0)
			return error->code;
	}
	cut->documents += page.places;
	job->sliced += page.bytes;
	return 0;
}

static size_t parts_bytes(const struct compact_cut *cut)
{
	size_t bytes = 0;

	for (size_t i = 0; i < cut->parts_len; i++)
		bytes += dictionary_bytes(cut->parts[i]);
	return bytes;
}

static void pass_begin(struct compact_cut *cut)
{
	cut->part = 0;
	cut->page = 0;
	cut->number = 0;
	cut->documents = 0;
	cut->writing = false;
}

/* The pass begins anew, with about the lower half of its words. False if it has one only. */
static bool pass_narrow(struct compact_cut *cut)
{
	const struct dictionary *most = cut->parts[0];
	struct slice middle;

	for (size_t i = 1; i < cut->parts_len; i++)
		if (dictionary_len(cut->parts[i]) > dictionary_len(most))
			most = cut->parts[i];
	if (dictionary_len(most) < 2)
		return false;
	middle = dictionary_at(most, dictionary_len(most) / 2).word;
	memcpy(cut->bound.bytes, middle.ptr, middle.len);
	cut->bound.len = middle.len;
	parts_free(cut);
	pass_begin(cut);
	return true;
}

/* All parts become one. */
static int parts_join(struct compact_cut *cut, struct error *error)
{
	const struct dictionary *parts[CUT_PARTS_MAX];
	struct dictionary *joined;

	memcpy(parts, cut->parts, sizeof parts);
	joined = dictionary_merge(parts, cut->parts_len);
	if (joined == NULL)
		return error_memory(error, parts_bytes(cut));
	parts_free(cut);
	cut->parts[cut->parts_len++] = joined;
	return 0;
}

/* What this slice has collected becomes a part. */
static int part_end(struct compact_cut *cut, struct error *error)
{
	struct dictionary *part;

	if (!cut->collected)
		return 0;
	if (cut->parts_len == CUT_PARTS_MAX && parts_join(cut, error) != 0)
		return error->code;
	part = dictionary_build(cut->builder);
	if (part == NULL)
		return error_memory(error, CUT_SLICE_BYTES);
	dictionary_builder_clear(cut->builder);
	cut->collected = false;
	cut->parts[cut->parts_len++] = part;
	return 0;
}

bool compact_slice_is_full(const struct replica_compact_job *job)
{
	size_t bytes = section_writer_txn_bytes(job->values_sections);

	if (job->kind == COMPACT_KIND_MERGE)
		bytes += section_writer_txn_bytes(job->sections);
	return job->steps == 0 || job->sliced >= CUT_SLICE_BYTES || bytes >= COMPACT_SLICE_BYTES;
}

/* Pages of one of the job's parts. */
static int part_cut(struct replica_compact_job *job, struct error *error)
{
	struct compact_cut *cut = job->cut;
	const struct disk_segment *segment = &job->parts[cut->part];
	struct disk_view *view = disk_view_new(job->reading, segment);
	int rc = 0;

	if (view == NULL)
		return error_memory(error, sizeof *segment);
	for (; rc == 0 && cut->page < disk_pages(segment) && !compact_slice_is_full(job); job->steps--) {
		rc = page_cut(job, view, error);
		cut->page++;
	}
	disk_view_free(view);
	return rc;
}

static uint64_t job_documents(const struct replica_compact_job *job)
{
	uint64_t documents = 0;

	for (size_t i = 0; i < job->parts_len; i++)
		documents += job->parts[i].documents;
	return documents;
}

/* Pages of one slice, and what comes of them. */
static int documents_cut(struct replica_compact_job *job, struct error *error)
{
	struct compact_cut *cut = job->cut;

	while (cut->part < job->parts_len && !compact_slice_is_full(job)) {
		if (part_cut(job, error) != 0)
			return error->code;
		if (cut->page == disk_pages(&job->parts[cut->part])) {
			cut->part++;
			cut->page = 0;
		}
	}
	if (part_end(cut, error) != 0)
		return error->code;
	if (parts_bytes(cut) > CUT_BYTES_MAX && pass_narrow(cut))
		return 0;
	if (cut->part < job->parts_len)
		return 0;
	cut->writing = true;
	return cut->documents == job_documents(job) ? 0 : damaged(job, error);
}

/* The next pass, or the end. */
static void pass_end(struct compact_cut *cut, bool *done)
{
	parts_free(cut);
	*done = cut->bound.len == 0;
	cut->low = cut->bound;
	cut->bound.len = 0;
	pass_begin(cut);
}

static bool cursor_open(struct replica_compact_job *job)
{
	struct compact_cut *cut = job->cut;
	const struct dictionary *parts[CUT_PARTS_MAX];

	if (cut->cursor != NULL)
		return true;
	memcpy(parts, cut->parts, sizeof parts);
	cut->cursor = dictionary_cursor_new(parts, cut->parts_len, job->parts[0].first);
	return cut->cursor != NULL;
}

static int words_write(struct replica_compact_job *job, bool *done, struct error *error)
{
	struct compact_cut *cut = job->cut;
	struct dictionary_entry entry;
	int rc = cut->parts_len > 0 ? 1 : 0;

	if (rc > 0 && !cursor_open(job))
		return error_memory(error, sizeof cut->parts);
	for (; rc > 0 && !compact_slice_is_full(job); job->steps--) {
		rc = dictionary_cursor_next(cut->cursor, NULL, &entry, error);
		if (rc > 0 &&
		    terms_writer_add(cut->terms, cut->sections, entry.word, &entry.list, error) != 0)
			return error->code;
	}
	if (rc == 0)
		pass_end(cut, done);
	return rc < 0 ? rc : 0;
}

int compact_cut_go_on(struct replica_compact_job *job, bool *done, struct error *error)
{
	int rc = 0;

	*done = false;
	while (rc == 0 && !*done && !compact_slice_is_full(job))
		rc = job->cut->writing ? words_write(job, done, error) : documents_cut(job, error);
	return rc;
}
