/* Reads: meta and topology into the catalog, the logs of our shards into the feeder, on two lanes. */
#include "shared/feeding/feeding_private.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>

/* Fairness: so many records of one reader, or of meta and topology, before others get their turn. */
#define TURN_RECORDS 256
#define TURN_RECORDS_BEHIND 64
/* An idle handle has threads, connections and buffers. */
#define BEHIND_REST_MS 60000
/* A record that cannot be taken now, for memory or for room in the table, is offered again. */
#define AGAIN_MS 1000

static void apply(struct feeding *feeding, size_t topic, const struct record *record)
{
	enum catalog_topic of = topic == FOLLOWED_TOPIC_META ? CATALOG_TOPIC_META : CATALOG_TOPIC_TOPOLOGY;
	struct error error;

	if (catalog_apply(feeding->catalog, of, record->offset, record->key, record->value, &error) != 0)
		logline(LOG_LEVEL_ERROR, "record_unreadable", "topic=%s offset=%" PRId64 " error=\"%s\"",
		        topic == FOLLOWED_TOPIC_META ? "meta" : "topology", record->offset, error.text);
	feeding->duties_changed = true;
}

void reading_follow(struct feeding *feeding)
{
	enum log_event event = LOG_EVENT_RECORD;

	for (int i = 0; feeding->reader != NULL && event != LOG_EVENT_NONE && i < TURN_RECORDS; i++) {
		struct record record;
		size_t topic = 0;

		if (log_reader_next(feeding->reader, 0, &event, &topic, &record, &feeding->failure) != 0)
			return;
		if (event == LOG_EVENT_RECORD) {
			apply(feeding, topic, &record);
		} else if (event == LOG_EVENT_END) {
			feeding->caught_up = true;
			feeding->duties_changed = true;
			logline(LOG_LEVEL_INFO, "caught_up", "topics=meta,topology");
		}
	}
	feeding->reader_more = feeding->reader != NULL && event != LOG_EVENT_NONE;
}

/* ---- where reading begins and ends ---- */

static struct fed_reader *reader_at(const struct feeding *feeding, uint32_t reader)
{
	return &feeding->fed[FEEDER_READER_SLOT(reader)].readers[FEEDER_READER_LANE(reader)];
}

static const char *lane_name(uint32_t reader)
{
	return FEEDER_READER_LANE(reader) == FEEDER_LANE_LIVE ? "live" : "behind";
}

static void lost_position(struct feeding *feeding, uint32_t reader, const char *reason)
{
	const struct fed_shard *shard = &feeding->fed[FEEDER_READER_SLOT(reader)];

	logline(LOG_LEVEL_WARN, "position_lost",
	        "index=%s partition=%" PRId32 " topic=%s lane=%s error=\"%s\"", shard->uid, shard->partition,
	        shard->topic, lane_name(reader), reason);
	feeder_read_failed(feeding->feeder, reader, feeding->now_ms);
}

/* Opens the lane's handle if it has none. */
static int start(struct feeding *feeding, const struct feeder_action *action, struct error *error)
{
	const struct fed_shard *shard = &feeding->fed[action->slot];
	struct log_feed **feed = &feeding->feeds[FEEDER_READER_LANE(action->reader)];
	int rc = *feed == NULL ? log_feed_open(feeding->config, feed, error) : 0;

	if (rc != 0)
		return rc;
	return log_feed_start(*feed, action->slot, shard->topic, shard->partition, action->offset, error);
}

void reading_start(struct feeding *feeding, const struct feeder_action *action)
{
	struct fed_reader *reader = reader_at(feeding, action->reader);
	struct error error;

	/* nothing may be read any more of what was read before */
	reading_halt(feeding, action->reader);
	if (start(feeding, action, &error) != 0) {
		lost_position(feeding, action->reader, error.text);
		return;
	}
	if (FEEDER_READER_LANE(action->reader) == FEEDER_LANE_BEHIND)
		feeding->behind_readers++;
	reader->reading = true;
	reader->ready = true;
	reader->again_ms = 0;
	if (reader->started)
		series_add(feeding->counters.rewinds, 1);
	reader->started = true;
}

void reading_halt(struct feeding *feeding, uint32_t reader)
{
	struct fed_reader *halted = reader_at(feeding, reader);
	enum feeder_lane lane = FEEDER_READER_LANE(reader);

	if (!halted->reading)
		return;
	log_feed_stop(feeding->feeds[lane], FEEDER_READER_SLOT(reader));
	halted->reading = false;
	halted->hold.state = HOLD_STATE_NONE;
	if (lane == FEEDER_LANE_BEHIND) {
		feeding->behind_readers--;
		feeding->behind_used_ms = feeding->now_ms;
	}
}

void reading_rest(struct feeding *feeding)
{
	struct log_feed **feed = &feeding->feeds[FEEDER_LANE_BEHIND];

	if (*feed == NULL || feeding->behind_readers > 0 ||
	    feeding->now_ms < feeding->behind_used_ms + BEHIND_REST_MS)
		return;
	/* closing may take seconds, which the owner does not have */
	if (asking_close_feed(feeding->asking, *feed))
		*feed = NULL;
}

/* ---- records ---- */

static bool may_proceed(const struct feeding *feeding, uint32_t reader)
{
	const struct fed_shard *shard = &feeding->fed[FEEDER_READER_SLOT(reader)];
	const struct fed_reader *at = reader_at(feeding, reader);

	if (!shard->used || !at->reading || !at->ready || feeding->stopping || at->again_ms > feeding->now_ms)
		return false;
	/* a record gives one dead letter at most, so there is always room for the next one */
	if (FEEDER_READER_LANE(reader) == FEEDER_LANE_LIVE &&
	    (feeding->dead_letters >= FEEDING_DEAD_LETTERS_MAX ||
	     feeding->dead_letter_bytes >= FEEDING_DEAD_LETTER_BYTES_MAX))
		return false;
	return feeder_wants(feeding->feeder, reader);
}

/* The record at `offset` is read and offered again after a pause; the feeder keeps what it has. */
static void offer_again(struct feeding *feeding, uint32_t reader, int64_t offset)
{
	const struct fed_shard *shard = &feeding->fed[FEEDER_READER_SLOT(reader)];
	struct error error;

	if (log_feed_start(feeding->feeds[FEEDER_READER_LANE(reader)], FEEDER_READER_SLOT(reader),
	                   shard->topic, shard->partition, offset, &error) == 0)
		reader_at(feeding, reader)->again_ms = feeding->now_ms + AGAIN_MS;
	else
		lost_position(feeding, reader, error.text);
}

static void take_record(struct feeding *feeding, uint32_t reader, const struct record *record)
{
	const struct fed_shard *shard = &feeding->fed[FEEDER_READER_SLOT(reader)];
	int64_t offset = record->offset;
	struct error error;
	int rc;

	if (holding_holds(feeding, reader, record)) {
		offer_again(feeding, reader, offset);
		return;
	}
	if (feeding->suspects != NULL)
		suspects_note(feeding->suspects, shard->index_id, shard->partition, offset);
	rc = feeder_record(feeding->feeder, reader, record, feeding->now_ms, &error);
	carrying_drain(feeding); /* now: a dead letter's action borrows the record */
	if (feeding->suspects != NULL)
		suspects_strike(feeding->suspects);
	if (rc != 0)
		offer_again(feeding, reader, offset);
}

/* One event of the reader's partition; false if there is none now. */
static bool read_next(struct feeding *feeding, uint32_t reader)
{
	struct log_feed *feed = feeding->feeds[FEEDER_READER_LANE(reader)];
	enum log_feed_event event;
	struct record record;
	struct error error;
	int64_t position;

	error.code = 0;
	if (log_feed_next(feed, FEEDER_READER_SLOT(reader), &event, &record, &position, &error) != 0) {
		lost_position(feeding, reader, error.text);
		return true;
	}
	switch (event) {
	case LOG_FEED_EVENT_NONE:
		return false;
	case LOG_FEED_EVENT_RECORD:
		take_record(feeding, reader, &record);
		break;
	case LOG_FEED_EVENT_END:
		feeder_end(feeding->feeder, reader, position, feeding->now_ms);
		break;
	case LOG_FEED_EVENT_RESET:
	case LOG_FEED_EVENT_GONE:
		lost_position(feeding, reader, error.code != 0 ? error.text : "topic or partition is gone");
		break;
	}
	return true;
}

static void read_some(struct feeding *feeding, uint32_t reader, int records)
{
	for (int i = 0; i < records && may_proceed(feeding, reader); i++) {
		if (!read_next(feeding, reader)) {
			reader_at(feeding, reader)->ready = false;
			return;
		}
		carrying_drain(feeding);
	}
}

/* Every shard's reader of this lane; true if one could go on at once. */
static bool read_lane(struct feeding *feeding, enum feeder_lane lane, int records)
{
	bool more = false;

	for (uint32_t i = 0; i < feeding->fed_len; i++)
		read_some(feeding, FEEDER_READER((feeding->fed_next + i) % feeding->fed_len, lane), records);
	for (uint32_t slot = 0; slot < feeding->fed_len && !more; slot++)
		more = may_proceed(feeding, FEEDER_READER(slot, lane));
	return more;
}

bool reading_turn(struct feeding *feeding)
{
	bool more = read_lane(feeding, FEEDER_LANE_LIVE, TURN_RECORDS);

	if (feeding->behind_readers > 0)
		more = read_lane(feeding, FEEDER_LANE_BEHIND, TURN_RECORDS_BEHIND) || more;
	if (feeding->fed_len > 0)
		feeding->fed_next = (feeding->fed_next + 1) % feeding->fed_len;
	return more;
}

void reading_ready(struct feeding *feeding, enum feeder_lane lane)
{
	for (uint32_t slot = 0; slot < feeding->fed_len; slot++) {
		struct fed_reader *reader = &feeding->fed[slot].readers[lane];

		reader->ready = reader->reading;
	}
}
