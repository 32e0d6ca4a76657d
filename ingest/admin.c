/* The admin listener: metrics, health, readiness, and GET /status, which the owner answers. */
#include "ingest/ingest_private.h"

#include <inttypes.h>

#define ADMIN_THREADS 2
#define ADMIN_BODY_BYTES_MAX 65536
#define ADMIN_CONNECTIONS_MAX 64
#define ADMIN_ANSWER_MS_MAX 10000
#define ADMIN_ANSWER_BYTES_MAX (16U * 1024 * 1024)

static const char *const state_names[] = {
	[FEEDER_STATE_ASKING] = "asking",
	[FEEDER_STATE_ANCHORING] = "anchoring",
	[FEEDER_STATE_FEEDING] = "feeding",
	[FEEDER_STATE_STOPPED] = "stopped",
};

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
	if (atomic_load(&ingest->ready))
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

static void append_replica(const struct ingest *ingest, const struct feeder_replica_status *replica,
                           struct buffer *body)
{
	buffer_append_string(body, "{\"node\":");
	json_append_string(body, slice_string(ingest->nodes[replica->node].id));
	buffer_printf(body, ",\"in_sync\":%s,\"known\":%s,\"lane\":", replica->in_sync ? "true" : "false",
	              replica->known ? "true" : "false");
	if (replica->known)
		buffer_printf(body, "\"%s\"", replica->lane == FEEDER_LANE_LIVE ? "live" : "behind");
	else
		buffer_append_string(body, "null");
	buffer_printf(body,
	              ",\"received\":%" PRId64 ",\"stored\":%" PRId64 ",\"obstacle\":", replica->received,
	              replica->stored);
	json_append_string(body, slice_string(replica->obstacle));
	buffer_append_string(body, "}");
}

static void append_replicas(const struct ingest *ingest, uint32_t slot, struct buffer *body)
{
	struct feeder_replica_status replica;

	buffer_append_string(body, "\"replicas\":[");
	for (size_t i = 0; feeder_replica_status(ingest->feeder, slot, i, &replica); i++) {
		if (i > 0)
			buffer_append_string(body, ",");
		append_replica(ingest, &replica, body);
	}
	buffer_append_string(body, "]");
}

static void append_shard(const struct ingest *ingest, uint32_t slot, struct buffer *body)
{
	const struct fed_shard *shard = &ingest->fed[slot];
	struct feeder_status status;

	if (!feeder_shard_status(ingest->feeder, slot, &status))
		return;
	buffer_printf(body,
	              "%s{\"index\":\"%016" PRIx64
	              "\",\"uid\":\"%s\",\"topic\":\"%s\",\"partition\":%" PRId32,
	              body->ptr[body->len - 1] == '[' ? "" : ",", shard->index_id, shard->uid, shard->topic,
	              shard->partition);
	buffer_printf(body, ",\"state\":\"%s\",\"position\":%" PRId64 ",\"received\":%" PRId64,
	              state_names[status.state], status.position, status.received);
	buffer_printf(body, ",\"stored\":%" PRId64 ",\"committed\":%" PRId64 ",\"log_end\":%" PRId64,
	              status.stored, status.committed, status.log_end);
	if (status.received >= 0 && status.log_end >= status.received)
		buffer_printf(body, ",\"lag\":%" PRId64, status.log_end - status.received);
	else
		buffer_append_string(body, ",\"lag\":null");
	buffer_printf(body, ",\"records\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"dead_letters_pending\":%zu",
	              status.records, status.refused, status.dead_letters_pending);
	buffer_printf(body, ",\"memory_bytes\":%zu,\"stop_reason\":", status.memory_bytes);
	json_append_string(body, slice_string(status.stop_reason));
	buffer_append_string(body, ",");
	append_replicas(ingest, slot, body);
	buffer_append_string(body, "}");
}

static void append_status(const struct ingest *ingest, struct buffer *body)
{
	buffer_printf(body, "{\"program\":\"ingest\",\"slots\":%d,\"shards\":[",
	              __builtin_popcountll(ingest->slots_owned));
	for (uint32_t slot = 0; slot < ingest->fed_len && !buffer_failed(body); slot++)
		if (ingest->fed[slot].used)
			append_shard(ingest, slot, body);
	buffer_printf(body, "],\"memory_bytes\":%zu}", feeder_memory_bytes(ingest->feeder));
}

void admin_answer(struct ingest *ingest)
{
	struct http_request *request;

	while ((request = mailbox_take(ingest->visitors)) != NULL) {
		struct buffer body;

		buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
		append_status(ingest, &body);
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
