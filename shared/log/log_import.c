#include "shared/log/log_import.h"

#include "shared/base/assert.h"
#include "shared/log/log_private.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define REFRESH_TEXT_BYTES 12

struct log_import {
	rd_kafka_t *rk;
	char name[TOPIC_NAME_BYTES]; /* topic or pattern */
	char own[TOPIC_NAME_BYTES];  /* "<cluster>.", which a pattern does not match; "" for a topic */
	struct log_place *places;
	size_t len;
	bool changed;
	char trouble[256];
};

static const struct log_property import_defaults[] = {
	{"session.timeout.ms", "6000"},
	{"heartbeat.interval.ms", "500"},
	{NULL, NULL},
};

/* ---- what is ours ---- */

static bool is_read(const struct log_import *import, const char *topic)
{
	if (import->own[0] == 0)
		return true;
	return strncmp(topic, import->own, strlen(import->own)) != 0 && strncmp(topic, "__", 2) != 0;
}

static void note_places(struct log_import *import, const rd_kafka_topic_partition_list_t *partitions)
{
	import->len = 0;
	import->changed = true;
	import->trouble[0] = 0;
	for (int i = 0; i < partitions->cnt; i++) {
		const rd_kafka_topic_partition_t *found = &partitions->elems[i];
		struct log_place *place = &import->places[import->len];

		if (!is_read(import, found->topic))
			continue;
		if (import->len == LOG_IMPORT_PARTITIONS_MAX) {
			(void)snprintf(import->trouble, sizeof import->trouble,
			               "more than %d partitions for one member: start more of them",
			               LOG_IMPORT_PARTITIONS_MAX);
			return;
		}
		(void)snprintf(place->topic, sizeof place->topic, "%s", found->topic);
		place->partition = found->partition;
		import->len++;
	}
}

/* Takes the partitions without reading them: a member of 2.0.2 that has taken nothing of what it was given never
 * rejoins, and so stops every rebalance of the group. */
static rd_kafka_resp_err_t take(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *partitions)
{
	rd_kafka_resp_err_t err;

	for (int i = 0; i < partitions->cnt; i++)
		partitions->elems[i].offset = RD_KAFKA_OFFSET_END;
	err = rd_kafka_assign(rk, partitions);
	return err != RD_KAFKA_RESP_ERR_NO_ERROR || partitions->cnt == 0
	               ? err
	               : rd_kafka_pause_partitions(rk, partitions);
}

/* Served by rd_kafka_consumer_poll, on the owner's thread. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *partitions,
                         void *opaque)
{
	struct log_import *import = opaque;

	if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
		note_places(import, partitions);
		err = take(rk, partitions);
	} else {
		if (rd_kafka_assignment_lost(rk)) {
			import->changed |= import->len > 0;
			import->len = 0;
		}
		err = rd_kafka_assign(rk, NULL);
	}
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		logline(LOG_LEVEL_WARN, "import_group", "source=\"%s\" reason=\"%s\"", import->name,
		        rd_kafka_err2str(err));
}

static void on_committed(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *offsets,
                         void *opaque)
{
	struct log_import *import = opaque;

	(void)rk;
	(void)offsets;
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR && err != RD_KAFKA_RESP_ERR__NO_OFFSET)
		logline(LOG_LEVEL_INFO, "import_commit_failed", "source=\"%s\" reason=\"%s\"", import->name,
		        rd_kafka_err2str(err));
}

/* ---- life ---- */

static int subscribe(struct log_import *import, struct error *error)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t err;

	rd_kafka_topic_partition_list_add(list, import->name, RD_KAFKA_PARTITION_UA);
	err = rd_kafka_subscribe(import->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	return err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : log_fail(error, err, "subscribing to", import->name);
}

static int start(struct log_import *import, const struct config *config,
                 const struct log_import_options *wanted, struct error *error)
{
	char group[TOPIC_NAME_BYTES];
	char refresh[REFRESH_TEXT_BYTES];
	const struct log_property fixed[] = {
		{"group.id", group},
		{"partition.assignment.strategy", "range"},
		{"topic.metadata.refresh.interval.ms", refresh},
		{wanted->client_id != NULL ? "client.id" : NULL, wanted->client_id},
		{NULL, NULL}};
	const struct log_handle_options options = {.type = RD_KAFKA_CONSUMER,
	                                           .defaults = import_defaults,
	                                           .fixed = fixed,
	                                           .opaque = import,
	                                           .rebalance = on_rebalance,
	                                           .committed = on_committed};
	rd_kafka_queue_t *queue;
	int rc;

	(void)snprintf(refresh, sizeof refresh, "%d", LOG_IMPORT_REFRESH_MS);
	(void)snprintf(import->name, sizeof import->name, "%s",
	               wanted->topic != NULL ? wanted->topic : wanted->pattern);
	if (!log_name_print(config, wanted->group, group) ||
	    (wanted->topic == NULL && !log_name_print(config, "", import->own)))
		return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL,
		                 "`cluster` and the source's name are too long for a group's name");
	rc = log_handle_open(config, &options, &import->rk, error);
	if (rc != 0)
		return rc;
	(void)rd_kafka_poll_set_consumer(import->rk);
	queue = rd_kafka_queue_get_consumer(import->rk);
	log_event_watch(queue, wanted->fd);
	rd_kafka_queue_destroy(queue);
	return subscribe(import, error);
}

int log_import_open(const struct config *config, const struct log_import_options *options,
                    struct log_import **import, struct error *error)
{
	struct log_import *opened = calloc(1, sizeof *opened);
	int rc;

	if (opened == NULL)
		return error_memory(error, sizeof *opened);
	opened->places = calloc(LOG_IMPORT_PARTITIONS_MAX, sizeof *opened->places);
	rc = opened->places == NULL ? error_memory(error, LOG_IMPORT_PARTITIONS_MAX * sizeof *opened->places)
	                            : start(opened, config, options, error);
	if (rc != 0) {
		log_import_close(opened);
		return rc;
	}
	*import = opened;
	return 0;
}

void log_import_close(struct log_import *import)
{
	if (import == NULL)
		return;
	if (import->rk != NULL) {
		(void)rd_kafka_consumer_close(import->rk);
		rd_kafka_destroy(import->rk);
	}
	free(import->places);
	free(import);
}

static void note_trouble(struct log_import *import, const rd_kafka_message_t *message)
{
	char said[sizeof import->trouble];

	/* ends, of partitions that are not read here */
	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
		return;
	(void)snprintf(said, sizeof said, "%s%s%s", rd_kafka_message_errstr(message),
	               log_remedy(message->err)[0] == 0 ? "" : "; ", log_remedy(message->err));
	if (strcmp(said, import->trouble) == 0)
		return;
	(void)snprintf(import->trouble, sizeof import->trouble, "%s", said);
	logline(LOG_LEVEL_WARN, "import_group", "source=\"%s\" reason=\"%s\"", import->name, said);
}

bool log_import_poll(struct log_import *import)
{
	rd_kafka_message_t *message;
	bool changed;

	while ((message = rd_kafka_consumer_poll(import->rk, 0)) != NULL) {
		note_trouble(import, message);
		rd_kafka_message_destroy(message);
	}
	changed = import->changed;
	import->changed = false;
	return changed;
}

size_t log_import_places(const struct log_import *import, const struct log_place **places)
{
	*places = import->places;
	return import->len;
}

const char *log_import_trouble(const struct log_import *import)
{
	return import->trouble;
}

/* ---- commits ---- */

static rd_kafka_topic_partition_list_t *list_of(const struct log_place *places, size_t len)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)len);

	for (size_t i = 0; i < len; i++)
		rd_kafka_topic_partition_list_add(list, places[i].topic, places[i].partition)->offset =
			RD_KAFKA_OFFSET_INVALID;
	return list;
}

int log_import_committed(struct log_import *import, const struct log_place *places, size_t len,
                         int timeout_ms, struct log_commit *commits, struct error *error)
{
	rd_kafka_topic_partition_list_t *list = list_of(places, len);
	rd_kafka_resp_err_t err = rd_kafka_committed(import->rk, list, timeout_ms);

	for (int i = 0; err == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
		err = list->elems[i].err;
	for (int i = 0; err == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) {
		const rd_kafka_topic_partition_t *found = &list->elems[i];

		commits[i].offset = found->offset >= 0 ? found->offset : -1;
		(void)snprintf(commits[i].note, sizeof commits[i].note, "%.*s",
		               found->metadata == NULL ? 0 : (int)found->metadata_size,
		               found->metadata == NULL ? "" : (const char *)found->metadata);
	}
	rd_kafka_topic_partition_list_destroy(list);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return log_fail(error, err, "asking for the committed offsets of", import->name);
	log_reached();
	return 0;
}

int log_import_commit(struct log_import *import, const struct log_place *places,
                      const struct log_commit *commits, size_t len, struct error *error)
{
	rd_kafka_topic_partition_list_t *list = list_of(places, len);
	rd_kafka_resp_err_t err;

	for (size_t i = 0; i < len; i++) {
		rd_kafka_topic_partition_t *at = &list->elems[i];

		at->offset = commits[i].offset;
		/* the list frees it with free() */
		at->metadata = strdup(commits[i].note);
		at->metadata_size = at->metadata == NULL ? 0 : strlen(commits[i].note);
	}
	err = rd_kafka_commit(import->rk, list, 1);
	rd_kafka_topic_partition_list_destroy(list);
	return err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : log_fail(error, err, "committing", import->name);
}

int log_import_at(struct log_connection *connection, const struct log_partitions *asked, int64_t time_ms,
                  int timeout_ms, int64_t *offsets, struct error *error)
{
	rd_kafka_topic_partition_list_t *list = log_partition_list(asked, time_ms);
	rd_kafka_resp_err_t err =
		rd_kafka_offsets_for_times(log_connection_handle(connection), list, timeout_ms);

	for (int i = 0; err == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
		err = list->elems[i].err;
	for (int i = 0; err == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
		offsets[i] = list->elems[i].offset >= 0 ? list->elems[i].offset : -1;
	rd_kafka_topic_partition_list_destroy(list);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return log_fail(error, err, "asking for the offsets of", asked->topic);
	log_reached();
	return 0;
}
