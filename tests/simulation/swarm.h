/*
 * Swarm: what a schedule's world is like, drawn before anything happens:
 * which faults exist in it at all and how often, how large everything is,
 * how long things take. Most schedules lack most faults; that is what lets
 * the others come to their end (Groce and others, "Swarm testing", 2012).
 */
#ifndef MILLRACE_TESTS_SIMULATION_SWARM_H
#define MILLRACE_TESTS_SIMULATION_SWARM_H

#include "shared/feed/feeder.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/tally.h"

#define SHARDS_MAX 3
#define SIM_NODES_MAX 4
#define INGESTS_MAX 2
#define GATEWAYS_MAX 2
#define CONTROLLERS_MAX 2
#define PROCESSES_MAX (SIM_NODES_MAX + INGESTS_MAX + GATEWAYS_MAX + CONTROLLERS_MAX)

struct swarm {
	bool lean;
	uint32_t shards;
	uint32_t nodes;
	uint32_t rf; /* at most nodes */
	uint32_t ingests;
	uint32_t gateways;
	uint32_t controllers; /* 0: by script */
	enum partitioner partitioner;

	uint32_t documents; /* different ids a shard */
	uint32_t records;   /* a shard */
	int64_t produce_ms_max;
	uint32_t hole_permille;
	uint32_t leap_permille; /* to around the next seal, or beyond it */
	uint32_t marker_permille;
	uint32_t delete_permille;
	uint32_t refuse_permille;

	uint32_t contract;
	int64_t dedup_window;
	uint32_t merge_permille;
	uint32_t exists_permille;
	uint32_t barrier_permille;
	uint32_t identity_permille;
	uint32_t import_permille;
	uint32_t repeat_permille;
	uint32_t conflict_permille; /* of what is repeated */
	uint32_t deadly_max;        /* records a shard that end whoever decodes them */
	uint32_t fill_refused_permille;
	uint32_t shelf_full_permille;
	uint32_t shelf_failed_permille;
	uint32_t shelf_damaged_permille;
	bool other_rules; /* one ingest believes in another window than is recorded */
	int64_t other_window;

	struct feeder_options feeder;
	uint32_t read_max; /* records a read */
	size_t node_memory_bytes;
	int64_t store_ms_max;
	int64_t job_ms_max; /* between the steps of a store */
	uint32_t search_permille;

	int64_t follow_ms_max;           /* until a program has read a record of meta or topology */
	int64_t mark_ms_max;             /* between two looks at a shard; between a look and its record */
	uint32_t mark_permille;          /* of looks that take a replica out without need, or move one */
	uint32_t write_unknown_permille; /* of a controller's acts: done, but it does not hear of it */
	int64_t request_ms_max;
	int64_t ask_ms_max; /* between two searches of a gateway */
	uint32_t token_permille;
	int64_t window_ms; /* in which searches wait together */
	int64_t final_ms_max;

	int64_t delay_ms_max;
	uint32_t lost_permille;
	uint32_t half_open_permille;
	uint32_t twice_permille;
	uint32_t replay_permille;

	int64_t letter_ms_max;
	uint32_t letter_failed_permille;
	uint32_t letter_unknown_permille;
	uint32_t commit_lost_permille;

	bool faults[FAULTS]; /* which of those that fault_ms_max drives exist */
	int64_t fault_ms_max;
	int64_t safety_ms;
};

/* `contract` 0: drawn too, and by dice of its own, so that the rest of a seed's world does not depend on it. */
void swarm_draw(struct swarm *swarm, struct dice *dice, uint64_t seed, uint32_t contract);

#endif
