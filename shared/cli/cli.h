/*
 * CLI: what the verbs of the millrace command line share.
 *
 * A verb is a function that gets its own words (argv[0] is the verb's name)
 * and returns the exit code: 0, or 1 after one sentence on stderr. It talks
 * to the admin API of the gateway (query.admin) and to nothing else. One
 * thread; answers are bounded by CLI_ANSWER_BYTES_MAX.
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

/* A request to the admin API; `path` begins with '/', `body` may be NULL (moved out otherwise). 0 and the
 * parsed answer if its status is `expected`, else negative after saying on stderr what is wrong. */
int cli_ask(struct cli *cli, const char *method, const char *path, struct buffer *body, int expected,
            yyjson_doc **answer);
/* Says "millrace VERB: …" on stderr; 1, the exit code. */
int cli_fail(const char *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* cli_index.c: `index create|delete|ls` */
int cli_index(struct cli *cli, int argc, char **argv);
void cli_index_help(void);

/* cli_screen.c: the answer of GET /indexes as a table on stdout; 0, or negative when out of memory. */
int cli_print_indexes(yyjson_val *results);

#endif
