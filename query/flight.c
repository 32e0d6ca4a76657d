#include "query/flight.h"

#include "query/core/answer.h"
#include "query/core/scatter.h"
#include "shared/base/assert.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"
#include "shared/runtime/random.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define QUESTION_BYTES_MAX (2U * REQUEST_BODY_BYTES_MAX)
#define DEGRADED_BYTES_MAX 8192
#define URL_BYTES_MAX 320

enum flight_kind {
	FLIGHT_KIND_SEARCH = 1,
	FLIGHT_KIND_LIST,
	FLIGHT_KIND_GET
};

struct flight {
	struct exchange exchange; /* its request is answered exactly once, by finish */
	enum flight_kind kind;
	pthread_mutex_t lock;
	unsigned holders; /* legs in the air, and whoever runs it */
	bool answered;
	struct arena arena;
	const struct snapshot *snapshot;
	const struct index_record *index;
	struct scatter *scatter;
	struct merge merge;
	struct search_request search;
	struct listing_request listing;
	struct slice id;
	struct slice document; /* GET: what was found; ptr NULL: nothing yet */
	struct page page;      /* of the answer */
	struct page asked;     /* of each node */
	bool cut;              /* the one node cuts the page by itself */
	size_t answer_bytes;
	int64_t started_us;
	int64_t deadline_ms;
};

/* A leg's context, in the flight's arena. */
struct leg {
	struct flight *flight;
	size_t number;
	const struct node_record *node;
	bool stale;
};

/* ---- life ---- */

static struct flight *flight_new(const struct exchange *exchange, enum flight_kind kind, struct arena *arena)
{
	struct flight *flight = calloc(1, sizeof *flight);

	if (flight == NULL)
		return NULL;
	flight->exchange = *exchange;
	flight->kind = kind;
	(void)pthread_mutex_init(&flight->lock, NULL);
	flight->holders = 1;
	flight->arena = *arena;
	merge_init(&flight->merge);
	flight->started_us = clock_monotonic_us();
	flight->deadline_ms = clock_monotonic_ms() + exchange->gateway->timeout_ms;
	return flight;
}

static void flight_free(struct flight *flight)
{
	struct gateway *gateway = flight->exchange.gateway;

	ASSERT(flight->answered);
	atomic_fetch_sub(&gateway->answer_bytes, flight->answer_bytes);
	merge_deinit(&flight->merge);
	arena_deinit(&flight->arena);
	snapshot_release(flight->snapshot);
	(void)pthread_mutex_destroy(&flight->lock);
	free(flight);
	gateway_end_flight(gateway);
}

/* Unlocks, and frees after the last holder. */
static void flight_let_go(struct flight *flight)
{
	bool last = --flight->holders == 0;

	(void)pthread_mutex_unlock(&flight->lock);
	if (last)
		flight_free(flight);
}

/* ---- the end ---- */

static void respond_error(struct flight *flight, const char *code, const char *message)
{
	struct error_answer refusal;

	(void)error_answer_set(&refusal, code, "%s", message);
	gateway_respond_error(&flight->exchange, &refusal);
}

static void respond_missing(struct flight *flight)
{
	struct error_answer refusal;
	struct buffer degraded;
	struct slice text;

	buffer_init(&degraded, DEGRADED_BYTES_MAX);
	scatter_append_degraded(flight->scatter, &degraded);
	text = buffer_slice(&degraded);
	(void)error_answer_set(&refusal, "unavailable", "Index `%s`: no node answers for %.*s.",
	                       flight->index->uid, SLICE_ARGS(text));
	buffer_deinit(&degraded);
	gateway_respond_error(&flight->exchange, &refusal);
}

static void respond_not_found(struct flight *flight)
{
	struct error_answer refusal;

	(void)error_answer_set(&refusal, "document_not_found", "Document `%.*s` not found.",
	                       SLICE_ARGS(flight->id));
	gateway_respond_error(&flight->exchange, &refusal);
}

static void append_page(struct flight *flight, struct buffer *body)
{
	struct page cut = {0, flight->page.limit};
	size_t len;
	const struct node_hit *hits = merge_page(&flight->merge, flight->cut ? cut : flight->page, &len);
	uint8_t random[10];
	char uuid[UUID_BYTES];
	struct search_outcome outcome = {hits, len, flight->merge.total,
	                                 (clock_monotonic_us() - flight->started_us) / 1000, uuid};

	if (flight->kind == FLIGHT_KIND_LIST) {
		answer_documents(body, &flight->listing, hits, len, flight->merge.total);
		return;
	}
	random_bytes(random, sizeof random);
	uuid7_print(clock_wall_ms(), random, uuid);
	answer_search(body, &flight->search, &outcome);
}

static void respond_page(struct flight *flight)
{
	char header[DEGRADED_BYTES_MAX + 32];
	struct buffer degraded;
	struct buffer body;
	struct slice text;

	buffer_init(&body, RESPONSE_BYTES_MAX);
	if (flight->kind == FLIGHT_KIND_GET)
		answer_document(&body, &flight->listing, flight->document);
	else
		append_page(flight, &body);
	buffer_init(&degraded, DEGRADED_BYTES_MAX);
	/* a document found is whole, wherever else it was looked for */
	if (flight->kind != FLIGHT_KIND_GET || scatter_stale(flight->scatter) > 0)
		scatter_append_degraded(flight->scatter, &degraded);
	text = buffer_slice(&degraded);
	(void)snprintf(header, sizeof header, "X-Millrace-Degraded: %.*s", SLICE_ARGS(text));
	gateway_respond(&flight->exchange, 200, &body, text.len > 0 ? header : NULL);
	buffer_deinit(&degraded);
}

static void finish(struct flight *flight)
{
	struct gateway *gateway = flight->exchange.gateway;
	size_t missing = scatter_missing(flight->scatter);
	size_t shards = flight->kind == FLIGHT_KIND_GET ? missing : (size_t)flight->index->partitions;
	bool found = flight->document.ptr != NULL;
	bool refuse = missing > 0 && !found && (gateway->refuse_degraded || missing == shards);

	flight->answered = true;
	if (scatter_stale(flight->scatter) > 0)
		gateway_count_degraded(gateway, "stale");
	if (missing > 0 && !found)
		gateway_count_degraded(gateway, refuse ? "refused" : "shards");
	if (refuse)
		respond_missing(flight);
	else if (flight->kind == FLIGHT_KIND_GET && !found)
		respond_not_found(flight);
	else
		respond_page(flight);
	if (flight->kind == FLIGHT_KIND_SEARCH)
		series_observe(gateway->search_seconds,
		               (double)(clock_monotonic_us() - flight->started_us) / 1e6);
}

/* ---- legs ---- */

static void leg_completed(void *context, const struct http_answer *answer);

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

	buffer_init(body, QUESTION_BYTES_MAX);
	if (flight->kind == FLIGHT_KIND_SEARCH)
		ask_search(body, flight->index->id, &question, &flight->search, action->stale);
	else if (flight->kind == FLIGHT_KIND_LIST)
		ask_list(body, flight->index->id, &question, flight->asked, action->stale);
	else
		ask_get(body, flight->index->id, action->partitions[0], flight->id, action->stale);
}

/* Sends one leg; negative if it is not on its way. */
static int send_leg(struct flight *flight, const struct scatter_action *action, int timeout_ms,
                    struct error *error)
{
	struct leg *leg = arena_alloc(&flight->arena, sizeof *leg);
	char url[URL_BYTES_MAX];
	struct buffer body;
	struct http_client_request request = {.method = "POST",
	                                      .url = url,
	                                      .content_type = "application/json",
	                                      .request_id = http_request_id(flight->exchange.request),
	                                      .body = &body,
	                                      .timeout_ms = timeout_ms,
	                                      .completion = leg_completed,
	                                      .context = leg};
	int result;

	if (leg == NULL)
		return error_memory(error, sizeof *leg);
	*leg = (struct leg){flight, action->leg, action->node, action->stale};
	(void)snprintf(url, sizeof url, "%s%s", action->node->url, path_of(flight->kind));
	write_question(flight, action, &body);
	flight->holders++;
	result = buffer_failed(&body) ? error_memory(error, QUESTION_BYTES_MAX)
	                              : http_client_send(flight->exchange.gateway->client, &request, error);
	buffer_deinit(&body);
	if (result < 0)
		flight->holders--;
	return result;
}

static void report_failure(const struct flight *flight, const struct node_record *node,
                           const struct error *error)
{
	logline(LOG_LEVEL_WARN, "node_failed", "node=%s request=%s index=%s error=\"%s\"", node->id,
	        http_request_id(flight->exchange.request), flight->index->uid, error->text);
}

/* Does what the core wants after `event`; the lock is held. */
static void run(struct flight *flight, struct scatter_event event)
{
	struct scatter_action action;
	struct error error;

	if (flight->answered)
		return;
	if (scatter_step(flight->scatter, &event, &error) < 0) {
		flight->answered = true;
		respond_error(flight, "internal", error.text);
		return;
	}
	while (scatter_take(flight->scatter, &action)) {
		int64_t left_ms = flight->deadline_ms - clock_monotonic_ms();
		struct scatter_event next = {.kind = SCATTER_EVENT_FAILED, .leg = action.leg};

		if (action.kind == SCATTER_ACTION_FINISH) {
			finish(flight);
			return;
		}
		if (left_ms > 0 && send_leg(flight, &action, (int)left_ms, &error) == 0)
			continue;
		if (left_ms > 0)
			report_failure(flight, action.node, &error);
		else
			next = (struct scatter_event){.kind = SCATTER_EVENT_DEADLINE};
		if (scatter_step(flight->scatter, &next, &error) < 0) {
			flight->answered = true;
			respond_error(flight, "internal", error.text);
			return;
		}
	}
}

/* A copy that lives as long as the flight; negative if too much is held already. */
static int keep_answer(struct flight *flight, struct slice body, struct slice *copy, struct error *error)
{
	atomic_size_t *held = &flight->exchange.gateway->answer_bytes;

	if (atomic_fetch_add(held, body.len) + body.len > ANSWERS_BYTES_MAX) {
		atomic_fetch_sub(held, body.len);
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY,
		                 "answers of nodes hold %u bytes already", ANSWERS_BYTES_MAX);
	}
	flight->answer_bytes += body.len;
	return arena_copy(&flight->arena, body, copy) ? 0 : error_memory(error, body.len);
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

static int take_status(struct flight *flight, const struct leg *leg, const struct http_answer *answer,
                       struct scatter_event *event, struct error *error)
{
	struct node_question question = scatter_question(flight->scatter, leg->number, flight->asked.limit);
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
	if (answer->status == 200 && flight->kind == FLIGHT_KIND_GET) {
		if (take_document(flight, leg, &question, body, event) == 0)
			return 0;
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "answer of a node: no document");
	}
	if (answer->status == 200)
		return take_hits(flight, &question, body, event, error);
	if (answer->status == 404 && flight->kind == FLIGHT_KIND_GET && node_says_not_found(body))
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

/* On the HTTP client's thread. */
static void leg_completed(void *context, const struct http_answer *answer)
{
	const struct leg *leg = context;
	struct flight *flight = leg->flight;
	struct scatter_event event = {.kind = SCATTER_EVENT_FAILED};
	struct error error;

	(void)pthread_mutex_lock(&flight->lock);
	if (!flight->answered && take_status(flight, leg, answer, &event, &error) < 0) {
		report_failure(flight, leg->node, &error);
		event = (struct scatter_event){.kind = SCATTER_EVENT_FAILED};
	}
	event.leg = leg->number;
	run(flight, event);
	flight_let_go(flight);
}

/* ---- starts ---- */

/* Ends the exchange with `refusal` before there is a flight. */
static void refuse(const struct exchange *exchange, struct arena *arena, const struct error_answer *refusal)
{
	arena_deinit(arena);
	gateway_respond_error(exchange, refusal);
}

/* A flight with its index resolved, or NULL after answering. */
static struct flight *prepare(const struct exchange *exchange, enum flight_kind kind, struct arena *arena)
{
	struct slice uid = exchange->segments[1];
	struct error_answer refusal;
	const struct snapshot *snapshot;
	const struct index_record *index;
	struct flight *flight;

	if (index_uid_check(uid, &refusal) < 0 ||
	    gateway_resolve(exchange, uid, &snapshot, &index, &refusal) < 0) {
		refuse(exchange, arena, &refusal);
		return NULL;
	}
	if (!gateway_begin_flight(exchange->gateway, &refusal)) {
		snapshot_release(snapshot);
		refuse(exchange, arena, &refusal);
		return NULL;
	}
	flight = flight_new(exchange, kind, arena);
	if (flight == NULL) {
		snapshot_release(snapshot);
		gateway_end_flight(exchange->gateway);
		(void)error_answer_set(&refusal, "internal", "out of memory");
		refuse(exchange, arena, &refusal);
		return NULL;
	}
	flight->snapshot = snapshot;
	flight->index = index;
	return flight;
}

/* The page that each node is asked for; false after answering that it is too large. */
static bool plan_list(struct flight *flight)
{
	const struct listing_request *request = &flight->listing;
	struct error_answer refusal;

	flight->page = (struct page){request->offset, request->limit};
	flight->asked = flight->cut ? flight->page : (struct page){0, request->offset + request->limit};
	if (request->limit <= LIST_LIMIT_MAX &&
	    request->offset <= (flight->cut ? LIST_OFFSET_MAX : LIST_LIMIT_MAX - request->limit))
		return true;
	(void)error_answer_set(
		&refusal, "bad_request",
		"A listing with `limit` over %d or `offset` over %d is not available in this version of "
		"Millrace.",
		LIST_LIMIT_MAX, flight->cut ? LIST_OFFSET_MAX : LIST_LIMIT_MAX);
	flight->answered = true;
	gateway_respond_error(&flight->exchange, &refusal);
	return false;
}

/* Plans and sends the first round; the flight ends by itself. */
static void start(struct flight *flight, int32_t partition)
{
	struct scatter_options options = {partition, flight->kind == FLIGHT_KIND_GET};

	(void)pthread_mutex_lock(&flight->lock);
	flight->scatter = scatter_plan(flight->snapshot->catalog, flight->index, &options, &flight->arena);
	if (flight->scatter == NULL) {
		flight->answered = true;
		respond_error(flight, "internal", "out of memory");
	} else {
		/* with all shards on one node, that node skips to the page by itself */
		flight->cut = flight->kind == FLIGHT_KIND_LIST && scatter_is_on_one_node(flight->scatter);
		if (flight->kind != FLIGHT_KIND_LIST || plan_list(flight))
			run(flight, (struct scatter_event){.kind = SCATTER_EVENT_START});
	}
	flight_let_go(flight);
}

void flight_search(const struct exchange *exchange, const struct search_request *request, struct arena *arena)
{
	struct flight *flight = prepare(exchange, FLIGHT_KIND_SEARCH, arena);

	if (flight == NULL)
		return;
	flight->search = *request;
	flight->page = page_of_search(request);
	flight->asked = (struct page){0, flight->page.offset + flight->page.limit};
	start(flight, -1);
}

void flight_list(const struct exchange *exchange, const struct listing_request *request, struct arena *arena)
{
	struct flight *flight = prepare(exchange, FLIGHT_KIND_LIST, arena);

	if (flight == NULL)
		return;
	flight->listing = *request;
	start(flight, -1);
}

void flight_get(const struct exchange *exchange, const struct listing_request *request, struct arena *arena)
{
	struct flight *flight = prepare(exchange, FLIGHT_KIND_GET, arena);

	if (flight == NULL)
		return;
	flight->listing = *request;
	flight->id = exchange->segments[3];
	if (!document_id_is_valid(flight->id)) {
		/* no document can have it */
		(void)pthread_mutex_lock(&flight->lock);
		flight->answered = true;
		respond_not_found(flight);
		flight_let_go(flight);
		return;
	}
	start(flight, partitioner_choose(flight->index->partitioner, flight->id, flight->index->partitions));
}
