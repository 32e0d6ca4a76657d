/*
 * Log lines: one event, one line on stderr, keys and values.
 *
 * `logline(LOG_INFO, "index_created", "index=%s partitions=%d", …)` writes
 *   ts=… level=info program=… event=index_created index=… partitions=…
 * or the same as JSON. The format string consists of `key=value` pairs
 * separated by single spaces; a value that may hold spaces is printed with
 * the key's value quoted by logline itself: use key="%s", quotes inside are
 * escaped. Written once, where the decision is taken. Thread-safe: one
 * write(2) a line, at most LOGLINE_BYTES_MAX. Secrets never go in.
 */
#ifndef MILLRACE_RUNTIME_LOGLINE_H
#define MILLRACE_RUNTIME_LOGLINE_H

#include <stdbool.h>

#define LOGLINE_BYTES_MAX 2048

enum log_level {
	LOG_LEVEL_ERROR = 0,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* Before threads start. `program` is static. */
void logline_init(const char *program, enum log_level level, bool json);
void logline(enum log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
