"""Recorded answers of Meilisearch 1.50 beside the gateway's, end to end, in one shard and in four.

MILLRACE_REFERENCE_CASES is the folder of the cases, as for tests/oracle/reference.py; without one nothing is compared.
MILLRACE_REFERENCE_GROUP picks the groups with this in their name. A line a group says how many answers agree; the first few
that differ without a known cause are shown. Only differences on purpose are explained (tests/oracle/comparison.py).
"""
import json
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from searching import Asker, SearchedIndex
from oracle.comparison import compare

SIDE_BY_SIDE = 4
SHOWN_A_GROUP = 3
VERDICTS = ("agree", "explained", "unexplained")


class Group:
    """The outcome of one group."""

    def __init__(self, name):
        self.name = name
        self.counts = Counter()
        self.causes = Counter()
        self.differences = []

    def judge(self, case, status, answer):
        """Counts one answer."""
        verdict, text = compare(case, status, answer)
        self.counts[verdict] += 1
        self.causes.update(text.split(",") if verdict == "explained" else [])
        if verdict == "unexplained":
            request = json.dumps(case["request"], ensure_ascii=False)[:400]
            self.differences.append(f"{self.name} {case['id']} {case['route']} {request}\n    {text}")

    def show(self):
        """A line, and the first differences."""
        print(f"  {self.name}: " + ", ".join(f"{self.counts[verdict]} {verdict}" for verdict in VERDICTS))
        for difference in self.differences[:SHOWN_A_GROUP]:
            print("    " + difference)


def run_group(env, path, partitions):
    """Makes the indexes of a group, asks all its cases; what goes wrong on the way counts as a difference."""
    group = json.loads(path.read_text())
    outcome, asker = Group(group["name"]), Asker(env)
    try:
        for uid, part in {group["name"]: group, **(group.get("others") or {})}.items():
            index = SearchedIndex(env, uid, partitions, part["primaryKey"])
            index.set(part["settings"])
            index.publish(part["documents"])
            index.wait_searchable(asker)
        for case in group["cases"]:
            outcome.judge(case, *asker.ask(group["name"], case["route"], case["request"]))
    except Exception as error:  # the other groups go on
        outcome.counts["unexplained"] += 1
        outcome.differences.insert(0, f"{group['name']} ended early: {type(error).__name__}: {error}")
    asker.close()
    return outcome


def compare_all(env, partitions):
    """Every group in an index of so many partitions, a few at a time."""
    directory = os.environ.get("MILLRACE_REFERENCE_CASES")
    if not directory:
        print("  left: MILLRACE_REFERENCE_CASES names no folder of recorded answers")
        return
    chosen = os.environ.get("MILLRACE_REFERENCE_GROUP", "")
    paths = [path for path in sorted(Path(directory).glob("*.json")) if chosen in path.stem]
    assert paths, f"{directory} has no group like `{chosen}`"
    env.plan(nodes=2)
    env.start_all({"query.timeout_ms": "15000"})
    counts, causes = Counter(), Counter()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for group in pool.map(lambda path: run_group(env, path, partitions), paths):
            group.show()
            counts.update(group.counts)
            causes.update(group.causes)
    for cause, count in sorted(causes.items()):
        print(f"  explained by {cause}: {count}")
    print("  " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS))
    assert not counts["unexplained"], f"{counts['unexplained']} answers differ from the recorded ones"


def test_one_shard(env):
    compare_all(env, 1)


def test_four_shards(env):
    compare_all(env, 4)


test_one_shard.timeout_s = test_four_shards.timeout_s = 1200
