/* One shard's copy, to a node that waits for it. */
#include "shared/cli/cli_restore.h"
#include "shared/runtime/clock.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define PIECE_BYTES (64U << 10) /* of a head */
#define POST_MS 60000           /* its piece, or a page, is on disk by then */
#define WAIT_MS 250
#define PATIENCE_MS 60000 /* without a piece that the node took */
#define URL_BYTES (NODE_URL_BYTES_MAX + 256)
#define ANSWER_BYTES_MAX 65536

struct giving {
	struct restore *restore;
	const struct restore_row *row;
	const struct restore_replica *replica;
	bool head_first; /* the node asks for the head, again */
	bool whole;
	uint8_t after[SNAPSHOT_KEY_BYTES_MAX]; /* the last chunk that is on its disk */
	size_t after_len;
	uint8_t furthest[SNAPSHOT_KEY_BYTES_MAX]; /* of those, since it began anew */
	size_t furthest_len;
	size_t head_len;  /* as much of the head as it ever took */
	int64_t taken_ms; /* when it took something last that it had not taken before */
};

/* ---- one piece ---- */

static int refused(struct giving *giving, int status, struct slice text, struct error *error)
{
	enum error_action action = status == 400 || status == 413 || status == 422 || status == 507
	                                   ? ERROR_ACTION_FATAL
	                                   : ERROR_ACTION_RETRY;
	yyjson_doc *doc = NULL;
	struct error ignored;
	const char *message = "";

	if (json_parse_typed(text, &doc, &ignored) == 0)
		message = cli_text(yyjson_doc_get_root(doc), "message");
	giving->head_first = giving->head_first || status == 409;
	if (status == 409)
		giving->furthest_len = 0;
	(void)error_set(error, ERROR_STATE, action, "node %s answers with status %d: %.250s",
	                giving->replica->node, status, message);
	yyjson_doc_free(doc);
	return error->code;
}

static int unreadable(const struct giving *giving, struct error *error)
{
	return error_set(error, ERROR_FORMAT, ERROR_ACTION_FATAL,
	                 "node %s answers what this version does not know; is its millrace-shard of this "
	                 "version?",
	                 giving->replica->node);
}

static int digit_of(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool after_parse(struct giving *giving, struct slice text)
{
	if (text.len % 2 != 0 || text.len / 2 > sizeof giving->after)
		return false;
	for (size_t i = 0; i < text.len / 2; i++) {
		int high = digit_of(text.ptr[2 * i]);
		int low = digit_of(text.ptr[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		giving->after[i] = (uint8_t)(high << 4 | low);
	}
	giving->after_len = text.len / 2;
	return true;
}

/* The same again is none: who takes the head and then nothing would be tried for ever. */
static void progress_note(struct giving *giving, size_t head_len)
{
	struct slice after = slice_of(giving->after, giving->after_len);

	if (head_len <= giving->head_len &&
	    slice_compare(after, slice_of(giving->furthest, giving->furthest_len)) <= 0)
		return;
	giving->taken_ms = clock_monotonic_ms();
	giving->head_len = head_len > giving->head_len ? head_len : giving->head_len;
	memcpy(giving->furthest, giving->after, giving->after_len);
	giving->furthest_len = giving->after_len;
}

/* {"after","whole"}, or {"at"} while the head is under way. */
static int place_read(struct giving *giving, struct slice text, struct error *error)
{
	yyjson_doc *doc = NULL;
	struct slice after;
	bool known;

	if (json_parse_typed(text, &doc, error) != 0)
		return unreadable(giving, error);
	known = yyjson_obj_get(yyjson_doc_get_root(doc), "at") != NULL ||
	        (json_get_string(yyjson_doc_get_root(doc), "after", &after) && after_parse(giving, after) &&
	         json_get_bool(yyjson_doc_get_root(doc), "whole", &giving->whole));
	yyjson_doc_free(doc);
	return known ? 0 : unreadable(giving, error);
}

/* `query` follows "?index=…&partition=…&head=…". */
static int post(struct giving *giving, const char *path, const char *query, struct slice bytes,
                struct error *error)
{
	char url[URL_BYTES];
	char head[33];
	struct buffer body;
	struct buffer answer;
	struct http_client_request request = {.method = "POST",
	                                      .url = url,
	                                      .node = giving->replica->node,
	                                      .content_type = "application/octet-stream",
	                                      .body = &body,
	                                      .timeout_ms = POST_MS};
	int status = 0;
	int rc;

	hash128_print(giving->row->copy.head, head);
	(void)snprintf(url, sizeof url, "%s%s?index=%016" PRIx64 "&partition=%" PRId32 "&head=%s%s",
	               giving->replica->url, path, giving->restore->found.origin.index_id,
	               giving->row->snapshot->partition, head, query);
	buffer_init(&body, bytes.len);
	buffer_init(&answer, ANSWER_BYTES_MAX);
	buffer_append_slice(&body, bytes);
	rc = buffer_failed(&body)
	             ? error_memory(error, bytes.len)
	             : http_client_ask(giving->restore->client, &request, &status, &answer, error);
	if (rc == 0 && status != 200)
		rc = refused(giving, status, buffer_slice(&answer), error);
	if (rc == 0)
		rc = place_read(giving, buffer_slice(&answer), error);
	buffer_deinit(&body);
	buffer_deinit(&answer);
	return rc;
}

/* ---- the head ---- */

static int head_give(struct giving *giving, struct error *error)
{
	char name[SNAPSHOT_NAME_BYTES_MAX];
	char query[96];
	struct buffer head;
	int rc;

	giving->head_first = false;
	snapshot_name_print(giving->row->snapshot, "head", name);
	buffer_init(&head, SNAPSHOT_HEAD_BYTES_MAX);
	rc = snapshot_file_read(giving->restore->directory, name, &head, error);
	for (size_t at = 0; rc == 0 && at < head.len && !giving->whole; at += PIECE_BYTES) {
		size_t len = head.len - at < PIECE_BYTES ? head.len - at : PIECE_BYTES;

		(void)snprintf(query, sizeof query, "&at=%zu&bytes=%zu", at, head.len);
		rc = post(giving, "/copy", query, slice_of(head.ptr + at, len), error);
		if (rc == 0)
			progress_note(giving, at + len);
	}
	buffer_deinit(&head);
	return rc;
}

/* ---- the pages ---- */

/* What of the page comes behind the node's last chunk. Pages of a checked file are read without surprise. */
static struct slice rest_of(const struct giving *giving, struct slice page)
{
	struct slice after = slice_of(giving->after, giving->after_len);
	struct reader reader = reader_of(page);

	while (reader_left(&reader) > 0) {
		const uint8_t *entry = reader.ptr;
		struct slice key = reader_take(&reader, reader_u16(&reader));

		(void)reader_bytes(&reader);
		if (reader_failed(&reader))
			break;
		if (slice_compare(key, after) > 0)
			return slice_of(entry, (size_t)(page.ptr + page.len - entry));
	}
	return slice_of(page.ptr, 0);
}

static int pages_give(struct giving *giving, struct snapshot_pages *pages, uint8_t *room, struct error *error)
{
	size_t len;
	int rc;

	while ((rc = snapshot_pages_next(pages, room, &len, error)) == 1) {
		struct slice rest = rest_of(giving, slice_of(room, len));

		if (rest.len > 0 && post(giving, "/copy/chunks", "", rest, error) != 0)
			return error->code;
		progress_note(giving, 0);
		giving->restore->show(giving->restore->context, giving->row, &pages->sum);
		if (giving->whole)
			return 0;
	}
	if (rc != 0)
		return rc;
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
	                 "node %s has all pages of shard %" PRId32 " and misses more", giving->replica->node,
	                 giving->row->snapshot->partition);
}

static int rest_give(struct giving *giving, struct error *error)
{
	uint8_t *room = malloc(SNAPSHOT_PAGE_BYTES_MAX);
	struct snapshot_pages pages;
	int rc;

	if (room == NULL)
		return error_memory(error, SNAPSHOT_PAGE_BYTES_MAX);
	rc = snapshot_pages_begin(&pages, giving->restore->directory, giving->row->snapshot, error);
	if (rc == 0) {
		rc = pages_give(giving, &pages, room, error);
		snapshot_pages_close(&pages);
	}
	free(room);
	return rc;
}

/* ---- all of it ---- */

/* Everything is asked again from the head on: the node says where it goes on. */
static int attempt(struct giving *giving, struct error *error)
{
	if (head_give(giving, error) != 0)
		return error->code;
	return giving->whole ? 0 : rest_give(giving, error);
}

int restore_shard_give(struct restore *restore, const struct restore_row *row,
                       const struct restore_replica *replica, struct error *error)
{
	struct giving giving = {
		.restore = restore, .row = row, .replica = replica, .taken_ms = clock_monotonic_ms()};

	while (attempt(&giving, error) != 0) {
		if (error->action == ERROR_ACTION_FATAL || error->code == ERROR_DAMAGED ||
		    clock_monotonic_ms() - giving.taken_ms >= PATIENCE_MS)
			return error_prefix(error, "shard %" PRId32 " of node %s", row->snapshot->partition,
			                    replica->node);
		(void)poll(NULL, 0, WAIT_MS);
	}
	return 0;
}
