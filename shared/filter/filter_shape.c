#include "shared/filter/filter_shape.h"

#include "shared/filter/filter_private.h"
#include "shared/filter/filter_value.h"

/* One document's shape, as it is read. */
struct shaping {
	const struct filter_literal *corners; /* two a corner */
	size_t corners_len;
	struct point low; /* the least latitude and longitude of a corner */
	struct point high;
	struct buffer *scratch;
	bool meets;
	bool surrounds; /* the part of a polygon that was read surrounds the first corner */
};

struct edge {
	struct point from;
	struct point to;
};

/* ---- the plane ---- */

static struct point corner(const struct shaping *shaping, size_t i)
{
	const struct filter_literal *literals = shaping->corners + 2 * (i % shaping->corners_len);

	return (struct point){literals[0].number, literals[1].number};
}

static struct edge side(const struct shaping *shaping, size_t i)
{
	return (struct edge){corner(shaping, i), corner(shaping, i + 1)};
}

/* 1 if a point lies to the left of an edge, -1 to the right, 0 on the line through it. */
static int turn(const struct edge *edge, const struct point *point)
{
	double area = (edge->to.lng - edge->from.lng) * (point->lat - edge->from.lat) -
	              (edge->to.lat - edge->from.lat) * (point->lng - edge->from.lng);

	return (area > 0) - (area < 0);
}

static bool is_between(double value, double one, double other)
{
	return value >= fmin(one, other) && value <= fmax(one, other);
}

/* Of a point on the line through it. */
static bool edge_has(const struct edge *edge, const struct point *point)
{
	return is_between(point->lat, edge->from.lat, edge->to.lat) &&
	       is_between(point->lng, edge->from.lng, edge->to.lng);
}

static bool edges_meet(const struct edge *one, const struct edge *other)
{
	int from = turn(one, &other->from);
	int to = turn(one, &other->to);
	int other_from = turn(other, &one->from);
	int other_to = turn(other, &one->to);

	return (from * to < 0 && other_from * other_to < 0) || (from == 0 && edge_has(one, &other->from)) ||
	       (to == 0 && edge_has(one, &other->to)) || (other_from == 0 && edge_has(other, &one->from)) ||
	       (other_to == 0 && edge_has(other, &one->to));
}

/* Whether the way from a point to the east crosses an edge, of which the upper end is not a part. */
static bool way_crosses(const struct edge *edge, const struct point *point)
{
	if ((edge->from.lat > point->lat) == (edge->to.lat > point->lat))
		return false;
	return (turn(edge, point) > 0) == (edge->to.lat > edge->from.lat);
}

/* ---- against the polygon ---- */

/* Most edges of most shapes are far away. */
static bool is_near(const struct shaping *shaping, const struct edge *edge)
{
	return fmax(edge->from.lat, edge->to.lat) >= shaping->low.lat &&
	       fmin(edge->from.lat, edge->to.lat) <= shaping->high.lat &&
	       fmax(edge->from.lng, edge->to.lng) >= shaping->low.lng &&
	       fmin(edge->from.lng, edge->to.lng) <= shaping->high.lng;
}

static void point_meet(struct shaping *shaping, const struct point *point)
{
	struct edge here = {*point, *point};
	bool inside = false;

	if (!is_near(shaping, &here))
		return;
	for (size_t i = 0; i < shaping->corners_len && !shaping->meets; i++) {
		struct edge edge = side(shaping, i);

		shaping->meets = turn(&edge, point) == 0 && edge_has(&edge, point);
		inside = inside != way_crosses(&edge, point);
	}
	shaping->meets = shaping->meets || inside;
}

static void edge_meet(struct shaping *shaping, const struct edge *edge)
{
	struct point first = corner(shaping, 0);

	shaping->surrounds = shaping->surrounds != way_crosses(edge, &first);
	if (!is_near(shaping, edge))
		return;
	for (size_t i = 0; i < shaping->corners_len && !shaping->meets; i++) {
		struct edge other = side(shaping, i);

		shaping->meets = edges_meet(edge, &other);
	}
}

/* ---- reading; false: it is no shape ---- */

static bool position_read(struct shaping *shaping, yyjson_val *position, struct point *point)
{
	yyjson_val *lng = yyjson_arr_get(position, 0);
	yyjson_val *lat = yyjson_arr_get(position, 1);

	return (yyjson_is_raw(lng) || yyjson_is_num(lng)) && (yyjson_is_raw(lat) || yyjson_is_num(lat)) &&
	       filter_value_number(lng, shaping->scratch, &point->lng) &&
	       filter_value_number(lat, shaping->scratch, &point->lat);
}

static bool point_read(struct shaping *shaping, yyjson_val *position)
{
	struct point point;

	if (!position_read(shaping, position, &point))
		return false;
	point_meet(shaping, &point);
	return true;
}

/* Without an edge of it that meets the polygon all of it is inside or outside, as where it begins. */
static bool positions_read(struct shaping *shaping, yyjson_val *positions, bool ring)
{
	struct point first = {0, 0};
	struct edge edge = {first, first};
	yyjson_val *position;
	size_t at;
	size_t len;

	if (!yyjson_is_arr(positions))
		return false;
	yyjson_arr_foreach(positions, at, len, position)
	{
		edge.from = edge.to;
		if (!position_read(shaping, position, &edge.to))
			return false;
		if (at == 0) {
			first = edge.to;
			point_meet(shaping, &first);
		} else {
			edge_meet(shaping, &edge);
		}
	}
	edge = (struct edge){edge.to, first};
	if (ring && len > 0)
		edge_meet(shaping, &edge);
	return true;
}

static bool line_read(struct shaping *shaping, yyjson_val *positions)
{
	return positions_read(shaping, positions, false);
}

/* Where no edges meet, the polygon is inside if one corner is. */
static bool rings_read(struct shaping *shaping, yyjson_val *rings)
{
	yyjson_val *ring;
	size_t at;
	size_t len;

	if (!yyjson_is_arr(rings))
		return false;
	shaping->surrounds = false;
	yyjson_arr_foreach(rings, at, len, ring)
	{
		if (!positions_read(shaping, ring, true))
			return false;
	}
	shaping->meets = shaping->meets || shaping->surrounds;
	return true;
}

/* All of them. */
static bool list_read(struct shaping *shaping, yyjson_val *list,
                      bool (*read)(struct shaping *shaping, yyjson_val *value))
{
	yyjson_val *value;
	size_t at;
	size_t len;

	if (!yyjson_is_arr(list))
		return false;
	yyjson_arr_foreach(list, at, len, value)
	{
		if (!read(shaping, value))
			return false;
	}
	return true;
}

static bool object_read(struct shaping *shaping, yyjson_val *object)
{
	static const struct {
		const char *type;
		bool (*read)(struct shaping *shaping, yyjson_val *coordinates);
		bool many;
	} rows[] = {{"Point", point_read, false},     {"MultiPoint", point_read, true},
	            {"LineString", line_read, false}, {"MultiLineString", line_read, true},
	            {"Polygon", rings_read, false},   {"MultiPolygon", rings_read, true}};
	struct slice type = json_string(filter_member(object, slice_string("type")));

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		yyjson_val *coordinates;

		if (!slice_equal(type, slice_string(rows[i].type)))
			continue;
		coordinates = filter_member(object, slice_string("coordinates"));
		return rows[i].many ? list_read(shaping, coordinates, rows[i].read)
		                    : rows[i].read(shaping, coordinates);
	}
	if (slice_equal(type, slice_string("GeometryCollection")))
		return list_read(shaping, filter_member(object, slice_string("geometries")), object_read);
	if (slice_equal(type, slice_string("FeatureCollection")))
		return list_read(shaping, filter_member(object, slice_string("features")), object_read);
	if (!slice_equal(type, slice_string("Feature")))
		return false;
	object = filter_member(object, slice_string("geometry"));
	return yyjson_is_null(object) || object_read(shaping, object); /* null: it is nowhere */
}

bool filter_shape_holds(const struct filter *polygon, yyjson_val *document, struct buffer *scratch)
{
	struct shaping shaping = {
		.corners = polygon->literals, .corners_len = polygon->literals_len / 2, .scratch = scratch};

	shaping.low = shaping.high = corner(&shaping, 0);
	for (size_t i = 1; i < shaping.corners_len; i++) {
		struct point point = corner(&shaping, i);

		shaping.low =
			(struct point){fmin(shaping.low.lat, point.lat), fmin(shaping.low.lng, point.lng)};
		shaping.high =
			(struct point){fmax(shaping.high.lat, point.lat), fmax(shaping.high.lng, point.lng)};
	}
	return object_read(&shaping, filter_member(document, slice_string("_geojson"))) && shaping.meets;
}
