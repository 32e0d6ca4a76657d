/*
 * Rewrite: a store's file copied without its free pages, and switched to.
 *
 * LMDB never gives a page back to the file system, so the file of a replica that
 * has merged much is larger than what it holds. A rewrite copies the entries
 * into an environment beside it (kv.h), a slice at a time; stores and merges go on
 * in between. Chunks never change under their keys, so a slice walks both by
 * keys, from where the last one ended: what is missing is put, what has left
 * is deleted. A walk looks at no more keys than there were when it began: what
 * is put behind them meanwhile, as new segments are, is for the next one, or it
 * might never reach its end. When a walk has found little to do, or too many have
 * been made, the last slice makes one more over all of it, copies the small
 * tables, and switches.
 *
 * Cost: every live byte is read and written once, beside it room for them on
 * the disk; a slice writes at most REWRITE_SLICE_BYTES, but for the last one, which
 * also writes STATE and DEAD and looks at every key: nothing else is written to this
 * store meanwhile, reads go on. It holds no transaction between two slices.
 *
 * A crash leaves the file as it was, or the new one, whole; an error ends the
 * rewrite, nothing has changed, and another one may be begun.
 *
 * Threads: rewrite_run by the thread that writes to the store, between other
 * writes; one call at a time. Ended before the store is closed. Failure: as
 * the store's, ERROR_STORAGE (RETRY) where the disk has no room for it.
 */
#ifndef MILLRACE_SHARD_KV_REWRITE_H
#define MILLRACE_SHARD_KV_REWRITE_H

#include "shard/kv.h"

/* Free pages that are worth it: updates at full speed leave some megabytes in any store, and use them again. */
#define REWRITE_FREE_BYTES_MIN (8ULL * 1024 * 1024)
/* Values that a transaction puts. */
#ifndef REWRITE_SLICE_BYTES /* a test's is smaller, as its stores are */
#define REWRITE_SLICE_BYTES (4U * 1024 * 1024)
#endif
/* Keys that a slice looks at, and entries that it changes. */
#define REWRITE_KEYS_MAX 65536
#define REWRITE_CHANGES_MAX 1024
/* Walks before the last one, which puts the rest. */
#define REWRITE_WALKS_MAX 8

struct kv_rewrite;

/* The file has two and a half times the bytes that are live or more, and of them a third, and no less than
 * REWRITE_FREE_BYTES_MIN, is free pages. What is neither live nor free is for merges to free first. False where that
 * cannot be told. */
bool rewrite_is_due(struct kv *kv, uint64_t live_bytes);

/* NULL when out of memory. Nothing is on disk yet. */
struct kv_rewrite *rewrite_new(struct kv *kv);
/* Gives up what has not switched. NULL: nothing happens. */
void rewrite_free(struct kv_rewrite *rewrite);
/* One slice; `*more` false after the last, which has switched. */
int rewrite_run(struct kv_rewrite *rewrite, bool *more, struct error *error);
/* What its thread has spent on what goes between slices, and on a slice. */
void rewrite_spent(struct kv_rewrite *rewrite, int64_t others_ms, int64_t own_ms);
/* A slice goes before anything else. */
bool rewrite_is_behind(const struct kv_rewrite *rewrite);
/* After the last slice: by how much the file is shorter than it was. */
uint64_t rewrite_given_back(const struct kv_rewrite *rewrite);

#endif
