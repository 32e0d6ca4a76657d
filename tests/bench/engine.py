"""What a search takes: inside a node, as documents grow, and over HTTP, also while documents are written.

    build/venv/bin/python tests/bench/engine.py [--build DIR] [--runs N] [--parts PART ...] [-o table|json]

1,000 queries of one to three words that follow each other in some text of
Debian's catalogue, with default settings and limit 20: words as they are; the
last word begun (four letters or more); one misspelt; and the last begun with
one to three letters. Each is searched three times after one that warms up.
--parts leaves out those not named:

- node: inside the node, without HTTP: one replica with the catalogue as it
  stands after the load (store_bed.h), one thread.
- growth: the same with the catalogue's first 10,000 documents, and with
  1,000,000 made of all corpora (corpora.mixed). Long.
- http: through a gateway and three nodes (engine_http.py): a shard beside
  eight, one client and eight.
- writes: the same while 5,000 documents a second are published to the index
  that is searched; without `http` the searches of an idle one still come first.
"""
import json
import random
import re
import shutil
import sys
import tempfile
from pathlib import Path

from corpora import corpus, mixed
from command import command
from engine_http import Stack
from store import STORE_BYTES, Bench

QUERIES = 1000
ROUNDS = 3
PARTS = ("node", "growth", "http", "writes")
GROWTH = (10000, 1000000)
TEXT_WORDS_MIN = 8
BEGUN_MIN = 4
MISSPELT_MIN = 5
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def texts():
    """The words of each text of the catalogue that is a sentence or more."""
    found = []
    for line in corpus("debian").read_bytes().splitlines():
        values = [value for value in json.loads(line).values() if isinstance(value, str)]
        words = re.findall("[a-z]{3,}", " ".join(value for value in values if " " in value).lower())
        if len(words) >= TEXT_WORDS_MIN:
            found.append(words)
    return found


def misspelt(dice, word):
    """One letter otherwise, but not the first."""
    at, letter = dice.randrange(1, len(word)), dice.choice(LETTERS)
    return dice.choice((word[:at] + letter + word[at + 1:], word[:at] + letter + word[at:], word[:at] + word[at + 1:],
                        word[:at] + word[at + 1:at + 2] + word[at] + word[at + 2:]))


def query(dice, words, kind):
    """None if its words are too short for the kind."""
    words = list(words)
    if kind == "exact":
        return " ".join(words) + " "
    if kind == "misspelt":
        longest = max(range(len(words)), key=lambda i: len(words[i]))
        if len(words[longest]) < MISSPELT_MIN:
            return None
        words[longest] = misspelt(dice, words[longest])
        return " ".join(words) + " "
    last = words[-1]
    if kind == "short prefix":
        words[-1] = last[:dice.randint(1, 3)]
    elif len(last) <= BEGUN_MIN:
        return None
    else:
        words[-1] = last[:dice.randint(BEGUN_MIN, len(last) - 1)]
    return " ".join(words)


def queries(seed=7):
    """Lines `kind TAB query`."""
    dice, found, lines = random.Random(seed), texts(), []
    while len(lines) < QUERIES:
        words, count = dice.choice(found), dice.randint(1, 3)
        at = dice.randrange(len(words) - count)
        kind = dice.choice(("exact", "prefix", "misspelt", "short prefix"))
        text = query(dice, words[at:at + count], kind)
        if text is not None:
            lines.append(f"{kind}\t{text}\n")
    return lines


def figures_of_node(bench, path, documents, file):
    """Of a replica with so many documents."""
    done = bench.stage(path, "place", documents, STORE_BYTES, file, ROUNDS)
    figures = {"disk segments": done.pop("disk_segments")}
    for kind, row in done.items():
        figures.update({f"{kind}, p50 µs": row["p50_us"], f"{kind}, p99 µs": row["p99_us"],
                        f"{kind}, documents found": row["hits"]})
    return {f"in the node, {documents:,} documents: {name}": value for name, value in figures.items()}


def measure(arguments, bench, directory, stack):
    """{figure: value} of one run."""
    figures, file, largest = {}, directory / "queries", directory / "mixed"
    if "node" in arguments.parts:
        figures.update(figures_of_node(bench, corpus("debian"), len(corpus("debian").read_bytes().splitlines()), file))
    for documents in GROWTH if "growth" in arguments.parts else ():
        if not largest.exists():
            mixed(largest, max(GROWTH))
        figures.update(figures_of_node(bench, largest, documents, file))
    if stack:
        figures.update(stack.measure(file.read_text().splitlines(), "writes" in arguments.parts))
    return figures


def run_all(arguments):
    directory, runs, stack = Path(tempfile.mkdtemp(prefix="millrace-bench-")), [], None
    try:
        (directory / "queries").write_text("".join(queries()))
        bench = Bench(arguments, directory, "bench_engine")
        if {"http", "writes"} & set(arguments.parts):
            stack = Stack(arguments, directory, ROUNDS)
        for number in range(arguments.runs):
            runs.append(measure(arguments, bench, directory, stack))
            print(f"run {number + 1} of {arguments.runs} done", file=sys.stderr)
    finally:
        if stack:
            stack.close()
        shutil.rmtree(directory, ignore_errors=True)
    return {"queries": QUERIES, "parts": " ".join(arguments.parts)}, runs


if __name__ == "__main__":
    command(__doc__, {"--parts": {"nargs": "+", "choices": PARTS, "default": PARTS}}, run_all)
