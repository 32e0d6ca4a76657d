/* Brokers, and how many copies a topic has of each partition. */
#include "shared/log/log_private.h"

static int ask_metadata(rd_kafka_t *rk, rd_kafka_topic_t *topic, int timeout_ms, const char *name,
                        const struct rd_kafka_metadata **metadata, struct error *error)
{
	rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, topic, metadata, timeout_ms);

	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return log_fail(error, err, "asking for", name);
	log_reached();
	return 0;
}

int log_brokers(struct log_connection *connection, int timeout_ms, int32_t *brokers, struct error *error)
{
	const struct rd_kafka_metadata *metadata;
	int rc = ask_metadata(log_connection_handle(connection), NULL, timeout_ms, "brokers", &metadata,
	                      error);

	if (rc != 0)
		return rc;
	*brokers = metadata->broker_cnt;
	rd_kafka_metadata_destroy(metadata);
	return 0;
}

static void measure(const struct rd_kafka_metadata_topic *topic, struct log_shape *shape)
{
	*shape = (struct log_shape){.partitions = topic->partition_cnt};
	for (int i = 0; i < topic->partition_cnt; i++) {
		const struct rd_kafka_metadata_partition *partition = &topic->partitions[i];

		if (i == 0 || partition->replica_cnt < shape->replicas_min)
			shape->replicas_min = partition->replica_cnt;
		if (i == 0 || partition->isr_cnt < shape->in_sync_min)
			shape->in_sync_min = partition->isr_cnt;
		shape->leaderless += partition->leader < 0;
	}
}

int log_topic_shape(struct log_connection *connection, const char *topic, int timeout_ms,
                    struct log_shape *shape, struct error *error)
{
	rd_kafka_t *rk = log_connection_handle(connection);
	rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t err;
	int rc;

	if (handle == NULL)
		return log_fail(error, rd_kafka_last_error(), "opening topic", topic);
	rc = ask_metadata(rk, handle, timeout_ms, topic, &metadata, error);
	rd_kafka_topic_destroy(handle);
	if (rc != 0)
		return rc;
	err = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		measure(&metadata->topics[0], shape);
	rd_kafka_metadata_destroy(metadata);
	return err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : log_fail(error, err, "asking for topic", topic);
}
