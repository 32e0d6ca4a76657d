/* A new generation of an index: made as an index without a name, and named once it has everything the old one's
 * sources had. */
#include "rebalance/core/controller_private.h"

#include "shared/meta/source.h"

#include <inttypes.h>
#include <stdlib.h>

const struct index_record *controller_replacing(const struct controller *controller, uint64_t index_id)
{
	const struct index_record *index;
	size_t at = 0;

	while ((index = catalog_next_index(controller->catalog, &at)) != NULL)
		if (index->state != INDEX_STATE_DELETED && index->replaces == index_id)
			return index;
	return NULL;
}

static size_t count_rebuilds(const struct controller *controller)
{
	const struct index_record *index;
	size_t count = 0;
	size_t at = 0;

	while ((index = catalog_next_index(controller->catalog, &at)) != NULL)
		count += index->state != INDEX_STATE_DELETED && index->replaces != 0;
	return count;
}

bool controller_check_rebuild(struct controller *controller, const struct task_request *request)
{
	const struct index_record *old = catalog_resolve(controller->catalog, slice_string(request->uid));

	if (old == NULL)
		controller_fail(controller, "index_not_found", "Index `%s` not found.", request->uid);
	else if (old->sources_len == 0)
		controller_fail(
			controller, "index_without_sources",
			"Index `%s` has no source: what was published to its log cannot be read again.",
			old->uid);
	else if (controller_replacing(controller, old->id) != NULL)
		controller_fail(controller, "index_is_rebuilding", "Index `%s` is being rebuilt already.",
		                old->uid);
	else if (count_rebuilds(controller) >= REBUILDS_MAX)
		controller_fail(controller, "too_many_rebuilds", "%d indexes are being rebuilt already.",
		                REBUILDS_MAX);
	else if (request->partitions != 0 &&
	         (request->partitions < 1 || request->partitions > INDEX_PARTITIONS_MAX))
		controller_fail(controller, "invalid_index_partitions",
		                "%" PRId32 " partitions were asked for; 1 to %d are allowed",
		                request->partitions, INDEX_PARTITIONS_MAX);
	else if (request->has_dedup_window &&
	         (request->dedup_window < 0 || request->dedup_window > RULES_DEDUP_WINDOW_MAX))
		controller_fail(controller, "invalid_index_dedup_window",
		                "a dedup window of %" PRId64 " offsets was asked for; 0 to %d are allowed",
		                request->dedup_window, RULES_DEDUP_WINDOW_MAX);
	return !controller->work.failed;
}

/* A source is paused or not as it was, and begins where it began: at the latest there, and with the oldest record if
 * only its former lives knew. */
static void succeed(const struct index_record *old, struct source_record *source)
{
	const struct source_record *before = source_find(old->sources, old->sources_len, source->name);

	if (before == NULL)
		return;
	source->paused = before->paused;
	source->start_ms = before->life > 1                ? 0
	                   : before->start_ms == INT64_MAX ? old->created_at_ms
	                                                   : before->start_ms;
}

bool controller_begin_rebuild(struct controller *controller, const struct pending_task *pending,
                              int64_t now_ms)
{
	const struct task_request *request = &pending->request;
	const struct index_record *old = catalog_resolve(controller->catalog, slice_string(request->uid));
	struct task_request wanted = *request;
	struct index_record *index = &controller->work.index;

	index->id = task_index_id(pending->task, request->nonce);
	memcpy(index->uid, old->uid, sizeof index->uid);
	memcpy(index->primary_key, old->primary_key, sizeof index->primary_key);
	index->own_topic = true;
	index->writable = true;
	index->state = INDEX_STATE_CREATING;
	index->generation = old->generation + 1;
	index->partitions = request->partitions != 0 ? request->partitions : old->partitions;
	index->partitioner = old->partitioner;
	index->replaces = old->id;
	index->accepts_loss = request->accept_loss;
	index->rules = rules_default();
	/* one of contract 1 has none to keep */
	index->rules.dedup_window = request->has_dedup_window ? request->dedup_window
	                            : old->rules.contract > 1 ? old->rules.dedup_window
	                                                      : controller->options.dedup_window;
	index->task = pending->task;
	index->created_at_ms = old->created_at_ms;
	index->updated_at_ms = now_ms;
	if (request->sources_len == 0) {
		wanted.sources = old->sources;
		wanted.sources_len = old->sources_len;
	}
	if (!controller_add_sources(controller, index, &wanted))
		return false;
	for (size_t i = 0; i < index->sources_len; i++)
		succeed(old, &index->sources[i]);
	return true;
}

static bool cancel(struct controller *controller, const struct pending_task *pending, int64_t now_ms)
{
	const struct index_record *old =
		catalog_resolve(controller->catalog, slice_string(pending->request.uid));
	const struct index_record *next = old == NULL ? NULL : controller_replacing(controller, old->id);
	struct index_record dead;

	if (controller_deleted_by(controller, pending->task) != NULL)
		return false;
	if (next == NULL) {
		controller_fail(controller, old == NULL ? "index_not_found" : "index_is_not_rebuilding",
		                old == NULL ? "Index `%s` not found." : "Index `%s` is not being rebuilt.",
		                pending->request.uid);
		return false;
	}
	dead = *next;
	dead.state = INDEX_STATE_DELETED;
	dead.task = pending->task;
	dead.updated_at_ms = now_ms;
	controller_write_index(controller, &dead, pending->task);
	return true;
}

/* The generation in the making that a request only tells to accept the loss; NULL if it asks for anything else. */
static const struct index_record *accepting(const struct controller *controller,
                                            const struct pending_task *pending)
{
	const struct task_request *request = &pending->request;
	const struct index_record *old = catalog_resolve(controller->catalog, slice_string(request->uid));

	if (old == NULL || !request->accept_loss || request->partitions != 0 || request->has_dedup_window ||
	    request->sources_len > 0 ||
	    catalog_index(controller->catalog, task_index_id(pending->task, request->nonce)) != NULL)
		return NULL;
	return controller_replacing(controller, old->id);
}

bool controller_rebuild_index(struct controller *controller, const struct pending_task *pending,
                              int64_t now_ms)
{
	const struct index_record *next = accepting(controller, pending);
	struct index_record accepted;

	if (pending->request.cancel)
		return cancel(controller, pending, now_ms);
	if (next == NULL)
		return controller_create_index(controller, pending, now_ms);
	if (next->accepts_loss)
		return false;
	accepted = *next;
	accepted.accepts_loss = true;
	accepted.task = pending->task;
	accepted.updated_at_ms = now_ms;
	controller_write_index(controller, &accepted, pending->task);
	return true;
}

/* ---- until it is named ---- */

static struct rebuild *rebuild_of(struct controller *controller, uint64_t index_id)
{
	struct rebuild *unused = NULL;

	for (size_t i = 0; i < REBUILDS_MAX; i++) {
		struct rebuild *rebuild = &controller->rebuilds[i];
		const struct index_record *index =
			rebuild->index_id == 0 ? NULL : catalog_index(controller->catalog, rebuild->index_id);

		if (rebuild->index_id == index_id)
			return rebuild;
		if (index == NULL || index->replaces == 0 || index->state == INDEX_STATE_DELETED)
			unused = rebuild;
	}
	if (unused == NULL)
		return NULL;
	free(unused->ends);
	*unused = (struct rebuild){
		.index_id = index_id, .next_ms = INT64_MIN, .remaining = -1, .judged_ms = INT64_MIN};
	return unused;
}

static int64_t received(const struct replica_report *told)
{
	return told->received;
}

static bool all_have_received(const struct controller *controller, const struct index_record *index,
                              const int64_t *ends)
{
	for (int32_t p = 0; p < index->partitions; p++)
		if (!controller_have_told(controller, index, p, received, ends[p]))
			return false;
	return true;
}

static void give_name(struct controller *controller, const struct index_record *index,
                      const struct index_record *old, int64_t now_ms)
{
	struct index_record named = *index;
	struct index_record dead = *old;

	named.replaces = 0;
	named.accepts_loss = false;
	named.updated_at_ms = now_ms;
	dead.state = INDEX_STATE_DELETED;
	dead.task = index->task;
	dead.updated_at_ms = now_ms;
	catalog_write_names(&controller->values, controller->catalog, index->task, slice_string(index->uid),
	                    index->id);
	controller_write(controller, CONTROLLER_TOPIC_META, index->task, "names");
	controller_write_index(controller, &named, index->task);
	controller_write_index(controller, &dead, index->task);
}

/* Before it is named it is made level with the old one's log so often: a reader must not see documents go back by the
 * time that the rebuild took, and the writers may never rest. */
#define REBUILD_ROUNDS 3

static bool is_lossless(const struct controller *controller, const struct index_record *index,
                        const struct rebuild *rebuild)
{
	return index->accepts_loss || (rebuild->judged_ms != INT64_MIN &&
	                               controller->now_ms - rebuild->judged_ms < CONTROLLER_REBUILD_MS);
}

static bool ask(struct controller *controller, const struct index_record *index,
                const struct index_record *old, enum controller_action_kind kind)
{
	controller->rebuilding = index->id;
	controller_topic_action(controller, kind, index->topic, index->partitions, index->task);
	controller->action.index = index;
	controller->action.old = old;
	return true;
}

/* What brings this generation closer to its name; false if there is nothing to do for it now. */
static bool advance(struct controller *controller, const struct index_record *index, int64_t now_ms)
{
	const struct index_record *old = catalog_index(controller->catalog, index->replaces);
	struct rebuild *rebuild = rebuild_of(controller, index->id);
	bool full;

	if (old == NULL || old->state == INDEX_STATE_DELETED) {
		struct index_record dead = *index;

		dead.state = INDEX_STATE_DELETED;
		dead.updated_at_ms = now_ms;
		controller_write_index(controller, &dead, index->task);
		return true;
	}
	if (rebuild == NULL)
		return false;
	full = rebuild->ends != NULL && all_have_received(controller, index, rebuild->ends);
	if (full && rebuild->rounds == REBUILD_ROUNDS && is_lossless(controller, index, rebuild)) {
		give_name(controller, index, old, now_ms);
		return true;
	}
	if (controller->now_ms < rebuild->next_ms || (rebuild->ends != NULL && !full))
		return false;
	rebuild->next_ms = controller->now_ms + CONTROLLER_REBUILD_MS;
	if (full || (!rebuild->judged && !index->accepts_loss))
		return ask(controller, index, old, CONTROLLER_ACTION_ASK_LOSS);
	return ask(controller, index, old,
	           rebuild->imported ? CONTROLLER_ACTION_READ_ENDS : CONTROLLER_ACTION_ASK_SOURCES);
}

bool controller_advance_rebuilds(struct controller *controller, int64_t now_ms)
{
	const struct index_record *index;
	size_t at = 0;

	while ((index = catalog_next_index(controller->catalog, &at)) != NULL)
		if (index->state == INDEX_STATE_ACTIVE && index->replaces != 0 &&
		    advance(controller, index, now_ms))
			return true;
	return false;
}

static void hear_loss(const struct controller *controller, struct rebuild *rebuild,
                      const struct controller_result *result)
{
	const struct rebuild_loss *loss = &result->loss;

	rebuild->loss = *loss;
	if (result->remaining > 0) {
		rebuild->next_ms = INT64_MIN; /* it was a bounded look */
		return;
	}
	/* the first time it goes on with the sources at once */
	rebuild->next_ms = rebuild->judged ? rebuild->next_ms : INT64_MIN;
	rebuild->judged = true;
	rebuild->judged_ms =
		loss->published + loss->expired + loss->unsourced == 0 ? controller->now_ms : INT64_MIN;
	if (rebuild->ends == NULL || rebuild->rounds == REBUILD_ROUNDS)
		return;
	/* what this look saw is to be imported, too */
	rebuild->rounds++;
	rebuild->imported = false;
	free(rebuild->ends);
	rebuild->ends = NULL;
	rebuild->next_ms = INT64_MIN;
}

static void hear_ends(const struct controller *controller, struct rebuild *rebuild,
                      const struct controller_result *result)
{
	size_t size = (size_t)controller->action.partitions * sizeof *result->starts;

	rebuild->ends = malloc(size);
	if (rebuild->ends != NULL)
		memcpy(rebuild->ends, result->starts, size);
	rebuild->next_ms = INT64_MIN;
}

void controller_rebuild_result(struct controller *controller, const struct controller_result *result)
{
	struct rebuild *rebuild = rebuild_of(controller, controller->rebuilding);

	controller->rebuilding = 0;
	if (result->code != 0 || rebuild == NULL)
		return; /* it is asked again */
	if (controller->action.kind == CONTROLLER_ACTION_ASK_LOSS) {
		hear_loss(controller, rebuild, result);
	} else if (controller->action.kind == CONTROLLER_ACTION_READ_ENDS) {
		hear_ends(controller, rebuild, result);
	} else {
		rebuild->remaining = result->remaining;
		rebuild->imported = result->remaining == 0;
		rebuild->next_ms = rebuild->imported ? INT64_MIN : rebuild->next_ms;
	}
}

void controller_rebuilds_free(struct controller *controller)
{
	for (size_t i = 0; i < REBUILDS_MAX; i++)
		free(controller->rebuilds[i].ends);
}

static void append_rebuild(const struct controller *controller, const struct index_record *index,
                           struct buffer *body)
{
	static const struct rebuild unknown = {.remaining = -1};
	const struct rebuild *rebuild = &unknown;
	char id[17];

	for (size_t i = 0; i < REBUILDS_MAX; i++)
		if (controller->rebuilds[i].index_id == index->id)
			rebuild = &controller->rebuilds[i];
	index_id_print(index->id, id);
	buffer_printf(body,
	              "{\"index\":\"%s\",\"id\":\"%s\",\"generation\":%" PRId32 ",\"remaining\":%" PRId64
	              ",\"judged\":%s,\"lost\":{\"published\":%" PRId64 ",\"expired\":%" PRId64
	              ",\"unsourced\":%" PRId64 "},\"accepts_loss\":%s}",
	              index->uid, id, index->generation, rebuild->remaining,
	              rebuild->judged ? "true" : "false", rebuild->loss.published, rebuild->loss.expired,
	              rebuild->loss.unsourced, index->accepts_loss ? "true" : "false");
}

void controller_rebuilds_status(const struct controller *controller, struct buffer *body)
{
	const struct index_record *index;
	bool first = true;
	size_t at = 0;

	buffer_append_string(body, "\"rebuilds\":[");
	while ((index = catalog_next_index(controller->catalog, &at)) != NULL) {
		if (index->state == INDEX_STATE_DELETED || index->replaces == 0)
			continue;
		buffer_append_string(body, first ? "" : ",");
		append_rebuild(controller, index, body);
		first = false;
	}
	buffer_append_string(body, "]");
}
