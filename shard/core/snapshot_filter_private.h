/*
 * What the files of snapshot_filter.h share: one call, and what is known of a
 * condition.
 */
#ifndef MILLRACE_SHARD_CORE_SNAPSHOT_FILTER_PRIVATE_H
#define MILLRACE_SHARD_CORE_SNAPSHOT_FILTER_PRIVATE_H

#include "shard/core/snapshot_filter.h"
#include "shard/core/values_sources.h"

/* The documents that a condition holds for, or, inverted, does not; of those that are open nobody knows yet. Numbers of
 * no live document may stand in both. */
struct verdict {
	struct postings sure;
	struct postings open; /* none of the sure ones */
	bool inverted;
};

struct filtering {
	const struct snapshot *snapshot;
	struct words *words;
	struct reading reading;
	struct values_sources sources;
	struct postings *listed; /* the live documents of each source, where they were needed */
	struct filter_cost cost;
	struct error *error;
};

/* The live documents of the i-th source. */
int filtering_listed(struct filtering *filtering, size_t i, const struct postings **numbers,
                     struct error *error);
/* What keys say of a condition, into an empty verdict. */
int filtering_condition(struct filtering *filtering, const struct filter *filter, struct verdict *verdict,
                        struct error *error);

#endif
