/* Files of replicas that are written anew: which, and what comes of it. A slice is a task of the writer's (storing.c). */
#include "shard/node_private.h"

#include "shared/runtime/logline.h"

#include <inttypes.h>

/* After one that failed, for want of room on the disk for instance. */
#define REWRITE_RETRY_MS 60000
/* While searches go on in the file before the last rewrite. */
#define REWRITE_SWITCH_MS 1000

static bool is_rewritable(const struct node *node, const struct held *held)
{
	return held->replica != NULL && held->rewritable && held->rewrite_retry_ms <= node->now_ms;
}

bool rewriting_wanted(const struct node *node)
{
	if (node->stopping)
		return false;
	if (node->rewriting != NULL)
		return true;
	for (size_t i = 0; i < node->held_len; i++)
		if (is_rewritable(node, node->held[i]))
			return true;
	return false;
}

/* What is not due now is looked at again when something has been merged or removed. */
static bool is_due(const struct node *node, struct held *held)
{
	struct replica_status status;

	if (kv_is_switching(held->kv)) {
		held->rewrite_retry_ms = node->now_ms + REWRITE_SWITCH_MS;
		return false;
	}
	replica_status(held->replica, &status);
	held->rewritable = status.state != REPLICA_STATE_STOPPED &&
	                   rewrite_is_due(held->kv, replica_live_bytes(held->replica));
	return held->rewritable;
}

bool rewriting_begin(struct node *node)
{
	if (node->stopping)
		return false;
	for (size_t i = 0; i < node->held_len && node->rewriting == NULL; i++) {
		struct held *held = node->held[i];

		if (!is_rewritable(node, held) || !is_due(node, held))
			continue;
		node->rewrite = rewrite_new(held->kv);
		if (node->rewrite != NULL)
			node->rewriting = held;
		else
			held->rewrite_retry_ms = node->now_ms + REWRITE_RETRY_MS;
	}
	return node->rewriting != NULL;
}

static void rewrite_end(struct node *node)
{
	rewrite_free(node->rewrite);
	node->rewrite = NULL;
	node->rewriting = NULL;
}

void rewriting_done(struct node *node, const struct store_task *task)
{
	struct held *held = task->held;

	if (task->result == 0 && task->more)
		return;
	if (task->result == 0) {
		uint64_t bytes = rewrite_given_back(node->rewrite);

		held->rewritable = true; /* what was merged and removed meanwhile was copied, maybe */
		series_add(node->counters.rewrites, 1);
		series_add(node->counters.rewrite_bytes, bytes);
		logline(LOG_LEVEL_INFO, "replica_rewritten",
		        "index=%016" PRIx64 " partition=%" PRId32 " bytes_given_back=%" PRIu64,
		        held->index_id, held->partition, bytes);
	} else {
		/* of a damaged file no other outcome comes before something has changed in it */
		held->rewritable = task->error.action != ERROR_ACTION_FATAL;
		held->rewrite_retry_ms = node->now_ms + REWRITE_RETRY_MS;
		series_add(node->counters.rewrites_failed, 1);
		logline(LOG_LEVEL_ERROR, "rewrite_failed",
		        "index=%016" PRIx64 " partition=%" PRId32 " error=\"%s\"", held->index_id,
		        held->partition, task->error.text);
	}
	rewrite_end(node);
}

void rewriting_forget(struct node *node, const struct held *held)
{
	if (node->rewriting == held)
		rewrite_end(node);
}
