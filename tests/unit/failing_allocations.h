/*
 * Failing allocations: the linker brings every allocation of ours and of what
 * is built with us here (tests/CMakeLists.txt names the programs), and one of
 * them fails. Allocations of the system's libraries do not come here.
 */
#ifndef MILLRACE_TESTS_UNIT_FAILING_ALLOCATIONS_H
#define MILLRACE_TESTS_UNIT_FAILING_ALLOCATIONS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

/* Before that many allocations the next one fails; -1: none does. */
static long allocations_left = -1;

static inline bool allocation_fails(void)
{
	if (allocations_left < 0 || allocations_left-- > 0)
		return false;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return allocation_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
	return allocation_fails() ? NULL : __real_realloc(ptr, size);
}

#endif
