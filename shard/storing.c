/* Stores, compactions and rewrites: when to begin one, and the one writer thread that runs them, a store or a slice
 * at a time. */
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
/* What the dead of a replica may take on disk beyond half of what its living do, which merges leave of them anyway. */
#define STORE_DEBT_BYTES (4U * 1024 * 1024)
/* Stores and slices that go before a slice of a rewrite. */
#define STORE_BEFORE_REWRITE 16

/* The writer thread. Nothing of the node is touched here but the mailboxes. */
static void *run(void *context)
{
	struct node *node = context;
	struct store_task *task;

	while ((task = mailbox_wait(node->store_tasks, -1)) != &node->store_end) {
		ASSERT(task != NULL);
		if (task->job != NULL)
			task->result = replica_store_run(task->job, &task->error);
		else if (task->compaction != NULL)
			task->result = replica_compact_run(task->compaction, REPLICA_SLICE_STEPS, &task->more,
			                                   &task->error);
		else if (task->arrival != NULL)
			task->result = restoring_run(task->arrival, &task->error);
		else
			task->result = rewrite_run(task->rewrite, &task->more, &task->error);
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

static bool is_compactable(const struct node *node, const struct held *held)
{
	return held->replica != NULL && held->uncompacted && held->compact_retry_ms <= node->now_ms;
}

void storing_note(struct held *held, const struct replica_status *status)
{
	uint64_t live = replica_live_bytes(held->replica);

	held->indebted = status->disk_bytes - live > live / 2 + STORE_DEBT_BYTES;
}

/* Stores would only add to what its compaction has to do: it waits, and so does its index when its share is full. */
static bool is_held_back(const struct node *node, const struct held *held)
{
	return held->indebted && !node->stopping && (node->compacting == held || is_compactable(node, held));
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
	return node->budget.bytes >= node->budget.bytes_max / STORE_MEMORY_SHARE;
}

static struct held *choose_oldest(struct node *node)
{
	struct held *best = NULL;

	for (size_t i = 0; i < node->held_len; i++) {
		struct held *held = node->held[i];

		if (is_storable(held) && !is_held_back(node, held) && due_ms(node, held) <= node->now_ms &&
		    (best == NULL || held->unstored_since_ms < best->unstored_since_ms))
			best = held;
	}
	return best;
}

static struct held *choose_largest(struct node *node)
{
	struct held *best = NULL;

	for (size_t i = 0; i < node->held_len; i++) {
		struct held *held = node->held[i];

		if (is_storable(held) && !is_held_back(node, held) && held->store_retry_ms <= node->now_ms &&
		    (best == NULL || held->memory_bytes > best->memory_bytes))
			best = held;
	}
	return best;
}

/* The one that has waited too long; while memory is short, in turns with the largest one: small ones become due then too. */
static struct held *choose(struct node *node)
{
	struct held *held;

	if (!is_crowded(node))
		return choose_oldest(node);
	node->oldest_next = !node->oldest_next;
	held = node->oldest_next ? NULL : choose_oldest(node);
	return held != NULL ? held : choose_largest(node);
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

/* When something is to be done for it; INT64_MAX: not by itself. */
static int64_t turn_ms(const struct node *node, const struct held *held)
{
	if (held->replica == NULL || is_held_back(node, held))
		return INT64_MAX;
	if (!is_storable(held))
		return held->resting ? INT64_MAX : held->rest_ms;
	return is_crowded(node) ? held->store_retry_ms : due_ms(node, held);
}

int64_t storing_wait_ms(const struct node *node)
{
	int64_t turn = INT64_MAX;

	if (node->storing)
		return turn;
	if (compacting_wanted(node) || rewriting_wanted(node))
		return 0;
	for (size_t i = 0; i < node->held_len; i++) {
		int64_t of_one = turn_ms(node, node->held[i]);

		turn = of_one < turn ? of_one : turn;
	}
	if (turn == INT64_MAX)
		return turn;
	return turn > node->now_ms ? turn - node->now_ms : 0;
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

static size_t held_place(const struct node *node, const struct held *held)
{
	size_t at = 0;

	while (node->held[at] != held)
		at++;
	return at;
}

/* The next one behind the last, so that none waits for ever; those with debts first. NULL: none is left. */
static struct held *compactable_next(const struct node *node)
{
	struct held *first = NULL;

	for (size_t i = 1; i <= node->held_len; i++) {
		struct held *held = node->held[(node->compacted_at + i) % node->held_len];

		if (!is_compactable(node, held))
			continue;
		if (held->indebted)
			return held;
		first = first == NULL ? held : first;
	}
	return first;
}

/* False if no replica has something to compact. */
static bool compaction_begin(struct node *node)
{
	struct held *held;

	while ((held = compactable_next(node)) != NULL) {
		node->compacted_at = held_place(node, held);
		node->compaction = replica_compact_begin(held->replica);
		if (node->compaction != NULL) {
			node->compacting = held;
			series_set(node->counters.compactions_in_flight, 1);
			return true;
		}
		compaction_wait(node, held); /* it is compactable no more */
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

/* They take turns where both are due, so that neither waits for the other for long. False if nothing is due. */
static bool store_or_slice_turn(struct node *node)
{
	bool slice_first = node->slice_next || is_high(node);

	node->slice_next = !slice_first;
	if (slice_first)
		return slice_turn(node) || store_turn(node);
	return store_turn(node) || slice_turn(node);
}

static bool rewrite_turn(struct node *node)
{
	if (!rewriting_begin(node))
		return false;
	node->rewrite_waited = 0;
	task_put(node, &(struct store_task){.held = node->rewriting, .rewrite = node->rewrite});
	return true;
}

static bool is_rewrite_first(const struct node *node)
{
	return node->rewrite_waited >= STORE_BEFORE_REWRITE ||
	       (node->rewrite != NULL && rewrite_is_behind(node->rewrite));
}

/* Who sends a copy waits for one piece to be on disk before the next: in between the others have their turns. */
static bool arrival_turn(struct node *node)
{
	struct held *held = restoring_next(node);

	if (held == NULL)
		return false;
	task_put(node, &(struct store_task){.held = held, .arrival = &node->arrival});
	return true;
}

/* One that comes to rest is compacted further. */
static void rest_look(struct node *node)
{
	for (size_t i = 0; i < node->held_len; i++) {
		struct held *held = node->held[i];
		bool resting = !is_storable(held) && held->rest_ms <= node->now_ms;

		if (held->replica == NULL || held->resting == resting)
			continue;
		held->resting = resting;
		replica_rest(held->replica, resting);
		held->uncompacted = held->uncompacted || resting;
	}
}

/* A rewrite has time, but not for ever: the disk fills meanwhile. */
void storing_turn(struct node *node)
{
	rest_look(node);
	if (node->storing || arrival_turn(node) || (is_rewrite_first(node) && rewrite_turn(node)))
		return;
	if (!store_or_slice_turn(node))
		(void)rewrite_turn(node);
	else if (rewriting_wanted(node))
		node->rewrite_waited++;
}

static void stored_note(struct node *node, const struct store_task *task)
{
	struct held *held = task->held;
	int64_t took_ms = clock_monotonic_ms() - task->begun_ms;
	struct replica_status status;

	held->stores.ms += took_ms;
	held->rest_ms = node->now_ms + NODE_REST_MS;
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
		held->rewritable = true;
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

static void rewrite_note(struct node *node, const struct store_task *task)
{
	int64_t took_ms = clock_monotonic_ms() - task->begun_ms + 1;

	if (node->rewrite != NULL)
		rewrite_spent(node->rewrite, task->rewrite == NULL ? took_ms : 0,
		              task->rewrite == NULL ? 0 : took_ms);
}

void storing_done(struct node *node, struct store_task *task)
{
	node->storing = false;
	rewrite_note(node, task);
	series_set(node->counters.stores_in_flight, 0);
	if (task->job == NULL) {
		if (task->compaction != NULL)
			slice_done(node, task);
		else if (task->arrival != NULL)
			restoring_done(node, task);
		else
			rewriting_done(node, task);
		return;
	}
	replica_store_end(task->held->replica, task->job, task->result, &task->error);
	task->held->uncompacted = true;
	if (task->result == 0)
		task->held->compact_retry_ms =
			node->now_ms; /* there may be more to do than what it waits for */
	stored_note(node, task);
}

void storing_forget(struct node *node, const struct held *held)
{
	ASSERT(!node->storing || node->store_task.held != held);
	rewriting_forget(node, held);
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
