/*
 * Metrics: counters, gauges and histograms in Prometheus' text format.
 *
 * A metric is declared once at start (name, help, type, label names) and has
 * at most METRIC_SERIES_MAX label sets; further ones are counted under the
 * label values "other". Names begin with millrace_, counters end in _total,
 * durations are in seconds. Updating is lock-free on a series pointer that
 * stays valid for the life of the process; look it up once, not a record.
 * Thread-safe.
 */
#ifndef MILLRACE_RUNTIME_METRICS_H
#define MILLRACE_RUNTIME_METRICS_H

#include "shared/base/buffer.h"

#define METRIC_SERIES_MAX 4096

enum metric_type {
	METRIC_TYPE_COUNTER = 1,
	METRIC_TYPE_GAUGE,
	METRIC_TYPE_HISTOGRAM
};

struct metric;
struct series;

/* `labels` is a comma-separated list of label names, "" for none; all strings static. Never fails:
 * a program that cannot allocate at start aborts. Histograms have the buckets 0.5 ms … 30 s. */
struct metric *metric_new(enum metric_type type, const char *name, const char *help, const char *labels);
/* The series for these label values (as many as labels), created at 0. Values are copied. */
struct series *metric_series(struct metric *metric, const char *const *values);
void series_add(struct series *series, uint64_t n);       /* counter */
void series_set(struct series *series, double value);     /* gauge */
void series_observe(struct series *series, double value); /* histogram; seconds */
/* Every metric of the process, plus process_resident_memory_bytes, process_cpu_seconds_total,
 * process_open_fds, process_start_time_seconds and millrace_build_info. */
void metrics_print(struct buffer *buffer);

#endif
