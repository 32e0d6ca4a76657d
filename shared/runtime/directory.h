/*
 * Directory: where a program keeps what it may keep. Thread-safe.
 */
#ifndef MILLRACE_RUNTIME_DIRECTORY_H
#define MILLRACE_RUNTIME_DIRECTORY_H

#include "shared/base/error.h"

#define DIRECTORY_PATH_BYTES_MAX 4096

/* `path` with every parent, for this user alone; there already is fine. ERROR_STORAGE (RETRY) names what failed. */
int directory_make(const char *path, struct error *error);

#endif
