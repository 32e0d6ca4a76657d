#include "shard/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Memory maps of network file systems may show other bytes than were written, and locks may bind one machine only. */
static int file_system_check(const char *path, struct error *error)
{
	static const struct {
		unsigned long magic;
		const char *name;
	} refused[] = {{NFS_SUPER_MAGIC, "NFS"},  {SMB_SUPER_MAGIC, "SMB"},   {SMB2_SUPER_MAGIC, "SMB"},
	               {CIFS_SUPER_MAGIC, "SMB"}, {AFS_SUPER_MAGIC, "AFS"},   {CEPH_SUPER_MAGIC, "Ceph"},
	               {V9FS_MAGIC, "9P"},        {CODA_SUPER_MAGIC, "Coda"}, {NCP_SUPER_MAGIC, "NCP"}};
	struct statfs system;

	if (statfs(path, &system) != 0)
		return disk_error(path, errno, "statfs", error);
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		if ((unsigned long)(uint32_t)system.f_type == refused[i].magic)
			return error_set(error, ERROR_STORAGE, ERROR_ACTION_FATAL,
			                 "%s: this is on %s: a memory map of a network file system may show "
			                 "other bytes than those on its disk; put the data on a local disk",
			                 path, refused[i].name);
	return 0;
}

int disk_check_room(const char *path, uint64_t bytes, struct error *error)
{
	struct statvfs space;

	if (statvfs(path, &space) != 0)
		return disk_error(path, errno, "statvfs", error);
	if ((uint64_t)space.f_bavail * space.f_frsize >= bytes)
		return 0;
	return error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY,
	                 "%s: %llu MB are free on its disk, %llu MB are needed", path,
	                 (unsigned long long)space.f_bavail * space.f_frsize >> 20,
	                 (unsigned long long)bytes >> 20);
}

int disk_sync_directory(const char *path, struct error *error)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0 || fsync(fd) != 0)
		rc = disk_error(path, errno, "fsync", error);
	if (fd >= 0)
		close(fd);
	return rc;
}

int disk_take(const char *directory, int *lock, struct error *error)
{
	char path[PATH_MAX];

	if (mkdir(directory, 0700) != 0 && errno != EEXIST)
		return error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY, "%s: mkdir: %s", directory,
		                 strerror(errno));
	if (snprintf(path, sizeof path, "%s/owner.lock", directory) >= (int)sizeof path)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "%s: the path is too long",
		                 directory);
	snprintf(path, sizeof path, "%s/..", directory);
	if (file_system_check(directory, error) != 0 || disk_sync_directory(path, error) != 0)
		return error->code;
	snprintf(path, sizeof path, "%s/owner.lock", directory);
	*lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*lock < 0)
		return error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY, "%s: %s", path, strerror(errno));
	if (flock(*lock, LOCK_EX | LOCK_NB) != 0) {
		int code = errno == EWOULDBLOCK ? ERROR_STATE : ERROR_STORAGE;

		return error_set(error, code, ERROR_ACTION_FATAL,
		                 code == ERROR_STATE ? "%s: the environment is open elsewhere%s"
		                                     : "%s: flock: %s",
		                 path, code == ERROR_STATE ? "" : strerror(errno));
	}
	return 0;
}

int disk_error(const char *path, int code, const char *what, struct error *error)
{
	struct statvfs space = {.f_frsize = 0};
	struct stat status = {.st_dev = 0};

	(void)statvfs(path, &space);
	(void)stat(path, &status);
	return error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY,
	                 "%s: %s: %s; the disk (device %u:%u) has %llu MB free: make room there, or see what "
	                 "the kernel's log says of it",
	                 path, what, strerror(code), major(status.st_dev), minor(status.st_dev),
	                 (unsigned long long)space.f_bavail * space.f_frsize >> 20);
}
