#include "rebalance/core/node_report.h"

#include <stdlib.h>

static int malformed(struct error *error, const char *what)
{
	return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
	                 "its list of shards: member %s is missing or cannot be", what);
}

static bool get_u64(yyjson_val *object, const char *name, uint64_t *number)
{
	struct slice text;

	return json_get_string(object, name, &text) && index_id_parse(text, number);
}

static bool get_incarnation(yyjson_val *object, const char *name, struct incarnation *incarnation)
{
	struct slice text;

	return json_get_string(object, name, &text) && incarnation_parse(text, incarnation);
}

/* What hash128_print prints. */
static bool get_digest(yyjson_val *object, const char *name, struct hash128 *digest)
{
	struct slice text;

	return json_get_string(object, name, &text) && text.len == 32 &&
	       index_id_parse(slice_of(text.ptr, 16), &digest->high) &&
	       index_id_parse(slice_of(text.ptr + 16, 16), &digest->low);
}

static bool get_state(yyjson_val *object, enum report_state *state)
{
	static const char *const names[] = {
		[REPORT_STATE_RECOVERING] = "recovering",
		[REPORT_STATE_ACTIVE] = "active",
		[REPORT_STATE_STOPPED] = "stopped",
	};
	struct slice text;

	if (!json_get_string(object, "state", &text))
		return false;
	for (size_t i = REPORT_STATE_RECOVERING; i <= REPORT_STATE_STOPPED; i++)
		if (slice_equal(text, slice_string(names[i]))) {
			*state = (enum report_state)i;
			return true;
		}
	return false;
}

static bool get_partition(yyjson_val *object, struct replica_report *replica)
{
	int64_t generation, partition;

	if (!json_get_i64(object, "generation", &generation) || generation < 1 || generation > INT32_MAX ||
	    !json_get_i64(object, "partition", &partition) || partition < 0 ||
	    partition >= INDEX_PARTITIONS_MAX)
		return false;
	replica->generation = (int32_t)generation;
	replica->partition = (int32_t)partition;
	return true;
}

/* Absent: none. */
static bool read_seals(yyjson_val *array, struct replica_report *replica)
{
	size_t i, len;
	yyjson_val *entry;

	if (array == NULL)
		return true;
	if (!yyjson_is_arr(array) || yyjson_arr_size(array) > REPORT_SEALS_MAX)
		return false;
	yyjson_arr_foreach(array, i, len, entry)
	{
		struct report_seal *seal = &replica->seals[i];

		if (!json_get_i64(entry, "offset", &seal->offset) || seal->offset < 0 ||
		    seal->offset > replica->received ||
		    (i > 0 && seal->offset <= replica->seals[i - 1].offset) ||
		    !get_digest(entry, "digest", &seal->digest))
			return false;
	}
	replica->seals_len = len;
	return true;
}

/* Absent: none. */
static bool read_settings(yyjson_val *entry, int64_t *version)
{
	*version = -1;
	return yyjson_obj_get(entry, "settings") == NULL ||
	       (json_get_i64(entry, "settings", version) && *version >= -1);
}

static int read_replica(yyjson_val *entry, struct replica_report *replica, struct error *error)
{
	if (!get_u64(entry, "index", &replica->index_id) || !get_partition(entry, replica))
		return malformed(error, "index, generation or partition");
	if (!get_state(entry, &replica->state) ||
	    !get_incarnation(entry, "incarnation", &replica->incarnation) ||
	    !get_u64(entry, "session", &replica->session))
		return malformed(error, "state, incarnation or session of a shard");
	if (!json_get_i64(entry, "received", &replica->received) ||
	    !json_get_i64(entry, "stored", &replica->stored) || replica->stored < 0 ||
	    replica->received < replica->stored || !get_digest(entry, "digest", &replica->digest))
		return malformed(error, "received, stored or digest of a shard");
	if (!read_settings(entry, &replica->settings))
		return malformed(error, "settings of a shard");
	return read_seals(yyjson_obj_get(entry, "seals"), replica) ? 0 : malformed(error, "seals of a shard");
}

static int read_replicas(yyjson_val *array, struct node_report *report, struct error *error)
{
	size_t i, len;
	yyjson_val *entry;
	int rc = 0;

	if (!yyjson_is_arr(array))
		return malformed(error, "shards");
	len = yyjson_arr_size(array);
	if (len > REPORT_REPLICAS_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "it lists %zu shards, more than %d",
		                 len, REPORT_REPLICAS_MAX);
	report->replicas = calloc(len + 1, sizeof *report->replicas);
	if (report->replicas == NULL)
		return error_memory(error, len * sizeof *report->replicas);
	report->replicas_len = len;
	yyjson_arr_foreach(array, i, len, entry)
	{
		if (rc == 0)
			rc = read_replica(entry, &report->replicas[i], error);
	}
	return rc;
}

static bool get_text(yyjson_val *object, const char *name, char *text, size_t size)
{
	struct slice value;

	if (!json_get_string(object, name, &value) || value.len >= size ||
	    (value.len > 0 && memchr(value.ptr, 0, value.len) != NULL))
		return false;
	if (value.len > 0)
		memcpy(text, value.ptr, value.len);
	text[value.len] = '\0';
	return true;
}

static int read_node(yyjson_val *root, struct node_report *report, struct error *error)
{
	int64_t format;

	if (!get_text(root, "node", report->id, sizeof report->id) || report->id[0] == '\0')
		return malformed(error, "node");
	if (!get_incarnation(root, "incarnation", &report->incarnation) ||
	    incarnation_is_none(report->incarnation))
		return malformed(error, "incarnation");
	if (!get_u64(root, "session", &report->session))
		return malformed(error, "session");
	if (!json_get_i64(root, "format", &format) || format < 1 || format > UINT32_MAX)
		return malformed(error, "format");
	report->format = (uint32_t)format;
	if (!get_text(root, "kafka", report->kafka, sizeof report->kafka))
		return malformed(error, "kafka");
	if (!json_get_bool(root, "ready", &report->ready))
		return malformed(error, "ready");
	return read_replicas(yyjson_obj_get(root, "shards"), report, error);
}

int node_report_parse(struct slice body, struct node_report *report, struct error *error)
{
	yyjson_doc *doc;
	int rc = json_parse_typed(body, &doc, error);

	if (rc != 0)
		return error_prefix(error, "its list of shards");
	report->replicas = NULL;
	report->replicas_len = 0;
	rc = read_node(yyjson_doc_get_root(doc), report, error);
	if (rc != 0)
		node_report_deinit(report);
	yyjson_doc_free(doc);
	return rc;
}

void node_report_deinit(struct node_report *report)
{
	free(report->replicas);
	report->replicas = NULL;
	report->replicas_len = 0;
}
