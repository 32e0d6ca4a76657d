/*
 * Settings bed: settings from what a user sends.
 */
#ifndef MILLRACE_TESTS_UNIT_SETTINGS_BED_H
#define MILLRACE_TESTS_UNIT_SETTINGS_BED_H

#include "shared/base/assert.h"
#include "shared/settings/settings.h"

/* The defaults, changed. */
static inline const struct settings *settings_bed(const char *change, struct arena *arena)
{
	struct settings_request request = {.body = slice_string(change)};
	struct settings_refusal refusal;
	struct settings *settings;
	struct buffer record;
	struct error error;
	struct slice kept;

	buffer_init(&record, SIZE_MAX);
	ASSERT(settings_change(settings_default(), &request, &record, &refusal) == 0);
	ASSERT(arena_copy(arena, buffer_slice(&record), &kept));
	ASSERT(settings_parse(kept, arena, &settings, &error) == 0);
	buffer_deinit(&record);
	return settings;
}

#endif
