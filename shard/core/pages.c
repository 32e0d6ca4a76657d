#include "shard/core/pages.h"

#include "shared/base/assert.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <zstd.h>

/* The fastest that still halves JSON. */
#define LEVEL 1

/* Of about 100 KB each, for all threads. */
#define UNPACKERS_IDLE_MAX 8

struct page_packer {
	ZSTD_CCtx *context;
	struct buffer frame;
};

struct page_unpacker {
	ZSTD_DCtx *context;
	struct buffer page;
};

/* Contexts that nobody uses: making one costs ten times as much as unpacking a page. */
static _Atomic(ZSTD_DCtx *) idle[UNPACKERS_IDLE_MAX];

static ZSTD_DCtx *context_take(void)
{
	for (size_t i = 0; i < UNPACKERS_IDLE_MAX; i++) {
		ZSTD_DCtx *context = atomic_exchange(&idle[i], NULL);

		if (context != NULL)
			return context;
	}
	return ZSTD_createDCtx();
}

static void context_give(ZSTD_DCtx *context)
{
	for (size_t i = 0; i < UNPACKERS_IDLE_MAX; i++) {
		ZSTD_DCtx *none = NULL;

		if (atomic_compare_exchange_strong(&idle[i], &none, context))
			return;
	}
	ZSTD_freeDCtx(context);
}

struct page_packer *page_packer_new(void)
{
	struct page_packer *packer = calloc(1, sizeof *packer);

	if (packer == NULL)
		return NULL;
	buffer_init(&packer->frame, ZSTD_compressBound(PAGE_BYTES_MAX));
	packer->context = ZSTD_createCCtx();
	if (packer->context != NULL)
		return packer;
	page_packer_free(packer);
	return NULL;
}

void page_packer_free(struct page_packer *packer)
{
	if (packer == NULL)
		return;
	ZSTD_freeCCtx(packer->context);
	buffer_deinit(&packer->frame);
	free(packer);
}

int page_pack(struct page_packer *packer, struct slice page, struct slice *frame, struct error *error)
{
	size_t bound = ZSTD_compressBound(page.len);
	uint8_t *room;
	size_t len;

	ASSERT(page.len <= PAGE_BYTES_MAX);
	buffer_clear(&packer->frame);
	room = buffer_grow(&packer->frame, bound);
	if (room == NULL)
		return error_memory(error, bound);
	len = ZSTD_compressCCtx(packer->context, room, bound, page.ptr, page.len, LEVEL);
	if (ZSTD_isError(len)) /* the bound holds, so it has no memory */
		return error_memory(error, bound);
	*frame = slice_of(room, len);
	return 0;
}

struct page_unpacker *page_unpacker_new(void)
{
	struct page_unpacker *unpacker = calloc(1, sizeof *unpacker);

	if (unpacker == NULL)
		return NULL;
	buffer_init(&unpacker->page, PAGE_BYTES_MAX);
	unpacker->context = context_take();
	if (unpacker->context != NULL)
		return unpacker;
	page_unpacker_free(unpacker);
	return NULL;
}

void page_unpacker_free(struct page_unpacker *unpacker)
{
	if (unpacker == NULL)
		return;
	if (unpacker->context != NULL)
		context_give(unpacker->context);
	buffer_deinit(&unpacker->page);
	free(unpacker);
}

int page_unpack(struct page_unpacker *unpacker, struct slice frame, size_t len, struct slice *page,
                struct error *error)
{
	uint8_t *room;
	size_t found;

	buffer_clear(&unpacker->page);
	if (len > PAGE_BYTES_MAX || ZSTD_getFrameContentSize(frame.ptr, frame.len) != len)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "a page of %zu bytes is no frame of that length", len);
	room = buffer_grow(&unpacker->page, len);
	if (room == NULL)
		return error_memory(error, len);
	found = ZSTD_decompressDCtx(unpacker->context, room, len, frame.ptr, frame.len);
	if (found != len)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "a page of %zu bytes: %s", len,
		                 ZSTD_isError(found) ? ZSTD_getErrorName(found) : "it is shorter");
	*page = slice_of(room, len);
	return 0;
}
