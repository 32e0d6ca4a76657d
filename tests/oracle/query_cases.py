#!/usr/bin/env python3
"""Queries beside the specification: random texts, cut by its tokenizer, parsed by the program.

    tests/oracle/query_cases.py --program build/dev/bin/oracle_query [--cases N] [--seed S]

Prints how many queries were compared, and how many of them had what.
"""
import argparse
import collections
import json
import random
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oracle.query import Parser, nodes_of  # noqa: E402
from oracle.tokenizer import HARD, SOFT, STOP_WORD, WORD, Tokenizer  # noqa: E402

SHOWN = 3
KINDS = {WORD: 1, STOP_WORD: 2, SOFT: 3, HARD: 4}
STOP_WORDS = ["the", "of", "à"]
SETTINGS = [
    {"dictionary": [], "nonSeparatorTokens": [], "separatorTokens": [], "stopWords": STOP_WORDS},
    {"dictionary": ["J. R."], "nonSeparatorTokens": ["-"], "separatorTokens": ['""', "&sep"], "stopWords": ["-"] + STOP_WORDS},
]
WORDS = ["a", "foo", "Bar", "the", "of", "à", "é", "ß", "日本", "12,5", "J. R.", "&sep", "x" * 130, "y" * 249, "é" * 126, "\u0301"]
SEPARATORS = [" "] * 12 + ['"'] * 4 + ["-"] * 2 + [
    ' "', '" ', " -", ' -"', '""', '"-', "\t-", "\u3000-", "\u2003", "\xa0", "\x85-", "\x1f-", "\u2060-", "…", ". ", ", ", "!", ";", ":", "--", "",
]


def text_of(dice):
    """Words between separators; quotes, dashes and hard separators are frequent."""
    size = dice.choice([1, 2, 3, 4, 6, 9, 12, 14, 25] * 8 + [300, 600])
    pieces = [dice.choice(SEPARATORS) if dice.random() < 0.4 else ""]
    for _ in range(size):
        pieces += [dice.choice(WORDS[:7] if dice.random() < 0.8 else WORDS), dice.choice(SEPARATORS)]
    if dice.random() < 0.6:
        pieces.pop()
    return ("-a " if dice.random() < 0.02 else "") * dice.choice([100, 250, 333, 334]) + "".join(pieces)


def expected(tokens, prefix_search):
    """What the specification says, in the program's form; exclusions have no order."""
    query = Parser(tokens, prefix_search).parse()
    return {
        "terms": [[list(t.words), t.start, t.end, t.is_phrase, t.is_prefix, t.word_count] for t in query.terms],
        "nodes": [[n.first, n.size, n.is_prefix, None if n.is_phrase else n.text] for n in nodes_of(query.terms)],
        "excluded": ordered([[word] for word in query.negative_words] + [list(words) for words in query.negative_phrases]),
        "words": sum(term.word_count for term in query.terms),
    }


def ordered(phrases):
    return sorted(phrases, key=str)


def kinds_of(tokens, query):
    """What a query has that decides something."""
    yield from ["over 1000 tokens"] * (len(tokens) > 1000)
    yield from ["ten terms"] * (len(query["terms"]) == 10)
    yield from ["a phrase"] * any(term[3] for term in query["terms"])
    yield from ["a stop word in a phrase"] * any(None in term[0] for term in query["terms"])
    yield from ["a prefix"] * any(term[4] for term in query["terms"])
    yield from ["an n-gram"] * any(node[1] > 1 for node in query["nodes"])
    yield from ["an excluded word"] * any(len(words) == 1 for words in query["excluded"])
    yield from ["an excluded phrase"] * any(len(words) > 1 for words in query["excluded"])
    yield from ["an over-long word"] * any(t.is_word and len(t.lemma.encode()) > 250 for t in tokens)
    yield from ["a stop word as prefix"] * any(term[4] and term[0][0] in STOP_WORDS for term in query["terms"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--cases", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    dice = random.Random(arguments.seed)
    tokenizers = [Tokenizer(settings) for settings in SETTINGS]
    cases = []
    for _ in range(arguments.cases):
        text, prefix_search = text_of(dice), dice.random() < 0.8
        cases.append((text, list(dice.choice(tokenizers).cut(text)), prefix_search))
    lines = "".join(
        json.dumps({"prefix_search": prefix_search, "tokens": [[KINDS[t.kind], t.text, t.lemma] for t in tokens]}) + "\n"
        for _, tokens, prefix_search in cases
    )
    run = subprocess.run([arguments.program], input=lines, capture_output=True, text=True, check=True)
    kinds, differences = collections.Counter(), []
    for (text, tokens, prefix_search), line in zip(cases, run.stdout.splitlines(), strict=True):
        right, answer = expected(tokens, prefix_search), json.loads(line)
        answer["excluded"] = ordered(answer["excluded"])
        kinds.update(kinds_of(tokens, right))
        if answer != right:
            differences.append((text, right, answer))
    print(f"{len(cases)} queries: " + ", ".join(f"{count} with {kind}" for kind, count in sorted(kinds.items())))
    for text, right, answer in differences[:SHOWN]:
        print(f"{text!r}\n    {answer}\n    for {right}")
    print(f"{len(differences)} differ")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
