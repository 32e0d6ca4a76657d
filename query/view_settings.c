#include "query/view_settings.h"

#include "shared/runtime/logline.h"

#include <stdatomic.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES 4096

struct entry {
	struct index_settings open; /* first: what users see is this */
	struct slice text;
	struct arena arena;
	atomic_int holders;
};

struct view_settings {
	struct entry **entries; /* by rising index id */
	size_t len;
};

static int compare_entries(const void *left, const void *right)
{
	uint64_t a = (*(struct entry *const *)left)->open.index_id;
	uint64_t b = (*(struct entry *const *)right)->open.index_id;

	return (a > b) - (a < b);
}

static struct entry *entry_find(const struct view_settings *settings, uint64_t index_id)
{
	struct entry key = {.open = {.index_id = index_id}};
	struct entry *wanted = &key;
	struct entry **found;

	if (settings == NULL || settings->len == 0)
		return NULL;
	found = bsearch(&wanted, settings->entries, settings->len, sizeof(struct entry *), compare_entries);
	return found != NULL ? *found : NULL;
}

static void entry_release(struct entry *entry)
{
	if (atomic_fetch_sub(&entry->holders, 1) > 1)
		return;
	arena_deinit(&entry->arena);
	free(entry);
}

/* NULL when out of memory. */
static struct entry *entry_new(const struct settings_record *record)
{
	struct entry *entry = calloc(1, sizeof *entry);
	struct settings *parsed = NULL;
	struct error error;

	if (entry == NULL)
		return NULL;
	atomic_init(&entry->holders, 1);
	arena_init(&entry->arena, ARENA_BLOCK_BYTES);
	if (!arena_copy(&entry->arena, record->settings, &entry->text)) {
		entry_release(entry);
		return NULL;
	}
	if (settings_parse(entry->text, &entry->arena, &parsed, &error) < 0) {
		if (error.code == ERROR_MEMORY) {
			entry_release(entry);
			return NULL;
		}
		logline(LOG_LEVEL_ERROR, "settings_unreadable", "index=%016llx version=%lld error=\"%s\"",
		        (unsigned long long)record->index_id, (long long)record->version, error.text);
	}
	entry->open = (struct index_settings){record->index_id, record->version, parsed};
	return entry;
}

/* What was parsed before, or anew. */
static struct entry *entry_take(const struct settings_record *record, const struct view_settings *before)
{
	struct entry *entry = entry_find(before, record->index_id);

	if (entry == NULL || entry->open.version != record->version ||
	    !slice_equal(entry->text, record->settings))
		return entry_new(record);
	atomic_fetch_add(&entry->holders, 1);
	return entry;
}

struct view_settings *view_settings_new(const struct catalog *catalog, const struct view_settings *before)
{
	struct view_settings *settings = calloc(1, sizeof *settings);
	const struct index_record *index;
	size_t most = 0;

	if (settings == NULL)
		return NULL;
	for (size_t at = 0; catalog_next_index(catalog, &at) != NULL;)
		most++;
	settings->entries = calloc(most + 1, sizeof(struct entry *));
	for (size_t at = 0;
	     settings->entries != NULL && (index = catalog_next_index(catalog, &at)) != NULL;) {
		const struct settings_record *record = catalog_settings(catalog, index->id);
		struct entry *entry;

		if (record == NULL)
			continue;
		entry = entry_take(record, before);
		if (entry == NULL) {
			view_settings_free(settings);
			return NULL;
		}
		settings->entries[settings->len++] = entry;
	}
	if (settings->entries == NULL) {
		free(settings);
		return NULL;
	}
	if (settings->len > 1)
		qsort(settings->entries, settings->len, sizeof(struct entry *), compare_entries);
	return settings;
}

void view_settings_free(struct view_settings *settings)
{
	if (settings == NULL)
		return;
	for (size_t i = 0; i < settings->len; i++)
		entry_release(settings->entries[i]);
	free(settings->entries);
	free(settings);
}

struct index_settings view_settings_of(const struct view_settings *settings, uint64_t index_id)
{
	const struct entry *entry = entry_find(settings, index_id);

	return entry != NULL ? entry->open : (struct index_settings){index_id, -1, settings_default()};
}
