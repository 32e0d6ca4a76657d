/*
 * Load: searches over many keep-alive connections at once, from one thread.
 *
 *   bench_load HOST PORT PATH BODIES CONNECTIONS SECONDS|ROUNDSx [hold|list]
 *
 * BODIES is a file of request bodies, one a line, taken in turn; `-` asks for
 * PATH without a body. Every connection sends its next request as soon as it
 * has its answer (closed loop), until SECONDS are over, or all bodies were sent
 * ROUNDS times; then a line of JSON says how it went, with `list` also how long
 * each answer took, in the order in which they came. With `hold` each
 * connection sends one request and stays open until standard input ends. An
 * answer other than a 200 without X-Millrace-Degraded is an error.
 */
#include "shared/base/assert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 10000
#define BODIES_MAX 10000
#define LATENCIES_MAX 4000000
#define ANSWER_BYTES_MAX (4U * 1024 * 1024)
#define EVENTS_MAX 256

struct connection {
	int fd;
	bool waiting;
	int64_t sent_us;
	char *answer;
	size_t len;
	size_t size;
};

struct load {
	struct sockaddr_in address;
	char *requests[BODIES_MAX];
	size_t requests_len;
	size_t next;
	size_t asked_max; /* SIZE_MAX: until the time is over */
	struct connection *connections;
	size_t connections_len;
	int epoll;
	bool hold;
	bool list;
	int64_t start_us;
	int64_t end_us;
	size_t open; /* waiting for an answer */
	uint32_t *latencies_us;
	size_t answers;
	size_t errors;
	char first_error[200];
};

static _Noreturn void fail(const char *what)
{
	(void)fprintf(stderr, "bench_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void ask_for_path(struct load *load, const char *const *arguments)
{
	if (asprintf(&load->requests[load->requests_len++], "GET %s HTTP/1.1\r\nHost: %s:%s\r\n\r\n",
	             arguments[3], arguments[1], arguments[2]) < 0)
		fail("asprintf");
}

static void read_bodies(struct load *load, const char *const *arguments)
{
	FILE *file = fopen(arguments[4], "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	if (file == NULL)
		fail(arguments[4]);
	while (load->requests_len < BODIES_MAX && (len = getline(&line, &size, file)) > 0) {
		while (len > 0 && line[len - 1] == '\n')
			line[--len] = '\0';
		if (asprintf(&load->requests[load->requests_len++],
		             "POST %s HTTP/1.1\r\nHost: %s:%s\r\nContent-Type: application/json\r\n"
		             "Content-Length: %zd\r\n\r\n%s",
		             arguments[3], arguments[1], arguments[2], len, line) < 0)
			fail("asprintf");
	}
	free(line);
	(void)fclose(file);
	if (load->requests_len == 0)
		fail("no bodies");
}

static void ask(struct load *load, struct connection *connection)
{
	const char *request = load->requests[load->next++ % load->requests_len];
	size_t len = strlen(request);

	connection->sent_us = now_us();
	connection->len = 0;
	/* a request is far smaller than a socket's buffer, which is empty */
	if (send(connection->fd, request, len, MSG_NOSIGNAL) != (ssize_t)len)
		fail("send");
	connection->waiting = true;
	load->open++;
}

static void connect_one(struct load *load, struct connection *connection)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
	int on = 1;

	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->fd < 0 ||
	    connect(connection->fd, (struct sockaddr *)&load->address, sizeof load->address) < 0)
		fail("connect");
	(void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0)
		fail("epoll_ctl");
}

/* The length of head and body once both are there, else 0. */
static size_t answer_length(const struct connection *connection)
{
	const char *end = strstr(connection->answer, "\r\n\r\n");
	const char *length;
	size_t all;

	if (end == NULL)
		return 0;
	length = strcasestr(connection->answer, "\r\nContent-Length:");
	if (length == NULL || length > end)
		fail("an answer without Content-Length");
	all = (size_t)(end + 4 - connection->answer) + strtoul(length + 17, NULL, 10);
	return connection->len >= all ? all : 0;
}

static bool may_ask(const struct load *load)
{
	return !load->hold && load->next < load->asked_max && now_us() < load->end_us;
}

static void answered(struct load *load, struct connection *connection, size_t all)
{
	const char *end = strstr(connection->answer, "\r\n\r\n");
	const char *degraded = strcasestr(connection->answer, "\r\nX-Millrace-Degraded:");
	bool good =
		strncmp(connection->answer, "HTTP/1.1 200", 12) == 0 && (degraded == NULL || degraded > end);

	ASSERT(connection->len == all);
	if (!good && load->errors++ == 0)
		(void)snprintf(load->first_error, sizeof load->first_error, "%s", connection->answer);
	if (load->answers < LATENCIES_MAX)
		load->latencies_us[load->answers++] = (uint32_t)(now_us() - connection->sent_us);
	connection->waiting = false;
	load->open--;
	if (may_ask(load))
		ask(load, connection);
}

static void receive(struct load *load, struct connection *connection)
{
	ssize_t len;
	size_t all;

	if (connection->size - connection->len < 65536) {
		connection->size = connection->size == 0 ? 131072 : 2 * connection->size;
		connection->answer = realloc(connection->answer, connection->size);
		if (connection->answer == NULL || connection->size > ANSWER_BYTES_MAX)
			fail("an answer is too large");
	}
	len = recv(connection->fd, connection->answer + connection->len,
	           connection->size - connection->len - 1, 0);
	if (len <= 0)
		fail("the other side closed a connection");
	connection->len += (size_t)len;
	connection->answer[connection->len] = '\0';
	all = answer_length(connection);
	if (all > 0)
		answered(load, connection, all);
}

static void run(struct load *load)
{
	struct epoll_event events[EVENTS_MAX];

	for (size_t i = 0; i < load->connections_len; i++)
		connect_one(load, &load->connections[i]);
	load->start_us = now_us();
	load->end_us = load->asked_max < SIZE_MAX ? INT64_MAX : load->end_us + load->start_us;
	for (size_t i = 0; i < load->connections_len && load->next < load->asked_max; i++)
		ask(load, &load->connections[i]);
	while (load->open > 0) {
		int len = epoll_wait(load->epoll, events, EVENTS_MAX, 60000);

		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0)
			fail("no answer within a minute");
		for (int i = 0; i < len; i++)
			receive(load, events[i].data.ptr);
	}
}

static int compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a;
	uint32_t right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

static double percentile_ms(const struct load *load, size_t percent)
{
	return load->latencies_us[(load->answers - 1) * percent / 100] / 1000.0;
}

static void report(struct load *load)
{
	double seconds = (double)(now_us() - load->start_us) / 1e6;

	(void)printf("{");
	for (size_t i = 0; load->list && i < load->answers; i++)
		(void)printf("%s%" PRIu32, i == 0 ? "\"took_us\":[" : ",", load->latencies_us[i]);
	(void)printf("%s", load->list ? "]," : "");
	qsort(load->latencies_us, load->answers, sizeof load->latencies_us[0], compare);
	if (load->errors > 0)
		(void)fprintf(stderr, "bench_load: first error: %s\n", load->first_error);
	(void)printf("\"answers\":%zu,\"errors\":%zu,\"per_second\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
	             load->answers, load->errors, (double)load->answers / seconds, percentile_ms(load, 50),
	             percentile_ms(load, 99));
	(void)fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct load load;
	struct rlimit files;

	if (argc < 7 || argc > 8) {
		(void)fprintf(stderr,
		              "bench_load HOST PORT PATH BODIES CONNECTIONS SECONDS|ROUNDSx [hold|list]\n");
		return 2;
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	load.address.sin_family = AF_INET;
	load.address.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
	load.connections_len = strtoul(argv[5], NULL, 10);
	load.end_us = (int64_t)(strtod(argv[6], NULL) * 1e6);
	load.hold = argc == 8 && strcmp(argv[7], "hold") == 0;
	load.list = argc == 8 && strcmp(argv[7], "list") == 0;
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	load.latencies_us = malloc(LATENCIES_MAX * sizeof load.latencies_us[0]);
	if (inet_pton(AF_INET, argv[1], &load.address.sin_addr) != 1 || load.connections_len == 0 ||
	    load.connections_len > CONNECTIONS_MAX)
		fail("arguments");
	load.connections = calloc(load.connections_len, sizeof *load.connections);
	if (load.epoll < 0 || load.latencies_us == NULL || load.connections == NULL)
		fail("start");
	if (strcmp(argv[4], "-") == 0)
		ask_for_path(&load, (const char *const *)argv);
	else
		read_bodies(&load, (const char *const *)argv);
	load.asked_max =
		strchr(argv[6], 'x') != NULL ? strtoul(argv[6], NULL, 10) * load.requests_len : SIZE_MAX;
	run(&load);
	report(&load);
	if (load.hold)
		while (getchar() != EOF)
			;
	return load.errors > 0;
}
