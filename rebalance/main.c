/* millrace-rebalance: the controller; the only writer of meta, topology and final task states. */
#include "rebalance/office.h"
#include "shared/http/http_server.h"
#include "shared/meta/catalog.h"
#include "shared/runtime/logline.h"
#include "shared/runtime/metrics.h"
#include "shared/runtime/process.h"

#include <stdio.h>
#include <unistd.h>

#define ADMIN_BODY_BYTES_MAX 4096
#define ADMIN_CONNECTIONS_MAX 64
#define ADMIN_ANSWER_MS_MAX 5000
#define METRICS_BYTES_MAX (4U * 1024 * 1024)
#define STATUS_BYTES_MAX (64U * 1024 * 1024)

struct admin {
	const struct config *config;
	struct office *office;
};

static const char *const ready_texts[OFFICE_STATES] = {
	[OFFICE_STATE_WAITING] = "{\"status\":\"waiting for Kafka\"}",
	[OFFICE_STATE_STANDING_BY] = "{\"status\":\"standing by\"}",
	[OFFICE_STATE_READING] = "{\"status\":\"taking office\"}",
	[OFFICE_STATE_IN_OFFICE] = "{\"status\":\"ready\"}",
};

static void respond_text(struct http_request *request, int status, const char *text)
{
	struct buffer body;

	buffer_init(&body, 1024);
	buffer_append_string(&body, text);
	http_respond(request, status, NULL, &body, NULL);
}

static void handle(struct http_request *request, void *context)
{
	const struct admin *admin = context;
	const char *path = http_request_path(request);
	bool in_office = office_state(admin->office) == OFFICE_STATE_IN_OFFICE;
	struct buffer body;

	if (strcmp(http_request_method(request), "GET") != 0) {
		respond_text(request, 405,
		             "{\"code\":\"method_not_allowed\",\"message\":\"only GET is answered\"}");
	} else if (strcmp(path, "/health") == 0) {
		respond_text(request, 200, "{\"status\":\"available\"}");
	} else if (!http_request_authorized(request, config_string(admin->config, "auth.cluster_key"))) {
		respond_text(request, 403,
		             "{\"code\":\"invalid_api_key\",\"message\":\"the cluster key is wrong\"}");
	} else if (strcmp(path, "/ready") == 0) {
		respond_text(request, in_office ? 200 : 503, ready_texts[office_state(admin->office)]);
	} else if (strcmp(path, "/status") == 0) {
		buffer_init(&body, STATUS_BYTES_MAX);
		office_status(admin->office, &body);
		http_respond(request, 200, NULL, &body, NULL);
	} else if (strcmp(path, "/office") == 0) {
		respond_text(request, 200, in_office ? "{\"in_office\":true}" : "{\"in_office\":false}");
	} else if (strcmp(path, "/metrics") == 0) {
		buffer_init(&body, METRICS_BYTES_MAX);
		metrics_print(&body);
		http_respond(request, 200, "text/plain; version=0.0.4", &body, NULL);
	} else {
		respond_text(request, 404, "{\"code\":\"not_found\",\"message\":\"no such path\"}");
	}
}

/* `*closed` is false if a thread still runs that only _exit ends. */
static int serve(const struct config *config, struct log_connection *connection, int signal_fd, bool *closed,
                 struct error *error)
{
	struct office *office = NULL;
	struct http_server *server = NULL;
	char url[NODE_URL_BYTES_MAX + 1];
	struct admin admin = {.config = config};
	struct http_server_options options = {
		.listen = config_string(config, "rebalance.listen"),
		.threads = 1,
		.body_bytes_max = ADMIN_BODY_BYTES_MAX,
		.connections_max = ADMIN_CONNECTIONS_MAX,
		.answer_ms_max = ADMIN_ANSWER_MS_MAX,
		.handler = handle,
		.context = &admin,
	};
	int rc = office_new(config, connection, signal_fd, &office, error);

	if (rc != 0)
		return rc;
	admin.office = office;
	rc = http_server_start(&options, &server, error);
	if (rc == 0)
		rc = process_ready(config_ready_file(config), "millrace-rebalance",
		                   http_server_address(server), NULL, error);
	if (rc == 0) {
		(void)snprintf(url, sizeof url, "http://%s", http_server_address(server));
		rc = office_run(office, url, error);
	}
	if (server != NULL)
		http_server_stop(server);
	*closed = office_free(office);
	return rc;
}

int main(int argc, char **argv)
{
	struct config *config = NULL;
	struct log_connection *connection = NULL;
	struct error error;
	bool closed = true;
	int signal_fd = process_start();
	int rc = config_load(PROGRAM_REBALANCE, &argc, &argv, &config, &error);

	if (rc > 0)
		return 0;
	if (rc < 0) {
		(void)fprintf(stderr, "millrace-rebalance: %s\n", error.text);
		return process_exit_code(&error);
	}
	log_set_stop(signal_fd);
	rc = log_connection_open(config, &connection, &error);
	if (rc == 0) {
		rc = serve(config, connection, signal_fd, &closed, &error);
		log_connection_close(connection);
	}
	if (rc != 0)
		logline(LOG_LEVEL_ERROR, "failed", "error=\"%s\"", error.text);
	if (!closed)
		_exit(rc == 0 ? 0 : process_exit_code(&error));
	config_free(config);
	return rc == 0 ? 0 : process_exit_code(&error);
}
