/* Where a replica is on this node's disk, and what must be there. */
#include "shard/node_private.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

void replicas_path(const struct node *node, const struct held *held, char path[REPLICA_PATH_BYTES_MAX])
{
	(void)snprintf(path, REPLICA_PATH_BYTES_MAX, "%s/%016" PRIx64 "-%" PRId32 "-%" PRId32,
	               node->directory, held->index_id, held->generation, held->partition);
}

int replicas_remove_directory(const char *path, struct error *error)
{
	char file[REPLICA_PATH_BYTES_MAX + 300];
	DIR *directory = opendir(path);
	struct dirent *entry;

	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		(void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
		if (unlink(file) != 0)
			break;
	}
	if (directory != NULL)
		(void)closedir(directory);
	if (rmdir(path) == 0)
		return 0;
	return error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY, "cannot remove %s: %s", path,
	                 strerror(errno));
}

struct replica_identity replicas_identity(const struct node *node, const struct held *held,
                                          const struct index_record *index)
{
	struct replica_identity identity = {.index_id = held->index_id,
	                                    .generation = held->generation,
	                                    .partition = held->partition,
	                                    .base = index->base[held->partition],
	                                    .rules_digest = rules_digest(&index->rules),
	                                    .incarnation = incarnation_draw(),
	                                    .document_bytes_max = index->rules.document_bytes_max,
	                                    .dedup_window = index->rules.dedup_window};

	memcpy(identity.cluster_id, node->cluster_id, sizeof identity.cluster_id);
	return identity;
}

int replicas_open_store(const struct node *node, const struct held *held, struct kv **kv, struct error *error)
{
	char path[REPLICA_PATH_BYTES_MAX];

	replicas_path(node, held, path);
	return kv_open(path, kv, error);
}

bool replicas_are_on_disk(const struct node *node, const struct held *held)
{
	char path[REPLICA_PATH_BYTES_MAX];

	replicas_path(node, held, path);
	return access(path, F_OK) == 0;
}
