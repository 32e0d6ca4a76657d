/*
 * Log: a topic written and read with librdkafka alone.
 *
 *   bench_log produce TOPIC RECORDS IDENTITIES
 *   bench_log bare    TOPIC RECORDS
 *
 * with `kafka:` from the configuration (MILLRACE_CONFIG). produce: records of
 * 1 KB into partition 0, with IDENTITIES 1 each has a random idempotency key.
 * bare: a consumer that looks at nothing; its time is from the first record
 * on. A line of JSON says how it went.
 */
#include "tests/bench/clocks.h"

#include <librdkafka/rdkafka.h>

#define BODY_BYTES 1024
#define WAIT_MS_MAX 60000

struct bench {
	const char *topic;
	int64_t records;
	struct config *config;
};

static void set_property(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char reason[256];

	if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) != RD_KAFKA_CONF_OK)
		fail(name, reason);
}

static rd_kafka_t *open_handle(const struct bench *bench, rd_kafka_type_t type)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	const struct config_property *properties;
	size_t len = config_kafka(bench->config, &properties);
	char reason[256];
	rd_kafka_t *rk;

	for (size_t i = 0; i < len; i++)
		set_property(conf, properties[i].name, properties[i].value);
	if (type == RD_KAFKA_PRODUCER) {
		set_property(conf, "acks", "all");
		set_property(conf, "linger.ms", "20");
		set_property(conf, "enable.idempotence", "true");
	} else {
		set_property(conf, "group.id", "bench");
		set_property(conf, "enable.auto.commit", "false");
		set_property(conf, "check.crcs", "true");
	}
	rk = rd_kafka_new(type, conf, reason, sizeof reason);
	if (rk == NULL)
		fail("librdkafka", reason);
	return rk;
}

/* An object of BODY_BYTES: words that are like no other record's. */
static void print_body(char body[BODY_BYTES + 1], int64_t number, uint64_t *random)
{
	int len = snprintf(body, BODY_BYTES, "{\"id\":\"d%" PRId64 "\",\"text\":\"", number);

	while (len < BODY_BYTES - 2) {
		uint64_t letters = next_random(random);

		for (int i = 0; i < 9 && len < BODY_BYTES - 2; i++, letters /= 26)
			body[len++] = i == 8 ? ' ' : (char)('a' + letters % 26);
	}
	memcpy(body + len, "\"}", 3);
}

static void produce(struct bench *bench, bool identities)
{
	rd_kafka_t *rk = open_handle(bench, RD_KAFKA_PRODUCER);
	struct clocks from = read_clocks();
	uint64_t random = 1;

	for (int64_t i = 0; i < bench->records; i++) {
		char body[BODY_BYTES + 1];
		char key[24];
		char identity[40];
		int key_len = snprintf(key, sizeof key, "d%" PRId64, i);
		int identity_len = identities
		                           ? snprintf(identity, sizeof identity, "%016" PRIx64 "%016" PRIx64,
		                                      next_random(&random), next_random(&random))
		                           : 0;
		rd_kafka_resp_err_t err;

		print_body(body, i, &random);
		do {
			rd_kafka_headers_t *headers = identities ? rd_kafka_headers_new(1) : NULL;

			if (identities)
				(void)rd_kafka_header_add(headers, "idempotency-key", -1, identity,
				                          identity_len);
			err = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(bench->topic), RD_KAFKA_V_PARTITION(0),
			                        RD_KAFKA_V_KEY(key, (size_t)key_len),
			                        RD_KAFKA_V_VALUE(body, (size_t)BODY_BYTES),
			                        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
			                        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
			if (err != RD_KAFKA_RESP_ERR_NO_ERROR && headers != NULL)
				rd_kafka_headers_destroy(headers);
			(void)rd_kafka_poll(rk, err == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 50 : 0);
		} while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL);
		if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
			fail("produce", rd_kafka_err2str(err));
	}
	if (rd_kafka_flush(rk, WAIT_MS_MAX) != RD_KAFKA_RESP_ERR_NO_ERROR)
		fail("produce", "not everything was acknowledged within a minute");
	report(bench->records, &from);
	rd_kafka_destroy(rk);
}

static void bare(struct bench *bench)
{
	rd_kafka_t *rk = open_handle(bench, RD_KAFKA_CONSUMER);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	struct clocks from = {0};
	uint64_t bytes = 0;

	rd_kafka_topic_partition_list_add(list, bench->topic, 0)->offset = 0;
	(void)rd_kafka_poll_set_consumer(rk);
	if (rd_kafka_assign(rk, list) != RD_KAFKA_RESP_ERR_NO_ERROR)
		fail(bench->topic, "cannot be read");
	for (int64_t i = 0; i < bench->records;) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, WAIT_MS_MAX);

		if (message == NULL)
			fail(bench->topic, "no record within a minute");
		if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
			if (i++ == 0)
				from = read_clocks();
			bytes += message->len;
		}
		rd_kafka_message_destroy(message);
	}
	report(bench->records, &from);
	(void)printf(", \"bytes\": %" PRIu64, bytes);
	rd_kafka_topic_partition_list_destroy(list);
	(void)rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
}

int main(int argc, char **argv)
{
	struct bench bench = {0};

	if (argc < 4)
		fail("arguments", "bench_log produce TOPIC RECORDS IDENTITIES | bare TOPIC RECORDS");
	bench.topic = argv[2];
	bench.records = strtoll(argv[3], NULL, 10);
	bench.config = load_config(argv[0]);
	if (strcmp(argv[1], "produce") == 0 && argc == 5)
		produce(&bench, strcmp(argv[4], "1") == 0);
	else if (strcmp(argv[1], "bare") == 0)
		bare(&bench);
	(void)printf("}\n");
	config_free(bench.config);
	return 0;
}
