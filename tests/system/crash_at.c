/*
 * Preloaded into a program, it makes its decoder die of one value: whenever
 * the program's own code (no library) copies at least BYTES_MIN bytes that
 * begin with $MILLRACE_CRASH_AT, as parsing a value does, the process aborts.
 */
#define _GNU_SOURCE
#include <link.h>
#include <stdlib.h>

#define BYTES_MIN 512

static uintptr_t program_begin;
static uintptr_t program_end;
static const char *value;

/* The first object is the program. */
static int find_program(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	(void)context;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type != PT_LOAD || (info->dlpi_phdr[i].p_flags & PF_X) == 0)
			continue;
		program_begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		program_end = program_begin + info->dlpi_phdr[i].p_memsz;
	}
	return 1;
}

__attribute__((constructor)) static void start(void)
{
	(void)dl_iterate_phdr(find_program, NULL);
	value = getenv("MILLRACE_CRASH_AT");
}

static int is_value(const char *from)
{
	size_t at = 0;

	while (value[at] != '\0' && from[at] == value[at])
		at++;
	return value[at] == '\0';
}

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	uintptr_t caller = (uintptr_t)__builtin_return_address(0);
	char *written = to;
	const char *read = from;

	if (len >= BYTES_MIN && value != NULL && caller >= program_begin && caller < program_end &&
	    is_value(from))
		abort();
	for (size_t i = 0; i < len; i++)
		written[i] = read[i];
	return to;
}
