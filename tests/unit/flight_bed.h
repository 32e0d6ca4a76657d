/*
 * Bed: flights through two nodes, whose answers are the test's, and so are the alarms and what the view knows.
 *
 * Whoever includes it is a program: it is linked with the flight's files, not with what a flight calls.
 */
#ifndef MILLRACE_TESTS_UNIT_FLIGHT_BED_H
#define MILLRACE_TESTS_UNIT_FLIGHT_BED_H

#include "query/flight_private.h"

#include "shared/runtime/clock.h"
#include "tests/unit/scatter_bed.h"

#include <stdlib.h>

#define QUESTIONS_MAX 64

struct asked {
	char node[8];
	char *body;
	int deadline_ms;
	bool answered;
	http_completion *completion;
	void *context;
};

static struct {
	struct gateway gateway;
	struct bed bed;
	struct view_settings *settings;
	struct snapshot snapshot;
	struct snapshot newer;
	bool has_newer;
	struct alarm *alarm;
	struct asked asked[QUESTIONS_MAX];
	size_t asked_len;
	bool landed;
	char *body; /* NULL: refused */
	char code[64];
	char message[ERROR_ANSWER_MESSAGE_BYTES_MAX];
	int snapshots; /* held by flights */
	bool explain;  /* flights that depart are explained */
	int64_t total; /* of a query of several, and its first hit */
	uint64_t index_id;
	char first[64];
	char degraded[64];
	char counted[512]; /* what such a query counts */
} world;

/* ---- what a flight calls ---- */

struct http_client *gateway_client(const struct gateway *gateway)
{
	(void)gateway;
	return NULL;
}

void gateway_count_degraded(struct gateway *gateway, const char *reason)
{
	(void)gateway;
	(void)reason;
}

bool gateway_begin_flight(struct gateway *gateway, struct error_answer *refusal)
{
	(void)gateway;
	(void)refusal;
	return true;
}

void gateway_end_flight(struct gateway *gateway)
{
	(void)gateway;
}

const struct snapshot *view_take(struct view *view)
{
	(void)view;
	world.snapshots++;
	return world.has_newer ? &world.newer : &world.snapshot;
}

void snapshot_release(const struct snapshot *snapshot)
{
	world.snapshots -= snapshot != NULL;
}

enum alarm_set alarms_set(struct alarms *alarms, struct alarm *alarm, int64_t at_us)
{
	enum alarm_set set = alarm->place > 0 ? ALARM_SET_MOVED : ALARM_SET_NEW;

	(void)alarms;
	alarm->place = 1;
	alarm->at_us = at_us;
	world.alarm = alarm;
	return set;
}

bool alarms_cancel(struct alarms *alarms, struct alarm *alarm)
{
	bool set = alarm->place > 0;

	(void)alarms;
	alarm->place = 0;
	return set;
}

int http_client_send(struct http_client *client, const struct http_client_request *request,
                     struct error *error)
{
	struct asked *asked = &world.asked[world.asked_len++];
	struct slice body = buffer_slice(request->body);

	(void)client;
	(void)error;
	CU_ASSERT_FATAL(world.asked_len < QUESTIONS_MAX);
	(void)snprintf(asked->node, sizeof asked->node, "%s", request->node);
	asked->body = strndup((const char *)body.ptr, body.len);
	asked->deadline_ms = request->deadline_ms;
	asked->answered = false;
	asked->completion = request->completion;
	asked->context = request->context;
	return 0;
}

/* ---- a world ---- */

static inline void landed(void *context, struct flight_outcome *outcome)
{
	struct slice body = buffer_slice(&outcome->body);

	(void)context;
	CU_ASSERT_FALSE(world.landed);
	world.landed = true;
	world.total = outcome->total;
	world.index_id = outcome->index_id;
	(void)snprintf(world.degraded, sizeof world.degraded, "%s", outcome->degraded);
	if (outcome->counted.ptr != NULL)
		(void)snprintf(world.counted, sizeof world.counted, "%.*s", SLICE_ARGS(outcome->counted));
	if (outcome->hits_len > 0)
		(void)snprintf(world.first, sizeof world.first, "%zu %.*s", outcome->hits[0].scores_len,
		               SLICE_ARGS(outcome->hits[0].document));
	if (outcome->refusal == NULL) {
		world.body = body.len > 0 ? strndup((const char *)body.ptr, body.len) : strdup("");
		return;
	}
	(void)snprintf(world.code, sizeof world.code, "%s", outcome->refusal->code);
	(void)snprintf(world.message, sizeof world.message, "%s", outcome->refusal->message);
}

static inline void set_settings(const char *version, const char *change)
{
	struct settings_request request = {.body = slice_string(change)};
	struct settings_refusal refusal;
	struct buffer record;
	struct buffer value;

	buffer_init(&record, SETTINGS_RECORD_BYTES_MAX);
	buffer_init(&value, SETTINGS_RECORD_BYTES_MAX);
	CU_ASSERT_EQUAL_FATAL(settings_change(settings_default(), &request, &record, &refusal), 0);
	buffer_printf(&value,
	              "{\"v\":1,\"task\":%s,\"index\":\"00000000000000aa\",\"version\":%s,\"settings\":",
	              version, version);
	buffer_append_slice(&value, buffer_slice(&record));
	buffer_put_u8(&value, '}');
	apply(&world.bed, CATALOG_TOPIC_META, "settings/00000000000000aa", buffer_slice(&value));
	buffer_deinit(&record);
	buffer_deinit(&value);
	view_settings_free(world.settings);
	world.settings = view_settings_new(world.bed.catalog, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(world.settings);
}

static inline void open_world(const char *const replicas[4])
{
	struct balance *balance = world.gateway.balance;

	memset(&world, 0, sizeof world);
	world.gateway.balance = balance;
	world.gateway.timeout_ms = 5000;
	set_up_catalog(&world.bed, replicas);
	apply(&world.bed, CATALOG_TOPIC_META, "names",
	      slice_string("{\"v\":1,\"task\":3,\"names\":{\"packages\":\"00000000000000aa\"}}"));
	set_settings("7", "{\"filterableAttributes\":[\"f\"]}");
	world.snapshot = (struct snapshot){world.bed.catalog, world.settings};
}

static inline void close_world(void)
{
	CU_ASSERT_EQUAL(world.snapshots, 0);
	for (size_t i = 0; i < world.asked_len; i++) {
		CU_ASSERT_TRUE(world.asked[i].answered);
		free(world.asked[i].body);
	}
	free(world.body);
	view_settings_free(world.settings);
	catalog_free(world.bed.catalog);
}

/* What it points to lives in the arena. */
static inline void depart(struct flight_request *request, struct arena *arena, int64_t left_ms)
{
	request->gateway = &world.gateway;
	request->snapshot = view_take(NULL);
	request->index = catalog_index(world.bed.catalog, ID);
	request->request_id = "r";
	request->explain = world.explain;
	request->deadline_ms = clock_monotonic_ms() + left_ms;
	request->completion = landed;
	request->arena = arena;
	flight_start(request);
}

static inline void search(const char *body, int64_t left_ms)
{
	struct flight_request request = {.kind = FLIGHT_KIND_SEARCH};
	struct error_answer refusal;
	struct arena arena;

	arena_init(&arena, 1024);
	CU_ASSERT_EQUAL_FATAL(search_request_from_body(slice_string(body), &arena, &request.search, &refusal),
	                      0);
	depart(&request, &arena, left_ms);
}

/* The node is asked, with `part` in the question, and answers. */
static inline void answer(const char *node, const char *part, int status, const char *text)
{
	for (size_t i = 0; i < world.asked_len; i++) {
		struct asked *asked = &world.asked[i];
		struct http_answer http = {.status = status, .body = slice_string(text)};

		if (asked->answered || strcmp(asked->node, node) != 0)
			continue;
		CU_ASSERT_PTR_NOT_NULL(strstr(asked->body, part));
		if (strstr(asked->body, part) == NULL)
			printf("\n%s lacks %s\n", asked->body, part);
		asked->answered = true;
		asked->completion(asked->context, &http);
		return;
	}
	CU_FAIL("the node is not asked");
}

static inline void ring(void)
{
	CU_ASSERT_TRUE_FATAL(world.alarm != NULL && world.alarm->place > 0);
	world.alarm->place = 0;
	world.alarm->ring(world.alarm->context);
}

#define STANDING(p) "{\"p\":" p ",\"received\":1,\"state\":\"active\",\"total\":1}"
#define BEGIN(a, b) "\"received\":[" STANDING(a) "," STANDING(b) "],\"total\":1,"
#define HIT(p, rank, id) \
	"\"hits\":[{\"p\":" p ",\"rank\":\"" rank "\",\"ts\":1,\"seq\":0,\"id\":\"" id \
	"\",\"doc\":{\"id\":\"" id "\"}}]}"
#define FIRST(words) "{" BEGIN("0", "1") words HIT("0", "02", "one")
#define SECOND(words) "{" BEGIN("2", "3") words HIT("2", "01", "two")
/* Of what was not ranked to the end. */
#define FIRST_CUT(words) "{\"cutoff\":true," BEGIN("0", "1") words HIT("0", "02", "one")
#define SECOND_CUT(words) "{\"cutoff\":true," BEGIN("2", "3") words HIT("2", "01", "two")
#define LACKING(version) "{\"code\":\"settings_version\",\"message\":\"x\",\"settings\":" version "}"

static const char *const two_nodes[4] = {"n1", "n1", "n2", "n2"};

#endif
