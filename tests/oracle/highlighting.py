"""Where the words of a query stand in a text: what is highlighted, and around what a text is cropped."""
from dataclasses import dataclass

from .documents import is_spared
from .tokenizer import normalize


@dataclass(frozen=True)
class Match:
    """A stretch of tokens that stands for a node of the query; `length` of its characters are marked."""

    first_token: int
    last_token: int
    first_word: int
    last_word: int
    start: int
    length: int
    node_ids: tuple


class Highlighter:
    """Finds in any text the derivations of the nodes of a query."""

    def __init__(self, nodes, vocabulary, tokenizer):
        self.nodes = sorted(nodes, key=lambda node: -node.size)
        self.vocabulary = vocabulary
        self.tokenizer = tokenizer

    def matches(self, text):
        """Matches in order, without overlap; a phrase is one match."""
        tokens = self.tokenizer.tokens(text)
        words = [(index, token) for index, token in enumerate(tokens) if token.is_word]
        found, at = [], 0
        while at < len(words):
            match = self.match_at(words, at)
            if match:
                found.append(match)
                at = match.last_word
            at += 1
        return found

    def match_at(self, words, at):
        """The match that begins with a word: phrases before words, longer nodes before shorter ones."""
        for node in self.nodes:
            for phrase in self.phrases_of(node):
                following = words[at:at + len(phrase)]
                if len(following) == len(phrase) and all(
                    wanted is None or token.lemma == wanted for wanted, (_, token) in zip(phrase, following)
                ):
                    return match_of(following, at, node, None)
        for node in self.nodes:
            if not node.is_phrase and self.derives(node, words[at][1].lemma):
                return match_of(words[at:at + 1], at, node, node.text if node.is_prefix else None)
        return None

    def phrases_of(self, node):
        """A phrase itself, the synonyms, and every way to split a word in two."""
        if node.is_phrase:
            return [node.terms[0].words]
        if node.is_ngram:
            return self.vocabulary.synonyms_of(node)
        splits = [(node.text[:cut], node.text[cut:]) for cut in range(1, len(node.text))]
        return [*self.vocabulary.synonyms_of(node), *splits]

    def derives(self, node, word):
        """Whether a word stands for a node by itself, exactly, as a prefix or with typos."""
        typos = self.vocabulary.typos_to(node, word)
        tolerant = node.is_ngram or bool(typos)
        return typos is not None and not (tolerant and is_spared(self.vocabulary.settings, word))


def match_of(words, at, node, prefix):
    """The match of a run of words; of a prefix as many characters as were typed."""
    (first, first_token), (last, last_token) = words[0], words[-1]
    length = last_token.end - first_token.start
    if prefix is not None:
        length = min(length, characters_for(first_token, len(prefix)))
    ids = tuple(range(node.first, node.first + node.size))
    return Match(first, last, at, at + len(words) - 1, first_token.start, length, ids)


def characters_for(token, normalized):
    """How many characters of a token make up so many of its normal form."""
    count = 0
    for number, character in enumerate(token.text):
        if count >= normalized:
            return number
        count += len(normalize(character, token.script))
    return len(token.text)
