/*
 * Office rebuild: how much of what an index's sources had is not imported,
 * and what of its predecessor's log they do not bring back.
 *
 * When it is asked for an index for the first time in a term, it notes where
 * every partition of its sources ends; what was committed by the sources'
 * groups is compared with those ends, then and later. Where the predecessor's
 * log shows a later record of a partition, its end rises to behind that one.
 * Other sources and topics that appear afterwards do not count. Blocks for
 * Kafka's answers.
 *
 * The predecessor's log is read from its base, a bounded time at once: every
 * record that would be applied must have an origin at or above the start of
 * its topic's partition as it was noted. What a later term notes may begin
 * later, so it may call lost what an earlier one has imported, never the other
 * way round. An origin does not say which topic of that name it comes from: of
 * one that was created again the offsets alone are compared.
 *
 * Owner: the office's thread. Bound: REBUILD_PLACES_MAX partitions an index,
 * REBUILDS_MAX indexes.
 */
#ifndef MILLRACE_REBALANCE_OFFICE_REBUILD_H
#define MILLRACE_REBALANCE_OFFICE_REBUILD_H

#include "rebalance/core/controller.h"
#include "shared/log/log.h"

#define REBUILD_PLACES_MAX 8192

struct rebuild_ends;

/* NULL when out of memory; the configuration is borrowed. */
struct rebuild_ends *rebuild_ends_new(const struct config *config);
void rebuild_ends_free(struct rebuild_ends *ends);
/* Offsets below the noted ends that are not committed. */
int rebuild_ends_ask(struct rebuild_ends *ends, struct log_connection *connection,
                     const struct index_record *index, int64_t *remaining, struct error *error);
/* Carries out ASK_LOSS. */
int rebuild_ends_judge(struct rebuild_ends *ends, struct log_connection *connection,
                       const struct controller_action *action, struct controller_result *result);
/* Forgets what is not in the making any more. */
void rebuild_ends_keep(struct rebuild_ends *ends, const struct catalog *catalog);

#endif
