#include "shard/core/search_aside.h"

#include "shard/core/reading.h"
#include "shard/core/search_facets.h"
#include "shared/base/map.h"

#include <stdlib.h>

bool search_aside_is_asked(const struct search_question *question)
{
	return question->spellings.list != NULL || question->paths_known;
}

/* ---- spellings ---- */

static int spellings_append(const struct search_reply_request *request, struct buffer *json, size_t *failed,
                            struct error *error)
{
	const struct search_spellings *asked = &request->question->spellings;
	struct facets_scope scope = {.words = request->words,
	                             .snapshots = request->snapshots,
	                             .len = request->len,
	                             .watch = request->watch};
	int rc = 0;

	buffer_append_string(json, ",\"spellings\":{");
	for (size_t i = 0; rc == 0 && i < asked->len; i++) {
		if (request->watch != NULL && watch_look(request->watch, error) != 0)
			return error->code;
		buffer_append_string(json, i == 0 ? "" : ",");
		json_append_string(json, asked->list[i].path);
		buffer_append_string(json, ":");
		rc = search_spell(&scope, asked->list[i].path, &asked->list[i].folded, json, error);
	}
	buffer_append_string(json, "}");
	*failed = scope.failed;
	return rc;
}

/* ---- paths ---- */

/* The path and what it is nested in; both live as long as the snapshot. */
static bool path_put(struct map *paths, struct slice path)
{
	for (size_t len = 1; len <= path.len; len++)
		if ((len == path.len || path.ptr[len] == '.') && !map_put(paths, slice_of(path.ptr, len), 0))
			return false;
	return true;
}

static bool snapshot_put(struct map *paths, const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->fields->len; i++)
		if (!path_put(paths, snapshot->fields->paths[i]))
			return false;
	return true;
}

static int path_compare(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static int paths_write(const struct search_reply_request *request, const struct map *paths,
                       struct buffer *json, struct error *error)
{
	struct slice *list = arena_alloc(request->arena, (paths->count + 1) * sizeof *list);
	const struct map_entry *entry;
	size_t len = 0;
	size_t at = 0;

	if (list == NULL)
		return error_memory(error, paths->count * sizeof *list);
	while ((entry = map_next(paths, &at)) != NULL)
		list[len++] = entry->key;
	qsort(list, len, sizeof *list, path_compare);
	buffer_append_string(json, ",\"pathsKnown\":[");
	for (size_t i = 0; i < len; i++) {
		buffer_append_string(json, i == 0 ? "" : ",");
		json_append_string(json, list[i]);
	}
	buffer_append_string(json, "]");
	return 0;
}

static int paths_append(const struct search_reply_request *request, struct buffer *json, struct error *error)
{
	struct map paths;
	bool put = true;
	int rc;

	map_init(&paths);
	for (size_t i = 0; put && i < request->len; i++)
		put = snapshot_put(&paths, request->snapshots[i]);
	rc = put ? paths_write(request, &paths, json, error)
	         : error_memory(error, paths.count * sizeof(struct map_entry));
	map_deinit(&paths);
	return rc;
}

/* ---- all of it ---- */

int search_aside(const struct search_reply_request *request, struct buffer *json, struct search_reply *reply,
                 struct error *error)
{
	uint64_t *totals = arena_alloc(request->arena, (request->len + 1) * sizeof *totals);
	int rc = 0;

	*reply = (struct search_reply){.totals = totals, .failed = SEARCH_REPLY_NO_SHARD};
	if (totals == NULL)
		return error_memory(error, request->len * sizeof *totals);
	memset(totals, 0, (request->len + 1) * sizeof *totals);
	buffer_append_string(json, "\"total\":0,\"hits\":[]");
	if (request->question->spellings.list != NULL)
		rc = spellings_append(request, json, &reply->failed, error);
	if (rc == 0 && request->question->paths_known)
		rc = paths_append(request, json, error);
	return rc;
}
