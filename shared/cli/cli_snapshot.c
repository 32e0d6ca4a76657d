/*
 * `millrace index snapshot`: every shard of an index into a directory, one
 * after the other, then what says that it is whole.
 */
#include "shared/cli/cli_snapshot.h"
#include "shared/cli/cli_dlq.h"
#include "shared/cli/cli_progress.h"
#include "shared/runtime/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define MIB 1048576
#define RECEIVE_BYTES (256U << 10)
#define WHAT_BYTES (INDEX_UID_BYTES_MAX + 64)

struct plan {
	struct snapshot snapshot;
	const struct index_record *record; /* the catalog's */
	struct snapshot_row *rows;
	int lock; /* the directory */
	struct cli_progress progress;
	char what[WHAT_BYTES];
};

/* ---- the directory ---- */

/* Appends to a new array of rows or of nothing: begun.json or manifest.json. */
static int origin_write(const struct plan *plan, const char *name, struct error *error)
{
	struct buffer json;
	int rc;

	buffer_init(&json, SNAPSHOT_MANIFEST_BYTES_MAX);
	snapshot_origin_append(&plan->snapshot.origin, plan->record, &json);
	if (strcmp(name, SNAPSHOT_MANIFEST) == 0) {
		buffer_append_string(&json, ",\"shards\":[");
		for (int32_t i = 0; i < plan->snapshot.origin.partitions; i++) {
			buffer_append_string(&json, i == 0 ? "" : ",");
			snapshot_row_append(&plan->rows[i], &json);
		}
		buffer_append_string(&json, "]");
	}
	buffer_append_string(&json, "}");
	rc = buffer_failed(&json) ? error_memory(error, json.len_max)
	                          : snapshot_file_write(plan->snapshot.directory, name, buffer_slice(&json),
	                                                SNAPSHOT_SYNC_NAME, error);
	buffer_deinit(&json);
	return rc;
}

/* A parsed file of the directory; ERROR_NOT_FOUND. */
static int json_read(const char *directory, const char *name, yyjson_doc **doc, struct error *error)
{
	struct buffer text;
	int rc;

	buffer_init(&text, SNAPSHOT_MANIFEST_BYTES_MAX);
	rc = snapshot_file_read(directory, name, &text, error);
	if (rc == 0 && json_parse_typed(buffer_slice(&text), doc, error) != 0)
		rc = error_set(error, ERROR_DAMAGED, ERROR_ACTION_REJECT, "%.300s/%s is no JSON", directory,
		               name);
	buffer_deinit(&text);
	return rc;
}

/* Whose snapshot is there; ERROR_NOT_FOUND. */
static int origin_read(const char *directory, const char *name, struct snapshot_origin *origin,
                       struct error *error)
{
	yyjson_doc *doc = NULL;
	int rc = json_read(directory, name, &doc, error);

	if (rc != 0)
		return rc;
	rc = snapshot_origin_parse(origin, yyjson_doc_get_root(doc), error);
	if (rc != 0)
		(void)error_prefix(error, "%.200s/%s", directory, name);
	yyjson_doc_free(doc);
	return rc;
}

static bool is_empty(const char *directory)
{
	DIR *entries = opendir(directory);
	const struct dirent *entry;
	bool empty = true;

	if (entries == NULL)
		return false;
	/* "new" is what a kill left of the first file */
	while ((entry = readdir(entries)) != NULL)
		empty = empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		                  strcmp(entry->d_name, "new") == 0);
	(void)closedir(entries);
	return empty;
}

static int lock_take(struct plan *plan, struct error *error)
{
	const char *directory = plan->snapshot.directory;

	plan->lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (plan->lock < 0)
		return error_set(error, ERROR_STORAGE, ERROR_ACTION_FATAL, "%.300s: cannot open it: %s",
		                 directory, strerror(errno));
	if (flock(plan->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return error_set(error, ERROR_STATE, ERROR_ACTION_FATAL,
	                 "%.300s: another process is writing a snapshot there", directory);
}

static int say_others(const char *directory, const struct snapshot_origin *there, struct error *error)
{
	return error_set(error, ERROR_STATE, ERROR_ACTION_FATAL,
	                 "%.200s holds a snapshot of index %016" PRIx64
	                 " (%.80s) of cluster %.40s: choose another directory",
	                 directory, there->index_id, there->uid, there->cluster);
}

/* Ours from here on: empty, or with what was begun of this very index. */
static int directory_take(struct plan *plan, struct error *error)
{
	const char *directory = plan->snapshot.directory;
	struct snapshot_origin there;
	int rc;

	if (directory_make(directory, error) != 0 || lock_take(plan, error) != 0)
		return error->code;
	rc = origin_read(directory, SNAPSHOT_MANIFEST, &there, error);
	if (rc == 0)
		return error_set(error, ERROR_EXISTS, ERROR_ACTION_FATAL,
		                 "%.200s holds a whole snapshot of index %016" PRIx64
		                 " (%.80s) already: choose another directory",
		                 directory, there.index_id, there.uid);
	if (rc == ERROR_NOT_FOUND)
		rc = origin_read(directory, SNAPSHOT_BEGUN, &there, error);
	if (rc == 0)
		return there.index_id == plan->snapshot.origin.index_id &&
		                       strcmp(there.cluster, plan->snapshot.origin.cluster) == 0
		               ? 0
		               : say_others(directory, &there, error);
	if (rc != ERROR_NOT_FOUND)
		return rc;
	if (!is_empty(directory))
		return error_set(error, ERROR_STATE, ERROR_ACTION_FATAL,
		                 "%.300s is not empty and holds no snapshot: choose another directory",
		                 directory);
	return origin_write(plan, SNAPSHOT_BEGUN, error);
}

/* ---- the shards ---- */

static void show(void *context, const struct snapshot_row *row, const struct snapshot_sum *sum)
{
	struct plan *plan = context;

	plan->progress.reached = sum->chunk_bytes / MIB;
	plan->progress.total = row->chunk_bytes / MIB;
	cli_progress_show(&plan->progress);
}

/* What was known of it when an earlier run ended. */
static int row_read(const struct plan *plan, struct snapshot_row *row, struct error *error)
{
	struct snapshot_row there;
	char name[SNAPSHOT_NAME_BYTES_MAX];
	yyjson_doc *doc = NULL;
	int rc;

	snapshot_name_print(row, "json", name);
	rc = json_read(plan->snapshot.directory, name, &doc, error);
	if (rc == ERROR_NOT_FOUND || rc == ERROR_DAMAGED)
		return 0;
	if (rc != 0)
		return rc;
	if (snapshot_row_parse(&there, yyjson_doc_get_root(doc)) && there.partition == row->partition)
		*row = there;
	yyjson_doc_free(doc);
	return 0;
}

/* What an earlier run wrote is read once more: if it is not that any more, the shard begins anew. */
static int earlier_check(struct plan *plan, struct snapshot_row *row, struct error *error)
{
	if (row->told[0] == '\0' || snapshot_check_row(plan->snapshot.directory, row, error) == 0)
		return 0;
	if (error->code != ERROR_DAMAGED)
		return error->code;
	fprintf(stderr, "shard %" PRId32 " is copied anew: %s\n", row->partition, error->text);
	*row = (struct snapshot_row){.partition = row->partition};
	return 0;
}

static int shard_take(struct plan *plan, int32_t partition, struct error *error)
{
	struct snapshot_row *row = &plan->rows[partition];

	row->partition = partition;
	(void)snprintf(plan->what, sizeof plan->what,
	               "MiB of shard %" PRId32 " of %s (%" PRId32 " of %" PRId32 ")", partition,
	               plan->snapshot.origin.uid, partition + 1, plan->snapshot.origin.partitions);
	if (row_read(plan, row, error) != 0 || earlier_check(plan, row, error) != 0 ||
	    snapshot_shard_take(&plan->snapshot, row, error) != 0)
		return error_prefix(error, "shard %" PRId32, partition);
	return 0;
}

/* From here on manifest.json says it; what is left of the rows would be of no use. */
static int leftovers_remove(const struct plan *plan, struct error *error)
{
	for (int32_t i = 0; i < plan->snapshot.origin.partitions; i++) {
		char name[SNAPSHOT_NAME_BYTES_MAX];

		snapshot_name_print(&plan->rows[i], "json", name);
		if (snapshot_file_remove(plan->snapshot.directory, name, error) != 0)
			return error->code;
	}
	return snapshot_file_remove(plan->snapshot.directory, SNAPSHOT_BEGUN, error);
}

static int take(struct plan *plan, struct error *error)
{
	int32_t partitions = plan->snapshot.origin.partitions;
	int rc = directory_take(plan, error);

	cli_progress_begin(&plan->progress, plan->what);
	for (int32_t i = 0; rc == 0 && i < partitions; i++)
		rc = shard_take(plan, i, error);
	cli_progress_end(&plan->progress);
	if (rc == 0)
		rc = snapshot_sync_directory(plan->snapshot.directory, error);
	if (rc == 0)
		rc = origin_write(plan, SNAPSHOT_MANIFEST, error);
	return rc == 0 ? leftovers_remove(plan, error) : rc;
}

static void say_taken(const struct plan *plan)
{
	int64_t documents = 0;
	int64_t bytes = 0;

	for (int32_t i = 0; i < plan->snapshot.origin.partitions; i++) {
		documents += plan->rows[i].documents;
		bytes += plan->rows[i].head_bytes + plan->rows[i].pages.bytes;
	}
	printf("snapshot of %s in %s: %" PRId32 " shards, %" PRId64 " documents, %" PRId64 " bytes\n",
	       plan->snapshot.origin.uid, plan->snapshot.directory, plan->snapshot.origin.partitions,
	       documents, bytes);
}

/* ---- the commands ---- */

int snapshot_say_unfinished(const char *directory)
{
	struct snapshot_origin origin;
	struct error error;

	if (origin_read(directory, SNAPSHOT_BEGUN, &origin, &error) == 0)
		return cli_fail("index",
		                "%s holds a snapshot that is not whole: `millrace index snapshot %s %s` goes "
		                "on with it",
		                directory, origin.uid, directory);
	return cli_fail("index", "%s holds no snapshot: there is no " SNAPSHOT_MANIFEST, directory);
}

static int verify(const char *directory)
{
	struct snapshot_found found;
	struct error error;
	int rc = snapshot_check(directory, &found, &error);

	if (rc == ERROR_NOT_FOUND)
		return snapshot_say_unfinished(directory);
	if (rc != 0)
		return cli_fail("index", "%s", error.text);
	printf("snapshot of %s (index %016" PRIx64 " of cluster %s): %" PRId32 " shards, %" PRId64
	       " documents, %" PRId64 " bytes; every file is as it was written\n",
	       found.origin.uid, found.origin.index_id, found.origin.cluster, found.origin.partitions,
	       found.documents, found.bytes);
	snapshot_found_deinit(&found);
	return 0;
}

static int plan_run(struct plan *plan)
{
	struct cli *cli = plan->snapshot.cli;
	struct http_client_options options = {.in_flight_max = SNAPSHOT_PAGES_AT_ONCE,
	                                      .answer_bytes_max = SNAPSHOT_HEAD_BYTES_MAX,
	                                      .receive_bytes = RECEIVE_BYTES,
	                                      .bearer = config_string(cli->config, "auth.cluster_key")};
	struct error error;
	int rc = 0;

	plan->rows = calloc((size_t)plan->record->partitions, sizeof *plan->rows);
	if (plan->rows == NULL)
		rc = error_memory(&error, (size_t)plan->record->partitions * sizeof *plan->rows);
	if (rc == 0)
		rc = http_client_start(&options, &plan->snapshot.client, &error);
	if (rc == 0)
		rc = take(plan, &error);
	if (rc == 0)
		say_taken(plan);
	http_client_stop(plan->snapshot.client);
	yyjson_doc_free(plan->snapshot.status);
	if (plan->lock >= 0)
		(void)close(plan->lock);
	free(plan->rows);
	return rc == 0 ? 0 : cli_fail("index", "%s", error.text);
}

static int index_find(struct plan *plan, const struct catalog *catalog, const char *uid)
{
	struct snapshot_origin *origin = &plan->snapshot.origin;

	plan->record = catalog_resolve(catalog, slice_string(uid));
	if (plan->record == NULL || plan->record->base == NULL)
		return cli_fail("index", "there is no index %s; `millrace index ls` names those there are",
		                uid);
	origin->index_id = plan->record->id;
	origin->partitions = plan->record->partitions;
	(void)snprintf(origin->uid, sizeof origin->uid, "%s", plan->record->uid);
	(void)snprintf(origin->cluster, sizeof origin->cluster, "%s",
	               config_string(plan->snapshot.cli->config, "cluster"));
	return 0;
}

int cli_index_snapshot(struct cli *cli, const struct index_options *options)
{
	struct plan plan = {.snapshot = {.directory = options->directory, .cli = cli, .show = show},
	                    .lock = -1};
	struct catalog *catalog;
	struct error error;
	int result;

	if (options->verify)
		return verify(options->directory);
	plan.snapshot.context = &plan;
	catalog = catalog_new();
	if (catalog == NULL)
		return cli_fail("index", "out of memory");
	if (dlq_read_meta(cli->config, catalog, &error) != 0)
		result = cli_fail("index", "%s", error.text);
	else
		result = index_find(&plan, catalog, options->uid);
	if (result == 0)
		result = plan_run(&plan);
	catalog_free(catalog);
	return result;
}
