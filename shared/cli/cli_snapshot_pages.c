/* Files of a snapshot: frames of pages, and small ones that are there whole or not at all. */
#include "shared/base/hash.h"
#include "shared/cli/cli_snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FRAME_BYTES 12 /* length, hash */

static int path_set(char path[SNAPSHOT_PATH_BYTES_MAX], const char *directory, const char *name,
                    struct error *error)
{
	int len = snprintf(path, SNAPSHOT_PATH_BYTES_MAX, "%s/%s", directory, name);

	return len > 0 && len < SNAPSHOT_PATH_BYTES_MAX
	               ? 0
	               : error_set(error, ERROR_LIMIT, ERROR_ACTION_FATAL,
	                           "the directory's name is too long: %.100s…", directory);
}

static int disk_failed(const char *path, const char *what, int code, struct error *error)
{
	const char *remedy = code == ENOSPC || code == EDQUOT
	                             ? "; make room, then the same command goes on where it stopped"
	                             : "";

	return error_set(error, ERROR_STORAGE, ERROR_ACTION_FATAL, "%.300s: cannot %s: %s%s", path, what,
	                 strerror(code), remedy);
}

/* Two parts, one behind the other; the first may be empty. */
static int write_both(int fd, struct slice head, struct slice bytes, int64_t at)
{
	while (head.len + bytes.len > 0) {
		/* they are only read */
		struct iovec parts[2] = {{(void *)(uintptr_t)head.ptr, head.len},
		                         {(void *)(uintptr_t)bytes.ptr, bytes.len}};
		ssize_t len = pwritev(fd, parts, 2, at);
		size_t of_head;

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno;
		if (len == 0)
			return ENOSPC;
		of_head = (size_t)len < head.len ? (size_t)len : head.len;
		head = slice_of(head.ptr + of_head, head.len - of_head);
		bytes = slice_of(bytes.ptr + ((size_t)len - of_head), bytes.len - ((size_t)len - of_head));
		at += len;
	}
	return 0;
}

/* As many as there are, up to `len`; negative with errno. */
static ssize_t read_all(int fd, uint8_t *bytes, size_t len, int64_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t got = pread(fd, bytes + done, len - done, at + (int64_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

/* ---- small files ---- */

int snapshot_sync_directory(const char *directory, struct error *error)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) != 0 ? errno : 0;

	if (fd >= 0)
		(void)close(fd);
	return rc == 0 ? 0 : disk_failed(directory, "sync it", rc, error);
}

int snapshot_file_write(const char *directory, const char *name, struct slice bytes, enum snapshot_sync sync,
                        struct error *error)
{
	char path[SNAPSHOT_PATH_BYTES_MAX];
	char made[SNAPSHOT_PATH_BYTES_MAX];
	int rc = 0;
	int fd;

	if (path_set(path, directory, name, error) != 0 || path_set(made, directory, "new", error) != 0)
		return error->code;
	fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return disk_failed(made, "create it", errno, error);
	rc = write_both(fd, slice_of(NULL, 0), bytes, 0);
	if (rc == 0 && sync != SNAPSHOT_SYNC_LATER && fsync(fd) != 0)
		rc = errno;
	if (close(fd) != 0 && rc == 0)
		rc = errno;
	if (rc == 0 && rename(made, path) != 0)
		rc = errno;
	if (rc != 0) {
		(void)unlink(made);
		return disk_failed(path, "write it", rc, error);
	}
	return sync == SNAPSHOT_SYNC_NAME ? snapshot_sync_directory(directory, error) : 0;
}

int snapshot_file_read(const char *directory, const char *name, struct buffer *bytes, struct error *error)
{
	char path[SNAPSHOT_PATH_BYTES_MAX];
	struct stat status;
	uint8_t *room;
	int rc = 0;
	int fd;

	if (path_set(path, directory, name, error) != 0)
		return error->code;
	errno = 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "%.400s is not there", path);
	if (fd < 0)
		return disk_failed(path, "open it", errno, error);
	if (fstat(fd, &status) != 0) {
		rc = disk_failed(path, "read it", errno, error);
	} else {
		room = buffer_grow(bytes, (size_t)status.st_size);
		if (room == NULL)
			rc = error_set(error, ERROR_DAMAGED, ERROR_ACTION_REJECT,
			               "%.400s is longer than such a file can be", path);
		else if (read_all(fd, room, (size_t)status.st_size, 0) != status.st_size)
			rc = disk_failed(path, "read it", errno != 0 ? errno : EIO, error);
	}
	(void)close(fd);
	return rc;
}

int snapshot_file_remove(const char *directory, const char *name, struct error *error)
{
	char path[SNAPSHOT_PATH_BYTES_MAX];

	if (path_set(path, directory, name, error) != 0)
		return error->code;
	return unlink(path) == 0 || errno == ENOENT ? 0 : disk_failed(path, "remove it", errno, error);
}

/* ---- frames ---- */

static int damaged(const struct snapshot_pages *pages, enum error_action action, const char *what,
                   struct error *error)
{
	return error_set(error, ERROR_DAMAGED, action, "%.300s: page %" PRId64 " %s", pages->path,
	                 pages->sum.pages + 1, what);
}

struct page_sum {
	struct slice last; /* key */
	int64_t chunks;
	int64_t chunk_bytes;
};

/* Of the page behind those that are noted. */
static int page_sum(const struct snapshot_pages *pages, struct slice page, enum error_action action,
                    struct page_sum *sum, struct error *error)
{
	struct reader reader = reader_of(page);

	*sum = (struct page_sum){.last = slice_of(pages->last, pages->last_len)};
	for (; reader_left(&reader) > 0; sum->chunks++) {
		struct slice key = reader_take(&reader, reader_u16(&reader));

		sum->chunk_bytes += (int64_t)reader_bytes(&reader).len;
		if (reader_failed(&reader) || key.len == 0 || key.len > SNAPSHOT_KEY_BYTES_MAX)
			return damaged(pages, action, "is cut short", error);
		if (slice_compare(key, sum->last) <= 0)
			return damaged(pages, action, "has chunks out of their order", error);
		sum->last = key;
	}
	return sum->chunks == 0 ? damaged(pages, action, "has no chunks", error) : 0;
}

/* Notes a page that is in the file at the end of `sum`, or will be. */
static int page_note(struct snapshot_pages *pages, struct slice page, uint64_t hash, enum error_action action,
                     struct error *error)
{
	struct page_sum sum;

	if (page_sum(pages, page, action, &sum, error) != 0)
		return error->code;
	memmove(pages->last, sum.last.ptr, sum.last.len);
	pages->last_len = sum.last.len;
	pages->sum.bytes += FRAME_BYTES + (int64_t)page.len;
	pages->sum.pages++;
	pages->sum.chunks += sum.chunks;
	pages->sum.chunk_bytes += sum.chunk_bytes;
	pages->sum.hash = hash;
	return 0;
}

int snapshot_page_last(const struct snapshot_pages *pages, struct slice page, struct slice *key,
                       struct error *error)
{
	struct page_sum sum;

	if (page_sum(pages, page, ERROR_ACTION_RETRY, &sum, error) != 0)
		return error->code;
	*key = sum.last;
	return 0;
}

/* The frame at the end of `sum`. */
int snapshot_pages_next(struct snapshot_pages *pages, uint8_t *page, size_t *page_bytes, struct error *error)
{
	uint8_t bytes[FRAME_BYTES] = {0};
	struct reader reader = reader_of(slice_of(bytes, sizeof bytes));
	ssize_t len = read_all(pages->fd, bytes, sizeof bytes, pages->sum.bytes);
	uint64_t hash;
	uint32_t page_len;

	if (len == 0)
		return 0;
	if (len < 0)
		return disk_failed(pages->path, "read it", errno, error);
	page_len = reader_u32(&reader);
	hash = reader_u64(&reader);
	if (len < FRAME_BYTES || page_len > SNAPSHOT_PAGE_BYTES_MAX)
		return damaged(pages, ERROR_ACTION_REJECT, "is cut short", error);
	len = read_all(pages->fd, page, page_len, pages->sum.bytes + FRAME_BYTES);
	if (len < 0)
		return disk_failed(pages->path, "read it", errno, error);
	if ((size_t)len < page_len)
		return damaged(pages, ERROR_ACTION_REJECT, "is cut short", error);
	if (hash64(slice_of(page, page_len), pages->sum.hash) != hash)
		return damaged(pages, ERROR_ACTION_REJECT, "does not match its hash", error);
	*page_bytes = page_len;
	return page_note(pages, slice_of(page, page_len), hash, ERROR_ACTION_REJECT, error) == 0
	               ? 1
	               : error->code;
}

static int frames_read(struct snapshot_pages *pages, enum snapshot_mode mode, struct error *error)
{
	uint8_t *page = malloc(SNAPSHOT_PAGE_BYTES_MAX);
	size_t len;
	int rc = 1;

	if (page == NULL)
		return error_memory(error, SNAPSHOT_PAGE_BYTES_MAX);
	while (rc == 1)
		rc = snapshot_pages_next(pages, page, &len, error);
	free(page);
	if (rc != ERROR_DAMAGED || mode == SNAPSHOT_MODE_CHECK)
		return rc;
	/* what a kill left half written */
	if (ftruncate(pages->fd, pages->sum.bytes) != 0)
		return disk_failed(pages->path, "cut it", errno, error);
	return 0;
}

static int pages_open(struct snapshot_pages *pages, const char *directory, const struct snapshot_row *row,
                      enum snapshot_mode mode, struct error *error)
{
	char name[SNAPSHOT_NAME_BYTES_MAX];
	int flags = mode == SNAPSHOT_MODE_CHECK ? O_RDONLY : O_RDWR | O_CREAT;

	*pages = (struct snapshot_pages){.fd = -1, .sum = {.hash = row->copy}};
	snapshot_name_print(row, "pages", name);
	if (path_set(pages->path, directory, name, error) != 0)
		return error->code;
	pages->fd = open(pages->path, flags | O_CLOEXEC, 0600);
	if (pages->fd < 0 && errno == ENOENT && mode == SNAPSHOT_MODE_CHECK)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_REJECT, "%.400s is not there",
		                 pages->path);
	return pages->fd < 0 ? disk_failed(pages->path, "open it", errno, error) : 0;
}

int snapshot_pages_begin(struct snapshot_pages *pages, const char *directory, const struct snapshot_row *row,
                         struct error *error)
{
	return pages_open(pages, directory, row, SNAPSHOT_MODE_CHECK, error);
}

int snapshot_pages_open(struct snapshot_pages *pages, const char *directory, const struct snapshot_row *row,
                        enum snapshot_mode mode, struct error *error)
{
	if (pages_open(pages, directory, row, mode, error) != 0)
		return error->code;
	if (frames_read(pages, mode, error) == 0)
		return 0;
	snapshot_pages_close(pages);
	return error->code;
}

int snapshot_pages_add(struct snapshot_pages *pages, struct slice page, struct error *error)
{
	uint64_t hash = hash64(page, pages->sum.hash);
	int64_t at = pages->sum.bytes;
	struct snapshot_pages before = *pages;
	uint8_t bytes[FRAME_BYTES];
	struct buffer frame = {.ptr = bytes, .size = sizeof bytes, .len_max = sizeof bytes};
	int rc;

	if (page.len > SNAPSHOT_PAGE_BYTES_MAX)
		return damaged(pages, ERROR_ACTION_RETRY, "is too long", error);
	if (page_note(pages, page, hash, ERROR_ACTION_RETRY, error) != 0)
		return error->code;
	buffer_put_u32(&frame, (uint32_t)page.len);
	buffer_put_u64(&frame, hash);
	rc = write_both(pages->fd, buffer_slice(&frame), page, at);
	/* its way to the disk begins while the next page is asked for; what it fails at, the sync says */
	if (rc == 0)
		(void)sync_file_range(pages->fd, at, (off_t)(FRAME_BYTES + page.len), SYNC_FILE_RANGE_WRITE);
	if (rc == 0)
		return 0;
	*pages = before;
	return disk_failed(pages->path, "write it", rc, error);
}

int snapshot_pages_sync(struct snapshot_pages *pages, struct error *error)
{
	int rc;

	if (fdatasync(pages->fd) == 0)
		return 0;
	rc = errno;
	/* the next sync would not fail for what this one has lost, which the page cache still shows */
	(void)unlink(pages->path);
	return disk_failed(pages->path, "sync it", rc, error);
}

void snapshot_pages_close(struct snapshot_pages *pages)
{
	if (pages->fd >= 0)
		(void)close(pages->fd);
	pages->fd = -1;
}
