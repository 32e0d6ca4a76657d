#include "rebalance/old_log.h"

#include "shared/runtime/clock.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define ASK_MS 2000
#define WAIT_MS 20
#define ARENA_BLOCK_BYTES (64U * 1024)

struct old_log {
	const struct config *config;
	struct index_record index; /* without its lists */
	struct log_feed *feed;     /* NULL: everything that was there is read */
	struct arena arena;
	struct log_ends ends[INDEX_PARTITIONS_MAX];
	int64_t positions[INDEX_PARTITIONS_MAX];
};

int old_log_new(const struct config *config, const struct index_record *index, struct old_log **log,
                struct error *error)
{
	struct old_log *made = calloc(1, sizeof *made);

	if (made == NULL)
		return error_memory(error, sizeof *made);
	made->config = config;
	made->index = *index;
	made->index.base = NULL;
	made->index.sources = NULL;
	made->index.sources_len = 0;
	/* an origin is one by whichever contract its record is read */
	made->index.rules.contract = rules_default().contract;
	memcpy(made->positions, index->base, (size_t)index->partitions * sizeof made->positions[0]);
	arena_init(&made->arena, ARENA_BLOCK_BYTES);
	*log = made;
	return 0;
}

static void close_feed(struct old_log *log)
{
	if (log->feed != NULL)
		log_feed_close(log->feed);
	log->feed = NULL;
}

void old_log_free(struct old_log *log)
{
	if (log == NULL)
		return;
	close_feed(log);
	arena_deinit(&log->arena);
	free(log);
}

static int ask_ends(struct old_log *log, struct log_connection *connection, struct error *error)
{
	int32_t numbers[INDEX_PARTITIONS_MAX];
	const struct log_partitions asked = {log->index.topic, numbers, (size_t)log->index.partitions};

	for (int32_t p = 0; p < log->index.partitions; p++)
		numbers[p] = p;
	return log_ask_all_ends(connection, &asked, ASK_MS, log->ends, error);
}

static int64_t left(const struct old_log *log)
{
	int64_t sum = 0;

	for (int32_t p = 0; p < log->index.partitions; p++)
		if (log->positions[p] < log->ends[p].end)
			sum += log->ends[p].end - log->positions[p];
	return sum;
}

static int open_feed(struct old_log *log, struct error *error)
{
	int rc = log_feed_open(log->config, &log->feed, error);

	for (int32_t p = 0; rc == 0 && p < log->index.partitions; p++) {
		if (log->positions[p] < log->ends[p].start)
			log->positions[p] = log->ends[p].start;
		rc = log_feed_start(log->feed, (uint32_t)p, log->index.topic, p, log->positions[p], error);
	}
	return rc;
}

/* What would not be applied is not lost: it is a dead letter. */
static int show_record(struct old_log *log, int32_t partition, const struct record *record,
                       old_log_show *show, void *context)
{
	const struct record_place place = {&log->index.rules, log->index.partitioner, partition,
	                                   log->index.partitions, slice_string(log->index.primary_key)};
	struct refusal refusal;
	struct op op;

	arena_clear(&log->arena);
	switch (record_decode(record, &place, &log->arena, &op, &refusal)) {
	case RECORD_VERDICT_APPLY:
		show(context, &op);
		return 0;
	case RECORD_VERDICT_REFUSE:
		return 0;
	case RECORD_VERDICT_MEMORY:
		break;
	}
	return -1;
}

static int read_partition(struct old_log *log, int32_t partition, int64_t deadline_ms, old_log_show *show,
                          void *context, struct error *error)
{
	enum log_feed_event event = LOG_FEED_EVENT_RECORD;
	struct record record;
	int64_t position;

	while (clock_monotonic_ms() < deadline_ms) {
		int rc = log_feed_next(log->feed, (uint32_t)partition, &event, &record, &position, error);

		if (rc != 0)
			return rc;
		if (event == LOG_FEED_EVENT_NONE)
			return 0;
		if (event == LOG_FEED_EVENT_RESET || event == LOG_FEED_EVENT_GONE)
			return error->code;
		if (event == LOG_FEED_EVENT_RECORD &&
		    show_record(log, partition, &record, show, context) != 0)
			return error_memory(error, record.value.len);
		if (log->positions[partition] < position)
			log->positions[partition] = position;
	}
	return 0;
}

static int read_some(struct old_log *log, old_log_show *show, void *context, struct error *error)
{
	int64_t deadline_ms = clock_monotonic_ms() + OLD_LOG_READ_MS;
	int rc = 0;

	while (rc == 0 && left(log) > 0 && clock_monotonic_ms() < deadline_ms) {
		eventfd_t count;
		struct pollfd arrived = {.fd = log_feed_fd(log->feed), .events = POLLIN};

		for (int32_t p = 0; rc == 0 && p < log->index.partitions; p++)
			if (log->positions[p] < log->ends[p].end)
				rc = read_partition(log, p, deadline_ms, show, context, error);
		if (rc == 0 && left(log) > 0)
			(void)poll(&arrived, 1, WAIT_MS);
		(void)eventfd_read(arrived.fd, &count);
	}
	return rc;
}

int old_log_read(struct old_log *log, struct log_connection *connection, old_log_show *show, void *context,
                 int64_t *remaining, struct error *error)
{
	int rc = ask_ends(log, connection, error);

	if (rc == 0 && left(log) > 0 && log->feed == NULL)
		rc = open_feed(log, error);
	if (rc == 0 && log->feed != NULL)
		rc = read_some(log, show, context, error);
	if (rc != 0 || left(log) == 0)
		close_feed(log);
	if (rc == 0)
		*remaining = left(log);
	return rc;
}
