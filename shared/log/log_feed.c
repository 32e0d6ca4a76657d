#include "shared/log/log_private.h"

#include "shared/base/assert.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SLOTS_MAX 65536
#define DESTROY_S_MAX 2
/* The handle's own events (commits, lost connections) are served this often: well within the time that a broker takes to
 * come back. */
#define SERVE_MS 20
/* After so much was taken from a queue that may have been full there is room for another fetch: as
 * max.partition.fetch.bytes. */
#define WAKE_BYTES 524288

struct feed_slot {
	rd_kafka_queue_t *queue; /* NULL: free */
	char *topic;
	int32_t partition;
	int64_t offset_next; /* records below are stale */
	bool stopped;
	bool disconnected;                         /* since it was started */
	size_t delivered;                          /* bytes since the leader's thread was woken */
	rd_kafka_event_t *pending;                 /* taken, but there was no memory to deliver ... */
	const rd_kafka_message_t *pending_message; /* ... this, which an event gives once */
};

struct log_feed {
	rd_kafka_t *rk;
	struct feed_slot *slots;
	size_t slots_len;
	int fd;
	int64_t served_at_ms;
	rd_kafka_event_t *lent; /* whose record the caller has */
	struct log_headers headers;
};

/* 2.0.2 bounds what it prefetches for each partition with a queue of its own, and overshoots by one fetch. Only
 * partitions under back-pressure fill theirs; 64 of them take 160 MB. */
static const struct log_property feed_defaults[] = {
	{"queued.max.messages.kbytes", "2048"},
	{"queued.min.messages", "100000"},
	{"fetch.max.bytes", "8388608"},
	{"max.partition.fetch.bytes", "524288"},
	{"fetch.wait.max.ms", "100"}, /* an end is told when a fetch comes back empty */
	/* for so long after its first use a deleted topic is taken for one that is still being created */
	{"topic.metadata.propagation.max.ms", "5000"},
	{NULL, NULL},
};

static void on_committed(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *offsets,
                         void *opaque);

/* A broker that was away may have lost the end of its log and have written another one up to where we stand; 2.0.2
 * does not compare leader epochs. Whoever reads must look at its anchor again. */
static void on_failed(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
	struct log_feed *feed = opaque;

	log_error_seen(rk, err, reason, NULL);
	if (err != RD_KAFKA_RESP_ERR__TRANSPORT && err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		return;
	for (size_t i = 0; i < feed->slots_len; i++)
		feed->slots[i].disconnected = feed->slots[i].queue != NULL;
}

int log_feed_open(const struct config *config, struct log_feed **feed, struct error *error)
{
	char group[TOPIC_NAME_BYTES];
	const struct log_property fixed[] = {{"group.id", group}, {NULL, NULL}};
	struct log_feed *opened = calloc(1, sizeof *opened);
	const struct log_handle_options options = {.type = RD_KAFKA_CONSUMER,
	                                           .defaults = feed_defaults,
	                                           .fixed = fixed,
	                                           .opaque = opened,
	                                           .committed = on_committed,
	                                           .failed = on_failed};
	int status;

	if (opened == NULL)
		return error_memory(error, sizeof *opened);
	opened->fd = log_event_open(error);
	status = opened->fd < 0 ? opened->fd : 0;
	if (status == 0 && !log_name_print(config, "ingest", group))
		status = error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL, "`cluster` is too long");
	if (status == 0)
		status = log_handle_open(config, &options, &opened->rk, error);
	if (status != 0) {
		log_feed_close(opened);
		return status;
	}
	(void)rd_kafka_poll_set_consumer(opened->rk);
	*feed = opened;
	return 0;
}

static void *destroy_run(void *rk)
{
	rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	return NULL;
}

/* Destroying a handle that ever read a topic which was deleted meanwhile never returns in 2.0.2: it waits for a
 * broker that a removed partition still refers to (seen). Nobody is in its group, nothing is lost by leaving. */
static void destroy_bounded(rd_kafka_t *rk)
{
	struct timespec deadline;
	pthread_t thread;

	if (pthread_create(&thread, NULL, destroy_run, rk) != 0)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += DESTROY_S_MAX;
	if (pthread_timedjoin_np(thread, NULL, &deadline) == 0)
		return;
	logline(LOG_LEVEL_DEBUG, "feed_abandoned", "after_s=%d", DESTROY_S_MAX);
	(void)pthread_detach(thread);
}

void log_feed_close(struct log_feed *feed)
{
	if (feed == NULL)
		return;
	if (feed->lent != NULL)
		rd_kafka_event_destroy(feed->lent);
	for (size_t i = 0; i < feed->slots_len; i++)
		log_feed_stop(feed, (uint32_t)i);
	if (feed->rk != NULL)
		destroy_bounded(feed->rk);
	if (feed->fd >= 0)
		(void)close(feed->fd);
	free(feed->headers.list);
	free(feed->slots);
	free(feed);
}

/* ---- partitions ---- */

static rd_kafka_topic_partition_list_t *one_partition(const char *topic, int32_t partition, int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
	return list;
}

/* Incremental assign and unassign work in 2.0.2 without any subscription. What a former assignment had read or was
 * reading is discarded by its version (seen: 1,300 restarts under load at random offsets, the first record always
 * the one asked for), whereas seek and resume deliver old records. */
static int change_assignment(struct log_feed *feed, const struct feed_slot *slot, int64_t offset, bool add,
                             struct error *error)
{
	rd_kafka_topic_partition_list_t *list = one_partition(slot->topic, slot->partition, offset);
	rd_kafka_error_t *failure = add ? rd_kafka_incremental_assign(feed->rk, list)
	                                : rd_kafka_incremental_unassign(feed->rk, list);
	int status = 0;

	rd_kafka_topic_partition_list_destroy(list);
	if (failure != NULL) {
		status = error_set(error, ERROR_LOG, ERROR_ACTION_RETRY, "reading %s/%" PRId32 ": %s",
		                   slot->topic, slot->partition, rd_kafka_error_string(failure));
		rd_kafka_error_destroy(failure);
	}
	return status;
}

static bool slots_reserve(struct log_feed *feed, uint32_t slot)
{
	size_t len = (size_t)slot + 1;
	struct feed_slot *grown;

	ASSERT(slot < SLOTS_MAX);
	if (len <= feed->slots_len)
		return true;
	grown = realloc(feed->slots, len * sizeof *grown);
	if (grown == NULL)
		return false;
	memset(&grown[feed->slots_len], 0, (len - feed->slots_len) * sizeof *grown);
	feed->slots = grown;
	feed->slots_len = len;
	return true;
}

int log_feed_start(struct log_feed *feed, uint32_t slot, const char *topic, int32_t partition, int64_t offset,
                   struct error *error)
{
	struct feed_slot *at;
	int status;

	if (!slots_reserve(feed, slot))
		return error_memory(error, ((size_t)slot + 1) * sizeof *at);
	log_feed_stop(feed, slot);
	at = &feed->slots[slot];
	*at = (struct feed_slot){.topic = strdup(topic), .partition = partition, .offset_next = offset};
	if (at->topic == NULL)
		return error_memory(error, strlen(topic));
	at->queue = rd_kafka_queue_get_partition(feed->rk, topic, partition);
	ASSERT(at->queue != NULL); /* fails for producers only */
	/* before assigning: otherwise the first records go to the handle's common queue */
	rd_kafka_queue_forward(at->queue, NULL);
	log_event_watch(at->queue, feed->fd);
	status = change_assignment(feed, at, offset, true, error);
	if (status != 0) {
		rd_kafka_queue_destroy(at->queue);
		free(at->topic);
		*at = (struct feed_slot){0};
	}
	return status;
}

void log_feed_stop(struct log_feed *feed, uint32_t slot)
{
	struct feed_slot *at;
	struct error error;

	if (slot >= feed->slots_len || feed->slots[slot].queue == NULL)
		return;
	at = &feed->slots[slot];
	if (change_assignment(feed, at, RD_KAFKA_OFFSET_INVALID, false, &error) != 0)
		logline(LOG_LEVEL_WARN, "feed_stop", "topic=%s partition=%d reason=\"%s\"", at->topic,
		        at->partition, error.text);
	if (at->pending != NULL)
		rd_kafka_event_destroy(at->pending);
	rd_kafka_queue_io_event_enable(at->queue, -1, NULL, 0);
	rd_kafka_queue_destroy(at->queue);
	free(at->topic);
	*at = (struct feed_slot){0};
}

/* ---- events ---- */

/* The event that an error of the partition is; NONE if it passes by itself. */
static enum log_feed_event trouble(struct feed_slot *slot, rd_kafka_event_t *found, struct error *error)
{
	const char *remedy;

	switch (rd_kafka_event_error(found)) {
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
		slot->stopped = true;
		(void)error_set(error, ERROR_STATE, ERROR_ACTION_FATAL,
		                "%s/%" PRId32 ": the log has no offset %" PRId64 " (%s)", slot->topic,
		                slot->partition, slot->offset_next, rd_kafka_event_error_string(found));
		return LOG_FEED_EVENT_RESET;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		slot->stopped = true;
		remedy = log_remedy(rd_kafka_event_error(found));
		(void)error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_FATAL, "%s/%" PRId32 ": %s%s%s",
		                slot->topic, slot->partition, rd_kafka_event_error_string(found),
		                remedy[0] == 0 ? "" : "; ", remedy);
		return LOG_FEED_EVENT_GONE;
	default:
		logline(LOG_LEVEL_DEBUG, "feed", "topic=%s partition=%d reason=\"%s\"", slot->topic,
		        slot->partition, rd_kafka_event_error_string(found));
		return LOG_FEED_EVENT_NONE;
	}
}

static void serve(struct log_feed *feed)
{
	int64_t now = clock_monotonic_ms();
	rd_kafka_message_t *message;

	if (now - feed->served_at_ms < SERVE_MS)
		return;
	feed->served_at_ms = now;
	while ((message = rd_kafka_consumer_poll(feed->rk, 0)) != NULL)
		rd_kafka_message_destroy(message); /* brokers' states; partitions have queues of their own */
}

/* Where log_feed_next puts what it found. */
struct delivery {
	enum log_feed_event *event;
	struct record *record;
	int64_t *position;
};

/* Once a queue was full, the thread of the partition's leader sleeps for up to a second, whoever drains it meanwhile
 * (2.0.2; confluentinc/librdkafka#2879): a consumer a little slower than the fetches got 6,000 records of 1 KB a second
 * instead of 230,000. Any request to that leader wakes it. This one asks for the end of the log and does not wait for
 * the answer, which is dropped; it takes 50 us of ours. */
static void wake_leader(struct log_feed *feed, struct feed_slot *slot)
{
	rd_kafka_topic_partition_list_t *list =
		one_partition(slot->topic, slot->partition, RD_KAFKA_OFFSET_END);

	(void)rd_kafka_offsets_for_times(feed->rk, list, 0);
	rd_kafka_topic_partition_list_destroy(list);
	slot->delivered = 0;
}

/* 0 with the event RECORD, or NONE for a stale record; takes `found` in any case. */
static int feed_record(struct log_feed *feed, struct feed_slot *slot, rd_kafka_event_t *found,
                       const struct delivery *delivery, struct error *error)
{
	const rd_kafka_message_t *message = slot->pending_message;
	int status;

	if (message == NULL)
		message = rd_kafka_event_message_next(found);
	slot->pending_message = NULL;
	if (message == NULL || message->offset < slot->offset_next) {
		rd_kafka_event_destroy(found);
		return 0;
	}
	status = log_record(message, &feed->headers, delivery->record, error);
	if (status != 0) {
		slot->pending = found;
		slot->pending_message = message;
		return status;
	}
	feed->lent = found;
	slot->offset_next = message->offset + 1;
	slot->delivered += message->len + message->key_len;
	if (slot->delivered >= WAKE_BYTES)
		wake_leader(feed, slot);
	*delivery->position = slot->offset_next;
	*delivery->event = LOG_FEED_EVENT_RECORD;
	return 0;
}

/* The fetch position, which is behind trailing transaction markers and before an open transaction. */
static void feed_end(struct feed_slot *slot, rd_kafka_event_t *found, const struct delivery *delivery)
{
	rd_kafka_topic_partition_t *place = rd_kafka_event_topic_partition(found);

	if (place == NULL)
		return;
	if (place->offset >= slot->offset_next) {
		slot->offset_next = place->offset;
		*delivery->position = place->offset;
		*delivery->event = LOG_FEED_EVENT_END;
	}
	rd_kafka_topic_partition_destroy(place);
}

/* One thing that the slot's queue gave; the event stays NONE if it is nothing for the caller. */
static int feed_take(struct log_feed *feed, struct feed_slot *slot, rd_kafka_event_t *found,
                     const struct delivery *delivery, struct error *error)
{
	if (rd_kafka_event_type(found) == RD_KAFKA_EVENT_FETCH)
		return feed_record(feed, slot, found, delivery, error);
	if (rd_kafka_event_error(found) == RD_KAFKA_RESP_ERR__PARTITION_EOF)
		feed_end(slot, found, delivery);
	else if (rd_kafka_event_type(found) == RD_KAFKA_EVENT_ERROR)
		*delivery->event = trouble(slot, found, error);
	rd_kafka_event_destroy(found);
	return 0;
}

int log_feed_next(struct log_feed *feed, uint32_t slot, enum log_feed_event *event, struct record *record,
                  int64_t *position, struct error *error)
{
	struct delivery delivery = {event, record, position};
	struct feed_slot *at;

	if (feed->lent != NULL) {
		rd_kafka_event_destroy(feed->lent);
		feed->lent = NULL;
	}
	*event = LOG_FEED_EVENT_NONE;
	if (slot >= feed->slots_len || feed->slots[slot].queue == NULL)
		return 0;
	serve(feed);
	at = &feed->slots[slot];
	if (at->disconnected && !at->stopped) {
		at->stopped = true;
		*event = LOG_FEED_EVENT_RESET;
		(void)error_set(error, ERROR_STATE, ERROR_ACTION_RETRY,
		                "%s/%" PRId32 ": a connection to Kafka was lost, the log may be another one",
		                at->topic, at->partition);
		return 0;
	}
	while (!at->stopped && *event == LOG_FEED_EVENT_NONE) {
		/* Events, not consume_queue: that hands "topic deleted" to the error callback, without its place. One
		 * at a time: batch consumption loses positions around errors in 2.0.2. */
		rd_kafka_event_t *found =
			at->pending != NULL ? at->pending : rd_kafka_queue_poll(at->queue, 0);
		int status;

		at->pending = NULL;
		if (found == NULL)
			break;
		status = feed_take(feed, at, found, &delivery, error);
		if (status != 0)
			return status;
	}
	return 0;
}

int log_feed_fd(const struct log_feed *feed)
{
	return feed->fd;
}

/* ---- commits ---- */

static void on_committed(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *offsets,
                         void *opaque)
{
	(void)rk;
	(void)opaque;
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR && err != RD_KAFKA_RESP_ERR__NO_OFFSET && offsets != NULL &&
	    offsets->cnt > 0)
		logline(LOG_LEVEL_WARN, "commit_failed", "topic=%s partition=%d reason=\"%s\"",
		        offsets->elems[0].topic, offsets->elems[0].partition, rd_kafka_err2str(err));
}

int log_feed_commit(struct log_feed *feed, const char *topic, int32_t partition, int64_t offset,
                    struct error *error)
{
	rd_kafka_topic_partition_list_t *list = one_partition(topic, partition, offset);
	rd_kafka_resp_err_t err = rd_kafka_commit(feed->rk, list, 1);

	rd_kafka_topic_partition_list_destroy(list);
	serve(feed);
	return err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : log_fail(error, err, "committing", topic);
}

int log_feed_committed_all(struct log_feed *feed, const struct log_partitions *asked, int timeout_ms,
                           int64_t *offsets, struct error *error)
{
	rd_kafka_topic_partition_list_t *list = log_partition_list(asked, RD_KAFKA_OFFSET_INVALID);
	rd_kafka_resp_err_t err = rd_kafka_committed(feed->rk, list, timeout_ms);

	for (int i = 0; err == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
		err = list->elems[i].err;
	for (int i = 0; err == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
		offsets[i] = list->elems[i].offset >= 0 ? list->elems[i].offset : -1;
	rd_kafka_topic_partition_list_destroy(list);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return log_fail(error, err, "asking for the committed offsets of", asked->topic);
	log_reached();
	return 0;
}
