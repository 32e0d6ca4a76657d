#include "shared/log/log_private.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define POLL_MS 100
#define PURGE_MS 1000

struct log_producer {
	rd_kafka_t *rk;
	pthread_t thread;
	atomic_int close_ms; /* -1 while open */
};

struct delivery {
	log_completion *completion;
	void *context;
};

static const struct log_property producer_defaults[] = {
	{"linger.ms", "2"},
	{"partitioner", "murmur2_random"},
	{"message.max.bytes", "16777216"}, /* the broker's own bound decides, with an answer a message */
	{NULL, NULL},
};

static void fatal_text(rd_kafka_t *rk, struct error *error)
{
	char reason[256] = "";

	(void)rd_kafka_fatal_error(rk, reason, sizeof reason);
	(void)error_set(error, ERROR_LOG, ERROR_ACTION_FATAL,
	                "the producer has failed for good and must be opened again: %s", reason);
}

static void send_failed(rd_kafka_t *rk, rd_kafka_resp_err_t err, const char *topic, struct error *error)
{
	if (rd_kafka_fatal_error(rk, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR)
		fatal_text(rk, error);
	else if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
		(void)error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                "the record is larger than topic %s or this producer takes", topic);
	else if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		(void)error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY, "the producer's queue is full");
	else
		(void)log_fail(error, err, "writing to", topic);
}

/* On the producer's thread. */
static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	struct delivery *delivery = message->_private;
	struct error error;

	(void)opaque;
	if (delivery == NULL)
		return;
	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		log_reached();
		delivery->completion(delivery->context, message->offset, NULL);
	} else {
		send_failed(rk, message->err, rd_kafka_topic_name(message->rkt), &error);
		delivery->completion(delivery->context, -1, &error);
	}
	free(delivery);
}

static void *producer_run(void *context)
{
	struct log_producer *producer = context;

	while (atomic_load(&producer->close_ms) < 0)
		(void)rd_kafka_poll(producer->rk, POLL_MS);
	(void)rd_kafka_flush(producer->rk, atomic_load(&producer->close_ms));
	(void)rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	(void)rd_kafka_flush(producer->rk, PURGE_MS);
	return NULL;
}

static int producer_open(const struct config *config, const struct log_property *fixed,
                         struct log_producer **producer, struct error *error)
{
	const struct log_handle_options options = {.type = RD_KAFKA_PRODUCER,
	                                           .defaults = producer_defaults,
	                                           .fixed = fixed,
	                                           .delivered = on_delivered};
	struct log_producer *opened = calloc(1, sizeof *opened);
	int status;

	if (opened == NULL)
		return error_memory(error, sizeof *opened);
	atomic_init(&opened->close_ms, -1);
	status = log_handle_open(config, &options, &opened->rk, error);
	if (status != 0) {
		free(opened);
		return status;
	}
	if (pthread_create(&opened->thread, NULL, producer_run, opened) != 0) {
		rd_kafka_destroy(opened->rk);
		free(opened);
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY, "no thread for a producer");
	}
	*producer = opened;
	return 0;
}

int log_producer_open(const struct config *config, struct log_producer **producer, struct error *error)
{
	return producer_open(config, NULL, producer, error);
}

int log_producer_open_bounded(const struct config *config, size_t batch_bytes, struct log_producer **producer,
                              struct error *error)
{
	char bytes[24];
	const struct log_property fixed[] = {{"batch.size", bytes}, {NULL, NULL}};

	(void)snprintf(bytes, sizeof bytes, "%zu", batch_bytes);
	return producer_open(config, fixed, producer, error);
}

int log_producer_open_gapless(const struct config *config, size_t batch_bytes, struct log_producer **producer,
                              struct error *error)
{
	char bytes[24];
	/* The guarantee does not cover what times out here, so nothing does. A batch beyond the topic's limit would be
	 * refused as a whole. */
	const struct log_property fixed[] = {{"enable.gapless.guarantee", "true"},
	                                     {"message.timeout.ms", "0"},
	                                     {"batch.size", bytes},
	                                     {NULL, NULL}};

	(void)snprintf(bytes, sizeof bytes, "%zu", batch_bytes);
	return producer_open(config, fixed, producer, error);
}

void log_producer_close(struct log_producer *producer, int timeout_ms)
{
	if (producer == NULL)
		return;
	atomic_store(&producer->close_ms, timeout_ms);
	(void)pthread_join(producer->thread, NULL);
	rd_kafka_destroy(producer->rk);
	free(producer);
}

static rd_kafka_headers_t *headers_copy(const struct log_message *message)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(message->headers_len);

	for (size_t i = 0; i < message->headers_len; i++) {
		const struct record_header *header = &message->headers[i];
		ssize_t len = header->value.ptr == NULL ? 0 : (ssize_t)header->value.len;

		/* fails for no input: the list is new and writable */
		(void)rd_kafka_header_add(headers, (const char *)header->name.ptr, (ssize_t)header->name.len,
		                          header->value.ptr, len);
	}
	return headers;
}

static rd_kafka_resp_err_t produce(rd_kafka_t *rk, const struct log_message *message,
                                   struct delivery *delivery)
{
	rd_kafka_headers_t *headers = headers_copy(message);
	const rd_kafka_vu_t arguments[] = {
		{.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = message->topic},
		{.vtype = RD_KAFKA_VTYPE_PARTITION,
	         .u.i32 = message->partition < 0 ? RD_KAFKA_PARTITION_UA : message->partition},
		{.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
		{.vtype = RD_KAFKA_VTYPE_KEY,
	         .u.mem = {(void *)(uintptr_t)message->key.ptr, message->key.len}},
		{.vtype = RD_KAFKA_VTYPE_VALUE,
	         .u.mem = {(void *)(uintptr_t)message->value.ptr, message->value.len}},
		{.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = message->timestamp_ms},
		{.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = delivery},
		{.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
	};
	rd_kafka_error_t *failure = rd_kafka_produceva(rk, arguments, sizeof arguments / sizeof *arguments);
	rd_kafka_resp_err_t err;

	if (failure == NULL)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	err = rd_kafka_error_code(failure);
	rd_kafka_error_destroy(failure);
	rd_kafka_headers_destroy(headers); /* taken only on success */
	return err;
}

int log_producer_send(struct log_producer *producer, const struct log_message *message, struct error *error)
{
	struct delivery *delivery = NULL;
	rd_kafka_resp_err_t err;

	if (message->completion != NULL) {
		delivery = malloc(sizeof *delivery);
		if (delivery == NULL)
			return error_memory(error, sizeof *delivery);
		*delivery = (struct delivery){message->completion, message->context};
	}
	err = produce(producer->rk, message, delivery);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	free(delivery);
	send_failed(producer->rk, err, message->topic, error);
	return error->code;
}
