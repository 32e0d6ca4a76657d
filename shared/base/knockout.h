/*
 * Knock-outs: test-only switches that break one rule at the line that
 * implements it, so that the simulation can prove it would notice.
 *
 * Only the simulation's own build defines MILLRACE_KNOCKOUT; everywhere else
 * KNOCKOUT(…) is the constant false and costs nothing.
 */
#ifndef MILLRACE_BASE_KNOCKOUT_H
#define MILLRACE_BASE_KNOCKOUT_H

#include <stdbool.h>

enum knockout {
	KNOCKOUT_NONE = 0,
	KNOCKOUT_RANGE_CHAIN,        /* node: a range that begins after received is applied */
	KNOCKOUT_OFFSET_FILTER,      /* node: operations below received are applied again */
	KNOCKOUT_WATERMARK_APART,    /* node: watermark in another transaction than the data */
	KNOCKOUT_DEAD_LETTER_LATE,   /* ingest: a range is flushed before its dead letters are acknowledged */
	KNOCKOUT_COMMIT_RECEIVED,    /* ingest: offsets are committed at received, not stored */
	KNOCKOUT_START_COMMITTED,    /* ingest: feeding starts at the committed offset */
	KNOCKOUT_BASE_IGNORED,       /* node: an empty replica starts at 0 or at the log start, not at base */
	KNOCKOUT_RANGE_END,          /* node: received becomes the last record, not the range's end */
	KNOCKOUT_ANCHOR_IGNORED,     /* ingest: another record at the anchor's offset is accepted */
	KNOCKOUT_RECOVERING_IGNORED, /* node: serves at once after a restart */
	KNOCKOUT_ABSENCE_DROPS,      /* node: a replica without a record is dropped */
	KNOCKOUT_RANGE_IN_PART,      /* node: a store ends inside a range */
	KNOCKOUT_COMMIT_MAX,         /* ingest: offsets are committed at the highest stored, not the lowest */
	KNOCKOUT_OWN_OPINION,        /* ingest: a replica cut from LIVE does not count for commits */
	KNOCKOUT_JOINER_START,       /* ingest: whoever stands anywhere joins a lane that runs */
	KNOCKOUT_LAST_REMOVED,       /* controller: the last replica in-sync is taken out */
	KNOCKOUT_FENCE_LATE,         /* controller: reads before it fences its predecessor */
	KNOCKOUT_REQUEST_TWICE,      /* controller: finals are not looked at */
	KNOCKOUT_ORDER_DROPS,        /* node: drops a replica that a record does not name */
	KNOCKOUT_TOKEN_IGNORED,      /* query: a waiter's token is not looked at */
	KNOCKOUT_FINALS_IGNORED,     /* query: offsets of finals are not required */
	KNOCKOUTS
};

#ifdef MILLRACE_KNOCKOUT
extern enum knockout knockout_active;
#define KNOCKOUT(name) (knockout_active == KNOCKOUT_##name)
#else
#define KNOCKOUT(name) false
#endif

#endif
