/*
 * Settings records: `settings/<id>` and `settings-next/<id>` of meta, folded.
 *
 * For each index the settings in force and those that replicas are being built
 * for. catalog.c alone keeps one of these and tells what it holds
 * (catalog_settings, catalog_settings_next); writing is
 * catalog_write_settings. What settings mean is not checked here (settings.h):
 * an object of at most SETTINGS_RECORD_BYTES_MAX bytes. Bound: INDEXES_MAX
 * indexes. Pure core. Owner: one thread.
 */
#ifndef MILLRACE_META_SETTINGS_RECORDS_H
#define MILLRACE_META_SETTINGS_RECORDS_H

#include "shared/meta/catalog.h"

/* In the order in which a change passes through them. */
enum settings_stage {
	SETTINGS_STAGE_NEXT = 0,
	SETTINGS_STAGE_IN_FORCE
};
#define SETTINGS_STAGES 2

/* Each owns its settings; NULL where there are none. */
struct settings_entry {
	uint64_t index_id;
	struct settings_record stages[SETTINGS_STAGES];
};

struct settings_records {
	struct settings_entry *entries; /* by rising index id */
	size_t len;
	size_t size;
};

void settings_records_deinit(struct settings_records *records);
/* What this record says takes the place of what was there. REJECT: malformed, of another version, too long, or of
 * one index too many; RETRY: no memory. Nothing has changed then. */
int settings_records_apply(struct settings_records *records, uint64_t index_id, enum settings_stage stage,
                           struct slice value, struct error *error);
/* NULL if there is none. Valid until the next settings_records_apply. */
const struct settings_record *settings_records_find(const struct settings_records *records, uint64_t index_id,
                                                    enum settings_stage stage);
/* Into an empty one; false when out of memory: `to` is to be deinitialised all the same. */
bool settings_records_copy(struct settings_records *to, const struct settings_records *from);

#endif
