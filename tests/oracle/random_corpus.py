"""A random index of few words: documents that tie by all rules but one, and settings that change the ranking.

Words come in families whose members reach each other by typos, beginnings, splits, joins or accents. Few words in many short
texts make neighbours that only one rule tells apart.
"""
from .index import Index

FAMILIES = [
    "sun sunflower sunflowers flower flowers flow", "new york newyork newyorker yorker", "bridge bridges brigde bridgework bride",
    "kitten mitten kittens sitten kit", "garden gardens gradens warden gardener", "straße Straße strasse strase",
    "résumé resume Résumés resumes", "œuvre oeuvre œuvres", "московский московская москва", "don't dont don’t",
    "encyclopedia encyclopaedia encyclopedic cyclopedia", "a ab abc abcd bcd cd", "12 123 1234 12345 3.14", "lake cake lakes take",
    "thunderstorm thunder storm thunderstrom storms", "ΣΊΣΥΦΟΣ σίσυφος σισυφοσ", "état etat états e\u0301tats",
    "water waterfall fall falls wafer", "ﬁnd find finding finders", "Ångström angstrom ångströms", "the of and", "c++ c x² µm",
    "ёлка елка ёлки", "hamster hamsters hamstre ham", "naïve naive naïveté", "שלום שָׁלוֹם", "كتاب كتابة كتـاب",
]
SEPARATORS = [" "] * 14 + [", ", ". ", "-", "! ", "; ", "/", "…", " · ", "\n", "? "]
TEXT_FIELDS = ["title", "body", "tags", "meta.author", "meta.note"]
FILTERABLE = ["n", "price", "color", "mixed", "meta", "tags", "group", "size", "_geo", "_geojson", "id"]
SORTABLE = ["n", "price", "color", "mixed", "meta.author", "size.w", "_geo"]
COLORS = ["red", "Red", "blue", "Blue-green", "Éclair", "eclair", "noir", " Noir", "", "10", "x y", "burgundy", "Turquoise"]
MIXED = [None, True, False, 0, 1, -3, 2.5, 10, 1e3, "1", "2.5", "true", "", [], {}, [1, "a"], [None, 2, "B"], "b", "a\"b", "É",
         [["a"], 3], {"x": 1}, [{"x": 2}, {"x": "y"}, 4], 0.1]
PLACES = [(48.8566, 2.3522), (48.85661, 2.35221), (48.856602, 2.352202), (48.856601, 2.352203), (52.52, 13.405), (-33.9, 151.2), (0, 0), (0, 179.9), (0, -179.9), (89.9, 10)]
SHAPES = [{"type": "Point", "coordinates": [2.5, 48.75]},
          {"type": "Polygon", "coordinates": [[[0, 45], [10, 45], [10, 55], [0, 55], [0, 45]], [[1, 46], [4, 46], [4, 50], [1, 46]]]},
          {"type": "Feature", "properties": {"kind": "way"}, "geometry": {"type": "LineString", "coordinates": [[-10, 60], [20, 30]]}},
          {"type": "GeometryCollection", "geometries": [{"type": "MultiPoint", "coordinates": [[13.5, 52.5], [151, -34]]}]},
          {"type": "Point", "coordinates": ["2.5", 48.75]}]
WORD_RULES = ["typo", "proximity", "attributeRank", "wordPosition", "exactness"]
DEFAULT_RULES = ["words", "typo", "proximity", "attributeRank", "sort", "wordPosition", "exactness"]
FIELD_RULES = ["n:asc", "n:desc", "price:desc", "color:asc", "mixed:asc", "meta.author:desc"]
FIELD_WORDS = (29, 30, 31, 31)  # around the longest field that can be an exact match


def misspelt(dice, word):
    """One or two edits, the first letter among them only seldom."""
    for _ in range(dice.choice((1, 1, 1, 2))):
        at = dice.randrange(len(word)) if dice.random() < 0.2 else dice.randint(min(1, len(word) - 1), len(word) - 1)
        letter = dice.choice("aeknrst")
        word = dice.choice([
            word[:at] + letter + word[at:], word[:at] + letter + word[at + 1:], word[:at] + word[at + 1:],
            word[:at] + word[at + 1:at + 2] + word[at:at + 1] + word[at + 2:],
        ]) or word
    return word


class Corpus:
    """Documents and settings of one seed, and the index that they make.

    `documents` is what is to be sent, in order: some ids come twice.
    """

    def __init__(self, dice, uid):
        self.dice = dice
        self.words = self.vocabulary()
        self.rows = [self.clean_row(dice.choice(FIELD_WORDS)) for _ in range(2)]
        self.settings = self.random_settings()
        count = dice.randint(30, 80)
        self.documents = [self.document(number) for number in range(count)]
        for number in dice.sample(range(count), dice.choice((0, 0, count // 8))):
            self.documents.append(self.document(number))
        self.index = Index(uid, self.settings, "id", self.documents)

    def vocabulary(self):
        """A dozen words of a few families, some of them spelt as nobody wants them."""
        families = [family.split() for family in self.dice.sample(FAMILIES, 4)]
        words = [word for family in families for word in self.dice.sample(family, min(3, len(family)))]
        return words + [misspelt(self.dice, self.dice.choice(words)) for _ in range(2)]

    def clean_row(self, count):
        """So many words that nothing but blanks separates: a field of them can be asked for as a whole."""
        return self.dice.choices([word for word in self.words if word.isalpha()], k=count)

    # -- documents ----------------------------------------------------------

    def text(self, count):
        """So many words with separators between them."""
        words = self.dice.choices(self.words, k=count)
        if self.dice.random() < 0.03:
            words[self.dice.randrange(len(words) + 1):0] = ["zz"] * self.dice.choice((12, 20, 60, 250, 1020))
        return "".join(word + self.dice.choice(SEPARATORS) for word in words).rstrip(" ,.;!?/\n·…-")

    def some_words(self):
        """Short mostly, now and then about as long as an exact match may be."""
        return self.text(self.dice.choice((1, 2, 2, 3, 3, 4, 5, 7, 12, 30)))

    def document(self, number):
        """Some texts, and values to filter, sort and count by."""
        dice = self.dice
        source = {"id": f"d-{number}" if number % 3 else number}
        for name in dice.sample(TEXT_FIELDS, dice.randint(1, 4)):
            value = self.some_words()
            if name == "tags" or dice.random() < 0.06:
                value = [self.text(dice.randint(1, 3)) for _ in range(dice.randint(1, 3))]
            parent, _, leaf = name.rpartition(".")
            (source.setdefault(parent, {}) if parent else source)[leaf] = value
        if dice.random() < 0.1:
            source.setdefault("meta", {})["list"] = [self.text(2), {"z": self.text(2)}, self.text(1)]
        if dice.random() < 0.12:
            source[dice.choice(("title", "body"))] = " ".join(dice.choice(self.rows) + dice.choice(([], [], self.words[:1])))
        source["n"] = dice.randrange(4)
        for name, values, share in (("price", (1, 2.5, 10, -1, 1e3, 0.1), 0.7), ("color", COLORS, 0.8), ("mixed", MIXED, 0.8),
                                    ("group", (1, 2, "a", "A", ["a", "b"], 2.0, None), 0.7)):
            if dice.random() < share:
                source[name] = dice.choice(values)
        if dice.random() < 0.3:
            source["size"] = {"w": dice.randrange(5), "h": dice.choice((1, "tall", [1, 2]))}
        if dice.random() < 0.5:
            lat, lng = dice.choice(PLACES)
            source["_geo"] = {"lat": lat, "lng": lng}
        if number % 3 == 1:
            source["_geojson"] = SHAPES[number // 3 % len(SHAPES)]
        return source

    # -- settings -----------------------------------------------------------

    def random_settings(self):
        """The defaults, some of them changed."""
        dice = self.dice
        settings = {
            "rankingRules": self.ranking_rules(),
            "filterableAttributes": FILTERABLE if dice.random() < 0.8 else [
                {"attributePatterns": ["*"], "features": {"facetSearch": True, "filter": {"equality": True, "comparison": True}}}],
            "sortableAttributes": SORTABLE,
            "typoTolerance": self.typo_tolerance(),
        }
        for name, share, value in self.rare_settings():
            if dice.random() < share:
                settings[name] = value
        return settings

    def ranking_rules(self):
        """By default, in another order, fewer, with `attribute` for its two parts, with fields of their own."""
        dice = self.dice
        if dice.random() < 0.25:
            return DEFAULT_RULES
        rules = dice.sample(WORD_RULES, dice.randint(3, 5))
        if dice.random() < 0.35:
            rules = ["attribute"] + [rule for rule in rules if rule not in ("attributeRank", "wordPosition")]
            dice.shuffle(rules)
        if dice.random() < 0.8:
            rules.insert(dice.choice((0, 0, len(rules), len(rules) // 2)), "words")
        rules.insert(dice.randint(0, len(rules)), "sort")
        if dice.random() < 0.4:
            rules.insert(dice.randint(1, len(rules)), dice.choice(FIELD_RULES))
        return rules

    def typo_tolerance(self):
        """Lengths, words and fields that forgive or not."""
        dice, typos = self.dice, {}
        if dice.random() < 0.6:
            one = dice.choice((3, 4, 5, 5))
            typos["minWordSizeForTypos"] = {"oneTypo": one, "twoTypos": one + dice.choice((1, 3, 4))}
        for name, share, value in (("enabled", 0.06, False), ("disableOnWords", 0.12, [dice.choice(self.words)]),
                                   ("disableOnAttributes", 0.12, [dice.choice(("title", "meta", "tags"))]),
                                   ("disableOnNumbers", 0.15, True)):
            if dice.random() < share:
                typos[name] = value
        return typos

    def rare_settings(self):
        """[(name, how often, value)]"""
        dice = self.dice
        synonyms = {self.row(2): [self.row(2) for _ in range(dice.randint(1, 2))] for _ in range(3)}
        return [
            ("searchableAttributes", 0.7, dice.choice((dice.sample(TEXT_FIELDS, 5), dice.sample(TEXT_FIELDS, 3),
                                                       ["meta", "title", "body"], ["title", "tags", "meta.note"],
                                                       ["body", "*"]))),
            ("stopWords", 0.3, dice.sample(self.words, dice.randint(1, 2))),
            ("synonyms", 0.5, synonyms),
            ("proximityPrecision", 0.15, "byAttribute"),
            ("prefixSearch", 0.12, "disabled"),
            ("distinctAttribute", 0.12, dice.choice(("group", "color", "meta.author"))),
            ("displayedAttributes", 0.15, dice.choice((["title", "body", "id"], ["*"], ["meta.author", "tags", "n"]))),
            ("faceting", 0.5, {"maxValuesPerFacet": dice.choice((1, 2, 3, 100)),
                               "sortFacetValuesBy": {"*": dice.choice(("alpha", "count")), "color": "count"}}),
            ("pagination", 0.15, {"maxTotalHits": dice.choice((5, 12, 30))}),
            ("nonSeparatorTokens", 0.06, ["-", "/"]),
            ("separatorTokens", 0.06, ["e", "sun"]),
            ("dictionary", 0.06, ["c++", "new york"]),
        ]

    def row(self, longest):
        """Some words with blanks."""
        return " ".join(self.dice.choices(self.words, k=self.dice.randint(1, longest)))
