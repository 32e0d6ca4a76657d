#include "shared/meta/catalog_record.h"

#include "shared/base/assert.h"
#include "shared/meta/restore.h"
#include "shared/meta/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define INT32_BOUND ((int64_t)INT32_MAX)

static int malformed(struct error *error, const char *what)
{
	return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "member %s is missing or not valid", what);
}

bool meta_record_text(yyjson_val *object, const char *name, char *text, size_t size)
{
	struct slice value;

	if (!json_get_string(object, name, &value) || value.len == 0 || value.len >= size ||
	    memchr(value.ptr, 0, value.len) != NULL)
		return false;
	memcpy(text, value.ptr, value.len);
	text[value.len] = 0;
	return true;
}

int meta_record_open(struct slice value, int64_t version, yyjson_doc **doc, struct error *error)
{
	yyjson_val *root;
	int64_t found;
	int status = json_parse_typed(value, doc, error);

	if (status != 0)
		return status;
	root = yyjson_doc_get_root(*doc);
	if (!yyjson_is_obj(root) || !json_get_i64(root, "v", &found)) {
		yyjson_doc_free(*doc);
		return malformed(error, "v");
	}
	if (found != version) {
		yyjson_doc_free(*doc);
		return error_set(error, ERROR_VERSION, ERROR_ACTION_REJECT,
		                 "version %" PRId64
		                 " is not known to this program, which reads version %" PRId64,
		                 found, version);
	}
	return 0;
}

static bool get_bounded(yyjson_val *object, const char *name, int64_t min, int64_t max, int64_t *value)
{
	int64_t found;

	if (!json_get_i64(object, name, &found) || found < min || found > max)
		return false;
	*value = found;
	return true;
}

static bool get_i32(yyjson_val *object, const char *name, int32_t min, int32_t max, int32_t *value)
{
	int64_t found;

	if (!get_bounded(object, name, min, max, &found))
		return false;
	*value = (int32_t)found;
	return true;
}

static bool get_index_id(yyjson_val *object, const char *name, uint64_t *id)
{
	struct slice text;

	return json_get_string(object, name, &text) && index_id_parse(text, id);
}

/* ---- names ---- */

static int name_order(const void *a, const void *b)
{
	return strcmp(((const struct catalog_name *)a)->uid, ((const struct catalog_name *)b)->uid);
}

static int names_fill(yyjson_val *object, struct catalog_names *out, struct error *error)
{
	yyjson_obj_iter iter = yyjson_obj_iter_with(object);
	yyjson_val *key;

	while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
		struct catalog_name *name = &out->names[out->len];
		struct slice uid = json_string(key);

		if (!index_uid_is_valid(uid) ||
		    !index_id_parse(json_string(yyjson_obj_iter_get_val(key)), &name->index_id))
			return malformed(error, "names");
		memcpy(name->uid, uid.ptr, uid.len);
		name->uid[uid.len] = 0;
		out->len++;
	}
	qsort(out->names, out->len, sizeof *out->names, name_order);
	for (size_t i = 1; i < out->len; i++)
		if (strcmp(out->names[i - 1].uid, out->names[i].uid) == 0)
			return malformed(error, "names (a name stands there twice)");
	return 0;
}

int names_record_read(struct slice value, struct catalog_names *names, struct error *error)
{
	struct catalog_names out = {0};
	yyjson_val *root, *object;
	yyjson_doc *doc;
	size_t size;
	int status = meta_record_open(value, CATALOG_VERSION, &doc, error);

	if (status != 0)
		return status;
	root = yyjson_doc_get_root(doc);
	object = yyjson_obj_get(root, "names");
	size = yyjson_obj_size(object);
	if (!yyjson_is_obj(object) || size > INDEXES_MAX ||
	    !get_bounded(root, "task", -1, INT64_MAX, &out.task)) {
		status = malformed(error, "names or task");
		goto out;
	}
	out.names = calloc(size + 1, sizeof *out.names);
	status = out.names == NULL ? error_memory(error, size * sizeof *out.names)
	                           : names_fill(object, &out, error);
	if (status == 0)
		*names = out;
	else
		free(out.names);
out:
	yyjson_doc_free(doc);
	return status;
}

static void append_name(struct buffer *value, bool *first, struct slice uid, uint64_t index_id)
{
	char id[17];

	index_id_print(index_id, id);
	if (!*first)
		buffer_append_string(value, ",");
	*first = false;
	json_append_string(value, uid);
	buffer_printf(value, ":\"%s\"", id);
}

void names_record_write(struct buffer *value, const struct catalog_names *names, int64_t task,
                        struct slice uid, uint64_t index_id)
{
	bool first = true;
	bool added = index_id == 0;

	buffer_printf(value, "{\"v\":%d,\"task\":%" PRId64 ",\"names\":{", CATALOG_VERSION, task);
	for (size_t i = 0; i < names->len; i++) {
		const struct catalog_name *name = &names->names[i];
		int order = slice_compare(slice_string(name->uid), uid);

		if (!added && order >= 0) {
			append_name(value, &first, uid, index_id);
			added = true;
		}
		if (order != 0)
			append_name(value, &first, slice_string(name->uid), name->index_id);
	}
	if (!added)
		append_name(value, &first, uid, index_id);
	buffer_append_string(value, "}}");
}

/* ---- index ---- */

static bool state_parse(struct slice text, enum index_state *state)
{
	if (slice_equal(text, slice_string("creating")))
		*state = INDEX_STATE_CREATING;
	else if (slice_equal(text, slice_string("active")))
		*state = INDEX_STATE_ACTIVE;
	else if (slice_equal(text, slice_string("deleted")))
		*state = INDEX_STATE_DELETED;
	else
		return false;
	return true;
}

static const char *state_name(enum index_state state)
{
	static const char *const names[] = {
		[INDEX_STATE_CREATING] = "creating",
		[INDEX_STATE_ACTIVE] = "active",
		[INDEX_STATE_DELETED] = "deleted",
	};

	return names[state];
}

static int base_read(yyjson_val *array, struct index_record *index, struct error *error)
{
	size_t i, len;
	yyjson_val *value;
	int64_t *base;

	if (array == NULL || yyjson_is_null(array))
		return index->state == INDEX_STATE_ACTIVE ? malformed(error, "base") : 0;
	if (!yyjson_is_arr(array) || yyjson_arr_size(array) != (size_t)index->partitions)
		return malformed(error, "base");
	base = calloc((size_t)index->partitions, sizeof *base);
	if (base == NULL)
		return error_memory(error, (size_t)index->partitions * sizeof *base);
	yyjson_arr_foreach(array, i, len, value)
	{
		base[i] = yyjson_is_int(value) ? yyjson_get_sint(value) : -1;
		if (base[i] < 0) {
			free(base);
			return malformed(error, "base");
		}
	}
	index->base = base;
	return 0;
}

static int index_fill(yyjson_val *root, struct index_record *index, struct error *error)
{
	struct slice state, partitioner;
	int status;

	if (!get_index_id(root, "id", &index->id))
		return malformed(error, "id");
	if (!meta_record_text(root, "uid", index->uid, sizeof index->uid) ||
	    !index_uid_is_valid(slice_string(index->uid)))
		return malformed(error, "uid");
	if (!meta_record_text(root, "topic", index->topic, sizeof index->topic) ||
	    !topic_name_is_valid(slice_string(index->topic)))
		return malformed(error, "topic");
	if (!json_get_string(root, "state", &state) || !state_parse(state, &index->state))
		return malformed(error, "state");
	if (!json_get_string(root, "partitioner", &partitioner) ||
	    !partitioner_parse(partitioner, &index->partitioner))
		return malformed(error, "partitioner");
	if (!meta_record_text(root, "primary_key", index->primary_key, sizeof index->primary_key))
		return malformed(error, "primary_key");
	if (!json_get_bool(root, "own_topic", &index->own_topic) ||
	    !json_get_bool(root, "writable", &index->writable))
		return malformed(error, "own_topic or writable");
	if (!get_i32(root, "generation", 1, INT32_MAX, &index->generation) ||
	    !get_i32(root, "partitions", 1, INDEX_PARTITIONS_MAX, &index->partitions))
		return malformed(error, "generation or partitions");
	if (!get_bounded(root, "task", 0, INT64_MAX, &index->task) ||
	    !json_get_i64(root, "created_at", &index->created_at_ms) ||
	    !json_get_i64(root, "updated_at", &index->updated_at_ms))
		return malformed(error, "task, created_at or updated_at");
	if (yyjson_obj_get(root, "replaces") != NULL &&
	    (!get_index_id(root, "replaces", &index->replaces) || index->replaces == 0 ||
	     index->replaces == index->id))
		return malformed(error, "replaces");
	if (yyjson_obj_get(root, "accepts_loss") != NULL &&
	    !json_get_bool(root, "accepts_loss", &index->accepts_loss))
		return malformed(error, "accepts_loss");
	if (yyjson_obj_get(root, "lives_ended") != NULL) {
		int64_t life;

		if (!get_bounded(root, "lives_ended", 1, UINT32_MAX, &life))
			return malformed(error, "lives_ended");
		index->lives_ended = (uint32_t)life;
	}
	status = rules_parse(yyjson_obj_get(root, "rules"), &index->rules, error);
	return status != 0 ? status : base_read(yyjson_obj_get(root, "base"), index, error);
}

int index_record_read(struct slice value, struct index_record *index, struct error *error)
{
	struct index_record out = {0};
	yyjson_doc *doc;
	int status = meta_record_open(value, CATALOG_VERSION, &doc, error);

	if (status != 0)
		return status;
	status = index_fill(yyjson_doc_get_root(doc), &out, error);
	if (status == 0 && yyjson_obj_get(yyjson_doc_get_root(doc), "sources") != NULL)
		status = sources_read(value, "sources", &out.sources, &out.sources_len, error);
	if (status == 0)
		*index = out;
	else
		index_record_deinit(&out);
	yyjson_doc_free(doc);
	return status;
}

void index_record_deinit(struct index_record *index)
{
	free(index->base);
	free(index->sources);
}

bool index_record_copy(struct index_record *to, const struct index_record *from)
{
	struct index_record copy = *from;
	size_t bytes = (size_t)from->partitions * sizeof *from->base;

	copy.base = from->base == NULL ? NULL : malloc(bytes);
	copy.sources = sources_copy(from->sources, from->sources_len, NULL);
	if ((from->base != NULL && copy.base == NULL) || (from->sources_len > 0 && copy.sources == NULL)) {
		index_record_deinit(&copy);
		return false;
	}
	if (from->base != NULL)
		memcpy(copy.base, from->base, bytes);
	*to = copy;
	return true;
}

static void append_member(struct buffer *value, const char *name, const char *text)
{
	buffer_printf(value, ",\"%s\":", name);
	json_append_string(value, slice_string(text));
}

void catalog_write_index(struct buffer *value, const struct index_record *index)
{
	char id[17];

	index_id_print(index->id, id);
	buffer_printf(value, "{\"v\":%d,\"task\":%" PRId64 ",\"id\":\"%s\"", CATALOG_VERSION, index->task,
	              id);
	append_member(value, "uid", index->uid);
	append_member(value, "topic", index->topic);
	buffer_printf(value,
	              ",\"own_topic\":%s,\"state\":\"%s\",\"generation\":%" PRId32 ",\"partitions\":%" PRId32,
	              index->own_topic ? "true" : "false", state_name(index->state), index->generation,
	              index->partitions);
	if (index->base != NULL) {
		for (int32_t p = 0; p < index->partitions; p++)
			buffer_printf(value, "%s%" PRId64, p == 0 ? ",\"base\":[" : ",", index->base[p]);
		buffer_append_string(value, "]");
	}
	append_member(value, "partitioner", partitioner_name(index->partitioner));
	append_member(value, "primary_key", index->primary_key);
	buffer_printf(value, ",\"writable\":%s", index->writable ? "true" : "false");
	if (index->replaces != 0) {
		index_id_print(index->replaces, id);
		append_member(value, "replaces", id);
	}
	if (index->accepts_loss)
		buffer_append_string(value, ",\"accepts_loss\":true");
	if (index->lives_ended != 0)
		buffer_printf(value, ",\"lives_ended\":%" PRIu32, index->lives_ended);
	buffer_append_string(value, ",\"rules\":");
	rules_append(value, &index->rules);
	if (index->sources_len > 0) {
		buffer_append_string(value, ",\"sources\":");
		sources_append(value, index->sources, index->sources_len);
	}
	buffer_printf(value, ",\"created_at\":%" PRId64 ",\"updated_at\":%" PRId64 "}", index->created_at_ms,
	              index->updated_at_ms);
}

/* ---- cluster ---- */

static bool node_read(yyjson_val *object, struct node_record *node)
{
	struct slice incarnation;
	int64_t format = 0;

	if (!meta_record_text(object, "id", node->id, sizeof node->id) ||
	    !meta_record_text(object, "group", node->group, sizeof node->group) ||
	    !meta_record_text(object, "url", node->url, sizeof node->url))
		return false;
	if (yyjson_obj_get(object, "incarnation") != NULL &&
	    (!json_get_string(object, "incarnation", &incarnation) ||
	     !incarnation_parse(incarnation, &node->incarnation)))
		return false;
	if (yyjson_obj_get(object, "format") != NULL &&
	    !get_bounded(object, "format", 1, UINT32_MAX, &format))
		return false;
	node->format = (uint32_t)format;
	return true;
}

int cluster_record_read(struct slice value, struct cluster_record *cluster, struct error *error)
{
	struct cluster_record out = {0};
	yyjson_val *root, *nodes, *node;
	yyjson_doc *doc;
	size_t i, len;
	int status = meta_record_open(value, CATALOG_VERSION, &doc, error);

	if (status != 0)
		return status;
	root = yyjson_doc_get_root(doc);
	nodes = yyjson_obj_get(root, "nodes");
	if (!get_bounded(root, "epoch", 1, INT64_MAX, &out.epoch) ||
	    !get_bounded(root, "task", -1, INT64_MAX, &out.task) ||
	    !get_bounded(root, "oldest_task", 0, INT64_MAX, &out.oldest_task) ||
	    !get_i32(root, "rf", 1, REPLICAS_MAX, &out.rf) ||
	    !meta_record_text(root, "kafka", out.kafka, sizeof out.kafka))
		status = malformed(error, "epoch, task, oldest_task, rf or kafka");
	else if (yyjson_obj_get(root, "controller") != NULL &&
	         !meta_record_text(root, "controller", out.controller, sizeof out.controller))
		status = malformed(error, "controller");
	else if (!yyjson_is_arr(nodes) || yyjson_arr_size(nodes) > NODES_MAX)
		status = malformed(error, "nodes");
	if (status == 0)
		yyjson_arr_foreach(nodes, i, len, node)
		{
			if (!node_read(node, &out.nodes[i]))
				status = malformed(error, "nodes");
		}
	if (status == 0) {
		out.nodes_len = yyjson_arr_size(nodes);
		*cluster = out;
	}
	yyjson_doc_free(doc);
	return status;
}

/* What its node has not told is not written: absent means not known. */
static void append_registration(struct buffer *value, const struct node_record *node)
{
	char incarnation[33];

	incarnation_print(node->incarnation, incarnation);
	if (!incarnation_is_none(node->incarnation))
		append_member(value, "incarnation", incarnation);
	if (node->format != 0)
		buffer_printf(value, ",\"format\":%" PRIu32, node->format);
}

void catalog_write_cluster(struct buffer *value, const struct cluster_record *cluster)
{
	buffer_printf(value, "{\"v\":%d,\"epoch\":%" PRId64 ",\"task\":%" PRId64, CATALOG_VERSION,
	              cluster->epoch, cluster->task);
	append_member(value, "kafka", cluster->kafka);
	buffer_printf(value, ",\"rf\":%" PRId32 ",\"nodes\":[", cluster->rf);
	for (size_t i = 0; i < cluster->nodes_len; i++) {
		const struct node_record *node = &cluster->nodes[i];

		buffer_append_string(value, i == 0 ? "{\"id\":" : ",{\"id\":");
		json_append_string(value, slice_string(node->id));
		append_member(value, "group", node->group);
		append_member(value, "url", node->url);
		append_registration(value, node);
		buffer_append_string(value, "}");
	}
	buffer_printf(value, "],\"oldest_task\":%" PRId64, cluster->oldest_task);
	if (cluster->controller[0] != '\0')
		append_member(value, "controller", cluster->controller);
	buffer_append_string(value, "}");
}

/* ---- shard ---- */

static const char *const placement_names[] = {
	[PLACEMENT_STATE_JOINING] = "joining",
	[PLACEMENT_STATE_ACTIVE] = "active",
	[PLACEMENT_STATE_LEAVING] = "leaving",
};

static bool placement_read(yyjson_val *object, struct placement *placement)
{
	struct slice incarnation, state;

	if (!meta_record_text(object, "node", placement->node, sizeof placement->node) ||
	    !json_get_string(object, "incarnation", &incarnation) ||
	    !json_get_string(object, "state", &state) ||
	    !json_get_bool(object, "in_sync", &placement->in_sync))
		return false;
	/* "": no registration is recorded yet */
	if (incarnation.len > 0 && !incarnation_parse(incarnation, &placement->incarnation))
		return false;
	for (size_t i = PLACEMENT_STATE_JOINING; i <= PLACEMENT_STATE_LEAVING; i++)
		if (slice_equal(state, slice_string(placement_names[i])))
			placement->state = (enum placement_state)i;
	if (yyjson_obj_get(object, "copy") != NULL &&
	    (!placement_copy_read(yyjson_obj_get(object, "copy"), &placement->copy) ||
	     incarnation_is_none(placement->incarnation)))
		return false;
	return placement->state != 0;
}

int shard_record_read(struct slice value, struct shard_record *shard, struct error *error)
{
	struct shard_record out = {0};
	yyjson_val *root, *replicas, *replica;
	yyjson_doc *doc;
	size_t i, len;
	int status = meta_record_open(value, CATALOG_VERSION, &doc, error);

	if (status != 0)
		return status;
	root = yyjson_doc_get_root(doc);
	replicas = yyjson_obj_get(root, "replicas");
	if (!get_index_id(root, "index", &out.index_id) ||
	    !get_i32(root, "generation", 1, INT32_MAX, &out.generation) ||
	    !get_i32(root, "partition", 0, INDEX_PARTITIONS_MAX - 1, &out.partition) ||
	    !get_bounded(root, "task", 0, INT64_MAX, &out.task))
		status = malformed(error, "index, generation, partition or task");
	else if (!yyjson_is_arr(replicas) || yyjson_arr_size(replicas) > REPLICAS_MAX)
		status = malformed(error, "replicas");
	else if (yyjson_obj_get(root, "divergent") != NULL &&
	         !json_get_bool(root, "divergent", &out.divergent))
		status = malformed(error, "divergent");
	if (status == 0)
		yyjson_arr_foreach(replicas, i, len, replica)
		{
			if (!placement_read(replica, &out.replicas[i]))
				status = malformed(error, "replicas");
		}
	if (status == 0) {
		out.replicas_len = yyjson_arr_size(replicas);
		*shard = out;
	}
	yyjson_doc_free(doc);
	return status;
}

void catalog_write_shard(struct buffer *value, const struct shard_record *shard)
{
	char id[17];

	index_id_print(shard->index_id, id);
	buffer_printf(value,
	              "{\"v\":%d,\"task\":%" PRId64 ",\"index\":\"%s\",\"generation\":%" PRId32
	              ",\"partition\":%" PRId32 ",\"replicas\":[",
	              CATALOG_VERSION, shard->task, id, shard->generation, shard->partition);
	for (size_t i = 0; i < shard->replicas_len; i++) {
		const struct placement *replica = &shard->replicas[i];
		char incarnation[33] = "";

		if (!incarnation_is_none(replica->incarnation))
			incarnation_print(replica->incarnation, incarnation);
		buffer_append_string(value, i == 0 ? "{\"node\":" : ",{\"node\":");
		json_append_string(value, slice_string(replica->node));
		buffer_printf(value, ",\"incarnation\":\"%s\",\"state\":\"%s\",\"in_sync\":%s", incarnation,
		              placement_names[replica->state], replica->in_sync ? "true" : "false");
		placement_append_copy(value, replica);
		buffer_append_string(value, "}");
	}
	buffer_append_string(value, shard->divergent ? "],\"divergent\":true}" : "]}");
}

/* ---- ids, uids, slots ---- */

void index_id_print(uint64_t index_id, char text[17])
{
	(void)snprintf(text, 17, "%016" PRIx64, index_id);
}

bool index_id_parse(struct slice text, uint64_t *index_id)
{
	uint64_t value = 0;

	if (text.len != 16)
		return false;
	for (size_t i = 0; i < 16; i++) {
		uint8_t c = text.ptr[i];

		if (c >= '0' && c <= '9')
			value = value << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	*index_id = value;
	return true;
}

bool index_uid_is_valid(struct slice uid)
{
	if (uid.len < 1 || uid.len > INDEX_UID_BYTES_MAX)
		return false;
	for (size_t i = 0; i < uid.len; i++) {
		uint8_t c = uid.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '-' || c == '_'))
			return false;
	}
	return true;
}

int32_t slot_of(uint64_t index_id, int32_t partition)
{
	uint32_t mixed = 0;

	ASSERT(partition >= 0);
	/* neighbouring partitions far apart: a member of the group owns neighbouring slots */
	for (uint32_t bit = 1; bit < SLOTS; bit *= 2)
		mixed = mixed * 2 + ((uint32_t)partition / bit & 1);
	return (int32_t)((index_id + mixed + (uint32_t)partition / SLOTS) % SLOTS);
}
