/*
 * What settings mean for a path, and what a change of them asks of replicas.
 */
#include "shared/settings/settings.h"

#include "tests/unit/suite.h"

#include <stdio.h>

#define LEN(array) (sizeof(array) / sizeof *(array))

/* These over `now`. */
static struct settings *read_over(const struct settings *now, const char *body, struct arena *arena)
{
	struct settings_request request = {.body = slice_string(body)};
	struct settings_refusal refusal;
	struct settings *settings = NULL;
	struct buffer record;
	struct error error;

	buffer_init(&record, SIZE_MAX);
	CU_ASSERT_EQUAL_FATAL(settings_change(now, &request, &record, &refusal), 0);
	CU_ASSERT_EQUAL_FATAL(settings_parse(buffer_slice(&record), arena, &settings, &error), 0);
	buffer_deinit(&record);
	return settings;
}

static const struct {
	const char *pattern;
	const char *path;
	bool matches;
	bool covers;
} pattern_rows[] = {
	{"a", "a", true, true},       {"a", "a.b", false, true},   {"a", "ab", false, false},
	{"a.b", "a", false, false},   {"*", "", true, false},      {"*", "a", true, false},
	{"a*", "a", true, false},     {"a*", "ab.c", true, false}, {"a*", "ba", false, false},
	{"*a", "ba", true, false},    {"*a", "ab", false, false},  {"*a*", "bab", true, false},
	{"*a*", "b", false, false},   {"**", "", true, false},     {"a*b", "a*b", true, true},
	{"a*b", "acb", false, false}, {"", "", true, true},        {"", ".a", false, true},
	{"*.b", "a.b", true, false},  {"a.*", "a.b", true, false}, {"a.*", "a", false, false},
};

static void test_patterns(void)
{
	for (size_t i = 0; i < LEN(pattern_rows); i++) {
		struct slice pattern = slice_string(pattern_rows[i].pattern);
		struct slice path = slice_string(pattern_rows[i].path);

		CU_ASSERT_EQUAL(settings_matches(pattern, path), pattern_rows[i].matches);
		CU_ASSERT_EQUAL(settings_covers(pattern, path), pattern_rows[i].covers);
	}
}

static const struct {
	const char *path;
	int features; /* facet search 4, equality 2, comparison 1; -1: none */
	bool sortable;
	size_t weight;
	bool by_count;
} path_rows[] = {
	{"v", 7, true, 1, false},
	{"v.x", 7, true, 1, true},
	{"w", 2, false, SETTINGS_NOT_SEARCHED, true},
	{"w.x", -1, false, 0, true},
	{"q1", 5, true, 2, true},
	{"x.end", 7, false, SETTINGS_NOT_SEARCHED, true},
	{"x.end.y", 7, false, SETTINGS_NOT_SEARCHED, true},
	{"vx", -1, false, SETTINGS_NOT_SEARCHED, true},
};

static void test_paths(void)
{
	struct arena arena;
	const struct settings *settings;

	arena_init(&arena, 4096);
	settings = read_over(
		settings_default(),
		"{\"filterableAttributes\":[\"v\",{\"attributePatterns\":[\"w\"]},\"*.end\","
		"{\"attributePatterns\":[\"q*\",\"w\"],\"features\":{\"facetSearch\":true,\"filter\":{"
		"\"equality\":false,\"comparison\":true}}}],\"sortableAttributes\":[\"v\",\"q*\"],"
		"\"searchableAttributes\":[\"w.x\",\"v\",\"q1\"],\"faceting\":{\"sortFacetValuesBy\":{"
		"\"*\":\"count\",\"v\":\"alpha\"}}}",
		&arena);
	for (size_t i = 0; i < LEN(path_rows); i++) {
		struct slice path = slice_string(path_rows[i].path);
		const struct settings_features *features = settings_filterable(settings, path);
		int bits = features == NULL ? -1
		                            : features->facet_search * 4 + features->equality * 2 +
		                                      features->comparison;

		CU_ASSERT_EQUAL(bits, path_rows[i].features);
		CU_ASSERT_EQUAL(settings_is_sortable(settings, path), path_rows[i].sortable);
		CU_ASSERT_EQUAL(settings_weight(settings, path), path_rows[i].weight);
		CU_ASSERT_EQUAL(settings_facet_by_count(settings, path), path_rows[i].by_count);
	}
	CU_ASSERT_EQUAL(settings_weight(settings_default(), slice_string("any")), 0);
	arena_deinit(&arena);
}

/* ---- effects ---- */

static const struct {
	const char *body;
	bool values;
	bool words;
	const char *attributes; /* each with a space behind it */
} effect_rows[] = {
	{"{}", false, false, "d r s f "},
	{"{\"filterableAttributes\":[\"f\",\"s\",\"p*\",{\"attributePatterns\":[\"*\",\"g\"]}]}", true, false,
         "d r s f g "},
	{"{\"sortableAttributes\":[\"t\"]}", true, false, "d r t f s "},
	{"{\"distinctAttribute\":null}", true, false, "r d s f "},
	{"{\"rankingRules\":[\"words\"]}", true, false, "d s f "},
	{"{\"rankingRules\":[\"r:desc\"]}", false, false, "d r s f "},
	{"{\"stopWords\":[\"a\"]}", false, true, "d r s f "},
	{"{\"stopWords\":[]}", false, false, "d r s f "},
	{"{\"separatorTokens\":[\"a\"]}", false, true, "d r s f "},
	{"{\"nonSeparatorTokens\":[\"a\"]}", false, true, "d r s f "},
	{"{\"dictionary\":[\"a\"]}", false, true, "d r s f "},
	{"{\"localizedAttributes\":[]}", false, true, "d r s f "},
	{"{\"searchableAttributes\":[\"a\"],\"synonyms\":{\"a\":[]},\"typoTolerance\":{\"enabled\":false},"
         "\"faceting\":{\"maxValuesPerFacet\":1},\"pagination\":{\"maxTotalHits\":1},\"prefixSearch\":"
         "\"disabled\",\"proximityPrecision\":\"byAttribute\",\"displayedAttributes\":[]}",
         false, false, "d r s f "},
};

static void test_effects(void)
{
	struct settings_effects effects;
	struct settings *before;
	struct error error;
	struct arena arena;
	char text[64];

	arena_init(&arena, 4096);
	before = read_over(settings_default(),
	                   "{\"distinctAttribute\":\"d\",\"rankingRules\":[\"words\",\"r:asc\"],"
	                   "\"sortableAttributes\":[\"s\",\"d\"],\"filterableAttributes\":[\"f\",\"s\"]}",
	                   &arena);
	for (size_t i = 0; i < LEN(effect_rows); i++) {
		struct settings *after = read_over(before, effect_rows[i].body, &arena);
		size_t len = 0;

		CU_ASSERT_EQUAL_FATAL(settings_effects(before, after, &arena, &effects, &error), 0);
		CU_ASSERT_EQUAL(effects.values, effect_rows[i].values);
		CU_ASSERT_EQUAL(effects.words, effect_rows[i].words);
		for (size_t a = 0; a < effects.attributes.len; a++)
			len += (size_t)snprintf(text + len, sizeof text - len, "%.*s ",
			                        SLICE_ARGS(effects.attributes.list[a]));
		CU_ASSERT_STRING_EQUAL(text, effect_rows[i].attributes);
	}
	arena_deinit(&arena);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"patterns", test_patterns},
		{"paths", test_paths},
		{"effects", test_effects},
		CU_TEST_INFO_NULL,
	};

	return suite_run("settings: fields", tests);
}
