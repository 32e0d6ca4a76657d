/*
 * Multi: the searches of one POST /multi-search, from the parsed request to
 * the answer.
 *
 * Each query is a flight of its own; all of them are in the air at once. When
 * the last one has landed the exchange is answered: with their answers side by
 * side, or as a federated list with one. What the queries of an index count
 * together, where one of them cannot say it (federation_is_counted_apart), is
 * one more flight an index, which begins when all of these have landed. One that
 * is refused refuses the whole, the first of them by place. Each flight counts
 * for FLIGHTS_MAX.
 *
 * A consistency token speaks of one index: a request with one is refused, and
 * the answer has none. X-Millrace-Degraded names what any of the queries lacks.
 *
 * Safe to call from any thread; answers its exchange exactly once, at once or
 * later.
 */
#ifndef MILLRACE_QUERY_MULTI_H
#define MILLRACE_QUERY_MULTI_H

#include "query/core/multi_search_request.h"
#include "query/gateway.h"

/* What `request` points to may live in `arena`; it is taken over in every case. */
void multi_search(const struct exchange *exchange, const struct multi_search_request *request,
                  struct arena *arena);

#endif
