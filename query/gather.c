#include "query/gather.h"

#include "query/core/coalesce.h"
#include "query/core/token.h"
#include "query/reading.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/random.h"

#include <pthread.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES 256

struct gather {
	uint64_t seed;
	struct series *fired;
	struct series *joined;
	struct series *alone;
	pthread_mutex_t lock;
	struct coalesce *coalesce; /* guarded by lock */
};

/* One exchange that waits for an answer. */
struct waiting {
	struct coalesce_waiter waiter; /* first: what the core gives back is this */
	struct gather *gather;
	struct exchange exchange;
	int64_t started_us;
	const struct snapshot *snapshot; /* NULL: its flight has it */
	const struct index_record *index;
	struct search_request search;
	struct arena arena; /* what `search` points to, until the flight has it */
	int64_t *required;  /* NULL: no token */
};

/* ---- life ---- */

int gather_open(int64_t window_ms, struct gather **gather, struct error *error)
{
	static const char *const results[] = {"fired", "joined", "alone"};
	struct metric *searches =
		metric_new(METRIC_TYPE_COUNTER, "millrace_search_coalesced_total",
	                   "Searches that fired a flight, joined one, or flew alone.", "result");
	struct gather *fresh = calloc(1, sizeof *fresh);

	if (fresh == NULL)
		return error_memory(error, sizeof *fresh);
	fresh->coalesce = coalesce_new(window_ms);
	if (fresh->coalesce == NULL) {
		free(fresh);
		return error_set(error, ERROR_MEMORY, ERROR_ACTION_RETRY,
		                 "no memory for the table of searches");
	}
	fresh->seed = random_u64();
	fresh->fired = metric_series(searches, &results[0]);
	fresh->joined = metric_series(searches, &results[1]);
	fresh->alone = metric_series(searches, &results[2]);
	(void)pthread_mutex_init(&fresh->lock, NULL);
	*gather = fresh;
	return 0;
}

void gather_close(struct gather *gather)
{
	if (gather == NULL)
		return;
	coalesce_free(gather->coalesce);
	(void)pthread_mutex_destroy(&gather->lock);
	free(gather);
}

static void waiting_free(struct waiting *waiting)
{
	if (waiting == NULL)
		return;
	snapshot_release(waiting->snapshot);
	free(waiting->required);
	arena_deinit(&waiting->arena);
	free(waiting);
}

/* ---- a request ---- */

/* What the answer must cover: the client's token. Finals name no offsets yet (core/token.h). */
static int read_token(struct waiting *waiting, struct error_answer *refusal)
{
	const char *text = http_request_header(waiting->exchange.request, TOKEN_HEADER);
	const struct index_record *index = waiting->index;

	if (text == NULL)
		return 0;
	waiting->required = calloc((size_t)index->partitions, sizeof waiting->required[0]);
	if (waiting->required == NULL)
		return error_answer_set(refusal, "internal", "out of memory");
	if (token_parse(slice_string(text), index->generation, index->partitions, waiting->required,
	                refusal) < 0)
		return -1;
	token_raise(waiting->required, NULL, index->partitions);
	return 0;
}

static int fill(struct waiting *waiting, const struct search_request *request, struct error_answer *refusal)
{
	struct slice uid = waiting->exchange.segments[1];

	if (index_uid_check(uid, refusal) < 0 ||
	    gateway_resolve(&waiting->exchange, uid, &waiting->snapshot, &waiting->index, refusal) < 0 ||
	    read_token(waiting, refusal) < 0)
		return -1;
	waiting->search = *request;
	return 0;
}

/* NULL after answering that it cannot be searched for. The arena is taken over. */
static struct waiting *waiting_new(struct gather *gather, const struct exchange *exchange,
                                   const struct search_request *request, struct arena *arena)
{
	struct waiting *waiting = calloc(1, sizeof *waiting);
	struct error_answer refusal;
	int result;

	if (waiting == NULL) {
		result = error_answer_set(&refusal, "internal", "out of memory");
		arena_deinit(arena);
	} else {
		waiting->arena = *arena;
		waiting->gather = gather;
		waiting->exchange = *exchange;
		waiting->started_us = clock_monotonic_us();
		result = fill(waiting, request, &refusal);
	}
	if (result == 0)
		return waiting;
	waiting_free(waiting);
	gateway_respond_error(exchange, &refusal);
	return NULL;
}

static void prepare(struct waiting *waiting)
{
	uint64_t id = waiting->index->id;
	struct coalesce_scope scope = {.index_id = id,
	                               .generation = waiting->index->generation,
	                               .settings_version =
	                                       view_settings_of(waiting->snapshot->settings, id).version,
	                               .authorization = slice_string(""),
	                               .seed = waiting->gather->seed};

	waiting->waiter.fingerprint = coalesce_fingerprint(&waiting->search, &scope);
	waiting->waiter.required = waiting->required;
	waiting->waiter.partitions = waiting->index->partitions;
	waiting->waiter.deadline_ms = waiting->started_us / 1000 + waiting->exchange.gateway->timeout_ms;
}

/* ---- flights ---- */

static void landed(void *context, struct flight_outcome *outcome);

/* Starts the flight that `waiting` leads. It may have landed, and `waiting` be gone, when this returns. */
static void fire(struct waiting *waiting)
{
	size_t required_bytes = (size_t)waiting->index->partitions * sizeof waiting->required[0];
	struct flight_request flight = {.gateway = waiting->exchange.gateway,
	                                .kind = FLIGHT_KIND_SEARCH,
	                                .index = waiting->index,
	                                .request_id = http_request_id(waiting->exchange.request),
	                                .search = waiting->search,
	                                .deadline_ms = waiting->waiter.deadline_ms,
	                                .completion = landed,
	                                .context = waiting};
	struct error_answer refusal;
	struct slice required = slice_of(NULL, 0);
	struct arena arena;

	/* legs may outlive the waiting: what the flight needs goes with it, and whoever leads a flight is never fired
	 * again */
	arena = waiting->arena;
	arena_init(&waiting->arena, ARENA_BLOCK_BYTES);
	if (waiting->required != NULL &&
	    !arena_copy(&arena, slice_of(waiting->required, required_bytes), &required)) {
		struct flight_outcome outcome = {.refusal = &refusal, .degraded = ""};

		arena_deinit(&arena);
		(void)error_answer_set(&refusal, "internal", "out of memory");
		landed(waiting, &outcome);
		return;
	}
	flight.required = (const int64_t *)(const void *)required.ptr;
	flight.arena = &arena;
	/* the flight keeps the index until it has landed */
	flight.snapshot = waiting->snapshot;
	waiting->snapshot = NULL;
	flight_start(&flight);
}

static void answer(struct waiting *waiting, const struct flight_outcome *outcome)
{
	struct flight_outcome copy = *outcome;

	buffer_init(&copy.body, RESPONSE_BYTES_MAX);
	buffer_append_slice(&copy.body, buffer_slice(&outcome->body));
	reading_respond(&waiting->exchange, FLIGHT_KIND_SEARCH, waiting->started_us, &copy);
	buffer_deinit(&copy.body);
	waiting_free(waiting);
}

static void refuse(struct waiting *waiting, const struct flight_outcome *outcome)
{
	int32_t partition = token_uncovered(outcome->covered, waiting->required, waiting->index->partitions);
	struct error_answer refusal;
	struct flight_outcome refused = {.refusal = &refusal, .degraded = ""};

	(void)error_answer_set(&refusal, "consistency_token_not_reached",
	                       "Index `%s`: no replica of partition %d has received offset %lld in time.",
	                       waiting->index->uid, partition, (long long)waiting->required[partition] - 1);
	reading_respond(&waiting->exchange, FLIGHT_KIND_SEARCH, waiting->started_us, &refused);
	waiting_free(waiting);
}

/* On any thread. */
static void landed(void *context, struct flight_outcome *outcome)
{
	struct waiting *leader = context;
	struct gather *gather = leader->gather;
	struct coalesce_landing landing = {clock_monotonic_ms(), outcome->refusal != NULL, outcome->covered};
	struct coalesce_waiter *waiter;

	(void)pthread_mutex_lock(&gather->lock);
	waiter = coalesce_land(gather->coalesce, &leader->waiter, &landing);
	(void)pthread_mutex_unlock(&gather->lock);
	while (waiter != NULL) {
		struct waiting *waiting = (struct waiting *)waiter;

		waiter = waiter->next;
		switch (waiting->waiter.verdict) {
		case COALESCE_VERDICT_ANSWER:
			answer(waiting, outcome);
			break;
		case COALESCE_VERDICT_REFUSE:
			refuse(waiting, outcome);
			break;
		case COALESCE_VERDICT_FIRE:
			series_add(gather->fired, 1);
			fire(waiting);
			break;
		}
	}
}

void gather_search(struct gather *gather, const struct exchange *exchange,
                   const struct search_request *request, struct arena *arena)
{
	struct waiting *waiting = waiting_new(gather, exchange, request, arena);
	enum coalesce_place place;

	if (waiting == NULL)
		return;
	prepare(waiting);
	(void)pthread_mutex_lock(&gather->lock);
	place = coalesce_ask(gather->coalesce, &waiting->waiter, clock_monotonic_ms());
	(void)pthread_mutex_unlock(&gather->lock);
	/* a joined one may be answered and gone by now */
	if (place == COALESCE_PLACE_JOINED) {
		series_add(gather->joined, 1);
		return;
	}
	series_add(place == COALESCE_PLACE_ALONE ? gather->alone : gather->fired, 1);
	fire(waiting);
}
