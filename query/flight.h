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
 * them; that window is bounded by LIST_WINDOW_MAX. On one node there is no
 * such bound on the offset, as the node cuts the page; limit is always bounded.
 */
#ifndef MILLRACE_QUERY_FLIGHT_H
#define MILLRACE_QUERY_FLIGHT_H

#include "query/core/route_request.h"
#include "query/core/search_request.h"
#include "query/gateway.h"

#define LIST_WINDOW_MAX 10000

/* The strings of `request` may live in `arena`, which the flight takes over in every case, as it does
 * the exchange's request: it is answered. `segments` of the exchange name the index and the document. */
void flight_search(const struct exchange *exchange, const struct search_request *request,
                   struct arena *arena);
void flight_list(const struct exchange *exchange, const struct listing_request *request, struct arena *arena);
void flight_get(const struct exchange *exchange, const struct listing_request *request, struct arena *arena);

#endif
