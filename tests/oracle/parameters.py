"""Parameters of a search: names, types, defaults, and the errors of wrong ones.

A body is checked in its own order, so the first wrong parameter in it is the one that is reported.
"""
import json
import re

from .derivations import distances
from .errors import ApiError
from .documents import number_text

STRATEGIES = ("last", "all", "frequency")
# name: (kind, whether null stands for absent)
BODY = {
    "q": ("string", True),
    "offset": ("count", False),
    "limit": ("count", False),
    "page": ("count", True),
    "hitsPerPage": ("count", True),
    "attributesToRetrieve": ("strings", True),
    "attributesToCrop": ("strings", True),
    "cropLength": ("count", False),
    "cropMarker": ("string", False),
    "attributesToHighlight": ("strings", True),
    "highlightPreTag": ("string", False),
    "highlightPostTag": ("string", False),
    "showMatchesPosition": ("boolean", False),
    "filter": ("any", True),
    "sort": ("strings", True),
    "distinct": ("string", True),
    "facets": ("strings", True),
    "matchingStrategy": ("strategy", False),
    "attributesToSearchOn": ("strings", True),
    "rankingScoreThreshold": ("ratio", True),
    "locales": ("strings", True),
    "hybrid": ("hybrid", True),
    "vector": ("numbers", True),
    "retrieveVectors": ("boolean", False),
    "media": ("any", True),
    "personalize": ("any", True),
    "useNetwork": ("boolean", True),
    "showRankingScore": ("boolean", False),
    "showRankingScoreDetails": ("boolean", False),
    "showPerformanceDetails": ("boolean", False),
}
URL_ONLY = {
    "hybrid": (("hybridEmbedder", ("string", True)), ("hybridSemanticRatio", ("ratio", True))),
    "personalize": (("personalizeUserContext", ("string", True)),),
    "media": (),
}
URL = dict(row for name, kind in BODY.items() for row in URL_ONLY.get(name, ((name, kind),)))
DEFAULTS = {
    "offset": 0, "limit": 20, "cropLength": 10, "cropMarker": "…", "highlightPreTag": "<em>", "highlightPostTag": "</em>",
    "matchingStrategy": "last",
}
FACET_SEARCH = {
    "facetQuery": ("string", True), "facetName": ("string", False), "q": ("string", True), "vector": ("numbers", True),
    "media": ("any", True), "hybrid": ("hybrid", True), "filter": ("any", True), "matchingStrategy": ("strategy", False),
    "attributesToSearchOn": ("strings", True), "rankingScoreThreshold": ("ratio", True), "locales": ("strings", True),
    "exhaustiveFacetCount": ("boolean", True),
}
CODES = {
    "hybridEmbedder": "invalid_search_embedder", "hybridSemanticRatio": "invalid_search_semantic_ratio",
    "hybrid": "invalid_search_hybrid_query", "facetName": "invalid_facet_search_facet_name",
    "facetQuery": "invalid_facet_search_query", "exhaustiveFacetCount": "invalid_facet_search_exhaustive_facet_count",
}
HYBRID = {"semanticRatio": "ratio", "embedder": "string"}
KINDS = {
    "string": "a string", "count": "a positive integer", "strings": "an array", "numbers": "an array",
    "array": "an array", "boolean": "a boolean", "strategy": "a string", "ratio": "a number", "hybrid": "an object",
    "object": "an object",
}


def code_of(name):
    """The code of the error of a parameter is its name in snake case."""
    return CODES.get(name) or "invalid_search_" + re.sub(r"([A-Z])", r"_\1", name).lower()


def float_text(value):
    """A float as serde_json prints it: with an exponent, and its sign, below 1e-5 and from 1e16 on."""
    if 1e-5 <= abs(value) < 1e-4:
        digits, _, exponent = repr(value).partition("e")
        sign = "-" if value < 0 else ""
        return sign + "0." + "0" * (-int(exponent) - 1) + digits.lstrip("-").replace(".", "")
    return number_text(value).replace("e", "e+").replace("e+-", "e-")


def shown(value):
    """How an error shows a value: its JSON type and text."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"a boolean: `{text}`"
    if isinstance(value, int) and -2**63 <= value < 2**64:
        return f"a {'positive' if value >= 0 else 'negative'} integer: `{text}`"
    if isinstance(value, (int, float)):
        return f"a number: `{float_text(float(value))}`"
    kind = {str: "a string", list: "an array", dict: "an object"}[type(value)]
    return f"{kind}: `{text}`"


def wrong_type(code, place, expected, value):
    """The error of a value of another type than expected."""
    return ApiError(code, f"Invalid value type at `{place}`: expected {expected}, but found {shown(value)}")


def has_kind(kind, value):
    """Whether a JSON value is of a kind, items of arrays apart."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return {
        "string": isinstance(value, str), "strategy": isinstance(value, str), "boolean": isinstance(value, bool),
        "count": number and isinstance(value, int) and 0 <= value < 2**64, "ratio": number,
        "strings": isinstance(value, list), "numbers": isinstance(value, list), "array": isinstance(value, list),
        "hybrid": isinstance(value, dict), "object": isinstance(value, dict), "any": True,
    }[kind]


def check_value(name, kind, value, place, code=None):
    """Refuses a value that is not of its kind."""
    code = code or code_of(name)
    if not has_kind(kind, value):
        raise wrong_type(code, place, KINDS[kind], value)
    if kind == "strategy" and value not in STRATEGIES:
        expected = ", ".join(f"`{strategy}`" for strategy in STRATEGIES)
        raise ApiError(code, f"Unknown value `{value}` at `{place}`: expected one of {expected}")
    if kind == "ratio" and not 0 <= value <= 1:
        raise ApiError(code, f"Invalid value at `{place}`: {ratio_text(name)}")
    if kind in ("strings", "numbers"):
        for number, item in enumerate(value):
            one = "string" if kind == "strings" else "ratio"
            if not has_kind(one, item):
                raise wrong_type(code, f"{place}[{number}]", KINDS[one], item)
    if kind == "hybrid":
        check_hybrid(value, place)


def check_hybrid(value, place):
    """An object that names an embedder."""
    for name, inner in value.items():
        if name not in HYBRID:
            raise unknown("field", name, list(HYBRID), f" inside `{place}`", code_of("hybrid"))
        check_value("hybrid" + name[0].upper() + name[1:], HYBRID[name], inner, f"{place}.{name}")
    if "embedder" not in value:
        raise ApiError(code_of("hybrid"), f"Missing field `embedder` inside `{place}`")


def ratio_text(name):
    """What errors say of a number that is not between 0 and 1."""
    name = "semanticRatio" if name == "hybridSemanticRatio" else name
    return f"the value of `{name}` is invalid, expected a float between `0.0` and `1.0`."


def unknown(what, name, names, where="", code="bad_request"):
    """An unknown name, with the nearest known one if it is near enough."""
    near = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4]
    found = [(distances(name, known)[-1], known) for known in names]
    distance, nearest = min(found, key=lambda pair: pair[0])
    hint = f"did you mean `{nearest}`? " if distance <= near[min(len(name), 24)] else ""
    return ApiError(code, f"Unknown {what} `{name}`{where}: {hint}expected one of "
                          + ", ".join(f"`{known}`" for known in names))


def checked_object(body, table, place="", code_of=code_of, code="bad_request"):
    """The parameters of a JSON object, nulls left out; its first wrong one is refused."""
    if not isinstance(body, dict):
        at = f" at `{place}`" if place else ""
        raise ApiError(code, f"Invalid value type{at}: expected an object, but found {shown(body)}")
    result = {}
    for name, value in body.items():
        if name not in table:
            raise unknown("field", name, list(table), f" inside `{place}`" if place else "", code)
        kind, nullable = table[name]
        if value is None and nullable:
            continue
        check_value(name, kind, value, f"{place}.{name}", code_of(name))
        result[name] = value
    return result


def search_parameters(body):
    """The parameters of a search from a JSON body, with defaults."""
    given = checked_object(body, BODY)
    check_vectors(given)
    return {**DEFAULTS, **given}


def check_vectors(given):
    """What is not by words alone needs an embedder, and an index here has none."""
    hybrid = given.get("hybrid")
    nearness = "vector" in given or "media" in given
    if "vector" in given and "media" in given:
        raise ApiError("invalid_search_media_and_vector", "Invalid request: both `media` and `vector` parameters are present.")
    if nearness and hybrid is None:
        raise ApiError("missing_search_hybrid",
                       "Invalid request: missing `hybrid` parameter when `vector` or `media` are present.")
    if hybrid is None:
        return
    if hybrid.get("semanticRatio") != 0:
        if nearness or given.get("q", "").strip():
            raise ApiError("invalid_search_embedder", f"Cannot find embedder with name `{hybrid['embedder']}`.")
    elif "media" in given:
        raise ApiError("feature_not_enabled", "passing `media` in a search query requires enabling the `multimodal` "
                       "experimental feature. See https://github.com/orgs/meilisearch/discussions/846")


def url_parameters(query):
    """The same from the parameters of a URL: lists by commas, a filter that may be JSON."""
    given = {}
    for name, text in query.items():
        if name not in URL:
            raise unknown("parameter", name, list(URL))
        given[name] = url_value(name, URL[name][0], text)
    embedder, ratio = given.pop("hybridEmbedder", None), given.pop("hybridSemanticRatio", None)
    if embedder is None and ratio is not None:
        raise ApiError(code_of("hybrid"), "`hybridEmbedder` is mandatory when `hybridSemanticRatio` is present")
    if embedder is None and "vector" in given:
        raise ApiError("missing_search_hybrid", "`hybridEmbedder` is mandatory when `vector` is present")
    if embedder is not None:
        given["hybrid"] = {"embedder": embedder, "semanticRatio": ratio}
    check_vectors(given)
    return {**DEFAULTS, **given}


def url_value(name, kind, text, code_of=code_of):
    """One parameter of a URL by its kind."""
    def refuse(reason):
        return ApiError(code_of(name), f"Invalid value in parameter `{name}`: {reason}")

    if kind == "count":
        if not re.fullmatch(r"\+?\d+", text):
            raise refuse(f"could not parse `{text}` as a positive integer")
        return int(text)
    if kind == "boolean":
        if text not in ("true", "false"):
            raise refuse(f"could not parse `{text}` as a boolean, expected either `true` or `false`")
        return text == "true"
    if kind == "strings":
        return text.split(",") if text else []
    if kind == "numbers":
        return [url_float(part, refuse) for part in text.split(",")] if text else []
    if kind == "ratio":
        return url_ratio(name, text, refuse)
    if kind == "strategy" and text not in STRATEGIES:
        expected = ", ".join(f"`{strategy}`" for strategy in STRATEGIES)
        raise ApiError(code_of(name), f"Unknown value `{text}` for parameter `{name}`: expected one of {expected}")
    if name == "filter":
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def url_float(text, refuse):
    """A float in a list of a URL, nothing around it."""
    if not text:
        raise refuse("cannot parse float from empty string")
    if not re.fullmatch(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|(?i:inf|infinity|nan))", text):
        raise refuse("invalid float literal")
    return float(text)


def url_ratio(name, text, refuse):
    """A number between 0 and 1 in a URL."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise refuse(ratio_text(name))
    return value
