/*
 * Search settings bed: settings as a node has them, from what a user sends.
 */
#ifndef MILLRACE_TESTS_UNIT_SEARCH_SETTINGS_BED_H
#define MILLRACE_TESTS_UNIT_SEARCH_SETTINGS_BED_H

#include "shard/core/search_settings.h"
#include "shared/base/assert.h"

/* The defaults, changed. */
static inline struct search_settings *search_settings_bed(const char *change, int64_t version)
{
	struct settings_request request = {.body = slice_string(change)};
	struct settings_refusal refusal;
	struct search_settings *settings;
	struct buffer record;
	struct error error;

	buffer_init(&record, SETTINGS_RECORD_BYTES_MAX);
	ASSERT(settings_change(settings_default(), &request, &record, &refusal) == 0);
	ASSERT(search_settings_new(version, buffer_slice(&record), &settings, &error) == 0);
	buffer_deinit(&record);
	return settings;
}

#endif
