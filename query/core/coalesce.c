#include "query/core/coalesce.h"

#include "query/core/token.h"
#include "shared/base/assert.h"
#include "shared/base/knockout.h"

#include <stdlib.h>

#define BUCKETS 1024

struct coalesce {
	int64_t window_ms;
	uint64_t order; /* of the last arrival or firing */
	size_t flying;
	size_t joined;
	struct coalesce_waiter *buckets[BUCKETS]; /* flights that may be joined, the newest first */
};

struct hash128 coalesce_fingerprint(const struct search_request *request, const struct coalesce_scope *scope)
{
	struct hash128 asked = hash128_of(request->asked, scope->seed);
	struct hash128 embedder = hash128_of(request->embedder, scope->seed);
	struct hash128 authorization = hash128_of(scope->authorization, scope->seed);
	uint64_t words[] = {scope->index_id,
	                    (uint64_t)scope->generation,
	                    (uint64_t)scope->settings_version,
	                    authorization.low,
	                    authorization.high,
	                    asked.low,
	                    asked.high,
	                    request->kind,
	                    embedder.low,
	                    embedder.high,
	                    request->by_page,
	                    request->by_page ? request->page : request->offset,
	                    request->by_page ? request->hits_per_page : request->limit};

	return hash128_of(slice_of(words, sizeof words), scope->seed);
}

struct coalesce *coalesce_new(int64_t window_ms)
{
	struct coalesce *coalesce = calloc(1, sizeof *coalesce);

	if (coalesce != NULL)
		coalesce->window_ms = window_ms;
	return coalesce;
}

void coalesce_free(struct coalesce *coalesce)
{
	if (coalesce == NULL)
		return;
	ASSERT(coalesce->flying == 0 && coalesce->joined == 0);
	free(coalesce);
}

/* ---- flights ---- */

static struct coalesce_waiter **bucket_of(struct coalesce *coalesce, struct hash128 fingerprint)
{
	return &coalesce->buckets[fingerprint.low % BUCKETS];
}

static void list(struct coalesce *coalesce, struct coalesce_waiter *leader)
{
	struct coalesce_waiter **bucket = bucket_of(coalesce, leader->fingerprint);

	leader->newer = NULL;
	leader->older = *bucket;
	if (leader->older != NULL)
		leader->older->newer = leader;
	*bucket = leader;
	leader->listed = true;
}

static void unlist(struct coalesce *coalesce, struct coalesce_waiter *leader)
{
	if (leader->newer != NULL)
		leader->newer->older = leader->older;
	else
		*bucket_of(coalesce, leader->fingerprint) = leader->older;
	if (leader->older != NULL)
		leader->older->newer = leader->newer;
	leader->listed = false;
}

static void fire(struct coalesce *coalesce, struct coalesce_waiter *leader, int64_t now_ms)
{
	leader->fired = ++coalesce->order;
	leader->fired_ms = now_ms;
	leader->joined_len = 0;
	leader->joined_first = NULL;
	leader->joined_end = &leader->joined_first;
	coalesce->flying++;
}

static void join(struct coalesce *coalesce, struct coalesce_waiter *leader, struct coalesce_waiter *waiter)
{
	waiter->fired = 0;
	waiter->next = NULL;
	*leader->joined_end = waiter;
	leader->joined_end = &waiter->next;
	leader->joined_len++;
	coalesce->joined++;
}

/* ---- who joins whom ---- */

/* True if the flight leaves the waiter its time, within a window, and has room. */
static bool has_place(const struct coalesce *coalesce, const struct coalesce_waiter *leader,
                      const struct coalesce_waiter *waiter)
{
	return hash128_equal(leader->fingerprint, waiter->fingerprint) &&
	       leader->joined_len < COALESCE_WAITERS_MAX && leader->deadline_ms <= waiter->deadline_ms &&
	       waiter->deadline_ms - leader->deadline_ms <= coalesce->window_ms;
}

/* A flight that the request may share now. */
static struct coalesce_waiter *find_shared(struct coalesce *coalesce, const struct coalesce_waiter *waiter,
                                           int64_t now_ms)
{
	struct coalesce_waiter *leader = *bucket_of(coalesce, waiter->fingerprint);
	size_t looked_at = 0;

	for (; leader != NULL && looked_at < COALESCE_CHOICES_MAX; leader = leader->older, looked_at++)
		if (now_ms - leader->fired_ms < coalesce->window_ms && has_place(coalesce, leader, waiter) &&
		    token_covers(waiter->required, leader->required, waiter->partitions))
			return leader;
	return NULL;
}

/* A flight that was fired after the waiter came and for exactly what it requires. */
static struct coalesce_waiter *find_own(struct coalesce *coalesce, const struct coalesce_waiter *waiter)
{
	struct coalesce_waiter *leader = *bucket_of(coalesce, waiter->fingerprint);
	size_t looked_at = 0;

	for (; leader != NULL && looked_at < COALESCE_CHOICES_MAX; leader = leader->older, looked_at++)
		if (leader->fired > waiter->arrived && has_place(coalesce, leader, waiter) &&
		    token_covers(waiter->required, leader->required, waiter->partitions) &&
		    token_covers(leader->required, waiter->required, waiter->partitions))
			return leader;
	return NULL;
}

enum coalesce_place coalesce_ask(struct coalesce *coalesce, struct coalesce_waiter *waiter, int64_t now_ms)
{
	bool alone = coalesce->window_ms <= 0 || coalesce->joined == COALESCE_JOINED_MAX;
	struct coalesce_waiter *leader = alone ? NULL : find_shared(coalesce, waiter, now_ms);

	waiter->arrived = ++coalesce->order;
	waiter->listed = false;
	waiter->served = false;
	if (leader != NULL) {
		join(coalesce, leader, waiter);
		return COALESCE_PLACE_JOINED;
	}
	fire(coalesce, waiter, now_ms);
	if (alone)
		return COALESCE_PLACE_ALONE;
	list(coalesce, waiter);
	return COALESCE_PLACE_FIRED;
}

/* ---- landing ---- */

static enum coalesce_verdict judge(const struct coalesce_waiter *waiter,
                                   const struct coalesce_landing *landing)
{
	bool leading = waiter->fired != 0;

	if (landing->failed || token_covers(landing->covered, waiter->required, waiter->partitions))
		return COALESCE_VERDICT_ANSWER;
	if (!leading && KNOCKOUT(TOKEN_IGNORED))
		return COALESCE_VERDICT_ANSWER;
	if (leading || waiter->served || landing->now_ms >= waiter->deadline_ms)
		return COALESCE_VERDICT_REFUSE;
	return COALESCE_VERDICT_FIRE;
}

struct coalesce_waiter *coalesce_land(struct coalesce *coalesce, struct coalesce_waiter *leader,
                                      const struct coalesce_landing *landing)
{
	struct coalesce_waiter *waiter = leader->joined_first;
	struct coalesce_waiter **end = &leader->next;

	ASSERT(leader->fired != 0 && coalesce->flying > 0);
	if (leader->listed)
		unlist(coalesce, leader);
	coalesce->flying--;
	leader->verdict = judge(leader, landing);
	while (waiter != NULL) {
		struct coalesce_waiter *following = waiter->next;
		struct coalesce_waiter *own = NULL;

		coalesce->joined--;
		waiter->verdict = judge(waiter, landing);
		if (waiter->verdict == COALESCE_VERDICT_FIRE) {
			own = find_own(coalesce, waiter);
			waiter->served = true;
			if (own != NULL) {
				join(coalesce, own, waiter);
			} else {
				fire(coalesce, waiter, landing->now_ms);
				list(coalesce, waiter);
			}
		}
		if (own == NULL) {
			*end = waiter;
			end = &waiter->next;
		}
		waiter = following;
	}
	*end = NULL;
	return leader;
}
