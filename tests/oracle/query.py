"""Query parsing: text to terms (words and phrases) with positions, and negatives."""
from dataclasses import dataclass, field
from functools import cached_property

from .tokenizer import HARD, HARD_GAP, WORD, WORD_BYTES_MAX

TERMS_MAX = 10
TOKENS_MAX = 1000
NGRAM_MAX = 3


@dataclass(frozen=True)
class Term:
    """A word, or a phrase whose stop words are None; `start` and `end` are its first and last position."""

    words: tuple
    start: int
    end: int
    is_phrase: bool = False
    is_prefix: bool = False

    @property
    def text(self):
        return self.words[0]

    @property
    def word_count(self):
        return sum(word is not None for word in self.words)


@dataclass(frozen=True)
class Node:
    """One or more neighbouring terms taken as one: a term itself, or an n-gram of two or three."""

    first: int
    terms: tuple

    def __hash__(self):
        return self.hash

    @cached_property
    def hash(self):
        return hash((self.first, self.terms))

    @cached_property
    def size(self):
        return len(self.terms)

    @cached_property
    def is_ngram(self):
        return len(self.terms) > 1

    @cached_property
    def is_phrase(self):
        return self.terms[0].is_phrase

    @cached_property
    def start(self):
        return self.terms[0].start

    @cached_property
    def end(self):
        return self.terms[-1].end

    @cached_property
    def is_prefix(self):
        return self.terms[-1].is_prefix

    @cached_property
    def text(self):
        return "".join(term.text for term in self.terms)

    @cached_property
    def word_count(self):
        return sum(term.word_count for term in self.terms)

    @cached_property
    def places(self):
        """The terms it covers."""
        return tuple(range(self.first, self.first + self.size))

    @cached_property
    def cuts(self):
        """Every way to cut its text in two, but into the very terms that it joins."""
        pairs = [(self.text[:cut], self.text[cut:]) for cut in range(1, len(self.text))]
        return [pair for pair in pairs if pair != tuple(term.text for term in self.terms)]


@dataclass
class Query:
    """Terms in order, words and phrases that exclude documents."""

    terms: list = field(default_factory=list)
    negative_words: list = field(default_factory=list)
    negative_phrases: list = field(default_factory=list)


class Parser:
    """Walks over the tokens of a query and collects its terms."""

    def __init__(self, tokens, prefix_search):
        self.tokens = tokens[:TOKENS_MAX]
        self.prefix_search = prefix_search
        self.query = Query()
        self.position = -1
        self.phrase = None
        self.negative = False

    def parse(self):
        """Terms beyond the tenth are dropped; a quote that is not closed runs to the end."""
        for index, token in enumerate(self.tokens):
            if len(self.query.terms) >= TERMS_MAX:
                break
            if token.is_word:
                self.word(token, index)
            else:
                self.separator(token, index)
        self.close_phrase()
        return self.query

    def word(self, token, index):
        """A word; a stop word only takes a position, except as the last token, where it is a word like any other."""
        self.position += 1
        is_last = index + 1 == len(self.tokens)
        if self.phrase is not None:
            self.phrase.append((self.position, token.lemma if token.kind == WORD else None))
        elif self.negative:
            self.query.negative_words.append(token.lemma)
            self.negative = False
        elif len(token.lemma.encode()) <= WORD_BYTES_MAX and (token.kind == WORD or is_last):
            is_prefix = is_last and self.prefix_search
            self.query.terms.append(Term((token.lemma,), self.position, self.position, is_prefix=is_prefix))

    def separator(self, token, index):
        """Quotes open and close phrases, a hard separator splits one, a dash before a word or quote negates it."""
        if token.kind == HARD:
            self.position += HARD_GAP - 1
            if self.phrase is not None:
                self.close_phrase()
                self.phrase = []
        quotes = token.lemma.count('"')
        if quotes:
            if self.phrase is not None:
                self.close_phrase()
                quotes -= 1
            if quotes % 2:
                self.phrase = []
                return
        before = self.tokens[index - 1] if index else None
        after_space = before is None or not before.is_word and before.text[-1:].isspace()
        if self.phrase is None:
            self.negative = token.text == "-" and after_space

    def close_phrase(self):
        """A phrase of stop words alone is none; it reaches from its first other word to its end."""
        located, self.phrase = self.phrase or [], None
        words = tuple(word for _, word in located)
        starts = [position for position, word in located if word is not None]
        if starts and self.negative:
            self.query.negative_phrases.append(words)
        elif starts:
            self.query.terms.append(Term(words, starts[0], located[-1][0], is_phrase=True))
        self.negative = False


def parse_query(text, tokenizer, prefix_search):
    """At most ten terms; the last is a prefix if nothing follows it."""
    return Parser(tokenizer.tokens(text), prefix_search).parse()


def nodes_of(terms):
    """Every term, and every n-gram of neighbouring words without a gap between them."""
    nodes = []
    for first, term in enumerate(terms):
        nodes.append(Node(first, (term,)))
        for size in range(2, NGRAM_MAX + 1):
            group = tuple(terms[first:first + size])
            adjacent = all(right.start == left.end + 1 for left, right in zip(group, group[1:]))
            fits = len("".join(str(t.text) for t in group).encode()) <= WORD_BYTES_MAX
            if len(group) == size and adjacent and fits and not any(t.is_phrase for t in group):
                nodes.append(Node(first, group))
    return nodes
