/*
 * Filter shape: what a document covers on the globe, its `_geojson`, and
 * whether a polygon and it have a point in common, edges included.
 *
 * A shape is what RFC 7946 says: a Point, LineString or Polygon, a Multi… of
 * them, a GeometryCollection, a Feature or a FeatureCollection. What else
 * stands anywhere in it makes all of it no shape; a ring that is not closed is
 * closed, and what is beyond longitude and latitude in a position is left out.
 *
 * The globe is a plane here, with longitudes to the right and straight edges:
 * what crosses the date line is cut there in two (RFC 7946, 3.1.9). Inside is
 * from where a way out crosses an odd number of edges, so holes are outside.
 *
 * Cost: the corners of the polygon, and times them the edges of the shape that
 * come near; nobody looks at the clock meanwhile. Recursion as deep as
 * the document is nested. Pure.
 */
#ifndef MILLRACE_FILTER_FILTER_SHAPE_H
#define MILLRACE_FILTER_FILTER_SHAPE_H

#include "shared/filter/filter.h"

/* `polygon` is a condition of that kind; `scratch` has failed when out of memory. */
bool filter_shape_holds(const struct filter *polygon, yyjson_val *document, struct buffer *scratch);

#endif
