"""Ranking: the rules in order, the sort key they give a document, its score and the details of the score."""
import re

from . import rules
from .documents import number_text
from .geo import distance_metres, point_of
from .values import sort_values

WORD_RULES = {
    "typo": rules.typo,
    "proximity": rules.proximity,
    "attributeRank": rules.attribute_rank,
    "wordPosition": rules.word_position,
    "exactness": rules.exactness,
}
GEO_POINT = re.compile(r"_geoPoint\(\s*([^,]*?)\s*,\s*([^)]*?)\s*\)")


class Reversed:
    """A value that sorts the other way round."""

    def __init__(self, value):
        self.value = value

    def __lt__(self, other):
        return other.value < self.value

    def __eq__(self, other):
        return other.value == self.value


class FieldSort:
    """Order by a field: numbers before strings in both directions, documents without a value last."""

    def __init__(self, name, descending):
        self.field = name
        self.descending = descending
        self.name = f"{name}:{'desc' if descending else 'asc'}"

    def key_and_details(self, source):
        numbers, strings = sort_values(source, self.field)
        choose = max if self.descending else min
        if numbers:
            kind, value = 0, choose(numbers)
            shown = float(value)
        elif strings:
            shown = choose(strings, key=str.encode)
            kind, value = 1, shown.encode()
        else:
            return (2, 0), {"value": None}
        return (kind, Reversed(value) if self.descending else value), {"value": shown}


class GeoSort:
    """Order by distance from a point in whole metres, documents without a place last."""

    def __init__(self, point, descending):
        self.point = point
        self.descending = descending
        lat, lng = (number_text(int(value) if value == int(value) else value) for value in point)
        self.name = f"_geoPoint({lat}, {lng}):{'desc' if descending else 'asc'}"

    def key_and_details(self, source):
        place = point_of(source)
        if place is None:
            return (1, 0), {"value": None, "distance": None}
        distance = distance_metres(self.point, place)
        metres = round(distance)
        details = {"value": {"lat": place[0], "lng": place[1]}, "distance": round(distance, 3)}
        return (0, -metres if self.descending else metres), details


def parse_sort(text):
    """A sort criterion `field:asc`, `field:desc` or `_geoPoint(lat, lng):asc`."""
    name, _, direction = text.rpartition(":")
    match = GEO_POINT.fullmatch(name)
    if match:
        return GeoSort((float(match.group(1)), float(match.group(2))), direction == "desc")
    return FieldSort(name, direction == "desc")


def resolve(settings, sort, strategy, has_terms):
    """The rules of one search in order: names of word rules, sorts. `words` comes before the first word rule."""
    resolved, fields = [], set()

    def add_sort(criterion):
        """A field is sorted by once; what comes later is ignored."""
        field = getattr(criterion, "field", criterion.name)
        if field not in fields:
            fields.add(field)
            resolved.append(criterion)

    def add_word_rule(name):
        """A rule counts once; `attribute` stands for its two parts, in either direction."""
        seen = set(resolved) & {"attribute"} and name in ("attributeRank", "wordPosition")
        seen = seen or name == "attribute" and {"attributeRank", "wordPosition"} & {r for r in resolved if isinstance(r, str)}
        if name in resolved or seen:
            return
        if strategy != "all" and "words" not in resolved:
            resolved.append("words")
        if name != "words":
            resolved.append(name)

    for name in settings["rankingRules"]:
        if name == "sort":
            for text in sort:
                add_sort(parse_sort(text))
        elif ":" in name:
            add_sort(parse_sort(name))
        elif has_terms:
            add_word_rule(name)
    return resolved


class Ranked:
    """One document in the ranking: what it sorts by, its score and the details."""

    def __init__(self, document):
        self.document = document
        self.key = []
        self.ranks_by_rule = []
        self.details = {}
        self.paths = []

    @property
    def sort_key(self):
        return (*self.key, self.document.sequence)

    @property
    def score(self):
        return rules.fold([pair for ranks in self.ranks_by_rule for pair in ranks])


def rank_document(document, resolved, context, paths):
    """Applies the rules one after the other; each sees only the paths that the ones before it left."""
    result = Ranked(document)
    for order, rule in enumerate(resolved):
        if isinstance(rule, str):
            outcome = apply_word_rule(rule, context, paths)
            paths = outcome.paths
            context.graph = paths[:1]
            result.key.append(outcome.cost)
            result.ranks_by_rule.append(outcome.ranks)
            result.details[rule] = {"order": order, **outcome.details}
        else:
            key, details = rule.key_and_details(document.source)
            result.key.append(key)
            result.ranks_by_rule.append([])
            result.details[rule.name] = {"order": order, **details}
    result.paths = paths
    return result


def apply_word_rule(name, context, paths):
    """One rule about words; `attribute` is attributeRank and then wordPosition, reported together."""
    if name == "words":
        return rules.words(context, paths)
    if name != "attribute":
        return WORD_RULES[name](context, paths)
    rank = rules.attribute_rank(context, paths)
    position = rules.word_position(context, rank.paths)
    ranks = rank.ranks + position.ranks
    outcome = rules.Outcome((rank.cost, position.cost), position.paths, ranks)
    outcome.details = {
        "attributeRankingOrderScore": rank.score, "queryWordDistanceScore": position.score, "score": outcome.score
    }
    return outcome
