#include "shared/mapping/mapping_rules_private.h"

/* A condition's members as they stand in the rules. */
struct members {
	yyjson_val *field;
	yyjson_val *op;
	yyjson_val *value; /* NULL: not there */
};

static int take_members(struct mapping_rules *rules, yyjson_val *object, const char *path,
                        struct members *members)
{
	yyjson_val *key;
	yyjson_val *value;
	size_t at;
	size_t count;

	if (!yyjson_is_obj(object))
		return mapping_rules_refuse(rules, "an object with `field`, `op` and `value` is expected");
	yyjson_obj_foreach(object, at, count, key, value)
	{
		struct slice name = json_string(key);
		yyjson_val **place = slice_equal(name, slice_string("field"))   ? &members->field
		                     : slice_equal(name, slice_string("op"))    ? &members->op
		                     : slice_equal(name, slice_string("value")) ? &members->value
		                                                                : NULL;

		mapping_rules_set_path(rules, "%s.%.*s", path, mapping_rules_shown(name),
		                       (const char *)name.ptr);
		if (place == NULL)
			return mapping_rules_refuse(rules, "unknown member; known: field, op, value");
		if (*place != NULL)
			return mapping_rules_refuse(rules, "is there twice");
		*place = value;
	}
	mapping_rules_set_path(rules, "%s", path);
	if (members->field == NULL || members->op == NULL)
		return mapping_rules_refuse(rules, "has no `%s`", members->field == NULL ? "field" : "op");
	return 0;
}

static int read_constant(struct mapping_rules *rules, yyjson_val *value, struct mapping_constant *constant)
{
	struct slice text = yyjson_is_str(value) ? json_string(value) : json_raw_number(value);

	if (yyjson_is_ctn(value))
		return mapping_rules_refuse(rules, "a string, a number, true, false or null is expected");
	*constant = (struct mapping_constant){.type = yyjson_get_type(value)};
	constant->truth = yyjson_get_bool(value);
	if (text.ptr != NULL && !arena_copy(rules->arena, text, &constant->text))
		return mapping_rules_refuse_memory(rules);
	buffer_clear(&rules->text);
	if (constant->type == YYJSON_TYPE_STR)
		json_append_string(&rules->text, text);
	else if (constant->type == YYJSON_TYPE_RAW)
		buffer_append_slice(&rules->text, text);
	else if (constant->type == YYJSON_TYPE_BOOL)
		buffer_append_string(&rules->text, constant->truth ? "true" : "false");
	else
		buffer_append_string(&rules->text, "null");
	return 0;
}

static struct mapping_constant *constants_alloc(struct mapping_rules *rules, size_t len)
{
	return arena_alloc(rules->arena, len * sizeof(struct mapping_constant));
}

/* The array of `in`; leaves its texts, as they are to be sorted, in `texts`. */
static int read_set(struct mapping_rules *rules, yyjson_val *array, struct mapping_condition *condition,
                    struct mapping_texts *texts)
{
	char path[sizeof rules->path];
	int rc = mapping_rules_begin_list(rules, array, false, texts);
	yyjson_val *entry;
	size_t at;
	size_t count;

	if (rc < 0)
		return rc;
	memcpy(path, rules->path, sizeof path);
	condition->constants = constants_alloc(rules, yyjson_arr_size(array));
	if (condition->constants == NULL)
		return mapping_rules_refuse_memory(rules);
	yyjson_arr_foreach(array, at, count, entry)
	{
		mapping_rules_set_path(rules, "%.120s[%zu]", path, at);
		rc = read_constant(rules, entry, &condition->constants[at]);
		if (rc == 0)
			rc = mapping_rules_add_text(rules, texts);
		if (rc < 0)
			return rc;
	}
	condition->constants_len = yyjson_arr_size(array);
	return 0;
}

/* The one value of every other operator; `exists` without one asks for presence. */
static int read_one(struct mapping_rules *rules, yyjson_val *value, struct mapping_condition *condition)
{
	int rc;

	condition->constants = constants_alloc(rules, 1);
	if (condition->constants == NULL)
		return mapping_rules_refuse_memory(rules);
	condition->constants_len = 1;
	if (value == NULL && condition->compare == MAPPING_COMPARE_EXISTS) {
		condition->constants[0] = (struct mapping_constant){.type = YYJSON_TYPE_BOOL, .truth = true};
		buffer_clear(&rules->text);
		buffer_append_string(&rules->text, "true");
		return 0;
	}
	rc = read_constant(rules, value, &condition->constants[0]);
	if (rc < 0)
		return rc;
	if (condition->compare == MAPPING_COMPARE_EXISTS && !yyjson_is_bool(value))
		return mapping_rules_refuse(rules, "true or false is expected");
	if (condition->compare >= MAPPING_COMPARE_ABOVE &&
	    condition->compare <= MAPPING_COMPARE_BELOW_OR_EQUAL && !yyjson_is_str(value) &&
	    !yyjson_is_raw(value))
		return mapping_rules_refuse(rules, "only strings and numbers have an order");
	return 0;
}

static int read_value(struct mapping_rules *rules, yyjson_val *value, struct mapping_condition *condition)
{
	struct mapping_texts texts = {0};
	int rc;

	if (condition->compare != MAPPING_COMPARE_IN)
		return read_one(rules, value, condition);
	rc = read_set(rules, value, condition, &texts);
	if (rc < 0)
		return rc;
	buffer_clear(&rules->text);
	mapping_texts_append(&rules->text, &texts, '[', ']');
	return 0;
}

static int read_compare(struct mapping_rules *rules, yyjson_val *value, enum mapping_compare *compare)
{
	struct mapping_choice choices[MAPPING_COMPARE_EXISTS];
	int chosen = 0;
	int rc;

	for (int i = MAPPING_COMPARE_EQUAL; i <= MAPPING_COMPARE_EXISTS; i++)
		choices[i - 1] = (struct mapping_choice){mapping_compare_name((enum mapping_compare)i), i};
	rc = mapping_rules_choose(rules, value, (struct mapping_choices){choices, MAPPING_COMPARE_EXISTS},
	                          &chosen);
	if (rc == 0)
		*compare = (enum mapping_compare)chosen;
	return rc;
}

static int read_field(struct mapping_rules *rules, yyjson_val *value, struct mapping_path *field)
{
	const char *wrong;

	if (!yyjson_is_str(value))
		return mapping_rules_refuse(rules, "a field is expected, as a string");
	wrong = mapping_path_parse(json_string(value), false, rules->arena, field);
	return wrong != NULL ? mapping_rules_refuse_path(rules, wrong) : 0;
}

/* {"field":…,"op":…,"value":…} of the value that rules->text holds. */
static int wrap_text(struct mapping_rules *rules, const struct mapping_condition *condition)
{
	struct slice value;

	if (buffer_failed(&rules->text) || !arena_copy(rules->arena, buffer_slice(&rules->text), &value))
		return mapping_rules_refuse_memory(rules);
	buffer_clear(&rules->text);
	buffer_append_string(&rules->text, "{\"field\":");
	mapping_rules_append_path(&rules->text, &condition->field);
	buffer_printf(&rules->text, ",\"op\":\"%s\",\"value\":", mapping_compare_name(condition->compare));
	buffer_append_slice(&rules->text, value);
	buffer_append_string(&rules->text, "}");
	return 0;
}

static int read_condition(struct mapping_rules *rules, yyjson_val *object,
                          struct mapping_condition *condition)
{
	struct members members = {0};
	char path[64];
	int rc;

	memcpy(path, rules->path, sizeof path - 1);
	path[sizeof path - 1] = '\0';
	rc = take_members(rules, object, path, &members);
	if (rc < 0)
		return rc;
	mapping_rules_set_path(rules, "%s.field", path);
	rc = read_field(rules, members.field, &condition->field);
	mapping_rules_set_path(rules, "%s.op", path);
	if (rc == 0)
		rc = read_compare(rules, members.op, &condition->compare);
	if (rc == 0 && members.value == NULL && condition->compare != MAPPING_COMPARE_EXISTS) {
		mapping_rules_set_path(rules, "%s", path);
		return mapping_rules_refuse(rules, "has no `value`");
	}
	mapping_rules_set_path(rules, "%s.value", path);
	if (rc == 0)
		rc = read_value(rules, members.value, condition);
	if (rc == 0)
		rc = wrap_text(rules, condition);
	return rc;
}

int mapping_rules_read_conditions(struct mapping_rules *rules, yyjson_val *value, enum mapping_list list)
{
	struct mapping_conditions *conditions = &rules->mapping->conditions[list];
	struct mapping_texts *texts = &rules->mapping->texts[list];
	int rc = mapping_rules_begin_list(rules, value, false, texts);
	yyjson_val *entry;
	size_t at;
	size_t count;

	if (rc < 0)
		return rc;
	conditions->items = arena_alloc(rules->arena, yyjson_arr_size(value) * sizeof *conditions->items);
	if (conditions->items == NULL)
		return mapping_rules_refuse_memory(rules);
	yyjson_arr_foreach(value, at, count, entry)
	{
		mapping_rules_set_path(rules, "%s[%zu]", mapping_list_name(list), at);
		rc = read_condition(rules, entry, &conditions->items[at]);
		if (rc < 0)
			return rc;
		mapping_rules_set_path(rules, "%s[%zu]", mapping_list_name(list), at);
		rc = mapping_rules_add_text(rules, texts);
		if (rc < 0)
			return rc;
	}
	conditions->len = yyjson_arr_size(value);
	return 0;
}
