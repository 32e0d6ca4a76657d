/*
 * Errors: a code, what the caller should do, and a text for a person.
 *
 * A fallible function returns 0, or a negative ERROR_ code after filling the
 * caller's struct error; out-parameters are written only on success. The text
 * names the thing that failed, the place, and the remedy where there is one.
 * The code is stable and machine-readable; it is what dead letters, HTTP
 * answers and metrics carry.
 *
 * A struct error is plain storage: no allocation, nothing to free. Passing
 * NULL is not allowed; a function that fails always fills it.
 */
#ifndef MILLRACE_BASE_ERROR_H
#define MILLRACE_BASE_ERROR_H

#include <stddef.h>

enum error_action {
	ERROR_ACTION_RETRY = 1, /* the world failed; the same call may work later */
	ERROR_ACTION_REJECT,    /* the input is bad; the same call never works */
	ERROR_ACTION_FATAL      /* this shard or program must stop */
};

enum error_code {
	ERROR_MEMORY = -1,  /* an allocation failed */
	ERROR_FORMAT = -2,  /* bytes that are not what they should be */
	ERROR_VERSION = -3, /* a format version that this program lacks */
	ERROR_LIMIT = -4,   /* a named bound was reached */
	ERROR_NOT_FOUND = -5,
	ERROR_EXISTS = -6,
	ERROR_STATE = -7,         /* not in the state for this */
	ERROR_CONFIGURATION = -8, /* exit code 78 */
	ERROR_STORAGE = -9,       /* disk, LMDB */
	ERROR_NETWORK = -10,      /* HTTP between programs */
	ERROR_LOG = -11,          /* Kafka */
	ERROR_FENCED = -12,       /* a successor is in office */
	ERROR_TIMEOUT = -13,
	ERROR_DAMAGED = -14 /* a checksum does not match */
};

struct error {
	int code; /* enum error_code */
	enum error_action action;
	char text[512];
};

/* Fills `error` and returns `code`, so that a failure is one statement. */
int error_set(struct error *error, int code, enum error_action action, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts "prefix: " before the text that is there; returns error->code. */
int error_prefix(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ERROR_MEMORY for `size` bytes; RETRY. */
int error_memory(struct error *error, size_t size);

#endif
