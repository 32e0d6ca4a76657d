"""Derivations of query terms: which words of a document a term reaches, and at how many typos."""
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Derivation:
    """A word, or words in a row, that stand for a term. `exact`: as typed; synonyms are phrases even if of one word."""

    words: tuple
    exact: bool = False
    is_phrase: bool = False


@lru_cache(maxsize=None)
def distances(left, right):
    """Damerau-Levenshtein distances of `left` to every prefix of `right`; a transposition counts one."""
    rows = [list(range(len(right) + 1))]
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            best = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1]


def typos_between(typed, word, is_prefix):
    """Distance to the word, or to its nearest prefix; a wrong first character counts one more."""
    found = min(distances(typed, word)) if is_prefix else distances(typed, word)[-1]
    return found + (found > 0 and typed[:1] != word[:1])


def allowed_typos(settings, word, disabled_words):
    """None, one or two typos, by the length of the word in characters."""
    typos = settings["typoTolerance"]
    sizes = typos["minWordSizeForTypos"]
    if not typos["enabled"] or word in disabled_words or len(word) < sizes["oneTypo"]:
        return 0
    return 1 if len(word) < sizes["twoTypos"] else 2


class Vocabulary:
    """What the settings say about words: typos, synonyms."""

    def __init__(self, settings, tokenizer):
        self.settings = settings
        disabled = settings["typoTolerance"]["disableOnWords"]
        self.disabled_words = {lemma for word in disabled for lemma in tokenizer.lemmas(word)}
        self.known_typos = {}
        self.synonyms = {}
        for key, values in settings["synonyms"].items():
            phrases = [tuple(tokenizer.lemmas(value)) for value in values]
            self.synonyms.setdefault(tuple(tokenizer.lemmas(key)), []).extend(p for p in phrases if p)

    def allowed(self, node):
        """Typos that a node may have: an n-gram has one less for every word beyond the first, a phrase none."""
        if node.is_phrase:
            return 0
        return max(0, allowed_typos(self.settings, node.text, self.disabled_words) - (node.size - 1))

    def reached(self, node, words):
        """{word: typos at which it stands for a node}: none if it is what was typed or begins with it."""
        known = self.known_typos.setdefault(node, {})
        for word in words:
            if word not in known:
                known[word] = self.typos_to(node, word)
        return {word: known[word] for word in words if known[word] is not None}

    def typos_to(self, node, word):
        """Typos at which a word stands for a node, None if it does not."""
        typed, allowed = node.text, self.allowed(node)
        if word == typed or node.is_prefix and word.startswith(typed):
            return 0
        if not allowed or len(typed) - len(word) > allowed or not node.is_prefix and len(word) - len(typed) > allowed:
            return None
        typos = typos_between(typed, word, node.is_prefix)
        return typos if typos <= allowed else None

    def synonyms_of(self, node):
        """Synonyms of a word, or of two or three words in a row; phrases have none."""
        if node.is_phrase:
            return []
        return self.synonyms.get(tuple(term.text for term in node.terms), [])


class View:
    """A document as one search sees it: the fields that are searched, and the derivations found in them."""

    def __init__(self, document, searched, vocabulary):
        self.document = document
        self.searched = searched
        self.vocabulary = vocabulary
        self.found = {}

    def is_searched(self, field):
        """Only the fields to search on count, where they are given."""
        return self.searched is None or field.path in self.searched

    @property
    def searched_fields(self):
        return [field for field in self.document.fields if self.is_searched(field)]

    def fields_of(self, word, tolerant=False):
        """Searched fields that hold a word; `tolerant`: only where typos are allowed."""
        return [
            field
            for field in self.document.words.get(word, ())
            if self.is_searched(field)
            and (not tolerant or self.document.allows_typos(word, field))
        ]

    def derivations(self, node):
        """{typos: derivations of a node that this document holds}"""
        if node not in self.found:
            found = {0: set(), 1: set(), 2: set()}
            if node.is_phrase:
                if self.has_phrase(node.terms[0].words):
                    found[0].add(Derivation(tuple(word for word in node.terms[0].words if word), exact=True, is_phrase=True))
            else:
                self.add_words(node, found)
                self.add_phrases(node, found)
            self.found[node] = {typos: items for typos, items in found.items() if items}
        return self.found[node]

    def add_words(self, node, found):
        """Words: as typed or begun with it at 0 typos, similar ones at 1 or 2."""
        for word, typos in self.vocabulary.reached(node, self.document.words).items():
            if self.fields_of(word, tolerant=node.is_ngram or typos > 0):
                found[typos].add(Derivation((word,), exact=word == node.text and not node.is_ngram))

    def add_phrases(self, node, found):
        """Synonyms at 0 typos; the word, or the n-gram, cut into two neighbours at 1.

        A cut of two words where they were joined adds nothing to the words themselves.
        """
        for words in self.vocabulary.synonyms_of(node):
            if self.has_phrase(words):
                found[0].add(Derivation(words, is_phrase=True))
        for pair in node.cuts:
            if self.document.pairs.get(pair) == 1 and all(self.fields_of(word) for word in pair):
                found[1].add(Derivation(pair, is_phrase=True))

    def has_phrase(self, words):
        """Every word is there, and in every window of three each pair is no farther apart than in the phrase."""
        if not all(self.fields_of(word) for word in words if word is not None):
            return False
        for start in range(max(1, len(words) - 2)):
            window = [(i, word) for i, word in enumerate(words[start:start + 3]) if word is not None]
            for index, (i, left) in enumerate(window):
                for j, right in window[index + 1:]:
                    if self.document.pairs.get((left, right), 9) > j - i:
                        return False
        return True
