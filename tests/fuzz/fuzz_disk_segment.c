/*
 * Fuzz: the columns of a disk segment that hold its documents, and the merge
 * that takes them over. Chunks have right checksums, so that the bytes behind
 * them are met, as after a fault that checksums miss. The store is the
 * simulation's.
 */
#include "shard/core/documents.h"
#include "tests/fuzz/seeds.h"

#include "tests/simulation/sim_kv.c"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define FIRST 1000
#define DOCUMENTS_MAX 64

/* What reading may say of bytes that nobody wrote. */
static bool read_well(int rc, const struct error *error)
{
	ASSERT(rc == 0 ||
	       ((error->code == ERROR_DAMAGED || error->code == ERROR_NOT_FOUND) && rc == error->code));
	return rc == 0;
}

static void document_read(struct disk_view *view, uint32_t place)
{
	const struct disk_segment *segment = disk_view_segment(view);
	struct disk_entry entry;
	struct disk_entry found;
	struct slice bytes;
	struct error error;
	uint32_t at;

	if (read_well(disk_order_at(view, place, &at, &error), &error))
		ASSERT(at < segment->documents);
	if (!read_well(disk_entry_at(view, place, &entry, &error), &error))
		return;
	ASSERT(entry.number >= segment->first && entry.number < segment->end);
	if (read_well(disk_place(view, entry.number, &at, &error), &error)) {
		ASSERT(disk_entry_at(view, at, &found, &error) == 0 && found.number == entry.number);
	}
	if (read_well(disk_id(view, &entry, &bytes, &error), &error)) {
		ASSERT(bytes.len == entry.id_len);
		if (read_well(disk_find(view, bytes, hash64(bytes, 0), &found, &error), &error))
			ASSERT(found.id_len == bytes.len);
	}
	if (read_well(disk_body(view, &entry, &bytes, &error), &error))
		ASSERT(bytes.len == entry.body_bytes);
}

/* Into a segment of its own, with a few of its documents dead. */
static void taken_over(struct disk_view *view, struct kv_txn *txn)
{
	const struct disk_segment *segment = disk_view_segment(view);
	struct section_writer *sections = section_writer_new(2);
	struct documents_writer *writer = documents_writer_new(segment->first, sections);
	uint64_t dropped = 0;
	struct postings dead;
	struct error error;
	bool more = true;
	int rc = 0;

	ASSERT(sections != NULL && writer != NULL);
	section_writer_use(sections, txn);
	postings_init(&dead);
	postings_add(&dead, FIRST + 1);
	for (uint32_t page = 0; rc == 0 && page < disk_pages(segment); page++)
		rc = documents_writer_add_page(writer, view, page, &dead, &dropped, &error);
	while (rc == 0 && more)
		rc = documents_writer_finish(writer, &more, &error);
	if (rc == 0)
		ASSERT(section_length(sections, SECTION_IDS) ==
		       (uint64_t)documents_writer_len(writer) * COLUMN_ID_BYTES);
	else
		ASSERT(error.code == ERROR_DAMAGED);
	postings_deinit(&dead);
	documents_writer_free(writer);
	section_writer_free(sections);
}

/* Each section's bytes: u16 length, bytes; what is left over is BODIES. */
static void sections_put(struct reader *input, struct kv_txn *txn, struct disk_segment *segment)
{
	struct section_writer *writer = section_writer_new(segment->id);
	struct error error;

	ASSERT(writer != NULL);
	section_writer_use(writer, txn);
	for (enum section section = SECTION_ENTRIES; section <= SECTION_BODIES; section++) {
		size_t len = section == SECTION_BODIES ? reader_left(input) : reader_u16(input);
		struct slice bytes = reader_take(input, len < reader_left(input) ? len : reader_left(input));

		bytes.len -= bytes.len % section_record_bytes(section);
		ASSERT(bytes.len == 0 || section_append(writer, section, bytes.ptr, bytes.len, &error) == 0);
		segment->lengths[section] = section_length(writer, section);
	}
	ASSERT(section_writer_finish(writer, &error) == 0);
	segment->bytes = section_writer_put_bytes(writer);
	section_writer_free(writer);
}

/* u8 documents, u8 numbers beyond them, sections. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct reader input = reader_of(slice_of(bytes, len));
	struct disk_segment segment = {.id = 1, .first = FIRST};
	struct sim_disk disk;
	struct arena arena;
	struct kv *kv;
	struct kv_txn *txn;
	struct kv_txn *writing;
	struct disk_view *view;
	struct error error;

	segment.documents = reader_u8(&input) % DOCUMENTS_MAX + 1;
	segment.end = FIRST + segment.documents + reader_u8(&input);
	if (reader_failed(&input))
		return 0;
	arena_init(&arena, 4096);
	sim_disk_init(&disk, &arena);
	kv = sim_kv_open(&disk);
	ASSERT(kv_begin(kv, true, &txn, &error) == 0);
	sections_put(&input, txn, &segment);
	ASSERT(kv_commit(txn, &error) == 0);
	ASSERT(kv_begin(kv, false, &txn, &error) == 0 && kv_begin(kv, true, &writing, &error) == 0);
	view = disk_view_new(txn, &segment);
	ASSERT(view != NULL);
	for (uint32_t place = 0; place < segment.documents; place++)
		document_read(view, place);
	taken_over(view, writing);
	disk_view_free(view);
	kv_abort(writing);
	kv_abort(txn);
	kv_close(kv);
	sim_disk_deinit(&disk);
	arena_deinit(&arena);
	return 0;
}

static void seed_segment(struct kv *kv, uint32_t documents, size_t body_bytes)
{
	struct section_writer *sections = section_writer_new(1);
	struct documents_writer *writer = documents_writer_new(FIRST, sections);
	uint8_t *body = malloc(body_bytes);
	struct section_reader *reader;
	struct buffer input;
	struct kv_txn *txn;
	struct error error;
	uint64_t lengths[SECTIONS];
	bool more = true;

	ASSERT(sections != NULL && writer != NULL && body != NULL);
	ASSERT(kv_begin(kv, true, &txn, &error) == 0);
	section_writer_use(sections, txn);
	memset(body, 'b', body_bytes);
	for (uint32_t i = 0; i < documents; i++) {
		struct new_document document = {.number = FIRST + i + i / 3,
		                                .key = {1700000000000 + i / 2, i % 2},
		                                .id = slice_of(&"abcdefghij"[i], 3),
		                                .body = slice_of(body, body_bytes)};

		ASSERT(documents_writer_add(writer, &document, &error) == 0);
	}
	while (more)
		ASSERT(documents_writer_finish(writer, &more, &error) == 0);
	ASSERT(section_writer_finish(sections, &error) == 0 && kv_commit(txn, &error) == 0);
	buffer_init(&input, SIZE_MAX);
	buffer_put_u8(&input, (uint8_t)(documents - 1));
	buffer_put_u8(&input, 9);
	ASSERT(kv_begin(kv, false, &txn, &error) == 0);
	for (enum section section = 0; section < SECTIONS; section++)
		lengths[section] = section_length(sections, section);
	reader = section_reader_new(txn, 1, lengths);
	for (enum section section = SECTION_ENTRIES; section <= SECTION_BODIES; section++) {
		struct buffer joined;
		struct slice bytes;

		buffer_init(&joined, SIZE_MAX);
		ASSERT(section_read(reader, (struct span){section, 0, (size_t)lengths[section]}, &joined,
		                    &bytes, &error) == 0);
		if (section != SECTION_BODIES)
			buffer_put_u16(&input, (uint16_t)bytes.len);
		buffer_append_slice(&input, bytes);
		buffer_deinit(&joined);
	}
	seed_write(buffer_slice(&input));
	buffer_deinit(&input);
	section_reader_free(reader);
	kv_abort(txn);
	documents_writer_free(writer);
	section_writer_free(sections);
	free(body);
}

/* One document; some in one small page; some in pages that are taken as they are. */
static void seeds_make(void)
{
	static const struct {
		uint32_t documents;
		size_t body_bytes;
	} rows[] = {{1, 40}, {5, 60}, {6, 9000}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sim_disk disk;
		struct arena arena;
		struct kv *kv;

		arena_init(&arena, 4096);
		sim_disk_init(&disk, &arena);
		kv = sim_kv_open(&disk);
		seed_segment(kv, rows[i].documents, rows[i].body_bytes);
		kv_close(kv);
		sim_disk_deinit(&disk);
		arena_deinit(&arena);
	}
}
