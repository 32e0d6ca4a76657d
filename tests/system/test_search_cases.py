"""Generated requests end to end beside the oracle: the whole answers, in indexes of one to four shards.

10,000 cases, with --full 20,000, or as many as MILLRACE_SEARCH_CASES says; MILLRACE_SEARCH_SEED is their seed. A difference names
its corpus, `cases-F`: MILLRACE_SEARCH_FIRST=F with MILLRACE_SEARCH_CASES=50 runs that again alone. All differences are in the
file `differences` of the test's directory.
"""
import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from searching import Asker, SearchedIndex
from oracle.comparison import first_difference
from oracle.generate import show

GENERATOR = Path(__file__).resolve().parent.parent / "oracle" / "generate.py"
PARTITIONS = (1, 2, 4, 3)
SIDE_BY_SIDE = 8  # most of an index's time is spent waiting for its tasks
CASES, CASES_FULL = 10000, 20000
SHOWN = 12


class Outcome:
    """What a corpus came to."""

    def __init__(self):
        self.agree = 0
        self.differences = []

    def judge(self, index, place, case, status, answer):
        """Counts one answer."""
        difference = first_difference({"status": case["status"], "answer": case["answer"]}, {"status": status, "answer": answer})
        self.agree += difference is None
        if difference:
            self.differences.append(f"{index.uid}, case {place}, {index.log.partitions} shards: {case['route']} "
                                    f"{json.dumps(case['request'], ensure_ascii=False)}\n      {difference}")


def run_corpus(env, corpus):
    """Asks all cases of a corpus; what goes wrong on the way counts as a difference."""
    outcome, asker = Outcome(), Asker(env)
    try:
        index = fed(env, asker, corpus)
        for place, case in enumerate(corpus["cases"]):
            outcome.judge(index, place, case, *asker.ask(index.uid, case["route"], case["request"]))
    except Exception as error:  # the other corpora go on
        outcome.differences.insert(0, f"{corpus['uid']} ended early: {type(error).__name__}: {error}")
    asker.close()
    return outcome


def fed(env, asker, corpus):
    """An index with the corpus, whose number says in how many shards, and whether it is set before it is fed."""
    number = int(corpus["uid"].rpartition("-")[2])
    index = SearchedIndex(env, corpus["uid"], PARTITIONS[number % len(PARTITIONS)])
    set_first = number // len(PARTITIONS) % 2 == 0
    if set_first:
        index.set(corpus["settings"])
    index.publish(corpus["documents"])
    if not set_first:
        index.set(corpus["settings"])
    index.wait_searchable(asker)
    return index


def generated(cases):
    """What the generator prints, a line at a time; what is asked meanwhile goes before it."""
    command = ["nice", sys.executable, GENERATOR, "--lines", "--cases", str(cases), "--jobs", str(os.cpu_count()),
               "--seed", os.environ.get("MILLRACE_SEARCH_SEED", "1"), "--first", os.environ.get("MILLRACE_SEARCH_FIRST", "0")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as generator:
        yield from map(json.loads, generator.stdout)
    assert generator.returncode == 0, f"the generator ended with {generator.returncode}"


def test_generated(env):
    cases = int(os.environ.get("MILLRACE_SEARCH_CASES", CASES_FULL if env.full else CASES))
    env.plan(nodes=2)
    env.start_all({"query.timeout_ms": "15000"})
    running = []
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for line in generated(cases):
            if "counts" in line:
                counts = Counter(line["counts"])
            else:
                running.append(pool.submit(run_corpus, env, line))
    outcomes = [each.result() for each in running]
    enough = show(counts)
    differences = [difference for outcome in outcomes for difference in outcome.differences]
    (env.directory / "differences").write_text("\n".join(differences))
    for difference in differences[:SHOWN]:
        print("  " + difference)
    agree = sum(outcome.agree for outcome in outcomes)
    print(f"  {agree} answers agree, {len(differences)} differ")
    assert not differences, f"{len(differences)} of {counts['cases']} answers are not the oracle's"
    assert enough, "some rules decided too seldom"


test_generated.timeout_s = 3600
