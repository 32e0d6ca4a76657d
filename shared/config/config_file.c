/* The YAML file: its sections of settings, librdkafka properties and nodes, each mistake with its place. */
#include "shared/base/assert.h"
#include "shared/config/config_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 128

static const char *place_at(const struct yaml_file *file, int line, int column)
{
	char place[600];

	(void)snprintf(place, sizeof place, "%.500s:%d:%d", file->name, line, column);
	return config_copy(file->config, slice_string(place));
}

/* Of a scalar; of anything else where its key stands. */
const char *yaml_place(const struct yaml_file *file, struct fy_node *node, const char *otherwise)
{
	struct fy_token *token =
		node != NULL && fy_node_is_scalar(node) ? fy_node_get_scalar_token(node) : NULL;
	const struct fy_mark *mark = token == NULL ? NULL : fy_token_start_mark(token);

	/* libfyaml counts from 0 */
	return mark == NULL ? otherwise : place_at(file, mark->line + 1, mark->column + 1);
}

/* An absent value is a scalar without characters. */
bool yaml_is_null(struct fy_node *node)
{
	size_t len = 0;
	const char *text;

	if (node == NULL)
		return true;
	if (!fy_node_is_scalar(node) || fy_node_is_alias(node))
		return false;
	text = fy_node_get_scalar(node, &len);
	if (fy_node_get_style(node) != FYNS_PLAIN)
		return false;
	return len == 0 || (len == 1 && text[0] == '~') || (len == 4 && memcmp(text, "null", 4) == 0);
}

/* Puts ${NAME} and ${NAME:-default} of `text` into `out`. */
static int expand(const char *text, size_t len, const char *place, struct buffer *out, struct error *error)
{
	const char *end = text + len;

	while (text < end) {
		const char *close = text[0] == '$' && text + 1 < end && text[1] == '{'
		                            ? memchr(text, '}', (size_t)(end - text))
		                            : NULL;
		char name[NAME_BYTES_MAX];
		const char *fallback;
		const char *value;

		if (close == NULL) {
			buffer_put_u8(out, (uint8_t)*text++);
			continue;
		}
		(void)snprintf(name, sizeof name, "%.*s", (int)(close - text) - 2, text + 2);
		fallback = strstr(name, ":-");
		if (fallback != NULL)
			name[fallback - name] = 0;
		value = getenv(name);
		if (value == NULL || (value[0] == 0 && fallback != NULL))
			value = fallback == NULL ? NULL : fallback + 2;
		if (value == NULL)
			return config_refuse(error, place, "the environment has no `%s`", name);
		buffer_append_string(out, value);
		text = close + 1;
	}
	return 0;
}

int yaml_read_scalar(const struct yaml_file *file, struct fy_node *node, const char *place, const char **text,
                     struct error *error)
{
	struct buffer out;
	const char *raw;
	size_t len = 0;

	if (node == NULL || yaml_is_null(node))
		return config_refuse(error, place, "a value is missing");
	if (!fy_node_is_scalar(node) || fy_node_is_alias(node))
		return config_refuse(error, place, "expected a single value");
	raw = fy_node_get_scalar(node, &len);
	if (memchr(raw, 0, len) != NULL)
		return config_refuse(error, place, "a NUL in a value");
	buffer_init(&out, CONFIG_FILE_BYTES_MAX);
	if (expand(raw, len, place, &out, error) == 0) {
		ASSERT(!buffer_failed(&out));
		*text = config_copy(file->config, buffer_slice(&out));
		error->code = 0;
	}
	buffer_deinit(&out);
	return error->code;
}

int yaml_read_key(const struct yaml_file *file, struct fy_node_pair *pair, const char **name,
                  const char **place, struct error *error)
{
	struct fy_node *key = fy_node_pair_key(pair);
	const char *raw;
	size_t len = 0;

	*place = yaml_place(file, key, file->name);
	if (key == NULL || yaml_is_null(key) || !fy_node_is_scalar(key) || fy_node_is_alias(key))
		return config_refuse(error, *place, "expected a name");
	raw = fy_node_get_scalar(key, &len);
	if (len >= NAME_BYTES_MAX)
		return config_refuse(error, *place, "a name of %zu characters", len);
	*name = config_copy(file->config, slice_of(raw, len));
	return 0;
}

typedef int read_member(const struct yaml_file *file, const char *section, struct fy_node_pair *pair,
                        struct error *error);

/* Calls `read` for each member of a mapping. */
static int read_mapping(const struct yaml_file *file, const char *section, struct fy_node *node,
                        read_member *read, struct error *error)
{
	struct fy_node_pair *pair;
	void *at = NULL;

	if (yaml_is_null(node))
		return 0;
	if (!fy_node_is_mapping(node))
		return config_refuse(error, yaml_place(file, node, file->name), "expected a mapping in %s",
		                     section[0] == 0 ? "the file" : section);
	while ((pair = fy_node_mapping_iterate(node, &at)) != NULL)
		if (read(file, section, pair, error) != 0)
			return error->code;
	return 0;
}

static int read_kafka(const struct yaml_file *file, const char *section, struct fy_node_pair *pair,
                      struct error *error)
{
	const char *name;
	const char *place;
	const char *text;

	(void)section;
	if (yaml_read_key(file, pair, &name, &place, error) != 0 ||
	    yaml_read_scalar(file, fy_node_pair_value(pair), place, &text, error) != 0)
		return error->code;
	return kafka_set(file->config, name, text, place, CONFIG_LEVEL_FILE, error);
}

static bool is_node_url(const char *url)
{
	size_t scheme = strncmp(url, "http://", 7) == 0 ? 7 : strncmp(url, "https://", 8) == 0 ? 8 : 0;
	const char *colon = scheme == 0 ? NULL : strrchr(url + scheme, ':');
	size_t host = colon == NULL ? 0 : (size_t)(colon - url) - scheme;

	return host > 0 && strlen(url) < 256 && strcspn(url + scheme, "/ ?#@") == strlen(url + scheme) &&
	       colon[1] != 0 && strspn(colon + 1, "0123456789") == strlen(colon + 1);
}

static bool is_node_id(const char *id)
{
	size_t len = strlen(id);

	return len >= 1 && len <= 63 &&
	       strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == len;
}

static int add_node(const struct yaml_file *file, const struct config_node *node, const char *place,
                    struct error *error)
{
	struct config *config = file->config;

	if (node->id == NULL || node->url == NULL)
		return config_refuse(error, place, "a node of `%s` needs `id` and `url`", node->group);
	if (config->nodes_len == CONFIG_NODES_MAX)
		return config_refuse(error, place, "more than %d nodes", CONFIG_NODES_MAX);
	for (size_t i = 0; i < config->nodes_len; i++)
		if (strcmp(config->nodes[i].id, node->id) == 0 ||
		    strcmp(config->nodes[i].url, node->url) == 0)
			return config_refuse(error, place, "node `%s` has the id or url of another one",
			                     node->id);
	config->nodes[config->nodes_len++] = *node;
	return 0;
}

static int read_node(const struct yaml_file *file, const char *group, struct fy_node *item, const char *place,
                     struct error *error)
{
	struct config_node node = {.group = group};
	struct fy_node_pair *pair;
	void *at = NULL;

	if (!fy_node_is_mapping(item))
		return config_refuse(error, yaml_place(file, item, place), "expected {id: …, url: …}");
	while ((pair = fy_node_mapping_iterate(item, &at)) != NULL) {
		const char *name;
		const char *text;

		if (yaml_read_key(file, pair, &name, &place, error) != 0 ||
		    yaml_read_scalar(file, fy_node_pair_value(pair), place, &text, error) != 0)
			return error->code;
		if (strcmp(name, "id") == 0 && is_node_id(text)) {
			node.id = text;
		} else if (strcmp(name, "id") == 0) {
			return config_refuse(
				error, place,
				"`%.80s` is no node id: expected 1 to 63 letters, digits, `_` and `-`", text);
		} else if (strcmp(name, "url") == 0) {
			size_t len = strlen(text);

			while (len > 0 && text[len - 1] == '/')
				len--;
			node.url = config_copy(file->config, slice_of(text, len));
			if (!is_node_url(node.url))
				return config_refuse(error, place,
				                     "`%.80s` is no node's url: expected http://host:port",
				                     text);
		} else {
			return config_refuse(error, place,
			                     "unknown key `%s` in a node (expected `id` and `url`)", name);
		}
	}
	return add_node(file, &node, place, error);
}

static int read_group(const struct yaml_file *file, const char *section, struct fy_node_pair *pair,
                      struct error *error)
{
	struct fy_node *list = fy_node_pair_value(pair);
	struct fy_node *item;
	const char *group;
	const char *place;
	void *at = NULL;

	(void)section;
	if (yaml_read_key(file, pair, &group, &place, error) != 0)
		return error->code;
	if (!is_node_id(group))
		return config_refuse(
			error, place,
			"`%.80s` is no group's name: expected 1 to 63 letters, digits, `_` and `-`", group);
	if (list == NULL || !fy_node_is_sequence(list))
		return config_refuse(error, place, "expected a list of nodes in `topology.groups.%s`", group);
	while ((item = fy_node_sequence_iterate(list, &at)) != NULL)
		if (read_node(file, group, item, place, error) != 0)
			return error->code;
	return 0;
}

static int read_setting(const struct yaml_file *file, const char *section, struct fy_node_pair *pair,
                        struct error *error)
{
	const char *name;
	const char *place;
	const char *text;
	char path[2 * NAME_BYTES_MAX];

	if (yaml_read_key(file, pair, &name, &place, error) != 0)
		return error->code;
	if (strcmp(section, "topology") == 0 && strcmp(name, "groups") == 0)
		return read_mapping(file, "topology.groups", fy_node_pair_value(pair), read_group, error);
	(void)snprintf(path, sizeof path, "%s%s%s", section, section[0] == 0 ? "" : ".", name);
	/* first, because a key that nobody knows is the likelier mistake */
	if (setting_find(path) < 0 && strlen(name) > 5 && strcmp(name + strlen(name) - 5, "_file") != 0)
		return setting_set(file->config, path, "", place, CONFIG_LEVEL_FILE, error);
	if (yaml_read_scalar(file, fy_node_pair_value(pair), place, &text, error) != 0)
		return error->code;
	return setting_set(file->config, path, text, place, CONFIG_LEVEL_FILE, error);
}

static int refuse_section(const char *name, const char *place, struct error *error)
{
	static const char *const names[] = {"cluster",   "kafka",   "topics", "auth",  "index_defaults",
	                                    "topology",  "sources", "ingest", "shard", "query",
	                                    "rebalance", "log",     NULL};
	const char *near = nearest_name(name, names);

	return config_refuse(error, place, "unknown key `%s`%s%s%s", name,
	                     near == NULL ? "" : " (did you mean `", near == NULL ? "" : near,
	                     near == NULL ? "" : "`?)");
}

static int read_section(const struct yaml_file *file, const char *section, struct fy_node_pair *pair,
                        struct error *error)
{
	struct fy_node *value = fy_node_pair_value(pair);
	const char *name;
	const char *place;

	if (yaml_read_key(file, pair, &name, &place, error) != 0)
		return error->code;
	if (setting_find(name) >= 0)
		return read_setting(file, section, pair, error);
	if (strcmp(name, "kafka") == 0)
		return read_mapping(file, name, value, read_kafka, error);
	if (setting_is_section(name))
		return read_mapping(file, name, value, read_setting, error);
	if (strcmp(name, "sources") == 0)
		return yaml_read_sources(file, value, place, error);
	return refuse_section(name, place, error);
}

/* True if there are only blanks and comments, which libfyaml takes for an error. */
static bool is_empty(const char *text)
{
	for (;;) {
		text += strspn(text, " \t\r\n");
		if (*text != '#')
			return *text == 0;
		text += strcspn(text, "\n");
	}
}

/* The first thing that libfyaml had to say. */
static int refuse_syntax(const struct yaml_file *file, struct fy_diag *diag, struct error *error)
{
	void *at = NULL;
	struct fy_diag_error *trouble = fy_diag_errors_iterate(diag, &at);

	if (trouble == NULL)
		return config_refuse(error, file->name, "not YAML 1.2");
	return config_refuse(error, place_at(file, trouble->line, trouble->column), "%s", trouble->msg);
}

int config_read_file(struct config *config, const char *path, struct error *error)
{
	struct yaml_file file = {config, path};
	struct fy_diag_cfg diag_cfg;
	struct fy_parse_cfg cfg = {0};
	struct fy_document *document;
	struct slice text;
	int result;

	if (config_slurp(config, path, path, &text, error) != 0)
		return error->code;
	if (is_empty((const char *)text.ptr))
		return 0;
	fy_diag_cfg_default(&diag_cfg);
	diag_cfg.level = FYET_ERROR;
	cfg.diag = fy_diag_create(&diag_cfg);
	ASSERT(cfg.diag != NULL);
	fy_diag_set_collect_errors(cfg.diag, true);
	document = fy_document_build_from_string(&cfg, (const char *)text.ptr, text.len);
	if (document == NULL)
		result = refuse_syntax(&file, cfg.diag, error);
	else
		result = read_mapping(&file, "", fy_document_root(document), read_section, error);
	fy_document_destroy(document);
	fy_diag_destroy(cfg.diag);
	return result;
}
