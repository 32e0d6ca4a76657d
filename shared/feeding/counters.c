/* Metrics of feeding: millrace_ingest_… where it is live, millrace_replay_… where it replays. Names and labels are a
 * contract with dashboards. */
#include "shared/base/hash.h"
#include "shared/feeding/feeding_private.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdio.h>

/* One engine a process and mode, so each metric is declared once. */
#define METRIC(type, name, help, labels) \
	(mode == FEEDING_MODE_LIVE ? metric_new(type, "millrace_ingest_" name, help, labels) \
	                           : metric_new(type, "millrace_replay_" name, help, labels))

static struct series *labelled(struct metric *metric, const char *value)
{
	return metric_series(metric, (const char *const[]){value});
}

/* Of what is known of the log before a record. */
static void init_marks(struct counters *counters, enum feeding_mode mode)
{
	struct metric *pages = METRIC(METRIC_TYPE_COUNTER, "fill_pages_total",
	                              "Pages of marks asked of nodes, by what came of them", "result");

	counters->window_memory = metric_series(
		METRIC(METRIC_TYPE_GAUGE, "window_bytes", "Memory held by windows of identities", ""), NULL);
	counters->table_bytes =
		metric_series(METRIC(METRIC_TYPE_GAUGE, "table_bytes",
	                             "Size of the table of identities on disk, of at most ingest.table", ""),
	                      NULL);
	counters->table_failing =
		metric_series(METRIC(METRIC_TYPE_GAUGE, "table_failing",
	                             "1 while partitions wait because the table of identities is full or its "
	                             "disk fails",
	                             ""),
	                      NULL);
	counters->fill_seconds = metric_series(
		METRIC(METRIC_TYPE_HISTOGRAM, "fill_seconds",
	               "What the log held before a start, taken from the replica that stands there", ""),
		NULL);
	counters->pages_in_flight =
		metric_series(METRIC(METRIC_TYPE_GAUGE, "fill_pages_in_flight",
	                             "Pages of marks asked of nodes and not yet answered", ""),
	                      NULL);
	counters->pages_given = labelled(pages, "given");
	counters->pages_missing = labelled(pages, "missing");
}

void counters_init(struct counters *counters, enum feeding_mode mode)
{
	struct metric *batches = METRIC(METRIC_TYPE_COUNTER, "batches_total",
	                                "Batches sent to nodes, by what came of them", "result");
	struct metric *shards = METRIC(METRIC_TYPE_GAUGE, "shards", "Shards fed by this process", "state");
	struct metric *replicas =
		METRIC(METRIC_TYPE_GAUGE, "replicas",
	               "Replicas by what feeds them: live, behind, or none while they are asked", "lane");

	counters->records = METRIC(METRIC_TYPE_COUNTER, "records_total",
	                           "Offsets read, by what became of them; again after a rewind too. control: "
	                           "no record, a transaction's marker or a gap",
	                           "topic,outcome");
	counters->dead_letters = METRIC(METRIC_TYPE_COUNTER, "dead_letters_total",
	                                "Dead letters acknowledged by Kafka", "code");
	counters->lag = METRIC(METRIC_TYPE_GAUGE, "lag_records",
	                       "Offsets between the log end and what every in-sync replica has received",
	                       "topic,partition");
	counters->lag_seconds = METRIC(METRIC_TYPE_GAUGE, "lag_seconds",
	                               "Age of the oldest record read that not all replicas fed live have",
	                               "topic,partition");
	counters->progress = METRIC(METRIC_TYPE_GAUGE, "last_progress_timestamp_seconds",
	                            "When every in-sync replica last received more", "topic,partition");
	if (mode == FEEDING_MODE_LIVE)
		counters->visibility =
			metric_series(metric_new(METRIC_TYPE_HISTOGRAM, "millrace_visibility_seconds",
		                                 "From the timestamp of the oldest record of a batch's range "
		                                 "to its receipt by "
		                                 "all replicas fed live, which makes it searchable",
		                                 ""),
		                      NULL);
	counters->answered = labelled(batches, "answered");
	counters->unanswered = labelled(batches, "unanswered");
	counters->in_flight = METRIC(METRIC_TYPE_GAUGE, "batches_in_flight",
	                             "Batches sent to the node and not yet answered", "node");
	counters->lanes[FEEDER_LANE_LIVE] = labelled(replicas, "live");
	counters->lanes[FEEDER_LANE_BEHIND] = labelled(replicas, "behind");
	counters->unfed = labelled(replicas, "none");
	counters->memory = metric_series(
		METRIC(METRIC_TYPE_GAUGE, "memory_bytes", "Memory held by memtables", ""), NULL);
	counters->cuts =
		metric_series(METRIC(METRIC_TYPE_COUNTER, "cuts_total",
	                             "Times that a replica was cut from memory, to be fed from the log", ""),
	                      NULL);
	counters->commits =
		metric_series(METRIC(METRIC_TYPE_COUNTER, "commits_total", "Offset commits", ""), NULL);
	counters->rewinds = metric_series(
		METRIC(METRIC_TYPE_COUNTER, "rewinds_total", "Times that reading a partition began anew", ""),
		NULL);
	counters->shards[FEEDER_STATE_ASKING] = labelled(shards, "asking");
	counters->shards[FEEDER_STATE_ANCHORING] = labelled(shards, "anchoring");
	counters->shards[FEEDER_STATE_FEEDING] = labelled(shards, "feeding");
	counters->shards[FEEDER_STATE_STOPPED] = labelled(shards, "stopped");
	counters->held = labelled(shards, "held");
	init_marks(counters, mode);
}

void counters_node(struct counters *counters, struct fed_node *node)
{
	node->batches_in_flight = labelled(counters->in_flight, node->id);
}

void counters_shard(struct counters *counters, struct fed_shard *shard)
{
	char partition[12];

	(void)snprintf(partition, sizeof partition, "%" PRId32, shard->partition);
	shard->indexed = metric_series(counters->records, (const char *const[]){shard->topic, "indexed"});
	shard->deleted = metric_series(counters->records, (const char *const[]){shard->topic, "deleted"});
	shard->dead_lettered =
		metric_series(counters->records, (const char *const[]){shard->topic, "dead_lettered"});
	shard->duplicate = metric_series(counters->records, (const char *const[]){shard->topic, "duplicate"});
	shard->imported_before =
		metric_series(counters->records, (const char *const[]){shard->topic, "imported_before"});
	shard->skipped = metric_series(counters->records, (const char *const[]){shard->topic, "skipped"});
	shard->control = metric_series(counters->records, (const char *const[]){shard->topic, "control"});
	shard->lag = metric_series(counters->lag, (const char *const[]){shard->topic, partition});
	shard->lag_seconds =
		metric_series(counters->lag_seconds, (const char *const[]){shard->topic, partition});
	shard->progress = metric_series(counters->progress, (const char *const[]){shard->topic, partition});
	shard->received = -1;
}

void counters_dead_letter(struct counters *counters, enum refusal_code code)
{
	series_add(labelled(counters->dead_letters, refusal_name(code)), 1);
}

/* 0 for no time, and for one that another clock puts into the future. */
static double seconds_since(int64_t timestamp_ms)
{
	int64_t ms = timestamp_ms >= 0 ? clock_wall_ms() - timestamp_ms : 0;

	return ms > 0 ? (double)ms / 1000 : 0;
}

void counters_observe(struct feeding *feeding)
{
	int64_t timestamp_ms;

	while (feeder_take_visible(feeding->feeder, &timestamp_ms))
		if (feeding->counters.visibility != NULL)
			series_observe(feeding->counters.visibility, seconds_since(timestamp_ms));
}

/* Every offset is one of these. */
static void count_offsets(struct fed_shard *shard, const struct fed_counts *now)
{
	const struct fed_counts *before = &shard->counts;
	uint64_t deleted = now->deleted - before->deleted;
	uint64_t refused = now->refused - before->refused;
	uint64_t duplicates = now->duplicates - before->duplicates;
	uint64_t imported = now->origin_duplicates - before->origin_duplicates;
	uint64_t skipped = now->skipped - before->skipped;

	series_add(shard->indexed, now->records - before->records - deleted - refused - duplicates - skipped);
	series_add(shard->deleted, deleted);
	series_add(shard->dead_lettered, refused);
	series_add(shard->duplicate, duplicates - imported);
	series_add(shard->imported_before, imported);
	series_add(shard->skipped, skipped);
	series_add(shard->control, now->holes - before->holes);
}

static void update_shard(const struct counters *counters, struct fed_shard *shard,
                         const struct feeder_status *status)
{
	const struct fed_counts now = {
		.records = status->records,
		.deleted = status->deleted,
		.refused = status->refused,
		.duplicates = status->duplicates,
		.origin_duplicates = status->origin_duplicates,
		.skipped = status->skipped,
		.holes = status->holes,
		.cuts = status->cuts,
	};

	count_offsets(shard, &now);
	series_add(counters->cuts, now.cuts - shard->counts.cuts);
	shard->counts = now;
	if (status->received >= 0 && status->log_end >= status->received)
		series_set(shard->lag, (double)(status->log_end - status->received));
	series_set(shard->lag_seconds, seconds_since(status->oldest_ms));
	if (status->received > shard->received)
		series_set(shard->progress, (double)clock_wall_ms() / 1000);
	shard->received = status->received;
}

/* Says once what is in the way of feeding a replica, and once that nothing is any more. */
static void say_obstacle(const struct feeding *feeding, uint32_t slot, size_t at,
                         const struct feeder_replica_status *replica)
{
	struct fed_shard *shard = &feeding->fed[slot];
	struct slice obstacle = slice_string(replica->obstacle);
	uint64_t hash = obstacle.len > 0 ? hash64(obstacle, 0) : 0;

	if (at >= REPLICAS_MAX || hash == shard->obstacles[at])
		return;
	shard->obstacles[at] = hash;
	if (hash != 0)
		logline(LOG_LEVEL_WARN, "replica_not_fed",
		        "index=%s partition=%" PRId32 " node=%s reason=\"%s\"", shard->uid, shard->partition,
		        feeding->nodes[replica->node].id, replica->obstacle);
	else
		logline(LOG_LEVEL_INFO, "replica_unobstructed", "index=%s partition=%" PRId32 " node=%s",
		        shard->uid, shard->partition, feeding->nodes[replica->node].id);
}

/* [FEEDER_LANES] counts those that nothing feeds. */
static void count_replicas(const struct feeding *feeding, uint32_t slot, unsigned lanes[FEEDER_LANES + 1])
{
	struct feeder_replica_status replica;

	for (size_t i = 0; feeder_replica_status(feeding->feeder, slot, i, &replica); i++) {
		lanes[replica.known ? replica.lane : FEEDER_LANES]++;
		say_obstacle(feeding, slot, i, &replica);
	}
}

void counters_update(struct feeding *feeding)
{
	struct counters *counters = &feeding->counters;
	unsigned states[FEEDER_STATE_STOPPED + 1] = {0};
	unsigned lanes[FEEDER_LANES + 1] = {0};
	struct feeder_status status;
	size_t window_bytes = 0;
	unsigned held = 0;

	for (uint32_t slot = 0; slot < feeding->fed_len; slot++) {
		if (!feeding->fed[slot].used || !feeder_shard_status(feeding->feeder, slot, &status))
			continue;
		update_shard(counters, &feeding->fed[slot], &status);
		count_replicas(feeding, slot, lanes);
		states[status.state]++;
		window_bytes += status.window_memory;
		for (int lane = 0; lane < FEEDER_LANES; lane++)
			held += feeding->fed[slot].readers[lane].hold.state != HOLD_STATE_NONE;
	}
	for (int state = FEEDER_STATE_ASKING; state <= FEEDER_STATE_STOPPED; state++)
		series_set(counters->shards[state], states[state]);
	for (int lane = 0; lane < FEEDER_LANES; lane++)
		series_set(counters->lanes[lane], lanes[lane]);
	series_set(counters->unfed, lanes[FEEDER_LANES]);
	series_set(counters->held, held);
	series_set(counters->window_memory, (double)window_bytes);
	series_set(counters->table_bytes, (double)table_bytes(feeding));
	series_set(counters->table_failing, feeding->table_trouble.code != 0);
	series_set(counters->memory, (double)feeder_memory_bytes(feeding->feeder));
}
