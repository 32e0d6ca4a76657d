#include "rebalance/polling.h"

#include "rebalance/core/controller.h"
#include "shared/base/assert.h"
#include "shared/http/http_client.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/mailbox.h"

#include <stdio.h>
#include <stdlib.h>

#define ANSWER_BYTES_MAX (64U * 1024 * 1024)
#define URL_BYTES_MAX (NODE_URL_BYTES_MAX + 16)

/* A question on its way, then its answer. */
struct question {
	struct polling *polling;
	char node[NODE_ID_BYTES_MAX + 1];
	int64_t asked_ms;
	struct buffer body;
	struct error error; /* code 0: the body is the answer */
};

struct asked {
	char node[NODE_ID_BYTES_MAX + 1];
	bool waiting; /* for an answer */
	int64_t asked_ms;
};

struct polling {
	struct http_client *client;
	struct mailbox *answers;
	struct asked asked[NODES_MAX];
	size_t asked_len;
	struct question *question; /* of the report handed out last */
	struct node_report report;
};

int polling_start(const struct config *config, struct polling **polling, struct error *error)
{
	const struct http_client_options options = {
		.in_flight_max = NODES_MAX,
		.answer_bytes_max = ANSWER_BYTES_MAX,
		.bearer = config_string(config, "auth.cluster_key"),
	};
	struct polling *started = calloc(1, sizeof *started);
	int rc;

	if (started == NULL)
		return error_memory(error, sizeof *started);
	started->answers = mailbox_new(NODES_MAX);
	if (started->answers == NULL) {
		free(started);
		return error_memory(error, NODES_MAX * sizeof(void *));
	}
	rc = http_client_start(&options, &started->client, error);
	if (rc != 0) {
		mailbox_free(started->answers);
		free(started);
		return rc;
	}
	*polling = started;
	return 0;
}

static void question_free(struct question *question)
{
	if (question == NULL)
		return;
	buffer_deinit(&question->body);
	free(question);
}

static void forget_report(struct polling *polling)
{
	node_report_deinit(&polling->report);
	question_free(polling->question);
	polling->question = NULL;
}

void polling_stop(struct polling *polling)
{
	struct question *question;

	if (polling == NULL)
		return;
	http_client_stop(polling->client);
	while ((question = mailbox_take(polling->answers)) != NULL)
		question_free(question);
	mailbox_free(polling->answers);
	forget_report(polling);
	free(polling);
}

/* On the HTTP client's thread. */
static void completed(void *context, const struct http_answer *answer)
{
	struct question *question = context;

	if (answer->status == 200)
		buffer_append_slice(&question->body, answer->body);
	else if (answer->status != 0)
		(void)error_set(&question->error, ERROR_NETWORK, ERROR_ACTION_RETRY, "it answers %d",
		                answer->status);
	else
		question->error = answer->error;
	if (buffer_failed(&question->body))
		(void)error_memory(&question->error, answer->body.len);
	ASSERT(mailbox_put(question->polling->answers, question)); /* one a node: it has room */
}

static void ask(struct polling *polling, struct asked *asked, const struct node_record *node)
{
	struct question *question = calloc(1, sizeof *question);
	char url[URL_BYTES_MAX];
	struct http_client_request request = {.method = "GET",
	                                      .url = url,
	                                      .node = node->id,
	                                      .timeout_ms = POLLING_TIMEOUT_MS,
	                                      .completion = completed,
	                                      .context = question};

	asked->asked_ms = clock_monotonic_ms();
	if (question == NULL)
		return; /* asked again when it is due again */
	question->polling = polling;
	question->asked_ms = asked->asked_ms;
	buffer_init(&question->body, ANSWER_BYTES_MAX);
	(void)snprintf(question->node, sizeof question->node, "%s", node->id);
	(void)snprintf(url, sizeof url, "%s/shards", node->url);
	asked->waiting = true;
	if (http_client_send(polling->client, &request, &question->error) != 0)
		ASSERT(mailbox_put(polling->answers, question));
}

static struct asked *asked_find(struct polling *polling, const char *node)
{
	for (size_t i = 0; i < polling->asked_len; i++)
		if (strcmp(polling->asked[i].node, node) == 0)
			return &polling->asked[i];
	return NULL;
}

static bool is_asked(const char *node, const struct node_record *nodes, size_t nodes_len)
{
	for (size_t i = 0; i < nodes_len; i++)
		if (strcmp(nodes[i].id, node) == 0)
			return true;
	return false;
}

/* Nodes that are not to be asked any more make room, once nothing of theirs is on its way. */
static void forget_others(struct polling *polling, const struct node_record *nodes, size_t nodes_len)
{
	size_t kept = 0;

	for (size_t i = 0; i < polling->asked_len; i++)
		if (polling->asked[i].waiting || is_asked(polling->asked[i].node, nodes, nodes_len))
			polling->asked[kept++] = polling->asked[i];
	polling->asked_len = kept;
}

int polling_ask(struct polling *polling, const struct node_record *nodes, size_t nodes_len)
{
	int64_t now_ms = clock_monotonic_ms();
	int64_t wait_ms = CONTROLLER_POLL_MS;

	forget_others(polling, nodes, nodes_len);
	for (size_t i = 0; i < nodes_len; i++) {
		struct asked *asked = asked_find(polling, nodes[i].id);

		if (asked == NULL && polling->asked_len < NODES_MAX) {
			asked = &polling->asked[polling->asked_len++];
			*asked = (struct asked){.asked_ms = now_ms - CONTROLLER_POLL_MS};
			(void)snprintf(asked->node, sizeof asked->node, "%s", nodes[i].id);
		}
		if (asked == NULL || asked->waiting)
			continue;
		if (now_ms - asked->asked_ms >= CONTROLLER_POLL_MS)
			ask(polling, asked, &nodes[i]);
		else if (asked->asked_ms + CONTROLLER_POLL_MS - now_ms < wait_ms)
			wait_ms = asked->asked_ms + CONTROLLER_POLL_MS - now_ms;
	}
	return (int)wait_ms;
}

bool polling_next(struct polling *polling, const struct node_report **report)
{
	struct question *question = mailbox_take(polling->answers);
	struct asked *asked;

	forget_report(polling);
	if (question == NULL)
		return false;
	asked = asked_find(polling, question->node);
	ASSERT(asked != NULL); /* kept while it waits */
	asked->waiting = false;
	polling->question = question;
	polling->report = (struct node_report){0};
	if (question->error.code == 0)
		(void)node_report_parse(buffer_slice(&question->body), &polling->report, &question->error);
	polling->report.node = question->node;
	polling->report.asked_ms = question->asked_ms;
	polling->report.failure = question->error.code == 0 ? NULL : question->error.text;
	*report = &polling->report;
	return true;
}

int polling_fd(const struct polling *polling)
{
	return mailbox_fd(polling->answers);
}
