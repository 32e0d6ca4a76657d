/*
 * Shapes of documents and polygons: literal answers for every kind of shape
 * and for what is none; and random ones, of which the answer is the same with
 * the corners told from elsewhere, the other way round, with one more on an
 * edge, and with polygon and shape in each other's place.
 */
#include "tests/unit/filter_bed.h"

#define ROUNDS 4000
#define CORNERS_MAX 6
#define GRID 9 /* so small that corners and edges lie on each other */
#define SQUARE "_geoPolygon([0, 0], [0, 10], [10, 10], [10, 0])"
#define SHAPE(type, coordinates) "{\"type\":\"" type "\",\"coordinates\":" coordinates "}"

static uint64_t dice_state;

/* splitmix64 */
static size_t dice(size_t n)
{
	uint64_t z = dice_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (size_t)((z ^ z >> 31) % n);
}

static bool holds(const char *expression, const char *document)
{
	struct filter_refusal refusal = {0};
	struct filter *filter = NULL;
	struct buffer json;
	struct arena arena;
	bool matches;

	arena_init(&arena, 4096);
	buffer_init(&json, FILTER_EXPRESSION_BYTES_MAX);
	json_append_string(&json, slice_string(expression));
	CU_ASSERT_EQUAL_FATAL(
		filter_parse_search(buffer_slice(&json), &filter_bed_fold, &arena, &filter, &refusal), 0);
	matches = filter_bed_matches(filter, document);
	buffer_deinit(&json);
	arena_deinit(&arena);
	return matches;
}

static const struct {
	const char *polygon;
	const char *shape;
	bool meets;
} rows[] = {
	{SQUARE, SHAPE("Point", "[5,4]"), true},
	{SQUARE, SHAPE("Point", "[5,4,1000]"), true},
	{SQUARE, SHAPE("Point", "[11,4]"), false},
	{SQUARE, SHAPE("Point", "[-1,10]"), false},
	/* edges and corners */
	{SQUARE, SHAPE("Point", "[10,4]"), true},
	{SQUARE, SHAPE("Point", "[0,4]"), true},
	{SQUARE, SHAPE("Point", "[4,0]"), true},
	{SQUARE, SHAPE("Point", "[4,10]"), true},
	{SQUARE, SHAPE("Point", "[10,10]"), true},
	{SQUARE, SHAPE("Point", "[0,0]"), true},
	/* longitude first in shapes, latitude in filters */
	{"_geoPolygon([40, 0], [40, 5], [50, 5], [50, 0])", SHAPE("Point", "[2.35,48.85]"), true},
	{"_geoPolygon([40, 0], [40, 5], [50, 5], [50, 0])", SHAPE("Point", "[48.85,2.35]"), false},
	{SQUARE, SHAPE("MultiPoint", "[[11,4],[20,20],[1,1]]"), true},
	{SQUARE, SHAPE("MultiPoint", "[[11,4],[20,20]]"), false},
	{SQUARE, SHAPE("MultiPoint", "[]"), false},
	/* lines that end inside, cross, touch a corner, pass by */
	{SQUARE, SHAPE("LineString", "[[20,5],[5,5]]"), true},
	{SQUARE, SHAPE("LineString", "[[-5,5],[20,6]]"), true},
	{SQUARE, SHAPE("LineString", "[[5,15],[15,5]]"), true},
	{SQUARE, SHAPE("LineString", "[[5,16],[16,5]]"), false},
	{SQUARE, SHAPE("LineString", "[[10,20],[10,11]]"), false},
	{SQUARE, SHAPE("LineString", "[[10,20],[10,10]]"), true},
	{SQUARE, SHAPE("LineString", "[[2,2],[3,3],[2,3]]"), true},
	{SQUARE, SHAPE("LineString", "[[11,0],[11,11],[-1,11]]"), false},
	{SQUARE, SHAPE("MultiLineString", "[[[11,0],[11,11]],[[11,11],[9,9]]]"), true},
	{SQUARE, SHAPE("MultiLineString", "[[[11,0],[11,11]],[[11,11],[12,9]]]"), false},
	/* polygons inside, around, across, beside; closed or not */
	{SQUARE, SHAPE("Polygon", "[[[2,2],[3,2],[3,3],[2,2]]]"), true},
	{SQUARE, SHAPE("Polygon", "[[[2,2],[3,2],[3,3]]]"), true},
	{SQUARE, SHAPE("Polygon", "[[[-5,-5],[20,-5],[20,20],[-5,20],[-5,-5]]]"), true},
	{SQUARE, SHAPE("Polygon", "[[[-5,-5],[-5,20],[20,20],[20,-5]]]"), true},
	{SQUARE, SHAPE("Polygon", "[[[4,-5],[6,-5],[6,15],[4,15],[4,-5]]]"), true},
	{SQUARE, SHAPE("Polygon", "[[[11,0],[20,0],[20,10],[11,0]]]"), false},
	{SQUARE, SHAPE("Polygon", "[[[11,10],[20,10],[20,0],[30,20],[10.5,20]]]"), false},
	/* the last edge, which closes it, alone meets */
	{SQUARE, SHAPE("Polygon", "[[[-5,12],[12,12],[12,-5]]]"), true},
	{SQUARE, SHAPE("LineString", "[[-5,12],[12,12],[12,-5]]"), false},
	/* in a hole; a hole in it; in a hole that is too small */
	{SQUARE, SHAPE("Polygon", "[[[-5,-5],[20,-5],[20,20],[-5,20]],[[-1,-1],[11,-1],[11,11],[-1,11]]]"),
         false},
	{SQUARE, SHAPE("Polygon", "[[[-5,-5],[20,-5],[20,20],[-5,20]],[[2,2],[3,2],[3,3]]]"), true},
	{SQUARE, SHAPE("Polygon", "[[[-5,-5],[20,-5],[20,20],[-5,20]],[[-1,-1],[9,-1],[9,11],[-1,11]]]"),
         true},
	{SQUARE, SHAPE("MultiPolygon", "[[[[11,0],[20,0],[20,10]]],[[[9,9],[20,9],[20,20]]]]"), true},
	{SQUARE, SHAPE("MultiPolygon", "[[[[11,0],[20,0],[20,10]]],[[[11,9],[20,9],[20,20]]]]"), false},
	/* two polygons of one shape lie around: they have no hole in common */
	{SQUARE,
         SHAPE("MultiPolygon", "[[[[-5,-5],[20,-5],[20,20],[-5,20]]],[[[-6,-6],[21,-6],[21,21],[-6,21]]]]"),
         true},
	{SQUARE,
         "{\"type\":\"GeometryCollection\",\"geometries\":[" SHAPE("Point", "[50,50]") "," SHAPE(
		 "LineString", "[[5,5],[50,50]]") "]}",
         true},
	/* a line crosses the way out of a corner, the polygon beside it does not */
	{SQUARE,
         "{\"type\":\"GeometryCollection\",\"geometries\":[" SHAPE(
		 "LineString", "[[20,-5],[20,5]]") "," SHAPE("Polygon", "[[[11,20],[20,20],[20,30]]]") "]}",
         false},
	{SQUARE, "{\"type\":\"GeometryCollection\",\"geometries\":[]}", false},
	{SQUARE, "{\"type\":\"Feature\",\"properties\":null,\"geometry\":" SHAPE("Point", "[5,5]") "}", true},
	{SQUARE, "{\"type\":\"Feature\",\"geometry\":null}", false},
	{SQUARE,
         "{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"geometry\":null},{\"type\":"
         "\"Feature\",\"geometry\":" SHAPE("Point", "[5,5]") "}]}",
         true},
	/* polygons that are a point, a line, not convex, that cross themselves */
	{"_geoPolygon([5, 4])", SHAPE("Point", "[4,5]"), true},
	{"_geoPolygon([5, 4])", SHAPE("Point", "[4,6]"), false},
	{"_geoPolygon([5, 4])", SHAPE("Polygon", "[[[0,0],[10,0],[10,10],[0,10]]]"), true},
	{"_geoPolygon([0, 0], [10, 10])", SHAPE("Point", "[5,5]"), true},
	{"_geoPolygon([0, 0], [10, 10])", SHAPE("Point", "[5,4]"), false},
	{"_geoPolygon([0, 0], [10, 10])", SHAPE("LineString", "[[5,0],[0,5]]"), true},
	{"_geoPolygon([0, 0], [0, 10], [5, 5], [10, 10], [10, 0])", SHAPE("Point", "[8,5]"), false},
	{"_geoPolygon([0, 0], [0, 10], [5, 5], [10, 10], [10, 0])", SHAPE("Point", "[8,2]"), true},
	{"_geoPolygon([0, 0], [0, 10], [5, 5], [10, 10], [10, 0])", SHAPE("Point", "[1,5]"), true},
	{"_geoPolygon([0, 0], [10, 10], [0, 10], [10, 0])", SHAPE("Point", "[5,2]"), false},
	{"_geoPolygon([0, 0], [10, 10], [0, 10], [10, 0])", SHAPE("Point", "[1,5]"), true},
	/* none */
	{SQUARE, "null", false},
	{SQUARE, "{}", false},
	{SQUARE, "[5,5]", false},
	{SQUARE, "\"Point\"", false},
	{SQUARE, "{\"type\":\"Point\"}", false},
	{SQUARE, "{\"coordinates\":[5,5]}", false},
	{SQUARE, SHAPE("point", "[5,5]"), false},
	{SQUARE, SHAPE("Point", "[5]"), false},
	{SQUARE, SHAPE("Point", "[\"5\",\"5\"]"), false},
	{SQUARE, SHAPE("Point", "[5,null]"), false},
	{SQUARE, SHAPE("Point", "[5,1e999]"), false},
	{SQUARE, SHAPE("Point", "{\"0\":5,\"1\":5}"), false},
	{SQUARE, SHAPE("LineString", "[5,5]"), false},
	{SQUARE, SHAPE("LineString", "[[5,5],[6]]"), false},
	{SQUARE, SHAPE("Polygon", "[[5,5],[6,5],[6,6]]"), false},
	{SQUARE, SHAPE("Polygon", "[[[5,5],[6,5],[6,6]],7]"), false},
	{SQUARE, SHAPE("MultiPolygon", "[[[5,5],[6,5],[6,6]]]"), false},
	{SQUARE, "{\"type\":\"GeometryCollection\",\"geometries\":[" SHAPE("Point", "[5,5]") ",{}]}", false},
	{SQUARE, "{\"type\":\"Feature\"}", false},
	{SQUARE, "{\"type\":\"Feature\",\"geometry\":7}", false},
};

static void test_literal(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char document[1024];

		(void)snprintf(document, sizeof document, "{\"_geojson\":%s}", rows[i].shape);
		if (holds(rows[i].polygon, document) != rows[i].meets)
			printf("\n%s: %s\n", rows[i].polygon, document);
		CU_ASSERT_EQUAL(holds(rows[i].polygon, document), rows[i].meets);
	}
	CU_ASSERT_TRUE(holds(SQUARE, "{\"_geojson\":7,\"_geojson\":" SHAPE("Point", "[5,5]") "}"));
	CU_ASSERT_FALSE(holds(SQUARE, "{\"_geojson.type\":\"Point\",\"_geojson.coordinates\":[5,5]}"));
	CU_ASSERT_FALSE(holds(SQUARE, "{\"a\":{\"_geojson\":" SHAPE("Point", "[5,5]") "}}"));
	CU_ASSERT_FALSE(holds(SQUARE, "{\"_geo\":{\"lat\":5,\"lng\":5}}"));
}

/* ---- random ---- */

struct corners {
	size_t len;
	int at[2 * CORNERS_MAX + 2]; /* latitude, longitude */
};

static struct corners drawn(void)
{
	struct corners corners = {.len = 1 + dice(CORNERS_MAX)};

	for (size_t i = 0; i < 2 * corners.len; i++)
		corners.at[i] = 4 * (int)dice(GRID);
	return corners;
}

/* From another corner on, in the other direction. */
static struct corners turned(const struct corners *corners)
{
	struct corners other = {.len = corners->len};
	size_t from = dice(corners->len);

	for (size_t i = 0; i < corners->len; i++)
		memcpy(other.at + 2 * i, corners->at + 2 * ((from + corners->len - i) % corners->len),
		       2 * sizeof corners->at[0]);
	return other;
}

/* One more in the middle of the edge that closes it. */
static struct corners lengthened(const struct corners *corners)
{
	struct corners other = *corners;
	const int *last = corners->at + 2 * (corners->len - 1);

	other.at[2 * other.len] = (corners->at[0] + last[0]) / 2;
	other.at[2 * other.len + 1] = (corners->at[1] + last[1]) / 2;
	other.len++;
	return other;
}

static bool meet(const struct corners *polygon, const struct corners *shape)
{
	struct buffer expression;
	struct buffer document;
	bool found;

	buffer_init(&expression, SIZE_MAX);
	buffer_init(&document, SIZE_MAX);
	buffer_append_string(&expression, "_geoPolygon(");
	buffer_append_string(&document, "{\"_geojson\":{\"type\":\"Polygon\",\"coordinates\":[[");
	for (size_t i = 0; i < polygon->len; i++)
		buffer_printf(&expression, "%s[%d, %d]", i == 0 ? "" : ", ", polygon->at[2 * i],
		              polygon->at[2 * i + 1]);
	for (size_t i = 0; i < shape->len; i++)
		buffer_printf(&document, "%s[%d,%d]", i == 0 ? "" : ",", shape->at[2 * i + 1],
		              shape->at[2 * i]);
	buffer_append_string(&expression, ")");
	buffer_put_u8(&expression, 0);
	buffer_append_string(&document, "]]}}");
	buffer_put_u8(&document, 0);
	found = holds((const char *)expression.ptr, (const char *)document.ptr);
	buffer_deinit(&expression);
	buffer_deinit(&document);
	return found;
}

static void test_random(void)
{
	size_t meeting = 0;

	for (size_t i = 0; i < ROUNDS; i++) {
		struct corners polygon = drawn();
		struct corners shape = drawn();
		struct corners polygon_turned = turned(&polygon);
		struct corners shape_turned = turned(&shape);
		struct corners polygon_lengthened = lengthened(&polygon);
		struct corners shape_lengthened = lengthened(&shape);
		bool meets = meet(&polygon, &shape);

		meeting += meets;
		CU_ASSERT_EQUAL(meet(&shape, &polygon), meets);
		CU_ASSERT_EQUAL(meet(&polygon_turned, &shape), meets);
		CU_ASSERT_EQUAL(meet(&polygon, &shape_turned), meets);
		CU_ASSERT_EQUAL(meet(&polygon_lengthened, &shape), meets);
		CU_ASSERT_EQUAL(meet(&polygon, &shape_lengthened), meets);
	}
	CU_ASSERT_TRUE(meeting > ROUNDS / 5 && meeting < ROUNDS * 9 / 10);
}

int main(void)
{
	CU_TestInfo tests[] = {{"literal", test_literal}, {"random", test_random}, CU_TEST_INFO_NULL};

	return suite_run("filter shape", tests);
}
