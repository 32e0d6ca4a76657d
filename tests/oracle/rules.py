"""The ranking rules that look at words, as costs of one document.

A rule takes the paths still admissible and returns its Outcome: the cost of the best of them, and those that reach it.
"""
from dataclasses import dataclass, field

from .documents import bucket

POSITION_COSTS = [(0, 0), (1, 1), (4, 2), (7, 3), (11, 4), (16, 5), (24, 6), (64, 7), (256, 8), (1024, 9)]
POSITION_COST_MAX = 10
FAR = 3
EXACT_ATTRIBUTE_WORDS_MAX = 30


@dataclass
class Outcome:
    """What a rule says of a document. `ranks`: pairs of rank and highest rank, for the score."""

    cost: object
    paths: list
    ranks: list
    details: dict = field(default_factory=dict)

    @property
    def score(self):
        return fold(self.ranks)


def fold(ranks):
    """Pairs of rank and highest rank, coarse before fine, as one number between 0 and 1."""
    rank, highest = 1, 1
    for r, m in ranks:
        rank, highest = (rank - 1) * m + r, highest * m
    return rank / highest


@dataclass
class Context:
    """What the rules need besides the paths: the document, the query, the settings, the terms kept."""

    view: object
    terms: list
    kept: list
    settings: dict
    vocabulary: object

    @property
    def kept_terms(self):
        return [self.terms[i] for i in self.kept]


def best_paths(paths, cost_of):
    """The smallest cost, and the paths that have it."""
    costs = [cost_of(path) for path in paths]
    return min(costs), [path for path, cost in zip(paths, costs) if cost == min(costs)]


def ranked(cost, cost_max, paths):
    """An outcome whose rank counts down from the greatest cost; never below one."""
    return Outcome(cost, paths, [(max(1, cost_max + 1 - cost), cost_max + 1)])


def words(context, paths):
    """Words of the query that the document holds, of all; the words of a phrase count one by one."""
    total = sum(term.word_count for term in context.terms)
    matching = sum(term.word_count for term in context.kept_terms)
    outcome = Outcome(total - matching, paths, [(matching, total)])
    outcome.details = {"matchingWords": matching, "maxMatchingWords": total, "score": matching / total}
    return outcome


def typo(context, paths):
    """Typos of the derivations used, a split word one, an n-gram its number of words."""
    cost, paths = best_paths(paths, lambda path: sum(choice.typos for choice in path))
    paths = [tuple(choice.with_fewest_typos() for choice in path) for path in paths]
    cost_max = sum(max(1, context.vocabulary.allowed(node_of(term))) for term in context.kept_terms if not term.is_phrase)
    outcome = ranked(cost, cost_max, paths)
    outcome.details = {"typoCount": cost, "maxTypoCount": cost_max, "score": outcome.score}
    return outcome


def node_of(term):
    from .query import Node
    return Node(0, (term,))


def proximity(context, paths):
    """Distances between neighbouring terms, forward 1 to 3 and one more when reversed; beyond that far."""
    document = context.view.document

    def edge(left, right):
        joined = right.node.size - 1
        if left is None or left.node.end + 1 != right.node.start:
            return joined
        return joined + min(pair_cost(document, a, b) for a in left.derivations for b in right.derivations)

    def cost_of(path):
        return sum(edge(left, right) for left, right in zip((None, *path), path))

    cost, paths = best_paths(paths, cost_of)
    kept = context.kept_terms
    adjacent = sum(left.end + 1 == right.start for left, right in zip(kept, kept[1:]))
    outcome = ranked(cost, FAR * adjacent, paths)
    outcome.details = {"score": outcome.score}
    return outcome


def pair_cost(document, left, right):
    """Cost of two derivations in a row; phrases count by their outer words and only forward."""
    first, second = left.words[-1], right.words[0]
    cost = document.pairs.get((first, second), FAR + 1) - 1
    if not left.is_phrase and not right.is_phrase:
        cost = min(cost, document.pairs.get((second, first), FAR))
    return min(cost, FAR)


def attribute_rank(context, paths):
    """The place of the best searchable attribute that holds each term."""
    def cost_of(path):
        return sum(field_weight(context.view, choice) * choice.node.size for choice in path)

    cost, paths = best_paths(paths, cost_of)
    entries = context.settings["searchableAttributes"]
    cost_max = (len(entries) - 1) * len(context.kept)
    outcome = ranked(cost, cost_max, paths)
    outcome.details = {"score": outcome.score}
    return outcome


def field_weight(view, choice):
    return min(field.weight for d in choice.derivations for field in view.fields_of(d.words[0]))


def word_position(context, paths):
    """How far each term stands from its place in the query, in any searchable field."""
    def cost_of(path):
        return sum(position_cost(context.view.document, choice) * choice.node.size for choice in path)

    cost, paths = best_paths(paths, cost_of)
    outcome = ranked(cost, POSITION_COST_MAX * len(context.kept), paths)
    outcome.details = {"score": outcome.score}
    return outcome


def position_cost(document, choice):
    places = {place for d in choice.derivations for place in document.buckets[d.words[0]]}
    return min(table_cost(abs(place - choice.node.start)) for place in places)


def table_cost(difference):
    for greatest, cost in POSITION_COSTS:
        if difference <= greatest:
            return cost
    return POSITION_COST_MAX


def exactness(context, paths):
    """First whether an attribute is the query or begins with it, then how many words match as typed."""
    match_type = exact_attribute(context)
    rank = {"exactMatch": 3, "matchesStart": 2, "noExactMatch": 1}[match_type]
    cost, paths = best_paths(paths, lambda path: sum(c.node.size for c in path if not c.is_exact))
    paths = [tuple(c.with_exact_only() if c.is_exact else c for c in path) for path in paths]
    total = len(context.kept)
    outcome = Outcome((3 - rank, cost), paths, [(rank, 3), (total - cost + 1, total + 1)])
    outcome.details = {"matchType": match_type, "score": outcome.score}
    if match_type == "noExactMatch":
        outcome.details = {
            "matchType": match_type, "matchingWords": total - cost, "maxMatchingWords": total, "score": outcome.score
        }
    return outcome


def exact_attribute(context):
    """exactMatch, matchesStart or noExactMatch."""
    document = context.view.document
    wanted = []
    for term in context.terms:
        wanted += [(term.start + i, word) for i, word in enumerate(term.words) if word is not None]
    if len(context.kept) < len(context.terms):
        return "noExactMatch"
    if not all(bucket(place) in document.buckets.get(word, ()) for place, word in wanted):
        return "noExactMatch"
    count = sum(term.word_count for term in context.terms)
    for item in document.fields:
        held = {word for _, word in item.words}
        if item.word_count == count <= EXACT_ATTRIBUTE_WORDS_MAX and all(word in held for _, word in wanted):
            return "exactMatch"
    return "matchesStart"
