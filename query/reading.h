/*
 * Reading: one client's read of an index, from its parsed request to its
 * answer.
 *
 * Resolves the index that the path names, reads the client's consistency token,
 * starts a flight, and answers the exchange with the flight's outcome. Searches
 * go to gather.h, which does the same for many at once, and several at once to
 * multi.h. Safe to call from any thread; every
 * function answers its exchange exactly once, at once or later.
 */
#ifndef MILLRACE_QUERY_READING_H
#define MILLRACE_QUERY_READING_H

#include "query/core/documents_request.h"
#include "query/flight.h"

/* The strings of `request` may live in `arena`, which is taken over in every case. `segments` of the exchange
 * name the index and the document. */
void reading_documents(const struct exchange *exchange, const struct documents_request *request,
                       struct arena *arena);
/* How a search goes, without its hits. */
void reading_explain(const struct exchange *exchange, const struct search_request *request,
                     struct arena *arena);
void reading_facet(const struct exchange *exchange, const struct facet_search_request *request,
                   struct arena *arena);
void reading_get(const struct exchange *exchange, const struct listing_request *request, struct arena *arena);

/* Answers with an outcome, moving its body out. `started_us` (monotonic) is when the client's request was parsed. */
void reading_respond(const struct exchange *exchange, enum flight_kind kind, int64_t started_us,
                     struct flight_outcome *outcome);

#endif
