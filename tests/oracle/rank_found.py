"""What the engine's rank is asked and answers of a search, from what the oracle knows of it."""
from .ranking import FieldSort, GeoSort
from .rules import MATCH_TYPES

RULES = ["words", "typo", "proximity", "attributeRank", "wordPosition", "attribute", "exactness"]
STRATEGIES = ["last", "all", "frequency"]
FIELD_WORDS_MAX = 30
UNSEARCHED = -1


def flat(places):
    """Places as the program reads them: sorted, field and position one after the other."""
    return [number for place in sorted(set(places)) for number in place]


class Question:
    """A search as a line for the program: the plan, and what stands for every node in each document."""

    def __init__(self, search):
        self.search = search
        self.fields = {}
        for document in search.index.documents:
            for field in document.fields:
                self.fields.setdefault(field.path, len(self.fields))

    def line(self):
        """The JSON object."""
        search = self.search
        terms = search.query.terms
        known = sum(1 << i for i, term in enumerate(terms) if not term.is_phrase and term.text in search.index.dictionary)
        return {
            "terms": [{"words": [int(word is not None) for word in term.words], "isPhrase": term.is_phrase,
                       "start": term.start, "end": term.end} for term in terms],
            "nodes": [[node.first, node.size] for node in search.paths.nodes],
            "strategy": STRATEGIES.index(search.strategy),
            "rarest": min(search.paths.mandatory),
            "rules": [RULES.index(rule) for rule in search.rules if isinstance(rule, str)],
            "typosAllowed": [search.index.vocabulary.allowed(node) for node in search.paths.nodes],
            "known": known,
            "weights": self.weights(),
            "entries": len(search.index.settings["searchableAttributes"]),
            "byAttribute": search.index.settings["proximityPrecision"] == "byAttribute",
            "documents": [self.document(document) for document in search.index.documents],
        }

    def weights(self):
        """The weight of every field by number."""
        weights = [UNSEARCHED] * len(self.fields)
        for document in self.search.index.documents:
            for field in self.search.view(document).searched_fields:
                weights[self.fields[field.path]] = field.weight
        return weights

    def document(self, document):
        """The places of what stands for each node, and the lengths of short fields."""
        places = {}
        for field in document.fields:
            for position, word in field.words:
                places.setdefault(word, []).append((self.fields[field.path], position))
        view = self.search.view(document)
        lengths = [(self.fields[field.path], field.word_count) for field in document.fields]
        return {
            "nodes": [found_node(node, view.derivations(node), places) for node in self.search.paths.nodes],
            "fields": flat((field, count) for field, count in lengths if 1 <= count <= FIELD_WORDS_MAX),
        }


def found_node(node, found, places):
    """A node's derivations merged by typos: words, first and last words of phrases; what stands as typed."""
    classes = []
    for typos in range(3):
        items = found.get(typos, ())
        classes.append([
            flat(place for d in items if not d.is_phrase for place in places[d.words[0]]),
            flat(place for d in items if d.is_phrase for place in places[d.words[0]]),
            flat(place for d in items if d.is_phrase for place in places[d.words[-1]]),
        ])
    exact = [d.words[0] for d in found.get(0, ()) if d.exact and not d.is_phrase]
    phrase = []
    if node.is_phrase and found:
        phrase = [flat(places[word]) if word is not None else [] for word in node.terms[0].words]
    return {"typos": classes, "exact": flat(place for word in exact for place in places[word]), "phrase": phrase}


def is_sort(rule):
    """Whether a rule of a search is none of the words'."""
    return isinstance(rule, (FieldSort, GeoSort))


def cost_of(rule, key):
    """The cost as one number."""
    if rule == "attribute":
        return key[0] * 128 + key[1]
    if rule == "exactness":
        return key[0] * 16 + key[1]
    return key


def expected(search, ranked, others):
    """The program's answer for a document that matches; `others`: all that do, in the index's order."""
    rules = [rule for rule in search.rules if not is_sort(rule)]
    kept = {node.first + i for choice in ranked.paths[0] for node in [choice.node] for i in range(node.size)}
    _, paths = search.paths.in_document(search.view(ranked.document))
    return {
        "kept": sum(1 << i for i in kept),
        "score": ranked.score,
        "costs": costs_of(search, ranked),
        "pairs": [pairs_of(ranks) for rule, ranks in zip(search.rules, ranked.ranks_by_rule) if not is_sort(rule)],
        "details": {rule: {k: v for k, v in ranked.details[rule].items() if k != "order"} for rule in rules},
        "worse": [worse_at(costs_of(search, ranked), costs_of(search, other)) for other in others],
        "words": sum(search.query.terms[i].word_count for i in kept),
        "typos": min(sum(choice.typos for choice in path) for path in paths),
    }


def costs_of(search, ranked):
    """The costs of the rules about words."""
    return [cost_of(rule, key) for rule, key in zip(search.rules, ranked.key) if not is_sort(rule)]


def pairs_of(ranks):
    """Two pairs in a row; a rule of one part has {1, 1} as the second."""
    return [number for pair in (ranks + [(1, 1)])[:2] for number in pair]


def worse_at(costs, bound):
    """How many costs of another it takes to know that a document is worse; 0 if it is not."""
    for number, (cost, other) in enumerate(zip(costs, bound), 1):
        if cost != other:
            return number if cost > other else 0
    return 0


def answered(search, answer):
    """The program's answer with the details that follow from costs and ranks, as rank.h says."""
    rules = [rule for rule in search.rules if not is_sort(rule)]
    answer["details"] = {
        rule: detail_of(rule, cost, pairs, scores)
        for rule, cost, pairs, scores in zip(rules, answer["costs"], answer["pairs"], answer.pop("scores"))
    }
    return answer


def detail_of(rule, cost, pairs, scores):
    """One rule's part of _rankingScoreDetails, its order aside."""
    rank, highest, fine_rank, fine_highest = pairs
    detail = {"score": scores[0]}
    if rule == "words":
        detail.update(matchingWords=rank, maxMatchingWords=highest)
    if rule == "typo":
        detail.update(typoCount=cost, maxTypoCount=highest - 1)
    if rule == "attribute":
        detail.update(attributeRankingOrderScore=scores[1], queryWordDistanceScore=scores[2])
    if rule == "exactness":
        detail["matchType"] = MATCH_TYPES[rank - 1]
        if rank == 1:
            detail.update(matchingWords=fine_rank - 1, maxMatchingWords=fine_highest - 1)
    return detail
