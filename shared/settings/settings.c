#include "shared/settings/settings_private.h"

#include "shared/base/assert.h"

#define LEN(array) (sizeof(array) / sizeof *(array))
#define ARENA_BLOCK_BYTES ((size_t)16 * 1024)

/* ---- defaults ---- */

static const struct slice all[] = {{(const uint8_t *)"*", 1}};
static const struct settings_facet_order default_orders[] = {{{(const uint8_t *)"*", 1}, false}};
#define RULE(kind, name) \
	{ \
		SETTINGS_RULE_##kind, {(const uint8_t *)(name), sizeof(name) - 1}, \
		{ \
			NULL, 0 \
		} \
	}
static const struct settings_rule default_rules[] = {
	RULE(WORDS, "words"),         RULE(TYPO, "typo"),
	RULE(PROXIMITY, "proximity"), RULE(ATTRIBUTE_RANK, "attributeRank"),
	RULE(SORT, "sort"),           RULE(WORD_POSITION, "wordPosition"),
	RULE(EXACTNESS, "exactness"),
};
static const struct settings defaults = {
	.displayed = {all, 1},
	.searchable = {all, 1},
	.rules = {default_rules, LEN(default_rules)},
	.typos = {.enabled = true, .sizes = {5, 9}},
	.faceting = {100, {default_orders, 1}},
	.pagination = {1000},
	.facet_search = true,
	.prefix_search = true,
};

const struct settings *settings_default(void)
{
	return &defaults;
}

/* ---- the table ---- */

struct setting {
	struct settings_route route;
	struct member member;
};

#define PUT SETTINGS_METHOD_PUT
#define PATCH SETTINGS_METHOD_PATCH
#define NONE SETTINGS_EFFECT_NONE
#define VALUES SETTINGS_EFFECT_VALUES
#define WORDS SETTINGS_EFFECT_WORDS
#define SETTING(path, name, code, method, member, kind, effect, reason) \
	{ \
		{path, name, method, "invalid_settings_" code, true, effect, reason}, \
			SETTINGS_MEMBER(struct settings, member, name, kind) \
	}
#define ABSENT(path, name, code, method, is_shown, read, append) \
	{ \
		{path, name, method, code, is_shown, NONE, "Millrace has it not"}, \
		{ \
			name, 0, 0, read, append \
		} \
	}

static const struct setting table[] = {
	SETTING("displayed-attributes", "displayedAttributes", "displayed_attributes", PUT, displayed, fields,
                NONE, "hits are cut to it when they are shown"),
	SETTING("searchable-attributes", "searchableAttributes", "searchable_attributes", PUT, searchable,
                fields, NONE, "words are kept with their field, whichever it is"),
	SETTING("filterable-attributes", "filterableAttributes", "filterable_attributes", PUT, filterable,
                filterable, VALUES, "filters and facets look values up"),
	SETTING("sortable-attributes", "sortableAttributes", "sortable_attributes", PUT, sortable,
                attribute_set, VALUES, "values are walked through in order"),
	ABSENT("foreign-keys", "foreignKeys", "feature_not_enabled", PUT, false, settings_read_unavailable,
               settings_append_foreign_keys),
	SETTING("ranking-rules", "rankingRules", "ranking_rules", PUT, rules, rules, VALUES,
                "those that name a field sort by its values"),
	SETTING("stop-words", "stopWords", "stop_words", PUT, stop_words, word_set, WORDS,
                "they have a position and are not kept"),
	SETTING("non-separator-tokens", "nonSeparatorTokens", "non_separator_tokens", PUT, not_separators,
                word_set, WORDS, "words end elsewhere"),
	SETTING("separator-tokens", "separatorTokens", "separator_tokens", PUT, separators, word_set, WORDS,
                "words end elsewhere"),
	SETTING("dictionary", "dictionary", "dictionary", PUT, dictionary, word_set, WORDS,
                "words end elsewhere"),
	SETTING("synonyms", "synonyms", "synonyms", PUT, synonyms, synonyms, NONE,
                "they are put in the query's place"),
	SETTING("distinct-attribute", "distinctAttribute", "distinct_attribute", PUT, distinct, text, VALUES,
                "hits are told apart by its values"),
	SETTING("proximity-precision", "proximityPrecision", "proximity_precision", PUT,
                proximity_by_attribute, proximity, NONE, "positions are kept in any case"),
	SETTING("typo-tolerance", "typoTolerance", "typo_tolerance", PATCH, typos, typos, NONE,
                "words near the query's are looked for in each search"),
	SETTING("faceting", "faceting", "faceting", PATCH, faceting, faceting, NONE,
                "facets are counted in each search"),
	SETTING("pagination", "pagination", "pagination", PATCH, pagination, pagination, NONE,
                "it bounds each search"),
	ABSENT("embedders", "embedders", "invalid_settings_embedders", PATCH, true, settings_read_embedders,
               settings_append_embedders),
	SETTING("search-cutoff-ms", "searchCutoffMs", "search_cutoff_ms", PUT, cutoff, cutoff, NONE,
                "it bounds each search"),
	SETTING("localized-attributes", "localizedAttributes", "localized_attributes", PUT, localized,
                localized, WORDS, "a language may cut and fold its words otherwise"),
	SETTING("facet-search", "facetSearch", "facet_search", PUT, facet_search, flag, NONE,
                "it allows a request"),
	SETTING("prefix-search", "prefixSearch", "prefix_search", PUT, prefix_search, prefix, NONE,
                "the dictionary is sorted in any case"),
	ABSENT("chat", "chat", "feature_not_enabled", PATCH, false, settings_read_unavailable,
               settings_append_chat),
};

const struct settings_route *settings_route_at(size_t at)
{
	return at < LEN(table) ? &table[at].route : NULL;
}

const struct settings_route *settings_route_find(struct slice path)
{
	for (size_t i = 0; i < LEN(table); i++)
		if (slice_equal(path, slice_string(table[i].route.path)))
			return &table[i].route;
	return NULL;
}

static const struct setting *setting_of(const struct settings_route *route)
{
	for (size_t i = 0; i < LEN(table); i++)
		if (&table[i].route == route)
			return &table[i];
	ASSERT(route == NULL);
	return NULL;
}

static const struct setting *setting_named(struct slice name)
{
	for (size_t i = 0; i < LEN(table); i++)
		if (slice_equal(name, slice_string(table[i].route.name)))
			return &table[i];
	return NULL;
}

/* ---- reading ---- */

/* null resets. */
static int read_setting(struct reading *reading, const struct place *place, yyjson_val *value,
                        const struct setting *setting)
{
	uint8_t *member = (uint8_t *)reading->settings + setting->member.offset;

	reading->code = setting->route.code;
	if (!yyjson_is_null(value))
		return setting->member.read(reading, place, value, member);
	settings_reset(reading, member, setting->member.size);
	return 0;
}

static int refuse_unknown(struct reading *reading, struct slice name)
{
	const char *names[LEN(table)];

	for (size_t i = 0; i < LEN(table); i++)
		names[i] = table[i].route.name;
	return settings_refuse_field(reading, NULL, name, (struct known_names){names, LEN(table)});
}

static int read_whole(struct reading *reading, yyjson_val *value)
{
	yyjson_obj_iter iter;
	yyjson_val *key;

	reading->code = "bad_request";
	if (!yyjson_is_obj(value))
		return settings_refuse_type(reading, NULL, "an object", value);
	iter = yyjson_obj_iter_with(value);
	while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
		struct place place = {.key = json_string(key)};
		const struct setting *setting = setting_named(place.key);
		int rc;

		reading->code = "bad_request";
		if (setting == NULL)
			return refuse_unknown(reading, place.key);
		if (settings_is_repeated(iter, place.key))
			continue;
		rc = read_setting(reading, &place, yyjson_obj_iter_get_val(key), setting);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* What only the settings as a whole tell. */
static int check_whole(const struct settings *settings, struct settings_refusal *refusal)
{
	const struct settings_sizes *sizes = &settings->typos.sizes;
	bool has[SETTINGS_RULE_DESC + 1] = {false};

	if (sizes->one > sizes->two)
		return settings_refuse_whole(refusal, "invalid_settings_typo_tolerance", ERROR_FORMAT,
		                             SETTINGS_SIZES_WRONG, sizes->one, sizes->two);
	for (size_t i = 0; i < settings->rules.len; i++)
		has[settings->rules.list[i].kind] = true;
	if (has[SETTINGS_RULE_ATTRIBUTE] &&
	    (has[SETTINGS_RULE_ATTRIBUTE_RANK] || has[SETTINGS_RULE_WORD_POSITION]))
		return settings_refuse_whole(
			refusal, "invalid_settings_ranking_rules", ERROR_FORMAT,
			"Mixed usage of the attribute, attributeRank, and wordPosition ranking rules. You "
			"must either use the attribute ranking rule alone or the attributeRank and "
			"wordPosition ranking rules.");
	return 0;
}

static int read_record(struct slice record, struct reading *reading, struct error *error)
{
	yyjson_doc *doc = NULL;
	yyjson_val *root;
	yyjson_val *whole;
	int64_t format;
	int rc = json_parse_typed(record, &doc, error);

	if (rc < 0)
		return error_prefix(error, "settings");
	root = yyjson_doc_get_root(doc);
	whole = yyjson_obj_get(root, "settings");
	if (!json_get_i64(root, "format", &format))
		rc = error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "settings: no format");
	else if (format != SETTINGS_FORMAT)
		rc = error_set(error, ERROR_VERSION, ERROR_ACTION_REJECT,
		               "settings of format %lld; this program knows %d: update it", (long long)format,
		               SETTINGS_FORMAT);
	else if (whole == NULL || yyjson_obj_size(root) != 2)
		rc = error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		               "settings: not the two members of their record");
	if (rc < 0)
		goto out;
	rc = read_whole(reading, whole);
	if (rc == 0)
		rc = check_whole(reading->settings, reading->refusal);
	if (rc == ERROR_MEMORY)
		(void)error_memory(error, record.len);
	else if (rc < 0)
		(void)error_set(error, rc, ERROR_ACTION_REJECT, "settings: %s", reading->refusal->text);
out:
	yyjson_doc_free(doc);
	return rc;
}

int settings_parse(struct slice record, struct arena *arena, struct settings **settings, struct error *error)
{
	struct settings *made = arena_alloc(arena, sizeof *made);
	struct settings_refusal refusal;
	struct reading reading = {arena, made, &refusal, NULL};
	int rc;

	if (made == NULL)
		return error_memory(error, sizeof *made);
	if (record.len > SETTINGS_RECORD_BYTES_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "settings: %zu bytes; at most %zu are allowed", record.len,
		                 SETTINGS_RECORD_BYTES_MAX);
	*made = defaults;
	rc = read_record(record, &reading, error);
	if (rc == 0)
		*settings = made;
	return rc;
}

/* ---- showing ---- */

static void append_whole(const struct settings *settings, struct buffer *json)
{
	char before = '{';

	for (size_t i = 0; i < LEN(table); i++) {
		if (!table[i].route.is_shown)
			continue;
		buffer_put_u8(json, (uint8_t)before);
		json_append_string(json, slice_string(table[i].route.name));
		buffer_put_u8(json, ':');
		settings_show(settings, &table[i].route, json);
		before = ',';
	}
	buffer_put_u8(json, '}');
}

void settings_show(const struct settings *settings, const struct settings_route *route, struct buffer *json)
{
	const struct setting *setting = setting_of(route);

	if (setting == NULL)
		append_whole(settings, json);
	else
		setting->member.append((const uint8_t *)settings + setting->member.offset, json);
}

void settings_append_record(const struct settings *settings, struct buffer *record)
{
	buffer_printf(record, "{\"format\":%d,\"settings\":", SETTINGS_FORMAT);
	append_whole(settings, record);
	buffer_put_u8(record, '}');
}

/* ---- changing ---- */

static int read_reset(struct reading *reading, const struct setting *setting)
{
	if (setting == NULL)
		*reading->settings = defaults;
	else
		settings_reset(reading, (uint8_t *)reading->settings + setting->member.offset,
		               setting->member.size);
	return 0;
}

static int read_body(struct reading *reading, const struct settings_request *request)
{
	const struct setting *setting = setting_of(request->route);
	struct error error;
	yyjson_doc *doc;
	int rc;

	if (request->reset)
		return read_reset(reading, setting);
	if (request->body.len == 0)
		return settings_refuse_whole(reading->refusal, "missing_payload", ERROR_FORMAT,
		                             "A json payload is missing.");
	rc = json_parse_typed(request->body, &doc, &error);
	if (rc == ERROR_MEMORY)
		return rc;
	if (rc < 0)
		return settings_refuse_whole(reading->refusal, "malformed_payload", ERROR_FORMAT,
		                             "The json payload provided is malformed. `%s`.", error.text);
	rc = setting == NULL ? read_whole(reading, yyjson_doc_get_root(doc))
	                     : read_setting(reading, NULL, yyjson_doc_get_root(doc), setting);
	yyjson_doc_free(doc);
	return rc;
}

static int put_record(const struct settings *settings, struct buffer *record,
                      struct settings_refusal *refusal)
{
	struct buffer made;
	int rc = 0;

	buffer_init(&made, SIZE_MAX);
	settings_append_record(settings, &made);
	if (!buffer_failed(&made) && made.len > SETTINGS_RECORD_BYTES_MAX)
		rc = settings_refuse_whole(
			refusal, "payload_too_large", ERROR_LIMIT,
			"The settings of an index take %zu bytes; Millrace allows %zu: "
			"fewer stop words, synonyms or words of the dictionary are needed.",
			made.len, SETTINGS_RECORD_BYTES_MAX);
	else
		buffer_append_slice(record, buffer_slice(&made));
	if (rc == 0 && (buffer_failed(&made) || buffer_failed(record)))
		rc = ERROR_MEMORY;
	buffer_deinit(&made);
	return rc;
}

int settings_change(const struct settings *now, const struct settings_request *request, struct buffer *record,
                    struct settings_refusal *refusal)
{
	struct settings next = *now;
	struct arena arena;
	struct reading reading = {&arena, &next, refusal, NULL};
	int rc;

	arena_init(&arena, ARENA_BLOCK_BYTES);
	rc = read_body(&reading, request);
	if (rc == 0)
		rc = check_whole(&next, refusal);
	if (rc == 0)
		rc = put_record(&next, record, refusal);
	arena_deinit(&arena);
	return rc;
}
