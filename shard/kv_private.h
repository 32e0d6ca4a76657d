/*
 * What the parts of the store share: kv.c (life, transactions) and kv_switch.c
 * (an environment beside it, which takes its place). Nobody else includes this.
 */
#ifndef MILLRACE_SHARD_KV_PRIVATE_H
#define MILLRACE_SHARD_KV_PRIVATE_H

#include "shard/extent.h"
#include "shard/kv.h"

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#define KV_PATH_BYTES_MAX 4096

struct kv {
	char path[KV_PATH_BYTES_MAX];
	int lock;       /* holds the flock; also refuses a second open in this process; -1: is_beside */
	bool is_beside; /* `path` is a file in another one's directory */
	MDB_env *env;   /* its user context is its extent */
	MDB_dbi tables[KV_TABLES];
	atomic_size_t map_bytes;
	/* LMDB moves the map when it grows: nobody may look at it then. */
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* the last reader left, or the map has grown */
	unsigned readers;       /* of `env` */
	MDB_env *outdated;      /* which it was before the switch, while somebody reads it; else NULL */
	unsigned outdated_readers;
	bool growing; /* or the environment is opened again */
	/* The writer's: a write failed, so what the page cache holds may be neither what was there nor what is on
	 * disk. Nothing is written before the environment was opened again. */
	bool failed;
	size_t failed_id; /* of LMDB's transaction */
	/* That is still to be done, and no write transaction is open: whoever reads may do it. */
	bool broken;
	/* The writer's: the file has its name, but the directory may not be on disk. */
	bool unsynced;
};

struct kv_txn {
	struct kv *kv;
	MDB_env *env;
	struct extent *extent; /* of `env` */
	MDB_txn *txn;
	bool write;
	size_t id; /* LMDB's; of a write transaction */
};

/* Nothing is open yet; kv_close ends it. */
int kv_new(const char *path, struct kv **kv, struct error *error);
/* What stands at the path, or an empty one. After a failure kv_close ends what there is of it. */
int kv_environment_open(struct kv *kv, struct error *error);
/* NULL: nothing happens. */
void kv_environment_close(MDB_env *env);

/* kv_switch.c */
/* What a process that was killed left of an environment beside this one. */
int kv_beside_remove(const struct kv *kv, struct error *error);

#endif
