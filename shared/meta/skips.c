#include "shared/meta/skips.h"

#include "shared/meta/catalog_record.h"

#include <inttypes.h>
#include <stdlib.h>

#define SKIPS_SIZE_FIRST 8

void skips_deinit(struct skips *skips)
{
	for (size_t i = 0; i < skips->len; i++)
		free(skips->entries[i].offsets);
	free(skips->entries);
}

/* Where the shard stands, or would. */
static size_t position(const struct skips *skips, uint64_t index_id, int32_t partition)
{
	size_t low = 0;
	size_t high = skips->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct skip_entry *entry = &skips->entries[middle];

		if (entry->index_id < index_id ||
		    (entry->index_id == index_id && entry->partition < partition))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct skip_entry *find(const struct skips *skips, uint64_t index_id, int32_t partition)
{
	size_t at = position(skips, index_id, partition);

	if (at == skips->len || skips->entries[at].index_id != index_id ||
	    skips->entries[at].partition != partition)
		return NULL;
	return &skips->entries[at];
}

/* Takes entry->offsets on success. */
static bool store(struct skips *skips, const struct skip_entry *entry)
{
	struct skip_entry *known = find(skips, entry->index_id, entry->partition);
	size_t at = position(skips, entry->index_id, entry->partition);

	if (known != NULL) {
		free(known->offsets);
		*known = *entry;
		return true;
	}
	if (skips->len == skips->size) {
		size_t size = skips->size ? 2 * skips->size : SKIPS_SIZE_FIRST;
		struct skip_entry *grown = realloc(skips->entries, size * sizeof *grown);

		if (grown == NULL)
			return false;
		skips->entries = grown;
		skips->size = size;
	}
	memmove(&skips->entries[at + 1], &skips->entries[at], (skips->len - at) * sizeof *skips->entries);
	skips->entries[at] = *entry;
	skips->len++;
	return true;
}

static int malformed(struct error *error, const char *what)
{
	return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "member %s is missing or not valid", what);
}

static int offsets_read(yyjson_val *root, struct skip_entry *entry, struct error *error)
{
	yyjson_val *array = yyjson_obj_get(root, "offsets");
	size_t i, len;
	yyjson_val *value;
	int64_t before = -1;
	int64_t task;

	if (!json_get_i64(root, "task", &task) || task < 0)
		return malformed(error, "task");
	entry->len = yyjson_arr_size(array);
	if (!yyjson_is_arr(array) || entry->len == 0 || entry->len > SKIPS_MAX)
		return malformed(error, "offsets");
	entry->offsets = calloc(entry->len, sizeof *entry->offsets);
	if (entry->offsets == NULL)
		return error_memory(error, entry->len * sizeof *entry->offsets);
	yyjson_arr_foreach(array, i, len, value)
	{
		entry->offsets[i] = yyjson_is_int(value) ? yyjson_get_sint(value) : -1;
		if (entry->offsets[i] <= before) {
			free(entry->offsets);
			return malformed(error, "offsets (they must rise)");
		}
		before = entry->offsets[i];
	}
	return 0;
}

int skips_apply(struct skips *skips, uint64_t index_id, int32_t partition, struct slice value,
                struct error *error)
{
	struct skip_entry entry = {.index_id = index_id, .partition = partition};
	yyjson_doc *doc;
	int status = meta_record_open(value, CATALOG_VERSION, &doc, error);

	if (status != 0)
		return status;
	status = offsets_read(yyjson_doc_get_root(doc), &entry, error);
	yyjson_doc_free(doc);
	if (status == 0 && !store(skips, &entry)) {
		free(entry.offsets);
		status = error_memory(error, sizeof entry);
	}
	return status;
}

const int64_t *skips_find(const struct skips *skips, uint64_t index_id, int32_t partition, size_t *len)
{
	const struct skip_entry *entry = find(skips, index_id, partition);

	*len = entry == NULL ? 0 : entry->len;
	return entry == NULL ? NULL : entry->offsets;
}

bool skips_copy(struct skips *to, const struct skips *from)
{
	for (size_t i = 0; i < from->len; i++) {
		struct skip_entry entry = from->entries[i];

		entry.offsets = malloc(entry.len * sizeof *entry.offsets);
		if (entry.offsets == NULL)
			return false;
		memcpy(entry.offsets, from->entries[i].offsets, entry.len * sizeof *entry.offsets);
		if (!store(to, &entry)) {
			free(entry.offsets);
			return false;
		}
	}
	return true;
}

void catalog_write_skips(struct buffer *value, int64_t task, const int64_t *offsets, size_t len)
{
	buffer_printf(value, "{\"v\":%d,\"task\":%" PRId64 ",\"offsets\":[", CATALOG_VERSION, task);
	for (size_t i = 0; i < len; i++)
		buffer_printf(value, "%s%" PRId64, i == 0 ? "" : ",", offsets[i]);
	buffer_append_string(value, "]}");
}
