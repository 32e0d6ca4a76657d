/*
 * What the configuration asks for: sources that the records of meta lack
 * (core/import_wishes.h).
 *
 * The worker that owns slot 0 of a group of its own appends one request at a
 * time to `tasks`, the creation of an index with all its sources or the
 * addition of one source, and looks again when its final is there. A worker
 * that dies in between leaves a request whose repetition changes nothing.
 * Every worker asks Kafka what topics the patterns match, so that each can say
 * how things stand.
 */
#include "ingest/core/import_wishes.h"
#include "ingest/import_private.h"

#include "shared/base/assert.h"
#include "shared/json/json.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"
#include "shared/runtime/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ELECTION "import.requests"
#define LOOK_MS 1000
#define FINALS_MAX 1000 /* read in one turn */
#define REQUEST_BYTES_MAX (900U * 1024)
#define PRODUCER_CLOSE_MS 1000
#define SLOT_OF_REQUESTS 0

/* What the present request is. */
enum asked {
	ASKED_NOTHING = 0,
	ASKED_SENT, /* Kafka has not acknowledged it */
	ASKED_APPENDED
};

struct import_requests {
	struct import *import;
	struct import_wanted *wanted; /* one for each configured source */
	struct import_wishes *wishes;
	struct log_owner *owner;
	struct log_reader *finals;
	struct log_producer *producer;
	uint64_t slots;
	int64_t look_ms;
	int64_t topics_ms; /* when to ask for the topics of patterns */
	char trouble[512]; /* why their topics are not known, "" if they are */
	enum asked asked;
	char uid[INDEX_UID_BYTES_MAX + 1]; /* of the request's index */
	int64_t task;
	_Atomic int64_t acknowledged; /* by the producer's thread: its offset, -1 none, -2 not yet */
};

/* ---- life ---- */

static int open_parts(struct import_requests *requests, struct error *error)
{
	static const char *const suffixes[] = {"task-states"};
	const struct config *config = requests->import->config;
	const struct log_owner_options options = {
		.group = ELECTION, .topic = "slots", .client_id = requests->import->address};
	int rc = log_producer_open(config, &requests->producer, error);

	if (rc == 0)
		rc = log_reader_open(config, suffixes, 1, &requests->finals, error);
	return rc == 0 ? log_owner_open(config, &options, &requests->owner, error) : rc;
}

static const char *text_or_none(const char *text)
{
	return text != NULL ? text : "";
}

static int make_wishes(struct import_requests *requests, const struct config_source *configured, size_t len,
                       struct error *error)
{
	requests->wanted = calloc(len, sizeof *requests->wanted);
	if (requests->wanted == NULL)
		return error_memory(error, len * sizeof *requests->wanted);
	for (size_t i = 0; i < len; i++)
		requests->wanted[i] = (struct import_wanted){
			.name = configured[i].name,
			.topic = text_or_none(configured[i].topic),
			.pattern = text_or_none(configured[i].pattern),
			.uid = text_or_none(configured[i].index),
			.primary_key = configured[i].primary_key,
			.dead_letter_topic = text_or_none(configured[i].dead_letter_topic),
			.partitions = (int32_t)configured[i].partitions,
			.rules = configured[i].rules,
			.place = configured[i].place,
		};
	requests->wishes = import_wishes_new(requests->wanted, len);
	return requests->wishes != NULL ? 0 : error_memory(error, len * sizeof(struct import_wish));
}

int import_requests_open(struct import *import, struct error *error)
{
	const struct config_source *configured;
	size_t len = config_sources(import->config, &configured);
	struct import_requests *opened;
	int rc;

	if (len == 0)
		return 0;
	opened = calloc(1, sizeof *opened);
	if (opened == NULL)
		return error_memory(error, sizeof *opened);
	opened->import = import;
	import->requests = opened;
	rc = make_wishes(opened, configured, len, error);
	if (rc == 0)
		rc = open_parts(opened, error);
	if (rc != 0)
		import_requests_close(import);
	return rc;
}

void import_requests_close(struct import *import)
{
	struct import_requests *requests = import->requests;

	if (requests == NULL)
		return;
	log_producer_close(requests->producer, PRODUCER_CLOSE_MS);
	log_reader_close(requests->finals);
	log_owner_close(requests->owner);
	import_wishes_free(requests->wishes);
	free(requests->wanted);
	free(requests);
	import->requests = NULL;
}

/* ---- topics of patterns ---- */

static int tell_topics(struct import_requests *requests, size_t number, const char *pattern,
                       struct error *error)
{
	struct import *import = requests->import;
	struct log_topic_size *topics;
	const char **names;
	size_t len;
	int rc = log_topics_matching(import->connection, pattern, IMPORT_ASK_MS, &topics, &len, error);

	if (rc != 0)
		return rc;
	names = malloc((len + 1) * sizeof *names);
	for (size_t i = 0; names != NULL && i < len; i++)
		names[i] = topics[i].name;
	rc = names == NULL
	             ? error_memory(error, len * sizeof *names)
	             : import_wishes_topics(requests->wishes, import->catalog, number, names, len, error);
	free(names);
	free(topics);
	return rc;
}

static void ask_topics(struct import_requests *requests)
{
	struct import *import = requests->import;
	struct error error = {0};
	const char *pattern;
	size_t number;
	size_t at = 0;
	int rc = 0;

	if (import->now_ms < requests->topics_ms)
		return;
	while (rc == 0 && import_wishes_pattern(requests->wishes, &at, &number, &pattern))
		rc = tell_topics(requests, number, pattern, &error);
	import->now_ms = clock_monotonic_ms();
	requests->topics_ms = import->now_ms + LOG_IMPORT_REFRESH_MS;
	if (strcmp(requests->trouble, error.text) != 0 && rc != 0)
		logline(LOG_LEVEL_WARN, "source_topics_unknown", "pattern=\"%s\" reason=\"%s\"", pattern,
		        error.text);
	(void)snprintf(requests->trouble, sizeof requests->trouble, "%s", rc != 0 ? error.text : "");
}

/* ---- requests ---- */

/* On the producer's thread. */
static void appended(void *context, int64_t offset, const struct error *error)
{
	struct import_requests *requests = context;

	(void)error;
	atomic_store(&requests->acknowledged, offset);
}

static void make_nonce(char nonce[33])
{
	uint8_t bytes[16];

	random_bytes(bytes, sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i++)
		(void)snprintf(nonce + 2 * i, 3, "%02x", bytes[i]);
}

static void append(struct import_requests *requests, struct task_request *request)
{
	struct log_message message = {.topic = log_name(requests->import->connection, "tasks"),
	                              .completion = appended,
	                              .context = requests};
	struct buffer value;
	struct error error;
	int rc;

	make_nonce(request->nonce);
	request->enqueued_at_ms = clock_wall_ms();
	buffer_init(&value, REQUEST_BYTES_MAX);
	task_request_write(&value, request);
	message.value = buffer_slice(&value);
	atomic_store(&requests->acknowledged, -2);
	rc = buffer_failed(&value) ? error_memory(&error, REQUEST_BYTES_MAX)
	                           : log_producer_send(requests->producer, &message, &error);
	buffer_deinit(&value);
	if (rc != 0) {
		logline(LOG_LEVEL_WARN, "source_request_failed", "index=%s error=\"%s\"", request->uid,
		        error.text);
		return;
	}
	requests->asked = ASKED_SENT;
	memcpy(requests->uid, request->uid, sizeof requests->uid);
	logline(LOG_LEVEL_INFO, "source_requested", "type=%s index=%s sources=%zu",
	        task_type_name(request->type), request->uid, request->sources_len);
}

/* What is new about wishes, once. */
static void tell_wishes(struct import_requests *requests)
{
	struct import_wish *list;
	size_t len = import_wishes_list(requests->wishes, &list);

	for (size_t i = 0; i < len; i++) {
		struct import_wish *wish = &list[i];
		bool differs = wish->state == IMPORT_WISH_DIFFERS;

		if (wish->told)
			continue;
		wish->told = true;
		series_set(metric_series(requests->import->metrics.differing,
		                         (const char *const[]){wish->name, wish->uid}),
		           differs);
		if (differs || wish->state == IMPORT_WISH_REFUSED)
			logline(LOG_LEVEL_WARN, differs ? "source_differs" : "source_refused",
			        "index=%s source=\"%s\" place=\"%s\" reason=\"%s\"", wish->uid, wish->name,
			        wish->wanted->place, wish->reason);
	}
}

static void look(struct import_requests *requests)
{
	struct import *import = requests->import;
	bool ours = (requests->slots >> SLOT_OF_REQUESTS & 1) != 0;
	struct task_request request;

	ask_topics(requests);
	import_wishes_judge(requests->wishes, import->catalog, import->now_ms);
	if (ours && requests->asked == ASKED_NOTHING &&
	    import_wishes_ask(requests->wishes, import->catalog, import->now_ms, &request)) {
		append(requests, &request);
		task_request_deinit(&request);
	}
	tell_wishes(requests);
}

/* ---- finals ---- */

static void end_request(struct import_requests *requests, const struct task_final *final)
{
	requests->asked = ASKED_NOTHING;
	requests->look_ms = requests->import->now_ms;
	import_wishes_answer(requests->wishes, requests->uid, final, requests->import->now_ms);
}

static void read_finals(struct import_requests *requests)
{
	for (size_t i = 0; i < FINALS_MAX; i++) {
		enum log_event event;
		struct record record;
		struct task_final final;
		struct error error;
		size_t topic;

		if (log_reader_next(requests->finals, 0, &event, &topic, &record, &error) != 0 ||
		    event == LOG_EVENT_NONE)
			return;
		if (event == LOG_EVENT_RECORD && requests->asked == ASKED_APPENDED &&
		    task_final_parse(record.value, &final, &error) == 0 && final.task == requests->task) {
			end_request(requests, &final);
			return;
		}
	}
}

/* What Kafka says of the request. */
static void notice_append(struct import_requests *requests)
{
	int64_t offset = atomic_load(&requests->acknowledged);

	if (requests->asked != ASKED_SENT || offset == -2)
		return;
	requests->asked = offset < 0 ? ASKED_NOTHING : ASKED_APPENDED;
	requests->task = offset;
	requests->look_ms = requests->import->now_ms + LOOK_MS;
}

void import_requests_turn(struct import *import)
{
	struct import_requests *requests = import->requests;

	if (requests == NULL)
		return;
	(void)log_owner_poll(requests->owner, &requests->slots);
	notice_append(requests);
	/* finals that were there before the answer to the request are not lost: the reader waits for it */
	if (requests->asked != ASKED_SENT)
		read_finals(requests);
	if (!import->caught_up || import->now_ms < requests->look_ms)
		return;
	requests->look_ms = import->now_ms + LOOK_MS;
	look(requests);
}

/* ---- status ---- */

static const char *state_name(enum import_wish_state state)
{
	switch (state) {
	case IMPORT_WISH_EACH:
		return "each topic";
	case IMPORT_WISH_RECORDED:
		return "recorded";
	case IMPORT_WISH_DIFFERS:
		return "differs";
	case IMPORT_WISH_REFUSED:
		return "refused";
	case IMPORT_WISH_WAITS:
		return "waiting";
	case IMPORT_WISH_UNKNOWN:
		break;
	}
	return "unknown";
}

static void append_text(struct buffer *body, const char *name, const char *text)
{
	buffer_printf(body, ",\"%s\":", name);
	json_append_string(body, slice_string(text));
}

static void append_wish(const struct import_requests *requests, const struct import_wish *wish,
                        struct buffer *body)
{
	const char *reason = wish->state == IMPORT_WISH_EACH ? requests->trouble : wish->reason;

	buffer_printf(body, "{\"state\":\"%s\"", state_name(wish->state));
	append_text(body, "name", wish->name);
	append_text(body, "index", wish->uid);
	append_text(body, "place", wish->wanted->place);
	if (wish->wanted->pattern[0] != 0)
		append_text(body, "pattern", wish->wanted->pattern);
	if (reason[0] != 0)
		append_text(body, "reason", reason);
	buffer_append_string(body, "}");
}

void import_requests_append(const struct import *import, struct buffer *body)
{
	const struct import_requests *requests = import->requests;
	struct import_wish *list = NULL;
	size_t len = requests == NULL ? 0 : import_wishes_list(requests->wishes, &list);

	buffer_append_string(body, ",\"configured\":[");
	for (size_t i = 0; i < len; i++) {
		buffer_append_string(body, i > 0 ? "," : "");
		append_wish(requests, &list[i], body);
	}
	buffer_append_string(body, "]");
}
