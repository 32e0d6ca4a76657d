/*
 * HTTP private: what the files of the HTTP server share, and nobody else.
 *
 * A request has two holders, its connection and whoever must answer it, and
 * lives until both have let go; so a late answer meets memory that is there.
 * Leaving HANDLING and WAITING happens under its lock:
 *
 *   HEAD → BODY → HANDLING ─────────────▶ ANSWERED   answered by the handler itself
 *                    └──▶ WAITING ──────▶ ANSWERED   suspended, then resumed
 *
 * Whoever moves it to ANSWERED has put `response` there, once. Everything a
 * handler may read is fixed before HANDLING.
 *
 * Order of locks: server, then request, then libmicrohttpd's own.
 */
#ifndef MILLRACE_HTTP_HTTP_PRIVATE_H
#define MILLRACE_HTTP_HTTP_PRIVATE_H

#include "shared/http/http_head.h"
#include "shared/http/http_server.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

enum request_state {
	REQUEST_STATE_HEAD = 1,
	REQUEST_STATE_BODY,
	REQUEST_STATE_HANDLING,
	REQUEST_STATE_WAITING,
	REQUEST_STATE_ANSWERED
};

#define REQUEST_ID_BYTES 40

struct http_request {
	struct http_server *server;
	pthread_mutex_t lock;
	atomic_int holders;
	_Atomic(enum request_state) state;
	struct MHD_Connection *connection; /* valid while not completed */
	struct http_client *client; /* whose thread serves the connection; NULL: one of the server's own */
	struct MHD_Response *response;
	int status;
	int64_t deadline_ms; /* WAITING */

	char id[REQUEST_ID_BYTES];
	struct arena arena;
	struct http_head head;
	struct buffer body;
	size_t excess_bytes;   /* of the body, beyond its cap */
	const char *target_at; /* where libmicrohttpd keeps it; compared, never read */
	size_t target_len;
	const struct http_refusal *refusal; /* found in the target */
};

enum connection_phase {
	CONNECTION_PHASE_HEAD = 1, /* of its first request, or bytes of the next one have come */
	CONNECTION_PHASE_BODY,
	CONNECTION_PHASE_ANSWERING,
	CONNECTION_PHASE_IDLE
};

/* Guarded by the server's lock. */
struct http_connection {
	struct http_connection *next;
	struct http_connection *previous;
	int fd;
	bool surplus; /* more than connections_max: its first request gets 503 */
	enum connection_phase phase;
	int64_t since_ms;        /* of this phase */
	uint64_t body_bytes;     /* BODY: received so far */
	uint64_t received_bytes; /* IDLE: by the socket when the phase began */
	struct http_request *request;
};

struct http_server {
	struct http_server_options options;
	char address[INET6_ADDRSTRLEN + 10];
	uint64_t life; /* first part of request ids */
	atomic_uint_fast64_t requests;
	atomic_int holders; /* the owner, and each request */
	atomic_uint in_flight;
	atomic_bool stopping;
	int fd; /* that it listens at */
	struct MHD_Daemon
		*daemons[HTTP_THREADS_MAX]; /* one with threads of its own, or one for each client */
	unsigned daemons_len;
	unsigned guests_len;        /* the first of them, whose clients have admitted them */
	struct MHD_Response *spare; /* answer for when memory is out */

	pthread_t sweeper;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* while stopping: a request completed, or the sweeper shall end */
	bool sweeper_ends;
	struct http_connection *connections;
	unsigned connections_len;
};

/* http_request.c */
struct http_request *request_new(struct http_server *server, struct MHD_Connection *connection);
void request_release(struct http_request *request);
/* Builds an answer in the server's own words; never NULL. */
struct MHD_Response *response_of_refusal(struct http_server *server, const struct http_refusal *refusal,
                                         const char *request_id);
/* Its X-Request-Id becomes its id, if it has one of id characters that fits. After the audit, before the body. */
void request_take_id(struct http_request *request);
/* Puts a refusal in place of an answer that is overdue (or of any, with `at_once`). */
void request_expire(struct http_request *request, int64_t now_ms, bool at_once);
void server_release(struct http_server *server);

/* http_audit.c: all of the head that libmicrohttpd shows us in the first call for a request. */
const struct http_refusal *request_audit(struct http_request *request, const char *method,
                                         const char *version);

/* http_sweeper.c */
void *sweeper_run(void *server);
/* Bytes that the socket has received so far. */
uint64_t socket_received_bytes(int fd);

#endif
