"""Random requests to a random corpus: queries that find several documents, and every parameter that changes the answer."""
import json

from .documents import values_at
from .random_corpus import COLORS, FILTERABLE, SEPARATORS, SORTABLE, TEXT_FIELDS, misspelt

FILTER_DEPTH = 4
STRATEGIES = ["last", "last", "all", "frequency"]
NUMBERS = ["0", "1", "2", "2.5", "10", "-1", "1e3", "0.10", "-3", "003"]
STRINGS = ["a", "b", "true", "É", "e", "x", "y", "a\"b", "tall", "d-4", "nothing", "red", "REDS", "noir"] + COLORS
RESERVED = {"", "x y", "a\"b"}  # values that need quotes
PATHS = ["n", "n", "price", "color", "color", "mixed", "mixed", "meta.author", "tags", "group", "size.w", "size.h", "size", "mixed.x",
         "id", "meta"]
FACETS = ["color", "color", "mixed", "group", "tags", "meta.author", "size.h", "n"]
SHOWN = ["*", "title", "body", "tags", "meta", "meta.author", "id", "n", "mixed", "size.h", "unknown"]
LISTS = ("attributesToRetrieve", "attributesToCrop", "attributesToHighlight", "sort", "facets", "attributesToSearchOn")


class Requests:
    """Requests to one corpus."""

    def __init__(self, dice, corpus):
        self.dice = dice
        self.uid = corpus.index.uid
        self.words = corpus.words
        self.rows = corpus.rows
        self.synonyms = list(corpus.settings.get("synonyms", {}))
        self.texts = [text for source in corpus.documents for name in TEXT_FIELDS for value in values_at(source, name)
                      for text in (value if isinstance(value, list) else [value])]
        self.searchable = corpus.settings.get("searchableAttributes", ["*"])

    def one(self):
        """(route, request) of any route: searches mostly."""
        kind = self.dice.random()
        for share, route in ((0.06, self.facet_search), (0.1, self.documents), (0.2, self.several)):
            if kind < share:
                return route()
        return self.search()

    def search(self):
        """(route, request): a body, or what a URL can say."""
        request = self.request()
        in_url = self.dice.random() < 0.1 and not any("," in item for name in LISTS for item in request.get(name, []))
        return ("search-get", as_url(request)) if in_url else ("search", request)

    def facet_search(self):
        """The search in a facet's values: how one begins, give or take typos; among the documents of a search or all."""
        dice, request = self.dice, {"facetName": self.dice.choice(FACETS)}
        if dice.random() < 0.8:
            word = dice.choice(COLORS + self.words + self.texts)
            for _ in range(dice.choice((0, 0, 1, 2))):
                word = misspelt(dice, word) if word else word
            request["facetQuery"] = word[:dice.choice((0, 1, 2, 4, 6, 8, 9, 100))]
        if dice.random() < 0.4:
            request.update(q=self.query(), matchingStrategy=dice.choice(STRATEGIES))
        if dice.random() < 0.3:
            self.add_filter(request)
        if dice.random() < 0.1:
            request["rankingScoreThreshold"] = dice.choice((0.5, 0.9))
        return "facet-search", request

    def documents(self):
        """Documents by filter, sort and ids, in pages."""
        dice, request = self.dice, {}
        for share, add in ((0.4, self.add_filter), (0.4, self.add_sort)):
            if dice.random() < share:
                add(request)
        if dice.random() < 0.2:
            request["ids"] = [str(number) if number % 3 == 0 else f"d-{number}" for number in dice.sample(range(90), 12)]
        if dice.random() < 0.5:
            request["fields"] = dice.sample(SHOWN[1:], dice.randint(0, 3))
        if dice.random() < 0.6:
            request.update(offset=dice.choice((0, 1, 10, 100)), limit=dice.choice((0, 1, 7, 100)))
        if dice.random() < 0.5 and not any("," in text for text in request.get("sort", [])):
            return "documents-list", as_url(request)
        return "documents-fetch", request

    def several(self):
        """Searches side by side, or merged into one list; those sort alike mostly, so that their hits can be compared."""
        queries = [{"indexUid": self.uid, **self.request()} for _ in range(self.dice.randint(1, 3))]
        if self.dice.random() < 0.4:
            return "multi-search", {"queries": queries}
        federation = {}
        if self.dice.random() < 0.4:
            self.add_paging(federation)
        if self.dice.random() < 0.3:
            federation["facetsByIndex"] = {self.uid: self.dice.sample(FACETS, 2)}
            federation.update({"mergeFacets": {}} if self.dice.random() < 0.5 else {})
        if self.dice.random() < 0.2:
            federation["distinct"] = self.dice.choice(("group", "color", "tags", "mixed"))
        sort = queries[0].get("sort", [])
        alike = self.dice.random() < 0.85
        for query in queries:
            if alike:
                query["sort"] = sort
            if "distinct" in federation and self.dice.random() < 0.9:
                query.pop("distinct", None)
            for name in ("offset", "limit", "page", "hitsPerPage", "facets"):
                query.pop(name, None)
            if self.dice.random() < 0.4:
                query["federationOptions"] = {"weight": self.dice.choice((0, 0.5, 1.5, 2))}
        return "multi-search", {"federation": federation, "queries": queries}

    # -- the query ----------------------------------------------------------

    def query(self):
        """A piece of a document or words of the corpus, changed here and there."""
        dice = self.dice
        if dice.random() < 0.04:
            return self.row_in_phrases()
        if dice.random() < 0.5:
            words = dice.choice(self.texts).split()
            first = 0 if dice.random() < 0.5 else dice.randrange(len(words))
            words = words[first:first + dice.choice((1, 2, 2, 3, 4, 12))]
        else:
            words = dice.choices(self.words, k=dice.choice((1, 1, 2, 2, 2, 3, 3, 4, 6, 12)))
        if dice.random() < 0.15:
            dice.shuffle(words)
        parts = [self.changed(word) for word in words]
        query = "".join(part + dice.choice(SEPARATORS[6:18] if dice.random() < 0.15 else " ") for part in parts)
        return query if dice.random() < 0.15 else query.rstrip()

    def row_in_phrases(self):
        """All of a row, in three phrases."""
        words = self.dice.choice(self.rows)
        return " ".join('"' + " ".join(words[at:at + 11]) + '"' for at in range(0, len(words), 11))

    def changed(self, word):
        """The word as it is, misspelt, cut, joined, apart, in a phrase, excluded, or another one for it."""
        dice, kind = self.dice, self.dice.random()
        at = dice.randrange(1, len(word)) if len(word) > 1 else 0
        if kind < 0.16:
            return misspelt(dice, word)
        if kind < 0.24:
            return word[:at] or word
        if kind < 0.28:
            return word + dice.choice(self.words)
        if kind < 0.32:
            return f"{word[:at]} {word[at:]}"
        if kind < 0.39:
            return f'"{word}"' if dice.random() < 0.4 else f'"{word} {dice.choice(self.words)}"'
        if kind < 0.41:
            return f"-{dice.choice(self.words)}"
        if kind < 0.42:
            return f'-"{word} {dice.choice(self.words)}"'
        if kind < 0.47 and self.synonyms:
            return dice.choice(self.synonyms)
        return word

    # -- the parameters -----------------------------------------------------

    def request(self):
        """A query with some of all parameters."""
        dice, request = self.dice, {}
        if dice.random() < 0.93:
            request["q"] = self.query()
        if dice.random() < 0.6:
            request["matchingStrategy"] = dice.choice(STRATEGIES)
        for share, add in ((0.25, self.add_filter), (0.25, self.add_sort), (0.15, self.add_facets), (0.4, self.add_paging),
                           (0.25, self.add_shown), (0.25, self.add_scores), (0.1, self.add_searched)):
            if dice.random() < share:
                add(request)
        if dice.random() < 0.1:
            request["distinct"] = dice.choice(("group", "color", "n", "tags", "mixed"))
        return request

    def add_filter(self, request):
        """Text, or a list of what is required with choices in it."""
        if self.dice.random() < 0.8:
            request["filter"] = self.filter(self.dice.randint(1, FILTER_DEPTH))
        else:
            request["filter"] = [self.filter(2), [self.filter(1), self.condition()]]

    def filter(self, depth):
        """An expression nested as deep as that, or less."""
        dice, kind = self.dice, self.dice.random()
        if depth <= 1 or kind < 0.15:
            return self.condition()
        if kind < 0.3:
            return f"NOT ({self.filter(depth - 1)})"
        joint = dice.choice((" AND ", " OR ", " OR "))
        return "(" + joint.join(self.filter(depth - 1) for _ in range(dice.randint(2, 3))) + ")"

    def value(self):
        """A literal: a number, a word, in quotes or not."""
        text = self.dice.choice(NUMBERS + STRINGS + [misspelt(self.dice, self.dice.choice(self.words))])
        if any(not (c.isalnum() or c in "-_./") for c in text) or text in RESERVED or self.dice.random() < 0.2:
            text = text.replace('"', '\\"')
            return f'"{text}"'
        return text

    def condition(self):
        """One condition on a field, or on a place."""
        dice, path = self.dice, self.dice.choice(PATHS)
        kind = dice.randrange(12)
        if kind < 5:
            return f"{path} {dice.choice(('=', '=', '!=', '<', '<=', '>', '>='))} {self.value()}"
        if kind == 5:
            return f"{path} {self.value()} TO {self.value()}"
        if kind == 6:
            return f"{path} {dice.choice(('IN', 'NOT IN'))} [{', '.join(self.value() for _ in range(dice.randint(0, 4)))}]"
        if kind == 7:
            return f"{path} {dice.choice(('STARTS WITH', 'NOT STARTS WITH'))} {self.value()}"
        if kind == 8:
            return f"_geoRadius({dice.choice(('48.8566, 2.3522', '0, 180', '52, 13'))}, {dice.choice((0, 3, 100000, 900000))})"
        if kind == 9 and dice.random() < 0.3:
            return "_geoPolygon(" + dice.choice(("[40, 0], [40, 20], [60, 20]", "[48, 2], [48, 3], [49, 3], [49, 2]", "[-90, 14], [90, 180], [0, 14]")) + ")"
        if kind == 9:
            return "_geoBoundingBox(" + dice.choice(("[60, 20], [40, 0]", "[10, -170], [-10, 170]", "[90, 180], [0, -180]")) + ")"
        return path + " " + dice.choice(("EXISTS", "NOT EXISTS", "IS NULL", "IS NOT NULL", "IS EMPTY", "IS NOT EMPTY"))

    def add_sort(self, request):
        """Fields and distances, up or down."""
        criteria = []
        for name in self.dice.sample([*SORTABLE, "_geo"], self.dice.randint(1, 3)):
            name = name if name != "_geo" else f"_geoPoint({self.dice.choice(('48.85, 2.35', '0, 179', '-1.5, 0'))})"
            criteria.append(f"{name}:{self.dice.choice(('asc', 'desc'))}")
        request["sort"] = criteria

    def add_facets(self, request):
        """Fields, what is in them, or all."""
        names = [name for name in FILTERABLE if not name.startswith("_geo")] + ["meta.author", "size.w", "*"]
        request["facets"] = self.dice.sample(names, self.dice.randint(1, 3))

    def add_paging(self, request):
        """By place, or by page."""
        dice = self.dice
        if dice.random() < 0.6:
            request.update(offset=dice.choice((0, 0, 1, 3, 10)), limit=dice.choice((0, 1, 2, 5, 20, 100)))
        else:
            request.update(page=dice.choice((0, 1, 1, 2, 3)), hitsPerPage=dice.choice((0, 1, 4, 20)))

    def add_shown(self, request):
        """What a hit shows: fields, marks, pieces of texts, places of words."""
        dice = self.dice
        if dice.random() < 0.5:
            request["attributesToRetrieve"] = dice.sample(SHOWN, dice.randint(0, 3))
        if dice.random() < 0.8:
            request["attributesToHighlight"] = dice.sample(SHOWN, dice.randint(1, 3))
        if dice.random() < 0.5:
            request["attributesToCrop"] = [name + dice.choice(("", "", ":2", ":5")) for name in dice.sample(SHOWN, dice.randint(1, 3))]
            request["cropLength"] = dice.choice((0, 1, 3, 5, 10))
        if dice.random() < 0.3:
            request.update(highlightPreTag="<b class=\"x\">", highlightPostTag="</b>", cropMarker=dice.choice(("", "[…]")))
        request["showMatchesPosition"] = dice.random() < 0.4

    def add_scores(self, request):
        """Scores and their details, or a bound on them."""
        kind = self.dice.random()
        request["showRankingScore"] = kind < 0.8
        request["showRankingScoreDetails"] = kind < 0.6
        if kind > 0.5:
            request["rankingScoreThreshold"] = self.dice.choice((0, 0.2, 0.5, 0.8, 0.9, 0.95, 1))

    def add_searched(self, request):
        """Fields to search on: those that may be searched, and patterns."""
        names = [*(TEXT_FIELDS if self.searchable == ["*"] else self.searchable), "meta.*", "*e"]
        request["attributesToSearchOn"] = self.dice.sample([name for name in names if name != "*"], self.dice.randint(1, 2))


def as_url(request):
    """The same as parameters of a URL, all of them texts."""
    query = {}
    for name, value in request.items():
        if name == "filter":
            query[name] = value if isinstance(value, str) else json.dumps(value)
        elif isinstance(value, list):
            query[name] = ",".join(value)
        elif isinstance(value, bool):
            query[name] = "true" if value else "false"
        else:
            query[name] = str(value)
    return query
