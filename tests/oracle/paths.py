"""Ways to read a query in one document: which terms are kept, which are joined, and what stands for each."""
from dataclasses import dataclass

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
        best = min(self.found, key=lambda pair: pair[0])
        return Choice(self.node, (best,), self.as_typed and best[0] == 0, self.exact_only)

    def with_exact_only(self):
        found = tuple((typos, frozenset(d for d in items if d.exact)) for typos, items in self.found)
        return Choice(self.node, tuple(pair for pair in found if pair[1]), self.as_typed, exact_only=True)


def tilings(kept, nodes):
    """Every way to cover the kept terms by nodes: ([nodes], ...)."""
    if not kept:
        yield ()
        return
    for node in nodes:
        covered = list(range(node.first, node.first + node.size))
        if kept[:node.size] == covered:
            for rest in tilings(kept[node.size:], nodes):
                yield (node, *rest)


class QueryPaths:
    """All stages of dropping terms, from the whole query to the least that must match."""

    def __init__(self, terms, strategy, frequency_of):
        self.terms = terms
        self.nodes = nodes_of(terms)
        self.stages = [list(range(len(terms)))]
        if strategy != "all":
            for index in self.removal_order(strategy, frequency_of):
                self.stages.append([i for i in self.stages[-1] if i != index])

    def removal_order(self, strategy, frequency_of):
        """Phrases are never dropped. `last`: from the end; `frequency`: the most frequent first, absent words before all."""
        optional = [i for i, term in enumerate(self.terms) if not term.is_phrase]
        has_phrases = len(optional) < len(self.terms)
        if strategy == "frequency":
            counts = {i: frequency_of(self.terms[i]) for i in optional}
            optional.sort(key=lambda i: (counts[i] > 0, -counts[i], -i))
        else:
            optional.reverse()
        return optional if has_phrases else optional[:-1]

    def graph(self, kept):
        """All ways to read the kept terms, whether documents hold them or not."""
        return [tuple(Choice(node, ()) for node in row) for row in tilings(kept, self.nodes)]

    def in_document(self, view):
        """(kept terms, paths) of the first stage that the document satisfies, or None."""
        for kept in self.stages:
            paths = []
            for tiling in tilings(kept, self.nodes):
                choices = [choice_of(view, node) for node in tiling]
                if all(choices):
                    paths.append(tuple(choices))
            if paths:
                return kept, paths
        return None


def choice_of(view, node):
    found = view.derivations(node)
    if not found:
        return None
    return Choice(node, tuple((typos, frozenset(items)) for typos, items in sorted(found.items())))
