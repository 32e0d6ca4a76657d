/* Records: from the source to a message for the index's log, or a dead letter, or nothing. */
#include "ingest/import_private.h"

#include "shared/base/assert.h"
#include "shared/runtime/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TURN_RECORDS_MAX 256 /* of one partition */
#define HEADERS_MAX 3
#define ORIGIN_BYTES (TOPIC_BYTES_MAX + 64)
/* Record and batch headers of Kafka's format 2, and the lengths of one header as varints. */
#define MESSAGE_OVERHEAD 128
#define HEADER_OVERHEAD 10

/* ---- messages ---- */

/* On the producer's thread. */
static void completed(void *context, int64_t offset, const struct error *error)
{
	struct import_sent *sent = context;

	(void)offset;
	if (error != NULL && error->code != 0)
		sent->error = *error;
	ASSERT(mailbox_put(sent->inbox, sent));
}

/* A message for the index's log, being made. */
struct draft {
	struct log_message message;
	struct record_header headers[HEADERS_MAX];
	char origin[ORIGIN_BYTES];
};

static void add_header(struct draft *draft, const char *name, struct slice value)
{
	draft->headers[draft->message.headers_len++] = (struct record_header){slice_string(name), value};
}

static void make(const struct import_part *part, const struct record *record, const struct mapped *mapped,
                 struct draft *draft)
{
	const struct import_source *source = part->source;
	int64_t time_ms = record->timestamp_ms;

	/* brokers refuse a time in the future */
	if (time_ms < 0 || time_ms > clock_wall_ms())
		time_ms = 0;
	draft->message = (struct log_message){
		.topic = source->topic,
		.partition = partitioner_choose(source->partitioner, mapped->id, source->partitions),
		.key = mapped->id,
		.value = mapped->body,
		.timestamp_ms = time_ms,
		.headers = draft->headers,
		.completion = completed};
	(void)snprintf(draft->origin, sizeof draft->origin, "%s.%" PRIu32 "/%" PRId32 "/%" PRId64 ".0",
	               part->place.topic, source->record.life, part->place.partition, record->offset);
	add_header(draft, "origin", slice_string(draft->origin));
	if (mapped->op == MAPPING_OP_DELETE)
		draft->message.value = slice_of(NULL, 0);
	if (mapped->op != MAPPING_OP_PUT)
		add_header(draft, "op", slice_string(mapping_op_name(mapped->op)));
	if (mapped->idempotency_key.ptr != NULL)
		add_header(draft, "idempotency-key", mapped->idempotency_key);
}

static size_t bytes_of(const struct log_message *message)
{
	size_t bytes = MESSAGE_OVERHEAD + message->key.len + message->value.len;

	for (size_t i = 0; i < message->headers_len; i++)
		bytes += HEADER_OVERHEAD + message->headers[i].name.len + message->headers[i].value.len;
	return bytes;
}

/* Counts it as out, then sends it; a failure is the whole source's. */
static void send_message(struct import_part *part, const struct record *record, struct log_message *message,
                         size_t bytes)
{
	struct import_source *source = part->source;
	struct import_sent *sent = calloc(1, sizeof *sent);
	struct error error;
	int rc = sent == NULL ? error_memory(&error, sizeof *sent) : 0;

	if (rc == 0) {
		*sent = (struct import_sent){.inbox = source->import->inbox,
		                             .slot = part->slot,
		                             .serial = part->serial,
		                             .producer = source->producer_number,
		                             .bytes = bytes};
		rc = import_track_out(&part->track, record, true, &sent->ticket, &error);
	}
	message->context = sent;
	if (rc == 0)
		rc = log_producer_send(source->producer, message, &error);
	if (rc == 0) {
		source->out++;
		source->out_bytes += bytes;
		source->import->out++;
		source->import->out_bytes += bytes;
		return;
	}
	free(sent);
	import_source_fail(source, &error);
}

/* ---- verdicts ---- */

static void refuse(struct import_part *part, const struct record *record, const struct mapped *mapped)
{
	struct error error;
	uint64_t ticket;
	int rc = import_track_out(&part->track, record, true, &ticket, &error);

	if (rc == 0)
		rc = import_letter_add(part, record, mapped, ticket, &error);
	if (rc != 0)
		import_part_restart(part, error.text);
}

static void import_one(struct import_part *part, const struct record *record, struct mapped *mapped)
{
	struct import_source *source = part->source;
	struct draft draft;
	size_t bytes;

	make(part, record, mapped, &draft);
	bytes = bytes_of(&draft.message);
	if (bytes <= source->message_bytes_max) {
		send_message(part, record, &draft.message, bytes);
		return;
	}
	mapped->code = MAPPING_REFUSAL_TOO_LARGE;
	(void)snprintf(mapped->text, sizeof mapped->text,
	               "the document makes a message of up to %zu bytes, topic %.80s takes %zu: raise its "
	               "max.message.bytes",
	               bytes, source->topic, source->message_bytes_max);
	refuse(part, record, mapped);
}

static void ignore(struct import_part *part, const struct record *record)
{
	struct error error;
	uint64_t ticket;

	if (import_track_out(&part->track, record, false, &ticket, &error) != 0) {
		import_part_restart(part, error.text);
		return;
	}
	part->source->counts.ignored++;
	series_add(part->source->counts.ignored_total, 1);
	part->source->counts.progress_ms = clock_wall_ms();
}

static void judge(struct import_part *part, const struct record *record)
{
	struct import *import = part->source->import;
	struct mapped mapped = {0};

	switch (mapping_apply(part->source->mapping, record, &import->scratch, &mapped)) {
	case MAPPING_VERDICT_APPLY:
		import_one(part, record, &mapped);
		break;
	case MAPPING_VERDICT_IGNORE:
		ignore(part, record);
		break;
	case MAPPING_VERDICT_REFUSE:
		refuse(part, record, &mapped);
		break;
	case MAPPING_VERDICT_MEMORY:
		import_part_restart(part, "out of memory while a record is mapped");
		break;
	}
	arena_clear(&import->scratch);
}

/* ---- turns ---- */

static bool may_read(const struct import_part *part)
{
	const struct import_source *source = part->source;

	return part->reading && part->ready && part->track.state == IMPORT_TRACK_READING && part->held == 0 &&
	       source->producer != NULL && !source->record.paused && source->out < IMPORT_RECORDS_MAX &&
	       source->out_bytes < IMPORT_BYTES_MAX && source->import->out < IMPORT_OUT_MAX &&
	       source->import->out_bytes < IMPORT_OUT_BYTES_MAX && source->letters < IMPORT_LETTERS_MAX &&
	       !import_track_is_full(&part->track);
}

static void take(struct import_part *part, const struct record *record)
{
	part->at_end = false;
	switch (import_track_take(&part->track, record)) {
	case IMPORT_TAKE_GO:
		judge(part, record);
		break;
	case IMPORT_TAKE_PASS:
		break;
	case IMPORT_TAKE_STOP:
		import_part_stopped(part);
		break;
	}
}

/* One event of the partition; false if it has none now. */
static bool step(struct import_part *part)
{
	struct log_feed *feed = part->source->feed;
	enum log_feed_event event;
	struct record record;
	struct error error;
	int64_t position = 0;

	if (log_feed_next(feed, part->slot, &event, &record, &position, &error) != 0) {
		import_part_restart(part, error.text);
		return false;
	}
	switch (event) {
	case LOG_FEED_EVENT_NONE:
		part->ready = false;
		return false;
	case LOG_FEED_EVENT_RECORD:
		take(part, &record);
		return true;
	case LOG_FEED_EVENT_END:
		import_track_end(&part->track, position);
		part->at_end = true;
		part->log_end = position;
		return true;
	case LOG_FEED_EVENT_RESET:
		/* a lost connection is nothing to wait for */
		import_part_restart(part, error.action == ERROR_ACTION_RETRY ? "" : error.text);
		return false;
	case LOG_FEED_EVENT_GONE:
		import_part_restart(part, error.text);
		return false;
	}
	return false;
}

bool import_read(struct import *import)
{
	bool more = false;

	for (uint32_t i = 0; i < import->parts_end; i++) {
		struct import_part *part = import->parts[i];
		unsigned taken = 0;

		if (part == NULL)
			continue;
		while (taken < TURN_RECORDS_MAX && may_read(part) && step(part))
			taken++;
		more |= taken == TURN_RECORDS_MAX && may_read(part);
	}
	return more;
}
