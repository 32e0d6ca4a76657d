/*
 * Values sources: the keys (values.h) of each segment of a snapshot, walked
 * range by range in one transaction. What snapshot_values.c,
 * snapshot_filter*.c, snapshot_facets.c and snapshot_sort.c share. Nobody else includes this.
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
#include "shard/core/watch.h"

/* The keys of one segment, and the next one of the range. */
struct value_source {
	const struct disk_segment *segment;  /* NULL: in memory */
	const struct dictionary *dictionary; /* in memory; NULL: on disk, or no keys */
	struct dictionary *made;             /* from bodies, then it is the dictionary */
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
	struct value_source **heap; /* of a walk: those that have a key, the smallest first */
	size_t heap_len;
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

/* All sources together: each at its first key of a range; the one with the smallest key, NULL when none is left; and
 * that one to its next key. */
int values_sources_seek(struct values_sources *sources, const struct value_range *range, struct error *error);
struct value_source *values_sources_least(const struct values_sources *sources);
int values_sources_pass(struct values_sources *sources, struct error *error);

/* Adds the live documents of the i-th source. */
int values_sources_listed(const struct values_sources *sources, struct reading *reading, size_t i,
                          struct postings *numbers, struct error *error);

/* What values are asked for. */
struct values_wish {
	struct words *words;
	struct slice path;
	const struct postings *within; /* live documents; NULL: all */
	struct watch *watch;           /* NULL: it takes as long as it does */
};

/* The path's number, with keys for all documents of `within` in every source; adds to `bodies` those that were read for
 * it. Other attributes' keys are not to be asked for after it. Memory: the keys that are made. */
int values_sources_complete(struct values_sources *sources, struct reading *reading,
                            const struct values_wish *wish, uint16_t *number, uint64_t *bodies,
                            struct error *error);
/* All NUMBERs and STRINGs of an attribute. */
void value_range_scalars(struct value_range *range, uint16_t attribute);
/* All SPELLINGs of a value. */
void value_range_spellings(struct value_range *range, uint16_t attribute, struct slice folded);

#endif
