/*
 * Config private: what the files of the configuration share, and nobody else.
 *
 * config.c holds the life of a struct config and its order of sources,
 * config_table.c the table of settings and what each type accepts,
 * config_file.c the YAML file and config_source.c its list of sources
 * (config_yaml.h), config_kafka.c the librdkafka properties.
 *
 * A place says where a value was written, for messages: "millrace.yaml:7:3",
 * "MILLRACE_QUERY_LISTEN" or "--listen".
 */
#ifndef MILLRACE_CONFIG_CONFIG_PRIVATE_H
#define MILLRACE_CONFIG_CONFIG_PRIVATE_H

#include "shared/base/arena.h"
#include "shared/config/config.h"

#define SETTINGS_MAX 40
#define KAFKA_PROPERTIES_MAX 256
#define CONFIG_NODES_MAX 64
#define CONFIG_SOURCES_MAX 256
#define CONFIG_FILE_BYTES_MAX (1 << 20)

enum setting_type {
	SETTING_TYPE_TEXT = 1, /* what `pattern` matches */
	SETTING_TYPE_SECRET,   /* empty, or of at least `min` bytes */
	SETTING_TYPE_INT,
	SETTING_TYPE_DURATION, /* "5s", "50ms", or a number of ms */
	SETTING_TYPE_BYTES,    /* "64MiB", or a number of bytes */
	SETTING_TYPE_BOOL,
	SETTING_TYPE_ADDRESS /* host:port to listen at */
};

struct setting {
	const char *path;
	enum setting_type type;
	const char *fallback;
	int64_t min;
	int64_t max;
	const char *pattern;  /* TEXT: extended regular expression */
	const char *expected; /* TEXT: the pattern in words */
	unsigned programs;    /* whose --help shows it */
	const char *help;
};

/* Sources of values, in rising precedence; none may name a setting twice. */
enum config_level {
	CONFIG_LEVEL_DEFAULT = 0,
	CONFIG_LEVEL_PROPERTIES, /* kafka.properties_file */
	CONFIG_LEVEL_FILE,
	CONFIG_LEVEL_ENVIRONMENT,
	CONFIG_LEVEL_FLAG
};

struct config_value {
	const char *text;
	int64_t number; /* INT, DURATION in ms, BYTES, BOOL */
	const char *place;
	enum config_level level;
};

struct config {
	struct arena arena; /* every string */
	enum program program;
	struct config_value values[SETTINGS_MAX];
	struct config_property kafka[KAFKA_PROPERTIES_MAX];
	enum config_level kafka_levels[KAFKA_PROPERTIES_MAX];
	size_t kafka_len;
	struct config_node nodes[CONFIG_NODES_MAX];
	size_t nodes_len;
	struct config_source sources[CONFIG_SOURCES_MAX];
	bool sources_derived[CONFIG_SOURCES_MAX]; /* its index is the topic's own */
	size_t sources_len;
	const char *ready_file;
};

/* config_table.c */
extern const struct setting settings[];
extern const size_t settings_len;
/* Index of a setting, or -1. */
int setting_find(const char *path);
/* Sets `path` (or the secret whose `_file` twin it is); an unknown path names the nearest. */
int setting_set(struct config *config, const char *path, const char *text, const char *place,
                enum config_level level, struct error *error);
bool setting_is_section(const char *name);
const char *program_section(enum program program);
void settings_print_help(enum program program);
/* The name among `names` (ends with NULL) that differs least from `name`; NULL if none is near. */
const char *nearest_name(const char *name, const char *const *names);
/* True if it is a literal address of this machine alone. */
bool address_is_loopback(const char *address);

/* config_file.c */
int config_read_file(struct config *config, const char *path, struct error *error);

/* config_source.c */
/* Once all settings are known. */
void sources_finish(struct config *config);
/* The i-th name that an entry of `sources` may have; NULL behind the last. */
const char *source_member(size_t i);
void sources_print(const struct config *config, struct buffer *buffer);

/* config_kafka.c */
int kafka_set(struct config *config, const char *name, const char *value, const char *place,
              enum config_level level, struct error *error);
bool kafka_is_secret(const char *name);

/* config.c */
/* Fills `error` with "place: text"; ERROR_CONFIGURATION. */
int config_refuse(struct error *error, const char *place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A copy that lives as long as the configuration; aborts when out of memory, which nothing survives at start. */
const char *config_copy(struct config *config, struct slice text);
/* The whole file with a NUL behind; at most CONFIG_FILE_BYTES_MAX. */
int config_slurp(struct config *config, const char *path, const char *place, struct slice *text,
                 struct error *error);
/* What a `_file` twin names: its first line's worth, without the newline at the end. */
int config_read_secret(struct config *config, const char *path, const char *place, const char **secret,
                       struct error *error);

#endif
