#include "rebalance/core/controller_private.h"

#include "shared/base/assert.h"
#include "shared/base/knockout.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define RECORD_BYTES_MAX (16U * 1024 * 1024)
#define KEY_BYTES_MAX 64
/* How many finals may pass before `oldest_task` is recorded, while more requests wait. */
#define FINALS_PER_CHECKPOINT 64

struct controller *controller_new(const struct controller_options *options)
{
	struct controller *controller = calloc(1, sizeof *controller);

	if (controller == NULL)
		return NULL;
	controller->catalog = catalog_new();
	controller->watch = watch_new();
	if (controller->catalog == NULL || controller->watch == NULL) {
		controller_free(controller);
		return NULL;
	}
	ASSERT(options->nodes_len <= NODES_MAX);
	(void)snprintf(controller->cluster, sizeof controller->cluster, "%s", options->cluster);
	(void)snprintf(controller->kafka_id, sizeof controller->kafka_id, "%s", options->kafka_id);
	(void)snprintf(controller->url, sizeof controller->url, "%s", options->url);
	controller->nodes_len = options->nodes_len;
	for (size_t i = 0; i < options->nodes_len; i++)
		controller->nodes[i] = options->nodes[i];
	controller->options = (struct controller_options){
		.cluster = controller->cluster,
		.kafka_id = controller->kafka_id,
		.url = controller->url,
		.rf = options->rf,
		.dedup_window = options->dedup_window,
		.nodes = controller->nodes,
		.nodes_len = options->nodes_len,
	};
	controller->working = -1;
	buffer_init(&controller->keys, KEY_BYTES_MAX * CONTROLLER_WRITES_MAX);
	buffer_init(&controller->values, RECORD_BYTES_MAX);
	return controller;
}

void controller_free(struct controller *controller)
{
	if (controller == NULL)
		return;
	catalog_free(controller->catalog);
	watch_free(controller->watch);
	buffer_deinit(&controller->keys);
	buffer_deinit(&controller->values);
	free(controller->work.starts);
	free(controller->work.index.sources);
	controller_rebuilds_free(controller);
	for (size_t i = controller->pending_first; i < controller->pending_len; i++)
		task_request_deinit(&controller->pending[i].request);
	free(controller->pending);
	free(controller->finals);
	free(controller);
}

static int read_record(struct controller *controller, enum catalog_topic topic, int64_t offset,
                       struct slice key, struct slice value, struct error *error)
{
	int rc = catalog_apply(controller->catalog, topic, offset, key, value, error);

	if (rc == 0)
		return 0;
	error->action = ERROR_ACTION_FATAL;
	error_prefix(error, "record `%.*s` at offset %" PRId64 " of %s", (int)(key.len < 64 ? key.len : 64),
	             key.ptr ? (const char *)key.ptr : "", offset,
	             topic == CATALOG_TOPIC_META ? "meta" : "topology");
	return rc;
}

int controller_read_meta(struct controller *controller, int64_t offset, struct slice key, struct slice value,
                         struct error *error)
{
	return read_record(controller, CATALOG_TOPIC_META, offset, key, value, error);
}

int controller_read_topology(struct controller *controller, int64_t offset, struct slice key,
                             struct slice value, struct error *error)
{
	return read_record(controller, CATALOG_TOPIC_TOPOLOGY, offset, key, value, error);
}

/* Where `task` stands or belongs among the finals. */
static size_t find_final(const struct controller *controller, int64_t task)
{
	size_t low = 0;
	size_t high = controller->finals_len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (controller->finals[middle] < task)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool has_final(const struct controller *controller, int64_t task)
{
	size_t at = find_final(controller, task);

	return at < controller->finals_len && controller->finals[at] == task;
}

int64_t controller_oldest_task(const struct controller *controller)
{
	const struct cluster_record *cluster = catalog_cluster(controller->catalog);

	return cluster != NULL && !KNOCKOUT(REQUEST_TWICE) ? cluster->oldest_task : 0;
}

static bool is_done(const struct controller *controller, int64_t task)
{
	return task < controller_oldest_task(controller) || has_final(controller, task);
}

int controller_read_task(struct controller *controller, int64_t offset, struct slice value,
                         struct error *error)
{
	struct pending_task *pending;

	if (offset < controller->task_next)
		return 0;
	if (is_done(controller, offset)) {
		controller->task_next = offset + 1;
		return 0;
	}
	if (controller_pending(controller) == TASKS_PENDING_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY, "%d requests are pending already",
		                 TASKS_PENDING_MAX);
	if (controller->pending_first > 0 && controller->pending_len == controller->pending_size) {
		controller->pending_len -= controller->pending_first;
		memmove(controller->pending, controller->pending + controller->pending_first,
		        controller->pending_len * sizeof *pending);
		controller->pending_first = 0;
	}
	if (controller->pending_len == controller->pending_size) {
		size_t size = controller->pending_size ? controller->pending_size * 2 : 16;

		pending = realloc(controller->pending, size * sizeof *pending);
		if (pending == NULL)
			return error_memory(error, size * sizeof *pending);
		controller->pending = pending;
		controller->pending_size = size;
	}
	pending = &controller->pending[controller->pending_len++];
	*pending = (struct pending_task){.task = offset};
	pending->readable = task_request_parse(value, &pending->request, error) == 0;
	if (!pending->readable)
		(void)snprintf(pending->reason, sizeof pending->reason, "%.250s", error->text);
	controller->task_next = offset + 1;
	return 0;
}

static void add_final(struct controller *controller, int64_t task)
{
	size_t at = find_final(controller, task);

	if (at < controller->finals_len && controller->finals[at] == task)
		return;
	if (controller->finals_len == controller->finals_size) {
		size_t size = controller->finals_size ? controller->finals_size * 2 : 64;
		int64_t *finals = realloc(controller->finals, size * sizeof *finals);

		ASSERT(finals != NULL); /* without the finals a request could be applied twice */
		controller->finals = finals;
		controller->finals_size = size;
	}
	memmove(controller->finals + at + 1, controller->finals + at,
	        (controller->finals_len - at) * sizeof *controller->finals);
	controller->finals[at] = task;
	controller->finals_len++;
}

void controller_read_final(struct controller *controller, struct slice value)
{
	struct task_final final;
	struct error error;

	if (KNOCKOUT(REQUEST_TWICE))
		return;
	/* a final that cannot be read decides nothing: the request gets another one, which readers take */
	if (task_final_parse(value, &final, &error) == 0)
		add_final(controller, final.task);
}

int controller_check(const struct controller *controller, struct error *error)
{
	const struct cluster_record *cluster = catalog_cluster(controller->catalog);

	if (cluster == NULL || strcmp(cluster->kafka, controller->kafka_id) == 0)
		return 0;
	return error_set(
		error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL,
		"the topology topic was written for Kafka %s, this one is %s: check bootstrap.servers and "
		"cluster; nothing was changed",
		cluster->kafka, controller->kafka_id);
}

void controller_write(struct controller *controller, enum controller_topic topic, int64_t task,
                      const char *key_format, ...)
{
	struct controller_action *action = &controller->action;
	char key[KEY_BYTES_MAX];
	va_list args;
	int len;

	ASSERT(action->writes_len < CONTROLLER_WRITES_MAX);
	va_start(args, key_format);
	len = vsnprintf(key, sizeof key, key_format, args);
	va_end(args);
	ASSERT(len > 0 && (size_t)len < sizeof key);
	buffer_append_string(&controller->keys, key);
	ASSERT(!buffer_failed(&controller->keys) && !buffer_failed(&controller->values));
	action->kind = CONTROLLER_ACTION_WRITE;
	action->task = task;
	controller->writes[action->writes_len].topic = topic;
	controller->spans[action->writes_len++] = (struct span){controller->keys.len, controller->values.len};
}

/* The buffers stand still now. */
static void point_writes(struct controller *controller)
{
	const uint8_t *key = controller->keys.ptr;
	const uint8_t *value = controller->values.ptr;
	struct span from = {0, 0};

	for (size_t i = 0; i < controller->action.writes_len; i++) {
		struct span to = controller->spans[i];

		controller->writes[i].key = slice_of(key + from.key_end, to.key_end - from.key_end);
		controller->writes[i].value = slice_of(value + from.value_end, to.value_end - from.value_end);
		from = to;
	}
	controller->action.writes = controller->writes;
}

void controller_topic_action(struct controller *controller, enum controller_action_kind kind,
                             const char *topic, int32_t partitions, int64_t task)
{
	controller->action = (struct controller_action){
		.kind = kind,
		.topic = topic,
		.partitions = partitions,
		.task = task,
	};
}

void controller_fail(struct controller *controller, const char *code, const char *format, ...)
{
	struct task_final *final = &controller->work.final;
	va_list args;

	controller->work.failed = true;
	(void)snprintf(final->code, sizeof final->code, "%s", code);
	va_start(args, format);
	(void)vsnprintf(final->message, sizeof final->message, format, args);
	va_end(args);
}

static void forget_work(struct controller *controller)
{
	free(controller->work.starts);
	free(controller->work.index.sources);
	controller->work = (struct work){0};
	controller->working = -1;
}

/* Those before it, which are held, move up. */
static void remove_pending(struct controller *controller, size_t at)
{
	struct pending_task *first = &controller->pending[controller->pending_first];
	struct pending_task *done = &controller->pending[at];

	task_request_deinit(&done->request);
	memmove(first + 1, first, (size_t)(done - first) * sizeof *first);
	controller->pending_first++;
}

/* The request in progress, else the oldest one that has no final and is not held; those before it are held. */
static struct pending_task *next_pending(struct controller *controller)
{
	size_t at = controller->pending_first;

	while (controller->working >= 0 && controller->pending[at].task != controller->working)
		at++;
	if (controller->working >= 0 && !is_done(controller, controller->working) &&
	    !controller_holds(controller, &controller->pending[at]))
		return &controller->pending[at];
	forget_work(controller);
	for (at = controller->pending_first; at < controller->pending_len; at++) {
		struct pending_task *pending = &controller->pending[at];

		if (is_done(controller, pending->task)) {
			remove_pending(controller, at);
		} else if (!controller_holds(controller, pending)) {
			controller->working = pending->task;
			return pending;
		}
	}
	return NULL;
}

static bool node_equal(const struct node_record *a, const struct node_record *b)
{
	return strcmp(a->id, b->id) == 0 && strcmp(a->group, b->group) == 0 && strcmp(a->url, b->url) == 0 &&
	       incarnation_equal(a->incarnation, b->incarnation) && a->format == b->format;
}

static bool cluster_differs(const struct cluster_record *old, const struct cluster_record *wanted)
{
	if (old == NULL || old->rf != wanted->rf || strcmp(old->controller, wanted->controller) != 0 ||
	    old->nodes_len != wanted->nodes_len)
		return true;
	for (size_t i = 0; i < old->nodes_len; i++)
		if (!node_equal(&old->nodes[i], &wanted->nodes[i]))
			return true;
	return false;
}

/* The cluster record, when nodes, RF or controller are other ones or enough requests are done. */
static bool write_cluster(struct controller *controller, bool idle)
{
	const struct cluster_record *old = catalog_cluster(controller->catalog);
	bool checkpoint = controller->finals_since_checkpoint >= FINALS_PER_CHECKPOINT ||
	                  (idle && controller->finals_since_checkpoint > 0);
	struct cluster_record cluster = {.task = -1, .rf = controller->options.rf};
	bool differs;

	controller_fill_nodes(controller, &cluster);
	memcpy(cluster.controller, controller->url, sizeof cluster.controller);
	differs = cluster_differs(old, &cluster);
	if (!differs && !checkpoint)
		return false;
	if (old != NULL)
		cluster.epoch = old->epoch;
	cluster.epoch += differs ? 1 : 0;
	cluster.oldest_task =
		idle ? controller->task_next : controller->pending[controller->pending_first].task;
	if (old != NULL && old->oldest_task > cluster.oldest_task)
		cluster.oldest_task = old->oldest_task; /* nothing has been read since */
	memcpy(cluster.kafka, controller->kafka_id, sizeof cluster.kafka);
	catalog_write_cluster(&controller->values, &cluster);
	controller_write(controller, CONTROLLER_TOPIC_TOPOLOGY, -1, "cluster");
	return true;
}

static void write_final(struct controller *controller, const struct pending_task *pending, int64_t now_ms)
{
	struct task_final *final = &controller->work.final;

	final->task = pending->task;
	final->succeeded = !controller->work.failed;
	final->started_at_ms = pending->started_ms;
	final->finished_at_ms = now_ms;
	task_final_write(&controller->values, final);
	controller_write(controller, CONTROLLER_TOPIC_TASK_STATES, pending->task, "%" PRId64, pending->task);
}

static bool step(struct controller *controller, const struct pending_task *pending, int64_t now_ms,
                 bool *waits)
{
	switch (pending->request.type) {
	case TASK_TYPE_INDEX_CREATION:
		return controller_create_index(controller, pending, now_ms);
	case TASK_TYPE_INDEX_REBUILD:
		return controller_rebuild_index(controller, pending, now_ms);
	case TASK_TYPE_INDEX_DELETION:
		return controller_delete_index(controller, pending, now_ms);
	case TASK_TYPE_RECORD_SKIP:
		return controller_skip_record(controller, pending, waits);
	case TASK_TYPE_INDEX_RESTORE:
		return controller_restore_shards(controller, pending, waits);
	case TASK_TYPE_SOURCE_ADDITION:
		return controller_add_source(controller, pending, now_ms);
	case TASK_TYPE_SOURCE_UPDATE:
		return controller_update_source(controller, pending, now_ms);
	case TASK_TYPE_SOURCE_DELETION:
		return controller_remove_source(controller, pending, now_ms);
	case TASK_TYPE_SETTINGS_UPDATE:
		return controller_update_settings(controller, pending);
	}
	return false;
}

/* Its next action; false if it waits for what nodes tell. */
static bool next_for(struct controller *controller, struct pending_task *pending, int64_t now_ms)
{
	bool more = false;
	bool waits = false;

	if (pending->started_ms == 0)
		pending->started_ms = now_ms;
	if (!pending->readable)
		controller_fail(controller, "bad_request", "the request cannot be read: %s", pending->reason);
	else
		more = step(controller, pending, now_ms, &waits);
	if (!more && !waits)
		write_final(controller, pending, now_ms);
	return !waits;
}

/* Shards and requests in turn, so that neither waits for the other's end. */
static bool next_work(struct controller *controller, struct pending_task *pending, int64_t wall_ms)
{
	bool first = controller->shards_first;

	controller->shards_first = !first;
	if (first && controller_change_shards(controller))
		return true;
	if (pending != NULL ? next_for(controller, pending, wall_ms)
	                    : controller_delete_topics(controller, wall_ms) ||
	                              controller_advance_rebuilds(controller, wall_ms))
		return true;
	return !first && controller_change_shards(controller);
}

bool controller_next(struct controller *controller, struct controller_time now,
                     struct controller_action *action)
{
	struct pending_task *pending;

	ASSERT(!controller->outstanding);
	controller_tick(controller, now.monotonic_ms);
	controller->action = (struct controller_action){.task = -1};
	buffer_clear(&controller->keys);
	buffer_clear(&controller->values);
	pending = next_pending(controller);
	if (!write_cluster(controller, controller_pending(controller) == 0) &&
	    !next_work(controller, pending, now.wall_ms))
		return false;
	point_writes(controller);
	controller->outstanding = true;
	*action = controller->action;
	return true;
}

/* We are the only writer: our own record counts as read, and is not read again. */
static void written(struct controller *controller, const struct controller_write *write)
{
	struct error error;
	int rc = 0;

	switch (write->topic) {
	case CONTROLLER_TOPIC_META:
		rc = catalog_apply(controller->catalog, CATALOG_TOPIC_META, 0, write->key, write->value,
		                   &error);
		break;
	case CONTROLLER_TOPIC_TOPOLOGY:
		rc = catalog_apply(controller->catalog, CATALOG_TOPIC_TOPOLOGY, 0, write->key, write->value,
		                   &error);
		if (slice_equal(write->key, slice_string("cluster")))
			controller->finals_since_checkpoint = 0;
		break;
	case CONTROLLER_TOPIC_TASK_STATES:
		add_final(controller, controller->action.task);
		controller->finals_since_checkpoint++;
		break;
	}
	ASSERT(rc == 0); /* we wrote it */
}

void controller_result(struct controller *controller, const struct controller_result *result)
{
	ASSERT(controller->outstanding);
	controller->outstanding = false;
	if (controller->action.kind != CONTROLLER_ACTION_WRITE)
		controller_topic_result(controller, result);
	for (size_t i = 0; result->code == 0 && i < controller->action.writes_len; i++)
		written(controller, &controller->action.writes[i]);
	if (result->code == 0 && controller->action.writes_len > 0)
		controller_shards_written(controller);
}

const struct catalog *controller_catalog(const struct controller *controller)
{
	return controller->catalog;
}

size_t controller_pending(const struct controller *controller)
{
	return controller->pending_len - controller->pending_first;
}
