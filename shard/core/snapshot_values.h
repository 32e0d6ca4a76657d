/*
 * Values of a snapshot: which of its live documents have a value in an
 * attribute, and the values that an attribute has, in order.
 *
 * A snapshot answers for an attribute if it was among the replica's when the
 * snapshot was taken and all of its segments cover it. Documents are numbers,
 * live ones alone.
 *
 * Each call reads in a transaction of its own, as those of snapshot.h do, on
 * any thread. Failure: as there.
 */
#ifndef MILLRACE_SHARD_CORE_SNAPSHOT_VALUES_H
#define MILLRACE_SHARD_CORE_SNAPSHOT_VALUES_H

#include "shard/core/postings.h"
#include "shard/core/snapshot.h"
#include "shard/core/values.h"

/* The number that keys of this path begin with; false if the snapshot does not answer for it. */
bool snapshot_attribute(const struct snapshot *snapshot, struct slice path, uint16_t *number);

/* Adds the documents that have the key: equality, EXISTS, NULL, EMPTY. */
int snapshot_value(const struct snapshot *snapshot, const struct value_key *key, struct postings *numbers,
                   struct error *error);

/* Keys of one attribute: those at or above `from` and at or below `to`, bytewise. A key of value_key_kind as `to`
 * has none of the kind's keys below it: whoever wants all NUMBERs goes up to value_key_kind of STRING. */
struct value_range {
	struct value_key from;
	struct value_key to;
};

/* Adds the documents that have a key of the range. */
int snapshot_values(const struct snapshot *snapshot, const struct value_range *range,
                    struct postings *numbers, struct error *error);

struct value_visitor {
	/* A key, and which of the documents have it, at least one; both borrowed until it returns, and `numbers` may be
	 * changed. False: enough. */
	bool (*visit)(void *context, struct slice key, struct postings *numbers);
	void *context;
};

/* The keys of a range in rising order that documents of `within` (NULL: all) have. */
int snapshot_values_walk(const struct snapshot *snapshot, const struct value_range *range,
                         const struct postings *within, const struct value_visitor *visitor,
                         struct error *error);

#endif
