/* What this node holds: directories, decisions by the records, opening and dropping. */
#include "shard/node_private.h"

#include "shared/base/assert.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DROPPED_SUFFIX ".dropped"
/* Of one turn, for what the records ask for. */
#define DECIDE_MS_MAX 200
/* Segments that have left and are still there, from which on no copy holds them. */
#define LEAVING_HIGH 128

static struct held *held_add(struct node *node, const struct holding *holding, struct error *error)
{
	struct held *held;

	if (node->held_len == NODE_REPLICAS_MAX) {
		(void)error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "a node holds at most %d replicas",
		                NODE_REPLICAS_MAX);
		return NULL;
	}
	held = calloc(1, sizeof *held);
	if (held == NULL) {
		(void)error_memory(error, sizeof *held);
		return NULL;
	}
	held->index_id = holding->index_id;
	held->generation = holding->generation;
	held->partition = holding->partition;
	held->unstored_since_ms = -1;
	held->settings = SEARCH_SETTINGS_DEFAULT;
	held->settings_built = SEARCH_SETTINGS_DEFAULT;
	(void)snprintf(held->closed_reason, sizeof held->closed_reason, "meta and topology are not read yet");
	counters_of_held(node, held);
	node->held[node->held_len++] = held;
	return held;
}

static void held_remove(struct node *node, struct held *held)
{
	size_t at = 0;

	while (node->held[at] != held)
		at++;
	node->held[at] = node->held[--node->held_len];
	free(held);
}

/* "0123456789abcdef-1-0" */
static bool name_parse(const char *name, struct holding *holding)
{
	int end = 0;

	*holding = (struct holding){.on_disk = true};
	return strlen(name) > 17 && name[16] == '-' &&
	       index_id_parse(slice_of(name, 16), &holding->index_id) &&
	       sscanf(name + 17, "%" SCNd32 "-%" SCNd32 "%n", &holding->generation, &holding->partition,
	              &end) == 2 &&
	       name[17 + end] == '\0' && holding->partition >= 0;
}

static int name_scan(struct node *node, const char *name, struct error *error)
{
	size_t len = strlen(name);
	size_t suffix = strlen(DROPPED_SUFFIX);
	char path[REPLICA_PATH_BYTES_MAX];
	struct holding holding;

	if (name_parse(name, &holding))
		return held_add(node, &holding, error) == NULL ? error->code : 0;
	if (len > suffix && len < 256 && strcmp(name + len - suffix, DROPPED_SUFFIX) == 0) {
		(void)snprintf(path, sizeof path, "%s/%s", node->directory, name);
		return replicas_remove_directory(path, error);
	}
	logline(LOG_LEVEL_WARN, "unknown_directory", "path=\"%s/%s\"", node->directory, name);
	return 0;
}

int replicas_scan(struct node *node, struct error *error)
{
	DIR *directory = opendir(node->directory);
	struct dirent *entry;
	int rc = 0;

	if (directory == NULL)
		return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL, "cannot read %s: %s",
		                 node->directory, strerror(errno));
	while (rc == 0 && (entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.')
			rc = name_scan(node, entry->d_name, error);
	(void)closedir(directory);
	return rc;
}

static int replica_open_at(struct node *node, struct held *held, const struct index_record *index,
                           struct error *error)
{
	struct replica_identity identity = replicas_identity(node, held, index);
	char path[REPLICA_PATH_BYTES_MAX];
	struct kv *kv;

	replicas_path(node, held, path);
	if (kv_open(path, &kv, error) != 0)
		return error->code;
	if (replica_open(kv, &identity, session_draw(), &held->replica, error) != 0) {
		held->replica = NULL;
		kv_close(kv);
		return error_prefix(error, "%s", path);
	}
	held->kv = kv;
	return 0;
}

/* What the search threads see of that shard. Without memory for it they see nothing. */
static void publish(struct node *node, const struct held *held)
{
	struct held *served = replicas_find(node, held->index_id, held->partition);
	struct serving_shard seen = held_see(served);
	struct snapshot *snapshot =
		seen.held && served->replica != NULL ? replica_snapshot(served->replica) : NULL;

	if (snapshot != NULL && shelf_put(node->shelf, held->index_id, held->partition, &seen, snapshot))
		return;
	snapshot_release(snapshot);
	shelf_remove(node->shelf, held->index_id, held->partition);
}

static void refuse(struct node *node, struct error *reason)
{
	reason->code = ERROR_CONFIGURATION;
	(void)error_prefix(reason, "%s", node->id);
	node_fail(node, reason);
}

/* Opens what is kept. Another cluster's replica ends the node; any other trouble is this replica's alone. */
static void held_open(struct node *node, struct held *held)
{
	const struct index_record *index = catalog_index(node->catalog, held->index_id);
	struct replica_status status;
	struct error error;

	if (held->replica != NULL)
		return;
	if (replica_open_at(node, held, index, &error) != 0) {
		if (error.code == ERROR_STATE)
			refuse(node, &error);
		if (strcmp(held->closed_reason, error.text) != 0)
			logline(LOG_LEVEL_ERROR, "replica_unusable",
			        "index=%016" PRIx64 " partition=%" PRId32 " error=\"%s\"", held->index_id,
			        held->partition, error.text);
		(void)snprintf(held->closed_reason, sizeof held->closed_reason, "%s", error.text);
		return;
	}
	held->closed_reason[0] = '\0';
	held->awaits = false;
	held->looked = false;
	replica_status(held->replica, &status);
	held->state = status.state;
	held->received_now = status.received;
	held->uncompacted = true;
	held->resting = false;
	held->rest_ms = node->now_ms + NODE_REST_MS;
	held->rewritable = true;
	publish(node, held);
	logline(LOG_LEVEL_INFO, "replica_opened",
	        "index=%016" PRIx64 " uid=%s partition=%" PRId32 " received=%" PRId64 " documents=%" PRIu64,
	        held->index_id, index->uid, held->partition, status.received, status.documents);
}

static bool is_storing(const struct node *node, const struct held *held)
{
	return node->storing && node->store_task.held == held;
}

/* Nobody reads it any more when this returns. */
static void replica_release(struct node *node, struct held *held)
{
	struct replica *replica = held->replica;
	const struct held *served;

	if (replica == NULL)
		return;
	storing_forget(node, held);
	held->replica = NULL;
	held->kv = NULL;
	held->looked = false;
	shelf_remove(node->shelf, held->index_id, held->partition);
	(void)copies_drop(node->copies, held->index_id, held->partition);
	replica_close(replica);
	/* another generation counts in the same place */
	served = replicas_find(node, held->index_id, held->partition);
	if (served == NULL || served->replica == NULL)
		counters_of_closed(held);
}

static void memory_note(struct node *node, struct held *held, size_t bytes)
{
	budget_change(&node->budget, held->index_id, held->memory_bytes, bytes);
	held->memory_bytes = bytes;
}

static void held_release(struct node *node, struct held *held)
{
	node->waiting_all = true;
	held->recorded = false;
	restoring_forget(node, held);
	replica_release(node, held);
	preparing_forget(node, held);
	publish(node, held); /* maybe another generation's */
	held->merges_too_large = 0;
	held->skipped = 0;
	held->stored_bytes = 0;
	held->merged_bytes = 0;
	held->stores = (struct job_counts){0};
	held->compactions = (struct job_counts){0};
	memory_note(node, held, 0);
	held->unstored_since_ms = -1;
	held->unmerged = false;
}

static void held_close(struct node *node, struct held *held, const char *reason)
{
	held_release(node, held);
	if (strcmp(held->closed_reason, reason) == 0)
		return;
	(void)snprintf(held->closed_reason, sizeof held->closed_reason, "%s", reason);
	logline(LOG_LEVEL_WARN, "replica_closed", "index=%016" PRIx64 " partition=%" PRId32 " reason=\"%s\"",
	        held->index_id, held->partition, reason);
}

/* Renamed first: what is half removed after a crash can never be opened again. False if it is still there. */
static bool held_drop(struct node *node, struct held *held)
{
	char path[REPLICA_PATH_BYTES_MAX];
	char dropped[REPLICA_PATH_BYTES_MAX + 16];
	struct error error = {.code = 0};
	bool renamed;

	replicas_path(node, held, path);
	(void)snprintf(dropped, sizeof dropped, "%s" DROPPED_SUFFIX, path);
	held_release(node, held);
	renamed = rename(path, dropped) == 0;
	if (!renamed && errno == ENOENT) {
		held_remove(node, held); /* a copy of which nothing has come */
		return true;
	}
	if (!renamed)
		(void)error_set(&error, ERROR_STORAGE, ERROR_ACTION_RETRY, "cannot rename %s: %s", path,
		                strerror(errno));
	else
		(void)replicas_remove_directory(dropped, &error); /* if not now, at the next start */
	logline(error.code == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "replica_dropped",
	        "index=%016" PRIx64 " partition=%" PRId32 " error=\"%s\"", held->index_id, held->partition,
	        error.code == 0 ? "" : error.text);
	if (renamed)
		held_remove(node, held);
	return renamed;
}

bool replicas_discard(struct node *node, struct held *held)
{
	return held_drop(node, held);
}

/* Nothing is opened: a copy is to come. */
static void held_await(struct node *node, struct held *held, const char *reason)
{
	if (!held->awaits)
		held_close(node, held, reason);
	held->awaits = true;
}

/* True if that took the disk's time: something was opened or removed. */
static bool held_decide(struct node *node, struct held *held)
{
	struct holding holding = {held->index_id, held->generation, held->partition, true, {{0, 0}}};
	bool closed = held->replica == NULL;
	struct error reason = {.code = 0};

	restoring_look(node, held);
	holding.incarnation = held->on_disk;
	switch (holding_decide(node->catalog, node->id, &holding, &reason)) {
	case HOLDING_KEEP:
		held_open(node, held);
		return closed && held->replica != NULL;
	case HOLDING_AWAIT:
		held_await(node, held, reason.text);
		return !closed;
	case HOLDING_HOLD:
		held->awaits = false;
		held_close(node, held, reason.text);
		return !closed;
	case HOLDING_DROP:
		return held_drop(node, held);
	case HOLDING_REFUSE:
		refuse(node, &reason);
		return false;
	case HOLDING_NONE:
	case HOLDING_CREATE:
		break;
	}
	ASSERT(false); /* not for what is on disk */
	return false;
}

static bool is_held(const struct node *node, const struct holding *holding)
{
	for (size_t i = 0; i < node->held_len; i++)
		if (node->held[i]->index_id == holding->index_id &&
		    node->held[i]->generation == holding->generation &&
		    node->held[i]->partition == holding->partition)
			return true;
	return false;
}

static void absent_decide(struct node *node, const struct holding *holding)
{
	struct error reason = {.code = 0};
	enum holding_verdict verdict;
	struct error error;
	struct held *held;

	if (is_held(node, holding))
		return;
	verdict = holding_decide(node->catalog, node->id, holding, &reason);
	if (verdict != HOLDING_CREATE && verdict != HOLDING_AWAIT)
		return;
	held = held_add(node, holding, &error);
	if (held == NULL) {
		logline(LOG_LEVEL_ERROR, "replica_not_created",
		        "index=%016" PRIx64 " partition=%" PRId32 " error=\"%s\"", holding->index_id,
		        holding->partition, error.text);
		return;
	}
	if (verdict == HOLDING_AWAIT)
		held_await(node, held, reason.text);
	else
		held_open(node, held);
}

/* One that cannot be opened tells nothing now, and is met again when it is to be used. */
void replicas_check_cluster(struct node *node)
{
	for (size_t i = 0; i < node->held_len && node->failure.code == 0; i++) {
		char path[REPLICA_PATH_BYTES_MAX];
		struct error error;
		struct kv *kv;

		replicas_path(node, node->held[i], path);
		if (kv_open(path, &kv, &error) != 0)
			continue;
		if (replica_check_cluster(kv, node->cluster_id, &error) == ERROR_STATE) {
			(void)error_prefix(&error, "%s", path);
			refuse(node, &error);
		}
		kv_close(kv);
	}
}

/* What is there is judged before anything is created or dropped: a refusal must find everything as it was. */
static void refusals_find(struct node *node)
{
	for (size_t i = 0; i < node->held_len && node->failure.code == 0; i++) {
		const struct held *held = node->held[i];
		struct holding holding = {held->index_id, held->generation, held->partition, true, {{0, 0}}};
		struct error reason;

		if (holding_decide(node->catalog, node->id, &holding, &reason) == HOLDING_REFUSE)
			refuse(node, &reason);
	}
}

/* By the records read so far; what changes is said once. */
static void recorded_note(struct node *node, struct held *held)
{
	struct holding holding = {held->index_id, held->generation, held->partition, true, {{0, 0}}};
	struct replica_status status;
	bool recorded;

	if (held->replica == NULL)
		return;
	replica_status(held->replica, &status);
	recorded = serving_recorded(node->catalog, node->id, &holding, status.incarnation);
	if (recorded == held->recorded)
		return;
	held->recorded = recorded;
	publish(node, held);
	node->waiting_all = true;
	logline(LOG_LEVEL_INFO, recorded ? "replica_in_sync" : "replica_out_of_sync",
	        "index=%016" PRIx64 " partition=%" PRId32 " received=%" PRId64, held->index_id,
	        held->partition, status.received);
}

/* Opening and dropping wait for the disk: batches and questions get their turn in between. */
static bool is_turn_over(const struct node *node)
{
	return clock_monotonic_ms() - node->now_ms >= DECIDE_MS_MAX;
}

/* False if the turn was over before the end. What is as it should be costs nothing, so each turn gets further. */
static bool held_decide_all(struct node *node)
{
	/* backwards: a dropped one is replaced by the last */
	for (size_t i = node->held_len; i-- > 0;) {
		if (is_storing(node, node->held[i]))
			node->decisions_due = true; /* again when the job has ended */
		else if (held_decide(node, node->held[i]) && is_turn_over(node))
			return false;
	}
	return true;
}

static bool absent_decide_all(struct node *node)
{
	const struct index_record *index;
	size_t at = 0;

	while ((index = catalog_next_index(node->catalog, &at)) != NULL)
		for (int32_t p = 0; p < index->partitions; p++) {
			struct holding holding = {index->id, index->generation, p, false, {{0, 0}}};
			size_t len = node->held_len;

			absent_decide(node, &holding);
			if (len != node->held_len && is_turn_over(node))
				return false;
		}
	return true;
}

void replicas_decide(struct node *node)
{
	refusals_find(node);
	if (node->failure.code != 0)
		return;
	node->decisions_due = false;
	node->deciding = !held_decide_all(node) || !absent_decide_all(node);
	for (size_t i = 0; i < node->held_len; i++) {
		recorded_note(node, node->held[i]);
		preparing_decide(node, node->held[i]);
	}
	if (node->deciding) {
		node->decisions_due = true;
		return;
	}
	if (node->failure.code == 0 && !atomic_load(&node->decided))
		node_decided(node);
	atomic_store(&node->ready, node->failure.code == 0 && !node->stopping);
}

struct held *replicas_find(struct node *node, uint64_t index_id, int32_t partition)
{
	struct held *found = NULL;

	for (size_t i = 0; i < node->held_len; i++) {
		struct held *held = node->held[i];

		if (held->index_id != index_id || held->partition != partition)
			continue;
		if (found == NULL || held->replica != NULL)
			found = held;
	}
	return found;
}

struct serving_shard held_see(const struct held *held)
{
	struct serving_shard seen = {.held = held != NULL, .state = REPLICA_STATE_STOPPED};
	struct replica_status status;

	if (held == NULL || held->replica == NULL)
		return seen;
	replica_status(held->replica, &status);
	seen.state = status.state;
	seen.recorded = held->recorded;
	seen.received = status.received;
	return seen;
}

static const char *const state_events[] = {
	[REPLICA_STATE_RECOVERING] = "replica_recovering",
	[REPLICA_STATE_ACTIVE] = "replica_active",
	[REPLICA_STATE_STOPPED] = "replica_stopped",
};

/* A replica counts from its opening on, the node from its own. */
static void counts_note(struct node *node, struct held *held, const struct replica_status *status)
{
	series_add(node->counters.merges_too_large, status->merges_too_large - held->merges_too_large);
	series_add(node->counters.skipped, status->skipped - held->skipped);
	series_add(node->counters.store_bytes, status->stored_bytes - held->stored_bytes);
	series_add(node->counters.merge_bytes, status->merged_bytes - held->merged_bytes);
	held->merges_too_large = status->merges_too_large;
	held->skipped = status->skipped;
	held->stored_bytes = status->stored_bytes;
	held->merged_bytes = status->merged_bytes;
}

/* A store waits for room in the manifest, a copy can begin anew. */
static void copies_yield(struct node *node, const struct held *held, const struct replica_status *status)
{
	if (status->disk_leaving < LEAVING_HIGH ||
	    copies_drop(node->copies, held->index_id, held->partition) == 0)
		return;
	logline(LOG_LEVEL_WARN, "copies_dropped",
	        "index=%016" PRIx64 " partition=%" PRId32 " reason=\"%zu segments wait to be removed\"",
	        held->index_id, held->partition, status->disk_leaving);
}

void replicas_note(struct node *node, struct held *held)
{
	struct replica_status status;

	replica_status(held->replica, &status);
	held->received_now = status.received;
	/* a stopped replica never stores what it has: it must not use up the others' budget */
	memory_note(node, held, status.state == REPLICA_STATE_STOPPED ? 0 : status.memory_bytes);
	counts_note(node, held, &status);
	storing_note(held, &status);
	preparing_note(held, &status);
	copies_yield(node, held, &status);
	if (status.received <= status.stored || status.state == REPLICA_STATE_STOPPED)
		held->unstored_since_ms = -1;
	else if (held->unstored_since_ms < 0)
		held->unstored_since_ms = node->now_ms;
	publish(node, held);
	if (status.state == held->state)
		return;
	held->state = status.state;
	node->waiting_all = true;
	logline(status.state == REPLICA_STATE_STOPPED ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
	        state_events[status.state],
	        "index=%016" PRIx64 " partition=%" PRId32 " received=%" PRId64 " reason=\"%s\"",
	        held->index_id, held->partition, status.received, status.stop_reason);
}

void replicas_pause(struct node *node)
{
	node->waiting_all = true;
	for (size_t i = 0; i < node->held_len; i++) {
		struct held *held = node->held[i];

		if (held->replica == NULL)
			continue;
		replica_pause(held->replica, session_draw());
		publish(node, held);
		if (held->state == REPLICA_STATE_ACTIVE)
			held->state = REPLICA_STATE_RECOVERING; /* without a line a replica */
		series_add(node->counters.sessions_renewed, 1);
	}
}

bool replicas_merge(struct node *node)
{
	for (size_t i = 0; i < node->held_len; i++) {
		struct held *held = node->held[i];

		if (!held->unmerged || held->replica == NULL)
			continue;
		held->unmerged = replica_merge(held->replica);
		replicas_note(node, held);
		return true;
	}
	return false;
}

void replicas_close(struct node *node)
{
	while (node->held_len > 0) {
		struct held *held = node->held[--node->held_len];

		replica_release(node, held);
		free(held);
	}
}
