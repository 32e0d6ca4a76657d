#include "shared/meta/settings_records.h"

#include "shared/meta/catalog_record.h"
#include "shared/settings/settings.h"

#include <inttypes.h>
#include <stdlib.h>

#define ENTRIES_SIZE_FIRST 8

/* ---- one record ---- */

static void record_deinit(struct settings_record *record)
{
	free((void *)(uintptr_t)record->settings.ptr); /* NOLINT(performance-no-int-to-ptr) */
}

static int malformed(struct error *error, const char *what)
{
	return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "member %s is missing or not valid", what);
}

/* The settings are the caller's. */
static int settings_take(yyjson_val *root, struct slice *settings, struct error *error)
{
	yyjson_val *object = yyjson_obj_get(root, "settings");
	struct buffer text;
	int status;

	if (!yyjson_is_obj(object))
		return malformed(error, "settings");
	buffer_init(&text, SIZE_MAX); /* not longer than the record */
	status = json_append_value(&text, object, error);
	if (status == 0 && text.len > SETTINGS_RECORD_BYTES_MAX)
		status = error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                   "settings of %zu bytes; at most %zu are allowed", text.len,
		                   SETTINGS_RECORD_BYTES_MAX);
	if (status == 0)
		settings->ptr = buffer_take(&text, &settings->len);
	buffer_deinit(&text);
	return status;
}

static int record_read(struct slice value, struct settings_record *record, struct error *error)
{
	struct settings_record out = {0};
	struct slice index;
	yyjson_val *root;
	yyjson_doc *doc;
	int status = meta_record_open(value, CATALOG_VERSION, &doc, error);

	if (status != 0)
		return status;
	root = yyjson_doc_get_root(doc);
	if (!json_get_string(root, "index", &index) || !index_id_parse(index, &out.index_id))
		status = malformed(error, "index");
	else if (!json_get_i64(root, "task", &out.task) || out.task < 0)
		status = malformed(error, "task");
	else if (!json_get_i64(root, "version", &out.version) || out.version < 0)
		status = malformed(error, "version");
	else
		status = settings_take(root, &out.settings, error);
	yyjson_doc_free(doc);
	if (status == 0)
		*record = out;
	return status;
}

void catalog_write_settings(struct buffer *value, const struct settings_record *record)
{
	char id[17];

	index_id_print(record->index_id, id);
	buffer_printf(value,
	              "{\"v\":%d,\"task\":%" PRId64 ",\"index\":\"%s\",\"version\":%" PRId64 ",\"settings\":",
	              CATALOG_VERSION, record->task, id, record->version);
	buffer_append_slice(value, record->settings);
	buffer_append_string(value, "}");
}

/* ---- all of them ---- */

void settings_records_deinit(struct settings_records *records)
{
	for (size_t i = 0; i < records->len; i++)
		for (size_t k = 0; k < SETTINGS_STAGES; k++)
			record_deinit(&records->entries[i].stages[k]);
	free(records->entries);
}

/* Where the index stands, or would. */
static size_t position(const struct settings_records *records, uint64_t index_id)
{
	size_t low = 0;
	size_t high = records->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (records->entries[middle].index_id < index_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct settings_entry *find(const struct settings_records *records, uint64_t index_id)
{
	size_t at = position(records, index_id);

	return at < records->len && records->entries[at].index_id == index_id ? &records->entries[at] : NULL;
}

/* The index's entry, made if there is none. */
static int reserve(struct settings_records *records, uint64_t index_id, struct settings_entry **entry,
                   struct error *error)
{
	size_t at = position(records, index_id);

	*entry = find(records, index_id);
	if (*entry != NULL)
		return 0;
	if (records->len == INDEXES_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "settings of more than %d indexes, deleted ones included", INDEXES_MAX);
	if (records->len == records->size) {
		size_t size = records->size ? 2 * records->size : ENTRIES_SIZE_FIRST;
		struct settings_entry *grown = realloc(records->entries, size * sizeof *grown);

		if (grown == NULL)
			return error_memory(error, size * sizeof *grown);
		records->entries = grown;
		records->size = size;
	}
	*entry = &records->entries[at];
	memmove(*entry + 1, *entry, (records->len - at) * sizeof **entry);
	**entry = (struct settings_entry){.index_id = index_id};
	records->len++;
	return 0;
}

int settings_records_apply(struct settings_records *records, uint64_t index_id, enum settings_stage stage,
                           struct slice value, struct error *error)
{
	struct settings_record record = {0};
	struct settings_entry *entry = NULL;
	int status = record_read(value, &record, error);

	if (status != 0)
		return status;
	if (record.index_id == index_id)
		status = reserve(records, index_id, &entry, error);
	else
		status = error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                   "member index is not the id in the record's key");
	if (status != 0) {
		record_deinit(&record);
		return status;
	}
	record_deinit(&entry->stages[stage]);
	entry->stages[stage] = record;
	return 0;
}

const struct settings_record *settings_records_find(const struct settings_records *records, uint64_t index_id,
                                                    enum settings_stage stage)
{
	const struct settings_entry *entry = find(records, index_id);

	return entry != NULL && entry->stages[stage].settings.ptr != NULL ? &entry->stages[stage] : NULL;
}

static bool record_copy(struct settings_record *to, const struct settings_record *from)
{
	uint8_t *text = NULL;

	if (from->settings.ptr != NULL) {
		text = malloc(from->settings.len);
		if (text == NULL)
			return false;
		memcpy(text, from->settings.ptr, from->settings.len);
	}
	*to = *from;
	to->settings.ptr = text;
	return true;
}

bool settings_records_copy(struct settings_records *to, const struct settings_records *from)
{
	struct error error;

	for (size_t i = 0; i < from->len; i++) {
		struct settings_entry *entry;

		if (reserve(to, from->entries[i].index_id, &entry, &error) != 0)
			return false;
		for (size_t k = 0; k < SETTINGS_STAGES; k++)
			if (!record_copy(&entry->stages[k], &from->entries[i].stages[k]))
				return false;
	}
	return true;
}
