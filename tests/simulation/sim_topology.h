/*
 * Simulated meta and topology: append-only topics, and every program's own
 * lagging view of them. (Tasks and their states are topics too; only
 * controllers read them.)
 *
 * A program reads everything that is visible when it starts, and acts only
 * then; after that each record reaches it at its own time, in the order of
 * its topic, the two topics independently. A view is the catalog that the
 * records read so far fold to. Owner: one thread.
 */
#ifndef MILLRACE_TESTS_SIMULATION_SIM_TOPOLOGY_H
#define MILLRACE_TESTS_SIMULATION_SIM_TOPOLOGY_H

#include "shared/meta/catalog.h"

enum sim_topic_number {
	SIM_TOPIC_META = 0,
	SIM_TOPIC_TOPOLOGY,
	SIM_TOPIC_TASKS,
	SIM_TOPIC_TASK_STATES,
	SIM_TOPICS
};

#define SIM_FOLLOWED 2 /* the first topics: by everybody */

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
	size_t at[SIM_FOLLOWED]; /* records read */
};

#endif
