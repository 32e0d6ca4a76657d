/* The program's life: open, one loop over everything that can happen, close. */
#include "ingest/ingest_private.h"

#include "shared/base/assert.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"
#include "shared/runtime/process.h"
#include "shared/runtime/random.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define BATCH_TARGET_BYTES (8U * 1024 * 1024)
/* The group wants to be served, and gauges to be fresh. */
#define TICK_MS 250
/* Standing still for so long, half of the group's session, may have cost the slots ... */
#define STILL_MS 3000
/* ... which the group says within two heartbeats. */
#define STILL_HOLD_MS 1000
#define VISITORS_MAX 64
#define REQUESTS_MAX 8192
#define SCRATCH_BLOCK_BYTES 16384
#define ASKING_STOP_MS 5000
#define PRODUCER_CLOSE_MS 5000
/* Brokers take 1 MiB by default, which counts the batch around the record. */
#define DEAD_LETTER_BYTES_DEFAULT 1000000

/* What poll() waits for. */
enum source {
	SOURCE_SIGNAL,
	SOURCE_INBOX,
	SOURCE_VISITORS,
	SOURCE_OWNER,
	SOURCE_FEED_LIVE,
	SOURCE_FEED_BEHIND,
	SOURCE_READER,
	SOURCES
};

static int open_parts(struct ingest *ingest, struct error *error)
{
	const struct config *config = ingest->config;
	struct feeder_options options = {
		.memory_bytes_max = (size_t)config_bytes(config, "ingest.memory"),
		.batch_bytes_max = BATCH_TARGET_BYTES,
	};

	if (!flush_rule_parse(config_string(config, "ingest.flush"), &options.flush))
		return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_REJECT,
		                 "ingest.flush is \"%s\"; it is adaptive, immediate, batched{1..4096} or "
		                 "periodic{1..60000}",
		                 config_string(config, "ingest.flush"));
	ingest->feeder = feeder_new(&options, random_u64() >> 1);
	ingest->catalog = catalog_new();
	ingest->fed = calloc(FEEDER_SHARDS_MAX, sizeof *ingest->fed);
	/* one message a node, a question, a dead letter, and the reader: a put never fails */
	ingest->inbox = mailbox_new(NODES_MAX + QUESTIONS_MAX + INGEST_DEAD_LETTERS_MAX + 1);
	ingest->visitors = mailbox_new(VISITORS_MAX);
	if (ingest->feeder == NULL || ingest->catalog == NULL || ingest->fed == NULL ||
	    ingest->inbox == NULL || ingest->visitors == NULL)
		return error_memory(error, FEEDER_SHARDS_MAX * sizeof *ingest->fed);
	return 0;
}

static int open_connections(struct ingest *ingest, struct error *error)
{
	struct http_client_options options = {
		.in_flight_max = REQUESTS_MAX,
		.answer_bytes_max = BATCH_BYTES_MAX,
		.bearer = config_string(ingest->config, "auth.cluster_key"),
	};
	int rc = log_connection_open(ingest->config, &ingest->connection, error);

	if (rc == 0)
		rc = log_feed_open(ingest->config, &ingest->feeds[FEEDER_LANE_LIVE], error);
	if (rc == 0)
		rc = log_producer_open(ingest->config, &ingest->producer, error);
	if (rc == 0)
		rc = http_client_start(&options, &ingest->client, error);
	if (rc == 0)
		rc = admin_start(ingest, error);
	if (rc == 0)
		rc = asking_start(ingest->config, ingest->connection, ingest->inbox, &ingest->asking, error);
	if (rc == 0)
		rc = process_ready(config_ready_file(ingest->config), "millrace-ingest",
		                   http_server_address(ingest->server), NULL, error);
	return rc;
}

int ingest_open(const struct config *config, int signal_fd, struct ingest **ingest, struct error *error)
{
	struct ingest *opened = calloc(1, sizeof *opened);
	int rc;

	if (opened == NULL)
		return error_memory(error, sizeof *opened);
	opened->config = config;
	opened->signal_fd = signal_fd;
	opened->duties_ms = INT64_MAX;
	opened->dead_letter_bytes_max = DEAD_LETTER_BYTES_DEFAULT;
	arena_init(&opened->scratch, SCRATCH_BLOCK_BYTES);
	map_init(&opened->by_shard);
	counters_init(&opened->counters);
	log_set_stop(signal_fd);
	rc = open_parts(opened, error);
	if (rc == 0)
		rc = open_connections(opened, error);
	if (rc != 0) {
		if (!ingest_close(opened))
			_exit(process_exit_code(error));
		return rc;
	}
	logline(LOG_LEVEL_INFO, "started", "listen=%s", http_server_address(opened->server));
	*ingest = opened;
	return 0;
}

static int poll_timeout(const struct ingest *ingest, bool more)
{
	int64_t left = feeder_deadline_ms(ingest->feeder) - ingest->now_ms;

	if (more || ingest->reader_more || ingest->failure.code != 0)
		return 0;
	if (left <= 0 && !ingest->stopping)
		return 0;
	return left > 0 && left < TICK_MS ? (int)left : TICK_MS;
}

static int feed_fd(const struct ingest *ingest, enum feeder_lane lane)
{
	const struct log_feed *feed = ingest->feeds[lane];

	return feed == NULL || ingest->stopping ? -1 : log_feed_fd(feed);
}

static void look_at_feed(struct ingest *ingest, const struct pollfd *source, enum feeder_lane lane)
{
	eventfd_t count;

	if (source->revents == 0)
		return;
	(void)eventfd_read(source->fd, &count);
	reading_ready(ingest, lane);
}

static void wait_for_sources(struct ingest *ingest, int timeout_ms)
{
	struct pollfd sources[SOURCES] = {
		[SOURCE_SIGNAL] = {.fd = ingest->stopping ? -1 : ingest->signal_fd, .events = POLLIN},
		[SOURCE_INBOX] = {.fd = mailbox_fd(ingest->inbox), .events = POLLIN},
		[SOURCE_VISITORS] = {.fd = mailbox_fd(ingest->visitors), .events = POLLIN},
		[SOURCE_OWNER] = {.fd = ingest->owner != NULL ? log_owner_fd(ingest->owner) : -1,
	                          .events = POLLIN},
		[SOURCE_FEED_LIVE] = {.fd = feed_fd(ingest, FEEDER_LANE_LIVE), .events = POLLIN},
		[SOURCE_FEED_BEHIND] = {.fd = feed_fd(ingest, FEEDER_LANE_BEHIND), .events = POLLIN},
		[SOURCE_READER] = {.fd = ingest->reader != NULL ? log_reader_fd(ingest->reader) : -1,
	                           .events = POLLIN},
	};

	if (poll(sources, SOURCES, timeout_ms) < 0)
		ASSERT(errno == EINTR);
	ingest->now_ms = clock_monotonic_ms();
	look_at_feed(ingest, &sources[SOURCE_FEED_LIVE], FEEDER_LANE_LIVE);
	look_at_feed(ingest, &sources[SOURCE_FEED_BEHIND], FEEDER_LANE_BEHIND);
	if (sources[SOURCE_READER].revents != 0)
		ingest->reader_more = true;
	if (sources[SOURCE_SIGNAL].revents != 0) {
		ingest->stopping = true;
		logline(LOG_LEVEL_INFO, "stopping", "timeout_ms=%d", INGEST_SHUTDOWN_MS);
	}
}

static int64_t boot_ms(void)
{
	struct timespec now;

	/* goes on while the machine is suspended, unlike CLOCK_MONOTONIC */
	ASSERT(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool ingest_stood_still(const struct ingest *ingest)
{
	return boot_ms() - ingest->turn_boot_ms >= STILL_MS;
}

/* A process that was stopped or suspended may have lost its slots without knowing it. What it sends is harmless,
 * but it must ask Kafka and the replicas again before it commits. */
static void notice_pause(struct ingest *ingest)
{
	int64_t now = boot_ms();

	if (ingest->turn_boot_ms > 0 && ingest_stood_still(ingest)) {
		logline(LOG_LEVEL_WARN, "stood_still", "for_ms=%" PRId64, now - ingest->turn_boot_ms);
		duties_forget(ingest, STILL_HOLD_MS);
	}
	ingest->turn_boot_ms = now;
}

/* What needs no more than a few looks a second. */
static void tick(struct ingest *ingest)
{
	atomic_store(&ingest->ready, ingest->caught_up && !ingest->stopping);
	counters_update(ingest);
	/* an idle shard's reader has commits to look after, too */
	reading_ready(ingest, FEEDER_LANE_LIVE);
	reading_ready(ingest, FEEDER_LANE_BEHIND);
	reading_rest(ingest);
}

/* One turn of the loop; true if some shard could go on at once. */
static bool turn(struct ingest *ingest, int64_t *tick_ms)
{
	uint64_t slots;
	bool more;

	notice_pause(ingest);
	if (ingest->owner != NULL && log_owner_poll(ingest->owner, &slots) && !ingest->stopping)
		duties_slots(ingest, slots);
	carrying_receive(ingest);
	if (ingest->reader_more)
		reading_follow(ingest);
	if (!ingest->stopping)
		duties_update(ingest);
	feeder_tick(ingest->feeder, ingest->now_ms);
	carrying_drain(ingest);
	more = reading_turn(ingest);
	admin_answer(ingest);
	if (*tick_ms <= ingest->now_ms) {
		*tick_ms = ingest->now_ms + TICK_MS;
		tick(ingest);
	}
	return more;
}

int ingest_run(struct ingest *ingest, struct error *error)
{
	int64_t stop_ms = INT64_MAX;
	int64_t tick_ms = 0;
	bool more = false;

	ingest->now_ms = clock_monotonic_ms();
	while (ingest->failure.code == 0) {
		wait_for_sources(ingest, poll_timeout(ingest, more));
		more = turn(ingest, &tick_ms);
		if (!ingest->stopping)
			continue;
		if (stop_ms == INT64_MAX)
			stop_ms = ingest->now_ms + INGEST_SHUTDOWN_MS;
		if (ingest->batches_in_flight == 0 || ingest->now_ms >= stop_ms)
			return 0;
	}
	*error = ingest->failure;
	return error->code;
}

/* Senders into the inbox end first, then what they refer to. */
static bool close_senders(struct ingest *ingest)
{
	bool joined = true;

	if (ingest->server != NULL) {
		admin_answer(ingest);
		http_server_stop(ingest->server);
	}
	if (ingest->client != NULL)
		http_client_stop(ingest->client);
	if (ingest->asking != NULL)
		joined = asking_stop(ingest->asking, ASKING_STOP_MS);
	if (ingest->producer != NULL)
		log_producer_close(ingest->producer, PRODUCER_CLOSE_MS);
	if (ingest->inbox != NULL)
		carrying_discard(ingest);
	return joined;
}

bool ingest_close(struct ingest *ingest)
{
	bool joined = close_senders(ingest);

	if (ingest->reader != NULL)
		log_reader_close(ingest->reader);
	if (ingest->owner != NULL)
		log_owner_close(ingest->owner);
	for (int lane = 0; lane < FEEDER_LANES; lane++)
		if (ingest->feeds[lane] != NULL)
			log_feed_close(ingest->feeds[lane]);
	if (!joined)
		return false;
	if (ingest->connection != NULL)
		log_connection_close(ingest->connection);
	for (uint32_t i = 0; i < NODES_MAX; i++)
		buffer_deinit(&ingest->nodes[i].answer.frame);
	mailbox_free(ingest->inbox);
	mailbox_free(ingest->visitors);
	feeder_free(ingest->feeder);
	catalog_free(ingest->catalog);
	map_deinit(&ingest->by_shard);
	arena_deinit(&ingest->scratch);
	free(ingest->fed);
	free(ingest);
	return true;
}
