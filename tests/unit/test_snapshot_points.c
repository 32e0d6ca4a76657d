/*
 * Places and shapes of documents, and conditions on them: literal answers,
 * wherever the documents stand and whatever is kept of them; and random ones,
 * well formed and not, while a replica receives, merges, stores, compacts,
 * restarts and gets and loses the attribute, beside what their bodies say.
 */
#include "tests/unit/values_bed.h"

#include "shard/core/snapshot_filter.h"
#include "shard/core/snapshot_points.h"
#include "shard/core/snapshot_values.h"

#define WORLDS 40
#define STEPS 40

static const char *const names[] = {"_geo", "v", "_geojson"};

static const struct {
	const char *body;
	const char *point; /* "": none */
} documents[] = {
	{"{\"_geo\":{\"lat\":48.8566,\"lng\":2.3522},\"v\":1}", "48.8566 2.3522"},
	{"{\"_geo\":{\"lat\":\"51.5\",\"lng\":\" -0.125 \"},\"v\":1}", "51.5 -0.125"},
	{"{\"v\":1}", ""},
	{"{\"_geo\":null}", ""},
	{"{\"_geo\":{\"lat\":0,\"lng\":-0.0}}", "0 -0"},
	{"{\"_geo\":{\"lat\":\"north\",\"lng\":1}}", ""},
	{"{\"_geo\":[{\"lat\":48,\"lng\":2}],\"v\":2}", ""},
	{"{\"_geojson\":{\"type\":\"Point\",\"coordinates\":[2.5,48.5]},\"v\":1}", ""},
	{"{\"_geojson\":7}", ""},
};

static const struct {
	const char *expression;
	const char *found; /* documents */
	uint64_t bodies;   /* read while nothing is kept */
	uint64_t kept;     /* read where all is kept */
} rows[] = {
	{"_geoRadius(48.8, 2.3, 10000)", "0", 9, 0},
	{"_geoRadius(48.8, 2.3, 400000)", "01", 9, 0},
	{"NOT _geoRadius(48.8, 2.3, 400000)", "2345678", 9, 0},
	{"_geoBoundingBox([60, 180], [-60, -180]) AND v = 1", "01", 9, 0},
	{"_geoBoundingBox([1, 1], [-1, -1]) OR v = 2", "46", 9, 0},
	{"_geoPolygon([50, 0], [50, 5], [45, 5], [45, 0])", "7", 9, 2},
	{"_geoPolygon([50, 3], [50, 5], [45, 5], [45, 3])", "", 9, 2},
	{"NOT _geoPolygon([50, 0], [50, 5], [45, 5], [45, 0])", "01234568", 9, 2},
	{"_geoPolygon([50, 0], [50, 5], [45, 5], [45, 0]) AND v = 1", "7", 9, 1},
	{"_geoPolygon([50, 0], [50, 5], [45, 5], [45, 0]) OR v = 1", "0127", 9, 1},
};

/* ---- asking ---- */

static struct filter *parsed(struct world *world, const char *expression, struct arena *arena)
{
	struct filter_fold fold = {append_folded, world->words};
	struct filter_refusal refusal;
	struct filter *filter = NULL;
	struct buffer json;

	buffer_init(&json, 4096);
	json_append_string(&json, slice_string(expression));
	CU_ASSERT_EQUAL_FATAL(filter_parse_search(buffer_slice(&json), &fold, arena, &filter, &refusal), 0);
	buffer_deinit(&json);
	return filter;
}

/* How many bodies were read. */
static uint64_t filtered(struct world *world, const struct snapshot *snapshot, const struct filter *filter,
                         bool found[IDS])
{
	struct filter_cost cost = {.keys = 0};
	struct postings numbers;
	struct error error;

	postings_init(&numbers);
	CU_ASSERT_EQUAL_FATAL(snapshot_filter(snapshot, world->words, filter, &numbers, &cost, &error), 0);
	documents_of(world->model, snapshot, &numbers, found);
	postings_deinit(&numbers);
	return cost.bodies;
}

static void live_of(struct world *world, const struct snapshot *snapshot, struct postings *live)
{
	struct filter_cost cost = {.keys = 0};
	struct error error;

	CU_ASSERT_EQUAL_FATAL(snapshot_filter(snapshot, world->words, NULL, live, &cost, &error), 0);
}

/* ---- literal answers ---- */

static void check_filters(struct world *world, const struct snapshot *snapshot, bool is_kept)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena arena;
		bool found[IDS];
		uint64_t bodies;

		arena_init(&arena, 4096);
		bodies = filtered(world, snapshot, parsed(world, rows[i].expression, &arena), found);
		for (size_t k = 0; k < IDS; k++)
			CU_ASSERT_EQUAL(found[k], k < COUNT(documents) &&
			                                  strchr(rows[i].found, (int)('0' + k)) != NULL);
		CU_ASSERT_EQUAL(bodies, is_kept ? rows[i].kept : rows[i].bodies);
		arena_deinit(&arena);
	}
}

static void check_points(struct world *world, const struct snapshot *snapshot, bool is_kept)
{
	struct points points;
	struct postings live;
	struct arena arena;
	struct error error;

	arena_init(&arena, 4096);
	postings_init(&live);
	live_of(world, snapshot, &live);
	CU_ASSERT_EQUAL_FATAL(snapshot_points(snapshot, &live, &arena, &points, &error), 0);
	CU_ASSERT_EQUAL_FATAL(points.len, COUNT(documents));
	CU_ASSERT_EQUAL(points.bodies, is_kept ? 0 : COUNT(documents));
	for (size_t i = 0; i < COUNT(documents); i++) {
		const struct point_entry *entry = &points.list[i];
		char text[64] = "";

		CU_ASSERT_TRUE(postings_contains(&live, entry->number));
		CU_ASSERT_TRUE(i == 0 || entry->number > entry[-1].number);
		if (entry->has_point)
			(void)snprintf(text, sizeof text, "%g %g", entry->point.lat, entry->point.lng);
		CU_ASSERT_STRING_EQUAL(text, documents[i].point);
	}
	postings_deinit(&live);
	arena_deinit(&arena);
}

static void check(struct world *world, bool is_kept)
{
	struct snapshot *snapshot = replica_snapshot(world->model->replica);

	check_points(world, snapshot, is_kept);
	check_filters(world, snapshot, is_kept);
	snapshot_release(snapshot);
}

static void test_literal(void)
{
	struct world world = world_new("points");

	/* documents are put in order, so that numbers rise with them */
	for (size_t i = 0; i < COUNT(documents); i++) {
		put(&world, i, "{\"_geo\":{\"lat\":48.8,\"lng\":2.3}}");
		put(&world, i, documents[i].body);
		if (i == 1 || i == 4)
			store(&world);
	}
	check(&world, false);
	attributes_put(&world, names, 7);
	store(&world);
	compact(&world, SIZE_MAX);
	check(&world, true);
	world_free(&world);
}

/* Few documents are read, more are not. */
static void test_few(void)
{
	struct world world = world_new("points_few");
	struct memtable *memtable = memtable_new(status_of(world.model).received);
	struct snapshot *snapshot;
	struct postings live;

	attributes_put(&world, names, 1);
	for (int64_t i = 0; i < 192; i++) {
		char id[8];
		struct op op = {.offset = status_of(world.model).received + i,
		                .kind = OP_KIND_PUT,
		                .body = slice_string("{\"_geo\":{\"lat\":1,\"lng\":2}}")};

		(void)snprintf(id, sizeof id, "n%d", (int)i);
		op.id = slice_string(id);
		CU_ASSERT_TRUE_FATAL(memtable_add(memtable, &op));
	}
	memtable_send(world.model, memtable);
	memtable_free(memtable);
	snapshot = replica_snapshot(world.model->replica);
	postings_init(&live);
	live_of(&world, snapshot, &live);
	CU_ASSERT_EQUAL_FATAL(postings_count(&live), 192);
	for (uint64_t wanted = 0; wanted < 6; wanted++) {
		struct postings within;
		struct points points;
		struct arena arena;
		struct error error;
		uint64_t number = 0;

		arena_init(&arena, 4096);
		postings_init(&within);
		while (postings_count(&within) < wanted && postings_next(&live, number, &number))
			postings_add(&within, number++);
		CU_ASSERT_EQUAL_FATAL(snapshot_points(snapshot, &within, &arena, &points, &error), 0);
		CU_ASSERT_EQUAL(points.len, wanted);
		CU_ASSERT_EQUAL(points.bodies, wanted < 3 ? wanted : 0);
		for (size_t i = 0; i < wanted; i++)
			CU_ASSERT_TRUE(points.list[i].has_point && points.list[i].point.lng > 1.5);
		postings_deinit(&within);
		arena_deinit(&arena);
	}
	postings_deinit(&live);
	snapshot_release(snapshot);
	world_free(&world);
}

/* ---- random places ---- */

static const char *const angles[] = {
	"0",       "-0.0",      "1",       "\"1\"",       "48.8566",
	"-33.5",   "89.9999",   "90",      "-90",         "179.5",
	"-179.5",  "180",       "-180.0",  "2.3522e0",    "\" 2.3522 \"",
	"\"-7\"",  "\"+1e1\"",  "\".5\"",  "\"5.\"",      "91",
	"-120",    "1e5",       "1e300",   "-1e300",      "1e999",
	"5e-324",  "null",      "true",    "\"\"",        "\"north\"",
	"\"1,5\"", "\"NaN\"",   "\"inf\"", "\"0x10\"",    "[1]",
	"{}",      "\"1e999\"", "\"1 2\"", "\"\\u0031\"", "1.00000000000000000001"};
/* With two angles. */
static const char *const forms[] = {"{\"_geo\":{\"lat\":%s,\"lng\":%s}}",
                                    "{\"_geo\":{\"lng\":%s,\"x\":[],\"lat\":%s}}",
                                    "{\"_geo\":{\"lat\":%s,\"lng\":3,\"lng\":%s}}",
                                    "{\"_geo\":7,\"v\":1,\"_geo\":{\"lat\":%s,\"lng\":%s}}",
                                    "{\"_geo\":{\"lat\":%s,\"lng\":%s},\"_geo\":null}",
                                    "{\"_geojson\":{\"type\":\"Point\",\"coordinates\":[%s,%s]}}",
                                    "{\"\\u005fgeo\":{\"l\\u0061t\":%s,\"lng\":%s}}",
                                    "{\"_geo\":{\"lat\":%s},\"lng\":%s}",
                                    "{\"_geo\":{\"lng\":%s,\"Lat\":%s}}",
                                    "{\"_geo\":[{\"lat\":%s,\"lng\":%s}]}",
                                    "{\"_geo\":[%s,%s]}",
                                    "{\"_geo\":\"%s\",\"v\":%s}",
                                    "{\"_geo.lat\":%s,\"_geo.lng\":%s}",
                                    "{\"a\":{\"_geo\":{\"lat\":%s,\"lng\":%s}}}",
                                    "{\"v\":%s,\"w\":%s}"};

/* One without quotation marks, for a form that has them. */
static const char *angle_draw(bool plain)
{
	const char *angle = angles[dice(COUNT(angles))];

	while (plain && strchr(angle, '"') != NULL)
		angle = angles[dice(COUNT(angles))];
	return angle;
}

static void place_put(struct world *world)
{
	const char *form = forms[dice(3) > 0 ? dice(6) : dice(COUNT(forms))];
	const char *one = angle_draw(strstr(form, "\"%s\"") != NULL);
	const char *other = angle_draw(false);
	char body[256];
	struct buffer text;

	buffer_init(&text, sizeof body);
	for (const char *at = form; *at != '\0'; at++) {
		if (at[0] != '%') {
			buffer_put_u8(&text, (uint8_t)*at);
			continue;
		}
		buffer_append_string(&text, one);
		one = other;
		at++;
	}
	(void)snprintf(body, sizeof body, "%.*s", SLICE_ARGS(buffer_slice(&text)));
	buffer_deinit(&text);
	put(world, dice(IDS), dice(10) == 0 ? NULL : body);
}

static void places_step(struct world *world, const char *directory)
{
	switch (dice(12)) {
	case 0:
		attributes_put(world, names, (unsigned)dice(8));
		break;
	case 1:
		attributes_put(world, names, 7);
		break;
	case 2:
		store(world);
		break;
	case 3:
	case 4:
		compact(world, 1 + dice(4));
		break;
	case 5:
		(void)replica_merge(world->model->replica);
		break;
	case 6:
		store(world);
		reopen(world->model, directory);
		break;
	default:
		for (size_t i = 1 + dice(8); i > 0; i--)
			place_put(world);
	}
}

static void print_condition(char text[256])
{
	static const double latitudes[] = {0, -0.0, 1, 48.8566, -33.5, 89.9999, 90, -90, 10, 0.5, 48.8};
	static const double longitudes[] = {0, -0.0, 1, 2.3522, 179.5, -179.5, 180, -180, -7, 3};
	static const double metres[] = {-1, 0, 1, 10000, 6e6, 1e7, 2e7, 20015086.9, 3e7};
	double lat = latitudes[dice(COUNT(latitudes))];
	double lng = longitudes[dice(COUNT(longitudes))];
	double other = latitudes[dice(COUNT(latitudes))];

	if (dice(4) == 0)
		(void)snprintf(text, 256, "%s_geoPolygon([%.17g, %.17g], [%.17g, %.17g], [%.17g, %.17g])",
		               dice(4) == 0 ? "NOT " : "", lat, lng, other,
		               longitudes[dice(COUNT(longitudes))], latitudes[dice(COUNT(latitudes))],
		               longitudes[dice(COUNT(longitudes))]);
	else if (dice(2) == 0)
		(void)snprintf(text, 256, "%s_geoRadius(%.17g, %.17g, %.17g)", dice(4) == 0 ? "NOT " : "",
		               lat, lng, dice(2) == 0 ? metres[dice(COUNT(metres))] : (double)dice(20100000));
	else
		(void)snprintf(text, 256, "%s_geoBoundingBox([%.17g, %.17g], [%.17g, %.17g])",
		               dice(4) == 0 ? "NOT " : "", lat > other ? lat : other, lng,
		               lat > other ? other : lat, longitudes[dice(COUNT(longitudes))]);
}

static yyjson_doc *document_parsed(const char *body)
{
	struct error error;
	yyjson_doc *doc = NULL;

	CU_ASSERT_EQUAL_FATAL(json_parse(slice_string(body), JSON_DEPTH_MAX, &doc, &error), 0);
	return doc;
}

static bool asks_for_shapes(const char *expression)
{
	return strstr(expression, "_geoPolygon") != NULL;
}

static void check_condition(struct world *world, const struct snapshot *snapshot, bool is_kept)
{
	struct filter_fold fold = {append_folded, world->words};
	char expression[256];
	struct filter *filter;
	struct arena arena;
	struct error error;
	bool found[IDS];
	uint64_t bodies;

	print_condition(expression);
	arena_init(&arena, 4096);
	filter = parsed(world, expression, &arena);
	bodies = filtered(world, snapshot, filter, found);
	CU_ASSERT_TRUE(!is_kept || bodies == 0 || asks_for_shapes(expression));
	for (size_t i = 0; i < IDS; i++) {
		bool matches = false;

		if (world->bodies[i] != NULL) {
			yyjson_doc *doc = document_parsed(world->bodies[i]);

			CU_ASSERT_EQUAL_FATAL(
				filter_matches(filter, yyjson_doc_get_root(doc), &fold, &matches, &error), 0);
			yyjson_doc_free(doc);
		}
		if (found[i] != matches)
			printf("\n%s\n%s\n", expression, world->bodies[i]);
		CU_ASSERT_EQUAL(found[i], matches);
	}
	arena_deinit(&arena);
}

/* A zero of one sign is not the other. */
static bool same(const struct point *one, const struct point *other)
{
	struct value_key key;
	struct value_key wanted;

	value_key_point(&key, 0, one);
	value_key_point(&wanted, 0, other);
	return slice_equal(slice_of(key.bytes, key.len), slice_of(wanted.bytes, wanted.len));
}

/* The body of a document, by its number. */
static const char *body_of(struct world *world, const struct snapshot *snapshot, uint64_t number)
{
	struct postings one;
	bool found[IDS];
	size_t at = 0;

	postings_init(&one);
	postings_add(&one, number);
	documents_of(world->model, snapshot, &one, found);
	postings_deinit(&one);
	while (!found[at])
		at++;
	return world->bodies[at];
}

static void check_places(struct world *world, const struct snapshot *snapshot, bool is_kept)
{
	struct points points;
	struct postings within;
	struct arena arena;
	struct error error;
	uint64_t number = 0;

	arena_init(&arena, 4096);
	postings_init(&within);
	live_of(world, snapshot, &within);
	for (; postings_next(&within, number, &number); number++)
		if (dice(3) == 0)
			postings_remove_range(&within, number, number + 1);
	CU_ASSERT_EQUAL_FATAL(snapshot_points(snapshot, &within, &arena, &points, &error), 0);
	CU_ASSERT_EQUAL_FATAL(points.len, postings_count(&within));
	CU_ASSERT_EQUAL(points.bodies, is_kept ? 0 : points.len);
	for (size_t i = 0; i < points.len; i++) {
		const struct point_entry *entry = &points.list[i];
		yyjson_doc *doc = document_parsed(body_of(world, snapshot, entry->number));
		struct point point;
		bool found;

		CU_ASSERT_TRUE(postings_contains(&within, entry->number));
		CU_ASSERT_TRUE_FATAL(point_of_document(yyjson_doc_get_root(doc), &point, &found));
		CU_ASSERT_EQUAL(entry->has_point, found);
		CU_ASSERT_TRUE(!found || same(&entry->point, &point));
		yyjson_doc_free(doc);
	}
	postings_deinit(&within);
	arena_deinit(&arena);
}

static void test_random(void)
{
	size_t kept = 0;

	for (uint64_t seed = 1; seed <= WORLDS; seed++) {
		char directory[32];
		struct world world;

		(void)snprintf(directory, sizeof directory, "places%d", (int)seed);
		world = world_new(directory);
		dice_state = seed;
		for (size_t i = 0; i < STEPS; i++) {
			struct snapshot *snapshot;
			uint16_t number;
			bool is_kept;

			places_step(&world, directory);
			snapshot = replica_snapshot(world.model->replica);
			is_kept = snapshot_attribute(snapshot, slice_string("_geo"), &number);
			kept += is_kept;
			check_places(&world, snapshot, is_kept);
			for (size_t k = 0; k < 4; k++)
				check_condition(&world, snapshot, is_kept);
			snapshot_release(snapshot);
		}
		world_free(&world);
	}
	CU_ASSERT_TRUE(kept > WORLDS * STEPS / 4 && kept < WORLDS * STEPS * 9 / 10);
}

int main(void)
{
	CU_TestInfo tests[] = {{"literal places", test_literal},
	                       {"few documents are read", test_few},
	                       {"random places beside their bodies", test_random},
	                       CU_TEST_INFO_NULL};

	return suite_run("snapshot_points", tests);
}
