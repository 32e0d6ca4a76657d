/*
 * Memtable: the effective operations of one range [from, to) of a shard.
 *
 * Its write-ahead log is the Kafka log itself: dropping a memtable loses
 * nothing, the range is read again. Records are added in offset order;
 * memtable_cover moves `to` past what was read without becoming an operation
 * (refused records, transaction markers), so ranges are consumer positions.
 *
 * Coalescing: an operation is dropped only for a later put or delete of the
 * same id in the range; merges and if-exists operations are kept one by one
 * and as they came. The surviving put carries the insertion key to use if it
 * creates (that of the oldest put or merge since the last delete), and whether
 * a delete lay between. Applied to any state that is the fold up to some x in
 * [from, to), the survivors at or above x give the fold up to `to`. A barrier
 * is the only operation of its range: memtable_is_full sees to that, if it is
 * asked with memtable_op_bytes.
 *
 * Beside the operations stand the identities and the origins of the range, of
 * duplicates too, and the offsets that were skipped by record. What was noted at or above `to`
 * belongs to an operation that was not added yet, and is not told.
 *
 * Copies what it keeps. Bounds: RANGE_BYTES_MAX or one operation, and never
 * across a multiple of RANGE_SEAL offsets, so at most RANGE_SEAL identities,
 * origins and skipped offsets; only one that holds nothing may be longer, for a log
 * may lack any number of offsets. Owner: one thread.
 */
#ifndef MILLRACE_RECORD_MEMTABLE_H
#define MILLRACE_RECORD_MEMTABLE_H

#include "shared/record/record.h"

#define RANGE_BYTES_MAX (4U * 1024 * 1024)
#define RANGE_SEAL 4096
/* A merge's outcome is as long as its document, which only a replica has, and which applies a range as a whole: so
 * many bytes at least are counted for one, which makes 64 of them a range. */
#define MERGE_BYTES_COUNTED 65536
/* The bytes of an operation that shares its range with no other. */
#define RANGE_BYTES_ALONE SIZE_MAX

/* The last record that a watermark covers: when feeding starts again, that
 * record, if it is still in the log, must be the same. */
struct anchor {
	int64_t offset; /* -1: no record covered yet */
	int64_t timestamp_ms;
	uint64_t checksum; /* record_checksum */
};

/* The identity of the record at `offset`. */
struct identity_entry {
	int64_t offset;
	struct identity identity;
};

/* The origin of the record at `offset` of the log. */
struct origin_entry {
	int64_t offset;
	struct origin origin; /* the source is borrowed */
};

struct memtable;

/* An empty one over [from, from); NULL when out of memory. */
struct memtable *memtable_new(int64_t from);
void memtable_free(struct memtable *memtable);

/* What an operation takes of RANGE_BYTES_MAX: id and body, a merge MERGE_BYTES_COUNTED at least; RANGE_BYTES_ALONE for a
 * barrier. */
size_t memtable_op_bytes(const struct op *op);
/* True if a record at `offset` with an operation of `bytes` (0: without one)
 * has to go into the next memtable: beyond the seal, or with an operation
 * after a barrier, or too large or a barrier unless this one is empty. */
bool memtable_is_full(const struct memtable *memtable, int64_t offset, size_t bytes);
/* Adds an operation at op->offset >= to; `to` becomes op->offset + 1. False
 * when out of memory; then nothing changed. */
bool memtable_add(struct memtable *memtable, const struct op *op);
/* Moves `to` forward, at most to memtable_end. */
void memtable_cover(struct memtable *memtable, int64_t to);
/* Notes the identity of the record at `offset`, applied or duplicate, before
 * that record is added or covered. Offsets rise; the one that was noted last
 * may be noted again. False when out of memory; then nothing changed. */
bool memtable_note_identity(struct memtable *memtable, int64_t offset, const struct identity *identity);
/* The same for an offset that a record in `meta` tells to skip. */
bool memtable_note_skipped(struct memtable *memtable, int64_t offset);
/* The same for where an imported record comes from. */
bool memtable_note_origin(struct memtable *memtable, int64_t offset, const struct origin *origin);
/* Every record read is also an anchor, refused ones too. */
void memtable_set_anchor(struct memtable *memtable, struct anchor anchor);

int64_t memtable_from(const struct memtable *memtable);
int64_t memtable_to(const struct memtable *memtable);
/* The seal that ends the range at the latest: the next multiple of RANGE_SEAL above `from`. */
int64_t memtable_seal(const struct memtable *memtable);
/* Where it ends if the next record is at `offset`, beyond the seal: at the seal; if it holds nothing, at the last
 * multiple of RANGE_SEAL up to there. */
int64_t memtable_end(const struct memtable *memtable, int64_t offset);
struct anchor memtable_anchor(const struct memtable *memtable); /* offset -1: none in this range */
size_t memtable_count(const struct memtable *memtable);         /* survivors */
size_t memtable_bytes(const struct memtable *memtable);         /* memory held */
/* The next survivor in offset order (start with *at = 0), or NULL; valid as long as the memtable is. */
const struct op *memtable_next(const struct memtable *memtable, size_t *at);
/* The same for identities and skipped offsets. */
const struct identity_entry *memtable_next_identity(const struct memtable *memtable, size_t *at);
const int64_t *memtable_next_skipped(const struct memtable *memtable, size_t *at);
/* Origins below `to`, at rising offsets: of each source partition the highest alone, where it came first; valid as
 * long as the memtable is. */
bool memtable_next_origin(const struct memtable *memtable, size_t *at, struct origin_entry *entry);

#endif
