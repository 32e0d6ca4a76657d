#include "query/flight_private.h"

#include "shared/base/assert.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- life ---- */

/* NULL when out of memory: the request's arena and snapshot are then still the caller's. */
static struct flight *flight_new(const struct flight_request *request)
{
	struct flight *flight = calloc(1, sizeof *flight);

	if (flight == NULL)
		return NULL;
	flight->request = *request;
	(void)snprintf(flight->request_id, sizeof flight->request_id, "%s", request->request_id);
	(void)pthread_mutex_init(&flight->lock, NULL);
	flight->holders = 1;
	flight->arena = *request->arena;
	flight->request.arena = NULL;
	merge_init(&flight->merge);
	buffer_init(&flight->outcome.body, RESPONSE_BYTES_MAX);
	flight->started_us = clock_monotonic_us();
	flight->deadline_ms = request->deadline_ms > 0 ? request->deadline_ms
	                                               : clock_monotonic_ms() + request->gateway->timeout_ms;
	return flight;
}

static void flight_free(struct flight *flight)
{
	struct gateway *gateway = flight->request.gateway;

	ASSERT(flight->delivered);
	atomic_fetch_sub(&gateway->answer_bytes, flight->answer_bytes);
	merge_deinit(&flight->merge);
	arena_deinit(&flight->arena);
	snapshot_release(flight->request.snapshot);
	(void)pthread_mutex_destroy(&flight->lock);
	free(flight);
	gateway_end_flight(gateway);
}

/* Gives the outcome away if it is there, unlocks, and frees after the last holder. */
static void flight_let_go(struct flight *flight)
{
	bool last;

	if (flight->finished && !flight->delivered) {
		flight->delivered = true;
		(void)pthread_mutex_unlock(&flight->lock);
		flight->request.completion(flight->request.context, &flight->outcome);
		buffer_deinit(&flight->outcome.body);
		(void)pthread_mutex_lock(&flight->lock);
	}
	last = --flight->holders == 0;
	(void)pthread_mutex_unlock(&flight->lock);
	if (last)
		flight_free(flight);
}

/* ---- rounds ---- */

static void leg_completed(void *context, const struct http_answer *answer);

static void report_failure(const struct flight *flight, const struct node_record *node,
                           const struct error *error)
{
	logline(LOG_LEVEL_WARN, "node_failed", "node=%s request=%s index=%s error=\"%s\"", node->id,
	        flight->request_id, flight->request.index->uid, error->text);
}

/* Does what the core wants after `event`. */
static void run(struct flight *flight, struct scatter_event event)
{
	struct scatter_action action;
	struct error error;

	if (flight->finished)
		return;
	if (scatter_step(flight->scatter, &event, &error) < 0) {
		flight_refuse(flight, "internal", "%s", error.text);
		return;
	}
	while (scatter_take(flight->scatter, &action)) {
		int64_t left_ms = flight->deadline_ms - clock_monotonic_ms();
		struct scatter_event next = {.kind = SCATTER_EVENT_FAILED, .leg = action.leg};

		if (action.kind == SCATTER_ACTION_FINISH) {
			flight_finish(flight);
			return;
		}
		if (left_ms > 0 && flight_send_leg(flight, &action, (int)left_ms, leg_completed, &error) == 0)
			continue;
		if (left_ms > 0)
			report_failure(flight, action.node, &error);
		else
			next = (struct scatter_event){.kind = SCATTER_EVENT_DEADLINE};
		if (scatter_step(flight->scatter, &next, &error) < 0) {
			flight_refuse(flight, "internal", "%s", error.text);
			return;
		}
	}
}

/* On the HTTP client's thread. */
static void leg_completed(void *context, const struct http_answer *answer)
{
	const struct leg *leg = context;
	struct flight *flight = leg->flight;
	struct scatter_event event = {.kind = SCATTER_EVENT_FAILED};
	struct error error;

	(void)pthread_mutex_lock(&flight->lock);
	if (!flight->finished && flight_take_answer(flight, leg, answer, &event, &error) < 0) {
		report_failure(flight, leg->node, &error);
		event = (struct scatter_event){.kind = SCATTER_EVENT_FAILED};
	}
	event.leg = leg->number;
	run(flight, event);
	flight_let_go(flight);
}

/* ---- start ---- */

/* The page that each node is asked for; false after refusing one that is too large. */
static bool plan_list(struct flight *flight)
{
	const struct listing_request *request = &flight->request.listing;

	/* with all shards on one node, that node skips to the page by itself */
	flight->cut = scatter_is_on_one_node(flight->scatter);
	flight->page = (struct page){request->offset, request->limit};
	flight->asked = flight->cut ? flight->page : (struct page){0, request->offset + request->limit};
	if (request->limit <= LIST_LIMIT_MAX &&
	    request->offset <= (flight->cut ? LIST_OFFSET_MAX : LIST_LIMIT_MAX - request->limit))
		return true;
	flight_refuse(flight, "bad_request",
	              "A listing with `limit` over %d or `offset` over %d is not available in this version "
	              "of Millrace.",
	              LIST_LIMIT_MAX, flight->cut ? LIST_OFFSET_MAX : LIST_LIMIT_MAX);
	return false;
}

/* False when out of memory. */
static bool prepare(struct flight *flight)
{
	const struct flight_request *request = &flight->request;
	bool get = request->kind == FLIGHT_KIND_GET;
	struct scatter_options options = {-1, get};
	size_t partitions = (size_t)request->index->partitions;

	flight->covered = arena_alloc(&flight->arena, partitions * sizeof flight->covered[0]);
	if (flight->covered == NULL || (get && !arena_copy(&flight->arena, request->id, &flight->id)))
		return false;
	for (size_t p = 0; p < partitions; p++)
		flight->covered[p] = -1;
	if (get)
		options.partition = partitioner_choose(request->index->partitioner, flight->id,
		                                       request->index->partitions);
	flight->partition = options.partition;
	flight->scatter = scatter_plan(request->snapshot->catalog, request->index, &options, &flight->arena);
	if (request->kind == FLIGHT_KIND_SEARCH) {
		flight->page = page_of_search(&request->search);
		flight->asked = (struct page){0, flight->page.offset + flight->page.limit};
	}
	return flight->scatter != NULL;
}

/* Completes without a flight. */
static void refuse_start(const struct flight_request *request, const struct error_answer *refusal)
{
	struct flight_outcome outcome = {.refusal = refusal, .degraded = ""};

	arena_deinit(request->arena);
	snapshot_release(request->snapshot);
	request->completion(request->context, &outcome);
}

void flight_start(const struct flight_request *request)
{
	struct error_answer refusal;
	struct flight *flight;

	if (!gateway_begin_flight(request->gateway, &refusal)) {
		refuse_start(request, &refusal);
		return;
	}
	flight = flight_new(request);
	if (flight == NULL) {
		gateway_end_flight(request->gateway);
		(void)error_answer_set(&refusal, "internal", "out of memory");
		refuse_start(request, &refusal);
		return;
	}
	(void)pthread_mutex_lock(&flight->lock);
	if (request->kind == FLIGHT_KIND_GET && !document_id_is_valid(request->id))
		/* no document can have it */
		flight_refuse(flight, "document_not_found", "Document `%.*s` not found.",
		              SLICE_ARGS(request->id));
	else if (!prepare(flight))
		flight_refuse(flight, "internal", "out of memory");
	else if (request->kind != FLIGHT_KIND_LIST || plan_list(flight))
		run(flight, (struct scatter_event){.kind = SCATTER_EVENT_START});
	flight_let_go(flight);
}
