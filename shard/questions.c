/*
 * Questions: searches, listings and gets over shards of one index, answered
 * together and merged, best first. A shard that cannot answer makes the whole
 * answer a 410 that names it: a gap is never "0 hits".
 */
#include "shard/node_private.h"

#include "shared/runtime/clock.h"

#include <inttypes.h>
#include <stdlib.h>

#define QUESTION_LIMIT_MAX 1000
/* A listing fetches this many keys from each shard at most. */
#define QUESTION_DEPTH_MAX 1000000
#define QUESTION_ARENA_BYTES (256U * 1024)

struct question {
	struct node *node;
	struct http_request *request;
	yyjson_val *asked;
	struct arena arena;
	uint64_t index_id;
	struct held *held[INDEX_PARTITIONS_MAX]; /* NULL: absent */
	int32_t partitions[INDEX_PARTITIONS_MAX];
	size_t partitions_len;
	int64_t offset;
	int64_t limit;
	bool stale;
	struct slice text; /* the query, or the document id */
};

/* A document of one shard. */
struct hit {
	struct held *held;
	const struct document *document;
};

struct hits {
	struct hit *list;
	size_t len;
	uint64_t total;
};

static void invalid(const struct question *question, const char *message)
{
	http_refuse(question->request, 400, "invalid_request", message);
}

/* {"index","partitions"}; false after a refusal. */
static bool shards_parse(struct question *question, yyjson_val *object)
{
	yyjson_val *partitions = yyjson_obj_get(object, "partitions");
	yyjson_val *partition;
	struct slice text;
	size_t at;
	size_t max;

	if (!json_get_string(object, "index", &text) || !index_id_parse(text, &question->index_id) ||
	    !yyjson_is_arr(partitions) || yyjson_arr_size(partitions) == 0 ||
	    yyjson_arr_size(partitions) > INDEX_PARTITIONS_MAX) {
		invalid(question, "expected `index` (16 hexadecimal digits) and `partitions` (numbers)");
		return false;
	}
	yyjson_arr_foreach(partitions, at, max, partition)
	{
		if (!yyjson_is_uint(partition) || yyjson_get_uint(partition) >= INDEX_PARTITIONS_MAX) {
			invalid(question, "a partition is a number from 0 to 1023");
			return false;
		}
		question->partitions[question->partitions_len++] = (int32_t)yyjson_get_uint(partition);
	}
	return true;
}

static bool bounds_parse(struct question *question)
{
	yyjson_val *asked = question->asked;

	question->limit = 20;
	(void)json_get_bool(asked, "stale", &question->stale);
	(void)json_get_i64(asked, "offset", &question->offset);
	(void)json_get_i64(asked, "limit", &question->limit);
	if (question->limit >= 0 && question->offset >= 0 && question->limit <= QUESTION_LIMIT_MAX &&
	    question->offset <= QUESTION_DEPTH_MAX - QUESTION_LIMIT_MAX)
		return true;
	invalid(question, "`limit` is at most 1000, `offset` and `limit` together at most 1000000");
	return false;
}

static bool is_serving(const struct held *held, bool stale)
{
	struct replica_status status;

	if (held == NULL || held->replica == NULL)
		return false;
	replica_status(held->replica, &status);
	return status.state == REPLICA_STATE_ACTIVE || (stale && status.state == REPLICA_STATE_RECOVERING);
}

static void append_refusal(struct buffer *body, int32_t partition, const struct held *held)
{
	struct replica_status status = {.stop_reason = ""};
	const char *reason = "this node holds no replica of it";

	if (held != NULL) {
		reason = held->closed_reason;
		if (held->replica != NULL) {
			replica_status(held->replica, &status);
			reason = status.state == REPLICA_STATE_RECOVERING ? "not level with the log yet"
			                                                  : status.stop_reason;
		}
	}
	buffer_printf(body, "{\"p\":%" PRId32 ",\"state\":\"%s\",\"reason\":", partition,
	              held == NULL ? "absent" : held_state_name(held));
	json_append_string(body, slice_string(reason));
	buffer_append_string(body, "}");
}

/* Answers 410 and returns false if any shard cannot answer. */
static bool serving_check(struct question *question)
{
	const char *comma = "";
	struct buffer body;

	buffer_init(&body, NODE_ANSWER_BYTES_MAX);
	buffer_append_string(&body,
	                     "{\"message\":\"some shards cannot answer here\",\"code\":\"not_serving\","
	                     "\"shards\":[");
	for (size_t i = 0; i < question->partitions_len; i++) {
		question->held[i] =
			replicas_find(question->node, question->index_id, question->partitions[i]);
		if (is_serving(question->held[i], question->stale))
			continue;
		buffer_append_string(&body, comma);
		append_refusal(&body, question->partitions[i], question->held[i]);
		comma = ",";
	}
	buffer_append_string(&body, "]}");
	if (comma[0] != '\0')
		http_answer_json(question->request, 410, &body);
	buffer_deinit(&body);
	return comma[0] == '\0';
}

/* After an error of a replica: it has stopped, or memory is short. */
static void failed(struct question *question, struct held *held, const struct error *error)
{
	replicas_note(question->node, held);
	if (error->code == ERROR_DAMAGED && !serving_check(question))
		return;
	http_refuse(question->request, 503, "unavailable", error->text);
}

static int hit_compare(const void *a, const void *b)
{
	const struct document *left = ((const struct hit *)a)->document;
	const struct document *right = ((const struct hit *)b)->document;

	if (left->score != right->score)
		return left->score > right->score ? -1 : 1;
	return insertion_key_compare(left->key, left->id, right->key, right->id);
}

/* What each shard has, as one ranked list. */
static bool hits_merge(struct question *question, const struct document_page *pages, struct hits *hits)
{
	size_t count = 0;

	*hits = (struct hits){.list = NULL};
	for (size_t i = 0; i < question->partitions_len; i++)
		count += pages[i].count;
	hits->list = arena_alloc(&question->arena, (count + 1) * sizeof *hits->list);
	if (hits->list == NULL)
		return false;
	for (size_t i = 0; i < question->partitions_len; i++) {
		hits->total += pages[i].total;
		for (size_t k = 0; k < pages[i].count; k++)
			hits->list[hits->len++] = (struct hit){question->held[i], &pages[i].documents[k]};
	}
	qsort(hits->list, hits->len, sizeof *hits->list, hit_compare);
	return true;
}

static void append_hit(struct buffer *body, const struct hit *hit, struct slice document)
{
	buffer_printf(body,
	              "{\"p\":%" PRId32 ",\"score\":%" PRIu32 ",\"ts\":%" PRId64 ",\"seq\":%" PRIu32
	              ",\"id\":",
	              hit->held->partition, hit->document->score, hit->document->key.timestamp_ms,
	              hit->document->key.seq);
	json_append_string(body, hit->document->id);
	buffer_append_string(body, ",\"doc\":");
	buffer_append_slice(body, document);
	buffer_append_string(body, "}");
}

static void append_received(const struct question *question, uint64_t total, struct buffer *body)
{
	buffer_append_string(body, "{\"received\":[");
	for (size_t i = 0; i < question->partitions_len; i++) {
		struct replica_status status;

		replica_status(question->held[i]->replica, &status);
		buffer_printf(body, "%s{\"p\":%" PRId32 ",\"received\":%" PRId64 ",\"state\":\"%s\"}",
		              i == 0 ? "" : ",", question->partitions[i], status.received,
		              held_state_name(question->held[i]));
	}
	buffer_printf(body, "],\"total\":%" PRIu64 ",\"hits\":[", total);
}

/* The body of a hit, fetched now if its page has keys only; false after a refusal. */
static bool hit_body(struct question *question, const struct hit *hit, bool keys_only, struct slice *found)
{
	struct document document;
	struct error error;

	*found = hit->document->body;
	if (!keys_only)
		return true;
	if (replica_get(hit->held->replica, hit->document->id, question->stale, &question->arena, &document,
	                &error) != 0) {
		failed(question, hit->held, &error);
		return false;
	}
	*found = document.body;
	return true;
}

static void hits_answer(struct question *question, const struct hits *hits, bool keys_only)
{
	size_t end = (size_t)(question->offset + question->limit);
	struct buffer body;

	buffer_init(&body, NODE_ANSWER_BYTES_MAX);
	append_received(question, hits->total, &body);
	for (size_t i = (size_t)question->offset; i < hits->len && i < end; i++) {
		struct slice document;

		if (!hit_body(question, &hits->list[i], keys_only, &document)) {
			buffer_deinit(&body);
			return;
		}
		if (i > (size_t)question->offset)
			buffer_append_string(&body, ",");
		append_hit(&body, &hits->list[i], document);
	}
	buffer_append_string(&body, "]}");
	http_answer_json(question->request, 200, &body);
	buffer_deinit(&body);
}

/* Asks every shard for as much as the page may need of it. */
static void pages_ask(struct question *question, bool search)
{
	struct document_page *pages = arena_alloc(&question->arena, question->partitions_len * sizeof *pages);
	struct document_request request = {.limit = (size_t)(question->offset + question->limit),
	                                   .stale_ok = question->stale,
	                                   .keys_only = !search,
	                                   .arena = &question->arena};
	struct hits hits;
	struct error error;

	for (size_t i = 0; pages != NULL && i < question->partitions_len; i++) {
		struct replica *replica = question->held[i]->replica;
		int rc = search ? replica_search(replica, question->text, &request, &pages[i], &error)
		                : replica_list(replica, &request, &pages[i], &error);

		if (rc != 0) {
			failed(question, question->held[i], &error);
			return;
		}
	}
	if (pages == NULL || !hits_merge(question, pages, &hits))
		http_refuse(question->request, 503, "memory", "out of memory");
	else
		hits_answer(question, &hits, !search);
}

static void question_search(struct question *question)
{
	yyjson_val *shards = yyjson_obj_get(question->asked, "shards");
	int64_t begun_us = clock_monotonic_us();

	if (!yyjson_is_arr(shards) || yyjson_arr_size(shards) != 1) {
		invalid(question, "`shards` lists one index and its partitions");
		return;
	}
	if (!shards_parse(question, yyjson_arr_get_first(shards)) || !bounds_parse(question))
		return;
	(void)json_get_string(question->asked, "q", &question->text);
	if (question->offset != 0) {
		invalid(question, "a search has no `offset`: who merges skips");
		return;
	}
	if (!serving_check(question))
		return;
	pages_ask(question, true);
	series_observe(question->node->counters.search_seconds,
	               (double)(clock_monotonic_us() - begun_us) / 1e6);
}

static void question_list(struct question *question)
{
	if (shards_parse(question, question->asked) && bounds_parse(question) && serving_check(question))
		pages_ask(question, false);
}

static void get_answer(struct question *question, const struct document *document)
{
	struct buffer body;

	buffer_init(&body, NODE_ANSWER_BYTES_MAX);
	buffer_append_string(&body, "{\"doc\":");
	buffer_append_slice(&body, document->body);
	buffer_append_string(&body, "}");
	http_answer_json(question->request, 200, &body);
	buffer_deinit(&body);
}

static void question_get(struct question *question)
{
	struct document document;
	struct slice text;
	struct error error;
	int64_t partition;

	if (!json_get_string(question->asked, "index", &text) || !index_id_parse(text, &question->index_id) ||
	    !json_get_i64(question->asked, "partition", &partition) || partition < 0 ||
	    partition >= INDEX_PARTITIONS_MAX || !json_get_string(question->asked, "id", &question->text)) {
		invalid(question, "expected `index`, `partition` and `id`");
		return;
	}
	question->partitions[0] = (int32_t)partition;
	question->partitions_len = 1;
	if (!bounds_parse(question) || !serving_check(question))
		return;
	if (replica_get(question->held[0]->replica, question->text, question->stale, &question->arena,
	                &document, &error) == 0)
		get_answer(question, &document);
	else if (error.code == ERROR_NOT_FOUND)
		http_refuse(question->request, 404, "document_not_found", error.text);
	else
		failed(question, question->held[0], &error);
}

static void question_dispatch(struct question *question)
{
	const char *path = http_request_path(question->request);

	if (strcmp(path, "/search") == 0)
		question_search(question);
	else if (strcmp(path, "/list") == 0)
		question_list(question);
	else if (strcmp(path, "/get") == 0)
		question_get(question);
	else
		question_verify(question->node, question->request, question->asked);
}

static void question_answer(struct node *node, struct http_request *request)
{
	struct question question = {.node = node, .request = request, .text = slice_of("", 0)};
	yyjson_doc *doc;
	struct error error;

	if (json_parse_typed(http_request_body(request), &doc, &error) != 0) {
		http_refuse(request, 400, "malformed_payload", error.text);
		return;
	}
	question.asked = yyjson_doc_get_root(doc);
	arena_init(&question.arena, QUESTION_ARENA_BYTES);
	question_dispatch(&question);
	arena_deinit(&question.arena);
	yyjson_doc_free(doc);
}

void questions_turn(struct node *node)
{
	struct http_request *request;

	while ((request = mailbox_take(node->questions)) != NULL) {
		if (strcmp(http_request_path(request), "/shards") == 0)
			question_shards(node, request);
		else
			question_answer(node, request);
	}
}

void questions_refuse(struct node *node)
{
	struct http_request *request;

	while ((request = mailbox_take(node->questions)) != NULL)
		http_refuse(request, 503, "stopping", "the node is stopping");
}
