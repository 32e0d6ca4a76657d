/* Topics by a pattern of their names. */
#include "shared/log/log_private.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_foreign(const char *name, const char *own)
{
	return strncmp(name, own, strlen(own)) != 0 && strncmp(name, "__", 2) != 0;
}

static int collect(const struct rd_kafka_metadata *metadata, const regex_t *pattern, const char *own,
                   struct log_topic_size **topics, size_t *len, struct error *error)
{
	struct log_topic_size *list = calloc((size_t)metadata->topic_cnt + 1, sizeof *list);
	size_t count = 0;

	if (list == NULL)
		return error_memory(error, (size_t)metadata->topic_cnt * sizeof *list);
	for (int i = 0; i < metadata->topic_cnt; i++) {
		const struct rd_kafka_metadata_topic *topic = &metadata->topics[i];

		if (!is_foreign(topic->topic, own) || regexec(pattern, topic->topic, 0, NULL, 0) != 0)
			continue;
		(void)snprintf(list[count].name, sizeof list[count].name, "%s", topic->topic);
		list[count++].partitions = topic->partition_cnt;
	}
	*topics = list;
	*len = count;
	return 0;
}

int log_topics_matching(struct log_connection *connection, const char *pattern, int timeout_ms,
                        struct log_topic_size **topics, size_t *len, struct error *error)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t err;
	regex_t compiled;
	int rc;

	if (regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "`%.200s` is no extended regular expression", pattern);
	err = rd_kafka_metadata(log_connection_handle(connection), 1, NULL, &metadata, timeout_ms);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
		rc = log_fail(error, err, "asking for", "topics");
	} else {
		rc = collect(metadata, &compiled, log_name(connection, ""), topics, len, error);
		rd_kafka_metadata_destroy(metadata);
	}
	regfree(&compiled);
	return rc;
}
