/*
 * View settings: the settings in force of every index of a snapshot, parsed.
 *
 * Parsed once for each version of an index's settings, by whoever publishes
 * snapshots; snapshots with the same text share it. Immutable once made: any
 * thread reads.
 */
#ifndef MILLRACE_QUERY_VIEW_SETTINGS_H
#define MILLRACE_QUERY_VIEW_SETTINGS_H

#include "shared/meta/catalog.h"
#include "shared/settings/settings.h"

struct index_settings {
	uint64_t index_id;
	int64_t version;                 /* -1: nobody set any */
	const struct settings *settings; /* NULL: a later version of Millrace wrote them */
};

struct view_settings;

/* `before` may be NULL. NULL when out of memory. */
struct view_settings *view_settings_new(const struct catalog *catalog, const struct view_settings *before);
void view_settings_free(struct view_settings *settings);
/* What it points to is valid until view_settings_free. */
struct index_settings view_settings_of(const struct view_settings *settings, uint64_t index_id);

#endif
