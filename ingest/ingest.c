/* The program's life: the listener, the engine, and their ends. */
#include "ingest/ingest_private.h"
#include "shared/log/log.h"
#include "shared/runtime/logline.h"
#include "shared/runtime/process.h"

#include <stdlib.h>
#include <unistd.h>

#define VISITORS_MAX 64

static int open_feeding(struct ingest *ingest, int signal_fd, struct error *error)
{
	const struct feeding_options options = {
		.config = ingest->config,
		.mode = FEEDING_MODE_LIVE,
		.memory_bytes = (size_t)config_bytes(ingest->config, "ingest.memory"),
		.flush = config_string(ingest->config, "ingest.flush"),
		.stop_fd = signal_fd,
		.address = http_server_address(ingest->server),
		.guest_fd = mailbox_fd(ingest->visitors),
		.guest = admin_answer,
		.guest_context = ingest,
	};
	struct feeding *feeding;
	int rc = feeding_open(&options, &feeding, error);

	if (rc == 0)
		atomic_store(&ingest->feeding, feeding);
	return rc;
}

int ingest_open(const struct config *config, int signal_fd, struct ingest **ingest, struct error *error)
{
	struct ingest *opened = calloc(1, sizeof *opened);
	int rc;

	if (opened == NULL)
		return error_memory(error, sizeof *opened);
	opened->config = config;
	log_set_stop(signal_fd);
	opened->visitors = mailbox_new(VISITORS_MAX);
	rc = opened->visitors == NULL ? error_memory(error, VISITORS_MAX * sizeof(void *)) : 0;
	if (rc == 0)
		rc = admin_start(opened, error);
	if (rc == 0)
		rc = open_feeding(opened, signal_fd, error);
	if (rc == 0)
		rc = import_open(config, http_server_address(opened->server), &opened->import, error);
	if (rc == 0)
		rc = process_ready(config_ready_file(config), "millrace-ingest",
		                   http_server_address(opened->server), NULL, error);
	if (rc != 0) {
		if (!ingest_close(opened))
			_exit(process_exit_code(error));
		return rc;
	}
	logline(LOG_LEVEL_INFO, "started", "listen=%s", http_server_address(opened->server));
	*ingest = opened;
	return 0;
}

int ingest_run(struct ingest *ingest, struct error *error)
{
	return feeding_run(atomic_load(&ingest->feeding), error);
}

bool ingest_close(struct ingest *ingest)
{
	struct feeding *feeding = atomic_load(&ingest->feeding);

	if (ingest->server != NULL) {
		admin_answer(ingest);
		http_server_stop(ingest->server);
	}
	if (!import_close(ingest->import))
		return false;
	if (feeding != NULL && !feeding_close(feeding))
		return false;
	mailbox_free(ingest->visitors);
	free(ingest);
	return true;
}
