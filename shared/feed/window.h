/*
 * Window: which identities occurred where in one shard's log.
 *
 * What it holds are facts about the log: "at offset o stands a record with
 * this identity, which decodes to this operation". It knows all of them for
 * the offsets [low, high) that it covers, whether the records were applied or
 * not; so its verdicts are a function of the log alone. A rewind, a replay, a
 * second reader or a zombie change nothing, and it can be thrown away and
 * filled again, from the log or from a replica that stands where it ends.
 *
 * A record at o is judged by the last occurrence of its identity in
 * [o − length, o): none, it is new; the same operation, it is a duplicate;
 * another one, its identity is used again for something else. An occurrence
 * at o itself is the record's own: a replay is no duplicate.
 *
 * Facts are learnt in the order of the log. Those of each WINDOW_LEAF offsets
 * become a leaf: sorted by identity, in blocks of 4 KB with a checksum each,
 * written once into the store and never changed, dropped as a whole. In memory
 * stay the facts of the newest offsets, and of each leaf the first fact of
 * every block and a blocked Bloom filter (Putze, Sanders, Singler 2007; 12 bits
 * a fact, 6 of a 64-byte block), so that a new identity, which is the rule,
 * seldom reads the store and then one block.
 *
 * Cost: 32 bytes a fact in the store, 1.8 in memory; up to 3.2 MB of memory
 * for the newest offsets. Without identities it costs nothing but itself.
 *
 * Pure core; the store is the caller's. Owner: one thread.
 */
#ifndef MILLRACE_FEED_WINDOW_H
#define MILLRACE_FEED_WINDOW_H

#include "shared/base/error.h"
#include "shared/base/hash.h"

#ifndef WINDOW_LEAF /* the simulation has shorter logs */
#define WINDOW_LEAF 65536
#endif

struct occurrence {
	int64_t offset;
	struct hash128 identity;
	uint64_t operation; /* digest of what the record decodes to */
};

/* Where leaves are kept, by their number. A cache: it may fail, and then the window has failed. */
struct window_store {
	void *context;
	/* Keeps a copy, in place of what it had. */
	int (*put)(void *context, int64_t leaf, struct slice bytes, struct error *error);
	/* Borrowed until the next call; ERROR_NOT_FOUND. */
	int (*get)(void *context, int64_t leaf, struct slice *bytes, struct error *error);
	void (*drop)(void *context, int64_t leaf);
};

struct window;

/* Covers nothing: [low, low). The store's leaves of this window are replaced as they come. NULL when out of memory. */
struct window *window_new(const struct window_store *store, int64_t length, int64_t low);
/* Drops its leaves. NULL does nothing. */
void window_free(struct window *window);

int64_t window_low(const struct window *window);
int64_t window_high(const struct window *window);

/* The next fact; one below `high` is known already. ERROR_MEMORY, or the store's: nothing changed. */
int window_learn(struct window *window, const struct occurrence *occurrence, struct error *error);
/* There is no other fact below `high`. Fails as window_learn does. */
int window_cover(struct window *window, int64_t high, struct error *error);
/* Lets go of leaves below `low`, which becomes that, or lower by less than a leaf. */
void window_trim(struct window *window, int64_t low);

enum window_verdict {
	WINDOW_VERDICT_NEW = 1,
	WINDOW_VERDICT_DUPLICATE,
	WINDOW_VERDICT_REUSED /* dead letter idempotency_key_reused */
};

/* True if records at `offset` can be judged: the window covers all that matters, which begins at `base` at the
 * earliest. */
bool window_covers(const struct window *window, int64_t offset, int64_t base);
/* `previous` (may be NULL) is the occurrence that decided, unless NEW. The offset must be covered. ERROR_DAMAGED: fill
 * another window; or the store's. */
int window_judge(const struct window *window, const struct occurrence *occurrence,
                 enum window_verdict *verdict, int64_t *previous, struct error *error);

size_t window_memory(const struct window *window); /* bytes */
size_t window_stored(const struct window *window); /* bytes in the store */

#endif
