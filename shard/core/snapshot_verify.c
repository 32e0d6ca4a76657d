/* Verification: all that is on disk is read, and held against itself and against the state. */
#include "shard/core/reading.h"
#include "shard/core/words.h"

#include <stdlib.h>

struct verification {
	uint64_t index_id;
	struct words *words;
	struct kv_txn *txn;
	struct mark mark; /* as the store says */
	struct attributes_ref *attributes;
	struct cuttings cuttings;
	const struct cutting *own; /* of the segment at hand */
	struct attributes covered; /* those that it covers */
	struct value_cover cover;
	struct manifest manifest;
	struct views views;
	struct postings dead;
	struct hash128 digest; /* of live documents, and so on */
	uint64_t documents;
	uint64_t body_bytes;
	uint64_t dead_listed;
	struct section_reader *values; /* of the segment at hand, while they are read; NULL: its words are */
	struct postings listed;        /* of the segment at hand */
	struct postings word;          /* a word's numbers in it */
	struct buffer joined;
	struct buffer scratch;
	struct dictionary_builder *builder; /* words of some documents of the segment */
	struct fields *fields;              /* numbers that nobody compares */
	uint64_t number;                    /* of the document whose words are collected */
	size_t collected_bytes;
	uint64_t cut;   /* sum over what its documents' bodies are cut into */
	uint64_t found; /* over what its lists say */
};

/* Bodies whose words are collected at a time. */
#define COLLECTED_BYTES_MAX (1U << 20)

static int damaged(struct error *error, const char *what, uint64_t number)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "%s (document %llu)", what,
	                 (unsigned long long)number);
}

/* Each number of a word's list, in a sum that knows no order. */
static int list_add(uint64_t *sum, struct slice word, const struct posting_list *list, struct error *error)
{
	struct posting_cursor cursor;
	uint64_t number;
	int rc;

	posting_cursor_init(&cursor, list);
	while ((rc = posting_cursor_next(&cursor, &number, error)) > 0)
		*sum += hash64(word, number);
	return rc;
}

static int collected_add(struct verification *verification, struct error *error)
{
	struct dictionary *dictionary = dictionary_build(verification->builder);
	int rc = 0;

	if (dictionary == NULL)
		return error_memory(error, verification->collected_bytes);
	for (size_t i = 0; rc == 0 && i < dictionary_len(dictionary); i++) {
		struct dictionary_entry entry = dictionary_at(dictionary, i);

		rc = list_add(&verification->cut, entry.word, &entry.list, error);
	}
	dictionary_free(dictionary);
	dictionary_builder_clear(verification->builder);
	verification->collected_bytes = 0;
	return rc;
}

static bool collect_word(void *context, struct slice word, struct place place)
{
	struct verification *verification = context;

	return dictionary_builder_add(verification->builder, word, verification->number, place);
}

/* Beside the words: none of them begins as a key does. */
static bool collect_key(void *context, struct slice key)
{
	return collect_word(context, key, (struct place){0, 0});
}

static int words_collect(struct verification *verification, uint64_t number, struct slice body,
                         struct error *error)
{
	struct words_sink sink = {collect_word, verification};
	struct values_sink keys = {collect_key, verification};
	struct words_beside beside = {.attributes = &verification->covered,
	                              .cuttings = &verification->cuttings,
	                              .own = verification->own->digest,
	                              .fields = verification->fields};

	verification->number = number;
	verification->collected_bytes += body.len;
	if (words_of_body(verification->words, verification->own->rules, body, verification->fields, &sink,
	                  error) != 0 ||
	    words_beside_of_body(verification->words, &beside, body, &sink, error) != 0)
		return error->code;
	if (values_of_body(words_text(verification->words), body, &verification->covered, &keys, error) != 0)
		return error->code;
	return verification->collected_bytes < COLLECTED_BYTES_MAX ? 0 : collected_add(verification, error);
}

/* A live document is what its id leads to, through all segments. */
static int live_verify(struct verification *verification, const struct disk_entry *entry, struct slice id,
                       struct slice body, struct error *error)
{
	struct disk_entry newest;
	struct disk_view *view;

	if (views_find(&verification->views, id, &newest, &view, error) != 0)
		return error->code == ERROR_NOT_FOUND
		               ? damaged(error, "a stored document has no id", entry->number)
		               : error->code;
	if (newest.number != entry->number)
		return damaged(error, "a stored document is not what its id says", entry->number);
	hash128_add(&verification->digest, entry->digest);
	verification->documents++;
	verification->body_bytes += body.len;
	return 0;
}

static int document_verify(struct verification *verification, struct disk_view *view,
                           const struct disk_entry *entry, struct error *error)
{
	uint8_t kept[RECORD_ID_BYTES_MAX];
	struct hash128 digest;
	struct slice body;
	struct slice id;

	if (disk_id(view, entry, &id, error) != 0 || disk_body(view, entry, &body, error) != 0)
		return error->code;
	if (id.len == 0 || id.len > sizeof kept || body.len != entry->body_bytes)
		return damaged(error, "a stored document has no id, or another body than said",
		               entry->number);
	digest = document_digest(verification->index_id, id, body, entry->key, &verification->scratch);
	if (buffer_failed(&verification->scratch))
		return error_memory(error, body.len);
	if (!hash128_equal(entry->digest, digest))
		return damaged(error, "a stored document is not what its digest says", entry->number);
	if (words_collect(verification, entry->number, body, error) != 0)
		return error->code;
	if (postings_contains(&verification->dead, entry->number))
		return 0;
	memcpy(kept, id.ptr, id.len); /* looking for it reads other ids */
	return live_verify(verification, entry, slice_of(kept, id.len), body, error);
}

static int documents_verify(struct verification *verification, struct disk_view *view, struct error *error)
{
	const struct disk_segment *segment = disk_view_segment(view);
	uint64_t next = segment->first;
	struct disk_entry entry;

	for (uint32_t place = 0; place < segment->documents; place++) {
		if (disk_entry_at(view, place, &entry, error) != 0)
			return error->code;
		if (entry.number < next || entry.number >= segment->end)
			return damaged(error, "listed twice, or in another segment", entry.number);
		next = entry.number + 1;
		postings_add(&verification->listed, entry.number);
		if (document_verify(verification, view, &entry, error) != 0)
			return error->code;
	}
	return 0;
}

static int order_pass(struct disk_view *view, uint8_t *seen, struct error *error)
{
	const struct disk_segment *segment = disk_view_segment(view);
	uint8_t last_id[RECORD_ID_BYTES_MAX];
	struct insertion_key last_key;
	struct disk_entry entry;
	size_t last_len = 0;
	struct slice id;
	uint32_t place;

	for (uint32_t i = 0; i < segment->documents; i++) {
		if (disk_order_at(view, i, &place, error) != 0 ||
		    disk_entry_at(view, place, &entry, error) != 0 || disk_id(view, &entry, &id, error) != 0)
			return error->code;
		if (seen[place] != 0 || (i > 0 && insertion_key_compare(last_key, slice_of(last_id, last_len),
		                                                        entry.key, id) > 0))
			return damaged(error, "listed in the wrong place", entry.number);
		seen[place] = 1;
		last_key = entry.key;
		last_len = id.len;
		memcpy(last_id, id.ptr, id.len);
	}
	return 0;
}

static int order_verify(struct disk_view *view, struct error *error)
{
	uint8_t *seen = calloc(disk_view_segment(view)->documents + 1, 1);
	int rc;

	if (seen == NULL)
		return error_memory(error, disk_view_segment(view)->documents);
	rc = order_pass(view, seen, error);
	free(seen);
	return rc;
}

/* Its numbers are documents of the segment. */
static int term_verify(struct verification *verification, const struct disk_segment *segment,
                       struct section_reader *sections, const struct term *term, struct error *error)
{
	struct posting_list list;
	uint64_t number;

	postings_clear(&verification->word);
	if (terms_list(sections, term, segment->first, &verification->joined, &list, error) != 0 ||
	    posting_list_numbers(&list, &verification->word, error) != 0)
		return error->code;
	if ((sections != verification->values ||
	     value_cover_has(&verification->cover, value_key_attribute(term->word))) &&
	    list_add(&verification->found, term->word, &list, error) != 0)
		return error->code;
	if (postings_count(&verification->word) != term->documents)
		return damaged(error, "a word says another number of documents than it lists",
		               segment->first);
	postings_and_not(&verification->word, &verification->listed);
	if (postings_next(&verification->word, 0, &number))
		return damaged(error, "indexed but not stored", number);
	return 0;
}

static int terms_verify(struct verification *verification, const struct disk_segment *segment,
                        struct section_reader *sections, struct error *error)
{
	struct terms_cursor cursor;
	struct term term;
	int rc;

	terms_cursor_init(&cursor, sections);
	while ((rc = terms_cursor_next(&cursor, &term, error)) > 0)
		if (term_verify(verification, segment, sections, &term, error) != 0)
			return error->code;
	return rc;
}

static int values_verify(struct verification *verification, const struct disk_segment *segment,
                         struct error *error)
{
	int rc;

	if (segment->values.id == 0)
		return 0;
	verification->values =
		section_reader_new(verification->txn, segment->values.id, segment->values.lengths);
	if (verification->values == NULL)
		return error_memory(error, sizeof *segment);
	rc = terms_verify(verification, segment, verification->values, error);
	section_reader_free(verification->values);
	verification->values = NULL;
	return rc;
}

/* The attributes of which the segment has keys that mean something. */
static void cover_choose(struct verification *verification, const struct disk_segment *segment)
{
	const struct attributes *attributes = &verification->attributes->attributes;

	verification->cover = verification->attributes->wanted;
	value_cover_and(&verification->cover, &segment->values.cover);
	verification->covered.len = 0;
	for (size_t i = 0; i < attributes->len; i++)
		if (value_cover_has(&verification->cover, attributes->list[i].number))
			verification->covered.list[verification->covered.len++] = attributes->list[i];
}

static int segment_verify(struct verification *verification, size_t i, struct error *error)
{
	const struct disk_segment *segment = &verification->manifest.segments[i];
	struct disk_view *view;

	verification->cut = 0;
	verification->found = 0;
	postings_clear(&verification->listed);
	cover_choose(verification, segment);
	verification->own = cuttings_find(&verification->cuttings, segment->cutting);
	if (views_at(&verification->views, i, &view, error) != 0 ||
	    documents_verify(verification, view, error) != 0 || collected_add(verification, error) != 0 ||
	    order_verify(view, error) != 0 ||
	    terms_verify(verification, segment, disk_view_sections(view), error) != 0 ||
	    values_verify(verification, segment, error) != 0)
		return error->code;
	if (verification->cut != verification->found)
		return damaged(error, "a segment's words or values are not those of its documents",
		               segment->first);
	postings_and(&verification->listed, &verification->dead);
	if (postings_count(&verification->listed) != segment->dead)
		return damaged(error, "a segment says another number of dead than there are", segment->first);
	verification->dead_listed += segment->dead;
	return 0;
}

static int counts_verify(const struct verification *verification, struct error *error)
{
	const struct mark *mark = &verification->mark;

	if (verification->documents != mark->documents || verification->body_bytes != mark->body_bytes)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "%llu documents of %llu bytes are stored, the state says %llu of %llu",
		                 (unsigned long long)verification->documents,
		                 (unsigned long long)verification->body_bytes,
		                 (unsigned long long)mark->documents, (unsigned long long)mark->body_bytes);
	if (verification->dead_listed != postings_count(&verification->dead))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "the segments list %llu dead documents, more are told to be dead",
		                 (unsigned long long)verification->dead_listed);
	if (!hash128_equal(verification->digest, mark->digest))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "the stored documents do not add up to the stored digest");
	return 0;
}

static int segments_verify(struct verification *verification, struct error *error)
{
	int rc = 0;

	views_init(&verification->views, verification->txn, &verification->manifest);
	for (size_t i = 0; rc == 0 && i < verification->manifest.segments_len; i++)
		rc = segment_verify(verification, i, error);
	views_deinit(&verification->views);
	return rc;
}

static int store_verify(struct verification *verification, struct error *error)
{
	struct stored_key key = stored_state_key();
	struct replica_identity identity;
	struct slice value;

	if (kv_get(verification->txn, KV_TABLE_STATE, stored_key_slice(&key), &value, error) != 0 ||
	    stored_state_decode(value, &identity, &verification->mark, error) != 0 ||
	    attributes_read(verification->txn, &verification->attributes, error) != 0 ||
	    replica_manifest_read(verification->txn, &verification->manifest, error) != 0 ||
	    cuttings_read(verification->txn, &verification->cuttings, error) != 0 ||
	    cuttings_check(&verification->cuttings, &verification->manifest, error) != 0 ||
	    words_beside_check(&verification->attributes->attributes, &verification->cuttings, error) != 0 ||
	    replica_dead_read(verification->txn, &verification->dead, error) != 0 ||
	    segments_verify(verification, error) != 0 ||
	    replica_marks_verify(verification->txn, verification->mark.received, error) != 0)
		return error->code;
	return counts_verify(verification, error);
}

static struct verification *verification_new(const struct snapshot *snapshot, struct words *words)
{
	struct verification *verification = calloc(1, sizeof *verification);

	if (verification == NULL)
		return NULL;
	verification->index_id = snapshot->index_id;
	verification->words = words;
	postings_init(&verification->dead);
	postings_init(&verification->listed);
	postings_init(&verification->word);
	buffer_init(&verification->joined, UINT32_MAX);
	buffer_init(&verification->scratch, STORED_VALUE_BYTES_MAX);
	verification->builder = dictionary_builder_new();
	verification->fields = fields_new();
	return verification;
}

static void verification_free(struct verification *verification)
{
	postings_deinit(&verification->dead);
	postings_deinit(&verification->listed);
	postings_deinit(&verification->word);
	buffer_deinit(&verification->joined);
	buffer_deinit(&verification->scratch);
	dictionary_builder_free(verification->builder);
	fields_free(verification->fields);
	attributes_release(verification->attributes);
	cuttings_deinit(&verification->cuttings);
	free(verification);
}

int snapshot_verify(const struct snapshot *snapshot, struct words *words, struct error *error)
{
	struct verification *verification = verification_new(snapshot, words);
	int rc;

	if (verification == NULL)
		return error_memory(error, sizeof *verification);
	if (verification->builder == NULL || verification->fields == NULL) {
		verification_free(verification);
		return error_memory(error, sizeof *verification);
	}
	rc = kv_begin(snapshot->kv, false, &verification->txn, error);
	if (rc == 0) {
		rc = store_verify(verification, error);
		kv_abort(verification->txn);
	}
	verification_free(verification);
	return rc;
}
