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
 * A commit that returns 0 is on disk; one that fails changed nothing. A full
 * map is grown by the store itself when no transaction is open (ERROR_LIMIT,
 * RETRY from a write says: abort, call kv_grow, write again).
 *
 * Threads: reads from the owner's thread, one writer thread at a time.
 */
#ifndef MILLRACE_SHARD_KV_H
#define MILLRACE_SHARD_KV_H

#include "shared/base/error.h"
#include "shared/base/slice.h"

#define KV_KEY_BYTES_MAX 511

enum kv_table {
	KV_TABLE_STATE = 0, /* watermark, anchor, digest, format, … */
	KV_TABLE_IDS,       /* document id → number, insertion key, digest */
	KV_TABLE_DOCUMENTS, /* number → checksum, insertion key, id, body */
	KV_TABLE_ORDER,     /* insertion key → number */
	KV_TABLE_POSTINGS,  /* word, block → bitmap of document numbers */
	KV_TABLES
};

struct kv;
struct kv_txn;
struct kv_cursor;

/* Opens or creates the environment in `directory` (created if absent, its parent must exist).
 * ERROR_STATE if it is open elsewhere, ERROR_STORAGE otherwise. */
int kv_open(const char *directory, struct kv **kv, struct error *error);
void kv_close(struct kv *kv);
/* Doubles the map; no transaction may be open. */
int kv_grow(struct kv *kv, struct error *error);

int kv_begin(struct kv *kv, bool write, struct kv_txn **txn, struct error *error);
/* Ends the transaction in either case. */
int kv_commit(struct kv_txn *txn, struct error *error);
void kv_abort(struct kv_txn *txn);

/* 0 and the value (valid until the transaction writes or ends), ERROR_NOT_FOUND, or ERROR_STORAGE. */
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

#endif
