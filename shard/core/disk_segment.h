/*
 * Disk segment: what one store or one merge left on disk, and reading it.
 *
 * A segment covers the numbers [first, end), disjoint from every other
 * segment's; it lists `documents` of them, by rising number. Those among them
 * that have died since are told by the replica's set of dead numbers; `dead`
 * counts them. Immutable but for `dead`.
 *
 * A view is one segment in one read transaction (never a write transaction:
 * what it remembers would move under it): it borrows the segment and ends
 * before the transaction. What it hands out is borrowed until the next call on
 * the view that says so, or the end of the transaction.
 *
 * Failure: as in sections.h. Owner: one thread a view.
 */
#ifndef MILLRACE_SHARD_CORE_DISK_SEGMENT_H
#define MILLRACE_SHARD_CORE_DISK_SEGMENT_H

#include "shard/core/columns.h"
#include "shard/core/known_pages.h"
#include "shard/core/terms.h"
#include "shard/core/values.h"

/* Bound of a merge's outcome. */
#define DISK_SEGMENT_DOCUMENTS_MAX 524288U

/* The keys of a segment's documents in the attributes that it covers, as terms in TERMS and POSTINGS of an id of its
 * own; their lists have the segment's first number as base. Keys of other attributes mean nothing. */
struct value_set {
	uint64_t id; /* 0: there are no keys */
	struct value_cover cover;
	uint64_t bytes;
	uint64_t lengths[SECTIONS];
};

struct disk_segment {
	uint64_t id; /* of its chunks; never used again */
	uint32_t level;
	uint64_t first;
	uint64_t end;
	uint32_t documents;
	uint32_t dead;
	uint64_t bytes; /* of its chunks, without those of its values */
	uint64_t lengths[SECTIONS];
	uint64_t cutting; /* digest of the rules that its words were cut by (cutting.h) */
	struct value_set values;
};

struct disk_view;

/* Of all its chunks, those of its values too. */
static inline uint64_t disk_segment_bytes(const struct disk_segment *segment)
{
	return segment->bytes + segment->values.bytes;
}

/* What was written of them as that id, if anything. */
void value_set_written(struct value_set *values, uint64_t id, const struct value_cover *cover,
                       const struct section_writer *sections);

struct disk_view *disk_view_new(struct kv_txn *txn, const struct disk_segment *segment);
void disk_view_free(struct disk_view *view);
const struct disk_segment *disk_view_segment(const struct disk_view *view);
struct section_reader *disk_view_sections(struct disk_view *view);
/* Pages are taken from there and kept there, which lives longer than the view. */
void disk_view_use_pages(struct disk_view *view, struct known_pages *known);

/* Place of a number; ERROR_NOT_FOUND if the segment does not list it. */
int disk_place(struct disk_view *view, uint64_t number, uint32_t *place, struct error *error);
int disk_entry_at(struct disk_view *view, uint32_t place, struct disk_entry *entry, struct error *error);
/* Borrowed until the next id is read. */
int disk_id(struct disk_view *view, const struct disk_entry *entry, struct slice *id, struct error *error);
/* The document of that id, whose hash64 is given, with the highest number; ERROR_NOT_FOUND. A dead one is found too. */
int disk_find(struct disk_view *view, struct slice id, uint64_t hash, struct disk_entry *entry,
              struct error *error);
/* Borrowed until a body of another page is read. */
int disk_body(struct disk_view *view, const struct disk_entry *entry, struct slice *body,
              struct error *error);
/* The i-th place in insertion order. */
int disk_order_at(struct disk_view *view, uint32_t i, uint32_t *place, struct error *error);
/* The pages of a segment; one of them; its frame, borrowed until the next one is read. */
uint32_t disk_pages(const struct disk_segment *segment);
int disk_page_at(struct disk_view *view, uint32_t page, struct disk_page *found, struct error *error);
int disk_page_frame(struct disk_view *view, const struct disk_page *page, struct slice *frame,
                    struct error *error);

#endif
