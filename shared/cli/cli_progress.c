#include "shared/cli/cli_progress.h"

#include "shared/runtime/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* As in docker/progress.py. */
#define BAR_WIDTH 24
#define REDRAW_MS 200
#define LINE_MS 10000

void cli_progress_begin(struct cli_progress *progress, const char *what)
{
	*progress = (struct cli_progress){
		.what = what, .drawn_ms = clock_monotonic_ms(), .terminal = isatty(STDERR_FILENO) == 1};
}

static void draw(struct cli_progress *progress)
{
	char bar[BAR_WIDTH + 1];
	int64_t filled = progress->total > 0 ? BAR_WIDTH * progress->reached / progress->total : BAR_WIDTH;

	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < filled ? '#' : '.';
	bar[BAR_WIDTH] = 0;
	fprintf(stderr, "%s  [%s] %" PRId64 " of %" PRId64 " %s%s", progress->terminal ? "\r" : "", bar,
	        progress->reached, progress->total, progress->what, progress->terminal ? "" : "\n");
	progress->drawn = true;
}

void cli_progress_show(struct cli_progress *progress)
{
	int64_t now = clock_monotonic_ms();

	if (now - progress->drawn_ms < (progress->terminal ? REDRAW_MS : LINE_MS))
		return;
	progress->drawn_ms = now;
	draw(progress);
}

void cli_progress_end(const struct cli_progress *progress)
{
	if (progress->drawn && progress->terminal)
		fprintf(stderr, "\r\033[K");
}
