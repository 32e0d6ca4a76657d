#include "shared/base/assert.h"
#include "shared/http/http_private.h"
#include "shared/json/json.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define ARENA_BLOCK_BYTES 2048
#define ERROR_BODY_BYTES_MAX 4096

static const struct http_refusal overdue = {503, "unavailable", "The answer took too long."};
static const struct http_refusal stopping = {503, "unavailable", "The server is being stopped."};

/* Whose thread this is, if it is one that serves. */
static struct http_client *client_here(const struct http_server *server)
{
	for (unsigned i = 0; server->options.clients != NULL && i < server->options.threads; i++)
		if (http_client_is_here(server->options.clients[i]))
			return server->options.clients[i];
	return NULL;
}

struct http_request *request_new(struct http_server *server, struct MHD_Connection *connection)
{
	struct http_request *request = calloc(1, sizeof *request);

	if (request == NULL)
		return NULL;
	(void)pthread_mutex_init(&request->lock, NULL);
	atomic_init(&request->holders, 1);
	atomic_fetch_add(&server->holders, 1);
	request->server = server;
	request->connection = connection;
	request->client = client_here(server);
	request->state = REQUEST_STATE_HEAD;
	arena_init(&request->arena, ARENA_BLOCK_BYTES);
	buffer_init(&request->body, server->options.body_bytes_max);
	(void)snprintf(request->id, sizeof request->id, "%016" PRIx64 "-%" PRIx64, server->life,
	               (uint64_t)atomic_fetch_add(&server->requests, 1));
	return request;
}

void request_release(struct http_request *request)
{
	if (atomic_fetch_sub(&request->holders, 1) > 1)
		return;
	if (request->response != NULL && request->response != request->server->spare)
		MHD_destroy_response(request->response);
	server_release(request->server);
	arena_deinit(&request->arena);
	buffer_deinit(&request->body);
	(void)pthread_mutex_destroy(&request->lock);
	free(request);
}

/* One line "Name: value" up to `end`. */
static bool add_extra_header(struct MHD_Response *response, const char *line, const char *end)
{
	const char *colon = strstr(line, ": ");
	size_t len = (size_t)(end - line);
	bool added = false;
	char *copy;

	ASSERT(colon != NULL && colon < end);
	copy = strndup(line, len);
	if (copy != NULL) {
		copy[colon - line] = '\0';
		added = MHD_add_response_header(response, copy, copy + (colon - line) + 2) == MHD_YES;
	}
	free(copy);
	return added;
}

static bool add_extra_headers(struct MHD_Response *response, const char *lines)
{
	while (lines != NULL && *lines != '\0') {
		const char *end = strchrnul(lines, '\n');

		if (!add_extra_header(response, lines, end))
			return false;
		lines = *end == '\n' ? end + 1 : end;
	}
	return true;
}

/* Moves the body out; NULL when out of memory. */
static struct MHD_Response *response_new(struct buffer *body, const char *content_type,
                                         const char *request_id, const char *extra_headers)
{
	struct MHD_Response *response;
	bool failed = buffer_failed(body);
	size_t len;
	uint8_t *bytes = buffer_take(body, &len);

	if (failed)
		return NULL;
	if (bytes != NULL)
		response = MHD_create_response_from_buffer_with_free_callback(len, bytes, free);
	else
		response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	if (response == NULL) {
		free(bytes);
		return NULL;
	}
	if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
	                            content_type == NULL ? "application/json" : content_type) == MHD_YES &&
	    MHD_add_response_header(response, "X-Request-Id", request_id) == MHD_YES &&
	    add_extra_headers(response, extra_headers))
		return response;
	MHD_destroy_response(response);
	return NULL;
}

static void default_error_body(struct buffer *body, const char *code, const char *message)
{
	buffer_append_string(body, "{\"message\":");
	json_append_string(body, slice_string(message));
	buffer_append_string(body, ",\"code\":");
	json_append_string(body, slice_string(code));
	buffer_append_string(body, "}");
}

struct MHD_Response *response_of_refusal(struct http_server *server, const struct http_refusal *refusal,
                                         const char *request_id)
{
	struct MHD_Response *response;
	struct buffer body;

	buffer_init(&body, ERROR_BODY_BYTES_MAX);
	if (server->options.error_body != NULL)
		server->options.error_body(&body, refusal->status, refusal->code, refusal->message);
	else
		default_error_body(&body, refusal->code, refusal->message);
	/* what was refused may be followed by bytes that only look like a request */
	response = response_new(&body, NULL, request_id, refusal->status < 500 ? "Connection: close" : NULL);
	return response != NULL ? response : server->spare;
}

/* Gives the answer to the connection; the request's lock is held, its state HANDLING or WAITING. */
static void answer(struct http_request *request, int status, struct MHD_Response *response)
{
	bool resume = request->state == REQUEST_STATE_WAITING;

	request->state = REQUEST_STATE_ANSWERED;
	request->status = status;
	request->response = response;
	if (!resume)
		return;
	MHD_resume_connection(request->connection);
	/* libmicrohttpd wakes only threads of its own */
	if (request->client != NULL)
		http_client_wake(request->client);
}

void request_take_id(struct http_request *request)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	const char *id = http_head_find(&request->head, "X-Request-Id");
	size_t len = id == NULL ? 0 : strspn(id, letters);

	if (len > 0 && len < sizeof request->id && id[len] == '\0')
		memcpy(request->id, id, len + 1);
}

void request_expire(struct http_request *request, int64_t now_ms, bool at_once)
{
	(void)pthread_mutex_lock(&request->lock);
	if (request->state == REQUEST_STATE_WAITING && (at_once || now_ms >= request->deadline_ms)) {
		const struct http_refusal *why = at_once ? &stopping : &overdue;
		struct MHD_Response *response = response_of_refusal(request->server, why, request->id);

		answer(request, why->status, response);
	}
	(void)pthread_mutex_unlock(&request->lock);
}

void http_respond(struct http_request *request, int status, const char *content_type, struct buffer *body,
                  const char *extra_headers)
{
	struct http_server *server = request->server;
	struct MHD_Response *response = response_new(body, content_type, request->id, extra_headers);

	if (response == NULL) {
		status = 503;
		response = server->spare;
	}
	logline(LOG_LEVEL_DEBUG, "answered", "request=%s method=%s path=\"%s\" status=%d", request->id,
	        request->head.method, request->head.path, status);
	(void)pthread_mutex_lock(&request->lock);
	if (request->state == REQUEST_STATE_HANDLING || request->state == REQUEST_STATE_WAITING)
		answer(request, status, response);
	else if (response != server->spare)
		MHD_destroy_response(response);
	(void)pthread_mutex_unlock(&request->lock);
	atomic_fetch_sub(&server->in_flight, 1);
	request_release(request);
}

const char *http_request_method(const struct http_request *request)
{
	return request->head.method;
}

const char *http_request_path(const struct http_request *request)
{
	return request->head.path;
}

struct slice http_request_body(const struct http_request *request)
{
	return buffer_slice(&request->body);
}

const char *http_request_id(const struct http_request *request)
{
	return request->id;
}

const char *http_request_argument(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->head.arguments_len; i++)
		if (strcmp(request->head.arguments[i].name, name) == 0)
			return request->head.arguments[i].value;
	return NULL;
}

const char *http_request_argument_name(const struct http_request *request, size_t i)
{
	return i < request->head.arguments_len ? request->head.arguments[i].name : NULL;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
	return http_head_find(&request->head, name);
}

bool http_request_authorized(const struct http_request *request, const char *key)
{
	const char *value = http_head_find(&request->head, "Authorization");
	size_t key_len = strlen(key);
	unsigned different;
	size_t len;

	if (key_len == 0)
		return true;
	if (value == NULL || strncasecmp(value, "Bearer ", 7) != 0)
		return false;
	value += 7;
	len = strlen(value);
	/* the time depends on what was presented, never on the key */
	different = len != key_len;
	for (size_t i = 0; i < len; i++)
		different |= (unsigned)(unsigned char)value[i] ^ (unsigned)(unsigned char)key[i % key_len];
	return different == 0;
}

int http_request_segments(const struct http_request *request, struct slice segments[HTTP_SEGMENTS_MAX])
{
	const char *at = request->head.path + 1;
	int count = 0;

	while (*at != 0 || at[-1] == '/') {
		const char *end = strchrnul(at, '/');

		if (end == at && *at == 0 && count == 0)
			break; /* the path is "/" */
		if (count == HTTP_SEGMENTS_MAX)
			return -1;
		segments[count++] = slice_of(at, (size_t)(end - at));
		if (*end == 0)
			break;
		at = end + 1;
	}
	return count;
}
