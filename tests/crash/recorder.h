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

#include <stdbool.h>

/* What fails, with EIO; the files of the directory only. */
enum recorder_fault {
	RECORDER_FAULT_WRITE = 0,    /* a write that a sync has to follow: nothing is written */
	RECORDER_FAULT_CUT,          /* such a write ends in its middle, as on a full disk */
	RECORDER_FAULT_SYNC,         /* of a file: what was written stays in the page cache */
	RECORDER_FAULT_WRITE_SYNCED, /* of a file opened with O_DSYNC: nothing is written */
	RECORDER_FAULT_WRITE_LEFT,   /* the same, but it is in the page cache, and may be on disk */
	RECORDER_FAULT_ANY,          /* every one of these calls */
	RECORDER_FAULTS
};

#define RECORDER_KILLED 42 /* the exit code of recorder_kill_after */

/* Empty, shared with the processes that are forked from here on. */
struct trace *recorder_trace(void);
void recorder_trace_free(struct trace *trace);
/* From here on; the directory's parent exists. */
void recorder_start(struct trace *trace, const char *directory);
void recorder_mark(enum trace_kind kind, int64_t at);
/* The process ends right after its n-th write from here, before that is synced; 0: it does not. */
void recorder_kill_after(unsigned writes);
/* The same at the next write that a file opened with O_DSYNC syncs itself. */
void recorder_kill_unsynced(void);
/* The same at the next new name, which is not on disk before the directory is synced. */
void recorder_kill_renamed(void);
/* The n-th such call from here fails, n >= 1, and those that follow it, `times` in all; 0: none. */
void recorder_fail(enum recorder_fault fault, unsigned n, unsigned times);
/* Of the files that a trace takes, how many are left. */
size_t recorder_files_left(void);
/* If one has failed since recorder_fail. */
bool recorder_has_failed(void);

#endif
