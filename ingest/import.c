/* The life of the import: open, one loop over everything that can happen, close. */
#include "ingest/import_private.h"

#include "shared/base/assert.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Groups want to be served, and gauges to be fresh. */
#define TICK_MS 250
#define STOP_MS 3000
#define FAILED_MS_MAX 30000 /* before the import is begun again */
#define JOIN_S_MAX 10
#define PRODUCER_CLOSE_MS 1000
#define SCRATCH_BLOCK_BYTES (64U * 1024)
#define STATUS_BYTES_MAX (4U * 1024 * 1024)
/* Every message and letter of every source, and those of a producer that just ended. */
#define INBOX_MAX (2 * (IMPORT_OUT_MAX + IMPORT_SOURCES_MAX * IMPORT_LETTERS_MAX))

enum awaited {
	AWAITED_STOP,
	AWAITED_INBOX,
	AWAITED_READER,
	AWAITED_GROUPS,
	AWAITED_FEEDS, /* one a source */
	AWAITED = AWAITED_FEEDS + IMPORT_SOURCES_MAX
};

/* ---- what comes back ---- */

static void receive_message(struct import *import, const struct import_sent *sent)
{
	struct import_part *part = import_part_find(import, sent->slot, sent->serial);
	struct import_source *source = part == NULL ? NULL : part->source;

	/* what an ended producer had is counted no more */
	if (source == NULL || source->producer_number != sent->producer)
		return;
	source->out--;
	source->out_bytes -= sent->bytes;
	import->out--;
	import->out_bytes -= sent->bytes;
	if (sent->error.code != 0) {
		import_source_fail(source, &sent->error);
		return;
	}
	source->retry_ms = 0;
	source->counts.imported++;
	series_add(source->counts.imported_total, 1);
	source->counts.progress_ms = clock_wall_ms();
	import_track_acknowledge(&part->track, sent->ticket);
}

static void receive(struct import *import)
{
	struct import_sent *sent;

	while ((sent = mailbox_take(import->inbox)) != NULL) {
		if (sent->letter != NULL)
			import_letter_ended(import, sent->letter, &sent->error);
		else
			receive_message(import, sent);
		free(sent);
	}
}

/* ---- the loop ---- */

/* A feed that has something may have it for each of its partitions. */
static void notice_feeds(struct import *import, const struct pollfd *feeds)
{
	bool tick = import->now_ms >= import->tick_ms;
	bool any = tick;
	eventfd_t count;

	for (size_t i = 0; i < IMPORT_SOURCES_MAX; i++)
		if (feeds[i].revents != 0) {
			any = true;
			(void)eventfd_read(feeds[i].fd, &count);
		}
	for (uint32_t i = 0; any && i < import->parts_end; i++) {
		struct import_part *part = import->parts[i];

		if (part != NULL && (tick || feeds[part->source - import->sources].revents != 0))
			part->ready = true;
	}
}

static void wait_for_events(struct import *import, bool more)
{
	struct pollfd awaited[AWAITED] = {
		[AWAITED_STOP] = {.fd = import->stop_fd, .events = POLLIN},
		[AWAITED_INBOX] = {.fd = mailbox_fd(import->inbox), .events = POLLIN},
		[AWAITED_READER] = {.fd = log_reader_fd(import->reader), .events = POLLIN},
		[AWAITED_GROUPS] = {.fd = import->group_fd, .events = POLLIN},
	};
	eventfd_t count;

	for (size_t i = 0; i < IMPORT_SOURCES_MAX; i++) {
		const struct log_feed *feed = import->sources[i].feed;

		awaited[AWAITED_FEEDS + i].fd = feed == NULL ? -1 : log_feed_fd(feed);
		awaited[AWAITED_FEEDS + i].events = POLLIN;
	}
	if (poll(awaited, AWAITED, more || import->reader_more ? 0 : TICK_MS) < 0)
		ASSERT(errno == EINTR);
	import->now_ms = clock_monotonic_ms();
	if (awaited[AWAITED_READER].revents != 0)
		import->reader_more = true;
	if (awaited[AWAITED_GROUPS].revents != 0)
		(void)eventfd_read(import->group_fd, &count);
	notice_feeds(import, &awaited[AWAITED_FEEDS]);
}

/* One turn of the loop. */
static int turn(struct import *import, bool *more, struct error *error)
{
	int rc;

	wait_for_events(import, *more);
	receive(import);
	rc = import->reader_more ? import_follow(import, error) : 0;
	if (rc != 0)
		return rc;
	import_compare(import);
	for (size_t i = 0; i < IMPORT_SOURCES_MAX; i++)
		if (import->sources[i].used)
			import_source_turn(&import->sources[i]);
	import_letters_send(import);
	*more = import_read(import);
	import_requests_turn(import);
	if (import->now_ms >= import->tick_ms) {
		import->tick_ms = import->now_ms + TICK_MS;
		import_report(import);
	}
	return 0;
}

/* What is out is waited for, so that it is committed. */
static void finish(struct import *import)
{
	int64_t end_ms = clock_monotonic_ms() + STOP_MS;

	while (import->out > 0 && clock_monotonic_ms() < end_ms) {
		struct pollfd inbox = {.fd = mailbox_fd(import->inbox), .events = POLLIN};

		(void)poll(&inbox, 1, TICK_MS);
		receive(import);
	}
	for (size_t i = 0; i < IMPORT_SOURCES_MAX; i++)
		if (import->sources[i].used)
			import_source_commit(&import->sources[i]);
}

static int open_parts(struct import *import, struct error *error)
{
	static const char *const suffixes[] = {"meta"};
	int rc;

	import->catalog = catalog_new();
	rc = import->catalog == NULL ? error_memory(error, 1)
	                             : log_connection_open(import->config, &import->connection, error);
	if (rc == 0)
		rc = log_reader_open(import->config, suffixes, 1, &import->reader, error);
	if (rc == 0)
		rc = import_requests_open(import, error);
	return rc;
}

static void close_parts(struct import *import)
{
	for (size_t i = 0; i < IMPORT_SOURCES_MAX; i++)
		if (import->sources[i].used) {
			import_source_shut(&import->sources[i]);
			import_metrics_end(&import->sources[i]);
			arena_deinit(&import->sources[i].arena);
			import->sources[i] = (struct import_source){0};
		}
	import_requests_close(import);
	log_producer_close(import->letters_producer, PRODUCER_CLOSE_MS);
	receive(import);
	log_reader_close(import->reader);
	if (import->connection != NULL)
		log_connection_close(import->connection);
	catalog_free(import->catalog);
	import->letters_producer = NULL;
	import->reader = NULL;
	import->connection = NULL;
	import->catalog = NULL;
	import->caught_up = import->catalog_changed = import->reader_more = false;
}

/* From opening to the end, or to an error of what all sources share. */
static int run_once(struct import *import, struct error *error)
{
	bool more = false;
	int rc = open_parts(import, error);

	while (rc == 0 && !atomic_load(&import->stopping))
		rc = turn(import, &more, error);
	if (rc == 0)
		finish(import);
	close_parts(import);
	return rc;
}

static void pause_for(struct import *import, int64_t pause_ms)
{
	struct pollfd stop = {.fd = import->stop_fd, .events = POLLIN};

	if (poll(&stop, 1, (int)pause_ms) < 0)
		ASSERT(errno == EINTR);
}

/* Indexes go on being fed meanwhile. What is begun again reads everything anew, and imports from what is committed. */
static void *import_run(void *context)
{
	struct import *import = context;
	int64_t pause_ms = IMPORT_RETRY_MS;

	for (;;) {
		int64_t started_ms = clock_monotonic_ms();
		struct error error = {0};
		int rc = run_once(import, &error);

		/* asked to end, maybe while it waited for Kafka */
		if (rc == 0 || rc == ERROR_STATE || atomic_load(&import->stopping))
			return NULL;
		if (clock_monotonic_ms() - started_ms > FAILED_MS_MAX)
			pause_ms = IMPORT_RETRY_MS;
		logline(LOG_LEVEL_ERROR, "import_failed", "error=\"%s\" again_in_ms=%" PRId64, error.text,
		        pause_ms);
		import_report_failure(import, &error);
		pause_for(import, pause_ms);
		pause_ms = pause_ms * 2 < FAILED_MS_MAX ? pause_ms * 2 : FAILED_MS_MAX;
	}
}

/* ---- life ---- */

static void import_free(struct import *import)
{
	if (import->stop_fd >= 0)
		(void)close(import->stop_fd);
	if (import->group_fd >= 0)
		(void)close(import->group_fd);
	mailbox_free(import->inbox);
	arena_deinit(&import->scratch);
	buffer_deinit(&import->status);
	(void)pthread_mutex_destroy(&import->status_lock);
	free(import);
}

static int open_own(struct import *import, struct error *error)
{
	import->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	import->group_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	import->inbox = mailbox_new(INBOX_MAX);
	if (import->stop_fd < 0 || import->group_fd < 0)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY, "eventfd: %s", strerror(errno));
	if (import->inbox == NULL)
		return error_memory(error, INBOX_MAX * sizeof(void *));
	if (pthread_create(&import->thread, NULL, import_run, import) != 0)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY, "no thread for the import");
	return 0;
}

int import_open(const struct config *config, const char *address, struct import **import, struct error *error)
{
	struct import *opened = calloc(1, sizeof *opened);
	int rc;

	if (opened == NULL)
		return error_memory(error, sizeof *opened);
	opened->config = config;
	(void)snprintf(opened->address, sizeof opened->address, "%s", address);
	opened->stop_fd = opened->group_fd = -1;
	(void)pthread_mutex_init(&opened->status_lock, NULL);
	arena_init(&opened->scratch, SCRATCH_BLOCK_BYTES);
	buffer_init(&opened->status, STATUS_BYTES_MAX);
	import_metrics_init(&opened->metrics);
	rc = open_own(opened, error);
	if (rc != 0) {
		import_free(opened);
		return rc;
	}
	*import = opened;
	return 0;
}

bool import_close(struct import *import)
{
	struct timespec deadline;

	if (import == NULL)
		return true;
	atomic_store(&import->stopping, true);
	(void)eventfd_write(import->stop_fd, 1);
	(void)clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += JOIN_S_MAX;
	if (pthread_timedjoin_np(import->thread, NULL, &deadline) != 0)
		return false;
	import_free(import);
	return true;
}

void import_status(struct import *import, struct buffer *body)
{
	(void)pthread_mutex_lock(&import->status_lock);
	if (import->status.len == 0)
		buffer_append_string(body,
		                     "\"import\":{\"state\":\"starting\"},\"sources\":[],\"configured\":[]");
	else
		buffer_append_slice(body, buffer_slice(&import->status));
	(void)pthread_mutex_unlock(&import->status_lock);
}
