#include "shared/log/log_private.h"

#include "shared/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

#define WRITE_MS 15000
#define LEARN_MS 2000
#define TRANSACTION_MS "10000" /* the broker aborts what a killed controller left open after this */

static const char *const written[] = {"meta", "topology", "task-states"};
#define WRITTEN (sizeof written / sizeof *written)

struct log_office {
	rd_kafka_t *rk;
	rd_kafka_topic_t *topics[WRITTEN]; /* keep what is known of them */
};

static const struct log_property office_defaults[] = {
	{"message.max.bytes", "16777216"},
	{"linger.ms", "0"},
	{"retry.backoff.ms", "5"}, /* the next transaction waits for the last one's markers by retrying */
	{NULL, NULL},
};

/* Takes `failure`. */
static int office_failed(struct log_office *office, rd_kafka_error_t *failure, const char *what,
                         struct error *error)
{
	rd_kafka_resp_err_t err = rd_kafka_error_code(failure);
	rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(office->rk, NULL, 0);
	const char *remedy = log_remedy(err);
	char reason[512];

	(void)snprintf(reason, sizeof reason, "%s%s%s", rd_kafka_error_string(failure),
	               remedy[0] == 0 ? "" : "; ", remedy);
	rd_kafka_error_destroy(failure);
	if (err == RD_KAFKA_RESP_ERR__FENCED || fatal == RD_KAFKA_RESP_ERR__FENCED ||
	    err == RD_KAFKA_RESP_ERR_PRODUCER_FENCED || fatal == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
	    err == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH ||
	    fatal == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH)
		return error_set(error, ERROR_FENCED, ERROR_ACTION_FATAL,
		                 "%s: another controller is in office", what);
	if (err == RD_KAFKA_RESP_ERR__TIMED_OUT)
		return error_set(error, ERROR_TIMEOUT, ERROR_ACTION_RETRY, "%s: %s", what, reason);
	return error_set(error, ERROR_LOG, ERROR_ACTION_RETRY, "%s: %s", what, reason);
}

/* Asks for the topics that will be written: 2.0.2 looks a new one up only once a second, with the first record
 * waiting. If it fails, that record waits. */
static void learn_topics(struct log_office *office, const struct config *config)
{
	for (size_t i = 0; i < WRITTEN; i++) {
		const struct rd_kafka_metadata *metadata;
		char name[TOPIC_NAME_BYTES];

		if (!log_name_print(config, written[i], name))
			continue;
		office->topics[i] = rd_kafka_topic_new(office->rk, name, NULL);
		if (office->topics[i] != NULL &&
		    rd_kafka_metadata(office->rk, 0, office->topics[i], &metadata, LEARN_MS) ==
		            RD_KAFKA_RESP_ERR_NO_ERROR)
			rd_kafka_metadata_destroy(metadata);
	}
}

int log_office_take(const struct config *config, int timeout_ms, struct log_office **office,
                    struct error *error)
{
	char id[TOPIC_NAME_BYTES];
	const struct log_property fixed[] = {
		{"transactional.id", id}, {"transaction.timeout.ms", TRANSACTION_MS}, {NULL, NULL}};
	const struct log_handle_options options = {
		.type = RD_KAFKA_PRODUCER, .defaults = office_defaults, .fixed = fixed};
	struct log_office *taken = calloc(1, sizeof *taken);
	rd_kafka_error_t *failure;
	int status;

	if (taken == NULL)
		return error_memory(error, sizeof *taken);
	if (!log_name_print(config, "controller", id))
		status = error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL, "`cluster` is too long");
	else
		status = log_handle_open(config, &options, &taken->rk, error);
	if (status != 0) {
		free(taken);
		return status;
	}
	failure = rd_kafka_init_transactions(taken->rk, timeout_ms);
	if (failure != NULL) {
		status = office_failed(taken, failure, "taking office", error);
		log_office_leave(taken);
		return status;
	}
	log_reached();
	learn_topics(taken, config);
	*office = taken;
	return 0;
}

void log_office_leave(struct log_office *office)
{
	if (office == NULL)
		return;
	(void)rd_kafka_purge(office->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	for (size_t i = 0; i < WRITTEN; i++)
		if (office->topics[i] != NULL)
			rd_kafka_topic_destroy(office->topics[i]);
	rd_kafka_destroy(office->rk);
	free(office);
}

static rd_kafka_error_t *produce(struct log_office *office, const struct log_write *write)
{
	const rd_kafka_vu_t arguments[] = {
		{.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = write->topic},
		{.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = 0},
		{.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
		{.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)write->key.ptr, write->key.len}},
		{.vtype = RD_KAFKA_VTYPE_VALUE,
	         .u.mem = {(void *)(uintptr_t)write->value.ptr, write->value.len}},
	};

	return rd_kafka_produceva(office->rk, arguments, sizeof arguments / sizeof *arguments);
}

int log_office_write(struct log_office *office, const struct log_write *writes, size_t writes_len,
                     struct error *error)
{
	rd_kafka_error_t *failure;

	ASSERT(writes_len >= 1 && writes_len <= LOG_WRITES_MAX);
	failure = rd_kafka_begin_transaction(office->rk);
	for (size_t i = 0; failure == NULL && i < writes_len; i++)
		failure = produce(office, &writes[i]);
	if (failure == NULL)
		failure = rd_kafka_commit_transaction(office->rk, WRITE_MS);
	if (failure != NULL)
		return office_failed(office, failure, writes[0].topic, error);
	log_reached();
	return 0;
}
