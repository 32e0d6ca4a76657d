/*
 * Images: what a disk may hold when the power fails at some place of a trace.
 *
 * The state walks along the trace: of each file what is durable, what the
 * page cache holds, and the writes since the file's last sync. An image takes
 * what is durable and, of those writes, none, all, the first few, the first
 * few and a part of the next, any, or any of their sectors. A sector of
 * IMAGE_SECTOR bytes is written as a whole, as the page cache held it after
 * one of its writes. What a failed sync was to bring to the disk stays open for
 * ever, until it is written anew. New names come in order.
 *
 * Owner: one thread. Bounds: IMAGE_FILE_BYTES_MAX, IMAGE_PENDING_MAX.
 */
#ifndef MILLRACE_TESTS_CRASH_IMAGES_H
#define MILLRACE_TESTS_CRASH_IMAGES_H

#include "tests/crash/trace.h"

#include <stdbool.h>

#define IMAGE_SECTOR 512
#define IMAGE_FILE_BYTES_MAX (16U << 20)
#define IMAGE_PENDING_MAX 16384

struct dice;
struct image_state;

/* Which syncs are taken for such. */
enum image_syncs {
	IMAGE_SYNCS_ALL = 0,
	IMAGE_SYNCS_NO_FILES, /* fdatasync and fsync of a file do nothing */
	IMAGE_SYNCS_NO_WRITES /* O_DSYNC does nothing */
};

enum image_kind {
	IMAGE_NONE = 0,
	IMAGE_ALL,
	IMAGE_FIRST,
	IMAGE_TORN,
	IMAGE_WRITES,
	IMAGE_SECTORS,
	IMAGE_KINDS
};

struct image_state *image_state_new(const struct trace *trace, enum image_syncs syncs);
void image_state_free(struct image_state *state);
/* Up to and without event `at`; never back. */
void image_state_walk(struct image_state *state, size_t at);
/* Writes whose fate is open. */
size_t image_state_pending(const struct image_state *state);
int64_t image_state_stored(const struct image_state *state); /* reported last; INT64_MIN: nothing was */
int64_t image_state_storing(
	const struct image_state *state); /* the watermark may stand here; INT64_MIN as well */
/* Writes an image to an empty directory. False if the system refuses. */
bool image_write(struct image_state *state, enum image_kind kind, struct dice *dice, const char *directory);

#endif
