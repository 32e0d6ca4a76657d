/*
 * Requesting: a request that changes something, on its way into `tasks`.
 *
 * It is answered when Kafka has acknowledged it, with 202 and its taskUid, on
 * the producer's thread; or with 503 where Kafka did not take it. Bound:
 * TASK_RECORD_BYTES_MAX. Any thread.
 */
#ifndef MILLRACE_QUERY_REQUESTING_H
#define MILLRACE_QUERY_REQUESTING_H

#include "query/gateway.h"

/* Appends the request, completed with nonce and time, and answers the exchange. What the request owns stays the
 * caller's, who may free it at once. */
void requesting_append(const struct exchange *exchange, const struct task_request *request);

#endif
