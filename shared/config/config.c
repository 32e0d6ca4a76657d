#include "shared/config/config.h"

#include "shared/base/assert.h"
#include "shared/config/config_private.h"
#include "shared/json/json.h"
#include "shared/runtime/logline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_FILE "millrace.yaml"
#define ARENA_BLOCK_BYTES 16384
#define FLAGS_MAX 256
#define PATH_TEXT_BYTES_MAX 256

int config_refuse(struct error *error, const char *place, const char *format, ...)
{
	char text[sizeof error->text];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL, "%.200s: %.300s", place, text);
}

const char *config_copy(struct config *config, struct slice text)
{
	char *copy = arena_alloc(&config->arena, text.len + 1);

	ASSERT(copy != NULL);
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	return copy;
}

int config_slurp(struct config *config, const char *path, const char *place, struct slice *text,
                 struct error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buffer bytes;
	ssize_t got = -1;
	int result = 0;

	if (fd < 0)
		return config_refuse(error, place, "cannot open %.200s: %s", path, strerror(errno));
	buffer_init(&bytes, CONFIG_FILE_BYTES_MAX + 4096);
	while (bytes.len <= CONFIG_FILE_BYTES_MAX) {
		uint8_t *room = buffer_grow(&bytes, 4096);

		ASSERT(room != NULL);
		got = read(fd, room, 4096);
		bytes.len -= got < 0 ? 4096 : 4096 - (size_t)got;
		if (got <= 0)
			break;
	}
	if (got < 0)
		result = config_refuse(error, place, "cannot read %.200s: %s", path, strerror(errno));
	else if (bytes.len > CONFIG_FILE_BYTES_MAX)
		result = config_refuse(error, place, "%.200s is larger than %d bytes", path,
		                       CONFIG_FILE_BYTES_MAX);
	else
		*text = slice_of(config_copy(config, buffer_slice(&bytes)), bytes.len);
	buffer_deinit(&bytes);
	(void)close(fd);
	return result;
}

int config_read_secret(struct config *config, const char *path, const char *place, const char **secret,
                       struct error *error)
{
	struct slice text;

	if (config_slurp(config, path, place, &text, error) != 0)
		return error->code;
	while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
		text.len--;
	if (text.len == 0)
		return config_refuse(error, place, "%.200s is empty", path);
	if (memchr(text.ptr, '\n', text.len) != NULL || memchr(text.ptr, 0, text.len) != NULL)
		return config_refuse(error, place, "%.200s has more than one line", path);
	*secret = config_copy(config, text);
	return 0;
}

/* What a command line says; pointers into argv. */
struct flags {
	const char *names[FLAGS_MAX]; /* without the dashes */
	const char *values[FLAGS_MAX];
	size_t len;
	const char *config_path;
	const char *ready_file;
	bool help;
	bool version;
	bool check;
	int words; /* index of the first word behind the flags */
};

static bool take_switch(struct flags *flags, const char *name)
{
	if (strcmp(name, "help") == 0)
		flags->help = true;
	else if (strcmp(name, "version") == 0)
		flags->version = true;
	else if (strcmp(name, "check-config") == 0)
		flags->check = true;
	else
		return false;
	return true;
}

static int read_flags(struct config *config, int argc, char **argv, struct flags *flags, struct error *error)
{
	int at = 1;

	while (at < argc && strncmp(argv[at], "-", 1) == 0) {
		const char *name = argv[at] + 1 + (argv[at][1] == '-');
		const char *equals = strchr(name, '=');
		const char *value = equals == NULL ? NULL : equals + 1;
		const char *flag = argv[at++];

		if (strcmp(flag, "-h") == 0)
			name = "help";
		if (value == NULL && take_switch(flags, name))
			continue;
		if (flag[1] != '-')
			return config_refuse(error, flag, "unknown flag (see --help)");
		if (value == NULL && at == argc)
			return config_refuse(error, flag, "a value is missing");
		if (value == NULL)
			value = argv[at++];
		name = config_copy(config, slice_of(name, strcspn(name, "=")));
		if (strcmp(name, "config") == 0) {
			flags->config_path = value;
		} else if (strcmp(name, "ready-file") == 0) {
			flags->ready_file = value;
		} else {
			if (flags->len == FLAGS_MAX)
				return config_refuse(error, flag, "more than %d flags", FLAGS_MAX);
			flags->names[flags->len] = name;
			flags->values[flags->len++] = value;
		}
	}
	flags->words = at;
	if (at < argc && config->program != PROGRAM_CLI)
		return config_refuse(error, argv[at], "unexpected argument (see --help)");
	return 0;
}

static int apply_flags(struct config *config, const struct flags *flags, struct error *error)
{
	for (size_t i = 0; i < flags->len; i++) {
		const char *name = flags->names[i];
		char path[PATH_TEXT_BYTES_MAX];
		char place[PATH_TEXT_BYTES_MAX];
		const char *kept;

		(void)snprintf(place, sizeof place, "--%.200s", name);
		kept = config_copy(config, slice_string(place));
		if (strncmp(name, "kafka.", 6) == 0) {
			if (kafka_set(config, name + 6, flags->values[i], kept, CONFIG_LEVEL_FLAG, error) !=
			    0)
				return error->code;
			continue;
		}
		if (strchr(name, '.') == NULL && setting_find(name) < 0)
			(void)snprintf(path, sizeof path, "%s.%.200s", program_section(config->program),
			               name);
		else
			(void)snprintf(path, sizeof path, "%.200s", name);
		if (setting_set(config, path, flags->values[i], kept, CONFIG_LEVEL_FLAG, error) != 0)
			return error->code;
	}
	return 0;
}

/* "MILLRACE_QUERY_LISTEN" of "query.listen", in `name`. */
static void variable_of(const char *path, char name[PATH_TEXT_BYTES_MAX])
{
	int len = snprintf(name, PATH_TEXT_BYTES_MAX, "MILLRACE_%.200s", path);

	for (int i = 9; i < len; i++)
		name[i] = name[i] == '.'                     ? '_'
		          : name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A')
		                                             : name[i];
}

static int apply_kafka_variable(struct config *config, const char *rest, const char *value, const char *place,
                                struct error *error)
{
	char name[PATH_TEXT_BYTES_MAX];
	size_t len = (size_t)snprintf(name, sizeof name, "%.200s", rest);

	for (size_t i = 0; i < len; i++)
		name[i] = name[i] == '_'                     ? '.'
		          : name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a')
		                                             : name[i];
	if (strcmp(name, "properties.file") == 0)
		(void)snprintf(name, sizeof name, "properties_file");
	else if (len > 5 && kafka_is_secret(name) && strcmp(name + len - 5, ".file") == 0)
		name[len - 5] = '_';
	return kafka_set(config, config_copy(config, slice_string(name)), value, place,
	                 CONFIG_LEVEL_ENVIRONMENT, error);
}

/* True if a variable begins as those of a section do, so that it can only be meant for us. */
static bool is_section_variable(const char *name)
{
	char prefix[PATH_TEXT_BYTES_MAX];

	for (size_t i = 0; i < settings_len; i++) {
		variable_of(settings[i].path, prefix);
		if (strchr(settings[i].path, '.') != NULL &&
		    strncmp(prefix, name, 9 + strcspn(settings[i].path, ".") + 1) == 0)
			return true;
	}
	return false;
}

static int apply_variable(struct config *config, const char *name, const char *value, struct error *error)
{
	char variable[PATH_TEXT_BYTES_MAX];
	char path[PATH_TEXT_BYTES_MAX];

	if (strncmp(name, "MILLRACE_KAFKA_", 15) == 0)
		return apply_kafka_variable(config, name + 15, value, name, error);
	for (size_t i = 0; i < settings_len; i++) {
		variable_of(settings[i].path, variable);
		if (strcmp(name, variable) == 0)
			return setting_set(config, settings[i].path, value, name, CONFIG_LEVEL_ENVIRONMENT,
			                   error);
		(void)snprintf(path, sizeof path, "%s_file", settings[i].path);
		variable_of(path, variable);
		if (settings[i].type == SETTING_TYPE_SECRET && strcmp(name, variable) == 0)
			return setting_set(config, path, value, name, CONFIG_LEVEL_ENVIRONMENT, error);
	}
	if (is_section_variable(name))
		return config_refuse(error, name, "no setting has this name (see --help)");
	return 0;
}

static int apply_environment(struct config *config, struct error *error)
{
	for (char **at = environ; *at != NULL; at++) {
		const char *equals = strchr(*at, '=');

		if (equals == NULL || strncmp(*at, "MILLRACE_", 9) != 0)
			continue;
		if (apply_variable(config, config_copy(config, slice_of(*at, (size_t)(equals - *at))),
		                   config_copy(config, slice_string(equals + 1)), error) != 0)
			return error->code;
	}
	return 0;
}

static int apply_file(struct config *config, const struct flags *flags, struct error *error)
{
	const char *path = flags->config_path;

	if (path == NULL)
		path = getenv("MILLRACE_CONFIG");
	if (path == NULL || path[0] == 0)
		path = access(DEFAULT_FILE, F_OK) == 0 ? DEFAULT_FILE : NULL;
	return path == NULL ? 0 : config_read_file(config, path, error);
}

static int apply_defaults(struct config *config, struct error *error)
{
	for (size_t i = 0; i < settings_len; i++)
		if (config->values[i].text == NULL &&
		    setting_set(config, settings[i].path, settings[i].fallback, "default",
		                CONFIG_LEVEL_DEFAULT, error) != 0)
			return error->code;
	if (config->nodes_len == 0)
		config->nodes[config->nodes_len++] =
			(struct config_node){"g0", "n1", "http://127.0.0.1:7731"};
	sources_finish(config);
	for (size_t i = 0; i < config->kafka_len; i++)
		if (strcmp(config->kafka[i].name, "bootstrap.servers") == 0)
			return 0;
	return kafka_set(config, "bootstrap.servers", "127.0.0.1:9092", "default", CONFIG_LEVEL_DEFAULT,
	                 error);
}

/* What others may reach must ask who they are. */
static int check_listeners(const struct config *config, struct error *error)
{
	static const struct {
		enum program program;
		const char *path;
	} listeners[] = {{PROGRAM_INGEST, "ingest.listen"},
	                 {PROGRAM_SHARD, "shard.listen"},
	                 {PROGRAM_REBALANCE, "rebalance.listen"},
	                 {PROGRAM_QUERY, "query.admin"}};

	for (size_t i = 0; i < sizeof listeners / sizeof listeners[0]; i++) {
		const struct config_value *value = &config->values[setting_find(listeners[i].path)];

		if (listeners[i].program == config->program && !address_is_loopback(value->text) &&
		    config_string(config, "auth.cluster_key")[0] == 0)
			return config_refuse(error, value->place,
			                     "`%s` is %s, which other machines reach: set auth.cluster_key",
			                     listeners[i].path, value->text);
	}
	return 0;
}

static int load(struct config *config, int argc, char **argv, struct flags *flags, struct error *error)
{
	if (read_flags(config, argc, argv, flags, error) != 0 || flags->help || flags->version)
		return error->code;
	config->ready_file = flags->ready_file;
	if (apply_file(config, flags, error) == 0 && apply_environment(config, error) == 0 &&
	    apply_flags(config, flags, error) == 0 && apply_defaults(config, error) == 0)
		(void)check_listeners(config, error);
	return error->code;
}

/* Prints what was asked for instead of a start; false if nothing was. */
static bool answer(const struct config *config, const struct flags *flags)
{
	struct buffer text;

	if (flags->help) {
		settings_print_help(config->program);
	} else if (flags->version) {
		printf("millrace %s\n", MILLRACE_VERSION);
	} else if (flags->check) {
		buffer_init(&text, 4 * CONFIG_FILE_BYTES_MAX);
		config_print(config, &text);
		ASSERT(!buffer_failed(&text));
		printf("%.*s", SLICE_ARGS(buffer_slice(&text)));
		buffer_deinit(&text);
	} else {
		return false;
	}
	return true;
}

int config_load(enum program program, int *argc, char ***argv, struct config **config, struct error *error)
{
	static const char *const levels[] = {"error", "warn", "info", "debug"};
	struct config *new = calloc(1, sizeof *new);
	struct flags flags = {0};
	int result;

	if (new == NULL)
		return error_memory(error, sizeof *new);
	error->code = 0;
	new->program = program;
	arena_init(&new->arena, ARENA_BLOCK_BYTES);
	result = load(new, *argc, *argv, &flags, error);
	if (result == 0 && answer(new, &flags))
		result = 1;
	if (result != 0) {
		config_free(new);
		return result;
	}
	for (int i = 0; i < 4; i++)
		if (strcmp(levels[i], config_string(new, "log.level")) == 0)
			logline_init(program == PROGRAM_CLI ? "cli" : program_section(program),
			             (enum log_level)i,
			             strcmp(config_string(new, "log.format"), "json") == 0);
	*argc -= flags.words;
	*argv += flags.words;
	*config = new;
	return 0;
}

void config_free(struct config *config)
{
	if (config == NULL)
		return;
	arena_deinit(&config->arena);
	free(config);
}

static const struct config_value *value_of(const struct config *config, const char *path, unsigned types)
{
	int index = setting_find(path);

	ASSERT(index >= 0 && (types & (1U << settings[index].type)) != 0);
	return &config->values[index];
}

const char *config_string(const struct config *config, const char *path)
{
	return value_of(config, path,
	                1U << SETTING_TYPE_TEXT | 1U << SETTING_TYPE_SECRET | 1U << SETTING_TYPE_ADDRESS)
	        ->text;
}

int64_t config_int(const struct config *config, const char *path)
{
	return value_of(config, path, 1U << SETTING_TYPE_INT | 1U << SETTING_TYPE_DURATION)->number;
}

int64_t config_bytes(const struct config *config, const char *path)
{
	return value_of(config, path, 1U << SETTING_TYPE_BYTES)->number;
}

bool config_bool(const struct config *config, const char *path)
{
	return value_of(config, path, 1U << SETTING_TYPE_BOOL)->number != 0;
}

const char *config_ready_file(const struct config *config)
{
	return config->ready_file;
}

size_t config_kafka(const struct config *config, const struct config_property **properties)
{
	*properties = config->kafka;
	return config->kafka_len;
}

size_t config_nodes(const struct config *config, const struct config_node **nodes)
{
	*nodes = config->nodes;
	return config->nodes_len;
}

size_t config_sources(const struct config *config, const struct config_source **sources)
{
	*sources = config->sources;
	return config->sources_len;
}

/* JSON's strings are YAML's. */
static void print_text(struct buffer *buffer, const char *text, bool secret)
{
	json_append_string(buffer, slice_string(secret && text[0] != 0 ? "********" : text));
	buffer_append_string(buffer, "\n");
}

static void print_nodes(const struct config *config, struct buffer *buffer)
{
	const char *group = NULL;

	buffer_append_string(buffer, "  groups:\n");
	for (size_t i = 0; i < config->nodes_len; i++) {
		const struct config_node *node = &config->nodes[i];

		if (group == NULL || strcmp(group, node->group) != 0)
			buffer_printf(buffer, "    %s:\n", node->group);
		group = node->group;
		buffer_printf(buffer, "      - {id: \"%s\", url: \"%s\"}\n", node->id, node->url);
	}
}

static void print_value(const struct config *config, struct buffer *buffer, size_t i)
{
	const char *text = config->values[i].text;
	enum setting_type type = settings[i].type;

	if (type == SETTING_TYPE_TEXT || type == SETTING_TYPE_SECRET || type == SETTING_TYPE_ADDRESS)
		print_text(buffer, text, type == SETTING_TYPE_SECRET);
	else
		buffer_printf(buffer, "%s\n", text);
}

void config_print(const struct config *config, struct buffer *buffer)
{
	const char *section = "";
	size_t section_len = 0;

	for (size_t i = 0; i < settings_len; i++) {
		const char *path = settings[i].path;
		const char *dot = strchr(path, '.');

		if (dot == NULL) {
			buffer_printf(buffer, "%s: ", path);
			print_value(config, buffer, i);
			continue;
		}
		if (strncmp(section, path, section_len) != 0 || section_len == 0) {
			section = path;
			section_len = (size_t)(dot + 1 - path);
			buffer_printf(buffer, "%.*s:\n", (int)section_len - 1, section);
		}
		buffer_printf(buffer, "  %s: ", dot + 1);
		print_value(config, buffer, i);
		if (strcmp(path, "topology.rf") == 0)
			print_nodes(config, buffer);
	}
	sources_print(config, buffer);
	buffer_append_string(buffer, "kafka:\n");
	for (size_t i = 0; i < config->kafka_len; i++) {
		buffer_printf(buffer, "  %s: ", config->kafka[i].name);
		print_text(buffer, config->kafka[i].value, kafka_is_secret(config->kafka[i].name));
	}
}
