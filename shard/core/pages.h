/*
 * Pages: runs of bytes, compressed (zstd, one frame a page). This module alone
 * includes zstd.h.
 *
 * What a page compresses to depends on its bytes and the library's version
 * only. Unpacking trusts no byte: what is no frame of exactly the length that
 * is asked for is ERROR_DAMAGED (FATAL). A packer or unpacker keeps its memory
 * (about 200 KB) from call to call; some of what unpackers leave is kept for
 * the next ones, whoever makes them. One thread each.
 */
#ifndef MILLRACE_SHARD_CORE_PAGES_H
#define MILLRACE_SHARD_CORE_PAGES_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"

/* Bytes of one page, unpacked. */
#define PAGE_BYTES_MAX (64U * 1024 * 1024)

struct page_packer;
struct page_unpacker;

/* NULL when out of memory. */
struct page_packer *page_packer_new(void);
void page_packer_free(struct page_packer *packer);
/* The frame is valid until the next call. */
int page_pack(struct page_packer *packer, struct slice page, struct slice *frame, struct error *error);

struct page_unpacker *page_unpacker_new(void);
void page_unpacker_free(struct page_unpacker *unpacker);
/* `len` bytes; valid until the next call. */
int page_unpack(struct page_unpacker *unpacker, struct slice frame, size_t len, struct slice *page,
                struct error *error);

#endif
