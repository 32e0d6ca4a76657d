/*
 * HTTP head: what the head of a request may be.
 *
 * The audit of http_server.h, without libmicrohttpd: a head is built from the
 * raw target, then each header field in order, then method and version, and
 * each step says NULL (go on) or why the request is refused. Strings are
 * decoded copies in the caller's arena and live as long as it does, because a
 * handler may still read them when the connection is gone.
 *
 * Bounds: HTTP_TARGET_BYTES_MAX, HTTP_HEADERS_MAX, HTTP_ARGUMENTS_MAX.
 * Pure; one thread.
 */
#ifndef MILLRACE_HTTP_HTTP_HEAD_H
#define MILLRACE_HTTP_HTTP_HEAD_H

#include "shared/base/arena.h"

#define HTTP_TARGET_BYTES_MAX 8192
#define HTTP_HEADERS_MAX 100
#define HTTP_ARGUMENTS_MAX 64

struct http_field {
	const char *name;
	const char *value;
};

struct http_head {
	const char *method; /* static */
	const char *path;   /* decoded */
	struct http_field arguments[HTTP_ARGUMENTS_MAX];
	size_t arguments_len;
	struct http_field headers[HTTP_HEADERS_MAX];
	size_t headers_len;
};

struct http_refusal {
	int status;
	const char *code;
	const char *message;
};

/* `target` as it came: path and query, percent-encoded. */
const struct http_refusal *http_head_target(struct http_head *head, struct arena *arena, struct slice target);
const struct http_refusal *http_head_header(struct http_head *head, struct arena *arena, struct slice name,
                                            struct slice value);
/* After the last header field. */
const struct http_refusal *http_head_end(struct http_head *head, const char *method, const char *version);
/* NULL if absent; names without regard to case. */
const char *http_head_find(const struct http_head *head, const char *name);

#endif
