/*
 * Seeds: the first inputs of a target whose format is binary, made with our
 * own writers, so that they are always of today's format. The target has a
 * seeds_make, which calls seed_write for each; called with --seeds=FOLDER it
 * writes them there and ends.
 */
#ifndef MILLRACE_TESTS_FUZZ_SEEDS_H
#define MILLRACE_TESTS_FUZZ_SEEDS_H

#include "shared/base/assert.h"
#include "shared/base/slice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS_FLAG "--seeds="

int LLVMFuzzerInitialize(int *argc, char ***argv);

static void seeds_make(void);

static const char *seeds_folder;
static int seeds_written;

static inline void seed_write(struct slice input)
{
	char path[4096];
	FILE *file;
	int len = snprintf(path, sizeof path, "%s/%02d", seeds_folder, seeds_written++);

	ASSERT(len > 0 && (size_t)len < sizeof path);
	file = fopen(path, "wb");
	ASSERT(file != NULL && fwrite(input.ptr, 1, input.len, file) == input.len && fclose(file) == 0);
}

/* libFuzzer calls it first, and ignores flags of two dashes. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	if (*argc < 2 || strncmp((*argv)[1], SEEDS_FLAG, strlen(SEEDS_FLAG)) != 0)
		return 0;
	seeds_folder = (*argv)[1] + strlen(SEEDS_FLAG);
	seeds_make();
	exit(0);
}

#endif
