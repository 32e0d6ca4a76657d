#include "shared/log/log_private.h"

#include "shared/base/assert.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

struct log_owner {
	rd_kafka_t *rk;
	char topic[TOPIC_NAME_BYTES];
	uint64_t slots;
	uint64_t told;
	int fd;
};

static const struct log_property owner_defaults[] = {
	{"session.timeout.ms", "6000"},
	{"heartbeat.interval.ms", "500"},
	{NULL, NULL},
};

/* Takes the partitions, without reading them: they never hold a record. They have to be taken, because a member of
 * 2.0.2 with an empty assignment never rejoins and so stops every rebalance of the group (seen). */
static rd_kafka_resp_err_t take(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *partitions)
{
	rd_kafka_resp_err_t err;

	for (int i = 0; i < partitions->cnt; i++)
		partitions->elems[i].offset = RD_KAFKA_OFFSET_END;
	err = rd_kafka_assign(rk, partitions);
	return err != RD_KAFKA_RESP_ERR_NO_ERROR ? err : rd_kafka_pause_partitions(rk, partitions);
}

/* Served by rd_kafka_consumer_poll, on the owner's thread. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *partitions,
                         void *opaque)
{
	struct log_owner *owner = opaque;

	if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
		owner->slots = 0;
		for (int i = 0; i < partitions->cnt; i++) {
			int32_t slot = partitions->elems[i].partition;

			if (slot >= 0 && slot < LOG_SLOTS)
				owner->slots |= UINT64_C(1) << slot;
		}
		err = take(rk, partitions);
	} else {
		if (rd_kafka_assignment_lost(rk))
			owner->slots = 0;
		err = rd_kafka_assign(rk, NULL);
	}
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		logline(LOG_LEVEL_WARN, "slots", "topic=%s reason=\"%s\"", owner->topic,
		        rd_kafka_err2str(err));
}

static int ask_topic(void *context, struct error *error)
{
	struct log_owner *owner = context;
	struct log_ends ends;

	return log_watermarks(owner->rk, owner->topic, LOG_SLOTS - 1, LOG_ATTEMPT_MS, &ends, error);
}

static int owner_start(struct log_owner *owner, const struct config *config,
                       const struct log_owner_options *wanted, struct error *error)
{
	char group[TOPIC_NAME_BYTES];
	/* cooperative assignors hang or lose assignments in 2.0.2 (fixed from 2.3 to 2.10) */
	const struct log_property fixed[] = {
		{"group.id", group},
		{"partition.assignment.strategy", "range"},
		{wanted->client_id != NULL ? "client.id" : NULL, wanted->client_id},
		{NULL, NULL}};
	const struct log_handle_options options = {.type = RD_KAFKA_CONSUMER,
	                                           .defaults = owner_defaults,
	                                           .fixed = fixed,
	                                           .opaque = owner,
	                                           .rebalance = on_rebalance};
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_queue_t *queue;
	rd_kafka_resp_err_t err;
	int status;

	if (!log_name_print(config, wanted->group, group) ||
	    !log_name_print(config, wanted->topic, owner->topic))
		return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL, "`cluster` is too long");
	status = log_handle_open(config, &options, &owner->rk, error);
	if (status != 0)
		return status;
	owner->fd = log_event_open(error);
	if (owner->fd < 0)
		return owner->fd;
	(void)rd_kafka_poll_set_consumer(owner->rk);
	queue = rd_kafka_queue_get_consumer(owner->rk);
	log_event_watch(queue, owner->fd);
	rd_kafka_queue_destroy(queue);
	status = log_wait(ask_topic, owner, "the slots topic", error);
	if (status != 0)
		return status;
	list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, owner->topic, RD_KAFKA_PARTITION_UA);
	err = rd_kafka_subscribe(owner->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	return err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : log_fail(error, err, "subscribing to", owner->topic);
}

int log_owner_open(const struct config *config, const struct log_owner_options *options,
                   struct log_owner **owner, struct error *error)
{
	struct log_owner *opened = calloc(1, sizeof *opened);
	int status;

	if (opened == NULL)
		return error_memory(error, sizeof *opened);
	opened->fd = -1;
	status = owner_start(opened, config, options, error);
	if (status != 0) {
		log_owner_close(opened);
		return status;
	}
	*owner = opened;
	return 0;
}

void log_owner_close(struct log_owner *owner)
{
	if (owner == NULL)
		return;
	if (owner->rk != NULL) {
		(void)rd_kafka_consumer_close(owner->rk);
		rd_kafka_destroy(owner->rk);
	}
	if (owner->fd >= 0)
		(void)close(owner->fd);
	free(owner);
}

bool log_owner_poll(struct log_owner *owner, uint64_t *slots)
{
	rd_kafka_message_t *message;

	log_event_clear(owner->fd);
	while ((message = rd_kafka_consumer_poll(owner->rk, 0)) != NULL) {
		if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
			logline(LOG_LEVEL_WARN, "slots", "topic=%s reason=\"%s\"", owner->topic,
			        rd_kafka_message_errstr(message));
		rd_kafka_message_destroy(message);
	}
	if (owner->slots == owner->told)
		return false;
	owner->told = owner->slots;
	*slots = owner->slots;
	return true;
}

int log_owner_fd(const struct log_owner *owner)
{
	return owner->fd;
}
