/*
 * The HTTP server: connections, bodies, answers now and later, and its end.
 */
#include "tests/unit/http_bed.h"

static void test_kept_connection(void)
{
	static const char twice[] = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\n"
				    "Content-Length: 2\r\n\r\nok";
	static const char later_bad[] = "GET /3 HTTP/1.1\r\nHost: x\nA: b\r\n\r\n";
	char text[8192];
	int fd;

	start(60000, 100);
	fd = dial();
	send_text(fd, twice, sizeof twice - 1);
	CU_ASSERT_TRUE(receive(fd, "POST /2|2 #ok", text, sizeof text));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "GET /1|1 #"));
	send_text(fd, later_bad, sizeof later_bad - 1);
	CU_ASSERT_TRUE(receive(fd, NULL, text, sizeof text));
	CU_ASSERT_EQUAL(strncmp(text, "HTTP/1.1 400", 12), 0);
	(void)close(fd);
	stop();
}

static void test_body_cap(void)
{
	static const char head[] = "POST /size HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
	static char body[BODY_BYTES_MAX + 1];
	char text[8192];
	char chunk[32];

	start(60000, 100);
	memset(body, 'x', sizeof body);
	for (size_t len = BODY_BYTES_MAX; len <= BODY_BYTES_MAX + 1; len++) {
		int fd = dial();

		send_text(fd, head, sizeof head - 1);
		send_text(fd, chunk, (size_t)snprintf(chunk, sizeof chunk, "%zx\r\n", len));
		send_text(fd, body, len);
		send_text(fd, "\r\n0\r\n\r\n", 7);
		CU_ASSERT_TRUE(receive(fd, len == BODY_BYTES_MAX ? "\r\n\r\n65536" : "payload_too_large",
		                       text, sizeof text));
		CU_ASSERT_EQUAL(strncmp(text + 9, len == BODY_BYTES_MAX ? "200" : "413", 3), 0);
		(void)close(fd);
	}
	stop();
}

/* A client that sends a little too much without asking gets its answer, not a reset connection. */
static void test_body_with_length_above_the_cap(void)
{
	static char body[1 << 20];
	char text[8192];
	char head[128];
	int fd;

	start(60000, 100);
	memset(body, 'x', sizeof body);
	fd = dial();
	send_text(fd, head,
	          (size_t)snprintf(head, sizeof head,
	                           "POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
	                           sizeof body));
	send_text(fd, body, sizeof body);
	CU_ASSERT_TRUE(receive(fd, "payload_too_large", text, sizeof text));
	CU_ASSERT_EQUAL(strncmp(text + 9, "413", 3), 0);
	(void)close(fd);
	stop();
}

static void test_answer_from_elsewhere(void)
{
	static const char get[] = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";
	struct http_request *requests[8];
	char text[8192];
	int fds[8];

	start(60000, 100);
	for (int i = 0; i < 8; i++) {
		fds[i] = dial();
		send_text(fds[i], get, sizeof get - 1);
		requests[i] = mailbox_wait(later, WAIT_MS);
		CU_ASSERT_PTR_NOT_NULL_FATAL(requests[i]);
	}
	for (int i = 7; i >= 0; i--) {
		char reply[32];

		(void)snprintf(reply, sizeof reply, "number %d", i);
		answer_text(requests[i], 200, reply);
		CU_ASSERT_TRUE(receive(fds[i], reply, text, sizeof text));
		(void)close(fds[i]);
	}
	stop();
}

/* Several connections wait at once, each for an answer that its own server gives. */
static void test_passed_on(void)
{
	static const char get[] = "GET /pass HTTP/1.1\r\nHost: x\r\n\r\n";
	char text[8192];
	int fds[8];

	start(60000, 100);
	for (size_t i = 0; i < 8; i++)
		fds[i] = dial();
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < 8; i++)
			send_text(fds[i], get, sizeof get - 1);
		for (size_t i = 0; i < 8; i++)
			CU_ASSERT_TRUE(receive(fds[i], "passed on: GET /passed|passed #", text, sizeof text));
	}
	for (size_t i = 0; i < 8; i++)
		(void)close(fds[i]);
	stop();
}

static void test_late_answer(void)
{
	static const char get[] = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";
	struct http_request *request;
	char text[8192];
	int fd;

	start(300, 100);
	fd = dial();
	send_text(fd, get, sizeof get - 1);
	request = mailbox_wait(later, WAIT_MS);
	CU_ASSERT_PTR_NOT_NULL_FATAL(request);
	CU_ASSERT_TRUE(receive(fd, "took too long", text, sizeof text));
	CU_ASSERT_EQUAL(strncmp(text, "HTTP/1.1 503", 12), 0);
	(void)close(fd);
	/* everything that the handler was given is still there */
	CU_ASSERT_STRING_EQUAL(http_request_path(request), "/later");
	answer_text(request, 200, "late");
	stop();
}

static void test_peer_gone(void)
{
	static const char get[] = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";
	struct http_request *request;
	int fd;

	start(60000, 100);
	fd = dial();
	send_text(fd, get, sizeof get - 1);
	request = mailbox_wait(later, WAIT_MS);
	CU_ASSERT_PTR_NOT_NULL_FATAL(request);
	(void)close(fd);
	answer_text(request, 200, "nobody reads this");
	stop();
}

static void test_stop_answers(void)
{
	static const char get[] = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";
	struct http_request *request;
	char text[8192];
	int fd;

	start(60000, 100);
	fd = dial();
	send_text(fd, get, sizeof get - 1);
	request = mailbox_wait(later, WAIT_MS);
	CU_ASSERT_PTR_NOT_NULL_FATAL(request);
	stop();
	CU_ASSERT_TRUE(receive(fd, NULL, text, sizeof text));
	CU_ASSERT_EQUAL(strncmp(text, "HTTP/1.1 503", 12), 0);
	(void)close(fd);
	/* the server is gone, the request is not */
	answer_text(request, 200, "too late");
}

static void test_slow_head(void)
{
	static const char drip[] =
		"GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	int64_t began_ms = clock_monotonic_ms();
	char text[8192];
	int fds[2];
	bool closed[2] = {false, false};

	start(60000, 100);
	fds[0] = dial();
	fds[1] = dial();
	/* one connection has had a request before */
	send_text(fds[1], "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n", 29);
	CU_ASSERT_TRUE(receive(fds[1], "GET /1|1 #", text, sizeof text));
	for (size_t at = 0; at < sizeof drip - 1 && !(closed[0] && closed[1]); at++) {
		struct pollfd ready[2] = {{.fd = closed[0] ? -1 : fds[0], .events = POLLIN},
		                          {.fd = closed[1] ? -1 : fds[1], .events = POLLIN}};

		for (int i = 0; i < 2; i++)
			if (!closed[i])
				(void)send(fds[i], drip + at, 1, MSG_NOSIGNAL);
		(void)poll(ready, 2, 200);
		for (int i = 0; i < 2; i++)
			closed[i] = closed[i] || ready[i].revents != 0;
	}
	CU_ASSERT_TRUE(closed[0] && closed[1]);
	CU_ASSERT_TRUE(clock_monotonic_ms() - began_ms >= 5000);
	(void)close(fds[0]);
	(void)close(fds[1]);
	stop();
}

static void test_surplus_connections(void)
{
	static const char get[] = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n";
	char text[8192];
	int fds[4];

	start(60000, 3);
	for (int i = 0; i < 4; i++) {
		fds[i] = dial();
		send_text(fds[i], get, sizeof get - 1);
		CU_ASSERT_TRUE(receive(fds[i], i < 3 ? "GET /1|1 #" : "busy", text, sizeof text));
		CU_ASSERT_EQUAL(strncmp(text + 9, i < 3 ? "200" : "503", 3), 0);
	}
	for (int i = 0; i < 4; i++)
		(void)close(fds[i]);
	stop();
}

static void test_addresses(void)
{
	static const char *const bad[] = {
		"7700",   "localhost:7700", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000",
		"[::1:0", ":7700",          "127.0.0.1"};
	struct http_server_options options = {.threads = 1,
	                                      .body_bytes_max = 10,
	                                      .connections_max = 10,
	                                      .answer_ms_max = 10,
	                                      .handler = on_request,
	                                      .context = &server};
	struct http_server *other;
	struct error error;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		options.listen = bad[i];
		CU_ASSERT_EQUAL(http_server_start(&options, &other, &error), ERROR_CONFIGURATION);
	}
	start(60000, 10);
	options.listen = http_server_address(server);
	CU_ASSERT_EQUAL(http_server_start(&options, &other, &error), ERROR_NETWORK);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "stop the program that uses the port"));
	stop();
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"kept connection", test_kept_connection},
		{"body cap", test_body_cap},
		{"body with length above the cap", test_body_with_length_above_the_cap},
		{"answer from elsewhere", test_answer_from_elsewhere},
		{"passed on", test_passed_on},
		{"late answer", test_late_answer},
		{"peer gone", test_peer_gone},
		{"stop answers", test_stop_answers},
		{"slow head", test_slow_head},
		{"surplus connections", test_surplus_connections},
		{"addresses", test_addresses},
		CU_TEST_INFO_NULL,
	};

	return run_both("http_server", "http_server as a guest", tests);
}
