/*
 * Progress: how far a long command is, on stderr. A terminal gets a bar, once
 * it is worth one; elsewhere there is a line now and then. One thread.
 */
#ifndef MILLRACE_CLI_CLI_PROGRESS_H
#define MILLRACE_CLI_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct cli_progress {
	const char *what; /* "offsets of TOPIC": of what there are `total`; borrowed */
	int64_t reached;
	int64_t total;
	/* its own */
	int64_t drawn_ms;
	bool terminal;
	bool drawn;
};

void cli_progress_begin(struct cli_progress *progress, const char *what);
/* Draws it if that was long enough ago. */
void cli_progress_show(struct cli_progress *progress);
/* The terminal's line is free again. */
void cli_progress_end(const struct cli_progress *progress);

#endif
