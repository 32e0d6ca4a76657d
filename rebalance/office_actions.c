/* What the core wants done: records, topics. */
#include "rebalance/office_private.h"

#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdio.h>

#define RETRY_ACTION_MS 300

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

/* Log starts, or ends. */
static int read_ends(struct office *office, const struct controller_action *action,
                     struct controller_result *result)
{
	bool starts = action->kind == CONTROLLER_ACTION_READ_STARTS;
	int32_t partitions[INDEX_PARTITIONS_MAX];
	struct log_ends ends[INDEX_PARTITIONS_MAX];
	const struct log_partitions asked = {action->topic, partitions, (size_t)action->partitions};
	int rc;

	for (int32_t p = 0; p < action->partitions; p++)
		partitions[p] = p;
	rc = log_ask_all_ends(office->connection, &asked, KAFKA_TIMEOUT_MS, ends, &result->error);
	for (int32_t p = 0; rc == 0 && p < action->partitions; p++)
		office->starts[p] = starts ? ends[p].start : ends[p].end;
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
	case CONTROLLER_ACTION_READ_ENDS:
		result->code = read_ends(office, action, result);
		break;
	case CONTROLLER_ACTION_ASK_SOURCES:
		result->code = rebuild_ends_ask(office->rebuild_ends, office->connection, action->index,
		                                &result->remaining, &result->error);
		break;
	case CONTROLLER_ACTION_ASK_LOSS:
		result->code = rebuild_ends_judge(office->rebuild_ends, office->connection, action, result);
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

/* Written once they are recorded: before that nothing has changed. */
static void say_change(struct office *office, const struct change *change)
{
	const char *const labels[] = {change_name(change->kind), change->reason};
	enum log_level level = change->kind == CHANGE_DIVERGENT ? LOG_LEVEL_ERROR
	                       : change->kind == CHANGE_OUT     ? LOG_LEVEL_WARN
	                                                        : LOG_LEVEL_INFO;

	series_add(metric_series(office->changes, labels), 1);
	logline(level, "replica", "change=%s reason=%s index=%016" PRIx64 " partition=%" PRId32 " node=%s",
	        labels[0], labels[1], change->index_id, change->partition, change->node);
}

static void say_done(struct office *office, const struct controller_action *action)
{
	office->trouble[0] = '\0';
	for (size_t i = 0; i < action->writes_len; i++)
		count_final(office, &action->writes[i]);
	for (size_t i = 0; i < action->changes_len; i++)
		say_change(office, &action->changes[i]);
}

static void say_failed(struct office *office, const struct controller_action *action,
                       const struct error *error)
{
	if (strcmp(office->trouble, error->text) == 0)
		return;
	(void)snprintf(office->trouble, sizeof office->trouble, "%s", error->text);
	logline(LOG_LEVEL_WARN, "action_failed", "task=%" PRId64 " error=\"%s\"", action->task, error->text);
}

int office_act(struct office *office, bool *more, struct error *error)
{
	struct controller_time now = {clock_wall_ms(), clock_monotonic_ms()};
	struct controller_action action;
	struct controller_result result;

	*more = false;
	if (now.monotonic_ms < office->act_ms || !controller_next(office->controller, now, &action))
		return 0;
	carry_out(office, &action, &result);
	if (result.code == 0) {
		say_done(office, &action);
	} else {
		say_failed(office, &action, &result.error);
		office->act_ms = clock_monotonic_ms() + RETRY_ACTION_MS;
	}
	if (result.code != 0 && action.kind == CONTROLLER_ACTION_WRITE) {
		*error = result.error;
		return result.code;
	}
	controller_result(office->controller, &result);
	*more = result.code == 0;
	return 0;
}
