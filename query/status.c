#include "query/status.h"

#include "query/core/cluster_report.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/mailbox.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_BYTES_MAX (64U * 1024 * 1024)
#define ARENA_BLOCK_BYTES (64 * 1024)
#define URL_BYTES_MAX (NODE_URL_BYTES_MAX + 1)
#define ASKED_MAX (NODES_MAX + 2 * LOG_MEMBERS_MAX)
#define LOGS_MS 3000 /* for the ends of all logs together */

struct status_desk {
	struct gateway *gateway;
	const struct config *config;
	struct mailbox
		*waiting; /* struct exchange *, freed by the thread; &wake makes it look at `stopping` */
	struct exchange wake;
	pthread_t thread;
	struct log_connection *connection; /* NULL until first needed */
	atomic_bool stopping;
};

/* One program that is asked; filled by the client's thread under the inquiry's lock. */
struct asked {
	struct inquiry *inquiry;
	char url[URL_BYTES_MAX];
	const char *name; /* a node's id; of the snapshot */
	struct buffer body;
	int64_t heard_ms;
	char trouble[160];
};

/* All of one request; owned by the desk's thread. */
struct inquiry {
	struct status_desk *desk;
	const struct snapshot *snapshot;
	struct arena arena;
	struct log_members members;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t pending;
	size_t asked_len;
	size_t nodes_len; /* the first ones are the nodes, then controllers, then ingest */
	size_t controllers_len;
	struct asked *asked; /* [ASKED_MAX] */
	struct report_log *logs;
	size_t logs_len;
	char kafka_trouble[256];
};

/* ---- asking programs ---- */

/* On the HTTP client's thread. */
static void program_answered(void *context, const struct http_answer *answer)
{
	struct asked *asked = context;
	struct inquiry *inquiry = asked->inquiry;

	(void)pthread_mutex_lock(&inquiry->lock);
	asked->heard_ms = clock_wall_ms();
	if (answer->status == 200)
		buffer_append_slice(&asked->body, answer->body);
	if (answer->status == 200 && !buffer_failed(&asked->body))
		asked->trouble[0] = '\0';
	else if (answer->status == 200)
		(void)snprintf(asked->trouble, sizeof asked->trouble, "its answer is too long");
	else if (answer->status != 0)
		(void)snprintf(asked->trouble, sizeof asked->trouble, "it answers with status %d",
		               answer->status);
	else
		(void)snprintf(asked->trouble, sizeof asked->trouble, "%.150s", answer->error.text);
	inquiry->pending--;
	(void)pthread_cond_signal(&inquiry->changed);
	(void)pthread_mutex_unlock(&inquiry->lock);
}

static void ask(struct inquiry *inquiry, const char *name, const char *url, const char *path)
{
	struct asked *asked = &inquiry->asked[inquiry->asked_len];
	char whole[URL_BYTES_MAX + 32];
	struct http_client_request request = {.method = "GET",
	                                      .url = whole,
	                                      .timeout_ms = STATUS_PROGRAM_MS,
	                                      .completion = program_answered,
	                                      .context = asked};
	struct error error;

	if (inquiry->asked_len == ASKED_MAX)
		return;
	inquiry->asked_len++;
	*asked = (struct asked){.inquiry = inquiry, .name = name};
	(void)snprintf(asked->url, sizeof asked->url, "%s", url);
	(void)snprintf(whole, sizeof whole, "%s%s", url, path);
	buffer_init(&asked->body, ANSWER_BYTES_MAX);
	(void)pthread_mutex_lock(&inquiry->lock);
	inquiry->pending++;
	(void)pthread_mutex_unlock(&inquiry->lock);
	if (http_client_send(gateway_client(inquiry->desk->gateway), &request, &error) < 0) {
		(void)pthread_mutex_lock(&inquiry->lock);
		inquiry->pending--;
		(void)snprintf(asked->trouble, sizeof asked->trouble, "%.150s", error.text);
		(void)pthread_mutex_unlock(&inquiry->lock);
	}
}

/* Every request ends by its own deadline. */
static void wait_for_answers(struct inquiry *inquiry)
{
	(void)pthread_mutex_lock(&inquiry->lock);
	while (inquiry->pending > 0)
		(void)pthread_cond_wait(&inquiry->changed, &inquiry->lock);
	(void)pthread_mutex_unlock(&inquiry->lock);
}

static bool is_asked(const struct inquiry *inquiry, const char *url)
{
	for (size_t i = inquiry->nodes_len; i < inquiry->asked_len; i++)
		if (strcmp(inquiry->asked[i].url, url) == 0)
			return true;
	return false;
}

/* "millrace-ingest@HOST:PORT", "millrace-rebalance.ORDER@HOST:PORT" → its URL; false if the member is none of ours. */
static bool member_url(const struct log_member *member, const char *program, char url[URL_BYTES_MAX])
{
	size_t len = strlen(program);
	const char *place = strchr(member->client_id, '@');
	const char *port;
	bool wildcard;

	if (strncmp(member->client_id, program, len) != 0 || strchr("@.", member->client_id[len]) == NULL ||
	    place == NULL || (port = strrchr(++place, ':')) == NULL)
		return false;
	wildcard = strncmp(place, "0.0.0.0:", 8) == 0 || strncmp(place, "[::]:", 5) == 0;
	if (!wildcard)
		(void)snprintf(url, URL_BYTES_MAX, "http://%s", place);
	else if (strchr(member->host, ':') != NULL)
		(void)snprintf(url, URL_BYTES_MAX, "http://[%s]%s", member->host, port);
	else
		(void)snprintf(url, URL_BYTES_MAX, "http://%s%s", member->host, port);
	return true;
}

static void ask_members(struct inquiry *inquiry, const char *program)
{
	char url[URL_BYTES_MAX];

	for (size_t i = 0; i < inquiry->members.len; i++)
		if (member_url(&inquiry->members.list[i], program, url) && !is_asked(inquiry, url))
			ask(inquiry, "", url, "/status");
}

static void ask_nodes(struct inquiry *inquiry)
{
	const struct cluster_record *cluster = catalog_cluster(inquiry->snapshot->catalog);

	for (size_t i = 0; cluster != NULL && i < cluster->nodes_len; i++)
		ask(inquiry, cluster->nodes[i].id, cluster->nodes[i].url, "/shards");
	inquiry->nodes_len = inquiry->asked_len;
	/* without Kafka's group this one is known */
	if (cluster != NULL && cluster->controller[0] != '\0')
		ask(inquiry, "", cluster->controller, "/status");
}

/* ---- asking Kafka ---- */

static bool kafka_answers(const struct inquiry *inquiry)
{
	return inquiry->kafka_trouble[0] == '\0';
}

static void note_kafka(struct inquiry *inquiry, const struct error *error)
{
	(void)snprintf(inquiry->kafka_trouble, sizeof inquiry->kafka_trouble, "%.250s", error->text);
}

/* Asks for a group's members and then them; a failure is noted once, and nothing more is asked of Kafka. */
static void ask_group(struct inquiry *inquiry, const char *group, const char *program)
{
	struct error error;

	inquiry->members.len = 0;
	if (!kafka_answers(inquiry))
		return;
	if (log_group_members(inquiry->desk->connection, group, STATUS_KAFKA_MS, &inquiry->members, &error) <
	    0)
		note_kafka(inquiry, &error);
	else
		ask_members(inquiry, program);
}

static void ask_log(struct inquiry *inquiry, const struct index_record *index)
{
	size_t len = (size_t)index->partitions;
	struct report_place *places = arena_alloc(&inquiry->arena, len * sizeof *places);
	struct log_ends *ends = arena_alloc(&inquiry->arena, len * sizeof *ends);
	int32_t *partitions = arena_alloc(&inquiry->arena, len * sizeof *partitions);
	int64_t *committed = arena_alloc(&inquiry->arena, len * sizeof *committed);
	struct log_partitions asked = {index->topic, partitions, len};
	struct error error;

	if (places == NULL || ends == NULL || partitions == NULL || committed == NULL)
		return;
	for (size_t p = 0; p < len; p++) {
		partitions[p] = (int32_t)p;
		committed[p] = -1;
		ends[p] = (struct log_ends){-1, -1};
	}
	/* a topic that was deleted under us is no failure of Kafka */
	if (log_ask_all_ends(inquiry->desk->connection, &asked, STATUS_KAFKA_MS, ends, &error) < 0 &&
	    error.code == ERROR_TIMEOUT)
		note_kafka(inquiry, &error);
	if (kafka_answers(inquiry))
		(void)log_group_offsets(inquiry->desk->connection, "ingest", &asked, STATUS_KAFKA_MS,
		                        committed, &error);
	for (size_t p = 0; p < len; p++)
		places[p] = (struct report_place){ends[p].start, ends[p].end, committed[p]};
	inquiry->logs[inquiry->logs_len++] = (struct report_log){index->id, places};
}

static void ask_logs(struct inquiry *inquiry)
{
	int64_t deadline_ms = clock_monotonic_ms() + LOGS_MS;
	const struct catalog *catalog = inquiry->snapshot->catalog;
	const struct index_record *index;
	size_t at = 0;

	inquiry->logs = arena_alloc(&inquiry->arena, INDEXES_MAX * sizeof *inquiry->logs);
	if (inquiry->logs == NULL)
		return;
	while ((index = catalog_next_index(catalog, &at)) != NULL && inquiry->logs_len < INDEXES_MAX)
		if (index->state == INDEX_STATE_ACTIVE && kafka_answers(inquiry) &&
		    clock_monotonic_ms() < deadline_ms && !atomic_load(&inquiry->desk->stopping))
			ask_log(inquiry, index);
}

static void ask_kafka(struct inquiry *inquiry)
{
	struct status_desk *desk = inquiry->desk;
	struct error error;

	if (desk->connection == NULL && log_connection_open(desk->config, &desk->connection, &error) < 0)
		note_kafka(inquiry, &error);
	ask_group(inquiry, "controllers", "millrace-rebalance");
	inquiry->controllers_len = inquiry->asked_len - inquiry->nodes_len;
	ask_group(inquiry, "ingest-slots", "millrace-ingest");
	ask_logs(inquiry);
}

/* ---- answering ---- */

static struct inquiry *inquiry_new(struct status_desk *desk)
{
	struct inquiry *inquiry = calloc(1, sizeof *inquiry);

	if (inquiry != NULL && (inquiry->asked = calloc(ASKED_MAX, sizeof *inquiry->asked)) == NULL) {
		free(inquiry);
		inquiry = NULL;
	}
	if (inquiry == NULL)
		return NULL;
	inquiry->desk = desk;
	arena_init(&inquiry->arena, ARENA_BLOCK_BYTES);
	(void)pthread_mutex_init(&inquiry->lock, NULL);
	(void)pthread_cond_init(&inquiry->changed, NULL);
	return inquiry;
}

static void inquiry_free(struct inquiry *inquiry)
{
	for (size_t i = 0; i < inquiry->asked_len; i++)
		buffer_deinit(&inquiry->asked[i].body);
	snapshot_release(inquiry->snapshot);
	arena_deinit(&inquiry->arena);
	(void)pthread_cond_destroy(&inquiry->changed);
	(void)pthread_mutex_destroy(&inquiry->lock);
	free(inquiry->asked);
	free(inquiry);
}

static int write_body(struct inquiry *inquiry, struct buffer *body, struct error *error)
{
	struct report_told *told = arena_alloc(&inquiry->arena, (inquiry->asked_len + 1) * sizeof *told);
	size_t ingest_at = inquiry->nodes_len + inquiry->controllers_len;
	struct report report = {.cluster = config_string(inquiry->desk->config, "cluster"),
	                        .catalog = inquiry->snapshot->catalog,
	                        .kafka_trouble = inquiry->kafka_trouble,
	                        .logs = inquiry->logs,
	                        .logs_len = inquiry->logs_len};

	if (told == NULL)
		return error_memory(error, inquiry->asked_len * sizeof *told);
	for (size_t i = 0; i < inquiry->asked_len; i++) {
		const struct asked *asked = &inquiry->asked[i];

		told[i] = (struct report_told){asked->name, asked->url, buffer_slice(&asked->body),
		                               asked->trouble, asked->heard_ms};
	}
	report.nodes = (struct report_list){told, inquiry->nodes_len};
	report.controllers = (struct report_list){told + inquiry->nodes_len, inquiry->controllers_len};
	report.ingest = (struct report_list){told + ingest_at, inquiry->asked_len - ingest_at};
	return report_write(&report, &inquiry->arena, body, error);
}

static void refuse(const struct exchange *exchange, const char *why)
{
	struct error_answer refusal;

	(void)error_answer_set(&refusal, "unavailable", "%s", why);
	gateway_respond_error(exchange, &refusal);
}

static void answer(struct status_desk *desk, const struct exchange *exchange)
{
	struct inquiry *inquiry = inquiry_new(desk);
	struct error error;
	struct buffer body;

	if (inquiry == NULL) {
		refuse(exchange, "out of memory");
		return;
	}
	inquiry->snapshot = view_take(desk->gateway->view);
	if (inquiry->snapshot == NULL) {
		refuse(exchange, "This gateway has not read its topics in Kafka yet.");
		inquiry_free(inquiry);
		return;
	}
	buffer_init(&body, BODY_BYTES_MAX);
	ask_nodes(inquiry);
	ask_kafka(inquiry);
	wait_for_answers(inquiry);
	if (write_body(inquiry, &body, &error) < 0) {
		refuse(exchange, error.text);
		buffer_deinit(&body);
	} else {
		gateway_respond(exchange, 200, &body, NULL);
	}
	inquiry_free(inquiry);
}

static void *work(void *context)
{
	struct status_desk *desk = context;

	while (!atomic_load(&desk->stopping)) {
		struct exchange *exchange = mailbox_wait(desk->waiting, -1);

		if (exchange == &desk->wake)
			continue;
		answer(desk, exchange);
		free(exchange);
	}
	return NULL;
}

int status_desk_open(const struct config *config, struct gateway *gateway, struct status_desk **desk,
                     struct error *error)
{
	struct status_desk *opened = calloc(1, sizeof *opened);

	if (opened == NULL)
		return error_memory(error, sizeof *opened);
	opened->config = config;
	opened->gateway = gateway;
	opened->waiting = mailbox_new(STATUS_WAITING_MAX);
	if (opened->waiting == NULL || pthread_create(&opened->thread, NULL, work, opened) != 0) {
		if (opened->waiting != NULL)
			mailbox_free(opened->waiting);
		free(opened);
		return error_memory(error, sizeof *opened);
	}
	*desk = opened;
	return 0;
}

void status_desk_close(struct status_desk *desk)
{
	struct exchange *exchange;

	if (desk == NULL)
		return;
	atomic_store(&desk->stopping, true);
	/* a full mailbox wakes it too */
	(void)mailbox_put(desk->waiting, &desk->wake);
	(void)pthread_join(desk->thread, NULL);
	while ((exchange = mailbox_take(desk->waiting)) != NULL) {
		if (exchange == &desk->wake)
			continue;
		refuse(exchange, "The gateway is stopping.");
		free(exchange);
	}
	if (desk->connection != NULL)
		log_connection_close(desk->connection);
	mailbox_free(desk->waiting);
	free(desk);
}

void status_ask(struct status_desk *desk, const struct exchange *exchange)
{
	struct exchange *copy = malloc(sizeof *copy);

	if (copy == NULL) {
		refuse(exchange, "out of memory");
		return;
	}
	*copy = *exchange;
	if (!mailbox_put(desk->waiting, copy)) {
		free(copy);
		refuse(exchange, "Too many ask for the status at once.");
	}
}
