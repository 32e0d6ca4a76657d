/*
 * Recorder: stands between this program, LMDB included, and the calls of the
 * system that write. What they do to the files of one directory goes into a
 * trace; locks do not, they mean nothing after a crash. Writes through a
 * memory map would not be seen: a call that syncs one ends the process, and so
 * does a new length.
 *
 * One recorder a process, one thread.
 */
#ifndef MILLRACE_TESTS_CRASH_RECORDER_H
#define MILLRACE_TESTS_CRASH_RECORDER_H

#include "tests/crash/trace.h"

#define RECORDER_KILLED 42 /* the exit code of recorder_kill_after */

/* Empty, shared with the processes that are forked from here on. Never freed. */
struct trace *recorder_trace(void);
/* From here on; the directory's parent exists. */
void recorder_start(struct trace *trace, const char *directory);
void recorder_mark(enum trace_kind kind, int64_t at);
/* The process ends right after its n-th write from here, before that is synced; 0: it does not. */
void recorder_kill_after(unsigned writes);
/* The same at the next write that a file opened with O_DSYNC syncs itself. */
void recorder_kill_unsynced(void);

#endif
