/*
 * Clocks: what a stage of a bench took: wall clock, CPU of its thread, CPU of
 * the program, memory. For programs of one file that print one line of JSON.
 */
#ifndef MILLRACE_TESTS_BENCH_CLOCKS_H
#define MILLRACE_TESTS_BENCH_CLOCKS_H

#include "shared/config/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct clocks {
	int64_t wall_us;
	int64_t thread_us; /* CPU of this thread */
	int64_t process_us;
};

static inline _Noreturn void fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "bench: %s: %s\n", what, why);
	exit(1);
}

static inline int64_t clock_us(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static inline int64_t now_ms(void)
{
	return clock_us(CLOCK_MONOTONIC) / 1000;
}

static inline struct clocks read_clocks(void)
{
	return (struct clocks){clock_us(CLOCK_MONOTONIC), clock_us(CLOCK_THREAD_CPUTIME_ID),
	                       clock_us(CLOCK_PROCESS_CPUTIME_ID)};
}

/* "VmRSS" or "VmHWM", in KB. */
static inline long memory_kb(const char *field)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[128];
	long kb = -1;

	while (file != NULL && kb < 0 && fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, field, strlen(field)) == 0)
			kb = strtol(line + strlen(field) + 1, NULL, 10);
	if (file == NULL || fclose(file) != 0 || kb < 0)
		fail("/proc/self/status", field);
	return kb;
}

static inline void report(int64_t records, const struct clocks *from)
{
	struct clocks to = read_clocks();

	(void)printf("{\"records\": %" PRId64 ", \"seconds\": %.6f, \"thread_seconds\": %.6f, "
	             "\"process_seconds\": %.6f, \"rss_kb\": %ld, \"peak_kb\": %ld",
	             records, (double)(to.wall_us - from->wall_us) / 1e6,
	             (double)(to.thread_us - from->thread_us) / 1e6,
	             (double)(to.process_us - from->process_us) / 1e6, memory_kb("VmRSS"),
	             memory_kb("VmHWM"));
}

static inline uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15U);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return z ^ z >> 31;
}

/* From MILLRACE_CONFIG and the environment. */
static inline struct config *load_config(char *program)
{
	char *arguments[] = {program, NULL};
	char **argv = arguments;
	struct config *config = NULL;
	struct error error;
	int argc = 1;

	if (config_load(PROGRAM_INGEST, &argc, &argv, &config, &error) != 0)
		fail("configuration", error.text);
	return config;
}

#endif
