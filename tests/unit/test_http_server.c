/*
 * The HTTP server over real sockets: raw bytes in, what the peer sees out.
 */
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

static struct http_server *server;
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

static void on_request(struct http_request *request, void *context)
{
	const char *path = http_request_path(request);

	CU_ASSERT_PTR_EQUAL(context, &server);
	if (strcmp(path, "/later") == 0) {
		CU_ASSERT_TRUE(mailbox_put(later, request));
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
	struct http_server_options options = {.listen = "127.0.0.1:0",
	                                      .threads = 2,
	                                      .body_bytes_max = BODY_BYTES_MAX,
	                                      .connections_max = connections_max,
	                                      .answer_ms_max = answer_ms_max,
	                                      .callers_ids = callers_ids,
	                                      .handler = on_request,
	                                      .context = &server};

	later = mailbox_new(64);
	CU_ASSERT_EQUAL_FATAL(http_server_start(&options, &server, &error), 0);
}

static void stop(void)
{
	http_server_stop(server);
	server = NULL;
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

struct row {
	const char *name;
	const char *bytes;
	size_t len;
	const char *status; /* "" : closed without an answer */
};

#define ROW(name, bytes, status) \
	{ \
		name, bytes, sizeof(bytes) - 1, status \
	}

static const struct row refused[] = {
	ROW("CL and TE",
            "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: "
            "chunked\r\n\r\n0\r\n\r\n",
            "400"),
	ROW("TE and CL",
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: "
            "5\r\n\r\n0\r\n\r\n",
            "400"),
	ROW("two CL", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
            "400"),
	ROW("two CL alike",
            "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\nhello", "400"),
	ROW("two TE",
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
            "chunked\r\n\r\n0\r\n\r\n",
            "400"),
	ROW("two Host", "GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400"),
	ROW("two Authorization", "GET /a HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
            "400"),
	ROW("space before colon",
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"),
	ROW("name with space", "GET /a HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n", "400"),
	ROW("TE gzip, chunked",
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400"),
	ROW("TE xchunked", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            "400"),
	ROW("TE with HTTP/1.0", "POST /a HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400"),
	ROW("bare LF", "GET /a HTTP/1.1\nHost: x\nA: b\n\n", "400"),
	ROW("bare LF once", "GET /a HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", "400"),
	ROW("bare LF at the end", "GET /a HTTP/1.1\r\nHost: x\r\nA: b\n\r\n", "400"),
	ROW("bare LF made up by spaces", "GET /a HTTP/1.1\r\nHost:  x\nA: b\r\n\r\n", "400"),
	ROW("bare CR", "GET /a HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", "400"),
	ROW("folded", "GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", "400"),
	ROW("folded last", "GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\nB: c\r\n\td\r\n\r\n", "400"),
	ROW("NUL in value", "GET /a HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", "400"),
	ROW("NUL in a value before others", "GET /a HTTP/1.1\r\nHost: x\0y\r\nA: b\r\n\r\n", "400"),
	ROW("NUL in target", "GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW("control in value", "GET /a HTTP/1.1\r\nHost: x\r\nA: b\001c\r\n\r\n", "400"),
	ROW("two spaces before the target", "GET  /a HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW("HTTP/1.9", "GET /a HTTP/1.9\r\nHost: x\r\n\r\n", "400"),
	ROW("no Host", "GET /a HTTP/1.1\r\n\r\n", "400"),
	ROW("%00", "GET /a%00b HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW("%00 in an argument", "GET /a?b=%00 HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW("%0a", "GET /a%0ab HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW("control in target", "GET /a\001b HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW("bad escape", "GET /a%zz HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW("cut escape", "GET /a%4 HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW("..", "GET /a/../b HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW(".. at the end", "GET /a/.. HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW("encoded ..", "GET /a/%2e%2E/b HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW("%2f", "GET /a%2fb HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW("%2F", "GET /a%2Fb HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW("absolute form", "GET http://x/a HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW("asterisk", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW("OPTIONS", "OPTIONS /a HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW("TRACE", "TRACE /a HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW("lower case method", "get /a HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
	ROW("CL +5", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello", "400"),
	ROW("CL 5x", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5x\r\n\r\nhello", "400"),
	ROW("CL -1", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\nhello", "400"),
	ROW("CL huge", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\nhello",
            "413"),
	ROW("CL far above the cap", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 6553600\r\n\r\n", "413"),
	ROW("CL above the cap, asked first",
            "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\nExpect: 100-continue\r\n\r\n", "413"),
	ROW("chunk of -1", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nhello",
            "400"),
};

static void test_refused_heads(void)
{
	char text[8192];

	start(60000, 100);
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		int fd = dial();
		bool closed;

		send_text(fd, refused[i].bytes, refused[i].len);
		/* until it is closed: what follows must not be read as a request */
		closed = receive(fd, NULL, text, sizeof text);
		if (!closed || strncmp(text, "HTTP/1.", 7) != 0 ||
		    strncmp(text + 9, refused[i].status, 3) != 0) {
			printf("\n%s: closed %d, %.60s\n", refused[i].name, closed, text);
			CU_FAIL("a head that must be refused");
		}
		(void)close(fd);
	}
	stop();
}

static void test_accepted_heads(void)
{
	static const struct row rows[] = {
		ROW("root", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / #"),
		ROW("segments", "GET /indexes/a%20b/search HTTP/1.1\r\nHost: x\r\n\r\n",
	            "GET /indexes/a b/search|indexes|a b|search #"),
		ROW("trailing slash", "GET /a/ HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a/|a| #"),
		ROW("eight", "GET /1/2/3/4/5/6/7/8 HTTP/1.1\r\nHost: x\r\n\r\n", "|7|8 #"),
		ROW("nine", "GET /1/2/3/4/5/6/7/8/9 HTTP/1.1\r\nHost: x\r\n\r\n", "|too many #"),
		ROW("arguments", "GET /a?q=x+y%26z&b&=c&d= HTTP/1.1\r\nHost: x\r\n\r\n",
	            "GET /a|a?q=x y&z&b=&=c&d= #"),
		ROW("plus in the path", "GET /a+b HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a+b|a+b #"),
		ROW("UTF-8", "GET /a?q=%C3%A9 HTTP/1.1\r\nHost: x\r\n\r\n", "?q=\xc3\xa9 #"),
		ROW("dots in a name", "GET /a..b/... HTTP/1.1\r\nHost: x\r\n\r\n",
	            "GET /a..b/...|a..b|... #"),
		ROW("header forms", "GET /a HTTP/1.1\r\nHost:x\r\nA:   b \r\nE:\r\nF: \r\n\r\n",
	            "GET /a|a #"),
		ROW("body", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
	            "POST /a|a #hello"),
		ROW("chunks",
	            "PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
	            "chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
	            "PUT /a|a #hello"),
		ROW("HTTP/1.0", "GET /a HTTP/1.0\r\n\r\n", "GET /a|a #"),
		ROW("extra header", "GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "X-Extra: a b\r\n"),
		ROW("another extra header", "GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "X-Another: c: d\r\n"),
		ROW("request id", "GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "X-Request-Id: "),
		ROW("type", "GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "Content-Type: application/json\r\n"),
		ROW("no key", "GET /secret HTTP/1.1\r\nHost: x\r\n\r\n", "403"),
		ROW("other key",
	            "GET /secret HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer 0123456789abcdeF\r\n\r\n",
	            "403"),
		ROW("key's beginning",
	            "GET /secret HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer 0123456789\r\n\r\n", "403"),
		ROW("key twice",
	            "GET /secret HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
	            "0123456789abcdef0123456789abcdef\r\n\r\n",
	            "403"),
		ROW("empty key", "GET /secret HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \r\n\r\n", "403"),
		ROW("key",
	            "GET /secret HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n",
	            "200"),
	};
	char text[8192];

	start(60000, 100);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int fd = dial();

		send_text(fd, rows[i].bytes, rows[i].len);
		if (!receive(fd, rows[i].status, text, sizeof text) || strstr(text, rows[i].status) == NULL) {
			printf("\n%s: %s\n", rows[i].name, text);
			CU_FAIL("a head that must be accepted");
		}
		(void)close(fd);
	}
	stop();
}

/* Whose id a request has; taken: the caller's. */
static void check_id(bool callers, const char *id, bool taken)
{
	char line[128];
	char text[8192];
	int fd;

	callers_ids = callers;
	start(60000, 100);
	fd = dial();
	(void)snprintf(line, sizeof line, "X-Request-Id: %s\r\n", id);
	(void)snprintf(text, sizeof text, "GET /a HTTP/1.1\r\nHost: x\r\n%s\r\n", line);
	send_text(fd, text, strlen(text));
	CU_ASSERT_TRUE(receive(fd, "200", text, sizeof text) && strstr(text, "X-Request-Id: ") != NULL);
	CU_ASSERT_EQUAL(strstr(text, line) != NULL, taken);
	(void)close(fd);
	stop();
	callers_ids = false;
}

static void test_ids(void)
{
	check_id(true, "0123456789abcdef-1f", true);
	check_id(true, "012345678901234567890123456789012345678", true);
	check_id(true, "0123456789012345678901234567890123456789", false);
	check_id(true, "a b", false);
	check_id(true, "a\"b", false);
	check_id(false, "0123456789abcdef-1f", false);
}

/* A head of 90 fields that arrives in small pieces, which makes libmicrohttpd's buffer grow. */
static void test_head_in_pieces(void)
{
	char head[16384];
	char text[8192];
	size_t len = 0;
	int fd;

	start(60000, 100);
	fd = dial();
	len += (size_t)snprintf(head, sizeof head, "GET /a?%02000d HTTP/1.1\r\nHost: x\r\n", 1);
	for (int i = 0; i < 90; i++)
		len += (size_t)snprintf(head + len, sizeof head - len, "X-%d: %0100d\r\n", i, i);
	len += (size_t)snprintf(head + len, sizeof head - len, "\r\n");
	for (size_t at = 0; at < len; at += 97)
		send_text(fd, head + at, len - at < 97 ? len - at : 97);
	CU_ASSERT_TRUE(receive(fd, "= #", text, sizeof text));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "200 OK"));
	(void)close(fd);
	stop();
}

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
		{"refused heads", test_refused_heads},
		{"accepted heads", test_accepted_heads},
		{"ids", test_ids},
		{"head in pieces", test_head_in_pieces},
		{"kept connection", test_kept_connection},
		{"body cap", test_body_cap},
		{"body with length above the cap", test_body_with_length_above_the_cap},
		{"answer from elsewhere", test_answer_from_elsewhere},
		{"late answer", test_late_answer},
		{"peer gone", test_peer_gone},
		{"stop answers", test_stop_answers},
		{"slow head", test_slow_head},
		{"surplus connections", test_surplus_connections},
		{"addresses", test_addresses},
		CU_TEST_INFO_NULL,
	};

	return suite_run("http_server", tests);
}
