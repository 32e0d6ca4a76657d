/*
 * Batch: the body of one POST from a feeder to a node, and its answer.
 *
 * Little-endian, length-prefixed, versioned. A batch carries ranges of any
 * number of shards of one node; the ranges of one shard follow each other in
 * order. Layout of version 3 (all lengths u32):
 *
 *   u32 magic "MRB1"  u16 version  u16 0  u64 batch id  u32 ranges
 *   range: u32 bytes of the rest
 *     u64 index id  i32 partition  u64[2] incarnation  u64 session
 *     u64 rules digest  i64 from  i64 to  i64 log end
 *     i64 anchor offset  i64 anchor timestamp  u64 anchor checksum
 *     u32 operations  u32 identities  u32 skipped  u32 origins
 *     identity:  i64 offset  u64[2] key (low, high)  u64 operation
 *     skipped:   i64 offset
 *     origin:    i64 offset of the log  u8 source length  source
 *                u32 life  i32 partition  i64 offset  u32 n
 *     operation: u8 kind  u8 flags (1 = fresh)  u16 id length
 *                u32 body length  i64 offset  i64 key timestamp  u32 key seq
 *                id  body
 *
 * A barrier has no id and is the only operation of its range. Both sides are
 * released together: a reader refuses every other version.
 *
 * The answer lists for every range the shard's state after it:
 *
 *   u32 magic "MRA1"  u16 version  u16 0  u64 batch id  u32 answers
 *   answer: u64 index id  i32 partition  u8 result  u64[2] incarnation
 *     u64 session  i64 received  i64 stored
 *     i64 anchor offset  i64 anchor timestamp  u64 anchor checksum
 *     u8 marks (1: identities in its window, 2: origins)
 *
 * Decoding borrows from the bytes and trusts none of them; every decoder has
 * a fuzz target. Bound: BATCH_BYTES_MAX.
 */
#ifndef MILLRACE_RECORD_BATCH_H
#define MILLRACE_RECORD_BATCH_H

#include "shared/record/memtable.h"

#define BATCH_VERSION 3
#define BATCH_BYTES_MAX (32U * 1024 * 1024)
#define BATCH_RANGES_MAX 65536

/* A replica's identity: new whenever it starts from empty. */
struct incarnation {
	uint64_t word[2];
};

bool incarnation_equal(struct incarnation a, struct incarnation b);
bool incarnation_is_none(struct incarnation incarnation);
/* 32 lower-case hex digits and a NUL, and back. */
void incarnation_print(struct incarnation incarnation, char text[33]);
bool incarnation_parse(struct slice text, struct incarnation *incarnation);

struct range {
	uint64_t index_id;
	int32_t partition;
	struct incarnation incarnation;
	uint64_t session; /* the process life that the feeder asked before it read log_end */
	uint64_t rules_digest;
	int64_t from;
	int64_t to;
	int64_t log_end; /* -1: not read yet */
	struct anchor anchor;
	uint32_t ops_len;
	uint32_t identities_len;
	uint32_t skipped_len;
	uint32_t origins_len;
	struct slice ops;        /* encoded; walk with range_next */
	struct slice identities; /* encoded; walk with range_next_identity */
	struct slice skipped;    /* encoded; walk with range_next_skipped */
	struct slice origins;    /* encoded; walk with range_next_origin */
};

enum range_result {
	RANGE_RESULT_APPLIED = 1,
	RANGE_RESULT_ALREADY = 2, /* to <= received */
	RANGE_RESULT_GAP = 3,     /* from > received: go back to received */
	RANGE_RESULT_REFUSED = 4, /* another incarnation or other rules: ask again */
	RANGE_RESULT_UNKNOWN = 5, /* no such replica here (410) */
	RANGE_RESULT_BUSY = 6,    /* memory or disk is full: wait, then ask again */
	RANGE_RESULT_STOPPED = 7  /* the replica has stopped; status says why */
};

struct range_answer {
	uint64_t index_id;
	int32_t partition;
	enum range_result result;
	struct incarnation incarnation;
	uint64_t session;
	int64_t received;
	int64_t stored;
	struct anchor anchor; /* of received */
	bool has_identities;  /* its window holds some: whoever starts here asks for them (marks.h) */
	bool has_origins;     /* it knows some: likewise */
};

/* A batch under construction; `buffer` is the frame once finished. */
struct batch_writer {
	struct buffer *buffer;
	size_t at_count;
	uint32_t ranges;
};

void batch_begin(struct batch_writer *writer, struct buffer *buffer, uint64_t batch_id);
/* Appends one range; from, to, anchor, operations, identities, skipped
 * offsets and origins come from the memtable, everything else from `range`. */
void batch_add(struct batch_writer *writer, const struct range *range, const struct memtable *memtable);
/* False if the buffer failed. */
bool batch_end(struct batch_writer *writer);

struct batch_reader {
	struct reader reader;
	uint64_t batch_id;
	uint32_t ranges_left;
};

/* ERROR_FORMAT or ERROR_VERSION, REJECT. */
int batch_open(struct batch_reader *batch, struct slice frame, struct error *error);
/* 1 and a range, 0 at the end, or negative. Checks from <= to and every operation, identity, skipped offset and
 * origin of the range: well-formed, as many as it says, each list at rising offsets inside [from, to). */
int batch_next(struct batch_reader *batch, struct range *range, struct error *error);
/* Walks range->ops: start with *at = 0; 1 and an operation (borrowed), 0 at the end, or negative. */
int range_next(const struct range *range, size_t *at, struct op *op, struct error *error);
/* Walk what batch_next has checked, as range_next does; false at the end. */
bool range_next_identity(const struct range *range, size_t *at, struct identity_entry *entry);
bool range_next_skipped(const struct range *range, size_t *at, int64_t *offset);
bool range_next_origin(const struct range *range, size_t *at, struct origin_entry *entry);

void batch_answer_begin(struct batch_writer *writer, struct buffer *buffer, uint64_t batch_id);
void batch_answer_add(struct batch_writer *writer, const struct range_answer *answer);
bool batch_answer_end(struct batch_writer *writer);
int batch_answer_open(struct batch_reader *batch, struct slice frame, struct error *error);
int batch_answer_next(struct batch_reader *batch, struct range_answer *answer, struct error *error);

#endif
