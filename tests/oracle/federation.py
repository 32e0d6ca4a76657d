"""Several searches in one request: side by side, or merged into one list."""
from collections import Counter

from .errors import ApiError
from .facets import check_facets, facets_answer
from .filters import check_distinct
from .parameters import BODY, DEFAULTS, check_value, check_vectors, checked_object, shown, wrong_type
from .ranking import FieldSort, GeoSort
from .rules import fold
from .search import Hits, answer, page_of, run
from .values import distinct_values

QUERY = {"indexUid": ("string", False), **BODY, "federationOptions": ("any", True)}
OPTIONS = {"weight": ("weight", False), "remote": ("string", True), "queryPosition": ("count", True)}
FEDERATION = {
    "limit": ("count", False), "offset": ("count", False), "page": ("count", True), "hitsPerPage": ("count", True),
    "facetsByIndex": ("object", False), "mergeFacets": ("any", True), "distinct": ("string", True),
    "showPerformanceDetails": ("boolean", False), "personalize": ("any", True),
}
FACETS_CODE, MERGE_CODE = "invalid_multi_search_facets_by_index", "invalid_multi_search_merge_facets"
PAGINATION = ("limit", "offset", "page", "hitsPerPage")


def multi_search(server, body):
    """One answer a query, or with `federation` one answer for all."""
    if not isinstance(body, dict):
        raise ApiError("bad_request", f"Invalid value type: expected an object, but found {shown(body)}")
    for name in body:
        if name not in ("queries", "federation"):
            raise ApiError("bad_request", f"Unknown field `{name}`: expected one of `queries`, `federation`")
    if "queries" not in body:
        raise ApiError("bad_request", "Missing field `queries`")
    federation = None if body.get("federation") is None else checked_federation(body["federation"])
    if not isinstance(body["queries"], list):
        raise wrong_type("bad_request", ".queries", "an array", body["queries"])
    queries = [checked_query(query, f".queries[{number}]") for number, query in enumerate(body["queries"])]
    if federation is not None:
        return federated(server, federation, queries)
    return {"results": [one_result(server, number, query) for number, query in enumerate(queries)]}


def checked_query(body, place):
    """A query's parameters, `indexUid` and the options of federation among them."""
    if isinstance(body, dict) and isinstance(body.get("federationOptions"), dict):
        check_options(body["federationOptions"], f"{place}.federationOptions")
    query = checked_object(body, QUERY, place, lambda name: "invalid_index_uid" if name == "indexUid" else None)
    if "indexUid" not in query:
        raise ApiError("missing_index_uid", f"Missing field `indexUid` inside `{place}`")
    check_vectors(query, "hybrid")
    return query


def check_options(options, place):
    """The options of federation of one query: a weight is no less than 0."""
    checked_object({name: value for name, value in options.items() if name != "weight"}, OPTIONS, place)
    weight = options.get("weight", 1)
    code = "invalid_multi_search_weight"
    if isinstance(weight, bool) or not isinstance(weight, (int, float)):
        raise wrong_type(code, f"{place}.weight", "a number", weight)
    if weight < 0:
        raise ApiError(code, f"Invalid value at `{place}.weight`: the value of `weight` is invalid, "
                             "expected a positive float (>= 0.0).")


def checked_federation(body):
    """The parameters of the merged list."""
    codes = {"facetsByIndex": FACETS_CODE, "distinct": "invalid_multi_search_distinct"}
    given = checked_object(body, FEDERATION, ".federation", codes.get)
    for uid, facets in given.get("facetsByIndex", {}).items():
        if facets is not None:
            check_value("facets", "strings", facets, f".federation.facetsByIndex.{uid}", FACETS_CODE)
    if "mergeFacets" in given:
        checked_object(given["mergeFacets"], {"maxValuesPerFacet": ("count", True)}, ".federation.mergeFacets",
                       lambda _: "invalid_multi_search_max_values_per_facet", MERGE_CODE)
    return {"limit": 20, "offset": 0, **given}


def index_of(server, query, place):
    """The index of a query; a malformed uid is a wrong value, an unknown one an error inside the query."""
    try:
        return server.index(query["indexUid"])
    except ApiError as error:
        if error.code == "invalid_index_uid":
            raise ApiError(error.code, f"Invalid value at `{place}.indexUid`: {error.message}") from None
        raise error.inside(place) from None


def one_result(server, number, query):
    """The answer of one of several queries that stand side by side."""
    place = f".queries[{number}]"
    index = index_of(server, query, place)
    if "federationOptions" in query:
        raise ApiError("invalid_multi_search_federation_options",
                       "Using `federationOptions` is not allowed in a non-federated search.").inside(place)
    try:
        return {"indexUid": index.uid, **answer(index, {**DEFAULTS, **query})}
    except ApiError as error:
        raise error.named(index.uid).inside(place) from None


class Part:
    """One query of a federated search with what it found."""

    def __init__(self, server, federation, number, query):
        place = f".queries[{number}]"
        self.index = index_of(server, query, place)
        self.position = number
        self.weight = (query.get("federationOptions") or {}).get("weight", 1)
        self.request = {**DEFAULTS, **query}
        try:
            self.check(federation, query)
            self.found = run(self.index, self.request)
        except ApiError as error:
            raise error.named(self.index.uid).inside(place) from None
        self.hits = Hits(self.index, self.request, self.found)

    def check(self, federation, query):
        """Paging and facets belong to the whole, not to a query."""
        if any(name in query for name in PAGINATION):
            raise ApiError("invalid_multi_search_query_pagination",
                           "Using pagination options is not allowed in federated queries.")
        if query.get("facets"):
            raise ApiError("invalid_multi_search_query_facets", "Using facet options is not allowed in federated queries.")
        uid = self.index.uid
        facets = federation.get("facetsByIndex", {}).get(uid) or []
        check_facets(self.index.settings, facets, f"Inside `.federation.facetsByIndex.{uid}`: ")
        if "distinct" in federation:
            check_distinct(self.index.settings, federation["distinct"])

    def key(self, ranked):
        """Rules in order: those about words folded into weighted scores, sorts by their values; what has less comes later."""
        key, ranks = [], []
        for rule, value, rule_ranks in zip(self.found.rules, ranked.key, ranked.ranks_by_rule):
            if isinstance(rule, (FieldSort, GeoSort)):
                key += [(0, -self.weight * fold(ranks))] * bool(ranks) + [(1, value)]
                ranks = []
            else:
                ranks = ranks + rule_ranks
        if ranks:
            key.append((0, -self.weight * fold(ranks)))
        return (*key, (2, self.position))

    def hit(self, ranked):
        """A hit that says where it comes from and what its score weighs."""
        source = {"indexUid": self.index.uid, "queriesPosition": self.position,
                  "weightedRankingScore": ranked.score * self.weight}
        return {**self.hits.hit(ranked), "_federation": source}


def federated(server, federation, queries):
    """One list of all hits; a document found by several queries stands where it is best."""
    parts = [Part(server, federation, number, query) for number, query in enumerate(queries)]
    for uid in federation.get("facetsByIndex", {}):
        if all(part.index.uid != uid for part in parts):
            raise ApiError("index_not_found", f"Index `{uid}` not found.").inside(f".federation.facetsByIndex.{uid}")
    merged = [(part.key(ranked), part, ranked) for part in parts for ranked in part.found.ranked]
    merged.sort(key=lambda row: row[0])
    rows = without_repetitions(merged, federation.get("distinct"))
    counted = counted_documents(federation, parts)
    total = len(rows) if "distinct" in federation else sum(len(documents) for documents in counted.values())
    offset, limit, paging = page_of(federation, total, max(len(rows), total))
    hits = [part.hit(ranked) for _, part, ranked in rows[offset:offset + limit]]
    return {"hits": hits, **paging, **merged_facets(federation, parts, counted)}


def without_repetitions(rows, field):
    """The first of the same document, and of the same value of the distinct field."""
    seen, kept = set(), []
    for row in rows:
        _, part, ranked = row
        marks = {(part.index.uid, ranked.document.sequence)}
        if field:
            marks |= distinct_values(ranked.document.source, field)
        if not seen & marks:
            kept.append(row)
            seen |= marks
    return kept


def counted_documents(federation, parts):
    """{index: {place: document}} of what the queries on an index found together."""
    by_page = "page" in federation or "hitsPerPage" in federation
    wanted = None if by_page else federation["offset"] + federation["limit"]
    counted = {}
    for part in parts:
        found = {ranked.document.sequence: ranked.document for ranked in part.found.counted(wanted)}
        counted.setdefault(part.index.uid, {}).update(found)
    return counted


def merged_facets(federation, parts, counted):
    """Facets an index, or those of all indexes added up."""
    wanted = {uid: facets for uid, facets in federation.get("facetsByIndex", {}).items() if facets is not None}
    if not wanted:
        return {}
    indexes = {part.index.uid: part.index for part in parts}
    answers = {uid: facets_answer(indexes[uid], list(counted[uid].values()), facets) for uid, facets in wanted.items()}
    if "mergeFacets" not in federation:
        return {"facetsByIndex": {
            uid: {"distribution": found["facetDistribution"], "stats": found["facetStats"]} for uid, found in answers.items()
        }}
    values_max = federation["mergeFacets"].get("maxValuesPerFacet")
    sums, stats = {}, {}
    for found in answers.values():
        for field, counts in found["facetDistribution"].items():
            sums.setdefault(field, Counter()).update(counts)
        for field, row in found["facetStats"].items():
            other = stats.get(field, row)
            stats[field] = {"min": min(row["min"], other["min"]), "max": max(row["max"], other["max"])}
    ordered = {field: dict(sorted(sums[field].items())[:values_max]) for field in sorted(sums)}
    return {"facetDistribution": ordered, "facetStats": stats}
