#include "shared/http/http_server.h"

#include "shared/base/assert.h"
#include "shared/http/http_private.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/random.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EXCESS_BYTES_MAX ((size_t)4 * 1024 * 1024) /* of a body, beyond its cap */
#define CONNECTION_MEMORY_BYTES (32 * 1024)        /* also what libmicrohttpd clears after every request */
#define CONNECTION_TIMEOUT_S 60U
#define LISTEN_BACKLOG 511
/* accepted beyond connections_max, for each thread, so that they can be told 503 */
#define SURPLUS_CONNECTIONS 64
#define STOP_MS_MAX 2000
/* a request that nobody answers holds its memory; so many more than connections may wait for late answers */
#define LATE_FACTOR 2

static const struct http_refusal stopping = {503, "unavailable", "The server is being stopped."};
static const struct http_refusal too_many = {503, "unavailable", "The server is busy."};
static const struct http_refusal too_large = {413, "payload_too_large",
                                              "The request's body is larger than the server accepts."};
static const struct http_refusal no_memory = {503, "unavailable", "The server is out of memory."};

static struct http_connection *connection_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

static void set_phase(struct http_server *server, struct http_connection *connection,
                      enum connection_phase phase)
{
	(void)pthread_mutex_lock(&server->lock);
	connection->phase = phase;
	connection->since_ms = clock_monotonic_ms();
	connection->body_bytes = 0;
	(void)pthread_mutex_unlock(&server->lock);
}

static void connection_begin(struct http_server *server, struct MHD_Connection *mhd, void **context)
{
	struct http_connection *connection = calloc(1, sizeof *connection);
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

	*context = connection; /* NULL: its requests are not served */
	if (connection == NULL)
		return;
	connection->fd = info == NULL ? -1 : info->connect_fd;
	connection->phase = CONNECTION_PHASE_HEAD;
	connection->since_ms = clock_monotonic_ms();
	(void)pthread_mutex_lock(&server->lock);
	connection->surplus = ++server->connections_len > server->options.connections_max;
	connection->next = server->connections;
	if (connection->next != NULL)
		connection->next->previous = connection;
	server->connections = connection;
	(void)pthread_mutex_unlock(&server->lock);
}

static void connection_end(struct http_server *server, struct http_connection *connection)
{
	(void)pthread_mutex_lock(&server->lock);
	server->connections_len--;
	if (connection->next != NULL)
		connection->next->previous = connection->previous;
	if (connection->previous != NULL)
		connection->previous->next = connection->next;
	else
		server->connections = connection->next;
	(void)pthread_mutex_unlock(&server->lock);
	free(connection);
}

static void on_connection(void *context, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		connection_begin(context, mhd, socket_context);
	else if (*socket_context != NULL)
		connection_end(context, *socket_context);
}

/* The first that we see of a request: its target as it came. */
static void *on_target(void *context, const char *target, struct MHD_Connection *mhd)
{
	struct http_server *server = context;
	struct http_connection *connection = connection_of(mhd);
	struct http_request *request = connection == NULL ? NULL : request_new(server, mhd);

	if (request == NULL)
		return NULL;
	request->target_at = target;
	request->target_len = strlen(target);
	request->refusal = http_head_target(&request->head, &request->arena, slice_string(target));
	(void)pthread_mutex_lock(&server->lock);
	connection->request = request;
	if (connection->phase != CONNECTION_PHASE_HEAD) {
		connection->phase = CONNECTION_PHASE_HEAD;
		connection->since_ms = clock_monotonic_ms();
	}
	(void)pthread_mutex_unlock(&server->lock);
	return request;
}

static void on_completed(void *context, struct MHD_Connection *mhd, void **request_context,
                         enum MHD_RequestTerminationCode code)
{
	struct http_server *server = context;
	struct http_request *request = *request_context;
	struct http_connection *connection = connection_of(mhd);

	(void)code;
	*request_context = NULL;
	if (request == NULL)
		return;
	ASSERT(connection != NULL);
	(void)pthread_mutex_lock(&server->lock);
	connection->request = NULL;
	connection->phase = CONNECTION_PHASE_IDLE;
	connection->since_ms = clock_monotonic_ms();
	connection->received_bytes = socket_received_bytes(connection->fd);
	/* nobody else waits for it, and the sweeper would look at every connection */
	if (atomic_load(&server->stopping))
		(void)pthread_cond_broadcast(&server->changed);
	(void)pthread_mutex_unlock(&server->lock);
	(void)pthread_mutex_lock(&request->lock);
	request->state = REQUEST_STATE_ANSWERED; /* also if the peer went away in the middle */
	request->connection = NULL;
	(void)pthread_mutex_unlock(&request->lock);
	request_release(request);
}

static enum MHD_Result queue(struct http_request *request, int status, struct MHD_Response *response)
{
	return MHD_queue_response(request->connection, (unsigned)status, response);
}

/* Answers in the server's own words; only on the connection's thread, before it is suspended. */
static enum MHD_Result refuse(struct http_request *request, const struct http_refusal *refusal)
{
	struct http_server *server = request->server;
	struct MHD_Response *response = response_of_refusal(server, refusal, request->id);

	request->state = REQUEST_STATE_ANSWERED;
	request->response = response; /* freed with the request */
	return queue(request, refusal->status, response);
}

/* A client that sends its body without asking sees an answer only after it has sent all of it: a little too
 * much is read and dropped. One that asks, or would send far too much, is answered at once. */
static bool too_large_to_read(const struct http_request *request, unsigned long long length)
{
	size_t max = request->server->options.body_bytes_max;

	return length > max &&
	       (length - max > EXCESS_BYTES_MAX || http_head_find(&request->head, "Expect") != NULL);
}

static enum MHD_Result begin_body(struct http_request *request, struct http_connection *connection,
                                  const char *method, const char *version)
{
	struct http_server *server = request->server;
	const struct http_refusal *refusal = request_audit(request, method, version);
	const char *length;

	set_phase(server, connection, CONNECTION_PHASE_BODY);
	if (refusal == NULL && connection->surplus)
		refusal = &too_many;
	length = refusal == NULL ? http_head_find(&request->head, "Content-Length") : NULL;
	if (length != NULL && too_large_to_read(request, strtoull(length, NULL, 10)))
		refusal = &too_large;
	if (refusal != NULL)
		return refuse(request, refusal);
	if (server->options.callers_ids)
		request_take_id(request);
	request->state = REQUEST_STATE_BODY;
	return MHD_YES;
}

/* A body that exceeds its cap is read on, up to EXCESS_BYTES_MAX, because libmicrohttpd takes no answer in the
 * middle of a body; then the connection is cut. */
static enum MHD_Result take_body(struct http_request *request, struct http_connection *connection,
                                 struct slice bytes)
{
	struct http_server *server = request->server;

	(void)pthread_mutex_lock(&server->lock);
	connection->body_bytes += bytes.len;
	(void)pthread_mutex_unlock(&server->lock);
	if (request->excess_bytes == 0 && bytes.len <= server->options.body_bytes_max - request->body.len) {
		buffer_append_slice(&request->body, bytes);
		return MHD_YES;
	}
	request->excess_bytes += bytes.len;
	return request->excess_bytes <= EXCESS_BYTES_MAX ? MHD_YES : MHD_NO;
}

/* Lets the handler have it; suspends the connection unless it was answered at once. */
static enum MHD_Result handle(struct http_request *request)
{
	struct http_server *server = request->server;
	enum MHD_Result result = MHD_YES;

	request->state = REQUEST_STATE_HANDLING;
	atomic_fetch_add(&request->holders, 1);
	server->options.handler(request, server->options.context);
	(void)pthread_mutex_lock(&request->lock);
	if (request->state == REQUEST_STATE_ANSWERED) {
		result = queue(request, request->status, request->response);
	} else if (atomic_load(&server->stopping)) {
		result = refuse(request, &stopping);
	} else {
		request->state = REQUEST_STATE_WAITING;
		request->deadline_ms = clock_monotonic_ms() + server->options.answer_ms_max;
		MHD_suspend_connection(request->connection);
	}
	(void)pthread_mutex_unlock(&request->lock);
	return result;
}

static enum MHD_Result end_body(struct http_request *request, struct http_connection *connection)
{
	struct http_server *server = request->server;

	set_phase(server, connection, CONNECTION_PHASE_ANSWERING);
	if (request->excess_bytes > 0)
		return refuse(request, &too_large);
	if (buffer_failed(&request->body))
		return refuse(request, &no_memory);
	if (atomic_load(&server->stopping))
		return refuse(request, &stopping);
	if (atomic_fetch_add(&server->in_flight, 1) >= LATE_FACTOR * server->options.connections_max) {
		atomic_fetch_sub(&server->in_flight, 1);
		return refuse(request, &too_many);
	}
	return handle(request);
}

static enum MHD_Result on_access(void *context, struct MHD_Connection *mhd, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_len, void **request_context)
{
	struct http_request *request = *request_context;
	struct http_connection *connection = connection_of(mhd);
	struct slice bytes = slice_of(upload, *upload_len);
	enum MHD_Result result;

	(void)context;
	(void)url;
	if (request == NULL)
		return MHD_NO;
	/* only the connection's thread moves these states, or it is suspended */
	if (request->state == REQUEST_STATE_HEAD)
		return begin_body(request, connection, method, version);
	if (request->state == REQUEST_STATE_BODY && bytes.len > 0) {
		*upload_len = 0;
		return take_body(request, connection, bytes);
	}
	if (request->state == REQUEST_STATE_BODY)
		return end_body(request, connection);
	(void)pthread_mutex_lock(&request->lock);
	ASSERT(request->state == REQUEST_STATE_ANSWERED && request->response != NULL);
	result = queue(request, request->status, request->response);
	(void)pthread_mutex_unlock(&request->lock);
	return result;
}

/* libmicrohttpd decodes in place unless told not to; we decode ourselves. */
static size_t keep_encoded(void *context, struct MHD_Connection *connection, char *text)
{
	(void)context;
	(void)connection;
	return strlen(text);
}

static int parse_address(const char *listen, struct sockaddr_storage *address, socklen_t *len)
{
	char host[INET6_ADDRSTRLEN];
	const char *colon = strrchr(listen, ':');
	size_t host_len = colon == NULL ? 0 : (size_t)(colon - listen);
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	unsigned long port;
	char *end;

	if (host_len == 0 || host_len >= sizeof host || colon[1] < '0' || colon[1] > '9')
		return -1;
	port = strtoul(colon + 1, &end, 10);
	if (*end != 0 || port > 65535)
		return -1;
	*address = (struct sockaddr_storage){0};
	if (listen[0] == '[' && listen[host_len - 1] == ']') {
		(void)snprintf(host, sizeof host, "%.*s", (int)host_len - 2, listen + 1);
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		*len = sizeof *v6;
		return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1 ? 0 : -1;
	}
	(void)snprintf(host, sizeof host, "%.*s", (int)host_len, listen);
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)port);
	*len = sizeof *v4;
	return inet_pton(AF_INET, host, &v4->sin_addr) == 1 ? 0 : -1;
}

static void print_address(struct http_server *server, const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	char host[INET6_ADDRSTRLEN] = "";

	if (address->ss_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
		(void)snprintf(server->address, sizeof server->address, "[%s]:%u", host,
		               ntohs(v6->sin6_port));
	} else {
		(void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
		(void)snprintf(server->address, sizeof server->address, "%s:%u", host, ntohs(v4->sin_port));
	}
}

/* A listening socket of our own, because libmicrohttpd does not say why it could not bind. */
static int listen_at(struct http_server *server, struct error *error)
{
	const char *listen_text = server->options.listen;
	struct sockaddr_storage address;
	socklen_t len;
	int one = 1;
	int fd;

	if (parse_address(listen_text, &address, &len) != 0)
		return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL,
		                 "`%s` is no address to listen at: expected 127.0.0.1:7700 or [::1]:7700",
		                 listen_text);
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
	    bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, LISTEN_BACKLOG) == 0 &&
	    getsockname(fd, (struct sockaddr *)&address, &len) == 0) {
		print_address(server, &address);
		return fd;
	}
	error_set(error, ERROR_NETWORK, ERROR_ACTION_FATAL, "cannot listen at %s: %s%s", listen_text,
	          strerror(errno),
	          errno == EADDRINUSE ? "; stop the program that uses the port, or set another `listen`"
	                              : "");
	if (fd >= 0)
		(void)close(fd);
	return error->code;
}

static struct MHD_Daemon *start_daemon(struct http_server *server)
{
	bool guest = server->options.clients != NULL;
	unsigned threads = guest ? 1 : server->options.threads;
	struct MHD_OptionItem pool[] = {{MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL},
	                                {MHD_OPTION_END, 0, NULL}};
	struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};

	return MHD_start_daemon(
		(guest ? MHD_USE_EPOLL : MHD_USE_EPOLL_INTERNAL_THREAD) | MHD_ALLOW_SUSPEND_RESUME, 0, NULL,
		NULL, on_access, server, MHD_OPTION_LISTEN_SOCKET, server->fd, MHD_OPTION_CONNECTION_LIMIT,
		server->options.connections_max + SURPLUS_CONNECTIONS * threads,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
		MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_URI_LOG_CALLBACK, on_target,
		server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_UNESCAPE_CALLBACK,
		keep_encoded, NULL,
		/* a pool of one is no pool to libmicrohttpd */
		MHD_OPTION_ARRAY, threads > 1 ? pool : none, MHD_OPTION_END);
}

/* As a guest of a client's thread. */
static int on_turn(void *context)
{
	struct MHD_Daemon *daemon = context;
	MHD_UNSIGNED_LONG_LONG ms;

	(void)MHD_run(daemon); /* NO: it could not wait, and will be called again */
	if (MHD_get_timeout(daemon, &ms) != MHD_YES)
		return -1;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

static int start_daemons(struct http_server *server, struct error *error)
{
	const struct http_server_options *options = &server->options;
	unsigned count = options->clients != NULL ? options->threads : 1;

	while (server->daemons_len < count) {
		struct MHD_Daemon *daemon = start_daemon(server);

		if (daemon == NULL)
			return error_set(error, ERROR_NETWORK, ERROR_ACTION_FATAL,
			                 "cannot serve HTTP at %s: %s", options->listen, strerror(errno));
		server->daemons[server->daemons_len++] = daemon;
	}
	for (; options->clients != NULL && server->guests_len < count; server->guests_len++) {
		struct MHD_Daemon *daemon = server->daemons[server->guests_len];
		const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
		struct http_client_guest guest = {info->epoll_fd, on_turn, daemon};

		http_client_admit(options->clients[server->guests_len], &guest);
	}
	return 0;
}

static struct MHD_Response *spare_response(void)
{
	static const char body[] = "{\"message\":\"The server is out of memory.\",\"code\":\"unavailable\"}";
	struct MHD_Response *response = MHD_create_response_from_buffer(
		sizeof body - 1, (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);

	if (response != NULL)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	return response;
}

void server_release(struct http_server *server)
{
	if (atomic_fetch_sub(&server->holders, 1) > 1)
		return;
	if (server->spare != NULL)
		MHD_destroy_response(server->spare);
	(void)pthread_cond_destroy(&server->changed);
	(void)pthread_mutex_destroy(&server->lock);
	free(server);
}

static struct http_server *server_new(const struct http_server_options *options)
{
	struct http_server *server = calloc(1, sizeof *server);
	pthread_condattr_t monotonic;

	if (server == NULL)
		return NULL;
	server->options = *options;
	server->fd = -1;
	server->life = random_u64();
	atomic_init(&server->holders, 1);
	(void)pthread_mutex_init(&server->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&server->changed, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	server->spare = spare_response();
	return server;
}

int http_server_start(const struct http_server_options *options, struct http_server **server,
                      struct error *error)
{
	struct http_server *new = server_new(options);

	ASSERT(options->threads >= 1 && options->threads <= HTTP_THREADS_MAX);
	if (new == NULL)
		return error_memory(error, sizeof *new);
	new->fd = listen_at(new, error);
	if (new->fd < 0) {
		server_release(new);
		return error->code;
	}
	if (new->spare == NULL || pthread_create(&new->sweeper, NULL, sweeper_run, new) != 0) {
		(void)close(new->fd);
		server_release(new);
		return error_memory(error, sizeof *new);
	}
	if (start_daemons(new, error) < 0) {
		http_server_stop(new);
		return error->code;
	}
	*server = new;
	return 0;
}

const char *http_server_address(const struct http_server *server)
{
	return server->address;
}

/* Answers whatever waits, until nothing is in progress or the time is up. */
static void drain(struct http_server *server)
{
	int64_t deadline_ms = clock_monotonic_ms() + STOP_MS_MAX;
	bool busy = true;

	(void)pthread_mutex_lock(&server->lock);
	while (busy && clock_monotonic_ms() < deadline_ms) {
		struct timespec until;

		busy = false;
		for (struct http_connection *c = server->connections; c != NULL; c = c->next)
			if (c->request != NULL) {
				busy = busy || c->phase == CONNECTION_PHASE_ANSWERING;
				request_expire(c->request, 0, true);
			}
		if (!busy)
			break;
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += 20000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		(void)pthread_cond_timedwait(&server->changed, &server->lock, &until);
	}
	(void)pthread_mutex_unlock(&server->lock);
}

void http_server_stop(struct http_server *server)
{
	if (server == NULL)
		return;
	atomic_store(&server->stopping, true);
	/* a daemon that still listens would close the descriptor, which is all daemons' */
	for (unsigned i = 0; i < server->daemons_len; i++)
		(void)MHD_quiesce_daemon(server->daemons[i]);
	drain(server);
	for (unsigned i = 0; i < server->guests_len; i++)
		http_client_dismiss(server->options.clients[i]);
	for (unsigned i = 0; i < server->daemons_len; i++)
		MHD_stop_daemon(server->daemons[i]);
	(void)close(server->fd);
	(void)pthread_mutex_lock(&server->lock);
	server->sweeper_ends = true;
	(void)pthread_cond_broadcast(&server->changed);
	(void)pthread_mutex_unlock(&server->lock);
	(void)pthread_join(server->sweeper, NULL);
	server_release(server);
}
