/*
 * Values sources: the keys (values.h) of each segment of a snapshot, walked
 * range by range in one transaction. What snapshot_values.c,
 * snapshot_filter*.c and snapshot_facets.c share. Nobody else includes this.
 *
 * Sources stand by rising numbers of documents: those of disk segments, then
 * those of memory. One whose segment has no keys gives none. A source on disk
 * is opened when it is first looked at.
 *
 * Owner: one thread. Failure: ERROR_MEMORY, ERROR_STORAGE (RETRY),
 * ERROR_DAMAGED (FATAL).
 */
#ifndef MILLRACE_SHARD_CORE_VALUES_SOURCES_H
#define MILLRACE_SHARD_CORE_VALUES_SOURCES_H

#include "shard/core/reading.h"
#include "shard/core/snapshot_values.h"

/* The keys of one segment, and the next one of the range. */
struct value_source {
	const struct disk_segment *segment;  /* NULL: in memory */
	const struct dictionary *dictionary; /* in memory; NULL: no keys */
	const struct value_cover *cover;
	size_t at;
	struct section_reader *sections; /* on disk; NULL: not opened */
	struct terms_cursor cursor;
	struct term term;
	struct slice to; /* of the range, borrowed */
	bool has_key;
	struct slice key;
};

struct values_sources {
	struct kv_txn *txn; /* borrowed */
	struct value_source *list;
	size_t len;
	struct buffer joined;
};

/* Whatever it says, values_sources_deinit follows, before the transaction ends. */
int values_sources_init(struct values_sources *sources, const struct snapshot *snapshot, struct kv_txn *txn,
                        struct error *error);
void values_sources_deinit(struct values_sources *sources);
/* To the first key of a range, which is borrowed as long as the source walks it. */
int value_source_seek(struct values_sources *sources, struct value_source *source,
                      const struct value_range *range, struct error *error);
/* To the next key, if it is in the range. */
int value_source_next(struct value_source *source, struct error *error);
/* The documents of the key at hand, dead ones too; valid until the next list of any source. */
int value_source_list(struct values_sources *sources, struct value_source *source, struct posting_list *list,
                      struct error *error);

#endif
