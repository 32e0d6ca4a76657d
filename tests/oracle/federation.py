"""Several searches in one request: side by side, or merged into one list."""
import heapq
from collections import Counter

from .errors import ApiError
from .facets import check_facets, facets_answer
from .filters import check_distinct
from .parameters import BODY, DEFAULTS, check_value, check_vectors, checked_object, shown, wrong_type
from .ranking import FieldSort, GeoSort, resolve
from .rules import fold
from .search import Hits, answer, check_sort_syntax, page_of, run
from .values import distinct_values

QUERY = {"indexUid": ("string", False), **BODY, "federationOptions": ("any", True)}
OPTIONS = {"weight": ("weight", False), "remote": ("string", True), "queryPosition": ("count", True)}
FEDERATION = {
    "limit": ("count", False), "offset": ("count", False), "page": ("count", True), "hitsPerPage": ("count", True),
    "facetsByIndex": ("object", False), "mergeFacets": ("any", True), "distinct": ("string", True),
    "showPerformanceDetails": ("boolean", False), "personalize": ("any", True),
}
DISTINCT_CODE = "invalid_multi_search_distinct"
FACETS_CODE, MERGE_CODE = "invalid_multi_search_facets_by_index", "invalid_multi_search_merge_facets"
WORDS = "relevancy"
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
    check_vectors(query)
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
    codes = {"facetsByIndex": FACETS_CODE, "distinct": DISTINCT_CODE}
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

    def __init__(self, server, federation, number, query, before=()):
        place = f".queries[{number}]"
        self.index = index_of(server, query, place)
        self.position = number
        self.weight = (query.get("federationOptions") or {}).get("weight", 1)
        self.request = {**DEFAULTS, **query}
        if "distinct" in federation:
            self.request["distinct"] = federation["distinct"]
        self.kinds = kinds_of_rules(self.index.settings, self.request)
        try:
            self.check(federation, query)
            self.check_compatible(before)
            self.check_settings(federation)
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
        if "distinct" in federation and "distinct" in query:
            raise ApiError(DISTINCT_CODE, "Using `distinct` is not allowed in federated queries beside `federation.distinct`.")

    def check_compatible(self, before):
        """Rules that stand at the same place must be of one kind; compared with the query before that has most of them."""
        if not before:
            return
        longest = max(before, key=lambda part: (len(part.kinds), part.position))
        for kind, other in zip(self.kinds, longest.kinds):
            if kind != other:
                raise ApiError("invalid_multi_search_query_ranking_rules", incompatible(longest, other, self, kind))

    def check_settings(self, federation):
        """The facets and the distinct attribute of the whole."""
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


def kinds_of_rules(settings, request):
    """By what the hits of a query are ordered, rule by rule; rules about words that stand together are one.

    A query with any text at all is one about words. A malformed sort is refused later, by itself.
    """
    sort = request.get("sort") or []
    try:
        check_sort_syntax(sort)
    except ApiError:
        return []
    rules = resolve(settings, sort, request.get("matchingStrategy") or "last", bool(request.get("q")))
    kinds = [kind_of_rule(rule) for rule in rules]
    return [kind for kind, before in zip(kinds, [None, *kinds]) if (kind, before) != (WORDS, WORDS)]


def kind_of_rule(rule):
    if isinstance(rule, str):
        return WORDS
    return ("descending " if rule.descending else "ascending ") + ("geo sort" if isinstance(rule, GeoSort) else "sort")


def incompatible(one, kind, other, other_kind):
    """Of two queries whose hits have no common order: which they are, and why."""
    families = [WORDS if name == WORDS else "geosort" if "geo" in name else "sort" for name in (kind, other_kind)]
    first, second = sorted(families, key=(WORDS, "sort", "geosort").index)
    if first == second:
        reason = f"cannot compare two {first} rules in opposite directions"
    else:
        reason = f"cannot compare a {first} rule with a {second} rule"
    return (f"The results of queries #{one.position} and #{other.position} are incompatible: \n"
            f"  1. `queries[{one.position}]`, `{one.index.uid}`: {kind}\n"
            f"  2. `queries[{other.position}]`, `{other.index.uid}`: {other_kind}\n  - {reason}\n")


def federated(server, federation, queries):
    """One list of all hits; a document found by several queries stands where it is best."""
    parts = []
    for number, query in enumerate(queries):
        parts.append(Part(server, federation, number, query, parts))
    for uid in federation.get("facetsByIndex", {}):
        if all(part.index.uid != uid for part in parts):
            raise ApiError("index_not_found", f"Index `{uid}` not found.").inside(f".federation.facetsByIndex.{uid}")
    rows = without_repetitions(merged(parts), federation.get("distinct"))
    counted = listed_documents(parts, rows) if "distinct" in federation else counted_documents(federation, parts)
    total = sum(len(documents) for documents in counted.values())
    offset, limit, paging = page_of(federation, total, max(len(rows), total))
    hits = [part.hit(ranked) for _, part, ranked in rows[offset:offset + limit]]
    return {"hits": hits, **paging, **merged_facets(federation, parts, counted)}


def merged(parts):
    """(key, part, hit): the best of what each query comes to next; hits of one query stay in its order, whatever they weigh."""
    lists = [[(part.key(ranked), part, ranked) for ranked in part.found.ranked] for part in parts]
    return heapq.merge(*lists, key=lambda row: row[0])


def without_repetitions(rows, field):
    """The first of the same document.

    With a distinct field, of which each query has left out its own repetitions, the first of each value among the hits of an
    index; and of those the first among all.
    """
    seen, kept = set(), []
    for row in rows:
        _, part, ranked = row
        document = ("document", part.index.uid, ranked.document.sequence)
        values = distinct_values(ranked.document.source, field) if field else set()
        in_index = {("in", part.index.uid, value) for value in values}
        if document in seen:
            continue
        seen.add(document)
        if seen & in_index:
            continue
        seen |= in_index
        if not seen & values:
            kept.append(row)
            seen |= values
    return kept


def listed_documents(parts, rows):
    """{index: {place: document}} of a list in which nothing repeats."""
    listed = {part.index.uid: {} for part in parts}
    for _, part, ranked in rows:
        listed[part.index.uid][ranked.document.sequence] = ranked.document
    return listed


def counted_documents(federation, parts):
    """The same of what the queries on an index count together."""
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
