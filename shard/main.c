/* millrace-shard: holds replicas, applies batches and answers searches. */
#include "shard/node.h"
#include "shared/runtime/logline.h"
#include "shared/runtime/process.h"

#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>

/* LMDB takes two pieces of 1 and 2 MiB for each environment, of which it uses some pages. They stay pages that nobody
 * has touched as long as they come from the kernel one by one; left to itself the allocator would give them, once
 * the first was freed, from its heap, and clear them. */
#define MAPPED_BYTES_MIN (1024 * 1024)
/* Fixing that one would lower the other: what may lie free at the heap's end. */
#define FREE_BYTES_MAX (4 * 1024 * 1024)

/* A replica has four of them open, and by default a process may have 1,024. What cannot be raised millrace doctor tells. */
static void descriptors_raise(void)
{
	struct rlimit descriptors;

	if (getrlimit(RLIMIT_NOFILE, &descriptors) != 0)
		return;
	descriptors.rlim_cur = descriptors.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &descriptors);
}

int main(int argc, char **argv)
{
	struct config *config = NULL;
	struct node *node = NULL;
	struct error error;
	int signal_fd = process_start();
	int rc = config_load(PROGRAM_SHARD, &argc, &argv, &config, &error);

	(void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
	(void)mallopt(M_TRIM_THRESHOLD, FREE_BYTES_MAX);
	descriptors_raise();
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
