#include "query/alarms.h"

#include "shared/base/assert.h"
#include "shared/runtime/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct alarms {
	pthread_t thread;
	pthread_mutex_t lock; /* guards everything below */
	pthread_cond_t earlier;
	bool stopping;
	int64_t waiting_until_us; /* what the thread sleeps to; INT64_MAX: for ever */
	size_t len;
	struct alarm *heap[ALARMS_MAX + 1]; /* from 1; the parent of i is i/2 */
};

/* ---- heap ---- */

static void put(struct alarms *alarms, size_t place, struct alarm *alarm)
{
	alarms->heap[place] = alarm;
	alarm->place = place;
}

static void move_up(struct alarms *alarms, struct alarm *alarm)
{
	size_t place = alarm->place;

	while (place > 1 && alarms->heap[place / 2]->at_us > alarm->at_us) {
		put(alarms, place, alarms->heap[place / 2]);
		place /= 2;
	}
	put(alarms, place, alarm);
}

static void move_down(struct alarms *alarms, struct alarm *alarm)
{
	size_t place = alarm->place;
	size_t child;

	while ((child = 2 * place) <= alarms->len) {
		if (child < alarms->len && alarms->heap[child + 1]->at_us < alarms->heap[child]->at_us)
			child++;
		if (alarms->heap[child]->at_us >= alarm->at_us)
			break;
		put(alarms, place, alarms->heap[child]);
		place = child;
	}
	put(alarms, place, alarm);
}

static void take_out(struct alarms *alarms, struct alarm *alarm)
{
	struct alarm *last = alarms->heap[alarms->len--];
	size_t place = alarm->place;

	alarm->place = 0;
	if (last == alarm)
		return;
	put(alarms, place, last);
	move_up(alarms, last);
	move_down(alarms, last);
}

/* ---- thread ---- */

static void sleep_until(struct alarms *alarms, int64_t at_us)
{
	struct timespec until = {(time_t)(at_us / 1000000), (long)(at_us % 1000000) * 1000};

	alarms->waiting_until_us = at_us;
	if (at_us == INT64_MAX)
		(void)pthread_cond_wait(&alarms->earlier, &alarms->lock);
	else
		(void)pthread_cond_timedwait(&alarms->earlier, &alarms->lock, &until);
	/* awake: nobody needs to signal */
	alarms->waiting_until_us = INT64_MIN;
}

static void *run(void *context)
{
	struct alarms *alarms = context;

	(void)pthread_mutex_lock(&alarms->lock);
	while (!alarms->stopping || alarms->len > 0) {
		struct alarm *first = alarms->len > 0 ? alarms->heap[1] : NULL;

		if (first == NULL || (!alarms->stopping && first->at_us > clock_monotonic_us())) {
			sleep_until(alarms, first == NULL ? INT64_MAX : first->at_us);
			continue;
		}
		take_out(alarms, first);
		(void)pthread_mutex_unlock(&alarms->lock);
		first->ring(first->context);
		(void)pthread_mutex_lock(&alarms->lock);
	}
	(void)pthread_mutex_unlock(&alarms->lock);
	return NULL;
}

/* ---- life ---- */

int alarms_open(struct alarms **alarms, struct error *error)
{
	struct alarms *made = calloc(1, sizeof *made);
	pthread_condattr_t attributes;

	if (made == NULL)
		return error_memory(error, sizeof *made);
	(void)pthread_mutex_init(&made->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	ASSERT(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
	(void)pthread_cond_init(&made->earlier, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	if (pthread_create(&made->thread, NULL, run, made) != 0) {
		alarms_close(made);
		return error_memory(error, sizeof *made);
	}
	*alarms = made;
	return 0;
}

void alarms_stop(struct alarms *alarms)
{
	if (alarms == NULL)
		return;
	(void)pthread_mutex_lock(&alarms->lock);
	alarms->stopping = true;
	(void)pthread_cond_signal(&alarms->earlier);
	(void)pthread_mutex_unlock(&alarms->lock);
	(void)pthread_join(alarms->thread, NULL);
}

void alarms_close(struct alarms *alarms)
{
	if (alarms == NULL)
		return;
	(void)pthread_cond_destroy(&alarms->earlier);
	(void)pthread_mutex_destroy(&alarms->lock);
	free(alarms);
}

enum alarm_set alarms_set(struct alarms *alarms, struct alarm *alarm, int64_t at_us)
{
	enum alarm_set result = ALARM_SET_REFUSED;

	(void)pthread_mutex_lock(&alarms->lock);
	if (alarm->place > 0) {
		result = ALARM_SET_MOVED;
		alarm->at_us = at_us;
		move_up(alarms, alarm);
		move_down(alarms, alarm);
	} else if (!alarms->stopping && alarms->len < ALARMS_MAX) {
		result = ALARM_SET_NEW;
		alarm->at_us = at_us;
		put(alarms, ++alarms->len, alarm);
		move_up(alarms, alarm);
	}
	if (result != ALARM_SET_REFUSED && at_us < alarms->waiting_until_us)
		(void)pthread_cond_signal(&alarms->earlier);
	(void)pthread_mutex_unlock(&alarms->lock);
	return result;
}

bool alarms_cancel(struct alarms *alarms, struct alarm *alarm)
{
	bool set;

	(void)pthread_mutex_lock(&alarms->lock);
	set = alarm->place > 0;
	if (set)
		take_out(alarms, alarm);
	(void)pthread_mutex_unlock(&alarms->lock);
	return set;
}
