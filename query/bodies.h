/*
 * Bodies: answers about indexes, tasks and counts, which need the wall clock's
 * format. Writers append and never fail; check buffer_failed once.
 */
#ifndef MILLRACE_QUERY_BODIES_H
#define MILLRACE_QUERY_BODIES_H

#include "query/core/stats.h"
#include "query/core/task_history.h"
#include "shared/base/buffer.h"

/* {"uid","createdAt","updatedAt","primaryKey"}, and with a catalog, for the admin listener, also id, generation, topic,
 * partitions, partitioner, contract, dedupWindow, sources and, while there is one in the making, rebuilding: the
 * generation that will have its name. */
void body_index(struct buffer *body, const struct catalog *catalog, const struct index_record *index);
/* {"results":[…],"offset","limit","total"} over the names of the catalog, bytewise. */
struct listing_request;
void body_indexes(struct buffer *body, const struct catalog *catalog, const struct listing_request *request,
                  bool admin);
void body_task(struct buffer *body, const struct task_entry *entry);
/* The answer to an accepted request that changes something. */
void body_accepted(struct buffer *body, int64_t task, const struct task_request *request);
void body_index_stats(struct buffer *body, const struct index_stats *stats);
void body_stats(struct buffer *body, const struct catalog *catalog, const struct stats *stats);

#endif
