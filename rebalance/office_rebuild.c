#include "rebalance/office_rebuild.h"

#include "rebalance/core/controller.h"
#include "shared/meta/source.h"

#include <stdlib.h>
#include <string.h>

#define ASK_MS 2000

/* A topic of a source, and where its partitions ended; one without anything to import has none. */
struct ended_topic {
	char source[TOPIC_BYTES_MAX + 1];
	char topic[TOPIC_NAME_BYTES];
	int32_t partitions;
	struct log_ends *ends; /* [partitions] */
};

struct ended_index {
	uint64_t index_id; /* 0: unused */
	size_t places;
	size_t len;
	struct ended_topic *topics;
};

struct rebuild_ends {
	struct ended_index indexes[REBUILDS_MAX];
	size_t next; /* the one to be replaced */
};

struct rebuild_ends *rebuild_ends_new(void)
{
	return calloc(1, sizeof(struct rebuild_ends));
}

static void forget(struct ended_index *index)
{
	for (size_t i = 0; i < index->len; i++)
		free(index->topics[i].ends);
	free(index->topics);
	*index = (struct ended_index){0};
}

void rebuild_ends_free(struct rebuild_ends *ends)
{
	if (ends == NULL)
		return;
	for (size_t i = 0; i < REBUILDS_MAX; i++)
		forget(&ends->indexes[i]);
	free(ends);
}

static int ask_ends(struct log_connection *connection, struct ended_topic *topic, struct error *error)
{
	int32_t numbers[INDEX_PARTITIONS_MAX];
	int rc = 0;

	topic->ends = calloc((size_t)topic->partitions + 1, sizeof *topic->ends);
	if (topic->ends == NULL)
		return error_memory(error, (size_t)topic->partitions * sizeof *topic->ends);
	for (int32_t from = 0; rc == 0 && from < topic->partitions; from += INDEX_PARTITIONS_MAX) {
		int32_t left = topic->partitions - from;
		struct log_partitions asked = {
			topic->topic, numbers,
			(size_t)(left < INDEX_PARTITIONS_MAX ? left : INDEX_PARTITIONS_MAX)};

		for (size_t i = 0; i < asked.len; i++)
			numbers[i] = from + (int32_t)i;
		rc = log_ask_all_ends(connection, &asked, ASK_MS, topic->ends + from, error);
	}
	return rc;
}

/* Adds one topic of a source. */
static int note_topic(struct ended_index *index, struct log_connection *connection, const char *source,
                      const struct log_topic_size *size, struct error *error)
{
	struct ended_topic *grown = realloc(index->topics, (index->len + 1) * sizeof *grown);
	struct ended_topic *topic;

	if (grown == NULL)
		return error_memory(error, (index->len + 1) * sizeof *grown);
	index->topics = grown;
	index->places += (size_t)size->partitions;
	if (index->places > REBUILD_PLACES_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "sources with more than %d partitions cannot be watched",
		                 REBUILD_PLACES_MAX);
	topic = &index->topics[index->len++];
	*topic = (struct ended_topic){.partitions = size->partitions};
	memcpy(topic->source, source, strlen(source) + 1);
	memcpy(topic->topic, size->name, sizeof topic->topic);
	return ask_ends(connection, topic, error);
}

static int note_source(struct ended_index *index, struct log_connection *connection,
                       const struct source_record *source, struct error *error)
{
	struct log_topic_size one = {.partitions = 0};
	struct log_topic_size *topics = NULL;
	size_t len = 0;
	int rc;

	if (source->topic[0] != '\0') {
		memcpy(one.name, source->topic, sizeof one.name);
		rc = log_topic_partitions(connection, one.name, ASK_MS, &one.partitions, error);
		if (rc == ERROR_NOT_FOUND)
			return 0; /* nothing is there yet */
		return rc != 0 ? rc : note_topic(index, connection, source->name, &one, error);
	}
	rc = log_topics_matching(connection, source->pattern, ASK_MS, &topics, &len, error);
	for (size_t i = 0; rc == 0 && i < len; i++)
		rc = note_topic(index, connection, source->name, &topics[i], error);
	free(topics);
	return rc;
}

/* The noted ends of this index, noted now if they were not. */
static int find(struct rebuild_ends *ends, struct log_connection *connection,
                const struct index_record *index, const struct ended_index **found, struct error *error)
{
	struct ended_index fresh = {.index_id = index->id};
	int rc = 0;

	for (size_t i = 0; i < REBUILDS_MAX; i++)
		if (ends->indexes[i].index_id == index->id) {
			*found = &ends->indexes[i];
			return 0;
		}
	for (size_t i = 0; rc == 0 && i < index->sources_len; i++)
		rc = note_source(&fresh, connection, &index->sources[i], error);
	if (rc != 0) {
		forget(&fresh);
		return rc;
	}
	forget(&ends->indexes[ends->next]);
	ends->indexes[ends->next] = fresh;
	*found = &ends->indexes[ends->next];
	ends->next = (ends->next + 1) % REBUILDS_MAX;
	return 0;
}

/* Adds what the group has not committed of this topic. */
static int compare(struct log_connection *connection, const char *group, const struct ended_topic *topic,
                   int64_t *remaining, struct error *error)
{
	int32_t numbers[INDEX_PARTITIONS_MAX];
	int64_t committed[INDEX_PARTITIONS_MAX];
	int rc = 0;

	for (int32_t from = 0; rc == 0 && from < topic->partitions; from += INDEX_PARTITIONS_MAX) {
		int32_t left = topic->partitions - from;
		struct log_partitions asked = {
			topic->topic, numbers,
			(size_t)(left < INDEX_PARTITIONS_MAX ? left : INDEX_PARTITIONS_MAX)};

		for (size_t i = 0; i < asked.len; i++)
			numbers[i] = from + (int32_t)i;
		rc = log_group_offsets(connection, group, &asked, ASK_MS, committed, error);
		for (size_t i = 0; rc == 0 && i < asked.len; i++) {
			const struct log_ends *ends = &topic->ends[from + (int32_t)i];
			int64_t done = committed[i] > ends->start ? committed[i] : ends->start;

			*remaining += done < ends->end ? ends->end - done : 0;
		}
	}
	return rc;
}

int rebuild_ends_ask(struct rebuild_ends *ends, struct log_connection *connection,
                     const struct index_record *index, int64_t *remaining, struct error *error)
{
	const struct ended_index *ended;
	int64_t sum = 0;
	int rc = find(ends, connection, index, &ended, error);

	for (size_t i = 0; rc == 0 && i < ended->len; i++) {
		const struct source_record *source =
			source_find(index->sources, index->sources_len, ended->topics[i].source);
		char group[SOURCE_GROUP_BYTES];

		if (source == NULL)
			continue;
		source_group_print(index->id, source, group);
		rc = compare(connection, group, &ended->topics[i], &sum, error);
	}
	if (rc == 0)
		*remaining = sum;
	return rc;
}
