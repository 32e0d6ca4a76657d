#include "query/gateway.h"

#include "query/gather.h"
#include "query/status.h"
#include "shared/base/assert.h"

#include <stdio.h>
#include <string.h>

/* Legs of all flights of a thread. */
#define CALLS_MAX 8192
#define PRODUCER_CLOSE_MS 2000

static int name_tasks_topic(const struct config *config, struct gateway *gateway, struct error *error)
{
	struct log_connection *connection;
	int result = log_connection_open(config, &connection, error);

	if (result < 0)
		return result;
	(void)snprintf(gateway->tasks_topic, sizeof gateway->tasks_topic, "%s",
	               log_name(connection, "tasks"));
	log_connection_close(connection);
	return 0;
}

static void declare_metrics(struct gateway *gateway)
{
	struct metric *seconds = metric_new(METRIC_TYPE_HISTOGRAM, "millrace_search_duration_seconds",
	                                    "Time from a search's parsed request to its answer.", "");

	gateway->requests = metric_new(METRIC_TYPE_COUNTER, "millrace_http_requests_total",
	                               "Requests answered, by route and status.", "route,status");
	gateway->degraded = metric_new(
		METRIC_TYPE_COUNTER, "millrace_search_degraded_total",
		"Reads answered in part, with stale shards, not ranked to the end, or refused for that.",
		"reason");
	gateway->search_seconds = metric_series(seconds, NULL);
}

int gateway_open(const struct config *config, struct gateway *gateway, struct error *error)
{
	struct http_client_options options = {.in_flight_max = CALLS_MAX,
	                                      .answer_bytes_max = ANSWER_BYTES_MAX,
	                                      .bearer = config_string(config, "auth.cluster_key")};
	int result;

	*gateway = (struct gateway){
		.master_key = config_string(config, "auth.master_key"),
		.cluster_key = config_string(config, "auth.cluster_key"),
		.refuse_degraded = strcmp(config_string(config, "query.degraded"), "error") == 0,
		.timeout_ms = (int)config_int(config, "query.timeout_ms"),
		.partitions_default = (int32_t)config_int(config, "index_defaults.partitions"),
	};
	declare_metrics(gateway);
	result = name_tasks_topic(config, gateway, error);
	if (result == 0)
		result = log_producer_open(config, &gateway->producer, error);
	if (result == 0)
		result = balance_open(&gateway->balance, error);
	if (result == 0)
		result = alarms_open(&gateway->alarms, error);
	if (result == 0)
		result = gather_open(config_int(config, "query.coalesce_ms"), &gateway->gather, error);
	for (size_t i = 0; result == 0 && i < GATEWAY_THREADS; i++)
		result = http_client_start(&options, &gateway->clients[i], error);
	if (result == 0)
		result = view_open(config, &gateway->view, error);
	if (result == 0)
		result = status_desk_open(config, gateway, &gateway->status, error);
	if (result < 0)
		(void)gateway_close(gateway);
	return result;
}

bool gateway_close(struct gateway *gateway)
{
	bool ended;

	/* first what could start a leg by itself, then the legs; then there are no flights */
	status_desk_close(gateway->status);
	alarms_stop(gateway->alarms);
	for (size_t i = 0; i < GATEWAY_THREADS; i++)
		http_client_stop(gateway->clients[i]);
	ASSERT(atomic_load(&gateway->flights) == 0);
	alarms_close(gateway->alarms);
	gather_close(gateway->gather);
	balance_close(gateway->balance);
	if (gateway->producer != NULL)
		log_producer_close(gateway->producer, PRODUCER_CLOSE_MS);
	ended = view_close(gateway->view);
	*gateway = (struct gateway){0};
	return ended;
}

struct http_client *gateway_client(const struct gateway *gateway)
{
	for (size_t i = 0; i < GATEWAY_THREADS; i++)
		if (http_client_is_here(gateway->clients[i]))
			return gateway->clients[i];
	return gateway->clients[0];
}

static void count_request(const struct exchange *exchange, int status)
{
	char text[8];
	const char *labels[] = {exchange->route, text};

	(void)snprintf(text, sizeof text, "%d", status);
	series_add(metric_series(exchange->gateway->requests, labels), 1);
}

void gateway_respond(const struct exchange *exchange, int status, struct buffer *body,
                     const char *extra_headers)
{
	count_request(exchange, buffer_failed(body) ? 503 : status);
	http_respond(exchange->request, status, NULL, body, extra_headers);
	buffer_deinit(body);
}

void gateway_respond_empty(const struct exchange *exchange, int status)
{
	struct buffer body;

	buffer_init(&body, 0);
	gateway_respond(exchange, status, &body, NULL);
}

void gateway_respond_error(const struct exchange *exchange, const struct error_answer *refusal)
{
	bool later = strcmp(refusal->code, "too_many_search_requests") == 0;
	struct buffer body;

	buffer_init(&body, 8 * ERROR_ANSWER_MESSAGE_BYTES_MAX);
	error_answer_append(&body, slice_string(refusal->code), slice_string(refusal->message));
	gateway_respond(exchange, refusal->status, &body, later ? "Retry-After: 10" : NULL);
}

void gateway_count_degraded(struct gateway *gateway, const char *reason)
{
	const char *labels[] = {reason};

	series_add(metric_series(gateway->degraded, labels), 1);
}

int gateway_arguments(const struct exchange *exchange, struct argument arguments[ARGUMENTS_MAX + 1],
                      struct error_answer *refusal)
{
	const char *name;
	size_t len = 0;

	while ((name = http_request_argument_name(exchange->request, len)) != NULL) {
		if (len == ARGUMENTS_MAX)
			return error_answer_set(refusal, "bad_request", "More than %d parameters",
			                        ARGUMENTS_MAX);
		arguments[len++] = (struct argument){name, http_request_argument(exchange->request, name)};
	}
	arguments[len] = (struct argument){NULL, NULL};
	return 0;
}

static int refuse_not_ready(struct error_answer *refusal)
{
	return error_answer_set(refusal, "not_ready", "This gateway has not read its topics in Kafka yet.");
}

int gateway_resolve(const struct exchange *exchange, struct slice uid, const struct snapshot **snapshot,
                    const struct index_record **index, struct error_answer *refusal)
{
	const struct snapshot *taken = view_take(exchange->gateway->view);
	const struct index_record *found;

	if (taken == NULL)
		return refuse_not_ready(refusal);
	found = catalog_resolve(taken->catalog, uid);
	if (found == NULL) {
		snapshot_release(taken);
		return error_answer_set(refusal, "index_not_found", "Index `%.*s` not found.",
		                        SLICE_ARGS(uid));
	}
	*snapshot = taken;
	*index = found;
	return 0;
}

bool gateway_begin_flight(struct gateway *gateway, struct error_answer *refusal)
{
	if (atomic_fetch_add(&gateway->flights, 1) < FLIGHTS_MAX)
		return true;
	atomic_fetch_sub(&gateway->flights, 1);
	(void)error_answer_set(refusal, "too_many_search_requests",
	                       "Too many search requests running at the same time: %d. Retry after 10s.",
	                       FLIGHTS_MAX);
	return false;
}

void gateway_end_flight(struct gateway *gateway)
{
	atomic_fetch_sub(&gateway->flights, 1);
}

void gateway_error_body(struct buffer *body, int status, const char *code, const char *message)
{
	(void)code;
	error_answer_append(body, slice_string(error_answer_code_of_status(status)), slice_string(message));
}
