/* What the client's answer is made of. */
#include "query/core/token.h"
#include "query/flight_private.h"
#include "shared/base/assert.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/random.h"

#include <stdarg.h>
#include <stdio.h>

static void finished(struct flight *flight)
{
	ASSERT(!flight->finished);
	flight->finished = true;
}

void flight_refuse(struct flight *flight, const char *code, const char *format, ...)
{
	char message[ERROR_ANSWER_MESSAGE_BYTES_MAX];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	(void)error_answer_set(&flight->refusal, code, "%s", message);
	flight_end_refused(flight);
}

void flight_end_refused(struct flight *flight)
{
	flight->outcome.refusal = &flight->refusal;
	finished(flight);
}

static void refuse_missing(struct flight *flight)
{
	struct buffer degraded;
	struct slice text;

	buffer_init(&degraded, DEGRADED_BYTES_MAX);
	scatter_append_degraded(flight->scatter, &degraded);
	text = buffer_slice(&degraded);
	flight_refuse(flight, "unavailable", "Index `%s`: no node answers for %.*s.",
	              flight->request.index->uid, SLICE_ARGS(text));
	buffer_deinit(&degraded);
}

/* The first partition of which the answer has less than is required; -1 if none. */
static int32_t find_uncovered(const struct flight *flight)
{
	const int64_t *required = flight->request.required;
	int32_t p = flight->partition;

	if (required == NULL)
		return -1;
	if (p < 0)
		return token_uncovered(flight->covered, required, flight->request.index->partitions);
	/* the document can be nowhere else */
	return flight->covered[p] < required[p] ? p : -1;
}

static int64_t took_ms(const struct flight *flight)
{
	return (clock_monotonic_us() - flight->started_us) / 1000;
}

static int64_t total_of(const struct flight *flight)
{
	return flight->total >= 0 ? flight->total : flight->merge.total;
}

/* One query of several: the list that they make is not the flight's to write. */
static void give_hits(struct flight *flight, const struct node_hit *hits, size_t len)
{
	struct flight_outcome *outcome = &flight->outcome;

	outcome->hits = hits;
	outcome->hits_len = len;
	outcome->total = total_of(flight);
	outcome->index_id = flight->request.index->id;
	if (flight->request.tells_counted && !flight_tell_counted(flight, &outcome->counted))
		outcome->body.failed = true;
	if (flight->request.search.facets.len == 0)
		return;
	buffer_put_u8(&outcome->body, '{');
	facet_merge_append(&flight->merge.facets, flight->settings.settings, &outcome->body);
	buffer_put_u8(&outcome->body, '}');
}

static void append_found(struct flight *flight, const struct node_hit *hits, size_t len, struct buffer *body)
{
	uint8_t random[10];
	char uuid[UUID_BYTES];
	struct search_outcome outcome = {.hits = hits,
	                                 .hits_len = len,
	                                 .total = total_of(flight),
	                                 .facets = &flight->merge.facets,
	                                 .settings = flight->settings.settings,
	                                 .took_ms = took_ms(flight),
	                                 .uuid = uuid};

	random_bytes(random, sizeof random);
	uuid7_print(clock_wall_ms(), random, uuid);
	answer_search(body, &flight->request.search, &outcome);
}

static void append_answer(struct flight *flight, struct buffer *body)
{
	const struct flight_request *request = &flight->request;
	struct page cut = {0, flight->page.limit};
	size_t len;
	const struct node_hit *hits = merge_page(&flight->merge, flight->cut ? cut : flight->page, &len);

	switch (request->kind) {
	case FLIGHT_KIND_SEARCH:
		append_found(flight, hits, len, body);
		break;
	case FLIGHT_KIND_FACET:
		facet_hits_answer(&flight->facet_hits, &request->facet, flight->settings.settings,
		                  took_ms(flight), body);
		break;
	case FLIGHT_KIND_FEDERATED:
		give_hits(flight, hits, len);
		break;
	case FLIGHT_KIND_DOCUMENTS:
	case FLIGHT_KIND_LIST:
		answer_documents(body, &request->listing, hits, len, flight->merge.total);
		break;
	case FLIGHT_KIND_GET:
		answer_document(body, &request->listing, flight->document);
		break;
	}
}

/* What is not whole in the answer; a document found is whole, wherever else it was looked for. */
static bool describe_degraded(struct flight *flight)
{
	bool get = flight->request.kind == FLIGHT_KIND_GET;
	struct slice kept = slice_string("");
	struct buffer degraded;
	bool described;

	buffer_init(&degraded, DEGRADED_BYTES_MAX);
	if (!get || scatter_stale(flight->scatter) > 0)
		scatter_append_degraded(flight->scatter, &degraded);
	if (flight->at_cutoff)
		buffer_printf(&degraded, "%scutoff", degraded.len > 0 ? "; " : "");
	buffer_put_u8(&degraded, '\0');
	described = !buffer_failed(&degraded) && arena_copy(&flight->arena, buffer_slice(&degraded), &kept);
	buffer_deinit(&degraded);
	flight->outcome.degraded = (const char *)kept.ptr;
	return described;
}

static void answer_page(struct flight *flight)
{
	struct error error;

	if (!describe_degraded(flight) || merge_order(&flight->merge, &error) < 0) {
		flight_refuse(flight, "internal", "out of memory");
		return;
	}
	append_answer(flight, &flight->outcome.body);
	flight->outcome.generation = flight->request.index->generation;
	flight->outcome.covered = flight->covered;
	flight->outcome.covered_len = (size_t)flight->request.index->partitions;
	finished(flight);
}

static void settle_outcome(struct flight *flight)
{
	struct gateway *gateway = flight->request.gateway;
	bool get = flight->request.kind == FLIGHT_KIND_GET;
	size_t missing = scatter_missing(flight->scatter);
	size_t shards = get ? missing : (size_t)flight->request.index->partitions;
	bool found = flight->document.ptr != NULL;
	bool refuse = missing > 0 && !found && (gateway->refuse_degraded || missing == shards);
	int32_t uncovered = find_uncovered(flight);

	if (scatter_stale(flight->scatter) > 0)
		gateway_count_degraded(gateway, "stale");
	if (flight->at_cutoff)
		gateway_count_degraded(gateway, "cutoff");
	if (missing > 0 && !found)
		gateway_count_degraded(gateway, refuse ? "refused" : "shards");
	if (uncovered >= 0)
		flight_refuse(flight, "consistency_token_not_reached",
		              "Index `%s`: no replica of partition %d has received offset %lld in time.",
		              flight->request.index->uid, uncovered,
		              (long long)flight->request.required[uncovered] - 1);
	else if (refuse)
		refuse_missing(flight);
	else if (get && !found)
		flight_refuse(flight, "document_not_found", "Document `%.*s` not found.",
		              SLICE_ARGS(flight->id));
	else
		answer_page(flight);
}

void flight_finish(struct flight *flight)
{
	settle_outcome(flight);
	if (flight->request.explain)
		flight_explain(flight);
}
