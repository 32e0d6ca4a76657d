#include "shared/feeding/suspects.h"

#include "shared/base/assert.h"
#include "shared/runtime/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0x315355535052494dULL /* "MIRPSUS1", little-endian */
#define FILE_MODE 0600
#define NOTHING (-1)

/* The file. What is noted counts once its offset is there, which is written last. */
struct notes {
	uint64_t magic;
	uint64_t index_id;
	int32_t partition;
	uint32_t list_len;
	_Atomic int64_t offset; /* NOTHING: no record is being dealt with */
	struct suspect list[SUSPECTS_MAX];
};

struct suspects {
	char path[DIRECTORY_PATH_BYTES_MAX + 32];
	int fd;
	struct notes *notes;
};

static int failed(const struct suspects *suspects, const char *what, struct error *error)
{
	return error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY, "%s: %s: %s", suspects->path, what,
	                 strerror(errno));
}

/* The first file that no other process has. */
static int file_open(struct suspects *suspects, const char *directory, struct error *error)
{
	for (int number = 1; number <= SUSPECT_FILES_MAX; number++) {
		(void)snprintf(suspects->path, sizeof suspects->path, "%s/suspects-%d", directory, number);
		suspects->fd = open(suspects->path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
		if (suspects->fd < 0)
			return failed(suspects, "open", error);
		if (flock(suspects->fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return failed(suspects, "lock", error);
		(void)close(suspects->fd);
		suspects->fd = -1;
	}
	return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY, "%d processes use the directory %s already",
	                 SUSPECT_FILES_MAX, directory);
}

static int file_map(struct suspects *suspects, struct error *error)
{
	void *mapped;

	/* its blocks are there before they are written to: a full disk must be an error, not a signal */
	errno = posix_fallocate(suspects->fd, 0, sizeof *suspects->notes);
	if (errno != 0)
		return failed(suspects, "allocate", error);
	mapped = mmap(NULL, sizeof *suspects->notes, PROT_READ | PROT_WRITE, MAP_SHARED, suspects->fd, 0);
	if (mapped == MAP_FAILED)
		return failed(suspects, "map", error);
	suspects->notes = mapped;
	return 0;
}

static struct suspect *find(const struct suspects *suspects, uint64_t index_id, int32_t partition,
                            int64_t offset)
{
	struct notes *notes = suspects->notes;

	for (uint32_t i = 0; i < notes->list_len; i++)
		if (notes->list[i].index_id == index_id && notes->list[i].partition == partition &&
		    notes->list[i].offset == offset)
			return &notes->list[i];
	return NULL;
}

static void forget(struct notes *notes, struct suspect *suspect)
{
	struct suspect *end = &notes->list[notes->list_len];

	memmove(suspect, suspect + 1, (size_t)((uint8_t *)end - (uint8_t *)(suspect + 1)));
	notes->list_len--;
}

/* The former life of the file ended with a record in hand. */
static void count_death(struct suspects *suspects)
{
	struct notes *notes = suspects->notes;
	int64_t offset = atomic_load(&notes->offset);
	struct suspect *suspect;

	if (offset < 0)
		return;
	suspect = find(suspects, notes->index_id, notes->partition, offset);
	if (suspect == NULL) {
		if (notes->list_len == SUSPECTS_MAX)
			forget(notes, notes->list);
		suspect = &notes->list[notes->list_len++];
		*suspect = (struct suspect){notes->index_id, offset, NOTHING, notes->partition, 0};
	}
	suspect->deaths++;
	atomic_store(&notes->offset, NOTHING);
}

int suspects_open(const char *directory, struct suspects **suspects, struct error *error)
{
	struct suspects *opened = calloc(1, sizeof *opened);
	int rc;

	if (opened == NULL)
		return error_memory(error, sizeof *opened);
	opened->fd = -1;
	rc = directory_make(directory, error);
	if (rc == 0)
		rc = file_open(opened, directory, error);
	if (rc == 0)
		rc = file_map(opened, error);
	if (rc != 0) {
		suspects_close(opened);
		return rc;
	}
	if (opened->notes->magic != MAGIC || opened->notes->list_len > SUSPECTS_MAX) {
		memset(opened->notes, 0, sizeof *opened->notes);
		atomic_store(&opened->notes->offset, NOTHING);
		opened->notes->magic = MAGIC;
	}
	count_death(opened);
	*suspects = opened;
	return 0;
}

void suspects_close(struct suspects *suspects)
{
	if (suspects == NULL)
		return;
	if (suspects->notes != NULL)
		(void)munmap(suspects->notes, sizeof *suspects->notes);
	if (suspects->fd >= 0)
		(void)close(suspects->fd);
	free(suspects);
}

const char *suspects_path(const struct suspects *suspects)
{
	return suspects->path;
}

void suspects_note(struct suspects *suspects, uint64_t index_id, int32_t partition, int64_t offset)
{
	struct notes *notes = suspects->notes;

	notes->index_id = index_id;
	notes->partition = partition;
	atomic_store_explicit(&notes->offset, offset, memory_order_release);
}

void suspects_strike(struct suspects *suspects)
{
	struct notes *notes = suspects->notes;
	int64_t offset = atomic_load_explicit(&notes->offset, memory_order_relaxed);

	atomic_store_explicit(&notes->offset, NOTHING, memory_order_release);
	if (notes->list_len > 0) {
		struct suspect *survived = find(suspects, notes->index_id, notes->partition, offset);

		if (survived != NULL)
			forget(notes, survived);
	}
}

const struct suspect *suspects_find(const struct suspects *suspects, uint64_t index_id, int32_t partition,
                                    int64_t offset)
{
	return find(suspects, index_id, partition, offset);
}

void suspects_asked(struct suspects *suspects, const struct suspect *suspect, int64_t task)
{
	ptrdiff_t at = suspect - suspects->notes->list;

	ASSERT(at >= 0 && (uint32_t)at < suspects->notes->list_len);
	suspects->notes->list[at].task = task;
}
