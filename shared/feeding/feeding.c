/* The program's life: open, one loop over everything that can happen, close. */
#include "shared/feeding/feeding_private.h"

#include "shared/base/assert.h"
#include "shared/feed/dead_letter.h"
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
	SOURCE_GUEST,
	SOURCE_OWNER,
	SOURCE_FEED_LIVE,
	SOURCE_FEED_BEHIND,
	SOURCE_READER,
	SOURCES
};

static int open_parts(struct feeding *feeding, struct error *error)
{
	struct feeder_options options = {
		.memory_bytes_max = feeding->options.memory_bytes,
		.batch_bytes_max = BATCH_TARGET_BYTES,
		.replay = feeding->options.mode == FEEDING_MODE_REPLAY,
		.shelf = table_shelf,
		.shelf_context = feeding,
	};

	if (!flush_rule_parse(feeding->options.flush, &options.flush))
		return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_REJECT,
		                 "ingest.flush is \"%s\"; it is adaptive, immediate, batched{1..4096} or "
		                 "periodic{1..60000}",
		                 feeding->options.flush);
	feeding->feeder = feeder_new(&options, random_u64() >> 1);
	feeding->catalog = catalog_new();
	feeding->fed = calloc(FEEDER_SHARDS_MAX, sizeof *feeding->fed);
	/* one message a node, a question, a dead letter, a page, a skip, and the reader: a put never fails */
	feeding->inbox = mailbox_new(NODES_MAX + QUESTIONS_MAX + FEEDING_DEAD_LETTERS_MAX + SUSPECTS_MAX +
	                             FEEDING_PAGES_MAX + 2);
	if (feeding->feeder == NULL || feeding->catalog == NULL || feeding->fed == NULL ||
	    feeding->inbox == NULL)
		return error_memory(error, FEEDER_SHARDS_MAX * sizeof *feeding->fed);
	filling_init(feeding);
	holding_open(feeding);
	return 0;
}

static int start_asking(struct feeding *feeding, struct error *error)
{
	const struct asking_options options = {
		.config = feeding->config,
		.connection = feeding->connection,
		.inbox = feeding->inbox,
		.address = feeding->options.address,
	};

	return asking_start(&options, &feeding->asking, error);
}

static int open_connections(struct feeding *feeding, struct error *error)
{
	struct http_client_options options = {
		.in_flight_max = REQUESTS_MAX,
		.answer_bytes_max = BATCH_BYTES_MAX,
		.bearer = config_string(feeding->config, "auth.cluster_key"),
	};
	bool live = feeding->options.mode == FEEDING_MODE_LIVE;
	int rc = log_connection_open(feeding->config, &feeding->connection, error);

	if (rc == 0 && live)
		rc = log_feed_open(feeding->config, &feeding->feeds[FEEDER_LANE_LIVE], error);
	if (rc == 0 && live)
		rc = log_producer_open_bounded(feeding->config, DEAD_LETTER_BYTES_MIN, &feeding->producer,
		                               error);
	if (rc == 0)
		rc = http_client_start(&options, &feeding->client, error);
	if (rc == 0)
		rc = start_asking(feeding, error);
	return rc;
}

int feeding_open(const struct feeding_options *options, struct feeding **feeding, struct error *error)
{
	struct feeding *opened = calloc(1, sizeof *opened);
	int rc;

	if (opened == NULL)
		return error_memory(error, sizeof *opened);
	opened->options = *options;
	opened->config = options->config;
	opened->duties_ms = INT64_MAX;
	opened->dead_letter_bytes_max = DEAD_LETTER_BYTES_DEFAULT;
	arena_init(&opened->scratch, SCRATCH_BLOCK_BYTES);
	map_init(&opened->by_shard);
	counters_init(&opened->counters, options->mode);
	rc = open_parts(opened, error);
	if (rc == 0)
		rc = open_connections(opened, error);
	if (rc != 0) {
		if (!feeding_close(opened))
			_exit(process_exit_code(error));
		return rc;
	}
	*feeding = opened;
	return 0;
}

bool feeding_is_ready(const struct feeding *feeding)
{
	return atomic_load(&feeding->ready);
}

void feeding_set_active(struct feeding *feeding, bool active)
{
	atomic_store(&feeding->wanted, active);
}

static int poll_timeout(const struct feeding *feeding, bool more)
{
	int64_t left = feeder_deadline_ms(feeding->feeder) - feeding->now_ms;

	if (more || feeding->reader_more || feeding->failure.code != 0)
		return 0;
	if (left <= 0 && !feeding->stopping)
		return 0;
	return left > 0 && left < TICK_MS ? (int)left : TICK_MS;
}

static int feed_fd(const struct feeding *feeding, enum feeder_lane lane)
{
	const struct log_feed *feed = feeding->feeds[lane];

	return feed == NULL || feeding->stopping ? -1 : log_feed_fd(feed);
}

static void look_at_feed(struct feeding *feeding, const struct pollfd *source, enum feeder_lane lane)
{
	eventfd_t count;

	if (source->revents == 0)
		return;
	(void)eventfd_read(source->fd, &count);
	reading_ready(feeding, lane);
}

static void wait_for_sources(struct feeding *feeding, int timeout_ms)
{
	struct pollfd sources[SOURCES] = {
		[SOURCE_SIGNAL] = {.fd = feeding->stopping ? -1 : feeding->options.stop_fd, .events = POLLIN},
		[SOURCE_INBOX] = {.fd = mailbox_fd(feeding->inbox), .events = POLLIN},
		[SOURCE_GUEST] = {.fd = feeding->options.guest_fd, .events = POLLIN},
		[SOURCE_OWNER] = {.fd = feeding->owner != NULL ? log_owner_fd(feeding->owner) : -1,
	                          .events = POLLIN},
		[SOURCE_FEED_LIVE] = {.fd = feed_fd(feeding, FEEDER_LANE_LIVE), .events = POLLIN},
		[SOURCE_FEED_BEHIND] = {.fd = feed_fd(feeding, FEEDER_LANE_BEHIND), .events = POLLIN},
		[SOURCE_READER] = {.fd = feeding->reader != NULL ? log_reader_fd(feeding->reader) : -1,
	                           .events = POLLIN},
	};

	if (poll(sources, SOURCES, timeout_ms) < 0)
		ASSERT(errno == EINTR);
	feeding->now_ms = clock_monotonic_ms();
	look_at_feed(feeding, &sources[SOURCE_FEED_LIVE], FEEDER_LANE_LIVE);
	look_at_feed(feeding, &sources[SOURCE_FEED_BEHIND], FEEDER_LANE_BEHIND);
	if (sources[SOURCE_READER].revents != 0)
		feeding->reader_more = true;
	if (sources[SOURCE_SIGNAL].revents != 0) {
		feeding->stopping = true;
		logline(LOG_LEVEL_INFO, "stopping", "timeout_ms=%d", FEEDING_SHUTDOWN_MS);
	}
}

static int64_t boot_ms(void)
{
	struct timespec now;

	/* goes on while the machine is suspended, unlike CLOCK_MONOTONIC */
	ASSERT(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool feeding_stood_still(const struct feeding *feeding)
{
	return boot_ms() - feeding->turn_boot_ms >= STILL_MS;
}

/* A process that was stopped or suspended may have lost its slots without knowing it. What it sends is harmless,
 * but it must ask Kafka and the replicas again before it commits. */
static void notice_pause(struct feeding *feeding)
{
	int64_t now = boot_ms();

	if (feeding->turn_boot_ms > 0 && feeding_stood_still(feeding)) {
		logline(LOG_LEVEL_WARN, "stood_still", "for_ms=%" PRId64, now - feeding->turn_boot_ms);
		duties_forget(feeding, STILL_HOLD_MS);
	}
	feeding->turn_boot_ms = now;
}

/* A replay begins or ends: every slot is its own, or none. */
static void notice_wish(struct feeding *feeding)
{
	bool wanted = atomic_load(&feeding->wanted);

	if (feeding->options.mode != FEEDING_MODE_REPLAY || wanted == feeding->active)
		return;
	feeding->active = wanted;
	duties_slots(feeding, wanted ? UINT64_MAX : 0);
	feeding->slots_fed = feeding->slots_owned;
}

/* What needs no more than a few looks a second. */
static void tick(struct feeding *feeding)
{
	atomic_store(&feeding->ready, feeding->caught_up && !feeding->stopping);
	counters_update(feeding);
	holding_publish(feeding);
	/* an idle shard's reader has commits to look after, too */
	reading_ready(feeding, FEEDER_LANE_LIVE);
	reading_ready(feeding, FEEDER_LANE_BEHIND);
	reading_rest(feeding);
}

/* One turn of the loop; true if some shard could go on at once. */
static bool turn(struct feeding *feeding, int64_t *tick_ms)
{
	uint64_t slots;
	bool more;

	notice_pause(feeding);
	if (feeding->owner != NULL && log_owner_poll(feeding->owner, &slots) && !feeding->stopping)
		duties_slots(feeding, slots);
	carrying_receive(feeding);
	if (feeding->reader_more)
		reading_follow(feeding);
	notice_wish(feeding);
	if (!feeding->stopping)
		duties_update(feeding);
	feeder_tick(feeding->feeder, feeding->now_ms);
	carrying_drain(feeding);
	counters_observe(feeding);
	more = reading_turn(feeding);
	if (feeding->options.guest != NULL)
		feeding->options.guest(feeding->options.guest_context);
	if (*tick_ms <= feeding->now_ms) {
		*tick_ms = feeding->now_ms + TICK_MS;
		tick(feeding);
	}
	return more;
}

int feeding_run(struct feeding *feeding, struct error *error)
{
	int64_t stop_ms = INT64_MAX;
	int64_t tick_ms = 0;
	bool more = false;

	feeding->now_ms = clock_monotonic_ms();
	while (feeding->failure.code == 0) {
		wait_for_sources(feeding, poll_timeout(feeding, more));
		more = turn(feeding, &tick_ms);
		if (!feeding->stopping)
			continue;
		if (stop_ms == INT64_MAX)
			stop_ms = feeding->now_ms + FEEDING_SHUTDOWN_MS;
		if (feeding->batches_in_flight == 0 || feeding->now_ms >= stop_ms)
			return 0;
	}
	*error = feeding->failure;
	return error->code;
}

/* Senders into the inbox end first, then what they refer to. */
static bool close_senders(struct feeding *feeding)
{
	bool joined = true;

	if (feeding->client != NULL)
		http_client_stop(feeding->client);
	if (feeding->asking != NULL)
		joined = asking_stop(feeding->asking, ASKING_STOP_MS);
	if (feeding->producer != NULL)
		log_producer_close(feeding->producer, PRODUCER_CLOSE_MS);
	if (feeding->inbox != NULL)
		carrying_discard(feeding);
	return joined;
}

bool feeding_close(struct feeding *feeding)
{
	bool joined = close_senders(feeding);

	if (feeding->reader != NULL)
		log_reader_close(feeding->reader);
	if (feeding->owner != NULL)
		log_owner_close(feeding->owner);
	for (int lane = 0; lane < FEEDER_LANES; lane++)
		if (feeding->feeds[lane] != NULL)
			log_feed_close(feeding->feeds[lane]);
	if (!joined)
		return false;
	if (feeding->connection != NULL)
		log_connection_close(feeding->connection);
	for (uint32_t i = 0; i < NODES_MAX; i++)
		buffer_deinit(&feeding->nodes[i].answer.frame);
	filling_deinit(feeding);
	mailbox_free(feeding->inbox);
	feeder_free(feeding->feeder);
	leaves_close(feeding->leaves);
	holding_close(feeding);
	catalog_free(feeding->catalog);
	map_deinit(&feeding->by_shard);
	arena_deinit(&feeding->scratch);
	free(feeding->fed);
	free(feeding);
	return true;
}
