/* `millrace index restore`: what is checked before anything begins, the request, and its end. */
#include "shared/cli/cli_restore.h"
#include "shared/base/hash.h"
#include "shared/cli/cli_dlq.h"
#include "shared/cli/cli_progress.h"
#include "shared/log/log.h"
#include "shared/runtime/clock.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define MIB 1048576
#define WHAT_BYTES (INDEX_UID_BYTES_MAX + NODE_ID_BYTES_MAX + 96)
#define ENDS_MS 10000
#define STEP_MS 250
#define RECORDED_MS 30000 /* until the gateway has read what the controller recorded */
#define LEVEL_MS 60000    /* without an offset that a replica received */
#define BODY_BYTES_MAX (1U << 20)

struct plan {
	struct restore restore;
	struct catalog *catalog;
	bool accept_gap;
	bool look_again; /* a node did not take its copy: others may not answer either by now */
	int32_t missed;  /* copies that were not taken, of shards that have another one */
	struct cli_progress progress;
	char what[WHAT_BYTES];
};

/* ---- what is there must be this index's ---- */

static int check_cluster(const struct plan *plan)
{
	const struct snapshot_origin *origin = &plan->restore.found.origin;
	const char *cluster = config_string(plan->restore.cli->config, "cluster");

	if (strcmp(origin->cluster, cluster) == 0)
		return 0;
	return cli_fail("index",
	                "%s holds a snapshot of cluster %s, this is cluster %s: a snapshot restores only the "
	                "index that it was taken of; nothing was begun",
	                plan->restore.directory, origin->cluster, cluster);
}

static int check_origin(struct plan *plan)
{
	const struct snapshot_origin *origin = &plan->restore.found.origin;
	const struct index_record *index = catalog_index(plan->catalog, origin->index_id);

	if (index == NULL)
		return cli_fail("index",
		                "%s holds a snapshot of index %016" PRIx64 " (%s), which this Kafka never "
		                "had: a snapshot restores only the index that it was taken of; nothing was "
		                "begun",
		                plan->restore.directory, origin->index_id, origin->uid);
	if (index->state != INDEX_STATE_ACTIVE)
		return cli_fail("index",
		                "index %016" PRIx64 " (%s) was deleted, or rebuilt into another generation: "
		                "it cannot be restored; nothing was begun",
		                origin->index_id, origin->uid);
	plan->restore.index = index;
	return 0;
}

static int check_record(const struct plan *plan)
{
	const struct index_record *now = plan->restore.index;
	const struct index_record *then =
		catalog_index(plan->restore.found.recorded, plan->restore.found.origin.index_id);

	if (now->generation == then->generation && now->partitions == then->partitions &&
	    strcmp(now->topic, then->topic) == 0 && rules_digest(&now->rules) == rules_digest(&then->rules))
		return 0;
	return cli_fail("index",
	                "%s holds a snapshot of %s under other rules, partitions or log than it has now; "
	                "nothing was begun",
	                plan->restore.directory, now->uid);
}

/* The hash of the shard's head, by which records name the copy. */
static int row_fill(struct plan *plan, int32_t partition, struct error *error)
{
	const struct snapshot_row *snapshot = &plan->restore.found.rows[partition];
	char name[SNAPSHOT_NAME_BYTES_MAX];
	struct buffer head;
	int rc;

	snapshot_name_print(snapshot, "head", name);
	buffer_init(&head, SNAPSHOT_HEAD_BYTES_MAX);
	rc = snapshot_file_read(plan->restore.directory, name, &head, error);
	if (rc == 0)
		plan->restore.rows[partition] = (struct restore_row){
			.snapshot = snapshot,
			.copy = {.head = hash128_of(buffer_slice(&head), 0),
		                 .stored = snapshot->stored,
		                 .from = snapshot->stored},
		};
	buffer_deinit(&head);
	return rc;
}

/* ---- what the logs still have ---- */

static int read_logs(struct plan *plan, struct log_connection *connection, struct error *error)
{
	int32_t partitions[INDEX_PARTITIONS_MAX];
	struct log_ends ends[INDEX_PARTITIONS_MAX];
	struct log_partitions asked = {.topic = plan->restore.index->topic,
	                               .partitions = partitions,
	                               .len = (size_t)plan->restore.index->partitions};

	for (int32_t i = 0; i < plan->restore.index->partitions; i++)
		partitions[i] = i;
	if (log_ask_all_ends(connection, &asked, ENDS_MS, ends, error) != 0)
		return error_prefix(error, "topic %s", asked.topic);
	for (int32_t i = 0; i < plan->restore.index->partitions; i++) {
		plan->restore.rows[i].log_start = ends[i].start;
		plan->restore.rows[i].log_end = ends[i].end;
		if (ends[i].start > plan->restore.rows[i].copy.stored)
			plan->restore.rows[i].copy.from = ends[i].start;
	}
	return 0;
}

static int ask_logs(struct plan *plan, struct error *error)
{
	struct log_connection *connection;
	int rc = log_connection_open(plan->restore.cli->config, &connection, error);

	if (rc != 0)
		return rc;
	rc = read_logs(plan, connection, error);
	log_connection_close(connection);
	return rc;
}

static bool has_gap(const struct restore_row *row)
{
	return row->copy.from > row->copy.stored;
}

/* Offsets that are in neither the copy nor the log, to stderr or stdout. */
static void say_gaps(const struct plan *plan, FILE *to, const char *what, bool begun_too)
{
	for (int32_t i = 0; i < plan->restore.index->partitions; i++) {
		const struct restore_row *row = &plan->restore.rows[i];

		if (!row->serves && has_gap(row) && (begun_too || !row->begun))
			(void)fprintf(to, "offsets %" PRId64 "..%" PRId64 " of shard %" PRId32 " %s\n",
			              row->copy.stored, row->copy.from - 1, i, what);
	}
}

/* Nothing may stand in the way of a shard that is to be restored. */
static int check_logs(const struct plan *plan)
{
	int gaps = 0;

	for (int32_t i = 0; i < plan->restore.index->partitions; i++) {
		const struct restore_row *row = &plan->restore.rows[i];

		if (!row->serves && row->log_end < row->copy.stored)
			return cli_fail("index",
			                "the log of shard %" PRId32 " (topic %s) ends at offset %" PRId64
			                ", the snapshot holds it up to %" PRId64
			                ": the topic was re-created or truncated; restore the topic or "
			                "rebuild the index; nothing was begun",
			                i, plan->restore.index->topic, row->log_end, row->copy.stored);
		gaps += !row->serves && !row->begun && has_gap(row);
	}
	if (gaps == 0 || plan->accept_gap)
		return 0;
	say_gaps(plan, stderr, "are no longer in the log", false);
	return cli_fail("index",
	                "the snapshot is older than the log reaches back, of %d shard%s: nothing was begun. "
	                "A later snapshot has what is missing; `millrace index restore %s --accept-gap` "
	                "gives those offsets up",
	                gaps, gaps == 1 ? "" : "s", plan->restore.directory);
}

/* ---- the request ---- */

static bool is_wanted(const struct restore_row *row)
{
	return !row->serves && !row->begun;
}

static bool is_serving(const struct restore_row *row)
{
	return row->serves;
}

/* Another of its replicas serves. */
static bool is_waiting_beside(const struct restore_row *row)
{
	return row->serves && row->waits;
}

static void fill_body(const struct plan *plan, struct buffer *body)
{
	const char *comma = "";

	buffer_printf(body, "{\"index\":\"%016" PRIx64 "\",\"shards\":[", plan->restore.index->id);
	for (int32_t i = 0; i < plan->restore.index->partitions; i++) {
		struct restore_shard shard = {i, plan->restore.rows[i].copy};

		if (!is_wanted(&plan->restore.rows[i]))
			continue;
		buffer_printf(body, "%s{\"partition\":%" PRId32 ",", comma, shard.partition);
		placement_copy_append(body, &shard.copy);
		buffer_append_string(body, "}");
		comma = ",";
	}
	buffer_append_string(body, "]}");
}

/* The exit code once the controller has recorded it, or refused. */
static int request(const struct plan *plan)
{
	struct cli_question question = {.method = "POST", .expected = 202};
	yyjson_doc *answer = NULL;
	struct buffer body;
	struct buffer path;
	int64_t task = -1;
	int result = 1;

	buffer_init(&path, BODY_BYTES_MAX);
	buffer_init(&body, BODY_BYTES_MAX);
	cli_index_append_path(&path, plan->restore.index->uid, "/restore");
	fill_body(plan, &body);
	question.path = (const char *)path.ptr;
	question.body = &body;
	if (buffer_failed(&path) || buffer_failed(&body)) {
		buffer_deinit(&body);
		result = cli_fail("index", "out of memory");
	} else if (cli_ask(plan->restore.cli, &question, &answer) == 0) {
		(void)json_get_i64(yyjson_doc_get_root(answer), "taskUid", &task);
		result = task < 0 ? cli_fail("index", "the gateway's answer names no task")
		                  : cli_wait_for_task(plan->restore.cli, "index", task);
		yyjson_doc_free(answer);
	}
	buffer_deinit(&path);
	return result;
}

/* Of how many shards that is so. */
static int32_t count(const struct plan *plan, bool is_so(const struct restore_row *row))
{
	int32_t counted = 0;

	for (int32_t i = 0; i < plan->restore.index->partitions; i++)
		counted += is_so(&plan->restore.rows[i]);
	return counted;
}

static int look(struct plan *plan, struct error *error)
{
	if (restore_ask_status(&plan->restore, error) != 0)
		return error->code;
	restore_read_status(&plan->restore);
	return 0;
}

/* Until the gateway has read that every shard comes by its copy, or serves. */
static int wait_recorded(struct plan *plan, struct error *error)
{
	int64_t deadline_ms = clock_monotonic_ms() + RECORDED_MS;

	for (;;) {
		if (look(plan, error) != 0)
			return error->code;
		if (count(plan, is_wanted) == 0)
			return 0;
		if (clock_monotonic_ms() >= deadline_ms)
			return error_set(error, ERROR_TIMEOUT, ERROR_ACTION_RETRY,
			                 "the gateway has not read of the restore in %d s; the same command "
			                 "goes on",
			                 RECORDED_MS / 1000);
		(void)poll(NULL, 0, STEP_MS);
	}
}

/* ---- the copies ---- */

static void show(void *context, const struct restore_row *row, const struct snapshot_sum *sum)
{
	struct plan *plan = context;

	plan->progress.reached = sum->chunk_bytes / MIB;
	plan->progress.total = row->snapshot->chunk_bytes / MIB;
	cli_progress_show(&plan->progress);
}

static int give_replica(struct plan *plan, const struct restore_row *row,
                        const struct restore_replica *replica, struct error *error)
{
	int32_t partition = row->snapshot->partition;

	(void)snprintf(plan->what, sizeof plan->what,
	               "MiB of shard %" PRId32 " of %s (%" PRId32 " of %" PRId32 ") to node %s", partition,
	               plan->restore.index->uid, partition + 1, plan->restore.index->partitions,
	               replica->node);
	return restore_shard_give(&plan->restore, row, replica, error);
}

/* To the nodes that answer; to others only while nobody has the copy: it is enough that one of them comes back. */
static int give_row(struct plan *plan, int32_t partition, struct error *error)
{
	const struct restore_row *row = &plan->restore.rows[partition];
	struct restore_replica replicas[REPLICAS_MAX];
	size_t len = restore_replicas(&plan->restore, row, replicas);
	bool has_one = row->serves;
	int32_t missed = 0;
	int rc = 0;

	for (int answering = 1; answering >= 0; answering--)
		for (size_t i = 0; i < len; i++) {
			if (replicas[i].serves || replicas[i].answers != (answering == 1))
				continue;
			rc = answering == 0 && has_one ? ERROR_NETWORK
			                               : give_replica(plan, row, &replicas[i], error);
			has_one = has_one || rc == 0;
			missed += rc != 0;
		}
	plan->missed += missed;
	plan->look_again = missed > 0;
	return has_one ? 0 : rc;
}

static int give(struct plan *plan, struct error *error)
{
	int rc = 0;

	cli_progress_begin(&plan->progress, plan->what);
	for (int32_t i = 0; rc == 0 && i < plan->restore.index->partitions; i++) {
		rc = plan->look_again ? look(plan, error) : 0;
		if (rc == 0)
			rc = give_row(plan, i, error);
	}
	cli_progress_end(&plan->progress);
	return rc;
}

/* ---- until they serve ---- */

/* What the restored replicas have received of what their logs hold, from the copies on; -1 once all shards serve. */
static int64_t received(const struct plan *plan, int64_t *total)
{
	bool all = true;
	int64_t sum = 0;

	*total = 0;
	for (int32_t i = 0; i < plan->restore.index->partitions; i++) {
		const struct restore_row *row = &plan->restore.rows[i];
		struct restore_replica replicas[REPLICAS_MAX];
		size_t len = restore_replicas(&plan->restore, row, replicas);

		all = all && row->serves;
		for (size_t k = 0; k < len; k++) {
			*total += row->log_end - row->copy.from;
			sum += replicas[k].received > row->copy.from ? replicas[k].received - row->copy.from
			                                             : 0;
		}
	}
	return all ? -1 : sum;
}

static int wait_serving(struct plan *plan, struct error *error)
{
	int64_t moved_ms = clock_monotonic_ms();
	int64_t most = 0;

	(void)snprintf(plan->what, sizeof plan->what, "offsets of the log behind the snapshot");
	cli_progress_begin(&plan->progress, plan->what);
	for (;;) {
		int64_t reached;

		if (look(plan, error) != 0)
			return error->code;
		reached = received(plan, &plan->progress.total);
		if (reached < 0)
			break;
		if (reached > most)
			moved_ms = clock_monotonic_ms();
		most = reached > most ? reached : most;
		if (clock_monotonic_ms() - moved_ms >= LEVEL_MS)
			return error_set(error, ERROR_TIMEOUT, ERROR_ACTION_RETRY,
			                 "the copies are there, but nothing of the log behind them has come "
			                 "for %d s: millrace status tells what is missing; the shards will "
			                 "serve when they have it",
			                 LEVEL_MS / 1000);
		plan->progress.reached = reached;
		cli_progress_show(&plan->progress);
		(void)poll(NULL, 0, STEP_MS);
	}
	cli_progress_end(&plan->progress);
	return 0;
}

/* ---- all of it ---- */

static void say_restored(const struct plan *plan, int32_t left)
{
	printf("index %s: restored from %s, %" PRId32 " shards", plan->restore.index->uid,
	       plan->restore.directory, plan->restore.index->partitions - left);
	if (left > 0)
		printf("; %" PRId32 " that served are as they were", left);
	printf("\n");
	if (plan->missed > 0)
		printf("%" PRId32 " replicas have not taken their copies, as their nodes do not answer: the "
		       "same command goes on with them\n",
		       plan->missed);
}

/* Everything is known; the exit code. */
static int begin(struct plan *plan)
{
	int32_t left = count(plan, is_serving);
	int32_t beside = count(plan, is_waiting_beside);
	struct error error;
	int rc = 0;

	if (left == plan->restore.index->partitions && beside == 0)
		return cli_fail("index",
		                "every shard of %s has a replica in-sync that serves: a snapshot never takes "
		                "its place; nothing was begun",
		                plan->restore.index->uid);
	if (check_logs(plan) != 0)
		return 1;
	if (count(plan, is_wanted) > 0) {
		if (request(plan) != 0)
			return 1;
		rc = wait_recorded(plan, &error);
	}
	if (rc == 0)
		rc = give(plan, &error);
	/* what serves by now has no copy recorded any more, nor an accepted gap */
	if (rc == 0)
		say_gaps(plan, stdout, "are given up", true);
	if (rc == 0)
		rc = wait_serving(plan, &error);
	if (rc != 0)
		return cli_fail("index", "%s", error.text);
	say_restored(plan, left);
	return 0;
}

static int prepare(struct plan *plan, struct error *error)
{
	int32_t partitions = plan->restore.index->partitions;
	struct http_client_options options = {
		.in_flight_max = 1,
		.answer_bytes_max = CLI_ANSWER_BYTES_MAX,
		.bearer = config_string(plan->restore.cli->config, "auth.cluster_key")};
	int rc = 0;

	plan->restore.rows = calloc((size_t)partitions, sizeof *plan->restore.rows);
	if (plan->restore.rows == NULL)
		return error_memory(error, (size_t)partitions * sizeof *plan->restore.rows);
	for (int32_t i = 0; rc == 0 && i < partitions; i++)
		rc = row_fill(plan, i, error);
	if (rc == 0)
		rc = ask_logs(plan, error);
	if (rc == 0)
		rc = http_client_start(&options, &plan->restore.client, error);
	if (rc == 0)
		rc = look(plan, error);
	return rc == 0 ? restore_check_nodes(&plan->restore, error) : rc;
}

static int run(struct plan *plan)
{
	struct error error;
	int result;

	if (check_cluster(plan) != 0)
		return 1;
	if (dlq_read_meta(plan->restore.cli->config, plan->catalog, &error) != 0)
		return cli_fail("index", "%s", error.text);
	result = check_origin(plan);
	if (result == 0)
		result = check_record(plan);
	if (result != 0)
		return result;
	result = prepare(plan, &error) == 0 ? begin(plan) : cli_fail("index", "%s", error.text);
	http_client_stop(plan->restore.client);
	yyjson_doc_free(plan->restore.status);
	free(plan->restore.rows);
	return result;
}

int cli_index_restore(struct cli *cli, const struct index_options *options)
{
	struct plan plan = {.restore = {.directory = options->directory, .cli = cli, .show = show},
	                    .accept_gap = options->accept_gap};
	struct error error;
	int result;
	int rc;

	plan.restore.context = &plan;
	rc = snapshot_check(options->directory, &plan.restore.found, &error);
	if (rc == ERROR_NOT_FOUND)
		return snapshot_say_unfinished(options->directory);
	if (rc != 0)
		return cli_fail("index", "%s; nothing was begun", error.text);
	plan.catalog = catalog_new();
	result = plan.catalog == NULL ? cli_fail("index", "out of memory") : run(&plan);
	catalog_free(plan.catalog);
	snapshot_found_deinit(&plan.restore.found);
	return result;
}
