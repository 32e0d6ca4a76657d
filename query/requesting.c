#include "query/requesting.h"

#include "query/bodies.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"
#include "shared/runtime/random.h"

#include <stdio.h>
#include <stdlib.h>

/* A request on its way into `tasks`. */
struct appending {
	struct exchange exchange;
	struct task_request request;
	struct buffer value; /* the record */
};

/* On the producer's thread. */
static void appended(void *context, int64_t offset, const struct error *error)
{
	struct appending *appending = context;
	struct error_answer refusal;
	struct buffer body;

	if (offset < 0) {
		logline(LOG_LEVEL_WARN, "request_not_appended", "uid=%s error=\"%s\"", appending->request.uid,
		        error->text);
		(void)error_answer_set(&refusal, "unavailable", "Kafka did not take the request: %s",
		                       error->text);
		gateway_respond_error(&appending->exchange, &refusal);
	} else {
		logline(LOG_LEVEL_INFO, "request_appended", "task=%lld type=%s uid=%s", (long long)offset,
		        task_type_name(appending->request.type), appending->request.uid);
		/* whoever asks for the task now must not hear that there is none */
		view_note_request(appending->exchange.gateway->view, offset, buffer_slice(&appending->value));
		buffer_init(&body, 4096);
		body_accepted(&body, offset, &appending->request);
		gateway_respond(&appending->exchange, 202, &body, NULL);
	}
	buffer_deinit(&appending->value);
	free(appending);
}

static void make_nonce(char nonce[33])
{
	uint8_t bytes[16];

	random_bytes(bytes, sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i++)
		(void)snprintf(nonce + 2 * i, 3, "%02x", bytes[i]);
}

void requesting_append(const struct exchange *exchange, const struct task_request *request)
{
	struct appending *appending = malloc(sizeof *appending);
	struct log_message message = {
		.topic = exchange->gateway->tasks_topic, .completion = appended, .context = appending};
	struct error_answer refusal;
	struct error error;
	int result;

	if (appending == NULL) {
		(void)error_answer_set(&refusal, "internal", "out of memory");
		gateway_respond_error(exchange, &refusal);
		return;
	}
	*appending = (struct appending){.exchange = *exchange, .request = *request};
	make_nonce(appending->request.nonce);
	appending->request.enqueued_at_ms = clock_wall_ms();
	buffer_init(&appending->value, TASK_RECORD_BYTES_MAX);
	task_request_write(&appending->value, &appending->request);
	appending->request.sources = NULL; /* the caller's */
	appending->request.sources_len = 0;
	appending->request.shards = NULL;
	appending->request.shards_len = 0;
	appending->request.body = slice_of(NULL, 0);
	message.value = buffer_slice(&appending->value);
	result = buffer_failed(&appending->value)
	                 ? error_memory(&error, TASK_RECORD_BYTES_MAX)
	                 : log_producer_send(exchange->gateway->producer, &message, &error);
	if (result < 0) {
		buffer_deinit(&appending->value);
		free(appending);
		(void)error_answer_set(&refusal, "unavailable", "Kafka did not take the request: %s",
		                       error.text);
		gateway_respond_error(exchange, &refusal);
	}
}
