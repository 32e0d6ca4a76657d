#include "shared/runtime/metrics.h"

#include "shared/base/assert.h"
#include "shared/base/map.h"
#include "shared/runtime/clock.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define LABELS_MAX 8

static const double bucket_bounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                       0.25,   0.5,   1,      2.5,   5,    10,    30};
#define BUCKETS (sizeof bucket_bounds / sizeof bucket_bounds[0])

struct series {
	struct series *next;
	char *labels;                      /* `{a="x",b="y"}`, "" without labels; the map's key */
	_Atomic uint64_t count;            /* counter, and a histogram's number of observations */
	_Atomic double value;              /* gauge */
	_Atomic uint64_t sum_ns;           /* histogram */
	_Atomic uint64_t buckets[BUCKETS]; /* each alone; summed up when printed */
};

struct metric {
	struct metric *next;
	enum metric_type type;
	const char *name;
	const char *help;
	const char *labels[LABELS_MAX];
	size_t label_lens[LABELS_MAX];
	size_t labels_len;
	struct map by_labels; /* to struct series * */
	struct series *first;
	struct series *last;
};

/* Guards the list of metrics and each metric's list and map; series are updated without it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric *first_metric;
static struct metric **metrics_end = &first_metric;

static void split_labels(struct metric *metric, const char *labels)
{
	while (*labels != 0) {
		size_t len = strcspn(labels, ",");

		ASSERT(metric->labels_len < LABELS_MAX && len > 0);
		metric->labels[metric->labels_len] = labels;
		metric->label_lens[metric->labels_len++] = len;
		labels += len + (labels[len] == ',');
	}
}

struct metric *metric_new(enum metric_type type, const char *name, const char *help, const char *labels)
{
	struct metric *metric;

	(void)pthread_mutex_lock(&lock);
	for (metric = first_metric; metric != NULL; metric = metric->next)
		if (strcmp(metric->name, name) == 0)
			break;
	if (metric == NULL) {
		metric = calloc(1, sizeof *metric);
		ASSERT(metric != NULL);
		metric->type = type;
		metric->name = name;
		metric->help = help;
		split_labels(metric, labels);
		map_init(&metric->by_labels);
		*metrics_end = metric;
		metrics_end = &metric->next;
	}
	ASSERT(metric->type == type);
	(void)pthread_mutex_unlock(&lock);
	return metric;
}

static void append_label_value(struct buffer *buffer, const char *value)
{
	for (; *value != 0; value++) {
		if (*value == '\\' || *value == '"')
			buffer_put_u8(buffer, '\\');
		if (*value == '\n')
			buffer_append_string(buffer, "\\n");
		else
			buffer_put_u8(buffer, (uint8_t)*value);
	}
}

/* values NULL: all "other". */
static void append_labels(struct buffer *buffer, const struct metric *metric, const char *const *values)
{
	for (size_t i = 0; i < metric->labels_len; i++) {
		buffer_append_string(buffer, i == 0 ? "{" : ",");
		buffer_append(buffer, metric->labels[i], metric->label_lens[i]);
		buffer_append_string(buffer, "=\"");
		append_label_value(buffer, values == NULL ? "other" : values[i]);
		buffer_append_string(buffer, "\"");
	}
	buffer_append(buffer, metric->labels_len == 0 ? "" : "}", metric->labels_len == 0 ? 1 : 2);
}

static struct series *series_find(struct metric *metric, const char *const *values)
{
	struct series *series = NULL;
	struct buffer labels;
	uint64_t *found;

	buffer_init(&labels, SIZE_MAX / 2);
	append_labels(&labels, metric, values);
	ASSERT(!buffer_failed(&labels));
	found = map_get(&metric->by_labels, buffer_slice(&labels));
	if (found != NULL) {
		series = (struct series *)(uintptr_t)*found;
	} else if (values == NULL || metric->by_labels.count < METRIC_SERIES_MAX) {
		size_t len;

		series = calloc(1, sizeof *series);
		ASSERT(series != NULL);
		series->labels = (char *)buffer_take(&labels, &len);
		ASSERT(map_put(&metric->by_labels, slice_of(series->labels, len), (uintptr_t)series));
		if (metric->last == NULL)
			metric->first = series;
		else
			metric->last->next = series;
		metric->last = series;
	}
	buffer_deinit(&labels);
	return series;
}

struct series *metric_series(struct metric *metric, const char *const *values)
{
	static const char *const none[1] = {NULL};
	struct series *series;

	(void)pthread_mutex_lock(&lock);
	series = series_find(metric, metric->labels_len == 0 ? none : values);
	if (series == NULL)
		series = series_find(metric, NULL);
	(void)pthread_mutex_unlock(&lock);
	return series;
}

void series_add(struct series *series, uint64_t n)
{
	atomic_fetch_add_explicit(&series->count, n, memory_order_relaxed);
}

void series_set(struct series *series, double value)
{
	atomic_store_explicit(&series->value, value, memory_order_relaxed);
}

void series_observe(struct series *series, double value)
{
	size_t bucket = 0;

	while (bucket < BUCKETS && value > bucket_bounds[bucket])
		bucket++;
	if (bucket < BUCKETS)
		atomic_fetch_add_explicit(&series->buckets[bucket], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&series->count, 1, memory_order_relaxed);
	if (value > 0 && value < 1e9)
		atomic_fetch_add_explicit(&series->sum_ns, (uint64_t)(value * 1e9), memory_order_relaxed);
}

static void print_bucket(struct buffer *buffer, const struct metric *metric, const struct series *series,
                         const char *bound, uint64_t count)
{
	int inner = (int)strlen(series->labels) - 2; /* without the braces */

	if (inner > 0)
		buffer_printf(buffer, "%s_bucket{%.*s,le=\"%s\"} %" PRIu64 "\n", metric->name, inner,
		              series->labels + 1, bound, count);
	else
		buffer_printf(buffer, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", metric->name, bound, count);
}

static void print_histogram(struct buffer *buffer, const struct metric *metric, struct series *series)
{
	/* read first, so that no bucket exceeds it by more than what came meanwhile */
	uint64_t count = atomic_load(&series->count);
	uint64_t sum = 0;
	char bound[32];

	for (size_t i = 0; i < BUCKETS; i++) {
		sum += atomic_load(&series->buckets[i]);
		(void)snprintf(bound, sizeof bound, "%g", bucket_bounds[i]);
		print_bucket(buffer, metric, series, bound, sum);
	}
	if (count < sum)
		count = sum;
	print_bucket(buffer, metric, series, "+Inf", count);
	buffer_printf(buffer, "%s_sum%s %.9f\n%s_count%s %" PRIu64 "\n", metric->name, series->labels,
	              (double)atomic_load(&series->sum_ns) / 1e9, metric->name, series->labels, count);
}

static void print_metric(struct buffer *buffer, const struct metric *metric)
{
	static const char *const types[] = {[METRIC_TYPE_COUNTER] = "counter",
	                                    [METRIC_TYPE_GAUGE] = "gauge",
	                                    [METRIC_TYPE_HISTOGRAM] = "histogram"};

	buffer_printf(buffer, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
	              types[metric->type]);
	for (struct series *series = metric->first; series != NULL; series = series->next) {
		if (metric->type == METRIC_TYPE_HISTOGRAM)
			print_histogram(buffer, metric, series);
		else if (metric->type == METRIC_TYPE_GAUGE)
			buffer_printf(buffer, "%s%s %.17g\n", metric->name, series->labels,
			              atomic_load(&series->value));
		else
			buffer_printf(buffer, "%s%s %" PRIu64 "\n", metric->name, series->labels,
			              atomic_load(&series->count));
	}
}

static double seconds_of(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static long resident_pages(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long size;
	long resident = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%ld %ld", &size, &resident) != 2)
		resident = 0;
	(void)fclose(file);
	return resident;
}

static long open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	long count = -3; /* ".", ".." and the directory's own */

	if (directory == NULL)
		return 0;
	while (readdir(directory) != NULL)
		count++;
	(void)closedir(directory);
	return count;
}

/* Wall clock in seconds when the kernel started this process: field 22 of /proc/self/stat. */
static double start_time(void)
{
	FILE *file = fopen("/proc/self/stat", "re");
	unsigned long long ticks = 0;
	double uptime_s = (double)clock_monotonic_ms() / 1000; /* since boot, without suspension */
	char line[1024] = "";
	const char *at;

	if (file == NULL)
		return 0;
	at = fgets(line, sizeof line, file) == NULL ? NULL : strrchr(line, ')');
	(void)fclose(file);
	for (int field = 2; at != NULL && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at != NULL)
		ticks = strtoull(at + 1, NULL, 10);
	return (double)clock_wall_ms() / 1000 - uptime_s + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static void print_process(struct buffer *buffer)
{
	struct rusage usage = {0};

	(void)getrusage(RUSAGE_SELF, &usage);
	buffer_printf(buffer,
	              "# HELP process_resident_memory_bytes Resident memory.\n"
	              "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes %ld\n"
	              "# HELP process_cpu_seconds_total Time of all CPUs, in the kernel too.\n"
	              "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total %.6f\n"
	              "# HELP process_open_fds Open file descriptors.\n"
	              "# TYPE process_open_fds gauge\nprocess_open_fds %ld\n"
	              "# HELP process_start_time_seconds When the process started, since 1970.\n"
	              "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %.2f\n"
	              "# HELP millrace_build_info The version, as a label.\n"
	              "# TYPE millrace_build_info gauge\nmillrace_build_info{version=\"%s\"} 1\n",
	              resident_pages() * sysconf(_SC_PAGESIZE),
	              seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime), open_descriptors(),
	              start_time(), MILLRACE_VERSION);
}

void metrics_print(struct buffer *buffer)
{
	(void)pthread_mutex_lock(&lock);
	for (const struct metric *metric = first_metric; metric != NULL; metric = metric->next)
		print_metric(buffer, metric);
	(void)pthread_mutex_unlock(&lock);
	print_process(buffer);
}
