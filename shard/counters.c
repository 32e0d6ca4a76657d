/* Metrics of the node, and gauges of each replica. */
#include "shard/node_private.h"

#include <stdio.h>

static const char *const result_names[RANGE_RESULT_STOPPED + 1] = {
	[RANGE_RESULT_APPLIED] = "applied", [RANGE_RESULT_ALREADY] = "already", [RANGE_RESULT_GAP] = "gap",
	[RANGE_RESULT_REFUSED] = "refused", [RANGE_RESULT_UNKNOWN] = "unknown", [RANGE_RESULT_BUSY] = "busy",
	[RANGE_RESULT_STOPPED] = "stopped",
};

static struct series *single(enum metric_type type, const char *name, const char *help)
{
	return metric_series(metric_new(type, name, help, ""), NULL);
}

static struct metric *of_replica(const char *name, const char *help)
{
	return metric_new(METRIC_TYPE_GAUGE, name, help, "index,partition");
}

static void refusals_init(struct node_counters *counters)
{
	struct metric *metric = metric_new(
		METRIC_TYPE_COUNTER, "millrace_node_questions_refused_total",
		"Requests not answered, by the first shard that could not, or by what else was in the way",
		"reason");
	const char *deadline = "deadline";
	const char *full = "full";
	const char *node = "wrong_node";

	for (size_t i = SERVING_RECOVERING; i < SERVINGS; i++) {
		const char *name = serving_name((enum serving)i);

		counters->refused[i] = metric_series(metric, &name);
	}
	counters->refused_deadline = metric_series(metric, &deadline);
	counters->refused_full = metric_series(metric, &full);
	counters->refused_node = metric_series(metric, &node);
}

static void levels_init(struct node_counters *counters)
{
	struct metric *metric =
		metric_new(METRIC_TYPE_GAUGE, "millrace_node_disk_segments",
	                   "Segments on disk, by level; the highest has what is above it too", "level");

	for (size_t i = 0; i < NODE_LEVELS; i++) {
		char level[16];
		const char *value = level;

		(void)snprintf(level, sizeof level, "%zu", i);
		counters->levels[i] = metric_series(metric, &value);
	}
}

/* The work of the writer thread. */
static void jobs_init(struct node_counters *counters)
{
	counters->store_seconds = single(METRIC_TYPE_HISTOGRAM, "millrace_node_store_duration_seconds",
	                                 "Time from the beginning of a store to its end");
	counters->stores =
		single(METRIC_TYPE_COUNTER, "millrace_node_stores_total", "Stores that ended well");
	counters->stores_failed =
		single(METRIC_TYPE_COUNTER, "millrace_node_stores_failed_total", "Stores to be tried again");
	counters->stores_in_flight = single(METRIC_TYPE_GAUGE, "millrace_node_stores_in_flight",
	                                    "1 while the writer has a store to do");
	counters->store_bytes = single(METRIC_TYPE_COUNTER, "millrace_node_store_bytes_total",
	                               "Bytes of the segments that stores have written");
	counters->compactions = single(METRIC_TYPE_COUNTER, "millrace_node_compactions_total",
	                               "Merges of disk segments and removals of old ones that ended well");
	counters->compactions_failed = single(METRIC_TYPE_COUNTER, "millrace_node_compactions_failed_total",
	                                      "Merges of disk segments and removals to be tried again");
	counters->compactions_in_flight = single(METRIC_TYPE_GAUGE, "millrace_node_compactions_in_flight",
	                                         "1 while a merge or a removal has begun and not ended");
	counters->merge_bytes = single(METRIC_TYPE_COUNTER, "millrace_node_merge_bytes_total",
	                               "Bytes of the segments that merges have written");
	counters->slice_seconds =
		single(METRIC_TYPE_HISTOGRAM, "millrace_node_compaction_slice_duration_seconds",
	               "Time from the beginning of a slice of a compaction to its end");
	levels_init(counters);
}

static void replicas_init(struct node_counters *counters)
{
	counters->received = of_replica("millrace_replica_received_offset", "Next offset not yet searchable");
	counters->stored = of_replica("millrace_replica_stored_offset", "Next offset not yet on disk");
	counters->documents = of_replica("millrace_replica_documents", "Live documents");
	counters->replica_memory =
		of_replica("millrace_replica_memory_bytes", "Memory of what is not stored yet");
	counters->busy =
		metric_new(METRIC_TYPE_COUNTER, "millrace_replica_busy_ranges_total",
	                   "Ranges to be sent again, for want of memory: of the index's share, as a rule",
	                   "index,partition");
	counters->disk_segments = of_replica("millrace_replica_disk_segments", "Segments on disk");
	counters->disk_dead = of_replica("millrace_replica_disk_dead_documents",
	                                 "Documents that segments on disk hold beyond the live ones");
	counters->disk_bytes = of_replica("millrace_replica_disk_bytes", "Bytes of the segments on disk");
	counters->live_bytes = of_replica("millrace_replica_disk_live_bytes",
	                                  "Of the bytes of the segments on disk the share of live documents");
	counters->reader_age =
		of_replica("millrace_replica_oldest_reader_seconds",
	                   "How long the oldest search that goes on has been reading; 0: none");
}

static void rewrites_init(struct node_counters *counters)
{
	counters->rewrites = single(METRIC_TYPE_COUNTER, "millrace_node_rewrites_total",
	                            "Files of replicas that were written anew without their free pages");
	counters->rewrites_failed = single(METRIC_TYPE_COUNTER, "millrace_node_rewrites_failed_total",
	                                   "Rewrites to be tried again");
	counters->rewrite_bytes = single(METRIC_TYPE_COUNTER, "millrace_node_rewrite_given_back_bytes_total",
	                                 "Bytes of the disk that rewrites have given back");
}

void counters_init(struct node_counters *counters)
{
	rewrites_init(counters);
	refusals_init(counters);
	jobs_init(counters);
	replicas_init(counters);
	counters->ranges = metric_new(METRIC_TYPE_COUNTER, "millrace_node_ranges_total",
	                              "Ranges of batches, by what came of them", "result");
	for (size_t i = RANGE_RESULT_APPLIED; i <= RANGE_RESULT_STOPPED; i++)
		counters->range_results[i] = metric_series(counters->ranges, &result_names[i]);
	counters->batches =
		single(METRIC_TYPE_COUNTER, "millrace_node_batches_total", "Batches taken up by the owner");
	counters->batch_bytes =
		single(METRIC_TYPE_COUNTER, "millrace_node_batch_bytes_total", "Bytes of these batches");
	counters->in_flight = single(METRIC_TYPE_GAUGE, "millrace_node_batches_in_flight",
	                             "1 while a batch is being applied");
	counters->receive_seconds = single(METRIC_TYPE_HISTOGRAM, "millrace_node_receive_duration_seconds",
	                                   "Time to apply one range");
	counters->search_seconds = single(METRIC_TYPE_HISTOGRAM, "millrace_node_search_duration_seconds",
	                                  "Time of the owner for one search over the shards asked");
	counters->sessions_renewed = single(METRIC_TYPE_COUNTER, "millrace_node_sessions_renewed_total",
	                                    "Sessions that replicas began without a restart");
	counters->marks_pages = single(METRIC_TYPE_COUNTER, "millrace_node_marks_pages_total",
	                               "Pages of identities and origins told to feeders");
	counters->marks_bytes =
		single(METRIC_TYPE_COUNTER, "millrace_node_marks_bytes_total", "Bytes of these pages");
	counters->marks_seconds = single(METRIC_TYPE_HISTOGRAM, "millrace_node_marks_duration_seconds",
	                                 "Time of the owner for one question for marks");
	counters->merges_too_large =
		single(METRIC_TYPE_COUNTER, "millrace_node_merges_too_large_total",
	               "Merges that changed nothing because their outcome is larger than the rules allow");
	counters->skipped = single(METRIC_TYPE_COUNTER, "millrace_node_skipped_offsets_total",
	                           "Offsets received that a record tells to skip");
	counters->waiting = single(METRIC_TYPE_GAUGE, "millrace_node_questions_waiting",
	                           "Questions that wait until a shard has received what they ask for");
	counters->memory_bytes = single(METRIC_TYPE_GAUGE, "millrace_node_memory_bytes",
	                                "Memory of segments that are not stored yet");
	counters->memory_bytes_max =
		single(METRIC_TYPE_GAUGE, "millrace_node_memory_max_bytes", "shard.memory");
}

void counters_of_held(struct node *node, struct held *held)
{
	char index[17];
	char partition[16];
	const char *values[] = {index, partition};

	index_id_print(held->index_id, index);
	(void)snprintf(partition, sizeof partition, "%d", held->partition);
	held->received = metric_series(node->counters.received, values);
	held->stored = metric_series(node->counters.stored, values);
	held->documents = metric_series(node->counters.documents, values);
	held->memory = metric_series(node->counters.replica_memory, values);
	held->busy = metric_series(node->counters.busy, values);
	held->disk_segments = metric_series(node->counters.disk_segments, values);
	held->disk_dead = metric_series(node->counters.disk_dead, values);
	held->disk_bytes = metric_series(node->counters.disk_bytes, values);
	held->live_bytes = metric_series(node->counters.live_bytes, values);
	held->reader_age = metric_series(node->counters.reader_age, values);
}

void counters_of_closed(struct held *held)
{
	struct series *const gauges[] = {held->documents, held->memory,     held->disk_segments,
	                                 held->disk_dead, held->disk_bytes, held->live_bytes,
	                                 held->reader_age};

	for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++)
		series_set(gauges[i], 0);
}

static double reader_seconds(const struct node *node, const struct held *held)
{
	struct shelf_readers readers = shelf_readers(node->shelf, held->index_id, held->partition);

	/* the oldest may have begun after the owner looked at the clock */
	return readers.len > 0 && readers.oldest_ms < node->now_ms
	               ? (double)(node->now_ms - readers.oldest_ms) / 1000
	               : 0;
}

static void held_update(const struct node *node, struct held *held, uint64_t levels[NODE_LEVELS])
{
	struct replica_status status;
	struct replica_figures figures;

	replica_status(held->replica, &status);
	replica_figures(held->replica, &figures);
	series_set(held->received, (double)status.received);
	series_set(held->stored, (double)status.stored);
	series_set(held->documents, (double)status.documents);
	series_set(held->memory, (double)status.memory_bytes);
	series_set(held->disk_segments, (double)status.disk_segments);
	series_set(held->disk_dead, (double)status.disk_dead);
	series_set(held->disk_bytes, (double)status.disk_bytes);
	series_set(held->live_bytes, (double)figures.live_bytes);
	series_set(held->reader_age, reader_seconds(node, held));
	for (size_t i = 0; i < figures.levels_len; i++) {
		uint32_t level = figures.levels[i].level;

		levels[level < NODE_LEVELS ? level : NODE_LEVELS - 1] += figures.levels[i].segments;
	}
}

void counters_update(struct node *node)
{
	uint64_t levels[NODE_LEVELS] = {0};

	series_set(node->counters.memory_bytes_max, (double)node->budget.bytes_max);
	series_set(node->counters.memory_bytes, (double)node->budget.bytes);
	for (size_t i = 0; i < node->held_len; i++)
		if (node->held[i]->replica != NULL)
			held_update(node, node->held[i], levels);
	for (size_t i = 0; i < NODE_LEVELS; i++)
		series_set(node->counters.levels[i], (double)levels[i]);
}
