#include "query/flight_private.h"

#include "shared/base/assert.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <stdio.h>
#include <stdlib.h>

/* Hits that a node gives at once. */
#define WINDOW_MAX 1000000
/* How long a flight waits for a newer snapshot when a node lacks a shard, and how often it looks; for settings that a
 * node lacks it waits as long as there is time, and looks less and less. */
#define NEWER_WAIT_US_MAX 300000
#define NEWER_LOOK_US 20000
#define NEWER_LOOK_US_MAX 160000

bool flight_searches(enum flight_kind kind)
{
	return kind != FLIGHT_KIND_LIST && kind != FLIGHT_KIND_GET;
}

/* ---- life ---- */

static void leg_completed(void *context, const struct http_answer *answer);
static void alarm_rang(void *context);
static void begin_aside(struct flight *flight);

/* NULL when out of memory: the request's arena and snapshot are then still the caller's. */
static struct flight *flight_new(const struct flight_request *request)
{
	struct flight *flight = calloc(1, sizeof *flight);
	int64_t now_us = clock_monotonic_us();

	if (flight == NULL)
		return NULL;
	flight->request = *request;
	(void)snprintf(flight->request_id, sizeof flight->request_id, "%s", request->request_id);
	(void)pthread_mutex_init(&flight->lock, NULL);
	flight->holders = 1;
	flight->alarm.ring = alarm_rang;
	flight->alarm.context = flight;
	flight->arena = *request->arena;
	flight->request.arena = NULL;
	merge_init(&flight->merge);
	facet_hits_init(&flight->facet_hits);
	map_init(&flight->paths_known);
	buffer_init(&flight->outcome.body, RESPONSE_BYTES_MAX);
	flight->outcome.degraded = "";
	flight->started_us = now_us;
	flight->deadline_us = request->deadline_ms > 0
	                              ? request->deadline_ms * 1000
	                              : now_us + (int64_t)request->gateway->timeout_ms * 1000;
	return flight;
}

static void flight_free(struct flight *flight)
{
	ASSERT(flight->delivered);
	atomic_fetch_sub(&flight->request.gateway->answer_bytes, flight->answer_bytes);
	merge_deinit(&flight->merge);
	facet_hits_deinit(&flight->facet_hits);
	map_deinit(&flight->paths_known);
	arena_deinit(&flight->arena);
	snapshot_release(flight->request.snapshot);
	for (size_t i = 0; i < flight->outdated_len; i++)
		snapshot_release(flight->outdated[i]);
	(void)pthread_mutex_destroy(&flight->lock);
	free(flight);
}

/* Gives the outcome away if it is there, unlocks, and frees after the last holder. A flight that is only waiting
 * for legs that nobody needs does not count as one. */
static void flight_let_go(struct flight *flight)
{
	bool last;

	if (flight->finished && !flight->delivered) {
		flight->delivered = true;
		(void)pthread_mutex_unlock(&flight->lock);
		flight->request.completion(flight->request.context, &flight->outcome);
		buffer_deinit(&flight->outcome.body);
		gateway_end_flight(flight->request.gateway);
		(void)pthread_mutex_lock(&flight->lock);
	}
	last = --flight->holders == 0;
	(void)pthread_mutex_unlock(&flight->lock);
	if (last)
		flight_free(flight);
}

/* ---- time ---- */

/* INT64_MAX: not at all. False: it will not ring. */
static bool set_alarm(struct flight *flight, int64_t at_us)
{
	struct alarms *alarms = flight->request.gateway->alarms;
	enum alarm_set set;

	if (at_us == INT64_MAX) {
		flight->holders -= alarms_cancel(alarms, &flight->alarm);
		return false;
	}
	set = alarms_set(alarms, &flight->alarm, at_us);
	flight->holders += set == ALARM_SET_NEW;
	return set != ALARM_SET_REFUSED;
}

/* ---- rounds ---- */

static void report_failure(const struct flight *flight, const struct node_record *node,
                           const struct error *error)
{
	logline(LOG_LEVEL_WARN, "node_failed", "node=%s request=%s index=%s error=\"%s\"", node->id,
	        flight->request_id, flight->request.index->uid, error->text);
}

/* A node does not have what meta and topology say it has: one of the two is about to learn something. */
static bool wait_for_newer(struct flight *flight)
{
	size_t again_max = flight->lacks_settings ? FLIGHT_SNAPSHOTS_MAX : 1;
	int64_t now_us = clock_monotonic_us();
	bool set;

	if (flight->outdated_len >= again_max || scatter_absent(flight->scatter) == 0 ||
	    now_us >= flight->deadline_us)
		return false;
	if (!flight->lacks_settings || flight->look_us == 0)
		flight->look_us = NEWER_LOOK_US;
	else if (flight->look_us < NEWER_LOOK_US_MAX)
		flight->look_us *= 2;
	set = set_alarm(flight, now_us + flight->look_us);
	if (set)
		flight->newer_until_us =
			flight->lacks_settings ? flight->deadline_us : now_us + NEWER_WAIT_US_MAX;
	return set;
}

/* Tells all nodes what they do not know by themselves: once, as what they say then may differ only by what they have
 * received since. */
static bool ask_again(struct flight *flight)
{
	struct merge_words words = flight->words;

	if (!flight_searches(flight->request.kind) || clock_monotonic_us() >= flight->deadline_us)
		return false;
	if (flight->told || !merge_wants(&flight->merge, &words))
		return flight_settle(flight);
	flight->told = words.paths.ptr == NULL || arena_copy(&flight->arena, words.paths, &words.paths);
	flight->words = words;
	if (flight->told)
		flight_begin(flight, words.has_rarest ? "rarest" : "known");
	else
		flight_refuse(flight, "internal", "out of memory");
	return true;
}

static void end_scatter(struct flight *flight)
{
	balance_count_end(flight->request.gateway->balance, flight->scatter);
	if (flight->aside != FLIGHT_ASIDE_NONE)
		flight_end_aside(flight);
	else if (wait_for_newer(flight) || ask_again(flight))
		return;
	else if (clock_monotonic_us() < flight->deadline_us && flight_wants_spellings(flight))
		begin_aside(flight);
	else
		flight_finish(flight);
}

/* Hands the event to the core; the scatter may be one that the flight has given up. */
static bool step(struct flight *flight, struct scatter *scatter, struct scatter_event *event)
{
	struct balance *balance = flight->request.gateway->balance;
	struct error error;

	event->now_us = clock_monotonic_us();
	if (balance_step(balance, scatter, event, &error) == 0)
		return !flight->finished && scatter == flight->scatter;
	balance_abandon(balance, scatter);
	if (!flight->finished && scatter == flight->scatter)
		flight_refuse(flight, "internal", "%s", error.text);
	return false;
}

/* Does what the core wants. */
static void act(struct flight *flight)
{
	struct balance *balance = flight->request.gateway->balance;
	struct scatter_action action;
	struct error error;

	while (scatter_take(flight->scatter, &action)) {
		int64_t now_us = clock_monotonic_us();
		struct scatter_event unsent = {
			.kind = SCATTER_EVENT_UNSENT, .leg = action.leg, .why = "no time is left"};

		if (action.kind == SCATTER_ACTION_FINISH) {
			end_scatter(flight);
			break;
		}
		if (now_us < flight->deadline_us) {
			if (flight_send_leg(flight, &action, now_us, leg_completed, &error) == 0)
				continue;
			report_failure(flight, action.node, &error);
			unsent.why = flight_why(flight, error.text);
		}
		balance_count_leg(balance, action.node->id, SCATTER_EVENT_UNSENT, 0);
		if (!step(flight, flight->scatter, &unsent))
			break;
	}
	if (flight->newer_until_us == 0)
		(void)set_alarm(flight, flight->finished ? INT64_MAX : scatter_wake_us(flight->scatter));
}

/* On the HTTP client's thread. */
static void leg_completed(void *context, const struct http_answer *answer)
{
	const struct leg *leg = context;
	struct flight *flight = leg->flight;
	struct scatter_event event = {.kind = SCATTER_EVENT_FAILED};
	struct error error;

	(void)pthread_mutex_lock(&flight->lock);
	if (flight_take_answer(flight, leg, answer, &event, &error) < 0) {
		report_failure(flight, leg->node, &error);
		event = (struct scatter_event){.kind = SCATTER_EVENT_FAILED,
		                               .why = flight_why(flight, error.text)};
	}
	event.leg = leg->number;
	balance_count_leg(flight->request.gateway->balance, leg->node->id, event.kind,
	                  clock_monotonic_us() - leg->sent_us);
	if (step(flight, leg->scatter, &event))
		act(flight);
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

static const enum chooser_kind kinds[] = {
	[FLIGHT_KIND_SEARCH] = CHOOSER_KIND_SEARCH,    [FLIGHT_KIND_FACET] = CHOOSER_KIND_SEARCH,
	[FLIGHT_KIND_DOCUMENTS] = CHOOSER_KIND_SEARCH, [FLIGHT_KIND_FEDERATED] = CHOOSER_KIND_SEARCH,
	[FLIGHT_KIND_LIST] = CHOOSER_KIND_LIST,        [FLIGHT_KIND_GET] = CHOOSER_KIND_GET,
};

/* False when out of memory. */
static bool plan(struct flight *flight)
{
	const struct flight_request *request = &flight->request;
	bool get = request->kind == FLIGHT_KIND_GET;
	struct scatter_options options = {.kind = kinds[request->kind],
	                                  .partition = -1,
	                                  .alone = get,
	                                  .tokens = request->required != NULL,
	                                  .explain = request->explain,
	                                  .deadline_us = flight->deadline_us};
	size_t partitions = (size_t)request->index->partitions;

	flight->covered = arena_alloc(&flight->arena, partitions * sizeof flight->covered[0]);
	if (flight->covered == NULL)
		return false;
	for (size_t p = 0; p < partitions; p++)
		flight->covered[p] = -1;
	if (get)
		options.partition = partitioner_choose(request->index->partitioner, flight->id,
		                                       request->index->partitions);
	flight->partition = options.partition;
	flight->scatter = balance_plan(request->gateway->balance, request->snapshot->catalog, request->index,
	                               &options, &flight->arena);
	return flight->scatter != NULL;
}

static uint64_t wanted_of(const struct search_request *search, uint64_t shown)
{
	uint64_t wanted = search->limit > LIST_LIMIT_MAX || search->offset > LIST_LIMIT_MAX
	                          ? LIST_LIMIT_MAX
	                          : search->offset + search->limit;

	return wanted > shown ? wanted : shown;
}

/* The page, and what of it each node is asked for; false after refusing one that is too large. */
static bool page_search(struct flight *flight)
{
	const struct search_request *search = &flight->request.search;
	uint64_t hits_max = flight->settings.settings->pagination.hits_max < WINDOW_MAX
	                            ? flight->settings.settings->pagination.hits_max
	                            : WINDOW_MAX;

	if (flight->request.kind == FLIGHT_KIND_DOCUMENTS &&
	    (search->limit > LIST_LIMIT_MAX || search->offset > LIST_LIMIT_MAX - search->limit)) {
		flight_refuse(flight, "bad_request",
		              "Documents by `ids`, `filter` or `sort` with `offset` and `limit` over %d "
		              "together are not available in this version of Millrace.",
		              LIST_LIMIT_MAX);
		return false;
	}
	if (flight->request.kind == FLIGHT_KIND_SEARCH)
		flight->page = page_of_search(search, hits_max);
	else
		flight->page = (struct page){search->offset, search->limit};
	flight->asked = (struct page){0, flight->page.offset + flight->page.limit};
	/* the total counts what is below the threshold behind all hits that are wanted, shown or not */
	if (search->has_threshold && !search->by_page && flight->request.kind == FLIGHT_KIND_SEARCH)
		flight->asked.limit = wanted_of(search, flight->asked.limit);
	return true;
}

/* What the settings in force make of a search; false after refusing it, or asking what to refuse it with. */
static bool settle_search(struct flight *flight)
{
	const struct index_record *index = flight->request.index;

	flight->settings = view_settings_of(flight->request.snapshot->settings, index->id);
	if (flight->settings.settings == NULL) {
		flight_refuse(flight, "internal",
		              "Index `%s`: its settings are of a later version of Millrace.", index->uid);
		return false;
	}
	if (flight_check(flight))
		return page_search(flight);
	if (flight_wants_paths(flight))
		begin_aside(flight);
	else
		flight_end_refused(flight);
	return false;
}

void flight_begin(struct flight *flight, const char *reason)
{
	struct scatter_event start = {.kind = SCATTER_EVENT_START};

	merge_deinit(&flight->merge);
	merge_init(&flight->merge);
	facet_hits_deinit(&flight->facet_hits);
	facet_hits_init(&flight->facet_hits);
	flight->document = slice_of(NULL, 0);
	flight->lacks_settings = false;
	if (!plan(flight) || (flight->request.explain && !flight_note_round(flight, reason))) {
		flight_refuse(flight, "internal", "out of memory");
		return;
	}
	if (flight->request.kind == FLIGHT_KIND_LIST && !plan_list(flight))
		return;
	/* one node leaves out what is equal by itself */
	flight->words.equal = !flight->settled && flight_leaves_out(flight) &&
	                      (flight->request.tells_counted || !scatter_is_on_one_node(flight->scatter));
	if (step(flight, flight->scatter, &start))
		act(flight);
}

/* Begins a scatter of which nothing is missing if it fails. */
static void begin_aside(struct flight *flight)
{
	struct scatter_event start = {.kind = SCATTER_EVENT_START};

	flight->scatter_before = flight->scatter;
	flight->covered_before = flight->covered;
	if (!plan(flight))
		flight_refuse(flight, "internal", "out of memory");
	else if (step(flight, flight->scatter, &start))
		act(flight);
}

/* From the snapshot that it has. */
static void set_out(struct flight *flight, const char *reason)
{
	flight->told = false;
	flight->settled = false;
	flight->shown = slice_of(NULL, 0);
	flight->counted = slice_of(NULL, 0);
	flight->aside = FLIGHT_ASIDE_NONE;
	flight->total = -1;
	flight->words = (struct merge_words){0};
	if (!flight_searches(flight->request.kind) || settle_search(flight))
		flight_begin(flight, reason);
}

/* ---- once more ---- */

/* The index by name in the newer snapshot; false after refusing. */
static bool resolve_again(struct flight *flight)
{
	struct flight_request *request = &flight->request;
	const struct index_record *before = request->index;
	const struct index_record *now =
		catalog_resolve(request->snapshot->catalog, slice_string(before->uid));

	if (now == NULL) {
		flight_refuse(flight, "index_not_found", "Index `%s` not found.", before->uid);
		return false;
	}
	request->index = now;
	if (request->required == NULL || (now->id == before->id && now->generation == before->generation))
		return true;
	flight_refuse(flight, "consistency_token_outdated",
	              "Index `%s` has been created again since the token was given.", before->uid);
	return false;
}

/* There is none yet. Nodes that have older settings may have come to these meanwhile. */
static void go_on_waiting(struct flight *flight)
{
	int64_t now_us = clock_monotonic_us();
	bool over = now_us >= flight->newer_until_us || now_us >= flight->deadline_us;

	if (!over && flight->lacks_settings && flight->settings_told < flight->settings.version) {
		flight->newer_until_us = 0;
		set_out(flight, "settings");
	} else if (over || !set_alarm(flight, now_us + flight->look_us)) {
		flight->newer_until_us = 0;
		flight_finish(flight);
	}
}

/* Takes what a newer snapshot says, or goes on waiting for it, or gives up. */
static void look_for_newer(struct flight *flight)
{
	const struct snapshot *snapshot = view_take(flight->request.gateway->view);

	if (snapshot == flight->request.snapshot) {
		snapshot_release(snapshot);
		go_on_waiting(flight);
		return;
	}
	flight->newer_until_us = 0;
	flight->outdated[flight->outdated_len++] = flight->request.snapshot;
	flight->request.snapshot = snapshot;
	if (resolve_again(flight))
		set_out(flight, "snapshot");
}

/* On the alarms' thread. */
static void alarm_rang(void *context)
{
	struct flight *flight = context;
	struct scatter_event tick = {.kind = SCATTER_EVENT_TICK};

	(void)pthread_mutex_lock(&flight->lock);
	if (!flight->finished && flight->newer_until_us != 0)
		look_for_newer(flight);
	else if (!flight->finished && step(flight, flight->scatter, &tick))
		act(flight);
	flight_let_go(flight);
}

/* ---- start ---- */

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
	else if (!arena_copy(&flight->arena, request->id, &flight->id))
		flight_refuse(flight, "internal", "out of memory");
	else
		set_out(flight, "search");
	flight_let_go(flight);
}
