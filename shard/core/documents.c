#include "shard/core/documents.h"

#include "shard/core/pages.h"
#include "shared/base/assert.h"

#include <stdlib.h>

#define ROWS_MIN 256

/* What IDS and ORDER need of a document. */
struct row {
	uint64_t hash; /* of the id */
	int64_t timestamp_ms;
	uint32_t seq;
	uint32_t place;
	uint32_t id_at; /* in `ids` */
	uint16_t id_len;
};

enum finish_state {
	FINISH_STATE_NOT_BEGUN,
	FINISH_STATE_IDS,
	FINISH_STATE_ORDER,
	FINISH_STATE_DONE
};

struct documents_writer {
	uint64_t first;
	struct section_writer *sections;
	struct page_packer *packer;
	struct buffer page;  /* bodies of the page at hand */
	uint32_t page_first; /* its first place */
	uint32_t pages;      /* put */
	struct buffer ids;   /* all of them: ORDER needs them where insertion keys are equal */
	struct row *rows;    /* by place, until finish sorts them */
	size_t rows_len;
	size_t rows_size;
	uint64_t last;
	enum finish_state finish;
	size_t finished; /* records of IDS or ORDER */
};

struct documents_writer *documents_writer_new(uint64_t first, struct section_writer *sections)
{
	struct documents_writer *writer = calloc(1, sizeof *writer);

	if (writer == NULL)
		return NULL;
	writer->first = first;
	writer->sections = sections;
	buffer_init(&writer->page, PAGE_BYTES_MAX);
	buffer_init(&writer->ids, UINT32_MAX);
	writer->packer = page_packer_new();
	if (writer->packer != NULL)
		return writer;
	documents_writer_free(writer);
	return NULL;
}

void documents_writer_free(struct documents_writer *writer)
{
	if (writer == NULL)
		return;
	page_packer_free(writer->packer);
	buffer_deinit(&writer->page);
	buffer_deinit(&writer->ids);
	free(writer->rows);
	free(writer);
}

static int frame_put(struct documents_writer *writer, struct slice frame, uint32_t bytes, uint32_t places,
                     struct error *error)
{
	uint8_t record[COLUMN_PAGE_BYTES];
	struct disk_page page = {.at = section_length(writer->sections, SECTION_BODIES),
	                         .frame_bytes = (uint32_t)frame.len,
	                         .bytes = bytes,
	                         .first = writer->page_first,
	                         .places = places};

	ASSERT(frame.len <= UINT32_MAX);
	column_page_put(record, &page);
	if (section_append(writer->sections, SECTION_BODIES, frame.ptr, frame.len, error) != 0 ||
	    section_append(writer->sections, SECTION_PAGES, record, sizeof record, error) != 0)
		return error->code;
	writer->pages++;
	writer->page_first += places;
	return 0;
}

/* Puts the page at hand, if it has documents. */
static int page_end(struct documents_writer *writer, struct error *error)
{
	uint32_t places = (uint32_t)writer->rows_len - writer->page_first;
	struct slice frame;

	if (places == 0)
		return 0;
	if (page_pack(writer->packer, buffer_slice(&writer->page), &frame, error) != 0 ||
	    frame_put(writer, frame, (uint32_t)writer->page.len, places, error) != 0)
		return error->code;
	buffer_clear(&writer->page);
	return 0;
}

static int rows_room(struct documents_writer *writer, struct error *error)
{
	size_t size = writer->rows_size == 0 ? ROWS_MIN : 2 * writer->rows_size;
	struct row *rows;

	if (writer->rows_len < writer->rows_size)
		return 0;
	ASSERT(writer->rows_len < UINT32_MAX);
	rows = realloc(writer->rows, size * sizeof *rows);
	if (rows == NULL)
		return error_memory(error, size * sizeof *rows);
	writer->rows = rows;
	writer->rows_size = size;
	return 0;
}

/* All of a document but its body, whose place `entry` has; gives the entry its number and the place of its id. */
static int entry_put(struct documents_writer *writer, struct disk_entry *entry, struct slice id,
                     struct error *error)
{
	uint8_t record[COLUMN_ENTRY_BYTES];

	ASSERT(writer->finish == FINISH_STATE_NOT_BEGUN && id.len <= UINT16_MAX);
	ASSERT(writer->rows_len == 0 || entry->number > writer->last);
	if (rows_room(writer, error) != 0)
		return error->code;
	entry->id_at = (uint32_t)writer->ids.len;
	entry->id_len = (uint16_t)id.len;
	buffer_append_slice(&writer->ids, id);
	if (buffer_failed(&writer->ids))
		return error_memory(error, writer->ids.len + id.len);
	column_entry_put(record, entry, writer->first);
	if (section_append(writer->sections, SECTION_ENTRIES, record, sizeof record, error) != 0 ||
	    section_append(writer->sections, SECTION_ID_TEXT, id.ptr, id.len, error) != 0)
		return error->code;
	writer->rows[writer->rows_len] = (struct row){.hash = hash64(id, 0),
	                                              .timestamp_ms = entry->key.timestamp_ms,
	                                              .seq = entry->key.seq,
	                                              .place = (uint32_t)writer->rows_len,
	                                              .id_at = entry->id_at,
	                                              .id_len = entry->id_len};
	writer->rows_len++;
	writer->last = entry->number;
	return 0;
}

int documents_writer_add(struct documents_writer *writer, const struct new_document *document,
                         struct error *error)
{
	struct disk_entry entry = {.number = document->number,
	                           .key = document->key,
	                           .digest = document->digest,
	                           .body_bytes = (uint32_t)document->body.len};

	if (document->body.len > PAGE_BYTES_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_FATAL, "a document of %zu bytes",
		                 document->body.len);
	if (writer->page.len + document->body.len > PAGE_BYTES && page_end(writer, error) != 0)
		return error->code;
	entry.page = writer->pages;
	entry.page_at = (uint32_t)writer->page.len;
	buffer_append_slice(&writer->page, document->body);
	if (buffer_failed(&writer->page))
		return error_memory(error, writer->page.len + document->body.len);
	if (entry_put(writer, &entry, document->id, error) != 0)
		return error->code;
	return writer->page.len >= PAGE_BYTES ? page_end(writer, error) : 0;
}

static int page_damaged(const struct disk_view *view, const char *what, struct error *error)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "segment %llu: %s",
	                 (unsigned long long)disk_view_segment(view)->id, what);
}

/* The next document of a page; that it goes behind what was added. */
static int page_entry(const struct documents_writer *writer, struct disk_view *view, uint32_t place,
                      struct disk_entry *entry, struct error *error)
{
	if (disk_entry_at(view, place, entry, error) != 0)
		return error->code;
	if (writer->rows_len > 0 && entry->number <= writer->last)
		return page_damaged(view, "its documents' numbers do not rise", error);
	return 0;
}

/* A page as it is, behind what was added. */
static int page_take(struct documents_writer *writer, struct disk_view *view, const struct disk_page *page,
                     struct error *error)
{
	struct slice frame;

	for (uint32_t i = 0; i < page->places; i++) {
		struct disk_entry entry;
		struct slice id;

		if (page_entry(writer, view, page->first + i, &entry, error) != 0 ||
		    disk_id(view, &entry, &id, error) != 0)
			return error->code;
		if (entry.page_at > page->bytes || entry.body_bytes > page->bytes - entry.page_at)
			return page_damaged(view, "a body outside of its page", error);
		entry.page = writer->pages;
		if (entry_put(writer, &entry, id, error) != 0)
			return error->code;
	}
	if (disk_page_frame(view, page, &frame, error) != 0)
		return error->code;
	return frame_put(writer, frame, page->bytes, page->places, error);
}

/* The documents of a page one by one, without the dead. */
static int page_copy(struct documents_writer *writer, struct disk_view *view, const struct disk_page *page,
                     const struct postings *dead, struct error *error)
{
	for (uint32_t i = 0; i < page->places; i++) {
		struct new_document document;
		struct disk_entry entry;

		if (page_entry(writer, view, page->first + i, &entry, error) != 0)
			return error->code;
		if (postings_contains(dead, entry.number))
			continue;
		document.number = entry.number;
		document.key = entry.key;
		document.digest = entry.digest;
		if (disk_id(view, &entry, &document.id, error) != 0 ||
		    disk_body(view, &entry, &document.body, error) != 0 ||
		    documents_writer_add(writer, &document, error) != 0)
			return error->code;
	}
	return 0;
}

int documents_writer_add_page(struct documents_writer *writer, struct disk_view *view, uint32_t page,
                              const struct postings *dead, uint64_t *dropped, struct error *error)
{
	size_t before = writer->rows_len;
	struct disk_entry first;
	struct disk_entry last;
	struct disk_page found;
	uint64_t next;
	int rc;

	if (disk_page_at(view, page, &found, error) != 0 ||
	    disk_entry_at(view, found.first, &first, error) != 0 ||
	    disk_entry_at(view, found.first + found.places - 1, &last, error) != 0)
		return error->code;
	if (found.bytes >= PAGE_BYTES_KEPT &&
	    !(postings_next(dead, first.number, &next) && next <= last.number))
		rc = page_end(writer, error) != 0 ? error->code : page_take(writer, view, &found, error);
	else
		rc = page_copy(writer, view, &found, dead, error);
	if (rc == 0)
		*dropped += found.places - (writer->rows_len - before);
	return rc;
}

static int by_hash(const void *left, const void *right)
{
	const struct row *a = left;
	const struct row *b = right;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return a->place < b->place ? -1 : a->place > b->place;
}

static int by_insertion(const void *left, const void *right, void *context)
{
	const uint8_t *ids = context;
	const struct row *a = left;
	const struct row *b = right;

	return insertion_key_compare(
		(struct insertion_key){a->timestamp_ms, a->seq}, slice_of(ids + a->id_at, a->id_len),
		(struct insertion_key){b->timestamp_ms, b->seq}, slice_of(ids + b->id_at, b->id_len));
}

static int ids_put(struct documents_writer *writer, size_t end, struct error *error)
{
	for (; writer->finished < end; writer->finished++) {
		const struct row *row = &writer->rows[writer->finished];
		uint8_t record[COLUMN_ID_BYTES];

		column_put_u64(record, row->hash);
		column_put_u32(record + 8, row->place);
		if (section_append(writer->sections, SECTION_IDS, record, sizeof record, error) != 0)
			return error->code;
	}
	return 0;
}

static int order_put(struct documents_writer *writer, size_t end, struct error *error)
{
	for (; writer->finished < end; writer->finished++) {
		uint8_t record[COLUMN_ORDER_BYTES];

		column_put_u32(record, writer->rows[writer->finished].place);
		if (section_append(writer->sections, SECTION_ORDER, record, sizeof record, error) != 0)
			return error->code;
	}
	return 0;
}

/* Goes on to what is to be put next, in its order. */
static void finish_advance(struct documents_writer *writer)
{
	writer->finish++;
	writer->finished = 0;
	if (writer->rows_len == 0)
		return;
	if (writer->finish == FINISH_STATE_IDS)
		qsort(writer->rows, writer->rows_len, sizeof *writer->rows, by_hash);
	if (writer->finish == FINISH_STATE_ORDER)
		qsort_r(writer->rows, writer->rows_len, sizeof *writer->rows, by_insertion, writer->ids.ptr);
}

int documents_writer_finish(struct documents_writer *writer, bool *more, struct error *error)
{
	size_t left = FINISH_RECORDS;

	ASSERT(writer->finish != FINISH_STATE_DONE);
	if (writer->finish == FINISH_STATE_NOT_BEGUN) {
		if (page_end(writer, error) != 0)
			return error->code;
		finish_advance(writer);
	}
	while (writer->finish != FINISH_STATE_DONE && left > 0) {
		size_t from = writer->finished;
		size_t end = writer->rows_len - from > left ? from + left : writer->rows_len;
		int rc = writer->finish == FINISH_STATE_IDS ? ids_put(writer, end, error)
		                                            : order_put(writer, end, error);

		if (rc != 0)
			return rc;
		left -= end - from;
		if (end == writer->rows_len)
			finish_advance(writer);
	}
	*more = writer->finish != FINISH_STATE_DONE;
	return 0;
}

uint32_t documents_writer_len(const struct documents_writer *writer)
{
	return (uint32_t)writer->rows_len;
}
