/*
 * Posting blocks: what is known of a posting list beside its bytes, so that
 * these are read block by block, and only those that are wanted: its numbers,
 * and where each block stands.
 *
 * A list that has them (posting_list.blocks) has no bytes of its own. Cursors
 * go through it as through any, and its numbers are added without being read.
 *
 * What is known is immutable, for any thread; who reads blocks, and the
 * cursors, are one thread's.
 */
#ifndef MILLRACE_SHARD_CORE_POSTING_BLOCKS_H
#define MILLRACE_SHARD_CORE_POSTING_BLOCKS_H

#include "shard/core/posting_list.h"

/* Where a block stands, and what is known before it is read. */
struct posting_stop {
	uint32_t at;   /* in the list's bytes */
	uint32_t last; /* number of the block before it, as distance from the base; 0 if there is none */
	uint32_t left; /* documents from it on */
	uint32_t mark; /* its first one */
};

/* A document inside of a block, behind which a multiple of POSTING_MARK_DOCUMENTS are: of the block's last mark so
 * many, of the one before it twice as many, and so on. */
#define POSTING_MARK_DOCUMENTS 16

struct posting_mark {
	uint32_t number;    /* as distance from the base */
	uint16_t distances; /* bytes of the block's distances behind it, */
	uint16_t places;    /* and of its places from it on */
};

/* Of all blocks of a list. */
struct posting_stops {
	struct posting_stop *ptr;
	size_t len;
	size_t size;
	struct posting_mark *marks; /* of all blocks in turn */
	size_t marks_len;
	size_t marks_size;
};

/* One behind the last; without marks. */
int posting_stops_add(struct posting_stops *stops, const struct posting_stop *stop, struct error *error);
/* With marks, of a list of several documents, in one piece; `stops` is empty, and filled in part on ERROR_DAMAGED, ERROR_MEMORY. */
int posting_stops_make(const struct posting_list *list, struct posting_stops *stops, struct error *error);
void posting_stops_deinit(struct posting_stops *stops);
/* Memory held. */
size_t posting_stops_bytes(const struct posting_stops *stops);
/* The last stop before which every number is below, at or behind `from`, which is one of them. */
size_t posting_stops_seek(const struct posting_stops *stops, size_t from, uint64_t distance);

struct posting_blocks {
	const struct posting_stops *stops;
	const struct postings *numbers;
	const uint8_t *firsts; /* of each document, as known_firsts.h says */
	/* The bytes of the i-th block, valid as long as the list is. */
	int (*read)(struct posting_blocks *blocks, size_t i, struct slice *bytes, struct error *error);
};

#endif
