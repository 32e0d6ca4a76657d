#include "rebalance/office_private.h"

#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define TAKE_TIMEOUT_MS 20000
#define FIRST_TIMEOUT_MS 2000 /* a signal waits for it */
#define READ_TIMEOUT_MS 200
#define RETRY_MS 1000
#define TURN_MS 100 /* the longest that the core is not told the time */
/* Fairness: so many requests are read before actions get their turn. */
#define TURN_RECORDS 256
/* Of the slots topic: whoever owns it takes office. */
#define OFFICE_SLOT 1U
/* Of the topology's offsets in client ids, so that their order is that of the texts. */
#define ORDER_DIGITS 12

/* Beside 0 and error codes: why office_run goes on. */
enum outcome {
	OUTCOME_SIGNAL = 1,
	OUTCOME_NOT_ELECTED
};

/* What only the controller writes, and reads once: when it takes office. */
enum topic {
	TOPIC_META,
	TOPIC_TOPOLOGY,
	TOPIC_TASK_STATES,
	TOPICS
};

static const char *const suffixes[TOPICS] = {"meta", "topology", "task-states"};

/* ---- new and free ---- */

static void declare_metrics(struct office *office)
{
	struct metric *tasks = metric_new(METRIC_TYPE_COUNTER, "millrace_controller_tasks_total",
	                                  "Requests that got their final", "status");

	office->succeeded = metric_series(tasks, (const char *const[]){"succeeded"});
	office->failed = metric_series(tasks, (const char *const[]){"failed"});
	office->in_office = metric_series(metric_new(METRIC_TYPE_GAUGE, "millrace_controller_in_office",
	                                             "1 while this process is the controller", ""),
	                                  NULL);
	office->changes = metric_new(METRIC_TYPE_COUNTER, "millrace_controller_replica_changes_total",
	                             "Recorded changes of replicas: out of in-sync, in again, joining, …",
	                             "change,reason");
	office->nodes_answering =
		metric_series(metric_new(METRIC_TYPE_GAUGE, "millrace_controller_nodes_answering",
	                                 "Nodes whose last answer was good", ""),
	                      NULL);
	office->shards_divergent =
		metric_series(metric_new(METRIC_TYPE_GAUGE, "millrace_controller_shards_divergent",
	                                 "Shards of which two in-sync replicas were seen to differ", ""),
	                      NULL);
	office->replicas_out = metric_series(metric_new(METRIC_TYPE_GAUGE, "millrace_controller_replicas_out",
	                                                "Recorded replicas that are not in-sync", ""),
	                                     NULL);
}

int office_new(const struct config *config, struct log_connection *connection, int signal_fd,
               struct office **office, struct error *error)
{
	const struct config_node *nodes;
	size_t nodes_len = config_nodes(config, &nodes);
	struct office *made;
	int rc;

	if (nodes_len > NODES_MAX)
		return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL,
		                 "topology.groups names %zu nodes, at most %d are supported", nodes_len,
		                 NODES_MAX);
	made = calloc(1, sizeof *made);
	if (made == NULL)
		return error_memory(error, sizeof *made);
	rc = polling_start(config, &made->polling, error);
	if (rc == 0)
		rc = replaying_new(config, &made->replaying, error);
	if (rc != 0) {
		polling_stop(made->polling);
		free(made);
		return rc;
	}
	made->config = config;
	made->connection = connection;
	made->signal_fd = signal_fd;
	made->nodes_len = nodes_len;
	for (size_t i = 0; i < nodes_len; i++) {
		(void)snprintf(made->nodes[i].id, sizeof made->nodes[i].id, "%s", nodes[i].id);
		(void)snprintf(made->nodes[i].group, sizeof made->nodes[i].group, "%s", nodes[i].group);
		(void)snprintf(made->nodes[i].url, sizeof made->nodes[i].url, "%s", nodes[i].url);
	}
	(void)pthread_mutex_init(&made->status_lock, NULL);
	declare_metrics(made);
	*office = made;
	return 0;
}

static void leave(struct office *office)
{
	struct error ignored; /* an engine that has ended lets go of everything as well */

	(void)replaying_want(office->replaying, false, &ignored);
	atomic_store(&office->state, office->owner != NULL ? OFFICE_STATE_STANDING_BY : OFFICE_STATE_WAITING);
	series_set(office->in_office, 0);
	office_unpublish(office);
	controller_free(office->controller);
	office->controller = NULL;
	rebuild_ends_free(office->rebuild_ends);
	office->rebuild_ends = NULL;
	if (office->reader != NULL)
		log_reader_close(office->reader);
	office->reader = NULL;
	if (office->log != NULL)
		log_office_leave(office->log);
	office->log = NULL;
}

bool office_free(struct office *office)
{
	if (office == NULL)
		return true;
	leave(office);
	if (!replaying_free(office->replaying))
		return false;
	polling_stop(office->polling);
	log_owner_close(office->owner);
	(void)pthread_mutex_destroy(&office->status_lock);
	buffer_deinit(&office->status);
	free(office);
	return true;
}

enum office_state office_state(const struct office *office)
{
	return (enum office_state)atomic_load(&office->state);
}

/* True if the signal came within that time. */
static bool signalled(const struct office *office, int timeout_ms)
{
	struct pollfd fd = {.fd = office->signal_fd, .events = POLLIN};

	return poll(&fd, 1, timeout_ms) == 1;
}

/* ---- election ---- */

static bool is_elected(struct office *office)
{
	(void)log_owner_poll(office->owner, &office->slots);
	return (office->slots & OFFICE_SLOT) != 0;
}

/*
 * How long the topology was when we joined, so that who joins later comes later: the lowest member id is elected, it
 * begins with the client id, and taking office writes there. Thus nobody who comes back takes the office away again
 * from who has it. Two that joined at one length are ordered by their places.
 */
static int election_order(struct office *office, int64_t *order, struct error *error)
{
	const int32_t partition = 0;
	const struct log_partitions asked = {log_name(office->connection, suffixes[TOPIC_TOPOLOGY]),
	                                     &partition, 1};
	struct log_ends ends;
	int rc = log_ask_all_ends(office->connection, &asked, FIRST_TIMEOUT_MS, &ends, error);

	if (rc == 0)
		*order = ends.end;
	return rc;
}

/* When it is the first time it may take as long as Kafka is down. */
static int join_election(struct office *office, struct error *error)
{
	char client_id[NODE_URL_BYTES_MAX + 64];
	const struct log_owner_options election = {
		.group = "controllers", .topic = "slots", .client_id = client_id};
	int64_t order = 0;
	int rc = 0;

	if (office->owner != NULL)
		return 0;
	rc = log_cluster_id(office->connection, FIRST_TIMEOUT_MS, office->kafka_id, error);
	if (rc == 0)
		rc = log_create_own_topics(office->connection, KAFKA_TIMEOUT_MS, error);
	if (rc == 0)
		rc = election_order(office, &order, error);
	(void)snprintf(client_id, sizeof client_id, "millrace-rebalance.%0*" PRId64 "@%s", ORDER_DIGITS,
	               order, office->url + strlen("http://"));
	if (rc == 0)
		rc = log_owner_open(office->config, &election, &office->owner, error);
	return rc;
}

/* Whoever lost the office queues up behind the others. */
static void leave_election(struct office *office)
{
	log_owner_close(office->owner);
	office->owner = NULL;
	office->slots = 0;
}

/* Until elected (0) or signalled. */
static int stand_by(struct office *office, struct error *error)
{
	int rc = join_election(office, error);
	bool said = false;

	if (rc != 0)
		return rc;
	atomic_store(&office->state, OFFICE_STATE_STANDING_BY);
	while (!is_elected(office)) {
		struct pollfd fds[] = {{.fd = office->signal_fd, .events = POLLIN},
		                       {.fd = log_owner_fd(office->owner), .events = POLLIN}};

		if (!said)
			logline(LOG_LEVEL_INFO, "standing_by", "kafka=%s", office->kafka_id);
		said = true;
		if (poll(fds, 2, READ_TIMEOUT_MS) > 0 && fds[0].revents != 0)
			return OUTCOME_SIGNAL;
	}
	return 0;
}

/* ---- taking office ---- */

static int read_record(struct office *office, size_t topic, const struct record *record, struct error *error)
{
	switch (topic) {
	case TOPIC_META:
		return controller_read_meta(office->controller, record->offset, record->key, record->value,
		                            error);
	case TOPIC_TOPOLOGY:
		return controller_read_topology(office->controller, record->offset, record->key,
		                                record->value, error);
	default:
		controller_read_final(office->controller, record->value);
		return 0;
	}
}

static int read_request(struct office *office, size_t topic, const struct record *record, struct error *error)
{
	(void)topic; /* there is one */
	return controller_read_task(office->controller, record->offset, record->value, error);
}

/* 0 at the end of all topics of the reader. */
static int read_to_end(struct office *office,
                       int (*read)(struct office *, size_t, const struct record *, struct error *),
                       struct error *error)
{
	for (;;) {
		enum log_event event;
		struct record record;
		size_t topic;
		int rc = log_reader_next(office->reader, READ_TIMEOUT_MS, &event, &topic, &record, error);

		if (rc == 0 && event == LOG_EVENT_END)
			return 0;
		if (rc == 0 && event == LOG_EVENT_RECORD)
			rc = read(office, topic, &record, error);
		if (rc < 0)
			return rc;
		if (event == LOG_EVENT_NONE && signalled(office, 0))
			return OUTCOME_SIGNAL;
	}
}

/* Requests come last: what is recorded says where those that are not done begin. */
static int read_everything(struct office *office, struct error *error)
{
	int rc = log_reader_open(office->config, suffixes, TOPICS, &office->reader, error);

	if (rc == 0)
		rc = read_to_end(office, read_record, error);
	if (rc == 0)
		rc = controller_check(office->controller, error);
	if (rc != 0)
		return rc;
	log_reader_close(office->reader);
	office->reader = NULL;
	rc = log_reader_open_from(office->config, "tasks", controller_oldest_task(office->controller),
	                          &office->reader, error);
	return rc == 0 ? read_to_end(office, read_request, error) : rc;
}

/* First the producer, then everything to its end. */
static int take(struct office *office, struct error *error)
{
	struct controller_options options = {
		.cluster = config_string(office->config, "cluster"),
		.kafka_id = office->kafka_id,
		.url = office->url,
		.rf = (int32_t)config_int(office->config, "topology.rf"),
		.dedup_window = config_int(office->config, "index_defaults.dedup_window"),
		.nodes = office->nodes,
		.nodes_len = office->nodes_len,
	};
	const struct node_report *old;
	int rc = log_cluster_id(office->connection, FIRST_TIMEOUT_MS, office->kafka_id, error);

	while (polling_next(office->polling, &old))
		; /* of an earlier term: nobody knows any more when it came */
	if (rc == 0)
		rc = log_office_take(office->config, TAKE_TIMEOUT_MS, &office->log, error);
	if (rc != 0)
		return rc;
	atomic_store(&office->state, OFFICE_STATE_READING);
	office->controller = controller_new(&options);
	office->rebuild_ends = rebuild_ends_new(office->config);
	if (office->controller == NULL || office->rebuild_ends == NULL)
		return error_memory(error, 0);
	rc = read_everything(office, error);
	if (rc != 0)
		return rc;
	atomic_store(&office->state, OFFICE_STATE_IN_OFFICE);
	series_set(office->in_office, 1);
	logline(LOG_LEVEL_INFO, "took_office", "kafka=%s pending=%zu tasks_from=%" PRId64, office->kafka_id,
	        controller_pending(office->controller), controller_oldest_task(office->controller));
	return 0;
}

/* ---- in office ---- */

/* Requests that have arrived. */
static int read_requests(struct office *office, struct error *error)
{
	enum log_event event = LOG_EVENT_RECORD;
	int rc = 0;

	for (int i = 0; rc == 0 && event != LOG_EVENT_NONE && i < TURN_RECORDS; i++) {
		struct record record;
		size_t topic = 0;

		rc = log_reader_next(office->reader, 0, &event, &topic, &record, error);
		if (rc == 0 && event == LOG_EVENT_RECORD)
			rc = read_request(office, topic, &record, error);
	}
	return rc;
}

/* Until something happens; true on the signal. */
static bool wait_for_something(const struct office *office, int timeout_ms)
{
	struct pollfd fds[] = {
		{.fd = office->signal_fd, .events = POLLIN},
		{.fd = log_reader_fd(office->reader), .events = POLLIN},
		{.fd = polling_fd(office->polling), .events = POLLIN},
		{.fd = log_owner_fd(office->owner), .events = POLLIN},
	};

	return poll(fds, sizeof fds / sizeof *fds, timeout_ms < TURN_MS ? timeout_ms : TURN_MS) > 0 &&
	       fds[0].revents != 0;
}

static int serve(struct office *office, struct error *error)
{
	for (;;) {
		bool more = false;
		int wait_ms;
		int rc = read_requests(office, error);

		if (rc == 0)
			rc = office_act(office, &more, error);
		if (rc != 0)
			return rc;
		rebuild_ends_keep(office->rebuild_ends, controller_catalog(office->controller));
		wait_ms = office_watch(office);
		office_publish(office);
		rc = replaying_want(office->replaying, office->joining, error);
		if (rc != 0)
			return rc;
		if (!is_elected(office))
			return OUTCOME_NOT_ELECTED;
		if (wait_for_something(office, more ? 0 : wait_ms))
			return OUTCOME_SIGNAL;
	}
}

/* Another process took office without being elected, as far as we knew. True: that happens too often. */
static bool is_fight(struct office *office)
{
	size_t place = office->fenced++ % OFFICE_FENCES_MAX;
	int64_t before = office->fenced_ms[place];

	office->fenced_ms[place] = clock_monotonic_ms();
	return office->fenced > OFFICE_FENCES_MAX && office->fenced_ms[place] - before < OFFICE_FENCES_MS;
}

/* What ended a term; 0: stand by again. */
static int judge(struct office *office, int rc, char *said, struct error *error)
{
	if (rc == OUTCOME_NOT_ELECTED || rc == ERROR_FENCED)
		leave_election(office);
	if (rc == OUTCOME_NOT_ELECTED) {
		logline(LOG_LEVEL_INFO, "left_office", "reason=\"another process is elected\"");
		return 0;
	}
	if (rc == ERROR_FENCED && is_fight(office)) {
		error->action = ERROR_ACTION_RETRY;
		return error_prefix(error, "another controller takes office again and again");
	}
	if (rc != ERROR_FENCED && (error->action == ERROR_ACTION_FATAL || rc == ERROR_CONFIGURATION))
		return rc;
	if (strcmp(said, error->text) != 0)
		logline(LOG_LEVEL_WARN, "left_office", "error=\"%s\"", error->text);
	memcpy(said, error->text, sizeof error->text);
	return signalled(office, RETRY_MS) ? OUTCOME_SIGNAL : 0;
}

int office_run(struct office *office, const char *url, struct error *error)
{
	char said[sizeof error->text] = "";

	office->url = url;
	for (;;) {
		int rc = stand_by(office, error);

		if (rc == 0)
			rc = take(office, error);
		if (rc == 0) {
			said[0] = '\0';
			rc = serve(office, error);
		}
		leave(office);
		if (rc != OUTCOME_SIGNAL)
			rc = judge(office, rc, said, error);
		if (rc == OUTCOME_SIGNAL)
			return 0;
		if (rc != 0)
			return rc;
	}
}
