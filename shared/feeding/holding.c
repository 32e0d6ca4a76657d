/* Records that end the program: who reads one waits before it until a record in `meta` says to skip it. */
#include "shared/base/assert.h"
#include "shared/feed/dead_letter.h"
#include "shared/feeding/feeding_private.h"
#include "shared/json/json.h"
#include "shared/meta/task.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"
#include "shared/runtime/random.h"

#include <inttypes.h>
#include <stdio.h>

#define REQUEST_BYTES_MAX 4096
#define ASK_AGAIN_MS 1000
/* The controller may have refused, while a replica was silent say; every request stays in `tasks`. */
#define REMIND_FIRST_MS 10000
#define REMIND_MS_MAX 600000
#define HELD_BYTES_MAX 65536

void holding_open(struct feeding *feeding)
{
	struct error error;

	feeding->skip.message.kind = MESSAGE_KIND_SKIP_ASKED;
	feeding->skip.inbox = feeding->inbox;
	(void)pthread_mutex_init(&feeding->held_lock, NULL);
	buffer_init(&feeding->held, HELD_BYTES_MAX);
	if (suspects_open(config_string(feeding->config, "ingest.data"), &feeding->suspects, &error) != 0)
		logline(LOG_LEVEL_WARN, "suspects_not_kept",
		        "error=\"%s\" meaning=\"a record that ends this program ends it again and again\"",
		        error.text);
}

void holding_close(struct feeding *feeding)
{
	suspects_close(feeding->suspects);
	if (feeding->skip.inbox == NULL)
		return; /* never opened */
	buffer_deinit(&feeding->held);
	(void)pthread_mutex_destroy(&feeding->held_lock);
}

/* Recorded, and the feeder was told. */
static bool is_skipped(const struct feeding *feeding, const struct fed_shard *shard, int64_t offset)
{
	size_t len;
	const int64_t *offsets = catalog_skips(feeding->catalog, shard->index_id, shard->partition, &len);

	for (size_t i = 0; i < len; i++)
		if (offsets[i] == offset)
			return len == shard->skips_len;
	return false;
}

static const char *program_of(const struct feeding *feeding)
{
	return feeding->options.mode == FEEDING_MODE_LIVE ? "ingest" : "rebalance";
}

/* A replay has no other use for one. */
static int open_producer(struct feeding *feeding, struct error *error)
{
	if (feeding->producer != NULL)
		return 0;
	return log_producer_open_bounded(feeding->config, DEAD_LETTER_BYTES_MIN, &feeding->producer, error);
}

/* ---- asking for a skip ---- */

/* On the producer's thread. */
static void skip_appended(void *context, int64_t offset, const struct error *error)
{
	struct skip_asked *asked = context;

	asked->task = offset;
	asked->error.code = 0;
	if (error != NULL && error->code != 0)
		asked->error = *error;
	ASSERT(mailbox_put(asked->inbox, &asked->message));
}

static int append_request(struct feeding *feeding, const struct fed_shard *shard,
                          const struct suspect *suspect, struct error *error)
{
	struct task_request request = {
		.type = TASK_TYPE_RECORD_SKIP,
		.enqueued_at_ms = clock_wall_ms(),
		.index_id = suspect->index_id,
		.partition = suspect->partition,
		.offset = suspect->offset,
	};
	struct log_message message = {
		.topic = log_name(feeding->connection, "tasks"),
		.completion = skip_appended,
		.context = &feeding->skip,
	};
	struct buffer value;
	int rc = open_producer(feeding, error);

	if (rc != 0)
		return rc;
	(void)snprintf(request.nonce, sizeof request.nonce, "%016" PRIx64 "%016" PRIx64, random_u64(),
	               random_u64());
	memcpy(request.uid, shard->uid, sizeof request.uid);
	(void)snprintf(request.reason, sizeof request.reason, "%s died %" PRIu32 " times at this record",
	               program_of(feeding), suspect->deaths);
	buffer_init(&value, REQUEST_BYTES_MAX);
	task_request_write(&value, &request);
	message.value = buffer_slice(&value);
	rc = buffer_failed(&value) ? error_memory(error, REQUEST_BYTES_MAX)
	                           : log_producer_send(feeding->producer, &message, error);
	buffer_deinit(&value);
	return rc;
}

static void ask_failed(struct feeding *feeding, const struct error *error)
{
	logline(LOG_LEVEL_WARN, "skip_not_asked", "error=\"%s\"", error->text);
	feeding->skip.remind_ms = feeding->now_ms + ASK_AGAIN_MS;
}

/* One request on its way at a time; to ask twice does no harm. */
static void ask(struct feeding *feeding, const struct fed_shard *shard, const struct suspect *suspect)
{
	struct skip_asked *asked = &feeding->skip;
	bool again = suspect->task >= 0;
	struct error error;

	if (asked->in_flight || feeding->stopping ||
	    (feeding->now_ms < asked->remind_ms && (again || asked->error.code != 0)))
		return;
	asked->pause_ms = again ? 2 * asked->pause_ms : REMIND_FIRST_MS;
	if (asked->pause_ms < REMIND_FIRST_MS)
		asked->pause_ms = REMIND_FIRST_MS;
	if (asked->pause_ms > REMIND_MS_MAX)
		asked->pause_ms = REMIND_MS_MAX;
	asked->remind_ms = feeding->now_ms + asked->pause_ms;
	asked->suspect = *suspect;
	asked->in_flight = true;
	if (append_request(feeding, shard, suspect, &asked->error) == 0)
		return;
	asked->in_flight = false;
	error = asked->error;
	ask_failed(feeding, &error);
}

void holding_receive(struct feeding *feeding, struct skip_asked *asked)
{
	const struct suspect *suspect;

	asked->in_flight = false;
	if (asked->error.code != 0) {
		ask_failed(feeding, &asked->error);
		return;
	}
	logline(LOG_LEVEL_INFO, "skip_asked",
	        "index=%016" PRIx64 " partition=%" PRId32 " offset=%" PRId64 " task=%" PRId64,
	        asked->suspect.index_id, asked->suspect.partition, asked->suspect.offset, asked->task);
	suspect = suspects_find(feeding->suspects, asked->suspect.index_id, asked->suspect.partition,
	                        asked->suspect.offset);
	if (suspect != NULL)
		suspects_asked(feeding->suspects, suspect, asked->task);
}

/* ---- holding ---- */

/* Once a life of the program. */
static void say_held(struct feeding *feeding, const struct fed_shard *shard, const struct suspect *suspect)
{
	for (uint32_t i = 0; i < feeding->held_said_len; i++)
		if (feeding->held_said[i].index_id == suspect->index_id &&
		    feeding->held_said[i].partition == suspect->partition &&
		    feeding->held_said[i].offset == suspect->offset)
			return;
	if (feeding->held_said_len < SUSPECTS_MAX)
		feeding->held_said[feeding->held_said_len++] = *suspect;
	logline(LOG_LEVEL_ERROR, "shard_held",
	        "index=%s partition=%" PRId32 " topic=%s offset=%" PRId64 " deaths=%" PRIu32
	        " remedy=\"the controller has it skipped, unless a replica has it already; then stop, delete "
	        "%s "
	        "and start a version that can read it\"",
	        shard->uid, suspect->partition, shard->topic, suspect->offset, suspect->deaths,
	        suspects_path(feeding->suspects));
}

/* LIVE's feeder writes the letters of what it skips, where they are not known to be there. */
static bool feeder_letters(const struct feeding *feeding, uint32_t reader, int64_t offset)
{
	struct feeder_status status;

	return FEEDER_READER_LANE(reader) == FEEDER_LANE_LIVE &&
	       feeder_shard_status(feeding->feeder, FEEDER_READER_SLOT(reader), &status) &&
	       offset >= status.committed;
}

/* True if the reader must wait for the letter. */
static bool letter_is_missing(struct feeding *feeding, uint32_t reader, const struct record *record,
                              struct fed_hold *hold)
{
	struct error error;

	if (hold->state == HOLD_STATE_LETTER || hold->state == HOLD_STATE_LETTERED)
		return hold->state == HOLD_STATE_LETTER;
	hold->letter = ++feeding->letters_of_held;
	if (open_producer(feeding, &error) != 0)
		logline(LOG_LEVEL_WARN, "dead_letters_failing", "error=\"%s\"", error.text);
	else if (carrying_letter(feeding, reader, record, &error) == 0)
		hold->state = HOLD_STATE_LETTER;
	return true;
}

bool holding_holds(struct feeding *feeding, uint32_t reader, const struct record *record)
{
	const struct fed_shard *shard = &feeding->fed[FEEDER_READER_SLOT(reader)];
	struct fed_hold *hold =
		&feeding->fed[FEEDER_READER_SLOT(reader)].readers[FEEDER_READER_LANE(reader)].hold;
	const struct suspect *suspect =
		feeding->suspects == NULL
			? NULL
			: suspects_find(feeding->suspects, shard->index_id, shard->partition, record->offset);

	if (suspect == NULL || suspect->deaths < SUSPECT_DEATHS ||
	    !feeder_decodes(feeding->feeder, reader, record->offset)) {
		hold->state = HOLD_STATE_NONE;
		return false;
	}
	if (hold->offset != record->offset)
		hold->state = HOLD_STATE_NONE;
	hold->offset = record->offset;
	if (!is_skipped(feeding, shard, record->offset)) {
		hold->state = HOLD_STATE_SKIP;
		say_held(feeding, shard, suspect);
		ask(feeding, shard, suspect);
		return true;
	}
	if (!feeder_letters(feeding, reader, record->offset) &&
	    letter_is_missing(feeding, reader, record, hold))
		return true;
	hold->state = HOLD_STATE_NONE;
	logline(LOG_LEVEL_INFO, "record_skipped", "index=%s partition=%" PRId32 " topic=%s offset=%" PRId64,
	        shard->uid, shard->partition, shard->topic, record->offset);
	return false;
}

void holding_lettered(struct feeding *feeding, uint32_t reader, uint64_t letter, bool acknowledged)
{
	struct fed_reader *at = &feeding->fed[FEEDER_READER_SLOT(reader)].readers[FEEDER_READER_LANE(reader)];

	if (at->hold.state != HOLD_STATE_LETTER || at->hold.letter != letter)
		return; /* nobody waits for it any more */
	at->hold.state = acknowledged ? HOLD_STATE_LETTERED : HOLD_STATE_SKIP;
	if (acknowledged)
		at->again_ms = 0;
}

uint32_t holding_deaths(const struct feeding *feeding, const struct fed_shard *shard, int64_t offset)
{
	const struct suspect *suspect =
		feeding->suspects == NULL
			? NULL
			: suspects_find(feeding->suspects, shard->index_id, shard->partition, offset);

	/* another process may have died of it: only after so many deaths a skip is asked for */
	return suspect != NULL && suspect->deaths > SUSPECT_DEATHS ? suspect->deaths : SUSPECT_DEATHS;
}

/* ---- what is told ---- */

static void append_reader(const struct feeding *feeding, uint32_t reader, struct buffer *body)
{
	const struct fed_shard *shard = &feeding->fed[FEEDER_READER_SLOT(reader)];
	const struct fed_hold *hold = &shard->readers[FEEDER_READER_LANE(reader)].hold;
	const struct suspect *suspect;

	if (!shard->used || hold->state == HOLD_STATE_NONE)
		return;
	suspect = suspects_find(feeding->suspects, shard->index_id, shard->partition, hold->offset);
	if (suspect == NULL)
		return;
	buffer_printf(body,
	              "%s{\"index\":\"%016" PRIx64
	              "\",\"uid\":\"%s\",\"topic\":\"%s\",\"partition\":%" PRId32,
	              body->ptr[body->len - 1] == '[' ? "" : ",", shard->index_id, shard->uid, shard->topic,
	              shard->partition);
	buffer_printf(body,
	              ",\"offset\":%" PRId64 ",\"lane\":\"%s\",\"deaths\":%" PRIu32 ",\"task\":%" PRId64
	              ",\"file\":",
	              hold->offset, FEEDER_READER_LANE(reader) == FEEDER_LANE_LIVE ? "live" : "behind",
	              suspect->deaths, suspect->task);
	json_append_string(body, slice_string(suspects_path(feeding->suspects)));
	buffer_append_string(body, "}");
}

void holding_append(const struct feeding *feeding, struct buffer *body)
{
	buffer_append_string(body, "\"held\":[");
	for (uint32_t slot = 0; slot < feeding->fed_len && !buffer_failed(body); slot++)
		for (int lane = 0; lane < FEEDER_LANES; lane++)
			append_reader(feeding, FEEDER_READER(slot, lane), body);
	buffer_append_string(body, "]");
}

void holding_publish(struct feeding *feeding)
{
	(void)pthread_mutex_lock(&feeding->held_lock);
	buffer_clear(&feeding->held);
	holding_append(feeding, &feeding->held);
	(void)pthread_mutex_unlock(&feeding->held_lock);
}

void feeding_held(struct feeding *feeding, struct buffer *body)
{
	(void)pthread_mutex_lock(&feeding->held_lock);
	if (feeding->held.len > 0 && !buffer_failed(&feeding->held))
		buffer_append_slice(body, buffer_slice(&feeding->held));
	else
		buffer_append_string(body, "\"held\":[]");
	(void)pthread_mutex_unlock(&feeding->held_lock);
}
