/*
 * The admin listener's routes: readiness, metrics, and requests that change
 * indexes and their sources, which are answered when Kafka has acknowledged
 * them.
 */
#include "query/bodies.h"
#include "query/core/restore_request.h"
#include "query/core/route_request.h"
#include "query/core/source_request.h"
#include "query/routes.h"
#include "query/status.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"
#include "shared/runtime/random.h"

#include <stdio.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES 4096
#define REQUEST_RECORD_BYTES_MAX (256U * 1024)
#define METRICS_BYTES_MAX (4U * 1024 * 1024)

static void route_ready(const struct exchange *exchange)
{
	struct error_answer refusal;
	struct error trouble;
	struct buffer body;

	if (view_trouble(exchange->gateway->view, &trouble)) {
		(void)error_answer_set(&refusal, "unavailable", "The gateway no longer reads Kafka: %s",
		                       trouble.text);
		gateway_respond_error(exchange, &refusal);
		return;
	}
	if (!view_is_ready(exchange->gateway->view)) {
		(void)error_answer_set(&refusal, "not_ready",
		                       "This gateway has not read its topics in Kafka yet.");
		gateway_respond_error(exchange, &refusal);
		return;
	}
	buffer_init(&body, 256);
	buffer_append_string(&body, "{\"status\":\"ready\"}");
	gateway_respond(exchange, 200, &body, NULL);
}

static void route_metrics(const struct exchange *exchange)
{
	struct buffer body;

	buffer_init(&body, METRICS_BYTES_MAX);
	metrics_print(&body);
	http_respond(exchange->request, 200, "text/plain; version=0.0.4", &body, NULL);
	buffer_deinit(&body);
}

static void route_list_indexes(const struct exchange *exchange)
{
	route_indexes(exchange, true);
}

static void route_status(const struct exchange *exchange)
{
	status_ask(exchange->gateway->status, exchange);
}

/* ---- requests that change something ---- */

/* A request on its way into `tasks`. */
struct appending {
	struct exchange exchange;
	struct task_request request;
	struct buffer value; /* the record */
};

/* On the producer's thread. */
static void appended(void *context, int64_t offset, const struct error *error)
{
	struct appending *appending = context;
	struct error_answer refusal;
	struct buffer body;

	if (offset < 0) {
		logline(LOG_LEVEL_WARN, "request_not_appended", "uid=%s error=\"%s\"", appending->request.uid,
		        error->text);
		(void)error_answer_set(&refusal, "unavailable", "Kafka did not take the request: %s",
		                       error->text);
		gateway_respond_error(&appending->exchange, &refusal);
	} else {
		logline(LOG_LEVEL_INFO, "request_appended", "task=%lld type=%s uid=%s", (long long)offset,
		        task_type_name(appending->request.type), appending->request.uid);
		/* whoever asks for the task now must not hear that there is none */
		view_note_request(appending->exchange.gateway->view, offset, buffer_slice(&appending->value));
		buffer_init(&body, 4096);
		body_accepted(&body, offset, &appending->request);
		gateway_respond(&appending->exchange, 202, &body, NULL);
	}
	buffer_deinit(&appending->value);
	free(appending);
}

static void make_nonce(char nonce[33])
{
	uint8_t bytes[16];

	random_bytes(bytes, sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i++)
		(void)snprintf(nonce + 2 * i, 3, "%02x", bytes[i]);
}

/* Appends the request to `tasks`; the exchange is answered when Kafka has it. */
static void append_request(const struct exchange *exchange, const struct task_request *request)
{
	struct appending *appending = malloc(sizeof *appending);
	struct log_message message = {
		.topic = exchange->gateway->tasks_topic, .completion = appended, .context = appending};
	struct error_answer refusal;
	struct error error;
	int result;

	if (appending == NULL) {
		(void)error_answer_set(&refusal, "internal", "out of memory");
		gateway_respond_error(exchange, &refusal);
		return;
	}
	*appending = (struct appending){.exchange = *exchange, .request = *request};
	make_nonce(appending->request.nonce);
	appending->request.enqueued_at_ms = clock_wall_ms();
	buffer_init(&appending->value, REQUEST_RECORD_BYTES_MAX);
	task_request_write(&appending->value, &appending->request);
	appending->request.sources = NULL; /* the caller's */
	appending->request.sources_len = 0;
	appending->request.shards = NULL;
	appending->request.shards_len = 0;
	message.value = buffer_slice(&appending->value);
	result = buffer_failed(&appending->value)
	                 ? error_memory(&error, REQUEST_RECORD_BYTES_MAX)
	                 : log_producer_send(exchange->gateway->producer, &message, &error);
	if (result < 0) {
		buffer_deinit(&appending->value);
		free(appending);
		(void)error_answer_set(&refusal, "unavailable", "Kafka did not take the request: %s",
		                       error.text);
		gateway_respond_error(exchange, &refusal);
	}
}

static void route_create_index(const struct exchange *exchange)
{
	struct task_request request;
	struct error_answer refusal;
	struct arena arena;
	int result = parameters_check_content_type(http_request_header(exchange->request, "Content-Type"),
	                                           &refusal);

	arena_init(&arena, ARENA_BLOCK_BYTES);
	if (result == 0)
		result = index_request_from_body(http_request_body(exchange->request),
		                                 exchange->gateway->partitions_default, &arena, &request,
		                                 &refusal);
	if (result < 0)
		gateway_respond_error(exchange, &refusal);
	else
		append_request(exchange, &request);
	arena_deinit(&arena);
}

/* A request that says nothing but the index in the path. */
static void request_bare(const struct exchange *exchange, struct task_request *request)
{
	struct slice uid = exchange->segments[1];
	struct error_answer refusal;

	if (index_uid_check(uid, &refusal) < 0) {
		gateway_respond_error(exchange, &refusal);
		return;
	}
	(void)snprintf(request->uid, sizeof request->uid, "%.*s", SLICE_ARGS(uid));
	append_request(exchange, request);
}

static void route_delete_index(const struct exchange *exchange)
{
	struct task_request request = {.type = TASK_TYPE_INDEX_DELETION};

	request_bare(exchange, &request);
}

static void route_cancel_rebuild(const struct exchange *exchange)
{
	struct task_request request = {.type = TASK_TYPE_INDEX_REBUILD, .cancel = true};

	request_bare(exchange, &request);
}

typedef int read_request(struct slice body, struct slice uid, struct task_request *request,
                         struct error_answer *refusal);

/* A request about the index in the path, with a body. */
static void request_from_body(const struct exchange *exchange, read_request *read)
{
	struct task_request request;
	struct error_answer refusal;
	struct slice uid = exchange->segments[1];
	int result = parameters_check_content_type(http_request_header(exchange->request, "Content-Type"),
	                                           &refusal);

	if (result == 0)
		result = index_uid_check(uid, &refusal);
	if (result == 0)
		result = read(http_request_body(exchange->request), uid, &request, &refusal);
	if (result < 0) {
		gateway_respond_error(exchange, &refusal);
		return;
	}
	append_request(exchange, &request);
	task_request_deinit(&request);
}

static void route_add_source(const struct exchange *exchange)
{
	request_from_body(exchange, source_addition_from_body);
}

static void route_rebuild_index(const struct exchange *exchange)
{
	request_from_body(exchange, rebuild_request_from_body);
}

static void route_restore_index(const struct exchange *exchange)
{
	request_from_body(exchange, restore_request_from_body);
}

static void route_update_source(const struct exchange *exchange)
{
	struct task_request request;
	struct error_answer refusal;
	struct slice uid = exchange->segments[1];
	int result = parameters_check_content_type(http_request_header(exchange->request, "Content-Type"),
	                                           &refusal);

	if (result == 0)
		result = index_uid_check(uid, &refusal);
	if (result == 0)
		result = source_update_from_body(http_request_body(exchange->request), uid,
		                                 exchange->segments[3], &request, &refusal);
	if (result < 0)
		gateway_respond_error(exchange, &refusal);
	else
		append_request(exchange, &request);
}

static void route_remove_source(const struct exchange *exchange)
{
	struct task_request request;
	struct error_answer refusal;
	struct slice uid = exchange->segments[1];
	int result = index_uid_check(uid, &refusal);

	if (result == 0)
		result = source_deletion_of(uid, exchange->segments[3], &request, &refusal);
	if (result < 0)
		gateway_respond_error(exchange, &refusal);
	else
		append_request(exchange, &request);
}

static const struct route routes[] = {
	{"GET", "/health", ROUTE_GUARD_NONE, route_health},
	{"GET", "/ready", ROUTE_GUARD_NONE, route_ready},
	{"GET", "/metrics", ROUTE_GUARD_KEY, route_metrics},
	{"GET", "/status", ROUTE_GUARD_ALL, route_status},
	{"GET", "/indexes", ROUTE_GUARD_ALL, route_list_indexes},
	{"POST", "/indexes", ROUTE_GUARD_ALL, route_create_index},
	{"DELETE", "/indexes/*", ROUTE_GUARD_ALL, route_delete_index},
	{"POST", "/indexes/*/rebuild", ROUTE_GUARD_ALL, route_rebuild_index},
	{"DELETE", "/indexes/*/rebuild", ROUTE_GUARD_ALL, route_cancel_rebuild},
	{"POST", "/indexes/*/restore", ROUTE_GUARD_ALL, route_restore_index},
	{"POST", "/indexes/*/sources", ROUTE_GUARD_ALL, route_add_source},
	{"PATCH", "/indexes/*/sources/*", ROUTE_GUARD_ALL, route_update_source},
	{"DELETE", "/indexes/*/sources/*", ROUTE_GUARD_ALL, route_remove_source},
	{"GET", "/tasks/*", ROUTE_GUARD_ALL, route_task},
};

struct listener admin_listener(struct gateway *gateway)
{
	return (struct listener){gateway, gateway->cluster_key, routes, sizeof routes / sizeof routes[0]};
}
