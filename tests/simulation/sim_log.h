/*
 * Simulated log: one partition of an index's topic, with everything that
 * brokers and producers do to one.
 *
 * Offsets are sparse (holes, transaction markers, leaps over whole seals),
 * the end may be a marker that no reader ever sees, the start advances on
 * its own, and the tail may be replaced (`life` counts how often; the log as
 * it was before is kept for comparison). Every entry knows, from the way it
 * was made, what it means; no product code decides that.
 *
 * A timeline (timeline.h) holds all entries ever appended in one life. Memory
 * is the arena's but for the timelines' arrays. Owner: one thread.
 */
#ifndef MILLRACE_TESTS_SIMULATION_SIM_LOG_H
#define MILLRACE_TESTS_SIMULATION_SIM_LOG_H

#include "shared/base/arena.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/swarm.h"
#include "tests/simulation/timeline.h"

#define SOURCES 3 /* partitions of topics that are imported into one shard */

/* How far a partition of a source was imported, and where an importer stands that was replaced but never ended. */
struct sim_source {
	struct origin now;
	struct origin zombie;
};

struct sim_log {
	struct timeline timeline;
	struct timeline former; /* before the tail was replaced; len 0: never */
	uint32_t life;          /* 0 or 1 */
	int64_t cut;            /* where the tail was replaced */
	int64_t base;
	int64_t start;
	int64_t end;
	int64_t committed;

	int64_t clock_ms; /* of the producers' timestamps */
	uint32_t made;
	struct sim_source sources[SOURCES];
	uint32_t deadly; /* made so far */
	uint64_t index_id;
	int32_t partition;
	const struct swarm *swarm;
	struct slice ids[DOCUMENTS_MAX];
	struct slice stranger; /* an id of another partition; empty if there is none */
	struct arena *arena;
};

void sim_log_init(struct sim_log *log, const struct swarm *swarm, struct arena *arena, struct dice *dice);
void sim_log_deinit(struct sim_log *log);
/* Some offsets more: a record, a hole, a marker, a leap. */
void sim_log_append(struct sim_log *log, struct dice *dice);
/* A record without anything before or behind it. */
void sim_log_append_record(struct sim_log *log, struct dice *dice);
void sim_log_append_marker(struct sim_log *log);
/* Everything from entry `place` on is replaced by other records. */
void sim_log_cut(struct sim_log *log, size_t place, bool recreated, struct dice *dice);
/* The first readable entry at or above `offset`, or NULL. */
const struct log_entry *sim_log_read(const struct sim_log *log, int64_t offset);
/* The entries of a life. */
const struct timeline *sim_log_timeline(const struct sim_log *log, uint32_t life);
#endif
