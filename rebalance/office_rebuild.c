#include "rebalance/office_rebuild.h"

#include "rebalance/old_log.h"
#include "shared/meta/source.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS 2000

/* A topic of a source, and where its partitions ended; one without anything to import has none. */
struct ended_topic {
	char source[TOPIC_BYTES_MAX + 1]; /* "": none reads it */
	char topic[TOPIC_NAME_BYTES];
	int32_t partitions;
	struct log_ends *ends; /* [partitions] */
};

struct ended_index {
	uint64_t index_id; /* 0: unused */
	size_t places;
	size_t len;
	struct ended_topic *topics;
	struct old_log *log; /* NULL until it is looked through */
	struct rebuild_loss loss;
};

struct rebuild_ends {
	const struct config *config;
	struct ended_index indexes[REBUILDS_MAX];
	size_t next; /* the one to be replaced */
};

struct rebuild_ends *rebuild_ends_new(const struct config *config)
{
	struct rebuild_ends *ends = calloc(1, sizeof *ends);

	if (ends != NULL)
		ends->config = config;
	return ends;
}

static void forget(struct ended_index *index)
{
	for (size_t i = 0; i < index->len; i++)
		free(index->topics[i].ends);
	free(index->topics);
	old_log_free(index->log);
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

/* The partitions from `from` on that are asked about at once. */
static struct log_partitions bunch(const struct ended_topic *topic, int32_t from,
                                   int32_t numbers[INDEX_PARTITIONS_MAX])
{
	int32_t left = topic->partitions - from;
	struct log_partitions asked = {topic->topic, numbers,
	                               (size_t)(left < INDEX_PARTITIONS_MAX ? left : INDEX_PARTITIONS_MAX)};

	for (size_t i = 0; i < asked.len; i++)
		numbers[i] = from + (int32_t)i;
	return asked;
}

static int ask_ends(struct log_connection *connection, struct ended_topic *topic, struct error *error)
{
	int32_t numbers[INDEX_PARTITIONS_MAX];
	int rc = 0;

	topic->ends = calloc((size_t)topic->partitions + 1, sizeof *topic->ends);
	if (topic->ends == NULL)
		return error_memory(error, (size_t)topic->partitions * sizeof *topic->ends);
	for (int32_t from = 0; rc == 0 && from < topic->partitions; from += INDEX_PARTITIONS_MAX) {
		struct log_partitions asked = bunch(topic, from, numbers);

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

/* What a pattern does not read: what its import writes. */
static bool is_own(const struct index_record *index, const struct source_record *source, const char *topic)
{
	return strcmp(topic, source->dead_letter_topic) == 0 || strcmp(topic, index->topic) == 0;
}

static int note_source(struct ended_index *noted, struct log_connection *connection,
                       const struct index_record *index, const struct source_record *source,
                       struct error *error)
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
		return rc != 0 ? rc : note_topic(noted, connection, source->name, &one, error);
	}
	rc = log_topics_matching(connection, source->pattern, ASK_MS, &topics, &len, error);
	for (size_t i = 0; rc == 0 && i < len; i++)
		if (!is_own(index, source, topics[i].name))
			rc = note_topic(noted, connection, source->name, &topics[i], error);
	free(topics);
	return rc;
}

/* The noted ends of this index, noted now if they were not. */
static int find(struct rebuild_ends *ends, struct log_connection *connection,
                const struct index_record *index, struct ended_index **found, struct error *error)
{
	struct ended_index fresh = {.index_id = index->id};
	int rc = 0;

	for (size_t i = 0; i < REBUILDS_MAX; i++)
		if (ends->indexes[i].index_id == index->id) {
			*found = &ends->indexes[i];
			return 0;
		}
	for (size_t i = 0; rc == 0 && i < index->sources_len; i++)
		rc = note_source(&fresh, connection, index, &index->sources[i], error);
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
		struct log_partitions asked = bunch(topic, from, numbers);

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
	struct ended_index *ended;
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

/* ---- what is lost ---- */

/* What an operation is judged by. */
struct judging {
	struct ended_index *ended;
	struct log_connection *connection;
	const struct index_record *index;
	struct error *error;
	int rc;
};

static bool reads(const struct source_record *source, const char *topic)
{
	regex_t pattern;
	bool matches;

	if (source->topic[0] != '\0')
		return strcmp(source->topic, topic) == 0;
	if (regcomp(&pattern, source->pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	matches = regexec(&pattern, topic, 0, NULL, 0) == 0;
	regfree(&pattern);
	return matches;
}

/* A topic that was not noted at first: it has appeared since, or no source reads it. */
static int note_late(struct judging *judging, struct slice topic)
{
	const struct index_record *index = judging->index;
	struct log_topic_size size = {.partitions = 0};
	const char *source = "";
	int rc = 0;

	(void)snprintf(size.name, sizeof size.name, "%.*s", SLICE_ARGS(topic));
	for (size_t i = 0; i < index->sources_len && source[0] == '\0'; i++)
		if (reads(&index->sources[i], size.name))
			source = index->sources[i].name;
	if (source[0] != '\0')
		rc = log_topic_partitions(judging->connection, size.name, ASK_MS, &size.partitions,
		                          judging->error);
	if (rc != 0 && rc != ERROR_NOT_FOUND)
		return rc;
	return note_topic(judging->ended, judging->connection, rc == 0 ? source : "", &size, judging->error);
}

static const struct ended_topic *topic_of(const struct ended_index *ended, struct slice topic)
{
	for (size_t i = 0; i < ended->len; i++)
		if (slice_equal(topic, slice_string(ended->topics[i].topic)))
			return &ended->topics[i];
	return NULL;
}

static void judge(void *context, const struct op *op)
{
	struct judging *judging = context;
	struct rebuild_loss *loss = &judging->ended->loss;
	const struct origin *origin = &op->origin;
	const struct ended_topic *topic;
	struct log_ends *ends;

	if (origin->source.ptr == NULL) {
		loss->published++;
		return;
	}
	topic = topic_of(judging->ended, origin->source);
	if (topic == NULL && judging->rc == 0) {
		judging->rc = note_late(judging, origin->source);
		topic = topic_of(judging->ended, origin->source);
	}
	if (topic == NULL || topic->source[0] == '\0') {
		loss->unsourced++;
		return;
	}
	if (origin->partition >= topic->partitions) {
		loss->expired++;
		return;
	}
	ends = &topic->ends[origin->partition];
	if (origin->offset < ends->start)
		loss->expired++;
	else if (origin->offset >= ends->end)
		ends->end = origin->offset + 1;
}

int rebuild_ends_judge(struct rebuild_ends *ends, struct log_connection *connection,
                       const struct controller_action *action, struct controller_result *result)
{
	struct judging judging = {.connection = connection, .index = action->index, .error = &result->error};
	struct ended_index *ended = NULL;
	int rc = find(ends, connection, action->index, &ended, &result->error);

	if (rc == 0 && ended->log == NULL)
		rc = old_log_new(ends->config, action->old, &ended->log, &result->error);
	judging.ended = ended;
	if (rc == 0)
		rc = old_log_read(ended->log, connection, judge, &judging, &result->remaining,
		                  &result->error);
	if (rc == 0 && judging.rc != 0) {
		/* something was not judged: from the beginning */
		old_log_free(ended->log);
		ended->log = NULL;
		ended->loss = (struct rebuild_loss){0};
		rc = judging.rc;
	}
	if (rc == 0)
		result->loss = ended->loss;
	return rc;
}

void rebuild_ends_keep(struct rebuild_ends *ends, const struct catalog *catalog)
{
	for (size_t i = 0; i < REBUILDS_MAX; i++) {
		const struct index_record *index =
			ends->indexes[i].index_id == 0 ? NULL
						       : catalog_index(catalog, ends->indexes[i].index_id);

		if (index == NULL || index->replaces == 0 || index->state == INDEX_STATE_DELETED)
			forget(&ends->indexes[i]);
	}
}
