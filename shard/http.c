/* The server's threads: what can be answered at once is, everything else goes to the owner. */
#include "shard/node_private.h"

#define HTTP_THREADS 2
#define HTTP_CONNECTIONS_MAX 512
#define HTTP_ANSWER_MS_MAX 30000
#define SMALL_ANSWER_BYTES_MAX 65536
#define METRICS_BYTES_MAX (16U * 1024 * 1024)

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

enum route {
	ROUTE_NONE = 0,
	ROUTE_HEALTH,
	ROUTE_READY,
	ROUTE_METRICS,
	ROUTE_BATCH,
	ROUTE_QUESTION
};

static const struct {
	const char *method;
	const char *path;
	enum route route;
} routes[] = {
	{"GET", "/health", ROUTE_HEALTH},    {"GET", "/ready", ROUTE_READY},
	{"GET", "/metrics", ROUTE_METRICS},  {"POST", "/batch", ROUTE_BATCH},
	{"POST", "/search", ROUTE_QUESTION}, {"POST", "/list", ROUTE_QUESTION},
	{"POST", "/get", ROUTE_QUESTION},    {"POST", "/verify", ROUTE_QUESTION},
	{"GET", "/shards", ROUTE_QUESTION},
};

/* ROUTE_NONE after an answer with 404 or 405. */
static enum route route_of(struct http_request *request)
{
	bool known = false;

	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
		if (strcmp(http_request_path(request), routes[i].path) != 0)
			continue;
		if (strcmp(http_request_method(request), routes[i].method) == 0)
			return routes[i].route;
		known = true;
	}
	if (known)
		http_refuse(request, 405, "method_not_allowed", "this path takes another method");
	else
		http_refuse(request, 404, "not_found", "no such path");
	return ROUTE_NONE;
}

/* Who the node is and which Kafka it sees can be asked from the start on. */
static bool is_poll(const struct http_request *request)
{
	return strcmp(http_request_path(request), "/shards") == 0 &&
	       http_request_argument(request, "index") == NULL;
}

static void enqueue(struct http_request *request, struct mailbox *mailbox)
{
	if (!mailbox_put(mailbox, request))
		http_refuse(request, 503, "too_many_requests", "too many requests wait already");
}

static void handle(struct http_request *request, void *context)
{
	struct node *node = context;
	enum route route = route_of(request);

	if (route == ROUTE_NONE)
		return;
	if (route == ROUTE_HEALTH)
		respond_text(request, "{\"status\":\"available\"}");
	else if (route == ROUTE_READY)
		respond_ready(request, node);
	else if (!http_request_authorized(request, node->cluster_key))
		http_refuse(request, 401, "unauthorized", "the cluster key is needed");
	else if (route == ROUTE_METRICS)
		respond_metrics(request);
	else if (!atomic_load(&node->decided) && !is_poll(request))
		http_refuse(request, 503, "not_ready", "meta and topology are not read to their ends yet");
	else
		enqueue(request, route == ROUTE_BATCH ? node->batches : node->questions);
}

int http_start(struct node *node, struct error *error)
{
	struct http_server_options options = {
		.listen = config_string(node->config, "shard.listen"),
		.threads = HTTP_THREADS,
		.body_bytes_max = BATCH_BYTES_MAX,
		.connections_max = HTTP_CONNECTIONS_MAX,
		.answer_ms_max = HTTP_ANSWER_MS_MAX,
		.handler = handle,
		.context = node,
	};

	return http_server_start(&options, &node->server, error);
}
