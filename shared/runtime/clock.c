#include "shared/runtime/clock.h"

#include "shared/base/assert.h"

#include <stdio.h>
#include <time.h>

static int64_t clock_us(clockid_t clock)
{
	struct timespec now;
	int failed = clock_gettime(clock, &now);

	ASSERT(failed == 0);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_monotonic_ms(void)
{
	return clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_monotonic_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
	return clock_us(CLOCK_REALTIME) / 1000;
}

/* The years that strftime prints with four digits: 1000 to 9999. */
#define WALL_MS_MIN (-30610224000000)
#define WALL_MS_MAX 253402300799999

void clock_print(int64_t wall_ms, char text[25])
{
	int64_t ms = wall_ms < WALL_MS_MIN ? WALL_MS_MIN : wall_ms > WALL_MS_MAX ? WALL_MS_MAX : wall_ms;
	int64_t fraction = (ms % 1000 + 1000) % 1000;
	time_t seconds = (ms - fraction) / 1000;
	struct tm date;

	ASSERT(gmtime_r(&seconds, &date) != NULL);
	ASSERT(strftime(text, 25, "%Y-%m-%dT%H:%M:%S", &date) == 19);
	(void)snprintf(text + 19, 6, ".%03uZ", (unsigned)fraction % 1000U);
}
