/*
 * `millrace doc where`: why a document is, or is not, in its index. Asks the
 * gateway, Kafka and the nodes.
 */
#include "shared/cli/cli_where.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

struct where_words {
	bool all_partitions;
	bool json;
	const char *uid;
	const char *id;
};

void cli_doc_help(void)
{
	printf("  doc where UID ID [--all-partitions] [-o table|json]\n"
	       "                              why a document is, or is not, in its index: its records in "
	       "the\n"
	       "                              log, its dead letters, every replica; 0 if all of them have "
	       "it\n");
}

/* argv[0] is where; 0 or the exit code. */
static int read_words(int argc, char **argv, struct where_words *words)
{
	static const struct option longs[] = {{"all-partitions", no_argument, NULL, 'a'},
	                                      {"output", required_argument, NULL, 'o'},
	                                      {NULL, 0, NULL, 0}};
	int letter;

	while ((letter = getopt_long(argc, argv, "o:", longs, NULL)) != -1) {
		if (letter == '?')
			return 1; /* getopt has said why */
		if (letter == 'a') {
			words->all_partitions = true;
			continue;
		}
		words->json = strcmp(optarg, "json") == 0;
		if (!words->json && strcmp(optarg, "table") != 0)
			return cli_fail("doc", "-o is `%s`, expected table or json", optarg);
	}
	if (argc - optind != 2)
		return cli_fail("doc", "`where` takes the uid of an index and the id of a document (see "
		                       "--help)");
	words->uid = argv[optind];
	words->id = argv[optind + 1];
	if (words->uid[0] == '\0' || words->id[0] == '\0')
		return cli_fail("doc", "neither the uid nor the id may be empty");
	return 0;
}

/* Takes an entry of GET /indexes; false if it is not what we know. */
static bool take_index(yyjson_val *entry, struct index_record *index)
{
	int64_t partitions = cli_number(entry, "partitions", -1);

	(void)snprintf(index->uid, sizeof index->uid, "%s", cli_text(entry, "uid"));
	(void)snprintf(index->topic, sizeof index->topic, "%s", cli_text(entry, "topic"));
	(void)snprintf(index->primary_key, sizeof index->primary_key, "%s", cli_text(entry, "primaryKey"));
	index->generation = (int32_t)cli_number(entry, "generation", 0);
	index->partitions = (int32_t)partitions;
	return partitions >= 1 && partitions <= INDEX_PARTITIONS_MAX && index->topic[0] != '\0' &&
	       index_id_parse(slice_string(cli_text(entry, "id")), &index->id) &&
	       partitioner_parse(slice_string(cli_text(entry, "partitioner")), &index->partitioner);
}

/* As `index ls` asks. 0 also if the gateway is away, which it has said then; else the exit code. */
static int ask_gateway(struct where *where)
{
	struct cli_question question = {"GET", "/indexes", NULL, 200};
	yyjson_doc *answer;
	yyjson_val *entry;
	size_t at;
	size_t len;
	int result = 0;

	if (cli_ask(where->cli, &question, &answer) != 0) {
		(void)snprintf(where->replicas.trouble.text, sizeof where->replicas.trouble.text,
		               "the gateway gave no answer");
		return 0;
	}
	yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(answer), "results"), at, len, entry)
	{
		if (strcmp(cli_text(entry, "uid"), where->uid) != 0)
			continue;
		where->named = take_index(entry, &where->index);
		if (!where->named)
			result = cli_fail("doc",
			                  "the gateway's answer about index %s is not what this "
			                  "version knows",
			                  where->uid);
	}
	if (result == 0 && !where->named)
		result = cli_fail("doc", "there is no index %s; `millrace index ls` names those there are",
		                  where->uid);
	yyjson_doc_free(answer);
	return result;
}

static int ask_all(struct where *where, bool json)
{
	int result = ask_gateway(where);

	if (result != 0)
		return result;
	if (where->named)
		where->partition =
			partitioner_choose(where->index.partitioner, where->id, where->index.partitions);
	where_ask_kafka(where);
	if (!where->named)
		return cli_fail("doc", "%s", where->log.trouble.text);
	where_ask_replicas(where);
	where_judge(where);
	return where_print(where, json);
}

int cli_doc(struct cli *cli, int argc, char **argv)
{
	struct where_words words = {.uid = "", .id = ""};
	struct where *where;
	int result;

	if (argc < 2 || strcmp(argv[1], "where") != 0)
		return cli_fail("doc", "expected where (see --help)");
	if (read_words(argc - 1, argv + 1, &words) != 0)
		return 1;
	where = calloc(1, sizeof *where);
	if (where == NULL)
		return cli_fail("doc", "out of memory");
	where->cli = cli;
	where->uid = words.uid;
	where->id = slice_string(words.id);
	where->all_partitions = words.all_partitions;
	where->partition = -1;
	where->log.base = -1;
	where->log.start = -1;
	where->log.end = -1;
	where->log.uncertain = -1;
	buffer_init(&where->log.body, WHERE_BODY_BYTES_MAX);
	buffer_init(&where->verdict, CLI_ANSWER_BYTES_MAX);
	result = ask_all(where, words.json);
	buffer_deinit(&where->verdict);
	buffer_deinit(&where->log.body);
	free(where);
	return result;
}
