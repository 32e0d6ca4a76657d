#include "shared/log/log_private.h"

#include "shared/runtime/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TOPICS_MAX 8

struct source {
	char name[TOPIC_NAME_BYTES];
	int64_t from; /* where reading begins */
	int64_t end;  /* when the reader opened */
	bool reached;
};

struct log_reader {
	rd_kafka_t *rk;
	struct source sources[TOPICS_MAX];
	size_t sources_len;
	bool end_told;
	int fd;
	rd_kafka_message_t *message; /* lent to the caller */
	struct log_headers headers;
};

static const struct log_property reader_defaults[] = {
	/* An idle partition's end is told when a fetch comes back empty, after this time. */
	{"fetch.wait.max.ms", "100"},
	{"queued.max.messages.kbytes", "16384"},
	{NULL, NULL},
};

static int ask_ends(void *context, struct error *error)
{
	struct log_reader *reader = context;

	for (size_t i = 0; i < reader->sources_len; i++) {
		struct log_ends ends;
		int status =
			log_watermarks(reader->rk, reader->sources[i].name, 0, LOG_ATTEMPT_MS, &ends, error);

		if (status != 0)
			return status;
		reader->sources[i].end = ends.end;
		/* where Kafka says the beginning is by then: more may have been trimmed */
		if (reader->sources[i].from <= ends.start)
			reader->sources[i].from = RD_KAFKA_OFFSET_BEGINNING;
	}
	return 0;
}

static int reader_assign(struct log_reader *reader, struct error *error)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)reader->sources_len);
	rd_kafka_resp_err_t err;

	for (size_t i = 0; i < reader->sources_len; i++)
		rd_kafka_topic_partition_list_add(list, reader->sources[i].name, 0)->offset =
			reader->sources[i].from;
	err = rd_kafka_assign(reader->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	return err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0
	                                         : log_fail(error, err, "reading", reader->sources[0].name);
}

static int reader_start(struct log_reader *reader, const struct config *config, struct error *error)
{
	char group[TOPIC_NAME_BYTES];
	/* assign() needs a group's name; nobody ever joins or commits under this one */
	const struct log_property fixed[] = {{"group.id", group}, {NULL, NULL}};
	const struct log_handle_options options = {
		.type = RD_KAFKA_CONSUMER, .defaults = reader_defaults, .fixed = fixed};
	rd_kafka_queue_t *queue;
	int status;

	if (!log_name_print(config, "reader", group))
		return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL, "`cluster` is too long");
	status = log_handle_open(config, &options, &reader->rk, error);
	if (status != 0)
		return status;
	reader->fd = log_event_open(error);
	if (reader->fd < 0)
		return reader->fd;
	status = log_wait(ask_ends, reader, "Millrace's topics", error);
	if (status != 0)
		return status;
	(void)rd_kafka_poll_set_consumer(reader->rk);
	queue = rd_kafka_queue_get_consumer(reader->rk);
	log_event_watch(queue, reader->fd);
	rd_kafka_queue_destroy(queue);
	return reader_assign(reader, error);
}

/* Nothing is read yet. */
static int reader_new(const struct config *config, const char *const *suffixes, size_t suffixes_len,
                      struct log_reader **reader, struct error *error)
{
	struct log_reader *made;

	if (suffixes_len == 0 || suffixes_len > TOPICS_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "a reader has 1 to %d topics",
		                 TOPICS_MAX);
	made = calloc(1, sizeof *made);
	if (made == NULL)
		return error_memory(error, sizeof *made);
	made->fd = -1;
	made->sources_len = suffixes_len;
	for (size_t i = 0; i < suffixes_len; i++)
		if (!log_name_print(config, suffixes[i], made->sources[i].name)) {
			log_reader_close(made);
			return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL,
			                 "`cluster` is too long");
		}
	*reader = made;
	return 0;
}

int log_reader_open(const struct config *config, const char *const *suffixes, size_t suffixes_len,
                    struct log_reader **reader, struct error *error)
{
	struct log_reader *made;
	int status = reader_new(config, suffixes, suffixes_len, &made, error);

	if (status != 0)
		return status;
	status = reader_start(made, config, error);
	if (status == 0)
		*reader = made;
	else
		log_reader_close(made);
	return status;
}

int log_reader_open_from(const struct config *config, const char *suffix, int64_t from,
                         struct log_reader **reader, struct error *error)
{
	struct log_reader *made;
	int status = reader_new(config, &suffix, 1, &made, error);

	if (status != 0)
		return status;
	made->sources[0].from = from;
	status = reader_start(made, config, error);
	if (status == 0)
		*reader = made;
	else
		log_reader_close(made);
	return status;
}

void log_reader_close(struct log_reader *reader)
{
	if (reader == NULL)
		return;
	if (reader->message != NULL)
		rd_kafka_message_destroy(reader->message);
	if (reader->rk != NULL)
		rd_kafka_destroy(reader->rk);
	if (reader->fd >= 0)
		(void)close(reader->fd);
	free(reader->headers.list);
	free(reader);
}

static bool all_reached(const struct log_reader *reader)
{
	for (size_t i = 0; i < reader->sources_len; i++)
		if (!reader->sources[i].reached)
			return false;
	return true;
}

static size_t source_of(const struct log_reader *reader, const rd_kafka_message_t *message)
{
	const char *name = message->rkt == NULL ? "" : rd_kafka_topic_name(message->rkt);

	for (size_t i = 0; i < reader->sources_len; i++)
		if (strcmp(reader->sources[i].name, name) == 0)
			return i;
	return reader->sources_len;
}

/* 0 if reading goes on. */
static int reader_trouble(const struct log_reader *reader, const rd_kafka_message_t *message, size_t topic,
                          struct error *error)
{
	const char *name = topic < reader->sources_len ? reader->sources[topic].name : "Millrace's topics";

	switch (message->err) {
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
		return error_set(
			error, ERROR_STATE, ERROR_ACTION_FATAL,
			"topic %s no longer has the records that this program reads next: it was trimmed or "
			"re-created; restart the program once that is understood",
			name);
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_FATAL, "topic %s was deleted", name);
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR__FATAL:
		return log_fail(error, message->err, "reading", name);
	default:
		return 0; /* brokers come and go; librdkafka tries again */
	}
}

/* Where log_reader_next puts what it found. */
struct delivery {
	enum log_event *event;
	size_t *topic;
	struct record *record;
};

/* Takes in one message; the event stays NONE if it is nothing for the caller. */
static int reader_accept(struct log_reader *reader, rd_kafka_message_t *message,
                         const struct delivery *delivery, struct error *error)
{
	size_t from = source_of(reader, message);
	int status = 0;

	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && from < reader->sources_len) {
		status = log_record(message, &reader->headers, delivery->record, error);
		if (status == 0) {
			reader->message = message;
			reader->sources[from].reached |= message->offset + 1 >= reader->sources[from].end;
			*delivery->topic = from;
			*delivery->event = LOG_EVENT_RECORD;
			return 0;
		}
	} else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && from < reader->sources_len) {
		/* only this stands behind trailing markers: a record's offset + 1 does not */
		reader->sources[from].reached |= message->offset >= reader->sources[from].end;
	} else {
		status = reader_trouble(reader, message, from, error);
	}
	rd_kafka_message_destroy(message);
	return status;
}

int log_reader_next(struct log_reader *reader, int timeout_ms, enum log_event *event, size_t *topic,
                    struct record *record, struct error *error)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;
	const struct delivery delivery = {event, topic, record};

	if (reader->message != NULL) {
		rd_kafka_message_destroy(reader->message);
		reader->message = NULL;
	}
	*event = LOG_EVENT_NONE;
	for (;;) {
		int64_t left = deadline - clock_monotonic_ms();
		rd_kafka_message_t *message;
		int status;

		if (!reader->end_told && all_reached(reader)) {
			reader->end_told = true;
			*event = LOG_EVENT_END;
			return 0;
		}
		message = rd_kafka_consumer_poll(reader->rk, 0);
		if (message == NULL) {
			log_event_clear(
				reader->fd); /* before looking once more, so that nothing arrives unseen */
			message = rd_kafka_consumer_poll(reader->rk, left > 0 ? (int)left : 0);
		}
		if (message == NULL)
			return 0;
		log_event_set(reader->fd);
		status = reader_accept(reader, message, &delivery, error);
		if (status != 0 || *event != LOG_EVENT_NONE)
			return status;
	}
}

int log_reader_fd(const struct log_reader *reader)
{
	return reader->fd;
}
