/*
 * `millrace source`: what is imported, as it is recorded and as the workers
 * that the gateway knows tell it; pausing, resuming, beginning a new life,
 * and removing, which is refused for what a worker would ask for again.
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
	       "                              begins a new life; TIME as 2026-01-31T12:00:00Z\n"
	       "  source rm NAME --index UID [--wait]\n"
	       "                              its documents stay; one added later imports from the "
	       "beginning\n");
}

/* ---- ls ---- */

/* The answers of the workers that the gateway's status names. */
struct workers {
	yyjson_doc *answers[WORKERS_MAX];
	size_t len;
	size_t silent;
};

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
			workers->len < WORKERS_MAX ? cli_ask_status(cli, cli_text(worker, "url")) : NULL;

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

/* Why a worker imports nothing at all; "" if each does, or tells nothing. */
static const char *failure_of(const struct workers *workers)
{
	for (size_t i = 0; i < workers->len; i++) {
		yyjson_val *import = yyjson_obj_get(yyjson_doc_get_root(workers->answers[i]), "import");

		if (strcmp(cli_text(import, "state"), "failed") == 0)
			return cli_text(import, "reason");
	}
	return "";
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
	const char *failure = failure_of(workers);
	const char *state = cli_flag(source, "paused") ? "paused" : told.state;

	if (state == NULL)
		state = failure[0] != 0 ? "failed" : "nobody imports it";

	buffer_append_string(rows, rows->len > 1 ? ",{" : "{");
	append_text(rows, "name", cli_text(source, "name"));
	append_text(rows, "index", cli_text(index, "uid"));
	append_text(rows, "from", topic[0] != 0 ? topic : cli_text(source, "pattern"));
	append_text(rows, "state", state);
	append_text(rows, "note", told.note[0] != 0 ? told.note : failure);
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

/* One row a recorded source, as it and the workers tell; negative after saying why not. */
static int read_rows(struct cli *cli, struct buffer *rows)
{
	struct cli_question question = {"GET", "/indexes?limit=10000", NULL, 200};
	struct workers workers;
	yyjson_doc *indexes;
	yyjson_val *index;
	yyjson_val *source;
	size_t at;
	size_t len;
	size_t source_at;
	size_t sources_len;

	if (cli_ask(cli, &question, &indexes) != 0)
		return -1;
	if (ask_workers(cli, &workers) != 0) {
		yyjson_doc_free(indexes);
		return -1;
	}
	buffer_append_string(rows, "[");
	yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(indexes), "results"), at, len, index)
		yyjson_arr_foreach(yyjson_obj_get(index, "sources"), source_at, sources_len, source)
			append_row(rows, &workers, index, source);
	buffer_append_string(rows, "]");
	if (workers.silent > 0)
		fprintf(stderr, "millrace source: %zu workers did not answer; theirs is not counted\n",
		        workers.silent);
	free_workers(&workers);
	yyjson_doc_free(indexes);
	return 0;
}

static int list(struct cli *cli, bool json)
{
	struct buffer rows;
	int result;

	buffer_init(&rows, ROWS_BYTES_MAX);
	result = read_rows(cli, &rows) != 0 ? 1 : print_rows(&rows, json);
	buffer_deinit(&rows);
	return result;
}

void cli_source_sums(struct cli *cli)
{
	struct buffer rows;
	yyjson_doc *doc = NULL;
	yyjson_val *row;
	struct error error;
	size_t at;
	size_t len;
	size_t importing = 0;

	buffer_init(&rows, ROWS_BYTES_MAX);
	if (read_rows(cli, &rows) == 0 && !buffer_failed(&rows) &&
	    json_parse_typed(buffer_slice(&rows), &doc, &error) != 0)
		doc = NULL;
	buffer_deinit(&rows);
	if (yyjson_arr_size(yyjson_doc_get_root(doc)) > 0) {
		yyjson_arr_foreach(yyjson_doc_get_root(doc), at, len, row) importing +=
			strcmp(cli_text(row, "state"), "importing") == 0;
		printf("%zu of %zu sources import", importing, len);
		yyjson_arr_foreach(yyjson_doc_get_root(doc), at, len,
		                   row) if (strcmp(cli_text(row, "state"), "importing") != 0)
			printf("; %s of %s: %s", cli_text(row, "name"), cli_text(row, "index"),
		               cli_text(row, "state"));
		printf("\n");
	}
	yyjson_doc_free(doc);
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

/* A worker of this configuration would ask for the source again at once: 1 after saying so. */
static int refuse_configured(const struct source_options *options, const struct workers *workers)
{
	for (size_t i = 0; i < workers->len; i++) {
		yyjson_val *root = yyjson_doc_get_root(workers->answers[i]);
		yyjson_val *wish;
		size_t at;
		size_t len;

		yyjson_arr_foreach(yyjson_obj_get(root, "configured"), at, len,
		                   wish) if (strcmp(cli_text(wish, "name"), options->name) == 0 &&
		                             strcmp(cli_text(wish, "index"), options->index) ==
		                                     0) return cli_fail("source",
		                                                        "`%s` is in the configuration (%s), "
		                                                        "and would be added again "
		                                                        "at once: take it out there and "
		                                                        "restart millrace-ingest first",
		                                                        options->name,
		                                                        cli_text(wish, "place"));
	}
	return 0;
}

static int check_removable(struct cli *cli, const struct source_options *options)
{
	struct workers workers;
	int result;

	if (ask_workers(cli, &workers) != 0)
		return 1;
	result = refuse_configured(options, &workers);
	free_workers(&workers);
	return result;
}

/* What a request for this verb says; 0, or 1 after one sentence. */
static int write_body(const char *verb, const struct source_options *options, struct buffer *body)
{
	int64_t start_ms = 0;
	bool seeks = strcmp(verb, "seek") == 0;

	if (seeks && !read_start(options->to, &start_ms))
		return cli_fail("source",
		                "--to is `%s`, expected earliest, latest or a time such as "
		                "2026-01-31T12:00:00Z",
		                options->to);
	if (seeks)
		buffer_printf(body, "{\"start_ms\":%" PRId64 "}", start_ms);
	else
		buffer_printf(body, "{\"paused\":%s}", strcmp(verb, "pause") == 0 ? "true" : "false");
	return 0;
}

static int change(struct cli *cli, const char *verb, const struct source_options *options)
{
	char path[PATH_BYTES_MAX];
	struct buffer body;
	bool removes = strcmp(verb, "rm") == 0;
	struct cli_question question = {removes ? "DELETE" : "PATCH", path, removes ? NULL : &body, 202};
	yyjson_doc *answer;
	int64_t task;
	int result;

	(void)snprintf(path, sizeof path, "/indexes/%.300s/sources/%.300s", options->index, options->name);
	buffer_init(&body, BODY_BYTES_MAX);
	if (removes ? check_removable(cli, options) != 0 : write_body(verb, options, &body) != 0) {
		buffer_deinit(&body);
		return 1;
	}
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

/* argv[0] is pause, resume, seek or rm; 0 or the exit code. */
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

static bool is_change(const char *verb)
{
	static const char *const verbs[] = {"pause", "resume", "seek", "rm"};

	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(verb, verbs[i]) == 0)
			return true;
	return false;
}

int cli_source(struct cli *cli, int argc, char **argv)
{
	struct source_options options = {0};
	bool json = false;

	if (argc >= 2 && strcmp(argv[1], "ls") == 0)
		return cli_read_output(argc - 1, argv + 1, &json) != 0 ? 1 : list(cli, json);
	if (argc < 2 || !is_change(argv[1]))
		return cli_fail("source", "expected ls, pause, resume, seek or rm (see --help)");
	if (read_options(argc - 1, argv + 1, &options) != 0)
		return 1;
	return change(cli, argv[1], &options);
}
