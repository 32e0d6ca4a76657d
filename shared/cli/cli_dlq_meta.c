/* The catalog, out of the topic meta itself. */
#include "shared/cli/cli_dlq.h"
#include "shared/runtime/clock.h"

#include <sys/timerfd.h>
#include <unistd.h>

#define META_SILENCE_MS 30000
#define META_STEP_MS 200

/* Reads meta to its end. */
static int fold_meta(struct log_reader *reader, struct catalog *catalog, struct error *error)
{
	int64_t heard_ms = clock_monotonic_ms();
	enum log_event event = LOG_EVENT_NONE;
	struct error unreadable; /* the catalog remembers which */
	struct record record;
	size_t topic;

	while (event != LOG_EVENT_END) {
		int rc = log_reader_next(reader, META_STEP_MS, &event, &topic, &record, error);

		if (rc != 0)
			return rc;
		if (event == LOG_EVENT_RECORD)
			(void)catalog_apply(catalog, CATALOG_TOPIC_META, record.offset, record.key,
			                    record.value, &unreadable);
		if (event != LOG_EVENT_NONE)
			heard_ms = clock_monotonic_ms();
		else if (clock_monotonic_ms() - heard_ms >= META_SILENCE_MS)
			return error_set(error, ERROR_TIMEOUT, ERROR_ACTION_RETRY,
			                 "Kafka gave nothing more of the topic meta for %d s",
			                 META_SILENCE_MS / 1000);
	}
	return 0;
}

/* The reader waits for Kafka, but not for ever. */
int dlq_read_meta(const struct config *config, struct catalog *catalog, struct error *error)
{
	static const char *const suffixes[] = {"meta"};
	const struct itimerspec patience = {.it_value = {.tv_sec = META_SILENCE_MS / 1000}};
	struct log_reader *reader = NULL;
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	int rc;

	if (timer < 0 || timerfd_settime(timer, 0, &patience, NULL) != 0) {
		rc = error_set(error, ERROR_STATE, ERROR_ACTION_RETRY, "no timer is left");
	} else {
		log_set_stop(timer);
		rc = log_reader_open(config, suffixes, 1, &reader, error);
		log_set_stop(-1);
	}
	if (rc == 0)
		rc = fold_meta(reader, catalog, error);
	log_reader_close(reader);
	if (timer >= 0)
		(void)close(timer);
	return rc;
}
