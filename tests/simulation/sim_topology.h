/*
 * Simulated meta and topology: two append-only topics, and every program's
 * own lagging view of them.
 *
 * A program reads everything that is visible when it starts, and acts only
 * then; after that each record reaches it at its own time, in the order of
 * its topic, the two topics independently. A view is the catalog that the
 * records read so far fold to. Owner: one thread.
 */
#ifndef MILLRACE_TESTS_SIMULATION_SIM_TOPOLOGY_H
#define MILLRACE_TESTS_SIMULATION_SIM_TOPOLOGY_H

#include "shared/meta/catalog.h"

#define SIM_TOPICS 2 /* by enum catalog_topic, less 1 */

struct sim_record {
	struct slice key;
	struct slice value;
};

struct sim_topic {
	struct sim_record *records;
	size_t len;
	size_t size;
	size_t visible; /* to a program that starts; fewer while records are lost */
};

struct sim_view {
	struct catalog *catalog; /* NULL: not open */
	size_t at[SIM_TOPICS];   /* records read */
};

#endif
