#include "query/core/facet_search_request.h"

enum {
	ROW_QUERY,
	ROW_NAME,
	ROW_EXHAUSTIVE,
	ROWS_OWN
};

static const struct parameter own[ROWS_OWN] = {
	[ROW_QUERY] = {"facetQuery", PARAMETER_KIND_STRING, PARAMETER_PLACE_BODY,
                       "invalid_facet_search_query", NULL, 0},
	[ROW_NAME] = {"facetName", PARAMETER_KIND_STRING, PARAMETER_PLACE_BODY,
                      "invalid_facet_search_facet_name", NULL, PARAMETER_NOT_NULL},
	[ROW_EXHAUSTIVE] = {"exhaustiveFacetCount", PARAMETER_KIND_BOOLEAN, PARAMETER_PLACE_BODY,
                            "invalid_facet_search_exhaustive_facet_count", NULL, 0},
};

/* Of a search. */
static const enum search_parameter taken[] = {
	SEARCH_PARAMETER_Q,         SEARCH_PARAMETER_VECTOR,    SEARCH_PARAMETER_MEDIA,
	SEARCH_PARAMETER_HYBRID,    SEARCH_PARAMETER_FILTER,    SEARCH_PARAMETER_STRATEGY,
	SEARCH_PARAMETER_SEARCH_ON, SEARCH_PARAMETER_THRESHOLD, SEARCH_PARAMETER_LOCALES,
};

#define TAKEN (sizeof taken / sizeof taken[0])

/* `values`: own ones, then those taken. */
static int read_values(struct slice body, struct arena *arena, struct parameter_value *values,
                       struct error_answer *refusal)
{
	struct parameter rows[ROWS_OWN + TAKEN];
	struct parameter_table table = {rows, ROWS_OWN + TAKEN};
	struct parameter_object object = {.place = "", .open = true};
	yyjson_doc *doc;
	int result = parameters_parse_body(body, &doc, refusal);

	if (result < 0)
		return result;
	memcpy(rows, own, sizeof own);
	for (size_t i = 0; i < TAKEN; i++)
		rows[ROWS_OWN + i] = search_parameters()->rows[taken[i]];
	object.value = yyjson_doc_get_root(doc);
	result = parameters_from_object(&table, &object, arena, values, refusal);
	yyjson_doc_free(doc);
	return result;
}

static int ask_facet(struct facet_search_request *request, const struct parameter_value *values,
                     struct arena *arena, struct error_answer *refusal)
{
	struct buffer members;
	int result;

	buffer_init(&members, SIZE_MAX);
	buffer_append_string(&members, ",\"facetName\":");
	buffer_append_slice(&members, values[ROW_NAME].json);
	if (values[ROW_QUERY].given) {
		buffer_append_string(&members, ",\"facetQuery\":");
		buffer_append_slice(&members, values[ROW_QUERY].json);
	}
	result = buffer_failed(&members)
	                 ? error_answer_set(refusal, "internal", "out of memory for a search in a facet")
	                 : search_request_ask(&request->search, buffer_slice(&members), arena, refusal);
	buffer_deinit(&members);
	return result;
}

int facet_search_request_from_body(struct slice body, struct arena *arena,
                                   struct facet_search_request *request, struct error_answer *refusal)
{
	struct parameter_value values[ROWS_OWN + TAKEN];
	struct parameter_value search[SEARCH_PARAMETERS] = {0};
	struct facet_search_request made = {0};
	int result = read_values(body, arena, values, refusal);

	if (result < 0)
		return result;
	if (!values[ROW_NAME].given)
		return error_answer_set(refusal, "missing_facet_search_facet_name",
		                        "Missing field `facetName`");
	for (size_t i = 0; i < TAKEN; i++)
		search[taken[i]] = values[ROWS_OWN + i];
	result = search_request_of(search, arena, &made.search, refusal);
	if (result < 0)
		return result;
	made.search.limit = 0;
	made.facet.name = values[ROW_NAME].text;
	if (values[ROW_QUERY].given)
		made.facet.query = values[ROW_QUERY].text;
	result = ask_facet(&made, values, arena, refusal);
	if (result == 0)
		*request = made;
	return result;
}

/* ---- what the settings allow ---- */

/* The filterable patterns whose values may be searched. */
static int open_patterns(const struct search_check *check, struct search_names *names)
{
	const struct settings_filterables *rules = &check->settings->filterable;
	struct slice *list;
	size_t len = 0;

	for (size_t i = 0; i < rules->len; i++)
		len += rules->list[i].patterns.len;
	list = arena_alloc(check->arena, (len + 1) * sizeof list[0]);
	if (list == NULL)
		return error_answer_set(check->refusal, "internal", "out of memory for a search in a facet");
	len = 0;
	for (size_t i = 0; i < rules->len; i++)
		for (size_t p = 0; p < rules->list[i].patterns.len; p++) {
			struct slice pattern = rules->list[i].patterns.list[p];
			const struct settings_features *features =
				settings_filterable(check->settings, pattern);

			if (features != NULL && features->facet_search)
				list[len++] = pattern;
		}
	*names = (struct search_names){list, len};
	return 0;
}

static int refuse_field(const struct search_check *check, struct slice name)
{
	struct search_names names;

	if (open_patterns(check, &names) < 0)
		return ERROR_FORMAT;
	return error_answer_set(
		check->refusal, "invalid_facet_search_facet_name",
		"Attribute `%.*s` is not facet-searchable. Available facet-searchable attributes patterns "
		"are: `%s`. To make it facet-searchable add it to the `filterableAttributes` index settings.",
		SLICE_ARGS(name), search_check_listed(check, &names, ""));
}

static int refuse_rule(const struct search_check *check, struct slice name,
                       const struct settings_features *features)
{
	size_t rule = 0;

	while (&check->settings->filterable.list[rule].features != features)
		rule++;
	return error_answer_set(
		check->refusal, "invalid_facet_search_facet_name",
		"Attribute `%.*s` is not facet-searchable. Note: this attribute matches rule #%zu in "
		"filterableAttributes, but this rule does not enable facetSearch.\n"
		"Hint: enable facetSearch in rule #%zu by adding `\"facetSearch\": true` to the rule.\n"
		"Hint: prepend another rule matching %.*s with facetSearch: true before rule #%zu",
		SLICE_ARGS(name), rule, rule, SLICE_ARGS(name), rule);
}

int facet_search_check(const struct search_check *check, const struct facet_search *facet,
                       const struct search_request *search)
{
	const struct settings_features *features = settings_filterable(check->settings, facet->name);
	struct slice shown = slice_within(facet->name, PARAMETER_ECHO_BYTES_MAX);

	if (search_check_kind(check, search) < 0)
		return ERROR_FORMAT;
	if (!check->settings->facet_search)
		return error_answer_set(check->refusal, "facet_search_disabled",
		                        "The facet search is disabled for this index");
	if (features == NULL)
		return refuse_field(check, shown);
	if (!features->facet_search)
		return refuse_rule(check, shown, features);
	if (search_check_names(check, &search->search_on) < 0)
		return ERROR_FORMAT;
	return search_check_filter(check, search->filter, "invalid_search_filter");
}
