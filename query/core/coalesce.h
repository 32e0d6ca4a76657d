/*
 * Coalesce: which searches share one answer.
 *
 * Searches with one fingerprint that meet while one of them is in the air share
 * its answer: the first one *fires* a flight at once, and what arrives within the
 * window (query.coalesce_ms, counted from the firing) and before the flight has
 * landed *joins* it. Whoever finds nothing to join fires the next flight. Nobody
 * is held back to wait for company, and no answer is kept after it was given.
 *
 * Freshness. A joined answer may have been computed before the request arrived, but
 * never before its flight was fired: without a token the window bounds that age.
 * With one, nothing older than the token is given:
 *
 * - Every waiter brings what its answer must cover (core/token.h: its own token,
 *   raised by the finals of its index). When a flight lands, each joined waiter's
 *   requirement is checked against what the answer covers. Not covered: it is fired
 *   anew, with what it requires, and shares that flight only with those who
 *   require exactly the same. That flight was fired for it, so it is its last: an
 *   answer that does not cover it even then is refused, and so is a waiter whose
 *   time is over.
 * - The fingerprint names the index's id and generation, the version of its settings
 *   and whose rights the request has, so an index that was deleted and created
 *   again, or another client's view, never meets.
 *
 * No waiter is worse off than alone but for the window:
 *
 * - It joins only flights that require no more than itself, so nobody waits for
 *   another client's token (perhaps one that no replica will ever reach).
 * - It joins only flights whose deadline is its own or at most a window earlier,
 *   so it is answered by its own deadline and loses at most a window of it. Hence a
 *   failure may be shared: it is never that of a much shorter deadline.
 *
 * A waiter is in at most two flights. Bounds: COALESCE_WAITERS_MAX joined to one
 * flight (full: the next one fires), COALESCE_JOINED_MAX joined to any (full:
 * requests fly alone), COALESCE_CHOICES_MAX flights looked at for one request. A
 * window of 0 turns it off: every request flies alone.
 *
 * The caller owns the waiters' storage; a flight is the waiter that fired it. No
 * allocation after coalesce_new. Pure core: time comes in. One thread at a time.
 */
#ifndef MILLRACE_QUERY_CORE_COALESCE_H
#define MILLRACE_QUERY_CORE_COALESCE_H

#include "query/core/search_request.h"
#include "shared/base/hash.h"

#define COALESCE_WAITERS_MAX 1024
#define COALESCE_JOINED_MAX 4096
#define COALESCE_CHOICES_MAX 16

/* What a search's answer depends on beside the request itself. */
struct coalesce_scope {
	uint64_t index_id;
	int32_t generation;
	int64_t settings_version;
	struct slice authorization; /* names whose rights the request has; "" for the master key or none */
	uint64_t seed;              /* drawn once a process, so that nobody can make fingerprints meet */
};

/* Equal for requests that ask for the same, however they said it: a parameter left out equals its default. Beside
 * paging, `asked` has all that makes a difference to an answer; what is asked of vectors makes one to a refusal. */
struct hash128 coalesce_fingerprint(const struct search_request *request, const struct coalesce_scope *scope);

enum coalesce_verdict {
	COALESCE_VERDICT_ANSWER = 1, /* give it the landed outcome */
	COALESCE_VERDICT_REFUSE, /* the outcome does not cover what it requires, and there is no more time */
	COALESCE_VERDICT_FIRE    /* start a flight for it, which lands with coalesce_land */
};

struct coalesce_waiter {
	/* Set by the caller before coalesce_ask, and left alone until the waiter is out. */
	struct hash128 fingerprint;
	const int64_t *required; /* [partitions], as core/token.h; NULL: nothing */
	int32_t partitions;
	int64_t deadline_ms;
	/* Of what coalesce_land returns. */
	enum coalesce_verdict verdict;
	struct coalesce_waiter *next;
	/* The core's own. */
	uint64_t arrived;
	uint64_t fired; /* leading: when, in the same order; 0: joined */
	int64_t fired_ms;
	bool listed;
	bool served; /* joined a flight that was fired for it */
	size_t joined_len;
	struct coalesce_waiter *joined_first;
	struct coalesce_waiter **joined_end;
	struct coalesce_waiter *newer;
	struct coalesce_waiter *older;
};

struct coalesce;

/* NULL when out of memory. */
struct coalesce *coalesce_new(int64_t window_ms);
/* No flight may be in the air. */
void coalesce_free(struct coalesce *coalesce);

enum coalesce_place {
	COALESCE_PLACE_FIRED = 1, /* start a flight for it, which lands with coalesce_land; others may join */
	COALESCE_PLACE_ALONE,     /* the same, but nobody joins */
	COALESCE_PLACE_JOINED     /* what coalesce_land returns will have it */
};

enum coalesce_place coalesce_ask(struct coalesce *coalesce, struct coalesce_waiter *waiter, int64_t now_ms);

struct coalesce_landing {
	int64_t now_ms;
	bool failed;            /* an error, which covers nothing and is shared */
	const int64_t *covered; /* [partitions]; NULL: nothing */
};

/* The flight that `leader` fired has landed. Returns the leader and its waiters as a list (`next`), each with its
 * verdict. What is to be answered or refused is out; what is to be fired leads a flight already: start them
 * all. */
struct coalesce_waiter *coalesce_land(struct coalesce *coalesce, struct coalesce_waiter *leader,
                                      const struct coalesce_landing *landing);

#endif
