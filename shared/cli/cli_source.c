/*
 * `millrace source`: what is imported, as it is recorded and as the workers
 * that the gateway knows tell it; pausing, resuming and beginning a new life.
 */
#include "shared/cli/cli.h"
#include "shared/runtime/clock.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BODY_BYTES_MAX 4096
#define PATH_BYTES_MAX 1024
#define URL_BYTES_MAX 512
#define WORKER_MS 5000
#define ROWS_BYTES_MAX (16U << 20)
#define WORKERS_MAX 64

static const struct cli_column columns[] = {
	{"SOURCE", "name", false},      {"INDEX", "index", false},    {"FROM", "from", false},
	{"LIFE", "life", true},         {"STATE", "state", false},    {"PARTITIONS", "partitions", true},
	{"IMPORTED", "imported", true}, {"IGNORED", "ignored", true}, {"DEAD LETTERS", "dead_lettered", true},
	{"LAG", "lag", true},           {"NOTE", "note", false},      {NULL, NULL, false},
};

struct source_options {
	const char *name;
	const char *index;
	const char *to;
	bool wait;
};

void cli_source_help(void)
{
	printf("  source ls [-o table|json]   what is imported, from where, and how far\n"
	       "  source pause|resume NAME --index UID [--wait]\n"
	       "  source seek NAME --index UID [--to earliest|latest|TIME] [--wait]\n"
	       "                              begins a new life; TIME as 2026-01-31T12:00:00Z\n");
}

/* ---- ls ---- */

/* The answers of the workers that the gateway's status names. */
struct workers {
	yyjson_doc *answers[WORKERS_MAX];
	size_t len;
	size_t silent;
};

static yyjson_doc *ask_worker(struct cli *cli, const char *base)
{
	char url[URL_BYTES_MAX];
	struct http_client_request request = {.method = "GET", .url = url, .timeout_ms = WORKER_MS};
	yyjson_doc *answer = NULL;
	struct buffer text;
	struct error error;
	int status = 0;

	(void)snprintf(url, sizeof url, "%.400s/status", base);
	buffer_init(&text, CLI_ANSWER_BYTES_MAX);
	if (http_client_ask(cli->client, &request, &status, &text, &error) != 0 || status != 200 ||
	    json_parse_typed(buffer_slice(&text), &answer, &error) != 0)
		answer = NULL;
	buffer_deinit(&text);
	return answer;
}

static int ask_workers(struct cli *cli, struct workers *workers)
{
	struct cli_question question = {"GET", "/status", NULL, 200};
	yyjson_doc *status;
	yyjson_val *worker;
	size_t at;
	size_t len;

	*workers = (struct workers){0};
	if (cli_ask(cli, &question, &status) != 0)
		return -1;
	yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(status), "ingest"), at, len, worker)
	{
		yyjson_doc *answer =
			workers->len < WORKERS_MAX ? ask_worker(cli, cli_text(worker, "url")) : NULL;

		if (answer != NULL)
			workers->answers[workers->len++] = answer;
		else
			workers->silent++;
	}
	yyjson_doc_free(status);
	return 0;
}

static void free_workers(struct workers *workers)
{
	for (size_t i = 0; i < workers->len; i++)
		yyjson_doc_free(workers->answers[i]);
}

/* What all workers say of one source, together. */
struct told {
	int64_t partitions;
	int64_t imported;
	int64_t ignored;
	int64_t dead_lettered;
	int64_t lag;
	const char *state; /* the worst */
	const char *note;
};

static int badness(const char *state)
{
	static const char *const states[] = {"importing", "paused", "waiting", "stopped"};

	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		if (strcmp(state, states[i]) == 0)
			return (int)i;
	return -1;
}

static const char *note_of(yyjson_val *source)
{
	const char *note = cli_text(source, "reason");
	yyjson_val *part;
	size_t at;
	size_t len;

	yyjson_arr_foreach(yyjson_obj_get(source, "partitions"), at, len, part)
	{
		if (note[0] != 0)
			break;
		note = cli_text(part, "reason");
	}
	return note;
}

static void add_told(struct told *told, yyjson_val *source)
{
	const char *state = cli_text(source, "state");

	told->partitions += cli_number(source, "partitions_owned", 0);
	told->imported += cli_number(source, "imported", 0);
	told->ignored += cli_number(source, "ignored", 0);
	told->dead_lettered += cli_number(source, "dead_lettered", 0);
	told->lag += cli_number(source, "lag", 0);
	if (told->state == NULL || badness(state) > badness(told->state))
		told->state = state;
	if (told->note[0] == 0)
		told->note = note_of(source);
}

static struct told tell(const struct workers *workers, const char *index_id, const char *name, int64_t life)
{
	struct told told = {.note = ""};

	for (size_t i = 0; i < workers->len; i++) {
		yyjson_val *source;
		size_t at;
		size_t len;

		yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(workers->answers[i]), "sources"), at,
		                   len, source)
		{
			if (strcmp(cli_text(source, "name"), name) == 0 &&
			    strcmp(cli_text(source, "index_id"), index_id) == 0 &&
			    cli_number(source, "life", 0) == life)
				add_told(&told, source);
		}
	}
	return told;
}

static void append_text(struct buffer *rows, const char *name, const char *text)
{
	buffer_printf(rows, "\"%s\":", name);
	json_append_string(rows, slice_string(text));
	buffer_append_string(rows, ",");
}

static void append_row(struct buffer *rows, const struct workers *workers, yyjson_val *index,
                       yyjson_val *source)
{
	const char *topic = cli_text(source, "topic");
	struct told told =
		tell(workers, cli_text(index, "id"), cli_text(source, "name"), cli_number(source, "life", 1));
	const char *state = cli_flag(source, "paused") ? "paused" : told.state;

	buffer_append_string(rows, rows->len > 1 ? ",{" : "{");
	append_text(rows, "name", cli_text(source, "name"));
	append_text(rows, "index", cli_text(index, "uid"));
	append_text(rows, "from", topic[0] != 0 ? topic : cli_text(source, "pattern"));
	append_text(rows, "state", state != NULL ? state : "nobody imports it");
	append_text(rows, "note", told.note);
	buffer_printf(rows,
	              "\"life\":%" PRId64 ",\"partitions\":%" PRId64 ",\"imported\":%" PRId64
	              ",\"ignored\":%" PRId64 ",\"dead_lettered\":%" PRId64 ",\"lag\":%" PRId64 "}",
	              cli_number(source, "life", 1), told.partitions, told.imported, told.ignored,
	              told.dead_lettered, told.lag);
}

static int print_rows(struct buffer *rows, bool json)
{
	yyjson_doc *doc;
	struct error error;
	int result;

	if (buffer_failed(rows) || json_parse_typed(buffer_slice(rows), &doc, &error) != 0)
		return cli_fail("source", "out of memory");
	result = json ? cli_print_json("source", yyjson_doc_get_root(doc))
	              : cli_print_table(columns, yyjson_doc_get_root(doc), "no sources");
	yyjson_doc_free(doc);
	return result < 0 ? cli_fail("source", "out of memory") : result;
}

static int list(struct cli *cli, bool json)
{
	struct cli_question question = {"GET", "/indexes?limit=10000", NULL, 200};
	struct workers workers;
	struct buffer rows;
	yyjson_doc *indexes;
	yyjson_val *index;
	yyjson_val *source;
	size_t at;
	size_t len;
	size_t source_at;
	size_t sources_len;
	int result;

	if (cli_ask(cli, &question, &indexes) != 0)
		return 1;
	if (ask_workers(cli, &workers) != 0) {
		yyjson_doc_free(indexes);
		return 1;
	}
	buffer_init(&rows, ROWS_BYTES_MAX);
	buffer_append_string(&rows, "[");
	yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(indexes), "results"), at, len, index)
		yyjson_arr_foreach(yyjson_obj_get(index, "sources"), source_at, sources_len, source)
			append_row(&rows, &workers, index, source);
	buffer_append_string(&rows, "]");
	result = print_rows(&rows, json);
	if (workers.silent > 0)
		fprintf(stderr, "millrace source: %zu workers did not answer; theirs is not counted\n",
		        workers.silent);
	buffer_deinit(&rows);
	free_workers(&workers);
	yyjson_doc_free(indexes);
	return result;
}

/* ---- changes ---- */

/* "earliest", "latest" as of now, or a time. */
static bool read_start(const char *text, int64_t *start_ms)
{
	struct tm parts = {0};
	const char *rest;

	if (strcmp(text, "earliest") == 0) {
		*start_ms = 0;
		return true;
	}
	if (strcmp(text, "latest") == 0) {
		*start_ms = clock_wall_ms();
		return true;
	}
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
	if (rest == NULL || strcmp(rest, "Z") != 0)
		return false;
	*start_ms = (int64_t)timegm(&parts) * 1000;
	return *start_ms > 0;
}

static int change(struct cli *cli, const char *verb, const struct source_options *options)
{
	char path[PATH_BYTES_MAX];
	struct buffer body;
	struct cli_question question = {"PATCH", path, &body, 202};
	yyjson_doc *answer;
	int64_t start_ms = 0;
	int64_t task;
	int result;

	if (strcmp(verb, "seek") == 0 && !read_start(options->to, &start_ms))
		return cli_fail("source",
		                "--to is `%s`, expected earliest, latest or a time such as "
		                "2026-01-31T12:00:00Z",
		                options->to);
	(void)snprintf(path, sizeof path, "/indexes/%.300s/sources/%.300s", options->index, options->name);
	buffer_init(&body, BODY_BYTES_MAX);
	if (strcmp(verb, "seek") == 0)
		buffer_printf(&body, "{\"start_ms\":%" PRId64 "}", start_ms);
	else
		buffer_printf(&body, "{\"paused\":%s}", strcmp(verb, "pause") == 0 ? "true" : "false");
	if (cli_ask(cli, &question, &answer) != 0)
		return 1;
	task = cli_number(yyjson_doc_get_root(answer), "taskUid", -1);
	yyjson_doc_free(answer);
	if (task < 0)
		return cli_fail("source", "the gateway's answer names no task");
	result = options->wait ? cli_wait_for_task(cli, "source", task) : 0;
	if (result == 0)
		printf("source %s of %s: %s %s (task %" PRId64 ")\n", options->name, options->index, verb,
		       options->wait ? "done" : "enqueued", task);
	return result;
}

/* argv[0] is pause, resume or seek; 0 or the exit code. */
static int read_options(int argc, char **argv, struct source_options *options)
{
	static const struct option longs[] = {{"index", required_argument, NULL, 'i'},
	                                      {"to", required_argument, NULL, 't'},
	                                      {"wait", no_argument, NULL, 'w'},
	                                      {NULL, 0, NULL, 0}};
	bool seeks = strcmp(argv[0], "seek") == 0;
	int letter;

	options->to = NULL;
	while ((letter = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (letter == '?')
			return 1; /* getopt has said why */
		if (letter == 'i')
			options->index = optarg;
		else if (letter == 't')
			options->to = optarg;
		else
			options->wait = true;
	}
	if (options->to != NULL && !seeks)
		return cli_fail("source", "`%s` does not take --to (see --help)", argv[0]);
	if (options->to == NULL)
		options->to = "earliest";
	if (argc - optind != 1 || options->index == NULL)
		return cli_fail("source", "`%s` takes the name of one source, and --index UID (see --help)",
		                argv[0]);
	options->name = argv[optind];
	if (strpbrk(options->name, "/?#% ") != NULL || strpbrk(options->index, "/?#% ") != NULL)
		return cli_fail("source", "no source or index can have this name");
	return 0;
}

int cli_source(struct cli *cli, int argc, char **argv)
{
	struct source_options options = {0};
	bool json = false;

	if (argc >= 2 && strcmp(argv[1], "ls") == 0)
		return cli_read_output(argc - 1, argv + 1, &json) != 0 ? 1 : list(cli, json);
	if (argc < 2 ||
	    (strcmp(argv[1], "pause") != 0 && strcmp(argv[1], "resume") != 0 && strcmp(argv[1], "seek") != 0))
		return cli_fail("source", "expected ls, pause, resume or seek (see --help)");
	if (read_options(argc - 1, argv + 1, &options) != 0)
		return 1;
	return change(cli, argv[1], &options);
}
