#include "query/multi.h"

#include "query/core/answer.h"
#include "query/core/federation.h"
#include "query/core/federation_rules.h"
#include "query/core/token.h"
#include "query/flight.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/random.h"

#include <pthread.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES 4096
#define HEADERS_BYTES_MAX (64U * 1024)

/* A query in the air. */
struct multi_query {
	struct multi *multi;
	size_t at;
	const struct snapshot *snapshot; /* NULL: its flight has it */
	const struct index_record *index;
	struct buffer body; /* of its answer, without federation */
};

/* What the queries of an index count together, in the air when they have landed. */
struct multi_count {
	struct multi *multi;
	size_t first;                    /* of its queries */
	const struct snapshot *snapshot; /* NULL: its flight has it */
	const struct index_record *index;
	struct buffer questions; /* what each of them counts, with commas */
};

struct multi {
	struct exchange exchange;
	struct multi_search_request request;
	struct arena arena;
	int64_t started_us;
	struct multi_query *queries; /* in the arena */
	struct multi_count *counts;  /* there too, an index each */
	size_t counts_len;
	pthread_mutex_t lock; /* guards what follows */
	size_t flying;
	size_t refused; /* the first that is; SIZE_MAX: none */
	struct error_answer refusal;
	struct buffer degraded;
	struct federation federation;
};

/* ---- life ---- */

static void multi_free(struct multi *multi)
{
	for (size_t i = 0; i < multi->request.len; i++) {
		snapshot_release(multi->queries[i].snapshot);
		buffer_deinit(&multi->queries[i].body);
	}
	for (size_t i = 0; i < multi->counts_len; i++) {
		snapshot_release(multi->counts[i].snapshot);
		buffer_deinit(&multi->counts[i].questions);
	}
	federation_deinit(&multi->federation);
	buffer_deinit(&multi->degraded);
	arena_deinit(&multi->arena);
	(void)pthread_mutex_destroy(&multi->lock);
	free(multi);
}

/* NULL when out of memory; the arena is taken over. */
static struct multi *multi_new(const struct exchange *exchange, const struct multi_search_request *request,
                               struct arena *arena)
{
	struct multi_query *queries = arena_alloc(arena, (request->len + 1) * sizeof queries[0]);
	struct multi_count *counts = arena_alloc(arena, (request->len + 1) * sizeof counts[0]);
	struct multi *multi = queries != NULL && counts != NULL ? calloc(1, sizeof *multi) : NULL;

	if (multi == NULL) {
		arena_deinit(arena);
		return NULL;
	}
	multi->exchange = *exchange;
	multi->request = *request;
	multi->arena = *arena;
	if (!federation_init(&multi->federation, &multi->request, &multi->arena)) {
		arena_deinit(&multi->arena);
		free(multi);
		return NULL;
	}
	multi->started_us = clock_monotonic_us();
	multi->queries = queries;
	multi->counts = counts;
	multi->flying = request->len;
	multi->refused = SIZE_MAX;
	(void)pthread_mutex_init(&multi->lock, NULL);
	buffer_init(&multi->degraded, HEADERS_BYTES_MAX);
	for (size_t i = 0; i < request->len; i++) {
		queries[i] = (struct multi_query){.multi = multi, .at = i};
		buffer_init(&queries[i].body, RESPONSE_BYTES_MAX);
	}
	return multi;
}

/* ---- the answer ---- */

static void append_results(struct multi *multi, struct buffer *body)
{
	buffer_append_string(body, "{\"results\":[");
	for (size_t i = 0; i < multi->request.len; i++) {
		struct slice answer = buffer_slice(&multi->queries[i].body);

		buffer_append_string(body, i > 0 ? ",{\"indexUid\":" : "{\"indexUid\":");
		json_append_string(body, multi->request.queries[i].uid);
		buffer_put_u8(body, ',');
		/* without its brace */
		buffer_append(body, answer.ptr + 1, answer.len - 1);
		buffer_deinit(&multi->queries[i].body);
	}
	buffer_append_string(body, "]}");
}

static void append_federated(struct multi *multi, struct buffer *body)
{
	int64_t took_ms = (clock_monotonic_us() - multi->started_us) / 1000;
	uint8_t random[10];
	char uuid[UUID_BYTES];

	random_bytes(random, sizeof random);
	uuid7_print(clock_wall_ms(), random, uuid);
	federation_answer(&multi->federation, took_ms, uuid, body);
}

/* When nothing is in the air any more. */
static void finish(struct multi *multi)
{
	const char *headers = NULL;
	struct buffer body;

	if (multi->refused != SIZE_MAX) {
		gateway_respond_error(&multi->exchange, &multi->refusal);
		multi_free(multi);
		return;
	}
	buffer_init(&body, RESPONSE_BYTES_MAX);
	if (multi->request.is_federated)
		append_federated(multi, &body);
	else
		append_results(multi, &body);
	if (multi->degraded.len > 0) {
		buffer_put_u8(&multi->degraded, '\0');
		headers = (const char *)multi->degraded.ptr;
		body.failed |= buffer_failed(&multi->degraded);
	}
	gateway_respond(&multi->exchange, 200, &body, headers);
	multi_free(multi);
}

/* ---- flights ---- */

static void refuse(struct multi *multi, size_t at, const struct error_answer *refusal)
{
	char place[MULTI_SEARCH_PLACE_BYTES];

	if (at >= multi->refused)
		return;
	multi_search_place(at, place);
	multi->refused = at;
	multi->refusal = *refusal;
	error_answer_inside(&multi->refusal, place);
}

static void refuse_memory(struct multi *multi, size_t at)
{
	struct error_answer refusal;

	(void)error_answer_set(&refusal, "internal", "out of memory");
	refuse(multi, at, &refusal);
}

static void note_degraded(struct multi *multi, const struct flight_outcome *outcome)
{
	if (outcome->degraded[0] != '\0')
		buffer_printf(&multi->degraded, "%s%s",
		              multi->degraded.len > 0 ? "; " : "X-Millrace-Degraded: ", outcome->degraded);
}

/* False when out of memory. */
static bool take_count(struct multi *multi, size_t at, const struct flight_outcome *outcome)
{
	struct federation_count count = {.uid = multi->request.queries[at].uid, .total = outcome->total};
	struct error error;

	if (outcome->body.len > 0)
		count.facets = buffer_slice(&outcome->body);
	return !buffer_failed(&outcome->body) &&
	       federation_add_count(&multi->federation, &count, &error) == 0;
}

/* NULL: what the index's queries count is known otherwise. */
static struct multi_count *count_of(struct multi *multi, size_t at)
{
	for (size_t i = 0; i < multi->counts_len; i++)
		if (slice_equal(multi->request.queries[multi->counts[i].first].uid,
		                multi->request.queries[at].uid))
			return &multi->counts[i];
	return NULL;
}

static bool take_federated(struct multi_query *query, const struct flight_outcome *outcome)
{
	struct multi *multi = query->multi;
	struct multi_count *count = count_of(multi, query->at);
	struct federation_part part = {.query = query->at,
	                               .index_id = outcome->index_id,
	                               .hits = outcome->hits,
	                               .hits_len = outcome->hits_len};
	struct error error;

	if (buffer_failed(&outcome->body) || federation_add(&multi->federation, &part, &error) < 0)
		return false;
	if (count == NULL)
		return take_count(multi, query->at, outcome);
	if (outcome->counted.ptr == NULL)
		return true;
	buffer_append_string(&count->questions, count->questions.len > 0 ? "," : "");
	buffer_append_slice(&count->questions, outcome->counted);
	return !buffer_failed(&count->questions);
}

static void take(struct multi_query *query, struct flight_outcome *outcome)
{
	struct multi *multi = query->multi;
	bool taken;

	note_degraded(multi, outcome);
	if (multi->request.is_federated) {
		taken = take_federated(query, outcome);
	} else {
		buffer_append_slice(&query->body, buffer_slice(&outcome->body));
		taken = !buffer_failed(&outcome->body) && !buffer_failed(&query->body);
	}
	if (!taken)
		refuse_memory(multi, query->at);
}

/* ---- flights of counts ---- */

/* On any thread. */
static void count_landed(void *context, struct flight_outcome *outcome)
{
	struct multi_count *count = context;
	struct multi *multi = count->multi;
	bool last;

	(void)pthread_mutex_lock(&multi->lock);
	if (outcome->refusal != NULL) {
		refuse(multi, count->first, outcome->refusal);
	} else {
		note_degraded(multi, outcome);
		if (!take_count(multi, count->first, outcome))
			refuse_memory(multi, count->first);
	}
	last = --multi->flying == 0;
	(void)pthread_mutex_unlock(&multi->lock);
	if (last)
		finish(multi);
}

/* A question without hits of its own: all documents that the queries count, or of a list without repetitions those of the
 * list. */
static bool ask_count(const struct multi_count *count, struct arena *arena, struct search_request *search)
{
	const struct multi *multi = count->multi;
	const struct federation_request *federation = &multi->request.federation;
	struct slice uid = multi->request.queries[count->first].uid;
	const struct federation_facets *facets = federation_facets_of(federation, uid);
	struct buffer asked;
	bool done;

	*search = (struct search_request){.q = slice_string("")};
	buffer_init(&asked, SIZE_MAX);
	buffer_append_string(&asked, ",\"documents\":true,\"ids\":[],\"union\":[");
	buffer_append_slice(&asked, buffer_slice(&count->questions));
	if (federation->distinct.ptr != NULL) {
		buffer_append_string(&asked, "{\"documents\":true,\"ids\":");
		federation_append_ids(&multi->federation, count->index->id, &asked);
		buffer_put_u8(&asked, '}');
	}
	buffer_put_u8(&asked, ']');
	if (facets != NULL && facets->patterns.len > 0) {
		buffer_append_string(&asked, ",\"facets\":");
		federation_append_patterns(facets, &asked);
		search->facets = facets->patterns;
	}
	search->asked = buffer_slice(&asked);
	done = !buffer_failed(&asked) && search_request_copy(search, arena, search);
	buffer_deinit(&asked);
	return done;
}

/* As `fly`. */
static void fly_count(struct multi_count *count)
{
	struct multi *multi = count->multi;
	struct flight_request flight = {.gateway = multi->exchange.gateway,
	                                .kind = FLIGHT_KIND_FEDERATED,
	                                .snapshot = count->snapshot,
	                                .index = count->index,
	                                .request_id = http_request_id(multi->exchange.request),
	                                .counts = true,
	                                .completion = count_landed,
	                                .context = count};
	struct error_answer refusal;
	struct flight_outcome outcome = {.refusal = &refusal, .degraded = ""};
	struct arena arena;

	arena_init(&arena, ARENA_BLOCK_BYTES);
	if (!ask_count(count, &arena, &flight.search)) {
		arena_deinit(&arena);
		(void)error_answer_set(&refusal, "internal", "out of memory");
		count_landed(count, &outcome);
		return;
	}
	flight.arena = &arena;
	count->snapshot = NULL;
	flight_start(&flight);
}

/* All hits are there: now what is counted apart. */
static void end_queries(struct multi *multi)
{
	struct multi_count *counts = multi->counts;
	size_t len = multi->counts_len;
	struct error error;

	if (multi->refused == SIZE_MAX && multi->request.is_federated &&
	    federation_order(&multi->federation, &error) < 0)
		refuse_memory(multi, 0);
	if (multi->refused != SIZE_MAX || len == 0) {
		finish(multi);
		return;
	}
	multi->flying = len;
	/* after the last one everything may be gone */
	for (size_t i = 0; i < len; i++)
		fly_count(&counts[i]);
}

/* ---- flights of queries ---- */

/* On any thread. */
static void landed(void *context, struct flight_outcome *outcome)
{
	struct multi_query *query = context;
	struct multi *multi = query->multi;
	bool last;

	(void)pthread_mutex_lock(&multi->lock);
	if (outcome->refusal != NULL)
		refuse(multi, query->at, outcome->refusal);
	else
		take(query, outcome);
	last = --multi->flying == 0;
	(void)pthread_mutex_unlock(&multi->lock);
	if (last)
		end_queries(multi);
}

/* With all that it points to; false when out of memory. */
static bool copy_asks(struct federation_asks asks, struct arena *arena, struct federation_asks *copy)
{
	struct search_request facets = {.facets = asks.facets, .distinct = asks.distinct};

	if (!search_request_copy(&facets, arena, &facets))
		return false;
	*copy = (struct federation_asks){.distinct = facets.distinct, .facets = facets.facets};
	return true;
}

/* The query may have landed, and all of them be answered, when this returns. Legs may outlive the answer: what the
 * flight needs goes with it. */
static void fly(struct multi_query *query)
{
	struct multi *multi = query->multi;
	const struct multi_search_request *request = &multi->request;
	struct flight_request flight = {.gateway = multi->exchange.gateway,
	                                .kind = request->is_federated ? FLIGHT_KIND_FEDERATED
	                                                              : FLIGHT_KIND_SEARCH,
	                                .snapshot = query->snapshot,
	                                .index = query->index,
	                                .request_id = http_request_id(multi->exchange.request),
	                                .tells_counted = request->federation.distinct.ptr == NULL &&
	                                                 count_of(multi, query->at) != NULL,
	                                .completion = landed,
	                                .context = query};
	struct error_answer refusal;
	struct flight_outcome outcome = {.refusal = &refusal, .degraded = ""};
	struct arena arena;

	arena_init(&arena, ARENA_BLOCK_BYTES);
	if (!search_request_copy(&request->queries[query->at].search, &arena, &flight.search) ||
	    (request->is_federated &&
	     !copy_asks(federation_asks_of(request, query->at), &arena, &flight.asks))) {
		arena_deinit(&arena);
		(void)error_answer_set(&refusal, "internal", "out of memory");
		landed(query, &outcome);
		return;
	}
	flight.arena = &arena;
	query->snapshot = NULL;
	flight_start(&flight);
}

/* ---- start ---- */

/* The index of a query, and whether the query may be asked. */
static int resolve(struct multi *multi, size_t at, struct error_answer *refusal)
{
	struct multi_query *query = &multi->queries[at];
	struct slice uid = multi->request.queries[at].uid;
	char place[MULTI_SEARCH_PLACE_BYTES];

	if (multi_search_uid_check(&multi->request, at, refusal) < 0)
		return -1;
	if (gateway_resolve(&multi->exchange, uid, &query->snapshot, &query->index, refusal) == 0 &&
	    multi_search_query_check(&multi->request, at, refusal) == 0)
		return 0;
	multi_search_place(at, place);
	error_answer_inside(refusal, place);
	return -1;
}

/* Whether the documents of the query's index are counted by a flight of their own, which is not planned yet. */
static bool wants_count(struct multi *multi, size_t at)
{
	const struct multi_search_request *request = &multi->request;
	struct slice uid = request->queries[at].uid;
	const struct federation_facets *facets = federation_facets_of(&request->federation, uid);

	if (!request->is_federated || !federation_is_counted_apart(request, uid) ||
	    count_of(multi, at) != NULL)
		return false;
	/* the total of a list without repetitions is its length */
	return request->federation.distinct.ptr == NULL || (facets != NULL && facets->patterns.len > 0);
}

static int plan_count(struct multi *multi, size_t at, struct error_answer *refusal)
{
	struct multi_count *count = &multi->counts[multi->counts_len];

	*count = (struct multi_count){.multi = multi, .first = at};
	if (gateway_resolve(&multi->exchange, multi->request.queries[at].uid, &count->snapshot, &count->index,
	                    refusal) < 0)
		return -1;
	buffer_init(&count->questions, RESPONSE_BYTES_MAX);
	multi->counts_len++;
	return 0;
}

/* Refuses the first query whose hits have no order in common with those before it: it need not fly, nor any behind it. */
static void compare_rules(struct multi *multi)
{
	struct federation_rules longest = {.len = 0};
	struct error_answer refusal;

	for (size_t i = 0; i < multi->request.len; i++) {
		const struct multi_query *query = &multi->queries[i];
		struct federation_rules rules = {.query = i, .uid = multi->request.queries[i].uid};
		const struct settings *settings =
			view_settings_of(query->snapshot->settings, query->index->id).settings;

		if (settings == NULL)
			continue;
		federation_rules_of(settings, &multi->request.queries[i].search, &rules);
		if (i > 0 && federation_rules_compare(&longest, &rules, &refusal) < 0) {
			refuse(multi, i, &refusal);
			multi->flying = i;
			return;
		}
		if (rules.len >= longest.len)
			longest = rules;
	}
}

static int prepare(struct multi *multi, struct error_answer *refusal)
{
	if (http_request_header(multi->exchange.request, TOKEN_HEADER) != NULL)
		return error_answer_set(
			refusal, "invalid_consistency_token",
			"A consistency token speaks of one index: a multi-search takes none.");
	for (size_t i = 0; i < multi->request.len; i++)
		if (resolve(multi, i, refusal) < 0 ||
		    (wants_count(multi, i) && plan_count(multi, i, refusal) < 0))
			return -1;
	if (multi->request.is_federated)
		compare_rules(multi);
	return federation_request_check(&multi->request, refusal);
}

void multi_search(const struct exchange *exchange, const struct multi_search_request *request,
                  struct arena *arena)
{
	struct multi *multi = multi_new(exchange, request, arena);
	struct error_answer refusal;

	if (multi == NULL) {
		(void)error_answer_set(&refusal, "internal", "out of memory");
		gateway_respond_error(exchange, &refusal);
	} else if (prepare(multi, &refusal) < 0) {
		multi_free(multi);
		gateway_respond_error(exchange, &refusal);
	} else if (multi->flying == 0) {
		finish(multi);
	} else {
		struct multi_query *queries = multi->queries;
		size_t len = multi->flying;

		/* after the last one everything may be gone */
		for (size_t i = 0; i < len; i++)
			fly(&queries[i]);
	}
}
