/*
 * Timeline: the entries of one life of a simulated log, those behind the
 * log's start too, each with its verdict and the fold after it.
 *
 * A verdict is a function of the entries before it, computed by looking at
 * them one by one: first what a record in meta says to skip, then what the
 * record is in itself, then its origin (not above the highest of its source
 * partition so far: duplicate), then the last occurrence of its identity in
 * the window (the same operation: duplicate; another: refused). What was
 * malformed or skipped has neither identity nor origin; everything else has,
 * applied or not.
 *
 * Arrays are freed by timeline_deinit, the rest is the arena's.
 */
#ifndef MILLRACE_TESTS_SIMULATION_TIMELINE_H
#define MILLRACE_TESTS_SIMULATION_TIMELINE_H

#include "tests/simulation/fold.h"

#define SKIPS 8

struct timeline {
	struct fold_rules rules;
	struct arena *arena;
	struct log_entry **entries;
	struct fold_point *points; /* after entry i */
	size_t len;
	size_t size;
	int64_t skips[SKIPS];
	size_t skips_len;
};

void timeline_init(struct timeline *timeline, const struct fold_rules *rules, struct arena *arena);
void timeline_deinit(struct timeline *timeline);
void timeline_add(struct timeline *timeline, struct log_entry *entry);
/* The record at `offset`, if there ever is one, is skipped; what follows is judged anew. */
void timeline_skip(struct timeline *timeline, int64_t offset);
bool timeline_skips(const struct timeline *timeline, int64_t offset);
/* How many entries lie below `offset`, and the fold after them. */
size_t timeline_place(const struct timeline *timeline, int64_t offset);
const struct fold_point *timeline_point(const struct timeline *timeline, int64_t offset);
/* True if the entry left its identity. */
bool timeline_is_identified(const struct timeline *timeline, const struct log_entry *entry);
/* The entry with the highest origin of that source partition among the first `place` ones, or NULL. */
const struct log_entry *timeline_origin(const struct timeline *timeline, size_t place,
                                        const struct origin *origin);

#endif
