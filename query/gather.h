/*
 * Gather: searches that may share a flight, between routes and flights.
 *
 * The shell around core/coalesce: it keeps the exchanges that wait, starts the
 * flights that the core wants, and answers every waiter of a flight from its one
 * outcome, each with a copy of the body. What is shared is shared whole:
 * requestUid and processingTimeMs are the flight's; X-Request-Id tells the
 * requests apart. The nodes see the X-Request-Id of the request that fired.
 *
 * A request's index is resolved and its token understood before it may wait, so an
 * index that this gateway has seen deleted or created again never answers it from
 * its former life. A waiter that is fired anew keeps the index it came for.
 *
 * Metric millrace_search_coalesced_total{result}: `fired` and `alone` count flights
 * (that others could join or could not), `joined` the requests that joined one. A
 * request that joined in vain and was fired anew counts in both.
 *
 * Thread-safe: the core stands behind one lock, which is never held while a flight
 * is started or a client answered. Bounds: those of core/coalesce.h and of flights.
 */
#ifndef MILLRACE_QUERY_GATHER_H
#define MILLRACE_QUERY_GATHER_H

#include "query/core/search_request.h"
#include "query/gateway.h"

struct gather;

/* Declares the metric: once a process. A window of 0: nothing is shared. */
int gather_open(int64_t window_ms, struct gather **gather, struct error *error);
/* Every flight must have ended. NULL does nothing. */
void gather_close(struct gather *gather);

/* Answers the exchange, whose segments name the index, now or later. What `request` points to may live in
 * `arena`, which is taken over in every case. */
void gather_search(struct gather *gather, const struct exchange *exchange,
                   const struct search_request *request, struct arena *arena);

#endif
