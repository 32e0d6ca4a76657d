/* Which sources there are: the records of meta, compared with what is followed. */
#include "ingest/import_private.h"

#include "shared/base/assert.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FOLLOW_RECORDS_MAX 500
#define ARENA_BLOCK_BYTES 16384

static void apply(struct import *import, const struct record *record)
{
	struct error error;

	if (catalog_apply(import->catalog, CATALOG_TOPIC_META, record->offset, record->key, record->value,
	                  &error) != 0)
		logline(LOG_LEVEL_WARN, "import_meta_unreadable", "offset=%" PRId64 " error=\"%s\"",
		        record->offset, error.text);
	import->catalog_changed = true;
}

int import_follow(struct import *import, struct error *error)
{
	for (size_t i = 0; i < FOLLOW_RECORDS_MAX; i++) {
		enum log_event event;
		struct record record;
		size_t topic;
		int rc = log_reader_next(import->reader, 0, &event, &topic, &record, error);

		if (rc != 0)
			return rc;
		if (event == LOG_EVENT_NONE) {
			import->reader_more = false;
			return 0;
		}
		if (event == LOG_EVENT_END)
			import->caught_up = import->catalog_changed = true;
		else
			apply(import, &record);
	}
	return 0;
}

/* ---- comparing ---- */

static struct import_source *find(struct import *import, uint64_t index_id,
                                  const struct source_record *record)
{
	for (size_t i = 0; i < IMPORT_SOURCES_MAX; i++) {
		struct import_source *source = &import->sources[i];

		if (source->used && source->index_id == index_id && source->record.life == record->life &&
		    strcmp(source->record.name, record->name) == 0)
			return source;
	}
	return NULL;
}

static struct import_source *unused(struct import *import)
{
	for (size_t i = 0; i < IMPORT_SOURCES_MAX; i++)
		if (!import->sources[i].used)
			return &import->sources[i];
	return NULL;
}

static void add(struct import *import, const struct index_record *index, const struct source_record *record)
{
	struct import_source *source = unused(import);
	struct error error;

	if (source == NULL) {
		logline(LOG_LEVEL_ERROR, "source_not_followed",
		        "index=%s source=\"%s\" reason=\"more than %d sources\"", index->uid, record->name,
		        IMPORT_SOURCES_MAX);
		return;
	}
	*source = (struct import_source){.used = true,
	                                 .recorded = true,
	                                 .import = import,
	                                 .record = *record,
	                                 .index_id = index->id,
	                                 .partitions = index->partitions,
	                                 .partitioner = index->partitioner,
	                                 .limits = index->rules};
	memcpy(source->uid, index->uid, sizeof source->uid);
	memcpy(source->topic, index->topic, sizeof source->topic);
	arena_init(&source->arena, ARENA_BLOCK_BYTES);
	if (mapping_parse(record->rules, &source->limits, &source->arena, &source->mapping, &error) != 0)
		(void)snprintf(source->trouble, sizeof source->trouble, "its rules cannot be read: %.450s",
		               error.text);
	source->record.rules = slice_of(NULL, 0);
	import_metrics_source(source);
	logline(LOG_LEVEL_INFO, "source_followed", "index=%s source=\"%s\" life=%" PRIu32 " paused=%s",
	        source->uid, record->name, record->life, record->paused ? "true" : "false");
}

static void update(struct import_source *source, const struct source_record *record)
{
	source->recorded = true;
	if (record->paused == source->record.paused)
		return;
	source->record.paused = record->paused;
	logline(LOG_LEVEL_INFO, record->paused ? "source_paused" : "source_resumed", "index=%s source=\"%s\"",
	        source->uid, record->name);
	if (record->paused) {
		import_source_commit(source);
		import_source_shut(source);
	}
}

static void compare_index(struct import *import, const struct index_record *index)
{
	for (size_t i = 0; index->state == INDEX_STATE_ACTIVE && i < index->sources_len; i++) {
		const struct source_record *record = &index->sources[i];
		struct import_source *source = find(import, index->id, record);

		if (source != NULL)
			update(source, record);
		else
			add(import, index, record);
	}
}

static void drop(struct import_source *source)
{
	logline(LOG_LEVEL_INFO, "source_left", "index=%s source=\"%s\" life=%" PRIu32, source->uid,
	        source->record.name, source->record.life);
	import_source_commit(source);
	import_source_shut(source);
	import_metrics_end(source);
	arena_deinit(&source->arena);
	*source = (struct import_source){0};
}

void import_compare(struct import *import)
{
	const struct index_record *index;
	size_t at = 0;

	if (!import->caught_up || !import->catalog_changed)
		return;
	import->catalog_changed = false;
	for (size_t i = 0; i < IMPORT_SOURCES_MAX; i++)
		import->sources[i].recorded = false;
	/* a new life begins after the old one has ended, or finds no room */
	while ((index = catalog_next_index(import->catalog, &at)) != NULL)
		for (size_t i = 0; index->state == INDEX_STATE_ACTIVE && i < index->sources_len; i++) {
			struct import_source *source = find(import, index->id, &index->sources[i]);

			if (source != NULL)
				source->recorded = true;
		}
	for (size_t i = 0; i < IMPORT_SOURCES_MAX; i++)
		if (import->sources[i].used && !import->sources[i].recorded)
			drop(&import->sources[i]);
	at = 0;
	while ((index = catalog_next_index(import->catalog, &at)) != NULL)
		compare_index(import, index);
}
