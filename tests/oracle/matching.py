"""Match set and ranked list: every document is looked at, filtered, matched and ranked."""
from .derivations import View
from .filters import compile_filter
from .paths import QueryPaths
from .query import Node, parse_query
from .ranking import rank_document, resolve
from .rules import Context
from .settings import matches_pattern
from .values import distinct_values


class Search:
    """One search on one index. `ranked` is the whole list, best first, before paging."""

    def __init__(self, index, request):
        self.index = index
        self.request = request
        settings = index.settings
        self.query = parse_query(request.get("q") or "", index.tokenizer, settings["prefixSearch"] != "disabled")
        self.strategy = request.get("matchingStrategy") or "last"
        self.searched = searched_paths(index, request.get("attributesToSearchOn"))
        self.views = {}
        sort = request.get("sort") or []
        self.rules = resolve(settings, sort, self.strategy, bool(self.query.terms))
        self.accepts = compile_filter(request.get("filter"), settings)
        self.paths = QueryPaths(self.query.terms, self.strategy, self.frequency)
        self.candidates = [r for r in map(self.rank, index.documents) if r is not None]
        self.candidates.sort(key=lambda ranked: ranked.sort_key)
        self.ranked = distinct(self.above_threshold(), self.distinct_field)

    @property
    def distinct_field(self):
        """The field of the request, else of the settings."""
        return self.request.get("distinct") or self.index.settings["distinctAttribute"]

    def view(self, document):
        """A document as this search sees it."""
        if document.sequence not in self.views:
            self.views[document.sequence] = View(document, self.searched, self.index.vocabulary)
        return self.views[document.sequence]

    def frequency(self, term):
        """In how many documents of the whole index a term is found."""
        return sum(bool(self.view(document).derivations(Node(0, (term,)))) for document in self.index.documents)

    def rank(self, document):
        """The ranking of one document, or None if it does not match."""
        if not self.accepts(document) or self.is_excluded(document):
            return None
        if not self.query.terms:
            return rank_document(document, self.rules, None, [])
        view = self.view(document)
        found = self.paths.in_document(view)
        if found is None:
            return None
        kept, paths = found
        graph = self.paths.graph(kept)
        context = Context(view, self.query.terms, kept, self.index.settings, self.index.vocabulary, graph,
                          self.index.dictionary)
        return rank_document(document, self.rules, context, paths)

    def is_excluded(self, document):
        """Documents with a negative word as typed, or a negative phrase, are out."""
        view = self.view(document)
        if any(view.fields_of(word) for word in self.query.negative_words):
            return True
        return any(view.has_phrase(words) for words in self.query.negative_phrases)

    def is_above_threshold(self, ranked):
        """The score must reach the threshold, if there is one."""
        threshold = self.request.get("rankingScoreThreshold")
        return threshold is None or ranked.score >= threshold

    def above_threshold(self):
        """All candidates that reach the threshold, best first."""
        return [ranked for ranked in self.candidates if self.is_above_threshold(ranked)]

    def counted(self, hits_wanted=None):
        """The documents that totals and facets count.

        Distinct is applied to all. The threshold removes what ranking comes to before it has the hits that are wanted, which
        is everything below if their number is None.
        """
        remaining, above = [], 0
        for ranked in self.candidates:
            wanted = hits_wanted is None or above < hits_wanted
            is_above = self.is_above_threshold(ranked)
            above += is_above
            if is_above or not wanted:
                remaining.append(ranked)
        return distinct(remaining, self.distinct_field)


def searched_paths(index, patterns):
    """The paths of the fields that are searched; None: all."""
    if patterns is None or "*" in patterns:
        return None
    paths = {field.path for document in index.documents for field in document.fields}
    return {path for path in paths if any(matches_pattern(pattern, path) for pattern in patterns)}


def distinct(ranked, field):
    """The first document of each value; a document without the field is kept."""
    if not field:
        return ranked
    seen, kept = set(), []
    for item in ranked:
        values = distinct_values(item.document.source, field)
        if not seen & values:
            kept.append(item)
            seen |= values
    return kept
