/*
 * Metrics: the text that Prometheus reads, and updates from several threads.
 */
#include "shared/runtime/metrics.h"

#include "tests/unit/suite.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 4
#define ROUNDS 50000

static struct buffer text;

/* Prints all metrics; true if `line` is one of the lines. */
static bool printed(const char *line)
{
	size_t len = strlen(line);
	const char *at;

	buffer_clear(&text);
	metrics_print(&text);
	buffer_put_u8(&text, 0);
	CU_ASSERT_FALSE_FATAL(buffer_failed(&text));
	for (at = (const char *)text.ptr; (at = strstr(at, line)) != NULL; at++)
		if ((at == (const char *)text.ptr || at[-1] == '\n') && at[len] == '\n')
			return true;
	printf("\nno line: %s\n", line);
	return false;
}

static void test_counter_and_gauge(void)
{
	struct metric *counter =
		metric_new(METRIC_TYPE_COUNTER, "millrace_test_total", "Things.", "route,status");
	struct metric *gauge = metric_new(METRIC_TYPE_GAUGE, "millrace_test_level", "A level.", "");
	const char *values[] = {"/a \"b\"\\\n", "200"};
	struct series *series = metric_series(counter, values);

	CU_ASSERT_PTR_EQUAL(metric_series(counter, values), series);
	CU_ASSERT_PTR_EQUAL(metric_new(METRIC_TYPE_COUNTER, "millrace_test_total", "Things.", "route,status"),
	                    counter);
	CU_ASSERT_TRUE(printed("millrace_test_total{route=\"/a \\\"b\\\"\\\\\\n\",status=\"200\"} 0"));
	series_add(series, 41);
	series_add(series, 1);
	CU_ASSERT_TRUE(printed("millrace_test_total{route=\"/a \\\"b\\\"\\\\\\n\",status=\"200\"} 42"));
	CU_ASSERT_TRUE(printed("# HELP millrace_test_total Things."));
	CU_ASSERT_TRUE(printed("# TYPE millrace_test_total counter"));
	series_set(metric_series(gauge, NULL), -2.5);
	CU_ASSERT_TRUE(printed("millrace_test_level -2.5"));
	CU_ASSERT_TRUE(printed("# TYPE millrace_test_level gauge"));
}

static void test_histogram(void)
{
	struct metric *metric = metric_new(METRIC_TYPE_HISTOGRAM, "millrace_test_seconds", "Time.", "phase");
	struct metric *plain = metric_new(METRIC_TYPE_HISTOGRAM, "millrace_plain_seconds", "Time.", "");
	const char *values[] = {"all"};
	struct series *series = metric_series(metric, values);

	series_observe(series, 0.0005); /* a bound belongs to its bucket */
	series_observe(series, 0.00051);
	series_observe(series, 30);
	series_observe(series, 31);
	CU_ASSERT_TRUE(printed("millrace_test_seconds_bucket{phase=\"all\",le=\"0.0005\"} 1"));
	CU_ASSERT_TRUE(printed("millrace_test_seconds_bucket{phase=\"all\",le=\"0.001\"} 2"));
	CU_ASSERT_TRUE(printed("millrace_test_seconds_bucket{phase=\"all\",le=\"10\"} 2"));
	CU_ASSERT_TRUE(printed("millrace_test_seconds_bucket{phase=\"all\",le=\"30\"} 3"));
	CU_ASSERT_TRUE(printed("millrace_test_seconds_bucket{phase=\"all\",le=\"+Inf\"} 4"));
	CU_ASSERT_TRUE(printed("millrace_test_seconds_sum{phase=\"all\"} 61.001010000"));
	CU_ASSERT_TRUE(printed("millrace_test_seconds_count{phase=\"all\"} 4"));
	series_observe(metric_series(plain, NULL), 1);
	CU_ASSERT_TRUE(printed("millrace_plain_seconds_bucket{le=\"1\"} 1"));
	CU_ASSERT_TRUE(printed("millrace_plain_seconds_count 1"));
}

static void test_series_bound(void)
{
	struct metric *metric = metric_new(METRIC_TYPE_COUNTER, "millrace_many_total", "Many.", "name");
	char name[32];
	const char *values[] = {name};

	for (int i = 0; i < METRIC_SERIES_MAX + 10; i++) {
		(void)snprintf(name, sizeof name, "n%d", i);
		series_add(metric_series(metric, values), 1);
	}
	CU_ASSERT_TRUE(printed("millrace_many_total{name=\"n4095\"} 1"));
	CU_ASSERT_TRUE(printed("millrace_many_total{name=\"other\"} 10"));
	(void)snprintf(name, sizeof name, "n%d", 17);
	series_add(metric_series(metric, values), 1);
	CU_ASSERT_TRUE(printed("millrace_many_total{name=\"n17\"} 2"));
}

static void *count_up(void *context)
{
	struct metric *metric = context;
	const char *values[] = {"shared"};

	for (int i = 0; i < ROUNDS; i++)
		series_add(metric_series(metric, values), 1);
	return NULL;
}

static void test_threads(void)
{
	struct metric *metric = metric_new(METRIC_TYPE_COUNTER, "millrace_threads_total", "Threads.", "name");
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, count_up, metric), 0);
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	CU_ASSERT_TRUE(printed("millrace_threads_total{name=\"shared\"} 200000"));
}

static void test_process(void)
{
	const char *at;

	CU_ASSERT_TRUE(printed("millrace_build_info{version=\"" MILLRACE_VERSION "\"} 1"));
	at = strstr((const char *)text.ptr, "\nprocess_resident_memory_bytes ");
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	CU_ASSERT_TRUE(strtod(strchr(at, ' '), NULL) > 1e6);
	at = strstr((const char *)text.ptr, "\nprocess_start_time_seconds ");
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	CU_ASSERT_TRUE(strtod(strchr(at, ' '), NULL) > 1.6e9);
	at = strstr((const char *)text.ptr, "\nprocess_open_fds ");
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	CU_ASSERT_TRUE(strtod(strchr(at, ' '), NULL) >= 1);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"counter and gauge", test_counter_and_gauge},
		{"histogram", test_histogram},
		{"series bound", test_series_bound},
		{"threads", test_threads},
		{"process", test_process},
		CU_TEST_INFO_NULL,
	};
	int failed;

	buffer_init(&text, 1 << 24);
	failed = suite_run("metrics", tests);
	buffer_deinit(&text);
	return failed;
}
