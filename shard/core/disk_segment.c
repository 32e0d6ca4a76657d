#include "shard/core/disk_segment.h"

#include "shard/core/pages.h"
#include "shared/base/assert.h"

#include <stdlib.h>

#define PAGE_NONE UINT32_MAX
/* Places at which a hash may be expected, and is not. */
#define LOOKS_GUESSED 8

struct disk_view {
	const struct disk_segment *segment;
	struct section_reader *sections;
	struct known_pages *known;      /* NULL: every page is unpacked */
	struct page_unpacker *unpacker; /* made for the first page that is */
	uint32_t page;                  /* of which the bytes are at hand */
	struct slice page_bytes;
	struct section_records order;   /* of ORDER, read last */
	struct buffer joined[SECTIONS]; /* what was put together of several chunks */
};

void value_set_written(struct value_set *values, uint64_t id, const struct value_cover *cover,
                       const struct section_writer *sections)
{
	*values = (struct value_set){.cover = *cover, .bytes = section_writer_put_bytes(sections)};
	if (values->bytes == 0)
		return;
	values->id = id;
	values->lengths[SECTION_POSTINGS] = section_length(sections, SECTION_POSTINGS);
	values->lengths[SECTION_TERMS] = section_length(sections, SECTION_TERMS);
}

struct disk_view *disk_view_new(struct kv_txn *txn, const struct disk_segment *segment)
{
	struct disk_view *view = calloc(1, sizeof *view);

	if (view == NULL)
		return NULL;
	view->segment = segment;
	view->page = PAGE_NONE;
	for (size_t i = 0; i < SECTIONS; i++)
		buffer_init(&view->joined[i], SIZE_MAX);
	view->sections = section_reader_new(txn, segment->id, segment->lengths);
	if (view->sections != NULL)
		return view;
	disk_view_free(view);
	return NULL;
}

void disk_view_free(struct disk_view *view)
{
	if (view == NULL)
		return;
	section_reader_free(view->sections);
	page_unpacker_free(view->unpacker);
	for (size_t i = 0; i < SECTIONS; i++)
		buffer_deinit(&view->joined[i]);
	free(view);
}

const struct disk_segment *disk_view_segment(const struct disk_view *view)
{
	return view->segment;
}

struct section_reader *disk_view_sections(struct disk_view *view)
{
	return view->sections;
}

void disk_view_use_pages(struct disk_view *view, struct known_pages *known)
{
	view->known = known;
}

static int damaged(const struct disk_view *view, const char *what, struct error *error)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "segment %llu: %s",
	                 (unsigned long long)view->segment->id, what);
}

static int absent(struct error *error)
{
	return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "not in this segment");
}

static int read(struct disk_view *view, enum section section, uint64_t at, size_t len, struct slice *bytes,
                struct error *error)
{
	return section_read(view->sections, (struct span){section, at, len}, &view->joined[section], bytes,
	                    error);
}

int disk_entry_at(struct disk_view *view, uint32_t place, struct disk_entry *entry, struct error *error)
{
	const uint8_t *record = NULL;
	struct disk_entry found;

	if (place >= view->segment->documents)
		return damaged(view, "a place above its last document is referred to", error);
	if (section_record(view->sections, SECTION_ENTRIES, place, &record, error) != 0)
		return error->code;
	column_entry_get(record, view->segment->first, &found);
	if (found.number >= view->segment->end)
		return damaged(view, "a document of another segment's number", error);
	*entry = found;
	return 0;
}

/* Places in [low, high), whose numbers are in [from, to). */
struct stretch {
	uint64_t low;
	uint64_t high;
	uint64_t from;
	uint64_t to;
};

/* Where to look for a number in [from, to); `high`: nowhere. Numbers rise by at least one a place, which bounds where it
 * is: where all documents still stand, to one place. In between it is sought where it would be if those that are gone
 * were spread evenly, or by halves, however they are. */
static uint64_t stretch_look(const struct stretch *stretch, uint64_t number, bool by_halves)
{
	uint64_t len = stretch->high - stretch->low;
	uint64_t above = number - stretch->from;
	uint64_t below = stretch->to - number;
	uint64_t least = below < len ? stretch->high - below : stretch->low;
	uint64_t most = above < len ? stretch->low + above : stretch->high - 1;
	uint64_t look = stretch->low + (uint64_t)((double)len * (double)above / (double)(above + below));

	if (least > most)
		return stretch->high;
	if (by_halves)
		return least + (most - least) / 2;
	return look < least ? least : look > most ? most : look;
}

int disk_place(struct disk_view *view, uint64_t number, uint32_t *place, struct error *error)
{
	const struct disk_segment *segment = view->segment;
	struct stretch stretch = {0, segment->documents, segment->first, segment->end};

	if (number < segment->first || number >= segment->end)
		return absent(error);
	for (size_t looks = 1; stretch.low < stretch.high; looks++) {
		uint64_t look = stretch_look(&stretch, number, looks % 3 == 0);
		struct disk_entry entry;

		if (look == stretch.high)
			break;
		if (disk_entry_at(view, (uint32_t)look, &entry, error) != 0)
			return error->code;
		if (entry.number == number) {
			*place = (uint32_t)look;
			return 0;
		}
		if (entry.number < number) {
			stretch.low = look + 1;
			stretch.from = entry.number + 1;
		} else {
			stretch.high = look;
			stretch.to = entry.number;
		}
	}
	return absent(error);
}

int disk_id(struct disk_view *view, const struct disk_entry *entry, struct slice *id, struct error *error)
{
	return read(view, SECTION_ID_TEXT, entry->id_at, entry->id_len, id, error);
}

/* Records of IDS in [low, high) may be the first above a hash, or `high` is. */
struct bracket {
	uint64_t low;
	uint64_t high;
};

/* How many of so many evenly spread hashes lie in a stretch. */
static uint64_t hashes_in(uint64_t stretch, uint64_t ids)
{
	return (stretch >> 32) * (ids & UINT32_MAX) >> 32;
}

static uint64_t hash_of(const struct section_records *records, uint64_t i)
{
	return column_u64(records->bytes + (i - records->first) * COLUMN_ID_BYTES);
}

/* By halves, in memory: the first of them is not above the hash, the last one is. */
static void bracket_close(const struct section_records *records, uint64_t hash, struct bracket *bracket)
{
	while (bracket->low < bracket->high) {
		uint64_t look = bracket->low + (bracket->high - bracket->low) / 2;

		if (hash_of(records, look) > hash)
			bracket->high = look;
		else
			bracket->low = look + 1;
	}
}

/* Looks at a place and what stands beside it; the next place to look at is where the hash would stand if all were
 * spread evenly from there on, because spread by chance they are about a root of their number off. */
static int bracket_narrow(struct disk_view *view, uint64_t hash, struct bracket *bracket, uint64_t *look,
                          struct error *error)
{
	uint64_t ids = view->segment->lengths[SECTION_IDS] / COLUMN_ID_BYTES;
	struct section_records records;
	uint64_t first;
	uint64_t last;
	uint64_t off;

	if (section_records(view->sections, SECTION_IDS, *look, &records, error) != 0)
		return error->code;
	first = records.first > bracket->low ? records.first : bracket->low;
	last = records.first + records.len < bracket->high ? records.first + records.len : bracket->high;
	last--;
	if (hash_of(&records, first) > hash) {
		bracket->high = first;
		off = hashes_in(hash_of(&records, first) - hash, ids) + 1;
		*look = first - bracket->low > off ? first - off : bracket->low;
	} else if (hash_of(&records, last) <= hash) {
		bracket->low = last + 1;
		off = hashes_in(hash - hash_of(&records, last), ids) + 1;
		*look = bracket->high - last > off ? last + off : bracket->high - 1;
	} else {
		*bracket = (struct bracket){first + 1, last};
		bracket_close(&records, hash, bracket);
	}
	return 0;
}

/* How many records of IDS are not above a hash. */
static int hash_above(struct disk_view *view, uint64_t hash, uint64_t *above, struct error *error)
{
	uint64_t ids = view->segment->lengths[SECTION_IDS] / COLUMN_ID_BYTES;
	struct bracket bracket = {0, ids};
	uint64_t look = hashes_in(hash, ids);

	for (unsigned looks = 0; bracket.low < bracket.high; looks++) {
		if (looks >= LOOKS_GUESSED) /* they are not spread evenly */
			look = bracket.low + (bracket.high - bracket.low) / 2;
		if (bracket_narrow(view, hash, &bracket, &look, error) != 0)
			return error->code;
	}
	*above = bracket.low;
	return 0;
}

int disk_find(struct disk_view *view, struct slice id, uint64_t hash, struct disk_entry *entry,
              struct error *error)
{
	uint64_t i = 0;

	if (hash_above(view, hash, &i, error) != 0)
		return error->code;
	/* from the last one of that hash on downwards: of equal ones the last stands highest */
	for (; i > 0; i--) {
		const uint8_t *record = NULL;
		struct disk_entry found;
		struct slice text;

		if (section_record(view->sections, SECTION_IDS, i - 1, &record, error) != 0)
			return error->code;
		if (column_u64(record) != hash)
			break;
		if (disk_entry_at(view, column_u32(record + 8), &found, error) != 0 ||
		    disk_id(view, &found, &text, error) != 0)
			return error->code;
		if (slice_equal(text, id)) {
			*entry = found;
			return 0;
		}
	}
	return absent(error);
}

uint32_t disk_pages(const struct disk_segment *segment)
{
	return (uint32_t)(segment->lengths[SECTION_PAGES] / COLUMN_PAGE_BYTES);
}

int disk_page_at(struct disk_view *view, uint32_t page, struct disk_page *found, struct error *error)
{
	uint32_t documents = view->segment->documents;
	const uint8_t *record = NULL;
	struct disk_page read_page;

	if (section_record(view->sections, SECTION_PAGES, page, &record, error) != 0)
		return error->code;
	column_page_get(record, &read_page);
	if (read_page.places == 0 || read_page.first >= documents ||
	    read_page.places > documents - read_page.first)
		return damaged(view, "a page of other places than it has", error);
	*found = read_page;
	return 0;
}

int disk_page_frame(struct disk_view *view, const struct disk_page *page, struct slice *frame,
                    struct error *error)
{
	return read(view, SECTION_BODIES, page->at, page->frame_bytes, frame, error);
}

static bool page_find(struct disk_view *view, uint32_t number)
{
	struct slice found = known_pages_find(view->known, number);

	if (found.ptr == NULL)
		return false;
	view->page = number;
	view->page_bytes = found;
	return true;
}

static int page_load(struct disk_view *view, uint32_t number, struct error *error)
{
	struct disk_page page;
	struct slice frame;

	if ((number == view->page && number != PAGE_NONE) || (view->known != NULL && page_find(view, number)))
		return 0;
	if (view->unpacker == NULL) {
		view->unpacker = page_unpacker_new();
		if (view->unpacker == NULL)
			return error_memory(error, PAGE_BYTES_MAX);
	}
	if (disk_page_at(view, number, &page, error) != 0 || disk_page_frame(view, &page, &frame, error) != 0)
		return error->code;
	view->page = PAGE_NONE;
	if (page_unpack(view->unpacker, frame, page.bytes, &view->page_bytes, error) != 0)
		return error_prefix(error, "segment %llu, page %u", (unsigned long long)view->segment->id,
		                    number);
	view->page = number;
	if (view->known != NULL)
		known_pages_asked(view->known, number, view->page_bytes);
	return 0;
}

int disk_body(struct disk_view *view, const struct disk_entry *entry, struct slice *body, struct error *error)
{
	if (page_load(view, entry->page, error) != 0)
		return error->code;
	if (entry->page_at > view->page_bytes.len ||
	    entry->body_bytes > view->page_bytes.len - entry->page_at)
		return damaged(view, "a body outside of its page", error);
	*body = slice_of(view->page_bytes.ptr + entry->page_at, entry->body_bytes);
	return 0;
}

int disk_order_at(struct disk_view *view, uint32_t i, uint32_t *place, struct error *error)
{
	struct section_records *order = &view->order;
	uint32_t found;

	if ((i < order->first || i - order->first >= order->len) &&
	    section_records(view->sections, SECTION_ORDER, i, order, error) != 0) {
		order->len = 0;
		return error->code;
	}
	found = column_u32(order->bytes + (i - order->first) * COLUMN_ORDER_BYTES);
	if (found >= view->segment->documents)
		return damaged(view, "a place above its last document in ORDER", error);
	*place = found;
	return 0;
}
