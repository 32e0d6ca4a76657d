/* millrace-shard: holds replicas, applies batches and answers searches. */
#include "shard/node.h"
#include "shared/runtime/logline.h"
#include "shared/runtime/process.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	struct config *config = NULL;
	struct node *node = NULL;
	struct error error;
	int signal_fd = process_start();
	int rc = config_load(PROGRAM_SHARD, &argc, &argv, &config, &error);

	if (rc > 0)
		return 0;
	if (rc < 0) {
		(void)fprintf(stderr, "millrace-shard: %s\n", error.text);
		return process_exit_code(&error);
	}
	rc = node_open(config, signal_fd, &node, &error);
	if (rc == 0) {
		rc = node_run(node, &error);
		node_close(node);
	}
	if (rc != 0)
		logline(LOG_LEVEL_ERROR, "failed", "error=\"%s\"", error.text);
	config_free(config);
	return rc == 0 ? 0 : process_exit_code(&error);
}
