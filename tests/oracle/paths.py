"""Ways to read a query in one document: which terms are kept, which are joined, and what stands for each."""
from dataclasses import dataclass
from itertools import combinations

from .query import nodes_of


@dataclass(frozen=True)
class Choice:
    """A node with those of its derivations that are still admissible: ((typos, derivations), ...).

    `as_typed`: nothing has ruled out yet that the word stands as typed; `exact_only`: everything else is ruled out.
    """

    node: object
    found: tuple
    as_typed: bool = True
    exact_only: bool = False

    @property
    def derivations(self):
        return [derivation for _, derivations in self.found for derivation in derivations]

    @property
    def typos(self):
        """Typos of the best derivation; an n-gram costs its number of words besides."""
        best = min(typos for typos, _ in self.found)
        return best + (self.node.size if self.node.is_ngram else 0)

    @property
    def is_exact(self):
        return any(derivation.exact for derivation in self.derivations)

    def with_fewest_typos(self):
        """Only the derivations of the fewest typos stay admissible."""
        best = min(self.found, key=lambda pair: pair[0])
        return Choice(self.node, (best,), self.as_typed and best[0] == 0, self.exact_only)

    def with_exact_only(self):
        """Only what stands as typed stays admissible."""
        found = tuple((typos, frozenset(d for d in items if d.exact)) for typos, items in self.found)
        return Choice(self.node, tuple(pair for pair in found if pair[1]), self.as_typed, exact_only=True)


def tilings(kept, nodes):
    """Every way to cover the kept terms by nodes: ([nodes], ...)."""
    if not kept:
        yield ()
        return
    for node in nodes:
        if node.first == kept[0] and kept[:node.size] == node.places:
            for rest in tilings(kept[node.size:], nodes):
                yield (node, *rest)


class QueryPaths:
    """Which terms a document must hold, and in which order the others may be missing."""

    def __init__(self, terms, strategy, frequency_of):
        self.terms = terms
        self.strategy = strategy
        self.nodes = nodes_of(terms)
        self.graphs = {}
        everything = frozenset(range(len(terms)))
        phrases = frozenset(i for i in everything if terms[i].is_phrase)
        self.mandatory = everything
        if terms and strategy != "all":
            self.mandatory = phrases or frozenset([self.kept_longest(frequency_of)])

    def kept_longest(self, frequency_of):
        """The term dropped last. `last`: the first; `frequency`: the rarest, those that no document holds aside."""
        if self.strategy == "last":
            return 0
        counts = [frequency_of(term) for term in self.terms]
        return min(range(len(counts)), key=lambda i: (counts[i] == 0, counts[i], i))

    def subsets(self, available):
        """Sets of terms that may stand for the query, the largest first, in groups of one size.

        `last` without phrases drops from the end only; otherwise every term that is not mandatory may be missing.
        """
        if self.strategy == "last" and not any(term.is_phrase for term in self.terms):
            for size in range(len(self.terms), 0, -1):
                yield [tuple(range(size))]
            return
        optional = sorted(available - self.mandatory)
        for size in range(len(optional), -1, -1):
            yield [tuple(sorted(self.mandatory.union(chosen))) for chosen in combinations(optional, size)]

    def graph(self, kept):
        """All ways to read the kept terms, whether documents hold them or not."""
        if kept not in self.graphs:
            self.graphs[kept] = [tuple(Choice(node, ()) for node in row) for row in tilings(kept, self.nodes)]
        return self.graphs[kept]

    def in_document(self, view):
        """(number of terms, paths) of the largest sets of terms that the document holds, or None."""
        nodes = [node for node in self.nodes if view.derivations(node)]
        available = {node.first + i for node in nodes for i in range(node.size)}
        if not self.mandatory <= available:
            return None
        for group in self.subsets(available):
            paths = [tuple(choice_of(view, node) for node in row) for kept in group for row in tilings(kept, nodes)]
            if paths:
                return group[0], paths
        return None


def choice_of(view, node):
    """All derivations of a node that a document holds."""
    found = view.derivations(node)
    return Choice(node, tuple((typos, frozenset(items)) for typos, items in sorted(found.items())))
