#include "shard/extent.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool extent_find(struct extent *extent, const void *inside, size_t page_bytes)
{
	uintptr_t page = (uintptr_t)inside - (uintptr_t)inside % page_bytes;
	uint8_t in_file[EXTENT_PAGE_BYTES_MAX];
	uint64_t number;

	if (page_bytes > sizeof in_file)
		return false;
	memcpy(&number, (const void *)page, sizeof number);
	if (number >= extent->map_bytes / page_bytes ||
	    pread(extent->fd, in_file, page_bytes, (off_t)(number * page_bytes)) != (ssize_t)page_bytes ||
	    memcmp(in_file, (const void *)page, page_bytes) != 0)
		return false;
	extent->base = page - number * page_bytes;
	atomic_store(&extent->file_bytes, 0);
	return true;
}

static bool is_behind(struct extent *extent, size_t end)
{
	struct stat status;

	if (end <= atomic_load_explicit(&extent->file_bytes, memory_order_relaxed))
		return true;
	if (fstat(extent->fd, &status) != 0)
		return false;
	atomic_store_explicit(&extent->file_bytes, (size_t)status.st_size, memory_order_relaxed);
	return end <= (size_t)status.st_size;
}

bool extent_holds(struct extent *extent, struct slice bytes)
{
	size_t at = (uintptr_t)bytes.ptr - extent->base; /* below the base: larger than any map */

	if (at >= extent->map_bytes)
		return true;
	return bytes.len <= extent->map_bytes - at && is_behind(extent, at + bytes.len);
}
