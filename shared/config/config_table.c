#include "shared/base/assert.h"
#include "shared/config/config_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES "^[A-Za-z0-9_-]{1,63}$"
#define EVERY (PROGRAM_INGEST | PROGRAM_SHARD | PROGRAM_QUERY | PROGRAM_REBALANCE | PROGRAM_CLI)
#define MIB ((int64_t)1 << 20)
#define NAME_BYTES_MAX 128

#define TEXT(path, fallback, pattern, expected, programs, help) \
	{ \
		path, SETTING_TYPE_TEXT, fallback, 0, 0, pattern, expected, programs, help \
	}
#define NUMBER(path, type, fallback, min, max, programs, help) \
	{ \
		path, SETTING_TYPE_##type, fallback, min, max, NULL, NULL, programs, help \
	}
#define ADDRESS(path, fallback, programs, help) \
	{ \
		path, SETTING_TYPE_ADDRESS, fallback, 0, 0, NULL, NULL, programs, help \
	}

const struct setting settings[] = {
	TEXT("cluster", "millrace", "^[A-Za-z0-9._-]{1,32}$", "1 to 32 letters, digits, `.`, `_` and `-`",
             EVERY, "begins the names of all topics and groups"),
	NUMBER("topics.replication_factor", INT, "-1", -1, 15, PROGRAM_REBALANCE,
               "of topics that Millrace creates; -1: the broker's default"),
	NUMBER("topics.create", BOOL, "true", 0, 1, PROGRAM_REBALANCE,
               "false: never create a topic, say what is missing"),
	NUMBER("auth.master_key", SECRET, "", 16, 0, PROGRAM_QUERY, "key of the public API; empty: open"),
	NUMBER("auth.cluster_key", SECRET, "", 16, 0, EVERY, "what programs present to each other"),
	NUMBER("index_defaults.partitions", INT, "1", 1, 1024, PROGRAM_QUERY | PROGRAM_CLI,
               "of a new index's log"),
	NUMBER("index_defaults.dedup_window", INT, "1000000", 0, 1000000000, PROGRAM_REBALANCE,
               "offsets in which an identity counts as a duplicate"),
	NUMBER("topology.rf", INT, "2", 1, 8, PROGRAM_REBALANCE, "replicas of each shard in a group"),
	ADDRESS("ingest.listen", "127.0.0.1:7711", PROGRAM_INGEST, "health and metrics"),
	NUMBER("ingest.memory", BYTES, "64MiB", MIB, 1024 * 1024 * MIB, PROGRAM_INGEST, "of all memtables"),
	TEXT("ingest.flush", "adaptive",
             "^(adaptive|immediate|batched[{][0-9]{1,4}[}]|periodic[{][0-9]{1,5}[}])$",
             "adaptive, immediate, batched{RECORDS} or periodic{MS}", PROGRAM_INGEST,
             "when ranges go to replicas"),
	TEXT("ingest.data", ".millrace/ingest", "^.+$", "a directory", PROGRAM_INGEST | PROGRAM_REBALANCE,
             "directory of the table of identities, a cache, and of notes for the next start"),
	NUMBER("ingest.table", BYTES, "2GiB", 4 * MIB, 1024 * 1024 * MIB, PROGRAM_INGEST | PROGRAM_REBALANCE,
               "of identities on disk, by which duplicates are told; full: partitions wait"),
	ADDRESS("shard.listen", "127.0.0.1:7731", PROGRAM_SHARD, "batches, searches, health and metrics"),
	TEXT("shard.id", "n1", NAMES, "1 to 63 letters, digits, `_` and `-`", PROGRAM_SHARD,
             "the node's id in topology.groups"),
	TEXT("shard.data", ".millrace/n1", "^.+$", "a directory", PROGRAM_SHARD, "directory of its replicas"),
	NUMBER("shard.memory", BYTES, "256MiB", 8 * MIB, 1024 * 1024 * MIB, PROGRAM_SHARD,
               "of what is not yet stored; full: batches wait. An index has half of what the others leave"),
	ADDRESS("query.listen", "127.0.0.1:7700", PROGRAM_QUERY, "the public API"),
	ADDRESS("query.admin", "127.0.0.1:7701", PROGRAM_QUERY | PROGRAM_CLI, "the admin API"),
	TEXT("query.degraded", "partial", "^(partial|error)$", "partial or error", PROGRAM_QUERY,
             "answer of a search when a shard has no replica"),
	NUMBER("query.coalesce_ms", DURATION, "50", 0, 1000, PROGRAM_QUERY,
               "how long equal searches may wait for one answer"),
	NUMBER("query.timeout_ms", DURATION, "1500", 1, 60000, PROGRAM_QUERY, "deadline of a search"),
	ADDRESS("rebalance.listen", "127.0.0.1:7721", PROGRAM_REBALANCE, "health and metrics"),
	TEXT("log.level", "info", "^(error|warn|info|debug)$", "error, warn, info or debug", EVERY,
             "the least urgent lines to write"),
	TEXT("log.format", "logfmt", "^(logfmt|json)$", "logfmt or json", EVERY, "of log lines on stderr"),
};
const size_t settings_len = sizeof settings / sizeof settings[0];
_Static_assert(sizeof settings / sizeof settings[0] <= SETTINGS_MAX, "SETTINGS_MAX");

int setting_find(const char *path)
{
	for (size_t i = 0; i < settings_len; i++)
		if (strcmp(settings[i].path, path) == 0)
			return (int)i;
	return -1;
}

bool setting_is_section(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < settings_len; i++)
		if (strncmp(settings[i].path, name, len) == 0 && settings[i].path[len] == '.')
			return true;
	return false;
}

const char *program_section(enum program program)
{
	switch (program) {
	case PROGRAM_INGEST:
		return "ingest";
	case PROGRAM_SHARD:
		return "shard";
	case PROGRAM_REBALANCE:
		return "rebalance";
	case PROGRAM_QUERY:
	case PROGRAM_CLI:
		break;
	}
	return "query";
}

/* Levenshtein's distance of two names. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_BYTES_MAX + 1];
	size_t b_len = strnlen(b, NAME_BYTES_MAX);

	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 0; a[i] != 0; i++) {
		size_t corner = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < b_len; j++) {
			size_t changed = corner + (a[i] != b[j]);
			size_t shifted = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;

			corner = row[j + 1];
			row[j + 1] = changed < shifted ? changed : shifted;
		}
	}
	return row[b_len];
}

const char *nearest_name(const char *name, const char *const *names)
{
	size_t best = 1 + (strlen(name) < 6 ? 2 : strlen(name) / 3);
	const char *nearest = NULL;

	for (; *names != NULL; names++) {
		size_t d = distance(name, *names);

		if (d < best) {
			best = d;
			nearest = *names;
		}
	}
	return nearest;
}

static int refuse_unknown(const char *path, const char *place, struct error *error)
{
	const char *dot = strrchr(path, '.');
	const char *name = dot == NULL ? path : dot + 1;
	size_t section_len = dot == NULL ? 0 : (size_t)(dot + 1 - path);
	const char *names[SETTINGS_MAX + 1] = {NULL};
	size_t len = 0;
	const char *near;

	for (size_t i = 0; i < settings_len; i++)
		if (strncmp(settings[i].path, path, section_len) == 0)
			names[len++] = settings[i].path + section_len;
	near = nearest_name(name, names);
	if (section_len > 0)
		config_refuse(error, place, "unknown key `%.80s` in `%.*s`", name, (int)section_len - 1,
		              path);
	else
		config_refuse(error, place, "unknown key `%.80s`", name);
	if (near != NULL) {
		size_t used = strlen(error->text);

		(void)snprintf(error->text + used, sizeof error->text - used, " (did you mean `%s`?)", near);
	}
	return error->code;
}

/* A number with one of the units behind it; "" among them is the plain number. */
static bool read_quantity(const char *text, const char *const *units, const int64_t *factors, int64_t *number)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (end == text || errno != 0)
		return false;
	for (size_t i = 0; units[i] != NULL; i++)
		if (strcmp(end, units[i]) == 0)
			return !__builtin_mul_overflow((int64_t)value, factors[i], number);
	return false;
}

static int set_number(const struct setting *setting, const char *text, const char *place, int64_t *number,
                      struct error *error)
{
	static const char *const none[] = {"", NULL};
	static const char *const times[] = {"", "ms", "s", "m", "h", NULL};
	static const char *const sizes[] = {"", "B", "KiB", "MiB", "GiB", "kB", "MB", "GB", NULL};
	static const int64_t none_factors[] = {1};
	static const int64_t time_factors[] = {1, 1, 1000, 60000, 3600000};
	static const int64_t size_factors[] = {1, 1, 1 << 10, 1 << 20, 1 << 30, 1000, 1000000, 1000000000};
	bool ok;

	if (setting->type == SETTING_TYPE_DURATION)
		ok = read_quantity(text, times, time_factors, number);
	else if (setting->type == SETTING_TYPE_BYTES)
		ok = read_quantity(text, sizes, size_factors, number);
	else
		ok = read_quantity(text, none, none_factors, number);
	if (!ok)
		return config_refuse(error, place, "`%s` is `%.80s`, expected %s", setting->path, text,
		                     setting->type == SETTING_TYPE_DURATION
		                             ? "a duration such as 5s, 50ms or 50"
		                     : setting->type == SETTING_TYPE_BYTES ? "a size such as 64MiB"
		                                                           : "a whole number");
	if (*number < setting->min || *number > setting->max)
		return config_refuse(error, place, "`%s` is %.80s, expected %lld to %lld%s", setting->path,
		                     text, (long long)setting->min, (long long)setting->max,
		                     setting->type == SETTING_TYPE_DURATION ? " ms"
		                     : setting->type == SETTING_TYPE_BYTES  ? " bytes"
		                                                            : "");
	return 0;
}

static int set_text(const struct setting *setting, const char *text, const char *place, struct error *error)
{
	regex_t regex;
	int found;

	ASSERT(regcomp(&regex, setting->pattern, REG_EXTENDED | REG_NOSUB) == 0);
	found = regexec(&regex, text, 0, NULL, 0);
	regfree(&regex);
	if (found == 0)
		return 0;
	return config_refuse(error, place, "`%s` is `%.80s`, expected %s", setting->path, text,
	                     setting->expected);
}

/* Splits "127.0.0.1:7700" or "[::1]:7700" or, with `names`, "host:7700". */
static bool split_address(const char *address, bool names, char host[256])
{
	const char *colon = strrchr(address, ':');
	size_t len = colon == NULL ? 0 : (size_t)(colon - address);
	struct in6_addr binary;
	unsigned long port;
	char *end;

	if (len == 0 || len > 255 || colon[1] < '0' || colon[1] > '9')
		return false;
	port = strtoul(colon + 1, &end, 10);
	if (*end != 0 || port > 65535)
		return false;
	if (address[0] == '[' && address[len - 1] == ']') {
		(void)snprintf(host, 256, "%.*s", (int)len - 2, address + 1);
		return inet_pton(AF_INET6, host, &binary) == 1;
	}
	(void)snprintf(host, 256, "%.*s", (int)len, address);
	return inet_pton(AF_INET, host, &binary) == 1 || (names && strpbrk(host, ":/ ") == NULL);
}

bool address_is_loopback(const char *address)
{
	char host[256];

	return split_address(address, false, host) &&
	       (strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0);
}

/* The command line connects where programs listen, so it takes host names and a URL too. */
static int set_address(struct config *config, const struct setting *setting, const char **text,
                       const char *place, struct error *error)
{
	bool connects = config->program == PROGRAM_CLI;
	const char *given = *text;
	char host[256];

	if (connects && strncmp(given, "http://", 7) == 0) {
		given += 7;
		*text = config_copy(config, slice_of(given, strcspn(given, "/")));
	}
	if (split_address(*text, connects, host))
		return 0;
	return config_refuse(error, place,
	                     "`%s` is `%.80s`, expected an address such as 127.0.0.1:7700 or [::1]:7700",
	                     setting->path, given);
}

static int set_value(struct config *config, size_t index, const char *text, const char *place,
                     enum config_level level, struct error *error)
{
	const struct setting *setting = &settings[index];
	struct config_value *value = &config->values[index];
	int64_t number = 0;
	int result = 0;

	if (value->text != NULL && value->level == level)
		return config_refuse(error, place, "`%s` is set twice (also at %.200s)", setting->path,
		                     value->place);
	switch (setting->type) {
	case SETTING_TYPE_TEXT:
		result = set_text(setting, text, place, error);
		break;
	case SETTING_TYPE_SECRET:
		if (text[0] != 0 && strlen(text) < (size_t)setting->min)
			result = config_refuse(error, place, "`%s` is shorter than %lld bytes", setting->path,
			                       (long long)setting->min);
		break;
	case SETTING_TYPE_BOOL:
		number = strcmp(text, "true") == 0;
		if (number == 0 && strcmp(text, "false") != 0)
			result = config_refuse(error, place, "`%s` is `%.80s`, expected true or false",
			                       setting->path, text);
		break;
	case SETTING_TYPE_ADDRESS:
		result = set_address(config, setting, &text, place, error);
		break;
	case SETTING_TYPE_INT:
	case SETTING_TYPE_DURATION:
	case SETTING_TYPE_BYTES:
		result = set_number(setting, text, place, &number, error);
		break;
	}
	if (result == 0)
		*value = (struct config_value){text, number, place, level};
	return result;
}

int setting_set(struct config *config, const char *path, const char *text, const char *place,
                enum config_level level, struct error *error)
{
	size_t len = strlen(path);
	int index = setting_find(path);
	char base[NAME_BYTES_MAX];

	if (index < 0 && len > 5 && len < sizeof base && strcmp(path + len - 5, "_file") == 0) {
		(void)snprintf(base, sizeof base, "%.*s", (int)len - 5, path);
		index = setting_find(base);
		if (index >= 0 && settings[index].type != SETTING_TYPE_SECRET)
			index = -1;
		if (index >= 0 && config_read_secret(config, text, place, &text, error) != 0)
			return error->code;
	}
	if (index < 0)
		return refuse_unknown(path, place, error);
	return set_value(config, (size_t)index, text, place, level, error);
}

static void print_setting(const struct setting *setting)
{
	static const char *const kinds[] = {
		[SETTING_TYPE_TEXT] = "TEXT",        [SETTING_TYPE_SECRET] = "SECRET",
		[SETTING_TYPE_INT] = "NUMBER",       [SETTING_TYPE_DURATION] = "DURATION",
		[SETTING_TYPE_BYTES] = "SIZE",       [SETTING_TYPE_BOOL] = "true|false",
		[SETTING_TYPE_ADDRESS] = "HOST:PORT"};

	printf("  --%-26s %-10s %s", setting->path, kinds[setting->type], setting->help);
	if (setting->type == SETTING_TYPE_TEXT)
		printf("; %s", setting->expected);
	if (setting->type == SETTING_TYPE_INT || setting->type == SETTING_TYPE_DURATION)
		printf("; %lld to %lld%s", (long long)setting->min, (long long)setting->max,
		       setting->type == SETTING_TYPE_DURATION ? " ms" : "");
	printf(" (%s)\n", setting->fallback[0] == 0 ? "empty" : setting->fallback);
}

void settings_print_help(enum program program)
{
	const char *section = program_section(program);

	printf("usage: millrace-%s [--config FILE] [--ready-file FILE] [--check-config] [--SETTING "
	       "VALUE]...\n\n"
	       "Settings come from, in rising precedence: the default, the file (--config, MILLRACE_CONFIG "
	       "or\n"
	       "./millrace.yaml), the environment (MILLRACE_LOG_LEVEL for log.level), the flag. Those of its "
	       "own\n"
	       "section may be given by their last name (--listen for %s.listen). A secret has a twin ending "
	       "in\n"
	       "_file.\n\n",
	       section, section);
	for (size_t i = 0; i < settings_len; i++)
		if ((settings[i].programs & program) != 0)
			print_setting(&settings[i]);
	printf("  --%-26s %-10s %s\n", "kafka.NAME", "TEXT",
	       "any librdkafka property, e.g. bootstrap.servers");
	printf("  --%-26s %-10s %s\n", "kafka.properties_file", "FILE", "the same as a Java properties file");
}
