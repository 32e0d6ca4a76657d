/* An environment beside another one, which takes its place. */
#include "shard/kv_private.h"

#include "shard/disk.h"
#include "shared/base/assert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BESIDE_NAME "beside.mdb"
/* Room on the disk beyond what is live: for what others store meanwhile. */
#define BESIDE_SPARE_BYTES (64ULL * 1024 * 1024)
#define BESIDE_PATH_BYTES_MAX (KV_PATH_BYTES_MAX + 32)

/* Of a file that may not be there. */
static int file_remove(const char *path, struct error *error)
{
	return unlink(path) == 0 || errno == ENOENT ? 0 : disk_error(path, errno, "unlink", error);
}

static int files_remove(const char *path, struct error *error)
{
	char lock[BESIDE_PATH_BYTES_MAX + 8];

	(void)snprintf(lock, sizeof lock, "%s-lock", path);
	return file_remove(path, error) != 0 || file_remove(lock, error) != 0 ? error->code : 0;
}

static void beside_path(const struct kv *kv, char path[BESIDE_PATH_BYTES_MAX])
{
	(void)snprintf(path, BESIDE_PATH_BYTES_MAX, "%s/" BESIDE_NAME, kv->path);
}

int kv_beside_remove(const struct kv *kv, struct error *error)
{
	char path[BESIDE_PATH_BYTES_MAX];

	beside_path(kv, path);
	return files_remove(path, error);
}

int kv_beside_open(struct kv *kv, struct kv **out, struct error *error)
{
	char path[BESIDE_PATH_BYTES_MAX];
	struct kv *beside;
	uint64_t live;

	beside_path(kv, path);
	if (files_remove(path, error) != 0 || kv_live(kv, &live, error) != 0 ||
	    disk_check_room(kv->path, live + BESIDE_SPARE_BYTES, error) != 0 ||
	    kv_new(path, &beside, error) != 0)
		return error->code;
	beside->is_beside = true;
	if (kv_environment_open(beside, error) != 0) {
		kv_beside_close(beside);
		return error->code;
	}
	*out = beside;
	return 0;
}

void kv_beside_close(struct kv *beside)
{
	char path[KV_PATH_BYTES_MAX];
	struct error error;

	if (beside == NULL)
		return;
	(void)snprintf(path, sizeof path, "%s", beside->path);
	kv_close(beside);
	(void)files_remove(path, &error); /* if not now, when the store is opened again */
}

/* The lock's file first: environments that are open at once never share one, whatever fails. */
static int names_switch(const struct kv *kv, const struct kv *beside, struct error *error)
{
	char from[BESIDE_PATH_BYTES_MAX];
	char to[BESIDE_PATH_BYTES_MAX];

	(void)snprintf(from, sizeof from, "%s-lock", beside->path);
	(void)snprintf(to, sizeof to, "%s/lock.mdb", kv->path);
	if (rename(from, to) != 0)
		return disk_error(from, errno, "rename", error);
	(void)snprintf(to, sizeof to, "%s/data.mdb", kv->path);
	if (rename(beside->path, to) != 0)
		return disk_error(beside->path, errno, "rename", error);
	return 0;
}

/* Who begins to read from here on reads the new one. */
static void environments_switch(struct kv *kv, struct kv *beside)
{
	MDB_env *before = kv->env;

	(void)pthread_mutex_lock(&kv->mutex);
	ASSERT(beside->readers == 0 && !kv->growing);
	ASSERT(memcmp(kv->tables, beside->tables, sizeof kv->tables) == 0); /* opened in the same order */
	if (kv->readers > 0) {
		kv->outdated = before;
		kv->outdated_readers = kv->readers;
		before = NULL;
	}
	kv->env = beside->env;
	kv->readers = 0;
	atomic_store(&kv->map_bytes, atomic_load(&beside->map_bytes));
	(void)pthread_mutex_unlock(&kv->mutex);
	beside->env = NULL;
	kv_environment_close(before);
}

int kv_switch(struct kv *kv, struct kv *beside, struct error *error)
{
	bool is_busy;

	(void)pthread_mutex_lock(&kv->mutex);
	is_busy = kv->outdated != NULL;
	(void)pthread_mutex_unlock(&kv->mutex);
	if (is_busy || kv->failed || kv->unsynced || beside->failed)
		return error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY, "%s: %s", kv->path,
		                 is_busy ? "the environment before this one is still read"
		                         : "an earlier write failed");
	if (names_switch(kv, beside, error) != 0)
		return error->code;
	environments_switch(kv, beside);
	/* not on disk yet: a crash would bring back the other, and what is written from here on would be lost */
	kv->unsynced = disk_sync_directory(kv->path, error) != 0;
	kv_close(beside);
	return 0;
}

bool kv_is_switching(struct kv *kv)
{
	bool is_switching;

	(void)pthread_mutex_lock(&kv->mutex);
	is_switching = kv->outdated != NULL;
	(void)pthread_mutex_unlock(&kv->mutex);
	return is_switching;
}

static uint64_t pages_of(const MDB_stat *status)
{
	return (uint64_t)status->ms_branch_pages + status->ms_leaf_pages + status->ms_overflow_pages;
}

int kv_live(struct kv *kv, uint64_t *bytes, struct error *error)
{
	uint64_t pages = 2; /* what LMDB begins with */
	struct kv_txn *txn;
	MDB_stat status;

	if (kv_begin(kv, false, &txn, error) != 0)
		return error->code;
	/* LMDB's own two tables: of free pages, and of tables */
	for (MDB_dbi table = 0; table < 2; table++)
		if (mdb_stat(txn->txn, table, &status) == 0)
			pages += pages_of(&status);
	for (size_t i = 0; i < KV_TABLES; i++)
		if (mdb_stat(txn->txn, kv->tables[i], &status) == 0)
			pages += pages_of(&status);
	*bytes = pages * status.ms_psize;
	kv_abort(txn);
	return 0;
}
