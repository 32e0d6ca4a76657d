/*
 * Conditions on places in a search: which documents they hold for, what is
 * refused and how, and that a log knows none of them.
 */
#include "shared/filter/filter_point.h"
#include "tests/unit/filter_bed.h"

#include <math.h>
#include <stdio.h>

#define SHAPE "{\"_geojson\":{\"type\":\"Point\",\"coordinates\":[2.3522,48.8566]},\"v\":1}"
#define PARIS "{\"_geo\":{\"lat\":48.8566,\"lng\":2.3522}}"
#define FORM " filter must be in the form: "
#define RADIUS_FORM "The `_geoRadius`" FORM "`_geoRadius(latitude, longitude, radius, optionalResolution)`."
#define BOX_FORM \
	"The `_geoBoundingBox` filter expects two pairs of arguments: `_geoBoundingBox([latitude, " \
	"longitude], " \
	"[latitude, longitude])`."
#define POLYGON_FORM "The `_geoPolygon`" FORM "`_geoPolygon([latitude, longitude], [latitude, longitude])`."

static int parse(const char *expression, struct arena *arena, struct filter **filter,
                 struct filter_refusal *refusal)
{
	struct buffer json;
	int result;

	buffer_init(&json, FILTER_EXPRESSION_BYTES_MAX);
	json_append_string(&json, slice_string(expression));
	result = filter_parse_search(buffer_slice(&json), &filter_bed_fold, arena, filter, refusal);
	buffer_deinit(&json);
	return result;
}

static const struct {
	const char *expression;
	const char *document;
	bool matches;
} matching[] = {
	{"_geoRadius(48.8566, 2.3522, 0)", PARIS, true},
	{"_geoRadius(48.8566, 2.3522, -1)", PARIS, false},
	/* to London, 343,556 m */
	{"_geoRadius(51.5074, -0.1278, 343557)", PARIS, true},
	{"_geoRadius(51.5074, -0.1278, 343555)", PARIS, false},
	{"NOT _geoRadius(51.5074, -0.1278, 343555)", PARIS, true},
	{" _geoRadius ( +5.15074e1 ,-.1278 , 4e5 , 125 ) AND v = 1",
         "{\"_geo\":{\"lat\":\"48.8566\",\"lng\":2},"
         "\"v\":1}",
         true},
	{"v = 1 OR (_geoRadius(0, 0, 20e6) AND NOT v = 2)", PARIS, true},
	{"_geoBoundingBox([49, 3], [48, 2])", PARIS, true},
	{"_geoBoundingBox([48.8566, 2.3522], [48.8566, 2.3522])", PARIS, true},
	{"_geoBoundingBox([48.85, 3], [48, 2])", PARIS, false},
	{"_geoBoundingBox([49, 2], [48, 3])", PARIS, false},
	{"_geoBoundingBox([49, 2.5][48, 3])", PARIS, true},
	{"_geoBoundingBox([10, -170], [-10, 170])", "{\"_geo\":{\"lat\":\" 0 \",\"lng\":\"-175\"}}", true},
	{"_geoBoundingBox([10, -170], [-10, 170])", "{\"_geo\":{\"lat\":0,\"lng\":175}}", true},
	{"_geoBoundingBox([10, -170], [-10, 170])", "{\"_geo\":{\"lat\":0,\"lng\":165}}", false},
	{"_geoBoundingBox([10, 180], [-10, -180])", "{\"_geo\":{\"lat\":0,\"lng\":165}}", true},
	{"_geoPolygon([80, -180], [80, 180], [-80, 180], [-80, -180])", PARIS, false},
	{"NOT _geoPolygon([80, -180])", PARIS, true},
	{"_geoRadius(0, 0, 3e7)", SHAPE, false},
	{"_geoBoundingBox([90, 180], [-90, -180])", SHAPE, false},
	{"_geoPolygon([49, 2], [49, 3], [48, 3], [48, 2]) AND v = 1", SHAPE, true},
	{"_geoPolygon([49, 3], [49, 4], [48, 4], [48, 3])", SHAPE, false},
	{"NOT _geoPolygon([49, 3], [49, 4], [48, 4], [48, 3])", SHAPE, true},
	{"_geoRadius(0, 0, 3e7)", "{\"v\":1}", false},
	{"_geoRadius(0, 0, 3e7)", "{\"_geo\":null}", false},
	{"_geoRadius(0, 0, 3e7)", "{\"_geo\":[{\"lat\":1,\"lng\":1}]}", false},
	{"_geoRadius(0, 0, 3e7)", "{\"_geo\":{\"lat\":1}}", false},
	{"_geoRadius(0, 0, 3e7)", "{\"_geo\":{\"lat\":1,\"lng\":\"east\"}}", false},
	{"_geoRadius(0, 0, 3e7)", "{\"_geo\":{\"lat\":1,\"lng\":true}}", false},
	{"_geoRadius(0, 0, 3e7)", "{\"_geo\":{\"lat\":1,\"lng\":1e999}}", false},
	{"_geoRadius(0, 0, 3e7)", "{\"_geo.lat\":1,\"_geo.lng\":1}", false},
	{"_geoRadius(9, 9, 1)", "{\"_geo\":{\"lat\":1,\"lng\":1},\"_geo\":{\"lat\":9,\"lng\":9}}", true},
};

static void test_matches(void)
{
	for (size_t i = 0; i < sizeof matching / sizeof matching[0]; i++) {
		struct filter_refusal refusal = {0};
		struct filter *filter = NULL;
		struct arena arena;

		arena_init(&arena, 1024);
		CU_ASSERT_EQUAL(parse(matching[i].expression, &arena, &filter, &refusal), 0);
		if (filter == NULL)
			printf("\n%s: %s\n", matching[i].expression, refusal.text);
		else if (filter_bed_matches(filter, matching[i].document) != matching[i].matches)
			printf("\n%s: %s\n", matching[i].expression, matching[i].document);
		CU_ASSERT_FATAL(filter != NULL);
		CU_ASSERT_EQUAL(filter_bed_matches(filter, matching[i].document), matching[i].matches);
		arena_deinit(&arena);
	}
}

static const struct {
	const char *expression;
	const char *text;
	const char *columns;
} refusals[] = {
	{"_geoRadius('48.8', '2.3', 30000)", RADIUS_FORM, "12:33"},
	{"_geoRadius(48, 2)", "Was expecting 3 or 4 arguments for `_geoRadius`, but instead found 2.",
         "18:18"},
	{"_geoRadius(48, 2, 10, 3, 4)",
         "Was expecting 3 or 4 arguments for `_geoRadius`, but instead found 5.", "28:28"},
	{"_geoRadius(a, 2, 10)", RADIUS_FORM, "12:21"},
	{"_geoRadius 48", RADIUS_FORM, "11:14"},
	{"_geoRadius(48, 2, 10", RADIUS_FORM, "21:21"},
	{"_geoRadius()", RADIUS_FORM, "12:13"},
	{"_geoRadius(48, 2, 1e999)", RADIUS_FORM, "19:25"},
	{"_geoRadius = 1", RADIUS_FORM, "11:15"},
	{"_geoBoundingBox([1,2])", BOX_FORM, "23:23"},
	{"_geoBoundingBox([1,2],[3])", "Was expecting 2 coordinates but instead found 1.", "24:25"},
	{"_geoBoundingBox(1,2,3,4)", BOX_FORM, "17:25"},
	{"_geoBoundingBox([1,2],[3,4],[5,6])", BOX_FORM, "35:35"},
	{"_geoBoundingBox([1,2],[3,4]", BOX_FORM, "28:28"},
	{"_geoBoundingBox([1,2],[3,4)", BOX_FORM, "27:28"},
	{"_geoPolygon([1,2],[3,4,5],[6])", "Was expecting 2 coordinates but instead found 3.", "20:25"},
	{"_geoPolygon(1)", POLYGON_FORM, "13:15"},
	{"_geoPolygon", POLYGON_FORM, "12:12"},
};

static void test_refusals(void)
{
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		struct filter_refusal refusal = {0};
		struct filter *filter = NULL;
		char expected[1024];
		struct arena arena;

		arena_init(&arena, 1024);
		snprintf(expected, sizeof expected, "%s\n%s %s", refusals[i].text, refusals[i].columns,
		         refusals[i].expression);
		CU_ASSERT_EQUAL(parse(refusals[i].expression, &arena, &filter, &refusal), ERROR_FORMAT);
		CU_ASSERT_STRING_EQUAL(refusal.text, expected);
		if (strcmp(refusal.text, expected) != 0)
			printf("\n%s\nnot %s\n", refusal.text, expected);
		CU_ASSERT_PTR_NULL(filter);
		arena_deinit(&arena);
	}
}

/* Behind what is read: NULL if it is on the globe. */
static const struct {
	const char *expression;
	const char *text;
} judged[] = {
	{"_geoRadius(90, -180, 1)", NULL},
	{"_geoRadius(91, 2, 10)",
         "Bad latitude `91`. Latitude must be contained between -90 and 90 degrees."},
	{"_geoRadius(48, 181, 10)", "Bad longitude `181`. Longitude must be contained between -180 and 180 "
                                    "degrees. Hint: try using `-179` "
                                    "instead."},
	{"_geoRadius(48, -540.5, 10)",
         "Bad longitude `-540.5`. Longitude must be contained between -180 and 180 degrees. Hint: try using "
         "`179.5` instead."},
	{"_geoBoundingBox([91,2],[3,4])",
         "Bad latitude `91`. Latitude must be contained between -90 and 90 degrees."},
	{"_geoBoundingBox([1,2],[3,4])", "The top latitude `1` is below the bottom latitude `3`."},
	{"_geoBoundingBox([3,2],[3,4])", NULL},
	{"_geoBoundingBox([1,2],[3,400])", "Bad longitude `400`. Longitude must be contained between -180 "
                                           "and 180 degrees. Hint: try using `40` "
                                           "instead."},
	{"_geoPolygon([1,2],[3,4],[-90.5,6])",
         "Bad latitude `-90.5`. Latitude must be contained between -90 and 90 degrees."},
	{"_geoPolygon([1,2],[3,4],[5,6])", NULL},
};

static void test_judged(void)
{
	for (size_t i = 0; i < sizeof judged / sizeof judged[0]; i++) {
		struct filter_refusal refusal = {0};
		struct filter *filter = NULL;
		struct arena arena;

		arena_init(&arena, 1024);
		CU_ASSERT_EQUAL_FATAL(parse(judged[i].expression, &arena, &filter, &refusal), 0);
		CU_ASSERT(
			slice_equal(filter->field,
		                    slice_string(filter->kind == FILTER_KIND_POLYGON ? "_geojson" : "_geo")));
		CU_ASSERT_EQUAL(filter_check_place(filter, &refusal),
		                judged[i].text == NULL ? 0 : ERROR_FORMAT);
		CU_ASSERT_STRING_EQUAL(refusal.text, judged[i].text == NULL ? "" : judged[i].text);
		arena_deinit(&arena);
	}
}

/* A filter of a log holds none, wherever it stands. */
static void test_log(void)
{
	for (size_t i = 0; i < sizeof judged / sizeof judged[0]; i++) {
		struct filter_refusal refusal = {0};
		struct filter *filter = NULL;
		struct arena arena;

		arena_init(&arena, 1024);
		CU_ASSERT_EQUAL(filter_bed_parse(judged[i].expression, &arena, &filter, &refusal),
		                ERROR_FORMAT);
		CU_ASSERT_PTR_NOT_NULL(strstr(refusal.text, "is not available in this version"));
		arena_deinit(&arena);
	}
}

/* What Meilisearch has as a feature is refused as such where it is searched for, and nowhere else. */
static void test_vectors(void)
{
	static const struct {
		const char *expression;
		bool lacks_feature;
		const char *position;
	} rows[] = {
		{"_vectors EXISTS", true, "\n1:9 _vectors EXISTS"},
		{"é = 1 OR NOT  _vectors.a.regenerate EXISTS", true, "\n15:23 é = 1 OR"},
		{"_vectors = 1", true, "\n1:9 "},
		{"_foreign(a, b = 1)", false, "\n1:19 "},
		{"v = ", false, "\n5:5 "},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct filter_refusal refusal = {.lacks_feature = !rows[i].lacks_feature};
		struct filter *filter = NULL;
		struct arena arena;

		arena_init(&arena, 1024);
		CU_ASSERT_EQUAL(parse(rows[i].expression, &arena, &filter, &refusal), ERROR_FORMAT);
		CU_ASSERT_EQUAL(refusal.lacks_feature, rows[i].lacks_feature);
		CU_ASSERT_PTR_NOT_NULL(strstr(refusal.text, rows[i].position));
		CU_ASSERT_EQUAL(strstr(refusal.text, "using a vector filter") != NULL, rows[i].lacks_feature);
		CU_ASSERT_EQUAL(filter_bed_parse(rows[i].expression, &arena, &filter, &refusal),
		                ERROR_FORMAT);
		CU_ASSERT_FALSE(refusal.lacks_feature);
		arena_deinit(&arena);
	}
}

static void test_distances(void)
{
	static const struct {
		struct point one;
		struct point other;
		double metres;
	} rows[] = {
		{{0, 0}, {0, 0}, 0},
		{{0, 0}, {0, 180}, 20015087},
		{{90, 0}, {-90, 77}, 20015087},
		{{0, 179.5}, {0, -179.5}, 111195},
		{{48.8566, 2.3522}, {51.5074, -0.1278}, 343556},
		{{-33.8688, 151.2093}, {40.7128, -74.006}, 15988756},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		double metres = point_distance(&rows[i].one, &rows[i].other);

		CU_ASSERT_DOUBLE_EQUAL(point_whole_metres(metres), rows[i].metres, 0);
		CU_ASSERT_DOUBLE_EQUAL(point_distance(&rows[i].other, &rows[i].one), metres, 1e-6);
	}
	CU_ASSERT_DOUBLE_EQUAL(point_whole_metres(2.5), 2, 0);
	CU_ASSERT_DOUBLE_EQUAL(point_whole_metres(3.5), 4, 0);
}

int main(void)
{
	CU_TestInfo tests[] = {{"what they hold for", test_matches},
	                       {"refusals", test_refusals},
	                       {"places that are none", test_judged},
	                       {"none in a log", test_log},
	                       {"vectors", test_vectors},
	                       {"distances", test_distances},
	                       CU_TEST_INFO_NULL};

	return suite_run("filter places", tests);
}
