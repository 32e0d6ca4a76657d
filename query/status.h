/*
 * Status desk: answers GET /status of the admin listener.
 *
 * One thread, because Kafka is asked by calls that block: who is in the groups
 * of controllers and ingest workers, where the logs end, what was committed.
 * Meanwhile the nodes, the recorded controller and then the members of the
 * groups are asked over HTTP, all at once. What has not answered after
 * STATUS_PROGRAM_MS is told as such and never waited for; a Kafka that does
 * not answer is asked once, for STATUS_KAFKA_MS. What comes of it is
 * core/cluster_report.h.
 *
 * A worker or controller is found by the client id with which it joined its
 * group, `millrace-ingest@HOST:PORT` and `millrace-rebalance.ORDER@HOST:PORT`:
 * its admin listener. A wildcard HOST stands for the address it is connected
 * from.
 *
 * Bounds: STATUS_WAITING_MAX requests wait, answered one after the other;
 * further ones get 503. The connection to Kafka is opened when it is first
 * needed.
 */
#ifndef MILLRACE_QUERY_STATUS_H
#define MILLRACE_QUERY_STATUS_H

#include "query/gateway.h"

#define STATUS_PROGRAM_MS 1500
#define STATUS_KAFKA_MS 1500
#define STATUS_WAITING_MAX 16

struct status_desk;

/* `config` and `gateway` (its client and view) outlive the desk. */
int status_desk_open(const struct config *config, struct gateway *gateway, struct status_desk **desk,
                     struct error *error);
/* Ends the thread after the request it is at; the waiting ones get 503. The HTTP client still runs. */
void status_desk_close(struct status_desk *desk);
/* Answers the exchange in every case, later. Any thread. */
void status_ask(struct status_desk *desk, const struct exchange *exchange);

#endif
