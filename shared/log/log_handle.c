#include "shared/log/log_private.h"

#include "shared/runtime/logline.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WAIT_PAUSE_MS 250
#define SCRAM_VERSION \
	0x020601ff /* before it the client's nonce was sent twice, which Kafka 4 no longer lets pass */

static const struct log_property always[] = {
	{"enable.auto.commit", "false"},
	{"enable.auto.offset.store", "false"},
	{"auto.offset.reset", "error"},
	{"check.crcs", "true"},
	{"isolation.level", "read_committed"},
	{"enable.partition.eof", "true"},
	{"acks", "all"},
	{"enable.idempotence", "true"},
	{NULL, NULL},
};

static const struct log_property usually[] = {
	{"client.id", "millrace"},
	{"socket.keepalive.enable", "true"},
	{"reconnect.backoff.max.ms", "2000"},
	{"api.version.request.timeout.ms",
         "3000"}, /* what a silent broker costs after it is back; librdkafka's is 10 s */
	{NULL, NULL},
};

static atomic_bool unreachable;
static _Atomic(const char *) refused; /* why nobody can connect, or NULL */
static atomic_int stop_fd = -1;

void log_set_stop(int fd)
{
	atomic_store(&stop_fd, fd);
}

/* ---- what librdkafka says ---- */

/* How librdkafka tells why a connection failed, in 2.0.2 and in 2.16. Its error callback comes to none but those who
 * poll the handle, and then too late. */
struct connect_refusal {
	const char *said;
	const char *also;
	int version; /* told by librdkafka below it; 0: by any */
	const char *remedy;
};

static const struct connect_refusal refusals[] = {
	{"SASL authentication error", "SCRAM", SCRAM_VERSION,
         "Kafka refuses the user: check kafka.sasl.username and kafka.sasl.password; Kafka 4 refuses every "
         "user of "
         "kafka.sasl.mechanism SCRAM to librdkafka before 2.6.1, take PLAIN over TLS"},
	{"SASL authentication error", "", 0,
         "Kafka refuses the user: check kafka.sasl.username, kafka.sasl.password and kafka.sasl.mechanism"},
	{"certificate verify failed", "", 0,
         "the broker's certificate cannot be trusted: kafka.ssl.ca.location must be the CA that signed it, "
         "and "
         "the certificate must name the host in kafka.bootstrap.servers"},
	{"incorrect security.protocol", "", 0, "Kafka hangs up: check kafka.security.protocol"},
};

static void notice_refusal(const char *text)
{
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		const struct connect_refusal *known = &refusals[i];

		if (strstr(text, known->said) == NULL || strstr(text, known->also) == NULL ||
		    (known->version != 0 && rd_kafka_version() >= known->version))
			continue;
		if (atomic_exchange(&refused, known->remedy) != known->remedy)
			logline(LOG_LEVEL_ERROR, "kafka_refuses", "reason=\"%s\" remedy=\"%s\"", text,
			        known->remedy);
		return;
	}
}

/* Whatever else matters also comes back as an error, from a call or to log_error_seen. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk;
	(void)level;
	logline(LOG_LEVEL_DEBUG, "librdkafka", "facility=%s message=\"%s\"", facility, text);
	if (strcmp(facility, "FAIL") == 0)
		notice_refusal(text);
}

const char *log_refusal(void)
{
	return atomic_load(&refused);
}

void log_error_seen(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
	(void)rk;
	(void)opaque;
	if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
		if (!atomic_exchange(&unreachable, true))
			logline(LOG_LEVEL_WARN, "kafka_unreachable", "reason=\"%s\"", reason);
	} else if ((err == RD_KAFKA_RESP_ERR__AUTHENTICATION || err == RD_KAFKA_RESP_ERR__SSL) &&
	           log_refusal() == NULL) {
		logline(LOG_LEVEL_ERROR, "kafka_refuses", "reason=\"%s\"", reason);
	}
}

void log_reached(void)
{
	if (atomic_load_explicit(&refused, memory_order_relaxed) != NULL)
		atomic_store(&refused, NULL);
	if (atomic_load_explicit(&unreachable, memory_order_relaxed) && atomic_exchange(&unreachable, false))
		logline(LOG_LEVEL_INFO, "kafka_reachable", "again=true");
}

/* ---- handles ---- */

static int set_property(rd_kafka_conf_t *conf, const struct log_property *property, const char *place,
                        struct error *error)
{
	char reason[256];

	if (rd_kafka_conf_set(conf, property->name, property->value, reason, sizeof reason) ==
	    RD_KAFKA_CONF_OK)
		return 0;
	return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL, "%s: kafka property %s: %s", place,
	                 property->name, reason);
}

static int set_properties(rd_kafka_conf_t *conf, const struct log_property *properties, struct error *error)
{
	int status = 0;

	for (size_t i = 0; status == 0 && properties != NULL && properties[i].name != NULL; i++)
		status = set_property(conf, &properties[i], "built in", error);
	return status;
}

static int set_configured(rd_kafka_conf_t *conf, const struct config *config, struct error *error)
{
	static const char *const ours[] = {"group.id", "group.instance.id", "transactional.id"};
	const struct config_property *properties;
	size_t len = config_kafka(config, &properties);

	for (size_t i = 0; i < len; i++) {
		struct log_property property = {properties[i].name, properties[i].value};
		int status;

		for (size_t k = 0; k < sizeof ours / sizeof *ours; k++)
			if (strcmp(property.name, ours[k]) == 0)
				return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL,
				                 "%s: kafka property %s is set by Millrace itself, from "
				                 "`cluster`: remove it",
				                 properties[i].place, property.name);
		status = set_property(conf, &property, properties[i].place, error);
		if (status != 0)
			return status;
	}
	return 0;
}

int log_handle_open(const struct config *config, const struct log_handle_options *options, rd_kafka_t **rk,
                    struct error *error)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char reason[256];
	int status = set_properties(conf, usually, error);

	if (status == 0)
		status = set_properties(conf, options->defaults, error);
	if (status == 0)
		status = set_configured(conf, config, error);
	if (status == 0)
		status = set_properties(conf, always, error);
	if (status == 0)
		status = set_properties(conf, options->fixed, error);
	if (status != 0) {
		rd_kafka_conf_destroy(conf);
		return status;
	}
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_error_cb(conf, options->failed != NULL ? options->failed : log_error_seen);
	rd_kafka_conf_set_opaque(conf, options->opaque);
	if (options->delivered != NULL)
		rd_kafka_conf_set_dr_msg_cb(conf, options->delivered);
	if (options->rebalance != NULL)
		rd_kafka_conf_set_rebalance_cb(conf, options->rebalance);
	if (options->committed != NULL)
		rd_kafka_conf_set_offset_commit_cb(conf, options->committed);
	*rk = rd_kafka_new(options->type, conf, reason, sizeof reason);
	if (*rk != NULL)
		return 0;
	rd_kafka_conf_destroy(conf);
	return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL,
	                 "the properties under `kafka` do not fit: %s", reason);
}

bool log_name_print(const struct config *config, const char *suffix, char name[TOPIC_NAME_BYTES])
{
	int len = snprintf(name, TOPIC_NAME_BYTES, "%s.%s", config_string(config, "cluster"), suffix);

	return len > 0 && len < TOPIC_NAME_BYTES;
}

const char *log_remedy(rd_kafka_resp_err_t err)
{
	const char *why = log_refusal();

	switch (err) {
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
		return "`millrace doctor --rights` prints the commands that grant what each program needs";
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR__SSL:
		return why != NULL ? why : "";
	default:
		return "";
	}
}

int log_fail(struct error *error, rd_kafka_resp_err_t err, const char *what, const char *name)
{
	const char *remedy = log_remedy(err);
	int code = ERROR_LOG;
	enum error_action action = ERROR_ACTION_RETRY;

	switch (err) {
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION: /* no topic can have such a name */
		return error_set(error, ERROR_NOT_FOUND, action, "%s: Kafka has no topic or partition %s",
		                 what, name);
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
	case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
	case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
		code = ERROR_TIMEOUT;
		break;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR__FATAL:
		action = ERROR_ACTION_FATAL;
		break;
	default:
		break;
	}
	return error_set(error, code, action, "%s %s: %s%s%s", what, name, rd_kafka_err2str(err),
	                 remedy[0] == 0 ? "" : "; ", remedy);
}

/* A topic that 2.0.2 once did not find is not looked for again before the next refresh, minutes later: ask. One that
 * may not be seen is among those that it says not to know; the answer to this question tells them apart. */
rd_kafka_resp_err_t log_look_again(rd_kafka_t *rk, const char *topic, int timeout_ms)
{
	rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
	rd_kafka_resp_err_t found = RD_KAFKA_RESP_ERR_NO_ERROR;
	const struct rd_kafka_metadata *metadata;

	if (handle == NULL)
		return found;
	if (rd_kafka_metadata(rk, 0, handle, &metadata, timeout_ms) == RD_KAFKA_RESP_ERR_NO_ERROR) {
		if (metadata->topic_cnt == 1)
			found = metadata->topics[0].err;
		rd_kafka_metadata_destroy(metadata);
	}
	rd_kafka_topic_destroy(handle);
	return found;
}

rd_kafka_topic_partition_list_t *log_partition_list(const struct log_partitions *asked, int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)asked->len);

	for (size_t i = 0; i < asked->len; i++)
		rd_kafka_topic_partition_list_add(list, asked->topic, asked->partitions[i])->offset = offset;
	return list;
}

/* With isolation.level=read_committed, 2.0.2 answers the last stable offset here (seen with a transaction left
 * open), behind the markers of ended transactions. */
int log_watermarks(rd_kafka_t *rk, const char *topic, int32_t partition, int timeout_ms,
                   struct log_ends *ends, struct error *error)
{
	int64_t low, high;
	rd_kafka_resp_err_t err =
		rd_kafka_query_watermark_offsets(rk, topic, partition, &low, &high, timeout_ms);

	if (err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
	    err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
	    err == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION) {
		err = log_look_again(rk, topic, timeout_ms);
		if (err != RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
			err = rd_kafka_query_watermark_offsets(rk, topic, partition, &low, &high, timeout_ms);
	}
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return log_fail(error, err, "asking for the offsets of", topic);
	log_reached();
	*ends = (struct log_ends){low, high};
	return 0;
}

/* ---- waiting ---- */

static bool stopped_within(int timeout_ms)
{
	struct pollfd stop = {.fd = atomic_load(&stop_fd), .events = POLLIN};

	return poll(&stop, 1, timeout_ms) > 0;
}

int log_wait(int (*attempt)(void *context, struct error *error), void *context, const char *what,
             struct error *error)
{
	bool waiting = false;
	int status;

	while ((status = attempt(context, error)) != 0 && error->action == ERROR_ACTION_RETRY) {
		if (!waiting)
			logline(LOG_LEVEL_WARN, "kafka_waiting", "for=\"%s\" reason=\"%s\"", what,
			        error->text);
		waiting = true;
		if (stopped_within(WAIT_PAUSE_MS))
			return error_set(error, ERROR_STATE, ERROR_ACTION_RETRY,
			                 "asked to end while waiting for %s", what);
	}
	if (status == 0 && waiting)
		logline(LOG_LEVEL_INFO, "kafka_waited", "for=\"%s\"", what);
	return status;
}

int log_event_open(struct error *error)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd < 0)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY, "eventfd: %s", strerror(errno));
	return fd;
}

void log_event_watch(rd_kafka_queue_t *queue, int fd)
{
	static const uint64_t one = 1;

	rd_kafka_queue_io_event_enable(queue, fd, &one, sizeof one);
}

void log_event_clear(int fd)
{
	uint64_t count;

	/* EAGAIN: it was clear already */
	if (read(fd, &count, sizeof count) < 0)
		return;
}

void log_event_set(int fd)
{
	const uint64_t one = 1;

	/* EAGAIN: it is set already, more often than anybody counts */
	if (write(fd, &one, sizeof one) < 0)
		return;
}

/* ---- records ---- */

static int read_headers(const rd_kafka_message_t *message, struct log_headers *headers, struct record *record,
                        struct error *error)
{
	rd_kafka_headers_t *list;
	size_t len;

	record->headers = NULL;
	record->headers_len = 0;
	if (rd_kafka_message_headers(message, &list) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	len = rd_kafka_header_cnt(list);
	if (len > headers->size) {
		struct record_header *grown = realloc(headers->list, len * sizeof *grown);

		if (grown == NULL)
			return error_memory(error, len * sizeof *grown);
		headers->list = grown;
		headers->size = len;
	}
	for (size_t i = 0; i < len; i++) {
		const char *name;
		const void *value;
		size_t size;

		if (rd_kafka_header_get_all(list, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		headers->list[i] = (struct record_header){slice_string(name), slice_of(value, size)};
		record->headers_len = i + 1;
	}
	record->headers = headers->list;
	return 0;
}

int log_record(const rd_kafka_message_t *message, struct log_headers *headers, struct record *record,
               struct error *error)
{
	rd_kafka_timestamp_type_t type;
	int64_t timestamp = rd_kafka_message_timestamp(message, &type);

	record->offset = message->offset;
	record->timestamp_ms = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp;
	record->key = slice_of(message->key, message->key == NULL ? 0 : message->key_len);
	record->value = slice_of(message->payload, message->payload == NULL ? 0 : message->len);
	log_reached();
	return read_headers(message, headers, record, error);
}
