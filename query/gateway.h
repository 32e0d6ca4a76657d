/*
 * Gateway: what every request of millrace-query shares.
 *
 * Opened by main, immutable afterwards but for the counters; lives until both
 * listeners and the HTTP clients have stopped. The public listener is a guest
 * of the HTTP clients: a search is parsed, sent to nodes, merged and answered on
 * one thread. Alarms, the admin listener and the acknowledgements of Kafka have
 * threads of their own: everything here is safe to use from all of them.
 *
 * Every answer to a routed request goes out through gateway_respond and is
 * counted; what the HTTP server refuses by itself never gets here.
 *
 * Bounds: FLIGHTS_MAX searches and other fan-outs at once (more: 503
 * too_many_search_requests), ANSWER_BYTES_MAX a node's answer,
 * ANSWERS_BYTES_MAX of answers held at once, REQUEST_BODY_BYTES_MAX.
 */
#ifndef MILLRACE_QUERY_GATEWAY_H
#define MILLRACE_QUERY_GATEWAY_H

#include "query/alarms.h"
#include "query/balance.h"
#include "query/core/error_answer.h"
#include "query/core/parameters.h"
#include "query/view.h"
#include "shared/http/http_client.h"
#include "shared/http/http_server.h"
#include "shared/log/log.h"
#include "shared/runtime/metrics.h"

#include <stdatomic.h>

/* Threads that serve clients and ask nodes, each both. */
#define GATEWAY_THREADS 2
#define FLIGHTS_MAX 1000
#define REQUEST_BODY_BYTES_MAX (1024U * 1024)
#define ANSWER_BYTES_MAX (64U * 1024 * 1024)
#define ANSWERS_BYTES_MAX (512U * 1024 * 1024)
#define RESPONSE_BYTES_MAX (256U * 1024 * 1024)
#define ARGUMENTS_MAX 64

struct gather;
struct status_desk;

struct gateway {
	const char *master_key; /* "" for none */
	const char *cluster_key;
	bool refuse_degraded;
	int timeout_ms;
	int32_t partitions_default;
	char tasks_topic[TOPIC_BYTES_MAX + 1];
	struct view *view;
	struct http_client *clients[GATEWAY_THREADS];
	struct balance *balance;
	struct alarms *alarms;
	struct gather *gather;
	struct status_desk *status;
	struct log_producer *producer;
	atomic_int flights;
	atomic_size_t answer_bytes; /* of nodes, held by flights */
	struct metric *requests;
	struct metric *degraded;
	struct series *search_seconds;
};

int gateway_open(const struct config *config, struct gateway *gateway, struct error *error);
/* The listeners must have stopped. Completes every flight. False: a thread still waits for Kafka and uses the
 * configuration; exit at once. */
bool gateway_close(struct gateway *gateway);

/* Of this thread, or any. */
struct http_client *gateway_client(const struct gateway *gateway);

/* A request on its way through a route. */
struct exchange {
	struct gateway *gateway;
	struct http_request *request;
	const char *route; /* static label for metrics */
	struct slice segments[HTTP_SEGMENTS_MAX];
};

/* Answers with `body`, which is moved out; extra_headers as in http_respond. */
void gateway_respond(const struct exchange *exchange, int status, struct buffer *body,
                     const char *extra_headers);
void gateway_respond_empty(const struct exchange *exchange, int status);
/* Answers with the error object; an extra header where the code has one (Retry-After). */
void gateway_respond_error(const struct exchange *exchange, const struct error_answer *refusal);
void gateway_count_degraded(struct gateway *gateway, const char *reason);
/* The URL's arguments, ended by a NULL name; negative if there are too many. */
int gateway_arguments(const struct exchange *exchange, struct argument arguments[ARGUMENTS_MAX + 1],
                      struct error_answer *refusal);
/* The active index named by the path's segment, with the snapshot that holds it (released by the caller). */
int gateway_resolve(const struct exchange *exchange, struct slice uid, const struct snapshot **snapshot,
                    const struct index_record **index, struct error_answer *refusal);
/* Counts one more flight; false when there are FLIGHTS_MAX. */
bool gateway_begin_flight(struct gateway *gateway, struct error_answer *refusal);
void gateway_end_flight(struct gateway *gateway);
/* Shapes the errors that the HTTP server gives by itself. */
void gateway_error_body(struct buffer *body, int status, const char *code, const char *message);

#endif
