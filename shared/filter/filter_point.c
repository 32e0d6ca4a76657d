#include "shared/filter/filter_point.h"

#include "shared/filter/filter_private.h"
#include "shared/filter/filter_value.h"

/* Of a number, which may be written as long as its document. */
#define SCRATCH_BYTES_MAX ((size_t)64 << 20)

static bool angle_read(yyjson_val *value, struct buffer *scratch, double *angle)
{
	if (yyjson_is_str(value))
		return filter_text_number(filter_trim(json_string(value)), scratch, angle);
	return (yyjson_is_raw(value) || yyjson_is_num(value)) && filter_value_number(value, scratch, angle);
}

bool point_of_document(yyjson_val *document, struct point *point, bool *found)
{
	yyjson_val *geo = filter_member(document, slice_string("_geo"));
	struct buffer scratch;
	struct point read;
	bool failed;

	buffer_init(&scratch, SCRATCH_BYTES_MAX);
	*found = angle_read(filter_member(geo, slice_string("lat")), &scratch, &read.lat) &&
	         angle_read(filter_member(geo, slice_string("lng")), &scratch, &read.lng);
	failed = buffer_failed(&scratch);
	buffer_deinit(&scratch);
	if (*found)
		*point = read;
	return !failed;
}

static double radians(double degrees)
{
	return degrees * (M_PI / 180.0);
}

double point_distance(const struct point *one, const struct point *other)
{
	double lat = radians(one->lat);
	double lat_other = radians(other->lat);
	double across = sin((lat_other - lat) / 2);
	double along = sin((radians(other->lng) - radians(one->lng)) / 2);
	double half = across * across + cos(lat) * cos(lat_other) * along * along;

	return 2 * POINT_GLOBE_METRES * asin(fmin(1.0, sqrt(half)));
}

double point_whole_metres(double metres)
{
	return rint(metres);
}
