/* Store jobs: when to begin one, and the one writer thread that runs them. */
#include "shard/node_private.h"

#include "shared/base/assert.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>

/* A quarter of the budget: the rest takes what arrives while a job runs. */
#define STORE_MEMORY_SHARE 4
/* After a store that failed, a full disk for instance. */
#define STORE_RETRY_MS 1000

/* The writer thread. Nothing of the node is touched here but the mailboxes. */
static void *run(void *context)
{
	struct node *node = context;
	struct store_task *task;

	while ((task = mailbox_wait(node->store_tasks, -1)) != &node->store_end) {
		ASSERT(task != NULL);
		task->result = replica_store_run(task->job, &task->error);
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
	int64_t due = node->stopping ? node->now_ms : held->unstored_since_ms + NODE_STORE_AGE_MS;

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

int64_t storing_wait_ms(const struct node *node)
{
	bool crowded = is_crowded(node);
	int64_t wait = INT64_MAX;

	if (node->storing)
		return wait;
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

void storing_turn(struct node *node)
{
	struct held *held = node->storing ? NULL : choose(node);
	struct replica_status status;
	struct replica_store_job *job;

	if (held == NULL)
		return;
	replica_status(held->replica, &status);
	job = replica_store_begin(held->replica);
	if (job == NULL) {
		held->store_retry_ms = node->now_ms + STORE_RETRY_MS; /* out of memory */
		return;
	}
	node->store_task = (struct store_task){.message = {MESSAGE_KIND_STORED},
	                                       .held = held,
	                                       .job = job,
	                                       .begun_ms = node->now_ms,
	                                       .received_at_begin = status.received};
	node->storing = true;
	series_set(node->counters.stores_in_flight, 1);
	ASSERT(mailbox_put(node->store_tasks, &node->store_task)); /* one at a time */
}

static void stored_note(struct node *node, const struct store_task *task)
{
	struct held *held = task->held;
	struct replica_status status;

	replica_status(held->replica, &status);
	if (task->result == 0) {
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
	series_observe(node->counters.store_seconds, (double)(clock_monotonic_ms() - task->begun_ms) / 1000);
	replicas_note(node, held);
}

void storing_done(struct node *node, struct store_task *task)
{
	replica_store_end(task->held->replica, task->job, task->result, &task->error);
	node->storing = false;
	series_set(node->counters.stores_in_flight, 0);
	stored_note(node, task);
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
