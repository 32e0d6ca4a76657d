/*
 * Walk: a snapshot's live documents in insertion order, memory and disk
 * together, or some of them.
 *
 * Merges the orders of the memory segments with those of the disk segments by
 * (insertion key, id). What is dead, or not wanted, is passed over: the time is
 * looked at as the reading says.
 *
 * Lives as long as its reading.
 */
#ifndef MILLRACE_SHARD_CORE_WALK_H
#define MILLRACE_SHARD_CORE_WALK_H

#include "shard/core/reading.h"

struct walk;

/* `only`: documents that live, which are wanted; NULL: all that live. */
int walk_open(struct reading *reading, const struct postings *only, struct walk **walk, struct error *error);
void walk_close(struct walk *walk);
/* 1 and a document, 0 at the end, or negative. Reads ids through the reading's views. */
int walk_next(struct walk *walk, struct located *located, struct error *error);

#endif
