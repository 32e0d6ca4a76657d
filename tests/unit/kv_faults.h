/*
 * Store faults: the real store under other names, and between it and whoever
 * includes this the n-th call that fails. Included by one file of a program.
 */
#ifndef MILLRACE_TESTS_UNIT_KV_FAULTS_H
#define MILLRACE_TESTS_UNIT_KV_FAULTS_H

#include "shard/kv.h"

#define kv_open real_open
#define kv_close real_close
#define kv_grow real_grow
#define kv_begin real_begin
#define kv_commit real_commit
#define kv_abort real_abort
#define kv_get real_get
#define kv_put real_put
#define kv_delete real_delete
#define kv_clear real_clear
#define kv_count real_count
#define kv_cursor_open real_cursor_open
#define kv_cursor_close real_cursor_close
#define kv_cursor_seek real_cursor_seek
#define kv_cursor_next real_cursor_next
#define kv_size real_size
#define kv_beside_open real_beside_open
#define kv_switch real_switch
/* no power is cut here, and thousands of syncs would be all that these tests do */
#define mdb_env_open unsynced_open
#define mdb_env_sync unsynced_sync
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
void kv_close(struct kv *kv); /* used before it is defined */
#include "shard/kv.c"
#include "shard/kv_switch.c"
#pragma GCC diagnostic pop
#undef mdb_env_open
#undef mdb_env_sync
#undef kv_open
#undef kv_close
#undef kv_grow
#undef kv_begin
#undef kv_commit
#undef kv_abort
#undef kv_get
#undef kv_put
#undef kv_delete
#undef kv_clear
#undef kv_count
#undef kv_cursor_open
#undef kv_cursor_close
#undef kv_cursor_seek
#undef kv_cursor_next
#undef kv_size
#undef kv_beside_open
#undef kv_switch

int mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);

int unsynced_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
	return mdb_env_open(env, path, flags | MDB_NOSYNC, mode);
}

int unsynced_sync(MDB_env *env, int force)
{
	(void)env;
	(void)force;
	return 0;
}

/* Before this many calls the next one fails; -1: none does. */
static long calls_left = -1;
static bool has_failed;
static int fault_code = ERROR_STORAGE;
/* From the call that fails on all do, as after a kill. */
static bool fails_on;

/* True in the call whose turn it is to fail. */
static bool fails(struct error *error)
{
	if (calls_left < 0 && !(fails_on && has_failed))
		return false;
	if (calls_left >= 0 && calls_left-- > 0)
		return false;
	has_failed = true;
	(void)error_set(error, fault_code, ERROR_ACTION_RETRY, "a fault of this test");
	return true;
}

int kv_open(const char *directory, struct kv **kv, struct error *error)
{
	return fails(error) ? error->code : real_open(directory, kv, error);
}

void kv_close(struct kv *kv)
{
	real_close(kv);
}

int kv_grow(struct kv *kv, struct error *error)
{
	return fails(error) ? error->code : real_grow(kv, error);
}

int kv_begin(struct kv *kv, bool write, struct kv_txn **txn, struct error *error)
{
	return fails(error) ? error->code : real_begin(kv, write, txn, error);
}

int kv_commit(struct kv_txn *txn, struct error *error)
{
	if (!fails(error))
		return real_commit(txn, error);
	real_abort(txn);
	return error->code;
}

void kv_abort(struct kv_txn *txn)
{
	real_abort(txn);
}

int kv_get(struct kv_txn *txn, enum kv_table table, struct slice key, struct slice *value,
           struct error *error)
{
	return fails(error) ? error->code : real_get(txn, table, key, value, error);
}

int kv_put(struct kv_txn *txn, enum kv_table table, struct slice key, struct slice value, struct error *error)
{
	return fails(error) ? error->code : real_put(txn, table, key, value, error);
}

int kv_delete(struct kv_txn *txn, enum kv_table table, struct slice key, struct error *error)
{
	return fails(error) ? error->code : real_delete(txn, table, key, error);
}

int kv_clear(struct kv_txn *txn, enum kv_table table, struct error *error)
{
	return fails(error) ? error->code : real_clear(txn, table, error);
}

int kv_count(struct kv_txn *txn, enum kv_table table, uint64_t *count, struct error *error)
{
	return fails(error) ? error->code : real_count(txn, table, count, error);
}

int kv_cursor_open(struct kv_txn *txn, enum kv_table table, struct kv_cursor **cursor, struct error *error)
{
	return fails(error) ? error->code : real_cursor_open(txn, table, cursor, error);
}

void kv_cursor_close(struct kv_cursor *cursor)
{
	real_cursor_close(cursor);
}

int kv_cursor_seek(struct kv_cursor *cursor, struct slice key, struct slice *found, struct slice *value,
                   struct error *error)
{
	return fails(error) ? error->code : real_cursor_seek(cursor, key, found, value, error);
}

int kv_cursor_next(struct kv_cursor *cursor, struct slice *found, struct slice *value, struct error *error)
{
	return fails(error) ? error->code : real_cursor_next(cursor, found, value, error);
}

void kv_size(struct kv *kv, uint64_t *used_bytes, uint64_t *map_bytes)
{
	real_size(kv, used_bytes, map_bytes);
}

int kv_beside_open(struct kv *kv, struct kv **beside, struct error *error)
{
	return fails(error) ? error->code : real_beside_open(kv, beside, error);
}

int kv_switch(struct kv *kv, struct kv *beside, struct error *error)
{
	return fails(error) ? error->code : real_switch(kv, beside, error);
}

#endif
