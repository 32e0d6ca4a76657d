#!/usr/bin/env python3
"""Similar words beside the specification: random typed words against random lists of words.

    tests/oracle/typo_cases.py --program build/dev/bin/oracle_typo [--cases N] [--seed S]

Prints how many pairs of words were compared, and how many of them at how many typos.
"""
import argparse
import collections
import json
import random
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oracle.derivations import distances, typos_between  # noqa: E402

WORDS = 130
SHOWN = 3
LETTERS = ["ab", "abc", "abcdefgh", "aé", "éèê", "a日本", "ab\U0001f600\U0001f601", "az\x7f\x80߿ࠀ\uffff\U00010000\U0010ffff"]


def misspelt(word, letters, dice):
    """The word with one to three changes."""
    letter = list(word)
    for _ in range(dice.randint(0, 3)):
        at = dice.randint(0, len(letter))
        kind = dice.randrange(5)
        if kind == 0:
            letter.insert(at, dice.choice(letters))
        elif kind == 1:
            del letter[at:at + 1]
        elif kind == 2:
            letter[at:at + 1] = dice.choice(letters)
        elif kind == 3:
            letter[at:at + 2] = reversed(letter[at:at + 2])
        else:
            letter += [dice.choice(letters) for _ in range(dice.randint(0, 5))]
    return "".join(letter)


def word_of(letters, dice, longest):
    """A word of any length, now and then the empty one."""
    return "".join(dice.choice(letters) for _ in range(dice.randint(0, longest)))


def case_of(dice):
    """A typed word and a sorted list, half of it made from the typed word."""
    letters = dice.choice(LETTERS)
    longest = dice.choice([3, 6, 10, 10, 250 // 4])
    typed = word_of(letters, dice, longest)
    words = {misspelt(typed, letters, dice) if dice.random() < 0.5 else word_of(letters, dice, longest) for _ in range(WORDS)}
    return {
        "typed": typed, "typos": dice.randint(0, 2), "prefix": dice.random() < 0.5,
        "words": sorted(words, key=str.encode),
    }


def expected(case):
    """What the specification says: typos of each word, or -1."""
    found = []
    for word in case["words"]:
        typos = typos_between(case["typed"], word, case["prefix"])
        found.append(typos if typos <= case["typos"] else -1)
    distances.cache_clear()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--cases", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    dice = random.Random(arguments.seed)
    cases = [case_of(dice) for _ in range(arguments.cases)]
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    run = subprocess.run([arguments.program], input=lines, capture_output=True, text=True, check=True)
    kinds, differences = collections.Counter(), []
    for case, line in zip(cases, run.stdout.splitlines(), strict=True):
        between, answer = expected(case), json.loads(line)
        found = [[word, typos] for word, typos in zip(case["words"], between) if typos >= 0]
        kinds.update(f"{typos} typos{' to a prefix' * case['prefix']}" for typos in between if typos >= 0)
        kinds["pairs"] += len(between)
        if answer["between"] != between or answer["found"] != found:
            differences.append((case, {"between": between, "found": found}, answer))
    print(f"{len(cases)} scans: " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    for case, right, answer in differences[:SHOWN]:
        print(f"{case}\n    {answer}\n    for {right}")
    print(f"{len(differences)} differ")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
