/*
 * Known lists: a long list that is read block by block beside the same one read whole, over a real store; what is read
 * and what is not when one block is damaged; how much is kept.
 */
#include "shard/core/known_lists.h"

#include "shard/core/lexicon.h"
#include "shard/core/sections_private.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define SEGMENT 77
#define BASE 1000
#define PLACES_MAX 1600
#define WALKS 60

/* A list, by what its documents have. */
struct row {
	const char *word;
	uint32_t documents;
	uint32_t places; /* of each, at most; the more of them the longer a block */
	uint32_t apart;  /* numbers, at most */
};

static const struct row rows[] = {{"far", 5000, 4, 4000}, {"few", 511, 4, 5},     {"near", 40000, 1, 1},
                                  {"one", 1, 1, 1},       {"short", 512, 1, 1},   {"two", 2, 2, 2},
                                  {"wide", 700, 1600, 3}, {"wider", 900, 600, 3}, {"zany", 2000, 3, 20}};

#define ROWS (sizeof rows / sizeof rows[0])

static uint32_t random_next(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

static void list_write(struct posting_writer *writer, const struct row *row, struct posting_list *list)
{
	static struct place places[PLACES_MAX];
	struct error error;
	uint64_t number = BASE;
	uint32_t seed = row->documents;

	posting_writer_begin(writer, BASE);
	for (uint32_t i = 0; i < row->documents; i++) {
		uint32_t len = 1 + random_next(&seed) % row->places;

		for (uint32_t k = 0; k < len; k++)
			places[k] = (struct place){(uint16_t)(k / 9), (uint16_t)(40 * k)};
		number += i == 0 ? 0 : 1 + random_next(&seed) % row->apart;
		posting_writer_add(writer, number, places, len);
	}
	CU_ASSERT_EQUAL_FATAL(posting_writer_end(writer, list, &error), 0);
}

struct bed {
	struct kv *kv;
	struct kv_txn *txn;
	const char *only; /* row that is written; NULL: all */
	uint64_t lengths[SECTIONS];
	struct section_reader *reader;
	struct word_table *table;
	struct wordlist words;
	struct lexicon lexicon;
	struct arena arena;
	struct buffer joined;
};

/* Words of `copies` times the rows, which the copy's number begins. */
static void bed_write(struct bed *bed, char copies)
{
	struct section_writer *sections = section_writer_new(SEGMENT);
	struct terms_writer *terms = terms_writer_new();
	struct posting_writer lists;
	struct posting_list list;
	struct error error;
	char word[16];

	posting_writer_init(&lists);
	CU_ASSERT_EQUAL_FATAL(kv_begin(bed->kv, true, &bed->txn, &error), 0);
	section_writer_use(sections, bed->txn);
	for (char copy = 0; copy < copies; copy++)
		for (size_t i = 0; i < ROWS; i++) {
			if (bed->only != NULL && strcmp(bed->only, rows[i].word) != 0)
				continue;
			list_write(&lists, &rows[i], &list);
			(void)snprintf(word, sizeof word, "%c%s", 'a' + copy, rows[i].word);
			CU_ASSERT_EQUAL_FATAL(
				terms_writer_add(terms, sections, slice_string(word), &list, &error), 0);
		}
	CU_ASSERT_EQUAL_FATAL(terms_writer_finish(terms, sections, &error), 0);
	CU_ASSERT_EQUAL_FATAL(section_writer_finish(sections, &error), 0);
	for (enum section section = 0; section < SECTIONS; section++)
		bed->lengths[section] = section_length(sections, section);
	CU_ASSERT_EQUAL_FATAL(kv_commit(bed->txn, &error), 0);
	posting_writer_deinit(&lists);
	terms_writer_free(terms);
	section_writer_free(sections);
}

/* As a search does: another transaction and reader, the table of before. */
static void bed_begin(struct bed *bed)
{
	struct error error;

	CU_ASSERT_EQUAL_FATAL(kv_begin(bed->kv, false, &bed->txn, &error), 0);
	bed->reader = section_reader_new(bed->txn, SEGMENT, bed->lengths);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bed->reader);
	arena_init(&bed->arena, 4096);
	buffer_init(&bed->joined, SIZE_MAX);
	if (bed->table == NULL)
		CU_ASSERT_EQUAL_FATAL(word_table_read(bed->reader, BASE, &bed->table, &error), 0);
	bed->words = (struct wordlist){.table = bed->table, .sections = bed->reader, .base = BASE};
	lexicon_init(&bed->lexicon, &bed->words, &bed->arena, &bed->joined);
}

static void bed_end(struct bed *bed)
{
	section_reader_free(bed->reader);
	buffer_deinit(&bed->joined);
	arena_deinit(&bed->arena);
	kv_abort(bed->txn);
}

static void bed_open(struct bed *bed, char copies, const char *only)
{
	char directory[] = "known.XXXXXX";
	struct error error;

	*bed = (struct bed){.only = only};
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	CU_ASSERT_EQUAL_FATAL(kv_open(directory, &bed->kv, &error), 0);
	bed_write(bed, copies);
	bed_begin(bed);
}

static void bed_close(struct bed *bed)
{
	bed_end(bed);
	word_table_release(bed->table);
	kv_close(bed->kv);
}

static struct posting_list found(struct bed *bed, const char *word)
{
	struct posting_list list = {0};
	struct error error;

	CU_ASSERT_EQUAL_FATAL(lexicon_find(&bed->lexicon, slice_string(word), &list, &error), 1);
	return list;
}

/* The same list, whole. */
static struct posting_list whole(struct bed *bed, const char *word)
{
	struct posting_list list = {0};
	struct wordlist words = bed->words;
	struct lexicon lexicon;
	struct error error;

	words.table = NULL;
	lexicon_init(&lexicon, &words, &bed->arena, &bed->joined);
	CU_ASSERT_EQUAL_FATAL(lexicon_find(&lexicon, slice_string(word), &list, &error), 1);
	CU_ASSERT_PTR_NULL_FATAL(list.blocks);
	return list;
}

static void check_back(struct posting_cursor *known, struct posting_cursor *read, uint32_t back)
{
	static struct place given[PLACES_MAX];
	static struct place expected[PLACES_MAX];
	struct error error;
	size_t expected_len = 0;
	size_t len = 0;

	CU_ASSERT_EQUAL_FATAL(posting_cursor_places_back(known, back, (struct places_room){given, PLACES_MAX},
	                                                 &len, &error),
	                      0);
	CU_ASSERT_EQUAL_FATAL(posting_cursor_places_back(read, back,
	                                                 (struct places_room){expected, PLACES_MAX},
	                                                 &expected_len, &error),
	                      0);
	CU_ASSERT_EQUAL_FATAL(len, expected_len);
	CU_ASSERT_EQUAL(memcmp(given, expected, len * sizeof *given), 0);
}

static void check_places(struct posting_cursor *known, struct posting_cursor *read)
{
	check_back(known, read, 0);
}

/* What follows in the block below `end`, with places of two documents in three; returns the last number. */
static uint64_t check_batch(struct posting_cursor *known, struct posting_cursor *read, uint64_t end)
{
	uint64_t given[POSTING_BLOCK_MAX];
	uint64_t expected[POSTING_BLOCK_MAX];
	struct error error;
	size_t expected_len = 0;
	size_t len = 0;

	CU_ASSERT_EQUAL_FATAL(posting_cursor_batch(known, end, given, &len, &error), 0);
	CU_ASSERT_EQUAL_FATAL(posting_cursor_batch(read, end, expected, &expected_len, &error), 0);
	CU_ASSERT_EQUAL_FATAL(len, expected_len);
	CU_ASSERT_EQUAL_FATAL(memcmp(given, expected, len * sizeof *given), 0);
	for (size_t i = 0; i < len; i++)
		if (i % 3 != 1)
			check_back(known, read, (uint32_t)(len - 1 - i));
	return given[len - 1];
}

/* Both go the same way, in steps of up to `stride`. */
static void check_walk(const struct posting_list *known, const struct posting_list *read, uint32_t stride,
                       uint32_t seed)
{
	struct posting_cursor left;
	struct posting_cursor right;
	struct error error;
	uint64_t expected = 0;
	uint64_t number = 0;
	int rc = 1;

	posting_cursor_init(&left, known);
	posting_cursor_init(&right, read);
	while (rc > 0) {
		uint64_t from = number + 1 + random_next(&seed) % stride;
		bool seeks = random_next(&seed) % 3 > 0;

		rc = seeks ? posting_cursor_seek(&right, from, &expected, &error)
		           : posting_cursor_next(&right, &expected, &error);
		CU_ASSERT_EQUAL_FATAL(seeks ? posting_cursor_seek(&left, from, &number, &error)
		                            : posting_cursor_next(&left, &number, &error),
		                      rc);
		CU_ASSERT_EQUAL_FATAL(number, expected);
		if (rc > 0 && random_next(&seed) % 3 == 0)
			check_places(&left, &right);
		else if (rc > 0 && random_next(&seed) % 2 == 0)
			number = expected =
				check_batch(&left, &right, number + 1 + random_next(&seed) % (4 * stride));
	}
}

static void check_numbers(const struct posting_list *known, const struct posting_list *read)
{
	struct postings given;
	struct postings expected;
	struct error error;
	uint64_t count;

	postings_init(&given);
	postings_init(&expected);
	CU_ASSERT_EQUAL_FATAL(posting_list_numbers(known, &given, &error), 0);
	CU_ASSERT_EQUAL_FATAL(posting_list_numbers(read, &expected, &error), 0);
	count = postings_count(&expected);
	CU_ASSERT_EQUAL(count, read->count);
	CU_ASSERT_EQUAL(postings_count(&given), count);
	postings_and(&given, &expected);
	CU_ASSERT_EQUAL(postings_count(&given), count);
	postings_deinit(&given);
	postings_deinit(&expected);
}

static void test_same(void)
{
	struct bed bed;

	bed_open(&bed, 1, NULL);
	for (size_t round = 0; round < 2; round++) {
		for (size_t i = 0; i < ROWS; i++) {
			struct posting_list known;
			struct posting_list read;
			char word[16];

			(void)snprintf(word, sizeof word, "a%s", rows[i].word);
			known = found(&bed, word);
			read = whole(&bed, word);
			CU_ASSERT_EQUAL(known.blocks != NULL, rows[i].documents >= KNOWN_DOCUMENTS_MIN);
			CU_ASSERT_EQUAL(known.count, read.count);
			check_numbers(&known, &read);
			for (uint32_t walk = 0; walk < WALKS; walk++)
				check_walk(&known, &read, 1 + (7U << walk % 20), walk);
		}
		bed_end(&bed);
		bed_begin(&bed);
	}
	bed_close(&bed);
}

/* Blocks that stand in several chunks, which one cursor has at hand while the other goes on. */
static void test_two(void)
{
	struct posting_cursor known[2];
	struct posting_cursor read[2];
	struct posting_list list;
	struct error error;
	uint64_t number;
	struct bed bed;

	bed_open(&bed, 1, "wide");
	list = found(&bed, "awide");
	posting_cursor_init(&known[0], &list);
	posting_cursor_init(&known[1], &list);
	list = whole(&bed, "awide");
	posting_cursor_init(&read[0], &list);
	posting_cursor_init(&read[1], &list);
	CU_ASSERT_EQUAL_FATAL(posting_cursor_next(&known[0], &number, &error), 1);
	CU_ASSERT_EQUAL_FATAL(posting_cursor_seek(&known[1], BASE + 600, &number, &error), 1);
	CU_ASSERT_EQUAL_FATAL(posting_cursor_next(&read[0], &number, &error), 1);
	CU_ASSERT_EQUAL_FATAL(posting_cursor_seek(&read[1], BASE + 600, &number, &error), 1);
	check_places(&known[0], &read[0]);
	check_places(&known[1], &read[1]);
	bed_close(&bed);
}

/* A word that the source of a scan gives has the list that it has when it is asked for. */
static void test_scan(void)
{
	struct typo_source source;
	struct slice word;
	struct error error;
	struct bed bed;
	size_t words = 0;
	int rc;

	bed_open(&bed, 1, NULL);
	for (size_t i = 0; i < ROWS; i += 2) {
		char text[16];

		(void)snprintf(text, sizeof text, "a%s", rows[i].word);
		(void)found(&bed, text);
	}
	source = lexicon_source(&bed.lexicon);
	for (rc = source.seek(source.context, slice_string("a"), &word, &error); rc > 0;
	     rc = source.next(source.context, &word, &error)) {
		struct posting_list list = {0};

		CU_ASSERT_EQUAL_FATAL(lexicon_list(&bed.lexicon, &list, &error), 0);
		CU_ASSERT_EQUAL(list.count, rows[words].documents);
		CU_ASSERT_EQUAL(list.blocks != NULL, rows[words].documents >= KNOWN_DOCUMENTS_MIN);
		words++;
	}
	CU_ASSERT_EQUAL(rc, 0);
	CU_ASSERT_EQUAL(words, ROWS);
	bed_close(&bed);
}

/* Changes the last byte of a chunk of POSTINGS. */
static void chunk_damage(struct bed *bed, uint32_t number)
{
	struct chunk_key key;
	struct slice value;
	struct error error;
	uint8_t *bytes;

	key_begin(&key, SEGMENT, SECTION_POSTINGS);
	key_append_chunk(&key, number);
	CU_ASSERT_EQUAL_FATAL(kv_begin(bed->kv, true, &bed->txn, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_get(bed->txn, KV_TABLE_CHUNKS, key_slice(&key), &value, &error), 0);
	bytes = malloc(value.len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	memcpy(bytes, value.ptr, value.len);
	bytes[value.len - 1] ^= 1;
	CU_ASSERT_EQUAL_FATAL(
		kv_put(bed->txn, KV_TABLE_CHUNKS, key_slice(&key), slice_of(bytes, value.len), &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_commit(bed->txn, &error), 0);
	free(bytes);
}

/* Blocks that are asked for are checked, each time; others are not read. */
static void test_damaged(void)
{
	struct posting_list list;
	struct posting_cursor cursor;
	struct error error;
	uint64_t number;
	struct bed bed;
	int rc;

	bed_open(&bed, 1, NULL);
	list = found(&bed, "afar");
	bed_end(&bed);
	chunk_damage(&bed, 0);
	bed_begin(&bed);
	list = found(&bed, "afar");
	posting_cursor_init(&cursor, &list);
	CU_ASSERT_EQUAL(posting_cursor_next(&cursor, &number, &error), 1);
	CU_ASSERT_EQUAL(number, BASE);
	CU_ASSERT_TRUE(posting_cursor_seek(&cursor, BASE + 9000000, &number, &error) > 0);
	posting_cursor_init(&cursor, &list);
	while ((rc = posting_cursor_next(&cursor, &number, &error)) > 0)
		;
	CU_ASSERT_EQUAL(rc, ERROR_DAMAGED);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_FATAL);
	bed_close(&bed);
}

/* What is kept is counted, and no more than the share of all lists' bytes, but for one list. */
static void test_bounded(void)
{
	const char copies = 20;
	struct bed bed;
	size_t before;
	size_t kept = 0;
	size_t last = 0;
	size_t most;

	bed_open(&bed, copies, "short");
	before = word_table_bytes(bed.table);
	most = (size_t)bed.lengths[SECTION_POSTINGS] / KNOWN_LISTS_SHARE;
	for (char copy = 0; copy < copies; copy++) {
		const char word[] = {(char)('a' + copy), 's', 'h', 'o', 'r', 't', '\0'};
		struct posting_list list = found(&bed, word);
		size_t bytes = word_table_bytes(bed.table) - before - kept;

		CU_ASSERT_EQUAL(bytes > 0, list.blocks != NULL);
		last = bytes > 0 ? bytes : last;
		kept += bytes;
	}
	CU_ASSERT_TRUE(last > 512 * sizeof(uint16_t));
	CU_ASSERT_TRUE(kept >= most && kept < most + last);
	bed_close(&bed);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"as lists that are read", test_same}, {"two cursors", test_two}, {"of a scan", test_scan},
		{"a damaged block", test_damaged},     {"bounded", test_bounded}, CU_TEST_INFO_NULL};

	return suite_run("known_lists", tests);
}
