#include "query/bodies.h"

#include "query/core/error_answer.h"
#include "query/core/route_request.h"
#include "shared/json/json.h"
#include "shared/meta/source.h"
#include "shared/runtime/clock.h"

#include <inttypes.h>

static void append_member(struct buffer *body, const char *name, const char *text)
{
	buffer_printf(body, "\"%s\":", name);
	json_append_string(body, slice_string(text));
}

static void append_time(struct buffer *body, const char *name, int64_t wall_ms)
{
	char text[25];

	clock_print(wall_ms, text);
	append_member(body, name, text);
}

/* The generation in the making that will have its name. */
static void append_rebuilding(struct buffer *body, const struct catalog *catalog,
                              const struct index_record *index)
{
	const struct index_record *next;
	size_t at = 0;
	char id[17];

	while ((next = catalog_next_index(catalog, &at)) != NULL)
		if (next->state != INDEX_STATE_DELETED && next->replaces == index->id) {
			index_id_print(next->id, id);
			buffer_printf(body, ",\"rebuilding\":{\"id\":\"%s\",\"generation\":%d}", id,
			              next->generation);
		}
}

void body_index(struct buffer *body, const struct catalog *catalog, const struct index_record *index)
{
	char id[17];

	buffer_put_u8(body, '{');
	append_member(body, "uid", index->uid);
	buffer_put_u8(body, ',');
	append_time(body, "createdAt", index->created_at_ms);
	buffer_put_u8(body, ',');
	append_time(body, "updatedAt", index->updated_at_ms);
	buffer_put_u8(body, ',');
	append_member(body, "primaryKey", index->primary_key);
	if (catalog != NULL) {
		index_id_print(index->id, id);
		buffer_printf(body, ",\"id\":\"%s\",\"generation\":%d,", id, index->generation);
		append_member(body, "topic", index->topic);
		buffer_printf(body,
		              ",\"partitions\":%d,\"partitioner\":\"%s\",\"contract\":%" PRIu32
		              ",\"dedupWindow\":%" PRId64 ",\"sources\":",
		              index->partitions, partitioner_name(index->partitioner), index->rules.contract,
		              index->rules.dedup_window);
		sources_append(body, index->sources, index->sources_len);
		append_rebuilding(body, catalog, index);
	}
	buffer_put_u8(body, '}');
}

void body_indexes(struct buffer *body, const struct catalog *catalog, const struct listing_request *request,
                  bool admin)
{
	struct slice uid;
	uint64_t index_id;
	uint64_t total = 0;
	uint64_t shown = 0;
	size_t at = 0;

	buffer_append_string(body, "{\"results\":[");
	while (catalog_next_name(catalog, &at, &uid, &index_id)) {
		const struct index_record *index = catalog_resolve(catalog, uid);

		if (index == NULL)
			continue; /* named, but not active */
		if (total++ < request->offset || shown == request->limit)
			continue;
		if (shown++ > 0)
			buffer_put_u8(body, ',');
		body_index(body, admin ? catalog : NULL, index);
	}
	buffer_printf(body, "],\"offset\":%" PRIu64 ",\"limit\":%" PRIu64 ",\"total\":%" PRIu64 "}",
	              request->offset, request->limit, total);
}

static void append_duration(struct buffer *body, int64_t ms)
{
	if (ms < 0)
		ms = 0;
	buffer_printf(body, "\"PT%" PRId64 ".%03" PRId64 "S\"", ms / 1000, ms % 1000);
}

static void append_details(struct buffer *body, const struct task_entry *entry)
{
	buffer_append_string(body, ",\"details\":");
	if (entry->type == TASK_TYPE_INDEX_CREATION) {
		buffer_put_u8(body, '{');
		append_member(body, "primaryKey", entry->primary_key);
		buffer_put_u8(body, '}');
	} else if (entry->details.len > 0) {
		buffer_append_slice(body, entry->details);
	} else {
		buffer_append_string(body, "null");
	}
}

static void append_final(struct buffer *body, const struct task_entry *entry)
{
	const struct task_final *final = &entry->final;

	buffer_append_string(body, ",\"error\":");
	if (!entry->has_final || final->succeeded)
		buffer_append_string(body, "null");
	else
		error_answer_append(body, slice_string(final->code), slice_string(final->message));
	buffer_append_string(body, ",\"duration\":");
	if (entry->has_final)
		append_duration(body, final->finished_at_ms - final->started_at_ms);
	else
		buffer_append_string(body, "null");
	buffer_put_u8(body, ',');
	append_time(body, "enqueuedAt", entry->enqueued_at_ms);
	if (!entry->has_final) {
		buffer_append_string(body, ",\"startedAt\":null,\"finishedAt\":null");
		return;
	}
	buffer_put_u8(body, ',');
	append_time(body, "startedAt", final->started_at_ms);
	buffer_put_u8(body, ',');
	append_time(body, "finishedAt", final->finished_at_ms);
}

void body_task(struct buffer *body, const struct task_entry *entry)
{
	const char *status = "enqueued";

	if (entry->has_final)
		status = entry->final.succeeded ? "succeeded" : "failed";
	buffer_printf(body, "{\"uid\":%" PRId64 ",\"batchUid\":null,", entry->task);
	append_member(body, "indexUid", entry->uid);
	buffer_printf(body, ",\"status\":\"%s\",\"type\":\"%s\",\"canceledBy\":null", status,
	              task_type_name(entry->type));
	append_details(body, entry);
	append_final(body, entry);
	buffer_put_u8(body, '}');
}

void body_accepted(struct buffer *body, int64_t task, const struct task_request *request)
{
	buffer_printf(body, "{\"taskUid\":%" PRId64 ",", task);
	append_member(body, "indexUid", request->uid);
	buffer_printf(body, ",\"status\":\"enqueued\",\"type\":\"%s\",", task_type_name(request->type));
	append_time(body, "enqueuedAt", request->enqueued_at_ms);
	buffer_put_u8(body, '}');
}

void body_index_stats(struct buffer *body, const struct index_stats *stats)
{
	int64_t average = stats->documents > 0 ? stats->body_bytes / stats->documents : 0;

	/* how often each field occurs is not counted; clients expect the key */
	buffer_printf(body,
	              "{\"numberOfDocuments\":%" PRId64 ",\"rawDocumentDbSize\":%" PRId64
	              ",\"avgDocumentSize\":%" PRId64
	              ",\"isIndexing\":%s,\"numberOfEmbeddings\":0,\"numberOfEmbeddedDocuments\":0,"
	              "\"fieldDistribution\":{}}",
	              stats->documents, stats->body_bytes, average, stats->indexing ? "true" : "false");
}

void body_stats(struct buffer *body, const struct catalog *catalog, const struct stats *stats)
{
	struct buffer indexes;
	struct slice uid;
	uint64_t index_id;
	int64_t bytes = 0;
	int64_t updated_at_ms = -1;
	size_t at = 0;

	buffer_init(&indexes, body->len_max);
	while (catalog_next_name(catalog, &at, &uid, &index_id)) {
		const struct index_record *index = catalog_resolve(catalog, uid);
		struct index_stats sums;

		if (index == NULL)
			continue;
		stats_of_index(stats, index, &sums);
		bytes += sums.body_bytes;
		if (index->updated_at_ms > updated_at_ms)
			updated_at_ms = index->updated_at_ms;
		if (indexes.len > 0)
			buffer_put_u8(&indexes, ',');
		json_append_string(&indexes, uid);
		buffer_put_u8(&indexes, ':');
		body_index_stats(&indexes, &sums);
	}
	buffer_printf(body, "{\"databaseSize\":%" PRId64 ",\"usedDatabaseSize\":%" PRId64 ",", bytes, bytes);
	if (updated_at_ms >= 0)
		append_time(body, "lastUpdate", updated_at_ms);
	else
		buffer_append_string(body, "\"lastUpdate\":null");
	buffer_append_string(body, ",\"indexes\":{");
	buffer_append_slice(body, buffer_slice(&indexes));
	buffer_append_string(body, "}}");
	if (buffer_failed(&indexes))
		body->failed = true;
	buffer_deinit(&indexes);
}
