/* millrace-ingest: reads Kafka logs and feeds their records to the nodes that hold their replicas. */
#include "ingest/ingest.h"
#include "shared/runtime/logline.h"
#include "shared/runtime/process.h"

#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct config *config = NULL;
	struct ingest *ingest = NULL;
	struct error error;
	bool closed = true;
	int signal_fd = process_start();
	int rc = config_load(PROGRAM_INGEST, &argc, &argv, &config, &error);

	if (rc > 0)
		return 0;
	if (rc < 0) {
		(void)fprintf(stderr, "millrace-ingest: %s\n", error.text);
		return process_exit_code(&error);
	}
	rc = ingest_open(config, signal_fd, &ingest, &error);
	if (rc == 0) {
		rc = ingest_run(ingest, &error);
		closed = ingest_close(ingest);
	}
	if (rc != 0)
		logline(LOG_LEVEL_ERROR, "failed", "error=\"%s\"", error.text);
	if (!closed)
		_exit(rc == 0 ? 0 : process_exit_code(&error));
	config_free(config);
	return rc == 0 ? 0 : process_exit_code(&error);
}
