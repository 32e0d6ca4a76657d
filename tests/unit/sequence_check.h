/*
 * Sequence check: a replica against the sequence model: everything that can be
 * asked of it, and that nothing else comes. Words are
 * drawn where there are many.
 */
#ifndef MILLRACE_TESTS_UNIT_SEQUENCE_CHECK_H
#define MILLRACE_TESTS_UNIT_SEQUENCE_CHECK_H

#include "tests/unit/replica_asked.h"
#include "tests/unit/sequence_model.h"
#include "tests/unit/sequence_values.h"

#define SEQUENCE_SMALL 60 /* ids, of which everything is asked every time */
#define SEQUENCE_DRAWN 8
#define SEQUENCE_LOOKED_AT 6

static inline struct replica_status sequence_status(const struct sequence *sequence)
{
	struct replica_status status;

	replica_status(sequence->replica, &status);
	return status;
}

static inline void sequence_succeeded(int rc, const struct error *error)
{
	if (rc != 0)
		printf("\n%s\n", error->text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
}

static inline void check_status(struct sequence *sequence)
{
	struct replica_status status = sequence_status(sequence);
	uint64_t documents;
	uint64_t body_bytes;
	struct hash128 digest = sequence_digest(sequence, &documents, &body_bytes);
	struct seal seals[REPLICA_SEALS_MAX];
	size_t seals_len = replica_seals(sequence->replica, seals);
	size_t wanted = sequence->seals_len < REPLICA_SEALS_MAX ? sequence->seals_len : REPLICA_SEALS_MAX;

	CU_ASSERT_EQUAL_FATAL(status.received, sequence->received);
	CU_ASSERT_TRUE_FATAL(status.stored >= sequence->stored && status.stored <= status.received);
	CU_ASSERT_TRUE_FATAL(status.stored == sequence->base ||
	                     sequence_record(sequence, status.stored - 1)->ends_range);
	CU_ASSERT_EQUAL_FATAL(status.anchor.offset,
	                      status.received == sequence->base ? -1 : status.received - 1);
	CU_ASSERT_EQUAL_FATAL(status.documents, documents);
	CU_ASSERT_EQUAL_FATAL(status.body_bytes, body_bytes);
	CU_ASSERT_TRUE_FATAL(hash128_equal(status.digest, digest));
	CU_ASSERT_EQUAL_FATAL(seals_len, wanted);
	for (size_t i = 0; i < wanted; i++) {
		const struct sequence_seal *seal = &sequence->seals[sequence->seals_len - wanted + i];

		CU_ASSERT_EQUAL_FATAL(seals[i].offset, seal->offset);
		CU_ASSERT_TRUE_FATAL(hash128_equal(seals[i].digest, seal->digest));
	}
}

static inline void check_get(struct sequence *sequence, size_t id)
{
	const struct sequence_document *wanted = &sequence->documents[id];
	struct slice name = sequence_id(sequence, id);
	struct document document;
	struct arena arena;
	struct error error;
	int rc;

	arena_init(&arena, 4096);
	rc = reads_get(sequence->replica, name, &arena, &document, &error);
	CU_ASSERT_EQUAL_FATAL(rc, wanted->exists ? 0 : ERROR_NOT_FOUND);
	if (rc == 0) {
		CU_ASSERT_TRUE_FATAL(slice_equal(document.body, sequence_body(sequence, id)));
		CU_ASSERT_EQUAL_FATAL(document.key.timestamp_ms, wanted->key.timestamp_ms);
		CU_ASSERT_EQUAL_FATAL(document.key.seq, wanted->key.seq);
	}
	arena_deinit(&arena);
}

/* A document of the model that an answer must have, and where. */
struct expected {
	struct sequence *sequence;
	size_t id;
	uint32_t begun; /* words that it has only as what one begins with */
};

static inline int expected_compare(const void *a, const void *b)
{
	const struct expected *left = a;
	const struct expected *right = b;
	const struct sequence *sequence = left->sequence;

	if (left->begun != right->begun)
		return left->begun < right->begun ? -1 : 1;
	return insertion_key_compare(sequence->documents[left->id].key, sequence_id(sequence, left->id),
	                             sequence->documents[right->id].key, sequence_id(sequence, right->id));
}

static inline void check_page(struct sequence *sequence, const struct document_page *page,
                              struct expected *expected, size_t len)
{
	CU_ASSERT_EQUAL_FATAL(page->total, len);
	CU_ASSERT_EQUAL_FATAL(page->count, len);
	qsort(expected, len, sizeof expected[0], expected_compare);
	for (size_t i = 0; i < len; i++) {
		const struct document *document = &page->documents[i];
		struct slice body = sequence_body(sequence, expected[i].id);

		CU_ASSERT_TRUE_FATAL(slice_equal(document->id, sequence_id(sequence, expected[i].id)));
		CU_ASSERT_TRUE_FATAL(slice_equal(document->body, body));
	}
}

static inline void check_list(struct sequence *sequence)
{
	static struct expected expected[SEQUENCE_IDS_MAX];
	struct arena arena;
	struct document_request request = {0, SEQUENCE_IDS_MAX, false, &arena};
	struct document_page page;
	struct error error = {0};
	size_t len = 0;

	for (size_t i = 0; i < sequence->ids_len; i++)
		if (sequence->documents[i].exists)
			expected[len++] = (struct expected){sequence, i, 0};
	arena_init(&arena, 4096);
	sequence_succeeded(reads_list(sequence->replica, &request, &page, &error), &error);
	check_page(sequence, &page, expected, len);
	arena_deinit(&arena);
}

static inline int begun_compare(const void *a, const void *b)
{
	struct asked_hit left = *(const struct asked_hit *)a;
	struct asked_hit right = *(const struct asked_hit *)b;

	left.cost &= (1U << RANK_EXACTNESS_SHIFT) - 1;
	right.cost &= (1U << RANK_EXACTNESS_SHIFT) - 1;
	return asked_compare(&left, &right);
}

/* By what exactness says of the words: that they are also a whole field is the oracle's to say. */
static inline void check_found(struct sequence *sequence, const struct asked_page *page,
                               struct expected *expected, size_t len)
{
	CU_ASSERT_EQUAL_FATAL(page->total, len);
	CU_ASSERT_EQUAL_FATAL(page->len, len);
	qsort(expected, len, sizeof expected[0], expected_compare);
	qsort(page->hits, len, sizeof page->hits[0], begun_compare);
	for (size_t i = 0; i < len; i++) {
		const struct asked_hit *hit = &page->hits[i];
		struct slice body = sequence_body(sequence, expected[i].id);

		CU_ASSERT_TRUE_FATAL(slice_equal(hit->document.id, sequence_id(sequence, expected[i].id)));
		CU_ASSERT_TRUE_FATAL(slice_equal(hit->document.body, body));
		CU_ASSERT_EQUAL_FATAL(hit->cost & ((1U << RANK_EXACTNESS_SHIFT) - 1), expected[i].begun);
	}
}

/* `first`, if any, is a whole word, `last` one unless `open`: then it begins one. */
static inline void check_search(struct sequence *sequence, const char *first, const char *last, bool open)
{
	static struct expected expected[SEQUENCE_IDS_MAX];
	struct arena arena;
	char query[64];
	struct asked_search asked = {
		.query = query, .ranked = true, .limit = SEQUENCE_IDS_MAX, .arena = &arena};
	struct asked_page page;
	struct error error = {0};
	size_t len = 0;

	for (size_t i = 0; i < sequence->ids_len; i++) {
		int before = first == NULL ? 2 : 0;
		int has;

		if (!sequence->documents[i].exists)
			continue;
		has = sequence_has(sequence, i, last);
		if (open ? has == 0 : has != 2)
			continue;
		if (first != NULL)
			before = sequence_has(sequence, i, first);
		if (before == 2)
			expected[len++] = (struct expected){sequence, i, has != 2};
	}
	(void)snprintf(query, sizeof query, first == NULL ? "%s%s%s" : "\"%s\" %s%s",
	               first == NULL ? "" : first, last, open ? "" : " ");
	arena_init(&arena, 4096);
	sequence_succeeded(asked_replica(sequence->replica, &asked, &page, &error), &error);
	check_found(sequence, &page, expected, len);
	arena_deinit(&arena);
}

/* One of the words that are known, or one that only long texts or ids have. */
static inline const char *draw_word(struct sequence *sequence, char word[SEQUENCE_WORD_BYTES])
{
	switch (sequence_draw(sequence, 3)) {
	case 0:
		return sequence_words[sequence_draw(sequence, SEQUENCE_WORDS)];
	case 1:
		(void)snprintf(word, SEQUENCE_WORD_BYTES, "d%" PRIu64,
		               sequence_draw(sequence, sequence->ids_len));
		return word;
	default:
		(void)snprintf(word, SEQUENCE_WORD_BYTES, "w%" PRIu64,
		               sequence_draw(sequence, sequence->vocabulary));
		return word;
	}
}

static inline void check_drawn_words(struct sequence *sequence, size_t len)
{
	char word[SEQUENCE_WORD_BYTES];
	char other[SEQUENCE_WORD_BYTES];

	for (size_t i = 0; i < len; i++) {
		const char *found = draw_word(sequence, word);

		check_search(sequence, NULL, found, sequence_chance(sequence, 4));
		if (i % 4 == 0)
			check_search(sequence, draw_word(sequence, other), found,
			             sequence_chance(sequence, 2));
	}
	check_search(sequence, NULL, "al", true);
}

static inline void check_words(struct sequence *sequence)
{
	char word[SEQUENCE_WORD_BYTES];

	for (size_t i = 0; sequence->ids_len <= SEQUENCE_SMALL && i < sequence->ids_len; i++) {
		(void)snprintf(word, sizeof word, "d%zu", i);
		check_search(sequence, NULL, word, false);
	}
	for (size_t i = 0; i < SEQUENCE_WORDS; i++)
		check_search(sequence, NULL, sequence_words[i], false);
	check_drawn_words(sequence, SEQUENCE_DRAWN);
}

/* Identities of the window, and the highest origin of each source partition. */
static inline void check_marks(struct sequence *sequence)
{
	int64_t at_offset = sequence->received - sequence->window;
	struct buffer frame;
	struct marks_page page;
	struct identity_entry entry;
	struct error error = {0};
	size_t at = 0;
	int64_t from = 0;

	if (at_offset < sequence->base)
		at_offset = sequence->base;
	do {
		buffer_init(&frame, MARKS_PAGE_BYTES_MAX);
		sequence_succeeded(replica_marks(sequence->replica, from, &frame, &error), &error);
		sequence_succeeded(marks_open(&page, buffer_slice(&frame), &error), &error);
		CU_ASSERT_EQUAL_FATAL(page.received, sequence->received);
		for (at = 0; marks_page_identity(&page, &at, &entry); at_offset++) {
			while (at_offset < entry.offset)
				CU_ASSERT_FALSE_FATAL(sequence_record(sequence, at_offset++)->has_identity);
			CU_ASSERT_TRUE_FATAL(entry.offset == at_offset &&
			                     sequence_record(sequence, at_offset)->has_identity);
			CU_ASSERT_EQUAL_FATAL(entry.identity.operation, (uint64_t)at_offset * 7);
		}
		from = page.next;
		if (from >= 0)
			buffer_deinit(&frame);
	} while (from >= 0);
	for (; at_offset < sequence->received; at_offset++)
		CU_ASSERT_FALSE_FATAL(sequence_record(sequence, at_offset)->has_identity);
	buffer_deinit(&frame);
}

static inline int origin_compare(const struct origin *a, const struct origin *b)
{
	if (a->life != b->life)
		return a->life < b->life ? -1 : 1;
	if (a->offset != b->offset)
		return a->offset < b->offset ? -1 : 1;
	return (a->n > b->n) - (a->n < b->n);
}

static inline void check_origins(struct sequence *sequence)
{
	struct buffer frame;
	struct marks_page page;
	struct origin origin;
	struct error error = {0};
	size_t wanted = 0;
	size_t at = 0;

	buffer_init(&frame, MARKS_PAGE_BYTES_MAX);
	sequence_succeeded(replica_marks(sequence->replica, 0, &frame, &error), &error);
	sequence_succeeded(marks_open(&page, buffer_slice(&frame), &error), &error);
	while (marks_page_origin(&page, &at, &origin)) {
		bool is_there = false;

		for (int64_t offset = sequence->base; offset < sequence->received; offset++) {
			const struct sequence_record *record = sequence_record(sequence, offset);
			int order;

			if (!record->has_origin || record->origin.partition != origin.partition ||
			    !slice_equal(record->origin.source, origin.source))
				continue;
			wanted++;
			order = origin_compare(&record->origin, &origin);
			CU_ASSERT_TRUE_FATAL(order <= 0);
			is_there = is_there || order == 0;
		}
		CU_ASSERT_TRUE_FATAL(is_there);
	}
	for (int64_t offset = sequence->base; offset < sequence->received; offset++)
		wanted -= sequence_record(sequence, offset)->has_origin;
	CU_ASSERT_EQUAL_FATAL(wanted, 0); /* or a source partition is missing */
	buffer_deinit(&frame);
}

/* After every step. */
static inline void sequence_look(struct sequence *sequence)
{
	check_status(sequence);
	check_get(sequence, sequence_draw(sequence, sequence->ids_len));
	check_list(sequence);
	check_drawn_words(sequence, SEQUENCE_LOOKED_AT);
}

/* After those that leave much behind. */
static inline void sequence_check(struct sequence *sequence)
{
	struct error error = {0};

	check_status(sequence);
	for (size_t i = 0; i < sequence->ids_len; i++)
		check_get(sequence, i);
	check_list(sequence);
	check_words(sequence);
	check_marks(sequence);
	check_origins(sequence);
	check_values(sequence);
	sequence_succeeded(reads_verify(sequence->replica, &error), &error);
}

/* Disk segments of which there are chunks: a chunk's key begins with its segment's number. */
static inline uint64_t segments_with_chunks(const struct sequence *sequence)
{
	uint8_t segment[8] = {0};
	struct kv_cursor *cursor;
	struct slice key = {NULL, 0};
	struct slice value;
	struct error error = {0};
	struct kv_txn *txn;
	struct kv *kv;
	uint64_t len = 0;

	sequence_succeeded(kv_open(sequence->directory, &kv, &error), &error);
	sequence_succeeded(kv_begin(kv, false, &txn, &error), &error);
	sequence_succeeded(kv_cursor_open(txn, KV_TABLE_CHUNKS, &cursor, &error), &error);
	for (int rc = kv_cursor_seek(cursor, key, &key, &value, &error); rc == 0;
	     rc = kv_cursor_next(cursor, &key, &value, &error)) {
		len += len == 0 || memcmp(segment, key.ptr, sizeof segment) != 0;
		memcpy(segment, key.ptr, sizeof segment);
	}
	CU_ASSERT_EQUAL_FATAL(error.code, ERROR_NOT_FOUND);
	kv_cursor_close(cursor);
	kv_abort(txn);
	kv_close(kv);
	return len;
}

/* As the manifest has them, with values of their own. */
static inline uint64_t segments_listed(const struct sequence *sequence)
{
	struct replica_status status = sequence_status(sequence);

	return status.disk_segments + status.disk_value_sets;
}

#endif
