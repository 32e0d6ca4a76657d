#include "rebalance/office.h"

#include "rebalance/core/controller.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"
#include "shared/runtime/metrics.h"

#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define TAKE_TIMEOUT_MS 20000
#define KAFKA_TIMEOUT_MS 10000
#define FIRST_TIMEOUT_MS 2000 /* a signal waits for it */
#define READ_TIMEOUT_MS 200
#define RETRY_MS 1000
#define RETRY_ACTION_MS 300

enum topic {
	TOPIC_META,
	TOPIC_TOPOLOGY,
	TOPIC_TASKS,
	TOPIC_TASK_STATES,
	TOPICS
};

static const char *const suffixes[TOPICS] = {"meta", "topology", "tasks", "task-states"};

struct office {
	const struct config *config;
	struct log_connection *connection;
	int signal_fd;
	atomic_int state;
	char kafka_id[64];
	struct node_record nodes[NODES_MAX];
	size_t nodes_len;
	struct log_office *log;
	struct log_reader *reader;
	struct controller *controller;
	int64_t starts[INDEX_PARTITIONS_MAX];
	char trouble[512]; /* what was last said about a failing action */
	struct series *in_office;
	struct series *succeeded;
	struct series *failed;
};

int office_new(const struct config *config, struct log_connection *connection, int signal_fd,
               struct office **office, struct error *error)
{
	const struct config_node *nodes;
	size_t nodes_len = config_nodes(config, &nodes);
	struct metric *tasks;
	struct office *made;

	if (nodes_len > NODES_MAX)
		return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL,
		                 "topology.groups names %zu nodes, at most %d are supported", nodes_len,
		                 NODES_MAX);
	made = calloc(1, sizeof *made);
	if (made == NULL)
		return error_memory(error, sizeof *made);
	made->config = config;
	made->connection = connection;
	made->signal_fd = signal_fd;
	made->nodes_len = nodes_len;
	for (size_t i = 0; i < nodes_len; i++) {
		(void)snprintf(made->nodes[i].id, sizeof made->nodes[i].id, "%s", nodes[i].id);
		(void)snprintf(made->nodes[i].group, sizeof made->nodes[i].group, "%s", nodes[i].group);
		(void)snprintf(made->nodes[i].url, sizeof made->nodes[i].url, "%s", nodes[i].url);
	}
	made->in_office = metric_series(metric_new(METRIC_TYPE_GAUGE, "millrace_controller_in_office",
	                                           "1 while this process is the controller", ""),
	                                NULL);
	tasks = metric_new(METRIC_TYPE_COUNTER, "millrace_controller_tasks_total",
	                   "Requests that got their final", "status");
	made->succeeded = metric_series(tasks, (const char *const[]){"succeeded"});
	made->failed = metric_series(tasks, (const char *const[]){"failed"});
	*office = made;
	return 0;
}

static void leave(struct office *office)
{
	atomic_store(&office->state, OFFICE_STATE_WAITING);
	series_set(office->in_office, 0);
	controller_free(office->controller);
	office->controller = NULL;
	if (office->reader != NULL)
		log_reader_close(office->reader);
	office->reader = NULL;
	if (office->log != NULL)
		log_office_leave(office->log);
	office->log = NULL;
}

void office_free(struct office *office)
{
	if (office == NULL)
		return;
	leave(office);
	free(office);
}

enum office_state office_state(const struct office *office)
{
	return (enum office_state)atomic_load(&office->state);
}

/* True if the signal came within that time. */
static bool signalled(const struct office *office, int timeout_ms)
{
	struct pollfd fd = {.fd = office->signal_fd, .events = POLLIN};

	return poll(&fd, 1, timeout_ms) == 1;
}

static int read_record(struct office *office, size_t topic, const struct record *record, struct error *error)
{
	switch (topic) {
	case TOPIC_META:
		return controller_read_meta(office->controller, record->offset, record->key, record->value,
		                            error);
	case TOPIC_TOPOLOGY:
		return controller_read_topology(office->controller, record->offset, record->key,
		                                record->value, error);
	case TOPIC_TASKS:
		return controller_read_task(office->controller, record->offset, record->value, error);
	default:
		controller_read_final(office->controller, record->value);
		return 0;
	}
}

/* 0 at the end of all four topics; 1 on the signal. */
static int read_to_end(struct office *office, struct error *error)
{
	for (;;) {
		enum log_event event;
		struct record record;
		size_t topic;
		int rc = log_reader_next(office->reader, READ_TIMEOUT_MS, &event, &topic, &record, error);

		if (rc == 0 && event == LOG_EVENT_END)
			return controller_check(office->controller, error);
		if (rc == 0 && event == LOG_EVENT_RECORD)
			rc = read_record(office, topic, &record, error);
		if (rc < 0)
			return rc;
		if (event == LOG_EVENT_NONE && signalled(office, 0))
			return 1;
	}
}

/* First the producer, then everything to its end. */
static int take(struct office *office, struct error *error)
{
	struct controller_options options = {
		.cluster = config_string(office->config, "cluster"),
		.kafka_id = office->kafka_id,
		.url = "",
		.rf = (int32_t)config_int(office->config, "topology.rf"),
		.nodes = office->nodes,
		.nodes_len = office->nodes_len,
	};
	int rc = log_cluster_id(office->connection, FIRST_TIMEOUT_MS, office->kafka_id, error);

	if (rc == 0)
		rc = log_create_own_topics(office->connection, KAFKA_TIMEOUT_MS, error);
	if (rc == 0)
		rc = log_office_take(office->config, TAKE_TIMEOUT_MS, &office->log, error);
	if (rc != 0)
		return rc;
	atomic_store(&office->state, OFFICE_STATE_READING);
	office->controller = controller_new(&options);
	if (office->controller == NULL)
		return error_memory(error, 0);
	rc = log_reader_open(office->config, suffixes, TOPICS, &office->reader, error);
	if (rc == 0)
		rc = read_to_end(office, error);
	if (rc != 0)
		return rc;
	atomic_store(&office->state, OFFICE_STATE_IN_OFFICE);
	series_set(office->in_office, 1);
	logline(LOG_LEVEL_INFO, "took_office", "kafka=%s pending=%zu", office->kafka_id,
	        controller_pending(office->controller));
	return 0;
}

static int inspect(struct office *office, const char *topic, struct controller_result *result)
{
	char policy[128];
	int rc = log_topic_partitions(office->connection, topic, KAFKA_TIMEOUT_MS, &result->partitions,
	                              &result->error);

	if (rc == ERROR_NOT_FOUND)
		return 0;
	if (rc == 0)
		rc = log_topic_setting(office->connection, topic, "cleanup.policy", KAFKA_TIMEOUT_MS, policy,
		                       &result->error);
	if (rc != 0)
		return rc;
	result->exists = true;
	result->compacted = strstr(policy, "compact") != NULL;
	return 0;
}

static int create(struct office *office, const struct controller_action *action,
                  struct controller_result *result)
{
	static const char *const settings[] = {
		"cleanup.policy",
		"delete",
		"retention.ms",
		"-1",
		"retention.bytes",
		"-1",
		/* a document of the largest size with its envelope; brokers take 1 MB by default */
		"max.message.bytes",
		"5242880",
		NULL,
	};
	struct log_topic topic = {action->topic, action->partitions, settings};

	return log_topic_create(office->connection, &topic, KAFKA_TIMEOUT_MS, &result->error);
}

static int read_starts(struct office *office, const struct controller_action *action,
                       struct controller_result *result)
{
	int rc = 0;

	for (int32_t p = 0; rc == 0 && p < action->partitions; p++) {
		struct log_ends ends;

		rc = log_ask_ends(office->connection, action->topic, p, KAFKA_TIMEOUT_MS, &ends,
		                  &result->error);
		if (rc == 0)
			office->starts[p] = ends.start;
	}
	result->starts = office->starts;
	return rc;
}

static int write_records(struct office *office, const struct controller_action *action,
                         struct controller_result *result)
{
	static const char *const topics[] = {
		[CONTROLLER_TOPIC_META] = "meta",
		[CONTROLLER_TOPIC_TOPOLOGY] = "topology",
		[CONTROLLER_TOPIC_TASK_STATES] = "task-states",
	};
	struct log_write writes[CONTROLLER_WRITES_MAX];

	_Static_assert(CONTROLLER_WRITES_MAX <= LOG_WRITES_MAX, "an action is one transaction");
	for (size_t i = 0; i < action->writes_len; i++)
		writes[i] = (struct log_write){log_name(office->connection, topics[action->writes[i].topic]),
		                               action->writes[i].key, action->writes[i].value};
	return log_office_write(office->log, writes, action->writes_len, &result->error);
}

static void carry_out(struct office *office, const struct controller_action *action,
                      struct controller_result *result)
{
	*result = (struct controller_result){0};
	switch (action->kind) {
	case CONTROLLER_ACTION_WRITE:
		result->code = write_records(office, action, result);
		break;
	case CONTROLLER_ACTION_INSPECT_TOPIC:
		result->code = inspect(office, action->topic, result);
		break;
	case CONTROLLER_ACTION_CREATE_TOPIC:
		result->code = create(office, action, result);
		break;
	case CONTROLLER_ACTION_READ_STARTS:
		result->code = read_starts(office, action, result);
		break;
	case CONTROLLER_ACTION_DELETE_TOPIC:
		result->code =
			log_topic_delete(office->connection, action->topic, KAFKA_TIMEOUT_MS, &result->error);
		break;
	}
}

static void count_final(struct office *office, const struct controller_write *write)
{
	struct task_final final;
	struct error error;

	if (write->topic != CONTROLLER_TOPIC_TASK_STATES ||
	    task_final_parse(write->value, &final, &error) != 0)
		return;
	series_add(final.succeeded ? office->succeeded : office->failed, 1);
	if (final.succeeded)
		logline(LOG_LEVEL_INFO, "task_succeeded", "task=%" PRId64, final.task);
	else
		logline(LOG_LEVEL_WARN, "task_failed", "task=%" PRId64 " code=%s message=\"%s\"", final.task,
		        final.code, final.message);
}

static struct controller_time now(void)
{
	return (struct controller_time){clock_wall_ms(), clock_monotonic_ms()};
}

/* Carries out what is to be done; 1 on the signal, negative if the office must be left. */
static int act(struct office *office, struct error *error)
{
	struct controller_action action;

	while (controller_next(office->controller, now(), &action)) {
		struct controller_result result;

		carry_out(office, &action, &result);
		if (result.code == 0) {
			office->trouble[0] = '\0';
			for (size_t i = 0; i < action.writes_len; i++)
				count_final(office, &action.writes[i]);
		} else if (strcmp(office->trouble, result.error.text) != 0) {
			(void)snprintf(office->trouble, sizeof office->trouble, "%s", result.error.text);
			logline(LOG_LEVEL_WARN, "action_failed", "task=%" PRId64 " error=\"%s\"", action.task,
			        result.error.text);
		}
		if (result.code != 0 && action.kind == CONTROLLER_ACTION_WRITE) {
			*error = result.error;
			return result.code;
		}
		controller_result(office->controller, &result);
		if (signalled(office, result.code != 0 ? RETRY_ACTION_MS : 0))
			return 1;
	}
	return 0;
}

/* In office: requests arrive, and are applied. */
static int serve(struct office *office, struct error *error)
{
	for (;;) {
		enum log_event event = LOG_EVENT_NONE;
		struct record record;
		size_t topic;
		int rc = act(office, error);

		if (rc == 0)
			rc = log_reader_next(office->reader, READ_TIMEOUT_MS, &event, &topic, &record, error);
		/* of the other three topics we are the only writer: what comes is our own echo */
		if (rc == 0 && event == LOG_EVENT_RECORD && topic == TOPIC_TASKS)
			rc = controller_read_task(office->controller, record.offset, record.value, error);
		if (rc != 0)
			return rc;
		if (event == LOG_EVENT_NONE && signalled(office, 0))
			return 1;
	}
}

int office_run(struct office *office, struct error *error)
{
	char said[sizeof error->text] = "";

	for (;;) {
		int rc = take(office, error);

		if (rc == 0) {
			said[0] = '\0';
			rc = serve(office, error);
		}
		leave(office);
		if (rc == 1)
			return 0;
		if (rc == ERROR_FENCED) {
			error->action = ERROR_ACTION_RETRY;
			return error_prefix(error, "another controller took office");
		}
		if (error->action == ERROR_ACTION_FATAL || rc == ERROR_CONFIGURATION)
			return rc;
		if (strcmp(said, error->text) != 0)
			logline(LOG_LEVEL_WARN, "left_office", "error=\"%s\"", error->text);
		memcpy(said, error->text, sizeof said);
		if (signalled(office, RETRY_MS))
			return 0;
	}
}
