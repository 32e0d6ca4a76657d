/* What a snapshot says of itself, as JSON. */
#include "shared/base/hash.h"
#include "shared/cli/cli_snapshot.h"
#include "shared/runtime/clock.h"

#include <inttypes.h>
#include <stdio.h>

static bool hash_parse(yyjson_val *object, const char *name, uint64_t *hash)
{
	struct slice text;

	return json_get_string(object, name, &text) && index_id_parse(text, hash);
}

/* With a NUL; false if it does not fit. */
static bool text_parse(yyjson_val *object, const char *name, char *text, size_t size)
{
	struct slice found;

	if (!json_get_string(object, name, &found) || found.len >= size)
		return false;
	memcpy(text, found.ptr, found.len);
	text[found.len] = '\0';
	return true;
}

static bool number_parse(yyjson_val *object, const char *name, int64_t *number)
{
	return json_get_i64(object, name, number) && *number >= 0;
}

/* 0 if it is not there. */
static bool number_parse_optional(yyjson_val *object, const char *name, int64_t *number)
{
	*number = 0;
	return yyjson_obj_get(object, name) == NULL || number_parse(object, name, number);
}

/* Of what the node said. */
static bool told_parse(struct snapshot_row *row, yyjson_val *told)
{
	struct buffer text;
	struct error error;
	bool is_told;

	buffer_init(&text, sizeof row->told - 1);
	is_told = hash_parse(told, "copy", &row->copy) && number_parse(told, "stored", &row->stored) &&
	          number_parse_optional(told, "format", &row->format) &&
	          number_parse_optional(told, "words", &row->words) &&
	          number_parse(told, "documents", &row->documents) &&
	          number_parse(told, "chunk_bytes", &row->chunk_bytes) &&
	          json_append_value(&text, told, &error) == 0 && !buffer_failed(&text);
	if (is_told)
		(void)snprintf(row->told, sizeof row->told, "%.*s", SLICE_ARGS(buffer_slice(&text)));
	buffer_deinit(&text);
	return is_told;
}

void snapshot_name_print(const struct snapshot_row *row, const char *suffix,
                         char name[SNAPSHOT_NAME_BYTES_MAX])
{
	(void)snprintf(name, SNAPSHOT_NAME_BYTES_MAX, "%" PRId32 ".%s", row->partition, suffix);
}

static int not_told(struct error *error)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_RETRY,
	                 "the node's answer to GET /copy is not what this version knows; is its "
	                 "millrace-shard of this version?");
}

int snapshot_row_told(struct snapshot_row *row, struct slice answer, struct slice *head, struct error *error)
{
	struct snapshot_row told = {.partition = row->partition};
	yyjson_doc *doc = NULL;
	struct reader reader;
	uint32_t len;
	bool is_told;

	if (answer.len < 4)
		return not_told(error);
	reader = reader_of(slice_of(answer.ptr + answer.len - 4, 4));
	len = reader_u32(&reader);
	if (len > answer.len - 4)
		return not_told(error);
	*head = slice_of(answer.ptr, answer.len - 4 - len);
	if (json_parse_typed(slice_of(head->ptr + head->len, len), &doc, error) != 0)
		return not_told(error);
	is_told = told_parse(&told, yyjson_doc_get_root(doc));
	yyjson_doc_free(doc);
	if (!is_told)
		return not_told(error);
	memcpy(told.node, row->node, sizeof told.node);
	told.head_bytes = (int64_t)head->len;
	told.head_hash = hash64(*head, 0);
	*row = told;
	return 0;
}

void snapshot_row_append(const struct snapshot_row *row, struct buffer *json)
{
	buffer_printf(json, "{\"partition\":%" PRId32 ",\"node\":", row->partition);
	json_append_string(json, slice_string(row->node));
	buffer_printf(json, ",\"replica\":%s,\"head\":{\"bytes\":%" PRId64 ",\"hash\":\"%016" PRIx64 "\"}",
	              row->told, row->head_bytes, row->head_hash);
	if (row->is_whole)
		buffer_printf(json,
		              ",\"pages\":{\"bytes\":%" PRId64 ",\"pages\":%" PRId64 ",\"chunks\":%" PRId64
		              ",\"chunk_bytes\":%" PRId64 ",\"hash\":\"%016" PRIx64 "\"}",
		              row->pages.bytes, row->pages.pages, row->pages.chunks, row->pages.chunk_bytes,
		              row->pages.hash);
	buffer_append_string(json, "}");
}

bool snapshot_row_parse(struct snapshot_row *row, yyjson_val *json)
{
	struct snapshot_row read = {.is_whole = yyjson_obj_get(json, "pages") != NULL};
	yyjson_val *head = yyjson_obj_get(json, "head");
	yyjson_val *pages = yyjson_obj_get(json, "pages");
	struct snapshot_sum *sum = &read.pages;
	int64_t partition;

	if (!number_parse(json, "partition", &partition) || partition >= INDEX_PARTITIONS_MAX ||
	    !told_parse(&read, yyjson_obj_get(json, "replica")) ||
	    !number_parse(head, "bytes", &read.head_bytes) || !hash_parse(head, "hash", &read.head_hash) ||
	    !text_parse(json, "node", read.node, sizeof read.node))
		return false;
	if (read.is_whole &&
	    (!number_parse(pages, "bytes", &sum->bytes) || !number_parse(pages, "pages", &sum->pages) ||
	     !number_parse(pages, "chunks", &sum->chunks) ||
	     !number_parse(pages, "chunk_bytes", &sum->chunk_bytes) ||
	     !hash_parse(pages, "hash", &sum->hash)))
		return false;
	read.partition = (int32_t)partition;
	*row = read;
	return true;
}

void snapshot_origin_append(const struct snapshot_origin *origin, const struct index_record *record,
                            struct buffer *json)
{
	char at[25];

	clock_print(clock_wall_ms(), at);
	buffer_printf(json, "{\"format\":%d,\"cluster\":", SNAPSHOT_FORMAT);
	json_append_string(json, slice_string(origin->cluster));
	buffer_printf(json, ",\"index\":\"%016" PRIx64 "\",\"uid\":", origin->index_id);
	json_append_string(json, slice_string(origin->uid));
	buffer_printf(json, ",\"partitions\":%" PRId32 ",\"taken_at\":\"%s\",\"record\":", origin->partitions,
	              at);
	catalog_write_index(json, record);
}

int snapshot_origin_parse(struct snapshot_origin *origin, yyjson_val *json, struct error *error)
{
	struct snapshot_origin read = {.index_id = 0};
	int64_t format;
	int64_t partitions;

	if (!json_get_i64(json, "format", &format) || !number_parse(json, "partitions", &partitions) ||
	    partitions > INDEX_PARTITIONS_MAX || !hash_parse(json, "index", &read.index_id) ||
	    !text_parse(json, "cluster", read.cluster, sizeof read.cluster) ||
	    !text_parse(json, "uid", read.uid, sizeof read.uid))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_REJECT, "it is not a snapshot's");
	if (format != SNAPSHOT_FORMAT)
		return error_set(error, ERROR_VERSION, ERROR_ACTION_REJECT,
		                 "it has format %" PRId64 ", this program reads %d", format, SNAPSHOT_FORMAT);
	read.partitions = (int32_t)partitions;
	*origin = read;
	return 0;
}
