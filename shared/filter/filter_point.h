/*
 * Filter point: the place of a document on the globe, and how far apart two
 * places are.
 *
 * Pure.
 */
#ifndef MILLRACE_FILTER_FILTER_POINT_H
#define MILLRACE_FILTER_FILTER_POINT_H

#include "shared/filter/filter.h"

#include <math.h>

#define POINT_GLOBE_METRES 6371000.0 /* from its centre */
#define POINT_DEGREE_METRES (POINT_GLOBE_METRES * M_PI / 180.0)

/* In degrees. */
struct point {
	double lat;
	double lng;
};

/* `_geo` of a document from json_parse: {"lat":…,"lng":…}, both finite numbers or strings of one. `*found` says whether
 * it is there. Fails when out of memory (false). */
bool point_of_document(yyjson_val *document, struct point *point, bool *found);
/* Along the surface of the globe, by the haversine formula. */
double point_distance(const struct point *one, const struct point *other);
/* What order compares and hits show: the nearest whole one, the even one of two. */
double point_whole_metres(double metres);

/* Whether a condition on places, no polygon, holds for a point. */
bool filter_place_holds(const struct filter *filter, const struct point *point);
/* From and up to which latitude it may hold for points that are no further up or down than the poles. */
void filter_place_band(const struct filter *filter, double *low, double *high);

#endif
