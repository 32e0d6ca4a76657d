#!/usr/bin/env python3
"""Compares the oracle with recorded answers of Meilisearch 1.50.

    tests/oracle/reference.py [DIRECTORY] [--group NAME] [--case ID] [--show N]

The directory of the cases is the argument, or MILLRACE_REFERENCE_CASES. Prints a line a group and at the end
`N agree, N explained, N unexplained, N skipped`. A difference is explained only where Millrace differs on purpose;
the exit code is 0 if none is left unexplained.
"""
import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oracle.comparison import compare  # noqa: E402
from oracle.index import Index  # noqa: E402
from oracle.routes import Server  # noqa: E402


def open_server(name, group):
    """A server that holds the indexes of a group, as they were recorded."""
    indexes = [Index(name, group["settings"], group["primaryKey"], group["documents"])]
    for uid, other in (group.get("others") or {}).items():
        indexes.append(Index(uid, other["settings"], other["primaryKey"], other["documents"]))
    return Server(indexes)


def run_group(path, options, totals):
    """Sends every request of a group, and prints how many answers agree."""
    group = json.loads(path.read_text())
    server = open_server(group["name"], group)
    counts, shown = Counter(), 0
    for case in group["cases"]:
        if options.case and case["id"] != options.case:
            continue
        status, answer = server.handle(group["name"], case["route"], case["request"])
        verdict, text = compare(case, status, answer)
        counts[verdict] += 1
        totals.update({("rule", cause): 1 for cause in text.split(",")} if verdict == "explained" else {})
        if verdict == "unexplained" and shown < options.show:
            shown += 1
            print(f"  {group['name']} {case['id']} {json.dumps(case['request'], ensure_ascii=False)[:300]}\n    {text}")
    totals.update(counts)
    line = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("agree", "explained", "unexplained", "skipped"))
    print(f"{path.stem}: {line}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", nargs="?", default=os.environ.get("MILLRACE_REFERENCE_CASES"))
    parser.add_argument("--group", default="", help="only groups with this in their name")
    parser.add_argument("--case", help="only the case of this id")
    parser.add_argument("--show", type=int, default=3, help="unexplained differences to show a group")
    options = parser.parse_args()
    if not options.directory or not Path(options.directory).is_dir():
        print("no reference cases: give their directory as an argument or in MILLRACE_REFERENCE_CASES")
        return 2
    totals = Counter()
    for path in sorted(Path(options.directory).glob("*.json")):
        if options.group in path.stem:
            run_group(path, options, totals)
    for cause, count in sorted((key[1], n) for key, n in totals.items() if isinstance(key, tuple)):
        print(f"explained by {cause}: {count}")
    print(", ".join(f"{totals[verdict]} {verdict}" for verdict in ("agree", "explained", "unexplained", "skipped")))
    return 1 if totals["unexplained"] else 0


if __name__ == "__main__":
    sys.exit(main())
