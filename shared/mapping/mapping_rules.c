#include "shared/mapping/mapping_rules_private.h"

#include <stdarg.h>
#include <stdio.h>

#define SEPARATOR_BYTES_MAX 16

int mapping_rules_refuse(struct mapping_rules *rules, const char *format, ...)
{
	char why[256];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(why, sizeof why, format, args);
	va_end(args);
	return error_set(rules->error, ERROR_FORMAT, ERROR_ACTION_REJECT, "%s: %s",
	                 rules->path[0] ? rules->path : "rules", why);
}

int mapping_rules_refuse_memory(struct mapping_rules *rules)
{
	return error_memory(rules->error, sizeof(struct mapping));
}

/* As mapping_path_parse and mapping_id_parse say it. */
int mapping_rules_refuse_path(struct mapping_rules *rules, const char *wrong)
{
	return wrong == mapping_out_of_memory ? mapping_rules_refuse_memory(rules)
	                                      : mapping_rules_refuse(rules, "%s", wrong);
}

void mapping_rules_set_path(struct mapping_rules *rules, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(rules->path, sizeof rules->path, format, args);
	va_end(args);
}

int mapping_rules_shown(struct slice text)
{
	return (int)(text.len < MAPPING_SHOWN_MAX ? text.len : MAPPING_SHOWN_MAX);
}

/* --- scalars --- */

int mapping_rules_choose(struct mapping_rules *rules, yyjson_val *value, struct mapping_choices choices,
                         int *chosen)
{
	struct slice text = json_string(value);
	char known[160] = "";
	size_t len = 0;

	for (size_t i = 0; i < choices.len; i++) {
		if (text.ptr != NULL && slice_equal(text, slice_string(choices.items[i].name))) {
			*chosen = choices.items[i].value;
			return 0;
		}
		len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", i > 0 ? ", " : "",
		                        choices.items[i].name);
	}
	if (text.ptr == NULL)
		return mapping_rules_refuse(rules, "a string is expected, one of: %s", known);
	return mapping_rules_refuse(rules, "unknown value \"%.*s\"; known: %s", mapping_rules_shown(text),
	                            (const char *)text.ptr, known);
}

static int read_format(struct mapping_rules *rules, yyjson_val *value)
{
	struct mapping_choice choices[] = {
		{mapping_format_name(MAPPING_FORMAT_JSON), MAPPING_FORMAT_JSON},
		{mapping_format_name(MAPPING_FORMAT_CLOUDEVENTS), MAPPING_FORMAT_CLOUDEVENTS},
		{mapping_format_name(MAPPING_FORMAT_CONNECT_JSON), MAPPING_FORMAT_CONNECT_JSON},
	};
	int chosen = 0;
	int rc = mapping_rules_choose(
		rules, value, (struct mapping_choices){choices, sizeof choices / sizeof *choices}, &chosen);

	if (rc == 0)
		rules->mapping->format = (enum mapping_format)chosen;
	return rc;
}

static int read_op(struct mapping_rules *rules, yyjson_val *value)
{
	struct mapping_choice choices[MAPPING_OP_DELETE];
	int chosen = 0;
	int rc;

	for (int op = MAPPING_OP_PUT; op <= MAPPING_OP_DELETE; op++)
		choices[op - 1] = (struct mapping_choice){mapping_op_name((enum mapping_op)op), op};
	rc = mapping_rules_choose(rules, value, (struct mapping_choices){choices, MAPPING_OP_DELETE},
	                          &chosen);
	if (rc == 0)
		rules->mapping->op = (enum mapping_op)chosen;
	return rc;
}

static int read_key(struct mapping_rules *rules, yyjson_val *value)
{
	static const struct mapping_choice choices[] = {{"text", 0}, {"json", 1}};
	int chosen = 0;
	int rc = mapping_rules_choose(rules, value, (struct mapping_choices){choices, 2}, &chosen);

	rules->key_given = true;
	rules->mapping->key_is_json = chosen == 1;
	return rc;
}

static int read_tombstones(struct mapping_rules *rules, yyjson_val *value)
{
	static const struct mapping_choice choices[] = {{"delete", 0}, {"ignore", 1}};
	int chosen = 0;
	int rc = mapping_rules_choose(rules, value, (struct mapping_choices){choices, 2}, &chosen);

	rules->mapping->ignores_tombstones = chosen == 1;
	return rc;
}

static int read_text(struct mapping_rules *rules, yyjson_val *value, size_t len_max, struct slice *text)
{
	if (!yyjson_is_str(value) || yyjson_get_len(value) == 0 || yyjson_get_len(value) > len_max)
		return mapping_rules_refuse(rules, "a string of 1 to %zu bytes is expected", len_max);
	return arena_copy(rules->arena, json_string(value), text) ? 0 : mapping_rules_refuse_memory(rules);
}

static int read_primary_key(struct mapping_rules *rules, yyjson_val *value)
{
	return read_text(rules, value, RECORD_ID_BYTES_MAX, &rules->mapping->primary_key);
}

static int read_flatten(struct mapping_rules *rules, yyjson_val *value)
{
	return read_text(rules, value, SEPARATOR_BYTES_MAX, &rules->mapping->separator);
}

static int read_id(struct mapping_rules *rules, yyjson_val *value)
{
	struct mapping *mapping = rules->mapping;
	struct slice text;
	const char *wrong;
	int rc = read_text(rules, value, MAPPING_RULES_BYTES_MAX, &text);

	if (rc < 0)
		return rc;
	wrong = mapping_id_parse(text, rules->arena, &mapping->id, &mapping->id_len);
	return wrong != NULL ? mapping_rules_refuse_path(rules, wrong) : 0;
}

/* --- lists --- */

/* An array or object of 1 to MAPPING_LIST_MAX entries, for which the texts get room. */
int mapping_rules_begin_list(struct mapping_rules *rules, yyjson_val *value, bool is_object,
                             struct mapping_texts *texts)
{
	size_t len = yyjson_is_obj(value) ? yyjson_obj_size(value) : yyjson_arr_size(value);

	if (is_object ? !yyjson_is_obj(value) : !yyjson_is_arr(value))
		return mapping_rules_refuse(rules, "%s is expected", is_object ? "an object" : "an array");
	if (len == 0 || len > MAPPING_LIST_MAX)
		return mapping_rules_refuse(rules, "has %zu entries; 1 to %d are allowed", len,
		                            MAPPING_LIST_MAX);
	texts->items = arena_alloc(rules->arena, len * sizeof *texts->items);
	return texts->items != NULL ? 0 : mapping_rules_refuse_memory(rules);
}

/* Takes rules->text as an entry; no two may say the same. */
int mapping_rules_add_text(struct mapping_rules *rules, struct mapping_texts *texts)
{
	struct slice text;

	for (size_t i = 0; i < texts->len; i++)
		if (slice_equal(texts->items[i], buffer_slice(&rules->text)))
			return mapping_rules_refuse(rules, "says the same as an entry before it");
	if (buffer_failed(&rules->text) || !arena_copy(rules->arena, buffer_slice(&rules->text), &text))
		return mapping_rules_refuse_memory(rules);
	texts->items[texts->len++] = text;
	return 0;
}

/* A path as a JSON string, the one way to write it. */
void mapping_rules_append_path(struct buffer *buffer, const struct mapping_path *path)
{
	struct buffer text;

	buffer_init(&text, 2 * MAPPING_RULES_BYTES_MAX);
	mapping_path_append(&text, path, false);
	json_append_string(buffer, buffer_slice(&text));
	buffer->failed = buffer->failed || buffer_failed(&text);
	buffer_deinit(&text);
}

static int read_delete_types(struct mapping_rules *rules, yyjson_val *value)
{
	struct mapping *mapping = rules->mapping;
	struct mapping_texts *texts = &mapping->texts[MAPPING_LIST_DELETE_TYPES];
	int rc = mapping_rules_begin_list(rules, value, false, texts);
	yyjson_val *entry;
	size_t at;
	size_t count;

	if (rc < 0)
		return rc;
	mapping->delete_types = arena_alloc(rules->arena, yyjson_arr_size(value) * sizeof(struct slice));
	if (mapping->delete_types == NULL)
		return mapping_rules_refuse_memory(rules);
	yyjson_arr_foreach(value, at, count, entry)
	{
		mapping_rules_set_path(rules, "delete_types[%zu]", at);
		rc = read_text(rules, entry, MAPPING_RULES_BYTES_MAX, &mapping->delete_types[at]);
		if (rc == 0 && slice_equal(mapping->delete_types[at], slice_string("*")))
			rc = mapping_rules_refuse(
				rules, "every event would delete; set `op` to delete if that is meant");
		buffer_clear(&rules->text);
		if (rc == 0) {
			json_append_string(&rules->text, mapping->delete_types[at]);
			rc = mapping_rules_add_text(rules, texts);
		}
		if (rc < 0)
			return rc;
	}
	mapping->delete_types_len = yyjson_arr_size(value);
	return 0;
}

/* --- the whole --- */

struct scalar {
	const char *name;
	int (*read)(struct mapping_rules *rules, yyjson_val *value);
};

static const struct scalar scalars[] = {
	{"format", read_format},
	{"op", read_op},
	{"primary_key", read_primary_key},
	{"id", read_id},
	{"key", read_key},
	{"tombstones", read_tombstones},
	{"delete_types", read_delete_types},
	{"flatten", read_flatten},
};

static int read_list(struct mapping_rules *rules, enum mapping_list list, yyjson_val *value)
{
	if (list <= MAPPING_LIST_IGNORE_WHEN)
		return mapping_rules_read_conditions(rules, value, list);
	return mapping_rules_read_fields(rules, value, list);
}

static int read_member(struct mapping_rules *rules, struct slice name, yyjson_val *value)
{
	mapping_rules_set_path(rules, "%.*s", mapping_rules_shown(name), (const char *)name.ptr);
	for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++)
		if (slice_equal(name, slice_string(scalars[i].name)))
			return scalars[i].read(rules, value);
	for (int list = 0; list < MAPPING_LISTS; list++)
		if (slice_equal(name, slice_string(mapping_list_name((enum mapping_list)list))))
			return read_list(rules, (enum mapping_list)list, value);
	return mapping_rules_refuse(rules,
	                            "unknown member; known: format, op, primary_key, id, key, tombstones, "
	                            "where, delete_when, ignore_when, delete_types, include, exclude, "
	                            "mask, rename, flatten");
}

static int read_members(struct mapping_rules *rules, yyjson_val *object)
{
	yyjson_val *key;
	yyjson_val *value;
	size_t at;
	size_t count;

	if (!yyjson_is_obj(object))
		return mapping_rules_refuse(rules, "an object is expected");
	yyjson_obj_foreach(object, at, count, key, value)
	{
		int rc;

		if (mapping_member(object, json_string(key)) != value) {
			mapping_rules_set_path(rules, "%.*s", mapping_rules_shown(json_string(key)),
			                       yyjson_get_str(key));
			return mapping_rules_refuse(rules, "is there twice");
		}
		rc = read_member(rules, json_string(key), value);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* What only shows when every member is known; a key whose fields are named must be JSON. */
static int check_together(struct mapping_rules *rules)
{
	struct mapping *mapping = rules->mapping;
	bool reads_key_fields = false;

	for (size_t i = 0; i < mapping->id_len; i++) {
		const struct mapping_path *path = &mapping->id[i].path;

		mapping_rules_set_path(rules, "id");
		if (path->root == MAPPING_ROOT_EVENT && mapping->format != MAPPING_FORMAT_CLOUDEVENTS)
			return mapping_rules_refuse(rules,
			                            "`ce.` names an event's attribute, but `format` is not "
			                            "cloudevents (a member named ce is \\ce)");
		mapping->reads_key = mapping->reads_key || path->root == MAPPING_ROOT_KEY;
		reads_key_fields =
			reads_key_fields || (path->root == MAPPING_ROOT_KEY && path->segments_len > 0);
	}
	if (!rules->key_given)
		mapping->key_is_json = reads_key_fields || mapping->format == MAPPING_FORMAT_CONNECT_JSON;
	mapping_rules_set_path(rules, "key");
	if (reads_key_fields && !mapping->key_is_json)
		return mapping_rules_refuse(rules, "is text, but `id` names a field of it");
	mapping_rules_set_path(rules, "delete_types");
	if (mapping->delete_types_len > 0 && mapping->format != MAPPING_FORMAT_CLOUDEVENTS)
		return mapping_rules_refuse(rules, "only events have types, but `format` is not cloudevents");
	return 0;
}

static int read_rules(struct mapping_rules *rules, yyjson_val *object)
{
	struct mapping *mapping = rules->mapping;
	int rc = read_members(rules, object);

	if (rc == 0 && mapping->id == NULL) {
		const char *wrong =
			mapping_id_parse(slice_string("key"), rules->arena, &mapping->id, &mapping->id_len);

		rc = wrong != NULL ? mapping_rules_refuse_path(rules, wrong) : 0;
	}
	if (rc == 0)
		rc = check_together(rules);
	if (rc < 0)
		return rc;
	mapping->fields.included = mapping->texts[MAPPING_LIST_INCLUDE].len == 0;
	for (size_t list = MAPPING_LIST_INCLUDE; list < MAPPING_LISTS; list++)
		mapping->reshapes = mapping->reshapes || mapping->texts[list].len > 0;
	mapping->reshapes = mapping->reshapes || mapping->separator.ptr != NULL;
	return mapping_canonicalize(mapping, rules->arena) ? 0 : mapping_rules_refuse_memory(rules);
}

int mapping_parse(struct slice text, const struct rules *limits, struct arena *arena,
                  struct mapping **mapping, struct error *error)
{
	struct mapping *parsed = arena_alloc(arena, sizeof *parsed);
	struct mapping_rules rules = {.mapping = parsed, .arena = arena, .error = error};
	yyjson_doc *doc;
	int rc;

	if (parsed == NULL)
		return error_memory(error, sizeof *parsed);
	if (text.len > MAPPING_RULES_BYTES_MAX)
		return mapping_rules_refuse(&rules, "have %zu bytes; at most %u are allowed", text.len,
		                            MAPPING_RULES_BYTES_MAX);
	*parsed = (struct mapping){
		.limits = *limits,
		.format = MAPPING_FORMAT_JSON,
		.op = MAPPING_OP_PUT,
		.primary_key = slice_string("id"),
	};
	rc = json_parse(text, JSON_DEPTH_MAX, &doc, error);
	if (rc < 0)
		return rc == ERROR_MEMORY ? rc : mapping_rules_refuse(&rules, "%.200s", error->text);
	buffer_init(&rules.text, 8 * (size_t)MAPPING_RULES_BYTES_MAX);
	rc = read_rules(&rules, yyjson_doc_get_root(doc));
	buffer_deinit(&rules.text);
	yyjson_doc_free(doc);
	if (rc == 0)
		*mapping = parsed;
	return rc;
}
