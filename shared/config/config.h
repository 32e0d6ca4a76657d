/*
 * Configuration: one millrace.yaml for all programs, one table of settings.
 *
 * A table row is a setting: path, type, bounds, default, unit, help, and the
 * programs it is for. The table parses, validates, prints --help and the
 * effective configuration; nothing else knows a setting's syntax. A value is
 * taken from, in rising precedence: the default, the file, the environment
 * (MILLRACE_INGEST_LISTEN for ingest.listen), the flag (--ingest.listen V, or
 * --listen V for the program's own section). ${ENV} and ${ENV:-default} are
 * expanded in file values; a secret `x` has a twin `x_file`. An unknown key, a
 * value of the wrong type or out of bounds stops the start with
 *   millrace.yaml:7:3: unknown key `prot` in `query` (did you mean `port`?)
 * and exit code 78. Under `kafka:` any librdkafka property passes through
 * (and `properties_file`), but those refused by name with the reason:
 * enable.auto.commit, enable.auto.offset.store, auto.offset.reset,
 * group.protocol, plugin.library.paths.
 *
 * A struct config is immutable after config_load and shared by all threads;
 * strings live as long as it does. config_load also sets up log lines.
 */
#ifndef MILLRACE_CONFIG_CONFIG_H
#define MILLRACE_CONFIG_CONFIG_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"

enum program {
	PROGRAM_INGEST = 1,
	PROGRAM_SHARD = 2,
	PROGRAM_QUERY = 4,
	PROGRAM_REBALANCE = 8,
	PROGRAM_CLI = 16
};

struct config;

/* Reads flags, environment and file (--config FILE, else MILLRACE_CONFIG, else ./millrace.yaml if it
 * exists, else only defaults). 0 and *config; 1 if --help, --version or --check-config was answered
 * (exit 0); negative after filling `error` (ERROR_CONFIGURATION; the text has file:line:column).
 * For PROGRAM_CLI, `argc` and `argv` are advanced past the global flags to the first word. */
int config_load(enum program program, int *argc, char ***argv, struct config **config, struct error *error);
void config_free(struct config *config);

/* By full path, e.g. "ingest.listen"; asking for a setting that is not in the table, or with another type, asserts. */
const char *config_string(const struct config *config, const char *path);
int64_t config_int(const struct config *config, const char *path);   /* also durations in ms */
int64_t config_bytes(const struct config *config, const char *path); /* "64MiB" → bytes */
bool config_bool(const struct config *config, const char *path);
/* --ready-file, or NULL. */
const char *config_ready_file(const struct config *config);

/* The librdkafka properties, in file order. */
struct config_property {
	const char *name;
	const char *value;
	const char *place; /* "millrace.yaml:3:5", for messages */
};
size_t config_kafka(const struct config *config, const struct config_property **properties);

/* Nodes of topology.groups, in file order. */
struct config_node {
	const char *group;
	const char *id;
	const char *url; /* http://host:port without a trailing slash */
};
size_t config_nodes(const struct config *config, const struct config_node **nodes);

/* `sources`, in file order; an entry with `topics` is one source a topic. What is imported is what the indexes' records
 * say: these are wishes, to be compared with the records. Checked: the rules can be read, sources of one index agree on
 * its primary key and partitions and have names and topics of their own. */
struct config_source {
	const char *name;        /* unique within its index, for a source_record; "" without an index */
	const char *topic;       /* NULL: a pattern */
	const char *pattern;     /* begins with ^; NULL: a topic */
	const char *index;       /* uid (topic_uid.h); NULL (only with a pattern): each topic has its own */
	const char *primary_key; /* the rules say the same */
	const char *dead_letter_topic; /* NULL: Millrace's own */
	int64_t partitions;            /* of an index that is made for it */
	const char *rules;             /* canonical, for mapping_parse */
	const char *place;             /* "millrace.yaml:3:5", for messages */
};
size_t config_sources(const struct config *config, const struct config_source **sources);

/* The effective configuration as YAML, secrets masked. */
void config_print(const struct config *config, struct buffer *buffer);

#endif
