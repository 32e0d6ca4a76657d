#include "shard/kv_private.h"

#include "shard/disk.h"
#include "shared/base/assert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KV_MAP_BYTES_MIN (64ULL * 1024 * 1024)

struct kv_cursor {
	struct kv_txn *txn;
	MDB_cursor *cursor;
};

static const char *const table_names[KV_TABLES] = {"state", "chunks", "dead"};

/* What LMDB's code means to the caller. */
static int kv_error(const struct kv *kv, int rc, const char *what, struct error *error)
{
	switch (rc) {
	case MDB_NOTFOUND:
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "%s: %s: not found", kv->path,
		                 what);
	case MDB_MAP_FULL:
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY,
		                 "%s: %s: the map of %zu bytes is full", kv->path, what,
		                 atomic_load(&kv->map_bytes));
	case MDB_PANIC:
		return error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY,
		                 "%s: %s: an earlier write failed; the next one opens the environment again",
		                 kv->path, what);
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
		return error_set(error, rc == MDB_VERSION_MISMATCH ? ERROR_VERSION : ERROR_DAMAGED,
		                 ERROR_ACTION_FATAL, "%s: %s: %s", kv->path, what, mdb_strerror(rc));
	case ENOMEM:
		return error_set(error, ERROR_MEMORY, ERROR_ACTION_RETRY, "%s: %s: out of memory", kv->path,
		                 what);
	default:
		if (rc > 0)
			return disk_error(kv->path, rc, what, error);
		return error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY, "%s: %s: %s", kv->path, what,
		                 mdb_strerror(rc));
	}
}

/* A map that holds what is there with room for one more store. */
static size_t map_bytes_for(const char *path)
{
	size_t bytes = KV_MAP_BYTES_MIN;
	char file[KV_PATH_BYTES_MAX + 16];
	struct stat status;

	snprintf(file, sizeof file, "%s/data.mdb", path);
	if (stat(file, &status) == 0)
		while (bytes < SIZE_MAX / 4 && bytes < (size_t)status.st_size)
			bytes *= 2;
	return bytes;
}

static int tables_open(struct kv *kv, struct error *error)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(kv->env, NULL, 0, &txn);

	if (rc != 0)
		return kv_error(kv, rc, "open", error);
	for (size_t i = 0; i < KV_TABLES; i++) {
		MDB_dbi table;

		rc = mdb_dbi_open(txn, table_names[i], MDB_CREATE, &table);
		/* the same at every opening, and who reads an outdated environment looks at it */
		if (rc == 0 && kv->tables[i] != table)
			kv->tables[i] = table;
		if (rc != 0) {
			mdb_txn_abort(txn);
			return kv_error(kv, rc, table_names[i], error);
		}
	}
	rc = mdb_txn_commit(txn);
	return rc == 0 ? 0 : kv_error(kv, rc, "open", error);
}

/* Where LMDB's map is, while nobody looks at it. */
static int extent_open(struct kv *kv, struct error *error)
{
	struct extent *extent = mdb_env_get_userctx(kv->env);
	MDB_val k = {strlen(table_names[0]), (void *)(uintptr_t)table_names[0]};
	MDB_envinfo info = {0};
	MDB_stat status = {0};
	MDB_val v;
	MDB_dbi names;
	MDB_txn *txn;
	int rc = mdb_txn_begin(kv->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return kv_error(kv, rc, "open", error);
	rc = mdb_dbi_open(txn, NULL, 0, &names);
	if (rc == 0)
		rc = mdb_get(txn, names, &k, &v);
	if (rc == 0 && mdb_env_info(kv->env, &info) == 0 && mdb_env_stat(kv->env, &status) == 0 &&
	    mdb_env_get_fd(kv->env, &extent->fd) == 0) {
		extent->map_bytes = info.me_mapsize;
		rc = extent_find(extent, v.mv_data, status.ms_psize) ? 0 : MDB_CORRUPTED;
	}
	mdb_txn_abort(txn);
	return rc == 0 ? 0 : kv_error(kv, rc, "open", error);
}

/* An empty environment: its file gets its name when it is whole and on disk, so a crash leaves no half of one. */
static int environment_create(struct kv *kv, struct error *error)
{
	char file[KV_PATH_BYTES_MAX + 16];
	char made[KV_PATH_BYTES_MAX + 16];
	char lock[KV_PATH_BYTES_MAX + 16];
	MDB_env *env;
	int rc;

	snprintf(file, sizeof file, "%s/data.mdb", kv->path);
	snprintf(made, sizeof made, "%s/new.mdb", kv->path);
	snprintf(lock, sizeof lock, "%s/new.mdb-lock", kv->path);
	/* who was killed right after a rename did not see to it that the name is on disk */
	if (access(file, F_OK) == 0)
		return disk_sync_directory(kv->path, error);
	if (unlink(made) != 0 && errno != ENOENT)
		return kv_error(kv, errno, "create", error);
	rc = mdb_env_create(&env);
	if (rc != 0)
		return kv_error(kv, rc, "create", error);
	rc = mdb_env_open(env, made, MDB_NOSUBDIR | MDB_NOTLS, 0600);
	if (rc == 0)
		rc = mdb_env_sync(env, 1);
	mdb_env_close(env);
	if (rc == 0 && (unlink(lock) != 0 || rename(made, file) != 0))
		rc = errno;
	return rc == 0 ? disk_sync_directory(kv->path, error) : kv_error(kv, rc, "create", error);
}

/* Without NOMEMINIT: zeroing a page costs less than explaining heap bytes in a file. */
int kv_environment_open(struct kv *kv, struct error *error)
{
	struct extent *extent;
	int rc = mdb_env_create(&kv->env);

	if (rc != 0)
		return kv_error(kv, rc, "create", error);
	extent = calloc(1, sizeof *extent);
	if (extent == NULL)
		return error_memory(error, sizeof *extent);
	(void)mdb_env_set_userctx(kv->env, extent);
	atomic_store(&kv->map_bytes, map_bytes_for(kv->path));
	rc = mdb_env_set_maxdbs(kv->env, KV_TABLES);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(kv->env, KV_READERS_MAX);
	if (rc == 0)
		rc = mdb_env_set_mapsize(kv->env, atomic_load(&kv->map_bytes));
	if (rc == 0)
		rc = mdb_env_open(kv->env, kv->path, MDB_NOTLS | (kv->is_beside ? MDB_NOSUBDIR : 0), 0600);
	if (rc != 0)
		return kv_error(kv, rc, "open", error);
	if (mdb_env_get_maxkeysize(kv->env) < KV_KEY_BYTES_MAX)
		return error_set(error, ERROR_STORAGE, ERROR_ACTION_FATAL,
		                 "%s: this LMDB takes keys of %d bytes only", kv->path,
		                 mdb_env_get_maxkeysize(kv->env));
	/* What the page cache holds may be newer than the disk: of a process that was killed between a write and
	 * its sync, or whose write failed. Nobody hears of it, and nothing is written over it, before it is there. */
	rc = mdb_env_sync(kv->env, 1);
	if (rc != 0)
		return kv_error(kv, rc, "sync", error);
	return tables_open(kv, error) != 0 ? error->code : extent_open(kv, error);
}

void kv_environment_close(MDB_env *env)
{
	if (env == NULL)
		return;
	free(mdb_env_get_userctx(env));
	mdb_env_close(env);
}

static void turnstile_init(struct kv *kv)
{
	pthread_condattr_t attributes;

	ASSERT(pthread_condattr_init(&attributes) == 0);
	ASSERT(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
	ASSERT(pthread_cond_init(&kv->changed, &attributes) == 0);
	ASSERT(pthread_mutex_init(&kv->mutex, NULL) == 0);
	pthread_condattr_destroy(&attributes);
}

int kv_new(const char *path, struct kv **out, struct error *error)
{
	struct kv *kv;

	if (strlen(path) >= KV_PATH_BYTES_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "%s: the path is too long", path);
	kv = calloc(1, sizeof *kv);
	if (kv == NULL)
		return error_memory(error, sizeof *kv);
	memcpy(kv->path, path, strlen(path) + 1);
	kv->lock = -1;
	turnstile_init(kv);
	*out = kv;
	return 0;
}

int kv_open(const char *directory, struct kv **out, struct error *error)
{
	struct kv *kv;

	if (kv_new(directory, &kv, error) != 0)
		return error->code;
	if (disk_take(kv->path, &kv->lock, error) != 0 || kv_beside_remove(kv, error) != 0 ||
	    environment_create(kv, error) != 0 || kv_environment_open(kv, error) != 0) {
		kv_close(kv);
		return error->code;
	}
	*out = kv;
	return 0;
}

void kv_close(struct kv *kv)
{
	if (kv == NULL)
		return;
	ASSERT(kv->outdated == NULL); /* no transaction is open */
	kv_environment_close(kv->env);
	if (kv->lock >= 0)
		close(kv->lock);
	pthread_cond_destroy(&kv->changed);
	pthread_mutex_destroy(&kv->mutex);
	free(kv);
}

static struct timespec patience_end(long ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ms * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	return until;
}

/* Under the mutex, without a transaction: brings to the disk what the page cache holds. */
static int environment_again(struct kv *kv, struct error *error)
{
	kv_environment_close(kv->env);
	kv->env = NULL;
	kv->broken = kv_environment_open(kv, error) != 0;
	if (kv->broken) {
		kv_environment_close(kv->env);
		kv->env = NULL;
	}
	return kv->broken ? error->code : 0;
}

/* Lets a waiting kv_grow go first, but not for long: the thread may have a transaction open for which that waits. */
static int reader_enter(struct kv *kv, MDB_env **env, struct error *error)
{
	int rc = 0;

	pthread_mutex_lock(&kv->mutex);
	if (kv->growing) {
		struct timespec until = patience_end(KV_GROW_PATIENCE_MS);

		while (kv->growing && pthread_cond_timedwait(&kv->changed, &kv->mutex, &until) != ETIMEDOUT)
			;
	}
	if (kv->broken && kv->readers == 0)
		rc = environment_again(kv, error);
	if (rc == 0)
		kv->readers++;
	*env = kv->env;
	pthread_mutex_unlock(&kv->mutex);
	return rc;
}

/* The last one that reads an outdated environment closes it. */
static void reader_leave(struct kv *kv, const MDB_env *env)
{
	MDB_env *unread = NULL;

	pthread_mutex_lock(&kv->mutex);
	if (env != kv->outdated) {
		if (--kv->readers == 0 && kv->growing)
			pthread_cond_broadcast(&kv->changed);
	} else if (--kv->outdated_readers == 0) {
		unread = kv->outdated;
		kv->outdated = NULL;
	}
	pthread_mutex_unlock(&kv->mutex);
	kv_environment_close(unread);
}

/* Under the mutex, without a transaction. */
static int map_grow(struct kv *kv, struct error *error)
{
	size_t bytes = atomic_load(&kv->map_bytes) * 2;
	int rc;

	if (kv->broken)
		return kv_error(kv, MDB_PANIC, "grow", error);
	rc = mdb_env_set_mapsize(kv->env, bytes);
	atomic_store(&kv->map_bytes, bytes);
	if (rc == 0)
		rc = extent_open(kv, error);
	else
		rc = kv_error(kv, rc, "grow", error);
	if (rc == 0)
		return 0;
	/* LMDB may have no map any more; of what was written nothing failed */
	kv->broken = true;
	kv->failed = true;
	kv->failed_id = SIZE_MAX;
	return rc;
}

int kv_grow(struct kv *kv, struct error *error)
{
	int rc;

	pthread_mutex_lock(&kv->mutex);
	kv->growing = true;
	while (kv->readers > 0)
		pthread_cond_wait(&kv->changed, &kv->mutex);
	rc = map_grow(kv, error); /* nobody enters */
	kv->growing = false;
	pthread_cond_broadcast(&kv->changed);
	pthread_mutex_unlock(&kv->mutex);
	return rc;
}

/* After a failed write, on the writer's thread. `applied` says if the transaction that failed is there nevertheless. */
static int environment_reopen(struct kv *kv, bool *applied, struct error *error)
{
	struct timespec until = patience_end(KV_REOPEN_PATIENCE_MS);
	MDB_envinfo info;
	int rc = 0;

	pthread_mutex_lock(&kv->mutex);
	kv->growing = true;
	while (kv->readers > 0 && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&kv->changed, &kv->mutex, &until);
	if (kv->readers > 0) {
		rc = error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY,
		               "%s: an earlier write failed, and reads hold the environment open", kv->path);
		kv->broken = true;
	} else {
		rc = environment_again(kv, error);
	}
	kv->growing = false;
	pthread_cond_broadcast(&kv->changed);
	pthread_mutex_unlock(&kv->mutex);
	if (rc != 0)
		return rc;
	kv->failed = false;
	*applied = mdb_env_info(kv->env, &info) == 0 && info.me_last_txnid >= kv->failed_id;
	return 0;
}

/* Before anything is written. */
static int writable(struct kv *kv, struct error *error)
{
	bool applied;

	if (kv->unsynced && disk_sync_directory(kv->path, error) != 0)
		return error->code;
	kv->unsynced = false;
	if (!kv->failed)
		return 0;
	if (environment_reopen(kv, &applied, error) != 0)
		return error->code;
	if (!applied)
		return 0;
	kv->failed = true; /* for ever: its caller was told that it changed nothing */
	return error_set(error, ERROR_STORAGE, ERROR_ACTION_FATAL,
	                 "%s: what a failed write left is on the disk after all; restart the node", kv->path);
}

int kv_begin(struct kv *kv, bool write, struct kv_txn **out, struct error *error)
{
	struct kv_txn *txn;
	int rc;

	if (write && writable(kv, error) != 0)
		return error->code;
	txn = malloc(sizeof *txn);
	if (txn == NULL)
		return error_memory(error, sizeof *txn);
	*txn = (struct kv_txn){.kv = kv, .env = write ? kv->env : NULL, .write = write};
	if (!write && reader_enter(kv, &txn->env, error) != 0) {
		free(txn);
		return error->code;
	}
	rc = mdb_txn_begin(txn->env, NULL, write ? 0 : MDB_RDONLY, &txn->txn);
	if (rc != 0) {
		if (!write)
			reader_leave(kv, txn->env);
		free(txn);
		return kv_error(kv, rc, "begin", error);
	}
	txn->id = mdb_txn_id(txn->txn);
	txn->extent = mdb_env_get_userctx(txn->env);
	*out = txn;
	return 0;
}

static void txn_free(struct kv_txn *txn)
{
	if (!txn->write)
		reader_leave(txn->kv, txn->env);
	free(txn);
}

/* The disk's errors are positive, LMDB's own negative. */
static int write_error(const struct kv_txn *txn, int rc, const char *what, struct error *error)
{
	if ((rc > 0 && rc != ENOMEM) || rc == MDB_PANIC) {
		txn->kv->failed = true;
		txn->kv->failed_id = txn->id;
	}
	return kv_error(txn->kv, rc, what, error);
}

int kv_commit(struct kv_txn *txn, struct error *error)
{
	struct kv *kv = txn->kv;
	int rc = mdb_txn_commit(txn->txn);
	struct error trouble;
	bool applied;

	if (rc != 0)
		rc = write_error(txn, rc, "commit", error);
	txn_free(txn);
	/* The page that makes it valid may be on the disk though its write failed: only the disk can tell. */
	if (rc != 0 && kv->failed && environment_reopen(kv, &applied, &trouble) == 0 && applied)
		return 0;
	return rc;
}

void kv_abort(struct kv_txn *txn)
{
	if (txn == NULL)
		return;
	mdb_txn_abort(txn->txn);
	txn_free(txn);
}

/* LMDB takes non-const pointers but does not write through them. */
static MDB_val val_of(struct slice slice)
{
	return (MDB_val){slice.len, (void *)(uintptr_t)slice.ptr};
}

/* What LMDB hands out, if all of it is there. */
static int slice_of_val(struct kv_txn *txn, MDB_val val, struct slice *out, struct error *error)
{
	struct slice bytes = slice_of(val.mv_data, val.mv_size);

	if (!extent_holds(txn->extent, bytes))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "%s: an entry of %zu bytes reaches past the end of the file", txn->kv->path,
		                 bytes.len);
	*out = bytes;
	return 0;
}

static MDB_val key_of(struct slice key)
{
	ASSERT(key.len >= 1 && key.len <= KV_KEY_BYTES_MAX);
	return val_of(key);
}

int kv_get(struct kv_txn *txn, enum kv_table table, struct slice key, struct slice *value,
           struct error *error)
{
	MDB_val k = key_of(key);
	MDB_val v;
	int rc;

	rc = mdb_get(txn->txn, txn->kv->tables[table], &k, &v);
	if (rc != 0)
		return kv_error(txn->kv, rc, table_names[table], error);
	return slice_of_val(txn, v, value, error);
}

int kv_put(struct kv_txn *txn, enum kv_table table, struct slice key, struct slice value, struct error *error)
{
	MDB_val k = key_of(key);
	MDB_val v = val_of(value);
	int rc;

	rc = mdb_put(txn->txn, txn->kv->tables[table], &k, &v, 0);
	return rc == 0 ? 0 : write_error(txn, rc, table_names[table], error);
}

int kv_delete(struct kv_txn *txn, enum kv_table table, struct slice key, struct error *error)
{
	MDB_val k = key_of(key);
	int rc;

	rc = mdb_del(txn->txn, txn->kv->tables[table], &k, NULL);
	return rc == 0 ? 0 : write_error(txn, rc, table_names[table], error);
}

int kv_clear(struct kv_txn *txn, enum kv_table table, struct error *error)
{
	int rc = mdb_drop(txn->txn, txn->kv->tables[table], 0);

	return rc == 0 ? 0 : write_error(txn, rc, table_names[table], error);
}

int kv_count(struct kv_txn *txn, enum kv_table table, uint64_t *count, struct error *error)
{
	MDB_stat status;
	int rc = mdb_stat(txn->txn, txn->kv->tables[table], &status);

	if (rc != 0)
		return kv_error(txn->kv, rc, table_names[table], error);
	*count = status.ms_entries;
	return 0;
}

int kv_cursor_open(struct kv_txn *txn, enum kv_table table, struct kv_cursor **out, struct error *error)
{
	struct kv_cursor *cursor = malloc(sizeof *cursor);
	int rc;

	if (cursor == NULL)
		return error_memory(error, sizeof *cursor);
	cursor->txn = txn;
	rc = mdb_cursor_open(txn->txn, txn->kv->tables[table], &cursor->cursor);
	if (rc != 0) {
		free(cursor);
		return kv_error(txn->kv, rc, table_names[table], error);
	}
	*out = cursor;
	return 0;
}

void kv_cursor_close(struct kv_cursor *cursor)
{
	if (cursor == NULL)
		return;
	mdb_cursor_close(cursor->cursor);
	free(cursor);
}

static int cursor_move(struct kv_cursor *cursor, MDB_val k, MDB_cursor_op move, struct slice *found,
                       struct slice *value, struct error *error)
{
	MDB_val v;
	int rc = mdb_cursor_get(cursor->cursor, &k, &v, move);

	if (rc == 0 && (k.mv_size == 0 || k.mv_size > KV_KEY_BYTES_MAX))
		rc = MDB_CORRUPTED;
	if (rc != 0)
		return kv_error(cursor->txn->kv, rc, "cursor", error);
	rc = slice_of_val(cursor->txn, k, found, error);
	return rc == 0 ? slice_of_val(cursor->txn, v, value, error) : rc;
}

/* An empty key stands for the first entry. */
int kv_cursor_seek(struct kv_cursor *cursor, struct slice key, struct slice *found, struct slice *value,
                   struct error *error)
{
	return cursor_move(cursor, val_of(key), key.len == 0 ? MDB_FIRST : MDB_SET_RANGE, found, value,
	                   error);
}

int kv_cursor_next(struct kv_cursor *cursor, struct slice *found, struct slice *value, struct error *error)
{
	return cursor_move(cursor, (MDB_val){0, NULL}, MDB_NEXT, found, value, error);
}

void kv_size(struct kv *kv, uint64_t *used_bytes, uint64_t *map_bytes)
{
	MDB_env *env;
	MDB_envinfo info;
	MDB_stat status;
	struct error error;

	*used_bytes = 0;
	*map_bytes = atomic_load(&kv->map_bytes);
	if (reader_enter(kv, &env, &error) != 0) /* it looks at the map */
		return;
	if (mdb_env_info(env, &info) == 0 && mdb_env_stat(env, &status) == 0)
		*used_bytes = ((uint64_t)info.me_last_pgno + 1) * status.ms_psize;
	reader_leave(kv, env);
}
