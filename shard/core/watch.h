/*
 * Watch: how long a search may go on.
 *
 * Whoever reads for long counts its steps here, and once in `every` steps the
 * time is asked for; so looking at the clock costs nothing, and a search ends
 * soon after its time. Two times end it. The cutoff ends ranking alone: what
 * matches, totals and facets do not depend on it. After the deadline nobody
 * waits any more, and everything ends.
 *
 * A step takes about as long as looking at one word of a dictionary.
 *
 * Owner: one thread, one search at a time. No clock of its own: pure.
 */
#ifndef MILLRACE_SHARD_CORE_WATCH_H
#define MILLRACE_SHARD_CORE_WATCH_H

#include "shared/base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define WATCH_EVERY 4096
/* Steps that other work takes. */
#define WATCH_SEEK 4  /* of a word among those in memory */
#define WATCH_FIND 16 /* of one by itself, or of an id */
#define WATCH_RANK 16 /* of a document, by its words */
#define WATCH_BODY 32 /* that is read */
/* Numbers of a list that are read in a step. */
#define WATCH_NUMBERS 16

enum watch_time {
	WATCH_TIME_LEFT = 0,
	WATCH_TIME_CUTOFF,
	WATCH_TIME_OVER /* the deadline has passed */
};

struct watch {
	enum watch_time (*look)(void *context); /* never falls */
	void *context;
	uint32_t every; /* steps between two looks, at least 1 */
	uint32_t left;  /* steps until the next one */
	enum watch_time time;
	bool ranks; /* what goes on ends at the cutoff */
};

/* Looks at the time: ERROR_TIMEOUT (RETRY) if what goes on is to end. */
int watch_look(struct watch *watch, struct error *error);

/* What follows takes so many steps; as watch_look, now and then. NULL: there is always time. */
static inline int watch_step(struct watch *watch, size_t steps, struct error *error)
{
	if (watch == NULL)
		return 0;
	if (steps < watch->left) {
		watch->left -= (uint32_t)steps;
		return 0;
	}
	return watch_look(watch, error);
}

#endif
