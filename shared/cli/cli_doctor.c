/*
 * `millrace doctor`: one line for each thing that must hold, ok, warning or
 * error, with the remedy. It asks Kafka itself, with the configuration's
 * properties, and the gateway's GET /status and GET /indexes.
 */
#include "shared/cli/cli_doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLICAS_SAFE 3 /* from here on the loss of one broker loses nothing, with min.insync.replicas 2 */
#define DISK_FREE_ERROR (256LL << 20)
#define DISK_FREE_WARNING_PERCENT 10
#define DESCRIPTORS_MIN 4096
#define CLOCK_OFF_WARNING_MS 2000
#define LAG_WARNING 1000000

static const struct cli_column columns[] = {
	{"", "verdict", false},      {"CHECK", "check", false}, {"FOUND", "found", false},
	{"REMEDY", "remedy", false}, {NULL, NULL, false},
};

__attribute__((format(printf, 5, 6))) static void note(struct doctor *doctor, enum verdict verdict,
                                                       const char *check, const char *remedy,
                                                       const char *format, ...)
{
	static const char *const names[] = {"ok", "warning", "error"};
	yyjson_mut_val *row = yyjson_mut_arr_add_obj(doctor->doc, doctor->list);
	char found[DOCTOR_TEXT_BYTES_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(found, sizeof found, format, args);
	va_end(args);
	(void)yyjson_mut_obj_add_str(doctor->doc, row, "verdict", names[verdict]);
	(void)yyjson_mut_obj_add_strcpy(doctor->doc, row, "check", check);
	(void)yyjson_mut_obj_add_strcpy(doctor->doc, row, "found", found);
	(void)yyjson_mut_obj_add_strcpy(doctor->doc, row, "remedy", remedy);
	doctor->failed = doctor->failed || verdict == VERDICT_ERROR;
}

void doctor_note(struct doctor *doctor, enum verdict verdict, const char *check, const char *remedy,
                 const char *found)
{
	note(doctor, verdict, check, remedy, "%s", found);
}

/* A failure of Kafka about `name`; FATAL is a right that is missing. */
static void note_kafka(struct doctor *doctor, const char *check, const char *right, const struct error *error)
{
	char remedy[DOCTOR_TEXT_BYTES_MAX];

	if (error->action == ERROR_ACTION_FATAL)
		(void)snprintf(remedy, sizeof remedy,
		               "grant %s to the user of this configuration: see `millrace doctor --rights`",
		               right);
	else
		(void)snprintf(remedy, sizeof remedy, "%s",
		               log_refusal() != NULL ? log_refusal()
		                                     : "check kafka.bootstrap.servers and the brokers");
	note(doctor, VERDICT_ERROR, check, remedy, "%s", error->text);
}

/* ---- Kafka ---- */

static bool check_kafka(struct doctor *doctor)
{
	struct error error;
	char id[64];

	if (log_connection_open(doctor->cli->config, &doctor->connection, &error) != 0) {
		doctor->connection = NULL;
		note(doctor, VERDICT_ERROR, "kafka", "correct the properties under `kafka`", "%s",
		     error.text);
		return false;
	}
	if (log_cluster_id(doctor->connection, DOCTOR_KAFKA_MS, id, &error) != 0 ||
	    log_brokers(doctor->connection, DOCTOR_KAFKA_MS, &doctor->brokers, &error) != 0) {
		note_kafka(doctor, "kafka", "Describe on the cluster", &error);
		return false;
	}
	note(doctor, VERDICT_OK, "kafka", "", "Kafka %s answers, %d broker%s", id, doctor->brokers,
	     doctor->brokers == 1 ? "" : "s");
	if (doctor->brokers < REPLICAS_SAFE)
		note(doctor, VERDICT_WARNING, "brokers",
		     "three brokers, replication 3 and min.insync.replicas 2 survive the loss of any one",
		     "with %d broker%s the loss of one can lose acknowledged records", doctor->brokers,
		     doctor->brokers == 1 ? "" : "s");
	return true;
}

/* What a topic must be like; -1 or NULL: anything. */
struct wanted {
	const char *name;
	int32_t partitions;
	const char *cleanup;
	const char *retention;
	const char *absent_remedy;
};

/* The topic's setting; false after noting why not. */
static bool ask_setting(struct doctor *doctor, const char *topic, const char *setting, char value[128])
{
	struct error error;

	if (log_topic_setting(doctor->connection, topic, setting, DOCTOR_KAFKA_MS, value, &error) == 0)
		return true;
	note_kafka(doctor, topic, "DescribeConfigs on the topic", &error);
	return false;
}

static void check_copies(struct doctor *doctor, const char *topic, const struct log_shape *shape)
{
	char value[128];
	long least;

	if (shape->leaderless > 0)
		note(doctor, VERDICT_ERROR, topic, "bring the missing brokers back",
		     "%d of its partitions have no leader", shape->leaderless);
	if (shape->in_sync_min < shape->replicas_min)
		note(doctor, VERDICT_WARNING, topic, "look at the brokers that follow",
		     "a partition has %d of its %d copies in sync", shape->in_sync_min, shape->replicas_min);
	if (doctor->brokers >= REPLICAS_SAFE && shape->replicas_min < REPLICAS_SAFE)
		note(doctor, VERDICT_WARNING, topic, "raise its replication to 3 (kafka-reassign-partitions)",
		     "%d cop%s of a partition on %d brokers", shape->replicas_min,
		     shape->replicas_min == 1 ? "y" : "ies", doctor->brokers);
	if (!ask_setting(doctor, topic, "min.insync.replicas", value))
		return;
	least = strtol(value, NULL, 10);
	if (least > shape->replicas_min)
		note(doctor, VERDICT_ERROR, topic, "lower min.insync.replicas or raise the replication",
		     "nothing can be written: min.insync.replicas is %ld, its copies are %d", least,
		     shape->replicas_min);
	else if (shape->replicas_min >= REPLICAS_SAFE && least < 2)
		note(doctor, VERDICT_WARNING, topic, "set min.insync.replicas=2",
		     "an acknowledged record may be on one broker only");
}

static bool check_cleanup(struct doctor *doctor, const struct wanted *wanted)
{
	char value[128];

	if (!ask_setting(doctor, wanted->name, "cleanup.policy", value))
		return false;
	if (strcmp(value, wanted->cleanup) != 0) {
		note(doctor, VERDICT_ERROR, wanted->name,
		     strcmp(wanted->cleanup, "compact") == 0
		             ? "set cleanup.policy=compact"
		             : "set cleanup.policy=delete: compaction changes what the index is made of",
		     "cleanup.policy is %s", value);
		return false;
	}
	if (wanted->retention == NULL)
		return true;
	if (!ask_setting(doctor, wanted->name, "retention.ms", value))
		return false;
	if (strcmp(value, wanted->retention) != 0)
		note(doctor, VERDICT_WARNING, wanted->name,
		     "set retention.ms=-1, or reckon with replicas that only a sibling can rebuild",
		     "retention.ms is %s: records leave the log", value);
	return true;
}

static void check_topic(struct doctor *doctor, const struct wanted *wanted)
{
	struct log_shape shape;
	struct error error;
	int result = log_topic_shape(doctor->connection, wanted->name, DOCTOR_KAFKA_MS, &shape, &error);

	if (result == ERROR_NOT_FOUND) {
		note(doctor, VERDICT_ERROR, wanted->name, wanted->absent_remedy, "there is no such topic");
		return;
	}
	if (result != 0) {
		note_kafka(doctor, wanted->name, "Describe and Read on the topic", &error);
		return;
	}
	if (wanted->partitions >= 0 && shape.partitions != wanted->partitions)
		note(doctor, VERDICT_ERROR, wanted->name,
		     "partitions of a log are frozen: create a new index, or restore the topic",
		     "it has %d partitions, %d are recorded", shape.partitions, wanted->partitions);
	check_copies(doctor, wanted->name, &shape);
	if (check_cleanup(doctor, wanted))
		note(doctor, VERDICT_OK, wanted->name, "", "%d partition%s, %d cop%s each, cleanup.policy=%s",
		     shape.partitions, shape.partitions == 1 ? "" : "s", shape.replicas_min,
		     shape.replicas_min == 1 ? "y" : "ies", wanted->cleanup);
}

/* The value that log_own_topic gives for a setting, or NULL. */
static const char *own_setting(const struct log_topic *topic, const char *name)
{
	for (size_t i = 0; topic->config[i] != NULL; i += 2)
		if (strcmp(topic->config[i], name) == 0)
			return topic->config[i + 1];
	return NULL;
}

static void check_own_topics(struct doctor *doctor)
{
	struct log_topic topic;

	for (size_t i = 0; log_own_topic(i, &topic); i++) {
		const char *retention = own_setting(&topic, "retention.ms");
		/* dead letters may be kept for as long as anybody likes */
		struct wanted wanted = {log_name(doctor->connection, topic.name), topic.partitions,
		                        own_setting(&topic, "cleanup.policy"),
		                        retention != NULL && strcmp(retention, "-1") == 0 ? retention : NULL,
		                        "start millrace-rebalance, which creates it"};

		check_topic(doctor, &wanted);
		if (own_setting(&topic, "message.timestamp.type") != NULL)
			doctor_check_letters(doctor, wanted.name);
	}
}

/* ---- what the gateway knows ---- */

static yyjson_doc *ask_gateway(struct doctor *doctor, const char *path)
{
	struct cli_question question = {"GET", path, NULL, 200};
	yyjson_doc *answer;

	if (cli_ask(doctor->cli, &question, &answer) == 0)
		return answer;
	note(doctor, VERDICT_ERROR, "gateway", "start millrace-query, or give its place with --admin",
	     "no answer to %s from %s", path, config_string(doctor->cli->config, "query.admin"));
	return NULL;
}

static void check_logs(struct doctor *doctor, yyjson_val *indexes)
{
	yyjson_val *index;
	size_t at;
	size_t len;

	yyjson_arr_foreach(indexes, at, len, index)
	{
		struct wanted wanted = {cli_text(index, "topic"),
		                        (int32_t)cli_number(index, "partitions", -1), "delete", "-1",
		                        "the log is gone: restore the topic, or delete the index"};

		check_topic(doctor, &wanted);
	}
}

/* Answering ones of a list, noting those that do not; of controllers also who is in office. */
static size_t count_answering(struct doctor *doctor, yyjson_val *list, const char *program, size_t *in_office)
{
	size_t answering = 0;
	yyjson_val *told;
	size_t at;
	size_t len;

	yyjson_arr_foreach(list, at, len, told)
	{
		answering += cli_flag(told, "answers");
		*in_office += cli_flag(told, "in_office");
		if (!cli_flag(told, "answers"))
			note(doctor, VERDICT_WARNING, program,
			     "start it again, or wait until Kafka forgets it", "%s: %s",
			     cli_text(told, "url"), cli_text(told, "error"));
	}
	return answering;
}

static void check_programs(struct doctor *doctor, yyjson_val *status)
{
	size_t in_office = 0;
	size_t ignored = 0;
	size_t controllers = count_answering(doctor, yyjson_obj_get(status, "controllers"),
	                                     "millrace-rebalance", &in_office);
	size_t feeders =
		count_answering(doctor, yyjson_obj_get(status, "ingest"), "millrace-ingest", &ignored);

	if (in_office == 0)
		note(doctor, VERDICT_ERROR, "controller", "start millrace-rebalance",
		     "nobody is in office: tasks, marks and metadata wait");
	else if (controllers == 1)
		note(doctor, VERDICT_WARNING, "controller", "start a second millrace-rebalance",
		     "one is in office, nobody stands by");
	else
		note(doctor, VERDICT_OK, "controller", "", "one in office, %zu standing by", controllers - 1);
	if (feeders == 0)
		note(doctor, VERDICT_ERROR, "ingest", "start millrace-ingest",
		     "nobody feeds: new records wait");
	else
		note(doctor, feeders == 1 ? VERDICT_WARNING : VERDICT_OK, "ingest",
		     feeders == 1 ? "start a second millrace-ingest" : "", "%zu feed%s", feeders,
		     feeders == 1 ? "s alone" : "");
}

/* Of the node's machine, as it tells. */
static void check_machine(struct doctor *doctor, const char *name, yyjson_val *node)
{
	int64_t free_bytes = cli_number(node, "disk_free_bytes", -1);
	int64_t disk_bytes = cli_number(node, "disk_bytes", -1);
	int64_t descriptors = cli_number(node, "descriptors_max", DESCRIPTORS_MIN);

	if (free_bytes >= 0 && free_bytes < DISK_FREE_ERROR)
		note(doctor, VERDICT_ERROR, name, "make room: a node with a full disk takes nothing more",
		     "%" PRId64 " MiB of disk are free", free_bytes >> 20);
	else if (free_bytes >= 0 && free_bytes < disk_bytes / 100 * DISK_FREE_WARNING_PERCENT)
		note(doctor, VERDICT_WARNING, name, "make room, or add a node",
		     "%" PRId64 " MiB of disk are free, less than %d %%", free_bytes >> 20,
		     DISK_FREE_WARNING_PERCENT);
	if (descriptors < DESCRIPTORS_MIN)
		note(doctor, VERDICT_WARNING, name, "raise its RLIMIT_NOFILE (ulimit -n, LimitNOFILE)",
		     "it may open %" PRId64 " files; every replica needs some, every connection one",
		     descriptors);
}

/* Brokers are left out: Kafka's protocol tells a broker's clock only in the acknowledgement of a record (of a topic with
 * LogAppendTime), and this command writes nothing. */
static void check_clocks(struct doctor *doctor, yyjson_val *status)
{
	size_t known = 0;
	size_t well = 0;
	yyjson_val *node;
	size_t at;
	size_t len;

	yyjson_arr_foreach(yyjson_obj_get(status, "nodes"), at, len, node)
	{
		int64_t off_ms = cli_number(node, "clock_off_ms", INT64_MIN);
		char name[DOCTOR_TEXT_BYTES_MAX];

		(void)snprintf(name, sizeof name, "node %s", cli_text(node, "id"));
		known += off_ms != INT64_MIN;
		if (off_ms >= -CLOCK_OFF_WARNING_MS && off_ms <= CLOCK_OFF_WARNING_MS)
			well++;
		else if (off_ms != INT64_MIN)
			note(doctor, VERDICT_WARNING, name, "set the clocks by NTP",
			     "its clock is %" PRId64 " ms ahead of the gateway's", off_ms);
	}
	if (well > 0 && well == known)
		note(doctor, VERDICT_OK, "clocks", "",
		     "%zu node%s within %d ms of the gateway; a broker tells its clock to none but "
		     "writers",
		     well, well == 1 ? " is" : "s are", CLOCK_OFF_WARNING_MS);
}

static void check_nodes(struct doctor *doctor, yyjson_val *status)
{
	int64_t format = -1;
	yyjson_val *node;
	size_t at;
	size_t len;

	yyjson_arr_foreach(yyjson_obj_get(status, "nodes"), at, len, node)
	{
		int64_t its_format = cli_number(node, "format", format);
		char name[DOCTOR_TEXT_BYTES_MAX];

		(void)snprintf(name, sizeof name, "node %s", cli_text(node, "id"));
		if (!cli_flag(node, "answers"))
			note(doctor, VERDICT_ERROR, name, "start it, or look at its log", "%s: %s",
			     cli_text(node, "url"), cli_text(node, "error"));
		else if (!cli_flag(node, "ready"))
			note(doctor, VERDICT_WARNING, name, "wait; if it stays so, look at its log",
			     "it is starting");
		else
			note(doctor, VERDICT_OK, name, "", "%" PRId64 " replicas, %" PRId64 " documents",
			     cli_number(node, "replicas", 0), cli_number(node, "documents", 0));
		if (format >= 0 && its_format != format)
			note(doctor, VERDICT_WARNING, name, "bring all nodes to one version",
			     "its replicas have format %" PRId64 ", others %" PRId64, its_format, format);
		format = its_format;
		check_machine(doctor, name, node);
	}
}

/* In every group RF nodes are needed to hold RF copies. */
static void check_groups(struct doctor *doctor, yyjson_val *status)
{
	int64_t rf = cli_number(status, "rf", 1);
	yyjson_val *nodes = yyjson_obj_get(status, "nodes");
	yyjson_val *node;
	yyjson_val *other;
	size_t at;
	size_t len;
	size_t other_at;
	size_t others_len;

	yyjson_arr_foreach(nodes, at, len, node)
	{
		const char *group = cli_text(node, "group");
		bool first = true;
		int64_t members = 0;

		yyjson_arr_foreach(nodes, other_at, others_len,
		                   other) if (strcmp(cli_text(other, "group"), group) == 0)
		{
			first = first && (members > 0 || other == node);
			members++;
		}
		if (first && members < rf)
			note(doctor, VERDICT_ERROR, "topology",
			     "add nodes to the group, or lower topology.rf",
			     "group %s has %" PRId64 " nodes for %" PRId64 " copies", group, members, rf);
		else if (first && rf == 1)
			note(doctor, VERDICT_WARNING, "topology", "set topology.rf to 2 and add a node",
			     "group %s holds one copy of each shard", group);
		else if (first)
			note(doctor, VERDICT_OK, "topology", "",
			     "group %s: %" PRId64 " copies on %" PRId64 " nodes", group, rf, members);
	}
}

static size_t check_replicas(struct doctor *doctor, const char *name, yyjson_val *shard, size_t *serving)
{
	size_t in_sync = 0;
	yyjson_val *replica;
	size_t at;
	size_t len;

	*serving = 0;
	yyjson_arr_foreach(yyjson_obj_get(shard, "replicas"), at, len, replica)
	{
		in_sync += cli_flag(replica, "in_sync");
		*serving += cli_flag(replica, "serving");
		if (strcmp(cli_text(replica, "state"), "stopped") == 0)
			note(doctor, VERDICT_ERROR, name, "do what its reason says", "stopped on %s: %s",
			     cli_text(replica, "node"), cli_text(replica, "error"));
	}
	return in_sync;
}

static void check_shards(struct doctor *doctor, yyjson_val *status)
{
	size_t rf = (size_t)cli_number(status, "rf", 1);
	size_t well = 0;
	yyjson_val *shard;
	size_t at;
	size_t len;

	yyjson_arr_foreach(yyjson_obj_get(status, "shards"), at, len, shard)
	{
		int64_t lag = cli_number(shard, "lag", 0);
		char name[DOCTOR_TEXT_BYTES_MAX];
		size_t serving;
		size_t in_sync;

		(void)snprintf(name, sizeof name, "%s/%" PRId64, cli_text(shard, "uid"),
		               cli_number(shard, "partition", -1));
		in_sync = check_replicas(doctor, name, shard, &serving);
		if (serving == 0)
			note(doctor, VERDICT_ERROR, name, "start the nodes that hold it",
			     "no replica serves it");
		else if (in_sync < rf)
			note(doctor, VERDICT_WARNING, name,
			     "look at the nodes; it heals when they answer again",
			     "%zu of %zu copies in sync", in_sync, rf);
		else
			well++;
		if (cli_flag(shard, "divergent") || strcmp(cli_text(shard, "digests"), "differ") == 0)
			note(doctor, VERDICT_ERROR, name,
			     "a third node decides by itself; with two, stop the one that is wrong, "
			     "remove its directory of this shard under DATA/replicas, and start it",
			     "its copies differ");
		if (lag > LAG_WARNING)
			note(doctor, VERDICT_WARNING, name, "add ingest workers or nodes, or wait",
			     "%" PRId64 " records are not committed", lag);
	}
	if (len > 0 && well == len)
		note(doctor, VERDICT_OK, "shards", "", "%zu shards, every copy in sync", len);
}

/* What the gateway's list adds to what Kafka itself tells. */
static void examine_logs(struct doctor *doctor, bool gateway)
{
	yyjson_doc *answer = gateway ? ask_gateway(doctor, "/indexes?limit=1000") : NULL;
	yyjson_val *indexes = yyjson_obj_get(yyjson_doc_get_root(answer), "results");

	check_logs(doctor, indexes);
	doctor_check_rights(doctor, indexes);
	yyjson_doc_free(answer);
}

static void examine(struct doctor *doctor)
{
	bool kafka = check_kafka(doctor);
	yyjson_doc *status;

	if (kafka)
		check_own_topics(doctor);
	status = ask_gateway(doctor, "/status");
	if (kafka)
		examine_logs(doctor, status != NULL);
	if (status == NULL)
		return;
	check_groups(doctor, yyjson_doc_get_root(status));
	check_programs(doctor, yyjson_doc_get_root(status));
	check_nodes(doctor, yyjson_doc_get_root(status));
	check_clocks(doctor, yyjson_doc_get_root(status));
	check_shards(doctor, yyjson_doc_get_root(status));
	doctor_check_held(doctor, yyjson_doc_get_root(status));
	yyjson_doc_free(status);
}

static int report(const struct doctor *doctor, bool json)
{
	yyjson_doc *rows = yyjson_mut_doc_imut_copy(doctor->doc, NULL);
	int result = rows == NULL ? -1
	             : json       ? cli_print_json("doctor", yyjson_doc_get_root(rows))
	                          : cli_print_table(columns, yyjson_doc_get_root(rows), "nothing to check");

	yyjson_doc_free(rows);
	if (result != 0)
		return cli_fail("doctor", "out of memory");
	return doctor->failed ? 1 : 0;
}

void cli_doctor_help(void)
{
	printf("  doctor [-o table|json] [--user PROGRAM=User:NAME]...\n"
	       "                              what is wrong, and the remedy; 1 if there is an error\n"
	       "                              (clocks are compared between nodes and gateway, not with "
	       "Kafka);\n"
	       "                              --user: whether it has the rights in Kafka of ingest, query,\n"
	       "                              rebalance, shard, operator or producer\n"
	       "  doctor --rights [--user …]  the commands that grant them\n");
}

/* 0, or 1 after one sentence. */
static int read_words(struct doctor *doctor, int argc, char **argv, bool *json, bool *rights)
{
	int result = 0;

	for (int i = 1; result == 0 && i < argc; i++) {
		char *output[] = {argv[0], argv[i], i + 1 < argc ? argv[i + 1] : NULL};

		if (strcmp(argv[i], "--rights") == 0)
			*rights = true;
		else if (strcmp(argv[i], "--user") == 0 && i + 1 < argc)
			result = doctor_add_user(doctor, argv[++i]);
		else if (cli_read_output(i + 1 < argc ? 3 : 2, output, json) == 0)
			i++;
		else
			result = 1;
	}
	return result;
}

int cli_doctor(struct cli *cli, int argc, char **argv)
{
	struct doctor doctor = {.cli = cli};
	bool json = false;
	bool rights = false;
	int result;

	if (read_words(&doctor, argc, argv, &json, &rights) != 0)
		return 1;
	if (rights) {
		doctor_print_rights(&doctor);
		return 0;
	}
	doctor.doc = yyjson_mut_doc_new(NULL);
	doctor.list = doctor.doc == NULL ? NULL : yyjson_mut_arr(doctor.doc);
	if (doctor.list == NULL) {
		yyjson_mut_doc_free(doctor.doc);
		return cli_fail("doctor", "out of memory");
	}
	yyjson_mut_doc_set_root(doctor.doc, doctor.list);
	examine(&doctor);
	result = report(&doctor, json);
	if (doctor.connection != NULL)
		log_connection_close(doctor.connection);
	yyjson_mut_doc_free(doctor.doc);
	return result;
}
