/*
 * Disk: what a replica's directory lies on, and what its errors mean to who
 * has to do something about them. No state; any thread.
 */
#ifndef MILLRACE_SHARD_DISK_H
#define MILLRACE_SHARD_DISK_H

#include "shared/base/error.h"

#include <stdint.h>

/* ERROR_STORAGE, RETRY if fewer than `bytes` are free for files under `path`. */
int disk_check_room(const char *path, uint64_t bytes, struct error *error);
/* The directory's entries are on disk when it returns 0. ERROR_STORAGE, RETRY. */
int disk_sync_directory(const char *path, struct error *error);
/* The directory, which is made if it is not there, its entry in the parent, and the lock that keeps others out: a file
 * that stays open, also after an error where `*lock` is not -1. ERROR_STATE, FATAL if somebody else has it;
 * ERROR_STORAGE, FATAL on a network file system. */
int disk_take(const char *path, int *lock, struct error *error);
/* ERROR_STORAGE, RETRY for the system's error `code` of a call that wrote to `path`: names the device, the room that
 * is left on it and the remedy. A full disk may come as EIO: LMDB makes that of a write that was cut short. */
int disk_error(const char *path, int code, const char *what, struct error *error);

#endif
