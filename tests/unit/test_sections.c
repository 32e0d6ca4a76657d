/*
 * Sections over a real store: bytes come back as they were appended, over the
 * edges of chunks and transactions; damage of every kind is noticed; chunks
 * are removed in slices.
 */
#include "shard/core/sections.h"

#include "tests/unit/disk_bed.h"

#define SEGMENT 7

struct lengths {
	uint64_t of[SECTIONS];
};

static uint8_t byte_at(enum section section, uint64_t i)
{
	return (uint8_t)((i * 2654435761U >> 13) + section);
}

/* Appends so many records to a section, in runs of up to `run` of them. */
static void append(struct section_writer *writer, enum section section, uint64_t records, size_t run)
{
	size_t bytes = section_record_bytes(section);
	uint8_t *from = malloc(run * bytes);
	uint64_t at = section_length(writer, section);
	struct error error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(from);
	while (records > 0) {
		size_t part = records < run ? (size_t)records : run;

		for (size_t i = 0; i < part * bytes; i++)
			from[i] = byte_at(section, at + i);
		CU_ASSERT_EQUAL_FATAL(section_append(writer, section, from, part * bytes, &error), 0);
		at += part * bytes;
		records -= part;
	}
	free(from);
}

static struct lengths lengths_of(const struct section_writer *writer)
{
	struct lengths lengths;

	for (enum section section = 0; section < SECTIONS; section++)
		lengths.of[section] = section_length(writer, section);
	return lengths;
}

/* Three chunks of BODIES and one of ORDER in one transaction, a rest of BODIES and two chunks of TERMS in another. */
static struct lengths written(struct kv *kv, uint64_t segment)
{
	struct section_writer *writer = section_writer_new(segment);
	struct kv_txn *txn = bed_begin(kv, true);
	struct lengths lengths;
	struct error error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(writer);
	section_writer_use(writer, txn);
	append(writer, SECTION_BODIES, 3 * CHUNK_PAYLOAD_MAX + 10, 4000);
	append(writer, SECTION_ORDER, 5000, 7);
	CU_ASSERT_EQUAL(section_writer_txn_bytes(writer), 4 * CHUNK_BYTES_MAX);
	section_writer_use(writer, NULL);
	bed_commit(txn);
	txn = bed_begin(kv, true);
	section_writer_use(writer, txn);
	CU_ASSERT_EQUAL(section_writer_txn_bytes(writer), 0);
	append(writer, SECTION_BODIES, 990, 990);
	CU_ASSERT_EQUAL(
		section_append_terms(writer, slice_string("house"), slice_string("first chunk"), &error), 0);
	CU_ASSERT_EQUAL(section_append_terms(writer, slice_string("zebra"), slice_string("second"), &error),
	                0);
	CU_ASSERT_EQUAL(section_writer_finish(writer, &error), 0);
	lengths = lengths_of(writer);
	CU_ASSERT_EQUAL(section_writer_put_bytes(writer),
	                lengths.of[SECTION_BODIES] + lengths.of[SECTION_ORDER] + lengths.of[SECTION_TERMS] +
	                        8 * (3 * 16 + 1 + 16 + 4 + 3)); /* a checksum a piece */
	bed_commit(txn);
	section_writer_free(writer);
	return lengths;
}

static bool read_is(struct section_reader *reader, enum section section, uint64_t at, size_t len)
{
	struct buffer joined;
	struct slice bytes;
	struct error error;
	bool is;

	buffer_init(&joined, SIZE_MAX);
	is = section_read(reader, (struct span){section, at, len}, &joined, &bytes, &error) == 0 &&
	     bytes.len == len;
	for (size_t i = 0; is && i < len; i++)
		is = bytes.ptr[i] == byte_at(section, at + i);
	buffer_deinit(&joined);
	return is;
}

static void test_written_and_read(void)
{
	struct kv *kv = bed_open("read");
	struct lengths lengths = written(kv, SEGMENT);
	struct kv_txn *txn = bed_begin(kv, false);
	struct section_reader *reader = section_reader_new(txn, SEGMENT, lengths.of);
	size_t edge = CHUNK_PAYLOAD_MAX;

	CU_ASSERT_PTR_NOT_NULL_FATAL(reader);
	CU_ASSERT_EQUAL(lengths.of[SECTION_BODIES], 3 * edge + 1000);
	CU_ASSERT_EQUAL(lengths.of[SECTION_ORDER], 20000);
	CU_ASSERT_EQUAL(lengths.of[SECTION_TERMS], 2 + 11 + 7 + 6 + 7); /* each with the word before it */
	CU_ASSERT_TRUE(read_is(reader, SECTION_BODIES, 0, 1));
	CU_ASSERT_TRUE(read_is(reader, SECTION_BODIES, 0, edge));
	CU_ASSERT_TRUE(read_is(reader, SECTION_BODIES, edge, edge));
	CU_ASSERT_TRUE(read_is(reader, SECTION_BODIES, edge - 1, 2));
	CU_ASSERT_TRUE(read_is(reader, SECTION_BODIES, 17, 3 * edge));
	CU_ASSERT_TRUE(read_is(reader, SECTION_BODIES, 0, 3 * edge + 1000));
	CU_ASSERT_TRUE(read_is(reader, SECTION_BODIES, 3 * edge + 1000, 0));
	CU_ASSERT_FALSE(read_is(reader, SECTION_BODIES, 3 * edge + 1000, 1));
	CU_ASSERT_FALSE(read_is(reader, SECTION_BODIES, 3 * edge, 1001));
	CU_ASSERT_FALSE(read_is(reader, SECTION_BODIES, UINT64_MAX, 2));
	CU_ASSERT_FALSE(read_is(reader, SECTION_IDS, 0, 12));
	for (uint64_t i = 0; i < 5000; i++)
		CU_ASSERT_TRUE_FATAL(read_is(reader, SECTION_ORDER, 4 * i, 4));
	section_reader_free(reader);
	kv_abort(txn);
	kv_close(kv);
}

/* No record is cut in two: what is read of one is never put together. */
static void test_records_are_whole(void)
{
	static const enum section sections[] = {SECTION_ENTRIES, SECTION_IDS, SECTION_ORDER, SECTION_PAGES};
	static const size_t records[] = {50, 12, 4, 24};
	struct kv *kv = bed_open("records");
	struct section_writer *writer = section_writer_new(SEGMENT);
	struct kv_txn *txn = bed_begin(kv, true);
	struct section_reader *reader;
	struct lengths lengths;
	struct error error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(writer);
	section_writer_use(writer, txn);
	for (size_t s = 0; s < 4; s++) {
		CU_ASSERT_EQUAL_FATAL(section_record_bytes(sections[s]), records[s]);
		append(writer, sections[s], 17000, 100);
	}
	CU_ASSERT_EQUAL(section_writer_finish(writer, &error), 0);
	lengths = lengths_of(writer);
	bed_commit(txn);
	txn = bed_begin(kv, false);
	reader = section_reader_new(txn, SEGMENT, lengths.of);
	for (size_t s = 0; s < 4; s++)
		for (uint64_t i = 0; i < 17000; i++) {
			struct buffer joined = {0}; /* takes nothing */
			const uint8_t *record;
			struct slice bytes;

			CU_ASSERT_EQUAL_FATAL(
				section_read(reader, (struct span){sections[s], i * records[s], records[s]},
			                     &joined, &bytes, &error),
				0);
			CU_ASSERT_EQUAL_FATAL(bytes.ptr[0], byte_at(sections[s], i * records[s]));
			CU_ASSERT_EQUAL_FATAL(section_record(reader, sections[s], i, &record, &error), 0);
			CU_ASSERT_EQUAL_FATAL(record, bytes.ptr);
			CU_ASSERT_EQUAL(section_record(reader, sections[s], 17000 + i, &record, &error),
			                ERROR_DAMAGED);
		}
	section_reader_free(reader);
	section_writer_free(writer);
	kv_abort(txn);
	kv_close(kv);
}

static void test_terms(void)
{
	static const struct {
		const char *word;
		const char *chunk;
		const char *last;
	} rows[] = {{"", "first chunk", "house"},      {"a", "first chunk", "house"},
	            {"house", "first chunk", "house"}, {"houses", "second", "zebra"},
	            {"zebra", "second", "zebra"},      {"zebras", NULL, NULL},
	            {"b", "first chunk", "house"}};
	struct kv *kv = bed_open("terms");
	struct lengths lengths = written(kv, SEGMENT);
	struct kv_txn *txn;
	struct section_reader *reader;

	(void)written(kv, SEGMENT + 1); /* whose chunks stand behind */
	txn = bed_begin(kv, false);
	reader = section_reader_new(txn, SEGMENT, lengths.of);
	for (size_t round = 0; round < 2; round++)
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
			struct slice chunk;
			struct slice last;
			struct error error;
			int rc =
				section_read_terms(reader, slice_string(rows[i].word), &chunk, &last, &error);

			CU_ASSERT_EQUAL_FATAL(rc, rows[i].chunk == NULL ? ERROR_NOT_FOUND : 0);
			if (rc != 0)
				continue;
			CU_ASSERT_TRUE(slice_equal(chunk, slice_string(rows[i].chunk)));
			CU_ASSERT_TRUE(slice_equal(last, slice_string(rows[i].last)));
		}
	section_reader_free(reader);
	kv_abort(txn);
	kv_close(kv);
}

/* What reading all of a segment says. */
static int read_all(struct kv *kv, const struct lengths *lengths)
{
	struct kv_txn *txn = bed_begin(kv, false);
	struct section_reader *reader = section_reader_new(txn, SEGMENT, lengths->of);
	struct buffer joined;
	struct slice bytes;
	struct slice last;
	struct error error;
	int rc = 0;

	buffer_init(&joined, SIZE_MAX);
	for (enum section section = 0; rc == 0 && section < SECTION_TERMS; section++)
		rc = section_read(reader, (struct span){section, 0, (size_t)lengths->of[section]}, &joined,
		                  &bytes, &error);
	if (rc == 0)
		rc = section_read_terms(reader, slice_string("a"), &bytes, &last, &error);
	if (rc == 0)
		rc = section_read_terms(reader, slice_string("i"), &bytes, &last, &error);
	CU_ASSERT(rc == 0 || error.action == ERROR_ACTION_FATAL);
	buffer_deinit(&joined);
	section_reader_free(reader);
	kv_abort(txn);
	return rc;
}

static void test_damage(void)
{
	static const size_t places[] = {0, 7, 8, 9, 15, 4000};
	struct kv *kv = bed_open("damage");
	struct lengths lengths = written(kv, SEGMENT);
	struct lengths longer;

	CU_ASSERT_EQUAL(read_all(kv, &lengths), 0);
	for (size_t chunk = 0; chunk < 8; chunk++) /* all but the end of TERMS */
		for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
			CU_ASSERT_TRUE_FATAL(bed_damage(kv, chunk, places[i], false));
			CU_ASSERT_EQUAL(read_all(kv, &lengths), ERROR_DAMAGED);
			CU_ASSERT_TRUE_FATAL(bed_damage(kv, chunk, places[i], false)); /* undoes it */
			CU_ASSERT_EQUAL_FATAL(read_all(kv, &lengths), 0);
		}
	CU_ASSERT_FALSE(bed_damage(kv, 9, 0, false));
	longer = lengths;
	longer.of[SECTION_BODIES]++;
	CU_ASSERT_EQUAL(read_all(kv, &longer), ERROR_DAMAGED);
	longer.of[SECTION_BODIES] = UINT64_MAX / 2;
	CU_ASSERT_EQUAL(read_all(kv, &longer), ERROR_DAMAGED);
	CU_ASSERT_TRUE(bed_damage(kv, 2, 0, true));
	CU_ASSERT_EQUAL(read_all(kv, &lengths), ERROR_DAMAGED);
	kv_close(kv);
}

/* A chunk under another key is no chunk of that key. */
static void test_swapped_chunks(void)
{
	struct kv *kv = bed_open("swapped");
	struct lengths lengths = written(kv, SEGMENT);
	struct kv_txn *txn = bed_begin(kv, true);
	uint8_t first[] = {0, 0, 0, 0, 0, 0, 0, SEGMENT, SECTION_BODIES, 0, 0, 0, 0};
	uint8_t second[] = {0, 0, 0, 0, 0, 0, 0, SEGMENT, SECTION_BODIES, 0, 0, 0, 1};
	uint8_t copy[CHUNK_BYTES_MAX];
	struct slice value;
	struct error error;

	CU_ASSERT_EQUAL_FATAL(kv_get(txn, KV_TABLE_CHUNKS, slice_of(first, sizeof first), &value, &error), 0);
	CU_ASSERT_EQUAL_FATAL(value.len, sizeof copy);
	memcpy(copy, value.ptr, sizeof copy);
	CU_ASSERT_EQUAL(kv_put(txn, KV_TABLE_CHUNKS, slice_of(second, sizeof second),
	                       slice_of(copy, sizeof copy), &error),
	                0);
	bed_commit(txn);
	CU_ASSERT_EQUAL(read_all(kv, &lengths), ERROR_DAMAGED);
	kv_close(kv);
}

/* Words that are found, or not, in a segment whose n-th chunk of TERMS is lost or has another key's word. */
static void check_chain(struct kv *kv, const struct lengths *lengths, const char *const words[3],
                        const int codes[3])
{
	struct kv_txn *txn = bed_begin(kv, false);

	for (size_t i = 0; i < 3; i++) {
		struct section_reader *reader = section_reader_new(txn, SEGMENT, lengths->of);
		struct slice chunk;
		struct slice last;
		struct error error;

		CU_ASSERT_EQUAL(section_read_terms(reader, slice_string(words[i]), &chunk, &last, &error),
		                codes[i]);
		section_reader_free(reader);
	}
	kv_abort(txn);
}

static void test_lost_terms(void)
{
	static const char *const words[] = {"a", "house", "zebu"};
	static const int codes[][3] = {
		{0, 0, ERROR_NOT_FOUND},
		{ERROR_DAMAGED, ERROR_DAMAGED, ERROR_NOT_FOUND},
		{0, 0, ERROR_NOT_FOUND},
		{0, 0, ERROR_DAMAGED},
	};

	for (size_t lost = 0; lost < 4; lost++) {
		char directory[] = "lost 0";
		struct kv *kv;
		struct lengths lengths;

		directory[5] = (char)('0' + lost);
		kv = bed_open(directory);
		lengths = written(kv, SEGMENT);
		if (lost > 0)
			CU_ASSERT_TRUE(bed_damage(kv, 5 + lost, 0, true));
		check_chain(kv, &lengths, words, codes[lost]);
		if (lost == 2) { /* between "house" and "zebra" */
			static const char *const between[] = {"i", "zebra", "zebrb"};
			static const int missed[] = {ERROR_DAMAGED, ERROR_DAMAGED, ERROR_NOT_FOUND};

			check_chain(kv, &lengths, between, missed);
		}
		kv_close(kv);
	}
}

static void test_removal(void)
{
	struct kv *kv = bed_open("removal");
	struct lengths lengths = written(kv, SEGMENT);
	struct kv_txn *txn;
	struct error error;
	uint64_t segment = 0;
	bool left = false;

	(void)written(kv, SEGMENT - 1);
	(void)written(kv, SEGMENT + 2);
	txn = bed_begin(kv, true);
	CU_ASSERT_EQUAL(section_remove(txn, SEGMENT - 1, 3, &left, &error), 0);
	CU_ASSERT_TRUE(left);
	CU_ASSERT_EQUAL(section_remove(txn, SEGMENT - 1, 6, &left, &error), 0);
	if (left) /* exactly all of them: the next call says so */
		CU_ASSERT_EQUAL(section_remove(txn, SEGMENT - 1, 1, &left, &error), 0);
	CU_ASSERT_FALSE(left);
	CU_ASSERT_EQUAL(section_remove(txn, SEGMENT + 2, 100, &left, &error), 0);
	CU_ASSERT_FALSE(left);
	CU_ASSERT_EQUAL(section_remove(txn, SEGMENT + 1, 100, &left, &error), 0);
	CU_ASSERT_FALSE(left);
	CU_ASSERT_EQUAL(section_next_segment(txn, 0, &segment, &error), 0);
	CU_ASSERT_EQUAL(segment, SEGMENT);
	CU_ASSERT_EQUAL(section_next_segment(txn, SEGMENT + 1, &segment, &error), ERROR_NOT_FOUND);
	bed_commit(txn);
	CU_ASSERT_EQUAL(read_all(kv, &lengths), 0);
	CU_ASSERT_FALSE(bed_damage(kv, 9, 0, false)); /* its nine chunks are all there is */
	kv_close(kv);
}

int main(void)
{
	CU_TestInfo tests[] = {{"written and read", test_written_and_read},
	                       {"records are whole", test_records_are_whole},
	                       {"terms", test_terms},
	                       {"damage", test_damage},
	                       {"swapped chunks", test_swapped_chunks},
	                       {"lost terms", test_lost_terms},
	                       {"removal", test_removal},
	                       CU_TEST_INFO_NULL};

	return suite_run("sections", tests);
}
