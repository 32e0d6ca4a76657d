/*
 * The admin listener's routes: readiness, metrics, and requests that change
 * indexes and their sources, which are answered when Kafka has acknowledged
 * them.
 */
#include "query/bodies.h"
#include "query/core/restore_request.h"
#include "query/core/route_request.h"
#include "query/core/source_request.h"
#include "query/requesting.h"
#include "query/routes.h"
#include "query/status.h"

#include <stdio.h>

#define ARENA_BLOCK_BYTES 4096
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
		requesting_append(exchange, &request);
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
	requesting_append(exchange, request);
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
	requesting_append(exchange, &request);
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
		requesting_append(exchange, &request);
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
		requesting_append(exchange, &request);
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
