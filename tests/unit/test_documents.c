/*
 * Documents on disk, over a real store: what documents.h writes disk_segment.h
 * finds by place, number, id, insertion order and word; merges take and leave
 * out what they should; every damaged byte is noticed.
 */
#include "shard/core/documents.h"
#include "shard/core/lexicon.h"

#include "tests/unit/disk_bed.h"

#include <stdio.h>

#define FIRST 1000
/* Over the edge of a chunk of every column. */
#define MANY 6000

struct model {
	uint64_t number;
	struct insertion_key key;
	char id[40];
	size_t body_len;
};

/* A body that no other document has, of words that compress. */
static struct slice body_of(const struct model *document)
{
	static char body[300000];
	size_t len = (size_t)snprintf(body, sizeof body, "{\"id\":\"%s\",\"text\":\"", document->id);

	while (len + 2 < document->body_len)
		len += (size_t)snprintf(body + len, sizeof body - len, "%llu lorem ipsum ",
		                        (unsigned long long)(document->number * len));
	memcpy(body + document->body_len - 2, "\"}", 2);
	return slice_of(body, document->body_len);
}

static struct hash128 digest_of(const struct model *document)
{
	return hash128_of(slice_of(document, sizeof document->number), 3);
}

/* Every third number is no document's; many insertion keys are equal; ids follow no order. */
static struct model *models(size_t len, uint64_t first)
{
	struct model *all = calloc(len, sizeof *all);

	CU_ASSERT_PTR_NOT_NULL_FATAL(all);
	for (size_t i = 0; i < len; i++) {
		all[i].number = first + i / 2 * 3 + i % 2;
		all[i].key = (struct insertion_key){(int64_t)((i * 7919) % 50) - 5, (uint32_t)(i % 3)};
		snprintf(all[i].id, sizeof all[i].id, "%llu-%llu",
		         (unsigned long long)(all[i].number * 2654435761U % 1000003),
		         (unsigned long long)all[i].number);
		all[i].body_len = 60 + i * 31 % 900;
	}
	return all;
}

static void add(struct documents_writer *writer, const struct model *document)
{
	struct new_document added = {document->number, document->key, digest_of(document),
	                             slice_string(document->id), body_of(document)};
	struct error error;

	CU_ASSERT_EQUAL_FATAL(documents_writer_add(writer, &added, &error), 0);
}

/* But for its end. */
static struct disk_segment described(uint64_t id, uint64_t first, struct documents_writer *writer,
                                     struct section_writer *sections)
{
	struct disk_segment segment = {.id = id, .first = first};
	struct error error;
	bool more = true;

	while (more)
		CU_ASSERT_EQUAL_FATAL(documents_writer_finish(writer, &more, &error), 0);
	CU_ASSERT_EQUAL_FATAL(section_writer_finish(sections, &error), 0);
	segment.documents = documents_writer_len(writer);
	segment.bytes = section_writer_put_bytes(sections);
	for (enum section section = 0; section < SECTIONS; section++)
		segment.lengths[section] = section_length(sections, section);
	documents_writer_free(writer);
	section_writer_free(sections);
	return segment;
}

static struct disk_segment written(struct kv *kv, uint64_t id, const struct model *all, size_t len)
{
	struct section_writer *sections = section_writer_new(id);
	struct documents_writer *writer = documents_writer_new(all[0].number - 1, sections);
	struct kv_txn *txn = bed_begin(kv, true);
	struct disk_segment segment;

	CU_ASSERT_PTR_NOT_NULL_FATAL(writer);
	section_writer_use(sections, txn);
	for (size_t i = 0; i < len; i++)
		add(writer, &all[i]);
	CU_ASSERT_EQUAL(documents_writer_len(writer), len);
	segment = described(id, all[0].number - 1, writer, sections);
	segment.end = all[len - 1].number + 5;
	bed_commit(txn);
	return segment;
}

/* A merge, a transaction a page. */
static struct disk_segment merged(struct kv *kv, const struct disk_segment *parts, size_t len,
                                  const struct postings *dead, uint64_t *dropped)
{
	struct section_writer *sections = section_writer_new(parts[0].id + 100);
	struct documents_writer *writer = documents_writer_new(parts[0].first, sections);
	struct disk_segment segment;
	struct error error;
	struct kv_txn *txn;

	CU_ASSERT_PTR_NOT_NULL_FATAL(writer);
	*dropped = 0;
	for (size_t i = 0; i < len; i++)
		for (uint32_t page = 0; page < disk_pages(&parts[i]); page++) {
			struct kv_txn *reading = bed_begin(kv, false);
			struct disk_view *view = disk_view_new(reading, &parts[i]);

			txn = bed_begin(kv, true);
			section_writer_use(sections, txn);
			CU_ASSERT_EQUAL_FATAL(
				documents_writer_add_page(writer, view, page, dead, dropped, &error), 0);
			section_writer_use(sections, NULL);
			bed_commit(txn);
			disk_view_free(view);
			kv_abort(reading);
		}
	txn = bed_begin(kv, true);
	section_writer_use(sections, txn);
	segment = described(parts[0].id + 100, parts[0].first, writer, sections);
	segment.end = parts[len - 1].end;
	bed_commit(txn);
	return segment;
}

static void check_entry(struct disk_view *view, const struct model *expected, uint32_t place)
{
	struct disk_entry entry;
	struct disk_entry found;
	struct slice id;
	struct slice body;
	struct error error;
	uint32_t at;

	CU_ASSERT_EQUAL_FATAL(disk_entry_at(view, place, &entry, &error), 0);
	CU_ASSERT_EQUAL_FATAL(entry.number, expected->number);
	CU_ASSERT_EQUAL(entry.key.timestamp_ms, expected->key.timestamp_ms);
	CU_ASSERT_EQUAL(entry.key.seq, expected->key.seq);
	CU_ASSERT_TRUE(hash128_equal(entry.digest, digest_of(expected)));
	CU_ASSERT_EQUAL_FATAL(disk_place(view, expected->number, &at, &error), 0);
	CU_ASSERT_EQUAL(at, place);
	CU_ASSERT_EQUAL_FATAL(disk_id(view, &entry, &id, &error), 0);
	CU_ASSERT_TRUE(slice_equal(id, slice_string(expected->id)));
	CU_ASSERT_EQUAL_FATAL(disk_find(view, slice_string(expected->id),
	                                hash64(slice_string(expected->id), 0), &found, &error),
	                      0);
	CU_ASSERT_EQUAL(found.number, expected->number);
	CU_ASSERT_EQUAL_FATAL(disk_body(view, &found, &body, &error), 0);
	CU_ASSERT_TRUE_FATAL(slice_equal(body, body_of(expected)));
}

static int by_insertion(const void *left, const void *right)
{
	const struct model *a = left;
	const struct model *b = right;

	return insertion_key_compare(a->key, slice_string(a->id), b->key, slice_string(b->id));
}

static void check_order(struct disk_view *view, const struct model *all, size_t len)
{
	struct model *sorted = malloc(len * sizeof *sorted);
	struct error error;
	uint32_t place;

	CU_ASSERT_PTR_NOT_NULL_FATAL(sorted);
	memcpy(sorted, all, len * sizeof *sorted);
	qsort(sorted, len, sizeof *sorted, by_insertion);
	for (uint32_t i = 0; i < len; i++) {
		CU_ASSERT_EQUAL_FATAL(disk_order_at(view, i, &place, &error), 0);
		CU_ASSERT_EQUAL_FATAL(all[place].number, sorted[i].number);
	}
	CU_ASSERT_EQUAL(disk_order_at(view, (uint32_t)len, &place, &error), ERROR_DAMAGED);
	free(sorted);
}

/* The segment has exactly these documents. */
static void check(struct kv *kv, const struct disk_segment *segment, const struct model *all, size_t len)
{
	struct kv_txn *txn = bed_begin(kv, false);
	struct disk_view *view = disk_view_new(txn, segment);
	struct disk_entry entry;
	struct error error;
	uint32_t place;

	CU_ASSERT_PTR_NOT_NULL_FATAL(view);
	CU_ASSERT_EQUAL_FATAL(segment->documents, len);
	for (uint32_t i = 0; i < len; i++)
		check_entry(view, &all[i], i);
	check_order(view, all, len);
	for (size_t i = 0; i < 2000; i++) {
		char id[40];

		snprintf(id, sizeof id, "absent %zu", i);
		CU_ASSERT_EQUAL_FATAL(
			disk_find(view, slice_string(id), hash64(slice_string(id), 0), &entry, &error),
			ERROR_NOT_FOUND);
	}
	for (uint64_t number = segment->first - 3, i = 0; number < segment->end + 3; number++) {
		while (i < len && all[i].number < number)
			i++;
		if (i == len || all[i].number != number)
			CU_ASSERT_EQUAL_FATAL(disk_place(view, number, &place, &error), ERROR_NOT_FOUND);
	}
	CU_ASSERT_EQUAL(disk_entry_at(view, (uint32_t)len, &entry, &error), ERROR_DAMAGED);
	disk_view_free(view);
	kv_abort(txn);
}

static void test_written_and_read(void)
{
	static const size_t lens[] = {1, 2, 40, MANY};
	struct kv *kv = bed_open("written");
	struct model *all = models(MANY, FIRST);

	for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
		struct disk_segment segment = written(kv, i + 1, all, lens[i]);

		CU_ASSERT_EQUAL(segment.lengths[SECTION_ENTRIES], lens[i] * COLUMN_ENTRY_BYTES);
		check(kv, &segment, all, lens[i]);
	}
	free(all);
	kv_close(kv);
}

/* Bodies over a page, over a chunk, and at their edges. */
static void test_long_bodies(void)
{
	static const size_t lens[] = {
		PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1, 60, 290000, 60, 60, PAGE_BYTES - 120, 60, 61};
	struct kv *kv = bed_open("long");
	size_t len = sizeof lens / sizeof *lens;
	struct model *all = models(len, FIRST);
	struct disk_segment segment;

	for (size_t i = 0; i < len; i++)
		all[i].body_len = lens[i];
	segment = written(kv, 1, all, len);
	check(kv, &segment, all, len);
	/* four alone, one before and one after the long one; two that fill the page, and the rest */
	CU_ASSERT_EQUAL(disk_pages(&segment), 4 + 1 + 2);
	free(all);
	kv_close(kv);
}

/* Two hashes of ids are hardly ever equal; two documents of one id are: the higher number is found. */
static void test_one_id_twice(void)
{
	struct kv *kv = bed_open("twice");
	struct model *all = models(3, FIRST);
	struct disk_segment segment;
	struct kv_txn *txn;
	struct disk_view *view;
	struct disk_entry entry;
	struct error error;

	memcpy(all[2].id, all[0].id, sizeof all[0].id);
	segment = written(kv, 1, all, 3);
	txn = bed_begin(kv, false);
	view = disk_view_new(txn, &segment);
	CU_ASSERT_EQUAL_FATAL(
		disk_find(view, slice_string(all[0].id), hash64(slice_string(all[0].id), 0), &entry, &error),
		0);
	CU_ASSERT_EQUAL(entry.number, all[2].number);
	disk_view_free(view);
	kv_abort(txn);
	free(all);
	kv_close(kv);
}

/* Takes the dead out of a model; returns what is left. */
static size_t bury(struct model *all, size_t len, const struct postings *dead)
{
	size_t kept = 0;

	for (size_t i = 0; i < len; i++)
		if (!postings_contains(dead, all[i].number))
			all[kept++] = all[i];
	return kept;
}

static void test_merged(void)
{
	struct kv *kv = bed_open("merged");
	struct model *all = models(3 * MANY, FIRST);
	struct disk_segment parts[3];
	struct disk_segment segment;
	struct postings dead;
	uint64_t dropped;
	size_t len = 3 * MANY;

	postings_init(&dead);
	for (size_t i = 0; i < 3; i++)
		parts[i] = written(kv, i + 1, all + i * MANY, MANY);
	segment = merged(kv, parts, 3, &dead, &dropped);
	CU_ASSERT_EQUAL(dropped, 0);
	/* whole pages were taken as they were */
	CU_ASSERT_TRUE(disk_pages(&segment) <=
	               disk_pages(&parts[0]) + disk_pages(&parts[1]) + disk_pages(&parts[2]));
	check(kv, &segment, all, len);

	for (size_t i = 0; i < len; i += 1 + i % 40)
		postings_add(&dead, all[i].number);
	postings_add_range(&dead, all[4000].number, all[5000].number);
	postings_add(&dead, 5); /* of another segment */
	len = bury(all, len, &dead);
	segment = merged(kv, parts, 3, &dead, &dropped);
	CU_ASSERT_EQUAL(dropped, 3 * MANY - len);
	check(kv, &segment, all, len);

	for (size_t i = 0; i < len; i++)
		postings_add(&dead, all[i].number);
	segment = merged(kv, parts, 3, &dead, &dropped);
	CU_ASSERT_EQUAL(dropped, 3 * MANY);
	CU_ASSERT_EQUAL(segment.documents, 0);
	postings_deinit(&dead);
	free(all);
	kv_close(kv);
}

/* Pages of a few documents do not stay small for ever. */
static void test_small_pages_are_joined(void)
{
	struct kv *kv = bed_open("small");
	struct model *all = models(60, FIRST);
	struct disk_segment parts[60];
	struct disk_segment segment;
	struct postings dead;
	uint64_t dropped;

	postings_init(&dead);
	for (size_t i = 0; i < 60; i++)
		parts[i] = written(kv, i + 1, all + i, 1);
	segment = merged(kv, parts, 60, &dead, &dropped);
	CU_ASSERT_TRUE(disk_pages(&segment) <= 10); /* of at least 3 KB each */
	check(kv, &segment, all, 60);
	postings_deinit(&dead);
	free(all);
	kv_close(kv);
}

static void test_words(void)
{
	struct kv *kv = bed_open("words");
	struct section_writer *sections = section_writer_new(1);
	struct documents_writer *writer = documents_writer_new(FIRST, sections);
	struct terms_writer *terms = terms_writer_new();
	struct kv_txn *txn = bed_begin(kv, true);
	struct place place = {2, 3};
	struct posting_writer lists;
	struct posting_list list;
	struct disk_segment segment;
	struct postings found;
	struct disk_view *view;
	struct wordlist words;
	struct lexicon lexicon;
	struct arena arena;
	struct buffer joined;
	struct error error;

	section_writer_use(sections, txn);
	posting_writer_init(&lists);
	posting_writer_begin(&lists, FIRST);
	for (uint64_t i = 0; i < 500; i++)
		posting_writer_add(&lists, FIRST + 3 * i, &place, 1);
	CU_ASSERT_EQUAL_FATAL(posting_writer_end(&lists, &list, &error), 0);
	CU_ASSERT_EQUAL_FATAL(terms_writer_add(terms, sections, slice_string("word"), &list, &error), 0);
	CU_ASSERT_EQUAL_FATAL(terms_writer_finish(terms, sections, &error), 0);
	segment = described(1, FIRST, writer, sections);
	segment.end = FIRST + 1500;
	bed_commit(txn);
	txn = bed_begin(kv, false);
	view = disk_view_new(txn, &segment);
	postings_init(&found);
	arena_init(&arena, 1024);
	buffer_init(&joined, 1 << 20);
	words = (struct wordlist){.sections = disk_view_sections(view), .base = FIRST};
	lexicon_init(&lexicon, &words, &arena, &joined);
	CU_ASSERT_EQUAL_FATAL(lexicon_find(&lexicon, slice_string("word"), &list, &error), 1);
	CU_ASSERT_EQUAL(list.count, 500);
	CU_ASSERT_EQUAL(posting_list_numbers(&list, &found, &error), 0);
	CU_ASSERT_EQUAL(postings_count(&found), 500);
	CU_ASSERT_TRUE(postings_contains(&found, FIRST) && postings_contains(&found, FIRST + 1497));
	CU_ASSERT_EQUAL(lexicon_find(&lexicon, slice_string("wor"), &list, &error), 0);
	CU_ASSERT_EQUAL(lexicon_find(&lexicon, slice_string("words"), &list, &error), 0);
	buffer_deinit(&joined);
	arena_deinit(&arena);
	postings_deinit(&found);
	posting_writer_deinit(&lists);
	terms_writer_free(terms);
	disk_view_free(view);
	kv_abort(txn);
	kv_close(kv);
}

/* Reads all there is of a segment; 0 or the first error. */
static int read_all(struct kv *kv, const struct disk_segment *segment)
{
	struct kv_txn *txn = bed_begin(kv, false);
	struct disk_view *view = disk_view_new(txn, segment);
	struct disk_entry entry = {0};
	struct disk_entry found;
	struct slice bytes;
	struct error error;
	uint32_t place;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < segment->documents; i++) {
		rc = disk_entry_at(view, i, &entry, &error);
		if (rc == 0)
			rc = disk_id(view, &entry, &bytes, &error);
		if (rc == 0)
			rc = disk_find(view, bytes, hash64(bytes, 0), &found, &error);
		if (rc == 0)
			rc = disk_body(view, &entry, &bytes, &error);
		if (rc == 0)
			rc = disk_order_at(view, i, &place, &error);
	}
	CU_ASSERT(rc == 0 || error.action == ERROR_ACTION_FATAL);
	disk_view_free(view);
	kv_abort(txn);
	return rc;
}

static void test_damage(void)
{
	struct kv *kv = bed_open("damage");
	struct model *all = models(50, FIRST);
	struct disk_segment segment = written(kv, 1, all, 50);
	size_t chunks = 0;

	CU_ASSERT_EQUAL(read_all(kv, &segment), 0);
	for (; bed_damage(kv, chunks, 3, false); chunks++) {
		CU_ASSERT_EQUAL(read_all(kv, &segment), ERROR_DAMAGED);
		CU_ASSERT_TRUE(bed_damage(kv, chunks, 3, false)); /* undoes it */
		for (size_t at = 8; at < 3000; at += 97) {
			CU_ASSERT_TRUE(bed_damage(kv, chunks, at, false));
			CU_ASSERT_EQUAL(read_all(kv, &segment), ERROR_DAMAGED);
			CU_ASSERT_TRUE(bed_damage(kv, chunks, at, false));
		}
	}
	CU_ASSERT_EQUAL(chunks, 6); /* the sections of documents */
	CU_ASSERT_EQUAL(read_all(kv, &segment), 0);
	free(all);
	kv_close(kv);
}

int main(void)
{
	CU_TestInfo tests[] = {{"written and read", test_written_and_read},
	                       {"long bodies", test_long_bodies},
	                       {"one id twice", test_one_id_twice},
	                       {"merged", test_merged},
	                       {"small pages are joined", test_small_pages_are_joined},
	                       {"words", test_words},
	                       {"damage", test_damage},
	                       CU_TEST_INFO_NULL};

	return suite_run("documents", tests);
}
