/* What the import says of itself: JSON for GET /status, and metrics. */
#include "ingest/import_private.h"

#include "shared/json/json.h"

#include <inttypes.h>

#define PARTS_SHOWN_MAX 256 /* of one source */

static const char *const state_names[IMPORT_SOURCE_STATES] = {"importing", "paused", "waiting", "stopped"};

/* ---- metrics ---- */

void import_metrics_init(struct import_metrics *metrics)
{
	metrics->records = metric_new(METRIC_TYPE_COUNTER, "millrace_import_records_total",
	                              "Source records that became a message, a dead letter, or nothing",
	                              "source,index,outcome");
	metrics->lag =
		metric_new(METRIC_TYPE_GAUGE, "millrace_import_lag_records",
	                   "Offsets of this worker's partitions that are not imported yet", "source,index");
	metrics->progress = metric_new(METRIC_TYPE_GAUGE, "millrace_import_last_progress_timestamp_seconds",
	                               "When a record of the source was last done with", "source,index");
	metrics->states = metric_new(METRIC_TYPE_GAUGE, "millrace_import_state",
	                             "1 for the state that the source is in here", "source,index,state");
	metrics->running = metric_series(
		metric_new(METRIC_TYPE_GAUGE, "millrace_import_running",
	                   "0 while nothing is imported for an error of what all sources share", ""),
		(const char *const[]){NULL});
	metrics->differing =
		metric_new(METRIC_TYPE_GAUGE, "millrace_import_differing",
	                   "1 while other rules are recorded than the configuration has", "source,index");
}

static struct series *outcome(const struct import_source *source, const char *name)
{
	return metric_series(source->import->metrics.records,
	                     (const char *const[]){source->record.name, source->uid, name});
}

void import_metrics_source(struct import_source *source)
{
	const char *const labels[] = {source->record.name, source->uid};

	source->counts.imported_total = outcome(source, "imported");
	source->counts.ignored_total = outcome(source, "ignored");
	source->counts.dead_lettered_total = outcome(source, "dead_lettered");
	source->counts.lag = metric_series(source->import->metrics.lag, labels);
	source->counts.progress = metric_series(source->import->metrics.progress, labels);
	for (size_t i = 0; i < IMPORT_SOURCE_STATES; i++)
		source->counts.states[i] =
			metric_series(source->import->metrics.states,
		                      (const char *const[]){labels[0], labels[1], state_names[i]});
}

void import_metrics_end(struct import_source *source)
{
	series_set(source->counts.lag, 0);
	for (size_t i = 0; i < IMPORT_SOURCE_STATES; i++)
		series_set(source->counts.states[i], 0);
}

/* ---- status ---- */

static void append_text(struct buffer *body, const char *name, const char *text)
{
	buffer_printf(body, "\"%s\":", name);
	json_append_string(body, slice_string(text));
}

static int64_t lag_of(const struct import_part *part)
{
	if (part->track.state == IMPORT_TRACK_ASKING || part->log_end < part->track.point.offset)
		return 0;
	return part->log_end - part->track.point.offset;
}

static const char *state_of_part(const struct import_part *part)
{
	if (part->track.state == IMPORT_TRACK_STOPPED)
		return "stopped";
	return part->trouble[0] != 0 || part->track.state == IMPORT_TRACK_ASKING ? "waiting" : "importing";
}

static void append_part(struct buffer *body, const struct import_part *part)
{
	const struct import_track *track = &part->track;

	buffer_append_string(body, "{");
	append_text(body, "topic", part->place.topic);
	buffer_printf(body,
	              ",\"partition\":%" PRId32 ",\"state\":\"%s\",\"position\":%" PRId64
	              ",\"committed\":%" PRId64 ",\"lag\":%" PRId64,
	              part->place.partition, state_of_part(part),
	              track->state == IMPORT_TRACK_ASKING ? -1 : track->position, track->committed,
	              lag_of(part));
	if (track->state == IMPORT_TRACK_STOPPED || part->trouble[0] != 0) {
		buffer_append_string(body, ",");
		append_text(body, "reason",
		            track->state == IMPORT_TRACK_STOPPED ? track->reason : part->trouble);
	}
	buffer_append_string(body, "}");
}

/* What all its partitions are. */
struct summary {
	size_t parts;
	size_t stopped;
	size_t waiting;
	int64_t lag;
};

static struct summary summarize(const struct import_source *source)
{
	const struct import *import = source->import;
	struct summary summary = {0};

	for (uint32_t i = 0; i < import->parts_end; i++) {
		const struct import_part *part = import->parts[i];

		if (part == NULL || part->source != source)
			continue;
		summary.parts++;
		summary.stopped += part->track.state == IMPORT_TRACK_STOPPED;
		summary.waiting += part->trouble[0] != 0;
		summary.lag += lag_of(part);
	}
	return summary;
}

static enum import_source_state state_of(const struct import_source *source, const struct summary *summary,
                                         const char *trouble)
{
	if (source->record.paused)
		return IMPORT_SOURCE_PAUSED;
	if (source->mapping == NULL || summary->stopped > 0)
		return IMPORT_SOURCE_STOPPED;
	return trouble[0] != 0 || summary->waiting > 0 ? IMPORT_SOURCE_WAITING : IMPORT_SOURCE_IMPORTING;
}

static void append_parts(struct buffer *body, const struct import_source *source)
{
	const struct import *import = source->import;
	size_t shown = 0;

	buffer_append_string(body, ",\"partitions\":[");
	for (uint32_t i = 0; i < import->parts_end && shown < PARTS_SHOWN_MAX; i++) {
		if (import->parts[i] == NULL || import->parts[i]->source != source)
			continue;
		buffer_append_string(body, shown++ > 0 ? "," : "");
		append_part(body, import->parts[i]);
	}
	buffer_append_string(body, "]");
}

static void append_source(struct buffer *body, const struct import_source *source)
{
	const struct source_record *record = &source->record;
	const struct import_counts *counts = &source->counts;
	struct summary summary = summarize(source);
	const char *trouble = source->trouble[0] != 0
	                              ? source->trouble
	                              : (source->group != NULL ? log_import_trouble(source->group) : "");
	enum import_source_state state = state_of(source, &summary, trouble);

	buffer_append_string(body, "{");
	append_text(body, "name", record->name);
	buffer_append_string(body, ",");
	append_text(body, "index", source->uid);
	buffer_printf(body, ",\"index_id\":\"%016" PRIx64 "\",", source->index_id);
	append_text(body, record->topic[0] != 0 ? "topic" : "pattern",
	            record->topic[0] != 0 ? record->topic : record->pattern);
	buffer_printf(body,
	              ",\"life\":%" PRIu32 ",\"state\":\"%s\",\"imported\":%" PRIu64 ",\"ignored\":%" PRIu64
	              ",\"dead_lettered\":%" PRIu64 ",\"lag\":%" PRId64 ",\"last_progress_ms\":%" PRId64
	              ",\"partitions_owned\":%zu",
	              record->life, state_names[state], counts->imported, counts->ignored,
	              counts->dead_lettered, summary.lag, counts->progress_ms, summary.parts);
	if (trouble[0] != 0) {
		buffer_append_string(body, ",");
		append_text(body, "reason", trouble);
	}
	append_parts(body, source);
	buffer_append_string(body, "}");
	series_set(counts->lag, (double)summary.lag);
	series_set(counts->progress, (double)counts->progress_ms / 1000);
	for (size_t i = 0; i < IMPORT_SOURCE_STATES; i++)
		series_set(counts->states[i], i == state);
}

void import_report(struct import *import)
{
	bool first = true;

	(void)pthread_mutex_lock(&import->status_lock);
	buffer_clear(&import->status);
	buffer_append_string(&import->status, "\"import\":{\"state\":\"running\"},\"sources\":[");
	series_set(import->metrics.running, 1);
	for (size_t i = 0; i < IMPORT_SOURCES_MAX; i++) {
		if (!import->sources[i].used)
			continue;
		buffer_append_string(&import->status, first ? "" : ",");
		first = false;
		append_source(&import->status, &import->sources[i]);
	}
	buffer_append_string(&import->status, "]");
	import_requests_append(import, &import->status);
	if (buffer_failed(&import->status))
		buffer_clear(&import->status);
	(void)pthread_mutex_unlock(&import->status_lock);
}

void import_report_failure(struct import *import, const struct error *error)
{
	series_set(import->metrics.running, 0);
	(void)pthread_mutex_lock(&import->status_lock);
	buffer_clear(&import->status);
	buffer_append_string(&import->status, "\"import\":{\"state\":\"failed\",");
	append_text(&import->status, "reason", error->text);
	buffer_append_string(&import->status, "},\"sources\":[],\"configured\":[]");
	(void)pthread_mutex_unlock(&import->status_lock);
}
