/*
 * Documents: the columns of a disk segment that hold its documents.
 *
 * Place i is the i-th document of the segment by rising number.
 *   ENTRIES  DOCUMENT_ENTRY_BYTES a document: u64[2] digest, i64 timestamp,
 *            u32 seq, u32 number − first, u32 body length, u32 page,
 *            u32 offset in the page, u32 offset in ID_TEXT, u16 id length
 *   IDS      u64 hash of the id, u32 place; by hash, then place
 *   ID_TEXT  ids by place
 *   ORDER    u32 place; by insertion key, then id (insertion_key_compare)
 *   PAGES    u64 offset in BODIES, u32 compressed bytes, u32 bytes, u32 first
 *            place, u32 places
 *   BODIES   zstd frames, each a page: bodies of neighbours, joined until they
 *            come to PAGE_BYTES (one longer body is a page of its own)
 *
 * A writer is given documents by rising number. A page of another segment all
 * of whose documents live is taken as it is, without being compressed anew.
 * IDS and ORDER are kept in memory (24 bytes a document) until finish.
 *
 * Only pages.c knows zstd. Failure: as in sections.h. One thread a writer or
 * view.
 */
#ifndef MILLRACE_SHARD_CORE_DOCUMENTS_H
#define MILLRACE_SHARD_CORE_DOCUMENTS_H

#include "shard/core/disk_segment.h"
#include "shared/record/record.h"

#define DOCUMENT_ENTRY_BYTES 50
#define PAGE_BYTES (16U * 1024)

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
/* Puts the last page, IDS and ORDER. */
int documents_writer_finish(struct documents_writer *writer, struct error *error);
uint32_t documents_writer_len(const struct documents_writer *writer);
/* Number of the last document; documents_writer_len > 0. */
uint64_t documents_writer_last(const struct documents_writer *writer);

#endif
