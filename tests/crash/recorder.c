#include "tests/crash/recorder.h"

#include "shared/base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct trace *trace; /* NULL: nothing is recorded */
static char root[PATH_MAX];
static size_t root_len;
static unsigned writes_left;
static bool kills_unsynced;
static bool kills_renamed;
static enum recorder_fault fault;
static unsigned fault_at; /* calls until it fails, this one included */
static unsigned fault_times;
static bool has_failed;
static bool is_left; /* the write that runs is left in the page cache */

struct trace *recorder_trace(void)
{
	void *memory = mmap(NULL, sizeof *trace, PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ASSERT(memory != MAP_FAILED);
	return memory;
}

void recorder_trace_free(struct trace *unused)
{
	ASSERT(munmap(unused, sizeof *unused) == 0);
}

void recorder_start(struct trace *into, const char *directory)
{
	char here[PATH_MAX];

	ASSERT(getcwd(here, sizeof here) != NULL);
	root_len = (size_t)snprintf(root, sizeof root, "%s/%s", here, directory);
	ASSERT(root_len < sizeof root);
	trace = into;
}

void recorder_kill_after(unsigned writes)
{
	writes_left = writes;
	kills_unsynced = false;
	kills_renamed = false;
}

void recorder_kill_unsynced(void)
{
	kills_unsynced = true;
}

void recorder_kill_renamed(void)
{
	kills_renamed = true;
}

void recorder_fail(enum recorder_fault what, unsigned n, unsigned times)
{
	fault = what;
	fault_at = n;
	fault_times = times;
	has_failed = false;
}

size_t recorder_files_left(void)
{
	return TRACE_FILES_MAX - trace->files_len;
}

bool recorder_has_failed(void)
{
	return has_failed;
}

static void add(enum trace_kind kind, uint32_t file, int64_t at, const void *bytes, size_t len)
{
	ASSERT(trace->events_len < TRACE_EVENTS_MAX && len <= TRACE_BYTES_MAX - trace->bytes_len);
	if (len > 0)
		memcpy(trace->bytes + trace->bytes_len, bytes, len);
	trace->events[trace->events_len] = (struct trace_event){kind, file, at, trace->bytes_len, len};
	trace->bytes_len += len;
	trace->events_len++;
}

void recorder_mark(enum trace_kind kind, int64_t at)
{
	if (trace != NULL)
		add(kind, 0, at, NULL, 0);
}

/* The file's path below the root, "" for the root itself; NULL: it is not there. */
static const char *path_below(int fd, char path[PATH_MAX])
{
	char link[64];
	ssize_t len;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	len = readlink(link, path, PATH_MAX - 1);
	if (len < (ssize_t)root_len || memcmp(path, root, root_len) != 0)
		return NULL;
	path[len] = '\0';
	return path[root_len] == '/' ? path + root_len + 1 : path[root_len] == '\0' ? "" : NULL;
}

static bool is_lock(const char *name)
{
	size_t len = strlen(name);

	return len >= 4 && (strncmp(name, "lock", 4) == 0 || strcmp(name + len - 4, "lock") == 0);
}

/* The number of a file that is recorded, or -1. */
static int file_of(int fd)
{
	char path[PATH_MAX];
	const char *name;
	struct stat status;

	if (trace == NULL || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
		return -1;
	for (size_t i = 0; i < trace->files_len; i++)
		if (trace->files[i] == status.st_ino)
			return (int)i;
	name = path_below(fd, path);
	if (name == NULL || is_lock(name))
		return -1;
	ASSERT(trace->files_len < TRACE_FILES_MAX && strlen(name) < TRACE_NAME_BYTES);
	trace->files[trace->files_len] = status.st_ino;
	add(TRACE_NAME, (uint32_t)trace->files_len, 0, name, strlen(name) + 1);
	return (int)trace->files_len++;
}

static bool syncs_itself(int fd)
{
	return (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
}

static bool is_fault_of(int fd, bool is_sync)
{
	switch (fault) {
	case RECORDER_FAULT_WRITE:
	case RECORDER_FAULT_CUT:
		return !is_sync && !syncs_itself(fd);
	case RECORDER_FAULT_SYNC:
		return is_sync;
	case RECORDER_FAULT_WRITE_SYNCED:
	case RECORDER_FAULT_WRITE_LEFT:
		return !is_sync && syncs_itself(fd);
	default:
		return true;
	}
}

/* If this call is one that fails. */
static bool fails(int fd, bool is_sync)
{
	if (fault_times == 0 || file_of(fd) < 0 || !is_fault_of(fd, is_sync))
		return false;
	if (fault_at > 1) {
		fault_at--;
		return false;
	}
	fault_times--;
	has_failed = true;
	if (is_sync)
		add(TRACE_SYNC_FAILED, (uint32_t)file_of(fd), 0, NULL, 0);
	errno = EIO;
	return true;
}

/* Part of one call, which has written all of it already; `is_left`: and failed to sync it. */
static void written(int fd, int64_t at, struct iovec part, bool is_last)
{
	int file = file_of(fd);

	if (file < 0)
		return;
	add(TRACE_WRITE, (uint32_t)file, at, part.iov_base, part.iov_len);
	if (writes_left > 1)
		writes_left--;
	else if (writes_left == 1 && is_last)
		_exit(RECORDER_KILLED);
	if (!syncs_itself(fd))
		return;
	if (is_left) {
		add(TRACE_SYNC_FAILED, (uint32_t)file, 0, NULL, 0);
		return;
	}
	if (kills_unsynced)
		_exit(RECORDER_KILLED);
	add(TRACE_WRITE_SYNCED, (uint32_t)file, 0, NULL, 0);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	ssize_t done;

	is_left = false;
	if (fails(fd, false)) {
		if (fault != RECORDER_FAULT_CUT && fault != RECORDER_FAULT_WRITE_LEFT)
			return -1;
		is_left = true;
		if (fault == RECORDER_FAULT_CUT)
			len /= 2;
	}
	done = syscall(SYS_pwrite64, fd, bytes, len, at);
	if (done > 0)
		written(fd, at, (struct iovec){(void *)(uintptr_t)bytes, (size_t)done}, true);
	if (!is_left || fault == RECORDER_FAULT_CUT)
		return done;
	errno = EIO;
	return -1;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	ssize_t done = syscall(SYS_write, fd, bytes, len);

	is_left = false;
	if (done > 0 && trace != NULL)
		written(fd, lseek(fd, 0, SEEK_CUR) - done,
		        (struct iovec){(void *)(uintptr_t)bytes, (size_t)done}, true);
	return done;
}

ssize_t writev(int fd, const struct iovec *parts, int parts_len)
{
	int64_t at;
	size_t left;
	ssize_t done;

	is_left = false;
	if (fails(fd, false)) {
		if (fault != RECORDER_FAULT_CUT || parts_len < 2)
			return -1;
		parts_len /= 2;
	}
	done = syscall(SYS_writev, fd, parts, parts_len);
	at = done > 0 && trace != NULL ? lseek(fd, 0, SEEK_CUR) - done : 0;
	left = done > 0 && trace != NULL ? (size_t)done : 0;
	for (int i = 0; i < parts_len && left > 0; i++) {
		size_t len = parts[i].iov_len < left ? parts[i].iov_len : left;

		left -= len;
		written(fd, at, (struct iovec){parts[i].iov_base, len}, left == 0);
		at += (int64_t)len;
	}
	return done;
}

int ftruncate(int fd, off_t len)
{
	ASSERT(file_of(fd) < 0);
	return (int)syscall(SYS_ftruncate, fd, len);
}

static int synced(int fd, int rc)
{
	char path[PATH_MAX];
	struct stat status;
	const char *name;
	int file;

	if (rc != 0 || trace == NULL)
		return rc;
	file = file_of(fd);
	if (file >= 0)
		add(TRACE_SYNCED, (uint32_t)file, 0, NULL, 0);
	else if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode) &&
	         (name = path_below(fd, path)) != NULL && name[0] == '\0')
		add(TRACE_NAMES_SYNCED, 0, 0, NULL, 0);
	return rc;
}

int fdatasync(int fd)
{
	return fails(fd, true) ? -1 : synced(fd, (int)syscall(SYS_fdatasync, fd));
}

int fsync(int fd)
{
	return fails(fd, true) ? -1 : synced(fd, (int)syscall(SYS_fsync, fd));
}

int msync(void *memory, size_t len, int flags)
{
	ASSERT(trace == NULL);
	return (int)syscall(SYS_msync, memory, len, flags);
}

/* Its inode's number may soon be another file's. What an image has of it stays: after a crash it may be there. */
static void forget(const char *path)
{
	struct stat status;

	if (trace == NULL || stat(path, &status) != 0)
		return;
	for (size_t i = 0; i < trace->files_len; i++)
		if (trace->files[i] == status.st_ino)
			trace->files[i] = 0;
}

int unlink(const char *path)
{
	forget(path);
	return (int)syscall(SYS_unlink, path);
}

/* Within the directory, of a file that was written before; what it replaces is not written any more. */
int rename(const char *from, const char *to)
{
	struct stat status;
	int rc;
	const char *name = strrchr(to, '/');

	forget(to);
	rc = (int)syscall(SYS_rename, from, to);
	if (rc != 0 || trace == NULL || stat(to, &status) != 0)
		return rc;
	for (uint32_t i = 0; i < trace->files_len; i++) {
		if (trace->files[i] != status.st_ino)
			continue;
		add(TRACE_NAME, i, 0, name + 1, strlen(name));
		if (kills_renamed)
			_exit(RECORDER_KILLED);
	}
	return 0;
}
