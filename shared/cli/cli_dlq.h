/*
 * What the files of `millrace dlq` share: reading the dead-letter topic, what
 * a letter says, and showing it.
 *
 * cli_dlq.c (words), cli_dlq_reading.c (Kafka and progress), cli_dlq_meta.c
 * (the catalog), cli_dlq_ls.c (groups), cli_dlq_show.c (which letters),
 * cli_dlq_letter.c (one letter), cli_dlq_replay*.c (putting records back).
 *
 * The topic is read with the configuration's properties, from the log start
 * to the end that it has when the command begins; no offset is committed,
 * and nothing is written but what is replayed. A letter's bytes are borrowed from the reader while
 * its dlq_take runs. Bounds: DLQ_GROUPS_MAX groups, DLQ_SHOWN_MAX letters,
 * one letter in memory at a time beside librdkafka's own queue; whoever gets
 * nothing for DLQ_SILENCE_MS gives up.
 *
 * A letter's time is its message's timestamp: when it was written, for the
 * topic has message.timestamp.type=LogAppendTime; the record's own is in its
 * header millrace.timestamp. Letters that have no such header are older than
 * that, and their time is the record's.
 */
#ifndef MILLRACE_CLI_CLI_DLQ_H
#define MILLRACE_CLI_CLI_DLQ_H

#include "shared/cli/cli.h"
#include "shared/log/log.h"
#include "shared/meta/catalog.h"

#define DLQ_GROUPS_MAX 1000
#define DLQ_SHOWN_MAX 1000
#define DLQ_SHOWN_DEFAULT 10
#define DLQ_SILENCE_MS 30000
#define DLQ_PARTITIONS_MAX 1024

/* ---- cli_dlq_reading.c ---- */

struct dlq {
	const struct config *config;
	struct log_connection *connection;
	struct log_feed *feed;
	const char *topic;
	int32_t partitions;
	struct log_ends *ends; /* of each partition */
};

struct dlq_range {
	int32_t partition;
	int64_t from;
	int64_t to; /* exclusive */
};

/* The same for an index's log, to be read in the same way; its config and connection are there, and its partitions are
 * the index's. */
int dlq_open_log(struct dlq *log, const struct index_record *index, struct error *error);
/* 0 to go on, or negative after filling `error`. */
typedef int dlq_take(void *context, int32_t partition, const struct record *record, struct error *error);

/* Connects and asks for the topic's present ends. dlq_close in any case. */
int dlq_open(struct dlq *dlq, const struct config *config, struct error *error);
void dlq_close(struct dlq *dlq);
/* Gives every record of the range that is still there. */
int dlq_read(struct dlq *dlq, const struct dlq_range *range, dlq_take *take, void *context,
             struct error *error);
/* Gives every record of the topic, partition by partition, and shows on stderr how far it is. */
int dlq_read_all(struct dlq *dlq, dlq_take *take, void *context, struct error *error);

/* ---- cli_dlq_meta.c ---- */

/* Folds the topic meta to its end. */
int dlq_read_meta(const struct config *config, struct catalog *catalog, struct error *error);

/* ---- cli_dlq_letter.c ---- */

/* What a letter says of itself; a slice with ptr NULL where it does not. */
struct dlq_letter {
	int32_t partition;
	const struct record *record;
	size_t headers_own; /* so many of its headers were the record's */
	struct slice topic; /* of the log */
	struct slice log_partition;
	struct slice log_offset;
	struct slice stage;
	struct slice code;
	struct slice reason;
	struct slice index;
	struct slice document_id;
	struct slice attempts;
	struct slice truncated; /* what was cut, by the names of shared/feed/dead_letter.h */
	struct slice checksum;
	struct slice headers_omitted;
	struct slice key_truncated;
	int64_t timestamp_ms; /* the record's own; -1: not known */
};

void dlq_letter_read(int32_t partition, const struct record *record, struct dlq_letter *letter);
/* For people, on stdout; negative when out of memory. */
int dlq_letter_print(const struct dlq_letter *letter, const char *topic);
/* As a JSON object. */
void dlq_letter_append(const struct dlq_letter *letter, struct buffer *json);
/* A number from 0 to `max`; -1 if it is none. */
int64_t dlq_number(struct slice text, int64_t max);
/* The time as a JSON string, or null if there is none. */
void dlq_append_time(struct buffer *json, int64_t timestamp_ms);

/* ---- choosing ---- */

/* Which letters; NULL: any. */
struct dlq_filter {
	const char *index;
	const char *code;
};

bool dlq_filter_accepts(const struct dlq_filter *filter, const struct dlq_letter *letter);

struct dlq_choice {
	bool placed;       /* one letter, by its place; else those that pass the filter */
	bool of_partition; /* those of one partition of the topic; replay only */
	int32_t partition;
	int64_t offset;
	struct dlq_filter filter;
	size_t limit; /* show: so many, newest first */
	bool json;
	bool raw;     /* nothing but the value's bytes; placed only */
	bool force;   /* replay: whatever the log has later */
	bool dry_run; /* replay: says what it would do */
};

/* Whether the topic has, by its ends, a letter's place; ERROR_NOT_FOUND, and why not. */
int dlq_check_place(struct dlq *dlq, int32_t partition, int64_t offset, struct error *error);
/* Gives the records that may be chosen, partition by partition; the filter is not applied. Shows how far it is. */
int dlq_read_chosen(struct dlq *dlq, const struct dlq_choice *choice, dlq_take *take, void *context,
                    struct error *error);

/* ---- cli_dlq_ls.c, cli_dlq_show.c, cli_dlq_replay.c: the exit code ---- */

int dlq_list(struct dlq *dlq, const struct dlq_filter *filter, bool json);
int dlq_show(struct dlq *dlq, const struct dlq_choice *choice);
int dlq_replay(struct dlq *dlq, const struct dlq_choice *choice);

#endif
