/*
 * Marks: what a replica knows beside its documents, as of an offset: which
 * identities occurred in the last window, and how far each source partition
 * was imported. Whoever starts to feed at that offset asks for them.
 *
 * Origins hold, for each partition of each source, the highest origin that
 * occurred below an offset of the log, applied or not. A record whose origin
 * is not higher was imported before, whatever the distance: a duplicate. They
 * are a function of the log's prefix, and of nothing else, so they are taken
 * from the very replica that stands at the offset, and again on every rewind.
 *
 * A page of marks is the body of one answer of a node; little-endian:
 *
 *   u32 magic "MRM1"  u16 version  u16 0
 *   u64[2] incarnation  i64 received  i64 next (-1: this was the last page)
 *   u32 origins  u32 identities
 *   origin:   u8 source length  source  u32 life  i32 partition  i64 offset  u32 n
 *   identity: i64 offset  u64[2] key (low, high)  u64 operation
 *
 * Origins stand in the first page only, in order of source and partition;
 * identities by rising offset, at least `after`, below `received`. Decoding
 * borrows and trusts nothing. Bound: MARKS_PAGE_BYTES_MAX.
 *
 * Owner: one thread.
 */
#ifndef MILLRACE_RECORD_MARKS_H
#define MILLRACE_RECORD_MARKS_H

#include "shared/record/batch.h"

#define ORIGINS_MAX 4096 /* source partitions of one shard; a record of another one is refused */
#define MARKS_PAGE_BYTES_MAX (4U * 1024 * 1024)
#ifndef MARKS_PAGE_IDENTITIES       /* the simulation has shorter logs */
#define MARKS_PAGE_IDENTITIES 65536 /* of one page, at most */
#endif

struct origins;

enum origin_verdict {
	ORIGIN_VERDICT_NEW = 1,
	ORIGIN_VERDICT_DUPLICATE,
	ORIGIN_VERDICT_LIMIT /* a partition beyond ORIGINS_MAX: dead letter too_many_sources */
};

/* Empty; NULL when out of memory. */
struct origins *origins_new(void);
void origins_free(struct origins *origins); /* NULL does nothing */
size_t origins_count(const struct origins *origins);
/* (life, offset, n) compared in this order with the highest of its source partition. */
enum origin_verdict origins_judge(const struct origins *origins, const struct origin *origin);
/* Keeps it if it is higher than what is there; copies the source. ERROR_MEMORY (RETRY) or ERROR_LIMIT: nothing
 * changed. */
int origins_note(struct origins *origins, const struct origin *origin, struct error *error);
/* In order of source (bytewise) and partition, borrowed: start with *at = 0; false after the last. */
bool origins_next(const struct origins *origins, size_t *at, struct origin *origin);

struct marks_page {
	struct incarnation incarnation;
	int64_t received;
	int64_t next; /* ask for what is at or after this; -1: there is no more */
	uint32_t origins_len;
	uint32_t identities_len;
	struct slice origins;    /* encoded; walk with marks_page_origin */
	struct slice identities; /* encoded; walk with marks_page_identity */
};

/* Writes a page: the header, each origin, then each identity, then the end. */
struct marks_writer {
	struct buffer *buffer;
	size_t at_next;
	uint32_t origins;
	uint32_t identities;
};

void marks_begin(struct marks_writer *writer, struct buffer *buffer, struct incarnation incarnation,
                 int64_t received);
void marks_add_origin(struct marks_writer *writer, const struct origin *origin);
void marks_add_identity(struct marks_writer *writer, const struct identity_entry *entry);
/* False if the buffer failed. */
bool marks_end(struct marks_writer *writer, int64_t next);

/* Checks everything; ERROR_FORMAT or ERROR_VERSION, REJECT. */
int marks_open(struct marks_page *page, struct slice frame, struct error *error);
/* Walk what marks_open has checked; start with *at = 0; false at the end. */
bool marks_page_origin(const struct marks_page *page, size_t *at, struct origin *origin);
bool marks_page_identity(const struct marks_page *page, size_t *at, struct identity_entry *entry);

#endif
