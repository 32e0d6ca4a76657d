/*
 * Posting list, inside: a block with its bytes. What the files of posting_list.h, posting_run.c and posting_blocks.c
 * share. Nobody else includes this.
 */
#ifndef MILLRACE_SHARD_CORE_POSTING_LIST_PRIVATE_H
#define MILLRACE_SHARD_CORE_POSTING_LIST_PRIVATE_H

#include "shard/core/posting_list.h"

/* ERROR_DAMAGED: a posting list is or has what is not. */
int posting_damaged(struct error *error, const char *what);

/* A block as its head says it is. */
struct posting_span {
	uint64_t first;
	uint64_t last;
	uint32_t documents;
	struct slice distances;
	struct slice places;
};

/* The block that `rest` begins with; `previous`: the last number before it, `left`: documents from it on.
 * ERROR_DAMAGED, without a text. */
int posting_span_read(const struct posting_list *list, struct reader *rest, uint64_t previous, uint32_t left,
                      struct posting_span *block);

/* Brings a cursor over blocks, in one that goes on and does not end below `from`, to the last mark of it at or below
 * `from`, if that is further on. */
void posting_marks_seek(struct posting_cursor *cursor, uint64_t from);

#endif
