#!/usr/bin/env python3
"""Compares what the module shows of a document with the oracle.

    tests/oracle/format_cases.py --program PROGRAM [--cases N] [--seed S]

A case is a document of a random index, under a random search; the tokens are the oracle's. Prints how many cases there
were, and in how many of them what was decided; the exit code is 1 if any differs, after the first few.
"""
import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from functools import lru_cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oracle.documents import number_text  # noqa: E402
from oracle.facets import paths_of  # noqa: E402
from oracle.formatting import Formatter  # noqa: E402
from oracle.highlighting import Highlighter  # noqa: E402
from oracle.index import Index  # noqa: E402
from oracle.query import nodes_of, parse_query  # noqa: E402
from oracle.tokenizer import HARD, SOFT, STOP_WORD, WORD, normalize  # noqa: E402

KINDS = {WORD: 1, STOP_WORD: 2, SOFT: 3, HARD: 4}
SHOWN_MAX = 3
DOCUMENTS = 5
BATCH = 500
WORDS = """river rivers rivet bridge bridges brigde sunflower sun flower sunflowers the of a an kitten kittens mitten
    Straße straße œuvre oeuvre ΣΊΣΥΦΟΣ ﬁnd find ﬁnding Ångström angstrom naïve naive e\u0301clair éclair İstanbul
    московский Москва 日本語 mixedпривет 12 1234 42 3.5 c++ don’t don't water waterfall fall falls ％ ﷺ x\u0300\u0301y""".split()
SEPARATORS = [" "] * 12 + [", ", ". ", ".", ",", "-", "; ", "! ", "? ", "…", "\n", "\t", "/", " — ", "(", ")"]
SEPARATORS += ["\u00a0", "  ", " · ", "¿", "\"", "\\", "_", "、", "。", "\u2028", "\x01", "😀", " \u0301"]
KEYS = ["id", "title", "text", "tags", "meta", "a.b", "a", "b", "c", "", "été", "a\"b", "meta.author", "author"]
TAGS = [("<em>", "</em>")] * 3 + [("", ""), ("<b class=\"x\">", "</b>"), ("\n\\", "é"), ("[", "]")]


class Generator:
    """Random indexes and searches of one seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.words = self.random.sample(WORDS, 9)  # few, so that queries find them

    def text(self, words_max):
        """Words with separators of all kinds between them."""
        parts = []
        for _ in range(self.random.randrange(words_max + 1)):
            parts += [self.random.choice(self.words), self.random.choice(SEPARATORS)]
        if self.random.random() < 0.3:
            parts.insert(0, self.random.choice(SEPARATORS))
        return "".join(parts[:-1] if self.random.random() < 0.7 else parts)

    def scalar(self):
        """Texts mostly."""
        kind = self.random.random()
        if kind < 0.7:
            return self.text(self.random.choice([1, 3, 12, 40]))
        if kind < 0.85:
            return self.random.choice([0, 12, 42, -1234, 3.5, 0.25, 1e15, 12345678901234567890, -0.0])
        return self.random.choice([True, False, None])

    def value(self, depth):
        """A scalar, an array, or an object."""
        kind = self.random.random()
        if depth == 0 or kind < 0.6:
            return self.scalar()
        if kind < 0.8:
            return [self.value(depth - 1) for _ in range(self.random.randrange(4))]
        return {self.random.choice(KEYS): self.value(depth - 1) for _ in range(self.random.randrange(4))}

    def document(self, number):
        """An object with a primary key."""
        fields = [(key, self.value(3)) for key in self.random.sample(KEYS[1:], self.random.randrange(1, 6))]
        return dict([("id", number), *fields])

    def settings(self):
        """What has a say in cutting, matching and showing."""
        settings = {}
        if self.random.random() < 0.4:
            settings["stopWords"] = ["the", "of", "a", "an"]
        if self.random.random() < 0.5:
            choose = self.random.choice
            settings["synonyms"] = {choose(self.words): [choose(self.words), choose(self.words) + " " + choose(self.words)]
                                    for _ in range(4)}
        if self.random.random() < 0.2:
            settings["dictionary"] = ["c++", "x, "]
            settings["separatorTokens"] = ["😀", "fi"]
            settings["nonSeparatorTokens"] = ["-", "…"]
        if self.random.random() < 0.2:
            settings["prefixSearch"] = "disabled"
        if self.random.random() < 0.3:
            settings["typoTolerance"] = {"minWordSizeForTypos": {"oneTypo": 3, "twoTypos": 6}}
        return settings

    def query(self):
        """Words, phrases, the head of a word."""
        parts = []
        for _ in range(self.random.choice([0, 1, 1, 2, 2, 3, 3, 4, 4, 6])):
            kind = self.random.random()
            word = self.random.choice(self.words)
            if kind < 0.2:
                parts.append('"' + " ".join(self.random.choices(self.words, k=self.random.randrange(1, 4))) + '"')
            elif kind < 0.35:
                parts.append(word + self.random.choice(self.words))
            else:
                parts.append(word[:self.random.randrange(1, len(word) + 1)] if kind < 0.6 else word)
        return " ".join(parts) + self.random.choice(["", "", " "])

    def names(self, paths, most):
        """Paths of the index, and some that it lacks."""
        choices = [*paths, "unknown", "title", "text", "meta.none"]
        names = self.random.sample(choices, min(len(choices), self.random.randrange(most + 1)))
        return names + ["*"] * (self.random.random() < 0.3)

    def request(self, paths):
        """The parameters that say what is shown."""
        pre, post = self.random.choice(TAGS)
        request = {"highlightPreTag": pre, "highlightPostTag": post,
                   "cropMarker": self.random.choice(["…", "…", "", "<\">"]),
                   "cropLength": self.random.choice([10, 10, 0, 1, 2, 3, 5, 25]),
                   "showMatchesPosition": self.random.random() < 0.5}
        if self.random.random() < 0.6:
            request["attributesToRetrieve"] = self.names(paths, 4)
        if self.random.random() < 0.8:
            request["attributesToHighlight"] = self.names(paths, 5)
        if self.random.random() < 0.6:
            ends = ["", "", "", ":", ":x", ":0", ":1", ":2", ":7", ":99999999999999999999", ":3:4", ":-1"]
            request["attributesToCrop"] = [name + self.random.choice(ends) for name in self.names(paths, 4)]
        self.random.shuffle(request.get("attributesToCrop", []))
        return request


def texts_of(value):
    """Every text of a document, and those of its numbers."""
    if isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts_of(inner)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield number_text(value)


def row_of(token):
    """A token as the program reads it."""
    made = [len(normalize(character, token.script)) for character in token.text]
    return [KINDS[token.kind], len(token.text.encode()), token.lemma, made]


def bits_of(highlighter, nodes, word):
    """The nodes that a word is a derivation of; those of phrases are not looked at."""
    return sum(1 << i for i, node in enumerate(nodes) if node.is_phrase or highlighter.derives(node, word))


def expected_of(formatter, source, request):
    """What the oracle shows."""
    shown = formatter.document(source)
    formatted = formatter.formatted(source)
    if formatted is not None:
        shown["_formatted"] = formatted
    if request["showMatchesPosition"]:
        shown["_matchesPosition"] = formatter.positions(source)
    return shown


def kinds_of(source, expected, request, matches):
    """What there was to decide."""
    texts = json.dumps(expected.get("_formatted"), ensure_ascii=False)
    tag, marker = (json.dumps(request[name], ensure_ascii=False)[1:-1] for name in ("highlightPreTag", "cropMarker"))
    yield "hidden", any(key not in expected for key in source)
    yield "formatted", "_formatted" in expected
    yield "marked", bool(tag) and tag in texts
    yield "cropped", bool(marker) and bool(request.get("attributesToCrop")) and marker in texts
    yield "positions", bool(expected.get("_matchesPosition"))
    yield "indices", '"indices"' in json.dumps(expected.get("_matchesPosition"))
    yield "spans", any(match.last_token > match.first_token for _, match in matches)
    yield "heads", any(match.length < tokens[match.last_token].end - match.start for tokens, match in matches)
    yield "several terms", len({match.node_ids for _, match in matches}) > 1


def cases_of(generator):
    """(line for the program, expected, kinds) of each document of an index."""
    documents = [generator.document(number) for number in range(DOCUMENTS)]
    paths = sorted({path for document in documents for path in paths_of(document)})
    settings = generator.settings()
    if generator.random.random() < 0.3:
        settings["displayedAttributes"] = generator.names(paths, 5)
    index = Index("index", settings, "id", documents)
    request = generator.request(paths)
    terms = parse_query(generator.query(), index.tokenizer, index.settings["prefixSearch"] != "disabled").terms
    nodes = nodes_of(terms)
    highlighter = Highlighter(nodes, index.vocabulary, index.tokenizer)
    highlighter.matches = lru_cache(maxsize=None)(highlighter.matches)  # asked up to three times a text
    formatter = Formatter(index, request, highlighter)
    shared = {
        "displayed": index.settings["displayedAttributes"], "retrieve": request.get("attributesToRetrieve", ["*"]),
        "crop": request.get("attributesToCrop", []), "highlight": request.get("attributesToHighlight", []),
        "known": sorted(index.known_paths), "crop_words": request["cropLength"], "marker": request["cropMarker"],
        "pre": request["highlightPreTag"], "post": request["highlightPostTag"], "positions": request["showMatchesPosition"],
        "terms": [{"words": term.words, "phrase": term.is_phrase} for term in terms],
        "nodes": [{"first": node.first, "terms": node.size, "prefix": node.is_prefix,
                   "text": None if node.is_phrase else node.text} for node in nodes],
        "synonyms": [index.vocabulary.synonyms_of(node) for node in nodes],
    }
    for document in documents:
        tokens = {text: index.tokenizer.tokens(text) for text in texts_of(document)}
        words = {token.lemma for row in tokens.values() for token in row if token.is_word}
        line = {"document": json.dumps(document, ensure_ascii=False), **shared,
                "derived": {word: bits_of(highlighter, nodes, word) for word in words},
                "texts": {text: [row_of(token) for token in row] for text, row in tokens.items()}}
        expected = expected_of(formatter, document, request)
        matches = [(row, match) for text, row in tokens.items() for match in highlighter.matches(text)]
        yield line, expected, [kind for kind, is_so in kinds_of(document, expected, request, matches) if is_so]


def answers_of(program, lines):
    """What the program shows for each line."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    done = subprocess.run([program], input=text, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True)
    return [json.loads(answer) for answer in done.stdout.split("\n")[:-1]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--cases", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    counts, differ, done = Counter(), 0, 0
    while done < options.cases:
        batch = [case for number in range(done, min(done + BATCH, options.cases), DOCUMENTS)
                 for case in cases_of(Generator(f"{options.seed} {number}"))]
        answers = answers_of(options.program, [line for line, _, _ in batch])
        for (line, expected, kinds), answer in zip(batch, answers, strict=True):
            done += 1
            counts.update(kinds)
            if json.dumps(answer) != json.dumps(expected):
                differ += 1
                if differ <= SHOWN_MAX:
                    print(f"case {done}: {json.dumps(line, ensure_ascii=False)}\n  expected "
                          f"{json.dumps(expected, ensure_ascii=False)}\n"
                          f"  shown    {json.dumps(answer, ensure_ascii=False)}")
    print(f"{done} cases, {differ} differ; of them " + ", ".join(f"{counts[kind]} {kind}" for kind in sorted(counts)))
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
