/*
 * Points of a snapshot: where documents are on the globe, by their `_geo`, an
 * object with a latitude and a longitude, `lat` and `lng`, in degrees: numbers,
 * or strings of a number. What is anything else is no place.
 *
 * They are found in the values of `_geo` (values.h), or, where these are not
 * kept or there are few documents among many points, in the documents.
 *
 * Cost (measured, 135,000 documents in three disk segments): 75 ns a point of the index and
 * 100 ns a document, or 3 to 30 µs a document that is read.
 *
 * One transaction a call, on any thread. Failure: as in snapshot.h.
 */
#ifndef MILLRACE_SHARD_CORE_SNAPSHOT_POINTS_H
#define MILLRACE_SHARD_CORE_SNAPSHOT_POINTS_H

#include "shard/core/postings.h"
#include "shard/core/snapshot.h"
#include "shared/filter/filter_point.h"

struct point_entry {
	uint64_t number; /* of the document */
	bool has_point;
	struct point point;
};

struct points {
	struct point_entry *list; /* by rising number */
	size_t len;
	uint64_t bodies; /* that were read */
};

/* One entry for each of `within`, live documents; they go into `arena`. */
int snapshot_points(const struct snapshot *snapshot, const struct postings *within, struct arena *arena,
                    struct points *points, struct error *error);

#endif
