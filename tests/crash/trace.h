/*
 * Trace: what one life of a directory asked of the disk, in order, and what
 * the replica in it said meanwhile. It lies in shared memory, so that it
 * outlives the processes that write it: a killed one's trace goes on with
 * that of the process after it.
 *
 * A write is in the trace when the file has it (the page cache), and durable
 * only after TRACE_SYNCED of its file, or after TRACE_WRITE_SYNCED where the
 * file was opened with O_DSYNC. A name is durable after TRACE_NAMES_SYNCED.
 *
 * Bounds: TRACE_EVENTS_MAX, TRACE_BYTES_MAX, TRACE_FILES_MAX; a longer trace
 * ends the process.
 */
#ifndef MILLRACE_TESTS_CRASH_TRACE_H
#define MILLRACE_TESTS_CRASH_TRACE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TRACE_EVENTS_MAX 65536
#define TRACE_BYTES_MAX (256U << 20)
#define TRACE_FILES_MAX 24
#define TRACE_NAME_BYTES 64

enum trace_kind {
	TRACE_NAME = 1,     /* bytes: the file's name from here on */
	TRACE_WRITE,        /* bytes at an offset */
	TRACE_WRITE_SYNCED, /* the file's last write */
	TRACE_SYNCED,       /* the file */
	TRACE_SYNC_FAILED, /* of the file, or of its last write: the page cache takes for written what may not be */
	TRACE_NAMES_SYNCED,
	TRACE_STORING, /* `at`: a store may move the watermark up to here */
	TRACE_STORED   /* `at`: the watermark that was reported as stored */
};

struct trace_event {
	enum trace_kind kind;
	uint32_t file;
	int64_t at;
	size_t bytes; /* place in the trace's */
	size_t len;
};

struct trace {
	size_t events_len;
	size_t bytes_len;
	size_t files_len;
	ino_t files[TRACE_FILES_MAX];
	struct trace_event events[TRACE_EVENTS_MAX];
	uint8_t bytes[TRACE_BYTES_MAX];
};

#endif
