/* The server's threads: what can be answered at once is, everything else goes to the owner. */
#include "shard/question.h"

#include <stdio.h>

#define HTTP_THREADS 2
#define HTTP_CONNECTIONS_MAX 512
#define HTTP_ANSWER_MS_MAX 30000
#define SMALL_ANSWER_BYTES_MAX 65536
#define METRICS_BYTES_MAX (16U * 1024 * 1024)
#define DEADLINE_HEADER "X-Millrace-Deadline-Ms"
#define DEADLINE_DIGITS_MAX 9
#define NODE_HEADER "X-Millrace-Node"

void http_refuse(struct http_request *request, int status, const char *code, const char *message)
{
	struct buffer body;

	buffer_init(&body, SMALL_ANSWER_BYTES_MAX);
	buffer_append_string(&body, "{\"message\":");
	json_append_string(&body, slice_string(message));
	buffer_append_string(&body, ",\"code\":");
	json_append_string(&body, slice_string(code));
	buffer_append_string(&body, "}");
	http_respond(request, status, NULL, &body, NULL);
	buffer_deinit(&body);
}

void http_answer_json(struct http_request *request, int status, struct buffer *body)
{
	if (buffer_failed(body))
		http_refuse(request, 503, "too_large", "the answer does not fit into memory");
	else
		http_respond(request, status, NULL, body, NULL);
}

static void respond_text(struct http_request *request, const char *text)
{
	struct buffer body;

	buffer_init(&body, SMALL_ANSWER_BYTES_MAX);
	buffer_append_string(&body, text);
	http_answer_json(request, 200, &body);
	buffer_deinit(&body);
}

static void respond_metrics(struct http_request *request)
{
	struct buffer body;

	buffer_init(&body, METRICS_BYTES_MAX);
	metrics_print(&body);
	http_respond(request, 200, "text/plain; version=0.0.4", &body, NULL);
	buffer_deinit(&body);
}

static void respond_ready(struct http_request *request, struct node *node)
{
	if (atomic_load(&node->ready))
		respond_text(request, "{\"status\":\"ready\"}");
	else
		http_refuse(request, 503, "not_ready", "meta and topology are not read to their ends yet");
}

enum target {
	TARGET_HEALTH = 1,
	TARGET_READY,
	TARGET_METRICS,
	TARGET_BATCH,
	TARGET_QUESTION
};

static const struct route {
	const char *method;
	const char *path;
	enum target target;
	enum question_kind question;
} routes[] = {
	{"GET", "/health", TARGET_HEALTH, 0},
	{"GET", "/ready", TARGET_READY, 0},
	{"GET", "/metrics", TARGET_METRICS, 0},
	{"POST", "/batch", TARGET_BATCH, 0},
	{"POST", "/search", TARGET_QUESTION, QUESTION_KIND_SEARCH},
	{"POST", "/list", TARGET_QUESTION, QUESTION_KIND_LIST},
	{"POST", "/get", TARGET_QUESTION, QUESTION_KIND_GET},
	{"POST", "/verify", TARGET_QUESTION, QUESTION_KIND_VERIFY},
	{"GET", "/shards", TARGET_QUESTION, QUESTION_KIND_SHARDS},
	{"GET", "/marks", TARGET_QUESTION, QUESTION_KIND_MARKS},
	{"GET", "/copy", TARGET_QUESTION, QUESTION_KIND_COPY},
	{"GET", "/copy/chunks", TARGET_QUESTION, QUESTION_KIND_CHUNKS},
	{"POST", "/copy", TARGET_QUESTION, QUESTION_KIND_COPY_PUT},
	{"POST", "/copy/chunks", TARGET_QUESTION, QUESTION_KIND_CHUNKS_PUT},
	{"DELETE", "/copy", TARGET_QUESTION, QUESTION_KIND_COPY_END},
};

/* NULL after an answer with 404 or 405. */
static const struct route *route_of(struct http_request *request)
{
	bool known = false;

	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
		if (strcmp(http_request_path(request), routes[i].path) != 0)
			continue;
		if (strcmp(http_request_method(request), routes[i].method) == 0)
			return &routes[i];
		known = true;
	}
	if (known)
		http_refuse(request, 405, "method_not_allowed", "this path takes another method");
	else
		http_refuse(request, 404, "not_found", "no such path");
	return NULL;
}

/* Who the node is and which Kafka it sees can be asked from the start on. */
static bool is_poll(const struct http_request *request)
{
	return strcmp(http_request_path(request), "/shards") == 0 &&
	       http_request_argument(request, "index") == NULL;
}

static void refuse_full(struct http_request *request)
{
	http_refuse(request, 503, "too_many_requests", "too many requests wait already");
}

/* Milliseconds that the asker still waits; INT64_MAX without the header. False if it is no number. */
static bool deadline_read(const struct http_request *request, int64_t *left_ms)
{
	const char *text = http_request_header(request, DEADLINE_HEADER);
	int64_t number = 0;

	*left_ms = INT64_MAX;
	if (text == NULL)
		return true;
	if (text[0] == '\0' || strlen(text) > DEADLINE_DIGITS_MAX)
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		number = number * 10 + (*text - '0');
	}
	*left_ms = number;
	return true;
}

/* A search thread's from the start. */
static bool is_searched(enum question_kind kind)
{
	return kind == QUESTION_KIND_SEARCH || kind == QUESTION_KIND_LIST || kind == QUESTION_KIND_GET ||
	       kind == QUESTION_KIND_VERIFY || kind == QUESTION_KIND_CHUNKS || kind == QUESTION_KIND_COPY_END;
}

static void ask(struct node *node, struct http_request *request, enum question_kind kind)
{
	struct question *question;
	int64_t left_ms;

	if (!deadline_read(request, &left_ms)) {
		http_refuse(request, 400, "invalid_request", DEADLINE_HEADER " is a number of milliseconds");
		return;
	}
	question = question_new(node, request, kind);
	if (question == NULL) {
		http_refuse(request, 503, "memory", "out of memory");
		return;
	}
	if (left_ms != INT64_MAX)
		question->deadline_ms = question->arrived_ms + left_ms;
	if (is_searched(kind))
		searching_put(question);
	else if (!mailbox_put(node->questions, question)) {
		series_add(node->counters.refused_full, 1);
		refuse_full(request);
		question_free(question);
	}
}

/* Addresses are swapped, or a node came up at another's: what it would say is true of somebody else. False after
 * a refusal. */
static bool is_meant(struct node *node, struct http_request *request)
{
	const char *meant = http_request_header(request, NODE_HEADER);
	char message[256];

	if (meant == NULL || strcmp(meant, node->id) == 0)
		return true;
	(void)snprintf(message, sizeof message, "this is node %s, the request is for node %.80s", node->id,
	               meant);
	series_add(node->counters.refused_node, 1);
	http_refuse(request, 421, "wrong_node", message);
	return false;
}

static void handle(struct http_request *request, void *context)
{
	struct node *node = context;
	const struct route *route = route_of(request);

	if (route == NULL)
		return;
	if (route->target == TARGET_HEALTH)
		respond_text(request, "{\"status\":\"available\"}");
	else if (route->target == TARGET_READY)
		respond_ready(request, node);
	else if (!http_request_authorized(request, node->cluster_key))
		http_refuse(request, 401, "unauthorized", "the cluster key is needed");
	else if (!is_meant(node, request))
		return;
	else if (route->target == TARGET_METRICS)
		respond_metrics(request);
	else if (!atomic_load(&node->decided) && !is_poll(request))
		http_refuse(request, 503, "not_ready", "meta and topology are not read to their ends yet");
	else if (route->target == TARGET_QUESTION)
		ask(node, request, route->question);
	else if (!mailbox_put(node->batches, request))
		refuse_full(request);
}

int http_start(struct node *node, struct error *error)
{
	struct http_server_options options = {
		.listen = config_string(node->config, "shard.listen"),
		.threads = HTTP_THREADS,
		.body_bytes_max = BATCH_BYTES_MAX,
		.connections_max = HTTP_CONNECTIONS_MAX,
		.answer_ms_max = HTTP_ANSWER_MS_MAX,
		.callers_ids = true,
		.handler = handle,
		.context = node,
	};

	return http_server_start(&options, &node->server, error);
}
