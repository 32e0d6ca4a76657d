/*
 * Routes: which handler a request gets, and what must hold before it runs.
 *
 * A listener has one table. The dispatcher finds the row by path (none: 404
 * with an empty body) and method (none: 405 with an empty body), then checks
 * the key and the gateway's readiness as the row says, then calls the
 * handler, which answers the exchange exactly once, at once or later.
 * Handlers run on threads of libmicrohttpd and do not block.
 */
#ifndef MILLRACE_QUERY_ROUTES_H
#define MILLRACE_QUERY_ROUTES_H

#include "query/gateway.h"

enum route_guard {
	ROUTE_GUARD_NONE = 0,
	ROUTE_GUARD_KEY = 1,   /* the listener's key */
	ROUTE_GUARD_READY = 2, /* every topic read to its end */
	ROUTE_GUARD_ALL = 3
};

struct route {
	const char *method;
	const char *path; /* "*" stands for any one segment */
	unsigned guard;   /* enum route_guard */
	void (*handle)(const struct exchange *exchange);
};

struct listener {
	struct gateway *gateway;
	const char *key; /* "" for none */
	const struct route *routes;
	size_t routes_len;
};

/* For http_server_options: `context` is a struct listener that outlives the server. */
void routes_dispatch(struct http_request *request, void *context);

/* The tables; `gateway` must outlive them. */
struct listener public_listener(struct gateway *gateway);
struct listener admin_listener(struct gateway *gateway);

/* Handlers that both listeners have. */
void route_health(const struct exchange *exchange);
void route_task(const struct exchange *exchange);
void route_indexes(const struct exchange *exchange, bool admin);

/* Of all settings of an index, or one. */
void route_settings_show(const struct exchange *exchange);
void route_settings_change(const struct exchange *exchange);
void route_settings_reset(const struct exchange *exchange);

#endif
