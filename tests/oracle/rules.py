"""The ranking rules that look at words, as costs of one document.

A rule takes the paths still admissible and returns its Outcome: the cost of the best of them, and those that reach it.
"""
from dataclasses import dataclass, field

from .documents import bucket

POSITION_COSTS = [(0, 0), (1, 1), (4, 2), (7, 3), (11, 4), (16, 5), (24, 6), (64, 7), (256, 8), (1024, 9)]
POSITION_COST_MAX = 10
FAR = 3
EXACT_ATTRIBUTE_WORDS_MAX = 30
MATCH_TYPES = ("noExactMatch", "matchesStart", "exactMatch")


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
    """What the rules need besides the paths: the document, the query, the settings, the terms kept.

    `graph` holds the ways to read the query that are not yet ruled out: the denominators come from it.
    """

    view: object
    terms: list
    kept: list
    settings: dict
    vocabulary: object
    graph: list
    dictionary: set

    def is_known(self, node):
        """A phrase, or a word that some document of the index holds as typed."""
        return node.is_phrase or not node.is_ngram and node.text in self.dictionary

    def cost_max(self, choice_cost_max):
        """The greatest cost of a way to read the query, by a function of a choice and the one before it."""
        return max(sum(choice_cost_max(left, choice) for left, choice in zip((None, *row), row)) for row in self.graph)


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
    matching = sum(context.terms[i].word_count for i in context.kept)
    outcome = Outcome(total - matching, paths, [(matching, total)])
    outcome.details = {"matchingWords": matching, "maxMatchingWords": total, "score": matching / total}
    return outcome


def typo(context, paths):
    """Typos of the derivations used, a split word one, an n-gram its number of words."""
    cost, paths = best_paths(paths, lambda path: sum(choice.typos for choice in path))
    paths = [tuple(choice.with_fewest_typos() for choice in path) for path in paths]
    cost_max = context.cost_max(lambda _, choice: typos_max(context.vocabulary, choice))
    outcome = ranked(cost, cost_max, paths)
    outcome.details = {"typoCount": cost, "maxTypoCount": cost_max, "score": outcome.score}
    return outcome


def typos_max(vocabulary, choice):
    """The typos that a choice may cost: every word can at least be split, an n-gram costs its number of words besides.

    Nothing is left to cost of a word that only stands as typed, but for one too short for typos: its split still counts.
    """
    node, allowed = choice.node, vocabulary.allowed(choice.node)
    if node.is_phrase or choice.exact_only and allowed:
        return 0
    return max(1, allowed) + (node.size if node.is_ngram else 0)


def proximity(context, paths):
    """Distances between neighbouring terms, forward 1 to 3 and one more when reversed; beyond that far."""
    document = context.view.document

    def edge(left, right):
        joined = right.node.size - 1
        if not is_adjacent(left, right):
            return joined
        return joined + pair_cost(document, left, right)

    cost, paths = best_paths(paths, lambda path: sum(edge(left, right) for left, right in zip((None, *path), path)))
    cost_max = context.cost_max(lambda left, right: right.node.size - 1 + FAR * is_adjacent(left, right))
    outcome = ranked(cost, cost_max, paths)
    outcome.details = {"score": outcome.score}
    return outcome


def is_adjacent(left, right):
    """No gap between two choices in the query: no term dropped, no hard separator, no stop word."""
    return left is not None and left.node.end + 1 == right.node.start


def pair_cost(document, left, right):
    """Cost of two neighbours; phrases count by their outer words and only forward."""
    best = FAR
    for a in left.derivations:
        for b in right.derivations:
            first, second = a.words[-1], b.words[0]
            best = min(best, document.pairs.get((first, second), FAR + 1) - 1)
            if not (a.is_phrase or b.is_phrase):
                best = min(best, document.pairs.get((second, first), FAR))
    return best


def attribute_rank(context, paths):
    """The place of the best searchable attribute that holds each term."""
    def cost_of(path):
        return sum(field_weight(context.view, choice) * choice.node.size for choice in path)

    cost, paths = best_paths(paths, cost_of)
    entries = context.settings["searchableAttributes"]
    cost_max = context.cost_max(lambda _, choice: (len(entries) - 1) * choice.node.size)
    outcome = ranked(cost, cost_max, paths)
    outcome.details = {"score": outcome.score}
    return outcome


def field_weight(view, choice):
    """The place of the first searchable attribute that holds a derivation; a phrase is where its first word is."""
    return min(field.weight for d in choice.derivations for field in view.fields_of(d.words[0]))


def word_position(context, paths):
    """How far each term stands from its place in the query, in any searchable field."""
    def cost_of(path):
        return sum(position_cost(context.view.document, choice) for choice in path)

    cost, paths = best_paths(paths, cost_of)
    outcome = ranked(cost, context.cost_max(lambda _, choice: POSITION_COST_MAX * choice.node.size), paths)
    outcome.details = {"score": outcome.score}
    return outcome


def position_cost(document, choice):
    """The words of an n-gram are taken to follow each other from where it stands, all measured from its first place."""
    places = {place for d in choice.derivations for place in document.buckets[d.words[0]]}
    offsets = range(choice.node.size)
    return min(sum(table_cost(abs(place + i - choice.node.start)) for i in offsets) for place in places)


def table_cost(difference):
    """Distances from the wanted position cost by steps."""
    for greatest, cost in POSITION_COSTS:
        if difference <= greatest:
            return cost
    return POSITION_COST_MAX


def exactness(context, paths):
    """First whether an attribute is the query or begins with it, then how many words match as typed."""
    match_type = max((exact_attribute(context, path) for path in paths), key=MATCH_TYPES.index)
    rank = MATCH_TYPES.index(match_type) + 1
    cost, paths = best_paths(paths, lambda path: sum(c.node.size for c in path if not c.is_exact))
    paths = [tuple(c.with_exact_only() if c.is_exact else c for c in path) for path in paths]
    total = len(context.kept)
    outcome = Outcome((len(MATCH_TYPES) - rank, cost), paths, [(rank, len(MATCH_TYPES)), (total - cost + 1, total + 1)])
    outcome.details = {"matchType": match_type, "score": rank / len(MATCH_TYPES)}
    if match_type == "noExactMatch":
        outcome.details = {
            "matchType": match_type, "matchingWords": total - cost, "maxMatchingWords": total, "score": outcome.score
        }
    return outcome


def exact_attribute(context, path):
    """Whether the words as typed stand at their places, and some field holds them all, or nothing but them.

    Only the leading terms are asked for that may still stand as typed; one missing before others spoils the match.
    """
    document = context.view.document
    asked = [choice.as_typed and context.is_known(choice.node) for choice in path]
    leading = asked.index(False) if False in asked else len(path)
    if leading == 0 or any(asked[leading:]) or any(path[i].node.first != i for i in range(leading)):
        return "noExactMatch"
    terms = [term for choice in path[:leading] for term in choice.node.terms]
    wanted = [(term.start + i, word) for term in terms for i, word in enumerate(term.words) if word is not None]
    length = sum(term.end - term.start + 1 for term in terms)
    if not all(bucket(place) in document.buckets.get(word, ()) for place, word in wanted):
        return "noExactMatch"
    best = "noExactMatch"
    for field_ in context.view.searched_fields:
        held = {word for _, word in field_.words}
        if all(word in held for _, word in wanted):
            best = "matchesStart"
            if field_.word_count == length <= EXACT_ATTRIBUTE_WORDS_MAX:
                return "exactMatch"
    return best
