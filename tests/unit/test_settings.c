/*
 * Settings: what changes make of them, what is refused and how, their record
 * and routes; bounds, and memory that runs out (the linker brings every
 * allocation here).
 */
#include "shared/settings/settings.h"

#include "tests/unit/failing_allocations.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define LEN(array) (sizeof(array) / sizeof *(array))
#define SWEEP_MAX 5000

#define DEFAULTS \
	"{\"displayedAttributes\":[\"*\"],\"searchableAttributes\":[\"*\"],\"filterableAttributes\":[]," \
	"\"sortableAttributes\":[],\"rankingRules\":[\"words\",\"typo\",\"proximity\",\"attributeRank\"," \
	"\"sort\",\"wordPosition\",\"exactness\"],\"stopWords\":[],\"nonSeparatorTokens\":[]," \
	"\"separatorTokens\":[],\"dictionary\":[],\"synonyms\":{},\"distinctAttribute\":null," \
	"\"proximityPrecision\":\"byWord\",\"typoTolerance\":{\"enabled\":true,\"minWordSizeForTypos\":" \
	"{\"oneTypo\":5,\"twoTypos\":9},\"disableOnWords\":[],\"disableOnAttributes\":[]," \
	"\"disableOnNumbers\":false},\"faceting\":{\"maxValuesPerFacet\":100,\"sortFacetValuesBy\":" \
	"{\"*\":\"alpha\"}},\"pagination\":{\"maxTotalHits\":1000},\"embedders\":{},\"searchCutoffMs\":" \
	"null," \
	"\"localizedAttributes\":null,\"facetSearch\":true,\"prefixSearch\":\"indexingTime\"}"

/* `path` NULL: all settings; `body` NULL: DELETE. */
static int change(const struct settings *now, const char *path, const char *body, struct buffer *record,
                  struct settings_refusal *refusal)
{
	struct settings_request request = {.reset = body == NULL};

	if (path != NULL) {
		request.route = settings_route_find(slice_string(path));
		CU_ASSERT_PTR_NOT_NULL_FATAL(request.route);
	}
	if (body != NULL)
		request.body = slice_string(body);
	return settings_change(now, &request, record, refusal);
}

static struct settings *made(const struct settings *now, const char *path, const char *body,
                             struct arena *arena)
{
	struct settings_refusal refusal;
	struct settings *settings = NULL;
	struct buffer record;
	struct error error;

	buffer_init(&record, SIZE_MAX);
	if (change(now, path, body, &record, &refusal) < 0)
		(void)fprintf(stderr, "%s: %s\n", body, refusal.text);
	CU_ASSERT_EQUAL_FATAL(settings_parse(buffer_slice(&record), arena, &settings, &error), 0);
	buffer_deinit(&record);
	return settings;
}

static void check_shown(const struct settings *settings, const char *path, const char *expected)
{
	const struct settings_route *route = path == NULL ? NULL : settings_route_find(slice_string(path));
	struct buffer json;

	buffer_init(&json, SIZE_MAX);
	settings_show(settings, route, &json);
	if (!slice_equal(buffer_slice(&json), slice_string(expected)))
		(void)fprintf(stderr, "got      %.*s\nexpected %s\n", SLICE_ARGS(buffer_slice(&json)),
		              expected);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&json), slice_string(expected)));
	buffer_deinit(&json);
}

/* ---- changes ---- */

static const struct {
	const char *path;
	const char *first; /* NULL: the defaults */
	const char *second;
	const char *shown;
} change_rows[] = {
	{"displayed-attributes", NULL, "[\"b\",\"a\",\"b\"]", "[\"b\",\"a\"]"},
	{"displayed-attributes", NULL, "[\"b\",\"*\"]", "[\"*\"]"},
	{"displayed-attributes", "[\"b\"]", "null", "[\"*\"]"},
	{"displayed-attributes", "[\"b\"]", NULL, "[\"*\"]"},
	{"searchable-attributes", "[\"b\"]", "[]", "[]"},
	{"filterable-attributes", NULL, "[\"b\",\"a\",\"b\"]", "[\"b\",\"a\",\"b\"]"},
	{"filterable-attributes", NULL, "[{\"attributePatterns\":[\"a*\"]}]",
         "[{\"attributePatterns\":[\"a*\"],\"features\":{\"facetSearch\":false,\"filter\":{\"equality\":true,"
         "\"comparison\":false}}}]"},
	{"filterable-attributes", NULL,
         "[{\"features\":{\"filter\":{\"comparison\":true},\"facetSearch\":true},\"attributePatterns\":[]}]",
         "[{\"attributePatterns\":[],\"features\":{\"facetSearch\":true,\"filter\":{\"equality\":true,"
         "\"comparison\":true}}}]"},
	{"sortable-attributes", "[\"x\"]", "[\"é\",\"b\",\"_geo\",\"b\"]", "[\"_geo\",\"b\",\"é\"]"},
	{"ranking-rules", NULL, "[]", "[]"},
	{"ranking-rules", NULL, "[\"a:b:desc\",\"attribute\",\":asc\",\"words\",\"words\"]",
         "[\"a:b:desc\",\"attribute\",\":asc\",\"words\",\"words\"]"},
	{"stop-words", NULL, "[\"the\",\"The\",\"\",\"the\"]", "[\"\",\"The\",\"the\"]"},
	{"synonyms", "{\"x\":[\"y\"]}", "{\"b\":[\"c\",\"a\",\"c\"],\"a\":[]}",
         "{\"a\":[],\"b\":[\"c\",\"a\",\"c\"]}"},
	{"synonyms", NULL, "{\"b\":[\"1\"],\"a\":[\"2\"],\"b\":[\"3\"]}", "{\"a\":[\"2\"],\"b\":[\"3\"]}"},
	{"distinct-attribute", NULL, "\"sku\"", "\"sku\""},
	{"distinct-attribute", "\"sku\"", "null", "null"},
	{"proximity-precision", NULL, "\"byAttribute\"", "\"byAttribute\""},
	{"prefix-search", NULL, "\"disabled\"", "\"disabled\""},
	{"facet-search", NULL, "false", "false"},
	{"search-cutoff-ms", NULL, "18446744073709551615", "18446744073709551615"},
	{"search-cutoff-ms", "150", "null", "null"},
	{"typo-tolerance", "{\"enabled\":false,\"disableOnWords\":[\"b\",\"a\"]}",
         "{\"disableOnNumbers\":true,\"minWordSizeForTypos\":{\"oneTypo\":9}}",
         "{\"enabled\":false,\"minWordSizeForTypos\":{\"oneTypo\":9,\"twoTypos\":9},\"disableOnWords\":["
         "\"a\","
         "\"b\"],\"disableOnAttributes\":[],\"disableOnNumbers\":true}"},
	{"typo-tolerance", "{\"enabled\":false,\"minWordSizeForTypos\":{\"oneTypo\":0,\"twoTypos\":255}}",
         "{\"minWordSizeForTypos\":null}",
         "{\"enabled\":false,\"minWordSizeForTypos\":{\"oneTypo\":5,\"twoTypos\":9},\"disableOnWords\":[],"
         "\"disableOnAttributes\":[],\"disableOnNumbers\":false}"},
	{"typo-tolerance", "{\"enabled\":false}", "{\"enabled\":false,\"enabled\":null}",
         "{\"enabled\":true,\"minWordSizeForTypos\":{\"oneTypo\":5,\"twoTypos\":9},\"disableOnWords\":[],"
         "\"disableOnAttributes\":[],\"disableOnNumbers\":false}"},
	{"faceting", "{\"maxValuesPerFacet\":4,\"sortFacetValuesBy\":{\"*\":\"count\",\"b\":\"alpha\"}}",
         "{\"sortFacetValuesBy\":{\"é\":\"count\",\"\":\"alpha\"}}",
         "{\"maxValuesPerFacet\":4,\"sortFacetValuesBy\":{\"\":\"alpha\",\"*\":\"alpha\",\"é\":\"count\"}}"},
	{"faceting", NULL, "{\"maxValuesPerFacet\":0}",
         "{\"maxValuesPerFacet\":0,\"sortFacetValuesBy\":{\"*\":\"alpha\"}}"},
	{"pagination", "{\"maxTotalHits\":7}", "{}", "{\"maxTotalHits\":7}"},
	{"localized-attributes", NULL, "[]", "[]"},
	{"localized-attributes", NULL,
         "[{\"attributePatterns\":[\"*_ja\"],\"locales\":[\"ja\",\"cmn\",\"fa\"]}]",
         "[{\"attributePatterns\":[\"*_ja\"],\"locales\":[\"jpn\",\"cmn\",\"pes\"]}]"},
	{"embedders", NULL, "{\"default\":null}", "{}"},
	{"foreign-keys", NULL, "null", "[]"},
	{NULL, "{\"stopWords\":[\"a\"],\"pagination\":{\"maxTotalHits\":3}}", NULL, DEFAULTS},
	{NULL, "{\"stopWords\":[\"a\"]}", "{\"chat\":null,\"stopWords\":5,\"stopWords\":null}", DEFAULTS},
	{NULL, NULL, DEFAULTS, DEFAULTS},
};

static void test_changes(void)
{
	check_shown(settings_default(), NULL, DEFAULTS);
	for (size_t i = 0; i < LEN(change_rows); i++) {
		const struct settings *settings = settings_default();
		struct arena arena;

		arena_init(&arena, 4096);
		if (change_rows[i].first != NULL)
			settings = made(settings, change_rows[i].path, change_rows[i].first, &arena);
		settings = made(settings, change_rows[i].path, change_rows[i].second, &arena);
		check_shown(settings, change_rows[i].path, change_rows[i].shown);
		arena_deinit(&arena);
	}
}

/* ---- refusals ---- */

#define TYPO "invalid_settings_typo_tolerance"
#define RANKING "invalid_settings_ranking_rules"
#define FILTERABLE "invalid_settings_filterable_attributes"
#define LOCALIZED "invalid_settings_localized_attributes"
#define WRONG_SIZES(one, two) \
	"`minWordSizeForTypos` setting is invalid. `oneTypo` and `twoTypos` fields should be between `0` " \
	"and `255`, and `twoTypos` should be greater or equals to `oneTypo` but found `oneTypo: " one \
	"` and twoTypos: " two "`."
#define RESERVED "is a reserved keyword and thus can't be used as a ranking rule"
#define MIXED \
	"Mixed usage of the attribute, attributeRank, and wordPosition ranking rules. You must either use " \
	"the attribute ranking rule alone or the attributeRank and wordPosition ranking rules."

static const struct {
	const char *path;
	const char *body;
	const char *code;
	const char *text; /* its beginning */
} refusal_rows[] = {
	{NULL, "", "missing_payload", "A json payload is missing."},
	{NULL, "{", "malformed_payload", "The json payload provided is malformed. `not JSON: "},
	{NULL, "[]", "bad_request", "Invalid value type: expected an object, but found an array: `[]`"},
	{NULL, "null", "bad_request", "Invalid value type: expected an object, but found null"},
	{NULL, "{\"rankingRule\":[]}", "bad_request",
         "Unknown field `rankingRule`: did you mean `rankingRules`? expected one of `displayedAttributes`, "
         "`searchableAttributes`, `filterableAttributes`, `sortableAttributes`, `foreignKeys`, "
         "`rankingRules`, `stopWords`, `nonSeparatorTokens`, `separatorTokens`, `dictionary`, `synonyms`, "
         "`distinctAttribute`, `proximityPrecision`, `typoTolerance`, `faceting`, `pagination`, `embedders`, "
         "`searchCutoffMs`, `localizedAttributes`, `facetSearch`, `prefixSearch`, `chat`"},
	{NULL, "{\"foo\":12}", "bad_request", "Unknown field `foo`: expected one of "},
	{NULL, "{\"displayedAttributes\":\"doggo\"}", "invalid_settings_displayed_attributes",
         "Invalid value type at `.displayedAttributes`: expected an array, but found a string: `\"doggo\"`"},
	{"displayed-attributes", "\"doggo\"", "invalid_settings_displayed_attributes",
         "Invalid value type: expected an array, but found a string: `\"doggo\"`"},
	{NULL, "{\"stopWords\":[\"a\",-1]}", "invalid_settings_stop_words",
         "Invalid value type at `.stopWords[1]`: expected a string, but found a negative integer: `-1`"},
	{"synonyms", "\"doggo\"", "invalid_settings_synonyms",
         "Invalid value type: expected an object, but found a string: `\"doggo\"`"},
	{"synonyms", "{\"a\":[\"b\",null]}", "invalid_settings_synonyms",
         "Invalid value type at `.a[1]`: expected a string, but found null"},
	{NULL, "{\"distinctAttribute\":[\"doggo\"]}", "invalid_settings_distinct_attribute",
         "Invalid value type at `.distinctAttribute`: expected a string, but found an array: `[\"doggo\"]`"},
	{NULL, "{\"typoTolerance\":{\"minWordSizeForTypos\":\"doggo\"}}", TYPO,
         "Invalid value type at `.typoTolerance.minWordSizeForTypos`: expected an object, but found a "
         "string: `\"doggo\"`"},
	{"typo-tolerance", "{\"typoTolerance\":{}}", TYPO,
         "Unknown field `typoTolerance`: expected one of `enabled`, `minWordSizeForTypos`, "
         "`disableOnWords`, `disableOnAttributes`, `disableOnNumbers`"},
	{NULL, "{\"typoTolerance\":{\"minWordSizeForTypos\":{\"oneTypos\":1}}}", TYPO,
         "Unknown field `oneTypos` inside `.typoTolerance.minWordSizeForTypos`: did you mean `oneTypo`? "
         "expected one of `oneTypo`, `twoTypos`"},
	{NULL, "{\"typoTolerance\":{\"minWordSizeForTypos\":{\"oneTypo\":1000}}}", TYPO,
         "Invalid value at `.typoTolerance.minWordSizeForTypos.oneTypo`: value: `1000` is too large to be "
         "deserialized, maximum value authorized is `255`"},
	{NULL, "{\"typoTolerance\":{\"minWordSizeForTypos\":{\"oneTypo\":4,\"twoTypos\":3}}}", TYPO,
         "Invalid value at `.typoTolerance.minWordSizeForTypos`: " WRONG_SIZES("4", "3")},
	{"typo-tolerance", "{\"minWordSizeForTypos\":{\"twoTypos\":4}}", TYPO, WRONG_SIZES("5", "4")},
	{"faceting", "{\"sortFacetValuesBy\":{\"a\":\"size\"}}", "invalid_settings_faceting",
         "Unknown value `size` at `.sortFacetValuesBy.a`: expected one of `alpha`, `count`"},
	{"faceting", "{\"maxValuesPerFacet\":1.5}", "invalid_settings_faceting",
         "Invalid value type at `.maxValuesPerFacet`: expected a positive integer, but found a number: "
         "`1.5`"},
	{"pagination", "{\"maxTotalHits\":\"doggo\"}", "invalid_settings_pagination",
         "Invalid value type at `.maxTotalHits`: expected a positive integer, but found a string: "
         "`\"doggo\"`"},
	{"pagination", "{\"maxTotalHits\":0}", "invalid_settings_pagination",
         "Invalid value at `.maxTotalHits`: a non-zero integer value lower than `18446744073709551615` was "
         "expected, but found a zero"},
	{NULL, "{\"searchCutoffMs\":\"doggo\"}", "invalid_settings_search_cutoff_ms",
         "Invalid value type at `.searchCutoffMs`: expected a positive integer, but found a string: "
         "`\"doggo\"`"},
	{"prefix-search", "\"Disabled\"", "invalid_settings_prefix_search",
         "Unknown value `Disabled`: did you mean `disabled`? expected one of `indexingTime`, `disabled`"},
	{NULL, "{\"proximityPrecision\":7}", "invalid_settings_proximity_precision",
         "Invalid value type at `.proximityPrecision`: expected a string, but found a positive integer: "
         "`7`"},
	{NULL, "{\"rankingRules\":[\"custom\"]}", RANKING,
         "Invalid value at `.rankingRules[0]`: `custom` ranking rule is invalid. Valid ranking rules are "
         "words, typo, sort, proximity, attribute, exactness and custom ranking rules."},
	{"ranking-rules", "[\"words\",\"a:up\"]", RANKING, "Invalid value at `[1]`: `a:up` ranking rule is "},
	{"ranking-rules", "[\"_geoPoint(1, 2):asc\"]", RANKING,
         "Invalid value at `[0]`: `_geoPoint` " RESERVED ". `_geoPoint` can only be used for sorting at "
         "search time"},
	{"ranking-rules", "[\"_geoRadius(1:desc\"]", RANKING,
         "Invalid value at `[0]`: `_geoRadius` " RESERVED ". `_geoRadius` can only be used for filtering at "
         "search time"},
	{"ranking-rules", "[\"_geoDistance:desc\"]", RANKING,
         "Invalid value at `[0]`: `_geoDistance` " RESERVED},
	{NULL, "{\"rankingRules\":[\"words\",\"attribute\",\"attributeRank\"]}", RANKING, MIXED},
	{"ranking-rules", "[\"wordPosition\",\"attribute\"]", RANKING, MIXED},
	{"filterable-attributes", "[{\"features\":{}}]", FILTERABLE,
         "Missing field `attributePatterns` inside `[0]`"},
	{NULL,
         "{\"filterableAttributes\":[\"a\",{\"attributePatterns\":[\"b\"],\"features\":{\"filter\":{"
         "\"equality\":1}}}]}",
         FILTERABLE,
         "Invalid value type at `.filterableAttributes[1].features.filter.equality`: expected a boolean, "
         "but found a positive integer: `1`"},
	{"filterable-attributes", "[[]]", FILTERABLE,
         "Invalid value type at `[0]`: expected a string, but found an array: `[]`"},
	{NULL, "{\"localizedAttributes\":[{\"attributePatterns\":[\"*_ja\"],\"locales\":[\"japan\"]}]}",
         LOCALIZED,
         "Unknown value `japan` at `.localizedAttributes[0].locales[0]`: expected one of `af`, `ak`, `am`, "},
	{NULL, "{\"localizedAttributes\":[{\"locales\":[\"jpn\"]}]}", LOCALIZED,
         "Missing field `attributePatterns` inside `.localizedAttributes[0]`"},
	{"localized-attributes", "[{\"attributePatterns\":[]}]", LOCALIZED,
         "Missing field `locales` inside `[0]`"},
	{NULL, "{\"embedders\":{\"default\":{\"source\":\"rest\"}}}", "invalid_settings_embedders",
         "Invalid value at `.embedders.default`: Millrace has no embedders"},
	{NULL, "{\"chat\":{}}", "feature_not_enabled", "Invalid value at `.chat`: Millrace does not have"},
	{"foreign-keys", "[]", "feature_not_enabled", "Invalid value: Millrace does not have this setting"},
};

static void test_refusals(void)
{
	for (size_t i = 0; i < LEN(refusal_rows); i++) {
		struct settings_refusal refusal = {0};
		struct buffer record;
		int rc;

		buffer_init(&record, SIZE_MAX);
		rc = change(settings_default(), refusal_rows[i].path, refusal_rows[i].body, &record,
		            &refusal);
		CU_ASSERT_EQUAL_FATAL(rc, ERROR_FORMAT);
		CU_ASSERT_STRING_EQUAL(refusal.code, refusal_rows[i].code);
		if (strncmp(refusal.text, refusal_rows[i].text, strlen(refusal_rows[i].text)) != 0)
			(void)fprintf(stderr, "got      %s\nexpected %s\n", refusal.text,
			              refusal_rows[i].text);
		CU_ASSERT_EQUAL(strncmp(refusal.text, refusal_rows[i].text, strlen(refusal_rows[i].text)), 0);
		CU_ASSERT_EQUAL(refusal.len, strlen(refusal.text));
		CU_ASSERT_EQUAL(record.len, 0);
		buffer_deinit(&record);
	}
}

/* ---- bounds ---- */

/* `before`, then `item` so many times, with commas, then `after`. */
static void fill(struct buffer *body, const char *before, const char *item, size_t times, const char *after)
{
	buffer_clear(body);
	buffer_append_string(body, before);
	for (size_t i = 0; i < times; i++) {
		buffer_append_string(body, i == 0 ? "" : ",");
		buffer_append_string(body, item);
	}
	buffer_append_string(body, after);
	buffer_put_u8(body, '\0');
}

static void check_bound(const char *path, const struct buffer *body, const char *text)
{
	struct settings_refusal refusal = {0};
	struct buffer record;
	int rc;

	buffer_init(&record, SIZE_MAX);
	rc = change(settings_default(), path, (const char *)body->ptr, &record, &refusal);
	CU_ASSERT_EQUAL(rc, text == NULL ? 0 : ERROR_LIMIT);
	if (text != NULL)
		CU_ASSERT_STRING_EQUAL(refusal.text, text);
	buffer_deinit(&record);
}

static void test_bounds(void)
{
	char name[SETTINGS_PATH_BYTES_MAX + 8];
	struct settings_refusal refusal;
	struct buffer body;

	buffer_init(&body, SIZE_MAX);
	fill(&body, "[", "\"a\"", SETTINGS_ATTRIBUTES_MAX, "]");
	check_bound("sortable-attributes", &body, NULL);
	fill(&body, "[", "\"a\"", SETTINGS_ATTRIBUTES_MAX + 1, "]");
	check_bound("sortable-attributes", &body,
	            "Invalid value: Millrace allows 1000 entries, but found 1001");
	check_bound("filterable-attributes", &body,
	            "Invalid value: Millrace allows 1000 entries, but found 1001");
	fill(&body, "[", "\"words\"", SETTINGS_RULES_MAX + 1, "]");
	check_bound("ranking-rules", &body, "Invalid value: Millrace allows 100 entries, but found 101");
	fill(&body, "[", "\"a:asc\"", SETTINGS_SORTS_MAX, "]");
	check_bound("ranking-rules", &body, NULL);
	fill(&body, "[", "\"a:asc\"", SETTINGS_SORTS_MAX + 1, "]");
	check_bound("ranking-rules", &body,
	            "Invalid value: Millrace allows 8 rules that sort by a field, but found 9");
	fill(&body, "[", "\"a\"", SETTINGS_WORDS_MAX, "]");
	check_bound("stop-words", &body, NULL);
	fill(&body, "[", "\"a\"", SETTINGS_WORDS_MAX + 1, "]");
	check_bound("stop-words", &body, "Invalid value: Millrace allows 50000 entries, but found 50001");
	fill(&body, "{\"b\":[\"c\"],\"a\":[", "\"a\"", SETTINGS_WORDS_MAX, "]}");
	check_bound("synonyms", &body,
	            "Invalid value: Millrace allows 50000 synonyms in all, but found more");
	fill(&body, "{\"a\":[", "\"123456789012\"", SETTINGS_WORDS_MAX, "]}");
	check_bound("synonyms", &body,
	            "The settings of an index take 750747 bytes; Millrace allows 524288: fewer stop words, "
	            "synonyms or words of the dictionary are needed.");
	memset(name, 'a', sizeof name);
	name[0] = name[SETTINGS_PATH_BYTES_MAX + 1] = '"';
	name[SETTINGS_PATH_BYTES_MAX + 2] = '\0';
	fill(&body, "[", name, 1, "]");
	check_bound("sortable-attributes", &body, NULL);
	name[SETTINGS_PATH_BYTES_MAX + 1] = 'a';
	name[SETTINGS_PATH_BYTES_MAX + 2] = '"';
	name[SETTINGS_PATH_BYTES_MAX + 3] = '\0';
	fill(&body, "[", name, 1, "]");
	check_bound("sortable-attributes", &body,
	            "Invalid value at `[0]`: Millrace allows 1024 bytes, but found 1025");
	fill(&body, "{\"stopWords\":\"x", "éé", 400, "\"}");
	CU_ASSERT_EQUAL(change(settings_default(), NULL, (const char *)body.ptr, &body, &refusal),
	                ERROR_FORMAT);
	CU_ASSERT_TRUE(refusal.len < SETTINGS_ECHO_BYTES_MAX + 100);
	buffer_deinit(&body);
}

/* ---- records ---- */

static const struct {
	const char *record;
	int code;
	const char *text;
} record_rows[] = {
	{"", ERROR_FORMAT, "settings: not JSON: empty text at byte 0"},
	{"[]", ERROR_FORMAT, "settings: no format"},
	{"{\"settings\":{}}", ERROR_FORMAT, "settings: no format"},
	{"{\"format\":\"1\",\"settings\":{}}", ERROR_FORMAT, "settings: no format"},
	{"{\"format\":2,\"settings\":{}}", ERROR_VERSION,
         "settings of format 2; this program knows 1: update it"},
	{"{\"format\":1}", ERROR_FORMAT, "settings: not the two members of their record"},
	{"{\"format\":1,\"settings\":{},\"more\":1}", ERROR_FORMAT,
         "settings: not the two members of their record"},
	{"{\"format\":1,\"settings\":[]}", ERROR_FORMAT,
         "settings: Invalid value type: expected an object, but found an array: `[]`"},
	{"{\"format\":1,\"settings\":{\"facetSearch\":0}}", ERROR_FORMAT,
         "settings: Invalid value type at `.facetSearch`: expected a boolean, but found a positive integer: "
         "`0`"},
	{"{\"format\":1,\"settings\":{\"rankingRules\":[\"attribute\",\"attributeRank\"]}}", ERROR_FORMAT,
         "settings: " MIXED},
};

static void test_records(void)
{
	struct settings *settings = NULL;
	struct error error;
	struct arena arena;

	arena_init(&arena, 4096);
	for (size_t i = 0; i < LEN(record_rows); i++) {
		int rc = settings_parse(slice_string(record_rows[i].record), &arena, &settings, &error);

		CU_ASSERT_EQUAL(rc, record_rows[i].code);
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
		CU_ASSERT_STRING_EQUAL(error.text, record_rows[i].text);
		CU_ASSERT_PTR_NULL(settings);
	}
	CU_ASSERT_EQUAL_FATAL(
		settings_parse(slice_string("{\"format\":1,\"settings\":{}}"), &arena, &settings, &error), 0);
	check_shown(settings, NULL, DEFAULTS);
	arena_deinit(&arena);
}

static void test_routes(void)
{
	static const char *const patched[] = {"typo-tolerance", "faceting", "pagination", "embedders",
	                                      "chat"};
	const struct settings_route *route;
	size_t patches = 0;
	size_t len = 0;

	for (; (route = settings_route_at(len)) != NULL; len++) {
		CU_ASSERT_PTR_EQUAL(settings_route_find(slice_string(route->path)), route);
		patches += route->method == SETTINGS_METHOD_PATCH;
	}
	CU_ASSERT_EQUAL(len, 22);
	CU_ASSERT_EQUAL(patches, LEN(patched));
	for (size_t i = 0; i < LEN(patched); i++)
		CU_ASSERT_EQUAL(settings_route_find(slice_string(patched[i]))->method, SETTINGS_METHOD_PATCH);
	CU_ASSERT_PTR_NULL(settings_route_find(slice_string("stopWords")));
}

/* ---- memory ---- */

#define EVERYTHING \
	"{\"displayedAttributes\":[\"a\"],\"filterableAttributes\":[\"a\",{\"attributePatterns\":[\"b\"]}]," \
	"\"sortableAttributes\":[\"a\"],\"rankingRules\":[\"words\",\"a:asc\"],\"stopWords\":[\"a\",\"b\"]," \
	"\"synonyms\":{\"a\":[\"b\"]},\"distinctAttribute\":\"a\",\"typoTolerance\":{\"disableOnWords\":[" \
	"\"a\"]}," \
	"\"faceting\":{\"sortFacetValuesBy\":{\"a\":\"count\"}},\"localizedAttributes\":[{" \
	"\"attributePatterns\":" \
	"[\"a\"],\"locales\":[\"en\"]}]}"

/* A change, its record read, and what it asks for; the error of the first that fails. */
static int run(const char *body, struct arena *arena)
{
	struct settings_effects effects;
	struct settings_refusal refusal;
	struct settings *settings;
	struct buffer record;
	struct error error = {0};
	int rc;

	buffer_init(&record, SIZE_MAX);
	rc = change(settings_default(), NULL, body, &record, &refusal);
	if (rc == 0) {
		rc = settings_parse(buffer_slice(&record), arena, &settings, &error);
		if (rc == 0)
			rc = settings_effects(settings_default(), settings, arena, &effects, &error);
		if (rc < 0)
			CU_ASSERT_EQUAL(error.action, ERROR_ACTION_RETRY);
	}
	buffer_deinit(&record);
	return rc;
}

static void sweep(const char *body, int expected)
{
	int rc = ERROR_MEMORY;
	long n = 0;

	for (; rc == ERROR_MEMORY && n < SWEEP_MAX; n++) {
		struct arena arena;

		arena_init(&arena, 64);
		allocations_left = n;
		rc = run(body, &arena);
		if (allocations_left < 0 && rc != ERROR_MEMORY)
			CU_FAIL("an allocation failed and nobody said so");
		allocations_left = -1;
		arena_deinit(&arena);
	}
	CU_ASSERT_EQUAL(rc, expected);
	CU_ASSERT_TRUE(n > 3);
}

static void test_out_of_memory(void)
{
	sweep(EVERYTHING, 0);
	sweep("{\"stopWords\":{\"a\":\"some text\"}}", ERROR_FORMAT);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"changes", test_changes}, {"refusals", test_refusals}, {"bounds", test_bounds},
		{"records", test_records}, {"routes", test_routes},     {"out of memory", test_out_of_memory},
		CU_TEST_INFO_NULL,
	};

	return suite_run("settings", tests);
}
