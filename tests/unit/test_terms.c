/*
 * Terms: literal bytes of a chunk and every way to damage it; words of a
 * segment in a real store, found, listed, sought, walked over transactions, and
 * read into a table.
 */
#include "shard/core/terms.h"
#include "shard/core/word_table.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WORDS 20000
#define SEGMENT 77

static void chunk_add(struct term_chunk_writer *writer, const char *word, uint32_t documents,
                      struct slice list, uint32_t bytes)
{
	struct term term = {slice_string(word), documents, bytes, list, 0};

	CU_ASSERT_TRUE_FATAL(term_chunk_add(writer, &term));
}

static void test_chunk_bytes(void)
{
	static const uint8_t expected[] = {0,    0, 3,    'a', 'b', 'c', 1,   5, 7, 8, 2, 2, 'd', 'e',
	                                   0xAC, 2, 0xD0, 1,   4,   1,   'f', 2, 3, 9, 0, 0, 1,   0};
	struct term_chunk_writer writer;
	struct term_chunk_cursor cursor;
	struct slice chunk;
	struct term term;
	struct error error;

	term_chunk_writer_init(&writer, 1024);
	chunk_add(&writer, "abc", 1, slice_of("\7\10", 2), 2);
	chunk_add(&writer, "abde", 300, slice_of(NULL, 0), 104);
	chunk_add(&writer, "abdef", 2, slice_of("\11", 1), 1);
	CU_ASSERT_EQUAL(term_chunk_end(&writer, &chunk, &error), 0);
	CU_ASSERT_TRUE(slice_equal(chunk, slice_of(expected, sizeof expected)));
	CU_ASSERT_EQUAL(term_chunk_open(&cursor, chunk, &error), 0);
	CU_ASSERT_EQUAL(term_chunk_next(&cursor, &term, &error), 1);
	CU_ASSERT_TRUE(slice_equal(term.word, slice_string("abc")));
	CU_ASSERT_TRUE(slice_equal(term.list, slice_of("\7\10", 2)));
	CU_ASSERT_EQUAL(term_chunk_next(&cursor, &term, &error), 1);
	CU_ASSERT_TRUE(slice_equal(term.word, slice_string("abde")));
	CU_ASSERT_PTR_NULL(term.list.ptr);
	CU_ASSERT_EQUAL(term.documents, 300);
	CU_ASSERT_EQUAL(term.bytes, 104);
	CU_ASSERT_EQUAL(term.at, 0);
	CU_ASSERT_EQUAL(term_chunk_next(&cursor, &term, &error), 1);
	CU_ASSERT_EQUAL(term_chunk_next(&cursor, &term, &error), 0);
	CU_ASSERT_EQUAL(term_chunk_next(&cursor, &term, &error), 0);
	/* the next chunk goes on in POSTINGS */
	chunk_add(&writer, "b", 9, slice_of(NULL, 0), 50);
	CU_ASSERT_EQUAL(term_chunk_end(&writer, &chunk, &error), 0);
	CU_ASSERT_EQUAL(term_chunk_open(&cursor, chunk, &error), 0);
	CU_ASSERT_EQUAL(term_chunk_next(&cursor, &term, &error), 1);
	CU_ASSERT_EQUAL(term.at, 104);
	CU_ASSERT_EQUAL(term_chunk_end(&writer, &chunk, &error), 0);
	CU_ASSERT_EQUAL(chunk.len, 0);
	term_chunk_writer_deinit(&writer);
}

static int chunk_read(struct slice chunk, size_t *words)
{
	struct term_chunk_cursor cursor;
	struct term term;
	struct error error;
	int rc = term_chunk_open(&cursor, chunk, &error);

	for (*words = 0; rc == 0 && (rc = term_chunk_next(&cursor, &term, &error)) > 0; rc = 0)
		(*words)++;
	return rc;
}

/* Cut short it is damaged; with any byte changed it is damaged or other words in order, and nothing outside is read. */
static void test_chunk_damaged(void)
{
	struct term_chunk_writer writer;
	struct slice chunk;
	struct error error;
	size_t words;
	char word[16];

	term_chunk_writer_init(&writer, 4096);
	for (int i = 0; i < 50; i++) {
		(void)snprintf(word, sizeof word, "%04d", 37 * i);
		chunk_add(&writer, word, 1, i % 3 == 0 ? slice_of(NULL, 0) : slice_of("\1\2\3", 3),
		          i % 3 == 0 ? 1000 : 3);
	}
	CU_ASSERT_EQUAL(term_chunk_end(&writer, &chunk, &error), 0);
	CU_ASSERT_EQUAL(chunk_read(chunk, &words), 0);
	CU_ASSERT_EQUAL(words, 50);
	for (size_t len = 0; len < chunk.len; len++) {
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, chunk.ptr + chunk.len - len, len);
		CU_ASSERT_EQUAL(chunk_read(slice_of(copy, len), &words), ERROR_DAMAGED);
		memcpy(copy, chunk.ptr, len);
		if (chunk_read(slice_of(copy, len), &words) == 0)
			CU_ASSERT_TRUE(words < 50);
		free(copy);
	}
	for (size_t at = 0; at < chunk.len; at++) {
		uint8_t *copy = malloc(chunk.len);

		memcpy(copy, chunk.ptr, chunk.len);
		for (int change = 1; change < 256; change += 2) {
			struct term_chunk_cursor cursor;
			struct term term;
			int rc;

			copy[at] = (uint8_t)(chunk.ptr[at] ^ change);
			rc = chunk_read(slice_of(copy, chunk.len), &words);
			CU_ASSERT_TRUE(rc == ERROR_DAMAGED || (rc == 0 && words <= 50));
			if (term_chunk_open(&cursor, slice_of(copy, chunk.len), &error) == 0 &&
			    term_chunk_seek(&cursor, slice_string("1000"), &term, &error) > 0)
				CU_ASSERT_TRUE(slice_compare(term.word, slice_string("1000")) >= 0);
		}
		free(copy);
	}
	term_chunk_writer_deinit(&writer);
}

/* Chunks of b and bc, or of b and c in two groups, each with one lie. */
static void test_chunk_lies(void)
{
	static const struct {
		const char *name;
		uint8_t len;
		uint8_t bytes[24];
	} rows[] = {
		{"a lower word", 17, {0, 0, 1, 'b', 1, 3, 7, 0, 1, 'a', 1, 3, 7, 0, 0, 1, 0}},
		{"the same word", 17, {0, 0, 1, 'b', 1, 3, 7, 0, 1, 'b', 1, 3, 7, 0, 0, 1, 0}},
		{"more shared than there is", 17, {0, 0, 1, 'b', 1, 3, 7, 2, 1, 'c', 1, 3, 7, 0, 0, 1, 0}},
		{"no documents", 17, {0, 0, 1, 'b', 1, 3, 7, 1, 1, 'c', 0, 3, 7, 0, 0, 1, 0}},
		{"a short list that is not inline", 16, {0, 0, 1, 'b', 1, 3, 7, 1, 1, 'c', 1, 2, 0, 0, 1, 0}},
		{"a lower group", 20, {0, 0, 1, 'b', 1, 3, 7, 0, 0, 1, 'a', 1, 3, 7, 0, 0, 7, 0, 2, 0}},
		{"a group that shares", 20, {0, 0, 1, 'b', 1, 3, 7, 0, 1, 1, 'c', 1, 3, 7, 0, 0, 7, 0, 2, 0}},
		{"a group at the one before", 20, {0,   0, 1, 'b', 1, 3, 7, 0, 0, 1,
	                                           'c', 1, 3, 7,   0, 0, 0, 0, 2, 0}},
		{"a group beyond the end", 20, {0,   0, 1, 'b', 1, 3, 7,   0, 0, 1,
	                                        'c', 1, 3, 7,   0, 0, 200, 0, 2, 0}},
		{"a first group that is not at the head", 20, {0,   0, 1, 'b', 1, 3, 7, 0, 0, 1,
	                                                       'c', 1, 3, 7,   1, 0, 7, 0, 2, 0}},
	};
	static const uint8_t one[] = {0, 0, 1, 'b', 1, 3, 7, 1, 1, 'c', 1, 3, 7, 0, 0, 1, 0};
	static const uint8_t two[] = {0, 0, 1, 'b', 1, 3, 7, 0, 0, 1, 'c', 1, 3, 7, 0, 0, 7, 0, 2, 0};
	size_t words;

	CU_ASSERT_EQUAL(chunk_read(slice_of(one, sizeof one), &words), 0);
	CU_ASSERT_EQUAL(words, 2);
	CU_ASSERT_EQUAL(chunk_read(slice_of(two, sizeof two), &words), 0);
	CU_ASSERT_EQUAL(words, 2);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int rc = chunk_read(slice_of(rows[i].bytes, rows[i].len), &words);

		if (rc != ERROR_DAMAGED)
			printf("\n%s: %d\n", rows[i].name, rc);
		CU_ASSERT_EQUAL(rc, ERROR_DAMAGED);
	}
}

/* Words with gaps between them, some long, and lists that are inline, short and over a chunk of POSTINGS. */
static void word_print(size_t i, char *word, size_t size)
{
	(void)snprintf(word, size, "%05zu%.*s", 2 * i + 1, i % 100 == 0 ? 249 : 0,
	               "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	               "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	               "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	               "xxxxxxxxx");
}

static uint64_t documents_of(size_t i)
{
	return i == 1234 ? 50000 : i % 10 == 0 ? 40 : 1 + i % 2;
}

static void list_write(struct posting_writer *writer, size_t i, struct posting_list *list)
{
	struct place place = {1, (uint16_t)i};
	struct error error;

	posting_writer_begin(writer, 1000);
	for (uint64_t k = 0; k < documents_of(i); k++)
		posting_writer_add(writer, 1000 + i + 3 * k, &place, 1);
	CU_ASSERT_EQUAL_FATAL(posting_writer_end(writer, list, &error), 0);
}

static struct kv *store_open(void)
{
	struct kv *kv;
	struct error error;
	char directory[] = "terms.XXXXXX";

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	CU_ASSERT_EQUAL_FATAL(kv_open(directory, &kv, &error), 0);
	return kv;
}

/* Over several transactions, as a store or a merge does. */
static void segment_write(struct kv *kv, size_t words, uint64_t lengths[SECTIONS])
{
	struct section_writer *sections = section_writer_new(SEGMENT);
	struct terms_writer *terms = terms_writer_new();
	struct posting_writer lists;
	struct posting_list list;
	struct kv_txn *txn;
	struct error error;
	char word[300];

	posting_writer_init(&lists);
	CU_ASSERT_EQUAL_FATAL(kv_begin(kv, true, &txn, &error), 0);
	section_writer_use(sections, txn);
	for (size_t i = 0; i < words; i++) {
		word_print(i, word, sizeof word);
		list_write(&lists, i, &list);
		CU_ASSERT_EQUAL_FATAL(terms_writer_add(terms, sections, slice_string(word), &list, &error),
		                      0);
		if (section_writer_txn_bytes(sections) < 100000)
			continue;
		section_writer_use(sections, NULL);
		CU_ASSERT_EQUAL_FATAL(kv_commit(txn, &error), 0);
		CU_ASSERT_EQUAL_FATAL(kv_begin(kv, true, &txn, &error), 0);
		section_writer_use(sections, txn);
	}
	CU_ASSERT_EQUAL_FATAL(terms_writer_finish(terms, sections, &error), 0);
	CU_ASSERT_EQUAL_FATAL(section_writer_finish(sections, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_commit(txn, &error), 0);
	for (size_t i = 0; i < SECTIONS; i++)
		lengths[i] = section_length(sections, (enum section)i);
	posting_writer_deinit(&lists);
	terms_writer_free(terms);
	section_writer_free(sections);
}

static void check_term(struct section_reader *reader, const struct term *term, size_t i)
{
	struct posting_cursor cursor;
	struct posting_list list;
	struct buffer joined;
	struct place place;
	struct error error;
	uint64_t number;
	size_t len;

	CU_ASSERT_EQUAL_FATAL(term->documents, documents_of(i));
	buffer_init(&joined, 1U << 24);
	CU_ASSERT_EQUAL_FATAL(terms_list(reader, term, 1000, &joined, &list, &error), 0);
	posting_cursor_init(&cursor, &list);
	for (uint64_t k = 0; k < documents_of(i); k++) {
		CU_ASSERT_EQUAL_FATAL(posting_cursor_next(&cursor, &number, &error), 1);
		CU_ASSERT_EQUAL_FATAL(number, 1000 + i + 3 * k);
	}
	CU_ASSERT_EQUAL(posting_cursor_places(&cursor, &place, 1, &len, &error), 0);
	CU_ASSERT_EQUAL(len, 1);
	CU_ASSERT_EQUAL(place.position, (uint16_t)i);
	CU_ASSERT_EQUAL(posting_cursor_next(&cursor, &number, &error), 0);
	buffer_deinit(&joined);
}

static void test_find(void)
{
	struct kv *kv = store_open();
	uint64_t lengths[SECTIONS];
	struct section_reader *reader;
	struct kv_txn *txn;
	struct term term;
	struct error error;
	char word[300];

	segment_write(kv, WORDS, lengths);
	CU_ASSERT_EQUAL_FATAL(kv_begin(kv, false, &txn, &error), 0);
	reader = section_reader_new(txn, SEGMENT, lengths);
	for (size_t i = 0; i < WORDS; i += i == 1233 ? 1 : 7) {
		word_print(i, word, sizeof word);
		CU_ASSERT_EQUAL_FATAL(terms_find(reader, slice_string(word), &term, &error), 0);
		CU_ASSERT_PTR_EQUAL(term.word.ptr, word);
		check_term(reader, &term, i);
		(void)snprintf(word, sizeof word, "%05zu", 2 * i);
		CU_ASSERT_EQUAL(terms_find(reader, slice_string(word), &term, &error), ERROR_NOT_FOUND);
	}
	CU_ASSERT_EQUAL(terms_find(reader, slice_string("9"), &term, &error), ERROR_NOT_FOUND);
	section_reader_free(reader);
	kv_abort(txn);
	kv_close(kv);
}

static void test_walk(void)
{
	struct kv *kv = store_open();
	uint64_t lengths[SECTIONS];
	struct section_reader *reader;
	struct terms_cursor cursor;
	struct kv_txn *txn;
	struct term term;
	struct error error;
	char word[300];
	int rc;

	segment_write(kv, WORDS, lengths);
	CU_ASSERT_EQUAL_FATAL(kv_begin(kv, false, &txn, &error), 0);
	reader = section_reader_new(txn, SEGMENT, lengths);
	terms_cursor_init(&cursor, reader);
	for (size_t i = 0; i <= WORDS; i++) {
		rc = terms_cursor_next(&cursor, &term, &error);
		CU_ASSERT_EQUAL_FATAL(rc, i < WORDS ? 1 : 0);
		if (rc == 0)
			break;
		word_print(i, word, sizeof word);
		CU_ASSERT_TRUE_FATAL(slice_equal(term.word, slice_string(word)));
		if (i % 500 == 0)
			check_term(reader, &term, i);
	}
	CU_ASSERT_EQUAL(terms_cursor_next(&cursor, &term, &error), 0);
	section_reader_free(reader);
	kv_abort(txn);
	kv_close(kv);
}

static void check_seek(struct terms_cursor *cursor, const char *word, size_t expected)
{
	struct term term;
	struct error error;
	char text[300];

	CU_ASSERT_EQUAL_FATAL(terms_cursor_seek(cursor, slice_string(word), &error), 0);
	for (size_t i = expected; i < expected + 40 && i < WORDS; i++) {
		CU_ASSERT_EQUAL_FATAL(terms_cursor_next(cursor, &term, &error), 1);
		word_print(i, text, sizeof text);
		CU_ASSERT_TRUE(slice_equal(term.word, slice_string(text)));
	}
	if (expected == WORDS)
		CU_ASSERT_EQUAL(terms_cursor_next(cursor, &term, &error), 0);
}

static void test_seek(void)
{
	struct kv *kv = store_open();
	uint64_t lengths[SECTIONS];
	struct section_reader *reader;
	struct terms_cursor cursor;
	struct kv_txn *txn;
	struct error error;
	char word[300];

	segment_write(kv, WORDS, lengths);
	CU_ASSERT_EQUAL_FATAL(kv_begin(kv, false, &txn, &error), 0);
	reader = section_reader_new(txn, SEGMENT, lengths);
	terms_cursor_init(&cursor, reader);
	check_seek(&cursor, "9", WORDS);
	check_seek(&cursor, "", 0);
	for (size_t i = 0; i < WORDS; i += 331) {
		word_print(i, word, sizeof word);
		check_seek(&cursor, word, i);
		(void)snprintf(word, sizeof word, "%05zu", 2 * i);
		check_seek(&cursor, word, i);
	}
	check_seek(&cursor, "39999", WORDS - 1);
	check_seek(&cursor, "39999a", WORDS);
	section_reader_free(reader);
	kv_abort(txn);
	kv_close(kv);
}

/* From wherever a search begins, the first word at or above is found. */
static void check_table_seek(const struct word_table *table, const char *word, size_t expected)
{
	static const size_t steps[] = {0, 1, 2, 3, 7, 64, 1000, WORDS};

	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		size_t above = expected + steps[i] < WORDS ? expected + steps[i] : WORDS;
		size_t below = expected > steps[i] ? expected - steps[i] : 0;

		CU_ASSERT_EQUAL_FATAL(word_table_seek(table, above, slice_string(word)), expected);
		CU_ASSERT_EQUAL_FATAL(word_table_seek(table, below, slice_string(word)), expected);
	}
}

static void test_table(void)
{
	struct kv *kv = store_open();
	uint64_t lengths[SECTIONS];
	struct section_reader *reader;
	struct word_table *table;
	struct kv_txn *txn;
	size_t at;
	struct error error;
	char word[300];

	segment_write(kv, WORDS, lengths);
	CU_ASSERT_EQUAL_FATAL(kv_begin(kv, false, &txn, &error), 0);
	reader = section_reader_new(txn, SEGMENT, lengths);
	CU_ASSERT_EQUAL_FATAL(word_table_read(reader, 1000, &table, &error), 0);
	section_reader_free(reader);
	kv_abort(txn);
	kv_close(kv);
	CU_ASSERT_EQUAL(word_table_len(table), WORDS);
	for (size_t i = 0; i < WORDS; i++) {
		word_print(i, word, sizeof word);
		CU_ASSERT_TRUE_FATAL(slice_equal(word_table_at(table, i), slice_string(word)));
		CU_ASSERT_TRUE_FATAL(word_table_find(table, slice_string(word), &at));
		CU_ASSERT_EQUAL(at, i);
		check_table_seek(table, word, i);
		(void)snprintf(word, sizeof word, "%05zu", 2 * i);
		check_table_seek(table, word, i);
		CU_ASSERT_FALSE(word_table_find(table, slice_string(word), &at));
	}
	check_table_seek(table, "", 0);
	check_table_seek(table, "9", WORDS);
	word_table_release(word_table_hold(table));
	CU_ASSERT_EQUAL(word_table_len(table), WORDS);
	word_table_release(table);
}

static void test_nothing(void)
{
	struct kv *kv = store_open();
	uint64_t lengths[SECTIONS];
	struct section_reader *reader;
	struct terms_cursor cursor;
	struct word_table *table;
	struct kv_txn *txn;
	size_t at;
	struct term term;
	struct error error;

	segment_write(kv, 0, lengths);
	CU_ASSERT_EQUAL_FATAL(kv_begin(kv, false, &txn, &error), 0);
	reader = section_reader_new(txn, SEGMENT, lengths);
	terms_cursor_init(&cursor, reader);
	CU_ASSERT_EQUAL(terms_cursor_next(&cursor, &term, &error), 0);
	CU_ASSERT_EQUAL(terms_cursor_next(&cursor, &term, &error), 0);
	CU_ASSERT_EQUAL(terms_find(reader, slice_string("a"), &term, &error), ERROR_NOT_FOUND);
	CU_ASSERT_EQUAL_FATAL(word_table_read(reader, 1000, &table, &error), 0);
	CU_ASSERT_EQUAL(word_table_len(table), 0);
	CU_ASSERT_EQUAL(word_table_seek(table, 0, slice_string("a")), 0);
	CU_ASSERT_FALSE(word_table_find(table, slice_string("a"), &at));
	word_table_release(table);
	section_reader_free(reader);
	kv_abort(txn);
	kv_close(kv);
}

int main(void)
{
	CU_TestInfo tests[] = {{"a chunk's bytes", test_chunk_bytes},
	                       {"a damaged chunk", test_chunk_damaged},
	                       {"a chunk that lies", test_chunk_lies},
	                       {"words found", test_find},
	                       {"words over transactions", test_walk},
	                       {"words sought", test_seek},
	                       {"words in memory", test_table},
	                       {"no words", test_nothing},
	                       CU_TEST_INFO_NULL};

	return suite_run("terms", tests);
}
