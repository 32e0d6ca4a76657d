/*
 * Tally: how often each fault happened, and how often it met work in
 * progress. A fault that only ever meets idle processes proves nothing.
 *
 * Plain numbers in memory that forked workers share; added to atomically.
 */
#ifndef MILLRACE_TESTS_SIMULATION_TALLY_H
#define MILLRACE_TESTS_SIMULATION_TALLY_H

#include <stdint.h>
#include <stdio.h>

enum fault {
	FAULT_NODE_CRASH = 0,
	FAULT_NODE_PAUSE,
	FAULT_NODE_REFORMAT,
	FAULT_NODE_OLDER,
	FAULT_ADDRESSES,
	FAULT_INGEST_CRASH,
	FAULT_INGEST_PAUSE,
	FAULT_REBALANCE,
	FAULT_NET_CUT,
	FAULT_CONTROLLER_CRASH,
	FAULT_CONTROLLER_PAUSE,
	FAULT_ELECTION,
	FAULT_LOG_TRIM,
	FAULT_LOG_TRIM_ABOVE,
	FAULT_LOG_CUT,
	FAULT_KAFKA_DOWN,
	FAULT_STORE_ERROR,
	FAULT_STORE_FULL,
	FAULT_STORE_DIE,
	FAULT_META_LOST,
	/* these are drawn where they strike, not by the fault event */
	FAULT_NET_LOST,
	FAULT_NET_HALF_OPEN,
	FAULT_NET_TWICE,
	FAULT_NET_REPLAY,
	FAULT_LETTER_FAILED,
	FAULT_LETTER_UNKNOWN,
	FAULT_COMMIT_LOST,
	FAULT_FILL_REFUSED,
	FAULT_SHELF_FULL,
	FAULT_SHELF_FAILED,
	FAULT_SHELF_DAMAGED,
	FAULTS
};

/* What was going on. */
enum work {
	WORK_ANY = 0,
	WORK_BATCH,      /* a batch in flight */
	WORK_STORE,      /* a store job between its beginning and its end */
	WORK_LETTER,     /* a dead letter not yet acknowledged */
	WORK_ANCHORING,  /* an anchor being checked */
	WORK_RECOVERING, /* a replica not yet level */
	WORK_OWNERS,     /* a shard with two owners */
	WORK_OUT,        /* a replica recorded out of sync or joining */
	WORKS
};

/* Where a dead letter stood when its feeder crashed, its range not yet received. */
enum letter_stage {
	LETTER_SENT = 0,
	LETTER_IN_TOPIC,
	LETTER_ACKED,
	LETTER_STAGES
};

#define TALLY_VERDICTS 5 /* by enum verdict */

struct tally {
	uint64_t faults[FAULTS][WORKS];
	uint64_t letters[LETTER_STAGES];
	uint64_t events;
	uint64_t records;
	uint64_t batches;
	uint64_t ranges_applied;
	uint64_t stores;
	uint64_t slices;
	uint64_t compactions; /* that ended well */
	uint64_t searches;
	uint64_t answers;           /* to searches of all shards */
	uint64_t answers_shared;    /* of them, by a flight that another search had fired */
	uint64_t answers_unflagged; /* of one shard */
	uint64_t answers_refused;
	uint64_t offices; /* taken */
	uint64_t fenced;  /* writes that were */
	uint64_t requests;
	uint64_t finals;
	uint64_t marks_out;
	uint64_t marks_in;
	uint64_t joined;
	uint64_t dropped;                  /* replicas, by a record */
	uint64_t stopped;                  /* shards that had to stop, and did */
	uint64_t seals;                    /* leaps over a seal */
	uint64_t verdicts[TALLY_VERDICTS]; /* of records that a LIVE reader took, by contract 2 */
	uint64_t fills;                    /* pages of marks asked for */
	uint64_t leaves;                   /* put into a shelf */
	uint64_t deaths;                   /* of a record */
	uint64_t skips;
	uint64_t refused_rules; /* ranges made by other rules */
};

void tally_add(uint64_t *count, uint64_t more);
const char *fault_name(enum fault fault);
void tally_print(const struct tally *tally, FILE *out);

#endif
