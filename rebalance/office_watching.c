/* What nodes and logs say, and what is told of it. */
#include "rebalance/office_private.h"

#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdio.h>

/* Log ends that are read in one turn, and how long Kafka may take for them. */
#define TURN_ENDS 64
#define ENDS_TIMEOUT_MS 1000
#define STATUS_MS 1000
#define STATUS_BYTES_MAX (64U * 1024 * 1024)
/* A node's trouble may be worded differently every time. */
#define TROUBLE_AGAIN_MS 30000

/* ---- nodes ---- */

static struct said *said_of(struct office *office, const char *node)
{
	struct said *said;

	for (size_t i = 0; i < office->said_len; i++)
		if (strcmp(office->said[i].node, node) == 0)
			return &office->said[i];
	if (office->said_len == NODES_MAX)
		office->said_len = 0; /* nodes come and go; the worst is a line too many */
	said = &office->said[office->said_len++];
	*said = (struct said){.at_ms = INT64_MIN / 2};
	(void)snprintf(said->node, sizeof said->node, "%s", node);
	return said;
}

static void say_node(struct office *office, const char *node)
{
	const char *trouble = controller_trouble(office->controller, node);
	struct said *said = said_of(office, node);
	int64_t now_ms = clock_monotonic_ms();

	if (trouble[0] == '\0') {
		if (said->troubled || said->at_ms < 0)
			logline(LOG_LEVEL_INFO, "node_answers", "node=%s", node);
		said->troubled = false;
		said->at_ms = now_ms;
	} else if (!said->troubled || now_ms - said->at_ms >= TROUBLE_AGAIN_MS) {
		logline(LOG_LEVEL_WARN, "node_does_not_answer", "node=%s error=\"%s\"", node, trouble);
		said->troubled = true;
		said->at_ms = now_ms;
	}
}

static void hear_nodes(struct office *office)
{
	const struct node_report *report;

	while (polling_next(office->polling, &report)) {
		controller_node_report(office->controller, report, clock_monotonic_ms());
		say_node(office, report->node);
	}
}

/* ---- log ends ---- */

/* Ends of partitions of one topic. */
static bool read_ends(struct office *office, const struct controller_end *wanted, size_t wanted_len)
{
	int32_t partitions[TURN_ENDS];
	struct log_ends ends[TURN_ENDS];
	const struct log_partitions asked = {wanted->topic, partitions, wanted_len};
	struct error error;
	int64_t read_ms;

	for (size_t i = 0; i < wanted_len; i++)
		partitions[i] = wanted[i].partition;
	if (log_ask_all_ends(office->connection, &asked, ENDS_TIMEOUT_MS, ends, &error) != 0) {
		if (!office->ends_troubled)
			logline(LOG_LEVEL_WARN, "log_end_unknown", "error=\"%s\"", error.text);
		office->ends_troubled = true;
		return false;
	}
	office->ends_troubled = false;
	read_ms = clock_monotonic_ms();
	for (size_t i = 0; i < wanted_len; i++)
		controller_log_end(office->controller, &wanted[i], ends[i].end, read_ms);
	return true;
}

static void read_wanted_ends(struct office *office)
{
	struct controller_end wanted[TURN_ENDS];
	int64_t now_ms = clock_monotonic_ms();
	size_t len = 0;

	while (len < TURN_ENDS && controller_next_end(office->controller, now_ms, &wanted[len]))
		len++;
	for (size_t from = 0, to; from < len; from = to) {
		for (to = from + 1; to < len && wanted[to].index_id == wanted[from].index_id;)
			to++;
		if (!read_ends(office, &wanted[from], to - from))
			return; /* they are wanted again */
	}
}

int office_watch(struct office *office)
{
	const struct node_record *nodes;
	size_t nodes_len;

	hear_nodes(office);
	read_wanted_ends(office);
	nodes_len = controller_nodes(office->controller, &nodes);
	return polling_ask(office->polling, nodes, nodes_len);
}

/* ---- what is told ---- */

void office_publish(struct office *office)
{
	int64_t now_ms = clock_monotonic_ms();
	struct controller_counts counts;
	struct buffer status;

	if (now_ms - office->status_at_ms < STATUS_MS)
		return;
	office->status_at_ms = now_ms;
	controller_count(office->controller, &counts);
	series_set(office->nodes_answering, (double)counts.nodes_answering);
	series_set(office->shards_divergent, (double)counts.shards_divergent);
	series_set(office->replicas_out, (double)counts.replicas_out);
	office->joining = counts.replicas_joining > 0;
	buffer_init(&status, STATUS_BYTES_MAX);
	buffer_printf(&status, ",\"pending\":%zu,", controller_pending(office->controller));
	controller_status(office->controller, &status);
	buffer_append_string(&status, ",");
	replaying_held(office->replaying, &status);
	(void)pthread_mutex_lock(&office->status_lock);
	buffer_deinit(&office->status);
	office->status = status;
	(void)pthread_mutex_unlock(&office->status_lock);
}

void office_unpublish(struct office *office)
{
	(void)pthread_mutex_lock(&office->status_lock);
	buffer_clear(&office->status);
	(void)pthread_mutex_unlock(&office->status_lock);
	office->status_at_ms = 0;
	office->joining = false;
	series_set(office->nodes_answering, 0);
	series_set(office->shards_divergent, 0);
	series_set(office->replicas_out, 0);
}

void office_status(struct office *office, struct buffer *body)
{
	static const char *const names[OFFICE_STATES] = {
		[OFFICE_STATE_WAITING] = "waiting for Kafka",
		[OFFICE_STATE_STANDING_BY] = "standing by",
		[OFFICE_STATE_READING] = "reading",
		[OFFICE_STATE_IN_OFFICE] = "in office",
	};
	enum office_state state = office_state(office);

	buffer_printf(body, "{\"program\":\"rebalance\",\"in_office\":%s,\"state\":\"%s\"",
	              state == OFFICE_STATE_IN_OFFICE ? "true" : "false", names[state]);
	(void)pthread_mutex_lock(&office->status_lock);
	if (office->status.len > 0 && !buffer_failed(&office->status))
		buffer_append_slice(body, buffer_slice(&office->status));
	else
		buffer_append_string(body,
		                     ",\"pending\":0,\"nodes\":[],\"shards\":[],\"rebuilds\":[],\"held\":[]");
	(void)pthread_mutex_unlock(&office->status_lock);
	buffer_append_string(body, "}");
}
