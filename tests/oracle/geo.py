"""Places on the globe: distances, circles, boxes, polygons."""
import math

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
