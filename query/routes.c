#include "query/routes.h"

#include "query/bodies.h"
#include "query/core/route_request.h"

#include <string.h>
#include <strings.h>

#define BODY_BYTES_MAX (16U * 1024 * 1024)
#define ARENA_BLOCK_BYTES 4096

/* ---- dispatch ---- */

static bool path_matches(const char *path, const struct slice *segments, int count)
{
	int at = 0;

	while (*path == '/') {
		size_t len = strcspn(++path, "/");

		if (at == count || segments[at].len == 0)
			return false;
		if (!(len == 1 && *path == '*') && !slice_equal(segments[at], slice_of(path, len)))
			return false;
		at++;
		path += len;
	}
	return at == count;
}

/* 401 and 403 as Meilisearch tells them apart. */
static int check_key(const struct listener *listener, const struct http_request *request,
                     struct error_answer *refusal)
{
	const char *value = http_request_header(request, "Authorization");

	if (http_request_authorized(request, listener->key))
		return 0;
	if (value == NULL || strncasecmp(value, "Bearer ", 7) != 0)
		return error_answer_set(
			refusal, "missing_authorization_header",
			"The Authorization header is missing. It must use the bearer authorization "
			"method.");
	return error_answer_set(refusal, "invalid_api_key", "The provided API key is invalid.");
}

static int check_guards(const struct listener *listener, const struct route *route,
                        const struct http_request *request, struct error_answer *refusal)
{
	if ((route->guard & ROUTE_GUARD_KEY) && check_key(listener, request, refusal) < 0)
		return -1;
	if ((route->guard & ROUTE_GUARD_READY) && !view_is_ready(listener->gateway->view))
		return error_answer_set(refusal, "not_ready",
		                        "This gateway has not read its topics in Kafka yet.");
	return 0;
}

void routes_dispatch(struct http_request *request, void *context)
{
	const struct listener *listener = context;
	struct exchange exchange = {.gateway = listener->gateway, .request = request, .route = "none"};
	int count = http_request_segments(request, exchange.segments);
	const struct route *route = NULL;
	struct error_answer refusal;
	bool known = false;

	for (size_t i = 0; i < listener->routes_len && count >= 0 && route == NULL; i++) {
		const struct route *row = &listener->routes[i];

		if (!path_matches(row->path, exchange.segments, count))
			continue;
		known = true;
		exchange.route = row->path;
		if (strcmp(row->method, http_request_method(request)) == 0)
			route = row;
	}
	if (route == NULL)
		gateway_respond_empty(&exchange, known ? 405 : 404);
	else if (check_guards(listener, route, request, &refusal) < 0)
		gateway_respond_error(&exchange, &refusal);
	else
		route->handle(&exchange);
}

/* ---- what both listeners have ---- */

void route_health(const struct exchange *exchange)
{
	struct buffer body;

	buffer_init(&body, 256);
	buffer_append_string(&body, "{\"status\":\"available\"}");
	gateway_respond(exchange, 200, &body, NULL);
}

void route_task(const struct exchange *exchange)
{
	struct error_answer refusal;
	struct task_entry entry;
	struct buffer details, body;
	int64_t task;
	int result = task_uid_parse(exchange->segments[1], &task, &refusal);

	buffer_init(&details, TASK_RECORD_BYTES_MAX);
	if (result == 0 && !view_task(exchange->gateway->view, task, &entry, &details))
		result = error_answer_set(&refusal, "task_not_found", "Task `%lld` not found.",
		                          (long long)task);
	if (result < 0) {
		gateway_respond_error(exchange, &refusal);
	} else {
		buffer_init(&body, TASK_RECORD_BYTES_MAX + (size_t)64 * 1024);
		body_task(&body, &entry);
		gateway_respond(exchange, 200, &body, NULL);
	}
	buffer_deinit(&details);
}

void route_indexes(const struct exchange *exchange, bool admin)
{
	struct argument arguments[ARGUMENTS_MAX + 1];
	const struct snapshot *snapshot = NULL;
	struct listing_request request;
	struct error_answer refusal;
	struct arena arena;
	struct buffer body;
	int result;

	arena_init(&arena, ARENA_BLOCK_BYTES);
	result = gateway_arguments(exchange, arguments, &refusal);
	if (result == 0)
		result = listing_request_indexes(arguments, &arena, &request, &refusal);
	if (result == 0 && (snapshot = view_take(exchange->gateway->view)) == NULL)
		result = error_answer_set(&refusal, "not_ready",
		                          "This gateway has not read its topics in Kafka yet.");
	if (result < 0) {
		gateway_respond_error(exchange, &refusal);
	} else {
		/* a command line lists everything unless it says otherwise */
		if (admin && http_request_argument(exchange->request, "limit") == NULL)
			request.limit = INDEXES_MAX;
		buffer_init(&body, BODY_BYTES_MAX);
		body_indexes(&body, snapshot->catalog, &request, admin);
		gateway_respond(exchange, 200, &body, NULL);
	}
	snapshot_release(snapshot);
	arena_deinit(&arena);
}
