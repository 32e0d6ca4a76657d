#include "query/core/answer.h"

#include "query/core/json_text.h"
#include "shared/json/json.h"

#include <inttypes.h>
#include <stdio.h>

void uuid7_print(int64_t wall_ms, const uint8_t random[10], char text[UUID_BYTES])
{
	uint64_t ms = (uint64_t)wall_ms & 0xffffffffffffULL;
	unsigned a = 0x7000U | ((unsigned)random[0] << 8 & 0xf00U) | random[1];
	unsigned b = 0x8000U | ((unsigned)random[2] << 8 & 0x3f00U) | random[3];

	(void)snprintf(text, UUID_BYTES, "%08x-%04x-%04x-%04x-%02x%02x%02x%02x%02x%02x", (unsigned)(ms >> 16),
	               (unsigned)(ms & 0xffff), a & 0xffffU, b & 0xffffU, random[4], random[5], random[6],
	               random[7], random[8], random[9]);
}

/* ---- documents ---- */

/* The next name of a CSV list; false after the last. */
static bool next_field(struct slice *list, struct slice *field)
{
	const uint8_t *comma;

	if (list->ptr == NULL)
		return false;
	comma = list->len > 0 ? memchr(list->ptr, ',', list->len) : NULL;
	if (comma == NULL) {
		*field = *list;
		*list = slice_of(NULL, 0);
		return true;
	}
	*field = slice_of(list->ptr, (size_t)(comma - list->ptr));
	*list = slice_of(comma + 1, list->len - field->len - 1);
	return true;
}

enum selection {
	SELECTION_NONE = 0,
	SELECTION_PART,
	SELECTION_WHOLE
};

/* Where the value called `key` at `path` (names joined by dots, ending in one or empty) stands in the list. */
static enum selection select_key(struct slice list, struct slice path, struct slice key)
{
	enum selection selection = SELECTION_NONE;
	struct slice field;
	struct buffer quoted;
	struct slice name;

	while (next_field(&list, &field)) {
		if (!slice_starts_with(field, path))
			continue;
		field = slice_of(field.ptr + path.len, field.len - path.len);
		if (json_text_key_is(key, field))
			return SELECTION_WHOLE;
		/* `a.b` selects part of `a`; a key with escapes is compared by its spelling here */
		buffer_init(&quoted, SIZE_MAX);
		json_append_string(&quoted, field);
		name = buffer_slice(&quoted);
		if (key.len > 2 && name.len > key.len && name.ptr[key.len - 1] == '.' &&
		    memcmp(name.ptr, key.ptr, key.len - 1) == 0)
			selection = SELECTION_PART;
		buffer_deinit(&quoted);
	}
	return selection;
}

static void append_part(struct buffer *body, struct slice list, struct buffer *path, struct slice value);

static void append_members(struct buffer *body, struct slice list, struct buffer *path,
                           struct json_walk *walk)
{
	size_t path_len = path->len;
	struct slice key;
	struct slice value;
	bool first = true;

	buffer_put_u8(body, '{');
	while (json_walk_next(walk, &key, &value)) {
		enum selection selection = select_key(list, buffer_slice(path), key);

		if (selection == SELECTION_PART && value.ptr[0] != '{' && value.ptr[0] != '[')
			selection = SELECTION_NONE;
		if (selection == SELECTION_NONE)
			continue;
		if (!first)
			buffer_put_u8(body, ',');
		first = false;
		buffer_append_slice(body, key);
		buffer_put_u8(body, ':');
		if (selection == SELECTION_WHOLE) {
			buffer_append_slice(body, value);
			continue;
		}
		buffer_append(path, key.ptr + 1, key.len - 2);
		buffer_put_u8(path, '.');
		append_part(body, list, path, value);
		path->len = path_len;
	}
	buffer_put_u8(body, '}');
}

/* An object's selected members, or the same of an array's objects; depth is the document's, which is bounded. */
static void append_part(struct buffer *body, struct slice list, struct buffer *path, struct slice value)
{
	struct json_walk walk;
	struct slice key;
	struct slice item;
	bool first = true;

	if (!json_walk_begin(&walk, value))
		return;
	if (walk.object) {
		append_members(body, list, path, &walk);
		return;
	}
	buffer_put_u8(body, '[');
	while (json_walk_next(&walk, &key, &item)) {
		if (item.ptr[0] != '{' && item.ptr[0] != '[')
			continue;
		if (!first)
			buffer_put_u8(body, ',');
		first = false;
		append_part(body, list, path, item);
	}
	buffer_put_u8(body, ']');
}

void answer_document(struct buffer *body, const struct listing_request *request, struct slice document)
{
	struct buffer path;

	if (!request->has_fields) {
		buffer_append_slice(body, document);
		return;
	}
	buffer_init(&path, SIZE_MAX);
	append_part(body, request->fields, &path, document);
	buffer_deinit(&path);
}

void answer_documents(struct buffer *body, const struct listing_request *request, const struct node_hit *hits,
                      size_t hits_len, int64_t total)
{
	buffer_append_string(body, "{\"results\":[");
	for (size_t i = 0; i < hits_len; i++) {
		if (i > 0)
			buffer_put_u8(body, ',');
		answer_document(body, request, hits[i].document);
	}
	buffer_printf(body, "],\"offset\":%" PRIu64 ",\"limit\":%" PRIu64 ",\"total\":%" PRId64 "}",
	              request->offset, request->limit, total);
}

/* ---- searches ---- */

void answer_search(struct buffer *body, const struct search_request *request,
                   const struct search_outcome *outcome)
{
	int64_t total = outcome->total < SEARCH_HITS_MAX ? outcome->total : SEARCH_HITS_MAX;

	buffer_append_string(body, "{\"hits\":[");
	for (size_t i = 0; i < outcome->hits_len; i++) {
		if (i > 0)
			buffer_put_u8(body, ',');
		buffer_append_slice(body, outcome->hits[i].document);
	}
	buffer_append_string(body, "],\"query\":");
	json_append_string(body, request->q);
	buffer_printf(body,
	              ",\"processingTimeMs\":%" PRId64 ",\"limit\":%" PRIu64 ",\"offset\":%" PRIu64
	              ",\"estimatedTotalHits\":%" PRId64 ",\"requestUid\":\"%s\"}",
	              outcome->took_ms, request->limit, request->offset, total, outcome->uuid);
}

/* ---- questions to nodes ---- */

static void append_partitions(struct buffer *body, const struct node_question *question)
{
	buffer_append_string(body, "\"partitions\":[");
	for (size_t i = 0; i < question->partitions_len; i++)
		buffer_printf(body, "%s%d", i > 0 ? "," : "", question->partitions[i]);
	buffer_put_u8(body, ']');
}

/* What every question ends with; partitions for which any offset will do are not named. */
static void append_conditions(struct buffer *body, const struct node_question *question, bool stale)
{
	const char *before = ",\"tokens\":[";

	for (size_t i = 0; question->required != NULL && i < question->partitions_len; i++) {
		int32_t p = question->partitions[i];

		if (question->required[p] == 0)
			continue;
		buffer_printf(body, "%s{\"p\":%d,\"offset\":%" PRId64 "}", before, p, question->required[p]);
		before = ",";
	}
	buffer_printf(body, "%s,\"stale\":%s}", before[1] == '\0' ? "]" : "", stale ? "true" : "false");
}

void ask_search(struct buffer *body, uint64_t index_id, const struct node_question *question,
                const struct search_request *request, bool stale)
{
	char id[17];

	index_id_print(index_id, id);
	buffer_printf(body, "{\"shards\":[{\"index\":\"%s\",", id);
	append_partitions(body, question);
	buffer_append_string(body, "}],\"q\":");
	json_append_string(body, request->q);
	buffer_printf(body, ",\"limit\":%" PRIu64, question->hits_max);
	append_conditions(body, question, stale);
}

void ask_list(struct buffer *body, uint64_t index_id, const struct node_question *question, struct page page,
              bool stale)
{
	char id[17];

	index_id_print(index_id, id);
	buffer_printf(body, "{\"index\":\"%s\",", id);
	append_partitions(body, question);
	buffer_printf(body, ",\"offset\":%" PRIu64 ",\"limit\":%" PRIu64, page.offset, page.limit);
	append_conditions(body, question, stale);
}

void ask_get(struct buffer *body, uint64_t index_id, const struct node_question *question, struct slice id,
             bool stale)
{
	char index[17];

	index_id_print(index_id, index);
	buffer_printf(body, "{\"index\":\"%s\",\"partition\":%d,\"id\":", index, question->partitions[0]);
	json_append_string(body, id);
	append_conditions(body, question, stale);
}
