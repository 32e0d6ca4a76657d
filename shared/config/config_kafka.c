#include "shared/base/assert.h"
#include "shared/config/config_private.h"

#include <stdio.h>
#include <string.h>

struct refused_property {
	const char *name;
	const char *reason;
};

static const struct refused_property refused[] = {
	{"enable.auto.commit", "offsets are committed when they are stored"},
	{"enable.auto.offset.store", "offsets are committed when they are stored"},
	{"auto.offset.reset", "reading starts where the replicas stand, and never jumps"},
	{"group.protocol", "the owners' group needs the classic protocol"},
	{"plugin.library.paths", "no foreign code is loaded"},
	{"key.serializer", "it is a Java client's; remove it"},
	{"value.serializer", "it is a Java client's; remove it"},
	{"key.deserializer", "it is a Java client's; remove it"},
	{"value.deserializer", "it is a Java client's; remove it"},
	{"interceptor.classes", "it is a Java client's; remove it"},
	{"metric.reporters", "it is a Java client's; remove it"},
	{"partitioner.class", "it is a Java client's; an index names its partitioner"},
	{"sasl.jaas.config", "it is a Java client's; give sasl.username and sasl.password"},
	{"sasl.login.callback.handler.class", "it is a Java client's; see librdkafka's sasl.oauthbearer.*"},
	{"sasl.client.callback.handler.class", "it is a Java client's; see librdkafka's sasl.oauthbearer.*"},
	{"ssl.truststore.location", "it is a Java client's; give ssl.ca.location, a PEM file"},
	{"ssl.truststore.password", "it is a Java client's; a PEM file in ssl.ca.location needs none"},
	{"ssl.truststore.type", "it is a Java client's; give ssl.ca.location, a PEM file"},
	{"ssl.keystore.type", "it is a Java client's; ssl.keystore.location is a PKCS#12 file here"},
};

bool kafka_is_secret(const char *name)
{
	return strstr(name, "password") != NULL || strstr(name, "secret") != NULL ||
	       strcmp(name, "ssl.key.pem") == 0 || strcmp(name, "sasl.oauthbearer.config") == 0;
}

static int add(struct config *config, const char *name, const char *value, const char *place,
               enum config_level level, struct error *error)
{
	size_t at = 0;

	while (at < config->kafka_len && strcmp(config->kafka[at].name, name) != 0)
		at++;
	if (at < config->kafka_len && config->kafka_levels[at] == level)
		return config_refuse(error, place, "`kafka.%.80s` is set twice (also at %.200s)", name,
		                     config->kafka[at].place);
	/* the properties file is read in the middle of the file that names it, and must not win over it */
	if (at < config->kafka_len && config->kafka_levels[at] > level)
		return 0;
	if (at == KAFKA_PROPERTIES_MAX)
		return config_refuse(error, place, "more than %d properties in `kafka`",
		                     KAFKA_PROPERTIES_MAX);
	config->kafka[at] = (struct config_property){name, value, place};
	config->kafka_levels[at] = level;
	if (at == config->kafka_len)
		config->kafka_len++;
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\f' || c == '\r';
}

/* Takes the escapes of Java's format out of `text` in place; false for one that is not supported. */
static bool unescape(char *text)
{
	char *out = text;

	for (; *text != 0; text++) {
		char c = *text;

		if (c == '\\') {
			c = *++text;
			if (c == 0 || c == 'u')
				return false;
			c = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'f' ? '\f' : c;
		}
		*out++ = c;
	}
	*out = 0;
	return true;
}

/* `line` without leading blanks, not empty, no comment. */
static int read_property(struct config *config, char *line, const char *place, struct error *error)
{
	char *end = line;
	char *value;

	while (*end != 0 && *end != '=' && *end != ':' && !is_blank(*end))
		end += end[0] == '\\' && end[1] != 0 ? 2 : 1;
	value = end;
	while (is_blank(*value))
		value++;
	if (*value == '=' || *value == ':')
		value++;
	while (is_blank(*value))
		value++;
	*end = 0;
	if (line[0] == 0 || !unescape(line) || !unescape(value))
		return config_refuse(error, place, "not a line of a properties file: expected name=value");
	return kafka_set(config, line, value, place, CONFIG_LEVEL_PROPERTIES, error);
}

/* Ends the line at `at`, joined with those behind it as backslashes say; returns the next one, or NULL. */
static char *end_line(char *at, int *lines)
{
	char *out = at;

	for (;;) {
		char c = *at++;

		if (c == 0 || c == '\n') {
			*lines += c == '\n';
			while (out[-1] == '\r')
				out--;
			*out = 0;
			return c == 0 ? NULL : at;
		}
		if (c == '\\' && (*at == '\n' || (*at == '\r' && at[1] == '\n'))) {
			at += *at == '\r' ? 2 : 1;
			*lines += 1;
			while (is_blank(*at))
				at++;
			continue;
		}
		*out++ = c;
		if (c == '\\' && *at != 0)
			*out++ = *at++;
	}
}

static int read_properties(struct config *config, const char *path, const char *place, struct error *error)
{
	struct slice text;
	int line = 1;
	int result = config_slurp(config, path, place, &text, error);
	char *at = (char *)(uintptr_t)text.ptr;

	while (result == 0 && at != NULL) {
		char here[600];
		char *next;
		int first = line;

		while (is_blank(*at))
			at++;
		if (*at == '#' || *at == '!') {
			next = strchr(at, '\n');
			line++;
			at = next == NULL ? NULL : next + 1;
			continue;
		}
		if (*at == 0 || *at == '\n') {
			line++;
			at = *at == 0 ? NULL : at + 1;
			continue;
		}
		next = end_line(at, &line);
		(void)snprintf(here, sizeof here, "%.500s:%d", path, first);
		result = read_property(config, at, config_copy(config, slice_string(here)), error);
		at = next;
	}
	return result;
}

int kafka_set(struct config *config, const char *name, const char *value, const char *place,
              enum config_level level, struct error *error)
{
	size_t len = strlen(name);

	if (strcmp(name, "properties_file") == 0 && level != CONFIG_LEVEL_PROPERTIES)
		return read_properties(config, value, place, error);
	if (len > 5 && strcmp(name + len - 5, "_file") == 0) {
		if (config_read_secret(config, value, place, &value, error) != 0)
			return error->code;
		name = config_copy(config, slice_of(name, len - 5));
	}
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		if (strcmp(name, refused[i].name) == 0)
			return config_refuse(error, place, "`kafka.%s` cannot be set: %s", name,
			                     refused[i].reason);
	return add(config, name, value, place, level, error);
}
