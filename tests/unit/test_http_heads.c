/*
 * The audit of request heads: raw bytes in, what the peer sees out.
 */
#include "tests/unit/http_bed.h"

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

int main(void)
{
	CU_TestInfo tests[] = {
		{"refused heads", test_refused_heads},
		{"accepted heads", test_accepted_heads},
		{"ids", test_ids},
		{"head in pieces", test_head_in_pieces},
		CU_TEST_INFO_NULL,
	};

	return run_both("http_heads", "http_heads of a guest", tests);
}
