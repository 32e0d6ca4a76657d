/* millrace-query: answers searches and reads over HTTP, and takes requests that change indexes. */
#include "query/routes.h"
#include "shared/config/config.h"
#include "shared/log/log.h"
#include "shared/runtime/logline.h"
#include "shared/runtime/process.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define PUBLIC_CONNECTIONS_MAX 4096
#define ADMIN_CONNECTIONS_MAX 256
/* A read ends by query.timeout_ms; what hangs longer is a mistake of ours. */
#define PUBLIC_GRACE_MS 5000
/* Kafka may take its time to acknowledge a request. */
#define ADMIN_ANSWER_MS 30000
#define READY_POLL_MS 20

struct listeners {
	struct listener public_table;
	struct listener admin_table;
	struct http_server *public_server;
	struct http_server *admin_server;
};

static int listen_on(const struct config *config, struct gateway *gateway, struct listeners *listeners,
                     struct error *error)
{
	struct http_server_options options = {.listen = config_string(config, "query.listen"),
	                                      .threads = GATEWAY_THREADS,
	                                      .clients = gateway->clients,
	                                      .body_bytes_max = REQUEST_BODY_BYTES_MAX,
	                                      .connections_max = PUBLIC_CONNECTIONS_MAX,
	                                      .answer_ms_max = gateway->timeout_ms + PUBLIC_GRACE_MS,
	                                      .error_body = gateway_error_body,
	                                      .handler = routes_dispatch,
	                                      .context = &listeners->public_table};
	int result;

	listeners->public_table = public_listener(gateway);
	listeners->admin_table = admin_listener(gateway);
	result = http_server_start(&options, &listeners->public_server, error);
	if (result < 0)
		return result;
	options.listen = config_string(config, "query.admin");
	options.threads = 1;
	options.clients = NULL;
	options.connections_max = ADMIN_CONNECTIONS_MAX;
	options.answer_ms_max = ADMIN_ANSWER_MS;
	options.context = &listeners->admin_table;
	return http_server_start(&options, &listeners->admin_server, error);
}

/* True if a signal came within the time; -1 waits for ever. */
static bool signal_came(int signal_fd, int timeout_ms)
{
	struct pollfd waiting = {.fd = signal_fd, .events = POLLIN};

	return poll(&waiting, 1, timeout_ms) > 0;
}

/* Serves until a signal comes; says that it is ready once it is. */
static int serve_until_signal(const struct config *config, int signal_fd, struct gateway *gateway,
                              const struct listeners *listeners, struct error *error)
{
	const char *listen = http_server_address(listeners->public_server);
	const char *admin = http_server_address(listeners->admin_server);

	logline(LOG_LEVEL_INFO, "listening", "listen=%s admin=%s", listen, admin);
	while (!view_is_ready(gateway->view))
		if (signal_came(signal_fd, READY_POLL_MS))
			return 0;
	if (process_ready(config_ready_file(config), "millrace-query", listen, admin, error) < 0)
		return error->code;
	while (!signal_came(signal_fd, -1))
		;
	return 0;
}

static int serve(const struct config *config, int signal_fd, struct error *error)
{
	struct listeners listeners = {0};
	struct gateway gateway;
	int result;

	log_set_stop(signal_fd);
	result = gateway_open(config, &gateway, error);
	if (result < 0)
		return result;
	result = listen_on(config, &gateway, &listeners, error);
	if (result == 0)
		result = serve_until_signal(config, signal_fd, &gateway, &listeners, error);
	logline(LOG_LEVEL_INFO, "stopping", "result=%d", result);
	if (listeners.public_server != NULL)
		http_server_stop(listeners.public_server);
	if (listeners.admin_server != NULL)
		http_server_stop(listeners.admin_server);
	if (!gateway_close(&gateway))
		_exit(result < 0 ? process_exit_code(error) : 0);
	return result;
}

int main(int argc, char **argv)
{
	struct config *config = NULL;
	struct error error;
	int signal_fd = process_start();
	int result = config_load(PROGRAM_QUERY, &argc, &argv, &config, &error);

	if (result > 0)
		return 0;
	if (result < 0) {
		(void)fprintf(stderr, "millrace-query: %s\n", error.text);
		return process_exit_code(&error);
	}
	result = serve(config, signal_fd, &error);
	if (result < 0)
		logline(LOG_LEVEL_ERROR, "failed", "error=\"%s\"", error.text);
	config_free(config);
	return result < 0 ? process_exit_code(&error) : 0;
}
