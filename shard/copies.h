/*
 * Copies: what others are copying from this node right now (core/copy.h).
 *
 * Each is kept under an id of its own, so that whoever copies asks for one page
 * after the other; who has them all says so. What nobody asked for in
 * COPIES_IDLE_MS is let go, and so is what belongs to a replica that goes. At
 * most COPIES_MAX at once, those included whose heads are being read: a head is
 * long, and no memory is set aside for it.
 *
 * Any thread; one lock, held for a lookup only. Who takes a source holds a view
 * of its replica (shelf.h), so that the store stays open, and lets go of the
 * source first.
 */
#ifndef MILLRACE_SHARD_COPIES_H
#define MILLRACE_SHARD_COPIES_H

#include "shard/core/copy.h"

#define COPIES_MAX 4
#define COPIES_IDLE_MS 60000

struct copies;

/* What is copied, of which replica. */
struct copies_key {
	uint64_t id;
	uint64_t index_id;
	int32_t partition;
};

struct copies *copies_new(void);
/* Nothing is kept any more. */
void copies_free(struct copies *copies);
/* Takes a place for a copy whose head is to be read; copies_add or copies_give_up follows. False if there is none. */
bool copies_begin(struct copies *copies);
void copies_give_up(struct copies *copies);
/* Keeps one more reference to it, in the place that was taken. */
void copies_add(struct copies *copies, const struct copies_key *key, struct copy_source *source,
                int64_t now_ms);
/* A reference for the caller; NULL if it is gone. */
struct copy_source *copies_take(struct copies *copies, const struct copies_key *key, int64_t now_ms);
/* Lets go of this one; false if it is gone already. */
bool copies_end(struct copies *copies, const struct copies_key *key);
/* Lets go of what is idle; how many those were. */
size_t copies_expire(struct copies *copies, int64_t now_ms);
/* Lets go of all of one replica; how many those were. */
size_t copies_drop(struct copies *copies, uint64_t index_id, int32_t partition);

#endif
