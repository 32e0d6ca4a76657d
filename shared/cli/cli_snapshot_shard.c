/* One shard of a snapshot: its head and its pages, from a replica that serves. */
#include "shared/cli/cli_snapshot.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#define ATTEMPTS_MAX 6
#define WAIT_MS 500   /* before the second one, and so much longer each time */
#define PAGE_TRIES 3  /* of one page, before the copy is given up */
#define GET_MS 120000 /* a head may be long */
#define END_MS 5000
#define QUERY_BYTES (2 * SNAPSHOT_KEY_BYTES_MAX + 128)
#define URL_BYTES (NODE_URL_BYTES_MAX + QUERY_BYTES)

/* Whom the copy is from; borrowed from the gateway's status. */
struct giver {
	const char *node;
	const char *url;
};

struct taking {
	struct snapshot *snapshot;
	struct snapshot_row *row;
	struct giver giver;
	bool is_gone; /* the node does not keep the copy any more, or it is of no use */
};

/* ---- who has it ---- */

static int status_ask(struct snapshot *snapshot, struct error *error)
{
	struct cli_question question = {"GET", "/status", NULL, 200};

	if (snapshot->status == NULL && cli_ask(snapshot->cli, &question, &snapshot->status) != 0) {
		snapshot->status = NULL;
		return error_set(error, ERROR_NETWORK, ERROR_ACTION_RETRY, "the gateway gave no status");
	}
	return 0;
}

static const char *url_of(yyjson_val *status, const char *id)
{
	yyjson_val *node;
	size_t at;
	size_t len;

	yyjson_arr_foreach(yyjson_obj_get(status, "nodes"), at, len, node)
	{
		if (strcmp(cli_text(node, "id"), id) == 0)
			return cli_text(node, "url");
	}
	return "";
}

static yyjson_val *replicas_of(const struct taking *taking, yyjson_val *status)
{
	char index[17];
	yyjson_val *shard;
	size_t at;
	size_t len;

	index_id_print(taking->snapshot->origin.index_id, index);
	yyjson_arr_foreach(yyjson_obj_get(status, "shards"), at, len, shard)
	{
		if (strcmp(cli_text(shard, "index"), index) == 0 &&
		    cli_number(shard, "partition", -1) == taking->row->partition)
			return yyjson_obj_get(shard, "replicas");
	}
	return NULL;
}

/* Another one with every attempt. */
static int giver_choose(struct taking *taking, size_t attempt, struct error *error)
{
	yyjson_val *status = yyjson_doc_get_root(taking->snapshot->status);
	struct giver serving[REPLICAS_MAX];
	size_t serving_len = 0;
	yyjson_val *replica;
	size_t at;
	size_t len;

	yyjson_arr_foreach(replicas_of(taking, status), at, len, replica)
	{
		struct giver giver = {cli_text(replica, "node"), ""};

		giver.url = url_of(status, giver.node);
		if (serving_len < REPLICAS_MAX && giver.url[0] != '\0' && cli_flag(replica, "in_sync") &&
		    cli_flag(replica, "serving"))
			serving[serving_len++] = giver;
	}
	if (serving_len == 0)
		return error_set(error, ERROR_STATE, ERROR_ACTION_RETRY,
		                 "no replica of shard %" PRId32
		                 " serves: see millrace status; what was copied stays, the same command goes "
		                 "on",
		                 taking->row->partition);
	taking->giver = serving[attempt % serving_len];
	return 0;
}

/* ---- questions to the node ---- */

static int refused(const struct taking *taking, int status, struct slice text, struct error *error)
{
	yyjson_doc *doc = NULL;
	struct error ignored;
	const char *message = "";

	if (json_parse_typed(text, &doc, &ignored) == 0)
		message = cli_text(yyjson_doc_get_root(doc), "message");
	(void)error_set(error, ERROR_STATE, ERROR_ACTION_RETRY, "node %s answers with status %d: %.200s",
	                taking->giver.node, status, message);
	yyjson_doc_free(doc);
	return error->code;
}

/* What is asked of the node; `query` follows "?index=…&partition=…". */
struct asking {
	struct http_client_asked asked;
	struct buffer answer;
};

static int ask_begin(struct taking *taking, const char *path, const char *query, struct asking *asking,
                     struct error *error)
{
	char url[URL_BYTES];
	struct http_client_request request = {
		.method = "GET", .url = url, .node = taking->giver.node, .timeout_ms = GET_MS};

	(void)snprintf(url, sizeof url, "%s%s?index=%016" PRIx64 "&partition=%" PRId32 "%s",
	               taking->giver.url, path, taking->snapshot->origin.index_id, taking->row->partition,
	               query);
	buffer_clear(&asking->answer);
	return http_client_ask_begin(taking->snapshot->client, &request, &asking->asked, &asking->answer,
	                             error);
}

static int ask_end(struct taking *taking, struct asking *asking, struct error *error)
{
	int status = 0;

	if (http_client_ask_end(&asking->asked, &status, error) != 0)
		return error->code;
	if (status == 200)
		return 0;
	taking->is_gone = taking->is_gone || status == 410;
	return refused(taking, status, buffer_slice(&asking->answer), error);
}

/* So that the node need not keep it until it is idle; if this is lost, it does. */
static void end_copy(const struct taking *taking)
{
	char url[URL_BYTES];
	struct http_client_request request = {
		.method = "DELETE", .url = url, .node = taking->giver.node, .timeout_ms = END_MS};
	struct buffer answer;
	struct error error;
	int status;

	(void)snprintf(url, sizeof url, "%s/copy?index=%016" PRIx64 "&partition=%" PRId32 "&copy=%016" PRIx64,
	               taking->giver.url, taking->snapshot->origin.index_id, taking->row->partition,
	               taking->row->copy);
	buffer_init(&answer, CLI_ANSWER_BYTES_MAX);
	(void)http_client_ask(taking->snapshot->client, &request, &status, &answer, &error);
	buffer_deinit(&answer);
}

/* ---- the copy ---- */

static int row_write(const struct taking *taking, struct error *error)
{
	char name[SNAPSHOT_NAME_BYTES_MAX];
	struct buffer json;
	int rc;

	snapshot_name_print(taking->row, "json", name);
	buffer_init(&json, SNAPSHOT_MANIFEST_BYTES_MAX);
	snapshot_row_append(taking->row, &json);
	rc = buffer_failed(&json) ? error_memory(error, json.len_max)
	                          : snapshot_file_write(taking->snapshot->directory, name,
	                                                buffer_slice(&json), SNAPSHOT_SYNC_LATER, error);
	buffer_deinit(&json);
	return rc;
}

static int head_write(const struct taking *taking, struct slice head, struct error *error)
{
	char name[SNAPSHOT_NAME_BYTES_MAX];

	snapshot_name_print(taking->row, "head", name);
	return snapshot_file_write(taking->snapshot->directory, name, head, SNAPSHOT_SYNC_FILE, error);
}

static int copy_begin(struct taking *taking, struct error *error)
{
	struct snapshot_row *row = taking->row;
	struct asking asking;
	struct slice head;
	int rc;

	(void)snprintf(row->node, sizeof row->node, "%s", taking->giver.node);
	buffer_init(&asking.answer, SNAPSHOT_HEAD_BYTES_MAX);
	rc = ask_begin(taking, "/copy", "", &asking, error);
	if (rc == 0)
		rc = ask_end(taking, &asking, error);
	if (rc == 0)
		rc = snapshot_row_told(row, buffer_slice(&asking.answer), &head, error);
	if (rc == 0)
		rc = head_write(taking, head, error);
	if (rc == 0)
		rc = row_write(taking, error);
	buffer_deinit(&asking.answer);
	return rc;
}

/* The page behind `key`, or `skip` further. */
static int page_ask(struct taking *taking, struct slice key, unsigned skip, struct asking *asking,
                    struct error *error)
{
	char query[QUERY_BYTES];
	int len =
		snprintf(query, sizeof query, "&copy=%016" PRIx64 "&skip=%u&after=", taking->row->copy, skip);

	for (size_t i = 0; i < key.len; i++)
		len += snprintf(query + len, sizeof query - (size_t)len, "%02x", key.ptr[i]);
	return ask_begin(taking, "/copy/chunks", query, asking, error);
}

/* Pages on their way, in the order in which they come, and one that is being written. */
struct pipeline {
	struct asking askings[SNAPSHOT_PAGES_AT_ONCE + 1];
	unsigned begun; /* of all that were asked for, */
	unsigned ended; /* answered */
};

static struct asking *pipeline_at(struct pipeline *pipeline, unsigned number)
{
	return &pipeline->askings[number % (SNAPSHOT_PAGES_AT_ONCE + 1)];
}

/* Behind `key` and what was asked for behind it. */
static int pipeline_fill(struct taking *taking, struct pipeline *pipeline, struct slice key,
                         struct error *error)
{
	while (pipeline->begun - pipeline->ended < SNAPSHOT_PAGES_AT_ONCE) {
		if (page_ask(taking, key, pipeline->begun - pipeline->ended,
		             pipeline_at(pipeline, pipeline->begun), error) != 0)
			return error->code;
		pipeline->begun++;
	}
	return 0;
}

/* The next one, of no length when there are no more; `page` is there until it is asked for another one. */
static int pipeline_take(struct taking *taking, struct pipeline *pipeline, struct slice *page,
                         struct error *error)
{
	struct asking *asking = pipeline_at(pipeline, pipeline->ended++);

	if (ask_end(taking, asking, error) != 0)
		return error->code;
	*page = buffer_slice(&asking->answer);
	return 0;
}

static void pipeline_drain(struct taking *taking, struct pipeline *pipeline)
{
	struct slice page;
	struct error ignored;

	while (pipeline->ended < pipeline->begun)
		(void)pipeline_take(taking, pipeline, &page, &ignored);
}

/* The node makes the next pages while this one is written. */
static int pages_follow(struct taking *taking, struct snapshot_pages *pages, struct pipeline *pipeline,
                        struct error *error)
{
	struct slice key = slice_of(pages->last, pages->last_len);
	struct slice page;

	if (pipeline_fill(taking, pipeline, key, error) != 0)
		return error->code;
	for (;;) {
		if (pipeline_take(taking, pipeline, &page, error) != 0)
			return error->code;
		if (page.len == 0)
			return 0;
		if (snapshot_page_last(pages, page, &key, error) != 0 ||
		    pipeline_fill(taking, pipeline, key, error) != 0 ||
		    snapshot_pages_add(pages, page, error) != 0)
			return error->code;
		taking->snapshot->show(taking->snapshot->context, taking->row, &pages->sum);
	}
}

static int pages_take(struct taking *taking, struct snapshot_pages *pages, struct error *error)
{
	struct pipeline pipeline = {.begun = 0};
	int tries = 0;
	int rc;

	for (size_t i = 0; i <= SNAPSHOT_PAGES_AT_ONCE; i++)
		buffer_init(&pipeline.askings[i].answer, SNAPSHOT_PAGE_BYTES_MAX);
	do {
		int64_t before = pages->sum.pages;

		rc = pages_follow(taking, pages, &pipeline, error);
		pipeline_drain(taking, &pipeline);
		tries = pages->sum.pages > before ? 1 : tries + 1;
	} while (rc != 0 && error->action == ERROR_ACTION_RETRY && !taking->is_gone && tries < PAGE_TRIES);
	for (size_t i = 0; i <= SNAPSHOT_PAGES_AT_ONCE; i++)
		buffer_deinit(&pipeline.askings[i].answer);
	if (rc != 0 || pages->sum.chunk_bytes == taking->row->chunk_bytes)
		return rc;
	taking->is_gone = true;
	return error_set(
		error, ERROR_DAMAGED, ERROR_ACTION_RETRY,
		"node %s gave chunks of %" PRId64 " bytes for shard %" PRId32 ", its segments have %" PRId64,
		taking->giver.node, pages->sum.chunk_bytes, taking->row->partition, taking->row->chunk_bytes);
}

static int copy_go_on(struct taking *taking, struct error *error)
{
	struct snapshot_pages pages;
	int rc = snapshot_pages_open(&pages, taking->snapshot->directory, taking->row, SNAPSHOT_MODE_GO_ON,
	                             error);

	if (rc != 0)
		return rc;
	rc = pages_take(taking, &pages, error);
	if (rc == 0)
		rc = snapshot_pages_sync(&pages, error);
	snapshot_pages_close(&pages);
	if (rc != 0)
		return rc;
	taking->row->pages = pages.sum;
	taking->row->is_whole = true;
	rc = row_write(taking, error);
	end_copy(taking);
	return rc;
}

static bool is_begun(const struct snapshot_row *row)
{
	return row->told[0] != '\0';
}

static int attempt_make(struct taking *taking, size_t attempt, struct error *error)
{
	if (status_ask(taking->snapshot, error) != 0)
		return error->code;
	if (is_begun(taking->row)) {
		taking->giver.node = taking->row->node;
		taking->giver.url = url_of(yyjson_doc_get_root(taking->snapshot->status), taking->row->node);
	} else if (giver_choose(taking, attempt, error) != 0 || copy_begin(taking, error) != 0) {
		return error->code;
	}
	return copy_go_on(taking, error);
}

int snapshot_shard_take(struct snapshot *snapshot, struct snapshot_row *row, struct error *error)
{
	for (int attempt = 0;; attempt++) {
		struct taking taking = {.snapshot = snapshot, .row = row};
		bool was_begun = is_begun(row);

		if (row->is_whole || attempt_make(&taking, (size_t)attempt, error) == 0)
			return 0;
		if (error->action == ERROR_ACTION_FATAL || attempt + 1 == ATTEMPTS_MAX)
			return error->code;
		/* what cannot be gone on with begins anew */
		if (taking.is_gone || was_begun)
			*row = (struct snapshot_row){.partition = row->partition};
		yyjson_doc_free(snapshot->status);
		snapshot->status = NULL;
		(void)poll(NULL, 0, WAIT_MS * attempt);
	}
}
