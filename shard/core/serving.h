/*
 * Serving: which replica answers, and what becomes of a question over several.
 *
 * A replica serves if it is level since its session began (REPLICA_STATE_ACTIVE)
 * and the topology that this node has read records it so: its entry is active
 * and in-sync, for its own incarnation or for none yet. Any other replica is
 * `recovering` to whoever asks, and answers only those who accept stale
 * answers. So a replica that was taken out while it could not notice answers
 * nothing that its siblings have passed, and one that came back empty nothing
 * before the record knows its new incarnation.
 *
 * A question may name what a shard must have received. While all its shards
 * serve and some have received too little it waits, and is answered as soon as
 * they have; when its time is up the shards that still lack it are `behind`.
 * A shard that does not serve is not waited for: another node may.
 *
 * Pure functions of what the shell has seen; nothing is kept.
 */
#ifndef MILLRACE_SHARD_CORE_SERVING_H
#define MILLRACE_SHARD_CORE_SERVING_H

#include "shard/core/holdings.h"
#include "shard/core/replica.h"

enum serving {
	SERVING_ACTIVE = 1, /* answers */
	SERVING_RECOVERING,
	SERVING_BEHIND,  /* it serves, but has not received what is asked for */
	SERVING_STOPPED, /* damaged, or kept closed */
	SERVING_ABSENT,  /* no such replica here */
	SERVINGS
};

/* "active", "recovering", "behind", "stopped", "absent". */
const char *serving_name(enum serving serving);

/* Whether the record lets this node's replica of the shard, of this incarnation, serve. */
bool serving_recorded(const struct catalog *catalog, const char *node, const struct holding *holding,
                      struct incarnation incarnation);

/* One shard of a question. */
struct serving_shard {
	bool held;                /* on this node, open or closed */
	enum replica_state state; /* STOPPED if it is kept closed */
	bool recorded;            /* serving_recorded */
	int64_t received;
	int64_t wanted; /* must have received this; 0: whatever it has */
};

/* `stale`: the asker accepts a recovering replica; what it has received is asked for all the same. */
enum serving serving_of(const struct serving_shard *shard, bool stale);

/* A wait ends so long before the deadline, that the asker can still go elsewhere. */
#define SERVING_TAIL_MS 50
/* No wait is longer, whatever the deadline. */
#define SERVING_WAIT_MS_MAX 10000

enum serving_verdict {
	SERVING_VERDICT_ANSWER = 1,
	SERVING_VERDICT_WAIT,
	SERVING_VERDICT_REFUSE, /* 410, naming each shard that does not serve */
	SERVING_VERDICT_DROP    /* the deadline has passed: nobody waits for the answer */
};

struct serving_terms {
	bool stale;
	bool may_wait; /* there is room for one more that waits */
	int64_t arrived_ms;
	int64_t deadline_ms; /* INT64_MAX: none */
	int64_t now_ms;
};

enum serving_verdict serving_decide(const struct serving_shard *shards, size_t len,
                                    const struct serving_terms *terms);
/* Until when a question with these terms waits at the latest. */
int64_t serving_wait_until(const struct serving_terms *terms);

#endif
