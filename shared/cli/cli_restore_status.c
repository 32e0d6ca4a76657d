/* What the gateway says of the shards that are to be restored. */
#include "shared/cli/cli_restore.h"

#include <inttypes.h>

int restore_ask_status(struct restore *restore, struct error *error)
{
	struct cli_question question = {"GET", "/status", NULL, 200};

	yyjson_doc_free(restore->status);
	restore->status = NULL;
	if (cli_ask(restore->cli, &question, &restore->status) == 0)
		return 0;
	restore->status = NULL;
	return error_set(error, ERROR_NETWORK, ERROR_ACTION_RETRY, "the gateway gave no status");
}

/* NULL: the status does not know it. */
static yyjson_val *node_of(yyjson_val *status, const char *id)
{
	yyjson_val *node;
	size_t at;
	size_t len;

	yyjson_arr_foreach(yyjson_obj_get(status, "nodes"), at, len, node)
	{
		if (strcmp(cli_text(node, "id"), id) == 0)
			return node;
	}
	return NULL;
}

/* What a replica's bytes mean: its format, and how its words were cut. */
static bool can_take(yyjson_val *node, const struct snapshot_row *row)
{
	return row->format == 0 ||
	       (cli_number(node, "format", -1) == row->format && cli_number(node, "words", -1) == row->words);
}

int restore_check_nodes(const struct restore *restore, struct error *error)
{
	yyjson_val *node;
	size_t at;
	size_t len;

	yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(restore->status), "nodes"), at, len, node)
	{
		for (int32_t i = 0; cli_flag(node, "answers") && i < restore->found.origin.partitions; i++) {
			const struct snapshot_row *row = &restore->found.rows[i];

			if (!can_take(node, row))
				return error_set(
					error, ERROR_VERSION, ERROR_ACTION_FATAL,
					"%.200s holds replicas of format %" PRId64 ", words of ICU %08" PRIx64
					", node %s writes format %" PRId64 ", words of ICU %08" PRIx64
					": only nodes of the version that took a snapshot can take it back; "
					"nothing was begun",
					restore->directory, row->format, (uint64_t)row->words,
					cli_text(node, "id"), cli_number(node, "format", 0),
					(uint64_t)cli_number(node, "words", 0));
		}
	}
	return 0;
}

static yyjson_val *replicas_of(const struct restore *restore, const struct restore_row *row)
{
	yyjson_val *status = yyjson_doc_get_root(restore->status);
	char index[17];
	yyjson_val *shard;
	size_t at;
	size_t len;

	index_id_print(restore->found.origin.index_id, index);
	yyjson_arr_foreach(yyjson_obj_get(status, "shards"), at, len, shard)
	{
		if (strcmp(cli_text(shard, "index"), index) == 0 &&
		    cli_number(shard, "partition", -1) == row->snapshot->partition)
			return yyjson_obj_get(shard, "replicas");
	}
	return NULL;
}

/* By this very copy; a gap that grew since is another one. */
static bool comes_by_it(yyjson_val *replica, const struct restore_row *row)
{
	struct placement_copy copy;

	return strcmp(cli_text(replica, "recorded"), "leaving") != 0 &&
	       placement_copy_read(yyjson_obj_get(replica, "copy"), &copy) &&
	       hash128_equal(copy.head, row->copy.head) &&
	       (copy.from >= row->log_start || copy.stored >= row->log_start);
}

static bool is_serving(yyjson_val *replica)
{
	return cli_flag(replica, "in_sync") && cli_flag(replica, "serving");
}

static void row_read(const struct restore *restore, struct restore_row *row)
{
	yyjson_val *replica;
	size_t at;
	size_t len;

	row->serves = false;
	row->begun = false;
	row->waits = false;
	yyjson_arr_foreach(replicas_of(restore, row), at, len, replica)
	{
		row->serves = row->serves || is_serving(replica);
		row->begun = row->begun || comes_by_it(replica, row);
		row->waits = row->waits || (comes_by_it(replica, row) && !is_serving(replica));
	}
}

void restore_read_status(struct restore *restore)
{
	for (int32_t i = 0; i < restore->found.origin.partitions; i++)
		row_read(restore, &restore->rows[i]);
}

size_t restore_replicas(const struct restore *restore, const struct restore_row *row,
                        struct restore_replica replicas[REPLICAS_MAX])
{
	yyjson_val *status = yyjson_doc_get_root(restore->status);
	size_t found = 0;
	yyjson_val *replica;
	size_t at;
	size_t len;

	yyjson_arr_foreach(replicas_of(restore, row), at, len, replica)
	{
		yyjson_val *node = node_of(status, cli_text(replica, "node"));

		if (found == REPLICAS_MAX || !comes_by_it(replica, row))
			continue;
		replicas[found++] = (struct restore_replica){.node = cli_text(replica, "node"),
		                                             .url = cli_text(node, "url"),
		                                             .answers = cli_flag(node, "answers"),
		                                             .serves = is_serving(replica),
		                                             .received = cli_number(replica, "received", 0)};
	}
	return found;
}
