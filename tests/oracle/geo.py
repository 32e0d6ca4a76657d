"""Places on the globe: distances, circles, boxes, polygons."""
import math
from fractions import Fraction

EARTH_RADIUS_METRES = 6371000.0


def point_of(source):
    """(lat, lng) of a document's `_geo`, given as numbers or as strings of numbers; None without."""
    geo = source.get("_geo")
    if not isinstance(geo, dict) or geo.get("lat") is None or geo.get("lng") is None:
        return None
    return float(geo["lat"]), float(geo["lng"])


def distance_metres(one, other):
    """Great-circle distance by the haversine formula."""
    lat1, lng1, lat2, lng2 = (math.radians(angle) for angle in (*one, *other))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lng2 - lng1) / 2) ** 2
    return 2 * EARTH_RADIUS_METRES * math.asin(min(1.0, math.sqrt(half)))


def in_box(point, top_right, bottom_left):
    """Inclusive; a box whose left edge is east of its right edge crosses the date line."""
    lat, lng = point
    if not bottom_left[0] <= lat <= top_right[0]:
        return False
    if bottom_left[1] <= top_right[1]:
        return bottom_left[1] <= lng <= top_right[1]
    return lng >= bottom_left[1] or lng <= top_right[1]


# -- shapes: lists of points, of paths and of areas, an area being its rings; a point is (longitude, latitude) ------------


def shape_of(value):
    """Points, paths and areas of a GeoJSON object, exactly; None if anything in it is none."""
    points, paths, areas = [], [], []
    kinds = {"Point": (points, position), "LineString": (paths, positions), "Polygon": (areas, rings)}

    def take(value):
        if not isinstance(value, dict):
            raise ValueError
        name = value.get("type")
        if name == "Feature":
            if value["geometry"] is not None:
                take(value["geometry"])
        elif name in ("FeatureCollection", "GeometryCollection"):
            for part in listed(value["features" if name == "FeatureCollection" else "geometries"]):
                take(part)
        elif name in kinds:
            into, read = kinds[name]
            into.append(read(value["coordinates"]))
        else:
            into, read = kinds[name.removeprefix("Multi")]
            into.extend(read(part) for part in listed(value["coordinates"]))

    try:
        take(value)
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
    return points, paths, areas


def listed(value):
    """An array, or it is no shape."""
    if not isinstance(value, list):
        raise ValueError
    return value


def position(value):
    """Longitude and latitude."""
    if len(listed(value)) < 2 or any(isinstance(angle, bool) or not isinstance(angle, (int, float)) for angle in value[:2]):
        raise ValueError
    return Fraction(value[0]), Fraction(value[1])


def positions(value):
    """A path."""
    return [position(part) for part in listed(value)]


def rings(value):
    """An area; its rings are closed."""
    found = [positions(part) for part in listed(value)]
    return [ring + ring[:1] for ring in found]


def polygon_meets(corners, shape):
    """Whether a polygon of latitudes and longitudes and a shape have a point in common."""
    ring = [(Fraction(lng), Fraction(lat)) for lat, lng in corners]
    area = [ring + ring[:1]]
    points, paths, areas = shape
    if any(covered(area, point) for point in points):
        return True
    for path in paths:
        if any(covered(area, point) for point in path) or paths_touch([path], area):
            return True
    for other in areas:
        corners_inside = any(covered(area, point) for part in other for point in part)
        if corners_inside or paths_touch(other, area) or any(covered(other, point) for point in area[0]):
            return True
    return False


def edges(path):
    """From each point to the next."""
    return zip(path, path[1:])


def covered(area, point):
    """On a ring of the area, or inside by the crossings of a ray that goes up."""
    across, up = point
    above = 0
    for ring in area:
        if point in ring:
            return True
        for (x1, y1), (x2, y2) in edges(ring):
            if x1 == x2:
                if across == x1 and min(y1, y2) <= up <= max(y1, y2):
                    return True
                continue
            if not min(x1, x2) <= across <= max(x1, x2):
                continue
            height = y1 + (across - x1) * (y2 - y1) / (x2 - x1)
            if height == up:
                return True
            above += height > up and across != max(x1, x2)
    return above % 2 == 1


def paths_touch(paths, others):
    """Whether an edge of the ones has a point in common with one of the others."""
    return any(edges_touch(one, other) for path in paths for one in edges(path) for ring in others for other in edges(ring))


def edges_touch(one, other):
    """The point where the lines cross lies on both; of parallel ones an end lies on the other."""
    (x1, y1), (x2, y2) = one
    (x3, y3), (x4, y4) = other
    scale = (x2 - x1) * (y4 - y3) - (y2 - y1) * (x4 - x3)
    if scale:
        along = ((x3 - x1) * (y4 - y3) - (y3 - y1) * (x4 - x3)) / scale
        along_other = ((x3 - x1) * (y2 - y1) - (y3 - y1) * (x2 - x1)) / scale
        return 0 <= along <= 1 and 0 <= along_other <= 1
    return any(on_edge(edge, point) for edge, points in ((one, other), (other, one)) for point in points)


def on_edge(edge, point):
    """On the line, between the ends."""
    (x1, y1), (x2, y2) = edge
    if (x2 - x1) * (point[1] - y1) != (y2 - y1) * (point[0] - x1):
        return False
    return min(x1, x2) <= point[0] <= max(x1, x2) and min(y1, y2) <= point[1] <= max(y1, y2)
