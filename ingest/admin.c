/* The admin listener: metrics, health, readiness, and GET /status, which the owner answers. */
#include "ingest/ingest_private.h"
#include "shared/runtime/metrics.h"

#define ADMIN_THREADS 2
#define ADMIN_BODY_BYTES_MAX 65536
#define ADMIN_CONNECTIONS_MAX 64
#define ADMIN_ANSWER_MS_MAX 10000
#define ADMIN_ANSWER_BYTES_MAX (16U * 1024 * 1024)

static void respond_text(struct http_request *request, int status, const char *text)
{
	struct buffer body;

	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	buffer_append_string(&body, text);
	http_respond(request, status, NULL, &body, NULL);
	buffer_deinit(&body);
}

static void respond_metrics(struct http_request *request)
{
	struct buffer body;

	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	metrics_print(&body);
	http_respond(request, 200, "text/plain; version=0.0.4", &body, NULL);
	buffer_deinit(&body);
}

static void respond_ready(struct http_request *request, struct ingest *ingest)
{
	const struct feeding *feeding = atomic_load(&ingest->feeding);

	if (feeding != NULL && feeding_is_ready(feeding))
		respond_text(request, 200, "{\"status\":\"ready\"}");
	else
		respond_text(request, 503,
		             "{\"message\":\"meta and topology are not read to their ends yet\","
		             "\"code\":\"not_ready\"}");
}

/* On one of the server's threads. */
static void handle(struct http_request *request, void *context)
{
	struct ingest *ingest = context;
	const char *path = http_request_path(request);
	bool status = strcmp(path, "/status") == 0;
	bool metrics = strcmp(path, "/metrics") == 0;
	bool ready = strcmp(path, "/ready") == 0;

	if (!status && !metrics && !ready && strcmp(path, "/health") != 0)
		respond_text(request, 404, "{\"message\":\"no such path\",\"code\":\"not_found\"}");
	else if (strcmp(http_request_method(request), "GET") != 0)
		respond_text(request, 405, "{\"message\":\"only GET\",\"code\":\"method_not_allowed\"}");
	else if (ready)
		respond_ready(request, ingest);
	else if (!status && !metrics)
		respond_text(request, 200, "{\"status\":\"available\"}");
	else if (!http_request_authorized(request, config_string(ingest->config, "auth.cluster_key")))
		respond_text(request, 401,
		             "{\"message\":\"the cluster key is needed\",\"code\":\"unauthorized\"}");
	else if (metrics)
		respond_metrics(request);
	else if (!mailbox_put(ingest->visitors, request))
		respond_text(request, 503,
		             "{\"message\":\"too many requests\",\"code\":\"too_many_requests\"}");
}

void admin_answer(void *context)
{
	struct ingest *ingest = context;
	const struct feeding *feeding = atomic_load(&ingest->feeding);
	struct http_request *request;

	while ((request = mailbox_take(ingest->visitors)) != NULL) {
		struct buffer body;

		buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
		buffer_append_string(&body, "{\"program\":\"ingest\"");
		if (feeding != NULL) {
			buffer_append_string(&body, ",");
			feeding_status(feeding, &body);
		}
		if (ingest->import != NULL) {
			buffer_append_string(&body, ",");
			import_status(ingest->import, &body);
		}
		buffer_append_string(&body, "}");
		if (buffer_failed(&body))
			respond_text(request, 503, "{\"message\":\"out of memory\",\"code\":\"memory\"}");
		else
			http_respond(request, 200, NULL, &body, NULL);
		buffer_deinit(&body);
	}
}

int admin_start(struct ingest *ingest, struct error *error)
{
	struct http_server_options options = {
		.listen = config_string(ingest->config, "ingest.listen"),
		.threads = ADMIN_THREADS,
		.body_bytes_max = ADMIN_BODY_BYTES_MAX,
		.connections_max = ADMIN_CONNECTIONS_MAX,
		.answer_ms_max = ADMIN_ANSWER_MS_MAX,
		.handler = handle,
		.context = ingest,
	};

	return http_server_start(&options, &ingest->server, error);
}
