/*
 * What the configuration asks for: sources that the records of meta lack.
 *
 * The worker that owns slot 0 of a group of its own appends one request at a
 * time to `tasks`, the creation of an index with all its sources or the
 * addition of one source, and looks again when its final is there. A worker
 * that dies in between leaves a request whose repetition changes nothing. What
 * is recorded otherwise than configured is said, not obeyed.
 */
#include "ingest/import_private.h"

#include "shared/base/assert.h"
#include "shared/json/json.h"
#include "shared/meta/source.h"
#include "shared/meta/task.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"
#include "shared/runtime/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ELECTION "import.requests"
#define LOOK_MS 1000
#define REFUSED_MS 60000 /* until what was refused is asked for again */
#define FINALS_MAX 1000  /* read in one turn */
#define REQUEST_BYTES_MAX (900U * 1024)
#define PRODUCER_CLOSE_MS 1000
#define SLOT_OF_REQUESTS 0

enum wish_state {
	WISH_UNKNOWN = 0, /* meta has not been read to its end */
	WISH_RECORDED,
	WISH_DIFFERS, /* from what is recorded */
	WISH_WAITS,   /* for its request, or the index's, or whoever makes them */
	WISH_REFUSED
};

/* A configured source. */
struct wish {
	const struct config_source *configured;
	enum wish_state state;
	int64_t retry_ms;
	char reason[256];
	struct series *differing;
};

/* What the present request is. */
enum asked {
	ASKED_NOTHING = 0,
	ASKED_SENT, /* Kafka has not acknowledged it */
	ASKED_APPENDED
};

struct import_requests {
	struct import *import;
	struct wish *wishes;
	size_t len;
	struct log_owner *owner;
	struct log_reader *finals;
	struct log_producer *producer;
	uint64_t slots;
	int64_t look_ms;
	enum asked asked;
	char uid[INDEX_UID_BYTES_MAX + 1]; /* of the request's index */
	int64_t task;
	bool ended;
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

static void init_wishes(struct import_requests *requests, const struct config_source *configured)
{
	for (size_t i = 0; i < requests->len; i++) {
		const char *index = configured[i].index != NULL ? configured[i].index : "";

		requests->wishes[i].configured = &configured[i];
		requests->wishes[i].differing =
			metric_series(requests->import->metrics.differing,
		                      (const char *const[]){configured[i].name, index});
	}
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
	*opened = (struct import_requests){.import = import, .len = len};
	opened->wishes = calloc(len, sizeof *opened->wishes);
	rc = opened->wishes == NULL ? error_memory(error, len * sizeof *opened->wishes) : 0;
	import->requests = opened;
	if (rc == 0) {
		init_wishes(opened, configured);
		rc = open_parts(opened, error);
	}
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
	free(requests->wishes);
	free(requests);
	import->requests = NULL;
}

/* ---- what is wished ---- */

/* "" where each topic would have an index of its own. */
static const char *index_of(const struct wish *wish)
{
	return wish->configured->index != NULL ? wish->configured->index : "";
}

static void set_state(struct wish *wish, enum wish_state state, const char *reason)
{
	bool changed = wish->state != state || strcmp(wish->reason, reason) != 0;

	wish->state = state;
	(void)snprintf(wish->reason, sizeof wish->reason, "%s", reason);
	series_set(wish->differing, state == WISH_DIFFERS);
	if (changed && (state == WISH_DIFFERS || state == WISH_REFUSED))
		logline(LOG_LEVEL_WARN, state == WISH_DIFFERS ? "source_differs" : "source_refused",
		        "index=%s source=\"%s\" place=\"%s\" reason=\"%s\"", index_of(wish),
		        wish->configured->name, wish->configured->place, wish->reason);
}

static void record_of(const struct wish *wish, struct source_record *record)
{
	const struct config_source *configured = wish->configured;

	*record = (struct source_record){.life = 1, .rules = slice_string(configured->rules)};
	(void)snprintf(record->name, sizeof record->name, "%s", configured->name);
	if (configured->topic != NULL)
		(void)snprintf(record->topic, sizeof record->topic, "%s", configured->topic);
	else
		(void)snprintf(record->pattern, sizeof record->pattern, "%s", configured->pattern);
	if (configured->dead_letter_topic != NULL)
		(void)snprintf(record->dead_letter_topic, sizeof record->dead_letter_topic, "%s",
		               configured->dead_letter_topic);
}

/* What is recorded about it; the index where that is there. */
static void judge(struct import_requests *requests, struct wish *wish, const struct index_record **index)
{
	struct source_record wanted;
	const struct source_record *recorded;

	*index = catalog_resolve(requests->import->catalog, slice_string(wish->configured->index));
	recorded = *index == NULL
	                   ? NULL
	                   : source_find((*index)->sources, (*index)->sources_len, wish->configured->name);
	record_of(wish, &wanted);
	if (recorded == NULL && wish->state == WISH_REFUSED && requests->import->now_ms < wish->retry_ms)
		return;
	if (recorded == NULL)
		set_state(wish, WISH_WAITS, "");
	else if (source_equal(recorded, &wanted))
		set_state(wish, WISH_RECORDED, "");
	else
		set_state(wish, WISH_DIFFERS,
		          "other rules are recorded, and those count as long as the index lives");
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

/* All that wait for an index that is not there go into its creation. */
static void request_index(struct import_requests *requests, const struct wish *first)
{
	const struct config_source *configured = first->configured;
	struct task_request request = {.type = TASK_TYPE_INDEX_CREATION,
	                               .partitions = (int32_t)configured->partitions,
	                               .partitioner = PARTITIONER_MURMUR2};
	struct source_record *sources = calloc(SOURCES_MAX, sizeof *sources);

	if (sources == NULL)
		return;
	(void)snprintf(request.uid, sizeof request.uid, "%s", configured->index);
	(void)snprintf(request.primary_key, sizeof request.primary_key, "%s", configured->primary_key);
	for (size_t i = 0; i < requests->len && request.sources_len < SOURCES_MAX; i++) {
		const struct wish *wish = &requests->wishes[i];

		if (wish->state == WISH_WAITS && strcmp(index_of(wish), configured->index) == 0)
			record_of(wish, &sources[request.sources_len++]);
	}
	request.sources = sources;
	append(requests, &request);
	free(sources);
}

static void request_source(struct import_requests *requests, const struct wish *wish)
{
	struct source_record source;
	struct task_request request = {
		.type = TASK_TYPE_SOURCE_ADDITION, .sources = &source, .sources_len = 1};

	record_of(wish, &source);
	(void)snprintf(request.uid, sizeof request.uid, "%s", wish->configured->index);
	append(requests, &request);
}

static void look(struct import_requests *requests)
{
	bool ours = (requests->slots >> SLOT_OF_REQUESTS & 1) != 0;

	for (size_t i = 0; i < requests->len; i++) {
		struct wish *wish = &requests->wishes[i];
		const struct index_record *index;

		if (wish->configured->index == NULL) {
			set_state(
				wish, WISH_REFUSED,
				"an index for each topic of a pattern is not available in this version: name "
				"`index`, or list the topics");
			continue;
		}
		judge(requests, wish, &index);
		if (wish->state != WISH_WAITS || !ours || requests->asked != ASKED_NOTHING)
			continue;
		if (index == NULL)
			request_index(requests, wish);
		else
			request_source(requests, wish);
	}
}

/* ---- finals ---- */

static void end_request(struct import_requests *requests, const struct task_final *final)
{
	requests->asked = ASKED_NOTHING;
	requests->look_ms = requests->import->now_ms + LOOK_MS;
	/* somebody else was first: what counts is what meta says then */
	if (final->succeeded || strcmp(final->code, "index_already_exists") == 0)
		return;
	for (size_t i = 0; i < requests->len; i++) {
		struct wish *wish = &requests->wishes[i];

		if (wish->state != WISH_WAITS || strcmp(index_of(wish), requests->uid) != 0)
			continue;
		wish->retry_ms = requests->import->now_ms + REFUSED_MS;
		set_state(wish, WISH_REFUSED, final->message);
	}
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

static const char *state_name(enum wish_state state)
{
	switch (state) {
	case WISH_RECORDED:
		return "recorded";
	case WISH_DIFFERS:
		return "differs";
	case WISH_REFUSED:
		return "refused";
	case WISH_WAITS:
		return "waiting";
	case WISH_UNKNOWN:
		break;
	}
	return "unknown";
}

void import_requests_append(const struct import *import, struct buffer *body)
{
	const struct import_requests *requests = import->requests;

	buffer_append_string(body, ",\"configured\":[");
	for (size_t i = 0; requests != NULL && i < requests->len; i++) {
		const struct wish *wish = &requests->wishes[i];

		buffer_append_string(body, i > 0 ? ",{\"name\":" : "{\"name\":");
		json_append_string(body, slice_string(wish->configured->name));
		buffer_append_string(body, ",\"index\":");
		json_append_string(body, slice_string(index_of(wish)));
		buffer_printf(body, ",\"state\":\"%s\"", state_name(wish->state));
		if (wish->reason[0] != 0) {
			buffer_append_string(body, ",\"reason\":");
			json_append_string(body, slice_string(wish->reason));
		}
		buffer_append_string(body, "}");
	}
	buffer_append_string(body, "]");
}
