"""A search: request to answer."""
from .errors import ApiError
from .facets import check_facets, facets_answer
from .filters import check_point, check_distinct
from .formatting import Formatter
from .geo import distance_metres, point_of
from .highlighting import Highlighter
from .matching import Search
from .query import nodes_of
from .ranking import GEO_POINT, GeoSort
from .settings import covers, is_sortable

GEO_RESERVED = ("_geo", "_geoRadius", "_geoBoundingBox", "_geoDistance")


def check_search(index, request):
    """What the settings do not allow, in the order in which it is noticed."""
    check_searched(index, request.get("attributesToSearchOn") or [])
    check_sort(index.settings, request.get("sort") or [])
    if request.get("distinct") is not None:
        check_distinct(index.settings, request["distinct"])


def check_searched(index, names):
    """The fields to search on must be searchable, patterns aside; the text names only what is displayed."""
    entries, displayed = index.settings["searchableAttributes"], index.settings["displayedAttributes"]
    if entries == ["*"]:
        return
    for name in names:
        if "*" not in name and not any(covers(entry, name) for entry in entries):
            known = {*entries, *(path for path in index.known_paths if any(covers(entry, path) for entry in entries))}
            visible = sorted(path for path in known if "*" in displayed or path in displayed)
            available = ", ".join(visible + ["<..hidden-attributes>"] * (len(visible) < len(known)))
            raise ApiError("invalid_search_attributes_to_search_on", f"Attribute `{name}` is not searchable. "
                           f"Available searchable attributes are: `{available}`.", of_index=True)


def check_sort(settings, criteria, code="invalid_search_sort"):
    """Every criterion must be well formed, and its field sortable."""
    for text in criteria:
        name = checked_name(text, code)
        if not is_sortable(settings, name):
            available = ", ".join(sorted(settings["sortableAttributes"]))
            rest = f"Available sortable attributes are: `{available}`." if available else \
                "This index does not have configured sortable attributes."
            raise ApiError(code, f"Attribute `{name}` is not sortable. {rest}", of_index=True)


def check_sort_syntax(criteria, code="invalid_search_sort"):
    """The first half of it."""
    for text in criteria:
        checked_name(text, code)


def checked_name(text, code):
    """The field of a well formed criterion, `_geo` for a point on the globe."""
    name, _, direction = text.rpartition(":")
    if direction not in ("asc", "desc"):
        raise ApiError(code, "Invalid syntax for the sort parameter: expected expression ending by `:asc` or `:desc`, "
                             f"found `{text}`.")
    reserved = name.split("(")[0]
    if reserved in GEO_RESERVED:
        hint = "" if reserved == "_geoDistance" else \
            " Use the _geoPoint(latitude, longitude) built-in rule to sort on _geo field coordinates."
        raise ApiError(code, f"`{reserved}` is a reserved keyword and thus can't be used as a sort expression.{hint}")
    match = GEO_POINT.fullmatch(name)
    if reserved == "_geoPoint" and name.endswith(")"):
        try:
            float(match.group(1)), float(match.group(2))
        except (AttributeError, ValueError):
            raise ApiError(code, "Invalid syntax for the geo parameter: expected expression formated like "
                                 f"`_geoPoint(latitude, longitude)` and ending by `:asc` or `:desc`, found `{name}`.") from None
        check_point(match.group(1), match.group(2), code)
        name = "_geo"
    return name


def answer(index, request):
    """The answer of a search whose parameters are known to be of the right types."""
    return answer_of(index, request, run(index, request))


def answer_of(index, request, found):
    """The same of a search that has run."""
    facets = request.get("facets") or []
    check_facets(index.settings, facets)
    by_page = "page" in request or "hitsPerPage" in request
    counted = found.counted(None if by_page else request["offset"] + request["limit"])
    offset, limit, paging = page_of(request, len(counted), index.settings["pagination"]["maxTotalHits"])
    hits = Hits(index, request, found)
    result = {"hits": [hits.hit(item) for item in found.ranked[offset:offset + limit]], "query": request.get("q") or ""}
    result.update(paging)
    if facets:
        result.update(facets_answer(index, [item.document for item in counted], facets))
    return result


def run(index, request):
    """The search itself, once the settings allow it."""
    check_search(index, request)
    return Search(index, request)


def page_of(request, total, total_max):
    """(offset, limit, what the answer says of paging), by offset and limit or by page; only the first hits are served."""
    if "page" in request or "hitsPerPage" in request:
        page, size = request.get("page", 1), request.get("hitsPerPage", 20)
        pages = -(-total // size) if size else 0
        offset, limit = ((page - 1) * size, size) if page else (0, 0)
        paging = {"hitsPerPage": size, "page": page, "totalPages": pages, "totalHits": total}
    else:
        offset, limit = request["offset"], request["limit"]
        paging = {"limit": limit, "offset": offset, "estimatedTotalHits": total}
    offset = min(offset, total_max)
    return offset, min(limit, total_max - offset), paging


class Hits:
    """Turns ranked documents into hits."""

    def __init__(self, index, request, found):
        self.request = request
        highlighter = Highlighter(nodes_of(found.query.terms), index.vocabulary, index.tokenizer)
        self.formatter = Formatter(index, request, highlighter)
        self.sorts_by_geo = [rule for rule in found.rules if isinstance(rule, GeoSort)]

    def hit(self, ranked):
        """The fields retrieved, and what the request asks to be shown besides."""
        source = ranked.document.source
        shown = self.formatter.document(source)
        formatted = self.formatter.formatted(source)
        if formatted is not None:
            shown["_formatted"] = formatted
        if self.request.get("showMatchesPosition"):
            shown["_matchesPosition"] = self.formatter.positions(source)
        for rule in self.sorts_by_geo[:1]:
            place = point_of(shown)
            if place is not None:
                shown["_geoDistance"] = round(distance_metres(rule.point, place))
        if self.request.get("showRankingScore"):
            shown["_rankingScore"] = ranked.score
        if self.request.get("showRankingScoreDetails"):
            shown["_rankingScoreDetails"] = self.details(ranked.details)
        return shown

    def details(self, details):
        """Sorts by a field that is not displayed keep their place and hide all else."""
        displayed = self.formatter.displayed
        result = {}
        for name, row in details.items():
            field = name.rpartition(":")[0]
            hidden = field and not name.startswith("_geoPoint(") and "*" not in displayed
            if hidden and not any(covers(shown, field) for shown in displayed):
                result[f"<hidden-rule-{row['order']}>"] = {"order": row["order"], "value": "<hidden>"}
            else:
                result[name] = row
        return result
