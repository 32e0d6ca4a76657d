/*
 * Polling: every node is asked for its shards, over and over, without
 * anybody waiting for it.
 *
 * A node is asked again CONTROLLER_POLL_MS after it was asked last, and not
 * while a question to it is on its way; a question without an answer ends
 * after POLLING_TIMEOUT_MS as a failure. What comes back, an answer or a
 * failure, is handed over by polling_next.
 *
 * The owner is one thread; the HTTP client's thread only puts answers into
 * the mailbox.
 */
#ifndef MILLRACE_REBALANCE_POLLING_H
#define MILLRACE_REBALANCE_POLLING_H

#include "rebalance/core/node_report.h"
#include "shared/config/config.h"

#define POLLING_TIMEOUT_MS 2000

struct polling;

int polling_start(const struct config *config, struct polling **polling, struct error *error);
void polling_stop(struct polling *polling);

/* Asks those of the nodes that are due; the time until the next one is, at most CONTROLLER_POLL_MS. */
int polling_ask(struct polling *polling, const struct node_record *nodes, size_t nodes_len);
/* The next report, failures included; false if there is none now. Valid until the next call. */
bool polling_next(struct polling *polling, const struct node_report **report);
/* Readable when polling_next has something. */
int polling_fd(const struct polling *polling);

#endif
