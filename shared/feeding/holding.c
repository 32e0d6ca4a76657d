/* Records that end the program: their partitions are held until a record in `meta` says to skip them. */
#include "shared/base/assert.h"
#include "shared/feeding/feeding_private.h"
#include "shared/meta/task.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"
#include "shared/runtime/random.h"

#include <inttypes.h>
#include <stdio.h>

#define REQUEST_BYTES_MAX 4096
#define ASK_AGAIN_MS 1000
/* The controller may have refused, while a replica was silent say. */
#define REMIND_MS 10000

void holding_open(struct feeding *feeding)
{
	struct error error;

	feeding->skip.message.kind = MESSAGE_KIND_SKIP_ASKED;
	feeding->skip.inbox = feeding->inbox;
	if (suspects_open(config_string(feeding->config, "ingest.data"), &feeding->suspects, &error) != 0)
		logline(LOG_LEVEL_WARN, "suspects_not_kept",
		        "error=\"%s\" meaning=\"a record that ends this program ends it again and again\"",
		        error.text);
}

static bool is_skipped(const struct feeding *feeding, const struct suspect *suspect)
{
	size_t len;
	const int64_t *offsets = catalog_skips(feeding->catalog, suspect->index_id, suspect->partition, &len);

	for (size_t i = 0; i < len; i++)
		if (offsets[i] == suspect->offset)
			return true;
	return false;
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

static int append_request(struct feeding *feeding, const struct index_record *index,
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
	int rc;

	(void)snprintf(request.nonce, sizeof request.nonce, "%016" PRIx64 "%016" PRIx64, random_u64(),
	               random_u64());
	memcpy(request.uid, index->uid, sizeof request.uid);
	(void)snprintf(request.reason, sizeof request.reason, "ingest died %" PRIu32 " times at this record",
	               suspect->deaths);
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
	feeding->duties_ms = feeding->now_ms + ASK_AGAIN_MS;
}

/* One request on its way at a time; to ask twice does no harm. */
static void ask(struct feeding *feeding, const struct index_record *index, const struct suspect *suspect)
{
	struct skip_asked *asked = &feeding->skip;
	struct error error;

	if (feeding->duties_ms > feeding->now_ms + REMIND_MS)
		feeding->duties_ms = feeding->now_ms + REMIND_MS;
	if (asked->in_flight || feeding->stopping ||
	    (suspect->task >= 0 && feeding->now_ms < asked->remind_ms))
		return;
	asked->remind_ms = feeding->now_ms + REMIND_MS;
	asked->suspect = *suspect;
	asked->in_flight = true;
	if (append_request(feeding, index, suspect, &error) == 0)
		return;
	asked->in_flight = false;
	ask_failed(feeding, &error);
}

void holding_receive(struct feeding *feeding, struct skip_asked *asked)
{
	const struct suspect *suspect;
	size_t at = 0;

	asked->in_flight = false;
	if (asked->error.code != 0) {
		ask_failed(feeding, &asked->error);
		return;
	}
	logline(LOG_LEVEL_INFO, "skip_asked",
	        "index=%016" PRIx64 " partition=%" PRId32 " offset=%" PRId64 " task=%" PRId64,
	        asked->suspect.index_id, asked->suspect.partition, asked->suspect.offset, asked->task);
	while ((suspect = suspects_next(feeding->suspects, &at)) != NULL) {
		if (suspect->index_id != asked->suspect.index_id ||
		    suspect->partition != asked->suspect.partition ||
		    suspect->offset != asked->suspect.offset)
			continue;
		suspects_asked(feeding->suspects, suspect, asked->task);
		break;
	}
	feeding->duties_changed = true; /* another one may wait for its request */
}

/* ---- holding ---- */

/* Once a life of the program. */
static void say_held(struct feeding *feeding, const struct index_record *index, const struct suspect *suspect)
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
	        " remedy=\"the controller skips the record; or delete %s to try it again\"",
	        index->uid, suspect->partition, index->topic, suspect->offset, suspect->deaths,
	        suspects_path(feeding->suspects));
}

bool holding_holds(struct feeding *feeding, const struct index_record *index, int32_t partition)
{
	const struct suspect *suspect;

	while (feeding->suspects != NULL &&
	       (suspect = suspects_holding(feeding->suspects, index->id, partition)) != NULL) {
		if (!is_skipped(feeding, suspect)) {
			say_held(feeding, index, suspect);
			ask(feeding, index, suspect);
			return true;
		}
		logline(LOG_LEVEL_INFO, "record_skipped",
		        "index=%s partition=%" PRId32 " topic=%s offset=%" PRId64, index->uid, partition,
		        index->topic, suspect->offset);
		suspects_acquit(feeding->suspects, suspect);
	}
	return false;
}

const struct suspect *holding_next(const struct feeding *feeding, size_t *at)
{
	const struct suspect *suspect;

	while (feeding->suspects != NULL && (suspect = suspects_next(feeding->suspects, at)) != NULL)
		if (suspect->deaths >= SUSPECT_DEATHS && !is_skipped(feeding, suspect) &&
		    (feeding->slots_owned >> slot_of(suspect->index_id, suspect->partition) & 1) != 0)
			return suspect;
	return NULL;
}
