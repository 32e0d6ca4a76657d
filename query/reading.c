#include "query/reading.h"

#include "shared/runtime/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define HEADER_BYTES_MAX 8320

/* One exchange that waits for a flight. */
struct reading {
	struct exchange exchange;
	enum flight_kind kind;
	int64_t started_us;
};

void reading_respond(const struct exchange *exchange, enum flight_kind kind, int64_t started_us,
                     struct flight_outcome *outcome)
{
	char header[HEADER_BYTES_MAX];

	if (outcome->refusal != NULL) {
		gateway_respond_error(exchange, outcome->refusal);
	} else {
		(void)snprintf(header, sizeof header, "X-Millrace-Degraded: %s", outcome->degraded);
		gateway_respond(exchange, 200, &outcome->body, outcome->degraded[0] != '\0' ? header : NULL);
	}
	if (kind == FLIGHT_KIND_SEARCH)
		series_observe(exchange->gateway->search_seconds,
		               (double)(clock_monotonic_us() - started_us) / 1e6);
}

static void flight_completed(void *context, struct flight_outcome *outcome)
{
	struct reading *reading = context;

	reading_respond(&reading->exchange, reading->kind, reading->started_us, outcome);
	free(reading);
}

static int resolve(const struct exchange *exchange, struct flight_request *request,
                   struct error_answer *refusal)
{
	struct slice uid = exchange->segments[1];

	if (index_uid_check(uid, refusal) < 0)
		return -1;
	return gateway_resolve(exchange, uid, &request->snapshot, &request->index, refusal);
}

static void start(const struct exchange *exchange, struct flight_request *request, struct arena *arena)
{
	struct reading *reading = malloc(sizeof *reading);
	struct error_answer refusal;
	int result = 0;

	if (reading == NULL)
		result = error_answer_set(&refusal, "internal", "out of memory");
	if (result == 0)
		result = resolve(exchange, request, &refusal);
	if (result < 0) {
		free(reading);
		arena_deinit(arena);
		gateway_respond_error(exchange, &refusal);
		return;
	}
	*reading = (struct reading){*exchange, request->kind, clock_monotonic_us()};
	request->gateway = exchange->gateway;
	request->arena = arena;
	request->request_id = http_request_id(exchange->request);
	request->completion = flight_completed;
	request->context = reading;
	flight_start(request);
}

void reading_search(const struct exchange *exchange, const struct search_request *request,
                    struct arena *arena)
{
	struct flight_request flight = {.kind = FLIGHT_KIND_SEARCH, .search = *request};

	start(exchange, &flight, arena);
}

void reading_list(const struct exchange *exchange, const struct listing_request *request, struct arena *arena)
{
	struct flight_request flight = {.kind = FLIGHT_KIND_LIST, .listing = *request};

	start(exchange, &flight, arena);
}

void reading_get(const struct exchange *exchange, const struct listing_request *request, struct arena *arena)
{
	struct flight_request flight = {
		.kind = FLIGHT_KIND_GET, .listing = *request, .id = exchange->segments[3]};

	start(exchange, &flight, arena);
}
