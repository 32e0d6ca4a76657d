/* Offsets that feeders shall skip: recorded once, and only while nobody has applied what stands there. */
#include "rebalance/core/controller_private.h"

#include <inttypes.h>
#include <stdio.h>

/* What is wrong with the request by the records alone; true if nothing is. */
static bool check_place(struct controller *controller, const struct task_request *request,
                        const struct shard_record **shard)
{
	const struct index_record *index = catalog_index(controller->catalog, request->index_id);
	char id[17];

	index_id_print(request->index_id, id);
	*shard = catalog_shard(controller->catalog, request->index_id, request->partition);
	if (index == NULL || index->state != INDEX_STATE_ACTIVE || strcmp(index->uid, request->uid) != 0)
		controller_fail(controller, "index_not_found", "There is no index `%s` with the id %s.",
		                request->uid, id);
	else if (request->partition >= index->partitions || *shard == NULL ||
	         (*shard)->generation != index->generation)
		controller_fail(controller, "invalid_skip", "Index `%s` has no partition %" PRId32 ".",
		                index->uid, request->partition);
	else if (request->offset < index->base[request->partition])
		controller_fail(controller, "invalid_skip",
		                "Partition %" PRId32 " of index `%s` begins at offset %" PRId64 ", %" PRId64
		                " is below.",
		                request->partition, index->uid, index->base[request->partition],
		                request->offset);
	return !controller->work.failed;
}

/* Whether a replica has applied what stands at the offset. */
enum applied {
	APPLIED_NO = 1,
	APPLIED_YES,
	APPLIED_UNHEARD, /* it may yet tell */
	APPLIED_SILENT   /* it does not tell */
};

static enum applied applied_by(const struct shard_record *shard, const struct sight *sight, size_t i,
                               int64_t offset)
{
	const struct placement *placement = &shard->replicas[i];
	const struct watched_replica *replica = sight->replicas[i];

	if (replica->known && incarnation_equal(replica->last.incarnation, placement->incarnation))
		return replica->last.received > offset ? APPLIED_YES : APPLIED_NO;
	if (!placement->in_sync)
		return APPLIED_NO; /* what it had was not counted on */
	return sight->now_ms - sight->nodes[i]->heard_ms <= MARKS_SILENT_MS ? APPLIED_UNHEARD
	                                                                    : APPLIED_SILENT;
}

/* True once every replica has told, and none has applied it; *waits if one may yet tell. */
static bool check_replicas(struct controller *controller, const struct task_request *request,
                           const struct shard_record *shard, bool *waits)
{
	struct sight sight;

	*waits = !controller_see(controller, shard, &sight);
	for (size_t i = 0; !*waits && !controller->work.failed && i < shard->replicas_len; i++) {
		const char *node = shard->replicas[i].node;

		switch (applied_by(shard, &sight, i, request->offset)) {
		case APPLIED_NO:
			break;
		case APPLIED_YES:
			controller_fail(controller, "offset_applied",
			                "Offset %" PRId64 " of partition %" PRId32
			                " of index `%s` cannot be skipped: the replica on %s has applied it.",
			                request->offset, request->partition, request->uid, node);
			break;
		case APPLIED_UNHEARD:
			*waits = true;
			break;
		case APPLIED_SILENT:
			controller_fail(controller, "replica_silent",
			                "The replica on %s does not tell what it has applied: ask again when "
			                "it does.",
			                node);
			break;
		}
	}
	return !*waits && !controller->work.failed;
}

static bool write_skips(struct controller *controller, const struct pending_task *pending,
                        const int64_t *offsets, size_t len)
{
	const struct task_request *request = &pending->request;
	int64_t grown[SKIPS_MAX];
	size_t at = 0;
	char id[17];

	if (len == SKIPS_MAX) {
		controller_fail(controller, "too_many_skips",
		                "%d offsets of this partition are skipped already", SKIPS_MAX);
		return false;
	}
	while (at < len && offsets[at] < request->offset) {
		grown[at] = offsets[at];
		at++;
	}
	grown[at] = request->offset;
	for (size_t i = at; i < len; i++)
		grown[i + 1] = offsets[i];
	index_id_print(request->index_id, id);
	catalog_write_skips(&controller->values, pending->task, grown, len + 1);
	controller_write(controller, CONTROLLER_TOPIC_META, pending->task, "skip/%s/%" PRId32, id,
	                 request->partition);
	return true;
}

bool controller_skip_record(struct controller *controller, const struct pending_task *pending, bool *waits)
{
	const struct task_request *request = &pending->request;
	const struct shard_record *shard;
	const int64_t *offsets;
	size_t len;

	offsets = catalog_skips(controller->catalog, request->index_id, request->partition, &len);
	for (size_t i = 0; i < len; i++)
		if (offsets[i] == request->offset)
			return false; /* done, by this request or another one */
	return check_place(controller, request, &shard) &&
	       check_replicas(controller, request, shard, waits) &&
	       write_skips(controller, pending, offsets, len);
}
