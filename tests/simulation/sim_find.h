/*
 * Sim find: what a node finds in a replica as it is, by all words of a query,
 * the last one a prefix unless a blank follows it, in insertion order.
 *
 * A module of its own: gateways have a struct search_request as nodes do, and
 * the simulation includes both.
 */
#ifndef MILLRACE_TESTS_SIMULATION_SIM_FIND_H
#define MILLRACE_TESTS_SIMULATION_SIM_FIND_H

#include "shard/core/snapshot.h"

int sim_find(struct replica *replica, const char *query, const struct document_request *request,
             struct document_page *page, struct error *error);

#endif
