/*
 * Pulse: whether this process stood still (stopped, frozen, suspended).
 *
 * A thread that does nothing else notes the time four times a second. Where
 * two notes are NODE_STANDSTILL_MS or more apart, the whole process stood
 * still, for this thread would have run; work of the owner, however long, and
 * waiting for the disk leave no such gap. The owner notes the time too, so
 * that it never goes on before the thread has woken up. CLOCK_BOOTTIME goes
 * on while the machine is suspended.
 */
#include "shard/node_private.h"

#include "shared/base/assert.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define BEAT_MS 250

static int64_t boot_ms(void)
{
	struct timespec now;

	ASSERT(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void beat(struct pulse *pulse)
{
	int64_t gap_ms;
	int64_t now_ms;

	(void)pthread_mutex_lock(&pulse->lock);
	now_ms = boot_ms();
	gap_ms = now_ms - pulse->beat_ms;
	pulse->beat_ms = now_ms;
	if (gap_ms >= NODE_STANDSTILL_MS)
		pulse->stood_ms = gap_ms;
	(void)pthread_mutex_unlock(&pulse->lock);
}

static void *run(void *context)
{
	struct pulse *pulse = context;
	struct pollfd stop = {.fd = pulse->stop_fd, .events = POLLIN};
	int stopped;

	do {
		beat(pulse);
		stopped = poll(&stop, 1, BEAT_MS);
		ASSERT(stopped >= 0 || errno == EINTR);
	} while (stopped <= 0);
	return NULL;
}

int pulse_start(struct pulse *pulse, struct error *error)
{
	pulse->beat_ms = boot_ms();
	pulse->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (pulse->stop_fd < 0)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_FATAL, "no descriptor is left");
	(void)pthread_mutex_init(&pulse->lock, NULL);
	if (pthread_create(&pulse->thread, NULL, run, pulse) != 0) {
		(void)close(pulse->stop_fd);
		return error_set(error, ERROR_MEMORY, ERROR_ACTION_FATAL, "cannot start the pulse's thread");
	}
	pulse->started = true;
	return 0;
}

int64_t pulse_take(struct pulse *pulse)
{
	int64_t stood_ms;

	beat(pulse);
	(void)pthread_mutex_lock(&pulse->lock);
	stood_ms = pulse->stood_ms;
	pulse->stood_ms = 0;
	(void)pthread_mutex_unlock(&pulse->lock);
	return stood_ms;
}

bool pulse_stood(struct pulse *pulse)
{
	bool stood;

	beat(pulse);
	(void)pthread_mutex_lock(&pulse->lock);
	stood = pulse->stood_ms != 0;
	(void)pthread_mutex_unlock(&pulse->lock);
	return stood;
}

void pulse_stop(struct pulse *pulse)
{
	if (!pulse->started)
		return;
	ASSERT(eventfd_write(pulse->stop_fd, 1) == 0);
	(void)pthread_join(pulse->thread, NULL);
	(void)close(pulse->stop_fd);
	(void)pthread_mutex_destroy(&pulse->lock);
	pulse->started = false;
}
