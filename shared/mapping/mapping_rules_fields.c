#include "shared/mapping/mapping_rules_private.h"

/* The node of that path, made where it is not there; NULL when out of memory. */
static struct mapping_field *field_at(struct mapping_rules *rules, const struct mapping_path *path,
                                      bool inclusion)
{
	struct mapping_field *field = &rules->mapping->fields;

	for (size_t i = 0; i < path->segments_len; i++) {
		struct mapping_field *child = field->children;

		field->included_below = field->included_below || inclusion;
		while (child != NULL && !slice_equal(child->name, path->segments[i]))
			child = child->next;
		if (child == NULL) {
			child = arena_alloc(rules->arena, sizeof *child);
			if (child == NULL)
				return NULL;
			*child = (struct mapping_field){.name = path->segments[i], .next = field->children};
			field->children = child;
		}
		field = child;
	}
	return field;
}

/* Reads a path, begins its canonical text, and finds its node. */
static int read_field(struct mapping_rules *rules, struct slice text, bool inclusion,
                      struct mapping_path *path, struct mapping_field **field)
{
	const char *wrong = mapping_path_parse(text, false, rules->arena, path);

	if (wrong != NULL)
		return mapping_rules_refuse_path(rules, wrong);
	*field = field_at(rules, path, inclusion);
	buffer_clear(&rules->text);
	mapping_rules_append_path(&rules->text, path);
	return *field != NULL ? 0 : mapping_rules_refuse_memory(rules);
}

static int read_field_list(struct mapping_rules *rules, yyjson_val *value, enum mapping_list list)
{
	struct mapping_texts *texts = &rules->mapping->texts[list];
	bool inclusion = list == MAPPING_LIST_INCLUDE;
	int rc = mapping_rules_begin_list(rules, value, false, texts);
	yyjson_val *entry;
	size_t at;
	size_t count;

	if (rc < 0)
		return rc;
	yyjson_arr_foreach(value, at, count, entry)
	{
		struct mapping_field *field;
		struct mapping_path path;

		mapping_rules_set_path(rules, "%s[%zu]", mapping_list_name(list), at);
		if (!yyjson_is_str(entry))
			return mapping_rules_refuse(rules, "a field is expected, as a string");
		rc = read_field(rules, json_string(entry), inclusion, &path, &field);
		if (rc == 0)
			rc = mapping_rules_add_text(rules, texts);
		if (rc < 0)
			return rc;
		field->included = field->included || inclusion;
		field->excluded = field->excluded || !inclusion;
	}
	return 0;
}

static int set_mask(struct mapping_rules *rules, struct mapping_field *field, yyjson_val *value)
{
	static const struct mapping_choice choices[] = {{"***", MAPPING_MASK_STARS},
	                                                {"hash", MAPPING_MASK_HASH}};
	int chosen = 0;
	int rc = mapping_rules_choose(rules, value, (struct mapping_choices){choices, 2}, &chosen);

	if (rc < 0)
		return rc;
	if (field->mask != MAPPING_MASK_NONE)
		return mapping_rules_refuse(rules, "the field is masked twice");
	field->mask = (enum mapping_mask)chosen;
	buffer_append_string(&rules->text, chosen == MAPPING_MASK_STARS ? ":\"***\"" : ":\"hash\"");
	return 0;
}

static int set_rename(struct mapping_rules *rules, struct mapping_field *field, yyjson_val *value)
{
	struct mapping_path name;
	const char *wrong;

	if (!yyjson_is_str(value))
		return mapping_rules_refuse(rules, "the new name is expected, as a string");
	wrong = mapping_path_parse(json_string(value), false, rules->arena, &name);
	if (wrong != NULL)
		return mapping_rules_refuse_path(rules, wrong);
	if (name.segments_len != 1)
		return mapping_rules_refuse(rules,
		                            "the new name is a path; a renamed field stays in its object");
	if (field->rename.ptr != NULL)
		return mapping_rules_refuse(rules, "the field is renamed twice");
	if (slice_equal(field->name, name.segments[0]))
		return mapping_rules_refuse(rules, "the new name is the old one");
	field->rename = name.segments[0];
	buffer_append_string(&rules->text, ":");
	mapping_rules_append_path(&rules->text, &name);
	return 0;
}

/* An object whose members' names are fields. */
static int read_field_object(struct mapping_rules *rules, yyjson_val *value, enum mapping_list list)
{
	struct mapping_texts *texts = &rules->mapping->texts[list];
	int rc = mapping_rules_begin_list(rules, value, true, texts);
	yyjson_val *key;
	yyjson_val *entry;
	size_t at;
	size_t count;

	if (rc < 0)
		return rc;
	yyjson_obj_foreach(value, at, count, key, entry)
	{
		struct slice name = json_string(key);
		struct mapping_field *field;
		struct mapping_path path;

		mapping_rules_set_path(rules, "%s[\"%.*s\"]", mapping_list_name(list),
		                       mapping_rules_shown(name), (const char *)name.ptr);
		rc = read_field(rules, name, false, &path, &field);
		if (rc == 0)
			rc = list == MAPPING_LIST_MASK ? set_mask(rules, field, entry)
			                               : set_rename(rules, field, entry);
		if (rc == 0)
			rc = mapping_rules_add_text(rules, texts);
		if (rc < 0)
			return rc;
		if (list == MAPPING_LIST_RENAME) {
			path.segments_len--;
			field_at(rules, &path, false)->renamed_below = true;
		}
	}
	return 0;
}

int mapping_rules_read_fields(struct mapping_rules *rules, yyjson_val *value, enum mapping_list list)
{
	if (list == MAPPING_LIST_MASK || list == MAPPING_LIST_RENAME)
		return read_field_object(rules, value, list);
	return read_field_list(rules, value, list);
}
