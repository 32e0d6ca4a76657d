#include "shared/meta/catalog.h"

#include "shared/base/map.h"
#include "shared/meta/catalog_record.h"
#include "shared/meta/settings_records.h"
#include "shared/meta/skips.h"
#include "shared/meta/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_BYTES_MAX 64
#define UNREADABLE_MAX 4096
#define SHARD_KEY_BYTES (sizeof(uint64_t) + sizeof(int32_t))

struct shard_entry {
	uint8_t key[SHARD_KEY_BYTES]; /* borrowed by the map */
	struct shard_record record;
};

/* A record whose latest value could not be read. */
struct unreadable {
	char key[KEY_BYTES_MAX];
	uint64_t index_id; /* 0 for `names` and `cluster` */
	char reason[256];
};

struct catalog {
	struct index_record *indexes; /* by rising id */
	size_t indexes_len;
	size_t indexes_size;
	struct catalog_names names;
	struct map shards; /* SHARD_KEY_BYTES → struct shard_entry */
	struct skips skips;
	struct settings_records settings;
	struct cluster_record cluster;
	bool has_cluster;
	struct unreadable *unreadable;
	size_t unreadable_len;
};

struct catalog *catalog_new(void)
{
	struct catalog *catalog = calloc(1, sizeof *catalog);

	if (catalog == NULL)
		return NULL;
	map_init(&catalog->shards);
	catalog->names.task = -1;
	return catalog;
}

void catalog_free(struct catalog *catalog)
{
	const struct map_entry *entry;
	size_t at = 0;

	if (catalog == NULL)
		return;
	for (size_t i = 0; i < catalog->indexes_len; i++)
		index_record_deinit(&catalog->indexes[i]);
	skips_deinit(&catalog->skips);
	settings_records_deinit(&catalog->settings);
	while ((entry = map_next(&catalog->shards, &at)) != NULL)
		free((void *)(uintptr_t)entry->value); /* NOLINT(performance-no-int-to-ptr) */
	map_deinit(&catalog->shards);
	free(catalog->indexes);
	free(catalog->names.names);
	free(catalog->unreadable);
	free(catalog);
}

/* ---- indexes ---- */

/* Where the index with this id stands, or would. */
static size_t index_position(const struct catalog *catalog, uint64_t id)
{
	size_t low = 0;
	size_t high = catalog->indexes_len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (catalog->indexes[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool indexes_reserve(struct catalog *catalog)
{
	size_t size = catalog->indexes_size ? catalog->indexes_size * 2 : 16;
	struct index_record *indexes;

	if (catalog->indexes_len < catalog->indexes_size)
		return true;
	indexes = realloc(catalog->indexes, size * sizeof *indexes);
	if (indexes == NULL)
		return false;
	catalog->indexes = indexes;
	catalog->indexes_size = size;
	return true;
}

/* Takes what `index` owns on success. */
static int index_store(struct catalog *catalog, const struct index_record *index, struct error *error)
{
	size_t at = index_position(catalog, index->id);

	if (at < catalog->indexes_len && catalog->indexes[at].id == index->id) {
		index_record_deinit(&catalog->indexes[at]);
		catalog->indexes[at] = *index;
		return 0;
	}
	if (catalog->indexes_len == INDEXES_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "more than %d indexes, deleted ones included", INDEXES_MAX);
	if (!indexes_reserve(catalog))
		return error_memory(error, catalog->indexes_size * 2 * sizeof *index);
	memmove(&catalog->indexes[at + 1], &catalog->indexes[at],
	        (catalog->indexes_len - at) * sizeof *catalog->indexes);
	catalog->indexes[at] = *index;
	catalog->indexes_len++;
	return 0;
}

static int index_apply(struct catalog *catalog, uint64_t id, struct slice value, struct error *error)
{
	struct index_record index;
	int status = index_record_read(value, &index, error);

	if (status != 0)
		return status;
	if (index.id == id)
		status = index_store(catalog, &index, error);
	else
		status = error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                   "member id is not the id in the record's key");
	if (status != 0)
		index_record_deinit(&index);
	return status;
}

/* ---- shards ---- */

static void shard_key(uint8_t key[SHARD_KEY_BYTES], uint64_t index_id, int32_t partition)
{
	memcpy(key, &index_id, sizeof index_id);
	memcpy(key + sizeof index_id, &partition, sizeof partition);
}

static struct shard_entry *shard_find(const struct catalog *catalog, uint64_t index_id, int32_t partition)
{
	uint8_t key[SHARD_KEY_BYTES];
	uint64_t *value;

	shard_key(key, index_id, partition);
	value = map_get(&catalog->shards, slice_of(key, sizeof key));
	return value == NULL
	               ? NULL
	               : (struct shard_entry *)(uintptr_t)*value; /* NOLINT(performance-no-int-to-ptr) */
}

static int shard_store(struct catalog *catalog, const struct shard_record *shard, struct error *error)
{
	struct shard_entry *entry = shard_find(catalog, shard->index_id, shard->partition);

	if (entry != NULL) {
		entry->record = *shard;
		return 0;
	}
	entry = malloc(sizeof *entry);
	if (entry == NULL)
		return error_memory(error, sizeof *entry);
	entry->record = *shard;
	shard_key(entry->key, shard->index_id, shard->partition);
	if (!map_put(&catalog->shards, slice_of(entry->key, sizeof entry->key), (uint64_t)(uintptr_t)entry)) {
		free(entry);
		return error_memory(error, sizeof *entry);
	}
	return 0;
}

static int shard_apply(struct catalog *catalog, uint64_t id, int32_t partition, struct slice value,
                       struct error *error)
{
	struct shard_record shard;
	int status = shard_record_read(value, &shard, error);

	if (status != 0)
		return status;
	if (shard.index_id != id || shard.partition != partition)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "members index and partition are not those of the record's key");
	return shard_store(catalog, &shard, error);
}

/* ---- names and cluster ---- */

static int names_apply(struct catalog *catalog, struct slice value, struct error *error)
{
	struct catalog_names names;
	int status = names_record_read(value, &names, error);

	if (status != 0)
		return status;
	free(catalog->names.names);
	catalog->names = names;
	return 0;
}

static int cluster_apply(struct catalog *catalog, struct slice value, struct error *error)
{
	int status = cluster_record_read(value, &catalog->cluster, error);

	if (status == 0)
		catalog->has_cluster = true;
	return status;
}

/* ---- keys ---- */

enum key_kind {
	KEY_KIND_UNKNOWN = 0,
	KEY_KIND_NAMES,
	KEY_KIND_INDEX,
	KEY_KIND_SKIP,
	KEY_KIND_SETTINGS,
	KEY_KIND_SETTINGS_NEXT,
	KEY_KIND_CLUSTER,
	KEY_KIND_SHARD
};

struct key {
	enum key_kind kind;
	uint64_t index_id;
	int32_t partition;
};

static bool partition_parse(struct slice text, int32_t *partition)
{
	int32_t value = 0;

	if (text.len == 0 || text.len > 4)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		value = value * 10 + (text.ptr[i] - '0');
	}
	*partition = value;
	return value < INDEX_PARTITIONS_MAX;
}

/* `prefix`, an index id, a slash and a partition. */
static bool shard_name_parse(struct slice text, struct slice prefix, struct key *key)
{
	return slice_starts_with(text, prefix) && text.len > prefix.len + 17 &&
	       text.ptr[prefix.len + 16] == '/' &&
	       index_id_parse(slice_of(text.ptr + prefix.len, 16), &key->index_id) &&
	       partition_parse(slice_of(text.ptr + prefix.len + 17, text.len - prefix.len - 17),
	                       &key->partition);
}

/* `prefix` and an index id. */
static bool index_name_parse(struct slice text, struct slice prefix, struct key *key)
{
	return slice_starts_with(text, prefix) &&
	       index_id_parse(slice_of(text.ptr + prefix.len, text.len - prefix.len), &key->index_id);
}

static struct key key_parse(enum catalog_topic topic, struct slice text)
{
	struct key key = {0};

	if (topic == CATALOG_TOPIC_META && slice_equal(text, slice_string("names")))
		key.kind = KEY_KIND_NAMES;
	else if (topic == CATALOG_TOPIC_TOPOLOGY && slice_equal(text, slice_string("cluster")))
		key.kind = KEY_KIND_CLUSTER;
	else if (topic == CATALOG_TOPIC_META && index_name_parse(text, slice_string("index/"), &key))
		key.kind = KEY_KIND_INDEX;
	else if (topic == CATALOG_TOPIC_META && index_name_parse(text, slice_string("settings/"), &key))
		key.kind = KEY_KIND_SETTINGS;
	else if (topic == CATALOG_TOPIC_META && index_name_parse(text, slice_string("settings-next/"), &key))
		key.kind = KEY_KIND_SETTINGS_NEXT;
	else if (topic == CATALOG_TOPIC_META && shard_name_parse(text, slice_string("skip/"), &key))
		key.kind = KEY_KIND_SKIP;
	else if (topic == CATALOG_TOPIC_TOPOLOGY && shard_name_parse(text, slice_string("shard/"), &key))
		key.kind = KEY_KIND_SHARD;
	return key;
}

/* ---- unreadable records ---- */

static void unreadable_forget(struct catalog *catalog, struct slice key)
{
	for (size_t i = 0; i < catalog->unreadable_len; i++)
		if (slice_equal(slice_string(catalog->unreadable[i].key), key)) {
			catalog->unreadable[i] = catalog->unreadable[--catalog->unreadable_len];
			return;
		}
}

static void unreadable_remember(struct catalog *catalog, struct slice key, uint64_t index_id,
                                const char *reason)
{
	struct unreadable *grown;
	struct unreadable *entry;

	unreadable_forget(catalog, key);
	if (catalog->unreadable_len == UNREADABLE_MAX)
		return;
	grown = realloc(catalog->unreadable, (catalog->unreadable_len + 1) * sizeof *grown);
	if (grown == NULL)
		return; /* the caller has the error itself */
	catalog->unreadable = grown;
	entry = &grown[catalog->unreadable_len++];
	*entry = (struct unreadable){.index_id = index_id};
	(void)snprintf(entry->key, sizeof entry->key, "%.*s", SLICE_ARGS(key));
	(void)snprintf(entry->reason, sizeof entry->reason, "%.255s", reason);
}

const char *catalog_unreadable(const struct catalog *catalog, uint64_t index_id)
{
	for (size_t i = 0; i < catalog->unreadable_len; i++)
		if (catalog->unreadable[i].index_id == index_id)
			return catalog->unreadable[i].reason;
	return NULL;
}

/* ---- records ---- */

int catalog_apply(struct catalog *catalog, enum catalog_topic topic, int64_t offset, struct slice key,
                  struct slice value, struct error *error)
{
	struct key parsed = key_parse(topic, key);
	int status = 0;

	if (value.len == 0) /* a tombstone is no order to forget */
		return 0;
	switch (parsed.kind) {
	case KEY_KIND_UNKNOWN:
		return 0;
	case KEY_KIND_NAMES:
		status = names_apply(catalog, value, error);
		break;
	case KEY_KIND_INDEX:
		status = index_apply(catalog, parsed.index_id, value, error);
		break;
	case KEY_KIND_SKIP:
		status = skips_apply(&catalog->skips, parsed.index_id, parsed.partition, value, error);
		break;
	case KEY_KIND_SETTINGS:
	case KEY_KIND_SETTINGS_NEXT:
		status = settings_records_apply(&catalog->settings, parsed.index_id,
		                                parsed.kind == KEY_KIND_SETTINGS ? SETTINGS_STAGE_IN_FORCE
		                                                                 : SETTINGS_STAGE_NEXT,
		                                value, error);
		break;
	case KEY_KIND_CLUSTER:
		status = cluster_apply(catalog, value, error);
		break;
	case KEY_KIND_SHARD:
		status = shard_apply(catalog, parsed.index_id, parsed.partition, value, error);
		break;
	}
	if (status == 0) {
		unreadable_forget(catalog, key);
		return 0;
	}
	(void)error_prefix(error, "%s record %.*s at offset %" PRId64,
	                   topic == CATALOG_TOPIC_META ? "meta" : "topology", SLICE_ARGS(key), offset);
	if (status != ERROR_MEMORY)
		unreadable_remember(catalog, key, parsed.index_id, error->text);
	return status;
}

/* ---- lookups ---- */

const struct index_record *catalog_index(const struct catalog *catalog, uint64_t index_id)
{
	size_t at = index_position(catalog, index_id);

	if (at == catalog->indexes_len || catalog->indexes[at].id != index_id)
		return NULL;
	return &catalog->indexes[at];
}

const struct index_record *catalog_resolve(const struct catalog *catalog, struct slice uid)
{
	size_t low = 0;
	size_t high = catalog->names.len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct catalog_name *name = &catalog->names.names[middle];
		int order = slice_compare(slice_string(name->uid), uid);

		if (order == 0) {
			const struct index_record *index = catalog_index(catalog, name->index_id);

			return index != NULL && index->state == INDEX_STATE_ACTIVE ? index : NULL;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct index_record *catalog_next_index(const struct catalog *catalog, size_t *at)
{
	return *at < catalog->indexes_len ? &catalog->indexes[(*at)++] : NULL;
}

const struct shard_record *catalog_shard(const struct catalog *catalog, uint64_t index_id, int32_t partition)
{
	const struct shard_entry *entry = shard_find(catalog, index_id, partition);

	return entry == NULL ? NULL : &entry->record;
}

const int64_t *catalog_skips(const struct catalog *catalog, uint64_t index_id, int32_t partition, size_t *len)
{
	return skips_find(&catalog->skips, index_id, partition, len);
}

const struct settings_record *catalog_settings(const struct catalog *catalog, uint64_t index_id)
{
	return settings_records_find(&catalog->settings, index_id, SETTINGS_STAGE_IN_FORCE);
}

const struct settings_record *catalog_settings_next(const struct catalog *catalog, uint64_t index_id)
{
	const struct settings_record *now = catalog_settings(catalog, index_id);
	const struct settings_record *next =
		settings_records_find(&catalog->settings, index_id, SETTINGS_STAGE_NEXT);

	return next != NULL && (now == NULL || next->version > now->version) ? next : NULL;
}

const struct placement *catalog_placement(const struct shard_record *shard, const char *node)
{
	for (size_t i = 0; i < shard->replicas_len; i++)
		if (strcmp(shard->replicas[i].node, node) == 0)
			return &shard->replicas[i];
	return NULL;
}

bool placement_copy_is_set(const struct placement_copy *copy)
{
	return copy->head.low != 0 || copy->head.high != 0;
}

const struct cluster_record *catalog_cluster(const struct catalog *catalog)
{
	return catalog->has_cluster ? &catalog->cluster : NULL;
}

const struct node_record *catalog_node(const struct catalog *catalog, const char *node)
{
	for (size_t i = 0; catalog->has_cluster && i < catalog->cluster.nodes_len; i++)
		if (strcmp(catalog->cluster.nodes[i].id, node) == 0)
			return &catalog->cluster.nodes[i];
	return NULL;
}

int64_t catalog_names_task(const struct catalog *catalog)
{
	return catalog->names.task;
}

bool catalog_next_name(const struct catalog *catalog, size_t *at, struct slice *uid, uint64_t *index_id)
{
	const struct catalog_name *name;

	if (*at >= catalog->names.len)
		return false;
	name = &catalog->names.names[(*at)++];
	*uid = slice_string(name->uid);
	*index_id = name->index_id;
	return true;
}

bool catalog_topic_used(const struct catalog *catalog, const char *topic)
{
	for (size_t i = 0; i < catalog->indexes_len; i++)
		if (strcmp(catalog->indexes[i].topic, topic) == 0)
			return true;
	return false;
}

/* ---- copies ---- */

static bool copy_indexes(struct catalog *to, const struct catalog *from)
{
	for (size_t i = 0; i < from->indexes_len; i++) {
		if (!indexes_reserve(to) ||
		    !index_record_copy(&to->indexes[to->indexes_len], &from->indexes[i]))
			return false;
		to->indexes_len++;
	}
	return true;
}

static bool copy_shards(struct catalog *to, const struct catalog *from)
{
	const struct map_entry *entry;
	struct error error;
	size_t at = 0;

	while ((entry = map_next(&from->shards, &at)) != NULL) {
		const struct shard_entry *shard =
			(const struct shard_entry *)(uintptr_t)
				entry->value; /* NOLINT(performance-no-int-to-ptr) */

		if (shard_store(to, &shard->record, &error) != 0)
			return false;
	}
	return true;
}

/* malloc and memcpy; NULL for nothing, then *ok stays. */
static void *copy_array(const void *array, size_t len, size_t size, bool *ok)
{
	void *copy = len == 0 ? NULL : calloc(len, size);

	if (copy != NULL)
		memcpy(copy, array, len * size);
	else if (len > 0)
		*ok = false;
	return copy;
}

struct catalog *catalog_copy(const struct catalog *catalog)
{
	struct catalog *copy = catalog_new();
	bool ok = true;

	if (copy == NULL)
		return NULL;
	copy->cluster = catalog->cluster;
	copy->has_cluster = catalog->has_cluster;
	copy->names.task = catalog->names.task;
	copy->names.names =
		copy_array(catalog->names.names, catalog->names.len, sizeof *copy->names.names, &ok);
	copy->names.len = catalog->names.len;
	copy->unreadable =
		copy_array(catalog->unreadable, catalog->unreadable_len, sizeof *copy->unreadable, &ok);
	copy->unreadable_len = catalog->unreadable_len;
	if (ok && copy_indexes(copy, catalog) && copy_shards(copy, catalog) &&
	    skips_copy(&copy->skips, &catalog->skips) &&
	    settings_records_copy(&copy->settings, &catalog->settings))
		return copy;
	catalog_free(copy);
	return NULL;
}

void catalog_write_names(struct buffer *value, const struct catalog *catalog, int64_t task, struct slice uid,
                         uint64_t index_id)
{
	names_record_write(value, &catalog->names, task, uid, index_id);
}
