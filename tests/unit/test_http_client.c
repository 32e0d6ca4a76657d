/*
 * The HTTP client against the HTTP server, over real sockets.
 */
#include "shared/http/http_client.h"

#include "shared/http/http_server.h"
#include "shared/runtime/mailbox.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define WAIT_MS 30000
#define ANSWER_BYTES_MAX 100000

static struct http_server *server;
static struct http_client *client;
/* Answers, as the completion saw them. */
static struct mailbox *answers;
/* Requests to /later. */
static struct mailbox *later;

struct seen {
	intptr_t number;
	int status;
	struct error error;
	char body[256];
};

static void on_request(struct http_request *request, void *context)
{
	const char *path = http_request_path(request);
	struct slice sent = http_request_body(request);
	const char *type = http_request_header(request, "Content-Type");
	const char *id = http_request_header(request, "X-Request-Id");
	const char *deadline = http_request_header(request, "X-Millrace-Deadline-Ms");
	const char *node = http_request_header(request, "X-Millrace-Node");
	struct buffer body;

	(void)context;
	if (strcmp(path, "/later") == 0) {
		CU_ASSERT_TRUE(mailbox_put(later, request));
		return;
	}
	buffer_init(&body, 1 << 20);
	if (strcmp(path, "/long") == 0) {
		CU_ASSERT_PTR_NOT_NULL(
			memset(buffer_grow(&body, ANSWER_BYTES_MAX + 1), 'x', ANSWER_BYTES_MAX + 1));
	} else {
		buffer_printf(&body, "%s %s %s %s %d %zu ", http_request_method(request), path,
		              type == NULL ? "-" : type, id == NULL ? "-" : id,
		              http_request_authorized(request, "0123456789abcdef"), sent.len);
		buffer_append(&body, sent.ptr, sent.len < 20 ? sent.len : 20);
		if (deadline != NULL)
			buffer_printf(&body, "in %s ms", deadline);
		if (node != NULL)
			buffer_printf(&body, " of %s", node);
	}
	http_respond(request, strcmp(path, "/teapot") == 0 ? 418 : 200, "text/plain", &body, NULL);
}

static void on_answer(void *context, const struct http_answer *answer)
{
	struct seen *seen = calloc(1, sizeof *seen);

	CU_ASSERT_PTR_NOT_NULL_FATAL(seen);
	seen->number = (intptr_t)context;
	seen->status = answer->status;
	seen->error = answer->error;
	(void)snprintf(seen->body, sizeof seen->body, "%.*s",
	               (int)(answer->body.len < 200 ? answer->body.len : 200),
	               answer->body.ptr == NULL ? "" : (const char *)answer->body.ptr);
	CU_ASSERT_TRUE(mailbox_put(answers, seen));
}

static void start(unsigned in_flight_max)
{
	struct http_server_options server_options = {.listen = "127.0.0.1:0",
	                                             .threads = 1,
	                                             .body_bytes_max = 8 << 20,
	                                             .connections_max = 200,
	                                             .answer_ms_max = 60000,
	                                             .handler = on_request};
	struct http_client_options client_options = {.in_flight_max = in_flight_max,
	                                             .answer_bytes_max = ANSWER_BYTES_MAX,
	                                             .bearer = "0123456789abcdef"};
	struct error error;

	answers = mailbox_new(1000);
	later = mailbox_new(1000);
	CU_ASSERT_EQUAL_FATAL(http_server_start(&server_options, &server, &error), 0);
	CU_ASSERT_EQUAL_FATAL(http_client_start(&client_options, &client, &error), 0);
}

static void stop(void)
{
	http_client_stop(client);
	http_server_stop(server);
	CU_ASSERT_PTR_NULL(mailbox_take(answers));
	CU_ASSERT_PTR_NULL(mailbox_take(later));
	mailbox_free(answers);
	mailbox_free(later);
}

static int send_to(const char *path, const char *method, struct buffer *body, int timeout_ms, intptr_t number)
{
	char url[128];
	struct http_client_request request = {.method = method,
	                                      .url = url,
	                                      .content_type = body == NULL ? NULL : "text/x",
	                                      .request_id = "r-1",
	                                      .body = body,
	                                      .timeout_ms = timeout_ms,
	                                      .completion = on_answer,
	                                      .context = (void *)number};
	struct error error;

	(void)snprintf(url, sizeof url, "http://%s%s", http_server_address(server), path);
	return http_client_send(client, &request, &error);
}

/* The next answer must be this one. */
static void expect(intptr_t number, int status, int code, const char *body)
{
	struct seen *seen = mailbox_wait(answers, WAIT_MS);

	CU_ASSERT_PTR_NOT_NULL_FATAL(seen);
	CU_ASSERT_EQUAL(seen->number, number);
	CU_ASSERT_EQUAL(seen->status, status);
	CU_ASSERT_EQUAL(seen->error.code, code);
	CU_ASSERT_STRING_EQUAL(seen->body, body);
	free(seen);
}

static void test_methods(void)
{
	struct buffer body;

	start(10);
	buffer_init(&body, 100);
	CU_ASSERT_EQUAL(send_to("/a", "GET", NULL, WAIT_MS, 1), 0);
	expect(1, 200, 0, "GET /a - r-1 1 0 ");
	buffer_append_string(&body, "hello");
	CU_ASSERT_EQUAL(send_to("/b", "POST", &body, WAIT_MS, 2), 0);
	CU_ASSERT_EQUAL(body.len, 0);
	CU_ASSERT_PTR_NULL(body.ptr);
	expect(2, 200, 0, "POST /b text/x r-1 1 5 hello");
	CU_ASSERT_EQUAL(send_to("/c", "POST", NULL, WAIT_MS, 3), 0);
	expect(3, 200, 0, "POST /c - r-1 1 0 ");
	CU_ASSERT_EQUAL(send_to("/d", "DELETE", NULL, WAIT_MS, 4), 0);
	expect(4, 200, 0, "DELETE /d - r-1 1 0 ");
	buffer_append_string(&body, "x");
	CU_ASSERT_EQUAL(send_to("/e", "PUT", &body, WAIT_MS, 5), 0);
	expect(5, 200, 0, "PUT /e text/x r-1 1 1 x");
	CU_ASSERT_EQUAL(send_to("/f", "HEAD", NULL, WAIT_MS, 6), 0);
	expect(6, 200, 0, "");
	/* a status is an answer, not an error */
	CU_ASSERT_EQUAL(send_to("/teapot", "GET", NULL, WAIT_MS, 7), 0);
	expect(7, 418, 0, "GET /teapot - r-1 1 0 ");
	stop();
}

static void test_node_and_deadline(void)
{
	char url[128];
	struct http_client_request request = {.method = "GET",
	                                      .url = url,
	                                      .node = "n1",
	                                      .timeout_ms = WAIT_MS,
	                                      .deadline_ms = 1234,
	                                      .completion = on_answer,
	                                      .context = (void *)1};
	struct error error;

	start(10);
	(void)snprintf(url, sizeof url, "http://%s/d", http_server_address(server));
	CU_ASSERT_EQUAL(http_client_send(client, &request, &error), 0);
	expect(1, 200, 0, "GET /d - - 1 0 in 1234 ms of n1");
	stop();
}

static void test_large_body(void)
{
	struct buffer body;
	size_t len = 4 << 20;

	start(10);
	buffer_init(&body, len);
	CU_ASSERT_PTR_NOT_NULL(memset(buffer_grow(&body, len), 'y', len));
	CU_ASSERT_EQUAL(send_to("/large", "POST", &body, WAIT_MS, 1), 0);
	expect(1, 200, 0, "POST /large text/x r-1 1 4194304 yyyyyyyyyyyyyyyyyyyy");
	stop();
}

static void test_many(void)
{
	bool seen[300] = {false};

	start(300);
	for (intptr_t i = 0; i < 300; i++)
		CU_ASSERT_EQUAL(send_to("/many", "GET", NULL, WAIT_MS, i), 0);
	for (int i = 0; i < 300; i++) {
		struct seen *answer = mailbox_wait(answers, WAIT_MS);

		CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
		CU_ASSERT_EQUAL(answer->status, 200);
		CU_ASSERT_FALSE(seen[answer->number]);
		seen[answer->number] = true;
		free(answer);
	}
	stop();
}

static void answer_later(void)
{
	struct http_request *request = mailbox_wait(later, WAIT_MS);
	struct buffer body;

	CU_ASSERT_PTR_NOT_NULL_FATAL(request);
	buffer_init(&body, 10);
	http_respond(request, 200, NULL, &body, NULL);
}

static void test_timeout_and_bound(void)
{
	struct buffer body;

	start(2);
	/* long enough for the request to arrive, however busy the machine is */
	CU_ASSERT_EQUAL(send_to("/later", "GET", NULL, 2000, 1), 0);
	expect(1, 0, ERROR_TIMEOUT, "");
	answer_later();
	CU_ASSERT_EQUAL(send_to("/later", "GET", NULL, WAIT_MS, 2), 0);
	CU_ASSERT_EQUAL(send_to("/later", "GET", NULL, WAIT_MS, 3), 0);
	buffer_init(&body, 10);
	buffer_append_string(&body, "kept");
	CU_ASSERT_EQUAL(send_to("/a", "POST", &body, WAIT_MS, 4), ERROR_LIMIT);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&body), slice_string("kept")));
	answer_later();
	expect(2, 200, 0, "");
	CU_ASSERT_EQUAL(send_to("/a", "POST", &body, WAIT_MS, 5), 0);
	expect(5, 200, 0, "POST /a text/x r-1 1 4 kept");
	answer_later();
	expect(3, 200, 0, "");
	stop();
}

static void test_long_answer(void)
{
	start(10);
	CU_ASSERT_EQUAL(send_to("/long", "GET", NULL, WAIT_MS, 1), 0);
	expect(1, 0, ERROR_LIMIT, "");
	/* and goes on */
	CU_ASSERT_EQUAL(send_to("/a", "GET", NULL, WAIT_MS, 2), 0);
	expect(2, 200, 0, "GET /a - r-1 1 0 ");
	stop();
}

static void test_stop_completes(void)
{
	struct http_request *request;
	struct buffer body;

	start(10);
	CU_ASSERT_EQUAL(send_to("/later", "GET", NULL, WAIT_MS, 1), 0);
	request = mailbox_wait(later, WAIT_MS);
	CU_ASSERT_PTR_NOT_NULL_FATAL(request);
	http_client_stop(client);
	client = NULL;
	expect(1, 0, ERROR_STATE, "");
	buffer_init(&body, 10);
	http_respond(request, 200, NULL, &body, NULL);
	stop();
}

static void test_ask(void)
{
	char url[128];
	struct http_client_request request = {.method = "GET", .url = url, .timeout_ms = WAIT_MS};
	struct buffer answer;
	struct error error;
	int status = 0;

	start(10);
	buffer_init(&answer, 1000);
	(void)snprintf(url, sizeof url, "http://%s/ask", http_server_address(server));
	CU_ASSERT_EQUAL(http_client_ask(client, &request, &status, &answer, &error), 0);
	CU_ASSERT_EQUAL(status, 200);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&answer), slice_string("GET /ask - - 1 0 ")));
	/* a port that was just let go */
	http_server_stop(server);
	server = NULL;
	status = 7;
	CU_ASSERT_EQUAL(http_client_ask(client, &request, &status, &answer, &error), ERROR_NETWORK);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_RETRY);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, url));
	CU_ASSERT_EQUAL(status, 7);
	request.url = "file:///etc/passwd";
	CU_ASSERT_EQUAL(http_client_ask(client, &request, &status, &answer, &error), ERROR_NETWORK);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
	buffer_deinit(&answer);
	stop();
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"methods", test_methods},
		{"node and deadline", test_node_and_deadline},
		{"large body", test_large_body},
		{"many", test_many},
		{"timeout and bound", test_timeout_and_bound},
		{"long answer", test_long_answer},
		{"stop completes", test_stop_completes},
		{"ask", test_ask},
		CU_TEST_INFO_NULL,
	};

	return suite_run("http_client", tests);
}
