#include "query/reading.h"

#include "query/core/token.h"
#include "shared/runtime/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define HEADERS_BYTES_MAX (64U * 1024)

/* One exchange that waits for a flight. */
struct reading {
	struct exchange exchange;
	enum flight_kind kind;
	int64_t started_us;
};

/* What the answer lacks, and what it covers. */
static void append_headers(struct buffer *headers, const struct flight_outcome *outcome)
{
	if (outcome->degraded[0] != '\0')
		buffer_printf(headers, "X-Millrace-Degraded: %s\n", outcome->degraded);
	buffer_append_string(headers, TOKEN_HEADER ": ");
	token_append(headers, outcome->generation, outcome->covered, (int32_t)outcome->covered_len);
	buffer_put_u8(headers, '\0');
}

void reading_respond(const struct exchange *exchange, enum flight_kind kind, int64_t started_us,
                     struct flight_outcome *outcome)
{
	struct buffer headers;
	struct error_answer failed;

	buffer_init(&headers, HEADERS_BYTES_MAX);
	if (outcome->refusal == NULL)
		append_headers(&headers, outcome);
	if (buffer_failed(&headers)) {
		(void)error_answer_set(&failed, "internal", "out of memory");
		gateway_respond_error(exchange, &failed);
	} else if (outcome->refusal != NULL) {
		gateway_respond_error(exchange, outcome->refusal);
	} else {
		gateway_respond(exchange, 200, &outcome->body, (const char *)headers.ptr);
	}
	buffer_deinit(&headers);
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

static int read_token(const struct exchange *exchange, struct flight_request *request, struct arena *arena,
                      struct error_answer *refusal)
{
	const char *text = http_request_header(exchange->request, TOKEN_HEADER);
	int32_t partitions = request->index->partitions;
	int64_t *required;

	if (text == NULL)
		return 0;
	required = arena_alloc(arena, (size_t)partitions * sizeof required[0]);
	if (required == NULL)
		return error_answer_set(refusal, "internal", "out of memory");
	request->required = required;
	return token_parse(slice_string(text), request->index->generation, partitions, required, refusal);
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
	if (result == 0)
		result = read_token(exchange, request, arena, &refusal);
	if (result < 0) {
		free(reading);
		snapshot_release(request->snapshot);
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

void reading_documents(const struct exchange *exchange, const struct documents_request *request,
                       struct arena *arena)
{
	struct flight_request flight = {.kind = FLIGHT_KIND_LIST, .listing = request->listing};

	if (request->is_search) {
		flight.kind = FLIGHT_KIND_DOCUMENTS;
		flight.search = request->search;
		flight.listing.has_fields = false; /* nodes have chosen them */
	}
	start(exchange, &flight, arena);
}

void reading_explain(const struct exchange *exchange, const struct search_request *request,
                     struct arena *arena)
{
	struct flight_request flight = {.kind = FLIGHT_KIND_SEARCH, .explain = true, .search = *request};

	start(exchange, &flight, arena);
}

void reading_facet(const struct exchange *exchange, const struct facet_search_request *request,
                   struct arena *arena)
{
	struct flight_request flight = {
		.kind = FLIGHT_KIND_FACET, .search = request->search, .facet = request->facet};

	start(exchange, &flight, arena);
}

void reading_get(const struct exchange *exchange, const struct listing_request *request, struct arena *arena)
{
	struct flight_request flight = {
		.kind = FLIGHT_KIND_GET, .listing = *request, .id = exchange->segments[3]};

	start(exchange, &flight, arena);
}
