/*
 * CLI: what the verbs of the millrace command line share.
 *
 * A verb is a function that gets its own words (argv[0] is the verb's name)
 * and returns the exit code: 0, or 1 after one sentence on stderr. It talks
 * to the admin API of the gateway (query.admin); `doctor` talks to Kafka too,
 * `doc where`, `index snapshot` and `index restore` to Kafka and the nodes, `index stats` to the nodes, `source ls` to
 * the workers, `dlq` and `map` to Kafka. One thread; answers are bounded by
 * CLI_ANSWER_BYTES_MAX.
 */
#ifndef MILLRACE_CLI_CLI_H
#define MILLRACE_CLI_CLI_H

#include "shared/config/config.h"
#include "shared/http/http_client.h"
#include "shared/json/json.h"

#define CLI_ANSWER_BYTES_MAX (64 << 20)

struct cli {
	struct config *config;
	struct http_client *client;
};

/* A request to the admin API. */
struct cli_question {
	const char *method;
	const char *path;    /* begins with '/' */
	struct buffer *body; /* freed in any case; NULL for none */
	int expected;        /* status */
};

/* 0 and the parsed answer if it has the status expected, else negative after saying why on stderr. */
int cli_ask(struct cli *cli, const struct cli_question *question, yyjson_doc **answer);
/* What the program whose admin listener is at `base` says of itself at /status; NULL if it does not. */
yyjson_doc *cli_ask_status(struct cli *cli, const char *base);
/* Says "millrace VERB: …" on stderr; 1, the exit code. */
int cli_fail(const char *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A member of an answer: "" and false where it is not there. */
const char *cli_text(yyjson_val *object, const char *name);
bool cli_flag(yyjson_val *object, const char *name);
int64_t cli_number(yyjson_val *object, const char *name, int64_t otherwise);
/* -o table|json, and nothing else: 0, or 1 after one sentence. */
int cli_read_output(int argc, char **argv, bool *json);
/* The value as a line of JSON on stdout; the exit code. */
int cli_print_json(const char *verb, yyjson_val *value);

/* cli_index.c: `index create|rebuild|delete|ls|stats|snapshot|restore` */
/* Asks until the task is final, for a bounded time; the exit code. */
int cli_wait_for_task(struct cli *cli, const char *verb, int64_t task);
int cli_index(struct cli *cli, int argc, char **argv);
void cli_index_help(void);

/* cli_status.c: `status`, `node ls`: what the gateway's GET /status says */
int cli_status(struct cli *cli, int argc, char **argv);
int cli_node(struct cli *cli, int argc, char **argv);
void cli_status_help(void);

/* cli_doctor.c */
int cli_doctor(struct cli *cli, int argc, char **argv);
void cli_doctor_help(void);

/* cli_dlq.c: `dlq ls|show`, out of the dead-letter topic */
int cli_dlq(struct cli *cli, int argc, char **argv);
void cli_dlq_help(void);

/* cli_where.c: `doc where`, out of the log, the dead letters and the replicas */
int cli_doc(struct cli *cli, int argc, char **argv);
void cli_doc_help(void);

/* cli_source.c: `source ls|pause|resume|seek|rm`, from the gateway and the workers */
int cli_source(struct cli *cli, int argc, char **argv);
/* For `status`: how many sources import, and which do not; nothing where there are none. */
void cli_source_sums(struct cli *cli);
void cli_source_help(void);

/* cli_map.c: `map`, out of a topic: what rules make of its records */
int cli_map(struct cli *cli, int argc, char **argv);
void cli_map_help(void);

/* cli_screen.c */
struct cli_column {
	const char *title; /* NULL ends a list of columns */
	const char *member;
	bool right; /* numbers */
};

/* An array of objects as a table on stdout, or the sentence `none`; 0, or negative when out of memory. */
int cli_print_table(const struct cli_column *columns, yyjson_val *rows, const char *none);
/* The answer of GET /indexes, as a table. */
int cli_print_indexes(yyjson_val *results);

#endif
