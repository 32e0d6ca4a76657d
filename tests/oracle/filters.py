"""Filters: a tree of conditions as a test of one document."""
from .errors import ApiError
from .filter_syntax import parse_filter
from .geo import distance_metres, in_box, point_of, polygon_meets, shape_of
from .settings import filterable_features, filterable_patterns
from .documents import values_at
from .values import field_values, normal_value

COMPARISONS = {
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    "=": lambda value, bound: value == bound,
}


def compile_filter(given, settings):
    """A function that says whether a document passes; without an expression all do."""
    tree = parse_filter(given)
    check(tree, settings)
    return lambda document: holds(tree, document)


def check(tree, settings):
    """Every field must be filterable, and the operator allowed on it."""
    if isinstance(tree, tuple):
        for inner in tree[1] if isinstance(tree[1], list) else [tree[1]]:
            check(inner, settings)
    elif tree.operator.startswith("_geo"):
        check_geo(tree, settings)
    else:
        check_field(tree, settings)


def check_field(condition, settings):
    """The rule that makes a field filterable says whether by equality, by comparison or both."""
    features = filterable_features(settings, condition.field)
    if features is None or not any(features["filter"].values()):
        raise not_filterable(condition.field, settings)
    comparison = condition.operator in (">", ">=", "<", "<=", "TO", "STARTS WITH")
    if comparison and not features["filter"]["comparison"] or not comparison and not features["filter"]["equality"]:
        raise ApiError("invalid_search_filter",
                       f"Filter operator `{condition.operator}` is not allowed for the attribute `{condition.field}`.",
                       of_index=True)


def not_filterable(name, settings):
    """The error of a field that no filterable pattern names."""
    patterns = ", ".join(f"`{pattern}`" for pattern in filterable_patterns(settings))
    available = f" Available filterable attribute patterns are: {patterns}." if patterns else \
        " This index does not have configured filterable attributes."
    return ApiError("invalid_search_filter", f"Attribute `{name}` is not filterable.{available}", of_index=True)


def check_geo(condition, settings):
    """Places must be on the globe and `_geo` filterable."""
    points = [condition.values[0][:2]] if condition.operator == "_geoRadius" else condition.values
    for lat, lng in points:
        check_point(lat, lng, "invalid_search_filter", of_index=True)
    if condition.operator == "_geoBoundingBox" and float(points[0][0]) < float(points[1][0]):
        raise ApiError("invalid_search_filter",
                       f"The top latitude `{points[0][0]}` is below the bottom latitude `{points[1][0]}`.",
                       of_index=True)
    if filterable_features(settings, "_geojson" if condition.operator == "_geoPolygon" else "_geo") is None:
        raise not_filterable("_geojson" if condition.operator == "_geoPolygon" else "_geo/_geojson", settings)


def check_point(lat, lng, code, of_index=False):
    """Latitudes reach to 90 degrees, longitudes to 180."""
    if not -90 <= float(lat) <= 90:
        raise ApiError(code, f"Bad latitude `{lat}`. Latitude must be contained between -90 and 90 degrees.", of_index)
    if not -180 <= float(lng) <= 180:
        hint = (float(lng) + 180) % 360 - 180
        raise ApiError(code, f"Bad longitude `{lng}`. Longitude must be contained between -180 and 180 degrees. "
                             f"Hint: try using `{hint:g}` instead.", of_index)


def holds(tree, document):
    """Whether a tree holds of a document; a negation is true of documents without the field too."""
    if not isinstance(tree, tuple):
        return condition_holds(tree, document.source)
    kind, inner = tree
    if kind == "not":
        return not holds(inner, document)
    return (all if kind == "and" else any)(holds(item, document) for item in inner)


def condition_holds(condition, source):
    """One condition of one document.

    EXISTS is true of null too; NULL and EMPTY look at the value itself, not at elements; an array is equal, or compares, if
    any of its elements does; `!=` is everything that is not equal.
    """
    name, operator = condition.field, condition.operator
    if operator.startswith("_geo"):
        return geo_holds(condition, source)
    if operator == "EXISTS" or operator == "STARTS WITH" and not condition.values[0]:
        return any(True for _ in values_at(source, name))
    if operator == "NULL":
        return any(value is None for value in values_at(source, name))
    if operator == "EMPTY":
        return any(value in ("", [], {}) for value in values_at(source, name))
    if operator == "STARTS WITH":
        start = normal_value(condition.values[0])
        return any(normal_value(text).startswith(start) for text in field_values(source, name)[1])
    if operator == "IN":
        return any(compares(source, name, "=", value) for value in condition.values)
    if operator == "TO":
        return between(source, name, *condition.values)
    if operator == "!=":
        return not compares(source, name, "=", condition.values[0])
    return compares(source, name, operator, condition.values[0])


def number(text):
    """The number that a literal stands for, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value - value == 0 else None


def strings_of(source, name):
    """Strings of a field in normal form, as bytes; an empty one is no value."""
    return [normal_value(text).encode() for text in field_values(source, name)[1] if normal_value(text)]


def compares(source, name, operator, literal):
    """Any element compares: numbers with the literal as a number, strings with it as a string, bytewise."""
    test, bound = COMPARISONS[operator], number(literal)
    numbers = field_values(source, name)[0]
    if bound is not None and any(test(value, bound) for value in numbers):
        return True
    return any(test(text, normal_value(literal).encode()) for text in strings_of(source, name))


def between(source, name, low, high):
    """Any element lies in the range, both ends included."""
    if number(low) is not None and number(high) is not None:
        if any(number(low) <= value <= number(high) for value in field_values(source, name)[0]):
            return True
    return any(normal_value(low).encode() <= text <= normal_value(high).encode() for text in strings_of(source, name))


def geo_holds(condition, source):
    """Inside a circle, its edge included, or a box; false without a place. A polygon asks for a shape."""
    values = [[float(value) for value in group] for group in condition.values]
    if condition.operator == "_geoPolygon":
        shape = shape_of(source.get("_geojson"))
        return shape is not None and polygon_meets(values, shape)
    point = point_of(source)
    if point is None:
        return False
    if condition.operator == "_geoRadius":
        return distance_metres(point, tuple(values[0][:2])) <= values[0][2]
    return in_box(point, *values)


def check_distinct(settings, name):
    """A field must be filterable to make hits distinct by it."""
    if filterable_features(settings, name) is None:
        patterns = ", ".join(filterable_patterns(settings))
        rest = f"Available filterable attributes patterns are: `{patterns}`." if patterns else \
            "This index does not have configured filterable attributes."
        raise ApiError("invalid_search_distinct",
                       f"Attribute `{name}` is not filterable and thus, cannot be used as distinct attribute. {rest}",
                       of_index=True)
