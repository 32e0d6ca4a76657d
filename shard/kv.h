/*
 * Key-value store of one replica: an ordered map with transactions.
 *
 * In the product it is one LMDB environment (shard/kv.c, the only file that
 * includes lmdb.h); in the simulation it is a map that loses everything after
 * the last commit when its process crashes. Both obey this contract, which is
 * why the replica's core may call it: it is local and deterministic.
 *
 * Rules learnt from LMDB 0.9.24: no WRITEMAP, no NOSYNC, no DUPSORT; keys of
 * 1..KV_KEY_BYTES_MAX bytes in bytewise order; one write transaction at a
 * time; a read transaction lasts one request (or one step) and sees the last
 * commit before it began; an environment is opened once (an exclusive flock
 * on a side file refuses a second process, a registry a second open).
 * A commit that returns 0 is on disk; one that fails changed nothing. What is
 * read from an environment that was just opened is on disk too. After a write
 * failed the store closes and opens the environment itself: at once, or, where
 * reads hold it open longer than KV_REOPEN_PATIENCE_MS or the disk refuses, at
 * the beginning of the next write, which fails (ERROR_STORAGE, RETRY) until it
 * could; reads may fail that long. If a failed commit turns out to be on disk
 * only then, writes fail for good (FATAL): the process must start again. A map
 * that is full is grown between transactions (ERROR_LIMIT, RETRY from a write
 * says: abort, call kv_grow, write again).
 *
 * Threads: read transactions begin, run and end on any thread, any number of
 * them beside one write transaction, and do not wait for it; one transaction
 * is one thread's at a time. At most KV_READERS_MAX are open at once. Growing
 * waits until those that are open have ended; meanwhile the beginning of a
 * further one takes up to KV_GROW_PATIENCE_MS longer, never for good, so that
 * a thread which has one open may begin another.
 *
 * Switch: an environment's file never shrinks, so another one is filled beside
 * it and takes its place (kv_rewrite.h). Both hold the same entries at that moment,
 * so nobody notices: read transactions that are open go on in the one that
 * they began in, which is closed, and gone from the disk, with the last of
 * them; who begins one later reads the other. The place is taken by a rename:
 * a crash leaves one of the two whole, and what is beside it is removed by
 * kv_open.
 *
 * A key of KV_TABLE_CHUNKS stands for one value: whoever puts it after it was
 * deleted puts that value. So two environments are compared by keys.
 */
#ifndef MILLRACE_SHARD_KV_H
#define MILLRACE_SHARD_KV_H

#include "shared/base/error.h"
#include "shared/base/slice.h"

#define KV_KEY_BYTES_MAX 511
#define KV_READERS_MAX 126
#define KV_GROW_PATIENCE_MS 10
#define KV_REOPEN_PATIENCE_MS 100

enum kv_table {
	KV_TABLE_STATE = 0, /* watermark, anchor, digest, format, manifest, … */
	KV_TABLE_CHUNKS,    /* segment, section, chunk → bytes: shard/core/sections.h */
	KV_TABLE_DEAD,      /* block of numbers → those dead that a disk segment lists */
	KV_TABLES
};

struct kv;
struct kv_txn;
struct kv_cursor;

/* Opens or creates the environment in `directory` (created if absent, its parent must exist). ERROR_STATE if it is
 * open elsewhere, ERROR_STORAGE otherwise; FATAL on a network file system. */
int kv_open(const char *directory, struct kv **kv, struct error *error);
void kv_close(struct kv *kv);
/* Doubles the map. The calling thread has no transaction open, no thread a write transaction. */
int kv_grow(struct kv *kv, struct error *error);

int kv_begin(struct kv *kv, bool write, struct kv_txn **txn, struct error *error);
/* Ends the transaction in either case. */
int kv_commit(struct kv_txn *txn, struct error *error);
void kv_abort(struct kv_txn *txn);

/* 0 and the value (valid until the transaction writes or ends), ERROR_NOT_FOUND, ERROR_STORAGE, or ERROR_DAMAGED where
 * the file says that the value is longer than the file. */
int kv_get(struct kv_txn *txn, enum kv_table table, struct slice key, struct slice *value,
           struct error *error);
int kv_put(struct kv_txn *txn, enum kv_table table, struct slice key, struct slice value,
           struct error *error);
/* ERROR_NOT_FOUND if it was not there. */
int kv_delete(struct kv_txn *txn, enum kv_table table, struct slice key, struct error *error);
/* Deletes every entry of a table. */
int kv_clear(struct kv_txn *txn, enum kv_table table, struct error *error);
/* Entries in a table. */
int kv_count(struct kv_txn *txn, enum kv_table table, uint64_t *count, struct error *error);

int kv_cursor_open(struct kv_txn *txn, enum kv_table table, struct kv_cursor **cursor, struct error *error);
void kv_cursor_close(struct kv_cursor *cursor);
/* The first entry with key >= `key`; ERROR_NOT_FOUND at the end. */
int kv_cursor_seek(struct kv_cursor *cursor, struct slice key, struct slice *found, struct slice *value,
                   struct error *error);
int kv_cursor_next(struct kv_cursor *cursor, struct slice *found, struct slice *value, struct error *error);

/* Bytes of the file in use and of the map. */
void kv_size(struct kv *kv, uint64_t *used_bytes, uint64_t *map_bytes);
/* Bytes of the pages that something stands on; the rest of the file is free for what comes. */
int kv_live(struct kv *kv, uint64_t *bytes, struct error *error);

/* An empty environment in the same directory, which must stay open as long; ended by kv_switch or kv_beside_close.
 * ERROR_STORAGE, RETRY too where the disk has no room for what is live and some more. */
int kv_beside_open(struct kv *kv, struct kv **beside, struct error *error);
/* And removes it. NULL: nothing happens. */
void kv_beside_close(struct kv *beside);
/* Takes `beside`, which holds what `kv` holds, for it. The calling thread has no transaction open, no thread a write
 * transaction. ERROR_STORAGE, RETRY: nothing has changed, `beside` is still the caller's. */
int kv_switch(struct kv *kv, struct kv *beside, struct error *error);
/* What was before the last switch is still read: until then there is no other switch. */
bool kv_is_switching(struct kv *kv);

#endif
