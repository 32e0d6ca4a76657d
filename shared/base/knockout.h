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
	KNOCKOUT_FIRST_OCCURRENCE,   /* feed: the first, not the last occurrence of an identity decides */
	KNOCKOUT_REPLAY_DUPLICATE,   /* feed: an occurrence at the record's own offset counts */
	KNOCKOUT_TABLE_NOT_SEEDED,   /* feed: identities and origins are not fetched when feeding starts */
	KNOCKOUT_TABLE_FROM_SIBLING_AHEAD, /* feed: they are taken from a replica that stands elsewhere */
	KNOCKOUT_MARKS_KEPT_OVER_REWIND,   /* feed: they are kept when a reader goes back */
	KNOCKOUT_LIFE_IGNORED,             /* record: origins are compared without their life */
	KNOCKOUT_IDENTITY_WITHOUT_ID,      /* record: an identity is the idempotency key alone */
	KNOCKOUT_BODY_BYTES_AS_OPERATION,  /* record: an operation is its body's bytes as they came */
	KNOCKOUT_COALESCE_OVER_BARRIER,    /* record: a barrier shares its range with other operations */
	KNOCKOUT_DELETE_PUT_AS_UPDATE,     /* record: a put after a delete does not create */
	KNOCKOUT_ORIGIN_IGNORED,       /* feed: an imported record is not compared with what was imported */
	KNOCKOUT_RULES_DIGEST_IGNORED, /* node: a range made under other rules is applied */
	KNOCKOUT_SKIP_NOT_RECORDED,    /* feed: an offset is skipped without a word */
	KNOCKOUTS
};

#ifdef MILLRACE_KNOCKOUT
extern enum knockout knockout_active;
#define KNOCKOUT(name) (knockout_active == KNOCKOUT_##name)
#else
#define KNOCKOUT(name) false
#endif

#endif
