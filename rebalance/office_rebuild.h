/*
 * Office rebuild: how much of what an index's sources had is not imported.
 *
 * When it is asked for an index for the first time in a term, it notes where
 * every partition of its sources ends; what was committed by the sources'
 * groups is compared with those ends, then and later. Sources and topics that
 * appear afterwards do not count. Blocks for Kafka's answers. Owner: the
 * office's thread. Bound: REBUILD_PLACES_MAX partitions an index, REBUILDS_MAX
 * indexes.
 */
#ifndef MILLRACE_REBALANCE_OFFICE_REBUILD_H
#define MILLRACE_REBALANCE_OFFICE_REBUILD_H

#include "shared/log/log.h"
#include "shared/meta/catalog.h"

#define REBUILD_PLACES_MAX 8192

struct rebuild_ends;

struct rebuild_ends *rebuild_ends_new(void); /* NULL when out of memory */
void rebuild_ends_free(struct rebuild_ends *ends);
/* Offsets below the noted ends that are not committed. */
int rebuild_ends_ask(struct rebuild_ends *ends, struct log_connection *connection,
                     const struct index_record *index, int64_t *remaining, struct error *error);

#endif
