/*
 * Bed: an HTTP server over real sockets, with a handler that describes what it
 * was given, keeps it for later, or passes it on. Once with threads of its own,
 * once as a guest of HTTP clients.
 */
#ifndef MILLRACE_TESTS_UNIT_HTTP_BED_H
#define MILLRACE_TESTS_UNIT_HTTP_BED_H

#include "shared/http/http_server.h"

#include "shared/runtime/clock.h"
#include "shared/runtime/mailbox.h"
#include "tests/unit/suite.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_BYTES_MAX 65536
#define WAIT_MS 20000

#define THREADS 2

static struct http_server *server;
static struct http_client *clients[THREADS];
static bool as_guest;
/* Requests to /later, for the test to answer. */
static struct mailbox *later;

static void answer_text(struct http_request *request, int status, const char *text)
{
	struct buffer body;

	buffer_init(&body, 1 << 20);
	buffer_append_string(&body, text);
	http_respond(request, status, "text/plain", &body, NULL);
}

/* "METHOD path|segment|segment?name=value&name=value #body" */
static void answer_description(struct http_request *request)
{
	struct slice segments[HTTP_SEGMENTS_MAX];
	int count = http_request_segments(request, segments);
	struct buffer body;
	const char *name;

	buffer_init(&body, 1 << 20);
	buffer_printf(&body, "%s %s", http_request_method(request), http_request_path(request));
	for (int i = 0; i < count; i++)
		buffer_printf(&body, "|%.*s", SLICE_ARGS(segments[i]));
	if (count < 0)
		buffer_append_string(&body, "|too many");
	for (size_t i = 0; (name = http_request_argument_name(request, i)) != NULL; i++)
		buffer_printf(&body, "%c%s=%s", i == 0 ? '?' : '&', name,
		              http_request_argument(request, name));
	buffer_printf(&body, " #%.*s", SLICE_ARGS(http_request_body(request)));
	http_respond(request, 200, NULL, &body, "X-Extra: a b\nX-Another: c: d");
}

static void on_passed(void *context, const struct http_answer *answer)
{
	struct http_request *request = context;
	struct buffer body;

	CU_ASSERT_EQUAL(answer->status, 200);
	buffer_init(&body, 1 << 20);
	buffer_append_string(&body, "passed on: ");
	buffer_append_slice(&body, answer->body);
	http_respond(request, 200, NULL, &body, NULL);
}

/* To the same server, with the client of this thread if it is one's. */
static void pass_on(struct http_request *request)
{
	struct http_client *client = http_client_is_here(clients[1]) ? clients[1] : clients[0];
	char url[128];
	struct http_client_request passed = {.method = "GET",
	                                     .url = url,
	                                     .timeout_ms = WAIT_MS,
	                                     .completion = on_passed,
	                                     .context = request};
	struct error error;

	CU_ASSERT_EQUAL(http_client_is_here(client), as_guest);
	(void)snprintf(url, sizeof url, "http://%s/passed", http_server_address(server));
	CU_ASSERT_EQUAL_FATAL(http_client_send(client, &passed, &error), 0);
}

static void on_request(struct http_request *request, void *context)
{
	const char *path = http_request_path(request);

	CU_ASSERT_PTR_EQUAL(context, &server);
	if (strcmp(path, "/later") == 0) {
		CU_ASSERT_TRUE(mailbox_put(later, request));
	} else if (strcmp(path, "/pass") == 0) {
		pass_on(request);
	} else if (strcmp(path, "/secret") == 0) {
		bool allowed = http_request_authorized(request, "0123456789abcdef");

		answer_text(request, allowed ? 200 : 403, allowed ? "yes" : "no");
	} else if (strcmp(path, "/size") == 0) {
		char text[32];

		(void)snprintf(text, sizeof text, "%zu", http_request_body(request).len);
		answer_text(request, 200, text);
	} else {
		answer_description(request);
	}
}

static bool callers_ids;

static void start(int answer_ms_max, unsigned connections_max)
{
	struct error error;
	struct http_client_options client_options = {.in_flight_max = 100, .answer_bytes_max = 1 << 20};
	struct http_server_options options = {.listen = "127.0.0.1:0",
	                                      .threads = THREADS,
	                                      .clients = as_guest ? clients : NULL,
	                                      .body_bytes_max = BODY_BYTES_MAX,
	                                      .connections_max = connections_max,
	                                      .answer_ms_max = answer_ms_max,
	                                      .callers_ids = callers_ids,
	                                      .handler = on_request,
	                                      .context = &server};

	later = mailbox_new(64);
	for (size_t i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(http_client_start(&client_options, &clients[i], &error), 0);
	CU_ASSERT_EQUAL_FATAL(http_server_start(&options, &server, &error), 0);
}

static void stop(void)
{
	http_server_stop(server);
	server = NULL;
	for (size_t i = 0; i < THREADS; i++)
		http_client_stop(clients[i]);
	mailbox_free(later);
}

static int dial(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_port = htons((uint16_t)atoi(strchr(http_server_address(server), ':') + 1));
	CU_ASSERT_FATAL(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
	return fd;
}

static void send_text(int fd, const void *text, size_t len)
{
	CU_ASSERT_EQUAL(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Reads until the peer closes, `enough` has come, or WAIT_MS; false on the latter. */
static bool receive(int fd, const char *enough, char *text, size_t size)
{
	int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
	size_t len = 0;

	for (;;) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		int64_t left_ms = deadline_ms - clock_monotonic_ms();
		ssize_t got;

		text[len] = 0;
		if (enough != NULL && strstr(text, enough) != NULL)
			return true;
		if (left_ms <= 0 || poll(&ready, 1, (int)left_ms) != 1)
			return false;
		got = recv(fd, text + len, size - 1 - len, 0);
		if (got <= 0)
			return true;
		len += (size_t)got;
	}
}

/* Both ways; the program's exit code. */
static int run_both(const char *name, const char *name_as_guest, CU_TestInfo *tests)
{
	int result = suite_run(name, tests);

	as_guest = true;
	return suite_run(name_as_guest, tests) | result;
}

#endif
