/* Stores and compactions: when to begin one, and the one writer thread that runs them, a store or a slice at a time. */
#include "shard/node_private.h"

#include "shared/base/assert.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>

/* A quarter of the budget: the rest takes what arrives while a job runs. */
#define STORE_MEMORY_SHARE 4
/* Memory of a replica that is worth a store before its age is; about half of it is bodies. */
#define STORE_MEMORY_DUE (8U * 1024 * 1024)
/* After a store or a compaction that failed, a full disk for instance. */
#define STORE_RETRY_MS 1000
/* Disk segments of a replica from which on its compaction goes before every store. */
#define STORE_SEGMENTS_HIGH 64

/* The writer thread. Nothing of the node is touched here but the mailboxes. */
static void *run(void *context)
{
	struct node *node = context;
	struct store_task *task;

	while ((task = mailbox_wait(node->store_tasks, -1)) != &node->store_end) {
		ASSERT(task != NULL);
		if (task->job != NULL)
			task->result = replica_store_run(task->job, &task->error);
		else
			task->result = replica_compact_run(task->compaction, REPLICA_SLICE_STEPS, &task->more,
			                                   &task->error);
		ASSERT(mailbox_put(node->inbox, &task->message)); /* it has room for this one */
	}
	return NULL;
}

int storing_start(struct node *node, struct error *error)
{
	if (pthread_create(&node->writer, NULL, run, node) != 0)
		return error_set(error, ERROR_MEMORY, ERROR_ACTION_FATAL, "cannot start the writer thread");
	node->writer_started = true;
	return 0;
}

static bool is_storable(const struct held *held)
{
	return held->replica != NULL && held->unstored_since_ms >= 0;
}

bool storing_wanted(const struct node *node)
{
	for (size_t i = 0; i < node->held_len; i++)
		if (is_storable(node->held[i]))
			return true;
	return false;
}

/* When this replica's turn comes by age; a failed store waits first. */
static int64_t due_ms(const struct node *node, const struct held *held)
{
	int64_t due = held->unstored_since_ms + NODE_STORE_AGE_MS;

	if (node->stopping || held->memory_bytes >= STORE_MEMORY_DUE)
		due = node->now_ms;
	return due > held->store_retry_ms ? due : held->store_retry_ms;
}

static bool is_crowded(const struct node *node)
{
	return node->memory_bytes >= node->memory_bytes_max / STORE_MEMORY_SHARE;
}

/* The largest one while memory is short, else the one that has waited too long. */
static struct held *choose(struct node *node)
{
	bool crowded = is_crowded(node);
	struct held *best = NULL;

	for (size_t i = 0; i < node->held_len; i++) {
		struct held *held = node->held[i];

		if (!is_storable(held))
			continue;
		if (crowded && held->store_retry_ms <= node->now_ms) {
			if (best == NULL || held->memory_bytes > best->memory_bytes)
				best = held;
		} else if (!crowded && due_ms(node, held) <= node->now_ms) {
			if (best == NULL || held->unstored_since_ms < best->unstored_since_ms)
				best = held;
		}
	}
	return best;
}

static bool is_compactable(const struct node *node, const struct held *held)
{
	return held->replica != NULL && held->uncompacted && held->compact_retry_ms <= node->now_ms;
}

/* True if there may be a slice to do. */
static bool compacting_wanted(const struct node *node)
{
	if (node->stopping)
		return false;
	if (node->compacting != NULL)
		return true;
	for (size_t i = 0; i < node->held_len; i++)
		if (is_compactable(node, node->held[i]))
			return true;
	return false;
}

int64_t storing_wait_ms(const struct node *node)
{
	bool crowded = is_crowded(node);
	int64_t wait = INT64_MAX;

	if (node->storing)
		return wait;
	if (compacting_wanted(node))
		return 0;
	for (size_t i = 0; i < node->held_len; i++) {
		const struct held *held = node->held[i];
		int64_t due;

		if (!is_storable(held))
			continue;
		due = crowded ? held->store_retry_ms : due_ms(node, held);
		if (due - node->now_ms < wait)
			wait = due - node->now_ms;
	}
	return wait < 0 ? 0 : wait;
}

static void task_put(struct node *node, const struct store_task *task)
{
	node->store_task = *task;
	node->store_task.message.kind = MESSAGE_KIND_STORED;
	node->store_task.begun_ms = node->now_ms;
	node->storing = true;
	series_set(node->counters.stores_in_flight, task->job != NULL);
	ASSERT(mailbox_put(node->store_tasks, &node->store_task)); /* one at a time */
}

/* False if nothing is due. */
static bool store_turn(struct node *node)
{
	struct held *held = choose(node);
	struct replica_status status;
	struct replica_store_job *job;

	if (held == NULL)
		return false;
	replica_status(held->replica, &status);
	job = replica_store_begin(held->replica);
	if (job == NULL) {
		/* out of memory, or its compaction must come first, which ends the wait */
		held->store_retry_ms = node->now_ms + STORE_RETRY_MS;
		held->uncompacted = true;
		return false;
	}
	task_put(node, &(struct store_task){.held = held, .job = job, .received_at_begin = status.received});
	return true;
}

/* Nothing to do, but for what some search still reads. */
static void compaction_wait(const struct node *node, struct held *held)
{
	struct replica_status status;

	replica_status(held->replica, &status);
	held->uncompacted = status.disk_leaving > 0;
	held->compact_retry_ms = node->now_ms + STORE_RETRY_MS;
}

/* The next replica that has something to compact begins; false if none has. */
static bool compaction_begin(struct node *node)
{
	for (size_t i = 0; i < node->held_len; i++) {
		struct held *held = node->held[i];

		if (!is_compactable(node, held))
			continue;
		node->compaction = replica_compact_begin(held->replica);
		if (node->compaction != NULL) {
			node->compacting = held;
			series_set(node->counters.compactions_in_flight, 1);
			return true;
		}
		compaction_wait(node, held);
	}
	return false;
}

/* False if there is nothing to do. */
static bool slice_turn(struct node *node)
{
	if (node->stopping || (node->compacting == NULL && !compaction_begin(node)))
		return false;
	task_put(node, &(struct store_task){.held = node->compacting, .compaction = node->compaction});
	return true;
}

static bool is_high(const struct node *node)
{
	struct replica_status status;

	if (node->compacting == NULL)
		return false;
	replica_status(node->compacting->replica, &status);
	return status.disk_segments >= STORE_SEGMENTS_HIGH;
}

/* They take turns where both are due, so that neither waits for the other for long. */
void storing_turn(struct node *node)
{
	if (node->storing)
		return;
	if (node->slice_next || is_high(node)) {
		node->slice_next = false;
		if (!slice_turn(node))
			(void)store_turn(node);
	} else {
		node->slice_next = true;
		if (!store_turn(node))
			(void)slice_turn(node);
	}
}

static void stored_note(struct node *node, const struct store_task *task)
{
	struct held *held = task->held;
	int64_t took_ms = clock_monotonic_ms() - task->begun_ms;
	struct replica_status status;

	held->stores.ms += took_ms;
	replica_status(held->replica, &status);
	if (task->result == 0) {
		held->stores.done++;
		series_add(node->counters.stores, 1);
		/* what came during the job has waited since its beginning at most; what it left out, longer */
		if (status.stored >= task->received_at_begin)
			held->unstored_since_ms = task->begun_ms;
	} else if (task->result != ERROR_LIMIT) {
		series_add(node->counters.stores_failed, 1);
		held->store_retry_ms = node->now_ms + STORE_RETRY_MS;
		logline(LOG_LEVEL_ERROR, "store_failed",
		        "index=%016" PRIx64 " partition=%" PRId32 " error=\"%s\"", held->index_id,
		        held->partition, task->error.text);
	}
	series_observe(node->counters.store_seconds, (double)took_ms / 1000);
	replicas_note(node, held);
}

static void compaction_end(struct node *node, int result, const struct error *error)
{
	struct held *held = node->compacting;

	replica_compact_end(held->replica, node->compaction, result, error);
	node->compacting = NULL;
	node->compaction = NULL;
	series_set(node->counters.compactions_in_flight, 0);
}

static void slice_done(struct node *node, const struct store_task *task)
{
	struct held *held = task->held;
	int64_t took_ms = clock_monotonic_ms() - task->begun_ms;

	held->compactions.ms += took_ms;
	series_observe(node->counters.slice_seconds, (double)took_ms / 1000);
	if (task->result == 0 && task->more)
		return;
	compaction_end(node, task->result, &task->error);
	if (task->result == 0) {
		held->compactions.done++;
		series_add(node->counters.compactions, 1);
		held->store_retry_ms = node->now_ms; /* it may have waited for this */
	} else if (task->result != ERROR_LIMIT) {
		series_add(node->counters.compactions_failed, 1);
		held->compact_retry_ms = node->now_ms + STORE_RETRY_MS;
		logline(LOG_LEVEL_ERROR, "compaction_failed",
		        "index=%016" PRIx64 " partition=%" PRId32 " error=\"%s\"", held->index_id,
		        held->partition, task->error.text);
	}
	replicas_note(node, held);
}

void storing_done(struct node *node, struct store_task *task)
{
	node->storing = false;
	series_set(node->counters.stores_in_flight, 0);
	if (task->job == NULL) {
		slice_done(node, task);
		return;
	}
	replica_store_end(task->held->replica, task->job, task->result, &task->error);
	task->held->uncompacted = true;
	stored_note(node, task);
}

void storing_forget(struct node *node, const struct held *held)
{
	ASSERT(!node->storing || node->store_task.held != held);
	if (node->compacting == held)
		compaction_end(node, 0, NULL);
}

/* Waits for a job that runs; its end is still the owner's to note. */
void storing_stop(struct node *node)
{
	struct message *message;

	if (!node->writer_started)
		return;
	ASSERT(mailbox_put(node->store_tasks, &node->store_end));
	(void)pthread_join(node->writer, NULL);
	node->writer_started = false;
	while ((message = mailbox_take(node->inbox)) != NULL)
		if (message->kind == MESSAGE_KIND_STORED)
			storing_done(node, (struct store_task *)message);
}
