#include "shard/core/known_pages.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct known_page {
	size_t len;
	uint8_t bytes[];
};

struct known_pages {
	size_t len;
	atomic_size_t bytes;
	_Atomic(struct known_page *) pages[]; /* NULL: never asked for */
};

/* Stands for a page that was asked for once. */
static struct known_page once;

/* By all segments. */
static atomic_size_t kept;

struct known_pages *known_pages_new(size_t len)
{
	struct known_pages *pages = malloc(sizeof *pages + len * sizeof pages->pages[0]);

	if (pages == NULL)
		return NULL;
	pages->len = len;
	atomic_init(&pages->bytes, 0);
	for (size_t i = 0; i < len; i++)
		atomic_init(&pages->pages[i], NULL);
	return pages;
}

void known_pages_free(struct known_pages *pages)
{
	if (pages == NULL)
		return;
	for (size_t i = 0; i < pages->len; i++) {
		struct known_page *page = atomic_load_explicit(&pages->pages[i], memory_order_acquire);

		if (page != &once)
			free(page);
	}
	atomic_fetch_sub_explicit(&kept, atomic_load_explicit(&pages->bytes, memory_order_relaxed),
	                          memory_order_relaxed);
	free(pages);
}

size_t known_pages_bytes(const struct known_pages *pages)
{
	return sizeof *pages + pages->len * sizeof pages->pages[0] +
	       atomic_load_explicit(&pages->bytes, memory_order_relaxed);
}

struct slice known_pages_find(const struct known_pages *pages, size_t page)
{
	const struct known_page *found =
		page < pages->len ? atomic_load_explicit(&pages->pages[page], memory_order_acquire) : NULL;

	return found == NULL || found == &once ? slice_of(NULL, 0) : slice_of(found->bytes, found->len);
}

/* Room for so many bytes more; what is taken and not used is given back. */
static bool room_take(struct known_pages *pages, size_t bytes)
{
	if (atomic_fetch_add_explicit(&kept, bytes, memory_order_relaxed) + bytes > KNOWN_PAGES_BYTES_MAX) {
		atomic_fetch_sub_explicit(&kept, bytes, memory_order_relaxed);
		return false;
	}
	atomic_fetch_add_explicit(&pages->bytes, bytes, memory_order_relaxed);
	return true;
}

static void room_give(struct known_pages *pages, size_t bytes)
{
	atomic_fetch_sub_explicit(&pages->bytes, bytes, memory_order_relaxed);
	atomic_fetch_sub_explicit(&kept, bytes, memory_order_relaxed);
}

void known_pages_asked(struct known_pages *pages, size_t page, struct slice bytes)
{
	struct known_page *found = NULL;
	struct known_page *made;
	size_t size = sizeof *made + bytes.len;

	if (page >= pages->len || bytes.len > KNOWN_PAGE_BYTES_MAX ||
	    atomic_compare_exchange_strong(&pages->pages[page], &found, &once) || found != &once ||
	    !room_take(pages, size))
		return;
	made = malloc(size);
	if (made != NULL) {
		made->len = bytes.len;
		if (bytes.len > 0)
			memcpy(made->bytes, bytes.ptr, bytes.len);
	}
	if (made != NULL && atomic_compare_exchange_strong(&pages->pages[page], &found, made))
		return;
	free(made); /* another thread was first */
	room_give(pages, size);
}
