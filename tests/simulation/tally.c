#include "tests/simulation/tally.h"

#include <inttypes.h>

static const char *const fault_names[FAULTS] = {
	[FAULT_NODE_CRASH] = "crash of a node",
	[FAULT_NODE_PAUSE] = "pause of a node",
	[FAULT_NODE_REFORMAT] = "loss of a node's disk",
	[FAULT_NODE_OLDER] = "a node's disk goes back",
	[FAULT_ADDRESSES] = "nodes' addresses swapped",
	[FAULT_NET_CUT] = "one direction of a link cut",
	[FAULT_INGEST_CRASH] = "crash of ingest",
	[FAULT_INGEST_PAUSE] = "pause of ingest",
	[FAULT_REBALANCE] = "change of owner",
	[FAULT_CONTROLLER_CRASH] = "crash of a controller",
	[FAULT_CONTROLLER_PAUSE] = "pause of a controller",
	[FAULT_ELECTION] = "another controller elected",
	[FAULT_LOG_TRIM] = "log start advances",
	[FAULT_LOG_TRIM_ABOVE] = "log start advances beyond a replica",
	[FAULT_LOG_CUT] = "log truncated or re-created",
	[FAULT_KAFKA_DOWN] = "outage of Kafka",
	[FAULT_STORE_ERROR] = "call of the store fails",
	[FAULT_STORE_FULL] = "map full",
	[FAULT_STORE_DIE] = "crash inside the store",
	[FAULT_META_LOST] = "meta emptied or cut short",
	[FAULT_NET_LOST] = "request lost",
	[FAULT_NET_HALF_OPEN] = "answer lost",
	[FAULT_NET_TWICE] = "request delivered twice",
	[FAULT_NET_REPLAY] = "old request replayed",
	[FAULT_LETTER_FAILED] = "dead letter fails",
	[FAULT_LETTER_UNKNOWN] = "dead letter's acknowledgement lost",
	[FAULT_COMMIT_LOST] = "commit lost",
	[FAULT_FILL_REFUSED] = "marks refused",
	[FAULT_SHELF_FULL] = "shelf of identities full",
	[FAULT_SHELF_FAILED] = "call of the shelf fails",
	[FAULT_SHELF_DAMAGED] = "leaf of identities damaged or lost",
};

static const char *const work_names[WORKS] = {
	[WORK_BATCH] = "with a batch in flight",
	[WORK_STORE] = "during a store",
	[WORK_LETTER] = "with a dead letter pending",
	[WORK_ANCHORING] = "while an anchor was checked",
	[WORK_RECOVERING] = "while a replica was recovering",
	[WORK_OWNERS] = "with two owners of a shard",
	[WORK_OUT] = "with a replica out of sync",
};

void tally_add(uint64_t *count, uint64_t more)
{
	__atomic_fetch_add(count, more, __ATOMIC_RELAXED);
}

const char *fault_name(enum fault fault)
{
	return fault_names[fault];
}

void tally_print(const struct tally *tally, FILE *out)
{
	for (int i = 0; i < FAULTS; i++) {
		fprintf(out, "%s: %" PRIu64, fault_names[i], tally->faults[i][WORK_ANY]);
		for (int work = 1; work < WORKS; work++)
			if (tally->faults[i][work] > 0)
				fprintf(out, ", %s %" PRIu64, work_names[work], tally->faults[i][work]);
		fprintf(out, "\n");
	}
	fprintf(out,
	        "dead letters at a crash of ingest, their range not yet received: sent %" PRIu64
	        ", in the topic %" PRIu64 ", acknowledged %" PRIu64 "\n",
	        tally->letters[LETTER_SENT], tally->letters[LETTER_IN_TOPIC], tally->letters[LETTER_ACKED]);
	fprintf(out,
	        "events %" PRIu64 ", records %" PRIu64 ", batches %" PRIu64 ", ranges applied %" PRIu64
	        ", stores %" PRIu64 ", slices %" PRIu64 ", compactions %" PRIu64 ", searches %" PRIu64
	        ", leaps over a seal %" PRIu64 ", shards that had to stop and did %" PRIu64 "\n",
	        tally->events, tally->records, tally->batches, tally->ranges_applied, tally->stores,
	        tally->slices, tally->compactions, tally->searches, tally->seals, tally->stopped);
	fprintf(out,
	        "marks: out %" PRIu64 ", in %" PRIu64 ", joined %" PRIu64 ", dropped %" PRIu64
	        "; searches answered %" PRIu64 ", of them shared %" PRIu64 ", refused %" PRIu64
	        ", shards answered without a flag %" PRIu64 "\n",
	        tally->marks_out, tally->marks_in, tally->joined, tally->dropped, tally->answers,
	        tally->answers_shared, tally->answers_refused, tally->answers_unflagged);
	fprintf(out,
	        "offices taken %" PRIu64 ", writes fenced %" PRIu64 ", requests %" PRIu64 ", finals %" PRIu64
	        "\n",
	        tally->offices, tally->fenced, tally->requests, tally->finals);
	fprintf(out,
	        "by contract 2: applied %" PRIu64 ", duplicates %" PRIu64 ", refused %" PRIu64
	        ", skipped %" PRIu64 "; pages of marks %" PRIu64 ", leaves %" PRIu64
	        ", deaths of a record %" PRIu64 ", skips recorded %" PRIu64
	        ", ranges of other rules refused %" PRIu64 "\n",
	        tally->verdicts[1], tally->verdicts[2], tally->verdicts[3], tally->verdicts[4], tally->fills,
	        tally->leaves, tally->deaths, tally->skips, tally->refused_rules);
}
