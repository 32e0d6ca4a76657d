/*
 * Alarms: calls at a later time, from one thread.
 *
 * Flights wait for hedges, deadlines and newer catalogs without a thread each.
 * Why a thread of its own and not the HTTP client's: an alarm must ring also
 * while that one parses a large answer.
 *
 * An alarm lies in its owner's memory, zeroed at first, and is set or not. Its
 * ring is called on the alarms' thread with no lock held, after it was unset; so
 * it may be set again, also from within. Whoever cancels an alarm and is told
 * that it was not set must reckon with its ring running at this moment or soon:
 * owners count a set alarm as a holder of theirs, dropped by the ring or by a
 * cancel that succeeded.
 *
 * Thread-safe. A heap: setting and cancelling take O(log alarms). Bound:
 * ALARMS_MAX; full is an answer.
 */
#ifndef MILLRACE_QUERY_ALARMS_H
#define MILLRACE_QUERY_ALARMS_H

#include "shared/base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define ALARMS_MAX 4096

struct alarms;

struct alarm {
	int64_t at_us; /* monotonic */
	size_t place;  /* in the heap, from 1; 0: not set */
	void (*ring)(void *context);
	void *context;
};

int alarms_open(struct alarms **alarms, struct error *error);
/* Rings what is set at once, and refuses to set any more. NULL does nothing. */
void alarms_stop(struct alarms *alarms);
/* After alarms_stop. NULL does nothing. */
void alarms_close(struct alarms *alarms);

enum alarm_set {
	ALARM_SET_NEW = 1,
	ALARM_SET_MOVED, /* it was set already, and now rings at `at_us` */
	ALARM_SET_REFUSED
};

enum alarm_set alarms_set(struct alarms *alarms, struct alarm *alarm, int64_t at_us);
/* True if it was set and will not ring. */
bool alarms_cancel(struct alarms *alarms, struct alarm *alarm);

#endif
