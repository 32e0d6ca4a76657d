/*
 * Views: the disk segments of one manifest in one transaction.
 *
 * A view of a segment is opened when it is first needed, so that a read that
 * finds what it wants in memory or in the newest segment pays for nothing
 * else. The manifest may be older than the transaction: chunks of segments
 * that it lists stay until no manifest that a reader holds lists them.
 *
 * The manifest is borrowed and does not change meanwhile; everything ends
 * before the transaction. One thread. Failure: as in disk_segment.h.
 */
#ifndef MILLRACE_SHARD_CORE_VIEWS_H
#define MILLRACE_SHARD_CORE_VIEWS_H

#include "shard/core/manifest.h"

struct views {
	struct kv_txn *txn;
	const struct manifest *manifest;
	struct disk_view *opened[MANIFEST_SEGMENTS_MAX]; /* NULL: not yet */
};

void views_init(struct views *views, struct kv_txn *txn, const struct manifest *manifest);
void views_deinit(struct views *views);
/* Of the manifest's i-th segment. */
int views_at(struct views *views, size_t i, struct disk_view **view, struct error *error);
/* The entry of an id with the highest number, in whichever segment lists it; a dead one is found too: then every
 * other of the id is dead as well. ERROR_NOT_FOUND. */
int views_find(struct views *views, struct slice id, struct disk_entry *entry, struct disk_view **view,
               struct error *error);
/* The entry of a number; ERROR_NOT_FOUND if no segment lists it. */
int views_number(struct views *views, uint64_t number, struct disk_entry *entry, struct disk_view **view,
                 struct error *error);

#endif
