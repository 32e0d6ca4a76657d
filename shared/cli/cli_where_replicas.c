/* What the gateway says of the shard's replicas, and what each of them says of the document. */
#include "shared/cli/cli_where.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define GET_MS 5000
#define QUESTION_BYTES_MAX 65536
#define URL_BYTES (NODE_URL_BYTES_MAX + 8)
/* Levels around a document in an answer. */
#define ANSWER_DEPTH_MAX (JSON_DEPTH_MAX + 4)

/* ---- one node ---- */

/* A number that json_parse has left as it was; -1 if there is none. */
static int64_t raw_number(yyjson_val *object, const char *name)
{
	struct slice raw = json_raw_number(yyjson_obj_get(object, name));
	char digits[24];

	if (raw.ptr == NULL || raw.len >= sizeof digits)
		return -1;
	(void)snprintf(digits, sizeof digits, "%.*s", SLICE_ARGS(raw));
	return strtoll(digits, NULL, 10);
}

static void take_document(const struct where *where, yyjson_val *document, struct where_replica *replica)
{
	struct buffer body;
	struct error error;

	replica->answer = WHERE_ANSWER_PRESENT;
	if (!where->log.comparable)
		return;
	buffer_init(&body, WHERE_BODY_BYTES_MAX);
	if (json_append_value(&body, document, &error) != 0) {
		replica->answer = WHERE_ANSWER_NONE;
		(void)snprintf(replica->note, sizeof replica->note, "out of memory");
	} else if (!slice_equal(buffer_slice(&body), buffer_slice(&where->log.body))) {
		replica->answer = WHERE_ANSWER_DIFFERS;
	}
	buffer_deinit(&body);
}

static void take_refusal(int status, yyjson_val *answer, struct where_replica *replica)
{
	yyjson_val *shard = yyjson_arr_get_first(yyjson_obj_get(answer, "shards"));
	const char *reason = cli_text(shard, "reason");

	if (reason[0] == '\0')
		reason = cli_text(answer, "message");
	if (reason[0] != '\0')
		(void)snprintf(replica->note, sizeof replica->note, "refuses to answer: %.230s", reason);
	else
		(void)snprintf(replica->note, sizeof replica->note, "answers with status %d", status);
}

static void take_answer(const struct where *where, int status, struct slice text,
                        struct where_replica *replica)
{
	yyjson_doc *doc = NULL;
	struct error error;
	yyjson_val *answer;
	yyjson_val *document;
	int64_t received;

	if (json_parse(text, ANSWER_DEPTH_MAX, &doc, &error) != 0) {
		(void)snprintf(replica->note, sizeof replica->note, "its answer, status %d, is no JSON",
		               status);
		return;
	}
	answer = yyjson_doc_get_root(doc);
	document = yyjson_obj_get(answer, "doc");
	received = raw_number(yyjson_arr_get_first(yyjson_obj_get(answer, "received")), "received");
	if (received >= 0)
		replica->received = received;
	if (status == 200 && yyjson_is_obj(document))
		take_document(where, document, replica);
	else if (status == 404 && strcmp(cli_text(answer, "code"), "document_not_found") == 0)
		replica->answer = WHERE_ANSWER_ABSENT;
	else
		take_refusal(status, answer, replica);
	yyjson_doc_free(doc);
}

static void ask_replica(const struct where *where, struct where_replica *replica)
{
	char url[URL_BYTES];
	char index_id[17];
	struct buffer question;
	struct buffer text;
	struct http_client_request request = {.method = "POST",
	                                      .url = url,
	                                      .content_type = "application/json",
	                                      .node = replica->node,
	                                      .body = &question,
	                                      .timeout_ms = GET_MS};
	struct error error;
	int status = 0;

	(void)snprintf(url, sizeof url, "%s/get", replica->url);
	index_id_print(where->index.id, index_id);
	buffer_init(&text, CLI_ANSWER_BYTES_MAX);
	buffer_init(&question, QUESTION_BYTES_MAX);
	buffer_printf(&question,
	              "{\"index\":\"%s\",\"partition\":%" PRId32 ",\"stale\":true,\"id\":", index_id,
	              where->partition);
	json_append_string(&question, where->id);
	buffer_append_string(&question, "}");
	if (buffer_failed(&question))
		(void)snprintf(replica->note, sizeof replica->note, "the id is too long to be asked for");
	else if (http_client_ask(where->cli->client, &request, &status, &text, &error) != 0)
		(void)snprintf(replica->note, sizeof replica->note, "does not answer: %.230s", error.text);
	else
		take_answer(where, status, buffer_slice(&text), replica);
	buffer_deinit(&question);
	buffer_deinit(&text);
}

/* ---- the shard ---- */

static bool is_ours(const struct where *where, yyjson_val *shard)
{
	uint64_t index_id;

	return index_id_parse(slice_string(cli_text(shard, "index")), &index_id) &&
	       index_id == where->index.id && cli_number(shard, "partition", -1) == where->partition;
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

static void take_replica(struct where *where, yyjson_val *status, yyjson_val *told)
{
	struct where_replica *replica;

	if (where->replicas.len == REPLICAS_MAX)
		return;
	replica = &where->replicas.list[where->replicas.len++];
	*replica = (struct where_replica){.in_sync = cli_flag(told, "in_sync"),
	                                  .received = cli_number(told, "received", -1)};
	(void)snprintf(replica->node, sizeof replica->node, "%s", cli_text(told, "node"));
	(void)snprintf(replica->url, sizeof replica->url, "%s", url_of(status, replica->node));
	(void)snprintf(replica->recorded, sizeof replica->recorded, "%s", cli_text(told, "recorded"));
	(void)snprintf(replica->state, sizeof replica->state, "%s", cli_text(told, "state"));
	if (replica->url[0] == '\0')
		(void)snprintf(replica->note, sizeof replica->note, "the gateway does not know its address");
	else
		ask_replica(where, replica);
}

static void take_status(struct where *where, yyjson_val *status)
{
	yyjson_val *shard;
	yyjson_val *told;
	size_t at;
	size_t len;
	size_t replica_at;
	size_t replicas_len;

	yyjson_arr_foreach(yyjson_obj_get(status, "shards"), at, len, shard)
	{
		if (!is_ours(where, shard))
			continue;
		yyjson_arr_foreach(yyjson_obj_get(shard, "replicas"), replica_at, replicas_len, told)
			take_replica(where, status, told);
	}
	if (where->replicas.len == 0)
		(void)snprintf(where->replicas.trouble.text, sizeof where->replicas.trouble.text,
		               "the gateway names no replica of partition %" PRId32, where->partition);
}

void where_ask_replicas(struct where *where)
{
	struct cli_question question = {"GET", "/status", NULL, 200};
	struct where_trouble *trouble = &where->replicas.trouble;
	yyjson_doc *answer;

	if (trouble->text[0] != '\0')
		return;
	if (where->partition < 0) {
		(void)snprintf(trouble->text, sizeof trouble->text,
		               "the index has no partitioner, and no record says which partition to ask");
	} else if (cli_ask(where->cli, &question, &answer) != 0) {
		(void)snprintf(trouble->text, sizeof trouble->text, "the gateway gave no status");
	} else {
		take_status(where, yyjson_doc_get_root(answer));
		yyjson_doc_free(answer);
	}
}
