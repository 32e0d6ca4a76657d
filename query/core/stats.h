/*
 * Stats: how many documents an index has, counted from what nodes report.
 *
 * Every node is asked GET /shards once and answers
 *   {"node":"n1","shards":[{"index":"<16 hex>","partition":0,"documents":N,
 *     "body_bytes":N,"received":N,"log_end":N,…}]}
 * Of a shard's replicas the one that has received most counts. A shard that
 * nobody reports is missing, and the answer says so.
 *
 * Untrusted text; a malformed answer is an error and counts for nothing.
 * Bounds: STATS_SHARDS_MAX shards. Pure core; one thread at a time.
 */
#ifndef MILLRACE_QUERY_CORE_STATS_H
#define MILLRACE_QUERY_CORE_STATS_H

#include "shared/base/arena.h"
#include "shared/meta/catalog.h"

#define STATS_SHARDS_MAX 65536

struct stats;

/* NULL when out of memory. `index` NULL: all indexes. */
struct stats *stats_new(const struct index_record *index, struct arena *arena);
int stats_add(struct stats *stats, struct slice text, struct error *error);

struct index_stats {
	int64_t documents;
	int64_t body_bytes;
	bool indexing; /* some replica has not received its log's end */
	int32_t missing;
	int32_t first_missing;
};

/* The sum over the index's shards. */
void stats_of_index(const struct stats *stats, const struct index_record *index, struct index_stats *out);

#endif
