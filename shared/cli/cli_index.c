/*
 * `millrace index`: asks the gateway for a change, and with --wait until its
 * task is final.
 */
#include "shared/cli/cli_index.h"
#include "shared/runtime/clock.h"

#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define BODY_BYTES_MAX 4096
#define WAIT_MS_MAX 120000
#define WAIT_STEP_MS 50
#define DEDUP_WINDOW_MAX 1000000000

void cli_index_help(void)
{
	printf("  index create UID [--primary-key NAME] [--partitions N] [--partitioner murmur2|crc32|none]\n"
	       "                   [--dedup-window OFFSETS] [--topic TOPIC] [--wait]\n"
	       "                   --topic adopts a topic that exists as the log\n"
	       "  index rebuild UID [--partitions N] [--dedup-window OFFSETS] [--accept-loss] [--wait]\n"
	       "                   imports its sources anew, by the rules of the configuration's `sources`,\n"
	       "                   into a generation that takes the name once it has everything; it waits "
	       "while the\n"
	       "                   old one's log holds what the sources do not bring back, unless "
	       "--accept-loss\n"
	       "  index rebuild UID --cancel [--wait]\n"
	       "  index delete UID [--wait]\n"
	       "  index ls [-o table|json]\n"
	       "  index stats UID [-o table|json]\n"
	       "                   a line for each replica, and their sums over all replicas:\n"
	       "                   live and dead documents; memory that takes what comes (ACTIVE)\n"
	       "                   and that a store is writing (IMMUTABLE); segments on disk as\n"
	       "                   LEVEL:NUMBER, their bytes (STORED), the share of live documents\n"
	       "                   in these (LIVE), the bytes of their dictionaries (WORDS) and of\n"
	       "                   the store's file (FILE); the age of the oldest search that reads\n"
	       "                   it; stores and merges since the node opened it, + running ones,\n"
	       "                   with bytes written and time taken (of merges: with the removal\n"
	       "                   of what they replace); -o json has the exact numbers\n"
	       "  index snapshot UID DIR\n"
	       "                   copies every shard as a replica that serves has it on disk, each at a\n"
	       "                   watermark of its own, into DIR, which is made, or empty, or holds what\n"
	       "                   an earlier run began: the same command again goes on where that was\n"
	       "                   stopped or killed; searches and feeding go on meanwhile; DIR has the\n"
	       "                   size of one replica of each shard (see STORED above); DIR/manifest.json\n"
	       "                   is there once all of it is on disk; what was written to the index\n"
	       "                   later is in its log, from each shard's watermark (`stored` in the\n"
	       "                   manifest) on\n"
	       "  index snapshot --verify DIR\n"
	       "                   reads the snapshot in DIR, without any other program: 0 if every file\n"
	       "                   is as it was written and nothing is missing\n"
	       "  index restore DIR [--accept-gap]\n"
	       "                   makes the shards of the snapshot in DIR anew of which no replica serves\n"
	       "                   any more (others stay as they are), on the nodes that should hold them,\n"
	       "                   and waits until they have what their log holds behind the snapshot; the\n"
	       "                   same command again goes on where that was stopped or killed; refused "
	       "where\n"
	       "                   DIR is damaged, or of another cluster or a deleted index, and where the\n"
	       "                   log does not reach back to the snapshot any more: then --accept-gap "
	       "gives\n"
	       "                   up the offsets between, which it names; refused too where nodes are of\n"
	       "                   another version than the one that took the snapshot; a node that does "
	       "not\n"
	       "                   answer holds up no other one, and gets its copies from the same command\n"
	       "                   later\n");
}

/* One of the words that `choices` separates with spaces. */
static bool is_one_of(const char *word, const char *choices)
{
	size_t len = strlen(word);

	for (const char *at = choices; *at != 0; at += strcspn(at, " "), at += *at == ' ')
		if (strcspn(at, " ") == len && strncmp(at, word, len) == 0)
			return true;
	return false;
}

static bool read_number(const char *text, long min, long max, long *number)
{
	char *end;

	*number = strtol(text, &end, 10);
	return end != text && *end == 0 && *number >= min && *number <= max;
}

/* Behind the options: argv[0]'s, from argv[optind] on. */
static int read_names(int len, char **argv, struct index_options *options)
{
	bool is_snapshot = strcmp(argv[0], "snapshot") == 0;
	bool is_restore = strcmp(argv[0], "restore") == 0;
	int expected = strcmp(argv[0], "ls") == 0 ? 0 : is_snapshot && !options->verify ? 2 : 1;

	if (len != expected)
		return cli_fail("index", "`%s%s` takes %s (see --help)", argv[0],
		                options->verify ? " --verify" : "",
		                expected == 0                   ? "no name"
		                : expected == 2                 ? "the uid of one index and a directory"
		                : options->verify || is_restore ? "a directory"
		                                                : "the uid of one index");
	options->uid = argv[optind];
	if (is_snapshot || is_restore)
		options->directory = argv[optind + expected - 1];
	return 0;
}

/* argv[0] is create, rebuild, delete, ls, stats, snapshot or restore; 0 or the exit code. */
static int read_options(int argc, char **argv, struct index_options *options)
{
	static const struct option longs[] = {{"primary-key", required_argument, NULL, 'k'},
	                                      {"partitions", required_argument, NULL, 'n'},
	                                      {"partitioner", required_argument, NULL, 'p'},
	                                      {"topic", required_argument, NULL, 't'},
	                                      {"dedup-window", required_argument, NULL, 'd'},
	                                      {"output", required_argument, NULL, 'o'},
	                                      {"wait", no_argument, NULL, 'w'},
	                                      {"accept-loss", no_argument, NULL, 'a'},
	                                      {"cancel", no_argument, NULL, 'c'},
	                                      {"verify", no_argument, NULL, 'v'},
	                                      {"accept-gap", no_argument, NULL, 'g'},
	                                      {NULL, 0, NULL, 0}};
	const char *allowed = strcmp(argv[0], "create") == 0     ? "dknptw"
	                      : strcmp(argv[0], "rebuild") == 0  ? "acdnw"
	                      : strcmp(argv[0], "delete") == 0   ? "w"
	                      : strcmp(argv[0], "snapshot") == 0 ? "v"
	                      : strcmp(argv[0], "restore") == 0  ? "g"
	                                                         : "o";
	int letter;

	while ((letter = getopt_long(argc, argv, "o:", longs, NULL)) != -1) {
		if (letter == '?')
			return 1; /* getopt has said why */
		if (strchr(allowed, letter) == NULL)
			return cli_fail("index", "`%s` does not take this option (see --help)", argv[0]);
		if (letter == 'k')
			options->primary_key = optarg;
		else if (letter == 'p')
			options->partitioner = optarg;
		else if (letter == 't')
			options->topic = optarg;
		else if (letter == 'o')
			options->output = optarg;
		else if (letter == 'w')
			options->wait = true;
		else if (letter == 'a')
			options->accept_loss = true;
		else if (letter == 'c')
			options->cancel = true;
		else if (letter == 'v')
			options->verify = true;
		else if (letter == 'g')
			options->accept_gap = true;
		else if (letter == 'd' && !read_number(optarg, 0, DEDUP_WINDOW_MAX, &options->dedup_window))
			return cli_fail("index", "--dedup-window is `%s`, expected 0 to %d", optarg,
			                DEDUP_WINDOW_MAX);
		else if (letter == 'n' && !read_number(optarg, 1, 1024, &options->partitions))
			return cli_fail("index", "--partitions is `%s`, expected 1 to 1024", optarg);
	}
	if (!is_one_of(options->partitioner, "murmur2 crc32 none"))
		return cli_fail("index", "--partitioner is `%s`, expected murmur2, crc32 or none",
		                options->partitioner);
	if (!is_one_of(options->output, "table json"))
		return cli_fail("index", "-o is `%s`, expected table or json", options->output);
	return read_names(argc - optind, argv, options);
}

static void append_member(struct buffer *body, const char *name, const char *value)
{
	if (value == NULL)
		return;
	buffer_printf(body, ",\"%s\":", name);
	json_append_string(body, slice_string(value));
}

static int wait_failed(const char *verb, int64_t task, yyjson_val *state)
{
	yyjson_val *why = yyjson_obj_get(state, "error");
	struct slice message = slice_string("no reason given");
	struct slice code = slice_string("internal");

	(void)json_get_string(why, "message", &message);
	(void)json_get_string(why, "code", &code);
	return cli_fail(verb, "task %lld failed: %.*s (%.*s)", (long long)task, SLICE_ARGS(message),
	                SLICE_ARGS(code));
}

int cli_wait_for_task(struct cli *cli, const char *verb, int64_t task)
{
	int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS_MAX;
	char path[64];
	struct cli_question question = {"GET", path, NULL, 200};

	(void)snprintf(path, sizeof path, "/tasks/%lld", (long long)task);
	while (clock_monotonic_ms() < deadline_ms) {
		struct slice status = slice_string("");
		yyjson_doc *answer;
		int result = -1;

		if (cli_ask(cli, &question, &answer) != 0)
			return 1;
		(void)json_get_string(yyjson_doc_get_root(answer), "status", &status);
		if (slice_equal(status, slice_string("succeeded")))
			result = 0;
		else if (slice_equal(status, slice_string("failed")))
			result = wait_failed(verb, task, yyjson_doc_get_root(answer));
		yyjson_doc_free(answer);
		if (result >= 0)
			return result;
		(void)poll(NULL, 0, WAIT_STEP_MS);
	}
	return cli_fail(verb,
	                "task %lld is still enqueued after %d s: is millrace-rebalance running? It is "
	                "applied when it is",
	                (long long)task, WAIT_MS_MAX / 1000);
}

int cli_index_conclude(struct cli *cli, const struct index_options *options, yyjson_doc *answer,
                       const char *done)
{
	int64_t task = -1;
	bool named = json_get_i64(yyjson_doc_get_root(answer), "taskUid", &task);
	int result;

	yyjson_doc_free(answer);
	if (!named)
		return cli_fail("index", "the gateway's answer names no task");
	result = options->wait ? cli_wait_for_task(cli, "index", task) : 0;
	if (result == 0)
		printf("index %s: %s (task %lld)\n", options->uid, options->wait ? done : "enqueued",
		       (long long)task);
	return result;
}

void cli_index_append_path(struct buffer *path, const char *uid, const char *rest)
{
	buffer_append_string(path, "/indexes/");
	for (const char *at = uid; *at != 0; at++)
		buffer_printf(path, strchr("/?#%", *at) != NULL || *at <= ' ' ? "%%%02x" : "%c",
		              (unsigned char)*at);
	buffer_append_string(path, rest);
	buffer_put_u8(path, 0);
}

static int create(struct cli *cli, const struct index_options *options)
{
	long partitions = options->partitions;
	struct buffer body;
	struct cli_question question = {"POST", "/indexes", &body, 202};
	yyjson_doc *answer;

	if (partitions == 0 && options->topic == NULL)
		partitions = (long)config_int(cli->config, "index_defaults.partitions");
	buffer_init(&body, BODY_BYTES_MAX);
	buffer_append_string(&body, "{\"uid\":");
	json_append_string(&body, slice_string(options->uid));
	append_member(&body, "primaryKey", options->primary_key);
	append_member(&body, "partitioner", options->partitioner);
	append_member(&body, "topic", options->topic);
	if (partitions != 0)
		buffer_printf(&body, ",\"partitions\":%ld", partitions);
	if (options->dedup_window >= 0)
		buffer_printf(&body, ",\"dedupWindow\":%ld", options->dedup_window);
	buffer_append_string(&body, "}");
	if (buffer_failed(&body)) {
		buffer_deinit(&body);
		return cli_fail("index", "the names are too long");
	}
	if (cli_ask(cli, &question, &answer) != 0)
		return 1;
	return cli_index_conclude(cli, options, answer, "created");
}

static int delete (struct cli *cli, const struct index_options *options)
{
	struct cli_question question = {.method = "DELETE", .expected = 202};
	struct buffer path;
	yyjson_doc *answer;
	int result;

	buffer_init(&path, BODY_BYTES_MAX);
	cli_index_append_path(&path, options->uid, "");
	question.path = (const char *)path.ptr;
	if (buffer_failed(&path))
		result = cli_fail("index", "the uid is too long");
	else if (cli_ask(cli, &question, &answer) != 0)
		result = 1;
	else
		result = cli_index_conclude(cli, options, answer, "deleted");
	buffer_deinit(&path);
	return result;
}

static int list(struct cli *cli, const struct index_options *options)
{
	struct cli_question question = {"GET", "/indexes", NULL, 200};
	struct error error;
	struct buffer text;
	yyjson_val *results;
	yyjson_doc *answer;
	int result;

	if (cli_ask(cli, &question, &answer) != 0)
		return 1;
	results = yyjson_obj_get(yyjson_doc_get_root(answer), "results");
	buffer_init(&text, CLI_ANSWER_BYTES_MAX);
	if (!yyjson_is_arr(results)) {
		result = cli_fail("index", "the gateway's answer has no `results`");
	} else if (strcmp(options->output, "json") == 0) {
		result = json_append_value(&text, yyjson_doc_get_root(answer), &error);
		printf("%.*s\n", SLICE_ARGS(buffer_slice(&text)));
	} else {
		result = cli_print_indexes(results);
	}
	buffer_deinit(&text);
	yyjson_doc_free(answer);
	return result < 0 ? cli_fail("index", "out of memory") : result;
}

int cli_index(struct cli *cli, int argc, char **argv)
{
	struct index_options options = {.partitioner = "murmur2", .output = "table", .dedup_window = -1};

	if (argc < 2 || !is_one_of(argv[1], "create rebuild delete ls stats snapshot restore"))
		return cli_fail(
			"index",
			"expected create, rebuild, delete, ls, stats, snapshot or restore (see --help)");
	if (read_options(argc - 1, argv + 1, &options) != 0)
		return 1;
	if (strcmp(argv[1], "create") == 0)
		return create(cli, &options);
	if (strcmp(argv[1], "rebuild") == 0)
		return cli_index_rebuild(cli, &options);
	if (strcmp(argv[1], "stats") == 0)
		return cli_index_stats(cli, &options);
	if (strcmp(argv[1], "snapshot") == 0)
		return cli_index_snapshot(cli, &options);
	if (strcmp(argv[1], "restore") == 0)
		return cli_index_restore(cli, &options);
	return strcmp(argv[1], "delete") == 0 ? delete (cli, &options) : list(cli, &options);
}
