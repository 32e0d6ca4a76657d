#include "shared/http/http_private.h"
#include "shared/runtime/clock.h"

#include <linux/tcp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <time.h>

#define SWEEP_MS 100
#define HEAD_MS_MAX 5000
#define IDLE_MS_MAX 60000
/* a body may take this long whatever its size, then it must keep the rate */
#define BODY_GRACE_MS 5000
#define BODY_BYTES_PER_S_MIN 1024

uint64_t socket_received_bytes(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof info;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
	    len < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received)
		return 0;
	return info.tcpi_bytes_received;
}

/* True if the peer has used up its time. */
static bool is_overdue(struct http_connection *connection, int64_t now_ms)
{
	int64_t age_ms = now_ms - connection->since_ms;

	switch (connection->phase) {
	case CONNECTION_PHASE_HEAD:
		return age_ms > HEAD_MS_MAX;
	case CONNECTION_PHASE_BODY:
		return age_ms > BODY_GRACE_MS &&
		       (int64_t)connection->body_bytes <
		               (age_ms - BODY_GRACE_MS) * BODY_BYTES_PER_S_MIN / 1000;
	case CONNECTION_PHASE_IDLE:
		if (socket_received_bytes(connection->fd) != connection->received_bytes) {
			connection->phase = CONNECTION_PHASE_HEAD;
			connection->since_ms = now_ms;
			return false;
		}
		return age_ms > IDLE_MS_MAX;
	case CONNECTION_PHASE_ANSWERING:
		break;
	}
	return false;
}

static void sweep(struct http_server *server, int64_t now_ms)
{
	struct http_connection *connection;

	for (connection = server->connections; connection != NULL; connection = connection->next) {
		/* libmicrohttpd sees the end of the stream and closes; the descriptor is open
		 * until it has told us, which waits for the server's lock */
		if (is_overdue(connection, now_ms))
			(void)shutdown(connection->fd, SHUT_RDWR);
		else if (connection->request != NULL)
			request_expire(connection->request, now_ms, false);
	}
}

void *sweeper_run(void *context)
{
	struct http_server *server = context;

	(void)pthread_mutex_lock(&server->lock);
	while (!server->sweeper_ends) {
		struct timespec until;

		sweep(server, clock_monotonic_ms());
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += SWEEP_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		(void)pthread_cond_timedwait(&server->changed, &server->lock, &until);
	}
	(void)pthread_mutex_unlock(&server->lock);
	return NULL;
}
