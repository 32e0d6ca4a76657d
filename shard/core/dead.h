/*
 * Dead: the table of numbers that disk segments list and that have died, as of
 * `stored` (KV_TABLE_DEAD, stored.h).
 *
 * A number dies once, and is taken out once, when no disk segment lists it any
 * more: anything else is ERROR_DAMAGED (FATAL). Nothing is kept between calls.
 */
#ifndef MILLRACE_SHARD_CORE_DEAD_H
#define MILLRACE_SHARD_CORE_DEAD_H

#include "shard/core/postings.h"
#include "shard/kv.h"

/* Adds those at or above `from` and below `to`. */
int dead_read(struct kv_txn *txn, uint64_t from, uint64_t to, struct postings *dead, struct error *error);
/* None of them is in the table. */
int dead_add(struct kv_txn *txn, const struct postings *numbers, struct error *error);
/* All of them are. */
int dead_remove(struct kv_txn *txn, const struct postings *numbers, struct error *error);

#endif
