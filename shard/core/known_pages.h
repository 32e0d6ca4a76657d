/*
 * Known pages: of the pages of one disk segment's documents those, unpacked,
 * of which searches have shown documents more than once. Unpacking those of
 * its hits is a tenth of what a search takes.
 *
 * At most KNOWN_PAGES_BYTES_MAX are kept by all segments of the process, of
 * what comes first; a page that is asked for once is not. A segment's pages
 * never change, and go with it.
 *
 * Any thread. Failure: without memory nothing is kept.
 */
#ifndef MILLRACE_SHARD_CORE_KNOWN_PAGES_H
#define MILLRACE_SHARD_CORE_KNOWN_PAGES_H

#include "shared/base/slice.h"

#define KNOWN_PAGES_BYTES_MAX (64U << 20)
/* Of one page; larger ones are single documents. */
#define KNOWN_PAGE_BYTES_MAX (64U << 10)

struct known_pages;

/* For pages below `len`. NULL: out of memory. */
struct known_pages *known_pages_new(size_t len);
/* NULL: nothing happens. */
void known_pages_free(struct known_pages *pages);
/* Memory held. */
size_t known_pages_bytes(const struct known_pages *pages);

/* Valid as long as `pages` is. ptr NULL: it is not kept. */
struct slice known_pages_find(const struct known_pages *pages, size_t page);
/* The page, which was not found, has been asked for. */
void known_pages_asked(struct known_pages *pages, size_t page, struct slice bytes);

#endif
