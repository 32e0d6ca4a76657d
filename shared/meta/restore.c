#include "shared/meta/restore.h"

#include <inttypes.h>
#include <stdlib.h>

bool restore_head_parse(struct slice text, struct hash128 *head)
{
	return text.len == 32 && index_id_parse(slice_of(text.ptr, 16), &head->high) &&
	       index_id_parse(slice_of(text.ptr + 16, 16), &head->low);
}

bool placement_copy_read(yyjson_val *object, struct placement_copy *copy)
{
	struct placement_copy read;
	struct slice head;

	if (!json_get_string(object, "head", &head) || !restore_head_parse(head, &read.head) ||
	    !json_get_i64(object, "stored", &read.stored) || !json_get_i64(object, "from", &read.from) ||
	    read.stored < 0 || read.from < read.stored || !placement_copy_is_set(&read))
		return false;
	*copy = read;
	return true;
}

void placement_copy_append(struct buffer *buffer, const struct placement_copy *copy)
{
	char head[33];

	hash128_print(copy->head, head);
	buffer_printf(buffer, "\"head\":\"%s\",\"stored\":%" PRId64 ",\"from\":%" PRId64, head, copy->stored,
	              copy->from);
}

void placement_append_copy(struct buffer *buffer, const struct placement *placement)
{
	if (!placement_copy_is_set(&placement->copy))
		return;
	buffer_append_string(buffer, ",\"copy\":{");
	placement_copy_append(buffer, &placement->copy);
	buffer_append_string(buffer, "}");
}

static bool shard_read(yyjson_val *object, int32_t above, struct restore_shard *shard)
{
	int64_t partition;

	if (!json_get_i64(object, "partition", &partition) || partition <= above ||
	    partition >= INDEX_PARTITIONS_MAX)
		return false;
	shard->partition = (int32_t)partition;
	return placement_copy_read(object, &shard->copy);
}

int restore_shards_take(yyjson_val *array, struct restore_shard **shards, size_t *len, struct error *error)
{
	size_t count = yyjson_arr_size(array);
	struct restore_shard *list;
	int32_t above = -1;
	yyjson_val *object;
	size_t at;
	size_t max;

	if (!yyjson_is_arr(array) || count == 0 || count > INDEX_PARTITIONS_MAX)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "member shards is not a list of at least one shard");
	list = calloc(count, sizeof *list);
	if (list == NULL)
		return error_memory(error, count * sizeof *list);
	yyjson_arr_foreach(array, at, max, object)
	{
		if (!shard_read(object, above, &list[at])) {
			free(list);
			return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
			                 "member shards: entry %zu is no shard, or not in its place", at);
		}
		above = list[at].partition;
	}
	*shards = list;
	*len = count;
	return 0;
}

void restore_shards_append(struct buffer *buffer, const struct restore_shard *shards, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		buffer_printf(buffer, "%s{\"partition\":%" PRId32 ",", i == 0 ? "[" : ",",
		              shards[i].partition);
		placement_copy_append(buffer, &shards[i].copy);
		buffer_append_string(buffer, "}");
	}
	buffer_append_string(buffer, "]");
}
