/*
 * Process: what every program's main does the same way.
 *
 * process_start ignores SIGPIPE, blocks SIGTERM and SIGINT in every thread
 * and gives a descriptor that becomes readable when one arrives (the second
 * one ends the process at once, exit code 130 or 143). Files are created for
 * their owner alone, and privileges cannot be gained. Exit codes: 0, 1
 * failure, 75 temporary (restart me), 78 configuration or a state that an
 * operator must resolve.
 */
#ifndef MILLRACE_RUNTIME_PROCESS_H
#define MILLRACE_RUNTIME_PROCESS_H

#include "shared/base/error.h"

#define PROCESS_EXIT_CONFIGURATION 78
#define PROCESS_EXIT_TEMPORARY 75

/* The descriptor to poll for the first signal. Call before any thread starts. */
int process_start(void);
/* Writes {"pid":…,"program":…,"listen":"host:port","admin":"host:port"} to `path` by rename;
 * `path` NULL does nothing, `admin` may be NULL. */
int process_ready(const char *path, const char *program, const char *listen, const char *admin,
                  struct error *error);
/* sysexits code for an error: 78 for ERROR_CONFIGURATION, 75 for RETRY, else 1. */
int process_exit_code(const struct error *error);

#endif
