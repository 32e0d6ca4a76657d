/* Reading the dead-letter topic to its end, and saying on stderr how far that is. */
#include "shared/cli/cli_dlq.h"
#include "shared/cli/cli_progress.h"
#include "shared/runtime/clock.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#define ASK_MS 10000
#define WAIT_MS 200
#define SETTING_MS 5000

/* ---- the topic ---- */

static int ask_ends(struct dlq *dlq, struct error *error)
{
	int32_t numbers[DLQ_PARTITIONS_MAX];
	const struct log_partitions asked = {dlq->topic, numbers, (size_t)dlq->partitions};

	for (int32_t i = 0; i < dlq->partitions; i++)
		numbers[i] = i;
	return log_ask_all_ends(dlq->connection, &asked, ASK_MS, dlq->ends, error);
}

int dlq_open(struct dlq *dlq, const struct config *config, struct error *error)
{
	int rc;

	*dlq = (struct dlq){.config = config};
	rc = log_connection_open(config, &dlq->connection, error);
	if (rc != 0)
		return rc;
	dlq->topic = log_name(dlq->connection, "dead-letter");
	rc = log_topic_partitions(dlq->connection, dlq->topic, ASK_MS, &dlq->partitions, error);
	if (rc == ERROR_NOT_FOUND)
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT,
		                 "there is no topic %s; millrace-rebalance creates it, is `cluster` right?",
		                 dlq->topic);
	if (rc != 0)
		return rc;
	if (dlq->partitions > DLQ_PARTITIONS_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "topic %s has %" PRId32 " partitions, at most %d can be read", dlq->topic,
		                 dlq->partitions, DLQ_PARTITIONS_MAX);
	dlq->ends = calloc((size_t)dlq->partitions, sizeof *dlq->ends);
	if (dlq->ends == NULL)
		return error_memory(error, (size_t)dlq->partitions * sizeof *dlq->ends);
	rc = ask_ends(dlq, error);
	return rc != 0 ? rc : log_feed_open(config, &dlq->feed, error);
}

int dlq_open_log(struct dlq *log, const struct index_record *index, struct error *error)
{
	int32_t partitions;
	int rc = log_topic_partitions(log->connection, index->topic, ASK_MS, &partitions, error);

	if (rc == ERROR_NOT_FOUND)
		return error_set(error, rc, ERROR_ACTION_REJECT,
		                 "the index's log, topic %s, is not in this Kafka any more", index->topic);
	if (rc != 0)
		return rc;
	if (partitions < index->partitions)
		return error_set(error, ERROR_STATE, ERROR_ACTION_REJECT,
		                 "topic %s has %" PRId32 " partitions, the index has %" PRId32, index->topic,
		                 partitions, index->partitions);
	log->topic = index->topic;
	log->partitions = index->partitions;
	log->ends = calloc((size_t)log->partitions, sizeof *log->ends);
	if (log->ends == NULL)
		return error_memory(error, (size_t)log->partitions * sizeof *log->ends);
	rc = ask_ends(log, error);
	return rc != 0 ? rc : log_feed_open(log->config, &log->feed, error);
}

void dlq_close(struct dlq *dlq)
{
	log_feed_close(dlq->feed);
	if (dlq->connection != NULL)
		log_connection_close(dlq->connection);
	free(dlq->ends);
}

/* ---- reading ---- */

/* One range being read. */
struct passage {
	struct dlq *dlq;
	const struct dlq_range *range;
	dlq_take *take;
	void *context;
	struct cli_progress *progress; /* NULL: none */
	int64_t base;                  /* offsets of the partitions before */
	int64_t position;
	int64_t heard_ms;
};

static int passage_start(const struct passage *passage, struct error *error)
{
	return log_feed_start(passage->dlq->feed, 0, passage->dlq->topic, passage->range->partition,
	                      passage->position, error);
}

/* Reading stopped: a lost connection lets it begin again where it stood, retention takes it on to the log start. */
static int passage_reset(struct passage *passage, struct error *error)
{
	struct dlq *dlq = passage->dlq;
	int rc = 0;

	if (error->action == ERROR_ACTION_FATAL) {
		int64_t start;

		rc = ask_ends(dlq, error);
		if (rc != 0)
			return rc;
		start = dlq->ends[passage->range->partition].start;
		if (start <= passage->position)
			return error_set(error, ERROR_STATE, ERROR_ACTION_REJECT,
			                 "%s/%" PRId32 " no longer has offset %" PRId64
			                 ": the topic was truncated or re-created",
			                 dlq->topic, passage->range->partition, passage->position);
		passage->position = start;
	}
	return passage_start(passage, error);
}

static int passage_wait(const struct passage *passage, struct error *error)
{
	struct pollfd readable = {.fd = log_feed_fd(passage->dlq->feed), .events = POLLIN};
	eventfd_t count;

	if (poll(&readable, 1, WAIT_MS) > 0)
		(void)eventfd_read(readable.fd, &count);
	if (clock_monotonic_ms() - passage->heard_ms < DLQ_SILENCE_MS)
		return 0;
	return error_set(error, ERROR_TIMEOUT, ERROR_ACTION_RETRY,
	                 "Kafka gave nothing of %s/%" PRId32 " from offset %" PRId64 " on for %d s",
	                 passage->dlq->topic, passage->range->partition, passage->position,
	                 DLQ_SILENCE_MS / 1000);
}

/* The next thing that the feed has. */
static int passage_step(struct passage *passage, struct error *error)
{
	enum log_feed_event event;
	struct record record;
	int64_t position = passage->position;
	int rc = log_feed_next(passage->dlq->feed, 0, &event, &record, &position, error);

	if (rc != 0)
		return rc;
	switch (event) {
	case LOG_FEED_EVENT_NONE:
		return passage_wait(passage, error);
	case LOG_FEED_EVENT_RESET:
		return passage_reset(passage, error);
	case LOG_FEED_EVENT_GONE:
		return error->code;
	case LOG_FEED_EVENT_RECORD:
		if (record.offset < passage->range->to)
			rc = passage->take(passage->context, passage->range->partition, &record, error);
		break;
	case LOG_FEED_EVENT_END:
		break;
	}
	passage->position = position;
	passage->heard_ms = clock_monotonic_ms();
	return rc;
}

static int passage_read(struct passage *passage, struct error *error)
{
	int rc;

	passage->position = passage->range->from;
	passage->heard_ms = clock_monotonic_ms();
	rc = passage_start(passage, error);
	while (rc == 0 && passage->position < passage->range->to) {
		rc = passage_step(passage, error);
		if (passage->progress != NULL) {
			passage->progress->reached = passage->base + passage->position - passage->range->from;
			cli_progress_show(passage->progress);
		}
	}
	log_feed_stop(passage->dlq->feed, 0);
	return rc;
}

int dlq_read(struct dlq *dlq, const struct dlq_range *range, dlq_take *take, void *context,
             struct error *error)
{
	struct passage passage = {.dlq = dlq, .range = range, .take = take, .context = context};

	return passage_read(&passage, error);
}

/* Partition `first` and those behind it, before `end`. */
static int read_partitions(struct dlq *dlq, int32_t first, int32_t end, struct passage *passage,
                           struct error *error)
{
	struct cli_progress progress;
	char what[TOPIC_BYTES_MAX + 16];
	int rc = 0;

	(void)snprintf(what, sizeof what, "offsets of %s", dlq->topic);
	cli_progress_begin(&progress, what);
	for (int32_t i = first; i < end; i++)
		progress.total += dlq->ends[i].end - dlq->ends[i].start;
	passage->dlq = dlq;
	passage->progress = &progress;
	passage->base = 0;
	for (int32_t i = first; rc == 0 && i < end; i++) {
		const struct dlq_range range = {i, dlq->ends[i].start, dlq->ends[i].end};

		passage->range = &range;
		rc = passage_read(passage, error);
		passage->base += range.to - range.from;
	}
	cli_progress_end(&progress);
	return rc;
}

int dlq_read_all(struct dlq *dlq, dlq_take *take, void *context, struct error *error)
{
	struct passage passage = {.take = take, .context = context};

	return read_partitions(dlq, 0, dlq->partitions, &passage, error);
}

/* ---- chosen ones ---- */

static int say_no_partition(const struct dlq *dlq, int32_t partition, struct error *error)
{
	return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT,
	                 "%s has %" PRId32 " partition%s, and none with number %" PRId32, dlq->topic,
	                 dlq->partitions, dlq->partitions == 1 ? "" : "s", partition);
}

static int say_expired(struct dlq *dlq, int32_t partition, int64_t offset, struct error *error)
{
	const struct log_ends *ends = &dlq->ends[partition];
	struct error ignored;
	char retention[128];

	if (log_topic_setting(dlq->connection, dlq->topic, "retention.ms", SETTING_MS, retention, &ignored) !=
	    0)
		(void)snprintf(retention, sizeof retention, "unknown");
	if (ends->start == ends->end)
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT,
		                 "%" PRId32 "@%" PRId64
		                 " has left %s, which is empty now (its retention.ms is %s)",
		                 partition, offset, dlq->topic, retention);
	return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT,
	                 "%" PRId32 "@%" PRId64 " has left %s, whose oldest dead letter is %" PRId32
	                 "@%" PRId64 " (its retention.ms is %s)",
	                 partition, offset, dlq->topic, partition, ends->start, retention);
}

int dlq_check_place(struct dlq *dlq, int32_t partition, int64_t offset, struct error *error)
{
	if (partition >= dlq->partitions)
		return say_no_partition(dlq, partition, error);
	if (offset < dlq->ends[partition].start)
		return say_expired(dlq, partition, offset, error);
	if (offset >= dlq->ends[partition].end)
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT,
		                 "there is no %" PRId32 "@%" PRId64 " yet: the next dead letter will be "
		                 "%" PRId32 "@%" PRId64,
		                 partition, offset, partition, dlq->ends[partition].end);
	return 0;
}

int dlq_read_chosen(struct dlq *dlq, const struct dlq_choice *choice, dlq_take *take, void *context,
                    struct error *error)
{
	struct passage passage = {.take = take, .context = context};
	const struct dlq_range range = {choice->partition, choice->offset, choice->offset + 1};
	int rc;

	if (!choice->placed && !choice->of_partition)
		return dlq_read_all(dlq, take, context, error);
	if (choice->partition >= dlq->partitions)
		return say_no_partition(dlq, choice->partition, error);
	if (!choice->placed)
		return read_partitions(dlq, choice->partition, choice->partition + 1, &passage, error);
	rc = dlq_check_place(dlq, choice->partition, choice->offset, error);
	return rc != 0 ? rc : dlq_read(dlq, &range, take, context, error);
}
