/*
 * Import group: the consumer group that shares a source's partitions.
 *
 * A group of Kafka's classic protocol (assignor range, session 6 s) over one
 * topic, or over every topic that a pattern matches; topics that appear later
 * are found within LOG_IMPORT_REFRESH_MS. It only says which partitions are
 * ours, and keeps what was committed; records are read through a log_feed,
 * whose queues, unlike a member's own, bear back-pressure in librdkafka 2.0.2.
 * Safety never depends on it: whoever reads without being the owner any more
 * produces duplicates that the fold tells by their origin.
 *
 * A commit is refused by Kafka from whoever is no member any more. A commit's
 * note is a short text that comes back with it.
 *
 * One thread. log_import_committed and log_import_at block up to timeout_ms.
 */
#ifndef MILLRACE_LOG_LOG_IMPORT_H
#define MILLRACE_LOG_LOG_IMPORT_H

#include "shared/log/log.h"

#define LOG_IMPORT_REFRESH_MS 5000
#define LOG_IMPORT_PARTITIONS_MAX 4096 /* of one member; more are not read, and it says so */
#define LOG_COMMIT_NOTE_BYTES 96

struct log_import;

struct log_import_options {
	const char *group;     /* suffix */
	const char *topic;     /* NULL: `pattern` */
	const char *pattern;   /* begins with ^; Millrace's own topics and Kafka's are never in it */
	const char *client_id; /* what Kafka's tools show of this member; NULL: as configured */
	int fd;                /* an eventfd that becomes readable when log_import_poll has something */
};

/* Does not wait for Kafka, nor for the topic. */
int log_import_open(const struct config *config, const struct log_import_options *options,
                    struct log_import **import, struct error *error);
/* Leaves the group. */
void log_import_close(struct log_import *import);

struct log_place {
	char topic[TOPIC_NAME_BYTES];
	int32_t partition;
};

/* Serves the group, at least every second; true if what is ours changed. While the group only rearranges itself the old
 * partitions stand until the new ones are known; a member that the group dropped has none. */
bool log_import_poll(struct log_import *import);
/* What is ours, until the next log_import_poll. */
size_t log_import_places(const struct log_import *import, const struct log_place **places);
/* What Kafka says is wrong with it, "" for nothing: the topic is missing, a right is. */
const char *log_import_trouble(const struct log_import *import);

struct log_commit {
	int64_t offset; /* -1: none */
	char note[LOG_COMMIT_NOTE_BYTES];
};

/* What the group has committed for these places, all or an error. */
int log_import_committed(struct log_import *import, const struct log_place *places, size_t len,
                         int timeout_ms, struct log_commit *commits, struct error *error);
/* Commits, without waiting for the answer: a failure is a log line, and the next commit makes up for it. */
int log_import_commit(struct log_import *import, const struct log_place *places,
                      const struct log_commit *commits, size_t len, struct error *error);
/* The offset of the first record of that time or later, one a partition; -1 where there is none. */
int log_import_at(struct log_connection *connection, const struct log_partitions *asked, int64_t time_ms,
                  int timeout_ms, int64_t *offsets, struct error *error);

#endif
