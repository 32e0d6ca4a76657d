/*
 * Facets of a snapshot: which values some of its documents have in an
 * attribute, and how many of them have each.
 *
 * Values are those of values.h, numbers by size, then folded strings bytewise;
 * "" folded is none. Counts are exact. A document that has a value twice
 * counts once. Strings longer than a key are told by their beginning and
 * counted apart; those that agree in their beginning come in an order that is
 * fixed for a snapshot and means nothing.
 *
 * Keys do not hold how a string was spelled: `number` is a document where that
 * stands. Smallest and largest number of facetStats are the first and the last
 * NUMBER that is given.
 *
 * Documents of segments that do not cover the attribute are read, and their
 * keys made for the one call (`bodies` says how many); else nothing is read but
 * every key of the attribute, and every list. Memory: what is made.
 *
 * One transaction a call, on any thread; `words` is the calling thread's.
 * Failure: as in snapshot.h.
 */
#ifndef MILLRACE_SHARD_CORE_SNAPSHOT_FACETS_H
#define MILLRACE_SHARD_CORE_SNAPSHOT_FACETS_H

#include "shard/core/postings.h"
#include "shard/core/snapshot.h"
#include "shard/core/values.h"

struct facet_request {
	struct words *words;
	struct slice path;
	const struct postings *within; /* live documents */
};

/* A value that documents have. */
struct facet {
	struct value value; /* its attribute means nothing */
	uint64_t documents; /* at least 1 */
	uint64_t number;    /* the first of them */
};

struct facet_visitor {
	/* By rising value, borrowed until it returns. False: enough. */
	bool (*visit)(void *context, const struct facet *facet);
	void *context;
};

int snapshot_facets(const struct snapshot *snapshot, const struct facet_request *request,
                    const struct facet_visitor *visitor, uint64_t *bodies, struct error *error);

#endif
