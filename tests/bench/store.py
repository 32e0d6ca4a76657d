"""Figures of a node's store: one replica, one environment, one core; without Kafka and without HTTP.

    build/venv/bin/python tests/bench/store.py [--build DIR] [--runs N] [--quick] [-o table|json]

Three corpora (corpora.py): Debian's catalogue, WordNet, cities. bench_store
(store.c) is fed with ranges as the feeder makes them, whose making is not in
the figures, receives, merges and stores on one thread, which is kept to one
core. Every stage is a process with a directory of its own; each run has all
stages, and every ratio is of two figures of one run.

- documents/s: from the first byte received until everything is stored. "a
  core" is by the CPU time, which says more than the clock on a loaded machine.
- bare: the least that any store does: parse, cut into words, invert in memory
  with the places, write into an environment in one go, sync (store_bare.h).
- again: the same ids over the full store, each with the body of the next line, so
  that the JSON is as much as the first time.
- with values: both once more, while the values of five attributes are kept:
  three that one would filter by, and two that one would sort by.
- live: bytes of the pages in use of the environment; the file holds freed ones
  too.
- batch to searchable: from the arrival of a batch of 1 or 1,000 documents
  until its last one is found by a word of its own, over the stored catalogue.
- growth: the catalogue again and again under other ids, each size from empty;
  searches for 500 words of it; reopening after a kill -9 with 5,000 documents
  that were received and not stored. RSS counts what is mapped of the file.
- build: the values of the five attributes, for a catalogue that was stored
  without any; a search for one of those words after every slice.

--quick: one run of 10,000 documents a corpus, growth to 100,000.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from corpora import CORPORA, corpus
from command import command
from smoke import words_of

STORE_BYTES = 4 << 20
BATCHES = 2000
STAGE_S = 1800
MIB = 2**20
ATTRIBUTES = {  # three to filter by, two to sort by; WordNet has no more than these
    "debian": ("section", "maintainer", "tags", "installed_size", "name"),
    "wordnet": ("pos", "lemmas", "examples", "id", "definition"),
    "cities": ("country", "feature", "admin", "population", "name"),
}


class Bench:
    """The stages of bench_store, or of another program like it, on one core."""

    def __init__(self, arguments, directory, program="bench_store"):
        self._program = arguments.build / "bin" / program
        self._directory = directory
        self._core = max(os.sched_getaffinity(0))

    def stage(self, *words, keep=False, returncode=0):
        """What one stage prints; `place` among the words stands for its directory."""
        place = self._directory / "store"
        command = [self._program, *(place if word == "place" else str(word) for word in words)]
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=STAGE_S,
                              preexec_fn=lambda: os.sched_setaffinity(0, {self._core}))
        assert done.returncode == returncode, f"{command} ended with {done.returncode}"
        if not keep:
            shutil.rmtree(place)
        return json.loads(done.stdout)


def rate(result, clock="", before=""):
    return result[f"{before}documents"] / result[f"{before}{clock}seconds"]


def figures_of_values(bench, name, documents, bare, without):
    done = bench.stage("load", corpus(name), "place", documents, STORE_BYTES, *ATTRIBUTES[name])
    figures = {
        "stored, documents/s": rate(done),
        "stored, documents/s a core": rate(done, "cpu_"),
        "stored, of bare": rate(done) / rate(bare),
        "stored, of bare by CPU": rate(done, "cpu_") / rate(bare, "cpu_"),
        "stored, of without by CPU": rate(done, "cpu_") / rate(without, "cpu_"),
        "again, documents/s": rate(done, before="again_"),
        "again, documents/s a core": rate(done, "cpu_", "again_"),
        "again, of the first time": rate(done, before="again_") / rate(done),
        "share of the time in stores": done["storing_seconds"] / done["seconds"],
        "share of the time in merges on disk": done["compacting_seconds"] / done["seconds"],
        "live on disk, of JSON": done["used_bytes"] / done["json_bytes"],
        "live on disk, of without": done["used_bytes"] / without["used_bytes"],
        "live on disk after again, of JSON": done["again_used_bytes"] / done["again_json_bytes"],
        "file after again, of live": done["again_file_bytes"] / done["again_used_bytes"],
        "peak RSS MiB, with corpus and file": done["peak_kb"] / 1024,
    }
    return {f"with values, {figure}": value for figure, value in figures.items()}


def figures_of_corpus(bench, name, documents):
    path = corpus(name)
    bare = bench.stage("bare", path, "place", documents)
    done = bench.stage("load", path, "place", documents, STORE_BYTES)
    figures = {
        "bare, documents/s": rate(bare),
        "bare, documents/s a core": rate(bare, "cpu_"),
        "stored, documents/s": rate(done),
        "stored, documents/s a core": rate(done, "cpu_"),
        "stored, of bare": rate(done) / rate(bare),
        "stored, of bare by CPU": rate(done, "cpu_") / rate(bare, "cpu_"),
        "again, documents/s": rate(done, before="again_"),
        "again, documents/s a core": rate(done, "cpu_", "again_"),
        "again, of the first time": rate(done, before="again_") / rate(done),
        "share of the time in stores": done["storing_seconds"] / done["seconds"],
        "share of the time in merges on disk": done["compacting_seconds"] / done["seconds"],
        "JSON, MiB": done["json_bytes"] / MIB,
        "bare on disk, of JSON": bare["used_bytes"] / done["json_bytes"],
        "live on disk, of JSON": done["used_bytes"] / done["json_bytes"],
        "file, of live": done["file_bytes"] / done["used_bytes"],
        "live on disk after again, of JSON": done["again_used_bytes"] / done["again_json_bytes"],
        "file after again, of live": done["again_file_bytes"] / done["again_used_bytes"],
        "peak RSS MiB, with corpus and file": done["peak_kb"] / 1024,
    }
    figures.update(figures_of_values(bench, name, documents, bare, done))
    return {f"{name}: {figure}": value for figure, value in figures.items()}


def figures_of_growth(bench, words, sizes):
    figures, first = {}, None
    for documents in sizes:
        done = bench.stage("grow", corpus("debian"), "place", documents, STORE_BYTES, words, keep=True, returncode=-signal.SIGKILL)
        opened = bench.stage("reopen", "place")
        # a store that was not begun is lost, one that was ended is not
        assert opened["documents"] == documents, opened
        first = first or rate(done, "cpu_")
        name = f"growth to {documents}:"
        figures.update({
            f"{name} stored, documents/s": rate(done),
            f"{name} stored, documents/s a core": rate(done, "cpu_"),
            f"{name} share of the time in merges on disk": done["compacting_seconds"] / done["seconds"],
            f"{name} a core, of the smallest": rate(done, "cpu_") / first,
            f"{name} live on disk, of JSON": opened["used_bytes"] / done["json_bytes"],
            f"{name} file, of live": opened["file_bytes"] / opened["used_bytes"],
            f"{name} search, p50 µs": done["search_p50_us"],
            f"{name} search, p99 µs": done["search_p99_us"],
            f"{name} reopened, ms": opened["seconds"] * 1000,
            f"{name} peak RSS MiB, with corpus and file": done["peak_kb"] / 1024,
        })
    return figures


def figures_of_build(bench, words, documents):
    done = bench.stage("build", corpus("debian"), "place", documents, STORE_BYTES, words, *ATTRIBUTES["debian"])
    figures = {
        "segments": done["segments"],
        "seconds": done["build_seconds"],
        "CPU seconds": done["build_cpu_seconds"],
        "CPU, of the load's": done["build_cpu_seconds"] / done["cpu_seconds"],
        "written, MiB": done["built_bytes"] / MIB,
        "written, of what is stored": done["built_bytes"] / done["disk_bytes"],
        "slice, p50 ms": done["slice_p50_us"] / 1000,
        "slice, longest ms": done["slice_max_us"] / 1000,
        "search before, p50 µs": done["search_p50_us"],
        "search after a slice, p50 µs": done["beside_search_p50_us"],
        "peak RSS MiB above the load's, with file": (done["peak_kb"] - done["load_peak_kb"]) / 1024,
    }
    return {f"build for {documents}: {figure}": value for figure, value in figures.items()}


def measure(bench, words, quick):
    """{figure: value} of one run."""
    figures = {}
    for name in CORPORA:
        documents = 10000 if quick else len(corpus(name).read_bytes().splitlines())
        figures.update(figures_of_corpus(bench, name, documents))
    documents = 10000 if quick else len(corpus("debian").read_bytes().splitlines())
    latency = bench.stage("latency", corpus("debian"), "place", documents, STORE_BYTES, BATCHES // 10 if quick else BATCHES)
    for prefix, name in (("one_", "1"), ("thousand_", "1000")):
        figures[f"batch of {name} to searchable, p50 µs"] = latency[f"{prefix}p50_us"]
        figures[f"batch of {name} to searchable, p99 µs"] = latency[f"{prefix}p99_us"]
    figures.update(figures_of_growth(bench, words, (10000, 100000) if quick else (10000, 100000, 1000000)))
    figures.update(figures_of_build(bench, words, 100000 if quick else 1000000))
    return figures


def run_all(arguments):
    arguments.runs = arguments.runs or (1 if arguments.quick else 3)
    directory = Path(tempfile.mkdtemp(prefix="millrace-bench-"))
    runs = []
    try:
        lines = corpus("debian").read_bytes().splitlines()
        words = directory / "words"
        words.write_text("\n".join(words_of([(None, line) for line in lines])) + "\n")
        bench = Bench(arguments, directory)
        for number in range(arguments.runs):
            runs.append(measure(bench, words, arguments.quick))
            print(f"run {number + 1} of {arguments.runs} done", file=sys.stderr)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return {"quick": arguments.quick}, runs


if __name__ == "__main__":
    command(__doc__, {"--quick": {"action": "store_true"}}, run_all, runs=None)
