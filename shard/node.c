/* The node's life: open, one loop over everything that can happen, close. */
#include "shard/node_private.h"

#include "shared/base/assert.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"
#include "shared/runtime/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Gauges are refreshed so often. */
#define TICK_MS 250

enum source {
	SOURCE_SIGNAL,
	SOURCE_INBOX,
	SOURCE_QUESTIONS,
	SOURCE_BATCHES,
	SOURCE_READER,
	SOURCES
};

void node_fail(struct node *node, const struct error *error)
{
	if (node->failure.code == 0)
		node->failure = *error;
}

void node_decided(struct node *node)
{
	struct error error;

	atomic_store(&node->decided, true);
	if (process_ready(config_ready_file(node->config), "millrace-shard",
	                  http_server_address(node->server), NULL, &error) != 0)
		node_fail(node, &error);
}

void node_check_pulse(struct node *node)
{
	int64_t stood_ms = pulse_take(&node->pulse);

	if (stood_ms == 0)
		return;
	node->session = session_draw();
	replicas_pause(node);
	logline(LOG_LEVEL_WARN, "stood_still", "ms=%lld session=%016llx replicas=%zu", (long long)stood_ms,
	        (unsigned long long)node->session, node->held_len);
}

static int directory_make(const char *path, struct error *error)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL, "cannot make directory %s: %s", path,
	                 strerror(errno));
}

/* `path` with every parent. */
static int directories_make(const char *path, struct error *error)
{
	char part[NODE_PATH_BYTES_MAX];

	for (size_t i = 1; path[i] != '\0'; i++) {
		if (path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (directory_make(part, error) != 0)
			return error->code;
	}
	return directory_make(path, error);
}

/* The directory is this process's alone until it ends. */
static int directory_lock(struct node *node, const char *data, struct error *error)
{
	char path[NODE_PATH_BYTES_MAX + 16];

	(void)snprintf(path, sizeof path, "%s/node.lock", data);
	node->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (node->lock_fd >= 0 && flock(node->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL, "%s: %s", path,
	                 errno == EWOULDBLOCK ? "another node uses this directory (shard.data)"
	                                      : strerror(errno));
}

static int directory_open(struct node *node, struct error *error)
{
	const char *data = config_string(node->config, "shard.data");
	int len = snprintf(node->directory, sizeof node->directory, "%s/replicas", data);

	if (len < 0 || (size_t)len >= sizeof node->directory)
		return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL,
		                 "shard.data is longer than %d bytes", NODE_PATH_BYTES_MAX);
	if (directories_make(node->directory, error) != 0 || directory_lock(node, data, error) != 0 ||
	    identity_open(node, data, error) != 0)
		return error->code;
	return replicas_scan(node, error);
}

static int parts_open(struct node *node, struct error *error)
{
	node->catalog = catalog_new();
	node->inbox = mailbox_new(MESSAGES_MAX);
	node->shelf = shelf_new();
	node->copies = copies_new();
	node->questions = mailbox_new(NODE_QUESTIONS_MAX);
	node->searches = mailbox_new(NODE_QUESTIONS_MAX + NODE_SEARCHERS_MAX);
	node->batches = mailbox_new(NODE_BATCHES_MAX);
	node->store_tasks = mailbox_new(2);
	if (node->catalog == NULL || node->inbox == NULL || node->questions == NULL ||
	    node->searches == NULL || node->shelf == NULL || node->copies == NULL || node->batches == NULL ||
	    node->store_tasks == NULL)
		return error_memory(error, NODE_QUESTIONS_MAX * sizeof(void *));
	return settings_shelf_new(&node->settings, error);
}

int node_open(const struct config *config, int signal_fd, struct node **out, struct error *error)
{
	struct node *node = calloc(1, sizeof *node);
	char incarnation[33];
	int rc;

	if (node == NULL)
		return error_memory(error, sizeof *node);
	node->config = config;
	node->signal_fd = signal_fd;
	node->lock_fd = -1;
	node->id = config_string(config, "shard.id");
	restoring_init(node);
	node->cluster_key = config_string(config, "auth.cluster_key");
	budget_init(&node->budget, (size_t)config_bytes(config, "shard.memory"));
	counters_init(&node->counters);
	rc = parts_open(node, error);
	if (rc == 0)
		rc = directory_open(node, error);
	if (rc == 0)
		rc = pulse_start(&node->pulse, error);
	if (rc == 0)
		rc = storing_start(node, error);
	if (rc == 0)
		rc = searching_start(node, error);
	if (rc == 0)
		rc = http_start(node, error);
	if (rc == 0)
		rc = following_start(node, error);
	if (rc != 0) {
		node_close(node);
		return rc;
	}
	incarnation_print(node->incarnation, incarnation);
	logline(LOG_LEVEL_INFO, "started", "node=%s incarnation=%s listen=%s replicas=%zu", node->id,
	        incarnation, http_server_address(node->server), node->held_len);
	*out = node;
	return 0;
}

static void wait_for_sources(struct node *node, int timeout_ms)
{
	struct pollfd sources[SOURCES] = {
		[SOURCE_SIGNAL] = {.fd = node->stopping ? -1 : node->signal_fd, .events = POLLIN},
		[SOURCE_INBOX] = {.fd = mailbox_fd(node->inbox), .events = POLLIN},
		[SOURCE_QUESTIONS] = {.fd = mailbox_fd(node->questions), .events = POLLIN},
		[SOURCE_BATCHES] = {.fd = mailbox_fd(node->batches), .events = POLLIN},
		[SOURCE_READER] = {.fd = node->reader != NULL ? log_reader_fd(node->reader) : -1,
	                           .events = POLLIN},
	};

	if (poll(sources, SOURCES, timeout_ms) < 0)
		ASSERT(errno == EINTR);
	node->now_ms = clock_monotonic_ms();
	node_check_pulse(node);
	if (sources[SOURCE_READER].revents != 0)
		node->reader_more = true;
	if (sources[SOURCE_SIGNAL].revents != 0) {
		node->stopping = true;
		logline(LOG_LEVEL_INFO, "stopping", "timeout_ms=%d", NODE_SHUTDOWN_MS);
	}
}

static void inbox_take(struct node *node)
{
	struct message *message;

	while ((message = mailbox_take(node->inbox)) != NULL) {
		switch (message->kind) {
		case MESSAGE_KIND_CLUSTER:
			following_cluster(node);
			break;
		case MESSAGE_KIND_OPENED:
			following_opened(node, message);
			break;
		case MESSAGE_KIND_STORED:
			storing_done(node, (struct store_task *)message);
			break;
		case MESSAGE_KIND_DAMAGED:
			searching_damaged(node, (struct damage *)message);
			break;
		}
	}
}

static void copies_turn(struct node *node)
{
	size_t idle = copies_expire(node->copies, node->now_ms);

	restoring_expire(node);
	if (idle > 0)
		logline(LOG_LEVEL_WARN, "copies_idle", "copies=%zu idle_ms=%d", idle, COPIES_IDLE_MS);
}

/* One turn of the loop; true if it could go on at once. */
static bool turn(struct node *node, int64_t *tick_ms)
{
	bool more;

	inbox_take(node);
	following_turn(node);
	if (node->decisions_due && !node->stopping)
		replicas_decide(node);
	questions_turn(node);
	if (node->stopping) {
		batches_refuse(node);
		restoring_refuse(node);
		more = false;
	} else {
		more = batches_turn(node);
	}
	storing_turn(node);
	if (!more)
		more = replicas_merge(node);
	if (*tick_ms <= node->now_ms) {
		*tick_ms = node->now_ms + TICK_MS;
		counters_update(node);
		copies_turn(node);
		preparing_turn(node);
	}
	return more || node->reader_more || (node->deciding && !node->stopping);
}

static int poll_timeout(const struct node *node, bool more)
{
	int64_t wait_ms = storing_wait_ms(node);
	int64_t question_ms = questions_wait_ms(node);

	if (question_ms < wait_ms)
		wait_ms = question_ms;
	if (more || node->failure.code != 0)
		return 0;
	return wait_ms < TICK_MS ? (int)wait_ms : TICK_MS;
}

int node_run(struct node *node, struct error *error)
{
	int64_t stop_ms = INT64_MAX;
	int64_t tick_ms = 0;
	bool more = false;

	while (node->failure.code == 0) {
		wait_for_sources(node, poll_timeout(node, more));
		more = turn(node, &tick_ms);
		if (!node->stopping)
			continue;
		atomic_store(&node->ready, false);
		if (stop_ms == INT64_MAX)
			stop_ms = node->now_ms + NODE_SHUTDOWN_MS;
		if ((!node->storing && !storing_wanted(node)) || node->now_ms >= stop_ms)
			return 0;
	}
	*error = node->failure;
	return error->code;
}

static void waiting_refuse(struct node *node)
{
	if (node->batches != NULL)
		batches_refuse(node);
	if (node->questions != NULL)
		questions_refuse(node);
	restoring_refuse(node);
}

/* Senders into the mailboxes end first, then what they refer to. */
void node_close(struct node *node)
{
	if (node == NULL)
		return;
	atomic_store(&node->ready, false);
	waiting_refuse(node);
	if (node->server != NULL)
		http_server_stop(node->server);
	searching_stop(node);
	waiting_refuse(node); /* what came in between */
	storing_stop(node);
	waiting_refuse(node); /* a piece that waited for the writer */
	pulse_stop(&node->pulse);
	replicas_close(node);
	if (!following_stop(node))
		return; /* that thread still waits for Kafka and uses the inbox; the process ends */
	if (node->catalog != NULL)
		catalog_free(node->catalog);
	if (node->inbox != NULL)
		mailbox_free(node->inbox);
	if (node->questions != NULL)
		mailbox_free(node->questions);
	if (node->searches != NULL)
		mailbox_free(node->searches);
	shelf_free(node->shelf);
	settings_shelf_free(node->settings);
	copies_free(node->copies);
	if (node->batches != NULL)
		mailbox_free(node->batches);
	if (node->store_tasks != NULL)
		mailbox_free(node->store_tasks);
	if (node->lock_fd >= 0)
		(void)close(node->lock_fd);
	free(node);
}
