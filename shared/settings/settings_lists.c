#include "shared/settings/settings_private.h"

#define LEN(array) (sizeof(array) / sizeof *(array))
#define DESC ":desc"
#define ASC ":asc"

/* An array of at most `max`. */
static int begin_list(struct reading *reading, const struct place *place, yyjson_val *value, size_t max)
{
	if (!yyjson_is_arr(value))
		return settings_refuse_type(reading, place, "an array", value);
	if (yyjson_arr_size(value) > max)
		return settings_refuse(reading, place, ERROR_LIMIT,
		                       "Millrace allows %zu entries, but found %zu", max,
		                       yyjson_arr_size(value));
	return 0;
}

static bool begins_with(struct slice text, const char *prefix)
{
	return slice_starts_with(text, slice_string(prefix));
}

/* ---- filterable attributes ---- */

static const struct settings_features all_features = {true, true, true};
static const struct settings_features pattern_features = {.equality = true};

static const struct member operator_members[] = {
	SETTINGS_MEMBER(struct settings_features, equality, "equality", flag),
	SETTINGS_MEMBER(struct settings_features, comparison, "comparison", flag),
};
static const struct shape operator_shape = {operator_members, LEN(operator_members), false};

static int read_operators(struct reading *reading, const struct place *place, yyjson_val *value, void *member)
{
	return settings_read_object(reading, place, value, &operator_shape, member);
}

static void append_operators(const void *member, struct buffer *json)
{
	settings_append_object(&operator_shape, member, json);
}

static const struct member feature_members[] = {
	SETTINGS_MEMBER(struct settings_features, facet_search, "facetSearch", flag),
	{"filter", 0, sizeof(struct settings_features), read_operators, append_operators},
};
static const struct shape feature_shape = {feature_members, LEN(feature_members), false};

static int settings_read_features(struct reading *reading, const struct place *place, yyjson_val *value,
                                  void *member)
{
	return settings_read_object(reading, place, value, &feature_shape, member);
}

static void settings_append_features(const void *member, struct buffer *json)
{
	settings_append_object(&feature_shape, member, json);
}

static const struct member filterable_members[] = {
	SETTINGS_MEMBER(struct settings_filterable, patterns, "attributePatterns", patterns),
	SETTINGS_MEMBER(struct settings_filterable, features, "features", features),
};
static const struct shape filterable_shape = {filterable_members, LEN(filterable_members), false};

static int read_filterable(struct reading *reading, const struct place *place, yyjson_val *value,
                           struct settings_filterable *filterable)
{
	struct slice *name;
	int rc;

	if (yyjson_is_obj(value)) {
		*filterable = (struct settings_filterable){.features = pattern_features};
		rc = settings_read_object(reading, place, value, &filterable_shape, filterable);
		if (rc == 0 && filterable->patterns.list == NULL)
			return settings_refuse_missing(reading, place, "attributePatterns");
		return rc;
	}
	name = arena_alloc(reading->arena, sizeof *name);
	if (name == NULL)
		return ERROR_MEMORY;
	*filterable = (struct settings_filterable){true, {name, 1}, all_features};
	return settings_read_text(reading, place, value, name);
}

int settings_read_filterable(struct reading *reading, const struct place *place, yyjson_val *value,
                             void *member)
{
	struct settings_filterable *list;
	int rc = begin_list(reading, place, value, SETTINGS_ATTRIBUTES_MAX);
	yyjson_val *item;
	size_t at;
	size_t len;

	if (rc < 0)
		return rc;
	list = arena_alloc(reading->arena, yyjson_arr_size(value) * sizeof *list);
	if (list == NULL)
		return ERROR_MEMORY;
	yyjson_arr_foreach(value, at, len, item)
	{
		struct place here = {.above = place, .at = at};

		rc = read_filterable(reading, &here, item, &list[at]);
		if (rc < 0)
			return rc;
	}
	*(struct settings_filterables *)member = (struct settings_filterables){list, yyjson_arr_size(value)};
	return 0;
}

void settings_append_filterable(const void *member, struct buffer *json)
{
	const struct settings_filterables *filterable = member;

	buffer_put_u8(json, '[');
	for (size_t i = 0; i < filterable->len; i++) {
		if (i > 0)
			buffer_put_u8(json, ',');
		if (filterable->list[i].is_name)
			json_append_string(json, filterable->list[i].patterns.list[0]);
		else
			settings_append_object(&filterable_shape, &filterable->list[i], json);
	}
	buffer_put_u8(json, ']');
}

/* ---- ranking rules ---- */

static const struct {
	const char *name;
	enum settings_rule_kind kind;
} rule_names[] = {
	{"words", SETTINGS_RULE_WORDS},
	{"typo", SETTINGS_RULE_TYPO},
	{"proximity", SETTINGS_RULE_PROXIMITY},
	{"attribute", SETTINGS_RULE_ATTRIBUTE},
	{"attributeRank", SETTINGS_RULE_ATTRIBUTE_RANK},
	{"wordPosition", SETTINGS_RULE_WORD_POSITION},
	{"sort", SETTINGS_RULE_SORT},
	{"exactness", SETTINGS_RULE_EXACTNESS},
};

static bool take_end(struct slice *text, const char *end)
{
	size_t len = strlen(end);

	if (text->len < len || memcmp(text->ptr + text->len - len, end, len) != 0)
		return false;
	text->len -= len;
	return true;
}

static bool is_reserved(struct slice field)
{
	static const char *const names[] = {"_geo", "_geoDistance", "_geoPoint", "_geoRadius",
	                                    "_geoBoundingBox"};

	for (size_t i = 0; i < LEN(names); i++)
		if (slice_equal(field, slice_string(names[i])))
			return true;
	return (begins_with(field, "_geoPoint(") && field.ptr[field.len - 1] == ')') ||
	       begins_with(field, "_geoRadius(") || begins_with(field, "_geoBoundingBox(");
}

static int refuse_reserved(struct reading *reading, const struct place *place, struct slice field)
{
	static const struct {
		const char *name;
		const char *use;
	} geo[] = {{"_geoPoint", "sorting"}, {"_geoRadius", "filtering"}, {"_geoBoundingBox", "filtering"}};

	for (size_t i = 0; i < LEN(geo); i++)
		if (begins_with(field, geo[i].name))
			return settings_refuse(reading, place, ERROR_FORMAT,
			                       "`%s` is a reserved keyword and thus can't be used as a "
			                       "ranking rule. `%s` can only be used for %s at search time",
			                       geo[i].name, geo[i].name, geo[i].use);
	return settings_refuse(reading, place, ERROR_FORMAT,
	                       "`%.*s` is a reserved keyword and thus can't be used as a ranking rule",
	                       SLICE_ARGS(field));
}

static int read_rule(struct reading *reading, const struct place *place, yyjson_val *value,
                     struct settings_rule *rule)
{
	struct slice text = json_string(value);
	struct slice field = text;

	if (!yyjson_is_str(value))
		return settings_refuse_type(reading, place, "a string", value);
	for (size_t i = 0; i < LEN(rule_names); i++)
		if (slice_equal(text, slice_string(rule_names[i].name))) {
			*rule = (struct settings_rule){
				rule_names[i].kind, slice_string(rule_names[i].name), {NULL, 0}};
			return 0;
		}
	if (take_end(&field, ASC))
		rule->kind = SETTINGS_RULE_ASC;
	else if (take_end(&field, DESC))
		rule->kind = SETTINGS_RULE_DESC;
	else
		return settings_refuse(reading, place, ERROR_FORMAT,
		                       "`%.*s` ranking rule is invalid. Valid ranking rules are words, typo, "
		                       "sort, proximity, attribute, exactness and custom ranking rules.",
		                       SLICE_ARGS(slice_within(text, SETTINGS_ECHO_BYTES_MAX)));
	if (is_reserved(field))
		return refuse_reserved(reading, place, field);
	if (field.len > SETTINGS_PATH_BYTES_MAX)
		return settings_refuse(reading, place, ERROR_LIMIT, "Millrace allows %d bytes, but found %zu",
		                       SETTINGS_PATH_BYTES_MAX, field.len);
	if (settings_take(reading, text, &rule->text) < 0)
		return ERROR_MEMORY;
	rule->field = slice_of(rule->text.ptr, field.len);
	return 0;
}

int settings_read_rules(struct reading *reading, const struct place *place, yyjson_val *value, void *member)
{
	struct settings_rule *list;
	int rc = begin_list(reading, place, value, SETTINGS_RULES_MAX);
	yyjson_val *item;
	size_t sorts = 0;
	size_t at;
	size_t len;

	if (rc < 0)
		return rc;
	list = arena_alloc(reading->arena, yyjson_arr_size(value) * sizeof *list);
	if (list == NULL)
		return ERROR_MEMORY;
	yyjson_arr_foreach(value, at, len, item)
	{
		struct place here = {.above = place, .at = at};

		rc = read_rule(reading, &here, item, &list[at]);
		if (rc < 0)
			return rc;
		sorts += list[at].field.ptr != NULL;
	}
	if (sorts > SETTINGS_SORTS_MAX)
		return settings_refuse(reading, place, ERROR_LIMIT,
		                       "Millrace allows %d rules that sort by a field, but found %zu",
		                       SETTINGS_SORTS_MAX, sorts);
	*(struct settings_rules *)member = (struct settings_rules){list, yyjson_arr_size(value)};
	return 0;
}

void settings_append_rules(const void *member, struct buffer *json)
{
	const struct settings_rules *rules = member;

	buffer_put_u8(json, '[');
	for (size_t i = 0; i < rules->len; i++) {
		if (i > 0)
			buffer_put_u8(json, ',');
		json_append_string(json, rules->list[i].text);
	}
	buffer_put_u8(json, ']');
}

/* ---- synonyms ---- */

/* All lists in the order of the object; of their texts together at most SETTINGS_WORDS_MAX. */
static int read_synonym_lists(struct reading *reading, const struct place *place, yyjson_val *value,
                              struct settings_texts *lists)
{
	size_t left = SETTINGS_WORDS_MAX;
	yyjson_val *key;
	yyjson_val *texts;
	size_t at;
	size_t len;

	yyjson_obj_foreach(value, at, len, key, texts)
	{
		struct place here = {.above = place, .key = json_string(key)};
		int rc = settings_read_texts(reading, &here, texts, SETTINGS_WORDS_MAX, &lists[at]);

		if (rc < 0)
			return rc;
		if (lists[at].len > left)
			return settings_refuse(reading, place, ERROR_LIMIT,
			                       "Millrace allows %d synonyms in all, but found more",
			                       SETTINGS_WORDS_MAX);
		left -= lists[at].len;
	}
	return 0;
}

int settings_read_synonyms(struct reading *reading, const struct place *place, yyjson_val *value,
                           void *member)
{
	struct settings_synonyms synonyms = {0};
	struct settings_synonym *list;
	struct settings_entry *entries;
	struct settings_texts *lists;
	size_t size = yyjson_obj_size(value);
	int rc;

	if (!yyjson_is_obj(value))
		return settings_refuse_type(reading, place, "an object", value);
	if (size > SETTINGS_WORDS_MAX)
		return settings_refuse(reading, place, ERROR_LIMIT,
		                       "Millrace allows %d entries, but found %zu", SETTINGS_WORDS_MAX, size);
	lists = arena_alloc(reading->arena, size * sizeof *lists);
	list = arena_alloc(reading->arena, size * sizeof *list);
	if (lists == NULL || list == NULL)
		return ERROR_MEMORY;
	rc = read_synonym_lists(reading, place, value, lists);
	if (rc == 0)
		rc = settings_sort_members(reading, value, &entries, &synonyms.len);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < synonyms.len; i++)
		list[i] = (struct settings_synonym){entries[i].key, lists[entries[i].at]};
	synonyms.list = list;
	*(struct settings_synonyms *)member = synonyms;
	return 0;
}

void settings_append_synonyms(const void *member, struct buffer *json)
{
	const struct settings_synonyms *synonyms = member;

	buffer_put_u8(json, '{');
	for (size_t i = 0; i < synonyms->len; i++) {
		if (i > 0)
			buffer_put_u8(json, ',');
		json_append_string(json, synonyms->list[i].text);
		buffer_put_u8(json, ':');
		settings_append_patterns(&synonyms->list[i].synonyms, json);
	}
	buffer_put_u8(json, '}');
}

/* ---- localized attributes ---- */

static int read_locale(struct reading *reading, const struct place *place, yyjson_val *value,
                       struct slice *locale)
{
	const char *names[SETTINGS_LOCALE_NAMES_MAX];
	const char *found;

	if (!yyjson_is_str(value))
		return settings_refuse_type(reading, place, "a string", value);
	found = settings_locale(json_string(value));
	if (found == NULL) {
		struct known_names known = {names, settings_locale_names(names)};

		return settings_refuse_value(reading, place, json_string(value), known);
	}
	*locale = slice_string(found);
	return 0;
}

static int settings_read_locales(struct reading *reading, const struct place *place, yyjson_val *value,
                                 void *member)
{
	struct slice *list;
	int rc = begin_list(reading, place, value, SETTINGS_ATTRIBUTES_MAX);
	yyjson_val *item;
	size_t at;
	size_t len;

	if (rc < 0)
		return rc;
	list = arena_alloc(reading->arena, yyjson_arr_size(value) * sizeof *list);
	if (list == NULL)
		return ERROR_MEMORY;
	yyjson_arr_foreach(value, at, len, item)
	{
		struct place here = {.above = place, .at = at};

		rc = read_locale(reading, &here, item, &list[at]);
		if (rc < 0)
			return rc;
	}
	*(struct settings_texts *)member = (struct settings_texts){list, yyjson_arr_size(value)};
	return 0;
}

static void settings_append_locales(const void *member, struct buffer *json)
{
	settings_append_patterns(member, json);
}

static const struct member localized_members[] = {
	SETTINGS_MEMBER(struct settings_localized, patterns, "attributePatterns", patterns),
	SETTINGS_MEMBER(struct settings_localized, locales, "locales", locales),
};
static const struct shape localized_shape = {localized_members, LEN(localized_members), false};

static int read_localized(struct reading *reading, const struct place *place, yyjson_val *value,
                          struct settings_localized *localized)
{
	int rc;

	*localized = (struct settings_localized){0};
	rc = settings_read_object(reading, place, value, &localized_shape, localized);
	if (rc == 0 && localized->patterns.list == NULL)
		return settings_refuse_missing(reading, place, "attributePatterns");
	if (rc == 0 && localized->locales.list == NULL)
		return settings_refuse_missing(reading, place, "locales");
	return rc;
}

int settings_read_localized(struct reading *reading, const struct place *place, yyjson_val *value,
                            void *member)
{
	struct settings_localized *list;
	int rc = begin_list(reading, place, value, SETTINGS_ATTRIBUTES_MAX);
	yyjson_val *item;
	size_t at;
	size_t len;

	if (rc < 0)
		return rc;
	list = arena_alloc(reading->arena, yyjson_arr_size(value) * sizeof *list);
	if (list == NULL)
		return ERROR_MEMORY;
	yyjson_arr_foreach(value, at, len, item)
	{
		struct place here = {.above = place, .at = at};

		rc = read_localized(reading, &here, item, &list[at]);
		if (rc < 0)
			return rc;
	}
	*(struct settings_localizeds *)member =
		(struct settings_localizeds){true, list, yyjson_arr_size(value)};
	return 0;
}

void settings_append_localized(const void *member, struct buffer *json)
{
	const struct settings_localizeds *localized = member;

	if (!localized->given) {
		buffer_append_string(json, "null");
		return;
	}
	buffer_put_u8(json, '[');
	for (size_t i = 0; i < localized->len; i++) {
		if (i > 0)
			buffer_put_u8(json, ',');
		settings_append_object(&localized_shape, &localized->list[i], json);
	}
	buffer_put_u8(json, ']');
}
