/*
 * Names and administration. The handle is a consumer that never joins a
 * group: query_watermark_offsets then answers with the last stable offset, as
 * a read_committed reader sees it (seen with an open transaction).
 */
#include "shared/base/assert.h"
#include "shared/log/log_private.h"
#include "shared/runtime/clock.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define NAMES_MAX 16
#define METADATA_PAUSE_MS 50
#define CLUSTER_ID_SLICE_MS 500

struct log_connection {
	const struct config *config;
	rd_kafka_t *rk;
	pthread_mutex_t lock; /* of names */
	char *names[NAMES_MAX];
	size_t names_len;
};

int log_connection_open(const struct config *config, struct log_connection **connection, struct error *error)
{
	struct log_connection *opened = calloc(1, sizeof *opened);
	char group[TOPIC_NAME_BYTES];
	struct log_property fixed[] = {{"group.id", group}, {NULL, NULL}};
	struct log_handle_options options = {.type = RD_KAFKA_CONSUMER, .fixed = fixed};
	int rc;

	if (opened == NULL)
		return error_memory(error, sizeof *opened);
	opened->config = config;
	(void)pthread_mutex_init(&opened->lock, NULL);
	rc = log_name_print(config, "admin", group)
	             ? log_handle_open(config, &options, &opened->rk, error)
	             : error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL,
	                         "cluster: the name is too long");
	if (rc != 0) {
		free(opened);
		return rc;
	}
	*connection = opened;
	return 0;
}

void log_connection_close(struct log_connection *connection)
{
	(void)rd_kafka_consumer_close(connection->rk);
	rd_kafka_destroy(connection->rk);
	for (size_t i = 0; i < connection->names_len; i++)
		free(connection->names[i]);
	(void)pthread_mutex_destroy(&connection->lock);
	free(connection);
}

rd_kafka_t *log_connection_handle(struct log_connection *connection)
{
	return connection->rk;
}

const char *log_name(struct log_connection *connection, const char *suffix)
{
	char *name = malloc(TOPIC_NAME_BYTES);
	const char *kept = NULL;

	/* a few bytes, for a fixed set of names */
	ASSERT(name != NULL && log_name_print(connection->config, suffix, name));
	(void)pthread_mutex_lock(&connection->lock);
	for (size_t i = 0; i < connection->names_len && kept == NULL; i++)
		if (strcmp(connection->names[i], name) == 0)
			kept = connection->names[i];
	if (kept == NULL) {
		ASSERT(connection->names_len < NAMES_MAX);
		connection->names[connection->names_len++] = name;
		kept = name;
		name = NULL;
	}
	(void)pthread_mutex_unlock(&connection->lock);
	free(name);
	return kept;
}

int log_cluster_id(struct log_connection *connection, int timeout_ms, char id[64], struct error *error)
{
	char *found = NULL;

	/* in slices: whom Kafka refuses need not wait longer to be told */
	for (int left = timeout_ms;
	     left > 0 && found == NULL && (left == timeout_ms || log_refusal() == NULL);
	     left -= CLUSTER_ID_SLICE_MS)
		found = rd_kafka_clusterid(connection->rk,
		                           left < CLUSTER_ID_SLICE_MS ? left : CLUSTER_ID_SLICE_MS);
	if (found == NULL)
		return error_set(error, ERROR_TIMEOUT, ERROR_ACTION_RETRY, "Kafka does not answer; %s",
		                 log_refusal() != NULL ? log_refusal() : "check kafka.bootstrap.servers");
	(void)snprintf(id, 64, "%s", found);
	rd_kafka_mem_free(connection->rk, found);
	return 0;
}

/* The list's first error; a partition that is missing in the answer is unknown. */
static rd_kafka_resp_err_t list_error(const rd_kafka_topic_partition_list_t *list)
{
	for (int i = 0; i < list->cnt; i++) {
		if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
			return list->elems[i].err;
		if (list->elems[i].offset < 0)
			return RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
	}
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t query_list(rd_kafka_t *rk, const struct log_partitions *asked, int64_t which,
                                      int timeout_ms, rd_kafka_topic_partition_list_t **answer)
{
	rd_kafka_topic_partition_list_t *list = log_partition_list(asked, which);
	rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(rk, list, timeout_ms);

	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		err = list_error(list);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		*answer = list;
	else
		rd_kafka_topic_partition_list_destroy(list);
	return err;
}

/* `which` is RD_KAFKA_OFFSET_BEGINNING or RD_KAFKA_OFFSET_END: the protocol takes them in the place of a time, and 2.0.2
 * has no other call that asks for many. The end is the one of the handle's isolation level. */
static int list_offsets(struct log_connection *connection, const struct log_partitions *asked, int64_t which,
                        int timeout_ms, rd_kafka_topic_partition_list_t **answer, struct error *error)
{
	rd_kafka_resp_err_t err = query_list(connection->rk, asked, which, timeout_ms, answer);

	if (err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
	    err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
	    err == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION) {
		err = log_look_again(connection->rk, asked->topic, timeout_ms);
		if (err != RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
			err = query_list(connection->rk, asked, which, timeout_ms, answer);
	}
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return log_fail(error, err, "asking for the offsets of", asked->topic);
	log_reached();
	return 0;
}

int log_ask_all_ends(struct log_connection *connection, const struct log_partitions *asked, int timeout_ms,
                     struct log_ends *ends, struct error *error)
{
	rd_kafka_topic_partition_list_t *starts = NULL;
	rd_kafka_topic_partition_list_t *stops = NULL;
	int rc = list_offsets(connection, asked, RD_KAFKA_OFFSET_BEGINNING, timeout_ms, &starts, error);

	if (rc == 0)
		rc = list_offsets(connection, asked, RD_KAFKA_OFFSET_END, timeout_ms, &stops, error);
	for (int i = 0; rc == 0 && i < stops->cnt; i++)
		ends[i] = (struct log_ends){starts->elems[i].offset, stops->elems[i].offset};
	if (starts != NULL)
		rd_kafka_topic_partition_list_destroy(starts);
	if (stops != NULL)
		rd_kafka_topic_partition_list_destroy(stops);
	return rc;
}

/* As log_topic_partitions; every partition must have a leader, or it is ERROR_LOG, RETRY. */
static int describe_topic(struct log_connection *connection, const char *topic, int timeout_ms,
                          int32_t *partitions, struct error *error)
{
	rd_kafka_topic_t *handle = rd_kafka_topic_new(connection->rk, topic, NULL);
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t code;

	if (handle == NULL)
		return log_fail(error, rd_kafka_last_error(), "opening topic", topic);
	code = rd_kafka_metadata(connection->rk, 0, handle, &metadata, timeout_ms);
	rd_kafka_topic_destroy(handle);
	if (code != 0)
		return log_fail(error, code, "asking for topic", topic);
	log_reached();
	code = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
	if (code == 0) {
		*partitions = metadata->topics[0].partition_cnt;
		for (int32_t p = 0; p < *partitions && code == 0; p++)
			code = metadata->topics[0].partitions[p].err;
	}
	rd_kafka_metadata_destroy(metadata);
	return code == 0 ? 0 : log_fail(error, code, "asking for topic", topic);
}

int log_topic_partitions(struct log_connection *connection, const char *topic, int timeout_ms,
                         int32_t *partitions, struct error *error)
{
	int32_t found = 0;
	int rc = describe_topic(connection, topic, timeout_ms, &found, error);

	/* a partition without a leader is still one */
	if (rc != 0 && found == 0)
		return rc;
	*partitions = found;
	return 0;
}

/* Waits for the result of an admin request; NULL if there is none in time. */
static rd_kafka_event_t *wait_for(rd_kafka_queue_t *queue, int timeout_ms, const char *what,
                                  struct error *error)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + 1000);

	if (event == NULL) {
		(void)log_fail(error, RD_KAFKA_RESP_ERR__TIMED_OUT, "administering", what);
	} else if (rd_kafka_event_error(event) != 0) {
		(void)log_fail(error, rd_kafka_event_error(event), "administering", what);
		rd_kafka_event_destroy(event);
		event = NULL;
	}
	return event;
}

static rd_kafka_AdminOptions_t *options_new(rd_kafka_t *rk, rd_kafka_admin_op_t op, int timeout_ms)
{
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, op);
	char text[128];

	ASSERT(rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof text) == 0);
	return options;
}

/* One setting out of a DescribeConfigs answer. */
static int setting_of(const rd_kafka_event_t *event, const char *name, char value[128], struct error *error)
{
	size_t resources_len = 0;
	size_t entries_len = 0;
	const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
		rd_kafka_event_DescribeConfigs_result((rd_kafka_event_t *)(uintptr_t)event), &resources_len);
	const rd_kafka_ConfigEntry_t **entries;

	if (resources_len != 1)
		return error_set(error, ERROR_LOG, ERROR_ACTION_RETRY, "Kafka described nothing");
	if (rd_kafka_ConfigResource_error(resources[0]) != 0)
		return log_fail(error, rd_kafka_ConfigResource_error(resources[0]),
		                "asking for the settings of", rd_kafka_ConfigResource_name(resources[0]));
	entries = rd_kafka_ConfigResource_configs(resources[0], &entries_len);
	for (size_t i = 0; i < entries_len; i++) {
		const char *found = rd_kafka_ConfigEntry_value(entries[i]);

		if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0) {
			(void)snprintf(value, 128, "%s", found != NULL ? found : "");
			return 0;
		}
	}
	return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "%s has no setting %s",
	                 rd_kafka_ConfigResource_name(resources[0]), name);
}

static int describe(struct log_connection *connection, rd_kafka_ConfigResource_t *resource, const char *name,
                    int timeout_ms, char value[128], struct error *error)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(connection->rk);
	rd_kafka_AdminOptions_t *options =
		options_new(connection->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout_ms);
	rd_kafka_event_t *event;
	int rc;

	rd_kafka_DescribeConfigs(connection->rk, &resource, 1, options, queue);
	event = wait_for(queue, timeout_ms, rd_kafka_ConfigResource_name(resource), error);
	rc = event == NULL ? error->code : setting_of(event, name, value, error);
	if (event != NULL)
		rd_kafka_event_destroy(event);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return rc;
}

int log_topic_setting(struct log_connection *connection, const char *topic, const char *name, int timeout_ms,
                      char value[128], struct error *error)
{
	rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
	int rc = describe(connection, resource, name, timeout_ms, value, error);

	rd_kafka_ConfigResource_destroy(resource);
	return rc;
}

/* The replication that a new topic gets: ours, or the broker's default. */
static int replication(struct log_connection *connection, int timeout_ms, int *factor, struct error *error)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t code;
	char broker[16];
	char value[128];
	rd_kafka_ConfigResource_t *resource;
	int rc;

	*factor = (int)config_int(connection->config, "topics.replication_factor");
	if (*factor > 0)
		return 0;
	code = rd_kafka_metadata(connection->rk, 0, NULL, &metadata, timeout_ms);
	if (code != 0)
		return log_fail(error, code, "asking for", "brokers");
	(void)snprintf(broker, sizeof broker, "%d",
	               metadata->broker_cnt > 0 ? metadata->brokers[0].id : metadata->orig_broker_id);
	rd_kafka_metadata_destroy(metadata);
	resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_BROKER, broker);
	rc = describe(connection, resource, "default.replication.factor", timeout_ms, value, error);
	rd_kafka_ConfigResource_destroy(resource);
	if (rc == 0)
		*factor = (int)strtol(value, NULL, 10);
	return rc;
}

/* What no repetition mends is a refusal. */
static int creation_failed(rd_kafka_resp_err_t code, const char *name, struct error *error)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
		return error_set(error, ERROR_EXISTS, ERROR_ACTION_REJECT, "topic %s exists", name);
	case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
	case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
	case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
	case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		return error_set(error, ERROR_LOG, ERROR_ACTION_REJECT, "creating topic %s: %s%s%s", name,
		                 rd_kafka_err2str(code), log_remedy(code)[0] == 0 ? "" : "; ",
		                 log_remedy(code));
	default:
		return log_fail(error, code, "creating topic", name);
	}
}

static int send_creation(struct log_connection *connection, rd_kafka_NewTopic_t *topic, int timeout_ms,
                         const char *name, struct error *error)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(connection->rk);
	rd_kafka_AdminOptions_t *options =
		options_new(connection->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout_ms);
	const rd_kafka_topic_result_t **results;
	rd_kafka_event_t *event;
	size_t len = 0;
	int rc;

	rd_kafka_CreateTopics(connection->rk, &topic, 1, options, queue);
	event = wait_for(queue, timeout_ms, name, error);
	rc = event == NULL ? error->code : 0;
	if (event != NULL) {
		results =
			rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &len);
		if (len != 1)
			rc = error_set(error, ERROR_LOG, ERROR_ACTION_RETRY, "topic %s: no result", name);
		else if (rd_kafka_topic_result_error(results[0]) != 0)
			rc = creation_failed(rd_kafka_topic_result_error(results[0]), name, error);
		rd_kafka_event_destroy(event);
	}
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return rc;
}

static int create(struct log_connection *connection, const struct log_topic *topic, int timeout_ms,
                  struct error *error)
{
	rd_kafka_NewTopic_t *made;
	char text[256];
	int factor;
	int rc = replication(connection, timeout_ms, &factor, error);

	if (rc != 0)
		return rc;
	made = rd_kafka_NewTopic_new(topic->name, topic->partitions, factor, text, sizeof text);
	if (made == NULL)
		return error_set(error, ERROR_LOG, ERROR_ACTION_REJECT, "topic %s: %s", topic->name, text);
	for (size_t i = 0; topic->config[i] != NULL; i += 2)
		(void)rd_kafka_NewTopic_set_config(made, topic->config[i], topic->config[i + 1]);
	if (factor >= 3)
		(void)rd_kafka_NewTopic_set_config(made, "min.insync.replicas", "2");
	rc = send_creation(connection, made, timeout_ms, topic->name, error);
	rd_kafka_NewTopic_destroy(made);
	return rc == ERROR_EXISTS ? 0 : rc;
}

/* ERROR_CONFIGURATION that says what to create by hand. */
static int say_missing(const struct log_topic *topic, struct error *error)
{
	char settings[256] = "";
	size_t len = 0;

	for (size_t i = 0; topic->config[i] != NULL && len < sizeof settings; i += 2)
		len += (size_t)snprintf(settings + len, sizeof settings - len, " %s=%s", topic->config[i],
		                        topic->config[i + 1]);
	return error_set(
		error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL,
		"topic %s does not exist and topics.create is false: create it with %d partitions and%s",
		topic->name, topic->partitions, settings);
}

/* Whether the topic has `partitions` partitions with a leader each: 0, or why not. */
static int check_led(struct log_connection *connection, const struct log_topic *topic, int timeout_ms,
                     struct error *error)
{
	int32_t found = 0;
	int rc = describe_topic(connection, topic->name, timeout_ms, &found, error);

	if (rc == 0 && found != topic->partitions)
		rc = error_set(error, ERROR_EXISTS, ERROR_ACTION_REJECT,
		               "topic %s exists with %d partitions, %d are wanted", topic->name, found,
		               topic->partitions);
	return rc;
}

int log_topic_create(struct log_connection *connection, const struct log_topic *topic, int timeout_ms,
                     struct error *error)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;
	int32_t partitions;
	int rc = log_topic_partitions(connection, topic->name, timeout_ms, &partitions, error);

	if (rc == ERROR_NOT_FOUND && !config_bool(connection->config, "topics.create"))
		return say_missing(topic, error);
	if (rc == ERROR_NOT_FOUND)
		rc = create(connection, topic, timeout_ms, error);
	if (rc != 0)
		return rc;
	/* The broker that is asked learns of it a moment after the controller has made it. */
	while ((rc = check_led(connection, topic, timeout_ms, error)) != 0 &&
	       error->action == ERROR_ACTION_RETRY && clock_monotonic_ms() < deadline)
		(void)poll(NULL, 0, METADATA_PAUSE_MS);
	return rc;
}

static int wait_until_gone(struct log_connection *connection, const char *topic, int timeout_ms,
                           struct error *error)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;
	int32_t partitions;
	int rc;

	while ((rc = log_topic_partitions(connection, topic, timeout_ms, &partitions, error)) == 0) {
		if (clock_monotonic_ms() >= deadline)
			return error_set(error, ERROR_TIMEOUT, ERROR_ACTION_RETRY,
			                 "topic %s is still there after %d ms", topic, timeout_ms);
		(void)poll(NULL, 0, METADATA_PAUSE_MS);
	}
	return rc == ERROR_NOT_FOUND ? 0 : rc;
}

int log_topic_delete(struct log_connection *connection, const char *topic, int timeout_ms,
                     struct error *error)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(connection->rk);
	rd_kafka_AdminOptions_t *options =
		options_new(connection->rk, RD_KAFKA_ADMIN_OP_DELETETOPICS, timeout_ms);
	rd_kafka_DeleteTopic_t *deletion = rd_kafka_DeleteTopic_new(topic);
	const rd_kafka_topic_result_t **results;
	rd_kafka_event_t *event;
	size_t len = 0;
	int rc;

	rd_kafka_DeleteTopics(connection->rk, &deletion, 1, options, queue);
	event = wait_for(queue, timeout_ms, topic, error);
	rc = event == NULL ? error->code : 0;
	if (event != NULL) {
		results =
			rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &len);
		if (len != 1)
			rc = error_set(error, ERROR_LOG, ERROR_ACTION_RETRY, "topic %s: no result", topic);
		else if (rd_kafka_topic_result_error(results[0]) != 0)
			rc = log_fail(error, rd_kafka_topic_result_error(results[0]), "deleting topic",
			              topic);
		rd_kafka_event_destroy(event);
	}
	rd_kafka_DeleteTopic_destroy(deletion);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return rc == 0 || rc == ERROR_NOT_FOUND ? wait_until_gone(connection, topic, timeout_ms, error) : rc;
}

bool log_own_topic(size_t i, struct log_topic *topic)
{
	static const char *const compacted[] = {"cleanup.policy", "compact", NULL};
	/* no limit: a request or final that left its topic could be applied again or be asked for in vain */
	static const char *const kept[] = {"cleanup.policy", "delete", "retention.ms", "-1", NULL};
	/* kept for so long after the refusal, however old the record is */
	static const char *const letters[] = {"cleanup.policy",
	                                      "delete",
	                                      "retention.ms",
	                                      "604800000",
	                                      "max.message.bytes",
	                                      "10485760",
	                                      "message.timestamp.type",
	                                      "LogAppendTime",
	                                      NULL};
	static const char *const empty[] = {"cleanup.policy", "delete", NULL};
	static const struct log_topic topics[] = {
		{"meta", 1, compacted},   {"topology", 1, compacted},  {"tasks", 1, kept},
		{"task-states", 1, kept}, {"dead-letter", 1, letters}, {"slots", LOG_SLOTS, empty},
	};

	if (i == sizeof topics / sizeof *topics)
		return false;
	*topic = topics[i];
	return true;
}

int log_create_own_topics(struct log_connection *connection, int timeout_ms, struct error *error)
{
	struct log_topic topic;
	int rc = 0;

	for (size_t i = 0; rc == 0 && log_own_topic(i, &topic); i++) {
		topic.name = log_name(connection, topic.name);
		rc = log_topic_create(connection, &topic, timeout_ms, error);
	}
	return rc;
}
