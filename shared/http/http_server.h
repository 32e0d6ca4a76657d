/*
 * HTTP server: libmicrohttpd with an audit of every request head.
 *
 * A handler gets a complete, audited request (method, decoded path, query
 * arguments, body) and answers it now or later, from any thread, exactly
 * once, with http_respond: the connection is suspended in between, so no
 * thread waits for anything. Nothing of libmicrohttpd is visible.
 *
 * The audit refuses before routing (400 and close), because libmicrohttpd
 * 0.9.75 accepts them: Content-Length together with Transfer-Encoding,
 * repeated Content-Length, Transfer-Encoding, Host or Authorization,
 * Transfer-Encoding other than exactly `chunked`, header names with spaces or
 * control bytes, control bytes in header values, `%00`, control characters,
 * `..` segments and `%2f` in the path, methods outside GET, POST, PUT, PATCH,
 * DELETE, HEAD, versions other than HTTP/1.0 and 1.1. A request head must
 * arrive within 5 s, a body within its cap and a minimum rate; bodies over
 * `body_bytes_max` get 413 (a few MB too many are read and dropped, so that
 * the client sees it). Connections, requests in flight and memory a
 * connection are bounded; full is 503. A request answered by nobody within
 * `answer_ms_max` gets 503 (libmicrohttpd does not time out a suspended
 * connection); the late answer is dropped.
 *
 * Threads: the server has `threads` epoll threads of its own, or is a guest of
 * that many HTTP clients' threads, so that a request which is passed on to
 * others goes there and back without a change of threads. The handler runs on
 * one of them and must not block.
 */
#ifndef MILLRACE_HTTP_HTTP_SERVER_H
#define MILLRACE_HTTP_HTTP_SERVER_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"
#include "shared/http/http_client.h"

#define HTTP_THREADS_MAX 16

struct http_server;
struct http_request;

struct http_server_options {
	const char *listen; /* "127.0.0.1:7700", port 0 = any; host literal IPv4 or [IPv6] */
	unsigned threads;   /* 1..HTTP_THREADS_MAX */
	/* NULL, or `threads` clients without guests, which outlive the server. */
	struct http_client *const *clients;
	size_t body_bytes_max;
	unsigned connections_max;
	int answer_ms_max;
	/* The X-Request-Id of a caller becomes the request's id, if it is one: for listeners that only other
	 * programs of ours use, so that one id is in the log lines of every hop. */
	bool callers_ids;
	/* Shapes the body of answers that the server itself gives (400, 403, 404, 413, 503): appends
	 * a JSON object to `body`. NULL: {"message":…,"code":…}. */
	void (*error_body)(struct buffer *body, int status, const char *code, const char *message);
	void (*handler)(struct http_request *request, void *context);
	void *context;
};

/* Listens when it returns 0. ERROR_NETWORK names the address and the remedy (taken port). */
int http_server_start(const struct http_server_options *options, struct http_server **server,
                      struct error *error);
/* The bound address "host:port"; valid while the server lives. */
const char *http_server_address(const struct http_server *server);
/* Stops accepting, answers what is in flight with 503, and ends the threads. */
void http_server_stop(struct http_server *server);

/* All borrowed until http_respond. */
const char *http_request_method(const struct http_request *request);
const char *http_request_path(const struct http_request *request); /* percent-decoded, no query */
struct slice http_request_body(const struct http_request *request);
/* Unique in the process' life and over restarts, or the caller's (callers_ids); also answered as X-Request-Id. */
const char *http_request_id(const struct http_request *request);
/* Percent-decoded value, or NULL; "" for `?a`. */
const char *http_request_argument(const struct http_request *request, const char *name);
/* The i-th argument's name, or NULL after the last. */
const char *http_request_argument_name(const struct http_request *request, size_t i);
const char *http_request_header(const struct http_request *request, const char *name);
/* True if `Authorization: Bearer KEY` matches `key` in constant time, or `key` is "". */
bool http_request_authorized(const struct http_request *request, const char *key);

/* Where a router's match of "/indexes/{uid}/search" puts its pieces. */
#define HTTP_SEGMENTS_MAX 8
/* Splits the path at '/'; the number of segments, or -1 if there are more than HTTP_SEGMENTS_MAX. */
int http_request_segments(const struct http_request *request, struct slice segments[HTTP_SEGMENTS_MAX]);

/* Answers and ends the request; `body` is moved out (empty afterwards). content_type NULL: application/json.
 * extra_headers: NULL, or lines "Name: value" with "\n" between them. Thread-safe; exactly once a request. */
void http_respond(struct http_request *request, int status, const char *content_type, struct buffer *body,
                  const char *extra_headers);

#endif
