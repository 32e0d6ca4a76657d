/* What is asked of a replica on its owner's thread: of a snapshot of what it is now. */
#include "shard/core/replica_private.h"

/* The snapshot of a replica that may answer. */
static int serving_snapshot(struct replica *replica, bool stale_ok, struct snapshot **snapshot,
                            struct error *error)
{
	if (replica_check_serving(replica, stale_ok, error) != 0)
		return error->code;
	*snapshot = replica_snapshot(replica);
	return *snapshot == NULL ? error_memory(error, sizeof *replica) : 0;
}

/* Ends what serving_snapshot began; a replica that was found damaged stops. */
static int answered(struct replica *replica, struct snapshot *snapshot, int rc, const struct error *error)
{
	snapshot_release(snapshot);
	return rc == 0 ? 0 : replica_failed(replica, error);
}

int replica_get(struct replica *replica, struct slice id, bool stale_ok, struct arena *arena,
                struct document *document, struct error *error)
{
	struct snapshot *snapshot;

	if (serving_snapshot(replica, stale_ok, &snapshot, error) != 0)
		return error->code;
	return answered(replica, snapshot, snapshot_get(snapshot, id, arena, document, error), error);
}

int replica_list(struct replica *replica, const struct document_request *request, struct document_page *page,
                 struct error *error)
{
	struct snapshot *snapshot;

	if (serving_snapshot(replica, request->stale_ok, &snapshot, error) != 0)
		return error->code;
	return answered(replica, snapshot, snapshot_list(snapshot, request, page, error), error);
}

int replica_search(struct replica *replica, struct slice query, const struct document_request *request,
                   struct document_page *page, struct error *error)
{
	struct snapshot *snapshot;

	if (serving_snapshot(replica, request->stale_ok, &snapshot, error) != 0)
		return error->code;
	return answered(replica, snapshot,
	                snapshot_search(snapshot, replica->words, query, request, page, error), error);
}

int replica_verify(struct replica *replica, struct error *error)
{
	struct snapshot *snapshot;

	if (serving_snapshot(replica, true, &snapshot, error) != 0)
		return error->code;
	return answered(replica, snapshot, snapshot_verify(snapshot, replica->words, error), error);
}
