/* The asking thread and its questions. */
#include "shared/feeding/asking.h"

#include "shared/base/assert.h"
#include "shared/feed/standing.h"
#include "shared/runtime/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define QUESTION_BYTES_MAX (16U * 1024 * 1024)
#define ALL_MS 3000    /* one call about all partitions: a loaded broker takes its time */
#define ONE_MS 1000    /* one about one of them */
#define SINGLY_MS 3000 /* partitions of a question, asked one after the other */
#define CLIENT_ID_BYTES 128

/* A handle to close, which may take a while. */
struct feed_ended {
	struct message message;
	struct log_feed *feed;
};

struct asking {
	const struct config *config;
	struct mailbox *messages; /* questions, ended feeds, stop */
	struct mailbox *inbox;
	struct log_connection *connection;
	struct log_feed *feed;    /* only for what is committed */
	size_t message_bytes_max; /* of the dead-letter topic; 0: not yet asked */
	size_t turn;              /* whose turn it is among a question's items */
	bool elects;
	char client_id[CLIENT_ID_BYTES];
	pthread_t thread;
	struct message stop; /* ends the thread */
};

struct question *question_new(uint64_t index_id, uint32_t node)
{
	struct question *question = calloc(1, sizeof *question);

	if (question == NULL)
		return NULL;
	question->message.kind = MESSAGE_KIND_QUESTION;
	question->index_id = index_id;
	question->node = node;
	buffer_init(&question->answer, QUESTION_BYTES_MAX);
	return question;
}

bool question_add(struct question *question, const struct question_item *item)
{
	if (question->items_len == question->items_size) {
		size_t size = question->items_size ? question->items_size * 2 : 8;
		struct question_item *items = realloc(question->items, size * sizeof *items);

		if (items == NULL)
			return false;
		question->items = items;
		question->items_size = size;
	}
	question->items[question->items_len++] = *item;
	return true;
}

void question_free(struct question *question)
{
	buffer_deinit(&question->answer);
	free(question->items);
	free(question);
}

/* cleanup.policy is a list of names. */
static void check_policy(struct question *question, const char *policy)
{
	if (strstr(policy, "compact") == NULL)
		return;
	for (size_t i = 0; i < question->items_len; i++) {
		struct question_item *item = &question->items[i];

		if (!item->asked.replica_answered)
			continue;
		(void)snprintf(
			item->obstacle, sizeof item->obstacle,
			"topic %.150s has cleanup.policy=%.30s: compaction rewrites the log; set it to "
			"delete",
			question->topic, policy);
		item->asked.obstacle = item->obstacle;
	}
}

static int ask_replica(const struct question *question, const struct standing *standing,
                       struct question_item *item, struct error *error)
{
	struct range_answer wanted = {.index_id = question->index_id, .partition = item->partition};
	struct slice reason;
	int rc;

	rc = standing_find(standing, &wanted, question->generation, &item->asked.replica, &reason, error);
	if (rc != 0)
		return rc;
	item->asked.replica_answered = true;
	if (item->asked.replica.result == RANGE_RESULT_STOPPED) {
		(void)snprintf(item->obstacle, sizeof item->obstacle, "the replica has stopped: %.*s",
		               (int)(reason.len < 200 ? reason.len : 200),
		               reason.ptr ? (const char *)reason.ptr : "");
		item->asked.obstacle = item->obstacle;
	}
	return 0;
}

/* As if the node had not answered for this one: it is asked again. */
static void leave_unanswered(struct question_item *item)
{
	item->asked.replica_answered = false;
	item->asked.obstacle = NULL;
}

/* Of `items`, at most INDEX_PARTITIONS_MAX: all of them or an error. */
static int ask_log(struct asking *asking, const char *topic, struct question_item *const *items, size_t len,
                   struct error *error)
{
	int64_t committed[INDEX_PARTITIONS_MAX];
	struct log_ends ends[INDEX_PARTITIONS_MAX];
	int32_t partitions[INDEX_PARTITIONS_MAX];
	struct log_partitions asked = {.topic = topic, .partitions = partitions, .len = len};
	int timeout_ms = len > 1 ? ALL_MS : ONE_MS;
	int rc;

	for (size_t i = 0; i < len; i++)
		partitions[i] = items[i]->partition;
	rc = log_feed_committed_all(asking->feed, &asked, timeout_ms, committed, error);
	if (rc == 0)
		rc = log_ask_all_ends(asking->connection, &asked, timeout_ms, ends, error);
	for (size_t i = 0; i < len && rc == 0; i++) {
		items[i]->asked.committed = committed[i];
		items[i]->asked.log_start = ends[i].start;
		items[i]->asked.log_end = ends[i].end;
	}
	return rc;
}

/* Each by itself: a partition without a leader takes its time, and the others their turns before it. Negative if
 * any could not be answered, for the last reason. */
static int ask_log_singly(struct asking *asking, const char *topic, struct question_item *const *items,
                          size_t len, struct error *error)
{
	int64_t deadline_ms = clock_monotonic_ms() + SINGLY_MS;
	int result = 0;

	asking->turn++;
	for (size_t i = 0; i < len; i++) {
		struct question_item *item = items[(asking->turn + i) % len];
		int rc;

		if (clock_monotonic_ms() >= deadline_ms)
			rc = error_set(error, ERROR_TIMEOUT, ERROR_ACTION_RETRY,
			               "Kafka has not answered in %d ms", SINGLY_MS);
		else
			rc = ask_log(asking, topic, &item, 1, error);
		if (rc == 0)
			continue;
		leave_unanswered(item);
		result = rc;
	}
	return result;
}

static int ask_items(struct asking *asking, struct question *question, const struct standing *standing,
                     struct error *error)
{
	struct question_item *items[INDEX_PARTITIONS_MAX];
	size_t len = 0;
	int result = 0;

	ASSERT(question->items_len <= INDEX_PARTITIONS_MAX);
	for (size_t i = 0; i < question->items_len; i++) {
		struct question_item *item = &question->items[i];
		int rc = ask_replica(question, standing, item, error);

		if (rc == 0 && item->asked.replica.result == RANGE_RESULT_ALREADY)
			items[len++] = item;
		if (rc == 0)
			continue;
		leave_unanswered(item);
		result = rc;
	}
	if (len > 0 && ask_log(asking, question->topic, items, len, error) != 0 &&
	    ask_log_singly(asking, question->topic, items, len, error) != 0)
		result = error->code;
	return result;
}

/* The replicas' state is in the question; what the log says must be read after it. */
static int ask_all(struct asking *asking, struct question *question, struct standing *standing,
                   struct error *error)
{
	char policy[128];
	int rc = log_topic_setting(asking->connection, question->topic, "cleanup.policy", ALL_MS, policy,
	                           error);

	if (rc != 0) {
		for (size_t i = 0; i < question->items_len; i++)
			leave_unanswered(&question->items[i]);
		return rc;
	}
	rc = ask_items(asking, question, standing, error);
	check_policy(question, policy);
	return rc;
}

/* Asked once, when there is something to feed: by then the topic exists. */
static size_t message_bytes_max(struct asking *asking)
{
	char value[128];
	struct error error;

	if (asking->message_bytes_max == 0 &&
	    log_topic_setting(asking->connection, log_name(asking->connection, "dead-letter"),
	                      "max.message.bytes", ALL_MS, value, &error) == 0)
		asking->message_bytes_max = strtoull(value, NULL, 10);
	return asking->message_bytes_max;
}

/* What the node has answered, if it is the one that was meant. */
static int read_standing(struct question *question, struct standing **standing, struct error *error)
{
	struct standing *parsed;
	int rc = standing_parse(buffer_slice(&question->answer), &parsed, error);

	if (rc != 0)
		return rc;
	rc = standing_check_node(parsed, question->node_id, error);
	if (rc != 0)
		standing_free(parsed);
	else
		*standing = parsed;
	return rc;
}

static void answer(struct asking *asking, struct question *question)
{
	struct standing *standing;

	if (question->node_error.code == 0 &&
	    read_standing(question, &standing, &question->node_error) == 0) {
		if (ask_all(asking, question, standing, &question->log_error) == 0)
			question->message_bytes_max = message_bytes_max(asking);
		standing_free(standing);
	}
	ASSERT(mailbox_put(asking->inbox, &question->message));
}

static void open_log(struct asking *asking)
{
	static const char *const suffixes[FOLLOWED_TOPICS] = {
		[FOLLOWED_TOPIC_META] = "meta",
		[FOLLOWED_TOPIC_TOPOLOGY] = "topology",
	};
	const struct log_owner_options slots = {
		.group = "ingest-slots", .topic = "slots", .client_id = asking->client_id};
	struct log_opened *opened = calloc(1, sizeof *opened);
	int rc;

	ASSERT(opened != NULL); /* at start, a few hundred bytes */
	opened->message.kind = MESSAGE_KIND_LOG_OPENED;
	rc = log_reader_open(asking->config, suffixes, FOLLOWED_TOPICS, &opened->reader, &opened->error);
	if (rc == 0 && asking->elects &&
	    log_owner_open(asking->config, &slots, &opened->owner, &opened->error) != 0) {
		log_reader_close(opened->reader);
		opened->reader = NULL;
	}
	ASSERT(mailbox_put(asking->inbox, &opened->message));
}

static void close_feed(struct feed_ended *ended)
{
	log_feed_close(ended->feed);
	free(ended);
}

static void *run(void *context)
{
	struct asking *asking = context;
	struct message *message;

	open_log(asking);
	while ((message = mailbox_wait(asking->messages, -1)) != &asking->stop) {
		if (message->kind == MESSAGE_KIND_FEED_ENDED)
			close_feed((struct feed_ended *)message);
		else
			answer(asking, (struct question *)message);
	}
	return NULL;
}

static void asking_free(struct asking *asking)
{
	struct message *message;

	while ((message = mailbox_take(asking->messages)) != NULL) {
		if (message->kind == MESSAGE_KIND_FEED_ENDED)
			close_feed((struct feed_ended *)message);
		else
			question_free((struct question *)message);
	}
	mailbox_free(asking->messages);
	if (asking->feed != NULL)
		log_feed_close(asking->feed);
	free(asking);
}

int asking_start(const struct asking_options *options, struct asking **asking, struct error *error)
{
	struct asking *started = calloc(1, sizeof *started);
	int rc;

	if (started == NULL)
		return error_memory(error, sizeof *started);
	started->config = options->config;
	started->connection = options->connection;
	started->inbox = options->inbox;
	started->elects = options->address != NULL;
	/* from the group's description others learn where to ask for the status */
	(void)snprintf(started->client_id, sizeof started->client_id, "millrace-ingest@%s",
	               started->elects ? options->address : "");
	started->messages = mailbox_new(QUESTIONS_MAX + FEEDS_ENDED_MAX + 1);
	if (started->messages == NULL) {
		free(started);
		return error_memory(error, QUESTIONS_MAX * sizeof(void *));
	}
	rc = log_feed_open(started->config, &started->feed, error);
	if (rc == 0 && pthread_create(&started->thread, NULL, run, started) != 0)
		rc = error_set(error, ERROR_MEMORY, ERROR_ACTION_FATAL, "cannot start the asking thread");
	if (rc != 0) {
		asking_free(started);
		return rc;
	}
	*asking = started;
	return 0;
}

void asking_put(struct asking *asking, struct question *question)
{
	ASSERT(mailbox_put(asking->messages, question));
}

bool asking_close_feed(struct asking *asking, struct log_feed *feed)
{
	struct feed_ended *ended = malloc(sizeof *ended);

	if (ended == NULL)
		return false;
	*ended = (struct feed_ended){{MESSAGE_KIND_FEED_ENDED}, feed};
	if (mailbox_put(asking->messages, ended))
		return true;
	free(ended);
	return false;
}

bool asking_stop(struct asking *asking, int timeout_ms)
{
	struct timespec deadline;

	(void)clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += timeout_ms / 1000;
	ASSERT(mailbox_put(asking->messages, &asking->stop));
	if (pthread_timedjoin_np(asking->thread, NULL, &deadline) != 0)
		return false;
	asking_free(asking);
	return true;
}
