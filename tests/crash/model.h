/*
 * Model: the fold model of the unit tests in a process of its own. What a
 * test would count, here ends the process: with MODEL_FAILED, and the place
 * and the condition on stderr.
 */
#ifndef MILLRACE_TESTS_CRASH_MODEL_H
#define MILLRACE_TESTS_CRASH_MODEL_H

#include <CUnit/Basic.h>
#include <stdio.h>
#include <unistd.h>

#define MODEL_FAILED 1

static inline CU_BOOL model_assert(CU_BOOL holds, unsigned line, const char *condition, const char *file)
{
	if (holds)
		return CU_TRUE;
	fprintf(stderr, "%s:%u: %s\n", file, line, condition);
	_exit(MODEL_FAILED);
}

#define CU_assertImplementation(holds, line, condition, file, function, fatal) \
	model_assert(holds, (unsigned)(line), condition, file)

#include "tests/unit/fold_model.h"

#endif
