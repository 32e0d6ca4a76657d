/*
 * Skips: the records `skip/<id>/<p>` of meta, folded.
 *
 * For each shard the offsets of its log that every feeder skips. catalog.c
 * alone keeps one of these and tells what it holds (catalog_skips); writing is
 * catalog_write_skips. Bound: SKIPS_MAX offsets a shard. Pure core. Owner: one
 * thread.
 */
#ifndef MILLRACE_META_SKIPS_H
#define MILLRACE_META_SKIPS_H

#include "shared/meta/catalog.h"

struct skip_entry {
	uint64_t index_id;
	int32_t partition;
	size_t len;
	int64_t *offsets; /* [len], rising */
};

struct skips {
	struct skip_entry *entries; /* by rising index id, then partition */
	size_t len;
	size_t size;
};

void skips_deinit(struct skips *skips);
/* What this record says takes the place of what was there. REJECT: malformed or of another version; RETRY: no
 * memory. Nothing has changed then. */
int skips_apply(struct skips *skips, uint64_t index_id, int32_t partition, struct slice value,
                struct error *error);
/* NULL and 0 if there are none. Valid until the next skips_apply. */
const int64_t *skips_find(const struct skips *skips, uint64_t index_id, int32_t partition, size_t *len);
/* Into an empty one; false when out of memory: `to` is to be deinitialised all the same. */
bool skips_copy(struct skips *to, const struct skips *from);

#endif
