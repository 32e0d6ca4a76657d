/*
 * What the files of shared/log share and nobody else sees: making librdkafka
 * handles from the configuration, names, errors, waiting.
 *
 * Every handle's librdkafka log and error callbacks come here. That library
 * repeats itself while brokers are away; this module turns it into one line
 * when Kafka becomes unreachable and one when it answers again
 * (log_reached), and everything else into debug lines. Thread-safe.
 */
#ifndef MILLRACE_LOG_LOG_PRIVATE_H
#define MILLRACE_LOG_LOG_PRIVATE_H

#include "shared/log/log.h"

#include <librdkafka/rdkafka.h>

#define LOG_ATTEMPT_MS 2000 /* one try of something that is retried until Kafka answers */

/* A librdkafka property; a list ends with name NULL. */
struct log_property {
	const char *name;
	const char *value;
};

struct log_handle_options {
	rd_kafka_type_t type;
	const struct log_property *defaults; /* the configuration's `kafka:` may override them */
	const struct log_property *fixed;    /* always win */
	void *opaque;
	void (*delivered)(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque);
	void (*rebalance)(rd_kafka_t *rk, rd_kafka_resp_err_t err,
	                  rd_kafka_topic_partition_list_t *partitions, void *opaque);
	void (*committed)(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *offsets,
	                  void *opaque);
	/* instead of log_error_seen, which it calls */
	void (*failed)(rd_kafka_t *rk, int err, const char *reason, void *opaque);
};

int log_handle_open(const struct config *config, const struct log_handle_options *options, rd_kafka_t **rk,
                    struct error *error);

/* The connection's handle; any thread. */
rd_kafka_t *log_connection_handle(struct log_connection *connection);

/* "<cluster>.<suffix>"; false if it does not fit. */
bool log_name_print(const struct config *config, const char *suffix, char name[TOPIC_NAME_BYTES]);

/* Fills `error` for librdkafka's answer `err` to `what` on `name`: not found, timeout, or ERROR_LOG; RETRY but
 * for missing rights, which are FATAL. */
int log_fail(struct error *error, rd_kafka_resp_err_t err, const char *what, const char *name);

/* What helps against `err`, for the end of a sentence, or "". */
const char *log_remedy(rd_kafka_resp_err_t err);

/* librdkafka's error callback: what matters of it becomes a log line. */
void log_error_seen(rd_kafka_t *rk, int err, const char *reason, void *opaque);
/* Kafka has just answered: ends the state that its error callback began. */
void log_reached(void);

/* Asks for the topic by name: 2.0.2 remembers for minutes that it was not found, or who led it. What Kafka says of it. */
rd_kafka_resp_err_t log_look_again(rd_kafka_t *rk, const char *topic, int timeout_ms);

/* Low and (read_committed) high watermark. */
int log_watermarks(rd_kafka_t *rk, const char *topic, int32_t partition, int timeout_ms,
                   struct log_ends *ends, struct error *error);

/* Every partition with this offset, in the same order; rd_kafka_topic_partition_list_destroy. */
rd_kafka_topic_partition_list_t *log_partition_list(const struct log_partitions *asked, int64_t offset);

/* Calls `attempt` until it returns anything but a failure with RETRY, with one log line when waiting begins and
 * one when it ends. ERROR_STATE once the descriptor of log_set_stop is readable. */
int log_wait(int (*attempt)(void *context, struct error *error), void *context, const char *what,
             struct error *error);

/* An eventfd that becomes readable when something is in `queue`; log_event_clear makes it unreadable. */
int log_event_open(struct error *error);
void log_event_watch(rd_kafka_queue_t *queue, int fd);
void log_event_clear(int fd);
/* Makes it readable: there may be more where something just came from. */
void log_event_set(int fd);

/* A record borrowed from a librdkafka message. `headers` is the caller's storage, grown as needed. */
struct log_headers {
	struct record_header *list;
	size_t size;
};
int log_record(const rd_kafka_message_t *message, struct log_headers *headers, struct record *record,
               struct error *error);

#endif
