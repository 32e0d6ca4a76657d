/*
 * `millrace status` and `millrace node ls`: GET /status of the gateway, as it
 * is or as tables.
 */
#include "shared/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES_MAX 320

static const struct cli_column program_columns[] = {
	{"PROGRAM", "program", false}, {"PLACE", "place", false}, {"STATE", "state", false},
	{"SHARDS", "shards", true},    {"NOTE", "note", false},   {NULL, NULL, false},
};

static const struct cli_column shard_columns[] = {
	{"SHARD", "shard", false},
	{"NODE", "node", false},
	{"RECORDED", "recorded", false},
	{"IN SYNC", "in_sync", false},
	{"STATE", "state", false},
	{"SERVING", "serving", false},
	{"RECEIVED", "received", true},
	{"STORED", "stored", true},
	{"LOG END", "log_end", true},
	{"LAG", "lag", true},
	{"DIGESTS", "digests", false},
	{"NOTE", "error", false},
	{NULL, NULL, false},
};

static const struct cli_column node_columns[] = {
	{"ID", "id", false},
	{"GROUP", "group", false},
	{"URL", "url", false},
	{"STATE", "state", false},
	{"REPLICAS", "replicas", true},
	{"DOCUMENTS", "documents", true},
	{"BYTES", "body_bytes", true},
	{"MEMORY", "memory_bytes", true},
	{"FORMAT", "format", true},
	{"INCARNATION", "incarnation", false},
	{"NOTE", "error", false},
	{NULL, NULL, false},
};

void cli_status_help(void)
{
	printf("  status [-o table|json]      programs, nodes, every shard's replicas, the lag\n"
	       "  node ls [-o table|json]     nodes and what they hold\n");
}

static int ask_status(struct cli *cli, yyjson_doc **answer)
{
	struct cli_question question = {"GET", "/status", NULL, 200};

	return cli_ask(cli, &question, answer);
}

/* A table's rows under construction. */
struct rows {
	yyjson_mut_doc *doc;
	yyjson_mut_val *list;
};

static bool rows_new(struct rows *rows)
{
	rows->doc = yyjson_mut_doc_new(NULL);
	rows->list = rows->doc == NULL ? NULL : yyjson_mut_arr(rows->doc);
	if (rows->list == NULL) {
		yyjson_mut_doc_free(rows->doc);
		return false;
	}
	yyjson_mut_doc_set_root(rows->doc, rows->list);
	return true;
}

/* Prints and frees. */
static int rows_print(struct rows *rows, const struct cli_column *columns, const char *none)
{
	yyjson_doc *doc = yyjson_mut_doc_imut_copy(rows->doc, NULL);
	int result = doc == NULL ? -1 : cli_print_table(columns, yyjson_doc_get_root(doc), none);

	yyjson_doc_free(doc);
	yyjson_mut_doc_free(rows->doc);
	return result;
}

static void put_value(const struct rows *rows, yyjson_mut_val *row, const char *name, yyjson_val *value)
{
	if (value != NULL)
		(void)yyjson_mut_obj_add_val(rows->doc, row, name, yyjson_val_mut_copy(rows->doc, value));
}

static void put_text(const struct rows *rows, yyjson_mut_val *row, const char *name, const char *text)
{
	(void)yyjson_mut_obj_add_strcpy(rows->doc, row, name, text);
}

static yyjson_mut_val *add_program(const struct rows *rows, const char *program, yyjson_val *told,
                                   const char *state)
{
	yyjson_mut_val *row = yyjson_mut_arr_add_obj(rows->doc, rows->list);

	put_text(rows, row, "program", program);
	put_value(rows, row, "place", yyjson_obj_get(told, "url"));
	put_text(rows, row, "state", cli_flag(told, "answers") ? state : "does not answer");
	put_value(rows, row, "note", yyjson_obj_get(told, "error"));
	return row;
}

static const char *node_state(yyjson_val *node)
{
	if (!cli_flag(node, "answers"))
		return "does not answer";
	return cli_flag(node, "ready") ? "ready" : "starting";
}

static int print_programs(const struct cli *cli, yyjson_val *status)
{
	yyjson_val *told;
	yyjson_mut_val *row;
	struct rows rows;
	char text[TEXT_BYTES_MAX];
	size_t at;
	size_t len;

	if (!rows_new(&rows))
		return -1;
	row = yyjson_mut_arr_add_obj(rows.doc, rows.list);
	put_text(&rows, row, "program", "query");
	(void)snprintf(text, sizeof text, "http://%.300s", config_string(cli->config, "query.admin"));
	put_text(&rows, row, "place", text);
	put_text(&rows, row, "state", "ready");
	put_text(&rows, row, "note", "");
	yyjson_arr_foreach(yyjson_obj_get(status, "controllers"), at, len, told)(void) add_program(
		&rows, "rebalance", told, cli_flag(told, "in_office") ? "in office" : "stands by");
	yyjson_arr_foreach(yyjson_obj_get(status, "ingest"), at, len, told)
	{
		row = add_program(&rows, "ingest", told, "feeds");
		put_value(&rows, row, "shards", yyjson_obj_get(told, "shards"));
	}
	yyjson_arr_foreach(yyjson_obj_get(status, "nodes"), at, len, told)
	{
		(void)snprintf(text, sizeof text, "node %.63s", cli_text(told, "id"));
		row = add_program(&rows, text, told, node_state(told));
		put_value(&rows, row, "shards", yyjson_obj_get(told, "replicas"));
	}
	return rows_print(&rows, program_columns, "no programs");
}

static void add_replica(const struct rows *rows, yyjson_val *shard, yyjson_val *replica)
{
	static const char *const own[] = {"node",     "recorded", "in_sync", "state", "serving",
	                                  "received", "stored",   "lag",     "error"};
	yyjson_mut_val *row = yyjson_mut_arr_add_obj(rows->doc, rows->list);
	char name[TEXT_BYTES_MAX];

	(void)snprintf(name, sizeof name, "%.250s/%" PRId64, cli_text(shard, "uid"),
	               yyjson_get_sint(yyjson_obj_get(shard, "partition")));
	put_text(rows, row, "shard", name);
	put_value(rows, row, "log_end", yyjson_obj_get(shard, "log_end"));
	put_value(rows, row, "digests", yyjson_obj_get(shard, "digests"));
	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		put_value(rows, row, own[i], yyjson_obj_get(replica, own[i]));
}

static int print_shards(yyjson_val *status)
{
	yyjson_val *shard;
	yyjson_val *replica;
	struct rows rows;
	size_t at;
	size_t len;
	size_t replica_at;
	size_t replicas_len;

	if (!rows_new(&rows))
		return -1;
	yyjson_arr_foreach(yyjson_obj_get(status, "shards"), at, len, shard)
		yyjson_arr_foreach(yyjson_obj_get(shard, "replicas"), replica_at, replicas_len, replica)
			add_replica(&rows, shard, replica);
	return rows_print(&rows, shard_columns, "no shards");
}

/* What counts over all shards. */
struct sums {
	size_t shards;
	size_t replicas;
	size_t in_sync;
	size_t unserved; /* shards that no replica serves */
	size_t divergent;
	int64_t lag;
	bool lag_known;
};

static void sum_shards(yyjson_val *status, struct sums *sums)
{
	yyjson_val *shard;
	yyjson_val *replica;
	size_t at;
	size_t len;
	size_t replica_at;
	size_t replicas_len;

	*sums = (struct sums){.lag_known = true};
	yyjson_arr_foreach(yyjson_obj_get(status, "shards"), at, len, shard)
	{
		size_t serving = 0;

		sums->shards++;
		sums->divergent += cli_flag(shard, "divergent");
		sums->lag_known = sums->lag_known && yyjson_is_int(yyjson_obj_get(shard, "lag"));
		sums->lag += yyjson_get_sint(yyjson_obj_get(shard, "lag"));
		yyjson_arr_foreach(yyjson_obj_get(shard, "replicas"), replica_at, replicas_len, replica)
		{
			sums->replicas++;
			sums->in_sync += cli_flag(replica, "in_sync");
			serving += cli_flag(replica, "serving");
		}
		sums->unserved += serving == 0;
	}
}

static void print_kafka(yyjson_val *status)
{
	yyjson_val *kafka = yyjson_obj_get(status, "kafka");

	printf("cluster %s, rf %" PRId64 ", epoch %" PRId64 "; Kafka %s ", cli_text(status, "cluster"),
	       yyjson_get_sint(yyjson_obj_get(status, "rf")),
	       yyjson_get_sint(yyjson_obj_get(status, "epoch")), cli_text(kafka, "cluster_id"));
	if (cli_flag(kafka, "answers"))
		printf("answers\n");
	else
		printf("does not answer: %s\n", cli_text(kafka, "error"));
}

static void print_office(yyjson_val *status)
{
	yyjson_val *controller;
	size_t at;
	size_t len;

	yyjson_arr_foreach(yyjson_obj_get(status, "controllers"), at, len,
	                   controller) if (cli_flag(controller, "in_office")) return;
	printf("no controller is in office: documents and searches go on; tasks, marks and metadata wait\n");
}

static void print_sums(yyjson_val *status)
{
	struct sums sums;

	sum_shards(status, &sums);
	printf("%zu shards, %zu of %zu replicas in sync", sums.shards, sums.in_sync, sums.replicas);
	if (sums.unserved > 0)
		printf(", %zu shards served by nobody", sums.unserved);
	if (sums.divergent > 0)
		printf(", %zu shards whose replicas differ", sums.divergent);
	if (sums.lag_known)
		printf(", %" PRId64 " records not committed", sums.lag);
	printf("\n");
}

/* Records before which a program waits because it died of them. */
static void print_held(const char *program, yyjson_val *list)
{
	yyjson_val *told;
	yyjson_val *held;
	size_t at, len, held_at, held_len;

	yyjson_arr_foreach(list, at, len, told)
	{
		yyjson_arr_foreach(yyjson_obj_get(told, "held"), held_at, held_len, held)
			printf("%s/%" PRId64 ": %s died %" PRId64 " times of the record at offset %" PRId64
		               " of %s and waits before it: see millrace doctor\n",
		               cli_text(held, "uid"), cli_number(held, "partition", -1), program,
		               cli_number(held, "deaths", 0), cli_number(held, "offset", -1),
		               cli_text(held, "topic"));
	}
}

int cli_status(struct cli *cli, int argc, char **argv)
{
	yyjson_doc *answer;
	yyjson_val *status;
	bool json = false;
	int result;

	if (cli_read_output(argc, argv, &json) != 0 || ask_status(cli, &answer) != 0)
		return 1;
	status = yyjson_doc_get_root(answer);
	if (json) {
		result = cli_print_json("status", status);
	} else {
		print_kafka(status);
		print_office(status);
		print_sums(status);
		print_held("millrace-ingest", yyjson_obj_get(status, "ingest"));
		print_held("millrace-rebalance", yyjson_obj_get(status, "controllers"));
		cli_source_sums(cli);
		printf("\n");
		result = print_programs(cli, status);
		printf("\n");
		if (result == 0)
			result = print_shards(status);
		if (result != 0)
			result = cli_fail("status", "out of memory");
	}
	yyjson_doc_free(answer);
	return result;
}

static int print_nodes(yyjson_val *nodes)
{
	static const char *const own[] = {"id",         "group",        "url",    "replicas",    "documents",
	                                  "body_bytes", "memory_bytes", "format", "incarnation", "error"};
	yyjson_val *node;
	struct rows rows;
	size_t at;
	size_t len;

	if (!rows_new(&rows))
		return -1;
	yyjson_arr_foreach(nodes, at, len, node)
	{
		yyjson_mut_val *row = yyjson_mut_arr_add_obj(rows.doc, rows.list);

		put_text(&rows, row, "state", node_state(node));
		for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
			put_value(&rows, row, own[i], yyjson_obj_get(node, own[i]));
	}
	return rows_print(&rows, node_columns, "no nodes");
}

int cli_node(struct cli *cli, int argc, char **argv)
{
	yyjson_doc *answer;
	yyjson_val *nodes;
	bool json = false;
	int result;

	if (argc < 2 || strcmp(argv[1], "ls") != 0)
		return cli_fail("node", "expected ls (see --help)");
	if (cli_read_output(argc - 1, argv + 1, &json) != 0 || ask_status(cli, &answer) != 0)
		return 1;
	nodes = yyjson_obj_get(yyjson_doc_get_root(answer), "nodes");
	result = json ? cli_print_json("node", nodes) : print_nodes(nodes);
	yyjson_doc_free(answer);
	return result < 0 ? cli_fail("node", "out of memory") : result;
}
