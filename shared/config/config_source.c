/* The list of sources: from YAML to rules in canonical form, one source a topic. */
#include "shared/base/assert.h"
#include "shared/config/config_yaml.h"
#include "shared/mapping/mapping.h"
#include "shared/meta/source.h"
#include "shared/meta/topic_uid.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULES_DEPTH_MAX 16
#define RULES_NAME_BYTES_MAX 64
#define MAPPING_BLOCK_BYTES (64U * 1024)

/* An entry of the list while its members are read. */
struct entry {
	const struct yaml_file *file;
	struct fy_node *node;
	struct config_source source; /* topic and index as they were written */
	const char *topics[CONFIG_SOURCES_MAX];
	size_t topics_len;
	const char *topic_places[CONFIG_SOURCES_MAX];
	struct buffer rules; /* "{…", without the closing brace */
};

typedef int read_member(struct entry *entry, struct fy_node *value, const char *place, struct error *error);

/* ---- values ---- */

static int read_topic(struct entry *entry, struct fy_node *value, const char *place, const char **topic,
                      struct error *error)
{
	if (yaml_read_scalar(entry->file, value, place, topic, error) != 0)
		return error->code;
	if (topic_name_is_valid(slice_string(*topic)))
		return 0;
	return config_refuse(error, yaml_place(entry->file, value, place),
	                     "`%.80s` is no topic's name: expected 1 to %d letters, digits, `.`, `_` and `-`",
	                     *topic, TOPIC_BYTES_MAX);
}

static int add_topic(struct entry *entry, struct fy_node *value, const char *place, struct error *error)
{
	if (entry->topics_len == CONFIG_SOURCES_MAX)
		return config_refuse(error, place, "more than %d topics", CONFIG_SOURCES_MAX);
	entry->topic_places[entry->topics_len] = yaml_place(entry->file, value, place);
	return read_topic(entry, value, place, &entry->topics[entry->topics_len++], error);
}

static int read_topics(struct entry *entry, struct fy_node *value, const char *place, struct error *error)
{
	struct fy_node *item;
	void *at = NULL;

	if (value == NULL || !fy_node_is_sequence(value))
		return config_refuse(error, place, "expected a list of topics");
	while ((item = fy_node_sequence_iterate(value, &at)) != NULL)
		if (add_topic(entry, item, place, error) != 0)
			return error->code;
	return entry->topics_len > 0 ? 0 : config_refuse(error, place, "expected at least one topic");
}

static int read_pattern(struct entry *entry, struct fy_node *value, const char *place, struct error *error)
{
	const char *text;
	regex_t compiled;

	if (yaml_read_scalar(entry->file, value, place, &text, error) != 0)
		return error->code;
	if (text[0] != '^' || text[1] == 0 || strlen(text) > TOPIC_BYTES_MAX)
		return config_refuse(
			error, place,
			"`%.80s` is no pattern of topics: expected `^` and at most %d characters", text,
			TOPIC_BYTES_MAX);
	if (regcomp(&compiled, text, REG_EXTENDED | REG_NOSUB) != 0)
		return config_refuse(error, place, "`%.80s` is no extended regular expression", text);
	regfree(&compiled);
	entry->source.pattern = text;
	return 0;
}

static int read_index(struct entry *entry, struct fy_node *value, const char *place, struct error *error)
{
	if (yaml_read_scalar(entry->file, value, place, &entry->source.index, error) != 0)
		return error->code;
	if (index_uid_is_valid(slice_string(entry->source.index)))
		return 0;
	return config_refuse(error, place,
	                     "`%.80s` is no index uid: expected 1 to %d letters, digits, `_` and `-`",
	                     entry->source.index, INDEX_UID_BYTES_MAX);
}

static int read_name(struct entry *entry, struct fy_node *value, const char *place, struct error *error)
{
	return read_topic(entry, value, place, &entry->source.name, error);
}

static int read_dead_letter_topic(struct entry *entry, struct fy_node *value, const char *place,
                                  struct error *error)
{
	return read_topic(entry, value, place, &entry->source.dead_letter_topic, error);
}

static int read_partitions(struct entry *entry, struct fy_node *value, const char *place, struct error *error)
{
	const char *text;
	char *end;

	if (yaml_read_scalar(entry->file, value, place, &text, error) != 0)
		return error->code;
	entry->source.partitions = strtol(text, &end, 10);
	if (end != text && *end == 0 && entry->source.partitions >= 1 &&
	    entry->source.partitions <= INDEX_PARTITIONS_MAX)
		return 0;
	return config_refuse(error, place, "`partitions` is `%.40s`, expected a number from 1 to %d", text,
	                     INDEX_PARTITIONS_MAX);
}

/* Members that are not rules. `primary_key` is one: the index's and the rules' are the same. */
static const struct {
	const char *name;
	read_member *read;
} members[] = {
	{"topic", add_topic},
	{"topics", read_topics},
	{"pattern", read_pattern},
	{"index", read_index},
	{"name", read_name},
	{"dead_letter_topic", read_dead_letter_topic},
	{"partitions", read_partitions},
};

static const char *const rule_names[] = {"format",     "op",          "primary_key", "id",     "key",
                                         "tombstones", "ignore_when", "delete_when", "where",  "delete_types",
                                         "include",    "exclude",     "mask",        "rename", "flatten"};

#define MEMBERS (sizeof members / sizeof *members)
#define RULE_NAMES (sizeof rule_names / sizeof *rule_names)

/* ---- rules ---- */

static bool matches(const char *text, const char *pattern)
{
	regex_t compiled;
	int rc = regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB);

	ASSERT(rc == 0);
	rc = regexec(&compiled, text, 0, NULL, 0);
	regfree(&compiled);
	return rc == 0;
}

/* What YAML 1.2 takes for a number, a truth or nothing is one; JSON has fewer ways to write numbers. */
static int append_plain(const char *text, const char *place, struct buffer *json, struct error *error)
{
	if (matches(text, "^(true|True|TRUE)$"))
		buffer_append_string(json, "true");
	else if (matches(text, "^(false|False|FALSE)$"))
		buffer_append_string(json, "false");
	else if (matches(text, "^-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?$"))
		buffer_append_string(json, text);
	else if (matches(text, "^[-+]?(\\.[0-9]+|[0-9]+(\\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^0o[0-7]+$|^0x[0-9a-"
	                       "fA-F]+$|"
	                       "^[-+]?\\.(inf|Inf|INF)$|^\\.(nan|NaN|NAN)$"))
		return config_refuse(
			error, place,
			"`%.80s` is a number that JSON writes otherwise: quote it if it is a text", text);
	else
		json_append_string(json, slice_string(text));
	return 0;
}

static int append_json(const struct entry *entry, struct fy_node *node, const char *place, size_t depth,
                       struct buffer *json, struct error *error);

static int append_list(const struct entry *entry, struct fy_node *node, const char *place, size_t depth,
                       struct buffer *json, struct error *error)
{
	struct fy_node *item;
	void *at = NULL;
	bool first = true;

	buffer_append_string(json, "[");
	while ((item = fy_node_sequence_iterate(node, &at)) != NULL) {
		buffer_append_string(json, first ? "" : ",");
		first = false;
		if (append_json(entry, item, place, depth + 1, json, error) != 0)
			return error->code;
	}
	buffer_append_string(json, "]");
	return 0;
}

static int append_object(const struct entry *entry, struct fy_node *node, size_t depth, struct buffer *json,
                         struct error *error)
{
	struct fy_node_pair *pair;
	void *at = NULL;
	bool first = true;

	buffer_append_string(json, "{");
	while ((pair = fy_node_mapping_iterate(node, &at)) != NULL) {
		const char *name;
		const char *place;

		if (yaml_read_key(entry->file, pair, &name, &place, error) != 0)
			return error->code;
		buffer_append_string(json, first ? "" : ",");
		first = false;
		json_append_string(json, slice_string(name));
		buffer_append_string(json, ":");
		if (append_json(entry, fy_node_pair_value(pair), place, depth + 1, json, error) != 0)
			return error->code;
	}
	buffer_append_string(json, "}");
	return 0;
}

static int append_json(const struct entry *entry, struct fy_node *node, const char *place, size_t depth,
                       struct buffer *json, struct error *error)
{
	const char *text;

	if (depth > RULES_DEPTH_MAX)
		return config_refuse(error, place, "nested deeper than %d", RULES_DEPTH_MAX);
	if (yaml_is_null(node)) {
		buffer_append_string(json, "null");
		return 0;
	}
	if (fy_node_is_sequence(node))
		return append_list(entry, node, place, depth, json, error);
	if (fy_node_is_mapping(node))
		return append_object(entry, node, depth, json, error);
	place = yaml_place(entry->file, node, place);
	if (yaml_read_scalar(entry->file, node, place, &text, error) != 0)
		return error->code;
	if (fy_node_get_style(node) == FYNS_PLAIN)
		return append_plain(text, place, json, error);
	json_append_string(json, slice_string(text));
	return 0;
}

const char *source_member(size_t i)
{
	if (i < MEMBERS)
		return members[i].name;
	return i < MEMBERS + RULE_NAMES ? rule_names[i - MEMBERS] : NULL;
}

static int refuse_member(const char *name, const char *place, struct error *error)
{
	const char *names[MEMBERS + RULE_NAMES + 1];
	const char *near;

	for (size_t i = 0; i <= MEMBERS + RULE_NAMES; i++)
		names[i] = source_member(i);
	near = nearest_name(name, names);
	return config_refuse(error, place, "unknown key `%.80s` in a source%s%s%s", name,
	                     near == NULL ? "" : " (did you mean `", near == NULL ? "" : near,
	                     near == NULL ? "" : "`?)");
}

static int read_pair(struct entry *entry, struct fy_node_pair *pair, struct error *error)
{
	struct fy_node *value = fy_node_pair_value(pair);
	const char *name;
	const char *place;

	if (yaml_read_key(entry->file, pair, &name, &place, error) != 0)
		return error->code;
	for (size_t i = 0; i < MEMBERS; i++)
		if (strcmp(name, members[i].name) == 0)
			return members[i].read(entry, value, yaml_place(entry->file, value, place), error);
	for (size_t i = 0; i < RULE_NAMES; i++)
		if (strcmp(name, rule_names[i]) == 0) {
			buffer_printf(&entry->rules, "%s\"%s\":", entry->rules.len > 1 ? "," : "", name);
			return append_json(entry, value, place, 0, &entry->rules, error);
		}
	return refuse_member(name, place, error);
}

/* Where the member stands that the mapping's refusal names: "where[1].op: …". */
static const char *place_of_refusal(const struct entry *entry, const char *text)
{
	const char *place = entry->source.place;
	struct fy_node *node = entry->node;

	while (node != NULL && *text != 0 && *text != ':' && *text != ' ') {
		char name[RULES_NAME_BYTES_MAX];
		size_t len = strcspn(text, ".[]: \"");
		struct fy_node *next = NULL;

		if (len == 0) {
			text++;
			continue;
		}
		(void)snprintf(name, sizeof name, "%.*s", (int)len, text);
		if (fy_node_is_sequence(node)) {
			next = fy_node_sequence_get_by_index(node, (int)strtol(name, NULL, 10));
		} else if (fy_node_is_mapping(node)) {
			struct fy_node_pair *pair = fy_node_mapping_lookup_pair_by_string(node, name, FY_NT);

			next = pair == NULL ? NULL : fy_node_pair_value(pair);
			place = pair == NULL ? place : yaml_place(entry->file, fy_node_pair_key(pair), place);
		}
		if (next != NULL)
			place = yaml_place(entry->file, next, place);
		node = next;
		text += len;
	}
	return place;
}

static int check_rules(struct entry *entry, struct error *error)
{
	struct rules limits = rules_default();
	struct mapping *mapping = NULL;
	struct error trouble = {0};
	struct slice canonical;
	struct arena arena;
	yyjson_doc *doc;
	int result = 0;

	buffer_append_string(&entry->rules, "}");
	ASSERT(!buffer_failed(&entry->rules));
	arena_init(&arena, MAPPING_BLOCK_BYTES);
	if (mapping_parse(buffer_slice(&entry->rules), &limits, &arena, &mapping, &trouble) != 0) {
		result = config_refuse(error, place_of_refusal(entry, trouble.text), "%s", trouble.text);
	} else {
		struct slice primary_key;

		canonical = mapping_canonical(mapping);
		entry->source.rules = config_copy(entry->file->config, canonical);
		result = json_parse(canonical, JSON_DEPTH_MAX, &doc, error);
		ASSERT(result == 0 && json_get_string(yyjson_doc_get_root(doc), "primary_key", &primary_key));
		entry->source.primary_key = config_copy(entry->file->config, primary_key);
		yyjson_doc_free(doc);
	}
	arena_deinit(&arena);
	return result;
}

/* ---- sources ---- */

static bool equal(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* Two sources of one index: what they may not differ in, and what they must. */
static int check_pair(const struct config_source *a, const struct config_source *b, struct error *error)
{
	if (!equal(a->index, b->index))
		return 0;
	if (equal(a->topic, b->topic))
		return config_refuse(error, b->place, "`%s` is imported into index `%s` twice", b->topic,
		                     b->index);
	if (strcmp(a->name, b->name) == 0)
		return config_refuse(error, b->place,
		                     "index `%s` has two sources with the name `%s`: give each a `name`",
		                     b->index, b->name);
	if (strcmp(a->primary_key, b->primary_key) != 0)
		return config_refuse(error, b->place, "index `%s` cannot have primary keys `%s` and `%s`",
		                     b->index, a->primary_key, b->primary_key);
	if (a->partitions != 0 && b->partitions != 0 && a->partitions != b->partitions)
		return config_refuse(error, b->place, "index `%s` cannot have %lld and %lld partitions",
		                     b->index, (long long)a->partitions, (long long)b->partitions);
	return 0;
}

static int add_source(struct config *config, const struct config_source *source, bool derived,
                      struct error *error)
{
	if (config->sources_len == CONFIG_SOURCES_MAX)
		return config_refuse(error, source->place, "more than %d sources", CONFIG_SOURCES_MAX);
	for (size_t i = 0; i < config->sources_len; i++) {
		const struct config_source *other = &config->sources[i];

		if (derived && config->sources_derived[i] && equal(other->index, source->index) &&
		    !equal(other->topic, source->topic))
			return config_refuse(error, source->place,
			                     "`%s` and `%s` would both be index `%s`: give each an `index`",
			                     other->topic, source->topic, source->index);
		if (check_pair(other, source, error) != 0)
			return error->code;
	}
	config->sources_derived[config->sources_len] = derived;
	config->sources[config->sources_len++] = *source;
	return 0;
}

static int add_of_topic(const struct entry *entry, size_t i, struct error *error)
{
	struct config *config = entry->file->config;
	struct config_source source = entry->source;
	char uid[INDEX_UID_BYTES_MAX + 1];

	source.topic = entry->topics[i];
	source.place = entry->topic_places[i];
	if (source.name == NULL)
		source.name = source.topic;
	if (source.index == NULL && !topic_uid_print(source.topic, uid))
		return config_refuse(error, source.place,
		                     "`%.80s` is too long for an index uid: give an `index`", source.topic);
	if (source.index == NULL)
		source.index = config_copy(config, slice_string(uid));
	return add_source(config, &source, entry->source.index == NULL, error);
}

static int add_entry(struct entry *entry, struct error *error)
{
	struct config_source *source = &entry->source;

	if ((entry->topics_len > 0) == (source->pattern != NULL))
		return config_refuse(error, source->place,
		                     "a source needs one of `topic`, `topics` and `pattern`");
	if (source->name != NULL &&
	    (entry->topics_len > 1 || (source->pattern != NULL && source->index == NULL)))
		return config_refuse(error, source->place,
		                     "several sources cannot have the one name `%s`: leave it away",
		                     source->name);
	if (check_rules(entry, error) != 0)
		return error->code;
	for (size_t i = 0; i < entry->topics_len; i++)
		if (add_of_topic(entry, i, error) != 0)
			return error->code;
	if (source->pattern == NULL)
		return 0;
	if (source->name == NULL)
		source->name = source->index == NULL ? "" : source->index;
	return add_source(entry->file->config, source, false, error);
}

static int read_entry(struct entry *entry, struct error *error)
{
	struct fy_node_pair *pair;
	void *at = NULL;
	bool first = true;

	if (!fy_node_is_mapping(entry->node))
		return config_refuse(error, yaml_place(entry->file, entry->node, entry->source.place),
		                     "expected {topic: …, index: …}");
	while ((pair = fy_node_mapping_iterate(entry->node, &at)) != NULL) {
		if (first)
			entry->source.place =
				yaml_place(entry->file, fy_node_pair_key(pair), entry->source.place);
		first = false;
		if (read_pair(entry, pair, error) != 0)
			return error->code;
	}
	return add_entry(entry, error);
}

int yaml_read_sources(const struct yaml_file *file, struct fy_node *list, const char *place,
                      struct error *error)
{
	struct fy_node *item;
	void *at = NULL;
	int result = 0;

	if (yaml_is_null(list))
		return 0;
	if (!fy_node_is_sequence(list))
		return config_refuse(error, place, "expected a list of sources");
	while (result == 0 && (item = fy_node_sequence_iterate(list, &at)) != NULL) {
		struct entry *entry = calloc(1, sizeof *entry);

		ASSERT(entry != NULL);
		*entry = (struct entry){.file = file, .node = item, .source = {.place = place}};
		buffer_init(&entry->rules, CONFIG_FILE_BYTES_MAX);
		buffer_append_string(&entry->rules, "{");
		result = read_entry(entry, error);
		buffer_deinit(&entry->rules);
		free(entry);
	}
	return result;
}

void sources_finish(struct config *config)
{
	for (size_t i = 0; i < config->sources_len; i++)
		for (size_t k = 0; k < config->sources_len && config->sources[i].partitions == 0; k++)
			if (equal(config->sources[i].index, config->sources[k].index))
				config->sources[i].partitions = config->sources[k].partitions;
	for (size_t i = 0; i < config->sources_len; i++)
		if (config->sources[i].partitions == 0)
			config->sources[i].partitions = config_int(config, "index_defaults.partitions");
}

static void print_member(struct buffer *buffer, const char *name, const char *text)
{
	if (text == NULL || text[0] == 0)
		return;
	buffer_printf(buffer, "\"%s\": ", name);
	json_append_string(buffer, slice_string(text));
	buffer_append_string(buffer, ", ");
}

void sources_print(const struct config *config, struct buffer *buffer)
{
	if (config->sources_len > 0)
		buffer_append_string(buffer, "sources:\n");
	for (size_t i = 0; i < config->sources_len; i++) {
		const struct config_source *source = &config->sources[i];
		bool named = source->index != NULL;

		buffer_append_string(buffer, "  - {");
		print_member(buffer, "topic", source->topic);
		print_member(buffer, "pattern", source->pattern);
		print_member(buffer, "index", source->index);
		print_member(buffer, "name", named ? source->name : NULL);
		print_member(buffer, "dead_letter_topic", source->dead_letter_topic);
		/* the rules are an object: its members follow */
		buffer_printf(buffer, "\"partitions\": %lld, %s\n", (long long)source->partitions,
		              source->rules + 1);
	}
}
