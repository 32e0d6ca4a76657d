/* What goes to nodes, and what comes back. */
#include "query/core/answer.h"
#include "query/flight_private.h"

#include <stdio.h>

#define QUESTION_BYTES_MAX (2U * REQUEST_BODY_BYTES_MAX)
#define URL_BYTES_MAX 320

/* ---- questions ---- */

static const char *path_of(enum flight_kind kind)
{
	switch (kind) {
	case FLIGHT_KIND_SEARCH:
		return "/search";
	case FLIGHT_KIND_LIST:
		return "/list";
	case FLIGHT_KIND_GET:
		return "/get";
	}
	return "";
}

static void write_question(const struct flight *flight, const struct scatter_action *action,
                           struct buffer *body)
{
	struct node_question question = {action->partitions, action->partitions_len, flight->asked.limit};
	uint64_t index_id = flight->request.index->id;

	buffer_init(body, QUESTION_BYTES_MAX);
	if (flight->request.kind == FLIGHT_KIND_SEARCH)
		ask_search(body, index_id, &question, &flight->request.search, action->stale);
	else if (flight->request.kind == FLIGHT_KIND_LIST)
		ask_list(body, index_id, &question, flight->asked, action->stale);
	else
		ask_get(body, index_id, action->partitions[0], flight->id, action->stale);
}

int flight_send_leg(struct flight *flight, const struct scatter_action *action, int timeout_ms,
                    http_completion *completion, struct error *error)
{
	struct leg *leg = arena_alloc(&flight->arena, sizeof *leg);
	char url[URL_BYTES_MAX];
	struct buffer body;
	struct http_client_request request = {.method = "POST",
	                                      .url = url,
	                                      .content_type = "application/json",
	                                      .request_id = flight->request_id,
	                                      .body = &body,
	                                      .timeout_ms = timeout_ms,
	                                      .completion = completion,
	                                      .context = leg};
	int result;

	if (leg == NULL)
		return error_memory(error, sizeof *leg);
	*leg = (struct leg){flight, action->leg, action->node, action->stale};
	(void)snprintf(url, sizeof url, "%s%s", action->node->url, path_of(flight->request.kind));
	write_question(flight, action, &body);
	flight->holders++;
	result = buffer_failed(&body) ? error_memory(error, QUESTION_BYTES_MAX)
	                              : http_client_send(flight->request.gateway->client, &request, error);
	buffer_deinit(&body);
	if (result < 0)
		flight->holders--;
	return result;
}

/* ---- answers ---- */

/* A copy that lives as long as the flight; negative if too much is held already. */
static int keep_answer(struct flight *flight, struct slice body, struct slice *copy, struct error *error)
{
	atomic_size_t *held = &flight->request.gateway->answer_bytes;

	if (atomic_fetch_add(held, body.len) + body.len > ANSWERS_BYTES_MAX) {
		atomic_fetch_sub(held, body.len);
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY,
		                 "answers of nodes hold %u bytes already", ANSWERS_BYTES_MAX);
	}
	flight->answer_bytes += body.len;
	return arena_copy(&flight->arena, body, copy) ? 0 : error_memory(error, body.len);
}

static void note_covered(struct flight *flight, const struct node_question *question,
                         const struct node_answer *answer)
{
	for (size_t i = 0; i < question->partitions_len; i++)
		flight->covered[question->partitions[i]] = answer->received[i];
}

/* A 200's hits into the merge. */
static int take_hits(struct flight *flight, const struct node_question *question, struct slice body,
                     struct scatter_event *event, struct error *error)
{
	struct node_answer answer;
	int result = node_answer_parse(body, question, &flight->arena, &answer, error);

	if (result == 0)
		result = merge_add(&flight->merge, &answer, error);
	if (result == 0) {
		event->stale = answer.stale;
		event->stale_len = answer.stale_len;
		note_covered(flight, question, &answer);
	}
	return result;
}

static int take_document(struct flight *flight, const struct leg *leg, const struct node_question *question,
                         struct slice body, struct scatter_event *event)
{
	struct slice document;
	struct error error;

	if (node_document_parse(body, &document, &error) < 0)
		return error.code;
	if (flight->document.ptr == NULL)
		flight->document = document;
	if (leg->stale) {
		event->stale = question->partitions;
		event->stale_len = question->partitions_len;
	}
	return 0;
}

int flight_take_answer(struct flight *flight, const struct leg *leg, const struct http_answer *answer,
                       struct scatter_event *event, struct error *error)
{
	struct node_question question = scatter_question(flight->scatter, leg->number, flight->asked.limit);
	bool get = flight->request.kind == FLIGHT_KIND_GET;
	struct node_refusals refusals;
	struct slice body = slice_of(NULL, 0);

	if (answer->status == 0) {
		*error = answer->error;
		return error->code;
	}
	if (question.partitions == NULL)
		return error_set(error, ERROR_STATE, ERROR_ACTION_REJECT, "the answer came too late");
	if (keep_answer(flight, answer->body, &body, error) < 0)
		return error->code;
	event->kind = SCATTER_EVENT_ANSWERED;
	if (answer->status == 200 && get) {
		if (take_document(flight, leg, &question, body, event) == 0)
			return 0;
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "answer of a node: no document");
	}
	if (answer->status == 200)
		return take_hits(flight, &question, body, event, error);
	if (answer->status == 404 && get && node_says_not_found(body))
		return 0;
	if (answer->status != 410)
		return error_set(error, ERROR_NETWORK, ERROR_ACTION_RETRY, "status %d: %.*s", answer->status,
		                 (int)(body.len < 200 ? body.len : 200), (const char *)body.ptr);
	event->kind = SCATTER_EVENT_REFUSED;
	if (node_refusal_parse(body, &question, &flight->arena, &refusals, error) < 0)
		return error->code;
	event->refusals = refusals.list;
	event->refusals_len = refusals.len;
	return 0;
}
