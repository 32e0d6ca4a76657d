/*
 * Documents: writing the columns of a disk segment that hold its documents
 * (columns.h), and the text that they point to:
 *
 *   ID_TEXT  ids by place
 *   BODIES   pages (pages.h): bodies of neighbours, joined until they come to
 *            PAGE_BYTES; one longer body is a page of its own
 *
 * A writer is given documents by rising number. A page of another segment all
 * of whose documents live is taken as it is, without being compressed anew,
 * unless it is small: small pages are joined.
 *
 * What IDS and ORDER are made of is kept in memory until finish: 32 bytes a
 * document and the ids.
 *
 * Failure: as in sections.h; after one a writer can only be freed. One thread
 * a writer.
 */
#ifndef MILLRACE_SHARD_CORE_DOCUMENTS_H
#define MILLRACE_SHARD_CORE_DOCUMENTS_H

#include "shard/core/disk_segment.h"
#include "shared/record/record.h"

#ifndef PAGE_BYTES /* the simulation's is smaller, as its segments are */
#define PAGE_BYTES (4U * 1024)
#endif
/* A smaller page of another segment is not taken as it is. */
#define PAGE_BYTES_KEPT (PAGE_BYTES / 2)
/* Records that a call of documents_writer_finish puts at most. */
#define FINISH_RECORDS 131072U

struct documents_writer;

/* A document to be written; borrowed. */
struct new_document {
	uint64_t number;
	struct insertion_key key;
	struct hash128 digest;
	struct slice id;
	struct slice body;
};

/* `first`: the segment's first number; `sections` is the caller's and outlives it. */
struct documents_writer *documents_writer_new(uint64_t first, struct section_writer *sections);
void documents_writer_free(struct documents_writer *writer);
int documents_writer_add(struct documents_writer *writer, const struct new_document *document,
                         struct error *error);
/* All live documents of a page of another segment (`page` of its pages), by rising number: as it is if none of them
 * is in `dead`, else one by one. `*dropped` grows by those left out. */
int documents_writer_add_page(struct documents_writer *writer, struct disk_view *view, uint32_t page,
                              const struct postings *dead, uint64_t *dropped, struct error *error);
/* Puts the last page, IDS and ORDER, at most about 2 MB a call (the first one sorts); `*more`: call again, in the
 * same transaction or another. */
int documents_writer_finish(struct documents_writer *writer, bool *more, struct error *error);
uint32_t documents_writer_len(const struct documents_writer *writer);

#endif
