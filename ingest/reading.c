/* Reads: meta and topology into the catalog, the logs of our shards into the feeder. */
#include "ingest/ingest_private.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>

/* Fairness: so many records of one shard, or of meta and topology, before others get their turn. */
#define TURN_RECORDS 256

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

static bool may_proceed(const struct ingest *ingest, uint32_t slot)
{
	const struct fed_shard *shard = &ingest->fed[slot];

	/* a record gives one dead letter at most, so there is always room for the next one */
	return shard->used && shard->reading && shard->ready && !ingest->stopping &&
	       ingest->dead_letters < INGEST_DEAD_LETTERS_MAX &&
	       ingest->dead_letter_bytes < INGEST_DEAD_LETTER_BYTES_MAX && feeder_wants(ingest->feeder, slot);
}

static void lost_position(struct ingest *ingest, uint32_t slot, const char *reason)
{
	const struct fed_shard *shard = &ingest->fed[slot];

	logline(LOG_LEVEL_WARN, "position_lost", "index=%s partition=%" PRId32 " topic=%s error=\"%s\"",
	        shard->uid, shard->partition, shard->topic, reason);
	feeder_read_failed(ingest->feeder, slot, ingest->now_ms);
}

static void take_record(struct ingest *ingest, uint32_t slot, const struct record *record)
{
	struct error error;

	/* out of memory: the record is read again after a pause */
	if (feeder_record(ingest->feeder, slot, record, ingest->now_ms, &error) != 0)
		lost_position(ingest, slot, error.text);
}

static void read_shard(struct ingest *ingest, uint32_t slot)
{
	struct fed_shard *shard = &ingest->fed[slot];

	for (int i = 0; i < TURN_RECORDS && may_proceed(ingest, slot); i++) {
		enum log_feed_event event;
		struct record record;
		struct error error;
		int64_t position;

		error.code = 0;
		if (log_feed_next(ingest->feed, slot, &event, &record, &position, &error) != 0) {
			lost_position(ingest, slot, error.text);
			carrying_drain(ingest);
			return;
		}
		switch (event) {
		case LOG_FEED_EVENT_NONE:
			shard->ready = false;
			return;
		case LOG_FEED_EVENT_RECORD:
			take_record(ingest, slot, &record);
			break;
		case LOG_FEED_EVENT_END:
			feeder_end(ingest->feeder, slot, position, ingest->now_ms);
			break;
		case LOG_FEED_EVENT_RESET:
		case LOG_FEED_EVENT_GONE:
			lost_position(ingest, slot,
			              error.code != 0 ? error.text : "topic or partition is gone");
			break;
		}
		carrying_drain(ingest);
	}
}

bool reading_turn(struct ingest *ingest)
{
	bool more = false;

	for (uint32_t i = 0; i < ingest->fed_len; i++)
		read_shard(ingest, (ingest->fed_next + i) % ingest->fed_len);
	if (ingest->fed_len > 0)
		ingest->fed_next = (ingest->fed_next + 1) % ingest->fed_len;
	for (uint32_t slot = 0; slot < ingest->fed_len && !more; slot++)
		more = may_proceed(ingest, slot);
	return more;
}

void reading_ready(struct ingest *ingest)
{
	for (uint32_t slot = 0; slot < ingest->fed_len; slot++)
		ingest->fed[slot].ready = ingest->fed[slot].reading;
}
