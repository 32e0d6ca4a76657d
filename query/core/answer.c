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

enum selection {
	SELECTION_NONE = 0,
	SELECTION_PART,
	SELECTION_WHOLE
};

/* Where the value called `key` at `path` (names joined by dots, ending in one or empty) stands among the fields. */
static enum selection select_key(const struct listing_request *request, struct slice path, struct slice key)
{
	enum selection selection = SELECTION_NONE;
	struct buffer quoted;
	struct slice name;

	for (size_t i = 0; i < request->fields_len; i++) {
		struct slice field = request->fields[i];

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

static void append_part(struct buffer *body, const struct listing_request *request, struct buffer *path,
                        struct slice value);

/* Whether what stands there from `from` on is {} or []. */
static bool is_empty(const struct buffer *body, size_t from)
{
	return body->len == from + 2 && !buffer_failed(body);
}

static void append_members(struct buffer *body, const struct listing_request *request, struct buffer *path,
                           struct json_walk *walk)
{
	size_t path_len = path->len;
	struct slice key;
	struct slice value;
	bool first = true;
	size_t before;
	size_t from;

	buffer_put_u8(body, '{');
	while (json_walk_next(walk, &key, &value)) {
		enum selection selection = select_key(request, buffer_slice(path), key);

		if (selection == SELECTION_PART && value.ptr[0] != '{' && value.ptr[0] != '[')
			selection = SELECTION_NONE;
		if (selection == SELECTION_NONE)
			continue;
		before = body->len;
		buffer_append_string(body, first ? "" : ",");
		buffer_append_slice(body, key);
		buffer_put_u8(body, ':');
		if (selection == SELECTION_WHOLE) {
			buffer_append_slice(body, value);
			first = false;
			continue;
		}
		buffer_append(path, key.ptr + 1, key.len - 2);
		buffer_put_u8(path, '.');
		from = body->len;
		append_part(body, request, path, value);
		path->len = path_len;
		/* an object of which nothing is selected is left out, a list is not */
		if (value.ptr[0] == '{' && is_empty(body, from))
			body->len = before;
		else
			first = false;
	}
	buffer_put_u8(body, '}');
}

/* An object's selected members, or the same of an array's objects; depth is the document's, which is bounded. */
static void append_part(struct buffer *body, const struct listing_request *request, struct buffer *path,
                        struct slice value)
{
	struct json_walk walk;
	struct slice key;
	struct slice item;
	bool first = true;
	size_t before;
	size_t from;

	if (!json_walk_begin(&walk, value))
		return;
	if (walk.object) {
		append_members(body, request, path, &walk);
		return;
	}
	buffer_put_u8(body, '[');
	while (json_walk_next(&walk, &key, &item)) {
		if (item.ptr[0] != '{' && item.ptr[0] != '[')
			continue;
		before = body->len;
		buffer_append_string(body, first ? "" : ",");
		from = body->len;
		append_part(body, request, path, item);
		if (is_empty(body, from))
			body->len = before;
		else
			first = false;
	}
	buffer_put_u8(body, ']');
}

void answer_append_member(struct buffer *body, struct slice member)
{
	size_t last = body->len - 1;

	if (buffer_failed(body))
		return;
	body->len--;
	while (body->ptr[last - 1] == ' ' || (body->ptr[last - 1] >= '\t' && body->ptr[last - 1] <= '\r'))
		last--;
	buffer_append_string(body, body->ptr[last - 1] == '{' ? "" : ",");
	buffer_append_slice(body, member);
	buffer_put_u8(body, '}');
}

void answer_document(struct buffer *body, const struct listing_request *request, struct slice document)
{
	struct buffer path;
	struct slice own;

	if (!request->has_fields) {
		buffer_append_slice(body, document);
	} else {
		buffer_init(&path, SIZE_MAX);
		append_part(body, request, &path, document);
		buffer_deinit(&path);
	}
	if (request->vectors && !json_text_member(document, "_vectors", &own))
		answer_append_member(body, slice_string("\"_vectors\":{}"));
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

void answer_append_paging(struct buffer *body, const struct search_request *request, int64_t total)
{
	uint64_t size = request->hits_per_page;
	uint64_t pages = size > 0 ? (uint64_t)total / size + ((uint64_t)total % size > 0) : 0;

	if (request->by_page)
		buffer_printf(body,
		              ",\"hitsPerPage\":%" PRIu64 ",\"page\":%" PRIu64 ",\"totalPages\":%" PRIu64
		              ",\"totalHits\":%" PRId64,
		              size, request->page, pages, total);
	else
		buffer_printf(body,
		              ",\"limit\":%" PRIu64 ",\"offset\":%" PRIu64 ",\"estimatedTotalHits\":%" PRId64,
		              request->limit, request->offset, total);
}

void answer_search(struct buffer *body, const struct search_request *request,
                   const struct search_outcome *outcome)
{
	buffer_append_string(body, "{\"hits\":[");
	for (size_t i = 0; i < outcome->hits_len; i++) {
		if (i > 0)
			buffer_put_u8(body, ',');
		buffer_append_slice(body, outcome->hits[i].document);
	}
	buffer_append_string(body, "],\"query\":");
	json_append_string(body, request->q);
	buffer_printf(body, ",\"processingTimeMs\":%" PRId64, outcome->took_ms);
	answer_append_paging(body, request, outcome->total);
	if (request->facets.len > 0) {
		buffer_put_u8(body, ',');
		facet_merge_append(outcome->facets, outcome->settings, body);
	}
	buffer_printf(body, ",\"requestUid\":\"%s\"}", outcome->uuid);
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

static void append_cut(struct buffer *body, const struct node_hit *cut)
{
	buffer_printf(body, ",\"cut\":{\"rank\":\"%.*s\",\"ts\":%" PRId64 ",\"seq\":%" PRIu32 ",\"id\":",
	              SLICE_ARGS(cut->rank), cut->key.timestamp_ms, cut->key.seq);
	json_append_string(body, cut->id);
	buffer_put_u8(body, '}');
}

static void append_search(struct buffer *body, const struct search_request *request,
                          const struct merge_words *words)
{
	buffer_append_slice(body, request->asked);
	if (request->by_page)
		buffer_append_string(body, ",\"byPage\":true");
	if (words->all_known)
		buffer_printf(body, ",\"known\":%" PRIu32, words->known);
	if (words->has_rarest)
		buffer_printf(body, ",\"rarest\":%zu", words->rarest);
	if (words->paths.ptr != NULL)
		buffer_printf(body, ",\"paths\":\"%.*s\"", SLICE_ARGS(words->paths));
	if (words->equal)
		buffer_append_string(body, ",\"equal\":true");
	if (words->ids.ptr != NULL)
		buffer_printf(body, ",\"ids\":%.*s", SLICE_ARGS(words->ids));
	if (words->cut != NULL)
		append_cut(body, words->cut);
	if (words->counted.ptr != NULL)
		buffer_printf(body, ",\"union\":[{\"documents\":true,\"ids\":%.*s}]",
		              SLICE_ARGS(words->counted));
}

void ask_counted(struct buffer *body, uint64_t limit, const struct search_request *request,
                 const struct merge_words *words)
{
	buffer_printf(body, "{\"limit\":%" PRIu64, limit);
	append_search(body, request, words);
	buffer_put_u8(body, '}');
}

void ask_search(struct buffer *body, const struct node_question *question,
                const struct search_request *request, const struct search_asking *asking)
{
	char id[17];

	index_id_print(asking->index_id, id);
	buffer_append_string(body, "{");
	if (asking->has_cutoff)
		buffer_printf(body, "\"cutoff\":%" PRIu64 ",", asking->cutoff_ms);
	buffer_printf(body, "\"shards\":[{\"index\":\"%s\",", id);
	append_partitions(body, question);
	buffer_printf(body, "}],\"settings\":%" PRId64 ",\"limit\":%" PRIu64, asking->settings_version,
	              question->hits_max);
	append_search(body, request, &asking->words);
	append_conditions(body, question, asking->stale);
}

void ask_aside(struct buffer *body, uint64_t index_id, const struct node_question *question,
               struct slice members, bool stale)
{
	char id[17];

	index_id_print(index_id, id);
	buffer_printf(body, "{\"shards\":[{\"index\":\"%s\",", id);
	append_partitions(body, question);
	buffer_append_string(body, "}],\"limit\":0,");
	buffer_append_slice(body, members);
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
