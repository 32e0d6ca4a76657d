/* Reads: meta and topology into the catalog, the logs of our shards into the feeder, on two lanes. */
#include "ingest/ingest_private.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>

/* Fairness: so many records of one reader, or of meta and topology, before others get their turn. */
#define TURN_RECORDS 256
#define TURN_RECORDS_BEHIND 64
/* An idle handle has threads, connections and buffers. */
#define BEHIND_REST_MS 60000

static void apply(struct ingest *ingest, size_t topic, const struct record *record)
{
	enum catalog_topic of = topic == FOLLOWED_TOPIC_META ? CATALOG_TOPIC_META : CATALOG_TOPIC_TOPOLOGY;
	struct error error;

	if (catalog_apply(ingest->catalog, of, record->offset, record->key, record->value, &error) != 0)
		logline(LOG_LEVEL_ERROR, "record_unreadable", "topic=%s offset=%" PRId64 " error=\"%s\"",
		        topic == FOLLOWED_TOPIC_META ? "meta" : "topology", record->offset, error.text);
	ingest->duties_changed = true;
}

void reading_follow(struct ingest *ingest)
{
	enum log_event event = LOG_EVENT_RECORD;

	for (int i = 0; ingest->reader != NULL && event != LOG_EVENT_NONE && i < TURN_RECORDS; i++) {
		struct record record;
		size_t topic = 0;

		if (log_reader_next(ingest->reader, 0, &event, &topic, &record, &ingest->failure) != 0)
			return;
		if (event == LOG_EVENT_RECORD) {
			apply(ingest, topic, &record);
		} else if (event == LOG_EVENT_END) {
			ingest->caught_up = true;
			ingest->duties_changed = true;
			logline(LOG_LEVEL_INFO, "caught_up", "topics=meta,topology");
		}
	}
	ingest->reader_more = ingest->reader != NULL && event != LOG_EVENT_NONE;
}

/* ---- where reading begins and ends ---- */

static struct fed_reader *reader_at(const struct ingest *ingest, uint32_t reader)
{
	return &ingest->fed[FEEDER_READER_SLOT(reader)].readers[FEEDER_READER_LANE(reader)];
}

static const char *lane_name(uint32_t reader)
{
	return FEEDER_READER_LANE(reader) == FEEDER_LANE_LIVE ? "live" : "behind";
}

static void lost_position(struct ingest *ingest, uint32_t reader, const char *reason)
{
	const struct fed_shard *shard = &ingest->fed[FEEDER_READER_SLOT(reader)];

	logline(LOG_LEVEL_WARN, "position_lost",
	        "index=%s partition=%" PRId32 " topic=%s lane=%s error=\"%s\"", shard->uid, shard->partition,
	        shard->topic, lane_name(reader), reason);
	feeder_read_failed(ingest->feeder, reader, ingest->now_ms);
}

/* Opens the lane's handle if it has none. */
static int start(struct ingest *ingest, const struct feeder_action *action, struct error *error)
{
	const struct fed_shard *shard = &ingest->fed[action->slot];
	struct log_feed **feed = &ingest->feeds[FEEDER_READER_LANE(action->reader)];
	int rc = *feed == NULL ? log_feed_open(ingest->config, feed, error) : 0;

	if (rc != 0)
		return rc;
	return log_feed_start(*feed, action->slot, shard->topic, shard->partition, action->offset, error);
}

void reading_start(struct ingest *ingest, const struct feeder_action *action)
{
	struct fed_reader *reader = reader_at(ingest, action->reader);
	struct error error;

	/* nothing may be read any more of what was read before */
	reading_halt(ingest, action->reader);
	if (start(ingest, action, &error) != 0) {
		lost_position(ingest, action->reader, error.text);
		return;
	}
	if (FEEDER_READER_LANE(action->reader) == FEEDER_LANE_BEHIND)
		ingest->behind_readers++;
	reader->reading = true;
	reader->ready = true;
	if (reader->started)
		series_add(ingest->counters.rewinds, 1);
	reader->started = true;
}

void reading_halt(struct ingest *ingest, uint32_t reader)
{
	struct fed_reader *halted = reader_at(ingest, reader);
	enum feeder_lane lane = FEEDER_READER_LANE(reader);

	if (!halted->reading)
		return;
	log_feed_stop(ingest->feeds[lane], FEEDER_READER_SLOT(reader));
	halted->reading = false;
	if (lane == FEEDER_LANE_BEHIND) {
		ingest->behind_readers--;
		ingest->behind_used_ms = ingest->now_ms;
	}
}

void reading_rest(struct ingest *ingest)
{
	struct log_feed **feed = &ingest->feeds[FEEDER_LANE_BEHIND];

	if (*feed == NULL || ingest->behind_readers > 0 ||
	    ingest->now_ms < ingest->behind_used_ms + BEHIND_REST_MS)
		return;
	/* closing may take seconds, which the owner does not have */
	if (asking_close_feed(ingest->asking, *feed))
		*feed = NULL;
}

/* ---- records ---- */

static bool may_proceed(const struct ingest *ingest, uint32_t reader)
{
	const struct fed_shard *shard = &ingest->fed[FEEDER_READER_SLOT(reader)];
	const struct fed_reader *at = reader_at(ingest, reader);

	if (!shard->used || !at->reading || !at->ready || ingest->stopping)
		return false;
	/* a record gives one dead letter at most, so there is always room for the next one */
	if (FEEDER_READER_LANE(reader) == FEEDER_LANE_LIVE &&
	    (ingest->dead_letters >= INGEST_DEAD_LETTERS_MAX ||
	     ingest->dead_letter_bytes >= INGEST_DEAD_LETTER_BYTES_MAX))
		return false;
	return feeder_wants(ingest->feeder, reader);
}

static void take_record(struct ingest *ingest, uint32_t reader, const struct record *record)
{
	struct error error;

	/* out of memory: the record is read again after a pause */
	if (feeder_record(ingest->feeder, reader, record, ingest->now_ms, &error) != 0)
		lost_position(ingest, reader, error.text);
}

/* One event of the reader's partition; false if there is none now. */
static bool read_next(struct ingest *ingest, uint32_t reader)
{
	struct log_feed *feed = ingest->feeds[FEEDER_READER_LANE(reader)];
	enum log_feed_event event;
	struct record record;
	struct error error;
	int64_t position;

	error.code = 0;
	if (log_feed_next(feed, FEEDER_READER_SLOT(reader), &event, &record, &position, &error) != 0) {
		lost_position(ingest, reader, error.text);
		return true;
	}
	switch (event) {
	case LOG_FEED_EVENT_NONE:
		return false;
	case LOG_FEED_EVENT_RECORD:
		take_record(ingest, reader, &record);
		break;
	case LOG_FEED_EVENT_END:
		feeder_end(ingest->feeder, reader, position, ingest->now_ms);
		break;
	case LOG_FEED_EVENT_RESET:
	case LOG_FEED_EVENT_GONE:
		lost_position(ingest, reader, error.code != 0 ? error.text : "topic or partition is gone");
		break;
	}
	return true;
}

static void read_some(struct ingest *ingest, uint32_t reader, int records)
{
	for (int i = 0; i < records && may_proceed(ingest, reader); i++) {
		if (!read_next(ingest, reader)) {
			reader_at(ingest, reader)->ready = false;
			return;
		}
		carrying_drain(ingest);
	}
}

/* Every shard's reader of this lane; true if one could go on at once. */
static bool read_lane(struct ingest *ingest, enum feeder_lane lane, int records)
{
	bool more = false;

	for (uint32_t i = 0; i < ingest->fed_len; i++)
		read_some(ingest, FEEDER_READER((ingest->fed_next + i) % ingest->fed_len, lane), records);
	for (uint32_t slot = 0; slot < ingest->fed_len && !more; slot++)
		more = may_proceed(ingest, FEEDER_READER(slot, lane));
	return more;
}

bool reading_turn(struct ingest *ingest)
{
	bool more = read_lane(ingest, FEEDER_LANE_LIVE, TURN_RECORDS);

	if (ingest->behind_readers > 0)
		more = read_lane(ingest, FEEDER_LANE_BEHIND, TURN_RECORDS_BEHIND) || more;
	if (ingest->fed_len > 0)
		ingest->fed_next = (ingest->fed_next + 1) % ingest->fed_len;
	return more;
}

void reading_ready(struct ingest *ingest, enum feeder_lane lane)
{
	for (uint32_t slot = 0; slot < ingest->fed_len; slot++) {
		struct fed_reader *reader = &ingest->fed[slot].readers[lane];

		reader->ready = reader->reading;
	}
}
