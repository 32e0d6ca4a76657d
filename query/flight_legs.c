/* What goes to nodes, and what comes back. */
#include "query/flight_private.h"

#include <stdio.h>

#define QUESTION_BYTES_MAX (2U * REQUEST_BODY_BYTES_MAX)
#define URL_BYTES_MAX 320
/* A node's deadline is that much (in parts of the time left, and at most) before ours, so that its last word
 * still arrives. */
#define DEADLINE_PARTS 8
#define DEADLINE_MARGIN_MS_MAX 50
/* A node ends a wait for what is required so long before its deadline. */
#define NODE_TAIL_MS 50
/* Of settings that say nothing. */
#define CUTOFF_MS 1500
/* So much of the time that a node has is for what follows ranking. */
#define CUTOFF_PARTS 4

/* ---- questions ---- */

static const char *path_of(enum flight_kind kind)
{
	switch (kind) {
	case FLIGHT_KIND_SEARCH:
	case FLIGHT_KIND_FACET:
	case FLIGHT_KIND_DOCUMENTS:
	case FLIGHT_KIND_FEDERATED:
		return "/search";
	case FLIGHT_KIND_LIST:
		return "/list";
	case FLIGHT_KIND_GET:
		return "/get";
	}
	return "";
}

static int node_deadline_ms(int left_ms, int64_t patience_us)
{
	int margin_ms = left_ms / DEADLINE_PARTS;
	int deadline_ms;

	if (margin_ms > DEADLINE_MARGIN_MS_MAX)
		margin_ms = DEADLINE_MARGIN_MS_MAX;
	deadline_ms = left_ms - margin_ms;
	if (patience_us / 1000 < deadline_ms - NODE_TAIL_MS)
		return (int)(patience_us / 1000) + NODE_TAIL_MS;
	return deadline_ms;
}

/* How long a node may rank, whatever others have taken before it: one that died must not leave an answer unranked. It
 * ends in time for an answer, but where the node has little time only because another one may be asked. */
static uint64_t cutoff_of(const struct flight *flight, const struct scatter_action *action, int deadline_ms)
{
	const struct settings_cutoff *cutoff = &flight->settings.settings->cutoff;
	uint64_t ms = cutoff->given ? cutoff->ms : CUTOFF_MS;
	uint64_t most_ms = (uint64_t)(deadline_ms - deadline_ms / CUTOFF_PARTS);

	return action->patience_us == INT64_MAX && ms > most_ms ? most_ms : ms;
}

static void write_question(const struct flight *flight, const struct scatter_action *action, int deadline_ms,
                           struct buffer *body)
{
	struct node_question question = {.partitions = action->partitions,
	                                 .partitions_len = action->partitions_len,
	                                 .hits_max = flight->asked.limit,
	                                 .required = flight->request.required};
	uint64_t index_id = flight->request.index->id;
	struct search_asking asking = {.index_id = index_id,
	                               .settings_version = flight->settings.version,
	                               .stale = action->stale,
	                               .words = flight->words,
	                               .has_cutoff = flight->request.kind == FLIGHT_KIND_SEARCH ||
	                                             flight->request.kind == FLIGHT_KIND_FEDERATED};

	if (asking.has_cutoff)
		asking.cutoff_ms = cutoff_of(flight, action, deadline_ms);
	buffer_init(body, QUESTION_BYTES_MAX);
	if (flight->aside != FLIGHT_ASIDE_NONE)
		ask_aside(body, index_id, &question, flight->aside_asked, action->stale);
	else if (flight_searches(flight->request.kind))
		ask_search(body, &question, &flight->request.search, &asking);
	else if (flight->request.kind == FLIGHT_KIND_LIST)
		ask_list(body, index_id, &question, flight->asked, action->stale);
	else
		ask_get(body, index_id, &question, flight->id, action->stale);
}

int flight_send_leg(struct flight *flight, const struct scatter_action *action, int64_t now_us,
                    http_completion *completion, struct error *error)
{
	struct leg *leg = arena_alloc(&flight->arena, sizeof *leg);
	int left_ms = (int)((flight->deadline_us - now_us) / 1000) + 1;
	char url[URL_BYTES_MAX];
	struct buffer body;
	struct http_client_request request = {.method = "POST",
	                                      .url = url,
	                                      .content_type = "application/json",
	                                      .request_id = flight->request_id,
	                                      .node = action->node->id,
	                                      .body = &body,
	                                      .timeout_ms = left_ms,
	                                      .deadline_ms = node_deadline_ms(left_ms, action->patience_us),
	                                      .completion = completion,
	                                      .context = leg};
	int result;

	if (leg == NULL)
		return error_memory(error, sizeof *leg);
	*leg = (struct leg){flight, flight->scatter, action->leg, action->node, action->stale, now_us};
	(void)snprintf(url, sizeof url, "%s%s", action->node->url, path_of(flight->request.kind));
	write_question(flight, action, request.deadline_ms, &body);
	flight->holders++;
	result = buffer_failed(&body)
	                 ? error_memory(error, QUESTION_BYTES_MAX)
	                 : http_client_send(gateway_client(flight->request.gateway), &request, error);
	buffer_deinit(&body);
	if (result < 0)
		flight->holders--;
	return result;
}

/* ---- answers ---- */

/* What came back, and what of it can be used. */
struct arrival {
	struct node_question question;
	struct slice body; /* lives as long as the flight */
	bool *wanted;      /* by place in the question */
	size_t wanted_len;
	struct node_refusal *behind; /* room for all */
};

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

/* An answer below the token is none, whatever the node thinks of it. */
static void drop_behind(const struct flight *flight, struct arrival *arrival, const int64_t *received,
                        struct scatter_event *event)
{
	const int64_t *required = flight->request.required;
	size_t len = 0;

	for (size_t i = 0; required != NULL && i < arrival->question.partitions_len; i++) {
		int32_t p = arrival->question.partitions[i];

		if (!arrival->wanted[i] || received[i] >= required[p])
			continue;
		arrival->wanted[i] = false;
		arrival->wanted_len--;
		arrival->behind[len++] = (struct node_refusal){p, NODE_REFUSAL_BEHIND};
	}
	event->refusals = arrival->behind;
	event->refusals_len = len;
}

static void note_covered(struct flight *flight, const struct arrival *arrival, const int64_t *received)
{
	for (size_t i = 0; i < arrival->question.partitions_len; i++)
		if (arrival->wanted[i])
			flight->covered[arrival->question.partitions[i]] = received[i];
}

/* False: it is of no use. Of what is asked aside nothing is too much. */
static bool restrict_answer(const struct flight *flight, struct node_answer *answer,
                            const struct arrival *arrival)
{
	if (arrival->wanted_len == 0)
		return false;
	return flight->aside != FLIGHT_ASIDE_NONE ||
	       arrival->wanted_len == arrival->question.partitions_len ||
	       node_answer_restrict(answer, &arrival->question, arrival->wanted);
}

static int keep_found(struct flight *flight, const struct arrival *arrival, const struct node_answer *answer,
                      struct error *error)
{
	int result;

	if (flight->aside != FLIGHT_ASIDE_NONE)
		return flight_take_aside(flight, arrival->body, error);
	result = merge_add(&flight->merge, answer, error);
	if (result == 0 && arrival->question.values)
		result = facet_hits_add(&flight->facet_hits, arrival->body, &flight->arena, error);
	return result;
}

/* A 200's hits into the merge. */
static int take_hits(struct flight *flight, struct arrival *arrival, struct scatter_event *event,
                     struct error *error)
{
	struct node_answer answer;
	int result = node_answer_parse(arrival->body, &arrival->question, &flight->arena, &answer, error);

	if (result < 0)
		return result;
	drop_behind(flight, arrival, answer.received, event);
	event->kind = SCATTER_EVENT_UNUSED;
	if (!restrict_answer(flight, &answer, arrival))
		return 0;
	result = keep_found(flight, arrival, &answer, error);
	if (result < 0)
		return result;
	event->kind = SCATTER_EVENT_ANSWERED;
	event->stale = answer.stale;
	event->stale_len = answer.stale_len;
	if (answer.at_cutoff) {
		flight->at_cutoff = true;
		event->why = flight_why(flight, "cutoff");
	}
	note_covered(flight, arrival, answer.received);
	return 0;
}

static int take_document(struct flight *flight, const struct leg *leg, struct arrival *arrival, bool found,
                         struct scatter_event *event, struct error *error)
{
	int32_t partition = arrival->question.partitions[0];
	struct node_document read;
	int result = node_document_parse(arrival->body, partition, found, &read, error);

	if (result < 0)
		return result;
	drop_behind(flight, arrival, &read.received, event);
	event->kind = arrival->wanted_len > 0 ? SCATTER_EVENT_ANSWERED : SCATTER_EVENT_UNUSED;
	if (arrival->wanted_len == 0)
		return 0;
	note_covered(flight, arrival, &read.received);
	if (found && flight->document.ptr == NULL)
		flight->document = read.document;
	if (read.stale || (read.received < 0 && leg->stale)) {
		event->stale = arrival->question.partitions;
		event->stale_len = 1;
	}
	return 0;
}

static int take_refusals(struct flight *flight, const struct arrival *arrival, struct scatter_event *event,
                         struct error *error)
{
	struct node_refusals refusals;

	if (node_refusal_parse(arrival->body, &arrival->question, &flight->arena, &refusals, error) < 0)
		return error->code;
	event->kind = SCATTER_EVENT_REFUSED;
	event->refusals = refusals.list;
	event->refusals_len = refusals.len;
	return 0;
}

/* The node can answer for none of its partitions. */
static void refuse_all(const struct arrival *arrival, enum node_refusal_reason reason,
                       struct scatter_event *event)
{
	for (size_t i = 0; i < arrival->question.partitions_len; i++)
		arrival->behind[i] = (struct node_refusal){arrival->question.partitions[i], reason};
	event->kind = SCATTER_EVENT_REFUSED;
	event->refusals = arrival->behind;
	event->refusals_len = arrival->question.partitions_len;
}

/* It has other settings: one of the two is about to learn something. */
static int take_settings(struct flight *flight, const struct arrival *arrival, struct scatter_event *event,
                         struct error *error)
{
	int64_t version;
	char why[32];

	if (!node_settings_parse(arrival->body, &version))
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "status 409, but not of settings");
	if (!flight->lacks_settings || version < flight->settings_told)
		flight->settings_told = version;
	flight->lacks_settings = true;
	(void)snprintf(why, sizeof why, "settings %lld", (long long)version);
	event->why = flight_why(flight, why);
	refuse_all(arrival, NODE_REFUSAL_ABSENT, event);
	return 0;
}

/* An answer that leaves out hits for the sake of others speaks of all its partitions or of none. */
static bool is_whole(const struct flight *flight)
{
	const struct search_request *search = &flight->request.search;

	return flight_searches(flight->request.kind) &&
	       (search->has_threshold || search->distinct.ptr != NULL ||
	        flight->settings.settings->distinct.ptr != NULL);
}

static int prepare_arrival(struct flight *flight, const struct leg *leg, struct slice body,
                           struct arrival *arrival, struct error *error)
{
	size_t len;

	if (flight->aside != FLIGHT_ASIDE_NONE) {
		arrival->question = scatter_question(leg->scatter, leg->number, 0);
	} else {
		arrival->question = scatter_question(leg->scatter, leg->number, flight->asked.limit);
		arrival->question.facets = flight->request.search.facets.len > 0;
		arrival->question.values = flight->request.kind == FLIGHT_KIND_FACET;
		arrival->question.whole = is_whole(flight);
		arrival->question.equal = flight->words.equal;
	}
	len = arrival->question.partitions_len;
	arrival->wanted = arena_alloc(&flight->arena, len * sizeof arrival->wanted[0]);
	arrival->behind = arena_alloc(&flight->arena, len * sizeof arrival->behind[0]);
	if (arrival->wanted == NULL || arrival->behind == NULL)
		return error_memory(error, len * sizeof arrival->behind[0]);
	arrival->wanted_len = scatter_wanted(leg->scatter, leg->number, arrival->wanted);
	return keep_answer(flight, body, &arrival->body, error);
}

int flight_take_answer(struct flight *flight, const struct leg *leg, const struct http_answer *answer,
                       struct scatter_event *event, struct error *error)
{
	bool get = flight->request.kind == FLIGHT_KIND_GET;
	bool late = flight->finished || leg->scatter != flight->scatter;
	bool answered = answer->status == 200 || (answer->status == 404 && get);
	bool overdue = answer->status == 503 && flight->request.required != NULL;
	bool lacking = answer->status == 409 && flight_searches(flight->request.kind);
	struct arrival arrival;

	if (answer->status == 0) {
		*error = answer->error;
		return error->code;
	}
	if (!answered && answer->status != 410 && !overdue && !lacking)
		return error_set(error, ERROR_NETWORK, ERROR_ACTION_RETRY, "status %d: %.*s", answer->status,
		                 (int)(answer->body.len < 200 ? answer->body.len : 200),
		                 (const char *)answer->body.ptr);
	event->kind = SCATTER_EVENT_UNUSED;
	if (late)
		return 0;
	if (prepare_arrival(flight, leg, answer->body, &arrival, error) < 0)
		return error->code;
	if (overdue) {
		/* out of the time that it was given, which may have been little */
		refuse_all(&arrival, NODE_REFUSAL_BEHIND, event);
		return 0;
	}
	if (lacking)
		return take_settings(flight, &arrival, event, error);
	if (!answered)
		return take_refusals(flight, &arrival, event, error);
	if (arrival.wanted_len == 0)
		return 0;
	if (get)
		return take_document(flight, leg, &arrival, answer->status == 200, event, error);
	return take_hits(flight, &arrival, event, error);
}
