/* Consumer groups as others see them: who is in one, and what it has committed. */
#include "shared/base/assert.h"
#include "shared/log/log_private.h"

#include <stdio.h>
#include <string.h>

static void copy_member(const struct rd_kafka_group_member_info *from, struct log_member *member)
{
	const char *host = from->client_host == NULL ? "" : from->client_host;

	(void)snprintf(member->client_id, sizeof member->client_id, "%s",
	               from->client_id == NULL ? "" : from->client_id);
	/* Java writes addresses as "/127.0.0.1" */
	(void)snprintf(member->host, sizeof member->host, "%s", host[0] == '/' ? host + 1 : host);
}

int log_group_members(struct log_connection *connection, const char *suffix, int timeout_ms,
                      struct log_members *members, struct error *error)
{
	rd_kafka_t *rk = log_connection_handle(connection);
	const char *group = log_name(connection, suffix);
	const struct rd_kafka_group_list *list = NULL;
	rd_kafka_resp_err_t err = rd_kafka_list_groups(rk, group, &list, timeout_ms);

	if (err == RD_KAFKA_RESP_ERR_NO_ERROR && list->group_cnt > 0)
		err = list->groups[0].err;
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		log_reached();
		members->len = 0;
		for (int i = 0; list->group_cnt > 0 && i < list->groups[0].member_cnt; i++)
			if (members->len < LOG_MEMBERS_MAX)
				copy_member(&list->groups[0].members[i], &members->list[members->len++]);
	}
	if (list != NULL)
		rd_kafka_group_list_destroy(list);
	return err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : log_fail(error, err, "asking for the group", group);
}

/* The offsets of an answer; those of partitions that are not in it stay -1. */
static int take_offsets(const rd_kafka_event_t *event, const struct log_partitions *asked, int64_t *offsets,
                        struct error *error)
{
	size_t len = 0;
	const rd_kafka_group_result_t **results = rd_kafka_ListConsumerGroupOffsets_result_groups(
		rd_kafka_event_ListConsumerGroupOffsets_result((rd_kafka_event_t *)(uintptr_t)event), &len);
	const rd_kafka_topic_partition_list_t *list;

	if (len != 1)
		return error_set(error, ERROR_LOG, ERROR_ACTION_RETRY, "Kafka described no group");
	if (rd_kafka_group_result_error(results[0]) != NULL)
		return log_fail(error, rd_kafka_error_code(rd_kafka_group_result_error(results[0])),
		                "asking for the offsets of", rd_kafka_group_result_name(results[0]));
	list = rd_kafka_group_result_partitions(results[0]);
	for (size_t i = 0; i < asked->len; i++) {
		const rd_kafka_topic_partition_t *found =
			rd_kafka_topic_partition_list_find((rd_kafka_topic_partition_list_t *)(uintptr_t)list,
		                                           asked->topic, asked->partitions[i]);

		offsets[i] = found != NULL && found->err == RD_KAFKA_RESP_ERR_NO_ERROR && found->offset >= 0
		                     ? found->offset
		                     : -1;
	}
	return 0;
}

int log_group_offsets(struct log_connection *connection, const char *suffix,
                      const struct log_partitions *asked, int timeout_ms, int64_t *offsets,
                      struct error *error)
{
	rd_kafka_t *rk = log_connection_handle(connection);
	const char *group = log_name(connection, suffix);
	rd_kafka_topic_partition_list_t *list = log_partition_list(asked, RD_KAFKA_OFFSET_INVALID);
	rd_kafka_ListConsumerGroupOffsets_t *request = rd_kafka_ListConsumerGroupOffsets_new(group, list);
	rd_kafka_AdminOptions_t *options =
		rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_event_t *event;
	char text[128];
	int rc;

	ASSERT(rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof text) == 0);
	rd_kafka_ListConsumerGroupOffsets(rk, &request, 1, options, queue);
	event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
	if (event == NULL)
		rc = log_fail(error, RD_KAFKA_RESP_ERR__TIMED_OUT, "asking for the offsets of", group);
	else if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
		rc = log_fail(error, rd_kafka_event_error(event), "asking for the offsets of", group);
	else
		rc = take_offsets(event, asked, offsets, error);
	if (event != NULL)
		rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_ListConsumerGroupOffsets_destroy(request);
	rd_kafka_topic_partition_list_destroy(list);
	return rc;
}
