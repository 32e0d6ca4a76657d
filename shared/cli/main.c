/*
 * millrace, the command line: settings, then a verb with its words.
 */
#include "shared/cli/cli.h"

#include "shared/runtime/process.h"

#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ASK_MS_MAX 30000
#define STATUS_MS_MAX 5000
#define URL_BYTES_MAX 5000

struct command {
	const char *name;
	int (*run)(struct cli *cli, int argc, char **argv);
};

static int check_config(struct cli *cli, int argc, char **argv)
{
	struct buffer text;

	if (argc > 1)
		return cli_fail(argv[0], "unexpected argument `%s`", argv[1]);
	buffer_init(&text, CLI_ANSWER_BYTES_MAX);
	config_print(cli->config, &text);
	printf("%.*s", SLICE_ARGS(buffer_slice(&text)));
	buffer_deinit(&text);
	return 0;
}

static int not_available(struct cli *cli, int argc, char **argv)
{
	(void)cli;
	(void)argc;
	return cli_fail(argv[0], "not available in this version");
}

static const struct command commands[] = {
	{"index", cli_index},     {"check-config", check_config},
	{"status", cli_status},   {"doctor", cli_doctor},
	{"map", cli_map},         {"doc", cli_doc},
	{"dlq", cli_dlq},         {"source", cli_source},
	{"node", cli_node},       {"move", not_available},
	{"alias", not_available}, {"key", not_available},
};

int cli_fail(const char *verb, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "millrace%s%s: ", verb[0] == 0 ? "" : " ", verb);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return EXIT_FAILURE;
}

const char *cli_text(yyjson_val *object, const char *name)
{
	const char *text = yyjson_get_str(yyjson_obj_get(object, name));

	return text == NULL ? "" : text;
}

bool cli_flag(yyjson_val *object, const char *name)
{
	return yyjson_is_true(yyjson_obj_get(object, name));
}

int64_t cli_number(yyjson_val *object, const char *name, int64_t otherwise)
{
	yyjson_val *value = yyjson_obj_get(object, name);

	return yyjson_is_int(value) ? yyjson_get_sint(value) : otherwise;
}

int cli_read_output(int argc, char **argv, bool *json)
{
	if (argc == 1)
		return 0;
	if (argc != 3 || strcmp(argv[1], "-o") != 0 ||
	    (strcmp(argv[2], "json") != 0 && strcmp(argv[2], "table") != 0))
		return cli_fail(argv[0], "expected nothing more, or -o table|json");
	*json = strcmp(argv[2], "json") == 0;
	return 0;
}

int cli_print_json(const char *verb, yyjson_val *value)
{
	struct buffer text;
	struct error error;
	int result;

	buffer_init(&text, CLI_ANSWER_BYTES_MAX);
	result = json_append_value(&text, value, &error);
	if (result == 0)
		printf("%.*s\n", SLICE_ARGS(buffer_slice(&text)));
	buffer_deinit(&text);
	return result == 0 ? 0 : cli_fail(verb, "%s", error.text);
}

/* What the gateway itself says, or the status alone. */
static void say_refused(const struct cli_question *question, int status, struct slice body)
{
	struct slice message = slice_string("");
	struct slice code = slice_string("");
	yyjson_doc *answer = NULL;
	struct error error;

	if (json_parse_typed(body, &answer, &error) == 0) {
		(void)json_get_string(yyjson_doc_get_root(answer), "message", &message);
		(void)json_get_string(yyjson_doc_get_root(answer), "code", &code);
	}
	if (message.len > 0)
		fprintf(stderr, "millrace: %.*s (%.*s)\n", SLICE_ARGS(message), SLICE_ARGS(code));
	else
		fprintf(stderr, "millrace: %s %s was answered with status %d\n", question->method,
		        question->path, status);
	yyjson_doc_free(answer);
}

int cli_ask(struct cli *cli, const struct cli_question *question, yyjson_doc **answer)
{
	char url[URL_BYTES_MAX];
	struct http_client_request request = {.method = question->method,
	                                      .url = url,
	                                      .content_type =
	                                              question->body == NULL ? NULL : "application/json",
	                                      .body = question->body,
	                                      .timeout_ms = ASK_MS_MAX};
	struct buffer text;
	struct error error;
	int status = 0;
	int result;

	(void)snprintf(url, sizeof url, "http://%.400s%s", config_string(cli->config, "query.admin"),
	               question->path);
	buffer_init(&text, CLI_ANSWER_BYTES_MAX);
	result = http_client_ask(cli->client, &request, &status, &text, &error);
	if (result != 0) {
		fprintf(stderr,
		        "millrace: no answer from the gateway: %s; is millrace-query running there?\n",
		        error.text);
	} else if (status != question->expected) {
		say_refused(question, status, buffer_slice(&text));
		result = ERROR_STATE;
	} else {
		result = json_parse_typed(buffer_slice(&text), answer, &error);
		if (result != 0)
			fprintf(stderr, "millrace: the gateway's answer to %s %s is %s\n", question->method,
			        question->path, error.text);
	}
	if (question->body != NULL)
		buffer_deinit(question->body);
	buffer_deinit(&text);
	return result;
}

yyjson_doc *cli_ask_status(struct cli *cli, const char *base)
{
	char url[URL_BYTES_MAX];
	struct http_client_request request = {.method = "GET", .url = url, .timeout_ms = STATUS_MS_MAX};
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

static void print_help(void)
{
	printf("usage: millrace [--config FILE] [--admin HOST:PORT] [--SETTING VALUE]... COMMAND ...\n\n");
	cli_index_help();
	cli_status_help();
	cli_doctor_help();
	cli_dlq_help();
	cli_doc_help();
	cli_source_help();
	cli_map_help();
	printf("  check-config                prints the effective configuration, without secrets\n"
	       "  --help, --version\n\n"
	       "Settings stand before the command; --admin is query.admin, the gateway's admin address.\n"
	       "Not available in this version:");
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (commands[i].run == not_available)
			printf(" %s", commands[i].name);
	printf("\n");
}

static int run(struct cli *cli, int argc, char **argv)
{
	if (argc == 0)
		return cli_fail("", "a command is missing (see --help)");
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(argv[0], commands[i].name) == 0)
			return commands[i].run(cli, argc, argv);
	return cli_fail(argv[0], "no such command (see --help)");
}

static bool asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct http_client_options options = {.in_flight_max = 1, .answer_bytes_max = CLI_ANSWER_BYTES_MAX};
	struct cli cli = {0};
	struct error error;
	int result;

	/* output is UTF-8 in every locale; without it libsmartcols would write what is not ASCII as \xc3\xa4 */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	if (asks_for_help(argc, argv)) {
		print_help();
		return 0;
	}
	result = config_load(PROGRAM_CLI, &argc, &argv, &cli.config, &error);
	if (result == 0) {
		options.bearer = config_string(cli.config, "auth.cluster_key");
		result = http_client_start(&options, &cli.client, &error);
	}
	if (result < 0) {
		fprintf(stderr, "millrace: %s\n", error.text);
		result = process_exit_code(&error);
	} else if (result == 0) {
		result = run(&cli, argc, argv);
	} else {
		result = 0;
	}
	http_client_stop(cli.client);
	config_free(cli.config);
	return result;
}
