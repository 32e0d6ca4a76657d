/*
 * Notes: the identities and origins of one range, as they came, until a store
 * has put them on disk. A segment has a list of them, of its ranges in order.
 *
 * Immutable but for `next`; a store job on another thread reads those of its
 * frozen segments. Owner: the segment.
 */
#ifndef MILLRACE_SHARD_CORE_NOTES_H
#define MILLRACE_SHARD_CORE_NOTES_H

#include "shared/record/batch.h"

struct notes {
	struct notes *next;
	int64_t from;       /* what stands below was known before the range came */
	struct range range; /* its lists are the notes' own */
	size_t bytes;       /* all memory of it */
	uint8_t lists[];
};

/* Without the identities if none are kept; then, and if the range has none, maybe without anything in it. NULL when
 * out of memory. */
struct notes *notes_new(const struct range *range, int64_t from, bool identities);
/* The whole list; NULL does nothing. */
void notes_free(struct notes *notes);
/* Walk one range's; start with *at = 0, by rising offset; false at the end. */
bool notes_next_identity(const struct notes *notes, size_t *at, struct identity_entry *entry);
bool notes_next_origin(const struct notes *notes, size_t *at, struct origin_entry *entry);

#endif
