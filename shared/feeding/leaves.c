#include "shared/feeding/leaves.h"

#include "shared/base/assert.h"
#include "shared/runtime/directory.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATH_BYTES_MAX 4096
#define KEY_BYTES 16
#define FILE_MODE 0600

struct leaves {
	char path[PATH_BYTES_MAX];
	MDB_env *env;
	MDB_dbi table;
	MDB_txn *reading; /* NULL: never yet */
	bool is_reading;  /* else it is reset */
	uint64_t bytes_max;
	uint64_t shelves;
};

static int failed(const struct leaves *leaves, int rc, const char *what, struct error *error)
{
	if (rc == MDB_MAP_FULL)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY,
		                 "the identities of these partitions need more than %llu bytes in %s; raise "
		                 "ingest.table",
		                 (unsigned long long)leaves->bytes_max, leaves->path);
	if (rc == MDB_NOTFOUND)
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_RETRY, "%s: no such leaf",
		                 leaves->path);
	if (rc == ENOMEM)
		return error_memory(error, 0);
	return error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY, "%s: %s: %s", leaves->path, what,
	                 mdb_strerror(rc));
}

/* ---- life ---- */

/* A file of its own that nobody else finds. */
static int file_open(struct leaves *leaves, struct error *error)
{
	char lock[PATH_BYTES_MAX + 8];
	int fd = mkstemp(leaves->path);
	int rc;

	if (fd < 0)
		return failed(leaves, errno, "make", error);
	(void)close(fd);
	/* no TLS: the snapshot belongs to this object, not to a thread */
	rc = mdb_env_open(leaves->env, leaves->path, MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOTLS, FILE_MODE);
	(void)snprintf(lock, sizeof lock, "%s-lock", leaves->path);
	(void)unlink(leaves->path);
	(void)unlink(lock);
	return rc == 0 ? 0 : failed(leaves, rc, "open", error);
}

static int table_open(struct leaves *leaves, struct error *error)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(leaves->env, NULL, 0, &txn);

	if (rc != 0)
		return failed(leaves, rc, "begin", error);
	rc = mdb_dbi_open(txn, NULL, 0, &leaves->table);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	return rc == 0 ? 0 : failed(leaves, rc, "open", error);
}

static int environment_make(struct leaves *leaves, struct error *error)
{
	int rc = mdb_env_create(&leaves->env);

	if (rc == 0)
		rc = mdb_env_set_mapsize(leaves->env, (size_t)leaves->bytes_max);
	return rc == 0 ? 0 : failed(leaves, rc, "make", error);
}

int leaves_open(const char *directory, uint64_t bytes_max, struct leaves **leaves, struct error *error)
{
	struct leaves *new = calloc(1, sizeof *new);
	int result;

	if (new == NULL)
		return error_memory(error, sizeof *new);
	new->bytes_max = bytes_max;
	if ((size_t)snprintf(new->path, sizeof new->path, "%s/identities-XXXXXX", directory) >=
	    sizeof new->path) {
		free(new);
		return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL,
		                 "the directory's name is too long: %.100s…", directory);
	}
	result = directory_make(directory, error);
	if (result == 0)
		result = environment_make(new, error);
	if (result == 0)
		result = file_open(new, error);
	if (result == 0)
		result = table_open(new, error);
	if (result < 0)
		leaves_close(new);
	else
		*leaves = new;
	return result;
}

void leaves_close(struct leaves *leaves)
{
	if (leaves == NULL)
		return;
	if (leaves->reading != NULL)
		mdb_txn_abort(leaves->reading);
	if (leaves->env != NULL)
		mdb_env_close(leaves->env);
	free(leaves);
}

uint64_t leaves_bytes(const struct leaves *leaves)
{
	MDB_envinfo info;
	MDB_stat stat;

	ASSERT(mdb_env_info(leaves->env, &info) == 0 && mdb_env_stat(leaves->env, &stat) == 0);
	return (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}

/* ---- the store ---- */

/* Big-endian, so that a window's leaves lie together. */
static MDB_val key_of(const struct shelf *shelf, int64_t leaf, uint8_t bytes[KEY_BYTES])
{
	uint64_t words[2] = {shelf->number, (uint64_t)leaf};

	for (int i = 0; i < KEY_BYTES; i++)
		bytes[i] = (uint8_t)(words[i / 8] >> (56 - 8 * (i % 8)));
	return (MDB_val){KEY_BYTES, bytes};
}

/* Pages that a snapshot can see are not used again: none is kept over a write. */
static int write_begin(struct leaves *leaves, MDB_txn **txn)
{
	if (leaves->is_reading)
		mdb_txn_reset(leaves->reading);
	leaves->is_reading = false;
	return mdb_txn_begin(leaves->env, NULL, 0, txn);
}

static int put(struct leaves *leaves, MDB_val *key, MDB_val *value)
{
	MDB_txn *txn;
	int rc = write_begin(leaves, &txn);

	if (rc != 0)
		return rc;
	rc = mdb_put(txn, leaves->table, key, value, 0);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

/* What a transaction frees can be used by the next but one, and one that fails does not count. */
static int put_anything(struct leaves *leaves)
{
	static const uint8_t last[KEY_BYTES] = {0xff};
	MDB_val key = {KEY_BYTES, (void *)(uintptr_t)last};
	MDB_val value = {1, (void *)(uintptr_t)last};

	return put(leaves, &key, &value);
}

static int on_put(void *context, int64_t leaf, struct slice bytes, struct error *error)
{
	const struct shelf *shelf = context;
	uint8_t key_bytes[KEY_BYTES];
	MDB_val key = key_of(shelf, leaf, key_bytes);
	MDB_val value = {bytes.len, (void *)(uintptr_t)bytes.ptr};
	int rc = put(shelf->leaves, &key, &value);

	if (rc == MDB_MAP_FULL && put_anything(shelf->leaves) == 0)
		rc = put(shelf->leaves, &key, &value);
	return rc == 0 ? 0 : failed(shelf->leaves, rc, "put", error);
}

static int on_get(void *context, int64_t leaf, struct slice *bytes, struct error *error)
{
	const struct shelf *shelf = context;
	struct leaves *leaves = shelf->leaves;
	uint8_t key_bytes[KEY_BYTES];
	MDB_val key = key_of(shelf, leaf, key_bytes);
	MDB_val value;
	int rc = 0;

	if (leaves->reading == NULL)
		rc = mdb_txn_begin(leaves->env, NULL, MDB_RDONLY, &leaves->reading);
	else if (!leaves->is_reading)
		rc = mdb_txn_renew(leaves->reading);
	if (rc != 0)
		return failed(leaves, rc, "begin", error);
	leaves->is_reading = true;
	rc = mdb_get(leaves->reading, leaves->table, &key, &value);
	if (rc != 0)
		return failed(leaves, rc, "get", error);
	*bytes = slice_of(value.mv_data, value.mv_size);
	return 0;
}

/* One that cannot be dropped takes room until the process ends. */
static void on_drop(void *context, int64_t leaf)
{
	const struct shelf *shelf = context;
	uint8_t key_bytes[KEY_BYTES];
	MDB_val key = key_of(shelf, leaf, key_bytes);
	MDB_txn *txn;

	if (write_begin(shelf->leaves, &txn) != 0)
		return;
	if (mdb_del(txn, shelf->leaves->table, &key, NULL) == 0)
		(void)mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
}

struct window_store leaves_shelf(struct leaves *leaves, struct shelf *shelf)
{
	*shelf = (struct shelf){leaves, leaves->shelves++};
	return (struct window_store){shelf, on_put, on_get, on_drop};
}
