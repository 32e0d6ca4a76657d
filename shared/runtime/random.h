/*
 * Random: getrandom(2), for identities that must never repeat (incarnations,
 * sessions, nonces, request ids). Cores get such values from their shells.
 */
#ifndef MILLRACE_RUNTIME_RANDOM_H
#define MILLRACE_RUNTIME_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Aborts if the kernel has no entropy source: nothing can be identified then. */
void random_bytes(void *bytes, size_t len);
uint64_t random_u64(void);

#endif
