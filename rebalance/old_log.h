/*
 * Old log: reads through the log of an index that a rebuild replaces, from
 * its base on, a bounded time at once, and shows every operation in it.
 *
 * The handle is open only while there is something to read. Blocks for at
 * most OLD_LOG_READ_MS and Kafka's answers. Owner: the office's thread.
 */
#ifndef MILLRACE_REBALANCE_OLD_LOG_H
#define MILLRACE_REBALANCE_OLD_LOG_H

#include "shared/log/log.h"
#include "shared/meta/catalog.h"

#define OLD_LOG_READ_MS 200

struct old_log;

typedef void old_log_show(void *context, const struct op *op);

/* Copies what it needs of the index; the configuration is borrowed. */
int old_log_new(const struct config *config, const struct index_record *index, struct old_log **log,
                struct error *error);
void old_log_free(struct old_log *log); /* NULL does nothing */
/* Reads on, and tells how many offsets are left below the ends as they are now. */
int old_log_read(struct old_log *log, struct log_connection *connection, old_log_show *show, void *context,
                 int64_t *remaining, struct error *error);

#endif
