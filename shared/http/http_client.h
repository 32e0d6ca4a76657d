/*
 * HTTP client: one thread, one curl_multi loop, any number of requests.
 *
 * http_client_send hands a request over and returns; its completion is
 * called once, on the client's thread, with the status and body or with an
 * error, and must not block (it usually puts a message into a mailbox).
 * Requests carry a deadline; connections are kept, capped per host and aged
 * out. Only http and https, no redirects, literal addresses or the resolver's.
 * An error after the first byte was sent means "maybe applied": receivers are
 * idempotent by offset.
 *
 * The thread may look after a guest beside its own work, usually an HTTP server
 * (http_server.h): what a handler sends and what a completion answers then
 * changes no thread. What is sent on the thread itself wakes nobody.
 *
 * This module alone includes curl/curl.h. Bounds: requests in flight (full is
 * ERROR_LIMIT, RETRY), answer bytes.
 */
#ifndef MILLRACE_HTTP_HTTP_CLIENT_H
#define MILLRACE_HTTP_HTTP_CLIENT_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#include <semaphore.h>

struct http_client;

struct http_client_options {
	unsigned in_flight_max;
	size_t answer_bytes_max;
	size_t receive_bytes; /* at a time, of memory for each request that is answered; 0: as curl has it */
	const char *bearer;   /* cluster key; "" or NULL for none; copied */
};

struct http_answer {
	int status;        /* 0: no answer, see error */
	struct slice body; /* borrowed until the completion returns; of `answer`, if the request has one */
	struct error error;
};

typedef void http_completion(void *context, const struct http_answer *answer);

struct http_client_request {
	const char *method;       /* static */
	const char *url;          /* copied */
	const char *content_type; /* static; NULL for none */
	const char *request_id;   /* copied; sent as X-Request-Id; NULL for none */
	const char *node;         /* copied; sent as X-Millrace-Node: the node that is meant; NULL for none */
	struct buffer *body;      /* moved out, empty afterwards; NULL for none */
	struct buffer *
		answer; /* takes the answer's body and is nobody else's until the completion; NULL for none */
	int timeout_ms; /* for the whole request */
	int deadline_ms; /* sent as X-Millrace-Deadline-Ms; 0 for none */
	http_completion *completion;
	void *context;
};

/* Something else that the client's thread looks after. */
struct http_client_guest {
	int fd; /* polled for reading */
	/* Does what there is to do, without blocking: milliseconds until it wants its next turn even if nothing can
	 * be read, -1 for no such time. */
	int (*turn)(void *context);
	void *context;
};

int http_client_start(const struct http_client_options *options, struct http_client **client,
                      struct error *error);
/* Every request in flight completes with an error first. The guest must have been dismissed. */
void http_client_stop(struct http_client *client);
/* On failure nothing was sent and the completion is not called; the body stays the caller's. */
int http_client_send(struct http_client *client, const struct http_client_request *request,
                     struct error *error);
/* One guest at a time; it has its first turn soon. */
void http_client_admit(struct http_client *client, const struct http_client_guest *guest);
/* The guest has another turn soon. From any thread, also in its turn. */
void http_client_wake(struct http_client *client);
/* Returns after its last turn; not on the client's thread. */
void http_client_dismiss(struct http_client *client);
/* True on the client's thread. */
bool http_client_is_here(const struct http_client *client);
/* Blocking, for command lines and tests of a start: sends and waits. The body is appended to `answer`, after a failure
 * nothing is. */
int http_client_ask(struct http_client *client, struct http_client_request *request, int *status,
                    struct buffer *answer, struct error *error);

/* The same in two halves, with something else to do between them. */
struct http_client_asked {
	sem_t answered;
	int status;
	struct buffer *answer;
	size_t answer_len; /* before */
	struct error error;
};

/* After success `asked` and `answer` stay where they are until http_client_ask_end. */
int http_client_ask_begin(struct http_client *client, struct http_client_request *request,
                          struct http_client_asked *asked, struct buffer *answer, struct error *error);
int http_client_ask_end(struct http_client_asked *asked, int *status, struct error *error);

#endif
