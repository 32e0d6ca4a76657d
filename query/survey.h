/*
 * Survey: every node is asked once what it holds, for counts of documents.
 *
 * Like a flight (flight.h), with one round, no retries and a fold instead of a
 * merge: the exchange is answered when the last node has answered or failed,
 * at the latest after query.timeout_ms. A shard that no node reports is named
 * in X-Millrace-Degraded; with query.degraded = error the answer is 503.
 */
#ifndef MILLRACE_QUERY_SURVEY_H
#define MILLRACE_QUERY_SURVEY_H

#include "query/gateway.h"

/* GET /stats, or with `one_index` GET /indexes/{uid}/stats; answers the exchange in every case. */
void survey_start(const struct exchange *exchange, bool one_index);

#endif
