/* Meta and topology: a thread waits for Kafka and opens their reader, the owner follows it. */
#include "shard/node_private.h"

#include "shared/base/assert.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define KAFKA_TIMEOUT_MS 5000
#define OPENING_STOP_MS 6000
/* Fairness: so many records before batches and questions get their turn. */
#define TURN_RECORDS 256

enum followed_topic {
	FOLLOWED_TOPIC_META = 0,
	FOLLOWED_TOPIC_TOPOLOGY,
	FOLLOWED_TOPICS
};

struct opening {
	struct message message; /* to the owner, once everything below is filled */
	struct message known;   /* the same for cluster_id, before the reader waits for its topics */
	const struct config *config;
	struct mailbox *inbox;
	pthread_t thread;
	atomic_bool stop;
	int stop_fd;               /* readable: who waits for Kafka's topics gives up */
	struct log_reader *reader; /* NULL: see error */
	char cluster_id[64];
	struct error error;
};

/* Kafka may be down for long: says so once, and goes on asking. */
static int cluster_ask(struct opening *opening, struct log_connection *connection)
{
	bool said = false;

	while (log_cluster_id(connection, KAFKA_TIMEOUT_MS, opening->cluster_id, &opening->error) != 0) {
		if (opening->error.action != ERROR_ACTION_RETRY || atomic_load(&opening->stop))
			return opening->error.code;
		if (!said)
			logline(LOG_LEVEL_WARN, "waiting_for_kafka", "error=\"%s\"", opening->error.text);
		said = true;
	}
	if (said)
		logline(LOG_LEVEL_INFO, "kafka_is_there", "cluster=%s", opening->cluster_id);
	return 0;
}

static void *run(void *context)
{
	static const char *const suffixes[FOLLOWED_TOPICS] = {"meta", "topology"};
	struct opening *opening = context;
	struct log_connection *connection = NULL;
	int rc = log_connection_open(opening->config, &connection, &opening->error);

	if (rc == 0)
		rc = cluster_ask(opening, connection);
	if (rc == 0)
		ASSERT(mailbox_put(opening->inbox, &opening->known)); /* it has room for this one */
	if (rc == 0)
		rc = log_reader_open(opening->config, suffixes, FOLLOWED_TOPICS, &opening->reader,
		                     &opening->error);
	if (connection != NULL)
		log_connection_close(connection);
	if (rc != 0)
		opening->reader = NULL;
	ASSERT(mailbox_put(opening->inbox, &opening->message)); /* it has room for this one */
	return NULL;
}

static void opening_free(struct opening *opening)
{
	log_set_stop(-1);
	if (opening->stop_fd >= 0)
		(void)close(opening->stop_fd);
	free(opening);
}

int following_start(struct node *node, struct error *error)
{
	struct opening *opening = calloc(1, sizeof *opening);

	if (opening == NULL)
		return error_memory(error, sizeof *opening);
	opening->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (opening->stop_fd < 0) {
		opening_free(opening);
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_FATAL, "no descriptor is left");
	}
	log_set_stop(opening->stop_fd);
	opening->message.kind = MESSAGE_KIND_OPENED;
	opening->known.kind = MESSAGE_KIND_CLUSTER;
	opening->config = node->config;
	opening->inbox = node->inbox;
	if (pthread_create(&opening->thread, NULL, run, opening) != 0) {
		opening_free(opening);
		return error_set(error, ERROR_MEMORY, ERROR_ACTION_FATAL,
		                 "cannot start the thread that opens meta and topology");
	}
	node->opening = opening;
	return 0;
}

void following_cluster(struct node *node)
{
	memcpy(node->cluster_id, node->opening->cluster_id, sizeof node->cluster_id);
	replicas_check_cluster(node);
}

void following_opened(struct node *node, struct message *message)
{
	struct opening *opening = (struct opening *)message;

	ASSERT(opening == node->opening);
	(void)pthread_join(opening->thread, NULL);
	node->opening = NULL;
	if (opening->reader == NULL) {
		if (!node->stopping)
			node_fail(node, &opening->error);
	} else {
		node->reader = opening->reader;
		node->reader_more = true;
	}
	opening_free(opening);
}

static void record_apply(struct node *node, size_t topic, const struct record *record)
{
	enum catalog_topic of = topic == FOLLOWED_TOPIC_META ? CATALOG_TOPIC_META : CATALOG_TOPIC_TOPOLOGY;
	struct error error;

	if (catalog_apply(node->catalog, of, record->offset, record->key, record->value, &error) != 0)
		logline(LOG_LEVEL_ERROR, "record_unreadable", "topic=%s offset=%" PRId64 " error=\"%s\"",
		        topic == FOLLOWED_TOPIC_META ? "meta" : "topology", record->offset, error.text);
	node->decisions_due = node->caught_up;
}

/* The topology may be of another Kafka than the one that answers, if somebody copied topics. */
static void cluster_check(struct node *node)
{
	const struct cluster_record *cluster = catalog_cluster(node->catalog);
	struct error error;

	if (cluster == NULL || cluster->kafka[0] == '\0' || strcmp(cluster->kafka, node->cluster_id) == 0)
		return;
	(void)error_set(
		&error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL,
		"the topology topic was written for Kafka cluster %s, this is %s: wrong Kafka or copied "
		"topics; nothing was changed",
		cluster->kafka, node->cluster_id);
	node_fail(node, &error);
}

void following_turn(struct node *node)
{
	enum log_event event = LOG_EVENT_RECORD;
	struct error error;

	for (int i = 0; node->reader_more && event != LOG_EVENT_NONE && i < TURN_RECORDS; i++) {
		struct record record;
		size_t topic = 0;

		if (log_reader_next(node->reader, 0, &event, &topic, &record, &error) != 0) {
			node->reader_more = false;
			node_fail(node, &error);
			return;
		}
		if (event == LOG_EVENT_RECORD) {
			record_apply(node, topic, &record);
		} else if (event == LOG_EVENT_END) {
			node->caught_up = true;
			node->decisions_due = true;
			logline(LOG_LEVEL_INFO, "caught_up", "topics=meta,topology");
			cluster_check(node);
		}
	}
	node->reader_more = node->reader_more && event != LOG_EVENT_NONE;
}

bool following_stop(struct node *node)
{
	struct timespec deadline;

	if (node->reader != NULL)
		log_reader_close(node->reader);
	node->reader = NULL;
	if (node->opening == NULL)
		return true;
	atomic_store(&node->opening->stop, true);
	ASSERT(eventfd_write(node->opening->stop_fd, 1) == 0);
	(void)clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += OPENING_STOP_MS / 1000;
	if (pthread_timedjoin_np(node->opening->thread, NULL, &deadline) != 0)
		return false;
	if (node->opening->reader != NULL)
		log_reader_close(node->opening->reader);
	opening_free(node->opening);
	node->opening = NULL;
	return true;
}
