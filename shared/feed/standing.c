#include "shared/feed/standing.h"

#include "shared/meta/catalog.h"

#include <inttypes.h>
#include <stdlib.h>

struct standing {
	yyjson_doc *doc;
	yyjson_val *shards; /* array */
};

int standing_parse(struct slice body, struct standing **standing, struct error *error)
{
	struct standing *parsed = calloc(1, sizeof *parsed);
	int rc;

	if (parsed == NULL)
		return error_memory(error, sizeof *parsed);
	rc = json_parse_typed(body, &parsed->doc, error);
	if (rc != 0) {
		free(parsed);
		return error_prefix(error, "the node's list of shards");
	}
	parsed->shards = yyjson_obj_get(yyjson_doc_get_root(parsed->doc), "shards");
	if (!yyjson_is_arr(parsed->shards)) {
		standing_free(parsed);
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "the node's list of shards has no array `shards`");
	}
	*standing = parsed;
	return 0;
}

void standing_free(struct standing *standing)
{
	if (standing == NULL)
		return;
	yyjson_doc_free(standing->doc);
	free(standing);
}

int standing_check_node(const struct standing *standing, const char *node_id, struct error *error)
{
	struct slice name = slice_of(NULL, 0);

	(void)json_get_string(yyjson_doc_get_root(standing->doc), "node", &name);
	if (slice_equal(name, slice_string(node_id)))
		return 0;
	return error_set(error, ERROR_STATE, ERROR_ACTION_RETRY,
	                 "the node at this address calls itself \"%.*s\", not %s; check topology.groups and "
	                 "the nodes' shard.id",
	                 (int)(name.len < 64 ? name.len : 64), name.len > 0 ? (const char *)name.ptr : "",
	                 node_id);
}

static bool get_u64(yyjson_val *object, const char *name, uint64_t *number)
{
	struct slice text;

	return json_get_string(object, name, &text) && index_id_parse(text, number);
}

static bool is_wanted(yyjson_val *entry, const struct range_answer *wanted, int32_t generation)
{
	uint64_t index_id;
	int64_t partition;
	int64_t of_generation;

	return get_u64(entry, "index", &index_id) && index_id == wanted->index_id &&
	       json_get_i64(entry, "partition", &partition) && partition == wanted->partition &&
	       json_get_i64(entry, "generation", &of_generation) && of_generation == generation;
}

static bool read_anchor(yyjson_val *object, struct anchor *anchor)
{
	return json_get_i64(object, "offset", &anchor->offset) &&
	       json_get_i64(object, "timestamp", &anchor->timestamp_ms) &&
	       get_u64(object, "checksum", &anchor->checksum) && anchor->offset >= -1;
}

static bool read_marks(yyjson_val *entry, struct range_answer *answer)
{
	int64_t marks;

	if (!json_get_i64(entry, "marks", &marks))
		return false;
	answer->has_identities = (marks & 1) != 0;
	answer->has_origins = (marks & 2) != 0;
	return marks >= 0 && marks <= 3;
}

static bool read_entry(yyjson_val *entry, struct range_answer *answer, struct slice *stop_reason)
{
	struct slice state;
	struct slice incarnation;

	if (!json_get_string(entry, "state", &state) ||
	    !json_get_string(entry, "incarnation", &incarnation) ||
	    !incarnation_parse(incarnation, &answer->incarnation) ||
	    !get_u64(entry, "session", &answer->session) ||
	    !json_get_i64(entry, "received", &answer->received) ||
	    !json_get_i64(entry, "stored", &answer->stored) ||
	    !read_anchor(yyjson_obj_get(entry, "anchor"), &answer->anchor) || !read_marks(entry, answer) ||
	    answer->stored < 0 || answer->stored > answer->received ||
	    answer->anchor.offset >= answer->received)
		return false;
	*stop_reason = slice_of(NULL, 0);
	answer->result = RANGE_RESULT_ALREADY;
	if (slice_equal(state, slice_string("stopped"))) {
		answer->result = RANGE_RESULT_STOPPED;
		(void)json_get_string(entry, "stop_reason", stop_reason);
	}
	return true;
}

int standing_find(const struct standing *standing, const struct range_answer *wanted, int32_t generation,
                  struct range_answer *found, struct slice *stop_reason, struct error *error)
{
	struct range_answer answer = {
		.index_id = wanted->index_id,
		.partition = wanted->partition,
		.result = RANGE_RESULT_UNKNOWN,
	};
	size_t at;
	size_t len;
	yyjson_val *entry;

	yyjson_arr_foreach(standing->shards, at, len, entry)
	{
		if (!is_wanted(entry, wanted, generation))
			continue;
		if (!read_entry(entry, &answer, stop_reason))
			return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
			                 "the node's entry for partition %" PRId32
			                 " lacks a member or has one that cannot be",
			                 wanted->partition);
		break;
	}
	if (answer.result == RANGE_RESULT_UNKNOWN)
		*stop_reason = slice_of(NULL, 0);
	*found = answer;
	return 0;
}
