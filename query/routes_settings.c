/* The routes of an index's settings, all of them and each: shown as they are in force, changed by a task. */
#include "query/bodies.h"
#include "query/core/route_request.h"
#include "query/core/settings_request.h"
#include "query/requesting.h"
#include "query/routes.h"

#include <stdio.h>

#define SETTINGS_BODY_BYTES_MAX (4U * 1024 * 1024)

/* The setting that the path names; NULL: all. False after an answer. */
static bool find_setting(const struct exchange *exchange, const struct settings_route **route)
{
	struct slice path = exchange->segments[3];

	*route = path.ptr != NULL ? settings_route_find(path) : NULL;
	if (path.ptr == NULL || *route != NULL)
		return true;
	gateway_respond_empty(exchange, 404);
	return false;
}

static int find_index(const struct exchange *exchange, const struct snapshot **snapshot,
                      const struct index_record **index, struct error_answer *refusal)
{
	int result = index_uid_check(exchange->segments[1], refusal);

	return result < 0 ? result
	                  : gateway_resolve(exchange, exchange->segments[1], snapshot, index, refusal);
}

void route_settings_show(const struct exchange *exchange)
{
	const struct snapshot *snapshot = NULL;
	const struct settings_route *route;
	const struct index_record *index;
	struct error_answer refusal;
	struct buffer body;
	int result;

	if (!find_setting(exchange, &route))
		return;
	buffer_init(&body, SETTINGS_BODY_BYTES_MAX);
	result = find_index(exchange, &snapshot, &index, &refusal);
	if (result == 0)
		result = settings_request_show(catalog_settings(snapshot->catalog, index->id), route, &body,
		                               &refusal);
	if (result == 0)
		gateway_respond(exchange, 200, &body, NULL);
	else
		gateway_respond_error(exchange, &refusal);
	snapshot_release(snapshot);
	buffer_deinit(&body);
}

/* As in Meilisearch what is wrong with the body is told before that there is no such index. */
static void change(const struct exchange *exchange, const struct settings_request *wanted)
{
	const struct snapshot *snapshot = NULL;
	const struct settings_record *in_force = NULL;
	const struct index_record *index;
	struct error_answer refusal, missing;
	struct task_request request;
	struct slice uid = exchange->segments[1];
	int found = find_index(exchange, &snapshot, &index, &missing);
	int result;

	if (found == 0)
		in_force = catalog_settings(snapshot->catalog, index->id);
	result = settings_request_change(in_force, wanted, &request, &refusal);
	snapshot_release(snapshot);
	if (result < 0) {
		gateway_respond_error(exchange, &refusal);
		return;
	}
	if (found < 0) {
		gateway_respond_error(exchange, &missing);
	} else {
		(void)snprintf(request.uid, sizeof request.uid, "%.*s", SLICE_ARGS(uid));
		requesting_append(exchange, &request);
	}
	task_request_deinit(&request);
}

void route_settings_change(const struct exchange *exchange)
{
	static const char *const methods[] = {
		[SETTINGS_METHOD_PUT] = "PUT", [SETTINGS_METHOD_PATCH] = "PATCH"};
	struct settings_request wanted = {.body = http_request_body(exchange->request)};
	struct error_answer refusal;

	if (!find_setting(exchange, &wanted.route))
		return;
	if (wanted.route != NULL &&
	    strcmp(methods[wanted.route->method], http_request_method(exchange->request)) != 0)
		gateway_respond_empty(exchange, 405);
	else if (parameters_check_content_type(http_request_header(exchange->request, "Content-Type"),
	                                       &refusal) < 0)
		gateway_respond_error(exchange, &refusal);
	else
		change(exchange, &wanted);
}

void route_settings_reset(const struct exchange *exchange)
{
	struct settings_request wanted = {.reset = true};

	if (find_setting(exchange, &wanted.route))
		change(exchange, &wanted);
}
