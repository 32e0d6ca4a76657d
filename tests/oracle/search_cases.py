#!/usr/bin/env python3
"""Searches of a replica beside the oracle: the same hits in the same order, at the same costs, and the same totals.

    tests/oracle/search_cases.py --program build/dev/bin/oracle_search [--cases N] [--seed S]

Each corpus is fed in batches of a size of its own, stored in between or not, with documents that are sent again.
"""
import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oracle.index import Index  # noqa: E402
from oracle.matching import Search  # noqa: E402

SEARCHES_A_CORPUS = 40
WORD_RULES = ["typo", "proximity", "attributeRank", "wordPosition", "exactness"]
STRATEGIES = ["last", "all", "frequency"]
STEMS = ["bridge", "hamster", "kitten", "sun", "sunflower", "flower", "new", "york", "newyork", "lake", "cake", "cakes", "garden",
         "gardens", "gradens", "a", "an", "ab", "abc", "12345", "123", "45", "résumé", "resume", "ångström"]
FIELDS = ["title", "body", "tags", "meta.author", "meta.note"]
SEPARATORS = [" ", " ", " ", " ", ", ", ". ", "-", "! "]


def misspelt(dice, word):
    """One or two letters otherwise."""
    letters = list(word)
    for _ in range(dice.choice((1, 1, 2))):
        at = dice.randrange(len(letters))
        change = dice.randrange(4)
        if change == 0:
            letters[at] = dice.choice("abekr")
        elif change == 1:
            letters.insert(at, dice.choice("abekr"))
        elif change == 2 and len(letters) > 1:
            del letters[at]
        elif at + 1 < len(letters):
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return "".join(letters)


def word_of(dice):
    """A word of the vocabulary, sometimes another one like it."""
    word = dice.choice(STEMS)
    return misspelt(dice, word) if dice.random() < 0.15 else word


def text_of(dice, longest):
    """Some words."""
    text = ""
    for _ in range(dice.randint(0, longest)):
        text += word_of(dice) + dice.choice(SEPARATORS)
    return text


def document_of(dice, number):
    """Fields with texts, lists of texts, numbers, nested objects."""
    document = {"id": f"d{number}"}
    for field in FIELDS:
        if dice.random() < 0.4:
            continue
        value = text_of(dice, dice.choice((2, 4, 12, 40)))
        if dice.random() < 0.15:
            value = [text_of(dice, 3) for _ in range(dice.randint(1, 3))]
        elif dice.random() < 0.05:
            value = dice.choice((12345, True, None, 45))
        target, _, leaf = field.rpartition(".")
        (document.setdefault(target, {}) if target else document)[leaf] = value
    return document


def settings_of(dice):
    """Settings that a search obeys."""
    rules = dice.sample(WORD_RULES, len(WORD_RULES)) if dice.random() < 0.5 else list(WORD_RULES)
    if dice.random() < 0.2:
        rules = ["attribute" if rule == "attributeRank" else rule for rule in rules if rule != "wordPosition"]
    settings = {"rankingRules": ["words", *rules]}
    if dice.random() < 0.4:
        settings["searchableAttributes"] = dice.sample(["title", "body", "tags", "meta", "meta.author"], dice.randint(1, 4))
    typos = settings["typoTolerance"] = {}
    if dice.random() < 0.2:
        typos["disableOnAttributes"] = [dice.choice(("title", "meta"))]
    if dice.random() < 0.2:
        typos["disableOnWords"] = [dice.choice(STEMS)]
    if dice.random() < 0.2:
        typos["disableOnNumbers"] = True
    if dice.random() < 0.1:
        typos["enabled"] = False
    if dice.random() < 0.3:
        typos["minWordSizeForTypos"] = {"oneTypo": dice.randint(2, 5), "twoTypos": dice.randint(5, 9)}
    if dice.random() < 0.3:
        settings["synonyms"] = {dice.choice(STEMS): [dice.choice(STEMS)], "new york": ["sunflower", "lake garden"]}
    if dice.random() < 0.2:
        settings["proximityPrecision"] = "byAttribute"
    if dice.random() < 0.2:
        settings["prefixSearch"] = "disabled"
    return settings


def query_of(dice):
    """Words, beginnings, misspelt words, phrases, negatives."""
    parts = []
    for _ in range(dice.choice((1, 1, 2, 2, 2, 3, 3, 4, 6))):
        word = word_of(dice)
        kind = dice.random()
        if kind < 0.1:
            word = f'"{word} {dice.choice(STEMS)}"'
        elif kind < 0.15:
            word = f"-{word}"
        elif kind < 0.3:
            word = misspelt(dice, word)
        elif kind < 0.4:
            word = word[:dice.randint(1, len(word))]
        parts.append(word)
    return dice.choice((" ", " ", " ", ", ", ". ")).join(parts) + dice.choice(("", "", " "))


def cost_of(cost):
    """A cost as the engine packs it."""
    if isinstance(cost, tuple):
        return cost
    return cost


class Corpus:
    """One index in the oracle and in a replica."""

    def __init__(self, dice, program, directory):
        self.dice = dice
        self.settings = settings_of(dice)
        documents = [document_of(dice, dice.randrange(60)) for _ in range(dice.randint(5, 80))]
        self.index = Index("i", self.settings, "id", documents)
        self.process = subprocess.Popen([program, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for part in range(0, len(documents), 20):
            self.ask({"documents": documents[part:part + 20], "batch": dice.randint(1, 20), "store": dice.random() < 0.5})

    def ask(self, line):
        """An answer of the program."""
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the program ended at {line}"
        return json.loads(answer)

    def end(self):
        """Lets the program end."""
        self.process.stdin.close()
        assert self.process.wait() == 0

    def compare(self, counts):
        """The difference of one search, or None."""
        dice, settings = self.dice, self.index.settings
        request = {"q": query_of(dice), "matchingStrategy": dice.choice(STRATEGIES)}
        if dice.random() < 0.1:
            request["attributesToSearchOn"] = [dice.choice(("title", "body", "meta.*", "*"))]
        limit = dice.choice((1, 3, 20, 100))
        oracle = Search(self.index, request)
        rules = [rule for rule in oracle.rules if isinstance(rule, str)]
        terms = oracle.query.terms
        rarest = next(iter(oracle.paths.mandatory), 0) if terms and request["matchingStrategy"] == "frequency" else 0
        typos = settings["typoTolerance"]
        vocabulary = self.index.vocabulary
        answer = self.ask({"search": {
            "q": request["q"], "strategy": STRATEGIES.index(request["matchingStrategy"]), "rarest": rarest, "rules": rules,
            "searchable": settings["searchableAttributes"], "searchOn": [p for p in request.get("attributesToSearchOn", []) if p != "*"],
            "typos": typos["enabled"], "one": typos["minWordSizeForTypos"]["oneTypo"], "two": typos["minWordSizeForTypos"]["twoTypos"],
            "numbersExact": typos["disableOnNumbers"], "words": sorted(vocabulary.disabled_words),
            "attributes": typos["disableOnAttributes"], "byAttribute": settings["proximityPrecision"] == "byAttribute",
            "synonyms": [[list(key), list(value)] for key, values in vocabulary.synonyms.items() for value in values],
            "prefix": settings["prefixSearch"] != "disabled", "limit": limit}})
        expected = oracle.ranked[:limit]
        want = [[r.document.source["id"], packed(rules, r.key)] for r in expected]
        got = [[hit["id"], hit["costs"]] for hit in answer["hits"]]
        counts["searches"] += 1
        counts["with two or more hits"] += len(oracle.ranked) > 1
        counts["with phrases"] += any(t.is_phrase for t in terms)
        decided = deciding(rules, [r.key for r in oracle.ranked])
        for rule in decided:
            counts[f"decided by {rule}"] += 1
        if want == got and answer["total"] == len(oracle.ranked):
            return None
        return f"{request} limit {limit}, rules {rules}\n  {self.settings}\n  want {len(oracle.ranked)} {want}\n  got  {answer['total']} {got}"


def packed(rules, key):
    """Costs in one number a rule."""
    factors = {"exactness": 16, "attribute": 128}
    return [cost[0] * factors[rule] + cost[1] if isinstance(cost, tuple) else cost for rule, cost in zip(rules, key)]


def deciding(rules, keys):
    """The rules by which some neighbours in the order differ first."""
    return {next(rule for rule, a, b in zip(rules, left, right) if a != b) for left, right in zip(keys, keys[1:]) if left != right}


def main():
    """Runs the cases."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    counts, troubles = Counter(), []
    seed = arguments.seed
    while counts["searches"] < arguments.cases and len(troubles) < 5:
        with tempfile.TemporaryDirectory() as directory:
            corpus = Corpus(random.Random(seed), arguments.program, f"{directory}/replica")
            for _ in range(SEARCHES_A_CORPUS):
                trouble = corpus.compare(counts)
                if trouble:
                    troubles.append(f"seed {seed}: {trouble}")
                    break
            corpus.end()
        seed += 1
    for name, count in sorted(counts.items()):
        print(f"{name}: {count}")
    print("\n".join(troubles))
    print(f"{counts['searches'] - len(troubles)} searches agree, {len(troubles)} differ")
    sys.exit(bool(troubles))


if __name__ == "__main__":
    main()
