/*
 * Flight: one read of an index on its way through the nodes.
 *
 * The shell around core/scatter: it sends the legs through the HTTP client,
 * hands what comes back to the core, and answers the client when the core
 * finishes. No thread waits: a flight lives between the thread that starts it
 * and the HTTP client's, behind its own lock, until its answer is out and its
 * last leg has completed. Every leg carries the time that is left until
 * query.timeout_ms, so all of them complete by then.
 *
 * Search and listing answer with what they have: with shards missing the
 * answer is partial and says so in X-Millrace-Degraded, unless query.degraded
 * is `error` or no shard answered at all: then 503. A document that was not
 * found while a shard that could hold it is missing is 503, never 404.
 *
 * A listing over several nodes fetches offset+limit documents from each of
 * them; that window is bounded by LIST_LIMIT_MAX, what a node gives at once.
 * With all shards on one node that node cuts the page, and only limit is bounded
 * so, and offset by LIST_OFFSET_MAX.
 */
#ifndef MILLRACE_QUERY_FLIGHT_H
#define MILLRACE_QUERY_FLIGHT_H

#include "query/core/route_request.h"
#include "query/core/search_request.h"
#include "query/gateway.h"

#define LIST_LIMIT_MAX 1000
#define LIST_OFFSET_MAX 999000

/* The strings of `request` may live in `arena`, which the flight takes over in every case, as it does
 * the exchange's request: it is answered. `segments` of the exchange name the index and the document. */
void flight_search(const struct exchange *exchange, const struct search_request *request,
                   struct arena *arena);
void flight_list(const struct exchange *exchange, const struct listing_request *request, struct arena *arena);
void flight_get(const struct exchange *exchange, const struct listing_request *request, struct arena *arena);

#endif
