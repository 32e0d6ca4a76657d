#!/usr/bin/env python3
"""Compares the engine's ranking of documents with the oracle's, over random corpora, settings and queries.

    tests/oracle/rank_cases.py --program build/dev/bin/oracle_rank [--cases N] [--seed S]

Words come of few letters, so that typos, prefixes, n-grams, splits, phrases and synonyms happen. Costs, ranks, details, the
score, and what a bound turns away must agree for every document; cases count if several documents match. Prints in how many
of them each rule decided between two documents, and how many each way to match took part in.
"""
import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oracle.index import Index  # noqa: E402
from oracle.matching import Search  # noqa: E402
from oracle.rank_found import Question, answered, costs_of, expected, is_sort  # noqa: E402

DIFFERENCES_SHOWN = 3
SEARCHES_OF_INDEX = 12
FIELDS = ["title", "body", "tags", "note"]
WORD_RULES = ["typo", "proximity", "attributeRank", "wordPosition", "exactness"]


class Corpus:
    """A random index, and queries that find something in it."""

    def __init__(self, dice):
        self.dice = dice
        letters = dice.choice(["ab", "abc", "abcd"])
        self.words = ["".join(dice.choices(letters, k=dice.randint(1, 5))) for _ in range(dice.randint(4, 9))]
        for _ in range(dice.randint(2, 6)):
            self.words.append(self.changed(dice.choice(self.words)))
        documents = [self.document(number) for number in range(dice.randint(4, 12))]
        self.index = Index("cases", self.settings(), "id", documents)

    def changed(self, word):
        """A word that some node may reach or be reached by: joined, cut, longer, or with a letter changed."""
        kind = self.dice.randrange(5)
        at = self.dice.randrange(len(word))
        if kind == 0:
            return word + self.dice.choice(self.words)
        if kind == 1 and len(word) > 1:
            return word[:at] or word[at:]
        if kind == 2:
            return word + self.dice.choice("abz")
        return word[:at] + self.dice.choice("abcz") + word[at + (kind == 3):]

    def text(self, longest):
        """Words, now and then with a hard separator between them."""
        words = self.dice.choices(self.words, k=self.dice.randint(1, longest))
        if self.dice.random() < 0.03:
            words += ["zz"] * self.dice.randint(15, 300) + [self.dice.choice(self.words)]
        return "".join(word + self.dice.choice([" "] * 12 + [". ", ", ", "-"]) for word in words).rstrip(" ,.-")

    def document(self, number):
        """Some of the fields, one of them a list."""
        source = {"id": number, "n": self.dice.randrange(3)}
        for name in self.dice.sample(FIELDS, self.dice.randint(1, 4)):
            longest = self.dice.choice([2, 5, 14, 34])
            source[name] = [self.text(3) for _ in range(self.dice.randint(1, 3))] if name == "tags" else self.text(longest)
        return source

    def settings(self):
        """What changes the ranking."""
        dice = self.dice
        searchable = dice.choice([["*"], FIELDS, ["id", *dice.sample(FIELDS, 3)], ["body", "*"], dice.sample(FIELDS, 2)])
        one = dice.randint(1, 5)
        settings = {
            "rankingRules": self.rules(),
            "searchableAttributes": searchable,
            "sortableAttributes": ["n"],
            "stopWords": dice.sample(self.words, dice.choice([0, 0, 0, 1])),
            "synonyms": {self.words_in_row(3): [self.words_in_row(3) for _ in range(dice.randint(1, 2))]
                         for _ in range(dice.choice([0, 2, 4]))},
            "proximityPrecision": dice.choice(["byWord", "byWord", "byWord", "byAttribute"]),
            "prefixSearch": dice.choice(["indexingTime", "indexingTime", "disabled"]),
            "typoTolerance": {
                "enabled": dice.random() < 0.9,
                "minWordSizeForTypos": {"oneTypo": one, "twoTypos": one + dice.randint(0, 4)},
                "disableOnWords": dice.sample(self.words, dice.choice([0, 0, 1])),
                "disableOnAttributes": dice.sample(FIELDS, dice.choice([0, 0, 1])),
            },
        }
        return settings

    def rules(self):
        """The rules as they are by default, or some of them in another order."""
        if self.dice.random() < 0.3:
            return ["words", "typo", "proximity", "attributeRank", "sort", "wordPosition", "exactness"]
        rules = list(WORD_RULES)
        if self.dice.random() < 0.3:
            rules = ["typo", "proximity", "attribute", "exactness"]
        rules = self.dice.sample(rules, self.dice.randint(1, len(rules)))
        if self.dice.random() < 0.3:
            rules.insert(self.dice.randint(0, len(rules)), self.dice.choice(["n:asc", "sort", "words"]))
        return rules

    def words_in_row(self, longest):
        """One to three words."""
        return " ".join(self.dice.choices(self.words, k=self.dice.randint(1, longest)))

    def query(self):
        """Words as they are or changed, joined, cut, in phrases, with gaps; now and then ten."""
        dice, parts = self.dice, []
        for _ in range(dice.choice([1, 2, 2, 3, 3, 4, 5, 8, 10])):
            word = dice.choice(self.words)
            kind = dice.random()
            if kind < 0.2:
                word = self.changed(word)
            elif kind < 0.3 and len(word) > 1:
                at = dice.randrange(1, len(word))
                word = f"{word[:at]} {word[at:]}"
            elif kind < 0.42:
                word = f'"{self.words_in_row(3)}"'
            elif kind < 0.55 and self.index.settings["synonyms"]:
                word = dice.choice(list(self.index.settings["synonyms"]))
            parts += [word, dice.choice([" "] * 9 + [". "])]
        if dice.random() < 0.6:
            parts.pop()
        return "".join(parts)

    def search(self):
        """A search of random parameters."""
        request = {"q": self.query(), "matchingStrategy": self.dice.choice(["last", "last", "all", "frequency"])}
        if self.dice.random() < 0.3:
            request["sort"] = ["n:desc"]
        if self.dice.random() < 0.25:
            request["attributesToSearchOn"] = self.dice.sample(FIELDS, self.dice.randint(1, 2))
        return Search(self.index, request)


def decisive_rules(search):
    """The rules that order two documents which the rules before them leave equal."""
    rules = [rule for rule in search.rules if not is_sort(rule)]
    found = set()
    for left, right in combinations([costs_of(search, ranked) for ranked in search.candidates], 2):
        found.update([rule for rule, one, other in zip(rules, left, right) if one != other][:1])
    return found


def ways_to_match(search):
    """What stands for the query in the paths that are left at the end."""
    ways = set()
    for ranked in search.candidates:
        ways.update(["some terms dropped"] if sum(c.node.size for c in ranked.paths[0]) < len(search.query.terms) else [])
        _, paths = search.paths.in_document(search.view(ranked.document))
        ways.update(["several paths"] if len(paths) > 1 else [])
        for choice in (choice for path in ranked.paths for choice in path):
            if choice.node.is_ngram:
                ways.add("n-grams")
            if choice.node.is_phrase:
                ways.add("phrases")
                continue
            for typos, items in choice.found:
                ways.update(["typos"] if typos and any(not d.is_phrase for d in items) else [])
                ways.update(["splits" if typos else "synonyms"] if any(d.is_phrase for d in items) else [])
                ways.update(["prefixes"] if not typos and any(not d.exact and not d.is_phrase for d in items) else [])
    return ways


def differences(search, answer):
    """What the program says otherwise: [(document, field, its value, the oracle's)]."""
    matches = {ranked.document.sequence: ranked for ranked in search.candidates}
    others = [ranked for _, ranked in sorted(matches.items())]
    found = []
    for number, outcome in enumerate(answer["documents"]):
        wanted = expected(search, matches[number], others) if number in matches else None
        if outcome is None or wanted is None:
            found += [(number, "match", outcome, wanted)] if outcome is not wanted else []
            continue
        outcome = answered(search, outcome)
        found += [(number, key, outcome.get(key), wanted[key]) for key in wanted if outcome.get(key) != wanted[key]]
    return found


def show(search, found):
    """A difference for whoever looks for its cause."""
    request, settings = search.request, {k: v for k, v in search.index.settings.items() if k != "faceting"}
    print(f"q {json.dumps(request)}\n  settings {json.dumps(settings)}")
    for number, key, actual, wanted in found[:DIFFERENCES_SHOWN]:
        print(f"  {key}: {actual} for {wanted}\n    {json.dumps(search.index.documents[number].source)}")


def ask(program, search):
    """The program's answer to a search."""
    program.stdin.write(json.dumps(Question(search).line()) + "\n")
    program.stdin.flush()
    line = program.stdout.readline()
    if not line:
        sys.exit(f"the program ended at {json.dumps(search.request)}")
    return json.loads(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--cases", type=int, default=5000, help="searches with several hits")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    dice, counts, different = random.Random(options.seed), Counter(), 0
    program = subprocess.Popen([options.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while counts["searches with several hits"] < options.cases:
        corpus = Corpus(dice)
        for search in [corpus.search() for _ in range(SEARCHES_OF_INDEX)]:
            if not search.query.terms:
                continue
            found = differences(search, ask(program, search))
            counts["searches"] += 1
            counts["documents that match"] += len(search.candidates)
            counts["searches with several hits"] += len(search.candidates) > 1
            counts.update(f"decided by {rule}" for rule in decisive_rules(search))
            counts.update(f"with {way}" for way in ways_to_match(search))
            different += bool(found)
            if found and different <= DIFFERENCES_SHOWN:
                show(search, found)
    program.stdin.close()
    program.wait()
    for name, count in sorted(counts.items()):
        print(f"{name}: {count}")
    print(f"{counts['searches'] - different} agree, {different} differ")
    return 1 if different or program.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
