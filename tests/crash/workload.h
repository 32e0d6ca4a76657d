/*
 * Workload: seeded lives of one replica on a real environment, one after the
 * other, until a whole log is stored: ranges of every kind of operation with
 * identities, stores, merges of memory and on disk, attributes and rules for words
 * that come and go and are built, rewrites of the file, reopenings, writes and syncs that fail, and processes that
 * are killed between a write and its sync. The trace gets every watermark that
 * was reported as stored, and how far each store may have moved it.
 */
#ifndef MILLRACE_TESTS_CRASH_WORKLOAD_H
#define MILLRACE_TESTS_CRASH_WORKLOAD_H

#include "tests/crash/model.h"
#include "tests/crash/trace.h"

#include <stdint.h>

#define WORKLOAD_DIRECTORY "replica"
#define WORKLOAD_STOPS 2

/* The log of this seed, and nothing open. `model` must not move. */
void workload_model(struct fold_model *model, uint64_t seed);
/* In the current directory, which holds no WORKLOAD_DIRECTORY. False if the workload itself fails. */
bool workload_run(struct fold_model *model, uint64_t seed, struct trace *trace);
/* One store job to its end, with its marks; a compaction that must come first comes first. The error's code. */
int workload_store(struct fold_model *model, struct error *error);
/* The members of documents whose bit is set are what the replica keeps the values of. */
void workload_attributes(struct fold_model *model, unsigned which);
/* The words whose bit is set are left out, and soon those of the bits above, unless other rules must be caught up with
 * first. */
void workload_cutting(struct fold_model *model, unsigned which);
/* One slice of a rewrite, which begins or ends with it; `*more` if there are others. The error's code. */
int workload_rewrite(struct fold_model *model, bool *more, struct error *error);
/* One slice of a compaction, which begins or ends with it; `*any` says if there was one. The error's code. */
int workload_compact(struct fold_model *model, size_t steps, bool *any, struct error *error);

#endif
